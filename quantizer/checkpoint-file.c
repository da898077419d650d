/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "quantizer/checkpoint-file.h"

/* What training frameworks put in front: DataParallel, the dictionary a trainer saves, a wrapper's
 * attribute. NULL if there is nothing to drop. */
static const char *drop_prefix(const char *name)
{
	static const char *const prefixes[] = { "module.", "state_dict.", "model_state.",
						"model." };

	for (size_t i = 0; i < TV_ARRAY_SIZE(prefixes); i++) {
		const size_t length = strlen(prefixes[i]);

		if (!strncmp(name, prefixes[i], length))
			return name + length;
	}
	return NULL;
}

static const char *drop_prefixes(const char *name)
{
	const char *rest;

	while ((rest = drop_prefix(name)))
		name = rest;
	return name;
}

static int compare_entries(const void *a, const void *b)
{
	const struct tv_checkpoint_entry *x = a, *y = b;

	return strcmp(x->key, y->key);
}

static int index_tensors(struct tv_checkpoint_file *file, struct tv_error *error)
{
	const size_t count = tv_safetensors_count(file->safetensors);

	if (count == 0)
		return tv_error_set(error, -EBADMSG, "%s: no tensors in it", file->name);
	file->entries = calloc(count, sizeof(*file->entries));
	if (!file->entries)
		return tv_error_oom(error);
	file->count = count;
	for (size_t i = 0; i < count; i++) {
		const struct tv_tensor *tensor = tv_safetensors_at(file->safetensors, i);

		file->entries[i].key = drop_prefixes(tensor->name);
		file->entries[i].tensor = tensor;
	}
	qsort(file->entries, count, sizeof(*file->entries), compare_entries);
	for (size_t i = 1; i < count; i++) {
		const struct tv_checkpoint_entry *entry = &file->entries[i];

		if (!strcmp(entry[-1].key, entry->key))
			return tv_error_set(error, -EBADMSG,
					    "%s: tensors '%s' and '%s' are both '%s', expected one",
					    file->name, entry[-1].tensor->name, entry->tensor->name,
					    entry->key);
	}
	return 0;
}

static bool has_prefix(const struct tv_checkpoint_file *file, const char *prefix)
{
	for (size_t i = 0; i < file->count; i++) {
		if (!strncmp(file->entries[i].key, prefix, strlen(prefix)))
			return true;
	}
	return false;
}

static int detect_naming(struct tv_checkpoint_file *file, struct tv_error *error)
{
	const bool mit = has_prefix(file, "backbone.input_stem.");
	const bool timm = has_prefix(file, "stem.");

	if (mit == timm)
		return tv_error_set(error, -EBADMSG,
				    "%s: %s 'backbone.input_stem...' (MIT HAN lab's naming of "
				    "EfficientViT) %s 'stem...' (timm's), expected one of them",
				    file->name, mit ? "there are tensors" : "there is no tensor",
				    mit ? "and" : "or");
	file->naming = mit ? TV_NAMING_MIT : TV_NAMING_TIMM;
	return 0;
}

int tv_checkpoint_file_open(const char *path, struct tv_checkpoint_file *ret,
			    struct tv_error *error)
{
	struct tv_checkpoint_file file = { 0 };
	int r;

	r = tv_safetensors_open(path, &file.safetensors, error);
	if (r < 0)
		return r;
	file.name = tv_safetensors_name(file.safetensors);
	r = index_tensors(&file, error);
	if (r == 0)
		r = detect_naming(&file, error);
	if (r < 0) {
		tv_checkpoint_file_close(&file);
		return r;
	}
	*ret = file;
	return 0;
}

void tv_checkpoint_file_close(struct tv_checkpoint_file *file)
{
	tv_safetensors_free(file->safetensors);
	free(file->entries);
	*file = (struct tv_checkpoint_file){ 0 };
}

int tv_checkpoint_file_find(struct tv_checkpoint_file *file, const char *key, unsigned int rank,
			    const struct tv_tensor **ret, struct tv_error *error)
{
	const struct tv_checkpoint_entry wanted = { .key = key };
	struct tv_checkpoint_entry *entry = bsearch(&wanted, file->entries, file->count,
						    sizeof(*file->entries), compare_entries);
	const struct tv_tensor *tensor;
	char text[128];

	if (!entry)
		return tv_error_set(error, -EBADMSG, "%s: tensor '%s': missing", file->name, key);
	tensor = entry->tensor;
	tv_tensor_describe(tensor, text, sizeof(text));
	if (tensor->dtype != TV_DTYPE_F32 && tensor->dtype != TV_DTYPE_F16 &&
	    tensor->dtype != TV_DTYPE_BF16)
		return tv_error_set(error, -EBADMSG,
				    "%s: tensor '%s': %s, expected F32, F16 or BF16", file->name,
				    tensor->name, text);
	if (tensor->rank != rank)
		return tv_error_set(error, -EBADMSG, "%s: tensor '%s': %s, expected %u dimensions",
				    file->name, tensor->name, text, rank);
	entry->used = true;
	*ret = tensor;
	return 0;
}
