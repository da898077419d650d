/* SPDX-License-Identifier: MIT */
/* What is known of a program before the clock starts: loop bounds, streams, and which commands have
 * to do with each other. */
#include <stdlib.h>

#include "rtl-model/cycle/machine.h"

static bool in_dram(uint8_t segment)
{
	return segment < TV_SEGMENT_COUNT;
}

/* --- loops ---------------------------------------------------------------------------------- */

/* Channels of a half of a block that there are; the last block of each group may have fewer. */
static uint32_t channels_of_half(const struct work *work, uint32_t block, unsigned int half)
{
	uint32_t blocks = tv_divide_up(work->dense.out, TV_BLOCK_OUTPUTS);
	uint32_t first = block % blocks * TV_BLOCK_OUTPUTS + half * TV_LANE_INPUTS;
	uint32_t left = first < work->dense.out ? work->dense.out - first : 0;

	return left < TV_LANE_INPUTS ? left : TV_LANE_INPUTS;
}

static uint32_t blocks_of_pass(const struct work *work, uint32_t pass)
{
	uint32_t left = work->dense.blocks - (pass << work->dense.split);

	return left < 1u << work->dense.split ? left : 1u << work->dense.split;
}

uint32_t work_outputs(const struct work *work, uint32_t pass, unsigned int half)
{
	uint32_t blocks = blocks_of_pass(work, pass), outputs = 0;

	if (work->dense.out % TV_BLOCK_OUTPUTS == 0)
		return blocks * TV_LANE_INPUTS;
	for (uint32_t b = 0; b < blocks; b++)
		outputs += channels_of_half(work, (pass << work->dense.split) + b, half);
	return outputs;
}

uint64_t work_weights(const struct work *work, uint32_t pass)
{
	uint64_t blocks = ((uint64_t)pass + 1) << work->dense.split;

	if (pass + 1 == work->dense.passes || !work->passes_outermost)
		return work->weights[1];
	return tv_weights_layout(work->command).weights[0] +
	       blocks * work->dense.steps * TV_BLOCK_STEP;
}

/* Halves of all passes that have an output at all. */
static uint64_t halves(const struct work *work)
{
	uint64_t count = 2 * (uint64_t)work->dense.passes;

	if (work->dense.out % TV_BLOCK_OUTPUTS == 0)
		return count;
	for (uint32_t pass = 0; pass < work->dense.passes; pass++)
		count -= !work_outputs(work, pass, 1);
	return count;
}

static void set_dense(struct work *work, const struct tv_target *target)
{
	const struct tv_command *command = work->command;

	work->has_dense = true;
	work->dense = tv_dense_of(command);
	work->pixels_a_task = target->groups >> work->dense.split;
	work->passes_outermost = command->opcode != TV_OP_SEPARABLE && !command->tile_rows;
}

static uint64_t dense_tasks(const struct work *work, uint64_t pixels)
{
	return up(pixels, work->pixels_a_task) * halves(work);
}

