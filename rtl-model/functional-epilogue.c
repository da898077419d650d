/* SPDX-License-Identifier: MIT */
/* From accumulators to bytes: docs/numerics.md, section 3. A loop a step, so that those whose
 * parameters are a layer's become vector instructions. */
#include <string.h>

#include "rtl-model/functional-private.h"

struct tv_epilogue tv_epilogue_of(const struct tv_execution *execution, unsigned int stage)
{
	const struct tv_command *command = execution->command;
	bool separable = command->opcode == TV_OP_SEPARABLE;
	struct tv_epilogue epilogue = {
		.stage = &command->stage[stage],
		.channels = execution->parameters->channels[stage],
		.count = separable && stage == 0 ? command->channels : command->out_channels,
		.int16 = command->output.format == TV_FORMAT_INT16,
	};

	/* What is added belongs to the chain's last stage. */
	if (stage == separable && execution->shortcut) {
		epilogue.shortcut = execution->shortcut;
		epilogue.shortcut_pitch = command->shortcut.pitch;
		epilogue.shortcut_multiplier = command->shortcut_multiplier;
		epilogue.shortcut_zero_point = command->shortcut_zero_point;
	}
	return epilogue;
}

static void activate(const struct tv_stage *stage, uint32_t count, int16_t *values)
{
	const unsigned int fraction = stage->fraction;

	switch (stage->activation) {
	case TV_STAGE_RELU:
		for (uint32_t c = 0; c < count; c++)
			values[c] = tv_relu(values[c]);
		break;
	case TV_STAGE_HARDSWISH:
		for (uint32_t c = 0; c < count; c++)
			values[c] = tv_hardswish(values[c], fraction);
		break;
	}
}

static void add_shortcut(const struct tv_epilogue *epilogue, const uint8_t *restrict shortcut,
			 uint32_t count, int16_t *restrict values)
{
	const int16_t multiplier = epilogue->shortcut_multiplier;
	const int8_t zero_point = epilogue->shortcut_zero_point;

	for (uint32_t c = 0; c < count; c++)
		values[c] = tv_add_shortcut(values[c], (int8_t)shortcut[c], zero_point, multiplier);
}

void tv_epilogue_finish(const struct tv_epilogue *epilogue, uint32_t first, uint32_t count,
			int16_t *restrict values, uint32_t pixel, uint8_t *restrict output)
{
	const struct tv_channel *channels = epilogue->channels + first;
	const int8_t zero_point = epilogue->stage->zero_point;

	activate(epilogue->stage, count, values);
	if (epilogue->shortcut)
		add_shortcut(epilogue,
			     epilogue->shortcut + pixel * epilogue->shortcut_pitch + first, count,
			     values);
	for (uint32_t c = 0; c < count; c++)
		values[c] = tv_subtract_constant(values[c], channels[c].constant);
	if (epilogue->int16) {
		for (uint32_t c = 0; c < count; c++)
			tv_put16(output + 2 * (size_t)(first + c), (uint16_t)values[c]);
		return;
	}
	for (uint32_t c = 0; c < count; c++)
		output[first + c] = (uint8_t)tv_narrow(values[c], channels[c].narrow_multiplier,
						       channels[c].narrow_shift, zero_point);
}

void tv_epilogue_channels(const struct tv_epilogue *epilogue, uint32_t first, uint32_t count,
			  const int32_t *restrict accumulators, uint32_t pixel, uint8_t *output)
{
	const struct tv_channel *channels = epilogue->channels + first;
	int16_t values[TV_BLOCK_OUTPUTS];

	for (uint32_t c = 0; c < count; c++)
		values[c] = tv_requantize(accumulators[c] + channels[c].bias, channels[c].shift,
					  channels[c].multiplier);
	tv_epilogue_finish(epilogue, first, count, values, pixel, output);
}

void tv_epilogue_block(const struct tv_channel *channels, const struct tv_kernels *kernels,
		       uint32_t first, uint32_t lanes, const int32_t *sums, struct tv_block *ret)
{
	struct tv_block block = { .first = first, .lanes = lanes };

	channels += first;
	for (uint32_t c = 0; c < lanes; c++) {
		const struct tv_channel *channel = &channels[c];

		block.multiplier[c] = channel->multiplier;
		block.constant[c] = channel->constant;
		block.narrow_multiplier[c] = channel->narrow_multiplier;
		block.narrow_scale[c] =
			(int16_t)(1 << (channel->narrow_shift ? 15 - channel->narrow_shift : 14));
		block.double_mask[c] = channel->narrow_shift ? 0 : -1;
		block.doubled |= !channel->narrow_shift;
		block.far |= channel->shift > 14;
	}
	for (uint32_t i = 0; i < TV_BLOCK_OUTPUTS; i++) {
		uint32_t c = kernels->order[i], bias, shift;

		if (c >= lanes)
			continue;
		shift = channels[c].shift;
		/* What an accumulator has too much it may have modulo 2^32. */
		bias = (uint32_t)channels[c].bias;
		if (sums)
			bias -= kernels->flip * (uint32_t)sums[i];
		if (block.far) {
			block.far_shift[i] = shift > 1;
			block.far_half[i] = shift > 1 ? 1 << (shift - 2) : (int32_t)shift;
			shift -= shift > 1;
		} else if (shift) {
			bias += 1u << (shift - 1);
		}
		block.bias[i] = (int32_t)bias;
		block.shift[i] = (int32_t)shift;
	}
	*ret = block;
}
