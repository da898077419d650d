/* SPDX-License-Identifier: MIT */
/*
 * MIT HAN lab's names and timm's for the same tensors:
 *
 *                  MIT                                      timm
 *   stem.conv      backbone.input_stem.op_list.0            stem.in_conv
 *   stem.blockN    backbone.input_stem.op_list.N.main       stem.res(N-1).main
 *   stage 1, 2     backbone.stages.S.op_list.B.main         stages.S.blocks.B.main
 *   stage 3, 4     the same for the strided block 0, then for block B
 *                  ....context_module.main and ....local_module.main
 *   head.conv      head.op_list.0                           head.in_conv
 *   head.linear1   head.op_list.2.linear                    head.classifier.0
 *   head.norm      head.op_list.2.norm                      head.classifier.1
 *   head.linear2   head.op_list.3.linear                    head.classifier.4
 *
 * Within a block they agree: inverted_conv, depth_conv, point_conv, qkv, aggreg.0.0, aggreg.0.1,
 * proj, each with a module conv and a norm beside it (but for aggreg, which are bare convolutions).
 */
#include <stdio.h>

#include "quantizer/architecture.h"
#include "quantizer/checkpoint-keys.h"

const char *tv_naming_name(enum tv_naming naming)
{
	return naming == TV_NAMING_MIT ? "MIT HAN lab" : "timm";
}

const char *tv_checkpoint_stage_prefix(enum tv_naming naming, unsigned int stage,
				       unsigned int *ret_first)
{
	static const char *const prefixes[][1 + TV_NETWORK_STAGES] = {
		[TV_NAMING_MIT] = { "backbone.input_stem.op_list.", "backbone.stages.0.op_list.",
				    "backbone.stages.1.op_list.", "backbone.stages.2.op_list.",
				    "backbone.stages.3.op_list." },
		[TV_NAMING_TIMM] = { "stem.res", "stages.0.blocks.", "stages.1.blocks.",
				     "stages.2.blocks.", "stages.3.blocks." },
	};

	/* timm counts the stem's blocks apart from its convolution. */
	*ret_first = naming == TV_NAMING_TIMM && stage == 0 ? 1 : 0;
	return prefixes[naming][stage];
}

/* Where a layer lies within its block. */
static const char *path_in_block(enum tv_role role, unsigned int stage, unsigned int block)
{
	const bool attention_block = stage >= TV_NETWORK_ATTENTION_STAGE && block > 0;

	switch (role) {
	case TV_ROLE_EXPAND:
		return attention_block ? ".local_module.main.inverted_conv."
				       : ".main.inverted_conv.";
	case TV_ROLE_DEPTHWISE:
		return attention_block ? ".local_module.main.depth_conv." : ".main.depth_conv.";
	case TV_ROLE_PROJECT:
		return attention_block ? ".local_module.main.point_conv." : ".main.point_conv.";
	case TV_ROLE_QKV:
		return ".context_module.main.qkv.";
	case TV_ROLE_AGGREGATE_DEPTHWISE:
		return ".context_module.main.aggreg.0.0.";
	case TV_ROLE_AGGREGATE_POINTWISE:
		return ".context_module.main.aggreg.0.1.";
	case TV_ROLE_ATTENTION_PROJECT:
		return ".context_module.main.proj.";
	default:
		return ".";
	}
}

static const char *head_prefix(enum tv_naming naming, enum tv_role role)
{
	const bool mit = naming == TV_NAMING_MIT;

	switch (role) {
	case TV_ROLE_HEAD_CONV:
		return mit ? "head.op_list.0." : "head.in_conv.";
	case TV_ROLE_LINEAR1:
		return mit ? "head.op_list.2.linear." : "head.classifier.0.";
	case TV_ROLE_NORM:
		return mit ? "head.op_list.2.norm." : "head.classifier.1.";
	default:
		return mit ? "head.op_list.3.linear." : "head.classifier.4.";
	}
}

void tv_checkpoint_layer_prefix(enum tv_naming naming, enum tv_role role, unsigned int stage,
				unsigned int block, char *ret)
{
	const char *prefix;
	unsigned int first;

	if (stage == TV_NETWORK_HEAD) {
		snprintf(ret, TV_CHECKPOINT_KEY_SIZE, "%s", head_prefix(naming, role));
		return;
	}
	if (role == TV_ROLE_STEM && naming == TV_NAMING_TIMM) {
		snprintf(ret, TV_CHECKPOINT_KEY_SIZE, "stem.in_conv.");
		return;
	}
	prefix = tv_checkpoint_stage_prefix(naming, stage, &first);
	snprintf(ret, TV_CHECKPOINT_KEY_SIZE, "%s%u%s", prefix, block - first,
		 path_in_block(role, stage, block));
}

/* Whether a layer's module is the convolution itself, with no "conv" and "norm" within. */
static bool is_bare(enum tv_role role)
{
	return role == TV_ROLE_AGGREGATE_DEPTHWISE || role == TV_ROLE_AGGREGATE_POINTWISE ||
	       role == TV_ROLE_LINEAR1 || role == TV_ROLE_NORM || role == TV_ROLE_LINEAR2;
}

void tv_checkpoint_key(enum tv_naming naming, enum tv_role role, unsigned int stage,
		       unsigned int block, enum tv_checkpoint_part_kind kind, char *ret)
{
	static const char *const names[] = {
		[TV_PART_WEIGHT] = "conv.weight",
		[TV_PART_BIAS] = "conv.bias",
		[TV_PART_NORM_WEIGHT] = "norm.weight",
		[TV_PART_NORM_BIAS] = "norm.bias",
		[TV_PART_NORM_MEAN] = "norm.running_mean",
		[TV_PART_NORM_VARIANCE] = "norm.running_var",
	};
	const char *name = names[kind] + (is_bare(role) ? sizeof("conv.") - 1 : 0);
	char prefix[TV_CHECKPOINT_KEY_SIZE];

	tv_checkpoint_layer_prefix(naming, role, stage, block, prefix);
	snprintf(ret, TV_CHECKPOINT_KEY_SIZE, "%.*s%s", TV_CHECKPOINT_KEY_SIZE - 32, prefix, name);
}

static bool has_part(const struct tv_node *node, enum tv_checkpoint_part_kind kind)
{
	switch (kind) {
	case TV_PART_WEIGHT:
		return node->kind == TV_NODE_CONV || node->kind == TV_NODE_NORM;
	case TV_PART_BIAS:
		return node->has_bias || node->kind == TV_NODE_NORM;
	default:
		return node->batch_norm;
	}
}

unsigned int tv_checkpoint_parts(enum tv_naming naming, const struct tv_node *node,
				 struct tv_checkpoint_part ret[TV_CHECKPOINT_PARTS_MAX])
{
	unsigned int count = 0;

	for (unsigned int kind = 0; kind < TV_CHECKPOINT_PARTS_MAX; kind++) {
		struct tv_checkpoint_part *part = &ret[count];

		if (!has_part(node, kind))
			continue;
		*part = (struct tv_checkpoint_part){
			.kind = kind,
			.rank = 1,
			.shape = { node->out_channels },
		};
		tv_checkpoint_key(naming, node->role, node->stage, node->block, kind, part->key);
		if (kind == TV_PART_WEIGHT && node->kind == TV_NODE_CONV) {
			/* A linear layer is a matrix, a convolution has its window besides. */
			part->rank = is_bare(node->role) && node->stage == TV_NETWORK_HEAD ? 2 : 4;
			part->shape[1] = node->in_channels / node->groups;
			part->shape[2] = part->shape[3] = node->kernel;
		}
		count++;
	}
	return count;
}
