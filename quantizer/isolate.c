/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "quantizer/isolate.h"
#include "rtl-model/command.h"

#define PROGRAM_SIZE (TV_PROGRAM_HEADER_SIZE + TV_COMMAND_SIZE)

struct layer {
	uint8_t program[PROGRAM_SIZE];
	struct tv_program_header header;
	struct tv_command command;
	bool wide;
};

struct tv_isolate {
	const struct tv_package *package;
	const struct tv_package_program *program;
	const struct tv_network *network;
	struct tv_functional *machine;
	struct layer *layers; /* one a node */
	uint8_t *scratch, *output; /* of the largest layers */
};

static int check_network(const struct tv_package *package, const struct tv_network *network,
			 struct tv_error *error)
{
	if (network->count != package->node_count || network->size != package->size)
		return tv_error_set(error, -EINVAL,
				    "the network has %zu layers and an input of %u, the model %zu "
				    "and %u: it was made from another",
				    network->count, network->size, package->node_count,
				    package->size);
	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];

		if (strcmp(node->name, package->nodes[i].name) != 0 ||
		    node->out_channels != package->nodes[i].channels)
			return tv_error_set(error, -EINVAL,
					    "layer %zu is '%s' with %u channels, in the model '%s' "
					    "with %u: it was made from another network",
					    i, node->name, node->out_channels,
					    package->nodes[i].name, package->nodes[i].channels);
	}
	return 0;
}

/* The first command that computes a node, and in which stage. */
static int find_command(const struct tv_package_program *program, int node, struct tv_command *ret,
			unsigned int *ret_stage)
{
	struct tv_command copy = { .opcode = 0 }, command;

	for (uint32_t i = 0; i < program->header.commands; i++) {
		const struct tv_step *step = &program->steps[i];

		/* The package's reader has seen that they decode. */
		(void)tv_decode_command(program->program + TV_PROGRAM_HEADER_SIZE +
						(size_t)i * TV_COMMAND_SIZE,
					&command);
		if (command.opcode == TV_OP_COPY)
			copy = command;
		if (step->nodes[0] != node && step->nodes[1] != node)
			continue;
		/* By itself it has its weights from where the copy has them. */
		if (copy.opcode && command.weights.segment == copy.output.segment &&
		    command.weights.offset == copy.output.offset)
			command.weights = copy.input;
		*ret_stage = step->nodes[0] != node;
		*ret = command;
		return 0;
	}
	return -1;
}

/* Stage 0 of a chain as a command of its own: its sections come first in the weights. */
static void cut_first(struct tv_command *command)
{
	if (command->opcode == TV_OP_SEPARABLE) {
		command->opcode = TV_OP_DEPTHWISE;
		command->out_channels = command->channels;
		command->groups = 0;
	} else if (command->opcode == TV_OP_CONV_POOL) {
		command->opcode = TV_OP_CONV;
	} else {
		return;
	}
	command->shortcut = (struct tv_operand){ .segment = TV_SEGMENT_NONE };
	command->shortcut_multiplier = 0;
	command->shortcut_zero_point = 0;
	command->stage[1] = (struct tv_stage){ 0 };
}

/* Stage 1, on the map that stage 0 puts out: its sections lie one behind the other, as they would
 * in a command that has nothing before them. */
static void cut_second(struct tv_command *command)
{
	uint64_t records = tv_weights_layout(command).records[1];
	uint32_t height = tv_map_height(command), width = tv_map_width(command);

	if (command->opcode == TV_OP_SEPARABLE) {
		command->opcode = TV_OP_CONV;
	} else {
		command->opcode = TV_OP_POOL;
		command->channels = command->out_channels;
		command->groups = 0;
	}
	command->height = (uint16_t)height;
	command->width = (uint16_t)width;
	command->weights.offset += (uint32_t)records;
	command->stage[0] = command->stage[1];
	command->stage[1] = (struct tv_stage){ 0 };
	memset(command->pad, 0, sizeof(command->pad));
	command->input.segment = TV_SEGMENT_SCRATCH;
	command->input.format = TV_FORMAT_INT8;
}

