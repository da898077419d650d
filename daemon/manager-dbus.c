/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "daemon/manager-dbus.h"
#include "daemon/peer.h"

static int method_connect(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_manager *manager = userdata;
	struct tv_error why = { 0 };
	_cleanup_close_ int fd = -1;
	struct tv_client *client;
	int r;

	/* One is enough, and it could be passed on. */
	if (sd_bus_message_get_bus(message) != manager->bus)
		return sd_bus_error_set(error, TV_BUS_ERROR "UseBus",
					"this is a connection of your own already");
	r = tv_clients_get(manager->clients, message, &client, &why);
	if (r >= 0)
		r = tv_peer_new(manager, client, &fd, &why);
	if (r < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED, "%s", why.text);
	return sd_bus_reply_method_return(message, "h", fd);
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", TV_VERSION);
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Connect", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", socket),
				method_connect, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_VTABLE_END,
};

/* Before any object is asked: whoever does not read is not answered. */
static int filter(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return !tv_peer_check(userdata, sd_bus_message_get_bus(message));
}

int tv_manager_add_object(struct tv_manager *manager, sd_bus *bus)
{
	int r;

	r = sd_bus_add_filter(bus, NULL, filter, manager);
	if (r < 0)
		return r;
	return sd_bus_add_object_vtable(bus, NULL, TV_BUS_PATH, TV_BUS_NAME ".Manager", vtable,
					manager);
}
