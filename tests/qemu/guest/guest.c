// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>

#include <triovit/golden.h>

#include "tests/qemu/guest/guest.h"

/* --- the verdict --- */

bool guest_slow;

static sigjmp_buf guest_end;
static char guest_why[512];
static pthread_mutex_t guest_maps_lock = PTHREAD_MUTEX_INITIALIZER;

void guest_fail(const char *file, int line, const char *format, ...)
{
	int error = errno;
	va_list list;
	size_t at;

	at = (size_t)snprintf(guest_why, sizeof(guest_why), "%s:%d: ", file, line);
	errno = error;
	va_start(list, format);
	vsnprintf(guest_why + at, sizeof(guest_why) - at, format, list);
	va_end(list);
	if (gettid() != getpid()) {
		printf("# in a thread: %s\n", guest_why);
		exit(1);
	}
	siglongjmp(guest_end, 1);
}

void guest_skip(const char *why)
{
	snprintf(guest_why, sizeof(guest_why), "%s", why);
	siglongjmp(guest_end, 2);
}

/* What is mapped, so that no test leaves a device in use, whatever becomes of it. */
static struct {
	void *at;
	size_t size;
} guest_maps[512];

static void guest_map(void *at, size_t size)
{
	pthread_mutex_lock(&guest_maps_lock);
	for (unsigned int i = 0; i < sizeof(guest_maps) / sizeof(*guest_maps); i++) {
		if (guest_maps[i].at)
			continue;
		guest_maps[i].at = at;
		guest_maps[i].size = size;
		break;
	}
	pthread_mutex_unlock(&guest_maps_lock);
}

static void guest_unmap(void *at)
{
	pthread_mutex_lock(&guest_maps_lock);
	for (unsigned int i = 0; i < sizeof(guest_maps) / sizeof(*guest_maps); i++) {
		if (!guest_maps[i].at || (at && guest_maps[i].at != at))
			continue;
		munmap(guest_maps[i].at, guest_maps[i].size);
		guest_maps[i].at = NULL;
	}
	pthread_mutex_unlock(&guest_maps_lock);
}

/* 0: passed, 1: failed, 2: skipped. */
static int guest_run(void (*test)(void))
{
	int end = sigsetjmp(guest_end, 1);

	if (!end)
		test();
	guest_unmap(NULL);
	close_range(STDERR_FILENO + 1, ~0u, 0);
	return end;
}

static bool guest_report(const struct guest_test *test, int number)
{
	int end = guest_run(test->run);

	if (end == 1)
		printf("not ok %d - %s\n# %s\n", number, test->name, guest_why);
	else
		printf("ok %d - %s%s%s\n", number, test->name, end ? " # SKIP " : "",
		       end ? guest_why : "");
	fflush(stdout);
	return end != 1;
}

void guest_ask(const char *what)
{
	char line[64];

	printf("%s%s\n", *what ? "@" : "", what);
	fflush(stdout);
	check(fgets(line, sizeof(line), stdin));
	check(!strcmp(line, "done\n"));
}

/* --- files --- */

int guest_try_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC), r;

	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

void guest_write(const char *path, const char *text)
{
	int r = guest_try_write(path, text);

	if (r < 0)
		guest_fail(__FILE__, __LINE__, "%s: writing \"%s\": %d", path, text, r);
}

uint8_t *guest_load(const char *path, size_t *ret_size)
{
	size_t size = 0, room = 1 << 16;
	int fd = open(path, O_RDONLY);
	uint8_t *data;
	ssize_t n;

	if (fd < 0)
		return NULL;
	data = malloc(room + 1);
	while (data && (n = read(fd, data + size, room - size)) > 0) {
		size += (size_t)n;
		if (size == room) {
			room *= 2;
			data = realloc(data, room + 1);
		}
	}
	close(fd);
	check(data);
	data[size] = 0;
	*ret_size = size;
	return data;
}

const char *guest_read(const char *path)
{
	static char *text;
	size_t size;

	free(text);
	text = (char *)guest_load(path, &size);
	return text ? text : "";
}

/* --- the device --- */

int guest_node(const char *device, char *ret, size_t size)
{
	static const char *const classes[] = { "accel", "drm" };
	char path[300];

	for (unsigned int i = 0; i < 2; i++) {
		struct dirent *entry;
		DIR *folder;

		snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/%s", device, classes[i]);
		folder = opendir(path);
		while (folder && (entry = readdir(folder))) {
			bool accel = !strncmp(entry->d_name, "accel", 5);

			if (!accel && strncmp(entry->d_name, "renderD", 7))
				continue;
			snprintf(ret, size, "/dev/%s/%s", accel ? "accel" : "dri", entry->d_name);
			closedir(folder);
			return 0;
		}
		if (folder)
			closedir(folder);
	}
	return -ENODEV;
}

