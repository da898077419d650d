/* SPDX-License-Identifier: MIT */
#include "daemon/memory.h"

#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Of Linux 6.3; older headers lack it. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

static int fail(const char *what, struct tv_error *error)
{
	int code = -errno;

	return tv_error_set(error, code, "%s: %s", what, strerror(-code));
}

static int create(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd;
}

/* Now rather than at the first access, where a lack of memory would be a signal. */
static int allocate(int fd, size_t size)
{
	while (fallocate(fd, 0, 0, (off_t)size) < 0)
		if (errno != EINTR)
			return -1;
	return 0;
}

int tv_memory_new(const char *name, size_t size, struct tv_memory *ret, struct tv_error *error)
{
	_cleanup_close_ int fd = -1;
	void *data;

	if (!size || size > PTRDIFF_MAX)
		return tv_error_set(error, -EINVAL, "memory of %zu bytes", size);
	fd = create(name);
	if (fd < 0)
		return fail("memfd_create", error);
	if (allocate(fd, size) < 0) {
		int code = -errno;

		return tv_error_set(error, code, "memory of %zu bytes: %s", size, strerror(-code));
	}
	/* A client that is given it may add other seals: none affects a mapping that there is. */
	if (fcntl(fd, F_ADD_SEALS, TV_SEALS_SIZE) < 0)
		return fail("sealing a memfd", error);
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return fail("mapping a memfd", error);
	*ret = (struct tv_memory){ .fd = TV_TAKE_FD(fd), .data = data, .size = size };
	return 0;
}

int tv_memory_freeze(struct tv_memory *memory, struct tv_error *error)
{
	void *data;

	/* The seal is refused while there is a mapping that writes. */
	munmap(memory->data, memory->size);
	memory->data = NULL;
	if (fcntl(memory->fd, F_ADD_SEALS, TV_SEALS_FROZEN) < 0)
		return fail("sealing a memfd", error);
	data = mmap(NULL, memory->size, PROT_READ, MAP_PRIVATE, memory->fd, 0);
	if (data == MAP_FAILED)
		return fail("mapping a memfd", error);
	memory->data = data;
	return 0;
}

bool tv_memory_sealed(int fd, int seals)
{
	int has = fcntl(fd, F_GET_SEALS);

	return has >= 0 && (has & seals) == seals;
}

/* Of a memfd only: of other files' systems some answer when they please. */
static int check(int fd, size_t size, size_t *ret_size, struct tv_error *error)
{
	struct stat status;
	struct statfs system;

	if (fstat(fd, &status) < 0 || fstatfs(fd, &system) < 0)
		return fail("cannot stat the memory", error);
	/* Where there is no huge page left an access to a hole ends in a signal. */
	if ((uint32_t)system.f_type == HUGETLBFS_MAGIC)
		return tv_error_set(error, -EBADF,
				    "the memory consists of huge pages, expected a plain memfd");
	if (!status.st_size)
		return tv_error_set(error, -EBADF, "the memory is empty");
	if ((uint64_t)status.st_size < size)
		return tv_error_set(error, -EBADF,
				    "the memory has %" PRIu64 " bytes, expected %zu or more",
				    (uint64_t)status.st_size, size);
	if (!size && (uint64_t)status.st_size > PTRDIFF_MAX)
		return tv_error_set(error, -EBADF,
				    "the memory has %" PRIu64 " bytes, which no process can map",
				    (uint64_t)status.st_size);
	*ret_size = size ? size : (size_t)status.st_size;
	return 0;
}

int tv_memory_import(int fd, size_t size, bool write, struct tv_memory *ret, struct tv_error *error)
{
	/* What nobody can write may be mapped privately, and on many kernels not in another way. */
	bool frozen = tv_memory_sealed(fd, F_SEAL_WRITE);
	_cleanup_close_ int own = -1;
	void *data;
	int r;

	if (!tv_memory_sealed(fd, TV_SEALS_SIZE))
		return tv_error_set(error, -EBADF,
				    "the memory is no memfd that is sealed against shrinking and "
				    "growing");
	r = check(fd, size, &size, error);
	if (r < 0)
		return r;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return fail("cannot duplicate the memory's descriptor", error);
	data = mmap(NULL, size, write ? PROT_READ | PROT_WRITE : PROT_READ,
		    frozen && !write ? MAP_PRIVATE : MAP_SHARED, own, 0);
	if (data == MAP_FAILED && (errno == EPERM || errno == EACCES))
		return tv_error_set(error, -EBADF,
				    "the memory cannot be %s: it is sealed, or its descriptor does "
				    "not allow it",
				    write ? "written" : "read");
	if (data == MAP_FAILED)
		return fail("cannot map the memory", error);
	*ret = (struct tv_memory){ .fd = TV_TAKE_FD(own), .data = data, .size = size };
	return 0;
}

void tv_memory_done(struct tv_memory *memory)
{
	if (memory->data)
		munmap(memory->data, memory->size);
	if (memory->fd >= 0)
		close(memory->fd);
	*memory = TV_MEMORY_NONE;
}
