/* SPDX-License-Identifier: MIT */
/* A polkit that answers as the test says, or when it says so. */
#ifndef TV_TESTS_AUTHORITY_H
#define TV_TESTS_AUTHORITY_H

#include "tests/unit/service-abuse.h"

static struct {
	sd_bus *bus;
	int allowed, challenge;
	bool thinks; /* it does not answer */
	sd_bus_message *questions[8]; /* that it thinks about */
	unsigned int count;
	unsigned int asked;
	char action[128], subject[128]; /* of the last one */
	uint32_t flags;
} authority;

static inline void authority_answer(void)
{
	sd_bus_message *question = authority.questions[--authority.count];

	ck_assert_int_ge(sd_bus_reply_method_return(question, "(bba{ss})", authority.allowed,
						    authority.challenge, 0),
			 0);
	sd_bus_message_unref(question);
}

static inline int on_check(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *kind, *key, *name, *action;

	ck_assert_int_gt(sd_bus_message_read(message, "(sa{sv})sa{ss}us", &kind, 1, &key, "s",
					     &name, &action, 0, &authority.flags, NULL),
			 0);
	ck_assert_str_eq(kind, "system-bus-name");
	ck_assert_str_eq(key, "name");
	snprintf(authority.action, sizeof(authority.action), "%s", action);
	snprintf(authority.subject, sizeof(authority.subject), "%s", name);
	authority.asked++;
	ck_assert_uint_lt(authority.count, TV_ARRAY_SIZE(authority.questions));
	authority.questions[authority.count++] = sd_bus_message_ref(message);
	if (!authority.thinks)
		authority_answer();
	return 1;
}

static inline void authority_start(void)
{
	static const sd_bus_vtable vtable[] = {
		SD_BUS_VTABLE_START(0),
		SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", on_check,
			      SD_BUS_VTABLE_UNPRIVILEGED),
		SD_BUS_VTABLE_END,
	};

	memset(&authority, 0, sizeof(authority));
	authority.bus = bus_open(&service.bus_daemon);
	ck_assert_int_ge(sd_bus_add_object_vtable(
				 authority.bus, NULL, "/org/freedesktop/PolicyKit1/Authority",
				 "org.freedesktop.PolicyKit1.Authority", vtable, NULL),
			 0);
	ck_assert_int_ge(sd_bus_request_name(authority.bus, "org.freedesktop.PolicyKit1", 0), 0);
	ck_assert_int_ge(sd_bus_attach_event(authority.bus, service.event, 0), 0);
}

static inline void authority_stop(void)
{
	while (authority.count)
		sd_bus_message_unref(authority.questions[--authority.count]);
	sd_bus_flush_close_unref(authority.bus);
}

#endif
