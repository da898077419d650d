/* SPDX-License-Identifier: MIT */
/* What one task multiplies, and what the lanes make of it. */
#include <string.h>

#include "rtl-model/cycle/data-private.h"

enum {
	WIDTH = TV_LANE_INPUTS, /* channels of a half, and of a depthwise block */
	DIM_MAX = 256
};

static int16_t input_value(const struct tv_command *command, uint8_t byte)
{
	return command->input.format == TV_FORMAT_UINT8 ? tv_input_byte(byte) : (int8_t)byte;
}

/* The input pixel under a tap; above and left of the map coordinates wrap round. */
static const uint8_t *tap_pixel(const struct tv_command *command, const struct command_data *data,
				uint32_t image, uint32_t y, uint32_t x)
{
	if (y >= command->height || x >= command->width)
		return data->outside;
	return data->input +
	       (((size_t)image * command->height + y) * command->width + x) * command->input.pitch;
}

/* --- lanes ---------------------------------------------------------------------------------- */

/* Eight channels of a pixel or fewer. */
struct lanes {
	const struct tv_stage *stage;
	const struct tv_channel *channels; /* of the first one on */
	const uint8_t *shortcut; /* its first channel, or NULL */
	uint32_t count;
	bool int16;
};

static int16_t activate(const struct tv_stage *stage, int16_t x)
{
	switch (stage->activation) {
	case TV_STAGE_RELU:
		return tv_relu(x);
	case TV_STAGE_HARDSWISH:
		return tv_hardswish(x, stage->fraction);
	default:
		return x;
	}
}

static void run_lanes(const struct lanes *lanes, const struct tv_command *command,
		      const int16_t *values, uint8_t *ret)
{
	for (uint32_t c = 0; c < lanes->count; c++) {
		const struct tv_channel *channel = &lanes->channels[c];
		int16_t x = activate(lanes->stage, values[c]);

		if (lanes->shortcut)
			x = tv_add_shortcut(x, (int8_t)lanes->shortcut[c],
					    command->shortcut_zero_point,
					    command->shortcut_multiplier);
		x = tv_subtract_constant(x, channel->constant);
		if (lanes->int16)
			tv_put16(ret + 2 * (size_t)c, (uint16_t)x);
		else
			ret[c] = (uint8_t)tv_narrow(x, channel->narrow_multiplier,
						    channel->narrow_shift,
						    lanes->stage->zero_point);
	}
}

static void run_epilogue(const struct lanes *lanes, const struct tv_command *command,
			 const int32_t *sums, uint8_t *ret)
{
	int16_t values[WIDTH];

	for (uint32_t c = 0; c < lanes->count; c++) {
		const struct tv_channel *channel = &lanes->channels[c];

		values[c] =
			tv_requantize(sums[c] + channel->bias, channel->shift, channel->multiplier);
	}
	run_lanes(lanes, command, values, ret);
}

/* The lanes of a command's last stage for an output pixel, from a channel on. */
static struct lanes last_lanes(const struct work *work, const struct command_data *data,
			       uint32_t pixel, uint32_t channel, uint32_t count)
{
	const struct tv_command *command = work->command;
	unsigned int stage = command->opcode == TV_OP_SEPARABLE;
	struct lanes lanes = {
		.stage = &command->stage[stage],
		.channels = data->parameters.channels[stage] + channel,
		.count = count,
		.int16 = command->output.format == TV_FORMAT_INT16,
	};

	if (data->shortcut)
		lanes.shortcut = data->shortcut + (size_t)pixel * command->shortcut.pitch + channel;
	return lanes;
}

static uint8_t *output_at(const struct tv_command *command, const struct command_data *data,
			  uint32_t pixel, uint32_t channel)
{
	return data->output + (size_t)pixel * command->output.pitch +
	       (size_t)channel * tv_format_bytes(command->output.format);
}

/* --- depthwise ------------------------------------------------------------------------------ */

