// SPDX-License-Identifier: MIT
/* The driver's KUnit tests: a module that is loaded instead of the driver, and leaves what it has
 * to say in debugfs, as TAP within TAP. */
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/qemu/guest/guest.h"

#define RESULTS "/sys/kernel/debug/kunit/triovit/results"

static void passed(void)
{
}

static void failed(void)
{
	guest_fail(__FILE__, __LINE__, "see the kernel's log");
}

static void unloaded(void)
{
	guest_fail(__FILE__, __LINE__, "not all results of KUnit are there");
}

static int load(const char *name)
{
	char path[64];
	int fd, r;

	snprintf(path, sizeof(path), "/modules/%s.ko", name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	r = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return r;
}

const struct guest_test *guest_kunit_tests(void)
{
	static struct guest_test tests[64] = { { "kunit", unloaded }, { NULL, NULL } };
	unsigned int count = 0, planned = 0, number;
	char name[64], *text;

	syscall(SYS_delete_module, "triovit", O_NONBLOCK);
	load("triovit_test");
	text = (char *)guest_read(RESULTS);
	for (char *line = strtok(text, "\n"); line && count < 62; line = strtok(NULL, "\n")) {
		bool good;

		if (strncmp(line, "    ", 4))
			continue;
		sscanf(line, "    1..%u", &planned);
		good = sscanf(line, "    ok %u %63s", &number, name) == 2;
		if (!good && sscanf(line, "    not ok %u %63s", &number, name) != 2)
			continue;
		check(asprintf((char **)&tests[count].name, "kunit: %s", name) > 0);
		tests[count++].run = good ? passed : failed;
	}
	if (count != planned)
		tests[count++] = (struct guest_test){ "kunit", unloaded };
	syscall(SYS_delete_module, "triovit_test", O_NONBLOCK);
	load("triovit");
	return tests;
}
