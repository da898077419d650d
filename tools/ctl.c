/* SPDX-License-Identifier: MIT */
/* triovitctl: the table of commands and what happens before and after each. */
#include "tools/ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char tool_name[] = "triovitctl";

static const struct ctl_command *const commands[] = {
	&ctl_status, &ctl_devices, &ctl_models,	 &ctl_load,   &ctl_classify,
	&ctl_bench,  &ctl_top,	   &ctl_monitor, &ctl_doctor,
};

const struct ctl_command *ctl_command_by_name(const char *name)
{
	for (size_t i = 0; i < TV_ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->tool.name, name))
			return commands[i];
	return NULL;
}

static int help(void)
{
	printf("usage: triovitctl COMMAND [OPTION...] [ARGUMENT...]\n"
	       "\n"
	       "Looks after triovitd, which shares the accelerators of a system, and classifies\n"
	       "images with it.\n"
	       "\n"
	       "Commands:\n");
	for (size_t i = 0; i < TV_ARRAY_SIZE(commands); i++)
		printf("  %-10s %s\n", commands[i]->tool.name, commands[i]->tool.summary);
	printf("\n"
	       "Options:\n");
	ctl_print_options(0);
	printf("\n"
	       "Exit codes: 0 success; 1 the work failed and standard error says why, or doctor\n"
	       "found something that is wrong; 2 wrong usage; 3 the daemon cannot be reached, or\n"
	       "was lost.\n");
	return EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
	struct tv_error error = { 0 };
	struct ctl ctl;
	int r;

	r = ctl_parse(argc, argv, &ctl);
	if (r != TOOL_GO_ON)
		return r;
	if (ctl.version) {
		printf("%s %s\n", tool_name, TV_VERSION);
		return EXIT_SUCCESS;
	}
	if (!ctl.command)
		return help();
	r = ctl.command->run(&ctl, &error);
	if (r >= 0)
		return r;
	tool_fail(&error);
	return r == -EHOSTUNREACH || r == -ECONNRESET || r == -ENOTCONN ? CTL_NO_DAEMON :
									  EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static char self[] = "triovitctl";
	int code;

	/* For getopt's messages. */
	if (argc > 0)
		argv[0] = self;
	code = tool_finish(run(argc, argv));
	if (ctl_signal())
		raise(ctl_signal()); /* a second one kills: this is it */
	return code;
}
