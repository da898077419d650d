// SPDX-License-Identifier: GPL-2.0-only
/* Jobs between the scheduler and the rings. */
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_gem.h>

#include "compat.h"
#include "triovit_drv.h"
#include "triovit_trace.h"

/* --- the accelerator's fences --- */

static const char *tv_fence_driver_name(struct dma_fence *fence)
{
	return KBUILD_MODNAME;
}

/* The last fence of a device that is not bound any more has gone. */
static void tv_fences_gone(struct work_struct *work)
{
	drm_dev_put(&container_of(work, struct tv_device, fences_gone)->drm);
}

/* From where RCU calls back, which is no place to free a device. */
static void tv_fences_put(struct kref *refs)
{
	queue_work(tv_workqueue, &container_of(refs, struct tv_device, fences)->fences_gone);
}

static void tv_fence_free(struct rcu_head *rcu)
{
	struct tv_fence *fence = container_of(rcu, struct tv_fence, base.rcu);

	kref_put(&fence->tv->fences, tv_fences_put);
	kfree(fence);
	/* Unloading waits for the return from here. */
	module_put(THIS_MODULE);
}

static void tv_fence_release(struct dma_fence *fence)
{
	call_rcu(&fence->rcu, tv_fence_free);
}

/*
 * A fence may outlive file and device, for instance in a sync_file. Its operations are this
 * module's, and the scheduler's fence that has it for a parent says the scheduler's name: so the
 * module and the memory of the device stay until it has gone.
 */
static const struct dma_fence_ops tv_fence_ops = {
	.get_driver_name = tv_fence_driver_name,
	.get_timeline_name = tv_fence_driver_name,
	.release = tv_fence_release,
};

static struct tv_fence *tv_fence_new(struct tv_device *tv)
{
	struct tv_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);

	if (!fence)
		return NULL;
	__module_get(THIS_MODULE);
	kref_get(&tv->fences);
	fence->tv = tv;
	spin_lock_init(&fence->lock);
	/* Nobody compares them: the scheduler's are what others see. */
	dma_fence_init(&fence->base, &tv_fence_ops, &fence->lock, dma_fence_context_alloc(1), 1);
	return fence;
}

/* --- jobs --- */

struct tv_job *tv_job_new(struct tv_file *file)
{
	struct tv_job *job = kzalloc(sizeof(*job), GFP_KERNEL);
	struct tv_device *tv = file->tv;

	if (!job)
		return NULL;
	job->fence = tv_fence_new(tv);
	if (!job->fence) {
		kfree(job);
		return NULL;
	}
	kref_init(&job->refs);
	job->tv = tv;
	tv_file_get(file);
	job->file = file;
	atomic_inc(&tv->live_jobs);
	return job;
}

/* The completion, unlike a wait queue, is not touched any more once the waiter goes on. */
static void tv_live_put(struct tv_device *tv)
{
	if (atomic_dec_and_test(&tv->live_jobs))
		complete(&tv->idle);
}

static void tv_job_free(struct kref *refs)
{
	struct tv_job *job = container_of(refs, struct tv_job, refs);
	struct tv_device *tv = job->tv;
	unsigned int i;

	for (i = 0; i < job->bo_count; i++)
		drm_gem_object_put(job->bos[i]);
	dma_fence_put(&job->fence->base);
	tv_file_put(job->file);
	kfree(job);
	tv_live_put(tv);
}

void tv_job_put(struct tv_job *job)
{
	kref_put(&job->refs, tv_job_free);
}

static void tv_job_end(struct tv_job *job, int status, const struct tv_completion *completion)
{
	job->ended = true;
	trace_triovit_end(job->file, job->id, status);
	tv_file_end(job->file, job->id, status, completion);
}

void tv_job_finish(struct tv_job *job, int status, const struct tv_completion *completion)
{
	/* The scheduler may free the job as soon as the fence is signalled. */
	struct tv_fence *fence = job->fence;

	tv_job_end(job, status, completion);
	if (status) {
		dma_fence_set_error(&fence->base, status);
		/* Before 6.7 the scheduler does not hand it on. */
		dma_fence_set_error(&job->base.s_fence->finished, status);
	}
	dma_fence_get(&fence->base);
	dma_fence_signal(&fence->base);
	dma_fence_put(&fence->base);
}

/* --- the scheduler's side --- */

static struct tv_job *to_tv_job(struct drm_sched_job *job)
{
	return container_of(job, struct tv_job, base);
}

static struct dma_fence *tv_sched_run(struct drm_sched_job *sched_job)
{
	struct tv_job *job = to_tv_job(sched_job);
	struct dma_fence *fence = &job->fence->base;
	struct tv_device *tv = job->tv;
	int r = sched_job->s_fence->finished.error;

	if (!r && READ_ONCE(job->file->killed))
		r = -ESRCH;
	if (!r && job->deadline && ktime_after(ktime_get(), job->deadline))
		r = -ETIME;
	/* The scheduler's; it may be signalled before we are back. */
	dma_fence_get(fence);
	if (!r) {
		trace_triovit_start(job->file, job->id, 0);
		r = tv_hw_push(tv, job);
	}
	if (r)
		tv_job_finish(job, r, NULL);
	return fence;
}

static void tv_sched_free(struct drm_sched_job *sched_job)
{
	struct tv_job *job = to_tv_job(sched_job);
	struct device *dev = job->tv->dev;

	/* Dropped in the queue: its file was closed. */
	if (!job->ended) {
		tv_job_end(job, sched_job->s_fence->finished.error ?: -ECANCELED, NULL);
		sched_job->s_fence->parent = dma_fence_get(&job->fence->base);
	}
	drm_sched_job_cleanup(sched_job);
	pm_runtime_mark_last_busy(dev);
	pm_runtime_put_autosuspend(dev);
	tv_job_put(job);
}

static const struct drm_sched_backend_ops tv_sched_ops = {
	.run_job = tv_sched_run,
	.free_job = tv_sched_free,
};

int tv_sched_start(struct tv_device *tv)
{
	int r = tv_sched_init(&tv->sched, &tv_sched_ops, TV_JOBS_IN_FLIGHT, tv->dev);

	if (r)
		return r;
	drm_dev_get(&tv->drm);
	kref_init(&tv->fences);
	INIT_WORK(&tv->fences_gone, tv_fences_gone);
	atomic_set(&tv->live_jobs, 1);
	init_completion(&tv->idle);
	return 0;
}

/* After tv_hw_kill(): nothing runs, and what is handed over ends at once. */
void tv_sched_stop(struct tv_device *tv)
{
	tv_files_kill(tv);
	/* drm_sched_fini() would leak what the scheduler has not freed yet. */
	tv_live_put(tv);
	wait_for_completion(&tv->idle);
	drm_sched_fini(&tv->sched);
	kref_put(&tv->fences, tv_fences_put);
}
