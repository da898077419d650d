/* SPDX-License-Identifier: MIT */
/* The bus itself, for what libtriovit does not offer. */
#ifndef TV_TOOLS_CTL_BUS_H
#define TV_TOOLS_CTL_BUS_H

#include <systemd/sd-bus.h>

#include "tools/ctl.h"

/* The bus that the daemon is to be on. Code -EHOSTUNREACH if there is none, or -EACCES. */
int ctl_bus_open(const struct ctl *ctl, sd_bus **ret, struct tv_error *error);

/* Calls a method of the daemon's that takes a text, or nothing (NULL), and may ask a person. */
int ctl_bus_call(sd_bus *bus, const char *path, const char *interface, const char *method,
		 const char *text, sd_bus_message **ret, struct tv_error *error);

/* The next value of a message, of whatever type, as JSON: a variant is what is in it. */
int ctl_bus_read_json(sd_bus_message *message, json_t **ret);

#endif
