/* SPDX-License-Identifier: MIT */
/* Packages: that what is written is read back, and that nothing else is taken for one. */
#include <errno.h>
#include <float.h>
#include <math.h>

#include "common/file.h"
#include "tests/unit/directory.h"
#include "tests/unit/package-make.h"

#define GOOD "good.safetensors"
#define BAD  "bad.safetensors"

static void write_package(const struct tv_package *package, const char *name)
{
	struct tv_error error = { 0 };

	tv_assert_ok(tv_package_write(package, tv_unit_path(name), &error), error);
}

static struct tv_package *read_package(const char *name)
{
	struct tv_package *package = NULL;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_package_read(tv_unit_path(name), &package, &error), error);
	return package;
}

static void assert_program_eq(const struct tv_package_program *a,
			      const struct tv_package_program *b)
{
	ck_assert_str_eq(a->target, b->target);
	ck_assert_mem_eq(&a->header, &b->header, sizeof(a->header));
	ck_assert_mem_eq(a->program, b->program, a->header.segment[TV_SEGMENT_PROGRAM]);
	ck_assert_mem_eq(a->weights, b->weights, a->header.segment[TV_SEGMENT_WEIGHTS]);
	ck_assert_mem_eq(a->steps, b->steps, a->header.commands * sizeof(*a->steps));
}

static void assert_package_eq(const struct tv_package *a, const struct tv_package *b)
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

static void assert_files_eq(const char *a, const char *b)
{
	_cleanup_free_ uint8_t *bytes_a = NULL, *bytes_b = NULL;
	struct tv_error error = { 0 };
	size_t size_a, size_b;

	tv_assert_ok(tv_file_read(tv_unit_path(a), 1u << 28, &bytes_a, &size_a, &error), error);
	tv_assert_ok(tv_file_read(tv_unit_path(b), 1u << 28, &bytes_b, &size_b, &error), error);
	ck_assert_uint_eq(size_a, size_b);
	ck_assert_mem_eq(bytes_a, bytes_b, size_a);
}

START_TEST(round_trip)
{
	static const struct package_of of[] = { { "zcu102", 1 }, { "zcu102", 4 }, { "kv260", 2 } };
	_cleanup_(tv_package_freep) struct tv_package *made = NULL, *read = NULL;
	struct tv_architecture b0;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_architecture_by_name("b0", &b0, &error), error);
	made = _i ? package_make(&b0, 96, of, TV_ARRAY_SIZE(of)) :
		    package_make(&package_small, PACKAGE_SMALL_SIZE, of, TV_ARRAY_SIZE(of));
	write_package(made, GOOD);
	read = read_package(GOOD);
	assert_package_eq(made, read);
	/* The same bytes, whether it was made or read. */
	write_package(read, "again");
	assert_files_eq(GOOD, "again");
	write_package(made, "once more");
	assert_files_eq(GOOD, "once more");
}
END_TEST

static struct tv_package *make_small(void)
{
	static const struct package_of of = { "zcu102", 2 };

	return package_make(&package_small, PACKAGE_SMALL_SIZE, &of, 1);
}

START_TEST(without_labels_and_source)
{
	_cleanup_(tv_package_freep) struct tv_package *made = make_small(), *read = NULL;
	char **labels = made->labels;

	made->labels = NULL;
	free(TV_TAKE_PTR(made->source));
	write_package(made, GOOD);
	read = read_package(GOOD);
	assert_package_eq(made, read);
	made->labels = labels;
}
END_TEST

START_TEST(exact_scale)
{
	static const float scales[] = { FLT_MIN, FLT_MAX, FLT_TRUE_MIN, 1, 0.1f, 1 / 3.0f,
					16777217.0f, 0x1.fffffep-3f };

	for (size_t i = 0; i < TV_ARRAY_SIZE(scales); i++) {
		_cleanup_(tv_package_freep) struct tv_package *made = make_small(), *read = NULL;

		made->logit_scale = scales[i];
		write_package(made, GOOD);
		read = read_package(GOOD);
		ck_assert_msg(read->logit_scale == scales[i], "%a became %a", scales[i],
			      read->logit_scale);
	}
}
END_TEST

