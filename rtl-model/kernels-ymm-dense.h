/* SPDX-License-Identifier: MIT */
/*
 * dense() on vectors of 256 bits, for the file of a kernel set to include behind its own
 *
 *	ELEMENT: bytes of a patch's; a unit is four bytes
 *	ymm_multiply_add(sums, x, weights): with a unit of a patch eight times in x
 */
#define ROWS 6 /* accumulators, weights and a patch take 15 of 16 registers */

/* Sums are variables by name: gcc keeps an array of them in memory. */
#define EACH_ROW(do)                                                                               \
	do                                                                                         \
	(0) do(1) do(2) do(3) do(4) do(5)

#define BEGIN_ROW(r) __m256i low##r = ymm_load(block->bias), high##r = ymm_load(block->bias + 8);

#define ADD_TO_ROW(r)                                                                              \
	if (r < rows) {                                                                            \
		__m256i x = ymm_unit(patches + r * pitch);                                         \
                                                                                                   \
		low##r = ymm_multiply_add(low##r, x, low);                                         \
		high##r = ymm_multiply_add(high##r, x, high);                                      \
	}

#define END_ROW(r)                                                                                 \
	if (r < rows) {                                                                            \
		ymm_store(ret + r * TV_BLOCK_OUTPUTS, low##r);                                     \
		ymm_store(ret + r * TV_BLOCK_OUTPUTS + 8, high##r);                                \
	}

static inline __attribute__((always_inline)) void
dense_rows(const uint8_t *patches, size_t pitch, const uint32_t rows, const uint8_t *weights,
	   uint32_t units, const struct tv_block *block, int32_t *ret)
{
	EACH_ROW(BEGIN_ROW)

	pitch *= ELEMENT;
	for (uint32_t i = 0; i < units; i++, patches += 4, weights += 64) {
		__m256i low = ymm_load(weights), high = ymm_load(weights + 32);

		EACH_ROW(ADD_TO_ROW)
	}
	EACH_ROW(END_ROW)
}

#include "rtl-model/kernels-rows.h"
