/* SPDX-License-Identifier: MIT */
/* The clock: evaluates all modules, makes an edge, and goes on to the next cycle in which something
 * can happen. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rtl-model/cycle/machine.h"
#include "rtl-model/timing.h"

const char *tv_cycle_engine_name(enum tv_cycle_engine engine)
{
	static const char *const names[] = {
		[TV_CYCLE_MAT] = "MAT",	      [TV_CYCLE_RMAC] = "R-MAC",
		[TV_CYCLE_VECTOR] = "vector", [TV_CYCLE_EPILOGUE] = "epilogue",
		[TV_CYCLE_DMA] = "DMA",
	};

	return names[engine];
}

const char *tv_cycle_stall_name(enum tv_cycle_stall stall)
{
	static const char *const names[] = {
		[TV_CYCLE_JOB] = "job",		[TV_CYCLE_FETCH] = "fetch",
		[TV_CYCLE_WEIGHTS] = "weights", [TV_CYCLE_OPERANDS] = "operands",
		[TV_CYCLE_ROWS] = "rows",	[TV_CYCLE_BUFFER] = "buffer",
		[TV_CYCLE_DRAIN] = "drain",
	};

	return names[stall];
}

/* --- jobs ----------------------------------------------------------------------------------- */

/* When all commands have ended and all bytes have arrived, the record follows them; when that has
 * arrived, the next job begins. */
void control_evaluate(struct machine *m)
{
	struct control *control = &m->control;
	const struct planned_job *job = &m->plan->jobs[control->q.job];
	bool arrived = stored_bytes(m) == m->memory.q.delivered[CLIENT_STORE];

	control->wake = m->now < control->q.open ? control->q.open : NEVER;
	if (m->scoreboard.retired < job->end || !arrived ||
	    m->memory.q.delivered[CLIENT_FETCH] < job->head)
		return;
	m->moved = true;
	if (!control->q.record) {
		control->d.record = true;
		control->d.stored += BYTES_RECORD;
		return;
	}
	m->jobs[control->q.job].end = m->now;
	control->d.record = false;
	control->d.job++;
	if (control->d.job == m->plan->job_count)
		return;
	m->jobs[control->d.job].start = m->now;
	control->d.open = m->now + CYCLES_CLEAR;
}

void report(const struct machine *m, enum tv_cycle_engine engine, uint64_t command, uint64_t begin,
	    uint64_t end)
{
	uint64_t first = m->plan->jobs[m->control.q.job].first;
	const struct tv_cycle_event event = {
		.engine = engine,
		.job = m->control.q.job,
		.command = command == NEVER ? UINT32_MAX : (uint32_t)(command - first),
		.begin = begin,
		.end = end,
	};

	if (m->options->observer)
		m->options->observer(&event, m->options->userdata);
}

/* --- the clock ------------------------------------------------------------------------------ */

static void evaluate(struct machine *m)
{
	memory_evaluate(m);
	fetch_evaluate(m);
	weights_evaluate(m);
	operand_evaluate(m, &m->input, CLIENT_INPUT);
	operand_evaluate(m, &m->shortcut, CLIENT_SHORTCUT);
	store_evaluate(m);
	copy_evaluate(m);
	engines_evaluate(m);
	epilogue_evaluate(m);
	control_evaluate(m);
}

static void edge(struct machine *m)
{
	scoreboard_edge(m);
	m->memory.q = m->memory.d;
	m->fetch.q = m->fetch.d;
	m->weights.q = m->weights.d;
	m->input.q = m->input.d;
	m->shortcut.q = m->shortcut.d;
	m->store.q = m->store.d;
	m->copy.q = m->copy.d;
	m->engines.q = m->engines.d;
	m->epilogue.q = m->epilogue.d;
	m->control.q = m->control.d;
}

static uint64_t next_cycle(const struct machine *m)
{
	uint64_t next = earlier(earlier(m->memory.wake, m->store.wake),
				earlier(m->copy.wake, m->engines.wake));

	next = earlier(next, earlier(m->epilogue.wake, m->control.wake));
	if (m->moved || m->options->every_cycle)
		return m->now + 1;
	return later(next, m->now + 1);
}

/* What the engines do from this cycle to the next that is evaluated: the same in each. */
static void account(struct machine *m, uint64_t cycles)
{
	const struct engine *slots = m->engines.slot;
	struct tv_cycle_job *job;
	struct tv_cycle_command *told;
	uint64_t command = m->engines.second.command;
	enum tv_cycle_stall why;

	if (machine_done(m))
		return;
	job = &m->jobs[m->control.q.job];
	for (unsigned int i = 0; i < SLOTS; i++) {
		if (!slots[i].busy || slots[i].blocked)
			continue;
		job->busy[i] += cycles;
		told = told_of(m, slots[i].task.command);
		if (told)
			told->busy[i] += cycles;
	}
	if (slots[SLOT_MAT].busy && !slots[SLOT_MAT].blocked)
		return;
	if (command == m->plan->jobs[m->control.q.job].end && command)
		command--;
	why = slots[SLOT_MAT].blocked ? TV_CYCLE_DRAIN : slots[SLOT_MAT].why;
	/* What a first stage waits for, the second waits for too. */
	if (why == TV_CYCLE_BUFFER && !slots[SLOT_RMAC].busy)
		why = slots[SLOT_RMAC].why;
	job->stall[why] += cycles;
	told = told_of(m, command);
	if (told)
		told->stall[why] += cycles;
}

