/* SPDX-License-Identifier: MIT */
/* Interface Manager. */
#include <string.h>

#include "daemon/load.h"
#include "daemon/log.h"
#include "daemon/manager-dbus.h"
#include "daemon/peer.h"
#include "daemon/polkit.h"
#include "daemon/session.h"

/* --- methods --------------------------------------------------------------------------------- */

static int method_load_model(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_error why = { 0 };
	int r = tv_load(userdata, message, &why);

	return r < 0 ? tv_call_error(r, &why, error) : 1;
}

static int append_layout(sd_bus_message *reply, const struct tv_session_layout *layout)
{
	return sd_bus_message_append(reply, "a{sv}", 6, "slots", "u", layout->slots, "slot-size",
				     "t", (uint64_t)layout->slot_size, "input-offset", "t",
				     UINT64_C(0), "input-size", "t", (uint64_t)layout->input_size,
				     "output-offset", "t", (uint64_t)layout->output_offset,
				     "output-size", "t", (uint64_t)layout->output_size);
}

static void opened(struct tv_opening *opening, struct tv_session *session, int result,
		   const struct tv_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	if (!session)
		return tv_call_fail(&opening->call, result, error);
	r = sd_bus_message_new_method_return(opening->call.message, &reply);
	if (r >= 0)
		r = sd_bus_message_append(reply, "oh", session->path,
					  tv_buffer_fd(session->memory));
	if (r >= 0)
		r = append_layout(reply, &session->layout);
	if (r < 0) {
		reply = sd_bus_message_unref(reply);
		tv_session_close(session);
	}
	tv_call_reply(&opening->call, reply);
}

static int parse_priority(const char *name, enum tv_priority *ret, struct tv_error *error)
{
	for (enum tv_priority p = 0; p < TV_PRIORITY_COUNT; p++)
		if (!strcmp(name, tv_priority_names[p])) {
			*ret = p;
			return 0;
		}
	return tv_error_set(error, -EINVAL,
			    "option 'priority' is '%.64s', expected low, normal or high", name);
}

static int parse_target(const char *name, struct tv_error *error)
{
	if (!name || tv_target_by_name(name))
		return 0;
	return tv_error_set(error, -EINVAL, "option 'target': there is no target '%.64s'", name);
}

static int open_session(struct tv_manager *manager, sd_bus_message *message,
			struct tv_client *client, const char *path,
			const struct tv_session_wish *wish, struct tv_error *error)
{
	const struct tv_opening opening = { .opened = opened, .public = true };
	struct tv_session_wish whole = *wish;

	whole.loaded = tv_loaded_at(manager, path);
	if (!whole.loaded || !tv_loaded_visible(whole.loaded, client->uid))
		return tv_error_set(error, -ENOENT, "there is no model %.128s, or not for you",
				    path);
	return tv_session_open(manager, message, client, &whole, &opening, error);
}

/* Called a second time where polkit had to be asked about the priority. */
static int method_open_session(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_manager *manager = userdata;
	struct tv_session_wish wish = {
		.slots = 2,
		.images = 1,
		.priority = TV_PRIORITY_NORMAL,
	};
	const char *path, *priority = "normal";
	const struct tv_option options[] = {
		{ "slots", "u", &wish.slots, 1, TV_SLOTS_MAX },
		{ "images", "u", &wish.images, 1, TV_BATCH_MAX },
		{ "priority", "s", &priority },
		{ "target", "s", &wish.target },
		{ 0 },
	};
	struct tv_error why = { 0 };
	struct tv_client *client;
	int r;

	r = sd_bus_message_read_basic(message, 'o', &path);
	if (r >= 0)
		r = tv_call_read_options(message, options, &why);
	if (r >= 0)
		r = parse_priority(priority, &wish.priority, &why);
	if (r >= 0)
		r = parse_target(wish.target, &why);
	if (r < 0)
		return tv_call_error(r, &why, error);
	if (wish.priority == TV_PRIORITY_HIGH) {
		r = tv_polkit_check(manager, message, TV_POLKIT "high-priority",
				    method_open_session, error);
		if (r <= 0)
			return r < 0 ? r : 1;
	}
	r = tv_clients_get(manager->clients, message, &client, &why);
	if (r >= 0)
		r = open_session(manager, message, client, path, &wish, &why);
	return r < 0 ? tv_call_error(r, &why, error) : 1;
}

