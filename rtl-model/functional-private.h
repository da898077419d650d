/* SPDX-License-Identifier: MIT */
/*
 * The functional model inside. program.c checks a job's commands, functional.c takes them one by
 * one and resolves their operands; what is left is a struct tv_execution, which cannot go wrong any
 * more but for want of memory or by somebody's wish, and which one of the functions below carries
 * out.
 *
 * Segments may be written by somebody else at any time: a byte of them that was checked counts as
 * unchecked when it is read again, and no index, size or shift comes from data.
 */
#ifndef TV_RTL_MODEL_FUNCTIONAL_PRIVATE_H
#define TV_RTL_MODEL_FUNCTIONAL_PRIVATE_H

#include <stdbool.h>

#include "common/parallel.h"
#include "rtl-model/command.h"
#include "rtl-model/functional.h"
#include "rtl-model/kernels.h"

/* --- functional-records.c ------------------------------------------------------------------- */

/* The first record that is out of range; why NULL: none is. */
struct tv_bad_record {
	const char *why;
	uint64_t offset; /* from the weights operand's start */
};

/* A command's parameters, decoded; an array that it does not have is NULL. */
struct tv_parameters {
	struct tv_channel *channels[2]; /* of each stage */
	struct tv_head *heads;
};

/* -ENOMEM; what is wrong with the records is no error but an answer. */
int tv_parameters_read(const struct tv_command *command, const uint8_t *weights,
		       struct tv_parameters *ret, struct tv_bad_record *ret_bad,
		       struct tv_error *error);
void tv_parameters_done(struct tv_parameters *parameters);

/* --- a command that passed all checks ------------------------------------------------------- */

struct tv_packed;

struct tv_execution {
	const struct tv_command *command;
	const struct tv_parameters *parameters;
	const struct tv_packed *packed; /* all blocks of a convolution; NULL: none yet */
	const uint8_t *input, *weights;
	const uint8_t *shortcut; /* NULL: none */
	uint8_t *output;
	/* Where stage 0 of two leaves a dense copy of its values for the observer; NULL: nowhere.
	 */
	int8_t *seen;
	const atomic_bool *cancel; /* of the job */
	const struct tv_kernels *kernels;
	struct tv_parallel *team; /* NULL: the caller alone */
};

/* To be asked so often that little time goes by in between, whatever the command's shape. */
static inline bool tv_canceled(const struct tv_execution *execution)
{
	return execution->cancel && atomic_load_explicit(execution->cancel, memory_order_relaxed);
}

int tv_execute_convolution(const struct tv_execution *execution, struct tv_error *error);
int tv_execute_pool(const struct tv_execution *execution, struct tv_error *error);
int tv_execute_attention(const struct tv_execution *execution, struct tv_error *error);
int tv_execute_norm(const struct tv_execution *execution, struct tv_error *error);

/* Pixels of stage 0's output map, all images together. An operand that holds them was checked, so
 * the number fits. */
static inline uint32_t tv_map_pixels(const struct tv_command *command)
{
	return command->images * tv_map_height(command) * tv_map_width(command);
}

/* An array without an initial value. */
#define TV_NEW_ARRAY(type, count) ((type *)reallocarray(NULL, (count), sizeof(type)))

/* --- functional-epilogue.c ------------------------------------------------------------------ */

/* The epilogue of a command's stage. */
struct tv_epilogue tv_epilogue_of(const struct tv_execution *execution, unsigned int stage);

/* Of a pixel 16 channels at most, from their accumulators to their bytes. pixel counts within the
 * stage's output and tells which one of the shortcut belongs to it; output is where it lies. */
void tv_epilogue_channels(const struct tv_epilogue *epilogue, uint32_t first, uint32_t count,
			  const int32_t *accumulators, uint32_t pixel, uint8_t *output);

/* The same of as many as there are from the activation on, which is where a layer norm joins in. */
void tv_epilogue_finish(const struct tv_epilogue *epilogue, uint32_t first, uint32_t count,
			int16_t *values, uint32_t pixel, uint8_t *output);

/* From sums of all channels; where there are no kernels. */
static inline void tv_epilogue_pixel(const struct tv_epilogue *epilogue, const int32_t *sums,
				     uint32_t pixel, uint8_t *output)
{
	for (uint32_t first = 0; first < epilogue->count; first += TV_BLOCK_OUTPUTS) {
		uint32_t left = epilogue->count - first;

		tv_epilogue_channels(epilogue, first,
				     left < TV_BLOCK_OUTPUTS ? left : TV_BLOCK_OUTPUTS,
				     sums + first, pixel, output);
	}
}

/* Parameters of lanes of a stage's channels from first on for vectors; sums: of the weights, see
 * pack() of the kernels, or NULL. */
void tv_epilogue_block(const struct tv_channel *channels, const struct tv_kernels *kernels,
		       uint32_t first, uint32_t lanes, const int32_t *sums, struct tv_block *ret);

/* --- functional-dense.c, functional-depthwise.c --------------------------------------------- */

/* What a stage reads, and the size of what it puts out. */
struct tv_map {
	const uint8_t *data; /* of the first image */
	size_t pitch;
	uint32_t height, width, channels;
	uint32_t out_height, out_width;
	bool uint8; /* bytes stand for p - 128 */
	const uint8_t *outside; /* what a pixel outside the map reads, in the map's format */
};

/* Pixels of a stage's output, all images together. */
struct tv_tile {
	uint32_t first, count;
};

/* One of them. */
struct tv_place {
	uint32_t image, y, x;
};

