/* SPDX-License-Identifier: MIT */
/* triovit-sim profile: how long a program takes on a target, and where the time goes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "rtl-model/command.h"
#include "rtl-model/timing.h"
#include "tools/sim-schedule.h"

struct profile_options {
	const char *subject;
	struct sim_schedule_options how;
	bool json;
};

struct profile {
	struct sim_schedule schedule;
	struct tv_cycle_profile total;
	struct tv_cycle_command *commands; /* of a steady job */
};

static int parse(const struct tool_command *self, int argc, char **argv,
		 struct profile_options *ret)
{
	static const struct tool_option options[] = {
		SIM_SCHEDULE_OPTIONS(struct profile_options, how),
		SIM_JSON(struct profile_options, json),
		{ 0 },
	};
	int code = tool_parse(self, argc, argv, options, ret);

	if (code != TOOL_GO_ON)
		return code;
	if (argc - optind != 1)
		return tool_wrong_usage(self,
					"expected one CHECKPOINT or MODEL, or b0, b1, b2 or b3");
	ret->subject = argv[optind];
	return TOOL_GO_ON;
}

static void profile_done(struct profile *profile)
{
	sim_schedule_done(&profile->schedule);
	free(profile->commands);
}

static int measure(struct profile *profile, struct tv_error *error)
{
	const struct sim_schedule *schedule = &profile->schedule;
	const struct tv_cycle_options how = {
		.target = schedule->target,
		.dram_percent = schedule->dram_percent,
	};

	profile->commands = calloc(schedule->timed.count, sizeof(*profile->commands));
	if (!profile->commands)
		return tv_error_oom(error);
	return tv_cycle_profile(&how, &schedule->timed, schedule->program.header.images,
				&profile->total, profile->commands, error);
}

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

/* MAT's cycles, at work or waiting: those of all commands are the job's. */
static uint64_t cycles_of(const struct tv_cycle_command *command)
{
	uint64_t cycles = command->busy[TV_CYCLE_MAT];

	for (unsigned int i = 0; i < TV_CYCLE_STALLS; i++)
		cycles += command->stall[i];
	return cycles;
}

/* The share of the multipliers that work counts, of what both engines could do meanwhile. */
static double utilisation(const struct profile *profile, uint32_t i)
{
	const struct sim_schedule *schedule = &profile->schedule;
	const struct tv_cycle_command *told = &profile->commands[i];
	double engines = (double)(told->busy[TV_CYCLE_MAT] + told->busy[TV_CYCLE_RMAC]) / 2;

	return percent((double)tv_command_macs(&schedule->program.commands[i]),
		       engines * tv_target_multipliers(schedule->target));
}

/* Bytes that a command moves from and to DRAM. */
static uint64_t bytes_of(const struct profile *profile, uint32_t i)
{
	const struct tv_command *command = &profile->schedule.program.commands[i];
	struct tv_timing_command timing;

	tv_timing_of_command(profile->schedule.target, command, &timing);
	return timing.dram + (command->weights.segment < TV_SEGMENT_COUNT ? timing.weights : 0);
}

static double milliseconds(const struct profile *profile, double cycles)
{
	return cycles / profile->schedule.target->clock_mhz / 1e3;
}

/* The split that orders the weights: of a chain, its dense stage's. */
static unsigned int split_of(const struct tv_command *command)
{
	return command->stage[command->opcode == TV_OP_SEPARABLE].split;
}

#define STALLS_SIZE 128

/* "weights 120, rows 30", into and returning ret. */
static const char *stalls_text(const uint64_t *stalls, char ret[STALLS_SIZE])
{
	size_t at = 0;

	ret[0] = '\0';
	for (unsigned int i = 0; i < TV_CYCLE_STALLS; i++)
		if (stalls[i] && at < STALLS_SIZE)
			at += (size_t)snprintf(ret + at, STALLS_SIZE - at, "%s%s %" PRIu64,
					       at ? ", " : "", tv_cycle_stall_name(i), stalls[i]);
	return ret;
}

