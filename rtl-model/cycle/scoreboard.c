/* SPDX-License-Identifier: MIT */
/* Which results of the commands in flight are where others may read them. */
#include <string.h>

#include "rtl-model/cycle/machine.h"

static const struct tv_operand *operand_of(const struct tv_command *command, enum relation operand)
{
	switch (operand) {
	case WRITES_INPUT:
		return &command->input;
	case WRITES_SHORTCUT:
		return &command->shortcut;
	default:
		return &command->weights;
	}
}

static bool has_ended(const struct machine *m, uint64_t command)
{
	return command < m->scoreboard.retired || m->scoreboard.flights[command % WINDOW].complete;
}

uint64_t scoreboard_available(const struct machine *m, uint64_t command, enum relation operand)
{
	const struct work *work = work_of(m, command);
	uint64_t available = work->extent[operand];
	uint64_t begin = operand_of(work->command, operand)->offset;

	for (size_t i = work->first_related[operand]; i < work->first_related[operand + 1]; i++) {
		uint64_t other = m->plan->related[i], written;
		const struct tv_command *writer = work_of(m, other)->command;

		if (has_ended(m, other))
			continue;
		written = (uint64_t)m->scoreboard.flights[other % WINDOW].final *
			  (writer->opcode == TV_OP_COPY ? 1 : writer->output.pitch);
		written += writer->output.offset;
		if (written <= begin)
			return 0;
		available = earlier(available, written - begin);
	}
	return available;
}

bool scoreboard_in_order(const struct machine *m, uint64_t command)
{
	const struct work *work = work_of(m, command);

	for (size_t i = work->first_related[IN_ORDER]; i < work->first_related[RELATIONS]; i++)
		if (!has_ended(m, m->plan->related[i]))
			return false;
	return true;
}

/* Results up to final are where they belong, or, of those in DRAM, on their way there. */
static void put_out(struct machine *m, uint64_t command, uint32_t final, bool last)
{
	struct scoreboard *scoreboard = &m->scoreboard;
	struct flight *flight = flight_of(m, command);

	m->moved = true;
	if (!work_of(m, command)->stored) {
		flight->final = final;
		flight->complete = last;
		return;
	}
	scoreboard->marks[scoreboard->marked++ % MARKS] = (struct mark){
		.position = m->epilogue.d.stored + m->copy.d.stored + m->control.d.stored,
		.command = command,
		.final = final,
		.last = last,
	};
}

static void take_result(struct machine *m, const struct task *task)
{
	bool last = task->number + 1 == work_of(m, task->command)->tasks;

	if (task->final || last)
		put_out(m, task->command, task->final, last);
}

static void take_acknowledgements(struct machine *m)
{
	struct scoreboard *scoreboard = &m->scoreboard;
	uint64_t acknowledged = m->memory.d.delivered[CLIENT_STORE];

	while (scoreboard->unmarked != scoreboard->marked) {
		const struct mark *mark = &scoreboard->marks[scoreboard->unmarked % MARKS];
		struct flight *flight = flight_of(m, mark->command);

		if (mark->position > acknowledged)
			break;
		flight->final = mark->final;
		flight->complete = mark->last;
		scoreboard->unmarked++;
		m->moved = true;
	}
}

static void retire(struct machine *m)
{
	struct scoreboard *scoreboard = &m->scoreboard;
	uint64_t command = scoreboard->retired;
	struct tv_cycle_command *told = told_of(m, command);

	data_end(m, command);
	if (told)
		told->end = m->now + 1;
	memset(flight_of(m, command), 0, sizeof(struct flight));
	scoreboard->retired++;
	m->moved = true;
}

void scoreboard_edge(struct machine *m)
{
	const struct copy *copy = &m->copy;
	const struct epilogue *epilogue = &m->epilogue;

	if (epilogue->written) {
		data_write(m, &epilogue->write);
		if (!epilogue->write.first)
			take_result(m, &epilogue->write);
	}
	if (copy->written) {
		data_copy(m, copy->command, copy->written_from, copy->moved);
		put_out(m, copy->command, copy->moved,
			copy->moved == work_of(m, copy->command)->command->copy_bytes);
	}
	take_acknowledgements(m);
	while (flight_of(m, m->scoreboard.retired)->complete)
		retire(m);
}
