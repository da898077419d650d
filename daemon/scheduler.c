/* SPDX-License-Identifier: MIT */
#include "daemon/scheduler.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "daemon/scheduler-private.h"

int tv_scheduler_new(uint64_t ageing, struct tv_scheduler **ret)
{
	struct tv_scheduler *scheduler = calloc(1, sizeof(*scheduler));

	if (!scheduler)
		return -ENOMEM;
	assert(ageing > 0);
	scheduler->ageing = ageing;
	TAILQ_INIT(&scheduler->devices);
	TAILQ_INIT(&scheduler->users);
	*ret = scheduler;
	return 0;
}

void tv_scheduler_free(struct tv_scheduler *scheduler)
{
	struct tv_scheduler_user *user;

	if (!scheduler)
		return;
	assert(TAILQ_EMPTY(&scheduler->devices));
	while ((user = TAILQ_FIRST(&scheduler->users))) {
		assert(TAILQ_EMPTY(&user->sessions));
		TAILQ_REMOVE(&scheduler->users, user, users);
		free(user);
	}
	free(scheduler);
}

/* Users */

/* One that has used more than its share is not forgotten: it could come back at once without. */
static bool user_is_ahead(const struct tv_scheduler *scheduler,
			  const struct tv_scheduler_user *user)
{
	for (size_t t = 0; t < TV_SCHEDULER_TARGETS; t++)
		for (size_t p = 0; p < TV_PRIORITY_COUNT; p++)
			if (user->shares[t][p].used > scheduler->pools[t].classes[p].reached)
				return true;
	return false;
}

static void forget_users(struct tv_scheduler *scheduler)
{
	struct tv_scheduler_user *user = TAILQ_FIRST(&scheduler->users);

	while (user) {
		struct tv_scheduler_user *next = TAILQ_NEXT(user, users);

		if (TAILQ_EMPTY(&user->sessions) && !user_is_ahead(scheduler, user)) {
			TAILQ_REMOVE(&scheduler->users, user, users);
			free(user);
		}
		user = next;
	}
}

static struct tv_scheduler_user *get_user(struct tv_scheduler *scheduler, uid_t uid)
{
	struct tv_scheduler_user *user;

	TAILQ_FOREACH(user, &scheduler->users, users)
		if (user->uid == uid)
			return user;
	user = calloc(1, sizeof(*user));
	if (!user)
		return NULL;
	user->uid = uid;
	TAILQ_INIT(&user->sessions);
	TAILQ_INSERT_TAIL(&scheduler->users, user, users);
	return user;
}

int tv_scheduler_session_open(struct tv_scheduler *scheduler, struct tv_scheduler_session *session,
			      uid_t uid, enum tv_priority priority, uint32_t targets)
{
	struct tv_scheduler_user *user;

	assert(priority < TV_PRIORITY_COUNT);
	assert(targets && !(targets >> TV_SCHEDULER_TARGETS));
	forget_users(scheduler);
	user = get_user(scheduler, uid);
	if (!user)
		return -ENOMEM;
	*session = (struct tv_scheduler_session){
		.user = user,
		.priority = priority,
		.targets = targets,
	};
	TAILQ_INIT(&session->requests);
	TAILQ_INSERT_TAIL(&user->sessions, session, sessions);
	return 0;
}

void tv_scheduler_session_close(struct tv_scheduler *scheduler,
				struct tv_scheduler_session *session)
{
	assert(TAILQ_EMPTY(&session->requests) && !session->held);
	TAILQ_REMOVE(&session->user->sessions, session, sessions);
	session->user = NULL;
	forget_users(scheduler);
}

/* What waits */

static void waiting_add(struct tv_waiting *waiting, uint64_t cost)
{
	waiting->largest = tv_max_u64(waiting->count ? waiting->largest : 0, cost);
	waiting->work += cost;
	waiting->count++;
}

static void waiting_remove(struct tv_waiting *waiting, uint64_t cost)
{
	waiting->work -= cost;
	waiting->count--;
}

