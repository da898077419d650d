// SPDX-License-Identifier: MIT
/* Each call with its first allocation or copy of user memory failing, then its second, until none
 * is left that could: see Linux's fault-injection.rst. What comes after works as if nothing had
 * been. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/dma-buf.h>

#include "tests/qemu/guest/guest.h"

#define DEBUG	"/sys/kernel/debug/"
#define FAILURE "/proc/thread-self/fail-nth"
/* More than any call has. */
#define MANY	5000

static unsigned int survived;

/* What the calls work with; set by a test. */
static int watch, file, place;
static char node[64];
static struct drm_prime_handle prime;
static struct guest_bo buffer;
static struct guest_job job;
static uint64_t number;
static uint32_t in, out;
/* The call fails with ENOMEM, EFAULT, or ENOSPC, which is shmem's word for the first. Linux is not
 * as exact where it binds devices. */
static bool exact = true;
/* The function that fails, with all that it calls; NULL: any. */
static const char *within;

/* What fails in there Linux 6.12 itself does not survive: drm_minor_alloc_release() takes the error
 * for a device. */
#define SPARED "drm_sysfs_minor_alloc"

/* Where a function begins, and where the next one does: lines of "address type name". */
static void find_function(const char *name, char begin[20], char end[20])
{
	const char *line = guest_read("/proc/kallsyms"), *at;

	for (*begin = 0; *line; line += strcspn(line, "\n") + 1) {
		snprintf(end, 20, "0x%.16s", line);
		if (*begin && strcmp(begin, end))
			return;
		at = line + strlen("0123456789abcdef t ");
		if (!strncmp(at, name, strlen(name)) && at[strlen(name)] == '\n')
			strcpy(begin, end);
	}
	guest_fail(__FILE__, __LINE__, "there is no %s", name);
}

static void set_option(const char *kind, const char *option, const char *text)
{
	char path[80];

	snprintf(path, sizeof(path), DEBUG "%s/%s", kind, option);
	guest_write(path, text);
}

static void set_up(void)
{
	static const char *const kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	static char spared[20], spared_end[20];
	char begin[20] = "0", end[20] = "0xffffffffffffffff";

	if (!*spared)
		find_function(SPARED, spared, spared_end);
	if (within)
		find_function(within, begin, end);
	for (unsigned int i = 0; i < 3; i++) {
		set_option(kinds[i], "verbose", "0");
		set_option(kinds[i], "reject-start", spared);
		set_option(kinds[i], "reject-end", spared_end);
		set_option(kinds[i], "require-start", begin);
		set_option(kinds[i], "require-end", end);
		/* Else only what may not sleep fails. */
		if (i < 2)
			set_option(kinds[i], "ignore-gfp-wait", "N");
	}
	set_option("fail_page_alloc", "min-order", "0");
}

/* The nth thing of the task that can fail from now on does. */
static void arm(int failure, unsigned int nth)
{
	char text[16];
	int size = snprintf(text, sizeof(text), "%u", nth);

	check(pwrite(failure, text, (size_t)size, 0) == size);
}

/* Whether it has failed. */
static bool disarm(int failure)
{
	char text[16] = "";
	/* Which copies, and fails if everything else has not. */
	bool failed = pread(failure, text, sizeof(text) - 1, 0) > 0 && !atoi(text);

	/* Likewise. */
	if (pwrite(failure, "0", 1, 0) != 1)
		failed = false;
	return failed;
}

/* before and after see that the call may be made, and what has come of it. */
static void survive_thread(const char *failing, void (*before)(void), int (*call)(void),
			   void (*after)(int r))
{
	unsigned int nth, without, faults = 0;
	int failure, r;
	bool failed;

	set_up();
	failure = open(failing, O_RDWR);
	check(failure >= 0);
	/* What a call allocates may vary a little. */
	for (nth = 1, without = 0; without < 3 && nth < MANY; nth++) {
		if (before)
			before();
		arm(failure, nth);
		r = call();
		failed = disarm(failure);
		if (exact && r && r != -ENOMEM && r != -EFAULT && r != -ENOSPC)
			guest_fail(__FILE__, __LINE__, "fault %u: %d", nth, r);
		if (!failed)
			check_int(r, 0);
		if (after)
			after(r);
		faults += failed;
		without = failed ? 0 : without + 1;
	}
	close(failure);
	check(faults && nth < MANY);
	printf("# %u faults\n", faults);
	survived += faults;
}

