/* SPDX-License-Identifier: MIT */
/*
 * The scheduler's rules once more, with nothing but arrays that are gone through from one end to
 * the other: to compare with, in what is chosen and in how long that takes. Deadlines are not
 * refused. Uids, sessions and devices are indices.
 */
#ifndef TV_TESTS_SCHEDULER_NAIVE_H
#define TV_TESTS_SCHEDULER_NAIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "daemon/scheduler.h"

enum {
	NAIVE_UIDS = 64,
	NAIVE_SESSIONS = 256,
	NAIVE_DEVICES = 8,
	NAIVE_NONE = -1
};

struct naive_request {
	int session; /* NAIVE_NONE: not known */
	int device; /* that has it, or NAIVE_NONE */
	int64_t place; /* in its session, smallest first */
	uint64_t cost, deadline, urgency, queued;
};

struct naive_session {
	int uid;
	enum tv_priority priority;
	uint32_t targets;
	uint64_t ready, order;
};

struct naive_device {
	bool here;
	unsigned int target;
	int slots[TV_SCHEDULER_SLOTS];
	uint64_t begun;
};

/* One class of one target. */
struct naive_class {
	uint64_t used[NAIVE_UIDS], order[NAIVE_UIDS];
	uint64_t reached, furthest, taken;
};

struct naive {
	uint64_t ageing, events;
	int64_t places;
	struct naive_session sessions[NAIVE_SESSIONS];
	struct naive_device devices[NAIVE_DEVICES];
	struct naive_class classes[TV_SCHEDULER_TARGETS][TV_PRIORITY_COUNT];
	bool aged[TV_SCHEDULER_TARGETS];
	struct naive_request *requests; /* the caller's */
	int count;
};

static inline bool naive_waits(const struct naive *n, int request)
{
	return n->requests[request].session != NAIVE_NONE &&
	       n->requests[request].device == NAIVE_NONE;
}

/* Whether anything waits on a target, of a class and uid (NAIVE_NONE: any). */
static inline bool naive_any(const struct naive *n, unsigned int target, int priority, int uid)
{
	for (int i = 0; i < n->count; i++) {
		const struct naive_session *session;

		if (!naive_waits(n, i))
			continue;
		session = &n->sessions[n->requests[i].session];
		if (session->targets & 1u << target &&
		    (priority == NAIVE_NONE || (int)session->priority == priority) &&
		    (uid == NAIVE_NONE || session->uid == uid))
			return true;
	}
	return false;
}

static inline int naive_first(const struct naive *n, int session)
{
	int first = NAIVE_NONE;

	for (int i = 0; i < n->count; i++)
		if (naive_waits(n, i) && n->requests[i].session == session &&
		    (first == NAIVE_NONE || n->requests[i].place < n->requests[first].place))
			first = i;
	return first;
}

/* Puts a request, whose other fields are set, at one end of its session. */
static inline void naive_add(struct naive *n, int request, bool first, uint64_t now)
{
	struct naive_request *added = &n->requests[request];
	int s = added->session;
	struct naive_session *session = &n->sessions[s];
	int head;

	added->session = NAIVE_NONE; /* so that it does not count yet */
	for (unsigned int t = 0; t < TV_SCHEDULER_TARGETS; t++) {
		struct naive_class *class = &n->classes[t][session->priority];

		if (!(session->targets & 1u << t))
			continue;
		if (!naive_any(n, t, session->priority, NAIVE_NONE))
			class->taken = now;
		if (!naive_any(n, t, session->priority, session->uid)) {
			if (class->used[session->uid] < class->reached)
				class->used[session->uid] = class->reached;
			class->order[session->uid] = ++n->events;
		}
	}
	head = naive_first(n, s);
	if (head == NAIVE_NONE) {
		session->ready = now;
		session->order = ++n->events;
	}
	if (first) {
		if (head != NAIVE_NONE && n->requests[head].urgency < added->urgency)
			added->urgency = n->requests[head].urgency;
		added->place = head == NAIVE_NONE ? ++n->places : n->requests[head].place - 1;
	} else {
		for (int i = 0; i < n->count; i++)
			if (naive_waits(n, i) && n->requests[i].session == s &&
			    n->requests[i].urgency > added->urgency)
				n->requests[i].urgency = added->urgency;
		added->place = ++n->places;
	}
	added->session = s;
	added->device = NAIVE_NONE;
}

