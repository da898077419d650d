/* SPDX-License-Identifier: MIT */
#include <endian.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/file.h"
#include "common/safetensors-header.h"
#include "common/safetensors.h"

/* Length field and header together fill whole pages, and the bound is a multiple of them. */
#define HEADER_MAX (TV_SAFETENSORS_HEADER_MAX - sizeof(uint64_t))

struct tv_safetensors_writer {
	json_t *metadata;
	json_t *tensors; /* the header without its metadata */
	struct iovec *parts; /* the data: of each tensor its bytes and its padding */
	size_t count, capacity; /* of parts */
	uint64_t end; /* bytes of data so far */
};

/* What pads a tensor. */
static const uint8_t zeros[TV_SAFETENSORS_ALIGNMENT];

struct tv_safetensors_writer *tv_safetensors_writer_new(void)
{
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer = NULL;

	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return NULL;
	writer->metadata = json_object();
	writer->tensors = json_object();
	if (!writer->metadata || !writer->tensors)
		return NULL;
	return TV_TAKE_PTR(writer);
}

void tv_safetensors_writer_free(struct tv_safetensors_writer *writer)
{
	if (!writer)
		return;
	json_decref(writer->metadata);
	json_decref(writer->tensors);
	free(writer->parts);
	free(writer);
}

/* jansson refuses text that is not UTF-8 in the same way as it runs out of memory; the unchecked
 * variant tells the two apart. */
static int make_string(const char *text, json_t **ret, struct tv_error *error)
{
	_cleanup_(json_decrefp) json_t *unchecked = NULL;
	json_t *string = json_string(text);

	if (string) {
		*ret = string;
		return 0;
	}
	unchecked = json_string_nocheck(text);
	if (!unchecked)
		return tv_error_oom(error);
	return tv_error_set(error, -EINVAL, "not valid UTF-8");
}

/* A key must be one that the reader takes and that object does not have yet. */
static int check_key(json_t *object, const char *key, struct tv_error *error)
{
	_cleanup_(json_decrefp) json_t *string = NULL;
	int r;

	if (!tv_safetensors_name_valid(key))
		return tv_error_set(error, -EINVAL, "control characters in the name");
	r = make_string(key, &string, error);
	if (r < 0)
		return r;
	if (json_object_get(object, key))
		return tv_error_set(error, -EEXIST, "was added before");
	return 0;
}

static int add_metadata(struct tv_safetensors_writer *writer, const char *key, const char *value,
			struct tv_error *error)
{
	json_t *string;
	int r;

	r = check_key(writer->metadata, key, error);
	if (r < 0)
		return r;
	r = make_string(value, &string, error);
	if (r < 0)
		return r;
	if (json_object_set_new(writer->metadata, key, string) < 0)
		return tv_error_oom(error);
	return 0;
}

int tv_safetensors_writer_metadata(struct tv_safetensors_writer *writer, const char *key,
				   const char *value, struct tv_error *error)
{
	int r = add_metadata(writer, key, value, error);

	return r < 0 ? tv_error_prefix(error, r, "metadata '%s'", key) : 0;
}

/* Bytes of a tensor, without its padding. */
static int tensor_size(enum tv_dtype dtype, unsigned int rank, const uint64_t *shape,
		       size_t *ret_size, struct tv_error *error)
{
	size_t size = tv_dtype_size(dtype);

	if (size == 0)
		return tv_error_set(error, -EINVAL, "unknown dtype %d", (int)dtype);
	if (rank > TV_SAFETENSORS_RANK_MAX)
		return tv_error_set(error, -EINVAL, "rank %u, expected at most %u", rank,
				    TV_SAFETENSORS_RANK_MAX);
	for (unsigned int i = 0; i < rank; i++)
		if (shape[i] > INT64_MAX || __builtin_mul_overflow(size, shape[i], &size))
			return tv_error_set(error, -EINVAL, "shape is larger than memory");
	*ret_size = size;
	return 0;
}

/* Zeros that follow a tensor of size bytes. */
static int tensor_padding(enum tv_dtype dtype, unsigned int rank, size_t size,
			  unsigned int alignment, size_t *ret_padding, struct tv_error *error)
{
	if (alignment < 1 || alignment > TV_SAFETENSORS_ALIGNMENT)
		return tv_error_set(error, -EINVAL, "alignment %u, expected 1 to %u", alignment,
				    TV_SAFETENSORS_ALIGNMENT);
	if (alignment > 1 && (dtype != TV_DTYPE_U8 || rank != 1))
		return tv_error_set(error, -EINVAL,
				    "%s of rank %u cannot be padded, only U8 of rank 1 can",
				    tv_dtype_name(dtype), rank);
	*ret_padding = (alignment - size % alignment) % alignment;
	return 0;
}

/* The header's entry. */
static json_t *make_entry(enum tv_dtype dtype, unsigned int rank, const uint64_t *shape,
			  uint64_t begin, uint64_t end)
{
	_cleanup_(json_decrefp) json_t *dimensions = json_array();

	if (!dimensions)
		return NULL;
	for (unsigned int i = 0; i < rank; i++)
		if (json_array_append_new(dimensions, json_integer((json_int_t)shape[i])) < 0)
			return NULL;
	return json_pack("{s:s, s:O, s:[I, I]}", "dtype", tv_dtype_name(dtype), "shape", dimensions,
			 "data_offsets", (json_int_t)begin, (json_int_t)end);
}

