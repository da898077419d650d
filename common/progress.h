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
/* Leaves a line that says how much was done in what time. Call it before an error is printed. */
void tv_progress_end(struct tv_progress *progress, size_t done, size_t total);

/* What tv_progress_update() writes at time now_us: for a terminal of columns columns, in which it
 * leaves the last one free, or plain (0). Into text, truncated to fit; returns text. */
const char *tv_progress_format(const struct tv_progress *progress, uint64_t now_us, size_t done,
			       size_t total, unsigned int columns, char *text, size_t size);

#endif
