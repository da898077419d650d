/* SPDX-License-Identifier: MIT */
/* Writes checkpoints whose weights mean nothing, for all that does not depend on what they mean. */
#include <math.h>
#include <stdio.h>

#include "common/safetensors.h"
#include "quantizer/checkpoint-keys.h"
#include "quantizer/checkpoint.h"
#include "quantizer/random.h"

/* Deviation of a convolution's weights that keeps the second moment of a map about what it was (He
 * et al. 2015). Hardswish leaves half of it of wide inputs, as ReLU does, and less of narrow ones,
 * so that what has grown wide grows no further. */
static double weight_deviation(const struct tv_node *node)
{
	const unsigned int fan_in = node->in_channels / node->groups * node->kernel * node->kernel;

	return sqrt((node->activation == TV_ACTIVATION_HARDSWISH ? 2.0 : 1.0) / fan_in);
}

static void fill(const struct tv_node *node, enum tv_checkpoint_part_kind kind, uint64_t state,
		 float *value, size_t count)
{
	/* A branch adds a quarter of what it comes from to a map: sums of many stay in range. */
	const double factor = node->shortcut == TV_NETWORK_NONE ? 1.0 : 0.5;
	const double deviation =
		kind == TV_PART_WEIGHT && node->kind == TV_NODE_CONV ? weight_deviation(node) : 0.1;

	for (size_t i = 0; i < count; i++) {
		double x;

		switch (kind) {
		case TV_PART_NORM_WEIGHT:
			x = factor * tv_random_uniform(&state, 0.75, 1.25);
			break;
		case TV_PART_NORM_VARIANCE:
			x = tv_random_uniform(&state, 0.5, 1.5);
			break;
		case TV_PART_WEIGHT:
			x = deviation * tv_random_normal(&state);
			if (node->kind == TV_NODE_NORM)
				x += 1;
			break;
		default:
			x = deviation * tv_random_normal(&state);
			break;
		}
		value[i] = (float)x;
	}
}

/* The tensors of a checkpoint under construction; the writer borrows them until it has written. */
struct tensors {
	float **values;
	size_t count;
};

static void tensors_done(struct tensors *tensors)
{
	for (size_t i = 0; i < tensors->count; i++)
		free(tensors->values[i]);
	free(tensors->values);
}

static int add_part(struct tv_safetensors_writer *writer, struct tensors *tensors,
		    const struct tv_node *node, const struct tv_checkpoint_part *part,
		    uint64_t seed, struct tv_error *error)
{
	uint64_t count = 1;
	float *value;

	for (unsigned int i = 0; i < part->rank; i++)
		count *= part->shape[i];
	if (count > SIZE_MAX / sizeof(*value))
		return tv_error_oom(error);
	value = malloc(count * sizeof(*value));
	if (!value)
		return tv_error_oom(error);
	tensors->values[tensors->count++] = value;
	fill(node, part->kind, seed, value, count);
	return tv_safetensors_writer_tensor(writer, part->key, TV_DTYPE_F32, part->rank,
					    part->shape, value, 1, error);
}

/* PyTorch counts batches beside every norm, an integer scalar that readers have to pass over. */
static int add_counter(struct tv_safetensors_writer *writer, enum tv_naming naming,
		       const struct tv_node *node, struct tv_error *error)
{
	static const uint8_t zero[sizeof(int64_t)];
	char prefix[TV_CHECKPOINT_KEY_SIZE], key[2 * TV_CHECKPOINT_KEY_SIZE];

	tv_checkpoint_layer_prefix(naming, node->role, node->stage, node->block, prefix);
	snprintf(key, sizeof(key), "%snorm.num_batches_tracked", prefix);
	return tv_safetensors_writer_tensor(writer, key, TV_DTYPE_I64, 0, NULL, zero, 1, error);
}

static int add_node(struct tv_safetensors_writer *writer, struct tensors *tensors,
		    enum tv_naming naming, const struct tv_node *node, size_t index, uint64_t seed,
		    struct tv_error *error)
{
	struct tv_checkpoint_part parts[TV_CHECKPOINT_PARTS_MAX];
	const unsigned int count = tv_checkpoint_parts(naming, node, parts);

	for (unsigned int i = 0; i < count; i++) {
		/* Every tensor has a sequence of its own, so that the values are the same in any
		 * order and naming. */
		uint64_t state = seed + index * TV_CHECKPOINT_PARTS_MAX + parts[i].kind;
		int r;

		state = tv_random_next(&state);
		r = add_part(writer, tensors, node, &parts[i], state, error);
		if (r < 0)
			return r;
	}
	return node->batch_norm ? add_counter(writer, naming, node, error) : 0;
}

int tv_checkpoint_write_random(const struct tv_architecture *architecture, enum tv_naming naming,
			       unsigned int size, uint64_t seed, const char *path,
			       struct tv_error *error)
{
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer = NULL;
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	_cleanup_(tensors_done) struct tensors tensors = { 0 };
	char text[16];
	int r;

	r = tv_network_new(architecture, size, &network, error);
	if (r < 0)
		return r;
	tensors.values = calloc(network->count * TV_CHECKPOINT_PARTS_MAX, sizeof(*tensors.values));
	writer = tv_safetensors_writer_new();
	if (!tensors.values || !writer)
		return tv_error_oom(error);

	snprintf(text, sizeof(text), "%u", size);
	r = tv_safetensors_writer_metadata(writer, "format", "pt", error);
	if (r == 0)
		r = tv_safetensors_writer_metadata(writer, "input_size", text, error);
	for (size_t i = 0; r == 0 && i < network->count; i++)
		r = add_node(writer, &tensors, naming, &network->nodes[i], i, seed, error);
	if (r == 0)
		r = tv_safetensors_writer_write(writer, path, error);
	return r;
}
