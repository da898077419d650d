/* SPDX-License-Identifier: MIT */
/* ReLU linear attention: docs/numerics.md, section 6. */
#include <errno.h>

#include "rtl-model/functional-private.h"

int tv_execute_attention(const struct tv_execution *execution, struct tv_error *error)
{
	const struct tv_command *command = execution->command;
	const uint32_t dim = command->head_dim, heads = command->out_channels / dim;
	const uint32_t tokens = (uint32_t)command->height * command->width;
	_cleanup_free_ struct tv_attention_memory *memory = malloc(sizeof(*memory));
	struct tv_attention head = {
		.input_pitch = command->input.pitch,
		.output_pitch = command->output.pitch,
		.tokens = tokens,
		.dim = dim,
		.memory = memory,
	};

	if (!memory)
		return tv_error_oom(error);
	for (uint32_t image = 0; image < command->images; image++)
		for (uint32_t h = 0; h < heads; h++) {
			size_t first = (size_t)image * tokens;

			if (tv_canceled(execution))
				return -ECANCELED;
			head.record = &execution->parameters->heads[h];
			head.input = execution->input + first * head.input_pitch + 3 * h * dim;
			head.output = execution->output + first * head.output_pitch + h * dim;
			execution->kernels->attention(&head);
		}
	return 0;
}
