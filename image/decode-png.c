/* SPDX-License-Identifier: MIT */
#include "image/formats.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <string.h>

/* Deflate cannot expand further: two bits for a match of 258 bytes. */
#define DEFLATE_RATIO_MAX 1032u
/* Signature, then IHDR's length and name, then width and height. */
#define WIDTH_AT 16
#define HEIGHT_AT 20
#define HEADER_SIZE 24

/* All that lives across libpng's longjmp() is in here, not in a function's variables. */
struct png_decode {
	jmp_buf failed;
	png_structp png;
	png_infop info;
	const uint8_t *next;
	size_t left;
	struct tv_image *image;
	struct tv_error *error;
};

static void png_decode_done(struct png_decode *decode)
{
	png_destroy_read_struct(&decode->png, &decode->info, NULL);
}

static void on_error(png_structp png, png_const_charp message)
{
	struct png_decode *decode = png_get_error_ptr(png);

	tv_error_set(decode->error, -EBADMSG, "PNG: %s", message);
	longjmp(decode->failed, 1);
}

/* What libpng can live with, so can we. */
static void on_warning(png_structp png, png_const_charp message)
{
}

static void on_read(png_structp png, png_bytep data, size_t size)
{
	struct png_decode *decode = png_get_io_ptr(png);

	if (size > decode->left)
		png_error(png, "truncated");
	memcpy(data, decode->next, size);
	decode->next += size;
	decode->left -= size;
}

/* libpng's own message for a size beyond the limits does not tell the size. */
static int check_header(const uint8_t *data, size_t size, struct tv_error *error)
{
	if (size < HEADER_SIZE)
		return tv_error_set(error, -EBADMSG, "PNG: truncated");
	return tv_image_check_size(png_get_uint_32(data + WIDTH_AT),
				   png_get_uint_32(data + HEIGHT_AT), error);
}

static void set_limits(png_structp png)
{
	png_set_user_limits(png, TV_IMAGE_SIDE_MAX, TV_IMAGE_SIDE_MAX);
	png_set_chunk_malloc_max(png, 1 << 20);
	png_set_chunk_cache_max(png, 16);
	/* Colour profiles, texts and the like are skipped, not parsed. */
	png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
}

/* To 8-bit RGB: 16-bit samples by their high byte, alpha dropped without blending. */
static void set_transforms(png_structp png)
{
	png_set_expand(png);
	png_set_strip_16(png);
	png_set_strip_alpha(png);
	png_set_gray_to_rgb(png);
}

/* Sizes that the file's bytes cannot hold are refused before memory is spent on them. */
static int alloc_image(struct png_decode *decode)
{
	uint32_t width = png_get_image_width(decode->png, decode->info);
	uint32_t height = png_get_image_height(decode->png, decode->info);
	uint64_t raw = (uint64_t)height * png_get_rowbytes(decode->png, decode->info);

	if (raw / DEFLATE_RATIO_MAX > decode->left)
		return tv_error_set(decode->error, -EBADMSG,
				    "PNG: truncated: %zu bytes for %ux%u pixels", decode->left,
				    width, height);
	return tv_image_alloc(width, height, decode->image, decode->error);
}

static void read_rows(struct png_decode *decode, int passes)
{
	const struct tv_image *image = decode->image;

	while (passes-- > 0)
		for (uint32_t y = 0; y < image->height; y++)
			png_read_row(decode->png, image->rgb + (size_t)y * image->width * 3, NULL);
	/* Checks the rest: a file without its end is a truncated one. */
	png_read_end(decode->png, NULL);
}

static int read_image(struct png_decode *decode)
{
	int passes, r;

	if (setjmp(decode->failed))
		return -EBADMSG;

	decode->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, decode, on_error, on_warning);
	if (!decode->png)
		return tv_error_oom(decode->error);
	decode->info = png_create_info_struct(decode->png);
	if (!decode->info)
		return tv_error_oom(decode->error);
	png_set_read_fn(decode->png, decode, on_read);
	set_limits(decode->png);

	png_read_info(decode->png, decode->info);
	r = alloc_image(decode);
	if (r < 0)
		return r;
	set_transforms(decode->png);
	passes = png_set_interlace_handling(decode->png);
	png_read_update_info(decode->png, decode->info);
	if (png_get_rowbytes(decode->png, decode->info) != decode->image->width * (size_t)3)
		return tv_error_set(decode->error, -EBADMSG, "PNG: does not convert to RGB");
	read_rows(decode, passes);
	return 0;
}

int tv_png_decode(const uint8_t *data, size_t size, struct tv_image *image, struct tv_error *error)
{
	_cleanup_(png_decode_done) struct png_decode decode = {
		.next = data,
		.left = size,
		.image = image,
		.error = error,
	};
	int r;

	r = check_header(data, size, error);
	if (r < 0)
		return r;
	return read_image(&decode);
}
