/* SPDX-License-Identifier: MIT */
/*
 * The accelerator by its kernel driver (docs/uapi.md). A job's fence becomes a sync_file, whose
 * descriptor is readable when the job has ended; an epoll descriptor over those of all jobs is what
 * the loop waits for.
 *
 * Buffers are dma-bufs without the processors' caches in between: nothing has to be synchronized,
 * and to fill one place of a session's memory does not wait for a job on another.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <xf86drm.h>

#include <drm/triovit_accel.h>

#include "daemon/backend-private.h"
#include "rtl-model/command.h"

/* Of this device and of others of its kind, which a buffer is handed on to. */
#define HANDLES_MAX 8

/* A buffer as an open device knows it. The kernel has one handle for all imports of the same
 * memory, and forgets it at the first close: so users are counted here. */
struct handle {
	uint32_t handle;
	unsigned int users;
	TAILQ_ENTRY(handle) list;
};

/* An open device: buffers keep it, since what they hold of it is theirs to give back, in whatever
 * thread. */
struct file {
	atomic_uint references;
	int fd;
	pthread_mutex_t lock; /* over the handles, and while they are got and closed */
	TAILQ_HEAD(, handle) handles;
};

struct handles {
	unsigned int count;
	struct {
		struct file *file;
		struct handle *handle;
	} of[HANDLES_MAX];
};

struct drm {
	struct tv_backend backend; /* first; its fd is the epoll descriptor */
	struct file *file;
	int gone; /* eventfd, readable while the device is gone and there are jobs */
	bool unplugged;
	struct {
		uint32_t syncobj;
		uint64_t job;
		int fence; /* sync_file; -1: no job */
	} jobs[TV_BACKEND_CAPACITY]; /* of backend.slots */
};

#define GONE UINT32_MAX /* in epoll's data, instead of the index of a job */

static unsigned int index_of(const struct drm *drm, const struct tv_backend_slot *slot)
{
	return (unsigned int)(slot - drm->backend.slots);
}

static void file_unref(struct file *file)
{
	if (atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel) != 1)
		return;
	close(file->fd);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

/* --- buffers --------------------------------------------------------------------------------- */

static int fail(const char *what, struct tv_error *error)
{
	int code = -errno;

	return tv_error_set(error, code, "%s: %s", what, strerror(-code));
}

/* One more user of a handle, under the lock. NULL: out of memory. */
static struct handle *use_handle(struct file *file, uint32_t number)
{
	struct handle *handle;

	TAILQ_FOREACH(handle, &file->handles, list)
		if (handle->handle == number) {
			handle->users++;
			return handle;
		}
	handle = malloc(sizeof(*handle));
	if (!handle)
		return NULL;
	*handle = (struct handle){ .handle = number, .users = 1 };
	TAILQ_INSERT_HEAD(&file->handles, handle, list);
	return handle;
}

static void drop_handle(struct file *file, struct handle *handle)
{
	pthread_mutex_lock(&file->lock);
	if (--handle->users) {
		handle = NULL;
	} else {
		TAILQ_REMOVE(&file->handles, handle, list);
		drmCloseBufferHandle(file->fd, handle->handle);
	}
	pthread_mutex_unlock(&file->lock);
	free(handle);
}

/* A handle of memory that a descriptor stands for: a dma-buf that the device can reach, which its
 * driver says without asking any file system. Negative errno. */
