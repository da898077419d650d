/* SPDX-License-Identifier: MIT */
/* Bounds on when a request ends, from which deadlines are promised. */
#include "daemon/scheduler-private.h"

uint64_t tv_scheduler_urgency(const struct tv_scheduler *scheduler, uint64_t deadline, uint64_t now)
{
	if (deadline == TV_NO_DEADLINE)
		return TV_NO_DEADLINE;
	/* Before the turn of any session that is ready from now on. */
	return tv_min_u64(deadline, tv_sum_u64(now, scheduler->ageing) - 1);
}

/* Work of the session that precedes a request of another session of the same share. */
static uint64_t urgent_work(const struct tv_scheduler *scheduler,
			    const struct tv_scheduler_session *session, uint64_t urgency)
{
	const struct tv_scheduler_request *request, *first = TAILQ_FIRST(&session->requests);
	uint64_t work = 0;

	/* Urgency only falls along the queue. */
	TAILQ_FOREACH(request, &session->requests, requests) {
		if (request->urgency > urgency)
			break;
		work += request->cost;
	}
	if (first && !work && tv_sum_u64(session->ready, scheduler->ageing) <= urgency)
		work = first->cost;
	return work;
}

/* Work of its own uid that precedes the request. */
static uint64_t own_work(const struct tv_scheduler *scheduler,
			 const struct tv_scheduler_session *session, unsigned int target,
			 uint64_t urgency)
{
	const struct tv_scheduler_session *other;
	const struct tv_scheduler_request *request;
	uint64_t work = 0;

	TAILQ_FOREACH(request, &session->requests, requests)
		work += request->cost;
	TAILQ_FOREACH(other, &session->user->sessions, sessions)
		if (other != session && other->priority == session->priority &&
		    other->targets & 1u << target)
			work += urgent_work(scheduler, other, urgency);
	return work;
}

/* Work of other uids of its class that precedes the request, which starts at virtual time start. */
static uint64_t others_work(const struct tv_scheduler *scheduler,
			    const struct tv_scheduler_session *session, unsigned int target,
			    uint64_t start)
{
	const struct tv_scheduler_user *user;
	uint64_t work = 0;

	TAILQ_FOREACH(user, &scheduler->users, users) {
		const struct tv_share *share = &user->shares[target][session->priority];

		if (user == session->user || !share->waiting.count || share->used > start)
			continue;
		work += tv_min_u64(share->waiting.work,
				   start - share->used + share->waiting.largest);
	}
	return work;
}

/* Work of a lower class that ageing lets pass until a time. */
static uint64_t aged_work(const struct tv_scheduler *scheduler, const struct tv_class *class,
			  uint64_t now, uint64_t until)
{
	uint64_t first = tv_max_u64(now, tv_sum_u64(class->taken, scheduler->ageing));
	uint64_t times, work;

	if (!class->waiting.count || first > until)
		return 0;
	times = (until - first) / scheduler->ageing + 1;
	if (__builtin_mul_overflow(times, class->waiting.largest, &work))
		work = UINT64_MAX;
	return tv_min_u64(work, class->waiting.work);
}

/* When the request will have ended if devices of this target alone are considered. */
static uint64_t forecast_pool(const struct tv_scheduler *scheduler,
			      const struct tv_scheduler_session *session,
			      const struct tv_scheduler_request *request, unsigned int target,
			      uint64_t now)
{
	const struct tv_pool *pool = &scheduler->pools[target];
	const struct tv_class *class = &pool->classes[session->priority];
	const struct tv_share *share = &session->user->shares[target][session->priority];
	uint64_t urgency = tv_scheduler_urgency(scheduler, request->deadline, now);
	uint64_t own = own_work(scheduler, session, target, urgency);
	uint64_t used = share->waiting.count ? share->used :
					       tv_max_u64(share->used, class->reached);
	uint64_t ahead = own + others_work(scheduler, session, target, used + own);
	uint64_t largest = 0, devices = 0;
	const struct tv_scheduler_device *device;

	for (enum tv_priority p = 0; p < TV_PRIORITY_COUNT; p++) {
		const struct tv_class *other = &pool->classes[p];

		if (other->waiting.count)
			largest = tv_max_u64(largest, other->waiting.largest);
		if (p > session->priority)
			ahead += other->waiting.work;
		else if (p < session->priority && request->deadline > request->cost)
			ahead +=
				aged_work(scheduler, other, now, request->deadline - request->cost);
	}
	TAILQ_FOREACH(device, &scheduler->devices, devices) {
		if (device->target != target || device->paused)
			continue;
		devices++;
		ahead += tv_scheduler_device_left(device, now);
		for (unsigned int i = 0; i < device->held; i++)
			largest = tv_max_u64(largest, device->slots[i]->cost);
	}
	if (!devices)
		return 0;
	/* Until one of the devices takes the request all are full, so that each has done its part
	 * of what is ahead; the one that takes it has at most one request to end before. */
	ahead = (ahead + (devices - 1) * largest + devices - 1) / devices;
	return tv_sum_u64(tv_sum_u64(now, ahead), request->cost);
}

uint64_t tv_scheduler_forecast(const struct tv_scheduler *scheduler,
			       const struct tv_scheduler_session *session,
			       const struct tv_scheduler_request *request, uint64_t now)
{
	uint64_t end = 0;

	/* The pool that takes it first need not be the one that ends it first. */
	tv_for_each_target(t, session->targets)
		end = tv_max_u64(end, forecast_pool(scheduler, session, request, t, now));
	return end ? end : UINT64_MAX;
}
