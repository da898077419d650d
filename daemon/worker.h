/* SPDX-License-Identifier: MIT */
/*
 * Threads for what would hold up the event loop: reading files, hashing, allocating. A task is run
 * by one of them; then the loop's thread hears of it. Tasks begin in the order in which they were
 * submitted.
 */
#ifndef TV_DAEMON_WORKER_H
#define TV_DAEMON_WORKER_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error.h"

/* Part of the caller's own structure, which lives until done() is called. */
struct tv_task {
	void (*run)(struct tv_task *task); /* in a worker */
	/* In the loop's thread, once. dropped: run() was not called, the workers were released
	 * before its turn came. */
	void (*done)(struct tv_task *task, bool dropped);
	struct tv_task *next; /* the workers' own */
};

struct tv_workers;

/* How long tv_workers_free() waits, ms. */
#define TV_WORKERS_PATIENCE 1000

int tv_workers_new(sd_event *event, unsigned int threads, struct tv_workers **ret,
		   struct tv_error *error);
/* Waits for tasks that run, and calls done() of all. A task that does not come to its end, because
 * a file system does not answer, is left alone with what it has; false then. */
bool tv_workers_free(struct tv_workers *workers);
TV_DEFINE_CLEANUP(struct tv_workers *, tv_workers_free)

void tv_workers_submit(struct tv_workers *workers, struct tv_task *task);

/* Has a worker release something: large mappings take their time. Without memory for that, or
 * workers (NULL), it is done here and now. */
void tv_workers_release(struct tv_workers *workers, void (*release)(void *), void *what);

#endif
