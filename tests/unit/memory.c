/* SPDX-License-Identifier: MIT */
/* Memory from other processes: what is taken, what is refused, and what its owner can still do. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "daemon/memory.h"
#include "tests/unit/backend-jobs.h"
#include "tests/unit/directory.h"

#define SIZE 10000u

/* As a client makes it. */
static int client_memfd(size_t size, int seals)
{
	int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

/* The same file, opened in another way. */
static int reopen(int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	ck_assert_int_ge(again, 0);
	return again;
}

START_TEST(own)
{
	struct tv_memory memory;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_memory_new("test", SIZE, &memory, &error), error);
	ck_assert_uint_eq(memory.size, SIZE);
	for (size_t i = 0; i < SIZE; i++)
		ck_assert_uint_eq(memory.data[i], 0);
	ck_assert(tv_memory_sealed(memory.fd, TV_SEALS_SIZE));
	ck_assert(!tv_memory_sealed(memory.fd, TV_SEALS_FROZEN));
	/* What a client could try with it. */
	ck_assert_int_eq(ftruncate(memory.fd, 0), -1);
	ck_assert_int_eq(ftruncate(memory.fd, 2 * SIZE), -1);
	ck_assert_int_eq(fcntl(memory.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	ck_assert_int_eq(pwrite(memory.fd, "x", 1, 17), 1);
	ck_assert_int_eq(memory.data[17], 'x');
	tv_assert_ok(tv_memory_freeze(&memory, &error), error);
	ck_assert(tv_memory_sealed(memory.fd, TV_SEALS_FROZEN));
	ck_assert_int_eq(memory.data[17], 'x');
	ck_assert_int_eq(pwrite(memory.fd, "y", 1, 17), -1);
	ck_assert_ptr_eq(mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, memory.fd, 0), MAP_FAILED);
	tv_memory_done(&memory);
	ck_assert_int_eq(memory.fd, -1);
	tv_memory_done(&memory);
}
END_TEST

START_TEST(impossible)
{
	struct tv_memory memory;
	struct tv_error error = { 0 };

	ck_assert_int_eq(tv_memory_new("test", 0, &memory, &error), -EINVAL);
	ck_assert_int_eq(tv_memory_new("test", SIZE_MAX, &memory, &error), -EINVAL);
}
END_TEST

/* --- what is refused -------------------------------------------------------------------------- */

static int make_pipe(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	close(fds[1]);
	return fds[0];
}

static int make_directory(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_file(void)
{
	uint8_t bytes[SIZE] = { 0 };

	return open(tv_unit_file("file", bytes, sizeof(bytes)), O_RDWR | O_CLOEXEC);
}

static int make_zeros(void)
{
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int make_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int make_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int make_path(void)
{
	int fd = client_memfd(SIZE, TV_SEALS_SIZE), again = reopen(fd, O_PATH);

	close(fd);
	return again;
}

static int make_closed(void)
{
	return -1;
}

static int make_unsealed(void)
{
	return client_memfd(SIZE, 0);
}

static int make_shrinking(void)
{
	return client_memfd(SIZE, F_SEAL_GROW);
}

static int make_growing(void)
{
	return client_memfd(SIZE, F_SEAL_SHRINK);
}

static int make_small(void)
{
	return client_memfd(SIZE - 1, TV_SEALS_SIZE);
}

static int make_empty(void)
{
	return client_memfd(0, TV_SEALS_SIZE);
}

static int make_frozen(void)
{
	return client_memfd(SIZE, TV_SEALS_FROZEN);
}

static int make_future(void)
{
	return client_memfd(SIZE, TV_SEALS_SIZE | F_SEAL_FUTURE_WRITE);
}

static int make_read_only(void)
{
	int fd = client_memfd(SIZE, TV_SEALS_SIZE), again = reopen(fd, O_RDONLY);

	close(fd);
	return again;
}

#define NO_MEMFD   "no memfd that is sealed against shrinking and growing"
#define UNWRITABLE "cannot be written"

static const struct {
	int (*make)(void);
	const char *text;
} wrong[] = {
	{ make_pipe, NO_MEMFD },     { make_directory, NO_MEMFD },
	{ make_file, NO_MEMFD },     { make_zeros, NO_MEMFD },
	{ make_socket, NO_MEMFD },   { make_eventfd, NO_MEMFD },
	{ make_path, NO_MEMFD },     { make_closed, NO_MEMFD },
	{ make_unsealed, NO_MEMFD }, { make_shrinking, NO_MEMFD },
	{ make_growing, NO_MEMFD },  { make_small, "has 9999 bytes, expected 10000 or more" },
	{ make_empty, "is empty" },  { make_frozen, UNWRITABLE },
	{ make_future, UNWRITABLE }, { make_read_only, UNWRITABLE },
};

START_TEST(refused)
{
	struct tv_backend *backend = backend_open("zcu102");
	unsigned int fds = count_own("fd");
	int fd = wrong[_i].make();
	struct tv_buffer *buffer;
	struct tv_error error = { 0 };

	ck_assert_int_eq(tv_backend_buffer_import(backend, fd, SIZE, WRITE, &buffer, &error),
			 -EBADF);
	ck_assert_msg(strstr(error.text, wrong[_i].text), "%s", error.text);
	if (fd >= 0)
		close(fd);
	ck_assert_uint_eq(count_own("fd"), fds);
	tv_backend_close(backend);
}
END_TEST

START_TEST(huge_pages)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	struct tv_memory memory;
	struct tv_error error = { 0 };

	if (fd < 0)
		tv_unit_skip("memory: huge pages", "%s", strerror(errno));
	ck_assert_int_eq(ftruncate(fd, 1 << 21), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, TV_SEALS_SIZE), 0);
	ck_assert_int_eq(tv_memory_import(fd, 0, true, &memory, &error), -EBADF);
	ck_assert(strstr(error.text, "huge pages"));
	close(fd);
}
END_TEST

/* --- what is taken ---------------------------------------------------------------------------- */

START_TEST(imported)
{
	unsigned int fds = count_own("fd");
	int fd = client_memfd(SIZE, TV_SEALS_SIZE);
	struct tv_memory memory;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_memory_import(fd, _i ? 0 : SIZE - 100, true, &memory, &error), error);
	ck_assert_uint_eq(memory.size, _i ? SIZE : SIZE - 100);
	/* The two see each other's writing. */
	ck_assert_int_eq(pwrite(fd, "x", 1, 17), 1);
	ck_assert_int_eq(memory.data[17], 'x');
	memory.data[18] = 'y';
	ck_assert_int_eq(fcntl(memory.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	/* Its owner cannot take the memory away, nor holes become signals. */
	ck_assert_int_eq(ftruncate(fd, 0), -1);
	ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_FUTURE_WRITE), 0);
	ck_assert_int_eq(memory.data[18], 0);
	close(fd);
	memory.data[memory.size - 1] = 1;
	tv_memory_done(&memory);
	ck_assert_uint_eq(count_own("fd"), fds);
}
END_TEST

