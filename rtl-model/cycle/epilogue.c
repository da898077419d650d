/* SPDX-License-Identifier: MIT */
/* The lanes behind the engines' accumulators: one result after the other, older commands first,
 * then down a pipeline to where it belongs. */
#include "rtl-model/cycle/machine.h"

static const struct task *waiting(const struct machine *m, enum slot slot)
{
	const struct engine *engine = &m->engines.slot[slot];
	uint64_t popped = m->epilogue.q.popped[slot];

	return popped == m->engines.q.pushed[slot] ? NULL : &engine->results[popped % RESULTS];
}

/* The oldest result for memory that an engine has left; tile buffers are filled out of turn. */
static struct turn first_waiting(const struct machine *m, enum slot slot)
{
	const struct engine *engine = &m->engines.slot[slot];

	for (uint64_t i = m->epilogue.q.popped[slot]; i < m->engines.q.pushed[slot]; i++)
		if (!engine->results[i % RESULTS].first)
			return (struct turn){ engine->results[i % RESULTS].command,
					      engine->results[i % RESULTS].number };
	return (struct turn){ .command = NEVER };
}

static bool precedes(struct turn a, const struct task *b)
{
	return a.command < b->command || (a.command == b->command && a.number < b->number);
}

/* Results for memory go through in the order of their tasks, so that the engines may begin with a
 * command while others are not through with the one before. */
static bool has_turn(const struct machine *m, const struct task *task)
{
	if (task->first)
		return true;
	for (unsigned int i = 0; i < SLOTS; i++)
		if (precedes(m->engines.q.turn[i], task) || precedes(first_waiting(m, i), task))
			return false;
	return true;
}

static uint64_t shortcut_base(const struct machine *m, const struct task *task)
{
	const struct work *work = work_of(m, task->command);
	uint64_t base = stream_base(m, task->command, WRITES_SHORTCUT);

	return work->passes_outermost ? base + task->pass * work->extent[WRITES_SHORTCUT] : base;
}

static bool shortcut_there(struct machine *m, const struct task *task)
{
	const struct work *work = work_of(m, task->command);
	const struct tv_command *command = work->command;
	uint64_t needed;

	if (task->first || command->shortcut.segment == TV_SEGMENT_NONE)
		return true;
	needed = tv_operand_extent(&command->shortcut, task->pixel_end, command->out_channels);
	if (!work->sweeps[WRITES_SHORTCUT])
		return scoreboard_available(m, task->command, WRITES_SHORTCUT) >= needed;
	needed += shortcut_base(m, task);
	if (m->memory.q.delivered[CLIENT_SHORTCUT] >= needed)
		return true;
	m->epilogue.d.shortcut_needed = needed;
	return false;
}

static void free_shortcut(struct machine *m, const struct task *task)
{
	const struct work *work = work_of(m, task->command);
	uint64_t freed = shortcut_base(m, task);

	if (task->first)
		return;
	if (work->sweeps[WRITES_SHORTCUT])
		freed += (uint64_t)task->pixel * work->command->shortcut.pitch;
	m->epilogue.d.shortcut_freed = later(m->epilogue.d.shortcut_freed, freed);
}

static bool may_enter(struct machine *m, const struct task *task)
{
	if (!task || task->ready > m->now || !has_turn(m, task))
		return false;
	if (task->bytes && !store_has_room(m))
		return false;
	return shortcut_there(m, task);
}

/* MAT first: of a chain's stages the second is what holds the other up. */
static bool choose(struct machine *m, enum slot *ret)
{
	static const enum slot order[] = { SLOT_MAT, SLOT_RMAC, SLOT_VECTOR };

	for (unsigned int i = 0; i < SLOTS; i++) {
		const struct task *task = waiting(m, order[i]);

		if (may_enter(m, task)) {
			*ret = order[i];
			return true;
		}
		if (task && task->ready > m->now)
			m->epilogue.wake = earlier(m->epilogue.wake, task->ready);
	}
	return false;
}

static void enter(struct machine *m, enum slot slot)
{
	struct epilogue *epilogue = &m->epilogue;
	const uint64_t lanes = m->plan->target->epilogue_lanes;
	struct task *task = &epilogue->task;
	struct tv_cycle_command *told;
	uint64_t cycles;

	*task = *waiting(m, slot);
	cycles = later(up(task->outputs, lanes) + up(task->pooled, lanes), 1);
	epilogue->d.popped[slot]++;
	epilogue->busy = true;
	epilogue->until = m->now + cycles;
	free_shortcut(m, task);
	m->moved = true;
	m->jobs[m->control.q.job].busy[TV_CYCLE_EPILOGUE] += cycles;
	report(m, TV_CYCLE_EPILOGUE, task->command, m->now, m->now + cycles);
	told = told_of(m, task->command);
	if (told)
		told->busy[TV_CYCLE_EPILOGUE] += cycles;
}

static void leave_lanes(struct machine *m)
{
	struct epilogue *epilogue = &m->epilogue;

	epilogue->busy = false;
	epilogue->task.ready = m->now + CYCLES_LANE;
	epilogue->pipeline[epilogue->entered++ % PIPELINE] = epilogue->task;
}

static void leave_pipeline(struct machine *m)
{
	struct epilogue *epilogue = &m->epilogue;

	epilogue->write = epilogue->pipeline[epilogue->left++ % PIPELINE];
	epilogue->written = true;
	epilogue->d.stored += epilogue->write.bytes;
	epilogue->d.first_done += epilogue->write.first;
	m->moved = true;
}

void epilogue_evaluate(struct machine *m)
{
	struct epilogue *epilogue = &m->epilogue;
	enum slot slot;

	epilogue->wake = NEVER;
	epilogue->written = false;
	if (epilogue->left != epilogue->entered &&
	    epilogue->pipeline[epilogue->left % PIPELINE].ready <= m->now)
		leave_pipeline(m);
	if (epilogue->busy && m->now >= epilogue->until)
		leave_lanes(m);
	if (!epilogue->busy && choose(m, &slot))
		enter(m, slot);
	if (epilogue->busy)
		epilogue->wake = earlier(epilogue->wake, epilogue->until);
	if (epilogue->left != epilogue->entered)
		epilogue->wake = earlier(epilogue->wake,
					 epilogue->pipeline[epilogue->left % PIPELINE].ready);
	/* Those who wait for the shortcut let it be known. */
	if (epilogue->d.shortcut_needed != epilogue->q.shortcut_needed)
		m->moved = true;
}
