/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include <triovit/layout.h>

#include "common/cleanup.h"
#include "quantizer/lower-memory.h"

static int by_size(const void *a, const void *b)
{
	const struct tv_tensor_place *const *x = a, *const *y = b;

	if ((*x)->size != (*y)->size)
		return (*x)->size < (*y)->size ? 1 : -1;
	/* Equal sizes in order of their birth, so that the result does not depend on the sort. */
	return (*x)->first < (*y)->first ? -1 : (*x)->first > (*y)->first ? 1 : *x < *y ? -1 : 1;
}

/*
 * The lowest offset in the segment at which the tensor meets none of those placed before: start at
 * 0 and step behind whichever placed tensor is in the way until none is.
 */
static uint64_t lowest_offset(struct tv_tensor_place *const *placed, size_t count,
			      const struct tv_tensor_place *tensor, uint8_t segment, bool reuse)
{
	uint64_t at = 0;
	bool moved;

	do {
		moved = false;
		for (size_t i = 0; i < count; i++) {
			const struct tv_tensor_place *other = placed[i];

			if (other->segment != segment || !other->size)
				continue;
			if (reuse && (other->last < tensor->first || tensor->last < other->first))
				continue;
			if (at < other->offset + other->size && other->offset < at + tensor->size) {
				at = tv_align_weights(other->offset + other->size);
				moved = true;
			}
		}
	} while (moved);
	return at;
}

int tv_place_tensors(struct tv_tensor_place *tensors, size_t count, uint64_t onchip, bool reuse,
		     uint32_t *ret_onchip, uint32_t *ret_scratch, struct tv_error *error)
{
	_cleanup_free_ struct tv_tensor_place **sorted = calloc(count ? count : 1, sizeof(*sorted));
	uint64_t top_onchip = 0, top_scratch = 0;

	if (!sorted)
		return tv_error_oom(error);
	for (size_t i = 0; i < count; i++)
		sorted[i] = &tensors[i];
	qsort(sorted, count, sizeof(*sorted), by_size);
	for (size_t i = 0; i < count; i++) {
		struct tv_tensor_place *tensor = sorted[i];
		uint64_t at;

		if (tensor->segment != TV_SEGMENT_NONE || !tensor->size)
			continue;
		at = lowest_offset(sorted, i, tensor, TV_SEGMENT_ONCHIP, true);
		if (at + tensor->size <= onchip) {
			tensor->segment = TV_SEGMENT_ONCHIP;
			tensor->offset = (uint32_t)at;
			if (at + tensor->size > top_onchip)
				top_onchip = at + tensor->size;
			continue;
		}
		at = lowest_offset(sorted, i, tensor, TV_SEGMENT_SCRATCH, reuse);
		if (at + tensor->size > UINT32_MAX)
			return tv_error_set(error, -ENOSPC, "scratch of more than 4 GiB");
		tensor->segment = TV_SEGMENT_SCRATCH;
		tensor->offset = (uint32_t)at;
		if (at + tensor->size > top_scratch)
			top_scratch = at + tensor->size;
	}
	*ret_onchip = (uint32_t)tv_align_weights(top_onchip);
	*ret_scratch = (uint32_t)top_scratch;
	return 0;
}

int tv_place_early(struct tv_tensor_place *tensors, size_t count, uint64_t onchip,
		   unsigned int ahead, struct tv_tensor_place *tensor, struct tv_error *error)
{
	_cleanup_free_ struct tv_tensor_place **placed = calloc(count ? count : 1, sizeof(*placed));
	const unsigned int latest = tensor->first;
	struct tv_tensor_place now = *tensor;
	bool found = false;

	if (!placed)
		return tv_error_oom(error);
	for (size_t i = 0; i < count; i++)
		placed[i] = &tensors[i];
	now.segment = TV_SEGMENT_ONCHIP;
	for (;; now.first--) {
		uint64_t at = lowest_offset(placed, count, &now, TV_SEGMENT_ONCHIP, true);

		if (at + now.size > onchip)
			break;
		now.offset = (uint32_t)at;
		*tensor = now;
		found = true;
		if (!now.first || latest - now.first == ahead)
			break;
	}
	return found ? 0 : -ENOSPC;
}
