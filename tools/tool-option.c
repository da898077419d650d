/* SPDX-License-Identifier: MIT */
/* How commands explain themselves, fail, and read the values of their options. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/tool.h"

int tool_help(const struct tool_command *command)
{
	printf("usage: %s%s%s %s\n\n%s", tool_name, command->name ? " " : "",
	       command->name ? command->name : "", command->arguments, command->help);
	return EXIT_SUCCESS;
}

int tool_wrong_usage(const struct tool_command *command, const char *format, ...)
{
	const char *name = command && command->name ? command->name : "";
	const char *blank = *name ? " " : "";
	char text[512];
	va_list arguments;

	if (format) {
		va_start(arguments, format);
		vsnprintf(text, sizeof(text), format, arguments);
		va_end(arguments);
		fprintf(stderr, "%s%s%s: %s\n", tool_name, blank, name, tool_printable(text));
	}
	fprintf(stderr, "Try '%s%s%s --help'.\n", tool_name, blank, name);
	return TOOL_WRONG_USAGE;
}

int tool_fail(const struct tv_error *error)
{
	struct tv_error copy = *error;

	fprintf(stderr, "%s: %s\n", tool_name, tool_printable(copy.text));
	return EXIT_FAILURE;
}

int tool_finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "%s: standard output: %s\n", tool_name, strerror(errno));
	return code == EXIT_SUCCESS ? EXIT_FAILURE : code;
}

int tool_take_flag(const struct tool_command *command, const struct tool_option *option,
		   const char *text, void *ret)
{
	(void)command;
	(void)option;
	(void)text;
	*(bool *)ret = true;
	return 0;
}

int tool_take_text(const struct tool_command *command, const struct tool_option *option,
		   const char *text, void *ret)
{
	(void)command;
	(void)option;
	*(const char **)ret = text;
	return 0;
}

int tool_take_number(const struct tool_command *command, const struct tool_option *option,
		     const char *text, void *ret)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	/* strtoull() alone would take blanks, signs and, for "-1", the largest number there is. */
	if (text[0] < '0' || text[0] > '9' || *end || errno || value < option->least ||
	    value > option->most)
		return tool_wrong_usage(command,
					"--%s: '%s' is no whole number from %" PRIu64
					" to %" PRIu64,
					option->name, text, option->least, option->most);
	*(uint64_t *)ret = value;
	return 0;
}

int tool_take_unsigned(const struct tool_command *command, const struct tool_option *option,
		       const char *text, void *ret)
{
	uint64_t value = 0;
	int r = tool_take_number(command, option, text, &value);

	if (r == 0)
		*(unsigned int *)ret = (unsigned int)value;
	return r;
}

int tool_read_options(const struct tool_command *command, int argc, char **argv,
		      const struct tool_option *options, void *ret, struct tool_given *given)
{
	/* An option's value for getopt is its row, beyond all letters. */
	enum {
		HELP = 256,
		FIRST
	};
	struct option table[TOOL_OPTIONS_MAX + 2] = { { "help", no_argument, NULL, HELP } };
	char letters[2 * TOOL_OPTIONS_MAX + 2] = "h", *letter = letters + 1;
	const struct tool_option *option;
	size_t count = 0;
	int c, code = 0;

	for (; options[count].name && count < TOOL_OPTIONS_MAX; count++) {
		option = &options[count];
		table[1 + count] = (struct option){
			.name = option->name,
			.has_arg = option->take == tool_take_flag ? no_argument : required_argument,
			.val = FIRST + (int)count,
		};
		if (!option->letter)
			continue;
		*letter++ = option->letter;
		if (option->take != tool_take_flag)
			*letter++ = ':';
	}
	*given = (struct tool_given){ .help = false };
	while (code == 0 && (c = getopt_long(argc, argv, letters, table, NULL)) != -1) {
		if (c == '?')
			return tool_wrong_usage(command, NULL);
		if (c == HELP || c == 'h') {
			given->help = true;
			continue;
		}
		option = c >= FIRST ? &options[c - FIRST] : options;
		while (c < FIRST && option->letter != c)
			option++;
		given->rows[option - options] = true;
		code = option->take(command, option, optarg, (char *)ret + option->field);
	}
	return code;
}

int tool_parse(const struct tool_command *command, int argc, char **argv,
	       const struct tool_option *options, void *ret)
{
	struct tool_given given;
	int code = tool_read_options(command, argc, argv, options, ret, &given);

	if (code)
		return code;
	return given.help ? tool_help(command) : TOOL_GO_ON;
}
