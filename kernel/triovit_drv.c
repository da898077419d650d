// SPDX-License-Identifier: GPL-2.0-only
/* Finding an accelerator, and giving it a node. */
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/platform_device.h>
#include <linux/pm_runtime.h>
#include <linux/property.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>
#include <drm/drm_prime.h>

#include "compat.h"
#include "triovit_drv.h"

#define CREATE_TRACE_POINTS
#include "triovit_trace.h"

/* Milliseconds without a job until the clocks stop. */
#define TV_AUTOSUSPEND_MS 50

/* --- ioctls --- */

static int tv_ioctl_get_param(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_triovit_get_param *args = data;
	struct tv_device *tv = to_tv(drm);
	const u32 *capabilities = tv->capabilities;

	if (args->pad || args->value)
		return -EINVAL;
	switch (args->param) {
	case DRM_TRIOVIT_PARAM_CONTRACT:
		args->value = capabilities[TV_REG_VERSION / 4] & 0xffff;
		break;
	case DRM_TRIOVIT_PARAM_TARGET:
		args->value = capabilities[TV_REG_TARGET / 4];
		break;
	case DRM_TRIOVIT_PARAM_GROUPS:
		args->value = capabilities[TV_REG_ENGINES / 4] & 0xffff;
		break;
	case DRM_TRIOVIT_PARAM_EPILOGUE_LANES:
		args->value = capabilities[TV_REG_ENGINES / 4] >> 16;
		break;
	case DRM_TRIOVIT_PARAM_ONCHIP:
		args->value = capabilities[TV_REG_ONCHIP / 4];
		break;
	case DRM_TRIOVIT_PARAM_CLOCK:
		args->value = capabilities[TV_REG_CLOCK / 4];
		break;
	case DRM_TRIOVIT_PARAM_DRAM:
		args->value = capabilities[TV_REG_DRAM / 4];
		break;
	case DRM_TRIOVIT_PARAM_MEMORY:
		args->value = (u64)tv_memory_mb << 20;
		break;
	case DRM_TRIOVIT_PARAM_FILE_MEMORY:
		args->value = (u64)tv_file_memory_mb << 20;
		break;
	case DRM_TRIOVIT_PARAM_RECORDS:
		args->value = TV_RECORDS;
		break;
	case DRM_TRIOVIT_PARAM_COHERENT:
		args->value = device_get_dma_attr(tv->dev) == DEV_DMA_COHERENT;
		break;
	default:
		return -EINVAL;
	}
	return 0;
}

static int tv_ioctl_counters(struct drm_device *drm, void *data, struct drm_file *drm_file)
{
	struct drm_triovit_counters *args = data;
	struct tv_device *tv = to_tv(drm);
	int r, idx;

	if (!drm_dev_enter(drm, &idx))
		return -ENODEV;
	r = tv_wake(tv);
	if (r)
		goto err_exit;
	args->cycles = tv_hw_cycles(tv);
	mutex_lock(&tv->lock);
	args->busy = tv->busy;
	args->jobs = tv->jobs;
	args->faults = tv->faults;
	args->resets = tv->resets;
	mutex_unlock(&tv->lock);
	spin_lock(&tv->memory_lock);
	args->memory = tv->memory;
	spin_unlock(&tv->memory_lock);
	pm_runtime_mark_last_busy(tv->dev);
	pm_runtime_put_autosuspend(tv->dev);
err_exit:
	drm_dev_exit(idx);
	return r;
}

