// SPDX-License-Identifier: MIT
/* Buffers that other devices and processes see, and threads that share one device. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/dma-buf.h>

#include <triovit/golden.h>

#include "tests/qemu/guest/guest.h"

/* The golden job with its output in a buffer of somebody else. */
static void run_into(int fd, uint32_t handle, struct guest_job *job)
{
	struct drm_triovit_record record;

	job->segments[TV_SEGMENT_OUTPUT].handle = handle;
	job->segments[TV_SEGMENT_OUTPUT].offset = 64;
	record = guest_wait(fd, guest_submit(fd, job));
	check_int(record.status, 0);
}

static void dma_bufs(void)
{
	int fd = guest_open(), other = guest_open();

	for (uint32_t flags = 0; flags <= DRM_TRIOVIT_BO_CACHED; flags++) {
		struct guest_bo bo = guest_bo(other, 4096, flags);
		struct drm_triovit_bo_info info = { 0 };
		int dma_buf = guest_export(other, bo.handle);
		struct guest_job job;
		uint32_t handle;
		uint8_t *map;

		/* Back in the same file it is the same buffer, in another of the device another
		 * handle of it. */
		check_int(guest_try_import(other, dma_buf, &handle), 0);
		check_int(handle, bo.handle);
		check_int(guest_try_import(fd, dma_buf, &handle), 0);
		info.handle = handle;
		check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_INFO, &info), 0);
		check_int(info.flags, flags);
		guest_bo_free(&bo);
		map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, dma_buf, 0);
		check(map != MAP_FAILED);
		guest_job(fd, "golden", 0, &job);
		run_into(fd, handle, &job);
		guest_sync_buf(dma_buf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
		check(tv_golden_digest(map + 64) == TV_GOLDEN_DIGEST);
		guest_sync_buf(dma_buf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
		check(mmap(NULL, 8192, PROT_READ, MAP_SHARED, dma_buf, 0) == MAP_FAILED);
		munmap(map, 4096);
		guest_job_free(&job);
		guest_close_handle(fd, handle);
		close(dma_buf);
	}
	check_refused(guest_try_import(fd, STDIN_FILENO, &(uint32_t){ 0 }), EINVAL);
	check_refused(guest_try_import(fd, -1, &(uint32_t){ 0 }), EBADF);
	close(other);
	close(fd);
}

static void second_device(void)
{
	int fd = guest_open(), second = guest_try_open(GUEST_SECOND), dma_buf;
	struct drm_triovit_bo_info info = { 0 };
	struct guest_job job;
	struct guest_bo bo;
	uint32_t handle;

	check(second >= 0);
	bo = guest_bo(second, 4096, DRM_TRIOVIT_BO_CACHED);
	dma_buf = guest_export(second, bo.handle);
	check_int(guest_try_import(fd, dma_buf, &handle), 0);
	info.handle = handle;
	check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_INFO, &info), 0);
	check_int(info.flags, DRM_TRIOVIT_BO_IMPORTED);
	check_int(info.offset, 0);
	guest_job(fd, "golden", 0, &job);
	run_into(fd, handle, &job);
	/* The one device's job, the other device's buffer. */
	guest_prep(&bo, DRM_TRIOVIT_ACCESS_READ);
	check(tv_golden_digest(bo.map + 64) == TV_GOLDEN_DIGEST);
	guest_fini(&bo, DRM_TRIOVIT_ACCESS_READ);
	close(dma_buf);
	close(second);
	/* The buffer stays as long as it is imported. */
	run_into(fd, handle, &job);
	close(fd);
}

/* A device's file maps its own buffers, wherever in it one looks for another. */
static void mapped_through(void)
{
	int fd = guest_open(), second = guest_try_open(GUEST_SECOND), dma_buf;
	struct guest_bo own = guest_bo(fd, 4096, 0), other = guest_bo(second, 4096, 0);
	struct drm_triovit_bo_info info = { .handle = own.handle };
	unsigned int found = 0;
	uint32_t handle;

	dma_buf = guest_export(second, other.handle);
	check_int(guest_try_import(fd, dma_buf, &handle), 0);
	check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_INFO, &info), 0);
	for (int page = -64; page <= 64; page++) {
		void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd,
				 (off_t)info.offset + page * 4096);

		if (map == MAP_FAILED)
			continue;
		munmap(map, 4096);
		found++;
		check_int(page, 0);
	}
	check_int(found, 1);
	close(dma_buf);
	close(second);
	close(fd);
}

