/* SPDX-License-Identifier: MIT */
/* Packages: that what is written is read back, in the same bytes each time. */
#include <errno.h>
#include <float.h>

#include "common/file.h"
#include "tests/unit/package-edit.h"

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
	static const float scales[] = { FLT_MIN, FLT_MAX,  FLT_TRUE_MIN, 1,
					0.1f,	 1 / 3.0f, 16777217.0f,	 0x1.fffffep-3f };

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
		{ "kv260", 4, 0 },  { "kv260", 0, 1 },	 { "zcu102", 0, 3 }, { "zcu102", 8, 2 },
		{ NULL, 0, 1 },	    { NULL, 8, 2 },	 { NULL, 3, -1 },    { "zc706", 0, -1 },
		{ "kv260", 2, -1 }, { "zcu102", 1, -1 },
	};
	_cleanup_(tv_package_freep) struct tv_package *made =
		package_make(&package_small, PACKAGE_SMALL_SIZE, of, TV_ARRAY_SIZE(of));

	for (size_t i = 0; i < TV_ARRAY_SIZE(cases); i++)
		ck_assert_ptr_eq(tv_package_program(made, cases[i].target, cases[i].images),
				 cases[i].expected < 0 ? NULL : &made->programs[cases[i].expected]);
}
END_TEST

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

/* By a writer that knows docs/model-format.md alone: tests/fuzz/package.py. */
START_TEST(foreign_writer)
{
	static const struct {
		const char *path, *target;
		unsigned int images;
	} files[] = {
		{ "tests/fuzz/corpus/package/one", "zcu102", 1 },
		{ "tests/fuzz/corpus/package/labels", "zynq7020", 3 },
		{ "tests/fuzz/corpus/package/two", "my.board", 2 },
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(files); i++) {
		_cleanup_(tv_package_freep) struct tv_package *read = NULL;
		struct tv_error error = { 0 };
		int r = tv_package_read(tv_unit_source(files[i].path), &read, &error);

		tv_assert_ok(r, error);
		ck_assert_ptr_nonnull(tv_package_program(read, files[i].target, files[i].images));
		ck_assert_uint_eq(read->node_count, 3);
		ck_assert_str_eq(read->nodes[2].name, "linear");
		ck_assert(read->nodes[2].offset[1] == -1);
		ck_assert_int_eq(!!read->labels, i == 1);
	}
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
	tcase_add_test(tcase, tolerated);
	tcase_add_test(tcase, foreign_writer);
	tcase_add_test(tcase, recognised);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
