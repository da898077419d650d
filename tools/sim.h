/* SPDX-License-Identifier: MIT */
/* triovit-sim: one file a command, one row a command in sim.c. What the commands share is here. */
#ifndef TV_TOOLS_SIM_H
#define TV_TOOLS_SIM_H

#include "quantizer/network.h"
#include "tools/tool.h"

#define SIM_THREADS_MAX 1024

extern const struct tool_command sim_ablate, sim_compare, sim_dump, sim_estimate, sim_eval,
	sim_inspect, sim_random, sim_run;

/* Option values, as tool_parse_number(). */
/* An input size: a multiple of 32. */
int sim_parse_size(const struct tool_command *command, const char *text, unsigned int *ret);
/* A share in (0, 1]. */
int sim_parse_ratio(const struct tool_command *command, const char *option, const char *text,
		    double *ret);

/* "b0" to "b3" whatever the number of classes, NULL for another member of the family. */
const char *sim_architecture_name(const struct tv_architecture *architecture);
/* "EfficientViT-B0, 16 classes, input 96x96" on one line of standard output. */
void sim_print_architecture(const struct tv_network *network);

json_t *sim_json_unsigned(const unsigned int *values, size_t count);
json_t *sim_json_float(const float *values, size_t count);
/* The b0 to b3 name (or null) and every figure of an architecture. */
json_t *sim_json_architecture(const struct tv_architecture *architecture);

#endif
