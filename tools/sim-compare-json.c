/* SPDX-License-Identifier: MIT */
#include "tools/sim-compare.h"

double sim_comparison_clipped(const struct sim_comparison *comparison)
{
	double clipped = 0, values = 0;

	for (size_t i = 0; i < comparison->network->count; i++) {
		clipped += (double)comparison->layers[i].sums.clipped;
		values += (double)comparison->layers[i].sums.values;
	}
	return sim_percent(clipped, values);
}

static json_t *layers_json(const struct sim_comparison *comparison)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < comparison->network->count; i++) {
		const struct sim_layer *layer = &comparison->layers[i];
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

static json_t *worst_json(const struct sim_comparison *comparison)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < comparison->network->count && i < SIM_WORST_LAYERS; i++)
		if (json_array_append_new(array, tool_json_string(comparison->worst[i]->name)) < 0)
			return NULL;
	return TV_TAKE_PTR(array);
}

/* What only labels can tell. */
static json_t *right_json(const struct sim_verdict *v)
{
	const double n = (double)v->count;

	return json_pack("{s:f, s:f, s:f, s:[f, f], s:I, s:I}", "float_top1",
			 sim_percent((double)v->float_right, n), "integer_top1",
			 sim_percent((double)v->other_right, n), "drop", v->drop, "interval",
			 v->low, v->high, "only_float_right", (json_int_t)v->only_float,
			 "only_integer_right", (json_int_t)v->only_other);
}

json_t *sim_comparison_json(const struct sim_comparison *comparison)
{
	const struct sim_verdict v = sim_judge(comparison->pairs, comparison->count);
	const double n = (double)comparison->count;
	const bool labelled = comparison->images[0].label >= 0;
	json_auto_t *root = json_pack("{s:o, s:o, s:s, s:o, s:I, s:f, s:o, s:f, s:i}", "checkpoint",
				      tool_json_string(comparison->checkpoint), "model",
				      tool_json_string(comparison->path), "target",
				      comparison->model->program->target, "folder",
				      tool_json_string(comparison->folder), "images",
				      (json_int_t)comparison->count, "agreement",
				      sim_percent((double)v.agree, n), "logits_sqnr",
				      sim_decibels_json(sim_decibels(&v.logits)), "seconds",
				      comparison->seconds, "threads", (int)comparison->threads);
	json_auto_t *right = labelled ? right_json(&v) : json_object();
	json_auto_t *details = json_object();

	if (comparison->layer_images) {
		json_decref(details);
		details = json_pack("{s:I, s:f, s:o, s:o}", "layer_images",
				    (json_int_t)comparison->layer_images, "clipped",
				    sim_comparison_clipped(comparison), "layers",
				    layers_json(comparison), "worst_layers",
				    worst_json(comparison));
	}
	if (!root || !right || !details || json_object_update(root, right) < 0 ||
	    json_object_update(root, details) < 0)
		return NULL;
	return TV_TAKE_PTR(root);
}
