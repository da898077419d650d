/* SPDX-License-Identifier: MIT */
/*
 * The functional model: executes a program over a job's segments, command by command in program
 * order, in the arithmetic of numerics.h. What it puts out is what the accelerator puts out, bit
 * for bit, fault records included; how long it takes says nothing about the accelerator.
 *
 * It trusts nothing: program and parameters are copied before they are checked, so memory that
 * somebody else changes meanwhile changes results at most; every operand is checked against its
 * segment before a byte of it is touched.
 */
#ifndef TV_RTL_MODEL_FUNCTIONAL_H
#define TV_RTL_MODEL_FUNCTIONAL_H

#include "common/cleanup.h"
#include "common/error.h"
#include "rtl-model/target.h"

/* No command: the job itself, or none at all. */
#define TV_RECORD_NO_COMMAND UINT32_MAX

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
	uint8_t *data; /* NULL: absent */
	uint32_t size;
	uint32_t rights; /* TV_SEGMENT_READ, TV_SEGMENT_WRITE */
};

/* A value as a command's stage has computed it, before anything else can overwrite it. */
struct tv_observation {
	uint32_t command;
	unsigned int stage;
	const struct tv_command *decoded;
	const void *data; /* int8_t or int16_t, see format; dense: no gaps between pixels */
	uint8_t format; /* enum tv_format */
	uint32_t pixels; /* images * height * width */
	uint32_t channels;
};

typedef void (*tv_functional_observer)(const struct tv_observation *seen, void *userdata);

struct tv_job {
	struct tv_segment_view segments[TV_SEGMENT_COUNT];
	/* The most steps a job may take: multiply-accumulates, plus bytes read and written, plus
	 * 1000 a command. A job that would go beyond ends with TV_FAULT_WATCHDOG at the command
	 * that would. 0: no limit. */
	uint64_t budget;
	tv_functional_observer observer; /* may be NULL */
	void *userdata;
};

struct tv_functional;

/* A machine of that target, with its on-chip memory; one thread's at a time. */
int tv_functional_new(const struct tv_target *target, struct tv_functional **ret,
		      struct tv_error *error);
void tv_functional_free(struct tv_functional *machine);
TV_DEFINE_CLEANUP(struct tv_functional *, tv_functional_free)

/* Runs the job to its end. 0, with *ret saying how it ended (a fault is an outcome, not an error);
 * -ENOMEM if this machine ran out of memory, and then the job's writable segments are undefined. */
int tv_functional_run(struct tv_functional *machine, const struct tv_job *job,
		      struct tv_record *ret, struct tv_error *error);

#endif
