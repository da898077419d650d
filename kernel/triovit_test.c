// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what in the driver needs no hardware: checks of arguments, limits, records, ring
 * arithmetic. A module of its own, "make TRIOVIT_TEST=m", with the driver's code in it but for the
 * platform device; registers are ordinary memory. It cannot be loaded beside triovit.ko.
 */
#include <kunit/device.h>
#include <kunit/test.h>

#define CREATE_TRACE_POINTS
#include "triovit_trace.h"
#undef CREATE_TRACE_POINTS

#include "triovit_bo.c"
#include "triovit_dump.c"
#include "triovit_file.c"
#include "triovit_hw.c"
#include "triovit_job.c"
#include "triovit_selftest.c"
#include "triovit_submit.c"

/* The platform device's, and not used. */
struct workqueue_struct *tv_workqueue;

#define FIRST_LIMIT 16ull /* MiB, of a file */
#define BOTH_LIMIT  24ull /* MiB, of all */

static struct tv_device *test_device(struct kunit *test)
{
	struct tv_device *tv = kunit_kzalloc(test, sizeof(*tv), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, tv);
	tv->regs = (void __iomem __force *)kunit_kzalloc(test, TV_REG_WINDOW, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, (void __force *)tv->regs);
	tv->rings = kunit_kzalloc(test, TV_RINGS_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tv->rings);
	mutex_init(&tv->lock);
	spin_lock_init(&tv->memory_lock);
	return tv;
}

static struct tv_file *test_file(struct kunit *test, struct tv_device *tv)
{
	struct tv_file *file = kunit_kzalloc(test, sizeof(*file), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, file);
	file->results = kunit_kcalloc(test, TV_RECORDS, sizeof(*file->results), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, file->results);
	file->tv = tv;
	spin_lock_init(&file->lock);
	init_waitqueue_head(&file->done);
	return file;
}

/* --- arguments --- */

