/* SPDX-License-Identifier: MIT */
#include "tools/report.h"

/* Where a channel's values are below which, by its histogram, share of them lies. */
static double quantile(const struct tv_node_statistics *seen, unsigned int c, double share)
{
	const uint32_t *bins = seen->bins + (size_t)c * TV_STATISTICS_BINS;
	double width = ((double)seen->most[c] - (double)seen->least[c]) / TV_STATISTICS_BINS;
	double left = share * (double)seen->values;

	for (unsigned int b = 0; b < TV_STATISTICS_BINS; b++) {
		if (bins[b] >= left)
			return (double)seen->least[c] +
			       width * (b + (bins[b] ? left / bins[b] : 0));
		left -= bins[b];
	}
	return (double)seen->most[c];
}

static json_t *quantiles(const struct tv_node_statistics *seen, double share)
{
	json_auto_t *array = json_array();

	for (unsigned int c = 0; c < seen->channels; c++)
		if (json_array_append_new(array, json_real(quantile(seen, c, share))) < 0)
			return NULL;
	return TV_TAKE_PTR(array);
}

static json_t *channels_json(const struct report_layer *layer)
{
	const struct tv_node_statistics *seen = layer->seen;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "least",
			 sim_json_float(seen->least, seen->channels), "low", quantiles(seen, 0.01),
			 "high", quantiles(seen, 0.99), "most",
			 sim_json_float(seen->most, seen->channels), "scale",
			 sim_json_float(layer->codes->scale, seen->channels), "offset",
			 sim_json_float(layer->codes->offset, seen->channels));
}

static json_t *layer_json(const struct report *report, const struct report_layer *layers, size_t i)
{
	const struct report_layer *layer = &layers[i];
	const struct tv_node *node = layer->node;
	const struct sim_layer_sums *sums = &layer->measured->sums;

	return json_pack(
		"{s:o, s:i, s:[i, i, i], s:I, s:s, s:i, s:i, s:o, s:o, s:o, s:f, s:f, s:f, s:f, "
		"s:f, s:f, s:i, s:o, s:o*, s:o}",
		"name", tool_json_string(node->name), "stage", (int)node->stage, "shape",
		(int)node->out_height, (int)node->out_width, (int)node->out_channels, "macs",
		(json_int_t)tv_node_macs(node), "technique", layer->technique, "bits",
		layer->codes->wide ? 16 : 8, "zero_point", layer->codes->zero_point,
		"isolated_sqnr", sim_decibels_json(layer->measured->isolated), "accumulated_sqnr",
		sim_decibels_json(layer->measured->accumulated), "rounding_sqnr",
		sim_decibels_json(layer->rounding), "clipped",
		sim_percent((double)sums->clipped, (double)sums->values), "peak", layer->peak,
		"spread", layer->spread, "used_before", layer->used_before, "used", layer->used,
		"cut", layer->cut, "dead", (int)layer->codes->dead, "channels",
		channels_json(layer), "heads",
		node->kind == TV_NODE_ATTENTION ? report_heads(report, layer) : NULL, "why",
		report_why(report, layers, i));
}

static int layers_json(const struct report *report, json_t **ret, struct tv_error *error)
{
	const size_t count = report->comparison->network->count;
	_cleanup_free_ struct report_layer *layers = calloc(count, sizeof(*layers));
	json_auto_t *array = json_array();

	if (!layers || !array)
		return tv_error_oom(error);
	for (size_t i = 0; i < count; i++) {
		int r = report_layer_find(report, i, &layers[i], error);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < count; i++)
		if (json_array_append_new(array, layer_json(report, layers, i)) < 0)
			return tv_error_oom(error);
	*ret = TV_TAKE_PTR(array);
	return 0;
}

static json_t *programs_json(const struct tv_package *package)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < package->program_count; i++) {
		const struct tv_package_program *p = &package->programs[i];
		const uint32_t *segment = p->header.segment;
		json_t *one = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I}", "target",
					tool_json_string(p->target), "images",
					(json_int_t)p->header.images, "commands",
					(json_int_t)p->header.commands, "weights",
					(json_int_t)segment[TV_SEGMENT_WEIGHTS], "scratch",
					(json_int_t)segment[TV_SEGMENT_SCRATCH], "onchip",
					(json_int_t)p->header.onchip);

		if (json_array_append_new(array, one) < 0)
			return NULL;
	}
	return TV_TAKE_PTR(array);
}

static json_t *labels_json(const struct tv_package *package)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; package->labels && i < package->classes; i++)
		if (json_array_append_new(array, tool_json_string(package->labels[i])) < 0)
			return NULL;
	return TV_TAKE_PTR(array);
}

int report_json(const struct report *report, json_t **ret, struct tv_error *error)
{
	const struct tv_network *network = report->comparison->network;
	const struct tv_package *package = report->comparison->model->package;
	const struct tv_quantize_options *without = report->techniques;
	json_auto_t *layers = NULL, *root = NULL;
	int r;

	r = layers_json(report, &layers, error);
	if (r < 0)
		return r;
	root = json_pack(
		"{s:s, s:i, s:o, s:o, s:i, s:o, s:I, s:{s:o, s:I}, s:{s:b, s:b, s:b, s:b}, s:o, "
		"s:o, s:O}",
		"format", REPORT_FORMAT, "version", REPORT_VERSION, "source",
		tool_json_string(package->source), "architecture",
		sim_json_architecture(&network->architecture), "size", (int)network->size, "labels",
		labels_json(package), "macs", (json_int_t)package->macs, "calibration", "folder",
		tool_json_string(report->calibration), "images",
		(json_int_t)report->statistics->images, "techniques", "migration",
		!without->no_migration, "shifting", !without->no_shifting, "search",
		!without->no_search, "correction", !without->no_correction, "programs",
		programs_json(package), "comparison", sim_comparison_json(report->comparison),
		"layers", layers);
	if (!root)
		return tv_error_oom(error);
	*ret = TV_TAKE_PTR(root);
	return 0;
}