/* The request came to wait in its session's pools. */
static void count_in(struct tv_scheduler *scheduler, const struct tv_scheduler_request *request,
		     uint64_t now)
{
	const struct tv_scheduler_session *session = request->session;
	enum tv_priority p = session->priority;

	tv_for_each_target(t, session->targets) {
		struct tv_class *class = &scheduler->pools[t].classes[p];
		struct tv_share *share = &session->user->shares[t][p];

		if (!class->waiting.count)
			class->taken = now;
		waiting_add(&class->waiting, request->cost);
		if (!share->waiting.count) {
			share->used = tv_max_u64(share->used, class->reached);
			tv_heap_insert(&class->shares, &share->node, share->used,
				       ++scheduler->events);
		}
		waiting_add(&share->waiting, request->cost);
	}
}

static void count_out(struct tv_scheduler *scheduler, const struct tv_scheduler_request *request)
{
	const struct tv_scheduler_session *session = request->session;
	enum tv_priority p = session->priority;

	tv_for_each_target(t, session->targets) {
		struct tv_class *class = &scheduler->pools[t].classes[p];
		struct tv_share *share = &session->user->shares[t][p];

		waiting_remove(&class->waiting, request->cost);
		waiting_remove(&share->waiting, request->cost);
		if (!share->waiting.count)
			tv_heap_remove(&class->shares, &share->node);
	}
}

/* Around each change of the session's requests: takes it out of its user's turns ... */
static void leave_turns(struct tv_scheduler_session *session)
{
	if (TAILQ_EMPTY(&session->requests))
		return;
	tv_for_each_target(t, session->targets) {
		struct tv_share *share = &session->user->shares[t][session->priority];

		tv_heap_remove(&share->sessions, &session->turns[t]);
	}
}

/* ... and puts it in again. */
static void enter_turns(const struct tv_scheduler *scheduler, struct tv_scheduler_session *session)
{
	const struct tv_scheduler_request *first = TAILQ_FIRST(&session->requests);
	uint64_t key;

	if (!first)
		return;
	key = tv_min_u64(first->urgency, tv_sum_u64(session->ready, scheduler->ageing));
	tv_for_each_target(t, session->targets) {
		struct tv_share *share = &session->user->shares[t][session->priority];

		tv_heap_insert(&share->sessions, &session->turns[t], key, session->order);
	}
}

/* The session goes behind its user's others. */
static void pass_turn(struct tv_scheduler *scheduler, struct tv_scheduler_session *session,
		      uint64_t now)
{
	session->ready = now;
	session->order = ++scheduler->events;
}

static void add_request(struct tv_scheduler *scheduler, struct tv_scheduler_request *request,
			bool first, uint64_t now)
{
	struct tv_scheduler_session *session = request->session;
	struct tv_scheduler_request *other;

	if (TAILQ_EMPTY(&session->requests))
		pass_turn(scheduler, session, now);
	leave_turns(session);
	if (first) {
		other = TAILQ_FIRST(&session->requests);
		if (other)
			request->urgency = tv_min_u64(request->urgency, other->urgency);
		TAILQ_INSERT_HEAD(&session->requests, request, requests);
	} else {
		/* It ends in time only if those before it are as urgent. */
		TAILQ_FOREACH_REVERSE(other, &session->requests, tv_scheduler_requests, requests) {
			if (other->urgency <= request->urgency)
				break;
			other->urgency = request->urgency;
		}
		TAILQ_INSERT_TAIL(&session->requests, request, requests);
	}
	enter_turns(scheduler, session);
	if (request->deadline != TV_NO_DEADLINE)
		tv_heap_insert(&scheduler->expiries, &request->expiry,
			       request->deadline - request->cost, ++scheduler->events);
	request->waits = true;
	count_in(scheduler, request, now);
}

static void remove_request(struct tv_scheduler *scheduler, struct tv_scheduler_request *request,
			   uint64_t now)
{
	struct tv_scheduler_session *session = request->session;

	assert(request->waits);
	leave_turns(session);
	if (request == TAILQ_FIRST(&session->requests))
		pass_turn(scheduler, session, now);
	TAILQ_REMOVE(&session->requests, request, requests);
	enter_turns(scheduler, session);
	if (request->deadline != TV_NO_DEADLINE)
		tv_heap_remove(&scheduler->expiries, &request->expiry);
	request->waits = false;
	count_out(scheduler, request);
}

