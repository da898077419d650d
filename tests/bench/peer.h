/* SPDX-License-Identifier: MIT */
/* The convolutions of a network in 8-bit integers as other libraries compute them: the same shapes,
 * random weights and inputs, bias and scales, nothing between the layers; one thread. */
#ifndef TV_TESTS_BENCH_PEER_H
#define TV_TESTS_BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

struct peer_layer {
	uint32_t images, height, width, in, out, kernel, stride, groups;
};

struct peer {
	const char *name;
	/* An opaque layer, prepared to run; NULL if the library does not have it. */
	void *(*prepare)(const struct peer_layer *layer);
	void (*run)(void *prepared);
};

extern const struct peer peer_onednn;
extern const struct peer peer_xnnpack;

/* Random bytes. */
static inline void peer_fill(void *to, size_t size)
{
	uint64_t random = 1;

	for (size_t i = 0; i < size; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		((uint8_t *)to)[i] = (uint8_t)(random >> 56);
	}
}

#endif