/* A block of eight channels and columns of a row: where, and how much of it there is. */
struct block {
	uint32_t image, row, column, channel, columns, channels;
};

static struct block block_of(const struct work *work, const struct task *task, uint32_t i)
{
	uint32_t at = task->at + i, row = at / work->channel_blocks / work->column_blocks;
	struct block block = {
		.image = task->in_tile / work->tiles_an_image,
		.row = task->in_tile % work->tiles_an_image * work->tile_rows + row,
		.column = at / work->channel_blocks % work->column_blocks * COLUMNS,
		.channel = at % work->channel_blocks * WIDTH,
	};

	block.columns = (uint32_t)earlier(work->width - block.column, COLUMNS);
	block.channels = (uint32_t)earlier(work->command->channels - block.channel, WIDTH);
	return block;
}

static void add_tap(const struct tv_command *command, const uint8_t *pixel, const int16_t *weights,
		    uint32_t count, int32_t *ret)
{
	for (uint32_t c = 0; c < count; c++)
		ret[c] += input_value(command, pixel[c]) * weights[c];
}

void compute_depthwise(const struct work *work, const struct command_data *data,
		       const struct task *task)
{
	const struct tv_command *command = work->command;
	const struct tv_stage *stage = &command->stage[0];
	uint32_t taps = stage->kernel * stage->kernel, border = stage->kernel / 2;
	int32_t *sums = task->sums;

	memset(sums, 0, task->count * COLUMNS * WIDTH * sizeof(*sums));
	for (uint32_t i = 0; i < task->count; i++) {
		struct block block = block_of(work, task, i);

		for (uint32_t x = 0; x < block.columns; x++, sums += WIDTH)
			for (uint32_t tap = 0; tap < taps; tap++) {
				uint32_t iy = block.row * stage->stride + tap / stage->kernel;
				uint32_t ix =
					(block.column + x) * stage->stride + tap % stage->kernel;
				const uint8_t *pixel = tap_pixel(command, data, block.image,
								 iy - border, ix - border);

				add_tap(command, pixel + block.channel,
					data->taps + (size_t)tap * command->channels +
						block.channel,
					block.channels, sums);
			}
	}
}

void write_depthwise(struct data *data, const struct work *work, const struct command_data *now,
		     const struct task *task)
{
	const struct tv_command *command = work->command;
	uint32_t tile_row = task->in_tile % work->tiles_an_image * work->tile_rows;
	const int32_t *sums = task->sums;

	for (uint32_t i = 0; i < task->count; i++) {
		struct block block = block_of(work, task, i);

		for (uint32_t x = 0; x < block.columns; x++, sums += WIDTH) {
			uint32_t in_tile = (block.row - tile_row) * work->width + block.column + x;
			uint32_t pixel = (block.image * work->height + block.row) * work->width +
					 block.column + x;
			struct lanes lanes = {
				.stage = &command->stage[0],
				.channels = now->parameters.channels[0] + block.channel,
				.count = block.channels,
			};

			if (!task->first)
				lanes = last_lanes(work, now, pixel, block.channel, block.channels);
			run_epilogue(&lanes, command, sums,
				     task->first ? data->tiles[task->tile % TILES] +
							   (size_t)in_tile * command->channels +
							   block.channel :
						   output_at(command, now, pixel, block.channel));
		}
	}
}

/* --- dense ---------------------------------------------------------------------------------- */

static void widen(const struct tv_command *command, const uint8_t *restrict bytes, uint32_t count,
		  int16_t *restrict ret)
{
	if (command->input.format == TV_FORMAT_UINT8)
		for (uint32_t i = 0; i < count; i++)
			ret[i] = tv_input_byte(bytes[i]);
	else
		for (uint32_t i = 0; i < count; i++)
			ret[i] = (int8_t)bytes[i];
}

