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

#include "rtl-model/command.h"
#include "rtl-model/functional.h"

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

struct tv_execution {
	const struct tv_command *command;
	const struct tv_parameters *parameters;
	const uint8_t *input, *weights;
	const uint8_t *shortcut; /* NULL: none */
	uint8_t *output;
	/* Where each stage leaves a dense copy of its values for the observer; NULL: nowhere. */
	void *seen[2];
	const atomic_bool *cancel; /* of the job */
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

/* What becomes of a stage's accumulators. */
struct tv_epilogue {
	const struct tv_stage *stage;
	const struct tv_channel *channels;
	uint32_t count; /* channels */
	bool int16; /* put out before narrowing */
	const uint8_t *shortcut; /* pixel 0, or NULL */
	size_t shortcut_pitch;
	int16_t shortcut_multiplier;
	int8_t shortcut_zero_point;
	void *seen;
};

/* The epilogue of a command's stage. */
struct tv_epilogue tv_epilogue_of(const struct tv_execution *execution, unsigned int stage);

/* One pixel from its accumulators to its bytes; values is room for count int16. pixel counts within
 * the stage's output and tells which one of the shortcut belongs to it. */
void tv_epilogue_pixel(const struct tv_epilogue *epilogue, const int32_t *accumulators,
		       uint32_t pixel, int16_t *values, uint8_t *ret);

/* The same from the activation on, which is where a layer norm joins in. */
void tv_epilogue_finish(const struct tv_epilogue *epilogue, uint32_t pixel, int16_t *values,
			uint8_t *ret);

/* --- functional-dense.c, functional-depthwise.c --------------------------------------------- */

/* A map that a stage reads, of one image or of many that it need not tell apart. */
struct tv_map {
	const uint8_t *data;
	size_t pitch;
	uint32_t height, width, channels;
	bool uint8; /* bytes stand for p - 128 */
	const uint8_t *outside; /* what a pixel outside the map reads, in the map's format */
};

/* Some pixels of one row of a stage's output. */
struct tv_tile {
	uint32_t y, x, count;
};

/* The pixel that tap (ky, kx) of output pixel (y, x) reads. Coordinates above or left of the map
 * wrap round and are outside as those below or right of it are. */
static inline const uint8_t *tv_map_pixel(const struct tv_map *map, const struct tv_stage *stage,
					  uint32_t y, uint32_t x, uint32_t ky, uint32_t kx)
{
	uint32_t iy = y * stage->stride + ky - stage->kernel / 2;
	uint32_t ix = x * stage->stride + kx - stage->kernel / 2;

	if (iy >= map->height || ix >= map->width)
		return map->outside;
	return map->data + ((size_t)iy * map->width + ix) * map->pitch;
}

/* Weights and what computing with them needs; accumulators are [pixel of the tile][channel]. */
struct tv_dense_stage {
	struct tv_dense shape;
	const struct tv_stage *stage;
	uint32_t padded; /* the reduction in whole steps */
	int16_t *weights; /* [output channel][padded] */
	int16_t *patches; /* [pixel of the tile][padded] */
};

int tv_dense_load(const struct tv_command *command, const uint8_t *weights, uint32_t tile,
		  struct tv_dense_stage *ret, struct tv_error *error);
void tv_dense_run(const struct tv_dense_stage *dense, const struct tv_map *map,
		  const struct tv_tile *tile, int32_t *ret);
void tv_dense_done(struct tv_dense_stage *dense);

struct tv_depthwise_stage {
	const struct tv_stage *stage;
	uint32_t channels;
	int16_t *weights; /* [tap][channel] */
};

int tv_depthwise_load(const struct tv_command *command, const uint8_t *weights,
		      struct tv_depthwise_stage *ret, struct tv_error *error);
void tv_depthwise_run(const struct tv_depthwise_stage *depthwise, const struct tv_map *map,
		      const struct tv_tile *tile, int32_t *ret);
void tv_depthwise_done(struct tv_depthwise_stage *depthwise);

#endif
