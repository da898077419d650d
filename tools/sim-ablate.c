/* SPDX-License-Identifier: MIT */
#include "tools/sim-ablate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/parallel.h"
#include "common/progress.h"
#include "model/answer.h"
#include "quantizer/emit.h"
#include "quantizer/float.h"

/* The quantized ones come first. All of them have the log2 divisor: the machine has no other. */
const struct sim_variant sim_variants[SIM_VARIANTS] = {
	{ "neither migration nor shifting",
	  .without = { .no_migration = true, .no_shifting = true } },
	{ "shifting, no migration", .without = { .no_migration = true } },
	{ "migration, no shifting", .without = { .no_shifting = true } },
	{ "everything", .without = { 0 } },
	{ "no search for ranges", .without = { .no_search = true } },
	{ "no correction of biases", .without = { .no_correction = true } },
	{ "float, divisor log2, 4 bits", .divisor = { TV_DIVISOR_LOG2, 4, 0 } },
	{ "float, divisor uniform, 4 bits", .divisor = { TV_DIVISOR_UNIFORM, 4, 0 } },
	{ "float, divisor uniform, 8 bits", .divisor = { TV_DIVISOR_UNIFORM, 8, 0 } },
	{ "float, divisor uniform, 4 bits, from 1", .divisor = { TV_DIVISOR_UNIFORM, 4, 1 } },
	{ "float, divisor uniform, 8 bits, from 1", .divisor = { TV_DIVISOR_UNIFORM, 8, 1 } },
};

static bool is_quantized(unsigned int variant)
{
	return sim_variants[variant].divisor.kind == TV_DIVISOR_EXACT;
}

/* What one thread needs for one image after the other. */
struct worker {
	struct tv_float_runner *floats;
	struct tv_integer_runner *integers[SIM_VARIANTS];
	uint8_t *rgb;
	float *logits, *other; /* of the float network, and of a variant */
	int16_t *codes;
};

struct work {
	struct sim_ablation ablation;
	struct worker *workers;
	struct tv_progress progress;
};

static int parse(const struct tool_command *self, int argc, char **argv,
		 struct sim_ablate_options *ret)
{
	static const struct tool_option options[] = {
		{ "calibrate", 'c', tool_take_text, offsetof(struct sim_ablate_options, calibrate),
		  0, 0 },
		SIM_SIZE(struct sim_ablate_options, how.checkpoint.size),
		SIM_CROP_RATIO(struct sim_ablate_options, how.checkpoint.crop_ratio),
		SIM_LABELS(struct sim_ablate_options, how.checkpoint.labels),
		SIM_LIMIT(struct sim_ablate_options, limit),
		SIM_THREADS(struct sim_ablate_options, threads),
		SIM_JSON(struct sim_ablate_options, json),
		SIM_QUIET(struct sim_ablate_options, quiet),
		{ 0 },
	};
	int code = tool_parse(self, argc, argv, options, ret);

	if (code != TOOL_GO_ON)
		return code;
	if (argc - optind != 2)
		return tool_wrong_usage(self, "expected a CHECKPOINT and a DIR of images");
	if (!ret->calibrate)
		return tool_wrong_usage(self, "expected --calibrate DIR: images to measure on");
	ret->checkpoint = argv[optind];
	ret->folder = argv[optind + 1];
	return TOOL_GO_ON;
}

static void work_done(struct work *work)
{
	for (unsigned int i = 0; work->workers && i < work->ablation.threads; i++) {
		struct worker *worker = &work->workers[i];

		tv_float_runner_free(worker->floats);
		for (unsigned int v = 0; v < SIM_VARIANTS; v++)
			tv_integer_runner_free(worker->integers[v]);
		free(worker->rgb);
		free(worker->logits);
		free(worker->other);
		free(worker->codes);
	}
	free(work->workers);
	for (unsigned int v = 0; v < SIM_VARIANTS; v++)
		tv_package_free(work->ablation.packages[v]);
	free(work->ablation.pairs);
}

/* first: of all. */
static int make_worker(const struct sim_ablation *ablation, const struct worker *first,
		       struct worker *worker, struct tv_error *error)
{
	const struct tv_network *network = ablation->network;
	unsigned int classes = network->architecture.classes;
	int r;

	worker->rgb = calloc(network->size, (size_t)network->size * 3);
	worker->logits = calloc(classes, sizeof(*worker->logits));
	worker->other = calloc(classes, sizeof(*worker->other));
	worker->codes = calloc(classes, sizeof(*worker->codes));
	if (!worker->rgb || !worker->logits || !worker->other || !worker->codes)
		return tv_error_oom(error);
	r = tv_float_runner_new(network, &worker->floats, error);
	for (unsigned int v = 0; r >= 0 && v < SIM_VARIANTS; v++) {
		if (!is_quantized(v))
			continue;
		if (worker != first)
			r = tv_integer_runner_twin(first->integers[v], &worker->integers[v], error);
		else
			r = tv_integer_runner_new(ablation->packages[v],
						  &ablation->packages[v]->programs[0], NULL,
						  &worker->integers[v], error);
	}
	return r;
}

