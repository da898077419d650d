/* SPDX-License-Identifier: MIT */
/* Builds the list of nodes of an architecture. */
#include <errno.h>
#include <stdio.h>

#include "common/labels.h"
#include "quantizer/architecture.h"
#include "quantizer/network.h"

#define NORM_EPSILON 1e-5f
#define MIT_ATTENTION_EPSILON 1e-15f

/* What the next node is built from: the value before it, and where in the network it stands. */
struct builder {
	struct tv_network *network;
	char place[32]; /* "stage3.block1.mbconv": the first part of the names */
	unsigned int stage, block;
	/* The node whose value comes in, and what that value is; maps are square. */
	int value;
	unsigned int channels, side;
};

static struct tv_node *add_node(struct builder *b, enum tv_node_kind kind, enum tv_role role,
				const char *part)
{
	struct tv_node *node = &b->network->nodes[b->network->count];

	snprintf(node->name, sizeof(node->name), "%s.%s", b->place, part);
	node->kind = kind;
	node->role = role;
	node->stage = b->stage;
	node->block = b->block;
	node->activation = TV_ACTIVATION_NONE;
	node->input = b->value;
	node->input2 = TV_NETWORK_NONE;
	node->shortcut = TV_NETWORK_NONE;
	node->in_channels = node->out_channels = b->channels;
	node->in_height = node->in_width = b->side;
	node->out_height = node->out_width = b->side;
	b->value = (int)b->network->count++;
	return node;
}

struct conv {
	enum tv_role role;
	const char *part;
	unsigned int out_channels, kernel, stride, groups;
	bool batch_norm, has_bias;
	enum tv_activation activation;
};

static struct tv_node *add_conv(struct builder *b, const struct conv *conv)
{
	struct tv_node *node = add_node(b, TV_NODE_CONV, conv->role, conv->part);
	const unsigned int stride = conv->stride ? conv->stride : 1;

	node->activation = conv->activation;
	node->kernel = conv->kernel ? conv->kernel : 1;
	node->stride = stride;
	node->groups = conv->groups ? conv->groups : 1;
	node->out_channels = conv->out_channels;
	/* With padding kernel / 2; sides are even wherever the stride is 2. */
	node->out_height = node->out_width = b->side / stride;
	node->batch_norm = conv->batch_norm;
	node->has_bias = conv->has_bias;
	node->parameters = (uint64_t)node->out_channels * node->kernel * node->kernel *
			   (node->in_channels / node->groups);
	if (node->batch_norm)
		node->parameters += 2ull * node->out_channels;
	if (node->has_bias)
		node->parameters += node->out_channels;
	b->channels = node->out_channels;
	b->side = node->out_height;
	return node;
}

/* Stem block: depthwise, then 1x1 with a shortcut around both. */
static void add_dsconv(struct builder *b)
{
	const int shortcut = b->value;

	add_conv(b, &(struct conv){ TV_ROLE_DEPTHWISE, "depthwise", b->channels, .kernel = 3,
				    .groups = b->channels, .batch_norm = true,
				    .activation = TV_ACTIVATION_HARDSWISH });
	add_conv(b, &(struct conv){ TV_ROLE_PROJECT, "project", b->channels, .batch_norm = true })
		->shortcut = shortcut;
}

/* Expansion, depthwise, projection. From the attention stages on the first two have biases in the
 * place of norms. */
static void add_mbconv(struct builder *b, unsigned int out_channels, unsigned int stride,
		       bool has_shortcut)
{
	const bool has_bias = b->stage >= TV_NETWORK_ATTENTION_STAGE;
	const unsigned int middle = b->channels * b->network->architecture.expand;
	const int shortcut = has_shortcut ? b->value : TV_NETWORK_NONE;

	add_conv(b, &(struct conv){ TV_ROLE_EXPAND, "expand", middle, .batch_norm = !has_bias,
				    .has_bias = has_bias, .activation = TV_ACTIVATION_HARDSWISH });
	add_conv(b, &(struct conv){ TV_ROLE_DEPTHWISE, "depthwise", middle, .kernel = 3,
				    .stride = stride, .groups = middle, .batch_norm = !has_bias,
				    .has_bias = has_bias, .activation = TV_ACTIVATION_HARDSWISH });
	add_conv(b, &(struct conv){ TV_ROLE_PROJECT, "project", out_channels, .batch_norm = true })
		->shortcut = shortcut;
}

