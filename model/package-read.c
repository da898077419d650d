/* SPDX-License-Identifier: MIT */
/*
 * From the file's tensors to the structures, no further: what a reader must know before it can
 * point there or allocate is checked here, all else by tv_package_check(). Names and metadata come
 * from foreign files; what of them goes into an error text was taken by the safetensors reader.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/labels.h"
#include "model/package-format.h"

static int read_text(const struct tv_safetensors *file, const char *key, const char **ret,
		     struct tv_error *error)
{
	*ret = tv_safetensors_metadata(file, key);
	return *ret ? 0 : tv_error_set(error, -EBADMSG, "no metadata '%s'", key);
}

/* Numbers are JSON's, whatever the process's locale takes for a decimal point. NULL: none. */
static json_t *parse_number(const char *text)
{
	enum {
		LONGEST = 32
	};
	json_t *number;

	/* A leading blank would be JSON, but only one spelling is wanted. */
	if (strlen(text) > LONGEST || !strchr("0123456789-", *text))
		return NULL;
	number = json_loads(text, JSON_DECODE_ANY, NULL);
	if (json_is_number(number))
		return number;
	json_decref(number);
	return NULL;
}

static int read_integer(const struct tv_safetensors *file, const char *key, uint64_t most,
			uint64_t *ret, struct tv_error *error)
{
	_cleanup_(json_decrefp) json_t *number = NULL;
	const char *text;
	int r;

	r = read_text(file, key, &text, error);
	if (r < 0)
		return r;
	number = parse_number(text);
	if (!json_is_integer(number) || json_integer_value(number) < 0 ||
	    (uint64_t)json_integer_value(number) > most)
		return tv_error_set(error, -EBADMSG,
				    "metadata '%s' is '%.64s', expected an integer from 0 to "
				    "%" PRIu64,
				    key, text, most);
	*ret = (uint64_t)json_integer_value(number);
	return 0;
}

static int read_unsigned(const struct tv_safetensors *file, const char *key, unsigned int *ret,
			 struct tv_error *error)
{
	uint64_t value;
	int r = read_integer(file, key, UINT32_MAX, &value, error);

	if (r >= 0)
		*ret = (unsigned int)value;
	return r;
}

static int read_float(const struct tv_safetensors *file, const char *key, float *ret,
		      struct tv_error *error)
{
	_cleanup_(json_decrefp) json_t *number = NULL;
	const char *text;
	int r;

	r = read_text(file, key, &text, error);
	if (r < 0)
		return r;
	number = parse_number(text);
	if (!number)
		return tv_error_set(error, -EBADMSG, "metadata '%s' is '%.64s', expected a number",
				    key, text);
	*ret = (float)json_number_value(number);
	return 0;
}

/* Before anything else: whether this is a file whose other parts mean what they are taken for. */
static int check_version(const struct tv_safetensors *file, struct tv_error *error)
{
	const char *format = tv_safetensors_metadata(file, "format");
	uint64_t version, contract;
	int r;

	if (!tv_package_is(file))
		return tv_error_set(error, -EBADMSG, "no model package: %s%.64s%s, expected '%s'",
				    format ? "metadata 'format' is '" : "no metadata 'format'",
				    format ? format : "", format ? "'" : "", TV_PACKAGE_FORMAT);
	r = read_integer(file, "format_version", INT64_MAX, &version, error);
	if (r < 0)
		return r;
	if (version != TV_PACKAGE_VERSION)
		return tv_error_set(error, -EBADMSG,
				    "metadata 'format_version' is %" PRIu64 ", expected %u",
				    version, TV_PACKAGE_VERSION);
	r = read_integer(file, "contract", INT64_MAX, &contract, error);
	if (r < 0)
		return r;
	if (contract != TV_CONTRACT_VERSION)
		return tv_error_set(error, -EBADMSG,
				    "metadata 'contract' is %" PRIu64 ", expected %u: made for "
				    "another version of the accelerator, quantize it anew",
				    contract, TV_CONTRACT_VERSION);
	return 0;
}

