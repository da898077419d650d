/* SPDX-License-Identifier: MIT */
/*
 * The report as a page. Texts come from files and are all escaped by report_text(); that there is
 * no script, and that none would run, the page's own policy says besides.
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "tools/report-style.h"
#include "tools/report.h"

#define LABELS_SHOWN 24

double report_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

double report_number_at(const json_t *object, const char *key, size_t i)
{
	return json_number_value(json_array_get(json_object_get(object, key), i));
}

bool report_is_worst(const json_t *worst, const json_t *layer)
{
	size_t i;
	json_t *name;

	json_array_foreach(worst, i, name)
		if (json_equal(name, json_object_get(layer, "name")))
			return true;
	return false;
}

void report_decibels(FILE *page, double decibels)
{
	if (isnan(decibels))
		fputs("exact", page);
	else
		fprintf(page, "%.1f&nbsp;dB", decibels);
}

void report_text(FILE *page, const char *text)
{
	for (; text && *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", page);
			break;
		case '<':
			fputs("&lt;", page);
			break;
		case '>':
			fputs("&gt;", page);
			break;
		case '"':
			fputs("&quot;", page);
			break;
		case '\'':
			fputs("&#39;", page);
			break;
		default:
			/* Control characters are no text, and HTML has no way to write them. */
			if ((unsigned char)*text < 0x20 || *text == 0x7f)
				fputs("\xef\xbf\xbd", page);
			else
				putc(*text, page);
		}
	}
}

static const char *string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

static void put_string(FILE *page, const json_t *object, const char *key)
{
	report_text(page, string(object, key));
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* --- what it is about, and what came out ---------------------------------------------------- */

static void put_head(FILE *page, const json_t *report)
{
	const json_t *comparison = json_object_get(report, "comparison");
	const json_t *architecture = json_object_get(report, "architecture");
	const char *name = string(architecture, "name");
	const char *checkpoint = base_name(string(comparison, "checkpoint"));

	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
	      page);
	report_text(page, checkpoint);
	fputs(" in integers</title>\n<style>\n", page);
	fputs(report_style, page);
	fputs("</style>\n</head>\n<body>\n<p class=\"kicker\">What quantization has cost</p>\n<h1>",
	      page);
	report_text(page, checkpoint);
	fprintf(page,
		" in integers</h1>\n<p class=\"faint\">EfficientViT%s%s, %.0f classes, "
		"input %.0f&times;%.0f</p>\n",
		*name ? "-B" : "", *name ? name + 1 : "", report_number(architecture, "classes"),
		report_number(report, "size"), report_number(report, "size"));
}

__attribute__((format(printf, 3, 4))) static void tile(FILE *page, const char *what,
						       const char *format, ...)
{
	va_list arguments;

	fputs("<div class=\"tile\"><b>", page);
	va_start(arguments, format);
	vfprintf(page, format, arguments);
	va_end(arguments);
	fprintf(page, "</b><span>%s</span></div>\n", what);
}

static void put_tiles(FILE *page, const json_t *report)
{
	const json_t *comparison = json_object_get(report, "comparison");
	const json_t *interval = json_object_get(comparison, "interval");
	double sqnr = report_number(comparison, "logits_sqnr");

	fputs("<div class=\"tiles\">\n", page);
	if (interval) {
		char range[96];

		snprintf(range, sizeof(range), "points lost, 95&nbsp;%% interval %.2f to&nbsp;%.2f",
			 json_number_value(json_array_get(interval, 0)),
			 json_number_value(json_array_get(interval, 1)));
		tile(page, "top-1 in float", "%.2f&nbsp;%%",
		     report_number(comparison, "float_top1"));
		tile(page, "top-1 in integers", "%.2f&nbsp;%%",
		     report_number(comparison, "integer_top1"));
		tile(page, range, "%.2f", report_number(comparison, "drop"));
	}
	tile(page, "agreement: images with the same answer", "%.2f&nbsp;%%",
	     report_number(comparison, "agreement"));
	if (isnan(sqnr))
		tile(page, "logits: no noise", "exact");
	else
		tile(page, "logits: signal to quantization noise", "%.1f&nbsp;dB", sqnr);
	tile(page, "clipped at most: values at the ends of their codes", "%.2f&nbsp;%%",
	     report_number(comparison, "clipped"));
	fputs("</div>\n", page);
}

