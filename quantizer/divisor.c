/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "quantizer/divisor.h"

/* The accelerator's rule: the index of the leading one, and one more from 1.5 * 2^i on. x > 0. */
static int exponent_of(double x)
{
	int exponent;
	double fraction = frexp(x, &exponent);

	return fraction < 0.75 ? exponent - 1 : exponent;
}

static double uniform_value(const struct tv_divisor_codes *codes, double divisor, double most)
{
	double last = (1u << codes->bits) - 1, step = most / last;

	return step * fmin(fmax(rint(divisor / step), codes->least), last);
}

static double log2_value(const struct tv_divisor_codes *codes, double divisor, double most)
{
	int last = exponent_of(most * TV_LOG2_ROOM), first = last + 1 - (1 << codes->bits);
	int exponent = divisor > 0 ? exponent_of(divisor) : first;

	exponent = exponent < first ? first : exponent > last ? last : exponent;
	return exp2(exponent - TV_LOG2_RULE_MEAN);
}

double tv_divisor_value(const struct tv_divisor_codes *codes, double divisor, double most)
{
	if (codes->kind == TV_DIVISOR_EXACT || !(most > 0))
		return divisor;
	return (codes->kind == TV_DIVISOR_UNIFORM ? uniform_value : log2_value)(codes, divisor,
										most);
}