static int read_labels(struct tv_package *package, struct tv_error *error)
{
	const char *text = tv_safetensors_metadata(package->file, "labels");
	char **labels;
	size_t count;
	int r;

	if (!text)
		return 0;
	r = tv_labels_parse(text, &labels, &count, error);
	if (r < 0)
		return tv_error_prefix(error, r, "metadata 'labels'");
	if (count != package->classes) {
		tv_labels_free(labels, count);
		return tv_error_set(error, -EBADMSG, "metadata 'labels' has %zu names, expected %u",
				    count, package->classes);
	}
	package->labels = labels;
	return 0;
}

static int read_metadata(struct tv_package *package, struct tv_error *error)
{
	const struct tv_safetensors *file = package->file;
	const char *source = tv_safetensors_metadata(file, "source");
	int r;

	r = read_unsigned(file, "size", &package->size, error);
	if (r >= 0)
		r = read_unsigned(file, "resize", &package->resize, error);
	if (r >= 0)
		r = read_unsigned(file, "classes", &package->classes, error);
	if (r >= 0)
		r = read_float(file, "logit_scale", &package->logit_scale, error);
	if (r >= 0)
		r = read_integer(file, "macs", INT64_MAX, &package->macs, error);
	if (r >= 0)
		r = read_labels(package, error);
	if (r >= 0 && source) {
		package->source = strdup(source);
		if (!package->source)
			return tv_error_oom(error);
	}
	return r;
}

/* The tensor prefix + rest, which must be there, of that type and rank. */
static int find_tensor(const struct tv_safetensors *file, const char *prefix, const char *rest,
		       enum tv_dtype dtype, unsigned int rank, const struct tv_tensor **ret,
		       struct tv_error *error)
{
	char name[TV_PACKAGE_NAME_SIZE], text[128];
	const struct tv_tensor *tensor;

	snprintf(name, sizeof(name), "%s%s", prefix, rest);
	tensor = tv_safetensors_find(file, name);
	if (!tensor)
		return tv_error_set(error, -EBADMSG, "no tensor '%s'", name);
	if (tensor->dtype != dtype || tensor->rank != rank)
		return tv_error_set(error, -EBADMSG, "tensor '%s' is %s, expected %s of %u %s",
				    name, tv_tensor_describe(tensor, text, sizeof(text)),
				    tv_dtype_name(dtype), rank,
				    rank == 1 ? "dimension" : "dimensions");
	*ret = tensor;
	return 0;
}

static int read_values(const struct tv_safetensors *file, const char *prefix, const char *name,
		       uint32_t *ret_count, float **ret, struct tv_error *error)
{
	const struct tv_tensor *tensor;
	int r;

	r = find_tensor(file, prefix, name, TV_DTYPE_F32, 1, &tensor, error);
	if (r < 0)
		return r;
	if (!tensor->elements || tensor->elements > TV_NETWORK_CHANNELS_MAX)
		return tv_error_set(error, -EBADMSG,
				    "tensor '%s': %" PRIu64 " channels, expected 1 to %u",
				    tensor->name, tensor->elements, TV_NETWORK_CHANNELS_MAX);
	*ret = calloc(tensor->elements, sizeof(**ret));
	if (!*ret)
		return tv_error_oom(error);
	*ret_count = (uint32_t)tensor->elements;
	return tv_tensor_to_float(tensor, 0, tensor->elements, *ret);
}

static int read_node(const struct tv_safetensors *file, const char *name,
		     struct tv_package_node *node, struct tv_error *error)
{
	uint32_t offsets = 0;
	int r;

	if (strlen(name) >= sizeof(node->name))
		return tv_error_set(error, -EBADMSG,
				    "metadata 'nodes': '%.64s' has more than %zu bytes", name,
				    sizeof(node->name) - 1);
	snprintf(node->name, sizeof(node->name), "%s", name);
	r = read_values(file, TV_PACKAGE_SCALE, name, &node->channels, &node->scale, error);
	if (r >= 0)
		r = read_values(file, TV_PACKAGE_OFFSET, name, &offsets, &node->offset, error);
	if (r < 0)
		return r;
	if (offsets != node->channels)
		return tv_error_set(error, -EBADMSG,
				    "tensor '%s%s' has %u channels, expected %u as '%s%s' has",
				    TV_PACKAGE_OFFSET, name, offsets, node->channels,
				    TV_PACKAGE_SCALE, name);
	return 0;
}

struct names {
	char **names;
	size_t count;
};

static void names_done(struct names *names)
{
	tv_labels_free(names->names, names->count);
}

