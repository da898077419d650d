/* SPDX-License-Identifier: MIT */
/* All options of triovitctl: what they are called, who has them, where their values go. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ctl.h"

enum kind {
	HELP,
	VERSION,
	HOST,
	SESSION,
	ADDRESS,
	FLAG, /* bool */
	TEXT, /* const char * */
	NUMBER, /* unsigned int */
	NUMBERS, /* struct ctl_list */
	SECONDS, /* double */
};

#define ALL (~0u)

static const struct option_row {
	const char *name;
	char letter; /* or 0 */
	const char *value; /* what it is called in the help; NULL: it has none */
	const char *help;
	enum kind kind;
	unsigned int bits; /* of the commands that have it */
	size_t field; /* of struct ctl */
	unsigned int least, most;
} rows[] = {
	{ "name", 0, "NAME", "what the model is to be called", TEXT, CTL_LOAD,
	  offsetof(struct ctl, name), 0, 0 },
	{ "top", 0, "N", "so many classes of each image, 0 to 64 (default 5)", NUMBER, CTL_CLASSIFY,
	  offsetof(struct ctl, top), 0, 64 },
	{ "clients", 0, "N,...", "connections, 1 to 64 (default 1,2,4)", NUMBERS, CTL_BENCH,
	  offsetof(struct ctl, clients), 1, CTL_CLIENTS_MAX },
	{ "depth", 0, "N,...", "runs in flight, each client's, 1 to 16 (default 1,4)", NUMBERS,
	  CTL_BENCH, offsetof(struct ctl, depths), 1, 16 },
	{ "images", 0, "N", "images a run, 1 to 64 (default: the fewest there are)", NUMBER,
	  CTL_CLASSIFY | CTL_BENCH, offsetof(struct ctl, images), 1, 64 },
	{ "seconds", 0, "S", "how long each row is measured (default 2)", SECONDS, CTL_BENCH,
	  offsetof(struct ctl, seconds), 0, 0 },
	{ "count", 'n', "N", "end after so many views", NUMBER, CTL_TOP,
	  offsetof(struct ctl, snapshots), 1, 1u << 31 },
	{ "delay", 'd', "S", "seconds between two views (default 1)", SECONDS, CTL_TOP,
	  offsetof(struct ctl, delay), 0, 0 },
	{ "host", 'H', "[USER@]HOST", "another machine's system bus, by ssh", HOST, ALL, 0, 0, 0 },
	{ "session", 0, NULL, "the user's bus", SESSION, ALL, 0, 0, 0 },
	{ "address", 0, "ADDRESS", "the bus there", ADDRESS, ALL, 0, 0, 0 },
	{ "json", 0, NULL, "for programs", FLAG, ALL, offsetof(struct ctl, json), 0, 0 },
	{ "quiet", 'q', NULL, "no progress, and no word of what went well", FLAG, ALL,
	  offsetof(struct ctl, quiet), 0, 0 },
	{ "help", 'h', NULL, "this text; after a command that command's", HELP, ALL, 0, 0, 0 },
	{ "version", 'V', NULL, "", VERSION, ALL, 0, 0, 0 },
};

#define ROWS TV_ARRAY_SIZE(rows)

void ctl_print_options(unsigned int bits)
{
	for (size_t i = 0; i < ROWS; i++) {
		const struct option_row *row = &rows[i];
		char left[64], letter[] = { '-', row->letter, ',', '\0' };
		const char *blank = row->value ? " " : "", *value = row->value ? row->value : "";

		if (row->bits == ALL ? bits : !(row->bits & bits))
			continue;
		snprintf(left, sizeof(left), "  %3s --%s%s%s", row->letter ? letter : "", row->name,
			 blank, value);
		printf(*row->help ? "%-26s %s\n" : "%s\n", left, row->help);
	}
}

static int set_bus(struct ctl *ctl, enum triovit_bus bus, const char *where)
{
	if (ctl->bus != TRIOVIT_BUS_SYSTEM)
		return tool_wrong_usage(NULL, "one of --host, --session and --address, once");
	ctl->bus = bus;
	ctl->where = where;
	return 0;
}

/* At least one, so that a delay of 0 does not keep the daemon busy with us. */
static int parse_seconds(const struct option_row *row, const char *text, double *ret)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0.01 && value <= 86400))
		return tool_wrong_usage(NULL, "--%s: '%s' is no number from 0.01 to 86400",
					row->name, text);
	*ret = value;
	return 0;
}

