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
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/cleanup.h"

struct loop {
	size_t total;
	tv_parallel_item item;
	void *userdata;
	bool watched; /* somebody waits for progress */
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
	else if (!loop->watched)
		return;

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

static int run_item(struct loop *loop, size_t index, unsigned int number)
{
	struct tv_error error = { 0 };
	int r = loop->item(index, number, loop->userdata, &error);

	if (r < 0)
		tv_error_set(&error, r, "item %zu failed", index);
	finish_item(loop, index, r, &error);
	return r;
}

static void *work(void *userdata)
{
	struct worker *worker = userdata;
	struct loop *loop = worker->loop;
	size_t index;

	while (take_index(loop, &index))
		run_item(loop, index, worker->number);
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

static int loop_outcome(const struct loop *loop, struct tv_error *error)
{
	return loop->r < 0 ? tv_error_set(error, loop->r, "%s", loop->error.text) : 0;
}

int tv_parallel_for(size_t total, unsigned int threads, tv_parallel_item item,
		    tv_parallel_tick tick, void *userdata, struct tv_error *error)
{
	_cleanup_free_ struct worker *workers = NULL;
	struct loop loop = {
		.total = total,
		.item = item,
		.userdata = userdata,
		.watched = tick,
	};
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
	return loop_outcome(&loop, error);
}

/* --- teams ---------------------------------------------------------------------------------- */

/* How often a thread looks before it sleeps: some 50 us. */
#define LOOKS 3000

/* In gate: members may enter the loop. Below it is the number of those that have. */
#define OPEN 0x80000000u

/* Items that a worker begins with. Workers come back to the same part of each loop's items, and
 * find in their processor's cache what they have left there; then they help the others. */
struct range {
	atomic_size_t next;
	size_t end;
	char apart[64 - 2 * sizeof(size_t)]; /* from what other processors write */
};

struct member {
	struct tv_parallel *team;
	pthread_t thread;
	unsigned int number;
};

struct tv_parallel {
	struct member *members;
	unsigned int count; /* of them, the caller is not one */
	struct range *ranges; /* of all workers */
	atomic_size_t failed; /* lowest item that has, or SIZE_MAX */
	/* Whoever has entered uses it: it is the caller's until the gate is open, and again when it
	 * is shut and nobody inside. */
	struct loop *loop;
	atomic_uint gate;
	atomic_uint rounds; /* loops begun */
	atomic_uint sleepers; /* members that wait for a round */
	atomic_bool awaited; /* the caller sleeps until the gate is 0 */
	atomic_bool stop;
	pthread_mutex_t lock;
	pthread_cond_t begun, left;
};

static inline void look_again(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* The next round's number; the same one at the end of the team. */
static unsigned int await_round(struct tv_parallel *team, unsigned int seen)
{
	for (unsigned int i = 0; i < LOOKS; i++) {
		if (atomic_load(&team->rounds) != seen || atomic_load(&team->stop))
			return atomic_load(&team->rounds);
		look_again();
	}
	pthread_mutex_lock(&team->lock);
	atomic_fetch_add(&team->sleepers, 1);
	while (atomic_load(&team->rounds) == seen && !atomic_load(&team->stop))
		pthread_cond_wait(&team->begun, &team->lock);
	atomic_fetch_sub(&team->sleepers, 1);
	pthread_mutex_unlock(&team->lock);
	return atomic_load(&team->rounds);
}

static bool enter(struct tv_parallel *team)
{
	unsigned int gate = atomic_load(&team->gate);

	while (gate & OPEN)
		if (atomic_compare_exchange_weak(&team->gate, &gate, gate + 1))
			return true;
	return false;
}

static void leave(struct tv_parallel *team)
{
	/* Either this sees that the caller sleeps, or the caller that nobody is inside. */
	if (atomic_fetch_sub(&team->gate, 1) != 1 || !atomic_load(&team->awaited))
		return;
	pthread_mutex_lock(&team->lock);
	pthread_cond_signal(&team->left);
	pthread_mutex_unlock(&team->lock);
}

static void split(struct tv_parallel *team, size_t total)
{
	const size_t workers = team->count + 1;

	for (size_t i = 0; i < workers; i++) {
		atomic_store(&team->ranges[i].next,
			     total / workers * i + total % workers * i / workers);
		team->ranges[i].end =
			total / workers * (i + 1) + total % workers * (i + 1) / workers;
	}
	atomic_store(&team->failed, SIZE_MAX);
}

static void note_failure(struct tv_parallel *team, size_t index)
{
	size_t failed = atomic_load(&team->failed);

	while (index < failed && !atomic_compare_exchange_weak(&team->failed, &failed, index))
		;
}

static void run_ranges(struct tv_parallel *team, unsigned int number)
{
	const unsigned int workers = team->count + 1;
	struct loop *loop = team->loop;

	for (unsigned int i = 0; i < workers; i++) {
		struct range *range = &team->ranges[(number + i) % workers];
		size_t index;

		while ((index = atomic_fetch_add(&range->next, 1)) < range->end)
			/* What lies below a failure is run all the same. */
			if (index < atomic_load(&team->failed) && run_item(loop, index, number) < 0)
				note_failure(team, index);
	}
}

static void *serve(void *userdata)
{
	struct member *member = userdata;
	struct tv_parallel *team = member->team;
	unsigned int round = 0;

	while (!atomic_load(&team->stop)) {
		round = await_round(team, round);
		/* A loop may be over before this one has seen that it began. */
		if (!enter(team))
			continue;
		run_ranges(team, member->number);
		leave(team);
	}
	return NULL;
}

static void shut(struct tv_parallel *team)
{
	atomic_fetch_and(&team->gate, ~OPEN);
	for (unsigned int i = 0; i < LOOKS; i++) {
		if (!atomic_load(&team->gate))
			return;
		look_again();
	}
	pthread_mutex_lock(&team->lock);
	atomic_store(&team->awaited, true);
	while (atomic_load(&team->gate))
		pthread_cond_wait(&team->left, &team->lock);
	atomic_store(&team->awaited, false);
	pthread_mutex_unlock(&team->lock);
}

static void wake(struct tv_parallel *team)
{
	pthread_mutex_lock(&team->lock);
	pthread_cond_broadcast(&team->begun);
	pthread_mutex_unlock(&team->lock);
}

int tv_parallel_new(unsigned int threads, struct tv_parallel **ret, struct tv_error *error)
{
	struct tv_parallel *team = calloc(1, sizeof(*team));
	sigset_t all, before;

	if (!team)
		return tv_error_oom(error);
	if (threads == 0)
		threads = tv_parallel_threads();
	team->members = calloc(threads, sizeof(*team->members));
	team->ranges = calloc(threads, sizeof(*team->ranges));
	if (!team->members || !team->ranges) {
		free(team->members);
		free(team->ranges);
		free(team);
		return tv_error_oom(error);
	}
	pthread_mutex_init(&team->lock, NULL);
	pthread_cond_init(&team->begun, NULL);
	pthread_cond_init(&team->left, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (team->count < threads - 1) {
		struct member *member = &team->members[team->count];

		*member = (struct member){ .team = team, .number = team->count + 1 };
		if (pthread_create(&member->thread, NULL, serve, member) != 0)
			break;
		team->count++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	*ret = team;
	return 0;
}

void tv_parallel_free(struct tv_parallel *team)
{
	if (!team)
		return;
	atomic_store(&team->stop, true);
	wake(team);
	for (unsigned int i = 0; i < team->count; i++)
		pthread_join(team->members[i].thread, NULL);
	pthread_cond_destroy(&team->left);
	pthread_cond_destroy(&team->begun);
	pthread_mutex_destroy(&team->lock);
	free(team->members);
	free(team->ranges);
	free(team);
}

unsigned int tv_parallel_workers(const struct tv_parallel *team)
{
	return team ? team->count + 1 : 1;
}

int tv_parallel_run(struct tv_parallel *team, size_t total, tv_parallel_item item, void *userdata,
		    struct tv_error *error)
{
	struct loop loop = { .total = total, .item = item, .userdata = userdata };

	if (tv_parallel_workers(team) == 1 || total < 2)
		return run_here(total, item, NULL, userdata, error);
	pthread_mutex_init(&loop.lock, NULL);
	pthread_cond_init(&loop.progressed, NULL);
	team->loop = &loop;
	split(team, total);
	atomic_store(&team->gate, OPEN);
	atomic_fetch_add(&team->rounds, 1);
	if (atomic_load(&team->sleepers))
		wake(team);
	run_ranges(team, 0);
	shut(team);
	pthread_cond_destroy(&loop.progressed);
	pthread_mutex_destroy(&loop.lock);
	return loop_outcome(&loop, error);
}
