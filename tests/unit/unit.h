/* SPDX-License-Identifier: MIT */
/* What every unit test shares: one suite a program, TAP on standard output, files to work with. */
#ifndef TV_TESTS_UNIT_H
#define TV_TESTS_UNIT_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/error.h"

/* Runs the suite and returns main()'s exit code. */
static inline int tv_unit_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Says, for the summary that counts it, that a test cannot run here; then the test returns. */
#define tv_unit_skip(name, ...)                                                                    \
	do {                                                                                       \
		printf("# skipped " name ": " __VA_ARGS__);                                        \
		printf("\n");                                                                      \
		fflush(stdout);                                                                    \
		return;                                                                            \
	} while (0)

/* A path below the source tree, in a static buffer. */
static inline const char *tv_unit_source(const char *relative)
{
	static char path[4096];
	const char *top = getenv("TV_SOURCE_DIR");

	snprintf(path, sizeof(path), "%s/%s", top ? top : ".", relative);
	return path;
}

/* Fails with the error's text unless r is 0. */
#define tv_assert_ok(r, error) ck_assert_msg((r) == 0, "%d: %s", (r), (error).text)

/* splitmix64 (Steele, Lea, Flood 2014): the same numbers on every machine. */
static inline uint64_t tv_unit_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

#endif
