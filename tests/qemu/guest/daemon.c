// SPDX-License-Identifier: MIT
/* The daemon's side of the driver: daemon/backend-drm.c on a device that is there. */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/backend.h"
#include "tests/qemu/guest/guest.h"

#define LONG 60000 /* ms */

/* Fails with what was said. */
#define check_ok(call)                                                                             \
	do {                                                                                       \
		struct tv_error error = { 0 };                                                     \
		if ((call) < 0)                                                                    \
			guest_fail(__FILE__, __LINE__, "%s: %s", #call, error.text);               \
	} while (0)

static struct tv_backend *open_backend(const char *device)
{
	int fd = guest_try_open(device);
	struct tv_backend *backend = NULL;

	check(fd >= 0);
	check_ok(tv_backend_open_drm(fd, device, &backend, &error));
	return backend;
}

/* --- jobs ------------------------------------------------------------------------------------ */

struct results {
	unsigned int count;
	struct tv_backend_result result[8];
};

static void add_result(const struct tv_backend_result *result, void *userdata)
{
	struct results *results = userdata;

	results->result[results->count++] = *result;
}

static void wait_for(struct results *results, struct tv_backend *backend, unsigned int count)
{
	while (results->count < count) {
		struct pollfd event = { .fd = tv_backend_fd(backend), .events = POLLIN };

		check_int(poll(&event, 1, LONG), 1);
		tv_backend_dispatch(backend, add_result, results);
	}
	/* Nothing more, and nothing that says so. */
	check_int(poll(&(struct pollfd){ .fd = tv_backend_fd(backend), .events = POLLIN }, 1, 0),
		  0);
}

/* NAME.job of the initial file system in a buffer of the device's. */
static struct tv_backend_job make_job(struct tv_backend *backend, const char *name, uint64_t cookie)
{
	struct tv_backend_job job = { .cookie = cookie };
	struct tv_buffer *buffer = NULL;
	struct tv_descriptor from;
	uint64_t size = 0;
	size_t dump_size;
	char path[64];
	uint8_t *dump;

	snprintf(path, sizeof(path), "/jobs/%s.job", name);
	dump = guest_load(path, &dump_size);
	check(dump);
	check_int(tv_decode_descriptor(dump + TV_DUMP_DESCRIPTOR, &from), 0);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		job.segment[i].offset = size;
		job.segment[i].size = from.segment[i].size;
		job.segment[i].rights = from.segment[i].rights;
		size = (size + from.segment[i].size + 63) & ~63ull;
	}
	check_ok(tv_backend_buffer_new(backend, size, &buffer, &error));
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		if (!from.segment[i].size)
			continue;
		job.segment[i].buffer = buffer;
		memcpy(tv_buffer_data(buffer) + job.segment[i].offset,
		       dump + tv_dump_segment(&from, i), from.segment[i].size);
	}
	free(dump);
	return job;
}

static uint8_t *output_of(const struct tv_backend_job *job)
{
	const struct tv_backend_segment *segment = &job->segment[TV_SEGMENT_OUTPUT];

	return tv_buffer_data(segment->buffer) + segment->offset;
}

static void done(const struct tv_backend_job *job)
{
	tv_buffer_unref(job->segment[0].buffer);
}

static void check_network(const struct tv_backend_job *job)
{
	size_t size;
	uint8_t *expected = guest_load("/jobs/network.out", &size);

	check(expected && size == job->segment[TV_SEGMENT_OUTPUT].size);
	check(!memcmp(output_of(job), expected, size));
	free(expected);
}

/* --- the tests ------------------------------------------------------------------------------- */

static void identity(void)
{
	struct tv_backend *backend = open_backend(GUEST_FIRST);
	const struct tv_backend_info *info = tv_backend_info(backend);
	struct results results = { 0 };

	check(!strcmp(info->driver, "drm"));
	check(!strcmp(info->target->name, GUEST_TARGET));
	check(!strcmp(info->name, GUEST_FIRST " " GUEST_TARGET));
	check_int(info->hardware.clock_khz, info->target->clock_mhz * 1000);
	check_int(info->hardware.onchip, info->target->onchip);
	check_ok(tv_backend_selftest(backend, 7, &error));
	wait_for(&results, backend, 1);
	check_int(results.result[0].cookie, 7);
	check_int(results.result[0].status, 0);
	tv_backend_close(backend);
}

static void network(void)
{
	struct tv_backend *backend = open_backend(GUEST_FIRST);
	struct tv_backend_job jobs[2] = { make_job(backend, "network", 1),
					  make_job(backend, "network", 2) };
	struct results results = { 0 };
	struct tv_error refused = { 0 };

	for (unsigned int i = 0; i < 2; i++)
		check_ok(tv_backend_submit(backend, &jobs[i], &error));
	check_int(tv_backend_submit(backend, &jobs[0], &refused), -EBUSY);
	check_int(tv_backend_cancel(backend, 2), -EBUSY);
	wait_for(&results, backend, 2);
	for (unsigned int i = 0; i < 2; i++) {
		const struct tv_backend_result *result = &results.result[i];

		check_int(result->status, 0);
		check_int(result->cookie, i + 1);
		check_int(result->completion.fault, TV_FAULT_NONE);
		check(result->completion.end > result->completion.start);
		check(result->begin && result->begin < result->end);
		check_network(&jobs[i]);
		done(&jobs[i]);
	}
	tv_backend_close(backend);
}

