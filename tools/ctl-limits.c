/* SPDX-License-Identifier: MIT */
/* What the daemon gives out, and how much of it is in use. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/ctl.h"

#define USER "PerUser"

bool ctl_is_user_limit(const struct triovit_limit *limit)
{
	size_t length = strlen(limit->name);

	return length > strlen(USER) && !strcmp(limit->name + length - strlen(USER), USER);
}

static const struct triovit_limit *user_limit(const struct triovit_daemon *daemon,
					      const struct triovit_limit *limit)
{
	size_t length = strlen(limit->name);

	for (size_t i = 0; i < daemon->limit_count; i++)
		if (!strncmp(daemon->limits[i].name, limit->name, length) &&
		    !strcmp(daemon->limits[i].name + length, USER))
			return &daemon->limits[i];
	return NULL;
}

static void add_amount(struct tool_table *table, const struct triovit_limit *limit, uint64_t amount)
{
	if (!strncmp(limit->name, "MaxBytes", strlen("MaxBytes")))
		tool_table_add(table, "%.1f MiB", (double)amount / (1 << 20));
	else
		tool_table_add(table, "%" PRIu64, amount);
}

int ctl_print_limits(const struct triovit_daemon *daemon, struct tv_error *error)
{
	_cleanup_(tool_table_done) struct tool_table table = { .columns = 4, .left = 1 };

	tool_table_add(&table, "limit");
	tool_table_add(&table, "in use");
	tool_table_add(&table, "of all");
	tool_table_add(&table, "of a user");
	for (size_t i = 0; i < daemon->limit_count; i++) {
		const struct triovit_limit *limit = &daemon->limits[i], *user;

		if (ctl_is_user_limit(limit))
			continue;
		user = user_limit(daemon, limit);
		tool_table_add(&table, "%s", limit->name);
		add_amount(&table, limit, limit->used);
		add_amount(&table, limit, limit->limit);
		if (user)
			add_amount(&table, user, user->limit);
		else
			tool_table_add(&table, "-");
	}
	return tool_table_print(&table, 0, error);
}

json_t *ctl_json_limits(const struct triovit_daemon *daemon)
{
	json_auto_t *limits = json_object();

	for (size_t i = 0; i < daemon->limit_count; i++) {
		const struct triovit_limit *limit = &daemon->limits[i];
		json_t *one = json_pack("{s:I}", "limit", (json_int_t)limit->limit);

		if (!ctl_is_user_limit(limit))
			json_object_set_new(one, "used", json_integer((json_int_t)limit->used));
		if (json_object_set_new(limits, limit->name, one) < 0)
			return NULL;
	}
	return json_incref(limits);
}
