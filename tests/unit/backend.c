/* SPDX-License-Identifier: MIT */
/* Devices as the daemon uses them: jobs and their results, whatever happens in between. */
#include "daemon/backend-private.h"
#include "quantizer/integer.h"
#include "tests/unit/backend-jobs.h"
#include "tests/unit/package-make.h"

static const char *const targets[] = { "zcu102", "kv260", "zc706", "zynq7020" };

START_TEST(identity)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open(targets[_i]);
	const struct tv_backend_info *info = tv_backend_info(backend);

	ck_assert_str_eq(info->driver, "software");
	ck_assert_str_eq(info->target->name, targets[_i]);
	ck_assert_uint_eq(info->hardware.target, info->target->id);
	ck_assert_uint_eq(info->hardware.onchip, info->target->onchip);
	ck_assert_uint_eq(info->hardware.clock_khz, info->target->clock_mhz * 1000u);
	ck_assert_uint_eq(info->hardware.address_bits, 64);
	ck_assert_uint_eq(info->capacity, 2);
	ck_assert(strstr(info->name, targets[_i]));
}
END_TEST

/* --- results -------------------------------------------------------------------------------- */

START_TEST(selftest)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open(targets[_i]);
	struct results results = { .count = 0 };
	struct tv_error error = { 0 };

	tv_assert_ok(tv_backend_selftest(backend, 41, &error), error);
	tv_assert_ok(tv_backend_selftest(backend, 42, &error), error);
	ck_assert_int_eq(tv_backend_selftest(backend, 43, &error), -EBUSY);
	results_wait(&results, backend, 2);
	for (unsigned int i = 0; i < 2; i++) {
		const struct tv_backend_result *result = &results.result[i];

		ck_assert_int_eq(result->status, 0);
		ck_assert_uint_eq(result->cookie, 41 + i);
		ck_assert_uint_eq(result->completion.executed, TV_GOLDEN_COMMANDS);
		ck_assert(result->begin && result->begin <= result->end);
	}
	ck_assert(!backend_readable(backend, 0));
}
END_TEST

/* The time on the device is the accelerator's: the next job follows without a gap. */
START_TEST(records)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zcu102");
	struct golden goldens[2] = { golden_make(backend, 1), golden_make(backend, UINT64_MAX) };
	struct results results = { .count = 0 };
	const struct tv_completion *first = &results.result[0].completion,
				   *second = &results.result[1].completion;

	backend_submit(backend, &goldens[0].job);
	results_wait(&results, backend, 1);
	golden_check(&goldens[0]);
	ck_assert_uint_gt(first->end, first->start);
	ck_assert_uint_eq(first->job, 1);
	backend_submit(backend, &goldens[1].job);
	results_wait(&results, backend, 2);
	golden_check(&goldens[1]);
	/* After an idle time the device is as it was. */
	ck_assert_uint_eq(second->end - second->start, first->end - first->start);
	ck_assert_uint_ge(second->start, first->end);
	ck_assert_uint_eq(second->job, UINT64_MAX);
	ck_assert_uint_eq(results.result[1].cookie, UINT64_MAX);
	tv_buffer_unref(goldens[0].buffer);
	tv_buffer_unref(goldens[1].buffer);
}
END_TEST

/* A job that is there before the one ahead of it has ended finds its weights on chip. When that is
 * so is the scheduler's to say: it is tried until it was. */
START_TEST(follows)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zcu102");
	struct golden golden = golden_make(backend, 1);
	bool warm = false;

	while (!warm) {
		struct results results = { .count = 0 };
		const struct tv_completion *first = &results.result[0].completion,
					   *second = &results.result[1].completion;

		backend_submit(backend, &golden.job);
		backend_submit(backend, &golden.job);
		results_wait(&results, backend, 2);
		ck_assert_uint_eq(second->start, first->end);
		ck_assert_uint_le(second->end - second->start, first->end - first->start);
		warm = second->end - second->start < first->end - first->start;
	}
	golden_check(&golden);
	tv_buffer_unref(golden.buffer);
}
END_TEST

/* --- a network on two devices ----------------------------------------------------------------- */

#define JOBS 6

