/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "rtl-model/functional-private.h"

/* The least that a command counts for, however little it does. */
#define STEPS_OF_A_COMMAND 1000

struct tv_functional {
	struct tv_target target;
};

/* A job in progress. */
struct run {
	const struct tv_target *target;
	const struct tv_job *job;
	struct tv_program_header header;
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
	*ret = machine;
	return 0;
}

void tv_functional_free(struct tv_functional *machine)
{
	free(machine);
}

static bool end_job(struct run *run, enum tv_fault fault, uint8_t segment, uint64_t offset,
		    const char *why)
{
	run->record->fault = fault;
	run->record->command = run->record->executed;
	run->record->segment = segment;
	run->record->offset = (uint32_t)offset;
	run->record->why = why;
	return false;
}

static bool refuse_command(struct run *run, const char *why)
{
	return end_job(run, TV_FAULT_BAD_COMMAND, TV_SEGMENT_NONE, 0, why);
}

static bool is_writable(const struct run *run, uint8_t segment)
{
	return segment < TV_SEGMENT_COUNT && run->segments[segment].rights & TV_SEGMENT_WRITE;
}

static bool fetch(struct run *run, struct tv_command *ret)
{
	uint8_t bytes[TV_COMMAND_SIZE];
	const char *why;

	memcpy(bytes,
	       run->segments[TV_SEGMENT_PROGRAM].data + TV_PROGRAM_HEADER_SIZE +
		       (size_t)run->record->executed * TV_COMMAND_SIZE,
	       sizeof(bytes));
	if (tv_decode_command(bytes, ret))
		return refuse_command(run, "reserved bytes of the command are not zero");
	why = tv_command_check(ret, run->target);
	if (why)
		return refuse_command(run, why);
	if (is_writable(run, ret->weights.segment))
		return refuse_command(run, "weights in a writable segment");
	return true;
}

/* Checks every access of the command and counts its steps. */
static bool check_accesses(struct run *run, const struct tv_command *command, uint64_t *ret_steps)
{
	struct tv_access accesses[TV_ACCESSES_MAX];
	unsigned int count = tv_command_accesses(command, accesses);
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < count; i++) {
		const struct tv_access *access = &accesses[i];
		const struct tv_segment_view *segment = &run->segments[access->segment];

		if (!segment->data)
			return end_job(run, TV_FAULT_SEGMENT, access->segment, access->offset,
				       "the segment is absent");
		if (!(segment->rights & access->right))
			return end_job(run, TV_FAULT_SEGMENT, access->segment, access->offset,
				       access->right == TV_SEGMENT_WRITE ?
					       "the segment is not writable" :
					       "the segment is not readable");
		if (access->offset + access->size > segment->size)
			return end_job(run, TV_FAULT_SEGMENT, access->segment,
				       access->offset > segment->size ? access->offset :
									segment->size,
				       "the operand reaches beyond its segment");
		bytes += access->size;
	}
	/* With operands inside of segments no product in there overflows. */
	*ret_steps = tv_command_macs(command) + bytes + STEPS_OF_A_COMMAND;
	if (run->job->budget && *ret_steps > run->job->budget - run->record->steps)
		return end_job(run, TV_FAULT_WATCHDOG, TV_SEGMENT_NONE, 0,
			       "the job's budget of steps is spent");
	return true;
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
		execution->seen[i] = i ? second : first;
		if (!execution->seen[i])
			return tv_error_oom(error);
		seen[i].data = execution->seen[i];
	}
	r = execute(execution, error);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < stages; i++)
		run->job->observer(&seen[i], run->job->userdata);
	return 0;
}

static int run_command(struct run *run, struct tv_error *error)
{
	_cleanup_(tv_parameters_done) struct tv_parameters parameters = { 0 };
	struct tv_execution execution = { .parameters = &parameters };
	struct tv_bad_record bad;
	struct tv_command command;
	uint64_t steps;
	int r;

	if (!fetch(run, &command) || !check_accesses(run, &command, &steps))
		return 0;
	execution.command = &command;
	execution.input = address(run, &command.input);
	execution.weights = address(run, &command.weights);
	execution.shortcut = address(run, &command.shortcut);
	execution.output = address(run, &command.output);
	r = tv_parameters_read(&command, execution.weights, &parameters, &bad, error);
	if (r < 0)
		return r;
	if (bad.why) {
		end_job(run, TV_FAULT_BAD_COMMAND, command.weights.segment,
			command.weights.offset + bad.offset, bad.why);
		return 0;
	}
	if (run->job->observer && command.opcode != TV_OP_COPY)
		r = execute_observed(run, &execution, error);
	else
		r = execute(&execution, error);
	if (r < 0)
		return r;
	run->record->steps += steps;
	run->record->executed++;
	return 0;
}

int tv_functional_run(struct tv_functional *machine, const struct tv_job *job,
		      struct tv_record *ret, struct tv_error *error)
{
	struct tv_record record = {
		.command = TV_RECORD_NO_COMMAND,
		.segment = TV_SEGMENT_NONE,
		.why = "nothing",
	};
	struct run run = { .target = &machine->target, .job = job, .record = &record };
	_cleanup_free_ uint8_t *onchip = NULL;
	int r;

	tv_functional_check_job(run.target, job, &run.header, &record);
	if (record.fault) {
		*ret = record;
		return 0;
	}
	/* Of exactly the size that the program may use, so that a tool that watches memory sees an
	 * access beyond; zero, and gone with the job. */
	onchip = calloc(run.header.onchip + !run.header.onchip, 1);
	if (!onchip)
		return tv_error_oom(error);
	memcpy(run.segments, job->segments, sizeof(job->segments));
	run.segments[TV_SEGMENT_ONCHIP] = (struct tv_segment_view){
		.data = onchip,
		.size = run.header.onchip,
		.rights = TV_SEGMENT_READ | TV_SEGMENT_WRITE,
	};
	while (!record.fault && record.executed < run.header.commands) {
		r = run_command(&run, error);
		if (r < 0)
			return r;
	}
	*ret = record;
	return 0;
}
