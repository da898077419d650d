/* SPDX-License-Identifier: MIT */
/* triovit-sim run: what is in these images? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/answer.h"
#include "tools/sim-subject.h"

#define TOP 5

struct run_options {
	const char *path;
	struct sim_subject_options how;
	struct tv_folder_image *images;
	size_t count;
	bool json;
};

static int parse(const struct tool_command *self, int argc, char **argv, struct run_options *ret)
{
	static const struct tool_option options[] = {
		SIM_SUBJECT_OPTIONS(struct run_options, how),
		SIM_JSON(struct run_options, json),
		{ 0 },
	};
	int code = tool_parse(self, argc, argv, options, ret);

	if (code != TOOL_GO_ON)
		return code;
	if (argc - optind < 2)
		return tool_wrong_usage(self,
					"expected a MODEL or CHECKPOINT and an IMAGE or more");
	ret->path = argv[optind++];
	ret->count = (size_t)(argc - optind);
	ret->images = calloc(ret->count, sizeof(*ret->images));
	if (!ret->images)
		return tool_fail(&(struct tv_error){ .text = "out of memory" });
	for (size_t i = 0; i < ret->count; i++)
		ret->images[i].path = argv[optind + (int)i];
	return TOOL_GO_ON;
}

static int print_text(const struct sim_subject *subject, const char *path,
		      const struct tv_answer *answers, unsigned int count, struct tv_error *error)
{
	_cleanup_free_ char *name = strdup(path);

	if (!name)
		return tv_error_oom(error);
	printf("%s\n", tool_printable(name));
	for (unsigned int i = 0; i < count; i++) {
		unsigned int class = answers[i].class;
		_cleanup_free_ char *label = strdup(subject->labels ? subject->labels[class] : "");

		if (!label)
			return tv_error_oom(error);
		printf("  %6.2f %%  %5u  %s\n", 100 * answers[i].probability, class,
		       tool_printable(label));
	}
	return 0;
}

static json_t *image_json(const struct sim_subject *subject, const char *path,
			  const struct tv_answer *answers, unsigned int count)
{
	json_auto_t *best = json_array();

	for (unsigned int i = 0; i < count; i++) {
		const char *label = subject->labels ? subject->labels[answers[i].class] : NULL;
		json_t *one = json_pack("{s:i, s:o, s:f}", "class", (int)answers[i].class, "label",
					label ? tool_json_string(label) : json_null(),
					"probability", answers[i].probability);

		if (json_array_append_new(best, one) < 0)
			return NULL;
	}
	return json_pack("{s:o, s:O}", "image", tool_json_string(path), "best", best);
}

/* results: a list to add to, NULL for text. */
static int report(const struct sim_subject *subject, const char *path, const float *logits,
		  json_t *results, struct tv_error *error)
{
	unsigned int count = subject->classes < TOP ? subject->classes : TOP;
	struct tv_answer answers[TOP];

	tv_answers(logits, subject->classes, count, answers);
	if (!results)
		return print_text(subject, path, answers, count, error);
	if (json_array_append_new(results, image_json(subject, path, answers, count)) < 0)
		return tv_error_oom(error);
	return 0;
}

static int classify(const struct run_options *options, struct tv_error *error)
{
	_cleanup_(sim_subject_done) struct sim_subject subject = { 0 };
	_cleanup_(sim_classifier_freep) struct sim_classifier *classifier = NULL;
	json_auto_t *results = options->json ? json_array() : NULL;
	int r;

	if (options->json && !results)
		return tv_error_oom(error);
	r = sim_subject_open(options->path, &options->how, &subject, error);
	if (r >= 0)
		r = sim_classifier_new(&subject, NULL, &classifier, error);
	for (size_t i = 0; r >= 0 && i < options->count; i += subject.batch) {
		size_t left = options->count - i;
		unsigned int count = left < subject.batch ? (unsigned int)left : subject.batch;
		const float *logits;

		r = sim_classify(classifier, options->images + i, count, &logits, error);
		for (unsigned int j = 0; r >= 0 && j < count; j++)
			r = report(&subject, options->images[i + j].path,
				   logits + (size_t)j * subject.classes, results, error);
	}
	if (r < 0)
		return r;
	return results ? tool_json_print(results, error) : 0;
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	struct run_options options = { 0 };
	struct tv_error error = { 0 };
	int code = parse(self, argc, argv, &options);

	if (code == TOOL_GO_ON)
		code = classify(&options, &error) < 0 ? tool_fail(&error) : EXIT_SUCCESS;
	free(options.images);
	return code;
}

const struct tool_command sim_run = {
	.name = "run",
	.arguments = "MODEL|CHECKPOINT IMAGE... [OPTION...]",
	.summary = "classify images",
	.help = "Shows the five best classes of each IMAGE, PNG or JPEG, with their\n"
		"probabilities: by an integer MODEL, bit for bit as the accelerator does it, or\n"
		"by a float CHECKPOINT.\n"
		"\n"
		"Options:\n" SIM_LABELS_HELP
		"      --json           for programs; probabilities are shares of 1\n"
		"  -h, --help\n" SIM_SUBJECT_HELP,
	.run = run,
};
