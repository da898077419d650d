/* SPDX-License-Identifier: MIT */
/*
 * PIL's 8-bit resampling with its bicubic filter, bit for bit: a horizontal pass to 8 bits, then a
 * vertical one, each with coefficients of 22 fractional bits. An axis is computed for the outputs
 * that are wanted alone, so that a crop costs what it shows and not what it was cut from.
 */
#ifndef TV_IMAGE_RESAMPLE_H
#define TV_IMAGE_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

/* The inner loops run over multiples of these, so that they vectorize without a remainder. */
#define TV_RESAMPLE_TAPS 8u /* samples weighed at once in a row */
#define TV_RESAMPLE_BYTES 16u /* columns at once in the vertical pass */

/* The source samples that an output is made of. */
struct tv_span {
	uint32_t first, count;
};

struct tv_axis {
	uint32_t outputs;
	uint32_t taps; /* coefficients an output, a multiple of TV_RESAMPLE_TAPS */
	struct tv_span *spans; /* by output; neither their starts nor their ends ever go back */
	/* [outputs][taps], zeros behind the span: a coefficient is high * 2048 + low. In halves
	 * that fit 16 bits the horizontal pass is made of 16-bit multiply-adds, which every vector
	 * unit has. */
	int16_t *high, *low;
};

/* Outputs [first, first + outputs) of an axis of source samples resized to resized. Returns 0 or
 * -ENOMEM. */
int tv_axis_init(struct tv_axis *ret, uint32_t source, uint64_t resized, uint64_t first,
		 uint32_t outputs);
void tv_axis_done(struct tv_axis *axis);

static inline uint32_t tv_axis_begin(const struct tv_axis *axis)
{
	return axis->spans[0].first;
}

static inline uint32_t tv_axis_end(const struct tv_axis *axis)
{
	const struct tv_span *last = &axis->spans[axis->outputs - 1];

	return last->first + last->count;
}

/* One row. planes: red, green and blue of the source columns from origin on, values 0..255, with
 * TV_RESAMPLE_TAPS readable elements behind the last column. ret: outputs * 3 bytes. */
void tv_resample_row(const struct tv_axis *columns, const int16_t *const planes[3], uint32_t origin,
		     uint8_t *ret);

/* One output of the vertical axis. lines: the rows of its span; they and ret have width bytes, a
 * multiple of TV_RESAMPLE_BYTES. */
void tv_resample_lines(const struct tv_axis *rows, uint32_t output, const uint8_t *const *lines,
		       size_t width, uint8_t *ret);

#endif
