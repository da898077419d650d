/* SPDX-License-Identifier: MIT */
/*
 * The reader: bounds first, then JSON, then each tensor's entry, then how they lie in the data.
 * Nothing is allocated or computed from a number in the file before that number was bounded.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "common/file.h"
#include "common/safetensors-header.h"
#include "common/safetensors.h"

struct entry {
	struct tv_tensor tensor;
	uint64_t begin, end; /* in the data */
};

struct tv_safetensors {
	char *name;
	uint8_t *owned; /* the file's bytes if this is who read them */
	json_t *root; /* names and metadata point into it */
	struct entry *entries; /* in the order of their data */
	struct entry **by_name;
	size_t count;
};

static const char *json_kind(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
		return "an integer";
	case JSON_REAL:
		return "a number with a fraction or an exponent";
	case JSON_NULL:
		return "null";
	default:
		return "a boolean";
	}
}

static int check_name(const char *name, const char *what, struct tv_error *error)
{
	char text[TV_PRINTABLE_SIZE];

	if (tv_safetensors_name_valid(name))
		return 0;
	return tv_error_set(error, -EBADMSG, "%s '%s': control characters in the name", what,
			    tv_printable(name, strlen(name), text));
}

static int check_metadata(json_t *metadata, struct tv_error *error)
{
	const char *key;
	json_t *value;
	int r;

	if (!json_is_object(metadata))
		return tv_error_set(error, -EBADMSG, "is %s, expected an object of strings",
				    json_kind(metadata));
	json_object_foreach(metadata, key, value) {
		r = check_name(key, "key", error);
		if (r < 0)
			return r;
		if (!json_is_string(value))
			return tv_error_set(error, -EBADMSG, "'%.128s' is %s, expected a string",
					    key, json_kind(value));
	}
	return 0;
}

/* An array of at most max integers from 0 on. */
static int read_integers(const json_t *array, const char *what, size_t max, uint64_t *values,
			 struct tv_error *error)
{
	json_t *value;
	size_t i;

	if (!json_is_array(array))
		return tv_error_set(error, -EBADMSG, "%s is %s, expected an array", what,
				    json_kind(array));
	if (json_array_size(array) > max)
		return tv_error_set(error, -EBADMSG, "%s has %zu numbers, expected at most %zu",
				    what, json_array_size(array), max);
	json_array_foreach(array, i, value) {
		if (!json_is_integer(value))
			return tv_error_set(error, -EBADMSG, "%s[%zu] is %s, expected an integer",
					    what, i, json_kind(value));
		if (json_integer_value(value) < 0)
			return tv_error_set(error, -EBADMSG,
					    "%s[%zu] is %" JSON_INTEGER_FORMAT
					    ", expected 0 or more",
					    what, i, json_integer_value(value));
		values[i] = (uint64_t)json_integer_value(value);
	}
	return 0;
}

static int read_dtype(const json_t *value, enum tv_dtype *ret, struct tv_error *error)
{
	const char *name = json_string_value(value);
	char text[TV_PRINTABLE_SIZE];

	if (!name)
		return tv_error_set(error, -EBADMSG, "dtype is %s, expected a string",
				    json_kind(value));
	for (int i = 0; i < TV_DTYPE_COUNT; i++)
		if (strcmp(name, tv_dtype_name((enum tv_dtype)i)) == 0) {
			*ret = (enum tv_dtype)i;
			return 0;
		}
	return tv_error_set(error, -EBADMSG,
			    "unknown dtype '%s', expected one like F32, F16, BF16, I8, U8",
			    tv_printable(name, strlen(name), text));
}

static int read_shape(const json_t *value, struct tv_tensor *tensor, struct tv_error *error)
{
	int r = read_integers(value, "shape", TV_SAFETENSORS_RANK_MAX, tensor->shape, error);

	if (r < 0)
		return r;
	tensor->rank = (unsigned int)json_array_size(value);
	tensor->elements = 1;
	for (unsigned int i = 0; i < tensor->rank; i++)
		if (__builtin_mul_overflow(tensor->elements, tensor->shape[i], &tensor->elements))
			return tv_error_set(error, -EBADMSG,
					    "shape has more elements than 64 bits can count");
	if (__builtin_mul_overflow(tensor->elements, (uint64_t)tv_dtype_size(tensor->dtype),
				   &tensor->size))
		return tv_error_set(error, -EBADMSG,
				    "shape takes more bytes than 64 bits can count");
	return 0;
}

