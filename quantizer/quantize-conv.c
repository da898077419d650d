/* SPDX-License-Identifier: MIT */
/* Convolutions and linear layers: weights, biases and the epilogue's gains. */
#include <errno.h>
#include <math.h>

#include "quantizer/quantize-node.h"

#define WEIGHT_MAX   127
#define SEARCH_STEPS 60
#define BIN_POINTS   8

/* A convolution's input, channel by channel: real = scale * (code - zero_point) + offset. */
struct input {
	double *scale, *offset;
	int *zero_point;
	double *mean; /* of the real value */
	double *coded; /* mean of what the codes make of it */
	double *weight; /* mean square of code - zero_point: what an error of a weight costs */
};

static void input_done(struct input *input)
{
	free(input->scale);
	free(input->offset);
	free(input->zero_point);
	free(input->mean);
	free(input->coded);
	free(input->weight);
}

/*
 * Mean of what codes make of a channel's values, by its histogram. Steps that are wide beside the
 * channel's values, and less so ends that are cut off, move it from the values' own mean. Values
 * are spread evenly over their bin: a bin may be as wide as a step, and its middle be rounded one
 * way.
 */
static double coded_mean(const struct tv_quantized_node *from,
			 const struct tv_node_statistics *seen, unsigned int c, double mean)
{
	const uint32_t *bins = seen->bins + (size_t)c * TV_STATISTICS_BINS;
	double width = ((double)seen->most[c] - seen->least[c]) / TV_STATISTICS_BINS, sum = 0;
	const double first = -128 - from->zero_point, last = 127 - from->zero_point;

	if (from->wide || !seen->values)
		return mean; /* int16 codes are as good as the value */
	for (unsigned int b = 0; b < TV_STATISTICS_BINS; b++) {
		double middle = tv_statistics_value(seen, c, b), error = 0;

		for (unsigned int i = 0; bins[b] && i < BIN_POINTS; i++) {
			double x = middle + ((i + 0.5) / BIN_POINTS - 0.5) * width;
			double code = rint((x - from->offset[c]) / from->scale[c]);

			code = code < first ? first : code > last ? last : code;
			error += code * from->scale[c] + from->offset[c] - x;
		}
		sum += bins[b] * error / BIN_POINTS;
	}
	return mean + sum / (double)seen->values;
}

static int input_of(const struct tv_quantizing *q, const struct tv_node *node, struct input *ret,
		    struct tv_error *error)
{
	unsigned int channels = node->in_channels;

	ret->scale = calloc(channels, sizeof(double));
	ret->offset = calloc(channels, sizeof(double));
	ret->zero_point = calloc(channels, sizeof(int));
	ret->mean = calloc(channels, sizeof(double));
	ret->coded = calloc(channels, sizeof(double));
	ret->weight = calloc(channels, sizeof(double));
	if (!ret->scale || !ret->offset || !ret->zero_point || !ret->mean || !ret->coded ||
	    !ret->weight)
		return tv_error_oom(error);
	for (unsigned int c = 0; c < channels; c++) {
		const struct tv_quantized_node *from;
		const struct tv_node_statistics *seen;

		if (node->input == TV_NETWORK_INPUT) {
			/* p - 128 stands for (p / 255 - mean) / std; the zero point is the padding,
			 * a whole number, and what it is off by is an offset. */
			double zero = 255.0 * q->network->mean[c] - 128;

			ret->scale[c] = 1 / (255.0 * q->network->std[c]);
			ret->zero_point[c] = (int)lrint(zero);
			ret->offset[c] = (ret->zero_point[c] - zero) * ret->scale[c];
			ret->weight[c] = 1;
			continue;
		}
		from = &q->result->nodes[node->input];
		seen = &q->statistics->nodes[node->input];
		ret->scale[c] = from->scale[c];
		ret->offset[c] = from->offset[c];
		ret->zero_point[c] = from->zero_point;
		ret->mean[c] = tv_statistics_moment(seen, c, 0, 1);
		ret->coded[c] = coded_mean(from, seen, c, ret->mean[c]);
		ret->weight[c] = tv_statistics_moment(seen, c, from->offset[c], 2) /
				 (ret->scale[c] * ret->scale[c]);
	}
	return 0;
}

