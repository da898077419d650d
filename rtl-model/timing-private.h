/* SPDX-License-Identifier: MIT */
/* What the calculator of one command (timing.c) and that of a sequence (timing-program.c) share. */
#ifndef TV_RTL_MODEL_TIMING_PRIVATE_H
#define TV_RTL_MODEL_TIMING_PRIVATE_H

#include <stdbool.h>

#include "rtl-model/timing.h"

static inline uint64_t up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static inline bool in_dram(const struct tv_operand *operand)
{
	return operand->segment < TV_SEGMENT_COUNT;
}

#endif
