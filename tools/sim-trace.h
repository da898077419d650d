/* SPDX-License-Identifier: MIT */
/* What triovit-sim trace has recorded, and the forms in which it writes it. */
#ifndef TV_TOOLS_SIM_TRACE_H
#define TV_TOOLS_SIM_TRACE_H

#include <stdio.h>

#include "tools/sim-schedule.h"

struct sim_trace {
	const struct sim_schedule *schedule;
	unsigned int jobs;
	struct tv_cycle_job *job_times; /* jobs of them */
	/* Pieces of work that follow each other in one engine, for the same command, are one. */
	struct tv_cycle_event *events;
	size_t count, room;
	bool failed; /* out of memory */
};

/* Of an event: its layer, into and returning ret. */
const char *sim_trace_name(const struct sim_trace *trace, const struct tv_cycle_event *event,
			   char ret[SIM_STEP_SIZE]);

/* For GTKWave and other waveform viewers: a wire for each engine at work, and the command. */
int sim_trace_vcd(const struct sim_trace *trace, FILE *file, struct tv_error *error);
/* For Perfetto and chrome://tracing; a microsecond stands for a microsecond. */
int sim_trace_perfetto(const struct sim_trace *trace, FILE *file, struct tv_error *error);
/* A page with a row for each engine. */
int sim_trace_html(const struct sim_trace *trace, FILE *file, struct tv_error *error);

#endif
