/* SPDX-License-Identifier: MIT */
/*
 * Progress of long work on standard error: on a terminal one line that is redrawn (bar, share,
 * rate, time left), elsewhere a plain line at most every ten seconds and one at the end.
 */
#ifndef TV_COMMON_PROGRESS_H
#define TV_COMMON_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tv_progress {
	const char *what; /* "evaluating": names the work */
	const char *unit; /* "images" */
	bool quiet;
	bool terminal;
	uint64_t started_us; /* monotonic clock */
	uint64_t drawn_us; /* when something was last written, 0: never */
};

void tv_progress_start(struct tv_progress *progress, const char *what, const char *unit,
		       bool quiet);
void tv_progress_update(struct tv_progress *progress, size_t done, size_t total);
void tv_progress_end(struct tv_progress *progress, size_t done, size_t total);

#endif
