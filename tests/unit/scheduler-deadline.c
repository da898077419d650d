/* SPDX-License-Identifier: MIT */
/* Deadlines: what is promised is kept, what is refused could not have been promised. */
#include "tests/unit/scheduler-machine.h"

enum {
	AGEING = 2000,
	SESSIONS = 12,
	JOBS = 60
};

/* A machine in the middle of something. */
struct scene {
	struct machine m;
	struct tv_scheduler_session sessions[SESSIONS];
	struct job jobs[JOBS];
	size_t session_count, job_count;
	uint64_t state; /* of the random numbers */
};

static uint64_t draw(struct scene *scene, uint64_t below)
{
	return tv_unit_random(&scene->state) % below;
}

static void scene_init(struct scene *scene, uint64_t seed, size_t devices, size_t uids,
		       size_t priorities)
{
	size_t load;

	memset(scene, 0, sizeof(*scene));
	scene->state = seed;
	machine_init(&scene->m, AGEING, devices);
	scene->session_count = 1 + draw(scene, SESSIONS);
	for (size_t i = 0; i < scene->session_count; i++)
		machine_open(&scene->m, &scene->sessions[i], (uid_t)(1000 + draw(scene, uids)),
			     (enum tv_priority)draw(scene, priorities));
	load = 1 + draw(scene, 12);
	while (scene->job_count < JOBS - 10) {
		struct tv_scheduler_session *session =
			&scene->sessions[draw(scene, scene->session_count)];
		struct job *job = &scene->jobs[scene->job_count];
		uint64_t deadline = draw(scene, 3) ? TV_NO_DEADLINE :
						     scene->m.now + draw(scene, 2 * AGEING);

		if (machine_try(&scene->m, session, job, 1 + draw(scene, 300), deadline, NULL) == 0)
			scene->job_count++;
		if (draw(scene, load) == 0)
			machine_run(&scene->m, scene->m.now + draw(scene, 400));
		machine_fill(&scene->m);
	}
	/* So that nothing is exactly as urgent as what comes now. */
	machine_run(&scene->m, scene->m.now + 1);
}

static void scene_free(struct scene *scene)
{
	machine_free(&scene->m, scene->sessions, scene->session_count);
}

/* The first deadline that is promised to a request now. */
static uint64_t first_deadline(struct scene *scene, struct tv_scheduler_session *session,
			       uint64_t cost)
{
	struct tv_scheduler_request request = { .cost = cost, .deadline = scene->m.now + cost };

	for (;;) {
		uint64_t end =
			tv_scheduler_forecast(scene->m.scheduler, session, &request, scene->m.now);

		if (end <= request.deadline)
			return request.deadline;
		request.deadline = end;
	}
}

/* Queues a request with the first deadline that is promised; a nanosecond less is refused. */
static struct job *queue_promised(struct scene *scene, struct tv_scheduler_session *session)
{
	struct job *job = &scene->jobs[scene->job_count++];
	uint64_t cost = 1 + draw(scene, 300);
	uint64_t deadline = first_deadline(scene, session, cost);
	struct tv_error error = { 0 };

	ck_assert_int_eq(machine_try(&scene->m, session, job, cost, deadline - 1, &error), -ETIME);
	memset(&error, 0, sizeof(error));
	tv_assert_ok(machine_try(&scene->m, session, job, cost, deadline, &error), error);
	machine_fill(&scene->m);
	return job;
}

/* Later work of its own uid that is not urgent does not precede it. */
static void queue_more(struct scene *scene, const struct tv_scheduler_session *promised)
{
	for (size_t i = 0; i < scene->session_count && scene->job_count < JOBS; i++) {
		struct tv_scheduler_session *session = &scene->sessions[i];

		if (session->user == promised->user && session->priority == promised->priority)
			machine_queue(&scene->m, session, &scene->jobs[scene->job_count++],
				      1 + draw(scene, 300));
	}
}

/* How many requests were given up: those that were counted on as predecessors make the promised one
 * end sooner. */
static size_t count_expired(const struct scene *scene)
{
	size_t count = 0;

	for (size_t i = 0; i < scene->job_count; i++)
		count += scene->jobs[i].state == JOB_EXPIRED;
	return count;
}