static void set_loops(struct work *work, const struct tv_target *target)
{
	const struct tv_command *command = work->command;
	uint64_t images = command->images, rows, last;

	work->tiles = work->tiles_an_image = 1;
	if (command->opcode == TV_OP_COPY) {
		work->tasks = 1;
		return;
	}
	work->height = tv_map_height(command);
	work->width = tv_map_width(command);
	switch (command->opcode) {
	case TV_OP_CONV:
	case TV_OP_CONV_POOL:
		set_dense(work, target);
		work->pool = command->opcode == TV_OP_CONV_POOL;
		work->tasks = dense_tasks(work, images * work->height * work->width);
		break;
	case TV_OP_DEPTHWISE:
	case TV_OP_SEPARABLE:
		work->has_depthwise = true;
		work->column_blocks = tv_divide_up(work->width, COLUMNS);
		work->channel_blocks = tv_divide_up(command->channels, TV_LANE_INPUTS);
		work->tile_rows = work->height;
		if (command->opcode == TV_OP_DEPTHWISE) {
			work->tiles = command->images;
			work->tasks = images * up((uint64_t)work->height * work->column_blocks *
							  work->channel_blocks,
						  target->groups);
			break;
		}
		set_dense(work, target);
		if (command->tile_rows)
			work->tile_rows = command->tile_rows;
		work->tiles_an_image = tv_divide_up(work->height, work->tile_rows);
		work->tiles = command->images * work->tiles_an_image;
		rows = work->tile_rows;
		last = (work->height - 1) % rows + 1;
		work->tasks = images *
			      ((work->tiles_an_image - 1) * dense_tasks(work, rows * work->width) +
			       dense_tasks(work, last * work->width));
		break;
	case TV_OP_ATTENTION:
		work->tiles_an_image = command->out_channels / command->head_dim;
		work->tiles = command->images * work->tiles_an_image;
		work->pixels_a_task = target->groups;
		work->tasks =
			work->tiles * up((uint64_t)work->height * work->width, target->groups);
		break;
	case TV_OP_POOL:
		work->tasks = images * command->height;
		break;
	case TV_OP_NORM:
		work->tasks = images * work->height * work->width;
		break;
	}
}

/* --- operands ------------------------------------------------------------------------------- */

/* A command's accesses by their role; those that it lacks have no bytes. */
struct accesses {
	struct tv_access weights, input, shortcut, output;
};

static struct accesses accesses_of(const struct tv_command *command)
{
	struct tv_access list[TV_ACCESSES_MAX];
	unsigned int count = tv_command_accesses(command, list);
	bool copy = command->opcode == TV_OP_COPY;
	struct accesses ret = { .output = list[count - 1], .input = list[!copy] };

	if (!copy)
		ret.weights = list[0];
	if (count == TV_ACCESSES_MAX)
		ret.shortcut = list[2];
	return ret;
}

static void set_operands(struct work *work, const struct accesses *accesses)
{
	const struct tv_weights_layout layout = tv_weights_layout(work->command);
	uint32_t sweeps = work->passes_outermost ? work->dense.passes : 1;

	work->extent[WRITES_INPUT] = accesses->input.size;
	work->extent[WRITES_SHORTCUT] = accesses->shortcut.size;
	work->extent[WRITES_WEIGHTS] = accesses->weights.size;
	work->stored = in_dram(accesses->output.segment);
	work->weights[1] = layout.size;
	work->weights[0] = work->command->opcode == TV_OP_SEPARABLE ? layout.records[1] :
								      layout.size;
	/* A copy's are its own unit's. */
	if (work->command->opcode == TV_OP_COPY)
		return;
	if (in_dram(accesses->input.segment))
		work->sweeps[WRITES_INPUT] = sweeps;
	if (accesses->shortcut.size && in_dram(accesses->shortcut.segment))
		work->sweeps[WRITES_SHORTCUT] = sweeps;
	if (accesses->weights.size && in_dram(accesses->weights.segment))
		work->sweeps[WRITES_WEIGHTS] = 1;
}

static void set_streams(struct plan *plan)
{
	uint64_t total[RELATIONS] = { 0 };

	for (uint64_t i = 0; i <= plan->count; i++) {
		struct work *work = &plan->works[i];

		for (unsigned int r = 0; r < RELATIONS; r++) {
			work->before[r] = total[r];
			total[r] += work->sweeps[r] * work->extent[r];
		}
	}
}

/* --- who has to wait for whom --------------------------------------------------------------- */

static bool meet(const struct tv_access *a, const struct tv_access *b)
{
	return a->size && b->size && a->segment == b->segment && a->offset < b->offset + b->size &&
	       b->offset < a->offset + a->size;
}