static int read_nodes(struct tv_package *package, struct tv_error *error)
{
	_cleanup_(names_done) struct names names = { 0 };
	const char *text;
	int r;

	r = read_text(package->file, "nodes", &text, error);
	if (r < 0)
		return r;
	r = tv_labels_parse(text, &names.names, &names.count, error);
	if (r < 0)
		return tv_error_prefix(error, r, "metadata 'nodes'");
	/* Each has two tensors; a longer list would only be long to go through. */
	if (names.count > TV_SAFETENSORS_TENSORS_MAX / 2)
		return tv_error_set(error, -EBADMSG,
				    "metadata 'nodes' has %zu names, expected at most %u",
				    names.count, TV_SAFETENSORS_TENSORS_MAX / 2);
	package->nodes = calloc(names.count, sizeof(*package->nodes));
	if (!package->nodes)
		return tv_error_oom(error);
	for (size_t i = 0; i < names.count; i++) {
		package->node_count = i + 1; /* what tv_package_free() has to look at */
		r = read_node(package->file, names.names[i], &package->nodes[i], error);
		if (r < 0)
			return r;
	}
	return 0;
}

static int32_t get_signed(const uint8_t *bytes)
{
	return (int32_t)tv_get32(bytes);
}

static int read_steps(const struct tv_safetensors *file, const char *rest,
		      struct tv_package_program *program, struct tv_error *error)
{
	const struct tv_tensor *tensor;
	char text[128];
	int r;

	r = find_tensor(file, TV_PACKAGE_STEPS, rest, TV_DTYPE_I32, 2, &tensor, error);
	if (r < 0)
		return r;
	if (tensor->shape[0] != program->header.commands ||
	    tensor->shape[1] != TV_PACKAGE_STEP_NUMBERS)
		return tv_error_set(error, -EBADMSG, "tensor '%s' is %s, expected [%u, %u]",
				    tensor->name, tv_tensor_describe(tensor, text, sizeof(text)),
				    program->header.commands, TV_PACKAGE_STEP_NUMBERS);
	/* One more: an allocation of nothing may be NULL. */
	program->steps = calloc((size_t)program->header.commands + 1, sizeof(*program->steps));
	if (!program->steps)
		return tv_error_oom(error);
	for (uint32_t i = 0; i < program->header.commands; i++) {
		const uint8_t *at = tensor->data + (size_t)i * TV_PACKAGE_STEP_NUMBERS * 4;
		int32_t image = get_signed(at + 8), images = get_signed(at + 12);

		if (image < 0 || images < 0)
			return tv_error_set(error, -EBADMSG,
					    "tensor '%s': command %u: %d images from %d on, "
					    "expected none below 0",
					    tensor->name, i, images, image);
		program->steps[i] = (struct tv_step){
			.nodes = { get_signed(at), get_signed(at + 4) },
			.image = (unsigned int)image,
			.images = (unsigned int)images,
		};
	}
	return 0;
}

/* A tensor as long as the header says, or longer: writers pad. */
static int check_bytes(const struct tv_tensor *tensor, uint64_t size, struct tv_error *error)
{
	if (tensor->size < size)
		return tv_error_set(error, -EBADMSG,
				    "tensor '%s' has %" PRIu64 " bytes, expected %" PRIu64,
				    tensor->name, tensor->size, size);
	return 0;
}

/* "TARGET.IMAGES". The name says once more what the header says, so that people and other tools
 * can choose without reading programs; only what the header's own name would be is taken. */
static int check_program_name(const char *rest, struct tv_package_program *program,
			      struct tv_error *error)
{
	const char *dot = strrchr(rest, '.');
	char again[TV_PACKAGE_NAME_SIZE];

	if (!dot || dot == rest || (size_t)(dot - rest) >= sizeof(program->target))
		return tv_error_set(error, -EBADMSG,
				    "tensor '%s%.64s': the name is not %sTARGET.IMAGES",
				    TV_PACKAGE_PROGRAM, rest, TV_PACKAGE_PROGRAM);
	memcpy(program->target, rest, (size_t)(dot - rest));
	tv_package_program_name("", program, again);
	if (strcmp(again, rest) != 0)
		return tv_error_set(error, -EBADMSG,
				    "tensor '%s%.64s': %u images in the header, expected as many "
				    "as in the name",
				    TV_PACKAGE_PROGRAM, rest, program->header.images);
	return 0;
}

