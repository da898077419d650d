/* SPDX-License-Identifier: MIT */
/* How far the first two processors are from each other, which decides what a second thread is good
 * for: the time that a line of the cache takes to the other one and back. */
#ifndef TV_BENCH_DISTANCE_H
#define TV_BENCH_DISTANCE_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "tests/bench/peak.h"

#define DISTANCE_ROUNDS 20000

struct distance {
	int processors[2];
	_Alignas(64) atomic_int line;
};

static inline void distance_stay(int processor)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(processor, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static inline void distance_await(struct distance *distance, int value)
{
	while (atomic_load(&distance->line) != value)
		;
}

static inline void *distance_answer(void *userdata)
{
	struct distance *distance = userdata;

	distance_stay(distance->processors[1]);
	atomic_store(&distance->line, 1);
	for (int i = 1; i <= DISTANCE_ROUNDS; i++) {
		distance_await(distance, 2 * i);
		atomic_store(&distance->line, 2 * i + 1);
	}
	return NULL;
}

/* Nanoseconds; 0 where this process has one processor only. */
static inline double distance_ns(void)
{
	struct distance distance = { .line = 0 };
	unsigned int found = 0;
	pthread_t thread;
	cpu_set_t allowed;
	uint64_t begun;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	for (int i = 0; i < CPU_SETSIZE && found < 2; i++)
		if (CPU_ISSET(i, &allowed))
			distance.processors[found++] = i;
	if (found < 2 || pthread_create(&thread, NULL, distance_answer, &distance))
		return 0;
	distance_stay(distance.processors[0]);
	/* It may have to leave this processor first. */
	while (!atomic_load(&distance.line))
		sched_yield();
	begun = peak_clock(CLOCK_MONOTONIC);
	for (int i = 1; i <= DISTANCE_ROUNDS; i++) {
		atomic_store(&distance.line, 2 * i);
		distance_await(&distance, 2 * i + 1);
	}
	begun = peak_clock(CLOCK_MONOTONIC) - begun;
	pthread_join(thread, NULL);
	sched_setaffinity(0, sizeof(allowed), &allowed);
	return (double)begun / DISTANCE_ROUNDS;
}

#endif