static void gather_pixel(const struct data *data, const struct work *work,
			 const struct command_data *now, const struct task *task, uint32_t pixel,
			 uint32_t group, int16_t *ret)
{
	const struct tv_command *command = work->command;
	const struct tv_stage *stage = &command->stage[0];
	uint32_t in = work->dense.in, border = stage->kernel / 2, at = task->pixel + pixel;
	uint32_t y = at / work->width % work->height, x = at % work->width;
	uint32_t image = at / work->width / work->height;

	if (command->opcode == TV_OP_SEPARABLE) {
		for (uint32_t i = 0; i < in; i++)
			ret[i] =
				(int8_t)data->tiles[task->tile % TILES]
						   [(size_t)(task->at + pixel) * command->channels +
						    group * in + i];
		ret += in;
	} else {
		for (uint32_t tap = 0; tap < (uint32_t)stage->kernel * stage->kernel;
		     tap++, ret += in) {
			uint32_t iy = y * stage->stride + tap / stage->kernel - border;
			uint32_t ix = x * stage->stride + tap % stage->kernel - border;

			widen(command, tap_pixel(command, now, image, iy, ix) + group * in, in,
			      ret);
		}
	}
	memset(ret, 0, (work->dense.steps * TV_LANE_INPUTS - work->dense.reduction) * sizeof(*ret));
}

/* The two engines and the passes read the same windows, one after the other. */
static void gather(struct data *data, const struct work *work, const struct command_data *now,
		   const struct task *task, uint32_t group)
{
	size_t padded = (size_t)work->dense.steps * TV_LANE_INPUTS;

	if (data->patches_command == task->command && data->patches_pixel == task->pixel &&
	    data->patches_group == group)
		return;
	data->patches_command = task->command;
	data->patches_pixel = task->pixel;
	data->patches_group = group;
	for (uint32_t p = 0; p < task->count; p++)
		gather_pixel(data, work, now, task, p, group, data->patches + p * padded);
}

/* One pixel by the eight outputs of a half; rows of weights are 16 outputs long. */
static void multiply(const int16_t *restrict patch, const int16_t *restrict weights, uint32_t count,
		     int32_t *restrict ret)
{
	int32_t sums[WIDTH] = { 0 };

	for (uint32_t i = 0; i < count; i++, weights += TV_BLOCK_OUTPUTS)
		for (uint32_t o = 0; o < WIDTH; o++)
			sums[o] += patch[i] * weights[o];
	memcpy(ret, sums, sizeof(sums));
}

static uint32_t blocks_of(const struct work *work, uint32_t pass)
{
	return (uint32_t)earlier(work->dense.blocks - (pass << work->dense.split),
				 1u << work->dense.split);
}

void compute_dense(struct data *data, const struct work *work, const struct command_data *now,
		   const struct task *task)
{
	const struct tv_dense *dense = &work->dense;
	uint32_t a_group = tv_divide_up(dense->out, TV_BLOCK_OUTPUTS);
	uint32_t first = task->pass << dense->split, padded = dense->steps * TV_LANE_INPUTS;
	uint32_t blocks = blocks_of(work, task->pass);

	for (uint32_t b = 0; b < blocks; b++) {
		const int16_t *weights = now->dense +
					 (size_t)(first + b) * dense->steps * TV_BLOCK_STEP +
					 task->half * WIDTH;

		gather(data, work, now, task, (first + b) / a_group);
		for (uint32_t p = 0; p < task->count; p++)
			multiply(data->patches + (size_t)p * padded, weights, padded,
				 task->sums + ((size_t)p * blocks + b) * WIDTH);
	}
}

/* Of a map that is added up: to its sums, and those out when the map is complete. */
static void add_to_pool(const struct work *work, const struct command_data *now,
			const struct task *task, const struct lanes *first, uint32_t pixel,
			uint32_t channel, const int32_t *sums)
{
	const struct tv_command *command = work->command;
	uint32_t map = work->height * work->width, image = pixel / map;
	int32_t *pool = now->pool + (size_t)image * command->out_channels + channel;
	struct lanes lanes = *first;
	uint8_t values[WIDTH];

	run_epilogue(&lanes, command, sums, values);
	for (uint32_t c = 0; c < lanes.count; c++)
		pool[c] += (int8_t)values[c];
	if (pixel % map != map - 1 || !task->pooled)
		return;
	lanes.stage = &command->stage[1];
	lanes.channels = now->parameters.channels[1] + channel;
	run_epilogue(&lanes, command, pool, output_at(command, now, image, channel));
}

