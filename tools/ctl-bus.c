/* SPDX-License-Identifier: MIT */
#include "tools/ctl-bus.h"

#include <errno.h>
#include <string.h>

static int open_address(const char *address, sd_bus **ret)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	int r;

	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus, 1);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r >= 0)
		*ret = TV_TAKE_PTR(bus);
	return r;
}

int ctl_bus_open(const struct ctl *ctl, sd_bus **ret, struct tv_error *error)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	const char *name;
	char where[256];
	int r;

	switch (ctl->bus) {
	case TRIOVIT_BUS_HOST:
		r = sd_bus_open_system_remote(&bus, ctl->where);
		break;
	case TRIOVIT_BUS_ADDRESS:
		r = open_address(ctl->where, &bus);
		break;
	case TRIOVIT_BUS_SESSION:
		r = sd_bus_open_user(&bus);
		break;
	default:
		r = sd_bus_open_system(&bus);
	}
	/* Waits until the bus has greeted. */
	if (r >= 0)
		r = sd_bus_get_unique_name(bus, &name);
	if (r < 0)
		return tv_error_set(error, r == -EACCES ? r : -EHOSTUNREACH, "%s: %s",
				    ctl_where(ctl, where, sizeof(where)), strerror(-r));
	*ret = TV_TAKE_PTR(bus);
	return 0;
}

int ctl_bus_call(sd_bus *bus, const char *path, const char *interface, const char *method,
		 const char *text, sd_bus_message **ret, struct tv_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error why = SD_BUS_ERROR_NULL;
	char full[128];
	int r;

	snprintf(full, sizeof(full), CTL_BUS_NAME ".%s", interface);
	r = sd_bus_message_new_method_call(bus, &message, CTL_BUS_NAME, path, full, method);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(message, 1);
	if (r >= 0 && text)
		r = sd_bus_message_append(message, "s", text);
	/* As long as it takes: a person may be asked. */
	if (r >= 0)
		r = sd_bus_call(bus, message, UINT64_MAX, &why, ret);
	if (r < 0)
		return tv_error_set(error, r, "%s: %s", method,
				    why.message ? why.message : strerror(-r));
	return 0;
}

/* --- any value as JSON ---------------------------------------------------------------------- */

static int read_basic(sd_bus_message *message, char type, json_t **ret)
{
	union {
		uint8_t y;
		int b;
		int16_t n;
		uint16_t q;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		double d;
		const char *s;
	} value;
	int r;

	/* Descriptors are numbers of this process: there is nothing to show. */
	r = sd_bus_message_read_basic(message, type, &value);
	if (r < 0)
		return r;
	switch (type) {
	case SD_BUS_TYPE_BYTE:
		*ret = json_integer(value.y);
		break;
	case SD_BUS_TYPE_BOOLEAN:
		*ret = json_boolean(value.b);
		break;
	case SD_BUS_TYPE_INT16:
		*ret = json_integer(value.n);
		break;
	case SD_BUS_TYPE_UINT16:
		*ret = json_integer(value.q);
		break;
	case SD_BUS_TYPE_INT32:
		*ret = json_integer(value.i);
		break;
	case SD_BUS_TYPE_UINT32:
		*ret = json_integer(value.u);
		break;
	case SD_BUS_TYPE_INT64:
		*ret = json_integer(value.x);
		break;
	case SD_BUS_TYPE_UINT64:
		*ret = json_integer((json_int_t)value.t);
		break;
	case SD_BUS_TYPE_DOUBLE:
		*ret = json_real(value.d);
		break;
	case SD_BUS_TYPE_UNIX_FD:
		*ret = json_null();
		break;
	default:
		*ret = tool_json_string(value.s);
	}
	return *ret ? 0 : -ENOMEM;
}

/* Entries of a dictionary into an object; its keys are texts in all that the daemon sends. */
static int read_dictionary(sd_bus_message *message, const char *entry, json_t *object)
{
	const char *key;
	json_t *value;
	int r;

	while ((r = sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, entry)) > 0) {
		r = sd_bus_message_read_basic(message, *entry, &key);
		if (r >= 0)
			r = ctl_bus_read_json(message, &value);
		if (r >= 0 && json_object_set_new(object, key, value) < 0)
			r = -ENOMEM;
		if (r >= 0)
			r = sd_bus_message_exit_container(message);
		if (r < 0)
			return r;
	}
	return r;
}

static int read_list(sd_bus_message *message, json_t *array)
{
	json_t *value;
	int r;

	while ((r = sd_bus_message_at_end(message, 0)) == 0) {
		r = ctl_bus_read_json(message, &value);
		if (r < 0)
			return r;
		if (json_array_append_new(array, value) < 0)
			return -ENOMEM;
	}
	return r;
}

static int read_container(sd_bus_message *message, char type, const char *contents, json_t **ret)
{
	bool texts = type == SD_BUS_TYPE_ARRAY && contents[0] == '{' && strchr("sog", contents[1]);
	json_auto_t *value = texts ? json_object() : json_array();
	char entry[256];
	int r;

	if (!value)
		return -ENOMEM;
	r = sd_bus_message_enter_container(message, type, contents);
	if (r < 0)
		return r;
	if (texts) {
		snprintf(entry, sizeof(entry), "%.*s", (int)strlen(contents) - 2, contents + 1);
		r = read_dictionary(message, entry, value);
	} else {
		r = read_list(message, value);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(message);
	if (r >= 0)
		*ret = json_incref(value);
	return r;
}

int ctl_bus_read_json(sd_bus_message *message, json_t **ret)
{
	const char *contents;
	char type;
	int r;

	r = sd_bus_message_peek_type(message, &type, &contents);
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	if (type == SD_BUS_TYPE_VARIANT) {
		r = sd_bus_message_enter_container(message, type, contents);
		if (r >= 0)
			r = ctl_bus_read_json(message, ret);
		return r < 0 ? r : sd_bus_message_exit_container(message);
	}
	if (contents)
		return read_container(message, type, contents, ret);
	return read_basic(message, type, ret);
}
