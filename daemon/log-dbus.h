/* SPDX-License-Identifier: MIT */
/* org.freedesktop.LogControl1, see org.freedesktop.LogControl1(5): `systemctl service-log-level`.
 */
#ifndef TV_DAEMON_LOG_DBUS_H
#define TV_DAEMON_LOG_DBUS_H

#include <systemd/sd-bus.h>

int tv_log_add_object(sd_bus *bus);

#endif
