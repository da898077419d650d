/* SPDX-License-Identifier: MIT */
/* triovit-sim: one file a command, one row a command in sim.c. What the commands share is here. */
#ifndef TV_TOOLS_SIM_H
#define TV_TOOLS_SIM_H

#include "image/folder.h"
#include "quantizer/network.h"
#include "tools/tool.h"

#define SIM_THREADS_MAX 1024

extern const struct tool_command sim_ablate, sim_compare, sim_dump, sim_eval, sim_inspect,
	sim_profile, sim_random, sim_run, sim_replay, sim_trace;

/* ret: unsigned int, an input size: a multiple of 32. */
int sim_take_size(const struct tool_command *command, const struct tool_option *option,
		  const char *text, void *ret);
/* ret: double, a share in (0, 1]. */
int sim_take_ratio(const struct tool_command *command, const struct tool_option *option,
		   const char *text, void *ret);

/* Rows of options that several commands have, for a field of their structure. */
#define SIM_SIZE(type, field)                                                                      \
	{                                                                                          \
		"size", 0, sim_take_size, offsetof(type, field), 32, TV_NETWORK_SIZE_MAX           \
	}
#define SIM_CROP_RATIO(type, field)                                                                \
	{                                                                                          \
		"crop-ratio", 0, sim_take_ratio, offsetof(type, field), 0, 0                       \
	}
#define SIM_LABELS(type, field)                                                                    \
	{                                                                                          \
		"labels", 0, tool_take_text, offsetof(type, field), 0, 0                           \
	}
#define SIM_TARGET(type, field)                                                                    \
	{                                                                                          \
		"target", 0, tool_take_text, offsetof(type, field), 0, 0                           \
	}
#define SIM_IMAGES(type, field)                                                                    \
	{                                                                                          \
		"images", 0, tool_take_unsigned, offsetof(type, field), 1, TV_BATCH_MAX            \
	}
#define SIM_LIMIT(type, field)                                                                     \
	{                                                                                          \
		"limit", 0, tool_take_number, offsetof(type, field), 1, TV_FOLDER_IMAGES_MAX       \
	}
#define SIM_THREADS(type, field)                                                                   \
	{                                                                                          \
		"threads", 0, tool_take_unsigned, offsetof(type, field), 1, SIM_THREADS_MAX        \
	}
#define SIM_JSON(type, field)                                                                      \
	{                                                                                          \
		"json", 0, tool_take_flag, offsetof(type, field), 0, 0                             \
	}
#define SIM_QUIET(type, field)                                                                     \
	{                                                                                          \
		"quiet", 'q', tool_take_flag, offsetof(type, field), 0, 0                          \
	}

/* "b0" to "b3" whatever the number of classes, NULL for another member of the family. */
const char *sim_architecture_name(const struct tv_architecture *architecture);
/* "EfficientViT-B0, 16 classes, input 96x96" on one line of standard output. */
void sim_print_architecture(const struct tv_network *network);

json_t *sim_json_unsigned(const unsigned int *values, size_t count);
json_t *sim_json_float(const float *values, size_t count);
/* The b0 to b3 name (or null) and every figure of an architecture. */
json_t *sim_json_architecture(const struct tv_architecture *architecture);

#endif
