/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "quantizer/quantize-node.h"
#include "quantizer/range.h"

struct tv_gain tv_gain_of(double gain, unsigned int shift_max)
{
	struct tv_gain result = { 0, 0 };
	long multiplier;
	int exponent;

	if (!(gain > 0))
		return result;
	if (gain >= 32767.0 / 32768)
		return (struct tv_gain){ 32767, 0 };
	frexp(gain, &exponent); /* gain = fraction * 2^exponent, exponent <= 0 */
	result.shift = -exponent > (int)shift_max ? (uint8_t)shift_max : (uint8_t)-exponent;
	multiplier = lrint(ldexp(gain, 15 + result.shift));
	result.multiplier = multiplier > 32767 ? 32767 : (int16_t)multiplier;
	return result;
}

double tv_gain_value(struct tv_gain gain)
{
	return ldexp(gain.multiplier, -(15 + gain.shift));
}

double tv_magnitude(const struct tv_node_statistics *statistics)
{
	double magnitude = 0;

	for (unsigned int c = 0; c < statistics->channels; c++)
		magnitude = fmax(magnitude,
				 fmax(fabs(statistics->least[c]), fabs(statistics->most[c])));
	return magnitude;
}

void tv_choose_unit(struct tv_quantized_node *node, bool hardswish, double magnitude, double least)
{
	double unit = fmax(magnitude / (1 << 14), least);

	if (hardswish) {
		int fraction = unit > 0 ? (int)floor(-log2(unit)) : TV_FRACTION_MAX;

		fraction = fraction > TV_FRACTION_MAX ? TV_FRACTION_MAX :
			   fraction < 0		      ? 0 :
							fraction;
		node->fraction = (uint8_t)fraction;
		unit = ldexp(1, -fraction);
	}
	node->unit = fmax(unit, 1e-15);
}

void tv_set_narrowing(struct tv_quantized_node *node, unsigned int c, struct tv_channel *record)
{
	double constant = rint(node->offset[c] / node->unit);
	struct tv_gain gain = tv_gain_of(node->unit / node->scale[c], 15);

	constant = fmin(fmax(constant, INT16_MIN), INT16_MAX);
	record->constant = (int16_t)constant;
	record->narrow_multiplier = gain.multiplier;
	record->narrow_shift = gain.shift;
	node->offset[c] = (float)(constant * node->unit);
	if (gain.multiplier)
		node->scale[c] = (float)(node->unit / tv_gain_value(gain));
}

static void set_all(struct tv_quantized_node *node, unsigned int first, unsigned int count,
		    const struct tv_range *range)
{
	node->zero_point = (int8_t)range->zero_point;
	for (unsigned int c = first; c < first + count; c++)
		node->scale[c] = (float)range->scale;
}

static void plan_tensor(const struct tv_quantizing *q, size_t i, bool symmetric)
{
	const struct tv_node_statistics *seen = &q->statistics->nodes[i];
	struct tv_quantized_node *node = &q->result->nodes[i];
	struct tv_histogram histogram;
	struct tv_range range;

	tv_histogram_of(seen, 0, seen->channels, NULL, -INFINITY, &histogram);
	range = tv_range_find(&histogram, symmetric, !q->options->no_search);
	set_all(node, 0, seen->channels, &range);
}

/* Scales of every channel for a zero point: all of a channel's values have codes. */
static double channel_scale(const struct tv_node_statistics *seen, unsigned int c, int zero_point)
{
	double scale = fmax(seen->most[c], 0) / (127 - zero_point);

	return fmax(scale, fmax(-seen->least[c], 0) / (zero_point + 128));
}

/*
 * Channel-wise migration: what reads the tensor multiplies each channel by a filter of its own, so
 * each may have its own scale, but for the zero point, which is also the padding. The zero point is
 * the one with the least sum of squared steps, relative to what each channel needs at best.
 */
static void plan_migrated(const struct tv_quantizing *q, size_t i)
{
	const struct tv_node_statistics *seen = &q->statistics->nodes[i];
	struct tv_quantized_node *node = &q->result->nodes[i];
	double least = INFINITY;
	int best = 0;

	for (int zero_point = -127; zero_point <= 0; zero_point++) {
		double cost = 0;

		for (unsigned int c = 0; c < seen->channels; c++) {
			double range = fmax(seen->most[c], 0) - fmin(seen->least[c], 0);
			double step = channel_scale(seen, c, zero_point);

			if (range > 0)
				cost += (step / range) * (step / range);
		}
		if (cost < least) {
			least = cost;
			best = zero_point;
		}
	}
	node->zero_point = (int8_t)best;
	for (unsigned int c = 0; c < seen->channels; c++)
		node->scale[c] = (float)fmax(channel_scale(seen, c, best), 1e-9);
}

/*
 * Filter-wise shifting: each channel is centred, then one scale and zero point for all. The shift
 * is a multiple of the scale, so that 0, by far the most frequent value behind Hardswish, has a
 * code of its own in every channel. Where the widest channel sets the scale either way, shifting
 * gains nothing, and the tensor is left as it is.
 */
static void plan_shifted(const struct tv_quantizing *q, size_t i)
{
	const struct tv_node_statistics *seen = &q->statistics->nodes[i];
	struct tv_quantized_node *node = &q->result->nodes[i];
	struct tv_range plain, shifted;
	struct tv_histogram histogram;

	for (unsigned int c = 0; c < seen->channels; c++)
		node->offset[c] = (seen->most[c] + seen->least[c]) / 2;
	tv_histogram_of(seen, 0, seen->channels, NULL, -INFINITY, &histogram);
	plain = tv_range_find(&histogram, false, !q->options->no_search);
	tv_histogram_of(seen, 0, seen->channels, node->offset, -INFINITY, &histogram);
	shifted = tv_range_find(&histogram, false, !q->options->no_search);
	if (shifted.error >= plain.error) {
		memset(node->offset, 0, sizeof(float) * seen->channels);
		set_all(node, 0, seen->channels, &plain);
		return;
	}
	for (unsigned int c = 0; c < seen->channels; c++)
		node->offset[c] = (float)(rint(node->offset[c] / shifted.scale) * shifted.scale);
	set_all(node, 0, seen->channels, &shifted);
}