/* No compiler makes such a program: what is left of it counts as if nothing overlapped. */
static void give_up(struct machine *m)
{
	const struct tv_target *target = m->plan->target;
	uint64_t command = m->scoreboard.retired, cycles = 0;
	struct tv_timing_command timing;
	struct tv_cycle_command *told;

	for (; !machine_done(m); m->control.q.job++) {
		m->jobs[m->control.q.job].start = later(m->jobs[m->control.q.job].start, cycles);
		cycles = later(cycles, m->now);
		for (; command < m->plan->jobs[m->control.q.job].end; command++) {
			const struct tv_command *now = work_of(m, command)->command;

			tv_timing_of_command(target, now, &timing);
			cycles +=
				timing.cycles +
				up((timing.weights + timing.dram) * m->memory.cost, m->memory.rate);
			told = told_of(m, command);
			if (told)
				told->end = cycles;
		}
		m->jobs[m->control.q.job].end = cycles;
	}
}

void machine_reset(struct machine *m)
{
	const struct planned_job *last = last_job(m);

	*m = (struct machine){
		.options = m->options,
		.plan = m->plan,
		.jobs = m->jobs,
		.commands = m->commands,
		.data = m->data,
	};
	memory_reset(m);
	m->control.d.open = m->control.q.open = CYCLES_CLEAR;
	for (unsigned int i = 0; i < SLOTS; i++)
		m->engines.d.turn[i].command = m->engines.q.turn[i].command = NEVER;
	memset(m->jobs, 0, m->plan->job_count * sizeof(*m->jobs));
	for (uint64_t i = 0; m->commands && i < last->end - last->first; i++)
		m->commands[i] = (struct tv_cycle_command){ .begin = NEVER };
	data_reset(m);
}

bool machine_done(const struct machine *m)
{
	return m->control.q.job == m->plan->job_count - m->options->followers;
}

int machine_step(struct machine *m)
{
	uint64_t next;

	m->moved = false;
	evaluate(m);
	edge(m);
	next = next_cycle(m);
	if (next == NEVER)
		return -EDEADLK;
	account(m, next - m->now);
	m->now = next;
	return 0;
}

static int run(struct machine *m)
{
	const atomic_bool *cancel = m->options->cancel;
	uint64_t edges = 0;
	int r;

	machine_reset(m);
	while (!machine_done(m)) {
		if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
			return -ECANCELED;
		if (m->options->edges && edges++ == m->options->edges) {
			give_up(m);
			return 0;
		}
		r = machine_step(m);
		if (r < 0)
			return r;
	}
	return 0;
}

static int simulate(struct machine *m, struct plan *plan,
		    const struct tv_cycle_program *const *programs, unsigned int jobs,
		    struct tv_error *error)
{
	int r;

	r = plan_make(plan, m->options->target, programs, jobs, error);
	if (r < 0)
		return r;
	m->plan = plan;
	if (m->data) {
		r = data_prepare(m, error);
		if (r < 0)
			return r;
	}
	r = run(m);
	if (r == -EDEADLK)
		return tv_error_set(error, r, "cycle %" PRIu64 ": nothing moves any more", m->now);
	return r;
}

static struct machine *machine_new(const struct tv_cycle_options *options,
				   struct tv_cycle_job *jobs, struct tv_cycle_command *commands)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->options = options;
	m->jobs = jobs;
	m->commands = commands;
	return m;
}

int tv_cycle_time(const struct tv_cycle_options *options,
		  const struct tv_cycle_program *const *programs, unsigned int jobs,
		  struct tv_cycle_job *ret_jobs, struct tv_cycle_command *ret_commands,
		  struct tv_error *error)
{
	_cleanup_free_ struct tv_cycle_job *times = calloc(jobs, sizeof(*times));
	_cleanup_free_ struct machine *m = machine_new(options, times, ret_commands);
	_cleanup_(plan_done) struct plan plan = { .count = 0 };
	int r;

	if (!times || !m)
		return tv_error_oom(error);
	r = simulate(m, &plan, programs, jobs, error);
	if (r < 0)
		return r;
	memcpy(ret_jobs, times, jobs * sizeof(*times));
	return 0;
}

int tv_cycle_execute(const struct tv_cycle_options *options, const struct tv_job *job,
		     const struct tv_program *program, struct tv_record *ret,
		     struct tv_cycle_job *ret_job, struct tv_error *error)
{
	struct tv_cycle_job time = { .start = 0 };
	const struct tv_cycle_program timed = { program->header.onchip, program->commands,
						program->count };
	const struct tv_cycle_program *const only = &timed;
	const struct tv_cycle_options how = {
		.target = options->target,
		.dram_percent = options->dram_percent,
		.every_cycle = options->every_cycle,
		.observer = options->observer,
		.userdata = options->userdata,
		.cancel = job->cancel,
	};
	_cleanup_free_ struct machine *m = machine_new(&how, &time, NULL);
	_cleanup_(plan_done) struct plan plan = { .count = 0 };
	_cleanup_(data_freep) struct data *data = NULL;
	int r;

	if (!m)
		return tv_error_oom(error);
	r = data_new(job, program, &data, error);
	if (r < 0)
		return r;
	m->data = data;
	r = simulate(m, &plan, &only, 1, error);
	if (r >= 0)
		r = data_outcome(data, ret, error);
	if (r < 0)
		return r;
	*ret_job = time;
	return 0;
}
