/* SPDX-License-Identifier: MIT */
/* triovit-sim eval: the accuracy of a checkpoint on a labelled folder. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/parallel.h"
#include "common/progress.h"
#include "image/decode.h"
#include "image/folder.h"
#include "quantizer/checkpoint.h"
#include "quantizer/float.h"
#include "tools/sim.h"

#define TOP 5
#define THREADS_MAX 1024

struct eval_options {
	const char *checkpoint, *folder;
	struct tv_checkpoint_options how;
	unsigned int threads;
	uint64_t limit;
	bool json, quiet, per_class;
};

/* What one worker needs for one image after the other. */
struct worker {
	struct tv_float_runner *runner;
	uint8_t *rgb; /* the preprocessed image */
	float *logits;
};

struct evaluation {
	const char *checkpoint, *folder;
	const struct tv_network *network;
	/* The images to look at: some or all of those that a tv_folder holds. */
	struct tv_folder_image *images;
	size_t count;
	char *const *labels;
	struct worker *workers;
	unsigned int threads;
	/* Place of an image's own label among the best, TOP if it is not there. By image, so that
	 * what is reported does not depend on which thread did what. */
	uint8_t *places;
	double seconds;
	struct tv_progress progress;
};

static int parse(const struct sim_command *self, int argc, char **argv, struct eval_options *ret)
{
	enum { SIZE = 256, CROP_RATIO, LABELS, THREADS, LIMIT, PER_CLASS, JSON };
	static const struct option options[] = {
		{ "size", required_argument, NULL, SIZE },
		{ "crop-ratio", required_argument, NULL, CROP_RATIO },
		{ "labels", required_argument, NULL, LABELS },
		{ "threads", required_argument, NULL, THREADS },
		{ "limit", required_argument, NULL, LIMIT },
		{ "per-class", no_argument, NULL, PER_CLASS },
		{ "json", no_argument, NULL, JSON },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c, code = 0;

	while (code == 0 && (c = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
		switch (c) {
		case SIZE:
			code = sim_parse_size(self, optarg, &ret->how.size);
			break;
		case CROP_RATIO:
			code = sim_parse_ratio(self, "--crop-ratio", optarg, &ret->how.crop_ratio);
			break;
		case LABELS:
			ret->how.labels = optarg;
			break;
		case THREADS:
			code = sim_parse_unsigned(self, "--threads", optarg, 1, THREADS_MAX,
						  &ret->threads);
			break;
		case LIMIT:
			code = sim_parse_number(self, "--limit", optarg, 1, TV_FOLDER_IMAGES_MAX,
						&ret->limit);
			break;
		case PER_CLASS:
			ret->per_class = true;
			break;
		case JSON:
			ret->json = true;
			break;
		case 'q':
			ret->quiet = true;
			break;
		case 'h':
			return sim_help(self);
		default:
			code = sim_wrong_usage(self, NULL);
		}
	}
	if (code)
		return code;
	if (argc - optind != 2)
		return sim_wrong_usage(self, "expected a CHECKPOINT and a DIR of images");
	ret->checkpoint = argv[optind];
	ret->folder = argv[optind + 1];
	return SIM_GO_ON;
}

static int read_folder(const struct eval_options *options, const struct tv_network *network,
		       struct tv_folder *ret, struct tv_error *error)
{
	unsigned int classes = network->architecture.classes;
	struct tv_folder folder;
	int r;

	r = tv_folder_read_labelled(options->folder, network->labels,
				    network->labels ? classes : 0, &folder, error);
	if (r < 0)
		return r;
	/* Without names the subfolders are the classes, and a missing one would shift all that
	 * come after it. */
	if (folder.label_count != classes) {
		r = tv_error_set(error, -EINVAL,
				 "%s: %zu subfolders, but %s tells %u classes apart and does not "
				 "name them: give --labels FILE, a file with the name of class i "
				 "(its subfolder) on line i", options->folder, folder.label_count,
				 options->checkpoint, classes);
		tv_folder_done(&folder);
		return r;
	}
	*ret = folder;
	return 0;
}

/* An image's place within its class. */
struct ranked {
	struct tv_folder_image image;
	size_t rank;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return (x->image.label > y->image.label) - (x->image.label < y->image.label);
}

/* Brings the first image of every class to the front, then the second of every class, ... so that
 * the first N are spread evenly over the classes. */
static int interleave(struct tv_folder *folder, struct tv_error *error)
{
	_cleanup_free_ struct ranked *ranked = calloc(folder->count, sizeof(*ranked));
	_cleanup_free_ size_t *seen = calloc(folder->label_count, sizeof(*seen));

	if (!ranked || !seen)
		return tv_error_oom(error);
	for (size_t i = 0; i < folder->count; i++) {
		ranked[i].image = folder->images[i];
		ranked[i].rank = seen[folder->images[i].label]++;
	}
	qsort(ranked, folder->count, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < folder->count; i++)
		folder->images[i] = ranked[i].image;
	return 0;
}

static void evaluation_done(struct evaluation *evaluation)
{
	for (unsigned int i = 0; evaluation->workers && i < evaluation->threads; i++) {
		tv_float_runner_free(evaluation->workers[i].runner);
		free(evaluation->workers[i].rgb);
		free(evaluation->workers[i].logits);
	}
	free(evaluation->workers);
	free(evaluation->places);
}

/* The folder's images must outlive the evaluation. */
static int evaluation_prepare(struct evaluation *evaluation, struct tv_error *error)
{
	const struct tv_network *network = evaluation->network;
	size_t pixels = (size_t)network->size * network->size;

	evaluation->places = calloc(evaluation->count, sizeof(*evaluation->places));
	evaluation->workers = calloc(evaluation->threads, sizeof(*evaluation->workers));
	if (!evaluation->places || !evaluation->workers)
		return tv_error_oom(error);
	for (unsigned int i = 0; i < evaluation->threads; i++) {
		struct worker *worker = &evaluation->workers[i];
		int r;

		r = tv_float_runner_new(network, &worker->runner, error);
		if (r < 0)
			return r;
		worker->rgb = malloc(3 * pixels);
		worker->logits = calloc(network->architecture.classes, sizeof(*worker->logits));
		if (!worker->rgb || !worker->logits)
			return tv_error_oom(error);
	}
	return 0;
}

/* Decodes path and brings it to the network's input. */
static int read_image(const struct tv_network *network, const char *path, uint8_t *ret,
		      struct tv_error *error)
{
	const struct tv_preprocess how = { .size = network->size, .resize = network->resize };
	_cleanup_(tv_image_done) struct tv_image image = { 0 };
	struct tv_rgb_view view;
	int r;

	r = tv_image_decode_file(path, &image, error);
	if (r < 0)
		return r;
	view = (struct tv_rgb_view){
		.data = image.rgb,
		.width = image.width,
		.height = image.height,
		.stride = 3 * (size_t)image.width,
	};
	r = tv_preprocess_rgb(&how, &view, ret, error);
	return r < 0 ? tv_error_prefix(error, r, "%s", path) : 0;
}

static int evaluate_image(size_t index, unsigned int worker_index, void *userdata,
			  struct tv_error *error)
{
	struct evaluation *evaluation = userdata;
	const struct tv_folder_image *image = &evaluation->images[index];
	struct worker *worker = &evaluation->workers[worker_index];
	unsigned int classes = evaluation->network->architecture.classes;
	unsigned int best[TOP], count = classes < TOP ? classes : TOP, place = 0;
	int r;

	r = read_image(evaluation->network, image->path, worker->rgb, error);
	if (r < 0)
		return r;
	r = tv_float_run(worker->runner, worker->rgb, NULL, NULL, worker->logits);
	if (r < 0)
		return tv_error_prefix(error, r, "%s", image->path);
	tv_top_k(worker->logits, classes, count, best);
	while (place < count && best[place] != (unsigned int)image->label)
		place++;
	evaluation->places[index] = place < count ? place : TOP;
	return 0;
}

static void tick(size_t done, size_t total, void *userdata)
{
	struct evaluation *evaluation = userdata;

	tv_progress_update(&evaluation->progress, done, total);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int evaluate(struct evaluation *evaluation, bool quiet, struct tv_error *error)
{
	double started = now();
	int r;

	tv_progress_start(&evaluation->progress, "evaluating", "images", quiet);
	r = tv_parallel_for(evaluation->count, evaluation->threads, evaluate_image, tick,
			    evaluation, error);
	if (r < 0)
		return r;
	tv_progress_end(&evaluation->progress, evaluation->count, evaluation->count);
	evaluation->seconds = now() - started;
	return 0;
}

struct score {
	size_t images, top1, top5;
};

static void score_add(struct score *score, unsigned int place)
{
	score->images++;
	score->top1 += place == 0;
	score->top5 += place < TOP;
}

static double percent(size_t part, size_t whole)
{
	return whole ? 100.0 * part / whole : 0;
}

/* scores: one a class, zeros. */
static struct score score_all(const struct evaluation *evaluation, struct score *scores)
{
	struct score total = { 0 };

	for (size_t i = 0; i < evaluation->count; i++) {
		score_add(&total, evaluation->places[i]);
		score_add(&scores[evaluation->images[i].label], evaluation->places[i]);
	}
	return total;
}

static int print_classes(const struct evaluation *evaluation, const struct score *scores,
			 struct tv_error *error)
{
	static const char *const heads[] = { "class", "label", "images", "top-1 %", "top-5 %" };
	_cleanup_(sim_table_done) struct sim_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 2,
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		sim_table_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < evaluation->network->architecture.classes; i++) {
		if (!scores[i].images)
			continue;
		sim_table_add(&table, "%zu", i);
		sim_table_add(&table, "%s", evaluation->labels[i]);
		sim_table_add(&table, "%zu", scores[i].images);
		sim_table_add(&table, "%.2f", percent(scores[i].top1, scores[i].images));
		sim_table_add(&table, "%.2f", percent(scores[i].top5, scores[i].images));
	}
	putchar('\n');
	return sim_table_print(&table, 0, error);
}

static int print_text(const struct evaluation *evaluation, const struct score *total,
		      const struct score *scores, bool per_class, struct tv_error *error)
{
	sim_print_architecture(evaluation->network);
	printf("images  %zu\n", total->images);
	printf("top-1   %.2f %%  (%zu)\n", percent(total->top1, total->images), total->top1);
	printf("top-5   %.2f %%  (%zu)\n", percent(total->top5, total->images), total->top5);
	printf("time    %.1f s, %.1f images/s on %u threads\n", evaluation->seconds,
	       evaluation->count / evaluation->seconds, evaluation->threads);
	return per_class ? print_classes(evaluation, scores, error) : 0;
}

static json_t *classes_json(const struct evaluation *evaluation, const struct score *scores)
{
	json_auto_t *classes = json_array();

	for (size_t i = 0; i < evaluation->network->architecture.classes; i++) {
		json_t *class;

		if (!scores[i].images)
			continue;
		class = json_pack("{s:I, s:o, s:I, s:f, s:f}",
				  "class", (json_int_t)i,
				  "label", sim_json_string(evaluation->labels[i]),
				  "images", (json_int_t)scores[i].images,
				  "top1", percent(scores[i].top1, scores[i].images),
				  "top5", percent(scores[i].top5, scores[i].images));
		if (json_array_append_new(classes, class) < 0)
			return NULL;
	}
	return TV_TAKE_PTR(classes);
}

static int print_json(const struct evaluation *evaluation, const struct score *total,
		      const struct score *scores, bool per_class, struct tv_error *error)
{
	const struct tv_network *network = evaluation->network;
	json_auto_t *root = json_pack(
		"{s:o, s:o, s:o, s:i, s:i, s:I, s:f, s:f, s:f, s:i}",
		"checkpoint", sim_json_string(evaluation->checkpoint),
		"folder", sim_json_string(evaluation->folder),
		"architecture", sim_json_architecture(&network->architecture),
		"size", (int)network->size,
		"resize", (int)network->resize,
		"images", (json_int_t)total->images,
		"top1", percent(total->top1, total->images),
		"top5", percent(total->top5, total->images),
		"seconds", evaluation->seconds,
		"threads", (int)evaluation->threads);

	if (root && per_class &&
	    json_object_set_new(root, "classes", classes_json(evaluation, scores)) < 0)
		return tv_error_oom(error);
	return sim_json_print(root, error);
}

static int print(const struct evaluation *evaluation, const struct eval_options *options,
		 struct tv_error *error)
{
	_cleanup_free_ struct score *scores = NULL;
	struct score total;

	scores = calloc(evaluation->network->architecture.classes, sizeof(*scores));
	if (!scores)
		return tv_error_oom(error);
	total = score_all(evaluation, scores);
	return (options->json ? print_json : print_text)(evaluation, &total, scores,
							 options->per_class, error);
}

static int eval(const struct eval_options *options, struct tv_error *error)
{
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	_cleanup_(evaluation_done) struct evaluation evaluation = { 0 };
	int r;

	r = tv_checkpoint_read(options->checkpoint, &options->how, &network, error);
	if (r < 0)
		return r;
	r = read_folder(options, network, &folder, error);
	if (r < 0)
		return r;
	if (options->limit && options->limit < folder.count) {
		r = interleave(&folder, error);
		if (r < 0)
			return r;
	}
	evaluation.checkpoint = options->checkpoint;
	evaluation.folder = options->folder;
	evaluation.network = network;
	evaluation.labels = folder.labels;
	evaluation.images = folder.images;
	evaluation.count = folder.count;
	if (options->limit && options->limit < evaluation.count)
		evaluation.count = options->limit;
	evaluation.threads = options->threads ? options->threads : tv_parallel_threads();
	if (evaluation.threads > evaluation.count)
		evaluation.threads = evaluation.count;
	r = evaluation_prepare(&evaluation, error);
	if (r < 0)
		return r;
	r = evaluate(&evaluation, options->quiet, error);
	if (r < 0)
		return r;
	return print(&evaluation, options, error);
}

static int run(const struct sim_command *self, int argc, char **argv)
{
	struct eval_options options = { 0 };
	struct tv_error error = { 0 };
	int code;

	code = parse(self, argc, argv, &options);
	if (code != SIM_GO_ON)
		return code;
	return eval(&options, &error) < 0 ? sim_fail(&error) : EXIT_SUCCESS;
}

const struct sim_command sim_eval = {
	.name = "eval",
	.arguments = "CHECKPOINT DIR [OPTION...]",
	.summary = "measure a checkpoint's accuracy on a folder of labelled images",
	.help = "Measures the float32 accuracy of CHECKPOINT on the PNG and JPEG images below\n"
		"DIR, one subfolder per label. The names of the classes are those of --labels,\n"
		"else those in the checkpoint, else the subfolders' in alphabetical order.\n"
		"\n"
		"Options:\n"
		"      --labels FILE    names of the classes, that of class i on line i\n"
		"      --size N         side of the input, a multiple of 32 (else the\n"
		"                       checkpoint's, else 224)\n"
		"      --crop-ratio R   the input's share of the resized image's shorter side,\n"
		"                       above 0 and up to 1 (else the checkpoint's)\n"
		"      --limit N        only N images, evenly over the classes\n"
		"      --threads N      images at a time (default: one per processor)\n"
		"      --per-class      the accuracy of each class as well\n"
		"      --json           for programs; accuracies are percentages, 0 to 100\n"
		"  -q, --quiet          no progress on standard error\n"
		"  -h, --help\n",
	.run = run,
};
