/* SPDX-License-Identifier: MIT */
/* triovit-sim eval: the accuracy of a checkpoint or a model on a labelled folder. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/parallel.h"
#include "common/progress.h"
#include "model/answer.h"
#include "quantizer/float.h"
#include "tools/sim-subject.h"

#define TOP 5

struct eval_options {
	const char *path, *folder;
	struct sim_subject_options how;
	unsigned int threads;
	uint64_t limit;
	bool json, quiet, per_class;
};

struct evaluation {
	const struct sim_subject *subject;
	const char *folder;
	/* The images to look at: some or all of those that a tv_folder holds. */
	const struct tv_folder_image *images;
	size_t count;
	char *const *labels;
	struct sim_classifier **workers;
	unsigned int threads;
	/* Place of an image's own label among the best, TOP if it is not there. By image, so that
	 * what is reported does not depend on which thread did what. */
	uint8_t *places;
	double seconds;
	struct tv_progress progress;
};

static int parse(const struct tool_command *self, int argc, char **argv, struct eval_options *ret)
{
	static const struct tool_option options[] = {
		SIM_SUBJECT_OPTIONS(struct eval_options, how),
		SIM_LIMIT(struct eval_options, limit),
		SIM_THREADS(struct eval_options, threads),
		{ "per-class", 0, tool_take_flag, offsetof(struct eval_options, per_class), 0, 0 },
		SIM_JSON(struct eval_options, json),
		SIM_QUIET(struct eval_options, quiet),
		{ 0 },
	};
	int code = tool_parse(self, argc, argv, options, ret);

	if (code != TOOL_GO_ON)
		return code;
	if (argc - optind != 2)
		return tool_wrong_usage(self, "expected a CHECKPOINT or MODEL and a DIR of images");
	ret->path = argv[optind];
	ret->folder = argv[optind + 1];
	return TOOL_GO_ON;
}

static void evaluation_done(struct evaluation *evaluation)
{
	for (unsigned int i = 0; evaluation->workers && i < evaluation->threads; i++)
		sim_classifier_free(evaluation->workers[i]);
	free(evaluation->workers);
	free(evaluation->places);
}

/* Jobs of as many images as the subject takes at once. */
static size_t job_count(const struct evaluation *evaluation)
{
	unsigned int batch = evaluation->subject->batch;

	return (evaluation->count + batch - 1) / batch;
}

static int evaluation_prepare(struct evaluation *evaluation, struct tv_error *error)
{
	evaluation->places = calloc(evaluation->count, sizeof(*evaluation->places));
	evaluation->workers = calloc(evaluation->threads, sizeof(*evaluation->workers));
	if (!evaluation->places || !evaluation->workers)
		return tv_error_oom(error);
	for (unsigned int i = 0; i < evaluation->threads; i++) {
		int r = sim_classifier_new(evaluation->subject, i ? evaluation->workers[0] : NULL,
					   &evaluation->workers[i], error);

		if (r < 0)
			return r;
	}
	return 0;
}

static uint8_t place_of(const float *logits, unsigned int classes, int label)
{
	unsigned int best[TOP], count = classes < TOP ? classes : TOP, place = 0;

	tv_top_k(logits, classes, count, best);
	while (place < count && best[place] != (unsigned int)label)
		place++;
	return place < count ? (uint8_t)place : TOP;
}

static int evaluate_job(size_t index, unsigned int worker, void *userdata, struct tv_error *error)
{
	struct evaluation *evaluation = userdata;
	unsigned int classes = evaluation->subject->classes, batch = evaluation->subject->batch;
	size_t first = index * batch, left = evaluation->count - first;
	unsigned int count = left < batch ? (unsigned int)left : batch;
	const float *logits;
	int r;

	r = sim_classify(evaluation->workers[worker], evaluation->images + first, count, &logits,
			 error);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < count; i++)
		evaluation->places[first + i] = place_of(logits + (size_t)i * classes, classes,
							 evaluation->images[first + i].label);
	return 0;
}