static void put_programs(FILE *page, const json_t *programs)
{
	size_t i;
	json_t *program;

	json_array_foreach(programs, i, program) {
		double images = report_number(program, "images");

		fputs(i ? "<br>" : "", page);
		put_string(page, program, "target");
		fprintf(page,
			", %.0f image%s a job: %.0f commands, weights %.2f&nbsp;MiB, scratch "
			"%.0f&nbsp;KiB, on chip %.0f&nbsp;KiB",
			images, images == 1 ? "" : "s", report_number(program, "commands"),
			report_number(program, "weights") / (1 << 20),
			report_number(program, "scratch") / (1 << 10),
			report_number(program, "onchip") / (1 << 10));
	}
}

static void put_labels(FILE *page, const json_t *labels)
{
	size_t count = json_array_size(labels);

	for (size_t i = 0; i < count && i < LABELS_SHOWN; i++) {
		fputs(i ? ", " : "", page);
		report_text(page, json_string_value(json_array_get(labels, i)));
	}
	if (count > LABELS_SHOWN)
		fprintf(page, " and %zu more", count - LABELS_SHOWN);
	if (!count)
		fputs("without names", page);
}

static void put_about(FILE *page, const json_t *report)
{
	const json_t *comparison = json_object_get(report, "comparison");
	const json_t *calibration = json_object_get(report, "calibration");

	fputs("<h2>What was quantized</h2>\n<dl>\n<dt>Checkpoint</dt><dd>", page);
	put_string(page, comparison, "checkpoint");
	fprintf(page, " (%.1f&nbsp;M MACs an image)", report_number(report, "macs") / 1e6);
	fputs("</dd>\n<dt>Model</dt><dd>", page);
	put_string(page, comparison, "model");
	fputs("<br><span class=\"faint\">", page);
	put_string(page, report, "source");
	fputs("</span></dd>\n<dt>Programs</dt><dd>", page);
	put_programs(page, json_object_get(report, "programs"));
	fprintf(page, "</dd>\n<dt>Calibrated on</dt><dd>%.0f images of ",
		report_number(calibration, "images"));
	put_string(page, calibration, "folder");
	fprintf(page, "</dd>\n<dt>Measured on</dt><dd>%.0f images of ",
		report_number(comparison, "images"));
	put_string(page, comparison, "folder");
	if (!json_object_get(comparison, "interval"))
		fputs(", those of the calibration: other images may fare worse", page);
	fprintf(page, "; layers on %.0f of them</dd>\n<dt>Classes</dt><dd>",
		report_number(comparison, "layer_images"));
	put_labels(page, json_object_get(report, "labels"));
	fputs("</dd>\n</dl>\n", page);
}

/* --- layers ---------------------------------------------------------------------------------- */

static void put_why(FILE *page, const json_t *layer)
{
	const json_t *why = json_object_get(layer, "why");
	size_t i;
	json_t *text;

	fputs("<ul>", page);
	json_array_foreach(why, i, text) {
		fputs("<li>", page);
		report_text(page, json_string_value(text));
		fputs("</li>", page);
	}
	fputs("</ul>\n", page);
}

static void put_chart(FILE *page, const json_t *layers, const json_t *worst)
{
	fputs("<h2>Signal to quantization noise, layer by layer</h2>\n"
	      "<p class=\"faint\">In decibels; 6&nbsp;dB more is half the error. Every bar leads "
	      "to "
	      "its layer.</p>\n<div class=\"scroll\">\n",
	      page);
	report_draw_sqnr(page, layers, worst);
	fprintf(page,
		"</div>\n<p class=\"legend\"><span><i class=\"b\"></i>isolated: the layer alone, "
		"on "
		"the float network&rsquo;s values</span><span><i class=\"w\"></i>the %zu worst of "
		"them</span><span><i class=\"tick\"></i>accumulated: with the errors of all layers "
		"before it</span></p>\n",
		json_array_size(worst));
}

