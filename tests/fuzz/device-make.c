/* SPDX-License-Identifier: MIT */
/* Makes operations for the device's fuzzer, such as a driver might do, and changes them. */
#include "tests/fuzz/device.h"

#include <triovit/regs.h>

#include "tests/unit/functional-random.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#define REGISTERS (TV_REG_PROGRESS / 4 + 1)

#define ONE_OF(w, array) ((array)[world_below(w, TV_ARRAY_SIZE(array))])

/* --- operations that make sense ------------------------------------------------------------- */

static uint32_t address(struct world *w)
{
	unsigned int segment = world_below(w, TV_SEGMENT_COUNT);

	return world_chance(w, 2) ? DEVICE_RINGS_AT + 128 * world_below(w, 32) :
				    DEVICE_SLOT_AT(world_below(w, 2), segment);
}

static uint32_t any(struct world *w)
{
	uint32_t near = 5 - world_below(w, 10);

	switch (world_below(w, 4)) {
	case 0:
		return near;
	case 1:
		return (1u << world_below(w, 32)) + near;
	case 2:
		return address(w) + near;
	default:
		return (uint32_t)world_random(w);
	}
}

static uint32_t register_value(struct world *w, uint32_t offset)
{
	static const uint32_t sizes[] = { 2, 2, 4, 4, 8, 8, 16, 4096, 8192, 6, 1, 0 };

	switch (offset) {
	case TV_REG_CONTROL:
		return world_chance(w, 12) ? TV_CONTROL_RESET : world_below(w, 2);
	case TV_REG_IRQ_STATUS:
	case TV_REG_IRQ_MASK:
		return world_below(w, 4);
	case TV_REG_WATCHDOG:
		return world_chance(w, 2) ? 0 : world_below(w, 4000);
	case TV_REG_RING_SIZE:
		return ONE_OF(w, sizes);
	case TV_REG_SUBMIT_LO:
	case TV_REG_COMPLETE_LO:
		return address(w);
	case TV_REG_SUBMIT_HI:
	case TV_REG_COMPLETE_HI:
		return world_below(w, 2);
	default:
		return world_below(w, 8) - 2;
	}
}

/* A word of a descriptor: mostly of a segment. */
static uint16_t descriptor_word(struct world *w)
{
	return (uint16_t)(world_chance(w, 16) ? 4 * world_below(w, 64) :
						128 + 4 * world_below(w, 32));
}

static void alteration(struct world *w, struct device_op *op)
{
	static const uint32_t steps[] = { 64, 128, 1, 0x100000, 0x1000000, 0x10000 };

	op->a = (uint8_t)-world_below(w, 4);
	op->b = descriptor_word(w);
	op->c = world_chance(w, 2) ? ONE_OF(w, steps) : -ONE_OF(w, steps);
	if (world_chance(w, 2)) {
		op->b |= 0x8000;
		op->c = world_chance(w, 3) ? world_below(w, 4) : any(w);
	}
}

static struct device_op make_op(struct world *w)
{
	/* As often as they are in there. */
	static const uint8_t kinds[] = {
		DEVICE_READ,	 DEVICE_WRITE,	  DEVICE_WRITE,	   DEVICE_RINGS,    DEVICE_RINGS,
		DEVICE_DESCRIBE, DEVICE_DESCRIBE, DEVICE_DESCRIBE, DEVICE_DESCRIBE, DEVICE_DESCRIBE,
		DEVICE_BELL,	 DEVICE_ALTER,	  DEVICE_ALTER,	   DEVICE_PROGRAM,  DEVICE_CHANGE,
		DEVICE_CHANGE,	 DEVICE_SCRIBBLE, DEVICE_SHORTEN,  DEVICE_TIME,	    DEVICE_TIME,
		DEVICE_TIME,	 DEVICE_FINISH,	  DEVICE_COMPUTE,  DEVICE_RESET,
	};
	static const uint8_t busy[] = { TV_REG_CONTROL, TV_REG_CONTROL, TV_REG_TAIL };
	struct device_op op = {
		.kind = ONE_OF(w, kinds),
		.a = (uint8_t)world_random(w),
		.c = (uint32_t)world_random(w),
	};

