/* SPDX-License-Identifier: MIT */
/*
 * Post-training quantization: from a float network and the statistics of its values to integers,
 * node by node in execution order. Trio-ViT, sections III and IV, as docs/quantization.md explains
 * it with what differs.
 */
#ifndef TV_QUANTIZER_QUANTIZE_H
#define TV_QUANTIZER_QUANTIZE_H

#include <triovit/command.h>

#include "quantizer/statistics.h"

/* Each technique can be switched off, for the ablation. */
struct tv_quantize_options {
	bool no_migration; /* inputs of MBConv depthwise convolutions: one scale a tensor */
	bool no_shifting; /* inputs of MBConv projections: no channel constants */
	bool no_search; /* activations: minimum to maximum; weights: the largest */
	bool no_correction; /* of biases for the mean error of rounded weights and inputs */
};

/* A node in integers: what its layer computes with, and what its value's codes stand for. */
struct tv_quantized_node {
	/* real = scale[c] * (code - zero_point) + offset[c]; int16 values have zero point 0 */
	float *scale, *offset;
	int8_t zero_point;
	bool wide; /* the codes are int16 */
	double unit; /* of the int16 in the epilogue */
	uint8_t fraction; /* of that int16 where Hardswish reads it: unit = 2^-fraction */
	int8_t *weight; /* convolutions: [out_channels][kernel][kernel][in_channels / groups] */
	struct tv_channel *records; /* of each output channel; attention: NULL */
	struct tv_head *heads; /* attention */
	int8_t pad[4]; /* of a convolution with a window */
	int16_t shortcut_multiplier;
	int8_t shortcut_zero_point;
	uint64_t epsilon; /* norm */
	uint32_t dead; /* output channels whose weights are all zero */
	double widest; /* largest |accumulator| that weights and biases allow */
};

struct tv_quantized {
	const struct tv_network *network;
	struct tv_quantized_node *nodes; /* one a node */
};

/* -EINVAL where a layer cannot be brought into integers; the text names it. */
int tv_quantize(const struct tv_network *network, const struct tv_statistics *statistics,
		const struct tv_quantize_options *options, struct tv_quantized **ret,
		struct tv_error *error);
void tv_quantized_free(struct tv_quantized *quantized);
TV_DEFINE_CLEANUP(struct tv_quantized *, tv_quantized_free)

#endif