struct network {
	struct tv_backend *backend;
	struct tv_package *package;
	struct tv_buffer *buffer;
	struct tv_backend_job job;
	size_t image;
	struct results results;
	uint64_t random;
	uint8_t *inputs; /* of all jobs */
	int16_t *logits; /* of all jobs */
};

static void network_begin(struct network *n, const char *target, unsigned int images)
{
	const struct package_of of = { target, images };
	const struct tv_program_header *header;
	size_t size = 0;

	*n = (struct network){ .backend = backend_open(target), .random = images };
	n->package = package_make(&package_small, PACKAGE_SMALL_SIZE, &of, 1);
	header = &n->package->programs[0].header;
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		if (!header->segment[i])
			continue;
		n->job.segment[i] = (struct tv_backend_segment){
			.offset = size,
			.size = header->segment[i],
			.rights = header->writable >> i & 1 ? WRITE : READ,
		};
		size += (header->segment[i] + 63) / 64 * 64;
	}
	n->buffer = backend_buffer(n->backend, size);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		if (n->job.segment[i].size)
			n->job.segment[i].buffer = n->buffer;
	memcpy(tv_buffer_data(n->buffer) + n->job.segment[0].offset,
	       n->package->programs[0].program, header->segment[0]);
	memcpy(tv_buffer_data(n->buffer) + n->job.segment[1].offset,
	       n->package->programs[0].weights, header->segment[1]);
	n->image = header->segment[TV_SEGMENT_INPUT];
	n->inputs = malloc(JOBS * n->image);
	n->logits = malloc(JOBS * header->segment[TV_SEGMENT_OUTPUT]);
	ck_assert(n->inputs && n->logits);
}

static void network_submit(struct network *n, unsigned int job)
{
	uint8_t *input = n->inputs + job * n->image;

	for (size_t i = 0; i < n->image; i++)
		input[i] = (uint8_t)tv_unit_random(&n->random);
	memcpy(tv_buffer_data(n->buffer) + n->job.segment[TV_SEGMENT_INPUT].offset, input,
	       n->image);
	n->job.cookie = job;
	backend_submit(n->backend, &n->job);
}

static void network_take(struct network *n, unsigned int job)
{
	const struct tv_backend_segment *output = &n->job.segment[TV_SEGMENT_OUTPUT];

	results_wait(&n->results, n->backend, job + 1);
	ck_assert_int_eq(n->results.result[job].status, 0);
	ck_assert_uint_eq(n->results.result[job].cookie, job);
	ck_assert_uint_eq(n->results.result[job].completion.fault, TV_FAULT_NONE);
	memcpy((uint8_t *)n->logits + job * output->size,
	       tv_buffer_data(n->buffer) + output->offset, output->size);
}

/* Against the functional model by itself. */
static void network_check(struct network *n)
{
	const struct tv_package_program *program = &n->package->programs[0];
	const uint32_t size = program->header.segment[TV_SEGMENT_OUTPUT];
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = NULL;
	_cleanup_free_ int16_t *expected = malloc(size);
	struct tv_error error = { 0 };

	tv_assert_ok(tv_integer_runner_new(n->package, program, NULL, &runner, &error), error);
	for (unsigned int job = 0; job < JOBS; job++) {
		tv_assert_ok(tv_integer_run(runner, n->inputs + job * n->image,
					    program->header.images, NULL, NULL, expected, NULL,
					    &error),
			     error);
		ck_assert_mem_eq((uint8_t *)n->logits + job * size, expected, size);
	}
}

static void network_end(struct network *n)
{
	tv_backend_close(n->backend);
	tv_buffer_unref(n->buffer);
	tv_package_free(n->package);
	free(n->inputs);
	free(n->logits);
}

START_TEST(two_networks)
{
	struct network networks[2];

	network_begin(&networks[0], "zcu102", 3);
	network_begin(&networks[1], "zynq7020", 1);
	for (unsigned int job = 0; job < JOBS; job++) {
		for (unsigned int i = 0; i < 2; i++)
			network_submit(&networks[i], job);
		for (unsigned int i = 0; i < 2; i++)
			network_take(&networks[i], job);
	}
	for (unsigned int i = 0; i < 2; i++) {
		network_check(&networks[i]);
		network_end(&networks[i]);
	}
}
END_TEST

/* --- the queue ------------------------------------------------------------------------------ */

