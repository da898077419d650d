/* SPDX-License-Identifier: MIT */
/* triovitctl classify: what is in these images? */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/progress.h"
#include "image/decode.h"
#include "tools/ctl-images.h"

#define TOP   5 /* what accuracy is counted of */
#define DEPTH 4 /* runs in flight: while one computes, others are decoded and wait */

struct answer {
	uint32_t class;
	double probability;
};

/* A run's place. They are used in turn, so that answers are told in the order of the images. */
struct place {
	struct classify *all;
	enum {
		FREE,
		BUSY,
		DONE
	} state;
	size_t first; /* its images */
	uint32_t count;
	struct answer *answers; /* [runner.images][all->top] */
	uint64_t queued_usec, device_usec, cycles;
	char *device;
};

struct classify {
	const struct ctl *ctl;
	const struct triovit_model_info *info;
	struct triovit_client *client;
	struct ctl_runner runner;
	struct ctl_images images;
	struct place places[DEPTH];
	size_t submitted, told; /* images */
	uint32_t top; /* answers that are asked for */
	uint64_t started;
	double seconds;

	size_t labelled, top1, top5;
	struct ctl_figures queued, device;
	json_t *results; /* NULL for text */

	int failed; /* of a run: its errno, */
	struct tv_error error; /* and what it said */
};

static void classify_done(struct classify *all)
{
	ctl_runner_done(&all->runner);
	ctl_images_done(&all->images);
	for (unsigned int i = 0; i < DEPTH; i++) {
		free(all->places[i].answers);
		free(all->places[i].device);
	}
	ctl_figures_done(&all->queued);
	ctl_figures_done(&all->device);
	json_decref(all->results);
}

/* --- asking --------------------------------------------------------------------------------- */

static int fail_run(struct place *place, const struct triovit_error *why)
{
	struct classify *all = place->all;

	if (!all->failed) {
		all->failed = ctl_error(&all->error, why);
		tv_error_prefix(&all->error, why->code, "%s", all->images.list[place->first].path);
	}
	return all->failed;
}

static void on_result(const struct triovit_result *result, const struct triovit_error *error,
		      void *userdata)
{
	const struct triovit_error wrong = {
		.code = -EBADMSG,
		.text = "the daemon's answer has not as many classes as were asked for",
	};
	struct place *place = userdata;
	uint32_t count;

	place->state = DONE;
	if (!error && (result->top != place->all->top || !result->classes))
		error = &wrong;
	if (error) {
		fail_run(place, error);
		return;
	}
	count = place->count * place->all->top;
	for (uint32_t i = 0; i < count; i++)
		place->answers[i] = (struct answer){
			.class = result->classes[i].index,
			.probability = result->classes[i].probability,
		};
	place->queued_usec = result->queued_usec;
	place->device_usec = result->device_usec;
	place->cycles = result->cycles;
	free(place->device);
	place->device = strdup(result->device);
}

static int read_image(const struct classify *all, const char *path, uint8_t *input, size_t size,
		      struct tv_error *error)
{
	_cleanup_(tv_image_done) struct tv_image image = { 0 };
	struct triovit_error why = { 0 };
	struct triovit_frame frame;
	int r;

	r = tv_image_decode_file(path, &image, error);
	if (r < 0)
		return r;
	frame = (struct triovit_frame){
		.format = TRIOVIT_FORMAT_RGB24,
		.width = image.width,
		.height = image.height,
		.planes[0] = {
			.data = image.rgb,
			.size = (size_t)image.width * image.height * 3,
			.stride = (size_t)image.width * 3,
		},
	};
	if (triovit_model_preprocess(all->runner.model, &frame, input, size, &why) < 0)
		return tv_error_prefix(error, ctl_error(error, &why), "%s", path);
	return 0;
}

/* The next images into the place, and off. The last run may have fewer: what the others in its
 * input are does not matter. */
static int submit(struct classify *all, struct place *place, uint32_t slot, struct tv_error *error)
{
	size_t left = all->images.count - all->submitted;
	size_t size = all->runner.input_size / all->runner.images;
	uint8_t *input;
	int r;

	place->first = all->submitted;
	place->count = left < all->runner.images ? (uint32_t)left : all->runner.images;
	r = ctl_runner_write(&all->runner, slot, &input, error);
	for (uint32_t i = 0; r >= 0 && i < place->count; i++)
		r = read_image(all, all->images.list[place->first + i].path, input + i * size, size,
			       error);
	if (r < 0)
		return r;
	r = ctl_runner_run(&all->runner, slot, all->top, on_result, place, error);
	if (r < 0)
		return r;
	place->state = BUSY;
	all->submitted += place->count;
	return 0;
}