static inline void naive_enqueue(struct naive *n, int request, int session, uint64_t cost,
				 uint64_t deadline, uint64_t now)
{
	uint64_t urgency = deadline;

	if (deadline != TV_NO_DEADLINE && now + n->ageing - 1 < deadline)
		urgency = now + n->ageing - 1;
	n->requests[request] = (struct naive_request){
		.session = session,
		.device = NAIVE_NONE,
		.cost = cost,
		.deadline = deadline,
		.urgency = urgency,
		.queued = ++n->events,
	};
	naive_add(n, request, false, now);
}

/* The request no longer waits; it is up to the caller what else it does. */
static inline void naive_leave(struct naive *n, int request, uint64_t now)
{
	struct naive_session *session = &n->sessions[n->requests[request].session];

	if (naive_first(n, n->requests[request].session) == request) {
		session->ready = now;
		session->order = ++n->events;
	}
}

static inline void naive_cancel(struct naive *n, int request, uint64_t now)
{
	naive_leave(n, request, now);
	n->requests[request].session = NAIVE_NONE;
}

static inline uint64_t naive_left(const struct naive *n, int device, uint64_t now)
{
	const struct naive_device *d = &n->devices[device];
	uint64_t run = now - d->begun;
	uint64_t cost;

	if (d->slots[0] == NAIVE_NONE)
		return 0;
	cost = n->requests[d->slots[0]].cost;
	cost = run < cost ? cost - run : 0;
	return cost + (d->slots[1] == NAIVE_NONE ? 0 : n->requests[d->slots[1]].cost);
}

static inline int naive_choose_device(const struct naive *n, uint64_t now)
{
	int chosen = NAIVE_NONE;

	for (int d = 0; d < NAIVE_DEVICES; d++)
		if (n->devices[d].here && n->devices[d].slots[1] == NAIVE_NONE &&
		    naive_any(n, n->devices[d].target, NAIVE_NONE, NAIVE_NONE) &&
		    (chosen == NAIVE_NONE || naive_left(n, d, now) < naive_left(n, chosen, now)))
			chosen = d;
	return chosen;
}

static inline int naive_choose_class(const struct naive *n, unsigned int target, uint64_t now)
{
	int highest = NAIVE_NONE, chosen;

	for (int p = 0; p < TV_PRIORITY_COUNT; p++)
		if (naive_any(n, target, p, NAIVE_NONE))
			highest = p;
	chosen = highest;
	for (int p = 0; p < highest && !n->aged[target]; p++)
		if (naive_any(n, target, p, NAIVE_NONE) &&
		    now - n->classes[target][p].taken >= n->ageing &&
		    (chosen == highest ||
		     n->classes[target][p].taken < n->classes[target][chosen].taken))
			chosen = p;
	return chosen;
}

static inline uint64_t naive_turn(const struct naive *n, int request)
{
	const struct naive_session *session = &n->sessions[n->requests[request].session];
	uint64_t aged = session->ready + n->ageing;

	return n->requests[request].urgency < aged ? n->requests[request].urgency : aged;
}

/* Whether a goes before b, both first in their sessions, in class and target. */
static inline bool naive_before(const struct naive *n, const struct naive_class *class, int a,
				int b)
{
	const struct naive_session *sa = &n->sessions[n->requests[a].session];
	const struct naive_session *sb = &n->sessions[n->requests[b].session];

	if (class->used[sa->uid] != class->used[sb->uid])
		return class->used[sa->uid] < class->used[sb->uid];
	if (class->order[sa->uid] != class->order[sb->uid])
		return class->order[sa->uid] < class->order[sb->uid];
	if (naive_turn(n, a) != naive_turn(n, b))
		return naive_turn(n, a) < naive_turn(n, b);
	return sa->order < sb->order;
}

