/* SPDX-License-Identifier: MIT */
/*
 * A client's own connection to the daemon. Who is on it was settled when it was made: the socket
 * pair is the daemon's, so what the kernel could say about it would be the daemon itself.
 */
#ifndef TV_DAEMON_PEER_H
#define TV_DAEMON_PEER_H

#include "daemon/manager.h"

/* A new one; *ret_fd is the client's end, the caller's to close. It ends when the client closes
 * it, leaves more than MaxUnreadReplies unread, or leaves the bus. -EDQUOT. */
int tv_peer_new(struct tv_manager *manager, struct tv_client *client, int *ret_fd,
		struct tv_error *error);
void tv_peer_free(struct tv_peer *peer);

/* To be called for each message that came by it: false if it had to be closed. */
bool tv_peer_check(struct tv_manager *manager, sd_bus *bus);

#endif
