/* SPDX-License-Identifier: MIT */
/*
 * Feeds the functional model with jobs, each segment in memory of exactly its size. However a job
 * ends, its record says a thing that is true, what it may not write is as it was, and the same job
 * ends in the same way, on the cycle model too. One that ends without a fault has computed what the
 * naive reference does.
 */
#include "tests/fuzz/executor.h"

#include "rtl-model/cycle.h"
#include "rtl-model/kernels.h"
#include "tests/unit/functional-naive.h"
#include "tests/unit/functional-random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

/* Steps that the naive reference may take for a job. */
#define NAIVE_WORK_MAX 100000

struct input {
	const struct tv_target *target;
	uint64_t budget;
	bool observed;
	struct tv_segment_view segments[TV_SEGMENT_COUNT]; /* data: as the job finds them */
	unsigned int within[TV_SEGMENT_COUNT]; /* itself where the memory is its own */
};

/* --- from bytes to a job -------------------------------------------------------------------- */

/* Bytes of a segment that there are. */
static uint32_t backed(const struct tv_segment_view *segment)
{
	return segment->size - segment->missing;
}

static uint8_t *end_of(const struct tv_segment_view *segment, uint32_t size)
{
	return segment->data + backed(segment) - size;
}

static void read_input(const uint8_t *data, size_t size, struct input *ret)
{
	const uint8_t *segment = data + EXECUTOR_SEGMENTS;
	const uint8_t *rest = data + EXECUTOR_PROGRAM;
	size_t left = size - EXECUTOR_PROGRAM;

	*ret = (struct input){
		.target = tv_target_at(data[0] % 4),
		.budget = 1000ull << data[1] % 16 / 2,
		.observed = data[1] & EXECUTOR_OBSERVED,
	};
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++, segment += EXECUTOR_SEGMENT_SIZE) {
		struct tv_segment_view *view = &ret->segments[i];
		size_t given = 0;

		view->size = tv_get16(segment);
		view->missing = tv_get16(segment + 2);
		if (view->missing > view->size)
			view->missing = view->size;
		view->rights = segment[4];
		ret->within[i] = i;
		if (!backed(view))
			continue;
		if (segment[5] < i && backed(&ret->segments[segment[5]]) >= view->size) {
			ret->within[i] = segment[5];
			view->data = end_of(&ret->segments[segment[5]], view->size);
			continue;
		}
		view->data = calloc(backed(view), 1);
		REQUIRE(view->data);
		if (i <= TV_SEGMENT_WEIGHTS) {
			given = left < backed(view) ? left : backed(view);
			memcpy(view->data, rest, given);
			rest += given;
			left -= given;
		} else {
			executor_fill(view->data, backed(view), segment[6]);
		}
	}
}

static void input_done(struct input *input)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		if (input->within[i] == i)
			free(input->segments[i].data);
}

/* --- running it ----------------------------------------------------------------------------- */

/* A run of the job on memory of its own. */
struct run {
	struct tv_segment_view segments[TV_SEGMENT_COUNT];
	uint8_t *owned[TV_SEGMENT_COUNT];
	struct tv_record record;
};

static void observe(const struct tv_observation *seen, void *userdata)
{
	size_t size = (size_t)seen->pixels * seen->channels * tv_format_bytes(seen->format);
	const uint8_t *bytes = seen->data;
	volatile uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum = (uint8_t)(sum + bytes[i]);
}

static bool write_only(const struct input *input, unsigned int segment)
{
	return input->segments[segment].rights == TV_SEGMENT_WRITE;
}

static void run_cycles(const struct input *input, const struct tv_job *job, struct tv_record *ret)
{
	const struct tv_cycle_options how = { .target = input->target, .dram_percent = 100 };
	_cleanup_(tv_program_freep) struct tv_program *program = NULL;
	struct tv_cycle_job time;

	REQUIRE(tv_program_decode(input->target, job->segments, job->budget, &program, NULL) == 0);
	REQUIRE(tv_cycle_execute(&how, job, program, ret, &time, NULL) == 0);
}

static void run_prepared(const struct input *input, struct tv_functional *machine,
			 struct tv_job *job, struct tv_record *ret)
{
	_cleanup_(tv_prepared_unrefp) struct tv_prepared *prepared = NULL;
	_cleanup_(tv_program_freep) struct tv_program *program = NULL;

	REQUIRE(tv_program_decode(input->target, job->segments, job->budget, &program, NULL) == 0);
	REQUIRE(tv_prepared_new(tv_kernels_get(0), program, &job->segments[TV_SEGMENT_WEIGHTS],
				1 << 20, &prepared, NULL) == 0);
	job->prepared = prepared;
	REQUIRE(tv_functional_execute(machine, job, program, ret, NULL) == 0);
}

