/* SPDX-License-Identifier: MIT */
/* Decoding of good, damaged and hostile files, and writing. References: tests/data/image. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "image/decode.h"
#include "tests/unit/directory.h"

#define DATA "tests/data/image/"

static const char *const pngs[] = {
	"grey1.png",	      "grey2.png",   "grey4.png",    "grey8.png",
	"grey16.png",	      "rgb.png",     "rgb-key.png",  "rgb-gamma.png",
	"rgb16.png",	      "rgba.png",    "rgba16.png",   "grey-alpha.png",
	"grey-alpha16.png",   "palette4.png", "palette8.png", "palette-alpha.png",
	"rgb-interlaced.png", "palette-interlaced.png",
};

static const char *const jpegs[] = {
	"baseline.jpg", "full-chroma.jpg", "progressive.jpg", "grey.jpg",
	"turned.jpg",	"cmyk.jpg",	   "ycck.jpg",
};

#define FILES (TV_ARRAY_SIZE(pngs) + TV_ARRAY_SIZE(jpegs))

static const char *file_name(size_t index)
{
	return index < TV_ARRAY_SIZE(pngs) ? pngs[index] : jpegs[index - TV_ARRAY_SIZE(pngs)];
}

static uint8_t *read_data(const char *name, size_t *ret_size)
{
	struct tv_error error = { 0 };
	char path[128];
	uint8_t *data;

	snprintf(path, sizeof(path), DATA "%s", name);
	tv_assert_ok(tv_file_read(tv_unit_source(path), 1 << 20, &data, ret_size, &error), error);
	return data;
}

static int decode(const uint8_t *data, size_t size, struct tv_image *ret, struct tv_error *error)
{
	/* Of exactly this size, so that a read behind the end is seen. */
	_cleanup_free_ uint8_t *copy = malloc(size ? size : 1);

	if (size)
		memcpy(copy, data, size);
	*error = (struct tv_error){ 0 };
	return tv_image_decode(copy, size, "FILE", ret, error);
}

static void assert_refused(const uint8_t *data, size_t size, int code, const char *text)
{
	struct tv_image image = { 0 };
	struct tv_error error;
	int r = decode(data, size, &image, &error);

	ck_assert_msg(r == code, "%d: %s", r, error.text);
	ck_assert_int_eq(error.code, code);
	ck_assert_ptr_null(image.rgb);
	ck_assert_msg(strstr(error.text, text) == error.text, "'%s', expected '%s...'", error.text,
		      text);
	ck_assert_int_eq(tv_image_decode(data, size, "FILE", &image, NULL), code);
}

static void assert_decodes(const char *name, int tolerance)
{
	_cleanup_(tv_image_done) struct tv_image image = { 0 };
	_cleanup_free_ uint8_t *reference = NULL;
	unsigned int width, height;
	struct tv_error error = { 0 };
	char path[128];
	size_t size;
	int start;

	snprintf(path, sizeof(path), "%s.ppm", name);
	reference = read_data(path, &size);
	ck_assert_int_eq(sscanf((char *)reference, "P6 %u %u 255%n", &width, &height, &start), 2);

	snprintf(path, sizeof(path), DATA "%s", name);
	tv_assert_ok(tv_image_decode_file(tv_unit_source(path), &image, &error), error);
	ck_assert_uint_eq(image.width, width);
	ck_assert_uint_eq(image.height, height);
	ck_assert_uint_eq(size, (size_t)start + 1 + width * height * 3);
	for (size_t i = 0; i < (size_t)width * height * 3; i++)
		ck_assert_msg(abs(image.rgb[i] - reference[start + 1 + i]) <= tolerance,
			      "%s: sample %zu is %d, expected %d", name, i, image.rgb[i],
			      reference[start + 1 + i]);
}

START_TEST(test_png_equals_pil)
{
	assert_decodes(pngs[_i], 0);
}
END_TEST

