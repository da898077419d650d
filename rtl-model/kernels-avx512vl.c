/* SPDX-License-Identifier: MIT */
/* What processors with AVX-VNNI compute, on those with AVX-512, for tests: such a processor is
 * never without the set on vectors of 512 bits. */
#include "rtl-model/kernels-ymm.h"

static inline __m256i ymm_multiply_add(__m256i sums, __m256i x, __m256i weights)
{
	return _mm256_dpbusd_epi32(sums, x, weights);
}

#include "rtl-model/kernels-vnni.h"

const struct tv_kernels tv_kernels_avx512vl = VNNI_KERNELS("avx512vl");
