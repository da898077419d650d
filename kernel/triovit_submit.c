// SPDX-License-Identifier: GPL-2.0-only
/* From what user space asks for to a job in a queue. */
#include <linux/capability.h>
#include <linux/dma-resv.h>
#include <linux/pm_runtime.h>
#include <linux/uaccess.h>

#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_syncobj.h>

#include "compat.h"
#include "triovit_drv.h"
#include "triovit_trace.h"

static int tv_check_submit(const struct drm_triovit_submit *args)
{
	if (args->flags || args->job || args->deadline_ns < 0 || args->priority >= TV_PRIORITIES ||
	    !args->segment_count || args->segment_count > DRM_TRIOVIT_SEGMENTS ||
	    args->in_count > DRM_TRIOVIT_SYNCOBJS_MAX || args->out_count > DRM_TRIOVIT_SYNCOBJS_MAX)
		return -EINVAL;
	if (args->priority == DRM_TRIOVIT_PRIORITY_HIGH && !capable(CAP_SYS_NICE))
		return -EPERM;
	return 0;
}

/* --- segments --- */

static int tv_check_segment(const struct drm_triovit_segment *segment, unsigned int index)
{
	if (!segment->size)
		/* The program cannot be absent. */
		return !index || segment->handle || segment->rights || segment->offset ? -EINVAL :
											 0;
	if (!segment->rights ||
	    segment->rights & ~(DRM_TRIOVIT_SEGMENT_READ | DRM_TRIOVIT_SEGMENT_WRITE) ||
	    segment->offset % TV_SEGMENT_ALIGNMENT || segment->size > U32_MAX)
		return -EINVAL;
	if (index == TV_SEGMENT_PROGRAM && segment->rights != DRM_TRIOVIT_SEGMENT_READ)
		return -EINVAL;
	return 0;
}

/* The buffer's place among the job's; its reference goes there. */
static unsigned int tv_add_bo(struct tv_job *job, struct drm_gem_object *obj)
{
	unsigned int i;

	for (i = 0; i < job->bo_count; i++) {
		if (job->bos[i] == obj) {
			drm_gem_object_put(obj);
			return i;
		}
	}
	job->bos[job->bo_count] = obj;
	return job->bo_count++;
}

static int tv_add_segment(struct tv_job *job, struct drm_file *drm_file,
			  const struct drm_triovit_segment *from, unsigned int index)
{
	struct tv_segment *segment = &job->descriptor.segment[index];
	struct drm_gem_object *obj;
	unsigned int place;
	int r;

	r = tv_check_segment(from, index);
	if (r || !from->size)
		return r;
	obj = drm_gem_object_lookup(drm_file, from->handle);
	if (!obj)
		return -ENOENT;
	place = tv_add_bo(job, obj);
	if (from->offset > obj->size || from->size > obj->size - from->offset)
		return -EINVAL;
	segment->base = to_drm_gem_dma_obj(obj)->dma_addr + from->offset;
	segment->size = from->size;
	segment->rights = from->rights;
	/* Of another device's buffer, nothing tells where it begins. */
	if (segment->base % TV_SEGMENT_ALIGNMENT)
		return -EINVAL;
	job->segments[index] = obj;
	job->writes[place] |= from->rights & DRM_TRIOVIT_SEGMENT_WRITE;
	return 0;
}

static int tv_check_overlaps(const struct tv_descriptor *job)
{
	const struct tv_segment *a, *b;
	unsigned int i, j;

	for (i = 0; i < TV_SEGMENT_COUNT; i++) {
		for (j = 0; j < i; j++) {
			a = &job->segment[i];
			b = &job->segment[j];
			if ((a->rights | b->rights) & TV_SEGMENT_WRITE && a->size && b->size &&
			    a->base < b->base + b->size && b->base < a->base + a->size)
				return -EINVAL;
		}
	}
	return 0;
}

static int tv_add_segments(struct tv_job *job, struct drm_file *drm_file,
			   const struct drm_triovit_submit *args)
{
	u8 __user *from = u64_to_user_ptr(args->segments);
	struct drm_triovit_segment segment;
	unsigned int i;
	int r;

	/* copy_struct_from_user() reads to the end of a larger one. */
	if (args->segment_size < sizeof(segment) || args->segment_size > PAGE_SIZE)
		return -EINVAL;
	for (i = 0; i < args->segment_count; i++) {
		r = copy_struct_from_user(&segment, sizeof(segment),
					  from + (size_t)i * args->segment_size,
					  args->segment_size);
		if (r)
			return r;
		r = tv_add_segment(job, drm_file, &segment, i);
		if (r)
			return r;
	}
	return tv_check_overlaps(&job->descriptor);
}

/* --- fences --- */

static int tv_add_in_syncobjs(struct tv_job *job, struct drm_file *drm_file,
			      const struct drm_triovit_submit *args)
{
	u32 __user *from = u64_to_user_ptr(args->in_syncobjs);
	struct dma_fence *fence;
	unsigned int i;
	u32 handle;
	int r;

	for (i = 0; i < args->in_count; i++) {
		if (get_user(handle, from + i))
			return -EFAULT;
		r = drm_syncobj_find_fence(drm_file, handle, 0, 0, &fence);
		if (r)
			return r == -EINVAL ? -ENOENT : r;
		r = drm_sched_job_add_dependency(&job->base, fence);
		if (r)
			return r;
	}
	return 0;
}

