/* SPDX-License-Identifier: MIT */
/* Attention, pool and layer norm: layers that have no weights of their own to round. */
#include <errno.h>
#include <math.h>

#include "quantizer/divisor.h"
#include "quantizer/quantize-node.h"

/* How k^T v or sum(k) becomes int8: acc * multiplier / 2^(15 + shift + narrow). */
struct head_gain {
	struct tv_gain gain; /* its shift is narrow */
	unsigned int shift;
	double scale; /* real value of a code, as the rounded multiplier makes it */
};

/* unit: real value of the accumulator's 1; most: the largest real value, to become 127. */
static struct head_gain head_gain_of(double unit, double most)
{
	struct head_gain result = { .shift = 0 };
	double scale = fmax(most / 127, 1e-12);

	while (ldexp(most / unit, -(int)result.shift) > INT16_MAX && result.shift < 31)
		result.shift++;
	result.gain = tv_gain_of(ldexp(unit / scale, (int)result.shift), 15);
	result.scale = scale;
	if (result.gain.multiplier)
		result.scale = ldexp(unit / tv_gain_value(result.gain), (int)result.shift);
	return result;
}

static void quantize_head(const struct tv_quantizing *q, size_t i, unsigned int head)
{
	const struct tv_node *node = &q->network->nodes[i];
	const struct tv_node_statistics *seen = &q->statistics->nodes[i];
	struct tv_quantized_node *result = &q->result->nodes[i];
	unsigned int dim = node->head_dim;
	unsigned int first_map = q->network->nodes[node->input].out_channels / (3 * dim);
	const struct tv_quantized_node *map =
		&q->result->nodes[head < first_map ? node->input : node->input2];
	const float *scale =
		map->scale + (size_t)(head < first_map ? head : head - first_map) * 3 * dim;
	double q_scale = scale[0], k_scale = scale[dim], v_scale = scale[2 * dim];
	struct head_gain product = head_gain_of(k_scale * v_scale, seen->product[head]);
	struct head_gain sum = head_gain_of(k_scale, seen->sum[head]);
	struct tv_head *record = &result->heads[head];
	double divisor, quotient;
	int exponent;

	record->product_multiplier = product.gain.multiplier;
	record->product_shift = (uint8_t)product.shift;
	record->product_narrow = product.gain.shift;
	record->sum_multiplier = sum.gain.multiplier;
	record->sum_shift = (uint8_t)sum.shift;
	record->sum_narrow = sum.gain.shift;
	/* The window ends at the largest divisor seen, with room for half as much again. */
	divisor = seen->divisor[head] / (q_scale * sum.scale) * TV_LOG2_ROOM;
	divisor = fmin(fmax(divisor, 1), INT32_MAX);
	exponent = (int)tv_log2_divisor((uint32_t)divisor, divisor < 3 << 14 ? 0 : 16) -
		   (TV_LOG2_CODES - 1);
	record->log2_base = (uint8_t)(exponent < 0 ? 0 : exponent);
	/* code = N / 2^k * (product.scale / (sum.scale * scale)), less the rule's mean error */
	quotient = product.scale / (sum.scale * result->scale[0]) * exp2(TV_LOG2_RULE_MEAN);
	frexp(quotient, &exponent);
	exponent = 15 - exponent;
	exponent = exponent < 0 ? 0 : exponent > 31 ? 31 : exponent;
	record->quotient_shift = (uint8_t)exponent;
	record->quotient_multiplier = (int16_t)fmin(rint(ldexp(quotient, exponent)), 32767);
}

int tv_quantize_attention(const struct tv_quantizing *q, size_t i, struct tv_error *error)
{
	const struct tv_node *node = &q->network->nodes[i];

	(void)error;
	for (unsigned int head = 0; head < node->out_channels / node->head_dim; head++)
		quantize_head(q, i, head);
	return 0;
}

/* The mean is the sum, times the input's scale over the number of pixels. */
int tv_quantize_pool(const struct tv_quantizing *q, size_t i, struct tv_error *error)
{
	const struct tv_node *node = &q->network->nodes[i];
	const struct tv_quantized_node *from = &q->result->nodes[node->input];
	struct tv_quantized_node *result = &q->result->nodes[i];
	double pixels = (double)node->in_height * node->in_width, most = 0;

	(void)error;
	for (unsigned int c = 0; c < node->out_channels; c++)
		most = fmax(most, from->scale[c] / pixels);
	tv_choose_unit(result, false, tv_magnitude(&q->statistics->nodes[i]),
		       most * (32768.0 / 32767));
	for (unsigned int c = 0; c < node->out_channels; c++) {
		struct tv_channel *record = &result->records[c];
		double scale = from->scale[c] / pixels;
		struct tv_gain gain = tv_gain_of(scale / result->unit, 31);

		record->multiplier = gain.multiplier;
		record->shift = gain.shift;
		record->bias = (int32_t)(lrint(from->offset[c] / scale) -
					 (long)from->zero_point * (long)pixels);
		tv_set_narrowing(result, c, record);
	}
	return 0;
}

int tv_quantize_norm(const struct tv_quantizing *q, size_t i, struct tv_error *error)
{
	const struct tv_node *node = &q->network->nodes[i];
	const struct tv_quantized_node *from = &q->result->nodes[node->input];
	struct tv_quantized_node *result = &q->result->nodes[i];
	double n = node->in_channels, epsilon;

	if (node->in_channels > TV_NORM_CHANNELS_MAX)
		return tv_error_set(error, -EINVAL, "%u channels, at most %d", node->in_channels,
				    TV_NORM_CHANNELS_MAX);
	epsilon = rint(n * n * node->epsilon / (from->unit * from->unit));
	result->epsilon = epsilon < (double)TV_NORM_EPSILON_LIMIT ? (uint64_t)epsilon :
								    TV_NORM_EPSILON_LIMIT - 1;
	tv_choose_unit(result, node->activation == TV_ACTIVATION_HARDSWISH,
		       tv_magnitude(&q->statistics->nodes[i]), 0);
	for (unsigned int c = 0; c < node->out_channels; c++) {
		struct tv_channel *record = &result->records[c];
		double gamma = node->weight[c] / result->unit;
		double beta = rint(node->bias[c] / result->unit);
		int exponent = 0;

		/* gamma = multiplier * 2^(16 - s) with 15 bits of multiplier */
		frexp(gamma, &exponent);
		exponent = TV_NORM_FRACTION + 15 - exponent;
		exponent = exponent < 0 ? 0 : exponent > 31 ? 31 : exponent;
		record->shift = (uint8_t)exponent;
		gamma = rint(ldexp(gamma, exponent - TV_NORM_FRACTION));
		record->multiplier = (int16_t)fmin(fmax(gamma, -32767), 32767);
		if (fabs(beta) >= TV_BIAS_LIMIT)
			return tv_error_set(error, -EINVAL, "channel %u: beta %g is too large", c,
					    (double)node->bias[c]);
		record->bias = (int32_t)beta;
		tv_set_narrowing(result, c, record);
	}
	return 0;
}
