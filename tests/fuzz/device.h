/* SPDX-License-Identifier: MIT */
/*
 * What a driver does to a device, as the bytes that the device's fuzzer works on: one byte says
 * which device it is, then come operations of DEVICE_OP_SIZE bytes each. An input of at most
 * DEVICE_SEED_MAX bytes is short for random operations that mostly make sense: it is the random
 * numbers' seed.
 */
#ifndef TV_TESTS_FUZZ_DEVICE_H
#define TV_TESTS_FUZZ_DEVICE_H

#include "tests/fuzz/executor.h"

#define DEVICE_SEED_MAX 8
#define DEVICE_OP_SIZE	8
#define DEVICE_OPS_MAX	40
#define DEVICE_MAX	(1 + DEVICE_OPS_MAX * DEVICE_OP_SIZE)

/* The first byte: bits 1:0 say which of the built-in targets, 3:2 how long its addresses are. */
#define DEVICE_THREADS 0x10 /* jobs are computed beside everything else */
#define DEVICE_UNPLUG  0x20 /* the device is freed as it is, whatever it does */
#define DEVICE_CYCLE   0x40 /* jobs are computed by the cycle model */

enum device_op_kind {
	DEVICE_READ, /* 4a + b: offset; with b's highest bit far beyond the window */
	DEVICE_WRITE, /* likewise; c: value */
	DEVICE_RINGS, /* sets rings up; a: DEVICE_RINGS_..., b: jobs that are there, c: first index
		       */
	DEVICE_DESCRIBE, /* the job of slot a behind TAIL + b; c: its number; DEVICE_DESCRIBE_... */
	DEVICE_BELL, /* TAIL += (int8_t)a */
	DEVICE_ALTER, /* a word of the descriptor TAIL + (int8_t)a, at b; b's highest bit: = c, += c
		       */
	DEVICE_PROGRAM, /* slot a gets another job; b: opcode, 0: the golden job; c: seed */
	DEVICE_CHANGE, /* a field of slot a's job; c: seed */
	DEVICE_SCRIBBLE, /* on b bytes of memory, region a; c: seed */
	DEVICE_SHORTEN, /* memory answers for b bytes of region a only */
	DEVICE_TIME, /* goes by; a: DEVICE_TIME_..., c: cycles, shifted left by b */
	DEVICE_FINISH, /* until the device waits for nothing */
	DEVICE_COMPUTE, /* now what has to be computed; a: from now on 0 at once, 1 as late as may
			   be */
	DEVICE_RESET, /* a: 1: and waits for its end */
	DEVICE_OP_KINDS,
};

#define DEVICE_RINGS_ORDER	  3 /* bits: log2 of the entries, less one */
#define DEVICE_RINGS_TOP	  4 /* at the end of the addresses */
#define DEVICE_RINGS_SWAPPED	  8 /* records first */
#define DEVICE_RINGS_IDLE	  16 /* switches off and waits before */
#define DEVICE_RINGS_ONLY	  32 /* does not switch on */
#define DEVICE_RINGS_OFF_SUBMIT	  64 /* by (b >> 8) * 64 bytes, with a sign */
#define DEVICE_RINGS_OFF_COMPLETE 128

#define DEVICE_DESCRIBE_SLOT  1 /* bit */
#define DEVICE_DESCRIBE_BELL  2 /* and rings the doorbell */
#define DEVICE_DESCRIBE_CHAIN 4 /* its input is the other slot's output */
#define DEVICE_DESCRIBE_TOP   8 /* a segment lies at the end of the addresses, or beyond */

#define DEVICE_TIME_CYCLES  0
#define DEVICE_TIME_NEXT    1 /* to when the device wants to be called, and calls it */
#define DEVICE_TIME_BEFORE  2 /* to one cycle before that */
#define DEVICE_TIME_SILENCE 3 /* as CYCLES, but the device is not told */

struct device_op {
	uint8_t kind, a;
	uint16_t b;
	uint32_t c;
};

static inline struct device_op device_op_get(const uint8_t *bytes)
{
	return (struct device_op){
		.kind = bytes[0] % DEVICE_OP_KINDS,
		.a = bytes[1],
		.b = tv_get16(bytes + 2),
		.c = tv_get32(bytes + 4),
	};
}

static inline void device_op_put(const struct device_op *op, uint8_t *ret)
{
	ret[0] = op->kind;
	ret[1] = op->a;
	tv_put16(ret + 2, op->b);
	tv_put32(ret + 4, op->c);
}

/* Where memory lies: rings, the last bytes that addresses reach, and the segments of slots 0 and 1,
 * whose jobs the operations deal with, and of slot 2, which has the golden job at the end. */
#define DEVICE_RINGS_AT		  0x10000u
#define DEVICE_RINGS_ENTRIES	  8
#define DEVICE_TOP_SIZE		  0x1000
#define DEVICE_SLOTS		  3
#define DEVICE_SLOT_AT(slot, i)	  (((slot) + 1u) << 24 | (uint32_t)(i) << 20)
#define DEVICE_REGION_RINGS	  0
#define DEVICE_REGION_TOP	  1
#define DEVICE_REGION_OF(slot, i) (2u + (slot)*TV_SEGMENT_COUNT + (i))
#define DEVICE_REGIONS		  DEVICE_REGION_OF(DEVICE_SLOTS, 0)

/* What a short input is short for. Returns the size, at most DEVICE_MAX. */
size_t device_expand(const uint8_t *input, size_t size, uint8_t *ret);

#endif
