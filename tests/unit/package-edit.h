/* SPDX-License-Identifier: MIT */
/* Package files for tests, and copies of them with something changed. */
#ifndef TV_TESTS_PACKAGE_EDIT_H
#define TV_TESTS_PACKAGE_EDIT_H

#include "common/safetensors.h"
#include "tests/unit/directory.h"
#include "tests/unit/package-make.h"

#define GOOD "good.safetensors"
#define BAD  "bad.safetensors"

/* Tensors of make_small()'s program. */
#define PROGRAM "program.zcu102.2"
#define WEIGHTS "weights.zcu102.2"
#define STEPS	"steps.zcu102.2"

static inline void write_package(const struct tv_package *package, const char *name)
{
	struct tv_error error = { 0 };

	tv_assert_ok(tv_package_write(package, tv_unit_path(name), &error), error);
}

static inline struct tv_package *read_package(const char *name)
{
	struct tv_package *package = NULL;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_package_read(tv_unit_path(name), &package, &error), error);
	return package;
}

static inline void assert_program_eq(const struct tv_package_program *a,
				     const struct tv_package_program *b)
{
	ck_assert_str_eq(a->target, b->target);
	ck_assert_mem_eq(&a->header, &b->header, sizeof(a->header));
	ck_assert_mem_eq(a->program, b->program, a->header.segment[TV_SEGMENT_PROGRAM]);
	ck_assert_mem_eq(a->weights, b->weights, a->header.segment[TV_SEGMENT_WEIGHTS]);
	ck_assert_mem_eq(a->steps, b->steps, a->header.commands * sizeof(*a->steps));
}

static inline void assert_package_eq(const struct tv_package *a, const struct tv_package *b)
{
	ck_assert_uint_eq(a->size, b->size);
	ck_assert_uint_eq(a->resize, b->resize);
	ck_assert_uint_eq(a->classes, b->classes);
	ck_assert(a->logit_scale == b->logit_scale);
	ck_assert_uint_eq(a->macs, b->macs);
	ck_assert_pstr_eq(a->source, b->source);
	ck_assert_int_eq(!a->labels, !b->labels);
	for (unsigned int i = 0; a->labels && i < a->classes; i++)
		ck_assert_str_eq(a->labels[i], b->labels[i]);
	ck_assert_uint_eq(a->program_count, b->program_count);
	for (size_t i = 0; i < a->program_count; i++)
		assert_program_eq(&a->programs[i], &b->programs[i]);
	ck_assert_uint_eq(a->node_count, b->node_count);
	for (size_t i = 0; i < a->node_count; i++) {
		const struct tv_package_node *x = &a->nodes[i], *y = &b->nodes[i];

		ck_assert_str_eq(x->name, y->name);
		ck_assert_uint_eq(x->channels, y->channels);
		ck_assert_mem_eq(x->scale, y->scale, x->channels * sizeof(float));
		ck_assert_mem_eq(x->offset, y->offset, x->channels * sizeof(float));
	}
}

static inline struct tv_package *make_small(void)
{
	static const struct package_of of = { "zcu102", 2 };

	return package_make(&package_small, PACKAGE_SMALL_SIZE, &of, 1);
}

/* A program for a configuration that is not built in, with a command that no built-in one takes. */
static inline void make_custom(struct tv_package *package, uint16_t id, const char *name)
{
	struct tv_package_program *program = &package->programs[0];
	uint8_t *bytes = package->owned[0];

	snprintf(program->target, sizeof(program->target), "%s", name);
	program->header.target = id;
	tv_encode_program_header(&program->header, bytes);
	bytes[TV_PROGRAM_HEADER_SIZE + 57] = 9; /* stage[0].split */
}

/* One change of a file, and what must be said about it. */
struct edit {
	const char *expected;
	const char *key, *value; /* of the metadata; NULL value: no such key */
	const char *tensor; /* that this is about */
	const char *rename; /* "": no such tensor */
	size_t at; /* byte that is replaced, with those behind it ... */
	unsigned int bytes; /* ... by so many of number, little-endian */
	uint64_t number;
	uint64_t size; /* else 0: cut off or, with zeros, extended to so many */
	enum tv_dtype dtype; /* else 0, BOOL */
};

static const char *const keys[] = { "format", "format_version", "contract",    "size",
				    "resize", "classes",	"logit_scale", "macs",
				    "nodes",  "labels",		"source" };

static inline void copy_metadata(struct tv_safetensors_writer *writer,
				 const struct tv_safetensors *file, const struct edit *edit)
{
	struct tv_error error = { 0 };

	for (size_t i = 0; i < TV_ARRAY_SIZE(keys); i++) {
		const char *value = tv_safetensors_metadata(file, keys[i]);

		if (edit->key && !strcmp(edit->key, keys[i]))
			value = edit->value;
		if (value)
			tv_assert_ok(tv_safetensors_writer_metadata(writer, keys[i], value, &error),
				     error);
	}
}

/* Returns what has to live until the file is written. */
static inline uint8_t *copy_edited(struct tv_safetensors_writer *writer,
				   const struct tv_tensor *tensor, const struct edit *edit)
{
	uint64_t shape[TV_SAFETENSORS_RANK_MAX], size = edit->size ? edit->size : tensor->size;
	const char *name = edit->rename ? edit->rename : tensor->name;
	enum tv_dtype dtype = edit->dtype ? edit->dtype : tensor->dtype;
	uint8_t *bytes = calloc(1, size + 1);
	struct tv_error error = { 0 };

	ck_assert_ptr_nonnull(bytes);
	memcpy(bytes, tensor->data, size < tensor->size ? size : tensor->size);
	for (unsigned int i = 0; i < edit->bytes; i++)
		bytes[edit->at + i] = (uint8_t)(edit->number >> 8 * i);
	memcpy(shape, tensor->shape, sizeof(shape));
	shape[0] = shape[0] * size / tensor->size;
	if (edit->dtype)
		shape[0] = shape[0] * tv_dtype_size(tensor->dtype) / tv_dtype_size(dtype);
	if (*name)
		tv_assert_ok(tv_safetensors_writer_tensor(writer, name, dtype, tensor->rank, shape,
							  bytes, 1, &error),
			     error);
	return bytes;
}

static inline void copy_with(const struct edit *edit, const char *from, const char *to)
{
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer =
		tv_safetensors_writer_new();
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	_cleanup_free_ uint8_t *bytes = NULL;
	struct tv_error error = { 0 };

	ck_assert_ptr_nonnull(writer);
	tv_assert_ok(tv_safetensors_open(tv_unit_path(from), &file, &error), error);
	copy_metadata(writer, file, edit);
	for (size_t i = 0; i < tv_safetensors_count(file); i++) {
		const struct tv_tensor *tensor = tv_safetensors_at(file, i);

		if (edit->tensor && !strcmp(edit->tensor, tensor->name))
			bytes = copy_edited(writer, tensor, edit);
		else
			tv_assert_ok(tv_safetensors_writer_tensor(
					     writer, tensor->name, tensor->dtype, tensor->rank,
					     tensor->shape, tensor->data, 1, &error),
				     error);
	}
	/* A tensor that is not there would leave the file as it was, and be no test. */
	ck_assert_msg(!edit->tensor || bytes, "no tensor '%s'", edit->tensor);
	tv_assert_ok(tv_safetensors_writer_write(writer, tv_unit_path(to), &error), error);
}

#endif
