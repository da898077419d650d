// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers. Write-combined ones are the GEM DMA helper's. The helper knows cached ones only as
 * memory that a device reads; those that the processor reads too are allocated, synced and freed
 * here.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_prime.h>
#include <drm/drm_utils.h>

#include "compat.h"
#include "triovit_drv.h"
#include "triovit_trace.h"

unsigned int tv_memory_mb = 224;
module_param_named(memory_mb, tv_memory_mb, uint, 0444);
MODULE_PARM_DESC(memory_mb, "MiB that all buffers of a device may take");

unsigned int tv_file_memory_mb = 192;
module_param_named(file_memory_mb, tv_file_memory_mb, uint, 0444);
MODULE_PARM_DESC(file_memory_mb, "MiB that the buffers of one open file may take");

/* --- limits --- */

static int tv_charge(struct tv_device *tv, struct tv_file *file, u64 size)
{
	int r = 0;

	spin_lock(&tv->memory_lock);
	if (size > ((u64)tv_memory_mb << 20) - tv->memory ||
	    size > ((u64)tv_file_memory_mb << 20) - file->memory) {
		r = -ENOMEM;
	} else {
		tv->memory += size;
		file->memory += size;
	}
	spin_unlock(&tv->memory_lock);
	return r;
}

static void tv_uncharge(struct tv_device *tv, struct tv_file *file, u64 size)
{
	spin_lock(&tv->memory_lock);
	tv->memory -= size;
	file->memory -= size;
	spin_unlock(&tv->memory_lock);
}

/* --- caches --- */

static enum dma_data_direction tv_direction(u32 access)
{
	if (access == DRM_TRIOVIT_ACCESS_READ)
		return DMA_FROM_DEVICE;
	return access == DRM_TRIOVIT_ACCESS_WRITE ? DMA_TO_DEVICE : DMA_BIDIRECTIONAL;
}

/* The mapping is bidirectional, whatever the processor does this time. */
static void tv_sync(struct tv_bo *bo, bool for_cpu)
{
	struct drm_gem_object *obj = &bo->base.base;
	struct device *dev = obj->dev->dev;
	bool needed = bo->cached && dma_need_sync(dev, bo->base.dma_addr);

	trace_triovit_sync(obj, for_cpu, needed);
	if (!needed)
		return;
	if (for_cpu)
		dma_sync_single_for_cpu(dev, bo->base.dma_addr, obj->size, DMA_BIDIRECTIONAL);
	else
		dma_sync_single_for_device(dev, bo->base.dma_addr, obj->size, DMA_BIDIRECTIONAL);
}

/* 0: not by then. */
static long tv_wait(struct drm_gem_object *obj, bool write, unsigned long timeout)
{
	return dma_resv_wait_timeout(obj->resv, dma_resv_usage_rw(write), true, timeout);
}

/* --- objects --- */

static void tv_bo_free(struct drm_gem_object *obj)
{
	struct tv_bo *bo = to_tv_bo(obj);
	struct tv_device *tv = to_tv(obj->dev);

	if (bo->file) {
		tv_uncharge(tv, bo->file, obj->size);
		tv_file_put(bo->file);
	}
	if (!bo->cached) {
		drm_gem_dma_free(&bo->base);
		return;
	}
	dma_free_noncoherent(tv->dev, obj->size, bo->base.vaddr, bo->base.dma_addr,
			     DMA_BIDIRECTIONAL);
	drm_gem_object_release(obj);
	kfree(bo);
}

static int tv_begin_cpu_access(struct dma_buf *dma_buf, enum dma_data_direction direction)
{
	struct drm_gem_object *obj = dma_buf->priv;
	long r = tv_wait(obj, direction != DMA_FROM_DEVICE, MAX_SCHEDULE_TIMEOUT);

	if (r < 0)
		return r;
	tv_sync(to_tv_bo(obj), true);
	return 0;
}

static int tv_end_cpu_access(struct dma_buf *dma_buf, enum dma_data_direction direction)
{
	tv_sync(to_tv_bo(dma_buf->priv), false);
	return 0;
}

