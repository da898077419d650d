/* SPDX-License-Identifier: MIT */
/*
 * What the x86 kernel sets share, on vectors of 256 bits. In an accumulator's two vectors the
 * channels are 0-3, 8-11 and 4-7, 12-15: unpack and pack instructions work within halves of 128
 * bits, and so the channels of what is packed are in order.
 */
#include <immintrin.h>
#include <string.h>

#include "rtl-model/kernels.h"

static const uint8_t ymm_order[TV_BLOCK_OUTPUTS] = { 0, 1, 2, 3, 8,  9,	 10, 11,
						     4, 5, 6, 7, 12, 13, 14, 15 };

typedef __m256i v16;
typedef struct {
	__m256i low, high;
} w16;

static inline __m256i ymm_load(const void *from)
{
	return _mm256_loadu_si256((const __m256i *)from);
}

static inline void ymm_store(void *to, __m256i value)
{
	_mm256_storeu_si256((__m256i *)to, value);
}

static inline __m128i ymm_bytes(const uint8_t *from)
{
	return _mm_loadl_epi64((const __m128i *)from);
}

static inline w16 w16_load(const int32_t *from)
{
	return (w16){ ymm_load(from), ymm_load(from + 8) };
}

static inline w16 w16_add(w16 a, w16 b)
{
	return (w16){ _mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high) };
}

static inline w16 w16_shift_right(w16 a, w16 counts)
{
	return (w16){ _mm256_srav_epi32(a.low, counts.low),
		      _mm256_srav_epi32(a.high, counts.high) };
}

static inline v16 w16_saturate(w16 a)
{
	return _mm256_packs_epi32(a.low, a.high);
}

static inline v16 v16_load(const int16_t *from)
{
	return ymm_load(from);
}

static inline v16 v16_all(int16_t value)
{
	return _mm256_set1_epi16(value);
}

static inline v16 v16_max(v16 a, v16 b)
{
	return _mm256_max_epi16(a, b);
}

static inline v16 v16_min(v16 a, v16 b)
{
	return _mm256_min_epi16(a, b);
}

static inline v16 v16_and(v16 a, v16 b)
{
	return _mm256_and_si256(a, b);
}

static inline v16 v16_add_saturated(v16 a, v16 b)
{
	return _mm256_adds_epi16(a, b);
}

static inline v16 v16_subtract_saturated(v16 a, v16 b)
{
	return _mm256_subs_epi16(a, b);
}

static inline v16 v16_shift_left(v16 a, unsigned int count)
{
	return _mm256_sll_epi16(a, _mm_cvtsi32_si128((int)count));
}

static inline v16 v16_multiply15(v16 a, v16 b)
{
	return _mm256_mulhrs_epi16(a, b);
}

static inline v16 v16_widen(const uint8_t *from)
{
	return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)from));
}

static inline void v16_store(uint8_t *to, v16 a)
{
	ymm_store(to, a);
}

static inline void v16_store_narrow(uint8_t *to, v16 a)
{
	__m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));

	_mm_storeu_si128((__m128i *)to, bytes);
}

/* Blocks of a pass lie beside each other, so the processor sees no stream that it could follow. */
static inline void ymm_prefetch_block(const uint8_t *weights)
{
	_mm_prefetch(weights + TV_BLOCK_STEP, _MM_HINT_T1);
	_mm_prefetch(weights + TV_BLOCK_STEP + 64, _MM_HINT_T1);
}

#include "rtl-model/kernels-finish.h"

/* sums + x * weights, of two taps */
static inline w16 ymm_add_taps(w16 sums, __m256i first, __m256i second, const int16_t *weights)
{
	__m256i low = _mm256_unpacklo_epi16(first, second);
	__m256i high = _mm256_unpackhi_epi16(first, second);

	sums.low = _mm256_add_epi32(sums.low, _mm256_madd_epi16(low, ymm_load(weights)));
	sums.high = _mm256_add_epi32(sums.high, _mm256_madd_epi16(high, ymm_load(weights + 16)));
	return sums;
}

