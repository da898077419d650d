/* SPDX-License-Identifier: MIT */
/*
 * A job as the bytes that the executor's fuzzer works on:
 *
 *   0	which of the built-in targets runs it
 *   1	the lower half: how many steps it may take; EXECUTOR_OBSERVED
 *   2	the 8 segments, EXECUTOR_SEGMENT_SIZE bytes each: size (2), bytes at the end that are
 *	missing (2), rights, the number of an earlier segment that it is the end of (else it has
 *	memory of its own), what fills it
 *   58	the program segment's bytes, then the weights segment's; where the input ends before
 *	they do, zeroes follow
 *
 * An input of at most EXECUTOR_SEED_MAX bytes is short for a random job that is right: the opcode
 * that it must have, then the random numbers' seed.
 */
#ifndef TV_TESTS_FUZZ_EXECUTOR_H
#define TV_TESTS_FUZZ_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <triovit/command.h>

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);  \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#define EXECUTOR_SEED_MAX     9
#define EXECUTOR_SEGMENTS     2
#define EXECUTOR_SEGMENT_SIZE 7
#define EXECUTOR_PROGRAM      (EXECUTOR_SEGMENTS + TV_SEGMENT_COUNT * EXECUTOR_SEGMENT_SIZE)
#define EXECUTOR_OBSERVED     0x80
#define EXECUTOR_MAX	      8192

/* What a short input is short for. Returns the size, at most EXECUTOR_MAX. */
size_t executor_expand(const uint8_t *input, size_t size, uint8_t *ret);

/* Changes a field or so of a job that is not short; false where it has none of what was drawn. */
bool executor_change(uint64_t *random, uint8_t *data, size_t size);

/* Fills memory of a segment. */
void executor_fill(uint8_t *bytes, uint32_t size, uint8_t how);

/* To the end of a source file that includes this first: its coverage is not what is looked for, and
 * counting it would take most of the time. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

#endif
