/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "quantizer/lower-map.h"
#include "quantizer/lower-memory.h"
#include "quantizer/lower-plan.h"
#include "rtl-model/command.h"
#include "rtl-model/timing.h"

/* One node, or two that run as one command. */
struct chain {
	uint8_t opcode; /* enum tv_opcode */
	int nodes[2];
};

/*
 * One way to lower a network: the images go through the chains before `together` one by one (their
 * maps are large, their weights few), then all at once through the rest (small maps, many weights,
 * which are loaded once for all images).
 */
struct plan {
	const struct tv_network *network;
	const struct tv_target *target;
	unsigned int images;
	bool keep;
	size_t together;
	uint64_t onchip; /* for operands; the rest streams weights */
	int copied; /* node whose weights a COPY brings on chip, or TV_STEP_NONE */

	struct chain *chains;
	size_t chain_count;
	int *chain_of; /* of each node */
	struct tv_step *steps;
	size_t *step_chain;
	size_t step_count;
	/* One place a value and image, or a value: index * images + image. Values that share a
	 * buffer (the two maps of an attention) have one holder. */
	struct tv_tensor_place *places;
	int *holder; /* the node in whose buffer a node's value lies */
	unsigned int *pitch; /* bytes of a pixel of the holder's buffer */
	unsigned int *column; /* byte at which a value begins in the pixel */
	uint32_t scratch;
	struct tv_tensor_place brought; /* those weights on chip */
};

/* Steps: enough for what is brought on chip to arrive, and a bound to the search. */
#define COPY_AHEAD 48

static void plan_done(struct plan *plan)
{
	free(plan->chains);
	free(plan->chain_of);
	free(plan->steps);
	free(plan->step_chain);
	free(plan->places);
	free(plan->holder);
	free(plan->pitch);
	free(plan->column);
}

static bool is_depthwise(const struct tv_node *node)
{
	return node->kind == TV_NODE_CONV && node->groups > 1 &&
	       node->groups == node->in_channels && node->groups == node->out_channels;
}

static unsigned int users_of(const struct tv_network *network, int index)
{
	unsigned int users = 0;

	for (size_t i = 0; i < network->count; i++)
		users += (network->nodes[i].input == index) + (network->nodes[i].input2 == index) +
			 (network->nodes[i].shortcut == index);
	return users;
}

/* The opcode that runs node i and the next as one command, or 0. */
static uint8_t chain_opcode(const struct plan *plan, size_t i)
{
	const struct tv_node *node = &plan->network->nodes[i], *next = node + 1;
	uint64_t weights;

	if (plan->keep || i + 1 == plan->network->count || next->input != (int)i ||
	    node->shortcut != TV_NETWORK_NONE || users_of(plan->network, (int)i) != 1)
		return 0;
	if (node->kind == TV_NODE_CONV && !is_depthwise(node) && next->kind == TV_NODE_POOL)
		return TV_OP_CONV_POOL;
	if (!is_depthwise(node) || next->kind != TV_NODE_CONV || next->kernel != 1 ||
	    next->stride != 1 || is_depthwise(next))
		return 0;
	/* All weights of a chain are needed at once. Leave room for those of the next command. */
	weights = (uint64_t)next->out_channels * next->in_channels / next->groups;
	return 2 * weights <= plan->target->onchip - plan->onchip ? TV_OP_SEPARABLE : 0;
}

static uint8_t node_opcode(const struct tv_node *node)
{
	switch (node->kind) {
	case TV_NODE_CONV:
		return is_depthwise(node) ? TV_OP_DEPTHWISE : TV_OP_CONV;
	case TV_NODE_ATTENTION:
		return TV_OP_ATTENTION;
	case TV_NODE_POOL:
		return TV_OP_POOL;
	case TV_NODE_NORM:
		return TV_OP_NORM;
	}
	return 0;
}

