/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/device-board.h"

#include <string.h>

/* Steps of all jobs of an input together. */
#define PATIENCE 2000000

/* --- memory --------------------------------------------------------------------------------- */

void board_region_set(struct board *b, unsigned int region, uint64_t address, uint32_t size)
{
	struct board_region *r = &b->regions[region];

	free(r->data);
	*r = (struct board_region){ address, size, size, calloc(size + !size, 1) };
	REQUIRE(r->data);
}

static struct board_region *region_at(struct board *b, uint64_t address)
{
	for (unsigned int i = 0; i < DEVICE_REGIONS; i++)
		if (address - b->regions[i].address < b->regions[i].there)
			return &b->regions[i];
	return NULL;
}

uint8_t *board_memory(struct board *b, uint64_t address, uint32_t size)
{
	const struct board_region *region = region_at(b, address);
	uint64_t at = region ? address - region->address : 0;

	return region && region->there - at >= size ? region->data + at : NULL;
}

/* Beside whatever computes with it, which is the point. */
__attribute__((no_sanitize("thread"))) static void poke(uint8_t *to, uint64_t to_address,
							uint32_t to_size, uint64_t address,
							const uint8_t *bytes, uint32_t size)
{
	for (uint32_t i = 0; to && i < size; i++)
		if (address + i - to_address < to_size)
			*(volatile uint8_t *)&to[address + i - to_address] = bytes[i];
}

static bool is_near(uint64_t a, uint32_t a_size, uint64_t b, uint32_t b_size)
{
	return a - b < b_size || b - a < a_size;
}

void board_poke(struct board *b, uint64_t address, const uint8_t *bytes, uint32_t size)
{
	for (unsigned int i = 0; i < DEVICE_REGIONS; i++) {
		const struct board_region *r = &b->regions[i];

		if (is_near(address, size, r->address, r->size))
			poke(r->data, r->address, r->size, address, bytes, size);
	}
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		const struct board_mapping *m = &b->mappings[i];

		if (!m->data || !is_near(address, size, m->address, m->size))
			continue;
		poke(m->data, m->address, m->size, address, bytes, size);
		poke(m->expected, m->address, m->size, address, bytes, size);
	}
}

void board_scribble(struct board *b, unsigned int region, uint32_t count, uint64_t random)
{
	const struct board_region *r = &b->regions[region];

	while (r->size && count--) {
		uint32_t at;
		uint8_t byte;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		at = (uint32_t)(random >> 40) % r->size;
		byte = r->data[at] ^ (uint8_t)(1u << (random >> 36 & 7));
		board_poke(b, r->address + at, &byte, 1);
	}
}

/* --- the device's host ---------------------------------------------------------------------- */

static bool nothing_mapped(const struct board *b)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		if (b->mappings[i].data)
			return false;
	return true;
}

static int host_read(void *host, uint64_t address, void *ret, size_t size)
{
	struct board *b = host;
	struct board_state *s = &b->state;
	uint32_t index = s->head + s->running;
	const uint8_t *from = board_memory(b, address, TV_DESCRIPTOR_SIZE);

	REQUIRE(b->called && size == TV_DESCRIPTOR_SIZE);
	REQUIRE(s->enabled && !s->fetched && index != s->tail);
	REQUIRE(address == s->submit + (uint64_t)index % s->ring_size * TV_DESCRIPTOR_SIZE);
	if (from)
		memcpy(ret, from, size);
	if (s->running) {
		s->fetched = true;
		b->fetched_there = from;
		if (from)
			memcpy(b->fetched, from, size);
	} else if (from) {
		board_job_begin(b, from, b->clock);
	} else {
		board_halt(b, TV_DEVICE_DESCRIPTOR_BUS);
	}
	return from ? 0 : -1;
}

static int host_write(void *host, uint64_t address, const void *data, size_t size)
{
	struct board *b = host;
	struct board_state *s = &b->state;
	uint8_t *to = board_memory(b, address, TV_COMPLETION_SIZE);
	struct tv_completion record;

	REQUIRE(b->called && size == TV_COMPLETION_SIZE);
	REQUIRE(s->running && !b->work && nothing_mapped(b));
	REQUIRE(address == s->complete + (uint64_t)s->head % s->ring_size * TV_COMPLETION_SIZE);
	REQUIRE(tv_decode_completion(data, &record) == 0);
	board_check_record(b, &record);
	if (to) {
		memcpy(to, data, size);
		board_job_end(b, record.end);
	} else {
		s->running = false;
		board_halt(b, TV_DEVICE_RECORD_BUS);
	}
	return to ? 0 : -1;
}

