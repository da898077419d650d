/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The golden job: a little network of made-up weights that uses every kind of command, every fixed
 * segment and on-chip memory, and what must come out of it. Whoever finds a device runs it, so that
 * one that answers but computes nothing, or something else, shows before the first user's job. It
 * is built where it is needed; of what comes out only a digest is kept.
 */
#ifndef TRIOVIT_GOLDEN_H
#define TRIOVIT_GOLDEN_H

#include <triovit/layout.h>

#define TV_GOLDEN_COMMANDS     11
#define TV_GOLDEN_PROGRAM_SIZE (TV_PROGRAM_HEADER_SIZE + TV_GOLDEN_COMMANDS * TV_COMMAND_SIZE)
#define TV_GOLDEN_WEIGHTS_SIZE 7552
#define TV_GOLDEN_INPUT_SIZE   192 /* 8 x 8 RGB */
#define TV_GOLDEN_OUTPUT_SIZE  304
#define TV_GOLDEN_SCRATCH_SIZE 512
#define TV_GOLDEN_ONCHIP       4096

/* tv_golden_digest() of the output, whatever the target. */
#define TV_GOLDEN_DIGEST 0x30ec500297d49304ull

/* Offsets of tensors: on chip, in the output, in scratch memory. */
enum {
	TV_GOLDEN_STEM = 0, /* 4 x 4 x 16 */
	TV_GOLDEN_QKV = 256, /* 4 x 4 x 48 */
	TV_GOLDEN_POOLED = 1024, /* 32 */
	TV_GOLDEN_HIDDEN = 1088, /* 32 of int16 */
	TV_GOLDEN_NORMED = 1152, /* 32 */
	TV_GOLDEN_COPIED = 1216, /* weights of the last layer */
	TV_GOLDEN_ATTENDED = 0, /* 4 x 4 x 16 */
	TV_GOLDEN_MEANS = 256, /* 16 */
	TV_GOLDEN_LOGITS = 272, /* 16 of int16 */
	TV_GOLDEN_CHAINED = 0, /* 4 x 4 x 16 */
	TV_GOLDEN_FILTERED = 256, /* 4 x 4 x 16 */
};

#define TV_GOLDEN_SHAPE(op, side, in, out)                                                         \
	.opcode = (op), .images = 1, .height = (side), .width = (side), .channels = (in),          \
	.out_channels = (out)
