/* SPDX-License-Identifier: MIT */
/* Programs in memory that never changes, prepared: the few that a driver queues over and over. */
#include <stdlib.h>

#include "rtl-model/device-private.h"
#include "rtl-model/kernels.h"

enum {
	PROGRAMS = 4
};

/* Of a program, in bytes. */
#define PREPARED_MAX ((size_t)32 << 20)

struct entry {
	struct tv_device_constant memory[2];
	struct tv_prepared *prepared;
	uint64_t used; /* 0: never */
};

struct tv_device_prepared {
	struct entry entries[PROGRAMS];
	uint64_t uses;
};

struct tv_device_prepared *tv_device_prepared_new(void)
{
	return calloc(1, sizeof(struct tv_device_prepared));
}

void tv_device_prepared_free(struct tv_device_prepared *all)
{
	if (!all)
		return;
	for (unsigned int i = 0; i < PROGRAMS; i++)
		tv_prepared_unref(all->entries[i].prepared);
	free(all);
}

static bool is_same(const struct tv_device_constant *a, const struct tv_device_constant *b)
{
	return a->number == b->number && a->data == b->data && a->size == b->size;
}

/* The one of that memory, or else the one that was not used for the longest time. */
static struct entry *choose(struct tv_device_prepared *all,
			    const struct tv_device_constant memory[2])
{
	struct entry *oldest = &all->entries[0];

	for (unsigned int i = 0; i < PROGRAMS; i++) {
		struct entry *entry = &all->entries[i];

		if (is_same(&entry->memory[0], &memory[0]) &&
		    is_same(&entry->memory[1], &memory[1]))
			return entry;
		if (entry->used < oldest->used)
			oldest = entry;
	}
	tv_prepared_unref(oldest->prepared);
	*oldest = (struct entry){ .memory = { memory[0], memory[1] } };
	return oldest;
}

const struct tv_prepared *tv_device_prepare(struct tv_device_prepared *all,
					    const struct tv_device_constant memory[2],
					    const struct tv_program *program,
					    const struct tv_segment_view *weights)
{
	struct tv_error error = { 0 };
	struct entry *entry;

	if (!memory[0].number || !memory[1].number)
		return NULL;
	entry = choose(all, memory);
	entry->used = ++all->uses;
	/* Without memory it is not prepared. */
	if (!entry->prepared)
		(void)tv_prepared_new(tv_kernels_get(0), program, weights, PREPARED_MAX,
				      &entry->prepared, &error);
	return entry->prepared;
}