static uint32_t host_map(void *host, uint64_t address, uint32_t size, uint32_t rights,
			 uint8_t **ret)
{
	struct board *b = host;
	struct board_job *job = &b->job;
	const struct tv_segment *segment;
	const struct board_region *region = region_at(b, address);
	uint64_t at = region ? address - region->address : 0;
	struct board_mapping *mapping;

	REQUIRE(b->called && b->state.running && !b->work);
	while (job->segment < TV_SEGMENT_COUNT && !job->descriptor.segment[job->segment].size)
		job->segment++;
	REQUIRE(job->segment < TV_SEGMENT_COUNT && board_may_map(b, job->segment));
	segment = &job->descriptor.segment[job->segment];
	mapping = &b->mappings[job->segment];
	REQUIRE(address == segment->base && size == segment->size && rights == segment->rights);
	REQUIRE(!mapping->data);
	if (region && size > region->there - at)
		size = (uint32_t)(region->there - at);
	job->there[job->segment++] = region ? size : 0;
	if (!region)
		return 0;
	*mapping = (struct board_mapping){ address, size, rights, malloc(size), malloc(size) };
	REQUIRE(mapping->data && mapping->expected);
	memcpy(mapping->data, region->data + at, size);
	memcpy(mapping->expected, region->data + at, size);
	*ret = mapping->data;
	return size;
}

static void host_unmap(void *host, uint8_t *data, uint32_t size, uint32_t rights)
{
	struct board *b = host;
	struct board_mapping *mapping = b->mappings;

	REQUIRE(b->called && data && !b->work);
	while (mapping < b->mappings + TV_SEGMENT_COUNT && mapping->data != data)
		mapping++;
	REQUIRE(mapping < b->mappings + TV_SEGMENT_COUNT);
	REQUIRE(size == mapping->size && rights == mapping->rights);
	mapping->data = NULL;
	if (rights & TV_SEGMENT_WRITE)
		board_poke(b, mapping->address, data, size);
	else
		REQUIRE(memcmp(data, mapping->expected, size) == 0);
	free(mapping->expected);
	free(data);
}

static void host_interrupt(void *host, bool level)
{
	struct board *b = host;

	REQUIRE(b->called && level != b->line);
	b->line = level;
}

static uint64_t host_clock(void *host)
{
	return ((struct board *)host)->clock;
}

static void *compute(void *work)
{
	tv_device_work_run(work);
	return NULL;
}

static void host_start(void *host, struct tv_device_work *work)
{
	static const atomic_bool enough = true;
	struct board *b = host;
	struct board_job *job = &b->job;

	REQUIRE(b->called && b->state.running && !b->work && !job->started);
	for (unsigned int i = job->segment; i < TV_SEGMENT_COUNT; i++)
		REQUIRE(!job->descriptor.segment[i].size);
	job->started = true;
	job->commands = work->program->header.commands;
	b->work = work;
	b->computed = false;
	if (work->program->end.steps > b->patience) {
		/* As if there were no memory for it. */
		job->starved = true;
		work->job.cancel = &enough;
	} else {
		b->patience -= work->program->end.steps;
	}
	if (b->threads)
		REQUIRE(pthread_create(&b->thread, NULL, compute, work) == 0);
	else if (!b->late)
		board_compute(b);
}

void board_compute(struct board *b)
{
	if (!b->work || b->computed || b->threads)
		return;
	tv_device_work_run(b->work);
	b->computed = true;
}

static void host_join(void *host, struct tv_device_work *work)
{
	struct board *b = host;

	REQUIRE(b->called && work == b->work);
	board_compute(b);
	if (b->threads)
		REQUIRE(pthread_join(b->thread, NULL) == 0);
	b->work = NULL;
}

static void host_complain(void *host, const char *what)
{
	REQUIRE(what && *what);
}

static const struct tv_device_host host = {
	.read = host_read,
	.write = host_write,
	.map = host_map,
	.unmap = host_unmap,
	.interrupt = host_interrupt,
	.clock = host_clock,
	.start = host_start,
	.join = host_join,
	.complain = host_complain,
};

/* --- looking ------------------------------------------------------------------------------- */

