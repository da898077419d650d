/* SPDX-License-Identifier: MIT */
/* Two networks on the same images: what one lost against the other. */
#ifndef TV_TOOLS_SIM_PAIRED_H
#define TV_TOOLS_SIM_PAIRED_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Sums of squares, for one image or several. */
struct sim_sqnr {
	double signal, noise;
};

/* Decibels; infinite where there is no noise. */
double sim_decibels(const struct sim_sqnr *sums);
/* null where they are no finite number, which JSON does not have. */
json_t *sim_decibels_json(double decibels);

double sim_percent(double part, double whole);

/* Of one image: the float network and what is measured against it. */
struct sim_pair {
	bool float_right, other_right, agree;
	struct sim_sqnr logits; /* those of the float network, and by how much the other's differ */
};

/* Everything about the answers. */
struct sim_verdict {
	size_t count, float_right, other_right, agree;
	size_t only_float, only_other;
	struct sim_sqnr logits;
	double drop, low, high; /* points: what is lost, and the 95 % interval of it */
};

/*
 * The same images on both sides: what counts are those that only one gets right. An image's
 * difference is 1, 0 or -1; the interval is the normal one of their mean, by the variance of the
 * differences (McNemar's pairs).
 */
struct sim_verdict sim_judge(const struct sim_pair *pairs, size_t count);

#endif
