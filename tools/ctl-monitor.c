/* SPDX-License-Identifier: MIT */
/* triovitctl monitor: what the daemon announces, line by line. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/ctl-bus.h"

#define PROPERTIES "org.freedesktop.DBus.Properties"
#define OBJECTS	   "org.freedesktop.DBus.ObjectManager"

struct monitor {
	const struct ctl *ctl;
	struct tv_error error; /* what ended it */
};

static void print_time(void)
{
	struct timespec now;
	struct tm local;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &local);
	printf("%02d:%02d:%02d.%03d  ", local.tm_hour, local.tm_min, local.tm_sec,
	       (int)(now.tv_nsec / 1000000));
}

/* "State="ready" Target="zcu102"": what fits on a line, so no lists. */
static int print_properties(const json_t *properties, struct tv_error *error)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)properties, name, value) {
		_cleanup_free_ char *text = NULL;

		if (json_is_array(value) || json_is_object(value))
			continue;
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7));
		if (!text)
			return tv_error_oom(error);
		printf("  %s=%s", name, tool_printable(text));
	}
	return 0;
}

/* One line. interface, properties: or NULL. The caller's. */
static int tell(struct monitor *monitor, const char *event, const char *path, const char *interface,
		json_t *properties)
{
	json_auto_t *root = NULL;
	int r = 0;

	if (monitor->ctl->json) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		root = json_pack("{s:f, s:s, s:o*, s:o*, s:O*}", "time",
				 (double)now.tv_sec + (double)now.tv_nsec / 1e9, "event", event,
				 "path", path ? tool_json_string(path) : NULL, "interface",
				 interface ? tool_json_string(interface) : NULL, "properties",
				 properties);
		return ctl_print_line(root, &monitor->error);
	}
	print_time();
	printf("%-8s", event);
	if (path)
		printf("  %s", ctl_short_path(path));
	if (properties)
		r = print_properties(properties, &monitor->error);
	putchar('\n');
	fflush(stdout);
	return r;
}

/* Interfaces of other names (Properties, Introspectable) are everywhere and say nothing. */
static bool is_ours(const char *interface)
{
	return !strncmp(interface, CTL_BUS_NAME ".", strlen(CTL_BUS_NAME "."));
}

static int on_added(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	json_auto_t *interfaces = NULL;
	struct monitor *monitor = userdata;
	const char *path, *name;
	json_t *properties;
	int r;

	r = sd_bus_message_read_basic(message, 'o', &path);
	if (r >= 0)
		r = ctl_bus_read_json(message, &interfaces);
	if (r < 0)
		return r;
	json_object_foreach(interfaces, name, properties)
		if (r >= 0 && is_ours(name))
			r = tell(monitor, "added", path, name, properties);
	return r;
}

static int on_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct monitor *monitor = userdata;
	json_auto_t *interfaces = NULL;
	const char *path;
	json_t *name;
	size_t index;
	int r;

	r = sd_bus_message_read_basic(message, 'o', &path);
	if (r >= 0)
		r = ctl_bus_read_json(message, &interfaces);
	if (r < 0)
		return r;
	json_array_foreach(interfaces, index, name)
		if (r >= 0 && json_is_string(name) && is_ours(json_string_value(name)))
			r = tell(monitor, "removed", path, json_string_value(name), NULL);
	return r;
}

static int on_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	json_auto_t *properties = NULL;
	const char *interface;
	int r;

	r = sd_bus_message_read_basic(message, 's', &interface);
	if (r >= 0)
		r = ctl_bus_read_json(message, &properties);
	if (r < 0 || !is_ours(interface))
		return r;
	return tell(userdata, "changed", sd_bus_message_get_path(message), interface, properties);
}

static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *name, *before, *now;
	int r;

	r = sd_bus_message_read(message, "sss", &name, &before, &now);
	if (r < 0)
		return r;
	return tell(userdata, *now ? "started" : "ended", NULL, NULL, NULL);
}

static int subscribe(struct monitor *monitor, sd_bus *bus)
{
	static const struct {
		const char *sender, *path, *interface, *member;
		sd_bus_message_handler_t handler;
	} signals[] = {
		{ CTL_BUS_NAME, NULL, OBJECTS, "InterfacesAdded", on_added },
		{ CTL_BUS_NAME, NULL, OBJECTS, "InterfacesRemoved", on_removed },
		{ CTL_BUS_NAME, NULL, PROPERTIES, "PropertiesChanged", on_changed },
	};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < TV_ARRAY_SIZE(signals); i++)
		r = sd_bus_match_signal(bus, NULL, signals[i].sender, signals[i].path,
					signals[i].interface, signals[i].member, signals[i].handler,
					monitor);
	if (r < 0)
		return r;
	return sd_bus_add_match(bus, NULL,
				"type='signal',sender='org.freedesktop.DBus',"
				"interface='org.freedesktop.DBus',member='NameOwnerChanged',"
				"arg0='" CTL_BUS_NAME "'",
				on_owner, monitor);
}

static int run(const struct ctl *ctl, struct tv_error *error)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	struct monitor monitor = { .ctl = ctl };
	char where[256];
	int r;

	r = ctl_bus_open(ctl, &bus, error);
	if (r < 0)
		return r;
	r = subscribe(&monitor, bus);
	if (r < 0)
		return tv_error_set(error, r, "asking the bus for signals: %s", strerror(-r));
	if (!ctl->quiet)
		fprintf(stderr, "watching what triovitd announces on %s; Ctrl-C ends it\n",
			ctl_where(ctl, where, sizeof(where)));
	do {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
		if (r == -EINTR)
			r = 0;
	} while (r >= 0 && !monitor.error.code);
	if (monitor.error.code) {
		*error = monitor.error;
		return error->code;
	}
	return tv_error_set(error, -ECONNRESET, "the bus has gone away: %s", strerror(-r));
}

const struct ctl_command ctl_monitor = {
	.tool = {
		.name = "monitor",
		.arguments = "[OPTION...]",
		.summary = "what the daemon announces",
		.help = "Shows, until Ctrl-C, what the daemon announces: devices and published models\n"
			"that come, go or change, and its own start and end. It need not run yet. With\n"
			"--json each is a line.\n",
	},
	.bit = CTL_MONITOR,
	.run = run,
};
