/* SPDX-License-Identifier: MIT */
/* A sequence of commands: weights stream ahead of the engines as far as the on-chip memory that the
 * operands leave allows, from one job into the next. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "rtl-model/command.h"
#include "rtl-model/timing-private.h"

/* What the DRAM channel and the engines have done so far. */
struct clock {
	double stream; /* the DRAM channel has brought all weights asked for so far */
	double operands; /* and moved all other operands, which go first */
	double engines; /* the engines are free from then on */
	double bytes_per_cycle;
	uint64_t ring; /* bytes for streamed weights */
};

/* A chunk of weights that is or was in the ring. */
struct chunk {
	uint64_t size;
	double loaded; /* in the ring from then on */
	double freed; /* its space is free from then on */
};

static double later(double a, double b)
{
	return a > b ? a : b;
}

/* Weights and copies: one after the other, with what operands leave of the channel. */
static double transfer_stream(struct clock *clock, double from, uint64_t bytes)
{
	clock->stream = later(from, clock->stream) + (double)bytes / clock->bytes_per_cycle;
	return clock->stream;
}

/* Other operands: at once, and the stream stands still meanwhile. */
static double transfer_operands(struct clock *clock, double from, uint64_t bytes)
{
	double cycles = (double)bytes / clock->bytes_per_cycle;

	clock->operands = later(from, clock->operands) + cycles;
	clock->stream = later(clock->stream, from) + cycles;
	return clock->operands;
}

/* All chunks of a job sequence in stream order: the loads depend on when space is given back, which
 * depends on the engines, which depend on earlier loads only: one pass in order settles both. */
struct stream {
	struct chunk *chunks;
	size_t count; /* loaded so far */
	size_t oldest; /* not yet waited for to be freed */
	size_t used; /* computed with so far */
	uint64_t held; /* bytes of [oldest, count) */
	uint64_t ahead; /* bytes of [used, count) */
};

static void load_chunk(struct clock *clock, struct stream *stream, uint64_t bytes)
{
	/* What does not fit at all takes the whole ring: slow, but it does not stop. */
	uint64_t size = bytes < clock->ring ? bytes : clock->ring;
	double space = 0;

	while (stream->held + size > clock->ring) {
		const struct chunk *chunk = &stream->chunks[stream->oldest++];

		stream->held -= chunk->size;
		space = chunk->freed;
	}
	stream->held += size;
	stream->ahead += size;
	stream->chunks[stream->count++] =
		(struct chunk){ .size = size, .loaded = transfer_stream(clock, space, bytes) };
}

/* So far back a COPY is looked for that brought a command's weights on chip; one before that has
 * long come to its end. */
#define COPY_DISTANCE 256

/* Of a job: memory is bounded whatever a program says. */
#define CHUNKS_MAX (1u << 20)

struct planned {
	struct tv_timing_command timing;
	unsigned int parts; /* the weights come in so many equal chunks, one after the other */
	bool streamed; /* weights come through the ring */
	unsigned int copy; /* index + 1 of the COPY that brings the weights on chip, or 0 */
	double finish; /* of the command, in the latest job */
};

/* A program, and room to run a few jobs of it. */
struct plan {
	struct planned *commands;
	uint32_t count;
	struct chunk *chunks;
	struct clock clock; /* before the first job */
};

static void plan_done(struct plan *plan)
{
	free(plan->commands);
	free(plan->chunks);
}

/* The latest COPY before command i that writes where its weights lie on chip. */
static unsigned int find_copy(const struct tv_command *commands, unsigned int i)
{
	unsigned int end = i > COPY_DISTANCE ? i - COPY_DISTANCE : 0;

	for (unsigned int j = i; j-- > end;)
		if (commands[j].opcode == TV_OP_COPY &&
		    commands[j].output.segment == commands[i].weights.segment &&
		    commands[j].output.offset == commands[i].weights.offset)
			return j + 1;
	return 0;
}

static int plan_program(struct plan *plan, const struct tv_target *target, uint32_t onchip,
			const struct tv_command *commands, uint32_t count, unsigned int jobs,
			struct tv_error *error)
{
	size_t chunks = 0;

