/* SPDX-License-Identifier: MIT */
/* What the kinds of nodes share while they are quantized. */
#ifndef TV_QUANTIZER_QUANTIZE_NODE_H
#define TV_QUANTIZER_QUANTIZE_NODE_H

#include "quantizer/quantize.h"

struct tv_quantizing {
	const struct tv_network *network;
	const struct tv_statistics *statistics;
	const struct tv_quantize_options *options;
	struct tv_quantized *result;
};

/* gain = multiplier / 2^(15 + shift), 2^14 <= multiplier < 2^15 where shift allows; a gain of 1 and
 * more becomes 32767 / 32768, one too small for the largest shift loses bits. */
struct tv_gain {
	int16_t multiplier;
	uint8_t shift;
};

struct tv_gain tv_gain_of(double gain, unsigned int shift_max);
double tv_gain_value(struct tv_gain gain);

/* What the codes of node i's value are to stand for: sets scale, offset and zero_point as wished;
 * narrowing then rounds them to what multipliers can say. */
void tv_plan_value(const struct tv_quantizing *q, size_t i);

/* The int16's unit of a layer: such that magnitude is 2^14 units, and at least least. With
 * Hardswish a power of two with at most TV_FRACTION_MAX fraction bits. */
void tv_choose_unit(struct tv_quantized_node *node, bool hardswish, double magnitude, double least);

/* The narrowing of channel c: record fields from the wished scale and offset, and these rounded. */
void tv_set_narrowing(struct tv_quantized_node *node, unsigned int c, struct tv_channel *record);

/* The largest |value| of a node, by its statistics. */
double tv_magnitude(const struct tv_node_statistics *statistics);

int tv_quantize_conv(const struct tv_quantizing *q, size_t i, struct tv_error *error);
int tv_quantize_attention(const struct tv_quantizing *q, size_t i, struct tv_error *error);
int tv_quantize_pool(const struct tv_quantizing *q, size_t i, struct tv_error *error);
int tv_quantize_norm(const struct tv_quantizing *q, size_t i, struct tv_error *error);

#endif
