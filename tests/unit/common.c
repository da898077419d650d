/* SPDX-License-Identifier: MIT */
/* Errors, digests and progress. */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "common/digest.h"
#include "common/error.h"
#include "common/progress.h"
#include "tests/unit/unit.h"

START_TEST(first_cause_wins)
{
	struct tv_error error = { 0 };

	ck_assert_int_eq(tv_error_set(&error, -EBADMSG, "%d bytes", 7), -EBADMSG);
	ck_assert_int_eq(tv_error_set(&error, -EIO, "something else"), -EIO);
	ck_assert_int_eq(tv_error_oom(&error), -ENOMEM);
	ck_assert_int_eq(error.code, -EBADMSG);
	ck_assert_str_eq(error.text, "7 bytes");
}
END_TEST

START_TEST(error_may_be_null)
{
	ck_assert_int_eq(tv_error_set(NULL, -EIO, "x"), -EIO);
	ck_assert_int_eq(tv_error_prefix(NULL, -EIO, "x"), -EIO);
	ck_assert_int_eq(tv_error_oom(NULL), -ENOMEM);
}
END_TEST

START_TEST(prefix_says_where)
{
	struct tv_error error = { 0 };

	tv_error_set(&error, -EBADMSG, "too long");
	ck_assert_int_eq(tv_error_prefix(&error, -EBADMSG, "tensor '%s'", "a"), -EBADMSG);
	tv_error_prefix(&error, -EBADMSG, "FILE");
	ck_assert_str_eq(error.text, "FILE: tensor 'a': too long");
}
END_TEST

START_TEST(prefix_finds_words_for_a_code)
{
	struct tv_error error = { 0 };

	ck_assert_int_eq(tv_error_prefix(&error, -ENOENT, "FILE"), -ENOENT);
	ck_assert_int_eq(error.code, -ENOENT);
	ck_assert_str_eq(error.text, "FILE: No such file or directory");
}
END_TEST

/* Of place and cause neither pushes out the other, and both stay whole if there is room. */
START_TEST(texts_are_truncated)
{
	struct tv_error error = { 0 };
	char place[1000], cause[1000];

	memset(place, 'p', sizeof(place));
	memset(cause, 'c', sizeof(cause));
	place[400] = '\0';
	tv_error_set(&error, -EIO, "short");
	tv_error_prefix(&error, -EIO, "%s", place);
	ck_assert_uint_eq(strlen(error.text), 400 + strlen(": short"));

	place[400] = 'p';
	place[999] = '\0';
	error.code = 0;
	tv_error_set(&error, -EIO, "short");
	tv_error_prefix(&error, -EIO, "%s", place);
	ck_assert_uint_eq(strlen(error.text), sizeof(error.text) - 1);
	ck_assert_str_eq(error.text + sizeof(error.text) - 1 - strlen("p: short"), "p: short");

	cause[999] = '\0';
	error.code = 0;
	tv_error_set(&error, -EIO, "%s", cause);
	ck_assert_uint_eq(strlen(error.text), sizeof(error.text) - 1);
	tv_error_prefix(&error, -EIO, "FILE");
	ck_assert_uint_eq(strlen(error.text), sizeof(error.text) - 1);
	ck_assert_int_eq(strncmp(error.text, "FILE: cccc", 10), 0);
	tv_error_prefix(&error, -EIO, "%s", place);
	ck_assert_uint_eq(strlen(error.text), sizeof(error.text) - 1);
	ck_assert_ptr_nonnull(strstr(error.text, "p: FILE: cccc"));
}
END_TEST

/* The examples of FIPS 180-4. */
START_TEST(digests)
{
	static const struct {
		const char *text;
		const char *hex;
	} cases[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(cases); i++) {
		uint8_t digest[TV_DIGEST_SIZE];
		char hex[TV_DIGEST_HEX_SIZE];

		tv_digest(cases[i].text, strlen(cases[i].text), digest);
		tv_digest_hex(digest, hex);
		ck_assert_str_eq(hex, cases[i].hex);
	}
}
END_TEST

#define SECOND UINT64_C(1000000)

static const char *format(uint64_t elapsed_us, size_t done, size_t total, unsigned int columns)
{
	static const struct tv_progress progress = {
		.what = "testing", .unit = "images", .started_us = 50
	};
	static char text[256];

	return tv_progress_format(&progress, 50 + elapsed_us, done, total, columns, text,
				  sizeof(text));
}

START_TEST(formats_plain_lines)
{
	ck_assert_str_eq(format(0, 0, 10, 0), "testing: 0 of 10 images (0%)");
	ck_assert_str_eq(format(100 * SECOND, 250, 1000, 0),
			 "testing: 250 of 1000 images, 2.50 images/s, 5:00 left (25%)");
	ck_assert_str_eq(format(SECOND, 999, 1000, 0),
			 "testing: 999 of 1000 images, 999 images/s, 0:00 left (99%)");
	ck_assert_str_eq(format(2 * SECOND, 29, 100, 0),
			 "testing: 29 of 100 images, 14.5 images/s, 0:05 left (29%)");
	ck_assert_str_eq(format(1000 * SECOND, 1, 11, 0),
			 "testing: 1 of 11 images, 0.00 images/s, 2:46:40 left (9%)");
	ck_assert_str_eq(format(SECOND, 0, 0, 0), "testing: 0 of 0 images (100%)");
	ck_assert_str_eq(format(SECOND, 2, 1, 0), "testing: 2 of 1 images (100%)");
}
END_TEST

