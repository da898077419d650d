/* SPDX-License-Identifier: MIT */
#include "model/limits.h"

#include <errno.h>

int tv_network_check_size(unsigned int size, struct tv_error *error)
{
	if (size >= 1 && size <= TV_NETWORK_SIZE_MAX && size % TV_NETWORK_STRIDE == 0)
		return 0;
	return tv_error_set(error, -EINVAL, "input size %u: expected a multiple of %u up to %u",
			    size, TV_NETWORK_STRIDE, TV_NETWORK_SIZE_MAX);
}
