/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "tools/ctl.h"

void ctl_figures_add(struct ctl_figures *figures, uint64_t usec)
{
	if (figures->failed)
		return;
	if (figures->count == figures->room) {
		size_t room = figures->room ? 2 * figures->room : 1024;
		uint64_t *values = reallocarray(figures->values, room, sizeof(*values));

		if (!values) {
			figures->failed = true;
			return;
		}
		figures->values = values;
		figures->room = room;
	}
	figures->values[figures->count++] = usec;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The least value that so many of a hundred are not above. */
static double percentile(const struct ctl_figures *sorted, unsigned int percent)
{
	size_t rank = (sorted->count * percent + 99) / 100;

	return rank ? (double)sorted->values[rank - 1] / 1000 : 0;
}

int ctl_figures_sum_up(struct ctl_figures *figures, struct ctl_summary *ret, struct tv_error *error)
{
	if (figures->failed)
		return tv_error_oom(error);
	if (figures->count)
		qsort(figures->values, figures->count, sizeof(*figures->values), compare);
	*ret = (struct ctl_summary){
		.p50 = percentile(figures, 50),
		.p90 = percentile(figures, 90),
		.p99 = percentile(figures, 99),
		.max = percentile(figures, 100),
	};
	return 0;
}

void ctl_figures_done(struct ctl_figures *figures)
{
	free(figures->values);
}

json_t *ctl_json_summary(const struct ctl_summary *summary)
{
	return json_pack("{s:f, s:f, s:f, s:f}", "p50", summary->p50, "p90", summary->p90, "p99",
			 summary->p99, "max", summary->max);
}
