/* SPDX-License-Identifier: MIT */
/*
 * Convolutions. Each is computed a strip of rows at a time and finished (bias, activation,
 * shortcut) while the strip is still in the cache.
 */
#include <cblas.h>
#include <pthread.h>
#include <string.h>

#include "quantizer/float-ops.h"

/* A strip's floats: with its input and the weights it stays in a second-level cache. */
#define STRIP_FLOATS 32768u
/* Channels of a depthwise convolution whose sums are in registers together. */
#define LANES 16u

static void limit_threads(void)
{
	openblas_set_num_threads(1);
}

void tv_float_use_one_thread(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, limit_threads);
}

bool tv_float_is_depthwise(const struct tv_node *node)
{
	return node->kind == TV_NODE_CONV && node->groups == node->in_channels &&
	       node->groups == node->out_channels;
}

void tv_float_pack_depthwise(const struct tv_node *node, float *ret)
{
	const size_t channels = node->out_channels;
	const size_t window = (size_t)node->kernel * node->kernel;

	for (size_t k = 0; k < window; k++) {
		for (size_t c = 0; c < channels; c++)
			ret[k * channels + c] = node->weight[c * window + k];
	}
}

static void finish_strip(const struct tv_node *node, size_t pixels, const float *restrict shortcut,
			 float *restrict out)
{
	const size_t channels = node->out_channels;
	const float *restrict bias = node->bias;

	for (size_t p = 0; p < pixels; p++, out += channels) {
		switch (node->activation) {
		case TV_ACTIVATION_NONE:
			for (size_t c = 0; c < channels; c++)
				out[c] += bias[c];
			break;
		case TV_ACTIVATION_RELU:
			for (size_t c = 0; c < channels; c++)
				out[c] = tv_float_relu(out[c] + bias[c]);
			break;
		case TV_ACTIVATION_HARDSWISH:
			for (size_t c = 0; c < channels; c++)
				out[c] = tv_float_hardswish(out[c] + bias[c]);
			break;
		}
		if (shortcut) {
			for (size_t c = 0; c < channels; c++)
				out[c] += shortcut[c];
			shortcut += channels;
		}
	}
}

/* out[pixels][outputs] = in[pixels][inputs] * weight[outputs][inputs]', rows of in and out being
 * as far apart as the maps' channels. */
static void multiply(size_t pixels, size_t outputs, size_t inputs, const float *in,
		     size_t in_stride, const float *weight, float *out, size_t out_stride)
{
	if (pixels == 1)
		cblas_sgemv(CblasRowMajor, CblasNoTrans, outputs, inputs, 1, weight, inputs, in, 1,
			    0, out, 1);
	else
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, pixels, outputs, inputs, 1, in,
			    in_stride, weight, inputs, 0, out, out_stride);
}

static void pointwise_strip(const struct tv_node *node, const float *in, size_t pixels, float *out)
{
	const size_t inputs = node->in_channels / node->groups;
	const size_t outputs = node->out_channels / node->groups;

	for (size_t g = 0; g < node->groups; g++)
		multiply(pixels, outputs, inputs, in + g * inputs, node->in_channels,
			 node->weight + g * outputs * inputs, out + g * outputs,
			 node->out_channels);
}

/* The taps of a window that lie within a map: [first, last) of kernel, for output position i. */
struct taps {
	unsigned int first, last;
	unsigned int origin; /* the position in the map that the tap 'first' is at */
};

static struct taps taps_within(const struct tv_node *node, unsigned int i, unsigned int side)
{
	const unsigned int padding = node->kernel / 2;
	const unsigned int start = i * node->stride; /* in the padded map */
	struct taps taps;

	taps.first = start < padding ? padding - start : 0;
	taps.last = side + padding - start < node->kernel ? side + padding - start : node->kernel;
	taps.origin = start + taps.first - padding;
	return taps;
}

