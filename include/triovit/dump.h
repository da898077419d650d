/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A job with all that it needs to run again: what the kernel keeps of one that went wrong, and what
 * "triovit-sim replay" executes. A header, the job's descriptor and record as the accelerator has
 * seen and written them, then the bytes of its segments, in order, each at the next multiple of 64
 * from TV_DUMP_SEGMENTS on. Everything is little-endian.
 */
#ifndef TRIOVIT_DUMP_H
#define TRIOVIT_DUMP_H

#include <triovit/regs.h>

#define TV_DUMP_MAGIC	   0x504d4454u /* "TDMP" */
#define TV_DUMP_VERSION	   1
#define TV_DUMP_REGISTERS  24 /* the first of the window */
#define TV_DUMP_DESCRIPTOR 256 /* where it lies */
#define TV_DUMP_RECORD	   512
#define TV_DUMP_SEGMENTS   1024
#define TV_DUMP_ALIGNMENT  64

/* What a dump begins with. */
#define TV_DUMP_HEADER_SIZE 256
struct tv_dump_header {
	uint32_t magic;
	uint32_t version;
	int32_t status; /* of the job, a negative errno; see struct drm_triovit_record */
	uint32_t recorded; /* 1: there is a record; 0: the job was given up without one */
	uint32_t watchdog; /* cycles it was allowed, 0: any */
	/* What the registers were. Those from TV_REG_TARGET to TV_REG_LIMITS say on which
	 * configuration it ran. */
	uint32_t registers[TV_DUMP_REGISTERS];
};

static inline void tv_encode_dump_header(const struct tv_dump_header *from, uint8_t *ret)
{
	unsigned int i;

	for (i = 0; i < TV_DUMP_HEADER_SIZE; i++)
		ret[i] = 0;
	tv_put32(ret, from->magic);
	tv_put32(ret + 4, from->version);
	tv_put32(ret + 8, (uint32_t)from->status);
	tv_put32(ret + 12, from->recorded);
	tv_put32(ret + 16, from->watchdog);
	for (i = 0; i < TV_DUMP_REGISTERS; i++)
		tv_put32(ret + 64 + 4 * i, from->registers[i]);
}

static inline void tv_decode_dump_header(const uint8_t *bytes, struct tv_dump_header *ret)
{
	unsigned int i;

	ret->magic = tv_get32(bytes);
	ret->version = tv_get32(bytes + 4);
	ret->status = (int32_t)tv_get32(bytes + 8);
	ret->recorded = tv_get32(bytes + 12);
	ret->watchdog = tv_get32(bytes + 16);
	for (i = 0; i < TV_DUMP_REGISTERS; i++)
		ret->registers[i] = tv_get32(bytes + 64 + 4 * i);
}

/* Where the bytes of a segment begin; of one behind the last: how long the dump is. */
static inline uint64_t tv_dump_segment(const struct tv_descriptor *job, unsigned int segment)
{
	uint64_t at = TV_DUMP_SEGMENTS;
	unsigned int i;

	for (i = 0; i < segment; i++)
		at += ((uint64_t)job->segment[i].size + TV_DUMP_ALIGNMENT - 1) &
		      ~(uint64_t)(TV_DUMP_ALIGNMENT - 1);
	return at;
}

#endif
