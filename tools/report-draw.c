/* SPDX-License-Identifier: MIT */
/* Inline SVG, from numbers alone. Colours are those of the page's classes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/report.h"

/* --- SQNR over the layers ----------------------------------------------------------------- */

#define CHART_WIDTH  1000
#define CHART_HEIGHT 300
#define CHART_LEFT   38
#define CHART_TOP    10
#define CHART_BOTTOM 272

static double largest_sqnr(const json_t *layers)
{
	double largest = 10;
	size_t i;
	json_t *layer;

	json_array_foreach(layers, i, layer) {
		largest = fmax(largest, report_number(layer, "isolated_sqnr"));
		largest = fmax(largest, report_number(layer, "accumulated_sqnr"));
	}
	return ceil(largest / 10) * 10;
}

static double sqnr_y(double decibels, double largest)
{
	/* Without noise: the whole height. */
	double share = isnan(decibels) ? 1 : fmin(fmax(decibels / largest, 0), 1);

	return CHART_BOTTOM - share * (CHART_BOTTOM - CHART_TOP);
}

static void draw_bar(FILE *page, const json_t *layer, size_t i, double x, double width, bool worst,
		     double largest)
{
	double isolated = report_number(layer, "isolated_sqnr");
	double accumulated = report_number(layer, "accumulated_sqnr");
	double top = sqnr_y(isolated, largest);

	fprintf(page, "<a href=\"#layer-%zu\"><g class=\"%s\"><title>", i, worst ? "worst" : "bar");
	report_text(page, json_string_value(json_object_get(layer, "name")));
	fputs(": isolated ", page);
	report_decibels(page, isolated);
	fputs(", accumulated ", page);
	report_decibels(page, accumulated);
	/* The first rectangle is there to be pointed at. */
	fprintf(page,
		"</title><rect class=\"reach\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>"
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"1.5\"/>"
		"<path class=\"accumulated\" d=\"M%.1f %.1fh%.1f\"/></g></a>\n",
		x, CHART_TOP, width, CHART_BOTTOM - CHART_TOP, x + 0.15 * width, top, 0.7 * width,
		CHART_BOTTOM - top, x, sqnr_y(accumulated, largest), width);
}

/* The names of the stages below the bars. */
static void draw_stages(FILE *page, const json_t *layers, double width)
{
	static const char *const names[] = { "stem",	"stage 1", "stage 2",
					     "stage 3", "stage 4", "head" };
	size_t count = json_array_size(layers), first = 0;

	for (size_t i = 1; i <= count; i++) {
		double stage = report_number(json_array_get(layers, first), "stage");

		if (i < count && report_number(json_array_get(layers, i), "stage") == stage)
			continue;
		fprintf(page,
			"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>"
			"<path class=\"axis\" d=\"M%.1f %dv6H%.1fv-6\"/>\n",
			CHART_LEFT + width * (double)(first + i) / 2, CHART_BOTTOM + 23,
			names[(size_t)stage % TV_ARRAY_SIZE(names)],
			CHART_LEFT + width * (double)first + 1, CHART_BOTTOM + 2,
			CHART_LEFT + width * (double)i - 1);
		first = i;
	}
}

void report_draw_sqnr(FILE *page, const json_t *layers, const json_t *worst)
{
	double largest = largest_sqnr(layers);
	double width = (CHART_WIDTH - CHART_LEFT) / fmax((double)json_array_size(layers), 1);
	size_t i;
	json_t *layer;

	fprintf(page,
		"<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-label=\"SQNR of every layer in decibels\">\n",
		CHART_WIDTH, CHART_HEIGHT);
	for (double level = 0; level <= largest; level += 10)
		fprintf(page,
			"<path class=\"grid\" d=\"M%d %.1fH%d\"/>"
			"<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n",
			CHART_LEFT, sqnr_y(level, largest), CHART_WIDTH, CHART_LEFT - 6,
			sqnr_y(level, largest) + 4, level);
	json_array_foreach(layers, i, layer)
		draw_bar(page, layer, i, CHART_LEFT + width * (double)i, width,
			 report_is_worst(worst, layer), largest);
	draw_stages(page, layers, width);
	fputs("</svg>\n", page);
}

/* --- ranges of channels -------------------------------------------------------------------- */

#define PANEL_WIDTH  332
#define PANEL_HEIGHT 124
#define COLUMNS	     160
/* Codes beyond the ends are shown so far, as parts of the codes. */
#define BEYOND	     0.125

/* A channel, or several beside each other where there are more than columns. */
struct span {
	double least, low, high, most;
};

struct panel {
	struct span spans[COLUMNS];
	size_t count;
	double bottom, top; /* what the panel's edges stand for */
};

static int compare_most(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->most < y->most) - (x->most > y->most);
}

/* Both panels show the channels in the same order, by their largest value. */
static void fill_panel(struct panel *panel, const struct span *spans, size_t count)
{
	panel->count = count < COLUMNS ? count : COLUMNS;
	for (size_t i = 0; i < count; i++) {
		struct span *to = &panel->spans[i * panel->count / count];
		bool first = i == 0 || to != &panel->spans[(i - 1) * panel->count / count];

		if (first) {
			*to = spans[i];
			continue;
		}
		to->least = fmin(to->least, spans[i].least);
		to->low = fmin(to->low, spans[i].low);
		to->high = fmax(to->high, spans[i].high);
		to->most = fmax(to->most, spans[i].most);
	}
}

