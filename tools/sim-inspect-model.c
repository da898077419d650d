/* SPDX-License-Identifier: MIT */
/* triovit-sim inspect, of a model: its programs, layers and commands. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rtl-model/command.h"
#include "tools/sim-inspect.h"
#include "tools/sim-program.h"

/* What a program's commands have to do, by their shapes. */
static int count_macs(const struct tv_package *package, const struct tv_package_program *program,
		      uint64_t *ret, struct tv_error *error)
{
	_cleanup_(sim_program_done) struct sim_program decoded = { .commands = NULL };
	int r = sim_program_of_package(package, program, &decoded, error);

	if (r < 0)
		return r;
	*ret = 0;
	for (uint32_t i = 0; i < decoded.header.commands; i++)
		*ret += tv_command_macs(&decoded.commands[i]);
	return 0;
}

static int print_programs(const struct tv_package *package, struct tv_error *error)
{
	static const char *const heads[] = { "target", "images", "commands", "program", "weights",
					     "input",  "output", "scratch",  "on chip", "M MACs" };
	static const uint8_t segments[] = { TV_SEGMENT_PROGRAM, TV_SEGMENT_WEIGHTS,
					    TV_SEGMENT_INPUT, TV_SEGMENT_OUTPUT,
					    TV_SEGMENT_SCRATCH };
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 1,
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < package->program_count; i++) {
		const struct tv_package_program *program = &package->programs[i];
		uint64_t macs;
		int r = count_macs(package, program, &macs, error);

		if (r < 0)
			return r;
		tool_table_add(&table, "%s", program->target);
		tool_table_add(&table, "%u", program->header.images);
		tool_table_add(&table, "%" PRIu32, program->header.commands);
		for (size_t s = 0; s < TV_ARRAY_SIZE(segments); s++)
			tool_table_add(&table, "%" PRIu32, program->header.segment[segments[s]]);
		tool_table_add(&table, "%" PRIu32, program->header.onchip);
		tool_table_add(&table, "%.3f", (double)macs / 1e6);
	}
	return tool_table_print(&table, 0, error);
}

struct extremes {
	float least, most;
};

static struct extremes extremes_of(const float *values, uint32_t count)
{
	struct extremes extremes = { values[0], values[0] };

	for (uint32_t i = 1; i < count; i++) {
		extremes.least = values[i] < extremes.least ? values[i] : extremes.least;
		extremes.most = values[i] > extremes.most ? values[i] : extremes.most;
	}
	return extremes;
}

static void add_extremes(struct tool_table *table, struct extremes extremes)
{
	if (extremes.least < extremes.most)
		tool_table_add(table, "%.4g .. %.4g", (double)extremes.least,
			       (double)extremes.most);
	else
		tool_table_add(table, "%.4g", (double)extremes.least);
}

static int print_layers(const struct tv_package *package, struct tv_error *error)
{
	static const char *const heads[] = { "layer", "channels", "scale", "offset" };
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 1,
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < package->node_count; i++) {
		const struct tv_package_node *node = &package->nodes[i];

		tool_table_add(&table, "%s", node->name);
		tool_table_add(&table, "%" PRIu32, node->channels);
		add_extremes(&table, extremes_of(node->scale, node->channels));
		add_extremes(&table, extremes_of(node->offset, node->channels));
	}
	return tool_table_print(&table, 0, error);
}

/* "scratch:1024" is byte 1024 of the scratch segment. */
static void add_operand(struct tool_table *table, const struct tv_operand *operand)
{
	static const char *const names[] = { "program", "weights", "in", "out", "scratch" };

	if (operand->segment == TV_SEGMENT_NONE)
		tool_table_add(table, "%s", "");
	else if (operand->segment == TV_SEGMENT_ONCHIP)
		tool_table_add(table, "chip:%" PRIu32, operand->offset);
	else if (operand->segment < TV_ARRAY_SIZE(names))
		tool_table_add(table, "%s:%" PRIu32, names[operand->segment], operand->offset);
	else
		tool_table_add(table, "%u:%" PRIu32, operand->segment, operand->offset);
}

static const char *activation_name(uint8_t activation)
{
	return activation == TV_STAGE_RELU	? "relu" :
	       activation == TV_STAGE_HARDSWISH ? "hardswish" :
						  "";
}

