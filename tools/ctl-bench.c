/* SPDX-License-Identifier: MIT */
/* triovitctl bench: how long runs take and how many there are a second. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/progress.h"
#include "tools/ctl.h"

#define DEPTH_MAX 16

/* A run's place. */
struct place {
	struct lane *lane;
	uint32_t slot;
	uint64_t asked; /* when */
};

/* A connection with runs in flight. */
struct lane {
	struct row *row;
	struct triovit_client *client;
	struct ctl_models models; /* the client's own view of them */
	struct ctl_runner runner;
	struct place places[DEPTH_MAX];
};

/* What is measured at once. */
struct row {
	const struct ctl *ctl;
	const char *path; /* the model's */
	unsigned int clients, depth;
	struct lane lanes[CTL_CLIENTS_MAX];
	struct triovit_client *open[CTL_CLIENTS_MAX];
	unsigned int opened;

	unsigned int in_flight;
	uint64_t began, end, last; /* end: nothing is asked for any more; last: what came last */
	struct ctl_figures latency, device;
	int failed;
	struct tv_error error;
};

struct measured {
	unsigned int clients, depth;
	uint32_t images;
	size_t runs;
	double seconds, rate;
	struct ctl_summary latency, device;
};

static void row_free(struct row *row)
{
	for (unsigned int i = 0; i < row->opened; i++) {
		ctl_runner_done(&row->lanes[i].runner);
		ctl_models_done(&row->lanes[i].models);
		triovit_close(row->lanes[i].client);
	}
	ctl_figures_done(&row->latency);
	ctl_figures_done(&row->device);
	free(row);
}

TV_DEFINE_CLEANUP(struct row *, row_free)

/* --- runs ----------------------------------------------------------------------------------- */

static void on_result(const struct triovit_result *result, const struct triovit_error *error,
		      void *userdata);

static int ask(struct place *place, struct tv_error *error)
{
	struct lane *lane = place->lane;
	int r;

	place->asked = ctl_now();
	r = ctl_runner_run(&lane->runner, place->slot, 0, on_result, place, error);
	lane->row->in_flight += r >= 0;
	return r;
}

static void on_result(const struct triovit_result *result, const struct triovit_error *error,
		      void *userdata)
{
	struct place *place = userdata;
	struct row *row = place->lane->row;
	uint64_t now = ctl_now();

	row->in_flight--;
	if (error && !row->failed)
		row->failed = ctl_error(&row->error, error);
	if (row->failed)
		return;
	row->last = now;
	ctl_figures_add(&row->latency, now - place->asked);
	ctl_figures_add(&row->device, result->device_usec);
	if (now < row->end && !ctl_signal())
		row->failed = ask(place, &row->error);
}

/* --- rows ----------------------------------------------------------------------------------- */

static int open_lane(struct row *row, struct lane *lane, struct tv_error *error)
{
	struct triovit_model *model;
	uint8_t *input;
	int r;

	lane->row = row;
	r = ctl_models_get(lane->client, &lane->models, error);
	if (r >= 0)
		r = ctl_models_find(&lane->models, row->path, &model, error);
	if (r >= 0)
		r = ctl_runner_open(row->ctl, model, row->depth, row->ctl->images, &lane->runner,
				    error);
	for (uint32_t slot = 0; r >= 0 && slot < row->depth; slot++) {
		lane->places[slot] = (struct place){ .lane = lane, .slot = slot };
		r = ctl_runner_write(&lane->runner, slot, &input, error);
		/* Time does not depend on what is in an image: anything will do. */
		if (r >= 0)
			memset(input, 100 + (int)slot, lane->runner.input_size);
	}
	return r;
}

static int open_lanes(struct row *row, struct tv_error *error)
{
	int r = 0;

	while (r >= 0 && row->opened < row->clients) {
		struct lane *lane = &row->lanes[row->opened];

		r = ctl_open(row->ctl, &lane->client, error);
		if (r < 0)
			return r;
		row->open[row->opened++] = lane->client;
		r = open_lane(row, lane, error);
	}
	return r;
}

static int loop(struct row *row, struct tv_error *error)
{
	int r = 0;

	row->began = ctl_now();
	row->end = row->began + (uint64_t)(row->ctl->seconds * 1e6);
	for (unsigned int i = 0; r >= 0 && i < row->clients * row->depth; i++)
		r = ask(&row->lanes[i % row->clients].places[i / row->clients], error);
	while (r >= 0 && row->in_flight && !row->failed)
		r = ctl_turn(row->open, row->opened, UINT64_MAX, error);
	if (row->failed) {
		*error = row->error;
		return row->failed;
	}
	return r;
}

