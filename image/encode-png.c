/* SPDX-License-Identifier: MIT */
#include "image/decode.h"

#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "common/file.h"

/* All that lives across libpng's longjmp() is in here, not in a function's variables. */
struct png_encode {
	jmp_buf failed;
	png_structp png;
	png_infop info;
	const struct tv_rgb_view *view;
	uint8_t *data; /* the file so far */
	size_t size, room;
	struct tv_error *error;
};

static void png_encode_done(struct png_encode *encode)
{
	png_destroy_write_struct(&encode->png, &encode->info);
	free(encode->data);
}

static void on_error(png_structp png, png_const_charp message)
{
	struct png_encode *encode = png_get_error_ptr(png);

	tv_error_set(encode->error, -EIO, "PNG: %s", message);
	longjmp(encode->failed, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
}

static void on_write(png_structp png, png_bytep data, size_t size)
{
	struct png_encode *encode = png_get_io_ptr(png);

	if (size > encode->room - encode->size) {
		size_t room = 2 * encode->room + size;
		uint8_t *grown = room > encode->room ? realloc(encode->data, room) : NULL;

		if (!grown)
			png_error(png, "out of memory");
		encode->data = grown;
		encode->room = room;
	}
	memcpy(encode->data + encode->size, data, size);
	encode->size += size;
}

static void on_flush(png_structp png)
{
}

static int check_view(const struct tv_rgb_view *view, struct tv_error *error)
{
	if (view->width && view->height && view->stride / 3 >= view->width)
		return 0;
	return tv_error_set(error, -EINVAL, "%ux%u pixels in rows %zu bytes apart", view->width,
			    view->height, view->stride);
}

static int encode_view(struct png_encode *encode)
{
	const struct tv_rgb_view *view = encode->view;

	if (setjmp(encode->failed))
		return -EIO;

	encode->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, encode, on_error, on_warning);
	if (!encode->png)
		return tv_error_oom(encode->error);
	encode->info = png_create_info_struct(encode->png);
	if (!encode->info)
		return tv_error_oom(encode->error);
	png_set_write_fn(encode->png, encode, on_write, on_flush);
	png_set_IHDR(encode->png, encode->info, view->width, view->height, 8, PNG_COLOR_TYPE_RGB,
		     PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	png_write_info(encode->png, encode->info);
	for (unsigned int y = 0; y < view->height; y++)
		png_write_row(encode->png, view->data + y * view->stride);
	png_write_end(encode->png, NULL);
	return 0;
}

int tv_image_write_png(const char *path, const struct tv_rgb_view *view, struct tv_error *error)
{
	_cleanup_(png_encode_done) struct png_encode encode = { .view = view, .error = error };
	struct iovec part;
	int r;

	r = check_view(view, error);
	if (r == 0)
		r = encode_view(&encode);
	if (r < 0)
		return tv_error_prefix(error, r, "%s", path);
	part = (struct iovec){ .iov_base = encode.data, .iov_len = encode.size };
	return tv_file_write(path, &part, 1, error);
}