START_TEST(full)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zcu102");
	struct long_job busy = long_make(backend, 1);
	struct golden golden = golden_make(backend, 2);
	struct results results = { .count = 0 };
	struct tv_error error = { 0 };

	backend_submit(backend, &busy.job);
	backend_submit(backend, &golden.job);
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_int_eq(tv_backend_submit(backend, &golden.job, &error), -EBUSY);
	ck_assert(strstr(error.text, "software zcu102 has 2 jobs"));
	long_wait(&busy);
	ck_assert_int_eq(tv_backend_submit(backend, &golden.job, &error), -EBUSY);
	ck_assert_uint_eq(tv_backend_dispatch(backend, results_add, &results), 0);
	long_done(&busy);
	tv_buffer_unref(golden.buffer);
}
END_TEST

static void submit_again(const struct tv_backend_result *result, void *userdata)
{
	void **what = userdata;
	struct golden *golden = what[1];

	results_add(result, what[2]);
	if (((struct results *)what[2])->count < RESULTS_MAX)
		backend_submit(what[0], &golden->job);
}

/* A handler that submits on and on holds up nobody: a round hands over what there could be. */
START_TEST(rounds)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zcu102");
	struct golden golden = golden_make(backend, 5);
	struct results results = { .count = 0 };
	void *what[] = { backend, &golden, &results };

	backend_submit(backend, &golden.job);
	while (results.count < RESULTS_MAX) {
		ck_assert(backend_readable(backend, -1));
		ck_assert_uint_le(tv_backend_dispatch(backend, submit_again, what), 2);
	}
	ck_assert_int_eq(tv_backend_cancel(backend, 5), -ENOENT);
	golden_check(&golden);
	tv_buffer_unref(golden.buffer);
}
END_TEST

START_TEST(order)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("kv260");
	struct golden golden = golden_make(backend, 0);
	struct results results = { .count = 0 };
	unsigned int submitted = 0;

	/* Two are under way at any time. */
	while (submitted < RESULTS_MAX) {
		struct tv_error error = { 0 };

		golden.job.cookie = submitted;
		if (tv_backend_submit(backend, &golden.job, &error) == 0)
			submitted++;
		else if (backend_readable(backend, -1))
			tv_backend_dispatch(backend, results_add, &results);
	}
	results_wait(&results, backend, RESULTS_MAX);
	for (unsigned int i = 0; i < RESULTS_MAX; i++)
		ck_assert_uint_eq(results.result[i].cookie, i);
	tv_buffer_unref(golden.buffer);
}
END_TEST

START_TEST(cancel)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zcu102");
	struct long_job busy = long_make(backend, 1);
	struct golden golden = golden_make(backend, 2);
	struct results results = { .count = 0 };

	ck_assert_int_eq(tv_backend_cancel(backend, 1), -ENOENT);
	backend_submit(backend, &busy.job);
	long_wait(&busy);
	backend_submit(backend, &golden.job);
	ck_assert_int_eq(tv_backend_cancel(backend, 1), -EBUSY);
	ck_assert_int_eq(tv_backend_cancel(backend, 3), -ENOENT);
	ck_assert_int_eq(tv_backend_cancel(backend, 2), 0);
	ck_assert_int_eq(tv_backend_cancel(backend, 2), -EBUSY);
	/* Its place is taken until the result was handed over. */
	results_wait(&results, backend, 1);
	ck_assert_uint_eq(results.result[0].cookie, 2);
	ck_assert_int_eq(results.result[0].status, -ECANCELED);
	ck_assert_uint_eq(results.result[0].begin, 0);
	ck_assert_int_eq(tv_backend_cancel(backend, 2), -ENOENT);
	backend_submit(backend, &golden.job);
	long_done(&busy);
	tv_buffer_unref(golden.buffer);
}
END_TEST

/* --- jobs that end badly ---------------------------------------------------------------------- */

enum wrong {
	WRONG_TARGET,
	WRONG_PROGRAM,
	WRONG_OVERLAP,
	WRONG_COMMAND,
	WRONG_ABSENT,
	WRONG_COUNT,
};

