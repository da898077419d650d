/* SPDX-License-Identifier: MIT */
/* Places for tensors whose lifetimes are known: what is not alive at the same time may share. */
#ifndef TV_QUANTIZER_LOWER_MEMORY_H
#define TV_QUANTIZER_LOWER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct tv_tensor_place {
	uint64_t size; /* bytes; 0: needs no place */
	unsigned int first, last; /* steps in which it is alive, both included */
	uint8_t segment; /* TV_SEGMENT_ONCHIP, TV_SEGMENT_SCRATCH; given ones are left alone */
	uint32_t offset;
};

/*
 * Gives each tensor whose segment is TV_SEGMENT_NONE a place: on chip below onchip bytes if there
 * is room, the largest first, else in scratch. reuse: tensors may share scratch when their lives
 * do not meet. ret_onchip, ret_scratch: bytes used. -ENOSPC beyond 4 GiB of scratch.
 */
int tv_place_tensors(struct tv_tensor_place *tensors, size_t count, uint64_t onchip, bool reuse,
		     uint32_t *ret_onchip, uint32_t *ret_scratch, struct tv_error *error);

/*
 * A place on chip for one tensor more, whose size and last step are set, beside count that have
 * theirs: from as early a step on as memory below onchip bytes is free, but at most ahead steps
 * before its first, which is set too. -ENOSPC where there is none.
 */
int tv_place_early(struct tv_tensor_place *tensors, size_t count, uint64_t onchip,
		   unsigned int ahead, struct tv_tensor_place *tensor, struct tv_error *error);

#endif