/* --- telling -------------------------------------------------------------------------------- */

static const char *label_of(const struct classify *all, uint32_t class)
{
	return all->info->labels && class < all->info->classes ? all->info->labels[class] : NULL;
}

static int tell_text(const struct classify *all, const char *path, const struct answer *answers,
		     struct tv_error *error)
{
	unsigned int count = all->top < all->ctl->top ? all->top : all->ctl->top;
	_cleanup_free_ char *name = strdup(path);

	if (!name)
		return tv_error_oom(error);
	if (count)
		printf("%s\n", tool_printable(name));
	for (unsigned int i = 0; i < count; i++) {
		const char *given = label_of(all, answers[i].class);
		_cleanup_free_ char *label = strdup(given ? given : "");

		if (!label)
			return tv_error_oom(error);
		printf("  %6.2f %%  %5u  %s\n", 100 * answers[i].probability, answers[i].class,
		       tool_printable(label));
	}
	return 0;
}

static json_t *image_json(const struct classify *all, const struct place *place,
			  const struct ctl_image *image, const struct answer *answers)
{
	unsigned int count = all->top < all->ctl->top ? all->top : all->ctl->top;
	const char *own = image->label < 0 ? NULL : label_of(all, (uint32_t)image->label);
	json_auto_t *best = json_array();

	for (unsigned int i = 0; i < count; i++) {
		const char *label = label_of(all, answers[i].class);
		json_t *one = json_pack("{s:I, s:o, s:f}", "class", (json_int_t)answers[i].class,
					"label", label ? tool_json_string(label) : json_null(),
					"probability", answers[i].probability);

		if (json_array_append_new(best, one) < 0)
			return NULL;
	}
	return json_pack("{s:o, s:o, s:O, s:I, s:I, s:I, s:o}", "image",
			 tool_json_string(image->path), "label",
			 own ? tool_json_string(own) : json_null(), "best", best, "cycles",
			 (json_int_t)place->cycles, "queued_usec", (json_int_t)place->queued_usec,
			 "device_usec", (json_int_t)place->device_usec, "device",
			 tool_json_string(place->device ? place->device : ""));
}

static void count_answer(struct classify *all, int label, const struct answer *answers)
{
	if (label < 0)
		return;
	all->labelled++;
	all->top1 += answers[0].class == (uint32_t)label;
	for (uint32_t i = 0; i < all->top && i < TOP; i++)
		all->top5 += answers[i].class == (uint32_t)label;
}

static int tell(struct classify *all, const struct place *place, struct tv_error *error)
{
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < place->count; i++) {
		const struct ctl_image *image = &all->images.list[place->first + i];
		const struct answer *answers = place->answers + (size_t)i * all->top;

		count_answer(all, image->label, answers);
		if (!all->results)
			r = tell_text(all, image->path, answers, error);
		else if (json_array_append_new(all->results,
					       image_json(all, place, image, answers)) < 0)
			r = tv_error_oom(error);
	}
	ctl_figures_add(&all->queued, place->queued_usec);
	ctl_figures_add(&all->device, place->device_usec);
	all->told += place->count;
	return r;
}

