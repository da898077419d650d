/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tools/sim-trace.h"

#define NO_COMMAND UINT32_MAX /* of what the DRAM channel moves */

static double microseconds(const struct sim_trace *trace, uint64_t cycles)
{
	return (double)cycles / trace->schedule->target->clock_mhz;
}

/* --- VCD ------------------------------------------------------------------------------------ */

struct change {
	uint64_t at;
	enum tv_cycle_engine engine;
	bool busy;
	uint32_t command;
};

static int by_time(const void *a, const void *b)
{
	const struct change *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	/* An end comes before the beginning that follows at once. */
	return (int)x->busy - (int)y->busy;
}

static void print_command(FILE *file, enum tv_cycle_engine engine, uint32_t command)
{
	fputc('b', file);
	for (int bit = 15; bit >= 0; bit--)
		fputc('0' + (int)(command >> bit & 1), file);
	fprintf(file, " %c\n", 'a' + (int)engine);
}

static void print_change(FILE *file, const struct change *change)
{
	fprintf(file, "%d%c\n", change->busy, 'A' + (int)change->engine);
	if (change->busy && change->command != NO_COMMAND)
		print_command(file, change->engine, change->command);
}

int sim_trace_vcd(const struct sim_trace *trace, FILE *file, struct tv_error *error)
{
	_cleanup_free_ struct change *changes = calloc(2 * trace->count + 1, sizeof(*changes));
	uint64_t now = UINT64_MAX;
	size_t count = 0;

	if (!changes)
		return tv_error_oom(error);
	for (size_t i = 0; i < trace->count; i++) {
		const struct tv_cycle_event *event = &trace->events[i];

		changes[count++] =
			(struct change){ event->begin, event->engine, true, event->command };
		changes[count++] =
			(struct change){ event->end, event->engine, false, event->command };
	}
	qsort(changes, count, sizeof(*changes), by_time);
	fprintf(file, "$timescale 1ps $end\n$scope module triovit $end\n");
	for (int i = 0; i < TV_CYCLE_ENGINES; i++) {
		fprintf(file, "$scope module %s $end\n", tv_cycle_engine_name(i));
		fprintf(file, "$var wire 1 %c busy $end\n", 'A' + i);
		fprintf(file, "$var wire 16 %c command $end\n$upscope $end\n", 'a' + i);
	}
	fprintf(file, "$upscope $end\n$enddefinitions $end\n$dumpvars\n");
	for (int i = 0; i < TV_CYCLE_ENGINES; i++) {
		fprintf(file, "0%c\n", 'A' + i);
		print_command(file, i, 0);
	}
	fprintf(file, "$end\n");
	for (size_t i = 0; i < count; i++) {
		if (changes[i].at != now)
			fprintf(file, "#%" PRIu64 "\n",
				changes[i].at * 1000000 / trace->schedule->target->clock_mhz);
		now = changes[i].at;
		print_change(file, &changes[i]);
	}
	return 0;
}

/* --- Perfetto ------------------------------------------------------------------------------- */

static int add_slice(json_t *list, const struct sim_trace *trace, int thread, const char *name,
		     uint64_t begin, uint64_t end)
{
	return json_array_append_new(
		list,
		json_pack("{s:s, s:o, s:i, s:i, s:f, s:f, s:{s:I, s:I}}", "ph", "X", "name",
			  tool_json_string(name), "pid", 1, "tid", thread, "ts",
			  microseconds(trace, begin), "dur", microseconds(trace, end - begin),
			  "args", "begin", (json_int_t)begin, "cycles", (json_int_t)(end - begin)));
}

static int add_thread(json_t *list, int thread, const char *name)
{
	return json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i, s:{s:s}}", "ph", "M",
						     "name", "thread_name", "pid", 1, "tid", thread,
						     "args", "name", name));
}

int sim_trace_perfetto(const struct sim_trace *trace, FILE *file, struct tv_error *error)
{
	json_auto_t *list = json_array();
	json_auto_t *root = NULL;
	char name[SIM_STEP_SIZE];
	int failed = add_thread(list, 0, "jobs");

	for (int i = 0; i < TV_CYCLE_ENGINES; i++)
		failed |= add_thread(list, i + 1, tv_cycle_engine_name(i));
	for (unsigned int i = 0; i < trace->jobs; i++)
		failed |= add_slice(list, trace, 0, "job", trace->job_times[i].start,
				    trace->job_times[i].end);
	for (size_t i = 0; i < trace->count; i++) {
		const struct tv_cycle_event *event = &trace->events[i];

		failed |= add_slice(list, trace, (int)event->engine + 1,
				    event->command == NO_COMMAND ?
					    "transfer" :
					    sim_trace_name(trace, event, name),
				    event->begin, event->end);
	}
	root = json_pack("{s:s, s:O}", "displayTimeUnit", "ns", "traceEvents", list);
	if (failed || !root)
		return tv_error_oom(error);
	if (json_dumpf(root, file, JSON_COMPACT) < 0)
		return tv_error_set(error, -EIO, "the trace could not be written");
	return 0;
}

