// SPDX-License-Identifier: MIT
/* Processes, devices and modules that go while jobs are queued. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/dma-buf.h>

#include <triovit/golden.h>

#include "tests/qemu/guest/guest.h"

#define QUEUED 8

static void wait_idle(int fd)
{
	struct drm_triovit_counters counters;

	for (int i = 0; i < 3000; i++) {
		check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_COUNTERS, &counters), 0);
		if (!counters.memory)
			return;
		usleep(10000);
	}
	guest_fail(__FILE__, __LINE__, "%llu bytes are never freed",
		   (unsigned long long)counters.memory);
}

static void killed(void)
{
	int fd = guest_open(), pipes[2], status;
	struct guest_job job;
	pid_t child;
	char c;

	check(!pipe(pipes));
	child = fork();
	if (!child) {
		int mine = guest_try_open(GUEST_FIRST);
		uint64_t number;

		guest_job(mine, "network", 0, &job);
		for (unsigned int i = 0; i < 200; i++)
			guest_try_submit(mine, &job, &number);
		if (write(pipes[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	check(read(pipes[0], &c, 1) == 1);
	kill(child, SIGKILL);
	check(waitpid(child, &status, 0) == child);
	check(WIFSIGNALED(status));
	/* Nobody else notices. */
	wait_idle(fd);
	guest_job(fd, "golden", 0, &job);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	check(guest_golden(&job));
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
}

static sigjmp_buf bus_error;

static void on_bus_error(int signal)
{
	siglongjmp(bus_error, 1);
}

static bool readable(const volatile uint8_t *p)
{
	volatile bool good = false;

	signal(SIGBUS, on_bus_error);
	if (!sigsetjmp(bus_error, 1)) {
		(void)*p;
		good = true;
	}
	signal(SIGBUS, SIG_DFL);
	return good;
}

static void unbound(void)
{
	int fd = guest_open(), dma_buf, file, idle = guest_open();
	struct drm_triovit_get_param param = { 0 };
	struct drm_triovit_record record;
	uint64_t numbers[QUEUED], number;
	uint32_t syncobj = guest_syncobj(fd);
	struct guest_job job;

	guest_job(fd, "network", 0, &job);
	dma_buf = guest_export(fd, job.bo.handle);
	job.submit.out_syncobjs = (uintptr_t)&syncobj;
	job.submit.out_count = 1;
	guest_ask("hang");
	for (unsigned int i = 0; i < QUEUED; i++)
		numbers[i] = guest_submit(fd, &job);
	file = guest_sync_file(fd, syncobj);
	check(readable(job.bo.map));

	guest_write(GUEST_DRIVER "/unbind", GUEST_FIRST);

	check_int(poll(&(struct pollfd){ .fd = file, .events = POLLIN }, 1, 0), 1);
	check_int(guest_sync_status(file), -ENODEV);
	check_refused(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_GET_PARAM, &param), ENODEV);
	check_refused(guest_try_submit(fd, &job, &number), ENODEV);
	check_refused(guest_try_wait(fd, numbers[0], 0, &record), ENODEV);
	check(!readable(job.bo.map));
	check_int(guest_try_open(GUEST_FIRST), -ENODEV);

	/* Bound again while the old one is still open. */
	guest_write(GUEST_DRIVER "/bind", GUEST_FIRST);
	close(fd);
	fd = guest_open();
	guest_job(fd, "golden", 0, &job);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	check(guest_golden(&job));
	close(dma_buf);
	check_int(guest_sync_status(file), -ENODEV);
	close(file);
	close(idle);
	/* The pool is still there. */
	guest_job_free(&job);
	guest_job(fd, "network", DRM_TRIOVIT_BO_CACHED, &job);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	close(fd);
}

static void load_module(void)
{
	int fd = open("/modules/triovit.ko", O_RDONLY);
	long r;

	check(fd >= 0);
	r = syscall(SYS_finit_module, fd, "", 0);
	close(fd);
	check_int(r, 0);
}

static int unload_module(void)
{
	return syscall(SYS_delete_module, "triovit", O_NONBLOCK) ? -errno : 0;
}

/* As soon as nobody needs it; then it is loaded again, and works. */
static void reload_module(void)
{
	struct guest_job job;
	int fd, r = 0;

	for (int i = 0; i < 500 && (r = unload_module()); i++)
		usleep(10000);
	check_int(r, 0);
	load_module();
	fd = guest_open();
	guest_job(fd, "golden", 0, &job);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	close(fd);
}

/* A job's fence as a sync_file; the job ends with this status. */
static int fence_of(int fd, struct guest_job *job, int status)
{
	uint32_t syncobj = guest_syncobj(fd);
	int file;

	job->submit.out_syncobjs = (uintptr_t)&syncobj;
	job->submit.out_count = 1;
	check_int(guest_wait(fd, guest_submit(fd, job)).status, status);
	file = guest_sync_file(fd, syncobj);
	job->submit.out_count = 0;
	guest_syncobj_free(fd, syncobj);
	return file;
}