#define EXPECT_REFUSED(call, change, undo)                                                         \
	do {                                                                                       \
		change;                                                                            \
		KUNIT_EXPECT_EQ_MSG(test, call, -EINVAL, "%s", #change);                           \
		undo;                                                                              \
	} while (0)

static void submit_arguments(struct kunit *test)
{
	const struct drm_triovit_submit good = { .segment_count = 1 };
	struct drm_triovit_submit args = good;

#define REFUSED(change) EXPECT_REFUSED(tv_check_submit(&args), args.change, args = good)
	KUNIT_EXPECT_EQ(test, tv_check_submit(&args), 0);
	REFUSED(flags = 1);
	REFUSED(flags = 1u << 31);
	REFUSED(job = 1);
	REFUSED(job = 1ull << 63);
	REFUSED(deadline_ns = -1);
	REFUSED(deadline_ns = S64_MIN);
	REFUSED(priority = TV_PRIORITIES);
	REFUSED(priority = U32_MAX);
	REFUSED(segment_count = 0);
	REFUSED(segment_count = DRM_TRIOVIT_SEGMENTS + 1);
	REFUSED(segment_count = U32_MAX);
	REFUSED(in_count = DRM_TRIOVIT_SYNCOBJS_MAX + 1);
	REFUSED(out_count = DRM_TRIOVIT_SYNCOBJS_MAX + 1);
#undef REFUSED
	args.segment_count = DRM_TRIOVIT_SEGMENTS;
	args.in_count = DRM_TRIOVIT_SYNCOBJS_MAX;
	args.out_count = DRM_TRIOVIT_SYNCOBJS_MAX;
	args.deadline_ns = S64_MAX;
	/* Tests run in a kernel thread, which may. */
	args.priority = DRM_TRIOVIT_PRIORITY_HIGH;
	KUNIT_EXPECT_EQ(test, tv_check_submit(&args), 0);
}

static void segment_fields(struct kunit *test)
{
	const struct drm_triovit_segment good = { .handle = 1, .rights = 1, .size = 1 }, none = {};
	struct drm_triovit_segment segment = good;
	unsigned int i;

	for (i = 0; i < TV_SEGMENT_COUNT; i++) {
#define REFUSED(change)                                                                            \
	EXPECT_REFUSED(tv_check_segment(&segment, i), segment.change, segment = good)
		KUNIT_EXPECT_EQ(test, tv_check_segment(&good, i), 0);
		REFUSED(rights = 0);
		REFUSED(rights = 4);
		REFUSED(rights = 1u << 31 | 1);
		REFUSED(offset = 1);
		REFUSED(offset = TV_SEGMENT_ALIGNMENT / 2);
		REFUSED(size = 1ull << 32);
		REFUSED(size = U64_MAX);
		/* Absent, but not all of it. */
		REFUSED(size = 0);
#undef REFUSED
		KUNIT_EXPECT_EQ(test, tv_check_segment(&none, i), i ? 0 : -EINVAL);
		segment = (struct drm_triovit_segment){ .handle = 1 };
		KUNIT_EXPECT_EQ(test, tv_check_segment(&segment, i), -EINVAL);
		segment = (struct drm_triovit_segment){ .rights = 1 };
		KUNIT_EXPECT_EQ(test, tv_check_segment(&segment, i), -EINVAL);
		segment = (struct drm_triovit_segment){ .offset = TV_SEGMENT_ALIGNMENT };
		KUNIT_EXPECT_EQ(test, tv_check_segment(&segment, i), -EINVAL);
		/* Only the program is never written. */
		segment = (struct drm_triovit_segment){ .rights = 3, .size = U32_MAX };
		KUNIT_EXPECT_EQ(test, tv_check_segment(&segment, i), i ? 0 : -EINVAL);
		segment.rights = DRM_TRIOVIT_SEGMENT_WRITE;
		KUNIT_EXPECT_EQ(test, tv_check_segment(&segment, i), i ? 0 : -EINVAL);
		segment = good;
	}
}

static void access_bits(struct kunit *test)
{
	u32 access;

	for (access = 0; access < 16; access++)
		KUNIT_EXPECT_EQ(test, tv_access_valid(access), access >= 1 && access <= 3);
	KUNIT_EXPECT_FALSE(test, tv_access_valid(1u << 31 | 1));
	KUNIT_EXPECT_EQ(test, tv_direction(DRM_TRIOVIT_ACCESS_READ), DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(test, tv_direction(DRM_TRIOVIT_ACCESS_WRITE), DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, tv_direction(DRM_TRIOVIT_ACCESS_READ | DRM_TRIOVIT_ACCESS_WRITE),
			DMA_BIDIRECTIONAL);
}

static void buffer_arguments(struct kunit *test)
{
	const struct drm_triovit_bo_create good = { .size = 1 };
	struct drm_triovit_bo_create args = good;
	struct tv_device *tv = test_device(test);
	struct drm_file file = {};

#define REFUSED(change)                                                                            \
	EXPECT_REFUSED(tv_ioctl_bo_create(&tv->drm, &args, &file), args.change, args = good)
	REFUSED(size = 0);
	REFUSED(size = ULONG_MAX);
	REFUSED(size = ULONG_MAX - PAGE_SIZE + 1);
	REFUSED(flags = DRM_TRIOVIT_BO_IMPORTED);
	REFUSED(flags = 1u << 31 | DRM_TRIOVIT_BO_CACHED);
	REFUSED(handle = 1);
#undef REFUSED
}

/* --- segments --- */

/* Two buffers of two pages with handles 1 and 2. */
struct test_buffers {
	struct drm_file file;
	struct tv_bo bos[2];
};

static struct test_buffers *test_buffers(struct kunit *test)
{
	struct test_buffers *buffers = kunit_kzalloc(test, sizeof(*buffers), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, buffers);
	spin_lock_init(&buffers->file.table_lock);
	idr_init_base(&buffers->file.object_idr, 1);
	for (i = 0; i < ARRAY_SIZE(buffers->bos); i++) {
		kref_init(&buffers->bos[i].base.base.refcount);
		buffers->bos[i].base.base.size = 2 * PAGE_SIZE;
		buffers->bos[i].base.dma_addr = 0xff00000000 + 16 * i * PAGE_SIZE;
		KUNIT_ASSERT_EQ(test, i + 1,
				idr_alloc(&buffers->file.object_idr, &buffers->bos[i].base.base, 1,
					  0, GFP_KERNEL));
	}
	return buffers;
}

static unsigned int test_references(const struct test_buffers *buffers, unsigned int i)
{
	return kref_read(&buffers->bos[i].base.base.refcount);
}

static void segment_bounds(struct kunit *test)
{
	/* Bytes from the beginning of two pages. */
	static const struct {
		u64 offset, size;
		int r;
	} cases[] = {
		{ 0, 1, 0 },
		{ 0, 2 * PAGE_SIZE, 0 },
		{ 0, 2 * PAGE_SIZE + 1, -EINVAL },
		{ PAGE_SIZE, PAGE_SIZE, 0 },
		{ PAGE_SIZE, PAGE_SIZE + 1, -EINVAL },
		{ 2 * PAGE_SIZE - 64, 64, 0 },
		{ 2 * PAGE_SIZE - 64, 65, -EINVAL },
		{ 2 * PAGE_SIZE, 1, -EINVAL },
		{ 2 * PAGE_SIZE + 64, U32_MAX, -EINVAL },
		{ U64_MAX - 63, 64, -EINVAL },
		{ U64_MAX - 63, U32_MAX, -EINVAL },
	};
	struct test_buffers *buffers = test_buffers(test);
	struct tv_job *job = kunit_kzalloc(test, sizeof(*job), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, job);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct drm_triovit_segment from = { 1, 1, cases[i].offset, cases[i].size };
		const struct tv_segment *to = &job->descriptor.segment[3];

		memset(job, 0, sizeof(*job));
		KUNIT_EXPECT_EQ_MSG(test, tv_add_segment(job, &buffers->file, &from, 3), cases[i].r,
				    "offset %llu, size %llu", from.offset, from.size);
		/* The job has it either way, and lets it go. */
		KUNIT_EXPECT_EQ(test, job->bo_count, 1);
		KUNIT_EXPECT_EQ(test, test_references(buffers, 0), 2 + i);
		if (cases[i].r)
			continue;
		KUNIT_EXPECT_EQ(test, to->base, 0xff00000000 + from.offset);
		KUNIT_EXPECT_EQ(test, to->size, from.size);
		KUNIT_EXPECT_EQ(test, to->rights, TV_SEGMENT_READ);
	}
	idr_destroy(&buffers->file.object_idr);
}

static void segment_buffers(struct kunit *test)
{
	struct drm_triovit_segment from = { 1, 1, 0, 64 };
	struct test_buffers *buffers = test_buffers(test);
	struct tv_job *job = kunit_kzalloc(test, sizeof(*job), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, job);
	KUNIT_EXPECT_EQ(test, tv_add_segment(job, &buffers->file, &from, 0), 0);
	KUNIT_EXPECT_EQ(test, tv_add_segment(job, &buffers->file, &from, 1), 0);
	from.handle = 2;
	KUNIT_EXPECT_EQ(test, tv_add_segment(job, &buffers->file, &from, 2), 0);
	from.handle = 1;
	from.rights = DRM_TRIOVIT_SEGMENT_WRITE;
	from.offset = 64;
	KUNIT_EXPECT_EQ(test, tv_add_segment(job, &buffers->file, &from, 3), 0);
	/* Each once. */
	KUNIT_EXPECT_EQ(test, job->bo_count, 2);
	KUNIT_EXPECT_PTR_EQ(test, job->bos[0], &buffers->bos[0].base.base);
	KUNIT_EXPECT_PTR_EQ(test, job->bos[1], &buffers->bos[1].base.base);
	KUNIT_EXPECT_EQ(test, test_references(buffers, 0), 2);
	KUNIT_EXPECT_EQ(test, test_references(buffers, 1), 2);
	KUNIT_EXPECT_TRUE(test, job->writes[0]);
	KUNIT_EXPECT_FALSE(test, job->writes[1]);
	from.handle = 3;
	KUNIT_EXPECT_EQ(test, tv_add_segment(job, &buffers->file, &from, 4), -ENOENT);
	KUNIT_EXPECT_EQ(test, job->bo_count, 2);
	/* Another device's may begin anywhere. */
	buffers->bos[1].base.dma_addr += 32;
	from.handle = 2;
	KUNIT_EXPECT_EQ(test, tv_add_segment(job, &buffers->file, &from, 4), -EINVAL);
	idr_destroy(&buffers->file.object_idr);
}

static void overlaps(struct kunit *test)
{
	static const struct {
		u64 base;
		u32 size;
		int r; /* with 1000 .. 1fff */
	} cases[] = {
		{ 0x2000, 0x1000, 0 },
		{ 0x1fc0, 0x1000, -EINVAL },
		{ 0, 0x1000, 0 },
		{ 0, 0x1001, -EINVAL },
		{ 0x1040, 1, -EINVAL },
		{ 0, 0x8000, -EINVAL },
		{ 0x1000, 0x1000, -EINVAL },
		{ 0x1040, 0, 0 },
		{ 0, U32_MAX, -EINVAL },
		{ 0xfffffff000, U32_MAX, 0 },
	};
	struct tv_descriptor job = {};
	unsigned int i, rights;

	job.segment[5] = (struct tv_segment){ .base = 0x1000, .size = 0x1000 };
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (rights = 0; rights < 16; rights++) {
			/* Nothing overlaps unless one of the two is written. */
			bool writes = rights & (TV_SEGMENT_WRITE | TV_SEGMENT_WRITE << 2);
			int expected = 0;

			if (writes)
				expected = cases[i].r;
			job.segment[5].rights = rights & 3;
			job.segment[i % 5] = (struct tv_segment){
				.base = cases[i].base,
				.size = cases[i].size,
				.rights = rights >> 2,
			};
			KUNIT_EXPECT_EQ_MSG(test, tv_check_overlaps(&job), expected,
					    "base %llx, size %x, rights %u", cases[i].base,
					    cases[i].size, rights);
		}
		job.segment[i % 5] = (struct tv_segment){};
	}
}

