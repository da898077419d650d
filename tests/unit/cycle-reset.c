/* SPDX-License-Identifier: MIT */
/*
 * Resets of the cycle model's machine: the golden job, which has every kind of command, is reset at
 * each of its cycles, random programs at random ones. After each the registers are a fresh
 * machine's, and the next run is a fresh machine's too: every piece of work at its cycle, times,
 * record and bits. In which states its modules were met is counted, and none may be missing.
 */
#include <string.h>

#include <triovit/golden.h>

#include "rtl-model/cycle/data-private.h"
#include "tests/unit/functional-random.h"
#include "tests/unit/unit.h"

#define PROGRAMS 300 /* random ones */
#define RESETS	 12 /* of each */
#define JOBS_MAX 2

/* --- states --------------------------------------------------------------------------------- */

/* A burst of that client is on its way. */
static bool is_loading(const struct machine *m, enum client client)
{
	for (unsigned int i = 0; i < m->memory.count; i++)
		if (m->memory.queue[(m->memory.first + i) % TV_ARRAY_SIZE(m->memory.queue)]
			    .client == client)
			return true;
	return false;
}

static bool is_at_work(const struct machine *m, enum slot slot, enum task_kind kind)
{
	return m->engines.slot[slot].busy && m->engines.slot[slot].task.kind == kind;
}

static bool waits_for(const struct machine *m, enum tv_cycle_stall why)
{
	return !m->engines.slot[SLOT_MAT].busy && m->engines.slot[SLOT_MAT].why == why;
}

static uint64_t results_of(const struct machine *m, enum slot slot)
{
	return m->engines.q.pushed[slot] - m->epilogue.q.popped[slot];
}

static const struct burst *first_burst(const struct machine *m)
{
	return &m->memory.queue[m->memory.first % TV_ARRAY_SIZE(m->memory.queue)];
}

static bool copies(const struct machine *m)
{
	return m->copy.q.popped != m->engines.q.copies;
}

static const struct tv_command *copied(const struct machine *m)
{
	uint64_t command = m->engines.copies[m->copy.q.popped % COPIES];

	return copies(m) && m->copy.active ? work_of(m, command)->command : NULL;
}

static bool copies_between(const struct machine *m, bool from_dram, bool to_dram)
{
	const struct tv_command *command = copied(m);

	return command && (command->input.segment < TV_SEGMENT_COUNT) == from_dram &&
	       (command->output.segment < TV_SEGMENT_COUNT) == to_dram;
}

static bool has_ended_early(const struct machine *m)
{
	for (uint64_t i = m->scoreboard.retired + 1; i < m->fetch.q.commands; i++)
		if (m->scoreboard.flights[i % WINDOW].complete)
			return true;
	return false;
}

static bool writes(const struct machine *m, bool first)
{
	return m->epilogue.written && m->epilogue.write.first == first;
}

