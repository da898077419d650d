/* SPDX-License-Identifier: MIT */
/* What a package must fulfil: asked of those that are read and of those that are to be written, so
 * that no file leaves here that would not be taken back. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "image/image.h"
#include "model/package-format.h"
#include "rtl-model/command.h"

/* Whether a list with one name a line gives the name back: a carriage return at a line's end is
 * taken as part of it. */
static bool is_line(const char *text)
{
	return *text && !strchr(text, '\n') && text[strlen(text) - 1] != '\r';
}

static int check_input(const struct tv_package *package, struct tv_error *error)
{
	int r;

	r = tv_network_check_size(package->size, error);
	if (r < 0)
		return r;
	if (package->resize < package->size || package->resize > TV_IMAGE_SIDE_MAX)
		return tv_error_set(error, -EINVAL, "resize is %u, expected %u (the size) to %u",
				    package->resize, package->size, TV_IMAGE_SIDE_MAX);
	if (!package->classes || package->classes > TV_NETWORK_CHANNELS_MAX)
		return tv_error_set(error, -EINVAL, "%u classes, expected 1 to %u",
				    package->classes, TV_NETWORK_CHANNELS_MAX);
	if (!isfinite(package->logit_scale) || package->logit_scale <= 0)
		return tv_error_set(error, -EINVAL, "logit_scale is %g, expected a number above 0",
				    (double)package->logit_scale);
	if (package->macs > INT64_MAX)
		return tv_error_set(error, -EINVAL, "%" PRIu64 " MACs, expected below 2^63",
				    package->macs);
	for (unsigned int i = 0; package->labels && i < package->classes; i++)
		if (!is_line(package->labels[i]))
			return tv_error_set(error, -EINVAL, "label %u is not one line of text", i);
	return 0;
}

static int check_values(const struct tv_package_node *node, const char *what, const float *values,
			struct tv_error *error)
{
	for (uint32_t i = 0; i < node->channels; i++)
		if (!isfinite(values[i]))
			return tv_error_set(error, -EINVAL,
					    "tensor '%s%s': channel %u is %g, expected a finite "
					    "number",
					    what, node->name, i, (double)values[i]);
	return 0;
}

static int check_node(const struct tv_package *package, size_t index, struct tv_error *error)
{
	const struct tv_package_node *node = &package->nodes[index];
	int r;

	if (!is_line(node->name) || !tv_safetensors_name_valid(node->name))
		return tv_error_set(error, -EINVAL, "node %zu has no name of one line", index);
	for (size_t i = 0; i < index; i++)
		if (strcmp(package->nodes[i].name, node->name) == 0)
			return tv_error_set(error, -EINVAL, "nodes %zu and %zu are both '%s'", i,
					    index, node->name);
	if (!node->channels || node->channels > TV_NETWORK_CHANNELS_MAX)
		return tv_error_set(error, -EINVAL, "node '%s': %u channels, expected 1 to %u",
				    node->name, node->channels, TV_NETWORK_CHANNELS_MAX);
	r = check_values(node, TV_PACKAGE_SCALE, node->scale, error);
	return r < 0 ? r : check_values(node, TV_PACKAGE_OFFSET, node->offset, error);
}

static bool is_target_name(const char *name)
{
	if (!*name || *name == '.')
		return false;
	for (; *name; name++)
		if (!isascii(*name) || (!isalnum(*name) && !strchr("._-", *name)))
			return false;
	return true;
}

/* ret: NULL for a target that is not built in; what it can do is for those to judge who know it. */
static int check_target(const struct tv_package_program *program, const struct tv_target **ret,
			struct tv_error *error)
{
	const struct tv_target *named = tv_target_by_name(program->target);
	const struct tv_target *meant = tv_target_by_id(program->header.target);

	if (!is_target_name(program->target))
		return tv_error_set(error, -EINVAL,
				    "the target's name is not made of letters, digits, '.', '_' "
				    "and '-'");
	if (named != meant)
		return tv_error_set(error, -EINVAL,
				    "target id %u in the header is %s, not target '%s'",
				    program->header.target, meant ? meant->name : "unknown",
				    program->target);
	*ret = named;
	return 0;
}

