/* SPDX-License-Identifier: MIT */
/* What the scheduler promises, on a simulated clock: turns of uids, sessions and classes, devices
 * that come and go. Deadlines are in scheduler-deadline.c. */
#include "tests/unit/scheduler-machine.h"

enum {
	AGEING = 100000
};

/* One uid has 100 requests queued; another that comes at any time waits for the one that runs, one
 * that follows in the device, and itself. */
START_TEST(flood_delays_others_by_two)
{
	struct tv_scheduler_session sessions[2];
	struct job flood[100], jobs[8];
	struct machine m;
	uint64_t state = (uint64_t)_i;

	machine_init(&m, AGEING, 1);
	machine_open(&m, &sessions[0], 1000, TV_PRIORITY_NORMAL);
	machine_open(&m, &sessions[1], 1001, TV_PRIORITY_NORMAL);
	for (size_t i = 0; i < TV_ARRAY_SIZE(flood); i++)
		machine_queue(&m, &sessions[0], &flood[i], 50);
	machine_run(&m, 10 + tv_unit_random(&state) % 500);
	for (size_t i = 0; i < TV_ARRAY_SIZE(jobs); i++) {
		machine_queue(&m, &sessions[1], &jobs[i], 50);
		machine_fill(&m);
		while (jobs[i].state != JOB_ENDED)
			machine_step(&m, UINT64_MAX);
		ck_assert_uint_le(jobs[i].ended - jobs[i].queued, 3 * 50);
		/* Sometimes it comes back at once, sometimes after a while. */
		machine_run(&m, m.now + tv_unit_random(&state) % 3 * 40);
	}
	machine_free(&m, sessions, 2);
}
END_TEST

enum {
	UIDS = 5,
	DEPTH = 3
};

/* Uids that always have something waiting. */
struct crowd {
	struct tv_scheduler_session sessions[UIDS];
	struct job jobs[UIDS][DEPTH + TV_SCHEDULER_SLOTS * MACHINE_DEVICES];
	uint64_t used[UIDS]; /* device time taken */
	uint64_t largest[UIDS]; /* most a job of each may cost */
	uint64_t state; /* of the random numbers */
	size_t first; /* uids that take part: [first, end) */
	size_t end;
};

static void crowd_refill(struct machine *m, struct crowd *crowd)
{
	for (size_t u = crowd->first; u < crowd->end; u++) {
		size_t waiting = 0;

		for (size_t j = 0; j < TV_ARRAY_SIZE(crowd->jobs[u]); j++)
			waiting += crowd->jobs[u][j].state == JOB_WAITS;
		for (size_t j = 0; waiting < DEPTH && j < TV_ARRAY_SIZE(crowd->jobs[u]); j++) {
			struct job *job = &crowd->jobs[u][j];

			if (job->state == JOB_WAITS || job->state == JOB_TAKEN)
				continue;
			machine_queue(m, &crowd->sessions[u], job,
				      1 + tv_unit_random(&crowd->state) % crowd->largest[u]);
			waiting++;
		}
	}
}

static void crowd_taken(struct machine *m, struct job *job)
{
	struct crowd *crowd = m->userdata;
	size_t u = (size_t)(job->request.session - crowd->sessions);

	crowd->used[u] += job->request.cost;
	crowd_refill(m, crowd);
	for (size_t i = crowd->first; i < crowd->end; i++)
		for (size_t j = crowd->first; j < crowd->end; j++)
			if (crowd->used[i] > crowd->used[j] + crowd->largest[i] + crowd->largest[j])
				ck_abort_msg("uid %zu has used %ju, uid %zu %ju", i,
					     (uintmax_t)crowd->used[i], j,
					     (uintmax_t)crowd->used[j]);
}

static void crowd_init(struct machine *m, struct crowd *crowd, size_t devices)
{
	machine_init(m, AGEING, devices);
	memset(crowd, 0, sizeof(*crowd));
	crowd->state = devices;
	m->taken = crowd_taken;
	m->userdata = crowd;
	for (size_t u = 0; u < UIDS; u++) {
		machine_open(m, &crowd->sessions[u], (uid_t)(1000 + u), TV_PRIORITY_NORMAL);
		crowd->largest[u] = u ? 10 * crowd->largest[u - 1] : 1;
	}
}

