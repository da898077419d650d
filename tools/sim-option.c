/* SPDX-License-Identifier: MIT */
/* How commands explain themselves, fail, and read the values of their options. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sim.h"

int sim_help(const struct sim_command *command)
{
	printf("usage: triovit-sim %s %s\n\n%s", command->name, command->arguments, command->help);
	return EXIT_SUCCESS;
}

int sim_wrong_usage(const struct sim_command *command, const char *format, ...)
{
	char text[512];
	va_list arguments;

	if (format) {
		va_start(arguments, format);
		vsnprintf(text, sizeof(text), format, arguments);
		va_end(arguments);
		fprintf(stderr, "triovit-sim %s: %s\n", command->name, sim_printable(text));
	}
	fprintf(stderr, "Try 'triovit-sim %s --help'.\n", command->name);
	return SIM_WRONG_USAGE;
}

int sim_fail(const struct tv_error *error)
{
	struct tv_error copy = *error;

	fprintf(stderr, "triovit-sim: %s\n", sim_printable(copy.text));
	return EXIT_FAILURE;
}

int sim_parse_number(const struct sim_command *command, const char *option, const char *text,
		     uint64_t least, uint64_t most, uint64_t *ret)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	/* strtoull() alone would take blanks, signs and, for "-1", the largest number there is. */
	if (text[0] < '0' || text[0] > '9' || *end || errno || value < least || value > most)
		return sim_wrong_usage(command, "%s: '%s' is no whole number from %" PRIu64
				       " to %" PRIu64, option, text, least, most);
	*ret = value;
	return 0;
}

int sim_parse_unsigned(const struct sim_command *command, const char *option, const char *text,
		       unsigned int least, unsigned int most, unsigned int *ret)
{
	uint64_t value = 0;
	int r;

	r = sim_parse_number(command, option, text, least, most, &value);
	if (r == 0)
		*ret = value;
	return r;
}

int sim_parse_size(const struct sim_command *command, const char *text, unsigned int *ret)
{
	unsigned int value;
	int r;

	r = sim_parse_unsigned(command, "--size", text, 32, TV_NETWORK_SIZE_MAX, &value);
	if (r)
		return r;
	/* The network halves its input five times. */
	if (value % 32)
		return sim_wrong_usage(command, "--size: %u is no multiple of 32", value);
	*ret = value;
	return 0;
}

int sim_parse_ratio(const struct sim_command *command, const char *option, const char *text,
		    double *ret)
{
	double value;
	char *end;

	value = strtod(text, &end);
	if (end == text || *end || !(value > 0 && value <= 1))
		return sim_wrong_usage(command, "%s: '%s' is no number above 0 and up to 1", option,
				       text);
	*ret = value;
	return 0;
}