	plan->clock.bytes_per_cycle = (double)target->dram_mb_s / target->clock_mhz;
	plan->clock.ring = onchip < target->onchip ? target->onchip - onchip : 0;
	plan->count = count;
	plan->commands = calloc(count + !count, sizeof(*plan->commands));
	if (!plan->commands)
		return tv_error_oom(error);
	for (uint32_t i = 0; i < count; i++) {
		struct planned *planned = &plan->commands[i];
		const struct tv_timing_command *timing = &planned->timing;

		tv_timing_of_command(target, &commands[i], &planned->timing);
		planned->streamed = timing->weights && in_dram(&commands[i].weights);
		if (timing->weights && !planned->streamed)
			planned->copy = find_copy(commands, i);
		planned->parts = timing->chunk ? (unsigned int)up(timing->weights, timing->chunk) :
						 1;
		chunks += planned->streamed ? planned->parts : 0;
	}
	/* Not what a compiler makes: the weights of a command come all at once then. */
	for (uint32_t i = 0; i < count && chunks > CHUNKS_MAX; i++)
		plan->commands[i].parts = 1;
	if (chunks > CHUNKS_MAX)
		chunks = count;
	plan->chunks = calloc(chunks * jobs + 1, sizeof(*plan->chunks));
	return plan->chunks ? 0 : tv_error_oom(error);
}

/* Jobs of a plan on their way. */
struct run {
	const struct plan *plan;
	size_t total; /* commands of all jobs */
	struct clock clock;
	struct stream stream;
	size_t next; /* command whose weights are loaded next */
	unsigned int next_part;
};

/* How far the loads may run ahead of the engines: stream order is program order, and a chunk's
 * space is known to be free only once the engines' time for the chunk before is known, so before
 * each chunk is computed all chunks that fit without waiting for it are loaded: at least that one,
 * then whatever needs no space of it. */
static void load_ahead(struct run *run)
{
	while (run->next < run->total) {
		const struct planned *ahead = &run->plan->commands[run->next % run->plan->count];
		uint64_t bytes = up(ahead->timing.weights, ahead->parts);

		if (!ahead->streamed) {
			run->next++;
			continue;
		}
		if (run->stream.ahead && run->stream.ahead + bytes > run->clock.ring)
			break;
		load_chunk(&run->clock, &run->stream, bytes);
		if (++run->next_part == ahead->parts) {
			run->next_part = 0;
			run->next++;
		}
	}
}

static void wait_for_weights(struct clock *clock, double loaded)
{
	clock->engines = later(clock->engines, loaded);
}

static void run_command(struct run *run, const struct planned *now)
{
	double step = (double)now->timing.cycles / now->parts;
	struct clock *clock = &run->clock;
	double begin = clock->engines;
	struct chunk *chunk;

	if (now->copy)
		wait_for_weights(clock, run->plan->commands[now->copy - 1].finish);
	for (unsigned int part = 0; part < now->parts; part++) {
		load_ahead(run);
		if (!now->streamed) {
			clock->engines += step;
			continue;
		}
		chunk = &run->stream.chunks[run->stream.used++];
		run->stream.ahead -= chunk->size;
		wait_for_weights(clock, chunk->loaded);
		clock->engines += step;
		chunk->freed = clock->engines;
	}
	if (now->timing.dram)
		clock->engines =
			later(clock->engines, transfer_operands(clock, begin, now->timing.dram));
}

/* ends[j]: when job j has ended. */
static void run_jobs(const struct plan *plan, unsigned int jobs, double *ends)
{
	struct run run = {
		.plan = plan,
		.total = (size_t)plan->count * jobs,
		.clock = plan->clock,
		.stream = { .chunks = plan->chunks },
	};

	for (unsigned int job = 0; job < jobs; job++) {
		/* A copy at a job's end holds the next one up. */
		if (job)
			run.clock.engines = later(run.clock.engines, ends[job - 1]);
		ends[job] = run.clock.engines;
		for (uint32_t i = 0; i < plan->count; i++) {
			struct planned *now = &plan->commands[i];

			if (now->timing.cycles) {
				run_command(&run, now);
				now->finish = run.clock.engines;
			} else { /* COPY: the channel alone */
				now->finish = transfer_stream(&run.clock, run.clock.engines,
							      now->timing.dram);
			}
			ends[job] = later(ends[job], now->finish);
		}
	}
}

int tv_timing_estimate(const struct tv_target *target, const struct tv_program_header *header,
		       const struct tv_command *commands, double *ret, struct tv_error *error)
{
	enum {
		JOBS = 4
	};
	_cleanup_(plan_done) struct plan plan = { 0 };
	double ends[JOBS];
	int r;

	r = plan_program(&plan, target, header->onchip, commands, header->commands, JOBS, error);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < plan.count; i++) {
		const struct planned *planned = &plan.commands[i];

		if (planned->streamed && planned->timing.chunk > plan.clock.ring)
			return tv_error_set(error, -ENOSPC,
					    "command %u needs %" PRIu64
					    " bytes of weights on chip at once, %" PRIu64
					    " are left",
					    i, planned->timing.chunk, plan.clock.ring);
	}
	/* Two jobs fill the pipe, the others are counted. */
	run_jobs(&plan, JOBS, ends);
	*ret = (ends[JOBS - 1] - ends[1]) / (JOBS - 2);
	return 0;
}
