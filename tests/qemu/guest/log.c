// SPDX-License-Identifier: MIT
/* What the kernel has to say of all that went before: the test that comes last. */
#include <sys/klog.h>

#include "tests/qemu/guest/guest.h"

static void log_is_clean(void)
{
	static const char *const words[] = {
		"WARNING:",	"BUG:",	  "Oops",    "Call trace:",	 "UBSAN",   "refcount_t",
		"nobody cared", "leaked", "DMA-API", "blocked for more", "ODEBUG:",
	};
	int size = klogctl(10, NULL, 0);
	char *log = calloc(1, (size_t)size + 1);

	check(log && klogctl(3, log, size) >= 0);
	for (unsigned int i = 0; i < sizeof(words) / sizeof(*words); i++) {
		char *at = strstr(log, words[i]);

		if (at)
			guest_fail(__FILE__, __LINE__, "%.*s", (int)strcspn(at, "\n"), at);
	}
	free(log);
}

const struct guest_test guest_log_tests[] = {
	{ "no warning in the kernel's log", log_is_clean },
	{ NULL, NULL },
};
