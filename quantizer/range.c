/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <string.h>

#include "quantizer/range.h"

#define STEPS 80
#define POWER 2.4

void tv_histogram_of(const struct tv_node_statistics *node, unsigned int first, unsigned int count,
		     const float *offset, double floor, struct tv_histogram *ret)
{
	double per_unit;

	ret->least = DBL_MAX;
	ret->most = -DBL_MAX;
	memset(ret->bins, 0, sizeof(ret->bins));
	for (unsigned int c = first; c < first + count; c++) {
		double o = offset ? offset[c] : 0;

		ret->least = fmin(ret->least, fmax(node->least[c] - o, floor));
		ret->most = fmax(ret->most, fmax(node->most[c] - o, floor));
	}
	/* Zero belongs to every range: it must have a code. */
	ret->least = fmin(ret->least, 0);
	ret->most = fmax(ret->most, 0);
	per_unit = ret->most > ret->least ? TV_RANGE_BINS / (ret->most - ret->least) : 0;
	for (unsigned int c = first; c < first + count; c++) {
		const uint32_t *bins = node->bins + (size_t)c * TV_STATISTICS_BINS;

		for (unsigned int b = 0; b < TV_STATISTICS_BINS; b++) {
			double x = tv_statistics_value(node, c, b) - (offset ? offset[c] : 0);
			int bin = (int)((fmax(x, floor) - ret->least) * per_unit);

			bin = bin < 0 ? 0 : bin >= TV_RANGE_BINS ? TV_RANGE_BINS - 1 : bin;
			ret->bins[bin] += bins[b];
		}
	}
}

static struct tv_range range_of(double least, double most, bool symmetric)
{
	struct tv_range range = { .error = 0 };

	if (symmetric) {
		range.scale = fmax(-least / 128, most / 127);
		range.zero_point = 0;
	} else {
		range.scale = (most - least) / 255;
		range.zero_point = range.scale > 0 ? (int)lrint(-128 - least / range.scale) : 0;
		range.zero_point = range.zero_point < -128 ? -128 :
				   range.zero_point > 127  ? 127 :
							     range.zero_point;
	}
	/* A tensor that is always 0 has any scale. */
	if (!(range.scale > 1e-12))
		range.scale = 1e-12;
	return range;
}

/* The mean error, or anything from limit on where it is no less than that: errors only add up. */
static double error_of(const struct tv_histogram *histogram, double count,
		       const struct tv_range *range, double limit)
{
	double width = (histogram->most - histogram->least) / TV_RANGE_BINS, error = 0;

	for (unsigned int b = 0; b < TV_RANGE_BINS && error / count < limit; b++) {
		double x = histogram->least + (b + 0.5) * width, code;

		if (!(histogram->bins[b] > 0))
			continue;
		code = rint(x / range->scale) + range->zero_point;
		code = code < -128 ? -128 : code > 127 ? 127 : code;
		error += histogram->bins[b] *
			 pow(fabs(x - (code - range->zero_point) * range->scale), POWER);
	}
	return error / count;
}

struct search {
	const struct tv_histogram *histogram;
	double count; /* of its values */
	bool symmetric;
	double least, most, error;
};

static bool improve(struct search *search, double least, double most)
{
	struct tv_range range = range_of(least, most, search->symmetric);
	double error = error_of(search->histogram, search->count, &range, search->error);

	if (error >= search->error)
		return false;
	search->least = least;
	search->most = most;
	search->error = error;
	return true;
}

struct tv_range tv_range_find(const struct tv_histogram *histogram, bool symmetric, bool search)
{
	double least = histogram->least, most = histogram->most;
	struct search best = { histogram, 0, symmetric, least, most, INFINITY };
	struct tv_range range;

	for (unsigned int b = 0; b < TV_RANGE_BINS; b++)
		best.count += histogram->bins[b];
	best.count = fmax(best.count, 1);

	for (unsigned int i = 0; i < (search ? STEPS : 1); i++)
		improve(&best, least * (1 - i / (double)STEPS), most * (1 - i / (double)STEPS));
	while (search && (improve(&best, best.least * 0.97, best.most) ||
			  improve(&best, best.least, best.most * 0.97) ||
			  improve(&best, fmax(least, best.least * 1.03), best.most) ||
			  improve(&best, best.least, fmin(most, best.most * 1.03))))
		;
	range = range_of(best.least, best.most, symmetric);
	range.error = best.error;
	return range;
}
