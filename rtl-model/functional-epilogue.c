/* SPDX-License-Identifier: MIT */
/* From accumulators to bytes: docs/numerics.md, section 3. A loop a step, so that those whose
 * parameters are a layer's become vector instructions. */
#include <string.h>

#include "rtl-model/functional-private.h"

static void requantize(const struct tv_channel *channels, uint32_t count,
		       const int32_t *restrict accumulators, int16_t *restrict ret)
{
	for (uint32_t c = 0; c < count; c++)
		ret[c] = tv_requantize(accumulators[c] + channels[c].bias, channels[c].shift,
				       channels[c].multiplier);
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
			 int16_t *restrict values)
{
	const int16_t multiplier = epilogue->shortcut_multiplier;
	const int8_t zero_point = epilogue->shortcut_zero_point;

	for (uint32_t c = 0; c < epilogue->count; c++)
		values[c] = tv_add_shortcut(values[c], (int8_t)shortcut[c], zero_point, multiplier);
}

static void subtract_constants(const struct tv_channel *channels, uint32_t count, int16_t *values)
{
	for (uint32_t c = 0; c < count; c++)
		values[c] = tv_subtract_constant(values[c], channels[c].constant);
}

static void narrow(const struct tv_channel *channels, uint32_t count, int8_t zero_point,
		   const int16_t *restrict values, uint8_t *restrict ret)
{
	for (uint32_t c = 0; c < count; c++)
		ret[c] = (uint8_t)tv_narrow(values[c], channels[c].narrow_multiplier,
					    channels[c].narrow_shift, zero_point);
}

struct tv_epilogue tv_epilogue_of(const struct tv_execution *execution, unsigned int stage)
{
	const struct tv_command *command = execution->command;
	bool separable = command->opcode == TV_OP_SEPARABLE;
	struct tv_epilogue epilogue = {
		.stage = &command->stage[stage],
		.channels = execution->parameters->channels[stage],
		.count = separable && stage == 0 ? command->channels : command->out_channels,
		.int16 = command->output.format == TV_FORMAT_INT16,
		.seen = execution->seen[stage],
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

void tv_epilogue_finish(const struct tv_epilogue *epilogue, uint32_t pixel, int16_t *values,
			uint8_t *ret)
{
	uint32_t count = epilogue->count;

	activate(epilogue->stage, count, values);
	if (epilogue->shortcut)
		add_shortcut(epilogue,
			     epilogue->shortcut + (size_t)pixel * epilogue->shortcut_pitch, values);
	subtract_constants(epilogue->channels, count, values);
	if (epilogue->int16) {
		for (uint32_t c = 0; c < count; c++)
			tv_put16(ret + 2 * (size_t)c, (uint16_t)values[c]);
		if (epilogue->seen)
			memcpy((int16_t *)epilogue->seen + (size_t)pixel * count, values,
			       count * sizeof(*values));
		return;
	}
	narrow(epilogue->channels, count, epilogue->stage->zero_point, values, ret);
	if (epilogue->seen)
		memcpy((int8_t *)epilogue->seen + (size_t)pixel * count, ret, count);
}

void tv_epilogue_pixel(const struct tv_epilogue *epilogue, const int32_t *accumulators,
		       uint32_t pixel, int16_t *values, uint8_t *ret)
{
	requantize(epilogue->channels, epilogue->count, accumulators, values);
	tv_epilogue_finish(epilogue, pixel, values, ret);
}
