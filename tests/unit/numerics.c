/* SPDX-License-Identifier: MIT */
/*
 * Each primitive of numerics.h against a reference that is written differently: floors of exact
 * fractions in 64 bits instead of shifts, real numbers where the primitive approximates them. The
 * error bounds asserted here are the ones that docs/numerics.md states.
 */
#include <math.h>
#include <string.h>

#include <triovit/numerics.h>

#include "tests/unit/unit.h"

static uint64_t state = 20240503;

static int32_t random32(void)
{
	/* Small and large magnitudes alike, with the extremes among them. */
	uint64_t r = tv_unit_random(&state);

	switch (r & 15) {
	case 0:
		return INT32_MAX - (int32_t)(r >> 60);
	case 1:
		return INT32_MIN + (int32_t)(r >> 60);
	default:
		return (int32_t)(uint32_t)(r >> 32) >> ((r >> 8) & 31);
	}
}

static int16_t random_multiplier(void)
{
	uint64_t r = tv_unit_random(&state);

	return r & 3 ? (int16_t)(r >> 49) : (int16_t)(r & 4 ? 32767 : 0);
}

static int64_t floor_divide(int64_t a, int64_t b)
{
	int64_t q = a / b;

	return q * b > a ? q - 1 : q;
}

/* a / b, halves upwards; b > 0. */
static int64_t round_divide(int64_t a, int64_t b)
{
	return floor_divide(2 * a + b, 2 * b);
}

static int64_t clamp64(int64_t x, int64_t low, int64_t high)
{
	return x < low ? low : x > high ? high : x;
}

START_TEST(saturation)
{
	for (int32_t x = -70000; x <= 70000; x++) {
		ck_assert_int_eq(tv_sat8(x), clamp64(x, -128, 127));
		ck_assert_int_eq(tv_sat16(x), clamp64(x, -32768, 32767));
	}
	ck_assert_int_eq(tv_sat8(INT32_MIN), -128);
	ck_assert_int_eq(tv_sat8(INT32_MAX), 127);
	ck_assert_int_eq(tv_sat16(INT32_MIN), -32768);
	ck_assert_int_eq(tv_sat16(INT32_MAX), 32767);
}
END_TEST

START_TEST(rounding_shift)
{
	for (unsigned int i = 0; i < 2000000; i++) {
		int32_t x = random32();
		unsigned int e = i & 31;

		if (tv_round_shift(x, e) != round_divide(x, (int64_t)1 << e))
			ck_abort_msg("%d >> %u gives %d", x, e, tv_round_shift(x, e));
	}
	for (unsigned int i = 0; i < 2000000; i++) {
		int64_t x = (int64_t)tv_unit_random(&state) >> (2 + i % 61);
		unsigned int e = i % 61;
		/* floor((x + 2^(e-1)) / 2^e); x is below 2^61 in magnitude, so nothing overflows */
		int64_t want = floor_divide(x + (e ? (int64_t)1 << (e - 1) : 0), (int64_t)1 << e);

		if (tv_round_shift64(x, e) != want)
			ck_abort_msg("%lld >> %u", (long long)x, e);
	}
	ck_assert_int_eq(tv_round_shift(INT32_MAX, 1), 1 << 30);
	ck_assert_int_eq(tv_round_shift(INT32_MAX, 31), 1);
	ck_assert_int_eq(tv_round_shift(-1, 1), 0);
	ck_assert_int_eq(tv_round_shift(1, 1), 1);
	ck_assert(tv_round_shift64(INT64_MAX, 63) == 1);
	ck_assert(tv_round_shift64(INT64_MIN, 63) == -1);
}
END_TEST

START_TEST(multiply)
{
	for (int i = 0; i < 200; i++) {
		int m = i < 8 ? (const int[]){ 0, 1, -1, 32767, -32767, 16384, -16384, 2 }[i] :
				(int)(tv_unit_random(&state) % 65535) - 32767;

		for (int t = -32768; t <= 32767; t++)
			if (tv_multiply15((int16_t)t, (int16_t)m) !=
			    floor_divide((int64_t)t * m + 16384, 32768))
				ck_abort_msg("%d * %d", t, m);
	}
}
END_TEST

