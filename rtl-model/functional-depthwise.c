/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "rtl-model/functional-private.h"

int tv_depthwise_load(const struct tv_command *command, const uint8_t *weights,
		      struct tv_depthwise_stage *ret, struct tv_error *error)
{
	struct tv_depthwise_stage depthwise = {
		.stage = &command->stage[0],
		.channels = command->channels,
	};
	uint32_t kernel = depthwise.stage->kernel, taps = kernel * kernel;

	depthwise.weights = TV_NEW_ARRAY(int16_t, (size_t)taps * depthwise.channels);
	if (!depthwise.weights)
		return tv_error_oom(error);
	for (uint32_t tap = 0; tap < taps; tap++)
		for (uint32_t c = 0; c < depthwise.channels; c++)
			depthwise.weights[(size_t)tap * depthwise.channels + c] =
				(int8_t)weights[tv_depthwise_weight(kernel, c, tap)];
	*ret = depthwise;
	return 0;
}

void tv_depthwise_done(struct tv_depthwise_stage *depthwise)
{
	free(depthwise->weights);
}

/* One tap of all channels. */
static void add_tap(const uint8_t *restrict pixel, bool uint8, const int16_t *restrict weights,
		    uint32_t count, int32_t *restrict ret)
{
	for (uint32_t c = 0; c < count; c++) {
		int16_t x = uint8 ? tv_input_byte(pixel[c]) : (int8_t)pixel[c];

		ret[c] += x * weights[c];
	}
}

void tv_depthwise_run(const struct tv_depthwise_stage *depthwise, const struct tv_map *map,
		      const struct tv_tile *tile, int32_t *ret)
{
	const struct tv_stage *stage = depthwise->stage;
	uint32_t channels = depthwise->channels;

	memset(ret, 0, (size_t)tile->count * channels * sizeof(*ret));
	for (uint32_t p = 0; p < tile->count; p++, ret += channels) {
		const int16_t *weights = depthwise->weights;

		for (uint32_t ky = 0; ky < stage->kernel; ky++)
			for (uint32_t kx = 0; kx < stage->kernel; kx++, weights += channels)
				add_tap(tv_map_pixel(map, stage, tile->y, tile->x + p, ky, kx),
					map->uint8, weights, channels, ret);
	}
}
