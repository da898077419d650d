/* SPDX-License-Identifier: MIT */
/* What is printed for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/tool.h"

json_t *tool_json_string(const char *text)
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

int tool_json_print(const json_t *root, struct tv_error *error)
{
	_cleanup_free_ char *text = NULL;

	/* As many digits as a float has: 0.485f is 0.485. */
	text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(7)) : NULL;
	if (!text)
		return tv_error_oom(error);
	puts(text);
	return 0;
}
