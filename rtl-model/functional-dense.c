/* SPDX-License-Identifier: MIT */
/* Dense and grouped convolutions: a pixel's window is brought into one row, as the engines see it,
 * and multiplied with the rows of weights. */
#include <string.h>

#include "rtl-model/functional-private.h"

/* int16 is what the vector units of most processors multiply and add in one instruction. */
static void widen(const uint8_t *restrict bytes, uint32_t count, bool uint8, int16_t *restrict ret)
{
	for (uint32_t i = 0; i < count; i++)
		ret[i] = uint8 ? tv_input_byte(bytes[i]) : (int8_t)bytes[i];
}

/* Rows as long as whole steps; what lies behind the reduction meets zeros in the patches. */
static void unpack(const struct tv_dense *shape, const uint8_t *weights, int16_t *ret)
{
	for (uint32_t o = 0; o < shape->groups * shape->out; o++) {
		uint64_t first = tv_dense_weight(shape, o, 0);
		uint64_t step = tv_dense_weight(shape, o, TV_LANE_INPUTS) - first;

		for (uint32_t i = 0; i < shape->steps; i++, ret += TV_LANE_INPUTS)
			widen(weights + (size_t)(first + i * step), TV_LANE_INPUTS, false, ret);
	}
}

int tv_dense_load(const struct tv_command *command, const uint8_t *weights, uint32_t tile,
		  struct tv_dense_stage *ret, struct tv_error *error)
{
	struct tv_dense_stage dense = {
		.shape = tv_dense_of(command),
		.stage = &command->stage[command->opcode == TV_OP_SEPARABLE],
	};
	size_t size;

	dense.padded = dense.shape.steps * TV_LANE_INPUTS;
	if (!__builtin_mul_overflow((size_t)command->out_channels, dense.padded, &size))
		dense.weights = TV_NEW_ARRAY(int16_t, size);
	dense.patches = TV_NEW_ARRAY(int16_t, (size_t)tile * dense.padded);
	if (!dense.weights || !dense.patches) {
		tv_dense_done(&dense);
		return tv_error_oom(error);
	}
	unpack(&dense.shape, weights, dense.weights);
	*ret = dense;
	return 0;
}

void tv_dense_done(struct tv_dense_stage *dense)
{
	free(dense->weights);
	free(dense->patches);
}

static void gather(const struct tv_dense_stage *dense, const struct tv_map *map,
		   const struct tv_tile *tile, uint32_t group)
{
	const struct tv_dense *shape = &dense->shape;
	uint32_t kernel = dense->stage->kernel;

	for (uint32_t p = 0; p < tile->count; p++) {
		int16_t *patch = dense->patches + (size_t)p * dense->padded;

		for (uint32_t ky = 0; ky < kernel; ky++)
			for (uint32_t kx = 0; kx < kernel; kx++, patch += shape->in) {
				const uint8_t *pixel = tv_map_pixel(map, dense->stage, tile->y,
								    tile->x + p, ky, kx);

				widen(pixel + group * shape->in, shape->in, map->uint8, patch);
			}
		memset(patch, 0, (dense->padded - shape->reduction) * sizeof(*patch));
	}
}

/* Four rows of weights share the loads of a patch. count is a multiple of a step. */
static inline void multiply4(const int16_t *restrict patch, const int16_t *restrict weights,
			     uint32_t count, int32_t *restrict ret)
{
	const int16_t *row1 = weights + count, *row2 = row1 + count, *row3 = row2 + count;
	int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;

	for (uint32_t i = 0; i < count; i++) {
		sum0 += patch[i] * weights[i];
		sum1 += patch[i] * row1[i];
		sum2 += patch[i] * row2[i];
		sum3 += patch[i] * row3[i];
	}
	ret[0] = sum0;
	ret[1] = sum1;
	ret[2] = sum2;
	ret[3] = sum3;
}

static inline int32_t multiply1(const int16_t *restrict patch, const int16_t *restrict weights,
				uint32_t count)
{
	int32_t sum = 0;

	for (uint32_t i = 0; i < count; i++)
		sum += patch[i] * weights[i];
	return sum;
}

void tv_dense_run(const struct tv_dense_stage *dense, const struct tv_map *map,
		  const struct tv_tile *tile, int32_t *ret)
{
	const struct tv_dense *shape = &dense->shape;
	const size_t channels = (size_t)shape->groups * shape->out;
	const uint32_t padded = dense->padded & ~(TV_LANE_INPUTS - 1u);

	for (uint32_t g = 0; g < shape->groups; g++) {
		const int16_t *weights = dense->weights + (size_t)g * shape->out * padded;
		int32_t *sums = ret + (size_t)g * shape->out;
		uint32_t o = 0;

		gather(dense, map, tile, g);
		for (; o + 4 <= shape->out; o += 4)
			for (uint32_t p = 0; p < tile->count; p++)
				multiply4(dense->patches + (size_t)p * padded,
					  weights + (size_t)o * padded, padded,
					  sums + p * channels + o);
		for (; o < shape->out; o++)
			for (uint32_t p = 0; p < tile->count; p++)
				sums[p * channels + o] =
					multiply1(dense->patches + (size_t)p * padded,
						  weights + (size_t)o * padded, padded);
	}
}
