/* SPDX-License-Identifier: MIT */
/* Dictionaries of the daemon's become structures. */
#include <errno.h>
#include <string.h>

#include "libclient/private.h"

static int read_value(sd_bus_message *message, const struct tv_field *field, void *structure)
{
	void *value = (char *)structure + field->offset;
	int r, truth;

	r = sd_bus_message_enter_container(message, SD_BUS_TYPE_VARIANT, field->type);
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	if (field->read) {
		r = field->read(message, structure);
	} else if (*field->type == SD_BUS_TYPE_BOOLEAN) {
		r = sd_bus_message_read_basic(message, SD_BUS_TYPE_BOOLEAN, &truth);
		*(bool *)value = r > 0 && truth;
	} else {
		r = sd_bus_message_read_basic(message, *field->type, value);
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

int tv_fields_read(sd_bus_message *message, const struct tv_field *fields, void *structure)
{
	const struct tv_field *field;
	const char *name;
	int r;

	r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "{sv}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
		r = sd_bus_message_read_basic(message, SD_BUS_TYPE_STRING, &name);
		if (r < 0)
			return r;
		for (field = fields; field->name && strcmp(field->name, name); field++)
			;
		r = field->name ? read_value(message, field, structure) :
				  sd_bus_message_skip(message, "v");
		if (r >= 0)
			r = sd_bus_message_exit_container(message);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

int tv_properties_message(struct triovit_client *client, const char *path, const char *interface,
			  sd_bus_message **ret, struct triovit_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	int r;

	r = tv_message_new(client, tv_client_fastest(client), path,
			   "org.freedesktop.DBus.Properties", "GetAll", &message, error);
	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "s", interface);
	if (r < 0)
		return tv_fail_errno(error, r, "GetAll");
	*ret = TV_TAKE_PTR(message);
	return 0;
}

/* One of the objects, an oa{sa{sv}}. */
static int read_object(sd_bus_message *message, const char *interface,
		       int (*each)(sd_bus_message *message, const char *path, void *userdata),
		       void *userdata)
{
	const char *path, *name;
	int r;

	r = sd_bus_message_read_basic(message, SD_BUS_TYPE_OBJECT_PATH, &path);
	if (r >= 0)
		r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "{sa{sv}}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, "sa{sv}")) >
	       0) {
		r = sd_bus_message_read_basic(message, SD_BUS_TYPE_STRING, &name);
		if (r >= 0)
			r = strcmp(name, interface) ? sd_bus_message_skip(message, "a{sv}") :
						      each(message, path, userdata);
		if (r >= 0)
			r = sd_bus_message_exit_container(message);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

int tv_objects_each(struct triovit_client *client, const char *interface,
		    int (*each)(sd_bus_message *message, const char *path, void *userdata),
		    void *userdata, struct triovit_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
	int r;

	r = tv_message_new(client, tv_client_fastest(client), TV_BUS_PATH,
			   "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", &message,
			   error);
	if (r >= 0)
		r = tv_client_ask(client, message, &reply, error);
	if (r < 0)
		return r;
	r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "{oa{sa{sv}}}");
	while (r >= 0) {
		r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_DICT_ENTRY, "oa{sa{sv}}");
		if (r <= 0)
			break;
		r = read_object(reply, interface, each, userdata);
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
	}
	return r < 0 ? tv_fail_parse(error, r, "the daemon's objects") : 0;
}
