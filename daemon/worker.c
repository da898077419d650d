/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "daemon/worker.h"

/* First in, first out. */
struct queue {
	struct tv_task *first, **last;
};

struct tv_workers {
	sd_event_source *source;
	int wakeup; /* eventfd: there are tasks in finished */
	pthread_mutex_t lock; /* over all below */
	pthread_cond_t wanted, ended;
	struct queue waiting, finished;
	bool stopping;
	unsigned int threads, running; /* running: those that have not ended */
	pthread_t thread[];
};

static void push(struct queue *queue, struct tv_task *task)
{
	task->next = NULL;
	*queue->last = task;
	queue->last = &task->next;
}

static struct tv_task *pop(struct queue *queue)
{
	struct tv_task *task = queue->first;

	if (!task)
		return NULL;
	queue->first = task->next;
	if (!queue->first)
		queue->last = &queue->first;
	return task;
}

static void *work(void *argument)
{
	struct tv_workers *workers = argument;
	struct tv_task *task;

	pthread_mutex_lock(&workers->lock);
	while (!workers->stopping) {
		task = pop(&workers->waiting);
		if (!task) {
			pthread_cond_wait(&workers->wanted, &workers->lock);
			continue;
		}
		pthread_mutex_unlock(&workers->lock);
		task->run(task);
		pthread_mutex_lock(&workers->lock);
		push(&workers->finished, task);
		pthread_mutex_unlock(&workers->lock);
		/* Not under the lock: the loop would wake, run into it, and wait for this thread to
		 * have a processor again. Cannot be full: that takes 2^64 - 1 tasks. */
		eventfd_write(workers->wakeup, 1);
		pthread_mutex_lock(&workers->lock);
	}
	workers->running--;
	pthread_cond_signal(&workers->ended);
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

static struct tv_task *take(struct tv_workers *workers, struct queue *queue)
{
	struct tv_task *task;

	pthread_mutex_lock(&workers->lock);
	task = pop(queue);
	pthread_mutex_unlock(&workers->lock);
	return task;
}

static int on_wakeup(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct tv_workers *workers = userdata;
	struct tv_task *task;
	eventfd_t count;

	eventfd_read(fd, &count);
	while ((task = take(workers, &workers->finished)))
		task->done(task, false);
	return 0;
}

/* Signals are for the loop's thread. */
static int start_thread(struct tv_workers *workers)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&workers->thread[workers->threads], NULL, work, workers);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!r) {
		pthread_mutex_lock(&workers->lock);
		workers->threads++;
		workers->running++;
		pthread_mutex_unlock(&workers->lock);
	}
	return -r;
}

int tv_workers_new(sd_event *event, unsigned int threads, struct tv_workers **ret,
		   struct tv_error *error)
{
	_cleanup_(tv_workers_freep) struct tv_workers *workers = NULL;
	pthread_condattr_t attributes;
	int r;

	workers = calloc(1, sizeof(*workers) + threads * sizeof(*workers->thread));
	if (!workers)
		return tv_error_oom(error);
	workers->waiting.last = &workers->waiting.first;
	workers->finished.last = &workers->finished.first;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->wanted, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&workers->ended, &attributes);
	pthread_condattr_destroy(&attributes);
	workers->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (workers->wakeup < 0)
		return tv_error_set(error, -errno, "eventfd: %s", strerror(errno));
	r = sd_event_add_io(event, &workers->source, workers->wakeup, EPOLLIN, on_wakeup, workers);
	if (r < 0)
		return tv_error_set(error, r, "event loop: %s", strerror(-r));
	for (unsigned int i = 0; i < threads; i++) {
		r = start_thread(workers);
		if (r < 0)
			return tv_error_set(error, r, "thread: %s", strerror(-r));
	}
	*ret = TV_TAKE_PTR(workers);
	return 0;
}

/* Until all threads have ended, or patience has. */
static bool wait_for_threads(struct tv_workers *workers)
{
	struct timespec until;
	bool all;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += TV_WORKERS_PATIENCE / 1000;
	pthread_mutex_lock(&workers->lock);
	workers->stopping = true;
	pthread_cond_broadcast(&workers->wanted);
	while (workers->running &&
	       pthread_cond_timedwait(&workers->ended, &workers->lock, &until) != ETIMEDOUT)
		;
	all = !workers->running;
	pthread_mutex_unlock(&workers->lock);
	return all;
}

bool tv_workers_free(struct tv_workers *workers)
{
	bool all = wait_for_threads(workers);
	struct tv_task *task;

	for (unsigned int i = 0; i < workers->threads; i++)
		if (all)
			pthread_join(workers->thread[i], NULL);
		else
			pthread_detach(workers->thread[i]);
	while ((task = take(workers, &workers->finished)))
		task->done(task, false);
	while ((task = take(workers, &workers->waiting)))
		task->done(task, true);
	sd_event_source_disable_unref(workers->source);
	/* What is still under way comes back to these. */
	if (!all)
		return false;
	if (workers->wakeup >= 0)
		close(workers->wakeup);
	pthread_cond_destroy(&workers->ended);
	pthread_cond_destroy(&workers->wanted);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
	return true;
}

void tv_workers_submit(struct tv_workers *workers, struct tv_task *task)
{
	pthread_mutex_lock(&workers->lock);
	push(&workers->waiting, task);
	pthread_mutex_unlock(&workers->lock);
	pthread_cond_signal(&workers->wanted);
}

struct release {
	struct tv_task task;
	void (*release)(void *what);
	void *what;
};

static void run_release(struct tv_task *task)
{
	struct release *release = (struct release *)task;

	release->release(release->what);
}

static void release_done(struct tv_task *task, bool dropped)
{
	if (dropped)
		run_release(task);
	free(task);
}

void tv_workers_release(struct tv_workers *workers, void (*release)(void *), void *what)
{
	struct release *task = workers ? calloc(1, sizeof(*task)) : NULL;

	if (!task)
		return release(what);
	*task = (struct release){ { run_release, release_done, NULL }, release, what };
	tv_workers_submit(workers, &task->task);
}
