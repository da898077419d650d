/* SPDX-License-Identifier: MIT */
/*
 * A board for tests: a device with memory, an interrupt line and a clock that the test moves.
 * Memory consists of regions, each a heap block of its own of exactly the bytes that it has, far
 * apart in the address space: whatever the device touches beyond a region is an error of memory,
 * and what its computing touches beyond shows to a tool that watches the heap.
 */
#ifndef TV_TESTS_DEVICE_MACHINE_H
#define TV_TESTS_DEVICE_MACHINE_H

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <triovit/golden.h>

#include "rtl-model/command.h"
#include "rtl-model/device.h"
#include "rtl-model/driver.h"
#include "tests/unit/unit.h"

#define MACHINE_REGIONS_MAX 64
#define MACHINE_RINGS	    0x10000u /* where the first region lies */
#define MACHINE_ENTRIES	    8
#define MACHINE_TICK	    16 /* cycles of a driver's pause */

struct region {
	uint64_t address;
	size_t size;
	uint8_t *data;
	uint32_t rights; /* of the device */
	uint64_t constant; /* see struct tv_device_host */
	unsigned int mapped; /* times */
};

struct machine {
	struct tv_device_host host; /* TV_CYCLE in the environment: jobs run on the cycle model */
	const struct tv_target *target;
	struct region regions[MACHINE_REGIONS_MAX];
	unsigned int count;
	uint64_t clock;
	bool line;
	unsigned int raised; /* times that the line went up */
	const char *complaint; /* the last */
	bool threaded; /* jobs are computed by a thread; to be set before the first */
	pthread_t thread;
	struct tv_device *device;
	struct tv_driver *driver; /* may be NULL */
};

/* --- the device's host ---------------------------------------------------------------------- */

static struct region *machine_region(struct machine *m, uint64_t address)
{
	for (unsigned int i = 0; i < m->count; i++)
		if (address >= m->regions[i].address &&
		    address - m->regions[i].address < m->regions[i].size)
			return &m->regions[i];
	return NULL;
}

static int machine_read(void *host, uint64_t address, void *ret, size_t size)
{
	struct region *region = machine_region(host, address);
	uint64_t at = region ? address - region->address : 0;

	if (!region || region->size - at < size)
		return -1;
	memcpy(ret, region->data + at, size);
	return 0;
}

static int machine_write(void *host, uint64_t address, const void *data, size_t size)
{
	struct region *region = machine_region(host, address);
	uint64_t at = region ? address - region->address : 0;

	if (!region || region->size - at < size || !(region->rights & TV_SEGMENT_WRITE))
		return -1;
	memcpy(region->data + at, data, size);
	return 0;
}

static uint32_t machine_map(void *host, uint64_t address, uint32_t size, uint32_t rights,
			    uint8_t **ret)
{
	struct region *region = machine_region(host, address);
	uint64_t at = region ? address - region->address : 0;

	if (!region)
		return 0;
	if (region->size - at < size)
		size = (uint32_t)(region->size - at);
	region->mapped++;
	*ret = region->data + at;
	return size;
}

static uint64_t machine_constant(void *host, uint64_t address, uint32_t size)
{
	return machine_region(host, address)->constant;
}

static void machine_unmap(void *host, uint8_t *data, uint32_t size, uint32_t rights)
{
	struct machine *m = host;

	for (unsigned int i = 0; i < m->count; i++)
		if (data >= m->regions[i].data && data < m->regions[i].data + m->regions[i].size) {
			ck_assert_uint_gt(m->regions[i].mapped, 0);
			ck_assert(data + size <= m->regions[i].data + m->regions[i].size);
			m->regions[i].mapped--;
			return;
		}
	ck_abort_msg("unmapped what was never mapped");
}

static void machine_interrupt(void *host, bool level)
{
	struct machine *m = host;

	ck_assert(level != m->line);
	m->line = level;
	m->raised += level;
}

static uint64_t machine_clock(void *host)
{
	return ((struct machine *)host)->clock;
}

static void *machine_compute(void *work)
{
	tv_device_work_run(work);
	return NULL;
}

static void machine_start(void *host, struct tv_device_work *work)
{
	struct machine *m = host;

	if (!m->threaded)
		tv_device_work_run(work);
	else
		ck_assert_int_eq(pthread_create(&m->thread, NULL, machine_compute, work), 0);
}

static void machine_join(void *host, struct tv_device_work *work)
{
	struct machine *m = host;

	if (m->threaded)
		ck_assert_int_eq(pthread_join(m->thread, NULL), 0);
}

static void machine_complain(void *host, const char *what)
{
	((struct machine *)host)->complaint = what;
}

static const struct tv_device_host machine_host = {
	.read = machine_read,
	.write = machine_write,
	.map = machine_map,
	.unmap = machine_unmap,
	.constant = machine_constant,
	.interrupt = machine_interrupt,
	.clock = machine_clock,
	.start = machine_start,
	.join = machine_join,
	.complain = machine_complain,
};

/* --- the driver's bus ----------------------------------------------------------------------- */

static uint32_t machine_bus_read(void *bus, uint32_t offset)
{
	return tv_device_read(((struct machine *)bus)->device, offset);
}

static void machine_bus_write(void *bus, uint32_t offset, uint32_t value)
{
	tv_device_write(((struct machine *)bus)->device, offset, value);
}

static void machine_bus_pause(void *bus)
{
	((struct machine *)bus)->clock += MACHINE_TICK;
}

static const struct tv_driver_bus machine_bus = {
	.read = machine_bus_read,
	.write = machine_bus_write,
	.pause = machine_bus_pause,
};

/* --- the board ------------------------------------------------------------------------------ */