/* For reading alone others are good enough. */
START_TEST(imported_to_read)
{
	static int (*const make[])(void) = { make_frozen, make_future, make_read_only };
	int fd = make[_i]();
	struct tv_memory memory;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_memory_import(fd, SIZE, false, &memory, &error), error);
	ck_assert_uint_eq(memory.data[SIZE - 1], 0);
	tv_memory_done(&memory);
	close(fd);
}
END_TEST

/* A job reads from and writes to memory of a client, which writes there all the time and makes
 * holes: the answer may be anything, the device goes on. */
START_TEST(scribbled)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zcu102");
	struct golden golden = golden_make(backend, 1);
	int fd = client_memfd(16384, TV_SEALS_SIZE);
	struct results results = { .count = 0 };
	struct tv_buffer *buffer;
	struct tv_error error = { 0 };
	uint64_t state = 3;

	tv_assert_ok(tv_backend_buffer_import(backend, fd, 0, WRITE, &buffer, &error), error);
	golden.job.segment[TV_SEGMENT_INPUT].buffer = buffer;
	golden.job.segment[TV_SEGMENT_INPUT].offset = 0;
	golden.job.segment[TV_SEGMENT_OUTPUT].buffer = buffer;
	golden.job.segment[TV_SEGMENT_OUTPUT].offset = 8192;
	for (unsigned int i = 0; i < RESULTS_MAX; i++) {
		backend_submit(backend, &golden.job);
		while (!backend_readable(backend, 0)) {
			uint64_t value = tv_unit_random(&state);

			ck_assert_int_eq(pwrite(fd, &value, 8, (off_t)(value % 1024 * 8)), 8);
			ck_assert_int_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
						   0, 16384),
					 0);
		}
		results_wait(&results, backend, i + 1);
		ck_assert_int_eq(results.result[i].status, 0);
		ck_assert_uint_eq(results.result[i].completion.fault, TV_FAULT_NONE);
	}
	backend_still_works(backend);
	close(fd);
	tv_buffer_unref(buffer);
	tv_buffer_unref(golden.buffer);
}
END_TEST

/* What a job was given to read it cannot write, and nobody can give it more than the buffer has. */
START_TEST(rights)
{
	_cleanup_(tv_backend_closep) struct tv_backend *backend = backend_open("zcu102");
	struct golden golden = golden_make(backend, 1);
	int fd = client_memfd(8192, TV_SEALS_SIZE);
	struct tv_backend_segment *output = &golden.job.segment[TV_SEGMENT_OUTPUT];
	struct results results = { .count = 0 };
	struct tv_buffer *buffer;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_backend_buffer_import(backend, fd, 0, READ, &buffer, &error), error);
	output->buffer = buffer;
	output->offset = 0;
	ck_assert_int_eq(tv_backend_submit(backend, &golden.job, &error), -EINVAL);
	ck_assert(strstr(error.text, "segment 3 has rights 0x3, expected some of 0x1"));
	output->rights = READ;
	backend_submit(backend, &golden.job);
	results_wait(&results, backend, 1);
	ck_assert_uint_eq(results.result[0].completion.fault, TV_FAULT_BAD_JOB);
	close(fd);
	tv_buffer_unref(buffer);
	tv_buffer_unref(golden.buffer);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("memory");
	TCase *t = tcase_create("memory");

	tcase_add_checked_fixture(t, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_test(t, own);
	tcase_add_test(t, impossible);
	tcase_add_loop_test(t, refused, 0, TV_ARRAY_SIZE(wrong));
	tcase_add_test(t, huge_pages);
	tcase_add_loop_test(t, imported, 0, 2);
	tcase_add_loop_test(t, imported_to_read, 0, 3);
	tcase_add_test(t, scribbled);
	tcase_add_test(t, rights);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