/* The fence of a job that is dropped in the queue when its process is killed. */
static int fence_of_the_killed(void)
{
	int pipes[2], theirs, pidfd, file;
	pid_t child;

	check(!pipe(pipes));
	guest_write(GUEST_HANG_MS, "3000");
	guest_ask("hang");
	child = fork();
	if (!child) {
		int mine = guest_try_open(GUEST_FIRST);
		uint32_t syncobj = guest_syncobj(mine);
		struct guest_job job;
		uint64_t number;

		guest_job(mine, "golden", 0, &job);
		job.submit.out_syncobjs = (uintptr_t)&syncobj;
		job.submit.out_count = 1;
		for (unsigned int i = 0; i < QUEUED; i++)
			guest_try_submit(mine, &job, &number);
		theirs = guest_sync_file(mine, syncobj);
		/* Else none of them may have come to the device, and the next that does hangs. */
		usleep(200000);
		if (write(pipes[1], &theirs, sizeof(theirs)) < 0)
			_exit(1);
		pause();
	}
	check(read(pipes[0], &theirs, sizeof(theirs)) == sizeof(theirs));
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	file = (int)syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
	check(file >= 0);
	kill(child, SIGKILL);
	check(waitpid(child, NULL, 0) == child);
	guest_write(GUEST_HANG_MS, "1000");
	check_int(poll(&(struct pollfd){ .fd = file, .events = POLLIN }, 1, 30000), 1);
	check_int(guest_sync_status(file), -ESRCH);
	close(pidfd);
	close(pipes[0]);
	close(pipes[1]);
	return file;
}

/* When neither the driver is bound nor a file open. */
static void fences_outlive(void)
{
	int fd = guest_open(), files[3], status[3] = { 1, -ETIME, -ESRCH }, count = 2;
	struct utsname kernel;
	struct guest_job job;

	guest_job(fd, "golden", 0, &job);
	files[0] = fence_of(fd, &job, 0);
	job.submit.deadline_ns = 1;
	files[1] = fence_of(fd, &job, -ETIME);
	/* The scheduler of 6.1 loses a fence when it drops a job. */
	check(!uname(&kernel));
	if (strncmp(kernel.release, "6.1.", 4))
		files[count++] = fence_of_the_killed();
	guest_write(GUEST_DRIVER "/unbind", GUEST_FIRST);
	guest_job_free(&job);
	close(fd);
	usleep(200000);
	for (int i = 0; i < count; i++)
		check_int(guest_sync_status(files[i]), status[i]);
	/* Each of them keeps the module. */
	for (int i = 0; i < count; i++) {
		check_int(unload_module(), -EWOULDBLOCK);
		close(files[i]);
		usleep(200000);
	}
	reload_module();
}

