/* SPDX-License-Identifier: MIT */
/* Load and store DMA: who asks the channel for what, and when. */
#include "rtl-model/cycle/machine.h"

/* Whole bursts, unless it is the end of what there is or somebody waits for the rest. */
static void ask(struct machine *m, struct stream *stream, uint64_t room, uint64_t needed,
		uint64_t end)
{
	uint64_t limit = earlier(later(room, needed), end);

	if (limit < end)
		limit = later(limit - limit % m->plan->target->dram_burst, earlier(needed, end));
	if (limit <= stream->q.asked)
		return;
	stream->d.asked = limit;
	m->moved = true;
}

/* As far ahead as commands are known and the ring has room. What does not fit into the ring at all
 * is loaded all the same when an engine waits for it: no compiler makes such a program. */
void weights_evaluate(struct machine *m)
{
	uint64_t end = stream_base(m, m->fetch.q.commands, WRITES_WEIGHTS);

	ask(m, &m->weights, m->engines.q.weights_freed + m->plan->jobs[m->control.q.job].ring,
	    m->engines.q.weights_needed, end);
}

/* An operand in DRAM: what older commands are done writing, as far ahead as the buffer has room. */
void operand_evaluate(struct machine *m, struct stream *stream, enum client client)
{
	const bool input = client == CLIENT_INPUT;
	const enum relation operand = input ? WRITES_INPUT : WRITES_SHORTCUT;
	uint64_t freed = input ? m->engines.q.input_freed : m->epilogue.q.shortcut_freed;
	uint64_t needed = input ? m->engines.q.input_needed : m->epilogue.q.shortcut_needed;
	uint64_t end, there;

	for (; stream->command < m->fetch.q.commands; stream->command++) {
		const struct work *work = work_of(m, stream->command);

		/* Its memory may be what the job before it writes. */
		if (work_of(m, stream->command)->job != m->control.q.job)
			return;
		if (!work->sweeps[operand])
			continue;
		there = scoreboard_available(m, stream->command, operand);
		if (there == work->extent[operand])
			there *= work->sweeps[operand];
		end = stream_base(m, stream->command, operand);
		ask(m, stream, freed + BYTES_ROWS, needed, end + there);
		if (stream->d.asked < end + work->sweeps[operand] * work->extent[operand])
			return;
	}
}

/* --- store ---------------------------------------------------------------------------------- */

bool store_has_room(const struct machine *m)
{
	return stored_bytes(m) - m->memory.q.delivered[CLIENT_STORE] < BYTES_STORE &&
	       m->scoreboard.marked - m->scoreboard.unmarked < MARKS - 2 * PIPELINE;
}

void store_evaluate(struct machine *m)
{
	struct store *store = &m->store;
	uint64_t pushed = stored_bytes(m), asked = pushed - pushed % m->plan->target->dram_burst;

	store->wake = NEVER;
	if (pushed != store->pushed) {
		store->pushed = pushed;
		store->flush = m->now + CYCLES_FLUSH;
	}
	if (pushed > store->q.asked && m->now >= store->flush)
		asked = pushed;
	else if (pushed > store->q.asked)
		store->wake = store->flush;
	if (asked <= store->q.asked)
		return;
	store->d.asked = asked;
	m->moved = true;
}

/* --- copies --------------------------------------------------------------------------------- */

/* Bytes of the copy that have come by now. */
static uint32_t bytes_come(struct machine *m, const struct tv_command *command)
{
	struct copy *copy = &m->copy;

	if (command->input.segment < TV_SEGMENT_COUNT)
		return (uint32_t)(m->memory.q.delivered[CLIENT_COPY] - copy->before);
	if (!copy->until)
		return copy->moved;
	if (m->now < copy->until) {
		copy->wake = copy->until;
		return copy->moved;
	}
	copy->until = 0;
	return (uint32_t)earlier(command->copy_bytes,
				 (uint64_t)copy->moved + m->plan->target->dram_burst);
}

/* The next piece of a copy from on chip. */
static void move_onchip(struct machine *m, const struct tv_command *command)
{
	struct copy *copy = &m->copy;
	uint64_t piece = earlier(command->copy_bytes - copy->moved, m->plan->target->dram_burst);

	if (command->input.segment < TV_SEGMENT_COUNT || copy->until || !piece)
		return;
	copy->until = m->now + up(piece, BYTES_COPY);
	copy->wake = copy->until;
}

static void ask_for_copy(struct machine *m, const struct work *work)
{
	struct copy *copy = &m->copy;
	uint64_t bytes = work->command->copy_bytes, asked;

	if (work->command->input.segment >= TV_SEGMENT_COUNT)
		return;
	/* What goes back to DRAM waits in the store DMA's buffer. */
	if (work->stored)
		bytes = earlier(bytes, copy->moved + (uint64_t)BYTES_STORE);
	asked = copy->before + bytes;
	if (asked <= copy->q.asked)
		return;
	copy->d.asked = asked;
	m->moved = true;
}

static void end_copy(struct machine *m, const struct tv_command *command)
{
	struct copy *copy = &m->copy;

	if (command->input.segment < TV_SEGMENT_COUNT)
		copy->before += command->copy_bytes;
	copy->active = false;
	copy->d.popped++;
	m->moved = true;
}

void copy_evaluate(struct machine *m)
{
	struct copy *copy = &m->copy;
	const struct work *work;
	uint32_t come;

	copy->wake = NEVER;
	copy->written = false;
	if (copy->q.popped == m->engines.q.copies)
		return;
	copy->command = m->engines.copies[copy->q.popped % COPIES];
	work = work_of(m, copy->command);
	if (!copy->active) {
		if (!scoreboard_in_order(m, copy->command))
			return;
		copy->active = true;
		copy->moved = 0;
		copy->until = 0;
	}
	if (work->stored && !store_has_room(m))
		return;
	come = bytes_come(m, work->command);
	if (come > copy->moved) {
		if (work->stored)
			copy->d.stored += come - copy->moved;
		copy->written_from = copy->moved;
		copy->moved = come;
		copy->written = true;
		m->moved = true;
	}
	if (copy->moved == work->command->copy_bytes) {
		end_copy(m, work->command);
		return;
	}
	ask_for_copy(m, work);
	move_onchip(m, work->command);
}
