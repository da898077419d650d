/* SPDX-License-Identifier: MIT */
/* Dense and grouped convolutions: a pixel's window is brought into one row, as the engines see it,
 * and multiplied with the blocks of weights. */
#include <string.h>

#include "rtl-model/functional-private.h"

void tv_dense_describe(const struct tv_command *command, const struct tv_kernels *kernels,
		       struct tv_dense_stage *ret)
{
	struct tv_dense_stage dense = {
		.kernels = kernels,
		.shape = tv_dense_of(command),
		.stage = &command->stage[command->opcode == TV_OP_SEPARABLE],
	};

	dense.units = tv_divide_up(dense.shape.reduction, kernels->unit);
	dense.padded = dense.units * kernels->unit;
	dense.pitch = (size_t)dense.shape.groups * dense.padded;
	dense.panel = (size_t)dense.padded * TV_BLOCK_OUTPUTS * kernels->element;
	dense.panel = (dense.panel + TV_KERNEL_ALIGNMENT - 1) & -(size_t)TV_KERNEL_ALIGNMENT;
	*ret = dense;
}

int tv_dense_allocate(struct tv_dense_stage *dense, uint32_t places, struct tv_error *error)
{
	size_t size;

	if (!__builtin_mul_overflow(dense->panel, places, &size))
		dense->weights = aligned_alloc(TV_KERNEL_ALIGNMENT, size);
	dense->blocks = TV_NEW_ARRAY(struct tv_block, places);
	return dense->weights && dense->blocks ? 0 : tv_error_oom(error);
}

void tv_dense_done(struct tv_dense_stage *dense)
{
	free(dense->weights);
	free(dense->blocks);
}

void tv_dense_pack(const struct tv_dense_stage *dense, const uint8_t *weights,
		   const struct tv_channel *channels, uint32_t b, uint32_t place)
{
	const struct tv_dense *shape = &dense->shape;
	uint32_t of_group = shape->blocks / shape->groups, in_group = b % of_group;
	uint32_t first = b / of_group * shape->out + in_group * TV_BLOCK_OUTPUTS;
	uint32_t left = shape->out - in_group * TV_BLOCK_OUTPUTS;
	uint64_t at = tv_dense_weight(shape, first, 0);
	uint64_t stride = tv_dense_weight(shape, first, TV_LANE_INPUTS) - at;
	int32_t sums[TV_BLOCK_OUTPUTS];

	dense->kernels->pack(weights + at, stride, shape->reduction,
			     dense->weights + place * dense->panel, sums);
	tv_epilogue_block(channels, dense->kernels, first,
			  left < TV_BLOCK_OUTPUTS ? left : TV_BLOCK_OUTPUTS,
			  dense->kernels->flip ? sums : NULL, &dense->blocks[place]);
}

/* What a group of a pixel's channels reads, to one row. */
static void gather_window(const struct tv_dense_stage *dense, const struct tv_map *map,
			  const struct tv_place *place, uint32_t group, uint8_t flip, uint8_t *ret)
{
	const struct tv_kernels *kernels = dense->kernels;
	const uint32_t kernel = dense->stage->kernel, in = dense->shape.in;
	const uint32_t x = place->x * dense->stage->stride - kernel / 2;
	const bool inside = x < map->width && kernel <= map->width - x;
	const size_t row = (size_t)kernel * in * kernels->element;

	for (uint32_t ky = 0; ky < kernel; ky++, ret += row) {
		const uint8_t *pixel = tv_map_pixel(map, dense->stage, place, ky, 0);

		/* A row of the window without a gap. */
		if (inside && map->pitch == in && pixel != map->outside) {
			kernels->widen(pixel, (size_t)kernel * in, flip, ret);
			continue;
		}
		for (uint32_t kx = 0; kx < kernel; kx++)
			kernels->widen(tv_map_pixel(map, dense->stage, place, ky, kx) +
					       (size_t)group * in,
				       in, flip, ret + (size_t)kx * in * kernels->element);
	}
	memset(ret, 0, (size_t)(dense->padded - dense->shape.reduction) * kernels->element);
}

void tv_dense_gather(const struct tv_dense_stage *dense, const struct tv_map *map,
		     const struct tv_tile *tile, uint8_t *ret)
{
	const struct tv_kernels *kernels = dense->kernels;
	const struct tv_stage *stage = dense->stage;
	const uint8_t flip = map->uint8 ? 0x80 ^ kernels->flip : kernels->flip;
	const size_t row = dense->pitch * kernels->element;
	struct tv_place place;

	/* Patches that are the map's pixels as they lie there. */
	if (stage->kernel == 1 && stage->stride == 1 && dense->pitch == map->channels) {
		const uint8_t *pixel = map->data + (size_t)tile->first * map->pitch;

		if (map->pitch == map->channels) {
			kernels->widen(pixel, tile->count * map->pitch, flip, ret);
			return;
		}
		for (uint32_t p = 0; p < tile->count; p++, pixel += map->pitch, ret += row)
			kernels->widen(pixel, map->channels, flip, ret);
		return;
	}
	place = tv_place_of(map, tile->first);
	for (uint32_t p = 0; p < tile->count; p++, tv_place_next(map, &place))
		for (uint32_t g = 0; g < dense->shape.groups; g++) {
			gather_window(dense, map, &place, g, flip, ret);
			ret += (size_t)dense->padded * kernels->element;
		}
}

void tv_dense_run(const struct tv_dense_stage *dense, const uint8_t *patches,
		  const struct tv_tile *tile, uint32_t b, uint32_t place,
		  const struct tv_epilogue *epilogue, int32_t *accumulators, uint8_t *output,
		  size_t pitch)
{
	const struct tv_kernels *kernels = dense->kernels;
	const struct tv_block *block = &dense->blocks[place];
	const uint8_t *weights = dense->weights + place * dense->panel;
	const size_t row = dense->pitch * kernels->element;
	/* Nearly the same number each time: few rows at once take longer. */
	const uint32_t times = tv_divide_up(tile->count, kernels->rows);
	const uint32_t most = tv_divide_up(tile->count, times);

	patches += (size_t)(b / (dense->shape.blocks / dense->shape.groups)) * dense->padded *
		   kernels->element;
	for (uint32_t p = 0; p < tile->count; p += most) {
		uint32_t rows = tile->count - p < most ? tile->count - p : most;

		kernels->dense(patches + p * row, dense->pitch, rows, weights, dense->units, block,
			       accumulators);
		kernels->finish(epilogue, block, accumulators, rows, tile->first + p,
				output + p * pitch, pitch);
	}
}