/* One output channel while it is quantized. */
struct channel {
	const float *weight; /* length of them */
	size_t length;
	unsigned int first, channels; /* input channels of its group */
	double *scaled; /* weight * scale of the input channel */
};

static unsigned int input_channel(const struct channel *channel, size_t j)
{
	return channel->first + (unsigned int)(j % channel->channels);
}

static double round_weight(double weight, double scale)
{
	double rounded = rint(weight / scale);

	/* Not fmin() and fmax(), which are calls. */
	return rounded < -WEIGHT_MAX ? -WEIGHT_MAX : rounded > WEIGHT_MAX ? WEIGHT_MAX : rounded;
}

/* The scale of a channel's weights: the largest, or as much less as makes the squared error of the
 * output least, each weight's error counted with its input's mean square. 0 for a dead channel. */
static double find_scale(const struct channel *channel, const struct input *input, bool search)
{
	double largest = 0, best = 0, least = INFINITY;

	for (size_t j = 0; j < channel->length; j++)
		largest = fmax(largest, fabs(channel->scaled[j]));
	if (!search || !(largest > 0))
		return largest / WEIGHT_MAX;
	for (unsigned int step = 0; step < SEARCH_STEPS; step++) {
		double scale = largest / WEIGHT_MAX * (1 - 0.01 * step), error = 0;
		unsigned int c = 0;

		for (size_t j = 0; j < channel->length && error < least; j++) {
			double miss = channel->scaled[j] -
				      scale * round_weight(channel->scaled[j], scale);

			error += miss * miss * input->weight[channel->first + c];
			/* input_channel() without its division */
			c = c + 1 < channel->channels ? c + 1 : 0;
		}
		if (error < least) {
			least = error;
			best = scale;
		}
	}
	return best;
}

/*
 * The real constant of an output channel: the bias, the shift that the input's offsets are
 * (computed with the rounded weights, so that shifting is exact), and the mean of what rounding the
 * weights and the inputs has changed.
 */
static double constant_of(const struct tv_quantizing *q, const struct channel *channel,
			  const struct input *input, const int8_t *rounded, double scale,
			  double bias)
{
	double constant = bias;

	for (size_t j = 0; j < channel->length; j++) {
		unsigned int c = input_channel(channel, j);
		double real = scale * rounded[j] / input->scale[c];

		constant += real * input->offset[c];
		if (!q->options->no_correction)
			constant += channel->weight[j] * input->mean[c] - real * input->coded[c];
	}
	return constant;
}

static int quantize_channel(const struct tv_quantizing *q, const struct channel *channel,
			    const struct input *input, double scale, double bias,
			    struct tv_quantized_node *result, unsigned int o,
			    struct tv_error *error)
{
	int8_t *rounded = result->weight + (size_t)o * channel->length;
	struct tv_channel *record = &result->records[o];

	/* A dead channel's scale, and one whose bias is far larger than its sums, is raised until
	 * the bias has its bound. */
	for (unsigned int i = 0; i < 64; i++) {
		double magnitude = 0, constant;
		struct tv_gain gain = tv_gain_of(scale / result->unit, 31);
		long long zero = 0;

		/* What the rounded gain makes of the scale is the scale. */
		if (gain.multiplier)
			scale = tv_gain_value(gain) * result->unit;
		for (size_t j = 0; j < channel->length; j++) {
			rounded[j] = (int8_t)round_weight(channel->scaled[j], scale);
			zero += (long long)rounded[j] *
				input->zero_point[input_channel(channel, j)];
			magnitude += abs(rounded[j]) * 128.0;
		}
		constant = rint(constant_of(q, channel, input, rounded, scale, bias) / scale) -
			   (double)zero;
		if (fabs(constant) < TV_BIAS_LIMIT) {
			record->bias = (int32_t)constant;
			record->multiplier = gain.multiplier;
			record->shift = gain.shift;
			result->widest = fmax(result->widest, magnitude + fabs(constant));
			return 0;
		}
		scale *= 2;
	}
	return tv_error_set(error, -EINVAL, "output channel %u: bias %g cannot be represented", o,
			    bias);
}

