/* SPDX-License-Identifier: MIT */
/* Feeds the safetensors reader. Whatever it takes must keep the promises of its header; whatever
 * it refuses must be refused with words. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static void check_tensor(const struct tv_safetensors *file, const struct tv_tensor *tensor)
{
	uint64_t elements = 1;
	float values[4];
	char text[256];

	REQUIRE(tensor->rank <= TV_SAFETENSORS_RANK_MAX);
	for (unsigned int i = 0; i < tensor->rank; i++)
		elements *= tensor->shape[i];
	REQUIRE(tensor->elements == elements);
	REQUIRE(tensor->size == elements * tv_dtype_size(tensor->dtype));
	REQUIRE(tv_safetensors_name_valid(tensor->name));
	REQUIRE(tv_safetensors_find(file, tensor->name) == tensor);
	REQUIRE(strchr(tv_tensor_describe(tensor, text, sizeof(text)), ']'));

	/* Its first and last bytes can be read. */
	(void)tv_tensor_to_float(tensor, 0, elements < 4 ? elements : 4, values);
	if (elements > 4)
		(void)tv_tensor_to_float(tensor, elements - 4, 4, values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	struct tv_error error = { 0 };
	const uint8_t *end = NULL;
	int r = tv_safetensors_parse(data, size, "FILE", &file, &error);

	if (r < 0) {
		REQUIRE(r == -EBADMSG && error.code == r);
		REQUIRE(strncmp(error.text, "FILE: ", 6) == 0 && strlen(error.text) > 6);
		return 0;
	}

	/* The tensors lie one after the other, up to the end. */
	REQUIRE(error.code == 0);
	for (size_t i = 0; i < tv_safetensors_count(file); i++) {
		const struct tv_tensor *tensor = tv_safetensors_at(file, i);

		REQUIRE(!end || tensor->data == end);
		end = tensor->data + tensor->size;
		check_tensor(file, tensor);
	}
	REQUIRE(!end || end == data + size);
	(void)tv_safetensors_metadata(file, "format");
	return 0;
}
