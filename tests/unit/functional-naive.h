/* SPDX-License-Identifier: MIT */
/*
 * The commands as docs/hardware.md and docs/numerics.md describe them, one element after the other
 * and one stage after the other, everything read before anything is written. Shares nothing with
 * the functional model but the contract's headers. Of commands that are right.
 */
#ifndef TV_TESTS_FUNCTIONAL_NAIVE_H
#define TV_TESTS_FUNCTIONAL_NAIVE_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <triovit/layout.h>

/* What a stage puts out: int8 or int16 values as they are. */
struct naive_stage {
	int32_t *values; /* [pixel][channel]; NULL: the command has no such stage */
	uint32_t pixels, channels;
};

struct naive {
	uint8_t *memory[TV_SEGMENT_ONCHIP + 1];
	const struct tv_command *command;
	struct tv_weights_layout layout;
	struct naive_stage stage[2]; /* of the last command executed */
};

static inline uint32_t naive_pixels(const struct tv_command *c)
{
	return c->images * tv_map_height(c) * tv_map_width(c);
}

static inline int32_t naive_get(const struct naive *n, const struct tv_operand *operand,
				uint64_t pixel, uint32_t channel)
{
	const uint8_t *p = n->memory[operand->segment] + operand->offset + pixel * operand->pitch;

	switch (operand->format) {
	case TV_FORMAT_INT16:
		return (int16_t)tv_get16(p + 2 * channel);
	case TV_FORMAT_UINT8:
		return tv_input_byte(p[channel]);
	default:
		return (int8_t)p[channel];
	}
}

static inline const uint8_t *naive_weights(const struct naive *n, uint64_t section)
{
	return n->memory[n->command->weights.segment] + n->command->weights.offset + section;
}

static inline struct tv_channel naive_channel(const struct naive *n, unsigned int stage,
					      uint32_t channel)
{
	struct tv_channel ret;

	tv_decode_channel(naive_weights(n, n->layout.records[stage]) + channel * TV_CHANNEL_SIZE,
			  &ret);
	return ret;
}

/* An input value of stage 0 at any place of the map or outside. */
static inline int32_t naive_input(const struct naive *n, uint32_t image, int64_t y, int64_t x,
				  uint32_t channel)
{
	const struct tv_command *c = n->command;

	if (y < 0 || x < 0 || y >= c->height || x >= c->width)
		return c->pad[channel < 4 ? channel : 0];
	return naive_get(n, &c->input, (image * (uint64_t)c->height + y) * c->width + x, channel);
}

static inline int16_t naive_activation(const struct tv_stage *stage, int16_t t)
{
	if (stage->activation == TV_STAGE_RELU)
		return tv_relu(t);
	if (stage->activation == TV_STAGE_HARDSWISH)
		return tv_hardswish(t, stage->fraction);
	return t;
}

/* From the requantized value on. */
static inline int32_t naive_finish(const struct naive *n, unsigned int stage, bool last,
				   uint32_t pixel, uint32_t channel, int16_t t)
{
	const struct tv_command *c = n->command;
	struct tv_channel record = naive_channel(n, stage, channel);

	t = naive_activation(&c->stage[stage], t);
	if (last && c->shortcut.segment != TV_SEGMENT_NONE)
		t = tv_add_shortcut(t, (int8_t)naive_get(n, &c->shortcut, pixel, channel),
				    c->shortcut_zero_point, c->shortcut_multiplier);
	t = tv_subtract_constant(t, record.constant);
	if (last && c->output.format == TV_FORMAT_INT16)
		return t;
	return tv_narrow(t, record.narrow_multiplier, record.narrow_shift,
			 c->stage[stage].zero_point);
}

static inline int32_t naive_epilogue(const struct naive *n, unsigned int stage, bool last,
				     uint32_t pixel, uint32_t channel, int64_t sum)
{
	struct tv_channel record = naive_channel(n, stage, channel);

	return naive_finish(n, stage, last, pixel, channel,
			    tv_requantize((int32_t)(sum + record.bias), record.shift,
					  record.multiplier));
}

static inline void naive_new_stage(struct naive *n, unsigned int stage, uint32_t pixels,
				   uint32_t channels)
{
	n->stage[stage].pixels = pixels;
	n->stage[stage].channels = channels;
	n->stage[stage].values = calloc((size_t)pixels * channels, sizeof(int32_t));
	if (!n->stage[stage].values)
		abort();
}