/* Inputs side by side at the start of the scratch segment (the image where it always is), then the
 * shortcut; the result is the output. Returns the bytes of scratch. */
static uint64_t place(struct tv_command *command, uint32_t pixels)
{
	uint64_t at = (uint64_t)command->height * command->width * command->channels *
		      tv_format_bytes(command->input.format);

	command->images = 1;
	command->tile_rows = 0;
	command->input.offset = 0;
	command->input.pitch =
		(uint16_t)(command->channels * tv_format_bytes(command->input.format));
	if (command->input.segment == TV_SEGMENT_INPUT)
		at = 0;
	else
		command->input.segment = TV_SEGMENT_SCRATCH;
	if (command->shortcut.segment != TV_SEGMENT_NONE) {
		at = tv_align_weights(at);
		command->shortcut.segment = TV_SEGMENT_SCRATCH;
		command->shortcut.offset = (uint32_t)at;
		command->shortcut.pitch = command->out_channels;
		at += (uint64_t)pixels * command->out_channels;
	}
	command->output.segment = TV_SEGMENT_OUTPUT;
	command->output.offset = 0;
	command->output.pitch =
		(uint16_t)(command->out_channels * tv_format_bytes(command->output.format));
	return at;
}

/* Whether the command's operands are as large as the network's values are: what is written into
 * the scratch memory is as large as these, and the package is somebody else's. */
static bool fits(const struct tv_network *network, const struct tv_node *node,
		 const struct tv_command *command)
{
	const bool pool = command->opcode == TV_OP_POOL;
	unsigned int channels = 3;

	if (node->input >= 0)
		channels = network->nodes[node->input].out_channels;
	if (node->input2 >= 0)
		channels += network->nodes[node->input2].out_channels;
	return command->height == node->in_height && command->width == node->in_width &&
	       command->channels == channels &&
	       (pool ? 1 : tv_map_height(command)) == node->out_height &&
	       (pool ? 1 : tv_map_width(command)) == node->out_width &&
	       (command->input.segment == TV_SEGMENT_INPUT) == (node->input < 0) &&
	       (command->shortcut.segment != TV_SEGMENT_NONE) == (node->shortcut >= 0);
}

/* Whether each value has the format that is read: this is known when all commands are. */
static bool formats_fit(const struct tv_isolate *isolate, size_t index)
{
	const struct tv_node *node = &isolate->network->nodes[index];
	bool wide = isolate->layers[index].command.input.format == TV_FORMAT_INT16;

	return (node->input < 0 || isolate->layers[node->input].wide == wide) &&
	       (node->input2 < 0 || isolate->layers[node->input2].wide == wide) &&
	       (node->shortcut < 0 || !isolate->layers[node->shortcut].wide);
}

static int make_layer(const struct tv_isolate *isolate, size_t index, struct layer *layer,
		      struct tv_error *error)
{
	const struct tv_package_program *program = isolate->program;
	const struct tv_node *node = &isolate->network->nodes[index];
	uint32_t pixels = node->out_height * node->out_width;
	struct tv_command *command = &layer->command;
	uint64_t scratch, output;
	unsigned int stage;

