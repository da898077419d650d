/* SPDX-License-Identifier: MIT */
/* triovitctl top: who computes what, now. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/ctl.h"

/* The daemon at a time. Rates are between two of them. */
struct view {
	uint64_t time;
	struct triovit_daemon *daemon;
	struct ctl_devices devices;
	struct ctl_models models;
};

static void view_done(struct view *view)
{
	triovit_daemon_free(view->daemon);
	ctl_devices_done(&view->devices);
	ctl_models_done(&view->models);
	*view = (struct view){ 0 };
}

static int look(struct triovit_client *client, struct view *ret, struct tv_error *error)
{
	int r;

	r = ctl_daemon_get(client, &ret->daemon, error);
	if (r >= 0)
		r = ctl_models_get(client, &ret->models, error);
	/* Last: their time on the device is what is most looked at. */
	if (r >= 0)
		r = ctl_devices_get(client, &ret->devices, error);
	ret->time = ctl_now();
	return r;
}

/* What a device was in the view before, zeros if it was not. */
static struct triovit_device_info device_before(const struct view *before, const char *path)
{
	for (size_t i = 0; i < before->devices.count; i++)
		if (!strcmp(triovit_device_info(before->devices.list[i])->path, path))
			return *triovit_device_info(before->devices.list[i]);
	return (struct triovit_device_info){ 0 };
}

static uint64_t runs_before(const struct view *before, const char *path)
{
	for (size_t i = 0; i < before->models.count; i++)
		if (!strcmp(triovit_model_info(before->models.list[i])->path, path))
			return triovit_model_info(before->models.list[i])->runs;
	return 0;
}

struct device_rates {
	double busy; /* percent */
	double runs; /* a second */
};

static struct device_rates device_rates(const struct view *before, const struct view *now,
					const struct triovit_device_info *info)
{
	struct triovit_device_info old = device_before(before, info->path);
	double usec = (double)(now->time - before->time);

	return (struct device_rates){
		.busy = 100 * (double)(info->busy_usec - old.busy_usec) / usec,
		.runs = 1e6 * (double)(info->jobs_done - old.jobs_done) / usec,
	};
}

static double model_rate(const struct view *before, const struct view *now,
			 const struct triovit_model_info *info)
{
	return 1e6 * (double)(info->runs - runs_before(before, info->path)) /
	       (double)(now->time - before->time);
}

/* --- for people ----------------------------------------------------------------------------- */

static int print_devices(const struct view *before, const struct view *now, struct tv_error *error)
{
	static const char *const heads[] = { "device", "target",   "state", "busy %",
					     "runs/s", "in queue", "failed" };
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 3,
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < now->devices.count; i++) {
		const struct triovit_device_info *info = triovit_device_info(now->devices.list[i]);
		struct device_rates rates = device_rates(before, now, info);

		tool_table_add(&table, "%s", ctl_short_path(info->path));
		tool_table_add(&table, "%s", info->target);
		tool_table_add(&table, "%s", info->state);
		tool_table_add(&table, "%.1f", rates.busy);
		tool_table_add(&table, "%.1f", rates.runs);
		tool_table_add(&table, "%u", info->queue_length);
		tool_table_add(&table, "%" PRIu64, info->jobs_failed);
	}
	return tool_table_print(&table, 0, error);
}

static int print_models(const struct view *before, const struct view *now, struct tv_error *error)
{
	static const char *const heads[] = { "model", "name", "digest", "runs/s", "runs" };
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 3,
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < now->models.count; i++) {
		const struct triovit_model_info *info = triovit_model_info(now->models.list[i]);

		tool_table_add(&table, "%s", ctl_short_path(info->path));
		tool_table_add(&table, "%s", info->name);
		tool_table_add(&table, "%.12s", info->digest);
		tool_table_add(&table, "%.1f", model_rate(before, now, info));
		tool_table_add(&table, "%" PRIu64, info->runs);
	}
	return tool_table_print(&table, 0, error);
}

