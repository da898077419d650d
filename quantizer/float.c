/* SPDX-License-Identifier: MIT */
/* The float32 forward pass: a runner's memory and the walk over the nodes. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "quantizer/float-ops.h"
#include "quantizer/float.h"

#define ALIGNMENT 64 /* of maps in bytes: a cache line, a vector register of any machine */

/* Memory for one value at a time, as large as the largest that ever lies in it. */
struct slot {
	uint64_t floats;
	ptrdiff_t last_use; /* the node that the value in it is last read by */
	float *memory;
};

/* What a node of the network needs besides. */
struct state {
	size_t slot; /* where its value lies */
	float *packed; /* weights of a depthwise convolution */
};

struct tv_float_runner {
	const struct tv_network *network;
	float normalised[3][256]; /* of each byte of each colour */
	struct slot *slots;
	size_t slot_count;
	size_t input_slot;
	struct state *states;
	float *scratch;
	tv_float_divisor round_divisor; /* or NULL */
	void *round_userdata;
};

/* The node that reads a value last. The network's output is read after all nodes. */
static ptrdiff_t last_use(const struct tv_network *network, int value)
{
	for (size_t i = network->count; i-- > 0;) {
		const struct tv_node *node = &network->nodes[i];

		if (node->input == value || node->input2 == value || node->shortcut == value)
			return (ptrdiff_t)i;
	}
	return (ptrdiff_t)network->count;
}

static uint64_t growth(const struct slot *slot, uint64_t floats)
{
	return slot->floats < floats ? floats - slot->floats : 0;
}

/* A slot for a value that comes into being at a node: the free one that has to grow least, the
 * smallest of those that need not grow, a new one if none is free. */
static size_t choose_slot(struct tv_float_runner *runner, ptrdiff_t node, uint64_t floats)
{
	struct slot *best = NULL;

	for (size_t i = 0; i < runner->slot_count; i++) {
		struct slot *slot = &runner->slots[i];

		if (slot->last_use >= node)
			continue; /* still read, by this node perhaps */
		if (!best || growth(slot, floats) < growth(best, floats) ||
		    (growth(slot, floats) == growth(best, floats) && slot->floats < best->floats))
			best = slot;
	}
	if (!best)
		best = &runner->slots[runner->slot_count++];
	best->floats += growth(best, floats);
	return (size_t)(best - runner->slots);
}

/* Values live from the node that makes them to the last that reads them; slots are shared by those
 * that do not live at the same time. */
static uint64_t plan(struct tv_float_runner *runner)
{
	const struct tv_network *network = runner->network;
	uint64_t scratch = 0;

	runner->input_slot =
		choose_slot(runner, TV_NETWORK_INPUT, 3ull * network->size * network->size);
	runner->slots[runner->input_slot].last_use = last_use(network, TV_NETWORK_INPUT);
	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];
		const uint64_t floats =
			(uint64_t)node->out_height * node->out_width * node->out_channels;
		const uint64_t needed = tv_float_scratch(node);
		const size_t slot = choose_slot(runner, (ptrdiff_t)i, floats);

		runner->states[i].slot = slot;
		runner->slots[slot].last_use = last_use(network, (int)i);
		if (scratch < needed)
			scratch = needed;
	}
	return scratch;
}

static float *new_map(uint64_t floats)
{
	const uint64_t most = (SIZE_MAX - ALIGNMENT) / sizeof(float);
	void *memory;

	if (floats > most || posix_memalign(&memory, ALIGNMENT, floats * sizeof(float) + 1) != 0)
		return NULL;
	return memory;
}

static int allocate(struct tv_float_runner *runner, uint64_t scratch, struct tv_error *error)
{
	const struct tv_network *network = runner->network;

	for (size_t i = 0; i < runner->slot_count; i++) {
		runner->slots[i].memory = new_map(runner->slots[i].floats);
		if (!runner->slots[i].memory)
			return tv_error_oom(error);
	}
	runner->scratch = new_map(scratch);
	if (!runner->scratch)
		return tv_error_oom(error);
	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];

		if (!tv_float_is_depthwise(node))
			continue;
		runner->states[i].packed =
			new_map((uint64_t)node->kernel * node->kernel * node->out_channels);
		if (!runner->states[i].packed)
			return tv_error_oom(error);
		tv_float_pack_depthwise(node, runner->states[i].packed);
	}
	return 0;
}

