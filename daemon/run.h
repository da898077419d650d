/* SPDX-License-Identifier: MIT */
/* A run: one job for the accelerator, from the call that asks for it to the answer. */
#ifndef TV_DAEMON_RUN_H
#define TV_DAEMON_RUN_H

#include "daemon/session.h"
#include "model/answer.h"

struct tv_run {
	struct tv_scheduler_request request;
	struct tv_session *session;
	struct tv_call call;
	struct tv_buffer *memory; /* of input and output */
	size_t input, output; /* offsets */
	unsigned int slot; /* of the session, or TV_RUN_NO_SLOT */
	unsigned int scratch; /* place */
	uint64_t tag; /* 0: none */
	uint32_t top;
	uint64_t received; /* when the call came */
	TAILQ_ENTRY(tv_run) runs; /* of the session */
};

#define TV_RUN_NO_SLOT UINT32_MAX

/* What is asked for. */
struct tv_run_wish {
	unsigned int slot; /* or TV_RUN_NO_SLOT, and memory: */
	struct tv_buffer *memory;
	size_t input, output;
	uint64_t timeout; /* us from when it was received; 0: none */
	uint32_t top;
	uint64_t tag;
	uint64_t received;
};

/*
 * Queues a run, which answers the call when it has ended. -EBUSY: one is under way on the slot, or
 * as many as there are slots; -ENODEV: no device is there that could; -ETIME; -EDQUOT. call, if it
 * was begun already, becomes the run's with success; with NULL the message's call is begun here.
 */
int tv_run_start(struct tv_session *session, const struct tv_run_wish *wish,
		 sd_bus_message *message, struct tv_call *call, struct tv_error *error);

/* Has the run end with -ECANCELED, if no device has begun it; else false, and it goes on. */
bool tv_run_cancel(struct tv_run *run, const struct tv_error *why);

/* The segments of its job on a device of a pool. */
void tv_run_segments(const struct tv_run *run, unsigned int pool,
		     struct tv_backend_segment ret[TV_SEGMENT_COUNT]);

/* It has ended and its scheduler's request is nowhere any more: answers, and releases it. */
void tv_run_end(struct tv_run *run, const struct tv_accelerator *accelerator,
		const struct tv_backend_result *result);
void tv_run_fail(struct tv_run *run, int code, const struct tv_error *why);

#endif
