/* SPDX-License-Identifier: MIT */
/* What a kind of device has to do; backend.c does what is common to all. */
#ifndef TV_DAEMON_BACKEND_PRIVATE_H
#define TV_DAEMON_BACKEND_PRIVATE_H

#include <stdatomic.h>

#include "daemon/backend.h"
#include "daemon/memory.h"

#define TV_BACKEND_CAPACITY 2

struct tv_buffer {
	atomic_uint references;
	uint32_t rights;
	const struct tv_backend_ops *ops; /* of devices that can reach it */
	struct tv_memory memory;
	uint64_t constant; /* software: not 0 where nobody can write it; no other buffer's */
	void *handles; /* the kind's own, by which devices know it; or NULL */
};

/* A job from submit to its result. */
struct tv_backend_slot {
	bool used;
	bool selftest;
	struct tv_backend_job job;
	struct tv_backend_result result; /* cookie is set */
};

struct tv_backend_ops {
	/* Fill in memory and handles of a buffer, whose rights are set. */
	int (*buffer_new)(struct tv_backend *backend, size_t size, struct tv_buffer *buffer,
			  struct tv_error *error);
	int (*buffer_import)(struct tv_backend *backend, int fd, size_t size,
			     struct tv_buffer *buffer, struct tv_error *error);
	/* Releases the handles, if there are any. */
	void (*buffer_done)(struct tv_buffer *buffer);
	/* The job was checked, and capacity is kept. -ENODEV: the device went away. */
	int (*submit)(struct tv_backend *backend, struct tv_backend_slot *slot);
	/* 0 or -EBUSY. */
	int (*cancel)(struct tv_backend *backend, struct tv_backend_slot *slot);
	/* The next one that has come to its end, with its result; NULL: there is none. */
	struct tv_backend_slot *(*finished)(struct tv_backend *backend);
	void (*unplug)(struct tv_backend *backend);
	/* Releases all but the structure itself. Afterwards the device touches no buffer. */
	void (*close)(struct tv_backend *backend);
};

/* First part of each kind's own structure, which is one block of the heap. */
struct tv_backend {
	const struct tv_backend_ops *ops;
	struct tv_backend_info info;
	int fd;
	struct tv_backend_slot slots[TV_BACKEND_CAPACITY];
};

#endif