	switch (op.kind) {
	case DEVICE_READ:
	case DEVICE_WRITE:
		op.a = (uint8_t)(world_chance(w, 2) ? ONE_OF(w, busy) / 4 :
						      world_below(w, REGISTERS));
		op.c = world_chance(w, 6) ? any(w) : register_value(w, 4u * op.a);
		op.b = world_chance(w, 16) ? (uint16_t)world_random(w) : 0;
		break;
	case DEVICE_RINGS:
		op.a = (uint8_t)(world_below(w, 64) &
				 ~(world_chance(w, 2) ? DEVICE_RINGS_ONLY : 0));
		op.b = (uint16_t)(world_chance(w, 4) ? world_below(w, 9) : 0);
		if (world_chance(w, 6)) {
			op.a |= world_chance(w, 2) ? DEVICE_RINGS_OFF_SUBMIT :
						     DEVICE_RINGS_OFF_COMPLETE;
			op.b |= (uint16_t)(world_below(w, 16) - 8) << 8;
		}
		op.c = world_chance(w, 4) ? op.c : world_below(w, 4) - 2;
		break;
	case DEVICE_DESCRIBE:
		op.a = (uint8_t)(world_below(w, 8) |
				 (world_chance(w, 6) ? DEVICE_DESCRIBE_TOP : 0));
		op.b = (uint16_t)(world_chance(w, 6) ? world_below(w, 4) : 0);
		break;
	case DEVICE_BELL:
		op.a = (uint8_t)(world_below(w, 6) - 2);
		break;
	case DEVICE_ALTER:
		alteration(w, &op);
		break;
	case DEVICE_PROGRAM:
		op.b = (uint16_t)world_below(w, TV_OP_COPY + 1);
		break;
	case DEVICE_SCRIBBLE:
		op.a = (uint8_t)world_below(w, DEVICE_REGIONS);
		op.b = (uint16_t)world_below(w, world_chance(w, 2) ? 4 : 256);
		break;
	case DEVICE_SHORTEN:
		op.a = (uint8_t)world_below(w, DEVICE_REGIONS);
		op.b = (uint16_t)(world_chance(w, 2) ? world_below(w, 2000) : UINT16_MAX);
		break;
	case DEVICE_TIME:
		op.b = (uint16_t)(world_chance(w, 8) ? world_below(w, 8) : 0);
		op.c = world_below(w, world_chance(w, 2) ? 300 : 6000);
		break;
	}
	return op;
}

size_t device_expand(const uint8_t *input, size_t size, uint8_t *ret)
{
	struct world w = { .random = size };
	unsigned int count;

	for (size_t i = 0; i < size; i++)
		w.random += (uint64_t)input[i] << 8 * i;
	ret[0] = (uint8_t)world_random(&w);
	count = 1 + world_below(&w, DEVICE_OPS_MAX);
	for (unsigned int i = 0; i < count; i++) {
		struct device_op op = make_op(&w);

		/* Without rings there is not much to see. */
		while (!i && op.kind != DEVICE_RINGS)
			op = make_op(&w);
		device_op_put(&op, ret + 1 + (size_t)i * DEVICE_OP_SIZE);
	}
	return 1 + (size_t)count * DEVICE_OP_SIZE;
}

/* --- others --------------------------------------------------------------------------------- */

static void change_op(struct world *w, uint8_t *bytes)
{
	struct device_op op = device_op_get(bytes);

	switch (world_below(w, 5)) {
	case 0:
		op.a ^= (uint8_t)(1u << world_below(w, 8));
		break;
	case 1:
		op.b ^= (uint16_t)(1u << world_below(w, 16));
		break;
	case 2:
		op.b = (uint16_t)(op.b + world_below(w, 8) - 4);
		break;
	case 3:
		op.c += 8 - world_below(w, 16);
		break;
	default:
		op.c = any(w);
		break;
	}
	device_op_put(&op, bytes);
}

static size_t change_ops(struct world *w, uint8_t *data, size_t size, size_t max_size)
{
	uint32_t count = (uint32_t)(size - 1) / DEVICE_OP_SIZE;
	uint8_t *at = data + 1 + (size_t)world_below(w, count) * DEVICE_OP_SIZE;
	uint8_t *other = data + 1 + (size_t)world_below(w, count) * DEVICE_OP_SIZE;
	uint8_t *end = data + 1 + (size_t)count * DEVICE_OP_SIZE;
	struct device_op op;

	switch (world_below(w, 8)) {
	case 0:
		data[0] ^= (uint8_t)(1u << world_below(w, 8));
		return size;
	case 1:
		if (count == 1)
			return size;
		memmove(at, at + DEVICE_OP_SIZE, (size_t)(end - at) - DEVICE_OP_SIZE);
		return 1 + (size_t)(count - 1) * DEVICE_OP_SIZE;
	case 2:
	case 3:
		if ((size_t)(end - data) + DEVICE_OP_SIZE > max_size)
			return size;
		memmove(at + DEVICE_OP_SIZE, at, (size_t)(end - at));
		op = make_op(w);
		device_op_put(&op, at);
		return (size_t)(end - data) + DEVICE_OP_SIZE;
	case 4:
		memmove(at, other, DEVICE_OP_SIZE);
		return size;
	default:
		change_op(w, at);
		return size;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct world w = { .random = seed };
	uint8_t numbers[DEVICE_SEED_MAX], ops[DEVICE_MAX];

	if (size < 1 + DEVICE_OP_SIZE || world_chance(&w, 64)) {
		for (size_t i = 0; i < sizeof(numbers); i++)
			numbers[i] = (uint8_t)world_random(&w);
		size = device_expand(numbers, sizeof(numbers), ops);
		if (size > max_size)
			size = max_size;
		memcpy(data, ops, size);
	}
	do
		if (world_chance(&w, 8))
			size = LLVMFuzzerMutate(data, size, max_size);
		else if (size >= 1 + DEVICE_OP_SIZE)
			size = change_ops(&w, data, size, max_size);
	while (world_chance(&w, 3));
	return size;
}

#pragma clang attribute pop
