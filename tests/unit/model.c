/* SPDX-License-Identifier: MIT */
/* Models as clients hand them in: from which descriptors, how long they take, on which device. */
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "common/file.h"
#include "daemon/backend-private.h"
#include "daemon/model.h"
#include "quantizer/integer.h"
#include "tests/unit/backend-jobs.h"
#include "tests/unit/device-program.h"
#include "tests/unit/package-edit.h"

static const atomic_bool go_on;

static int open_file(const char *name, int flags)
{
	int fd = open(tv_unit_path(name), flags | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return fd;
}

/* The bytes of a file in a memfd of a client's. */
static int make_memfd(const char *name, int seals)
{
	_cleanup_free_ uint8_t *data = NULL;
	struct tv_error error = { 0 };
	size_t size;
	int fd;

	tv_assert_ok(tv_file_read(tv_unit_path(name), 1u << 28, &data, &size, &error), error);
	fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* Takes the fd. */
static struct tv_model *load(int fd)
{
	struct tv_model *model = NULL;
	struct tv_error error = { 0 };
	int r = tv_model_load(fd, TV_MODEL_SIZE_MAX, &go_on, &model, &error);

	tv_assert_ok(r, error);
	close(fd);
	return model;
}

static void write_two_programs(void)
{
	static const struct package_of of[] = { { "zcu102", 2 }, { "zynq7020", 1 } };
	_cleanup_(tv_package_freep) struct tv_package *made =
		package_make(&package_small, PACKAGE_SMALL_SIZE, of, TV_ARRAY_SIZE(of));

	write_package(made, GOOD);
}

/* --- loading -------------------------------------------------------------------------------- */

enum way {
	WAY_FILE,
	WAY_FROZEN,
	WAY_SIZED,
	WAY_UNSEALED,
	WAY_COUNT,
};

static int open_way(enum way way)
{
	switch (way) {
	case WAY_FROZEN:
		return make_memfd(GOOD, TV_SEALS_FROZEN);
	case WAY_SIZED:
		return make_memfd(GOOD, TV_SEALS_SIZE | F_SEAL_SEAL);
	case WAY_UNSEALED:
		return make_memfd(GOOD, 0);
	default:
		return open_file(GOOD, O_RDWR);
	}
}

START_TEST(loaded)
{
	unsigned int fds = count_own("fd");
	_cleanup_(tv_package_freep) struct tv_package *expected = NULL;
	_cleanup_free_ uint8_t *data = NULL;
	uint8_t digest[TV_DIGEST_SIZE];
	char hex[TV_DIGEST_HEX_SIZE];
	struct tv_error error = { 0 };
	struct tv_model *model = NULL;
	size_t size;
	int fd;

	write_two_programs();
	expected = read_package(GOOD);
	tv_assert_ok(tv_file_read(tv_unit_path(GOOD), 1u << 28, &data, &size, &error), error);
	tv_digest(data, size, digest);
	tv_digest_hex(digest, hex);
	fd = open_way((enum way)_i);
	ck_assert_int_eq(lseek(fd, 13, SEEK_SET), 13);
	tv_assert_ok(tv_model_load(fd, size, &go_on, &model, &error), error);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 13);
	/* What its owner does from now on concerns nobody. */
	if (_i == WAY_FROZEN)
		ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
	else
		ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
	if (_i == WAY_FILE)
		ck_assert_int_eq(ftruncate(fd, 0), 0);
	close(fd);
	ck_assert_int_eq(model->copied, _i != WAY_FROZEN);
	ck_assert(tv_memory_sealed(model->memory.fd, TV_SEALS_FROZEN));
	ck_assert_str_eq(model->digest, hex);
	assert_package_eq(model->package, expected);
	ck_assert_mem_eq(model->memory.data, data, size);
	tv_model_free(model);
	ck_assert_uint_eq(count_own("fd"), fds);
}
END_TEST

static int make_pipe(void)
{
	int fds[2];

	/* Nobody ever writes there: it must not be waited for. */
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	return dup2(fds[0], fds[1]);
}

static int make_directory(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_device(void)
{
	return open("/dev/zero", O_RDONLY | O_CLOEXEC);
}

static int make_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int make_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int make_closed(void)
{
	return -1;
}

static int make_path(void)
{
	return open_file(GOOD, O_PATH);
}

static int make_write_only(void)
{
	return open_file(GOOD, O_WRONLY);
}

static int make_empty(void)
{
	return open(tv_unit_file("empty", "", 0), O_RDONLY | O_CLOEXEC);
}

static int make_garbage(void)
{
	static const uint8_t zeros[5000];

	return open(tv_unit_file("garbage", zeros, sizeof(zeros)), O_RDONLY | O_CLOEXEC);
}

static int make_short(void)
{
	ck_assert_int_eq(truncate(tv_unit_path(GOOD), 20000), 0);
	return open_file(GOOD, O_RDONLY);
}

static int make_short_memfd(void)
{
	close(make_short());
	return make_memfd(GOOD, TV_SEALS_FROZEN);
}

static int make_large(void)
{
	int fd = open_file(GOOD, O_RDWR);

	ck_assert_int_eq(ftruncate(fd, (off_t)TV_MODEL_SIZE_MAX + 1), 0);
	return fd;
}

static int make_large_memfd(void)
{
	int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, (off_t)TV_MODEL_SIZE_MAX + 1), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, TV_SEALS_FROZEN), 0);
	return fd;
}

