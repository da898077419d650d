/* SPDX-License-Identifier: MIT */
#include "image/colour.h"

/*
 * BT.601-7 and BT.709-6 with 13 fractional bits: the factors fit 16 bits, and what they are off
 * adds up to less than 0.04 levels. With the matrix's Kr, Kb, Kg = 1 - Kr - Kb and l, c = 255/219,
 * 255/224 in limited, 1, 1 in full range:
 *
 *   R = l (Y - offset)                               + 2 (1 - Kr) c (Cr - 128)
 *   G = l (Y - offset) - 2 (1 - Kb) Kb/Kg c (Cb - 128) - 2 (1 - Kr) Kr/Kg c (Cr - 128)
 *   B = l (Y - offset) + 2 (1 - Kb) c (Cb - 128)
 *
 * each rounded to the nearest level and clipped to 0..255.
 */
#define FRACTION 13
#define HALF	 (1 << (FRACTION - 1))

static const struct factors {
	int32_t offset, luma, red_cr, green_cb, green_cr, blue_cb;
} factors[TV_MATRIX_COUNT][TV_RANGE_COUNT] = {
	[TV_MATRIX_BT601] = {
		[TV_RANGE_LIMITED] = { 16, 9539, 13075, 3209, 6660, 16525 },
		[TV_RANGE_FULL] = { 0, 8192, 11485, 2819, 5850, 14516 },
	},
	[TV_MATRIX_BT709] = {
		[TV_RANGE_LIMITED] = { 16, 9539, 14686, 1747, 4366, 17305 },
		[TV_RANGE_FULL] = { 0, 8192, 12901, 1535, 3835, 15201 },
	},
};

static inline int16_t level(int32_t value)
{
	value >>= FRACTION;
	return value < 0 ? 0 : value > UINT8_MAX ? UINT8_MAX : (int16_t)value;
}

void tv_nv12_read_row(const void *nv12_view, uint32_t y, uint32_t first, uint32_t count,
		      int16_t *const planes[3])
{
	const struct tv_nv12_view *view = nv12_view;
	const struct factors f = factors[view->matrix][view->range];
	const uint8_t *luma = view->luma + y * view->luma_stride + first;
	const uint8_t *chroma = view->chroma + y / 2 * view->chroma_stride + first;
	int16_t *restrict red = planes[0], *restrict green = planes[1], *restrict blue = planes[2];

	for (size_t x = 0; x < count; x += 2) {
		int32_t cb = chroma[x] - 128, cr = chroma[x + 1] - 128;
		int32_t left = f.luma * (luma[x] - f.offset) + HALF;
		int32_t right = f.luma * (luma[x + 1] - f.offset) + HALF;
		int32_t to_red = f.red_cr * cr, to_blue = f.blue_cb * cb;
		int32_t to_green = -f.green_cb * cb - f.green_cr * cr;

		red[x] = level(left + to_red);
		red[x + 1] = level(right + to_red);
		green[x] = level(left + to_green);
		green[x + 1] = level(right + to_green);
		blue[x] = level(left + to_blue);
		blue[x + 1] = level(right + to_blue);
	}
}
