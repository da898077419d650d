/* SPDX-License-Identifier: MIT */
/* A job's memory and parameters under the clock. What is wrong with a job, it learns here; time
 * does not: a job with a bad record ends when it would have without. */
#include <errno.h>
#include <string.h>

#include "rtl-model/cycle/data-private.h"

enum {
	BANKS = SLOTS * (1 + RESULTS) + 1 + PIPELINE
};

int data_new(const struct tv_job *job, const struct tv_program *program, struct data **ret,
	     struct tv_error *error)
{
	_cleanup_(data_freep) struct data *data = calloc(1, sizeof(*data));

	if (!data)
		return tv_error_oom(error);
	data->job = job;
	data->program = program;
	/* As the functional model has it, and of exactly the size that the program may use. Of a
	 * program that was refused the header may say anything. */
	if (program->count) {
		data->onchip_size = program->header.onchip;
		data->onchip = malloc(data->onchip_size + !data->onchip_size);
		if (!data->onchip)
			return tv_error_oom(error);
	}
	memcpy(data->segments, job->segments, sizeof(job->segments));
	data->segments[TV_SEGMENT_ONCHIP].data = data->onchip;
	*ret = TV_TAKE_PTR(data);
	return 0;
}

static void command_data_free(struct command_data *command)
{
	if (!command)
		return;
	tv_parameters_done(&command->parameters);
	free(command->dense);
	free(command->taps);
	free(command->outside);
	free(command->pool);
	free(command);
}

void data_free(struct data *data)
{
	if (!data)
		return;
	for (unsigned int i = 0; i < WINDOW; i++)
		command_data_free(data->flights[i]);
	free(data->onchip);
	free(data->banks);
	free(data->unused);
	for (unsigned int i = 0; i < TILES; i++) {
		free(data->tiles[i]);
		free(data->products[i]);
		free(data->factors[i]);
	}
	free(data->patches);
	free(data);
}

/* --- room ----------------------------------------------------------------------------------- */

/* The largest of each, over all commands: elements. */
struct room {
	uint64_t bank, tile, product, patches;
};

static uint64_t bank_of(const struct work *work, const struct tv_target *target)
{
	switch (work->command->opcode) {
	case TV_OP_COPY:
		return 0;
	case TV_OP_POOL:
	case TV_OP_NORM:
		return work->command->channels;
	case TV_OP_ATTENTION:
		return (uint64_t)target->groups * (work->command->head_dim + 1);
	default:
		return (uint64_t)target->groups * COLUMNS * TV_LANE_INPUTS;
	}
}

static struct room room_of(const struct plan *plan)
{
	struct room room = { .bank = 1 };

	for (uint64_t i = 0; i < plan->count; i++) {
		const struct work *work = &plan->works[i];
		const struct tv_command *command = work->command;
		uint64_t dim = command->head_dim;

		room.bank = later(room.bank, bank_of(work, plan->target));
		if (command->opcode == TV_OP_SEPARABLE)
			room.tile = later(room.tile, (uint64_t)work->tile_rows * work->width *
							     command->channels);
		if (dim)
			room.product = later(room.product, dim * dim + dim);
		if (work->has_dense)
			room.patches =
				later(room.patches, (uint64_t)work->pixels_a_task *
							    work->dense.steps * TV_LANE_INPUTS);
	}
	return room;
}

int data_prepare(struct machine *m, struct tv_error *error)
{
	struct room room = room_of(m->plan);
	struct data *data = m->data;

	data->bank = room.bank;
	data->banks = TV_NEW_ARRAY(int32_t, data->bank * BANKS);
	data->unused = TV_NEW_ARRAY(int32_t *, BANKS);
	data->patches = TV_NEW_ARRAY(int16_t, (size_t)room.patches + 1);
	if (!data->banks || !data->unused || !data->patches)
		return tv_error_oom(error);
	for (unsigned int i = 0; i < TILES; i++) {
		data->tiles[i] = TV_NEW_ARRAY(uint8_t, (size_t)room.tile + 1);
		data->products[i] = TV_NEW_ARRAY(int32_t, (size_t)room.product + 1);
		data->factors[i] = TV_NEW_ARRAY(int16_t, (size_t)room.product + 1);
		if (!data->tiles[i] || !data->products[i] || !data->factors[i])
			return tv_error_oom(error);
	}
	return 0;
}

