/* SPDX-License-Identifier: MIT */
/* The two sequencers: loop nests that hand out one task after the other, when all that it needs is
 * there. */
#include "rtl-model/cycle/machine.h"

static bool has_first(const struct work *work)
{
	return work->has_depthwise || work->command->opcode == TV_OP_ATTENTION;
}

/* Whether engines may begin with a command at all. */
static bool may_begin(const struct machine *m, uint64_t command, enum tv_cycle_stall *ret_why)
{
	*ret_why = TV_CYCLE_JOB;
	if (m->now < m->control.q.open || work_of(m, command)->job != m->control.q.job)
		return false;
	*ret_why = TV_CYCLE_FETCH;
	if (command >= m->fetch.q.commands)
		return false;
	*ret_why = TV_CYCLE_ROWS;
	return scoreboard_in_order(m, command);
}

/* Whether no task is under way that could free what it reads. */
static bool nothing_to_free(const struct engines *engines)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		if (engines->slot[i].busy && engines->slot[i].task.kind >= TASK_DENSE)
			return false;
	return true;
}

/* What a task needs for going on is also what the loaders may not hold back for want of room. Of a
 * command that is looked at ahead of its turn they may. */
static bool weights_there(struct machine *m, uint64_t command, uint64_t bytes)
{
	const struct work *work = work_of(m, command);
	uint64_t needed;

	if (!work->sweeps[WRITES_WEIGHTS])
		return scoreboard_available(m, command, WRITES_WEIGHTS) ==
		       work->extent[WRITES_WEIGHTS];
	needed = stream_base(m, command, WRITES_WEIGHTS) + bytes;
	if (m->memory.q.delivered[CLIENT_WEIGHTS] >= needed)
		return true;
	if (command == m->engines.second.command && nothing_to_free(&m->engines))
		m->engines.d.weights_needed = later(m->engines.d.weights_needed, needed);
	return false;
}

static bool input_there(struct machine *m, const struct task *task, enum tv_cycle_stall *ret_why)
{
	const struct work *work = work_of(m, task->command);
	uint64_t needed;

	*ret_why = TV_CYCLE_ROWS;
	if (!work->sweeps[WRITES_INPUT])
		return scoreboard_available(m, task->command, WRITES_INPUT) >= task->input_to;
	*ret_why = TV_CYCLE_OPERANDS;
	needed = stream_base(m, task->command, WRITES_INPUT) + task->input_to;
	if (work->passes_outermost)
		needed += task->pass * work->extent[WRITES_INPUT];
	if (m->memory.q.delivered[CLIENT_INPUT] >= needed)
		return true;
	if (task->command == m->engines.second.command)
		m->engines.d.input_needed = later(m->engines.d.input_needed, needed);
	return false;
}

static void free_input(struct machine *m, const struct task *task)
{
	const struct work *work = work_of(m, task->command);
	uint64_t freed;

	if (!work->sweeps[WRITES_INPUT] || task->command != m->engines.second.command)
		return;
	freed = stream_base(m, task->command, WRITES_INPUT) + task->input_from;
	if (work->passes_outermost)
		freed += task->pass * work->extent[WRITES_INPUT];
	m->engines.d.input_freed = later(m->engines.d.input_freed, freed);
}

/* Bytes of an input operand before a pixel, and up to the end of the one before it. */
static uint64_t bytes_before(const struct tv_command *command, uint64_t pixel)
{
	return pixel * command->input.pitch;
}

static uint64_t bytes_through(const struct tv_command *command, uint64_t pixels)
{
	return tv_operand_extent(&command->input, pixels, command->channels);
}

/* The input rows under output rows first to last of an image. */
static void set_rows(const struct tv_command *command, uint64_t image, uint64_t first,
		     uint64_t last, struct task *ret)
{
	uint64_t stride = command->stage[0].stride, border = command->stage[0].kernel / 2;
	uint64_t from = later(first * stride, border) - border;
	uint64_t to = earlier(command->height, last * stride + border + 1);

	image *= command->height;
	ret->input_from = bytes_before(command, (image + from) * command->width);
	ret->input_to = bytes_through(command, (image + to) * command->width);
}

/* --- first stages --------------------------------------------------------------------------- */

static uint32_t rows_of_tile(const struct work *work, uint32_t tile)
{
	uint32_t row = tile % work->tiles_an_image * work->tile_rows;

	return work->height - row < work->tile_rows ? work->height - row : work->tile_rows;
}

