/* SPDX-License-Identifier: MIT */
/*
 * From the network's nodes to the commands of a program: which nodes make a chain, in which order
 * the images of a batch go through them, where each tensor lives, how each command is mapped on a
 * target's engines. Shapes and places only; the quantizer fills in what depends on weights and
 * scales (zero points, padding, fractions, shortcut multipliers, the epsilon).
 */
#ifndef TV_QUANTIZER_LOWER_H
#define TV_QUANTIZER_LOWER_H

#include "model/package.h"
#include "quantizer/network.h"
#include "rtl-model/target.h"

struct tv_lowered {
	struct tv_program_header header;
	struct tv_command *commands; /* header.commands of them */
	struct tv_step *steps; /* one a command */
	double estimate; /* of its cycles, tv_timing_estimate() */
};

struct tv_lower_options {
	const struct tv_target *target;
	unsigned int images; /* of a job, 1 to TV_BATCH_MAX */
	bool keep_intermediates; /* every tensor has a place of its own in the scratch segment */
};

/* -EINVAL for options out of range, -ENOSPC where the target is too small for a layer. */
int tv_lower(const struct tv_network *network, const struct tv_lower_options *options,
	     struct tv_lowered **ret, struct tv_error *error);
void tv_lowered_free(struct tv_lowered *lowered);
TV_DEFINE_CLEANUP(struct tv_lowered *, tv_lowered_free)

#endif
