/* SPDX-License-Identifier: MIT */
/* ReLU linear attention: docs/numerics.md, section 6. */
#include <errno.h>

#include "rtl-model/functional-private.h"

struct heads {
	const struct tv_execution *execution;
	uint32_t count; /* of an image */
	struct tv_attention_memory *memory; /* of each worker */
};

static int run_head(size_t index, unsigned int worker, void *userdata, struct tv_error *error)
{
	const struct heads *heads = userdata;
	const struct tv_execution *execution = heads->execution;
	const struct tv_command *command = execution->command;
	const uint32_t tokens = (uint32_t)command->height * command->width;
	const size_t h = index % heads->count, first = index / heads->count * tokens;
	const struct tv_attention head = {
		.record = &execution->parameters->heads[h],
		.input =
			execution->input + first * command->input.pitch + 3 * h * command->head_dim,
		.input_pitch = command->input.pitch,
		.output = execution->output + first * command->output.pitch + h * command->head_dim,
		.output_pitch = command->output.pitch,
		.tokens = tokens,
		.dim = command->head_dim,
		.memory = &heads->memory[worker],
	};

	if (tv_canceled(execution))
		return -ECANCELED;
	execution->kernels->attention(&head);
	return 0;
}

int tv_execute_attention(const struct tv_execution *execution, struct tv_error *error)
{
	const struct tv_command *command = execution->command;
	_cleanup_free_ struct tv_attention_memory *memory =
		TV_NEW_ARRAY(struct tv_attention_memory, tv_parallel_workers(execution->team));
	struct heads heads = {
		.execution = execution,
		.count = command->out_channels / command->head_dim,
		.memory = memory,
	};

	if (!memory)
		return tv_error_oom(error);
	return tv_parallel_run(execution->team, (size_t)command->images * heads.count, run_head,
			       &heads, error);
}
