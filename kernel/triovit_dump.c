// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a job was that went wrong, as a device coredump: <triovit/dump.h>, which triovit-sim
 * replays. The copy is made by a work item, since fences wait for who finds the fault; whoever
 * changes the buffers as soon as the job has ended changes what is dumped.
 */
#include <linux/devcoredump.h>
#include <linux/dma-buf.h>
#include <linux/iosys-map.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <drm/drm_gem.h>
#include <drm/drm_prime.h>

#include <triovit/dump.h>

#include "compat.h"
#include "triovit_drv.h"

static bool tv_dump = true;
module_param_named(dump, tv_dump, bool, 0644);
MODULE_PARM_DESC(dump,
		 "keep the next job that goes wrong as a device coredump; then it is cleared");

struct tv_dump {
	struct work_struct work;
	struct tv_job *job;
	struct tv_dump_header header;
	u8 record[TV_COMPLETION_SIZE];
};

/* What lies in a segment; zeros if the buffer cannot be mapped. */
static void tv_dump_segment_bytes(struct tv_job *job, unsigned int segment, u8 *ret)
{
	const struct tv_segment *from = &job->descriptor.segment[segment];
	struct drm_gem_object *obj = job->segments[segment];
	struct drm_gem_dma_object *dma = to_drm_gem_dma_obj(obj);
	size_t offset = from->base - dma->dma_addr;
	struct iosys_map map;

	if (!obj->import_attach) {
		memcpy(ret, dma->vaddr + offset, from->size);
		return;
	}
	if (dma_buf_vmap_unlocked(obj->import_attach->dmabuf, &map))
		return;
	iosys_map_memcpy_from(ret, &map, offset, from->size);
	dma_buf_vunmap_unlocked(obj->import_attach->dmabuf, &map);
}

static void tv_dump_work(struct work_struct *work)
{
	struct tv_dump *dump = container_of(work, struct tv_dump, work);
	struct tv_job *job = dump->job;
	struct device *dev = job->tv->dev;
	size_t size = tv_dump_segment(&job->descriptor, TV_SEGMENT_COUNT);
	unsigned int i;
	u8 *bytes;

	bytes = __vmalloc(size, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN | __GFP_NORETRY);
	if (bytes) {
		tv_encode_dump_header(&dump->header, bytes);
		tv_encode_descriptor(&job->descriptor, bytes + TV_DUMP_DESCRIPTOR);
		memcpy(bytes + TV_DUMP_RECORD, dump->record, sizeof(dump->record));
		for (i = 0; i < TV_SEGMENT_COUNT; i++)
			if (job->segments[i])
				tv_dump_segment_bytes(job, i,
						      bytes + tv_dump_segment(&job->descriptor, i));
		dev_coredumpv(dev, bytes, size, GFP_KERNEL);
	} else {
		dev_warn(dev, "no memory for a dump of %zu bytes\n", size);
	}
	tv_job_put(job);
	kfree(dump);
}

void tv_dump_job(struct tv_job *job, int status, const struct tv_completion *completion)
{
	struct tv_device *tv = job->tv;
	struct tv_dump *dump;
	unsigned int i;

	if (!tv_dump)
		return;
	dump = kzalloc(sizeof(*dump), GFP_NOWAIT | __GFP_NOWARN);
	if (!dump)
		return;
	tv_dump = false;
	dump->header = (struct tv_dump_header){
		.magic = TV_DUMP_MAGIC,
		.version = TV_DUMP_VERSION,
		.status = status,
		.recorded = !!completion,
		.watchdog = tv_read(tv, TV_REG_WATCHDOG),
	};
	for (i = 0; i < TV_DUMP_REGISTERS; i++)
		dump->header.registers[i] = tv_read(tv, 4 * i);
	if (completion)
		tv_encode_completion(completion, dump->record);
	kref_get(&job->refs);
	dump->job = job;
	INIT_WORK(&dump->work, tv_dump_work);
	queue_work(tv_workqueue, &dump->work);
}
