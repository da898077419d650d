/* SPDX-License-Identifier: MIT */
#include "tests/bench/peer.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>

struct prepared {
	dnnl_primitive_t primitive;
	dnnl_exec_arg_t arguments[4];
	dnnl_stream_t stream;
};

static dnnl_engine_t engine(void)
{
	static dnnl_engine_t engine;

	if (!engine && dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
		abort();
	return engine;
}

static dnnl_memory_desc_t describe(int count, const dnnl_dims_t sizes, dnnl_data_type_t type,
				   dnnl_format_tag_t tag)
{
	dnnl_memory_desc_t ret;

	if (dnnl_memory_desc_init_by_tag(&ret, count, sizes, type, tag) != dnnl_success)
		abort();
	return ret;
}

static dnnl_exec_arg_t memory(const_dnnl_primitive_desc_t description, dnnl_query_t what,
			      int argument)
{
	const dnnl_memory_desc_t *layout = dnnl_primitive_desc_query_md(description, what, 0);
	dnnl_exec_arg_t ret = { .arg = argument };
	void *data;

	if (dnnl_memory_create(&ret.memory, layout, engine(), DNNL_MEMORY_ALLOCATE) !=
		    dnnl_success ||
	    dnnl_memory_get_data_handle(ret.memory, &data) != dnnl_success)
		abort();
	peer_fill(data, dnnl_memory_desc_get_size(layout));
	return ret;
}

static void *prepare(const struct peer_layer *l)
{
	const uint32_t pad = l->kernel / 2;
	const dnnl_dim_t out_height = (l->height - 1) / l->stride + 1;
	const dnnl_dim_t out_width = (l->width - 1) / l->stride + 1;
	/* What the last pixel reads decides how much is behind the map. */
	const dnnl_dim_t below = (out_height - 1) * l->stride + l->kernel - l->height - pad;
	const dnnl_dim_t right = (out_width - 1) * l->stride + l->kernel - l->width - pad;
	const dnnl_dims_t source = { l->images, l->in, l->height, l->width };
	const dnnl_dims_t weights = { l->out, l->in, l->kernel, l->kernel };
	const dnnl_dims_t grouped = { l->groups, l->out / l->groups, l->in / l->groups, l->kernel,
				      l->kernel };
	const dnnl_dims_t bias = { l->out };
	const dnnl_dims_t target = { l->images, l->out, out_height, out_width };
	const dnnl_dims_t strides = { l->stride, l->stride }, none = { 0, 0 };
	const dnnl_dims_t before = { pad, pad }, behind = { below, right };
	dnnl_memory_desc_t s = describe(4, source, dnnl_u8, dnnl_nhwc);
	dnnl_memory_desc_t w = l->groups > 1 ? describe(5, grouped, dnnl_s8, dnnl_format_tag_any) :
					       describe(4, weights, dnnl_s8, dnnl_format_tag_any);
	dnnl_memory_desc_t b = describe(1, bias, dnnl_s32, dnnl_x);
	dnnl_memory_desc_t d = describe(4, target, dnnl_s8, dnnl_nhwc);
	struct prepared *prepared = calloc(1, sizeof(*prepared));
	float *scales = calloc(l->out, sizeof(*scales));
	dnnl_convolution_desc_t convolution;
	dnnl_primitive_desc_t description;
	dnnl_primitive_attr_t attributes;

	if (!prepared || !scales)
		abort();
	for (uint32_t i = 0; i < l->out; i++)
		scales[i] = 0.001f;
	if (dnnl_primitive_attr_create(&attributes) != dnnl_success ||
	    dnnl_primitive_attr_set_output_scales(attributes, l->out, 1 << 1, scales) !=
		    dnnl_success ||
	    dnnl_dilated_convolution_forward_desc_init(
		    &convolution, dnnl_forward_inference, dnnl_convolution_direct, &s, &w, &b, &d,
		    strides, none, before, behind) != dnnl_success ||
	    dnnl_primitive_desc_create(&description, &convolution, attributes, engine(), NULL) !=
		    dnnl_success ||
	    dnnl_primitive_create(&prepared->primitive, description) != dnnl_success ||
	    dnnl_stream_create(&prepared->stream, engine(), dnnl_stream_default_flags) !=
		    dnnl_success)
		return NULL;
	prepared->arguments[0] = memory(description, dnnl_query_src_md, DNNL_ARG_SRC);
	prepared->arguments[1] = memory(description, dnnl_query_weights_md, DNNL_ARG_WEIGHTS);
	prepared->arguments[2] = memory(description, dnnl_query_dst_md, DNNL_ARG_DST);
	prepared->arguments[3] = (dnnl_exec_arg_t){ .arg = DNNL_ARG_BIAS };
	if (dnnl_memory_create(&prepared->arguments[3].memory, &b, engine(),
			       DNNL_MEMORY_ALLOCATE) != dnnl_success)
		abort();
	free(scales);
	return prepared;
}

static void run(void *data)
{
	const struct prepared *prepared = data;

	if (dnnl_primitive_execute(prepared->primitive, prepared->stream, 4, prepared->arguments) !=
		    dnnl_success ||
	    dnnl_stream_wait(prepared->stream) != dnnl_success)
		abort();
}

const struct peer peer_onednn = { "oneDNN, u8 by s8", prepare, run };
