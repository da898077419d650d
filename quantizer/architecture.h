/* SPDX-License-Identifier: MIT */
/* The quantizer's own: which architectures there can be. */
#ifndef TV_QUANTIZER_ARCHITECTURE_H
#define TV_QUANTIZER_ARCHITECTURE_H

#include "quantizer/network.h"

/* From this stage on there is attention, and an MBConv has biases for its first two norms. */
#define TV_NETWORK_ATTENTION_STAGE 3

/* -EINVAL, naming the figure, unless every map has 1 to TV_NETWORK_CHANNELS_MAX channels, every
 * depth is 1 to TV_NETWORK_DEPTH_MAX and the attention heads divide their widths. */
int tv_architecture_check(const struct tv_architecture *architecture, struct tv_error *error);

#endif