/* One uid, one class, one device: the bound is what happens, to the nanosecond. */
START_TEST(forecast_is_exact_alone)
{
	size_t exact = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		struct tv_scheduler_session *session;
		struct scene scene;
		struct job *job;
		size_t expired;

		scene_init(&scene, seed + 1000 * (uint64_t)_i, 1, 1, 1);
		session = &scene.sessions[draw(&scene, scene.session_count)];
		job = queue_promised(&scene, session);
		expired = count_expired(&scene);
		queue_more(&scene, session);
		machine_run(&scene.m, UINT64_MAX);
		ck_assert_int_eq(job->state, JOB_ENDED);
		ck_assert_uint_le(job->ended, job->request.deadline);
		if (count_expired(&scene) == expired) {
			ck_assert_uint_eq(job->ended, job->request.deadline);
			exact++;
		}
		scene_free(&scene);
	}
	ck_assert_uint_ge(exact, 50);
}
END_TEST

/* Other uids, classes and devices: what was promised is kept. */
START_TEST(promises_are_kept)
{
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct tv_scheduler_session *session;
		struct scene scene;
		struct job *job;

		scene_init(&scene, seed + 1000 * (uint64_t)_i, 1 + (size_t)_i % 3, 4,
			   TV_PRIORITY_COUNT);
		session = &scene.sessions[draw(&scene, scene.session_count)];
		job = queue_promised(&scene, session);
		queue_more(&scene, session);
		machine_run(&scene.m, UINT64_MAX);
		ck_assert_int_eq(job->state, JOB_ENDED);
		ck_assert_uint_le(job->ended, job->request.deadline);
		scene_free(&scene);
	}
}
END_TEST

/* On one device and without classes the bound is at most a job of each other uid too careful. */
START_TEST(forecast_is_close)
{
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct tv_scheduler_session *session;
		struct scene scene;
		struct job *job;
		size_t expired;

		scene_init(&scene, seed + 1000 * (uint64_t)_i, 1, 4, 1);
		session = &scene.sessions[draw(&scene, scene.session_count)];
		job = queue_promised(&scene, session);
		expired = count_expired(&scene);
		machine_run(&scene.m, UINT64_MAX);
		ck_assert_int_eq(job->state, JOB_ENDED);
		if (count_expired(&scene) == expired)
			ck_assert_uint_ge(job->ended + 3 * 300, job->request.deadline);
		scene_free(&scene);
	}
}
END_TEST

/* Ageing lets pass what waits in lower classes, not more, however far the deadline. */
START_TEST(forecast_of_aged_work)
{
	static const struct {
		uint64_t deadline, ahead;
	} expected[] = {
		{ AGEING + 99, 50 }, /* before its time has come */
		{ AGEING + 100, 110 },	   { 2 * AGEING + 99, 110 },
		{ 2 * AGEING + 100, 150 }, { 100 * AGEING, 150 },
	};
	struct tv_scheduler_request request = { .cost = 100 };
	struct tv_scheduler_session sessions[2];
	struct job low[3], normal;
	struct machine m;

	machine_init(&m, AGEING, 1);
	for (size_t i = 0; i < 2; i++)
		machine_open(&m, &sessions[i], (uid_t)(1000 + i), (enum tv_priority)i);
	machine_queue(&m, &sessions[1], &normal, 50);
	for (size_t i = 0; i < 3; i++)
		machine_queue(&m, &sessions[0], &low[i], i == 1 ? 60 : 20);
	for (size_t i = 0; i < TV_ARRAY_SIZE(expected); i++) {
		request.deadline = expected[i].deadline;
		ck_assert_uint_eq(tv_scheduler_forecast(m.scheduler, &sessions[1], &request, 0),
				  expected[i].ahead + 100);
	}
	machine_free(&m, sessions, 2);
}
END_TEST

