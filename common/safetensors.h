/* SPDX-License-Identifier: MIT */
/*
 * Reader and writer of .safetensors files: an 8-byte little-endian header length, a JSON header,
 * the tensors' bytes without holes. Checkpoints and model packages are both such files; this
 * reader takes either from any source and trusts nothing in it.
 *
 * Bounds: header at most 1 MiB, at most 4096 tensors, rank at most 8, JSON depth at most 4.
 * Duplicate keys, unknown dtypes, products of shapes that overflow, tensors that overlap, leave a
 * hole or reach outside the file are refused with -EBADMSG; the text names the tensor.
 */
#ifndef TV_COMMON_SAFETENSORS_H
#define TV_COMMON_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

#define TV_SAFETENSORS_HEADER_MAX (1u << 20)
#define TV_SAFETENSORS_TENSORS_MAX 4096u
#define TV_SAFETENSORS_RANK_MAX 8u
#define TV_SAFETENSORS_DEPTH_MAX 4u
#define TV_SAFETENSORS_ALIGNMENT 4096u
#define TV_SAFETENSORS_FILE_MAX (UINT64_C(1) << 32)

enum tv_dtype {
	TV_DTYPE_BOOL,
	TV_DTYPE_U8,
	TV_DTYPE_I8,
	TV_DTYPE_F8_E5M2,
	TV_DTYPE_F8_E4M3,
	TV_DTYPE_I16,
	TV_DTYPE_U16,
	TV_DTYPE_F16,
	TV_DTYPE_BF16,
	TV_DTYPE_I32,
	TV_DTYPE_U32,
	TV_DTYPE_F32,
	TV_DTYPE_F64,
	TV_DTYPE_I64,
	TV_DTYPE_U64,
	TV_DTYPE_COUNT,
};

struct tv_tensor {
	const char *name;
	enum tv_dtype dtype;
	unsigned int rank; /* 0: a scalar */
	uint64_t shape[TV_SAFETENSORS_RANK_MAX];
	uint64_t elements; /* product of shape */
	uint64_t size; /* bytes */
	const uint8_t *data; /* not aligned: read it with memcpy() */
};

struct tv_safetensors;

/* Whether reader and writer take text as the name of a tensor or a key of the metadata: names end
 * up on terminals, so that control characters (C0, DEL, C1) are refused. */
bool tv_safetensors_name_valid(const char *text);

/* Reads the whole file at path, a regular one of at most TV_SAFETENSORS_FILE_MAX bytes. *ret is the
 * caller's, released by tv_safetensors_free(). */
int tv_safetensors_open(const char *path, struct tv_safetensors **ret, struct tv_error *error);

/* Parses size bytes at data, which stay the caller's and must outlive *ret. name stands for the
 * file in error texts. */
int tv_safetensors_parse(const void *data, size_t size, const char *name,
			 struct tv_safetensors **ret, struct tv_error *error);

void tv_safetensors_free(struct tv_safetensors *file);
TV_DEFINE_CLEANUP(struct tv_safetensors *, tv_safetensors_free)

/* The name that error texts use. */
const char *tv_safetensors_name(const struct tv_safetensors *file);

/* Tensors in the order of their data. */
size_t tv_safetensors_count(const struct tv_safetensors *file);
const struct tv_tensor *tv_safetensors_at(const struct tv_safetensors *file, size_t index);
/* NULL if there is none of that name. */
const struct tv_tensor *tv_safetensors_find(const struct tv_safetensors *file, const char *name);
/* A value of __metadata__, NULL if absent. */
const char *tv_safetensors_metadata(const struct tv_safetensors *file, const char *key);

const char *tv_dtype_name(enum tv_dtype dtype);
size_t tv_dtype_size(enum tv_dtype dtype);
/* "F32 [16, 3, 3, 3]" into text, truncated to fit; returns text. */
const char *tv_tensor_describe(const struct tv_tensor *tensor, char *text, size_t size);
/* Converts elements [first, first + count) of an F32, F16 or BF16 tensor to float. -EINVAL for
 * another dtype or a range outside the tensor. */
int tv_tensor_to_float(const struct tv_tensor *tensor, uint64_t first, uint64_t count, float *ret);
/* IEEE 754 binary16 conversions; to half rounds to nearest even, beyond range to infinity. */
float tv_half_to_float(uint16_t half);
uint16_t tv_float_to_half(float value);

struct tv_safetensors_writer;

struct tv_safetensors_writer *tv_safetensors_writer_new(void); /* NULL: out of memory */
void tv_safetensors_writer_free(struct tv_safetensors_writer *writer);
TV_DEFINE_CLEANUP(struct tv_safetensors_writer *, tv_safetensors_writer_free)

/* Strings are copied. A key given twice is refused (-EEXIST). */
int tv_safetensors_writer_metadata(struct tv_safetensors_writer *writer, const char *key,
				   const char *value, struct tv_error *error);
/* data stays the caller's and must live until the file is written. A one-dimensional U8 tensor may
 * be padded: its bytes are followed by zeros up to a multiple of alignment (1: none, at most
 * TV_SAFETENSORS_ALIGNMENT), its shape says the padded length. A name given twice is refused
 * (-EEXIST). */
int tv_safetensors_writer_tensor(struct tv_safetensors_writer *writer, const char *name,
				 enum tv_dtype dtype, unsigned int rank, const uint64_t *shape,
				 const void *data, unsigned int alignment, struct tv_error *error);
/* Writes a temporary file beside path, syncs it and renames it: path is never half-written. The
 * header is padded with spaces so that data starts at a multiple of 4096. The bytes depend on
 * nothing but what was added, in the order in which it was added. */
int tv_safetensors_writer_write(const struct tv_safetensors_writer *writer, const char *path,
				struct tv_error *error);

#endif