static int import_handle(struct file *file, int fd, struct handle **ret)
{
	struct handle *handle = NULL;
	uint32_t number;
	int r = 0;

	pthread_mutex_lock(&file->lock);
	if (drmPrimeFDToHandle(file->fd, fd, &number) < 0) {
		r = -errno;
	} else {
		handle = use_handle(file, number);
		if (!handle) {
			drmCloseBufferHandle(file->fd, number);
			r = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&file->lock);
	if (r >= 0)
		*ret = handle;
	return r;
}

static void add_handle(struct handles *handles, struct file *file, struct handle *handle)
{
	atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
	handles->of[handles->count].file = file;
	handles->of[handles->count++].handle = handle;
}

static void drm_buffer_done(struct tv_buffer *buffer)
{
	struct handles *handles = buffer->handles;

	for (unsigned int i = 0; i < handles->count; i++) {
		drop_handle(handles->of[i].file, handles->of[i].handle);
		file_unref(handles->of[i].file);
	}
	free(handles);
	buffer->handles = NULL;
}

/* size 0: all of it. The descriptor is known to be a dma-buf's, which says its size at once. */
static int map(int fd, size_t size, uint32_t rights, struct tv_memory *ret, struct tv_error *error)
{
	int protection = rights & TV_SEGMENT_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
	off_t has = lseek(fd, 0, SEEK_END);
	void *data;

	if (has < 0)
		return fail("the memory's size", error);
	if ((uint64_t)has < size || !has)
		return tv_error_set(error, -EBADF,
				    "the memory has %lld bytes, expected %zu or more",
				    (long long)has, size);
	if (!size)
		size = (size_t)has;
	data = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return fail("cannot map the memory", error);
	*ret = (struct tv_memory){ .fd = fd, .data = data, .size = size };
	return 0;
}

/* A descriptor of new memory. The handle that it was made by goes at once: the memory stays, and is
 * known by that of its descriptor as all others are. */
static int make_memory(struct file *file, size_t size, int *ret, struct tv_error *error)
{
	struct drm_triovit_bo_create create = { .size = size };
	int fd, r = 0;

	pthread_mutex_lock(&file->lock);
	if (drmIoctl(file->fd, DRM_IOCTL_TRIOVIT_BO_CREATE, &create) < 0) {
		r = fail("memory of the device", error);
	} else {
		if (drmPrimeHandleToFD(file->fd, create.handle, DRM_CLOEXEC | DRM_RDWR, &fd) < 0)
			r = fail("exporting memory of the device", error);
		drmCloseBufferHandle(file->fd, create.handle);
	}
	pthread_mutex_unlock(&file->lock);
	if (r >= 0)
		*ret = fd;
	return r;
}

/* Makes a buffer of a dma-buf's descriptor, which becomes its own with success. */
static int take_memory(struct file *file, int fd, size_t size, struct tv_buffer *buffer,
		       struct tv_error *error)
{
	_cleanup_free_ struct handles *handles = calloc(1, sizeof(*handles));
	struct handle *handle;
	int r;

	if (!handles)
		return tv_error_oom(error);
	r = import_handle(file, fd, &handle);
	if (r == -ENOMEM || r == -ENODEV)
		return tv_error_set(error, r, "importing memory: %s", strerror(-r));
	if (r < 0)
		return tv_error_set(error, -EOPNOTSUPP,
				    "the memory is no dma-buf in one piece, which is what the "
				    "device can reach");
	r = map(fd, size, buffer->rights, &buffer->memory, error);
	if (r < 0) {
		drop_handle(file, handle);
		return r;
	}
	add_handle(handles, file, handle);
	buffer->handles = TV_TAKE_PTR(handles);
	return 0;
}

static int drm_buffer_new(struct tv_backend *backend, size_t size, struct tv_buffer *buffer,
			  struct tv_error *error)
{
	struct file *file = ((struct drm *)backend)->file;
	_cleanup_close_ int fd = -1;
	int r;

	r = make_memory(file, size, &fd, error);
	if (r >= 0)
		r = take_memory(file, fd, size, buffer, error);
	if (r >= 0)
		TV_TAKE_FD(fd);
	return r;
}

static int drm_buffer_import(struct tv_backend *backend, int fd, size_t size,
			     struct tv_buffer *buffer, struct tv_error *error)
{
	struct file *file = ((struct drm *)backend)->file;
	_cleanup_close_ int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int r;

	if (own < 0)
		return fail("the memory's descriptor", error);
	r = take_memory(file, own, size, buffer, error);
	if (r >= 0)
		TV_TAKE_FD(own);
	return r;
}

/* By which this device knows the buffer, which may be another's of its kind. */
static int handle_of(struct drm *drm, struct tv_buffer *buffer, uint32_t *ret)
{
	struct handles *handles = buffer->handles;
	struct handle *handle;
	int r;

	for (unsigned int i = 0; i < handles->count; i++)
		if (handles->of[i].file == drm->file) {
			*ret = handles->of[i].handle->handle;
			return 0;
		}
	if (handles->count == HANDLES_MAX)
		return -ENOSPC;
	r = import_handle(drm->file, buffer->memory.fd, &handle);
	if (r < 0)
		return r;
	add_handle(handles, drm->file, handle);
	*ret = handle->handle;
	return 0;
}

/* --- jobs ------------------------------------------------------------------------------------ */

static int watch(struct drm *drm, int fd, uint32_t what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = what };

	return epoll_ctl(drm->backend.fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int drm_submit(struct tv_backend *backend, struct tv_backend_slot *slot)
{
	struct drm *drm = (struct drm *)backend;
	unsigned int index = index_of(drm, slot);
	struct drm_triovit_segment segments[DRM_TRIOVIT_SEGMENTS] = { 0 };
	struct drm_triovit_submit submit = {
		.segments = (uintptr_t)segments,
		.segment_count = DRM_TRIOVIT_SEGMENTS,
		.segment_size = sizeof(segments[0]),
		.out_syncobjs = (uintptr_t)&drm->jobs[index].syncobj,
		.out_count = 1,
	};
	int fence, r;

	if (drm->unplugged)
		return -ENODEV;
	for (unsigned int i = 0; i < DRM_TRIOVIT_SEGMENTS; i++) {
		const struct tv_backend_segment *segment = &slot->job.segment[i];

		if (!segment->buffer)
			continue;
		r = handle_of(drm, segment->buffer, &segments[i].handle);
		if (r < 0)
			return r;
		segments[i].rights = segment->rights;
		segments[i].offset = segment->offset;
		segments[i].size = segment->size;
	}
	if (drmIoctl(drm->file->fd, DRM_IOCTL_TRIOVIT_SUBMIT, &submit) < 0)
		return -errno;
	drm->jobs[index].job = submit.job;
	/* From here on it runs: without its fence it would be waited for in vain. */
	if (drmSyncobjExportSyncFile(drm->file->fd, drm->jobs[index].syncobj, &fence) < 0)
		return -errno;
	r = watch(drm, fence, index);
	if (r < 0) {
		close(fence);
		return r;
	}
	drm->jobs[index].fence = fence;
	return 0;
}

/* The driver's queue is the device's: nothing in it can be taken back. */
static int drm_cancel(struct tv_backend *backend, struct tv_backend_slot *slot)
{
	return -EBUSY;
}

/* When the fence was signalled, ns of CLOCK_MONOTONIC. */
static uint64_t end_of(int fence)
{
	struct sync_fence_info fences[1] = { 0 };
	struct sync_file_info info = { .num_fences = 1, .sync_fence_info = (uintptr_t)fences };

	return ioctl(fence, SYNC_IOC_FILE_INFO, &info) < 0 ? 0 : fences[0].timestamp_ns;
}

static void fill_result(const struct drm *drm, const struct drm_triovit_record *record,
			struct tv_backend_result *result)
{
	result->completion = (struct tv_completion){
		.fault = (uint8_t)record->fault,
		.segment = (uint8_t)record->segment,
		.offset = record->offset,
		.command = record->command,
		.executed = record->executed,
		.start = record->start,
		.end = record->end,
		.mat_busy = record->mat_busy,
		.rmac_busy = record->rmac_busy,
		.epilogue_busy = record->epilogue_busy,
		.dma_busy = record->dma_busy,
		.stall_weights = record->stall_weights,
		.stall_operands = record->stall_operands,
	};
	switch (record->status) {
	case 0:
		break;
	case -EIO:
		if (record->fault == TV_FAULT_NONE)
			result->completion.fault = TV_FAULT_BUS;
		break;
	case -ETIMEDOUT:
		result->completion.fault = TV_FAULT_WATCHDOG;
		result->why = "the accelerator made no progress and was reset";
		break;
	case -ENODEV:
		result->status = -ENODEV;
		break;
	default:
		result->status = -ECANCELED;
		result->why = "the accelerator was reset because of another job";
	}
	result->begin = result->end - (record->end - record->start) * 1000000 /
					      drm->backend.info.hardware.clock_khz;
}

static void finish(struct drm *drm, unsigned int index)
{
	struct tv_backend_result *result = &drm->backend.slots[index].result;
	struct drm_triovit_wait wait = { .job = drm->jobs[index].job };

	result->end = end_of(drm->jobs[index].fence);
	/* To close it takes it out of the epoll set: it is nobody else's. */
	close(drm->jobs[index].fence);
	drm->jobs[index].fence = -1;
	if (drm->unplugged || drmIoctl(drm->file->fd, DRM_IOCTL_TRIOVIT_WAIT, &wait) < 0)
		result->status = -ENODEV;
	else
		fill_result(drm, &wait.record, result);
}

static bool has_jobs(const struct drm *drm)
{
	for (unsigned int i = 0; i < TV_BACKEND_CAPACITY; i++)
		if (drm->jobs[i].fence >= 0)
			return true;
	return false;
}

/* The next job of a device that is gone. */
static unsigned int take_lost(struct drm *drm)
{
	unsigned int index = 0;

	while (drm->jobs[index].fence < 0)
		index++;
	return index;
}

static struct tv_backend_slot *drm_finished(struct tv_backend *backend)
{
	struct drm *drm = (struct drm *)backend;
	struct epoll_event event;
	eventfd_t count;
	unsigned int index;

	if (!has_jobs(drm) || epoll_wait(backend->fd, &event, 1, 0) <= 0)
		return NULL;
	index = event.data.u32 == GONE ? take_lost(drm) : event.data.u32;
	finish(drm, index);
	if (drm->unplugged && !has_jobs(drm))
		eventfd_read(drm->gone, &count);
	return &backend->slots[index];
}

static void drm_unplug(struct tv_backend *backend)
{
	struct drm *drm = (struct drm *)backend;

	drm->unplugged = true;
	if (has_jobs(drm))
		eventfd_write(drm->gone, 1);
}

/* --- the device ------------------------------------------------------------------------------ */

static void drm_close(struct tv_backend *backend)
{
	struct drm *drm = (struct drm *)backend;

	for (unsigned int i = 0; i < TV_BACKEND_CAPACITY; i++) {
		if (drm->jobs[i].fence >= 0)
			close(drm->jobs[i].fence);
		if (drm->jobs[i].syncobj)
			drmSyncobjDestroy(drm->file->fd, drm->jobs[i].syncobj);
	}
	if (drm->gone >= 0)
		close(drm->gone);
	if (backend->fd >= 0)
		close(backend->fd);
	file_unref(drm->file);
}

static const struct tv_backend_ops drm_ops = {
	.buffer_new = drm_buffer_new,
	.buffer_import = drm_buffer_import,
	.buffer_done = drm_buffer_done,
	.submit = drm_submit,
	.cancel = drm_cancel,
	.finished = drm_finished,
	.unplug = drm_unplug,
	.close = drm_close,
};

static int get_param(const struct drm *drm, uint32_t param, uint32_t *ret)
{
	struct drm_triovit_get_param get = { .param = param };

	if (drmIoctl(drm->file->fd, DRM_IOCTL_TRIOVIT_GET_PARAM, &get) < 0)
		return -errno;
	*ret = (uint32_t)get.value;
	return 0;
}

static int get_info(struct drm *drm, const char *name, struct tv_error *error)
{
	struct tv_backend_info *info = &drm->backend.info;
	uint32_t contract = 0, target = 0;
	int r;

	r = get_param(drm, DRM_TRIOVIT_PARAM_CONTRACT, &contract);
	if (r >= 0)
		r = get_param(drm, DRM_TRIOVIT_PARAM_TARGET, &target);
	if (r >= 0)
		r = get_param(drm, DRM_TRIOVIT_PARAM_CLOCK, &info->hardware.clock_khz);
	if (r >= 0)
		r = get_param(drm, DRM_TRIOVIT_PARAM_ONCHIP, &info->hardware.onchip);
	if (r < 0)
		return tv_error_set(error, r, "%s: %s", name, strerror(-r));
	info->target = tv_target_by_id((uint16_t)target);
	if (contract != TV_CONTRACT_VERSION || !info->target || !info->hardware.clock_khz)
		return tv_error_set(error, -ENODEV,
				    "%s: contract %u, target %u: not known to this version", name,
				    contract, target);
	info->hardware.target = (uint16_t)target;
	info->driver = "drm";
	info->capacity = TV_BACKEND_CAPACITY;
	snprintf(info->name, sizeof(info->name), "%s %s", name, info->target->name);
	return 0;
}

static int make_waitable(struct drm *drm, struct tv_error *error)
{
	drm->backend.fd = epoll_create1(EPOLL_CLOEXEC);
	drm->gone = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (drm->backend.fd < 0 || drm->gone < 0 || watch(drm, drm->gone, GONE) < 0)
		return fail("epoll", error);
	for (unsigned int i = 0; i < TV_BACKEND_CAPACITY; i++)
		if (drmSyncobjCreate(drm->file->fd, 0, &drm->jobs[i].syncobj) < 0)
			return fail("a fence", error);
	return 0;
}

int tv_backend_open_drm(int fd, const char *name, struct tv_backend **ret, struct tv_error *error)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = NULL;
	struct drm *drm = calloc(1, sizeof(*drm));
	struct file *file = malloc(sizeof(*file));
	int r;

	if (!drm || !file) {
		free(drm);
		free(file);
		close(fd);
		return tv_error_oom(error);
	}
	*file = (struct file){ .references = 1, .fd = fd };
	pthread_mutex_init(&file->lock, NULL);
	TAILQ_INIT(&file->handles);
	drm->file = file;
	drm->gone = drm->backend.fd = -1;
	for (unsigned int i = 0; i < TV_BACKEND_CAPACITY; i++)
		drm->jobs[i].fence = -1;
	backend = &drm->backend;
	backend->ops = &drm_ops;
	r = get_info(drm, name, error);
	if (r >= 0)
		r = make_waitable(drm, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(backend);
	return 0;
}
