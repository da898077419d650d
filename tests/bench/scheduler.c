/* SPDX-License-Identifier: MIT */
/*
 * What a request costs the scheduler while so many others wait: one is enqueued, one is handed to a
 * device, one is done. Its peer is a linear scan by the same rules (tests/unit/scheduler-naive.h),
 * in the same run; they take turns so that both see the same machine. Medians, in processor time.
 * "longest" is the longest of 60000 calls, "promised" a request with a deadline.
 *
 *	bench-scheduler [QUEUED...]
 */
#include <time.h>

#include "common/cleanup.h"
#include "daemon/scheduler.h"
#include "tests/unit/scheduler-naive.h"

enum {
	UIDS = 8,
	SESSIONS = 64,
	ROUNDS = 9,
	COST = 1000
};

struct bench {
	size_t queued;
	struct tv_scheduler *scheduler;
	struct tv_scheduler_session sessions[SESSIONS];
	struct tv_scheduler_device device;
	struct tv_scheduler_request *requests;
	struct naive naive;
	struct naive_request *naive_requests;
	uint64_t now, naive_now;
	uint64_t longest; /* ns of one call */
};

/* Of this process: others may be running. */
static uint64_t clock_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t cost_of(size_t request)
{
	return COST + request % 7 * COST;
}

static void enqueue(struct bench *b, size_t request, bool deadline)
{
	b->requests[request].cost = cost_of(request);
	b->requests[request].deadline = deadline ? b->now + (1ull << 50) : TV_NO_DEADLINE;
	if (tv_scheduler_enqueue(b->scheduler, &b->sessions[request % SESSIONS],
				 &b->requests[request], b->now, NULL) < 0)
		abort();
}

static void take_longest(struct bench *b, uint64_t begun)
{
	uint64_t took = clock_ns() - begun;

	b->longest = took > b->longest ? took : b->longest;
}

/* ns a request, count of them. */
static double measure(struct bench *b, size_t count, bool deadline, bool each)
{
	uint64_t begun = clock_ns(), one = 0;

	for (size_t i = 0; i < count; i++) {
		struct tv_scheduler_request *ended = b->device.slots[0];
		struct tv_scheduler_device *device;

		b->now += ended->cost;
		if (each)
			one = clock_ns();
		tv_scheduler_done(b->scheduler, ended, b->now, ended->cost);
		if (each) {
			take_longest(b, one);
			one = clock_ns();
		}
		if (!tv_scheduler_next(b->scheduler, b->now, &device))
			abort();
		if (each) {
			take_longest(b, one);
			one = clock_ns();
		}
		enqueue(b, (size_t)(ended - b->requests), deadline);
		if (each)
			take_longest(b, one);
	}
	return (double)(clock_ns() - begun) / (double)count;
}

static double measure_naive(struct bench *b, size_t count)
{
	uint64_t begun = clock_ns();

	for (size_t i = 0; i < count; i++) {
		int ended = b->naive.devices[0].slots[0];
		uint64_t cost = b->naive_requests[ended].cost;

		b->naive_now += cost;
		naive_done(&b->naive, ended, b->naive_now, cost);
		if (naive_next(&b->naive, b->naive_now) == NAIVE_NONE)
			abort();
		naive_enqueue(&b->naive, ended, ended % SESSIONS, cost, TV_NO_DEADLINE,
			      b->naive_now);
	}
	return (double)(clock_ns() - begun) / (double)count;
}

static void set_up(struct bench *b, size_t queued)
{
	struct tv_scheduler_device *device;

	memset(b, 0, sizeof(*b));
	b->queued = queued + TV_SCHEDULER_SLOTS;
	b->requests = calloc(b->queued, sizeof(*b->requests));
	b->naive_requests = calloc(b->queued, sizeof(*b->naive_requests));
	if (!b->requests || !b->naive_requests || tv_scheduler_new(1ull << 40, &b->scheduler) < 0)
		abort();
	b->naive.ageing = 1ull << 40;
	b->naive.requests = b->naive_requests;
	b->naive.count = (int)b->queued;
	tv_scheduler_device_add(b->scheduler, &b->device, 0);
	naive_device_add(&b->naive, 0, 0);
	for (size_t i = 0; i < SESSIONS; i++) {
		b->naive.sessions[i] = (struct naive_session){
			.uid = (int)(i % UIDS),
			.priority = TV_PRIORITY_NORMAL,
			.targets = 1,
		};
		if (tv_scheduler_session_open(b->scheduler, &b->sessions[i], (uid_t)(i % UIDS),
					      TV_PRIORITY_NORMAL, 1) < 0)
			abort();
	}
	for (size_t i = 0; i < b->queued; i++)
		b->naive_requests[i].session = NAIVE_NONE;
	for (size_t i = 0; i < b->queued; i++) {
		enqueue(b, i, false);
		naive_enqueue(&b->naive, (int)i, (int)(i % SESSIONS), cost_of(i), TV_NO_DEADLINE,
			      0);
	}
	for (size_t i = 0; i < TV_SCHEDULER_SLOTS; i++)
		if (!tv_scheduler_next(b->scheduler, 0, &device) || naive_next(&b->naive, 0) < 0)
			abort();
}

static void tear_down(struct bench *b)
{
	struct tv_scheduler_request *request;

	tv_scheduler_device_remove(b->scheduler, &b->device, b->now);
	for (size_t i = 0; i < SESSIONS; i++) {
		while ((request = TAILQ_FIRST(&b->sessions[i].requests)))
			tv_scheduler_cancel(b->scheduler, request, b->now);
		tv_scheduler_session_close(b->scheduler, &b->sessions[i]);
	}
	tv_scheduler_free(b->scheduler);
	free(b->requests);
	free(b->naive_requests);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

static void bench(size_t queued)
{
	double own[ROUNDS], naive[ROUNDS], promised[ROUNDS];
	static struct bench b;

	set_up(&b, queued);
	measure(&b, 100000, false, false);
	for (size_t i = 0; i < ROUNDS; i++) {
		own[i] = measure(&b, 20000, false, false);
		naive[i] = measure_naive(&b, 10 + 200000 / queued);
	}
	measure(&b, 20000, false, true);
	for (size_t i = 0; i < ROUNDS; i++)
		promised[i] = measure(&b, 2000 + queued / ROUNDS, true, false);
	printf("%8zu %10.0f %10.0f %8.1f %12.1f %12.0f\n", queued, median(own), median(naive),
	       median(naive) / median(own), (double)b.longest / 1000, median(promised));
	tear_down(&b);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 10, 100, 1000, 10000 };

	printf("%8s %10s %10s %8s %12s %12s\n", "queued", "ns", "linear ns", "ratio", "longest us",
	       "promised ns");
	for (int i = 1; i < argc; i++)
		bench(strtoul(argv[i], NULL, 10));
	for (size_t i = 0; argc == 1 && i < TV_ARRAY_SIZE(sizes); i++)
		bench(sizes[i]);
	return 0;
}
