/* SPDX-License-Identifier: MIT */
#include "tools/sim-paired.h"

#include <math.h>

double sim_decibels(const struct sim_sqnr *sums)
{
	return 10 * log10(sums->signal / sums->noise);
}

json_t *sim_decibels_json(double decibels)
{
	return isfinite(decibels) ? json_real(decibels) : json_null();
}

double sim_percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

struct sim_verdict sim_judge(const struct sim_pair *pairs, size_t count)
{
	const double n = (double)count;
	struct sim_verdict v = { .count = count };
	double difference, squares, variance;

	for (size_t i = 0; i < count; i++) {
		const struct sim_pair *pair = &pairs[i];

		v.float_right += pair->float_right;
		v.other_right += pair->other_right;
		v.agree += pair->agree;
		v.only_float += pair->float_right && !pair->other_right;
		v.only_other += pair->other_right && !pair->float_right;
		v.logits.signal += pair->logits.signal;
		v.logits.noise += pair->logits.noise;
	}
	difference = (double)v.only_float - (double)v.only_other;
	squares = (double)v.only_float + (double)v.only_other;
	variance = n > 1 ? (squares - difference * difference / n) / (n - 1) : 0;
	v.drop = 100 * difference / n;
	v.low = v.drop - 100 * 1.959964 * sqrt(variance / n);
	v.high = v.drop + 100 * 1.959964 * sqrt(variance / n);
	return v;
}