#define TV_GOLDEN_FROM(at, channels, name)                                                         \
	.input = { (at), (channels), TV_SEGMENT_##name, TV_FORMAT_INT8 }
#define TV_GOLDEN_TO(at, channels, name)                                                           \
	.output = { (at), (channels), TV_SEGMENT_##name, TV_FORMAT_INT8 }
#define TV_GOLDEN_NO_SHORTCUT .shortcut = { .segment = TV_SEGMENT_NONE }

/* The commands; where weights lie is settled when the program is built. */
static inline struct tv_command tv_golden_command(unsigned int index)
{
	static const struct tv_command commands[TV_GOLDEN_COMMANDS] = {
		{
			.opcode = TV_OP_COPY,
			TV_GOLDEN_FROM(0, 0, WEIGHTS),
			TV_GOLDEN_TO(TV_GOLDEN_COPIED, 0, ONCHIP),
			TV_GOLDEN_NO_SHORTCUT,
			.weights.segment = TV_SEGMENT_NONE,
		},
		{
			TV_GOLDEN_SHAPE(TV_OP_CONV, 8, 3, 16),
			.groups = 1,
			.input = { 0, 3, TV_SEGMENT_INPUT, TV_FORMAT_UINT8 },
			TV_GOLDEN_TO(TV_GOLDEN_STEM, 16, ONCHIP),
			TV_GOLDEN_NO_SHORTCUT,
			.pad = { -4, -12, -25 },
			.stage[0] = { 3, 2, TV_STAGE_HARDSWISH, 11, -20, 0 },
		},
		{
			TV_GOLDEN_SHAPE(TV_OP_SEPARABLE, 4, 16, 16),
			.groups = 1,
			TV_GOLDEN_FROM(TV_GOLDEN_STEM, 16, ONCHIP),
			TV_GOLDEN_TO(TV_GOLDEN_CHAINED, 16, SCRATCH),
			.shortcut = { TV_GOLDEN_STEM, 16, TV_SEGMENT_ONCHIP, TV_FORMAT_INT8 },
			.shortcut_multiplier = 21000,
			.shortcut_zero_point = -20,
			.pad = { -20, -20, -20, -20 },
			.stage = { { 3, 1, TV_STAGE_HARDSWISH, 11, 0, 0 },
				   { 1, 1, TV_STAGE_LINEAR, 0, 5, 0 } },
			.tile_rows = 1,
		},
		{
			TV_GOLDEN_SHAPE(TV_OP_DEPTHWISE, 4, 16, 16),
			TV_GOLDEN_FROM(TV_GOLDEN_CHAINED, 16, SCRATCH),
			TV_GOLDEN_TO(TV_GOLDEN_FILTERED, 16, SCRATCH),
			TV_GOLDEN_NO_SHORTCUT,
			.pad = { 5, 5, 5, 5 },
			.stage[0] = { 5, 1, TV_STAGE_RELU, 0, -60, 0 },
		},
		{
			TV_GOLDEN_SHAPE(TV_OP_CONV, 4, 16, 48),
			.groups = 1,
			TV_GOLDEN_FROM(TV_GOLDEN_FILTERED, 16, SCRATCH),
			TV_GOLDEN_TO(TV_GOLDEN_QKV, 48, ONCHIP),
			TV_GOLDEN_NO_SHORTCUT,
			.stage[0] = { 1, 1, TV_STAGE_LINEAR, 0, 0, 1 },
		},
		{
			TV_GOLDEN_SHAPE(TV_OP_ATTENTION, 4, 48, 16),
			.head_dim = 8,
			TV_GOLDEN_FROM(TV_GOLDEN_QKV, 48, ONCHIP),
			TV_GOLDEN_TO(TV_GOLDEN_ATTENDED, 16, OUTPUT),
			TV_GOLDEN_NO_SHORTCUT,
			.stage[0] = { 1, 1, TV_STAGE_LINEAR, 0, 0, 0 },
		},
		{
			TV_GOLDEN_SHAPE(TV_OP_POOL, 4, 16, 16),
			TV_GOLDEN_FROM(TV_GOLDEN_ATTENDED, 16, OUTPUT),
			TV_GOLDEN_TO(TV_GOLDEN_MEANS, 16, OUTPUT),
			TV_GOLDEN_NO_SHORTCUT,
			.stage[0] = { 1, 1, TV_STAGE_LINEAR, 0, 2, 0 },
		},
		{
			TV_GOLDEN_SHAPE(TV_OP_CONV_POOL, 4, 16, 32),
			.groups = 1,
			TV_GOLDEN_FROM(TV_GOLDEN_CHAINED, 16, SCRATCH),
			TV_GOLDEN_TO(TV_GOLDEN_POOLED, 32, ONCHIP),
			TV_GOLDEN_NO_SHORTCUT,
			.stage = { { 1, 1, TV_STAGE_HARDSWISH, 10, 0, 1 },
				   { 1, 1, TV_STAGE_LINEAR, 0, -9, 0 } },
		},
		{
			TV_GOLDEN_SHAPE(TV_OP_CONV, 1, 32, 32),
			.groups = 1,
			TV_GOLDEN_FROM(TV_GOLDEN_POOLED, 32, ONCHIP),
			.output = { TV_GOLDEN_HIDDEN, 64, TV_SEGMENT_ONCHIP, TV_FORMAT_INT16 },
			TV_GOLDEN_NO_SHORTCUT,
			.stage[0] = { 1, 1, TV_STAGE_LINEAR, 0, 0, 1 },
		},
		{
			TV_GOLDEN_SHAPE(TV_OP_NORM, 1, 32, 32),
			.input = { TV_GOLDEN_HIDDEN, 64, TV_SEGMENT_ONCHIP, TV_FORMAT_INT16 },
			TV_GOLDEN_TO(TV_GOLDEN_NORMED, 32, ONCHIP),
			TV_GOLDEN_NO_SHORTCUT,
			.norm_epsilon = 1000,
			.stage[0] = { 1, 1, TV_STAGE_HARDSWISH, 12, -30, 0 },
		},
		{
			TV_GOLDEN_SHAPE(TV_OP_CONV, 1, 32, 16),
			.groups = 2,
			TV_GOLDEN_FROM(TV_GOLDEN_NORMED, 32, ONCHIP),
			.output = { TV_GOLDEN_LOGITS, 32, TV_SEGMENT_OUTPUT, TV_FORMAT_INT16 },
			TV_GOLDEN_NO_SHORTCUT,
			.stage[0] = { 1, 1, TV_STAGE_LINEAR, 0, 0, 1 },
		},
	};

	return commands[index];
}

#undef TV_GOLDEN_SHAPE
#undef TV_GOLDEN_FROM
#undef TV_GOLDEN_TO
#undef TV_GOLDEN_NO_SHORTCUT

/* Bytes that look random: Knuth's linear congruential generator of MMIX, its upper bits. */
static inline uint32_t tv_golden_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

static inline void tv_golden_fill(uint64_t *state, uint8_t *ret, uint32_t size)
{
	while (size--)
		*ret++ = (uint8_t)tv_golden_random(state);
}

/* Records that bring sums of so many products to about a third of an int16, and that to an int8. */
static inline void tv_golden_channels(uint64_t *state, uint8_t *ret, uint32_t count,
				      uint32_t reduction, int norm)
{
	struct tv_channel channel;
	uint8_t shift = 0;

	while (reduction >> 2 * shift)
		shift++;
	while (count--) {
		channel = (struct tv_channel){
			.bias = (int32_t)(tv_golden_random(state) % 4096) - 2048,
			.multiplier = (int16_t)(16384 + tv_golden_random(state) % 16384),
			.constant = (int16_t)(tv_golden_random(state) % 2048 - 1024),
			.shift = norm ? 14 : shift,
			.narrow_multiplier = (int16_t)(16384 + tv_golden_random(state) % 16384),
			.narrow_shift = 5,
		};
		tv_encode_channel(&channel, ret);
		ret += TV_CHANNEL_SIZE;
	}
}

static inline void tv_golden_parameters(uint64_t *state, const struct tv_command *command,
					uint8_t *ret)
{
	const struct tv_weights_layout layout = tv_weights_layout(command);
	uint32_t taps = (uint32_t)command->stage[0].kernel * command->stage[0].kernel;
	uint32_t pixels = tv_map_height(command) * tv_map_width(command);
	struct tv_head head;
	uint32_t i;

	tv_golden_fill(state, ret, (uint32_t)layout.size);
	switch (command->opcode) {
	case TV_OP_CONV:
	case TV_OP_CONV_POOL:
		tv_golden_channels(state, ret, command->out_channels,
				   tv_dense_of(command).reduction, 0);
		break;
	case TV_OP_ATTENTION:
		for (i = 0; i < command->out_channels / command->head_dim; i++) {
			head = (struct tv_head){
				.product_multiplier = (int16_t)(20000 + i),
				.sum_multiplier = (int16_t)(30000 - i),
				.quotient_multiplier = 24000,
				.product_shift = 2,
				.product_narrow = 4,
				.sum_narrow = 3,
				.quotient_shift = 10,
				.log2_base = (uint8_t)(4 + i),
			};
			tv_encode_head(&head, ret + (uint64_t)i * TV_HEAD_SIZE);
		}
		break;
	default:
		tv_golden_channels(state, ret, command->channels, taps,
				   command->opcode == TV_OP_NORM);
		break;
	}
	if (command->opcode == TV_OP_SEPARABLE)
		tv_golden_channels(state, ret + layout.records[1], command->out_channels,
				   command->channels, 0);
	else if (command->opcode == TV_OP_CONV_POOL)
		tv_golden_channels(state, ret + layout.records[1], command->out_channels, pixels,
				   0);
}

/* Builds the job for a target: what lies in the segments program, weights and input, which have the
 * sizes above. */
static inline void tv_golden_build(uint16_t target, uint8_t *program, uint8_t *weights,
				   uint8_t *input)
{
	struct tv_program_header header = {
		.magic = TV_PROGRAM_MAGIC,
		.contract = TV_CONTRACT_VERSION,
		.target = target,
		.commands = TV_GOLDEN_COMMANDS,
		.images = 1,
		.writable = 1u << TV_SEGMENT_OUTPUT | 1u << TV_SEGMENT_SCRATCH,
		.onchip = TV_GOLDEN_ONCHIP,
		.segment = { TV_GOLDEN_PROGRAM_SIZE, TV_GOLDEN_WEIGHTS_SIZE, TV_GOLDEN_INPUT_SIZE,
			     TV_GOLDEN_OUTPUT_SIZE, TV_GOLDEN_SCRATCH_SIZE },
	};
	const unsigned int last = TV_GOLDEN_COMMANDS - 1;
	struct tv_command command, copy;
	uint64_t state = 1;
	uint32_t size, at = 0;
	unsigned int i;

	tv_encode_program_header(&header, program);
	program += TV_PROGRAM_HEADER_SIZE;
	tv_golden_fill(&state, input, TV_GOLDEN_INPUT_SIZE);
	for (i = 1; i <= last; i++) {
		command = tv_golden_command(i);
		size = (uint32_t)tv_weights_layout(&command).size;
		tv_golden_parameters(&state, &command, weights + at);
		command.weights = (struct tv_operand){ at, 0, TV_SEGMENT_WEIGHTS, 0 };
		if (i == last) {
			/* These were copied on chip first of all. */
			copy = tv_golden_command(0);
			copy.input.offset = at;
			copy.copy_bytes = size;
			tv_encode_command(&copy, program);
			command.weights.segment = copy.output.segment;
			command.weights.offset = copy.output.offset;
		}
		tv_encode_command(&command, program + i * TV_COMMAND_SIZE);
		at += size;
	}
}

/* FNV-1a, 64 bits, of the output segment. */
static inline uint64_t tv_golden_digest(const uint8_t *output)
{
	uint64_t digest = 0xcbf29ce484222325ull;
	unsigned int i;

	for (i = 0; i < TV_GOLDEN_OUTPUT_SIZE; i++)
		digest = (digest ^ output[i]) * 0x100000001b3ull;
	return digest;
}

#endif
