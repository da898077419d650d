/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/sim-compare.h"

#define WORST 10

/* A layer over all its images. */
struct layer {
	const char *name;
	struct sim_layer_sums sums;
	double isolated, accumulated; /* dB */
};

static void add(struct sim_layer_sums *to, const struct sim_layer_sums *from)
{
	to->accumulated.signal += from->accumulated.signal;
	to->accumulated.noise += from->accumulated.noise;
	to->isolated.signal += from->isolated.signal;
	to->isolated.noise += from->isolated.noise;
	to->values += from->values;
	to->clipped += from->clipped;
}

/* NULL: out of memory. */
static struct layer *sum_layers(const struct sim_comparison *comparison)
{
	const size_t count = comparison->network->count;
	struct layer *layers = calloc(count, sizeof(*layers));

	for (size_t n = 0; layers && n < count; n++) {
		struct layer *layer = &layers[n];

		layer->name = comparison->network->nodes[n].name;
		for (size_t i = 0; i < comparison->layer_images; i++)
			add(&layer->sums, &comparison->layers[i * count + n]);
		layer->isolated = sim_decibels(&layer->sums.isolated);
		layer->accumulated = sim_decibels(&layer->sums.accumulated);
	}
	return layers;
}

static double clipped_percent(const struct layer *layers, size_t count)
{
	double clipped = 0, values = 0;

	for (size_t i = 0; i < count; i++) {
		clipped += (double)layers[i].sums.clipped;
		values += (double)layers[i].sums.values;
	}
	return sim_percent(clipped, values);
}

/* By what the layer itself does wrong; equals in the order of the network. */
static int compare_isolated(const void *a, const void *b)
{
	const struct layer *const *x = a, *const *y = b;
	double first = (*x)->isolated, second = (*y)->isolated;

	if (first < second || first > second)
		return first < second ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

/* The layers from the worst to the best. NULL: out of memory. */
static const struct layer **sort_layers(const struct layer *layers, size_t count)
{
	const struct layer **sorted = calloc(count, sizeof(*sorted));

	for (size_t i = 0; sorted && i < count; i++)
		sorted[i] = &layers[i];
	if (sorted)
		qsort(sorted, count, sizeof(*sorted), compare_isolated);
	return sorted;
}

static void add_decibels(struct tool_table *table, double decibels)
{
	if (isfinite(decibels))
		tool_table_add(table, "%.1f", decibels);
	else
		tool_table_add(table, "%s", "exact");
}

static int print_layers(const struct sim_comparison *comparison, const struct layer *layers,
			const struct layer *const *sorted, struct tv_error *error)
{
	static const char *const heads[] = { "isolated dB", "accumulated dB", "at the ends %" };
	const bool all = comparison->options->all_layers;
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = 1 + TV_ARRAY_SIZE(heads),
		.left = 1,
	};
	size_t count = comparison->network->count;

	if (!all && count > WORST)
		count = WORST;
	tool_table_add(&table, all ? "layer" : "the %zu worst layers", count);
	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < count; i++) {
		const struct layer *layer = all ? &layers[i] : sorted[i];

		tool_table_add(&table, "%s", layer->name);
		add_decibels(&table, layer->isolated);
		add_decibels(&table, layer->accumulated);
		tool_table_add(&table, "%.3f",
			       sim_percent((double)layer->sums.clipped,
					   (double)layer->sums.values));
	}
	putchar('\n');
	return tool_table_print(&table, 0, error);
}

