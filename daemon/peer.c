/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/log.h"
#include "daemon/peer.h"

struct tv_peer {
	struct tv_held held;
	struct tv_manager *manager;
	uid_t uid;
	sd_bus *bus;
	sd_event_source *closing; /* the bus cannot be released from within its own callbacks */
	struct tv_peer *next, **here;
};

void tv_peer_free(struct tv_peer *peer)
{
	*peer->here = peer->next;
	if (peer->next)
		peer->next->here = peer->here;
	tv_client_let_go(&peer->held);
	tv_quota_release(peer->manager->quota, peer->uid, TV_RESOURCE_CONNECTIONS, 1);
	sd_event_source_disable_unref(peer->closing);
	if (peer->bus) {
		sd_bus_detach_event(peer->bus);
		sd_bus_close_unref(peer->bus);
	}
	free(peer);
}

static int on_closing(sd_event_source *source, void *userdata)
{
	tv_peer_free(userdata);
	return 0;
}

static void close_later(struct tv_peer *peer)
{
	if (!peer->closing &&
	    sd_event_add_defer(peer->manager->event, &peer->closing, on_closing, peer) < 0)
		tv_log(LOG_ERR, "out of memory: the connection of %s stays open",
		       peer->held.client->name);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	close_later(userdata);
	return 0;
}

static void release(struct tv_held *held)
{
	tv_peer_free((struct tv_peer *)held);
}

static int start(struct tv_peer *peer, struct tv_client *client, int fd)
{
	sd_id128_t id;
	int r;

	r = sd_id128_randomize(&id);
	if (r >= 0)
		r = sd_bus_new(&peer->bus);
	if (r < 0) {
		close(fd);
		return r;
	}
	/* The bus has the descriptor from here on. */
	r = sd_bus_set_fd(peer->bus, fd, fd);
	if (r >= 0)
		r = sd_bus_set_server(peer->bus, 1, id);
	if (r >= 0)
		r = sd_bus_set_anonymous(peer->bus, 1);
	if (r >= 0)
		r = sd_bus_negotiate_fds(peer->bus, 1);
	if (r >= 0)
		r = tv_client_own(client, peer->bus);
	if (r >= 0)
		r = tv_manager_add_objects(peer->manager, peer->bus);
	if (r >= 0)
		r = sd_bus_match_signal(peer->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
					"org.freedesktop.DBus.Local", "Disconnected",
					on_disconnected, peer);
	if (r >= 0)
		r = sd_bus_start(peer->bus);
	if (r >= 0)
		r = sd_bus_attach_event(peer->bus, peer->manager->event, 0);
	return r;
}

int tv_peer_new(struct tv_manager *manager, struct tv_client *client, int *ret_fd,
		struct tv_error *error)
{
	struct tv_peer *peer;
	int fds[2], r;

	r = tv_quota_charge(manager->quota, client->uid, TV_RESOURCE_CONNECTIONS, 1, error);
	if (r < 0)
		return r;
	peer = calloc(1, sizeof(*peer));
	if (!peer) {
		tv_quota_release(manager->quota, client->uid, TV_RESOURCE_CONNECTIONS, 1);
		return tv_error_oom(error);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
		r = tv_error_set(error, -errno, "a socket pair: %s", strerror(errno));
		tv_quota_release(manager->quota, client->uid, TV_RESOURCE_CONNECTIONS, 1);
		free(peer);
		return r;
	}
	peer->manager = manager;
	peer->uid = client->uid;
	peer->held.release = release;
	peer->next = manager->peers;
	peer->here = &manager->peers;
	if (peer->next)
		peer->next->here = &peer->next;
	manager->peers = peer;
	r = start(peer, client, fds[0]);
	if (r < 0) {
		tv_peer_free(peer);
		close(fds[1]);
		return tv_error_set(error, r, "a connection to %s: %s", client->name, strerror(-r));
	}
	tv_client_hold(client, &peer->held);
	*ret_fd = fds[1];
	return 0;
}

bool tv_peer_check(struct tv_manager *manager, sd_bus *bus)
{
	struct tv_peer *peer = manager->peers;
	uint64_t unread;

	if (bus == manager->bus || sd_bus_get_n_queued_write(bus, &unread) < 0 ||
	    unread <= manager->config.max_unread)
		return true;
	while (peer && peer->bus != bus)
		peer = peer->next;
	if (peer && !peer->closing) {
		tv_log(LOG_NOTICE, "%s does not read its replies: its connection is closed",
		       peer->held.client ? peer->held.client->name : "a client");
		close_later(peer);
	}
	return false;
}
