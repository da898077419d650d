/* SPDX-License-Identifier: MIT */
/*
 * The cycle model: the accelerator clock edge by clock edge, its modules as they would be in RTL
 * (cycle/machine.h names them). With a job's memory it computes the functional model's bits and
 * records; without, it tells time alone, the same, since no module looks at data to decide what to
 * do next. docs/hardware.md, "Timing", has the prose.
 */
#ifndef TV_RTL_MODEL_CYCLE_H
#define TV_RTL_MODEL_CYCLE_H

#include <stdbool.h>

#include "rtl-model/functional.h"

enum tv_cycle_engine {
	TV_CYCLE_MAT,
	TV_CYCLE_RMAC,
	TV_CYCLE_VECTOR, /* pooling and layer norm */
	TV_CYCLE_EPILOGUE,
	TV_CYCLE_DMA, /* the DRAM channel moves bytes */
	TV_CYCLE_ENGINES
};

/* What MAT waits for in a cycle in which it does not multiply. */
enum tv_cycle_stall {
	TV_CYCLE_JOB, /* the job begins or ends: engines have nothing to do yet or any more */
	TV_CYCLE_FETCH, /* the command */
	TV_CYCLE_WEIGHTS,
	TV_CYCLE_OPERANDS, /* from DRAM */
	TV_CYCLE_ROWS, /* what an older command has not yet put out */
	TV_CYCLE_BUFFER, /* the first stage of the chain */
	TV_CYCLE_DRAIN, /* the epilogue to take results */
	TV_CYCLE_STALLS
};

const char *tv_cycle_engine_name(enum tv_cycle_engine engine);
const char *tv_cycle_stall_name(enum tv_cycle_stall stall);

/* One job. Cycles since the first job's doorbell. */
struct tv_cycle_job {
	uint64_t start, end; /* a job that is queued starts when the one before it has its record */
	uint64_t busy[TV_CYCLE_ENGINES];
	uint64_t stall[TV_CYCLE_STALLS];
	uint64_t bytes; /* moved from and to DRAM */
};

/* One command of a job. begin: MAT or R-MAC begins with it. end: its last byte is where it belongs.
 * The stalls are those while it was the oldest that was not yet handed to the engines as a whole,
 * the DMA's busy cycles are not told apart. */
struct tv_cycle_command {
	uint64_t begin, end;
	uint64_t busy[TV_CYCLE_ENGINES];
	uint64_t stall[TV_CYCLE_STALLS];
};

/* A piece of work of one engine. */
struct tv_cycle_event {
	enum tv_cycle_engine engine;
	unsigned int job; /* that runs */
	uint32_t command; /* UINT32_MAX: the channel's, which serves many */
	uint64_t begin, end;
};

struct tv_cycle_options {
	const struct tv_target *target;
	unsigned int dram_percent; /* of the target's bandwidth */
	bool every_cycle; /* evaluates also those in which nothing can change: the same, slower */
	/* Clock edges to evaluate; when they are used up, the commands left count one after the
	 * other, with nothing overlapped. 0: no limit. */
	uint64_t edges;
	void (*observer)(const struct tv_cycle_event *event, void *userdata); /* may be NULL */
	void *userdata;
	const atomic_bool *cancel; /* as a tv_job's */
	/* So many of the jobs are only there to be fetched while the one before them runs: all ends
	 * with that one, and it is the last in what is said below. */
	unsigned int followers;
};

/* Enough for what a compiler makes, and a bound to what others may cost. */
#define TV_CYCLE_EDGES (1u << 25)

/* What there is to know of a program. */
struct tv_cycle_program {
	uint32_t onchip; /* bytes that its operands use */
	const struct tv_command *commands; /* that were decoded */
	uint32_t count;
};

/* Time alone, of jobs that are queued from the beginning. ret_jobs[i] of each job; ret_commands[i]
 * of each command of the last one, or NULL. -ENOMEM, -ECANCELED. */
int tv_cycle_time(const struct tv_cycle_options *options,
		  const struct tv_cycle_program *const *programs, unsigned int jobs,
		  struct tv_cycle_job *ret_jobs, struct tv_cycle_command *ret_commands,
		  struct tv_error *error);

/* What a device states, at full bandwidth: a job that finds it idle (previous NULL), or one that
 * was fetched while a job of that program ran, and takes a part of the channel's time for the next
 * one of its kind: a queue that stays full. cancel: as a tv_job's. *ret begins at 0;
 * ret_commands, whose cycles are then those of the job, may be NULL. */
int tv_cycle_of_job(const struct tv_target *target, const struct tv_cycle_program *previous,
		    const struct tv_cycle_program *program, const atomic_bool *cancel,
		    struct tv_cycle_job *ret, struct tv_cycle_command *ret_commands,
		    struct tv_error *error);

/* A program of that many images, with jobs always queued. */
struct tv_cycle_profile {
	uint64_t macs; /* of a job */
	uint64_t cold; /* cycles of the first one */
	double steady; /* cycles from one record to the next */
	double utilisation; /* macs / (multipliers * steady) */
	double images_per_second;
	struct tv_cycle_job job; /* the last one, as are the commands */
};

int tv_cycle_profile(const struct tv_cycle_options *options, const struct tv_cycle_program *program,
		     unsigned int images, struct tv_cycle_profile *ret,
		     struct tv_cycle_command *ret_commands, struct tv_error *error);

/* One job with its data: *ret as tv_functional_execute() says, *ret_job as tv_cycle_time(). The
 * job's observer is not called. options->edges and cancel are not looked at. */
int tv_cycle_execute(const struct tv_cycle_options *options, const struct tv_job *job,
		     const struct tv_program *program, struct tv_record *ret,
		     struct tv_cycle_job *ret_job, struct tv_error *error);

#endif
