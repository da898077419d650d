/* SPDX-License-Identifier: MIT */
/* Configurations of the accelerator that are not built in. */
#ifndef TV_QUANTIZER_TARGET_FILE_H
#define TV_QUANTIZER_TARGET_FILE_H

#include "common/error.h"
#include "rtl-model/target.h"

/*
 * A target by name, or from a JSON file where no built-in has that name:
 *
 *   {"name": "mine", "id": 32768, "groups": 8, "epilogue_lanes": 64, "clock_mhz": 150,
 *    "onchip": 1048576, "dram_mb_s": 6400}
 *
 * All keys are needed; name has letters, digits, '-' and '_' (it becomes part of tensor names), id
 * is TV_TARGET_CUSTOM or above, groups a power of two up to 64.
 */
struct tv_target_file {
	struct tv_target target; /* name points into text, or is static */
	char text[32];
};

int tv_target_find(const char *name, struct tv_target_file *ret, struct tv_error *error);

#endif