static int parse_list(const struct option_row *row, const char *text, struct ctl_list *ret)
{
	_cleanup_free_ char *copy = strdup(text);
	struct ctl_list list = { .count = 0 };
	char *rest = copy, *item;
	char name[32];
	int r;

	if (!copy)
		return tool_fail(&(struct tv_error){ .text = "out of memory" });
	snprintf(name, sizeof(name), "--%s", row->name);
	while ((item = strsep(&rest, ","))) {
		if (list.count == CTL_LIST_MAX)
			return tool_wrong_usage(NULL, "%s: more than %d values", name,
						CTL_LIST_MAX);
		r = tool_parse_unsigned(NULL, name, item, row->least, row->most,
					&list.values[list.count++]);
		if (r)
			return r;
	}
	*ret = list;
	return 0;
}

/* 0, or the exit code. */
static int take(const struct option_row *row, const char *text, struct ctl *ctl)
{
	void *field = (char *)ctl + row->field;
	char name[32];

	switch (row->kind) {
	case HOST:
		return set_bus(ctl, TRIOVIT_BUS_HOST, text);
	case SESSION:
		return set_bus(ctl, TRIOVIT_BUS_SESSION, NULL);
	case ADDRESS:
		return set_bus(ctl, TRIOVIT_BUS_ADDRESS, text);
	case FLAG:
		*(bool *)field = true;
		return 0;
	case TEXT:
		*(const char **)field = text;
		return 0;
	case NUMBER:
		snprintf(name, sizeof(name), "--%s", row->name);
		return tool_parse_unsigned(NULL, name, text, row->least, row->most, field);
	case NUMBERS:
		return parse_list(row, text, field);
	case SECONDS:
		return parse_seconds(row, text, field);
	default:
		return 0;
	}
}

/* getopt_long()'s own table: an option's value is its row's number from FIRST on. */
enum {
	FIRST = 256
};

static void make_tables(struct option *options, char *letters)
{
	for (size_t i = 0; i < ROWS; i++) {
		options[i] = (struct option){
			.name = rows[i].name,
			.has_arg = rows[i].value ? required_argument : no_argument,
			.val = FIRST + (int)i,
		};
		if (!rows[i].letter)
			continue;
		*letters++ = rows[i].letter;
		if (rows[i].value)
			*letters++ = ':';
	}
	*letters = '\0';
}

static const struct option_row *find_row(int c)
{
	if (c >= FIRST)
		return &rows[c - FIRST];
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].letter == c)
			return &rows[i];
	return NULL;
}

/* What the command line begins with that is no option. */
static int find_command(int argc, char **argv, struct ctl *ctl)
{
	if (optind >= argc)
		return tool_wrong_usage(NULL, "a command is missing");
	ctl->command = ctl_command_by_name(argv[optind]);
	if (!ctl->command)
		return tool_wrong_usage(NULL, "no command '%s'", argv[optind]);
	ctl->arguments = argv + optind + 1;
	ctl->count = (unsigned int)(argc - optind - 1);
	return 0;
}

/* Whether the command has the options, and may have so many arguments. */
static int check(const struct ctl *ctl, const bool *given)
{
	const struct ctl_command *command = ctl->command;

	for (size_t i = 0; i < ROWS; i++)
		if (given[i] && !(rows[i].bits & command->bit))
			return tool_wrong_usage(&command->tool, "has no option --%s", rows[i].name);
	if (ctl->count < command->least)
		return tool_wrong_usage(&command->tool, "expected %s", command->tool.arguments);
	if (ctl->count > command->most)
		return tool_wrong_usage(&command->tool, "'%s' is one argument too many",
					ctl->arguments[command->most]);
	return TOOL_GO_ON;
}

int ctl_parse(int argc, char **argv, struct ctl *ret)
{
	struct option options[ROWS + 1] = { 0 };
	struct ctl ctl = {
		.top = 5,
		.clients = { { 1, 2, 4 }, 3 },
		.depths = { { 1, 4 }, 2 },
		.seconds = 2,
		.delay = 1,
	};
	bool given[ROWS] = { 0 }, help = false;
	const struct option_row *row;
	char letters[2 * ROWS + 1];
	int c, code;

	make_tables(options, letters);
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		row = find_row(c);
		if (!row)
			return tool_wrong_usage(NULL, NULL);
		if (row->kind == VERSION) {
			printf("%s %s\n", tool_name, TV_VERSION);
			return EXIT_SUCCESS;
		}
		help = help || row->kind == HELP;
		given[row - rows] = true;
		code = take(row, optarg, &ctl);
		if (code)
			return code;
	}
	if (help && optind >= argc) {
		*ret = ctl;
		return TOOL_GO_ON;
	}
	code = find_command(argc, argv, &ctl);
	if (code)
		return code;
	if (help) {
		tool_help(&ctl.command->tool);
		printf("\nOptions:\n");
		ctl_print_options(ctl.command->bit);
		ctl_print_options(0);
		return EXIT_SUCCESS;
	}
	code = check(&ctl, given);
	if (code == TOOL_GO_ON)
		*ret = ctl;
	return code;
}