#define STATES(X)                                                                                  \
	X("job: clears on-chip memory", m->now < m->control.q.open)                                \
	X("job: engines at work", !machine_done(m) && m->now >= m->control.q.open)                 \
	X("job: writes its record", m->control.q.record)                                           \
	X("job: the second", m->control.q.job == 1 && m->plan->job_count > 1)                      \
	X("job: all done", machine_done(m))                                                        \
	X("fetch: waits for bytes", is_loading(m, CLIENT_FETCH))                                   \
	X("fetch: no command yet", !m->fetch.q.commands)                                           \
	X("fetch: commands of the next job",                                                       \
	  !machine_done(m) && m->fetch.q.commands > m->plan->jobs[m->control.q.job].end)           \
	X("fetch: has all", m->fetch.q.commands == m->plan->count)                                 \
	X("memory: idle", !m->memory.count)                                                        \
	X("memory: latency", m->memory.count &&first_burst(m)->ready > m->now)                     \
	X("memory: transfer", m->memory.count &&first_burst(m)->ready <= m->now)                   \
	X("memory: queue full", m->memory.count == m->plan->target->dram_outstanding)              \
	X("memory: left of a cycle", m->memory.credit)                                             \
	X("weights: on their way", is_loading(m, CLIENT_WEIGHTS))                                  \
	X("weights: of the next job",                                                              \
	  m->control.q.job == 0 && m->plan->job_count > 1 &&                                       \
		  m->weights.q.asked > stream_base(m, m->plan->jobs[0].end, WRITES_WEIGHTS))       \
	X("input: on its way", is_loading(m, CLIENT_INPUT))                                        \
	X("shortcut: on its way", is_loading(m, CLIENT_SHORTCUT))                                  \
	X("store: part of a burst", stored_bytes(m) > m->store.q.asked)                            \
	X("store: not acknowledged", is_loading(m, CLIENT_STORE))                                  \
	X("store: full", !store_has_room(m))                                                       \
	X("copy: waits for its turn", copies(m) && !m->copy.active)                                \
	X("copy: DRAM to on chip", copies_between(m, true, false))                                 \
	X("copy: on chip to DRAM", copies_between(m, false, true))                                 \
	X("copy: on chip", copies_between(m, false, false))                                        \
	X("copy: DRAM", copies_between(m, true, true))                                             \
	X("copy: writes", m->copy.written)                                                         \
	X("MAT: dense", is_at_work(m, SLOT_MAT, TASK_DENSE))                                       \
	X("MAT: quotients", is_at_work(m, SLOT_MAT, TASK_QUOTIENT))                                \
	X("MAT: no bank for its result", m->engines.slot[SLOT_MAT].blocked)                        \
	X("MAT: waits for the job", waits_for(m, TV_CYCLE_JOB))                                    \
	X("MAT: waits for a command", waits_for(m, TV_CYCLE_FETCH))                                \
	X("MAT: waits for weights", waits_for(m, TV_CYCLE_WEIGHTS))                                \
	X("MAT: waits for operands", waits_for(m, TV_CYCLE_OPERANDS))                              \
	X("MAT: waits for rows", waits_for(m, TV_CYCLE_ROWS))                                      \
	X("MAT: waits for a tile", waits_for(m, TV_CYCLE_BUFFER))                                  \
	X("MAT: banks full", results_of(m, SLOT_MAT) == RESULTS)                                   \
	X("R-MAC: depthwise", is_at_work(m, SLOT_RMAC, TASK_DEPTHWISE))                            \
	X("R-MAC: products", is_at_work(m, SLOT_RMAC, TASK_PRODUCT))                               \
	X("R-MAC: dense", is_at_work(m, SLOT_RMAC, TASK_DENSE))                                    \
	X("R-MAC: quotients", is_at_work(m, SLOT_RMAC, TASK_QUOTIENT))                             \
	X("R-MAC: no bank for its result", m->engines.slot[SLOT_RMAC].blocked)                     \
	X("R-MAC: banks full", results_of(m, SLOT_RMAC) == RESULTS)                                \
	X("vector: pool", is_at_work(m, SLOT_VECTOR, TASK_POOL))                                   \
	X("vector: norm", is_at_work(m, SLOT_VECTOR, TASK_NORM))                                   \
	X("vector: result waits", results_of(m, SLOT_VECTOR))                                      \
	X("sequencers: one pass after the other", m->engines.second.pass)                          \
	X("sequencers: second half", m->engines.second.half)                                       \
	X("sequencers: within a tile", m->engines.second.at)                                       \
	X("sequencers: the first is ahead", m->engines.first.command > m->engines.second.command)  \
	X("tiles: one filled", m->engines.first.tiles > m->engines.tiles_freed)                    \
	X("tiles: all filled", m->engines.first.tiles == m->engines.tiles_freed + TILES)           \
	X("epilogue: lanes at work", m->epilogue.busy)                                             \
	X("epilogue: pipeline", m->epilogue.left != m->epilogue.entered)                           \
	X("epilogue: to a tile", writes(m, true))                                                  \
	X("epilogue: to memory", writes(m, false))                                                 \
	X("epilogue: waits for a shortcut",                                                        \
	  m->epilogue.q.shortcut_needed > m->memory.q.delivered[CLIENT_SHORTCUT])                  \
	X("scoreboard: results on their way to DRAM",                                              \
	  m->scoreboard.unmarked != m->scoreboard.marked)                                          \
	X("scoreboard: a younger command has ended", has_ended_early(m))                           \
	X("scoreboard: commands retired", m->scoreboard.retired)                                   \
	X("data: a bad record", m->data && m->data->faulty != NEVER)                               \
	X("data: patches", m->data && m->data->patches_command != NEVER)

#define NAME(name, is) name,
static const char *const state_names[] = { STATES(NAME) };

#define COUNT(name, is) seen[i++] += !!(is);
static unsigned int seen[TV_ARRAY_SIZE(state_names)]; /* resets */

static void look(const struct machine *m)
{
	unsigned int i = 0;

	STATES(COUNT)
}

/* --- a machine with its jobs ---------------------------------------------------------------- */

/* All that a run shows. */
struct shown {
	uint64_t digest; /* of all pieces of work, and of the memory behind them */
	uint64_t cycles;
	struct tv_cycle_job times[JOBS_MAX];
	struct tv_record record;
};