static const struct drm_ioctl_desc tv_ioctls[] = {
	DRM_IOCTL_DEF_DRV(TRIOVIT_GET_PARAM, tv_ioctl_get_param, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(TRIOVIT_BO_CREATE, tv_ioctl_bo_create, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(TRIOVIT_BO_INFO, tv_ioctl_bo_info, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(TRIOVIT_BO_PREP, tv_ioctl_bo_prep, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(TRIOVIT_BO_FINI, tv_ioctl_bo_fini, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(TRIOVIT_SUBMIT, tv_ioctl_submit, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(TRIOVIT_WAIT, tv_ioctl_wait, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(TRIOVIT_COUNTERS, tv_ioctl_counters, DRM_RENDER_ALLOW),
};

/* --- debugfs --- */

#ifdef CONFIG_DEBUG_FS
static int tv_debugfs_state(struct seq_file *m, void *data)
{
	struct drm_info_node *node = m->private;
	struct tv_device *tv = to_tv(node->minor->dev);
	unsigned int reg;

	mutex_lock(&tv->lock);
	seq_printf(m, "on\t%d\ngone\t%d\ntaken\t%u\ntail\t%u\n", tv->on, tv->gone, tv->taken,
		   tv->tail);
	seq_printf(m, "jobs\t%llu\nfaults\t%llu\nresets\t%llu\nbusy\t%llu\n", tv->jobs, tv->faults,
		   tv->resets, tv->busy);
	for (reg = 0; tv->on && reg <= TV_REG_PROGRESS; reg += 4)
		seq_printf(m, "0x%03x\t%08x\n", reg, tv_read(tv, reg));
	mutex_unlock(&tv->lock);
	return 0;
}

static const struct drm_info_list tv_debugfs[] = {
	{ "state", tv_debugfs_state, 0, NULL },
};

static void tv_debugfs_init(struct drm_minor *minor)
{
	drm_debugfs_create_files(tv_debugfs, ARRAY_SIZE(tv_debugfs), minor->debugfs_root, minor);
}
#endif

/* --- the DRM device --- */

/* clang-format off */
static const struct file_operations tv_fops = {
	.owner = THIS_MODULE,
	.open = TV_NODE_OPEN,
	.release = drm_release,
	.unlocked_ioctl = drm_ioctl,
	.compat_ioctl = drm_compat_ioctl,
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	.mmap = drm_gem_mmap,
	TV_NODE_FLAGS
	TV_FOPS_FDINFO
};

static const struct drm_driver tv_drm_driver = {
	.driver_features = TV_NODE_FEATURE | DRIVER_GEM | DRIVER_SYNCOBJ,
	.open = tv_file_open,
	.postclose = tv_file_close,
	.gem_create_object = tv_bo_alloc,
	.gem_prime_import = tv_bo_import,
	.gem_prime_import_sg_table = tv_bo_import_table,
	.ioctls = tv_ioctls,
	.num_ioctls = ARRAY_SIZE(tv_ioctls),
#ifdef CONFIG_DEBUG_FS
	.debugfs_init = tv_debugfs_init,
#endif
	.fops = &tv_fops,
	.name = KBUILD_MODNAME,
	.desc = "EfficientViT accelerator",
	.major = 1,
	TV_DRIVER_DATE
	TV_DRIVER_FDINFO
	TV_PRIME_OPS
};

/* clang-format on */

/* --- reserved memory --- */

/* It goes with the last drm_device of a device: buffers may outlive the driver's being bound, and
 * it may be bound again meanwhile. */
struct tv_pool {
	struct list_head node;
	struct kref refs;
	struct device *dev;
};

static LIST_HEAD(tv_pools);
static DEFINE_MUTEX(tv_pools_lock);

static void tv_pool_free(struct kref *refs)
{
	struct tv_pool *pool = container_of(refs, struct tv_pool, refs);

	of_reserved_mem_device_release(pool->dev);
	put_device(pool->dev);
	list_del(&pool->node);
	kfree(pool);
}

static void tv_pool_put(struct drm_device *drm, void *data)
{
	struct tv_pool *pool = data;

	mutex_lock(&tv_pools_lock);
	kref_put(&pool->refs, tv_pool_free);
	mutex_unlock(&tv_pools_lock);
}

static struct tv_pool *tv_pool_find(struct device *dev)
{
	struct tv_pool *pool;

	list_for_each_entry(pool, &tv_pools, node)
		if (pool->dev == dev)
			return pool;
	return NULL;
}

static int tv_pool_get_locked(struct device *dev, struct tv_pool **ret)
{
	struct tv_pool *pool = tv_pool_find(dev);
	int r;

	if (pool) {
		kref_get(&pool->refs);
		*ret = pool;
		return 0;
	}
	r = of_reserved_mem_device_init(dev);
	/* None: buffers come from the system's contiguous memory. */
	if (r && r != -ENODEV)
		return r;
	pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	if (!pool) {
		of_reserved_mem_device_release(dev);
		return -ENOMEM;
	}
	kref_init(&pool->refs);
	pool->dev = get_device(dev);
	list_add(&pool->node, &tv_pools);
	*ret = pool;
	return 0;
}

static int tv_pool_get(struct tv_device *tv)
{
	struct tv_pool *pool;
	int r;

	mutex_lock(&tv_pools_lock);
	r = tv_pool_get_locked(tv->dev, &pool);
	mutex_unlock(&tv_pools_lock);
	if (r)
		return dev_err_probe(tv->dev, r, "its reserved memory cannot be had\n");
	return drmm_add_action_or_reset(&tv->drm, tv_pool_put, pool);
}

/* --- the platform device --- */

static void tv_locks_destroy(struct drm_device *drm, void *data)
{
	struct tv_device *tv = data;

	mutex_destroy(&tv->lock);
	mutex_destroy(&tv->files_lock);
}

static int tv_get_resources(struct tv_device *tv, struct platform_device *pdev)
{
	struct device *dev = tv->dev;

	tv->regs = devm_platform_ioremap_resource(pdev, 0);
	if (IS_ERR(tv->regs))
		return dev_err_probe(dev, PTR_ERR(tv->regs), "no registers\n");
	tv->irq = platform_get_irq(pdev, 0);
	if (tv->irq < 0)
		return tv->irq;
	tv->clock_count = devm_clk_bulk_get_all(dev, &tv->clocks);
	if (tv->clock_count < 0)
		return dev_err_probe(dev, tv->clock_count, "no clocks\n");
	tv->reset = devm_reset_control_get_optional_exclusive(dev, NULL);
	if (IS_ERR(tv->reset))
		return dev_err_probe(dev, PTR_ERR(tv->reset), "no reset line\n");
	return 0;
}

/* An accelerator without clock or in reset does not answer, and takes the bus with it. */
static int tv_find(struct tv_device *tv)
{
	int r;

	r = clk_bulk_prepare_enable(tv->clock_count, tv->clocks);
	if (r)
		return dev_err_probe(tv->dev, r, "its clocks do not start\n");
	r = reset_control_deassert(tv->reset);
	if (!r)
		r = tv_hw_identify(tv);
	clk_bulk_disable_unprepare(tv->clock_count, tv->clocks);
	return r;
}

static void tv_stop(struct tv_device *tv)
{
	tv_hw_kill(tv);
	tv_sched_stop(tv);
	/* Which may suspend it. */
	pm_runtime_dont_use_autosuspend(tv->dev);
	pm_runtime_disable(tv->dev);
	if (!pm_runtime_status_suspended(tv->dev))
		tv_hw_off(tv);
	pm_runtime_set_suspended(tv->dev);
}

static int tv_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct tv_device *tv;
	int r;

	tv = devm_drm_dev_alloc(dev, &tv_drm_driver, struct tv_device, drm);
	if (IS_ERR(tv))
		return PTR_ERR(tv);
	tv->dev = dev;
	platform_set_drvdata(pdev, tv);
	mutex_init(&tv->lock);
	mutex_init(&tv->files_lock);
	INIT_LIST_HEAD(&tv->files);
	spin_lock_init(&tv->memory_lock);
	r = drmm_add_action_or_reset(&tv->drm, tv_locks_destroy, tv);
	if (r)
		return r;
	r = tv_get_resources(tv, pdev);
	if (r)
		return r;
	r = tv_find(tv);
	if (r)
		return r;
	r = tv_pool_get(tv);
	if (r)
		return r;
	dma_set_max_seg_size(dev, UINT_MAX);
	r = tv_hw_init(tv);
	if (r)
		return r;
	r = devm_request_threaded_irq(dev, tv->irq, tv_hw_irq, tv_hw_irq_thread, IRQF_NO_AUTOEN,
				      KBUILD_MODNAME, tv);
	if (r)
		return dev_err_probe(dev, r, "no interrupt\n");
	r = tv_hw_on(tv);
	if (r)
		return r;
	r = tv_selftest(tv);
	if (r)
		goto err_off;
	r = tv_sched_start(tv);
	if (r)
		goto err_off;
	pm_runtime_set_active(dev);
	pm_runtime_set_autosuspend_delay(dev, TV_AUTOSUSPEND_MS);
	pm_runtime_use_autosuspend(dev);
	pm_runtime_enable(dev);
	r = drm_dev_register(&tv->drm, 0);
	if (r)
		goto err_stop;
	pm_runtime_mark_last_busy(dev);
	pm_request_autosuspend(dev);
	dev_info(dev, "accelerator %u, %u multipliers at %u kHz, %u bytes on chip\n",
		 tv->capabilities[TV_REG_TARGET / 4],
		 (tv->capabilities[TV_REG_ENGINES / 4] & 0xffff) * 128, tv_clock_khz(tv),
		 tv->capabilities[TV_REG_ONCHIP / 4]);
	return 0;

err_stop:
	tv_stop(tv);
	return r;
err_off:
	tv_hw_off(tv);
	return r;
}

void tv_unbind(struct platform_device *pdev)
{
	struct tv_device *tv = platform_get_drvdata(pdev);

	/* Waits for calls that are under way; others find no device. */
	drm_dev_unplug(&tv->drm);
	tv_stop(tv);
}

static void tv_shutdown(struct platform_device *pdev)
{
	tv_hw_kill(platform_get_drvdata(pdev));
}

static int tv_suspend(struct device *dev)
{
	tv_hw_off(dev_get_drvdata(dev));
	return 0;
}

static int tv_resume(struct device *dev)
{
	return tv_hw_on(dev_get_drvdata(dev));
}

static DEFINE_RUNTIME_DEV_PM_OPS(tv_pm, tv_suspend, tv_resume, NULL);

static const struct of_device_id tv_of_match[] = { { .compatible = "triovit,accel-1.0" }, {} };
MODULE_DEVICE_TABLE(of, tv_of_match);

static struct platform_driver tv_driver = {
	.probe = tv_probe,
	.remove = tv_remove,
	.shutdown = tv_shutdown,
	.driver = {
		.name = KBUILD_MODNAME,
		.of_match_table = tv_of_match,
		.pm = pm_ptr(&tv_pm),
	},
};

struct workqueue_struct *tv_workqueue;

static int __init tv_init(void)
{
	int r;

	tv_workqueue = alloc_workqueue(KBUILD_MODNAME, WQ_UNBOUND, 1);
	if (!tv_workqueue)
		return -ENOMEM;
	r = platform_driver_register(&tv_driver);
	if (r)
		destroy_workqueue(tv_workqueue);
	return r;
}
module_init(tv_init);

static void __exit tv_exit(void)
{
	platform_driver_unregister(&tv_driver);
	/* The fences' freeing, which leaves work. */
	rcu_barrier();
	destroy_workqueue(tv_workqueue);
}
module_exit(tv_exit);

TV_IMPORT_DMA_BUF;
MODULE_DESCRIPTION("triovit EfficientViT accelerator");
MODULE_AUTHOR("The triovit authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
