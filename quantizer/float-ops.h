/* SPDX-License-Identifier: MIT */
/* The quantizer's own: the float32 arithmetic of each kind of node. Maps are
 * [height][width][channels] of one image. All are pure functions of what they are given. */
#ifndef TV_QUANTIZER_FLOAT_OPS_H
#define TV_QUANTIZER_FLOAT_OPS_H

#include "quantizer/float.h"

/* What to do with the divisors of an attention. */
struct tv_float_rounding {
	tv_float_divisor round; /* NULL: nothing */
	void *userdata;
	size_t index; /* of the attention's node */
};

/* Makes the BLAS compute each product on the thread that asks for it, for the whole process:
 * images beside each other use the processors better than one split up, and no result can depend
 * on how a product was divided. */
void tv_float_use_one_thread(void);

/* Whether a node is a convolution of one input channel per filter; its weights are wanted as
 * tv_float_pack_depthwise() arranges them. */
bool tv_float_is_depthwise(const struct tv_node *node);
/* From [channels][kernel][kernel] to [kernel][kernel][channels]: what is side by side in a map is
 * so in the weights, and in a vector register. ret: as many floats as the node has weights. */
void tv_float_pack_depthwise(const struct tv_node *node, float *ret);

/* Floats of working memory that a node needs besides its value. */
uint64_t tv_float_scratch(const struct tv_node *node);

/* packed: of a depthwise convolution, else ignored. shortcut may be NULL. */
void tv_float_conv(const struct tv_node *node, const float *packed, const float *in,
		   const float *shortcut, float *scratch, float *out);
void tv_float_attention(const struct tv_node *node, const float *in, const float *in2,
			float *scratch, const struct tv_float_rounding *rounding, float *out);
void tv_float_pool(const struct tv_node *node, const float *in, float *out);
void tv_float_norm(const struct tv_node *node, const float *in, float *out);

static inline float tv_float_relu(float x)
{
	return x > 0 ? x : 0;
}

static inline float tv_float_hardswish(float x)
{
	const float gate = x + 3 > 0 ? x + 3 : 0;

	return x * (gate < 6 ? gate : 6) * (1.0f / 6);
}

#endif