static const struct dma_buf_ops tv_dma_buf_ops = {
	TV_DMA_BUF_MAPPING
	.attach = drm_gem_map_attach,
	.detach = drm_gem_map_detach,
	.map_dma_buf = drm_gem_map_dma_buf,
	.unmap_dma_buf = drm_gem_unmap_dma_buf,
	.release = drm_gem_dmabuf_release,
	.begin_cpu_access = tv_begin_cpu_access,
	.end_cpu_access = tv_end_cpu_access,
	.mmap = drm_gem_dmabuf_mmap,
	.vmap = drm_gem_dmabuf_vmap,
	.vunmap = drm_gem_dmabuf_vunmap,
};

static struct dma_buf *tv_bo_export(struct drm_gem_object *obj, int flags)
{
	struct dma_buf_export_info info = {
		.exp_name = KBUILD_MODNAME,
		.owner = obj->dev->driver->fops->owner,
		.ops = &tv_dma_buf_ops,
		.size = obj->size,
		.flags = flags,
		.priv = obj,
		.resv = obj->resv,
	};

	return drm_gem_dmabuf_export(obj->dev, &info);
}

/* The helper would map what is imported without asking the device whose memory it is. */
static int tv_bo_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	if (obj->import_attach)
		return -EINVAL;
	return drm_gem_dma_mmap(to_drm_gem_dma_obj(obj), vma);
}

static const struct drm_gem_object_funcs tv_bo_funcs = {
	.free = tv_bo_free,
	.export = tv_bo_export,
	.print_info = drm_gem_dma_object_print_info,
	.get_sg_table = drm_gem_dma_object_get_sg_table,
	.vmap = drm_gem_dma_object_vmap,
	.mmap = tv_bo_mmap,
	.vm_ops = &drm_gem_dma_vm_ops,
};

struct drm_gem_object *tv_bo_alloc(struct drm_device *drm, size_t size)
{
	struct tv_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL);

	if (!bo)
		return ERR_PTR(-ENOMEM);
	bo->base.base.funcs = &tv_bo_funcs;
	return &bo->base.base;
}

static struct tv_bo *tv_bo_new_cached(struct tv_device *tv, size_t size)
{
	struct drm_gem_object *obj = tv_bo_alloc(&tv->drm, size);
	struct tv_bo *bo;
	int r;

	if (IS_ERR(obj))
		return ERR_CAST(obj);
	bo = to_tv_bo(obj);
	drm_gem_private_object_init(&tv->drm, obj, size);
	r = drm_gem_create_mmap_offset(obj);
	if (r)
		goto err_release;
	bo->base.vaddr = dma_alloc_noncoherent(tv->dev, size, &bo->base.dma_addr, DMA_BIDIRECTIONAL,
					       GFP_KERNEL | __GFP_NOWARN);
	if (!bo->base.vaddr) {
		r = -ENOMEM;
		goto err_release;
	}
	bo->cached = true;
	/* Has the helper map it as what it is. */
	bo->base.map_noncoherent = true;
	/* Its zeros are in the caches. */
	tv_sync(bo, false);
	return bo;

err_release:
	drm_gem_object_release(obj);
	kfree(bo);
	return ERR_PTR(r);
}

static struct tv_bo *tv_bo_new(struct tv_device *tv, size_t size, u32 flags)
{
	struct drm_gem_dma_object *object;

	if (flags & DRM_TRIOVIT_BO_CACHED)
		return tv_bo_new_cached(tv, size);
	object = drm_gem_dma_create(&tv->drm, size);
	return IS_ERR(object) ? ERR_CAST(object) : to_tv_bo(&object->base);
}

/* --- other devices' --- */

struct drm_gem_object *tv_bo_import(struct drm_device *drm, struct dma_buf *dma_buf)
{
	if (dma_buf->ops == &tv_dma_buf_ops) {
		struct drm_gem_object *obj = dma_buf->priv;

		if (obj->dev == drm) {
			drm_gem_object_get(obj);
			return obj;
		}
	}
	return drm_gem_prime_import(drm, dma_buf);
}

