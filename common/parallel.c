/* SPDX-License-Identifier: MIT */
/*
 * Workers take the next index from a counter, so that a slow item holds up nobody. An index is run
 * by whoever took it, even if the loop was stopped meanwhile: whatever lies below a failure has
 * been run, and which failure is the lowest does not depend on the workers.
 */
#include "common/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "common/cleanup.h"

struct loop {
	size_t total;
	tv_parallel_item item;
	void *userdata;
	atomic_size_t next; /* index that nobody took yet */
	atomic_bool stop;

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t progressed; /* done or running changed */
	size_t done;
	unsigned int running; /* workers */
	int r; /* failure of the lowest index that failed, 0: none */
	size_t failed; /* that index */
	struct tv_error error;
};

struct worker {
	struct loop *loop;
	pthread_t thread;
	unsigned int number;
};

unsigned int tv_parallel_threads(void)
{
	cpu_set_t allowed;
	long online;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		return (unsigned int)CPU_COUNT(&allowed);
	/* More processors than a cpu_set_t has bits. */
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (unsigned int)online : 1;
}

/* Takes an index; false at the end of the loop. */
static bool take_index(struct loop *loop, size_t *ret)
{
	size_t index;

	if (atomic_load(&loop->stop))
		return false;
	index = atomic_fetch_add(&loop->next, 1);
	if (index >= loop->total)
		return false;
	*ret = index;
	return true;
}

static void finish_item(struct loop *loop, size_t index, int r, const struct tv_error *error)
{
	if (r < 0)
		atomic_store(&loop->stop, true);

	pthread_mutex_lock(&loop->lock);
	if (r >= 0) {
		loop->done++;
	} else if (loop->r == 0 || index < loop->failed) {
		loop->r = r;
		loop->failed = index;
		loop->error = *error;
	}
	pthread_cond_signal(&loop->progressed);
	pthread_mutex_unlock(&loop->lock);
}

static void *work(void *userdata)
{
	struct worker *worker = userdata;
	struct loop *loop = worker->loop;
	size_t index;

	while (take_index(loop, &index)) {
		struct tv_error error = { 0 };
		int r = loop->item(index, worker->number, loop->userdata, &error);

		if (r < 0)
			tv_error_set(&error, r, "item %zu failed", index);
		finish_item(loop, index, r, &error);
	}

	pthread_mutex_lock(&loop->lock);
	loop->running--;
	pthread_cond_signal(&loop->progressed);
	pthread_mutex_unlock(&loop->lock);
	return NULL;
}

/* Starts workers until there are count or the system has no more threads, and returns how many
 * there are. They block all signals, which stay the caller's. */
static unsigned int start(struct loop *loop, struct worker *workers, unsigned int count)
{
	sigset_t all, before;
	unsigned int started;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&loop->lock);
	for (started = 0; started < count; started++) {
		workers[started].loop = loop;
		workers[started].number = started;
		if (pthread_create(&workers[started].thread, NULL, work, &workers[started]) != 0)
			break;
	}
	loop->running = started;
	pthread_mutex_unlock(&loop->lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

/* Ticks until the workers are through; without the lock, so that a slow terminal holds up nobody.
 * One tick stands for all that was done since the last. */
static void watch(struct loop *loop, tv_parallel_tick tick)
{
	size_t told = 0;

	pthread_mutex_lock(&loop->lock);
	while (loop->done != told || loop->running > 0) {
		if (loop->done == told) {
			pthread_cond_wait(&loop->progressed, &loop->lock);
			continue;
		}
		told = loop->done;
		pthread_mutex_unlock(&loop->lock);
		tick(told, loop->total, loop->userdata);
		pthread_mutex_lock(&loop->lock);
	}
	pthread_mutex_unlock(&loop->lock);
}

/* The loop on the caller's thread alone. */
static int run_here(size_t total, tv_parallel_item item, tv_parallel_tick tick, void *userdata,
		    struct tv_error *error)
{
	for (size_t i = 0; i < total; i++) {
		int r = item(i, 0, userdata, error);

		if (r < 0)
			return tv_error_set(error, r, "item %zu failed", i);
		if (tick)
			tick(i + 1, total, userdata);
	}
	return 0;
}

int tv_parallel_for(size_t total, unsigned int threads, tv_parallel_item item,
		    tv_parallel_tick tick, void *userdata, struct tv_error *error)
{
	_cleanup_free_ struct worker *workers = NULL;
	struct loop loop = { .total = total, .item = item, .userdata = userdata };
	unsigned int started;

	if (threads == 0)
		threads = tv_parallel_threads();
	if (threads > total)
		threads = (unsigned int)total;
	if (threads > 1)
		workers = calloc(threads, sizeof(*workers));
	if (!workers)
		return run_here(total, item, tick, userdata, error);

	pthread_mutex_init(&loop.lock, NULL);
	pthread_cond_init(&loop.progressed, NULL);
	started = start(&loop, workers, threads);
	if (tick)
		watch(&loop, tick);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	pthread_cond_destroy(&loop.progressed);
	pthread_mutex_destroy(&loop.lock);

	if (started == 0)
		return run_here(total, item, tick, userdata, error);
	if (loop.r < 0)
		return tv_error_set(error, loop.r, "%s", loop.error.text);
	return 0;
}