/* Another libjpeg may round otherwise than the one that the references were made with. */
START_TEST(test_jpeg_equals_pil)
{
	assert_decodes(jpegs[_i], 1);
}
END_TEST

START_TEST(test_long_png)
{
	_cleanup_(tv_image_done) struct tv_image image = { 0 };
	struct tv_error error = { 0 };

	tv_assert_ok(tv_image_decode_file(tv_unit_source(DATA "long.png"), &image, &error), error);
	ck_assert_uint_eq(image.width, 20000);
	ck_assert_uint_eq(image.height, 1);
	for (size_t i = 0; i < 3 * 20000; i++)
		ck_assert_uint_eq(image.rgb[i], 77);
}
END_TEST

/* Every length below the whole. */
START_TEST(test_truncated)
{
	const char *name = file_name(_i);
	size_t size;
	_cleanup_free_ uint8_t *data = read_data(name, &size);

	assert_refused(data, 0, -EBADMSG, "FILE: is empty");
	for (size_t length = 1; length < size; length++) {
		if (length < (strstr(name, ".png") ? 8 : 3))
			assert_refused(data, length, -EBADMSG, "FILE: not a PNG or JPEG image");
		else if (strstr(name, ".png"))
			assert_refused(data, length, -EBADMSG, "FILE: PNG: truncated");
		else
			assert_refused(data, length, -EBADMSG, "FILE: JPEG: truncated");
	}
	assert_refused(data, size - 1, -EBADMSG,
		       strstr(name, ".png") ? "FILE: PNG: truncated" : "FILE: JPEG: truncated");
}
END_TEST

/* Whatever is made of damaged bytes: an image or an error, and nothing that a sanitizer sees. */
START_TEST(test_damaged)
{
	size_t size;
	_cleanup_free_ uint8_t *data = read_data(file_name(_i), &size);
	uint64_t random = _i;

	for (size_t at = 0; at < size; at++) {
		_cleanup_(tv_image_done) struct tv_image image = { 0 };
		uint8_t was = data[at];
		struct tv_error error;
		int r;

		data[at] ^= (uint8_t)(1 + tv_unit_random(&random) % 255);
		r = decode(data, size, &image, &error);
		ck_assert_int_le(r, 0);
		ck_assert((r == 0) == (image.rgb != NULL));
		ck_assert_int_eq(r, error.code);
		data[at] = was;
	}
}
END_TEST

/* CRC of ISO 3309, as PNG's chunks end with. */
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

