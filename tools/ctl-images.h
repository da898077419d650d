/* SPDX-License-Identifier: MIT */
/* Images that a command line names. */
#ifndef TV_TOOLS_CTL_IMAGES_H
#define TV_TOOLS_CTL_IMAGES_H

#include "tools/ctl.h"

struct ctl_image {
	char *path;
	int label; /* the class that its folder is called like, or -1 */
};

struct ctl_images {
	struct ctl_image *list;
	size_t count;
};

/* paths: of images, or of folders with images at any depth. */
int ctl_images_find(char *const *paths, size_t count, const struct triovit_model_info *info,
		    struct ctl_images *ret, struct tv_error *error);
void ctl_images_done(struct ctl_images *images);

#endif
