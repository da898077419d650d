/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "rtl-model/functional-private.h"

struct tv_functional {
	struct tv_target target;
	const struct tv_kernels *kernels;
	struct tv_parallel *team; /* NULL: one thread */
};

/* A job in progress. */
struct run {
	const struct tv_functional *machine;
	const struct tv_job *job;
	const struct tv_program *program;
	/* The on-chip memory is one more. */
	struct tv_segment_view segments[TV_SEGMENT_ONCHIP + 1];
	struct tv_record *record;
};

int tv_functional_new(const struct tv_target *target, struct tv_functional **ret,
		      struct tv_error *error)
{
	struct tv_functional *machine = calloc(1, sizeof(*machine));

	if (!machine)
		return tv_error_oom(error);
	machine->target = *target;
	machine->kernels = tv_kernels_get(0);
	*ret = machine;
	return 0;
}

void tv_functional_free(struct tv_functional *machine)
{
	if (!machine)
		return;
	tv_parallel_free(machine->team);
	free(machine);
}

void tv_functional_set_kernels(struct tv_functional *machine, const struct tv_kernels *kernels)
{
	machine->kernels = kernels;
}

int tv_functional_set_threads(struct tv_functional *machine, unsigned int threads,
			      struct tv_error *error)
{
	struct tv_parallel *team = NULL;
	int r = threads == 1 ? 0 : tv_parallel_new(threads, &team, error);

	if (r < 0)
		return r;
	tv_parallel_free(machine->team);
	machine->team = team;
	return 0;
}

static uint8_t *address(const struct run *run, const struct tv_operand *operand)
{
	if (operand->segment == TV_SEGMENT_NONE)
		return NULL;
	return run->segments[operand->segment].data + operand->offset;
}

/* What the observer sees of a stage, but for the data. */
static struct tv_observation observation_of(const struct run *run, const struct tv_command *command,
					    unsigned int stage)
{
	uint32_t pixels = tv_map_pixels(command);
	bool separable = command->opcode == TV_OP_SEPARABLE;
	bool pooled = command->opcode == TV_OP_POOL ||
		      (command->opcode == TV_OP_CONV_POOL && stage == 1);

	return (struct tv_observation){
		.command = run->record->executed,
		.stage = stage,
		.decoded = command,
		.format = command->output.format,
		.pixels = pooled ? command->images : pixels,
		.channels = separable && stage == 0 ? command->channels : command->out_channels,
	};
}

static int execute(const struct tv_execution *execution, struct tv_error *error)
{
	switch (execution->command->opcode) {
	case TV_OP_POOL:
		return tv_execute_pool(execution, error);
	case TV_OP_ATTENTION:
		return tv_execute_attention(execution, error);
	case TV_OP_NORM:
		return tv_execute_norm(execution, error);
	case TV_OP_COPY:
		/* Operands of one segment are apart, and segments that are written are too. */
		memcpy(execution->output, execution->input, execution->command->copy_bytes);
		return 0;
	default:
		return tv_execute_convolution(execution, error);
	}
}

/* The command's output without the gaps between its pixels. */
static void copy_output(const struct tv_execution *execution, const struct tv_observation *seen,
			void *ret)
{
	const uint8_t *pixel = execution->output;
	int16_t *words = ret;
	uint8_t *bytes = ret;

	for (uint32_t p = 0; p < seen->pixels; p++, pixel += execution->command->output.pitch) {
		if (seen->format != TV_FORMAT_INT16) {
			memcpy(bytes, pixel, seen->channels);
			bytes += seen->channels;
			continue;
		}
		for (uint32_t c = 0; c < seen->channels; c++)
			*words++ = (int16_t)tv_get16(pixel + 2 * (size_t)c);
	}
}

/* Executes and shows what each stage put out. */
static int execute_observed(const struct run *run, struct tv_execution *execution,
			    struct tv_error *error)
{
	_cleanup_free_ void *first = NULL, *second = NULL;
	unsigned int stages = 1 + !!execution->parameters->channels[1];
	struct tv_observation seen[2];
	size_t size;
	int r;

