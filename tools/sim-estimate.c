/* SPDX-License-Identifier: MIT */
/* triovit-sim estimate: how long a program takes on a target, and where the time goes. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "rtl-model/command.h"
#include "rtl-model/timing.h"
#include "tools/sim-program.h"
#include "tools/sim-subject.h"

#define DEFAULT_TARGET "zcu102"

struct estimate_options {
	const char *subject; /* a checkpoint, a model, or b0 to b3 */
	const char *target;
	unsigned int images, size, dram_percent;
	bool json;
};

struct estimate {
	const struct tv_target *target;
	unsigned int dram_percent;
	struct sim_program program;
	struct tv_timing_command *commands;
	struct tv_timing_program total;
	/* What the program is of, for its names: one of the two. */
	struct tv_network *network;
	struct sim_model model;
	struct tv_target_file file;
};

static int parse(const struct tool_command *self, int argc, char **argv,
		 struct estimate_options *ret)
{
	static const struct tool_option options[] = {
		SIM_TARGET(struct estimate_options, target),
		SIM_IMAGES(struct estimate_options, images),
		SIM_SIZE(struct estimate_options, size),
		{ "dram-percent", 0, tool_take_unsigned,
		  offsetof(struct estimate_options, dram_percent), 1, 100 },
		SIM_JSON(struct estimate_options, json),
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

static void estimate_done(struct estimate *estimate)
{
	sim_program_done(&estimate->program);
	free(estimate->commands);
	tv_network_free(estimate->network);
	sim_model_done(&estimate->model);
}

static int open_model(const struct estimate_options *options, struct estimate *estimate,
		      struct tv_error *error)
{
	struct sim_model *model = &estimate->model;
	int r;

	if (options->size)
		return tv_error_set(error, -EINVAL,
				    "%s: a model, whose input is what it was quantized for: no "
				    "--size",
				    options->subject);
	r = sim_model_open(options->subject, options->target, options->images, model, error);
	if (r < 0)
		return r;
	estimate->target = &model->target.target;
	return sim_program_of_package(model->package, model->program, &estimate->program, error);
}

static int lower_network(const struct estimate_options *options,
			 const struct tv_architecture *architecture, struct estimate *estimate,
			 struct tv_error *error)
{
	const struct tv_checkpoint_options how = { .size = options->size };
	const char *target = options->target ? options->target : DEFAULT_TARGET;
	int r;

	r = tv_target_find(target, &estimate->file, error);
	if (r < 0)
		return r;
	estimate->target = &estimate->file.target;
	if (architecture)
		r = tv_network_new(architecture, options->size ? options->size : 224,
				   &estimate->network, error);
	else
		r = tv_checkpoint_read(options->subject, &how, &estimate->network, error);
	if (r < 0)
		return r;
	return sim_program_of_network(estimate->network, estimate->target,
				      options->images ? options->images : 1, &estimate->program,
				      error);
}

static int open_subject(const struct estimate_options *options, struct estimate *estimate,
			struct tv_error *error)
{
	struct tv_architecture architecture;
	bool model;
	int r;

	if (tv_architecture_by_name(options->subject, &architecture, NULL) >= 0)
		return lower_network(options, &architecture, estimate, error);
	r = sim_is_model(options->subject, &model, error);
	if (r < 0)
		return r;
	return model ? open_model(options, estimate, error) :
		       lower_network(options, NULL, estimate, error);
}

static int calculate(struct estimate *estimate, struct tv_error *error)
{
	const struct sim_program *program = &estimate->program;

	estimate->commands = calloc(program->header.commands, sizeof(*estimate->commands));
	if (!estimate->commands)
		return tv_error_oom(error);
	for (uint32_t i = 0; i < program->header.commands; i++)
		tv_timing_of_command(estimate->target, &program->commands[i],
				     &estimate->commands[i]);
	return tv_timing_of_program(estimate->target, estimate->dram_percent, &program->header,
				    program->commands, &estimate->total, error);
}

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

/* The multipliers' share of work in a command's own cycles. */
static double utilisation(const struct estimate *estimate, const struct tv_timing_command *timing)
{
	return percent((double)timing->macs,
		       (double)timing->cycles * tv_target_multipliers(estimate->target));
}

static double milliseconds(const struct estimate *estimate, double cycles)
{
	return cycles / estimate->target->clock_mhz / 1e3;
}

/* The split that orders the weights: of a chain, its dense stage's. */
static unsigned int split_of(const struct tv_command *command)
{
	return command->stage[command->opcode == TV_OP_SEPARABLE].split;
}

static int print_commands(const struct estimate *estimate, struct tv_error *error)
{
	static const char *const heads[] = { "layer",  "opcode",   "images",  "output",
					     "split",  "tile",	   "cycles",  "% of job",
					     "used %", "epilogue", "weights", "DRAM" };
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 2,
	};
	char name[SIM_STEP_SIZE], images[SIM_IMAGES_SIZE];

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (uint32_t i = 0; i < estimate->program.header.commands; i++) {
		const struct tv_command *command = &estimate->program.commands[i];
		const struct tv_timing_command *timing = &estimate->commands[i];
		unsigned int height, width;

		sim_program_output(command, &height, &width);
		tool_table_add(&table, "%s", sim_program_step(&estimate->program, i, name));
		tool_table_add(&table, "%s", tv_opcode_name(command->opcode));
		tool_table_add(&table, "%s", sim_program_images(&estimate->program, i, images));
		tool_table_add(&table, "%ux%ux%u", height, width, command->out_channels);
		tool_table_add(&table, "%u", split_of(command));
		tool_table_add(&table, "%u", command->tile_rows);
		tool_table_add(&table, "%" PRIu64, timing->cycles);
		tool_table_add(&table, "%.1f",
			       percent((double)timing->cycles, estimate->total.steady));
		tool_table_add(&table, "%.1f", utilisation(estimate, timing));
		tool_table_add(&table, "%" PRIu64, timing->epilogue);
		tool_table_add(&table, "%" PRIu64, timing->weights);
		tool_table_add(&table, "%" PRIu64, timing->dram);
	}
	return tool_table_print(&table, 0, error);
}

static int print_text(const struct estimate *estimate, struct tv_error *error)
{
	const struct tv_timing_program *total = &estimate->total;
	const struct tv_target *target = estimate->target;
	int r = print_commands(estimate, error);

	if (r < 0)
		return r;
	printf("\ntarget       %s: %u multipliers at %u MHz, %u KiB on chip, DRAM %u MB/s",
	       target->name, tv_target_multipliers(target), target->clock_mhz,
	       target->onchip / 1024, target->dram_mb_s);
	if (estimate->dram_percent != 100)
		printf(" of which %u %%", estimate->dram_percent);
	printf("\njob          %u image%s, %.1f M MACs, %.2f MB from and to DRAM\n",
	       estimate->program.header.images, estimate->program.header.images == 1 ? "" : "s",
	       (double)total->macs / 1e6, (double)total->dram_bytes / 1e6);
	printf("from idle    %.0f cycles, %.3f ms\n", total->cold,
	       milliseconds(estimate, total->cold));
	printf("steady       %.0f cycles, %.3f ms: engines %.1f %%, waiting for weights %.1f %%, "
	       "for other operands %.1f %%\n",
	       total->steady, milliseconds(estimate, total->steady),
	       percent(total->engines, total->steady), percent(total->weights_wait, total->steady),
	       percent(total->dram_wait, total->steady));
	printf("utilisation  %.1f %% of the multipliers\n", 100 * total->utilisation);
	printf("throughput   %.1f images/s\n", total->images_per_second);
	return 0;
}

static json_t *command_json(const struct estimate *estimate, uint32_t i)
{
	const struct tv_command *command = &estimate->program.commands[i];
	const struct tv_timing_command *timing = &estimate->commands[i];
	unsigned int shape[3] = { 0, 0, command->out_channels };
	char name[SIM_STEP_SIZE];

	sim_program_output(command, &shape[0], &shape[1]);
	return json_pack("{s:o, s:s, s:i, s:i, s:o, s:i, s:i, s:I, s:I, s:I, s:f, s:I, s:I, s:I}",
			 "layer", tool_json_string(sim_program_step(&estimate->program, i, name)),
			 "opcode", tv_opcode_name(command->opcode), "image",
			 (int)estimate->program.steps[i].image, "images", (int)command->images,
			 "output", sim_json_unsigned(shape, TV_ARRAY_SIZE(shape)), "split",
			 (int)split_of(command), "tile_rows", (int)command->tile_rows, "cycles",
			 (json_int_t)timing->cycles, "engines", (json_int_t)timing->engines,
			 "epilogue", (json_int_t)timing->epilogue, "utilisation",
			 utilisation(estimate, timing), "macs", (json_int_t)timing->macs, "weights",
			 (json_int_t)timing->weights, "dram", (json_int_t)timing->dram);
}

static int print_json(const struct estimate *estimate, struct tv_error *error)
{
	const struct tv_timing_program *total = &estimate->total;
	json_auto_t *commands = json_array();
	json_auto_t *root = NULL;

	for (uint32_t i = 0; i < estimate->program.header.commands; i++)
		if (json_array_append_new(commands, command_json(estimate, i)) < 0)
			return tv_error_oom(error);
	root = json_pack("{s:o, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:O}",
			 "target", tool_json_string(estimate->target->name), "images",
			 (int)estimate->program.header.images, "dram_percent",
			 (int)estimate->dram_percent, "cold", total->cold, "steady", total->steady,
			 "engines", total->engines, "weights_wait", total->weights_wait,
			 "dram_wait", total->dram_wait, "utilisation", 100 * total->utilisation,
			 "images_per_second", total->images_per_second, "macs",
			 (json_int_t)total->macs, "dram_bytes", (json_int_t)total->dram_bytes,
			 "commands", commands);
	return tool_json_print(root, error);
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	_cleanup_(estimate_done) struct estimate estimate = { .network = NULL };
	struct estimate_options options = { .dram_percent = 100 };
	struct tv_error error = { 0 };
	int code, r;

	code = parse(self, argc, argv, &options);
	if (code != TOOL_GO_ON)
		return code;
	estimate.dram_percent = options.dram_percent;
	r = open_subject(&options, &estimate, &error);
	if (r >= 0)
		r = calculate(&estimate, &error);
	if (r >= 0)
		r = (options.json ? print_json : print_text)(&estimate, &error);
	return r < 0 ? tool_fail(&error) : EXIT_SUCCESS;
}

const struct tool_command sim_estimate = {
	.name = "estimate",
	.arguments = "MODEL|CHECKPOINT|ARCH [OPTION...]",
	.summary = "say how long a program takes on a target",
	.help = "Shows how many cycles each command takes and what a job takes altogether, by\n"
		"the timing calculator (docs/hardware.md, Timing): of a MODEL's program, or of\n"
		"the one that a CHECKPOINT or ARCH (b0, b1, b2 or b3) would become.\n"
		"\n"
		"Options:\n"
		"      --target NAME      zcu102 (default), kv260, zc706, zynq7020, or a file\n"
		"                         that describes one; of a model: which of its programs\n"
		"      --images N         images that a job works on (default 1)\n"
		"      --size N           side of the input (else the checkpoint's, else 224)\n"
		"      --dram-percent P   with so much of the DRAM's bandwidth (default 100)\n"
		"      --json             for programs; utilisations are percentages\n"
		"  -h, --help\n",
	.run = run,
};
