/* SPDX-License-Identifier: MIT */
/*
 * The configuration file: lines "Key=Value" below lines "[Section]", empty lines, and comments on
 * lines of their own that begin with # or ;. Names are as they are written here, each at most once.
 * daemon/data/triovitd.conf lists all with their defaults.
 */
#ifndef TV_DAEMON_CONFIG_H
#define TV_DAEMON_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "daemon/quota.h"

enum tv_config_unit {
	TV_CONFIG_COUNT, /* 64 */
	TV_CONFIG_BYTES, /* 4096, 64K, 256M, 1G: powers of 1024 */
	TV_CONFIG_TIME, /* 100us, 500ms, 2s: kept in ns */
	TV_CONFIG_SOFTWARE, /* enum tv_software */
	TV_CONFIG_TARGET, /* the name of one: its index in tv_target_at() */
};

/* Whether there is a device in software. */
enum tv_software {
	TV_SOFTWARE_AUTO, /* added when no other device is there */
	TV_SOFTWARE_ALWAYS,
	TV_SOFTWARE_NEVER,
};

/* What else there is besides the limits of resources: section, key, field, unit, default, least,
 * most. */
#define TV_CONFIG_SETTINGS(X)                                                                      \
	/* replies that wait in the daemon on a client's own connection, which is then closed */   \
	X(Limits, MaxUnreadReplies, max_unread, COUNT, 1024, 1, 1 << 20)                           \
	/* a program that takes longer is refused when it is loaded */                             \
	X(Limits, MaxJobTime, max_job_time, TIME, 500000000, 1000, 60000000000)                    \
	/* after which a waiting request goes before those of higher priority */                   \
	X(Scheduler, AgeingTime, ageing_time, TIME, 1000000000, 1000000, 3600000000000)            \
	X(Devices, Software, software, SOFTWARE, TV_SOFTWARE_AUTO, 0, TV_SOFTWARE_NEVER)           \
	X(Devices, SoftwareTarget, software_target, TARGET, 0, 0, UINT64_MAX)

struct tv_config {
	struct tv_limits limits;
#define X(section, key, field, ...) uint64_t field;
	TV_CONFIG_SETTINGS(X)
#undef X
};

/* What there is to set, for who lists it: [0, tv_config_key_count). */
struct tv_config_key {
	const char *section, *name;
	enum tv_config_unit unit;
	size_t field; /* offset of its uint64_t in struct tv_config */
	uint64_t value, least, most; /* value: the default */
};
extern const struct tv_config_key tv_config_keys[];
extern const size_t tv_config_key_count;

void tv_config_defaults(struct tv_config *config);

/* Sets what the file says and leaves all else. Nothing is set unless all of it could be: -EINVAL
 * with "FILE:LINE: ...", or an error of tv_file_read() such as -ENOENT. */
int tv_config_read(struct tv_config *config, const char *path, struct tv_error *error);

/* The same from a text that ends with a NUL; name stands for the file in errors. */
int tv_config_parse(struct tv_config *config, const char *text, const char *name,
		    struct tv_error *error);

#endif
