/* SPDX-License-Identifier: MIT */
/* A directory of its own for each test: checked fixtures, so that it goes even when the test
 * fails. */
#ifndef TV_TESTS_DIRECTORY_H
#define TV_TESTS_DIRECTORY_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char tv_unit_directory[PATH_MAX - 256];

/* A path in the directory, in a static buffer. */
static inline const char *tv_unit_path(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", tv_unit_directory, name);
	return path;
}

static inline void tv_unit_directory_make(void)
{
	const char *top = getenv("TMPDIR");

	snprintf(tv_unit_directory, sizeof(tv_unit_directory), "%s/triovit-unit-XXXXXX",
		 top ? top : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(tv_unit_directory));
}

/* Calls what is in the directory, without "." and "..", and counts it. */
static inline unsigned int tv_unit_directory_each(void (*what)(const char *path))
{
	DIR *directory = opendir(tv_unit_directory);
	struct dirent *entry;
	unsigned int count = 0;

	ck_assert_ptr_nonnull(directory);
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		count++;
		if (what)
			what(tv_unit_path(entry->d_name));
	}
	closedir(directory);
	return count;
}

static inline void tv_unit_remove(const char *path)
{
	ck_assert_int_eq(remove(path), 0);
}

static inline void tv_unit_directory_remove(void)
{
	tv_unit_directory_each(tv_unit_remove);
	tv_unit_remove(tv_unit_directory);
}

/* Writes a file of the directory and returns its path, in tv_unit_path()'s buffer. */
static inline const char *tv_unit_file(const char *name, const void *data, size_t size)
{
	const char *path = tv_unit_path(name);
	FILE *file = fopen(path, "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(data, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
	return path;
}

/* Entries of a directory of /proc/self: "fd", "task". */
static inline unsigned int count_own(const char *what)
{
	char path[64];
	unsigned int count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/self/%s", what);
	directory = opendir(path);
	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

#endif