/* --- HTML ----------------------------------------------------------------------------------- */

enum {
	PAGE_ROW = 34, /* pixels */
	PAGE_LEFT = 90
};

/* Pixels that a cycle takes: the page is as wide as it has to be for its commands to be seen. */
static double scale_of(const struct sim_trace *trace)
{
	double cycles = (double)trace->job_times[trace->jobs - 1].end;
	double width = 120.0 * trace->schedule->timed.count * trace->jobs;

	return (width < 1600 ? 1600 : width) / (cycles > 0 ? cycles : 1);
}

static void print_escaped(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
			fprintf(file, "&#%d;", *text);
		else
			fputc(*text, file);
	}
}

static void print_bar(const struct sim_trace *trace, FILE *file, double scale, int row,
		      const char *name, uint32_t colour, uint64_t begin, uint64_t end)
{
	fprintf(file,
		"<rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" "
		"fill=\"hsl(%u 60%% 60%%)\"><title>",
		PAGE_LEFT + (double)begin * scale, row * PAGE_ROW + 4,
		(double)(end - begin) * scale, PAGE_ROW - 8, colour * 47 % 360);
	print_escaped(file, name);
	fprintf(file, ", cycles %" PRIu64 " to %" PRIu64 "</title></rect>\n", begin, end);
}

/* What lies less than a third of a pixel apart is drawn as one bar. */
static void print_row(const struct sim_trace *trace, FILE *file, double scale,
		      enum tv_cycle_engine engine)
{
	struct tv_cycle_event now = { .end = 0 };
	char name[SIM_STEP_SIZE];
	bool open = false;

	for (size_t i = 0; i <= trace->count; i++) {
		const struct tv_cycle_event *event = i < trace->count ? &trace->events[i] : NULL;

		if (event && event->engine != engine)
			continue;
		if (event && open && event->command == now.command && event->job == now.job &&
		    (double)(event->begin - now.end) * scale < 0.3) {
			now.end = event->end;
			continue;
		}
		if (open)
			print_bar(trace, file, scale, (int)engine + 1,
				  now.command == NO_COMMAND ? "transfer" :
							      sim_trace_name(trace, &now, name),
				  now.command == NO_COMMAND ? 0 : now.command, now.begin, now.end);
		if (event)
			now = *event;
		open = event;
	}
}

int sim_trace_html(const struct sim_trace *trace, FILE *file, struct tv_error *error)
{
	const double scale = scale_of(trace);
	const uint64_t end = trace->job_times[trace->jobs - 1].end;

	fprintf(file,
		"<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
		"<title>triovit: engines over time</title>\n"
		"<style>body { font: 14px sans-serif } div { overflow-x: scroll }"
		" text { dominant-baseline: middle }</style>\n"
		"<h1>Engines over time</h1>\n<p>%u jobs on %s, %.3f ms. "
		"Point at a bar for its layer and cycles.</p>\n"
		"<div><svg width=\"%.0f\" height=\"%d\">\n",
		trace->jobs, trace->schedule->target->name, microseconds(trace, end) / 1e3,
		PAGE_LEFT + (double)end * scale + 20, (TV_CYCLE_ENGINES + 1) * PAGE_ROW);
	fprintf(file, "<text x=\"4\" y=\"%d\">jobs</text>\n", PAGE_ROW / 2);
	for (unsigned int i = 0; i < trace->jobs; i++)
		print_bar(trace, file, scale, 0, "job", i * 3, trace->job_times[i].start,
			  trace->job_times[i].end);
	for (int i = 0; i < TV_CYCLE_ENGINES; i++) {
		fprintf(file, "<text x=\"4\" y=\"%d\">%s</text>\n",
			(i + 1) * PAGE_ROW + PAGE_ROW / 2, tv_cycle_engine_name(i));
		print_row(trace, file, scale, i);
	}
	fprintf(file, "</svg></div>\n</html>\n");
	return 0;
}
