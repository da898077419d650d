/* SPDX-License-Identifier: MIT */
/*
 * MAT, R-MAC and the unit for pooling and layer norm. Dense stages and quotients go, task by task,
 * to whichever of MAT and R-MAC is free; the first stages of chains are R-MAC's alone, and come
 * first.
 */
#include <string.h>

#include "rtl-model/cycle/machine.h"

static uint64_t end_of(const struct task *task)
{
	return task->begin + task->cycles;
}

/* Leaves the result in a bank, if one is free. */
static void end_task(struct machine *m, enum slot slot)
{
	struct engine *engine = &m->engines.slot[slot];
	uint64_t *pushed = &m->engines.d.pushed[slot];
	struct task *task = &engine->task;

	engine->blocked = task->outputs && *pushed - m->epilogue.q.popped[slot] == RESULTS;
	if (engine->blocked)
		return;
	report(m, (enum tv_cycle_engine)slot, task->command, task->begin, end_of(task));
	engine->busy = false;
	m->engines.d.turn[slot].command = NEVER;
	if (!task->outputs)
		return;
	task->ready = m->now + CYCLES_ADDER;
	engine->results[(*pushed)++ % RESULTS] = *task;
	m->moved = true;
}

static void begin_task(struct machine *m, enum slot slot, struct task *task)
{
	struct engine *engine = &m->engines.slot[slot];
	struct tv_cycle_command *told = told_of(m, task->command);

	if (told)
		told->begin = earlier(told->begin, m->now);
	data_begin(m, task->command);
	data_compute(m, task);
	task->begin = m->now;
	engine->task = *task;
	engine->busy = true;
	if (!task->first)
		m->engines.d.turn[slot] = (struct turn){ task->command, task->number };
}

static bool begin_first(struct machine *m)
{
	struct task task;

	if (!first_next(m, &task, &m->engines.slot[SLOT_RMAC].why))
		return false;
	first_take(m, &task);
	begin_task(m, SLOT_RMAC, &task);
	return true;
}

static void begin_second(struct machine *m, enum slot slot)
{
	struct engines *engines = &m->engines;
	uint64_t command = engines->second.command;
	struct task task;

	if (!second_next(m, &task, &engines->slot[slot].why))
		return;
	second_take(m, &task);
	begin_task(m, slot, &task);
	if (engines->second.command != command)
		m->moved = true;
}

/* MAT and R-MAC, or the unit that pools and normalises: whichever the command is for. */
static void begin_seconds(struct machine *m)
{
	static const enum slot dense[] = { SLOT_MAT, SLOT_RMAC };
	const struct engines *engines = &m->engines;
	uint8_t opcode = 0;

	if (engines->second.command < m->fetch.q.commands)
		opcode = work_of(m, engines->second.command)->command->opcode;
	if (opcode == TV_OP_POOL || opcode == TV_OP_NORM) {
		if (!engines->slot[SLOT_VECTOR].busy)
			begin_second(m, SLOT_VECTOR);
		m->engines.slot[SLOT_MAT].why = engines->slot[SLOT_VECTOR].busy ?
							TV_CYCLE_BUFFER :
							engines->slot[SLOT_VECTOR].why;
		return;
	}
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(dense); i++)
		if (!engines->slot[dense[i]].busy)
			begin_second(m, dense[i]);
}

/* What needs no engine of these: copies, and depthwise stages that R-MAC has been handed whole. */
static void pass_over(struct machine *m)
{
	struct engines *engines = &m->engines;
	uint64_t command = engines->second.command;
	uint8_t opcode;

	if (command >= m->fetch.q.commands || work_of(m, command)->job != m->control.q.job ||
	    m->now < m->control.q.open)
		return;
	opcode = work_of(m, command)->command->opcode;
	if (opcode == TV_OP_COPY) {
		if (engines->q.copies - m->copy.q.popped == COPIES)
			return;
		engines->copies[engines->d.copies++ % COPIES] = command;
	} else if (opcode != TV_OP_DEPTHWISE || engines->first.command <= command) {
		return;
	}
	engines->second.command++;
	engines->d.input_freed = later(engines->d.input_freed,
				       stream_base(m, engines->second.command, WRITES_INPUT));
	m->moved = true;
}

/* The task of the second sequencer that is oldest among those under way. */
static const struct task *oldest_second(const struct engines *engines)
{
	const struct task *oldest = NULL;

	for (unsigned int i = 0; i < SLOTS; i++) {
		const struct engine *engine = &engines->slot[i];

		if (engine->busy && engine->task.kind >= TASK_DENSE &&
		    (!oldest || engine->task.order < oldest->order))
			oldest = &engine->task;
	}
	return oldest;
}

/* Tile buffers and weights that nobody reads any more. */
static void free_read(struct machine *m)
{
	struct engines *engines = &m->engines;
	const struct second_sequencer *s = &engines->second;
	const struct task *oldest = oldest_second(engines);
	uint64_t done = oldest ? oldest->order : s->tasks;
	uint64_t command = oldest ? oldest->command : s->command;
	uint32_t pass = oldest ? oldest->pass : s->pass;
	uint64_t freed = stream_base(m, command, WRITES_WEIGHTS);

	while (engines->tiles_freed < s->tiles && s->end[engines->tiles_freed % TILES] <= done)
		engines->tiles_freed++;
	if (command < m->plan->count && pass && work_of(m, command)->passes_outermost &&
	    work_of(m, command)->sweeps[WRITES_WEIGHTS])
		freed += work_weights(work_of(m, command), pass - 1);
	engines->d.weights_freed = freed;
}

void engines_evaluate(struct machine *m)
{
	struct engines *engines = &m->engines;

	engines->wake = NEVER;
	for (unsigned int i = 0; i < SLOTS; i++)
		if (engines->slot[i].busy && m->now >= end_of(&engines->slot[i].task))
			end_task(m, i);
	free_read(m);
	pass_over(m);
	if (!engines->slot[SLOT_RMAC].busy)
		begin_first(m);
	begin_seconds(m);
	for (unsigned int i = 0; i < SLOTS; i++)
		if (engines->slot[i].busy && !engines->slot[i].blocked)
			engines->wake = earlier(engines->wake, end_of(&engines->slot[i].task));
	engines->d.command = engines->second.command;
	if (memcmp(&engines->d, &engines->q, sizeof(engines->d)) != 0)
		m->moved = true;
}
