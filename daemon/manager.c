/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "daemon/log-dbus.h"
#include "daemon/manager-dbus.h"
#include "daemon/peer.h"

/* Reading and hashing of models, a few at a time. */
#define WORKERS 2

int tv_manager_add_objects(struct tv_manager *manager, sd_bus *bus)
{
	return tv_manager_add_object(manager, bus);
}

int tv_manager_new(sd_event *event, sd_bus *bus, struct tv_manager **ret, struct tv_error *error)
{
	_cleanup_(tv_manager_freep) struct tv_manager *manager = calloc(1, sizeof(*manager));
	int r;

	if (!manager)
		return tv_error_oom(error);
	manager->event = sd_event_ref(event);
	manager->bus = sd_bus_ref(bus);
	r = tv_workers_new(event, WORKERS, &manager->workers, error);
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

void tv_manager_free(struct tv_manager *manager)
{
	if (manager->workers)
		tv_workers_free(manager->workers);
	if (manager->clients)
		tv_clients_free(manager->clients);
	sd_bus_unref(manager->bus);
	sd_event_unref(manager->event);
	free(manager);
}
