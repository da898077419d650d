/* SPDX-License-Identifier: MIT */
/* What changes the system is asked of polkit, and nobody is kept waiting for the answer. */
#ifndef TV_DAEMON_POLKIT_H
#define TV_DAEMON_POLKIT_H

#include "daemon/call.h"

#define TV_POLKIT "org.triovit.accelerator1."

/*
 * Whether the caller may do what the action says. 1: go on. 0: polkit was asked; the handler
 * returns 1, and is called again with the same message and manager once it is allowed, or the
 * caller is refused. Negative: refused, and *error is set. root and the daemon's own user may do
 * everything; on a connection of a client's own, where a message cannot be told from one that
 * somebody else to whom it was passed on has sent, nothing is allowed.
 */
int tv_polkit_check(struct tv_manager *manager, sd_bus_message *message, const char *action,
		    sd_bus_message_handler_t handler, sd_bus_error *error);

#endif