START_TEST(aligned)
{
	_cleanup_(tv_package_freep) struct tv_package *made = make_small();
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	const char *const names[] = { "program.zcu102.2", "weights.zcu102.2" };
	struct tv_error error = { 0 };

	write_package(made, GOOD);
	tv_assert_ok(tv_safetensors_open(tv_unit_path(GOOD), &file, &error), error);
	for (size_t i = 0; i < TV_ARRAY_SIZE(names); i++) {
		const struct tv_tensor *tensor = tv_safetensors_find(file, names[i]);

		ck_assert_ptr_nonnull(tensor);
		ck_assert_uint_eq((size_t)(tensor->data - tv_safetensors_at(file, 0)->data) %
					  TV_SAFETENSORS_ALIGNMENT,
				  0);
		ck_assert_uint_eq(tensor->size % TV_SAFETENSORS_ALIGNMENT, 0);
	}
}
END_TEST

START_TEST(lookup)
{
	static const struct package_of of[] = {
		{ "kv260", 4 }, { "kv260", 1 }, { "zcu102", 8 }, { "zcu102", 2 }
	};
	static const struct {
		const char *target;
		unsigned int images;
		int expected;
	} cases[] = {
		{ "kv260", 4, 0 }, { "kv260", 0, 1 },	{ "zcu102", 0, 3 }, { "zcu102", 8, 2 },
		{ NULL, 0, 1 },	   { NULL, 8, 2 },	{ NULL, 3, -1 },    { "zc706", 0, -1 },
		{ "kv260", 2, -1 }, { "zcu102", 1, -1 },
	};
	_cleanup_(tv_package_freep) struct tv_package *made =
		package_make(&package_small, PACKAGE_SMALL_SIZE, of, TV_ARRAY_SIZE(of));

	for (size_t i = 0; i < TV_ARRAY_SIZE(cases); i++)
		ck_assert_ptr_eq(tv_package_program(made, cases[i].target, cases[i].images),
				 cases[i].expected < 0 ? NULL :
							 &made->programs[cases[i].expected]);
}
END_TEST

/* A program for a configuration that is not built in, with a command that no built-in one takes. */
static void make_custom(struct tv_package *package, uint16_t id, const char *name)
{
	struct tv_package_program *program = &package->programs[0];
	uint8_t *bytes = package->owned[0];

	snprintf(program->target, sizeof(program->target), "%s", name);
	program->header.target = id;
	tv_encode_program_header(&program->header, bytes);
	bytes[TV_PROGRAM_HEADER_SIZE + 57] = 9; /* stage[0].split */
}

START_TEST(custom_target)
{
	_cleanup_(tv_package_freep) struct tv_package *made = make_small(), *read = NULL;

	make_custom(made, TV_TARGET_CUSTOM + 7, "my-board.2");
	write_package(made, GOOD);
	read = read_package(GOOD);
	assert_package_eq(made, read);
	ck_assert_ptr_eq(tv_package_program(read, "my-board.2", 2), &read->programs[0]);
}
END_TEST

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

static const char *const keys[] = { "format", "format_version", "contract", "size",
				    "resize", "classes",	"logit_scale", "macs",
				    "nodes",  "labels",		"source" };

static void copy_metadata(struct tv_safetensors_writer *writer, const struct tv_safetensors *file,
			  const struct edit *edit)
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
static uint8_t *copy_edited(struct tv_safetensors_writer *writer, const struct tv_tensor *tensor,
			    const struct edit *edit)
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

static void copy_with(const struct edit *edit, const char *from, const char *to)
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
			tv_assert_ok(tv_safetensors_writer_tensor(writer, tensor->name,
								  tensor->dtype, tensor->rank,
								  tensor->shape, tensor->data, 1,
								  &error),
				     error);
	}
	/* A tensor that is not there would leave the file as it was, and be no test. */
	ck_assert_msg(!edit->tensor || bytes, "no tensor '%s'", edit->tensor);
	tv_assert_ok(tv_safetensors_writer_write(writer, tv_unit_path(to), &error), error);
}

