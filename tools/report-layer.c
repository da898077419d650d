/* SPDX-License-Identifier: MIT */
/* What a layer's codes have to do with its error. */
#include <math.h>
#include <stdarg.h>

#include "quantizer/quantize-node.h"
#include "tools/report.h"

static const char *technique_of(const struct report *report, const struct report_layer *layer)
{
	switch (layer->node->role) {
	case TV_ROLE_EXPAND:
	case TV_ROLE_HEAD_CONV:
		return report->techniques->no_migration ? "tensor" : "migration";
	case TV_ROLE_DEPTHWISE:
		for (unsigned int c = 0; c < layer->seen->channels; c++)
			if (layer->codes->offset[c] != 0)
				return "shifting";
		return "tensor"; /* switched off, or no gain */
	case TV_ROLE_QKV:
	case TV_ROLE_AGGREGATE_DEPTHWISE:
	case TV_ROLE_AGGREGATE_POINTWISE:
		return "heads";
	default:
		return layer->codes->wide ? "int16" : "tensor";
	}
}

static double code_of(const struct report_layer *layer, unsigned int c, float value)
{
	return ((double)value - (double)layer->codes->offset[c]) / (double)layer->codes->scale[c] +
	       layer->codes->zero_point;
}

static int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare_doubles);
	return count ? values[count / 2] : 0;
}

static int find_channels(struct report_layer *layer, struct tv_error *error)
{
	const struct tv_node_statistics *seen = layer->seen;
	const double first = layer->codes->wide ? INT16_MIN : INT8_MIN;
	const double last = layer->codes->wide ? INT16_MAX : INT8_MAX;
	_cleanup_free_ double *ranges = calloc(seen->channels, sizeof(double));
	_cleanup_free_ double *used = calloc(seen->channels, sizeof(double));
	double least = 0, most = 0, largest = 0, middle;
	unsigned int count = 0, cut = 0;

	if (!ranges || !used)
		return tv_error_oom(error);
	for (unsigned int c = 0; c < seen->channels; c++) {
		double range = (double)seen->most[c] - (double)seen->least[c];
		double low = code_of(layer, c, seen->least[c]);
		double high = code_of(layer, c, seen->most[c]);

		least = fmin(least, (double)seen->least[c]);
		most = fmax(most, (double)seen->most[c]);
		if (!(range > 0))
			continue;
		if (range > largest) {
			largest = range;
			layer->widest = c;
		}
		cut += low < first - 0.5 || high > last + 0.5;
		ranges[count] = range;
		used[count++] = 100 * (fmin(high, last) - fmax(low, first)) / (last - first);
	}
	middle = median(ranges, count);
	layer->used = median(used, count);
	layer->used_before = most > least ? 100 * middle / (most - least) : 0;
	layer->spread = middle > 0 ? largest / middle : 0;
	layer->cut = sim_percent(cut, count);
	return 0;
}

int report_layer_find(const struct report *report, size_t index, struct report_layer *ret,
		      struct tv_error *error)
{
	struct report_layer layer = {
		.node = &report->comparison->network->nodes[index],
		.seen = &report->statistics->nodes[index],
		.codes = &report->quantized->nodes[index],
		.measured = &report->comparison->layers[index],
	};
	const struct sim_layer_sums *sums = &layer.measured->sums;
	struct sim_sqnr rounding = { .signal = sums->isolated.signal };
	int r;

	/* Rounding is off by a twelfth of the squared step on average. */
	for (unsigned int c = 0; c < layer.seen->channels; c++)
		rounding.noise +=
			(double)layer.codes->scale[c] * (double)layer.codes->scale[c] / 12;
	rounding.noise *= (double)sums->values / layer.seen->channels;
	layer.rounding = sim_decibels(&rounding);
	if (sums->isolated.signal > 0)
		layer.peak = tv_magnitude(layer.seen) /
			     sqrt(sums->isolated.signal / (double)sums->values);
	layer.technique = technique_of(report, &layer);
	r = find_channels(&layer, error);
	if (r < 0)
		return r;
	*ret = layer;
	return 0;
}

/* Real value of the divisor's 1: q's scale times that of the codes of sum(k). */
static double divisor_unit(const struct report *report, const struct report_layer *layer,
			   unsigned int head)
{
	const struct tv_node *node = layer->node;
	const struct tv_head *record = &layer->codes->heads[head];
	const unsigned int maps[] = { (unsigned int)node->input, (unsigned int)node->input2 };
	unsigned int dim = node->head_dim;
	unsigned int first = report->comparison->network->nodes[maps[0]].out_channels / (3 * dim);
	const float *scale = report->quantized->nodes[maps[head >= first]].scale +
			     (size_t)(head % first) * 3 * dim;
	double gain =
		ldexp(record->sum_multiplier, -(15 + record->sum_narrow + (int)record->sum_shift));

	return gain > 0 ? (double)scale[0] * (double)scale[dim] / gain : 0;
}

