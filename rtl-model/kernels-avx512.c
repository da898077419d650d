/* SPDX-License-Identifier: MIT */
/* vpdpbusd: four products of uint8 and int8 to an int32, without saturation in between. Sums may go
 * round the int32; what the bias takes off again brings them back. */
#include "rtl-model/kernels-ymm.h"

#define ROWS 12

static inline __m512i zmm_load(const void *from)
{
	return _mm512_loadu_si512(from);
}

static void widen(const uint8_t *bytes, size_t count, uint8_t flip, void *ret)
{
	const __m512i flips = _mm512_set1_epi8((char)flip);
	uint8_t *to = ret;

	for (; count >= 64; count -= 64, bytes += 64, to += 64)
		_mm512_storeu_si512(to, _mm512_xor_si512(zmm_load(bytes), flips));
	if (count) {
		__mmask64 mask = ~0ull >> (64 - count);
		__m512i x = _mm512_maskz_loadu_epi8(mask, bytes);

		_mm512_mask_storeu_epi8(to, mask, _mm512_xor_si512(x, flips));
	}
}

static void pack(const uint8_t *weights, size_t stride, uint32_t reduction, void *ret,
		 int32_t *sums)
{
	/* Inputs 0-3 of each output are dwords 0, 2, 4... */
	const __m512i first =
		_mm512_setr_epi32(0, 2, 4, 6, 16, 18, 20, 22, 8, 10, 12, 14, 24, 26, 28, 30);
	const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(1));
	const __m512i ones = _mm512_set1_epi8(1);
	__m512i total = _mm512_setzero_si512();
	uint8_t *to = ret;

	for (uint32_t i = 0; i < reduction; i += TV_LANE_INPUTS, weights += stride) {
		uint32_t left = reduction - i;
		uint64_t bytes = left < 8 ? (1u << left) - 1 : 0xff;
		__mmask64 mask = bytes * 0x0101010101010101ull;
		__m512i low = _mm512_maskz_loadu_epi8(mask, weights);
		__m512i high = _mm512_maskz_loadu_epi8(mask, weights + 64);
		__m512i packed = _mm512_permutex2var_epi32(low, first, high);

		ymm_prefetch_block(weights);
		_mm512_storeu_si512(to, packed);
		total = _mm512_dpbusd_epi32(total, ones, packed);
		to += 64;
		if (left <= 4)
			break;
		packed = _mm512_permutex2var_epi32(low, second, high);
		_mm512_storeu_si512(to, packed);
		total = _mm512_dpbusd_epi32(total, ones, packed);
		to += 64;
	}
	_mm512_storeu_si512(sums, total);
}

static inline __attribute__((always_inline)) void
dense_rows(const uint8_t *patches, size_t pitch, const uint32_t rows, const uint8_t *weights,
	   uint32_t units, const struct tv_block *block, int32_t *ret)
{
	__m512i sums[ROWS];

	for (uint32_t r = 0; r < rows; r++)
		sums[r] = zmm_load(block->bias);
	for (uint32_t i = 0; i < units; i++, patches += 4, weights += 64) {
		__m512i w = zmm_load(weights);

		for (uint32_t r = 0; r < rows; r++) {
			int four;

			memcpy(&four, patches + r * pitch, sizeof(four));
			sums[r] = _mm512_dpbusd_epi32(sums[r], _mm512_set1_epi32(four), w);
		}
	}
	for (uint32_t r = 0; r < rows; r++)
		_mm512_storeu_si512(ret + r * TV_BLOCK_OUTPUTS, sums[r]);
}

#include "rtl-model/kernels-rows.h"

const struct tv_kernels tv_kernels_avx512 = {
	.name = "avx512",
	.order = ymm_order,
	.unit = 4,
	.element = 1,
	.flip = 0x80,
	.rows = ROWS,
	.widen = widen,
	.pack = pack,
	.dense = dense,
	.together = 2,
	.depthwise = depthwise,
	.finish = finish,
	.attention = attention,
};