static void vgem(void)
{
	int fd = guest_open(), vgem = open("/dev/dri/by-vgem", O_RDWR), dma_buf;
	struct drm_mode_create_dumb dumb = { .width = 1024, .height = 256, .bpp = 32 };
	struct guest_bo bo;
	uint32_t handle;
	uint8_t *map;

	if (vgem < 0)
		guest_skip("no vgem");
	/* Ours there. */
	bo = guest_bo(fd, 4096, 0);
	bo.map[5] = 0x42;
	dma_buf = guest_export(fd, bo.handle);
	check_int(guest_try_import(vgem, dma_buf, &handle), 0);
	close(dma_buf);
	dma_buf = guest_export(vgem, handle);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, dma_buf, 0);
	check(map != MAP_FAILED);
	check_int(map[5], 0x42);
	munmap(map, 4096);
	close(dma_buf);
	/* Theirs here: its pages lie about. */
	check_int(guest_ioctl(vgem, DRM_IOCTL_MODE_CREATE_DUMB, &dumb), 0);
	dma_buf = guest_export(vgem, dumb.handle);
	guest_write("/sys/module/drm/parameters/debug", "2");
	check_refused(guest_try_import(fd, dma_buf, &handle), EINVAL);
	guest_write("/sys/module/drm/parameters/debug", "0");
	close(dma_buf);
	close(vgem);
	close(fd);
}

#define THREADS	 8
#define JOBS	 guest_often(1000)
/* So often threads wait for each other: those of one file would else be so far apart that records
 * are gone before who waits for them comes to look. */
#define TOGETHER 50

struct thread {
	pthread_t id;
	pthread_barrier_t *barrier;
	int fd; /* negative: its own */
	bool null; /* jobs without a command, else the golden one */
	char why[80]; /* a job failed */
};

static void run_job(struct thread *t, int fd, struct guest_job *job)
{
	const unsigned int commands = t->null ? 0 : TV_GOLDEN_COMMANDS;
	struct drm_triovit_record record = { 0 };
	uint64_t number;
	int r;

	r = guest_try_submit(fd, job, &number);
	if (!r)
		r = guest_try_wait(fd, number, 60000, &record);
	if (r || record.status || record.executed != commands)
		snprintf(t->why, sizeof(t->why), "job %llu: %d, status %d, %u commands",
			 (unsigned long long)number, r, record.status, record.executed);
}

static void *run_jobs(void *arg)
{
	struct thread *t = arg;
	int fd = t->fd < 0 ? guest_try_open(GUEST_FIRST) : t->fd;
	struct guest_job job;

	guest_job(fd, "golden", 0, &job);
	if (t->null)
		guest_set_commands(&job, 0);
	for (unsigned int i = 0; i < JOBS; i++) {
		if (!(i % TOGETHER))
			pthread_barrier_wait(t->barrier);
		if (!*t->why)
			run_job(t, fd, &job);
	}
	if (!*t->why && guest_golden(&job) == t->null)
		strcpy(t->why, "wrong results");
	guest_job_free(&job);
	if (t->fd < 0)
		close(fd);
	return NULL;
}

/* Half of them share a file, half of those and of the others have null jobs. */
static void threads(void)
{
	struct drm_triovit_counters before, after;
	struct thread t[THREADS] = { 0 };
	int shared = guest_open();
	pthread_barrier_t barrier;
	const char *why = "";

	check(!pthread_barrier_init(&barrier, NULL, THREADS));
	check_int(guest_ioctl(shared, DRM_IOCTL_TRIOVIT_COUNTERS, &before), 0);
	for (int i = 0; i < THREADS; i++) {
		t[i].barrier = &barrier;
		t[i].fd = i % 2 ? shared : -1;
		t[i].null = i / 2 % 2;
		check(!pthread_create(&t[i].id, NULL, run_jobs, &t[i]));
	}
	for (int i = 0; i < THREADS; i++) {
		check(!pthread_join(t[i].id, NULL));
		why = *t[i].why ? t[i].why : why;
	}
	if (*why)
		guest_fail(__FILE__, __LINE__, "%s", why);
	check_int(guest_ioctl(shared, DRM_IOCTL_TRIOVIT_COUNTERS, &after), 0);
	check_int(after.jobs - before.jobs, THREADS * JOBS);
	check_int(after.faults, before.faults);
	check(after.busy > before.busy && after.busy - before.busy <= after.cycles - before.cycles);
	close(shared);
}

/* Nothing ends while the accelerator hangs; unbinding ends it all. */
static void full(void)
{
	struct drm_triovit_counters counters;
	int fd = guest_open(), r = 0;
	struct guest_job job;
	uint64_t number, count = 0;

	guest_job(fd, "golden", 0, &job);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	guest_write(GUEST_HANG_MS, "60000");
	guest_ask("hang");
	while (!r && count < 1000) {
		r = guest_try_submit(fd, &job, &number);
		count += !r;
	}
	guest_write(GUEST_DRIVER "/unbind", GUEST_FIRST);
	guest_write(GUEST_DRIVER "/bind", GUEST_FIRST);
	guest_write(GUEST_HANG_MS, "1000");
	check_int(r, -EAGAIN);
	check_int(count, 256);
	close(fd);
	fd = guest_open();
	check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_COUNTERS, &counters), 0);
	check_int(counters.resets, 0);
	close(fd);
}

const struct guest_test guest_share_tests[] = {
	{ "dma-bufs: out, in again, mapped, synced", dma_bufs },
	{ "dma-bufs: from a second device", second_device },
	{ "dma-bufs: not mapped through the wrong device", mapped_through },
	{ "dma-bufs: to vgem and from it; what is scattered is refused", vgem },
	{ "eight threads, a thousand null or tiny jobs each", threads },
	{ "a full queue says so", full },
	{ NULL, NULL },
};