static bool related(const struct work *works, const struct accesses *accesses, uint64_t now,
		    uint64_t before, enum relation relation)
{
	const struct accesses *a = &accesses[now], *b = &accesses[before];
	bool copy = works[now].command->opcode == TV_OP_COPY;

	switch (relation) {
	case WRITES_INPUT:
		return !copy && meet(&a->input, &b->output);
	case WRITES_SHORTCUT:
		return meet(&a->shortcut, &b->output);
	case WRITES_WEIGHTS:
		return meet(&a->weights, &b->output);
	default:
		break;
	}
	/* A copy runs beside the engines, which otherwise keep their order. */
	if (copy)
		return meet(&a->input, &b->output) || meet(&a->output, &b->output) ||
		       meet(&a->output, &b->input) || meet(&a->output, &b->shortcut) ||
		       meet(&a->output, &b->weights);
	return works[before].command->opcode == TV_OP_COPY &&
	       (meet(&a->output, &b->input) || meet(&a->output, &b->output));
}

static int add_related(struct plan *plan, size_t *count, size_t *room, uint64_t command,
		       struct tv_error *error)
{
	uint64_t *more;

	if (*count == *room) {
		*room = *room ? 2 * *room : 256;
		more = reallocarray(plan->related, *room, sizeof(*more));
		if (!more)
			return tv_error_oom(error);
		plan->related = more;
	}
	plan->related[(*count)++] = command;
	return 0;
}

static int set_related(struct plan *plan, const struct accesses *accesses, struct tv_error *error)
{
	size_t count = 0, room = 0;
	int r;

	for (uint64_t i = 0; i < plan->count; i++) {
		struct work *work = &plan->works[i];
		uint64_t oldest =
			later(i < WINDOW ? 0 : i - WINDOW + 1, plan->jobs[work->job].first);

		for (unsigned int relation = 0; relation < RELATIONS; relation++) {
			work->first_related[relation] = count;
			for (uint64_t j = oldest; j < i; j++) {
				if (!related(plan->works, accesses, i, j, relation))
					continue;
				r = add_related(plan, &count, &room, j, error);
				if (r < 0)
					return r;
			}
		}
		work->first_related[RELATIONS] = count;
	}
	return 0;
}

static void set_job(struct plan *plan, unsigned int index, const struct tv_cycle_program *program,
		    uint64_t first, uint64_t fetched)
{
	uint64_t onchip = plan->target->onchip;

	plan->jobs[index] = (struct planned_job){
		.first = first,
		.end = first + program->count,
		.head = fetched + BYTES_DESCRIPTOR + TV_PROGRAM_HEADER_SIZE,
		.ring = program->onchip < onchip ? onchip - program->onchip : 0,
	};
	for (uint32_t i = 0; i < program->count; i++) {
		struct work *work = &plan->works[first + i];

		work->command = &program->commands[i];
		work->job = index;
		work->fetched = plan->jobs[index].head + (i + 1ull) * TV_COMMAND_SIZE;
	}
}

int plan_make(struct plan *plan, const struct tv_target *target,
	      const struct tv_cycle_program *const *programs, unsigned int jobs,
	      struct tv_error *error)
{
	_cleanup_free_ struct accesses *accesses = NULL;
	uint64_t fetched = 0, first = 0;

	plan->target = target;
	plan->job_count = jobs;
	for (unsigned int i = 0; i < jobs; i++)
		plan->count += programs[i]->count;
	plan->works = calloc(plan->count + 1, sizeof(*plan->works));
	plan->jobs = calloc(jobs, sizeof(*plan->jobs));
	accesses = calloc(plan->count + 1, sizeof(*accesses));
	if (!accesses || !plan->works || !plan->jobs)
		return tv_error_oom(error);
	plan->works[plan->count].job = jobs;
	for (unsigned int i = 0; i < jobs; i++) {
		set_job(plan, i, programs[i], first, fetched);
		first = plan->jobs[i].end;
		fetched = plan->jobs[i].head + (uint64_t)programs[i]->count * TV_COMMAND_SIZE;
	}
	for (uint64_t i = 0; i < plan->count; i++) {
		struct work *work = &plan->works[i];

		accesses[i] = accesses_of(work->command);
		set_loops(work, target);
		set_operands(work, &accesses[i]);
	}
	set_streams(plan);
	return set_related(plan, accesses, error);
}

void plan_done(struct plan *plan)
{
	free(plan->works);
	free(plan->jobs);
	free(plan->related);
}
