/* SPDX-License-Identifier: MIT */
/* triovit-sim trace: what each engine does when. */
#include "tools/sim-trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct trace_options {
	const char *subject, *output;
	struct sim_schedule_options how;
	unsigned int jobs;
};

typedef int (*trace_writer)(const struct sim_trace *trace, FILE *file, struct tv_error *error);

static const struct {
	const char *ending;
	trace_writer write;
} writers[] = {
	{ ".vcd", sim_trace_vcd },
	{ ".json", sim_trace_perfetto },
	{ ".html", sim_trace_html },
};

static trace_writer writer_of(const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < TV_ARRAY_SIZE(writers); i++) {
		size_t ending = strlen(writers[i].ending);

		if (length > ending && !strcmp(path + length - ending, writers[i].ending))
			return writers[i].write;
	}
	return NULL;
}

static int parse(const struct tool_command *self, int argc, char **argv, struct trace_options *ret)
{
	static const struct tool_option options[] = {
		{ "output", 'o', tool_take_text, offsetof(struct trace_options, output), 0, 0 },
		{ "jobs", 0, tool_take_unsigned, offsetof(struct trace_options, jobs), 1, 16 },
		SIM_SCHEDULE_OPTIONS(struct trace_options, how),
		{ 0 },
	};
	int code = tool_parse(self, argc, argv, options, ret);

	if (code != TOOL_GO_ON)
		return code;
	if (argc - optind != 1)
		return tool_wrong_usage(self,
					"expected one CHECKPOINT or MODEL, or b0, b1, b2 or b3");
	if (!ret->output || !writer_of(ret->output))
		return tool_wrong_usage(self, "expected -o FILE.vcd, FILE.json or FILE.html");
	ret->subject = argv[optind];
	return TOOL_GO_ON;
}

const char *sim_trace_name(const struct sim_trace *trace, const struct tv_cycle_event *event,
			   char ret[SIM_STEP_SIZE])
{
	return sim_program_step(&trace->schedule->program, event->command, ret);
}

/* --- recording ------------------------------------------------------------------------------ */

/* The latest event of the engine, if what comes now goes on with it. */
static struct tv_cycle_event *goes_on(struct sim_trace *trace, const struct tv_cycle_event *event)
{
	/* Engines are few: it is among the last ones. */
	for (size_t i = trace->count; i-- > 0 && i + 2 * TV_CYCLE_ENGINES >= trace->count;) {
		struct tv_cycle_event *other = &trace->events[i];

		if (other->engine == event->engine)
			return other->job == event->job && other->command == event->command &&
					       other->end == event->begin ?
				       other :
				       NULL;
	}
	return NULL;
}

static void record(const struct tv_cycle_event *event, void *userdata)
{
	struct sim_trace *trace = userdata;
	struct tv_cycle_event *last = goes_on(trace, event), *more;

	if (last) {
		last->end = event->end;
		return;
	}
	if (trace->count == trace->room) {
		trace->room = trace->room ? 2 * trace->room : 4096;
		more = reallocarray(trace->events, trace->room, sizeof(*more));
		if (!more) {
			trace->failed = true;
			trace->room = trace->count;
			return;
		}
		trace->events = more;
	}
	trace->events[trace->count++] = *event;
}

static int by_begin(const void *a, const void *b)
{
	const struct tv_cycle_event *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (int)x->engine - (int)y->engine;
}

static int run_jobs(struct sim_trace *trace, struct tv_error *error)
{
	const struct sim_schedule *schedule = trace->schedule;
	const struct tv_cycle_options how = {
		.target = schedule->target,
		.dram_percent = schedule->dram_percent,
		.observer = record,
		.userdata = trace,
	};
	const struct tv_cycle_program **programs;
	int r;

	trace->job_times = calloc(trace->jobs, sizeof(*trace->job_times));
	programs = calloc(trace->jobs, sizeof(*programs));
	for (unsigned int i = 0; programs && i < trace->jobs; i++)
		programs[i] = &schedule->timed;
	r = trace->job_times && programs ?
		    tv_cycle_time(&how, programs, trace->jobs, trace->job_times, NULL, error) :
		    tv_error_oom(error);
	free(programs);
	if (r >= 0 && trace->failed)
		r = tv_error_oom(error);
	if (r < 0)
		return r;
	qsort(trace->events, trace->count, sizeof(*trace->events), by_begin);
	return 0;
}

static void trace_done(struct sim_trace *trace)
{
	free(trace->job_times);
	free(trace->events);
}

static int write_trace(const struct sim_trace *trace, const char *path, struct tv_error *error)
{
	FILE *file = fopen(path, "w");
	int r, failed;

	if (!file)
		return tv_error_set(error, -errno, "%s: %s", path, strerror(errno));
	r = writer_of(path)(trace, file, error);
	failed = ferror(file) ? EIO : 0;
	if (fclose(file) && !failed)
		failed = errno;
	if (r >= 0 && failed)
		r = tv_error_set(error, -failed, "%s: %s", path, strerror(failed));
	return r;
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	struct trace_options options = { .jobs = 2 };
	_cleanup_(sim_schedule_done) struct sim_schedule schedule = { .network = NULL };
	_cleanup_(trace_done) struct sim_trace trace = { .schedule = &schedule };
	struct tv_error error = { 0 };
	int code, r;

	code = parse(self, argc, argv, &options);
	if (code != TOOL_GO_ON)
		return code;
	trace.jobs = options.jobs;
	r = sim_schedule_open(options.subject, &options.how, &schedule, &error);
	if (r >= 0)
		r = run_jobs(&trace, &error);
	if (r >= 0)
		r = write_trace(&trace, options.output, &error);
	return r < 0 ? tool_fail(&error) : EXIT_SUCCESS;
}

const struct tool_command sim_trace = {
	.name = "trace",
	.arguments = "MODEL|CHECKPOINT|ARCH -o FILE [OPTION...]",
	.summary = "write down what each engine does when",
	.help = "Runs the cycle model without data, jobs queued, and writes what MAT, R-MAC, the\n"
		"unit for pooling and layer norm, the epilogue and the DRAM channel do when: of a\n"
		"MODEL's program, or of the one that a CHECKPOINT or ARCH would become.\n"
		"\n"
		"Options:\n"
		"  -o, --output FILE      ending in .vcd (GTKWave), .json (Perfetto) or .html\n"
		"                         (a page to look at)\n"
		"      --jobs N           so many, 1 to 16 (default 2: from idle, and "
		"queued)\n" SIM_SCHEDULE_HELP "  -h, --help\n",
	.run = run,
};
