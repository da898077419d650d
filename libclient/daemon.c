/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "libclient/private.h"

struct daemon {
	struct triovit_daemon info; /* first: they are cast to one another */
	struct triovit_limit *limits;
	sd_bus_message *properties; /* where the texts are */
};

void triovit_daemon_free(struct triovit_daemon *info)
{
	struct daemon *daemon = (struct daemon *)info;

	if (!daemon)
		return;
	free(daemon->limits);
	sd_bus_message_unref(daemon->properties);
	free(daemon);
}

TV_DEFINE_CLEANUP(struct triovit_daemon *, triovit_daemon_free)

static struct triovit_limit *find_limit(struct daemon *daemon, const char *name)
{
	for (size_t i = 0; i < daemon->info.limit_count; i++)
		if (!strcmp(daemon->limits[i].name, name))
			return &daemon->limits[i];
	return NULL;
}

static int add_limit(struct daemon *daemon, const char *name)
{
	size_t count = daemon->info.limit_count;
	struct triovit_limit *limits = reallocarray(daemon->limits, count + 1, sizeof(*limits));

	if (!limits)
		return -ENOMEM;
	limits[count] = (struct triovit_limit){ .name = name, .limit = UINT64_MAX };
	daemon->limits = limits;
	daemon->info.limits = limits;
	daemon->info.limit_count = count + 1;
	return 0;
}

/* Limits and what is in use have the same names; either may come first. */
static int read_numbers(sd_bus_message *message, struct daemon *daemon, size_t offset)
{
	struct triovit_limit *limit;
	const char *name;
	uint64_t value;
	int r;

	r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "{st}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_read(message, "{st}", &name, &value)) > 0) {
		limit = find_limit(daemon, name);
		if (!limit) {
			r = add_limit(daemon, name);
			if (r < 0)
				return r;
			limit = find_limit(daemon, name);
		}
		*(uint64_t *)((char *)limit + offset) = value;
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_limits(sd_bus_message *message, void *daemon)
{
	return read_numbers(message, daemon, offsetof(struct triovit_limit, limit));
}

static int read_usage(sd_bus_message *message, void *daemon)
{
	return read_numbers(message, daemon, offsetof(struct triovit_limit, used));
}

static const struct tv_field fields[] = {
	{ "Version", "s", offsetof(struct daemon, info.version), NULL },
	{ "MaxJobUSec", "t", offsetof(struct daemon, info.max_job_usec), NULL },
	{ "BytesCopied", "t", offsetof(struct daemon, info.bytes_copied), NULL },
	{ "Limits", "a{st}", 0, read_limits },
	{ "Usage", "a{st}", 0, read_usage },
	{ 0 },
};

int triovit_daemon_get(struct triovit_client *client, struct triovit_daemon **ret,
		       struct triovit_error *error)
{
	_cleanup_(triovit_daemon_freep) struct triovit_daemon *info = NULL;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	int r;

	if (!daemon)
		return tv_fail(error, -ENOMEM, "out of memory");
	info = &daemon->info;
	info->version = "";
	r = tv_properties_message(client, TV_BUS_PATH, TV_BUS_MANAGER, &message, error);
	if (r >= 0)
		r = tv_client_ask(client, message, &daemon->properties, error);
	if (r < 0)
		return r;
	r = tv_fields_read(daemon->properties, fields, daemon);
	if (r < 0)
		return tv_fail_parse(error, r, "the daemon's properties");
	*ret = TV_TAKE_PTR(info);
	return 0;
}