static int make_chains(struct plan *plan, struct tv_error *error)
{
	size_t count = plan->network->count;

	plan->chains = calloc(count, sizeof(*plan->chains));
	plan->chain_of = calloc(count, sizeof(*plan->chain_of));
	if (!plan->chains || !plan->chain_of)
		return tv_error_oom(error);
	for (size_t i = 0; i < count; i++) {
		struct chain *chain = &plan->chains[plan->chain_count];
		uint8_t opcode = chain_opcode(plan, i);

		plan->chain_of[i] = (int)plan->chain_count;
		chain->nodes[0] = (int)i;
		chain->nodes[1] = TV_STEP_NONE;
		chain->opcode = opcode ? opcode : node_opcode(&plan->network->nodes[i]);
		if (opcode) {
			chain->nodes[1] = (int)++i;
			plan->chain_of[i] = (int)plan->chain_count;
		}
		plan->chain_count++;
	}
	return 0;
}

static int make_steps(struct plan *plan, struct tv_error *error)
{
	size_t apart = plan->together < plan->chain_count ? plan->together : plan->chain_count;
	size_t most = plan->chain_count * plan->images + 1; /* the COPY */

	plan->steps = calloc(most, sizeof(*plan->steps));
	plan->step_chain = calloc(most, sizeof(*plan->step_chain));
	if (!plan->steps || !plan->step_chain)
		return tv_error_oom(error);
	for (unsigned int image = 0; image < plan->images; image++)
		for (size_t c = 0; c < apart; c++) {
			plan->step_chain[plan->step_count] = c;
			plan->steps[plan->step_count++] = (struct tv_step){
				.nodes = { plan->chains[c].nodes[0], plan->chains[c].nodes[1] },
				.image = image,
				.images = 1,
			};
		}
	for (size_t c = apart; c < plan->chain_count; c++) {
		plan->step_chain[plan->step_count] = c;
		plan->steps[plan->step_count++] = (struct tv_step){
			.nodes = { plan->chains[c].nodes[0], plan->chains[c].nodes[1] },
			.images = plan->images,
		};
	}
	return 0;
}

/* The node whose value a step puts out. */
static int result_of(const struct tv_step *step)
{
	return step->nodes[1] != TV_STEP_NONE ? step->nodes[1] : step->nodes[0];
}

/* What a step reads: the first node's input or inputs and the last one's shortcut. */
static unsigned int values_read(const struct tv_network *network, const struct tv_step *step,
				int ret[3])
{
	const struct tv_node *first = &network->nodes[step->nodes[0]];
	const struct tv_node *last = &network->nodes[result_of(step)];
	unsigned int count = 0;

	if (first->input >= 0)
		ret[count++] = first->input;
	if (first->input2 >= 0)
		ret[count++] = first->input2;
	if (last->shortcut >= 0)
		ret[count++] = last->shortcut;
	return count;
}

static bool is_int16(const struct plan *plan, int index)
{
	const struct tv_node *node = &plan->network->nodes[index];

	return node->role == TV_ROLE_LINEAR1 || node->role == TV_ROLE_LINEAR2;
}

/* The buffer that holds a value: its own, or both maps of an attention side by side. */
static int make_holders(struct plan *plan, struct tv_error *error)
{
	const struct tv_network *network = plan->network;

	plan->holder = calloc(network->count, sizeof(*plan->holder));
	plan->pitch = calloc(network->count, sizeof(*plan->pitch));
	plan->column = calloc(network->count, sizeof(*plan->column));
	if (!plan->holder || !plan->pitch || !plan->column)
		return tv_error_oom(error);
	for (size_t i = 0; i < network->count; i++) {
		plan->holder[i] = (int)i;
		plan->pitch[i] = network->nodes[i].out_channels * (is_int16(plan, (int)i) ? 2 : 1);
	}
	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];

		if (node->kind != TV_NODE_ATTENTION)
			continue;
		plan->holder[node->input2] = node->input;
		plan->column[node->input2] = plan->pitch[node->input];
		plan->pitch[node->input] += plan->pitch[node->input2];
		plan->pitch[node->input2] = plan->pitch[node->input];
	}
	return 0;
}

/* The first place of a value for one image; one that all images share begins at image 0. */
static struct tv_tensor_place *place_of(const struct plan *plan, int value, unsigned int image)
{
	return &plan->places[(size_t)plan->holder[value] * plan->images + image];
}

