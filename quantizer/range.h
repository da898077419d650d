/* SPDX-License-Identifier: MIT */
/* The search for the scale of a tensor: which range of values the codes are spread over. */
#ifndef TV_QUANTIZER_RANGE_H
#define TV_QUANTIZER_RANGE_H

#include "quantizer/statistics.h"

#define TV_RANGE_BINS 2048

/* A histogram of several channels together. */
struct tv_histogram {
	double least, most;
	double bins[TV_RANGE_BINS];
};

/*
 * Channels [first, first + count) of a node, channel c less offset[c] (NULL: nothing) and clamped
 * from below at floor (-INFINITY: not).
 */
void tv_histogram_of(const struct tv_node_statistics *node, unsigned int first, unsigned int count,
		     const float *offset, double floor, struct tv_histogram *ret);

/* code = (value / scale) rounded + zero_point, clamped to [-128, 127]. */
struct tv_range {
	double scale;
	int zero_point;
	double error; /* mean |x - x^|^2.4 */
};

/*
 * The range whose codes stand for the histogram with the least mean |x - x^|^2.4 (the paper's
 * measure): both ends shrunk together in 80 steps, then each by itself as long as that helps.
 * symmetric: the zero point is 0. search false: from least to most, nothing is cut off.
 */
struct tv_range tv_range_find(const struct tv_histogram *histogram, bool symmetric, bool search);

#endif
