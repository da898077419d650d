/* SPDX-License-Identifier: MIT */
/*
 * Who calls: one struct tv_client for each connection to the bus that has ever been given something
 * to hold. What it holds is released when it lets go or when the connection leaves the bus, however
 * it came to that. A connection of its own to the daemon (Connect()) is the same client.
 */
#ifndef TV_DAEMON_CLIENT_H
#define TV_DAEMON_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

#include "common/cleanup.h"
#include "common/error.h"

/* Something that a client holds; part of the holder's own structure. */
struct tv_held {
	/* The client is going away: to be released, and to be let go. */
	void (*release)(struct tv_held *held);
	struct tv_client *client; /* NULL: nobody's */
	struct tv_held *next, **here; /* the client's own */
};

struct tv_client {
	const char *name; /* unique name on the bus */
	uid_t uid;
	/* The registry's own. */
	struct tv_held *held;
	struct tv_clients *clients;
	bool leaving;
};

struct tv_clients;

/* Clients of a bus; it is attached to an event loop. */
int tv_clients_new(sd_bus *bus, struct tv_clients **ret, struct tv_error *error);
/* Releases what all of them hold. */
void tv_clients_free(struct tv_clients *clients);
TV_DEFINE_CLEANUP(struct tv_clients *, tv_clients_free)

/*
 * The caller of a method. On a connection of a client's own (a bus that was given to
 * tv_client_own()) it is that client. One that holds nothing by the time the loop goes on is
 * forgotten, so *ret is valid during the call, or as long as it holds something. -ENOTCONN: it has
 * left already; -ENXIO: the message has no sender.
 */
int tv_clients_get(struct tv_clients *clients, sd_bus_message *message, struct tv_client **ret,
		   struct tv_error *error);
/* The caller, if it holds anything; else NULL. Asks nobody. */
struct tv_client *tv_clients_find(struct tv_clients *clients, sd_bus_message *message);

/* Says whose a peer-to-peer connection is, before it is used; no message of it can change that. */
int tv_client_own(struct tv_client *client, sd_bus *bus);

void tv_client_hold(struct tv_client *client, struct tv_held *held);
void tv_client_let_go(struct tv_held *held);

#endif
