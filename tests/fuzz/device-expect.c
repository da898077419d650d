/* SPDX-License-Identifier: MIT */
/* What docs/hardware.md says about registers, rings and records, written down a second time. */
#include "tests/fuzz/device-board.h"

/* --- jobs and mistakes ---------------------------------------------------------------------- */

void board_job_begin(struct board *b, const uint8_t *bytes, uint64_t start)
{
	b->job = (struct board_job){ .start = start, .watchdog = b->state.watchdog };
	b->job.reserved = tv_decode_descriptor(bytes, &b->job.descriptor) < 0;
	b->state.running = true;
}

void board_halt(struct board *b, enum tv_device_error error)
{
	if (b->state.error)
		return;
	b->state.error = error;
	b->state.irq_status |= TV_IRQ_ERROR;
	b->state.enabled = b->state.fetched = false;
}

/* The job at HEAD has its record. */
void board_job_end(struct board *b, uint64_t ended)
{
	struct board_state *s = &b->state;

	s->running = false;
	s->head++;
	s->irq_status |= TV_IRQ_DONE;
	if (s->fetched && b->fetched_there)
		board_job_begin(b, b->fetched, ended);
	else if (s->fetched)
		board_halt(b, TV_DEVICE_DESCRIPTOR_BUS);
	s->fetched = false;
}

static enum tv_device_error rings_error(const struct board *b)
{
	const struct board_state *s = &b->state;
	unsigned __int128 end = (unsigned __int128)1 << b->address_bits;
	unsigned __int128 submit = s->submit, complete = s->complete;
	unsigned __int128 submit_end = submit + (uint64_t)s->ring_size * TV_DESCRIPTOR_SIZE;
	unsigned __int128 complete_end = complete + (uint64_t)s->ring_size * TV_COMPLETION_SIZE;

	if (__builtin_popcount(s->ring_size) != 1 || s->ring_size < TV_RING_ENTRIES_MIN ||
	    s->ring_size > 1u << TV_RING_ORDER_MAX)
		return TV_DEVICE_RING_SIZE;
	if (s->submit % TV_DESCRIPTOR_SIZE || s->complete % TV_COMPLETION_SIZE)
		return TV_DEVICE_RING_ALIGNMENT;
	if (submit_end > end || complete_end > end)
		return TV_DEVICE_RING_ADDRESS;
	if (submit < complete_end && complete < submit_end)
		return TV_DEVICE_RING_OVERLAP;
	/* A job that runs is one that TAIL is beyond. */
	if (s->tail - s->head > s->ring_size || (s->running && s->tail == s->head))
		return TV_DEVICE_DOORBELL;
	return TV_DEVICE_OK;
}

static void set_control(struct board *b, uint32_t value)
{
	struct board_state *s = &b->state;
	enum tv_device_error error;

	if (value & TV_CONTROL_RESET) {
		*s = (struct board_state){ .resetting = true, .reset_at = b->clock };
	} else if (!(value & TV_CONTROL_ENABLE)) {
		s->enabled = s->fetched = false;
	} else if (!s->error && !s->enabled) {
		error = rings_error(b);
		s->enabled = !error;
		if (error)
			board_halt(b, error);
	}
}

static void set_tail(struct board *b, uint32_t value)
{
	struct board_state *s = &b->state;

	if (s->error)
		return;
	if (s->enabled && (value - s->head > s->ring_size || value - s->head < s->tail - s->head))
		board_halt(b, TV_DEVICE_DOORBELL);
	else
		s->tail = value;
}

static void set_address(uint64_t *address, unsigned int shift, uint32_t value)
{
	*address &= ~((uint64_t)UINT32_MAX << shift);
	*address |= (uint64_t)value << shift;
}

void board_expect_write(struct board *b, uint64_t offset, uint32_t value)
{
	struct board_state *s = &b->state;
	bool idle = !s->enabled && !s->running && !s->error;

	if (s->resetting)
		return;
	switch (offset) {
	case TV_REG_CONTROL:
		set_control(b, value);
		break;
	case TV_REG_IRQ_STATUS:
		s->irq_status &= ~value;
		break;
	case TV_REG_IRQ_MASK:
		s->irq_mask = value & (TV_IRQ_DONE | TV_IRQ_ERROR);
		break;
	case TV_REG_WATCHDOG:
		s->watchdog = value;
		break;
	case TV_REG_TAIL:
		set_tail(b, value);
		break;
	}
	if (!idle)
		return;
	switch (offset) {
	case TV_REG_SUBMIT_LO:
	case TV_REG_SUBMIT_HI:
		set_address(&s->submit, offset == TV_REG_SUBMIT_HI ? 32 : 0, value);
		break;
	case TV_REG_COMPLETE_LO:
	case TV_REG_COMPLETE_HI:
		set_address(&s->complete, offset == TV_REG_COMPLETE_HI ? 32 : 0, value);
		break;
	case TV_REG_RING_SIZE:
		s->ring_size = value;
		break;
	case TV_REG_HEAD:
		s->head = value;
		break;
	}
}

