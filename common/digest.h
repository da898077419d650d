/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4), from nettle. */
#ifndef TV_COMMON_DIGEST_H
#define TV_COMMON_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define TV_DIGEST_SIZE 32
#define TV_DIGEST_HEX_SIZE (2 * TV_DIGEST_SIZE + 1)

void tv_digest(const void *data, size_t size, uint8_t ret[TV_DIGEST_SIZE]);
/* Lower-case hexadecimal with a terminating NUL. */
void tv_digest_hex(const uint8_t digest[TV_DIGEST_SIZE], char ret[TV_DIGEST_HEX_SIZE]);

#endif
