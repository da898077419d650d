/* SPDX-License-Identifier: MIT */
/*
 * Method calls: what can be wrong with them, as docs/dbus.md names it, and those that are answered
 * later. Each of these counts as a job of its caller until it is answered.
 */
#ifndef TV_DAEMON_CALL_H
#define TV_DAEMON_CALL_H

#include "daemon/manager.h"

/*
 * The D-Bus error for what a function returned; returns a negative errno to be returned by a
 * handler. -EINVAL is InvalidArgument, -EBADF BadDescriptor, -EBADMSG BadModel, -ENOEXEC NoProgram,
 * -E2BIG JobTooLong, -ENOENT NotFound, -EBUSY Busy, -EDQUOT and -EFBIG LimitExceeded, -ETIME
 * DeadlineImpossible, -ETIMEDOUT DeadlineMissed, -ECANCELED Cancelled, -EIO Fault, -ENODEV
 * NoDevice, -EOPNOTSUPP UseBus, -ENOMEM D-Bus' own NoMemory, all else its Failed.
 */
int tv_call_error(int code, const struct tv_error *why, sd_bus_error *ret);

/* Makes a text one that D-Bus takes, which is UTF-8 only: file names are not, nor is what was cut
 * off in the middle of a character. */
void tv_call_clean(char *text);

/* For who looks for the object of a path: that there is none such for the caller, if it is the one
 * that a message is to; else 0, as for sd_bus_object_find_t. */
int tv_call_not_found(sd_bus *bus, const char *path, sd_bus_error *ret);

/* For who lists the objects of a kind, as sd_bus_node_enumerator_t: one more, and *count says how
 * many there are. Without memory it is left out. */
void tv_call_add_path(char ***paths, size_t *count, const char *path);

/* get_NAME(): a property's value, of what the object that sd-bus has found is declared as. */
#define TV_CALL_GETTER(name, type, declaration, value)                                             \
	static int get_##name(sd_bus *bus, const char *path, const char *interface,                \
			      const char *property, sd_bus_message *reply, void *userdata,         \
			      sd_bus_error *error)                                                 \
	{                                                                                          \
		declaration = userdata;                                                            \
                                                                                                   \
		return sd_bus_message_append(reply, type, value);                                  \
	}

/* One that is answered later; part of the caller's own structure. */
struct tv_call {
	struct tv_manager *manager;
	sd_bus_message *message;
	uid_t uid;
};

/* 0, and from now on the call is to be ended by one of those below; -EDQUOT. */
int tv_call_begin(struct tv_manager *manager, sd_bus_message *message, uid_t uid,
		  struct tv_call *call, struct tv_error *error);
/* With a reply that was made, which may be NULL for want of memory. */
void tv_call_reply(struct tv_call *call, sd_bus_message *reply);
/* Without an answer: its handler returns one. */
void tv_call_drop(struct tv_call *call);
void tv_call_fail(struct tv_call *call, int code, const struct tv_error *why);

/*
 * To close a file asks its file system once more, which may not answer. In a worker: closes a
 * descriptor that belongs to a message, which keeps one of that number, of nothing.
 */
void tv_call_close_fd(int fd);
/* Has a worker do that, for a message that is answered. Counts as a job of its sender until then.
 */
void tv_call_bury(struct tv_manager *manager, sd_bus_message *message, uid_t uid, int fd);

/* --- arguments ------------------------------------------------------------------------------ */

/* An option that a method knows. */
struct tv_option {
	const char *name;
	const char *type; /* "u", "t", "s" */
	void *value; /* uint32_t, uint64_t, const char * (the message's); set if it is there */
	uint64_t least, most; /* of numbers */
};

/* Reads an argument a{sv}. -EINVAL: what it is in the text; *known ends with a name of NULL. */
int tv_call_read_options(sd_bus_message *message, const struct tv_option *known,
			 struct tv_error *error);

/* For a message that did not have the types that its signature promised. */
int tv_call_broken(int code, struct tv_error *error);

#endif
