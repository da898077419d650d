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
	pthread_cond_t wanted;
	struct queue waiting, finished;
	bool stopping;
	unsigned int threads;
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
		/* Cannot be full: that takes 2^64 - 1 tasks. */
		eventfd_write(workers->wakeup, 1);
	}
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
	if (!r)
		workers->threads++;
	return -r;
}

int tv_workers_new(sd_event *event, unsigned int threads, struct tv_workers **ret,
		   struct tv_error *error)
{
	_cleanup_(tv_workers_freep) struct tv_workers *workers = NULL;
	int r;

	workers = calloc(1, sizeof(*workers) + threads * sizeof(*workers->thread));
	if (!workers)
		return tv_error_oom(error);
	workers->waiting.last = &workers->waiting.first;
	workers->finished.last = &workers->finished.first;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->wanted, NULL);
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

void tv_workers_free(struct tv_workers *workers)
{
	struct tv_task *task;

	pthread_mutex_lock(&workers->lock);
	workers->stopping = true;
	pthread_cond_broadcast(&workers->wanted);
	pthread_mutex_unlock(&workers->lock);
	for (unsigned int i = 0; i < workers->threads; i++)
		pthread_join(workers->thread[i], NULL);
	while ((task = pop(&workers->finished)))
		task->done(task, false);
	while ((task = pop(&workers->waiting)))
		task->done(task, true);
	sd_event_source_disable_unref(workers->source);
	if (workers->wakeup >= 0)
		close(workers->wakeup);
	pthread_cond_destroy(&workers->wanted);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
}

void tv_workers_submit(struct tv_workers *workers, struct tv_task *task)
{
	pthread_mutex_lock(&workers->lock);
	push(&workers->waiting, task);
	pthread_cond_signal(&workers->wanted);
	pthread_mutex_unlock(&workers->lock);
}
