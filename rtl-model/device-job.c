/* SPDX-License-Identifier: MIT */
/* One job, from its descriptor to its record. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rtl-model/device-private.h"

static bool overlap(const struct tv_segment *a, const struct tv_segment *b)
{
	return tv_ranges_overlap(a->base, a->size, b->base, b->size);
}

static const char *check_segment(const struct tv_segment *segment, unsigned int address_bits)
{
	if (!segment->size)
		return segment->base || segment->rights ?
			       "a segment without bytes has a base or rights" :
			       NULL;
	if (!segment->rights || segment->rights & ~(TV_SEGMENT_READ | TV_SEGMENT_WRITE))
		return "a segment has no rights or unknown ones";
	if (segment->base % TV_SEGMENT_ALIGNMENT)
		return "a segment's base is not a multiple of 64";
	if (tv_range_beyond(segment->base, segment->size, address_bits))
		return "a segment reaches beyond the last address";
	return NULL;
}

static const char *check_descriptor(const struct tv_descriptor *descriptor,
				    unsigned int address_bits)
{
	const struct tv_segment *segments = descriptor->segment;
	const char *why;

	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		why = check_segment(&segments[i], address_bits);
		if (why)
			return why;
	}
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		for (unsigned int j = 0; j < TV_SEGMENT_COUNT; j++)
			if (i != j && segments[i].rights & TV_SEGMENT_WRITE && segments[j].size &&
			    overlap(&segments[i], &segments[j]))
				return "a writable segment overlaps another";
	return NULL;
}

static void map_segments(const struct tv_device_core *core, struct tv_device_job *job)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		const struct tv_segment *segment = &job->descriptor.segment[i];
		struct tv_segment_view *view = &job->work.job.segments[i];
		uint32_t there;

		if (!segment->size)
			continue;
		there = core->host->map(core->userdata, segment->base, segment->size,
					segment->rights, &view->data);
		if (!there)
			view->data = NULL;
		view->size = segment->size;
		view->rights = segment->rights;
		view->missing = segment->size - there;
	}
}

static void unmap_segments(const struct tv_device_core *core, struct tv_device_job *job)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		struct tv_segment_view *view = &job->work.job.segments[i];

		if (view->data)
			core->host->unmap(core->userdata, view->data, view->size - view->missing,
					  view->rights);
	}
}

/* Of program and weights, all of which are there. */
static void find_constants(const struct tv_device_core *core, struct tv_device_job *job)
{
	for (unsigned int i = TV_SEGMENT_PROGRAM; i <= TV_SEGMENT_WEIGHTS; i++) {
		const struct tv_segment_view *view = &job->work.job.segments[i];
		const struct tv_segment *segment = &job->descriptor.segment[i];

		if (core->host->constant && view->data && !view->missing)
			job->work.constant[i] = (struct tv_device_constant){
				.number = core->host->constant(core->userdata, segment->base,
							       segment->size),
				.data = view->data,
				.size = view->size,
			};
	}
}

static int time_job(const struct tv_device_core *core, struct tv_device_job *job, bool warm)
{
	return tv_device_time(core->times, &core->target, warm ? core->previous : NULL,
			      job->work.program, &core->cancel, &job->time, job->finish);
}

/* The watchdog bites during the first command that would end too late. */
static int apply_watchdog(const struct tv_device_core *core, struct tv_device_job *job, bool warm,
			  uint32_t watchdog)
{
	uint32_t finished = tv_device_job_progress(job, job->start + watchdog);
	int r;

	if (!watchdog || finished == job->work.program->count)
		return 0;
	tv_program_cut(job->work.program, finished, TV_FAULT_WATCHDOG,
		       "the job takes longer than the watchdog allows");
	r = time_job(core, job, warm);
	job->time.end = watchdog;
	return r;
}

/* Everything that can be known before the job runs. */
static int prepare(const struct tv_device_core *core, struct tv_device_job *job, bool warm,
		   uint32_t watchdog)
{
	struct tv_device_work *work = &job->work;
	struct tv_error error = { 0 };
	int r;

	map_segments(core, job);
	find_constants(core, job);
	r = tv_program_decode(&core->target, work->job.segments, 0, &work->program, &error);
	if (r < 0)
		return r;
	job->finish = calloc(work->program->count + 1, sizeof(*job->finish));
	if (!job->finish)
		return -ENOMEM;
	r = time_job(core, job, warm);
	if (r < 0)
		return r;
	return apply_watchdog(core, job, warm, watchdog);
}

/* A fault of nobody: it is as if memory had not answered. */
static struct tv_record no_memory(void)
{
	return (struct tv_record){
		.fault = TV_FAULT_BUS,
		.command = TV_RECORD_NO_COMMAND,
		.segment = TV_SEGMENT_NONE,
		.why = "the machine that stands in for the accelerator has no memory",
	};
}