/* Stage 0 of CONV, DEPTHWISE, SEPARABLE and CONV_POOL. */
static inline void naive_windows(struct naive *n)
{
	const struct tv_command *c = n->command;
	bool depthwise = c->opcode == TV_OP_DEPTHWISE || c->opcode == TV_OP_SEPARABLE;
	bool last = c->opcode == TV_OP_CONV || c->opcode == TV_OP_DEPTHWISE;
	uint32_t kernel = c->stage[0].kernel, stride = c->stage[0].stride;
	uint32_t channels = depthwise ? c->channels : c->out_channels;
	const uint8_t *weights = naive_weights(n, n->layout.weights[0]);
	uint32_t per_image = tv_map_height(c) * tv_map_width(c);
	struct tv_dense dense = { 0 };

	if (!depthwise)
		dense = tv_dense_of(c);
	naive_new_stage(n, 0, naive_pixels(c), channels);
	for (uint32_t p = 0; p < n->stage[0].pixels; p++)
		for (uint32_t o = 0; o < channels; o++) {
			uint32_t first = depthwise ? o : o / dense.out * dense.in;
			uint32_t in = depthwise ? 1 : dense.in;
			int64_t sum = 0;

			for (uint32_t tap = 0; tap < kernel * kernel; tap++)
				for (uint32_t i = 0; i < in; i++) {
					int64_t y = p % per_image / tv_map_width(c) * stride +
						    tap / kernel - (int64_t)(kernel / 2);
					int64_t x = p % tv_map_width(c) * stride + tap % kernel -
						    (int64_t)(kernel / 2);
					uint64_t at =
						depthwise ?
							tv_depthwise_weight(kernel, o, tap) :
							tv_dense_weight(&dense, o, tap * in + i);

					sum += naive_input(n, p / per_image, y, x, first + i) *
					       (int8_t)weights[at];
				}
			n->stage[0].values[(size_t)p * channels + o] =
				naive_epilogue(n, 0, last, p, o, sum);
		}
}

static inline void naive_pointwise(struct naive *n)
{
	const struct tv_command *c = n->command;
	const uint8_t *weights = naive_weights(n, n->layout.weights[1]);
	struct tv_dense dense = tv_dense_of(c);

	naive_new_stage(n, 1, naive_pixels(c), c->out_channels);
	for (uint32_t p = 0; p < n->stage[1].pixels; p++)
		for (uint32_t o = 0; o < c->out_channels; o++) {
			const int32_t *in = n->stage[0].values + (size_t)p * c->channels +
					    o / dense.out * dense.in;
			int64_t sum = 0;

			for (uint32_t i = 0; i < dense.in; i++)
				sum += in[i] * (int8_t)weights[tv_dense_weight(&dense, o, i)];
			n->stage[1].values[(size_t)p * c->out_channels + o] =
				naive_epilogue(n, 1, true, p, o, sum);
		}
}

/* POOL, and stage 1 of CONV_POOL. */
static inline void naive_pool(struct naive *n, unsigned int stage)
{
	const struct tv_command *c = n->command;
	uint32_t pixels = naive_pixels(c) / c->images;

	naive_new_stage(n, stage, c->images, c->out_channels);
	for (uint32_t image = 0; image < c->images; image++)
		for (uint32_t o = 0; o < c->out_channels; o++) {
			int64_t sum = 0;

			for (uint64_t p = (uint64_t)image * pixels; p < (image + 1ull) * pixels;
			     p++)
				sum += stage ? n->stage[0].values[p * c->out_channels + o] :
					       naive_get(n, &c->input, p, o);
			n->stage[stage].values[image * c->out_channels + o] =
				naive_epilogue(n, stage, true, image, o, sum);
		}
}

static inline int32_t naive_positive(int32_t x)
{
	return x < 0 ? 0 : x;
}

