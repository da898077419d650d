/* SPDX-License-Identifier: MIT */
/*
 * A model that somebody has handed in: a package in memory that nobody can change any more, what it
 * says, and its digest, by which the same one is known again. Loading takes as long as reading and
 * hashing do and asks file systems that answer when they please: it is for workers.
 */
#ifndef TV_DAEMON_MODEL_H
#define TV_DAEMON_MODEL_H

#include <stdatomic.h>

#include "common/digest.h"
#include "daemon/backend.h"
#include "daemon/memory.h"
#include "model/package.h"

#define TV_MODEL_SIZE_MAX (UINT64_C(256) << 20) /* unless somebody wants another limit */

struct tv_model {
	struct tv_package *package; /* programs and weights lie in memory */
	char digest[TV_DIGEST_HEX_SIZE]; /* of the package */
	struct tv_memory memory; /* the package; frozen */
	bool copied; /* the memory is this process's, not the client's */
	/* Programs and weights where devices can take them; the package itself unless somebody has
	 * written it without alignment. */
	struct tv_memory code;
	size_t (*offsets)[2]; /* in code: of each program and of its weights */
};

/*
 * From any fd that can be read and is a regular file's: a memfd that is frozen (TV_SEALS_FROZEN) is
 * used as it is, of others a copy is made, without moving the file's position. *cancel may be set
 * by another thread and is looked at every few megabytes that are read (-ECANCELED); a file system
 * that does not answer is waited for all the same.
 *
 * -EBADF: no regular file, not to be read, or it shrank. -EFBIG: more than limit bytes (of either
 * kind). -EBADMSG: no package, or a broken one.
 */
int tv_model_load(int fd, uint64_t limit, const atomic_bool *cancel, struct tv_model **ret,
		  struct tv_error *error);
void tv_model_free(struct tv_model *model);
TV_DEFINE_CLEANUP(struct tv_model *, tv_model_free)

/* Cycles of a job. Exact: the device takes neither more nor fewer. */
struct tv_model_cycles {
	uint64_t idle; /* after an idle time */
	uint64_t follows; /* right behind another job of the program; behind others about that */
};

/*
 * Of the program with that index on a target. -EINVAL: it is for another. -E2BIG: it does more than
 * steps of work (tv_program_decode()). -EBADMSG: it would end by a fault whatever the input. For
 * workers too: the time grows with the program.
 */
int tv_model_cycles(const struct tv_model *model, size_t index, const struct tv_target *target,
		    uint64_t steps, struct tv_model_cycles *ret, struct tv_error *error);

/* All of the model's programs and weights where the device can reach them: its memory if it can,
 * else a copy. Again for workers. */
int tv_model_buffer(const struct tv_model *model, struct tv_backend *backend,
		    struct tv_buffer **ret, struct tv_error *error);
/* A job's segments for a program, in such a buffer. ret's others are not touched; their sizes and
 * rights are in the program's header. */
void tv_model_segments(const struct tv_model *model, size_t index, struct tv_buffer *buffer,
		       struct tv_backend_segment ret[TV_SEGMENT_COUNT]);

#endif
