/* SPDX-License-Identifier: MIT */
/*
 * A device that is there: its backend, its place in the scheduler, and an object on the bus
 * (interface Device). One that has just been found is tested before it is given anything to do.
 */
#ifndef TV_DAEMON_ACCELERATOR_H
#define TV_DAEMON_ACCELERATOR_H

#include "daemon/backend.h"
#include "daemon/call.h"

/* Devices of a kind and a target are alike: a pool of the scheduler. The kinds, best first. */
enum tv_kind {
	TV_KIND_DRM,
	TV_KIND_SOFTWARE,
	TV_KIND_COUNT,
};
#define TV_POOL_TARGETS (TV_SCHEDULER_TARGETS / TV_KIND_COUNT)

static inline unsigned int tv_pool(enum tv_kind kind, unsigned int target)
{
	return kind * TV_POOL_TARGETS + target;
}

static inline enum tv_kind tv_pool_kind(unsigned int pool)
{
	return pool / TV_POOL_TARGETS;
}

/* Index of the target, for tv_target_at(). */
static inline unsigned int tv_pool_target(unsigned int pool)
{
	return pool % TV_POOL_TARGETS;
}

enum tv_accelerator_state {
	TV_ACCELERATOR_TESTING, /* for the first time */
	TV_ACCELERATOR_READY,
	TV_ACCELERATOR_FAILED, /* its self-test: it is given nothing */
	TV_ACCELERATOR_GONE,
};

struct tv_accelerator {
	struct tv_manager *manager;
	unsigned int references; /* the manager's, and of workers that make buffers */
	char path[64];
	struct tv_backend *backend;
	sd_event_source *results;
	struct tv_scheduler_device scheduled;
	unsigned int pool;
	enum tv_accelerator_state state;
	bool testing; /* a self-test is wanted or under way */
	bool submitted; /* it is under way */
	struct tv_call tester; /* who asked for it; its message is NULL for the first one */
	uint64_t done, failed; /* jobs */
	uint64_t busy; /* ns */
	TAILQ_ENTRY(tv_accelerator) accelerators;
};

/* A new one, from a backend, which becomes its own. It is in manager->accelerators. */
int tv_accelerator_add(struct tv_manager *manager, struct tv_backend *backend,
		       struct tv_accelerator **ret, struct tv_error *error);
int tv_accelerator_add_software(struct tv_manager *manager, const struct tv_target *target,
				struct tv_accelerator **ret, struct tv_error *error);

/* A device in software where the configuration wants one: always, or since there is no other. What
 * is wrong is logged. */
void tv_accelerator_substitute(struct tv_manager *manager);

/* It is no longer there. Requests that it had go to another, or end with -ENODEV if there is none.
 */
void tv_accelerator_remove(struct tv_accelerator *accelerator);

struct tv_accelerator *tv_accelerator_ref(struct tv_accelerator *accelerator);
void tv_accelerator_unref(struct tv_accelerator *accelerator);

/* One of a pool that works, or is about to; NULL if there is none. */
struct tv_accelerator *tv_accelerator_of_pool(const struct tv_manager *manager, unsigned int pool);
/* By its path on the bus. */
struct tv_accelerator *tv_accelerator_at(const struct tv_manager *manager, const char *path);

/* The golden job, as soon as what it has is done; the call is answered then. -EBUSY: it is being
 * tested already. */
int tv_accelerator_test(struct tv_accelerator *accelerator, sd_bus_message *message, uid_t uid,
			struct tv_error *error);
/* Begins a test that waits, if it can. */
void tv_accelerator_try_test(struct tv_accelerator *accelerator);

/* Interface Device. */
int tv_accelerator_add_vtable(struct tv_manager *manager, sd_bus *bus);
extern const char *const tv_accelerator_states[];

#endif
