/* SPDX-License-Identifier: MIT */
/* The DRAM channel, and the fetch of commands. */
#include "rtl-model/cycle/machine.h"

/* --- the channel ---------------------------------------------------------------------------- */

void memory_reset(struct machine *m)
{
	const struct tv_target *target = m->plan->target;

	m->memory.rate = (uint64_t)target->dram_mb_s * m->options->dram_percent;
	m->memory.cost = (uint64_t)target->clock_mhz * 100;
	m->memory.end = m->memory.wake = NEVER;
}

static uint64_t asked_by(const struct machine *m, enum client client)
{
	switch (client) {
	case CLIENT_FETCH:
		return m->fetch.q.asked;
	case CLIENT_STORE:
		return m->store.q.asked;
	case CLIENT_INPUT:
		return m->input.q.asked;
	case CLIENT_SHORTCUT:
		return m->shortcut.q.asked;
	case CLIENT_WEIGHTS:
		return m->weights.q.asked;
	case CLIENT_COPY:
		return m->copy.q.asked;
	default:
		return 0;
	}
}

/* Fractions of a cycle are carried over as long as the wires do not fall idle. */
static void transfer_first(struct machine *m)
{
	struct memory *memory = &m->memory;
	const struct burst *burst = &memory->queue[memory->first % TV_ARRAY_SIZE(memory->queue)];
	uint64_t start = later(m->now, burst->ready), needed = burst->bytes * memory->cost, cycles;

	if (start > m->now)
		memory->credit = 0;
	needed -= earlier(needed, memory->credit);
	cycles = later(up(needed, memory->rate), 1);
	memory->credit = earlier(cycles * memory->rate - needed, memory->rate - 1);
	memory->end = start + cycles;
	report(m, TV_CYCLE_DMA, NEVER, start, memory->end);
	m->jobs[m->control.q.job].busy[TV_CYCLE_DMA] += cycles;
	m->jobs[m->control.q.job].bytes += burst->bytes;
}

static void end_transfer(struct machine *m)
{
	struct memory *memory = &m->memory;
	const struct burst *burst = &memory->queue[memory->first % TV_ARRAY_SIZE(memory->queue)];

	memory->d.delivered[burst->client] += burst->bytes;
	memory->first++;
	memory->count--;
	memory->end = NEVER;
	m->moved = true;
	if (memory->count)
		transfer_first(m);
}

static void issue(struct machine *m)
{
	const struct tv_target *target = m->plan->target;
	struct memory *memory = &m->memory;

	if (memory->count == target->dram_outstanding)
		return;
	for (unsigned int i = 0; i < CLIENTS; i++) {
		uint64_t left = asked_by(m, i) - memory->issued[i];
		unsigned int at = memory->first + memory->count;

		if (!left)
			continue;
		memory->queue[at % TV_ARRAY_SIZE(memory->queue)] = (struct burst){
			.client = i,
			.bytes = (uint32_t)earlier(left, target->dram_burst),
			.ready = m->now + target->dram_latency,
		};
		memory->issued[i] += earlier(left, target->dram_burst);
		if (!memory->count++)
			transfer_first(m);
		m->moved = true;
		return;
	}
}

void memory_evaluate(struct machine *m)
{
	if (m->now >= m->memory.end)
		end_transfer(m);
	issue(m);
	m->memory.wake = m->memory.end;
}

/* --- fetch ---------------------------------------------------------------------------------- */

void fetch_evaluate(struct machine *m)
{
	uint64_t last = earlier(m->scoreboard.retired + WINDOW, m->plan->count);
	uint64_t delivered = m->memory.q.delivered[CLIENT_FETCH];
	struct fetch *fetch = &m->fetch;

	while (fetch->d.commands < m->plan->count &&
	       work_of(m, fetch->d.commands)->fetched <= delivered)
		fetch->d.commands++;
	fetch->d.asked = later(last ? work_of(m, last - 1)->fetched : 0,
			       m->plan->jobs[m->control.q.job].head);
	if (fetch->d.commands != fetch->q.commands || fetch->d.asked != fetch->q.asked)
		m->moved = true;
}
