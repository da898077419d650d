/* SPDX-License-Identifier: MIT */
/*
 * From pixels as cameras and decoders give them to the network's input bytes: RGB, interleaved,
 * 8 bits, rows from the top (NHWC with N = 1). No normalisation: the quantizer folds it into the
 * stem, the float network does it itself.
 */
#ifndef TV_IMAGE_IMAGE_H
#define TV_IMAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

#define TV_IMAGE_SIDE_MAX   65500u /* JPEG's own limit */
#define TV_IMAGE_PIXELS_MAX (1u << 28)

/* What happens to an image before the network sees it: the shorter side is resized to resize
 * pixels (bicubic, antialiased, as torchvision and PIL do it: a = -0.5), then the central
 * size x size pixels are cut out. resize == size with a square image of that side copies. */
struct tv_preprocess {
	unsigned int size;
	unsigned int resize;
};

/* width x height pixels, rows stride bytes apart. */
struct tv_rgb_view {
	const uint8_t *data;
	unsigned int width, height;
	size_t stride;
};

/* What luma and chroma are made of, and which codes they take: zeros are what most V4L2 cameras
 * give. */
enum tv_matrix {
	TV_MATRIX_BT601,
	TV_MATRIX_BT709,
	TV_MATRIX_COUNT,
};

enum tv_range {
	TV_RANGE_LIMITED, /* luma 16..235, chroma 16..240 */
	TV_RANGE_FULL,
	TV_RANGE_COUNT,
};

/* Two planes: luma, and interleaved Cb, Cr at half resolution in both directions (width and height
 * even). */
struct tv_nv12_view {
	const uint8_t *luma, *chroma;
	unsigned int width, height;
	size_t luma_stride, chroma_stride;
	enum tv_matrix matrix;
	enum tv_range range;
};

/* ret: size * size * 3 bytes, the caller's. Only what the crop needs is computed: memory grows with
 * the crop and the longer of the source's sides, not with the resized image. -EINVAL for sizes of
 * 0 or beyond the limits above, a resize below size, rows that overlap, odd sides of NV12 and
 * a matrix or range that is none.
 *
 * tv_preprocess_rgb() equals torchvision's Resize(resize, BICUBIC) and CenterCrop(size) on a PIL
 * image to the bit; tv_preprocess_nv12() the same after the conversion (colour.h). Both keep to the
 * stack and the heap: any number of threads may call them. */
int tv_preprocess_rgb(const struct tv_preprocess *how, const struct tv_rgb_view *view, uint8_t *ret,
		      struct tv_error *error);
int tv_preprocess_nv12(const struct tv_preprocess *how, const struct tv_nv12_view *view,
		       uint8_t *ret, struct tv_error *error);

#endif