int guest_try_open(const char *device)
{
	char path[300];
	int r = guest_node(device, path, sizeof(path));

	if (r)
		return r;
	r = open(path, O_RDWR | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

int guest_open(void)
{
	int fd = guest_try_open(GUEST_FIRST);

	if (fd < 0)
		guest_fail(__FILE__, __LINE__, "the device has no node: %d", fd);
	return fd;
}

int guest_ioctl(int fd, unsigned long request, void *args)
{
	int r;

	do {
		r = ioctl(fd, request, args);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

uint64_t guest_param(int fd, uint32_t param)
{
	struct drm_triovit_get_param args = { .param = param };

	check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_GET_PARAM, &args), 0);
	return args.value;
}

bool guest_coherent(const char *device)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/of_node/dma-coherent", device);
	return !access(path, F_OK);
}

int64_t guest_after(int milliseconds)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec + milliseconds * 1000000ll;
}

int guest_try_bo(int fd, uint64_t size, uint32_t flags, uint32_t *ret)
{
	struct drm_triovit_bo_create args = { .size = size, .flags = flags };
	int r = guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_CREATE, &args);

	*ret = args.handle;
	return r;
}

struct guest_bo guest_bo(int fd, uint64_t size, uint32_t flags)
{
	struct drm_triovit_bo_info info = { 0 };
	struct guest_bo bo = { .fd = fd };

	check_int(guest_try_bo(fd, size, flags, &bo.handle), 0);
	info.handle = bo.handle;
	check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_INFO, &info), 0);
	bo.size = info.size;
	bo.map = mmap(NULL, bo.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)info.offset);
	check(bo.map != MAP_FAILED);
	guest_map(bo.map, bo.size);
	return bo;
}

void guest_close_handle(int fd, uint32_t handle)
{
	struct drm_gem_close args = { .handle = handle };

	guest_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &args);
}

void guest_bo_free(struct guest_bo *bo)
{
	guest_unmap(bo->map);
	guest_close_handle(bo->fd, bo->handle);
}

void guest_prep(const struct guest_bo *bo, uint32_t access)
{
	struct drm_triovit_bo_prep args = {
		.handle = bo->handle,
		.access = access,
		.timeout_ns = guest_after(20000),
	};

	check_int(guest_ioctl(bo->fd, DRM_IOCTL_TRIOVIT_BO_PREP, &args), 0);
}

void guest_fini(const struct guest_bo *bo, uint32_t access)
{
	struct drm_triovit_bo_fini args = { .handle = bo->handle, .access = access };

	check_int(guest_ioctl(bo->fd, DRM_IOCTL_TRIOVIT_BO_FINI, &args), 0);
}

/* --- dma-bufs --- */

int guest_export(int fd, uint32_t handle)
{
	struct drm_prime_handle args = { .handle = handle, .flags = O_RDWR | O_CLOEXEC };

	check_int(guest_ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args), 0);
	return args.fd;
}

int guest_try_import(int fd, int dma_buf, uint32_t *ret)
{
	struct drm_prime_handle args = { .fd = dma_buf };
	int r = guest_ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args);

	*ret = args.handle;
	return r;
}

uint8_t *guest_map_buf(int dma_buf, uint64_t size)
{
	uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, dma_buf, 0);

	check(map != MAP_FAILED);
	guest_map(map, size);
	return map;
}

void guest_unmap_buf(uint8_t *map)
{
	guest_unmap(map);
}

void guest_sync_buf(int dma_buf, uint64_t flags)
{
	struct dma_buf_sync args = { .flags = flags };

	check_int(guest_ioctl(dma_buf, DMA_BUF_IOCTL_SYNC, &args), 0);
}

/* --- jobs --- */

void guest_job(int fd, const char *name, uint32_t flags, struct guest_job *ret)
{
	uint64_t size = 0;
	size_t dump_size;
	char path[64];
	uint8_t *dump;

	memset(ret, 0, sizeof(*ret));
	snprintf(path, sizeof(path), "/jobs/%s.job", name);
	dump = guest_load(path, &dump_size);
	check(dump);
	check_int(tv_decode_descriptor(dump + TV_DUMP_DESCRIPTOR, &ret->from), 0);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		ret->at[i] = size;
		size = (size + ret->from.segment[i].size + 63) & ~63ull;
	}
	ret->bo = guest_bo(fd, size, flags);
	guest_prep(&ret->bo, DRM_TRIOVIT_ACCESS_WRITE);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		const struct tv_segment *segment = &ret->from.segment[i];

		if (!segment->size)
			continue;
		memcpy(ret->bo.map + ret->at[i], dump + tv_dump_segment(&ret->from, i),
		       segment->size);
		ret->segments[i] = (struct drm_triovit_segment){
			.handle = ret->bo.handle,
			.rights = segment->rights,
			.offset = ret->at[i],
			.size = segment->size,
		};
	}
	guest_fini(&ret->bo, DRM_TRIOVIT_ACCESS_WRITE);
	ret->submit = (struct drm_triovit_submit){
		.segments = (uintptr_t)ret->segments,
		.segment_count = TV_SEGMENT_COUNT,
		.segment_size = sizeof(ret->segments[0]),
	};
	free(dump);
}

void guest_job_free(struct guest_job *job)
{
	guest_bo_free(&job->bo);
}