/*
 * The maps of an attention: zero point 0, a scale for the q, the k and the v of each head. They are
 * free to choose: q's and k's cancel in the quotient, v's is part of the head's multiplier, and the
 * 5x5 filters and grouped 1x1 between the two maps stay within each. In the second map q and k are
 * read through ReLU only.
 */
static void plan_heads(const struct tv_quantizing *q, size_t i, bool relu)
{
	const struct tv_node_statistics *seen = &q->statistics->nodes[i];
	struct tv_quantized_node *node = &q->result->nodes[i];
	unsigned int dim = q->network->architecture.head_dim;

	for (unsigned int first = 0; first < seen->channels; first += dim) {
		bool positive = relu && first / dim % 3 != 2;
		struct tv_histogram histogram;
		struct tv_range range;

		tv_histogram_of(seen, first, dim, NULL, positive ? 0 : -INFINITY, &histogram);
		range = tv_range_find(&histogram, true, !q->options->no_search);
		set_all(node, first, dim, &range);
	}
}

void tv_plan_value(const struct tv_quantizing *q, size_t i)
{
	switch (q->network->nodes[i].role) {
	case TV_ROLE_EXPAND:
	case TV_ROLE_HEAD_CONV: /* read by the pool, channel by channel */
		if (!q->options->no_migration)
			plan_migrated(q, i);
		else
			plan_tensor(q, i, false);
		break;
	case TV_ROLE_DEPTHWISE:
		if (!q->options->no_shifting)
			plan_shifted(q, i);
		else
			plan_tensor(q, i, false);
		break;
	case TV_ROLE_QKV:
	case TV_ROLE_AGGREGATE_DEPTHWISE:
		plan_heads(q, i, false);
		break;
	case TV_ROLE_AGGREGATE_POINTWISE:
		plan_heads(q, i, true);
		break;
	case TV_ROLE_ATTENTION:
		plan_tensor(q, i, true);
		break;
	case TV_ROLE_LINEAR1:
	case TV_ROLE_LINEAR2:
		q->result->nodes[i].wide = true;
		break;
	case TV_ROLE_STEM:
	case TV_ROLE_PROJECT:
	case TV_ROLE_ATTENTION_PROJECT:
	case TV_ROLE_POOL:
	case TV_ROLE_NORM:
		plan_tensor(q, i, false);
		break;
	}
}

static int allocate(struct tv_quantized *quantized, struct tv_error *error)
{
	const struct tv_network *network = quantized->network;

	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];
		struct tv_quantized_node *result = &quantized->nodes[i];
		size_t weights = (size_t)node->out_channels * node->kernel * node->kernel *
				 (node->groups ? node->in_channels / node->groups : 0);

		result->scale = calloc(node->out_channels, sizeof(float));
		result->offset = calloc(node->out_channels, sizeof(float));
		if (!result->scale || !result->offset)
			return tv_error_oom(error);
		if (node->kind == TV_NODE_ATTENTION)
			result->heads =
				calloc(node->out_channels / node->head_dim, sizeof(*result->heads));
		else
			result->records = calloc(node->out_channels, sizeof(*result->records));
		if (node->kind == TV_NODE_CONV)
			result->weight = calloc(weights, 1);
		if ((!result->heads && !result->records) ||
		    (node->kind == TV_NODE_CONV && !result->weight))
			return tv_error_oom(error);
	}
	return 0;
}

int tv_quantize(const struct tv_network *network, const struct tv_statistics *statistics,
		const struct tv_quantize_options *options, struct tv_quantized **ret,
		struct tv_error *error)
{
	_cleanup_(tv_quantized_freep) struct tv_quantized *quantized =
		calloc(1, sizeof(*quantized));
	struct tv_quantizing q = { network, statistics, options, quantized };
	int r;

	if (!quantized)
		return tv_error_oom(error);
	quantized->network = network;
	quantized->nodes = calloc(network->count, sizeof(*quantized->nodes));
	if (!quantized->nodes)
		return tv_error_oom(error);
	r = allocate(quantized, error);
	for (size_t i = 0; r >= 0 && i < network->count; i++) {
		tv_plan_value(&q, i);
		switch (network->nodes[i].kind) {
		case TV_NODE_CONV:
			r = tv_quantize_conv(&q, i, error);
			break;
		case TV_NODE_ATTENTION:
			r = tv_quantize_attention(&q, i, error);
			break;
		case TV_NODE_POOL:
			r = tv_quantize_pool(&q, i, error);
			break;
		case TV_NODE_NORM:
			r = tv_quantize_norm(&q, i, error);
			break;
		}
		if (r < 0)
			tv_error_prefix(error, r, "%s", network->nodes[i].name);
	}
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(quantized);
	return 0;
}

void tv_quantized_free(struct tv_quantized *quantized)
{
	if (!quantized)
		return;
	for (size_t i = 0; quantized->nodes && i < quantized->network->count; i++) {
		struct tv_quantized_node *node = &quantized->nodes[i];

		free(node->scale);
		free(node->offset);
		free(node->weight);
		free(node->records);
		free(node->heads);
	}
	free(quantized->nodes);
	free(quantized);
}
