/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "libclient/private.h"

int triovit_memory_new(size_t size, int *ret_fd, void **ret_data, struct triovit_error *error)
{
	_cleanup_close_ int fd = memfd_create("triovit", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *data;
	int r;

	if (fd < 0)
		return tv_fail_errno(error, -errno, "new memory");
	/* Allocated now, so that it is there when somebody touches it. */
	r = -posix_fallocate(fd, 0, (off_t)size);
	if (r < 0)
		return tv_fail_errno(error, r, "new memory");
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return tv_fail_errno(error, -errno, "new memory");
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return tv_fail_errno(error, -errno, "new memory");
	*ret_fd = TV_TAKE_FD(fd);
	*ret_data = data;
	return 0;
}