/* Query, key and value from a 1x1 convolution, and once more from their 5x5 neighbourhood; each
 * head of either attends by itself, and a 1x1 convolution joins them all. */
static void add_attention(struct builder *b)
{
	const unsigned int channels = b->channels;
	const unsigned int head_dim = b->network->architecture.head_dim;
	const int shortcut = b->value;
	struct tv_node *node;
	int qkv;

	add_conv(b, &(struct conv){ TV_ROLE_QKV, "qkv", 3 * channels });
	qkv = b->value;
	add_conv(b, &(struct conv){ TV_ROLE_AGGREGATE_DEPTHWISE, "aggregate_depthwise",
				    3 * channels, .kernel = 5, .groups = 3 * channels });
	add_conv(b, &(struct conv){ TV_ROLE_AGGREGATE_POINTWISE, "aggregate_pointwise",
				    3 * channels, .groups = 3 * channels / head_dim });

	node = add_node(b, TV_NODE_ATTENTION, TV_ROLE_ATTENTION, "attention");
	node->input2 = node->input;
	node->input = qkv;
	node->head_dim = head_dim;
	node->epsilon = MIT_ATTENTION_EPSILON;
	node->out_channels = b->channels = 2 * channels;

	add_conv(b, &(struct conv){ TV_ROLE_ATTENTION_PROJECT, "project", channels,
				    .batch_norm = true })
		->shortcut = shortcut;
}

static void add_stem(struct builder *b)
{
	const struct tv_architecture *a = &b->network->architecture;

	snprintf(b->place, sizeof(b->place), "stem");
	add_conv(b, &(struct conv){ TV_ROLE_STEM, "conv", a->widths[0], .kernel = 3, .stride = 2,
				    .batch_norm = true, .activation = TV_ACTIVATION_HARDSWISH });
	for (b->block = 1; b->block <= a->depths[0]; b->block++) {
		snprintf(b->place, sizeof(b->place), "stem.block%u", b->block);
		add_dsconv(b);
	}
}

static void add_convolution_stage(struct builder *b, unsigned int width, unsigned int depth)
{
	for (b->block = 0; b->block < depth; b->block++) {
		const bool first = b->block == 0;

		snprintf(b->place, sizeof(b->place), "stage%u.block%u", b->stage, b->block + 1);
		add_mbconv(b, width, first ? 2 : 1, !first);
	}
}

static void add_attention_stage(struct builder *b, unsigned int width, unsigned int depth)
{
	b->block = 0;
	snprintf(b->place, sizeof(b->place), "stage%u.down", b->stage);
	add_mbconv(b, width, 2, false);
	for (b->block = 1; b->block <= depth; b->block++) {
		snprintf(b->place, sizeof(b->place), "stage%u.block%u.attention", b->stage,
			 b->block);
		add_attention(b);
		snprintf(b->place, sizeof(b->place), "stage%u.block%u.mbconv", b->stage, b->block);
		add_mbconv(b, width, 1, true);
	}
}

static void add_head(struct builder *b)
{
	const struct tv_architecture *a = &b->network->architecture;
	struct tv_node *node;

	b->block = 0;
	snprintf(b->place, sizeof(b->place), "head");
	add_conv(b, &(struct conv){ TV_ROLE_HEAD_CONV, "conv", a->head_widths[0],
				    .batch_norm = true, .activation = TV_ACTIVATION_HARDSWISH });
	node = add_node(b, TV_NODE_POOL, TV_ROLE_POOL, "pool");
	node->out_height = node->out_width = b->side = 1;
	add_conv(b, &(struct conv){ TV_ROLE_LINEAR1, "linear1", a->head_widths[1] });
	node = add_node(b, TV_NODE_NORM, TV_ROLE_NORM, "norm");
	node->activation = TV_ACTIVATION_HARDSWISH;
	node->epsilon = NORM_EPSILON;
	node->parameters = 2ull * node->out_channels;
	add_conv(b, &(struct conv){ TV_ROLE_LINEAR2, "linear2", a->classes, .has_bias = true });
}