/* --- limits and records --- */

static void limits(struct kunit *test)
{
	struct tv_device *tv = test_device(test);
	struct tv_file *first = test_file(test, tv), *second = test_file(test, tv);
	const unsigned int file_mb = tv_file_memory_mb, all_mb = tv_memory_mb;
	const u64 mb = 1 << 20;

	tv_file_memory_mb = FIRST_LIMIT;
	tv_memory_mb = BOTH_LIMIT;
	KUNIT_EXPECT_EQ(test, tv_charge(tv, first, FIRST_LIMIT * mb + 1), -ENOMEM);
	KUNIT_EXPECT_EQ(test, tv_charge(tv, first, U64_MAX), -ENOMEM);
	KUNIT_EXPECT_EQ(test, tv_charge(tv, first, FIRST_LIMIT * mb), 0);
	KUNIT_EXPECT_EQ(test, tv_charge(tv, first, 1), -ENOMEM);
	KUNIT_EXPECT_EQ(test, tv_charge(tv, first, U64_MAX - FIRST_LIMIT * mb + 1), -ENOMEM);
	/* What is left of all. */
	KUNIT_EXPECT_EQ(test, tv_charge(tv, second, 8 * mb + 1), -ENOMEM);
	KUNIT_EXPECT_EQ(test, tv_charge(tv, second, 8 * mb), 0);
	KUNIT_EXPECT_EQ(test, tv_charge(tv, second, 1), -ENOMEM);
	KUNIT_EXPECT_EQ(test, tv->memory, BOTH_LIMIT * mb);
	tv_uncharge(tv, first, mb);
	KUNIT_EXPECT_EQ(test, tv_charge(tv, second, mb), 0);
	tv_uncharge(tv, second, 9 * mb);
	tv_uncharge(tv, first, (FIRST_LIMIT - 1) * mb);
	KUNIT_EXPECT_EQ(test, tv->memory, 0);
	KUNIT_EXPECT_EQ(test, first->memory, 0);
	KUNIT_EXPECT_EQ(test, second->memory, 0);
	/* As large as the parameters can be. */
	tv_file_memory_mb = UINT_MAX;
	tv_memory_mb = UINT_MAX;
	KUNIT_EXPECT_EQ(test, tv_charge(tv, first, (u64)UINT_MAX << 20), 0);
	KUNIT_EXPECT_EQ(test, tv_charge(tv, first, 1), -ENOMEM);
	tv_file_memory_mb = file_mb;
	tv_memory_mb = all_mb;
}

