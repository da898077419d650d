/* SPDX-License-Identifier: MIT */
/*
 * Feeds the device with what drivers do, right, wrong and hostile, on a board that watches it. What
 * it does must be what docs/hardware.md says after each operation, and after all of them, soft
 * reset included, it must compute the golden job.
 */
#include "tests/fuzz/device-board.h"

#include <string.h>

#include <triovit/golden.h>

#include "rtl-model/driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GOLDEN_SLOT 2

/* A job in a slot, as executor.h has it. */
#define JOB_MAX 12288
struct slot {
	uint8_t job[JOB_MAX];
	size_t size;
};

struct session {
	struct board board;
	struct slot slots[DEVICE_SLOTS];
};

/* --- jobs ----------------------------------------------------------------------------------- */

static const uint8_t *slot_segment(const struct slot *slot, unsigned int segment)
{
	return slot->job + EXECUTOR_SEGMENTS + (size_t)segment * EXECUTOR_SEGMENT_SIZE;
}

static uint32_t slot_there(const struct slot *slot, unsigned int segment)
{
	const uint8_t *s = slot_segment(slot, segment);

	return tv_get16(s + 2) < tv_get16(s) ? tv_get16(s) - tv_get16(s + 2) : 0;
}

/* The earlier segment that it is the end of, itself where its memory is its own. */
static unsigned int slot_within(const struct slot *slot, unsigned int segment)
{
	const uint8_t *s = slot_segment(slot, segment);
	bool within = s[5] < segment && slot_there(slot, s[5]) >= tv_get16(s);

	return within ? s[5] : segment;
}

/* Puts the job into memory, where something else may be or run now. */
static void lay_out(struct session *s, unsigned int number)
{
	const struct slot *slot = &s->slots[number];
	size_t rest = EXECUTOR_PROGRAM;

	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		uint32_t there = slot_within(slot, i) == i ? slot_there(slot, i) : 0;
		unsigned int region = DEVICE_REGION_OF(number, i);
		uint8_t *data;
		size_t given;

		board_region_set(&s->board, region, DEVICE_SLOT_AT(number, i), there);
		data = s->board.regions[region].data;
		if (i <= TV_SEGMENT_WEIGHTS) {
			given = slot->size - rest < there ? slot->size - rest : there;
			memcpy(data, slot->job + rest, given);
			rest += given;
		} else {
			executor_fill(data, there, slot_segment(slot, i)[6]);
		}
		board_poke(&s->board, DEVICE_SLOT_AT(number, i), data, there);
	}
}

static struct tv_segment slot_descriptor(const struct slot *slot, unsigned int number,
					 unsigned int segment)
{
	unsigned int within = slot_within(slot, segment);
	const uint8_t *s = slot_segment(slot, segment);
	struct tv_segment ret = {
		.base = DEVICE_SLOT_AT(number, within),
		.size = tv_get16(s),
		.rights = s[4],
	};

	if (!ret.size)
		return (struct tv_segment){ 0 };
	if (within != segment)
		ret.base += (slot_there(slot, within) - ret.size) & ~(TV_SEGMENT_ALIGNMENT - 1u);
	return ret;
}

/* As executor.h has it, which leaves its input out. */
static void golden_job(const struct session *s, struct slot *slot, uint8_t *ret_input)
{
	static const struct {
		uint16_t size;
		uint8_t rights;
	} segments[] = {
		{ TV_GOLDEN_PROGRAM_SIZE, TV_SEGMENT_READ },
		{ TV_GOLDEN_WEIGHTS_SIZE, TV_SEGMENT_READ },
		{ TV_GOLDEN_INPUT_SIZE, TV_SEGMENT_READ },
		{ TV_GOLDEN_OUTPUT_SIZE, TV_SEGMENT_READ | TV_SEGMENT_WRITE },
		{ TV_GOLDEN_SCRATCH_SIZE, TV_SEGMENT_READ | TV_SEGMENT_WRITE },
	};
	uint8_t *program = slot->job + EXECUTOR_PROGRAM;

	memset(slot->job, 0, EXECUTOR_PROGRAM);
	slot->job[0] = (uint8_t)(s->board.target->id - 1);
	for (unsigned int i = 0; i < sizeof(segments) / sizeof(*segments); i++) {
		uint8_t *segment = slot->job + EXECUTOR_SEGMENTS + i * EXECUTOR_SEGMENT_SIZE;

		tv_put16(segment, segments[i].size);
		segment[4] = segments[i].rights;
		segment[5] = TV_SEGMENT_NONE;
	}
	tv_golden_build(s->board.target->id, program, program + TV_GOLDEN_PROGRAM_SIZE, ret_input);
	slot->size = EXECUTOR_PROGRAM + TV_GOLDEN_PROGRAM_SIZE + TV_GOLDEN_WEIGHTS_SIZE;
}