/* Within a uid the earliest deadline goes first, and brings forward what it waits for. */
START_TEST(earliest_deadline_first)
{
	static const uint64_t deadlines[] = { TV_NO_DEADLINE, 900, 600, 800 };
	static const size_t order[] = { 4, 5, 2, 3, 1, 0 };
	struct tv_scheduler_session sessions[5];
	struct tv_error error = { 0 };
	struct job jobs[6];
	struct machine m;

	machine_init(&m, AGEING, 1);
	for (size_t i = 0; i < 5; i++)
		machine_open(&m, &sessions[i], 1000, TV_PRIORITY_NORMAL);
	for (size_t i = 0; i < 4; i++)
		tv_assert_ok(machine_try(&m, &sessions[i], &jobs[i], 10, deadlines[i], &error),
			     error);
	machine_queue(&m, &sessions[4], &jobs[4], 10);
	tv_assert_ok(machine_try(&m, &sessions[4], &jobs[5], 10, 500, &error), error);
	machine_run(&m, UINT64_MAX);
	for (size_t i = 0; i < TV_ARRAY_SIZE(order); i++)
		ck_assert_uint_eq(jobs[order[i]].ended, 10 * (i + 1));
	machine_free(&m, sessions, 5);
}
END_TEST

/* Deadlines win nothing from other uids. */
START_TEST(deadlines_break_no_fairness)
{
	struct tv_scheduler_session sessions[2];
	struct tv_error error = { 0 };
	size_t expired = 0;
	struct job flood[100], jobs[3];
	struct machine m;

	machine_init(&m, 1000000, 1);
	for (size_t i = 0; i < 2; i++)
		machine_open(&m, &sessions[i], (uid_t)(1000 + i), TV_PRIORITY_NORMAL);
	for (size_t i = 0; i < TV_ARRAY_SIZE(flood); i++)
		tv_assert_ok(machine_try(&m, &sessions[0], &flood[i], 50, 50 * (i + 1), &error),
			     error);
	machine_run(&m, 120);
	for (size_t i = 0; i < 3; i++)
		machine_queue(&m, &sessions[1], &jobs[i], 50);
	machine_run(&m, UINT64_MAX);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_le(jobs[i].ended - jobs[i].queued, (2 * i + 3) * 50);
	/* Those that can no longer be in time because of it are not even begun. */
	for (size_t i = 0; i < TV_ARRAY_SIZE(flood); i++) {
		expired += flood[i].state == JOB_EXPIRED;
		if (flood[i].state == JOB_ENDED)
			ck_assert_uint_le(flood[i].ended, flood[i].request.deadline + 50);
	}
	ck_assert_uint_eq(expired, 2);
	machine_free(&m, sessions, 2);
}
END_TEST

/* A uid's requests with deadlines hold up its others for the ageing time, not for ever. */
START_TEST(urgent_sessions_starve_no_others)
{
	struct tv_scheduler_session sessions[2];
	struct job urgent[3], job;
	uint64_t longest = 0;
	struct machine m;

	machine_init(&m, AGEING, 1);
	for (size_t i = 0; i < 2; i++)
		machine_open(&m, &sessions[i], 1000, TV_PRIORITY_NORMAL);
	memset(urgent, 0, sizeof(urgent));
	memset(&job, 0, sizeof(job));
	while (m.now < 20 * AGEING) {
		for (size_t i = 0; i < TV_ARRAY_SIZE(urgent); i++)
			if (urgent[i].state != JOB_WAITS && urgent[i].state != JOB_TAKEN)
				ck_assert_int_eq(machine_try(&m, &sessions[0], &urgent[i], 50,
							     m.now + 300, NULL),
						 0);
		if (job.state == JOB_NEW)
			machine_queue(&m, &sessions[1], &job, 50);
		machine_step(&m, UINT64_MAX);
		if (job.state == JOB_ENDED) {
			longest = tv_max_u64(longest, job.taken - job.queued);
			job.state = JOB_NEW;
		}
	}
	ck_assert_uint_ge(longest, AGEING - 300);
	ck_assert_uint_le(longest, AGEING + 100);
	if (job.state == JOB_WAITS || job.state == JOB_TAKEN)
		machine_run(&m, UINT64_MAX);
	machine_free(&m, sessions, 2);
}
END_TEST

