/* SPDX-License-Identifier: MIT */
/* Memory that is passed around as file descriptors: memfds, and what their seals promise. Mapped
 * memory of a memfd that can be neither shrunk nor grown is there for as long as it is mapped,
 * whatever its other owners do. */
#ifndef TV_DAEMON_MEMORY_H
#define TV_DAEMON_MEMORY_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

#define TV_SEALS_SIZE	(F_SEAL_SHRINK | F_SEAL_GROW)
#define TV_SEALS_FROZEN (TV_SEALS_SIZE | F_SEAL_WRITE | F_SEAL_SEAL)

/* An fd and a view of its first size bytes. */
struct tv_memory {
	int fd; /* -1: none */
	uint8_t *data;
	size_t size;
};

#define TV_MEMORY_NONE ((struct tv_memory){ .fd = -1 })

/* A new memfd of zeros, mapped readable and writable. Its memory is allocated here (-ENOMEM,
 * -ENOSPC), which takes time that grows with size; what is too much is the caller's to know. Only
 * its size is sealed. */
int tv_memory_new(const char *name, size_t size, struct tv_memory *ret, struct tv_error *error);
/* From now on nobody can write it, this process included. */
int tv_memory_freeze(struct tv_memory *memory, struct tv_error *error);

/* Whether an fd is a memfd with these seals (TV_SEALS_*); the answer comes at once whatever the fd
 * is, since no file system is asked. */
bool tv_memory_sealed(int fd, int seals);

/* Maps a memfd of somebody else's, of which ret has an fd of its own, from its start: size bytes,
 * 0: all of them. -EBADF, and the text says why: no memfd, without seals against shrinking and
 * growing, less than size bytes or none, of huge pages, not to be written where write is set. */
int tv_memory_import(int fd, size_t size, bool write, struct tv_memory *ret,
		     struct tv_error *error);

void tv_memory_done(struct tv_memory *memory);

#endif