static void add_command(const struct profile *profile, uint32_t i, struct tool_table *table)
{
	const struct sim_program *program = &profile->schedule.program;
	const struct tv_command *command = &program->commands[i];
	const struct tv_cycle_command *told = &profile->commands[i];
	char name[SIM_STEP_SIZE], images[SIM_IMAGES_SIZE], stalls[STALLS_SIZE];
	unsigned int height, width;

	sim_program_output(command, &height, &width);
	tool_table_add(table, "%s", sim_program_step(program, i, name));
	tool_table_add(table, "%s", tv_opcode_name(command->opcode));
	tool_table_add(table, "%s", stalls_text(told->stall, stalls));
	tool_table_add(table, "%s", sim_program_images(program, i, images));
	tool_table_add(table, "%ux%ux%u", height, width, command->out_channels);
	tool_table_add(table, "%u", split_of(command));
	tool_table_add(table, "%u", command->tile_rows);
	tool_table_add(table, "%" PRIu64, cycles_of(told));
	tool_table_add(table, "%.1f",
		       percent((double)cycles_of(told), (double)profile->total.steady));
	tool_table_add(table, "%" PRIu64, told->busy[TV_CYCLE_MAT]);
	tool_table_add(table, "%" PRIu64, told->busy[TV_CYCLE_RMAC]);
	tool_table_add(table, "%.1f", utilisation(profile, i));
	tool_table_add(table, "%" PRIu64, told->busy[TV_CYCLE_EPILOGUE]);
	tool_table_add(table, "%" PRIu64, bytes_of(profile, i));
}

static int print_commands(const struct profile *profile, struct tv_error *error)
{
	static const char *const heads[] = { "layer", "opcode", "waits",    "images",	"output",
					     "split", "tile",	"cycles",   "% of job", "MAT",
					     "R-MAC", "used %", "epilogue", "bytes" };
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 3,
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (uint32_t i = 0; i < profile->schedule.timed.count; i++)
		add_command(profile, i, &table);
	return tool_table_print(&table, 0, error);
}

/* 10^9 operations a second, two a MAC. */
static double gops(const struct profile *profile, double cycles)
{
	return 2 * (double)profile->total.macs * profile->schedule.target->clock_mhz / cycles / 1e3;
}

static int print_text(const struct profile *profile, struct tv_error *error)
{
	const struct tv_cycle_profile *total = &profile->total;
	const struct tv_target *target = profile->schedule.target;
	const unsigned int images = profile->schedule.program.header.images;
	double cycles = (double)(total->job.end - total->job.start);
	char stalls[STALLS_SIZE];
	int r = print_commands(profile, error);

	if (r < 0)
		return r;
	printf("\ntarget       %s: %u multipliers at %u MHz, %u KiB on chip, DRAM %u MB/s",
	       target->name, tv_target_multipliers(target), target->clock_mhz,
	       target->onchip / 1024, target->dram_mb_s);
	if (profile->schedule.dram_percent != 100)
		printf(" of which %u %%", profile->schedule.dram_percent);
	printf("\njob          %u image%s, %.1f M MACs, %.2f MB from and to DRAM\n", images,
	       images == 1 ? "" : "s", (double)total->macs / 1e6, (double)total->job.bytes / 1e6);
	printf("from idle    %" PRIu64 " cycles, %.3f ms\n", total->cold,
	       milliseconds(profile, (double)total->cold));
	printf("steady       %.0f cycles, %.3f ms\n", total->steady,
	       milliseconds(profile, total->steady));
	printf("at work     ");
	for (unsigned int i = 0; i < TV_CYCLE_ENGINES; i++)
		printf(" %s %.1f %%%s", tv_cycle_engine_name(i),
		       percent((double)total->job.busy[i], cycles),
		       i + 1 < TV_CYCLE_ENGINES ? "," : "\n");
	printf("MAT waits    %s cycles\n", stalls_text(total->job.stall, stalls));
	printf("utilisation  %.1f %% of the multipliers\n", 100 * total->utilisation);
	printf("throughput   %.1f images/s, %.1f of %.1f GOPS\n", total->images_per_second,
	       gops(profile, total->steady),
	       2e-3 * tv_target_multipliers(target) * target->clock_mhz);
	return 0;
}

static json_t *busy_json(const uint64_t *busy)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < TV_CYCLE_ENGINES; i++)
		if (json_object_set_new(object, tv_cycle_engine_name(i),
					json_integer((json_int_t)busy[i])) < 0)
			return NULL;
	return object;
}