struct bench {
	struct tv_job job;
	uint8_t *memory[TV_SEGMENT_COUNT]; /* as it was */
	struct tv_program *program;
	struct tv_cycle_program timed;
	struct plan plan;
	struct tv_cycle_options how;
	struct machine *m;
	struct machine fresh;
	struct data fresh_data;
	struct tv_cycle_job times[JOBS_MAX];
	struct tv_cycle_command *commands;
	struct shown shown; /* of what runs */
};

static void digest(uint64_t *digest, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size--)
		*digest = (*digest ^ *at++) * 0x100000001b3ull;
}

static void watch(const struct tv_cycle_event *event, void *userdata)
{
	struct bench *b = userdata;
	const uint64_t words[] = { event->engine, event->job, event->command, event->begin,
				   event->end };

	digest(&b->shown.digest, words, sizeof(words));
}

/* One job with its data, or the times alone of two of the same program. */
static void bench_begin(struct bench *b, const struct tv_target *target, const struct tv_job *job,
			unsigned int jobs)
{
	const struct tv_cycle_program *const programs[] = { &b->timed, &b->timed };
	struct data *data = NULL;
	struct tv_error error = { 0 };

	*b = (struct bench){ .job = *job };
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		b->memory[i] = malloc(job->segments[i].size + 1ull);
		ck_assert_ptr_nonnull(b->memory[i]);
		if (job->segments[i].data)
			memcpy(b->memory[i], job->segments[i].data, job->segments[i].size);
	}
	tv_assert_ok(tv_program_decode(target, b->job.segments, 0, &b->program, &error), error);
	b->timed = (struct tv_cycle_program){ b->program->header.onchip, b->program->commands,
					      b->program->count };
	b->how = (struct tv_cycle_options){
		.target = target,
		.dram_percent = 100,
		.every_cycle = true,
		.observer = watch,
		.userdata = b,
	};
	tv_assert_ok(plan_make(&b->plan, target, programs, jobs, &error), error);
	b->commands = calloc(b->timed.count + 1, sizeof(*b->commands));
	b->m = calloc(1, sizeof(*b->m));
	ck_assert(b->commands && b->m);
	if (jobs == 1)
		tv_assert_ok(data_new(&b->job, b->program, &data, &error), error);
	b->m->options = &b->how;
	b->m->plan = &b->plan;
	b->m->jobs = b->times;
	b->m->commands = b->commands;
	b->m->data = data;
	if (data)
		tv_assert_ok(data_prepare(b->m, &error), error);
	machine_reset(b->m);
	memcpy(&b->fresh, b->m, sizeof(b->fresh));
	if (data)
		memcpy(&b->fresh_data, data, sizeof(*data));
}

static void bench_end(struct bench *b)
{
	data_free(b->m->data);
	plan_done(&b->plan);
	tv_program_free(b->program);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		free(b->memory[i]);
	free(b->commands);
	free(b->m);
}

static void restore(struct bench *b)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		if (b->job.segments[i].rights & TV_SEGMENT_WRITE)
			memcpy(b->job.segments[i].data, b->memory[i], b->job.segments[i].size);
}

/* So many cycles, or up to the end. */
static void run(struct bench *b, uint64_t cycles)
{
	restore(b);
	b->shown = (struct shown){ .digest = 0xcbf29ce484222325ull };
	for (; b->shown.cycles < cycles && !machine_done(b->m); b->shown.cycles++)
		if (machine_step(b->m) < 0)
			ck_abort_msg("cycle %llu: nothing moves",
				     (unsigned long long)b->shown.cycles);
}

static struct shown run_whole(struct bench *b)
{
	struct tv_error error = { 0 };

	run(b, UINT64_MAX);
	if (b->m->data)
		tv_assert_ok(data_outcome(b->m->data, &b->shown.record, &error), error);
	for (unsigned int i = 0; b->m->data && i < TV_SEGMENT_COUNT; i++)
		if (b->job.segments[i].rights & TV_SEGMENT_WRITE)
			digest(&b->shown.digest, b->job.segments[i].data, b->job.segments[i].size);
	digest(&b->shown.digest, b->commands, b->timed.count * sizeof(*b->commands));
	memcpy(b->shown.times, b->times, sizeof(b->times));
	return b->shown;
}

static void reset(struct bench *b, uint64_t at)
{
	look(b->m);
	machine_reset(b->m);
	ck_assert_msg(memcmp(b->m, &b->fresh, sizeof(b->fresh)) == 0,
		      "a register survives a reset at cycle %llu", (unsigned long long)at);
	ck_assert_msg(!b->m->data || memcmp(b->m->data, &b->fresh_data, sizeof(b->fresh_data)) == 0,
		      "data survive a reset at cycle %llu", (unsigned long long)at);
}