uint32_t board_expect_read(const struct board *b, uint64_t offset)
{
	const struct board_state *s = &b->state;

	switch (offset) {
	case TV_REG_ID:
		return TV_DEVICE_ID;
	case TV_REG_VERSION:
		return TV_DEVICE_VERSION << 16 | TV_CONTRACT_VERSION;
	case TV_REG_TARGET:
		return b->target->id;
	case TV_REG_ENGINES:
		return (uint32_t)b->target->epilogue_lanes << 16 | b->target->groups;
	case TV_REG_ONCHIP:
		return b->target->onchip;
	case TV_REG_CLOCK:
		return b->target->clock_mhz * 1000u;
	case TV_REG_DRAM:
		return b->target->dram_mb_s;
	case TV_REG_LIMITS:
		return TV_RING_ORDER_MAX << 8 | b->address_bits;
	case TV_REG_CONTROL:
		return s->enabled * TV_CONTROL_ENABLE | s->resetting * TV_CONTROL_RESET;
	case TV_REG_STATUS:
		return s->running * TV_STATUS_RUNNING | s->fetched * TV_STATUS_PREFETCHED |
		       s->resetting * TV_STATUS_RESETTING | !!s->error * TV_STATUS_HALTED;
	case TV_REG_IRQ_STATUS:
		return s->irq_status;
	case TV_REG_IRQ_MASK:
		return s->irq_mask;
	case TV_REG_ERROR:
		return s->error;
	case TV_REG_WATCHDOG:
		return s->watchdog;
	case TV_REG_CYCLES_LO:
		return (uint32_t)b->clock;
	case TV_REG_CYCLES_HI:
		return (uint32_t)(b->clock >> 32);
	case TV_REG_SUBMIT_LO:
		return (uint32_t)s->submit;
	case TV_REG_SUBMIT_HI:
		return (uint32_t)(s->submit >> 32);
	case TV_REG_COMPLETE_LO:
		return (uint32_t)s->complete;
	case TV_REG_COMPLETE_HI:
		return (uint32_t)(s->complete >> 32);
	case TV_REG_RING_SIZE:
		return s->ring_size;
	case TV_REG_HEAD:
		return s->head;
	case TV_REG_TAIL:
		return s->tail;
	default:
		return 0;
	}
}

/* --- records -------------------------------------------------------------------------------- */

static bool names_nothing(const struct tv_completion *record)
{
	return record->segment == TV_SEGMENT_NONE && !record->offset;
}

bool board_may_map(const struct board *b, unsigned int index)
{
	const struct tv_segment *segments = b->job.descriptor.segment, *s = &segments[index];
	unsigned __int128 begin = s->base, end = begin + s->size;

	if (b->job.reserved || s->rights < 1 || s->rights > 3 || s->base % TV_SEGMENT_ALIGNMENT ||
	    end > (unsigned __int128)1 << b->address_bits)
		return false;
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		if (i != index && segments[i].size &&
		    (s->rights | segments[i].rights) & TV_SEGMENT_WRITE &&
		    begin < (unsigned __int128)segments[i].base + segments[i].size &&
		    segments[i].base < end)
			return false;
	return true;
}

/* Whether such a job is taken at all. */
static bool is_valid(const struct board *b)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		const struct tv_segment *segment = &b->job.descriptor.segment[i];

		if (segment->size ? !board_may_map(b, i) : segment->base || segment->rights)
			return false;
	}
	return !b->job.reserved;
}

static void check_outcome(const struct board *b, const struct tv_completion *record)
{
	const struct board_job *job = &b->job;
	const struct tv_segment *segment = &job->descriptor.segment[record->segment % 8];

	if (record->command == TV_RECORD_NO_COMMAND)
		REQUIRE(record->executed == (record->fault ? 0 : job->commands));
	else
		REQUIRE(record->fault && record->command == record->executed &&
			record->command < job->commands);
	REQUIRE(job->started == is_valid(b));
	REQUIRE(job->started || record->fault == TV_FAULT_BAD_JOB);
	switch (record->fault) {
	case TV_FAULT_BAD_JOB:
	case TV_FAULT_BAD_TARGET:
	case TV_FAULT_NONE:
		REQUIRE(record->command == TV_RECORD_NO_COMMAND && names_nothing(record));
		return;
	case TV_FAULT_BAD_COMMAND:
		REQUIRE(record->command != TV_RECORD_NO_COMMAND);
		REQUIRE(names_nothing(record) || record->segment == TV_SEGMENT_ONCHIP ||
			(record->segment < TV_SEGMENT_COUNT &&
			 record->offset < job->there[record->segment]));
		return;
	case TV_FAULT_SEGMENT:
		REQUIRE(record->command != TV_RECORD_NO_COMMAND);
		REQUIRE(record->segment == TV_SEGMENT_ONCHIP ||
			(record->segment < TV_SEGMENT_COUNT &&
			 (record->offset >= segment->size ||
			  segment->rights != (TV_SEGMENT_READ | TV_SEGMENT_WRITE))));
		return;
	case TV_FAULT_BUS:
		if (job->starved)
			return;
		REQUIRE(record->segment < TV_SEGMENT_COUNT);
		REQUIRE(record->offset >= job->there[record->segment] &&
			record->offset < segment->size);
		return;
	case TV_FAULT_WATCHDOG:
		REQUIRE(record->command != TV_RECORD_NO_COMMAND && names_nothing(record));
		REQUIRE(job->watchdog && record->end - record->start == job->watchdog);
		return;
	}
	REQUIRE(!"a known fault");
}

void board_check_record(const struct board *b, const struct tv_completion *record)
{
	const struct board_job *job = &b->job;
	uint64_t cycles = record->end - record->start;

	REQUIRE(record->job == job->descriptor.job && record->index == b->state.head);
	REQUIRE(record->start == job->start && cycles && cycles < BOARD_CYCLES_MAX);
	REQUIRE(record->end <= b->clock);
	REQUIRE(!job->watchdog || cycles <= (uint64_t)job->watchdog + BOARD_RECORD_MAX);
	REQUIRE(record->mat_busy <= cycles && record->rmac_busy <= cycles &&
		record->epilogue_busy <= cycles && record->dma_busy <= cycles &&
		record->stall_weights <= cycles && record->stall_operands <= cycles);
	check_outcome(b, record);
}

#pragma clang attribute pop
