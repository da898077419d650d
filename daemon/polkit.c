/* SPDX-License-Identifier: MIT */
#include "daemon/polkit.h"

#include <string.h>

#include "daemon/log.h"

/* As long as a person may take to type a password. */
#define PATIENCE_US (UINT64_C(120) * 1000000)

struct question {
	struct tv_call call;
	sd_bus_message_handler_t handler;
	sd_bus_slot *slot;
	struct tv_held held; /* by the caller */
};

static void end(struct question *question)
{
	tv_client_let_go(&question->held);
	sd_bus_slot_unref(question->slot);
	free(question);
}

/* The handler again, which now finds that it may. */
static void go_on(struct question *question)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct tv_manager *manager = question->call.manager;
	sd_bus_message *message = sd_bus_message_ref(question->call.message);
	int r;

	tv_call_drop(&question->call);
	manager->authorized = message;
	r = sd_bus_message_rewind(message, 1);
	if (r >= 0)
		r = question->handler(message, manager, &error);
	manager->authorized = NULL;
	if (r < 0 && sd_bus_error_is_set(&error))
		r = sd_bus_reply_method_error(message, &error);
	else if (r < 0)
		r = sd_bus_reply_method_errno(message, r, NULL);
	if (r < 0)
		tv_log(LOG_DEBUG, "a caller that polkit was asked about is gone: %s", strerror(-r));
	sd_bus_message_unref(message);
}

static void refuse(struct question *question, const char *name, const char *text)
{
	sd_bus_reply_method_errorf(question->call.message, name, "%s", text);
	tv_call_drop(&question->call);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	struct question *question = userdata;
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	int allowed = 0, challenge = 0;

	if (error)
		tv_log(LOG_WARNING, "polkit: %s", error->message ? error->message : error->name);
	else if (sd_bus_message_enter_container(reply, 'r', "bba{ss}") < 0 ||
		 sd_bus_message_read(reply, "bb", &allowed, &challenge) < 0)
		tv_log(LOG_WARNING, "polkit: its answer is none");
	if (allowed)
		go_on(question);
	else if (challenge)
		refuse(question, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
		       "polkit wants to ask a person, which the call does not allow");
	else
		refuse(question, SD_BUS_ERROR_ACCESS_DENIED, "polkit does not allow it");
	end(question);
	return 0;
}

static void on_client_left(struct tv_held *held)
{
	struct question *question = tv_container_of(held, struct question, held);

	tv_call_drop(&question->call);
	end(question);
}

static int ask(struct question *question, const char *sender, const char *action)
{
	sd_bus_message *message = question->call.message;
	int interactive = sd_bus_message_get_allow_interactive_authorization(message) > 0;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *query = NULL;
	sd_bus *bus = question->call.manager->bus;
	int r;

	r = sd_bus_message_new_method_call(bus, &query, "org.freedesktop.PolicyKit1",
					   "/org/freedesktop/PolicyKit1/Authority",
					   "org.freedesktop.PolicyKit1.Authority",
					   "CheckAuthorization");
	if (r >= 0)
		r = sd_bus_message_append(query, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name",
					  "s", sender, action, 0, interactive, "");
	return r < 0 ? r :
		       sd_bus_call_async(bus, &question->slot, query, on_answer, question,
					 PATIENCE_US);
}

int tv_polkit_check(struct tv_manager *manager, sd_bus_message *message, const char *action,
		    sd_bus_message_handler_t handler, sd_bus_error *error)
{
	struct tv_error why = { 0 };
	struct question *question;
	struct tv_client *client;
	int r;

	if (message == manager->authorized)
		return 1;
	if (sd_bus_message_get_bus(message) != manager->bus)
		return tv_call_error(-EOPNOTSUPP,
				     &(struct tv_error){ .text = "polkit knows callers by their "
								 "name on the bus: call there" },
				     error);
	r = tv_clients_get(manager->clients, message, &client, &why);
	if (r < 0)
		return tv_call_error(r, &why, error);
	if (client->uid == 0 || client->uid == geteuid())
		return 1;
	question = calloc(1, sizeof(*question));
	if (!question)
		return -ENOMEM;
	r = tv_call_begin(manager, message, client->uid, &question->call, &why);
	if (r < 0) {
		free(question);
		return tv_call_error(r, &why, error);
	}
	question->handler = handler;
	question->held.release = on_client_left;
	tv_client_hold(client, &question->held);
	r = ask(question, client->name, action);
	if (r < 0) {
		tv_call_drop(&question->call);
		end(question);
		return r;
	}
	return 0;
}