static void survive(void (*before)(void), int (*call)(void), void (*after)(int r))
{
	survive_thread(FAILURE, before, call, after);
}

/* All that was charged for buffers has been given back. */
static void check_memory(void)
{
	struct drm_triovit_counters counters;

	/* A job's buffers go with it, a moment after it has ended. */
	for (unsigned int i = 0; i < 3000; i++) {
		check_int(guest_ioctl(watch, DRM_IOCTL_TRIOVIT_COUNTERS, &counters), 0);
		if (!counters.memory)
			return;
		usleep(10000);
	}
	check_int(counters.memory, 0);
}

/* What a call returns may be what cannot be copied to the caller, who then does not know the
 * handle, or the file, that there is now. They go with the file, and all that was opened after it.
 */
static void open_file(void)
{
	file = guest_open();
}

static void close_file(void)
{
	close_range((unsigned int)file, ~0u, 0);
	check_memory();
}

/* --- the device's file --- */

static int call_open(void)
{
	place = open(node, O_RDWR | O_CLOEXEC);
	return place < 0 ? -errno : 0;
}

static void after_open(int r)
{
	if (!r)
		close(place);
}

static void opened(void)
{
	guest_node(GUEST_FIRST, node, sizeof(node));
	survive(NULL, call_open, after_open);
}

static int call_param(void)
{
	struct drm_triovit_get_param args = { .param = DRM_TRIOVIT_PARAM_CLOCK };

	return guest_ioctl(file, DRM_IOCTL_TRIOVIT_GET_PARAM, &args);
}

static int call_counters(void)
{
	struct drm_triovit_counters args;

	return guest_ioctl(file, DRM_IOCTL_TRIOVIT_COUNTERS, &args);
}

static int call_usage(void)
{
	char text[1024];

	return pread(place, text, sizeof(text), 0) < 0 ? -errno : 0;
}

static void before_usage(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", file);
	place = open(path, O_RDONLY);
	check(place >= 0);
}

static void asked(void)
{
	file = guest_open();
	survive(NULL, call_param, NULL);
	survive(NULL, call_counters, NULL);
	survive(before_usage, call_usage, after_open);
	close(file);
}

/* --- buffers --- */

static uint32_t create_flags;

static int call_create(void)
{
	return guest_try_bo(file, 3 * 4096, create_flags, &buffer.handle);
}

static void after_call(int r)
{
	close_file();
}

static void created(void)
{
	watch = guest_open();
	for (create_flags = 0; create_flags <= DRM_TRIOVIT_BO_CACHED; create_flags++)
		survive(open_file, call_create, after_call);
}

static int call_info(void)
{
	struct drm_triovit_bo_info args = { .handle = buffer.handle };
	int r = guest_ioctl(file, DRM_IOCTL_TRIOVIT_BO_INFO, &args);

	number = args.offset;
	return r;
}

static int call_prep(void)
{
	struct drm_triovit_bo_prep args = {
		.handle = buffer.handle,
		.access = DRM_TRIOVIT_ACCESS_READ,
		.timeout_ns = INT64_MAX,
	};

	return guest_ioctl(file, DRM_IOCTL_TRIOVIT_BO_PREP, &args);
}

static int call_fini(void)
{
	struct drm_triovit_bo_fini args = { buffer.handle, DRM_TRIOVIT_ACCESS_READ };

	return guest_ioctl(file, DRM_IOCTL_TRIOVIT_BO_FINI, &args);
}

static int call_map(void)
{
	buffer.map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)number);
	if (buffer.map == MAP_FAILED)
		return -errno;
	memset(buffer.map, 1, 3 * 4096);
	return 0;
}

static void after_map(int r)
{
	if (!r)
		check(!munmap(buffer.map, 3 * 4096));
}

static void used(void)
{
	watch = file = guest_open();
	for (uint32_t flags = 0; flags <= DRM_TRIOVIT_BO_CACHED; flags++) {
		check_int(guest_try_bo(file, 3 * 4096, flags, &buffer.handle), 0);
		survive(NULL, call_info, NULL);
		survive(NULL, call_prep, NULL);
		survive(NULL, call_fini, NULL);
		check_int(call_info(), 0);
		survive(NULL, call_map, after_map);
		guest_close_handle(file, buffer.handle);
		check_memory();
	}
}

/* --- buffers of others --- */

static void before_export(void)
{
	open_file();
	check_int(guest_try_bo(file, 4096, create_flags, &buffer.handle), 0);
}

