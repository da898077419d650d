/* SPDX-License-Identifier: MIT */
/* Values of options that several commands have. */
#include <stdlib.h>

#include "tools/sim.h"

int sim_parse_size(const struct tool_command *command, const char *text, unsigned int *ret)
{
	unsigned int value;
	int r;

	r = tool_parse_unsigned(command, "--size", text, 32, TV_NETWORK_SIZE_MAX, &value);
	if (r)
		return r;
	/* The network halves its input five times. */
	if (value % 32)
		return tool_wrong_usage(command, "--size: %u is no multiple of 32", value);
	*ret = value;
	return 0;
}

int sim_parse_ratio(const struct tool_command *command, const char *option, const char *text,
		    double *ret)
{
	double value;
	char *end;

	value = strtod(text, &end);
	if (end == text || *end || !(value > 0 && value <= 1))
		return tool_wrong_usage(command, "%s: '%s' is no number above 0 and up to 1",
					option, text);
	*ret = value;
	return 0;
}
