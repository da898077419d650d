/* SPDX-License-Identifier: MIT */
/* Packages that are none: each thing that can be wrong, and what is said about it. */
#include <errno.h>
#include <math.h>

#include "common/file.h"
#include "tests/unit/package-edit.h"

static void assert_refused(const char *name, const char *expected)
{
	struct tv_package *package = NULL;
	struct tv_error error = { 0 };
	const char *path = tv_unit_path(name);

	ck_assert_int_eq(tv_package_read(path, &package, &error), -EBADMSG);
	ck_assert_int_eq(error.code, -EBADMSG);
	ck_assert_ptr_null(package);
	ck_assert_msg(strncmp(error.text, path, strlen(path)) == 0, "no file in '%s'", error.text);
	ck_assert_msg(strstr(error.text, expected), "'%s' is not in '%s'", expected, error.text);
	ck_assert_int_lt(tv_package_read(path, &package, NULL), 0);
}

#define NAN32	       0x7fc00000
#define INF32	       0xff800000
/* Where byte `at` of command i lies. */
#define COMMAND(i, at) (TV_PROGRAM_HEADER_SIZE + (i)*TV_COMMAND_SIZE + (at))

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
	{ "tensor 'offset.head.pool': channel 0 is -inf", .tensor = "offset.head.pool", .bytes = 4,
	  .number = INF32 },
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
			snprintf(name, sizeof(name), "%.*s.t%u.2", (int)strcspn(tensor->name, "."),
				 tensor->name, n);
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
	assert_not_written(made, "0 images a job, expected 1 to 64");
	made->programs[0].header.images = 65;
	tv_encode_program_header(&made->programs[0].header, made->owned[0]);
	assert_not_written(made, "65 images a job, expected 1 to 64");
	made->programs[0].header.images = 2;
	tv_encode_program_header(&made->programs[0].header, made->owned[0]);
	bad = *made;
	bad.classes = 0;
	assert_not_written(&bad, "0 classes, expected 1 to 16384");
	bad.classes = 4;
	assert_not_written(&bad, "output segment of 20 bytes, expected 16 for 2 images and 4");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("package-refusals");
	TCase *tcase = tcase_create("files");

	tcase_add_checked_fixture(tcase, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_loop_test(tcase, refused, 0, (int)TV_ARRAY_SIZE(refusals));
	tcase_add_test(tcase, too_many_programs);
	tcase_add_test(tcase, foreign_too_many);
	tcase_add_test(tcase, duplicate_in_file);
	tcase_add_test(tcase, cut_off);
	tcase_add_test(tcase, not_written);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