static int read_offsets(const json_t *value, struct entry *entry, struct tv_error *error)
{
	uint64_t offsets[2];
	char text[TV_PRINTABLE_SIZE];
	int r = read_integers(value, "data_offsets", 2, offsets, error);

	if (r < 0)
		return r;
	if (json_array_size(value) != 2)
		return tv_error_set(error, -EBADMSG, "data_offsets has %zu numbers, expected 2",
				    json_array_size(value));
	entry->begin = offsets[0];
	entry->end = offsets[1];
	if (entry->begin > entry->end)
		return tv_error_set(error, -EBADMSG,
				    "data_offsets begin at %" PRIu64
				    ", after their end at %" PRIu64,
				    entry->begin, entry->end);
	if (entry->end - entry->begin != entry->tensor.size)
		return tv_error_set(error, -EBADMSG,
				    "data_offsets span %" PRIu64 " bytes, expected %" PRIu64
				    " for %s",
				    entry->end - entry->begin, entry->tensor.size,
				    tv_tensor_describe(&entry->tensor, text, sizeof(text)));
	return 0;
}

enum {
	KEY_DTYPE,
	KEY_SHAPE,
	KEY_OFFSETS,
	KEY_COUNT,
};

/* Takes a tensor's object apart: exactly dtype, shape and data_offsets. */
static int read_keys(json_t *object, json_t *ret[KEY_COUNT], struct tv_error *error)
{
	static const char *const keys[KEY_COUNT] = { "dtype", "shape", "data_offsets" };
	const char *key;
	json_t *value;

	if (!json_is_object(object))
		return tv_error_set(error, -EBADMSG, "is %s, expected an object",
				    json_kind(object));
	for (int i = 0; i < KEY_COUNT; i++) {
		ret[i] = json_object_get(object, keys[i]);
		if (!ret[i])
			return tv_error_set(error, -EBADMSG, "has no %s", keys[i]);
	}
	json_object_foreach(object, key, value) {
		char text[TV_PRINTABLE_SIZE];
		bool known = false;

		for (int i = 0; i < KEY_COUNT; i++)
			known |= strcmp(key, keys[i]) == 0;
		if (!known)
			return tv_error_set(error, -EBADMSG, "unknown key '%s'",
					    tv_printable(key, strlen(key), text));
	}
	return 0;
}

static int read_entry(const char *name, json_t *object, struct entry *ret, struct tv_error *error)
{
	json_t *values[KEY_COUNT];
	int r;

	r = read_keys(object, values, error);
	if (r < 0)
		return r;
	ret->tensor.name = name;
	r = read_dtype(values[KEY_DTYPE], &ret->tensor.dtype, error);
	if (r < 0)
		return r;
	r = read_shape(values[KEY_SHAPE], &ret->tensor, error);
	if (r < 0)
		return r;
	return read_offsets(values[KEY_OFFSETS], ret, error);
}

static int read_entries(struct tv_safetensors *file, struct tv_error *error)
{
	json_t *metadata = json_object_get(file->root, TV_SAFETENSORS_METADATA);
	size_t count = json_object_size(file->root) - (metadata ? 1 : 0);
	const char *name;
	json_t *value;
	int r;

	if (count > TV_SAFETENSORS_TENSORS_MAX)
		return tv_error_set(error, -EBADMSG, "has %zu tensors, expected at most %u", count,
				    TV_SAFETENSORS_TENSORS_MAX);
	if (metadata) {
		r = check_metadata(metadata, error);
		if (r < 0)
			return tv_error_prefix(error, r, TV_SAFETENSORS_METADATA);
	}

	/* One more than needed: an allocation of nothing may be NULL. */
	file->entries = calloc(count + 1, sizeof(*file->entries));
	file->by_name = calloc(count + 1, sizeof(struct entry *));
	if (!file->entries || !file->by_name)
		return tv_error_oom(error);
	json_object_foreach(file->root, name, value) {
		if (value == metadata)
			continue;
		r = check_name(name, "tensor", error);
		if (r < 0)
			return r;
		r = read_entry(name, value, &file->entries[file->count], error);
		if (r < 0)
			return tv_error_prefix(error, r, "tensor '%.128s'", name);
		file->count++;
	}
	return 0;
}

/* By place in the data. Tensors without elements come before the one that begins where they lie;
 * names, which are unique, settle the rest. */
static int compare_place(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	if (x->end != y->end)
		return x->end < y->end ? -1 : 1;
	return strcmp(x->tensor.name, y->tensor.name);
}

