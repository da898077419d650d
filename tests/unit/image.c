/* SPDX-License-Identifier: MIT */
/* The preprocessing, against what PIL made of the same pixels (tests/data/image/generate.py). */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "image/colour.h"
#include "image/image.h"
#include "tests/unit/unit.h"

/* The table of generate.py. */
static const struct {
	unsigned int width, height, resize, size;
} resizes[] = {
	{ 640, 480, 64, 56 }, /* down */
	{ 481, 641, 48, 41 }, /* odd sides, upright */
	{ 1024, 768, 30, 29 },
	{ 256, 256, 40, 37 }, /* margin 3: half to even goes up */
	{ 97, 64, 32, 31 }, /* margin 1: half to even goes down */
	{ 100, 75, 75, 64 }, /* nothing to resize, only to cut */
	{ 57, 57, 57, 57 }, /* a copy */
	{ 33, 47, 64, 57 }, /* up */
	{ 2, 3, 24, 24 },
	{ 1, 1, 16, 15 },
	{ 300, 7, 20, 17 },
	{ 7, 300, 20, 18 },
	{ 1000, 3, 5, 3 },
	{ 20000, 1, 16, 14 },
	{ 1, 20000, 16, 13 },
	{ 500, 400, 1, 1 },
};

static uint8_t *fill(size_t count, uint64_t seed)
{
	uint8_t *data = malloc(count + sizeof(uint64_t));

	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < count; i += sizeof(uint64_t)) {
		uint64_t random = tv_unit_random(&seed);

		/* Little-endian on every machine. */
		for (size_t j = 0; j < sizeof(random); j++)
			data[i + j] = (uint8_t)(random >> 8 * j);
	}
	return data;
}

/* picture() of generate.py. */
static uint8_t *picture(unsigned int width, unsigned int height)
{
	size_t count = (size_t)width * height * 3;
	uint8_t *data = fill(count, (uint64_t)width * 65536 + height);

	for (size_t i = 0; i < count; i++) {
		int value = 2 * data[i] - 128;

		data[i] = value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
	}
	return data;
}

static uint8_t *read_ppm(const char *name, unsigned int size)
{
	_cleanup_fclose_ FILE *file = fopen(tv_unit_source(name), "re");
	size_t count = (size_t)size * size * 3;
	unsigned int width, height;
	uint8_t *data = malloc(count);

	ck_assert_msg(file != NULL, "%s: no such reference", name);
	ck_assert_int_eq(fscanf(file, "P6 %u %u 255", &width, &height), 2);
	ck_assert_uint_eq(width, size);
	ck_assert_uint_eq(height, size);
	ck_assert_int_eq(fgetc(file), '\n');
	ck_assert_uint_eq(fread(data, 1, count, file), count);
	return data;
}

static uint8_t *preprocess_rgb(unsigned int resize, unsigned int size, const uint8_t *data,
			       unsigned int width, unsigned int height, size_t stride)
{
	const struct tv_preprocess how = { .size = size, .resize = resize };
	const struct tv_rgb_view view = { data, width, height, stride };
	uint8_t *ret = malloc((size_t)size * size * 3);
	struct tv_error error = { 0 };

	ck_assert_ptr_nonnull(ret);
	tv_assert_ok(tv_preprocess_rgb(&how, &view, ret, &error), error);
	return ret;
}

static void assert_pixels(const uint8_t *found, const uint8_t *expected, unsigned int size,
			  const char *what)
{
	size_t count = (size_t)size * size * 3, differ = 0;
	int worst = 0;

	for (size_t i = 0; i < count; i++) {
		int off = abs(found[i] - expected[i]);

		differ += off > 0;
		worst = off > worst ? off : worst;
	}
	ck_assert_msg(!differ, "%s: %zu of %zu samples differ, by up to %d", what, differ, count,
		      worst);
}

START_TEST(test_equals_pil)
{
	unsigned int width = resizes[_i].width, height = resizes[_i].height;
	unsigned int resize = resizes[_i].resize, size = resizes[_i].size;
	_cleanup_free_ uint8_t *data = picture(width, height), *found = NULL, *expected = NULL;
	char name[128];

	snprintf(name, sizeof(name), "tests/data/image/resize-%ux%u-%u-%u.ppm", width, height,
		 resize, size);
	expected = read_ppm(name, size);
	found = preprocess_rgb(resize, size, data, width, height, (size_t)width * 3);
	assert_pixels(found, expected, size, name);
}
END_TEST

