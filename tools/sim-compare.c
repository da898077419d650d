/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/parallel.h"
#include "model/answer.h"
#include "tools/sim-compare.h"

#define LAYER_IMAGES 32

/* What one thread needs for one image after the other. */
struct worker {
	struct tv_float_runner *floats;
	struct tv_integer_runner *integers;
	struct sim_layers *layers;
	uint8_t *rgb;
	float *logits;
	int16_t *codes;
};

struct work {
	struct sim_comparison comparison;
	struct worker *workers;
};

static int parse(const struct tool_command *self, int argc, char **argv,
		 struct sim_compare_options *ret)
{
	enum {
		LIMIT = 256,
		LAYER_IMAGES_OPTION,
		LAYERS,
		THREADS,
		JSON
	};
	static const struct option options[] = {
		{ "labels", required_argument, NULL, SIM_LABELS },
		{ "target", required_argument, NULL, SIM_TARGET },
		{ "images", required_argument, NULL, SIM_IMAGES },
		{ "limit", required_argument, NULL, LIMIT },
		{ "layer-images", required_argument, NULL, LAYER_IMAGES_OPTION },
		{ "layers", no_argument, NULL, LAYERS },
		{ "threads", required_argument, NULL, THREADS },
		{ "json", no_argument, NULL, JSON },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c, code = 0;

	while (code == 0 && (c = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
		switch (c) {
		case SIM_LABELS:
			ret->labels = optarg;
			break;
		case SIM_TARGET:
			ret->target = optarg;
			break;
		case SIM_IMAGES:
			code = tool_parse_unsigned(self, "--images", optarg, 1, TV_BATCH_MAX,
						   &ret->images);
			break;
		case LIMIT:
			code = tool_parse_number(self, "--limit", optarg, 1, TV_FOLDER_IMAGES_MAX,
						 &ret->limit);
			break;
		case LAYER_IMAGES_OPTION:
			code = tool_parse_unsigned(self, "--layer-images", optarg, 0, 1u << 16,
						   &ret->layer_images);
			break;
		case LAYERS:
			ret->all_layers = true;
			break;
		case THREADS:
			code = tool_parse_unsigned(self, "--threads", optarg, 1, SIM_THREADS_MAX,
						   &ret->threads);
			break;
		case JSON:
			ret->json = true;
			break;
		case 'q':
			ret->quiet = true;
			break;
		case 'h':
			return tool_help(self);
		default:
			code = tool_wrong_usage(self, NULL);
		}
	}
	if (code)
		return code;
	if (argc - optind != 3)
		return tool_wrong_usage(self, "expected a CHECKPOINT, a MODEL and a DIR of images");
	ret->checkpoint = argv[optind];
	ret->model = argv[optind + 1];
	ret->folder = argv[optind + 2];
	return TOOL_GO_ON;
}

static void work_done(struct work *work)
{
	for (unsigned int i = 0; work->workers && i < work->comparison.threads; i++) {
		struct worker *worker = &work->workers[i];

		tv_float_runner_free(worker->floats);
		tv_integer_runner_free(worker->integers);
		sim_layers_free(worker->layers);
		free(worker->rgb);
		free(worker->logits);
		free(worker->codes);
	}
	free(work->workers);
	free(work->comparison.pairs);
	free(work->comparison.layers);
}

static int make_worker(const struct sim_comparison *comparison, struct worker *worker,
		       struct tv_error *error)
{
	const struct sim_model *model = comparison->model;
	const struct tv_package *package = model->package;
	int r;

	worker->rgb = calloc(package->size, (size_t)package->size * 3);
	worker->logits = calloc(package->classes, sizeof(*worker->logits));
	worker->codes = calloc(package->classes, sizeof(*worker->codes));
	if (!worker->rgb || !worker->logits || !worker->codes)
		return tv_error_oom(error);
	r = tv_float_runner_new(comparison->network, &worker->floats, error);
	if (r >= 0)
		r = tv_integer_runner_new(package, model->program, &model->target.target,
					  &worker->integers, error);
	if (r >= 0 && comparison->layer_images)
		r = sim_layers_new(comparison, &worker->layers, error);
	return r;
}

static int prepare(struct work *work, struct tv_error *error)
{
	struct sim_comparison *comparison = &work->comparison;
	size_t layers = comparison->layer_images * comparison->network->count;

	comparison->pairs = calloc(comparison->count, sizeof(*comparison->pairs));
	comparison->layers = calloc(layers + 1, sizeof(*comparison->layers));
	work->workers = calloc(comparison->threads, sizeof(*work->workers));
	if (!comparison->pairs || !comparison->layers || !work->workers)
		return tv_error_oom(error);
	for (unsigned int i = 0; i < comparison->threads; i++) {
		int r = make_worker(comparison, &work->workers[i], error);

		if (r < 0)
			return r;
	}
	return 0;
}

static void pair_up(const struct sim_comparison *comparison, const struct worker *worker,
		    unsigned int label, struct sim_pair *ret)
{
	const struct tv_package *package = comparison->model->package;
	unsigned int best, integer_best = tv_argmax(worker->codes, package->classes);

	tv_top_k(worker->logits, package->classes, 1, &best);
	ret->float_right = best == label;
	ret->other_right = integer_best == label;
	ret->agree = best == integer_best;
	for (unsigned int i = 0; i < package->classes; i++) {
		double wanted = (double)worker->logits[i];
		double error = wanted - (double)package->logit_scale * worker->codes[i];

		ret->logits.signal += wanted * wanted;
		ret->logits.noise += error * error;
	}
}

static int compare_image(size_t index, unsigned int worker_index, void *userdata,
			 struct tv_error *error)
{
	struct work *work = userdata;
	struct sim_comparison *comparison = &work->comparison;
	const struct tv_package *package = comparison->model->package;
	const struct tv_folder_image *image = &comparison->images[index];
	struct worker *worker = &work->workers[worker_index];
	bool layers = index < comparison->layer_images;
	int r;

	r = sim_read_image(package->size, package->resize, image->path, worker->rgb, error);
	if (r < 0)
		return r;
	r = tv_integer_run(worker->integers, worker->rgb, 1, layers ? sim_layers_watch : NULL,
			   worker->layers, worker->codes, NULL, error);
	if (r >= 0 && layers)
		r = sim_layers_measure(worker->layers, worker->floats, worker->rgb, worker->logits,
				       comparison->layers + index * comparison->network->count,
				       error);
	else if (r >= 0)
		r = tv_float_run(worker->floats, worker->rgb, NULL, NULL, worker->logits);
	if (r < 0)
		return tv_error_prefix(error, r, "%s", image->path);
	pair_up(comparison, worker, (unsigned int)image->label, &comparison->pairs[index]);
	return 0;
}

static void tick(size_t done, size_t total, void *userdata)
{
	struct work *work = userdata;

	tv_progress_update(&work->comparison.progress, done, total);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int work_through(struct work *work, struct tv_error *error)
{
	struct sim_comparison *comparison = &work->comparison;
	double started = now();
	int r;

	r = prepare(work, error);
	if (r < 0)
		return r;
	tv_progress_start(&comparison->progress, "comparing", "images", comparison->options->quiet);
	r = tv_parallel_for(comparison->count, comparison->threads, compare_image, tick, work,
			    error);
	if (r < 0)
		return r;
	tv_progress_end(&comparison->progress, comparison->count, comparison->count);
	comparison->seconds = now() - started;
	return 0;
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
	_cleanup_(work_done) struct work work = { .workers = NULL };
	struct sim_comparison *comparison = &work.comparison;
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
				    &comparison->count, error);
	if (r < 0)
		return r;
	comparison->options = options;
	comparison->network = network;
	comparison->model = &subject.model;
	comparison->images = folder.images;
	comparison->layer_images = options->layer_images < comparison->count ?
					   options->layer_images :
					   comparison->count;
	comparison->threads = options->threads ? options->threads : tv_parallel_threads();
	if (comparison->threads > comparison->count)
		comparison->threads = (unsigned int)comparison->count;
	r = work_through(&work, error);
	return r < 0 ? r : sim_comparison_print(comparison, error);
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	struct sim_compare_options options = { .layer_images = LAYER_IMAGES };
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
		"      --layer-images N  layers over the first N images (default 32, 0: none)\n"
		"      --layers         all layers in their order, not the ten worst\n"
		"      --target NAME    which of the model's programs: what it is for\n"
		"      --images N       which of the model's programs: images of a job\n"
		"      --threads N      images at a time (default: one per processor)\n"
		"      --json           for programs; shares are percentages, 0 to 100\n"
		"  -q, --quiet          no progress on standard error\n"
		"  -h, --help\n",
	.run = run,
};
