/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sim-compare.h"

struct sim_layers {
	const struct tv_package *package;
	const struct tv_network *network;
	struct tv_isolate *isolate;
	/* By node: the integer network's codes, and the float network's values as codes. */
	void **integer, **rounded;
	bool *seen; /* what the integer network has put out */
	void *result; /* of one layer */
	/* While the float network runs: */
	const uint8_t *rgb;
	struct sim_layer_sums *sums;
	struct tv_error *error;
};

static int allocate(struct sim_layers *layers, struct tv_error *error)
{
	size_t count = layers->network->count, largest = 1;

	layers->integer = calloc(count, sizeof(*layers->integer));
	layers->rounded = calloc(count, sizeof(*layers->rounded));
	layers->seen = calloc(count, sizeof(*layers->seen));
	if (!layers->integer || !layers->rounded || !layers->seen)
		return tv_error_oom(error);
	for (size_t i = 0; i < count; i++) {
		size_t bytes = tv_isolate_elements(layers->isolate, i) *
			       (tv_isolate_wide(layers->isolate, i) ? 2 : 1);

		layers->integer[i] = malloc(bytes);
		layers->rounded[i] = malloc(bytes);
		if (!layers->integer[i] || !layers->rounded[i])
			return tv_error_oom(error);
		largest = bytes > largest ? bytes : largest;
	}
	layers->result = malloc(largest);
	return layers->result ? 0 : tv_error_oom(error);
}

int sim_layers_new(const struct sim_comparison *comparison, struct sim_layers **ret,
		   struct tv_error *error)
{
	const struct sim_model *model = comparison->model;
	_cleanup_(sim_layers_freep) struct sim_layers *layers = calloc(1, sizeof(*layers));
	int r;

	if (!layers)
		return tv_error_oom(error);
	layers->package = model->package;
	layers->network = comparison->network;
	r = tv_isolate_new(model->package, model->program, &model->target.target,
			   comparison->network, &layers->isolate, error);
	if (r >= 0)
		r = allocate(layers, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(layers);
	return 0;
}

void sim_layers_free(struct sim_layers *layers)
{
	if (!layers)
		return;
	for (size_t i = 0; i < layers->network->count; i++) {
		if (layers->integer)
			free(layers->integer[i]);
		if (layers->rounded)
			free(layers->rounded[i]);
	}
	free(layers->integer);
	free(layers->rounded);
	free(layers->seen);
	free(layers->result);
	tv_isolate_free(layers->isolate);
	free(layers);
}

void sim_layers_watch(const struct tv_integer_value *value, void *userdata)
{
	struct sim_layers *layers = userdata;
	size_t elements = (size_t)value->height * value->width * value->channels;

	/* Not of the layer's shape: no value of it. The package is somebody else's. */
	if (elements != tv_isolate_elements(layers->isolate, value->index) ||
	    value->wide != tv_isolate_wide(layers->isolate, value->index))
		return;
	memcpy(layers->integer[value->index], value->codes, elements * (value->wide ? 2 : 1));
	layers->seen[value->index] = true;
}

static int code_at(const void *codes, bool wide, size_t i)
{
	return wide ? ((const int16_t *)codes)[i] : ((const int8_t *)codes)[i];
}

/* How far codes are from what they stand for. clipped: counts those at the ends, or NULL. */
static struct sim_sqnr compare(const struct sim_layers *layers, size_t index, const float *value,
			       const void *codes, uint64_t *clipped)
{
	const struct tv_package_node *node = &layers->package->nodes[index];
	const bool wide = tv_isolate_wide(layers->isolate, index);
	const size_t pixels = tv_isolate_elements(layers->isolate, index) / node->channels;
	const int least = wide ? INT16_MIN : INT8_MIN, most = wide ? INT16_MAX : INT8_MAX;
	struct sim_sqnr sums = { 0, 0 };

	for (size_t p = 0; p < pixels; p++)
		for (uint32_t c = 0; c < node->channels; c++) {
			size_t i = p * node->channels + c;
			int code = code_at(codes, wide, i);
			double real = (double)node->scale[c] * code + (double)node->offset[c];
			double wanted = (double)value[i];

			sums.signal += wanted * wanted;
			sums.noise += (wanted - real) * (wanted - real);
			if (clipped)
				*clipped += code == least || code == most;
		}
	return sums;
}

static int measure(const struct tv_node *node, size_t index, float *value, void *userdata)
{
	struct sim_layers *layers = userdata;
	struct sim_layer_sums *sums = &layers->sums[index];
	int r;

	if (!layers->seen[index])
		return tv_error_set(layers->error, -EINVAL, "no command computes '%s'", node->name);
	*sums = (struct sim_layer_sums){ .values = tv_isolate_elements(layers->isolate, index) };
	sums->accumulated = compare(layers, index, value, layers->integer[index], &sums->clipped);
	r = tv_isolate_run(layers->isolate, index, layers->rgb, layers->rounded, layers->result,
			   layers->error);
	if (r < 0)
		return r;
	sums->isolated = compare(layers, index, value, layers->result, NULL);
	/* For those layers that come after it. */
	tv_isolate_codes(layers->isolate, index, value, layers->rounded[index]);
	return 0;
}

int sim_layers_measure(struct sim_layers *layers, struct tv_float_runner *runner,
		       const uint8_t *rgb, float *logits, struct sim_layer_sums *sums,
		       struct tv_error *error)
{
	int r;

	layers->rgb = rgb;
	layers->sums = sums;
	layers->error = error;
	r = tv_float_run(runner, rgb, measure, layers, logits);
	memset(layers->seen, 0, layers->network->count * sizeof(*layers->seen));
	return r;
}
