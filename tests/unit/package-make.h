/* SPDX-License-Identifier: MIT */
/* Packages for tests: real programs of a network, with random parameters that any machine takes. */
#ifndef TV_TESTS_PACKAGE_MAKE_H
#define TV_TESTS_PACKAGE_MAKE_H

#include <string.h>

#include "model/package.h"
#include "quantizer/lower.h"
#include "rtl-model/command.h"
#include "rtl-model/target.h"
#include "tests/unit/unit.h"

/* The smallest that has every opcode. */
static const struct tv_architecture package_small = {
	.widths = { 8, 8, 8, 16, 24 },
	.depths = { 1, 1, 1, 1, 1 },
	.head_dim = 8,
	.head_widths = { 32, 24 },
	.classes = 5,
	.expand = 2,
};

#define PACKAGE_SMALL_SIZE 32

struct package_of {
	const char *target;
	unsigned int images;
};

static inline unsigned int package_log2(double value)
{
	unsigned int result = 0;

	while (value > 1 && result < 15) {
		value /= 2;
		result++;
	}
	return result;
}

/*
 * Parameters of a node depend on the node alone, not on the program that it is part of. Their gains
 * bring sums of `reduction` products of typical codes (about 60, times a weight's 74 if there are
 * any) to a quarter of the int16, and this to typical codes.
 */
static inline void package_fill_records(uint8_t *at, uint32_t count, uint32_t reduction,
					double weight, uint64_t state)
{
	const double typical = 60 * weight * (1 + reduction / 16.0);
	const unsigned int shift = package_log2(typical / 8192);

	for (uint32_t i = 0; i < count; i++) {
		struct tv_channel channel = {
			.bias = (int32_t)(tv_unit_random(&state) % 4096) - 2048,
			.multiplier = (int16_t)(16384 + tv_unit_random(&state) % 16384),
			.narrow_multiplier = (int16_t)(16384 + tv_unit_random(&state) % 16384),
			.constant = (int16_t)(tv_unit_random(&state) % 64),
			.shift = (uint8_t)shift,
			.narrow_shift = (uint8_t)package_log2(typical / (1u << shift) / 128),
		};

		if (!reduction) { /* layer norm */
			channel.shift = 19;
			channel.narrow_shift = 5;
		}
		tv_encode_channel(&channel, at + (size_t)i * TV_CHANNEL_SIZE);
	}
}

static inline void package_fill_heads(uint8_t *at, uint32_t count)
{
	const struct tv_head head = {
		.product_multiplier = 20000,
		.sum_multiplier = 20000,
		.quotient_multiplier = 20000,
		.product_narrow = 6,
		.quotient_shift = 6,
		.log2_base = 4,
	};

	for (uint32_t i = 0; i < count; i++)
		tv_encode_head(&head, at + (size_t)i * TV_HEAD_SIZE);
}

static inline void package_fill_dense(const struct tv_command *command, uint8_t *at, uint64_t state)
{
	const struct tv_dense dense = tv_dense_of(command);

	for (uint32_t o = 0; o < command->out_channels; o++)
		for (uint32_t i = 0; i < dense.reduction; i++)
			at[tv_dense_weight(&dense, o, i)] = (uint8_t)tv_unit_random(&state);
}

static inline void package_fill_depthwise(const struct tv_command *command, uint8_t *at,
					  uint64_t state)
{
	const uint32_t taps = (uint32_t)command->stage[0].kernel * command->stage[0].kernel;

	for (uint32_t c = 0; c < command->channels; c++)
		for (uint32_t tap = 0; tap < taps; tap++)
			at[tv_depthwise_weight(command->stage[0].kernel, c, tap)] =
				(uint8_t)tv_unit_random(&state);
}

/* What the quantizer would fill in: anything that is valid. */
static inline void package_fill_command(const struct tv_step *step, struct tv_command *command,
					uint8_t *at)
{
	const struct tv_weights_layout layout = tv_weights_layout(command);
	const uint32_t taps = (uint32_t)command->stage[0].kernel * command->stage[0].kernel;
	const uint32_t pixels = tv_map_height(command) * tv_map_width(command);
	const uint64_t first = (uint64_t)step->nodes[0] << 32,
		       second = (uint64_t)step->nodes[1] << 32;

	for (int i = 0; i < 2; i++)
		if (command->stage[i].activation == TV_STAGE_HARDSWISH)
			command->stage[i].fraction = 10;
	for (int i = 0; command->stage[0].kernel > 1 && i < 4; i++)
		command->pad[i] = (int8_t)(command->channels > 4 ? -9 :
					   i < command->channels ? i + 3 :
								   0);
	if (command->shortcut.segment != TV_SEGMENT_NONE)
		command->shortcut_multiplier = 20000;
	switch (command->opcode) {
	case TV_OP_CONV:
	case TV_OP_CONV_POOL:
		package_fill_records(at, command->out_channels, tv_dense_of(command).reduction, 74,
				     first);
		package_fill_dense(command, at + layout.weights[0], first + 1);
		if (command->opcode == TV_OP_CONV_POOL)
			package_fill_records(at + layout.records[1], command->out_channels, pixels,
					     1, second);
		break;
	case TV_OP_DEPTHWISE:
	case TV_OP_SEPARABLE:
		package_fill_records(at, command->channels, taps, 74, first);
		package_fill_depthwise(command, at + layout.weights[0], first + 1);
		if (command->opcode == TV_OP_DEPTHWISE)
			break;
		package_fill_records(at + layout.records[1], command->out_channels,
				     tv_dense_of(command).reduction, 74, second);
		package_fill_dense(command, at + layout.weights[1], second + 1);
		break;
	case TV_OP_POOL:
		package_fill_records(at, command->out_channels, pixels, 1, first);
		break;
	case TV_OP_NORM:
		package_fill_records(at, command->out_channels, 0, 1, first);
		break;
	case TV_OP_ATTENTION:
		package_fill_heads(at, command->channels / (3u * command->head_dim));
		break;
	}
}

