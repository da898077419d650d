/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "libclient/private.h"

/* How much longer than until its deadline a call waits: a run that began in time may end later. */
#define GRACE_USEC 10000000

uint64_t tv_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

struct tv_call *tv_call_new(struct triovit_client *client)
{
	struct tv_call *call = calloc(1, sizeof(*call));

	if (call)
		call->client = client;
	return call;
}

static void append(struct tv_calls *list, struct tv_call *call)
{
	call->next = NULL;
	call->here = list->end;
	*list->end = call;
	list->end = &call->next;
	call->list = list;
}

static void unlink_call(struct tv_call *call)
{
	if (!call->list)
		return;
	*call->here = call->next;
	if (call->next)
		call->next->here = call->here;
	else
		call->list->end = call->here;
	call->list = NULL;
}

void tv_call_free(struct tv_call *call)
{
	unlink_call(call);
	sd_bus_slot_unref(call->slot);
	sd_bus_message_unref(call->reply);
	triovit_model_free(call->model);
	free(call->path);
	free(call);
}

static void drop(struct tv_calls *list, const struct triovit_session *session)
{
	struct tv_call *call, *next;

	for (call = list->first; call; call = next) {
		next = call->next;
		if (call->session == session)
			tv_call_free(call);
	}
}

void tv_calls_drop(struct triovit_client *client, const struct triovit_session *session)
{
	drop(&client->pending, session);
	drop(&client->done, session);
}

void tv_call_done(struct tv_call *call, sd_bus_message *reply)
{
	unlink_call(call);
	call->slot = sd_bus_slot_unref(call->slot);
	call->reply = sd_bus_message_ref(reply);
	append(&call->client->done, call);
}

/* An error reply's number. */
static int fail_reply(struct triovit_error *error, const struct tv_call *call,
		      sd_bus_message *reply)
{
	const char *sender = sd_bus_message_get_sender(reply);
	bool of_bus = sender && !strcmp(sender, "org.freedesktop.DBus");

	return tv_fail_bus(error, sd_bus_message_get_error(reply), of_bus, tv_now() >= call->due);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct tv_call *call = userdata;

	if (sd_bus_message_is_method_error(reply, NULL)) {
		int r = fail_reply(NULL, call, reply);

		if (r == -ECONNRESET || r == -ENOTCONN)
			call->client->gone = true;
	}
	tv_call_done(call, reply);
	return 0;
}

int tv_client_fastest(const struct triovit_client *client)
{
	return client->connections[TV_PEER] ? TV_PEER : TV_BUS;
}

int tv_message_new(struct triovit_client *client, int connection, const char *path,
		   const char *interface, const char *method, sd_bus_message **ret,
		   struct triovit_error *error)
{
	int r;

	if (client->gone)
		return tv_fail(error, -ENOTCONN, "the daemon or the bus has gone away");
	r = sd_bus_message_new_method_call(client->connections[connection], ret,
					   connection == TV_BUS ? client->daemon : NULL, path,
					   interface, method);
	return r < 0 ? tv_fail_errno(error, r, method) : 0;
}

int tv_call_send(struct tv_call *call, sd_bus_message *message, uint64_t timeout_usec,
		 struct triovit_error *error)
{
	uint64_t now = tv_now(), wait = UINT64_MAX;
	int r;

	/* No time-out is none, not the bus's. */
	call->due = UINT64_MAX;
	if (timeout_usec && timeout_usec < UINT64_MAX - GRACE_USEC - now) {
		wait = timeout_usec + GRACE_USEC;
		call->due = now + wait;
	}
	r = sd_bus_call_async(sd_bus_message_get_bus(message), &call->slot, message, on_reply, call,
			      wait);
	if (r == -ENOTCONN || r == -ECONNRESET || r == -EPIPE)
		return tv_fail(error, -ENOTCONN, "the daemon or the bus has gone away");
	if (r < 0)
		return tv_fail_errno(error, r, sd_bus_message_get_member(message));
	append(&call->client->pending, call);
	return 0;
}

/* Makes what was called for of the reply; the call is in no list. */
static int finish(struct tv_call *call, void **ret, struct triovit_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = TV_TAKE_PTR(call->reply);

	if (!reply)
		return tv_fail(error, -ECONNRESET, "the daemon or the bus has gone away");
	if (sd_bus_message_is_method_error(reply, NULL))
		return fail_reply(error, call, reply);
	return call->parse(call, reply, ret, error);
}

int tv_call_wait(struct tv_call *sent, void **ret, struct triovit_error *error)
{
	_cleanup_(tv_call_freep) struct tv_call *call = sent;
	int r;

	do {
		while (call->slot) {
			if (tv_client_turn(call->client) || !call->slot)
				continue;
			r = tv_client_wait(call->client);
			if (r < 0)
				return tv_fail_errno(error, r, "waiting for the daemon");
		}
		unlink_call(call);
		r = finish(call, ret, error);
	} while (r == TV_CALL_AGAIN);
	return r;
}

int triovit_process(struct triovit_client *client, struct triovit_error *error)
{
	struct triovit_error why = { 0 };
	struct tv_call *call, over;
	void *object = NULL;
	int r = 0;

	if (!client->done.first)
		r = tv_client_turn(client);
	call = client->done.first;
	if (!call) {
		if (client->gone)
			return tv_fail(error, -ENOTCONN, "the daemon or the bus has gone away");
		return r;
	}
	unlink_call(call);
	r = finish(call, &object, &why);
	if (r == TV_CALL_AGAIN)
		return 1;
	over = *call;
	tv_call_free(call);
	/* The client may be closed in there: it is not used any more. */
	over.deliver(&over, object, r < 0 ? &why : NULL);
	return 1;
}

static int parse_nothing(struct tv_call *call, sd_bus_message *reply, void **ret,
			 struct triovit_error *error)
{
	*ret = sd_bus_message_ref(reply);
	return 0;
}

int tv_client_ask(struct triovit_client *client, sd_bus_message *message, sd_bus_message **ret,
		  struct triovit_error *error)
{
	_cleanup_(tv_call_freep) struct tv_call *call = tv_call_new(client);
	void *reply = NULL;
	int r;

	if (!call)
		return tv_fail(error, -ENOMEM, "out of memory");
	call->parse = parse_nothing;
	r = tv_call_send(call, message, 0, error);
	if (r >= 0)
		r = tv_call_wait(TV_TAKE_PTR(call), &reply, error);
	if (r < 0)
		return r;
	*ret = reply;
	return 0;
}