static const struct {
	int (*make)(void);
	int code;
	const char *text;
} wrong[] = {
	{ make_pipe, -EBADF, "is a pipe, expected a regular file" },
	{ make_directory, -EBADF, "is a directory, expected a regular file" },
	{ make_device, -EBADF, "is a device, expected a regular file" },
	{ make_socket, -EBADF, "is a socket, expected a regular file" },
	{ make_eventfd, -EBADF, "is no file, expected a regular file" },
	{ make_closed, -EBADF, "cannot stat" },
	{ make_path, -EBADF, "was not opened for reading" },
	{ make_write_only, -EBADF, "was not opened for reading" },
	{ make_empty, -EBADMSG, "is empty" },
	{ make_garbage, -EBADMSG, "header does not begin with" },
	{ make_short, -EBADMSG, "the file has only" },
	{ make_short_memfd, -EBADMSG, "the file has only" },
	{ make_large, -EFBIG, "has 268435457 bytes, expected at most 268435456" },
	{ make_large_memfd, -EFBIG, "has 268435457 bytes, expected at most 268435456" },
};

START_TEST(refused)
{
	struct tv_model *model = NULL;
	struct tv_error error = { 0 };
	unsigned int fds;
	int fd, r;

	write_two_programs();
	fd = wrong[_i].make();
	fds = count_own("fd");
	r = tv_model_load(fd, TV_MODEL_SIZE_MAX, &go_on, &model, &error);
	ck_assert_msg(r == wrong[_i].code && strstr(error.text, wrong[_i].text), "%d: %s", r,
		      error.text);
	ck_assert(strstr(error.text, "model: ") == error.text);
	ck_assert_ptr_null(model);
	ck_assert_uint_eq(count_own("fd"), fds);
	if (fd >= 0)
		close(fd);
}
END_TEST

/* Files of sysfs have 4096 bytes until they are read. */
START_TEST(shrunk)
{
	int fd = open("/sys/kernel/uevent_seqnum", O_RDONLY | O_CLOEXEC);
	struct tv_model *model = NULL;
	struct tv_error error = { 0 };

	if (fd < 0)
		tv_unit_skip("model: a file that shrinks", "no sysfs");
	ck_assert_int_eq(tv_model_load(fd, TV_MODEL_SIZE_MAX, &go_on, &model, &error), -EBADF);
	ck_assert_msg(strstr(error.text, "shrank from 4096 to "), "%s", error.text);
	close(fd);
}
END_TEST

static atomic_bool enough;

