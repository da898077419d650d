/* SPDX-License-Identifier: MIT */
/*
 * The daemon: one of it, with everything that is there. What it does on the bus is in the files
 * that end in -dbus.c, an interface each; docs/dbus.md is what they promise.
 */
#ifndef TV_DAEMON_MANAGER_H
#define TV_DAEMON_MANAGER_H

#include <sys/queue.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/quota.h"
#include "daemon/scheduler.h"
#include "daemon/worker.h"

#define TV_BUS_NAME  "org.triovit.Accelerator1"
#define TV_BUS_PATH  "/org/triovit/Accelerator1"
#define TV_BUS_ERROR TV_BUS_NAME ".Error."

struct tv_buffer;
struct tv_model;

struct tv_manager {
	sd_event *event;
	sd_bus *bus; /* the one that clients come by */
	struct tv_config config;
	struct tv_clients *clients;
	struct tv_quota *quota;
	struct tv_scheduler *scheduler;
	struct tv_workers *loaders; /* for files of others, which may hang */
	struct tv_workers *closers; /* for those that were not even to be loaded */
	struct tv_workers *workers; /* for what comes to an end */
	struct tv_peer *peers; /* connections of clients' own */
	TAILQ_HEAD(, tv_accelerator) accelerators;
	TAILQ_HEAD(, tv_loaded) models;
	TAILQ_HEAD(tv_sessions, tv_session) sessions;
	uint64_t numbers; /* of objects that were made: each has its own */
	sd_event_source *expiry; /* when the next request cannot be done in time any more */
	uint64_t ns_per_kilocycle[TV_SCHEDULER_TARGETS]; /* of runs in a pool; 0: none yet */
	uint64_t copied; /* bytes of tensors that this process has moved, for those who asked */
	sd_bus_message *authorized; /* polkit has allowed it, and it is being handled again */
	/* Models of the folder and first self-tests that are not done; then started() is called. */
	unsigned int starting;
	void (*started)(struct tv_manager *manager, void *userdata);
	void *started_userdata;
};

/* Takes up its work on a bus that is attached to the loop; does not ask for the name yet. config is
 * copied. */
int tv_manager_new(sd_event *event, sd_bus *bus, const struct tv_config *config,
		   struct tv_manager **ret, struct tv_error *error);
void tv_manager_free(struct tv_manager *manager);
TV_DEFINE_CLEANUP(struct tv_manager *, tv_manager_free)

/* Has started() called once devices are tested and models loaded: in the next round of the loop at
 * the earliest. */
int tv_manager_start(struct tv_manager *manager,
		     void (*started)(struct tv_manager *manager, void *userdata), void *userdata,
		     struct tv_error *error);
/* One of the things that manager->starting counts is done. */
void tv_manager_started(struct tv_manager *manager);

/* All objects, on the bus or on a connection of a client's own. */
int tv_manager_add_objects(struct tv_manager *manager, sd_bus *bus);

/* ns of CLOCK_MONOTONIC. */
uint64_t tv_manager_now(void);

/* Have a worker release something large. NULL is nothing. */
void tv_manager_release_model(struct tv_manager *manager, struct tv_model *model);
void tv_manager_release_buffer(struct tv_manager *manager, struct tv_buffer *buffer);

/* A new object's number. */
uint64_t tv_manager_number(struct tv_manager *manager);

#endif
