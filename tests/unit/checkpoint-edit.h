/* SPDX-License-Identifier: MIT */
/* Checkpoints of a small network for tests, and copies of them with something changed. */
#ifndef TV_TESTS_CHECKPOINT_EDIT_H
#define TV_TESTS_CHECKPOINT_EDIT_H

#include <errno.h>
#include <string.h>

#include "common/safetensors.h"
#include "quantizer/checkpoint.h"
#include "tests/unit/directory.h"

/* The smallest of everything that still has more than one block and head of each kind. */
static const struct tv_architecture small = {
	.widths = { 4, 6, 6, 8, 12 },
	.depths = { 1, 2, 1, 1, 2 },
	.head_dim = 4,
	.head_widths = { 10, 14 },
	.classes = 3,
	.expand = 2,
};

#define MIT  "mit.safetensors"
#define TIMM "timm.safetensors"

static inline void make_checkpoints(void)
{
	struct tv_error error = { 0 };

	tv_unit_directory_make();
	tv_assert_ok(tv_checkpoint_write_random(&small, TV_NAMING_MIT, 64, 7, tv_unit_path(MIT),
						&error),
		     error);
	tv_assert_ok(tv_checkpoint_write_random(&small, TV_NAMING_TIMM, 64, 7, tv_unit_path(TIMM),
						&error),
		     error);
}

static inline struct tv_network *read_file(const char *name,
					   const struct tv_checkpoint_options *options)
{
	struct tv_network *network = NULL;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_checkpoint_read(tv_unit_path(name), options, &network, &error), error);
	return network;
}

static inline void assert_refused(const char *name, const struct tv_checkpoint_options *options,
				  int code, const char *text)
{
	struct tv_network *network = NULL;
	struct tv_error error = { 0 };

	ck_assert_int_eq(tv_checkpoint_read(tv_unit_path(name), options, &network, &error), code);
	ck_assert_ptr_null(network);
	ck_assert_msg(strstr(error.text, text), "'%s' is not in '%s'", text, error.text);
	if (code == -EBADMSG)
		ck_assert_msg(strstr(error.text, tv_unit_path(name)), "no file in '%s'",
			      error.text);
}

/* One change of a file: a tensor by name, or a new one. */
struct edit {
	const char *name;   /* NULL: a new tensor */
	const char *rename; /* NULL: as it was */
	bool drop;
	const float *value; /* in the place of element 0, or of element 'at' */
	size_t at;
	enum tv_dtype dtype; /* other than TV_DTYPE_BOOL: that type and shape, zeros */
	unsigned int rank;
	uint64_t shape[TV_SAFETENSORS_RANK_MAX];
};

/* A copy of tensors that are being changed; they live until the file is written. */
struct copy {
	struct tv_safetensors_writer *writer;
	void *values[512];
	size_t count;
};

static inline void *copy_bytes(struct copy *copy, const void *data, size_t size)
{
	void *bytes = calloc(1, size + 1);

	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_lt(copy->count, TV_ARRAY_SIZE(copy->values));
	if (data && size > 0)
		memcpy(bytes, data, size);
	copy->values[copy->count++] = bytes;
	return bytes;
}

static inline void add_tensor(struct copy *copy, const char *name, enum tv_dtype dtype,
			      unsigned int rank, const uint64_t *shape, const void *data)
{
	struct tv_error error = { 0 };

	tv_assert_ok(tv_safetensors_writer_tensor(copy->writer, name, dtype, rank, shape, data, 1,
						  &error),
		     error);
}

static inline void add_edited(struct copy *copy, const struct tv_tensor *tensor,
			      const struct edit *edit)
{
	const char *name = edit->rename ? edit->rename : edit->name;
	uint8_t *bytes;

	if (edit->drop)
		return;
	if (edit->dtype != TV_DTYPE_BOOL) {
		uint64_t elements = 1;

		for (unsigned int i = 0; i < edit->rank; i++)
			elements *= edit->shape[i];
		bytes = copy_bytes(copy, NULL, elements * tv_dtype_size(edit->dtype));
		add_tensor(copy, name, edit->dtype, edit->rank, edit->shape, bytes);
		return;
	}
	bytes = copy_bytes(copy, tensor->data, tensor->size);
	if (edit->value)
		memcpy(bytes + edit->at * sizeof(float), edit->value, sizeof(float));
	add_tensor(copy, name, tensor->dtype, tensor->rank, tensor->shape, bytes);
}

/* Puts every tensor into another file as change() wants it; metadata: pairs, NULL at the end. */
static inline void rewrite(const char *from, const char *to,
			   void (*change)(struct copy *copy, const struct tv_tensor *tensor,
					  const void *userdata),
			   const void *userdata, const char *const *metadata)
{
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	struct copy copy = { .writer = tv_safetensors_writer_new() };
	struct tv_error error = { 0 };

	ck_assert_ptr_nonnull(copy.writer);
	tv_assert_ok(tv_safetensors_open(tv_unit_path(from), &file, &error), error);
	for (size_t i = 0; metadata && metadata[i]; i += 2)
		tv_assert_ok(tv_safetensors_writer_metadata(copy.writer, metadata[i],
							    metadata[i + 1], &error),
			     error);
	for (size_t i = 0; i < tv_safetensors_count(file); i++)
		change(&copy, tv_safetensors_at(file, i), userdata);
	tv_assert_ok(tv_safetensors_writer_write(copy.writer, tv_unit_path(to), &error), error);
	tv_safetensors_writer_free(copy.writer);
	for (size_t i = 0; i < copy.count; i++)
		free(copy.values[i]);
}

static inline void change_one(struct copy *copy, const struct tv_tensor *tensor,
			      const void *userdata)
{
	const struct edit *edit = userdata;

	if (edit->name && !strcmp(edit->name, tensor->name)) {
		add_edited(copy, tensor, edit);
		return;
	}
	add_tensor(copy, tensor->name, tensor->dtype, tensor->rank, tensor->shape, tensor->data);
	/* Once: beside the first of all tensors, which every checkpoint here has. */
	if (!edit->name && edit->rename && copy->count == 0)
		add_edited(copy, tensor, edit);
}

static inline void change_nothing(struct copy *copy, const struct tv_tensor *tensor,
				  const void *userdata)
{
	add_tensor(copy, tensor->name, tensor->dtype, tensor->rank, tensor->shape, tensor->data);
}

#endif