/* inverted: what can only be written holds something else before, and weights are prepared. */
static void run_job(const struct input *input, bool inverted, bool cycles, struct run *ret)
{
	struct tv_job job = {
		.budget = input->budget,
		.observer = input->observed ? observe : NULL,
	};
	_cleanup_(tv_functional_freep) struct tv_functional *machine = NULL;

	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		const struct tv_segment_view *from = &input->segments[i];

		ret->segments[i] = *from;
		ret->owned[i] = NULL;
		if (!backed(from))
			continue;
		if (input->within[i] != i) {
			ret->segments[i].data =
				end_of(&ret->segments[input->within[i]], from->size);
			continue;
		}
		ret->owned[i] = ret->segments[i].data = malloc(backed(from));
		REQUIRE(ret->owned[i]);
		memcpy(ret->owned[i], from->data, backed(from));
		for (uint32_t n = 0; inverted && write_only(input, i) && n < backed(from); n++)
			ret->owned[i][n] ^= 0xff;
	}
	memcpy(job.segments, ret->segments, sizeof(job.segments));
	if (cycles) {
		run_cycles(input, &job, &ret->record);
		return;
	}
	REQUIRE(tv_functional_new(input->target, &machine, NULL) == 0);
	if (inverted)
		run_prepared(input, machine, &job, &ret->record);
	else
		REQUIRE(tv_functional_run(machine, &job, &ret->record, NULL) == 0);
}

static void run_done(struct run *run)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		free(run->owned[i]);
}

/* --- what must be true ---------------------------------------------------------------------- */

static uint32_t commands_of(const struct input *input)
{
	struct tv_program_header header;

	tv_decode_program_header(input->segments[TV_SEGMENT_PROGRAM].data, &header);
	return header.commands;
}

static void command_at(const struct input *input, uint32_t index, struct tv_command *ret)
{
	tv_decode_command(input->segments[TV_SEGMENT_PROGRAM].data + TV_PROGRAM_HEADER_SIZE +
				  (size_t)index * TV_COMMAND_SIZE,
			  ret);
}

/* The byte that the record names may not be accessed. */
static bool is_violation(const struct input *input, const struct tv_record *record)
{
	const struct tv_segment_view *segment = &input->segments[record->segment];
	struct tv_program_header header;

	if (record->segment == TV_SEGMENT_ONCHIP) {
		tv_decode_program_header(input->segments[TV_SEGMENT_PROGRAM].data, &header);
		return record->offset >= header.onchip;
	}
	REQUIRE(record->segment < TV_SEGMENT_COUNT);
	return record->offset >= segment->size ||
	       (segment->rights & (TV_SEGMENT_READ | TV_SEGMENT_WRITE)) !=
		       (TV_SEGMENT_READ | TV_SEGMENT_WRITE);
}

/* It ended before anything was known about its commands. */
static bool before_commands(const struct tv_record *record)
{
	return record->fault && record->command == TV_RECORD_NO_COMMAND;
}

static bool names_nothing(const struct tv_record *record)
{
	return record->segment == TV_SEGMENT_NONE && !record->offset;
}

static void check_bad_command(const struct input *input, const struct tv_record *record)
{
	struct tv_command command;

	if (names_nothing(record))
		return;
	command_at(input, record->command, &command);
	REQUIRE(record->segment == command.weights.segment);
	REQUIRE(record->offset >= command.weights.offset &&
		record->offset < command.weights.offset + tv_weights_layout(&command).size);
}

static void check_record(const struct input *input, const struct tv_record *record)
{
	REQUIRE(record->why && *record->why);
	REQUIRE(record->steps <= input->budget);
	if (before_commands(record))
		REQUIRE(!record->executed && !record->steps);
	else if (!record->fault)
		REQUIRE(record->executed == commands_of(input) &&
			record->command == TV_RECORD_NO_COMMAND);
	else
		REQUIRE(record->command == record->executed &&
			record->command < commands_of(input));
	switch (record->fault) {
	case TV_FAULT_BAD_JOB:
	case TV_FAULT_BAD_TARGET:
		REQUIRE(before_commands(record));
		/* fall through */
	case TV_FAULT_NONE:
	case TV_FAULT_WATCHDOG:
		REQUIRE(names_nothing(record));
		break;
	case TV_FAULT_SEGMENT:
		REQUIRE(is_violation(input, record));
		break;
	case TV_FAULT_BUS:
		REQUIRE(record->segment < TV_SEGMENT_COUNT);
		REQUIRE(record->offset >= backed(&input->segments[record->segment]) &&
			record->offset < input->segments[record->segment].size);
		break;
	case TV_FAULT_BAD_COMMAND:
		check_bad_command(input, record);
		break;
	}
}

