/* SPDX-License-Identifier: MIT */
/* triovit-sim inspect looks at checkpoints (sim-inspect.c) and at models. */
#ifndef TV_TOOLS_SIM_INSPECT_H
#define TV_TOOLS_SIM_INSPECT_H

#include "tools/sim.h"

struct sim_inspect_options {
	const char *subject; /* a file, or b0 to b3 */
	unsigned int size;
	const char *target; /* of the program whose commands are shown; NULL: any */
	unsigned int images; /* likewise; 0: any */
	bool commands, json;
};

int sim_inspect_model(const struct sim_inspect_options *options, struct tv_error *error);

#endif