static inline int naive_next(struct naive *n, uint64_t now)
{
	int d = naive_choose_device(n, now), chosen = NAIVE_NONE, p;
	int firsts[NAIVE_SESSIONS];
	struct naive_device *device;
	struct naive_class *class;

	if (d == NAIVE_NONE)
		return NAIVE_NONE;
	device = &n->devices[d];
	p = naive_choose_class(n, device->target, now);
	class = &n->classes[device->target][p];
	memset(firsts, -1, sizeof(firsts));
	for (int i = 0; i < n->count; i++) {
		int s = n->requests[i].session;

		if (naive_waits(n, i) && (int)n->sessions[s].priority == p &&
		    n->sessions[s].targets & 1u << device->target &&
		    (firsts[s] == NAIVE_NONE ||
		     n->requests[i].place < n->requests[firsts[s]].place))
			firsts[s] = i;
	}
	for (int s = 0; s < NAIVE_SESSIONS; s++)
		if (firsts[s] != NAIVE_NONE &&
		    (chosen == NAIVE_NONE || naive_before(n, class, firsts[s], chosen)))
			chosen = firsts[s];

	n->aged[device->target] = false;
	for (int higher = p + 1; higher < TV_PRIORITY_COUNT; higher++)
		n->aged[device->target] |= naive_any(n, device->target, higher, NAIVE_NONE);
	class->taken = now;
	if (class->reached < class->used[n->sessions[n->requests[chosen].session].uid])
		class->reached = class->used[n->sessions[n->requests[chosen].session].uid];
	naive_leave(n, chosen, now);
	n->requests[chosen].device = d;
	class->used[n->sessions[n->requests[chosen].session].uid] += n->requests[chosen].cost;
	class->order[n->sessions[n->requests[chosen].session].uid] = ++n->events;
	if (class->furthest < class->used[n->sessions[n->requests[chosen].session].uid])
		class->furthest = class->used[n->sessions[n->requests[chosen].session].uid];
	if (device->slots[0] == NAIVE_NONE)
		device->begun = now;
	device->slots[device->slots[0] != NAIVE_NONE] = chosen;
	return chosen;
}

/* Takes a request out of its device after so many ns of work. */
static inline void naive_release(struct naive *n, int request, uint64_t now, uint64_t used)
{
	struct naive_request *released = &n->requests[request];
	struct naive_device *device = &n->devices[released->device];
	const struct naive_session *session = &n->sessions[released->session];
	struct naive_class *class = &n->classes[device->target][session->priority];

	if (used != released->cost) {
		class->used[session->uid] += used - released->cost;
		class->order[session->uid] = ++n->events;
		if (class->furthest < class->used[session->uid])
			class->furthest = class->used[session->uid];
	}
	if (device->slots[0] == request) {
		device->slots[0] = device->slots[1];
		device->begun = now;
	}
	device->slots[1] = NAIVE_NONE;
	released->device = NAIVE_NONE;
}

static inline void naive_done(struct naive *n, int request, uint64_t now, uint64_t used)
{
	unsigned int target = n->devices[n->requests[request].device].target;

	naive_release(n, request, now, used);
	n->requests[request].session = NAIVE_NONE;
	if (naive_any(n, target, NAIVE_NONE, NAIVE_NONE))
		return;
	for (int d = 0; d < NAIVE_DEVICES; d++)
		if (n->devices[d].target == target && n->devices[d].slots[0] != NAIVE_NONE)
			return;
	for (int p = 0; p < TV_PRIORITY_COUNT; p++)
		n->classes[target][p].reached = n->classes[target][p].furthest;
}

static inline void naive_device_add(struct naive *n, int device, unsigned int target)
{
	n->devices[device] = (struct naive_device){
		.here = true,
		.target = target,
		.slots = { NAIVE_NONE, NAIVE_NONE },
	};
}

/* Returns what ran, or NAIVE_NONE. */
static inline int naive_device_remove(struct naive *n, int device, uint64_t now)
{
	struct naive_device *d = &n->devices[device];
	int running = d->slots[0], follows = d->slots[1];

	d->here = false;
	if (follows != NAIVE_NONE) {
		naive_release(n, follows, now, 0);
		naive_add(n, follows, true, now);
	}
	if (running != NAIVE_NONE) {
		uint64_t run = now - d->begun;
		uint64_t cost = n->requests[running].cost;

		naive_done(n, running, now, run < cost ? run : cost);
	}
	return running;
}

/* The request that is to expire first, or NAIVE_NONE. */
static inline int naive_expire(struct naive *n, uint64_t now)
{
	int first = NAIVE_NONE;

	for (int i = 0; i < n->count; i++) {
		const struct naive_request *request = &n->requests[i];

		if (!naive_waits(n, i) || request->deadline == TV_NO_DEADLINE ||
		    request->deadline >= now + request->cost)
			continue;
		if (first == NAIVE_NONE ||
		    request->deadline - request->cost <
			    n->requests[first].deadline - n->requests[first].cost ||
		    (request->deadline - request->cost ==
			     n->requests[first].deadline - n->requests[first].cost &&
		     request->queued < n->requests[first].queued))
			first = i;
	}
	if (first != NAIVE_NONE)
		naive_cancel(n, first, now);
	return first;
}

#endif