/* What the job may not write, or has had no command to write with, is as it was. */
static void check_untouched(const struct input *input, const struct run *run)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		const struct tv_segment_view *segment = &input->segments[i];
		bool writable = segment->rights & TV_SEGMENT_WRITE && run->record.executed;

		REQUIRE(writable || !backed(segment) ||
			memcmp(segment->data, run->segments[i].data, backed(segment)) == 0);
	}
}

static void check_same_record(const struct tv_record *a, const struct tv_record *b)
{
	REQUIRE(a->fault == b->fault && a->command == b->command && a->segment == b->segment &&
		a->offset == b->offset && a->executed == b->executed && a->steps == b->steps &&
		a->why == b->why);
}

static void check_same(const struct input *input, const struct run *one, const struct run *two)
{
	check_same_record(&one->record, &two->record);
	if (before_commands(&one->record))
		return;
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		const uint8_t *first = one->segments[i].data, *second = two->segments[i].data;
		const uint8_t *before = input->segments[i].data;

		for (uint32_t n = 0; n < backed(&input->segments[i]); n++)
			REQUIRE(first[n] == second[n] ||
				(write_only(input, i) && first[n] == before[n] &&
				 second[n] == (before[n] ^ 0xff)));
	}
}

static bool is_little_work(const struct input *input)
{
	uint64_t work = 0;

	for (uint32_t i = 0; i < commands_of(input); i++) {
		struct tv_command command;

		command_at(input, i, &command);
		work += world_work(&command);
	}
	return work <= NAIVE_WORK_MAX;
}

static void check_result(const struct input *input, const struct run *run)
{
	struct tv_program_header header;
	struct naive naive = { 0 };

	if (run->record.fault || !is_little_work(input))
		return;
	tv_decode_program_header(input->segments[TV_SEGMENT_PROGRAM].data, &header);
	for (unsigned int i = 0; i <= TV_SEGMENT_ONCHIP; i++) {
		size_t size = i == TV_SEGMENT_ONCHIP ? header.onchip : backed(&input->segments[i]);

		naive.memory[i] = calloc(size + 1, 1);
		REQUIRE(naive.memory[i]);
		if (i < TV_SEGMENT_COUNT && size)
			memcpy(naive.memory[i], input->segments[i].data, size);
	}
	for (uint32_t i = 0; i < header.commands; i++) {
		struct tv_command command;

		command_at(input, i, &command);
		naive_execute(&naive, &command);
	}
	naive_done(&naive);
	for (unsigned int i = 0; i <= TV_SEGMENT_ONCHIP; i++) {
		REQUIRE(i == TV_SEGMENT_ONCHIP || !backed(&input->segments[i]) ||
			memcmp(naive.memory[i], run->segments[i].data,
			       backed(&input->segments[i])) == 0);
		free(naive.memory[i]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool right = size <= EXECUTOR_SEED_MAX;
	uint8_t expanded[EXECUTOR_MAX];
	struct run once, again;
	struct input input;

	if (right) {
		size = executor_expand(data, size, expanded);
		data = expanded;
	}
	if (size < EXECUTOR_PROGRAM)
		return 0;
	read_input(data, size, &input);
	run_job(&input, false, false, &once);
	REQUIRE(!right || !once.record.fault);
	check_record(&input, &once.record);
	check_untouched(&input, &once);
	check_result(&input, &once);
	run_job(&input, true, false, &again);
	check_same(&input, &once, &again);
	run_done(&again);
	run_job(&input, false, true, &again);
	check_untouched(&input, &again);
	check_same_record(&once.record, &again.record);
	/* After a fault memory is undefined, and the models differ in it. */
	if (!once.record.fault)
		check_same(&input, &once, &again);
	run_done(&again);
	run_done(&once);
	input_done(&input);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	struct world w = { .random = seed };
	uint8_t job[EXECUTOR_MAX], numbers[EXECUTOR_SEED_MAX];

	if (size <= EXECUTOR_SEED_MAX || world_chance(&w, 64)) {
		for (size_t i = 0; i < sizeof(numbers); i++)
			numbers[i] = (uint8_t)world_random(&w);
		size = executor_expand(numbers, sizeof(numbers), job);
		if (size > max_size)
			size = max_size;
		memcpy(data, job, size);
	}
	do
		if (!executor_change(&w.random, data, size))
			size = LLVMFuzzerMutate(data, size, max_size);
	while (world_chance(&w, 3));
	return size;
}

#pragma clang attribute pop
