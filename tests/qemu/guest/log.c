// SPDX-License-Identifier: MIT
/* What the kernel has to say of all that went before: tests that come last. */
#include <sys/klog.h>
#include <unistd.h>

#include "tests/qemu/guest/guest.h"

static void log_is_clean(void)
{
	static const char *const words[] = {
		"WARNING:",   "BUG:",	      "Oops",	"Call trace:",	    "UBSAN",
		"refcount_t", "nobody cared", "leaked", "blocked for more", "ODEBUG:",
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

/* It gives up at the first mistake that it finds, or when it runs out of memory. */
static void locks_were_checked(void)
{
	const char *at = strstr(guest_read("/proc/lockdep_stats"), "debug_locks:");

	check(at && atoi(at + strlen("debug_locks:")) == 1);
}

static void nothing_leaks(void)
{
	static const char path[] = "/sys/kernel/debug/kmemleak";
	const char *text;

	/* It waits five seconds with what is new, and until it is the same in two scans. */
	sleep(6);
	guest_write(path, "scan");
	guest_write(path, "scan");
	text = guest_read(path);
	if (*text)
		guest_fail(__FILE__, __LINE__, "%s", text);
}

const struct guest_test guest_log_tests[] = {
	{ "no warning in the kernel's log", log_is_clean },
	{ NULL, NULL },
};

const struct guest_test guest_debug_tests[] = {
	{ "no warning in the kernel's log", log_is_clean },
	{ "locks were checked to the end", locks_were_checked },
	{ "nothing has leaked", nothing_leaks },
	{ NULL, NULL },
};
