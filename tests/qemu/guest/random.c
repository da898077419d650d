// SPDX-License-Identifier: MIT
/* Calls with arguments at random, from two threads that share a file: what user space passes is
 * executed or refused, and leaves nothing. The same numbers each time. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/qemu/guest/guest.h"

#define THREADS 2
#define CALLS	guest_often(5000)
#define HANDLES 16
#define PAGE	4096

struct state {
	int fd;
	uint32_t seed;
	struct guest_job job;
	uint64_t number; /* of the last job */
	uint32_t handles[HANDLES]; /* of buffers, or what once were */
	/* What arguments point to; nothing lies behind the second page. */
	uint8_t *pages;
	unsigned int good;
};

static uint32_t any(struct state *s)
{
	s->seed ^= s->seed << 13;
	s->seed ^= s->seed >> 17;
	s->seed ^= s->seed << 5;
	return s->seed;
}

static uint32_t any_handle(struct state *s)
{
	return s->handles[any(s) % HANDLES];
}

static uint64_t any_value(struct state *s)
{
	static const uint64_t edges[] = {
		63,
		64,
		65,
		PAGE - 1,
		PAGE,
		INT32_MAX,
		UINT32_MAX,
		1ull << 32,
		INT64_MAX,
		1ull << 63,
		UINT64_MAX - PAGE,
		UINT64_MAX,
	};

	switch (any(s) % 4) {
	case 0:
		return edges[any(s) % (sizeof(edges) / sizeof(*edges))];
	case 1:
		return (uintptr_t)s->pages + any(s) % (2 * PAGE + 8);
	case 2:
		return (uint64_t)any(s) << 32 | any(s);
	default:
		return any(s) % 16;
	}
}

/* Two words at most of what would be right become something else. */
static void disturb(struct state *s, void *data, size_t size)
{
	for (uint32_t i = any(s) % 3; i; i--) {
		size_t at = any(s) % (size / 4) * 4;
		uint64_t value = any_value(s);

		memcpy((uint8_t *)data + at, &value, size - at >= 8 && any(s) % 2 ? 8 : 4);
	}
}

static int call(struct state *s, unsigned long request, void *args)
{
	int r;

	disturb(s, args, _IOC_SIZE(request));
	r = ioctl(s->fd, request, args);
	s->good += !r;
	return r;
}

static void call_create(struct state *s)
{
	struct drm_triovit_bo_create args = { .size = any(s) % (3 * PAGE), .flags = any(s) % 2 };

	if (!call(s, DRM_IOCTL_TRIOVIT_BO_CREATE, &args)) {
		uint32_t *handle = &s->handles[any(s) % HANDLES];

		guest_close_handle(s->fd, *handle);
		*handle = args.handle;
	}
}

static void call_info(struct state *s)
{
	struct drm_triovit_bo_info args = { .handle = any_handle(s) };
	void *map;

	if (call(s, DRM_IOCTL_TRIOVIT_BO_INFO, &args))
		return;
	disturb(s, &args, sizeof(args));
	map = mmap(NULL, args.size % (1 << 20), PROT_READ | PROT_WRITE, MAP_SHARED, s->fd,
		   (off_t)args.offset);
	if (map == MAP_FAILED)
		return;
	memset(map, 1, args.size % (1 << 20));
	munmap(map, args.size % (1 << 20));
}

static void call_prep(struct state *s)
{
	struct drm_triovit_bo_prep args = { any_handle(s), 1 + any(s) % 3, INT64_MAX };

	call(s, DRM_IOCTL_TRIOVIT_BO_PREP, &args);
}

static void call_fini(struct state *s)
{
	struct drm_triovit_bo_fini args = { any_handle(s), 1 + any(s) % 3 };

	call(s, DRM_IOCTL_TRIOVIT_BO_FINI, &args);
}

static void call_submit(struct state *s)
{
	struct drm_triovit_submit args = s->job.submit;

	memcpy(s->pages, s->job.segments, sizeof(s->job.segments));
	disturb(s, s->pages, sizeof(s->job.segments));
	args.segments = (uintptr_t)s->pages;
	args.priority = any(s) % 3;
	if (!call(s, DRM_IOCTL_TRIOVIT_SUBMIT, &args))
		s->number = args.job;
}

static void call_wait(struct state *s)
{
	struct drm_triovit_wait args = { .job = s->number, .timeout_ns = INT64_MAX };

	call(s, DRM_IOCTL_TRIOVIT_WAIT, &args);
}

static void call_param(struct state *s)
{
	struct drm_triovit_get_param args = { .param = any(s) % 12 };

	call(s, DRM_IOCTL_TRIOVIT_GET_PARAM, &args);
}

static void call_share(struct state *s)
{
	struct drm_prime_handle args = { .handle = any_handle(s), .flags = O_CLOEXEC };
	int fd;

	if (call(s, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args))
		return;
	fd = args.fd;
	call(s, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);
	close(fd);
}

/* Of any size and direction, in and beyond the range of the driver's. */
static void call_any(struct state *s)
{
	uint64_t args[64];

	for (unsigned int i = 0; i < 64; i++)
		args[i] = any_value(s);
	s->good += !ioctl(s->fd,
			  _IOC(any(s) % 4, DRM_IOCTL_BASE, DRM_COMMAND_BASE + any(s) % 12,
			       any(s) % sizeof(args)),
			  any(s) % 4 ? (void *)args : (void *)(uintptr_t)any_value(s));
}

static void *thread(void *arg)
{
	static void (*const calls[])(struct state *) = {
		call_create, call_info, call_prep,  call_fini, call_submit,
		call_submit, call_wait, call_param, call_any,  call_share,
	};
	struct state *s = arg;

	for (unsigned int i = 0; i < CALLS; i++)
		calls[any(s) % (sizeof(calls) / sizeof(*calls))](s);
	return NULL;
}

static void random_calls(void)
{
	struct drm_triovit_counters counters = { .memory = 1 };
	struct state states[THREADS] = { 0 };
	int fd = guest_open(), other = guest_open();
	pthread_t ids[THREADS];
	unsigned int good = 0;

	for (unsigned int i = 0; i < THREADS; i++) {
		struct state *s = &states[i];

		s->fd = fd;
		s->seed = i + 1;
		guest_job(fd, "golden", i % 2, &s->job);
		for (unsigned int j = 0; j < HANDLES; j++)
			s->handles[j] = s->job.bo.handle;
		s->pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);
		check(s->pages != MAP_FAILED && !munmap(s->pages + 2 * PAGE, PAGE));
		check(!pthread_create(&ids[i], NULL, thread, s));
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		check(!pthread_join(ids[i], NULL));
		munmap(states[i].pages, 2 * PAGE);
		guest_job_free(&states[i].job);
		good += states[i].good;
	}
	close(fd);
	printf("# %u of %u calls did something\n", good, THREADS * CALLS);
	check(good > CALLS / 4);
	for (unsigned int i = 0; i < 3000 && counters.memory; i++) {
		usleep(10000);
		check_int(guest_ioctl(other, DRM_IOCTL_TRIOVIT_COUNTERS, &counters), 0);
	}
	check_int(counters.memory, 0);
	guest_job(other, "golden", 0, &states[0].job);
	check_int(guest_wait(other, guest_submit(other, &states[0].job)).status, 0);
	check(guest_golden(&states[0].job));
	close(other);
}

const struct guest_test guest_random_tests[] = {
	{ "calls at random", random_calls },
	{ NULL, NULL },
};
