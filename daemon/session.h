/* SPDX-License-Identifier: MIT */
/*
 * What a client runs a model with: memory with places for inputs and outputs, and its turn in the
 * scheduler. An object on the bus for one client alone (interface Session), or, for a run whose
 * bytes come by message, nothing but that run's memory.
 */
#ifndef TV_DAEMON_SESSION_H
#define TV_DAEMON_SESSION_H

#include "daemon/loaded.h"

#define TV_SLOTS_MAX 16

struct tv_session_layout {
	unsigned int slots, images;
	size_t slot_size, input_size, output_offset, output_size; /* the input is at 0 */
	size_t scratch_size; /* of a run: segments that no client sees */
};

struct tv_session {
	struct tv_held held; /* first; by the client that opened it */
	struct tv_manager *manager;
	char path[64];
	uid_t uid;
	struct tv_loaded *loaded;
	int programs[TV_SCHEDULER_TARGETS]; /* for each pool; -1: runs on none of it */
	struct tv_session_layout layout;
	struct tv_scheduler_session scheduled;
	struct tv_buffer *memory; /* layout.slots of them */
	struct tv_buffer
		*scratch; /* the same number of scratch places; NULL if they have no size */
	uint32_t busy; /* slots that a run is under way on */
	uint32_t scratched; /* scratch places that are used */
	TAILQ_HEAD(, tv_run) runs; /* under way, in order of their calls */
	bool public; /* an object on the bus */
	bool closing; /* goes with its last run */
	bool pinned; /* but not now */
	TAILQ_ENTRY(tv_session) sessions;
};

/* What is asked for. */
struct tv_session_wish {
	struct tv_loaded *loaded;
	unsigned int slots, images;
	enum tv_priority priority;
	const char *target; /* or NULL: any */
	const uint8_t *input; /* of the first slot, to begin with; NULL: zeros */
};

/*
 * Opens a session for the caller of a message: its memory is made by a worker. Then opened() is
 * called, with session NULL if it did not come to that, and is to answer the call. The session is
 * the client's until tv_session_close(). -ENOEXEC: no device that is there has a program for it.
 */
struct tv_opening {
	struct tv_call call;
	void (*opened)(struct tv_opening *opening, struct tv_session *session, int result,
		       const struct tv_error *error);
	bool public; /* the session is to be an object on the bus */
	uint64_t received; /* when the call came */
	uint64_t timeout; /* of an inline run; see struct tv_run_wish */
	uint32_t top;
};

int tv_session_open(struct tv_manager *manager, sd_bus_message *message, struct tv_client *client,
		    const struct tv_session_wish *wish, const struct tv_opening *how,
		    struct tv_error *error);

/* Its runs that have not begun end with -ECANCELED, and it is no longer to be found. */
void tv_session_close(struct tv_session *session);
/* A run of it has ended. */
void tv_session_check(struct tv_session *session);

/* One that its runs may go to now; NULL: there is none. */
struct tv_accelerator *tv_session_accelerator(const struct tv_session *session);

/* By its path on the bus, for the client that has it and nobody else. */
struct tv_session *tv_session_at(struct tv_manager *manager, const char *path,
				 sd_bus_message *message);

/* Interface Session. */
int tv_session_add_vtable(struct tv_manager *manager, sd_bus *bus);
extern const char *const tv_priority_names[TV_PRIORITY_COUNT];

#endif
