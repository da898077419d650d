/* SPDX-License-Identifier: MIT */
/* What the programs with commands share: how they fail, how they read options, how they print. */
#ifndef TV_TOOLS_TOOL_H
#define TV_TOOLS_TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

#define TOOL_WRONG_USAGE 2 /* exit code */
#define TOOL_GO_ON	 (-1) /* no exit code: the options are read, the work can begin */

/* The program's name, each has one. */
extern const char tool_name[];

struct tool_command {
	const char *name; /* NULL: the program itself, which has no commands */
	const char *arguments; /* of the usage line */
	const char *summary; /* one line for the list of commands */
	const char *help; /* what the arguments and options are, whole lines */
	/* argv[0] is "PROGRAM NAME", for getopt's messages. Returns the exit code. */
	int (*run)(const struct tool_command *self, int argc, char **argv);
};

/* Prints a command's help and returns EXIT_SUCCESS. */
int tool_help(const struct tool_command *command);

/* Prints "PROGRAM NAME: ..." and where help is, and returns TOOL_WRONG_USAGE. Without a command of
 * the program itself; without a format only where help is, after getopt() has said what is wrong.
 */
int tool_wrong_usage(const struct tool_command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints the error as "PROGRAM: ..." and returns EXIT_FAILURE. */
int tool_fail(const struct tv_error *error);

/* The program's exit code, when code is that of the work: results that did not arrive (a full disk)
 * are a failure like any other. */
int tool_finish(int code);

struct tool_option;

/* What becomes of an option. text: its value, or NULL; ret: its field. Returns 0, or an exit code
 * after saying what is wrong. */
typedef int (*tool_take)(const struct tool_command *command, const struct tool_option *option,
			 const char *text, void *ret);

/* A row of a command's table; the last has no name. */
struct tool_option {
	const char *name;
	char letter; /* or 0 */
	tool_take take;
	size_t field; /* its offset in what tool_parse() fills */
	uint64_t least, most; /* of numbers */
};

/* ret: bool, set to true; the option has no value. */
int tool_take_flag(const struct tool_command *command, const struct tool_option *option,
		   const char *text, void *ret);
/* ret: const char *, text itself. */
int tool_take_text(const struct tool_command *command, const struct tool_option *option,
		   const char *text, void *ret);
/* ret: unsigned int. */
int tool_take_unsigned(const struct tool_command *command, const struct tool_option *option,
		       const char *text, void *ret);
/* ret: uint64_t. */
int tool_take_number(const struct tool_command *command, const struct tool_option *option,
		     const char *text, void *ret);

#define TOOL_OPTIONS_MAX 32

/* Reads the options into the fields of ret. TOOL_GO_ON, and what is no option is in argv from
 * optind on, or the exit code: that of help too, which every command has. */
int tool_parse(const struct tool_command *command, int argc, char **argv,
	       const struct tool_option *options, void *ret);

/* What was among the options. */
struct tool_given {
	bool help, rows[TOOL_OPTIONS_MAX];
};

/* The same for who does not know the command yet (NULL), or what options it has: help is his to
 * print. Returns 0, or the exit code. */
int tool_read_options(const struct tool_command *command, int argc, char **argv,
		      const struct tool_option *options, void *ret, struct tool_given *given);

/* Strings from elsewhere with their control characters replaced, so that they cannot speak to the
 * terminal. Returns text. */
char *tool_printable(char *text);

/* A table of text: cells from left to right, row after row; the first row is the heading. */
struct tool_table {
	unsigned int columns;
	unsigned int left; /* so many columns are aligned to the left, the others to the right */
	char **cells;
	size_t count, room;
	bool failed; /* out of memory */
};

void tool_table_add(struct tool_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints the table to standard output, and with indent blanks before each row. -ENOMEM if not all
 * cells could be kept. */
int tool_table_print(const struct tool_table *table, unsigned int indent, struct tv_error *error);
void tool_table_done(struct tool_table *table);

/* A JSON string of any bytes: what is no UTF-8 becomes U+FFFD. NULL: out of memory. */
json_t *tool_json_string(const char *text);
/* Prints root to standard output. NULL stands for a root that could not be built: -ENOMEM. */
int tool_json_print(const json_t *root, struct tv_error *error);

#endif
