/* SPDX-License-Identifier: MIT */
#include "image/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* Links without a circle can make few folders into very many. */
#define FOLDERS_MAX (1u << 20)

struct walk {
	struct tv_folder folder;
	unsigned int folders; /* read so far */
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

/* A folder on the way to where the walk is. */
struct level {
	const struct level *above; /* NULL: the top */
	dev_t device;
	ino_t inode;
};

/* Whether a link led back to a folder that it is in. */
static bool is_circle(const struct level *level, const struct stat *status)
{
	for (; level; level = level->above)
		if (level->device == status->st_dev && level->inode == status->st_ino)
			return true;
	return false;
}

struct entries {
	struct dirent **names;
	int count;
};

static void entries_done(struct entries *entries)
{
	for (int i = 0; i < entries->count; i++)
		free(entries->names[i]);
	free(entries->names);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* By bytes: alphasort() would ask the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int walk_folder(struct walk *walk, const char *path, const struct level *above,
		       const struct stat *status, struct tv_error *error);

static int visit_folder(struct walk *walk, const char *path, const char *name,
			const struct level *level, const struct stat *status,
			struct tv_error *error)
{
	bool label = walk->labelled && !level->above;
	int r;

	if (is_circle(level, status))
		return 0;
	r = label ? enter_label(walk, name, error) : 0;
	if (r < 0)
		return r;
	r = walk_folder(walk, path, level, status, error);
	if (r < 0)
		return r;
	return label ? leave_label(walk, path, error) : 0;
}

static int visit_file(struct walk *walk, const char *path, const char *name,
		      const struct level *level, struct tv_error *error)
{
	if (!is_image(name))
		return 0;
	if (walk->labelled && !level->above)
		return tv_error_set(error, -ENODATA,
				    "%s: an image beside the labels' folders, expected one "
				    "subfolder per label with its images in it",
				    path);
	return add_image(walk, path, error);
}

static int visit(struct walk *walk, const char *folder, const char *name,
		 const struct level *level, struct tv_error *error)
{
	const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
	_cleanup_free_ char *path = NULL;
	struct stat status;

	if (asprintf(&path, "%s%s%s", folder, slash, name) < 0) {
		path = NULL;
		return tv_error_oom(error);
	}
	if (stat(path, &status) < 0)
		return tv_error_set(error, -errno, "%s: %s", path,
				    errno == ENOENT ? "a link to nothing" : strerror(errno));
	if (S_ISDIR(status.st_mode))
		return visit_folder(walk, path, name, level, &status, error);
	if (S_ISREG(status.st_mode))
		return visit_file(walk, path, name, level, error);
	return 0;
}

/* fts(3) would do, but glibc's reads directories with 32-bit inode numbers on 32-bit machines, and
 * takes the first larger one for the end. How deep this goes is bounded by PATH_MAX. */
static int walk_folder(struct walk *walk, const char *path, const struct level *above,
		       const struct stat *status, struct tv_error *error)
{
	const struct level level = { above, status->st_dev, status->st_ino };
	_cleanup_(entries_done) struct entries entries = { 0 };
	int r;

	if (walk->folders++ == FOLDERS_MAX)
		return tv_error_set(error, -EFBIG, "%s: more than %u folders", walk->top,
				    FOLDERS_MAX);
	entries.count = scandir(path, &entries.names, is_visible, compare_names);
	if (entries.count < 0)
		return tv_error_set(error, -errno, "%s: %s", path, strerror(errno));
	for (int i = 0; i < entries.count; i++) {
		r = visit(walk, path, entries.names[i]->d_name, &level, error);
		if (r < 0)
			return r;
	}
	return 0;
}

static int walk_top(struct walk *walk, struct tv_error *error)
{
	struct stat status;

	if (stat(walk->top, &status) < 0)
		return tv_error_set(error, -errno, "%s: %s", walk->top, strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return tv_error_set(error, -ENOTDIR, "%s: not a folder", walk->top);
	return walk_folder(walk, walk->top, NULL, &status, error);
}

static int compare_images(const void *a, const void *b)
{
	const struct tv_folder_image *first = a, *second = b;

	return strcmp(first->path, second->path);
}

static void walk_done(struct walk *walk)
{
	tv_folder_done(&walk->folder);
}

static int read_folder(struct walk *walk, struct tv_folder *ret, struct tv_error *error)
{
	int r;

	walk->label = -1;
	r = walk_top(walk, error);
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
