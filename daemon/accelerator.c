/* SPDX-License-Identifier: MIT */
#include "daemon/accelerator.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/dispatch.h"
#include "daemon/log.h"

const char *const tv_accelerator_states[] = {
	[TV_ACCELERATOR_TESTING] = "testing",
	[TV_ACCELERATOR_READY] = "ready",
	[TV_ACCELERATOR_FAILED] = "failed",
	[TV_ACCELERATOR_GONE] = "gone",
};

/* What a result of the golden job, which has no request, is known by. */
#define TEST_COOKIE 0

struct tv_accelerator *tv_accelerator_ref(struct tv_accelerator *accelerator)
{
	accelerator->references++;
	return accelerator;
}

static void close_backend(void *backend)
{
	tv_backend_close(backend);
}

void tv_accelerator_unref(struct tv_accelerator *accelerator)
{
	if (!accelerator || --accelerator->references)
		return;
	/* It waits for the device to stop. */
	tv_workers_release(accelerator->manager->workers, close_backend, accelerator->backend);
	free(accelerator);
}

struct tv_accelerator *tv_accelerator_of_pool(const struct tv_manager *manager, unsigned int pool)
{
	struct tv_accelerator *accelerator;

	TAILQ_FOREACH(accelerator, &manager->accelerators, accelerators)
		if (accelerator->pool == pool && accelerator->state != TV_ACCELERATOR_FAILED)
			return accelerator;
	return NULL;
}

struct tv_accelerator *tv_accelerator_at(const struct tv_manager *manager, const char *path)
{
	struct tv_accelerator *accelerator;

	TAILQ_FOREACH(accelerator, &manager->accelerators, accelerators)
		if (!strcmp(accelerator->path, path))
			return accelerator;
	return NULL;
}

/* --- tests ---------------------------------------------------------------------------------- */

static void set_state(struct tv_accelerator *accelerator, enum tv_accelerator_state state)
{
	if (accelerator->state == state)
		return;
	accelerator->state = state;
	tv_log(state == TV_ACCELERATOR_FAILED ? LOG_ERR : LOG_DEBUG, "%s: %s",
	       tv_backend_info(accelerator->backend)->name, tv_accelerator_states[state]);
	sd_bus_emit_properties_changed(accelerator->manager->bus, accelerator->path,
				       TV_BUS_NAME ".Device", "State", NULL);
}

static void answer_test(struct tv_accelerator *accelerator, bool ok, const char *text)
{
	struct tv_call *call = &accelerator->tester;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

	if (!call->message)
		return tv_manager_started(accelerator->manager);
	if (sd_bus_message_new_method_return(call->message, &reply) >= 0 &&
	    sd_bus_message_append(reply, "bs", ok, text) < 0)
		reply = sd_bus_message_unref(reply);
	tv_call_reply(call, reply);
}

/* status as in struct tv_backend_result. */
static void end_test(struct tv_accelerator *accelerator, int status)
{
	bool ok = status == 0;

	accelerator->testing = accelerator->submitted = false;
	if (accelerator->state != TV_ACCELERATOR_GONE) {
		set_state(accelerator, ok ? TV_ACCELERATOR_READY : TV_ACCELERATOR_FAILED);
		tv_scheduler_device_pause(&accelerator->scheduled, !ok);
		if (!ok)
			tv_dispatch_check_pool(accelerator->manager, accelerator->pool);
	}
	answer_test(accelerator, ok,
		    ok		      ? "the golden job has the right result" :
		    status == -EIO    ? "the golden job has a wrong result" :
		    status == -ENODEV ? "the device has gone away" :
					strerror(-status));
}

void tv_accelerator_try_test(struct tv_accelerator *accelerator)
{
	struct tv_error error = { 0 };
	int r;

	if (!accelerator->testing || accelerator->submitted || accelerator->scheduled.held)
		return;
	accelerator->submitted = true;
	r = tv_backend_selftest(accelerator->backend, TEST_COOKIE, &error);
	if (r < 0)
		end_test(accelerator, r);
}

int tv_accelerator_test(struct tv_accelerator *accelerator, sd_bus_message *message, uid_t uid,
			struct tv_error *error)
{
	int r;

	if (accelerator->testing)
		return tv_error_set(error, -EBUSY, "the device is being tested already");
	r = tv_call_begin(accelerator->manager, message, uid, &accelerator->tester, error);
	if (r < 0)
		return r;
	accelerator->testing = true;
	tv_scheduler_device_pause(&accelerator->scheduled, true);
	tv_accelerator_try_test(accelerator);
	return 0;
}