/* Jobs of 1 ns and of 10 us: device time differs by at most one job of each, at any time. */
START_TEST(uids_share_evenly)
{
	struct crowd crowd;
	struct machine m;

	crowd_init(&m, &crowd, (size_t)_i);
	crowd.end = UIDS;
	crowd_refill(&m, &crowd);
	machine_run(&m, 400000);
	for (size_t u = 0; u < UIDS; u++)
		ck_assert_uint_ge(crowd.used[u] + 2 * 10000, m.now * (uint64_t)_i / UIDS);
	crowd.end = 0;
	machine_free(&m, crowd.sessions, UIDS);
}
END_TEST

/* From when it comes, a newcomer has what others have then, and no more. */
START_TEST(newcomers_start_level)
{
	struct crowd crowd;
	struct machine m;

	crowd_init(&m, &crowd, 1);
	for (size_t u = 0; u < UIDS; u++)
		crowd.largest[u] = 100;
	for (crowd.end = 2; crowd.end <= UIDS; crowd.end++) {
		memset(crowd.used, 0, sizeof(crowd.used));
		crowd_refill(&m, &crowd);
		machine_run(&m, m.now + 50000);
	}
	/* Two are away for a while, and come back. */
	crowd.end = UIDS;
	crowd.first = 2;
	machine_run(&m, m.now + 50000);
	crowd.first = 0;
	memset(crowd.used, 0, sizeof(crowd.used));
	crowd_refill(&m, &crowd);
	machine_run(&m, m.now + 50000);
	crowd.end = 0;
	machine_free(&m, crowd.sessions, UIDS);
}
END_TEST

/* Who lets go of everything after each large job is not a newcomer again. */
START_TEST(leaving_pays_no_debt)
{
	struct tv_scheduler_session sessions[2];
	struct job small[4], large;
	uint64_t used = 0;
	struct machine m;

	machine_init(&m, AGEING, 1);
	machine_open(&m, &sessions[0], 1000, TV_PRIORITY_NORMAL);
	memset(small, 0, sizeof(small));
	memset(&large, 0, sizeof(large));
	while (m.now < 100000) {
		for (size_t i = 0; i < TV_ARRAY_SIZE(small); i++)
			if (small[i].state == JOB_NEW || small[i].state == JOB_ENDED)
				machine_queue(&m, &sessions[0], &small[i], 10);
		if (large.state == JOB_NEW) {
			machine_open(&m, &sessions[1], 1001, TV_PRIORITY_NORMAL);
			machine_queue(&m, &sessions[1], &large, 1000);
		}
		machine_fill(&m);
		machine_step(&m, UINT64_MAX);
		if (large.state == JOB_ENDED) {
			used += 1000;
			tv_scheduler_session_close(m.scheduler, &sessions[1]);
			large.state = JOB_NEW;
		}
	}
	ck_assert_uint_le(used, m.now / 2 + 2000);
	ck_assert_uint_ge(used, m.now / 2 - 2000);
	if (large.state == JOB_NEW)
		machine_free(&m, sessions, 1);
	else
		machine_free(&m, sessions, 2);
}
END_TEST

/* The device was idle in between: nobody was kept waiting, all start level. */
START_TEST(idle_devices_forgive)
{
	struct tv_scheduler_session sessions[2];
	struct job jobs[12];
	struct machine m;

	machine_init(&m, AGEING, 1);
	machine_open(&m, &sessions[0], 1000, TV_PRIORITY_NORMAL);
	machine_open(&m, &sessions[1], 1001, TV_PRIORITY_NORMAL);
	machine_queue(&m, &sessions[0], &jobs[0], 1000);
	machine_queue(&m, &sessions[1], &jobs[1], 10);
	machine_run(&m, UINT64_MAX);
	for (size_t i = 2; i < 12; i++)
		machine_queue(&m, &sessions[i % 2], &jobs[i], 10);
	machine_run(&m, UINT64_MAX);
	for (size_t i = 2; i < 12; i++)
		ck_assert_uint_eq(jobs[i].ended, m.now - (11 - i) * 10);
	machine_free(&m, sessions, 2);
}
END_TEST

