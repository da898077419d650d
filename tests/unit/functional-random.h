/* SPDX-License-Identifier: MIT */
/*
 * Random programs that are right, over memory that is as long as it has to be: unit tests and the
 * fuzzer share them. Odd shapes, gaps between pixels, operands side by side and in place, in DRAM
 * and on chip, records and data at their extremes.
 */
#ifndef TV_TESTS_FUNCTIONAL_RANDOM_H
#define TV_TESTS_FUNCTIONAL_RANDOM_H

#include <stdlib.h>
#include <string.h>

#include "rtl-model/command.h"
#include "rtl-model/functional.h"

#define WORLD_COMMANDS_MAX 24
#define WORLD_WEIGHTS_MAX  32768 /* bytes of one command's */
#define WORLD_WRITE_ONLY   5
#define WORLD_READ_ONLY	   6

/* A job in the making: its commands and the memory of its segments. Segment 7 is absent. */
struct world {
	uint64_t random;
	const struct tv_target *target;
	struct tv_command commands[WORLD_COMMANDS_MAX];
	unsigned int count;
	uint8_t *memory[TV_SEGMENT_COUNT];
	uint32_t size[TV_SEGMENT_ONCHIP + 1];
	uint32_t rights[TV_SEGMENT_ONCHIP + 1];
	uint32_t weights; /* bytes of the weights segment in use */
	uint32_t weights_max; /* bytes of one command's, at most WORLD_WEIGHTS_MAX */
	uint64_t work_max; /* of one command, about what the naive reference needs */
};

