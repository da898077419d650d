/* SPDX-License-Identifier: MIT */
/* Feeds the PNG and JPEG decoders, and the preprocessing with what they take. Whatever is refused
 * must be refused with words. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "image/decode.h"

#define PIXELS_MAX (1u << 20) /* larger ones are within the limits, but slow */
#define PNG_SIGNATURE 8
#define PNG_CHUNK_EXTRA 12 /* length, name and CRC around a chunk's data */

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

static uint32_t load_be(const uint8_t *from, unsigned int bytes)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value = value << 8 | from[i];
	return value;
}

static void store_be32(uint8_t *to, uint32_t value)
{
	for (unsigned int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* CRC of ISO 3309. */
static uint32_t crc(const uint8_t *data, size_t size)
{
	uint32_t rest = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		rest ^= data[i];
		for (unsigned int bit = 0; bit < 8; bit++)
			rest = rest & 1 ? rest >> 1 ^ 0xedb88320 : rest >> 1;
	}
	return ~rest;
}

/* A mutation would end at the first chunk's CRC, were it not made to fit again; now and then it is
 * left. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned int seed)
{
	size = LLVMFuzzerMutate(data, size, room);
	if (seed % 16 == 0 || size < PNG_SIGNATURE || data[0] != 0x89)
		return size;
	for (size_t at = PNG_SIGNATURE; size - at >= PNG_CHUNK_EXTRA;) {
		uint32_t length = load_be(data + at, 4);

		if (length > size - at - PNG_CHUNK_EXTRA)
			break;
		store_be32(data + at + 8 + length, crc(data + at + 4, (size_t)length + 4));
		at += PNG_CHUNK_EXTRA + length;
	}
	return size;
}

/* A JPEG of few bytes may say that it is large; a PNG cannot (see alloc_image()). */
static bool is_large_jpeg(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i + 9 <= size; i++)
		if (data[i] == 0xff && data[i + 1] >= 0xc0 && data[i + 1] <= 0xcf &&
		    load_be(data + i + 5, 2) * load_be(data + i + 7, 2) > PIXELS_MAX)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tv_preprocess how = { .size = 7, .resize = 8 };
	_cleanup_(tv_image_done) struct tv_image image = { 0 };
	struct tv_error error = { 0 };
	uint8_t cut[7 * 7 * 3];
	struct tv_rgb_view view;
	int r;

	if (is_large_jpeg(data, size))
		return 0;
	r = tv_image_decode(data, size, "FILE", &image, &error);
	if (r < 0) {
		REQUIRE(r == -EBADMSG || r == -EFBIG || r == -ENOMEM);
		REQUIRE(error.code == r && !image.rgb);
		REQUIRE(strncmp(error.text, "FILE: ", 6) == 0 && strlen(error.text) > 6);
		return 0;
	}

	REQUIRE(error.code == 0 && image.rgb);
	view = (struct tv_rgb_view){
		.data = image.rgb,
		.width = image.width,
		.height = image.height,
		.stride = (size_t)image.width * 3,
	};
	REQUIRE(tv_preprocess_rgb(&how, &view, cut, NULL) == 0);
	return 0;
}