/* One value of one token: sums over all tokens anew for each. */
static inline int32_t naive_attend(const struct naive *n, uint32_t image, uint32_t token,
				   uint32_t head, uint32_t channel)
{
	const struct tv_command *c = n->command;
	uint32_t dim = c->head_dim, tokens = (uint32_t)c->height * c->width;
	uint32_t q = head * 3 * dim, k = q + dim, v = k + dim;
	uint64_t first = (uint64_t)image * tokens;
	int64_t dividend = 0, divisor = 0;
	struct tv_head record;

	tv_decode_head(naive_weights(n, n->layout.records[0]) + head * TV_HEAD_SIZE, &record);
	for (uint32_t i = 0; i < dim; i++) {
		int32_t query = naive_positive(naive_get(n, &c->input, first + token, q + i));
		int32_t product = 0, sum = 0;

		for (uint32_t t = 0; t < tokens; t++) {
			int32_t key = naive_positive(naive_get(n, &c->input, first + t, k + i));

			product += key * naive_get(n, &c->input, first + t, v + channel);
			sum += key;
		}
		dividend += query * tv_requantize_head(product, record.product_shift,
						       record.product_multiplier,
						       record.product_narrow);
		divisor += query * tv_requantize_head(sum, record.sum_shift, record.sum_multiplier,
						      record.sum_narrow);
	}
	return tv_shift_divide((int32_t)dividend, record.quotient_multiplier, record.quotient_shift,
			       tv_log2_divisor((uint32_t)divisor, record.log2_base));
}

static inline void naive_attention(struct naive *n)
{
	const struct tv_command *c = n->command;
	uint32_t tokens = (uint32_t)c->height * c->width;

	naive_new_stage(n, 0, naive_pixels(c), c->out_channels);
	for (uint32_t p = 0; p < n->stage[0].pixels; p++)
		for (uint32_t o = 0; o < c->out_channels; o++)
			n->stage[0].values[(size_t)p * c->out_channels + o] = naive_attend(
				n, p / tokens, p % tokens, o / c->head_dim, o % c->head_dim);
}

static inline void naive_norm(struct naive *n)
{
	const struct tv_command *c = n->command;

	naive_new_stage(n, 0, naive_pixels(c), c->channels);
	for (uint32_t p = 0; p < n->stage[0].pixels; p++) {
		int64_t sum = 0, squares = 0;
		struct tv_norm norm;

		for (uint32_t i = 0; i < c->channels; i++) {
			int64_t x = naive_get(n, &c->input, p, i);

			sum += x;
			squares += x * x;
		}
		norm = tv_norm_prepare(c->channels, (int32_t)sum, squares, c->norm_epsilon);
		for (uint32_t o = 0; o < c->channels; o++) {
			struct tv_channel record = naive_channel(n, 0, o);

			n->stage[0].values[(size_t)p * c->channels + o] = naive_finish(
				n, 0, true, p, o,
				tv_norm_apply(&norm, (int16_t)naive_get(n, &c->input, p, o),
					      record.multiplier, record.shift, record.bias));
		}
	}
}

static inline void naive_write(const struct naive *n, const struct naive_stage *stage)
{
	const struct tv_operand *output = &n->command->output;

	for (uint32_t p = 0; p < stage->pixels; p++)
		for (uint32_t o = 0; o < stage->channels; o++) {
			uint8_t *at = n->memory[output->segment] + output->offset +
				      (size_t)p * output->pitch;
			int32_t value = stage->values[(size_t)p * stage->channels + o];

			if (output->format == TV_FORMAT_INT16)
				tv_put16(at + 2 * o, (uint16_t)value);
			else
				at[o] = (uint8_t)value;
		}
}

static inline void naive_done(struct naive *n)
{
	for (unsigned int i = 0; i < 2; i++) {
		free(n->stage[i].values);
		n->stage[i] = (struct naive_stage){ 0 };
	}
}

static inline void naive_execute(struct naive *n, const struct tv_command *command)
{
	naive_done(n);
	n->command = command;
	n->layout = tv_weights_layout(command);
	switch (command->opcode) {
	case TV_OP_COPY:
		memmove(n->memory[command->output.segment] + command->output.offset,
			n->memory[command->input.segment] + command->input.offset,
			command->copy_bytes);
		return;
	case TV_OP_POOL:
		naive_pool(n, 0);
		break;
	case TV_OP_ATTENTION:
		naive_attention(n);
		break;
	case TV_OP_NORM:
		naive_norm(n);
		break;
	default:
		naive_windows(n);
		if (command->opcode == TV_OP_SEPARABLE)
			naive_pointwise(n);
		else if (command->opcode == TV_OP_CONV_POOL)
			naive_pool(n, 1);
	}
	naive_write(n, &n->stage[n->stage[1].values != NULL]);
}

#endif
