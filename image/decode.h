/* SPDX-License-Identifier: MIT */
/* Decoding of image files, for tools: libraries that parse foreign files stay out of the daemon
 * and of libtriovit. */
#ifndef TV_IMAGE_DECODE_H
#define TV_IMAGE_DECODE_H

#include "image/image.h"

struct tv_image {
	unsigned int width, height;
	uint8_t *rgb; /* width * height * 3 bytes, the image's own */
};

void tv_image_done(struct tv_image *image); /* releases what a decode filled; fine on zeros */

/* PNG or JPEG, told apart by their first bytes; 16-bit, palette, grey and alpha PNGs become 8-bit
 * RGB (alpha is dropped as PIL's convert("RGB") does), CMYK and grey JPEGs likewise. EXIF
 * orientation is not applied, as ImageFolder does not. */
int tv_image_decode(const void *data, size_t size, const char *name, struct tv_image *ret,
		    struct tv_error *error);
int tv_image_decode_file(const char *path, struct tv_image *ret, struct tv_error *error);

/* Writes an 8-bit RGB PNG through a temporary file beside path. */
int tv_image_write_png(const char *path, const struct tv_rgb_view *view, struct tv_error *error);

#endif