static double panel_y(const struct panel *panel, double value)
{
	double share = (value - panel->bottom) / (panel->top - panel->bottom);

	return PANEL_HEIGHT * (1 - fmin(fmax(share, 0), 1));
}

static void draw_spans(FILE *page, const struct panel *panel, const char *class, bool inner)
{
	double width = (double)PANEL_WIDTH / (double)panel->count;

	fprintf(page, "<path class=\"%s\" stroke-width=\"%.1f\" d=\"", class,
		fmax(0.8 * width, 1.2));
	for (size_t i = 0; i < panel->count; i++) {
		const struct span *span = &panel->spans[i];
		double from = panel_y(panel, inner ? span->high : span->most);
		double to = panel_y(panel, inner ? span->low : span->least);

		fprintf(page, "M%.0f %.1fv%.1f", width * ((double)i + 0.5), from,
			fmax(to - from, 0.6));
	}
	fputs("\"/>\n", page);
}

static void draw_line(FILE *page, const struct panel *panel, const char *class, double value)
{
	fprintf(page, "<path class=\"%s\" d=\"M0 %.1fH%d\"/>", class, panel_y(panel, value),
		PANEL_WIDTH);
}

static void begin_panel(FILE *page, const char *what)
{
	fprintf(page,
		"<figure><svg class=\"panel\" viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-label=\"%s\">",
		PANEL_WIDTH, PANEL_HEIGHT, what);
}

static void draw_values(FILE *page, const struct span *spans, size_t count)
{
	struct panel panel = { .bottom = 0, .top = 0 };

	fill_panel(&panel, spans, count);
	for (size_t i = 0; i < panel.count; i++) {
		panel.bottom = fmin(panel.bottom, panel.spans[i].least);
		panel.top = fmax(panel.top, panel.spans[i].most);
	}
	if (!(panel.top > panel.bottom))
		panel.top = panel.bottom + 1;
	begin_panel(page, "range of each channel's values");
	draw_spans(page, &panel, "whole", false);
	draw_spans(page, &panel, "inner", true);
	draw_line(page, &panel, "zero", 0);
	fprintf(page, "</svg><figcaption><b>Values</b> from %.3g to %.3g</figcaption></figure>\n",
		panel.bottom, panel.top);
}

static void draw_codes(FILE *page, const json_t *layer, struct span *spans, const size_t *order,
		       size_t count)
{
	const bool wide = report_number(layer, "bits") > 8;
	const double first = wide ? INT16_MIN : INT8_MIN, last = wide ? INT16_MAX : INT8_MAX;
	const double zero = report_number(layer, "zero_point");
	const json_t *channels = json_object_get(layer, "channels");
	const char *technique = json_string_value(json_object_get(layer, "technique"));
	struct panel panel = { .bottom = first * (1 + BEYOND), .top = last * (1 + BEYOND) };

	for (size_t i = 0; i < count; i++) {
		double scale = report_number_at(channels, "scale", order[i]);
		double offset = report_number_at(channels, "offset", order[i]);
		double *ends[] = { &spans[i].least, &spans[i].low, &spans[i].high, &spans[i].most };

		for (size_t e = 0; e < TV_ARRAY_SIZE(ends); e++)
			*ends[e] = (*ends[e] - offset) / scale + zero;
	}
	fill_panel(&panel, spans, count);
	begin_panel(page, "range of each channel in codes");
	draw_spans(page, &panel, "whole", false);
	draw_spans(page, &panel, "inner", true);
	draw_line(page, &panel, "end", first);
	draw_line(page, &panel, "end", last);
	draw_line(page, &panel, "zero", zero);
	fputs("</svg><figcaption><b>Codes</b> ", page);
	if (technique && strcmp(technique, "migration") == 0)
		fputs("after migration, ", page);
	else if (technique && strcmp(technique, "shifting") == 0)
		fputs("after shifting, ", page);
	fprintf(page, "from %.0f to %.0f, 0 is code %.0f</figcaption></figure>\n", first, last,
		zero);
}

void report_draw_ranges(FILE *page, const json_t *layer)
{
	const json_t *channels = json_object_get(layer, "channels");
	size_t count = json_array_size(json_object_get(channels, "most"));
	struct ordered {
		struct span span; /* first: compare_most() */
		size_t channel;
	};
	_cleanup_free_ struct ordered *ordered = calloc(count + 1, sizeof(*ordered));
	_cleanup_free_ struct span *spans = calloc(count + 1, sizeof(*spans));
	_cleanup_free_ size_t *order = calloc(count + 1, sizeof(*order));

	/* A page without its drawings is better than none. */
	if (!count || !ordered || !spans || !order)
		return;
	for (size_t i = 0; i < count; i++)
		ordered[i] = (struct ordered){
			.span = { report_number_at(channels, "least", i),
				  report_number_at(channels, "low", i),
				  report_number_at(channels, "high", i),
				  report_number_at(channels, "most", i) },
			.channel = i,
		};
	qsort(ordered, count, sizeof(*ordered), compare_most);
	for (size_t i = 0; i < count; i++) {
		spans[i] = ordered[i].span;
		order[i] = ordered[i].channel;
	}
	fputs("<div class=\"ranges\">", page);
	draw_values(page, spans, count);
	draw_codes(page, layer, spans, order, count);
	fputs("</div>\n", page);
}