/* A reset after so many cycles, and then, one time in four, the whole. */
static void reset_at(struct bench *b, uint64_t at, const struct shown *expected)
{
	struct shown shown;

	run(b, at);
	reset(b, at);
	if (at % 4)
		return;
	shown = run_whole(b);
	reset(b, shown.cycles);
	ck_assert_msg(memcmp(shown.times, expected->times, sizeof(shown.times)) == 0,
		      "other times after a reset at cycle %llu", (unsigned long long)at);
	ck_assert_msg(shown.digest == expected->digest && shown.cycles == expected->cycles &&
			      shown.record.fault == expected->record.fault &&
			      shown.record.command == expected->record.command &&
			      shown.record.offset == expected->record.offset &&
			      shown.record.steps == expected->record.steps,
		      "another run after a reset at cycle %llu", (unsigned long long)at);
}

/* --- programs ------------------------------------------------------------------------------- */

/* Its memory, and the job. */
struct golden {
	uint8_t program[TV_GOLDEN_PROGRAM_SIZE], weights[TV_GOLDEN_WEIGHTS_SIZE];
	uint8_t input[TV_GOLDEN_INPUT_SIZE], output[TV_GOLDEN_OUTPUT_SIZE];
	uint8_t scratch[TV_GOLDEN_SCRATCH_SIZE];
};

static struct tv_job make_golden(const struct tv_target *target, struct golden *memory)
{
	const uint32_t read = TV_SEGMENT_READ, both = TV_SEGMENT_READ | TV_SEGMENT_WRITE;

	memset(memory, 0, sizeof(*memory));
	tv_golden_build(target->id, memory->program, memory->weights, memory->input);
	return (struct tv_job){
		.segments = {
			{ memory->program, sizeof(memory->program), read, 0 },
			{ memory->weights, sizeof(memory->weights), read, 0 },
			{ memory->input, sizeof(memory->input), read, 0 },
			{ memory->output, sizeof(memory->output), both, 0 },
			{ memory->scratch, sizeof(memory->scratch), both, 0 },
		},
	};
}

static void reset_golden(unsigned int jobs, uint64_t step)
{
	const struct tv_target *target = tv_target_by_name("zcu102");
	struct golden memory;
	struct tv_job job = make_golden(target, &memory);
	struct shown expected;
	struct bench b;

	bench_begin(&b, target, &job, jobs);
	expected = run_whole(&b);
	if (jobs == 1)
		ck_assert_uint_eq(tv_golden_digest(memory.output), TV_GOLDEN_DIGEST);
	reset(&b, expected.cycles);
	for (uint64_t at = 0; at <= expected.cycles; at += step)
		reset_at(&b, at, &expected);
	bench_end(&b);
}

static void reset_random(uint64_t seed)
{
	struct shown expected;
	unsigned int more;
	struct world w;
	struct tv_job job;
	struct bench b;

	world_begin(&w, seed, tv_target_at(seed % 4));
	w.work_max = 100000;
	more = 1 + world_below(&w, 9);
	while (more--)
		world_add(&w, (uint8_t)(TV_OP_CONV + world_below(&w, TV_OP_COPY)));
	if (world_chance(&w, 4))
		world_copy(&w, TV_SEGMENT_ONCHIP, 0, TV_SEGMENT_ONCHIP,
			   w.size[TV_SEGMENT_ONCHIP] / 2, w.size[TV_SEGMENT_ONCHIP] / 2);
	/* What is left on chip would go unseen. */
	world_copy(&w, TV_SEGMENT_ONCHIP, 0, WORLD_WRITE_ONLY, 0, w.size[TV_SEGMENT_ONCHIP]);
	if (world_chance(&w, 4))
		memset(w.memory[TV_SEGMENT_WEIGHTS], 0xff, w.weights);
	job = world_job(&w);
	bench_begin(&b, w.target, &job, 1);
	expected = run_whole(&b);
	reset(&b, expected.cycles);
	for (unsigned int i = 0; i < RESETS; i++)
		reset_at(&b, world_below(&w, (uint32_t)expected.cycles), &expected);
	bench_end(&b);
	world_end(&w);
}

START_TEST(every_state)
{
	bool slow = getenv("TV_SLOW");

	reset_golden(1, slow ? 37 : 1);
	reset_golden(2, slow ? 37 : 1);
	for (unsigned int i = 0; i < (slow ? PROGRAMS / 10 : PROGRAMS); i++)
		reset_random(0x2e5e70000ull + i);
	for (unsigned int i = 0; !slow && i < TV_ARRAY_SIZE(seen); i++)
		ck_assert_msg(seen[i], "no reset in this state: %s", state_names[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cycle-reset");
	TCase *tcase = tcase_create("machine");

	tcase_set_timeout(tcase, 600);
	tcase_add_test(tcase, every_state);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
