/* SPDX-License-Identifier: MIT */
/* Labelled folders as the commands that measure accuracy want them. */
#include <errno.h>
#include <string.h>

#include "tools/sim-subject.h"

/* An image's place within its class. */
struct ranked {
	struct tv_folder_image image;
	size_t rank;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return (x->image.label > y->image.label) - (x->image.label < y->image.label);
}

/* Brings the first image of every class to the front, then the second of every class, ... so that
 * the first N are spread evenly over the classes. */
static int interleave(struct tv_folder *folder, struct tv_error *error)
{
	_cleanup_free_ struct ranked *ranked = calloc(folder->count, sizeof(*ranked));
	_cleanup_free_ size_t *seen = calloc(folder->label_count, sizeof(*seen));

	if (!ranked || !seen)
		return tv_error_oom(error);
	for (size_t i = 0; i < folder->count; i++) {
		ranked[i].image = folder->images[i];
		ranked[i].rank = seen[folder->images[i].label]++;
	}
	qsort(ranked, folder->count, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < folder->count; i++)
		folder->images[i] = ranked[i].image;
	return 0;
}

int sim_read_folder(const char *path, const struct sim_subject *subject, uint64_t limit,
		    struct tv_folder *ret, size_t *ret_count, struct tv_error *error)
{
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	int r;

	r = tv_folder_read_labelled(path, subject->labels, subject->labels ? subject->classes : 0,
				    &folder, error);
	if (r < 0)
		return r;
	/* Without names the subfolders are the classes, and a missing one would shift all that
	 * come after it. */
	if (folder.label_count != subject->classes)
		return tv_error_set(error, -EINVAL,
				    "%s: %zu subfolders, but %s tells %u classes apart and does "
				    "not name them: give --labels FILE, a file with the name of "
				    "class i (its subfolder) on line i",
				    path, folder.label_count, subject->path, subject->classes);
	*ret_count = folder.count;
	if (limit && limit < folder.count) {
		r = interleave(&folder, error);
		if (r < 0)
			return r;
		*ret_count = limit;
	}
	*ret = folder;
	folder = (struct tv_folder){ 0 };
	return 0;
}
