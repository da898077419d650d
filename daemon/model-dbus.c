/* SPDX-License-Identifier: MIT */
/* Interface Model. */
#include <string.h>

#include "daemon/polkit.h"
#include "daemon/run.h"

/* --- who may see it -------------------------------------------------------------------------- */

/* Whether the caller of the message that is being handled may; without one, a signal is being made,
 * and these are of public models. */
static bool visible(struct tv_manager *manager, sd_bus *bus, const struct tv_loaded *loaded)
{
	sd_bus_message *message = sd_bus_get_current_message(bus);
	struct tv_client *client;

	return loaded->public ||
	       (message && tv_clients_get(manager->clients, message, &client, NULL) >= 0 &&
		tv_loaded_visible(loaded, client->uid));
}

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata,
		void **ret_found, sd_bus_error *error)
{
	struct tv_loaded *loaded = tv_loaded_at(userdata, path);

	if (!loaded || !visible(userdata, bus, loaded))
		return tv_call_not_found(bus, path, error);
	*ret_found = loaded;
	return 1;
}

static int list(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
		sd_bus_error *error)
{
	struct tv_manager *manager = userdata;
	struct tv_loaded *loaded;
	size_t count = 0;

	TAILQ_FOREACH(loaded, &manager->models, models)
		if (visible(manager, bus, loaded))
			tv_call_add_path(ret_nodes, &count, loaded->path);
	return 0;
}

/* --- methods --------------------------------------------------------------------------------- */

/* The memory is there: the run that it was for. */
static void opened(struct tv_opening *opening, struct tv_session *session, int result,
		   const struct tv_error *error)
{
	const struct tv_run_wish wish = {
		.slot = 0,
		.timeout = opening->timeout,
		.top = opening->top,
		.received = opening->received,
	};
	struct tv_error why = { 0 };
	int r;

	if (!session)
		return tv_call_fail(&opening->call, result, error);
	session->manager->copied += session->layout.input_size;
	r = tv_run_start(session, &wish, NULL, &opening->call, &why);
	if (r < 0)
		tv_call_fail(&opening->call, r, &why);
}

static int run(struct tv_loaded *loaded, sd_bus_message *message, struct tv_error *error)
{
	struct tv_manager *manager = loaded->manager;
	struct tv_opening opening = { .opened = opened, .received = tv_manager_now() };
	struct tv_session_wish wish = {
		.loaded = loaded,
		.slots = 1,
		.images = 1,
		.priority = TV_PRIORITY_NORMAL,
	};
	const struct tv_option options[] = {
		{ "images", "u", &wish.images, 1, TV_BATCH_MAX },
		{ "timeout-usec", "t", &opening.timeout, 1, UINT64_MAX },
		{ "top", "u", &opening.top, 1, TV_ANSWERS_MAX },
		{ 0 },
	};
	const struct tv_package *package = loaded->model->package;
	struct tv_client *client;
	const void *input;
	size_t size, expected;
	int r;

	r = sd_bus_message_read_array(message, 'y', &input, &size);
	if (r < 0)
		return tv_call_broken(r, error);
	r = tv_call_read_options(message, options, error);
	if (r < 0)
		return r;
	expected = (size_t)wish.images * package->size * package->size * 3;
	if (size != expected)
		return tv_error_set(error, -EINVAL,
				    "the input has %zu bytes, expected %zu: %u x %ux%ux3", size,
				    expected, wish.images, package->size, package->size);
	wish.input = input;
	r = tv_clients_get(manager->clients, message, &client, error);
	return r < 0 ? r : tv_session_open(manager, message, client, &wish, &opening, error);
}

static int method_run(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_error why = { 0 };
	int r = run(userdata, message, &why);

	return r < 0 ? tv_call_error(r, &why, error) : 1;
}

static int method_unload(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_loaded *loaded = userdata;
	struct tv_error why = { 0 };
	struct tv_client *client;
	int r = tv_clients_get(loaded->manager->clients, message, &client, &why);

	if (r < 0)
		return tv_call_error(r, &why, error);
	tv_loaded_unuse(loaded, client->uid);
	return sd_bus_reply_method_return(message, "");
}

