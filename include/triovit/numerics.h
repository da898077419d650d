/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The integer arithmetic of triovit: every rounding, saturation and shift that lies between input
 * bytes and logits. The quantizer's evaluation, the functional model, the cycle model, the driver's
 * self-test and the QEMU device call these functions; nobody writes one of them again.
 *
 * Compiles in the kernel and in user space, without floating point, without division and without
 * 64-bit products but in the layer norm and the shift-divide. Derivations, error bounds and the
 * proofs that nothing overflows are in docs/numerics.md, under the section named at each function.
 *
 * Integers are two's complement and >> of a negative one is arithmetic, as gcc and clang define it.
 */
#ifndef TRIOVIT_NUMERICS_H
#define TRIOVIT_NUMERICS_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/* Longest reduction of one accumulator: products of two int8 summed up to here stay below 2^30. */
#define TV_REDUCTION_MAX      65535
/* |bias| is below this, so that bias plus any such reduction is an int32 (section 2). */
#define TV_BIAS_LIMIT	      (1 << 30)
/* Fraction bits of the int16 that Hardswish reads: 3.0 and 6.0 must fit. */
#define TV_FRACTION_MAX	      12
/* Lowest exponent of a head's log2 window: k0 + 15 must be an exponent of an int32. */
#define TV_LOG2_BASE_MAX      16
#define TV_LOG2_CODES	      16
/* Channels of a layer norm: n * n * 2^30 and n * x - sum must fit (section 7). */
#define TV_NORM_CHANNELS_MAX  16384
/* Fraction bits of the normalised value, in units of a standard deviation. */
#define TV_NORM_FRACTION      16
/* Added to n^2 times the variance; above this the layer norm's radicand would not be normal. */
#define TV_NORM_EPSILON_LIMIT (1ull << 58)

/* --- section 1: saturation and rounding ---------------------------------------------------- */

static inline int8_t tv_sat8(int32_t x)
{
	return x > 127 ? 127 : x < -128 ? -128 : (int8_t)x;
}

static inline int16_t tv_sat16(int32_t x)
{
	return x > 32767 ? 32767 : x < -32768 ? -32768 : (int16_t)x;
}

/* x / 2^e, halves upwards, for 0 <= e <= 31. The bit below the cut is added instead of half a unit
 * before it, so that no x overflows. */
static inline int32_t tv_round_shift(int32_t x, unsigned int e)
{
	return e ? (x >> e) + ((x >> (e - 1)) & 1) : x;
}

/* The same for 0 <= e <= 63. */
static inline int64_t tv_round_shift64(int64_t x, unsigned int e)
{
	return e ? (x >> e) + ((x >> (e - 1)) & 1) : x;
}

/* t * m / 2^15, halves upwards, for |m| <= 32767: x86's vpmulhrsw, Arm's sqrdmulh, one DSP slice.
 */
static inline int16_t tv_multiply15(int16_t t, int16_t m)
{
	return (int16_t)(((int32_t)t * m + (1 << 14)) >> 15);
}

/* --- section 3: the epilogue --------------------------------------------------------------- */

/* An accumulator, bias included, to int16: acc * m / 2^(15 + e), 0 <= e <= 31, 0 <= m <= 32767. */
static inline int16_t tv_requantize(int32_t acc, unsigned int e, int16_t m)
{
	return tv_multiply15(tv_sat16(tv_round_shift(acc, e)), m);
}

static inline int16_t tv_relu(int16_t x)
{
	return x > 0 ? x : 0;
}

/*
 * Hardswish, x * clamp(x + 3, 0, 6) / 6, of an int16 with f fraction bits, 0 <= f <= 12; the result
 * has f fraction bits. The gate is a Q15 number: u * 4/3 with u = clamp(x + 3, 0, 6) in Q12, where
 * the third is one more multiplication by 10923 / 2^15. Section 4.
 */
static inline int16_t tv_hardswish(int16_t x, unsigned int f)
{
	int32_t top = 6 << f;
	int32_t u = x + (3 << f);
	int32_t gate;

	u = u < 0 ? 0 : u > top ? top : u;
	u <<= TV_FRACTION_MAX - f;
	gate = u + tv_multiply15((int16_t)u, 10923);
	return tv_multiply15(x, tv_sat16(gate));
}

/* t plus the shortcut's int8 value q with zero point zp, scaled by m / 2^8: a gain below 128. */
static inline int16_t tv_add_shortcut(int16_t t, int8_t q, int8_t zp, int16_t m)
{
	return tv_sat16(t + tv_multiply15((int16_t)((q - zp) * 128), m));
}

/* t less the channel constant z (filter-wise shifting). */
static inline int16_t tv_subtract_constant(int16_t t, int16_t z)
{
	return tv_sat16(t - z);
}

/* The last step, the only one that rounds to 8 bits: t * m / 2^(15 + s) + zp, 0 <= s <= 15. The
 * multiplication comes first here, so that an m of full precision serves any gain. */
static inline int8_t tv_narrow(int16_t t, int16_t m, unsigned int s, int8_t zp)
{
	return tv_sat8(tv_round_shift(tv_multiply15(t, m), s) + zp);
}

/* --- section 5: input and padding ---------------------------------------------------------- */

