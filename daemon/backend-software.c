/* SPDX-License-Identifier: MIT */
/*
 * The model of the accelerator as a device. A thread owns it, with its driver, and does with it
 * what time and memory do with a real one; its bus addresses are addresses of this process. Time on
 * the device stands still while a job is computed, and then jumps to the job's end: what a job's
 * record says of time is the accelerator's.
 *
 * Between that thread and the loop's there are two short lists of slots, under a lock that nobody
 * holds for long.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "daemon/backend-private.h"
#include "rtl-model/device.h"

/* Slots in order. */
struct list {
	struct tv_backend_slot *slots[TV_BACKEND_CAPACITY];
	unsigned int count;
};

struct software {
	struct tv_backend backend; /* first; its fd counts what is in finished */
	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* over this part */
	pthread_cond_t wanted;
	bool stop;
	struct list waiting, finished;
	/* The rest is the thread's. */
	struct tv_device *device;
	struct tv_driver *driver;
	uint8_t *rings;
	size_t rings_size;
	uint64_t clock;
	struct list held; /* jobs that were given to the device */
	struct tv_device_work *work; /* what it has begun and nobody has computed yet, or NULL */
	const char *why; /* the last complaint */
};

_Static_assert(TV_BACKEND_CAPACITY >= TV_RING_ENTRIES_MIN &&
		       !(TV_BACKEND_CAPACITY & (TV_BACKEND_CAPACITY - 1)),
	       "the rings have as many entries as jobs are taken");

static void append(struct list *list, struct tv_backend_slot *slot)
{
	list->slots[list->count++] = slot;
}

static void drop(struct list *list, unsigned int index)
{
	list->count--;
	memmove(&list->slots[index], &list->slots[index + 1],
		(list->count - index) * sizeof(struct tv_backend_slot *));
}

static struct tv_backend_slot *take_first(struct list *list)
{
	struct tv_backend_slot *slot = list->count ? list->slots[0] : NULL;

	if (slot)
		drop(list, 0);
	return slot;
}

static uint64_t host_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- computing ------------------------------------------------------------------------------ */

/* What the device has begun, if anything. */
static void compute(struct software *s)
{
	struct tv_device_work *work = s->work;

	if (!work)
		return;
	s->work = NULL;
	if (!s->held.slots[0]->result.begin)
		s->held.slots[0]->result.begin = host_time();
	tv_device_work_run(work);
}

/* --- the device's host ---------------------------------------------------------------------- */

static bool in_rings(const struct software *s, uint64_t address, size_t size)
{
	uint64_t at = address - (uintptr_t)s->rings;

	return at <= s->rings_size && size <= s->rings_size - at;
}

static int host_read(void *host, uint64_t address, void *ret, size_t size)
{
	if (!in_rings(host, address, size))
		return -EFAULT;
	memcpy(ret, (const void *)(uintptr_t)address, size);
	return 0;
}

static int host_write(void *host, uint64_t address, const void *data, size_t size)
{
	if (!in_rings(host, address, size))
		return -EFAULT;
	memcpy((void *)(uintptr_t)address, data, size);
	return 0;
}

static uint64_t segment_address(const struct tv_backend_segment *segment)
{
	return (uintptr_t)(tv_buffer_data(segment->buffer) + segment->offset);
}

/* There is no memory but what was given to the jobs that the device has. */
static const struct tv_backend_segment *find_segment(const struct software *s, uint64_t address,
						     uint32_t size, uint32_t rights)
{
	for (unsigned int i = 0; i < s->held.count; i++)
		for (unsigned int j = 0; j < TV_SEGMENT_COUNT; j++) {
			const struct tv_backend_segment *segment =
				&s->held.slots[i]->job.segment[j];

			if (segment->buffer && !(rights & ~segment->rights) &&
			    segment_address(segment) == address && segment->size >= size)
				return segment;
		}
	return NULL;
}

static uint32_t host_map(void *host, uint64_t address, uint32_t size, uint32_t rights,
			 uint8_t **ret)
{
	const struct tv_backend_segment *segment = find_segment(host, address, size, rights);

	if (!segment)
		return 0;
	*ret = tv_buffer_data(segment->buffer) + segment->offset;
	return size;
}

/* Buffers are held until their job's result. */
static void host_unmap(void *host, uint8_t *data, uint32_t size, uint32_t rights)
{
}

static uint64_t host_constant(void *host, uint64_t address, uint32_t size)
{
	const struct tv_backend_segment *segment =
		find_segment(host, address, size, TV_SEGMENT_READ);

	return segment ? segment->buffer->constant : 0;
}

/* The thread looks for records by itself. */
static void host_interrupt(void *host, bool level)
{
}

static uint64_t host_clock(void *host)
{
	return ((struct software *)host)->clock;
}

static void host_start(void *host, struct tv_device_work *work)
{
	((struct software *)host)->work = work;
}

