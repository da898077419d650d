/* SPDX-License-Identifier: MIT */
/*
 * The same images through the float network and the integer one, as triovit-sim compare and the
 * report of triovit-quantize show it. What is measured of one image is kept by image and summed in
 * their order, so that no figure depends on the threads.
 */
#ifndef TV_TOOLS_SIM_COMPARE_H
#define TV_TOOLS_SIM_COMPARE_H

#include "common/progress.h"
#include "quantizer/float.h"
#include "quantizer/isolate.h"
#include "tools/sim-paired.h"
#include "tools/sim-subject.h"

#define SIM_LAYER_IMAGES 32
#define SIM_WORST_LAYERS 10

/* Of one layer. */
struct sim_layer_sums {
	struct sim_sqnr accumulated; /* as the integer network runs */
	struct sim_sqnr isolated; /* on the float network's inputs, rounded to codes */
	uint64_t values, clipped; /* of those of the integer network: at the ends of the codes */
};

/* A layer over all its images. */
struct sim_layer {
	const char *name;
	struct sim_layer_sums sums;
	double isolated, accumulated; /* dB */
};

struct sim_comparison {
	/* The caller's. */
	const char *checkpoint, *path, *folder; /* the names of what is compared */
	const struct tv_network *network;
	const struct sim_model *model;
	const struct tv_folder_image *images; /* with labels, or without: then nobody is right */
	size_t count;
	size_t layer_images; /* layers over so many images, evenly taken */
	unsigned int threads; /* 0: one per processor */
	bool quiet;
	/* What sim_comparison_run() has found. */
	struct sim_pair *pairs; /* by image */
	struct sim_layer_sums *sums; /* [layer_images][nodes] */
	struct sim_layer *layers; /* by node; nothing in them without layer_images */
	const struct sim_layer **worst; /* the same, that with the lowest isolated SQNR first */
	double seconds;
};

int sim_comparison_run(struct sim_comparison *comparison, struct tv_error *error);
/* Frees what it has found. */
void sim_comparison_done(struct sim_comparison *comparison);

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

/* --- what came out, sim-compare-print.c and sim-compare-json.c ---------------------------- */

/* Values at the ends of their codes, of all that there are. */
double sim_comparison_clipped(const struct sim_comparison *comparison);
/* all_layers: not only the worst. */
int sim_comparison_print(const struct sim_comparison *comparison, bool all_layers,
			 struct tv_error *error);
/* NULL: out of memory. */
json_t *sim_comparison_json(const struct sim_comparison *comparison);

#endif