/* opcode 0: the golden one, else a random one with such a command. */
static void new_job(struct session *s, unsigned int number, uint8_t opcode, uint32_t seed)
{
	struct slot *slot = &s->slots[number];
	uint8_t numbers[EXECUTOR_SEED_MAX] = { opcode }, input[TV_GOLDEN_INPUT_SIZE];

	if (opcode) {
		/* Its lowest bits say which target. */
		tv_put64(numbers + 1, (uint64_t)seed << 2 | (s->board.target->id - 1u));
		slot->size = executor_expand(numbers, sizeof(numbers), slot->job);
	} else {
		golden_job(s, slot, input);
	}
	lay_out(s, number);
	if (!opcode)
		board_poke(&s->board, DEVICE_SLOT_AT(number, TV_SEGMENT_INPUT), input,
			   sizeof(input));
}

/* --- operations ----------------------------------------------------------------------------- */

/* Where the descriptor of the job so many behind TAIL lies. */
static uint64_t entry_at(const struct board *b, uint32_t behind)
{
	const struct board_state *s = &b->state;
	uint32_t index = s->ring_size ? (s->tail + behind) % s->ring_size : 0;

	return s->submit + (uint64_t)index * TV_DESCRIPTOR_SIZE;
}

static uint64_t register_of(const struct device_op *op)
{
	return op->b >> 15 ? 4ull * op->a + ((uint64_t)op->b << 20) : 4ull * op->a + op->b;
}

static void write_address(struct board *b, uint32_t low, uint64_t address)
{
	board_write(b, low, (uint32_t)address);
	board_write(b, low + 4, (uint32_t)(address >> 32));
}

static void set_rings(struct board *b, const struct device_op *op)
{
	uint32_t entries = 2u << (op->a & DEVICE_RINGS_ORDER);
	uint64_t off = (uint64_t)(int8_t)(op->b >> 8) * 64;
	uint64_t submit = DEVICE_RINGS_AT, complete;

	if (op->a & DEVICE_RINGS_TOP)
		submit = b->regions[DEVICE_REGION_TOP].address + DEVICE_TOP_SIZE -
			 entries * (TV_DESCRIPTOR_SIZE + TV_COMPLETION_SIZE);
	complete = submit + entries * TV_DESCRIPTOR_SIZE;
	if (op->a & DEVICE_RINGS_SWAPPED) {
		complete = submit;
		submit += entries * TV_COMPLETION_SIZE;
	}
	if (op->a & DEVICE_RINGS_OFF_SUBMIT)
		submit += off;
	if (op->a & DEVICE_RINGS_OFF_COMPLETE)
		complete += off;
	if (op->a & DEVICE_RINGS_IDLE) {
		board_write(b, TV_REG_CONTROL, 0);
		board_finish(b);
	}
	write_address(b, TV_REG_SUBMIT_LO, submit);
	write_address(b, TV_REG_COMPLETE_LO, complete);
	board_write(b, TV_REG_RING_SIZE, entries);
	board_write(b, TV_REG_HEAD, op->c);
	board_write(b, TV_REG_TAIL, op->c + (op->b & 0xff));
	board_write(b, TV_REG_IRQ_MASK, TV_IRQ_DONE | TV_IRQ_ERROR);
	if (!(op->a & DEVICE_RINGS_ONLY))
		board_write(b, TV_REG_CONTROL, TV_CONTROL_ENABLE);
}