/* What cannot end in time any more is not begun, and is told at the time when that is clear. */
START_TEST(late_requests_expire)
{
	struct tv_scheduler_session sessions[2];
	struct tv_error error = { 0 };
	struct job jobs[3], high[10];
	struct machine m;

	machine_init(&m, AGEING, 1);
	machine_open(&m, &sessions[0], 1000, TV_PRIORITY_NORMAL);
	machine_open(&m, &sessions[1], 1001, TV_PRIORITY_HIGH);
	ck_assert_uint_eq(tv_scheduler_next_expiry(m.scheduler), TV_NO_DEADLINE);
	for (size_t i = 0; i < 10; i++)
		machine_queue(&m, &sessions[1], &high[i], 10);
	machine_fill(&m);
	for (size_t i = 0; i < 3; i++)
		tv_assert_ok(machine_try(&m, &sessions[0], &jobs[i], 10, 150 - 10 * i, &error),
			     error);
	ck_assert_uint_eq(tv_scheduler_next_expiry(m.scheduler), 121);
	/* The last one gives up; the first waits for nobody but the one before it. */
	tv_scheduler_cancel(m.scheduler, &jobs[2].request, m.now);
	ck_assert_uint_eq(tv_scheduler_next_expiry(m.scheduler), 131);
	machine_run(&m, 80);
	/* Two go first that nobody had known of: one of 40 ns fits, both do not. */
	machine_queue(&m, &sessions[1], &high[0], 40);
	machine_run(&m, 130);
	ck_assert_int_eq(jobs[0].state, JOB_TAKEN);
	ck_assert_int_eq(jobs[1].state, JOB_WAITS);
	machine_run(&m, 131);
	ck_assert_int_eq(jobs[1].state, JOB_EXPIRED);
	ck_assert_uint_eq(tv_scheduler_next_expiry(m.scheduler), TV_NO_DEADLINE);
	ck_assert_ptr_null(tv_scheduler_expire(m.scheduler, UINT64_MAX));
	machine_run(&m, UINT64_MAX);
	ck_assert_uint_eq(jobs[0].ended, 150);
	machine_free(&m, sessions, 2);
}
END_TEST

/* Nothing is promised without a device that could keep it. */
START_TEST(promises_need_devices)
{
	struct tv_scheduler_session session, both;
	struct tv_error error = { 0 };
	struct job job, other;
	struct machine m;

	machine_init(&m, AGEING, 1);
	machine_open(&m, &session, 1000, TV_PRIORITY_NORMAL);
	ck_assert_int_eq(tv_scheduler_session_open(m.scheduler, &both, 1000, TV_PRIORITY_NORMAL, 6),
			 0);
	ck_assert_int_eq(machine_try(&m, &both, &job, 10, 1000, &error), -ETIME);
	ck_assert_str_eq(error.text, "deadline cannot be met: no device is ready");

	tv_scheduler_device_pause(&m.devices[0], true);
	ck_assert_int_eq(machine_try(&m, &session, &job, 10, 1000, NULL), -ETIME);
	tv_scheduler_device_pause(&m.devices[0], false);
	memset(&error, 0, sizeof(error));
	m.now = 5000;
	ck_assert_int_eq(machine_try(&m, &session, &job, 10, 5009, &error), -ETIME);
	ck_assert_str_eq(error.text, "deadline cannot be met: 1 us too late with what goes first");
	ck_assert_int_eq(machine_try(&m, &session, &job, 10, 0, NULL), -ETIME);
	ck_assert_int_eq(machine_try(&m, &session, &job, 10, 5010, NULL), 0);
	machine_fill(&m);
	/* One of its two targets has a device: that one counts. */
	tv_scheduler_device_add(m.scheduler, &m.devices[1], 2);
	m.device_count = 2;
	ck_assert_int_eq(machine_try(&m, &both, &other, 10, 5010, NULL), 0);
	machine_run(&m, UINT64_MAX);
	ck_assert_uint_eq(job.ended, 5010);
	ck_assert_uint_eq(other.ended, 5010);
	tv_scheduler_session_close(m.scheduler, &both);
	machine_free(&m, &session, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scheduler-deadline");
	TCase *tcase = tcase_create("scheduler-deadline");

	tcase_add_loop_test(tcase, forecast_is_exact_alone, 0, 10);
	tcase_add_loop_test(tcase, promises_are_kept, 0, 30);
	tcase_add_loop_test(tcase, forecast_is_close, 0, 10);
	tcase_add_test(tcase, forecast_of_aged_work);
	tcase_add_test(tcase, earliest_deadline_first);
	tcase_add_test(tcase, deadlines_break_no_fairness);
	tcase_add_test(tcase, urgent_sessions_starve_no_others);
	tcase_add_test(tcase, late_requests_expire);
	tcase_add_test(tcase, promises_need_devices);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
