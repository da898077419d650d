/* SPDX-License-Identifier: MIT */
#include "image/resample.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/cleanup.h"

#define PRECISION 22 /* fractional bits of a coefficient: 32 - 8 of a sample - 2 of headroom */
#define HALF (1 << (PRECISION - 1))
#define LOW_BITS 11
#define SUPPORT 2.0 /* the filter is zero from here on */

/* Keys' cubic convolution kernel with a = -0.5, which is PIL's BICUBIC. */
static double bicubic(double x)
{
	const double a = -0.5;

	x = fabs(x);
	if (x < 1.0)
		return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
	if (x < SUPPORT)
		return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
	return 0.0;
}

/* Where an output falls among the source samples. On the way down the filter is stretched by the
 * scale, so that every source sample counts (antialiasing); on the way up it is not. */
struct mapping {
	double scale, stretch;
};

static struct mapping mapping_of(uint32_t source, uint64_t resized)
{
	double scale = (double)source / (double)resized;

	return (struct mapping){ .scale = scale, .stretch = scale < 1.0 ? 1.0 : scale };
}

static double center_of(const struct mapping *map, uint64_t output)
{
	return ((double)output + 0.5) * map->scale;
}

static struct tv_span span_of(const struct mapping *map, uint64_t output, uint32_t source)
{
	double center = center_of(map, output), reach = SUPPORT * map->stretch;
	double first = center - reach + 0.5, end = center + reach + 0.5;
	struct tv_span span;

	span.first = first > 0.0 ? (uint32_t)first : 0;
	span.count = (end < source ? (uint32_t)end : source) - span.first;
	return span;
}

/* The order of these operations is PIL's: another one rounds differently. */
static void weigh_span(const struct mapping *map, uint64_t output, const struct tv_span *span,
		       double *weights, int16_t *high, int16_t *low)
{
	double center = center_of(map, output), shrink = 1.0 / map->stretch, total = 0.0;

	for (uint32_t i = 0; i < span->count; i++) {
		weights[i] = bicubic((i + span->first - center + 0.5) * shrink);
		total += weights[i];
	}
	for (uint32_t i = 0; i < span->count; i++) {
		double exact = weights[i] / total * (1 << PRECISION);
		int32_t coefficient = (int32_t)(exact < 0.0 ? exact - 0.5 : exact + 0.5);

		/* low is in [-1024, 1023] and never larger than the coefficient. */
		high[i] = (int16_t)((coefficient + (1 << (LOW_BITS - 1))) >> LOW_BITS);
		low[i] = (int16_t)(coefficient - high[i] * (1 << LOW_BITS));
	}
}

int tv_axis_init(struct tv_axis *ret, uint32_t source, uint64_t resized, uint64_t first,
		 uint32_t outputs)
{
	_cleanup_(tv_axis_done) struct tv_axis axis = { .outputs = outputs };
	const struct mapping map = mapping_of(source, resized);
	_cleanup_free_ double *weights = NULL;
	uint32_t widest = 0;

	axis.spans = calloc(outputs, sizeof(*axis.spans));
	if (!axis.spans)
		return -ENOMEM;
	for (uint32_t i = 0; i < outputs; i++) {
		axis.spans[i] = span_of(&map, first + i, source);
		if (widest < axis.spans[i].count)
			widest = axis.spans[i].count;
	}

	/* At most about 4 * source + 12 * outputs of them while outputs <= resized: the wider the
	 * spans, the fewer outputs there are. */
	axis.taps = (widest + TV_RESAMPLE_TAPS - 1) / TV_RESAMPLE_TAPS * TV_RESAMPLE_TAPS;
	axis.high = calloc(outputs, axis.taps * sizeof(*axis.high));
	axis.low = calloc(outputs, axis.taps * sizeof(*axis.low));
	weights = calloc(widest, sizeof(*weights));
	if (!axis.high || !axis.low || !weights)
		return -ENOMEM;
	for (uint32_t i = 0; i < outputs; i++) {
		size_t at = (size_t)i * axis.taps;

		weigh_span(&map, first + i, &axis.spans[i], weights, axis.high + at, axis.low + at);
	}

	*ret = axis;
	axis = (struct tv_axis){ 0 };
	return 0;
}

void tv_axis_done(struct tv_axis *axis)
{
	free(axis->spans);
	free(axis->high);
	free(axis->low);
	*axis = (struct tv_axis){ 0 };
}

static inline uint8_t clip8(int32_t sum)
{
	int32_t value = sum >> PRECISION;

	return value < 0 ? 0 : value > UINT8_MAX ? UINT8_MAX : (uint8_t)value;
}

/*
 * The coefficients' absolute values sum up to at most 1.25 (between two samples on the way up), so
 * that 255 times their sum stays below 2^31; so do the sums of the halves, as no half is larger
 * than its coefficient. Integer sums do not depend on their order: vectorized or not, the result
 * is PIL's.
 */
static inline uint8_t join_halves(int32_t high, int32_t low)
{
	return clip8((int32_t)((int64_t)high * (1 << LOW_BITS) + low + HALF));
}

void tv_resample_row(const struct tv_axis *columns, const int16_t *const planes[3], uint32_t origin,
		     uint8_t *ret)
{
	for (uint32_t x = 0; x < columns->outputs; x++) {
		const struct tv_span *span = &columns->spans[x];
		const int16_t *high = columns->high + (size_t)x * columns->taps;
		const int16_t *low = columns->low + (size_t)x * columns->taps;
		const int16_t *red = planes[0] + (span->first - origin);
		const int16_t *green = planes[1] + (span->first - origin);
		const int16_t *blue = planes[2] + (span->first - origin);
		int32_t red_high = 0, green_high = 0, blue_high = 0;
		int32_t red_low = 0, green_low = 0, blue_low = 0;
		uint32_t taps = (span->count + TV_RESAMPLE_TAPS - 1) & ~(TV_RESAMPLE_TAPS - 1);

		for (uint32_t i = 0; i < taps; i++) {
			red_high += high[i] * red[i];
			red_low += low[i] * red[i];
			green_high += high[i] * green[i];
			green_low += low[i] * green[i];
			blue_high += high[i] * blue[i];
			blue_low += low[i] * blue[i];
		}
		*ret++ = join_halves(red_high, red_low);
		*ret++ = join_halves(green_high, green_low);
		*ret++ = join_halves(blue_high, blue_low);
	}
}

void tv_resample_lines(const struct tv_axis *rows, uint32_t output, const uint8_t *const *lines,
		       size_t width, uint8_t *ret)
{
	const int16_t *high = rows->high + (size_t)output * rows->taps;
	const int16_t *low = rows->low + (size_t)output * rows->taps;

	for (size_t x = 0; x < width; x += TV_RESAMPLE_BYTES) {
		int32_t sums[TV_RESAMPLE_BYTES];

		for (unsigned int i = 0; i < TV_RESAMPLE_BYTES; i++)
			sums[i] = HALF;
		for (uint32_t y = 0; y < rows->spans[output].count; y++) {
			int32_t coefficient = high[y] * (1 << LOW_BITS) + low[y];
			const uint8_t *line = lines[y] + x;

			for (unsigned int i = 0; i < TV_RESAMPLE_BYTES; i++)
				sums[i] += coefficient * line[i];
		}
		for (unsigned int i = 0; i < TV_RESAMPLE_BYTES; i++)
			ret[x + i] = clip8(sums[i]);
	}
}