static void assert_refused(const char *name, const char *expected)
{
	struct tv_package *package = NULL;
	struct tv_error error = { 0 };
	const char *path = tv_unit_path(name);

	ck_assert_int_eq(tv_package_read(path, &package, &error), -EBADMSG);
	ck_assert_ptr_null(package);
	ck_assert_msg(strncmp(error.text, path, strlen(path)) == 0, "no file in '%s'", error.text);
	ck_assert_msg(strstr(error.text, expected), "'%s' is not in '%s'", expected, error.text);
	ck_assert_int_lt(tv_package_read(path, &package, NULL), 0);
}

#define PROGRAM "program.zcu102.2"
#define WEIGHTS "weights.zcu102.2"
#define STEPS	"steps.zcu102.2"
#define NAN32	0x7fc00000
#define INF32	0xff800000
/* Where byte `at` of command i lies. */
#define COMMAND(i, at) (TV_PROGRAM_HEADER_SIZE + (i) * TV_COMMAND_SIZE + (at))

static const struct edit refusals[] = {
	{ "no metadata 'format', expected 'triovit-model'", .key = "format" },
	{ "'format' is 'pt', expected 'triovit-model'", .key = "format", .value = "pt" },
	{ "no metadata 'format_version'", .key = "format_version" },
	{ "'format_version' is 2, expected 1", .key = "format_version", .value = "2" },
	{ "'format_version' is '1.0', expected an integer", .key = "format_version",
	  .value = "1.0" },
	{ "'contract' is 2, expected 1", .key = "contract", .value = "2" },
	{ "no metadata 'size'", .key = "size" },
	{ "33", .key = "size", .value = "33" },
	{ "'size' is '-32'", .key = "size", .value = "-32" },
	{ "'size' is ' 32'", .key = "size", .value = " 32" },
	{ "'size' is '32]'", .key = "size", .value = "32]" },
	{ "'size' is '4294967328'", .key = "size", .value = "4294967328" },
	{ "resize is 36, expected 64 (the size)", .key = "size", .value = "64" },
	{ "resize is 31, expected 32 (the size) to 65500", .key = "resize", .value = "31" },
	{ "resize is 65501", .key = "resize", .value = "65501" },
	{ "'labels' has 5 names, expected 6", .key = "classes", .value = "6" },
	{ "'labels' has 2 names, expected 5", .key = "labels", .value = "a\nb" },
	{ "line 2 is empty", .key = "labels", .value = "a\n\nb\nc\nd" },
	{ "logit_scale is 0, expected a number above 0", .key = "logit_scale", .value = "0" },
	{ "logit_scale is -0.1", .key = "logit_scale", .value = "-0.1" },
	{ "logit_scale is inf", .key = "logit_scale", .value = "1e300" },
	{ "'logit_scale' is 'nan', expected a number", .key = "logit_scale", .value = "nan" },
	{ "'logit_scale' is '0x1p-3'", .key = "logit_scale", .value = "0x1p-3" },
	{ "'logit_scale' is '0,5'", .key = "logit_scale", .value = "0,5" },
	{ "'macs' is '9223372036854775808'", .key = "macs", .value = "9223372036854775808" },
	{ "no metadata 'nodes'", .key = "nodes" },
	{ "no tensor 'scale.stem'", .key = "nodes", .value = "stem" },
	{ "nodes 0 and 1 are both 'stem.conv'", .key = "nodes", .value = "stem.conv\nstem.conv" },
	{ "has more than 47 bytes", .key = "nodes",
	  .value = "123456789012345678901234567890123456789012345678" },
	{ "node 1 for stage 0, expected 0 to 0", .key = "nodes", .value = "stem.conv" },

	{ "0 programs, expected 1 to 64", .tensor = PROGRAM, .rename = "" },
	{ "the name is not program.TARGET.IMAGES", .tensor = PROGRAM, .rename = "program.zcu102" },
	{ "the name is not program.TARGET.IMAGES", .tensor = PROGRAM, .rename = "program..2" },
	{ "2 images in the header, expected as many as in the name", .tensor = PROGRAM,
	  .rename = "program.zcu102.3" },
	{ "2 images in the header, expected as many as in the name", .tensor = PROGRAM,
	  .rename = "program.zcu102.02" },
	{ "target id 2 in the header is kv260, not target 'zcu102'", .tensor = PROGRAM, .at = 6,
	  .bytes = 2, .number = 2 },
	{ "target id 32768 in the header is unknown", .tensor = PROGRAM, .at = 6, .bytes = 2,
	  .number = 0x8000 },
	{ "expected U8 of 1 dimension", .tensor = PROGRAM, .dtype = TV_DTYPE_I8 },
	{ "has 63 bytes, expected 64", .tensor = PROGRAM, .size = 63 },
	{ "has 64 bytes, expected", .tensor = PROGRAM, .size = 64 },
	{ "has 400 bytes, expected", .tensor = PROGRAM, .size = 400 },
	{ "no program: magic", .tensor = PROGRAM, .bytes = 1 },
	{ "contract version 2, expected 1", .tensor = PROGRAM, .at = 4, .bytes = 2, .number = 2 },
	{ "writable segments 0x1a", .tensor = PROGRAM, .at = 14, .bytes = 2, .number = 0x1a },
	{ "writable segments 0x118", .tensor = PROGRAM, .at = 14, .bytes = 2, .number = 0x118 },
	{ "3145729 bytes on chip, but target 'zcu102' has only 3145728", .tensor = PROGRAM,
	  .at = 16, .bytes = 4, .number = 3145729 },
	{ "program segment of 100 bytes", .tensor = PROGRAM, .at = 20, .bytes = 4, .number = 100 },
	{ "input segment of 1 bytes, expected 6144 for 2 images of 32x32", .tensor = PROGRAM,
	  .at = 28, .bytes = 4, .number = 1 },
	{ "output segment of 22 bytes, expected 20 for 2 images and 5 classes", .tensor = PROGRAM,
	  .at = 32, .bytes = 4, .number = 22 },
	{ "reserved bytes of the header", .tensor = PROGRAM, .at = 60, .bytes = 1, .number = 1 },
	{ "command 3: reserved bytes are not zero", .tensor = PROGRAM, .at = COMMAND(3, 127),
	  .bytes = 1, .number = 1 },
	{ "command 2: unknown opcode", .tensor = PROGRAM, .at = COMMAND(2, 0), .bytes = 1,
	  .number = 99 },
	{ "command 0: split is more than the target's groups", .tensor = PROGRAM,
	  .at = COMMAND(0, 57), .bytes = 1, .number = 5 },

	{ "no tensor 'weights.zcu102.2'", .tensor = WEIGHTS, .rename = "" },
	{ "tensor 'weights.zcu102.2' has 4096 bytes, expected", .tensor = WEIGHTS, .size = 4096 },
	{ "expected U8 of 1 dimension", .tensor = WEIGHTS, .dtype = TV_DTYPE_I16 },

	{ "no tensor 'steps.zcu102.2'", .tensor = STEPS, .rename = "" },
	{ "I32 [1, 4], expected [", .tensor = STEPS, .size = 16 },
	{ "expected I32 of 2 dimensions", .tensor = STEPS, .dtype = TV_DTYPE_F32 },
	{ "tensor 'steps.zcu102.2': command 1: node 77 for stage 0, expected 0 to", .tensor = STEPS,
	  .at = 16, .bytes = 4, .number = 77 },
	{ "command 0: node -1 for stage 0", .tensor = STEPS, .bytes = 4, .number = 0xffffffff },
	{ "command 0: node 0 for stage 1, expected -2: a conv has no such stage", .tensor = STEPS,
	  .at = 4, .bytes = 4 },
	{ "command 0: 2 images from -1 on", .tensor = STEPS, .at = 8, .bytes = 4,
	  .number = 0xffffffff },
	{ "command 0: images 1 to 3 of a job's 2", .tensor = STEPS, .at = 8, .bytes = 4,
	  .number = 1 },
	{ "command 0: 1 images, but the command has 2", .tensor = STEPS, .at = 12, .bytes = 4,
	  .number = 1 },

	{ "tensor 'scale.stem.conv': channel 3 is nan", .tensor = "scale.stem.conv", .at = 12,
	  .bytes = 4, .number = NAN32 },
	{ "tensor 'offset.head.pool': channel 0 is -inf", .tensor = "offset.head.pool",
	  .bytes = 4, .number = INF32 },
	{ "no tensor 'scale.head.pool'", .tensor = "scale.head.pool", .rename = "" },
	{ "'offset.stem.conv' has 7 channels, expected 8", .tensor = "offset.stem.conv",
	  .size = 28 },
	{ "expected F32 of 1 dimension", .tensor = "scale.stem.conv", .dtype = TV_DTYPE_I32 },
};