void data_reset(struct machine *m)
{
	struct data *data = m->data;

	if (!data)
		return;
	for (unsigned int i = 0; i < WINDOW; i++)
		command_data_free(TV_TAKE_PTR(data->flights[i]));
	for (unsigned int i = 0; i < BANKS; i++)
		data->unused[i] = data->banks + i * data->bank;
	data->unused_count = BANKS;
	data->faulty = NEVER;
	data->record = (struct tv_record){ .fault = TV_FAULT_NONE };
	data->no_memory = false;
	data->patches_command = NEVER;
	data->patches_pixel = data->patches_count = data->patches_group = 0;
	if (data->onchip)
		memset(data->onchip, 0, data->onchip_size);
}

/* --- commands ------------------------------------------------------------------------------- */

static uint8_t *address(const struct data *data, const struct tv_operand *operand)
{
	if (operand->segment == TV_SEGMENT_NONE)
		return NULL;
	return data->segments[operand->segment].data + operand->offset;
}

static bool unpack_dense(const struct work *work, const uint8_t *weights, struct command_data *ret)
{
	const struct tv_dense *dense = &work->dense;
	uint32_t blocks = tv_divide_up(dense->out, TV_BLOCK_OUTPUTS);
	size_t size;
	int16_t *to;

	if (__builtin_mul_overflow((size_t)dense->blocks, (size_t)dense->steps * TV_BLOCK_STEP,
				   &size))
		return false;
	ret->dense = to = TV_NEW_ARRAY(int16_t, size);
	if (!to)
		return false;
	for (uint32_t b = 0; b < dense->blocks; b++) {
		uint32_t o = b / blocks * dense->out + b % blocks * TV_BLOCK_OUTPUTS;

		for (uint32_t i = 0; i < dense->steps; i++, to += TV_BLOCK_STEP) {
			const uint8_t *from =
				weights + tv_dense_weight(dense, o, i * TV_LANE_INPUTS);

			for (uint32_t k = 0; k < TV_BLOCK_STEP; k++)
				to[k % TV_LANE_INPUTS * TV_BLOCK_OUTPUTS + k / TV_LANE_INPUTS] =
					(int8_t)from[k];
		}
	}
	return true;
}

static bool unpack_taps(const struct work *work, const uint8_t *weights, struct command_data *ret)
{
	uint32_t channels = work->command->channels, kernel = work->command->stage[0].kernel;

	ret->taps = TV_NEW_ARRAY(int16_t, (size_t)kernel * kernel * channels);
	if (!ret->taps)
		return false;
	for (uint32_t tap = 0; tap < kernel * kernel; tap++)
		for (uint32_t c = 0; c < channels; c++)
			ret->taps[(size_t)tap * channels + c] =
				(int8_t)weights[tv_depthwise_weight(kernel, c, tap)];
	return true;
}

/* In the input's own format. */
static bool make_outside(const struct tv_command *command, struct command_data *ret)
{
	ret->outside = TV_NEW_ARRAY(uint8_t, command->channels);
	for (uint32_t c = 0; ret->outside && c < command->channels; c++) {
		uint8_t pad = (uint8_t)command->pad[command->channels > 4 ? 0 : c];

		ret->outside[c] = command->input.format == TV_FORMAT_UINT8 ?
					  (uint8_t)tv_input_byte(pad) :
					  pad;
	}
	return ret->outside;
}

static bool unpack(const struct work *work, const uint8_t *weights, struct command_data *ret)
{
	const struct tv_command *command = work->command;
	const struct tv_weights_layout layout = tv_weights_layout(command);
	bool chain = command->opcode == TV_OP_SEPARABLE;

	if (work->has_dense && !unpack_dense(work, weights + layout.weights[chain], ret))
		return false;
	if (work->has_depthwise && !unpack_taps(work, weights + layout.weights[0], ret))
		return false;
	if ((work->has_dense || work->has_depthwise) && !make_outside(command, ret))
		return false;
	if (!work->pool && command->opcode != TV_OP_POOL)
		return true;
	ret->pool = calloc((size_t)command->images * command->out_channels, sizeof(*ret->pool));
	return ret->pool;
}

