/* SPDX-License-Identifier: MIT */
/* Programs and weights come first, so that each begins at a multiple of 4096 bytes in the file. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "model/package-format.h"

static int add_integer(struct tv_safetensors_writer *writer, const char *key, uint64_t value,
		       struct tv_error *error)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return tv_safetensors_writer_metadata(writer, key, text, error);
}

/* In JSON's spelling, with as many digits as tell one float from the next. */
static int add_float(struct tv_safetensors_writer *writer, const char *key, float value,
		     struct tv_error *error)
{
	_cleanup_(json_decrefp) json_t *number = json_real((double)value);
	_cleanup_free_ char *text = NULL;

	text = json_dumps(number, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
	if (!text)
		return tv_error_oom(error);
	return tv_safetensors_writer_metadata(writer, key, text, error);
}

/* One a line. */
static int add_names(struct tv_safetensors_writer *writer, const char *key,
		     const char *(*name)(const struct tv_package *package, size_t index),
		     const struct tv_package *package, size_t count, struct tv_error *error)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	bool failed;

	if (!stream)
		return tv_error_oom(error);
	for (size_t i = 0; i < count; i++)
		fprintf(stream, "%s%s", i ? "\n" : "", name(package, i));
	failed = ferror(stream);
	if (fclose(stream) != 0 || failed)
		return tv_error_oom(error);
	return tv_safetensors_writer_metadata(writer, key, text, error);
}

static const char *label_name(const struct tv_package *package, size_t index)
{
	return package->labels[index];
}

static const char *node_name(const struct tv_package *package, size_t index)
{
	return package->nodes[index].name;
}

static int add_metadata(struct tv_safetensors_writer *writer, const struct tv_package *package,
			struct tv_error *error)
{
	int r;

	r = tv_safetensors_writer_metadata(writer, "format", TV_PACKAGE_FORMAT, error);
	if (r >= 0)
		r = add_integer(writer, "format_version", TV_PACKAGE_VERSION, error);
	if (r >= 0)
		r = add_integer(writer, "contract", TV_CONTRACT_VERSION, error);
	if (r >= 0)
		r = add_integer(writer, "size", package->size, error);
	if (r >= 0)
		r = add_integer(writer, "resize", package->resize, error);
	if (r >= 0)
		r = add_integer(writer, "classes", package->classes, error);
	if (r >= 0)
		r = add_float(writer, "logit_scale", package->logit_scale, error);
	if (r >= 0)
		r = add_integer(writer, "macs", package->macs, error);
	if (r >= 0)
		r = add_names(writer, "nodes", node_name, package, package->node_count, error);
	if (r >= 0 && package->labels)
		r = add_names(writer, "labels", label_name, package, package->classes, error);
	if (r >= 0 && package->source)
		r = tv_safetensors_writer_metadata(writer, "source", package->source, error);
	return r;
}

static int add_bytes(struct tv_safetensors_writer *writer, const char *prefix,
		     const struct tv_package_program *program, const uint8_t *data, uint64_t size,
		     struct tv_error *error)
{
	char name[TV_PACKAGE_NAME_SIZE];

	return tv_safetensors_writer_tensor(writer, tv_package_program_name(prefix, program, name),
					    TV_DTYPE_U8, 1, &size, data, TV_SAFETENSORS_ALIGNMENT,
					    error);
}

/* ret: the tensor's bytes, which have to live until the file is written. */
static int add_steps(struct tv_safetensors_writer *writer, const struct tv_package_program *program,
		     uint8_t **ret, struct tv_error *error)
{
	const uint64_t shape[] = { program->header.commands, TV_PACKAGE_STEP_NUMBERS };
	char name[TV_PACKAGE_NAME_SIZE];
	uint8_t *at;

	at = *ret = calloc(program->header.commands, 4 * TV_PACKAGE_STEP_NUMBERS);
	if (!at)
		return tv_error_oom(error);
	for (uint32_t i = 0; i < program->header.commands; i++) {
		const struct tv_step *step = &program->steps[i];

		tv_put32(at, (uint32_t)step->nodes[0]);
		tv_put32(at + 4, (uint32_t)step->nodes[1]);
		tv_put32(at + 8, step->image);
		tv_put32(at + 12, step->images);
		at += 4 * TV_PACKAGE_STEP_NUMBERS;
	}
	return tv_safetensors_writer_tensor(
		writer, tv_package_program_name(TV_PACKAGE_STEPS, program, name), TV_DTYPE_I32,
		TV_ARRAY_SIZE(shape), shape, *ret, 1, error);
}

static int add_values(struct tv_safetensors_writer *writer, const char *prefix,
		      const struct tv_package_node *node, const float *values,
		      struct tv_error *error)
{
	const uint64_t channels = node->channels;
	char name[TV_PACKAGE_NAME_SIZE];

	snprintf(name, sizeof(name), "%s%s", prefix, node->name);
	return tv_safetensors_writer_tensor(writer, name, TV_DTYPE_F32, 1, &channels, values, 1,
					    error);
}

static int add_tensors(struct tv_safetensors_writer *writer, const struct tv_package *package,
		       uint8_t **steps, struct tv_error *error)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < package->program_count; i++) {
		const struct tv_package_program *program = &package->programs[i];
		const uint32_t *size = program->header.segment;

		r = add_bytes(writer, TV_PACKAGE_PROGRAM, program, program->program,
			      size[TV_SEGMENT_PROGRAM], error);
		if (r >= 0)
			r = add_bytes(writer, TV_PACKAGE_WEIGHTS, program, program->weights,
				      size[TV_SEGMENT_WEIGHTS], error);
	}
	for (size_t i = 0; r >= 0 && i < package->program_count; i++)
		r = add_steps(writer, &package->programs[i], &steps[i], error);
	for (size_t i = 0; r >= 0 && i < package->node_count; i++) {
		const struct tv_package_node *node = &package->nodes[i];

		r = add_values(writer, TV_PACKAGE_SCALE, node, node->scale, error);
		if (r >= 0)
			r = add_values(writer, TV_PACKAGE_OFFSET, node, node->offset, error);
	}
	return r;
}

int tv_package_write(const struct tv_package *package, const char *path, struct tv_error *error)
{
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer = NULL;
	uint8_t *steps[TV_PACKAGE_PROGRAMS_MAX] = { 0 };
	int r;

	r = tv_package_check(package, error);
	if (r < 0)
		return tv_error_prefix(error, r, "%s", path);
	writer = tv_safetensors_writer_new();
	if (!writer)
		return tv_error_oom(error);
	r = add_metadata(writer, package, error);
	if (r >= 0)
		r = add_tensors(writer, package, steps, error);
	if (r < 0)
		(void)tv_error_prefix(error, r, "%s", path);
	else
		r = tv_safetensors_writer_write(writer, path, error);
	for (size_t i = 0; i < TV_ARRAY_SIZE(steps); i++)
		free(steps[i]);
	return r;
}
