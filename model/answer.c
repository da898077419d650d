/* SPDX-License-Identifier: MIT */
#include "model/answer.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Whether class a stands before class b: the larger logit, numbers before NaN, the lower index. */
static bool is_better(const float *logits, unsigned int a, unsigned int b)
{
	if (isnan(logits[a]) != isnan(logits[b]))
		return isnan(logits[b]);
	if (logits[a] != logits[b] && !isnan(logits[a]))
		return logits[a] > logits[b];
	return a < b;
}

void tv_top_k(const float *logits, unsigned int classes, unsigned int k, unsigned int *ret)
{
	unsigned int count = 0;

	for (unsigned int next = 0; next < classes; next++) {
		unsigned int place = count;

		while (place > 0 && is_better(logits, next, ret[place - 1]))
			place--;
		if (place == k)
			continue;
		if (count < k)
			count++;
		memmove(ret + place + 1, ret + place, (count - 1 - place) * sizeof(*ret));
		ret[place] = next;
	}
}

void tv_answers(const float *logits, unsigned int classes, unsigned int k, struct tv_answer *ret)
{
	unsigned int best[TV_ANSWERS_MAX];
	double sum = 0;

	tv_top_k(logits, classes, k, best);
	for (unsigned int i = 0; i < classes; i++)
		sum += exp((double)(logits[i] - logits[best[0]]));
	for (unsigned int i = 0; i < k; i++)
		ret[i] = (struct tv_answer){
			.class = best[i],
			.probability = exp((double)(logits[best[i]] - logits[best[0]])) / sum,
		};
}