static int check_weights(const struct tv_network *network, struct tv_error *error)
{
	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];

		if ((node->kind == TV_NODE_CONV || node->kind == TV_NODE_NORM) &&
		    (!node->weight || !node->bias))
			return tv_error_set(error, -EINVAL,
					    "%s: no weights, expected a network from a checkpoint",
					    node->name);
	}
	return 0;
}

int tv_float_runner_new(const struct tv_network *network, struct tv_float_runner **ret,
			struct tv_error *error)
{
	_cleanup_(tv_float_runner_freep) struct tv_float_runner *runner = NULL;
	int r;

	r = check_weights(network, error);
	if (r < 0)
		return r;
	runner = calloc(1, sizeof(*runner));
	if (!runner)
		return tv_error_oom(error);
	runner->network = network;
	runner->states = calloc(network->count, sizeof(*runner->states));
	runner->slots = calloc(1 + network->count, sizeof(*runner->slots));
	if (!runner->states || !runner->slots)
		return tv_error_oom(error);
	r = allocate(runner, plan(runner), error);
	if (r < 0)
		return r;
	for (int colour = 0; colour < 3; colour++) {
		for (int byte = 0; byte < 256; byte++)
			runner->normalised[colour][byte] =
				((float)byte / 255 - network->mean[colour]) / network->std[colour];
	}
	tv_float_use_one_thread();
	*ret = TV_TAKE_PTR(runner);
	return 0;
}

void tv_float_runner_free(struct tv_float_runner *runner)
{
	if (!runner)
		return;
	for (size_t i = 0; runner->states && i < runner->network->count; i++)
		free(runner->states[i].packed);
	free(runner->states);
	for (size_t i = 0; i < runner->slot_count; i++)
		free(runner->slots[i].memory);
	free(runner->slots);
	free(runner->scratch);
	free(runner);
}

void tv_float_runner_round_divisors(struct tv_float_runner *runner, tv_float_divisor round,
				    void *userdata)
{
	runner->round_divisor = round;
	runner->round_userdata = userdata;
}

static const float *value_of(const struct tv_float_runner *runner, int value)
{
	if (value == TV_NETWORK_NONE)
		return NULL;
	if (value == TV_NETWORK_INPUT)
		return runner->slots[runner->input_slot].memory;
	return runner->slots[runner->states[value].slot].memory;
}

static float *run_node(struct tv_float_runner *runner, size_t index)
{
	const struct tv_node *node = &runner->network->nodes[index];
	const struct state *state = &runner->states[index];
	const float *in = value_of(runner, node->input);
	float *out = runner->slots[state->slot].memory;
	const struct tv_float_rounding rounding = { runner->round_divisor, runner->round_userdata,
						    index };

	switch (node->kind) {
	case TV_NODE_CONV:
		tv_float_conv(node, state->packed, in, value_of(runner, node->shortcut),
			      runner->scratch, out);
		break;
	case TV_NODE_ATTENTION:
		tv_float_attention(node, in, value_of(runner, node->input2), runner->scratch,
				   &rounding, out);
		break;
	case TV_NODE_POOL:
		tv_float_pool(node, in, out);
		break;
	case TV_NODE_NORM:
		tv_float_norm(node, in, out);
		break;
	}
	return out;
}

int tv_float_run(struct tv_float_runner *runner, const uint8_t *rgb, tv_float_observer observer,
		 void *userdata, float *logits)
{
	const struct tv_network *network = runner->network;
	const size_t pixels = (size_t)network->size * network->size;
	float *value = runner->slots[runner->input_slot].memory;

	for (size_t i = 0; i < pixels; i++) {
		for (size_t colour = 0; colour < 3; colour++)
			value[3 * i + colour] = runner->normalised[colour][rgb[3 * i + colour]];
	}
	for (size_t i = 0; i < network->count; i++) {
		int r = 0;

		value = run_node(runner, i);
		if (observer)
			r = observer(&network->nodes[i], i, value, userdata);
		if (r < 0)
			return r;
	}
	memcpy(logits, value, network->architecture.classes * sizeof(*logits));
	return 0;
}
