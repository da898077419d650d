/* SPDX-License-Identifier: MIT */
/*
 * Errors that say what, where and what was expected.
 *
 * A function that can fail for reasons a person has to understand returns a negative errno and
 * takes a struct tv_error, which may be NULL. The function that knows the cause sets it; callers
 * put where it happened in front; only the one that handles the error prints it.
 */
#ifndef TV_COMMON_ERROR_H
#define TV_COMMON_ERROR_H

#include <errno.h>

struct tv_error {
	int code; /* negative errno; 0 while nothing was set */
	char text[512];
};

/* Sets code and text (truncated to fit) and returns code. The first cause wins: an error that is
 * set already keeps its text. */
int tv_error_set(struct tv_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "where: " in front of the text, fills in strerror(code) where no text was set, and returns
 * code. */
int tv_error_prefix(struct tv_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Out of memory: the one error that has nothing more to say. Returns -ENOMEM. */
int tv_error_oom(struct tv_error *error);

/* The same, so that the compiler sees that what is returned is code: it follows from there that an
 * output parameter was written wherever a function did not return a negative number. */
#define tv_error_set(error, code, ...)                                                             \
	({                                                                                         \
		int _tv_code = (code);                                                             \
		(void)(tv_error_set)((error), _tv_code, __VA_ARGS__);                              \
		_tv_code;                                                                          \
	})
#define tv_error_prefix(error, code, ...)                                                          \
	({                                                                                         \
		int _tv_code = (code);                                                             \
		(void)(tv_error_prefix)((error), _tv_code, __VA_ARGS__);                           \
		_tv_code;                                                                          \
	})
#define tv_error_oom(error)                                                                        \
	({                                                                                         \
		(void)(tv_error_oom)(error);                                                       \
		-ENOMEM;                                                                           \
	})

#endif
