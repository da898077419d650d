/* SPDX-License-Identifier: MIT */
/*
 * Rows of a camera's or decoder's pixels, taken apart into what the resampling reads: red, green
 * and blue planes of 16-bit elements with values of 0..255. Columns [first, first + count) of row
 * y; both are even for NV12.
 */
#ifndef TV_IMAGE_COLOUR_H
#define TV_IMAGE_COLOUR_H

#include "image/image.h"

typedef void (*tv_row_reader)(const void *view, uint32_t y, uint32_t first, uint32_t count,
			      int16_t *const planes[3]);

void tv_rgb_read_row(const void *rgb_view, uint32_t y, uint32_t first, uint32_t count,
		     int16_t *const planes[3]);
/* A chroma sample holds for its 2 x 2 pixels (nearest, no siting). */
void tv_nv12_read_row(const void *nv12_view, uint32_t y, uint32_t first, uint32_t count,
		      int16_t *const planes[3]);

#endif