static void buffers_outlive(void)
{
	int fd = guest_open(), second = guest_try_open(GUEST_SECOND), dma_bufs[2];
	struct guest_job job;
	uint8_t *maps[2];
	uint32_t handle;

	for (unsigned int i = 0; i < 2; i++) {
		guest_job(fd, "golden", i ? DRM_TRIOVIT_BO_CACHED : 0, &job);
		check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
		dma_bufs[i] = guest_export(fd, job.bo.handle);
		maps[i] = guest_map_buf(dma_bufs[i], job.bo.size);
		check(readable(maps[i]));
		guest_job_free(&job);
	}
	guest_write(GUEST_DRIVER "/unbind", GUEST_FIRST);
	close(fd);
	for (unsigned int i = 0; i < 2; i++) {
		/* What was mapped has gone with the device, what can be mapped has not. */
		check(!readable(maps[i]));
		guest_unmap_buf(maps[i]);
		maps[i] = guest_map_buf(dma_bufs[i], job.bo.size);
		guest_sync_buf(dma_bufs[i], DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
		check(tv_golden_digest(maps[i] + job.at[TV_SEGMENT_OUTPUT]) == TV_GOLDEN_DIGEST);
		memset(maps[i], 0x5a, job.bo.size);
		guest_sync_buf(dma_bufs[i], DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	}
	/* Another device still takes one. */
	check_int(guest_try_import(second, dma_bufs[1], &handle), 0);
	guest_job(second, "golden", 0, &job);
	job.segments[TV_SEGMENT_OUTPUT].handle = handle;
	job.segments[TV_SEGMENT_OUTPUT].offset = 64;
	check_int(guest_wait(second, guest_submit(second, &job)).status, 0);
	guest_sync_buf(dma_bufs[1], DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	check(tv_golden_digest(maps[1] + 64) == TV_GOLDEN_DIGEST);
	guest_sync_buf(dma_bufs[1], DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	guest_job_free(&job);
	close(second);
	close(dma_bufs[0]);
	close(dma_bufs[1]);
	/* What is mapped keeps it, and the module. */
	usleep(200000);
	check_int(unload_module(), -EWOULDBLOCK);
	check_int(maps[0][0], 0x5a);
	guest_unmap_buf(maps[0]);
	guest_unmap_buf(maps[1]);
	reload_module();
}

static void module(void)
{
	int fd = guest_open(), file;
	uint32_t syncobj = guest_syncobj(fd);
	struct guest_job job;

	/* What rmmod calls busy. */
	check_int(unload_module(), -EWOULDBLOCK);
	guest_job(fd, "golden", 0, &job);
	job.submit.out_syncobjs = (uintptr_t)&syncobj;
	job.submit.out_count = 1;
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	file = guest_sync_file(fd, syncobj);
	guest_job_free(&job);
	close(fd);
	/* The fence is the module's. */
	usleep(200000);
	check_int(unload_module(), -EWOULDBLOCK);
	check_int(guest_sync_status(file), 1);
	close(file);
	reload_module();
}

static void suspended(void)
{
	int fd = guest_open();
	struct guest_job job;
	uint64_t last = 0;

	if (guest_try_write("/sys/power/pm_test", "devices"))
		guest_skip("no /sys/power/pm_test");
	guest_job(fd, "network", 0, &job);
	for (unsigned int i = 0; i < QUEUED; i++)
		last = guest_submit(fd, &job);
	guest_write("/sys/power/state", "freeze");
	check_int(guest_wait(fd, last).status, 0);
	for (uint64_t i = 1; i <= last; i++)
		check_int(guest_wait(fd, i).status, 0);
	close(fd);
}

/* The job that hangs keeps the others in the queue until the machine sleeps. */
static void suspended_hung(void)
{
	int fd = guest_open();
	struct guest_job job;

	if (guest_try_write("/sys/power/pm_test", "devices"))
		guest_skip("no /sys/power/pm_test");
	guest_job(fd, "golden", 0, &job);
	guest_ask("hang");
	for (unsigned int i = 0; i < QUEUED; i++)
		guest_submit(fd, &job);
	guest_write("/sys/power/state", "freeze");
	check_int(guest_wait(fd, 1).status, -ETIMEDOUT);
	for (uint64_t i = 2; i <= QUEUED; i++)
		check_int(guest_wait(fd, i).status, 0);
	check(guest_golden(&job));
	close(fd);
}

/* As above, but its reset does not come to an end when the machine wakes up: no job waits for it.
 */
static void suspended_stuck(void)
{
	struct drm_triovit_counters counters;
	struct guest_job job;
	int fd = guest_open();
	uint64_t number;

	if (guest_try_write("/sys/power/pm_test", "devices"))
		guest_skip("no /sys/power/pm_test");
	guest_job(fd, "golden", 0, &job);
	guest_write(GUEST_HANG_MS, "2000");
	guest_ask("hang");
	for (unsigned int i = 0; i < QUEUED; i++)
		guest_submit(fd, &job);
	/* The two are for the hang and for falling asleep. */
	guest_ask("stuck-later");
	guest_write("/sys/power/state", "freeze");
	check_int(guest_wait(fd, 1).status, -ETIMEDOUT);
	for (uint64_t i = 2; i <= QUEUED; i++)
		check_int(guest_wait(fd, i).status, -ENODEV);
	for (unsigned int i = 0; i < 2; i++)
		check_refused(guest_try_submit(fd, &job, &number), ENODEV);
	check_refused(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_COUNTERS, &counters), ENODEV);
	guest_write(GUEST_HANG_MS, "1000");
	guest_ask("unstuck");
	guest_write(GUEST_DRIVER "/unbind", GUEST_FIRST);
	guest_write(GUEST_DRIVER "/bind", GUEST_FIRST);
	close(fd);
}

static void runtime_suspended(void)
{
	static const char path[] = "/sys/bus/platform/devices/" GUEST_FIRST "/power/runtime_status";
	int fd = guest_open();
	struct guest_job job;

	guest_job(fd, "golden", 0, &job);
	for (unsigned int round = 0; round < 3; round++) {
		check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
		for (int i = 0; i < 500 && strcmp(guest_read(path), "suspended\n"); i++)
			usleep(10000);
		check(!strcmp(guest_read(path), "suspended\n"));
	}
	close(fd);
}

static void bind_often(void)
{
	for (unsigned int i = 0; i < 10; i++) {
		guest_write(GUEST_DRIVER "/unbind", GUEST_FIRST);
		guest_write(GUEST_DRIVER "/bind", GUEST_FIRST);
	}
	close(guest_open());
}

const struct guest_test guest_life_tests[] = {
	{ "a process that is killed with jobs queued", killed },
	{ "the device is unbound with jobs queued", unbound },
	{ "the module goes when the last fence has gone", module },
	{ "fences that outlive driver and files", fences_outlive },
	{ "dma-bufs that outlive driver and files", buffers_outlive },
	{ "suspend with jobs queued", suspended },
	{ "suspend with a job that hangs and others behind it", suspended_hung },
	{ "suspend, and it does not wake up", suspended_stuck },
	{ "it sleeps when nobody needs it", runtime_suspended },
	{ "bound and unbound ten times", bind_often },
	{ NULL, NULL },
};
