/* SPDX-License-Identifier: MIT */
/* How many multiply-accumulates of 8-bit operands a processor does in a second at most, by each of
 * the ways that are exact: what lies in registers, and nothing else. */
#ifndef TV_BENCH_PEAK_H
#define TV_BENCH_PEAK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum {
	PEAK_MADDWD,
	PEAK_MADDUBSW,
	PEAK_DPBUSD,
	PEAKS
};

static const char *const peak_names[PEAKS] = { "vpmaddwd", "vpmaddubsw+vpmaddwd", "vpdpbusd" };

#define PEAK_LOOPS 60000u

static inline uint64_t peak_clock(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

#ifdef __x86_64__
/* To the compiler the value is another one from here on: what is made of it is made again. */
#define PEAK_HIDE(x) __asm__ volatile("" : "+v"(x))
#define PEAK_SUMS    8

__attribute__((target("avx2"))) static uint64_t peak_maddwd(void)
{
	__m256i sums[PEAK_SUMS] = { _mm256_setzero_si256() }, x = _mm256_set1_epi16(3), w = x;

	for (unsigned int i = 0; i < PEAK_LOOPS; i++) {
#pragma GCC unroll 8
		for (unsigned int j = 0; j < PEAK_SUMS; j++) {
			PEAK_HIDE(x);
			sums[j] = _mm256_add_epi32(sums[j], _mm256_madd_epi16(x, w));
		}
	}
	for (unsigned int j = 0; j < PEAK_SUMS; j++)
		PEAK_HIDE(sums[j]);
	return PEAK_SUMS * 16ull * PEAK_LOOPS;
}

__attribute__((target("avx2"))) static uint64_t peak_maddubsw(void)
{
	__m256i sums[PEAK_SUMS] = { _mm256_setzero_si256() }, x = _mm256_set1_epi8(3), w = x;
	__m256i ones = _mm256_set1_epi16(1);

	for (unsigned int i = 0; i < PEAK_LOOPS; i++) {
#pragma GCC unroll 8
		for (unsigned int j = 0; j < PEAK_SUMS; j++) {
			PEAK_HIDE(x);
			sums[j] = _mm256_add_epi32(
				sums[j], _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), ones));
		}
	}
	for (unsigned int j = 0; j < PEAK_SUMS; j++)
		PEAK_HIDE(sums[j]);
	return PEAK_SUMS * 32ull * PEAK_LOOPS;
}

__attribute__((target("avx512f,avx512vnni"))) static uint64_t peak_dpbusd(void)
{
	__m512i sums[PEAK_SUMS] = { _mm512_setzero_si512() }, x = _mm512_set1_epi8(3), w = x;

	for (unsigned int i = 0; i < PEAK_LOOPS; i++) {
#pragma GCC unroll 8
		for (unsigned int j = 0; j < PEAK_SUMS; j++) {
			PEAK_HIDE(x);
			sums[j] = _mm512_dpbusd_epi32(sums[j], x, w);
		}
	}
	for (unsigned int j = 0; j < PEAK_SUMS; j++)
		PEAK_HIDE(sums[j]);
	return PEAK_SUMS * 64ull * PEAK_LOOPS;
}

static bool peak_present(unsigned int peak)
{
	return peak == PEAK_DPBUSD ? __builtin_cpu_supports("avx512vnni") :
				     __builtin_cpu_supports("avx2");
}

/* Per second. */
static double peak_macs(unsigned int peak)
{
	static uint64_t (*const loops[PEAKS])(void) = { peak_maddwd, peak_maddubsw, peak_dpbusd };
	uint64_t begun = peak_clock(CLOCK_THREAD_CPUTIME_ID), macs = loops[peak]();

	return (double)macs * 1e9 / (double)(peak_clock(CLOCK_THREAD_CPUTIME_ID) - begun);
}
#else
static bool peak_present(unsigned int peak)
{
	return false;
}

static double peak_macs(unsigned int peak)
{
	return 0;
}
#endif

#endif
