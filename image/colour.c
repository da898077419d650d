/* SPDX-License-Identifier: MIT */
#include "image/colour.h"

/*
 * BT.601-7, limited range (luma 16..235, chroma 16..240 around 128), with 13 fractional bits: the
 * factors fit 16 bits, and what they are off adds up to less than 0.04 levels.
 *
 *   R = 255/219 (Y - 16)                                + 1.402 * 255/224 (Cr - 128)
 *   G = 255/219 (Y - 16) - 0.344136 * 255/224 (Cb - 128) - 0.714136 * 255/224 (Cr - 128)
 *   B = 255/219 (Y - 16) + 1.772 * 255/224 (Cb - 128)
 *
 * each rounded to the nearest level and clipped to 0..255.
 */
#define FRACTION 13
#define HALF (1 << (FRACTION - 1))
#define LUMA 9539
#define RED_CR 13075
#define GREEN_CB 3209
#define GREEN_CR 6660
#define BLUE_CB 16525

static inline int16_t level(int32_t value)
{
	value >>= FRACTION;
	return value < 0 ? 0 : value > UINT8_MAX ? UINT8_MAX : (int16_t)value;
}

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

void tv_nv12_read_row(const void *nv12_view, uint32_t y, uint32_t first, uint32_t count,
		      int16_t *const planes[3])
{
	const struct tv_nv12_view *view = nv12_view;
	const uint8_t *luma = view->luma + y * view->luma_stride + first;
	const uint8_t *chroma = view->chroma + y / 2 * view->chroma_stride + first;
	int16_t *restrict red = planes[0], *restrict green = planes[1], *restrict blue = planes[2];

	for (size_t x = 0; x < count; x += 2) {
		int32_t cb = chroma[x] - 128, cr = chroma[x + 1] - 128;
		int32_t left = LUMA * (luma[x] - 16) + HALF;
		int32_t right = LUMA * (luma[x + 1] - 16) + HALF;
		int32_t to_red = RED_CR * cr, to_blue = BLUE_CB * cb;
		int32_t to_green = -GREEN_CB * cb - GREEN_CR * cr;

		red[x] = level(left + to_red);
		red[x + 1] = level(right + to_red);
		green[x] = level(left + to_green);
		green[x + 1] = level(right + to_green);
		blue[x] = level(left + to_blue);
		blue[x + 1] = level(right + to_blue);
	}
}