struct drm_gem_object *tv_bo_import_table(struct drm_device *drm,
					  struct dma_buf_attachment *attachment,
					  struct sg_table *table)
{
	if (drm_prime_get_contiguous_size(table) < attachment->dmabuf->size) {
		drm_dbg(drm, "import refused: scattered over %u places, and there is no IOMMU\n",
			table->nents);
		return ERR_PTR(-EINVAL);
	}
	return drm_gem_dma_prime_import_sg_table(drm, attachment, table);
}

/* --- ioctls --- */

int tv_ioctl_bo_create(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct tv_file *file = drm_file->driver_priv;
	struct drm_triovit_bo_create *args = data;
	struct tv_device *tv = to_tv(drm);
	struct tv_bo *bo;
	u64 size;
	int r, idx;

	if (!args->size || args->size > U64_MAX - PAGE_SIZE ||
	    args->flags & ~DRM_TRIOVIT_BO_CACHED || args->handle)
		return -EINVAL;
	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	size = PAGE_ALIGN(args->size);
	r = size > SIZE_MAX ? -ENOMEM : tv_charge(tv, file, size);
	if (r)
		goto err_exit;
	bo = tv_bo_new(tv, size, args->flags);
	if (IS_ERR(bo)) {
		r = PTR_ERR(bo);
		goto err_uncharge;
	}
	tv_file_get(file);
	bo->file = file;
	r = drm_gem_handle_create(drm_file, &bo->base.base, &args->handle);
	/* The handle has it now; or it goes, and what was charged for it. */
	drm_gem_object_put(&bo->base.base);
	drm_dev_exit(idx);
	return r;

err_uncharge:
	tv_uncharge(tv, file, size);
err_exit:
	drm_dev_exit(idx);
	return r;
}

int tv_ioctl_bo_info(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_triovit_bo_info *args = data;
	struct drm_gem_object *obj;
	struct tv_bo *bo;

	if (args->flags || args->size || args->offset)
		return -EINVAL;
	obj = drm_gem_object_lookup(drm_file, args->handle);
	if (!obj)
		return -ENOENT;
	bo = to_tv_bo(obj);
	args->size = obj->size;
	if (bo->cached)
		args->flags |= DRM_TRIOVIT_BO_CACHED;
	if (obj->import_attach)
		args->flags |= DRM_TRIOVIT_BO_IMPORTED;
	else
		args->offset = drm_vma_node_offset_addr(&obj->vma_node);
	drm_gem_object_put(obj);
	return 0;
}

static bool tv_access_valid(u32 access)
{
	return access && !(access & ~(DRM_TRIOVIT_ACCESS_READ | DRM_TRIOVIT_ACCESS_WRITE));
}

int tv_ioctl_bo_prep(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_triovit_bo_prep *args = data;
	struct drm_gem_object *obj;
	long left;
	int r = 0;

	if (!tv_access_valid(args->access))
		return -EINVAL;
	obj = drm_gem_object_lookup(drm_file, args->handle);
	if (!obj)
		return -ENOENT;
	left = tv_wait(obj, args->access & DRM_TRIOVIT_ACCESS_WRITE,
		       drm_timeout_abs_to_jiffies(args->timeout_ns));
	if (left <= 0)
		r = left ? left : -ETIMEDOUT;
	else if (obj->import_attach)
		r = dma_buf_begin_cpu_access(obj->import_attach->dmabuf,
					     tv_direction(args->access));
	else
		tv_sync(to_tv_bo(obj), true);
	drm_gem_object_put(obj);
	return r;
}

int tv_ioctl_bo_fini(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_triovit_bo_fini *args = data;
	struct drm_gem_object *obj;
	int r = 0;

	if (!tv_access_valid(args->access))
		return -EINVAL;
	obj = drm_gem_object_lookup(drm_file, args->handle);
	if (!obj)
		return -ENOENT;
	if (obj->import_attach)
		r = dma_buf_end_cpu_access(obj->import_attach->dmabuf, tv_direction(args->access));
	else
		tv_sync(to_tv_bo(obj), false);
	drm_gem_object_put(obj);
	return r;
}