/* Memory of zeros at an address; what is left there is checked by the test. */
static inline struct region *machine_add_at(struct machine *m, uint64_t address, size_t size)
{
	struct region *region = &m->regions[m->count++];

	ck_assert_uint_le(m->count, MACHINE_REGIONS_MAX);
	*region = (struct region){
		.address = address,
		.size = size,
		.data = calloc(size, 1),
		.rights = TV_SEGMENT_READ | TV_SEGMENT_WRITE,
	};
	ck_assert_ptr_nonnull(region->data);
	return region;
}

/* 4 GiB apart. */
static inline struct region *machine_add(struct machine *m, size_t size)
{
	return machine_add_at(m, 0x10000000u + ((uint64_t)m->count << 32), size);
}

static inline void machine_begin_device(struct machine *m, const struct tv_target *target,
					const struct tv_device_host *host)
{
	struct tv_error error = { 0 };
	int r;

	*m = (struct machine){ .target = target, .host = *host };
	m->host.cycle = getenv("TV_CYCLE");
	r = tv_device_new(target, 40, &m->host, m, &m->device, &error);
	tv_assert_ok(r, error);
}

static inline void machine_begin_without_driver(struct machine *m, const struct tv_target *target)
{
	machine_begin_device(m, target, &machine_host);
}

static inline void machine_begin_driver(struct machine *m)
{
	struct tv_driver_rings rings = { .address = MACHINE_RINGS, .entries = MACHINE_ENTRIES };
	struct tv_error error = { 0 };
	int r;

	rings.memory = machine_add_at(m, rings.address, tv_driver_rings_size(rings.entries))->data;
	r = tv_driver_new(&machine_bus, m, &rings, &m->driver, &error);
	tv_assert_ok(r, error);
}

static inline void machine_begin(struct machine *m, const struct tv_target *target)
{
	machine_begin_without_driver(m, target);
	machine_begin_driver(m);
}

static inline void machine_end(struct machine *m)
{
	tv_driver_free(m->driver);
	tv_device_free(m->device);
	for (unsigned int i = 0; i < m->count; i++) {
		ck_assert_uint_eq(m->regions[i].mapped, 0);
		free(m->regions[i].data);
	}
}

/* Lets the device do the next thing that it waits for; false: it waits for none. */
static inline bool machine_step(struct machine *m)
{
	uint64_t next = tv_device_next(m->device);

	if (next == UINT64_MAX)
		return false;
	if (next > m->clock)
		m->clock = next;
	tv_device_advance(m->device);
	return true;
}

static inline void machine_run(struct machine *m)
{
	while (machine_step(m))
		;
}

/* --- jobs ----------------------------------------------------------------------------------- */

static inline void machine_segment(struct tv_descriptor *job, unsigned int segment,
				   const struct region *region, uint32_t rights)
{
	job->segment[segment] = (struct tv_segment){
		.base = region->address,
		.size = (uint32_t)region->size,
		.rights = rights,
	};
}

/* The golden job in memory of its own. */
static inline struct tv_descriptor machine_golden(struct machine *m, struct region **ret_output)
{
	struct region *program = machine_add(m, TV_GOLDEN_PROGRAM_SIZE);
	struct region *weights = machine_add(m, TV_GOLDEN_WEIGHTS_SIZE);
	struct region *input = machine_add(m, TV_GOLDEN_INPUT_SIZE);
	struct region *output = machine_add(m, TV_GOLDEN_OUTPUT_SIZE);
	struct region *scratch = machine_add(m, TV_GOLDEN_SCRATCH_SIZE);
	struct tv_descriptor job = { .job = 0x600df00d };

	tv_golden_build(m->target->id, program->data, weights->data, input->data);
	machine_segment(&job, TV_SEGMENT_PROGRAM, program, TV_SEGMENT_READ);
	machine_segment(&job, TV_SEGMENT_WEIGHTS, weights, TV_SEGMENT_READ);
	machine_segment(&job, TV_SEGMENT_INPUT, input, TV_SEGMENT_READ);
	machine_segment(&job, TV_SEGMENT_OUTPUT, output, TV_SEGMENT_READ | TV_SEGMENT_WRITE);
	machine_segment(&job, TV_SEGMENT_SCRATCH, scratch, TV_SEGMENT_READ | TV_SEGMENT_WRITE);
	if (ret_output)
		*ret_output = output;
	return job;
}

static inline uint32_t machine_submit(struct machine *m, const struct tv_descriptor *job)
{
	uint32_t index;

	ck_assert_int_eq(tv_driver_submit(m->driver, job, &index), 0);
	return index;
}

/* Runs one job by itself. */
static inline struct tv_completion machine_do(struct machine *m, const struct tv_descriptor *job)
{
	struct tv_completion record;
	uint32_t index = machine_submit(m, job);

	machine_run(m);
	ck_assert(m->line);
	ck_assert_uint_eq(tv_driver_interrupt(m->driver), TV_IRQ_DONE);
	ck_assert(!m->line);
	ck_assert(tv_driver_take(m->driver, &record));
	ck_assert_uint_eq(record.index, index);
	ck_assert_uint_eq(record.job, job->job);
	return record;
}

/* That the device still does what it should, whatever went before. */
static inline void machine_assert_works(struct machine *m, const struct tv_descriptor *golden,
					struct region *output)
{
	struct tv_completion record;

	memset(output->data, 0x5a, output->size);
	record = machine_do(m, golden);
	ck_assert_msg(!record.fault, "%s: %s", tv_fault_name(record.fault), m->complaint);
	ck_assert_uint_eq(record.executed, TV_GOLDEN_COMMANDS);
	ck_assert_uint_eq(tv_golden_digest(output->data), TV_GOLDEN_DIGEST);
}

#endif
