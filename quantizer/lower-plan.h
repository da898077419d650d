/* SPDX-License-Identifier: MIT */
/* One way to lower a network, of the many that tv_lower() tries. */
#ifndef TV_QUANTIZER_LOWER_PLAN_H
#define TV_QUANTIZER_LOWER_PLAN_H

#include "quantizer/lower.h"

/*
 * The images of a job go through the first chains of layers, together of them, one by one, and
 * through the rest all at once. onchip: bytes for operands; the rest of the on-chip memory streams
 * weights. copied: the linear layer, by its node, whose weights a COPY brings into memory that
 * operands have left; TV_STEP_NONE: none's. -ENOSPC where something does not fit.
 */
int tv_lower_plan(const struct tv_network *network, const struct tv_lower_options *options,
		  size_t together, uint64_t onchip, int copied, struct tv_lowered **ret,
		  struct tv_error *error);

#endif
