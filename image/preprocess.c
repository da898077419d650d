/* SPDX-License-Identifier: MIT */
#include "image/image.h"

#include <errno.h>
#include <string.h>

#include "image/colour.h"
#include "image/resample.h"

/* A source of pixels, whatever its format. */
struct source {
	const void *view;
	tv_row_reader read_row;
	uint32_t width, height;
};

struct work {
	struct tv_axis columns, rows;
	uint32_t origin, width; /* the source columns that the crop needs; even, for NV12 */
	int16_t *pixels; /* a source row of them, in three planes */
	int16_t *planes[3];
	/* The horizontal pass's results, row y in slot y % slots: as many as an output needs. */
	uint8_t *ring;
	uint32_t slots;
	size_t line; /* bytes of a slot */
	const uint8_t **lines; /* the slots in the order of an output's rows */
	uint8_t *output;
};

static void work_done(struct work *work)
{
	tv_axis_done(&work->columns);
	tv_axis_done(&work->rows);
	free(work->pixels);
	free(work->ring);
	free(work->lines);
	free(work->output);
}

static int check_sizes(const struct tv_preprocess *how, uint32_t width, uint32_t height,
		       struct tv_error *error)
{
	if (!width || !height)
		return tv_error_set(error, -EINVAL, "an image of %ux%u pixels", width, height);
	if (width > TV_IMAGE_SIDE_MAX || height > TV_IMAGE_SIDE_MAX ||
	    (uint64_t)width * height > TV_IMAGE_PIXELS_MAX)
		return tv_error_set(error, -EINVAL,
				    "an image of %ux%u pixels, at most %u a side and %u in all",
				    width, height, TV_IMAGE_SIDE_MAX, TV_IMAGE_PIXELS_MAX);
	if (!how->size || how->resize > TV_IMAGE_SIDE_MAX ||
	    (uint64_t)how->size * how->size > TV_IMAGE_PIXELS_MAX)
		return tv_error_set(error, -EINVAL, "a crop of %u pixels after a resize to %u",
				    how->size, how->resize);
	if (how->resize < how->size)
		return tv_error_set(error, -EINVAL,
				    "a resize to %u pixels leaves nothing to cut %u from",
				    how->resize, how->size);
	return 0;
}

/* torchvision's CenterCrop: int(round((side - size) / 2.0)), where Python rounds half to even. */
static uint64_t crop_start(uint64_t side, uint32_t size)
{
	uint64_t margin = side - size, half = margin / 2;

	return half + (margin & half & 1);
}

/* torchvision's Resize: the longer side is int(resize * long / short). */
static uint64_t resized_side(const struct tv_preprocess *how, uint32_t side, uint32_t other)
{
	return side <= other ? how->resize : (uint64_t)how->resize * side / other;
}

static int init_axis(struct tv_axis *ret, const struct tv_preprocess *how, uint32_t side,
		     uint32_t other)
{
	uint64_t resized = resized_side(how, side, other);

	return tv_axis_init(ret, side, resized, crop_start(resized, how->size), how->size);
}

static int init_work(struct work *work, const struct tv_preprocess *how,
		     const struct source *source)
{
	size_t plane;
	int r;

	r = init_axis(&work->columns, how, source->width, source->height);
	if (r < 0)
		return r;
	r = init_axis(&work->rows, how, source->height, source->width);
	if (r < 0)
		return r;

	work->origin = tv_axis_begin(&work->columns) & ~1u;
	work->width = tv_axis_end(&work->columns) - work->origin;
	if (work->width % 2 && work->origin + work->width < source->width)
		work->width++;
	plane = (size_t)work->width + TV_RESAMPLE_TAPS;
	work->slots = work->rows.taps;
	work->line = ((size_t)how->size * 3 + TV_RESAMPLE_BYTES - 1) / TV_RESAMPLE_BYTES *
		     TV_RESAMPLE_BYTES;

	work->pixels = calloc(plane, 3 * sizeof(*work->pixels));
	work->ring = calloc(work->slots, work->line);
	work->lines = calloc(work->slots, sizeof(*work->lines));
	work->output = malloc(work->line);
	if (!work->pixels || !work->ring || !work->lines || !work->output)
		return -ENOMEM;
	for (unsigned int i = 0; i < 3; i++)
		work->planes[i] = work->pixels + i * plane;
	return 0;
}

/* Rows of the source become rows of the ring just before an output needs them. */
static int preprocess(const struct tv_preprocess *how, const struct source *source, uint8_t *ret,
		      struct tv_error *error)
{
	_cleanup_(work_done) struct work work = { 0 };
	uint32_t next;
	int r;

	r = init_work(&work, how, source);
	if (r < 0)
		return tv_error_oom(error);

	next = tv_axis_begin(&work.rows);
	for (uint32_t y = 0; y < how->size; y++) {
		const struct tv_span *span = &work.rows.spans[y];

		for (; next < span->first + span->count; next++) {
			source->read_row(source->view, next, work.origin, work.width, work.planes);
			tv_resample_row(&work.columns, (const int16_t *const *)work.planes,
					work.origin, work.ring + next % work.slots * work.line);
		}
		for (uint32_t i = 0; i < span->count; i++)
			work.lines[i] = work.ring + (span->first + i) % work.slots * work.line;
		tv_resample_lines(&work.rows, y, work.lines, work.line, work.output);
		memcpy(ret + (size_t)y * how->size * 3, work.output, (size_t)how->size * 3);
	}
	return 0;
}

int tv_preprocess_rgb(const struct tv_preprocess *how, const struct tv_rgb_view *view, uint8_t *ret,
		      struct tv_error *error)
{
	const struct source source = {
		.view = view,
		.read_row = tv_rgb_read_row,
		.width = view->width,
		.height = view->height,
	};
	int r;

	r = check_sizes(how, view->width, view->height, error);
	if (r < 0)
		return r;
	if (view->stride / 3 < view->width)
		return tv_error_set(error, -EINVAL, "rows %zu bytes apart for %u RGB pixels",
				    view->stride, view->width);
	return preprocess(how, &source, ret, error);
}

int tv_preprocess_nv12(const struct tv_preprocess *how, const struct tv_nv12_view *view,
		       uint8_t *ret, struct tv_error *error)
{
	const struct source source = {
		.view = view,
		.read_row = tv_nv12_read_row,
		.width = view->width,
		.height = view->height,
	};
	int r;

	r = check_sizes(how, view->width, view->height, error);
	if (r < 0)
		return r;
	if (view->width % 2 || view->height % 2)
		return tv_error_set(error, -EINVAL, "an NV12 image of %ux%u pixels, both even",
				    view->width, view->height);
	if (view->luma_stride < view->width || view->chroma_stride < view->width)
		return tv_error_set(error, -EINVAL,
				    "NV12 rows %zu and %zu bytes apart for %u pixels",
				    view->luma_stride, view->chroma_stride, view->width);
	if (view->matrix >= TV_MATRIX_COUNT || view->range >= TV_RANGE_COUNT)
		return tv_error_set(error, -EINVAL, "NV12 with the matrix %u and the range %u",
				    (unsigned int)view->matrix, (unsigned int)view->range);
	return preprocess(how, &source, ret, error);
}
