/* SPDX-License-Identifier: MIT */
/* Interface Session. */
#include <inttypes.h>

#include "daemon/dispatch.h"
#include "daemon/run.h"

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata,
		void **ret_found, sd_bus_error *error)
{
	sd_bus_message *message = sd_bus_get_current_message(bus);
	struct tv_session *session = message ? tv_session_at(userdata, path, message) : NULL;

	if (!session)
		return tv_call_not_found(bus, path, error);
	*ret_found = session;
	return 1;
}

static int list(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
		sd_bus_error *error)
{
	struct tv_manager *manager = userdata;
	sd_bus_message *message = sd_bus_get_current_message(bus);
	struct tv_client *client = message ? tv_clients_find(manager->clients, message) : NULL;
	struct tv_session *session;
	size_t count = 0;

	TAILQ_FOREACH(session, &manager->sessions, sessions)
		if (session->public && client && session->held.client == client)
			tv_call_add_path(ret_nodes, &count, session->path);
	return 0;
}

/* --- methods --------------------------------------------------------------------------------- */

/* What Run and RunMemory have in common: options, and off it goes. */
static int start(struct tv_session *session, sd_bus_message *message, struct tv_run_wish *wish,
		 struct tv_error *error)
{
	const struct tv_option options[] = {
		{ "timeout-usec", "t", &wish->timeout, 1, UINT64_MAX },
		{ "top", "u", &wish->top, 1, TV_ANSWERS_MAX },
		{ "tag", "t", &wish->tag, 1, UINT64_MAX },
		{ 0 },
	};
	int r = tv_call_read_options(message, options, error);

	return r < 0 ? r : tv_run_start(session, wish, message, NULL, error);
}

static int run(struct tv_session *session, sd_bus_message *message, struct tv_error *error)
{
	struct tv_run_wish wish = { .received = tv_manager_now() };
	int r = sd_bus_message_read_basic(message, 'u', &wish.slot);

	if (r < 0)
		return tv_call_broken(r, error);
	if (wish.slot >= session->layout.slots)
		return tv_error_set(error, -EINVAL, "slot %u, expected 0 to %u", wish.slot,
				    session->layout.slots - 1);
	return start(session, message, &wish, error);
}

static int method_run(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_error why = { 0 };
	int r = run(userdata, message, &why);

	return r < 0 ? tv_call_error(r, &why, error) : 1;
}

/* That a part of size bytes lies at an offset of the memory, which it then has to reach. */
static int check_part(const char *name, uint64_t offset, size_t size, size_t *reach,
		      struct tv_error *error)
{
	if (offset % TV_SEGMENT_ALIGNMENT)
		return tv_error_set(error, -EINVAL,
				    "%s is at %" PRIu64 ", expected a multiple of %d", name, offset,
				    TV_SEGMENT_ALIGNMENT);
	if (offset > PTRDIFF_MAX - size)
		return tv_error_set(error, -EBADF, "%s is at %" PRIu64 ", beyond all memory", name,
				    offset);
	if (*reach < offset + size)
		*reach = (size_t)offset + size;
	return 0;
}

static int import(struct tv_session *session, int fd, uint64_t input, uint64_t output,
		  struct tv_buffer **ret, struct tv_error *error)
{
	uint64_t limit = session->manager->config.limits.user[TV_RESOURCE_BYTES];
	struct tv_accelerator *accelerator = tv_session_accelerator(session);
	size_t size = 0;
	int r;

	r = check_part("input", input, session->layout.input_size, &size, error);
	if (r >= 0)
		r = check_part("output", output, session->layout.output_size, &size, error);
	if (r < 0)
		return r;
	/* A hole takes no memory of the client's, but addresses here. */
	if (size > limit)
		return tv_error_set(error, -EFBIG,
				    "input and output reach byte %zu of the memory, limit "
				    "MaxBytesPerUser is %" PRIu64,
				    size, limit);
	if (!accelerator)
		return tv_error_set(error, -ENODEV, "no device is there that could run the model");
	r = tv_backend_buffer_import(accelerator->backend, fd, size,
				     TV_SEGMENT_READ | TV_SEGMENT_WRITE, ret, error);
	/* To the caller it is one: a descriptor that the device has no use for. */
	return r == -EOPNOTSUPP ? -EBADF : r;
}

static int run_memory(struct tv_session *session, sd_bus_message *message, struct tv_error *error)
{
	_cleanup_(tv_buffer_unrefp) struct tv_buffer *buffer = NULL;
	struct tv_run_wish wish = { .slot = TV_RUN_NO_SLOT, .received = tv_manager_now() };
	uint64_t input, output;
	int fd, r;

	r = sd_bus_message_read(message, "htt", &fd, &input, &output);
	if (r < 0)
		return tv_call_broken(r, error);
	r = import(session, fd, input, output, &buffer, error);
	if (r < 0) {
		tv_call_bury(session->manager, message, session->uid, fd);
		return r;
	}
	wish.memory = buffer;
	wish.input = (size_t)input;
	wish.output = (size_t)output;
	return start(session, message, &wish, error);
}

static int method_run_memory(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_error why = { 0 };
	int r = run_memory(userdata, message, &why);

	return r < 0 ? tv_call_error(r, &why, error) : 1;
}

static int method_cancel(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	static const struct tv_error why = { .text = "the run was cancelled" };
	struct tv_session *session = userdata;
	struct tv_run *run, *next;
	int cancelled = 0, r;
	uint64_t tag;

	r = sd_bus_message_read_basic(message, 't', &tag);
	if (r < 0)
		return r;
	for (run = TAILQ_FIRST(&session->runs); run; run = next) {
		next = TAILQ_NEXT(run, runs);
		if (run->tag == tag && tag)
			cancelled |= tv_run_cancel(run, &why);
	}
	tv_dispatch(session->manager);
	return sd_bus_reply_method_return(message, "b", cancelled);
}

static int method_close(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_session *session = userdata;
	struct tv_manager *manager = session->manager;

	tv_session_close(session);
	tv_dispatch(manager);
	return sd_bus_reply_method_return(message, "");
}

/* --- properties ------------------------------------------------------------------------------ */

#define GETTER(name, type, value)                                                                  \
	TV_CALL_GETTER(name, type, const struct tv_session *session, value)

GETTER(model, "o", session->loaded->path)
GETTER(slots, "u", session->layout.slots)
GETTER(images, "u", session->layout.images)
GETTER(priority, "s", tv_priority_names[session->scheduled.priority])

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_ARGS("Run", SD_BUS_ARGS("u", slot, "a{sv}", options),
				SD_BUS_RESULT("a{sv}", result), method_run,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS(
		"RunMemory", SD_BUS_ARGS("h", memory, "t", input, "t", output, "a{sv}", options),
		SD_BUS_RESULT("a{sv}", result), method_run_memory, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Cancel", SD_BUS_ARGS("t", tag), SD_BUS_RESULT("b", cancelled),
				method_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_ARGS("Close", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_close,
				SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Model", "o", get_model, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Slots", "u", get_slots, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Images", "u", get_images, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Priority", "s", get_priority, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_VTABLE_END,
};

int tv_session_add_vtable(struct tv_manager *manager, sd_bus *bus)
{
	int r = sd_bus_add_fallback_vtable(bus, NULL, TV_BUS_PATH "/sessions",
					   TV_BUS_NAME ".Session", vtable, find, manager);

	if (r < 0)
		return r;
	return sd_bus_add_node_enumerator(bus, NULL, TV_BUS_PATH "/sessions", list, manager);
}
