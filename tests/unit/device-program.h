/* SPDX-License-Identifier: MIT */
/* A package's program on the board of device-machine.h. */
#ifndef TV_TESTS_DEVICE_PROGRAM_H
#define TV_TESTS_DEVICE_PROGRAM_H

#include "model/package.h"
#include "tests/unit/device-machine.h"

/* Memory for a job of the program, with program and weights in it. */
static inline struct tv_descriptor machine_program(struct machine *m,
						   const struct tv_package_program *program)
{
	const struct tv_program_header *header = &program->header;
	struct tv_descriptor job = { .job = 1 };

	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		uint32_t rights = TV_SEGMENT_READ;
		struct region *region;

		if (!header->segment[i])
			continue;
		region = machine_add(m, header->segment[i]);
		if (i == TV_SEGMENT_PROGRAM)
			memcpy(region->data, program->program, region->size);
		else if (i == TV_SEGMENT_WEIGHTS)
			memcpy(region->data, program->weights, region->size);
		if (header->writable >> i & 1)
			rights |= TV_SEGMENT_WRITE;
		machine_segment(&job, i, region, rights);
	}
	return job;
}

/* What lies in a segment of the job. */
static inline uint8_t *machine_bytes(struct machine *m, const struct tv_descriptor *job,
				     unsigned int segment)
{
	return machine_region(m, job->segment[segment].base)->data;
}

#endif
