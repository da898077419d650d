/* SPDX-License-Identifier: MIT */
/* What the scheduler's files share. */
#ifndef TV_DAEMON_SCHEDULER_PRIVATE_H
#define TV_DAEMON_SCHEDULER_PRIVATE_H

#include "daemon/scheduler.h"

/* What waits: in one class of a pool, or there of one user. */
struct tv_waiting {
	size_t count; /* requests */
	uint64_t work; /* ns */
	uint64_t largest; /* cost that was seen since count was 0 */
};

/* A user in one class of a pool. */
struct tv_share {
	struct tv_waiting waiting;
	struct tv_heap sessions; /* with requests, by urgency */
	uint64_t used; /* virtual time: device time used, or passed over while it had no work */
	struct tv_heap_node node; /* in its class while something waits, by used */
};

struct tv_class {
	struct tv_waiting waiting;
	struct tv_heap shares;
	uint64_t reached; /* virtual time: used of the share that was taken from last */
	uint64_t furthest; /* used of any share */
	uint64_t taken; /* when something was last taken from it, or came to wait */
};

struct tv_pool {
	struct tv_class classes[TV_PRIORITY_COUNT];
	bool aged; /* the last one taken went before a higher class */
	size_t held; /* requests in its devices */
};

struct tv_scheduler_user {
	uid_t uid;
	TAILQ_HEAD(, tv_scheduler_session) sessions;
	struct tv_share shares[TV_SCHEDULER_TARGETS][TV_PRIORITY_COUNT];
	TAILQ_ENTRY(tv_scheduler_user) users;
};

struct tv_scheduler {
	uint64_t ageing;
	uint64_t events; /* counted, to tell what came first */
	struct tv_pool pools[TV_SCHEDULER_TARGETS];
	struct tv_heap expiries;
	TAILQ_HEAD(, tv_scheduler_device) devices;
	TAILQ_HEAD(, tv_scheduler_user) users;
};

#define tv_for_each_target(target, targets)                                                        \
	for (uint32_t _rest = (targets), target;                                                   \
	     _rest && (target = (uint32_t)__builtin_ctz(_rest), 1); _rest &= _rest - 1)

static inline uint64_t tv_min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t tv_max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* a + b, or UINT64_MAX where that is more. */
static inline uint64_t tv_sum_u64(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

/* What a device has still to do, in ns. */
uint64_t tv_scheduler_device_left(const struct tv_scheduler_device *device, uint64_t now);

/* By when a deadline counts among its uid's: none longer than those without have to wait. */
uint64_t tv_scheduler_urgency(const struct tv_scheduler *scheduler, uint64_t deadline,
			      uint64_t now);

/* When the request will have ended at the latest, as tv_scheduler_enqueue() says; UINT64_MAX if
 * there is no device for it. */
uint64_t tv_scheduler_forecast(const struct tv_scheduler *scheduler,
			       const struct tv_scheduler_session *session,
			       const struct tv_scheduler_request *request, uint64_t now);

#endif
