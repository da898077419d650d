/* SPDX-License-Identifier: GPL-2.0-only */
/* All that differs between the kernels that this driver builds for, 6.1 to the newest. */
#ifndef TRIOVIT_COMPAT_H
#define TRIOVIT_COMPAT_H

#include <linux/platform_device.h>
#include <linux/seq_file.h>
#include <linux/version.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_print.h>
#include <drm/gpu_scheduler.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#include <drm/drm_accel.h>
#endif

/* --- the node: /dev/accel where there is one, else /dev/dri/renderD --- */

#if IS_ENABLED(CONFIG_DRM_ACCEL)
#define TV_NODE_FEATURE DRIVER_COMPUTE_ACCEL
#define TV_NODE_OPEN	accel_open
#else
#define TV_NODE_FEATURE DRIVER_RENDER
#define TV_NODE_OPEN	drm_open
#endif

#ifdef FOP_UNSIGNED_OFFSET
#define TV_NODE_FLAGS .fop_flags = FOP_UNSIGNED_OFFSET,
#else
#define TV_NODE_FLAGS
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define TV_PRIME_OPS
#else
#define TV_PRIME_OPS                                                                               \
	.prime_handle_to_fd = drm_gem_prime_handle_to_fd,                                          \
	.prime_fd_to_handle = drm_gem_prime_fd_to_handle, .gem_prime_mmap = drm_gem_prime_mmap,
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
#define TV_DRIVER_DATE
#else
#define TV_DRIVER_DATE .date = "20250101",
#endif

/* --- the platform bus: remove() returned something once --- */

void tv_unbind(struct platform_device *pdev);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
#define tv_remove tv_unbind
#else
static inline int tv_remove(struct platform_device *pdev)
{
	tv_unbind(pdev);
	return 0;
}
#endif

/* --- the system's workqueue, which got another name --- */

#ifndef TV_PERCPU_WQ
#define system_percpu_wq system_wq
#endif

/* --- dma-buf --- */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define TV_IMPORT_DMA_BUF MODULE_IMPORT_NS("DMA_BUF")
#else
#define TV_IMPORT_DMA_BUF MODULE_IMPORT_NS(DMA_BUF)
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define dma_buf_vmap_unlocked	dma_buf_vmap
#define dma_buf_vunmap_unlocked dma_buf_vunmap
#endif

/* It may keep the mapping of an attachment; later ones have no such thing. */
#ifdef TV_DMA_BUF_CACHES
#define TV_DMA_BUF_MAPPING .cache_sgt_mapping = true,
#else
#define TV_DMA_BUF_MAPPING
#endif

/* --- fdinfo: before 6.5 each driver writes it all --- */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#define TV_FOPS_FDINFO	 .show_fdinfo = drm_show_fdinfo,
#define TV_DRIVER_FDINFO .show_fdinfo = tv_file_show,
#else
void tv_file_show(struct drm_printer *p, struct drm_file *drm_file);
u64 tv_file_id(const struct drm_file *drm_file);

static inline void tv_show_fdinfo(struct seq_file *m, struct file *f)
{
	struct drm_file *drm_file = f->private_data;
	struct drm_printer p = drm_seq_file_printer(m);

	drm_printf(&p, "drm-driver:\t%s\n", drm_file->minor->dev->driver->name);
	drm_printf(&p, "drm-client-id:\t%llu\n", tv_file_id(drm_file));
	tv_file_show(&p, drm_file);
}

#define TV_FOPS_FDINFO .show_fdinfo = tv_show_fdinfo,
#define TV_DRIVER_FDINFO
#endif

/* --- the scheduler --- */

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define TV_SCHED_LOW DRM_SCHED_PRIORITY_LOW
#else
#define TV_SCHED_LOW DRM_SCHED_PRIORITY_MIN
#endif

/* Without a timeout: triovit_hw.c looks after jobs itself. */
static inline int tv_sched_init(struct drm_gpu_scheduler *sched,
				const struct drm_sched_backend_ops *ops, u32 jobs,
				struct device *dev)
{
#ifdef TV_SCHED_INIT_ARGS
	const struct drm_sched_init_args args = {
		.ops = ops,
#ifdef TV_SCHED_CREDITS
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
#endif
		.credit_limit = jobs,
		.timeout = MAX_SCHEDULE_TIMEOUT,
		.name = "triovit",
		.dev = dev,
	};

	return drm_sched_init(sched, &args);
#elif defined(TV_SCHED_CREDITS)
	return drm_sched_init(sched, ops, NULL, DRM_SCHED_PRIORITY_COUNT, jobs, 0,
			      MAX_SCHEDULE_TIMEOUT, NULL, NULL, "triovit", dev);
#else
	return drm_sched_init(sched, ops, jobs, 0, MAX_SCHEDULE_TIMEOUT, NULL, NULL, "triovit",
			      dev);
#endif
}

static inline int tv_sched_job_init(struct drm_sched_job *job, struct drm_sched_entity *entity,
				    void *owner, struct drm_file *file)
{
#if defined(TV_SCHED_CLIENT_ID)
	return drm_sched_job_init(job, entity, 1, owner, file->client_id);
#elif defined(TV_SCHED_CREDITS)
	return drm_sched_job_init(job, entity, 1, owner);
#else
	return drm_sched_job_init(job, entity, owner);
#endif
}

#endif
