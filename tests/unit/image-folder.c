/* SPDX-License-Identifier: MIT */
/* Folders of images and label lists. Names alone count here: the files are empty. */
#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "image/folder.h"
#include "tests/unit/directory.h"

/* The interface takes labels as its callers have them, which is not as literals. */
static char cat[] = "cat", crane[] = "crane", dog[] = "dog";

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	return ftw->level ? remove(path) : 0;
}

static void teardown(void)
{
	ck_assert_int_eq(nftw(tv_unit_directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
	tv_unit_directory_remove();
}

/* Creates empty files and the folders that they are in; a name that ends in a slash is one. */
static void create(const char *const *names)
{
	for (; *names; names++) {
		char path[PATH_MAX];
		FILE *file;

		snprintf(path, sizeof(path), "%s", tv_unit_path(*names));
		for (char *slash = path + strlen(tv_unit_directory); slash;
		     slash = strchr(slash + 1, '/')) {
			*slash = '\0';
			ck_assert(mkdir(path, 0700) == 0 || errno == EEXIST);
			*slash = '/';
		}
		if (path[strlen(path) - 1] == '/')
			continue;
		file = fopen(path, "we");
		ck_assert_ptr_nonnull(file);
		fclose(file);
	}
}

#define create_all(...) create((const char *const[]){ __VA_ARGS__, NULL })

static void create_link(const char *target, const char *name)
{
	ck_assert_int_eq(symlink(target, tv_unit_path(name)), 0);
}

static void assert_image(const struct tv_folder *folder, size_t index, const char *name, int label)
{
	ck_assert_uint_lt(index, folder->count);
	ck_assert_str_eq(folder->images[index].path, tv_unit_path(name));
	ck_assert_int_eq(folder->images[index].label, label);
}

/* where: below the directory, with its slash, or "". */
static void assert_refused(char *const *labels, size_t count, int code, const char *where,
			   const char *text)
{
	struct tv_error error = { 0 };
	char expected[PATH_MAX + 256];
	struct tv_folder folder;

	snprintf(expected, sizeof(expected), "%s%s: %s", tv_unit_directory, where, text);
	ck_assert_int_eq(tv_folder_read_labelled(tv_unit_directory, labels, count, &folder, &error),
			 code);
	ck_assert_str_eq(error.text, expected);
}

START_TEST(test_labelled)
{
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	struct tv_error error = { 0 };

	create_all("cat/b.png", "cat/a.JPG", "cat/deep/er/c.jpeg", "cat/notes.txt", "cat/png",
		   "ant/1.Jpeg", "ant.d/1.png", "ant/.hidden.png", ".git/x.png",
		   "cat/.thumbs/x.png", ".DS_Store", "README.md");
	tv_assert_ok(tv_folder_read_labelled(tv_unit_directory, NULL, 0, &folder, &error), error);
	ck_assert_uint_eq(folder.label_count, 3);
	ck_assert_str_eq(folder.labels[0], "ant");
	ck_assert_str_eq(folder.labels[1], "ant.d");
	ck_assert_str_eq(folder.labels[2], "cat");
	ck_assert_uint_eq(folder.count, 5);
	assert_image(&folder, 0, "ant.d/1.png", 1);
	assert_image(&folder, 1, "ant/1.Jpeg", 0);
	assert_image(&folder, 2, "cat/a.JPG", 2);
	assert_image(&folder, 3, "cat/b.png", 2);
	assert_image(&folder, 4, "cat/deep/er/c.jpeg", 2);
}
END_TEST

START_TEST(test_given_labels)
{
	char *const labels[] = { dog, crane, cat, crane };
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	struct tv_error error = { 0 };

	create_all("cat/a.png", "dog/a.png");
	tv_assert_ok(tv_folder_read_labelled(tv_unit_directory, labels, 4, &folder, &error), error);
	ck_assert_uint_eq(folder.label_count, 4);
	for (size_t i = 0; i < 4; i++)
		ck_assert_str_eq(folder.labels[i], labels[i]);
	ck_assert_uint_eq(folder.count, 2);
	assert_image(&folder, 0, "cat/a.png", 2);
	assert_image(&folder, 1, "dog/a.png", 0);
}
END_TEST

START_TEST(test_links)
{
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	struct tv_error error = { 0 };

	create_all("cat/a.png", "cat/kept/b.png", ".store/dog.png");
	create_link("../.store/dog.png", "cat/link.png");
	create_link("..", "cat/kept/circle");
	create_link("cat/kept", "kitten");
	tv_assert_ok(tv_folder_read_labelled(tv_unit_directory, NULL, 0, &folder, &error), error);
	ck_assert_uint_eq(folder.label_count, 2);
	assert_image(&folder, 0, "cat/a.png", 0);
	assert_image(&folder, 1, "cat/kept/b.png", 0);
	assert_image(&folder, 2, "cat/link.png", 0);
	assert_image(&folder, 3, "kitten/b.png", 1);
	/* The circle leads from kitten to cat, which that is not in: once around, not for ever. */
	for (size_t i = 4; i < folder.count; i++)
		ck_assert_ptr_nonnull(strstr(folder.images[i].path, "kitten/circle/"));
}
END_TEST

START_TEST(test_broken_link)
{
	create_all("cat/a.png");
	create_link("nothing", "cat/b.png");
	assert_refused(NULL, 0, -ENOENT, "/cat/b.png", "a link to nothing");
}
END_TEST

START_TEST(test_unknown_label)
{
	char *const labels[] = { cat, crane, crane };

	create_all("cat/a.png", "dog/a.png");
	assert_refused(labels, 3, -EINVAL, "/dog",
		       "no label has this name, expected one of 3 ('cat', ...)");
	assert_refused(labels, 1, -EINVAL, "/dog",
		       "no label has this name, expected one of 1 ('cat')");
}
END_TEST

START_TEST(test_ambiguous_label)
{
	char *const labels[] = { cat, crane, crane };

	create_all("crane/a.png");
	assert_refused(labels, 3, -ENOTUNIQ, "/crane", "both label 1 and label 2 have this name");
}
END_TEST

START_TEST(test_no_subfolders)
{
	create_all("a.png", "b.png");
	assert_refused(NULL, 0, -ENODATA, "/a.png",
		       "an image beside the labels' folders, expected one subfolder per label with "
		       "its images in it");
}
END_TEST

START_TEST(test_empty_label)
{
	create_all("ant/a.png", "bee/a.txt", "cat/a.png");
	assert_refused(NULL, 0, -ENODATA, "/bee",
		       "a label's folder without any .png, .jpg or .jpeg image");
}
END_TEST

START_TEST(test_nothing)
{
	create_all("a.txt", ".hidden/a.png");
	assert_refused(NULL, 0, -ENODATA, "",
		       "no image, expected one subfolder per label with .png, .jpg or .jpeg "
		       "images");
}
END_TEST

/* Root would read it all the same, and becomes nobody meanwhile. */
START_TEST(test_unreadable)
{
	const uid_t user = geteuid(), nobody = 65534;

	create_all("ant/a.png", "bee/");
	ck_assert_int_eq(chmod(tv_unit_path("bee"), 0), 0);
	if (user == 0) {
		ck_assert_int_eq(chown(tv_unit_directory, nobody, nobody), 0);
		ck_assert_int_eq(chown(tv_unit_path("ant"), nobody, nobody), 0);
		ck_assert_int_eq(seteuid(nobody), 0);
	}
	assert_refused(NULL, 0, -EACCES, "/bee", "Permission denied");
	ck_assert_int_eq(seteuid(user), 0);
	/* The leak sanitizer looks into the process, which a change of user forbids. */
	ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}
END_TEST

START_TEST(test_all)
{
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	struct tv_error error = { 0 };

	create_all("z.png", "a/b.png", "a/c/d.jpg", "a/.e.png", ".f/g.png", "empty/");
	tv_assert_ok(tv_folder_read_all(tv_unit_directory, &folder, &error), error);
	ck_assert_ptr_null(folder.labels);
	ck_assert_uint_eq(folder.label_count, 0);
	ck_assert_uint_eq(folder.count, 3);
	assert_image(&folder, 0, "a/b.png", -1);
	assert_image(&folder, 1, "a/c/d.jpg", -1);
	assert_image(&folder, 2, "z.png", -1);
}
END_TEST

START_TEST(test_trailing_slash)
{
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	struct tv_error error = { 0 };

	create_all("a.png", "b/c.png");
	tv_assert_ok(tv_folder_read_all(tv_unit_path(""), &folder, &error), error);
	ck_assert_uint_eq(folder.count, 2);
	assert_image(&folder, 0, "a.png", -1);
	assert_image(&folder, 1, "b/c.png", -1);
}
END_TEST

static void assert_all_refused(const char *path, int code, const char *text)
{
	struct tv_error error = { 0 };
	struct tv_folder folder;
	char expected[PATH_MAX + 128];

	snprintf(expected, sizeof(expected), "%s: %s", path, text);
	ck_assert_int_eq(tv_folder_read_all(path, &folder, &error), code);
	ck_assert_str_eq(error.text, expected);
}

START_TEST(test_not_a_folder)
{
	create_all("a.png", "empty/b.txt");
	assert_all_refused(tv_unit_path("a.png"), -ENOTDIR, "not a folder");
	assert_all_refused(tv_unit_path("none"), -ENOENT, "No such file or directory");
	assert_all_refused(tv_unit_path("empty"), -ENODATA, "no .png, .jpg or .jpeg image in it");
	assert_all_refused("/dev/null", -ENOTDIR, "not a folder");
}
END_TEST

/* The order in which a directory gives its entries is none that can be relied on. */
START_TEST(test_many)
{
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	struct tv_error error = { 0 };
	uint64_t random = 1;

	for (unsigned int i = 0; i < 1000; i++) {
		char name[64];

		snprintf(name, sizeof(name), "%x/%u.png", i % 7,
			 (unsigned int)tv_unit_random(&random));
		create_all(name);
	}
	tv_assert_ok(tv_folder_read_labelled(tv_unit_directory, NULL, 0, &folder, &error), error);
	ck_assert_uint_eq(folder.label_count, 7);
	ck_assert_uint_eq(folder.count, 1000);
	for (size_t i = 1; i < folder.count; i++)
		ck_assert_str_lt(folder.images[i - 1].path, folder.images[i].path);
}
END_TEST

START_TEST(test_labels)
{
	static const char *const texts[] = { "tench\ngreat white shark\ncrane\ncrane",
					     "tench\ngreat white shark\ncrane\ncrane\n",
					     "tench\r\ngreat white shark\r\ncrane\r\ncrane\r\n" };
	static const char *const expected[] = { "tench", "great white shark", "crane", "crane" };
	struct tv_error error = { 0 };
	size_t parsed_count, read_count;
	char **parsed, **read;
	const char *path;
	int r;

	r = tv_labels_parse(texts[_i], &parsed, &parsed_count, &error);
	tv_assert_ok(r, error);
	path = tv_unit_file("labels.txt", texts[_i], strlen(texts[_i]));
	r = tv_labels_read(path, &read, &read_count, &error);
	tv_assert_ok(r, error);
	ck_assert_uint_eq(parsed_count, 4);
	ck_assert_uint_eq(read_count, 4);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_str_eq(parsed[i], expected[i]);
		ck_assert_str_eq(read[i], expected[i]);
	}
	tv_labels_free(parsed, parsed_count);
	tv_labels_free(read, read_count);
}
END_TEST

static void assert_labels_refused(const char *text, size_t size, const char *expected)
{
	const char *path = tv_unit_file("labels.txt", text, size);
	struct tv_error error = { 0 };
	char **labels;
	size_t count;

	ck_assert_int_eq(tv_labels_read(path, &labels, &count, &error), -EBADMSG);
	ck_assert_msg(strstr(error.text, path) == error.text, "%s", error.text);
	ck_assert_str_eq(error.text + strlen(path) + 2, expected);
}

START_TEST(test_labels_refused)
{
	_cleanup_free_ char *many = malloc(2 * (TV_LABELS_MAX + 1));

	assert_labels_refused("", 0, "no labels, expected one a line");
	assert_labels_refused("\n", 1, "line 1 is empty, expected one label a line");
	assert_labels_refused("a\n\r\nb\n", 6, "line 2 is empty, expected one label a line");
	assert_labels_refused("a\0b\n", 4, "not text, expected one label a line");
	for (size_t i = 0; i <= TV_LABELS_MAX; i++)
		memcpy(many + 2 * i, "x\n", 2);
	assert_labels_refused(many, 2 * (TV_LABELS_MAX + 1), "65537 labels, at most 65536");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image-folder");
	TCase *tests = tcase_create("folder");

	tcase_add_checked_fixture(tests, tv_unit_directory_make, teardown);
	tcase_add_test(tests, test_labelled);
	tcase_add_test(tests, test_given_labels);
	tcase_add_test(tests, test_links);
	tcase_add_test(tests, test_broken_link);
	tcase_add_test(tests, test_unknown_label);
	tcase_add_test(tests, test_ambiguous_label);
	tcase_add_test(tests, test_no_subfolders);
	tcase_add_test(tests, test_empty_label);
	tcase_add_test(tests, test_nothing);
	tcase_add_test(tests, test_unreadable);
	tcase_add_test(tests, test_all);
	tcase_add_test(tests, test_trailing_slash);
	tcase_add_test(tests, test_not_a_folder);
	tcase_add_test(tests, test_many);
	tcase_add_loop_test(tests, test_labels, 0, 3);
	tcase_add_test(tests, test_labels_refused);
	suite_add_tcase(suite, tests);
	return tv_unit_main(suite);
}
