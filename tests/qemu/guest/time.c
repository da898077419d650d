// SPDX-License-Identifier: MIT
/*
 * What takes how long. With "time" the guest's clock is the number of its instructions (-icount):
 * so figures depend on the driver alone, whatever else the host does. tests/bench/driver.py reads
 * them.
 */
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "tests/qemu/guest/guest.h"

/* <drm/vgem_drm.h>, which no package has. */
struct vgem_attach {
	uint32_t handle, flags, fence, pad;
};
struct vgem_signal {
	uint32_t fence, flags;
};
#define VGEM_ATTACH	  DRM_IOWR(DRM_COMMAND_BASE + 1, struct vgem_attach)
#define VGEM_SIGNAL	  DRM_IOW(DRM_COMMAND_BASE + 2, struct vgem_signal)
#define VGEM_ATTACH_WRITE 1

#define JOBS   16
#define ROUNDS 1000

static int64_t now(void)
{
	return guest_after(0);
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

struct latency {
	int fd, vgem, there[2], back[2];
	struct guest_job job;
	uint64_t khz;
	struct drm_mode_create_dumb dumb;
};

/* A null job's round trip, less the time that the accelerator has worked. */
static int64_t null_job(struct latency *l)
{
	int64_t begin = now(), took;
	struct drm_triovit_record record = guest_wait(l->fd, guest_submit(l->fd, &l->job));

	took = now() - begin;
	check_int(record.status, 0);
	return took - (int64_t)((record.end - record.start) * 1000000 / l->khz);
}

static int64_t empty_call(struct latency *l)
{
	struct drm_version version = { 0 };
	int64_t begin = now();

	check_int(guest_ioctl(l->fd, DRM_IOCTL_VERSION, &version), 0);
	return now() - begin;
}

/* vgem's, to a buffer and signalled. */
static int64_t fence(struct latency *l)
{
	struct vgem_attach attach = { .handle = l->dumb.handle, .flags = VGEM_ATTACH_WRITE };
	struct vgem_signal done = { 0 };
	int64_t begin = now();

	check_int(guest_ioctl(l->vgem, VGEM_ATTACH, &attach), 0);
	done.fence = attach.fence;
	check_int(guest_ioctl(l->vgem, VGEM_SIGNAL, &done), 0);
	return now() - begin;
}

static void *echo(void *arg)
{
	struct latency *l = arg;
	char c;

	while (read(l->there[0], &c, 1) == 1)
		if (write(l->back[1], &c, 1) != 1)
			break;
	return NULL;
}

/* To another thread and back, through pipes: what waking costs, which a job does three times. */
static int64_t two_threads(struct latency *l)
{
	int64_t begin = now();
	char c = 0;

	check(write(l->there[1], &c, 1) == 1);
	check(read(l->back[0], &c, 1) == 1);
	return now() - begin;
}

static void measure(const char *name, int64_t (*call)(struct latency *l), struct latency *l)
{
	static int64_t times[ROUNDS];

	for (unsigned int i = 0; i < ROUNDS; i++)
		times[i] = call(l);
	qsort(times, ROUNDS, sizeof(times[0]), by_size);
	printf("# ns\t%s\t%lld\t%lld\t%lld\t%lld\n", name, (long long)times[0],
	       (long long)times[ROUNDS / 2], (long long)times[ROUNDS * 99 / 100],
	       (long long)times[ROUNDS - 1]);
}

static void overhead(void)
{
	struct latency l = {
		.fd = guest_open(),
		.vgem = open("/dev/dri/by-vgem", O_RDWR),
		.dumb = { .width = 32, .height = 32, .bpp = 32 },
	};
	pthread_t thread;

	l.khz = guest_param(l.fd, DRM_TRIOVIT_PARAM_CLOCK);
	guest_job(l.fd, "golden", 0, &l.job);
	guest_set_commands(&l.job, 0);
	check(!pipe(l.there) && !pipe(l.back));
	check(!pthread_create(&thread, NULL, echo, &l));
	measure("null job", null_job, &l);
	measure("empty call", empty_call, &l);
	measure("two threads", two_threads, &l);
	if (l.vgem >= 0) {
		check_int(guest_ioctl(l.vgem, DRM_IOCTL_MODE_CREATE_DUMB, &l.dumb), 0);
		measure("fence", fence, &l);
	}
	close(l.there[1]);
	check(!pthread_join(thread, NULL));
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
	snprintf(path, sizeof(path), "/jobs/%s.cycles", name);
	expected = strtoull(guest_read(path), NULL, 10);
	printf("# cycles\t%s\t%llu\t%llu\t%.1f\n", name, (unsigned long long)cycles,
	       (unsigned long long)expected, (double)khz * 1000 / (double)cycles);
	/* 2 % either way. */
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
	{ "what the driver adds to a job, and its peers", overhead },
	{ "the demo network, queued: no idle cycle, the cycle model's rate", demo },
	{ "B1-224, queued: no idle cycle, the cycle model's rate", b1 },
	{ NULL, NULL },
};

const struct guest_test guest_clock_tests[] = {
	{ "what the driver adds to a job, and its peers", overhead },
	{ NULL, NULL },
};