/* Columns and channels of a depthwise block that there are. */
static uint32_t block_outputs(const struct work *work, uint32_t block)
{
	uint32_t channel = block % work->channel_blocks * TV_LANE_INPUTS;
	uint32_t column = block / work->channel_blocks % work->column_blocks * COLUMNS;

	return (uint32_t)(earlier(work->command->channels - channel, TV_LANE_INPUTS) *
			  earlier(work->width - column, COLUMNS));
}

static void depthwise_task(const struct machine *m, const struct work *work, struct task *ret)
{
	const struct first_sequencer *s = &m->engines.first;
	const struct tv_command *command = work->command;
	uint32_t a_row = work->column_blocks * work->channel_blocks;
	uint32_t left = rows_of_tile(work, s->tile) * a_row - s->at, next, column;
	uint32_t image = s->tile / work->tiles_an_image;
	uint32_t row = s->tile % work->tiles_an_image * work->tile_rows;

	ret->kind = TASK_DEPTHWISE;
	ret->at = s->at;
	ret->count = left < m->plan->target->groups ? left : m->plan->target->groups;
	ret->cycles = (uint64_t)command->stage[0].kernel * command->stage[0].kernel;
	for (uint32_t i = 0; i < ret->count; i++)
		ret->outputs += block_outputs(work, s->at + i);
	next = s->at + ret->count;
	set_rows(command, image, row + s->at / a_row, row + (next - 1) / a_row, ret);
	ret->first = command->opcode == TV_OP_SEPARABLE;
	if (ret->first)
		return;
	ret->number = s->number;
	column = next % a_row / work->channel_blocks * COLUMNS;
	ret->final = (image * work->height + next / a_row) * work->width +
		     (column < work->width ? column : work->width);
	ret->pixel_end = (image * work->height + (next - 1) / a_row + 1) * work->width;
	ret->bytes = work->stored ? ret->outputs : 0;
}

static void product_task(const struct machine *m, const struct work *work, struct task *ret)
{
	const struct tv_command *command = work->command;
	uint64_t dim = command->head_dim, tokens = (uint64_t)work->height * work->width;
	uint32_t head = m->engines.first.tile, image = head / work->tiles_an_image;

	ret->kind = TASK_PRODUCT;
	ret->first = true;
	ret->cycles = up(dim * dim, TV_LANE_INPUTS * (uint64_t)m->plan->target->groups) *
		      up(tokens, TV_LANE_INPUTS);
	ret->outputs = (uint32_t)(dim * dim + dim);
	ret->input_to = bytes_through(command, (image + 1) * tokens);
	/* Of a map in DRAM a head's channels are read by themselves. */
	if (work->sweeps[WRITES_INPUT]) {
		ret->input_from = work->extent[WRITES_INPUT] * head / work->tiles;
		ret->input_to = work->extent[WRITES_INPUT] * (head + 1) / work->tiles;
	}
}

/* The command that the first sequencer is to look at: a chain's depthwise stage may begin while the
 * command before it is still with the engines. */
static bool first_command(struct machine *m)
{
	struct first_sequencer *s = &m->engines.first;
	uint64_t now = m->engines.second.command, end = m->plan->count;

	if (s->command < now || (s->command == now && now < end && !has_first(work_of(m, now)))) {
		s->command = now < end && !has_first(work_of(m, now)) ? now + 1 : now;
		s->tile = s->at = 0;
		s->number = 0;
	}
	if (s->command >= end || s->command > now + 1)
		return false;
	return s->command == now ? has_first(work_of(m, now)) :
				   work_of(m, s->command)->command->opcode == TV_OP_SEPARABLE;
}

bool first_next(struct machine *m, struct task *ret, enum tv_cycle_stall *ret_why)
{
	const struct first_sequencer *s = &m->engines.first;
	const struct work *work;
	struct task task = { 0 };

	*ret_why = TV_CYCLE_BUFFER;
	if (!first_command(m) || !may_begin(m, s->command, ret_why))
		return false;
	work = work_of(m, s->command);
	task.command = s->command;
	task.tile = s->tiles;
	task.in_tile = s->tile;
	if (work->has_depthwise)
		depthwise_task(m, work, &task);
	else
		product_task(m, work, &task);
	*ret_why = TV_CYCLE_BUFFER;
	if (task.first && s->tiles >= m->engines.tiles_freed + TILES)
		return false;
	*ret_why = TV_CYCLE_WEIGHTS;
	if (!weights_there(m, s->command, work->weights[0]) || !input_there(m, &task, ret_why))
		return false;
	*ret = task;
	return true;
}

