/* SPDX-License-Identifier: MIT */
/*
 * EfficientViT as a list of nodes in execution order: what a checkpoint says, without the names and
 * nesting that it says it with. Batch norms are folded into the convolution before them (in double,
 * rounded once), so a convolution is weights, a bias, an activation and perhaps a shortcut.
 *
 * Every value is a map of height x width x channels floats (NHWC); value i is what node i puts out,
 * TV_NETWORK_INPUT the normalised image. The float forward pass, the calibration, the compiler and
 * the timing calculator all walk this list.
 */
#ifndef TV_QUANTIZER_NETWORK_H
#define TV_QUANTIZER_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "model/limits.h"

#define TV_NETWORK_STAGES 4
#define TV_NETWORK_HEAD (TV_NETWORK_STAGES + 1)
#define TV_NETWORK_INPUT (-1)
#define TV_NETWORK_NONE (-2)
#define TV_NETWORK_DEPTH_MAX 64u

enum tv_naming {
	TV_NAMING_MIT, /* MIT HAN lab: backbone.input_stem.op_list..., head.op_list... */
	TV_NAMING_TIMM, /* timm: stem..., stages..., head.in_conv..., head.classifier... */
};

/* What tells one member of the family from another. B0 to B3 are four of them. */
struct tv_architecture {
	unsigned int widths[1 + TV_NETWORK_STAGES]; /* stem, stages 1 to 4 */
	/* Blocks in each, at least 1. The strided block is the first of them in stages 1 and 2 and
	 * comes on top in stages 3 and 4, as the stem's convolution does. */
	unsigned int depths[1 + TV_NETWORK_STAGES];
	unsigned int head_dim; /* channels of an attention head */
	unsigned int head_widths[2]; /* after the head's convolution, after its first linear layer */
	unsigned int classes;
	unsigned int expand; /* ratio of the MBConvs, 4 in all published members */
};

enum tv_node_kind {
	TV_NODE_CONV, /* any convolution; a linear layer is one of a 1x1 map */
	TV_NODE_ATTENTION, /* ReLU linear attention over input and input2 */
	TV_NODE_POOL, /* mean over height and width */
	TV_NODE_NORM, /* layer norm over the channels, then activation */
};

enum tv_activation {
	TV_ACTIVATION_NONE,
	TV_ACTIVATION_RELU,
	TV_ACTIVATION_HARDSWISH,
};

/* The part a node plays; calibration treats inputs of DEPTHWISE and PROJECT nodes of an MBConv
 * specially (migration, shifting). */
enum tv_role {
	TV_ROLE_STEM,
	TV_ROLE_EXPAND,
	TV_ROLE_DEPTHWISE,
	TV_ROLE_PROJECT,
	TV_ROLE_QKV,
	TV_ROLE_AGGREGATE_DEPTHWISE,
	TV_ROLE_AGGREGATE_POINTWISE,
	TV_ROLE_ATTENTION,
	TV_ROLE_ATTENTION_PROJECT,
	TV_ROLE_HEAD_CONV,
	TV_ROLE_POOL,
	TV_ROLE_LINEAR1,
	TV_ROLE_NORM,
	TV_ROLE_LINEAR2,
};

/*
 * Names are ours, the same for every naming (Kb counts the blocks of a stage from 1):
 *
 *   stem.conv                 stem.Kb.{depthwise,project}
 *   stage1.Kb.{expand,depthwise,project}, the first with stride 2; stage2 alike
 *   stage3.down.{expand,depthwise,project}
 *   stage3.Kb.attention.{qkv,aggregate_depthwise,aggregate_pointwise,attention,project}
 *   stage3.Kb.mbconv.{expand,depthwise,project}; stage4 alike
 *   head.{conv,pool,linear1,norm,linear2}
 *
 * with Kb = "block1", "block2", ...
 */
struct tv_node {
	char name[48];
	enum tv_node_kind kind;
	enum tv_role role;
	unsigned int stage; /* 0: stem, 1 to 4, TV_NETWORK_HEAD */
	unsigned int block; /* place in the stage from 0: the stem's conv and the "down"s are 0 */
	enum tv_activation activation;
	int input; /* node whose value is read, or TV_NETWORK_INPUT */
	int input2; /* second map of an attention, else TV_NETWORK_NONE */
	int shortcut; /* node whose value is added after the activation, else TV_NETWORK_NONE */
	unsigned int kernel, stride, groups; /* convolutions; padding is kernel / 2 */
	unsigned int in_channels, out_channels;
	unsigned int in_height, in_width, out_height, out_width;
	unsigned int head_dim; /* attention */
	float epsilon; /* attention: added to the divisor; norm: added to the variance */
	/* Convolution: [out_channels][kernel][kernel][in_channels / groups] and [out_channels] (zeros
	 * if the layer has none). Norm: gamma and beta. NULL in a network without weights. */
	float *weight, *bias;
	bool batch_norm, has_bias; /* what a convolution has in the checkpoint, before folding */
	uint64_t parameters; /* trainable, as the checkpoint has them: before folding */
};

struct tv_network {
	struct tv_architecture architecture;
	enum tv_naming naming;
	unsigned int size; /* the input is size x size x 3 */
	unsigned int resize; /* the shorter side before the central crop of size x size */
	float mean[3], std[3]; /* of RGB in [0, 1] */
	struct tv_node *nodes;
	size_t count;
	char **labels; /* class names from the checkpoint's metadata, or NULL */
	char **ignored; /* tensors of the checkpoint that mean nothing here, "name: F32 [3]" */
	size_t ignored_count;
};

/* "b0" to "b3" with 1000 classes; -EINVAL otherwise. */
int tv_architecture_by_name(const char *name, struct tv_architecture *ret, struct tv_error *error);

/* Builds the nodes of an architecture at an input size (a multiple of 32), without weights, with
 * MIT's epsilons, ImageNet's mean and std, and no resize. -EINVAL for what is beyond the limits
 * above or does not fit together; the text says which figure and what it may be. */
int tv_network_new(const struct tv_architecture *architecture, unsigned int size,
		   struct tv_network **ret, struct tv_error *error);
void tv_network_free(struct tv_network *network);
TV_DEFINE_CLEANUP(struct tv_network *, tv_network_free)

/* Multiply-accumulates of a node for one image; of an attention those of k^T v, sum(k), the
 * dividend and the divisor: 2 * pixels * dim * (dim + 1) a head, as PyTorch runs it. */
uint64_t tv_node_macs(const struct tv_node *node);
uint64_t tv_network_macs(const struct tv_network *network);
uint64_t tv_network_parameters(const struct tv_network *network);

#endif
