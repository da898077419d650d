/* SPDX-License-Identifier: MIT */
/* A device that takes no time: it tells of a job's end when it is given it, as an interrupt would,
 * and has computed nothing. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "daemon/accelerator.h"
#include "daemon/backend-private.h"
#include "tests/bench/daemon-parts.h"

struct instant {
	struct tv_backend backend; /* first */
	struct tv_backend_slot *finished[TV_BACKEND_CAPACITY];
	unsigned int count;
};

static struct tv_accelerator *added;

static int instant_buffer_new(struct tv_backend *backend, size_t size, struct tv_buffer *buffer,
			      struct tv_error *error)
{
	return tv_memory_new("instant", size, &buffer->memory, error);
}

static int instant_buffer_import(struct tv_backend *backend, int fd, size_t size,
				 struct tv_buffer *buffer, struct tv_error *error)
{
	return tv_memory_import(fd, size, buffer->rights & TV_SEGMENT_WRITE, &buffer->memory,
				error);
}

static int instant_submit(struct tv_backend *backend, struct tv_backend_slot *slot)
{
	struct instant *instant = (struct instant *)backend;

	slot->result.begin = slot->result.end = tv_manager_now();
	instant->finished[instant->count++] = slot;
	return eventfd_write(backend->fd, 1);
}

static int instant_cancel(struct tv_backend *backend, struct tv_backend_slot *slot)
{
	return -EBUSY;
}

static struct tv_backend_slot *instant_finished(struct tv_backend *backend)
{
	struct instant *instant = (struct instant *)backend;
	struct tv_backend_slot *first = instant->finished[0];
	eventfd_t count;

	if (!instant->count) {
		eventfd_read(backend->fd, &count);
		return NULL;
	}
	instant->finished[0] = instant->finished[1];
	instant->count--;
	return first;
}

static void instant_unplug(struct tv_backend *backend)
{
}

static void instant_close(struct tv_backend *backend)
{
	close(backend->fd);
}

static const struct tv_backend_ops instant_ops = {
	.buffer_new = instant_buffer_new,
	.buffer_import = instant_buffer_import,
	.submit = instant_submit,
	.cancel = instant_cancel,
	.finished = instant_finished,
	.unplug = instant_unplug,
	.close = instant_close,
};

void bench_add_instant(struct tv_manager *manager)
{
	struct instant *instant = calloc(1, sizeof(*instant));
	struct tv_error error = { 0 };

	bench_must(instant ? 0 : -ENOMEM, "a device");
	instant->backend.ops = &instant_ops;
	instant->backend.fd = bench_must(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
	instant->backend.info = (struct tv_backend_info){
		.name = "instant",
		.driver = "instant",
		.target = tv_target_by_name(BENCH_INSTANT),
		.capacity = TV_BACKEND_CAPACITY,
	};
	bench_must(tv_accelerator_add(manager, &instant->backend, &added, &error), error.text);
}

void bench_trust_instant(void)
{
	added->state = TV_ACCELERATOR_READY;
	tv_scheduler_device_pause(&added->scheduled, false);
}
