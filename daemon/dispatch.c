/* SPDX-License-Identifier: MIT */
#include "daemon/dispatch.h"

#include <string.h>

#include "daemon/log.h"
#include "daemon/run.h"

static struct tv_run *run_of(struct tv_scheduler_request *request)
{
	return tv_container_of(request, struct tv_run, request);
}

static struct tv_accelerator *accelerator_of(struct tv_scheduler_device *device)
{
	return tv_container_of(device, struct tv_accelerator, scheduled);
}

/* --- out ------------------------------------------------------------------------------------- */

static void submit(struct tv_accelerator *accelerator, struct tv_run *run)
{
	struct tv_backend_job job = { .cookie = (uintptr_t)run };
	struct tv_error error = { 0 };
	int r;

	tv_run_segments(run, accelerator->pool, job.segment);
	r = tv_backend_submit(accelerator->backend, &job, &error);
	if (r >= 0)
		return;
	tv_scheduler_done(accelerator->manager->scheduler, &run->request, tv_manager_now(), 0);
	tv_run_fail(run, r, &error);
}

static void expire(struct tv_manager *manager)
{
	static const struct tv_error why = { .text = "it could not be done by its deadline" };
	struct tv_scheduler_request *request;

	while ((request = tv_scheduler_expire(manager->scheduler, tv_manager_now())))
		tv_run_fail(run_of(request), -ETIMEDOUT, &why);
}

static int on_expiry(sd_event_source *source, uint64_t usec, void *userdata)
{
	tv_dispatch(userdata);
	return 0;
}

/* The timer rings when the next request expires. */
static void arm(struct tv_manager *manager)
{
	uint64_t next = tv_scheduler_next_expiry(manager->scheduler);
	int r = 0;

	if (next == TV_NO_DEADLINE) {
		if (manager->expiry)
			r = sd_event_source_set_enabled(manager->expiry, SD_EVENT_OFF);
	} else if (!manager->expiry) {
		r = sd_event_add_time(manager->event, &manager->expiry, CLOCK_MONOTONIC,
				      next / 1000 + 1, 1, on_expiry, manager);
	} else {
		r = sd_event_source_set_time(manager->expiry, next / 1000 + 1);
		if (r >= 0)
			r = sd_event_source_set_enabled(manager->expiry, SD_EVENT_ONESHOT);
	}
	if (r < 0)
		tv_log(LOG_ERR, "the timer of deadlines: %s", strerror(-r));
}

void tv_dispatch(struct tv_manager *manager)
{
	struct tv_scheduler_request *request;
	struct tv_scheduler_device *device;
	struct tv_accelerator *accelerator;

	expire(manager);
	while ((request = tv_scheduler_next(manager->scheduler, tv_manager_now(), &device)))
		submit(accelerator_of(device), run_of(request));
	TAILQ_FOREACH(accelerator, &manager->accelerators, accelerators)
		tv_accelerator_try_test(accelerator);
	arm(manager);
}

int tv_dispatch_cancel(struct tv_run *run)
{
	return tv_backend_cancel(accelerator_of(run->request.device)->backend, (uintptr_t)run);
}

/* --- in -------------------------------------------------------------------------------------- */

void tv_dispatch_result(struct tv_accelerator *accelerator, const struct tv_backend_result *result)
{
	struct tv_run *run = (struct tv_run *)(uintptr_t)result->cookie;
	/* A job that the device lost, or gave back, may have begun and has no end. */
	uint64_t used = result->status < 0 ? 0 : result->end - result->begin;

	tv_scheduler_done(accelerator->manager->scheduler, &run->request, tv_manager_now(), used);
	accelerator->busy += used;
	if (result->status == 0 && result->completion.fault == TV_FAULT_NONE) {
		accelerator->done++;
		tv_loaded_measured(run->session->loaded,
				   (unsigned int)run->session->programs[accelerator->pool],
				   accelerator->pool, used);
	} else if (result->status != -ECANCELED) {
		accelerator->failed++;
	}
	tv_run_end(run, accelerator, result);
}

/* --- devices that go ------------------------------------------------------------------------- */

/* The first run that waits in vain. */
static struct tv_run *find_stranded(struct tv_manager *manager, unsigned int pool)
{
	struct tv_session *session;
	struct tv_run *run;

	TAILQ_FOREACH(session, &manager->sessions, sessions) {
		if (session->programs[pool] < 0 || tv_session_accelerator(session))
			continue;
		TAILQ_FOREACH(run, &session->runs, runs)
			if (run->request.waits)
				return run;
	}
	return NULL;
}

void tv_dispatch_check_pool(struct tv_manager *manager, unsigned int pool)
{
	static const struct tv_error why = { .text = "no device is there any more that could" };
	struct tv_run *run;

	while ((run = find_stranded(manager, pool))) {
		tv_scheduler_cancel(manager->scheduler, &run->request, tv_manager_now());
		tv_run_fail(run, -ENODEV, &why);
	}
}

void tv_dispatch_lost(struct tv_accelerator *accelerator)
{
	static const struct tv_error why = { .text = "the device has gone away" },
				     closed = { .text = "the session was closed" };
	struct tv_manager *manager = accelerator->manager;
	struct tv_scheduler_request *follows = accelerator->scheduled.slots[1];
	struct tv_scheduler_request *running = tv_scheduler_device_remove(
		manager->scheduler, &accelerator->scheduled, tv_manager_now());

	/* Those of a closed session could not be cancelled while the device had them. */
	if (running) {
		bool closing = run_of(running)->session->closing;

		accelerator->failed++;
		tv_run_fail(run_of(running), closing ? -ECANCELED : -ENODEV,
			    closing ? &closed : &why);
	}
	if (follows && run_of(follows)->session->closing)
		tv_run_cancel(run_of(follows), &closed);
	tv_dispatch_check_pool(manager, accelerator->pool);
	tv_dispatch(manager);
}