START_TEST(refused)
{
	_cleanup_(tv_package_freep) struct tv_package *made = make_small(), *again = NULL;
	const struct edit nothing = { 0 };

	write_package(made, GOOD);
	copy_with(&nothing, GOOD, BAD);
	again = read_package(BAD);
	assert_package_eq(made, again);
	copy_with(&refusals[_i], GOOD, BAD);
	assert_refused(BAD, refusals[_i].expected);
}
END_TEST

/* Edits that a reader must take: more padding, keys and tensors of a later minor version. */
START_TEST(tolerated)
{
	static const struct edit edits[] = {
		{ .tensor = PROGRAM, .size = 1 << 16 },
		{ .tensor = WEIGHTS, .size = 1 << 20 },
		{ .key = "source" },
		{ .key = "labels" },
	};
	_cleanup_(tv_package_freep) struct tv_package *made = make_small();

	write_package(made, GOOD);
	for (size_t i = 0; i < TV_ARRAY_SIZE(edits); i++) {
		_cleanup_(tv_package_freep) struct tv_package *read = NULL;

		copy_with(&edits[i], GOOD, BAD);
		read = read_package(BAD);
		assert_program_eq(&made->programs[0], &read->programs[0]);
	}
}
END_TEST

/* More programs than a package may have, without one of them being looked at. */
START_TEST(too_many_programs)
{
	_cleanup_(tv_package_freep) struct tv_package *made = make_small();
	struct tv_package_program *programs =
		calloc(TV_PACKAGE_PROGRAMS_MAX + 1, sizeof(*programs));
	struct tv_package *read = NULL, many = *made;
	struct tv_error error = { 0 };
	struct edit edit = { .tensor = "program.t63.2", .rename = "program.t64.2" };

	ck_assert_ptr_nonnull(programs);
	make_custom(made, TV_TARGET_CUSTOM, "t");
	for (unsigned int i = 0; i <= TV_PACKAGE_PROGRAMS_MAX; i++) {
		programs[i] = made->programs[0];
		snprintf(programs[i].target, sizeof(programs[i].target), "t%u", i);
	}
	many.programs = programs;
	many.program_count = TV_PACKAGE_PROGRAMS_MAX;
	write_package(&many, GOOD);
	read = read_package(GOOD);
	ck_assert_uint_eq(read->program_count, TV_PACKAGE_PROGRAMS_MAX);
	tv_package_free(read);
	many.program_count++;
	ck_assert_int_eq(tv_package_write(&many, tv_unit_path(BAD), &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "65 programs, expected 1 to 64"));
	/* As a reader sees it: its parts are only looked for when there is room for it. */
	copy_with(&edit, GOOD, BAD);
	assert_refused(BAD, "no tensor 'weights.t64.2'");
	free(programs);
}
END_TEST

