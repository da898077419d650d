/* SPDX-License-Identifier: MIT */
#include <search.h>
#include <string.h>

#include "daemon/client.h"

struct tv_clients {
	sd_bus *bus;
	sd_bus_slot *match; /* names that leave */
	void *tree; /* of struct tv_client, by name; see tsearch(3) */
	struct tv_held idle; /* its client, if any, may hold nothing */
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct tv_client *)a)->name, ((const struct tv_client *)b)->name);
}

static struct tv_client *find(struct tv_clients *clients, const char *name)
{
	const struct tv_client key = { .name = name };
	struct tv_client **node = tfind(&key, &clients->tree, compare);

	return node ? *node : NULL;
}

static void forget(struct tv_client *client)
{
	tdelete(client, &client->clients->tree, compare);
	free((char *)client->name);
	free(client);
}

void tv_client_hold(struct tv_client *client, struct tv_held *held)
{
	held->client = client;
	held->next = client->held;
	held->here = &client->held;
	if (held->next)
		held->next->here = &held->next;
	client->held = held;
}

static void unlink_held(struct tv_held *held)
{
	*held->here = held->next;
	if (held->next)
		held->next->here = held->here;
	held->client = NULL;
}

void tv_client_let_go(struct tv_held *held)
{
	struct tv_client *client = held->client;

	if (!client)
		return;
	unlink_held(held);
	if (!client->held && !client->leaving)
		forget(client);
}

/* Until the next caller comes, so that a client with nothing to hold need not be looked after. */
static void hold_idle(struct tv_client *client)
{
	struct tv_held *idle = &client->clients->idle;

	if (idle->client == client)
		return;
	tv_client_let_go(idle);
	tv_client_hold(client, idle);
}

/* To release one thing may release others. */
static void release_all(struct tv_client *client)
{
	client->leaving = true;
	while (client->held)
		client->held->release(client->held);
	forget(client);
}

static int on_name_owner_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_clients *clients = userdata;
	const char *name, *before, *after;
	struct tv_client *client;

	if (sd_bus_message_read(message, "sss", &name, &before, &after) < 0 || *after)
		return 0;
	client = find(clients, name);
	if (client)
		release_all(client);
	return 0;
}

int tv_clients_new(sd_bus *bus, struct tv_clients **ret, struct tv_error *error)
{
	_cleanup_(tv_clients_freep) struct tv_clients *clients = calloc(1, sizeof(*clients));
	int r;

	if (!clients)
		return tv_error_oom(error);
	clients->idle.release = tv_client_let_go;
	clients->bus = sd_bus_ref(bus);
	/* One match for all, and before anybody is looked at: no client leaves unseen. */
	r = sd_bus_add_match(bus, &clients->match,
			     "type='signal',sender='org.freedesktop.DBus',"
			     "path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
			     "member='NameOwnerChanged',arg2=''",
			     on_name_owner_changed, clients);
	if (r < 0)
		return tv_error_set(error, r, "watching the bus: %s", strerror(-r));
	*ret = TV_TAKE_PTR(clients);
	return 0;
}

void tv_clients_free(struct tv_clients *clients)
{
	while (clients->tree)
		release_all(*(struct tv_client **)clients->tree);
	sd_bus_slot_unref(clients->match);
	sd_bus_unref(clients->bus);
	free(clients);
}

/* The unique name of a caller. That of a connection of its own is its description, which only the
 * daemon sets. */
static const char *caller(struct tv_clients *clients, sd_bus_message *message)
{
	sd_bus *bus = sd_bus_message_get_bus(message);
	const char *name = NULL;

	if (bus == clients->bus)
		return sd_bus_message_get_sender(message);
	sd_bus_get_description(bus, &name);
	return name;
}

struct tv_client *tv_clients_find(struct tv_clients *clients, sd_bus_message *message)
{
	const char *name = caller(clients, message);

	return name ? find(clients, name) : NULL;
}

static int make(struct tv_clients *clients, const char *name, struct tv_client **ret,
		struct tv_error *error)
{
	_cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
	_cleanup_free_ struct tv_client *client = calloc(1, sizeof(*client));
	_cleanup_free_ char *copy = strdup(name);
	int r;

	if (!client || !copy)
		return tv_error_oom(error);
	/* Of the bus, not of the message: nobody can claim to be somebody else. */
	r = sd_bus_get_name_creds(clients->bus, name, SD_BUS_CREDS_EUID, &creds);
	if (r >= 0)
		r = sd_bus_creds_get_euid(creds, &client->uid);
	if (r < 0)
		return tv_error_set(error, -ENOTCONN, "the caller %s is not on the bus: %s", name,
				    strerror(-r));
	client->name = copy;
	client->clients = clients;
	if (!tsearch(client, &clients->tree, compare))
		return tv_error_oom(error);
	TV_TAKE_PTR(copy);
	*ret = TV_TAKE_PTR(client);
	return 0;
}

int tv_clients_get(struct tv_clients *clients, sd_bus_message *message, struct tv_client **ret,
		   struct tv_error *error)
{
	const char *name = caller(clients, message);
	struct tv_client *client;
	int r;

	if (!name)
		return tv_error_set(error, -ENXIO, "the message has no sender");
	client = find(clients, name);
	if (!client) {
		/* One of its own may outlive the client by a moment. */
		if (sd_bus_message_get_bus(message) != clients->bus)
			return tv_error_set(error, -ENOTCONN, "%s has left the bus", name);
		r = make(clients, name, &client, error);
		if (r < 0)
			return r;
		hold_idle(client);
	}
	*ret = client;
	return 0;
}

int tv_client_own(struct tv_client *client, sd_bus *bus)
{
	return sd_bus_set_description(bus, client->name);
}
