/* SPDX-License-Identifier: MIT */
#include "common/safetensors-header.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LENGTH_SIZE sizeof(uint64_t)

const char *tv_printable(const char *text, size_t size, char ret[TV_PRINTABLE_SIZE])
{
	size_t length = size < TV_PRINTABLE_SIZE ? size : TV_PRINTABLE_SIZE - 1;

	for (size_t i = 0; i < length; i++)
		ret[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	ret[length] = '\0';
	if (size > length)
		memcpy(ret + length - 3, "...", 3);
	return ret;
}

bool tv_safetensors_name_valid(const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
			return false;
	return true;
}

/* A string of the header's text as written, between the quotes; text NULL: none. */
struct span {
	const char *text;
	size_t size;
};

/* Where in the header's text a walk through it ended. */
struct place {
	unsigned int depth;
	struct span name, key; /* last keys of the outermost object and, since then, inside it */
};

/* The quote that ends the string whose first character is given, or size. */
static size_t string_end(const char *text, size_t size, size_t first)
{
	size_t i = first;

	while (i < size && text[i] != '"')
		i += text[i] == '\\' ? 2 : 1;
	return i < size ? i : size;
}

/*
 * Walks through JSON text without understanding more of it than strings and brackets. jansson
 * recurses up to 2048 levels and says where it failed as a mere offset: this bounds the one and
 * finds out which tensor the other means. Stops where the depth exceeds the bound.
 */
static struct place walk(const char *text, size_t size)
{
	struct place place = { 0 };
	bool value = false; /* a string here is the value of a key */

	for (size_t i = 0; i < size && place.depth <= TV_SAFETENSORS_DEPTH_MAX; i++) {
		size_t first = i + 1;

		switch (text[i]) {
		case '{':
		case '[':
			place.depth++;
			value = false;
			break;
		case '}':
		case ']':
			place.depth -= place.depth > 0;
			break;
		case ',':
			value = false;
			break;
		case ':':
			value = true;
			break;
		case '"':
			i = string_end(text, size, first);
			if (i == size || value)
				break;
			if (place.depth == 1) {
				place.name = (struct span){ text + first, i - first };
				place.key = (struct span){ 0 };
			} else {
				place.key = (struct span){ text + first, i - first };
			}
			break;
		}
	}
	return place;
}

/* Puts the tensor's name in front of an error of the header's text. */
static int prefix_place(const struct place *place, struct tv_error *error)
{
	char name[TV_PRINTABLE_SIZE];

	if (!place->name.text)
		return -EBADMSG;
	tv_printable(place->name.text, place->name.size, name);
	if (strcmp(name, TV_SAFETENSORS_METADATA) == 0)
		return tv_error_prefix(error, -EBADMSG, TV_SAFETENSORS_METADATA);
	return tv_error_prefix(error, -EBADMSG, "tensor '%s'", name);
}

/* Says what jansson did not like, and of which tensor. */
static int fail_json(const char *text, size_t size, const json_error_t *cause,
		     struct tv_error *error)
{
	size_t position = cause->position > 0 ? (size_t)cause->position : 0;
	struct place place = walk(text, position < size ? position : size);
	char printed[TV_PRINTABLE_SIZE];

	switch (json_error_code(cause)) {
	case json_error_out_of_memory:
		return tv_error_oom(error);
	case json_error_duplicate_key:
		if (place.key.text)
			tv_error_set(error, -EBADMSG, "key '%s' appears twice",
				     tv_printable(place.key.text, place.key.size, printed));
		else
			tv_error_set(error, -EBADMSG, "appears twice in the header");
		break;
	default:
		tv_error_set(error, -EBADMSG, "header is not valid JSON at byte %zu: %s", position,
			     tv_printable(cause->text, strlen(cause->text), printed));
	}
	return prefix_place(&place, error);
}

int tv_safetensors_header(const uint8_t *data, size_t size, json_t **ret, size_t *ret_data_offset,
			  struct tv_error *error)
{
	const char *text;
	json_error_t cause;
	struct place place;
	uint64_t length;
	json_t *root;

	if (size < LENGTH_SIZE)
		return tv_error_set(error, -EBADMSG,
				    "has %zu bytes, expected at least the %zu of a header length",
				    size, LENGTH_SIZE);
	memcpy(&length, data, sizeof(length));
	length = le64toh(length);
	if (length > TV_SAFETENSORS_HEADER_MAX)
		return tv_error_set(error, -EBADMSG,
				    "not a safetensors file: header of %" PRIu64
				    " bytes, expected at most %u",
				    length, TV_SAFETENSORS_HEADER_MAX);
	if (length > size - LENGTH_SIZE)
		return tv_error_set(error, -EBADMSG,
				    "header of %" PRIu64 " bytes reaches beyond the end of the "
				    "file, which has %zu after the header length",
				    length, size - LENGTH_SIZE);
	text = (const char *)data + LENGTH_SIZE;
	if (length == 0 || text[0] != '{')
		return tv_error_set(error, -EBADMSG, "header does not begin with '{'");

	place = walk(text, (size_t)length);
	if (place.depth > TV_SAFETENSORS_DEPTH_MAX) {
		tv_error_set(error, -EBADMSG, "header is nested deeper than %u levels",
			     TV_SAFETENSORS_DEPTH_MAX);
		return prefix_place(&place, error);
	}
	root = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &cause);
	if (!root)
		return fail_json(text, (size_t)length, &cause, error);

	*ret = root;
	*ret_data_offset = LENGTH_SIZE + (size_t)length;
	return 0;
}