static int quantize(struct work *work, struct tv_error *error)
{
	/* The bits are the same on every target. */
	const struct tv_emit_program program = { .target = tv_target_at(0), .images = 1 };
	struct sim_ablation *ablation = &work->ablation;
	unsigned int done = 0, total = 0;

	for (unsigned int v = 0; v < SIM_VARIANTS; v++)
		total += is_quantized(v);
	tv_progress_start(&work->progress, "quantizing", "models", ablation->options->quiet);
	for (unsigned int v = 0; v < SIM_VARIANTS; v++) {
		_cleanup_(tv_quantized_freep) struct tv_quantized *quantized = NULL;
		int r;

		if (!is_quantized(v))
			continue;
		r = tv_quantize(ablation->network, ablation->statistics, &sim_variants[v].without,
				&quantized, error);
		if (r >= 0)
			r = tv_emit(quantized, &program, 1, &ablation->packages[v], error);
		if (r < 0)
			return tv_error_prefix(error, r, "%s: %s", ablation->options->checkpoint,
					       sim_variants[v].name);
		if (++done < total)
			tv_progress_update(&work->progress, done, total);
	}
	tv_progress_end(&work->progress, done, total);
	return 0;
}

static int prepare(struct work *work, struct tv_error *error)
{
	struct sim_ablation *ablation = &work->ablation;
	int r;

	r = quantize(work, error);
	if (r < 0)
		return r;
	ablation->pairs = calloc(SIM_VARIANTS * ablation->count, sizeof(*ablation->pairs));
	work->workers = calloc(ablation->threads, sizeof(*work->workers));
	if (!ablation->pairs || !work->workers)
		return tv_error_oom(error);
	for (unsigned int i = 0; r >= 0 && i < ablation->threads; i++)
		r = make_worker(ablation, work->workers, &work->workers[i], error);
	return r;
}

/* What attentions divide by, while a variant runs. */
struct rounding {
	const struct tv_statistics *statistics;
	const struct tv_divisor_codes *codes;
};

static float round_divisor(size_t index, unsigned int head, float divisor, void *userdata)
{
	const struct rounding *rounding = userdata;

	return (float)tv_divisor_value(rounding->codes, (double)divisor,
				       (double)rounding->statistics->nodes[index].divisor[head]);
}

/* Fills the worker's other logits. */
static int run_variant(const struct sim_ablation *ablation, const struct worker *worker,
		       unsigned int variant, struct tv_error *error)
{
	struct rounding rounding = { ablation->statistics, &sim_variants[variant].divisor };
	const struct tv_package *package = ablation->packages[variant];
	int r;

	if (package) {
		r = tv_integer_run(worker->integers[variant], worker->rgb, 1, NULL, NULL,
				   worker->codes, NULL, error);
		for (unsigned int i = 0; r >= 0 && i < package->classes; i++)
			worker->other[i] = package->logit_scale * worker->codes[i];
		return r;
	}
	tv_float_runner_round_divisors(worker->floats, round_divisor, &rounding);
	r = tv_float_run(worker->floats, worker->rgb, NULL, NULL, worker->other);
	tv_float_runner_round_divisors(worker->floats, NULL, NULL);
	return r;
}

/* Logits that are no numbers say nothing, so they are wrong. */
static void pair_up(const float *wanted, const float *got, unsigned int classes, unsigned int label,
		    struct sim_pair *ret)
{
	unsigned int best, other;

	for (unsigned int i = 0; i < classes; i++) {
		double error = (double)wanted[i] - (double)got[i];

		ret->logits.signal += (double)wanted[i] * (double)wanted[i];
		ret->logits.noise += error * error;
	}
	tv_top_k(wanted, classes, 1, &best);
	tv_top_k(got, classes, 1, &other);
	ret->float_right = best == label;
	ret->other_right = other == label && isfinite(ret->logits.noise);
	ret->agree = other == best && isfinite(ret->logits.noise);
}

static int ablate_image(size_t index, unsigned int worker_index, void *userdata,
			struct tv_error *error)
{
	struct work *work = userdata;
	struct sim_ablation *ablation = &work->ablation;
	const struct tv_network *network = ablation->network;
	const struct tv_folder_image *image = &ablation->images[index];
	const struct worker *worker = &work->workers[worker_index];
	int r;

