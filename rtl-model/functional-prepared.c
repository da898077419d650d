/* SPDX-License-Identifier: MIT */
/* A convolution's weights in the order of a kernel set, for one job or for many. */
#include <string.h>

#include "rtl-model/functional-private.h"

struct tv_packed tv_packed_of(const struct tv_command *command, const struct tv_kernels *kernels)
{
	struct tv_packed packed = {
		.command = command,
		.layout = tv_weights_layout(command),
	};

	if (command->opcode == TV_OP_DEPTHWISE || command->opcode == TV_OP_SEPARABLE)
		tv_depthwise_describe(command, kernels, &packed.depthwise);
	if (command->opcode != TV_OP_DEPTHWISE)
		tv_dense_describe(command, kernels, &packed.dense);
	return packed;
}

int tv_packed_allocate(struct tv_packed *packed, uint32_t places, struct tv_error *error)
{
	int r = 0;

	if (packed->depthwise.blocks_count)
		r = tv_depthwise_allocate(&packed->depthwise, error);
	if (r >= 0 && packed->dense.shape.blocks)
		r = tv_dense_allocate(&packed->dense, places, error);
	return r;
}

void tv_packed_done(struct tv_packed *packed)
{
	tv_depthwise_done(&packed->depthwise);
	tv_dense_done(&packed->dense);
}

uint32_t tv_packed_blocks(const struct tv_packed *packed)
{
	return packed->depthwise.blocks_count + packed->dense.shape.blocks;
}

void tv_packed_dense(const struct tv_packed *packed, const uint8_t *weights,
		     const struct tv_parameters *parameters, uint32_t b, uint32_t place)
{
	const bool separable = packed->command->opcode == TV_OP_SEPARABLE;

	tv_dense_pack(&packed->dense, weights + packed->layout.weights[separable],
		      parameters->channels[separable], b, place);
}

void tv_packed_block(const struct tv_packed *packed, const uint8_t *weights,
		     const struct tv_parameters *parameters, uint32_t block)
{
	const uint32_t depthwise = packed->depthwise.blocks_count;

	if (block < depthwise)
		tv_depthwise_pack(&packed->depthwise, weights + packed->layout.weights[0],
				  parameters->channels[0], block);
	else
		tv_packed_dense(packed, weights, parameters, block - depthwise, block - depthwise);
}

/* --- for many jobs -------------------------------------------------------------------------- */

struct tv_prepared {
	atomic_uint references;
	const struct tv_kernels *kernels;
	size_t size; /* of all, in bytes */
	uint32_t count;
	struct tv_ready *ready; /* of each command */
};

static bool is_convolution(const struct tv_command *command)
{
	return command->opcode == TV_OP_CONV || command->opcode == TV_OP_DEPTHWISE ||
	       command->opcode == TV_OP_SEPARABLE || command->opcode == TV_OP_CONV_POOL;
}

/* Whether the command has parameters, and they are there. */
static bool has_weights(const struct tv_command *command, const struct tv_segment_view *weights)
{
	const uint64_t size = tv_weights_layout(command).size;
	const uint32_t there = weights->size - weights->missing;

	return size && command->weights.segment == TV_SEGMENT_WEIGHTS &&
	       command->weights.offset <= there && size <= there - command->weights.offset;
}

/* Not less than it takes, and few times what the operand has. */
static uint64_t bytes_of(const struct tv_command *command, const struct tv_packed *packed)
{
	const uint64_t record = sizeof(struct tv_channel) + sizeof(struct tv_head);
	const uint64_t depthwise = packed->depthwise.panel * sizeof(*packed->depthwise.weights) +
				   sizeof(*packed->depthwise.blocks);
	const uint64_t dense = packed->dense.panel + sizeof(*packed->dense.blocks);

	return (command->channels + 2u * command->out_channels) * record +
	       packed->depthwise.blocks_count * depthwise + packed->dense.shape.blocks * dense;
}

/* Where its records are bad it is not ready. */
static int make_ready(struct tv_ready *ready, const uint8_t *weights, struct tv_error *error)
{
	struct tv_bad_record bad;
	int r = tv_parameters_read(&ready->command, weights, &ready->parameters, &bad, error);

	if (r < 0 || bad.why)
		return r;
	r = tv_packed_allocate(&ready->packed, ready->packed.dense.shape.blocks, error);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < tv_packed_blocks(&ready->packed); i++)
		tv_packed_block(&ready->packed, weights, &ready->parameters, i);
	ready->is = true;
	return 0;
}

int tv_prepared_new(const struct tv_kernels *kernels, const struct tv_program *program,
		    const struct tv_segment_view *weights, size_t limit, struct tv_prepared **ret,
		    struct tv_error *error)
{
	_cleanup_(tv_prepared_unrefp) struct tv_prepared *prepared = calloc(1, sizeof(*prepared));
	int r;

	if (!prepared)
		return tv_error_oom(error);
	atomic_init(&prepared->references, 1);
	prepared->kernels = kernels;
	/* One more, so that none is not "out of memory". */
	prepared->ready = calloc(program->count + 1, sizeof(*prepared->ready));
	if (!prepared->ready)
		return tv_error_oom(error);
	prepared->count = program->count;
	prepared->size = (program->count + 1) * sizeof(*prepared->ready);
	for (uint32_t i = 0; i < program->count; i++) {
		struct tv_ready *ready = &prepared->ready[i];
		const struct tv_command *command = &ready->command;
		uint64_t bytes;

		memcpy(&ready->command, &program->commands[i], sizeof(*command));
		if (!has_weights(command, weights))
			continue;
		/* Weights of two bytes are as many again: reading them takes longer than packing.
		 */
		if (is_convolution(command) && kernels->element == 1)
			ready->packed = tv_packed_of(command, kernels);
		bytes = bytes_of(command, &ready->packed);
		if (prepared->size >= limit || bytes > limit - prepared->size)
			break;
		prepared->size += (size_t)bytes;
		r = make_ready(ready, weights->data + command->weights.offset, error);
		if (r < 0)
			return r;
	}
	*ret = TV_TAKE_PTR(prepared);
	return 0;
}

struct tv_prepared *tv_prepared_ref(struct tv_prepared *prepared)
{
	atomic_fetch_add_explicit(&prepared->references, 1, memory_order_relaxed);
	return prepared;
}

void tv_prepared_unref(struct tv_prepared *prepared)
{
	if (!prepared ||
	    atomic_fetch_sub_explicit(&prepared->references, 1, memory_order_acq_rel) != 1)
		return;
	for (uint32_t i = 0; i < prepared->count; i++) {
		tv_parameters_done(&prepared->ready[i].parameters);
		tv_packed_done(&prepared->ready[i].packed);
	}
	free(prepared->ready);
	free(prepared);
}

size_t tv_prepared_size(const struct tv_prepared *prepared)
{
	return prepared->size;
}

const struct tv_ready *tv_prepared_find(const struct tv_prepared *prepared,
					const struct tv_kernels *kernels, uint32_t index,
					const struct tv_command *command)
{
	const struct tv_ready *ready;

	if (!prepared || prepared->kernels != kernels || index >= prepared->count)
		return NULL;
	ready = &prepared->ready[index];
	return ready->is && !memcmp(&ready->command, command, sizeof(*command)) ? ready : NULL;
}
