/* SPDX-License-Identifier: MIT */
#include "common/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define US_PER_S UINT64_C(1000000)
#define REDRAW_US (US_PER_S / 10)
#define PLAIN_US (10 * US_PER_S)
#define LINE_SIZE 256
#define BAR_MIN 10
#define BAR_MAX 40

static uint64_t monotonic_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

/* "1:02:03", "2:03" */
static const char *format_time(double seconds, char text[32])
{
	/* Beyond 999 hours nobody counts the minutes. */
	unsigned int s = seconds < 3599999 ? (unsigned int)(seconds + 0.5) : 3599999;

	if (s >= 3600)
		snprintf(text, 32, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(text, 32, "%u:%02u", s / 60, s % 60);
	return text;
}

/* Three digits that count, never fewer than all before the point. */
static const char *format_rate(double rate, char text[32])
{
	snprintf(text, 32, "%.*f", rate < 10 ? 2 : rate < 100 ? 1 : 0, rate);
	return text;
}

/* What terminal and plain lines have in common: how many, how fast, how long. */
static void format_counts(const struct tv_progress *progress, uint64_t now_us, size_t done,
			  size_t total, char text[LINE_SIZE])
{
	double elapsed = (double)(now_us - progress->started_us) / US_PER_S;
	char rate[32], left[32];
	int length = snprintf(text, LINE_SIZE, "%zu of %zu %s", done, total, progress->unit);

	/* From nothing nothing can be foretold. */
	if (done == 0 || elapsed == 0 || done > total || length < 0 || length >= LINE_SIZE)
		return;
	snprintf(text + length, LINE_SIZE - (size_t)length, ", %s %s/s, %s left",
		 format_rate((double)done / elapsed, rate), progress->unit,
		 format_time(elapsed / (double)done * (double)(total - done), left));
}

/* "[####......] " */
static void format_bar(size_t width, size_t filled, char text[BAR_MAX + 4])
{
	text[0] = '[';
	for (size_t i = 0; i < width; i++)
		text[1 + i] = i < filled ? '#' : '.';
	memcpy(text + 1 + width, "] ", 3);
}

const char *tv_progress_format(const struct tv_progress *progress, uint64_t now_us, size_t done,
			       size_t total, unsigned int columns, char *text, size_t size)
{
	uint64_t counted = done < total ? done : total;
	uint64_t percent = total > 0 ? 100 * counted / total : 100;
	char counts[LINE_SIZE], bar[BAR_MAX + 4] = "";
	size_t used, width;

	format_counts(progress, now_us, done, total, counts);
	if (columns == 0) {
		snprintf(text, size, "%s: %s (%" PRIu64 "%%)", progress->what, counts, percent);
		return text;
	}

	/* The bar takes what the words leave: "what [bar] 100% counts" and a free last column, in
	 * which a character would make some terminals wrap. */
	used = strlen(progress->what) + strlen(" [] 100% ") + strlen(counts) + 1;
	width = columns > used ? columns - used : 0;
	width = width < BAR_MAX ? width : BAR_MAX;
	if (width >= BAR_MIN)
		format_bar(width, (size_t)(width * percent / 100), bar);
	snprintf(text, columns < size ? columns : size, "%s %s%3" PRIu64 "%% %s", progress->what,
		 bar, percent, counts);
	return text;
}

static unsigned int terminal_columns(void)
{
	struct winsize window;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) < 0 || window.ws_col == 0)
		return 80;
	return window.ws_col;
}

void tv_progress_start(struct tv_progress *progress, const char *what, const char *unit, bool quiet)
{
	const char *terminal = getenv("TERM");

	*progress = (struct tv_progress){
		.what = what,
		.unit = unit,
		.quiet = quiet,
		.terminal = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0,
		.started_us = monotonic_us(),
	};
}

void tv_progress_update(struct tv_progress *progress, size_t done, size_t total)
{
	uint64_t now = monotonic_us();
	char text[LINE_SIZE];

	if (progress->quiet)
		return;
	if (progress->terminal) {
		if (progress->drawn_us && now - progress->drawn_us < REDRAW_US)
			return;
		fprintf(stderr, "\r%s\033[K",
			tv_progress_format(progress, now, done, total, terminal_columns(), text,
					   sizeof(text)));
	} else {
		/* Work that takes less than the first ten seconds needs no such line. */
		if (now - (progress->drawn_us ? progress->drawn_us : progress->started_us) <
		    PLAIN_US)
			return;
		fprintf(stderr, "%s\n",
			tv_progress_format(progress, now, done, total, 0, text, sizeof(text)));
	}
	progress->drawn_us = now;
}

void tv_progress_end(struct tv_progress *progress, size_t done, size_t total)
{
	double elapsed = (double)(monotonic_us() - progress->started_us) / US_PER_S;
	char rate[32], time[32], of[32] = "";

	if (progress->quiet)
		return;
	if (done != total)
		snprintf(of, sizeof(of), " of %zu", total);
	if (elapsed < 60)
		snprintf(time, sizeof(time), "%.1f s", elapsed);
	else
		format_time(elapsed, time);
	fprintf(stderr, "%s%s: %zu%s %s in %s, %s %s/s%s\n", progress->terminal ? "\r" : "",
		progress->what, done, of, progress->unit, time,
		format_rate(elapsed > 0 ? (double)done / elapsed : 0, rate), progress->unit,
		progress->terminal ? "\033[K" : "");
}