static int check_segments(const struct tv_package *package, const struct tv_program_header *header,
			  struct tv_error *error)
{
	uint64_t input = (uint64_t)header->images * package->size * package->size * 3;
	uint64_t output = (uint64_t)header->images * package->classes * sizeof(int16_t);
	const uint32_t never = 1u << TV_SEGMENT_PROGRAM | 1u << TV_SEGMENT_WEIGHTS;

	if (header->segment[TV_SEGMENT_INPUT] != input)
		return tv_error_set(error, -EINVAL,
				    "input segment of %u bytes, expected %" PRIu64
				    " for %u images of %ux%u",
				    header->segment[TV_SEGMENT_INPUT], input, header->images,
				    package->size, package->size);
	if (header->segment[TV_SEGMENT_OUTPUT] != output)
		return tv_error_set(error, -EINVAL,
				    "output segment of %u bytes, expected %" PRIu64
				    " for %u images and %u classes",
				    header->segment[TV_SEGMENT_OUTPUT], output, header->images,
				    package->classes);
	if (header->writable & never || header->writable >> TV_SEGMENT_COUNT)
		return tv_error_set(error, -EINVAL,
				    "writable segments %#x, expected none but 2 to 7",
				    header->writable);
	return 0;
}

static int check_header(const struct tv_package *package, const struct tv_package_program *program,
			const struct tv_target *target, struct tv_error *error)
{
	const struct tv_program_header *header = &program->header;
	uint64_t size = TV_PROGRAM_HEADER_SIZE + (uint64_t)header->commands * TV_COMMAND_SIZE;
	uint8_t bytes[TV_PROGRAM_HEADER_SIZE];

	/* One comparison for two questions: whether the struct is what the bytes say, and whether
	 * their reserved ones are zero. */
	tv_encode_program_header(header, bytes);
	if (memcmp(bytes, program->program, sizeof(bytes)) != 0)
		return tv_error_set(error, -EINVAL, "reserved bytes of the header are not zero");
	if (!header->commands || header->commands > TV_COMMANDS_MAX)
		return tv_error_set(error, -EINVAL, "%u commands, expected 1 to %u",
				    header->commands, TV_COMMANDS_MAX);
	if (header->segment[TV_SEGMENT_PROGRAM] != size)
		return tv_error_set(error, -EINVAL,
				    "program segment of %u bytes, expected %" PRIu64
				    " for %u commands",
				    header->segment[TV_SEGMENT_PROGRAM], size, header->commands);
	if (!header->images || header->images > TV_BATCH_MAX)
		return tv_error_set(error, -EINVAL, "%u images a job, expected 1 to %u",
				    header->images, TV_BATCH_MAX);
	if (target && header->onchip > target->onchip)
		return tv_error_set(error, -EINVAL, "%u bytes on chip, but target '%s' has only %u",
				    header->onchip, target->name, target->onchip);
	return check_segments(package, header, error);
}

/* Channels of what a stage puts out: what its node's scales are for. */
static uint32_t stage_channels(const struct tv_command *command, unsigned int stage)
{
	return command->opcode == TV_OP_SEPARABLE && stage == 0 ? command->channels :
								  command->out_channels;
}

static int check_step(const struct tv_package *package, const struct tv_package_program *program,
		      const struct tv_command *command, const struct tv_step *step,
		      struct tv_error *error)
{
	/* A COPY computes no node's value. */
	unsigned int stages =
		command->opcode == TV_OP_COPY						 ? 0 :
		command->opcode == TV_OP_SEPARABLE || command->opcode == TV_OP_CONV_POOL ? 2 :
											   1;

