/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "tools/sim-ablate.h"

/* One variant over all images. */
struct row {
	const struct sim_variant *variant;
	struct sim_verdict verdict;
	size_t undefined; /* images whose logits are not all numbers */
};

static struct row row_of(const struct sim_ablation *ablation, unsigned int variant)
{
	const struct sim_pair *pairs = ablation->pairs + variant * ablation->count;
	struct row row = {
		.variant = &sim_variants[variant],
		.verdict = sim_judge(pairs, ablation->count),
	};

	for (size_t i = 0; i < ablation->count; i++)
		row.undefined += !isfinite(pairs[i].logits.noise);
	return row;
}

static void add_row(struct tool_table *table, const struct row *row)
{
	const struct sim_verdict *v = &row->verdict;
	const double n = (double)v->count, decibels = sim_decibels(&v->logits);

	tool_table_add(table, "%s", row->variant->name);
	tool_table_add(table, "%.2f", sim_percent((double)v->other_right, n));
	tool_table_add(table, "%.2f", v->drop);
	tool_table_add(table, "%.2f to %.2f", v->low, v->high);
	tool_table_add(table, "%.2f", sim_percent((double)v->agree, n));
	tool_table_add(table, isfinite(decibels) ? "%.1f" : "-", decibels);
	tool_table_add(table, "%.2f", sim_percent((double)row->undefined, n));
}

static int print_text(const struct sim_ablation *ablation, const struct row *rows,
		      struct tv_error *error)
{
	static const char *const heads[] = {
		"", "top-1 %", "drop", "95 % interval", "agreement %", "SQNR dB", "NaN %"
	};
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 1,
	};
	const struct sim_verdict *first = &rows[0].verdict;

	sim_print_architecture(ablation->network);
	printf("images  %zu, calibrated on %zu\n\n", ablation->count, ablation->statistics->images);
	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	tool_table_add(&table, "%s", "float");
	tool_table_add(&table, "%.2f",
		       sim_percent((double)first->float_right, (double)first->count));
	for (size_t i = 2; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", "-");
	for (unsigned int i = 0; i < SIM_VARIANTS; i++)
		add_row(&table, &rows[i]);
	return tool_table_print(&table, 0, error);
}

static json_t *row_json(const struct row *row)
{
	const struct sim_verdict *v = &row->verdict;
	const double n = (double)v->count;

	return json_pack("{s:s, s:b, s:f, s:f, s:[f, f], s:I, s:I, s:f, s:o, s:f}", "name",
			 row->variant->name, "integer",
			 row->variant->divisor.kind == TV_DIVISOR_EXACT, "top1",
			 sim_percent((double)v->other_right, n), "drop", v->drop, "interval",
			 v->low, v->high, "only_float_right", (json_int_t)v->only_float,
			 "only_other_right", (json_int_t)v->only_other, "agreement",
			 sim_percent((double)v->agree, n), "logits_sqnr",
			 sim_decibels_json(sim_decibels(&v->logits)), "undefined",
			 sim_percent((double)row->undefined, n));
}

static int print_json(const struct sim_ablation *ablation, const struct row *rows,
		      struct tv_error *error)
{
	const struct sim_ablate_options *options = ablation->options;
	const struct sim_verdict *first = &rows[0].verdict;
	json_auto_t *array = json_array();
	json_auto_t *root = NULL;

	for (unsigned int i = 0; i < SIM_VARIANTS; i++)
		if (json_array_append_new(array, row_json(&rows[i])) < 0)
			return tv_error_oom(error);
	root = json_pack(
		"{s:o, s:o, s:o, s:I, s:I, s:i, s:f, s:O}", "checkpoint",
		tool_json_string(options->checkpoint), "calibrate",
		tool_json_string(options->calibrate), "folder", tool_json_string(options->folder),
		"calibration_images", (json_int_t)ablation->statistics->images, "images",
		(json_int_t)ablation->count, "threads", (int)ablation->threads, "float_top1",
		sim_percent((double)first->float_right, (double)first->count), "variants", array);
	return tool_json_print(root, error);
}

int sim_ablation_print(const struct sim_ablation *ablation, struct tv_error *error)
{
	struct row rows[SIM_VARIANTS];

	for (unsigned int i = 0; i < SIM_VARIANTS; i++)
		rows[i] = row_of(ablation, i);
	return (ablation->options->json ? print_json : print_text)(ablation, rows, error);
}
