/* SPDX-License-Identifier: MIT */
/* What the other sets have to compute, and what there is where none of them is. */
#include <string.h>

#include "rtl-model/functional-private.h"

#define UNIT TV_LANE_INPUTS

static const uint8_t in_order[TV_BLOCK_OUTPUTS] = { 0, 1, 2,  3,  4,  5,  6,  7,
						    8, 9, 10, 11, 12, 13, 14, 15 };

/* int16 is what the vector units of most processors multiply and add in one instruction. */
static void widen(const uint8_t *restrict bytes, size_t count, uint8_t flip, void *restrict ret)
{
	int16_t *to = ret;

	for (size_t i = 0; i < count; i++)
		to[i] = (int8_t)(bytes[i] ^ flip);
}

/* To [16][reduction in whole units]. */
static void pack(const uint8_t *weights, size_t stride, uint32_t reduction, void *ret,
		 int32_t *sums)
{
	int16_t *to = ret;

	for (uint32_t o = 0; o < TV_BLOCK_OUTPUTS; o++, weights += UNIT)
		for (uint32_t i = 0; i < reduction; i += UNIT, to += UNIT)
			for (uint32_t j = 0; j < UNIT; j++)
				to[j] = (int8_t)weights[i / UNIT * stride + j];
}

/* Four rows of weights share the loads of a patch. */
static void dense(const void *patches, size_t pitch, uint32_t rows, const void *weights,
		  uint32_t units, const struct tv_block *block, int32_t *restrict ret)
{
	const size_t count = (size_t)units * UNIT;

	for (uint32_t o = 0; o < TV_BLOCK_OUTPUTS; o += 4) {
		const int16_t *restrict x = patches;
		const int16_t *restrict w0 = (const int16_t *)weights + o * count;
		const int16_t *restrict w1 = w0 + count, *restrict w2 = w1 + count;
		const int16_t *restrict w3 = w2 + count;
		int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;

		for (size_t i = 0; i < count; i++) {
			sum0 += x[i] * w0[i];
			sum1 += x[i] * w1[i];
			sum2 += x[i] * w2[i];
			sum3 += x[i] * w3[i];
		}
		ret[o] = sum0;
		ret[o + 1] = sum1;
		ret[o + 2] = sum2;
		ret[o + 3] = sum3;
	}
}

static void depthwise(const uint8_t *const *pixels, size_t offset, uint32_t count, uint32_t taps,
		      const int16_t *weights, const struct tv_block *block, int32_t *restrict ret)
{
	for (uint32_t p = 0; p < count; p++, pixels += taps, ret += TV_BLOCK_OUTPUTS) {
		for (uint32_t c = 0; c < TV_BLOCK_OUTPUTS; c++)
			ret[c] = 0;
		for (uint32_t t = 0; t < taps; t++) {
			const uint8_t *x = pixels[t] + offset;
			const int16_t *w = weights + (size_t)t * TV_BLOCK_OUTPUTS;

			for (uint32_t c = 0; c < TV_BLOCK_OUTPUTS; c++)
				ret[c] += (int8_t)x[c] * w[c];
		}
	}
}

/* docs/numerics.md, section 3, as it stands there. */
static void finish(const struct tv_epilogue *epilogue, const struct tv_block *block,
		   const int32_t *accumulators, uint32_t rows, uint32_t pixel, uint8_t *output,
		   size_t pitch)
{
	for (uint32_t r = 0; r < rows; r++, accumulators += TV_BLOCK_OUTPUTS, output += pitch)
		tv_epilogue_channels(epilogue, block->first, block->lanes, accumulators, pixel + r,
				     output);
}

/* --- attention ------------------------------------------------------------------------------ */

/* ret += factor * row */
static void add_row(int16_t factor, const int16_t *restrict row, uint32_t dim,
		    int32_t *restrict ret)
{
	for (uint32_t i = 0; i < dim; i++)
		ret[i] += factor * row[i];
}

static void sum_tokens(const struct tv_attention *head, int32_t *sums)
{
	const uint8_t *token = head->input;
	struct tv_attention_memory *memory = head->memory;
	uint32_t dim = head->dim;

	memset(memory->products, 0, (size_t)dim * dim * sizeof(*memory->products));
	for (uint32_t t = 0; t < head->tokens; t++, token += head->input_pitch) {
		for (uint32_t i = 0; i < dim; i++) {
			memory->keys[i] = tv_relu((int8_t)token[dim + i]);
			memory->values[i] = (int8_t)token[2 * dim + i];
		}
		for (uint32_t i = 0; i < dim; i++) {
			add_row(memory->keys[i], memory->values, dim, memory->products + i * dim);
			sums[i] += memory->keys[i];
		}
	}
}

static void divide_token(const struct tv_attention *head, const int8_t *sums, const uint8_t *token,
			 uint8_t *output)
{
	const struct tv_head *record = head->record;
	struct tv_attention_memory *memory = head->memory;
	int32_t *dividends = memory->dividends, divisor = 0;
	uint32_t dim = head->dim;
	unsigned int k;

	memset(dividends, 0, dim * sizeof(*dividends));
	for (uint32_t i = 0; i < dim; i++) {
		int16_t q = tv_relu((int8_t)token[i]);

		add_row(q, memory->factors + i * dim, dim, dividends);
		divisor += q * sums[i];
	}
	k = tv_log2_divisor((uint32_t)divisor, record->log2_base);
	for (uint32_t i = 0; i < dim; i++)
		output[i] = (uint8_t)tv_shift_divide(dividends[i], record->quotient_multiplier,
						     record->quotient_shift, k);
}

/* docs/numerics.md, section 6. */
static void attention(const struct tv_attention *head)
{
	const struct tv_head *record = head->record;
	struct tv_attention_memory *memory = head->memory;
	int32_t sums[TV_HEAD_DIM_MAX] = { 0 };
	int8_t sum_factors[TV_HEAD_DIM_MAX];

	sum_tokens(head, sums);
	for (uint32_t i = 0; i < head->dim * head->dim; i++)
		memory->factors[i] = tv_requantize_head(memory->products[i], record->product_shift,
							record->product_multiplier,
							record->product_narrow);
	for (uint32_t i = 0; i < head->dim; i++)
		sum_factors[i] = tv_requantize_head(sums[i], record->sum_shift,
						    record->sum_multiplier, record->sum_narrow);
	for (uint32_t t = 0; t < head->tokens; t++)
		divide_token(head, sum_factors, head->input + t * head->input_pitch,
			     head->output + t * head->output_pitch);
}

const struct tv_kernels tv_kernels_scalar = {
	.name = "scalar",
	.order = in_order,
	.unit = UNIT,
	.element = 2,
	.rows = 1,
	.widen = widen,
	.pack = pack,
	.dense = dense,
	.together = 1,
	.depthwise = depthwise,
	.finish = finish,
	.attention = attention,
};