static void *shrink_and_grow(void *argument)
{
	const int *fd = argument;

	while (!atomic_load(&enough)) {
		ck_assert_int_eq(ftruncate(*fd, 0), 0);
		ck_assert_int_eq(ftruncate(*fd, 1 << 20), 0);
	}
	return NULL;
}

/* What happens at the same time ends in a message, whatever comes first. */
START_TEST(shrinking)
{
	struct tv_model *model = NULL;
	pthread_t thread;
	int fd;

	write_two_programs();
	fd = _i ? make_memfd(GOOD, 0) : open_file(GOOD, O_RDWR);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, shrink_and_grow, &fd), 0);
	for (int i = 0; i < 500; i++) {
		struct tv_error error = { 0 };

		ck_assert_int_lt(tv_model_load(fd, TV_MODEL_SIZE_MAX, &go_on, &model, &error), 0);
		ck_assert_ptr_null(model);
	}
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
	close(fd);
}
END_TEST

START_TEST(canceled)
{
	static const atomic_bool cancel = true;
	struct tv_model *model = NULL;
	struct tv_error error = { 0 };
	unsigned int fds;
	int fd;

	write_two_programs();
	fd = open_way((enum way)_i);
	fds = count_own("fd");
	ck_assert_int_eq(tv_model_load(fd, TV_MODEL_SIZE_MAX, &cancel, &model, &error), -ECANCELED);
	ck_assert_uint_eq(count_own("fd"), fds);
	close(fd);
}
END_TEST

/* --- time ----------------------------------------------------------------------------------- */

START_TEST(cycles)
{
	_cleanup_(tv_model_freep) struct tv_model *model = NULL;

	write_two_programs();
	model = load(open_file(GOOD, O_RDONLY));
	for (size_t i = 0; i < model->package->program_count; i++) {
		const struct tv_package_program *program = &model->package->programs[i];
		const struct tv_target *target = tv_target_by_name(program->target);
		struct tv_model_cycles told;
		struct tv_completion records[3];
		struct tv_descriptor job;
		struct tv_error error = { 0 };
		struct machine m;

		tv_assert_ok(tv_model_cycles(model, i, target, 0, &told, &error), error);
		machine_begin(&m, target);
		for (int j = 0; j < 3; j++) {
			job = machine_program(&m, program);
			machine_submit(&m, &job);
		}
		machine_run(&m);
		for (int j = 0; j < 3; j++) {
			ck_assert(tv_driver_take(m.driver, &records[j]));
			ck_assert_uint_eq(records[j].fault, TV_FAULT_NONE);
			ck_assert_uint_eq(records[j].end - records[j].start,
					  j ? told.follows : told.idle);
		}
		ck_assert_uint_lt(told.follows, told.idle);
		machine_end(&m);
	}
}
END_TEST

START_TEST(no_cycles)
{
	const struct tv_target *zcu102 = tv_target_by_name("zcu102"),
			       *kv260 = tv_target_by_name("kv260");
	_cleanup_(tv_package_freep) struct tv_package *made = make_small();
	_cleanup_(tv_model_freep) struct tv_model *good = NULL, *bad = NULL;
	struct tv_model_cycles told;
	struct tv_error errors[3] = { { 0 }, { 0 }, { 0 } };

	write_package(made, GOOD);
	good = load(open_file(GOOD, O_RDONLY));
	ck_assert_int_eq(tv_model_cycles(good, 0, kv260, 0, &told, &errors[0]), -EINVAL);
	ck_assert(strstr(errors[0].text, "program zcu102.2 is not for target kv260"));
	ck_assert_int_eq(tv_model_cycles(good, 0, zcu102, 100000, &told, &errors[1]), -E2BIG);
	ck_assert(strstr(errors[1].text, "does more than 100000 steps"));

	/* The input of the third command is where nothing is. */
	tv_put32(made->owned[0] + TV_PROGRAM_HEADER_SIZE + 2 * TV_COMMAND_SIZE + 16, 1u << 31);
	write_package(made, BAD);
	bad = load(open_file(BAD, O_RDONLY));
	ck_assert_int_eq(tv_model_cycles(bad, 0, zcu102, 0, &told, &errors[2]), -EBADMSG);
	ck_assert_msg(strstr(errors[2].text, "program zcu102.2: command 2: "), "%s",
		      errors[2].text);
}
END_TEST

