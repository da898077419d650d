/* SPDX-License-Identifier: MIT */
/* What the commands print for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sim.h"

json_t *sim_json_string(const char *text)
{
	static const char replacement[] = "\xef\xbf\xbd";
	_cleanup_free_ char *clean = NULL;
	size_t length = 0;
	json_t *string;

	string = json_string(text);
	if (string)
		return string;

	/* Rare enough (a file name in another encoding) to give up all that is not ASCII. */
	clean = malloc(strlen(text) * strlen(replacement) + 1);
	if (!clean)
		return NULL;
	for (; *text; text++) {
		if ((unsigned char)*text < 0x80) {
			clean[length++] = *text;
		} else {
			memcpy(clean + length, replacement, strlen(replacement));
			length += strlen(replacement);
		}
	}
	clean[length] = '\0';
	return json_string(clean);
}

json_t *sim_json_unsigned(const unsigned int *values, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(array, json_integer(values[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

json_t *sim_json_float(const float *values, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(array, json_real(values[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

json_t *sim_json_architecture(const struct tv_architecture *architecture)
{
	return json_pack("{s:s?, s:o, s:o, s:i, s:o, s:i, s:i}",
			 "name", sim_architecture_name(architecture),
			 "widths", sim_json_unsigned(architecture->widths,
						     TV_ARRAY_SIZE(architecture->widths)),
			 "depths", sim_json_unsigned(architecture->depths,
						     TV_ARRAY_SIZE(architecture->depths)),
			 "head_dim", (int)architecture->head_dim,
			 "head_widths", sim_json_unsigned(architecture->head_widths,
							  TV_ARRAY_SIZE(architecture->head_widths)),
			 "classes", (int)architecture->classes,
			 "expand", (int)architecture->expand);
}

int sim_json_print(const json_t *root, struct tv_error *error)
{
	_cleanup_free_ char *text = NULL;

	/* As many digits as a float has: 0.485f is 0.485. */
	text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(7)) : NULL;
	if (!text)
		return tv_error_oom(error);
	puts(text);
	return 0;
}