static void records(struct kunit *test)
{
	struct tv_file *file = test_file(test, test_device(test));
	const struct tv_completion completion = {
		.fault = 3,
		.segment = 4,
		.offset = 5,
		.command = 6,
		.executed = 7,
		.start = 100,
		.end = 350,
	};
	struct drm_triovit_record record;
	u64 job, i;

	KUNIT_EXPECT_EQ(test, tv_file_result(file, 0, &record), -ENOENT);
	KUNIT_EXPECT_EQ(test, tv_file_result(file, 1, &record), -ENOENT);
	for (i = 1; i <= TV_RECORDS; i++) {
		KUNIT_ASSERT_EQ(test, tv_file_begin(file, &job), 0);
		KUNIT_ASSERT_EQ(test, job, i);
		KUNIT_EXPECT_EQ(test, tv_file_result(file, job, &record), 0);
	}
	/* Each place is in use; the next one's is the first's. */
	KUNIT_EXPECT_EQ(test, tv_file_begin(file, &job), -EAGAIN);
	tv_file_end(file, 2, 0, NULL);
	KUNIT_EXPECT_EQ(test, tv_file_begin(file, &job), -EAGAIN);
	tv_file_end(file, 1, -EIO, &completion);
	KUNIT_EXPECT_EQ(test, tv_file_result(file, 1, &record), 1);
	KUNIT_EXPECT_EQ(test, record.status, -EIO);
	KUNIT_EXPECT_EQ(test, record.fault, 3);
	KUNIT_EXPECT_EQ(test, record.segment, 4);
	KUNIT_EXPECT_EQ(test, record.offset, 5);
	KUNIT_EXPECT_EQ(test, record.command, 6);
	KUNIT_EXPECT_EQ(test, record.executed, 7);
	KUNIT_EXPECT_EQ(test, file->busy, 250);
	KUNIT_EXPECT_EQ(test, tv_file_result(file, 2, &record), 1);
	KUNIT_EXPECT_EQ(test, record.command, TV_RECORD_NO_COMMAND);
	KUNIT_EXPECT_EQ(test, record.segment, TV_SEGMENT_NONE);
	KUNIT_EXPECT_EQ(test, file->busy, 250);
	KUNIT_EXPECT_EQ(test, tv_file_begin(file, &job), 0);
	KUNIT_EXPECT_EQ(test, job, TV_RECORDS + 1);
	KUNIT_EXPECT_EQ(test, tv_file_result(file, 1, &record), -ENOENT);
	KUNIT_EXPECT_EQ(test, tv_file_result(file, 2, &record), 1);
	KUNIT_EXPECT_EQ(test, tv_file_result(file, TV_RECORDS + 2, &record), -ENOENT);
}

