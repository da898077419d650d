/* SPDX-License-Identifier: MIT */
/* The daemon in this process, on a bus of its own, with devices and a model. */
#ifndef TV_TESTS_SERVICE_H
#define TV_TESTS_SERVICE_H

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "daemon/accelerator.h"
#include "daemon/load.h"
#include "daemon/log.h"
#include "quantizer/integer.h"
#include "tests/unit/bus.h"
#include "tests/unit/package-edit.h"

static struct {
	struct bus_daemon bus_daemon;
	sd_event *event;
	sd_bus *bus; /* the daemon's */
	struct tv_config config; /* for who starts another manager */
	struct tv_manager *manager;
	struct tv_package *package; /* of the model in the file GOOD */
} service;

static inline void service_started(struct tv_manager *manager, void *userdata)
{
	ck_assert_int_ge(sd_bus_request_name(manager->bus, TV_BUS_NAME, 0), 0);
	*(bool *)userdata = true;
}

/* With one software device for each target that is named. */
static inline void service_start(const char *const *targets, size_t count)
{
	struct tv_error error = { 0 };
	bool started = false;

	ck_assert_int_ge(sd_event_new(&service.event), 0);
	service.bus = bus_open(&service.bus_daemon);
	ck_assert_int_ge(sd_bus_attach_event(service.bus, service.event, 0), 0);
	tv_assert_ok(tv_manager_new(service.event, service.bus, &service.config, &service.manager,
				    &error),
		     error);
	for (size_t i = 0; i < count; i++)
		tv_assert_ok(tv_accelerator_add_software(service.manager,
							 tv_target_by_name(targets[i]), NULL,
							 &error),
			     error);
	tv_assert_ok(tv_manager_start(service.manager, service_started, &started, &error), error);
	while (!started)
		ck_assert_int_ge(sd_event_run(service.event, UINT64_MAX), 0);
}

static inline void service_stop(void)
{
	tv_manager_free(service.manager);
	sd_bus_flush_close_unref(service.bus);
	sd_event_unref(service.event);
}

static inline void service_set_up(void)
{
	static const char *const targets[] = { "zcu102" };
	static const struct package_of of[] = {
		{ "zcu102", 1 }, { "zcu102", 3 }, { "zynq7020", 1 }
	};

	tv_unit_directory_make();
	service.package =
		package_make(&package_small, PACKAGE_SMALL_SIZE, of, TV_ARRAY_SIZE(of));
	write_package(service.package, GOOD);
	bus_daemon_start(&service.bus_daemon);
	tv_config_defaults(&service.config);
	tv_log_set_level(LOG_WARNING);
	service_start(targets, TV_ARRAY_SIZE(targets));
}

static inline void service_tear_down(void)
{
	service_stop();
	bus_daemon_stop(&service.bus_daemon);
	tv_package_free(service.package);
	tv_unit_directory_remove();
}

/* --- calls ----------------------------------------------------------------------------------- */

/* One way to the daemon. */
struct way {
	sd_bus *bus;
	const char *destination; /* NULL on a connection of one's own */
};

static inline struct way way_open(void)
{
	return (struct way){ bus_open(&service.bus_daemon), TV_BUS_NAME };
}

static inline void way_close(struct way *way)
{
	sd_bus_flush_close_unref(way->bus);
}

/* Goes round until nothing more happens at once. */
static inline void service_settle(struct way *way)
{
	for (unsigned int quiet = 0; quiet < 3;) {
		int moved = way ? sd_bus_process(way->bus, NULL) : 0;

		moved |= sd_event_run(service.event, 1000);
		ck_assert_int_ge(moved, 0);
		quiet = moved ? 0 : quiet + 1;
	}
}

static inline void way_wait(struct way *way, sd_bus_message **reply)
{
	while (!*reply) {
		sd_bus_process(way->bus, NULL);
		ck_assert_int_ge(sd_event_run(service.event, 1000), 0);
	}
}

#define way_send(way, reply, path, interface, method, ...)                                         \
	ck_assert_int_ge(sd_bus_call_method_async((way)->bus, NULL, (way)->destination, path,      \
						  TV_BUS_NAME "." interface, method, bus_on_reply, \
						  reply, __VA_ARGS__),                             \
			 0)

/* The reply, whatever it is. */
#define way_call(way, path, interface, method, ...)                                                \
	({                                                                                         \
		sd_bus_message *_reply = NULL;                                                     \
		way_send(way, &_reply, path, interface, method, __VA_ARGS__);                      \
		way_wait(way, &_reply);                                                            \
		_reply;                                                                            \
	})