/* Segments may be larger than any machine's memory: nobody looks into them. */
START_TEST(cycles_of_large)
{
	_cleanup_(tv_package_freep) struct tv_package *made = make_small();
	_cleanup_(tv_model_freep) struct tv_model *model = NULL;
	struct tv_model_cycles told;
	struct tv_error error = { 0 };

	if (sizeof(size_t) < 8)
		tv_unit_skip("model: segments of 4 GiB", "no room for their addresses");
	for (unsigned int i = TV_SEGMENT_SCRATCH; i < TV_SEGMENT_COUNT; i++)
		made->programs[0].header.segment[i] = UINT32_MAX;
	tv_encode_program_header(&made->programs[0].header, made->owned[0]);
	write_package(made, GOOD);
	model = load(open_file(GOOD, O_RDONLY));
	tv_assert_ok(tv_model_cycles(model, 0, tv_target_by_name("zcu102"), 0, &told, &error),
		     error);
}
END_TEST

/* --- on a device ---------------------------------------------------------------------------- */

/* The logits of a job of the program; the code is in the buffer. */
static void run_on_device(const struct tv_model *model, size_t index, struct tv_backend *backend,
			  struct tv_buffer *code, const uint8_t *rgb, int16_t *ret)
{
	const struct tv_program_header *header = &model->package->programs[index].header;
	_cleanup_(tv_buffer_unrefp) struct tv_buffer *memory = backend_buffer(backend, 1 << 20);
	struct tv_backend_job job = { .cookie = 1 };
	struct results results = { .count = 0 };

	tv_model_segments(model, index, code, job.segment);
	for (unsigned int i = TV_SEGMENT_INPUT; i <= TV_SEGMENT_SCRATCH; i++) {
		if (!header->segment[i])
			continue;
		job.segment[i] = (struct tv_backend_segment){
			.buffer = memory,
			.offset = (i - TV_SEGMENT_INPUT) * 262144u,
			.size = header->segment[i],
			.rights = header->writable >> i & 1 ? WRITE : READ,
		};
	}
	memcpy(tv_buffer_data(memory), rgb, header->segment[TV_SEGMENT_INPUT]);
	backend_submit(backend, &job);
	results_wait(&results, backend, 1);
	ck_assert_int_eq(results.result[0].status, 0);
	ck_assert_uint_eq(results.result[0].completion.fault, TV_FAULT_NONE);
	memcpy(ret, tv_buffer_data(memory) + 262144, header->segment[TV_SEGMENT_OUTPUT]);
}

static void check_programs(const struct tv_model *model)
{
	for (size_t i = 0; i < model->package->program_count; i++) {
		const struct tv_package_program *program = &model->package->programs[i];
		_cleanup_(tv_backend_closep) struct tv_backend *backend =
			backend_open(program->target);
		_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = NULL;
		_cleanup_(tv_buffer_unrefp) struct tv_buffer *code = NULL;
		uint8_t rgb[2 * PACKAGE_SMALL_SIZE * PACKAGE_SMALL_SIZE * 3];
		int16_t logits[2 * 5], expected[2 * 5];
		struct tv_error error = { 0 };
		uint64_t state = i;

		for (size_t j = 0; j < sizeof(rgb); j++)
			rgb[j] = (uint8_t)tv_unit_random(&state);
		tv_assert_ok(tv_integer_runner_new(model->package, program, NULL, &runner, &error),
			     error);
		tv_assert_ok(tv_integer_run(runner, rgb, program->header.images, NULL, NULL,
					    expected, NULL, &error),
			     error);
		tv_assert_ok(tv_model_buffer(model, backend, &code, &error), error);
		run_on_device(model, i, backend, code, rgb, logits);
		ck_assert_mem_eq(logits, expected, program->header.segment[TV_SEGMENT_OUTPUT]);
	}
}