/* The same, made by somebody else's writer. */
START_TEST(foreign_too_many)
{
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer =
		tv_safetensors_writer_new();
	_cleanup_(tv_package_freep) struct tv_package *made = make_small();
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	static const char *const prefixes[] = { "program", "weights", "steps" };
	const struct edit nothing = { 0 };
	struct tv_error error = { 0 };
	char name[64];

	make_custom(made, TV_TARGET_CUSTOM, "t");
	write_package(made, GOOD);
	tv_assert_ok(tv_safetensors_open(tv_unit_path(GOOD), &file, &error), error);
	copy_metadata(writer, file, &nothing);
	for (size_t i = 0; i < tv_safetensors_count(file); i++) {
		const struct tv_tensor *tensor = tv_safetensors_at(file, i);
		bool program = false;

		for (size_t p = 0; p < TV_ARRAY_SIZE(prefixes); p++)
			program |= !strncmp(tensor->name, prefixes[p], strlen(prefixes[p]));
		for (unsigned int n = 0; n < (program ? 65 : 1); n++) {
			snprintf(name, sizeof(name), "%.*s.t%u.2",
				 (int)strcspn(tensor->name, "."), tensor->name, n);
			tv_assert_ok(tv_safetensors_writer_tensor(
					     writer, program ? name : tensor->name, tensor->dtype,
					     tensor->rank, tensor->shape, tensor->data, 1, &error),
				     error);
		}
	}
	tv_assert_ok(tv_safetensors_writer_write(writer, tv_unit_path(BAD), &error), error);
	assert_refused(BAD, "is one program too many, expected at most 64");
}
END_TEST

