/* SPDX-License-Identifier: MIT */
/*
 * CONV, DEPTHWISE, SEPARABLE and CONV_POOL, in items that the threads of a team take.
 *
 * A map of many pixels is cut into tiles, and a tile goes through all stages of the chain, so that
 * what lies between two stages stays small. Where all pixels are one tile, and in front of a pool,
 * an item is some blocks of output channels instead, and each is packed right before its use: there
 * the weights are what there is much of.
 */
#include <errno.h>
#include <string.h>

#include "rtl-model/functional-private.h"

/* A tile's bytes in any stage, and its most pixels: what a processor's second cache likes to hold
 * besides weights. */
#define TILE_BYTES  131072u
#define TILE_PIXELS 96u

/* Blocks in an item at most. */
#define ITEM_BLOCKS 4u

/* A thread's own memory. */
struct worker {
	uint8_t *patches; /* of a tile, */
	uint32_t gathered; /* of this one if not TV_NO_TILE */
	int32_t *accumulators; /* of a tile's block */
	uint8_t *between; /* [tile][channels]: what stage 0 hands to stage 1 */
	struct tv_depthwise_memory memory;
	struct tv_packed packed; /* unless the command's weights are prepared */
	bool is_packed; /* all of them */
};

#define TV_NO_TILE UINT32_MAX

struct chain {
	const struct tv_execution *execution;
	const struct tv_command *command;
	struct tv_map map;
	uint32_t pixels; /* that a loop works on: all, or of a pool's image */
	uint32_t tile; /* most pixels of one */
	struct tv_packed packed; /* prepared, or without places */
	struct tv_epilogue epilogue[2];
	uint8_t *outside; /* a pixel outside the map */
	struct worker *workers;
	unsigned int count; /* of them */
	uint32_t first; /* pixel of the image that is pooled */
	int32_t *sums; /* of CONV_POOL */
};

static void chain_done(struct chain *chain)
{
	free(chain->outside);
	free(chain->sums);
	for (unsigned int i = 0; chain->workers && i < chain->count; i++) {
		struct worker *worker = &chain->workers[i];

		free(worker->patches);
		free(worker->accumulators);
		free(worker->between);
		free(worker->memory.taps);
		free(worker->memory.copied_taps);
		free(worker->memory.copies);
		tv_packed_done(&worker->packed);
	}
	free(chain->workers);
}