static void make_wrong(struct golden *golden, enum wrong wrong)
{
	struct tv_backend_segment *segments = golden->job.segment;
	uint8_t *program = tv_buffer_data(golden->buffer);

	switch (wrong) {
	case WRONG_TARGET:
		program[6] ^= 3;
		break;
	case WRONG_PROGRAM:
		program[0] ^= 1;
		break;
	case WRONG_OVERLAP:
		segments[TV_SEGMENT_SCRATCH].offset = segments[TV_SEGMENT_INPUT].offset;
		break;
	case WRONG_COMMAND:
		/* The input of the second command reaches far beyond the segment. */
		tv_put32(program + TV_PROGRAM_HEADER_SIZE + TV_COMMAND_SIZE + 16, 1u << 30);
		break;
	case WRONG_ABSENT:
		segments[TV_SEGMENT_INPUT] = (struct tv_backend_segment){ .buffer = NULL };
		break;
	case WRONG_COUNT:
		break;
	}
}

START_TEST(faulty)
{
	static const uint8_t faults[] = { TV_FAULT_BAD_TARGET, TV_FAULT_BAD_JOB, TV_FAULT_BAD_JOB,
					  TV_FAULT_SEGMENT, TV_FAULT_BAD_JOB };
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zc706");
	struct golden golden = golden_make(backend, 9), good = golden_make(backend, 10);
	const struct tv_backend_result *result;
	struct results results = { .count = 0 };

	make_wrong(&golden, (enum wrong)_i);
	backend_submit(backend, &golden.job);
	backend_submit(backend, &good.job);
	results_wait(&results, backend, 2);
	result = &results.result[0];
	ck_assert_int_eq(result->status, 0);
	ck_assert_uint_eq(result->cookie, 9);
	ck_assert_uint_eq(result->completion.fault, faults[_i]);
	ck_assert_ptr_nonnull(result->why);
	ck_assert(result->begin && result->begin <= result->end);
	if (_i == WRONG_COMMAND) {
		ck_assert_uint_eq(result->completion.command, 1);
		ck_assert_uint_eq(result->completion.segment, TV_SEGMENT_INPUT);
		ck_assert_uint_eq(result->completion.offset, 1u << 30);
	}
	ck_assert_uint_eq(results.result[1].completion.fault, TV_FAULT_NONE);
	ck_assert_ptr_null(results.result[1].why);
	golden_check(&good);
	tv_buffer_unref(golden.buffer);
	tv_buffer_unref(good.buffer);
}
END_TEST

START_TEST(refused)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zcu102");
	struct golden golden = golden_make(backend, 9);
	static const struct tv_backend_ops other;
	const struct tv_backend_ops *ops = golden.buffer->ops;
	const struct {
		size_t offset;
		uint32_t size, rights;
		const char *text;
	} cases[] = {
		{ 32, 64, READ, "segment 2 begins at byte 32" },
		{ 0, 0, READ, "segment 2: 0 bytes from byte 0 on of memory of 40960 bytes" },
		{ 0, 40961, READ, "segment 2: 40961 bytes from byte 0" },
		{ 40960, 1, READ, "segment 2: 1 bytes from byte 40960" },
		{ 40896, 65, READ, "segment 2: 65 bytes from byte 40896" },
		{ SIZE_MAX - 63, 128, READ, "segment 2: 128 bytes from" },
		{ 64, UINT32_MAX, READ, "segment 2: 4294967295 bytes from" },
		{ 0, 64, 0, "segment 2 has rights 0" },
		{ 0, 64, READ | 4, "segment 2 has rights 0x5" },
	};
	struct tv_backend_segment *input = &golden.job.segment[TV_SEGMENT_INPUT];

	for (size_t i = 0; i < TV_ARRAY_SIZE(cases); i++) {
		struct tv_error error = { 0 };

		input->offset = cases[i].offset;
		input->size = cases[i].size;
		input->rights = cases[i].rights;
		ck_assert_int_eq(tv_backend_submit(backend, &golden.job, &error), -EINVAL);
		ck_assert_msg(strstr(error.text, cases[i].text), "%s", error.text);
	}
	{
		struct tv_error error = { 0 };

		golden.buffer->ops = &other;
		ck_assert_int_eq(tv_backend_submit(backend, &golden.job, &error), -EINVAL);
		ck_assert(strstr(error.text, "another kind of device's"));
		golden.buffer->ops = ops;
	}
	backend_still_works(backend);
	tv_buffer_unref(golden.buffer);
}
END_TEST

