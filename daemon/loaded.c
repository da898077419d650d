/* SPDX-License-Identifier: MIT */
#include "daemon/loaded.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/log.h"

/* Until a run was measured: what computing takes, compared with the accelerator's own time. */
#define SOFTWARE_SLOWDOWN 8

int tv_loaded_new(struct tv_manager *manager, struct tv_model *model,
		  struct tv_loaded_program *programs, const char *name, struct tv_loaded **ret,
		  struct tv_error *error)
{
	_cleanup_free_ struct tv_loaded *loaded = calloc(1, sizeof(*loaded));
	_cleanup_free_ char *copy = strdup(name);

	if (!loaded || !copy)
		return tv_error_oom(error);
	loaded->manager = manager;
	loaded->model = model;
	loaded->programs = programs;
	loaded->name = TV_TAKE_PTR(copy);
	TAILQ_INIT(&loaded->users);
	snprintf(loaded->path, sizeof(loaded->path), TV_BUS_PATH "/models/%" PRIu64,
		 tv_manager_number(manager));
	TAILQ_INSERT_TAIL(&manager->models, loaded, models);
	*ret = TV_TAKE_PTR(loaded);
	return 0;
}

static void free_loaded(struct tv_loaded *loaded)
{
	struct tv_manager *manager = loaded->manager;

	TAILQ_REMOVE(&manager->models, loaded, models);
	for (unsigned int i = 0; i < TV_KIND_COUNT; i++)
		tv_manager_release_buffer(manager, loaded->code[i]);
	tv_manager_release_model(manager, loaded->model);
	free(loaded->programs);
	free(loaded->name);
	free(loaded);
}

void tv_loaded_check(struct tv_loaded *loaded)
{
	if (!TAILQ_EMPTY(&loaded->users) || loaded->sessions)
		return;
	tv_log(LOG_DEBUG, "model %s (%.12s) is not used any more", loaded->name,
	       loaded->model->digest);
	tv_loaded_publish(loaded, false);
	free_loaded(loaded);
}

struct tv_loaded *tv_loaded_by_digest(const struct tv_manager *manager, const char *digest)
{
	struct tv_loaded *loaded;

	TAILQ_FOREACH(loaded, &manager->models, models)
		if (!strcmp(loaded->model->digest, digest))
			return loaded;
	return NULL;
}

struct tv_loaded *tv_loaded_at(const struct tv_manager *manager, const char *path)
{
	struct tv_loaded *loaded;

	TAILQ_FOREACH(loaded, &manager->models, models)
		if (!strcmp(loaded->path, path))
			return loaded;
	return NULL;
}

/* --- users ---------------------------------------------------------------------------------- */

static struct tv_loaded_user *find_user(const struct tv_loaded *loaded, uid_t uid)
{
	struct tv_loaded_user *user;

	TAILQ_FOREACH(user, &loaded->users, users)
		if (user->uid == uid)
			return user;
	return NULL;
}

bool tv_loaded_visible(const struct tv_loaded *loaded, uid_t uid)
{
	return loaded->public || find_user(loaded, uid);
}

static uint64_t bytes_of(const struct tv_loaded *loaded)
{
	return (uint64_t)loaded->model->memory.size + loaded->model->code.size;
}

int tv_loaded_use(struct tv_loaded *loaded, uid_t uid, struct tv_error *error)
{
	struct tv_quota *quota = loaded->manager->quota;
	_cleanup_free_ struct tv_loaded_user *user = NULL;
	int r;

	if (find_user(loaded, uid))
		return 0;
	user = calloc(1, sizeof(*user));
	if (!user)
		return tv_error_oom(error);
	r = tv_quota_charge(quota, uid, TV_RESOURCE_MODELS, 1, error);
	if (r < 0)
		return r;
	r = tv_quota_charge(quota, uid, TV_RESOURCE_BYTES, bytes_of(loaded), error);
	if (r < 0) {
		tv_quota_release(quota, uid, TV_RESOURCE_MODELS, 1);
		return r;
	}
	user->uid = uid;
	TAILQ_INSERT_TAIL(&loaded->users, user, users);
	TV_TAKE_PTR(user);
	return 0;
}

static void drop_user(struct tv_loaded *loaded, struct tv_loaded_user *user)
{
	struct tv_quota *quota = loaded->manager->quota;

	TAILQ_REMOVE(&loaded->users, user, users);
	tv_quota_release(quota, user->uid, TV_RESOURCE_MODELS, 1);
	tv_quota_release(quota, user->uid, TV_RESOURCE_BYTES, bytes_of(loaded));
	free(user);
}

void tv_loaded_unuse(struct tv_loaded *loaded, uid_t uid)
{
	struct tv_loaded_user *user = find_user(loaded, uid);

	if (user)
		drop_user(loaded, user);
	tv_loaded_check(loaded);
}

void tv_loaded_free_all(struct tv_manager *manager)
{
	struct tv_loaded *loaded;

	while ((loaded = TAILQ_FIRST(&manager->models))) {
		while (!TAILQ_EMPTY(&loaded->users))
			drop_user(loaded, TAILQ_FIRST(&loaded->users));
		free_loaded(loaded);
	}
}

/* Signals tell of public models only. */
void tv_loaded_publish(struct tv_loaded *loaded, bool public)
{
	sd_bus *bus = loaded->manager->bus;

	if (loaded->public == public)
		return;
	if (public) {
		loaded->public = true;
		sd_bus_emit_object_added(bus, loaded->path);
	} else {
		sd_bus_emit_object_removed(bus, loaded->path);
		loaded->public = false;
	}
}

/* --- programs ------------------------------------------------------------------------------- */

int tv_loaded_find_program(const struct tv_loaded *loaded, unsigned int target, unsigned int images)
{
	const struct tv_package *package = loaded->model->package;

	for (size_t i = 0; i < package->program_count; i++)
		if (loaded->programs[i].target == (int)target &&
		    package->programs[i].header.images == images)
			return (int)i;
	return -1;
}

uint64_t tv_loaded_cost(const struct tv_loaded *loaded, unsigned int program, unsigned int pool)
{
	const struct tv_loaded_program *of = &loaded->programs[program];
	uint64_t cycles = of->cycles.idle, ns = of->measured;

	if (tv_pool_kind(pool) == TV_KIND_SOFTWARE) {
		uint64_t rate = loaded->manager->ns_per_kilocycle[pool];

		if (!rate)
			rate = 1000000 / tv_target_at(tv_pool_target(pool))->clock_mhz *
			       SOFTWARE_SLOWDOWN;
		if (!ns)
			ns = cycles * rate / 1000;
	} else {
		ns = cycles * 1000 / tv_target_at(tv_pool_target(pool))->clock_mhz;
	}
	return ns < 1 ? 1 : ns > TV_SCHEDULER_COST_MAX ? TV_SCHEDULER_COST_MAX : ns;
}

/* A moving average over some eight of them. */
static void follow(uint64_t *average, uint64_t value)
{
	*average = *average ? *average - *average / 8 + value / 8 : value;
}

void tv_loaded_measured(struct tv_loaded *loaded, unsigned int program, unsigned int pool,
			uint64_t ns)
{
	struct tv_loaded_program *of = &loaded->programs[program];

	if (tv_pool_kind(pool) != TV_KIND_SOFTWARE)
		return;
	follow(&of->measured, ns);
	follow(&loaded->manager->ns_per_kilocycle[pool], ns * 1000 / of->cycles.idle);
}
