// SPDX-License-Identifier: GPL-2.0-only
/* The golden job: one that answers registers but does not compute is found before anybody relies on
 * it. */
#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include <triovit/golden.h>

#include "triovit_drv.h"

/* All segments, one after the other. */
static const u32 tv_golden_sizes[] = {
	[TV_SEGMENT_PROGRAM] = TV_GOLDEN_PROGRAM_SIZE,
	[TV_SEGMENT_WEIGHTS] = TV_GOLDEN_WEIGHTS_SIZE,
	[TV_SEGMENT_INPUT] = TV_GOLDEN_INPUT_SIZE,
	[TV_SEGMENT_OUTPUT] = TV_GOLDEN_OUTPUT_SIZE,
	[TV_SEGMENT_SCRATCH] = TV_GOLDEN_SCRATCH_SIZE,
};

static size_t tv_place(dma_addr_t base, struct tv_descriptor *job, size_t *at)
{
	size_t end = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tv_golden_sizes); i++) {
		at[i] = end;
		job->segment[i].base = base + end;
		job->segment[i].size = tv_golden_sizes[i];
		job->segment[i].rights = i < TV_SEGMENT_OUTPUT ? TV_SEGMENT_READ :
								 TV_SEGMENT_READ | TV_SEGMENT_WRITE;
		end += ALIGN(tv_golden_sizes[i], TV_SEGMENT_ALIGNMENT);
	}
	return end;
}

/* The builder writes bytes and reads them back: in ordinary memory, then over. */
static int tv_build(struct tv_device *tv, u8 *memory, const size_t *at, size_t size)
{
	u8 *copy = kzalloc(size, GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	tv_golden_build(tv->capabilities[TV_REG_TARGET / 4], copy + at[TV_SEGMENT_PROGRAM],
			copy + at[TV_SEGMENT_WEIGHTS], copy + at[TV_SEGMENT_INPUT]);
	memcpy(memory, copy, size);
	kfree(copy);
	return 0;
}

static int tv_judge(struct tv_device *tv, const struct tv_completion *completion, const u8 *output)
{
	u64 digest = tv_golden_digest(output);

	if (completion->fault) {
		dev_err(tv->dev, "self-test: fault %u at command %u, segment %u, offset %u\n",
			completion->fault, completion->command, completion->segment,
			completion->offset);
		return -EIO;
	}
	if (digest != TV_GOLDEN_DIGEST) {
		dev_err(tv->dev, "self-test: wrong results, digest %016llx instead of %016llx\n",
			digest, TV_GOLDEN_DIGEST);
		return -EIO;
	}
	return 0;
}

int tv_selftest(struct tv_device *tv)
{
	size_t at[ARRAY_SIZE(tv_golden_sizes)], size;
	struct tv_descriptor job = { .job = 0 };
	struct tv_completion completion;
	dma_addr_t base;
	u8 *memory;
	int r;

	size = tv_place(0, &job, at);
	memory = dma_alloc_coherent(tv->dev, size, &base, GFP_KERNEL);
	if (!memory)
		return -ENOMEM;
	r = tv_build(tv, memory, at, size);
	if (r)
		goto err_free;
	tv_place(base, &job, at);
	r = tv_hw_run(tv, &job, &completion);
	if (r)
		dev_err(tv->dev, "self-test: the golden job does not end\n");
	else
		r = tv_judge(tv, &completion, memory + at[TV_SEGMENT_OUTPUT]);
err_free:
	dma_free_coherent(tv->dev, size, memory, base);
	return r;
}