	if (find_command(program, (int)index, command, &stage) < 0)
		return tv_error_set(error, -EINVAL, "no command computes '%s'", node->name);
	if (command->weights.segment != TV_SEGMENT_WEIGHTS)
		return tv_error_set(error, -ENOTSUP, "the weights of '%s' lie in segment %u",
				    node->name, command->weights.segment);
	if (stage == 0)
		cut_first(command);
	else
		cut_second(command);
	if (!fits(isolate->network, node, command))
		return tv_error_set(error, -EINVAL,
				    "the command of '%s' has another shape than the layer",
				    node->name);
	scratch = place(command, pixels);
	layer->wide = command->output.format == TV_FORMAT_INT16;
	output = (uint64_t)pixels * command->out_channels * (layer->wide ? 2 : 1);
	if (scratch > UINT32_MAX || output > UINT32_MAX)
		return tv_error_set(error, -ENOTSUP, "'%s' is too large", node->name);
	layer->header = (struct tv_program_header){
		.magic = TV_PROGRAM_MAGIC,
		.contract = TV_CONTRACT_VERSION,
		.target = program->header.target,
		.commands = 1,
		.images = 1,
		.writable = 1u << TV_SEGMENT_OUTPUT,
		.segment = {
			[TV_SEGMENT_PROGRAM] = PROGRAM_SIZE,
			[TV_SEGMENT_WEIGHTS] = program->header.segment[TV_SEGMENT_WEIGHTS],
			[TV_SEGMENT_INPUT] = isolate->package->size * isolate->package->size * 3,
			[TV_SEGMENT_OUTPUT] = (uint32_t)output,
			[TV_SEGMENT_SCRATCH] = (uint32_t)scratch,
		},
	};
	tv_encode_program_header(&layer->header, layer->program);
	tv_encode_command(command, layer->program + TV_PROGRAM_HEADER_SIZE);
	return 0;
}

static int make_layers(struct tv_isolate *isolate, struct tv_error *error)
{
	uint32_t scratch = 1, output = 1;
	int r;

	isolate->layers = calloc(isolate->network->count, sizeof(*isolate->layers));
	if (!isolate->layers)
		return tv_error_oom(error);
	for (size_t i = 0; i < isolate->network->count; i++) {
		const uint32_t *segment = isolate->layers[i].header.segment;

		r = make_layer(isolate, i, &isolate->layers[i], error);
		if (r < 0)
			return r;
		if (segment[TV_SEGMENT_SCRATCH] > scratch)
			scratch = segment[TV_SEGMENT_SCRATCH];
		if (segment[TV_SEGMENT_OUTPUT] > output)
			output = segment[TV_SEGMENT_OUTPUT];
	}
	for (size_t i = 0; i < isolate->network->count; i++)
		if (!formats_fit(isolate, i))
			return tv_error_set(error, -EINVAL,
					    "'%s' reads another format than is written",
					    isolate->network->nodes[i].name);
	isolate->scratch = malloc(scratch);
	isolate->output = malloc(output);
	return isolate->scratch && isolate->output ? 0 : tv_error_oom(error);
}

int tv_isolate_new(const struct tv_package *package, const struct tv_package_program *program,
		   const struct tv_target *target, const struct tv_network *network,
		   struct tv_isolate **ret, struct tv_error *error)
{
	_cleanup_(tv_isolate_freep) struct tv_isolate *isolate = NULL;
	int r;

