/* SPDX-License-Identifier: MIT */
#include "image/formats.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>

/* These two want stdio.h and each other, in this order. */
#include <jpeglib.h>
#include <jerror.h>

/* For what libjpeg holds of a progressive image: 6 bytes a pixel without chroma subsampling. */
#define MEMORY_MAX_MIB 512
/* An encoder makes about ten; a few bytes a scan would let a small file take hours. */
#define SCANS_MAX 100

/* All that lives across the longjmp() is in here, not in a function's variables. */
struct jpeg_decode {
	struct jpeg_decompress_struct jpeg;
	struct jpeg_error_mgr manager;
	struct jpeg_progress_mgr progress;
	jmp_buf failed;
	int code; /* negative errno of what failed */
	const uint8_t *data;
	size_t size;
	uint8_t *cmyk; /* a row, if that is what the file holds */
	struct tv_image *image;
	struct tv_error *error;
};

static void jpeg_decode_done(struct jpeg_decode *decode)
{
	jpeg_destroy_decompress(&decode->jpeg);
	free(decode->cmyk);
}

static void on_error(j_common_ptr jpeg)
{
	struct jpeg_decode *decode = jpeg->client_data;
	char text[JMSG_LENGTH_MAX];

	switch (jpeg->err->msg_code) {
	case JERR_IMAGE_TOO_BIG:
		decode->code = tv_image_check_size(decode->jpeg.image_width,
						   decode->jpeg.image_height, decode->error);
		break;
	case JERR_NO_BACKING_STORE:
		decode->code = tv_error_set(decode->error, -EFBIG,
					    "JPEG: %ux%u pixels take more than %d MiB to decode",
					    decode->jpeg.image_width, decode->jpeg.image_height,
					    MEMORY_MAX_MIB);
		break;
	case JERR_OUT_OF_MEMORY:
		decode->code = tv_error_oom(decode->error);
		break;
	default:
		jpeg->err->format_message(jpeg, text);
		decode->code = tv_error_set(decode->error, -EBADMSG, "JPEG: %s", text);
	}
	longjmp(decode->failed, 1);
}

/* Warnings are for damaged data that libjpeg makes something of, as PIL lets it; at the end of the
 * data, though, it would make up all the rest. */
static void on_message(j_common_ptr jpeg, int level)
{
	struct jpeg_decode *decode = jpeg->client_data;

	if (level >= 0 || jpeg->err->msg_code != JWRN_JPEG_EOF)
		return;
	decode->code = tv_error_set(decode->error, -EBADMSG, "JPEG: truncated");
	longjmp(decode->failed, 1);
}

static void on_progress(j_common_ptr jpeg)
{
	struct jpeg_decode *decode = jpeg->client_data;

	if (decode->jpeg.input_scan_number <= SCANS_MAX)
		return;
	decode->code = tv_error_set(decode->error, -EBADMSG, "JPEG: more than %d scans", SCANS_MAX);
	longjmp(decode->failed, 1);
}

static void open_data(struct jpeg_decode *decode)
{
	struct jpeg_decompress_struct *jpeg = &decode->jpeg;

	jpeg_create_decompress(jpeg);
	decode->progress.progress_monitor = on_progress;
	jpeg->progress = &decode->progress;
	jpeg->mem->max_memory_to_use = MEMORY_MAX_MIB << 20;
	jpeg_mem_src(jpeg, decode->data, decode->size);
}

/* round(a * b / 255), as PIL computes it. */
static inline uint8_t scale8(uint8_t a, uint8_t b)
{
	uint32_t product = (uint32_t)a * b + 128;

	return (uint8_t)((product + (product >> 8)) >> 8);
}

/* Adobe's CMYK, which is what there is in JPEGs, counts from full ink down. PIL rounds what the ink
 * takes away, not what it leaves: hence the two subtractions. */
static void cmyk_to_rgb(const uint8_t *cmyk, uint32_t count, uint8_t *ret)
{
	for (; count > 0; count--, cmyk += 4)
		for (unsigned int i = 0; i < 3; i++)
			*ret++ = cmyk[3] - scale8(255 - cmyk[i], cmyk[3]);
}

static void read_rows(struct jpeg_decode *decode)
{
	struct jpeg_decompress_struct *jpeg = &decode->jpeg;

	while (jpeg->output_scanline < jpeg->output_height) {
		uint8_t *row = decode->image->rgb +
			       (size_t)jpeg->output_scanline * decode->image->width * 3;

		if (decode->cmyk) {
			jpeg_read_scanlines(jpeg, &decode->cmyk, 1);
			cmyk_to_rgb(decode->cmyk, decode->image->width, row);
		} else {
			jpeg_read_scanlines(jpeg, &row, 1);
		}
	}
}

static int read_image(struct jpeg_decode *decode)
{
	struct jpeg_decompress_struct *jpeg = &decode->jpeg;
	int r;

	if (setjmp(decode->failed))
		return decode->code;

	open_data(decode);
	jpeg_read_header(jpeg, TRUE);
	r = tv_image_alloc(jpeg->image_width, jpeg->image_height, decode->image, decode->error);
	if (r < 0)
		return r;

	jpeg->out_color_space = JCS_RGB;
	if (jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK) {
		jpeg->out_color_space = JCS_CMYK;
		decode->cmyk = calloc(jpeg->image_width, 4);
		if (!decode->cmyk)
			return tv_error_oom(decode->error);
	}
	jpeg_start_decompress(jpeg);
	read_rows(decode);
	jpeg_finish_decompress(jpeg);
	return 0;
}

int tv_jpeg_decode(const uint8_t *data, size_t size, struct tv_image *image, struct tv_error *error)
{
	_cleanup_(jpeg_decode_done) struct jpeg_decode decode = {
		.data = data,
		.size = size,
		.image = image,
		.error = error,
	};

	decode.jpeg.client_data = &decode;
	decode.jpeg.err = jpeg_std_error(&decode.manager);
	decode.manager.error_exit = on_error;
	decode.manager.emit_message = on_message;
	return read_image(&decode);
}
