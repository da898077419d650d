/* SPDX-License-Identifier: MIT */
/* What the arm64 kernel sets share. Channels of an accumulator are in order. */
#include <arm_neon.h>
#include <string.h>

#include "rtl-model/kernels.h"

static const uint8_t neon_order[TV_BLOCK_OUTPUTS] = { 0, 1, 2,	3,  4,	5,  6,	7,
						      8, 9, 10, 11, 12, 13, 14, 15 };

typedef int16x8x2_t v16;
typedef int32x4x4_t w16;

static inline w16 w16_load(const int32_t *from)
{
	return (w16){ { vld1q_s32(from), vld1q_s32(from + 4), vld1q_s32(from + 8),
			vld1q_s32(from + 12) } };
}

static inline void w16_store(int32_t *to, w16 a)
{
	for (unsigned int i = 0; i < 4; i++)
		vst1q_s32(to + 4 * i, a.val[i]);
}

static inline w16 w16_add(w16 a, w16 b)
{
	for (unsigned int i = 0; i < 4; i++)
		a.val[i] = vaddq_s32(a.val[i], b.val[i]);
	return a;
}

static inline w16 w16_shift_right(w16 a, w16 counts)
{
	for (unsigned int i = 0; i < 4; i++)
		a.val[i] = vshlq_s32(a.val[i], vnegq_s32(counts.val[i]));
	return a;
}

static inline v16 w16_saturate(w16 a)
{
	return (v16){ { vqmovn_high_s32(vqmovn_s32(a.val[0]), a.val[1]),
			vqmovn_high_s32(vqmovn_s32(a.val[2]), a.val[3]) } };
}

static inline v16 v16_load(const int16_t *from)
{
	return (v16){ { vld1q_s16(from), vld1q_s16(from + 8) } };
}

static inline v16 v16_all(int16_t value)
{
	return (v16){ { vdupq_n_s16(value), vdupq_n_s16(value) } };
}

#define V16_OF_TWO(name, instruction)                                                              \
	static inline v16 v16_##name(v16 a, v16 b)                                                 \
	{                                                                                          \
		return (v16){ { instruction(a.val[0], b.val[0]),                                   \
				instruction(a.val[1], b.val[1]) } };                               \
	}

V16_OF_TWO(max, vmaxq_s16)
V16_OF_TWO(min, vminq_s16)
V16_OF_TWO(and, vandq_s16)
V16_OF_TWO(add_saturated, vqaddq_s16)
V16_OF_TWO(subtract_saturated, vqsubq_s16)
V16_OF_TWO(multiply15, vqrdmulhq_s16)

static inline v16 v16_shift_left(v16 a, unsigned int count)
{
	int16x8_t by = vdupq_n_s16((int16_t)count);

	return (v16){ { vshlq_s16(a.val[0], by), vshlq_s16(a.val[1], by) } };
}

static inline v16 v16_widen(const uint8_t *from)
{
	int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(from));

	return (v16){ { vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes) } };
}

static inline void v16_store(uint8_t *to, v16 a)
{
	vst1q_u8(to, vreinterpretq_u8_s16(a.val[0]));
	vst1q_u8(to + 16, vreinterpretq_u8_s16(a.val[1]));
}

static inline void v16_store_narrow(uint8_t *to, v16 a)
{
	vst1q_u8(to, vreinterpretq_u8_s8(vqmovn_high_s16(vqmovn_s16(a.val[0]), a.val[1])));
}

#include "rtl-model/kernels-finish.h"

static void depthwise(const uint8_t *const *pixels, size_t offset, uint32_t count, uint32_t taps,
		      const int16_t *weights, const struct tv_block *block, int32_t *ret)
{
	for (uint32_t p = 0; p < count; p++, pixels += taps, ret += TV_BLOCK_OUTPUTS) {
		w16 sums = w16_load(block->bias);

		for (uint32_t t = 0; t < taps; t++) {
			v16 x = v16_widen(pixels[t] + offset);
			v16 w = v16_load(weights + t * TV_BLOCK_OUTPUTS);

			for (unsigned int i = 0; i < 2; i++) {
				sums.val[2 * i] = vmlal_s16(sums.val[2 * i], vget_low_s16(x.val[i]),
							    vget_low_s16(w.val[i]));
				sums.val[2 * i + 1] =
					vmlal_high_s16(sums.val[2 * i + 1], x.val[i], w.val[i]);
			}
		}
		w16_store(ret, sums);
	}
}