void write_dense(struct data *data, const struct work *work, const struct command_data *now,
		 const struct task *task)
{
	const struct tv_dense *dense = &work->dense;
	uint32_t a_group = tv_divide_up(dense->out, TV_BLOCK_OUTPUTS);
	uint32_t first = task->pass << dense->split, blocks = blocks_of(work, task->pass);

	for (uint32_t p = 0; p < task->count; p++)
		for (uint32_t b = 0; b < blocks; b++) {
			uint32_t block = first + b, pixel = task->pixel + p;
			uint32_t in_group = block % a_group * TV_BLOCK_OUTPUTS + task->half * WIDTH;
			uint32_t channel = block / a_group * dense->out + in_group;
			const int32_t *sums = task->sums + ((size_t)p * blocks + b) * WIDTH;
			struct lanes lanes;

			if (in_group >= dense->out)
				continue;
			lanes = last_lanes(work, now, pixel, channel,
					   (uint32_t)earlier(dense->out - in_group, WIDTH));
			if (work->pool)
				add_to_pool(work, now, task, &lanes, pixel, channel, sums);
			else
				run_epilogue(&lanes, work->command, sums,
					     output_at(work->command, now, pixel, channel));
		}
}

/* --- attention ------------------------------------------------------------------------------ */

static const uint8_t *token_at(const struct work *work, const struct command_data *now,
			       const struct task *task, uint32_t token)
{
	const struct tv_command *command = work->command;
	uint32_t image = task->in_tile / work->tiles_an_image;
	uint32_t head = task->in_tile % work->tiles_an_image;

	return now->input +
	       ((size_t)image * work->height * work->width + token) * command->input.pitch +
	       3 * head * command->head_dim;
}

void compute_product(struct data *data, const struct work *work, const struct command_data *now,
		     const struct task *task)
{
	uint32_t dim = work->command->head_dim, tokens = work->height * work->width;
	int32_t *product = data->products[task->tile % TILES], *sum = product + dim * dim;

	memset(product, 0, (dim * dim + dim) * sizeof(*product));
	for (uint32_t t = 0; t < tokens; t++) {
		const uint8_t *token = token_at(work, now, task, t);
		const uint8_t *v = token + (size_t)2 * dim;

		for (uint32_t i = 0; i < dim; i++) {
			int16_t k = tv_relu((int8_t)token[dim + i]);

			sum[i] += k;
			for (uint32_t j = 0; j < dim; j++)
				product[i * dim + j] += k * (int8_t)v[j];
		}
	}
}

static const struct tv_head *head_of(const struct work *work, const struct command_data *now,
				     const struct task *task)
{
	return &now->parameters.heads[task->in_tile % work->tiles_an_image];
}

void write_product(struct data *data, const struct work *work, const struct command_data *now,
		   const struct task *task)
{
	const struct tv_head *head = head_of(work, now, task);
	uint32_t dim = work->command->head_dim;
	const int32_t *product = data->products[task->tile % TILES];
	int16_t *factors = data->factors[task->tile % TILES];

	for (uint32_t i = 0; i < dim * dim; i++)
		factors[i] = tv_requantize_head(product[i], head->product_shift,
						head->product_multiplier, head->product_narrow);
	for (uint32_t i = dim * dim; i < dim * dim + dim; i++)
		factors[i] = tv_requantize_head(product[i], head->sum_shift, head->sum_multiplier,
						head->sum_narrow);
}