void first_take(struct machine *m, const struct task *task)
{
	struct first_sequencer *s = &m->engines.first;
	const struct work *work = work_of(m, s->command);
	bool ended = true;

	free_input(m, task);
	s->number++;
	s->at += task->count;
	s->tasks += task->first;
	if (work->has_depthwise)
		ended = s->at ==
			rows_of_tile(work, s->tile) * work->column_blocks * work->channel_blocks;
	if (!ended)
		return;
	if (task->first)
		s->end[s->tiles++ % TILES] = s->tasks;
	s->at = 0;
	if (++s->tile < work->tiles)
		return;
	s->command++;
	s->tile = 0;
	s->number = 0;
}

/* --- second stages, and what has only one --------------------------------------------------- */

static uint32_t pixels_of_tile(const struct work *work, uint32_t tile)
{
	if (work->command->opcode == TV_OP_SEPARABLE)
		return rows_of_tile(work, tile) * work->width;
	return work->command->images * work->height * work->width;
}

/* The output pixel with which a chain's tile begins. */
static uint32_t first_pixel(const struct work *work, uint32_t tile)
{
	uint32_t image = tile / work->tiles_an_image;

	if (work->command->opcode != TV_OP_SEPARABLE)
		return 0;
	return (image * work->height + tile % work->tiles_an_image * work->tile_rows) * work->width;
}

static bool last_half(const struct work *work, const struct second_sequencer *s)
{
	return s->half || !work_outputs(work, s->pass, 1);
}

static void dense_task(const struct work *work, const struct second_sequencer *s, struct task *ret)
{
	const struct tv_command *command = work->command;
	uint32_t left = pixels_of_tile(work, s->tile) - s->at, map = work->height * work->width;
	uint32_t outputs = work_outputs(work, s->pass, s->half), rows, images;
	uint32_t unit = tv_format_bytes(command->output.format);

	ret->kind = TASK_DENSE;
	ret->pass = s->pass;
	ret->half = s->half;
	ret->at = s->at;
	ret->count = left < work->pixels_a_task ? left : work->pixels_a_task;
	ret->pixel = first_pixel(work, s->tile) + s->at;
	ret->pixel_end = ret->pixel + ret->count;
	ret->cycles = work->dense.steps;
	ret->outputs = ret->count * outputs;
	ret->bytes = work->stored ? ret->outputs * unit : 0;
	if (s->pass + 1 == work->dense.passes && last_half(work, s))
		ret->final = ret->pixel_end;
	if (command->opcode == TV_OP_SEPARABLE)
		return;
	if (work->pool) {
		images = ret->pixel_end / map - ret->pixel / map;
		ret->pooled = images * outputs;
		ret->bytes = work->stored ? ret->pooled : 0;
		ret->final = ret->final / map;
	}
	if (command->stage[0].kernel == 1 && command->stage[0].stride == 1) {
		ret->input_from = bytes_before(command, ret->pixel);
		ret->input_to = bytes_through(command, ret->pixel_end);
		return;
	}
	rows = work->height;
	set_rows(command, ret->pixel / map, ret->pixel / work->width % rows,
		 (ret->pixel_end - 1) / map > ret->pixel / map ?
			 rows - 1 :
			 (ret->pixel_end - 1) / work->width % rows,
		 ret);
	if ((ret->pixel_end - 1) / map > ret->pixel / map) {
		struct task last = { 0 };

		set_rows(command, (ret->pixel_end - 1) / map, 0,
			 (ret->pixel_end - 1) / work->width % rows, &last);
		ret->input_to = last.input_to;
	}
}

static void quotient_task(const struct machine *m, const struct work *work, struct task *ret)
{
	const struct second_sequencer *s = &m->engines.second;
	uint32_t tokens = work->height * work->width, left = tokens - s->at;
	uint64_t steps = up(work->command->head_dim, TV_LANE_INPUTS);

	ret->kind = TASK_QUOTIENT;
	ret->at = s->at;
	ret->count = left < work->pixels_a_task ? left : work->pixels_a_task;
	ret->pixel = s->tile / work->tiles_an_image * tokens + s->at;
	ret->pixel_end = ret->pixel + ret->count;
	ret->cycles = steps * (1 + steps);
	ret->outputs = ret->count * work->command->head_dim;
	ret->bytes = work->stored ? ret->outputs : 0;
	if (s->tile % work->tiles_an_image == work->tiles_an_image - 1)
		ret->final = ret->pixel_end;
}

