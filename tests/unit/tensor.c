/* SPDX-License-Identifier: MIT */
/* Element types: half precision both ways, conversion to float, descriptions. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "common/safetensors.h"
#include "tests/unit/unit.h"

/* ck_assert() notes each success in a file: too slow for millions of them. */
#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg(__VA_ARGS__);                                                 \
	} while (0)

static uint32_t bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static float float_of(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* IEEE 754-2019 3.4, word for word: the value of a finite half. */
static double half_value(unsigned int half)
{
	int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 0x3ff);
	double magnitude = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);

	return half & 0x8000 ? -magnitude : magnitude;
}

START_TEST(every_half_becomes_its_float)
{
	for (unsigned int half = 0; half < 0x10000; half++) {
		float value = tv_half_to_float((uint16_t)half);

		bool good = !!signbit(value) == half >> 15;

		if ((half & 0x7c00) != 0x7c00)
			good &= (double)value == half_value(half);
		else if (half & 0x3ff)
			good &= isnan(value);
		else
			good &= isinf(value);
		CHECK(good, "%#x becomes %a", half, value);
	}
}
END_TEST

/* Through float and back nothing changes, but that a signalling NaN becomes a quiet one. */
START_TEST(every_half_comes_back)
{
	for (unsigned int half = 0; half < 0x10000; half++) {
		bool nan = (half & 0x7fff) > 0x7c00;
		unsigned int back = tv_float_to_half(tv_half_to_float((uint16_t)half));

		CHECK(back == (half | (nan ? 0x200 : 0)), "%#x comes back as %#x", half, back);
	}
}
END_TEST

/* Between two neighbours lies one value where rounding changes, a tie that goes to the even one. */
START_TEST(rounds_to_nearest_even)
{
	for (unsigned int half = 0; half < 0x7bff; half++) {
		float middle = (float)((half_value(half) + half_value(half + 1)) / 2);
		unsigned int even = half + (half & 1);

		CHECK(tv_float_to_half(middle) == even, "tie above %#x", half);
		CHECK(tv_float_to_half(-middle) == (0x8000 | even), "negative tie above %#x", half);
		CHECK(tv_float_to_half(nextafterf(middle, 0)) == half, "below the tie %#x", half);
		CHECK(tv_float_to_half(nextafterf(middle, INFINITY)) == half + 1,
		      "above the tie %#x", half);
	}
}
END_TEST

/* The same from libm: rint() of the value in units of its last place. */
START_TEST(agrees_with_libm)
{
	uint64_t state = 1;

	for (unsigned int i = 0; i < 1000000; i++) {
		uint32_t bits = (uint32_t)tv_unit_random(&state);
		float value = float_of(bits), back;
		double unit, expected;

		if (!isfinite(value))
			continue;
		/* Most random floats are far outside the range: bring every other one near it. */
		if (i & 1)
			value = ldexpf(frexpf(value, &(int){ 0 }), (int)(bits >> 8 & 63) - 40);
		unit = value == 0 ? 1 : ldexp(1, ilogb(value) < -14 ? -24 : ilogb(value) - 10);
		expected = rint(value / unit) * unit;
		if (fabs(expected) > 65504)
			expected = copysign(INFINITY, expected);
		back = tv_half_to_float(tv_float_to_half(value));
		CHECK((double)back == expected, "%a becomes %a, expected %a", value, back,
		      expected);
	}
}
END_TEST

START_TEST(ends_of_the_range)
{
	static const struct {
		float value;
		uint16_t half;
	} cases[] = {
		{ 0.0f, 0 },
		{ -0.0f, 0x8000 },
		{ FLT_TRUE_MIN, 0 },
		{ -FLT_MIN, 0x8000 },
		{ 0x1p-25f, 0 }, /* ties to zero */
		{ 0x1.000002p-25f, 1 },
		{ 0x1p-24f, 1 },
		{ 0x1.ff8p-15f, 0x3ff }, /* largest subnormal */
		{ 0x1.ffcp-15f, 0x400 }, /* ties to the smallest normal */
		{ 0x1p-14f, 0x400 },
		{ 65504, 0x7bff },
		{ 65519.996f, 0x7bff },
		{ 65520, 0x7c00 },
		{ -65520, 0xfc00 },
		{ FLT_MAX, 0x7c00 },
		{ INFINITY, 0x7c00 },
		{ -INFINITY, 0xfc00 },
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(cases); i++)
		ck_assert_msg(tv_float_to_half(cases[i].value) == cases[i].half, "%a",
			      cases[i].value);
	/* A NaN whose payload a half has no room for must not become infinity. */
	ck_assert_uint_eq(tv_float_to_half(float_of(0x7fc00001)), 0x7e00);
	ck_assert_uint_eq(tv_float_to_half(float_of(0xffc02000)), 0xfe01);
	ck_assert_uint_eq(tv_float_to_half(float_of(0x7f800001)) & 0x7e00, 0x7e00);
}
END_TEST

