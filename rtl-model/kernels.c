/* SPDX-License-Identifier: MIT */
#include "common/cleanup.h"
#include "rtl-model/kernels.h"

#ifdef __x86_64__
#include <cpuid.h>

/* What AVX2 needs of the operating system is what AVX-VNNI needs. */
static bool has_avxvnni(void)
{
	unsigned int eax, ebx, ecx, edx;

	return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) &&
	       eax >> 4 & 1;
}

static bool has_avx512vnni(void)
{
	return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
#endif

#ifdef __aarch64__
#include <sys/auxv.h>

#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#endif

struct choice {
	const struct tv_kernels *kernels;
	bool present;
};

const struct tv_kernels *tv_kernels_get(unsigned int index)
{
	const struct choice choices[] = {
#ifdef __x86_64__
		{ &tv_kernels_avx512, __builtin_cpu_supports("avx512bw") && has_avx512vnni() },
		{ &tv_kernels_avxvnni, has_avxvnni() },
		{ &tv_kernels_avx512vl, has_avx512vnni() },
		{ &tv_kernels_avx2, __builtin_cpu_supports("avx2") },
#endif
#ifdef __aarch64__
		{ &tv_kernels_dotprod, getauxval(AT_HWCAP) & HWCAP_ASIMDDP },
		{ &tv_kernels_neon, true },
#endif
		{ &tv_kernels_scalar, true },
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(choices); i++)
		if (choices[i].present && !index--)
			return choices[i].kernels;
	return NULL;
}