void tv_device_job_begin(const struct tv_device_core *core, struct tv_device_job *job,
			 const uint8_t *bytes, uint64_t start, bool warm, uint32_t watchdog)
{
	struct tv_device_work *work = &job->work;
	const char *why;
	int reserved;

	*job = (struct tv_device_job){
		.work = {
			.machine = core->machine,
			.prepared = core->prepared,
			.cycle = core->host->cycle ? &core->target : NULL,
			.record = {
				.fault = TV_FAULT_BAD_JOB,
				.command = TV_RECORD_NO_COMMAND,
				.segment = TV_SEGMENT_NONE,
			},
		},
		.start = start,
		.time.end = TV_DEVICE_REFUSAL,
	};
	work->job.cancel = &core->cancel;
	reserved = tv_decode_descriptor(bytes, &job->descriptor);
	why = reserved ? "reserved bytes of the descriptor are not zero" :
			 check_descriptor(&job->descriptor, core->address_bits);
	if (why) {
		work->record.why = why;
	} else if (prepare(core, job, warm, watchdog) < 0) {
		work->record = no_memory();
		tv_program_free(work->program);
		work->program = NULL;
	} else if (core->host->start) {
		core->host->start(core->userdata, work);
	} else {
		tv_device_work_run(work);
	}
	job->end = start + job->time.end;
}

static int compute(struct tv_device_work *work, struct tv_error *error)
{
	const struct tv_cycle_options how = { .target = work->cycle, .dram_percent = 100 };
	struct tv_cycle_job time;

	if (work->cycle)
		return tv_cycle_execute(&how, &work->job, work->program, &work->record, &time,
					error);
	work->job.prepared = tv_device_prepare(work->prepared, work->constant, work->program,
					       &work->job.segments[TV_SEGMENT_WEIGHTS]);
	return tv_functional_execute(work->machine, &work->job, work->program, &work->record,
				     error);
}

void tv_device_work_run(struct tv_device_work *work)
{
	struct tv_error error = { 0 };

	/* Nobody reads the record of a job that was cancelled. */
	if (compute(work, &error) < 0)
		work->record = no_memory();
}

static void join(const struct tv_device_core *core, struct tv_device_job *job)
{
	if (job->work.program && core->host->join)
		core->host->join(core->userdata, &job->work);
	unmap_segments(core, job);
}

static void job_done(struct tv_device_core *core, struct tv_device_job *job)
{
	tv_program_free(core->previous);
	core->previous = TV_TAKE_PTR(job->work.program);
	free(job->finish);
	job->finish = NULL;
}

/* Part of what was done for a job may have been done before its start, or after a watchdog's bite.
 */
static uint64_t within(const struct tv_cycle_job *time, uint64_t cycles)
{
	return cycles < time->end ? cycles : time->end;
}

void tv_device_job_end(struct tv_device_core *core, struct tv_device_job *job,
		       struct tv_completion *ret)
{
	const struct tv_record *record = &job->work.record;
	const struct tv_cycle_job *time = &job->time;

	join(core, job);
	if (record->fault && core->host->complain)
		core->host->complain(core->userdata, record->why);
	*ret = (struct tv_completion){
		.job = job->descriptor.job,
		.fault = (uint8_t)record->fault,
		.segment = record->segment,
		.offset = record->offset,
		.command = record->command,
		.executed = record->executed,
		.start = job->start,
		.end = job->end,
		.mat_busy = within(time, time->busy[TV_CYCLE_MAT]),
		.rmac_busy = within(time, time->busy[TV_CYCLE_RMAC]),
		.epilogue_busy = within(time, time->busy[TV_CYCLE_EPILOGUE]),
		.dma_busy = within(time, time->busy[TV_CYCLE_DMA]),
		.stall_weights = within(time, time->stall[TV_CYCLE_WEIGHTS]),
		.stall_operands =
			within(time, time->stall[TV_CYCLE_OPERANDS] + time->stall[TV_CYCLE_ROWS]),
	};
	job_done(core, job);
}

void tv_device_job_drop(struct tv_device_core *core, struct tv_device_job *job)
{
	atomic_store_explicit(&core->cancel, true, memory_order_relaxed);
	join(core, job);
	job_done(core, job);
}

uint32_t tv_device_job_progress(const struct tv_device_job *job, uint64_t now)
{
	uint32_t low = 0, high = job->work.program ? job->work.program->count : 0;

	/* A copy may end after the commands behind it, so this is the first that has not ended. */
	while (low < high && job->finish[low] <= now - job->start)
		low++;
	return low;
}

bool tv_device_jobs_conflict(const struct tv_descriptor *running, const uint8_t *next)
{
	struct tv_descriptor other;

	tv_decode_descriptor(next, &other);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		for (unsigned int j = 0; j < TV_SEGMENT_COUNT; j++)
			if (running->segment[i].rights & TV_SEGMENT_WRITE &&
			    !(other.segment[j].rights & TV_SEGMENT_WRITE) &&
			    other.segment[j].size &&
			    overlap(&running->segment[i], &other.segment[j]))
				return true;
	return false;
}