/* --- the end of devices ----------------------------------------------------------------------- */

START_TEST(unplugged)
{
	struct tv_backend *backend = backend_open("zcu102");
	struct long_job busy = long_make(backend, 1);
	struct golden golden = golden_make(backend, 2);
	struct results results = { .count = 0 };
	struct tv_error error = { 0 };

	backend_submit(backend, &busy.job);
	backend_submit(backend, &golden.job);
	/* In the middle of a job, or at any point before. */
	if (_i)
		long_wait(&busy);
	tv_backend_unplug(backend);
	results_wait(&results, backend, 2);
	ck_assert_uint_eq(results.result[0].cookie, 1);
	ck_assert_uint_eq(results.result[1].cookie, 2);
	ck_assert_int_eq(results.result[0].status, -ENODEV);
	ck_assert_int_eq(results.result[1].status, -ENODEV);
	ck_assert_int_eq(tv_backend_submit(backend, &golden.job, &error), -ENODEV);
	ck_assert_int_eq(tv_backend_selftest(backend, 7, &error), -ENODEV);
	tv_backend_unplug(backend);
	tv_backend_close(backend);
	long_done(&busy);
	tv_buffer_unref(golden.buffer);
}
END_TEST

/* Whatever its thread is about to do. */
START_TEST(unplugged_any_time)
{
	for (unsigned int i = 0; i < 20; i++) {
		struct tv_backend *backend = backend_open("zcu102");
		struct long_job busy = long_make(backend, i);
		struct results results = { .count = 0 };

		backend_submit(backend, &busy.job);
		for (volatile unsigned int j = 0; j < i * 50000; j++)
			;
		tv_backend_unplug(backend);
		results_wait(&results, backend, 1);
		ck_assert_int_eq(results.result[0].status, -ENODEV);
		tv_backend_close(backend);
		long_done(&busy);
	}
}
END_TEST

/* What was done by then has its result. */
START_TEST(unplugged_late)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zcu102");
	struct golden golden = golden_make(backend, 2);
	struct results results = { .count = 0 };

	backend_submit(backend, &golden.job);
	ck_assert(backend_readable(backend, -1));
	tv_backend_unplug(backend);
	results_wait(&results, backend, 1);
	ck_assert_int_eq(results.result[0].status, 0);
	golden_check(&golden);
	tv_buffer_unref(golden.buffer);
}
END_TEST

/* Whatever the device does, closing it leaves nothing: threads, descriptors, mappings. */
START_TEST(closed)
{
	unsigned int fds = count_own("fd"), threads;

	/* Tools start threads of their own with the first. */
	tv_backend_close(backend_open("zcu102"));
	threads = count_own("task");
	for (unsigned int when = 0; when < 4; when++) {
		struct tv_backend *backend = backend_open("zcu102");
		struct long_job busy = long_make(backend, 1);
		struct golden golden = golden_make(backend, 2);

		if (when >= 1)
			backend_submit(backend, &busy.job);
		if (when >= 2)
			backend_submit(backend, &golden.job);
		if (when == 3)
			long_wait(&busy);
		tv_backend_close(backend);
		/* One that was joined is still listed for a moment. */
		while (count_own("task") > threads)
			sched_yield();
		/* Buffers stay. */
		ck_assert_uint_eq(tv_buffer_data(golden.buffer)[0], TV_PROGRAM_MAGIC & 0xff);
		long_done(&busy);
		tv_buffer_unref(golden.buffer);
		ck_assert_uint_eq(count_own("fd"), fds);
	}
}
END_TEST

/* A job keeps its memory, and lets it go with its result. */
START_TEST(memory_of_jobs)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zcu102");
	struct long_job busy = long_make(backend, 1);
	struct golden golden = golden_make(backend, 2);
	struct results results = { .count = 0 };
	unsigned int fds = count_own("fd");

	backend_submit(backend, &busy.job);
	backend_submit(backend, &golden.job);
	long_wait(&busy);
	ck_assert_uint_eq(atomic_load(&golden.buffer->references), 6);
	tv_buffer_unref(golden.buffer);
	ck_assert_uint_eq(count_own("fd"), fds);
	ck_assert_int_eq(tv_backend_cancel(backend, 2), 0);
	results_wait(&results, backend, 1);
	ck_assert_uint_eq(count_own("fd"), fds - 1);
	long_done(&busy);
	ck_assert_uint_eq(count_own("fd"), fds - 1);
}
END_TEST

