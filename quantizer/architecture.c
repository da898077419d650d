/* SPDX-License-Identifier: MIT */
/* The published members of the family and the bounds of those made up. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "quantizer/architecture.h"

/* Widths, depths and heads of the release (Cai, Li, Hu, Gan, Han: EfficientViT, ICCV 2023). */
static const struct {
	const char *name;
	struct tv_architecture architecture;
} members[] = {
	{ "b0", { { 8, 16, 32, 64, 128 }, { 1, 2, 2, 2, 2 }, 16, { 1024, 1280 }, 1000, 4 } },
	{ "b1", { { 16, 32, 64, 128, 256 }, { 1, 2, 3, 3, 4 }, 16, { 1536, 1600 }, 1000, 4 } },
	{ "b2", { { 24, 48, 96, 192, 384 }, { 1, 3, 4, 4, 6 }, 32, { 2304, 2560 }, 1000, 4 } },
	{ "b3", { { 32, 64, 128, 256, 512 }, { 1, 4, 6, 6, 9 }, 32, { 2304, 2560 }, 1000, 4 } },
};

int tv_architecture_by_name(const char *name, struct tv_architecture *ret, struct tv_error *error)
{
	for (size_t i = 0; i < TV_ARRAY_SIZE(members); i++) {
		if (!strcmp(name, members[i].name)) {
			*ret = members[i].architecture;
			return 0;
		}
	}
	return tv_error_set(error, -EINVAL, "architecture '%s': expected b0, b1, b2 or b3", name);
}

#define NO_STAGE (-1)

static int check_range(unsigned int value, unsigned int max, const char *what, int stage,
		       struct tv_error *error)
{
	char where[16] = "";

	if (value >= 1 && value <= max)
		return 0;
	if (stage == 0)
		snprintf(where, sizeof(where), " of the stem");
	else if (stage > 0)
		snprintf(where, sizeof(where), " of stage %d", stage);
	return tv_error_set(error, -EINVAL, "%s%s is %u, expected 1 to %u", what, where, value,
			    max);
}

static int check_stage(const struct tv_architecture *a, int stage, struct tv_error *error)
{
	const bool attention = stage >= TV_NETWORK_ATTENTION_STAGE;
	/* The widest map that grows out of a width: an expansion, or query, key and value. */
	const unsigned int growth = attention && a->expand < 3 ? 3 : a->expand;
	const unsigned int width = a->widths[stage];
	int r;

	r = check_range(width, TV_NETWORK_CHANNELS_MAX / growth, "width", stage, error);
	if (r < 0)
		return r;
	r = check_range(a->depths[stage], TV_NETWORK_DEPTH_MAX, "depth", stage, error);
	if (r < 0)
		return r;
	if (attention && width % a->head_dim != 0)
		return tv_error_set(error, -EINVAL,
				    "width of stage %d is %u, expected a multiple of the %u "
				    "channels of an attention head",
				    stage, width, a->head_dim);
	return 0;
}

int tv_architecture_check(const struct tv_architecture *a, struct tv_error *error)
{
	const struct {
		const char *what;
		unsigned int value;
	} figures[] = {
		{ "expansion ratio", a->expand },
		{ "channels of an attention head", a->head_dim },
		{ "width of the head's convolution", a->head_widths[0] },
		{ "width of the head's first linear layer", a->head_widths[1] },
		{ "number of classes", a->classes },
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(figures); i++) {
		int r = check_range(figures[i].value, TV_NETWORK_CHANNELS_MAX, figures[i].what,
				    NO_STAGE, error);

		if (r < 0)
			return r;
	}
	for (int stage = 0; stage <= TV_NETWORK_STAGES; stage++) {
		int r = check_stage(a, stage, error);

		if (r < 0)
			return r;
	}
	return 0;
}