START_TEST(fits_lines_to_the_terminal)
{
	static const char counts[] = "5 of 10 images, 1.00 images/s, 0:05 left";
	char expected[256];

	snprintf(expected, sizeof(expected), "testing [########........]  50%% %s", counts);
	ck_assert_str_eq(format(5 * SECOND, 5, 10, 73), expected);
	ck_assert_uint_eq(strlen(expected), 72);
	/* No longer than it is useful, and not at all where there is no room. */
	snprintf(expected, sizeof(expected),
		 "testing [####################....................]  50%% %s", counts);
	ck_assert_str_eq(format(5 * SECOND, 5, 10, 1000), expected);
	snprintf(expected, sizeof(expected), "testing  50%% %s", counts);
	ck_assert_str_eq(format(5 * SECOND, 5, 10, 60), expected);

	for (unsigned int columns = 1; columns < 300; columns++)
		for (size_t done = 0; done <= 10; done++)
			ck_assert_uint_lt(strlen(format(5 * SECOND, done, 10, columns)), columns);
	ck_assert_ptr_nonnull(strstr(format(SECOND, 10, 10, 80), "#]"));
}
END_TEST

/* Standard error goes elsewhere while fd is open in its place. */
static int redirect(int fd)
{
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	ck_assert_int_ge(saved, 0);
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	return saved;
}

static void restore(int saved)
{
	ck_assert_int_eq(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved);
}

/* What can be read from fd now, as text. */
static const char *drain(int fd)
{
	static char text[4096];
	ssize_t size;

	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	size = read(fd, text, sizeof(text) - 1);
	text[size > 0 ? size : 0] = '\0';
	return text;
}

START_TEST(draws_on_a_terminal)
{
	static const struct winsize window = { .ws_row = 25, .ws_col = 90 };
	_cleanup_close_ int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	_cleanup_close_ int side = -1;
	struct tv_progress progress;
	const char *text;
	int saved;

	ck_assert_int_ge(terminal, 0);
	ck_assert_int_eq(grantpt(terminal), 0);
	ck_assert_int_eq(unlockpt(terminal), 0);
	side = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(side, 0);
	ck_assert_int_eq(ioctl(side, TIOCSWINSZ, &window), 0);
	saved = redirect(side);

	setenv("TERM", "xterm", 1);
	tv_progress_start(&progress, "testing", "images", false);
	progress.started_us -= 3600 * SECOND;
	tv_progress_update(&progress, 50, 100);
	text = drain(terminal);
	ck_assert_msg(strncmp(text, "\rtesting [#", 11) == 0, "%s", text);
	ck_assert_msg(strstr(text, "]  50% 50 of 100 images, 0.01 images/s, 1:00:00 left\033[K"),
		      "%s", text);
	ck_assert_ptr_null(strchr(text, '\n'));
	ck_assert_uint_eq(strlen(text), strlen("\r\033[K") + 89);

	tv_progress_end(&progress, 100, 100);
	text = drain(terminal);
	ck_assert_msg(strncmp(text, "\rtesting: 100 images in 1:00:00, 0.03 images/s", 46) == 0,
		      "%s", text);
	ck_assert_ptr_nonnull(strchr(text, '\n'));

	/* A terminal that knows no control sequences gets plain lines. */
	setenv("TERM", "dumb", 1);
	tv_progress_start(&progress, "testing", "images", false);
	tv_progress_update(&progress, 50, 100);
	ck_assert_str_eq(drain(terminal), "");
	restore(saved);
}
END_TEST

START_TEST(writes_plain_lines_elsewhere)
{
	int ends[2], saved;
	struct tv_progress progress;
	const char *text;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	saved = redirect(ends[1]);

	tv_progress_start(&progress, "testing", "images", false);
	tv_progress_update(&progress, 1, 100);
	ck_assert_str_eq(drain(ends[0]), "");
	/* Eleven seconds on: one line, and then none for another ten. */
	progress.started_us -= 11 * SECOND;
	tv_progress_update(&progress, 2, 100);
	text = drain(ends[0]);
	ck_assert_msg(strncmp(text, "testing: 2 of 100 images, 0.", 28) == 0, "%s", text);
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
	tv_progress_update(&progress, 3, 100);
	ck_assert_str_eq(drain(ends[0]), "");
	progress.drawn_us -= 10 * SECOND;
	tv_progress_update(&progress, 4, 100);
	ck_assert_str_ne(drain(ends[0]), "");

	/* Work that was cut short says so. */
	tv_progress_end(&progress, 4, 100);
	text = drain(ends[0]);
	ck_assert_msg(strncmp(text, "testing: 4 of 100 images in ", 28) == 0, "%s", text);
	ck_assert_ptr_null(strpbrk(text, "\r\033"));

	tv_progress_start(&progress, "testing", "images", true);
	progress.started_us -= 11 * SECOND;
	tv_progress_update(&progress, 50, 100);
	tv_progress_end(&progress, 100, 100);
	ck_assert_str_eq(drain(ends[0]), "");

	restore(saved);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("common");
	TCase *error = tcase_create("error"), *digest = tcase_create("digest");
	TCase *progress = tcase_create("progress");

	tcase_add_test(error, first_cause_wins);
	tcase_add_test(error, error_may_be_null);
	tcase_add_test(error, prefix_says_where);
	tcase_add_test(error, prefix_finds_words_for_a_code);
	tcase_add_test(error, texts_are_truncated);
	suite_add_tcase(suite, error);

	tcase_add_test(digest, digests);
	suite_add_tcase(suite, digest);

	tcase_add_test(progress, formats_plain_lines);
	tcase_add_test(progress, fits_lines_to_the_terminal);
	tcase_add_test(progress, draws_on_a_terminal);
	tcase_add_test(progress, writes_plain_lines_elsewhere);
	suite_add_tcase(suite, progress);

	return tv_unit_main(suite);
}
