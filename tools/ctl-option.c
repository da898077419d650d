/* SPDX-License-Identifier: MIT */
/* All options of triovitctl: what they are called, who has them, where their values go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/ctl.h"

/* double: not so little that the daemon is kept busy with us. */
static int take_seconds(const struct tool_command *command, const struct tool_option *option,
			const char *text, void *field)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0.01 && value <= 86400))
		return tool_wrong_usage(NULL, "--%s: '%s' is no number from 0.01 to 86400",
					option->name, text);
	*(double *)field = value;
	return 0;
}

/* struct ctl_list */
static int take_list(const struct tool_command *command, const struct tool_option *option,
		     const char *text, void *field)
{
	_cleanup_free_ char *copy = strdup(text);
	struct ctl_list list = { .count = 0 };
	char *rest = copy, *item;
	int r;

	if (!copy)
		return tool_fail(&(struct tv_error){ .text = "out of memory" });
	while ((item = strsep(&rest, ","))) {
		if (list.count == CTL_LIST_MAX)
			return tool_wrong_usage(NULL, "--%s: more than %d values", option->name,
						CTL_LIST_MAX);
		r = tool_take_unsigned(NULL, option, item, &list.values[list.count++]);
		if (r)
			return r;
	}
	*(struct ctl_list *)field = list;
	return 0;
}

#define ROW(which, name_, letter_, value_, take_, to, lowest, highest, text)                       \
	{                                                                                          \
		.bits = which, .value = value_, .help = text,                                      \
		.option = {                                                                        \
			.name = name_,                                                             \
			.letter = letter_,                                                         \
			.take = take_,                                                             \
			.field = offsetof(struct ctl, to),                                         \
			.least = lowest,                                                           \
			.most = highest,                                                           \
		},                                                                                 \
	}

/* An option, and what the help says of it. */
static const struct row {
	unsigned int bits; /* of the commands that have it; 0: all */
	const char *value; /* what it is called; NULL: there is none */
	const char *help;
	struct tool_option option;
} rows[] = {
	ROW(CTL_LOAD, "name", 0, "NAME", tool_take_text, name, 0, 0,
	    "what the model is to be called"),
	ROW(CTL_CLASSIFY, "top", 0, "N", tool_take_unsigned, top, 0, 64,
	    "so many classes of each image, 0 to 64 (default 5)"),
	ROW(CTL_BENCH, "clients", 0, "N,...", take_list, clients, 1, CTL_CLIENTS_MAX,
	    "connections, 1 to 64 (default 1,2,4)"),
	ROW(CTL_BENCH, "depth", 0, "N,...", take_list, depths, 1, 16,
	    "runs in flight, each client's, 1 to 16 (default 1,4)"),
	ROW(CTL_CLASSIFY | CTL_BENCH, "images", 0, "N", tool_take_unsigned, images, 1, 64,
	    "images a run, 1 to 64 (default: the fewest there are)"),
	ROW(CTL_BENCH, "seconds", 0, "S", take_seconds, seconds, 0, 0,
	    "how long each row is measured (default 2)"),
	ROW(CTL_TOP, "count", 'n', "N", tool_take_unsigned, snapshots, 1, 1u << 31,
	    "end after so many views"),
	ROW(CTL_TOP, "delay", 'd', "S", take_seconds, delay, 0, 0,
	    "seconds between two views (default 1)"),
	ROW(0, "host", 'H', "[USER@]HOST", tool_take_text, host, 0, 0,
	    "another machine's system bus, by ssh"),
	ROW(0, "session", 0, NULL, tool_take_flag, session, 0, 0, "the user's bus"),
	ROW(0, "address", 0, "ADDRESS", tool_take_text, address, 0, 0, "the bus there"),
	ROW(0, "json", 0, NULL, tool_take_flag, json, 0, 0, "for programs"),
	ROW(0, "quiet", 'q', NULL, tool_take_flag, quiet, 0, 0,
	    "no progress, and no word of what went well"),
	ROW(0, "version", 'V', NULL, tool_take_flag, version, 0, 0, ""),
};

#define ROWS TV_ARRAY_SIZE(rows)

static void print_option(const char *name, char letter, const char *value, const char *help)
{
	char left[64], before[] = { '-', letter, ',', '\0' };

	snprintf(left, sizeof(left), "  %3s --%s%s%s", letter ? before : "", name, value ? " " : "",
		 value ? value : "");
	printf(*help ? "%-25s %s\n" : "%s\n", left, help);
}

void ctl_print_options(unsigned int bits)
{
	for (size_t i = 0; i < ROWS; i++)
		if (!rows[i].bits || rows[i].bits & bits)
			print_option(rows[i].option.name, rows[i].option.letter, rows[i].value,
				     rows[i].help);
	print_option("help", 'h', NULL, "this text; after a command that command's");
}

static int choose_bus(struct ctl *ctl)
{
	if (!!ctl->host + !!ctl->address + ctl->session > 1)
		return tool_wrong_usage(NULL, "one of --host, --session and --address");
	ctl->bus = ctl->host	? TRIOVIT_BUS_HOST :
		   ctl->address ? TRIOVIT_BUS_ADDRESS :
		   ctl->session ? TRIOVIT_BUS_SESSION :
				  TRIOVIT_BUS_SYSTEM;
	ctl->where = ctl->host ? ctl->host : ctl->address;
	return 0;
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

static int help(const struct tool_command *command, unsigned int bit)
{
	tool_help(command);
	printf("\nOptions:\n");
	ctl_print_options(bit);
	return EXIT_SUCCESS;
}

/* Whether the command has the options, and may have so many arguments. */
static int check(const struct ctl *ctl, const struct tool_given *given)
{
	const struct ctl_command *command = ctl->command;

	for (size_t i = 0; i < ROWS; i++)
		if (given->rows[i] && rows[i].bits && !(rows[i].bits & command->bit))
			return tool_wrong_usage(&command->tool, "has no option --%s",
						rows[i].option.name);
	if (ctl->count < command->least)
		return tool_wrong_usage(&command->tool, "expected %s", command->tool.arguments);
	if (ctl->count > command->most)
		return tool_wrong_usage(&command->tool, "'%s' is one argument too many",
					ctl->arguments[command->most]);
	return TOOL_GO_ON;
}

int ctl_parse(int argc, char **argv, struct ctl *ret)
{
	struct tool_option options[ROWS + 1] = { 0 };
	struct ctl ctl = {
		.top = 5,
		.clients = { { 1, 2, 4 }, 3 },
		.depths = { { 1, 4 }, 2 },
		.seconds = 2,
		.delay = 1,
	};
	struct tool_given given;
	int code;

	for (size_t i = 0; i < ROWS; i++)
		options[i] = rows[i].option;
	code = tool_read_options(NULL, argc, argv, options, &ctl, &given);
	if (code == 0)
		code = choose_bus(&ctl);
	if (code)
		return code;
	/* Of the program itself. */
	if (!ctl.version && !(given.help && optind >= argc)) {
		code = find_command(argc, argv, &ctl);
		if (code)
			return code;
		if (given.help)
			return help(&ctl.command->tool, ctl.command->bit);
		code = check(&ctl, &given);
		if (code != TOOL_GO_ON)
			return code;
	}
	*ret = ctl;
	return TOOL_GO_ON;
}
