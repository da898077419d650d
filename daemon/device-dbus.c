/* SPDX-License-Identifier: MIT */
/* Interface Device. */
#include <string.h>

#include "daemon/accelerator.h"
#include "daemon/log.h"
#include "daemon/polkit.h"
#include "daemon/scheduler.h"

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata,
		void **ret_found, sd_bus_error *error)
{
	struct tv_accelerator *accelerator = tv_accelerator_at(userdata, path);

	if (!accelerator)
		return tv_call_not_found(bus, path, error);
	*ret_found = accelerator;
	return 1;
}

static int list(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
		sd_bus_error *error)
{
	struct tv_manager *manager = userdata;
	struct tv_accelerator *accelerator;
	size_t count = 0;

	TAILQ_FOREACH(accelerator, &manager->accelerators, accelerators)
		tv_call_add_path(ret_nodes, &count, accelerator->path);
	return 0;
}

/* --- methods --------------------------------------------------------------------------------- */

/* Handlers that polkit is asked about are called a second time with the manager. */
static int find_called(struct tv_manager *manager, sd_bus_message *message,
		       struct tv_accelerator **ret, sd_bus_error *error)
{
	*ret = tv_accelerator_at(manager, sd_bus_message_get_path(message));
	if (*ret)
		return 0;
	return tv_call_error(-ENOENT, &(struct tv_error){ .text = "the device has gone away" },
			     error);
}

static int self_test(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_manager *manager = userdata;
	struct tv_accelerator *accelerator;
	struct tv_error why = { 0 };
	struct tv_client *client;
	int r;

	r = tv_polkit_check(manager, message, TV_POLKIT "manage", self_test, error);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = find_called(manager, message, &accelerator, error);
	if (r < 0)
		return r;
	r = tv_clients_get(manager->clients, message, &client, &why);
	if (r >= 0)
		r = tv_accelerator_test(accelerator, message, client->uid, &why);
	return r < 0 ? tv_call_error(r, &why, error) : 1;
}

static int method_self_test(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return self_test(message, ((struct tv_accelerator *)userdata)->manager, error);
}

static int remove_device(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_manager *manager = userdata;
	struct tv_accelerator *accelerator;
	int r;

	r = tv_polkit_check(manager, message, TV_POLKIT "manage", remove_device, error);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = find_called(manager, message, &accelerator, error);
	if (r < 0)
		return r;
	if (tv_pool_kind(accelerator->pool) != TV_KIND_SOFTWARE)
		return tv_call_error(-EINVAL,
				     &(struct tv_error){ .text = "only a device in software can be "
								 "removed" },
				     error);
	tv_log(LOG_INFO, "%s: removed", tv_backend_info(accelerator->backend)->name);
	tv_accelerator_remove(accelerator);
	return sd_bus_reply_method_return(message, "");
}

static int method_remove(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return remove_device(message, ((struct tv_accelerator *)userdata)->manager, error);
}

/* --- properties ------------------------------------------------------------------------------ */

#define GETTER(name, type, value)                                                                  \
	TV_CALL_GETTER(name, type, const struct tv_accelerator *accelerator, value)

GETTER(name, "s", tv_backend_info(accelerator->backend)->name)
GETTER(target, "s", tv_backend_info(accelerator->backend)->target->name)
GETTER(driver, "s", tv_backend_info(accelerator->backend)->driver)
GETTER(clock, "u", tv_backend_info(accelerator->backend)->hardware.clock_khz)
GETTER(onchip, "u", tv_backend_info(accelerator->backend)->hardware.onchip)
GETTER(state, "s", tv_accelerator_states[accelerator->state])
GETTER(done, "t", accelerator->done)
GETTER(failed, "t", accelerator->failed)
GETTER(busy, "t", accelerator->busy / 1000)
GETTER(queue, "u",
       (uint32_t)tv_scheduler_waiting(accelerator->manager->scheduler, accelerator->pool) +
	       accelerator->scheduled.held)

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("SelfTest", SD_BUS_NO_ARGS, SD_BUS_RESULT("b", ok, "s", text),
				method_self_test, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Remove", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_remove,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Name", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Target", "s", get_target, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Driver", "s", get_driver, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("ClockKHz", "u", get_clock, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("OnChip", "u", get_onchip, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("State", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
	SD_BUS_PROPERTY("JobsDone", "t", get_done, 0, 0),
	SD_BUS_PROPERTY("JobsFailed", "t", get_failed, 0, 0),
	SD_BUS_PROPERTY("BusyUSec", "t", get_busy, 0, 0),
	SD_BUS_PROPERTY("QueueLength", "u", get_queue, 0, 0),
	SD_BUS_VTABLE_END,
};

int tv_accelerator_add_vtable(struct tv_manager *manager, sd_bus *bus)
{
	int r = sd_bus_add_fallback_vtable(bus, NULL, TV_BUS_PATH "/devices", TV_BUS_NAME ".Device",
					   vtable, find, manager);

	if (r < 0)
		return r;
	return sd_bus_add_node_enumerator(bus, NULL, TV_BUS_PATH "/devices", list, manager);
}
