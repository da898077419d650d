/* SPDX-License-Identifier: MIT */
/* Element types and values of tensors. */
#include "common/safetensors.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static const struct {
	const char *name;
	size_t size;
} dtypes[TV_DTYPE_COUNT] = {
	[TV_DTYPE_BOOL] = { "BOOL", 1 },
	[TV_DTYPE_U8] = { "U8", 1 },
	[TV_DTYPE_I8] = { "I8", 1 },
	[TV_DTYPE_F8_E5M2] = { "F8_E5M2", 1 },
	[TV_DTYPE_F8_E4M3] = { "F8_E4M3", 1 },
	[TV_DTYPE_I16] = { "I16", 2 },
	[TV_DTYPE_U16] = { "U16", 2 },
	[TV_DTYPE_F16] = { "F16", 2 },
	[TV_DTYPE_BF16] = { "BF16", 2 },
	[TV_DTYPE_I32] = { "I32", 4 },
	[TV_DTYPE_U32] = { "U32", 4 },
	[TV_DTYPE_F32] = { "F32", 4 },
	[TV_DTYPE_F64] = { "F64", 8 },
	[TV_DTYPE_I64] = { "I64", 8 },
	[TV_DTYPE_U64] = { "U64", 8 },
};

const char *tv_dtype_name(enum tv_dtype dtype)
{
	return (unsigned int)dtype < TV_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

size_t tv_dtype_size(enum tv_dtype dtype)
{
	return (unsigned int)dtype < TV_DTYPE_COUNT ? dtypes[dtype].size : 0;
}

const char *tv_tensor_describe(const struct tv_tensor *tensor, char *text, size_t size)
{
	/* The longest: every dimension takes 20 digits and a separator. */
	char all[16 + TV_SAFETENSORS_RANK_MAX * 22];
	int length = snprintf(all, sizeof(all), "%s [", tv_dtype_name(tensor->dtype));

	for (unsigned int i = 0; i < tensor->rank; i++)
		length += snprintf(all + length, sizeof(all) - (size_t)length, "%s%" PRIu64,
				   i ? ", " : "", tensor->shape[i]);
	snprintf(text, size, "%s]", all);
	return text;
}

static float float_from_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

float tv_half_to_float(uint16_t half)
{
	uint32_t sign = (uint32_t)(half & 0x8000) << 16;
	uint32_t exponent = half >> 10 & 31;
	uint32_t fraction = half & 0x3ff;
	float magnitude;

	if (exponent == 31) /* a NaN becomes quiet, as in hardware */
		return float_from_bits(sign | 0x7f800000 | fraction << 13 |
				       (fraction ? 0x400000 : 0));
	if (exponent > 0)
		return float_from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
	/* Subnormal here, normal in binary32: exact. */
	magnitude = (float)fraction * 0x1p-24f;
	return sign ? -magnitude : magnitude;
}

/* value / 2^shift, to nearest, ties to even. */
static uint32_t shift_right_even(uint32_t value, unsigned int shift)
{
	uint32_t odd = value >> shift & 1;

	return (value + (UINT32_C(1) << (shift - 1)) - 1 + odd) >> shift;
}

uint16_t tv_float_to_half(float value)
{
	uint32_t bits, sign, magnitude, exponent, significand;

	memcpy(&bits, &value, sizeof(bits));
	sign = bits >> 16 & 0x8000;
	magnitude = bits & 0x7fffffff;
	exponent = magnitude >> 23;

	if (magnitude > 0x7f800000)
		return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
	/* 2^16 and above; what is below and rounds up to it gets there by its carry. */
	if (magnitude >= 0x47800000)
		return (uint16_t)(sign | 0x7c00);
	/* A carry out of the fraction is the next exponent, as it should be. */
	if (exponent > 127 - 15)
		return (uint16_t)(sign |
				  shift_right_even(magnitude - ((127u - 15u) << 23), 23 - 10));
	/* Below half of the smallest subnormal, 2^-24; 2^-25 itself ties to zero below. */
	if (exponent < 127 - 25)
		return (uint16_t)sign;
	significand = (magnitude & 0x7fffff) | 0x800000; /* in units of 2^(exponent - 150) */
	return (uint16_t)(sign | shift_right_even(significand, 150 - 24 - exponent));
}

static float load_f32(const uint8_t *data)
{
	uint32_t bits;

	memcpy(&bits, data, sizeof(bits));
	return float_from_bits(le32toh(bits));
}

static uint16_t load_u16(const uint8_t *data)
{
	uint16_t bits;

	memcpy(&bits, data, sizeof(bits));
	return le16toh(bits);
}

int tv_tensor_to_float(const struct tv_tensor *tensor, uint64_t first, uint64_t count, float *ret)
{
	const uint8_t *data;

	if (first > tensor->elements || count > tensor->elements - first)
		return -EINVAL;
	/* A tensor lies in memory, so that neither product can overflow a size_t. */
	data = tensor->data + (size_t)first * tv_dtype_size(tensor->dtype);

	switch (tensor->dtype) {
	case TV_DTYPE_F32:
		for (size_t i = 0; i < count; i++)
			ret[i] = load_f32(data + 4 * i);
		return 0;
	case TV_DTYPE_F16:
		for (size_t i = 0; i < count; i++)
			ret[i] = tv_half_to_float(load_u16(data + 2 * i));
		return 0;
	case TV_DTYPE_BF16: /* the upper half of a binary32 */
		for (size_t i = 0; i < count; i++)
			ret[i] = float_from_bits((uint32_t)load_u16(data + 2 * i) << 16);
		return 0;
	default:
		return -EINVAL;
	}
}
