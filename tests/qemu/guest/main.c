// SPDX-License-Identifier: MIT
/* guest-tests [time]: the driver by its calls alone. */
#include "tests/qemu/guest/guest.h"

int main(int argc, char **argv)
{
	static const struct guest_test *const all[] = { guest_memory_tests, guest_submit_tests,
							guest_share_tests,  guest_trouble_tests,
							guest_life_tests,   guest_random_tests,
							guest_log_tests,    NULL };
	static const struct guest_test *const timing[] = { guest_time_tests, NULL };

	return !guest_run_all(argc > 1 ? timing : all);
}
