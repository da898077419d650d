/* SPDX-License-Identifier: MIT */
#include "common/labels.h"

#include <errno.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"

#define LABELS_SIZE_MAX (16u << 20)

struct names {
	char **labels;
	size_t count;
};

static void names_done(struct names *names)
{
	tv_labels_free(names->labels, names->count);
}

void tv_labels_free(char **labels, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(labels[i]);
	free(labels);
}

static size_t count_lines(const char *text)
{
	size_t lines = 0;

	for (; *text; text++)
		lines += text[0] == '\n' || !text[1];
	return lines;
}

int tv_labels_parse(const char *text, char ***ret_labels, size_t *ret_count, struct tv_error *error)
{
	_cleanup_(names_done) struct names names = { 0 };
	size_t lines = count_lines(text);

	if (!lines)
		return tv_error_set(error, -EBADMSG, "no labels, expected one a line");
	if (lines > TV_LABELS_MAX)
		return tv_error_set(error, -EBADMSG, "%zu labels, at most %u", lines,
				    TV_LABELS_MAX);
	names.labels = calloc(lines, sizeof(*names.labels));
	if (!names.labels)
		return tv_error_oom(error);

	while (names.count < lines) {
		size_t length = strcspn(text, "\n"), kept = length;

		if (kept && text[kept - 1] == '\r')
			kept--;
		if (!kept)
			return tv_error_set(error, -EBADMSG,
					    "line %zu is empty, expected one label a line",
					    names.count + 1);
		names.labels[names.count] = strndup(text, kept);
		if (!names.labels[names.count])
			return tv_error_oom(error);
		names.count++;
		text += length + 1; /* beyond the end after the last line, and not read there */
	}

	*ret_labels = TV_TAKE_PTR(names.labels);
	*ret_count = names.count;
	names.count = 0;
	return 0;
}

int tv_labels_read(const char *path, char ***ret_labels, size_t *ret_count, struct tv_error *error)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t size;
	int r;

	r = tv_file_read(path, LABELS_SIZE_MAX, &data, &size, error);
	if (r < 0)
		return r;
	if (memchr(data, '\0', size))
		return tv_error_set(error, -EBADMSG, "%s: not text, expected one label a line",
				    path);
	r = tv_labels_parse((const char *)data, ret_labels, ret_count, error);
	return r < 0 ? tv_error_prefix(error, r, "%s", path) : 0;
}
