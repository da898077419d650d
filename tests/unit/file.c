/* SPDX-License-Identifier: MIT */
/* Whole files: bounded reads, and writes that leave either everything or nothing. */
#include "common/file.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/directory.h"

static struct iovec part(const char *text)
{
	return (struct iovec){ (void *)text, strlen(text) };
}

static void assert_content(const char *path, const char *expected)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct tv_error error = { 0 };
	size_t size;
	int r = tv_file_read(path, 1000, &data, &size, &error);

	tv_assert_ok(r, error);
	ck_assert_uint_eq(size, strlen(expected));
	/* The NUL behind it is part of the promise. */
	ck_assert_str_eq((char *)data, expected);
}

/* A failure whose text begins with the path and has the word. */
static void assert_failed(int r, int code, const struct tv_error *error, const char *path,
			  const char *word)
{
	ck_assert_msg(r == code && error->code == code, "%d: %s", r, error->text);
	ck_assert_msg(strncmp(error->text, path, strlen(path)) == 0, "%s", error->text);
	ck_assert_msg(strstr(error->text, word), "%s", error->text);
}

START_TEST(reads_up_to_the_limit)
{
	const char *path = tv_unit_file("file", "12345", 5);
	_cleanup_free_ uint8_t *data = NULL;
	struct tv_error error = { 0 };
	size_t size;
	int r;

	r = tv_file_read(path, 4, &data, &size, &error);
	assert_failed(r, -EFBIG, &error, path, "has 5 bytes, at most 4 are read");
	error = (struct tv_error){ 0 };
	r = tv_file_read(path, 5, &data, &size, &error);
	tv_assert_ok(r, error);
	ck_assert_mem_eq(data, "12345", 6);
	assert_content(tv_unit_file("empty", "", 0), "");
}
END_TEST

START_TEST(writes_the_parts_in_order)
{
	const char *path = tv_unit_path("file");
	struct iovec parts[] = { part("one "), part(""), part("two "), { NULL, 0 }, part("three") };
	struct tv_error error = { 0 };
	struct stat status;
	mode_t mask = umask(0027);
	int r = tv_file_write(path, parts, TV_ARRAY_SIZE(parts), &error);

	umask(mask);
	tv_assert_ok(r, error);
	assert_content(path, "one two three");
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0640);
	ck_assert_uint_eq(tv_unit_directory_each(NULL), 1);
}
END_TEST

START_TEST(replaces_a_file)
{
	const char *path = tv_unit_file("file", "something longer", 16);
	struct iovec parts[] = { part("new") };
	struct tv_error error = { 0 };
	int r = tv_file_write(path, parts, 1, &error);

	tv_assert_ok(r, error);
	assert_content(path, "new");
	ck_assert_uint_eq(tv_unit_directory_each(NULL), 1);
}
END_TEST

