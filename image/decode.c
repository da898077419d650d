/* SPDX-License-Identifier: MIT */
#include "image/decode.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/file.h"
#include "image/formats.h"

#define FILE_SIZE_MAX (512u << 20)

void tv_image_done(struct tv_image *image)
{
	free(image->rgb);
	*image = (struct tv_image){ 0 };
}

int tv_image_check_size(uint64_t width, uint64_t height, struct tv_error *error)
{
	if (!width || !height)
		return tv_error_set(error, -EBADMSG, "%" PRIu64 "x%" PRIu64 " pixels", width,
				    height);
	if (width > TV_IMAGE_SIDE_MAX || height > TV_IMAGE_SIDE_MAX)
		return tv_error_set(error, -EFBIG,
				    "%" PRIu64 "x%" PRIu64 " pixels, at most %u a side", width,
				    height, TV_IMAGE_SIDE_MAX);
	if (width * height > TV_IMAGE_PIXELS_MAX)
		return tv_error_set(error, -EFBIG,
				    "%" PRIu64 "x%" PRIu64 " pixels, at most %u in all", width,
				    height, TV_IMAGE_PIXELS_MAX);
	return 0;
}

int tv_image_alloc(uint64_t width, uint64_t height, struct tv_image *ret, struct tv_error *error)
{
	struct tv_image image;
	int r;

	r = tv_image_check_size(width, height, error);
	if (r < 0)
		return r;
	image = (struct tv_image){ .width = (unsigned int)width, .height = (unsigned int)height };
	image.rgb = calloc(image.width * (size_t)image.height, 3);
	if (!image.rgb)
		return tv_error_oom(error);
	*ret = image;
	return 0;
}

static int decode(const uint8_t *data, size_t size, struct tv_image *image, struct tv_error *error)
{
	static const uint8_t png[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
	static const uint8_t jpeg[] = { 0xff, 0xd8, 0xff };

	if (!size)
		return tv_error_set(error, -EBADMSG, "is empty, expected a PNG or JPEG image");
	if (size >= sizeof(png) && !memcmp(data, png, sizeof(png)))
		return tv_png_decode(data, size, image, error);
	if (size >= sizeof(jpeg) && !memcmp(data, jpeg, sizeof(jpeg)))
		return tv_jpeg_decode(data, size, image, error);
	return tv_error_set(error, -EBADMSG, "not a PNG or JPEG image");
}

int tv_image_decode(const void *data, size_t size, const char *name, struct tv_image *ret,
		    struct tv_error *error)
{
	_cleanup_(tv_image_done) struct tv_image image = { 0 };
	int r;

	r = decode(data, size, &image, error);
	if (r < 0)
		return tv_error_prefix(error, r, "%s", name);
	*ret = image;
	image.rgb = NULL;
	return 0;
}

int tv_image_decode_file(const char *path, struct tv_image *ret, struct tv_error *error)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t size;
	int r;

	r = tv_file_read(path, FILE_SIZE_MAX, &data, &size, error);
	if (r < 0)
		return r;
	return tv_image_decode(data, size, path, ret, error);
}
