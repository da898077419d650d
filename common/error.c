/* SPDX-License-Identifier: MIT */
#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int(tv_error_set)(struct tv_error *error, int code, const char *format, ...)
{
	va_list arguments;

	if (!error || error->code)
		return code;

	error->code = code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return code;
}

int(tv_error_prefix)(struct tv_error *error, int code, const char *format, ...)
{
	char cause[sizeof(error->text)];
	va_list arguments;
	size_t length, room;

	if (!error)
		return code;

	/* A callee that takes no error, or had nothing to add, leaves only its code. */
	if (!error->code)
		tv_error_set(error, code, "%s", strerror(-code));
	memcpy(cause, error->text, sizeof(cause));

	/* Where both do not fit, the place gives way first (a path may be long), but not below half
	 * of the room: a cause that fills everything must not push it out either. */
	room = sizeof(cause) - strlen(cause);
	room = room > 2 ? room - 2 : 0;
	if (room < sizeof(cause) / 2)
		room = sizeof(cause) / 2;
	va_start(arguments, format);
	vsnprintf(error->text, room, format, arguments);
	va_end(arguments);
	length = strlen(error->text);
	snprintf(error->text + length, sizeof(error->text) - length, ": %s", cause);
	return code;
}

int(tv_error_oom)(struct tv_error *error)
{
	return tv_error_set(error, -ENOMEM, "out of memory");
}