/* --- results -------------------------------------------------------------------------------- */

static void on_result(const struct tv_backend_result *result, void *userdata)
{
	struct tv_accelerator *accelerator = userdata;

	if (result->cookie == TEST_COOKIE)
		end_test(accelerator, result->status);
	else
		tv_dispatch_result(accelerator, result);
}

static int on_results(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct tv_accelerator *accelerator = userdata;

	tv_backend_dispatch(accelerator->backend, on_result, accelerator);
	tv_dispatch(accelerator->manager);
	return 0;
}

/* --- coming and going ------------------------------------------------------------------------ */

int tv_accelerator_add(struct tv_manager *manager, struct tv_backend *backend,
		       struct tv_accelerator **ret, struct tv_error *error)
{
	const struct tv_backend_info *info = tv_backend_info(backend);
	struct tv_accelerator *accelerator = calloc(1, sizeof(*accelerator));
	enum tv_kind kind = strcmp(info->driver, "software") ? TV_KIND_DRM : TV_KIND_SOFTWARE;
	unsigned int target = tv_target_index(info->target);
	int r;

	/* One target more than there are pools for would be taken for another. */
	assert(target < TV_POOL_TARGETS);
	r = accelerator ?
		    sd_event_add_io(manager->event, &accelerator->results, tv_backend_fd(backend),
				    EPOLLIN, on_results, accelerator) :
		    -ENOMEM;
	if (r < 0) {
		free(accelerator);
		tv_backend_close(backend);
		return tv_error_set(error, r, "the event loop: %s", strerror(-r));
	}
	accelerator->manager = manager;
	accelerator->references = 1;
	accelerator->backend = backend;
	accelerator->pool = tv_pool(kind, target);
	snprintf(accelerator->path, sizeof(accelerator->path), TV_BUS_PATH "/devices/%" PRIu64,
		 tv_manager_number(manager));
	tv_scheduler_device_add(manager->scheduler, &accelerator->scheduled, accelerator->pool);
	tv_scheduler_device_pause(&accelerator->scheduled, true);
	TAILQ_INSERT_TAIL(&manager->accelerators, accelerator, accelerators);
	sd_bus_emit_object_added(manager->bus, accelerator->path);
	manager->starting++;
	accelerator->testing = true;
	tv_accelerator_try_test(accelerator);
	if (ret)
		*ret = accelerator;
	return 0;
}

int tv_accelerator_add_software(struct tv_manager *manager, const struct tv_target *target,
				struct tv_accelerator **ret, struct tv_error *error)
{
	struct tv_backend *backend;
	int r = tv_backend_open_software(target, &backend, error);

	return r < 0 ? r : tv_accelerator_add(manager, backend, ret, error);
}

static bool has_kind(const struct tv_manager *manager, enum tv_kind kind)
{
	const struct tv_accelerator *accelerator;

	TAILQ_FOREACH(accelerator, &manager->accelerators, accelerators)
		if (tv_pool_kind(accelerator->pool) == kind)
			return true;
	return false;
}

void tv_accelerator_substitute(struct tv_manager *manager)
{
	const struct tv_config *config = &manager->config;
	struct tv_error error = { 0 };

	if (has_kind(manager, TV_KIND_SOFTWARE) || config->software == TV_SOFTWARE_NEVER ||
	    (config->software == TV_SOFTWARE_AUTO && has_kind(manager, TV_KIND_DRM)))
		return;
	if (tv_accelerator_add_software(
		    manager, tv_target_at((unsigned int)config->software_target), NULL, &error) < 0)
		tv_log(LOG_ERR, "%s", error.text);
}

void tv_accelerator_remove(struct tv_accelerator *accelerator)
{
	struct tv_manager *manager = accelerator->manager;

	set_state(accelerator, TV_ACCELERATOR_GONE);
	/* While it can still be found. */
	sd_bus_emit_object_removed(manager->bus, accelerator->path);
	TAILQ_REMOVE(&manager->accelerators, accelerator, accelerators);
	tv_backend_unplug(accelerator->backend);
	accelerator->results = sd_event_source_disable_unref(accelerator->results);
	tv_dispatch_lost(accelerator);
	if (accelerator->testing)
		end_test(accelerator, -ENODEV);
	tv_accelerator_unref(accelerator);
}