START_TEST(requantize)
{
	double worst = 0;

	for (unsigned int i = 0; i < 4000000; i++) {
		int32_t acc = random32();
		unsigned int e = i & 31;
		int16_t m = random_multiplier();
		int64_t t = clamp64(round_divide(acc, (int64_t)1 << e), -32768, 32767);
		int64_t want = round_divide(t * m, 32768);
		double exact = ldexp((double)acc * m, -(int)(15 + e));

		if (tv_requantize(acc, e, m) != want)
			ck_abort_msg("acc %d e %u m %d", acc, e, m);
		if (t > -32768 && t < 32767)
			worst = fmax(worst, fabs((double)want - exact));
	}
	/* half a unit from the second rounding, m / 2^16 from the first */
	ck_assert_msg(worst <= 1.0, "worst %f", worst);
}
END_TEST

START_TEST(hardswish)
{
	double worst = 0;

	for (unsigned int f = 0; f <= TV_FRACTION_MAX; f++) {
		double one = ldexp(1, (int)f);

		for (int x = -32768; x <= 32767; x++) {
			double real = x / one;
			double gate = fmin(fmax(real + 3, 0), 6) / 6;
			int16_t got = tv_hardswish((int16_t)x, f);
			double miss = fabs(got - x * gate);

			worst = fmax(worst, miss);
			if (miss > 1.5)
				ck_abort_msg("f %u x %d gives %d", f, x, got);
			if (real <= -3 && got)
				ck_abort_msg("f %u x %d gives %d, not 0", f, x, got);
			if (real >= 3 && abs(got - x) > 1)
				ck_abort_msg("f %u x %d gives %d", f, x, got);
		}
	}
	ck_assert_msg(worst > 0.5, "worst %f: is this integer?", worst);
	for (int x = -32768; x <= 32767; x++)
		ck_assert_int_eq(tv_relu((int16_t)x), x > 0 ? x : 0);
}
END_TEST

START_TEST(shortcut)
{
	for (unsigned int i = 0; i < 4000000; i++) {
		uint64_t r = tv_unit_random(&state);
		int16_t t = (int16_t)r;
		int8_t q = (int8_t)(r >> 16), zp = (int8_t)(r >> 24);
		int16_t m = random_multiplier();
		int64_t want = clamp64(t + round_divide((int64_t)(q - zp) * m, 256), -32768, 32767);

		if (tv_add_shortcut(t, q, zp, m) != want)
			ck_abort_msg("t %d q %d zp %d m %d", t, q, zp, m);
	}
	ck_assert_int_eq(tv_add_shortcut(0, 127, -128, 32767), 32639);
	ck_assert_int_eq(tv_add_shortcut(-32768, -128, 127, 32767), -32768);
}
END_TEST

START_TEST(narrow)
{
	for (unsigned int i = 0; i < 4000000; i++) {
		uint64_t r = tv_unit_random(&state);
		int16_t t = (int16_t)r, z = (int16_t)(r >> 16);
		int8_t zp = (int8_t)(r >> 32);
		unsigned int s = (r >> 40) & 15;
		int16_t m = random_multiplier();
		int64_t u = clamp64((int64_t)t - z, -32768, 32767);
		int64_t product = round_divide(u * m, 32768);
		int64_t want = clamp64(round_divide(product, (int64_t)1 << s) + zp, -128, 127);
		double exact = ldexp((double)u * m, -(int)(15 + s)) + zp;
		int8_t got = tv_narrow(tv_subtract_constant(t, z), m, s, zp);

		if (got != want)
			ck_abort_msg("t %d z %d m %d s %u zp %d", t, z, m, s, zp);
		/* half a unit, and half of a 2^-s before it */
		if (want > -128 && want < 127 && fabs(got - exact) > 0.5 + ldexp(0.5, -(int)s))
			ck_abort_msg("t %d z %d m %d s %u zp %d: %d for %f", t, z, m, s, zp, got,
				     exact);
	}
}
END_TEST

START_TEST(input_bytes)
{
	for (int p = 0; p < 256; p++)
		ck_assert_int_eq(tv_input_byte((uint8_t)p), p - 128);
}
END_TEST