static void put_worst(FILE *page, const json_t *layers, const json_t *worst)
{
	size_t i, n;
	json_t *name, *layer;

	fprintf(page,
		"<h2>The %zu worst layers, and why</h2>\n<p class=\"legend\"><span><i "
		"class=\"p\"></i>range of a channel</span><span><i class=\"b\"></i>98&nbsp;%% of "
		"its "
		"values</span><span>channels by their largest value; dashed: the ends of the "
		"codes</span></p>\n",
		json_array_size(worst));
	json_array_foreach(worst, i, name)
		json_array_foreach(layers, n, layer) {
			if (!json_equal(name, json_object_get(layer, "name")))
				continue;
			fprintf(page, "<div class=\"card\"><h3><a href=\"#layer-%zu\">", n);
			report_text(page, json_string_value(name));
			fputs("</a><span>", page);
			report_decibels(page, report_number(layer, "isolated_sqnr"));
			fputs("</span></h3>\n", page);
			put_why(page, layer);
			/* An attention's codes are not to blame: see put_heads() in its detail. */
			if (!json_object_get(layer, "heads"))
				report_draw_ranges(page, layer);
			fputs("</div>\n", page);
		}
}

/* Where each technique has brought the median channel. */
static void put_used(FILE *page, const json_t *layers, const char *technique, const char *heading)
{
	bool any = false;
	size_t i;
	json_t *layer;

	json_array_foreach(layers, i, layer) {
		double before = report_number(layer, "used_before");
		double after = report_number(layer, "used");

		if (strcmp(string(layer, "technique"), technique) != 0)
			continue;
		if (!any)
			fprintf(page,
				"<table class=\"used\"><thead><tr><th>%s</th><th "
				"class=\"rail\"></th>"
				"<th class=\"n\">before</th><th class=\"n\">after</th></tr></thead>"
				"<tbody>\n",
				heading);
		any = true;
		fprintf(page, "<tr><th><a href=\"#layer-%zu\">", i);
		put_string(page, layer, "name");
		fprintf(page,
			"</a></th><td class=\"rail\"><div><i "
			"style=\"left:%.1f%%;width:%.1f%%\"></i>"
			"<u class=\"was\" style=\"left:%.1f%%\"></u><u "
			"style=\"left:%.1f%%\"></u></div>"
			"</td><td class=\"n\">%.0f&nbsp;%%</td><td "
			"class=\"n\">%.0f&nbsp;%%</td></tr>\n",
			fmin(before, after), fabs(after - before), before, after, before, after);
	}
	if (any)
		fputs("</tbody></table>\n", page);
}

static void put_techniques(FILE *page, const json_t *report, const json_t *layers)
{
	const json_t *techniques = json_object_get(report, "techniques");

	fputs("<h2>What migration and shifting have done</h2>\n<p class=\"faint\">How many of the "
	      "256 codes a channel uses, the median of a layer&rsquo;s channels: with one scale "
	      "from "
	      "the smallest to the largest value, and as quantized.</p>\n",
	      page);
	if (!json_is_true(json_object_get(techniques, "migration")))
		fputs("<p>Migration was switched off.</p>\n", page);
	if (!json_is_true(json_object_get(techniques, "shifting")))
		fputs("<p>Shifting was switched off.</p>\n", page);
	put_used(page, layers, "migration", "Migration");
	put_used(page, layers, "shifting", "Shifting");
}

