/* SPDX-License-Identifier: MIT */
/*
 * Which request runs next on which device. Pure logic: no clock, no threads, nothing is waited for;
 * who calls says what time it is (nanoseconds of any clock that never goes back). The same calls
 * give the same answers.
 *
 * Devices of one target form a pool; a session names the targets that its model runs on, and its
 * requests wait in the pool of each. A device holds at most two requests, one that runs and one
 * that follows without a gap: what is queued in a device can no longer be overtaken. No device has
 * room while a request that it could run waits. In a pool, what comes next is chosen in four steps:
 *
 * 1. The class: the highest that waits. Ageing: a lower class of which nothing was taken for the
 *    ageing time goes first, the one that waited longest before others, but never twice in a row
 *    before a higher one. With jobs of at most C, a class is therefore taken from at least once in
 *    ageing + 4 C, whatever the load above it.
 * 2. The uid: the one that has used least device time in this class of this pool (start-time fair
 *    queueing: Goyal, Vin, Cheng 1996). A uid that comes anew, or again, starts where the class
 *    stands: it is not owed the past, and it goes before whoever has more waiting. Between two uids
 *    that wait all the time, device time differs by at most one job of each, whatever their sizes.
 * 3. The session: each in turn. A deadline brings a session forward among those of its uid, the
 *    earliest first, but not before one that has waited for the ageing time.
 * 4. The request: sessions are first in, first out.
 *
 * Deadlines: a request has to end by its deadline. It is refused when that cannot be promised, see
 * tv_scheduler_enqueue(); once accepted it expires as soon as it could not end in time any more
 * even if it started at once, at deadline - cost, unless a device has it.
 */
#ifndef TV_DAEMON_SCHEDULER_H
#define TV_DAEMON_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "daemon/heap.h"

enum tv_priority {
	TV_PRIORITY_LOW,
	TV_PRIORITY_NORMAL,
	TV_PRIORITY_HIGH, /* who may use it is the caller's to check */
	TV_PRIORITY_COUNT,
};

enum {
	TV_SCHEDULER_TARGETS = 8, /* kinds of device in one machine */
	TV_SCHEDULER_SLOTS = 2, /* of a device: one runs, one follows */
};

#define TV_NO_DEADLINE	      UINT64_MAX
#define TV_SCHEDULER_COST_MAX (1ull << 40) /* ns: 18 minutes; sums of costs fit in 64 bits */

struct tv_scheduler;
struct tv_scheduler_user;

/* The structures below are embedded in the caller's; all fields but those said to be the caller's
 * are the scheduler's, to be read only. */

struct tv_scheduler_device {
	unsigned int target;
	bool paused;
	unsigned int held; /* requests in slots */
	struct tv_scheduler_request *slots[TV_SCHEDULER_SLOTS]; /* the first one runs */
	uint64_t begun; /* when it began to */
	TAILQ_ENTRY(tv_scheduler_device) devices;
};

struct tv_scheduler_session {
	struct tv_scheduler_user *user;
	enum tv_priority priority;
	uint32_t targets; /* bit i: runs on target i */
	size_t held; /* requests in devices */
	TAILQ_HEAD(tv_scheduler_requests, tv_scheduler_request) requests; /* that wait */
	uint64_t ready; /* since when its first request waits for nothing but its turn */
	uint64_t order; /* when that was, counted in events */
	struct tv_heap_node turns[TV_SCHEDULER_TARGETS]; /* among its user's sessions */
	TAILQ_ENTRY(tv_scheduler_session) sessions;
};

struct tv_scheduler_request {
	uint64_t cost; /* the caller's: ns on a device, [1, TV_SCHEDULER_COST_MAX] */
	uint64_t deadline; /* the caller's: when it has to have ended, or TV_NO_DEADLINE */

	struct tv_scheduler_session *session;
	struct tv_scheduler_device *device; /* that has it, NULL while it waits */
	bool waits;
	uint64_t urgency; /* its deadline, or of one behind it in its session, for the turns */
	struct tv_heap_node expiry;
	TAILQ_ENTRY(tv_scheduler_request) requests;
};

/* ageing: ns, at least 1. Returns 0 or -ENOMEM. */
int tv_scheduler_new(uint64_t ageing, struct tv_scheduler **ret);

