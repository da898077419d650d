/* SPDX-License-Identifier: MIT */
/* Reads a checkpoint: opens it, asks what architecture it is, loads it, and settles what is not in
 * the tensors. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "image/folder.h"
#include "image/image.h"
#include "quantizer/architecture.h"
#include "quantizer/checkpoint-file.h"
#include "quantizer/checkpoint.h"

#define DEFAULT_SIZE 224
#define TIMM_ATTENTION_EPSILON 1e-5f

static int bad_metadata(const struct tv_checkpoint_file *file, const char *key, const char *value,
			const char *expected, struct tv_error *error)
{
	return tv_error_set(error, -EBADMSG, "%s: metadata %s: '%.64s', expected %s", file->name,
			    key, value, expected);
}

static int choose_size(const struct tv_checkpoint_file *file,
		       const struct tv_checkpoint_options *options, unsigned int *ret,
		       struct tv_error *error)
{
	const char *text = tv_safetensors_metadata(file->safetensors, "input_size");
	struct tv_error cause = { 0 };
	unsigned long size;
	char *end;

	if (options->size || !text) {
		*ret = options->size ? options->size : DEFAULT_SIZE;
		return 0;
	}
	size = strtoul(text, &end, 10);
	if (end == text || *end || size > TV_NETWORK_SIZE_MAX)
		return bad_metadata(file, "input_size", text, "the side of the input in pixels",
				    error);
	if (tv_network_check_size((unsigned int)size, &cause) < 0)
		return tv_error_set(error, -EBADMSG, "%s: metadata: %s", file->name, cause.text);
	*ret = (unsigned int)size;
	return 0;
}

static bool crop_ratio_fits(double ratio, unsigned int size)
{
	return ratio > 0 && ratio <= 1 && size / ratio <= TV_IMAGE_SIDE_MAX;
}

/* The shorter side before the crop, rounded as each naming's own evaluation does it. */
static int choose_resize(const struct tv_checkpoint_file *file,
			 const struct tv_checkpoint_options *options, struct tv_network *network,
			 struct tv_error *error)
{
	const bool mit = file->naming == TV_NAMING_MIT;
	const char *text = tv_safetensors_metadata(file->safetensors, "crop_ratio");
	double ratio = mit || network->size <= DEFAULT_SIZE ? 0.95 : 1.0;

	if (options->crop_ratio != 0) {
		ratio = options->crop_ratio;
		if (!crop_ratio_fits(ratio, network->size))
			return tv_error_set(error, -EINVAL,
					    "crop ratio %g: expected a number above 0 and up to 1 "
					    "that asks for at most %u pixels",
					    ratio, TV_IMAGE_SIDE_MAX);
	} else if (text) {
		char *end;

		ratio = strtod(text, &end);
		if (end == text || *end || !crop_ratio_fits(ratio, network->size))
			return bad_metadata(file, "crop_ratio", text,
					    "a number above 0 and up to 1", error);
	}
	network->resize =
		(unsigned int)(mit ? ceil(network->size / ratio) : floor(network->size / ratio));
	return 0;
}

/* "0.485,0.456,0.406" */
static int parse_triple(const struct tv_checkpoint_file *file, const char *key, double min,
			float ret[3], struct tv_error *error)
{
	const char *text = tv_safetensors_metadata(file->safetensors, key);
	const char *position = text;
	float value[3];

	if (!text)
		return 0;
	for (int i = 0; i < 3; i++) {
		char *end;

		value[i] = strtof(position, &end);
		if (end == position || *end != (i < 2 ? ',' : '\0') || !isfinite(value[i]) ||
		    value[i] < min)
			return bad_metadata(file, key, text, "three numbers as '0.485,0.456,0.406'",
					    error);
		position = end + 1;
	}
	memcpy(ret, value, sizeof(value));
	return 0;
}

static int choose_labels(const struct tv_checkpoint_file *file,
			 const struct tv_checkpoint_options *options, struct tv_network *network,
			 struct tv_error *error)
{
	const char *text = tv_safetensors_metadata(file->safetensors, "labels");
	const unsigned int classes = network->architecture.classes;
	char **labels;
	size_t count;
	int r;