static uint64_t value_size(const struct plan *plan, int value)
{
	const struct tv_node *node = &plan->network->nodes[value];

	return (uint64_t)node->out_height * node->out_width * plan->pitch[value];
}

/* A value that some step handles for all images at once is one tensor for all of them. */
static void make_tensors(struct plan *plan, bool *shared)
{
	size_t count = plan->network->count;

	for (size_t s = 0; s < plan->step_count; s++) {
		const struct tv_step *step = &plan->steps[s];
		int values[4];
		unsigned int n = values_read(plan->network, step, values);

		values[n++] = result_of(step);
		for (unsigned int v = 0; v < n; v++)
			if (step->images > 1 || plan->images == 1)
				shared[plan->holder[values[v]]] = true;
	}
	for (size_t i = 0; i < count * plan->images; i++)
		plan->places[i] =
			(struct tv_tensor_place){ .segment = TV_SEGMENT_NONE, .first = UINT32_MAX };
	for (size_t s = 0; s < plan->step_count; s++) {
		const struct tv_step *step = &plan->steps[s];
		int values[4];
		unsigned int n = values_read(plan->network, step, values);

		values[n++] = result_of(step);
		for (unsigned int v = 0; v < n; v++) {
			bool all = shared[plan->holder[values[v]]];
			struct tv_tensor_place *place =
				place_of(plan, values[v], all ? 0 : step->image);

			place->size = value_size(plan, values[v]) * (all ? plan->images : 1);
			if (s < place->first)
				place->first = (unsigned int)s;
			if (s > place->last)
				place->last = (unsigned int)s;
		}
	}
	/* The last node's value is the job's output. */
	plan->places[(count - 1) * plan->images].segment = TV_SEGMENT_OUTPUT;
}

static struct tv_operand operand_of(const struct plan *plan, const bool *shared, int value,
				    const struct tv_step *step)
{
	bool all = shared[plan->holder[value]];
	const struct tv_tensor_place *place = place_of(plan, value, all ? 0 : step->image);

	return (struct tv_operand){
		.offset = place->offset + plan->column[value] +
			  (all ? (uint32_t)(step->image * value_size(plan, value)) : 0),
		.pitch = (uint16_t)plan->pitch[value],
		.segment = place->segment,
		.format = is_int16(plan, value) ? TV_FORMAT_INT16 : TV_FORMAT_INT8,
	};
}

static void set_stage(struct tv_stage *stage, const struct tv_node *node)
{
	bool conv = node->kind == TV_NODE_CONV;

	stage->kernel = conv ? (uint8_t)node->kernel : 1;
	stage->stride = conv ? (uint8_t)node->stride : 1;
	/* An attention's ReLU is its own. */
	if (node->kind != TV_NODE_ATTENTION)
		stage->activation = node->activation == TV_ACTIVATION_HARDSWISH ?
					    TV_STAGE_HARDSWISH :
				    node->activation == TV_ACTIVATION_RELU ? TV_STAGE_RELU :
									     TV_STAGE_LINEAR;
}

static void fill_command(const struct plan *plan, const bool *shared, const struct tv_step *step,
			 uint8_t opcode, struct tv_command *ret)
{
	const struct tv_network *network = plan->network;
	const struct tv_node *first = &network->nodes[step->nodes[0]];
	const struct tv_node *last = &network->nodes[result_of(step)];
	struct tv_command command = {
		.opcode = opcode,
		.images = (uint16_t)step->images,
		.height = (uint16_t)first->in_height,
		.width = (uint16_t)first->in_width,
		.channels = (uint16_t)first->in_channels,
		.out_channels = (uint16_t)last->out_channels,
		.shortcut.segment = TV_SEGMENT_NONE,
		.weights.segment = TV_SEGMENT_WEIGHTS,
	};

	set_stage(&command.stage[0], first);
	if (step->nodes[1] != TV_STEP_NONE)
		set_stage(&command.stage[1], last);
	if (opcode == TV_OP_CONV || opcode == TV_OP_CONV_POOL)
		command.groups = (uint16_t)first->groups;
	else if (opcode == TV_OP_SEPARABLE)
		command.groups = (uint16_t)last->groups;
	if (first->kind == TV_NODE_ATTENTION) {
		command.head_dim = (uint16_t)first->head_dim;
		command.channels = (uint16_t)(network->nodes[first->input].out_channels +
					      network->nodes[first->input2].out_channels);
	}
	if (first->input == TV_NETWORK_INPUT) {
		command.input = (struct tv_operand){
			.offset = step->image * network->size * network->size * 3,
			.pitch = 3,
			.segment = TV_SEGMENT_INPUT,
			.format = TV_FORMAT_UINT8,
		};
	} else {
		command.input = operand_of(plan, shared, first->input, step);
	}
	if (last->shortcut >= 0)
		command.shortcut = operand_of(plan, shared, last->shortcut, step);
	command.output = operand_of(plan, shared, result_of(step), step);
	if (step->nodes[0] == plan->copied)
		command.weights = (struct tv_operand){ .offset = plan->brought.offset,
						       .segment = TV_SEGMENT_ONCHIP };
	*ret = command;
}

