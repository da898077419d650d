/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "tools/sim-compare.h"

struct sim_compare_options {
	const char *checkpoint, *model, *folder, *labels, *target;
	unsigned int images, threads, layer_images;
	uint64_t limit;
	bool json, quiet, all_layers;
};

static int parse(const struct tool_command *self, int argc, char **argv,
		 struct sim_compare_options *ret)
{
	static const struct tool_option options[] = {
		SIM_LABELS(struct sim_compare_options, labels),
		SIM_TARGET(struct sim_compare_options, target),
		SIM_IMAGES(struct sim_compare_options, images),
		SIM_LIMIT(struct sim_compare_options, limit),
		{ "layer-images", 0, tool_take_unsigned,
		  offsetof(struct sim_compare_options, layer_images), 0, 1u << 16 },
		{ "layers", 0, tool_take_flag, offsetof(struct sim_compare_options, all_layers), 0,
		  0 },
		SIM_THREADS(struct sim_compare_options, threads),
		SIM_JSON(struct sim_compare_options, json),
		SIM_QUIET(struct sim_compare_options, quiet),
		{ 0 },
	};
	int code = tool_parse(self, argc, argv, options, ret);

	if (code != TOOL_GO_ON)
		return code;
	if (argc - optind != 3)
		return tool_wrong_usage(self, "expected a CHECKPOINT, a MODEL and a DIR of images");
	ret->checkpoint = argv[optind];
	ret->model = argv[optind + 1];
	ret->folder = argv[optind + 2];
	return TOOL_GO_ON;
}

/* The float network at the model's input size: both see the same bytes. */
static int read_network(const struct sim_compare_options *options, const struct tv_package *package,
			struct tv_network **ret, struct tv_error *error)
{
	const struct tv_checkpoint_options how = { .size = package->size };
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	int r = tv_checkpoint_read(options->checkpoint, &how, &network, error);

	if (r < 0)
		return r;
	if (network->architecture.classes != package->classes)
		return tv_error_set(error, -EINVAL, "%s tells %u classes apart, %s %u",
				    options->checkpoint, network->architecture.classes,
				    options->model, package->classes);
	*ret = TV_TAKE_PTR(network);
	return 0;
}

static int compare(const struct sim_compare_options *options, struct tv_error *error)
{
	const struct sim_subject_options how = {
		.checkpoint.labels = options->labels,
		.target = options->target,
		.images = options->images,
	};
	_cleanup_(sim_subject_done) struct sim_subject subject = { 0 };
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	_cleanup_(sim_comparison_done) struct sim_comparison comparison = {
		.checkpoint = options->checkpoint,
		.path = options->model,
		.folder = options->folder,
		.model = &subject.model,
		.layer_images = options->layer_images,
		.threads = options->threads,
		.quiet = options->quiet,
	};
	json_auto_t *root = NULL;
	int r;

	r = sim_subject_open(options->model, &how, &subject, error);
	if (r < 0)
		return r;
	if (subject.network)
		return tv_error_set(error, -EINVAL,
				    "%s: a checkpoint, expected a model: what triovit-quantize "
				    "has made of %s",
				    options->model, options->checkpoint);
	r = read_network(options, subject.model.package, &network, error);
	if (r >= 0)
		r = sim_read_folder(options->folder, &subject, options->limit, &folder,
				    &comparison.count, error);
	if (r < 0)
		return r;
	comparison.network = network;
	comparison.images = folder.images;
	r = sim_comparison_run(&comparison, error);
	if (r < 0)
		return r;
	if (!options->json)
		return sim_comparison_print(&comparison, options->all_layers, error);
	root = sim_comparison_json(&comparison);
	return tool_json_print(root, error);
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	struct sim_compare_options options = { .layer_images = SIM_LAYER_IMAGES };
	struct tv_error error = { 0 };
	int code = parse(self, argc, argv, &options);

	if (code != TOOL_GO_ON)
		return code;
	return compare(&options, &error) < 0 ? tool_fail(&error) : EXIT_SUCCESS;
}

const struct tool_command sim_compare = {
	.name = "compare",
	.arguments = "CHECKPOINT MODEL DIR [OPTION...]",
	.summary = "say what quantization has cost, and in which layers",
	.help = "Runs every image below DIR, one subfolder per label, through the float\n"
		"CHECKPOINT and the integer MODEL that was made from it: how much accuracy was\n"
		"lost (with the 95 % interval of the paired difference), how often both agree,\n"
		"the signal-to-noise ratio of the logits and of every layer, accumulated as the\n"
		"model runs and isolated, the layer alone on the float network's values.\n"
		"\n"
		"Options:\n" SIM_LABELS_HELP
		"      --limit N        only N images, evenly over the classes\n"
		"      --layer-images N  layers over N of the images (default 32, 0: none)\n"
		"      --layers         all layers in their order, not the ten worst\n"
		"      --target NAME    which of the model's programs: what it is for\n"
		"      --images N       which of the model's programs: images of a job\n"
		"      --threads N      images at a time (default: one per processor)\n"
		"      --json           for programs; shares are percentages, 0 to 100\n"
		"  -q, --quiet          no progress on standard error\n"
		"  -h, --help\n",
	.run = run,
};
