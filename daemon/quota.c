/* SPDX-License-Identifier: MIT */
#include "daemon/quota.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

struct user {
	uid_t uid;
	uint64_t used[TV_RESOURCE_COUNT];
	TAILQ_ENTRY(user) users;
};

struct tv_quota {
	struct tv_limits limits;
	uint64_t used[TV_RESOURCE_COUNT];
	TAILQ_HEAD(, user) users; /* that hold something, the last ones that changed in front */
};

const struct tv_resource_name tv_resource_names[TV_RESOURCE_COUNT] = {
#define X(resource, user, user_default, total, ...) [TV_RESOURCE_##resource] = { #user, #total },
	TV_QUOTA_RESOURCES(X)
#undef X
};

int tv_quota_new(const struct tv_limits *limits, struct tv_quota **ret)
{
	struct tv_quota *quota = calloc(1, sizeof(*quota));

	if (!quota)
		return -ENOMEM;
	quota->limits = *limits;
	TAILQ_INIT(&quota->users);
	*ret = quota;
	return 0;
}

void tv_quota_free(struct tv_quota *quota)
{
	if (!quota)
		return;
	assert(TAILQ_EMPTY(&quota->users));
	free(quota);
}

static struct user *find_user(const struct tv_quota *quota, uid_t uid)
{
	struct user *user;

	TAILQ_FOREACH(user, &quota->users, users)
		if (user->uid == uid)
			return user;
	return NULL;
}

static int check_limit(const char *name, uint64_t limit, uint64_t used, uint64_t amount,
		       struct tv_error *error)
{
	if (used <= limit && amount <= limit - used)
		return 0;
	return tv_error_set(error, -EDQUOT, "limit %s (%" PRIu64 ") reached", name, limit);
}

int tv_quota_charge(struct tv_quota *quota, uid_t uid, enum tv_resource resource, uint64_t amount,
		    struct tv_error *error)
{
	struct user *user = find_user(quota, uid);
	int r;

	if (!amount)
		return 0;
	r = check_limit(tv_resource_names[resource].user, quota->limits.user[resource],
			user ? user->used[resource] : 0, amount, error);
	if (r < 0)
		return r;
	r = check_limit(tv_resource_names[resource].total, quota->limits.total[resource],
			quota->used[resource], amount, error);
	if (r < 0)
		return r;

	if (user) {
		TAILQ_REMOVE(&quota->users, user, users);
	} else {
		user = calloc(1, sizeof(*user));
		if (!user)
			return tv_error_oom(error);
		user->uid = uid;
	}
	TAILQ_INSERT_HEAD(&quota->users, user, users);
	user->used[resource] += amount;
	quota->used[resource] += amount;
	return 0;
}

static bool holds_nothing(const struct user *user)
{
	for (size_t i = 0; i < TV_RESOURCE_COUNT; i++)
		if (user->used[i])
			return false;
	return true;
}

void tv_quota_release(struct tv_quota *quota, uid_t uid, enum tv_resource resource, uint64_t amount)
{
	struct user *user = find_user(quota, uid);

	if (!amount)
		return;
	assert(user && user->used[resource] >= amount);
	user->used[resource] -= amount;
	quota->used[resource] -= amount;
	if (!holds_nothing(user))
		return;
	TAILQ_REMOVE(&quota->users, user, users);
	free(user);
}

uint64_t tv_quota_used(const struct tv_quota *quota, uid_t uid, enum tv_resource resource)
{
	const struct user *user = find_user(quota, uid);

	return user ? user->used[resource] : 0;
}

uint64_t tv_quota_total(const struct tv_quota *quota, enum tv_resource resource)
{
	return quota->used[resource];
}