static int read_program(const struct tv_safetensors *file, const char *rest,
			struct tv_package_program *program, struct tv_error *error)
{
	const struct tv_tensor *tensor;
	struct tv_error cause = { 0 };
	int r;

	r = find_tensor(file, TV_PACKAGE_PROGRAM, rest, TV_DTYPE_U8, 1, &tensor, error);
	if (r >= 0)
		r = check_bytes(tensor, TV_PROGRAM_HEADER_SIZE, error);
	if (r < 0)
		return r;
	/* Reserved bytes are tv_package_check()'s. */
	(void)tv_decode_program_header(tensor->data, &program->header);
	program->program = tensor->data;
	r = tv_package_check_version(program, &cause);
	if (r < 0)
		return tv_error_set(error, -EBADMSG, "tensor '%s': %s", tensor->name, cause.text);
	r = check_program_name(rest, program, error);
	if (r >= 0)
		r = check_bytes(tensor, program->header.segment[TV_SEGMENT_PROGRAM], error);
	/* What is read of it, even if the header says less: tv_package_check() compares the two. */
	if (r >= 0)
		r = check_bytes(tensor,
				TV_PROGRAM_HEADER_SIZE +
					(uint64_t)program->header.commands * TV_COMMAND_SIZE,
				error);
	if (r >= 0)
		r = find_tensor(file, TV_PACKAGE_WEIGHTS, rest, TV_DTYPE_U8, 1, &tensor, error);
	if (r >= 0)
		r = check_bytes(tensor, program->header.segment[TV_SEGMENT_WEIGHTS], error);
	if (r < 0)
		return r;
	program->weights = tensor->data;
	return read_steps(file, rest, program, error);
}

static int read_programs(struct tv_package *package, struct tv_error *error)
{
	const size_t prefix = strlen(TV_PACKAGE_PROGRAM);
	int r;

	package->programs = calloc(TV_PACKAGE_PROGRAMS_MAX, sizeof(*package->programs));
	if (!package->programs)
		return tv_error_oom(error);
	for (size_t i = 0; i < tv_safetensors_count(package->file); i++) {
		const char *name = tv_safetensors_at(package->file, i)->name;

		if (strncmp(name, TV_PACKAGE_PROGRAM, prefix) != 0)
			continue;
		if (package->program_count == TV_PACKAGE_PROGRAMS_MAX)
			return tv_error_set(error, -EBADMSG,
					    "tensor '%.64s' is one program too many, expected at "
					    "most %u",
					    name, TV_PACKAGE_PROGRAMS_MAX);
		r = read_program(package->file, name + prefix,
				 &package->programs[package->program_count++], error);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Takes the file, also when it fails. */
static int read_package(struct tv_safetensors *file, struct tv_package **ret,
			struct tv_error *error)
{
	_cleanup_(tv_package_freep) struct tv_package *package = calloc(1, sizeof(*package));
	struct tv_error cause = { 0 };
	int r;

	if (!package) {
		tv_safetensors_free(file);
		return tv_error_oom(error);
	}
	package->file = file;
	r = check_version(file, error);
	if (r >= 0)
		r = read_metadata(package, error);
	if (r >= 0)
		r = read_nodes(package, error);
	if (r >= 0)
		r = read_programs(package, error);
	/* What is a wrong argument of a writer is a wrong file here. */
	if (r >= 0 && tv_package_check(package, &cause) < 0)
		r = tv_error_set(error, -EBADMSG, "%s", cause.text);
	if (r < 0)
		return tv_error_prefix(error, r, "%s", tv_safetensors_name(file));
	*ret = TV_TAKE_PTR(package);
	return 0;
}

int tv_package_parse(const void *data, size_t size, const char *name, struct tv_package **ret,
		     struct tv_error *error)
{
	struct tv_safetensors *file;
	int r = tv_safetensors_parse(data, size, name, &file, error);

	return r < 0 ? r : read_package(file, ret, error);
}

int tv_package_read(const char *path, struct tv_package **ret, struct tv_error *error)
{
	struct tv_safetensors *file;
	int r = tv_safetensors_open(path, &file, error);

	return r < 0 ? r : read_package(file, ret, error);
}