static void tick(size_t done, size_t total, void *userdata)
{
	struct evaluation *evaluation = userdata;
	size_t images = done * evaluation->subject->batch;

	/* The last job may have fewer. */
	tv_progress_update(&evaluation->progress, done < total ? images : evaluation->count,
			   evaluation->count);
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
	r = tv_parallel_for(job_count(evaluation), evaluation->threads, evaluate_job, tick,
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
	_cleanup_(tool_table_done) struct tool_table table = {
		.columns = TV_ARRAY_SIZE(heads),
		.left = 2,
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(heads); i++)
		tool_table_add(&table, "%s", heads[i]);
	for (size_t i = 0; i < evaluation->subject->classes; i++) {
		if (!scores[i].images)
			continue;
		tool_table_add(&table, "%zu", i);
		tool_table_add(&table, "%s", evaluation->labels[i]);
		tool_table_add(&table, "%zu", scores[i].images);
		tool_table_add(&table, "%.2f", percent(scores[i].top1, scores[i].images));
		tool_table_add(&table, "%.2f", percent(scores[i].top5, scores[i].images));
	}
	putchar('\n');
	return tool_table_print(&table, 0, error);
}

static int print_text(const struct evaluation *evaluation, const struct score *total,
		      const struct score *scores, bool per_class, struct tv_error *error)
{
	if (evaluation->subject->network)
		sim_print_architecture(evaluation->subject->network);
	else
		sim_print_model(&evaluation->subject->model);
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

	for (size_t i = 0; i < evaluation->subject->classes; i++) {
		json_t *class;

		if (!scores[i].images)
			continue;
		class = json_pack("{s:I, s:o, s:I, s:f, s:f}", "class", (json_int_t)i, "label",
				  tool_json_string(evaluation->labels[i]), "images",
				  (json_int_t)scores[i].images, "top1",
				  percent(scores[i].top1, scores[i].images), "top5",
				  percent(scores[i].top5, scores[i].images));
		if (json_array_append_new(classes, class) < 0)
			return NULL;
	}
	return TV_TAKE_PTR(classes);
}

/* What was evaluated: keys that differ between a checkpoint and a model. */
static json_t *subject_json(const struct sim_subject *subject)
{
	const struct sim_model *model = &subject->model;

	if (subject->network)
		return json_pack("{s:o, s:o}", "checkpoint", tool_json_string(subject->path),
				 "architecture",
				 sim_json_architecture(&subject->network->architecture));
	return json_pack("{s:o, s:s, s:i}", "model", tool_json_string(subject->path), "target",
			 model->program->target, "batch", (int)model->program->header.images);
}

static int print_json(const struct evaluation *evaluation, const struct score *total,
		      const struct score *scores, bool per_class, struct tv_error *error)
{
	const struct sim_subject *subject = evaluation->subject;
	json_auto_t *root = subject_json(subject);
	json_auto_t *figures = json_pack("{s:o, s:i, s:i, s:I, s:f, s:f, s:f, s:i}", "folder",
					 tool_json_string(evaluation->folder), "size",
					 (int)subject->size, "resize", (int)subject->resize,
					 "images", (json_int_t)total->images, "top1",
					 percent(total->top1, total->images), "top5",
					 percent(total->top5, total->images), "seconds",
					 evaluation->seconds, "threads", (int)evaluation->threads);

	if (!root || !figures || json_object_update(root, figures) < 0)
		return tv_error_oom(error);
	if (per_class && json_object_set_new(root, "classes", classes_json(evaluation, scores)) < 0)
		return tv_error_oom(error);
	return tool_json_print(root, error);
}

static int print(const struct evaluation *evaluation, const struct eval_options *options,
		 struct tv_error *error)
{
	_cleanup_free_ struct score *scores = NULL;
	struct score total;

	scores = calloc(evaluation->subject->classes, sizeof(*scores));
	if (!scores)
		return tv_error_oom(error);
	total = score_all(evaluation, scores);
	return (options->json ? print_json : print_text)(evaluation, &total, scores,
							 options->per_class, error);
}

static int eval(const struct eval_options *options, struct tv_error *error)
{
	_cleanup_(sim_subject_done) struct sim_subject subject = { 0 };
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	_cleanup_(evaluation_done) struct evaluation evaluation = { 0 };
	size_t jobs;
	int r;

	r = sim_subject_open(options->path, &options->how, &subject, error);
	if (r < 0)
		return r;
	r = sim_read_folder(options->folder, &subject, options->limit, &folder, &evaluation.count,
			    error);
	if (r < 0)
		return r;
	evaluation.subject = &subject;
	evaluation.folder = options->folder;
	evaluation.labels = folder.labels;
	evaluation.images = folder.images;
	jobs = job_count(&evaluation);
	evaluation.threads = options->threads ? options->threads : tv_parallel_threads();
	if (evaluation.threads > jobs)
		evaluation.threads = (unsigned int)jobs;
	r = evaluation_prepare(&evaluation, error);
	if (r < 0)
		return r;
	r = evaluate(&evaluation, options->quiet, error);
	if (r < 0)
		return r;
	return print(&evaluation, options, error);
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	struct eval_options options = { 0 };
	struct tv_error error = { 0 };
	int code;

	code = parse(self, argc, argv, &options);
	if (code != TOOL_GO_ON)
		return code;
	return eval(&options, &error) < 0 ? tool_fail(&error) : EXIT_SUCCESS;
}

const struct tool_command sim_eval = {
	.name = "eval",
	.arguments = "CHECKPOINT|MODEL DIR [OPTION...]",
	.summary = "measure the accuracy on a folder of labelled images",
	.help = "Measures the accuracy of a float CHECKPOINT or an integer MODEL on the PNG and\n"
		"JPEG images below DIR, one subfolder per label. The names of the classes are\n"
		"those of --labels, else those in the file, else the subfolders' in\n"
		"alphabetical order.\n"
		"\n"
		"Options:\n" SIM_LABELS_HELP
		"      --limit N        only N images, evenly over the classes\n"
		"      --threads N      jobs at a time (default: one per processor)\n"
		"      --per-class      the accuracy of each class as well\n"
		"      --json           for programs; accuracies are percentages, 0 to 100\n"
		"  -q, --quiet          no progress on standard error\n"
		"  -h, --help\n" SIM_SUBJECT_HELP,
	.run = run,
};
