/* SPDX-License-Identifier: MIT */
/* triovitctl status: the daemon on one page. */
#include <stdio.h>
#include <string.h>

#include "tools/ctl.h"

struct page {
	char where[256];
	struct triovit_daemon *daemon;
	struct ctl_devices devices;
	struct ctl_models models;
};

static void page_done(struct page *page)
{
	triovit_daemon_free(page->daemon);
	ctl_devices_done(&page->devices);
	ctl_models_done(&page->models);
}

/* "devices    3 (2 ready, 1 failed)" */
static void print_devices(const struct ctl_devices *devices)
{
	static const char *const states[] = { "ready", "testing", "failed", "gone" };
	const char *before = " (";

	printf("devices    %zu", devices->count);
	for (size_t i = 0; i < TV_ARRAY_SIZE(states); i++) {
		size_t count = 0;

		for (size_t d = 0; d < devices->count; d++)
			count += !strcmp(triovit_device_info(devices->list[d])->state, states[i]);
		if (!count)
			continue;
		printf("%s%zu %s", before, count, states[i]);
		before = ", ";
	}
	printf("%s\n", devices->count ? ")" : "");
}

static int print_text(struct page *page, struct tv_error *error)
{
	size_t published = 0;

	for (size_t i = 0; i < page->models.count; i++)
		published += triovit_model_info(page->models.list[i])->published;
	printf("triovitd   %s on %s\n", page->daemon->version, page->where);
	print_devices(&page->devices);
	printf("models     %zu that you can use", page->models.count);
	if (published)
		printf(", %zu of them published", published);
	printf("\nruns       of at most %.6g ms\n", (double)page->daemon->max_job_usec / 1000);
	putchar('\n');
	return ctl_print_limits(page->daemon, error);
}

static int print_json(struct page *page, struct tv_error *error)
{
	json_auto_t *root = NULL;

	root = json_pack("{s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "version",
			 tool_json_string(page->daemon->version), "where",
			 tool_json_string(page->where), "max_job_usec",
			 (json_int_t)page->daemon->max_job_usec, "bytes_copied",
			 (json_int_t)page->daemon->bytes_copied, "devices",
			 ctl_json_devices(&page->devices), "models", ctl_json_models(&page->models),
			 "limits", ctl_json_limits(page->daemon));
	return tool_json_print(root, error);
}

static int run(const struct ctl *ctl, struct tv_error *error)
{
	_cleanup_(triovit_closep) struct triovit_client *client = NULL;
	_cleanup_(page_done) struct page page = { 0 };
	int r;

	ctl_where(ctl, page.where, sizeof(page.where));
	r = ctl_open(ctl, &client, error);
	if (r >= 0)
		r = ctl_daemon_get(client, &page.daemon, error);
	if (r >= 0)
		r = ctl_devices_get(client, &page.devices, error);
	if (r >= 0)
		r = ctl_models_get(client, &page.models, error);
	if (r < 0)
		return r;
	return ctl->json ? print_json(&page, error) : print_text(&page, error);
}

const struct ctl_command ctl_status = {
	.tool = {
		.name = "status",
		.arguments = "[OPTION...]",
		.summary = "the daemon on one page",
		.help = "Shows the daemon's version, its devices and models, and how much of what it\n"
			"gives out is in use.\n",
	},
	.bit = CTL_STATUS,
	.run = run,
};