#define ck_assert_reply(reply)                                                                     \
	ck_assert_msg(!sd_bus_message_is_method_error(reply, NULL), "%s: %s",                      \
		      sd_bus_message_get_error(reply)->name,                                       \
		      sd_bus_message_get_error(reply)->message)

/* An error of that name whose text has that in it. Takes the reply. */
static inline void assert_refused(sd_bus_message *reply, const char *name, const char *text)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	char full[128];

	snprintf(full, sizeof(full), "%s%s", strchr(name, '.') ? "" : TV_BUS_ERROR, name);
	ck_assert_msg(error, "succeeded, expected %s", full);
	ck_assert_msg(!strcmp(error->name, full) && strstr(error->message, text),
		      "%s: %s, expected %s: %s", error->name, error->message, full, text);
	sd_bus_message_unref(reply);
}

/* --- models and sessions ----------------------------------------------------------------------- */

static inline sd_bus_message *way_load(struct way *way, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	return way_call(way, TV_BUS_PATH, "Manager", "LoadModel", "ha{sv}", fd, 1, "name", "s",
			"small");
}

/* The path of the model in GOOD; to be freed. */
static inline char *way_load_good(struct way *way)
{
	sd_bus_message *reply = way_load(way, tv_unit_path(GOOD));
	const char *path;
	char *copy;

	ck_assert_reply(reply);
	ck_assert_int_ge(sd_bus_message_read(reply, "o", &path), 0);
	copy = strdup(path);
	sd_bus_message_unref(reply);
	return copy;
}

struct session {
	struct way *way;
	char *path;
	uint8_t *memory;
	uint32_t slots;
	uint64_t slot_size, input_offset, input_size, output_offset, output_size;
};

static inline void session_read_layout(struct session *session, sd_bus_message *reply)
{
	const char *names[] = { "slots",      "slot-size",     "input-offset",
				"input-size", "output-offset", "output-size" };
	uint64_t *values[] = { NULL,
			       &session->slot_size,
			       &session->input_offset,
			       &session->input_size,
			       &session->output_offset,
			       &session->output_size };
	const char *name;

	ck_assert_int_gt(sd_bus_message_enter_container(reply, 'a', "{sv}"), 0);
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(names); i++) {
		ck_assert_int_gt(sd_bus_message_enter_container(reply, 'e', "sv"), 0);
		ck_assert_int_gt(sd_bus_message_read(reply, "s", &name), 0);
		ck_assert_str_eq(name, names[i]);
		if (values[i])
			ck_assert_int_gt(sd_bus_message_read(reply, "v", "t", values[i]), 0);
		else
			ck_assert_int_gt(sd_bus_message_read(reply, "v", "u", &session->slots), 0);
		sd_bus_message_exit_container(reply);
	}
}

/* Takes the reply of OpenSession. */
static inline struct session session_of(struct way *way, sd_bus_message *reply)
{
	struct session session = { .way = way };
	const char *path;
	int fd;

	ck_assert_reply(reply);
	ck_assert_int_gt(sd_bus_message_read(reply, "oh", &path, &fd), 0);
	session.path = strdup(path);
	session_read_layout(&session, reply);
	session.memory = mmap(NULL, session.slots * session.slot_size, PROT_READ | PROT_WRITE,
			      MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(session.memory, MAP_FAILED);
	sd_bus_message_unref(reply);
	return session;
}

static inline struct session session_open(struct way *way, const char *model, uint32_t slots,
					  uint32_t images)
{
	return session_of(way, way_call(way, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}",
					model, 2, "slots", "u", slots, "images", "u", images));
}

static inline void session_done(struct session *session)
{
	munmap(session->memory, session->slots * session->slot_size);
	free(session->path);
}

static inline uint8_t *session_input(const struct session *session, uint32_t slot)
{
	return session->memory + slot * session->slot_size + session->input_offset;
}

static inline int16_t *session_output(const struct session *session, uint32_t slot)
{
	return (int16_t *)(session->memory + slot * session->slot_size + session->output_offset);
}

/* --- what is right ----------------------------------------------------------------------------- */

static inline void service_random(uint8_t *input, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++)
		input[i] = (uint8_t)tv_unit_random(&seed);
}

/* By the functional model alone. */
static inline void service_expected(const uint8_t *input, unsigned int images, int16_t *ret)
{
	const struct tv_package_program *program =
		tv_package_program(service.package, "zcu102", images);
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = NULL;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_integer_runner_new(service.package, program, NULL, &runner, &error),
		     error);
	tv_assert_ok(tv_integer_run(runner, input, images, NULL, NULL, ret, NULL, &error), error);
}

#endif
