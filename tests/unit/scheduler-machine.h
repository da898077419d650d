/* SPDX-License-Identifier: MIT */
/* Devices that take exactly as long as they should, on a clock that jumps, under the scheduler. */
#ifndef TV_TESTS_SCHEDULER_MACHINE_H
#define TV_TESTS_SCHEDULER_MACHINE_H

#include <string.h>

#include "daemon/scheduler-private.h"
#include "tests/unit/unit.h"

enum {
	MACHINE_DEVICES = 4
};

enum job_state {
	JOB_NEW,
	JOB_WAITS,
	JOB_TAKEN,
	JOB_ENDED,
	JOB_EXPIRED,
	JOB_CANCELLED
};

struct job {
	struct tv_scheduler_request request; /* the first: a request is its job */
	enum job_state state;
	uint64_t queued, taken, ended;
	size_t device; /* that took it */
};

struct machine {
	struct tv_scheduler *scheduler;
	struct tv_scheduler_device devices[MACHINE_DEVICES];
	size_t device_count;
	uint64_t now;
	/* Called for each request that a device took; may be NULL. */
	void (*taken)(struct machine *machine, struct job *job);
	void *userdata;
};

static inline struct job *job_of(struct tv_scheduler_request *request)
{
	return (struct job *)request;
}

/* A machine with so many devices of target 0. */
static inline void machine_init(struct machine *m, uint64_t ageing, size_t devices)
{
	memset(m, 0, sizeof(*m));
	ck_assert_int_eq(tv_scheduler_new(ageing, &m->scheduler), 0);
	for (; m->device_count < devices; m->device_count++)
		tv_scheduler_device_add(m->scheduler, &m->devices[m->device_count], 0);
}

static inline void machine_open(struct machine *m, struct tv_scheduler_session *session, uid_t uid,
				enum tv_priority priority)
{
	ck_assert_int_eq(tv_scheduler_session_open(m->scheduler, session, uid, priority, 1), 0);
}

/* Gives devices what they have room for. */
static inline void machine_fill(struct machine *m)
{
	struct tv_scheduler_request *request;
	struct tv_scheduler_device *device;

	while ((request = tv_scheduler_expire(m->scheduler, m->now)))
		job_of(request)->state = JOB_EXPIRED;
	while ((request = tv_scheduler_next(m->scheduler, m->now, &device))) {
		struct job *job = job_of(request);

		if (request->device != device || job->state != JOB_WAITS)
			ck_abort_msg("a request in state %d was taken", job->state);
		job->state = JOB_TAKEN;
		job->taken = m->now;
		job->device = (size_t)(device - m->devices);
		if (m->taken)
			m->taken(m, job);
	}
}

/* Queues without giving anything to devices: what comes at one time. */
static inline int machine_try(struct machine *m, struct tv_scheduler_session *session,
			      struct job *job, uint64_t cost, uint64_t deadline,
			      struct tv_error *error)
{
	int r;

	memset(job, 0, sizeof(*job));
	job->request.cost = cost;
	job->request.deadline = deadline;
	r = tv_scheduler_enqueue(m->scheduler, session, &job->request, m->now, error);
	if (r < 0)
		return r;
	job->state = JOB_WAITS;
	job->queued = m->now;
	return 0;
}

static inline void machine_queue(struct machine *m, struct tv_scheduler_session *session,
				 struct job *job, uint64_t cost)
{
	struct tv_error error = { 0 };

	tv_assert_ok(machine_try(m, session, job, cost, TV_NO_DEADLINE, &error), error);
}

/* When the first of the running requests ends, and on which device; UINT64_MAX if none runs. */
static inline uint64_t machine_next_end(const struct machine *m, size_t *ret_device)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < m->device_count; i++) {
		const struct tv_scheduler_device *device = &m->devices[i];
		uint64_t end;

		if (!device->held)
			continue;
		end = device->begun + device->slots[0]->cost;
		if (end < first) {
			first = end;
			*ret_device = i;
		}
	}
	return first;
}

/* The next thing that happens up to a time, which it becomes if nothing does: a request ends or
 * expires. Returns one that ended. */
static inline struct job *machine_step(struct machine *m, uint64_t until)
{
	struct job *job = NULL;
	uint64_t end, expiry;
	size_t device = 0;

	machine_fill(m);
	end = machine_next_end(m, &device);
	expiry = tv_scheduler_next_expiry(m->scheduler);
	if (end == UINT64_MAX && expiry == UINT64_MAX && until == UINT64_MAX)
		ck_abort_msg("nothing will ever happen");
	if (end <= until && end <= expiry) {
		job = job_of(m->devices[device].slots[0]);
		m->now = end;
		job->state = JOB_ENDED;
		job->ended = end;
		tv_scheduler_done(m->scheduler, &job->request, m->now, job->request.cost);
	} else {
		m->now = expiry < until ? expiry : until;
	}
	machine_fill(m);
	return job;
}

/* Until a time, or until nothing is left to do. */
static inline void machine_run(struct machine *m, uint64_t until)
{
	size_t device;

	machine_fill(m);
	if (until != UINT64_MAX) {
		while (m->now < until)
			machine_step(m, until);
		return;
	}
	while (machine_next_end(m, &device) != UINT64_MAX ||
	       tv_scheduler_next_expiry(m->scheduler) != TV_NO_DEADLINE)
		machine_step(m, UINT64_MAX);
}

/* Ends everything, so that nothing is left to free but by the scheduler. */
static inline void machine_free(struct machine *m, struct tv_scheduler_session *sessions,
				size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct tv_scheduler_request *request;

		while ((request = TAILQ_FIRST(&sessions[i].requests)))
			tv_scheduler_cancel(m->scheduler, request, m->now);
	}
	machine_run(m, UINT64_MAX);
	for (size_t i = 0; i < count; i++)
		tv_scheduler_session_close(m->scheduler, &sessions[i]);
	for (size_t i = 0; i < m->device_count; i++)
		ck_assert_ptr_null(
			tv_scheduler_device_remove(m->scheduler, &m->devices[i], m->now));
	tv_scheduler_free(m->scheduler);
}

#endif
