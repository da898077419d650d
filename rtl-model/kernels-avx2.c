/* SPDX-License-Identifier: MIT */
/* int16 pairs: vpmaddwd adds two products to an int32, and none of it can saturate. */
#include "rtl-model/kernels-ymm.h"

#define ELEMENT 2

static void widen(const uint8_t *bytes, size_t count, uint8_t flip, void *ret)
{
	const __m128i flips = _mm_set1_epi8((char)flip);
	int16_t *to = ret;
	size_t i = 0;

	for (; i + 16 <= count; i += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(bytes + i));

		ymm_store(to + i, _mm256_cvtepi8_epi16(_mm_xor_si128(x, flips)));
	}
	for (; i < count; i++)
		to[i] = (int8_t)(bytes[i] ^ flip);
}

/* The 8 inputs of two outputs. */
static inline __m256i rows_of(const uint8_t *low, const uint8_t *high)
{
	return _mm256_cvtepi8_epi16(_mm_unpacklo_epi64(ymm_bytes(low), ymm_bytes(high)));
}

/* Half of a step: outputs 0-3 and 8-11 of weights, to four pairs of inputs. */
static inline void pack_half(const uint8_t *weights, __m256i ret[4])
{
	__m256i a = rows_of(weights, weights + 64);
	__m256i b = rows_of(weights + 8, weights + 72);
	__m256i c = rows_of(weights + 16, weights + 80);
	__m256i d = rows_of(weights + 24, weights + 88);
	__m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d);

	ret[0] = _mm256_unpacklo_epi64(ab, cd);
	ret[1] = _mm256_unpackhi_epi64(ab, cd);
	ab = _mm256_unpackhi_epi32(a, b);
	cd = _mm256_unpackhi_epi32(c, d);
	ret[2] = _mm256_unpacklo_epi64(ab, cd);
	ret[3] = _mm256_unpackhi_epi64(ab, cd);
}

static void pack(const uint8_t *weights, size_t stride, uint32_t reduction, void *ret,
		 int32_t *sums)
{
	int16_t *to = ret;

	for (uint32_t i = 0; i < reduction; i += TV_LANE_INPUTS, weights += stride) {
		uint32_t left = reduction - i, pairs = left < 8 ? (left + 1) / 2 : 4;
		__m256i low[4], high[4];

		ymm_prefetch_block(weights);
		pack_half(weights, low);
		pack_half(weights + 32, high);
		for (uint32_t pair = 0; pair < pairs; pair++, to += 2 * TV_BLOCK_OUTPUTS) {
			ymm_store(to, low[pair]);
			ymm_store(to + 16, high[pair]);
		}
	}
}

static inline __m256i ymm_multiply_add(__m256i sums, __m256i x, __m256i weights)
{
	return _mm256_add_epi32(sums, _mm256_madd_epi16(x, weights));
}

#include "rtl-model/kernels-ymm-dense.h"

const struct tv_kernels tv_kernels_avx2 = {
	.name = "avx2",
	.order = ymm_order,
	.unit = 2,
	.element = ELEMENT,
	.rows = ROWS,
	.widen = widen,
	.pack = pack,
	.dense = dense,
	.together = 2,
	.depthwise = depthwise,
	.finish = finish,
	.attention = attention,
};
