/* SPDX-License-Identifier: MIT */
/* Loops on several threads. Nothing here depends on which thread is how fast. */
#include "common/parallel.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum {
	ITEMS = 50000
}; /* enough that workers get in each other's way */

struct record {
	pthread_t caller;
	unsigned int threads;
	atomic_uint runs[ITEMS]; /* of each item */
	size_t ticks, told;
	size_t first, step; /* items first, first + step, ... fail; step 0: none */
};

static int run_item(size_t index, unsigned int worker, void *userdata, struct tv_error *error)
{
	struct record *record = userdata;

	if (worker >= record->threads)
		return tv_error_set(error, -ERANGE, "worker %u", worker);
	atomic_fetch_add(&record->runs[index], 1);
	if (record->step && index >= record->first && (index - record->first) % record->step == 0)
		return tv_error_set(error, -EBADMSG, "item %zu is bad", index);
	return 0;
}

static void count_tick(size_t done, size_t total, void *userdata)
{
	struct record *record = userdata;

	ck_assert(pthread_equal(pthread_self(), record->caller));
	ck_assert_uint_gt(done, record->told);
	ck_assert_uint_le(done, total);
	record->told = done;
	record->ticks++;
}

/* Items [first, end) were run so often each. */
static void assert_runs(const struct record *record, size_t first, size_t end, unsigned int least,
			unsigned int most)
{
	for (size_t i = first; i < end; i++)
		if (record->runs[i] < least || record->runs[i] > most)
			ck_abort_msg("item %zu was run %u times", i, record->runs[i]);
}

static const unsigned int thread_counts[] = { 1, 2, 3, 8, 64 };

START_TEST(runs_every_item_once)
{
	struct record record = { .caller = pthread_self(), .threads = thread_counts[_i] };
	struct tv_error error = { 0 };
	int r = tv_parallel_for(ITEMS, thread_counts[_i], run_item, count_tick, &record, &error);

	tv_assert_ok(r, error);
	assert_runs(&record, 0, ITEMS, 1, 1);
	ck_assert_uint_eq(record.told, ITEMS);
	ck_assert_uint_ge(record.ticks, 1);
	if (thread_counts[_i] == 1)
		ck_assert_uint_eq(record.ticks, ITEMS);
}
END_TEST

START_TEST(runs_on_all_processors_by_default)
{
	struct record record = { .caller = pthread_self(), .threads = tv_parallel_threads() };
	struct tv_error error = { 0 };
	int r = tv_parallel_for(ITEMS, 0, run_item, NULL, &record, &error);

	tv_assert_ok(r, error);
	assert_runs(&record, 0, ITEMS, 1, 1);
}
END_TEST

START_TEST(has_no_more_workers_than_items)
{
	/* Which worker comes first is chance: superfluous ones would not be seen at once. */
	for (unsigned int repeat = 0; repeat < 100; repeat++) {
		struct record record = { .caller = pthread_self(), .threads = 2 };
		struct tv_error error = { 0 };
		int r = tv_parallel_for(2, 64, run_item, count_tick, &record, &error);

		tv_assert_ok(r, error);
		ck_assert_uint_eq(record.runs[0] + record.runs[1], 2);
		ck_assert_uint_eq(record.told, 2);
	}
	/* Without items nothing is called. */
	ck_assert_int_eq(tv_parallel_for(0, 64, NULL, NULL, NULL, NULL), 0);
}
END_TEST

static int wait_for_all(size_t index, unsigned int worker, void *userdata, struct tv_error *error)
{
	pthread_barrier_wait(userdata);
	return 0;
}

/* Each item waits for the others: one after the other they would wait for ever. */
START_TEST(runs_items_at_the_same_time)
{
	pthread_barrier_t barrier;

	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 4), 0);
	ck_assert_int_eq(tv_parallel_for(8, 4, wait_for_all, NULL, &barrier, NULL), 0);
	pthread_barrier_destroy(&barrier);
}
END_TEST

START_TEST(returns_the_lowest_failure)
{
	for (unsigned int repeat = 0; repeat < 80; repeat++) {
		struct record record = {
			.caller = pthread_self(),
			.threads = thread_counts[_i],
			.first = 17 + repeat % 10,
			.step = 1 + repeat % 4,
		};
		struct tv_error error = { 0 };
		char expected[64];
		int r = tv_parallel_for(ITEMS, thread_counts[_i], run_item, NULL, &record, &error);

		snprintf(expected, sizeof(expected), "item %zu is bad", record.first);
		ck_assert_int_eq(r, -EBADMSG);
		ck_assert_int_eq(error.code, r);
		ck_assert_str_eq(error.text, expected);
		assert_runs(&record, 0, record.first + 1, 1, 1);
		assert_runs(&record, record.first + 1, ITEMS, 0, record.threads > 1);
	}
}
END_TEST

