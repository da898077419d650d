/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <time.h>

#include "daemon/accelerator.h"
#include "daemon/loaded.h"
#include "daemon/log-dbus.h"
#include "daemon/manager-dbus.h"
#include "daemon/peer.h"
#include "daemon/session.h"

/* Memory is made and released, a few at a time. */
#define WORKERS	    2
/* Who hands in wrong files does not keep others from loading right ones. */
#define CLOSERS	    1
/* Of files; whoever wants more at once than threads waits. */
#define LOADERS_MAX 64

uint64_t tv_manager_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t tv_manager_number(struct tv_manager *manager)
{
	return ++manager->numbers;
}

static void release_model(void *model)
{
	tv_model_free(model);
}

void tv_manager_release_model(struct tv_manager *manager, struct tv_model *model)
{
	if (model)
		tv_workers_release(manager->workers, release_model, model);
}

static void release_buffer(void *buffer)
{
	tv_buffer_unref(buffer);
}

void tv_manager_release_buffer(struct tv_manager *manager, struct tv_buffer *buffer)
{
	if (buffer)
		tv_workers_release(manager->workers, release_buffer, buffer);
}

int tv_manager_add_objects(struct tv_manager *manager, sd_bus *bus)
{
	int r;

	r = sd_bus_add_object_manager(bus, NULL, TV_BUS_PATH);
	if (r >= 0)
		r = tv_manager_add_object(manager, bus);
	if (r >= 0)
		r = tv_accelerator_add_vtable(manager, bus);
	if (r >= 0)
		r = tv_loaded_add_vtable(manager, bus);
	if (r >= 0)
		r = tv_session_add_vtable(manager, bus);
	return r;
}

static int start_workers(struct tv_manager *manager, struct tv_error *error)
{
	uint64_t loads = manager->config.limits.total[TV_RESOURCE_LOADS];
	int r;

	r = tv_workers_new(manager->event, WORKERS, &manager->workers, error);
	if (r >= 0)
		r = tv_workers_new(manager->event, CLOSERS, &manager->closers, error);
	if (r < 0)
		return r;
	return tv_workers_new(manager->event,
			      loads < 1		  ? 1 :
			      loads < LOADERS_MAX ? (unsigned int)loads :
						    LOADERS_MAX,
			      &manager->loaders, error);
}

int tv_manager_new(sd_event *event, sd_bus *bus, const struct tv_config *config,
		   struct tv_manager **ret, struct tv_error *error)
{
	_cleanup_(tv_manager_freep) struct tv_manager *manager = calloc(1, sizeof(*manager));
	int r;

	if (!manager)
		return tv_error_oom(error);
	TAILQ_INIT(&manager->accelerators);
	TAILQ_INIT(&manager->models);
	TAILQ_INIT(&manager->sessions);
	manager->event = sd_event_ref(event);
	manager->bus = sd_bus_ref(bus);
	manager->config = *config;
	if (tv_quota_new(&config->limits, &manager->quota) < 0 ||
	    tv_scheduler_new(config->ageing_time, &manager->scheduler) < 0)
		return tv_error_oom(error);
	r = start_workers(manager, error);
	if (r >= 0)
		r = tv_clients_new(bus, &manager->clients, error);
	if (r < 0)
		return r;
	r = tv_log_add_object(bus);
	if (r >= 0)
		r = tv_manager_add_objects(manager, bus);
	if (r < 0)
		return tv_error_set(error, r, "objects on the bus: %s", strerror(-r));
	*ret = TV_TAKE_PTR(manager);
	return 0;
}

/* --- the beginning --------------------------------------------------------------------------- */

static int on_nothing_left(sd_event_source *source, void *userdata)
{
	tv_manager_started(userdata);
	return 0;
}

int tv_manager_start(struct tv_manager *manager,
		     void (*started)(struct tv_manager *manager, void *userdata), void *userdata,
		     struct tv_error *error)
{
	int r;

	manager->started = started;
	manager->started_userdata = userdata;
	manager->starting++;
	r = sd_event_add_defer(manager->event, NULL, on_nothing_left, manager);
	return r < 0 ? tv_error_set(error, r, "the event loop: %s", strerror(-r)) : 0;
}

void tv_manager_started(struct tv_manager *manager)
{
	void (*started)(struct tv_manager *, void *) = manager->started;

	if (--manager->starting || !started)
		return;
	manager->started = NULL;
	started(manager, manager->started_userdata);
}

/* --- the end --------------------------------------------------------------------------------- */

void tv_manager_free(struct tv_manager *manager)
{
	struct tv_accelerator *accelerator;
	struct tv_session *session;
	bool whole = true;

	manager->started = NULL;
	/* First, so that runs end as cancelled and not for want of a device. */
	while ((session = TAILQ_FIRST(&manager->sessions)))
		tv_session_close(session);
	while ((accelerator = TAILQ_FIRST(&manager->accelerators)))
		tv_accelerator_remove(accelerator);
	/* Those that read a file which does not answer keep what they have. */
	if (manager->loaders)
		whole = tv_workers_free(TV_TAKE_PTR(manager->loaders));
	if (manager->closers)
		whole &= tv_workers_free(TV_TAKE_PTR(manager->closers));
	if (manager->workers)
		tv_workers_free(TV_TAKE_PTR(manager->workers));
	if (manager->clients)
		tv_clients_free(manager->clients);
	tv_loaded_free_all(manager);
	sd_event_source_disable_unref(manager->expiry);
	if (whole) {
		tv_scheduler_free(manager->scheduler);
		tv_quota_free(manager->quota);
	}
	sd_bus_unref(manager->bus);
	sd_event_unref(manager->event);
	free(manager);
}