/* Buffers of a package are released with it. */
static inline uint8_t *package_own(struct tv_package *package, size_t size)
{
	uint8_t *buffer = calloc(1, size + 1);

	package->owned =
		reallocarray(package->owned, package->owned_count + 1, sizeof(*package->owned));
	ck_assert(buffer && package->owned);
	package->owned[package->owned_count++] = buffer;
	return buffer;
}

static inline void package_add_program(struct tv_package *package, const struct tv_network *network,
				       const struct package_of *of)
{
	const struct tv_lower_options options = { .target = tv_target_by_name(of->target),
						  .images = of->images };
	_cleanup_(tv_lowered_freep) struct tv_lowered *lowered = NULL;
	struct tv_package_program *program;
	struct tv_error error = { 0 };
	uint8_t *bytes, *weights;

	tv_assert_ok(tv_lower(network, &options, &lowered, &error), error);
	bytes = package_own(package, lowered->header.segment[TV_SEGMENT_PROGRAM]);
	weights = package_own(package, lowered->header.segment[TV_SEGMENT_WEIGHTS]);
	tv_encode_program_header(&lowered->header, bytes);
	for (uint32_t i = 0; i < lowered->header.commands; i++) {
		if (lowered->commands[i].opcode != TV_OP_COPY)
			package_fill_command(
				&lowered->steps[i], &lowered->commands[i],
				weights + tv_weights_source(lowered->commands, i).offset);
		tv_encode_command(&lowered->commands[i],
				  bytes + TV_PROGRAM_HEADER_SIZE + (size_t)i * TV_COMMAND_SIZE);
	}
	package->programs = reallocarray(package->programs, package->program_count + 1,
					 sizeof(*package->programs));
	ck_assert_ptr_nonnull(package->programs);
	program = &package->programs[package->program_count++];
	*program = (struct tv_package_program){
		.header = lowered->header,
		.program = bytes,
		.weights = weights,
		.steps = TV_TAKE_PTR(lowered->steps),
	};
	snprintf(program->target, sizeof(program->target), "%s", of->target);
}

static inline void package_fill_nodes(struct tv_package *package, const struct tv_network *network)
{
	package->nodes = calloc(network->count, sizeof(*package->nodes));
	ck_assert_ptr_nonnull(package->nodes);
	package->node_count = network->count;
	for (size_t i = 0; i < network->count; i++) {
		struct tv_package_node *node = &package->nodes[i];

		memcpy(node->name, network->nodes[i].name, sizeof(node->name));
		node->channels = network->nodes[i].out_channels;
		node->scale = calloc(node->channels, sizeof(float));
		node->offset = calloc(node->channels, sizeof(float));
		ck_assert(node->scale && node->offset);
		for (uint32_t c = 0; c < node->channels; c++) {
			node->scale[c] = 0.01f * (float)(1 + c % 7);
			node->offset[c] = 0.1f * (float)(c % 3);
		}
	}
}

/* With labels "class 0", ... and a source. */
static inline struct tv_package *package_make(const struct tv_architecture *architecture,
					      unsigned int size, const struct package_of *of,
					      size_t count)
{
	struct tv_package *package = calloc(1, sizeof(*package));
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	struct tv_error error = { 0 };

	ck_assert_ptr_nonnull(package);
	tv_assert_ok(tv_network_new(architecture, size, &network, &error), error);
	package->size = size;
	package->resize = size + size / 8;
	package->classes = architecture->classes;
	package->logit_scale = 0.0123456789f;
	package->macs = tv_network_macs(network);
	package->source = strdup("made by a test");
	package->labels = calloc(package->classes, sizeof(*package->labels));
	ck_assert(package->labels && package->source);
	for (unsigned int i = 0; i < package->classes; i++)
		ck_assert_int_ge(asprintf(&package->labels[i], "class %u", i), 0);
	package_fill_nodes(package, network);
	for (size_t i = 0; i < count; i++)
		package_add_program(package, network, &of[i]);
	return package;
}

#endif
