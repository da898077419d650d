/* SPDX-License-Identifier: MIT */
/* sdot: four products of int8 by int8, added to an int32. */
#include "rtl-model/kernels-neon.h"

#define UNIT 4
#define ROWS 6

static void widen(const uint8_t *restrict bytes, size_t count, uint8_t flip, void *restrict ret)
{
	uint8_t *to = ret;

	for (size_t i = 0; i < count; i++)
		to[i] = bytes[i] ^ flip;
}

/* To [unit][16][4]. */
static void pack(const uint8_t *weights, size_t stride, uint32_t reduction, void *ret,
		 int32_t *sums)
{
	uint8_t *to = ret;

	for (uint32_t i = 0; i < reduction; i += UNIT) {
		const uint8_t *from = weights + i / TV_LANE_INPUTS * stride + i % TV_LANE_INPUTS;

		for (uint32_t o = 0; o < TV_BLOCK_OUTPUTS; o++, to += UNIT)
			memcpy(to, from + o * TV_LANE_INPUTS, UNIT);
	}
}

static inline __attribute__((always_inline)) void
dense_rows(const int8_t *patches, size_t pitch, const uint32_t rows, const int8_t *weights,
	   uint32_t units, const struct tv_block *block, int32_t *ret)
{
	w16 sums[ROWS];

	for (uint32_t r = 0; r < rows; r++)
		sums[r] = w16_load(block->bias);
	for (uint32_t i = 0; i < units; i++, patches += UNIT, weights += UNIT * TV_BLOCK_OUTPUTS) {
		int8x16_t w0 = vld1q_s8(weights), w1 = vld1q_s8(weights + 16);
		int8x16_t w2 = vld1q_s8(weights + 32), w3 = vld1q_s8(weights + 48);

		for (uint32_t r = 0; r < rows; r++) {
			int8x16_t x;
			int32_t four;

			memcpy(&four, patches + r * pitch, sizeof(four));
			x = vreinterpretq_s8_s32(vdupq_n_s32(four));
			sums[r].val[0] = vdotq_s32(sums[r].val[0], w0, x);
			sums[r].val[1] = vdotq_s32(sums[r].val[1], w1, x);
			sums[r].val[2] = vdotq_s32(sums[r].val[2], w2, x);
			sums[r].val[3] = vdotq_s32(sums[r].val[3], w3, x);
		}
	}
	for (uint32_t r = 0; r < rows; r++)
		w16_store(ret + r * TV_BLOCK_OUTPUTS, sums[r]);
}

#include "rtl-model/kernels-rows.h"

const struct tv_kernels tv_kernels_dotprod = {
	.name = "dotprod",
	.order = neon_order,
	.unit = UNIT,
	.element = 1,
	.rows = ROWS,
	.widen = widen,
	.pack = pack,
	.dense = dense,
	.together = 1,
	.depthwise = depthwise,
	.finish = finish,
	.attention = attention,
};
