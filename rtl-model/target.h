/* SPDX-License-Identifier: MIT */
/* The configurations of the accelerator that are built, as its capability registers tell them. */
#ifndef TV_RTL_MODEL_TARGET_H
#define TV_RTL_MODEL_TARGET_H

#include <triovit/layout.h>

struct tv_target {
	const char *name;
	uint16_t id; /* enum tv_target_id */
	uint16_t groups; /* of (8 + 8) lanes x 8 multipliers, MAT + R-MAC; a power of two */
	uint16_t epilogue_lanes; /* outputs that leave the epilogue in a cycle */
	uint16_t clock_mhz;
	uint32_t onchip; /* bytes: operands and streamed weights share them */
	uint32_t dram_mb_s; /* 10^6 bytes a second, both directions together */
	/* How the load and store DMA meets it, see tv_target_set_dma(). */
	uint16_t dram_burst; /* bytes of the longest */
	uint16_t dram_outstanding; /* bursts on their way, at most 64 */
	uint16_t dram_latency; /* cycles from a burst's issue to its first byte */
};

/* The DMA that a target has unless it says something else: 16 bursts of 1 KiB (256 bytes on each of
 * four ports), 300 ns to the first byte. */
static inline void tv_target_set_dma(struct tv_target *target)
{
	target->dram_burst = 1024;
	target->dram_outstanding = 16;
	target->dram_latency = (uint16_t)((target->clock_mhz * 3u + 9) / 10);
}

/* A group multiplies a block of 16 outputs, half on each engine, by 8 inputs in a cycle. */
#define TV_GROUP_MULTIPLIERS TV_BLOCK_STEP

static inline uint32_t tv_target_multipliers(const struct tv_target *target)
{
	return (uint32_t)target->groups * TV_GROUP_MULTIPLIERS;
}

/* log2 of the groups: the largest split of a stage. */
unsigned int tv_target_split_max(const struct tv_target *target);

/* NULL if there is none. */
const struct tv_target *tv_target_by_name(const char *name);
const struct tv_target *tv_target_by_id(uint16_t id);
/* The built-in ones in order of their ids; NULL behind the last. */
const struct tv_target *tv_target_at(unsigned int index);
/* Where a built-in one stands there. */
unsigned int tv_target_index(const struct tv_target *target);

#endif
