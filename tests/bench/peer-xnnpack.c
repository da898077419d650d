/* SPDX-License-Identifier: MIT */
#include "tests/bench/peer.h"

#include <stdlib.h>
#include <xnnpack.h>

static void *prepare(const struct peer_layer *l)
{
	const uint32_t pad = l->kernel / 2, in = l->in / l->groups, out = l->out / l->groups;
	const uint32_t out_height = (l->height - 1) / l->stride + 1;
	const uint32_t out_width = (l->width - 1) / l->stride + 1;
	/* What the last pixel reads decides how much is behind the map. */
	const uint32_t below = (out_height - 1) * l->stride + l->kernel - l->height - pad;
	const uint32_t right = (out_width - 1) * l->stride + l->kernel - l->width - pad;
	const size_t weights_size = (size_t)l->out * in * l->kernel * l->kernel;
	const size_t source_size = (size_t)l->images * l->height * l->width * l->in;
	const size_t target_size = (size_t)l->images * out_height * out_width * l->out;
	int8_t *source = malloc(source_size + XNN_EXTRA_BYTES);
	int8_t *target = malloc(target_size + XNN_EXTRA_BYTES);
	int8_t *weights = malloc(weights_size);
	int32_t *bias = calloc(l->out, sizeof(*bias));
	xnn_operator_t convolution;

	if (!source || !target || !weights || !bias || xnn_initialize(NULL) != xnn_status_success)
		abort();
	peer_fill(source, source_size);
	peer_fill(weights, weights_size);
	if (xnn_create_convolution2d_nhwc_qs8(pad, right, below, pad, l->kernel, l->kernel,
					      l->stride, l->stride, 1, 1, l->groups, in, out, l->in,
					      l->out, 3, 0.1f, 0.1f, weights, bias, 5, 10.0f, -128,
					      127, 0, &convolution) != xnn_status_success ||
	    xnn_setup_convolution2d_nhwc_qs8(convolution, l->images, l->height, l->width, source,
					     target, NULL) != xnn_status_success)
		return NULL;
	free(weights);
	free(bias);
	return convolution;
}

static void run(void *data)
{
	if (xnn_run_operator(data, NULL) != xnn_status_success)
		abort();
}

const struct peer peer_xnnpack = { "XNNPACK, qs8", prepare, run };