/* A name twice in the JSON is the safetensors reader's business; it does refuse it. */
START_TEST(duplicate_in_file)
{
	_cleanup_(tv_package_freep) struct tv_package *made = make_small();
	_cleanup_free_ uint8_t *bytes = NULL;
	struct tv_error error = { 0 };
	size_t size;
	char *at;

	write_package(made, GOOD);
	tv_assert_ok(tv_file_read(tv_unit_path(GOOD), 1u << 28, &bytes, &size, &error), error);
	/* Of the same length: the weights become a second program. */
	at = memmem(bytes, size, "\"weights.zcu102.2\"", 18);
	ck_assert_ptr_nonnull(at);
	memcpy(at, "\"program.zcu102.2\"", 18);
	tv_unit_file(BAD, bytes, size);
	assert_refused(BAD, "appears twice");
}
END_TEST

START_TEST(cut_off)
{
	_cleanup_(tv_package_freep) struct tv_package *made = make_small(), *read = NULL;
	_cleanup_free_ uint8_t *bytes = NULL;
	struct tv_error error = { 0 };
	size_t size;

	write_package(made, GOOD);
	tv_assert_ok(tv_file_read(tv_unit_path(GOOD), 1u << 28, &bytes, &size, &error), error);
	for (size_t cut = 0; cut < size; cut += 1 + size / 97) {
		error = (struct tv_error){ 0 };
		ck_assert_int_eq(tv_package_parse(bytes, cut, "FILE", &read, &error), -EBADMSG);
		ck_assert_int_eq(strncmp(error.text, "FILE: ", 6), 0);
	}
	error = (struct tv_error){ 0 };
	tv_assert_ok(tv_package_parse(bytes, size, "FILE", &read, &error), error);
	assert_package_eq(made, read);
	ck_assert_int_eq(tv_package_read(tv_unit_path("none"), &read, NULL), -ENOENT);
}
END_TEST

static void assert_not_written(const struct tv_package *package, const char *expected)
{
	struct tv_error error = { 0 };

	ck_assert_int_eq(tv_package_write(package, tv_unit_path(BAD), &error), -EINVAL);
	ck_assert_msg(strstr(error.text, expected), "'%s' is not in '%s'", expected, error.text);
	ck_assert_msg(strncmp(error.text, tv_unit_path(BAD), strlen(tv_unit_path(BAD))) == 0,
		      "no file in '%s'", error.text);
	ck_assert_uint_eq(tv_unit_directory_each(NULL), 0);
}

