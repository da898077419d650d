/* SPDX-License-Identifier: MIT */
/*
 * The cycle model against the functional one: bits and records of random programs, whose operands
 * lie on top of each other wherever the contract allows it, so that whatever the scoreboard lets
 * through too early shows. And that its time depends on nothing but the commands.
 */
#include <errno.h>

#include "rtl-model/cycle.h"
#include "tests/unit/functional-random.h"
#include "tests/unit/unit.h"

#define BATCHES 24
#define A_BATCH 50 /* programs */

/* A job, and its memory once more. */
struct twin {
	struct world world;
	struct tv_job job, other;
	uint8_t *memory[TV_SEGMENT_COUNT];
};

static void make_other(struct twin *twin)
{
	twin->other = twin->job;
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		if (!twin->world.size[i])
			continue;
		twin->memory[i] = malloc(twin->world.size[i]);
		ck_assert_ptr_nonnull(twin->memory[i]);
		memcpy(twin->memory[i], twin->world.memory[i], twin->world.size[i]);
		twin->other.segments[i].data = twin->memory[i];
	}
}

static void begin(struct twin *twin, uint64_t seed)
{
	struct world *w = &twin->world;
	unsigned int more;

	*twin = (struct twin){ .job.budget = 0 };
	world_begin(w, seed, tv_target_at(seed % 4));
	w->work_max = 100000;
	more = 1 + world_below(w, 9);
	while (more--)
		world_add(w, (uint8_t)(TV_OP_CONV + world_below(w, TV_OP_COPY)));
	/* What is left on chip would go unseen. */
	world_copy(w, TV_SEGMENT_ONCHIP, 0, WORLD_WRITE_ONLY, 0, w->size[TV_SEGMENT_ONCHIP]);
}

static void end(struct twin *twin)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		free(twin->memory[i]);
	world_end(&twin->world);
}

static struct tv_program *decode(const struct twin *twin, const struct tv_job *job)
{
	struct tv_program *program;
	struct tv_error error = { 0 };
	int r = tv_program_decode(twin->world.target, job->segments, 0, &program, &error);

	tv_assert_ok(r, error);
	return program;
}

static struct tv_record run_functional(struct twin *twin)
{
	_cleanup_(tv_functional_freep) struct tv_functional *machine = NULL;
	struct tv_record record;
	struct tv_error error = { 0 };
	int r = tv_functional_new(twin->world.target, &machine, &error);

	tv_assert_ok(r, error);
	r = tv_functional_run(machine, &twin->job, &record, &error);
	tv_assert_ok(r, error);
	return record;
}

static struct tv_record run_cycles(struct twin *twin, struct tv_cycle_job *ret_time)
{
	_cleanup_(tv_program_freep) struct tv_program *program = decode(twin, &twin->other);
	const struct tv_cycle_options how = { .target = twin->world.target, .dram_percent = 100 };
	struct tv_record record;
	struct tv_error error = { 0 };
	int r = tv_cycle_execute(&how, &twin->other, program, &record, ret_time, &error);

	tv_assert_ok(r, error);
	return record;
}

static struct tv_cycle_job time_alone(struct twin *twin, bool every_cycle)
{
	_cleanup_(tv_program_freep) struct tv_program *program = decode(twin, &twin->other);
	const struct tv_cycle_options how = {
		.target = twin->world.target,
		.dram_percent = 100,
		.every_cycle = every_cycle,
	};
	const struct tv_cycle_program timed = { program->header.onchip, program->commands,
						program->count };
	const struct tv_cycle_program *const only = &timed;
	struct tv_cycle_job time;
	struct tv_error error = { 0 };
	int r = tv_cycle_time(&how, &only, 1, &time, NULL, &error);

	tv_assert_ok(r, error);
	return time;
}

static void check_records(struct tv_record a, struct tv_record b, uint64_t seed)
{
	ck_assert_msg(a.fault == b.fault && a.command == b.command && a.segment == b.segment &&
			      a.offset == b.offset && a.executed == b.executed &&
			      a.steps == b.steps && strcmp(a.why, b.why) == 0,
		      "seed %llx: command %u: %s, and command %u: %s", (unsigned long long)seed,
		      a.command, a.why, b.command, b.why);
}

static void check_memory(const struct twin *twin, uint64_t seed)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		const uint8_t *a = twin->world.memory[i], *b = twin->memory[i];
		uint32_t at = 0, size = twin->world.size[i];

		while (at < size && a[at] == b[at])
			at++;
		ck_assert_msg(at == size, "seed %llx: segment %u, byte %u",
			      (unsigned long long)seed, i, at);
	}
}

static uint64_t seed_of(int batch, int i)
{
	return 0xc7c1e0000ull + (uint64_t)(batch * A_BATCH + i);
}

START_TEST(same_bits)
{
	for (int i = 0; i < A_BATCH; i++) {
		struct tv_cycle_job time;
		struct twin twin;

		begin(&twin, seed_of(_i, i));
		twin.job = world_job(&twin.world);
		make_other(&twin);
		check_records(run_functional(&twin), run_cycles(&twin, &time), seed_of(_i, i));
		check_memory(&twin, seed_of(_i, i));
		end(&twin);
	}
}
END_TEST