static void host_join(void *host, struct tv_device_work *work)
{
	/* Nothing to be done but where a reset has come in between. */
	compute(host);
}

static void host_complain(void *host, const char *what)
{
	((struct software *)host)->why = what;
}

static const struct tv_device_host device_host = {
	.read = host_read,
	.write = host_write,
	.map = host_map,
	.unmap = host_unmap,
	.constant = host_constant,
	.interrupt = host_interrupt,
	.clock = host_clock,
	.start = host_start,
	.join = host_join,
	.complain = host_complain,
};

static uint32_t bus_read(void *bus, uint32_t offset)
{
	return tv_device_read(((struct software *)bus)->device, offset);
}

static void bus_write(void *bus, uint32_t offset, uint32_t value)
{
	tv_device_write(((struct software *)bus)->device, offset, value);
}

static void bus_pause(void *bus)
{
	((struct software *)bus)->clock++;
}

static const struct tv_driver_bus driver_bus = {
	.read = bus_read,
	.write = bus_write,
	.pause = bus_pause,
};

/* --- the thread ----------------------------------------------------------------------------- */

/* Says that there are more in finished. Not under the lock, which the loop that it wakes takes. */
static void tell(struct software *s, unsigned int count)
{
	/* Cannot be full. */
	eventfd_write(s->backend.fd, count);
}

/* Under the lock. */
static void finish(struct software *s, struct tv_backend_slot *slot, int status)
{
	slot->result.status = status;
	append(&s->finished, slot);
}

/* The next job that waits. With wait it comes some time; NULL: there is none, or the end. */
static struct tv_backend_slot *next_job(struct software *s, bool wait)
{
	struct tv_backend_slot *slot;

	pthread_mutex_lock(&s->lock);
	while (wait && !s->stop && !s->waiting.count)
		pthread_cond_wait(&s->wanted, &s->lock);
	slot = s->stop ? NULL : take_first(&s->waiting);
	pthread_mutex_unlock(&s->lock);
	return slot;
}

static void give(struct software *s, struct tv_backend_slot *slot)
{
	struct tv_descriptor descriptor = { .job = slot->job.cookie };
	uint32_t index;

	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		const struct tv_backend_segment *segment = &slot->job.segment[i];

		if (segment->buffer)
			descriptor.segment[i] = (struct tv_segment){
				.base = segment_address(segment),
				.size = segment->size,
				.rights = segment->rights,
			};
	}
	/* An idle device begins at once, by decoding the program. */
	if (!s->held.count)
		slot->result.begin = host_time();
	/* Before the device looks for its memory. */
	append(&s->held, slot);
	/* There is an entry for each slot. */
	(void)tv_driver_submit(s->driver, &descriptor, &index);
}

/* Lets time on the device go to the end of the job that it runs. False: no record came of it. */
static bool advance(struct software *s)
{
	struct tv_backend_slot *slot = s->held.slots[0];

	s->why = NULL;
	s->clock = tv_device_next(s->device);
	tv_device_advance(s->device);
	(void)tv_driver_interrupt(s->driver);
	if (!tv_driver_take(s->driver, &slot->result.completion))
		return false;
	if (slot->result.completion.fault != TV_FAULT_NONE)
		slot->result.why = s->why;
	slot->result.end = host_time();
	/* A job that the device refused has taken no time. */
	if (!slot->result.begin)
		slot->result.begin = slot->result.end;
	drop(&s->held, 0);
	pthread_mutex_lock(&s->lock);
	finish(s, slot, 0);
	pthread_mutex_unlock(&s->lock);
	tell(s, 1);
	return true;
}

static bool stopped(struct software *s)
{
	bool stop;

	pthread_mutex_lock(&s->lock);
	stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return stop;
}

/* From the end of one job to that of the next; false: the end of all. */
static bool step(struct software *s)
{
	struct tv_backend_slot *slot;

	if (!s->held.count) {
		slot = next_job(s, true);
		if (!slot)
			return false;
		give(s, slot);
	}
	compute(s);
	/* As late as the device can use it, since what it has cannot be cancelled: it brings in
	 * this one's weights while it runs the other. */
	slot = next_job(s, false);
	if (slot)
		give(s, slot);
	return !stopped(s) && advance(s);
}

static void *run(void *argument)
{
	const struct sched_param priority = { .sched_priority = 0 };
	struct software *s = argument;
	struct tv_backend_slot *slot;
	unsigned int lost = 0;

	/* So that it does not take the processor from the loop by waking up. */
	(void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &priority);
	while (step(s))
		;
	tv_driver_free(TV_TAKE_PTR(s->driver));
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	while ((slot = take_first(&s->held)))
		finish(s, slot, -ENODEV), lost++;
	while ((slot = take_first(&s->waiting)))
		finish(s, slot, -ENODEV), lost++;
	pthread_mutex_unlock(&s->lock);
	tell(s, lost);
	return NULL;
}

/* --- the loop's side ------------------------------------------------------------------------ */