START_TEST(log2_rule)
{
	/* The code is k where 0.75 * 2^k <= D < 1.5 * 2^k. */
	for (unsigned int i = 0; i < 3000000; i++) {
		uint32_t divisor = i < 1000000 ? i + 1 :
						 (uint32_t)tv_unit_random(&state) >> (1 + i % 31);
		unsigned int k;

		if (!divisor)
			continue;
		k = tv_log2_divisor(divisor, divisor < 3u << 14 ? 0 : TV_LOG2_BASE_MAX);
		if (!(3ull << k <= 4ull * divisor && 4ull * divisor < 6ull << k))
			ck_abort_msg("%u gives %u", divisor, k);
	}
	/* 0110 0011b -> 7, the paper's example */
	ck_assert_uint_eq(tv_log2_divisor(0x63, 0), 7);
	for (unsigned int k0 = 0; k0 <= TV_LOG2_BASE_MAX; k0++) {
		ck_assert_uint_eq(tv_log2_divisor(0, k0), k0);
		ck_assert_uint_eq(tv_log2_divisor(1, k0), k0);
		ck_assert_uint_eq(tv_log2_divisor(INT32_MAX, k0), k0 + 15);
		ck_assert_uint_eq(tv_log2_divisor(1u << (k0 + 7), k0), k0 + 7);
	}
	ck_assert_uint_eq(tv_log2_divisor(UINT32_MAX, TV_LOG2_BASE_MAX), 31);
}
END_TEST

/* The mean of log2(D / 2^k) over D in one octave of equal ratios: what m corrects. */
START_TEST(log2_mean_error)
{
	double sum = 0;
	unsigned int n = 0;

	for (double x = 12; x < 14; x += 1e-5, n++) {
		uint32_t divisor = (uint32_t)lrint(exp2(x));

		sum += tv_log2_divisor(divisor, 0) - log2(divisor);
	}
	ck_assert_msg(fabs(sum / n + 0.085) < 5e-4 || fabs(sum / n - 0.085) < 5e-4, "mean error %f",
		      sum / n);
	ck_assert_msg(sum < 0, "the rule rounds down on average: %f", sum / n);
}
END_TEST

START_TEST(shift_divide)
{
	for (unsigned int i = 0; i < 4000000; i++) {
		int32_t dividend = random32();
		int16_t m = random_multiplier();
		unsigned int r = i & 31, k = (i >> 5) & 31;
		int64_t want = clamp64(round_divide((int64_t)dividend * m,
						    (int64_t)1 << (r + k > 60 ? 60 : r + k)),
				       -128, 127);

		/* beyond 48 the product is below half a unit: 0 or, for a shift in range, rounded
		 */
		if (tv_shift_divide(dividend, m, r, k) != want)
			ck_abort_msg("%d * %d >> %u + %u gives %d, not %d", dividend, m, r, k,
				     tv_shift_divide(dividend, m, r, k), (int)want);
	}
}
END_TEST

START_TEST(square_root)
{
	for (unsigned int i = 0; i < 1000000; i++) {
		uint64_t x = tv_unit_random(&state) >> (i % 64);
		uint64_t root = tv_sqrt64(x);

		if (root * root > x || (root < UINT32_MAX && (root + 1) * (root + 1) <= x))
			ck_abort_msg("%llu gives %llu", (unsigned long long)x,
				     (unsigned long long)root);
	}
	ck_assert_uint_eq(tv_sqrt64(UINT64_MAX), UINT32_MAX);
	ck_assert_uint_eq(tv_sqrt64(0), 0);
	for (unsigned int i = 0; i < 1000000; i++) {
		uint32_t d = (uint32_t)(tv_unit_random(&state) >> 34) | 1u << 30;

		if (tv_reciprocal61(d) != (1ull << 61) / d)
			ck_abort_msg("%u gives %u", d, tv_reciprocal61(d));
	}
	ck_assert_uint_eq(tv_reciprocal61(1u << 30), 1u << 31);
	ck_assert_uint_eq(tv_reciprocal61((1u << 31) - 1), (1ull << 61) / ((1u << 31) - 1));
}
END_TEST

/* x as a trained network has them, or every extreme; the result against real numbers. */
static void check_norm(const int16_t *x, int n, double epsilon, int16_t gamma, unsigned int s,
		       int32_t beta)
{
	uint64_t eps = (uint64_t)llround(epsilon * n * n);
	int64_t squares = 0;
	int32_t sum = 0;
	double mean, variance = 0;
	struct tv_norm norm;

	for (int i = 0; i < n; i++) {
		sum += x[i];
		squares += (int32_t)x[i] * x[i];
	}
	mean = (double)sum / n;
	for (int i = 0; i < n; i++)
		variance += (x[i] - mean) * (x[i] - mean);
	variance = variance / n + (double)eps / n / n;
	norm = tv_norm_prepare(n, sum, squares, eps);
	for (int i = 0; i < n; i++) {
		double z = variance > 0 ? (x[i] - mean) / sqrt(variance) : 0;
		double want = z * ldexp(gamma, TV_NORM_FRACTION - (int)s) + beta;
		int16_t got = tv_norm_apply(&norm, x[i], gamma, s, beta);

		want = fmin(fmax(want, -32768), 32767);
		/* half a unit, and z's own rounding times gamma */
		if (fabs(got - want) > 0.5 + 0.51 * ldexp(abs(gamma), -(int)s) + 1e-3)
			ck_abort_msg("n %d x %d eps %g gamma %d s %u beta %d: %d, not %f", n, x[i],
				     epsilon, gamma, s, beta, got, want);
	}
}