/* Up to the last address, which is the end of what memory there is, or a bit more or less. */
static void move_to_top(const struct board *b, struct tv_segment *segment, uint32_t how)
{
	uint64_t end = b->regions[DEVICE_REGION_TOP].address + DEVICE_TOP_SIZE;

	segment->size = ((segment->size + TV_SEGMENT_ALIGNMENT - 1) & ~(TV_SEGMENT_ALIGNMENT - 1u));
	segment->base = end - segment->size + (how % 4 == 3 ? TV_SEGMENT_ALIGNMENT : 0);
	segment->size += how / 4 % 4 == 3;
}

static void describe(struct session *s, const struct device_op *op)
{
	unsigned int number = op->a & DEVICE_DESCRIBE_SLOT, other = !number;
	struct tv_descriptor job = { .job = op->c };
	uint8_t bytes[TV_DESCRIPTOR_SIZE];
	struct board *b = &s->board;

	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		job.segment[i] = slot_descriptor(&s->slots[number], number, i);
	if (op->a & DEVICE_DESCRIBE_CHAIN) {
		job.segment[TV_SEGMENT_INPUT] =
			slot_descriptor(&s->slots[other], other, TV_SEGMENT_OUTPUT);
		job.segment[TV_SEGMENT_INPUT].rights &= TV_SEGMENT_READ;
	}
	if (op->a & DEVICE_DESCRIBE_TOP)
		move_to_top(b, &job.segment[op->c % TV_SEGMENT_COUNT], op->c / TV_SEGMENT_COUNT);
	tv_encode_descriptor(&job, bytes);
	board_poke(b, entry_at(b, op->b), bytes, sizeof(bytes));
	if (op->a & DEVICE_DESCRIBE_BELL)
		board_write(b, TV_REG_TAIL, b->state.tail + op->b + 1);
}

static void alter(struct board *b, const struct device_op *op)
{
	uint64_t at = entry_at(b, (uint32_t)(int8_t)op->a) + (op->b & 0xfc);
	const uint8_t *word = board_memory(b, at, 4);
	uint8_t bytes[4];

	if (!word)
		return;
	tv_put32(bytes, op->b >> 15 ? op->c : tv_get32(word) + op->c);
	board_poke(b, at, bytes, sizeof(bytes));
}

static void change(struct session *s, const struct device_op *op)
{
	struct slot *slot = &s->slots[op->a & 1];
	uint64_t random = op->c;

	if (executor_change(&random, slot->job, slot->size))
		lay_out(s, op->a & 1);
}

static void let_time_pass(struct board *b, const struct device_op *op)
{
	uint64_t next = tv_device_next(b->device), until = b->clock;

	if (op->a % 4 == DEVICE_TIME_CYCLES || op->a % 4 == DEVICE_TIME_SILENCE)
		until += (uint64_t)op->c << op->b % 8;
	else if (next != UINT64_MAX)
		until = op->a % 4 == DEVICE_TIME_NEXT ? next : next - 1;
	if (until > b->clock)
		b->clock = until;
	if (op->a % 4 != DEVICE_TIME_SILENCE)
		board_advance(b);
}