/* Used device time counts, not what was thought it would be. */
START_TEST(only_used_time_counts)
{
	struct tv_scheduler_session sessions[2];
	struct job jobs[2][8];
	struct tv_scheduler_device *device;
	struct tv_scheduler_request *request;
	struct machine m;

	machine_init(&m, AGEING, 1);
	for (size_t s = 0; s < 2; s++) {
		machine_open(&m, &sessions[s], (uid_t)(1000 + s), TV_PRIORITY_NORMAL);
		for (size_t i = 0; i < 8; i++)
			machine_queue(&m, &sessions[s], &jobs[s][i], 100);
	}
	/* Those of the first fail after a tenth: it has more of them. */
	for (size_t i = 0; i < 6; i++) {
		request = tv_scheduler_next(m.scheduler, m.now, &device);
		ck_assert_ptr_eq(request->session, &sessions[i == 1]);
		job_of(request)->state = JOB_ENDED;
		m.now += i == 1 ? 100 : 10;
		tv_scheduler_done(m.scheduler, request, m.now, i == 1 ? 100 : 10);
	}
	for (size_t s = 0; s < 2; s++)
		for (size_t i = 0; i < 8; i++)
			if (jobs[s][i].state == JOB_WAITS)
				tv_scheduler_cancel(m.scheduler, &jobs[s][i].request, m.now);
	machine_free(&m, sessions, 2);
}
END_TEST

struct flow {
	struct tv_scheduler_session sessions[TV_PRIORITY_COUNT];
	struct job jobs[TV_PRIORITY_COUNT][4];
	uint64_t last[TV_PRIORITY_COUNT]; /* when one was taken */
	uint64_t gap[TV_PRIORITY_COUNT]; /* longest between two */
	size_t count[TV_PRIORITY_COUNT];
	enum tv_priority before;
	uint64_t cost;
};

static void flow_refill(struct machine *m, struct flow *flow)
{
	for (size_t p = 0; p < TV_PRIORITY_COUNT; p++)
		for (size_t i = 0; i < 4; i++)
			if (flow->jobs[p][i].state != JOB_WAITS &&
			    flow->jobs[p][i].state != JOB_TAKEN)
				machine_queue(m, &flow->sessions[p], &flow->jobs[p][i], flow->cost);
}

static void flow_taken(struct machine *m, struct job *job)
{
	struct flow *flow = m->userdata;
	enum tv_priority p = job->request.session->priority;
	uint64_t gap = m->now - flow->last[p];

	/* A lower class never passes twice in a row. */
	ck_assert(p == TV_PRIORITY_HIGH || flow->before == TV_PRIORITY_HIGH);
	flow->before = p;
	flow->gap[p] = gap > flow->gap[p] ? gap : flow->gap[p];
	flow->last[p] = m->now;
	flow->count[p]++;
}

/* Constant load of all classes: high ones go first, and yet the others go on, whether jobs are much
 * shorter than the ageing time or much longer. */
START_TEST(lower_classes_age)
{
	static const uint64_t costs[] = { 7, 100, 1000, 5000 };
	struct flow flow = { .before = TV_PRIORITY_HIGH, .cost = costs[_i] };
	const uint64_t ageing = 1000;
	struct machine m;

	machine_init(&m, ageing, 1);
	m.taken = flow_taken;
	m.userdata = &flow;
	for (size_t p = 0; p < TV_PRIORITY_COUNT; p++)
		machine_open(&m, &flow.sessions[p], (uid_t)(1000 + p), (enum tv_priority)p);
	for (size_t i = 0; i < 2000; i++) {
		flow_refill(&m, &flow);
		machine_step(&m, UINT64_MAX);
	}
	for (size_t p = 0; p < TV_PRIORITY_HIGH; p++) {
		ck_assert_uint_le(flow.gap[p], ageing + 4 * flow.cost);
		ck_assert_uint_ge(flow.gap[p], ageing);
	}
	if (flow.cost == 7) /* in 1000 ns two of 142 */
		ck_assert_uint_ge(flow.count[TV_PRIORITY_HIGH], 2000 * 95 / 100);
	else
		ck_assert_uint_ge(flow.count[TV_PRIORITY_HIGH], 2000 / 2 - 1);
	m.taken = NULL;
	machine_free(&m, flow.sessions, TV_PRIORITY_COUNT);
}
END_TEST