	r = check_network(package, network, error);
	if (r >= 0)
		r = tv_integer_target(program, &target, error);
	if (r < 0)
		return r;
	isolate = calloc(1, sizeof(*isolate));
	if (!isolate)
		return tv_error_oom(error);
	isolate->package = package;
	isolate->program = program;
	isolate->network = network;
	r = tv_functional_new(target, &isolate->machine, error);
	if (r >= 0)
		r = make_layers(isolate, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(isolate);
	return 0;
}

void tv_isolate_free(struct tv_isolate *isolate)
{
	if (!isolate)
		return;
	tv_functional_free(isolate->machine);
	free(isolate->layers);
	free(isolate->scratch);
	free(isolate->output);
	free(isolate);
}

bool tv_isolate_wide(const struct tv_isolate *isolate, size_t node)
{
	return isolate->layers[node].wide;
}

size_t tv_isolate_elements(const struct tv_isolate *isolate, size_t node)
{
	const struct tv_node *of = &isolate->network->nodes[node];

	return (size_t)of->out_height * of->out_width * of->out_channels;
}

static float clamp(float value, float least, float most)
{
	return value < least ? least : value > most ? most : value;
}

void tv_isolate_codes(const struct tv_isolate *isolate, size_t node, const float *values, void *ret)
{
	const struct tv_package_node *how = &isolate->package->nodes[node];
	const bool wide = isolate->layers[node].wide;
	const size_t pixels = tv_isolate_elements(isolate, node) / how->channels;
	const float least = wide ? INT16_MIN : INT8_MIN, most = wide ? INT16_MAX : INT8_MAX;

	for (size_t p = 0; p < pixels; p++)
		for (uint32_t c = 0; c < how->channels; c++) {
			size_t i = p * how->channels + c;
			float code = rintf((values[i] - how->offset[c]) / how->scale[c]);

			/* Not a number becomes 0: a comparison that is false throughout. */
			code = code >= least || code <= most ? clamp(code, least, most) : 0;
			if (wide)
				((int16_t *)ret)[i] = (int16_t)code;
			else
				((int8_t *)ret)[i] = (int8_t)code;
		}
}

static void put_map(uint8_t *to, const void *from, size_t pixels, size_t bytes, size_t pitch)
{
	for (size_t p = 0; p < pixels; p++)
		memcpy(to + p * pitch, (const uint8_t *)from + p * bytes, bytes);
}

static void put_inputs(struct tv_isolate *isolate, size_t index, void *const *codes)
{
	const struct tv_node *node = &isolate->network->nodes[index];
	const struct tv_command *command = &isolate->layers[index].command;
	const size_t pixels = (size_t)node->in_height * node->in_width;
	size_t column = 0;

	for (int which = 0; which < 2; which++) {
		int input = which ? node->input2 : node->input;
		size_t bytes;

		if (input < 0)
			continue;
		bytes = (size_t)isolate->network->nodes[input].out_channels *
			(isolate->layers[input].wide ? 2 : 1);
		put_map(isolate->scratch + column, codes[input], pixels, bytes,
			command->input.pitch);
		column += bytes;
	}
	if (node->shortcut >= 0)
		memcpy(isolate->scratch + command->shortcut.offset, codes[node->shortcut],
		       tv_isolate_elements(isolate, index));
}

int tv_isolate_run(struct tv_isolate *isolate, size_t node, const uint8_t *rgb, void *const *codes,
		   void *ret, struct tv_error *error)
{
	struct layer *layer = &isolate->layers[node];
	const uint32_t *size = layer->header.segment;
	const size_t elements = tv_isolate_elements(isolate, node);
	struct tv_job job = {
		.segments = {
			[TV_SEGMENT_PROGRAM] = { layer->program, size[TV_SEGMENT_PROGRAM],
						 TV_SEGMENT_READ },
			/* Read only, both. */
			[TV_SEGMENT_WEIGHTS] = { (uint8_t *)isolate->program->weights,
						 size[TV_SEGMENT_WEIGHTS], TV_SEGMENT_READ },
			[TV_SEGMENT_INPUT] = { (uint8_t *)rgb, size[TV_SEGMENT_INPUT],
					       TV_SEGMENT_READ },
			[TV_SEGMENT_OUTPUT] = { isolate->output, size[TV_SEGMENT_OUTPUT],
						TV_SEGMENT_READ | TV_SEGMENT_WRITE },
			[TV_SEGMENT_SCRATCH] = { isolate->scratch, size[TV_SEGMENT_SCRATCH],
						 TV_SEGMENT_READ },
		},
	};
	struct tv_record record;
	int r;

	put_inputs(isolate, node, codes);
	r = tv_functional_run(isolate->machine, &job, &record, error);
	if (r < 0)
		return r;
	if (record.fault)
		return tv_error_set(error, -EIO, "layer %s: %s: %s",
				    isolate->package->nodes[node].name, tv_fault_name(record.fault),
				    record.why);
	if (!layer->wide)
		memcpy(ret, isolate->output, elements);
	for (size_t i = 0; layer->wide && i < elements; i++)
		((int16_t *)ret)[i] = (int16_t)tv_get16(isolate->output + 2 * i);
	return 0;
}
