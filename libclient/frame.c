/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "image/image.h"
#include "libclient/private.h"

/* The enumerations have the same values. */
_Static_assert((int)TRIOVIT_MATRIX_BT709 == (int)TV_MATRIX_BT709, "matrix");
_Static_assert((int)TRIOVIT_RANGE_FULL == (int)TV_RANGE_FULL, "range");

/* Rows of so many bytes: the last one may end before the stride does. */
static int check_plane(const struct triovit_plane *plane, uint64_t rows, uint64_t bytes,
		       struct tv_error *error)
{
	uint64_t size;

	if (__builtin_mul_overflow(rows ? rows - 1 : 0, plane->stride, &size) ||
	    __builtin_add_overflow(size, bytes, &size) || size > plane->size || !plane->data)
		return tv_error_set(error, -EINVAL,
				    "a plane of %zu bytes for %llu rows of %llu bytes, %zu apart",
				    plane->data ? plane->size : 0, (unsigned long long)rows,
				    (unsigned long long)bytes, plane->stride);
	return 0;
}

static int from_rgb24(const struct tv_preprocess *how, const struct triovit_frame *frame,
		      uint8_t *input, struct tv_error *error)
{
	const struct tv_rgb_view view = {
		.data = frame->planes[0].data,
		.width = frame->width,
		.height = frame->height,
		.stride = frame->planes[0].stride,
	};
	int r;

	r = check_plane(&frame->planes[0], frame->height, (uint64_t)frame->width * 3, error);
	return r < 0 ? r : tv_preprocess_rgb(how, &view, input, error);
}

static int from_nv12(const struct tv_preprocess *how, const struct triovit_frame *frame,
		     uint8_t *input, struct tv_error *error)
{
	const struct tv_nv12_view view = {
		.luma = frame->planes[0].data,
		.chroma = frame->planes[1].data,
		.width = frame->width,
		.height = frame->height,
		.luma_stride = frame->planes[0].stride,
		.chroma_stride = frame->planes[1].stride,
		.matrix = (enum tv_matrix)frame->matrix,
		.range = (enum tv_range)frame->range,
	};
	int r;

	r = check_plane(&frame->planes[0], frame->height, frame->width, error);
	if (r >= 0)
		r = check_plane(&frame->planes[1], frame->height / 2, frame->width, error);
	return r < 0 ? r : tv_preprocess_nv12(how, &view, input, error);
}

int triovit_model_preprocess(const struct triovit_model *model, const struct triovit_frame *frame,
			     void *input, size_t size, struct triovit_error *error)
{
	const struct triovit_model_info *info = &model->info;
	const struct tv_preprocess how = { .size = info->width, .resize = info->resize };
	struct tv_error why = { 0 };
	int r;

	if (!how.size || info->width != info->height)
		return tv_fail(error, -EINVAL, "a model with an input of %ux%u pixels, not square",
			       info->width, info->height);
	if (size / 3 / how.size < how.size)
		return tv_fail(error, -EINVAL, "%zu bytes for an input of %ux%u pixels", size,
			       how.size, how.size);
	switch (frame->format) {
	case TRIOVIT_FORMAT_RGB24:
		r = from_rgb24(&how, frame, input, &why);
		break;
	case TRIOVIT_FORMAT_NV12:
		r = from_nv12(&how, frame, input, &why);
		break;
	default:
		r = tv_error_set(&why, -EINVAL, "there is no format %u",
				 (unsigned int)frame->format);
	}
	return r < 0 ? tv_fail(error, r, "%s", why.text) : 0;
}