static void fault(void)
{
	struct tv_backend *backend = open_backend(GUEST_FIRST);
	struct tv_backend_job job = make_job(backend, "network", 1);
	struct results results = { 0 };

	job.segment[TV_SEGMENT_OUTPUT].rights = TV_SEGMENT_READ;
	check_ok(tv_backend_submit(backend, &job, &error));
	wait_for(&results, backend, 1);
	check_int(results.result[0].status, 0);
	check_int(results.result[0].completion.fault, TV_FAULT_BAD_JOB);
	/* It goes on. */
	job.segment[TV_SEGMENT_OUTPUT].rights |= TV_SEGMENT_WRITE;
	check_ok(tv_backend_submit(backend, &job, &error));
	wait_for(&results, backend, 2);
	check_network(&job);
	done(&job);
	tv_backend_close(backend);
}

/* Memory of one device is memory of the other. */
static void two_devices(void)
{
	struct tv_backend *first = open_backend(GUEST_FIRST), *second = open_backend(GUEST_SECOND);
	struct tv_backend_job job = make_job(first, "network", 1);
	struct results results = { 0 };

	for (unsigned int i = 0; i < 2; i++) {
		memset(output_of(&job), 0, job.segment[TV_SEGMENT_OUTPUT].size);
		check_ok(tv_backend_submit(second, &job, &error));
		wait_for(&results, second, i + 1);
		check_network(&job);
	}
	/* The buffer outlives them. */
	tv_backend_close(first);
	tv_backend_close(second);
	check_network(&job);
	done(&job);
}

/* What a client hands back is what it was given: to let go of it leaves the session's own alone. */
static void import(void)
{
	struct tv_backend *backend = open_backend(GUEST_FIRST);
	struct tv_backend_job job = make_job(backend, "network", 1);
	struct tv_buffer *own = job.segment[0].buffer, *again = NULL;
	struct tv_error refused = { 0 };
	struct results results = { 0 };
	int memory = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	check_int(ftruncate(memory, 1 << 20), 0);
	check_int(tv_backend_buffer_import(backend, memory, 0, TV_SEGMENT_READ, &again, &refused),
		  -EOPNOTSUPP);
	check_int(tv_backend_buffer_import(backend, tv_buffer_fd(own), tv_buffer_size(own) + 8192,
					   TV_SEGMENT_READ, &again, NULL),
		  -EBADF);
	check_ok(tv_backend_buffer_import(backend, tv_buffer_fd(own), 4096,
					  TV_SEGMENT_READ | TV_SEGMENT_WRITE, &again, &error));
	check_int(tv_buffer_size(again), 4096);
	check(!memcmp(tv_buffer_data(again), tv_buffer_data(own), 4096));
	tv_buffer_unref(again);
	check_ok(tv_backend_submit(backend, &job, &error));
	wait_for(&results, backend, 1);
	check_int(results.result[0].status, 0);
	check_network(&job);
	done(&job);
	tv_backend_close(backend);
	close(memory);
}

static void unplug(void)
{
	struct tv_backend *backend = open_backend(GUEST_FIRST);
	struct tv_backend_job jobs[2] = { make_job(backend, "network", 1),
					  make_job(backend, "network", 2) };
	struct results results = { 0 };
	struct tv_error refused = { 0 };

	for (unsigned int i = 0; i < 2; i++)
		check_ok(tv_backend_submit(backend, &jobs[i], &error));
	guest_write(GUEST_DRIVER "/unbind", GUEST_FIRST);
	tv_backend_unplug(backend);
	wait_for(&results, backend, 2);
	for (unsigned int i = 0; i < 2; i++) {
		check_int(results.result[i].status, -ENODEV);
		/* The daemon may be about to read an output: it must still be there. */
		check(output_of(&jobs[i])[0] || true);
	}
	check_int(tv_backend_submit(backend, &jobs[0], &refused), -ENODEV);
	for (unsigned int i = 0; i < 2; i++)
		done(&jobs[i]);
	tv_backend_close(backend);
	guest_write(GUEST_DRIVER "/bind", GUEST_FIRST);
	identity();
}

static const struct guest_test tests[] = {
	{ "daemon: what the device says of itself, and its self-test", identity },
	{ "daemon: two runs of the demo network: the functional model's bits", network },
	{ "daemon: a fault is a result", fault },
	{ "daemon: memory of one device on the other", two_devices },
	{ "daemon: memory that comes back, and memory that is refused", import },
	{ "daemon: a device that goes", unplug },
	{ NULL, NULL },
};

int main(void)
{
	return !guest_run_all((const struct guest_test *const[]){ tests, NULL });
}