int guest_try_submit(int fd, struct guest_job *job, uint64_t *ret)
{
	struct drm_triovit_submit args = job->submit;
	int r = guest_ioctl(fd, DRM_IOCTL_TRIOVIT_SUBMIT, &args);

	*ret = args.job;
	return r;
}

uint64_t guest_submit(int fd, struct guest_job *job)
{
	uint64_t number;

	check_int(guest_try_submit(fd, job, &number), 0);
	return number;
}

int guest_try_wait(int fd, uint64_t job, int milliseconds, struct drm_triovit_record *ret)
{
	struct drm_triovit_wait args = { .job = job, .timeout_ns = guest_after(milliseconds) };
	int r = guest_ioctl(fd, DRM_IOCTL_TRIOVIT_WAIT, &args);

	*ret = args.record;
	return r;
}

struct drm_triovit_record guest_wait(int fd, uint64_t job)
{
	struct drm_triovit_record record;

	check_int(guest_try_wait(fd, job, 30000, &record), 0);
	return record;
}

bool guest_golden(struct guest_job *job)
{
	uint8_t output[TV_GOLDEN_OUTPUT_SIZE];

	guest_prep(&job->bo, DRM_TRIOVIT_ACCESS_READ);
	memcpy(output, job->bo.map + job->at[TV_SEGMENT_OUTPUT], sizeof(output));
	guest_fini(&job->bo, DRM_TRIOVIT_ACCESS_READ);
	return tv_golden_digest(output) == TV_GOLDEN_DIGEST;
}

static uint8_t *guest_command_at(struct guest_job *job, unsigned int index)
{
	return job->bo.map + job->at[0] + TV_PROGRAM_HEADER_SIZE + index * TV_COMMAND_SIZE;
}

void guest_command(struct guest_job *job, unsigned int index, struct tv_command *ret)
{
	uint8_t bytes[TV_COMMAND_SIZE];

	memcpy(bytes, guest_command_at(job, index), sizeof(bytes));
	tv_decode_command(bytes, ret);
}

void guest_set_command(struct guest_job *job, unsigned int index, const struct tv_command *command)
{
	uint8_t bytes[TV_COMMAND_SIZE];

	tv_encode_command(command, bytes);
	guest_prep(&job->bo, DRM_TRIOVIT_ACCESS_WRITE);
	memcpy(guest_command_at(job, index), bytes, sizeof(bytes));
	guest_fini(&job->bo, DRM_TRIOVIT_ACCESS_WRITE);
}

void guest_set_commands(struct guest_job *job, uint32_t count)
{
	struct tv_program_header header;
	uint8_t *bytes = job->bo.map + job->at[TV_SEGMENT_PROGRAM];

	guest_prep(&job->bo, DRM_TRIOVIT_ACCESS_READ | DRM_TRIOVIT_ACCESS_WRITE);
	check_int(tv_decode_program_header(bytes, &header), 0);
	header.commands = count;
	tv_encode_program_header(&header, bytes);
	guest_fini(&job->bo, DRM_TRIOVIT_ACCESS_READ | DRM_TRIOVIT_ACCESS_WRITE);
}

/* --- syncobjs --- */

uint32_t guest_syncobj(int fd)
{
	struct drm_syncobj_create args = { 0 };

	check_int(guest_ioctl(fd, DRM_IOCTL_SYNCOBJ_CREATE, &args), 0);
	return args.handle;
}

void guest_syncobj_free(int fd, uint32_t handle)
{
	struct drm_syncobj_destroy args = { .handle = handle };

	guest_ioctl(fd, DRM_IOCTL_SYNCOBJ_DESTROY, &args);
}

int guest_sync_file(int fd, uint32_t handle)
{
	struct drm_syncobj_handle args = {
		.handle = handle,
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
		.fd = -1,
	};

	check_int(guest_ioctl(fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &args), 0);
	return args.fd;
}

int guest_sync_status(int sync_file)
{
	struct sync_file_info info = { 0 };

	check_int(guest_ioctl(sync_file, SYNC_IOC_FILE_INFO, &info), 0);
	return info.status;
}

int guest_sync_wait(int fd, uint32_t handle, int milliseconds)
{
	struct drm_syncobj_wait args = {
		.handles = (uintptr_t)&handle,
		.count_handles = 1,
		.timeout_nsec = guest_after(milliseconds),
	};

	return guest_ioctl(fd, DRM_IOCTL_SYNCOBJ_WAIT, &args);
}

/* --- all of it --- */

bool guest_run_all(const struct guest_test *const *subjects)
{
	int number = 0, tests = 0;
	bool passed = true;

	for (unsigned int i = 0; subjects[i]; i++)
		for (const struct guest_test *test = subjects[i]; test->name; test++)
			tests++;
	printf("1..%d\n", tests);
	for (unsigned int i = 0; subjects[i]; i++)
		for (const struct guest_test *test = subjects[i]; test->name; test++)
			if (!guest_report(test, ++number))
				passed = false;
	printf("@end\n");
	return passed;
}