int tv_scheduler_enqueue(struct tv_scheduler *scheduler, struct tv_scheduler_session *session,
			 struct tv_scheduler_request *request, uint64_t now, struct tv_error *error)
{
	if (!request->cost || request->cost > TV_SCHEDULER_COST_MAX)
		return tv_error_set(error, -EINVAL, "cost %" PRIu64 " ns, expected 1 to %llu",
				    request->cost, TV_SCHEDULER_COST_MAX);
	if (request->deadline != TV_NO_DEADLINE) {
		uint64_t end = tv_scheduler_forecast(scheduler, session, request, now);

		if (end == UINT64_MAX)
			return tv_error_set(error, -ETIME,
					    "deadline cannot be met: no device is ready");
		if (end > request->deadline)
			return tv_error_set(error, -ETIME,
					    "deadline cannot be met: %" PRIu64
					    " us too late with what goes first",
					    (end - request->deadline + 999) / 1000);
	}
	request->session = session;
	request->device = NULL;
	request->urgency = tv_scheduler_urgency(scheduler, request->deadline, now);
	add_request(scheduler, request, false, now);
	return 0;
}

void tv_scheduler_cancel(struct tv_scheduler *scheduler, struct tv_scheduler_request *request,
			 uint64_t now)
{
	remove_request(scheduler, request, now);
}

uint64_t tv_scheduler_next_expiry(const struct tv_scheduler *scheduler)
{
	/* At deadline - cost it can still be met. */
	return scheduler->expiries.root ? scheduler->expiries.root->key + 1 : TV_NO_DEADLINE;
}

size_t tv_scheduler_waiting(const struct tv_scheduler *scheduler, unsigned int target)
{
	size_t count = 0;

	for (enum tv_priority p = 0; p < TV_PRIORITY_COUNT; p++)
		count += scheduler->pools[target].classes[p].waiting.count;
	return count;
}

struct tv_scheduler_request *tv_scheduler_expire(struct tv_scheduler *scheduler, uint64_t now)
{
	struct tv_scheduler_request *request;

	if (!scheduler->expiries.root || now <= scheduler->expiries.root->key)
		return NULL;
	request = tv_container_of(scheduler->expiries.root, struct tv_scheduler_request, expiry);
	remove_request(scheduler, request, now);
	return request;
}

/* Devices */

void tv_scheduler_device_add(struct tv_scheduler *scheduler, struct tv_scheduler_device *device,
			     unsigned int target)
{
	assert(target < TV_SCHEDULER_TARGETS);
	*device = (struct tv_scheduler_device){ .target = target };
	TAILQ_INSERT_TAIL(&scheduler->devices, device, devices);
}

void tv_scheduler_device_pause(struct tv_scheduler_device *device, bool paused)
{
	device->paused = paused;
}

uint64_t tv_scheduler_device_left(const struct tv_scheduler_device *device, uint64_t now)
{
	uint64_t left = 0;

	for (unsigned int i = 0; i < device->held; i++)
		left += device->slots[i]->cost;
	/* One that takes longer than it should might end at once. */
	return device->held ? left - tv_min_u64(now - device->begun, device->slots[0]->cost) : 0;
}

/* Adds to what the user of a request has used of the device's pool. */
static void charge(struct tv_scheduler *scheduler, const struct tv_scheduler_request *request,
		   int64_t used)
{
	const struct tv_scheduler_session *session = request->session;
	enum tv_priority p = session->priority;
	unsigned int t = request->device->target;
	struct tv_class *class = &scheduler->pools[t].classes[p];
	struct tv_share *share = &session->user->shares[t][p];

	if (!used)
		return;
	share->used += (uint64_t)used;
	class->furthest = tv_max_u64(class->furthest, share->used);
	if (share->waiting.count) {
		tv_heap_remove(&class->shares, &share->node);
		tv_heap_insert(&class->shares, &share->node, share->used, ++scheduler->events);
	}
}

/* Which class of a pool is next; TV_PRIORITY_COUNT if nothing waits. */
static enum tv_priority choose_class(const struct tv_scheduler *scheduler,
				     const struct tv_pool *pool, uint64_t now)
{
	enum tv_priority highest = TV_PRIORITY_COUNT, chosen;

	for (enum tv_priority p = 0; p < TV_PRIORITY_COUNT; p++)
		if (pool->classes[p].waiting.count)
			highest = p;
	chosen = highest;
	if (highest == TV_PRIORITY_COUNT || pool->aged)
		return chosen;
	for (enum tv_priority p = 0; p < highest; p++) {
		const struct tv_class *class = &pool->classes[p];

		if (class->waiting.count && now - class->taken >= scheduler->ageing &&
		    (chosen == highest || class->taken < pool->classes[chosen].taken))
			chosen = p;
	}
	return chosen;
}

