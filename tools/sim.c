/* SPDX-License-Identifier: MIT */
/* triovit-sim: the table of commands and what happens before and after each. */
#include "tools/sim.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char tool_name[] = "triovit-sim";

static const struct tool_command *const commands[] = {
	&sim_run,   &sim_eval, &sim_compare, &sim_ablate, &sim_profile,
	&sim_trace, &sim_dump, &sim_inspect, &sim_random, &sim_replay,
};

static int help(void)
{
	printf("usage: triovit-sim COMMAND [OPTION...] [ARGUMENT...]\n"
	       "\n"
	       "Looks at EfficientViT checkpoints and at the integer models that\n"
	       "triovit-quantize makes of them, and runs either on this machine.\n"
	       "\n"
	       "Commands:\n");
	for (size_t i = 0; i < TV_ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	printf("\n"
	       "Options:\n"
	       "  -h, --help     this text; after a command that command's\n"
	       "  -V, --version\n"
	       "\n"
	       "Exit codes: 0 success, 1 the work failed and standard error says why, 2 wrong\n"
	       "usage.\n");
	return EXIT_SUCCESS;
}

static int run_command(const struct tool_command *command, int argc, char **argv)
{
	_cleanup_free_ char *name = NULL;

	if (asprintf(&name, "triovit-sim %s", command->name) < 0) {
		name = NULL;
		return tool_fail(&(struct tv_error){ .code = -ENOMEM, .text = "out of memory" });
	}
	argv[0] = name;
	optind = 0; /* glibc: starts anew, on another argv */
	return command->run(command, argc, argv);
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	static char self[] = "triovit-sim";
	int c;

	if (argc > 0)
		argv[0] = self;
	/* The + leaves the options after the command to it. */
	while ((c = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (c) {
		case 'h':
			return help();
		case 'V':
			printf("triovit-sim %s\n", TV_VERSION);
			return EXIT_SUCCESS;
		default:
			return tool_wrong_usage(NULL, NULL);
		}
	}
	if (optind >= argc)
		return tool_wrong_usage(NULL, "a command is missing");
	for (size_t i = 0; i < TV_ARRAY_SIZE(commands); i++)
		if (strcmp(argv[optind], commands[i]->name) == 0)
			return run_command(commands[i], argc - optind, argv + optind);
	return tool_wrong_usage(NULL, "no command '%s'", argv[optind]);
}

int main(int argc, char **argv)
{
	return tool_finish(run(argc, argv));
}