static int call_export(void)
{
	prime = (struct drm_prime_handle){ .handle = buffer.handle, .flags = O_RDWR | O_CLOEXEC };
	return guest_ioctl(file, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);
}

static void exported(void)
{
	watch = guest_open();
	for (create_flags = 0; create_flags <= DRM_TRIOVIT_BO_CACHED; create_flags++)
		survive(before_export, call_export, after_call);
}

static int call_import(void)
{
	return guest_ioctl(file, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime);
}

static void close_only(int r)
{
	close(file);
}

static int call_sync(void)
{
	struct dma_buf_sync args = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };
	int r = guest_ioctl(prime.fd, DMA_BUF_IOCTL_SYNC, &args);

	return r ? r : call_prep() ? -errno : 0;
}

/* Of another file, of another device that is ours, of one that is not. */
static void imported(void)
{
	struct drm_mode_create_dumb dumb = { .width = 32, .height = 32, .bpp = 32 };
	int others[] = { guest_open(), guest_try_open(GUEST_SECOND),
			 open("/dev/dri/by-vgem", O_RDWR) };

	watch = guest_open();
	for (unsigned int i = 0; i < 3; i++) {
		check(others[i] >= 0);
		if (i < 2)
			check_int(guest_try_bo(others[i], 4096, DRM_TRIOVIT_BO_CACHED,
					       &dumb.handle),
				  0);
		else
			check_int(guest_ioctl(others[i], DRM_IOCTL_MODE_CREATE_DUMB, &dumb), 0);
		prime = (struct drm_prime_handle){ .handle = dumb.handle,
						   .flags = O_RDWR | O_CLOEXEC };
		check_int(guest_ioctl(others[i], DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
		survive(open_file, call_import, close_only);
		open_file();
		check_int(call_import(), 0);
		buffer.handle = prime.handle;
		survive(NULL, call_prep, NULL);
		survive(NULL, call_fini, NULL);
		if (i < 2)
			survive(NULL, call_sync, NULL);
		close(file);
		close(prime.fd);
		close(others[i]);
	}
	check_memory();
}

/* --- jobs --- */

/* The first for its buffer, or behind one that it has to wait for. */
static bool behind;

static void before_submit(void)
{
	struct drm_syncobj_create args = { .flags = DRM_SYNCOBJ_CREATE_SIGNALED };

	open_file();
	guest_job(file, "golden", DRM_TRIOVIT_BO_CACHED, &job);
	check_int(guest_ioctl(file, DRM_IOCTL_SYNCOBJ_CREATE, &args), 0);
	in = args.handle;
	out = guest_syncobj(file);
	job.submit.in_syncobjs = (uintptr_t)&in;
	job.submit.out_syncobjs = (uintptr_t)&out;
	job.submit.in_count = job.submit.out_count = 1;
	if (behind)
		check_int(guest_submit(file, &job), 1);
}

static int call_submit(void)
{
	return guest_try_submit(file, &job, &number);
}

/* One that fails has left nothing, not even its number. */
static void after_submit(int r)
{
	if (r && r != -EFAULT)
		number = guest_submit(file, &job);
	if (r != -EFAULT) {
		check_int(number, 1 + behind);
		check_int(guest_wait(file, number).status, 0);
		check(guest_golden(&job));
	}
	guest_job_free(&job);
	close_file();
}

static void submit(void)
{
	watch = guest_open();
	survive(before_submit, call_submit, after_submit);
	behind = true;
	survive(before_submit, call_submit, after_submit);
}

static int call_wait(void)
{
	struct drm_triovit_wait args = { .job = number, .timeout_ns = INT64_MAX };

	return guest_ioctl(file, DRM_IOCTL_TRIOVIT_WAIT, &args);
}

static void before_wait(void)
{
	number = guest_submit(file, &job);
}

static void waited(void)
{
	file = guest_open();
	guest_job(file, "golden", 0, &job);
	survive(before_wait, call_wait, NULL);
	close(file);
}

static void before_kept(void)
{
	guest_write("/sys/module/triovit/parameters/dump", "1");
}

static int call_kept(void)
{
	int r = call_submit();

	return r ? r : call_wait();
}

/* The thread of the device's interrupt, which finds that a job went wrong and keeps what it was. */
static void kept(void)
{
	char path[300], *text;
	struct dirent *entry;
	DIR *folder = opendir("/proc");
	struct tv_command command;
	bool found = false;

	while (!found && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		text = (char *)guest_read(path);
		found = !strncmp(text, "irq/", 4) && strstr(text, "triovit");
	}
	closedir(folder);
	check(found);
	snprintf(strrchr(path, '/'), 16, "/fail-nth");
	file = guest_open();
	guest_job(file, "golden", 0, &job);
	guest_command(&job, 6, &command);
	command.output.offset = 1000;
	guest_set_command(&job, 6, &command);
	survive_thread(path, before_kept, call_kept, NULL);
	guest_write("/sys/module/triovit/parameters/dump", "0");
	close(file);
}

/* --- devices and modules that come and go --- */

static void close_place(int r)
{
	close(place);
}

static void before_bind(void)
{
	guest_try_write(GUEST_DRIVER "/unbind", GUEST_FIRST);
	place = open(GUEST_DRIVER "/bind", O_WRONLY);
	check(place >= 0);
}

static int call_bind(void)
{
	return pwrite(place, GUEST_FIRST, strlen(GUEST_FIRST), 0) < 0 ? -errno : 0;
}

static void check_works(void)
{
	watch = file = guest_open();
	guest_job(file, "golden", 0, &job);
	check_int(guest_wait(file, guest_submit(file, &job)).status, 0);
	check(guest_golden(&job));
	guest_job_free(&job);
	check_memory();
	close(file);
}

static void bound(void)
{
	exact = false;
	survive(before_bind, call_bind, close_place);
	exact = true;
	guest_try_write(GUEST_DRIVER "/bind", GUEST_FIRST);
	check_works();
}

static void before_unbind(void)
{
	guest_try_write(GUEST_DRIVER "/bind", GUEST_FIRST);
	file = guest_open();
	guest_job(file, "golden", 0, &job);
	number = guest_submit(file, &job);
	place = open(GUEST_DRIVER "/unbind", O_WRONLY);
	check(place >= 0);
}

static void after_unbind(int r)
{
	close(place);
	guest_job_free(&job);
	close(file);
}

static void unbound(void)
{
	survive(before_unbind, call_bind, after_unbind);
	guest_write(GUEST_DRIVER "/bind", GUEST_FIRST);
	check_works();
}

static int unload(void)
{
	int r = 0;

	/* What ended a moment ago may still be about to be freed. */
	for (unsigned int i = 0; i < 500; i++) {
		r = syscall(SYS_delete_module, "triovit", O_NONBLOCK) ? -errno : 0;
		if (r != -EWOULDBLOCK)
			break;
		usleep(10000);
	}
	return r == -ENOENT ? 0 : r;
}

static void before_load(void)
{
	check_int(unload(), 0);
	place = open("/modules/triovit.ko", O_RDONLY);
	check(place >= 0);
}

static int call_load(void)
{
	return syscall(SYS_finit_module, place, "", 0) ? -errno : 0;
}

/* What it does itself; its devices are bound above. */
static void loaded(void)
{
	within = "do_one_initcall";
	exact = false;
	guest_write("/sys/bus/platform/drivers_autoprobe", "0");
	survive(before_load, call_load, close_place);
	guest_write("/sys/bus/platform/drivers_autoprobe", "1");
	check_int(unload(), 0);
	before_load();
	check_int(call_load(), 0);
	close(place);
	check_works();
}

/* --- what is left --- */

static void asleep(void)
{
	static const char path[] = "/sys/bus/platform/devices/" GUEST_FIRST "/power/runtime_status";

	for (unsigned int i = 0; i < 3000 && strcmp(guest_read(path), "suspended\n"); i++)
		usleep(10000);
	check(!strcmp(guest_read(path), "suspended\n"));
	printf("# measured: %u injected faults survived\n", survived);
}

const struct guest_test guest_fault_tests[] = {
	{ "faults: open", opened },
	{ "faults: parameters, counters, usage", asked },
	{ "faults: a new buffer", created },
	{ "faults: a buffer's use", used },
	{ "faults: export", exported },
	{ "faults: import", imported },
	{ "faults: submit", submit },
	{ "faults: wait", waited },
	{ "faults: a job that went wrong", kept },
	{ "faults: nobody keeps the device awake", asleep },
	{ "faults: the device is bound", bound },
	{ "faults: the device is unbound with a job queued", unbound },
	{ "faults: the module is loaded", loaded },
	{ "faults: nobody keeps the device awake", asleep },
	{ NULL, NULL },
};
