// SPDX-License-Identifier: GPL-2.0-only
/* An open file: its queues, one a priority, and the records of its jobs. */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <drm/drm_file.h>
#include <drm/drm_print.h>
#include <drm/drm_utils.h>

#include "compat.h"
#include "triovit_drv.h"

static const enum drm_sched_priority tv_priorities[TV_PRIORITIES] = {
	[DRM_TRIOVIT_PRIORITY_NORMAL] = DRM_SCHED_PRIORITY_NORMAL,
	[DRM_TRIOVIT_PRIORITY_LOW] = TV_SCHED_LOW,
	[DRM_TRIOVIT_PRIORITY_HIGH] = DRM_SCHED_PRIORITY_HIGH,
};

static void tv_file_free(struct kref *refs)
{
	struct tv_file *file = container_of(refs, struct tv_file, refs);

	mutex_destroy(&file->submit_lock);
	kvfree(file->results);
	kfree(file);
}

void tv_file_get(struct tv_file *file)
{
	kref_get(&file->refs);
}

void tv_file_put(struct tv_file *file)
{
	kref_put(&file->refs, tv_file_free);
}

int tv_file_open(struct drm_device *drm, struct drm_file *drm_file)
{
	struct tv_device *tv = to_tv(drm);
	struct drm_gpu_scheduler *sched = &tv->sched;
	struct tv_file *file;
	int i, r, idx;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	file = kzalloc(sizeof(*file), GFP_KERNEL);
	if (!file) {
		r = -ENOMEM;
		goto err_exit;
	}
	file->results = kvcalloc(TV_RECORDS, sizeof(*file->results), GFP_KERNEL_ACCOUNT);
	if (!file->results) {
		r = -ENOMEM;
		goto err_free;
	}
	kref_init(&file->refs);
	file->tv = tv;
	mutex_init(&file->submit_lock);
	spin_lock_init(&file->lock);
	init_waitqueue_head(&file->done);
	for (i = 0; i < TV_PRIORITIES; i++) {
		r = drm_sched_entity_init(&file->entities[i], tv_priorities[i], &sched, 1, NULL);
		if (r)
			goto err_entities;
	}
	mutex_lock(&tv->files_lock);
	list_add(&file->node, &tv->files);
	mutex_unlock(&tv->files_lock);
	drm_file->driver_priv = file;
	drm_dev_exit(idx);
	return 0;

err_entities:
	while (i--)
		drm_sched_entity_destroy(&file->entities[i]);
	kvfree(file->results);
err_free:
	kfree(file);
err_exit:
	drm_dev_exit(idx);
	return r;
}

/*
 * Waits for the jobs that were not handed over; those of a process that was killed are dropped
 * before, since the scheduler of 6.1 loses a fence when it drops them itself.
 */
static void tv_file_kill(struct tv_file *file)
{
	int i;

	if (current->flags & PF_EXITING && current->exit_code == SIGKILL)
		WRITE_ONCE(file->killed, true);
	for (i = 0; i < TV_PRIORITIES; i++)
		drm_sched_entity_destroy(&file->entities[i]);
	file->dead = true;
}

void tv_file_close(struct drm_device *drm, struct drm_file *drm_file)
{
	struct tv_file *file = drm_file->driver_priv;
	struct tv_device *tv = to_tv(drm);
	int idx;

	/* Unbinding waits for who is in here, else it does the same under the lock. */
	if (drm_dev_enter(drm, &idx)) {
		tv_file_kill(file);
		mutex_lock(&tv->files_lock);
		list_del(&file->node);
		mutex_unlock(&tv->files_lock);
		drm_dev_exit(idx);
	} else {
		mutex_lock(&tv->files_lock);
		if (!file->dead)
			tv_file_kill(file);
		list_del(&file->node);
		mutex_unlock(&tv->files_lock);
	}
	tv_file_put(file);
}

void tv_files_kill(struct tv_device *tv)
{
	struct tv_file *file;

	mutex_lock(&tv->files_lock);
	list_for_each_entry(file, &tv->files, node)
		if (!file->dead)
			tv_file_kill(file);
	mutex_unlock(&tv->files_lock);
}

int tv_file_begin(struct tv_file *file, u64 *ret)
{
	struct tv_result *result;
	int r = 0;

	spin_lock(&file->lock);
	result = &file->results[(file->last + 1) % TV_RECORDS];
	if (result->job && !result->done) {
		r = -EAGAIN;
	} else {
		*result = (struct tv_result){ .job = ++file->last };
		*ret = file->last;
	}
	spin_unlock(&file->lock);
	return r;
}

void tv_file_end(struct tv_file *file, u64 job, int status, const struct tv_completion *completion)
{
	struct tv_result *result = &file->results[job % TV_RECORDS];
	struct drm_triovit_record record = {
		.status = status,
		.command = TV_RECORD_NO_COMMAND,
		.segment = TV_SEGMENT_NONE,
	};

	if (completion) {
		record.fault = completion->fault;
		record.command = completion->command;
		record.segment = completion->segment;
		record.offset = completion->offset;
		record.executed = completion->executed;
		record.start = completion->start;
		record.end = completion->end;
		record.mat_busy = completion->mat_busy;
		record.rmac_busy = completion->rmac_busy;
		record.epilogue_busy = completion->epilogue_busy;
		record.dma_busy = completion->dma_busy;
		record.stall_weights = completion->stall_weights;
		record.stall_operands = completion->stall_operands;
	}
	spin_lock(&file->lock);
	result->record = record;
	result->done = true;
	file->busy += record.end - record.start;
	spin_unlock(&file->lock);
	wake_up_all(&file->done);
}

/* 1: it has ended; 0: not yet. */
static int tv_file_result(struct tv_file *file, u64 job, struct drm_triovit_record *ret)
{
	const struct tv_result *result = &file->results[job % TV_RECORDS];
	int r;

	spin_lock(&file->lock);
	if (!job || result->job != job) {
		r = -ENOENT;
	} else {
		r = result->done;
		*ret = result->record;
	}
	spin_unlock(&file->lock);
	return r;
}

int tv_ioctl_wait(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct tv_file *file = drm_file->driver_priv;
	struct drm_triovit_wait *args = data;
	struct drm_triovit_record record;
	long left;
	int r;

	left = wait_event_interruptible_timeout(file->done,
						(r = tv_file_result(file, args->job, &record)),
						drm_timeout_abs_to_jiffies(args->timeout_ns));
	if (r < 0)
		return r;
	if (left < 0)
		return left;
	if (!r)
		return -ETIMEDOUT;
	args->record = record;
	return 0;
}

void tv_file_show(struct drm_printer *p, struct drm_file *drm_file)
{
	struct tv_file *file = drm_file->driver_priv;
	struct tv_device *tv = file->tv;
	u32 khz = tv_clock_khz(tv), rest;
	u64 milliseconds, memory;

	spin_lock(&file->lock);
	milliseconds = div_u64_rem(file->busy, khz, &rest);
	spin_unlock(&file->lock);
	spin_lock(&tv->memory_lock);
	memory = file->memory;
	spin_unlock(&tv->memory_lock);
	drm_printf(p, "drm-engine-triovit:\t%llu ns\n",
		   milliseconds * 1000000 + div_u64(rest * 1000000ull, khz));
	drm_printf(p, "drm-memory-memory:\t%llu KiB\n", memory >> 10);
}

u64 tv_file_id(const struct drm_file *drm_file)
{
	const struct tv_file *file = drm_file->driver_priv;

	return file->entities[0].fence_context;
}