static void put_heads(FILE *page, const json_t *layer)
{
	const json_t *heads = json_object_get(layer, "heads");
	size_t i;
	json_t *head;

	if (!heads)
		return;
	fputs("<table><thead><tr><th>Head</th><th class=\"n\">largest divisor</th><th "
	      "class=\"n\">window of its codes</th></tr></thead><tbody>\n",
	      page);
	json_array_foreach(heads, i, head)
		fprintf(page,
			"<tr><td>%zu</td><td class=\"n\">%.3g</td><td class=\"n\">%.3g to %.3g</td>"
			"</tr>\n",
			i, report_number(head, "largest_divisor"),
			report_number_at(head, "window", 0), report_number_at(head, "window", 1));
	fputs("</tbody></table>\n", page);
}

static void put_facts(FILE *page, const json_t *layer)
{
	static const struct {
		const char *technique, *text;
	} techniques[] = {
		{ "tensor", "one scale" },
		{ "migration", "a scale for each channel (migration)" },
		{ "shifting", "one scale, each channel centred (shifting)" },
		{ "heads", "a scale for q, k and v of each head" },
		{ "int16", "int16" },
	};

	fprintf(page, "<p>%.0f&times;%.0f&times;%.0f, %.2f&nbsp;M MACs; ",
		report_number_at(layer, "shape", 0), report_number_at(layer, "shape", 1),
		report_number_at(layer, "shape", 2), report_number(layer, "macs") / 1e6);
	for (size_t i = 0; i < TV_ARRAY_SIZE(techniques); i++)
		if (strcmp(string(layer, "technique"), techniques[i].technique) == 0)
			fputs(techniques[i].text, page);
	fprintf(page,
		". The median channel uses %.0f&nbsp;%% of the codes; the widest is %.1f times as "
		"wide; the largest value is %.1f times the root mean square; %.3f&nbsp;%% of the "
		"values are at an end.</p>\n",
		report_number(layer, "used"), report_number(layer, "spread"),
		report_number(layer, "peak"), report_number(layer, "clipped"));
}

static void put_layers(FILE *page, const json_t *layers, const json_t *worst)
{
	size_t i;
	json_t *layer;

	fputs("<h2>All layers</h2>\n<p class=\"faint\">A click opens a layer.</p>\n"
	      "<div class=\"row faint\"><span>layer</span><span></span><span class=\"n\">isolated"
	      "</span><span class=\"n\">accum.</span></div>\n",
	      page);
	json_array_foreach(layers, i, layer) {
		double isolated = report_number(layer, "isolated_sqnr");

		fputs("<details><summary><span>", page);
		put_string(page, layer, "name");
		fprintf(page,
			"</span><span><i%s style=\"width:%.0f%%\"></i></span><span class=\"n\">",
			report_is_worst(worst, layer) ? " class=\"w\"" : "",
			isnan(isolated) ? 100 : fmin(fmax(isolated, 0) * 2, 100));
		report_decibels(page, isolated);
		fputs("</span><span class=\"n\">", page);
		report_decibels(page, report_number(layer, "accumulated_sqnr"));
		fprintf(page, "</span></summary>\n<div class=\"detail\" id=\"layer-%zu\">\n", i);
		put_facts(page, layer);
		put_why(page, layer);
		report_draw_ranges(page, layer);
		put_heads(page, layer);
		fputs("</div></details>\n", page);
	}
}

int report_page(const json_t *report, char **ret, size_t *ret_size, struct tv_error *error)
{
	const json_t *layers = json_object_get(report, "layers");
	const json_t *worst =
		json_object_get(json_object_get(report, "comparison"), "worst_layers");
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *page = open_memstream(&text, &size);
	bool failed;

	if (!page)
		return tv_error_oom(error);
	put_head(page, report);
	put_tiles(page, report);
	put_about(page, report);
	put_chart(page, layers, worst);
	put_worst(page, layers, worst);
	put_techniques(page, report, layers);
	put_layers(page, layers, worst);
	fputs("</body>\n</html>\n", page);
	failed = ferror(page);
	if (fclose(page) != 0 || failed)
		return tv_error_oom(error);
	*ret = TV_TAKE_PTR(text);
	*ret_size = size;
	return 0;
}
