/* SPDX-License-Identifier: MIT */
/*
 * One node of the integer network by itself: a layer's own error, without what the layers before it
 * have done. Each node is cut out of the command that computes it (of a chain, one stage) and run
 * as a program of one command on inputs of the caller's.
 */
#ifndef TV_QUANTIZER_ISOLATE_H
#define TV_QUANTIZER_ISOLATE_H

#include "quantizer/integer.h"
#include "quantizer/network.h"

struct tv_isolate;

/* Of a program as in tv_integer_runner_new(); network: what the package was made from, for what
 * each node reads. -EINVAL where its nodes are not the package's. All must outlive *ret, which is
 * one thread's. */
int tv_isolate_new(const struct tv_package *package, const struct tv_package_program *program,
		   const struct tv_target *target, const struct tv_network *network,
		   struct tv_isolate **ret, struct tv_error *error);
void tv_isolate_free(struct tv_isolate *isolate);
TV_DEFINE_CLEANUP(struct tv_isolate *, tv_isolate_free)

/* Whether a node's codes are int16_t, and how many one image has. */
bool tv_isolate_wide(const struct tv_isolate *isolate, size_t node);
size_t tv_isolate_elements(const struct tv_isolate *isolate, size_t node);

/* Real values of one image to codes, to the nearest: what the node before would have put out if it
 * made no other error. ret: tv_isolate_elements() of int8_t or int16_t. */
void tv_isolate_codes(const struct tv_isolate *isolate, size_t node, const float *values,
		      void *ret);

/* Runs the node on one image. rgb: the input image; codes: by node, those that this one reads must
 * be there. ret: its codes. */
int tv_isolate_run(struct tv_isolate *isolate, size_t node, const uint8_t *rgb, void *const *codes,
		   void *ret, struct tv_error *error);

#endif
