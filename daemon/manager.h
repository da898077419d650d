/* SPDX-License-Identifier: MIT */
/*
 * The daemon: one of it, with everything that is there. What it does on the bus is in the files
 * that end in -dbus.c, an interface each; docs/dbus.md is what they promise.
 */
#ifndef TV_DAEMON_MANAGER_H
#define TV_DAEMON_MANAGER_H

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "daemon/client.h"
#include "daemon/worker.h"

#define TV_BUS_NAME  "org.triovit.Accelerator1"
#define TV_BUS_PATH  "/org/triovit/Accelerator1"
#define TV_BUS_ERROR TV_BUS_NAME ".Error."

struct tv_manager {
	sd_event *event;
	sd_bus *bus; /* the one that clients come by */
	struct tv_clients *clients;
	struct tv_workers *workers;
	struct tv_peer *peers; /* connections of clients' own */
};

/* Takes up its work on a bus that is attached to the loop; does not ask for the name yet. */
int tv_manager_new(sd_event *event, sd_bus *bus, struct tv_manager **ret, struct tv_error *error);
void tv_manager_free(struct tv_manager *manager);
TV_DEFINE_CLEANUP(struct tv_manager *, tv_manager_free)

/* All objects, on the bus or on a connection of a client's own. */
int tv_manager_add_objects(struct tv_manager *manager, sd_bus *bus);

#endif
