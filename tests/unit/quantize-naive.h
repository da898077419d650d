/* SPDX-License-Identifier: MIT */
/*
 * A quantized network walked node by node as docs/numerics.md says: no programs, commands, chains,
 * segments or packed weights, one loop a sum. Programs must put out what this puts out.
 */
#ifndef TV_TESTS_QUANTIZE_NAIVE_H
#define TV_TESTS_QUANTIZE_NAIVE_H

#include <string.h>

#include "quantizer/quantize.h"
#include "tests/unit/unit.h"

struct naive_network {
	const struct tv_quantized *quantized;
	const uint8_t *rgb;
	int16_t **values; /* codes of each node, int8 ones too */
};

static inline int naive_pixel(const struct naive_network *n, const struct tv_node *node, int y,
			      int x, unsigned int c)
{
	const int8_t *pad = n->quantized->nodes[node - n->quantized->network->nodes].pad;
	size_t at;

	if (y < 0 || x < 0 || y >= (int)node->in_height || x >= (int)node->in_width)
		return pad[node->in_channels > 4 ? 0 : c];
	at = ((size_t)y * node->in_width + (size_t)x) * node->in_channels + c;
	if (node->input == TV_NETWORK_INPUT)
		return tv_input_byte(n->rgb[at]);
	return n->values[node->input][at];
}

/* From the accumulator on, for output channel o of pixel at. */
static inline int16_t naive_epilogue(const struct naive_network *n, const struct tv_node *node,
				     const struct tv_quantized_node *q, int16_t t, size_t pixel,
				     unsigned int o)
{
	const struct tv_channel *record = &q->records[o];

	if (node->activation == TV_ACTIVATION_HARDSWISH)
		t = tv_hardswish(t, q->fraction);
	if (node->shortcut >= 0)
		t = tv_add_shortcut(
			t, (int8_t)n->values[node->shortcut][pixel * node->out_channels + o],
			q->shortcut_zero_point, q->shortcut_multiplier);
	t = tv_subtract_constant(t, record->constant);
	return q->wide ?
		       t :
		       tv_narrow(t, record->narrow_multiplier, record->narrow_shift, q->zero_point);
}

static inline void naive_conv(struct naive_network *n, size_t i)
{
	const struct tv_node *node = &n->quantized->network->nodes[i];
	const struct tv_quantized_node *q = &n->quantized->nodes[i];
	unsigned int in = node->in_channels / node->groups, k = node->kernel;
	unsigned int out = node->out_channels / node->groups;
	int half = (int)k / 2;

	for (unsigned int pixel = 0; pixel < node->out_height * node->out_width; pixel++)
		for (unsigned int o = 0; o < node->out_channels; o++) {
			const int8_t *weight = q->weight + (size_t)o * k * k * in;
			int y = (int)(pixel / node->out_width * node->stride) - half;
			int x = (int)(pixel % node->out_width * node->stride) - half;
			int32_t acc = q->records[o].bias;

			for (unsigned int ky = 0; ky < k; ky++)
				for (unsigned int kx = 0; kx < k; kx++)
					for (unsigned int c = 0; c < in; c++)
						acc += *weight++ * naive_pixel(n, node, y + (int)ky,
									       x + (int)kx,
									       o / out * in + c);
			n->values[i][(size_t)pixel * node->out_channels + o] = naive_epilogue(
				n, node, q,
				tv_requantize(acc, q->records[o].shift, q->records[o].multiplier),
				pixel, o);
		}
}

static inline int positive(int x)
{
	return x > 0 ? x : 0;
}