static int method_connect(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_manager *manager = userdata;
	struct tv_error why = { 0 };
	_cleanup_close_ int fd = -1;
	struct tv_client *client;
	int r;

	/* One is enough, and it could be passed on. */
	if (sd_bus_message_get_bus(message) != manager->bus)
		return tv_call_error(-EOPNOTSUPP,
				     &(struct tv_error){ .text = "this is a connection of your own "
								 "already" },
				     error);
	r = tv_clients_get(manager->clients, message, &client, &why);
	if (r >= 0)
		r = tv_peer_new(manager, client, &fd, &why);
	if (r < 0)
		return tv_call_error(r, &why, error);
	return sd_bus_reply_method_return(message, "h", fd);
}

static int method_add_software(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_manager *manager = userdata;
	struct tv_accelerator *accelerator;
	const struct tv_target *target;
	struct tv_error why = { 0 };
	const char *name;
	int r;

	r = tv_polkit_check(manager, message, TV_POLKIT "manage", method_add_software, error);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = sd_bus_message_read_basic(message, 's', &name);
	if (r < 0)
		return r;
	target = tv_target_by_name(name);
	if (!target)
		r = tv_error_set(&why, -EINVAL, "there is no target '%.64s'", name);
	if (r >= 0)
		r = tv_accelerator_add_software(manager, target, &accelerator, &why);
	if (r < 0)
		return tv_call_error(r, &why, error);
	tv_log(LOG_INFO, "%s: added", tv_backend_info(accelerator->backend)->name);
	return sd_bus_reply_method_return(message, "o", accelerator->path);
}

/* --- properties ------------------------------------------------------------------------------ */

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", TV_VERSION);
}

/* Both limits of all resources, or of all that there is in use: by the names of the totals. */
static int get_limits(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct tv_limits *limits = &((struct tv_manager *)userdata)->config.limits;
	int r = sd_bus_message_open_container(reply, 'a', "{st}");

	for (unsigned int i = 0; r >= 0 && i < TV_RESOURCE_COUNT; i++)
		r = sd_bus_message_append(reply, "{st}{st}", tv_resource_names[i].user,
					  limits->user[i], tv_resource_names[i].total,
					  limits->total[i]);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_usage(sd_bus *bus, const char *path, const char *interface, const char *property,
		     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct tv_quota *quota = ((struct tv_manager *)userdata)->quota;
	int r = sd_bus_message_open_container(reply, 'a', "{st}");

	for (unsigned int i = 0; r >= 0 && i < TV_RESOURCE_COUNT; i++)
		r = sd_bus_message_append(reply, "{st}", tv_resource_names[i].total,
					  tv_quota_total(quota, (enum tv_resource)i));
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

TV_CALL_GETTER(max_job, "t", const struct tv_manager *manager, manager->config.max_job_time / 1000)
TV_CALL_GETTER(copied, "t", const struct tv_manager *manager, manager->copied)

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("LoadModel", SD_BUS_ARGS("h", file, "a{sv}", options),
				SD_BUS_RESULT("o", model), method_load_model,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("OpenSession", SD_BUS_ARGS("o", model, "a{sv}", options),
				SD_BUS_RESULT("o", session, "h", memory, "a{sv}", layout),
				method_open_session, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Connect", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", socket),
				method_connect, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("AddSoftware", SD_BUS_ARGS("s", target), SD_BUS_RESULT("o", device),
				method_add_software, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Limits", "a{st}", get_limits, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Usage", "a{st}", get_usage, 0, 0),
	SD_BUS_PROPERTY("MaxJobUSec", "t", get_max_job, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("BytesCopied", "t", get_copied, 0, 0),
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