	r = sim_read_image(network->size, network->resize, image->path, worker->rgb, error);
	if (r < 0)
		return r;
	r = tv_float_run(worker->floats, worker->rgb, NULL, NULL, worker->logits);
	for (unsigned int v = 0; r >= 0 && v < SIM_VARIANTS; v++) {
		r = run_variant(ablation, worker, v, error);
		if (r >= 0)
			pair_up(worker->logits, worker->other, network->architecture.classes,
				(unsigned int)image->label,
				&ablation->pairs[v * ablation->count + index]);
	}
	return r < 0 ? tv_error_prefix(error, r, "%s", image->path) : 0;
}

static void tick(size_t done, size_t total, void *userdata)
{
	struct work *work = userdata;

	tv_progress_update(&work->progress, done, total);
}

/* Both passes as one. */
static void tick_calibration(unsigned int pass, size_t done, size_t total, void *userdata)
{
	tick(pass * total + done, 2 * total, userdata);
}

static int calibrate(struct work *work, struct tv_statistics **ret, struct tv_error *error)
{
	const struct sim_ablate_options *options = work->ablation.options;
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	int r;

	r = tv_folder_read_all(options->calibrate, &folder, error);
	if (r < 0)
		return r;
	tv_progress_start(&work->progress, "calibrating", "images", options->quiet);
	r = tv_statistics_collect(work->ablation.network, folder.images, folder.count,
				  options->threads, tick_calibration, work, ret, error);
	if (r >= 0)
		tv_progress_end(&work->progress, 2 * folder.count, 2 * folder.count);
	return r;
}

static int work_through(struct work *work, struct tv_error *error)
{
	struct sim_ablation *ablation = &work->ablation;
	int r;

	r = prepare(work, error);
	if (r < 0)
		return r;
	tv_progress_start(&work->progress, "evaluating", "images", ablation->options->quiet);
	r = tv_parallel_for(ablation->count, ablation->threads, ablate_image, tick, work, error);
	if (r < 0)
		return r;
	tv_progress_end(&work->progress, ablation->count, ablation->count);
	return sim_ablation_print(ablation, error);
}

static int ablate(const struct sim_ablate_options *options, struct tv_error *error)
{
	_cleanup_(sim_subject_done) struct sim_subject subject = { 0 };
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 };
	_cleanup_(tv_statistics_freep) struct tv_statistics *statistics = NULL;
	_cleanup_(work_done) struct work work = { .workers = NULL };
	struct sim_ablation *ablation = &work.ablation;
	int r;

	r = sim_subject_open(options->checkpoint, &options->how, &subject, error);
	if (r < 0)
		return r;
	if (!subject.network)
		return tv_error_set(error, -EINVAL,
				    "%s: a model, expected a checkpoint: it is quantized here, in "
				    "several ways",
				    options->checkpoint);
	r = sim_read_folder(options->folder, &subject, options->limit, &folder, &ablation->count,
			    error);
	if (r < 0)
		return r;
	ablation->options = options;
	ablation->network = subject.network;
	ablation->images = folder.images;
	ablation->threads = options->threads ? options->threads : tv_parallel_threads();
	if (ablation->threads > ablation->count)
		ablation->threads = (unsigned int)ablation->count;
	r = calibrate(&work, &statistics, error);
	if (r < 0)
		return r;
	ablation->statistics = statistics;
	return work_through(&work, error);
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	struct sim_ablate_options options = { 0 };
	struct tv_error error = { 0 };
	int code = parse(self, argc, argv, &options);

	if (code != TOOL_GO_ON)
		return code;
	return ablate(&options, &error) < 0 ? tool_fail(&error) : EXIT_SUCCESS;
}

const struct tool_command sim_ablate = {
	.name = "ablate",
	.arguments = "CHECKPOINT --calibrate DIR DIR [OPTION...]",
	.summary = "say what each technique of quantization is for",
	.help = "Quantizes a float CHECKPOINT with all techniques and without some of them, and\n"
		"runs every image below DIR, one subfolder per label, through the float network\n"
		"and each of the integer ones: how much accuracy is lost, with the 95 %\n"
		"interval of the paired difference. Then the float network with nothing rounded\n"
		"but the attentions' divisors: to powers of two as the accelerator does it, or\n"
		"to equal steps (a code 0 divides by 0; 'from 1' does without it).\n"
		"\n"
		"Options:\n"
		"  -c, --calibrate DIR  images to measure activations on\n" SIM_LABELS_HELP
		"      --size N         side of the input, a multiple of 32 (else the\n"
		"                       checkpoint's, else 224)\n"
		"      --crop-ratio R   the input's share of the resized image's shorter side,\n"
		"                       above 0 and up to 1 (else the checkpoint's)\n"
		"      --limit N        only N images, evenly over the classes\n"
		"      --threads N      images at a time (default: one per processor)\n"
		"      --json           for programs; shares are percentages, 0 to 100\n"
		"  -q, --quiet          no progress on standard error\n"
		"  -h, --help\n",
	.run = run,
};