static inline void naive_attention(struct naive_network *n, size_t i)
{
	const struct tv_node *node = &n->quantized->network->nodes[i];
	const struct tv_quantized_node *q = &n->quantized->nodes[i];
	unsigned int dim = node->head_dim, tokens = node->in_height * node->in_width;
	unsigned int channels = n->quantized->network->nodes[node->input].out_channels;
	unsigned int heads = channels / (3 * dim);

	for (unsigned int h = 0; h < 2 * heads; h++) {
		const int16_t *map =
			n->values[h < heads ? node->input : node->input2] + h % heads * 3 * dim;
		const struct tv_head *record = &q->heads[h];
		int32_t product[256][256] = { { 0 } }, sum[256] = { 0 };

		for (unsigned int t = 0; t < tokens; t++)
			for (unsigned int a = 0; a < dim; a++) {
				int key = positive(map[t * channels + dim + a]);

				sum[a] += key;
				for (unsigned int b = 0; b < dim; b++)
					product[a][b] += key * map[t * channels + 2 * dim + b];
			}
		for (unsigned int t = 0; t < tokens; t++)
			for (unsigned int b = 0; b < dim; b++) {
				int32_t dividend = 0, divisor = 0;

				for (unsigned int a = 0; a < dim; a++) {
					int query = positive(map[t * channels + a]);

					dividend += query *
						    tv_requantize_head(product[a][b],
								       record->product_shift,
								       record->product_multiplier,
								       record->product_narrow);
					divisor += query *
						   tv_requantize_head(sum[a], record->sum_shift,
								      record->sum_multiplier,
								      record->sum_narrow);
				}
				n->values[i][(size_t)t * node->out_channels + h * dim + b] =
					tv_shift_divide(dividend, record->quotient_multiplier,
							record->quotient_shift,
							tv_log2_divisor((uint32_t)divisor,
									record->log2_base));
			}
	}
}

static inline void naive_pool(struct naive_network *n, size_t i)
{
	const struct tv_node *node = &n->quantized->network->nodes[i];
	const struct tv_quantized_node *q = &n->quantized->nodes[i];

	for (unsigned int c = 0; c < node->out_channels; c++) {
		int32_t acc = q->records[c].bias;

		for (unsigned int p = 0; p < node->in_height * node->in_width; p++)
			acc += n->values[node->input][p * node->in_channels + c];
		n->values[i][c] = naive_epilogue(
			n, node, q,
			tv_requantize(acc, q->records[c].shift, q->records[c].multiplier), 0, c);
	}
}

static inline void naive_norm(struct naive_network *n, size_t i)
{
	const struct tv_node *node = &n->quantized->network->nodes[i];
	const struct tv_quantized_node *q = &n->quantized->nodes[i];
	const int16_t *x = n->values[node->input];
	struct tv_norm norm;
	int64_t squares = 0;
	int32_t sum = 0;

	for (unsigned int c = 0; c < node->in_channels; c++) {
		sum += x[c];
		squares += (int32_t)x[c] * x[c];
	}
	norm = tv_norm_prepare((int32_t)node->in_channels, sum, squares, q->epsilon);
	for (unsigned int c = 0; c < node->out_channels; c++)
		n->values[i][c] =
			naive_epilogue(n, node, q,
				       tv_norm_apply(&norm, x[c], q->records[c].multiplier,
						     q->records[c].shift, q->records[c].bias),
				       0, c);
}

/* The codes of all nodes for one image; released by naive_done(). */
static inline struct naive_network naive_run(const struct tv_quantized *quantized,
					     const uint8_t *rgb)
{
	const struct tv_network *network = quantized->network;
	struct naive_network n = { quantized, rgb, calloc(network->count, sizeof(int16_t *)) };

	ck_assert_ptr_nonnull(n.values);
	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];

		n.values[i] =
			calloc((size_t)node->out_height * node->out_width * node->out_channels,
			       sizeof(int16_t));
		ck_assert_ptr_nonnull(n.values[i]);
		switch (node->kind) {
		case TV_NODE_CONV:
			naive_conv(&n, i);
			break;
		case TV_NODE_ATTENTION:
			naive_attention(&n, i);
			break;
		case TV_NODE_POOL:
			naive_pool(&n, i);
			break;
		case TV_NODE_NORM:
			naive_norm(&n, i);
			break;
		}
	}
	return n;
}

static inline void naive_done(struct naive_network *n)
{
	for (size_t i = 0; n->values && i < n->quantized->network->count; i++)
		free(n->values[i]);
	free(n->values);
}

#endif
