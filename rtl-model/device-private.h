/* SPDX-License-Identifier: MIT */
/* The device inside: device.c has registers, rings and time, device-job.c one job between its
 * descriptor and its record. */
#ifndef TV_RTL_MODEL_DEVICE_PRIVATE_H
#define TV_RTL_MODEL_DEVICE_PRIVATE_H

#include <triovit/regs.h>

#include "rtl-model/cycle.h"
#include "rtl-model/device.h"

/* Memory of a job that never changes, as the host knows it; number 0: it may change. */
struct tv_device_constant {
	uint64_t number;
	const uint8_t *data;
	uint32_t size;
};

struct tv_device_work {
	struct tv_functional *machine;
	struct tv_device_prepared *prepared; /* the device's */
	struct tv_device_constant constant[2]; /* of program and weights */
	const struct tv_target *cycle; /* by the cycle model instead, of that target; or NULL */
	struct tv_job job;
	struct tv_program *program; /* NULL: the job was refused before it was looked at */
	struct tv_record record; /* the outcome of tv_device_work_run() */
};

/* A job that runs. */
struct tv_device_job {
	struct tv_device_work work;
	struct tv_descriptor descriptor;
	uint64_t start, end;
	struct tv_cycle_job time; /* from 0 */
	uint64_t *finish; /* of each command, from start */
};

/* Ranges of addresses; their sizes are not 0. */
static inline bool tv_ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b ? b - a < a_size : a - b < b_size;
}

/* Whether part of a range has no address of so many bits, or it wraps round. */
static inline bool tv_range_beyond(uint64_t base, uint64_t size, unsigned int address_bits)
{
	uint64_t last = UINT64_MAX >> (64 - address_bits);

	return base > last || size - 1 > last - base;
}

/* What a job needs of its device. */
struct tv_device_core {
	atomic_bool cancel; /* whatever is computed, until a reset */
	const struct tv_device_host *host;
	void *userdata;
	struct tv_target target;
	unsigned int address_bits;
	struct tv_functional *machine;
	struct tv_device_times *times;
	struct tv_device_prepared *prepared;
	struct tv_program *previous; /* of the job that ended last; NULL: it had none */
};

/* Cycles of a job that was refused: to read its descriptor, and to write its record. */
#define TV_DEVICE_REFUSAL 48

struct tv_device_times *tv_device_times_new(void);
void tv_device_times_free(struct tv_device_times *times);
/* A program's time behind another (NULL: behind none), the same in every run. ret_finish[i]: cycles
 * from its start to command i's end. -ENOMEM, -ECANCELED. */
int tv_device_time(struct tv_device_times *times, const struct tv_target *target,
		   const struct tv_program *previous, const struct tv_program *program,
		   const atomic_bool *cancel, struct tv_cycle_job *ret, uint64_t *ret_finish);

struct tv_device_prepared *tv_device_prepared_new(void);
void tv_device_prepared_free(struct tv_device_prepared *all);
/* For a job with such program and weights, until the next call; NULL: it does without. */
const struct tv_prepared *tv_device_prepare(struct tv_device_prepared *all,
					    const struct tv_device_constant memory[2],
					    const struct tv_program *program,
					    const struct tv_segment_view *weights);

/*
 * Takes a job in: checks it, maps its memory, knows its time and has it computed. bytes is the
 * descriptor; warm: it was fetched while the job before it ran. Cannot fail: what is wrong with the
 * job is its outcome, and so is a host without memory (TV_FAULT_BUS of no segment).
 */
void tv_device_job_begin(const struct tv_device_core *core, struct tv_device_job *job,
			 const uint8_t *bytes, uint64_t start, bool warm, uint32_t watchdog);
/* Waits for its computing and writes what became of it to *ret, all but index. */
void tv_device_job_end(struct tv_device_core *core, struct tv_device_job *job,
		       struct tv_completion *ret);
/* Ends it at once, without an outcome, and leaves core->cancel set. */
void tv_device_job_drop(struct tv_device_core *core, struct tv_device_job *job);
/* Commands finished by then. */
uint32_t tv_device_job_progress(const struct tv_device_job *job, uint64_t now);

/* Whether fetching a job's program and weights while another runs could show: its read-only
 * memory is memory that the other writes. */
bool tv_device_jobs_conflict(const struct tv_descriptor *running, const uint8_t *next);

#endif
