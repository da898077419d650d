/* SPDX-License-Identifier: MIT */
/* Models come in: from clients, and from the folder of those that are there for everybody. */
#ifndef TV_DAEMON_LOAD_H
#define TV_DAEMON_LOAD_H

#include "daemon/loaded.h"

/* LoadModel(); the call is answered when the model can be used. */
int tv_load(struct tv_manager *manager, sd_bus_message *message, struct tv_error *error);

/* All packages of a folder, for everybody, on behalf of root. What is in it that others than root,
 * or the daemon's own user, could have written is left out, as is what is no package; the log says
 * so. No folder is none. Counted in manager->starting. */
int tv_load_folder(struct tv_manager *manager, const char *path, struct tv_error *error);

#endif
