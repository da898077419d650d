/* SPDX-License-Identifier: MIT */
/*
 * The architecture from the tensors' shapes. Here only the few that tell a width are looked at;
 * that all others agree is seen when they are loaded into the network that comes out.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "quantizer/architecture.h"
#include "quantizer/checkpoint-file.h"

/* Blocks are counted by the numbers in the keys, not by what is complete: a tensor that is missing
 * is then missed, where it would else make the network shorter. */
static int count_blocks(const struct tv_checkpoint_file *file, unsigned int stage,
			unsigned int *ret, struct tv_error *error)
{
	unsigned int first, last = 0;
	const char *prefix = tv_checkpoint_stage_prefix(file->naming, stage, &first);
	const size_t length = strlen(prefix);

	for (size_t i = 0; i < file->count; i++) {
		const struct tv_checkpoint_entry *entry = &file->entries[i];
		unsigned long block;
		char *end;

		if (strncmp(entry->key, prefix, length) != 0 ||
		    !isdigit((unsigned char)entry->key[length]))
			continue;
		block = strtoul(entry->key + length, &end, 10);
		if (*end != '.' || block > TV_NETWORK_DEPTH_MAX)
			return tv_error_set(error, -EBADMSG,
					    "%s: tensor '%s': expected block numbers up to %u",
					    file->name, entry->tensor->name, TV_NETWORK_DEPTH_MAX);
		if (last < block + first)
			last = block + first;
	}
	/* Block 0 is the stem's convolution or the strided block where these are not counted. */
	*ret = stage > 0 && stage < TV_NETWORK_ATTENTION_STAGE ? last + 1 : last;
	return 0;
}

static int check_stages(const struct tv_checkpoint_file *file, struct tv_error *error)
{
	const char *prefix = file->naming == TV_NAMING_MIT ? "backbone.stages.4." : "stages.4.";

	for (size_t i = 0; i < file->count; i++) {
		if (!strncmp(file->entries[i].key, prefix, strlen(prefix)))
			return tv_error_set(error, -EBADMSG,
					    "%s: tensor '%s': a fifth stage, expected %d",
					    file->name, file->entries[i].tensor->name,
					    TV_NETWORK_STAGES);
	}
	return 0;
}

/* First two dimensions, outputs and inputs (of a group), of the weight of a layer. */
static int weight_shape(struct tv_checkpoint_file *file, enum tv_role role, unsigned int stage,
			unsigned int block, unsigned int rank, unsigned int ret[2],
			struct tv_error *error)
{
	char key[TV_CHECKPOINT_KEY_SIZE], text[128];
	const struct tv_tensor *tensor;
	int r;

	tv_checkpoint_key(file->naming, role, stage, block, TV_PART_WEIGHT, key);
	r = tv_checkpoint_file_find(file, key, rank, &tensor, error);
	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++) {
		if (tensor->shape[i] < 1 || tensor->shape[i] > TV_NETWORK_CHANNELS_MAX)
			return tv_error_set(error, -EBADMSG,
					    "%s: tensor '%s': %s, expected 1 to %u channels",
					    file->name, tensor->name,
					    tv_tensor_describe(tensor, text, sizeof(text)),
					    TV_NETWORK_CHANNELS_MAX);
		ret[i] = (unsigned int)tensor->shape[i];
	}
	return 0;
}

static int infer_widths(struct tv_checkpoint_file *file, struct tv_architecture *a,
			struct tv_error *error)
{
	const struct {
		enum tv_role role;
		unsigned int stage, block, rank;
		unsigned int axis; /* 0: outputs, 1: inputs of a group */
		unsigned int *value;
	} sources[] = {
		{ TV_ROLE_STEM, 0, 0, 4, 0, &a->widths[0] },
		{ TV_ROLE_PROJECT, 1, 0, 4, 0, &a->widths[1] },
		{ TV_ROLE_PROJECT, 2, 0, 4, 0, &a->widths[2] },
		{ TV_ROLE_PROJECT, 3, 0, 4, 0, &a->widths[3] },
		{ TV_ROLE_PROJECT, 4, 0, 4, 0, &a->widths[4] },
		{ TV_ROLE_AGGREGATE_POINTWISE, TV_NETWORK_ATTENTION_STAGE, 1, 4, 1, &a->head_dim },
		{ TV_ROLE_HEAD_CONV, TV_NETWORK_HEAD, 0, 4, 0, &a->head_widths[0] },
		{ TV_ROLE_LINEAR1, TV_NETWORK_HEAD, 0, 2, 0, &a->head_widths[1] },
		{ TV_ROLE_LINEAR2, TV_NETWORK_HEAD, 0, 2, 0, &a->classes },
	};
	unsigned int shape[2];
	int r;

	for (size_t i = 0; i < TV_ARRAY_SIZE(sources); i++) {
		r = weight_shape(file, sources[i].role, sources[i].stage, sources[i].block,
				 sources[i].rank, shape, error);
		if (r < 0)
			return r;
		*sources[i].value = shape[sources[i].axis];
	}

	r = weight_shape(file, TV_ROLE_EXPAND, 1, 0, 4, shape, error);
	if (r < 0)
		return r;
	if (shape[0] % shape[1] != 0)
		return tv_error_set(error, -EBADMSG,
				    "%s: the first expansion makes %u of %u channels, expected a "
				    "multiple",
				    file->name, shape[0], shape[1]);
	a->expand = shape[0] / shape[1];
	return 0;
}

int tv_checkpoint_infer(struct tv_checkpoint_file *file, struct tv_architecture *ret,
			struct tv_error *error)
{
	struct tv_architecture architecture = { 0 };
	struct tv_error cause = { 0 };
	int r;

	r = check_stages(file, error);
	if (r < 0)
		return r;
	for (unsigned int stage = 0; stage <= TV_NETWORK_STAGES; stage++) {
		r = count_blocks(file, stage, &architecture.depths[stage], error);
		if (r < 0)
			return r;
	}
	r = infer_widths(file, &architecture, error);
	if (r < 0)
		return r;
	/* What would be a caller's mistake elsewhere is the file's here. */
	r = tv_architecture_check(&architecture, &cause);
	if (r < 0)
		return tv_error_set(error, -EBADMSG, "%s: %s", file->name, cause.text);
	*ret = architecture;
	return 0;
}
