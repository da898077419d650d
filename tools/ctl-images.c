/* SPDX-License-Identifier: MIT */
#include "tools/ctl-images.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/folder.h"

void ctl_images_done(struct ctl_images *images)
{
	for (size_t i = 0; i < images->count; i++)
		free(images->list[i].path);
	free(images->list);
}

/* The class that the folder which the image is in is called like. */
static int label_of(const char *path, const struct triovit_model_info *info)
{
	const char *end = strrchr(path, '/'), *begin = end;
	size_t length;

	if (!end || !info->labels)
		return -1;
	while (begin > path && begin[-1] != '/')
		begin--;
	length = (size_t)(end - begin);
	for (uint32_t i = 0; i < info->classes; i++)
		if (strlen(info->labels[i]) == length && !memcmp(info->labels[i], begin, length))
			return (int)i;
	return -1;
}

/* Takes the paths of images, which the caller releases if that fails. */
static int add(struct ctl_images *images, const struct tv_folder_image *more, size_t count,
	       const struct triovit_model_info *info, struct tv_error *error)
{
	struct ctl_image *list;

	list = reallocarray(images->list, images->count + count, sizeof(*list));
	if (!list)
		return tv_error_oom(error);
	images->list = list;
	for (size_t i = 0; i < count; i++)
		list[images->count++] = (struct ctl_image){
			.path = more[i].path,
			.label = label_of(more[i].path, info),
		};
	return 0;
}

static int add_folder(struct ctl_images *images, const char *path,
		      const struct triovit_model_info *info, struct tv_error *error)
{
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	int r;

	r = tv_folder_read_all(path, &folder, error);
	if (r >= 0)
		r = add(images, folder.images, folder.count, info, error);
	/* The paths have a new owner. */
	if (r >= 0)
		folder.count = 0;
	return r;
}

static int add_file(struct ctl_images *images, const char *path,
		    const struct triovit_model_info *info, struct tv_error *error)
{
	struct tv_folder_image image = { .path = strdup(path) };
	int r;

	r = image.path ? add(images, &image, 1, info, error) : tv_error_oom(error);
	if (r < 0)
		free(image.path);
	return r;
}

int ctl_images_find(char *const *paths, size_t count, const struct triovit_model_info *info,
		    struct ctl_images *ret, struct tv_error *error)
{
	_cleanup_(ctl_images_done) struct ctl_images images = { 0 };
	struct stat status;
	int r = 0;

	/* What is no image, or not there, says so when it is its turn. */
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = stat(paths[i], &status) == 0 && S_ISDIR(status.st_mode) ?
			    add_folder(&images, paths[i], info, error) :
			    add_file(&images, paths[i], info, error);
	if (r < 0)
		return r;
	*ret = images;
	images = (struct ctl_images){ 0 };
	return 0;
}
