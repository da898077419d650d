/* SPDX-License-Identifier: MIT */
/* Lists of names, one a line: what classes are called. */
#ifndef TV_COMMON_LABELS_H
#define TV_COMMON_LABELS_H

#include <stddef.h>

#include "common/error.h"

#define TV_LABELS_MAX (1u << 16)

/* Class names, one a line, line i = class i, at most TV_LABELS_MAX; names may repeat (as ImageNet's
 * do), lines may end in CR LF, none may be empty (-EBADMSG). NULL path is not allowed. */
int tv_labels_read(const char *path, char ***ret_labels, size_t *ret_count, struct tv_error *error);
/* The same from one string with newlines between the names (as in a checkpoint's metadata). */
int tv_labels_parse(const char *text, char ***ret_labels, size_t *ret_count,
		    struct tv_error *error);
void tv_labels_free(char **labels, size_t count);

#endif