/* A tensor of one dimension at an odd address, as in a file. */
static struct tv_tensor at_odd_address(enum tv_dtype dtype, uint64_t elements, const void *values,
				       uint8_t *buffer)
{
	struct tv_tensor tensor = {
		.name = "t",
		.dtype = dtype,
		.rank = 1,
		.shape = { elements },
		.elements = elements,
		.size = elements * tv_dtype_size(dtype),
		.data = buffer + 1,
	};

	memcpy(buffer + 1, values, (size_t)tensor.size);
	return tensor;
}

START_TEST(converts_to_float)
{
	static const uint8_t f32[] = { 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 1, 0, 0, 0 };
	static const uint8_t f16[] = { 0, 0x3c, 0, 0xc0, 1, 0 };
	static const uint8_t bf16[] = { 0x80, 0x3f, 0, 0xc0, 1, 0 };
	static const struct {
		enum tv_dtype dtype;
		const uint8_t *values;
		float expected[3];
	} cases[] = {
		{ TV_DTYPE_F32, f32, { 1, -2, FLT_TRUE_MIN } },
		{ TV_DTYPE_F16, f16, { 1, -2, 0x1p-24f } },
		{ TV_DTYPE_BF16, bf16, { 1, -2, 0x1p-133f } },
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(cases); i++) {
		uint8_t buffer[16];
		struct tv_tensor tensor =
			at_odd_address(cases[i].dtype, 3, cases[i].values, buffer);
		float values[4] = { 7, 7, 7, 7 };

		ck_assert_int_eq(tv_tensor_to_float(&tensor, 0, 3, values), 0);
		for (unsigned int j = 0; j < 3; j++)
			ck_assert_uint_eq(bits_of(values[j]), bits_of(cases[i].expected[j]));
		ck_assert_int_eq(tv_tensor_to_float(&tensor, 1, 1, values), 0);
		ck_assert_float_eq(values[0], -2);
		ck_assert_float_eq(values[1], -2);
		ck_assert_float_eq(values[3], 7);
		ck_assert_int_eq(tv_tensor_to_float(&tensor, 3, 0, values), 0);
	}
}
END_TEST

START_TEST(converts_only_what_is_there)
{
	static const uint64_t ranges[][2] = {
		{ 0, 4 }, { 1, 3 }, { 3, 1 }, { 4, 0 }, { UINT64_MAX, 1 }, { 1, UINT64_MAX }
	};
	uint8_t buffer[16];
	struct tv_tensor tensor = at_odd_address(TV_DTYPE_F32, 3, (const uint8_t[12]){ 0 }, buffer);
	float value;

	for (size_t i = 0; i < TV_ARRAY_SIZE(ranges); i++)
		ck_assert_int_eq(tv_tensor_to_float(&tensor, ranges[i][0], ranges[i][1], &value),
				 -EINVAL);
	for (int i = 0; i < TV_DTYPE_COUNT; i++) {
		bool known = i == TV_DTYPE_F32 || i == TV_DTYPE_F16 || i == TV_DTYPE_BF16;

		tensor.dtype = (enum tv_dtype)i;
		ck_assert_int_eq(tv_tensor_to_float(&tensor, 0, 1, &value), known ? 0 : -EINVAL);
	}
}
END_TEST

START_TEST(describes)
{
	struct tv_tensor tensor = { .dtype = TV_DTYPE_F32, .rank = 4, .shape = { 16, 3, 3, 3 } };
	char text[256], short_text[8];

	ck_assert_str_eq(tv_tensor_describe(&tensor, text, sizeof(text)), "F32 [16, 3, 3, 3]");
	ck_assert_str_eq(tv_tensor_describe(&tensor, short_text, sizeof(short_text)), "F32 [16");
	tensor.rank = 0;
	ck_assert_str_eq(tv_tensor_describe(&tensor, text, sizeof(text)), "F32 []");
	tensor.dtype = TV_DTYPE_F8_E5M2;
	tensor.rank = TV_SAFETENSORS_RANK_MAX;
	for (unsigned int i = 0; i < tensor.rank; i++)
		tensor.shape[i] = UINT64_MAX;
	ck_assert_uint_eq(strlen(tv_tensor_describe(&tensor, text, sizeof(text))),
			  strlen("F8_E5M2 []") + 8 * 20 + 7 * 2);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tensor");
	TCase *half = tcase_create("half"), *tensor = tcase_create("tensor");

	tcase_add_test(half, every_half_becomes_its_float);
	tcase_add_test(half, every_half_comes_back);
	tcase_add_test(half, rounds_to_nearest_even);
	tcase_add_test(half, agrees_with_libm);
	tcase_add_test(half, ends_of_the_range);
	suite_add_tcase(suite, half);

	tcase_add_test(tensor, converts_to_float);
	tcase_add_test(tensor, converts_only_what_is_there);
	tcase_add_test(tensor, describes);
	suite_add_tcase(suite, tensor);

	return tv_unit_main(suite);
}
