/* SPDX-License-Identifier: MIT */
/*
 * The timing calculator: how long a program takes on a target, from its commands alone. It counts
 * cycles of the engines' loop nests, of the epilogue and of the DRAM channel, and it lets weights
 * run ahead as far as the on-chip memory allows; it knows no clock edges. It judges schedules
 * until the cycle model does, and states the completion times of the functional device.
 * docs/hardware.md, "Timing", derives each term.
 */
#ifndef TV_RTL_MODEL_TIMING_H
#define TV_RTL_MODEL_TIMING_H

#include "common/error.h"
#include "rtl-model/target.h"

/* Exposed at each command that has to wait for the last value of the one before it: from the last
 * operand read over multipliers, adder tree, epilogue and buffer to the next read. */
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

/* Where a program's time goes, per job. */
struct tv_timing_program {
	double cold; /* cycles of the first job after idle, from doorbell to completion */
	double steady; /* cycles from completion to completion with jobs always queued */
	double engines; /* of the steady ones: engines at work, with their padding */
	double weights_wait; /* of the steady ones: waiting for weights */
	double dram_wait; /* waiting for other operands */
	uint64_t macs;
	uint64_t dram_bytes; /* all traffic of one job */
	double utilisation; /* macs / (multipliers * steady) */
	double images_per_second; /* steady */
};

/* dram_percent scales the target's bandwidth. images is how many a job works on. -ENOSPC where a
 * command's weights do not fit beside the program's operands. */
int tv_timing_of_program(const struct tv_target *target, unsigned int dram_percent,
			 const struct tv_program_header *header, const struct tv_command *commands,
			 struct tv_timing_program *ret, struct tv_error *error);

/* One job, for the device. Cycles. */
struct tv_timing_job {
	uint64_t cycles; /* from its start to its record */
	/* Within them: at work, and waiting for. */
	uint64_t engines, epilogue, dram;
	uint64_t stall_weights, stall_operands;
};

/*
 * The first count commands of a program whose operands use so many bytes on chip, at the full
 * bandwidth. warm: its program and weights could be fetched while the job before it ran, which is
 * taken for one like it. Any commands that were decoded have a time, also those that a compiler
 * would not make. ret_finish[i]: cycles from the job's start to command i's end.
 */
int tv_timing_of_job(const struct tv_target *target, uint32_t onchip,
		     const struct tv_command *commands, uint32_t count, bool warm,
		     struct tv_timing_job *ret, uint64_t *ret_finish, struct tv_error *error);

#endif
