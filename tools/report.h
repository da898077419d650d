/* SPDX-License-Identifier: MIT */
/*
 * The report of triovit-quantize: what quantization has cost, layer by layer and why, as JSON for
 * programs and as a page for people. The page shows what is in the JSON and nothing else.
 */
#ifndef TV_TOOLS_REPORT_H
#define TV_TOOLS_REPORT_H

#include <stdio.h>

#include "quantizer/quantize.h"
#include "tools/sim-compare.h"

#define REPORT_FORMAT  "triovit-quantize-report"
#define REPORT_VERSION 1

struct report {
	const char *calibration; /* the folder */
	const struct tv_quantize_options *techniques;
	const struct tv_statistics *statistics;
	const struct tv_quantized *quantized;
	const struct sim_comparison *comparison; /* with layers */
};

/* What is known of a layer beside its SQNR. */
struct report_layer {
	const struct tv_node *node;
	const struct tv_node_statistics *seen;
	const struct tv_quantized_node *codes;
	const struct sim_layer *measured;
	const char *technique; /* "tensor", "migration", "shifting", "heads" or "int16" */
	double rounding; /* dB: SQNR if nothing but the layer's own value were rounded */
	double peak; /* the largest value over the root of the mean square */
	/* Of the 8-bit codes, the percentage that a channel uses; the median of all channels that
	 * are not constant. Before: with one scale from the smallest to the largest value. */
	double used_before, used;
	unsigned int widest; /* channel */
	double spread; /* its range over the median one */
	double cut; /* percentage of the channels whose ends have no codes */
};

/* --- report-layer.c ----------------------------------------------------------------------- */

int report_layer_find(const struct report *report, size_t index, struct report_layer *ret,
		      struct tv_error *error);
/* A layer's divisors and what its codes can say, a head each. Attentions only. */
json_t *report_heads(const struct report *report, const struct report_layer *layer);
/* Sentences that say where the layer's error comes from. NULL: out of memory. */
json_t *report_why(const struct report *report, const struct report_layer *layers, size_t index);

/* --- report-json.c ------------------------------------------------------------------------ */

int report_json(const struct report *report, json_t **ret, struct tv_error *error);

/* --- report-page.c ------------------------------------------------------------------------ */

/* The page of a report's JSON: complete, nothing is loaded from elsewhere, no script. */
int report_page(const json_t *report, char **ret, size_t *ret_size, struct tv_error *error);

/* A number, NAN where it is null or missing. */
double report_number(const json_t *object, const char *key);
/* One of a list of numbers. */
double report_number_at(const json_t *object, const char *key, size_t i);
bool report_is_worst(const json_t *worst, const json_t *layer);
void report_decibels(FILE *page, double decibels);
/* Text from anywhere with all that means something in HTML escaped. */
void report_text(FILE *page, const char *text);

/* --- report-draw.c: inline SVG ------------------------------------------------------------ */

/* SQNR over the layers. */
void report_draw_sqnr(FILE *page, const json_t *layers, const json_t *worst);
/* The ranges of a layer's channels: as they are, and in codes. */
void report_draw_ranges(FILE *page, const json_t *layer);

#endif
