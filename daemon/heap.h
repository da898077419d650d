/* SPDX-License-Identifier: MIT */
/*
 * A priority queue of nodes that lie in what they order: a pairing heap (Fredman, Sedgewick,
 * Sleator, Tarjan 1986). Nothing is allocated, so nothing can fail. Insertion and the smallest are
 * O(1), removal of any node O(log n) amortized.
 */
#ifndef TV_DAEMON_HEAP_H
#define TV_DAEMON_HEAP_H

#include <stdint.h>

struct tv_heap_node {
	uint64_t key, order; /* smallest key first; among equal keys, smallest order */
	/* prev is the parent for a first child, else the sibling before */
	struct tv_heap_node *child, *next, *prev;
};

/* All zero is an empty heap; root is the smallest node, NULL if there is none. */
struct tv_heap {
	struct tv_heap_node *root;
};

void tv_heap_insert(struct tv_heap *heap, struct tv_heap_node *node, uint64_t key, uint64_t order);

/* node must be in heap. */
void tv_heap_remove(struct tv_heap *heap, struct tv_heap_node *node);

#endif