/* Scales of all output channels, 0 for the dead; *ret_most: the largest. */
static void find_scales(const struct tv_quantizing *q, const struct tv_node *node,
			const struct input *input, struct channel *channel, double *ret,
			double *ret_most)
{
	*ret_most = 0;
	for (unsigned int o = 0; o < node->out_channels; o++) {
		channel->weight = node->weight + (size_t)o * channel->length;
		channel->first = o / (node->out_channels / node->groups) * channel->channels;
		for (size_t j = 0; j < channel->length; j++)
			channel->scaled[j] =
				channel->weight[j] * input->scale[input_channel(channel, j)];
		ret[o] = find_scale(channel, input, !q->options->no_search);
		*ret_most = fmax(*ret_most, ret[o]);
	}
}

static void set_shortcut(const struct tv_quantizing *q, const struct tv_node *node,
			 struct tv_quantized_node *result)
{
	const struct tv_quantized_node *from = &q->result->nodes[node->shortcut];
	double multiplier = rint(from->scale[0] / result->unit * 256);

	result->shortcut_multiplier = (int16_t)fmin(multiplier, 32767);
	result->shortcut_zero_point = from->zero_point;
}

static void set_padding(const struct tv_node *node, const struct input *input,
			struct tv_quantized_node *result)
{
	if (node->kernel == 1)
		return;
	for (unsigned int i = 0; i < 4; i++) {
		if (node->in_channels > 4)
			result->pad[i] = (int8_t)input->zero_point[0];
		else if (i < node->in_channels)
			result->pad[i] = (int8_t)input->zero_point[i];
	}
}

static void set_output(const struct tv_node *node, struct tv_quantized_node *result)
{
	for (unsigned int o = 0; o < node->out_channels; o++) {
		if (!result->wide) {
			tv_set_narrowing(result, o, &result->records[o]);
			continue;
		}
		result->scale[o] = (float)result->unit;
		result->offset[o] = 0;
	}
}

int tv_quantize_conv(const struct tv_quantizing *q, size_t i, struct tv_error *error)
{
	const struct tv_node *node = &q->network->nodes[i];
	struct tv_quantized_node *result = &q->result->nodes[i];
	struct channel channel = { .channels = node->in_channels / node->groups };
	_cleanup_(input_done) struct input input = { 0 };
	_cleanup_free_ double *scales = calloc(node->out_channels, sizeof(double));
	_cleanup_free_ double *scaled = NULL;
	double most, magnitude = tv_magnitude(&q->statistics->nodes[i]), least;
	int r;

	channel.length = (size_t)node->kernel * node->kernel * channel.channels;
	scaled = calloc(channel.length, sizeof(double));
	if (!scales || !scaled)
		return tv_error_oom(error);
	channel.scaled = scaled;
	r = input_of(q, node, &input, error);
	if (r < 0)
		return r;
	find_scales(q, node, &input, &channel, scales, &most);
	/* The int16 is no finer than the accumulators, and no coarser than a shortcut allows. */
	least = most * (32768.0 / 32767);
	if (node->shortcut >= 0) {
		const struct tv_quantized_node *from = &q->result->nodes[node->shortcut];

		magnitude += tv_magnitude(&q->statistics->nodes[node->shortcut]);
		least = fmax(least, from->scale[0] / 127.9);
	}
	tv_choose_unit(result, node->activation == TV_ACTIVATION_HARDSWISH, magnitude, least);
	if (node->shortcut >= 0)
		set_shortcut(q, node, result);
	for (unsigned int o = 0; o < node->out_channels; o++) {
		channel.weight = node->weight + (size_t)o * channel.length;
		channel.first = o / (node->out_channels / node->groups) * channel.channels;
		for (size_t j = 0; j < channel.length; j++)
			channel.scaled[j] =
				channel.weight[j] * input.scale[input_channel(&channel, j)];
		if (!(scales[o] > 0)) {
			result->dead++;
			scales[o] = result->unit / (1 << 20);
		}
		r = quantize_channel(q, &channel, &input, scales[o], node->bias[o], result, o,
				     error);
		if (r < 0)
			return r;
	}
	set_padding(node, &input, result);
	set_output(node, result);
	return 0;
}