struct blocked {
	pthread_barrier_t barrier;
	atomic_uint begun;
};

/* The first two items meet, and both fail. */
static int fail_together(size_t index, unsigned int worker, void *userdata, struct tv_error *error)
{
	struct blocked *blocked = userdata;

	atomic_fetch_add(&blocked->begun, 1);
	pthread_barrier_wait(&blocked->barrier);
	return -EIO;
}

START_TEST(begins_nothing_after_a_failure)
{
	struct blocked blocked = { 0 };
	struct tv_error error = { 0 };

	/* Two workers: once both items have failed nobody is left who could have taken another. */
	ck_assert_int_eq(pthread_barrier_init(&blocked.barrier, NULL, 2), 0);
	ck_assert_int_eq(tv_parallel_for(ITEMS, 2, fail_together, NULL, &blocked, &error), -EIO);
	ck_assert_uint_eq(blocked.begun, 2);
	ck_assert_str_eq(error.text, "item 0 failed");
	pthread_barrier_destroy(&blocked.barrier);
}
END_TEST

struct order {
	sem_t ended; /* posted when the worker of item 1 ends */
	pthread_key_t key;
};

static void post(void *userdata)
{
	sem_post(userdata);
}

static int fail_in_reverse(size_t index, unsigned int worker, void *userdata,
			   struct tv_error *error)
{
	struct order *order = userdata;

	if (index == 1)
		pthread_setspecific(order->key, &order->ended);
	else
		sem_wait(&order->ended);
	return tv_error_set(error, index == 1 ? -EIO : -EBADMSG, "item %zu is bad", index);
}

/* The lower failure counts even if it comes when the other one was long noted. */
START_TEST(a_lower_failure_replaces_a_higher)
{
	struct tv_error error = { 0 };
	struct order order;

	ck_assert_int_eq(sem_init(&order.ended, 0, 0), 0);
	ck_assert_int_eq(pthread_key_create(&order.key, post), 0);
	ck_assert_int_eq(tv_parallel_for(2, 2, fail_in_reverse, NULL, &order, &error), -EBADMSG);
	ck_assert_str_eq(error.text, "item 0 is bad");
	pthread_key_delete(order.key);
	sem_destroy(&order.ended);
}
END_TEST

static int check_signals(size_t index, unsigned int worker, void *userdata, struct tv_error *error)
{
	sigset_t blocked;

	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	return sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGTERM) ? 0 : -EINTR;
}

START_TEST(leaves_signals_to_the_caller)
{
	sigset_t blocked;

	ck_assert_int_eq(tv_parallel_for(8, 2, check_signals, NULL, NULL, NULL), 0);
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	ck_assert(!sigismember(&blocked, SIGINT));
}
END_TEST

/* With stacks of half the address space there are no threads; then the caller does the work. */
START_TEST(does_without_threads)
{
	struct record record = { .caller = pthread_self(), .threads = 4 };
	struct tv_error error = { 0 };
	pthread_attr_t before, huge;
	int r;

	ck_assert_int_eq(pthread_getattr_default_np(&before), 0);
	ck_assert_int_eq(pthread_attr_init(&huge), 0);
	ck_assert_int_eq(pthread_attr_setstacksize(&huge, SIZE_MAX / 2 + 1), 0);
	if (pthread_setattr_default_np(&huge) != 0)
		tv_unit_skip("does_without_threads", "the default stack size cannot be changed");
	r = tv_parallel_for(ITEMS, 4, run_item, count_tick, &record, &error);
	ck_assert_int_eq(pthread_setattr_default_np(&before), 0);

	tv_assert_ok(r, error);
	assert_runs(&record, 0, ITEMS, 1, 1);
	ck_assert_uint_eq(record.told, ITEMS);
	pthread_attr_destroy(&huge);
	pthread_attr_destroy(&before);
}
END_TEST

/* --- teams ---------------------------------------------------------------------------------- */

