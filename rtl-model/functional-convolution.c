/* SPDX-License-Identifier: MIT */
/*
 * CONV, DEPTHWISE, SEPARABLE and CONV_POOL: tile after tile goes through all stages of the chain,
 * so that what lies between two stages stays small whatever the map's size.
 */
#include <errno.h>
#include <string.h>

#include "rtl-model/functional-private.h"

/* A tile's bytes in any stage, and its most pixels: what a processor's second cache likes to hold
 * besides weights. */
#define TILE_BYTES  131072u
#define TILE_PIXELS 96u

struct chain {
	const struct tv_execution *execution;
	const struct tv_command *command;
	struct tv_map map;
	uint32_t tile; /* most pixels of one */
	struct tv_depthwise_stage depthwise;
	struct tv_dense_stage dense;
	struct tv_epilogue epilogue[2];
	uint8_t *outside; /* a pixel outside the map */
	uint8_t *patches;
	int32_t *accumulators; /* of a tile's block */
	uint8_t *between; /* [tile][channels]: what stage 0 hands to stage 1 */
	struct tv_depthwise_memory memory;
	int32_t *sums; /* of CONV_POOL */
};

static void chain_done(struct chain *chain)
{
	tv_depthwise_done(&chain->depthwise);
	tv_dense_done(&chain->dense);
	free(chain->outside);
	free(chain->patches);
	free(chain->accumulators);
	free(chain->between);
	free(chain->memory.taps);
	free(chain->memory.copied_taps);
	free(chain->memory.copies);
	free(chain->sums);
}

static bool begins_depthwise(const struct tv_command *command)
{
	return command->opcode == TV_OP_DEPTHWISE || command->opcode == TV_OP_SEPARABLE;
}

