/* SPDX-License-Identifier: MIT */
/* The largest networks there are: what a checkpoint may ask for and a package may hold. */
#ifndef TV_MODEL_LIMITS_H
#define TV_MODEL_LIMITS_H

#include "common/error.h"

#define TV_NETWORK_CHANNELS_MAX 16384u
#define TV_NETWORK_SIZE_MAX	4096u
/* Input pixels to one of the last stage's: what the input size is a multiple of. */
#define TV_NETWORK_STRIDE	32u
/* Images of a job. */
#define TV_BATCH_MAX		64u

/* -EINVAL unless size is a multiple of 32 up to TV_NETWORK_SIZE_MAX. */
int tv_network_check_size(unsigned int size, struct tv_error *error);

#endif
