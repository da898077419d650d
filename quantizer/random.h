/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same on every machine: integers and correctly rounded operations
 * only, nothing from libm. */
#ifndef TV_QUANTIZER_RANDOM_H
#define TV_QUANTIZER_RANDOM_H

#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static inline uint64_t tv_random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* [low, high) */
static inline double tv_random_uniform(uint64_t *state, double low, double high)
{
	return low + (high - low) * ((double)(tv_random_next(state) >> 11) * 0x1p-53);
}

/* About normal, mean 0, deviation 1: the sum of the four 16-bit lanes of one number (Irwin-Hall),
 * which ends at 3.46 deviations. */
static inline double tv_random_normal(uint64_t *state)
{
	/* Four lanes of variance (65536^2 - 1) / 12 and of mean 65535 / 2. */
	const double deviation = 37837.22723720648;
	const uint64_t bits = tv_random_next(state);
	const int64_t sum = (int64_t)((bits & 0xffff) + ((bits >> 16) & 0xffff) +
				      ((bits >> 32) & 0xffff) + (bits >> 48));

	return (double)(sum - 2 * 65535) / deviation;
}

#endif