static bool has_dense(const struct tv_command *command)
{
	return command->opcode != TV_OP_DEPTHWISE;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* In the input's own format, so that all pixels are read alike, and as long as a kernel may read.
 */
static int make_outside(struct chain *chain, struct tv_error *error)
{
	const struct tv_command *command = chain->command;

	chain->outside = calloc(command->channels + TV_BLOCK_OUTPUTS, 1);
	if (!chain->outside)
		return tv_error_oom(error);
	for (uint32_t c = 0; c < command->channels; c++) {
		uint8_t pad = (uint8_t)command->pad[command->channels > 4 ? 0 : c];

		chain->outside[c] = command->input.format == TV_FORMAT_UINT8 ?
					    (uint8_t)tv_input_byte(pad) :
					    pad;
	}
	chain->map.outside = chain->outside;
	return 0;
}

static int load_weights(struct chain *chain, struct tv_error *error)
{
	const struct tv_execution *execution = chain->execution;
	const struct tv_command *command = chain->command;
	const struct tv_weights_layout layout = tv_weights_layout(command);
	const bool separable = command->opcode == TV_OP_SEPARABLE;
	int r = 0;

	chain->epilogue[0] = tv_epilogue_of(execution, 0);
	if (execution->parameters->channels[1])
		chain->epilogue[1] = tv_epilogue_of(execution, 1);
	if (begins_depthwise(command))
		r = tv_depthwise_load(command, execution->kernels,
				      execution->weights + layout.weights[0], &chain->epilogue[0],
				      &chain->depthwise, error);
	if (r >= 0 && has_dense(command))
		r = tv_dense_load(command, execution->kernels, &chain->dense, error);
	if (r < 0)
		return r;
	for (uint32_t b = 0; has_dense(command) && b < chain->dense.shape.blocks; b++)
		tv_dense_pack(&chain->dense, execution->weights + layout.weights[separable],
			      &chain->epilogue[separable], b);
	return 0;
}

static int make_memory(struct chain *chain, struct tv_error *error)
{
	const struct tv_command *command = chain->command;
	const struct tv_kernels *kernels = chain->execution->kernels;
	size_t patch = chain->dense.pitch * kernels->element;
	size_t between = larger(command->channels, command->out_channels);
	size_t taps = (size_t)chain->depthwise.taps * sizeof(*chain->memory.taps);

	chain->tile = (uint32_t)smaller(
		larger(TILE_BYTES / larger(larger(patch, between), taps), 1), TILE_PIXELS);
	taps = (size_t)chain->depthwise.taps * chain->tile;
	chain->patches = TV_NEW_ARRAY(uint8_t, chain->tile * patch + 1);
	chain->between = TV_NEW_ARRAY(uint8_t, chain->tile * between);
	chain->accumulators =
		TV_NEW_ARRAY(int32_t, larger(chain->tile, kernels->rows) * TV_BLOCK_OUTPUTS);
	chain->memory.taps = TV_NEW_ARRAY(const uint8_t *, taps + 1);
	chain->memory.copied_taps = TV_NEW_ARRAY(const uint8_t *, taps + 1);
	chain->memory.copies = TV_NEW_ARRAY(uint8_t, taps * TV_BLOCK_OUTPUTS + 1);
	chain->sums = calloc(command->out_channels, sizeof(*chain->sums));
	chain->memory.accumulators = chain->accumulators;
	if (!chain->patches || !chain->between || !chain->accumulators || !chain->memory.taps ||
	    !chain->memory.copied_taps || !chain->memory.copies || !chain->sums)
		return tv_error_oom(error);
	return 0;
}

static int chain_load(struct chain *chain, struct tv_error *error)
{
	int r = make_outside(chain, error);

	if (r >= 0)
		r = load_weights(chain, error);
	if (r >= 0)
		r = make_memory(chain, error);
	return r;
}

/* Where a pixel of the command's output lies. */
static uint8_t *output_pixel(const struct chain *chain, uint32_t pixel)
{
	return chain->execution->output + (size_t)pixel * chain->command->output.pitch;
}

static void run_dense(const struct chain *chain, unsigned int stage, const struct tv_map *map,
		      const struct tv_tile *read, const struct tv_tile *tile, uint8_t *output,
		      size_t pitch)
{
	tv_dense_gather(&chain->dense, map, read, chain->patches);
	for (uint32_t b = 0; b < chain->dense.shape.blocks; b++)
		tv_dense_run(&chain->dense, chain->patches, tile, b, &chain->epilogue[stage],
			     chain->accumulators, output, pitch);
}

/* The 1x1 convolution of what stage 0 left between. */
static void run_pointwise(const struct chain *chain, const struct tv_tile *tile)
{
	const uint32_t channels = chain->command->channels;
	const struct tv_map map = {
		.data = chain->between,
		.pitch = channels,
		.height = 1,
		.width = tile->count,
		.channels = channels,
		.out_height = 1,
		.out_width = tile->count,
	};
	const struct tv_tile all = { .count = tile->count };

	run_dense(chain, 1, &map, &all, tile, output_pixel(chain, tile->first),
		  chain->command->output.pitch);
}

static void add_to_pool(const struct chain *chain, const struct tv_tile *tile)
{
	const uint32_t channels = chain->command->out_channels;
	const uint8_t *pixel = chain->between;

	for (uint32_t p = 0; p < tile->count; p++, pixel += channels)
		for (uint32_t c = 0; c < channels; c++)
			chain->sums[c] += (int8_t)pixel[c];
}

static void run_tile(const struct chain *chain, const struct tv_tile *tile)
{
	const struct tv_command *command = chain->command;
	const bool last = !chain->execution->parameters->channels[1];
	uint8_t *output = last ? output_pixel(chain, tile->first) : chain->between;
	const size_t pitch = last ? command->output.pitch : chain->epilogue[0].count;

	if (begins_depthwise(command))
		tv_depthwise_run(&chain->depthwise, &chain->map, tile, &chain->epilogue[0],
				 &chain->memory, output, pitch);
	else
		run_dense(chain, 0, &chain->map, tile, tile, output, pitch);
	if (chain->execution->seen && !last)
		memcpy(chain->execution->seen + tile->first * pitch, chain->between,
		       tile->count * pitch);
	if (command->opcode == TV_OP_SEPARABLE)
		run_pointwise(chain, tile);
	else if (command->opcode == TV_OP_CONV_POOL)
		add_to_pool(chain, tile);
}

/* So many pixels from first on. */
static int run_pixels(const struct chain *chain, uint32_t first, uint32_t count)
{
	for (uint32_t p = 0; p < count; p += chain->tile) {
		const struct tv_tile tile = { first + p,
					      (uint32_t)smaller(count - p, chain->tile) };

		if (tv_canceled(chain->execution))
			return -ECANCELED;
		run_tile(chain, &tile);
	}
	return 0;
}

static int run_pool(struct chain *chain)
{
	const struct tv_command *command = chain->command;
	const uint32_t pixels = chain->map.out_height * chain->map.out_width;
	int r = 0;

	for (uint32_t image = 0; image < command->images && r >= 0; image++) {
		memset(chain->sums, 0, command->out_channels * sizeof(*chain->sums));
		r = run_pixels(chain, image * pixels, pixels);
		tv_epilogue_pixel(&chain->epilogue[1], chain->sums, image,
				  output_pixel(chain, image));
	}
	return r;
}

int tv_execute_convolution(const struct tv_execution *execution, struct tv_error *error)
{
	const struct tv_command *command = execution->command;
	_cleanup_(chain_done) struct chain chain = {
		.execution = execution,
		.command = command,
		.map = {
			.data = execution->input,
			.pitch = command->input.pitch,
			.height = command->height,
			.width = command->width,
			.channels = command->channels,
			.out_height = tv_map_height(command),
			.out_width = tv_map_width(command),
			.uint8 = command->input.format == TV_FORMAT_UINT8,
		},
	};
	int r = chain_load(&chain, error);

	if (r < 0)
		return r;
	if (command->opcode == TV_OP_CONV_POOL)
		return run_pool(&chain);
	return run_pixels(&chain, 0, tv_map_pixels(command));
}
