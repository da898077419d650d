/* SPDX-License-Identifier: MIT */
/* What is not a convolution. */
#include <cblas.h>
#include <math.h>

#include "quantizer/float-ops.h"

/*
 * One head, with maps of 3 * dim channels a head (query, key, value):
 *
 *   out = v (k' q) / (sum(k) q + epsilon), q and k through ReLU,
 *
 * bracketed so that k' v comes first: its cost then grows with the pixels, not with their square.
 */
static void attention_head(const struct tv_node *node, const float *map, unsigned int head,
			   float *scratch, const struct tv_float_rounding *rounding, float *out)
{
	const size_t pixels = (size_t)node->in_height * node->in_width;
	const size_t dim = node->head_dim, map_channels = node->in_channels;
	float *q = scratch, *k = q + pixels * dim, *kv = k + pixels * dim, *sum = kv + dim * dim;

	for (size_t i = 0; i < dim; i++)
		sum[i] = 0;
	for (size_t p = 0; p < pixels; p++) {
		const float *from = map + p * map_channels;

		for (size_t i = 0; i < dim; i++) {
			q[p * dim + i] = tv_float_relu(from[i]);
			k[p * dim + i] = tv_float_relu(from[dim + i]);
			sum[i] += k[p * dim + i];
		}
	}

	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, dim, dim, pixels, 1, k, dim,
		    map + 2 * dim, map_channels, 0, kv, dim);
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, pixels, dim, dim, 1, q, dim, kv, dim,
		    0, out, node->out_channels);

	for (size_t p = 0; p < pixels; p++, q += dim, out += node->out_channels) {
		float divisor = 0;

		for (size_t i = 0; i < dim; i++)
			divisor += q[i] * sum[i];
		divisor += node->epsilon;
		if (rounding->round)
			divisor =
				rounding->round(rounding->index, head, divisor, rounding->userdata);
		for (size_t i = 0; i < dim; i++)
			out[i] /= divisor;
	}
}

void tv_float_attention(const struct tv_node *node, const float *in, const float *in2,
			float *scratch, const struct tv_float_rounding *rounding, float *out)
{
	const size_t dim = node->head_dim;
	const unsigned int heads = (unsigned int)(node->in_channels / (3 * dim)); /* of a map */

	for (unsigned int head = 0; head < heads; head++) {
		attention_head(node, in + head * 3 * dim, head, scratch, rounding,
			       out + head * dim);
		attention_head(node, in2 + head * 3 * dim, heads + head, scratch, rounding,
			       out + (heads + head) * dim);
	}
}

void tv_float_pool(const struct tv_node *node, const float *in, float *out)
{
	const size_t pixels = (size_t)node->in_height * node->in_width;
	const size_t channels = node->in_channels;

	for (size_t c = 0; c < channels; c++)
		out[c] = 0;
	for (size_t p = 0; p < pixels; p++, in += channels) {
		for (size_t c = 0; c < channels; c++)
			out[c] += in[c];
	}
	for (size_t c = 0; c < channels; c++)
		out[c] /= (float)pixels;
}

void tv_float_norm(const struct tv_node *node, const float *in, float *out)
{
	const size_t channels = node->in_channels;
	double mean = 0, variance = 0, factor;

	for (size_t c = 0; c < channels; c++)
		mean += in[c];
	mean /= (double)channels;
	for (size_t c = 0; c < channels; c++)
		variance += (in[c] - mean) * (in[c] - mean);
	variance /= (double)channels;
	factor = 1 / sqrt(variance + node->epsilon);

	for (size_t c = 0; c < channels; c++) {
		const float x = (float)((in[c] - mean) * factor) * node->weight[c] + node->bias[c];

		switch (node->activation) {
		case TV_ACTIVATION_NONE:
			out[c] = x;
			break;
		case TV_ACTIVATION_RELU:
			out[c] = tv_float_relu(x);
			break;
		case TV_ACTIVATION_HARDSWISH:
			out[c] = tv_float_hardswish(x);
			break;
		}
	}
}

uint64_t tv_float_scratch(const struct tv_node *node)
{
	const uint64_t pixels = (uint64_t)node->in_height * node->in_width;
	const uint64_t dim = node->head_dim;

	switch (node->kind) {
	case TV_NODE_CONV:
		if (node->kernel == 1 || tv_float_is_depthwise(node))
			return 0;
		return (uint64_t)node->out_width * node->kernel * node->kernel * node->in_channels;
	case TV_NODE_ATTENTION:
		/* Query, key, k' v and sum(k) of one head. */
		return 2 * pixels * dim + dim * dim + dim;
	default:
		return 0;
	}
}
