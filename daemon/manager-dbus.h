/* SPDX-License-Identifier: MIT */
/* org.triovit.Accelerator1.Manager. */
#ifndef TV_DAEMON_MANAGER_DBUS_H
#define TV_DAEMON_MANAGER_DBUS_H

#include "daemon/manager.h"

int tv_manager_add_object(struct tv_manager *manager, sd_bus *bus);

#endif