static size_t count_nodes(const struct tv_architecture *a)
{
	const size_t dsconv = 2, mbconv = 3, attention = 5, head = 5;
	size_t count = 1 + a->depths[0] * dsconv + head;

	for (int stage = 1; stage <= TV_NETWORK_STAGES; stage++) {
		if (stage < TV_NETWORK_ATTENTION_STAGE)
			count += a->depths[stage] * mbconv;
		else
			count += mbconv + a->depths[stage] * (attention + mbconv);
	}
	return count;
}

int tv_network_new(const struct tv_architecture *architecture, unsigned int size,
		   struct tv_network **ret, struct tv_error *error)
{
	/* ImageNet's, of RGB in [0, 1]: what all published checkpoints were trained with. */
	static const float mean[3] = { 0.485f, 0.456f, 0.406f };
	static const float std[3] = { 0.229f, 0.224f, 0.225f };
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	struct builder b;
	int r;

	r = tv_architecture_check(architecture, error);
	if (r < 0)
		return r;
	r = tv_network_check_size(size, error);
	if (r < 0)
		return r;

	network = calloc(1, sizeof(*network));
	if (!network)
		return tv_error_oom(error);
	network->nodes = calloc(count_nodes(architecture), sizeof(*network->nodes));
	if (!network->nodes)
		return tv_error_oom(error);
	network->architecture = *architecture;
	network->naming = TV_NAMING_MIT;
	network->size = network->resize = size;
	for (int i = 0; i < 3; i++) {
		network->mean[i] = mean[i];
		network->std[i] = std[i];
	}

	b = (struct builder){ .network = network, .value = TV_NETWORK_INPUT, .channels = 3,
			      .side = size };
	add_stem(&b);
	for (b.stage = 1; b.stage <= TV_NETWORK_STAGES; b.stage++) {
		const unsigned int width = architecture->widths[b.stage];
		const unsigned int depth = architecture->depths[b.stage];

		if (b.stage < TV_NETWORK_ATTENTION_STAGE)
			add_convolution_stage(&b, width, depth);
		else
			add_attention_stage(&b, width, depth);
	}
	add_head(&b);
	*ret = TV_TAKE_PTR(network);
	return 0;
}

void tv_network_free(struct tv_network *network)
{
	if (!network)
		return;
	for (size_t i = 0; i < network->count; i++) {
		free(network->nodes[i].weight);
		free(network->nodes[i].bias);
	}
	free(network->nodes);
	for (size_t i = 0; i < network->ignored_count; i++)
		free(network->ignored[i]);
	free(network->ignored);
	if (network->labels)
		tv_labels_free(network->labels, network->architecture.classes);
	free(network);
}

uint64_t tv_node_macs(const struct tv_node *node)
{
	const uint64_t pixels = (uint64_t)node->out_height * node->out_width;

	switch (node->kind) {
	case TV_NODE_CONV:
		return pixels * node->out_channels * node->kernel * node->kernel *
		       (node->in_channels / node->groups);
	case TV_NODE_ATTENTION:
		return 2 * pixels * (node->head_dim + 1) * node->out_channels;
	default:
		return 0;
	}
}

uint64_t tv_network_macs(const struct tv_network *network)
{
	uint64_t macs = 0;

	for (size_t i = 0; i < network->count; i++)
		macs += tv_node_macs(&network->nodes[i]);
	return macs;
}

uint64_t tv_network_parameters(const struct tv_network *network)
{
	uint64_t parameters = 0;

	for (size_t i = 0; i < network->count; i++)
		parameters += network->nodes[i].parameters;
	return parameters;
}
