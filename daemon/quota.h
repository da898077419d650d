/* SPDX-License-Identifier: MIT */
/*
 * How much of everything a uid may hold, and all together. What is held is charged before it is
 * made and released when it is gone.
 *
 * The names of the limits are those of the configuration file's keys, of the properties on the bus
 * and in error messages.
 */
#ifndef TV_DAEMON_QUOTA_H
#define TV_DAEMON_QUOTA_H

#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"

/* Resource; limit of a uid, its default; limit of all together, its default; unit. */
#define TV_QUOTA_RESOURCES(X)                                                                      \
	/* models that are loaded; one that is shared counts with each uid that loaded it */       \
	X(MODELS, MaxModelsPerUser, 32, MaxModels, 256, COUNT)                                     \
	X(SESSIONS, MaxSessionsPerUser, 64, MaxSessions, 1024, COUNT)                              \
	/* runs, and other calls, that wait or are under way */                                    \
	X(JOBS, MaxJobsPerUser, 256, MaxJobs, 8192, COUNT)                                         \
	/* memory of models and sessions */                                                        \
	X(BYTES, MaxBytesPerUser, 256 << 20, MaxBytes, 1 << 30, BYTES)                             \
	/* connections of clients' own, past the bus */                                            \
	X(CONNECTIONS, MaxConnectionsPerUser, 16, MaxConnections, 128, COUNT)                      \
	/* models that are being read: a file that does not answer keeps a thread waiting */       \
	X(LOADS, MaxLoadsPerUser, 2, MaxLoads, 8, COUNT)

enum tv_resource {
#define X(resource, ...) TV_RESOURCE_##resource,
	TV_QUOTA_RESOURCES(X)
#undef X
	TV_RESOURCE_COUNT,
};

struct tv_limits {
	uint64_t user[TV_RESOURCE_COUNT]; /* of each uid */
	uint64_t total[TV_RESOURCE_COUNT]; /* of all together */
};

extern const struct tv_resource_name {
	const char *user, *total; /* "MaxModelsPerUser", "MaxModels" */
} tv_resource_names[TV_RESOURCE_COUNT];

struct tv_quota;

/* The limits are copied. Returns 0 or -ENOMEM. */
int tv_quota_new(const struct tv_limits *limits, struct tv_quota **ret);
/* Everything must have been released. */
void tv_quota_free(struct tv_quota *quota);
TV_DEFINE_CLEANUP(struct tv_quota *, tv_quota_free)

/* Returns 0; -EDQUOT with "limit MaxSessionsPerUser (64) reached" and nothing charged; -ENOMEM. */
int tv_quota_charge(struct tv_quota *quota, uid_t uid, enum tv_resource resource, uint64_t amount,
		    struct tv_error *error);

/* Not more than was charged. */
void tv_quota_release(struct tv_quota *quota, uid_t uid, enum tv_resource resource,
		      uint64_t amount);

/* What a uid holds. */
uint64_t tv_quota_used(const struct tv_quota *quota, uid_t uid, enum tv_resource resource);
/* What all hold. */
uint64_t tv_quota_total(const struct tv_quota *quota, enum tv_resource resource);

#endif