static void add_command(struct tool_table *table, const struct sim_program *program, uint32_t i)
{
	const struct tv_command *command = &program->commands[i];
	const struct tv_stage *stage = command->stage;
	unsigned int height, width;
	char name[SIM_STEP_SIZE], images[SIM_IMAGES_SIZE];

	sim_program_output(command, &height, &width);
	tool_table_add(table, "%" PRIu32, i);
	tool_table_add(table, "%s", sim_program_step(program, i, name));
	tool_table_add(table, "%s", tv_opcode_name(command->opcode));
	tool_table_add(table, "%s%s%s", activation_name(stage[0].activation),
		       stage[0].activation && stage[1].activation ? ", " : "",
		       activation_name(stage[1].activation));
	tool_table_add(table, "%s", sim_program_images(program, i, images));
	tool_table_add(table, "%ux%ux%u", command->height, command->width, command->channels);
	tool_table_add(table, "%ux%ux%u", height, width, command->out_channels);
	tool_table_add(table, "%ux%u/%u", stage[0].kernel, stage[0].kernel, stage[0].stride);
	tool_table_add(table, "%u", command->groups);
	tool_table_add(table, "%u,%u", stage[0].split, stage[1].split);
	tool_table_add(table, "%u", command->tile_rows);
	add_operand(table, &command->input);
	add_operand(table, &command->shortcut);
	add_operand(table, &command->output);
	add_operand(table, &command->weights);
	tool_table_add(table, "%" PRIu64, tv_weights_layout(command).size);
}

static int print_commands(const struct sim_program *program, struct tv_error *error)
{
	static const char *const heads[] = { "#",	 "layer", "opcode",  "activation",
					     "image",	 "input", "output",  "kernel",
					     "groups",	 "split", "tile",    "from",
					     "shortcut", "to",	  "weights", "bytes" };
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 4,
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (uint32_t i = 0; i < program->header.commands; i++)
		add_command(&table, program, i);
	return tool_table_print(&table, 0, error);
}

static int print_text(const struct tv_package *package, const struct sim_program *commands,
		      struct tv_error *error)
{
	int r;

	printf("integer model, %u classes, input %ux%u\n\n", package->classes, package->size,
	       package->size);
	r = print_programs(package, error);
	putchar('\n');
	if (r >= 0)
		r = commands ? print_commands(commands, error) : print_layers(package, error);
	if (r < 0)
		return r;
	printf("\nMACs        %.1f M (%" PRIu64 ") an image\n", (double)package->macs / 1e6,
	       package->macs);
	printf("preprocess  shorter side to %u (bicubic), central %ux%u\n", package->resize,
	       package->size, package->size);
	printf("logits      %.6g each\n", (double)package->logit_scale);
	printf("labels      %s\n", package->labels ? "in the model" : "none");
	if (package->source) {
		_cleanup_free_ char *source = strdup(package->source);

		if (!source)
			return tv_error_oom(error);
		printf("source      %s\n", tool_printable(source));
	}
	return 0;
}

static json_t *program_json(const struct tv_package_program *program, uint64_t macs)
{
	const uint32_t *segment = program->header.segment;

	return json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "target",
			 program->target, "images", (int)program->header.images, "commands",
			 (json_int_t)program->header.commands, "program",
			 (json_int_t)segment[TV_SEGMENT_PROGRAM], "weights",
			 (json_int_t)segment[TV_SEGMENT_WEIGHTS], "input",
			 (json_int_t)segment[TV_SEGMENT_INPUT], "output",
			 (json_int_t)segment[TV_SEGMENT_OUTPUT], "scratch",
			 (json_int_t)segment[TV_SEGMENT_SCRATCH], "onchip",
			 (json_int_t)program->header.onchip, "macs", (json_int_t)macs);
}

static int programs_json(const struct tv_package *package, json_t *programs, struct tv_error *error)
{
	for (size_t i = 0; i < package->program_count; i++) {
		uint64_t macs;
		int r = count_macs(package, &package->programs[i], &macs, error);

		if (r < 0)
			return r;
		if (json_array_append_new(programs, program_json(&package->programs[i], macs)) < 0)
			return tv_error_oom(error);
	}
	return 0;
}

static json_t *layers_json(const struct tv_package *package)
{
	json_auto_t *layers = json_array();

	for (size_t i = 0; i < package->node_count; i++) {
		const struct tv_package_node *node = &package->nodes[i];
		struct extremes scale = extremes_of(node->scale, node->channels);
		struct extremes offset = extremes_of(node->offset, node->channels);
		json_t *layer = json_pack("{s:o, s:i, s:[f, f], s:[f, f]}", "name",
					  tool_json_string(node->name), "channels",
					  (int)node->channels, "scale", scale.least, scale.most,
					  "offset", offset.least, offset.most);

		if (json_array_append_new(layers, layer) < 0)
			return NULL;
	}
	return TV_TAKE_PTR(layers);
}

static json_t *operand_json(const struct tv_operand *operand)
{
	static const char *const formats[] = { "int8", "uint8", "int16" };

	if (operand->segment == TV_SEGMENT_NONE)
		return json_null();
	return json_pack("{s:i, s:I, s:i, s:s?}", "segment", (int)operand->segment, "offset",
			 (json_int_t)operand->offset, "pitch", (int)operand->pitch, "format",
			 operand->format < TV_ARRAY_SIZE(formats) ? formats[operand->format] :
								    NULL);
}