/* What comes in a higher class goes before all that waits in lower ones. */
START_TEST(higher_classes_go_first)
{
	struct tv_scheduler_session sessions[TV_PRIORITY_COUNT];
	struct job jobs[TV_PRIORITY_COUNT][3], first[2];
	struct machine m;

	machine_init(&m, AGEING, 1);
	for (size_t p = 0; p < TV_PRIORITY_COUNT; p++)
		machine_open(&m, &sessions[p], 1000, (enum tv_priority)p);
	for (size_t i = 0; i < 2; i++)
		machine_queue(&m, &sessions[0], &first[i], 10);
	machine_fill(&m);
	for (size_t p = 0; p < TV_PRIORITY_COUNT; p++)
		for (size_t i = 0; i < 3; i++)
			machine_queue(&m, &sessions[p], &jobs[p][i], 10);
	machine_run(&m, UINT64_MAX);
	for (size_t p = 0; p < TV_PRIORITY_COUNT; p++)
		for (size_t i = 0; i < 3; i++)
			ck_assert_uint_eq(jobs[p][i].ended,
					  20 + 10 * (3 * (TV_PRIORITY_HIGH - p) + i + 1));
	machine_free(&m, sessions, TV_PRIORITY_COUNT);
}
END_TEST

/* A uid's sessions take turns, however many requests each has; each is first in, first out. */
START_TEST(sessions_take_turns)
{
	static const size_t order[] = { 0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 23, 4, 5 };
	static const size_t counts[] = { 6, 3, 5 };
	struct tv_scheduler_session sessions[3];
	struct job jobs[30];
	struct machine m;

	machine_init(&m, AGEING, 1);
	for (size_t s = 0; s < 3; s++) {
		machine_open(&m, &sessions[s], 1000, TV_PRIORITY_NORMAL);
		for (size_t i = 0; i < counts[s]; i++)
			machine_queue(&m, &sessions[s], &jobs[10 * s + i], 10);
	}
	/* One is taken back; the others close up. */
	tv_scheduler_cancel(m.scheduler, &jobs[24].request, m.now);
	machine_run(&m, UINT64_MAX);
	for (size_t i = 0; i < TV_ARRAY_SIZE(order); i++)
		ck_assert_uint_eq(jobs[order[i]].ended, 10 * (i + 1));
	machine_free(&m, sessions, 3);
}
END_TEST

/* Requests go where they can run, to the device that is free first, and no device waits for what
 * another could do. */
START_TEST(devices_of_several_targets)
{
	static const uint32_t targets[] = { 1, 2, 3 };
	struct tv_scheduler_session sessions[3];
	struct job jobs[3][4];
	struct machine m;

	machine_init(&m, AGEING, 1);
	tv_scheduler_device_add(m.scheduler, &m.devices[1], 1);
	m.device_count = 2;
	for (size_t s = 0; s < 3; s++)
		ck_assert_int_eq(tv_scheduler_session_open(m.scheduler, &sessions[s],
							   (uid_t)(1000 + s), TV_PRIORITY_NORMAL,
							   targets[s]),
				 0);
	for (size_t i = 0; i < 4; i++) {
		machine_queue(&m, &sessions[2], &jobs[2][i], 10);
		machine_queue(&m, &sessions[0], &jobs[0][i], 10);
	}
	machine_run(&m, UINT64_MAX);
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_le(jobs[2][i].ended, 30);
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_eq(jobs[0][i].device, 0);

	/* What has nobody to run it waits, and keeps no other from running. */
	tv_scheduler_device_remove(m.scheduler, &m.devices[1], m.now);
	m.device_count = 1;
	machine_queue(&m, &sessions[1], &jobs[1][0], 10);
	machine_queue(&m, &sessions[2], &jobs[2][0], 10);
	machine_run(&m, UINT64_MAX);
	ck_assert_int_eq(jobs[1][0].state, JOB_WAITS);
	ck_assert_int_eq(jobs[2][0].state, JOB_ENDED);
	tv_scheduler_device_add(m.scheduler, &m.devices[1], 1);
	m.device_count = 2;
	machine_run(&m, UINT64_MAX);
	ck_assert_int_eq(jobs[1][0].state, JOB_ENDED);
	machine_free(&m, sessions, 3);
}
END_TEST

/* The device that ends first gets the next request, an idle one before all. */
START_TEST(shortest_queue_first)
{
	static const struct {
		uint64_t cost;
		size_t device;
	} expected[] = { { 100, 0 }, { 30, 1 }, { 50, 1 }, { 10, 0 } };
	struct tv_scheduler_session session;
	struct job jobs[4];
	struct machine m;

	machine_init(&m, AGEING, 2);
	machine_open(&m, &session, 1000, TV_PRIORITY_NORMAL);
	for (size_t i = 0; i < 4; i++)
		machine_queue(&m, &session, &jobs[i], expected[i].cost);
	machine_fill(&m);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(jobs[i].state, JOB_TAKEN);
		ck_assert_uint_eq(jobs[i].device, expected[i].device);
	}
	machine_free(&m, &session, 1);
}
END_TEST

