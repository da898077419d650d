/* SPDX-License-Identifier: MIT */
/*
 * A program as a machine takes it in: copied from its segment, checked, taken apart. What a job's
 * commands touch is known before the first of them runs, so all that can be wrong with them but
 * for their parameter records is found here. Functional model, cycle model and device
 * work on the outcome; none reads the program's memory again.
 */
#ifndef TV_RTL_MODEL_PROGRAM_H
#define TV_RTL_MODEL_PROGRAM_H

#include "common/cleanup.h"
#include "common/error.h"
#include "rtl-model/target.h"

/* How a job ended. segment and offset say which byte a TV_FAULT_SEGMENT or TV_FAULT_BUS is about
 * (the first one outside, or the operand's first where a right is missing), or where the record
 * lies that a TV_FAULT_BAD_COMMAND found out of range; else they are TV_SEGMENT_NONE and 0. */
struct tv_record {
	enum tv_fault fault;
	uint32_t command; /* index of the command at fault, or TV_RECORD_NO_COMMAND */
	uint8_t segment;
	uint32_t offset;
	uint32_t executed; /* commands that were completed */
	uint64_t steps; /* work done, see budget */
	const char *why; /* for people: which check failed; never NULL */
};

/* Memory of a segment on this machine. */
struct tv_segment_view {
	uint8_t *data; /* NULL: absent, or all of it is missing */
	uint32_t size;
	uint32_t rights; /* TV_SEGMENT_READ, TV_SEGMENT_WRITE */
	uint32_t missing; /* bytes at the end that memory answers with an error */
};

struct tv_program {
	struct tv_program_header header;
	/* Those before the first that is known to fault: the machine executes them, and then the
	 * job ends as end says unless it did earlier. */
	uint32_t count;
	struct tv_command *commands;
	uint64_t *steps; /* of each */
	struct tv_record end; /* executed and steps: those of all commands */
};

/* Reads and checks the program of a job over these segments. budget: the most steps the job may
 * take, multiply-accumulates plus bytes read and written plus 1000 a command; a job that would go
 * beyond ends with TV_FAULT_WATCHDOG at the command that would; 0: no limit. What is wrong with the
 * job is no error but an answer, in (*ret)->end; -ENOMEM is one. */
int tv_program_decode(const struct tv_target *target,
		      const struct tv_segment_view segments[TV_SEGMENT_COUNT], uint64_t budget,
		      struct tv_program **ret, struct tv_error *error);
void tv_program_free(struct tv_program *program);
TV_DEFINE_CLEANUP(struct tv_program *, tv_program_free)

/* Ends the job before the command with that index instead of later, with that fault. */
void tv_program_cut(struct tv_program *program, uint32_t index, enum tv_fault fault,
		    const char *why);

#endif
