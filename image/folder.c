/* SPDX-License-Identifier: MIT */
#include "image/folder.h"

#include <errno.h>
#include <fts.h>
#include <string.h>
#include <strings.h>

struct walk {
	struct tv_folder folder;
	size_t image_room, label_room;
	const char *top;
	bool labelled;
	char *const *known; /* the labels that subfolders are looked up among; NULL: any name */
	size_t known_count;
	int label; /* of the subfolder that the walk is in, -1 outside */
	size_t label_images;
};

/* Room for one element more, doubling. */
static int grow(void *array, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 64;
	void *grown;

	if (count < *room)
		return 0;
	grown = reallocarray(*(void **)array, more, size);
	if (!grown)
		return -ENOMEM;
	*(void **)array = grown;
	*room = more;
	return 0;
}

static int add_image(struct walk *walk, const char *path, struct tv_error *error)
{
	struct tv_folder *folder = &walk->folder;
	char *copy;

	if (folder->count == TV_FOLDER_IMAGES_MAX)
		return tv_error_set(error, -EFBIG, "%s: more than %u images", walk->top,
				    TV_FOLDER_IMAGES_MAX);
	if (grow(&folder->images, folder->count, &walk->image_room, sizeof(*folder->images)) < 0)
		return tv_error_oom(error);
	copy = strdup(path);
	if (!copy)
		return tv_error_oom(error);
	folder->images[folder->count++] = (struct tv_folder_image){
		.path = copy,
		.label = walk->label,
	};
	walk->label_images++;
	return 0;
}

static int add_label(struct walk *walk, const char *name, struct tv_error *error)
{
	struct tv_folder *folder = &walk->folder;
	char *copy;

	if (folder->label_count == TV_LABELS_MAX)
		return tv_error_set(error, -EFBIG, "%s: more than %u labels", walk->top,
				    TV_LABELS_MAX);
	if (grow(&folder->labels, folder->label_count, &walk->label_room,
		 sizeof(*folder->labels)) < 0)
		return tv_error_oom(error);
	copy = strdup(name);
	if (!copy)
		return tv_error_oom(error);
	folder->labels[folder->label_count++] = copy;
	return 0;
}

static int find_label(const struct walk *walk, const char *name, int *ret, struct tv_error *error)
{
	int found = -1;

	for (size_t i = 0; i < walk->known_count; i++) {
		if (strcmp(walk->known[i], name))
			continue;
		/* Labels may repeat as long as no folder asks which one is meant. */
		if (found >= 0)
			return tv_error_set(error, -ENOTUNIQ,
					    "%s/%s: both label %d and label %zu have this name",
					    walk->top, name, found, i);
		found = (int)i;
	}
	if (found < 0)
		return tv_error_set(error, -EINVAL,
				    "%s/%s: no label has this name, expected one of %zu ('%s'%s)",
				    walk->top, name, walk->known_count, walk->known[0],
				    walk->known_count > 1 ? ", ..." : "");
	*ret = found;
	return 0;
}

static int enter_label(struct walk *walk, const char *name, struct tv_error *error)
{
	walk->label_images = 0;
	if (walk->known)
		return find_label(walk, name, &walk->label, error);
	/* Siblings come sorted by name. */
	walk->label = (int)walk->folder.label_count;
	return add_label(walk, name, error);
}

static int leave_label(struct walk *walk, const char *path, struct tv_error *error)
{
	walk->label = -1;
	if (!walk->label_images)
		return tv_error_set(error, -ENODATA,
				    "%s: a label's folder without any .png, .jpg or .jpeg image",
				    path);
	return 0;
}

static bool is_image(const char *name)
{
	const char *extension = strrchr(name, '.');

	return extension && (!strcasecmp(extension, ".png") || !strcasecmp(extension, ".jpg") ||
			     !strcasecmp(extension, ".jpeg"));
}

static int visit_file(struct walk *walk, const FTSENT *entry, struct tv_error *error)
{
	if (entry->fts_level == FTS_ROOTLEVEL)
		return tv_error_set(error, -ENOTDIR, "%s: not a folder", walk->top);
	if (!is_image(entry->fts_name))
		return 0;
	if (walk->labelled && entry->fts_level == FTS_ROOTLEVEL + 1)
		return tv_error_set(error, -ENODATA,
				    "%s: an image beside the labels' folders, expected one "
				    "subfolder per label with its images in it",
				    entry->fts_path);
	return add_image(walk, entry->fts_path, error);
}