START_TEST(writes_beside_the_working_directory)
{
	struct iovec parts[] = { part("here") };
	struct tv_error error = { 0 };
	int r;

	ck_assert_int_eq(chdir(tv_unit_directory), 0);
	r = tv_file_write("file", parts, 1, &error);
	tv_assert_ok(r, error);
	assert_content("file", "here");
	ck_assert_uint_eq(tv_unit_directory_each(NULL), 1);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(takes_the_longest_name)
{
	char name[NAME_MAX + 1];
	struct iovec parts[] = { part("long") };
	struct tv_error error = { 0 };
	int r;

	memset(name, 'n', NAME_MAX);
	name[NAME_MAX] = '\0';
	r = tv_file_write(tv_unit_path(name), parts, 1, &error);
	tv_assert_ok(r, error);
	assert_content(tv_unit_path(name), "long");
}
END_TEST

START_TEST(replaces_only_regular_files)
{
	const char *path = tv_unit_path("pipe");
	struct iovec parts[] = { part("new") };
	struct tv_error error = { 0 };
	int r;

	r = tv_file_write(tv_unit_directory, parts, 1, &error);
	assert_failed(r, -EINVAL, &error, tv_unit_directory, "is a directory");
	error = (struct tv_error){ 0 };
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	r = tv_file_write(path, parts, 1, &error);
	assert_failed(r, -EINVAL, &error, path, "is a pipe");
	ck_assert_uint_eq(tv_unit_directory_each(NULL), 1);
}
END_TEST

START_TEST(fails_without_a_directory)
{
	struct iovec parts[] = { part("new") };
	struct tv_error error = { 0 };
	const char *path = tv_unit_path("absent/file");
	int r = tv_file_write(path, parts, 1, &error);

	assert_failed(r, -ENOENT, &error, path, "No such file or directory");
	ck_assert_uint_eq(tv_unit_directory_each(NULL), 0);
}
END_TEST

START_TEST(fails_in_a_directory_that_it_may_not_write)
{
	struct iovec parts[] = { part("new") };
	struct tv_error error = { 0 };
	const char *path = tv_unit_path("file");
	uid_t user = geteuid();
	int r;

	/* Nothing is forbidden to root, so be nobody meanwhile. */
	ck_assert_int_eq(chmod(tv_unit_directory, 0555), 0);
	if (user == 0 && seteuid(65534) < 0)
		tv_unit_skip("fails_in_a_directory_that_it_may_not_write", "cannot become nobody");
	r = tv_file_write(path, parts, 1, &error);
	ck_assert_int_eq(seteuid(user), 0);
	assert_failed(r, -EACCES, &error, path, "Permission denied");
	ck_assert_int_eq(chmod(tv_unit_directory, 0755), 0);
	ck_assert_uint_eq(tv_unit_directory_each(NULL), 0);
}
END_TEST

/* No room, as far as a test can bring it about: a limit on the size of files. */
START_TEST(leaves_nothing_when_a_write_fails)
{
	static char large[100000];
	const char *path = tv_unit_file("file", "old", 3);
	struct iovec parts[] = { part("begin"), { large, sizeof(large) } };
	struct tv_error error = { 0 };
	struct rlimit limit, small;
	int r;

	ck_assert_ptr_ne(signal(SIGXFSZ, SIG_IGN), SIG_ERR);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = 4096;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	r = tv_file_write(path, parts, 2, &error);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);

	assert_failed(r, -EFBIG, &error, path, "cannot write");
	assert_content(path, "old");
	ck_assert_uint_eq(tv_unit_directory_each(NULL), 1);
}
END_TEST

/* Killed on the way: by the signal that comes with such a limit unless somebody ignores it. */
START_TEST(leaves_the_old_file_when_killed)
{
	static char large[100000];
	const char *path = tv_unit_file("file", "old", 3);
	struct iovec parts[] = { part("begin"), { large, sizeof(large) } };
	const struct rlimit small = { 4096, 4096 }, none = { 0, 0 };
	int status, fd = open(tv_unit_directory, O_WRONLY | O_TMPFILE, 0600);
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		signal(SIGXFSZ, SIG_DFL);
		setrlimit(RLIMIT_CORE, &none);
		setrlimit(RLIMIT_FSIZE, &small);
		_exit(tv_file_write(path, parts, 2, NULL) == 0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
	assert_content(path, "old");
	/* What was written has gone with the process where it never had a name. */
	ck_assert_uint_eq(tv_unit_directory_each(NULL), fd < 0 ? 2 : 1);
	if (fd >= 0)
		close(fd);
}
END_TEST

/* From now on this process sees file systems that know no files without a name. */
static bool forbid_unnamed_files(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { TV_ARRAY_SIZE(filter), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void add_writes(TCase *tcase)
{
	tcase_add_test(tcase, writes_the_parts_in_order);
	tcase_add_test(tcase, replaces_a_file);
	tcase_add_test(tcase, writes_beside_the_working_directory);
	tcase_add_test(tcase, takes_the_longest_name);
	tcase_add_test(tcase, replaces_only_regular_files);
	tcase_add_test(tcase, fails_without_a_directory);
	tcase_add_test(tcase, fails_in_a_directory_that_it_may_not_write);
	tcase_add_test(tcase, leaves_nothing_when_a_write_fails);
	tcase_add_test(tcase, leaves_the_old_file_when_killed);
}

START_TEST(without_unnamed_files)
{
	tv_unit_skip("without_unnamed_files", "no system calls can be filtered here");
}
END_TEST

static void make_named_directory(void)
{
	tv_unit_directory_make();
	ck_assert(forbid_unnamed_files());
}

int main(void)
{
	Suite *suite = suite_create("file");
	TCase *file = tcase_create("file"), *named = tcase_create("named");

	tcase_add_checked_fixture(file, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_test(file, reads_up_to_the_limit);
	add_writes(file);
	suite_add_tcase(suite, file);
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0) {
		tcase_add_checked_fixture(named, make_named_directory, tv_unit_directory_remove);
		add_writes(named);
	} else {
		tcase_add_test(named, without_unnamed_files);
	}
	suite_add_tcase(suite, named);

	return tv_unit_main(suite);
}