/* Room for the two parts of another tensor. */
static int grow_parts(struct tv_safetensors_writer *writer, struct tv_error *error)
{
	size_t capacity = writer->capacity ? 2 * writer->capacity : 64;
	struct iovec *parts;

	if (writer->count + 2 <= writer->capacity)
		return 0;
	parts = reallocarray(writer->parts, capacity, sizeof(*parts));
	if (!parts)
		return tv_error_oom(error);
	writer->parts = parts;
	writer->capacity = capacity;
	return 0;
}

static int add_tensor(struct tv_safetensors_writer *writer, const char *name, enum tv_dtype dtype,
		      unsigned int rank, const uint64_t *shape, const void *data,
		      unsigned int alignment, struct tv_error *error)
{
	uint64_t padded_shape, end;
	size_t size, padding;
	json_t *entry;
	int r;

	r = check_key(writer->tensors, name, error);
	if (r < 0)
		return r;
	if (strcmp(name, TV_SAFETENSORS_METADATA) == 0)
		return tv_error_set(error, -EINVAL, "the name is the metadata's");
	if (json_object_size(writer->tensors) >= TV_SAFETENSORS_TENSORS_MAX)
		return tv_error_set(error, -EINVAL, "is one too many, expected at most %u tensors",
				    TV_SAFETENSORS_TENSORS_MAX);
	r = tensor_size(dtype, rank, shape, &size, error);
	if (r < 0)
		return r;
	r = tensor_padding(dtype, rank, size, alignment, &padding, error);
	if (r < 0)
		return r;
	if (__builtin_add_overflow(writer->end, size, &end) ||
	    __builtin_add_overflow(end, padding, &end) || end > INT64_MAX)
		return tv_error_set(error, -EINVAL, "the file would be too large");
	r = grow_parts(writer, error);
	if (r < 0)
		return r;

	if (padding > 0) {
		padded_shape = (uint64_t)size + padding;
		shape = &padded_shape;
	}
	entry = make_entry(dtype, rank, shape, writer->end, end);
	if (!entry || json_object_set_new(writer->tensors, name, entry) < 0)
		return tv_error_oom(error);
	writer->parts[writer->count++] = (struct iovec){ (void *)data, size };
	writer->parts[writer->count++] = (struct iovec){ (void *)zeros, padding };
	writer->end = end;
	return 0;
}

int tv_safetensors_writer_tensor(struct tv_safetensors_writer *writer, const char *name,
				 enum tv_dtype dtype, unsigned int rank, const uint64_t *shape,
				 const void *data, unsigned int alignment, struct tv_error *error)
{
	int r = add_tensor(writer, name, dtype, rank, shape, data, alignment, error);

	return r < 0 ? tv_error_prefix(error, r, "tensor '%s'", name) : 0;
}

/* The header length and the header, padded so that data starts at a multiple of 4096. */
static int make_header(const struct tv_safetensors_writer *writer, char **ret, size_t *ret_size,
		       struct tv_error *error)
{
	_cleanup_(json_decrefp) json_t *root = json_object();
	_cleanup_free_ char *header = NULL;
	size_t length, size;
	uint64_t field;

	if (!root ||
	    (json_object_size(writer->metadata) > 0 &&
	     json_object_set(root, TV_SAFETENSORS_METADATA, writer->metadata) < 0) ||
	    json_object_update(root, writer->tensors) < 0)
		return tv_error_oom(error);

	/* Without a buffer it counts. */
	length = json_dumpb(root, NULL, 0, JSON_COMPACT);
	if (length == 0)
		return tv_error_oom(error);
	if (length > HEADER_MAX)
		return tv_error_set(error, -EINVAL, "header of %zu bytes, expected at most %zu",
				    length, HEADER_MAX);
	size = sizeof(field) + length + TV_SAFETENSORS_ALIGNMENT - 1;
	size -= size % TV_SAFETENSORS_ALIGNMENT;
	header = malloc(size);
	if (!header)
		return tv_error_oom(error);

	field = htole64(size - sizeof(field));
	memcpy(header, &field, sizeof(field));
	memset(header + sizeof(field), ' ', size - sizeof(field));
	if (json_dumpb(root, header + sizeof(field), length, JSON_COMPACT) != length)
		return tv_error_oom(error);

	*ret = TV_TAKE_PTR(header);
	*ret_size = size;
	return 0;
}

int tv_safetensors_writer_write(const struct tv_safetensors_writer *writer, const char *path,
				struct tv_error *error)
{
	_cleanup_free_ struct iovec *parts = NULL;
	_cleanup_free_ char *header = NULL;
	size_t size;
	int r;

	r = make_header(writer, &header, &size, error);
	if (r < 0)
		return tv_error_prefix(error, r, "%s", path);
	parts = reallocarray(NULL, 1 + writer->count, sizeof(*parts));
	if (!parts)
		return tv_error_oom(error);
	parts[0] = (struct iovec){ header, size };
	if (writer->count > 0)
		memcpy(parts + 1, writer->parts, writer->count * sizeof(*parts));
	return tv_file_write(path, parts, 1 + writer->count, error);
}
