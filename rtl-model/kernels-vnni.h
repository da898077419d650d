/* SPDX-License-Identifier: MIT */
/*
 * vpdpbusd on vectors of 256 bits: four products of uint8 and int8 to an int32, without saturation
 * in between. Sums may go round the int32; what the bias takes off again brings them back. The
 * instruction has two encodings, of AVX-VNNI and of AVX-512; the file of a kernel set includes this
 * behind its own ymm_multiply_add().
 */
#define ELEMENT 1

static void widen(const uint8_t *bytes, size_t count, uint8_t flip, void *ret)
{
	const __m128i flips = _mm_set1_epi8((char)flip);
	uint8_t *to = ret;
	size_t i = 0;

	for (; i + 16 <= count; i += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(bytes + i));

		_mm_storeu_si128((__m128i *)(to + i), _mm_xor_si128(x, flips));
	}
	for (; i < count; i++)
		to[i] = bytes[i] ^ flip;
}

/* Of outputs 0-3 and 8-11, or 4-7 and 12-15, inputs 0-3 and 4-7. */
static inline void pack_half(const uint8_t *weights, __m256i mask, __m256i ret[2])
{
	__m256 a = _mm256_castsi256_ps(_mm256_and_si256(ymm_load(weights), mask));
	__m256 b = _mm256_castsi256_ps(_mm256_and_si256(ymm_load(weights + 64), mask));

	ret[0] = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88));
	ret[0] = _mm256_permute4x64_epi64(ret[0], 0xd8);
	ret[1] = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));
	ret[1] = _mm256_permute4x64_epi64(ret[1], 0xd8);
}

static void pack(const uint8_t *weights, size_t stride, uint32_t reduction, void *ret,
		 int32_t *sums)
{
	const __m256i ones = _mm256_set1_epi8(1);
	__m256i low_sums = _mm256_setzero_si256(), high_sums = low_sums;
	uint8_t *to = ret;

	for (uint32_t i = 0; i < reduction; i += TV_LANE_INPUTS, weights += stride) {
		uint32_t left = reduction - i, units = left <= 4 ? 1 : 2;
		uint64_t bytes = left < 8 ? (UINT64_C(1) << 8 * left) - 1 : UINT64_MAX;
		__m256i mask = _mm256_set1_epi64x((long long)bytes);
		__m256i low[2], high[2];

		ymm_prefetch_block(weights);
		pack_half(weights, mask, low);
		pack_half(weights + 32, mask, high);
		for (uint32_t unit = 0; unit < units; unit++, to += 64) {
			ymm_store(to, low[unit]);
			ymm_store(to + 32, high[unit]);
			low_sums = ymm_multiply_add(low_sums, ones, low[unit]);
			high_sums = ymm_multiply_add(high_sums, ones, high[unit]);
		}
	}
	ymm_store(sums, low_sums);
	ymm_store(sums + 8, high_sums);
}

#include "rtl-model/kernels-ymm-dense.h"

#define VNNI_KERNELS(set)                                                                          \
	{                                                                                          \
		.name = set, .order = ymm_order, .unit = 4, .element = ELEMENT, .flip = 0x80,      \
		.rows = ROWS, .widen = widen, .pack = pack, .dense = dense, .together = 2,         \
		.depthwise = depthwise, .finish = finish, .attention = attention,                  \
	}
