/* SPDX-License-Identifier: MIT */
/* Feeds the reader of packages. What it takes must be whole: every part that a runner will use can
 * be read, and the check that a writer asks agrees. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/package-format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static uint32_t touch(const uint8_t *bytes, size_t size)
{
	volatile uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += bytes[i];
	return sum;
}

static void check_program(const struct tv_package *package,
			  const struct tv_package_program *program)
{
	const struct tv_program_header *header = &program->header;

	REQUIRE(header->commands && header->images);
	REQUIRE(header->segment[TV_SEGMENT_INPUT] ==
		(uint64_t)header->images * package->size * package->size * 3);
	(void)touch(program->program, header->segment[TV_SEGMENT_PROGRAM]);
	(void)touch(program->weights, header->segment[TV_SEGMENT_WEIGHTS]);
	for (uint32_t i = 0; i < header->commands; i++)
		for (int stage = 0; stage < 2; stage++) {
			int node = program->steps[i].nodes[stage];

			REQUIRE(node == TV_STEP_NONE ||
				(node >= 0 && (size_t)node < package->node_count));
		}
	REQUIRE(tv_package_program(package, program->target, header->images) == program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(tv_package_freep) struct tv_package *package = NULL;
	struct tv_error error = { 0 };
	int r = tv_package_parse(data, size, "FILE", &package, &error);

	if (r < 0) {
		REQUIRE(r == -EBADMSG && error.code == -EBADMSG);
		REQUIRE(strncmp(error.text, "FILE: ", 6) == 0 && strlen(error.text) > 6);
		return 0;
	}
	REQUIRE(error.code == 0);
	REQUIRE(tv_package_check(package, &error) == 0);
	REQUIRE(package->program_count && package->node_count);
	for (unsigned int i = 0; package->labels && i < package->classes; i++)
		REQUIRE(*package->labels[i]);
	for (size_t i = 0; i < package->node_count; i++)
		REQUIRE(package->nodes[i].channels && package->nodes[i].scale &&
			package->nodes[i].offset);
	for (size_t i = 0; i < package->program_count; i++)
		check_program(package, &package->programs[i]);
	return 0;
}