static int print_text(const struct sim_comparison *comparison, const struct layer *layers,
		      const struct layer *const *sorted, struct tv_error *error)
{
	const struct sim_verdict v = sim_judge(comparison->pairs, comparison->count);
	const double n = (double)comparison->count;

	sim_print_architecture(comparison->network);
	sim_print_model(comparison->model);
	printf("images     %zu\n", comparison->count);
	printf("top-1      float %.2f %%, integer %.2f %%\n", sim_percent((double)v.float_right, n),
	       sim_percent((double)v.other_right, n));
	printf("drop       %.2f points, 95 %% interval %.2f to %.2f (only float right: %zu, only "
	       "integer right: %zu)\n",
	       v.drop, v.low, v.high, v.only_float, v.only_other);
	printf("agreement  %.2f %%\n", sim_percent((double)v.agree, n));
	printf("logits     SQNR %.1f dB\n", sim_decibels(&v.logits));
	printf("time       %.1f s, %.1f images/s on %u threads\n", comparison->seconds,
	       n / comparison->seconds, comparison->threads);
	if (!comparison->layer_images)
		return 0;
	printf("layers     over %zu images; %.3f %% of all values at the ends of their range\n",
	       comparison->layer_images, clipped_percent(layers, comparison->network->count));
	return print_layers(comparison, layers, sorted, error);
}

static json_t *layers_json(const struct layer *layers, size_t count)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		const struct layer *layer = &layers[i];
		json_t *one = json_pack(
			"{s:o, s:o, s:o, s:f}", "name", tool_json_string(layer->name),
			"isolated_sqnr", sim_decibels_json(layer->isolated), "accumulated_sqnr",
			sim_decibels_json(layer->accumulated), "clipped",
			sim_percent((double)layer->sums.clipped, (double)layer->sums.values));

		if (json_array_append_new(array, one) < 0)
			return NULL;
	}
	return TV_TAKE_PTR(array);
}

static json_t *worst_json(const struct layer *const *sorted, size_t count)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < count && i < WORST; i++)
		if (json_array_append_new(array, tool_json_string(sorted[i]->name)) < 0)
			return NULL;
	return TV_TAKE_PTR(array);
}

static int print_json(const struct sim_comparison *comparison, const struct layer *layers,
		      const struct layer *const *sorted, struct tv_error *error)
{
	const struct sim_compare_options *options = comparison->options;
	const struct sim_verdict v = sim_judge(comparison->pairs, comparison->count);
	const double n = (double)comparison->count;
	const size_t nodes = comparison->network->count;
	json_auto_t *root = json_pack(
		"{s:o, s:o, s:s, s:o, s:I, s:f, s:f, s:f, s:[f, f], s:I, s:I, s:f, s:o, s:f, s:i}",
		"checkpoint", tool_json_string(options->checkpoint), "model",
		tool_json_string(options->model), "target", comparison->model->program->target,
		"folder", tool_json_string(options->folder), "images",
		(json_int_t)comparison->count, "float_top1", sim_percent((double)v.float_right, n),
		"integer_top1", sim_percent((double)v.other_right, n), "drop", v.drop, "interval",
		v.low, v.high, "only_float_right", (json_int_t)v.only_float, "only_integer_right",
		(json_int_t)v.only_other, "agreement", sim_percent((double)v.agree, n),
		"logits_sqnr", sim_decibels_json(sim_decibels(&v.logits)), "seconds",
		comparison->seconds, "threads", (int)comparison->threads);
	json_auto_t *details = json_pack("{s:I, s:f, s:o, s:o}", "layer_images",
					 (json_int_t)comparison->layer_images, "clipped",
					 clipped_percent(layers, nodes), "layers",
					 layers_json(layers, nodes), "worst_layers",
					 worst_json(sorted, nodes));

	if (!root || !details ||
	    (comparison->layer_images && json_object_update(root, details) < 0))
		return tv_error_oom(error);
	return tool_json_print(root, error);
}

int sim_comparison_print(const struct sim_comparison *comparison, struct tv_error *error)
{
	_cleanup_free_ struct layer *layers = sum_layers(comparison);
	_cleanup_free_ const struct layer **sorted = NULL;

	if (layers)
		sorted = sort_layers(layers, comparison->network->count);
	if (!sorted)
		return tv_error_oom(error);
	return (comparison->options->json ? print_json : print_text)(comparison, layers, sorted,
								     error);
}