static int visit(struct walk *walk, FTS *tree, FTSENT *entry, struct tv_error *error)
{
	bool top = entry->fts_level == FTS_ROOTLEVEL;
	bool label = walk->labelled && entry->fts_level == FTS_ROOTLEVEL + 1;
	bool hidden = !top && entry->fts_name[0] == '.';

	/* A hidden folder that is skipped is left all the same, and one that cannot be read is
	 * nobody's business. */
	if (hidden) {
		fts_set(tree, entry, FTS_SKIP);
		return 0;
	}

	switch (entry->fts_info) {
	case FTS_D:
		return label ? enter_label(walk, entry->fts_name, error) : 0;
	case FTS_DP:
		return label ? leave_label(walk, entry->fts_path, error) : 0;
	case FTS_F:
		return visit_file(walk, entry, error);
	case FTS_DC: /* a link to a folder that it is in: seen already */
	case FTS_DEFAULT: /* a pipe, a device */
		return top ? visit_file(walk, entry, error) : 0;
	case FTS_SLNONE:
		if (!top && !is_image(entry->fts_name))
			return 0;
		return tv_error_set(error, -ENOENT, "%s: a link to nothing", entry->fts_path);
	default:
		return tv_error_set(error, -entry->fts_errno, "%s: %s", entry->fts_path,
				    strerror(entry->fts_errno));
	}
}

static int compare_entries(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int compare_images(const void *a, const void *b)
{
	const struct tv_folder_image *first = a, *second = b;

	return strcmp(first->path, second->path);
}

TV_DEFINE_CLEANUP(FTS *, fts_close)

/* Links are followed, as ImageFolder does; fts sees when they lead in a circle. */
static int walk_tree(struct walk *walk, struct tv_error *error)
{
	char *const tops[] = { (char *)walk->top, NULL };
	_cleanup_(fts_closep) FTS *tree = NULL;
	int r;

	/* NOCHDIR: the working directory is the whole process's. */
	tree = fts_open(tops, FTS_LOGICAL | FTS_NOCHDIR, compare_entries);
	if (!tree)
		return tv_error_set(error, -errno, "%s: %s", walk->top, strerror(errno));
	for (;;) {
		FTSENT *entry;

		errno = 0;
		entry = fts_read(tree);
		if (!entry && errno)
			return tv_error_set(error, -errno, "%s: %s", walk->top, strerror(errno));
		if (!entry)
			return 0;
		r = visit(walk, tree, entry, error);
		if (r < 0)
			return r;
	}
}

static void walk_done(struct walk *walk)
{
	tv_folder_done(&walk->folder);
}

static int read_folder(struct walk *walk, struct tv_folder *ret, struct tv_error *error)
{
	int r;

	walk->label = -1;
	r = walk_tree(walk, error);
	if (r < 0)
		return r;
	if (!walk->folder.count)
		return tv_error_set(error, -ENODATA,
				    walk->labelled ? "%s: no image, expected one subfolder per "
						     "label with .png, .jpg or .jpeg images" :
						     "%s: no .png, .jpg or .jpeg image in it",
				    walk->top);
	for (size_t i = 0; i < walk->known_count; i++) {
		r = add_label(walk, walk->known[i], error);
		if (r < 0)
			return r;
	}
	qsort(walk->folder.images, walk->folder.count, sizeof(*walk->folder.images),
	      compare_images);
	*ret = walk->folder;
	walk->folder = (struct tv_folder){ 0 };
	return 0;
}

int tv_folder_read_labelled(const char *path, char *const *labels, size_t label_count,
			    struct tv_folder *ret, struct tv_error *error)
{
	_cleanup_(walk_done) struct walk walk = {
		.top = path,
		.labelled = true,
		.known = label_count ? labels : NULL,
		.known_count = labels ? label_count : 0,
	};

	return read_folder(&walk, ret, error);
}

int tv_folder_read_all(const char *path, struct tv_folder *ret, struct tv_error *error)
{
	_cleanup_(walk_done) struct walk walk = { .top = path };

	return read_folder(&walk, ret, error);
}

void tv_folder_done(struct tv_folder *folder)
{
	for (size_t i = 0; i < folder->count; i++)
		free(folder->images[i].path);
	free(folder->images);
	tv_labels_free(folder->labels, folder->label_count);
	*folder = (struct tv_folder){ 0 };
}