/* --- a device of another kind ----------------------------------------------------------------- */

/* It is done with each job at once, and leaves what it was told to. */
struct fake {
	struct tv_backend backend;
	struct tv_backend_slot *finished;
	uint8_t output[TV_GOLDEN_OUTPUT_SIZE];
	uint8_t fault;
};

static int fake_buffer_new(struct tv_backend *backend, size_t size, struct tv_buffer *buffer,
			   struct tv_error *error)
{
	return tv_memory_new("fake", size, &buffer->memory, error);
}

static int fake_submit(struct tv_backend *backend, struct tv_backend_slot *slot)
{
	struct fake *fake = (struct fake *)backend;

	const struct tv_backend_segment *output = &slot->job.segment[TV_SEGMENT_OUTPUT];

	memcpy(tv_buffer_data(output->buffer) + output->offset, fake->output, sizeof(fake->output));
	slot->result.completion.fault = fake->fault;
	fake->finished = slot;
	return 0;
}

static struct tv_backend_slot *fake_finished(struct tv_backend *backend)
{
	struct fake *fake = (struct fake *)backend;
	struct tv_backend_slot *slot = fake->finished;

	fake->finished = NULL;
	return slot;
}

static void fake_close(struct tv_backend *backend)
{
}

static const struct tv_backend_ops fake_ops = {
	.buffer_new = fake_buffer_new,
	.submit = fake_submit,
	.finished = fake_finished,
	.close = fake_close,
};

/* The golden job's output, from a device that works. */
static void golden_output(uint8_t ret[TV_GOLDEN_OUTPUT_SIZE])
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zcu102");
	struct golden golden = golden_make(backend, 1);
	struct results results = { .count = 0 };

	backend_submit(backend, &golden.job);
	results_wait(&results, backend, 1);
	memcpy(ret, tv_buffer_data(golden.buffer) + golden.job.segment[TV_SEGMENT_OUTPUT].offset,
	       TV_GOLDEN_OUTPUT_SIZE);
	tv_buffer_unref(golden.buffer);
}

START_TEST(selftest_fails)
{
	struct fake *fake = calloc(1, sizeof(*fake));
	struct results results = { .count = 0 };
	struct tv_error error = { 0 };

	ck_assert_ptr_nonnull(fake);
	fake->backend.ops = &fake_ops;
	golden_output(fake->output);
	/* A wrong bit, or a fault although nothing is wrong. */
	fake->output[TV_GOLDEN_LOGITS] ^= !_i;
	fake->fault = _i ? TV_FAULT_BUS : TV_FAULT_NONE;
	tv_assert_ok(tv_backend_selftest(&fake->backend, 5, &error), error);
	ck_assert_uint_eq(tv_backend_dispatch(&fake->backend, results_add, &results), 1);
	ck_assert_int_eq(results.result[0].status, -EIO);
	ck_assert_uint_eq(results.result[0].completion.fault, fake->fault);
	tv_backend_close(&fake->backend);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("backend");
	TCase *t = tcase_create("results");

	tcase_add_loop_test(t, identity, 0, TV_ARRAY_SIZE(targets));
	tcase_add_loop_test(t, selftest, 0, TV_ARRAY_SIZE(targets));
	tcase_add_test(t, records);
	tcase_add_test(t, follows);
	tcase_add_test(t, two_networks);
	tcase_add_loop_test(t, faulty, 0, WRONG_COUNT);
	tcase_add_test(t, refused);
	tcase_add_loop_test(t, selftest_fails, 0, 2);
	suite_add_tcase(s, t);

	t = tcase_create("queue");
	tcase_add_test(t, full);
	tcase_add_test(t, rounds);
	tcase_add_test(t, order);
	tcase_add_test(t, cancel);
	suite_add_tcase(s, t);

	t = tcase_create("end");
	tcase_add_loop_test(t, unplugged, 0, 2);
	tcase_add_test(t, unplugged_any_time);
	tcase_add_test(t, unplugged_late);
	tcase_add_test(t, closed);
	tcase_add_test(t, memory_of_jobs);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
