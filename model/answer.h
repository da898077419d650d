/* SPDX-License-Identifier: MIT */
/* What a network says of an image, from its logits. */
#ifndef TV_MODEL_ANSWER_H
#define TV_MODEL_ANSWER_H

#include <stdint.h>

/* The k best classes, best first; equal values in the order of their index, NaN after all numbers.
 * ret: k indices, of which the first min(k, classes) are written. */
void tv_top_k(const float *logits, unsigned int classes, unsigned int k, unsigned int *ret);

#define TV_ANSWERS_MAX 64

/* One of the best classes. */
struct tv_answer {
	unsigned int class;
	double probability; /* its share of the softmax over all */
};

/* The k best, best first. k: at most TV_ANSWERS_MAX and classes. */
void tv_answers(const float *logits, unsigned int classes, unsigned int k, struct tv_answer *ret);

#endif