static void depthwise(const uint8_t *const *pixels, size_t offset, uint32_t count, uint32_t taps,
		      const int16_t *weights, const struct tv_block *block, int32_t *ret)
{
	for (uint32_t p = 0; p < count; p++, pixels += taps, ret += TV_BLOCK_OUTPUTS) {
		const int16_t *pair = weights;
		w16 sums = w16_load(block->bias);
		uint32_t t = 0;

		for (; t + 1 < taps; t += 2, pair += 2 * TV_BLOCK_OUTPUTS)
			sums = ymm_add_taps(sums, v16_widen(pixels[t] + offset),
					    v16_widen(pixels[t + 1] + offset), pair);
		/* Kernels are odd. */
		sums = ymm_add_taps(sums, v16_widen(pixels[t] + offset), _mm256_setzero_si256(),
				    pair);
		ymm_store(ret, sums.low);
		ymm_store(ret + 8, sums.high);
	}
}

/* --- attention ------------------------------------------------------------------------------ */

#define EACH_OF_8(do)                                                                              \
	do                                                                                         \
	(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7)

/* Operands of a product of 8 rows and 8 columns over pairs of int16. */
struct ymm_product {
	const int16_t *rows; /* pairs of one row row_pitch elements after those of another */
	size_t row_pitch, row_step; /* row_step: from pair to pair */
	const int16_t *columns; /* 8 pairs together */
	size_t column_step;
	uint32_t pairs;
};

/* Four bytes, eight times. */
static inline __m256i ymm_unit(const void *from)
{
	int unit;

	memcpy(&unit, from, sizeof(unit));
	return _mm256_set1_epi32(unit);
}

/* ret += the product; its rows are pitch elements apart. The sums have names: gcc would keep an
 * array of them in memory. */
static inline void ymm_multiply(const struct ymm_product *product, int32_t *ret, size_t pitch)
{
	const int16_t *row = product->rows, *columns = product->columns;

#define BEGIN(r) __m256i sum##r = ymm_load(ret + r * pitch);
	EACH_OF_8(BEGIN)
#undef BEGIN
	for (uint32_t i = 0; i < product->pairs; i++) {
		__m256i column = ymm_load(columns);

#define ADD(r)                                                                                     \
	sum##r = _mm256_add_epi32(                                                                 \
		sum##r, _mm256_madd_epi16(ymm_unit(row + r * product->row_pitch), column));
		EACH_OF_8(ADD)
#undef ADD
		row += product->row_step;
		columns += product->column_step;
	}
#define END(r) ymm_store(ret + r * pitch, sum##r);
	EACH_OF_8(END)
#undef END
}

/* 8 channels of two tokens, side by side. */
static inline __m256i ymm_interleave(__m128i first, __m128i second)
{
	return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(first, second));
}

/* Pairs of tokens to keys and values, [pair][dim][2]. Returns how many pairs. */
static inline uint32_t ymm_pair_tokens(const struct tv_attention *head, uint32_t first,
				       uint32_t count, int32_t *sums)
{
	static const uint8_t nothing[3 * TV_HEAD_DIM_MAX];
	const __m128i zero = _mm_setzero_si128();
	int16_t *keys = head->memory->keys, *values = head->memory->values;
	const uint32_t dim = head->dim;

	for (uint32_t t = 0; t < count; t += 2) {
		const uint8_t *a = head->input + (first + t) * head->input_pitch;
		const uint8_t *b = t + 1 < count ? a + head->input_pitch : nothing;

		for (uint32_t i = 0; i < dim; i += 8, keys += 16, values += 16) {
			__m256i pair = ymm_interleave(_mm_max_epi8(ymm_bytes(a + dim + i), zero),
						      _mm_max_epi8(ymm_bytes(b + dim + i), zero));
			__m256i both = _mm256_madd_epi16(pair, _mm256_set1_epi16(1));

			ymm_store(keys, pair);
			ymm_store(sums + i, _mm256_add_epi32(ymm_load(sums + i), both));
			ymm_store(values, ymm_interleave(ymm_bytes(a + 2 * dim + i),
							 ymm_bytes(b + 2 * dim + i)));
		}
	}
	return (count + 1) / 2;
}