static json_t *stages_json(const struct tv_command *command)
{
	json_auto_t *stages = json_array();

	for (size_t i = 0; i < TV_ARRAY_SIZE(command->stage); i++) {
		const struct tv_stage *stage = &command->stage[i];
		json_t *one;

		if (!stage->kernel)
			continue;
		one = json_pack("{s:i, s:i, s:s?, s:i, s:i, s:i}", "kernel", (int)stage->kernel,
				"stride", (int)stage->stride, "activation",
				stage->activation ? activation_name(stage->activation) : NULL,
				"fraction", (int)stage->fraction, "zero_point",
				(int)stage->zero_point, "split", (int)stage->split);
		if (json_array_append_new(stages, one) < 0)
			return NULL;
	}
	return TV_TAKE_PTR(stages);
}

static json_t *weights_json(const struct tv_command *command)
{
	uint64_t bytes = tv_weights_layout(command).size;

	if (!bytes)
		return json_null();
	return json_pack("{s:i, s:I, s:I}", "segment", (int)command->weights.segment, "offset",
			 (json_int_t)command->weights.offset, "bytes", (json_int_t)bytes);
}

static json_t *command_json(const struct sim_program *program, uint32_t i)
{
	const struct tv_command *command = &program->commands[i];
	const unsigned int input[] = { command->height, command->width, command->channels };
	unsigned int output[3] = { 0, 0, command->out_channels };
	char name[SIM_STEP_SIZE];

	sim_program_output(command, &output[0], &output[1]);
	return json_pack("{s:o, s:s, s:i, s:i, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:I}",
			 "layer", tool_json_string(sim_program_step(program, i, name)), "opcode",
			 tv_opcode_name(command->opcode), "image", (int)program->steps[i].image,
			 "images", (int)command->images, "input",
			 sim_json_unsigned(input, TV_ARRAY_SIZE(input)), "output",
			 sim_json_unsigned(output, TV_ARRAY_SIZE(output)), "groups",
			 (int)command->groups, "tile_rows", (int)command->tile_rows, "stages",
			 stages_json(command), "from", operand_json(&command->input), "shortcut",
			 operand_json(&command->shortcut), "to", operand_json(&command->output),
			 "weights", weights_json(command), "macs",
			 (json_int_t)tv_command_macs(command));
}

static json_t *commands_json(const struct sim_program *program)
{
	json_auto_t *commands = json_array();

	for (uint32_t i = 0; i < program->header.commands; i++)
		if (json_array_append_new(commands, command_json(program, i)) < 0)
			return NULL;
	return TV_TAKE_PTR(commands);
}

static json_t *labels_json(const struct tv_package *package)
{
	json_auto_t *labels = json_array();

	if (!package->labels)
		return json_null();
	for (unsigned int i = 0; i < package->classes; i++)
		if (json_array_append_new(labels, tool_json_string(package->labels[i])) < 0)
			return NULL;
	return TV_TAKE_PTR(labels);
}

static int print_json(const struct tv_package *package, const struct sim_program *commands,
		      struct tv_error *error)
{
	json_auto_t *programs = json_array();
	json_auto_t *root = NULL;
	int r = programs ? programs_json(package, programs, error) : tv_error_oom(error);

	if (r < 0)
		return r;
	root = json_pack("{s:i, s:i, s:i, s:f, s:I, s:o, s:o, s:O, s:o}", "size",
			 (int)package->size, "resize", (int)package->resize, "classes",
			 (int)package->classes, "logit_scale", package->logit_scale, "macs",
			 (json_int_t)package->macs, "labels", labels_json(package), "source",
			 package->source ? tool_json_string(package->source) : json_null(),
			 "programs", programs, "layers", layers_json(package));
	if (root && commands && json_object_set_new(root, "commands", commands_json(commands)) < 0)
		return tv_error_oom(error);
	return tool_json_print(root, error);
}

int sim_inspect_model(const struct sim_inspect_options *options, struct tv_error *error)
{
	_cleanup_(sim_program_done) struct sim_program commands = { .commands = NULL };
	_cleanup_(tv_package_freep) struct tv_package *package = NULL;
	int r;

	if (options->size)
		return tv_error_set(error, -EINVAL,
				    "%s: a model, whose input is what it was quantized for: no "
				    "--size",
				    options->subject);
	r = tv_package_read(options->subject, &package, error);
	if (r < 0)
		return r;
	if (options->commands) {
		const struct tv_package_program *program =
			tv_package_program(package, options->target, options->images);

		if (!program)
			return tv_error_set(error, -ENOENT, "%s: no such program, see inspect %s",
					    options->subject, options->subject);
		r = sim_program_of_package(package, program, &commands, error);
		if (r < 0)
			return r;
	}
	return (options->json ? print_json :
				print_text)(package, options->commands ? &commands : NULL, error);
}