static int print_text(const struct ctl *ctl, const struct view *before, const struct view *now,
		      struct tv_error *error)
{
	char where[256];
	int r;

	/* From the top left corner of an empty screen. */
	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	printf("triovitd %s on %s\n\n", now->daemon->version, ctl_where(ctl, where, sizeof(where)));
	r = print_devices(before, now, error);
	if (r >= 0 && now->models.count) {
		putchar('\n');
		r = print_models(before, now, error);
	}
	putchar('\n');
	return r < 0 ? r : ctl_print_limits(now->daemon, error);
}

/* --- for programs --------------------------------------------------------------------------- */

static json_t *devices_json(const struct view *before, const struct view *now)
{
	json_auto_t *array = ctl_json_devices(&now->devices);

	for (size_t i = 0; array && i < now->devices.count; i++) {
		struct device_rates rates =
			device_rates(before, now, triovit_device_info(now->devices.list[i]));
		json_t *one = json_array_get(array, i);

		if (json_object_set_new(one, "busy_percent", json_real(rates.busy)) < 0 ||
		    json_object_set_new(one, "runs_per_second", json_real(rates.runs)) < 0)
			return NULL;
	}
	return json_incref(array);
}

static json_t *models_json(const struct view *before, const struct view *now)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < now->models.count; i++) {
		const struct triovit_model_info *info = triovit_model_info(now->models.list[i]);
		json_t *one =
			json_pack("{s:o, s:o, s:o, s:I, s:f}", "path", tool_json_string(info->path),
				  "name", tool_json_string(info->name), "digest",
				  tool_json_string(info->digest), "runs", (json_int_t)info->runs,
				  "runs_per_second", model_rate(before, now, info));

		if (json_array_append_new(array, one) < 0)
			return NULL;
	}
	return json_incref(array);
}

static int print_json(const struct view *before, const struct view *now, struct tv_error *error)
{
	json_auto_t *root = json_pack("{s:f, s:o, s:o, s:o}", "seconds",
				      (double)(now->time - before->time) / 1e6, "devices",
				      devices_json(before, now), "models", models_json(before, now),
				      "limits", ctl_json_limits(now->daemon));

	return ctl_print_line(root, error);
}

static int run(const struct ctl *ctl, struct tv_error *error)
{
	_cleanup_(triovit_closep) struct triovit_client *client = NULL;
	_cleanup_(view_done) struct view before = { 0 }, now = { 0 };
	unsigned int count = 0;
	int r;

	r = ctl_open(ctl, &client, error);
	if (r >= 0)
		r = look(client, &before, error);
	if (r < 0)
		return r;
	ctl_catch_signals();
	while (r >= 0 && (!ctl->snapshots || count < ctl->snapshots)) {
		uint64_t until = before.time + (uint64_t)(ctl->delay * 1e6);

		while (r >= 0 && ctl_now() < until && !ctl_signal())
			r = ctl_turn(&client, 1, until, error);
		if (r < 0 || ctl_signal())
			return r;
		r = look(client, &now, error);
		if (r < 0)
			return r;
		if (count++ && !ctl->json)
			putchar('\n');
		r = ctl->json ? print_json(&before, &now, error) :
				print_text(ctl, &before, &now, error);
		fflush(stdout);
		view_done(&before);
		before = now;
		now = (struct view){ 0 };
	}
	return r;
}

const struct ctl_command ctl_top = {
	.tool = {
		.name = "top",
		.arguments = "[OPTION...]",
		.summary = "who computes what, now",
		.help = "Shows how busy the devices are, how many runs of each model there are a\n"
			"second, and what is in use: again and again until Ctrl-C. Where standard output\n"
			"is no terminal the views follow one another; with --json each is a line.\n",
	},
	.bit = CTL_TOP,
	.run = run,
};
