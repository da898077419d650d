/* SPDX-License-Identifier: MIT */
#include "daemon/heap.h"

#include <stdbool.h>
#include <stddef.h>

static bool before(const struct tv_heap_node *a, const struct tv_heap_node *b)
{
	return a->key != b->key ? a->key < b->key : a->order < b->order;
}

/* Two trees become one. Neither root may have siblings. */
static struct tv_heap_node *meld(struct tv_heap_node *a, struct tv_heap_node *b)
{
	if (before(b, a)) {
		struct tv_heap_node *swap = a;

		a = b;
		b = swap;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	a->child = b;
	return a;
}

/* The trees of a list of siblings become one: in pairs from the left, then from the right. */
static struct tv_heap_node *meld_siblings(struct tv_heap_node *first)
{
	struct tv_heap_node *pairs = NULL, *root = NULL;

	while (first) {
		struct tv_heap_node *a = first, *b = a->next;

		first = b ? b->next : NULL;
		a->next = NULL;
		if (b) {
			b->next = NULL;
			a = meld(a, b);
		}
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct tv_heap_node *pair = pairs;

		pairs = pair->next;
		pair->next = NULL;
		root = root ? meld(root, pair) : pair;
	}
	if (root)
		root->prev = NULL;
	return root;
}

void tv_heap_insert(struct tv_heap *heap, struct tv_heap_node *node, uint64_t key, uint64_t order)
{
	*node = (struct tv_heap_node){ .key = key, .order = order };
	heap->root = heap->root ? meld(heap->root, node) : node;
}

void tv_heap_remove(struct tv_heap *heap, struct tv_heap_node *node)
{
	struct tv_heap_node *rest = meld_siblings(node->child);

	if (node == heap->root) {
		heap->root = rest;
		return;
	}
	if (node->prev->child == node)
		node->prev->child = node->next;
	else
		node->prev->next = node->next;
	if (node->next)
		node->next->prev = node->prev;
	if (rest)
		heap->root = meld(heap->root, rest);
}