/* Also called a second time, when polkit has allowed it. */
static int publish(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_manager *manager = userdata;
	struct tv_error why = { .text = "the model is not there any more" };
	struct tv_loaded *loaded;
	struct tv_client *client;
	int public, r;

	r = tv_polkit_check(manager, message, TV_POLKIT "publish-model", publish, error);
	if (r <= 0)
		return r < 0 ? r : 1;
	loaded = tv_loaded_at(manager, sd_bus_message_get_path(message));
	if (!loaded || tv_clients_get(manager->clients, message, &client, NULL) < 0 ||
	    !tv_loaded_visible(loaded, client->uid))
		return tv_call_error(-ENOENT, &why, error);
	r = sd_bus_message_read_basic(message, 'b', &public);
	if (r < 0)
		return r;
	tv_loaded_publish(loaded, public);
	return sd_bus_reply_method_return(message, "");
}

static int method_publish(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return publish(message, ((struct tv_loaded *)userdata)->manager, error);
}

/* --- properties ------------------------------------------------------------------------------ */

#define GETTER(name, type, value) TV_CALL_GETTER(name, type, const struct tv_loaded *loaded, value)

GETTER(digest, "s", loaded->model->digest)
GETTER(name, "s", loaded->name)
GETTER(side, "u", loaded->model->package->size)
GETTER(classes, "u", loaded->model->package->classes)
GETTER(logit_scale, "d", (double)loaded->model->package->logit_scale)
GETTER(resize, "u", loaded->model->package->resize)
GETTER(size, "t", (uint64_t)loaded->model->memory.size)
GETTER(public, "b", (int)loaded->public)
GETTER(runs, "t", loaded->runs)

static int get_labels(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct tv_package *package = ((struct tv_loaded *)userdata)->model->package;
	int r = sd_bus_message_open_container(reply, 'a', "s");

	for (unsigned int i = 0; r >= 0 && package->labels && i < package->classes; i++)
		r = sd_bus_message_append(reply, "s", package->labels[i]);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_programs(sd_bus *bus, const char *path, const char *interface, const char *property,
			sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct tv_loaded *loaded = userdata;
	const struct tv_package *package = loaded->model->package;
	int r = sd_bus_message_open_container(reply, 'a', "(sutt)");

	for (size_t i = 0; r >= 0 && i < package->program_count; i++)
		if (loaded->programs[i].target >= 0)
			r = sd_bus_message_append(reply, "(sutt)", package->programs[i].target,
						  package->programs[i].header.images,
						  loaded->programs[i].cycles.idle,
						  loaded->programs[i].cycles.follows);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Run", SD_BUS_ARGS("ay", input, "a{sv}", options),
				SD_BUS_RESULT("ay", output, "a{sv}", result), method_run,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Unload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_unload,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Publish", SD_BUS_ARGS("b", public), SD_BUS_NO_RESULT,
				method_publish, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Digest", "s", get_digest, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Name", "s", get_name, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Width", "u", get_side, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Height", "u", get_side, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Classes", "u", get_classes, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Labels", "as", get_labels, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("LogitScale", "d", get_logit_scale, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Resize", "u", get_resize, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Programs", "a(sutt)", get_programs, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Size", "t", get_size, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Public", "b", get_public, 0, 0),
	SD_BUS_PROPERTY("Runs", "t", get_runs, 0, 0),
	SD_BUS_VTABLE_END,
};

int tv_loaded_add_vtable(struct tv_manager *manager, sd_bus *bus)
{
	int r = sd_bus_add_fallback_vtable(bus, NULL, TV_BUS_PATH "/models", TV_BUS_NAME ".Model",
					   vtable, find, manager);

	if (r < 0)
		return r;
	return sd_bus_add_node_enumerator(bus, NULL, TV_BUS_PATH "/models", list, manager);
}