static inline void ymm_sum_tokens(const struct tv_attention *head, int32_t *sums)
{
	struct tv_attention_memory *memory = head->memory;
	const uint32_t dim = head->dim;

	memset(memory->products, 0, (size_t)dim * dim * sizeof(*memory->products));
	for (uint32_t t = 0; t < head->tokens; t += TV_HEAD_TOKENS) {
		uint32_t left = head->tokens - t;
		struct ymm_product product = {
			.row_pitch = 2,
			.row_step = 2 * (size_t)dim,
			.column_step = 2 * (size_t)dim,
			.pairs = ymm_pair_tokens(
				head, t, left < TV_HEAD_TOKENS ? left : TV_HEAD_TOKENS, sums),
		};

		for (uint32_t i = 0; i < dim; i += 8)
			for (uint32_t j = 0; j < dim; j += 8) {
				product.rows = memory->keys + 2 * (size_t)i;
				product.columns = memory->values + 2 * (size_t)j;
				ymm_multiply(&product, memory->products + i * dim + j, dim);
			}
	}
}

static inline __m256i ymm_round_shift(__m256i x, unsigned int e)
{
	__m256i half;

	if (!e)
		return x;
	half = _mm256_sra_epi32(x, _mm_cvtsi32_si128((int)e - 1));
	return _mm256_add_epi32(_mm256_sra_epi32(x, _mm_cvtsi32_si128((int)e)),
				_mm256_and_si256(half, _mm256_set1_epi32(1)));
}

static inline __m256i ymm_clamp(__m256i x, int least, int most)
{
	return _mm256_max_epi32(_mm256_min_epi32(x, _mm256_set1_epi32(most)),
				_mm256_set1_epi32(least));
}

/* tv_requantize_head() of a product, 8 times. */
static inline __m256i ymm_requantize_product(const struct tv_head *record, const int32_t *from)
{
	__m256i t =
		ymm_clamp(ymm_round_shift(ymm_load(from), record->product_shift), -32768, 32767);

	t = _mm256_mullo_epi32(t, _mm256_set1_epi32(record->product_multiplier));
	t = _mm256_srai_epi32(_mm256_add_epi32(t, _mm256_set1_epi32(1 << 14)), 15);
	return ymm_clamp(ymm_round_shift(t, record->product_narrow), -128, 127);
}

/* The products to factors, [dim / 2][dim][2]. */
static inline void ymm_requantize_products(const struct tv_attention *head)
{
	const int32_t *row = head->memory->products;
	int16_t *to = head->memory->factors;

	for (uint32_t i = 0; i < head->dim; i += 2, row += 2 * head->dim)
		for (uint32_t j = 0; j < head->dim; j += 8, to += 16) {
			__m256i even = ymm_requantize_product(head->record, row + j);
			__m256i odd = ymm_requantize_product(head->record, row + head->dim + j);

			ymm_store(to, _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xaa));
		}
}

static inline int32_t ymm_divisor(const int16_t *q, const int16_t *sums, uint32_t dim)
{
	__m128i total = _mm_setzero_si128();

	for (uint32_t i = 0; i < dim; i += 8)
		total = _mm_add_epi32(total,
				      _mm_madd_epi16(_mm_loadu_si128((const __m128i *)(q + i)),
						     _mm_loadu_si128((const __m128i *)(sums + i))));
	total = _mm_add_epi32(total, _mm_shuffle_epi32(total, 0x4e));
	total = _mm_add_epi32(total, _mm_shuffle_epi32(total, 0xb1));
	return _mm_cvtsi128_si32(total);
}

