/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "quantizer/emit.h"
#include "quantizer/lower.h"
#include "rtl-model/command.h"

static void put_records(const struct tv_quantized_node *node, unsigned int count, uint8_t *at)
{
	for (unsigned int c = 0; c < count; c++, at += TV_CHANNEL_SIZE)
		tv_encode_channel(&node->records[c], at);
}

static void put_heads(const struct tv_quantized_node *node, unsigned int count, uint8_t *at)
{
	for (unsigned int h = 0; h < count; h++, at += TV_HEAD_SIZE)
		tv_encode_head(&node->heads[h], at);
}

static void put_dense(const struct tv_command *command, const int8_t *weight, uint8_t *at)
{
	const struct tv_dense dense = tv_dense_of(command);

	for (uint32_t o = 0; o < command->out_channels; o++)
		for (uint32_t i = 0; i < dense.reduction; i++)
			at[tv_dense_weight(&dense, o, i)] =
				(uint8_t)weight[(size_t)o * dense.reduction + i];
}

static void put_depthwise(const struct tv_command *command, const int8_t *weight, uint8_t *at)
{
	uint32_t kernel = command->stage[0].kernel, taps = kernel * kernel;

	for (uint32_t c = 0; c < command->channels; c++)
		for (uint32_t tap = 0; tap < taps; tap++)
			at[tv_depthwise_weight(kernel, c, tap)] =
				(uint8_t)weight[(size_t)c * taps + tap];
}

/* at: where the command's weights begin. */
static void put_weights(const struct tv_quantized *q, const struct tv_step *step,
			const struct tv_command *command, uint8_t *at)
{
	const struct tv_weights_layout layout = tv_weights_layout(command);
	const struct tv_quantized_node *first = &q->nodes[step->nodes[0]], *second;

	switch (command->opcode) {
	case TV_OP_CONV:
	case TV_OP_CONV_POOL:
		put_records(first, command->out_channels, at + layout.records[0]);
		put_dense(command, first->weight, at + layout.weights[0]);
		break;
	case TV_OP_DEPTHWISE:
	case TV_OP_SEPARABLE:
		put_records(first, command->channels, at + layout.records[0]);
		put_depthwise(command, first->weight, at + layout.weights[0]);
		break;
	case TV_OP_ATTENTION:
		put_heads(first, command->out_channels / command->head_dim, at);
		break;
	case TV_OP_POOL:
	case TV_OP_NORM:
		put_records(first, command->out_channels, at);
		break;
	}
	if (step->nodes[1] < 0)
		return;
	second = &q->nodes[step->nodes[1]];
	put_records(second, command->out_channels, at + layout.records[1]);
	if (command->opcode == TV_OP_SEPARABLE)
		put_dense(command, second->weight, at + layout.weights[1]);
}

static void set_stage(const struct tv_quantized_node *node, struct tv_stage *stage)
{
	stage->fraction = stage->activation == TV_STAGE_HARDSWISH ? node->fraction : 0;
	stage->zero_point = node->wide ? 0 : node->zero_point;
}

/* What lowering has left open. */
static void complete(const struct tv_quantized *q, const struct tv_step *step,
		     struct tv_command *command)
{
	const struct tv_quantized_node *first = &q->nodes[step->nodes[0]], *last = first;

	set_stage(first, &command->stage[0]);
	if (step->nodes[1] >= 0) {
		last = &q->nodes[step->nodes[1]];
		set_stage(last, &command->stage[1]);
	}
	memcpy(command->pad, first->pad, sizeof(command->pad));
	if (command->shortcut.segment != TV_SEGMENT_NONE) {
		command->shortcut_multiplier = last->shortcut_multiplier;
		command->shortcut_zero_point = last->shortcut_zero_point;
	}
	command->norm_epsilon = first->epsilon;
}

/* A buffer that the package releases. */
static uint8_t *own(struct tv_package *package, size_t size)
{
	uint8_t **grown = realloc(package->owned, (package->owned_count + 1) * sizeof(*grown));
	uint8_t *buffer;

	if (!grown)
		return NULL;
	package->owned = grown;
	buffer = calloc(size ? size : 1, 1);
	if (buffer)
		package->owned[package->owned_count++] = buffer;
	return buffer;
}

static int emit_program(const struct tv_quantized *q, const struct tv_emit_program *how,
			struct tv_package *package, struct tv_error *error)
{
	const struct tv_lower_options options = { how->target, how->images,
						  how->keep_intermediates };
	struct tv_package_program *program = &package->programs[package->program_count];
	_cleanup_(tv_lowered_freep) struct tv_lowered *lowered = NULL;
	uint8_t *bytes, *weights;
	int r;