static void tv_put_syncobjs(struct drm_syncobj **syncobjs, unsigned int count)
{
	while (count--)
		drm_syncobj_put(syncobjs[count]);
	kfree(syncobjs);
}

static int tv_find_out_syncobjs(struct drm_file *drm_file, const struct drm_triovit_submit *args,
				struct drm_syncobj ***ret)
{
	u32 __user *from = u64_to_user_ptr(args->out_syncobjs);
	struct drm_syncobj **syncobjs;
	unsigned int i;
	u32 handle;
	int r;

	syncobjs = kcalloc(args->out_count, sizeof(*syncobjs), GFP_KERNEL);
	if (!syncobjs)
		return -ENOMEM;
	for (i = 0; i < args->out_count; i++) {
		r = -EFAULT;
		if (get_user(handle, from + i))
			goto err_put;
		syncobjs[i] = drm_syncobj_find(drm_file, handle);
		r = -ENOENT;
		if (!syncobjs[i])
			goto err_put;
	}
	*ret = syncobjs;
	return 0;

err_put:
	tv_put_syncobjs(syncobjs, i);
	return r;
}

static int tv_add_implicit(struct tv_job *job)
{
	unsigned int i;
	int r;

	for (i = 0; i < job->bo_count; i++) {
		r = dma_resv_reserve_fences(job->bos[i]->resv, 1);
		if (r)
			return r;
		r = drm_sched_job_add_implicit_dependencies(&job->base, job->bos[i],
							    job->writes[i]);
		if (r)
			return r;
	}
	return 0;
}

/* Cannot be called back. With the buffers locked, so that nobody sees one without the fence. */
static int tv_push(struct tv_job *job, struct dma_fence **ret)
{
	struct tv_file *file = job->file;
	struct dma_fence *fence;
	unsigned int i;
	int r;

	mutex_lock(&file->submit_lock);
	r = tv_file_begin(file, &job->id);
	if (r) {
		mutex_unlock(&file->submit_lock);
		return r;
	}
	job->descriptor.job = job->id;
	drm_sched_job_arm(&job->base);
	fence = dma_fence_get(&job->base.s_fence->finished);
	for (i = 0; i < job->bo_count; i++)
		dma_resv_add_fence(job->bos[i]->resv, fence,
				   job->writes[i] ? DMA_RESV_USAGE_WRITE : DMA_RESV_USAGE_READ);
	trace_triovit_submit(file, job->id, 0);
	drm_sched_entity_push_job(&job->base);
	mutex_unlock(&file->submit_lock);
	*ret = fence;
	return 0;
}

static int tv_submit(struct tv_device *tv, struct drm_file *drm_file,
		     struct drm_triovit_submit *args)
{
	struct tv_file *file = drm_file->driver_priv;
	struct drm_syncobj **syncobjs;
	struct ww_acquire_ctx ctx;
	struct dma_fence *fence;
	struct tv_job *job;
	unsigned int i;
	u64 id;
	int r;

	job = tv_job_new(file);
	if (!job)
		return -ENOMEM;
	job->deadline = ns_to_ktime(args->deadline_ns);
	r = tv_add_segments(job, drm_file, args);
	if (r)
		goto err_put;
	r = tv_find_out_syncobjs(drm_file, args, &syncobjs);
	if (r)
		goto err_put;
	r = tv_wake(tv);
	if (r)
		goto err_syncobjs;
	r = tv_sched_job_init(&job->base, &file->entities[args->priority], file, drm_file);
	if (r)
		goto err_suspend;
	r = tv_add_in_syncobjs(job, drm_file, args);
	if (r)
		goto err_cleanup;
	r = drm_gem_lock_reservations(job->bos, job->bo_count, &ctx);
	if (r)
		goto err_cleanup;
	r = tv_add_implicit(job);
	if (r)
		goto err_unlock;
	/* It may be freed once it is pushed; its buffers are needed for the unlocking. */
	kref_get(&job->refs);
	r = tv_push(job, &fence);
	if (r)
		goto err_job;
	id = job->id;
	drm_gem_unlock_reservations(job->bos, job->bo_count, &ctx);
	tv_job_put(job);
	for (i = 0; i < args->out_count; i++)
		drm_syncobj_replace_fence(syncobjs[i], fence);
	dma_fence_put(fence);
	tv_put_syncobjs(syncobjs, args->out_count);
	args->job = id;
	return 0;

err_job:
	tv_job_put(job);
err_unlock:
	drm_gem_unlock_reservations(job->bos, job->bo_count, &ctx);
err_cleanup:
	drm_sched_job_cleanup(&job->base);
err_suspend:
	pm_runtime_put_autosuspend(tv->dev);
err_syncobjs:
	tv_put_syncobjs(syncobjs, args->out_count);
err_put:
	tv_job_put(job);
	return r;
}

int tv_ioctl_submit(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_triovit_submit *args = data;
	int r, idx;

	r = tv_check_submit(args);
	if (r)
		return r;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	r = tv_submit(to_tv(drm), drm_file, args);
	drm_dev_exit(idx);
	return r;
}