static void pool_task(const struct machine *m, const struct work *work, struct task *ret)
{
	const struct tv_command *command = work->command;
	uint32_t row = m->engines.second.at;

	ret->kind = TASK_POOL;
	ret->at = row;
	ret->count = 1;
	ret->cycles =
		up((uint64_t)command->width * command->channels, m->plan->target->epilogue_lanes);
	ret->input_from = bytes_before(command, (uint64_t)row * command->width);
	ret->input_to = bytes_through(command, (row + 1ull) * command->width);
	if ((row + 1) % command->height)
		return;
	ret->outputs = command->channels;
	ret->pixel = row / command->height;
	ret->pixel_end = ret->final = ret->pixel + 1;
	ret->bytes = work->stored ? ret->outputs : 0;
}

static void norm_task(const struct machine *m, const struct work *work, struct task *ret)
{
	const struct tv_command *command = work->command;
	uint32_t pixel = m->engines.second.at;

	ret->kind = TASK_NORM;
	ret->at = ret->pixel = pixel;
	ret->count = 1;
	ret->pixel_end = ret->final = pixel + 1;
	ret->cycles = up(command->channels, m->plan->target->epilogue_lanes) + CYCLES_ROOT;
	ret->outputs = command->channels;
	ret->bytes = work->stored ? ret->outputs : 0;
	ret->input_from = bytes_before(command, pixel);
	ret->input_to = bytes_through(command, pixel + 1ull);
}

/* Whether the tile that the second stage is at has been filled. */
static bool tile_filled(const struct machine *m)
{
	const struct first_sequencer *first = &m->engines.first;
	uint64_t tile = m->engines.second.tiles;

	return tile < first->tiles && m->epilogue.q.first_done >= first->end[tile % TILES];
}

bool second_next(struct machine *m, struct task *ret, enum tv_cycle_stall *ret_why)
{
	const struct second_sequencer *s = &m->engines.second;
	const struct work *work;
	struct task task = { .command = s->command };

	if (!may_begin(m, s->command, ret_why))
		return false;
	work = work_of(m, s->command);
	task.number = s->number;
	task.order = s->tasks;
	task.tile = s->tiles;
	task.in_tile = s->tile;
	*ret_why = TV_CYCLE_BUFFER;
	switch (work->command->opcode) {
	case TV_OP_COPY:
	case TV_OP_DEPTHWISE:
		return false;
	case TV_OP_ATTENTION:
		quotient_task(m, work, &task);
		break;
	case TV_OP_POOL:
		pool_task(m, work, &task);
		break;
	case TV_OP_NORM:
		norm_task(m, work, &task);
		break;
	default:
		dense_task(work, s, &task);
	}
	if (has_first(work) && !tile_filled(m))
		return false;
	*ret_why = TV_CYCLE_WEIGHTS;
	if (!weights_there(m, s->command,
			   work->has_dense ? work_weights(work, s->pass) : work->weights[1]))
		return false;
	if (!has_first(work) && !input_there(m, &task, ret_why))
		return false;
	*ret = task;
	return true;
}

/* To the next half, pass and pixels of a dense stage; whether that was the tile's last task. */
static bool next_dense(const struct work *work, struct second_sequencer *s, uint32_t count)
{
	uint32_t pixels = pixels_of_tile(work, s->tile);

	s->half = !last_half(work, s);
	if (s->half)
		return false;
	if (work->passes_outermost) {
		s->at += count;
		if (s->at == pixels) {
			s->at = 0;
			s->pass++;
		}
		return s->pass == work->dense.passes;
	}
	if (++s->pass == work->dense.passes) {
		s->pass = 0;
		s->at += count;
	}
	return s->at == pixels;
}

static bool next_task(const struct work *work, struct second_sequencer *s, uint32_t count)
{
	const struct tv_command *command = work->command;

	if (work->has_dense)
		return next_dense(work, s, count);
	s->at += count;
	switch (command->opcode) {
	case TV_OP_ATTENTION:
		return s->at == work->height * work->width;
	case TV_OP_POOL:
		return s->at == (uint32_t)command->images * command->height;
	default:
		return s->at == command->images * work->height * work->width;
	}
}

void second_take(struct machine *m, const struct task *task)
{
	struct second_sequencer *s = &m->engines.second;
	const struct work *work = work_of(m, s->command);

	if (!has_first(work))
		free_input(m, task);
	s->number++;
	s->tasks++;
	if (!next_task(work, s, task->count))
		return;
	s->at = s->pass = s->half = 0;
	if (has_first(work))
		s->end[s->tiles++ % TILES] = s->tasks;
	if (++s->tile < work->tiles)
		return;
	s->command++;
	s->tile = 0;
	s->number = 0;
	m->engines.d.input_freed =
		later(m->engines.d.input_freed, stream_base(m, s->command, WRITES_INPUT));
}