static json_t *stalls_json(const uint64_t *stalls)
{
	json_t *object = json_object();

	for (unsigned int i = 0; i < TV_CYCLE_STALLS; i++)
		if (json_object_set_new(object, tv_cycle_stall_name(i),
					json_integer((json_int_t)stalls[i])) < 0)
			return NULL;
	return object;
}

static json_t *layer_json(const struct profile *profile, uint32_t i)
{
	const struct sim_program *program = &profile->schedule.program;
	const struct tv_command *command = &program->commands[i];
	const struct tv_cycle_command *told = &profile->commands[i];
	unsigned int shape[3] = { 0, 0, command->out_channels };
	uint64_t start = profile->total.job.start;
	char name[SIM_STEP_SIZE];

	sim_program_output(command, &shape[0], &shape[1]);
	return json_pack(
		"{s:o, s:s, s:i, s:i, s:o, s:i, s:i, s:I, s:I, s:I, s:I, s:f, s:I, s:o, s:o}",
		"layer", tool_json_string(sim_program_step(program, i, name)), "opcode",
		tv_opcode_name(command->opcode), "image", (int)program->steps[i].image, "images",
		(int)command->images, "output", sim_json_unsigned(shape, TV_ARRAY_SIZE(shape)),
		"split", (int)split_of(command), "tile_rows", (int)command->tile_rows, "begin",
		(json_int_t)(told->begin == UINT64_MAX ? told->end - start : told->begin - start),
		"end", (json_int_t)(told->end - start), "cycles", (json_int_t)cycles_of(told),
		"macs", (json_int_t)tv_command_macs(command), "utilisation",
		utilisation(profile, i), "bytes", (json_int_t)bytes_of(profile, i), "busy",
		busy_json(told->busy), "stalls", stalls_json(told->stall));
}

static int print_json(const struct profile *profile, struct tv_error *error)
{
	const struct tv_cycle_profile *total = &profile->total;
	json_auto_t *layers = json_array();
	json_auto_t *root = NULL;

	for (uint32_t i = 0; i < profile->schedule.timed.count; i++)
		if (json_array_append_new(layers, layer_json(profile, i)) < 0)
			return tv_error_oom(error);
	root = json_pack("{s:o, s:i, s:i, s:I, s:f, s:I, s:f, s:f, s:f, s:f, s:I, s:o, s:o, s:O}",
			 "target", tool_json_string(profile->schedule.target->name), "images",
			 (int)profile->schedule.program.header.images, "dram_percent",
			 (int)profile->schedule.dram_percent, "cold", (json_int_t)total->cold,
			 "cycles", total->steady, "macs", (json_int_t)total->macs, "utilisation",
			 100 * total->utilisation, "fps", total->images_per_second, "cold_fps",
			 profile->schedule.program.header.images * 1e3 /
				 milliseconds(profile, (double)total->cold),
			 "gops", gops(profile, total->steady), "bytes",
			 (json_int_t)total->job.bytes, "busy", busy_json(total->job.busy), "stalls",
			 stalls_json(total->job.stall), "layers", layers);
	return tool_json_print(root, error);
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	_cleanup_(profile_done) struct profile profile = { .commands = NULL };
	struct profile_options options = { .json = false };
	struct tv_error error = { 0 };
	int code, r;

	code = parse(self, argc, argv, &options);
	if (code != TOOL_GO_ON)
		return code;
	r = sim_schedule_open(options.subject, &options.how, &profile.schedule, &error);
	if (r >= 0)
		r = measure(&profile, &error);
	if (r >= 0)
		r = (options.json ? print_json : print_text)(&profile, &error);
	return r < 0 ? tool_fail(&error) : EXIT_SUCCESS;
}

const struct tool_command sim_profile = {
	.name = "profile",
	.arguments = "MODEL|CHECKPOINT|ARCH [OPTION...]",
	.summary = "say how long a program takes on a target, and why",
	.help = "Runs the cycle model without data (docs/hardware.md, Timing), jobs queued, and\n"
		"shows where a job's time goes: of a MODEL's program, or of the one that a\n"
		"CHECKPOINT or ARCH (b0, b1, b2 or b3) would become.\n"
		"\n"
		"Options:\n" SIM_SCHEDULE_HELP
		"      --json             for programs; utilisations are percentages\n"
		"  -h, --help\n",
	.run = run,
};
