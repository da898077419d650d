/* SPDX-License-Identifier: MIT */
/*
 * The daemon's log: lines on standard error, with the level in front where that is the journal. An
 * error is logged once, by whoever handles it; what a client did wrong is told to the client.
 */
#ifndef TV_DAEMON_LOG_H
#define TV_DAEMON_LOG_H

#include <stdbool.h>
#include <syslog.h>

/* The highest level that is logged; LOG_INFO to begin with. */
int tv_log_level(void);
void tv_log_set_level(int level);

/* By the names of syslog(3): "debug", "info", "notice", "warning", "err", "crit", "alert", "emerg".
 * -EINVAL; NULL for a level that is none. */
int tv_log_level_of(const char *name);
const char *tv_log_level_name(int level);

void tv_log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