static void operate(struct session *s, const struct device_op *op)
{
	struct board *b = &s->board;
	struct board_region *region = &b->regions[op->a % DEVICE_REGIONS];

	switch (op->kind) {
	case DEVICE_READ:
		board_read(b, register_of(op));
		break;
	case DEVICE_WRITE:
		board_write(b, register_of(op), op->c);
		break;
	case DEVICE_RINGS:
		set_rings(b, op);
		break;
	case DEVICE_DESCRIBE:
		describe(s, op);
		break;
	case DEVICE_BELL:
		board_write(b, TV_REG_TAIL, b->state.tail + (uint32_t)(int8_t)op->a);
		break;
	case DEVICE_ALTER:
		alter(b, op);
		break;
	case DEVICE_PROGRAM:
		new_job(s, op->a & 1, op->b % (TV_OP_COPY + 1), op->c);
		break;
	case DEVICE_CHANGE:
		change(s, op);
		break;
	case DEVICE_SCRIBBLE:
		board_scribble(b, op->a % DEVICE_REGIONS, op->b % 256, op->c);
		break;
	case DEVICE_SHORTEN:
		region->there = op->b < region->size ? op->b : region->size;
		break;
	case DEVICE_TIME:
		let_time_pass(b, op);
		break;
	case DEVICE_FINISH:
		board_finish(b);
		break;
	case DEVICE_COMPUTE:
		b->late = op->a & 1;
		board_compute(b);
		break;
	case DEVICE_RESET:
		board_write(b, TV_REG_CONTROL, TV_CONTROL_RESET | op->b);
		if (op->a & 1)
			board_finish(b);
		break;
	}
}

/* --- the end -------------------------------------------------------------------------------- */

static uint32_t bus_read(void *bus, uint32_t offset)
{
	return board_read(bus, offset);
}

static void bus_write(void *bus, uint32_t offset, uint32_t value)
{
	board_write(bus, offset, value);
}

static void bus_pause(void *bus)
{
	((struct board *)bus)->clock += 100;
}

/* A driver that makes no mistake finds a device that makes none. */
static void recover(struct session *s)
{
	static const struct tv_driver_bus bus = { bus_read, bus_write, bus_pause };
	struct board *b = &s->board;
	struct board_region *memory = &b->regions[DEVICE_REGION_RINGS];
	struct tv_driver_rings rings = {
		.address = DEVICE_RINGS_AT,
		.entries = DEVICE_RINGS_ENTRIES,
	};
	struct tv_descriptor job = { .job = 0x600df00d };
	struct tv_completion record;
	struct tv_driver *driver;
	uint32_t index;

	board_region_set(b, DEVICE_REGION_RINGS, DEVICE_RINGS_AT,
			 (uint32_t)tv_driver_rings_size(rings.entries));
	rings.memory = memory->data;
	b->patience = UINT64_MAX;
	new_job(s, GOLDEN_SLOT, 0, 0);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		job.segment[i] = slot_descriptor(&s->slots[GOLDEN_SLOT], GOLDEN_SLOT, i);
	REQUIRE(tv_driver_new(&bus, b, &rings, &driver, NULL) == 0);
	REQUIRE(tv_driver_submit(driver, &job, &index) == 0);
	board_finish(b);
	REQUIRE(tv_driver_interrupt(driver) == TV_IRQ_DONE && !b->line);
	REQUIRE(tv_driver_take(driver, &record) && record.index == index);
	REQUIRE(!record.fault && record.executed == TV_GOLDEN_COMMANDS);
	REQUIRE(tv_golden_digest(board_memory(b, job.segment[TV_SEGMENT_OUTPUT].base,
					      TV_GOLDEN_OUTPUT_SIZE)) == TV_GOLDEN_DIGEST);
	tv_driver_free(driver);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned int address_bits[] = { 32, 36, 40, 64 };
	uint8_t expanded[DEVICE_MAX];
	struct device_op op;
	struct session s;

	if (size <= DEVICE_SEED_MAX) {
		size = device_expand(data, size, expanded);
		data = expanded;
	}
	board_begin(&s.board, tv_target_at(data[0] & 3), address_bits[data[0] >> 2 & 3],
		    data[0] & DEVICE_CYCLE);
	s.board.threads = data[0] & DEVICE_THREADS;
	for (unsigned int i = 0; i < GOLDEN_SLOT; i++)
		new_job(&s, i, 0, 0);
	for (size_t at = 1; at + DEVICE_OP_SIZE <= size && at < DEVICE_MAX; at += DEVICE_OP_SIZE) {
		op = device_op_get(data + at);
		operate(&s, &op);
	}
	if (!(data[0] & DEVICE_UNPLUG))
		recover(&s);
	board_end(&s.board);
	return 0;
}

#pragma clang attribute pop
