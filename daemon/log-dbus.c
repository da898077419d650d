/* SPDX-License-Identifier: MIT */
#include "daemon/log-dbus.h"
#include "daemon/log.h"

static int get_level(sd_bus *bus, const char *path, const char *interface, const char *property,
		     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", tv_log_level_name(tv_log_level()));
}

static int set_level(sd_bus *bus, const char *path, const char *interface, const char *property,
		     sd_bus_message *value, void *userdata, sd_bus_error *error)
{
	const char *name;
	int level, r;

	r = sd_bus_message_read(value, "s", &name);
	if (r < 0)
		return r;
	level = tv_log_level_of(name);
	if (level < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
					 "log level '%s': expected debug, info, notice, warning, "
					 "err, crit, alert or emerg",
					 name);
	tv_log_set_level(level);
	tv_log(LOG_INFO, "log level set to %s", name);
	return 0;
}

static int get_target(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", "console");
}

/* Standard error is all there is: where it leads to is the service manager's. */
static int set_target(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *value, void *userdata, sd_bus_error *error)
{
	return sd_bus_error_set(error, SD_BUS_ERROR_NOT_SUPPORTED,
				"the log goes to standard error only");
}

static int get_identifier(sd_bus *bus, const char *path, const char *interface,
			  const char *property, sd_bus_message *reply, void *userdata,
			  sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", "triovitd");
}

/* The bus lets only root and the daemon's own user write: no SD_BUS_VTABLE_UNPRIVILEGED. */
static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_level, 0, 0),
	SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_target, set_target, 0, 0),
	SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_VTABLE_END,
};

int tv_log_add_object(sd_bus *bus)
{
	return sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/LogControl1",
					"org.freedesktop.LogControl1", vtable, NULL);
}
