/* SPDX-License-Identifier: MIT */
/* int16 by int16, added to int32: what every arm64 processor has. */
#include "rtl-model/kernels-neon.h"

#define UNIT 4
#define ROWS 4

static void widen(const uint8_t *restrict bytes, size_t count, uint8_t flip, void *restrict ret)
{
	int16_t *to = ret;

	for (size_t i = 0; i < count; i++)
		to[i] = (int8_t)(bytes[i] ^ flip);
}

/* To [input][16]. */
static void pack(const uint8_t *weights, size_t stride, uint32_t reduction, void *ret,
		 int32_t *sums)
{
	int16_t *to = ret;

	for (uint32_t i = 0; i < tv_divide_up(reduction, UNIT) * UNIT; i++) {
		const uint8_t *from = weights + i / TV_LANE_INPUTS * stride + i % TV_LANE_INPUTS;

		for (uint32_t o = 0; o < TV_BLOCK_OUTPUTS; o++)
			*to++ = (int8_t)from[o * TV_LANE_INPUTS];
	}
}

/* sums + inputs of one patch, of which lane says which, by their weights */
#define ADD_INPUT(lane)                                                                            \
	do {                                                                                       \
		v16 w = v16_load(weights + lane * TV_BLOCK_OUTPUTS);                               \
                                                                                                   \
		for (uint32_t r = 0; r < rows; r++) {                                              \
			sums[r].val[0] = vmlal_lane_s16(sums[r].val[0], vget_low_s16(w.val[0]),    \
							x[r], lane);                               \
			sums[r].val[1] =                                                           \
				vmlal_high_lane_s16(sums[r].val[1], w.val[0], x[r], lane);         \
			sums[r].val[2] = vmlal_lane_s16(sums[r].val[2], vget_low_s16(w.val[1]),    \
							x[r], lane);                               \
			sums[r].val[3] =                                                           \
				vmlal_high_lane_s16(sums[r].val[3], w.val[1], x[r], lane);         \
		}                                                                                  \
	} while (0)

static inline __attribute__((always_inline)) void
dense_rows(const int16_t *patches, size_t pitch, const uint32_t rows, const int16_t *weights,
	   uint32_t units, const struct tv_block *block, int32_t *ret)
{
	w16 sums[ROWS];
	int16x4_t x[ROWS];

	for (uint32_t r = 0; r < rows; r++)
		sums[r] = w16_load(block->bias);
	for (uint32_t i = 0; i < units; i++, patches += UNIT, weights += UNIT * TV_BLOCK_OUTPUTS) {
		for (uint32_t r = 0; r < rows; r++)
			x[r] = vld1_s16(patches + r * pitch);
		ADD_INPUT(0);
		ADD_INPUT(1);
		ADD_INPUT(2);
		ADD_INPUT(3);
	}
	for (uint32_t r = 0; r < rows; r++)
		w16_store(ret + r * TV_BLOCK_OUTPUTS, sums[r]);
}

#include "rtl-model/kernels-rows.h"

const struct tv_kernels tv_kernels_neon = {
	.name = "neon",
	.order = neon_order,
	.unit = UNIT,
	.element = 2,
	.rows = ROWS,
	.widen = widen,
	.pack = pack,
	.dense = dense,
	.together = 1,
	.depthwise = depthwise,
	.finish = finish,
	.attention = attention,
};
