/* SPDX-License-Identifier: MIT */
/* Devices of the daemon, jobs for them, and what a process holds. */
#ifndef TV_TESTS_BACKEND_JOBS_H
#define TV_TESTS_BACKEND_JOBS_H

#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include <triovit/golden.h>

#include "daemon/backend.h"
#include "tests/unit/directory.h"
#include "tests/unit/unit.h"

#define READ  TV_SEGMENT_READ
#define WRITE (TV_SEGMENT_READ | TV_SEGMENT_WRITE)

static inline struct tv_backend *backend_open(const char *target)
{
	struct tv_backend *backend = NULL;
	struct tv_error error = { 0 };
	int r = tv_backend_open_software(tv_target_by_name(target), &backend, &error);

	tv_assert_ok(r, error);
	return backend;
}

static inline struct tv_buffer *backend_buffer(struct tv_backend *backend, size_t size)
{
	struct tv_buffer *buffer = NULL;
	struct tv_error error = { 0 };
	int r = tv_backend_buffer_new(backend, size, &buffer, &error);

	tv_assert_ok(r, error);
	ck_assert_uint_eq(tv_buffer_size(buffer), size);
	return buffer;
}

/* --- results -------------------------------------------------------------------------------- */

#define RESULTS_MAX 16

struct results {
	struct tv_backend_result result[RESULTS_MAX];
	unsigned int count;
};

static inline void results_add(const struct tv_backend_result *result, void *userdata)
{
	struct results *results = userdata;

	ck_assert_uint_lt(results->count, RESULTS_MAX);
	results->result[results->count++] = *result;
}

static inline bool backend_readable(struct tv_backend *backend, int timeout)
{
	struct pollfd pollfd = { .fd = tv_backend_fd(backend), .events = POLLIN };

	return poll(&pollfd, 1, timeout) == 1;
}

/* Waits until there are so many results altogether. */
static inline void results_wait(struct results *results, struct tv_backend *backend,
				unsigned int count)
{
	while (results->count < count) {
		ck_assert(backend_readable(backend, -1));
		tv_backend_dispatch(backend, results_add, results);
	}
	ck_assert_uint_eq(results->count, count);
}

/* --- the golden job ------------------------------------------------------------------------- */

struct golden {
	struct tv_buffer *buffer; /* the test's reference */
	struct tv_backend_job job;
};

static inline struct golden golden_make(struct tv_backend *backend, uint64_t cookie)
{
	static const uint32_t sizes[] = { TV_GOLDEN_PROGRAM_SIZE, TV_GOLDEN_WEIGHTS_SIZE,
					  TV_GOLDEN_INPUT_SIZE, TV_GOLDEN_OUTPUT_SIZE,
					  TV_GOLDEN_SCRATCH_SIZE };
	struct golden golden = { backend_buffer(backend, 5 * 8192), { .cookie = cookie } };
	uint8_t *data = tv_buffer_data(golden.buffer);

	for (unsigned int i = 0; i < TV_ARRAY_SIZE(sizes); i++)
		golden.job.segment[i] = (struct tv_backend_segment){
			.buffer = golden.buffer,
			.offset = i * 8192u,
			.size = sizes[i],
			.rights = i < TV_SEGMENT_OUTPUT ? READ : WRITE,
		};
	tv_golden_build(tv_backend_info(backend)->hardware.target, data, data + 8192,
			data + 2 * 8192);
	return golden;
}

static inline void golden_check(const struct golden *golden)
{
	const struct tv_backend_segment *output = &golden->job.segment[TV_SEGMENT_OUTPUT];

	ck_assert(tv_golden_digest(tv_buffer_data(output->buffer) + output->offset) ==
		  TV_GOLDEN_DIGEST);
}

static inline void backend_submit(struct tv_backend *backend, const struct tv_backend_job *job)
{
	struct tv_error error = { 0 };
	int r = tv_backend_submit(backend, job, &error);

	tv_assert_ok(r, error);
}