	r = tv_lower(q->network, &options, &lowered, error);
	if (r < 0)
		return r;
	bytes = own(package, lowered->header.segment[TV_SEGMENT_PROGRAM]);
	weights = own(package, lowered->header.segment[TV_SEGMENT_WEIGHTS]);
	if (!bytes || !weights)
		return tv_error_oom(error);
	tv_encode_program_header(&lowered->header, bytes);
	for (uint32_t i = 0; i < lowered->header.commands; i++) {
		struct tv_command *command = &lowered->commands[i];
		const struct tv_step *step = &lowered->steps[i];
		const char *why;

		if (step->nodes[0] != TV_STEP_NONE)
			complete(q, step, command);
		why = tv_command_check(command, how->target);
		if (why)
			return tv_error_set(error, -EINVAL, "command %u: %s", i, why);
		if (step->nodes[0] != TV_STEP_NONE)
			put_weights(q, step, command,
				    weights + tv_weights_source(lowered->commands, i).offset);
		tv_encode_command(command,
				  bytes + TV_PROGRAM_HEADER_SIZE + (size_t)i * TV_COMMAND_SIZE);
	}
	snprintf(program->target, sizeof(program->target), "%s", how->target->name);
	program->header = lowered->header;
	program->program = bytes;
	program->weights = weights;
	program->steps = TV_TAKE_PTR(lowered->steps);
	package->program_count++;
	return 0;
}

static int emit_nodes(const struct tv_quantized *q, struct tv_package *package,
		      struct tv_error *error)
{
	const struct tv_network *network = q->network;

	package->nodes = calloc(network->count, sizeof(*package->nodes));
	if (!package->nodes)
		return tv_error_oom(error);
	package->node_count = network->count;
	for (size_t i = 0; i < network->count; i++) {
		const struct tv_quantized_node *node = &q->nodes[i];
		struct tv_package_node *to = &package->nodes[i];
		float zero = node->wide ? 0 : node->zero_point;

		snprintf(to->name, sizeof(to->name), "%s", network->nodes[i].name);
		to->channels = network->nodes[i].out_channels;
		to->scale = calloc(to->channels, sizeof(float));
		to->offset = calloc(to->channels, sizeof(float));
		if (!to->scale || !to->offset)
			return tv_error_oom(error);
		for (uint32_t c = 0; c < to->channels; c++) {
			to->scale[c] = node->scale[c];
			to->offset[c] = node->offset[c] - node->scale[c] * zero;
		}
	}
	return 0;
}

/* docs/numerics.md, section 2: what the widest channel can reach, from the real weights. */
static int prove(const struct tv_quantized *q, struct tv_error *error)
{
	for (size_t i = 0; i < q->network->count; i++)
		if (q->nodes[i].widest > INT32_MAX)
			return tv_error_set(error, -ERANGE, "%s: an accumulator may reach %.0f",
					    q->network->nodes[i].name, q->nodes[i].widest);
	return 0;
}

int tv_emit(const struct tv_quantized *quantized, const struct tv_emit_program *programs,
	    size_t count, struct tv_package **ret, struct tv_error *error)
{
	const struct tv_network *network = quantized->network;
	_cleanup_(tv_package_freep) struct tv_package *package = calloc(1, sizeof(*package));
	int r;

	if (!package)
		return tv_error_oom(error);
	if (!count || count > TV_PACKAGE_PROGRAMS_MAX)
		return tv_error_set(error, -EINVAL, "%zu programs, 1 to %u expected", count,
				    TV_PACKAGE_PROGRAMS_MAX);
	r = prove(quantized, error);
	if (r < 0)
		return r;
	package->size = network->size;
	package->resize = network->resize;
	package->classes = network->architecture.classes;
	package->logit_scale = quantized->nodes[network->count - 1].scale[0];
	package->macs = tv_network_macs(network);
	package->programs = calloc(count, sizeof(*package->programs));
	if (!package->programs)
		return tv_error_oom(error);
	if (network->labels) {
		package->labels = calloc(package->classes, sizeof(char *));
		if (!package->labels)
			return tv_error_oom(error);
		for (unsigned int i = 0; i < package->classes; i++) {
			package->labels[i] = strdup(network->labels[i]);
			if (!package->labels[i])
				return tv_error_oom(error);
		}
	}
	r = emit_nodes(quantized, package, error);
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = emit_program(quantized, &programs[i], package, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(package);
	return 0;
}
