/* SPDX-License-Identifier: MIT */
/* What decode.c and the decoders of the single formats share. Their errors do not name the file:
 * tv_image_decode() does. */
#ifndef TV_IMAGE_FORMATS_H
#define TV_IMAGE_FORMATS_H

#include "image/decode.h"

/* Allocates (zeroed) what an image of a foreign header's size needs, if it is within the limits of
 * image.h; -EFBIG if not. */
int tv_image_alloc(uint64_t width, uint64_t height, struct tv_image *ret, struct tv_error *error);
/* The limits alone, for who knows the size earlier. */
int tv_image_check_size(uint64_t width, uint64_t height, struct tv_error *error);

/* On failure *image may hold memory: the caller releases it. */
int tv_png_decode(const uint8_t *data, size_t size, struct tv_image *image, struct tv_error *error);
int tv_jpeg_decode(const uint8_t *data, size_t size, struct tv_image *image,
		   struct tv_error *error);

#endif