START_TEST(test_stride)
{
	const unsigned int width = 83, height = 61, resize = 32, size = 29;
	const size_t stride = 3 * width + 5;
	_cleanup_free_ uint8_t *data = picture(width, height), *wide = NULL;
	_cleanup_free_ uint8_t *expected = NULL, *found = NULL;

	/* From the last row to the first there is not a byte more than the view says. */
	wide = malloc((height - 1) * stride + 3 * width);
	memset(wide, 0xee, (height - 1) * stride + 3 * width);
	for (unsigned int y = 0; y < height; y++)
		memcpy(wide + y * stride, data + y * 3 * width, 3 * width);
	expected = preprocess_rgb(resize, size, data, width, height, 3 * width);
	found = preprocess_rgb(resize, size, wide, width, height, stride);
	assert_pixels(found, expected, size, "rows apart");
}
END_TEST

START_TEST(test_copy)
{
	const unsigned int side = 224;
	_cleanup_free_ uint8_t *data = picture(side, side);
	_cleanup_free_ uint8_t *found = preprocess_rgb(side, side, data, side, side, 3 * side);

	assert_pixels(found, data, side, "copy");
}
END_TEST

/* Thousands of coefficients a sample, and sums as large as they get. */
START_TEST(test_white)
{
	const unsigned int side = 3000;
	_cleanup_free_ uint8_t *data = malloc(3 * side * side);
	const uint8_t white[] = { 255, 255, 255 };
	_cleanup_free_ uint8_t *found = NULL;

	memset(data, 255, 3 * side * side);
	found = preprocess_rgb(1, 1, data, side, side, 3 * side);
	assert_pixels(found, white, 1, "white");
}
END_TEST

