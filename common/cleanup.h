/* SPDX-License-Identifier: MIT */
/*
 * Scope-bound release of resources, as in systemd: a variable says at its declaration how it is
 * released, so that no return path can forget it.
 */
#ifndef TV_COMMON_CLEANUP_H
#define TV_COMMON_CLEANUP_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))

/* Defines function##p, the cleanup handler of a pointer variable released by function. */
#define TV_DEFINE_CLEANUP(type, function)                                                          \
	static inline void function##p(type *p)                                                    \
	{                                                                                          \
		if (*p)                                                                            \
			function(*p);                                                              \
	}

/* Hands the pointer on: the variable is emptied and its cleanup has nothing left to do. */
#define TV_TAKE_PTR(pointer)                                                                       \
	({                                                                                         \
		__typeof__(pointer) *_take = &(pointer);                                           \
		__typeof__(pointer) _taken = *_take;                                               \
		*_take = NULL;                                                                     \
		_taken;                                                                            \
	})

#define TV_TAKE_FD(fd)                                                                             \
	({                                                                                         \
		int *_take = &(fd);                                                                \
		int _taken = *_take;                                                               \
		*_take = -1;                                                                       \
		_taken;                                                                            \
	})

static inline void tv_freep(void *p)
{
	free(*(void **)p);
}

static inline void tv_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

TV_DEFINE_CLEANUP(FILE *, fclose)

#define _cleanup_free_ _cleanup_(tv_freep)
#define _cleanup_close_ _cleanup_(tv_closep)
#define _cleanup_fclose_ _cleanup_(fclosep)

/* The structure that the member, which pointer points to, is part of. */
#define tv_container_of(pointer, type, member)                                                     \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define TV_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