static int measure(const struct ctl *ctl, const char *path, unsigned int clients,
		   unsigned int depth, struct measured *ret, struct tv_error *error)
{
	_cleanup_(row_freep) struct row *row = calloc(1, sizeof(*row));
	struct measured measured = { .clients = clients, .depth = depth };
	int r;

	if (!row)
		return tv_error_oom(error);
	row->ctl = ctl;
	row->path = path;
	row->clients = clients;
	row->depth = depth;
	r = open_lanes(row, error);
	if (r >= 0)
		r = loop(row, error);
	if (r >= 0)
		r = ctl_figures_sum_up(&row->latency, &measured.latency, error);
	if (r >= 0)
		r = ctl_figures_sum_up(&row->device, &measured.device, error);
	if (r < 0)
		return r;
	measured.images = row->lanes[0].runner.images;
	measured.runs = row->latency.count;
	measured.seconds = (double)(row->last - row->began) / 1e6;
	measured.rate = measured.seconds > 0 ? (double)measured.runs / measured.seconds : 0;
	*ret = measured;
	return 0;
}

/* --- output --------------------------------------------------------------------------------- */

static int print_text(const struct measured *rows, size_t count, struct tv_error *error)
{
	static const char *const heads[] = { "clients", "depth",  "runs/s", "images/s", "p50 ms",
					     "p90 ms",	"p99 ms", "max ms", "device ms" };
	_cleanup_(tool_table_done) struct tool_table table = { .columns = TV_ARRAY_SIZE(heads) };

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (const struct measured *row = rows; row < rows + count; row++) {
		tool_table_add(&table, "%u", row->clients);
		tool_table_add(&table, "%u", row->depth);
		tool_table_add(&table, "%.1f", row->rate);
		tool_table_add(&table, "%.1f", row->rate * row->images);
		tool_table_add(&table, "%.3f", row->latency.p50);
		tool_table_add(&table, "%.3f", row->latency.p90);
		tool_table_add(&table, "%.3f", row->latency.p99);
		tool_table_add(&table, "%.3f", row->latency.max);
		tool_table_add(&table, "%.3f", row->device.p50);
	}
	return tool_table_print(&table, 0, error);
}

static int print_json(const struct triovit_model_info *info, const struct measured *rows,
		      size_t count, struct tv_error *error)
{
	json_auto_t *array = json_array(), *root = NULL;
	int r = 0;

	for (const struct measured *row = rows; r >= 0 && row < rows + count; row++)
		r = json_array_append_new(
			array,
			json_pack("{s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:o, s:o}", "clients",
				  (json_int_t)row->clients, "depth", (json_int_t)row->depth,
				  "images", (json_int_t)row->images, "runs", (json_int_t)row->runs,
				  "seconds", row->seconds, "runs_per_second", row->rate,
				  "images_per_second", row->rate * row->images, "latency_ms",
				  ctl_json_summary(&row->latency), "device_ms",
				  ctl_json_summary(&row->device)));
	if (r < 0)
		return tv_error_oom(error);
	root = json_pack("{s:o, s:O, s:b}", "model", tool_json_string(info->digest), "rows", array,
			 "interrupted", ctl_signal() != 0);
	return tool_json_print(root, error);
}

static int bench(const struct ctl *ctl, const struct triovit_model_info *info,
		 struct tv_error *error)
{
	const struct ctl_list *clients = &ctl->clients, *depths = &ctl->depths;
	size_t total = (size_t)clients->count * depths->count, count = 0;
	struct measured rows[CTL_LIST_MAX * CTL_LIST_MAX];
	struct tv_progress progress;
	int r = 0;

	ctl_catch_signals();
	tv_progress_start(&progress, "measuring", "rows", ctl->quiet);
	/* A row that a signal ended is shown, too: it is only shorter. */
	while (r >= 0 && count < total && !ctl_signal()) {
		r = measure(ctl, info->path, clients->values[count / depths->count],
			    depths->values[count % depths->count], &rows[count], error);
		if (r >= 0)
			tv_progress_update(&progress, ++count, total);
	}
	tv_progress_end(&progress, count, total);
	if (r < 0)
		return r;
	return ctl->json ? print_json(info, rows, count, error) : print_text(rows, count, error);
}

static int run(const struct ctl *ctl, struct tv_error *error)
{
	_cleanup_(triovit_closep) struct triovit_client *client = NULL;
	_cleanup_(ctl_subject_done) struct ctl_subject subject = { 0 };
	int r;

	r = ctl_open(ctl, &client, error);
	if (r >= 0)
		r = ctl_subject_open(ctl, client, ctl->arguments[0], &subject, error);
	return r < 0 ? r : bench(ctl, triovit_model_info(subject.model), error);
}

const struct ctl_command ctl_bench = {
	.tool = {
		.name = "bench",
		.arguments = "MODEL [OPTION...]",
		.summary = "measure latency and throughput",
		.help = "Keeps runs of MODEL (as of classify) in flight and shows the percentiles of\n"
			"their latency, from the call to the answer, how many were done a second, and\n"
			"what half of them took on the device at most: a row for each number of clients\n"
			"and of runs that each has in flight.\n",
	},
	.bit = CTL_BENCH,
	.least = 1,
	.most = 1,
	.run = run,
};
