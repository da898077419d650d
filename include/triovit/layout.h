/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How large things are and where a weight lies: what follows from a command's fields. The packer
 * that writes weights and the machines that read them call the same functions.
 *
 * Weights lie in the order in which they are consumed. A dense stage computes blocks of 16 output
 * channels (8 lanes of MAT, 8 of R-MAC), 2^split of them at once, one pass after the other; within
 * a pass the reduction goes in steps of 8 inputs. So: pass, step, block, 16 outputs, 8 inputs. A
 * depthwise stage takes 8 channels at a time: block, tap, 8 channels.
 */
#ifndef TRIOVIT_LAYOUT_H
#define TRIOVIT_LAYOUT_H

#include <triovit/command.h>

#define TV_LANE_INPUTS	     8
#define TV_BLOCK_OUTPUTS     16
#define TV_BLOCK_STEP	     (TV_LANE_INPUTS * TV_BLOCK_OUTPUTS) /* bytes of weights */
#define TV_WEIGHTS_ALIGNMENT 64

static inline uint32_t tv_divide_up(uint32_t a, uint32_t b)
{
	return a / b + (a % b != 0);
}

static inline uint64_t tv_align_weights(uint64_t size)
{
	return (size + TV_WEIGHTS_ALIGNMENT - 1) & ~(uint64_t)(TV_WEIGHTS_ALIGNMENT - 1);
}

/* Side of a convolution's output; kernels are odd and padded by kernel / 2, so it does not depend
 * on the kernel. */
static inline uint32_t tv_output_side(uint32_t side, uint32_t stride)
{
	return (side - 1) / stride + 1;
}

/* Stage 0's map decides the shape; a stage 1 is a 1x1 convolution or a pool. */
static inline uint32_t tv_map_height(const struct tv_command *command)
{
	return tv_output_side(command->height, command->stage[0].stride);
}

static inline uint32_t tv_map_width(const struct tv_command *command)
{
	return tv_output_side(command->width, command->stage[0].stride);
}

static inline uint32_t tv_format_bytes(uint8_t format)
{
	return format == TV_FORMAT_INT16 ? 2 : 1;
}

/* A dense or grouped convolution as the engines see it. */
struct tv_dense {
	uint32_t groups;
	uint32_t in, out; /* channels of a group */
	uint32_t reduction; /* kernel * kernel * in; index (ky * kernel + kx) * in + c */
	uint32_t steps; /* of 8 */
	uint32_t blocks; /* of 16 output channels, groups * ceil(out / 16) */
	uint32_t split; /* log2 */
	uint32_t passes;
};

/* The dense stage of a command that has one: stage 0 of CONV and CONV_POOL, stage 1 of SEPARABLE.
 * groups divides channels and out_channels, strides are not zero. */
static inline struct tv_dense tv_dense_of(const struct tv_command *command)
{
	const struct tv_stage *stage = &command->stage[command->opcode == TV_OP_SEPARABLE];
	struct tv_dense dense = {
		.groups = command->groups,
		.in = command->channels / command->groups,
		.out = command->out_channels / command->groups,
		.split = stage->split,
	};

	dense.reduction = (uint32_t)stage->kernel * stage->kernel * dense.in;
	dense.steps = tv_divide_up(dense.reduction, TV_LANE_INPUTS);
	dense.blocks = dense.groups * tv_divide_up(dense.out, TV_BLOCK_OUTPUTS);
	dense.passes = tv_divide_up(dense.blocks, 1u << dense.split);
	return dense;
}