void compute_quotient(struct data *data, const struct work *work, const struct command_data *now,
		      const struct task *task)
{
	uint32_t dim = work->command->head_dim;
	const int16_t *factors = data->factors[task->tile % TILES];
	const int16_t *sum = factors + (size_t)dim * dim;
	int32_t *dividends = task->sums;

	for (uint32_t t = 0; t < task->count; t++, dividends += dim + 1) {
		const uint8_t *token = token_at(work, now, task, task->at + t);

		memset(dividends, 0, (dim + 1) * sizeof(*dividends));
		for (uint32_t i = 0; i < dim; i++) {
			int16_t q = tv_relu((int8_t)token[i]);

			dividends[dim] += q * sum[i];
			for (uint32_t j = 0; j < dim; j++)
				dividends[j] += q * factors[i * dim + j];
		}
	}
}

void write_quotient(const struct work *work, const struct command_data *now,
		    const struct task *task)
{
	const struct tv_command *command = work->command;
	const struct tv_head *head = head_of(work, now, task);
	uint32_t dim = command->head_dim;
	const int32_t *dividends = task->sums;

	for (uint32_t t = 0; t < task->count; t++, dividends += dim + 1) {
		uint8_t *output = output_at(command, now, task->pixel + t,
					    task->in_tile % work->tiles_an_image * dim);
		unsigned int k = tv_log2_divisor((uint32_t)dividends[dim], head->log2_base);

		for (uint32_t i = 0; i < dim; i++)
			output[i] = (uint8_t)tv_shift_divide(
				dividends[i], head->quotient_multiplier, head->quotient_shift, k);
	}
}

/* --- pooling and layer norm ----------------------------------------------------------------- */

void compute_pool(const struct work *work, const struct command_data *now, const struct task *task)
{
	const struct tv_command *command = work->command;
	uint32_t image = task->at / command->height;
	int32_t *sums = now->pool + (size_t)image * command->channels;
	const uint8_t *pixel =
		now->input + (size_t)task->at * command->width * command->input.pitch;

	for (uint32_t x = 0; x < command->width; x++, pixel += command->input.pitch)
		for (uint32_t c = 0; c < command->channels; c++)
			sums[c] += (int8_t)pixel[c];
	if (task->outputs)
		memcpy(task->sums, sums, command->channels * sizeof(*sums));
}

void compute_norm(const struct work *work, const struct command_data *now, const struct task *task)
{
	const struct tv_command *command = work->command;
	const struct tv_channel *channels = now->parameters.channels[0];
	const uint8_t *input = now->input + (size_t)task->at * command->input.pitch;
	int32_t count = command->channels, sum = 0;
	int64_t squares = 0;
	struct tv_norm norm;

	for (int32_t c = 0; c < count; c++) {
		int16_t x = (int16_t)tv_get16(input + 2 * (size_t)c);

		sum += x;
		squares += (int32_t)x * x;
		task->sums[c] = x;
	}
	norm = tv_norm_prepare(count, sum, squares, command->norm_epsilon);
	for (int32_t c = 0; c < count; c++)
		task->sums[c] = tv_norm_apply(&norm, (int16_t)task->sums[c], channels[c].multiplier,
					      channels[c].shift, channels[c].bias);
}

void write_pixel(const struct work *work, const struct command_data *now, const struct task *task)
{
	const struct tv_command *command = work->command;

	for (uint32_t at = 0; at < command->channels; at += WIDTH) {
		uint32_t count = (uint32_t)earlier(command->channels - at, WIDTH);
		struct lanes lanes = last_lanes(work, now, task->pixel, at, count);
		uint8_t *output = output_at(command, now, task->pixel, at);
		int16_t values[WIDTH];

		if (task->kind == TASK_POOL) {
			run_epilogue(&lanes, command, task->sums + at, output);
			continue;
		}
		for (uint32_t c = 0; c < count; c++)
			values[c] = (int16_t)task->sums[at + c];
		run_lanes(&lanes, command, values, output);
	}
}
