/* SPDX-License-Identifier: MIT */
/*
 * The float32 forward pass: what integers are compared with, and what calibration watches. One
 * runner is one thread's working memory; runners of one network may work at the same time. The
 * result depends on network and input alone, not on threads.
 */
#ifndef TV_QUANTIZER_FLOAT_H
#define TV_QUANTIZER_FLOAT_H

#include "quantizer/network.h"

struct tv_float_runner;

int tv_float_runner_new(const struct tv_network *network, struct tv_float_runner **ret,
			struct tv_error *error);
void tv_float_runner_free(struct tv_float_runner *runner);
TV_DEFINE_CLEANUP(struct tv_float_runner *, tv_float_runner_free)

/* Called after each node: its value, [height][width][channels], valid during the call. May change
 * it in place (how a quantized value is tried out). A negative return ends the pass with it. */
typedef int (*tv_float_observer)(const struct tv_node *node, size_t index, float *value,
				 void *userdata);

/* What an attention divides by in place of divisor, for head (those of the first map come first) of
 * node index: how codes of the divisor are tried out. */
typedef float (*tv_float_divisor)(size_t index, unsigned int head, float divisor, void *userdata);

/* In all that the runner runs from now on; round NULL: as it is. */
void tv_float_runner_round_divisors(struct tv_float_runner *runner, tv_float_divisor round,
				    void *userdata);

/* Normalises rgb (size * size * 3 bytes) and runs the network. logits: classes floats, the
 * caller's. observer may be NULL. */
int tv_float_run(struct tv_float_runner *runner, const uint8_t *rgb, tv_float_observer observer,
		 void *userdata, float *logits);

#endif