static void store_be(uint8_t *to, uint32_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

static void assert_png_size(uint32_t width, uint32_t height, int code, const char *text)
{
	size_t size;
	_cleanup_free_ uint8_t *data = read_data("rgb.png", &size);

	store_be(data + 16, width, 4);
	store_be(data + 20, height, 4);
	store_be(data + 29, crc(data + 12, 17), 4);
	assert_refused(data, size, code, text);
}

START_TEST(test_png_sizes)
{
	assert_png_size(70000, 1, -EFBIG, "FILE: 70000x1 pixels, at most 65500 a side");
	assert_png_size(1, UINT32_MAX, -EFBIG, "FILE: 1x4294967295 pixels, at most 65500 a side");
	assert_png_size(65500, 65500, -EFBIG, "FILE: 65500x65500 pixels, at most 268435456 in all");
	assert_png_size(0, 11, -EBADMSG, "FILE: 0x11 pixels");
	/* Within the limits, but 768 MiB that these few bytes cannot be. */
	assert_png_size(16384, 16384, -EBADMSG, "FILE: PNG: truncated: ");
	assert_png_size(13, 12, -EBADMSG, "FILE: PNG: ");
}
END_TEST

static void assert_jpeg_size(const char *name, uint8_t frame, uint32_t width, uint32_t height,
			     int code, const char *text)
{
	const uint8_t start[] = { 0xff, frame };
	size_t size;
	_cleanup_free_ uint8_t *data = read_data(name, &size);
	uint8_t *at = memmem(data, size, start, sizeof(start));

	ck_assert_ptr_nonnull(at);
	store_be(at + 5, height, 2);
	store_be(at + 7, width, 2);
	assert_refused(data, size, code, text);
}

START_TEST(test_jpeg_sizes)
{
	assert_jpeg_size("baseline.jpg", 0xc0, 65535, 1, -EFBIG,
			 "FILE: 65535x1 pixels, at most 65500 a side");
	assert_jpeg_size("baseline.jpg", 0xc0, 65500, 65500, -EFBIG,
			 "FILE: 65500x65500 pixels, at most 268435456 in all");
	assert_jpeg_size("baseline.jpg", 0xc0, 37, 0, -EBADMSG, "FILE: JPEG: Empty JPEG image");
	/* libjpeg would hold 1.2 GiB of coefficients. */
	assert_jpeg_size("progressive.jpg", 0xc2, 16384, 16384, -EFBIG,
			 "FILE: JPEG: 16384x16384 pixels take more than 512 MiB to decode");
}
END_TEST

/* One scan again and again, as none but an attacker writes them. */
START_TEST(test_jpeg_scans)
{
	static const uint8_t start_of_scan[] = { 0xff, 0xda };
	size_t size, head, scan;
	_cleanup_free_ uint8_t *data = read_data("progressive.jpg", &size), *many = NULL;
	uint8_t *first = memmem(data, size, start_of_scan, sizeof(start_of_scan)), *second;

	ck_assert_ptr_nonnull(first);
	head = (size_t)(first - data);
	second = memmem(first + 2, size - head - 2, (uint8_t[]){ 0xff, 0xc4 }, 2);
	ck_assert_ptr_nonnull(second);
	scan = (size_t)(second - first);
	many = malloc(head + 200 * scan);
	memcpy(many, data, head);
	for (size_t i = 0; i < 200; i++)
		memcpy(many + head + i * scan, first, scan);
	assert_refused(many, head + 200 * scan, -EBADMSG, "FILE: JPEG: more than 100 scans");
}
END_TEST

START_TEST(test_jpeg_precision)
{
	size_t size;
	_cleanup_free_ uint8_t *data = read_data("baseline.jpg", &size);
	uint8_t *frame = memmem(data, size, (uint8_t[]){ 0xff, 0xc0 }, 2);

	ck_assert_ptr_nonnull(frame);
	frame[4] = 12;
	assert_refused(data, size, -EBADMSG, "FILE: JPEG: Unsupported JPEG data precision 12");
}
END_TEST

START_TEST(test_png_checksum)
{
	size_t size;
	_cleanup_free_ uint8_t *data = read_data("rgb.png", &size);

	data[29] ^= 1;
	assert_refused(data, size, -EBADMSG, "FILE: PNG: IHDR: CRC error");
}
END_TEST

static void assert_path_refused(const char *path, int code, const char *text)
{
	struct tv_image image = { 0 };
	struct tv_error error = { 0 };
	char expected[PATH_MAX + 128];

	snprintf(expected, sizeof(expected), "%s: %s", path, text);
	ck_assert_int_eq(tv_image_decode_file(path, &image, &error), code);
	ck_assert_str_eq(error.text, expected);
	ck_assert_ptr_null(image.rgb);
}

START_TEST(test_not_an_image)
{
	static const char text[] = "This is no image, whatever its name says.\n";
	const char *path;

	assert_path_refused(tv_unit_file("text.png", text, sizeof(text) - 1), -EBADMSG,
			    "not a PNG or JPEG image");
	assert_path_refused(tv_unit_file("empty.jpg", "", 0), -EBADMSG,
			    "is empty, expected a PNG or JPEG image");
	assert_path_refused(tv_unit_directory, -EINVAL, "is a directory, expected a regular file");
	assert_path_refused(tv_unit_path("none.png"), -ENOENT,
			    "cannot open: No such file or directory");
	path = tv_unit_path("pipe.png");
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	assert_path_refused(path, -EINVAL, "is a pipe, expected a regular file");
	/* A hole: nothing of it is on the disk. */
	path = tv_unit_file("huge.png", "", 0);
	ck_assert_int_eq(truncate(path, (512 << 20) + 1), 0);
	assert_path_refused(path, -EFBIG, "has 536870913 bytes, at most 536870912 are read");
}
END_TEST

/* A picture of which rows are apart. */
static const struct tv_rgb_view *a_view(void)
{
	enum { WIDTH = 31, HEIGHT = 17, STRIDE = 100 };
	static uint8_t data[HEIGHT * STRIDE];
	static const struct tv_rgb_view view = { data, WIDTH, HEIGHT, STRIDE };
	uint64_t random = 5;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)tv_unit_random(&random);
	return &view;
}