/* The next request of a pool in which something waits. */
static struct tv_scheduler_request *choose_request(struct tv_scheduler *scheduler,
						   unsigned int target, uint64_t now)
{
	struct tv_pool *pool = &scheduler->pools[target];
	enum tv_priority p = choose_class(scheduler, pool, now);
	struct tv_class *class = &pool->classes[p];
	struct tv_share *share = tv_container_of(class->shares.root, struct tv_share, node);
	struct tv_heap_node *turn = share->sessions.root;
	struct tv_scheduler_session *session =
		tv_container_of(turn - target, struct tv_scheduler_session, turns);

	pool->aged = false;
	for (enum tv_priority higher = p + 1; higher < TV_PRIORITY_COUNT; higher++)
		pool->aged |= pool->classes[higher].waiting.count > 0;
	class->taken = now;
	class->reached = tv_max_u64(class->reached, share->used);
	return TAILQ_FIRST(&session->requests);
}

static bool pool_waits(const struct tv_pool *pool)
{
	for (enum tv_priority p = 0; p < TV_PRIORITY_COUNT; p++)
		if (pool->classes[p].waiting.count)
			return true;
	return false;
}

/* The device that can start something first, or NULL if none has both room and work. */
static struct tv_scheduler_device *choose_device(struct tv_scheduler *scheduler, uint64_t now)
{
	struct tv_scheduler_device *device, *chosen = NULL;

	TAILQ_FOREACH(device, &scheduler->devices, devices) {
		if (device->paused || device->held == TV_SCHEDULER_SLOTS)
			continue;
		if (!pool_waits(&scheduler->pools[device->target]))
			continue;
		if (!chosen ||
		    tv_scheduler_device_left(device, now) < tv_scheduler_device_left(chosen, now))
			chosen = device;
	}
	return chosen;
}

struct tv_scheduler_request *tv_scheduler_next(struct tv_scheduler *scheduler, uint64_t now,
					       struct tv_scheduler_device **ret_device)
{
	struct tv_scheduler_device *device = choose_device(scheduler, now);
	struct tv_scheduler_request *request;

	if (!device)
		return NULL;
	request = choose_request(scheduler, device->target, now);
	remove_request(scheduler, request, now);
	request->device = device;
	charge(scheduler, request, (int64_t)request->cost);
	request->session->held++;
	scheduler->pools[device->target].held++;
	if (!device->held)
		device->begun = now;
	device->slots[device->held++] = request;
	*ret_device = device;
	return request;
}

/* Takes a request out of the device that has it. */
static void release(struct tv_scheduler *scheduler, struct tv_scheduler_request *request,
		    uint64_t now)
{
	struct tv_scheduler_device *device = request->device;

	assert(device->held && (request == device->slots[0] || request == device->slots[1]));
	if (request == device->slots[0]) {
		device->slots[0] = device->slots[1];
		device->begun = now;
	}
	device->slots[1] = NULL;
	device->held--;
	request->session->held--;
	scheduler->pools[device->target].held--;
	request->device = NULL;
}

void tv_scheduler_done(struct tv_scheduler *scheduler, struct tv_scheduler_request *request,
		       uint64_t now, uint64_t used)
{
	struct tv_pool *pool = &scheduler->pools[request->device->target];

	charge(scheduler, request, (int64_t)(used - request->cost));
	release(scheduler, request, now);
	if (pool->held || pool_waits(pool))
		return;
	/* Nobody wants anything: whoever comes now starts level. */
	for (enum tv_priority p = 0; p < TV_PRIORITY_COUNT; p++)
		pool->classes[p].reached = pool->classes[p].furthest;
}

struct tv_scheduler_request *tv_scheduler_device_remove(struct tv_scheduler *scheduler,
							struct tv_scheduler_device *device,
							uint64_t now)
{
	struct tv_scheduler_request *running = device->slots[0], *follows = device->slots[1];

	TAILQ_REMOVE(&scheduler->devices, device, devices);
	if (follows) {
		charge(scheduler, follows, -(int64_t)follows->cost);
		release(scheduler, follows, now);
		add_request(scheduler, follows, true, now);
	}
	if (running)
		tv_scheduler_done(scheduler, running, now,
				  tv_min_u64(now - device->begun, running->cost));
	return running;
}