/* splitmix64, as tv_unit_random(). */
static inline uint64_t world_random(struct world *w)
{
	uint64_t z = (w->random += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* 0 to count - 1. */
static inline uint32_t world_below(struct world *w, uint32_t count)
{
	return (uint32_t)((world_random(w) >> 32) * count >> 32);
}

static inline bool world_chance(struct world *w, uint32_t one_in)
{
	return !world_below(w, one_in);
}

/* Random bytes, or few different ones: sums reach their bounds only if all factors are extreme. */
static inline void world_fill(struct world *w, uint8_t *bytes, size_t size)
{
	static const uint8_t extremes[][2] = { { 0x80, 0x7f }, { 0x7f, 0x00 } };
	uint32_t kind = world_below(w, 8);
	uint64_t random = 0;

	for (size_t i = 0; i < size; i++, random >>= 8) {
		if (i % 8 == 0)
			random = world_random(w);
		bytes[i] = kind < 2 ? extremes[kind][random & 1] : (uint8_t)random;
	}
}

/* All but memory: sizes may still be changed. */
static inline void world_plan(struct world *w, uint64_t seed, const struct tv_target *target)
{
	static const uint32_t rights[] = {
		TV_SEGMENT_READ,
		TV_SEGMENT_READ,
		TV_SEGMENT_READ,
		TV_SEGMENT_READ | TV_SEGMENT_WRITE,
		TV_SEGMENT_READ | TV_SEGMENT_WRITE,
		TV_SEGMENT_WRITE,
		TV_SEGMENT_READ,
		0,
		TV_SEGMENT_READ | TV_SEGMENT_WRITE,
	};

	*w = (struct world){
		.random = seed,
		.target = target,
		.weights_max = WORLD_WEIGHTS_MAX,
		.work_max = 400000,
	};
	memcpy(w->rights, rights, sizeof(rights));
	for (unsigned int i = TV_SEGMENT_INPUT; i <= TV_SEGMENT_ONCHIP; i++)
		w->size[i] = world_chance(w, 4) ? 70000 : 12000 + world_below(w, 20000);
	w->size[7] = 0;
	w->size[WORLD_WRITE_ONLY] = w->size[TV_SEGMENT_ONCHIP];
	w->size[TV_SEGMENT_WEIGHTS] = WORLD_COMMANDS_MAX * WORLD_WEIGHTS_MAX;
}

static inline void world_memory(struct world *w)
{
	for (unsigned int i = TV_SEGMENT_WEIGHTS; i < TV_SEGMENT_COUNT; i++) {
		if (!w->size[i])
			continue;
		w->memory[i] = malloc(w->size[i]);
		if (!w->memory[i])
			abort();
		world_fill(w, w->memory[i], i == TV_SEGMENT_WEIGHTS ? 0 : w->size[i]);
	}
}

static inline void world_begin(struct world *w, uint64_t seed, const struct tv_target *target)
{
	world_plan(w, seed, target);
	world_memory(w);
}

static inline void world_end(struct world *w)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		free(w->memory[i]);
}

/* --- parameters ----------------------------------------------------------------------------- */

static inline int16_t world_multiplier(struct world *w)
{
	return world_chance(w, 12) ? (int16_t)(32767 * world_below(w, 2)) :
				     (int16_t)(16384 + world_below(w, 16384));
}

/* A shift that brings sums of that many products to about an int16, or any. */
static inline uint8_t world_shift(struct world *w, uint32_t reduction)
{
	unsigned int bits = 12;

	while (reduction >>= 2)
		bits++;
	return world_chance(w, 12) ? (uint8_t)world_below(w, 32) :
				     (uint8_t)((bits > 15 ? bits - 15 : 0) + world_below(w, 3));
}

static inline void world_channels(struct world *w, uint8_t *ret, uint32_t count, uint32_t reduction,
				  bool norm)
{
	for (uint32_t i = 0; i < count; i++) {
		struct tv_channel channel = {
			.bias = (int32_t)world_below(w, 20000) - 10000,
			.multiplier = world_multiplier(w),
			.shift = norm ? (uint8_t)(14 + world_below(w, 8)) :
					world_shift(w, reduction),
			.constant = (int16_t)(world_below(w, 4000) - 2000),
			.narrow_multiplier = world_multiplier(w),
			.narrow_shift = (uint8_t)(6 + world_below(w, 4)),
		};

		if (world_chance(w, 12))
			channel.bias = (TV_BIAS_LIMIT - 1) * (world_chance(w, 2) ? 1 : -1);
		if (world_chance(w, 12))
			channel.constant = world_chance(w, 2) ? -32768 : 32767;
		if (world_chance(w, 12))
			channel.narrow_shift = (uint8_t)world_below(w, 16);
		if (norm && world_chance(w, 2))
			channel.multiplier = (int16_t)-channel.multiplier;
		tv_encode_channel(&channel, ret + (size_t)i * TV_CHANNEL_SIZE);
	}
}

static inline void world_heads(struct world *w, uint8_t *ret, uint32_t count, uint32_t tokens)
{
	for (uint32_t i = 0; i < count; i++) {
		struct tv_head head = {
			.product_multiplier = world_multiplier(w),
			.sum_multiplier = world_multiplier(w),
			.quotient_multiplier = world_multiplier(w),
			.product_shift = world_shift(w, tokens),
			.sum_shift = world_chance(w, 2) ? 0 : (uint8_t)world_below(w, 6),
			.quotient_shift = (uint8_t)(world_chance(w, 8) ? world_below(w, 32) :
									 6 + world_below(w, 8)),
			.log2_base = (uint8_t)world_below(w, TV_LOG2_BASE_MAX + 1),
			.product_narrow = (uint8_t)world_below(w, 16),
			.sum_narrow = (uint8_t)world_below(w, 10),
		};

		tv_encode_head(&head, ret + (size_t)i * TV_HEAD_SIZE);
	}
}

/* Fills a command's weights operand, which lies at bytes. */
static inline void world_parameters(struct world *w, const struct tv_command *c, uint8_t *bytes)
{
	const struct tv_weights_layout layout = tv_weights_layout(c);
	uint32_t pixels = tv_map_height(c) * tv_map_width(c);
	uint32_t taps = (uint32_t)c->stage[0].kernel * c->stage[0].kernel;

	world_fill(w, bytes, layout.size);
	switch (c->opcode) {
	case TV_OP_ATTENTION:
		world_heads(w, bytes, c->out_channels / c->head_dim, pixels);
		return;
	case TV_OP_POOL:
	case TV_OP_NORM:
		world_channels(w, bytes, c->channels, pixels / 16, c->opcode == TV_OP_NORM);
		return;
	case TV_OP_CONV:
	case TV_OP_CONV_POOL:
		world_channels(w, bytes, c->out_channels, tv_dense_of(c).reduction, false);
		break;
	default:
		world_channels(w, bytes, c->channels, taps, false);
	}
	if (c->opcode == TV_OP_SEPARABLE)
		world_channels(w, bytes + layout.records[1], c->out_channels,
			       tv_dense_of(c).reduction, false);
	else if (c->opcode == TV_OP_CONV_POOL)
		world_channels(w, bytes + layout.records[1], c->out_channels, pixels / 16, false);
}

/* --- shapes --------------------------------------------------------------------------------- */

static inline struct tv_stage world_stage(struct world *w, bool window, bool dense)
{
	struct tv_stage stage = { .kernel = 1, .stride = 1 };

	if (window) {
		stage.kernel = (uint8_t)(1 + 2 * world_below(w, 4));
		stage.stride = (uint8_t)(1 + world_chance(w, 3));
	}
	stage.activation = (uint8_t)world_below(w, 3);
	if (stage.activation == TV_STAGE_HARDSWISH)
		stage.fraction =
			(uint8_t)(world_chance(w, 3) ? world_below(w, 13) : 10 + world_below(w, 3));
	stage.zero_point = world_chance(w, 3) ? 0 : (int8_t)world_below(w, 256);
	if (dense)
		stage.split = (uint8_t)world_below(w, tv_target_split_max(w->target) + 1);
	return stage;
}

static inline void world_map(struct world *w, struct tv_command *c, uint32_t *ret_channels)
{
	c->images = (uint16_t)(1 + world_below(w, 3));
	c->height = (uint16_t)(1 + world_below(w, 13));
	c->width = (uint16_t)(1 + world_below(w, 13));
	*ret_channels = 1 + world_below(w, 48);
	switch (world_below(w, 8)) {
	case 0: /* longer than a tile of the functional model */
		c->height = (uint16_t)(1 + world_below(w, 2));
		c->width = (uint16_t)(60 + world_below(w, 80));
		*ret_channels = 1 + world_below(w, 12);
		break;
	case 1: /* wide enough for shorter tiles */
		c->height = (uint16_t)(1 + world_below(w, 3));
		c->width = (uint16_t)(1 + world_below(w, 40));
		*ret_channels = 200 + world_below(w, 700);
		break;
	case 2: /* a linear layer */
		c->images = (uint16_t)(1 + world_below(w, 9));
		c->height = c->width = 1;
		*ret_channels = 1 + world_below(w, 500);
		break;
	}
}

static inline void world_shape(struct world *w, struct tv_command *c)
{
	bool dense = c->opcode == TV_OP_CONV || c->opcode == TV_OP_SEPARABLE ||
		     c->opcode == TV_OP_CONV_POOL;
	bool window = dense || c->opcode == TV_OP_DEPTHWISE;
	bool separable = c->opcode == TV_OP_SEPARABLE;
	uint32_t channels, groups = 1;

	world_map(w, c, &channels);
	c->stage[0] = world_stage(w, window, dense && !separable);
	if (separable || c->opcode == TV_OP_CONV_POOL)
		c->stage[1] = world_stage(w, false, separable);
	if (dense) {
		if (world_chance(w, 3))
			groups = 1 + world_below(w, channels < 6 ? channels : 6);
		c->groups = (uint16_t)groups;
		c->channels = (uint16_t)(channels / groups * groups);
		c->out_channels = (uint16_t)(groups * (1 + world_below(w, 70 / groups)));
	} else if (c->opcode == TV_OP_ATTENTION) {
		c->head_dim = (uint16_t)(8 * (1 + world_below(w, world_chance(w, 8) ? 32 : 4)));
		c->out_channels = (uint16_t)(c->head_dim * (1 + world_below(w, 3)));
		c->channels = (uint16_t)(3 * c->out_channels);
	} else {
		c->channels = c->out_channels = (uint16_t)channels;
	}
	if (c->opcode == TV_OP_ATTENTION || c->opcode == TV_OP_POOL)
		c->stage[0].activation = c->stage[0].fraction = 0;
	if (c->opcode == TV_OP_ATTENTION)
		c->stage[0].zero_point = 0;
	if (c->opcode == TV_OP_CONV_POOL)
		c->stage[1].activation = c->stage[1].fraction = 0;
	if (c->opcode == TV_OP_NORM)
		c->norm_epsilon = world_chance(w, 3) ? 0 :
						       world_random(w) >> (7 + world_below(w, 57));
	for (unsigned int i = 0; window && c->stage[0].kernel > 1 && i < 4; i++)
		if (i < c->channels)
			c->pad[i] = i && c->channels > 4 ? c->pad[0] : (int8_t)world_below(w, 256);
	if (window && world_chance(w, 2))
		c->tile_rows = (uint16_t)world_below(w, tv_map_height(c) + 1);
	c->flags = world_chance(w, 4) ? TV_COMMAND_YIELD : 0;
}

/* --- operands ------------------------------------------------------------------------------- */

/* A place for a tensor in some segment with that right; false where the one that was drawn is too
 * small. */
static inline bool world_place(struct world *w, struct tv_operand *ret, uint64_t pixels,
			       uint32_t channels, uint8_t format, uint32_t right)
{
	uint32_t unit = tv_format_bytes(format);
	uint64_t extent;

	ret->segment = (uint8_t)(TV_SEGMENT_INPUT + world_below(w, 7));
	ret->format = format;
	ret->pitch = (uint16_t)(unit * (channels + (world_chance(w, 2) ? 0 : world_below(w, 20))));
	extent = tv_operand_extent(ret, pixels, channels);
	if (!(w->rights[ret->segment] & right) || extent > w->size[ret->segment])
		return false;
	ret->offset = world_below(w, w->size[ret->segment] - (uint32_t)extent + 1) / unit * unit;
	/* Right before the segment's end is where an access too far shows. */
	if (world_chance(w, 4))
		ret->offset = (w->size[ret->segment] - (uint32_t)extent) / unit * unit;
	return true;
}

static inline bool world_operands(struct world *w, struct tv_command *c)
{
	uint64_t in_pixels = (uint64_t)c->images * c->height * c->width;
	bool pool = c->opcode == TV_OP_POOL || c->opcode == TV_OP_CONV_POOL;
	bool window = c->opcode <= TV_OP_SEPARABLE;
	uint64_t out_pixels = (uint64_t)c->images * (pool ? 1 : tv_map_height(c) * tv_map_width(c));
	uint8_t in_format = c->opcode == TV_OP_NORM ? TV_FORMAT_INT16 : TV_FORMAT_INT8;
	uint8_t out_format = TV_FORMAT_INT8;

	if ((window || c->opcode == TV_OP_CONV_POOL) && world_chance(w, 4))
		in_format = TV_FORMAT_UINT8;
	if (c->opcode == TV_OP_CONV && world_chance(w, 4)) {
		out_format = TV_FORMAT_INT16;
		c->stage[0].zero_point = 0;
	}
	if (!world_place(w, &c->input, in_pixels, c->channels, in_format, TV_SEGMENT_READ) ||
	    !world_place(w, &c->output, out_pixels, c->out_channels, out_format, TV_SEGMENT_WRITE))
		return false;
	if (world_chance(w, 5)) {
		/* Side by side with the input. */
		c->output.segment = c->input.segment;
		c->output.offset = c->input.offset + c->channels * tv_format_bytes(in_format);
		c->output.pitch = (uint16_t)(c->channels * tv_format_bytes(in_format) +
					     c->out_channels * tv_format_bytes(out_format));
		c->input.pitch = c->output.pitch;
	}
	if (!window || world_chance(w, 2))
		return true;
	if (out_format == TV_FORMAT_INT8 && world_chance(w, 2))
		c->shortcut = c->output;
	else if (!world_place(w, &c->shortcut, out_pixels, c->out_channels, TV_FORMAT_INT8,
			      TV_SEGMENT_READ))
		return false;
	c->shortcut_multiplier = world_chance(w, 8) ? 32767 : (int16_t)world_below(w, 32768);
	c->shortcut_zero_point = (int8_t)world_below(w, 256);
	return true;
}

static inline bool world_inside(const struct world *w, const struct tv_command *c)
{
	struct tv_access accesses[TV_ACCESSES_MAX];
	unsigned int count = tv_command_accesses(c, accesses);

	for (unsigned int i = 0; i < count; i++)
		if (!(w->rights[accesses[i].segment] & accesses[i].right) ||
		    accesses[i].offset + accesses[i].size > w->size[accesses[i].segment])
			return false;
	return true;
}

static inline uint64_t world_work(const struct tv_command *c)
{
	uint64_t tokens = (uint64_t)c->height * c->width;

	return c->opcode == TV_OP_ATTENTION ?
		       tokens * tokens * c->images * c->out_channels * c->head_dim :
		       tv_command_macs(c);
}

static inline void world_copy(struct world *w, uint8_t from, uint32_t from_offset, uint8_t to,
			      uint32_t to_offset, uint32_t size)
{
	w->commands[w->count++] = (struct tv_command){
		.opcode = TV_OP_COPY,
		.copy_bytes = size,
		.input = { from_offset, 0, from, 0 },
		.output = { to_offset, 0, to, 0 },
		.shortcut.segment = TV_SEGMENT_NONE,
		.weights.segment = TV_SEGMENT_NONE,
	};
}

/* Tries once; it may draw something that does not fit. */
static inline bool world_try(struct world *w, uint8_t opcode)
{
	struct tv_command c = {
		.opcode = opcode,
		.shortcut.segment = TV_SEGMENT_NONE,
		.weights = { w->weights, 0, TV_SEGMENT_WEIGHTS, 0 },
	};
	uint64_t size;

	world_shape(w, &c);
	if (world_work(&c) > w->work_max || !world_operands(w, &c))
		return false;
	size = tv_weights_layout(&c).size;
	if (world_chance(w, 4) && size <= w->size[TV_SEGMENT_ONCHIP]) {
		c.weights.segment = TV_SEGMENT_ONCHIP;
		c.weights.offset = world_below(w, w->size[TV_SEGMENT_ONCHIP] - (uint32_t)size + 1) &
				   ~(TV_WEIGHTS_ALIGNMENT - 1u);
	}
	if (size > w->weights_max || tv_command_check(&c, w->target) || !world_inside(w, &c))
		return false;
	world_parameters(w, &c, w->memory[TV_SEGMENT_WEIGHTS] + w->weights);
	if (c.weights.segment == TV_SEGMENT_ONCHIP)
		world_copy(w, TV_SEGMENT_WEIGHTS, w->weights, TV_SEGMENT_ONCHIP, c.weights.offset,
			   (uint32_t)size);
	w->weights += (uint32_t)size;
	w->commands[w->count++] = c;
	return true;
}

/* Adds a command, and a copy of its weights to on-chip memory where they are to lie there. */
static inline void world_add(struct world *w, uint8_t opcode)
{
	uint8_t from, to;
	uint32_t size;

	if (opcode != TV_OP_COPY) {
		while (!world_try(w, opcode))
			;
		return;
	}
	do {
		from = (uint8_t)(TV_SEGMENT_INPUT + world_below(w, 7));
		to = (uint8_t)(TV_SEGMENT_INPUT + world_below(w, 7));
	} while (from == to || !(w->rights[from] & TV_SEGMENT_READ) ||
		 !(w->rights[to] & TV_SEGMENT_WRITE));
	size = 1 + world_below(w, w->size[from] < w->size[to] ? w->size[from] : w->size[to]);
	world_copy(w, from, world_below(w, w->size[from] - size + 1), to,
		   world_below(w, w->size[to] - size + 1), size);
}

/* --- the job -------------------------------------------------------------------------------- */

static inline struct tv_program_header world_header(const struct world *w)
{
	struct tv_program_header header = {
		.magic = TV_PROGRAM_MAGIC,
		.contract = TV_CONTRACT_VERSION,
		.target = w->target->id,
		.commands = w->count,
		.images = 1,
		.onchip = w->size[TV_SEGMENT_ONCHIP],
	};

	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		header.segment[i] = w->size[i];
		if (w->rights[i] & TV_SEGMENT_WRITE)
			header.writable |= (uint16_t)(1u << i);
	}
	header.segment[0] = TV_PROGRAM_HEADER_SIZE + w->count * TV_COMMAND_SIZE;
	return header;
}

/* Writes the program; the job is complete. A second call writes it again. */
static inline struct tv_job world_job(struct world *w)
{
	const struct tv_program_header header = world_header(w);
	struct tv_job job = { .budget = 0 };

	w->size[0] = header.segment[0];
	free(w->memory[0]);
	w->memory[0] = malloc(w->size[0]);
	if (!w->memory[0])
		abort();
	tv_encode_program_header(&header, w->memory[0]);
	for (unsigned int i = 0; i < w->count; i++)
		tv_encode_command(&w->commands[i],
				  w->memory[0] + TV_PROGRAM_HEADER_SIZE + i * TV_COMMAND_SIZE);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		job.segments[i] = (struct tv_segment_view){ w->memory[i], w->size[i],
							    w->memory[i] ? w->rights[i] : 0 };
	return job;
}

#endif
