// SPDX-License-Identifier: MIT
/* What takes how long, where guest time is the number of the guest's instructions (-icount): so the
 * figures depend on the driver alone, whatever else the host does. */
#include <time.h>

#include "tests/qemu/guest/guest.h"

#define JOBS   16
#define ROUNDS 100

static int64_t now(void)
{
	return guest_after(0);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* A job's round trip less the time that the accelerator has worked. */
static void overhead(void)
{
	int fd = guest_open();
	uint64_t khz = guest_param(fd, DRM_TRIOVIT_PARAM_CLOCK);
	struct drm_triovit_record record;
	int64_t times[ROUNDS], begin;
	struct guest_job job;

	guest_job(fd, "golden", 0, &job);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		begin = now();
		record = guest_wait(fd, guest_submit(fd, &job));
		times[i] = now() - begin - (int64_t)((record.end - record.start) * 1000000 / khz);
		check_int(record.status, 0);
	}
	qsort(times, ROUNDS, sizeof(times[0]), by_size);
	printf("# submit to completion, beside the job: %lld instructions (least %lld, most "
	       "%lld)\n",
	       (long long)times[ROUNDS / 2], (long long)times[0], (long long)times[ROUNDS - 1]);
}

/* Cycles from one record to the next, of jobs that are queued. */
static void queued(const char *name)
{
	int fd = guest_open();
	uint64_t khz = guest_param(fd, DRM_TRIOVIT_PARAM_CLOCK), cycles, expected;
	struct drm_triovit_record records[JOBS];
	struct guest_job job;
	char path[64];

	guest_job(fd, name, 0, &job);
	for (unsigned int i = 0; i < JOBS; i++)
		guest_submit(fd, &job);
	for (unsigned int i = 0; i < JOBS; i++) {
		records[i] = guest_wait(fd, i + 1);
		check_int(records[i].status, 0);
		if (i && records[i].start != records[i - 1].end)
			guest_fail(__FILE__, __LINE__, "%llu cycles idle before job %u",
				   (unsigned long long)(records[i].start - records[i - 1].end), i);
	}
	cycles = (records[JOBS - 1].end - records[0].end) / (JOBS - 1);
	printf("# %s: %llu cycles a job, %llu jobs/s\n", name, (unsigned long long)cycles,
	       (unsigned long long)(khz * 1000 / cycles));
	/* Of the cycle model, 2 % either way. */
	snprintf(path, sizeof(path), "/jobs/%s.cycles", name);
	expected = strtoull(guest_read(path), NULL, 10);
	if (cycles * 100 > expected * 102 || cycles * 100 < expected * 98)
		guest_fail(__FILE__, __LINE__, "the cycle model has %llu cycles",
			   (unsigned long long)expected);
}

static void demo(void)
{
	queued("network");
}

static void b1(void)
{
	queued("b1");
}

const struct guest_test guest_time_tests[] = {
	{ "what the driver adds to a job", overhead },
	{ "the demo network, queued: no idle cycle, the cycle model's rate", demo },
	{ "B1-224, queued: no idle cycle, the cycle model's rate", b1 },
	{ NULL, NULL },
};