/* That the device does what it should, whatever went before. */
static inline void backend_still_works(struct tv_backend *backend)
{
	struct golden golden = golden_make(backend, 77);
	struct results results = { .count = 0 };

	backend_submit(backend, &golden.job);
	results_wait(&results, backend, 1);
	ck_assert_int_eq(results.result[0].status, 0);
	ck_assert_uint_eq(results.result[0].cookie, 77);
	ck_assert_uint_eq(results.result[0].completion.fault, TV_FAULT_NONE);
	golden_check(&golden);
	tv_buffer_unref(golden.buffer);
}

/* --- a job that takes seconds ------------------------------------------------------------------
 */

enum {
	LONG_COMMANDS = 500,
	LONG_SIDE = 64,
	LONG_CHANNELS = 64,
	LONG_BYTES = LONG_SIDE * LONG_SIDE * LONG_CHANNELS,
	LONG_ZERO = 55, /* every value that it puts out */
};

struct long_job {
	struct tv_buffer *buffer;
	struct tv_backend_job job;
	volatile uint8_t *seen; /* the last byte of the first row that it writes, mapped again */
};

static inline struct long_job long_make(struct tv_backend *backend, uint64_t cookie)
{
	const struct tv_command command = {
		.opcode = TV_OP_CONV,
		.images = 1,
		.height = LONG_SIDE,
		.width = LONG_SIDE,
		.channels = LONG_CHANNELS,
		.out_channels = LONG_CHANNELS,
		.groups = 1,
		.input = { 0, LONG_CHANNELS, TV_SEGMENT_INPUT, TV_FORMAT_INT8 },
		.output = { 0, LONG_CHANNELS, TV_SEGMENT_OUTPUT, TV_FORMAT_INT8 },
		.shortcut.segment = TV_SEGMENT_NONE,
		.weights = { 0, 0, TV_SEGMENT_WEIGHTS, 0 },
		.stage[0] = { 7, 1, TV_STAGE_LINEAR, 0, LONG_ZERO, 0 },
	};
	const struct tv_program_header header = {
		.magic = TV_PROGRAM_MAGIC,
		.contract = TV_CONTRACT_VERSION,
		.target = tv_backend_info(backend)->hardware.target,
		.commands = LONG_COMMANDS,
		.images = 1,
		.writable = 1u << TV_SEGMENT_OUTPUT,
		.segment = { TV_PROGRAM_HEADER_SIZE + LONG_COMMANDS * TV_COMMAND_SIZE,
			     (uint32_t)tv_weights_layout(&command).size, LONG_BYTES, LONG_BYTES },
	};
	struct long_job made = { .job.cookie = cookie };
	size_t size = 0;
	uint8_t *data;

	for (unsigned int i = 0; i <= TV_SEGMENT_OUTPUT; i++) {
		made.job.segment[i] = (struct tv_backend_segment){
			.offset = size,
			.size = header.segment[i],
			.rights = i == TV_SEGMENT_OUTPUT ? WRITE : READ,
		};
		size += (header.segment[i] + 4095) / 4096 * 4096;
	}
	made.buffer = backend_buffer(backend, size);
	for (unsigned int i = 0; i <= TV_SEGMENT_OUTPUT; i++)
		made.job.segment[i].buffer = made.buffer;
	data = tv_buffer_data(made.buffer);
	tv_encode_program_header(&header, data);
	for (unsigned int i = 0; i < LONG_COMMANDS; i++)
		tv_encode_command(&command,
				  data + TV_PROGRAM_HEADER_SIZE + (size_t)i * TV_COMMAND_SIZE);
	/* A mapping of its own: a tool that looks for races is told of none. */
	data = mmap(NULL, size, PROT_READ, MAP_SHARED, tv_buffer_fd(made.buffer), 0);
	ck_assert_ptr_ne(data, MAP_FAILED);
	made.seen = data + made.job.segment[TV_SEGMENT_OUTPUT].offset + LONG_CHANNELS - 1;
	return made;
}

/* The device is in the middle of it. */
static inline void long_wait(const struct long_job *job)
{
	while (*job->seen != LONG_ZERO)
		sched_yield();
}

static inline void long_done(struct long_job *job)
{
	size_t before = job->job.segment[TV_SEGMENT_OUTPUT].offset + LONG_CHANNELS - 1;

	munmap((void *)(job->seen - before), tv_buffer_size(job->buffer));
	tv_buffer_unref(job->buffer);
}

#endif
