/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "tools/sim-compare.h"

static void add_decibels(struct tool_table *table, double decibels)
{
	if (isfinite(decibels))
		tool_table_add(table, "%.1f", decibels);
	else
		tool_table_add(table, "%s", "exact");
}

static int print_layers(const struct sim_comparison *comparison, bool all, struct tv_error *error)
{
	static const char *const heads[] = { "isolated dB", "accumulated dB", "at the ends %" };
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = 1 + TV_ARRAY_SIZE(heads),
		.left = 1,
	};
	size_t count = comparison->network->count;

	if (!all && count > SIM_WORST_LAYERS)
		count = SIM_WORST_LAYERS;
	tool_table_add(&table, all ? "layer" : "the %zu worst layers", count);
	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < count; i++) {
		const struct sim_layer *layer = all ? &comparison->layers[i] : comparison->worst[i];

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

int sim_comparison_print(const struct sim_comparison *comparison, bool all_layers,
			 struct tv_error *error)
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
	       comparison->layer_images, sim_comparison_clipped(comparison));
	return print_layers(comparison, all_layers, error);
}