static void fill_copy(const struct plan *plan, uint64_t from, struct tv_command *ret)
{
	*ret = (struct tv_command){
		.opcode = TV_OP_COPY,
		.copy_bytes = (uint32_t)plan->brought.size,
		.input = { .offset = (uint32_t)from, .segment = TV_SEGMENT_WEIGHTS },
		.output = { .offset = plan->brought.offset, .segment = TV_SEGMENT_ONCHIP },
		.shortcut.segment = TV_SEGMENT_NONE,
		.weights.segment = TV_SEGMENT_NONE,
	};
}

/*
 * Weights that are streamed have the on-chip memory that operands leave free when they need most,
 * at a job's beginning. At its end, when the linear layers want their many weights, operands need
 * little: the weights of one of these layers are copied there, as soon as there is room. -ENOSPC if
 * there never is, or if the images go through the layer one by one, perhaps mapped otherwise each.
 */
static int bring_weights(struct plan *plan, const bool *shared, uint32_t *onchip,
			 struct tv_error *error)
{
	const size_t places = plan->network->count * plan->images;
	struct tv_command command;
	size_t step = 0;
	int r;

	if (plan->copied == TV_STEP_NONE)
		return 0;
	while (plan->steps[step].nodes[0] != plan->copied)
		step++;
	if (plan->steps[step].images != plan->images)
		return -ENOSPC;
	plan->brought.first = plan->brought.last = (unsigned int)step;
	fill_command(plan, shared, &plan->steps[step], plan->chains[plan->step_chain[step]].opcode,
		     &command);
	plan->brought.size = tv_weights_layout(&command).size;
	r = tv_place_early(plan->places, places, plan->onchip, COPY_AHEAD, &plan->brought, error);
	if (r < 0)
		return r;
	if (*onchip < plan->brought.offset + plan->brought.size)
		*onchip = (uint32_t)tv_align_weights(plan->brought.offset + plan->brought.size);
	step = plan->brought.first;
	memmove(&plan->steps[step + 1], &plan->steps[step],
		(plan->step_count - step) * sizeof(*plan->steps));
	memmove(&plan->step_chain[step + 1], &plan->step_chain[step],
		(plan->step_count - step) * sizeof(*plan->step_chain));
	plan->step_chain[step] = SIZE_MAX;
	plan->steps[step] =
		(struct tv_step){ .nodes = { TV_STEP_NONE, TV_STEP_NONE }, .images = plan->images };
	plan->step_count++;
	return 0;
}

/* The weights of an earlier step of the same chain, for another image, if they are laid out alike:
 * a command that is mapped otherwise, its operands lying elsewhere, may want another split. */
static bool find_weights(const struct plan *plan, const struct tv_command *commands, size_t step,
			 uint32_t *ret)
{
	for (size_t s = step; s-- > 0;)
		if (plan->step_chain[s] == plan->step_chain[step] &&
		    commands[s].stage[0].split == commands[step].stage[0].split &&
		    commands[s].stage[1].split == commands[step].stage[1].split) {
			*ret = commands[s].weights.offset;
			return true;
		}
	return false;
}