static void usage(struct kunit *test)
{
	struct tv_device *tv = test_device(test);
	struct tv_file *file = test_file(test, tv);
	struct drm_file drm_file = { .driver_priv = file };
	char text[128];
	struct drm_print_iterator iterator = { .data = text, .remain = sizeof(text) - 1 };
	struct drm_printer p;

	/* Hours of a clock that divides nothing. */
	tv->capabilities[TV_REG_CLOCK / 4] = 187499;
	file->busy = 187499ull * 3600 * 1000 * 5 + 187;
	file->memory = 3 << 10;
	memset(text, 0, sizeof(text));
	p = drm_coredump_printer(&iterator);
	tv_file_show(&p, &drm_file);
	KUNIT_EXPECT_STREQ(test, text,
			   "drm-engine-triovit:\t18000000000997 ns\ndrm-memory-memory:\t3 KiB\n");
}

/* --- registers and rings --- */

static void test_record(struct tv_device *tv, u32 index, unsigned int fault)
{
	const struct tv_completion completion = { .fault = fault, .start = 10, .end = 17 };

	tv_encode_completion(&completion, (u8 *)tv_record_at(tv, index));
}

static void ring_arithmetic(struct kunit *test)
{
	/* Counters wrap; what the accelerator says of where it is may be anything. */
	static const struct {
		u32 taken, tail, head, after;
	} cases[] = {
		{ 0, 0, 0, 0 },
		{ 0, 0, 1, 0 },
		{ 0, 4, 4, 4 },
		{ 0, 4, 1, 1 },
		{ 0, 4, 5, 0 },
		{ 0, 4, U32_MAX, 0 },
		{ 15, 18, 17, 17 },
		{ 7, 9, 6, 7 },
		{ U32_MAX - 1, 2, U32_MAX, U32_MAX },
		{ U32_MAX - 1, 2, 1, 1 },
		{ U32_MAX - 1, 2, 2, 2 },
		{ U32_MAX - 1, 2, 3, U32_MAX - 1 },
		{ U32_MAX - 1, 2, U32_MAX - 2, U32_MAX - 1 },
		{ U32_MAX, U32_MAX, U32_MAX, U32_MAX },
	};
	struct tv_device *tv = test_device(test);
	unsigned int i;
	u64 jobs = 0;

	for (i = 0; i < TV_RING_ENTRIES; i++)
		test_record(tv, i, TV_FAULT_NONE);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		tv->taken = cases[i].taken;
		tv->tail = cases[i].tail;
		tv_write(tv, TV_REG_HEAD, cases[i].head);
		tv_take(tv);
		KUNIT_EXPECT_EQ_MSG(test, tv->taken, cases[i].after, "case %u", i);
		jobs += cases[i].after - cases[i].taken;
	}
	KUNIT_EXPECT_EQ(test, tv->jobs, jobs);
	KUNIT_EXPECT_EQ(test, tv->busy, 7 * jobs);
	KUNIT_EXPECT_EQ(test, tv->faults, 0);
	test_record(tv, 3, TV_FAULT_BUS);
	tv->taken = 2;
	tv->tail = 5;
	tv_write(tv, TV_REG_HEAD, 5);
	tv_take(tv);
	KUNIT_EXPECT_EQ(test, tv->faults, 1);
	tv->tail = 9;
	tv_give_up(tv);
	KUNIT_EXPECT_EQ(test, tv->taken, 9);
	KUNIT_EXPECT_EQ(test, tv->jobs, jobs + 7);
	KUNIT_EXPECT_TRUE(test, tv->gone);
}