/* The largest divisor that has a code. */
static double window_end(const struct report *report, const struct report_layer *layer,
			 unsigned int head)
{
	return ldexp(divisor_unit(report, layer, head),
		     layer->codes->heads[head].log2_base + TV_LOG2_CODES - 1);
}

json_t *report_heads(const struct report *report, const struct report_layer *layer)
{
	json_auto_t *array = json_array();

	for (unsigned int h = 0; h < layer->node->out_channels / layer->node->head_dim; h++) {
		double end = window_end(report, layer, h);
		json_t *head = json_pack("{s:f, s:[f, f]}", "largest_divisor",
					 (double)layer->seen->divisor[h], "window",
					 ldexp(end, -(TV_LOG2_CODES - 1)), end);

		if (json_array_append_new(array, head) < 0)
			return NULL;
	}
	return TV_TAKE_PTR(array);
}

__attribute__((format(printf, 2, 3))) static void say(json_t *why, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		text = NULL;
	/* One that is missing for want of memory is no error: the figures are all there. */
	json_array_append_new(why, text ? json_string(text) : NULL);
}

/* The step is too wide for what most of the values are. */
static void say_step(json_t *why, const struct report_layer *layer)
{
	const struct tv_node_statistics *seen = layer->seen;
	unsigned int w = layer->widest;

	say(why,
	    "Most of its error is the rounding of its own values: exact values in the same codes "
	    "would have %.1f dB.",
	    layer->rounding);
	if (layer->used < 25)
		say(why,
		    "Its channels share one step and differ much: channel %u goes from %.3g to "
		    "%.3g, %.0f times as wide as the median one. Half of the channels use less "
		    "than %.0f %% of the codes.",
		    w, (double)seen->least[w], (double)seen->most[w], layer->spread, layer->used);
	if (layer->peak > 10)
		say(why,
		    "Rare large values set the step: the largest is %.0f times the root mean "
		    "square.",
		    layer->peak);
}

/* The layer's own codes are not to blame. */
static void say_inputs(json_t *why, const struct report_layer *layers, size_t index)
{
	const struct report_layer *layer = &layers[index], *input;

	say(why,
	    "The rounding of its own values would allow %.1f dB: most of its error is the "
	    "rounding "
	    "of what it reads and of its weights.",
	    layer->rounding);
	if (layer->node->input == TV_NETWORK_INPUT)
		return;
	input = &layers[layer->node->input];
	if (!input->codes->wide && input->used < 25)
		say(why,
		    "It reads %s, where half of the channels use less than %.0f %% of the codes "
		    "(channel %u is %.0f times as wide as the median one).",
		    input->node->name, input->used, input->widest, input->spread);
	else if (input->node->kind == TV_NODE_ATTENTION)
		say(why, "It reads an attention, whose quotients are coarse.");
	else if (input->peak > 10)
		say(why, "It reads %s, where the largest value is %.0f times the root mean square.",
		    input->node->name, input->peak);
}

static void say_attention(const struct report *report, json_t *why,
			  const struct report_layer *layer)
{
	unsigned int heads = layer->node->out_channels / layer->node->head_dim;
	double least = INFINITY, most = 0;

	say(why,
	    "Its divisor has a code of 4 bits, a power of two: each quotient is off by a factor "
	    "of up to 1.41.");
	for (unsigned int h = 0; h < heads; h++) {
		double largest = (double)layer->seen->divisor[h];
		double room = window_end(report, layer, h) / largest;

		if (!(largest > 0))
			continue;
		least = fmin(least, room);
		most = fmax(most, room);
	}
	if (most > 0)
		say(why,
		    "The windows of its %u heads end at %.1f to %.1f times the largest divisor "
		    "that calibration saw, and begin at 2^-15 of that.",
		    heads, least, most);
}

json_t *report_why(const struct report *report, const struct report_layer *layers, size_t index)
{
	const struct report_layer *layer = &layers[index];
	const struct sim_layer_sums *sums = &layer->measured->sums;
	double clipped = sim_percent((double)sums->clipped, (double)sums->values);
	json_auto_t *why = json_array();

	if (!why)
		return NULL;
	if (layer->node->kind == TV_NODE_ATTENTION)
		say_attention(report, why, layer);
	else if (isfinite(layer->rounding) && layer->measured->isolated > layer->rounding - 3)
		say_step(why, layer);
	else if (isfinite(layer->rounding))
		say_inputs(why, layers, index);
	if (layer->cut > 0 && clipped > 0.1)
		say(why,
		    "The search for its range cuts off the ends of %.0f %% of the channels; "
		    "%.2g %% of the values are at an end.",
		    layer->cut, clipped);
	if (layer->codes->dead)
		say(why, "%u of its %u channels are dead: all their weights are 0.",
		    layer->codes->dead, layer->node->out_channels);
	return TV_TAKE_PTR(why);
}
