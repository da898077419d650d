// SPDX-License-Identifier: GPL-2.0-only
/* Jobs between the scheduler and the rings. */
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include <drm/drm_gem.h>

#include "compat.h"
#include "triovit_drv.h"
#include "triovit_trace.h"

/* --- the accelerator's fences --- */

static const char *tv_fence_driver_name(struct dma_fence *fence)
{
	return KBUILD_MODNAME;
}

static void tv_fence_free(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct tv_fence, base.rcu));
	/* tv_fences_flush() waits for the return from here. */
	module_put(THIS_MODULE);
}

static void tv_fence_release(struct dma_fence *fence)
{
	call_rcu(&fence->rcu, tv_fence_free);
}

/* A fence may outlive file and device, for instance in a sync_file; its operations are this
 * module's, so the module stays until it has gone. */
static const struct dma_fence_ops tv_fence_ops = {
	.get_driver_name = tv_fence_driver_name,
	.get_timeline_name = tv_fence_driver_name,
	.release = tv_fence_release,
};

void tv_fences_flush(void)
{
	rcu_barrier();
}

static struct tv_fence *tv_fence_new(void)
{
	struct tv_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL);

	if (!fence)
		return NULL;
	spin_lock_init(&fence->lock);
	__module_get(THIS_MODULE);
	return fence;
}

static void tv_fence_put(struct tv_fence *fence)
{
	if (fence->base.ops) {
		dma_fence_put(&fence->base);
	} else {
		kfree(fence);
		module_put(THIS_MODULE);
	}
}

/* --- jobs --- */

struct tv_job *tv_job_new(struct tv_file *file)
{
	struct tv_job *job = kzalloc(sizeof(*job), GFP_KERNEL);
	struct tv_device *tv = file->tv;

	if (!job)
		return NULL;
	job->fence = tv_fence_new();
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

static void tv_job_free(struct kref *refs)
{
	struct tv_job *job = container_of(refs, struct tv_job, refs);
	struct tv_device *tv = job->tv;
	unsigned int i;

	for (i = 0; i < job->bo_count; i++)
		drm_gem_object_put(job->bos[i]);
	tv_fence_put(job->fence);
	tv_file_put(job->file);
	kfree(job);
	if (atomic_dec_and_test(&tv->live_jobs))
		wake_up_all(&tv->idle);
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
	if (r)
		goto err_end;
	dma_fence_init(fence, &tv_fence_ops, &job->fence->lock, tv->fence_context,
		       ++tv->fence_seqno);
	/* The scheduler's; it may be signalled before we are back. */
	dma_fence_get(fence);
	trace_triovit_start(job->file, job->id, 0);
	r = tv_hw_push(tv, job);
	if (r)
		goto err_signal;
	return fence;

err_signal:
	dma_fence_set_error(fence, r);
	dma_fence_signal(fence);
	dma_fence_put(fence);
err_end:
	tv_job_end(job, r, NULL);
	return ERR_PTR(r);
}

static void tv_sched_free(struct drm_sched_job *sched_job)
{
	struct tv_job *job = to_tv_job(sched_job);
	struct device *dev = job->tv->dev;

	/* Dropped in the queue: its file was closed. */
	if (!job->ended)
		tv_job_end(job, sched_job->s_fence->finished.error ?: -ECANCELED, NULL);
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
	tv->fence_context = dma_fence_context_alloc(1);
	atomic_set(&tv->live_jobs, 0);
	init_waitqueue_head(&tv->idle);
	return tv_sched_init(&tv->sched, &tv_sched_ops, TV_JOBS_IN_FLIGHT, tv->dev);
}

/* After tv_hw_kill(): nothing runs, and what is handed over ends at once. */
void tv_sched_stop(struct tv_device *tv)
{
	tv_files_kill(tv);
	/* drm_sched_fini() would leak what the scheduler has not freed yet. */
	wait_event(tv->idle, !atomic_read(&tv->live_jobs));
	drm_sched_fini(&tv->sched);
}
