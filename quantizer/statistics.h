/* SPDX-License-Identifier: MIT */
/*
 * What calibration sees of a network's values: the range and a histogram of every channel of every
 * node, over any number of images. Two passes of the float network over the images, the first for
 * the ranges, the second for the histograms within them; the memory does not grow with the images,
 * and nothing depends on the threads, since only extremes are taken and integers added up.
 */
#ifndef TV_QUANTIZER_STATISTICS_H
#define TV_QUANTIZER_STATISTICS_H

#include "image/folder.h"
#include "quantizer/network.h"

#define TV_STATISTICS_BINS 256

struct tv_node_statistics {
	unsigned int channels;
	float *least, *most; /* of each channel */
	/* [channels][TV_STATISTICS_BINS], equal widths from least to most */
	uint32_t *bins;
	uint64_t values; /* of one channel: images * height * width */
	/* Attention, of each head: the largest |k^T v|, sum(k) and divisor. Else NULL. */
	float *product, *sum, *divisor;
};

struct tv_statistics {
	const struct tv_network *network;
	struct tv_node_statistics *nodes; /* one a node */
	size_t images;
};

/* pass is 0 or 1, done of total images in all of it. Called on the caller's thread. */
typedef void (*tv_statistics_tick)(unsigned int pass, size_t done, size_t total, void *userdata);

/* threads 0: as many as there are processors. An image that cannot be read is an error. */
int tv_statistics_collect(const struct tv_network *network, const struct tv_folder_image *images,
			  size_t count, unsigned int threads, tv_statistics_tick tick,
			  void *userdata, struct tv_statistics **ret, struct tv_error *error);
void tv_statistics_free(struct tv_statistics *statistics);
TV_DEFINE_CLEANUP(struct tv_statistics *, tv_statistics_free)

/* The middle of a bin. */
static inline double tv_statistics_value(const struct tv_node_statistics *node,
					 unsigned int channel, unsigned int bin)
{
	double width = ((double)node->most[channel] - node->least[channel]) / TV_STATISTICS_BINS;

	return node->least[channel] + (bin + 0.5) * width;
}

/* Mean of (x - centre)^power, power 1 or 2, over a channel's histogram. */
double tv_statistics_moment(const struct tv_node_statistics *node, unsigned int channel,
			    double centre, unsigned int power);

#endif
