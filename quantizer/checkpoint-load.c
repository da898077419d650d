/* SPDX-License-Identifier: MIT */
/* Weights and biases of a network, norms folded into the convolutions before them. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "quantizer/checkpoint-file.h"

/* The tensors of a node as floats, by enum tv_checkpoint_part_kind. */
struct node_tensors {
	const struct tv_tensor *tensor[TV_CHECKPOINT_PARTS_MAX];
	float *value[TV_CHECKPOINT_PARTS_MAX]; /* NULL: the layer has none */
};

static void node_tensors_done(struct node_tensors *tensors)
{
	for (size_t i = 0; i < TV_CHECKPOINT_PARTS_MAX; i++)
		free(tensors->value[i]);
}

static int check_shape(const struct tv_checkpoint_file *file, const struct tv_tensor *tensor,
		       const struct tv_checkpoint_part *part, struct tv_error *error)
{
	struct tv_tensor expected = { .dtype = tensor->dtype, .rank = part->rank };
	char text[128], expected_text[128];

	memcpy(expected.shape, part->shape, sizeof(part->shape));
	if (!memcmp(tensor->shape, expected.shape, part->rank * sizeof(tensor->shape[0])))
		return 0;
	return tv_error_set(error, -EBADMSG, "%s: tensor '%s': %s, expected %s", file->name,
			    tensor->name, tv_tensor_describe(tensor, text, sizeof(text)),
			    tv_tensor_describe(&expected, expected_text, sizeof(expected_text)));
}

static int check_values(const struct tv_checkpoint_file *file, const struct tv_tensor *tensor,
			enum tv_checkpoint_part_kind kind, const float *value,
			struct tv_error *error)
{
	for (uint64_t i = 0; i < tensor->elements; i++) {
		if (!isfinite(value[i]))
			return tv_error_set(error, -EBADMSG,
					    "%s: tensor '%s': element %" PRIu64
					    " is %s, expected finite numbers",
					    file->name, tensor->name, i,
					    isnan(value[i]) ? "NaN" : "infinite");
		if (kind == TV_PART_NORM_VARIANCE && value[i] < 0)
			return tv_error_set(error, -EBADMSG,
					    "%s: tensor '%s': element %" PRIu64
					    " is %g, expected a variance of 0 or more",
					    file->name, tensor->name, i, value[i]);
	}
	return 0;
}

static float *new_floats(uint64_t count)
{
	if (count > SIZE_MAX / sizeof(float))
		return NULL;
	return malloc(count * sizeof(float));
}

static int read_part(struct tv_checkpoint_file *file, const struct tv_checkpoint_part *part,
		     struct node_tensors *tensors, struct tv_error *error)
{
	const struct tv_tensor *tensor;
	float *value;
	int r;

	r = tv_checkpoint_file_find(file, part->key, part->rank, &tensor, error);
	if (r < 0)
		return r;
	r = check_shape(file, tensor, part, error);
	if (r < 0)
		return r;
	value = new_floats(tensor->elements);
	if (!value)
		return tv_error_oom(error);
	tensors->tensor[part->kind] = tensor;
	tensors->value[part->kind] = value;
	r = tv_tensor_to_float(tensor, 0, tensor->elements, value);
	if (r < 0)
		return tv_error_set(error, r, "%s: tensor '%s': cannot be read as float",
				    file->name, tensor->name);
	return check_values(file, tensor, part->kind, value, error);
}

/* An output channel's norm as a factor and an addend: y = factor * x + addend, x without bias. */
struct fold {
	double factor, addend;
};

static struct fold fold_channel(const struct node_tensors *tensors, size_t channel)
{
	const double bias = tensors->value[TV_PART_BIAS] ? tensors->value[TV_PART_BIAS][channel]
							 : 0;
	double factor, mean, variance;

	if (!tensors->value[TV_PART_NORM_WEIGHT])
		return (struct fold){ 1, bias };
	mean = tensors->value[TV_PART_NORM_MEAN][channel];
	variance = tensors->value[TV_PART_NORM_VARIANCE][channel];
	factor = tensors->value[TV_PART_NORM_WEIGHT][channel] /
		 sqrt(variance + TV_CHECKPOINT_NORM_EPSILON);
	return (struct fold){ factor,
			      (bias - mean) * factor + tensors->value[TV_PART_NORM_BIAS][channel] };
}

/* PyTorch has [out][in][window]; here channels are innermost, as in the maps. */
static bool fold_conv(const struct node_tensors *tensors, struct tv_node *node)
{
	const size_t inputs = node->in_channels / node->groups;
	const size_t window = (size_t)node->kernel * node->kernel;
	const float *from = tensors->value[TV_PART_WEIGHT];
	float *to = node->weight;
	bool finite = true;

	for (size_t channel = 0; channel < node->out_channels; channel++) {
		const struct fold fold = fold_channel(tensors, channel);

		for (size_t i = 0; i < inputs; i++) {
			for (size_t k = 0; k < window; k++) {
				const float value = (float)(from[i * window + k] * fold.factor);

				to[k * inputs + i] = value;
				finite = finite && isfinite(value);
			}
		}
		node->bias[channel] = (float)fold.addend;
		finite = finite && isfinite(node->bias[channel]);
		from += inputs * window;
		to += inputs * window;
	}
	return finite;
}

static int load_node(struct tv_checkpoint_file *file, struct tv_node *node,
		     const struct tv_checkpoint_part *parts, unsigned int count,
		     struct tv_error *error)
{
	_cleanup_(node_tensors_done) struct node_tensors tensors = { 0 };
	const struct tv_tensor *weight;

	for (unsigned int i = 0; i < count; i++) {
		int r = read_part(file, &parts[i], &tensors, error);

		if (r < 0)
			return r;
	}
	if (node->kind == TV_NODE_NORM) {
		node->weight = TV_TAKE_PTR(tensors.value[TV_PART_WEIGHT]);
		node->bias = TV_TAKE_PTR(tensors.value[TV_PART_BIAS]);
		return 0;
	}
	weight = tensors.tensor[TV_PART_WEIGHT];
	node->weight = new_floats(weight->elements);
	node->bias = new_floats(node->out_channels);
	if (!node->weight || !node->bias)
		return tv_error_oom(error);
	if (!fold_conv(&tensors, node))
		return tv_error_set(error, -EBADMSG,
				    "%s: tensor '%s': beyond the range of floats once the norm "
				    "after it is folded in",
				    file->name, weight->name);
	return 0;
}

int tv_checkpoint_load_weights(struct tv_checkpoint_file *file, struct tv_network *network,
			       struct tv_error *error)
{
	for (size_t i = 0; i < network->count; i++) {
		struct tv_node *node = &network->nodes[i];
		struct tv_checkpoint_part parts[TV_CHECKPOINT_PARTS_MAX];
		const unsigned int count = tv_checkpoint_parts(file->naming, node, parts);
		int r;

		if (count == 0)
			continue;
		r = load_node(file, node, parts, count, error);
		if (r < 0)
			return r;
	}
	return 0;
}