static long peak_kib(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* Resized, the longest ones would be 256 x 16768000 pixels: 12 GiB. */
START_TEST(test_extreme_sides)
{
	static const unsigned int sides[][2] = {
		{ 1, 1 }, { 20000, 1 }, { 1, 20000 }, { 65500, 1 }, { 1, 65500 }, { 65500, 3 },
	};
	const unsigned int resize = 256, size = 224;
	unsigned int width = sides[_i][0], height = sides[_i][1];
	_cleanup_free_ uint8_t *data = malloc((size_t)width * height * 3);
	_cleanup_free_ uint8_t *found = NULL;
	long before;

	for (size_t i = 0; i < (size_t)width * height; i++)
		memcpy(data + 3 * i, "\x07\x80\xfe", 3);
	before = peak_kib();
	found = preprocess_rgb(resize, size, data, width, height, (size_t)width * 3);
	ck_assert_int_lt(peak_kib() - before, 32 << 10);
	for (size_t i = 0; i < (size_t)size * size; i++)
		ck_assert_mem_eq(found + 3 * i, "\x07\x80\xfe", 3);
}
END_TEST

/* The crop of a long image is its middle, wherever that is. */
START_TEST(test_middle)
{
	const unsigned int width = 20001, resize = 8, size = 8;
	_cleanup_free_ uint8_t *data = calloc(width, 3);
	_cleanup_free_ uint8_t *found = NULL;

	memset(data + 3 * (width / 2), 200, 3);
	found = preprocess_rgb(resize, size, data, width, 1, 3 * width);
	/* 8 columns a pixel: the crop shows that one and nothing else but the filter's flanks. */
	for (unsigned int x = 0; x < size; x++)
		ck_assert_uint_ge(found[3 * x], 100);
	for (unsigned int x = 0; x < size / 2; x++)
		ck_assert_uint_eq(found[3 * x], found[3 * (size - 1 - x)]);
}
END_TEST

static void assert_level(uint8_t found, double exact, const char *what)
{
	exact = fmin(fmax(exact, 0.0), 255.0);
	/* Half a level of rounding and what factors of 13 bits are off. */
	ck_assert_msg(fabs(found - exact) < 0.54, "%s: %d, exactly %f", what, found, exact);
}

/* The standards: the parts that red and blue have in luma, and what a code of luma and one of chroma
 * is worth. */
static const struct {
	enum tv_matrix matrix;
	enum tv_range range;
	double red, blue;
	int black;
	double luma, chroma;
} colours[] = {
	{ TV_MATRIX_BT601, TV_RANGE_LIMITED, 0.299, 0.114, 16, 255.0 / 219.0, 255.0 / 224.0 },
	{ TV_MATRIX_BT601, TV_RANGE_FULL, 0.299, 0.114, 0, 1.0, 1.0 },
	{ TV_MATRIX_BT709, TV_RANGE_LIMITED, 0.2126, 0.0722, 16, 255.0 / 219.0, 255.0 / 224.0 },
	{ TV_MATRIX_BT709, TV_RANGE_FULL, 0.2126, 0.0722, 0, 1.0, 1.0 },
};

/* Every luma with chroma all over its range, forbidden codes included. */
START_TEST(test_nv12_levels)
{
	enum { SIDE = 256 };
	static uint8_t luma[SIDE * SIDE], chroma[SIDE * SIDE / 2], found[SIDE * SIDE * 3];
	const struct tv_preprocess how = { .size = SIDE, .resize = SIDE };
	const unsigned int colour = (unsigned int)_i / 8;
	const struct tv_nv12_view view = {
		luma, chroma, SIDE, SIDE, SIDE, SIDE, colours[colour].matrix, colours[colour].range,
	};
	const double red = colours[colour].red, blue = colours[colour].blue;
	const double green = 1.0 - red - blue;
	struct tv_error error = { 0 };

	for (unsigned int y = 0; y < SIDE; y++)
		for (unsigned int x = 0; x < SIDE; x++)
			luma[y * SIDE + x] = (uint8_t)(37 * x + 91 * y + 32 * _i);
	for (unsigned int y = 0; y < SIDE / 2; y++)
		for (unsigned int x = 0; x < SIDE; x += 2) {
			chroma[y * SIDE + x] = (uint8_t)(x + _i % 2);
			chroma[y * SIDE + x + 1] = (uint8_t)(2 * y + _i / 2 % 2);
		}

	tv_assert_ok(tv_preprocess_nv12(&how, &view, found, &error), error);
	for (unsigned int y = 0; y < SIDE; y++)
		for (unsigned int x = 0; x < SIDE; x++) {
			const uint8_t *pair = chroma + y / 2 * SIDE + x / 2 * 2;
			double grey = colours[colour].luma *
				      (luma[y * SIDE + x] - colours[colour].black);
			/* What blue and red are above grey. */
			double cb = colours[colour].chroma * 2.0 * (1.0 - blue) * (pair[0] - 128);
			double cr = colours[colour].chroma * 2.0 * (1.0 - red) * (pair[1] - 128);
			const uint8_t *pixel = found + (y * SIDE + x) * 3;

			assert_level(pixel[0], grey + cr, "red");
			assert_level(pixel[1], grey - (blue * cb + red * cr) / green, "green");
			assert_level(pixel[2], grey + cb, "blue");
		}
}
END_TEST

/* A plane without gaps between its rows, which are given far apart. */
static uint8_t *pack(const uint8_t *plane, unsigned int width, unsigned int height, size_t stride)
{
	uint8_t *packed = malloc((size_t)width * height);

	for (unsigned int y = 0; y < height; y++)
		memcpy(packed + (size_t)y * width, plane + y * stride, width);
	return packed;
}

static uint8_t *convert(const uint8_t *luma, const uint8_t *chroma, unsigned int width,
			unsigned int height)
{
	const struct tv_nv12_view view = { luma, chroma, width, height, width, width };
	_cleanup_free_ int16_t *row = calloc(width, 3 * sizeof(*row));
	int16_t *const planes[] = { row, row + width, row + 2 * width };
	uint8_t *rgb = malloc((size_t)width * height * 3);

	for (unsigned int y = 0; y < height; y++) {
		tv_nv12_read_row(&view, y, 0, width, planes);
		for (unsigned int x = 0; x < 3 * width; x++)
			rgb[y * 3 * width + x] = (uint8_t)planes[x % 3][x / 3];
	}
	return rgb;
}

/* A frame's resize is that of the frame converted first, with crops from odd columns on too. */
START_TEST(test_nv12_resize)
{
	static const unsigned int cases[][4] = {
		{ 66, 50, 24, 21 }, { 50, 66, 24, 23 }, { 64, 36, 36, 35 },
		{ 64, 36, 36, 33 }, { 2, 2, 16, 16 },	{ 640, 2, 4, 3 },
	};
	const unsigned int width = cases[_i][0], height = cases[_i][1];
	const struct tv_preprocess how = { .size = cases[_i][3], .resize = cases[_i][2] };
	const size_t luma_stride = width + 7, chroma_stride = width + 13;
	_cleanup_free_ uint8_t *luma = fill(luma_stride * height, 1);
	_cleanup_free_ uint8_t *chroma = fill(chroma_stride * height / 2, 2);
	_cleanup_free_ uint8_t *packed_luma = pack(luma, width, height, luma_stride);
	_cleanup_free_ uint8_t *packed_chroma = pack(chroma, width, height / 2, chroma_stride);
	_cleanup_free_ uint8_t *rgb = convert(packed_luma, packed_chroma, width, height);
	_cleanup_free_ uint8_t *expected = preprocess_rgb(how.resize, how.size, rgb, width, height,
							  (size_t)width * 3);
	_cleanup_free_ uint8_t *found = malloc((size_t)how.size * how.size * 3);
	const struct tv_nv12_view view = {
		.luma = luma,
		.chroma = chroma,
		.width = width,
		.height = height,
		.luma_stride = luma_stride,
		.chroma_stride = chroma_stride,
	};
	struct tv_error error = { 0 };

	tv_assert_ok(tv_preprocess_nv12(&how, &view, found, &error), error);
	assert_pixels(found, expected, how.size, "NV12");
}
END_TEST

START_TEST(test_refuses_rgb)
{
	static const struct {
		struct tv_preprocess how;
		struct tv_rgb_view view;
		const char *text;
	} cases[] = {
		{ { 4, 4 }, { NULL, 0, 8, 24 }, "an image of 0x8 pixels" },
		{ { 4, 4 }, { NULL, 8, 0, 24 }, "an image of 8x0 pixels" },
		{ { 4, 4 }, { NULL, 65501, 1, 1 << 20 }, "an image of 65501x1 pixels" },
		{ { 4, 4 }, { NULL, 1, UINT32_MAX, 3 }, "an image of 1x4294967295 pixels" },
		{ { 4, 4 }, { NULL, 65500, 65500, 1 << 20 }, "an image of 65500x65500 pixels" },
		{ { 4, 4 }, { NULL, 8, 8, 23 }, "rows 23 bytes apart for 8 RGB pixels" },
		{ { 4, 3 }, { NULL, 8, 8, 24 }, "a resize to 3 pixels leaves nothing" },
		{ { 0, 4 }, { NULL, 8, 8, 24 }, "a crop of 0 pixels" },
		{ { 4, 65501 }, { NULL, 8, 8, 24 }, "a crop of 4 pixels after a resize to 65501" },
		{ { 20000, 20000 }, { NULL, 8, 8, 24 }, "a crop of 20000 pixels" },
	};
	struct tv_error error = { 0 };

	ck_assert_int_eq(tv_preprocess_rgb(&cases[_i].how, &cases[_i].view, NULL, &error), -EINVAL);
	ck_assert_msg(strstr(error.text, cases[_i].text) == error.text, "%s", error.text);
	ck_assert_int_eq(tv_preprocess_rgb(&cases[_i].how, &cases[_i].view, NULL, NULL), -EINVAL);
}
END_TEST

START_TEST(test_refuses_nv12)
{
	static const struct {
		struct tv_nv12_view view;
		const char *text;
	} cases[] = {
		{ { NULL, NULL, 0, 8, 8, 8 }, "an image of 0x8 pixels" },
		{ { NULL, NULL, 7, 8, 8, 8 }, "an NV12 image of 7x8 pixels, both even" },
		{ { NULL, NULL, 8, 7, 8, 8 }, "an NV12 image of 8x7 pixels, both even" },
		{ { NULL, NULL, 8, 8, 7, 8 }, "NV12 rows 7 and 8 bytes apart for 8 pixels" },
		{ { NULL, NULL, 8, 8, 8, 7 }, "NV12 rows 8 and 7 bytes apart for 8 pixels" },
		{ { NULL, NULL, 8, 8, 8, 8, 2, 0 }, "NV12 with the matrix 2 and the range 0" },
		{ { NULL, NULL, 8, 8, 8, 8, 0, 2 }, "NV12 with the matrix 0 and the range 2" },
	};
	const struct tv_preprocess how = { .size = 4, .resize = 4 };
	struct tv_error error = { 0 };

	ck_assert_int_eq(tv_preprocess_nv12(&how, &cases[_i].view, NULL, &error), -EINVAL);
	ck_assert_msg(strstr(error.text, cases[_i].text) == error.text, "%s", error.text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image");
	TCase *tests = tcase_create("preprocess");

	tcase_add_loop_test(tests, test_equals_pil, 0, TV_ARRAY_SIZE(resizes));
	tcase_add_test(tests, test_stride);
	tcase_add_test(tests, test_copy);
	tcase_add_test(tests, test_white);
	tcase_add_loop_test(tests, test_extreme_sides, 0, 6);
	tcase_add_test(tests, test_middle);
	tcase_add_loop_test(tests, test_nv12_levels, 0, 8 * TV_ARRAY_SIZE(colours));
	tcase_add_loop_test(tests, test_nv12_resize, 0, 6);
	tcase_add_loop_test(tests, test_refuses_rgb, 0, 10);
	tcase_add_loop_test(tests, test_refuses_nv12, 0, 7);
	suite_add_tcase(suite, tests);
	return tv_unit_main(suite);
}
