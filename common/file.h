/* SPDX-License-Identifier: MIT */
/* Whole files: read at once within a bound, written so that nobody ever sees half of one. */
#ifndef TV_COMMON_FILE_H
#define TV_COMMON_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/error.h"

/* Reads the regular file at path. *ret is the caller's, released by free(); it is never NULL, and a
 * NUL that *ret_size does not count follows the bytes, for who takes them as text. Directories,
 * pipes and devices are refused with -EINVAL, more than limit bytes with -EFBIG, a file that
 * shrinks meanwhile with -EIO. The error text begins with path. */
int tv_file_read(const char *path, uint64_t limit, uint8_t **ret, size_t *ret_size,
		 struct tv_error *error);

/* Writes the parts, one after the other, to a temporary file beside path, syncs it and renames it
 * to path: after a failure path is as it was and nothing is left beside it. Nor is it if the
 * process is killed meanwhile, where the file system knows files without a name. Something at path
 * that is not a regular file is refused with -EINVAL. The error text begins with path. */
int tv_file_write(const char *path, const struct iovec *parts, size_t count,
		  struct tv_error *error);

#endif
