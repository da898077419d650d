/* SPDX-License-Identifier: MIT */
/*
 * A labelled folder, as torchvision's ImageFolder: one subfolder per label, images (.png, .jpg,
 * .jpeg, in any case) in it at any depth. An unlabelled list, for calibration, is the same without
 * the labels. Names with a leading dot are passed over, links are followed but not in circles.
 */
#ifndef TV_IMAGE_FOLDER_H
#define TV_IMAGE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/labels.h"

#define TV_FOLDER_IMAGES_MAX (1u << 24)

struct tv_folder_image {
	char *path;
	int label; /* index of its class, -1 in an unlabelled list */
};

struct tv_folder {
	struct tv_folder_image *images; /* sorted by path: the order is the same everywhere */
	size_t count;
	char **labels; /* names of the classes by index, NULL in an unlabelled list */
	size_t label_count;
};

/* With labels the class of a subfolder is the index of its name among them, and a subfolder whose
 * name is not there (-EINVAL), or there twice (-ENOTUNIQ), is an error; without (NULL, 0) the
 * subfolders' order by name is, as in ImageFolder. A folder without any image, a subfolder without
 * one and images beside the subfolders are errors (-ENODATA) that say what was expected. ret's
 * labels are all of the given ones, or the subfolders' names. */
int tv_folder_read_labelled(const char *path, char *const *labels, size_t label_count,
			    struct tv_folder *ret, struct tv_error *error);
/* Every image below path, labels -1. */
int tv_folder_read_all(const char *path, struct tv_folder *ret, struct tv_error *error);
void tv_folder_done(struct tv_folder *folder);

#endif