/* An RGB byte as the engines read it: p - 128. */
static inline int8_t tv_input_byte(uint8_t p)
{
	return (int8_t)(p ^ 0x80);
}

/* --- section 6: attention ------------------------------------------------------------------ */

/* k^T v and sum(k) to int8: acc * m / 2^(15 + e + s), 0 <= e <= 31, 0 <= s <= 15. The first shift
 * makes room where sums are long, the second keeps bits through the multiplication. */
static inline int8_t tv_requantize_head(int32_t acc, unsigned int e, int16_t m, unsigned int s)
{
	return tv_sat8(tv_round_shift(tv_requantize(acc, e, m), s));
}

/*
 * The divisor's exponent, k0 <= k <= k0 + 15: the index of its leading one plus the next lower bit
 * (so it rounds up at 1.5 * 2^i), clamped to the head's window; 0 takes k0. 0 <= k0 <= 16. What the
 * divisor buffer holds is k - k0, 4 bits.
 */
static inline unsigned int tv_log2_divisor(uint32_t divisor, unsigned int k0)
{
	unsigned int k = 0;
	uint32_t rest = divisor;

	while (rest >>= 1)
		k++;
	if (k && (divisor >> (k - 1)) & 1)
		k++;
	return k < k0 ? k0 : k > k0 + TV_LOG2_CODES - 1 ? k0 + TV_LOG2_CODES - 1 : k;
}

/* The quotient: dividend * m / 2^(r + k) to int8, r <= 31, k <= 31, 0 <= m <= 32767. */
static inline int8_t tv_shift_divide(int32_t dividend, int16_t m, unsigned int r, unsigned int k)
{
	int64_t q = tv_round_shift64((int64_t)dividend * m, r + k);

	return q > 127 ? 127 : q < -128 ? -128 : (int8_t)q;
}

/* --- section 7: layer norm ----------------------------------------------------------------- */

/* What one layer norm knows of its n inputs. */
struct tv_norm {
	int32_t count; /* n */
	int32_t sum; /* of x */
	uint32_t reciprocal; /* R: 1 / sqrt(V) = R / 2^(61 - j) */
	unsigned int shift; /* 45 - j: takes (n * x - sum) * R to TV_NORM_FRACTION bits */
};

/* floor(sqrt(x)), a bit a step as a small divider in the fabric does it. */
static inline uint32_t tv_sqrt64(uint64_t x)
{
	uint64_t root = 0, bit = 1ull << 62;

	for (; bit; bit >>= 2) {
		if (x >= root + bit) {
			x -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return (uint32_t)root;
}

/* floor(2^61 / d) for 2^30 <= d < 2^31, by shift and subtract: the kernel has no 64-bit division.
 */
static inline uint32_t tv_reciprocal61(uint32_t d)
{
	uint64_t rest = 1ull << 30; /* 2^61 without the 31 zeros that the steps shift in */
	uint32_t quotient = 0;
	int i;

	for (i = 31; i >= 0; i--) {
		quotient <<= 1;
		if (rest >= d) {
			rest -= d;
			quotient |= 1;
		}
		rest <<= 1;
	}
	return quotient;
}

/*
 * From the sum and the sum of squares of n int16 values, 1 <= n <= 16384, and epsilon, which is
 * n^2 * eps / scale^2 rounded, below 2^58. V = n * squares - sum^2 + epsilon = n^2 * (variance +
 * eps), at least 1; S = floor(sqrt(V * 2^2j)) with 2^30 <= S < 2^31.
 */
static inline struct tv_norm tv_norm_prepare(int32_t count, int32_t sum, int64_t squares,
					     uint64_t epsilon)
{
	struct tv_norm norm = { .count = count, .sum = sum };
	uint64_t v = (uint64_t)(count * squares - (int64_t)sum * sum) + epsilon;
	unsigned int j = 0;

	if (!v)
		v = 1;
	while (v < 1ull << 60) {
		v <<= 2;
		j++;
	}
	norm.reciprocal = tv_reciprocal61(tv_sqrt64(v));
	norm.shift = 61 - TV_NORM_FRACTION - j;
	return norm;
}

/* One value: gamma * (x - mean) / sqrt(variance + eps) + beta, to int16. gamma is an int16 with s
 * fraction bits beyond those of the result less 16, |gamma| <= 32767, s <= 31; beta has the
 * result's, |beta| < 2^30. */
static inline int16_t tv_norm_apply(const struct tv_norm *norm, int16_t x, int16_t gamma,
				    unsigned int s, int32_t beta)
{
	int64_t centred = norm->count * x - norm->sum;
	int64_t z = tv_round_shift64(centred * norm->reciprocal, norm->shift);
	int64_t y = tv_round_shift64(z * gamma, s) + beta;

	return y > 32767 ? 32767 : y < -32768 ? -32768 : (int16_t)y;
}

/* --- section 8: the answer ----------------------------------------------------------------- */

/* The class of the largest logit, the lowest index among equals. count >= 1. */
static inline unsigned int tv_argmax(const int16_t *logits, unsigned int count)
{
	unsigned int i, best = 0;

	for (i = 1; i < count; i++)
		if (logits[i] > logits[best])
			best = i;
	return best;
}

#endif
