/* SPDX-License-Identifier: MIT */
/*
 * CONV, DEPTHWISE, SEPARABLE and CONV_POOL: tile after tile goes through all stages of the chain,
 * so that what lies between two stages stays small whatever the map's size.
 */
#include <errno.h>
#include <string.h>

#include "rtl-model/functional-private.h"

/* Elements of a tile's widest array, and its most pixels: as much as a cache likes to hold. */
#define TILE_ELEMENTS 16384u
#define TILE_PIXELS   64u

struct chain {
	const struct tv_execution *execution;
	const struct tv_command *command;
	uint32_t tile; /* most pixels of one */
	struct tv_depthwise_stage depthwise;
	struct tv_dense_stage dense;
	struct tv_epilogue epilogue[2];
	uint8_t *outside; /* a pixel outside the map */
	int32_t *accumulators; /* [tile][channels], of either stage */
	int16_t *values; /* a pixel in the epilogue */
	uint8_t *between; /* [tile][channels]: what stage 0 hands to stage 1 */
	int32_t *sums; /* of CONV_POOL */
};

static void chain_done(struct chain *chain)
{
	tv_depthwise_done(&chain->depthwise);
	tv_dense_done(&chain->dense);
	free(chain->outside);
	free(chain->accumulators);
	free(chain->values);
	free(chain->between);
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

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

static int chain_load(struct chain *chain, struct tv_error *error)
{
	const struct tv_command *command = chain->command;
	const struct tv_weights_layout layout = tv_weights_layout(command);
	const uint8_t *weights = chain->execution->weights;
	uint32_t widest = larger(command->channels, command->out_channels);
	int r = 0;

	if (has_dense(command))
		widest = larger(widest, tv_dense_of(command).reduction);
	chain->tile = smaller(larger(TILE_ELEMENTS / widest, 1), TILE_PIXELS);
	if (begins_depthwise(command))
		r = tv_depthwise_load(command, weights + layout.weights[0], &chain->depthwise,
				      error);
	if (r >= 0 && has_dense(command))
		r = tv_dense_load(command,
				  weights + layout.weights[command->opcode == TV_OP_SEPARABLE],
				  chain->tile, &chain->dense, error);
	if (r < 0)
		return r;
	widest = larger(command->channels, command->out_channels);
	chain->outside = TV_NEW_ARRAY(uint8_t, command->channels);
	chain->accumulators = TV_NEW_ARRAY(int32_t, (size_t)chain->tile * widest);
	chain->values = TV_NEW_ARRAY(int16_t, widest);
	chain->between = TV_NEW_ARRAY(uint8_t, (size_t)chain->tile * widest);
	chain->sums = TV_NEW_ARRAY(int32_t, command->out_channels);
	if (!chain->outside || !chain->accumulators || !chain->values || !chain->between ||
	    !chain->sums)
		return tv_error_oom(error);
	/* In the input's own format, so that all pixels are read alike. */
	for (uint32_t c = 0; c < command->channels; c++) {
		uint8_t pad = (uint8_t)command->pad[command->channels > 4 ? 0 : c];

		chain->outside[c] = command->input.format == TV_FORMAT_UINT8 ?
					    (uint8_t)tv_input_byte(pad) :
					    pad;
	}
	chain->epilogue[0] = tv_epilogue_of(chain->execution, 0);
	if (chain->execution->parameters->channels[1])
		chain->epilogue[1] = tv_epilogue_of(chain->execution, 1);
	return 0;
}

/* Where a pixel of the command's output lies. */
static uint8_t *output_pixel(const struct chain *chain, uint32_t pixel)
{
	return chain->execution->output + (size_t)pixel * chain->command->output.pitch;
}

/* The 1x1 convolution of what stage 0 left between. */
static void run_pointwise(const struct chain *chain, const struct tv_tile *tile, uint32_t first)
{
	const struct tv_map map = {
		.data = chain->between,
		.pitch = chain->command->channels,
		.height = 1,
		.width = tile->count,
		.channels = chain->command->channels,
	};
	const struct tv_tile all = { .count = tile->count };

	tv_dense_run(&chain->dense, &map, &all, chain->accumulators);
	for (uint32_t p = 0; p < tile->count; p++)
		tv_epilogue_pixel(&chain->epilogue[1],
				  chain->accumulators + (size_t)p * chain->command->out_channels,
				  first + p, chain->values, output_pixel(chain, first + p));
}

static void add_to_pool(const struct chain *chain, const struct tv_tile *tile)
{
	const uint32_t channels = chain->command->out_channels;
	const uint8_t *pixel = chain->between;

	for (uint32_t p = 0; p < tile->count; p++, pixel += channels)
		for (uint32_t c = 0; c < channels; c++)
			chain->sums[c] += (int8_t)pixel[c];
}

/* first is the tile's first pixel, counted over all images. */
static void run_tile(const struct chain *chain, const struct tv_map *map,
		     const struct tv_tile *tile, uint32_t first)
{
	const struct tv_epilogue *epilogue = &chain->epilogue[0];
	bool last = !chain->execution->parameters->channels[1];

	if (begins_depthwise(chain->command))
		tv_depthwise_run(&chain->depthwise, map, tile, chain->accumulators);
	else
		tv_dense_run(&chain->dense, map, tile, chain->accumulators);
	for (uint32_t p = 0; p < tile->count; p++)
		tv_epilogue_pixel(epilogue, chain->accumulators + (size_t)p * epilogue->count,
				  first + p, chain->values,
				  last ? output_pixel(chain, first + p) :
					 chain->between + (size_t)p * epilogue->count);
	if (chain->command->opcode == TV_OP_SEPARABLE)
		run_pointwise(chain, tile, first);
	else if (chain->command->opcode == TV_OP_CONV_POOL)
		add_to_pool(chain, tile);
}

int tv_execute_convolution(const struct tv_execution *execution, struct tv_error *error)
{
	const struct tv_command *command = execution->command;
	const struct tv_stage *stage = &command->stage[0];
	_cleanup_(chain_done) struct chain chain = { .execution = execution, .command = command };
	bool pool = command->opcode == TV_OP_CONV_POOL;
	uint32_t images = command->images, out_height = tv_map_height(command);
	uint32_t out_width = tv_map_width(command), first = 0;
	struct tv_map map = {
		.data = execution->input,
		.pitch = command->input.pitch,
		.height = command->height,
		.width = command->width,
		.channels = command->channels,
		.uint8 = command->input.format == TV_FORMAT_UINT8,
	};
	struct tv_tile tile;
	int r;

	r = chain_load(&chain, error);
	if (r < 0)
		return r;
	map.outside = chain.outside;
	/* To a 1x1 convolution the map is one long row of pixels, and so are the images unless each
	 * is added up by itself: tiles become longer. */
	if (stage->kernel == 1 && stage->stride == 1) {
		map.width *= map.height;
		map.height = 1;
		if (!pool) {
			map.width *= images;
			images = 1;
		}
		out_width = map.width;
		out_height = 1;
	}
	for (uint32_t image = 0; image < images; image++) {
		memset(chain.sums, 0, command->out_channels * sizeof(*chain.sums));
		for (tile.y = 0; tile.y < out_height; tile.y++)
			for (tile.x = 0; tile.x < out_width; tile.x += tile.count) {
				if (tv_canceled(execution))
					return -ECANCELED;
				tile.count = smaller(out_width - tile.x, chain.tile);
				run_tile(&chain, &map, &tile, first);
				first += tile.count;
			}
		if (pool)
			tv_epilogue_pixel(&chain.epilogue[1], chain.sums, image, chain.values,
					  output_pixel(&chain, image));
		map.data += (size_t)map.height * map.width * map.pitch;
	}
	return 0;
}
