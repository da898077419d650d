/* SPDX-License-Identifier: MIT */
/* A hundred thousand random events: each choice as that of the rules written down plainly, and what
 * must hold after each. */
#include "daemon/scheduler-private.h"
#include "tests/unit/scheduler-naive.h"
#include "tests/unit/unit.h"

enum {
	UIDS = 6,
	SESSIONS = 24,
	DEVICES = 4,
	TARGETS = 3,
	REQUESTS = 120,
	EVENTS = 12500
};

struct world {
	struct tv_scheduler *scheduler;
	struct tv_scheduler_session sessions[SESSIONS];
	struct tv_scheduler_device devices[DEVICES];
	struct tv_scheduler_request requests[REQUESTS];
	struct naive naive;
	struct naive_request naive_requests[REQUESTS];
	uint64_t now, state;
	size_t taken, expired, refused, returned; /* how often */
};

static uint64_t draw(struct world *w, uint64_t below)
{
	return tv_unit_random(&w->state) % below;
}

static int index_of(const struct world *w, const struct tv_scheduler_request *request)
{
	return request ? (int)(request - w->requests) : NAIVE_NONE;
}

static void open_session(struct world *w, size_t s)
{
	struct naive_session *session = &w->naive.sessions[s];

	session->uid = (int)draw(w, UIDS);
	session->priority = (enum tv_priority)draw(w, TV_PRIORITY_COUNT);
	session->targets = (uint32_t)(1 + draw(w, (1 << TARGETS) - 1));
	ck_assert_int_eq(tv_scheduler_session_open(w->scheduler, &w->sessions[s],
						   (uid_t)session->uid, session->priority,
						   session->targets),
			 0);
}

static void add_device(struct world *w, size_t d)
{
	unsigned int target = (unsigned int)draw(w, TARGETS);

	naive_device_add(&w->naive, (int)d, target);
	tv_scheduler_device_add(w->scheduler, &w->devices[d], target);
	/* Where two can start a request at once the one that was added first gets it: here, they
	 * come as they are numbered. */
	for (size_t i = d + 1; i < DEVICES; i++)
		if (w->naive.devices[i].here) {
			TAILQ_REMOVE(&w->scheduler->devices, &w->devices[i], devices);
			TAILQ_INSERT_TAIL(&w->scheduler->devices, &w->devices[i], devices);
		}
}

static void enqueue(struct world *w)
{
	size_t s = draw(w, SESSIONS), i = draw(w, REQUESTS);
	struct tv_scheduler_request *request = &w->requests[i];

	if (w->naive_requests[i].session != NAIVE_NONE)
		return;
	request->cost = 1 + draw(w, draw(w, 4) ? 20 : 400);
	request->deadline = draw(w, 3) ? TV_NO_DEADLINE : w->now + draw(w, 3000);
	if (tv_scheduler_enqueue(w->scheduler, &w->sessions[s], request, w->now, NULL) == 0)
		naive_enqueue(&w->naive, (int)i, (int)s, request->cost, request->deadline, w->now);
	else
		w->refused++;
}

static void cancel(struct world *w)
{
	int i = (int)draw(w, REQUESTS);

	if (!naive_waits(&w->naive, i))
		return;
	naive_cancel(&w->naive, i, w->now);
	tv_scheduler_cancel(w->scheduler, &w->requests[i], w->now);
}

/* Some take less than they should, some more. */
static void finish(struct world *w, size_t d)
{
	struct tv_scheduler_request *request = w->devices[d].slots[0];
	uint64_t end;

	if (!w->naive.devices[d].here || !request)
		return;
	end = w->devices[d].begun + request->cost * (draw(w, 8) ? 1 : draw(w, 3));
	w->now = end > w->now ? end : w->now;
	naive_done(&w->naive, index_of(w, request), w->now, w->now - w->devices[d].begun);
	tv_scheduler_done(w->scheduler, request, w->now, w->now - w->devices[d].begun);
}

static void plug(struct world *w, size_t d)
{
	int running;

	if (!w->naive.devices[d].here) {
		add_device(w, d);
		return;
	}
	w->returned += w->devices[d].held == 2;
	running = naive_device_remove(&w->naive, (int)d, w->now);
	ck_assert_int_eq(index_of(w,
				  tv_scheduler_device_remove(w->scheduler, &w->devices[d], w->now)),
			 running);
}

static void reopen(struct world *w)
{
	size_t s = draw(w, SESSIONS);

	for (size_t i = 0; i < REQUESTS; i++)
		if (w->naive_requests[i].session == (int)s)
			return;
	tv_scheduler_session_close(w->scheduler, &w->sessions[s]);
	open_session(w, s);
}