static bool begins_depthwise(const struct tv_command *command)
{
	return command->opcode == TV_OP_DEPTHWISE || command->opcode == TV_OP_SEPARABLE;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Whether items are blocks of channels. */
static bool by_blocks(const struct chain *chain)
{
	return chain->command->opcode == TV_OP_CONV_POOL ||
	       (chain->command->opcode == TV_OP_CONV && chain->pixels <= chain->tile);
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

/* Tiles of about the same size, as many as the threads share evenly. */
static void choose_tile(struct chain *chain)
{
	const struct tv_command *command = chain->command;
	size_t patch = chain->packed.dense.pitch * chain->execution->kernels->element;
	size_t between = larger(command->channels, command->out_channels);
	size_t taps = chain->packed.depthwise.taps * sizeof(*chain->workers->memory.taps);
	size_t most = TILE_BYTES / larger(larger(patch, between), taps);
	uint32_t tiles;

	most = smaller(larger(most, 1), TILE_PIXELS);
	tiles = tv_divide_up(chain->pixels, (uint32_t)most);
	if (tiles > 1 || begins_depthwise(command))
		tiles = tv_divide_up(tiles, chain->count) * chain->count;
	chain->tile = tv_divide_up(chain->pixels, tiles);
}

static int make_worker(const struct chain *chain, struct worker *worker, struct tv_error *error)
{
	const struct tv_command *command = chain->command;
	const struct tv_kernels *kernels = chain->execution->kernels;
	size_t patch = chain->packed.dense.pitch * kernels->element;
	size_t taps = (size_t)chain->packed.depthwise.taps * chain->tile;

	worker->gathered = TV_NO_TILE;
	worker->patches = TV_NEW_ARRAY(uint8_t, chain->tile * patch + 1);
	worker->between = TV_NEW_ARRAY(uint8_t, chain->tile * larger(command->channels,
								     command->out_channels));
	worker->accumulators =
		TV_NEW_ARRAY(int32_t, larger(chain->tile, kernels->rows) * TV_BLOCK_OUTPUTS);
	worker->memory.taps = TV_NEW_ARRAY(const uint8_t *, taps + 1);
	worker->memory.copied_taps = TV_NEW_ARRAY(const uint8_t *, taps + 1);
	worker->memory.copies = TV_NEW_ARRAY(uint8_t, taps * TV_BLOCK_OUTPUTS + 1);
	worker->memory.accumulators = worker->accumulators;
	if (!worker->patches || !worker->between || !worker->accumulators || !worker->memory.taps ||
	    !worker->memory.copied_taps || !worker->memory.copies)
		return tv_error_oom(error);
	if (chain->execution->packed)
		return 0;
	worker->packed = chain->packed;
	return tv_packed_allocate(&worker->packed,
				  by_blocks(chain) ? 1 : chain->packed.dense.shape.blocks, error);
}

static int chain_load(struct chain *chain, struct tv_error *error)
{
	const struct tv_execution *execution = chain->execution;
	const struct tv_command *command = chain->command;
	int r;

	chain->packed = execution->packed ? *execution->packed :
					    tv_packed_of(command, execution->kernels);
	chain->epilogue[0] = tv_epilogue_of(execution, 0);
	if (execution->parameters->channels[1])
		chain->epilogue[1] = tv_epilogue_of(execution, 1);
	chain->workers = calloc(chain->count, sizeof(*chain->workers));
	chain->sums = calloc(command->out_channels, sizeof(*chain->sums));
	if (!chain->workers || !chain->sums)
		return tv_error_oom(error);
	choose_tile(chain);
	r = make_outside(chain, error);
	for (unsigned int i = 0; i < chain->count && r >= 0; i++)
		r = make_worker(chain, &chain->workers[i], error);
	return r;
}

static int run_items(struct chain *chain, uint32_t count, tv_parallel_item item,
		     struct tv_error *error)
{
	return tv_parallel_run(chain->execution->team, count, item, chain, error);
}

/* Where a pixel of the command's output lies. */
static uint8_t *output_pixel(const struct chain *chain, uint32_t pixel)
{
	return chain->execution->output + (size_t)pixel * chain->command->output.pitch;
}

/* Tile number index of those that the loop works on. */
static struct tv_tile tile_of(const struct chain *chain, uint32_t index)
{
	uint32_t at = index * chain->tile;

	return (struct tv_tile){ chain->first + at,
				 (uint32_t)smaller(chain->pixels - at, chain->tile) };
}

static void gather(const struct chain *chain, struct worker *worker, const struct tv_tile *tile)
{
	if (worker->gathered != tile->first)
		tv_dense_gather(&chain->packed.dense, &chain->map, tile, worker->patches);
	worker->gathered = tile->first;
}

/* What stage 0 of two has put out, for the observer. */
static void show(const struct chain *chain, const struct worker *worker, const struct tv_tile *tile,
		 uint32_t first, uint32_t count)
{
	const size_t channels = chain->epilogue[0].count;
	int8_t *seen = chain->execution->seen;

	for (uint32_t p = 0; seen && p < tile->count; p++)
		memcpy(seen + (tile->first + p) * channels + first,
		       worker->between + p * channels + first, count);
}

/* --- items of some blocks ------------------------------------------------------------------- */

static void add_to_pool(struct chain *chain, const struct worker *worker,
			const struct tv_block *block, uint32_t pixels)
{
	const uint8_t *pixel = worker->between + block->first;
	int32_t sums[TV_BLOCK_OUTPUTS] = { 0 };

	for (uint32_t p = 0; p < pixels; p++, pixel += chain->command->out_channels)
		for (uint32_t c = 0; c < block->lanes; c++)
			sums[c] += (int8_t)pixel[c];
	for (uint32_t c = 0; c < block->lanes; c++)
		chain->sums[block->first + c] += sums[c];
}

/* All tiles of a block. */
static void run_block(struct chain *chain, struct worker *worker, uint32_t b)
{
	const struct tv_execution *execution = chain->execution;
	const bool pool = chain->command->opcode == TV_OP_CONV_POOL;
	const struct tv_dense_stage *dense = &chain->packed.dense;
	uint32_t place = b;

	if (!execution->packed) {
		dense = &worker->packed.dense;
		place = 0;
		tv_packed_dense(&worker->packed, execution->weights, execution->parameters, b,
				place);
	}
	for (uint32_t i = 0; i < tv_divide_up(chain->pixels, chain->tile); i++) {
		const struct tv_tile tile = tile_of(chain, i);

		gather(chain, worker, &tile);
		tv_dense_run(dense, worker->patches, &tile, b, place, &chain->epilogue[0],
			     worker->accumulators,
			     pool ? worker->between : output_pixel(chain, tile.first),
			     pool ? chain->command->out_channels : chain->command->output.pitch);
		if (!pool)
			continue;
		add_to_pool(chain, worker, &dense->blocks[place], tile.count);
		show(chain, worker, &tile, dense->blocks[place].first, dense->blocks[place].lanes);
	}
}

static int run_blocks(size_t index, unsigned int number, void *userdata, struct tv_error *error)
{
	struct chain *chain = userdata;
	uint32_t end =
		(uint32_t)smaller(chain->packed.dense.shape.blocks, (index + 1) * ITEM_BLOCKS);

	for (uint32_t b = (uint32_t)index * ITEM_BLOCKS; b < end; b++) {
		if (tv_canceled(chain->execution))
			return -ECANCELED;
		run_block(chain, &chain->workers[number], b);
	}
	return 0;
}

static int run_pool(struct chain *chain, struct tv_error *error)
{
	const struct tv_command *command = chain->command;
	int r = 0;

	for (uint32_t image = 0; image < command->images && r >= 0; image++) {
		chain->first = image * chain->pixels;
		memset(chain->sums, 0, command->out_channels * sizeof(*chain->sums));
		r = run_items(chain, tv_divide_up(chain->packed.dense.shape.blocks, ITEM_BLOCKS),
			      run_blocks, error);
		tv_epilogue_pixel(&chain->epilogue[1], chain->sums, image,
				  output_pixel(chain, image));
	}
	return r;
}

/* --- items of a tile ------------------------------------------------------------------------ */

/* Each worker packs for itself: lines that another processor has written come from further away
 * than it takes to do it again. */
static const struct tv_packed *packed_of(const struct chain *chain, struct worker *worker)
{
	const struct tv_execution *execution = chain->execution;

	if (execution->packed)
		return execution->packed;
	for (uint32_t i = 0; !worker->is_packed && i < tv_packed_blocks(&worker->packed); i++)
		tv_packed_block(&worker->packed, execution->weights, execution->parameters, i);
	worker->is_packed = true;
	return &worker->packed;
}

/* The stage's output is the command's. */
static void run_dense(const struct chain *chain, const struct worker *worker,
		      const struct tv_dense_stage *dense, unsigned int stage,
		      const struct tv_tile *tile)
{
	for (uint32_t b = 0; b < dense->shape.blocks; b++)
		tv_dense_run(dense, worker->patches, tile, b, b, &chain->epilogue[stage],
			     worker->accumulators, output_pixel(chain, tile->first),
			     chain->command->output.pitch);
}

/* The 1x1 convolution of what stage 0 left between. */
static void run_pointwise(const struct chain *chain, const struct worker *worker,
			  const struct tv_dense_stage *dense, const struct tv_tile *tile)
{
	const uint32_t channels = chain->command->channels;
	const struct tv_map map = {
		.data = worker->between,
		.pitch = channels,
		.height = 1,
		.width = tile->count,
		.channels = channels,
		.out_height = 1,
		.out_width = tile->count,
	};
	const struct tv_tile all = { .count = tile->count };

	tv_dense_gather(dense, &map, &all, worker->patches);
	run_dense(chain, worker, dense, 1, tile);
}

static int run_tile(size_t index, unsigned int number, void *userdata, struct tv_error *error)
{
	const struct chain *chain = userdata;
	const struct tv_tile tile = tile_of(chain, (uint32_t)index);
	struct worker *worker = &chain->workers[number];
	const struct tv_packed *packed;

	if (tv_canceled(chain->execution))
		return -ECANCELED;
	packed = packed_of(chain, worker);
	switch (chain->command->opcode) {
	case TV_OP_SEPARABLE:
		tv_depthwise_run(&packed->depthwise, &chain->map, &tile, &chain->epilogue[0],
				 &worker->memory, worker->between, chain->command->channels);
		show(chain, worker, &tile, 0, chain->command->channels);
		run_pointwise(chain, worker, &packed->dense, &tile);
		break;
	case TV_OP_DEPTHWISE:
		tv_depthwise_run(&packed->depthwise, &chain->map, &tile, &chain->epilogue[0],
				 &worker->memory, output_pixel(chain, tile.first),
				 chain->command->output.pitch);
		break;
	default:
		gather(chain, worker, &tile);
		run_dense(chain, worker, &packed->dense, 0, &tile);
	}
	return 0;
}

int tv_execute_convolution(const struct tv_execution *execution, struct tv_error *error)
{
	const struct tv_command *command = execution->command;
	const bool pool = command->opcode == TV_OP_CONV_POOL;
	_cleanup_(chain_done) struct chain chain = {
		.execution = execution,
		.command = command,
		.count = tv_parallel_workers(execution->team),
		.pixels = tv_map_pixels(command) / (pool ? command->images : 1),
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
	if (pool)
		return run_pool(&chain, error);
	if (by_blocks(&chain))
		return run_items(&chain, tv_divide_up(chain.packed.dense.shape.blocks, ITEM_BLOCKS),
				 run_blocks, error);
	return run_items(&chain, tv_divide_up(chain.pixels, chain.tile), run_tile, error);
}
