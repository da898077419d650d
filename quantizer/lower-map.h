/* SPDX-License-Identifier: MIT */
/* How one command uses the engines of a target. */
#ifndef TV_QUANTIZER_LOWER_MAP_H
#define TV_QUANTIZER_LOWER_MAP_H

#include "rtl-model/target.h"

/* Sets split and tile_rows of a command whose shape and operands are set: the choice that takes
 * the fewest cycles, engines and DRAM considered, with weights that fit in ring bytes if they are
 * streamed. -ENOSPC if none does. */
int tv_map_command(const struct tv_target *target, uint64_t ring, struct tv_command *command);

#endif