static inline __m128i ymm_quotient(__m128i dividends, __m256d factor)
{
	__m256d x = _mm256_mul_pd(_mm256_cvtepi32_pd(dividends), factor);

	x = _mm256_floor_pd(_mm256_add_pd(x, _mm256_set1_pd(0.5)));
	x = _mm256_max_pd(_mm256_min_pd(x, _mm256_set1_pd(127)), _mm256_set1_pd(-128));
	return _mm256_cvttpd_epi32(x);
}

/*
 * tv_shift_divide() of a token. A dividend has at most 32 bits and m 15, so a double holds their
 * product by a power of two exactly. So it does with a half added unless the product is below a
 * quarter, and then the rounding of the sum does not reach the next integer.
 */
static inline void ymm_divide(const struct tv_head *record, int32_t divisor,
			      const int32_t *dividends, uint32_t dim, uint8_t *output)
{
	unsigned int shift =
		record->quotient_shift + tv_log2_divisor((uint32_t)divisor, record->log2_base);
	/* 2^-shift by its exponent's bits */
	__m256d factor = _mm256_castsi256_pd(
		_mm256_set1_epi64x((long long)((uint64_t)(1023 - shift) << 52)));

	factor = _mm256_mul_pd(factor, _mm256_set1_pd(record->quotient_multiplier));
	for (uint32_t i = 0; i < dim; i += 8) {
		const __m128i *from = (const __m128i *)(dividends + i);
		__m128i words = _mm_packs_epi32(ymm_quotient(_mm_loadu_si128(from), factor),
						ymm_quotient(_mm_loadu_si128(from + 1), factor));

		_mm_storel_epi64((__m128i *)(output + i), _mm_packs_epi16(words, words));
	}
}

/* 8 tokens or fewer. */
static inline void ymm_divide_tokens(const struct tv_attention *head, const int16_t *sums,
				     uint32_t first, uint32_t count)
{
	struct tv_attention_memory *memory = head->memory;
	const uint32_t dim = head->dim;
	struct ymm_product product = {
		.rows = memory->keys,
		.row_pitch = dim,
		.row_step = 2,
		.column_step = 2 * (size_t)dim,
		.pairs = dim / 2,
	};

	for (uint32_t t = 0; t < count; t++) {
		const uint8_t *q = head->input + (first + t) * head->input_pitch;

		for (uint32_t i = 0; i < dim; i += 8) {
			__m128i positive = _mm_max_epi8(ymm_bytes(q + i), _mm_setzero_si128());

			_mm_storeu_si128((__m128i *)(memory->keys + t * dim + i),
					 _mm_cvtepi8_epi16(positive));
		}
	}
	memset(memory->dividends, 0, 8 * (size_t)dim * sizeof(*memory->dividends));
	for (uint32_t j = 0; j < dim; j += 8) {
		product.columns = memory->factors + 2 * (size_t)j;
		ymm_multiply(&product, memory->dividends + j, dim);
	}
	for (uint32_t t = 0; t < count; t++)
		ymm_divide(head->record, ymm_divisor(memory->keys + t * dim, sums, dim),
			   memory->dividends + t * dim, dim,
			   head->output + (first + t) * head->output_pitch);
}

static void attention(const struct tv_attention *head)
{
	const struct tv_head *record = head->record;
	int32_t sums[TV_HEAD_DIM_MAX] = { 0 };
	int16_t factors[TV_HEAD_DIM_MAX];

	ymm_sum_tokens(head, sums);
	ymm_requantize_products(head);
	for (uint32_t i = 0; i < head->dim; i++)
		factors[i] = tv_requantize_head(sums[i], record->sum_shift, record->sum_multiplier,
						record->sum_narrow);
	for (uint32_t t = 0; t < head->tokens; t += 8)
		ymm_divide_tokens(head, factors, t, head->tokens - t < 8 ? head->tokens - t : 8);
}