/* A field of a command, or a byte of the weights, which may be one of a record. */
static void break_something(struct world *w)
{
	struct tv_command *command = &w->commands[world_below(w, w->count)];

	switch (world_below(w, 4)) {
	case 0:
		command->output.offset = w->size[TV_SEGMENT_SCRATCH];
		break;
	case 1:
		command->opcode = 99;
		break;
	case 2:
		/* All records: the oldest counts, whichever engine is first to look at one. */
		memset(w->memory[TV_SEGMENT_WEIGHTS], 0xff, w->weights);
		break;
	default:
		for (unsigned int i = 0; w->weights && i < 1 + world_below(w, 4); i++)
			w->memory[TV_SEGMENT_WEIGHTS][world_below(w, w->weights)] = 0xff;
	}
}

START_TEST(same_records)
{
	unsigned int faults = 0;

	for (int i = 0; i < A_BATCH; i++) {
		struct tv_cycle_job time;
		struct tv_record record;
		struct twin twin;

		begin(&twin, seed_of(_i, i));
		break_something(&twin.world);
		twin.job = world_job(&twin.world);
		make_other(&twin);
		record = run_functional(&twin);
		check_records(record, run_cycles(&twin, &time), seed_of(_i, i));
		faults += record.fault != TV_FAULT_NONE;
		if (!record.fault)
			check_memory(&twin, seed_of(_i, i));
		end(&twin);
	}
	ck_assert_uint_gt(faults, A_BATCH / 5);
}
END_TEST

static void check_times(struct tv_cycle_job a, struct tv_cycle_job b, uint64_t seed)
{
	ck_assert_msg(a.end == b.end && a.bytes == b.bytes &&
			      memcmp(a.busy, b.busy, sizeof(a.busy)) == 0 &&
			      memcmp(a.stall, b.stall, sizeof(a.stall)) == 0,
		      "seed %llx: %llu and %llu cycles", (unsigned long long)seed,
		      (unsigned long long)a.end, (unsigned long long)b.end);
}

/* Other operands, other weights, good records or bad ones, none at all: the same cycles. */
START_TEST(time_is_of_commands_alone)
{
	for (int i = 0; i < A_BATCH; i++) {
		struct tv_cycle_job first, second;
		uint64_t seed = seed_of(_i, i);
		struct twin twin;

		begin(&twin, seed);
		twin.job = world_job(&twin.world);
		make_other(&twin);
		run_cycles(&twin, &first);
		for (unsigned int s = TV_SEGMENT_WEIGHTS; s < TV_SEGMENT_COUNT; s++)
			for (uint32_t at = 0; at < twin.world.size[s]; at++)
				twin.memory[s][at] = (uint8_t)world_random(&twin.world);
		run_cycles(&twin, &second);
		check_times(first, second, seed);
		check_times(first, time_alone(&twin, false), seed);
		check_times(first, time_alone(&twin, true), seed);
		end(&twin);
	}
}
END_TEST

/* Pieces of work, and after how many of them somebody wants the end. */
struct impatient {
	unsigned int events, enough;
	atomic_bool cancel;
};

static void grow_impatient(const struct tv_cycle_event *event, void *userdata)
{
	struct impatient *impatient = userdata;

	if (++impatient->events == impatient->enough)
		atomic_store(&impatient->cancel, true);
}

/* The simulation ends in the cycle in which it is told to. */
START_TEST(cancelled)
{
	struct impatient impatient = { .enough = 0 };
	struct tv_cycle_options how = {
		.dram_percent = 100,
		.observer = grow_impatient,
		.userdata = &impatient,
		.cancel = &impatient.cancel,
	};
	_cleanup_(tv_program_freep) struct tv_program *program = NULL;
	struct tv_cycle_program timed;
	const struct tv_cycle_program *const only = &timed;
	struct tv_error error = { 0 };
	struct tv_cycle_job time;
	unsigned int whole;
	struct twin twin;

	begin(&twin, seed_of(0, 0));
	twin.job = world_job(&twin.world);
	program = decode(&twin, &twin.job);
	how.target = twin.world.target;
	timed = (struct tv_cycle_program){ program->header.onchip, program->commands,
					   program->count };
	tv_assert_ok(tv_cycle_time(&how, &only, 1, &time, NULL, &error), error);
	whole = impatient.events;
	ck_assert_uint_gt(whole, 50);
	impatient = (struct impatient){ .enough = whole / 2 };
	ck_assert_int_eq(tv_cycle_time(&how, &only, 1, &time, NULL, &error), -ECANCELED);
	ck_assert_uint_ge(impatient.events, whole / 2);
	ck_assert_uint_lt(impatient.events, whole / 2 + 8);
	end(&twin);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cycle");
	TCase *tcase = tcase_create("random");

	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, same_bits, 0, BATCHES);
	tcase_add_loop_test(tcase, same_records, 0, BATCHES);
	tcase_add_loop_test(tcase, time_is_of_commands_alone, 0, BATCHES / 4);
	tcase_add_test(tcase, cancelled);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
