/* SPDX-License-Identifier: MIT */
/*
 * The inner loops of the functional model: a set for each kind of vector unit, and a scalar one
 * that says what the others have to compute. All sets give the same bits.
 *
 * They work on blocks of 16 output channels, as the layout of weights does. Accumulators of a block
 * are [pixel][16] int32, in an order of the set's own.
 */
#ifndef TV_RTL_MODEL_KERNELS_H
#define TV_RTL_MODEL_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include <triovit/layout.h>

/* Of what a vector is read from; packed weights lie on multiples of it. */
#define TV_KERNEL_ALIGNMENT 64

/* Parameters of a block, so that the epilogue's steps are a few instructions on vectors; what is of
 * 32 bits lies in the order of the accumulators. Channels beyond the last are zero. */
struct tv_block {
	uint32_t first, lanes; /* channel, how many */
	/* Accumulators begin with the bias. Unless a shift is above 14 the half unit that the
	 * requantization rounds with is in there: it cannot overflow. */
	int32_t bias[TV_BLOCK_OUTPUTS];
	int32_t shift[TV_BLOCK_OUTPUTS];
	/* Where one is, a bit is shifted out before the half unit is added. */
	bool far;
	int32_t far_shift[TV_BLOCK_OUTPUTS], far_half[TV_BLOCK_OUTPUTS];
	int16_t multiplier[TV_BLOCK_OUTPUTS];
	int16_t constant[TV_BLOCK_OUTPUTS];
	int16_t narrow_multiplier[TV_BLOCK_OUTPUTS];
	/* The rounding shift by s is tv_multiply15() by 2^(15 - s). By 0 there is none: the value
	 * is doubled (saturated it is beyond any int8) and shifted by 1. */
	int16_t narrow_scale[TV_BLOCK_OUTPUTS];
	bool doubled;
	int16_t double_mask[TV_BLOCK_OUTPUTS]; /* -1: this one */
};

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
};

#define TV_HEAD_DIM_MAX	 256
#define TV_HEAD_TOKENS	 64 /* that are prepared at a time */
#define TV_HEAD_ELEMENTS (TV_HEAD_DIM_MAX * TV_HEAD_DIM_MAX)

/* What an attention head is computed in; what is where is the kernels' matter. */
struct tv_attention_memory {
	int32_t products[TV_HEAD_ELEMENTS]; /* k^T v */
	int16_t factors[TV_HEAD_ELEMENTS]; /* the same, as int8 values */
	int16_t keys[TV_HEAD_TOKENS * TV_HEAD_DIM_MAX];
	int16_t values[TV_HEAD_TOKENS * TV_HEAD_DIM_MAX];
	int32_t dividends[8 * TV_HEAD_DIM_MAX];
};

/* One head of one image. */
struct tv_attention {
	const struct tv_head *record;
	const uint8_t *input; /* q, then k, then v of the first token */
	size_t input_pitch;
	uint8_t *output;
	size_t output_pitch;
	uint32_t tokens, dim; /* dim is a multiple of 8 */
	struct tv_attention_memory *memory;
};

struct tv_kernels {
	const char *name;
	/* Which channel of the block each accumulator is. */
	const uint8_t *order;

	/*
	 * Dense stages. A patch is what a pixel reads: group by group, each padded with zeros to
	 * whole units of so many inputs. Elements are int8, uint8 or int16.
	 */
	uint32_t unit;
	uint32_t element; /* bytes */
	/* 0x80: int8 values are xored with that, which adds 128 and makes them unsigned; the bias
	 * makes up for it. Else 0. */
	uint8_t flip;
	uint32_t rows; /* most patches that dense() takes */
	/* To elements: each byte is xored with flip and then an int8 (with an unsigned element: is
	 * one). */
	void (*widen)(const uint8_t *bytes, size_t count, uint8_t flip, void *ret);
	/* A block's weights from the program's layout, steps of [16][8] that lie stride bytes
	 * apart, to units * unit * 16 elements. Those behind the reduction may have any value: the
	 * patches are zero there. sums: of each output's weights, without those, in the
	 * accumulators' order; written if flip is not 0. */
	void (*pack)(const uint8_t *weights, size_t stride, uint32_t reduction, void *ret,
		     int32_t *sums);
	/* patches: rows of them, pitch elements apart. */
	void (*dense)(const void *patches, size_t pitch, uint32_t rows, const void *weights,
		      uint32_t units, const struct tv_block *block, int32_t *ret);

	/*
	 * Depthwise stages. Weights are int16, [taps / together, rounded up][16][together], the 16
	 * in the accumulators' order.
	 */
	uint32_t together; /* 1 or 2 */
	/* pixels: of each one its taps, which are pointers; 16 int8 are read from offset on. */
	void (*depthwise)(const uint8_t *const *pixels, size_t offset, uint32_t count,
			  uint32_t taps, const int16_t *weights, const struct tv_block *block,
			  int32_t *ret);

	/* From accumulators to the bytes of a block's channels. pixel: the first, counted in the
	 * stage's output, which tells its shortcut; output: channel 0 of that pixel. */
	void (*finish)(const struct tv_epilogue *epilogue, const struct tv_block *block,
		       const int32_t *accumulators, uint32_t rows, uint32_t pixel, uint8_t *output,
		       size_t pitch);

	void (*attention)(const struct tv_attention *head);
};

/* Of those that this processor has, by speed: 0 is the fastest, the scalar set the last, and what
 * comes after it NULL. */
const struct tv_kernels *tv_kernels_get(unsigned int index);

extern const struct tv_kernels tv_kernels_scalar;
extern const struct tv_kernels tv_kernels_avx2;
extern const struct tv_kernels tv_kernels_avx512;
extern const struct tv_kernels tv_kernels_avx512vl;
extern const struct tv_kernels tv_kernels_avxvnni;
extern const struct tv_kernels tv_kernels_neon;
extern const struct tv_kernels tv_kernels_dotprod;

#endif
