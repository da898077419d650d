/* SPDX-License-Identifier: MIT */
/* One command by itself. */
#include "rtl-model/command.h"
#include "rtl-model/timing-private.h"

#define ROW_LANES 8 /* columns of a map that R-MAC takes at once in depthwise mode */

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Both engines on a dense stage over so many pixels: 2^split blocks of outputs at once, the groups
 * left over take different pixels, 8 inputs a cycle. */
static uint64_t dense_cycles(const struct tv_target *target, const struct tv_dense *dense,
			     uint64_t pixels)
{
	return dense->passes * dense->steps * up(pixels, target->groups >> dense->split);
}

/* R-MAC on a depthwise stage over rows of one map: a group takes 8 channels of 8 columns and one
 * tap a cycle. */
static uint64_t depthwise_cycles(const struct tv_target *target, const struct tv_command *command,
				 uint64_t rows)
{
	uint64_t units =
		up(tv_map_width(command), ROW_LANES) * up(command->channels, TV_LANE_INPUTS) * rows;

	return up(units, target->groups) * command->stage[0].kernel * command->stage[0].kernel;
}

/*
 * Depthwise tile t + 1 on R-MAC while MAT runs the 1x1 of tile t; when its tile is done, R-MAC
 * turns to the 1x1 as well. So the two together take half their sum, at least the depthwise part;
 * MAT has nothing to do during the first tile. The next image's first follows the last's at once.
 */
static uint64_t separable_cycles(const struct tv_target *target, const struct tv_command *command)
{
	struct tv_dense dense = tv_dense_of(command);
	uint64_t height = tv_map_height(command), width = tv_map_width(command);
	uint64_t rows = command->tile_rows ? command->tile_rows : height;
	uint64_t last_rows = (height - 1) % rows + 1;
	uint64_t first = depthwise_cycles(target, command, rows);
	uint64_t last = dense_cycles(target, &dense, last_rows * width);
	uint64_t before = last, image = 0;

	for (uint64_t row = 0; row < height; row += rows) {
		uint64_t now = row + rows <= height ? rows : last_rows;
		uint64_t depthwise = depthwise_cycles(target, command, now);

		image += max64(depthwise, up(depthwise + 2 * before, 2));
		before = dense_cycles(target, &dense, now * width);
	}
	return image * command->images + last - (max64(first, up(first + 2 * last, 2)) - first);
}

/*
 * R-MAC: k^T v of a head, 8 tokens a step, 8 outputs a group. MAT: the divisors of the head before
 * it (one output, so one of 8 lanes), then its dividends, a token a group.
 */
static uint64_t attention_cycles(const struct tv_target *target, const struct tv_command *command)
{
	uint64_t dim = command->head_dim;
	uint64_t heads = (uint64_t)command->channels / (3 * dim) * command->images;
	uint64_t tokens = (uint64_t)command->height * command->width;
	uint64_t steps = up(dim, TV_LANE_INPUTS);
	uint64_t product =
		up(dim * dim, TV_LANE_INPUTS * target->groups) * up(tokens, TV_LANE_INPUTS);
	uint64_t quotient = up(tokens, target->groups) * steps * (1 + steps);

	return product + (heads - 1) * max64(product, quotient) + quotient + TV_TIMING_LATENCY;
}

/* Of passes over the whole map the first needs the most: the records come before its weights. */
static uint64_t first_chunk(const struct tv_command *command, const struct tv_dense *dense)
{
	const struct tv_weights_layout layout = tv_weights_layout(command);
	uint64_t pass = ((uint64_t)dense->steps * TV_BLOCK_STEP) << dense->split;

	return dense->passes == 1 ? layout.size : layout.weights[0] + pass;
}

void tv_timing_of_command(const struct tv_target *target, const struct tv_command *command,
			  struct tv_timing_command *ret)
{
	struct tv_timing_command timing = { .macs = tv_command_macs(command) };
	struct tv_access accesses[TV_ACCESSES_MAX];
	uint64_t pixels, outputs, lanes = target->epilogue_lanes, again = 1;
	struct tv_dense dense;
	unsigned int count;

	count = tv_command_accesses(command, accesses);
	if (command->opcode == TV_OP_COPY) {
		timing.dram = (in_dram(&command->input) + in_dram(&command->output)) *
			      (uint64_t)command->copy_bytes;
		*ret = timing;
		return;
	}
	timing.weights = accesses[0].size;
	timing.chunk = timing.weights;
	pixels = (uint64_t)command->images * tv_map_height(command) * tv_map_width(command);
	outputs = pixels * command->out_channels;
	switch (command->opcode) {
	case TV_OP_CONV:
	case TV_OP_CONV_POOL:
		dense = tv_dense_of(command);
		timing.engines = dense_cycles(target, &dense, pixels);
		/* Without tiles the passes go over the whole map, one after the other: only one
		 * pass's weights are needed at once, but input in DRAM is read by each. */
		if (!command->tile_rows) {
			timing.chunk = first_chunk(command, &dense);
			again = dense.passes;
		}
		break;
	case TV_OP_DEPTHWISE:
		timing.engines =
			depthwise_cycles(target, command, tv_map_height(command)) * command->images;
		break;
	case TV_OP_SEPARABLE:
		timing.engines = separable_cycles(target, command);
		outputs += pixels * command->channels;
		break;
	case TV_OP_ATTENTION:
		timing.engines = attention_cycles(target, command);
		break;
	case TV_OP_NORM:
		/* one pass for the sums, one to apply them, the square root between */
		outputs *= 2;
		timing.engines = (uint64_t)command->images * 96;
		break;
	}
	timing.epilogue = up(outputs, lanes);
	timing.cycles = max64(timing.engines, timing.epilogue) + TV_TIMING_LATENCY;
	if (command->opcode == TV_OP_NORM)
		timing.cycles = timing.engines + timing.epilogue + TV_TIMING_LATENCY;
	for (unsigned int i = 1; i < count; i++)
		if (accesses[i].segment < TV_SEGMENT_COUNT)
			timing.dram += accesses[i].size *
				       (accesses[i].right == TV_SEGMENT_READ && i == 1 ? again : 1);
	*ret = timing;
}
