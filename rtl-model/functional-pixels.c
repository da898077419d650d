/* SPDX-License-Identifier: MIT */
/* POOL and NORM: no weights but their records, a pixel at a time. */
#include <errno.h>
#include <string.h>

#include "rtl-model/functional-private.h"

int tv_execute_pool(const struct tv_execution *execution, struct tv_error *error)
{
	const struct tv_command *command = execution->command;
	const struct tv_epilogue epilogue = tv_epilogue_of(execution, 0);
	const uint32_t pixels = (uint32_t)command->height * command->width;
	const uint32_t channels = command->channels;
	_cleanup_free_ int32_t *sums = TV_NEW_ARRAY(int32_t, channels);
	const uint8_t *pixel = execution->input;
	uint8_t *output = execution->output;

	if (!sums)
		return tv_error_oom(error);
	for (uint32_t image = 0; image < command->images; image++) {
		if (tv_canceled(execution))
			return -ECANCELED;
		memset(sums, 0, channels * sizeof(*sums));
		for (uint32_t p = 0; p < pixels; p++, pixel += command->input.pitch)
			for (uint32_t c = 0; c < channels; c++)
				sums[c] += (int8_t)pixel[c];
		tv_epilogue_pixel(&epilogue, sums, image, output);
		output += command->output.pitch;
	}
	return 0;
}

/* One layer norm, over the channels of a pixel, in place. */
static void normalise(const struct tv_command *command, const struct tv_channel *channels,
		      int16_t *values)
{
	int32_t count = command->channels, sum = 0;
	int64_t squares = 0;
	struct tv_norm norm;

	for (int32_t c = 0; c < count; c++) {
		sum += values[c];
		squares += (int32_t)values[c] * values[c];
	}
	norm = tv_norm_prepare(count, sum, squares, command->norm_epsilon);
	for (int32_t c = 0; c < count; c++)
		values[c] = tv_norm_apply(&norm, values[c], channels[c].multiplier,
					  channels[c].shift, channels[c].bias);
}

int tv_execute_norm(const struct tv_execution *execution, struct tv_error *error)
{
	const struct tv_command *command = execution->command;
	const struct tv_epilogue epilogue = tv_epilogue_of(execution, 0);
	const uint32_t pixels = tv_map_pixels(command);
	_cleanup_free_ int16_t *values = TV_NEW_ARRAY(int16_t, command->channels);
	const uint8_t *input = execution->input;
	uint8_t *output = execution->output;

	if (!values)
		return tv_error_oom(error);
	for (uint32_t pixel = 0; pixel < pixels; pixel++) {
		if (tv_canceled(execution))
			return -ECANCELED;
		for (uint32_t c = 0; c < command->channels; c++)
			values[c] = (int16_t)tv_get16(input + 2 * (size_t)c);
		normalise(command, epilogue.channels, values);
		tv_epilogue_finish(&epilogue, 0, command->channels, values, pixel, output);
		input += command->input.pitch;
		output += command->output.pitch;
	}
	return 0;
}