START_TEST(not_written)
{
	_cleanup_(tv_package_freep) struct tv_package *made = make_small();
	struct tv_package_program twice[2] = { made->programs[0], made->programs[0] };
	struct tv_package bad = *made;

	bad.programs = twice;
	bad.program_count = 2;
	assert_not_written(&bad, "programs 0 and 1 are both for 2 images on target 'zcu102'");
	bad = *made;
	bad.program_count = 0;
	assert_not_written(&bad, "0 programs");
	bad = *made;
	bad.macs = UINT64_MAX;
	assert_not_written(&bad, "MACs");
	made->nodes[2].offset[1] = NAN;
	assert_not_written(made, "tensor 'offset.stem.block1.project': channel 1 is ");
	made->nodes[2].offset[1] = 0;
	made->nodes[1].name[3] = '\n';
	assert_not_written(made, "node 1 has no name of one line");
	made->nodes[1].name[3] = '.';
	made->labels[4][2] = '\n';
	assert_not_written(made, "label 4 is not one line");
	made->labels[4][2] = ' ';
	snprintf(made->programs[0].target, sizeof(made->programs[0].target), "a/b");
	assert_not_written(made, "the target's name is not made of letters");
	snprintf(made->programs[0].target, sizeof(made->programs[0].target), "kv260");
	assert_not_written(made, "target id 1 in the header is zcu102, not target 'kv260'");
	snprintf(made->programs[0].target, sizeof(made->programs[0].target), "zcu102");
	made->nodes[0].channels--;
	assert_not_written(made, "tensor 'steps.zcu102.2': command 0: stage 0 puts out 8 channels, "
				 "but node 'stem.conv' has 7");
	made->nodes[0].channels++;
	made->programs[0].header.images = 0;
	assert_not_written(made, "reserved bytes of the header");
	tv_encode_program_header(&made->programs[0].header, made->owned[0]);
	assert_not_written(made, "0 images a job");
	made->programs[0].header.images = 2;
	tv_encode_program_header(&made->programs[0].header, made->owned[0]);
	bad = *made;
	bad.classes = 0;
	assert_not_written(&bad, "0 classes, expected 1 to 16384");
	bad.classes = 4;
	assert_not_written(&bad, "output segment of 20 bytes, expected 16 for 2 images and 4");
}
END_TEST

START_TEST(recognised)
{
	_cleanup_(tv_package_freep) struct tv_package *made = make_small();
	static const struct edit edits[] = { { .key = "contract" },
					     { .key = "format", .value = "pt" },
					     { .key = "format" } };

	write_package(made, GOOD);
	for (size_t i = 0; i < TV_ARRAY_SIZE(edits); i++) {
		_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
		struct tv_error error = { 0 };

		copy_with(&edits[i], GOOD, BAD);
		tv_assert_ok(tv_safetensors_open(tv_unit_path(BAD), &file, &error), error);
		ck_assert_int_eq(tv_package_is(file), i == 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("package");
	TCase *tcase = tcase_create("files");

	tcase_add_checked_fixture(tcase, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_loop_test(tcase, round_trip, 0, 2);
	tcase_add_test(tcase, without_labels_and_source);
	tcase_add_test(tcase, exact_scale);
	tcase_add_test(tcase, aligned);
	tcase_add_test(tcase, lookup);
	tcase_add_test(tcase, custom_target);
	tcase_add_loop_test(tcase, refused, 0, (int)TV_ARRAY_SIZE(refusals));
	tcase_add_test(tcase, tolerated);
	tcase_add_test(tcase, too_many_programs);
	tcase_add_test(tcase, foreign_too_many);
	tcase_add_test(tcase, duplicate_in_file);
	tcase_add_test(tcase, cut_off);
	tcase_add_test(tcase, not_written);
	tcase_add_test(tcase, recognised);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
