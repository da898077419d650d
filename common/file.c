/* SPDX-License-Identifier: MIT */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/cleanup.h"

/* What is at path, for a message that refuses it. */
static const char *file_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

static int check_regular(const char *path, mode_t mode, struct tv_error *error)
{
	if (S_ISREG(mode))
		return 0;
	return tv_error_set(error, -EINVAL, "%s: is %s, expected a regular file", path,
			    file_kind(mode));
}

static int fail_errno(const char *path, const char *what, struct tv_error *error)
{
	int code = -errno;

	return tv_error_set(error, code, "%s: %s: %s", path, what, strerror(-code));
}

int tv_file_read(const char *path, uint64_t limit, uint8_t **ret, size_t *ret_size,
		 struct tv_error *error)
{
	_cleanup_free_ uint8_t *data = NULL;
	_cleanup_close_ int fd = -1;
	struct stat status;
	size_t size, done;
	int r;

	/* O_NONBLOCK: a pipe that nobody writes to must be refused, not waited for. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return fail_errno(path, "cannot open", error);
	if (fstat(fd, &status) < 0)
		return fail_errno(path, "cannot stat", error);
	r = check_regular(path, status.st_mode, error);
	if (r < 0)
		return r;

	/* No object is larger than PTRDIFF_MAX, which 32-bit machines come to. */
	if (limit > PTRDIFF_MAX - 1)
		limit = PTRDIFF_MAX - 1;
	if ((uint64_t)status.st_size > limit)
		return tv_error_set(error, -EFBIG,
				    "%s: has %" PRIu64 " bytes, at most %" PRIu64 " are read", path,
				    (uint64_t)status.st_size, limit);
	size = (size_t)status.st_size;
	data = malloc(size + 1);
	if (!data)
		return tv_error_oom(error);

	for (done = 0; done < size;) {
		ssize_t n = read(fd, data + done, size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno(path, "cannot read", error);
		if (n == 0)
			return tv_error_set(error, -EIO,
					    "%s: shrank from %zu to %zu bytes while it was read",
					    path, size, done);
		done += (size_t)n;
	}
	data[size] = '\0';

	*ret = TV_TAKE_PTR(data);
	*ret_size = size;
	return 0;
}

/* The directory that path is in, with its slash; "" for the current one. */
static size_t directory_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

/* A name that nobody has, in path's directory since rename() does not cross file systems. */
static int random_name(const char *path, char **ret, struct tv_error *error)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return fail_errno(path, "no random name", error);
	if (asprintf(ret, "%.*s.triovit-%016" PRIx64, (int)directory_length(path), path, random) <
	    0) {
		*ret = NULL;
		return tv_error_oom(error);
	}
	return 0;
}

/* What an open file is called, whatever it is called. */
#define OPEN_FILE "/proc/self/fd/%d"

/* A file without a name, which goes by itself if this process is killed. -1 where the file system
 * knows no such thing, or where it could not be given a name. The mode is 0666 so that the umask
 * and default ACLs apply. */
static int create_unnamed(const char *path)
{
	size_t length = directory_length(path);
	_cleanup_free_ char *directory = length ? strndup(path, length) : strdup(".");
	char name[sizeof(OPEN_FILE) + 16];
	_cleanup_close_ int fd = -1;

	if (!directory)
		return -1;
	fd = open(directory, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
	if (fd < 0)
		return -1;
	snprintf(name, sizeof(name), OPEN_FILE, fd);
	return access(name, F_OK) == 0 ? TV_TAKE_FD(fd) : -1;
}

static int give_name(int fd, const char *path, char **ret_name, struct tv_error *error)
{
	char open_file[sizeof(OPEN_FILE) + 16];

	snprintf(open_file, sizeof(open_file), OPEN_FILE, fd);
	for (;;) {
		_cleanup_free_ char *name = NULL;
		int r;

		r = random_name(path, &name, error);
		if (r < 0)
			return r;
		if (linkat(AT_FDCWD, open_file, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
			*ret_name = TV_TAKE_PTR(name);
			return 0;
		}
		if (errno != EEXIST)
			return fail_errno(path, "cannot create a file beside it", error);
	}
}

/* The other way, for where there is no file without a name. */
static int create_named(const char *path, char **ret_name, struct tv_error *error)
{
	for (;;) {
		_cleanup_free_ char *name = NULL;
		int r, fd;

		r = random_name(path, &name, error);
		if (r < 0)
			return r;
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd >= 0) {
			*ret_name = TV_TAKE_PTR(name);
			return fd;
		}
		if (errno != EEXIST && errno != EINTR)
			return fail_errno(path, "cannot create a file beside it", error);
	}
}

/* errno says why not. */
static bool write_fully(int fd, const void *data, size_t size)
{
	const uint8_t *next = data;

	while (size > 0) {
		ssize_t n = write(fd, next, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		next += n;
		size -= (size_t)n;
	}
	return true;
}

static int write_parts(int fd, const char *path, const struct iovec *parts, size_t count,
		       struct tv_error *error)
{
	for (size_t i = 0; i < count; i++)
		if (!write_fully(fd, parts[i].iov_base, parts[i].iov_len))
			return fail_errno(path, "cannot write", error);
	if (fsync(fd) < 0)
		return fail_errno(path, "cannot sync", error);
	return 0;
}

/* Makes the rename itself last. The file is complete by now and some file systems cannot sync a
 * directory, so that a failure here is not one of the write. */
static void sync_directory(const char *path)
{
	size_t length = directory_length(path);
	_cleanup_free_ char *directory = length ? strndup(path, length) : strdup(".");
	_cleanup_close_ int fd = -1;

	if (!directory)
		return;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		(void)fsync(fd);
}

static void unlink_freep(char **name)
{
	if (!*name)
		return;
	(void)unlink(*name);
	free(*name);
}

int tv_file_write(const char *path, const struct iovec *parts, size_t count, struct tv_error *error)
{
	_cleanup_(unlink_freep) char *temporary = NULL;
	_cleanup_close_ int fd = -1;
	struct stat status;
	int r;

	/* rename() would put a file in the place of /dev/null. */
	if (stat(path, &status) == 0) {
		r = check_regular(path, status.st_mode, error);
		if (r < 0)
			return r;
	}

	fd = create_unnamed(path);
	if (fd < 0)
		fd = create_named(path, &temporary, error);
	if (fd < 0)
		return fd;
	r = write_parts(fd, path, parts, count, error);
	if (r >= 0 && !temporary)
		r = give_name(fd, path, &temporary, error);
	if (r < 0)
		return r;
	/* Network file systems report at close what could not be stored. */
	if (close(TV_TAKE_FD(fd)) < 0)
		return fail_errno(path, "cannot write", error);
	if (rename(temporary, path) < 0)
		return fail_errno(path, "cannot replace", error);

	free(TV_TAKE_PTR(temporary));
	sync_directory(path);
	return 0;
}
