/* SPDX-License-Identifier: MIT */
/* Tasks in worker threads, their ends in the loop's. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "daemon/worker.h"
#include "tests/unit/unit.h"

#define TASKS 1000

struct counted {
	struct tv_task task; /* first: they are cast to one another */
	unsigned int index;
	pthread_t ran_in, done_in;
	unsigned int ran, done, dropped;
};

static sd_event *event;
static struct tv_workers *workers;
static struct counted tasks[TASKS];
static unsigned int done_count;
static unsigned int order[TASKS];
static atomic_uint running;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void run(struct tv_task *task)
{
	struct counted *counted = (struct counted *)task;

	order[atomic_fetch_add(&running, 1)] = counted->index;
	counted->ran_in = pthread_self();
	counted->ran++;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
}

static void done(struct tv_task *task, bool dropped)
{
	struct counted *counted = (struct counted *)task;

	counted->done_in = pthread_self();
	counted->done++;
	counted->dropped += dropped;
	done_count++;
}

static void begin(unsigned int threads)
{
	struct tv_error error = { 0 };

	memset(tasks, 0, sizeof(tasks));
	done_count = 0;
	atomic_store(&running, 0);
	ck_assert_int_ge(sd_event_new(&event), 0);
	tv_assert_ok(tv_workers_new(event, threads, &workers, &error), error);
	for (unsigned int i = 0; i < TASKS; i++) {
		tasks[i].task = (struct tv_task){ .run = run, .done = done };
		tasks[i].index = i;
	}
}

static void wait_for(unsigned int count)
{
	while (done_count < count)
		ck_assert_int_ge(sd_event_run(event, 10000000), 1);
}

START_TEST(all_are_run)
{
	for (unsigned int threads = 1; threads <= 4; threads++) {
		begin(threads);
		for (unsigned int i = 0; i < TASKS; i++)
			tv_workers_submit(workers, &tasks[i].task);
		wait_for(TASKS);
		for (unsigned int i = 0; i < TASKS; i++) {
			ck_assert_uint_eq(tasks[i].ran, 1);
			ck_assert_uint_eq(tasks[i].done, 1);
			ck_assert_uint_eq(tasks[i].dropped, 0);
			ck_assert(pthread_equal(tasks[i].done_in, pthread_self()));
			ck_assert(!pthread_equal(tasks[i].ran_in, pthread_self()));
			if (threads == 1)
				ck_assert_uint_eq(order[i], i);
		}
		tv_workers_free(workers);
		sd_event_unref(event);
	}
}
END_TEST

/* Released while two run and many wait: those that run come to their end, the others are dropped,
 * and each is told. */
START_TEST(released)
{
	begin(2);
	pthread_mutex_lock(&gate);
	for (unsigned int i = 0; i < TASKS; i++)
		tv_workers_submit(workers, &tasks[i].task);
	while (atomic_load(&running) < 2)
		;
	pthread_mutex_unlock(&gate);
	tv_workers_free(workers);
	ck_assert_uint_eq(done_count, TASKS);
	for (unsigned int i = 0; i < TASKS; i++) {
		ck_assert_uint_eq(tasks[i].done, 1);
		ck_assert_uint_eq(tasks[i].ran, !tasks[i].dropped);
	}
	ck_assert_uint_eq(tasks[0].dropped + tasks[1].dropped, 0);
	sd_event_unref(event);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("worker");
	TCase *t = tcase_create("workers");

	tcase_add_test(t, all_are_run);
	tcase_add_test(t, released);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