/* Loops of all lengths, one right after the other, and after pauses in which members sleep. */
START_TEST(team_runs_every_item_once)
{
	_cleanup_(tv_parallel_freep) struct tv_parallel *team = NULL;
	const unsigned int threads = thread_counts[_i];
	struct record record = { .threads = threads };
	struct tv_error error = { 0 };
	unsigned int loops = 0;
	int r = tv_parallel_new(threads, &team, &error);

	tv_assert_ok(r, error);
	ck_assert_uint_eq(tv_parallel_workers(team), threads);
	for (size_t total = 0; total < 200; total++, loops++) {
		if (total % 50 == 0)
			usleep(2000);
		r = tv_parallel_run(team, total, run_item, &record, &error);
		tv_assert_ok(r, error);
		for (size_t i = 0; i < total; i++)
			ck_assert_uint_eq(record.runs[i], total - i);
	}
	r = tv_parallel_run(team, ITEMS, run_item, &record, &error);
	tv_assert_ok(r, error);
	assert_runs(&record, 200, ITEMS, 1, 1);
}
END_TEST

START_TEST(team_works_at_the_same_time)
{
	_cleanup_(tv_parallel_freep) struct tv_parallel *team = NULL;
	struct tv_error error = { 0 };
	pthread_barrier_t barrier;
	int r = tv_parallel_new(4, &team, &error);

	tv_assert_ok(r, error);
	ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, 4), 0);
	ck_assert_int_eq(tv_parallel_run(team, 8, wait_for_all, &barrier, NULL), 0);
	ck_assert_int_eq(tv_parallel_run(team, 8, wait_for_all, &barrier, NULL), 0);
	pthread_barrier_destroy(&barrier);
}
END_TEST

START_TEST(team_returns_the_lowest_failure)
{
	_cleanup_(tv_parallel_freep) struct tv_parallel *team = NULL;
	struct tv_error error = { 0 };
	int r = tv_parallel_new(thread_counts[_i], &team, &error);

	tv_assert_ok(r, error);
	for (unsigned int i = 0; i < 50; i++) {
		struct record record = {
			.threads = thread_counts[_i],
			.first = 100,
			.step = 7,
		};

		r = tv_parallel_run(team, 1000, run_item, &record, &error);
		ck_assert_int_eq(r, -EBADMSG);
		ck_assert_str_eq(error.text, "item 100 is bad");
		assert_runs(&record, 0, 101, 1, 1);
		error = (struct tv_error){ 0 };
	}
}
END_TEST

START_TEST(no_team_is_the_caller)
{
	struct record record = { .threads = 1 };

	ck_assert_uint_eq(tv_parallel_workers(NULL), 1);
	ck_assert_int_eq(tv_parallel_run(NULL, 100, run_item, &record, NULL), 0);
	assert_runs(&record, 0, 100, 1, 1);
}
END_TEST

START_TEST(counts_the_processors_it_may_use)
{
	cpu_set_t before, one;
	int cpu = 0;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(before), &before), 0);
	ck_assert_uint_eq(tv_parallel_threads(), (unsigned int)CPU_COUNT(&before));
	while (!CPU_ISSET(cpu, &before))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	ck_assert_uint_eq(tv_parallel_threads(), 1);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(before), &before), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("parallel");
	TCase *parallel = tcase_create("parallel");
	int counts = TV_ARRAY_SIZE(thread_counts);

	tcase_add_loop_test(parallel, runs_every_item_once, 0, counts);
	tcase_add_test(parallel, runs_on_all_processors_by_default);
	tcase_add_test(parallel, has_no_more_workers_than_items);
	tcase_add_test(parallel, runs_items_at_the_same_time);
	tcase_add_loop_test(parallel, returns_the_lowest_failure, 0, counts);
	tcase_add_test(parallel, a_lower_failure_replaces_a_higher);
	tcase_add_test(parallel, begins_nothing_after_a_failure);
	tcase_add_test(parallel, leaves_signals_to_the_caller);
	tcase_add_test(parallel, does_without_threads);
	tcase_add_loop_test(parallel, team_runs_every_item_once, 0, counts);
	tcase_add_test(parallel, team_works_at_the_same_time);
	tcase_add_loop_test(parallel, team_returns_the_lowest_failure, 0, counts);
	tcase_add_test(parallel, no_team_is_the_caller);
	tcase_add_test(parallel, counts_the_processors_it_may_use);
	suite_add_tcase(suite, parallel);

	return tv_unit_main(suite);
}