static inline struct tv_place tv_place_of(const struct tv_map *map, uint32_t pixel)
{
	uint32_t row = pixel / map->out_width;

	return (struct tv_place){ row / map->out_height, row % map->out_height,
				  pixel % map->out_width };
}

static inline void tv_place_next(const struct tv_map *map, struct tv_place *place)
{
	if (++place->x < map->out_width)
		return;
	place->x = 0;
	if (++place->y < map->out_height)
		return;
	place->y = 0;
	place->image++;
}

/* The pixel that tap (ky, kx) reads. Coordinates above or left of the map wrap round and are
 * outside as those below or right of it are. */
static inline const uint8_t *tv_map_pixel(const struct tv_map *map, const struct tv_stage *stage,
					  const struct tv_place *place, uint32_t ky, uint32_t kx)
{
	uint32_t y = place->y * stage->stride + ky - stage->kernel / 2;
	uint32_t x = place->x * stage->stride + kx - stage->kernel / 2;

	if (y >= map->height || x >= map->width)
		return map->outside;
	return map->data + (((size_t)place->image * map->height + y) * map->width + x) * map->pitch;
}

struct tv_dense_stage {
	const struct tv_kernels *kernels;
	struct tv_dense shape;
	const struct tv_stage *stage;
	uint32_t units, padded; /* of a group's reduction, in elements */
	size_t pitch; /* of patches, in elements */
	/* Places for blocks: weights as the kernels have packed them, panel bytes each, and
	 * parameters. */
	size_t panel;
	uint8_t *weights;
	struct tv_block *blocks;
};

/* Without places. */
void tv_dense_describe(const struct tv_command *command, const struct tv_kernels *kernels,
		       struct tv_dense_stage *ret);
int tv_dense_allocate(struct tv_dense_stage *dense, uint32_t places, struct tv_error *error);
void tv_dense_done(struct tv_dense_stage *dense);
/* Block b of those weights to a place. */
void tv_dense_pack(const struct tv_dense_stage *dense, const uint8_t *weights,
		   const struct tv_channel *channels, uint32_t b, uint32_t place);
/* The patches of a tile, which are count times pitch elements. */
void tv_dense_gather(const struct tv_dense_stage *dense, const struct tv_map *map,
		     const struct tv_tile *tile, uint8_t *ret);
/* The channels of the block at a place, for a tile. accumulators: [kernels->rows][16]; output: the
 * tile's first pixel, channel 0. */
void tv_dense_run(const struct tv_dense_stage *dense, const uint8_t *patches,
		  const struct tv_tile *tile, uint32_t b, uint32_t place,
		  const struct tv_epilogue *epilogue, int32_t *accumulators, uint8_t *output,
		  size_t pitch);

struct tv_depthwise_stage {
	const struct tv_kernels *kernels;
	const struct tv_stage *stage;
	uint32_t channels, taps, blocks_count;
	int16_t *weights;
	size_t panel; /* weights of a block */
	struct tv_block *blocks;
};

/* For a tile of count pixels. */
struct tv_depthwise_memory {
	const uint8_t **taps, **copied_taps; /* [count][taps] */
	uint8_t *copies; /* [count][taps][16] */
	int32_t *accumulators; /* [count][16] */
};

void tv_depthwise_describe(const struct tv_command *command, const struct tv_kernels *kernels,
			   struct tv_depthwise_stage *ret);
/* Places for all blocks. */
int tv_depthwise_allocate(struct tv_depthwise_stage *depthwise, struct tv_error *error);
void tv_depthwise_pack(const struct tv_depthwise_stage *depthwise, const uint8_t *weights,
		       const struct tv_channel *channels, uint32_t b);
void tv_depthwise_run(const struct tv_depthwise_stage *depthwise, const struct tv_map *map,
		      const struct tv_tile *tile, const struct tv_epilogue *epilogue,
		      const struct tv_depthwise_memory *memory, uint8_t *output, size_t pitch);
void tv_depthwise_done(struct tv_depthwise_stage *depthwise);

/* --- functional-prepared.c ------------------------------------------------------------------ */

/* The stages of a convolution; one that it does not have has no blocks. */
struct tv_packed {
	const struct tv_command *command;
	struct tv_weights_layout layout;
	struct tv_depthwise_stage depthwise;
	struct tv_dense_stage dense;
};

/* Without places. *command outlives it. */
struct tv_packed tv_packed_of(const struct tv_command *command, const struct tv_kernels *kernels);
/* All places of the depthwise stage, and so many of the dense one. */
int tv_packed_allocate(struct tv_packed *packed, uint32_t places, struct tv_error *error);
void tv_packed_done(struct tv_packed *packed);
/* Of both stages, the depthwise one's first. */
uint32_t tv_packed_blocks(const struct tv_packed *packed);
/* One of those to its own place. */
void tv_packed_block(const struct tv_packed *packed, const uint8_t *weights,
		     const struct tv_parameters *parameters, uint32_t block);
/* A block of the dense stage to any place. */
void tv_packed_dense(const struct tv_packed *packed, const uint8_t *weights,
		     const struct tv_parameters *parameters, uint32_t b, uint32_t place);

/* What jobs of a command have in common. */
struct tv_ready {
	bool is; /* whether there is any of the following: else it is done job by job */
	struct tv_command command;
	struct tv_parameters parameters;
	struct tv_packed packed; /* of a convolution */
};

/* For a command and kernels that need not be those that were prepared; NULL: nothing. */
const struct tv_ready *tv_prepared_find(const struct tv_prepared *prepared,
					const struct tv_kernels *kernels, uint32_t index,
					const struct tv_command *command);

#endif
