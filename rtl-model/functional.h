/* SPDX-License-Identifier: MIT */
/*
 * The functional model: executes a program over a job's segments, command by command in program
 * order, in the arithmetic of numerics.h. What it puts out is what the accelerator puts out, bit
 * for bit, fault records included; how long it takes says nothing about the accelerator.
 *
 * It trusts nothing: program (program.h) and parameters are copied before they are checked, so
 * memory that somebody else changes meanwhile changes results at most; every operand is checked
 * against its segment before a byte of it is touched.
 */
#ifndef TV_RTL_MODEL_FUNCTIONAL_H
#define TV_RTL_MODEL_FUNCTIONAL_H

#include <stdatomic.h>

#include "rtl-model/program.h"

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

struct tv_prepared;

struct tv_job {
	struct tv_segment_view segments[TV_SEGMENT_COUNT];
	uint64_t budget; /* of tv_program_decode(); tv_functional_execute() does not look at it */
	/* May be NULL. Set while the job runs, by whichever thread: it ends soon. */
	const atomic_bool *cancel;
	tv_functional_observer observer; /* may be NULL */
	void *userdata;
	/* Of the bytes in the weights segment; NULL: they may be others than the last time. */
	const struct tv_prepared *prepared;
};

struct tv_functional;

/* A machine of that target, with its on-chip memory; it runs one job at a time. */
int tv_functional_new(const struct tv_target *target, struct tv_functional **ret,
		      struct tv_error *error);
void tv_functional_free(struct tv_functional *machine);
TV_DEFINE_CLEANUP(struct tv_functional *, tv_functional_free)

/* Which instructions it computes with (kernels.h), from its making on the fastest; the results are
 * the same. */
struct tv_kernels;
void tv_functional_set_kernels(struct tv_functional *machine, const struct tv_kernels *kernels);

/* How many threads share the work of a job, from its making on one; 0: as many as processors. */
int tv_functional_set_threads(struct tv_functional *machine, unsigned int threads,
			      struct tv_error *error);

/*
 * Parameters and weights of a program's commands as kernels use them, for jobs that have the same
 * bytes in their weights segment each time. Constant: machines share it.
 *
 * program: as tv_program_decode() made it; what a job's has in common with it is what helps. A
 * command with weights elsewhere is left as it is, and so are all from the one on whose share would
 * make it more than limit bytes. What is wrong with a command's records is told when it runs.
 */
int tv_prepared_new(const struct tv_kernels *kernels, const struct tv_program *program,
		    const struct tv_segment_view *weights, size_t limit, struct tv_prepared **ret,
		    struct tv_error *error);
/* Counted references: one is the maker's. */
struct tv_prepared *tv_prepared_ref(struct tv_prepared *prepared);
void tv_prepared_unref(struct tv_prepared *prepared);
TV_DEFINE_CLEANUP(struct tv_prepared *, tv_prepared_unref)
size_t tv_prepared_size(const struct tv_prepared *prepared);

/* Executes the job's program, which tv_program_decode() made of it, to its end. 0, with *ret saying
 * how it ended (a fault is an outcome, not an error); -ENOMEM if this machine ran out of memory,
 * -ECANCELED if somebody wanted the end, and then the job's writable segments are undefined. */
int tv_functional_execute(struct tv_functional *machine, const struct tv_job *job,
			  const struct tv_program *program, struct tv_record *ret,
			  struct tv_error *error);

/* Decodes and executes. */
int tv_functional_run(struct tv_functional *machine, const struct tv_job *job,
		      struct tv_record *ret, struct tv_error *error);

#endif