/* Devices take the same; then no device has room for what waits. */
static void fill(struct world *w)
{
	struct tv_scheduler_device *device;
	int expected, i;

	do {
		expected = naive_expire(&w->naive, w->now);
		i = index_of(w, tv_scheduler_expire(w->scheduler, w->now));
		if (i != expected)
			ck_abort_msg("%d expires, expected %d", i, expected);
		w->expired += i != NAIVE_NONE;
	} while (i != NAIVE_NONE);
	do {
		expected = naive_next(&w->naive, w->now);
		i = index_of(w, tv_scheduler_next(w->scheduler, w->now, &device));
		if (i != expected)
			ck_abort_msg("%d is next, expected %d", i, expected);
		if (i != NAIVE_NONE && device - w->devices != w->naive_requests[i].device)
			ck_abort_msg("device %td, expected %d", device - w->devices,
				     w->naive_requests[i].device);
		w->taken += i != NAIVE_NONE;
	} while (i != NAIVE_NONE);
	for (size_t d = 0; d < DEVICES; d++)
		if (w->naive.devices[d].here && w->devices[d].held < TV_SCHEDULER_SLOTS &&
		    naive_any(&w->naive, w->naive.devices[d].target, NAIVE_NONE, NAIVE_NONE))
			ck_abort_msg("device %zu has room and something waits", d);
}

/* What is counted is what is there. */
static void check_counts(const struct world *w)
{
	for (size_t t = 0; t < TARGETS; t++)
		for (size_t p = 0; p < TV_PRIORITY_COUNT; p++) {
			const struct tv_waiting *waiting =
				&w->scheduler->pools[t].classes[p].waiting;
			uint64_t work = 0;
			size_t count = 0;

			for (int i = 0; i < REQUESTS; i++) {
				const struct naive_session *session;

				if (!naive_waits(&w->naive, i))
					continue;
				session = &w->naive.sessions[w->naive_requests[i].session];
				if (session->priority == p && session->targets & 1u << t) {
					work += w->requests[i].cost;
					count++;
				}
			}
			if (waiting->count != count || waiting->work != work)
				ck_abort_msg("target %zu class %zu: %zu wait, expected %zu", t, p,
					     waiting->count, count);
		}
}

START_TEST(chooses_as_the_rules_say)
{
	struct world *w = calloc(1, sizeof(*w));

	w->state = (uint64_t)_i;
	w->naive.ageing = 1000;
	w->naive.requests = w->naive_requests;
	w->naive.count = REQUESTS;
	for (size_t i = 0; i < REQUESTS; i++)
		w->naive_requests[i].session = NAIVE_NONE;
	for (size_t d = 0; d < NAIVE_DEVICES; d++)
		w->naive.devices[d].slots[0] = w->naive.devices[d].slots[1] = NAIVE_NONE;
	ck_assert_int_eq(tv_scheduler_new(w->naive.ageing, &w->scheduler), 0);
	for (size_t s = 0; s < SESSIONS; s++)
		open_session(w, s);
	for (size_t d = 0; d < DEVICES; d++)
		add_device(w, d);

	for (size_t event = 0; event < EVENTS; event++) {
		/* Sometimes much comes, sometimes little. */
		uint64_t kind = draw(w, event / 1000 % 2 ? 40 : 20);

		if (kind < 10)
			enqueue(w);
		else if (kind == 10)
			cancel(w);
		else if (kind == 11)
			w->now += draw(w, 100);
		else if (kind == 12 && !draw(w, 4))
			plug(w, draw(w, DEVICES));
		else if (kind == 13)
			reopen(w);
		else
			finish(w, draw(w, DEVICES));
		/* Things also happen at the same time. */
		if (draw(w, 4))
			fill(w);
		if (event % 64 == 0)
			check_counts(w);
	}
	/* All of it happened. */
	ck_assert_uint_ge(w->taken, EVENTS / 10);
	ck_assert_uint_ge(w->expired, 10);
	ck_assert_uint_ge(w->refused, 10);
	ck_assert_uint_ge(w->returned, 10);

	for (size_t d = 0; d < DEVICES; d++)
		if (w->naive.devices[d].here)
			plug(w, d);
	for (int i = 0; i < REQUESTS; i++)
		if (naive_waits(&w->naive, i))
			tv_scheduler_cancel(w->scheduler, &w->requests[i], w->now);
	for (size_t s = 0; s < SESSIONS; s++)
		tv_scheduler_session_close(w->scheduler, &w->sessions[s]);
	tv_scheduler_free(w->scheduler);
	free(w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scheduler-random");
	TCase *tcase = tcase_create("scheduler-random");

	tcase_add_loop_test(tcase, chooses_as_the_rules_say, 0, 8);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