static void ring_entries(struct kunit *test)
{
	struct tv_device *tv = test_device(test);
	struct tv_descriptor descriptor = {}, read;
	u32 i;

	tv->tail = U32_MAX - 20;
	tv->on = true;
	for (i = 0; i < 2 * TV_RING_ENTRIES + 3; i++) {
		const u8 *at = tv_descriptor_at(tv, tv->tail);

		tv->on = i != 5;
		descriptor.job = i;
		tv_queue(tv, &descriptor);
		KUNIT_ASSERT_EQ(test, tv_decode_descriptor(at, &read), 0);
		KUNIT_EXPECT_EQ(test, read.job, i);
		/* Without clocks nothing may be written. */
		KUNIT_EXPECT_EQ(test, tv_read(tv, TV_REG_TAIL), tv->tail - !tv->on);
		KUNIT_EXPECT_LE(test, (u32)(at - tv->rings),
				(TV_RING_ENTRIES - 1) * TV_DESCRIPTOR_SIZE);
		KUNIT_EXPECT_LE(test, (u32)(tv_record_at(tv, tv->tail) - tv->rings),
				TV_RINGS_SIZE - TV_COMPLETION_SIZE);
	}
}

static void start(struct kunit *test)
{
	struct tv_device *tv = test_device(test);
	const unsigned int job_ms = tv_job_ms;

	tv->rings_dma = 0x12fffff000;
	tv->taken = 5;
	tv->tail = 7;
	tv->capabilities[TV_REG_CLOCK / 4] = 100000;
	tv_job_ms = 30;
	tv_start(tv);
	KUNIT_EXPECT_EQ(test, tv_read(tv, TV_REG_SUBMIT_LO), 0xfffff000);
	KUNIT_EXPECT_EQ(test, tv_read(tv, TV_REG_SUBMIT_LO + 4), 0x12);
	KUNIT_EXPECT_EQ(test, tv_read(tv, TV_REG_COMPLETE_LO), 0);
	KUNIT_EXPECT_EQ(test, tv_read(tv, TV_REG_COMPLETE_LO + 4), 0x13);
	KUNIT_EXPECT_EQ(test, tv_read(tv, TV_REG_HEAD), 5);
	KUNIT_EXPECT_EQ(test, tv_read(tv, TV_REG_TAIL), 7);
	KUNIT_EXPECT_EQ(test, tv_read(tv, TV_REG_RING_SIZE), TV_RING_ENTRIES);
	KUNIT_EXPECT_EQ(test, tv_read(tv, TV_REG_WATCHDOG), 3000000);
	/* More than it can count. */
	tv_job_ms = UINT_MAX;
	tv_start(tv);
	KUNIT_EXPECT_EQ(test, tv_read(tv, TV_REG_WATCHDOG), U32_MAX);
	tv_job_ms = job_ms;
	/* Memory does not come out of a reset. */
	KUNIT_EXPECT_EQ(test, tv_reset(tv), -ETIMEDOUT);
}

static void interrupts(struct kunit *test)
{
	struct tv_device *tv = test_device(test);

	KUNIT_EXPECT_EQ(test, tv_hw_irq(0, tv), IRQ_NONE);
	tv_write(tv, TV_REG_IRQ_STATUS, TV_IRQ_DONE);
	KUNIT_EXPECT_EQ(test, tv_hw_irq(0, tv), IRQ_WAKE_THREAD);
}

