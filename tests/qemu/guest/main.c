// SPDX-License-Identifier: MIT
/* guest-tests [time|clock|debug|faults]: the driver by its calls alone; with "debug" in a kernel
 * that looks for mistakes, with "faults" in one that makes some, too. */
#include "tests/qemu/guest/guest.h"

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	const struct guest_test *all[] = { guest_memory_tests, guest_submit_tests,
					   guest_share_tests,  guest_trouble_tests,
					   guest_life_tests,   guest_random_tests,
					   guest_log_tests,    NULL };
	const struct guest_test *timing[] = { guest_time_tests, NULL };
	const struct guest_test *clock[] = { guest_clock_tests, NULL };
	const struct guest_test *faults[] = { NULL, guest_fault_tests, guest_debug_tests, NULL };

	if (!strcmp(mode, "time"))
		return !guest_run_all(timing);
	if (!strcmp(mode, "clock"))
		return !guest_run_all(clock);
	if (!strcmp(mode, "faults")) {
		faults[0] = guest_kunit_tests();
		return !guest_run_all(faults);
	}
	if (!strcmp(mode, "debug")) {
		all[6] = guest_debug_tests;
		guest_slow = true;
	}
	return !guest_run_all(all);
}
