/* SPDX-License-Identifier: MIT */
#include "common/digest.h"

#include <nettle/sha2.h>

void tv_digest(const void *data, size_t size, uint8_t ret[TV_DIGEST_SIZE])
{
	struct sha256_ctx context;

	_Static_assert(TV_DIGEST_SIZE == SHA256_DIGEST_SIZE, "the digest is SHA-256");
	sha256_init(&context);
	sha256_update(&context, size, data);
	sha256_digest(&context, TV_DIGEST_SIZE, ret);
}

void tv_digest_hex(const uint8_t digest[TV_DIGEST_SIZE], char ret[TV_DIGEST_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < TV_DIGEST_SIZE; i++) {
		ret[2 * i] = digits[digest[i] >> 4];
		ret[2 * i + 1] = digits[digest[i] & 15];
	}
	ret[2 * TV_DIGEST_SIZE] = '\0';
}
