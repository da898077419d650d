/* SPDX-License-Identifier: MIT */
/* The header of a safetensors file as text: within the library only. */
#ifndef TV_COMMON_SAFETENSORS_HEADER_H
#define TV_COMMON_SAFETENSORS_HEADER_H

#include <jansson.h>

#include "common/safetensors.h"

#define TV_SAFETENSORS_METADATA "__metadata__"
#define TV_PRINTABLE_SIZE 128

/* Foreign text that no check has passed yet, shortened and fit for a message and a terminal. Into
 * and returning ret. */
const char *tv_printable(const char *text, size_t size, char ret[TV_PRINTABLE_SIZE]);

/* The header of the file of size bytes at data, an object without duplicate keys and within the
 * bounds of length and depth. *ret is the caller's reference, data begins at *ret_data_offset. The
 * error text names the tensor, but not the file. */
int tv_safetensors_header(const uint8_t *data, size_t size, json_t **ret, size_t *ret_data_offset,
			  struct tv_error *error);

#endif
