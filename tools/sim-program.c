/* SPDX-License-Identifier: MIT */
#include "tools/sim-program.h"

#include <stdlib.h>
#include <string.h>

#include "quantizer/lower.h"

static int allocate(struct sim_program *program, size_t nodes, struct tv_error *error)
{
	size_t count = program->header.commands;

	program->commands = calloc(count, sizeof(*program->commands));
	program->steps = calloc(count, sizeof(*program->steps));
	program->names = calloc(nodes, sizeof(*program->names));
	return program->commands && program->steps && program->names ? 0 : tv_error_oom(error);
}

int sim_program_of_package(const struct tv_package *package,
			   const struct tv_package_program *program, struct sim_program *ret,
			   struct tv_error *error)
{
	_cleanup_(sim_program_done) struct sim_program made = { .header = program->header };
	int r;

	r = allocate(&made, package->node_count, error);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < made.header.commands; i++) {
		/* The package's reader has seen that they decode. */
		(void)tv_decode_command(program->program + TV_PROGRAM_HEADER_SIZE +
						(size_t)i * TV_COMMAND_SIZE,
					&made.commands[i]);
		made.steps[i] = program->steps[i];
	}
	for (size_t i = 0; i < package->node_count; i++)
		made.names[i] = package->nodes[i].name;
	*ret = made;
	made = (struct sim_program){ .commands = NULL };
	return 0;
}

int sim_program_of_network(const struct tv_network *network, const struct tv_target *target,
			   unsigned int images, struct sim_program *ret, struct tv_error *error)
{
	const struct tv_lower_options options = { .target = target, .images = images };
	_cleanup_(tv_lowered_freep) struct tv_lowered *lowered = NULL;
	_cleanup_(sim_program_done) struct sim_program made = { .commands = NULL };
	int r;

	r = tv_lower(network, &options, &lowered, error);
	if (r < 0)
		return r;
	made.header = lowered->header;
	r = allocate(&made, network->count, error);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < made.header.commands; i++) {
		made.commands[i] = lowered->commands[i];
		made.steps[i] = lowered->steps[i];
	}
	for (size_t i = 0; i < network->count; i++)
		made.names[i] = network->nodes[i].name;
	*ret = made;
	made = (struct sim_program){ .commands = NULL };
	return 0;
}

void sim_program_done(struct sim_program *program)
{
	free(program->commands);
	free(program->steps);
	free(program->names);
	*program = (struct sim_program){ .commands = NULL };
}

const char *sim_program_step(const struct sim_program *program, uint32_t i, char ret[SIM_STEP_SIZE])
{
	const int *nodes = program->steps[i].nodes;
	const char *first, *second, *dot;

	if (nodes[0] < 0)
		return "";
	first = program->names[nodes[0]];
	if (nodes[1] < 0) {
		snprintf(ret, SIM_STEP_SIZE, "%s", first);
		return ret;
	}
	/* Of one block, as chains are: its last part is enough. */
	second = program->names[nodes[1]];
	dot = strrchr(second, '.');
	if (dot && strncmp(first, second, (size_t)(dot + 1 - second)) == 0)
		second = dot + 1;
	snprintf(ret, SIM_STEP_SIZE, "%s + %s", first, second);
	return ret;
}

const char *sim_program_images(const struct sim_program *program, uint32_t i,
			       char ret[SIM_IMAGES_SIZE])
{
	const struct tv_step *step = &program->steps[i];

	if (step->images > 1)
		snprintf(ret, SIM_IMAGES_SIZE, "%u-%u", step->image,
			 step->image + step->images - 1);
	else
		snprintf(ret, SIM_IMAGES_SIZE, "%u", step->image);
	return ret;
}

void sim_program_output(const struct tv_command *command, unsigned int *ret_height,
			unsigned int *ret_width)
{
	bool pool = command->opcode == TV_OP_POOL || command->opcode == TV_OP_CONV_POOL;

	*ret_height = *ret_width = pool;
	/* Neither has a COPY. */
	if (pool || command->opcode == TV_OP_COPY)
		return;
	*ret_height = tv_map_height(command);
	*ret_width = tv_map_width(command);
}