START_TEST(test_write)
{
	const struct tv_rgb_view *view = a_view();
	_cleanup_(tv_image_done) struct tv_image image = { 0 };
	_cleanup_free_ uint8_t *first = NULL, *second = NULL;
	const char *path = tv_unit_file("written.png", "was here before", 15);
	size_t first_size, second_size;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_image_write_png(path, view, &error), error);
	tv_assert_ok(tv_file_read(path, 1 << 20, &first, &first_size, &error), error);
	tv_assert_ok(tv_image_decode_file(path, &image, &error), error);
	ck_assert_uint_eq(image.width, view->width);
	ck_assert_uint_eq(image.height, view->height);
	for (unsigned int y = 0; y < view->height; y++)
		ck_assert_mem_eq(image.rgb + y * 3 * view->width, view->data + y * view->stride,
				 3 * view->width);

	tv_assert_ok(tv_image_write_png(path, view, &error), error);
	tv_assert_ok(tv_file_read(path, 1 << 20, &second, &second_size, &error), error);
	ck_assert_uint_eq(second_size, first_size);
	ck_assert_mem_eq(second, first, first_size);
	ck_assert_uint_eq(tv_unit_directory_each(NULL), 1);
}
END_TEST

START_TEST(test_write_fails)
{
	const struct tv_rgb_view nothing = { (const uint8_t *)"", 0, 1, 0 };
	struct tv_error error = { 0 };
	const char *path;

	path = tv_unit_path("no/such/folder.png");
	ck_assert_int_eq(tv_image_write_png(path, a_view(), &error), -ENOENT);
	ck_assert_msg(strstr(error.text, path) == error.text, "%s", error.text);
	error.code = 0;
	path = tv_unit_path("nothing.png");
	ck_assert_int_eq(tv_image_write_png(path, &nothing, &error), -EINVAL);
	ck_assert_msg(strstr(error.text, "nothing.png: 0x1 pixels in rows 0 bytes apart") != NULL,
		      "%s", error.text);
	ck_assert_uint_eq(tv_unit_directory_each(NULL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image-files");
	TCase *memory = tcase_create("data"), *files = tcase_create("files");

	tcase_add_loop_test(memory, test_png_equals_pil, 0, TV_ARRAY_SIZE(pngs));
	tcase_add_loop_test(memory, test_jpeg_equals_pil, 0, TV_ARRAY_SIZE(jpegs));
	tcase_add_test(memory, test_long_png);
	tcase_add_loop_test(memory, test_truncated, 0, FILES);
	tcase_add_loop_test(memory, test_damaged, 0, FILES);
	tcase_add_test(memory, test_png_sizes);
	tcase_add_test(memory, test_png_checksum);
	tcase_add_test(memory, test_jpeg_sizes);
	tcase_add_test(memory, test_jpeg_scans);
	tcase_add_test(memory, test_jpeg_precision);
	suite_add_tcase(suite, memory);

	tcase_add_checked_fixture(files, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_test(files, test_not_an_image);
	tcase_add_test(files, test_write);
	tcase_add_test(files, test_write_fails);
	suite_add_tcase(suite, files);
	return tv_unit_main(suite);
}
