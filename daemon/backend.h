/* SPDX-License-Identifier: MIT */
/*
 * A device that executes jobs, whichever kind it is: memory that it can reach, a short queue, an fd
 * that says when jobs have come to their end. Jobs end in the order in which the device has done
 * them. A job keeps its buffers; what goes wrong with one is told in its result.
 *
 * All calls for a device are the loop thread's, and none of them waits for a job. Only buffers may
 * be made by any thread, and should be by another, since allocating takes its time.
 */
#ifndef TV_DAEMON_BACKEND_H
#define TV_DAEMON_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <triovit/regs.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "rtl-model/driver.h"
#include "rtl-model/target.h"

struct tv_backend;

/* What it says of itself; constant. */
struct tv_backend_info {
	char name[64]; /* "software zcu102" */
	const char *driver; /* "software", "drm" */
	const struct tv_target *target; /* which programs it executes and how fast */
	struct tv_driver_info hardware;
	unsigned int capacity; /* jobs that it takes: one to run and one behind it */
};

const struct tv_backend_info *tv_backend_info(const struct tv_backend *backend);

/* --- kinds ---------------------------------------------------------------------------------- */

/* The model of the accelerator, computing in a thread of its own. *target outlives it. */
int tv_backend_open_software(const struct tv_target *target, struct tv_backend **ret,
			     struct tv_error *error);

/* The accelerator by its kernel driver, from its device's file, which becomes the backend's own
 * whatever happens. name: for people. -ENODEV: a configuration or contract that is not known. */
int tv_backend_open_drm(int fd, const char *name, struct tv_backend **ret, struct tv_error *error);

/* Ends it: jobs that are under way are stopped and have no result any more. Takes as long as
 * stopping a job does, which no job's length determines. Buffers stay. */
void tv_backend_close(struct tv_backend *backend);
TV_DEFINE_CLEANUP(struct tv_backend *, tv_backend_close)

/* --- buffers -------------------------------------------------------------------------------- */

/* Memory that devices of a kind can reach. Counted references: one is the maker's. */
struct tv_buffer;

/* New memory of zeros that can be handed to clients. */
int tv_backend_buffer_new(struct tv_backend *backend, size_t size, struct tv_buffer **ret,
			  struct tv_error *error);

/* The first size bytes (0: all) of memory of somebody else's; the buffer has an fd of its own.
 * Rights (TV_SEGMENT_*) are those that jobs can be given. Errors are those of tv_memory_import(),
 * and -EOPNOTSUPP where the device cannot reach other memory than its own. */
int tv_backend_buffer_import(struct tv_backend *backend, int fd, size_t size, uint32_t rights,
			     struct tv_buffer **ret, struct tv_error *error);

struct tv_buffer *tv_buffer_ref(struct tv_buffer *buffer);
void tv_buffer_unref(struct tv_buffer *buffer);
TV_DEFINE_CLEANUP(struct tv_buffer *, tv_buffer_unref)

size_t tv_buffer_size(const struct tv_buffer *buffer);
/* Mapped as its rights are. */
uint8_t *tv_buffer_data(const struct tv_buffer *buffer);
/* To be passed on; the buffer's own. */
int tv_buffer_fd(const struct tv_buffer *buffer);

/* --- jobs ----------------------------------------------------------------------------------- */

/* Of a segment, so that another can follow. */
static inline size_t tv_segment_aligned(size_t size)
{
	return (size + TV_SEGMENT_ALIGNMENT - 1) / TV_SEGMENT_ALIGNMENT * TV_SEGMENT_ALIGNMENT;
}

struct tv_backend_segment {
	struct tv_buffer *buffer; /* NULL: absent */
	size_t offset; /* a multiple of TV_SEGMENT_ALIGNMENT */
	uint32_t size; /* bytes, at least 1 */
	uint32_t rights; /* TV_SEGMENT_*, within those of the buffer */
};

struct tv_backend_job {
	uint64_t cookie; /* the caller's; comes back in the result */
	struct tv_backend_segment segment[TV_SEGMENT_COUNT];
};

struct tv_backend_result {
	uint64_t cookie;
	/* 0: the device has done it, and completion says how it ended, by a fault maybe.
	 * -ECANCELED: by tv_backend_cancel(). -ENODEV: the device went away. -EIO: of a self-test,
	 * the device does not compute what it should. */
	int status;
	struct tv_completion completion;
	const char *why; /* of a fault, for people, where the device knows; else NULL */
	uint64_t begin, end; /* on this machine, ns of CLOCK_MONOTONIC; 0: never begun */
};

typedef void (*tv_backend_handler)(const struct tv_backend_result *result, void *userdata);

/* -EBUSY: capacity jobs have no result yet. -ENODEV: the device went away. -EINVAL: a segment is
 * not as it should be, the text says which. What its memory holds is not looked at: what is wrong
 * there, or with segments that overlap, is a fault of the job. */
int tv_backend_submit(struct tv_backend *backend, const struct tv_backend_job *job,
		      struct tv_error *error);

/* A job of the device's own whose answer is known, queued like any other. Errors as above, and
 * those of tv_backend_buffer_new(). */
int tv_backend_selftest(struct tv_backend *backend, uint64_t cookie, struct tv_error *error);

/* 0: the job with that cookie is not run, and its result will say so. -EBUSY: it was begun, its
 * result comes in any case. -ENOENT: there is none. */
int tv_backend_cancel(struct tv_backend *backend, uint64_t cookie);

/* Readable while there are results; the device's own. */
int tv_backend_fd(const struct tv_backend *backend);

/* Hands over results that are there, at most capacity of them, and returns how many. The handler
 * may submit and cancel, but not close the device. */
unsigned int tv_backend_dispatch(struct tv_backend *backend, tv_backend_handler handler,
				 void *userdata);

/* The device is no longer there: all its jobs end with -ENODEV, of which the fd tells. */
void tv_backend_unplug(struct tv_backend *backend);

#endif