/* An older one than was known, if any was: the oldest fault wins. */
static void fault(struct data *data, uint64_t command, const struct tv_bad_record *bad)
{
	const struct tv_operand *weights = &data->program->commands[command].weights;

	data->faulty = command;
	data->record = (struct tv_record){
		.fault = TV_FAULT_BAD_COMMAND,
		.command = (uint32_t)command,
		.segment = weights->segment,
		.offset = (uint32_t)(weights->offset + bad->offset),
		.executed = (uint32_t)command,
		.why = bad->why,
	};
	for (uint64_t i = 0; i < command; i++)
		data->record.steps += data->program->steps[i];
}

void data_begin(struct machine *m, uint64_t command)
{
	const struct work *work = work_of(m, command);
	struct data *data = m->data;
	struct command_data *now;
	struct tv_bad_record bad;
	const uint8_t *weights;

	if (!data || data->flights[command % WINDOW] || command >= data->faulty)
		return;
	now = calloc(1, sizeof(*now));
	data->no_memory |= !now;
	if (!now)
		return;
	data->flights[command % WINDOW] = now;
	weights = address(data, &work->command->weights);
	now->input = address(data, &work->command->input);
	now->shortcut = address(data, &work->command->shortcut);
	now->output = address(data, &work->command->output);
	if (tv_parameters_read(work->command, weights, &now->parameters, &bad, NULL) < 0 ||
	    !unpack(work, weights, now))
		data->no_memory = true;
	else if (bad.why)
		fault(data, command, &bad);
}

void data_end(struct machine *m, uint64_t command)
{
	if (!m->data)
		return;
	command_data_free(TV_TAKE_PTR(m->data->flights[command % WINDOW]));
}

static const struct command_data *computed(const struct data *data, uint64_t command)
{
	return data && !data->no_memory && command < data->faulty ?
		       data->flights[command % WINDOW] :
		       NULL;
}

void data_compute(struct machine *m, struct task *task)
{
	const struct command_data *command = computed(m->data, task->command);
	const struct work *work = work_of(m, task->command);
	struct data *data = m->data;

	if (data && task->outputs)
		task->sums = data->unused[--data->unused_count];
	if (!command)
		return;
	switch (task->kind) {
	case TASK_DEPTHWISE:
		compute_depthwise(work, command, task);
		break;
	case TASK_PRODUCT:
		compute_product(data, work, command, task);
		break;
	case TASK_DENSE:
		compute_dense(data, work, command, task);
		break;
	case TASK_QUOTIENT:
		compute_quotient(data, work, command, task);
		break;
	case TASK_POOL:
		compute_pool(work, command, task);
		break;
	case TASK_NORM:
		compute_norm(work, command, task);
		break;
	}
}

void data_write(struct machine *m, const struct task *task)
{
	const struct command_data *command = computed(m->data, task->command);
	const struct work *work = work_of(m, task->command);
	struct data *data = m->data;

	if (data)
		data->unused[data->unused_count++] = task->sums;
	if (!command)
		return;
	switch (task->kind) {
	case TASK_DEPTHWISE:
		write_depthwise(data, work, command, task);
		break;
	case TASK_PRODUCT:
		write_product(data, work, command, task);
		break;
	case TASK_DENSE:
		write_dense(data, work, command, task);
		break;
	case TASK_QUOTIENT:
		write_quotient(work, command, task);
		break;
	case TASK_POOL:
	case TASK_NORM:
		write_pixel(work, command, task);
		break;
	}
}

void data_copy(struct machine *m, uint64_t command, uint32_t from, uint32_t to)
{
	const struct tv_command *copy = work_of(m, command)->command;
	struct data *data = m->data;

	if (!data || data->no_memory || command >= data->faulty)
		return;
	memcpy(address(data, &copy->output) + from, address(data, &copy->input) + from, to - from);
}

int data_outcome(const struct data *data, struct tv_record *ret, struct tv_error *error)
{
	if (data->no_memory)
		return tv_error_oom(error);
	*ret = data->faulty == NEVER ? data->program->end : data->record;
	return 0;
}