static int software_buffer_new(struct tv_backend *backend, size_t size, struct tv_buffer *buffer,
			       struct tv_error *error)
{
	return tv_memory_new("triovit", size, &buffer->memory, error);
}

static int software_buffer_import(struct tv_backend *backend, int fd, size_t size,
				  struct tv_buffer *buffer, struct tv_error *error)
{
	static atomic_uint_least64_t last;
	int r = tv_memory_import(fd, size, buffer->rights & TV_SEGMENT_WRITE, &buffer->memory,
				 error);

	if (r >= 0 && tv_memory_sealed(buffer->memory.fd, TV_SEALS_FROZEN))
		buffer->constant = atomic_fetch_add(&last, 1) + 1;
	return r;
}

static int software_submit(struct tv_backend *backend, struct tv_backend_slot *slot)
{
	struct software *s = (struct software *)backend;
	int r = 0;

	pthread_mutex_lock(&s->lock);
	if (s->stop)
		r = -ENODEV;
	else
		append(&s->waiting, slot);
	pthread_mutex_unlock(&s->lock);
	pthread_cond_signal(&s->wanted);
	return r;
}

static int software_cancel(struct tv_backend *backend, struct tv_backend_slot *slot)
{
	struct software *s = (struct software *)backend;
	int r = -EBUSY;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < s->waiting.count; i++)
		if (s->waiting.slots[i] == slot) {
			drop(&s->waiting, i);
			finish(s, slot, -ECANCELED);
			r = 0;
			break;
		}
	pthread_mutex_unlock(&s->lock);
	if (r >= 0)
		tell(s, 1);
	return r;
}

static struct tv_backend_slot *software_finished(struct tv_backend *backend)
{
	struct software *s = (struct software *)backend;
	struct tv_backend_slot *slot = NULL;
	eventfd_t one;

	pthread_mutex_lock(&s->lock);
	/* What was not told of yet is for another time. */
	if (s->finished.count && eventfd_read(backend->fd, &one) >= 0)
		slot = take_first(&s->finished);
	pthread_mutex_unlock(&s->lock);
	return slot;
}

static void software_unplug(struct tv_backend *backend)
{
	struct software *s = (struct software *)backend;

	pthread_mutex_lock(&s->lock);
	s->stop = true;
	tv_device_cancel(s->device);
	pthread_cond_signal(&s->wanted);
	pthread_mutex_unlock(&s->lock);
}

static void software_close(struct tv_backend *backend)
{
	struct software *s = (struct software *)backend;

	if (s->running) {
		software_unplug(backend);
		pthread_join(s->thread, NULL);
	}
	tv_driver_free(s->driver);
	tv_device_free(s->device);
	free(s->rings);
	if (backend->fd >= 0)
		close(backend->fd);
	pthread_cond_destroy(&s->wanted);
	pthread_mutex_destroy(&s->lock);
}

static const struct tv_backend_ops software_ops = {
	.buffer_new = software_buffer_new,
	.buffer_import = software_buffer_import,
	.submit = software_submit,
	.cancel = software_cancel,
	.finished = software_finished,
	.unplug = software_unplug,
	.close = software_close,
};

/* Signals are for the loop's thread. */
static int start_thread(struct software *s, struct tv_error *error)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return tv_error_set(error, -r, "a thread: %s", strerror(r));
	s->running = true;
	return 0;
}

static int open_device(struct software *s, const struct tv_target *target, struct tv_error *error)
{
	struct tv_driver_rings rings = { .entries = TV_BACKEND_CAPACITY };
	int r;

	s->rings_size = tv_driver_rings_size(rings.entries);
	s->rings = aligned_alloc(TV_DESCRIPTOR_SIZE, s->rings_size);
	if (!s->rings)
		return tv_error_oom(error);
	rings.memory = s->rings;
	rings.address = (uintptr_t)s->rings;
	r = tv_device_new(target, 64, &device_host, s, &s->device, error);
	return r < 0 ? r : tv_driver_new(&driver_bus, s, &rings, &s->driver, error);
}

int tv_backend_open_software(const struct tv_target *target, struct tv_backend **ret,
			     struct tv_error *error)
{
	struct software *s = calloc(1, sizeof(*s));
	_cleanup_(tv_backend_closep) struct tv_backend *backend = NULL;
	int r;

	if (!s)
		return tv_error_oom(error);
	backend = &s->backend;
	backend->ops = &software_ops;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wanted, NULL);
	backend->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (backend->fd < 0)
		return tv_error_set(error, -errno, "eventfd: %s", strerror(errno));
	r = open_device(s, target, error);
	if (r < 0)
		return r;
	backend->info = (struct tv_backend_info){
		.driver = "software",
		.target = target,
		.hardware = *tv_driver_info(s->driver),
		.capacity = TV_BACKEND_CAPACITY,
	};
	snprintf(backend->info.name, sizeof(backend->info.name), "software %s", target->name);
	r = start_thread(s, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(backend);
	return 0;
}