/* Where the weight of output channel o and reduction index i lies in the stage's weights. */
static inline uint64_t tv_dense_weight(const struct tv_dense *dense, uint32_t o, uint32_t i)
{
	uint32_t in_group = o % dense->out;
	uint32_t block = o / dense->out * tv_divide_up(dense->out, TV_BLOCK_OUTPUTS) +
			 in_group / TV_BLOCK_OUTPUTS;
	uint32_t first = block >> dense->split << dense->split; /* block of the pass */
	uint32_t together = dense->blocks - first; /* blocks in the pass: the last has fewer */
	uint64_t unit;

	if (together > 1u << dense->split)
		together = 1u << dense->split;
	unit = (uint64_t)first * dense->steps + (uint64_t)(i / TV_LANE_INPUTS) * together + block -
	       first;
	return unit * TV_BLOCK_STEP + in_group % TV_BLOCK_OUTPUTS * TV_LANE_INPUTS +
	       i % TV_LANE_INPUTS;
}

static inline uint64_t tv_dense_size(const struct tv_dense *dense)
{
	return (uint64_t)dense->blocks * dense->steps * TV_BLOCK_STEP;
}

/* Where the weight of a channel's tap ky * kernel + kx lies in a depthwise stage's weights. */
static inline uint64_t tv_depthwise_weight(uint32_t kernel, uint32_t channel, uint32_t tap)
{
	return ((uint64_t)(channel / TV_LANE_INPUTS) * kernel * kernel + tap) * TV_LANE_INPUTS +
	       channel % TV_LANE_INPUTS;
}

static inline uint64_t tv_depthwise_size(uint32_t kernel, uint32_t channels)
{
	return (uint64_t)tv_divide_up(channels, TV_LANE_INPUTS) * kernel * kernel * TV_LANE_INPUTS;
}

/* Sections of a weights operand, in bytes from its start, each a multiple of 64: stage by stage the
 * records of its output channels (attention: of its heads), then its weights. A padding byte or a
 * weight of a lane beyond the last channel may have any value: it is not used. */
struct tv_weights_layout {
	uint64_t records[2], weights[2];
	uint64_t size; /* 0: the command has no parameters */
};

static inline struct tv_weights_layout tv_weights_layout(const struct tv_command *command)
{
	struct tv_weights_layout layout = { .size = 0 };
	uint64_t records[2] = { 0, 0 }, weights[2] = { 0, 0 }, at = 0;
	struct tv_dense dense;
	unsigned int i;

	switch (command->opcode) {
	case TV_OP_CONV:
	case TV_OP_CONV_POOL:
		dense = tv_dense_of(command);
		records[0] = (uint64_t)command->out_channels * TV_CHANNEL_SIZE;
		weights[0] = tv_dense_size(&dense);
		if (command->opcode == TV_OP_CONV_POOL)
			records[1] = records[0];
		break;
	case TV_OP_DEPTHWISE:
	case TV_OP_SEPARABLE:
		records[0] = (uint64_t)command->channels * TV_CHANNEL_SIZE;
		weights[0] = tv_depthwise_size(command->stage[0].kernel, command->channels);
		if (command->opcode == TV_OP_SEPARABLE) {
			dense = tv_dense_of(command);
			records[1] = (uint64_t)command->out_channels * TV_CHANNEL_SIZE;
			weights[1] = tv_dense_size(&dense);
		}
		break;
	case TV_OP_POOL:
	case TV_OP_NORM:
		records[0] = (uint64_t)command->out_channels * TV_CHANNEL_SIZE;
		break;
	case TV_OP_ATTENTION:
		records[0] =
			(uint64_t)(command->channels / (3u * command->head_dim)) * TV_HEAD_SIZE;
		break;
	}
	for (i = 0; i < 2; i++) {
		layout.records[i] = at;
		layout.weights[i] = at + tv_align_weights(records[i]);
		at = layout.weights[i] + tv_align_weights(weights[i]);
	}
	layout.size = at;
	return layout;
}

/* Bytes from the first to the last that a tensor operand touches; pixels >= 1. */
static inline uint64_t tv_operand_extent(const struct tv_operand *operand, uint64_t pixels,
					 uint32_t channels)
{
	return (pixels - 1) * operand->pitch +
	       (uint64_t)channels * tv_format_bytes(operand->format);
}

#endif