/* A row of windows, spread out as a matrix: [out_width][kernel][kernel][in_channels]. */
static void gather_row(const struct tv_node *node, const float *in, unsigned int y, float *matrix)
{
	const size_t channels = node->in_channels;
	const size_t window = (size_t)node->kernel * node->kernel * channels;
	const struct taps rows = taps_within(node, y, node->in_height);

	memset(matrix, 0, node->out_width * window * sizeof(*matrix));
	for (unsigned int x = 0; x < node->out_width; x++, matrix += window) {
		const struct taps columns = taps_within(node, x, node->in_width);
		const size_t length = (columns.last - columns.first) * channels;
		const float *from =
			in + ((size_t)rows.origin * node->in_width + columns.origin) * channels;

		for (unsigned int k = rows.first; k < rows.last; k++) {
			memcpy(matrix + ((size_t)k * node->kernel + columns.first) * channels, from,
			       length * sizeof(*matrix));
			from += node->in_width * channels;
		}
	}
}

/* One pixel's sums of channels [c, c + count); count is LANES wherever it can be, a constant to
 * the compiler there. */
static inline void depthwise_lanes(const struct tv_node *node, const float *restrict packed,
				   const float *restrict in, struct taps rows, struct taps columns,
				   size_t count, float *restrict out)
{
	const size_t channels = node->out_channels;
	float sum[LANES] = { 0 };

	in += ((size_t)rows.origin * node->in_width + columns.origin) * channels;
	for (unsigned int ky = rows.first; ky < rows.last; ky++) {
		const float *weight = packed + (ky * node->kernel + columns.first) * channels;
		const float *value = in;

		for (unsigned int kx = columns.first; kx < columns.last; kx++) {
			for (size_t lane = 0; lane < count; lane++)
				sum[lane] += value[lane] * weight[lane];
			weight += channels;
			value += channels;
		}
		in += node->in_width * channels;
	}
	for (size_t lane = 0; lane < count; lane++)
		out[lane] = sum[lane];
}

static void depthwise_row(const struct tv_node *node, const float *packed, const float *in,
			  unsigned int y, float *out)
{
	const size_t channels = node->out_channels;
	const struct taps rows = taps_within(node, y, node->in_height);

	for (unsigned int x = 0; x < node->out_width; x++, out += channels) {
		const struct taps columns = taps_within(node, x, node->in_width);
		size_t c = 0;

		for (; c + LANES <= channels; c += LANES)
			depthwise_lanes(node, packed + c, in + c, rows, columns, LANES, out + c);
		if (c < channels)
			depthwise_lanes(node, packed + c, in + c, rows, columns, channels - c,
					out + c);
	}
}

void tv_float_conv(const struct tv_node *node, const float *packed, const float *in,
		   const float *shortcut, float *scratch, float *out)
{
	const size_t row = (size_t)node->out_width * node->out_channels;
	const unsigned int strip = row < STRIP_FLOATS ? (unsigned int)(STRIP_FLOATS / row) : 1;

	for (unsigned int y = 0; y < node->out_height; y += strip) {
		const unsigned int left = node->out_height - y;
		const unsigned int rows = strip < left ? strip : left;
		float *to = out + y * row;

		if (tv_float_is_depthwise(node)) {
			for (unsigned int i = 0; i < rows; i++)
				depthwise_row(node, packed, in, y + i, to + i * row);
		} else if (node->kernel == 1) {
			pointwise_strip(node, in + (size_t)y * node->in_width * node->in_channels,
					(size_t)rows * node->out_width, to);
		} else {
			const size_t window =
				(size_t)node->kernel * node->kernel * node->in_channels;

			for (unsigned int i = 0; i < rows; i++) {
				gather_row(node, in, y + i, scratch);
				multiply(node->out_width, node->out_channels, window, scratch,
					 window, node->weight, to + i * row, node->out_channels);
			}
		}
		finish_strip(node, (size_t)rows * node->out_width,
			     shortcut ? shortcut + y * row : NULL, to);
	}
}