/* The contract bounds how long a reset takes and says no more; the device knows. */
static void check_reset(struct board *b)
{
	if (b->state.resetting && tv_device_next(b->device) <= b->clock)
		b->state.resetting = false;
}

static uint32_t read_register(struct board *b, uint64_t offset)
{
	uint32_t value;

	b->called = true;
	value = tv_device_read(b->device, offset);
	b->called = false;
	return value;
}

static void check_progress(struct board *b, uint32_t progress)
{
	if (!b->state.running) {
		REQUIRE(!progress);
		return;
	}
	REQUIRE(progress >= b->job.progress && progress <= b->job.commands);
	b->job.progress = progress;
}

/* Nothing that was due is left undone. */
static void check_progressing(const struct board *b)
{
	const struct board_state *s = &b->state;
	uint64_t next = tv_device_next(b->device);

	if (s->enabled && s->running)
		REQUIRE(s->fetched == (s->head + 1 != s->tail));
	else if (s->enabled)
		REQUIRE(s->head == s->tail);
	if (s->enabled)
		REQUIRE(s->tail - s->head <= s->ring_size);
	if (s->running || s->resetting)
		REQUIRE(next > b->clock && next - b->clock < BOARD_CYCLES_MAX);
	else
		REQUIRE(next == UINT64_MAX && !b->work && nothing_mapped(b));
	if (s->resetting)
		REQUIRE(next - s->reset_at <= TV_RESET_CYCLES && b->clock < next);
}

static void look(struct board *b)
{
	for (uint32_t offset = TV_REG_CONTROL; offset <= TV_REG_PROGRESS; offset += 4) {
		uint32_t value = read_register(b, offset);

		if (offset == TV_REG_PROGRESS)
			check_progress(b, value);
		else
			REQUIRE(value == board_expect_read(b, offset));
	}
	check_progressing(b);
	REQUIRE(b->line == !!(b->state.irq_status & b->state.irq_mask));
}

uint32_t board_read(struct board *b, uint64_t offset)
{
	uint32_t value;

	check_reset(b);
	value = read_register(b, offset);
	REQUIRE(offset == TV_REG_PROGRESS || value == board_expect_read(b, offset));
	look(b);
	return value;
}

void board_write(struct board *b, uint64_t offset, uint32_t value)
{
	/* What is due comes first. */
	if (tv_device_next(b->device) <= b->clock)
		board_advance(b);
	board_expect_write(b, offset, value);
	b->called = true;
	tv_device_write(b->device, offset, value);
	b->called = false;
	look(b);
}

void board_advance(struct board *b)
{
	check_reset(b);
	b->called = true;
	tv_device_advance(b->device);
	b->called = false;
	look(b);
}

void board_finish(struct board *b)
{
	/* Jobs that are there, or the one that runs, and the end of a reset. */
	uint32_t steps = 2 + (b->state.enabled ? b->state.tail - b->state.head : 0);

	for (uint64_t next; (next = tv_device_next(b->device)) != UINT64_MAX;) {
		REQUIRE(steps--);
		if (next > b->clock)
			b->clock = next;
		board_advance(b);
	}
}

/* --- the board ------------------------------------------------------------------------------ */

void board_begin(struct board *b, const struct tv_target *target, unsigned int address_bits,
		 bool cycle)
{
	*b = (struct board){
		.host = host,
		.target = target,
		.address_bits = address_bits,
		.patience = PATIENCE,
	};
	board_region_set(b, DEVICE_REGION_RINGS, DEVICE_RINGS_AT,
			 DEVICE_RINGS_ENTRIES * (TV_DESCRIPTOR_SIZE + TV_COMPLETION_SIZE));
	board_region_set(b, DEVICE_REGION_TOP,
			 (UINT64_MAX >> (64 - address_bits)) - DEVICE_TOP_SIZE + 1,
			 DEVICE_TOP_SIZE);
	b->host.cycle = cycle;
	REQUIRE(tv_device_new(target, address_bits, &b->host, b, &b->device, NULL) == 0);
	for (uint32_t offset = 0; offset < TV_REG_CONTROL; offset += 4)
		board_read(b, offset);
}

void board_end(struct board *b)
{
	b->called = true;
	tv_device_free(b->device);
	REQUIRE(!b->work && nothing_mapped(b));
	for (unsigned int i = 0; i < DEVICE_REGIONS; i++)
		free(b->regions[i].data);
}

#pragma clang attribute pop
