/* SPDX-License-Identifier: MIT */
/* triovit-sim ablate: what each technique of quantization is for, on one checkpoint. */
#ifndef TV_TOOLS_SIM_ABLATE_H
#define TV_TOOLS_SIM_ABLATE_H

#include "quantizer/divisor.h"
#include "quantizer/quantize.h"
#include "tools/sim-paired.h"
#include "tools/sim-subject.h"

#define SIM_VARIANTS 11

/* One row: a quantized network without some technique, or the float network with coded divisors. */
struct sim_variant {
	const char *name;
	struct tv_divisor_codes divisor; /* of the float network; exact: it is a quantized one */
	struct tv_quantize_options without;
};

extern const struct sim_variant sim_variants[SIM_VARIANTS];

struct sim_ablate_options {
	const char *checkpoint, *calibrate, *folder;
	struct sim_subject_options how;
	unsigned int threads;
	uint64_t limit;
	bool json, quiet;
};

struct sim_ablation {
	const struct sim_ablate_options *options;
	const struct tv_network *network;
	const struct tv_statistics *statistics;
	struct tv_package *packages[SIM_VARIANTS]; /* of those that are quantized, else NULL */
	const struct tv_folder_image *images;
	size_t count;
	unsigned int threads;
	struct sim_pair *pairs; /* [SIM_VARIANTS][count] */
};

int sim_ablation_print(const struct sim_ablation *ablation, struct tv_error *error);

#endif
