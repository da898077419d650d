// SPDX-License-Identifier: MIT
/* Processes, devices and modules that go while jobs are queued. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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
	if (sigsetjmp(bus_error, 1))
		return false;
	(void)*p;
	return true;
}

static void unbound(void)
{
	int fd = guest_open(), dma_buf, file, idle = guest_open();
	struct drm_prime_handle prime = { .flags = O_RDWR | O_CLOEXEC };
	struct drm_triovit_get_param param = { 0 };
	struct drm_triovit_record record;
	uint64_t numbers[QUEUED], number;
	uint32_t syncobj = guest_syncobj(fd);
	struct guest_job job;

	signal(SIGBUS, on_bus_error);
	guest_job(fd, "network", 0, &job);
	prime.handle = job.bo.handle;
	check_int(guest_ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
	dma_buf = prime.fd;
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

static void module(void)
{
	int fd = guest_open(), file;
	uint32_t syncobj = guest_syncobj(fd);
	struct guest_job job;
	int r = 0;

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
	for (int i = 0; i < 500 && (r = unload_module()); i++)
		usleep(10000);
	check_int(r, 0);
	load_module();
	fd = guest_open();
	guest_job(fd, "golden", 0, &job);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	close(fd);
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
	{ "suspend with jobs queued", suspended },
	{ "it sleeps when nobody needs it", runtime_suspended },
	{ "bound and unbound ten times", bind_often },
	{ NULL, NULL },
};
