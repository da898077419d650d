/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "libclient/private.h"

/* The table in triovit.h. */
static const struct code {
	const char *name;
	int code;
} daemon_codes[] = {
	{ TV_BUS_ERROR "InvalidArgument", EINVAL },
	{ TV_BUS_ERROR "BadDescriptor", EBADF },
	{ TV_BUS_ERROR "BadModel", EBADMSG },
	{ TV_BUS_ERROR "NoProgram", ENOEXEC },
	{ TV_BUS_ERROR "JobTooLong", EFBIG },
	{ TV_BUS_ERROR "NotFound", ENOENT },
	{ TV_BUS_ERROR "Busy", EBUSY },
	{ TV_BUS_ERROR "LimitExceeded", EDQUOT },
	{ TV_BUS_ERROR "DeadlineImpossible", EAGAIN },
	{ TV_BUS_ERROR "DeadlineMissed", ETIME },
	{ TV_BUS_ERROR "Cancelled", ECANCELED },
	{ TV_BUS_ERROR "Fault", EIO },
	{ TV_BUS_ERROR "NoDevice", ENODEV },
	{ SD_BUS_ERROR_ACCESS_DENIED, EACCES },
	{ SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, EACCES },
	{ SD_BUS_ERROR_UNKNOWN_OBJECT, ENOENT },
	{ SD_BUS_ERROR_UNKNOWN_METHOD, EOPNOTSUPP },
	{ SD_BUS_ERROR_UNKNOWN_INTERFACE, EOPNOTSUPP },
	{ SD_BUS_ERROR_UNKNOWN_PROPERTY, EOPNOTSUPP },
	{ SD_BUS_ERROR_NO_MEMORY, ENOMEM },
};

/* What the bus says of a daemon that is no longer there; the daemon would be speaking of others. */
static const struct code bus_codes[] = {
	{ SD_BUS_ERROR_NO_REPLY, ECONNRESET }, /* ends what was under way */
	{ SD_BUS_ERROR_SERVICE_UNKNOWN, ENOTCONN },
	{ SD_BUS_ERROR_NAME_HAS_NO_OWNER, ENOTCONN },
};

/* 0: it is not in the table. */
static int code_of(const struct code *codes, size_t count, const sd_bus_error *why)
{
	for (size_t i = 0; i < count; i++)
		if (sd_bus_error_has_name(why, codes[i].name))
			return -codes[i].code;
	return 0;
}

int(tv_fail)(struct triovit_error *error, int code, const char *format, ...)
{
	va_list arguments;

	if (!error)
		return code;
	error->code = code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	return code;
}

int tv_fail_bus(struct triovit_error *error, const sd_bus_error *why, bool of_bus, bool late)
{
	const char *text = why->message && *why->message ? why->message : why->name;
	int r = code_of(daemon_codes, TV_ARRAY_SIZE(daemon_codes), why);

	if (!r && of_bus)
		r = code_of(bus_codes, TV_ARRAY_SIZE(bus_codes), why);
	if (r == -ECONNRESET && late)
		return tv_fail(error, -ETIMEDOUT, "the daemon does not answer");
	return r ? tv_fail(error, r, "%s", text) :
		   tv_fail(error, -EREMOTEIO, "%s: %s", why->name, text);
}