/* Sessions must be closed and devices removed. scheduler may be NULL. */
void tv_scheduler_free(struct tv_scheduler *scheduler);
TV_DEFINE_CLEANUP(struct tv_scheduler *, tv_scheduler_free)

/* target: less than TV_SCHEDULER_TARGETS. */
void tv_scheduler_device_add(struct tv_scheduler *scheduler, struct tv_scheduler_device *device,
			     unsigned int target);

/* A paused device ends what it has and is given nothing more. */
void tv_scheduler_device_pause(struct tv_scheduler_device *device, bool paused);

/* What the device had not begun waits again, at the front of its session. Returns what it was
 * running, which is the caller's as after tv_scheduler_done(), or NULL. */
struct tv_scheduler_request *tv_scheduler_device_remove(struct tv_scheduler *scheduler,
							struct tv_scheduler_device *device,
							uint64_t now);

/* targets: a bit for each target that its requests may run on, at least one. Returns 0 or -ENOMEM.
 */
int tv_scheduler_session_open(struct tv_scheduler *scheduler, struct tv_scheduler_session *session,
			      uid_t uid, enum tv_priority priority, uint32_t targets);

/* None of its requests may wait or be in a device. */
void tv_scheduler_session_close(struct tv_scheduler *scheduler,
				struct tv_scheduler_session *session);

/*
 * Queues a request whose cost and deadline are set. Returns 0; -EINVAL for a cost out of range;
 * -ETIME where the deadline cannot be promised.
 *
 * It is promised if, in each pool of the session's targets that has devices which are not paused, m
 * of them, and in one at least,
 *
 *	now + (ahead + (m - 1) * largest) / m + cost <= deadline
 *
 * where ahead is an upper bound of the work that precedes the request if nothing else arrives:
 *
 * - what is left of the requests in these devices;
 * - all that waits in higher classes;
 * - own: what waits of its session; of other sessions of its uid and class the requests that
 *   are as urgent, or one request if they have waited so long that their turn comes first;
 * - of each other uid in its class, with v its virtual time, T that of the request (its uid's plus
 *   own) and v <= T: what waits, but at most T - v + the largest of its requests;
 * - of lower classes what ageing lets pass before deadline - cost: what waits, but at most one
 *   request, the largest, for each time.
 *
 * and largest is the largest request in the pool and its devices. Such a request ends by its
 * deadline as long as requests keep to their costs, devices are neither paused nor removed, and
 * nothing that precedes it arrives later: of a higher class, of a uid that has used less, of its
 * own uid and more urgent, or of a lower class that has aged. Fairness goes before promises, so
 * that nobody gets more of a device by setting deadlines. The bound is what will happen, to the
 * nanosecond, with one device, nobody else in this class or below, and nothing that expires or is
 * exactly as urgent.
 */
int tv_scheduler_enqueue(struct tv_scheduler *scheduler, struct tv_scheduler_session *session,
			 struct tv_scheduler_request *request, uint64_t now,
			 struct tv_error *error);

/* Takes back a request that waits. The one behind it has not waited for its session's turn yet. */
void tv_scheduler_cancel(struct tv_scheduler *scheduler, struct tv_scheduler_request *request,
			 uint64_t now);

/* Hands the next request to the device that can start it first and returns it, or NULL if nothing
 * waits that a device has room for. To be called until then after each change, after
 * tv_scheduler_expire(). */
struct tv_scheduler_request *tv_scheduler_next(struct tv_scheduler *scheduler, uint64_t now,
					       struct tv_scheduler_device **ret_device);

/* The device has ended a request, or given it up, after so many ns of work on it; if it was the one
 * that ran, the other one begins. */
void tv_scheduler_done(struct tv_scheduler *scheduler, struct tv_scheduler_request *request,
		       uint64_t now, uint64_t used);

/* How many requests wait for devices of a target. */
size_t tv_scheduler_waiting(const struct tv_scheduler *scheduler, unsigned int target);

/* Takes out and returns a request that waits and cannot end by its deadline any more, or NULL. */
struct tv_scheduler_request *tv_scheduler_expire(struct tv_scheduler *scheduler, uint64_t now);

/* The first time at which tv_scheduler_expire() will have something, or TV_NO_DEADLINE. */
uint64_t tv_scheduler_next_expiry(const struct tv_scheduler *scheduler);

#endif