static double percent(size_t part, size_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_times(const char *what, const struct ctl_summary *times)
{
	printf("%-10s p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max %.2f ms\n", what, times->p50,
	       times->p90, times->p99, times->max);
}

static int print_end(struct classify *all, const struct ctl_summary *queued,
		     const struct ctl_summary *device, struct tv_error *error)
{
	double rate = all->seconds > 0 ? (double)all->told / all->seconds : 0;
	json_auto_t *root = NULL;

	if (!all->results) {
		if (all->ctl->top)
			putchar('\n');
		if (all->labelled)
			printf("accuracy   top-1 %.2f %% (%zu of %zu), top-5 %.2f %%\n",
			       percent(all->top1, all->labelled), all->top1, all->labelled,
			       percent(all->top5, all->labelled));
		print_times("in queue", queued);
		print_times("on device", device);
		printf("images     %zu in %.2f s, %.1f a second\n", all->told, all->seconds, rate);
		return 0;
	}
	root = json_pack("{s:o, s:O, s:f, s:f, s:o, s:o, s:b}", "model",
			 tool_json_string(all->info->digest), "images", all->results, "seconds",
			 all->seconds, "images_per_second", rate, "queued_ms",
			 ctl_json_summary(queued), "device_ms", ctl_json_summary(device),
			 "interrupted", ctl_signal() != 0);
	if (root && all->labelled)
		json_object_set_new(root, "accuracy",
				    json_pack("{s:I, s:f, s:f}", "images",
					      (json_int_t)all->labelled, "top1",
					      percent(all->top1, all->labelled), "top5",
					      percent(all->top5, all->labelled)));
	return tool_json_print(root, error);
}

/* --- all of it ------------------------------------------------------------------------------ */

static int prepare(struct classify *all, struct triovit_model *model, struct tv_error *error)
{
	const struct ctl *ctl = all->ctl;
	int r;

	all->info = triovit_model_info(model);
	all->top = ctl->top > TOP ? ctl->top : TOP;
	if (all->top > all->info->classes)
		all->top = all->info->classes;
	r = ctl_images_find(ctl->arguments + 1, ctl->count - 1, all->info, &all->images, error);
	if (r >= 0)
		r = ctl_runner_open(ctl, model, DEPTH, ctl->images, &all->runner, error);
	if (r < 0)
		return r;
	all->results = ctl->json ? json_array() : NULL;
	if (ctl->json && !all->results)
		return tv_error_oom(error);
	for (unsigned int i = 0; i < DEPTH; i++) {
		struct place *place = &all->places[i];

		place->all = all;
		place->answers =
			calloc((size_t)all->runner.images * all->top, sizeof(*place->answers));
		if (!place->answers)
			return tv_error_oom(error);
	}
	return 0;
}

static int loop(struct classify *all, struct tv_progress *progress, struct tv_error *error)
{
	unsigned int in = 0, out = 0; /* places: the next to be filled, the oldest */
	int r = 0;

	while (r >= 0 && all->told < all->images.count && !ctl_signal()) {
		bool more = all->submitted < all->images.count;

		if (more && all->places[in].state == FREE) {
			r = submit(all, &all->places[in], in, error);
			in = (in + 1) % DEPTH;
		}
		more = all->submitted < all->images.count && all->places[in].state == FREE;
		if (r >= 0)
			r = ctl_turn(&all->client, 1, more ? 0 : UINT64_MAX, error);
		/* What a run failed with says more than that all of them are lost. */
		if (all->failed) {
			*error = all->error;
			return all->failed;
		}
		while (r >= 0 && all->places[out].state == DONE) {
			r = tell(all, &all->places[out], error);
			all->places[out].state = FREE;
			out = (out + 1) % DEPTH;
		}
		tv_progress_update(progress, all->told, all->images.count);
	}
	return r;
}

static int classify(struct classify *all, struct tv_error *error)
{
	const struct ctl *ctl = all->ctl;
	/* Answers on the same terminal are progress enough. */
	bool quiet = ctl->quiet || (ctl->top && !ctl->json && isatty(STDOUT_FILENO));
	struct ctl_summary queued, device;
	struct tv_progress progress;
	int r;

	ctl_catch_signals();
	tv_progress_start(&progress, "classifying", "images", quiet);
	all->started = ctl_now();
	r = loop(all, &progress, error);
	all->seconds = (double)(ctl_now() - all->started) / 1e6;
	if (all->images.count > 1)
		tv_progress_end(&progress, all->told, all->images.count);
	if (r < 0)
		return r;
	r = ctl_figures_sum_up(&all->queued, &queued, error);
	if (r >= 0)
		r = ctl_figures_sum_up(&all->device, &device, error);
	return r < 0 ? r : print_end(all, &queued, &device, error);
}

static int run(const struct ctl *ctl, struct tv_error *error)
{
	/* Released in reverse order: sessions before models before clients. */
	_cleanup_(triovit_closep) struct triovit_client *client = NULL;
	_cleanup_(ctl_subject_done) struct ctl_subject subject = { 0 };
	_cleanup_(classify_done) struct classify all = { .ctl = ctl };
	int r;

	r = ctl_open(ctl, &client, error);
	if (r >= 0)
		r = ctl_subject_open(ctl, client, ctl->arguments[0], &subject, error);
	if (r < 0)
		return r;
	all.client = client;
	r = prepare(&all, subject.model, error);
	return r < 0 ? r : classify(&all, error);
}

const struct ctl_command ctl_classify = {
	.tool = {
		.name = "classify",
		.arguments = "MODEL IMAGE|DIR... [OPTION...]",
		.summary = "classify images",
		.help = "Shows the best classes of each IMAGE, PNG or JPEG, and of all those below each\n"
			"DIR, with their probabilities; then how long the runs took. Of images in a\n"
			"folder that is called like one of the model's labels, how many were right.\n"
			"\n"
			"MODEL is a file, which is loaded and unloaded again if it was not there, or a\n"
			"model that is there: its name, digest or the beginning of that.\n",
	},
	.bit = CTL_CLASSIFY,
	.least = 2,
	.most = ~0u,
	.run = run,
};