	if (options->labels) {
		r = tv_labels_read(options->labels, &labels, &count, error);
		if (r < 0)
			return r;
	} else if (text) {
		r = tv_labels_parse(text, &labels, &count, error);
		if (r < 0)
			return tv_error_prefix(error, r, "%s: metadata labels", file->name);
	} else {
		return 0;
	}
	if (count != classes) {
		tv_labels_free(labels, count);
		return tv_error_set(error, -EBADMSG,
				    "%s: %zu class names, expected the %u classes of the network",
				    options->labels ? options->labels : file->name, count, classes);
	}
	network->labels = labels;
	return 0;
}

/* A tensor of a layer that is here without it, a bias where there is none: the network would not
 * be what the file says it is. */
static int check_unused(const struct tv_checkpoint_file *file, const struct tv_network *network,
			const struct tv_checkpoint_entry *entry, struct tv_error *error)
{
	static const char counter[] = "num_batches_tracked";
	const size_t length = strlen(entry->key);

	if (length >= sizeof(counter) - 1 &&
	    !strcmp(entry->key + length - (sizeof(counter) - 1), counter))
		return 0;
	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];
		char prefix[TV_CHECKPOINT_KEY_SIZE];

		if (node->kind != TV_NODE_CONV && node->kind != TV_NODE_NORM)
			continue;
		tv_checkpoint_layer_prefix(file->naming, node->role, node->stage, node->block,
					   prefix);
		if (!strncmp(entry->key, prefix, strlen(prefix)))
			return tv_error_set(error, -EBADMSG,
					    "%s: tensor '%s': EfficientViT-B has no such part in "
					    "this layer",
					    file->name, entry->tensor->name);
	}
	return 0;
}

static int list_ignored(const struct tv_checkpoint_file *file, struct tv_network *network,
			struct tv_error *error)
{
	network->ignored = calloc(file->count, sizeof(*network->ignored));
	if (!network->ignored)
		return tv_error_oom(error);
	for (size_t i = 0; i < file->count; i++) {
		const struct tv_checkpoint_entry *entry = &file->entries[i];
		char text[128], *line;
		int r;

		if (entry->used)
			continue;
		r = check_unused(file, network, entry, error);
		if (r < 0)
			return r;
		tv_tensor_describe(entry->tensor, text, sizeof(text));
		if (asprintf(&line, "%s: %s", entry->tensor->name, text) < 0)
			return tv_error_oom(error);
		network->ignored[network->ignored_count++] = line;
	}
	return 0;
}

static int read_network(struct tv_checkpoint_file *file,
			const struct tv_checkpoint_options *options, struct tv_network **ret,
			struct tv_error *error)
{
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	struct tv_architecture architecture;
	unsigned int size;
	int r;

	r = choose_size(file, options, &size, error);
	if (r < 0)
		return r;
	r = tv_checkpoint_infer(file, &architecture, error);
	if (r < 0)
		return r;
	r = tv_network_new(&architecture, size, &network, error);
	if (r < 0)
		return r;
	network->naming = file->naming;
	for (size_t i = 0; i < network->count; i++) {
		if (file->naming == TV_NAMING_TIMM && network->nodes[i].kind == TV_NODE_ATTENTION)
			network->nodes[i].epsilon = TIMM_ATTENTION_EPSILON;
	}
	r = choose_resize(file, options, network, error);
	if (r < 0)
		return r;
	r = parse_triple(file, "mean", -HUGE_VAL, network->mean, error);
	if (r < 0)
		return r;
	/* Divided by: a deviation of 0 or less has no meaning. */
	r = parse_triple(file, "std", 1e-6, network->std, error);
	if (r < 0)
		return r;
	r = choose_labels(file, options, network, error);
	if (r < 0)
		return r;
	r = tv_checkpoint_load_weights(file, network, error);
	if (r < 0)
		return r;
	r = list_ignored(file, network, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(network);
	return 0;
}

int tv_checkpoint_read(const char *path, const struct tv_checkpoint_options *options,
		       struct tv_network **ret, struct tv_error *error)
{
	static const struct tv_checkpoint_options defaults = { 0 };
	_cleanup_(tv_checkpoint_file_close) struct tv_checkpoint_file file = { 0 };
	int r;

	if (!options)
		options = &defaults;
	if (options->size) {
		r = tv_network_check_size(options->size, error);
		if (r < 0)
			return r;
	}
	r = tv_checkpoint_file_open(path, &file, error);
	if (r < 0)
		return r;
	return read_network(&file, options, ret, error);
}