static void identification(struct kunit *test)
{
	static const struct {
		u32 reg, value;
	} cases[] = {
		{ TV_REG_ID, 0 },      { TV_REG_ID, U32_MAX },
		{ TV_REG_VERSION, 0 }, { TV_REG_VERSION, (TV_DEVICE_VERSION + 1) << 16 },
		{ TV_REG_LIMITS, 31 }, { TV_REG_LIMITS, 65 },
		{ TV_REG_CLOCK, 0 },
	};
	struct tv_device *tv = test_device(test);
	unsigned int i;
	u32 good;

	tv->dev = kunit_device_register(test, "triovit-test");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tv->dev);
	tv->dev->dma_mask = &tv->dev->coherent_dma_mask;
	tv_write(tv, TV_REG_ID, TV_DEVICE_ID);
	tv_write(tv, TV_REG_VERSION, TV_DEVICE_VERSION << 16);
	tv_write(tv, TV_REG_LIMITS, TV_RING_ORDER_MAX << 8 | 40);
	tv_write(tv, TV_REG_CLOCK, 200000);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		good = tv_read(tv, cases[i].reg);
		tv_write(tv, cases[i].reg, cases[i].value);
		KUNIT_EXPECT_EQ_MSG(test, tv_hw_identify(tv), -ENODEV, "case %u", i);
		tv_write(tv, cases[i].reg, good);
	}
	KUNIT_EXPECT_EQ(test, tv_hw_identify(tv), 0);
	KUNIT_EXPECT_EQ(test, dma_get_mask(tv->dev), DMA_BIT_MASK(40));
	KUNIT_EXPECT_EQ(test, tv_clock_khz(tv), 200000);
}

/* --- jobs --- */

static void changed_inputs(struct kunit *test)
{
	struct tv_descriptor job = {};
	unsigned int i;

	KUNIT_EXPECT_FALSE(test, tv_changes_input(&job));
	for (i = 0; i < TV_SEGMENT_COUNT; i++)
		job.segment[i].rights = i % 2 ? TV_SEGMENT_WRITE : TV_SEGMENT_READ;
	KUNIT_EXPECT_FALSE(test, tv_changes_input(&job));
	for (i = 0; i < TV_SEGMENT_COUNT; i++) {
		job.segment[i].rights ^= 3;
		KUNIT_EXPECT_FALSE(test, tv_changes_input(&job));
		job.segment[i].rights = 3;
		KUNIT_EXPECT_TRUE(test, tv_changes_input(&job));
		job.segment[i].rights = 1;
	}
}

static void golden_layout(struct kunit *test)
{
	size_t at[ARRAY_SIZE(tv_golden_sizes)], size;
	struct tv_descriptor job = {};
	unsigned int i;

	size = tv_place(0x1000, &job, at);
	KUNIT_EXPECT_EQ(test, tv_check_overlaps(&job), 0);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		KUNIT_EXPECT_EQ(test, at[i] % TV_SEGMENT_ALIGNMENT, 0);
		KUNIT_EXPECT_LE(test, at[i] + tv_golden_sizes[i], size);
		KUNIT_EXPECT_EQ(test, job.segment[i].base, 0x1000 + at[i]);
	}
}

static struct kunit_case test_cases[] = {
	KUNIT_CASE(submit_arguments),
	KUNIT_CASE(segment_fields),
	KUNIT_CASE(access_bits),
	KUNIT_CASE(buffer_arguments),
	KUNIT_CASE(segment_bounds),
	KUNIT_CASE(segment_buffers),
	KUNIT_CASE(overlaps),
	KUNIT_CASE(limits),
	KUNIT_CASE(records),
	KUNIT_CASE(usage),
	KUNIT_CASE(ring_arithmetic),
	KUNIT_CASE(ring_entries),
	KUNIT_CASE(start),
	KUNIT_CASE(interrupts),
	KUNIT_CASE(identification),
	KUNIT_CASE(changed_inputs),
	KUNIT_CASE(golden_layout),
	{},
};

static struct kunit_suite test_suite = {
	.name = "triovit",
	.test_cases = test_cases,
};

kunit_test_suite(test_suite);

TV_IMPORT_DMA_BUF;
MODULE_DESCRIPTION("KUnit tests of the triovit driver");
MODULE_LICENSE("GPL");
