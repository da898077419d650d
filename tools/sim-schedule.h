/* SPDX-License-Identifier: MIT */
/* A program whose time on a target is looked at: of a model, or what a checkpoint or one of the
 * published architectures would become. */
#ifndef TV_TOOLS_SIM_SCHEDULE_H
#define TV_TOOLS_SIM_SCHEDULE_H

#include "rtl-model/cycle.h"
#include "tools/sim-program.h"
#include "tools/sim-subject.h"

struct sim_schedule_options {
	const char *target;
	unsigned int images, size, dram_percent; /* 0: as if not given */
};

/* Rows of options for a command whose structure has one of these. */
#define SIM_SCHEDULE_OPTIONS(type, field)                                                          \
	SIM_TARGET(type, field.target), SIM_IMAGES(type, field.images),                            \
		SIM_SIZE(type, field.size),                                                        \
	{                                                                                          \
		"dram-percent", 0, tool_take_unsigned, offsetof(type, field.dram_percent), 1, 100  \
	}

#define SIM_SCHEDULE_HELP                                                                          \
	"      --target NAME      zcu102 (default), kv260, zc706, zynq7020, or a file\n"           \
	"                         that describes one; of a model: which of its programs\n"         \
	"      --images N         images that a job works on (default 1)\n"                        \
	"      --size N           side of the input (else the checkpoint's, else 224)\n"           \
	"      --dram-percent P   with so much of the DRAM's bandwidth (default 100)\n"

struct sim_schedule {
	const struct tv_target *target;
	unsigned int dram_percent;
	struct sim_program program;
	struct tv_cycle_program timed; /* the same */
	/* What the program is of, for its names: one of the two. */
	struct tv_network *network;
	struct sim_model model;
	struct tv_target_file file;
};

/* subject: a checkpoint, a model, or b0 to b3. */
int sim_schedule_open(const char *subject, const struct sim_schedule_options *options,
		      struct sim_schedule *ret, struct tv_error *error);
void sim_schedule_done(struct sim_schedule *schedule);

#endif