START_TEST(layer_norm)
{
	static int16_t x[TV_NORM_CHANNELS_MAX];
	static const int sizes[] = { 1, 2, 3, 16, 1280, 1600, 2560, TV_NORM_CHANNELS_MAX };

	for (unsigned int i = 0; i < 400; i++) {
		int n = sizes[i % TV_ARRAY_SIZE(sizes)];
		unsigned int width = (unsigned int)(tv_unit_random(&state) % 16);
		uint64_t r = tv_unit_random(&state);

		for (int j = 0; j < n; j++)
			x[j] = (int16_t)((int16_t)tv_unit_random(&state) >> width);
		check_norm(x, n, i % 3 ? 0 : 1e3, (int16_t)((int64_t)(r % 65535) - 32767),
			   16 + (r >> 20) % 8, (int32_t)(r >> 40) % 4096);
	}
	for (int n = 1; n <= TV_NORM_CHANNELS_MAX; n = n < 4 ? n + 1 : n * 4) {
		/* nothing but the extremes; then one outlier, the largest z there is */
		for (int j = 0; j < n; j++)
			x[j] = j & 1 ? 32767 : -32768;
		check_norm(x, n, 0, 32767, 16, 0);
		for (int j = 0; j < n; j++)
			x[j] = -32768;
		check_norm(x, n, 0, 32767, 16, 77);
		x[n - 1] = 32767;
		check_norm(x, n, 0, -32767, 20, -5);
	}
	x[0] = 5;
	x[1] = 4;
	check_norm(x, 2, 0, 32767, 17, (1 << 30) - 1);
}
END_TEST

START_TEST(epsilon_at_its_limit)
{
	struct tv_norm norm = tv_norm_prepare(TV_NORM_CHANNELS_MAX, 0,
					      (int64_t)TV_NORM_CHANNELS_MAX << 30,
					      TV_NORM_EPSILON_LIMIT - 1);

	ck_assert_uint_eq(norm.shift, 44); /* j = 1 */
	ck_assert_uint_ge(norm.reciprocal, 1u << 30);
	norm = tv_norm_prepare(1, 0, 0, 0);
	ck_assert_uint_eq(norm.shift, 15); /* V = 1: j = 30 */
	ck_assert_uint_eq(norm.reciprocal, 1u << 31);
}
END_TEST

START_TEST(argmax)
{
	const int16_t logits[] = { -5, 7, 7, -32768, 7, 6 };

	ck_assert_uint_eq(tv_argmax(logits, 6), 1);
	ck_assert_uint_eq(tv_argmax(logits, 1), 0);
	ck_assert_uint_eq(tv_argmax(logits + 3, 3), 1);
}
END_TEST

/* Section 2: the longest reduction of the largest products, and the largest bias, in 32 bits. */
START_TEST(widest_accumulator)
{
	int64_t low = -(int64_t)TV_REDUCTION_MAX * 128 * 127 - (TV_BIAS_LIMIT - 1);
	int64_t high = (int64_t)TV_REDUCTION_MAX * 128 * 128 + (TV_BIAS_LIMIT - 1);

	ck_assert(low >= INT32_MIN);
	ck_assert(high <= INT32_MAX);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		saturation,   rounding_shift,
		multiply,     requantize,
		hardswish,    shortcut,
		narrow,	      input_bytes,
		log2_rule,    log2_mean_error,
		shift_divide, square_root,
		layer_norm,   epsilon_at_its_limit,
		argmax,	      widest_accumulator,
	};
	Suite *suite = suite_create("numerics");
	TCase *tcase = tcase_create("primitives");

	for (size_t i = 0; i < TV_ARRAY_SIZE(tests); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
