/* SPDX-License-Identifier: MIT */
#include "image/colour.h"

void tv_rgb_read_row(const void *rgb_view, uint32_t y, uint32_t first, uint32_t count,
		     int16_t *const planes[3])
{
	const struct tv_rgb_view *view = rgb_view;
	const uint8_t *pixel = view->data + y * view->stride + (size_t)first * 3;
	int16_t *restrict red = planes[0], *restrict green = planes[1], *restrict blue = planes[2];

	for (size_t x = 0; x < count; x++, pixel += 3) {
		red[x] = pixel[0];
		green[x] = pixel[1];
		blue[x] = pixel[2];
	}
}
