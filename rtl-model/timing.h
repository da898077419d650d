/* SPDX-License-Identifier: MIT */
/*
 * The timing calculator: about how long a program takes on a target, from its commands alone, in
 * no time. It counts cycles of the engines' loop nests, of the epilogue and of the DRAM channel, and
 * it lets weights run ahead as far as the on-chip memory allows; it knows no clock edges. With it
 * the compiler chooses among thousands of mappings and schedules; how long a program really takes,
 * the cycle model (cycle.h) says.
 */
#ifndef TV_RTL_MODEL_TIMING_H
#define TV_RTL_MODEL_TIMING_H

#include "common/error.h"
#include "rtl-model/target.h"

/* Exposed at each command: from the last operand read over multipliers, adder tree, epilogue and
 * buffer to the next read. */
#define TV_TIMING_LATENCY 48

/* One command alone, all operands at hand. Cycles. */
struct tv_timing_command {
	uint64_t cycles; /* the longest of the three below, with what cannot overlap */
	uint64_t engines; /* MAT and R-MAC */
	uint64_t epilogue;
	uint64_t macs;
	uint64_t weights; /* bytes of the weights operand */
	uint64_t chunk; /* of these, what must be on chip at once */
	uint64_t dram; /* bytes of the other operands that lie in DRAM */
};

void tv_timing_of_command(const struct tv_target *target, const struct tv_command *command,
			  struct tv_timing_command *ret);

/* Cycles from completion to completion with jobs always queued. -ENOSPC where a command's weights do
 * not fit beside the program's operands. */
int tv_timing_estimate(const struct tv_target *target, const struct tv_program_header *header,
		       const struct tv_command *commands, double *ret, struct tv_error *error);

#endif