	for (unsigned int stage = 0; stage < 2; stage++) {
		int node = step->nodes[stage];

		if (stage >= stages) {
			if (node != TV_STEP_NONE)
				return tv_error_set(error, -EINVAL,
						    "node %d for stage %u, expected %d: a %s has "
						    "no such stage",
						    node, stage, TV_STEP_NONE,
						    tv_opcode_name(command->opcode));
			continue;
		}
		if (node < 0 || (size_t)node >= package->node_count)
			return tv_error_set(error, -EINVAL,
					    "node %d for stage %u, expected 0 to %zu", node, stage,
					    package->node_count - 1);
		if (package->nodes[node].channels != stage_channels(command, stage))
			return tv_error_set(error, -EINVAL,
					    "stage %u puts out %u channels, but node '%s' has %u",
					    stage, stage_channels(command, stage),
					    package->nodes[node].name,
					    package->nodes[node].channels);
	}
	if (stages && step->images != command->images)
		return tv_error_set(error, -EINVAL, "%u images, but the command has %u",
				    step->images, command->images);
	if ((uint64_t)step->image + step->images > program->header.images)
		return tv_error_set(error, -EINVAL, "images %u to %" PRIu64 " of a job's %u",
				    step->image, (uint64_t)step->image + step->images,
				    program->header.images);
	return 0;
}

static int check_commands(const struct tv_package *package,
			  const struct tv_package_program *program, const struct tv_target *target,
			  struct tv_error *error)
{
	char name[TV_PACKAGE_NAME_SIZE];
	int r;

	for (uint32_t i = 0; i < program->header.commands; i++) {
		const uint8_t *bytes =
			program->program + TV_PROGRAM_HEADER_SIZE + (size_t)i * TV_COMMAND_SIZE;
		struct tv_command command;
		const char *why = NULL;

		if (tv_decode_command(bytes, &command) < 0)
			why = "reserved bytes are not zero";
		else if (target)
			why = tv_command_check(&command, target);
		if (why)
			return tv_error_set(
				error, -EINVAL, "tensor '%s': command %u: %s",
				tv_package_program_name(TV_PACKAGE_PROGRAM, program, name), i, why);
		r = check_step(package, program, &command, &program->steps[i], error);
		if (r < 0)
			return tv_error_prefix(
				error, r, "tensor '%s': command %u",
				tv_package_program_name(TV_PACKAGE_STEPS, program, name), i);
	}
	return 0;
}

int tv_package_check_version(const struct tv_package_program *program, struct tv_error *error)
{
	const struct tv_program_header *header = &program->header;

	if (header->magic != TV_PROGRAM_MAGIC)
		return tv_error_set(error, -EINVAL, "no program: magic %#x, expected %#x",
				    header->magic, TV_PROGRAM_MAGIC);
	if (header->contract != TV_CONTRACT_VERSION)
		return tv_error_set(error, -EINVAL, "contract version %u, expected %u",
				    header->contract, TV_CONTRACT_VERSION);
	return 0;
}

static int check_program(const struct tv_package *package, size_t index, struct tv_error *error)
{
	const struct tv_package_program *program = &package->programs[index];
	const struct tv_target *target;
	char name[TV_PACKAGE_NAME_SIZE];
	int r;

	for (size_t i = 0; i < index; i++)
		if (package->programs[i].header.images == program->header.images &&
		    strcmp(package->programs[i].target, program->target) == 0)
			return tv_error_set(error, -EINVAL,
					    "programs %zu and %zu are both for %u images on "
					    "target '%s'",
					    i, index, program->header.images, program->target);
	r = tv_package_check_version(program, error);
	if (r >= 0)
		r = check_target(program, &target, error);
	if (r >= 0)
		r = check_header(package, program, target, error);
	if (r < 0)
		return tv_error_prefix(error, r, "tensor '%s'",
				       tv_package_program_name(TV_PACKAGE_PROGRAM, program, name));
	return check_commands(package, program, target, error);
}

int tv_package_check(const struct tv_package *package, struct tv_error *error)
{
	int r;

	r = check_input(package, error);
	if (r >= 0 && !package->node_count)
		r = tv_error_set(error, -EINVAL, "no nodes");
	for (size_t i = 0; r >= 0 && i < package->node_count; i++)
		r = check_node(package, i, error);
	if (r >= 0 && (!package->program_count || package->program_count > TV_PACKAGE_PROGRAMS_MAX))
		r = tv_error_set(error, -EINVAL, "%zu programs, expected 1 to %u",
				 package->program_count, TV_PACKAGE_PROGRAMS_MAX);
	for (size_t i = 0; r >= 0 && i < package->program_count; i++)
		r = check_program(package, i, error);
	return r;
}
