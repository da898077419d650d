/* SPDX-License-Identifier: MIT */
/* Values of options that several commands have. */
#include <stdlib.h>

#include "tools/sim.h"

int sim_take_size(const struct tool_command *command, const struct tool_option *option,
		  const char *text, void *ret)
{
	unsigned int value;
	int r;

	r = tool_take_unsigned(command, option, text, &value);
	if (r)
		return r;
	/* The network halves its input five times. */
	if (value % 32)
		return tool_wrong_usage(command, "--size: %u is no multiple of 32", value);
	*(unsigned int *)ret = value;
	return 0;
}

int sim_take_ratio(const struct tool_command *command, const struct tool_option *option,
		   const char *text, void *ret)
{
	double value;
	char *end;

	value = strtod(text, &end);
	if (end == text || *end || !(value > 0 && value <= 1))
		return tool_wrong_usage(command, "--%s: '%s' is no number above 0 and up to 1",
					option->name, text);
	*(double *)ret = value;
	return 0;
}
