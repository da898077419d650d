/* SPDX-License-Identifier: MIT */
/* For processors without AVX-512. */
#include "rtl-model/kernels-ymm.h"

static inline __m256i ymm_multiply_add(__m256i sums, __m256i x, __m256i weights)
{
	return _mm256_dpbusd_avx_epi32(sums, x, weights);
}

#include "rtl-model/kernels-vnni.h"

const struct tv_kernels tv_kernels_avxvnni = VNNI_KERNELS("avxvnni");
