/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "rtl-model/functional-private.h"

static void pack_block(const struct tv_depthwise_stage *depthwise, const uint8_t *weights,
		       uint32_t first, int16_t *ret)
{
	const uint32_t kernel = depthwise->stage->kernel;
	const uint32_t odd =
		depthwise->kernels->together - 1; /* tap of a pair, if there are pairs */

	memset(ret, 0, depthwise->panel * sizeof(*ret));
	for (uint32_t i = 0; i < TV_BLOCK_OUTPUTS; i++) {
		uint32_t channel = first + depthwise->kernels->order[i];
		const uint8_t *from = weights + tv_depthwise_weight(kernel, channel, 0);

		if (channel >= depthwise->channels)
			continue;
		for (uint32_t tap = 0; tap < depthwise->taps; tap++)
			ret[(tap & ~odd) * TV_BLOCK_OUTPUTS + i * (odd + 1) + (tap & odd)] =
				(int8_t)from[tap * TV_LANE_INPUTS];
	}
}

void tv_depthwise_describe(const struct tv_command *command, const struct tv_kernels *kernels,
			   struct tv_depthwise_stage *ret)
{
	const struct tv_stage *stage = &command->stage[0];
	const uint32_t taps = (uint32_t)stage->kernel * stage->kernel;

	*ret = (struct tv_depthwise_stage){
		.kernels = kernels,
		.stage = stage,
		.channels = command->channels,
		.taps = taps,
		.blocks_count = tv_divide_up(command->channels, TV_BLOCK_OUTPUTS),
		.panel = (size_t)tv_divide_up(taps, kernels->together) * kernels->together *
			 TV_BLOCK_OUTPUTS,
	};
}

int tv_depthwise_allocate(struct tv_depthwise_stage *depthwise, struct tv_error *error)
{
	depthwise->weights = TV_NEW_ARRAY(int16_t, depthwise->blocks_count * depthwise->panel);
	depthwise->blocks = TV_NEW_ARRAY(struct tv_block, depthwise->blocks_count);
	return depthwise->weights && depthwise->blocks ? 0 : tv_error_oom(error);
}

void tv_depthwise_pack(const struct tv_depthwise_stage *depthwise, const uint8_t *weights,
		       const struct tv_channel *channels, uint32_t b)
{
	uint32_t first = b * TV_BLOCK_OUTPUTS, left = depthwise->channels - first;

	pack_block(depthwise, weights, first, depthwise->weights + b * depthwise->panel);
	tv_epilogue_block(channels, depthwise->kernels, first,
			  left < TV_BLOCK_OUTPUTS ? left : TV_BLOCK_OUTPUTS, NULL,
			  &depthwise->blocks[b]);
}

void tv_depthwise_done(struct tv_depthwise_stage *depthwise)
{
	free(depthwise->weights);
	free(depthwise->blocks);
}

static void find_taps(const struct tv_depthwise_stage *depthwise, const struct tv_map *map,
		      const struct tv_tile *tile, const uint8_t **ret)
{
	const uint32_t kernel = depthwise->stage->kernel, stride = depthwise->stage->stride;
	struct tv_place place = tv_place_of(map, tile->first);

	for (uint32_t p = 0; p < tile->count; p++, tv_place_next(map, &place)) {
		/* Above or left of the map it wraps round. */
		uint32_t y = place.y * stride - kernel / 2, x = place.x * stride - kernel / 2;
		const size_t row = (size_t)place.image * map->height;

		for (uint32_t ky = 0; ky < kernel; ky++, y++) {
			const size_t first = (row + y) * map->width;

			for (uint32_t kx = 0; kx < kernel; kx++)
				*ret++ = y < map->height && x + kx < map->width ?
						 map->data + (first + (x + kx)) * map->pitch :
						 map->outside;
		}
	}
}

/* A kernel reads 16 int8: what has fewer channels, or other bytes, is copied. */
static void copy_taps(const struct tv_map *map, const struct tv_block *block, size_t count,
		      const uint8_t *const *taps, uint8_t *bytes, const uint8_t **ret)
{
	const uint8_t flip = map->uint8 ? 0x80 : 0;

	for (size_t i = 0; i < count; i++, bytes += TV_BLOCK_OUTPUTS) {
		for (uint32_t c = 0; c < block->lanes; c++)
			bytes[c] = taps[i][block->first + c] ^ flip;
		memset(bytes + block->lanes, 0, TV_BLOCK_OUTPUTS - block->lanes);
		ret[i] = bytes;
	}
}

void tv_depthwise_run(const struct tv_depthwise_stage *depthwise, const struct tv_map *map,
		      const struct tv_tile *tile, const struct tv_epilogue *epilogue,
		      const struct tv_depthwise_memory *memory, uint8_t *output, size_t pitch)
{
	const struct tv_kernels *kernels = depthwise->kernels;
	const size_t taps = (size_t)tile->count * depthwise->taps;

	find_taps(depthwise, map, tile, memory->taps);
	for (uint32_t b = 0; b < depthwise->blocks_count; b++) {
		const struct tv_block *block = &depthwise->blocks[b];
		const uint8_t *const *pixels = memory->taps;
		size_t offset = block->first;

		if (map->uint8 || block->lanes < TV_BLOCK_OUTPUTS) {
			copy_taps(map, block, taps, memory->taps, memory->copies,
				  memory->copied_taps);
			pixels = memory->copied_taps;
			offset = 0;
		}
		kernels->depthwise(pixels, offset, tile->count, depthwise->taps,
				   depthwise->weights + b * depthwise->panel, block,
				   memory->accumulators);
		kernels->finish(epilogue, block, memory->accumulators, tile->count, tile->first,
				output, pitch);
	}
}
