/* SPDX-License-Identifier: MIT */
/*
 * triovit-sim compare: the same images through the float network and the integer one. What is
 * measured of one image is kept by image and summed in their order, so that no figure depends on
 * the threads.
 */
#ifndef TV_TOOLS_SIM_COMPARE_H
#define TV_TOOLS_SIM_COMPARE_H

#include "common/progress.h"
#include "quantizer/float.h"
#include "quantizer/isolate.h"
#include "tools/sim-paired.h"
#include "tools/sim-subject.h"

struct sim_compare_options {
	const char *checkpoint, *model, *folder, *labels, *target;
	unsigned int images, threads, layer_images;
	uint64_t limit;
	bool json, quiet, all_layers;
};

/* Of one layer. */
struct sim_layer_sums {
	struct sim_sqnr accumulated; /* as the integer network runs */
	struct sim_sqnr isolated; /* on the float network's inputs, rounded to codes */
	uint64_t values, clipped; /* of those of the integer network: at the ends of the codes */
};

struct sim_comparison {
	const struct sim_compare_options *options;
	const struct tv_network *network;
	const struct sim_model *model;
	const struct tv_folder_image *images;
	size_t count;
	unsigned int threads;
	struct sim_pair *pairs; /* by image */
	size_t layer_images; /* the first so many */
	struct sim_layer_sums *layers; /* [layer_images][nodes] */
	double seconds;
	struct tv_progress progress;
};

/* --- layers of one image, sim-compare-layers.c -------------------------------------------- */

/* One thread's memory: codes of every layer. */
struct sim_layers;

int sim_layers_new(const struct sim_comparison *comparison, struct sim_layers **ret,
		   struct tv_error *error);
void sim_layers_free(struct sim_layers *layers);
TV_DEFINE_CLEANUP(struct sim_layers *, sim_layers_free)

/* Keeps the integer network's values: an observer of tv_integer_run(); userdata: the layers. */
void sim_layers_watch(const struct tv_integer_value *value, void *userdata);
/* Runs the float network on the same image and fills sums, one a node. logits: its own. */
int sim_layers_measure(struct sim_layers *layers, struct tv_float_runner *runner,
		       const uint8_t *rgb, float *logits, struct sim_layer_sums *sums,
		       struct tv_error *error);

/* --- what came out, sim-compare-print.c --------------------------------------------------- */

int sim_comparison_print(const struct sim_comparison *comparison, struct tv_error *error);

#endif