	for (unsigned int i = 0; i < stages; i++) {
		seen[i] = observation_of(run, execution->command, i);
		if (__builtin_mul_overflow((size_t)seen[i].pixels, seen[i].channels, &size))
			return tv_error_oom(error);
		*(i ? &second : &first) = reallocarray(NULL, size, sizeof(int16_t));
		seen[i].data = i ? second : first;
		if (!seen[i].data)
			return tv_error_oom(error);
	}
	if (stages > 1)
		execution->seen = first;
	r = execute(execution, error);
	if (r < 0)
		return r;
	copy_output(execution, &seen[stages - 1], stages > 1 ? second : first);
	for (unsigned int i = 0; i < stages; i++)
		run->job->observer(&seen[i], run->job->userdata);
	return 0;
}

static int run_command(struct run *run, struct tv_error *error)
{
	_cleanup_(tv_parameters_done) struct tv_parameters parameters = { 0 };
	const struct tv_command *command = &run->program->commands[run->record->executed];
	const struct tv_ready *ready = tv_prepared_find(run->job->prepared, run->machine->kernels,
							run->record->executed, command);
	struct tv_execution execution = {
		.command = command,
		.parameters = ready ? &ready->parameters : &parameters,
		.packed = ready && ready->packed.command ? &ready->packed : NULL,
		.input = address(run, &command->input),
		.weights = address(run, &command->weights),
		.shortcut = address(run, &command->shortcut),
		.output = address(run, &command->output),
		.cancel = run->job->cancel,
		.kernels = run->machine->kernels,
		.team = run->machine->team,
	};
	struct tv_bad_record bad = { 0 };
	int r = 0;

	if (tv_canceled(&execution))
		return -ECANCELED;
	if (!ready)
		r = tv_parameters_read(command, execution.weights, &parameters, &bad, error);
	if (r < 0)
		return r;
	if (bad.why) {
		run->record->fault = TV_FAULT_BAD_COMMAND;
		run->record->command = run->record->executed;
		run->record->segment = command->weights.segment;
		run->record->offset = (uint32_t)(command->weights.offset + bad.offset);
		run->record->why = bad.why;
		return 0;
	}
	if (run->job->observer && command->opcode != TV_OP_COPY)
		r = execute_observed(run, &execution, error);
	else
		r = execute(&execution, error);
	if (r < 0)
		return r;
	run->record->steps += run->program->steps[run->record->executed];
	run->record->executed++;
	return 0;
}

#define CLEARED_AT_ONCE 65536u

static int clear(size_t index, unsigned int worker, void *userdata, struct tv_error *error)
{
	const struct tv_segment_view *onchip = userdata;
	uint32_t at = (uint32_t)index * CLEARED_AT_ONCE, left = onchip->size - at;

	memset(onchip->data + at, 0, left < CLEARED_AT_ONCE ? left : CLEARED_AT_ONCE);
	return 0;
}

int tv_functional_execute(struct tv_functional *machine, const struct tv_job *job,
			  const struct tv_program *program, struct tv_record *ret,
			  struct tv_error *error)
{
	struct tv_record record = {
		.command = TV_RECORD_NO_COMMAND,
		.segment = TV_SEGMENT_NONE,
		.why = "nothing",
	};
	struct run run = { .machine = machine, .job = job, .program = program, .record = &record };
	_cleanup_free_ uint8_t *onchip = NULL;
	int r;

	/* Of a program that was refused the header may say anything. */
	if (!program->count) {
		*ret = program->end;
		return 0;
	}
	/* Of exactly the size that the program may use, so that a tool that watches memory sees an
	 * access beyond; zero, and gone with the job. */
	onchip = malloc(program->header.onchip + !program->header.onchip);
	if (!onchip)
		return tv_error_oom(error);
	memcpy(run.segments, job->segments, sizeof(job->segments));
	run.segments[TV_SEGMENT_ONCHIP] = (struct tv_segment_view){
		.data = onchip,
		.size = program->header.onchip,
	};
	tv_parallel_run(machine->team, tv_divide_up(program->header.onchip, CLEARED_AT_ONCE), clear,
			&run.segments[TV_SEGMENT_ONCHIP], error);
	while (!record.fault && record.executed < program->count) {
		r = run_command(&run, error);
		if (r < 0)
			return r;
	}
	*ret = record.fault ? record : program->end;
	return 0;
}

int tv_functional_run(struct tv_functional *machine, const struct tv_job *job,
		      struct tv_record *ret, struct tv_error *error)
{
	_cleanup_(tv_program_freep) struct tv_program *program = NULL;
	int r;

	r = tv_program_decode(&machine->target, job->segments, job->budget, &program, error);
	if (r < 0)
		return r;
	return tv_functional_execute(machine, job, program, ret, error);
}