/* A paused device ends what it has; one that is pulled out gives back what it had not begun, which
 * is then the next of its session and costs nothing. */
START_TEST(devices_pause_and_go)
{
	struct tv_scheduler_session sessions[2];
	struct tv_scheduler_request *running;
	struct job jobs[2][4];
	struct machine m;

	machine_init(&m, AGEING, 2);
	tv_scheduler_device_pause(&m.devices[1], true);
	for (size_t s = 0; s < 2; s++)
		machine_open(&m, &sessions[s], (uid_t)(1000 + s), TV_PRIORITY_NORMAL);
	for (size_t i = 0; i < 4; i++)
		machine_queue(&m, &sessions[0], &jobs[0][i], 10);
	machine_fill(&m);
	ck_assert_uint_eq(m.devices[0].held, 2);
	ck_assert_uint_eq(m.devices[1].held, 0);

	tv_scheduler_device_pause(&m.devices[0], true);
	machine_run(&m, 25);
	ck_assert_uint_eq(m.devices[0].held, 0);
	ck_assert_int_eq(jobs[0][1].state, JOB_ENDED);
	tv_scheduler_device_pause(&m.devices[0], false);
	machine_fill(&m);
	ck_assert_uint_eq(m.devices[0].held, 2);

	m.now = 29;
	running = tv_scheduler_device_remove(m.scheduler, &m.devices[0], m.now);
	ck_assert_ptr_eq(running, &jobs[0][2].request);
	ck_assert_ptr_null(running->device);
	ck_assert_ptr_null(jobs[0][3].request.device);
	job_of(running)->state = JOB_ENDED;
	jobs[0][3].state = JOB_WAITS;
	/* The uid has now used 24 ns; 10 of the one given back do not count. */
	for (size_t i = 0; i < 4; i++)
		machine_queue(&m, &sessions[1], &jobs[1][i], 10);
	machine_queue(&m, &sessions[0], &jobs[0][2], 10);
	m.devices[0] = m.devices[1]; /* for machine_free() */
	tv_scheduler_device_remove(m.scheduler, &m.devices[1], m.now);
	m.device_count = 1;
	tv_scheduler_device_add(m.scheduler, &m.devices[0], 0);
	machine_run(&m, UINT64_MAX);
	ck_assert_uint_lt(jobs[0][3].ended, jobs[0][2].ended);
	ck_assert_uint_eq(jobs[0][3].ended, 39);
	ck_assert_uint_eq(m.now, 29 + 60);
	machine_free(&m, sessions, 2);
}
END_TEST

START_TEST(costs_out_of_range)
{
	static const uint64_t costs[] = { 0, TV_SCHEDULER_COST_MAX + 1, UINT64_MAX };
	struct tv_scheduler_session session;
	struct tv_error error = { 0 };
	struct machine m;
	struct job job;

	machine_init(&m, AGEING, 1);
	machine_open(&m, &session, 1000, TV_PRIORITY_NORMAL);
	ck_assert_int_eq(machine_try(&m, &session, &job, costs[_i], TV_NO_DEADLINE, &error),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "expected 1 to 1099511627776"));
	ck_assert_ptr_null(TAILQ_FIRST(&session.requests));
	machine_free(&m, &session, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scheduler");
	TCase *tcase = tcase_create("scheduler");

	tcase_add_loop_test(tcase, flood_delays_others_by_two, 0, 100);
	tcase_add_loop_test(tcase, uids_share_evenly, 1, MACHINE_DEVICES);
	tcase_add_test(tcase, newcomers_start_level);
	tcase_add_test(tcase, leaving_pays_no_debt);
	tcase_add_test(tcase, idle_devices_forgive);
	tcase_add_test(tcase, only_used_time_counts);
	tcase_add_loop_test(tcase, lower_classes_age, 0, 4);
	tcase_add_test(tcase, higher_classes_go_first);
	tcase_add_test(tcase, sessions_take_turns);
	tcase_add_test(tcase, devices_of_several_targets);
	tcase_add_test(tcase, shortest_queue_first);
	tcase_add_test(tcase, devices_pause_and_go);
	tcase_add_loop_test(tcase, costs_out_of_range, 0, 3);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
