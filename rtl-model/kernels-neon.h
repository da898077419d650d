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

/* --- attention: docs/numerics.md, section 6 ------------------------------------------------- */

#define NEON_ROWS 4

/* ret[4][8] += rows[count][4]^T * columns[count][8] */
static inline void neon_multiply(const int16_t *rows, size_t row_pitch, const int16_t *columns,
				 size_t column_pitch, uint32_t count, int32_t *ret, size_t pitch)
{
	int32x4_t low[NEON_ROWS], high[NEON_ROWS];

	for (unsigned int r = 0; r < NEON_ROWS; r++) {
		low[r] = vld1q_s32(ret + r * pitch);
		high[r] = vld1q_s32(ret + r * pitch + 4);
	}
	for (uint32_t i = 0; i < count; i++, rows += row_pitch, columns += column_pitch) {
		int16x4_t x = vld1_s16(rows);
		int16x8_t y = vld1q_s16(columns);

#define ADD(r)                                                                                     \
	low[r] = vmlal_lane_s16(low[r], vget_low_s16(y), x, r);                                    \
	high[r] = vmlal_high_lane_s16(high[r], y, x, r)
		ADD(0);
		ADD(1);
		ADD(2);
		ADD(3);
#undef ADD
	}
	for (unsigned int r = 0; r < NEON_ROWS; r++) {
		vst1q_s32(ret + r * pitch, low[r]);
		vst1q_s32(ret + r * pitch + 4, high[r]);
	}
}

static inline int16x8_t neon_widen(const uint8_t *from)
{
	return vmovl_s8(vreinterpret_s8_u8(vld1_u8(from)));
}

/* All of k^T v, and sums of k. */
static inline void neon_sum_tokens(const struct tv_attention *head, int32_t *sums)
{
	struct tv_attention_memory *memory = head->memory;
	const uint32_t dim = head->dim;

	memset(memory->products, 0, (size_t)dim * dim * sizeof(*memory->products));
	for (uint32_t first = 0; first < head->tokens; first += TV_HEAD_TOKENS) {
		const uint32_t left = head->tokens - first;
		const uint32_t count = left < TV_HEAD_TOKENS ? left : TV_HEAD_TOKENS;
		const uint8_t *token = head->input + first * head->input_pitch;

		for (uint32_t t = 0; t < count; t++, token += head->input_pitch)
			for (uint32_t i = 0; i < dim; i += 8) {
				int16x8_t key =
					vmaxq_s16(neon_widen(token + dim + i), vdupq_n_s16(0));

				vst1q_s16(memory->keys + t * dim + i, key);
				vst1q_s16(memory->values + t * dim + i,
					  neon_widen(token + 2 * dim + i));
				vst1q_s32(sums + i,
					  vaddw_s16(vld1q_s32(sums + i), vget_low_s16(key)));
				vst1q_s32(sums + i + 4,
					  vaddw_high_s16(vld1q_s32(sums + i + 4), key));
			}
		for (uint32_t i = 0; i < dim; i += NEON_ROWS)
			for (uint32_t j = 0; j < dim; j += 8)
				neon_multiply(memory->keys + i, dim, memory->values + j, dim, count,
					      memory->products + i * dim + j, dim);
	}
}

/* tv_requantize_head(), 8 times. A rounding shift to the right is one to the left by less than
 * none, and exact. */
static inline int16x8_t neon_requantize(const int32_t *from, unsigned int shift, int16_t multiplier,
					unsigned int narrow)
{
	const int32x4_t by = vdupq_n_s32(-(int32_t)shift);
	int16x8_t t = vqmovn_high_s32(vqmovn_s32(vrshlq_s32(vld1q_s32(from), by)),
				      vrshlq_s32(vld1q_s32(from + 4), by));

	t = vrshlq_s16(vqrdmulhq_n_s16(t, multiplier), vdupq_n_s16((int16_t) - (int)narrow));
	return vmovl_s8(vqmovn_s16(t));
}

/* tv_shift_divide(), 4 times; shift is negative. */
static inline int16x4_t neon_divide(int32x4_t dividends, int32x2_t multiplier, int64x2_t shift)
{
	int64x2_t low = vmull_s32(vget_low_s32(dividends), multiplier);
	int64x2_t high = vmull_s32(vget_high_s32(dividends), multiplier);

	return vqmovn_s32(
		vqmovn_high_s64(vqmovn_s64(vrshlq_s64(low, shift)), vrshlq_s64(high, shift)));
}

static inline void neon_divide_token(const struct tv_head *record, uint32_t divisor,
				     const int32_t *dividends, uint32_t dim, uint8_t *output)
{
	unsigned int shift = record->quotient_shift + tv_log2_divisor(divisor, record->log2_base);
	const int32x2_t multiplier = vdup_n_s32(record->quotient_multiplier);
	const int64x2_t by = vdupq_n_s64(-(int64_t)shift);

	for (uint32_t i = 0; i < dim; i += 8) {
		int16x4_t low = neon_divide(vld1q_s32(dividends + i), multiplier, by);
		int16x4_t high = neon_divide(vld1q_s32(dividends + i + 4), multiplier, by);

		vst1_s8((int8_t *)output + i, vqmovn_s16(vcombine_s16(low, high)));
	}
}

/* 4 tokens or fewer. */
static inline void neon_divide_tokens(const struct tv_attention *head, const int16_t *sums,
				      uint32_t first, uint32_t count)
{
	struct tv_attention_memory *memory = head->memory;
	const uint32_t dim = head->dim;
	int16_t *queries = memory->keys; /* [dim][4] */

	memset(queries, 0, (size_t)dim * NEON_ROWS * sizeof(*queries));
	for (uint32_t t = 0; t < count; t++) {
		const uint8_t *q = head->input + (first + t) * head->input_pitch;

		for (uint32_t i = 0; i < dim; i++)
			queries[i * NEON_ROWS + t] = tv_relu((int8_t)q[i]);
	}
	memset(memory->dividends, 0, (size_t)NEON_ROWS * dim * sizeof(*memory->dividends));
	for (uint32_t j = 0; j < dim; j += 8)
		neon_multiply(queries, NEON_ROWS, memory->factors + j, dim, dim,
			      memory->dividends + j, dim);
	for (uint32_t t = 0; t < count; t++) {
		int32_t divisor = 0;

		for (uint32_t i = 0; i < dim; i++)
			divisor += queries[i * NEON_ROWS + t] * sums[i];
		neon_divide_token(head->record, (uint32_t)divisor, memory->dividends + t * dim, dim,
				  head->output + (first + t) * head->output_pitch);
	}
}

static void attention(const struct tv_attention *head)
{
	const struct tv_head *record = head->record;
	struct tv_attention_memory *memory = head->memory;
	int32_t sums[TV_HEAD_DIM_MAX] = { 0 };
	int16_t factors[TV_HEAD_DIM_MAX];

	neon_sum_tokens(head, sums);
	for (uint32_t i = 0; i < head->dim * head->dim; i += 8)
		vst1q_s16(memory->factors + i,
			  neon_requantize(memory->products + i, record->product_shift,
					  record->product_multiplier, record->product_narrow));
	for (uint32_t i = 0; i < head->dim; i += 8)
		vst1q_s16(factors + i, neon_requantize(sums + i, record->sum_shift,
						       record->sum_multiplier, record->sum_narrow));
	for (uint32_t t = 0; t < head->tokens; t += NEON_ROWS) {
		uint32_t left = head->tokens - t;

		neon_divide_tokens(head, factors, t, left < NEON_ROWS ? left : NEON_ROWS);
	}
}