/* Places tensors, then maps commands: how a command is mapped depends on where its operands are. */
static int emit(struct plan *plan, struct tv_lowered *ret, struct tv_error *error)
{
	const struct tv_network *network = plan->network;
	size_t places = network->count * plan->images;
	_cleanup_free_ bool *shared = calloc(network->count, sizeof(*shared));
	struct tv_program_header *header = &ret->header;
	uint64_t at = 0;
	int r;

	plan->places = calloc(places, sizeof(*plan->places));
	ret->commands = calloc(plan->step_count + 1, sizeof(*ret->commands));
	if (!shared || !plan->places || !ret->commands)
		return tv_error_oom(error);
	make_tensors(plan, shared);
	r = tv_place_tensors(plan->places, places, plan->keep ? 0 : plan->onchip, !plan->keep,
			     &header->onchip, &plan->scratch, error);
	if (r >= 0)
		r = bring_weights(plan, shared, &header->onchip, error);
	if (r < 0)
		return r;
	for (size_t s = 0; s < plan->step_count; s++) {
		size_t c = plan->step_chain[s];
		struct tv_command *command = &ret->commands[s];

		if (plan->steps[s].nodes[0] == TV_STEP_NONE) {
			fill_copy(plan, at, command);
			at += plan->brought.size;
			continue;
		}
		fill_command(plan, shared, &plan->steps[s], plan->chains[c].opcode, command);
		r = tv_map_command(plan->target, plan->target->onchip - header->onchip, command);
		if (r < 0)
			return tv_error_set(error, r, "%s: too large for target %s",
					    network->nodes[plan->steps[s].nodes[0]].name,
					    plan->target->name);
		/* Weights lie in the order of their first use. */
		if (command->weights.segment == TV_SEGMENT_WEIGHTS &&
		    !find_weights(plan, ret->commands, s, &command->weights.offset)) {
			command->weights.offset = (uint32_t)at;
			at += tv_weights_layout(command).size;
			if (at > UINT32_MAX)
				return tv_error_set(error, -ENOSPC, "weights of more than 4 GiB");
		}
	}
	header->magic = TV_PROGRAM_MAGIC;
	header->contract = TV_CONTRACT_VERSION;
	header->target = plan->target->id;
	header->commands = (uint32_t)plan->step_count;
	header->images = (uint16_t)plan->images;
	header->writable = 1u << TV_SEGMENT_OUTPUT;
	if (plan->scratch)
		header->writable |= 1u << TV_SEGMENT_SCRATCH;
	header->segment[TV_SEGMENT_PROGRAM] =
		TV_PROGRAM_HEADER_SIZE + header->commands * TV_COMMAND_SIZE;
	header->segment[TV_SEGMENT_WEIGHTS] = (uint32_t)at;
	header->segment[TV_SEGMENT_INPUT] = plan->images * network->size * network->size * 3;
	header->segment[TV_SEGMENT_OUTPUT] = plan->images * network->architecture.classes * 2;
	header->segment[TV_SEGMENT_SCRATCH] = plan->scratch;
	ret->steps = TV_TAKE_PTR(plan->steps);
	return 0;
}

int tv_lower_plan(const struct tv_network *network, const struct tv_lower_options *options,
		  size_t together, uint64_t onchip, int copied, struct tv_lowered **ret,
		  struct tv_error *error)
{
	_cleanup_(tv_lowered_freep) struct tv_lowered *lowered = calloc(1, sizeof(*lowered));
	_cleanup_(plan_done) struct plan plan = {
		.network = network,
		.target = options->target,
		.images = options->images,
		.keep = options->keep_intermediates,
		.together = together,
		.onchip = onchip,
		.copied = copied,
	};
	int r;

	if (!lowered)
		return tv_error_oom(error);
	r = make_chains(&plan, error);
	if (r >= 0)
		r = make_steps(&plan, error);
	if (r >= 0)
		r = make_holders(&plan, error);
	if (r >= 0)
		r = emit(&plan, lowered, error);
	if (r >= 0)
		r = tv_timing_estimate(options->target, &lowered->header, lowered->commands,
				       &lowered->estimate, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(lowered);
	return 0;
}

void tv_lowered_free(struct tv_lowered *lowered)
{
	if (!lowered)
		return;
	free(lowered->commands);
	free(lowered->steps);
	free(lowered);
}