static int compare_name(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;

	return strcmp((*x)->tensor.name, (*y)->tensor.name);
}

static int compare_key(const void *key, const void *member)
{
	const struct entry *const *entry = member;

	return strcmp(key, (*entry)->tensor.name);
}

/* Whether a tensor begins at byte end, where the one before it ends, and lies within size bytes. */
static int check_place(const struct entry *entry, uint64_t end, const char *before, size_t size,
		       struct tv_error *error)
{
	if (entry->begin < end)
		return tv_error_set(error, -EBADMSG,
				    "begins at byte %" PRIu64
				    ", inside tensor '%.128s', which ends at %" PRIu64,
				    entry->begin, before, end);
	if (entry->begin > end)
		return tv_error_set(error, -EBADMSG,
				    "begins at byte %" PRIu64 ", expected %" PRIu64
				    ": a hole before it",
				    entry->begin, end);
	if (entry->end > size)
		return tv_error_set(error, -EBADMSG,
				    "ends at byte %" PRIu64
				    ", but the file has only %zu bytes of data",
				    entry->end, size);
	return 0;
}

/* Puts the tensors in order, checks that they cover the size bytes at data exactly once, and only
 * then lets them point there. */
static int lay_out(struct tv_safetensors *file, const uint8_t *data, size_t size,
		   struct tv_error *error)
{
	const char *before = "";
	uint64_t end = 0;
	int r;

	qsort(file->entries, file->count, sizeof(*file->entries), compare_place);
	for (size_t i = 0; i < file->count; i++) {
		struct entry *entry = &file->entries[i];

		r = check_place(entry, end, before, size, error);
		if (r < 0)
			return tv_error_prefix(error, r, "tensor '%.128s'", entry->tensor.name);
		entry->tensor.data = data + (size_t)entry->begin;
		file->by_name[i] = entry;
		end = entry->end;
		before = entry->tensor.name;
	}
	if (end < size)
		return tv_error_set(error, -EBADMSG,
				    "%" PRIu64
				    " bytes follow the last tensor '%.128s', expected none",
				    size - end, before);

	qsort(file->by_name, file->count, sizeof(*file->by_name), compare_name);
	return 0;
}

int tv_safetensors_parse(const void *data, size_t size, const char *name,
			 struct tv_safetensors **ret, struct tv_error *error)
{
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	size_t offset;
	int r;

	file = calloc(1, sizeof(*file));
	if (!file)
		return tv_error_oom(error);
	file->name = strdup(name);
	if (!file->name)
		return tv_error_oom(error);

	r = tv_safetensors_header(data, size, &file->root, &offset, error);
	if (r == 0)
		r = read_entries(file, error);
	if (r == 0)
		r = lay_out(file, (const uint8_t *)data + offset, size - offset, error);
	if (r < 0)
		return tv_error_prefix(error, r, "%s", name);

	*ret = TV_TAKE_PTR(file);
	return 0;
}

int tv_safetensors_open(const char *path, struct tv_safetensors **ret, struct tv_error *error)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t size;
	int r;

	r = tv_file_read(path, TV_SAFETENSORS_FILE_MAX, &data, &size, error);
	if (r < 0)
		return r;
	r = tv_safetensors_parse(data, size, path, ret, error);
	if (r < 0)
		return r;
	(*ret)->owned = TV_TAKE_PTR(data);
	return 0;
}

void tv_safetensors_free(struct tv_safetensors *file)
{
	if (!file)
		return;
	json_decref(file->root);
	free(file->by_name);
	free(file->entries);
	free(file->owned);
	free(file->name);
	free(file);
}

const char *tv_safetensors_name(const struct tv_safetensors *file)
{
	return file->name;
}

size_t tv_safetensors_count(const struct tv_safetensors *file)
{
	return file->count;
}

const struct tv_tensor *tv_safetensors_at(const struct tv_safetensors *file, size_t index)
{
	return &file->entries[index].tensor;
}

const struct tv_tensor *tv_safetensors_find(const struct tv_safetensors *file, const char *name)
{
	struct entry **entry =
		bsearch(name, file->by_name, file->count, sizeof(*file->by_name), compare_key);

	return entry ? &(*entry)->tensor : NULL;
}

const char *tv_safetensors_metadata(const struct tv_safetensors *file, const char *key)
{
	json_t *metadata = json_object_get(file->root, TV_SAFETENSORS_METADATA);

	return json_string_value(json_object_get(metadata, key));
}
