/* SPDX-License-Identifier: MIT */
/* triovitctl devices: what there is to compute with. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/ctl-bus.h"

static int print_text(const struct ctl_devices *devices, struct tv_error *error)
{
	static const char *const heads[] = { "device",	"target",    "driver", "state",	  "MHz",
					     "on chip", "runs done", "failed", "in queue" };
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 4,
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < devices->count; i++) {
		const struct triovit_device_info *info = triovit_device_info(devices->list[i]);

		tool_table_add(&table, "%s", ctl_short_path(info->path));
		tool_table_add(&table, "%s", info->target);
		tool_table_add(&table, "%s", info->driver);
		tool_table_add(&table, "%s", info->state);
		tool_table_add(&table, "%.6g", (double)info->clock_khz / 1000);
		tool_table_add(&table, "%u KiB", info->onchip / 1024);
		tool_table_add(&table, "%" PRIu64, info->jobs_done);
		tool_table_add(&table, "%" PRIu64, info->jobs_failed);
		tool_table_add(&table, "%u", info->queue_length);
	}
	return tool_table_print(&table, 0, error);
}

static int list(const struct ctl *ctl, struct triovit_client *client, struct tv_error *error)
{
	_cleanup_(ctl_devices_done) struct ctl_devices devices = { 0 };
	json_auto_t *root = NULL;
	int r;

	r = ctl_devices_get(client, &devices, error);
	if (r < 0)
		return r;
	if (!ctl->json)
		return print_text(&devices, error);
	root = ctl_json_devices(&devices);
	return tool_json_print(root, error);
}

/* what: an object path, with or without what all of them begin with. */
static int find(const struct ctl_devices *devices, const char *what, struct triovit_device **ret,
		struct tv_error *error)
{
	for (size_t i = 0; i < devices->count; i++) {
		const char *path = triovit_device_info(devices->list[i])->path;

		if (!strcmp(path, what) || !strcmp(ctl_short_path(path), what)) {
			*ret = devices->list[i];
			return 0;
		}
	}
	return tv_error_set(error, -ENOENT,
			    "there is no device '%s': 'triovitctl devices' lists "
			    "those that there are",
			    what);
}

static int test(const struct ctl *ctl, struct triovit_device *device, struct tv_error *error)
{
	const char *path = triovit_device_info(device)->path;
	struct triovit_error why = { 0 };

	if (triovit_device_self_test(device, &why) < 0)
		return tv_error_prefix(error, ctl_error(error, &why), "%s", ctl_short_path(path));
	if (!ctl->quiet)
		printf("%s computes as it should\n", ctl_short_path(path));
	return 0;
}

static int add(const struct ctl *ctl, const char *target, struct tv_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	const char *path;
	int r;

	r = ctl_bus_open(ctl, &bus, error);
	if (r >= 0)
		r = ctl_bus_call(bus, CTL_BUS_PATH, "Manager", "AddSoftware", target, &reply,
				 error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return tv_error_set(error, r, "the daemon's answer: %s", strerror(-r));
	if (!ctl->quiet)
		printf("%s\n", ctl_short_path(path));
	return 0;
}

static int remove_device(const struct ctl *ctl, struct triovit_device *device,
			 struct tv_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	int r;

	r = ctl_bus_open(ctl, &bus, error);
	return r < 0 ? r :
		       ctl_bus_call(bus, triovit_device_info(device)->path, "Device", "Remove",
				    NULL, &reply, error);
}

static int run(const struct ctl *ctl, struct tv_error *error)
{
	_cleanup_(triovit_closep) struct triovit_client *client = NULL;
	_cleanup_(ctl_devices_done) struct ctl_devices devices = { 0 };
	const char *verb = ctl->count ? ctl->arguments[0] : "list";
	struct triovit_device *device;
	int r;

	if (ctl->count && strcmp(verb, "test") && strcmp(verb, "add") && strcmp(verb, "remove"))
		return tool_wrong_usage(&ctl->command->tool,
					"expected test, add or remove, not '%s'", verb);
	if (ctl->count == 1)
		return tool_wrong_usage(&ctl->command->tool, "%s what?", verb);
	r = ctl_open(ctl, &client, error);
	if (r < 0)
		return r;
	if (!ctl->count)
		return list(ctl, client, error);
	if (!strcmp(verb, "add"))
		return add(ctl, ctl->arguments[1], error);
	r = ctl_devices_get(client, &devices, error);
	if (r >= 0)
		r = find(&devices, ctl->arguments[1], &device, error);
	if (r < 0)
		return r;
	return !strcmp(verb, "test") ? test(ctl, device, error) : remove_device(ctl, device, error);
}

const struct ctl_command ctl_devices = {
	.tool = {
		.name = "devices",
		.arguments = "[test DEVICE|add TARGET|remove DEVICE] [OPTION...]",
		.summary = "list, test, add or remove devices",
		.help = "Lists the devices. With\n"
			"  test DEVICE    has it compute something that is known\n"
			"  add TARGET     adds one in software: zcu102, kv260, zc706, zynq7020\n"
			"  remove DEVICE  removes one in software, as if it were unplugged\n"
			"A DEVICE is called as it is in the list. Who may do these, polkit says.\n",
	},
	.bit = CTL_DEVICES,
	.most = 2,
	.run = run,
};
