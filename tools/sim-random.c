/* SPDX-License-Identifier: MIT */
/* triovit-sim random: a checkpoint for those who have none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quantizer/checkpoint.h"
#include "tools/sim.h"

struct random_options {
	const char *architecture, *output;
	enum tv_naming naming;
	unsigned int size, classes, head_dim;
	/* One for the stem and each stage; all 0: the architecture's. */
	unsigned int widths[1 + TV_NETWORK_STAGES], depths[1 + TV_NETWORK_STAGES];
	uint64_t seed;
};

static int take_naming(const struct tool_command *self, const struct tool_option *option,
		       const char *text, void *ret)
{
	enum tv_naming *naming = ret;

	if (strcmp(text, "mit") == 0)
		*naming = TV_NAMING_MIT;
	else if (strcmp(text, "timm") == 0)
		*naming = TV_NAMING_TIMM;
	else
		return tool_wrong_usage(self, "--%s: '%s' is neither mit nor timm", option->name,
					text);
	return 0;
}

/* "8,16,32,64,128": a figure for the stem and each stage. */
static int take_figures(const struct tool_command *self, const struct tool_option *option,
			const char *text, void *ret)
{
	_cleanup_free_ char *copy = strdup(text);
	unsigned int *figures = ret;
	char *rest = copy;
	int count = 0, code = 0;

	if (!copy)
		return tool_fail(&(struct tv_error){ .text = "out of memory" });
	while (code == 0 && rest && count <= TV_NETWORK_STAGES)
		code = tool_take_unsigned(self, option, strsep(&rest, ","), &figures[count++]);
	if (code == 0 && (rest || count <= TV_NETWORK_STAGES))
		return tool_wrong_usage(self, "--%s: '%s' is not %d numbers with commas between",
					option->name, text, 1 + TV_NETWORK_STAGES);
	return code;
}

static int parse(const struct tool_command *self, int argc, char **argv, struct random_options *ret)
{
	static const struct tool_option options[] = {
		{ "output", 'o', tool_take_text, offsetof(struct random_options, output), 0, 0 },
		SIM_SIZE(struct random_options, size),
		{ "seed", 0, tool_take_number, offsetof(struct random_options, seed), 0,
		  UINT64_MAX },
		{ "naming", 0, take_naming, offsetof(struct random_options, naming), 0, 0 },
		{ "classes", 0, tool_take_unsigned, offsetof(struct random_options, classes), 1,
		  TV_NETWORK_CHANNELS_MAX },
		{ "widths", 0, take_figures, offsetof(struct random_options, widths), 1,
		  TV_NETWORK_CHANNELS_MAX },
		{ "depths", 0, take_figures, offsetof(struct random_options, depths), 1,
		  TV_NETWORK_DEPTH_MAX },
		{ "head-dim", 0, tool_take_unsigned, offsetof(struct random_options, head_dim), 1,
		  TV_NETWORK_CHANNELS_MAX },
		{ 0 },
	};
	int code = tool_parse(self, argc, argv, options, ret);

	if (code != TOOL_GO_ON)
		return code;
	if (argc - optind != 1)
		return tool_wrong_usage(self, "expected one ARCH: b0, b1, b2 or b3");
	if (!ret->output)
		return tool_wrong_usage(self, "expected -o FILE: where the checkpoint is to go");
	ret->architecture = argv[optind];
	return TOOL_GO_ON;
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	struct random_options options = { .naming = TV_NAMING_MIT, .size = 224 };
	struct tv_architecture architecture;
	struct tv_error error = { 0 };
	int code;

	code = parse(self, argc, argv, &options);
	if (code != TOOL_GO_ON)
		return code;
	if (tv_architecture_by_name(options.architecture, &architecture, &error) < 0)
		return tool_wrong_usage(self, "%s", error.text);
	if (options.classes)
		architecture.classes = options.classes;
	if (options.widths[0])
		memcpy(architecture.widths, options.widths, sizeof(options.widths));
	if (options.depths[0])
		memcpy(architecture.depths, options.depths, sizeof(options.depths));
	if (options.head_dim)
		architecture.head_dim = options.head_dim;
	if (tv_checkpoint_write_random(&architecture, options.naming, options.size, options.seed,
				       options.output, &error) < 0)
		return tool_fail(&error);
	return EXIT_SUCCESS;
}

const struct tool_command sim_random = {
	.name = "random",
	.arguments = "ARCH -o FILE [OPTION...]",
	.summary = "write a checkpoint with random weights",
	.help = "Writes a checkpoint of ARCH (b0, b1, b2 or b3) with random weights: for trying\n"
		"out everything whose outcome does not depend on training.\n"
		"\n"
		"Options:\n"
		"  -o, --output FILE    where the checkpoint goes; it is replaced if it exists\n"
		"      --size N         side of the input, a multiple of 32 (default 224)\n"
		"      --classes N      outputs (default 1000)\n"
		"      --seed N         another number, other weights (default 0)\n"
		"      --naming NAMES   mit or timm: whose names the tensors have (default mit)\n"
		"  -h, --help\n"
		"\n"
		"Instead of what ARCH has:\n"
		"      --widths A,...   channels of the stem and stages 1 to 4, five numbers\n"
		"      --depths A,...   blocks in each of them\n"
		"      --head-dim N     channels of an attention head\n",
	.run = run,
};