START_TEST(on_devices)
{
	_cleanup_(tv_model_freep) struct tv_model *model = NULL;

	write_two_programs();
	model = load(open_way((enum way)_i));
	ck_assert_ptr_null(model->code.data);
	check_programs(model);
}
END_TEST

/* A file as other writers make it: the same header with fewer spaces at its end. */
START_TEST(unaligned)
{
	_cleanup_(tv_model_freep) struct tv_model *model = NULL;
	_cleanup_free_ uint8_t *data = NULL;
	struct tv_error error = { 0 };
	size_t size, header;

	write_two_programs();
	tv_assert_ok(tv_file_read(tv_unit_path(GOOD), 1u << 28, &data, &size, &error), error);
	header = (size_t)tv_get64(data);
	ck_assert_mem_eq(data + 8 + header - 8, "        ", 8);
	memmove(data + header, data + 8 + header, size - 8 - header);
	tv_put64(data, header - 8);
	model = load(open(tv_unit_file(BAD, data, size - 8), O_RDONLY | O_CLOEXEC));
	ck_assert_ptr_nonnull(model->code.data);
	ck_assert(tv_memory_sealed(model->code.fd, TV_SEALS_FROZEN));
	check_programs(model);
}
END_TEST

/* --- a device that reaches its own memory only ------------------------------------------------ */

static int far_buffer_new(struct tv_backend *backend, size_t size, struct tv_buffer *buffer,
			  struct tv_error *error)
{
	return tv_memory_new("far", size, &buffer->memory, error);
}

static int far_buffer_import(struct tv_backend *backend, int fd, size_t size,
			     struct tv_buffer *buffer, struct tv_error *error)
{
	return tv_error_set(error, -EOPNOTSUPP, "too far");
}

START_TEST(far_device)
{
	static const struct tv_backend_ops ops = { .buffer_new = far_buffer_new,
						   .buffer_import = far_buffer_import };
	_cleanup_(tv_model_freep) struct tv_model *model = NULL;
	_cleanup_(tv_buffer_unrefp) struct tv_buffer *code = NULL;
	struct tv_backend backend = { .ops = &ops };
	struct tv_error error = { 0 };

	write_two_programs();
	model = load(open_file(GOOD, O_RDONLY));
	tv_assert_ok(tv_model_buffer(model, &backend, &code, &error), error);
	for (size_t i = 0; i < model->package->program_count; i++) {
		const struct tv_package_program *program = &model->package->programs[i];
		struct tv_backend_segment segments[TV_SEGMENT_COUNT] = { { .buffer = NULL } };

		tv_model_segments(model, i, code, segments);
		ck_assert_ptr_eq(segments[0].buffer, code);
		ck_assert_uint_eq(segments[0].size, program->header.segment[0]);
		ck_assert_mem_eq(tv_buffer_data(code) + segments[0].offset, program->program,
				 segments[0].size);
		ck_assert_mem_eq(tv_buffer_data(code) + segments[1].offset, program->weights,
				 segments[1].size);
		ck_assert_ptr_null(segments[2].buffer);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("model");
	TCase *t = tcase_create("loading");

	tcase_add_checked_fixture(t, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_loop_test(t, loaded, 0, WAY_COUNT);
	tcase_add_loop_test(t, refused, 0, TV_ARRAY_SIZE(wrong));
	tcase_add_test(t, shrunk);
	tcase_add_loop_test(t, shrinking, 0, 2);
	tcase_add_loop_test(t, canceled, 0, WAY_COUNT);
	suite_add_tcase(s, t);

	t = tcase_create("use");
	tcase_add_checked_fixture(t, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_test(t, cycles);
	tcase_add_test(t, no_cycles);
	tcase_add_test(t, cycles_of_large);
	tcase_add_loop_test(t, on_devices, 0, WAY_COUNT);
	tcase_add_test(t, unaligned);
	tcase_add_test(t, far_device);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
