/* SPDX-License-Identifier: MIT */
/*
 * A bounded loop over independent items on several threads. Which thread takes which item is not
 * determined; what an item computes must depend on its index alone, so that results are the same
 * for any number of threads.
 */
#ifndef TV_COMMON_PARALLEL_H
#define TV_COMMON_PARALLEL_H

#include <stddef.h>

#include "common/cleanup.h"
#include "common/error.h"

/* Item index of a loop, on worker [0, threads). A negative return stops the loop. */
typedef int (*tv_parallel_item)(size_t index, unsigned int worker, void *userdata,
				struct tv_error *error);
/* Called on the caller's thread after one item or several were done, done of total in all. */
typedef void (*tv_parallel_tick)(size_t done, size_t total, void *userdata);

/* The processors this process may run on. */
unsigned int tv_parallel_threads(void);

/* Runs item for [0, total) on at most threads workers (0: tv_parallel_threads()). Returns 0, or the
 * failure of the lowest index that failed; items already begun are finished, others not begun. All
 * items below that index have been run, so that the failure does not depend on the threads. */
int tv_parallel_for(size_t total, unsigned int threads, tv_parallel_item item,
		    tv_parallel_tick tick, void *userdata, struct tv_error *error);

/* The threads of many short loops, one after the other: they stay, and for a moment after a loop
 * they look out for the next instead of sleeping. One thread's at a time. */
struct tv_parallel;

/* Of threads workers (0: tv_parallel_threads()), of which whoever runs a loop is one. Where the
 * system has no more threads there are fewer. */
int tv_parallel_new(unsigned int threads, struct tv_parallel **ret, struct tv_error *error);
void tv_parallel_free(struct tv_parallel *team);
TV_DEFINE_CLEANUP(struct tv_parallel *, tv_parallel_free)

/* How many workers it has; 1 if it is NULL. */
unsigned int tv_parallel_workers(const struct tv_parallel *team);

/* As tv_parallel_for(), but the caller works too. team NULL: alone. */
int tv_parallel_run(struct tv_parallel *team, size_t total, tv_parallel_item item, void *userdata,
		    struct tv_error *error);

#endif
