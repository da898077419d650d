/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "rtl-model/command.h"
#include "rtl-model/timing.h"

#define ROW_LANES 8 /* columns of a map that R-MAC takes at once in depthwise mode */

static uint64_t up(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Both engines on a dense stage over so many pixels: 2^split blocks of outputs at once, the groups
 * left over take different pixels, 8 inputs a cycle. */
static uint64_t dense_cycles(const struct tv_target *target, const struct tv_dense *dense,
			     uint64_t pixels)
{
	return dense->passes * dense->steps * up(pixels, target->groups >> dense->split);
}

/* R-MAC on a depthwise stage over rows of one map: a group takes 8 channels of 8 columns and one
 * tap a cycle. */
static uint64_t depthwise_cycles(const struct tv_target *target, const struct tv_command *command,
				 uint64_t rows)
{
	uint64_t units =
		up(tv_map_width(command), ROW_LANES) * up(command->channels, TV_LANE_INPUTS) * rows;

	return up(units, target->groups) * command->stage[0].kernel * command->stage[0].kernel;
}

/*
 * Depthwise tile t + 1 on R-MAC while MAT runs the 1x1 of tile t; when its tile is done, R-MAC
 * turns to the 1x1 as well. So the two together take half their sum, at least the depthwise part;
 * MAT has nothing to do during the first tile. The next image's first follows the last's at once.
 */
static uint64_t separable_cycles(const struct tv_target *target, const struct tv_command *command)
{
	struct tv_dense dense = tv_dense_of(command);
	uint64_t height = tv_map_height(command), width = tv_map_width(command);
	uint64_t rows = command->tile_rows ? command->tile_rows : height;
	uint64_t last_rows = (height - 1) % rows + 1;
	uint64_t first = depthwise_cycles(target, command, rows);
	uint64_t last = dense_cycles(target, &dense, last_rows * width);
	uint64_t before = last, image = 0;

	for (uint64_t row = 0; row < height; row += rows) {
		uint64_t now = row + rows <= height ? rows : last_rows;
		uint64_t depthwise = depthwise_cycles(target, command, now);

		image += max64(depthwise, up(depthwise + 2 * before, 2));
		before = dense_cycles(target, &dense, now * width);
	}
	return image * command->images + last - (max64(first, up(first + 2 * last, 2)) - first);
}

/*
 * R-MAC: k^T v of a head, 8 tokens a step, 8 outputs a group. MAT: the divisors of the head before
 * it (one output, so one of 8 lanes), then its dividends, a token a group.
 */
static uint64_t attention_cycles(const struct tv_target *target, const struct tv_command *command)
{
	uint64_t dim = command->head_dim;
	uint64_t heads = (uint64_t)command->channels / (3 * dim) * command->images;
	uint64_t tokens = (uint64_t)command->height * command->width;
	uint64_t steps = up(dim, TV_LANE_INPUTS);
	uint64_t product =
		up(dim * dim, TV_LANE_INPUTS * target->groups) * up(tokens, TV_LANE_INPUTS);
	uint64_t quotient = up(tokens, target->groups) * steps * (1 + steps);

	return product + (heads - 1) * max64(product, quotient) + quotient + TV_TIMING_LATENCY;
}

static bool in_dram(const struct tv_operand *operand)
{
	return operand->segment < TV_SEGMENT_COUNT;
}

void tv_timing_of_command(const struct tv_target *target, const struct tv_command *command,
			  struct tv_timing_command *ret)
{
	struct tv_timing_command timing = { .macs = tv_command_macs(command) };
	struct tv_access accesses[TV_ACCESSES_MAX];
	uint64_t pixels, outputs, lanes = target->epilogue_lanes, again = 1;
	struct tv_dense dense;
	unsigned int count;

	count = tv_command_accesses(command, accesses);
	if (command->opcode == TV_OP_COPY) {
		timing.dram = (in_dram(&command->input) + in_dram(&command->output)) *
			      (uint64_t)command->copy_bytes;
		*ret = timing;
		return;
	}
	timing.weights = accesses[0].size;
	timing.chunk = timing.weights;
	pixels = (uint64_t)command->images * tv_map_height(command) * tv_map_width(command);
	outputs = pixels * command->out_channels;
	switch (command->opcode) {
	case TV_OP_CONV:
	case TV_OP_CONV_POOL:
		dense = tv_dense_of(command);
		timing.engines = dense_cycles(target, &dense, pixels);
		/* Without tiles the passes go over the whole map, one after the other: only one
		 * pass's weights are needed at once, but input in DRAM is read by each. */
		if (!command->tile_rows) {
			timing.chunk = up(timing.weights, dense.passes);
			again = dense.passes;
		}
		break;
	case TV_OP_DEPTHWISE:
		timing.engines =
			depthwise_cycles(target, command, tv_map_height(command)) * command->images;
		break;
	case TV_OP_SEPARABLE:
		timing.engines = separable_cycles(target, command);
		outputs += pixels * command->channels;
		break;
	case TV_OP_ATTENTION:
		timing.engines = attention_cycles(target, command);
		break;
	case TV_OP_NORM:
		/* one pass for the sums, one to apply them, the square root between */
		outputs *= 2;
		timing.engines = (uint64_t)command->images * 96;
		break;
	}
	timing.epilogue = up(outputs, lanes);
	timing.cycles = max64(timing.engines, timing.epilogue) + TV_TIMING_LATENCY;
	if (command->opcode == TV_OP_NORM)
		timing.cycles = timing.engines + timing.epilogue + TV_TIMING_LATENCY;
	for (unsigned int i = 1; i < count; i++)
		if (accesses[i].segment < TV_SEGMENT_COUNT)
			timing.dram += accesses[i].size *
				       (accesses[i].right == TV_SEGMENT_READ && i == 1 ? again : 1);
	*ret = timing;
}

/* What the DRAM channel and the engines have done so far. */
struct clock {
	double stream; /* the DRAM channel has brought all weights asked for so far */
	double operands; /* and moved all other operands, which go first */
	double engines; /* the engines are free from then on */
	double engines_busy, weights_wait, dram_wait;
	uint64_t bytes;
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
	clock->bytes += bytes;
	return clock->stream;
}

/* Other operands: at once, and the stream stands still meanwhile. */
static double transfer_operands(struct clock *clock, double from, uint64_t bytes)
{
	double cycles = (double)bytes / clock->bytes_per_cycle;

	clock->operands = later(from, clock->operands) + cycles;
	clock->stream = later(clock->stream, from) + cycles;
	clock->bytes += bytes;
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

static void load_chunk(struct clock *clock, struct stream *stream, uint64_t size)
{
	double space = 0;

	while (stream->held + size > clock->ring) {
		const struct chunk *chunk = &stream->chunks[stream->oldest++];

		stream->held -= chunk->size;
		space = chunk->freed;
	}
	stream->held += size;
	stream->ahead += size;
	stream->chunks[stream->count++] =
		(struct chunk){ .size = size, .loaded = transfer_stream(clock, space, size) };
}

struct planned {
	struct tv_timing_command timing;
	unsigned int chunks; /* the weights come in so many equal parts, one after the other */
	bool streamed; /* weights come through the ring */
	unsigned int copy; /* index + 1 of the COPY that brings the weights on chip, or 0 */
};

/* The latest COPY before command i that writes where its weights lie on chip. */
static unsigned int find_copy(const struct tv_command *commands, unsigned int i)
{
	for (unsigned int j = i; j-- > 0;)
		if (commands[j].opcode == TV_OP_COPY &&
		    commands[j].output.segment == commands[i].weights.segment &&
		    commands[j].output.offset == commands[i].weights.offset)
			return j + 1;
	return 0;
}

/* How far the loads may run ahead of the engines: stream order is program order, and a chunk's
 * space is known to be free only once the engines' time for the chunk before is known, so before
 * each chunk is computed all chunks that fit without waiting for it are loaded. */
static void run_jobs(struct clock *clock, const struct planned *plan, unsigned int commands,
		     unsigned int jobs, struct stream *stream, double *copied, double *ends)
{
	size_t next_command = 0, total = (size_t)commands * jobs;
	unsigned int next_part = 0;

	for (size_t i = 0; i < total; i++) {
		const struct planned *now = &plan[i % commands];
		double step = (double)now->timing.cycles / now->chunks;
		double begin = clock->engines;

		if (!now->timing.cycles) { /* COPY: the channel alone */
			copied[i % commands] = transfer_stream(clock, begin, now->timing.dram);
			continue;
		}
		if (now->copy && copied[now->copy - 1] > clock->engines) {
			clock->weights_wait += copied[now->copy - 1] - clock->engines;
			clock->engines = copied[now->copy - 1];
		}
		for (unsigned int part = 0; part < now->chunks; part++) {
			/* Load ahead: at least this chunk, then whatever needs no space of it. */
			while (next_command < total) {
				const struct planned *ahead = &plan[next_command % commands];
				uint64_t size = up(ahead->timing.weights, ahead->chunks);

				if (!ahead->streamed) {
					next_command++;
					continue;
				}
				if (stream->ahead + size > clock->ring)
					break;
				load_chunk(clock, stream, size);
				if (++next_part == ahead->chunks) {
					next_part = 0;
					next_command++;
				}
			}
			if (now->streamed) {
				struct chunk *chunk = &stream->chunks[stream->used++];

				stream->ahead -= chunk->size;
				if (chunk->loaded > clock->engines) {
					clock->weights_wait += chunk->loaded - clock->engines;
					clock->engines = chunk->loaded;
				}
				clock->engines += step;
				chunk->freed = clock->engines;
			} else {
				clock->engines += step;
			}
		}
		clock->engines_busy += (double)now->timing.cycles;
		if (now->timing.dram) {
			double done = transfer_operands(clock, begin, now->timing.dram);

			if (done > clock->engines) {
				clock->dram_wait += done - clock->engines;
				clock->engines = done;
			}
		}
		if (i % commands == commands - 1)
			ends[i / commands] = clock->engines;
	}
}

int tv_timing_of_program(const struct tv_target *target, unsigned int dram_percent,
			 const struct tv_program_header *header, const struct tv_command *commands,
			 struct tv_timing_program *ret, struct tv_error *error)
{
	enum {
		JOBS = 4
	};
	_cleanup_free_ struct planned *plan = calloc(header->commands, sizeof(*plan));
	_cleanup_free_ double *copied = calloc(header->commands, sizeof(*copied));
	struct tv_timing_program result = { .macs = 0 };
	_cleanup_free_ struct chunk *chunks = NULL;
	struct clock clock = { .stream = 0 }, before;
	double ends[JOBS] = { 0 };
	size_t chunk_count = 0;
	struct stream stream;

	if (!plan || !copied)
		return tv_error_oom(error);
	clock.bytes_per_cycle = (double)target->dram_mb_s / target->clock_mhz * dram_percent / 100;
	clock.ring = header->onchip < target->onchip ? target->onchip - header->onchip : 0;
	for (unsigned int i = 0; i < header->commands; i++) {
		tv_timing_of_command(target, &commands[i], &plan[i].timing);
		result.macs += plan[i].timing.macs;
		plan[i].streamed = plan[i].timing.weights && in_dram(&commands[i].weights);
		if (plan[i].timing.weights && !plan[i].streamed)
			plan[i].copy = find_copy(commands, i);
		plan[i].chunks = plan[i].timing.chunk ? (unsigned int)up(plan[i].timing.weights,
									 plan[i].timing.chunk) :
							1;
		if (plan[i].streamed && plan[i].timing.chunk > clock.ring)
			return tv_error_set(error, -ENOSPC,
					    "command %u needs %" PRIu64
					    " bytes of weights on chip at once, %" PRIu64
					    " are left",
					    i, plan[i].timing.chunk, clock.ring);
		chunk_count += plan[i].streamed ? plan[i].chunks : 0;
	}
	chunks = calloc(chunk_count * JOBS + 1, sizeof(*chunks));
	if (!chunks)
		return tv_error_oom(error);
	stream = (struct stream){ .chunks = chunks };
	/* Two jobs fill the pipe, the others are counted: once for the whole run, once for the part
	 * up to the second, which is the same computation cut short. */
	before = clock;
	run_jobs(&before, plan, header->commands, 2, &stream, copied, ends);
	result.cold = ends[0];
	stream = (struct stream){ .chunks = chunks };
	run_jobs(&clock, plan, header->commands, JOBS, &stream, copied, ends);
	result.steady = (ends[JOBS - 1] - ends[1]) / (JOBS - 2);
	result.engines = (clock.engines_busy - before.engines_busy) / (JOBS - 2);
	result.weights_wait = (clock.weights_wait - before.weights_wait) / (JOBS - 2);
	result.dram_wait = (clock.dram_wait - before.dram_wait) / (JOBS - 2);
	result.dram_bytes = clock.bytes / JOBS;
	result.utilisation =
		(double)result.macs / ((double)tv_target_multipliers(target) * result.steady);
	result.images_per_second = header->images * target->clock_mhz * 1e6 / result.steady;
	*ret = result;
	return 0;
}
