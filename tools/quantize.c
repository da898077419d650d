/* SPDX-License-Identifier: MIT */
/* triovit-quantize: a float EfficientViT and a folder of images become a model package. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/file.h"
#include "common/progress.h"
#include "quantizer/checkpoint.h"
#include "quantizer/emit.h"
#include "quantizer/target-file.h"
#include "tools/report.h"
#include "tools/sim.h"

const char tool_name[] = "triovit-quantize";

#define TARGETS_MAX 8
#define IMAGES_MAX  8

struct options {
	const char *checkpoint, *calibrate, *output, *evaluate;
	const char *report_page, *report_json;
	struct tv_checkpoint_options how;
	struct tv_quantize_options techniques;
	const char *targets[TARGETS_MAX];
	unsigned int target_count;
	unsigned int images[IMAGES_MAX];
	unsigned int images_count;
	unsigned int threads;
	uint64_t limit;
	bool keep, quiet, version;
};

static const char help_text[] =
	"Turns a float EfficientViT into an all-integer program for the accelerator.\n"
	"CHECKPOINT is a .safetensors file with MIT HAN lab's or timm's tensor names; DIR\n"
	"holds images like those that the model will see (labels do not matter, a few\n"
	"hundred are enough).\n"
	"\n"
	"Options:\n"
	"  -c, --calibrate DIR       images to measure activations on\n"
	"  -o, --output FILE         the model package; it is replaced if it exists\n"
	"  -t, --target NAME|FILE    zcu102 (default), kv260, zc706, zynq7020, or a JSON\n"
	"                            file that describes another; up to eight times\n"
	"  -n, --images N            images a job, 1 to 64 (default 1); up to eight times\n"
	"      --size N              side of the input (else the checkpoint's, else 224)\n"
	"      --crop-ratio R        share of the resized image that is cut out\n"
	"      --labels FILE         names of the classes, one a line\n"
	"      --limit N             only N images for the calibration, evenly taken\n"
	"      --threads N           images at a time (default: one per processor)\n"
	"      --keep-intermediates  every value has a place of its own in the scratch\n"
	"                            segment\n"
	"      --report-html FILE    a page that shows what quantization has cost\n"
	"      --report-json FILE    the same for programs\n"
	"      --evaluate DIR        images of the report, one subfolder per label (else\n"
	"                            those of the calibration, without accuracy)\n"
	"      --no-migration        one scale for all channels of depthwise inputs\n"
	"      --no-shifting         no channel constants before projections\n"
	"      --no-search           ranges from minimum to maximum, weights to the\n"
	"                            largest\n"
	"      --no-correction       biases not corrected for what rounding does to means\n"
	"  -q, --quiet               no progress, no summary\n"
	"  -h, --help\n"
	"  -V, --version\n"
	"\n"
	"Exit codes: 0 success, 1 the work failed and standard error says why, 2 wrong\n"
	"usage.\n";

static const struct tool_command program = {
	.arguments = "CHECKPOINT --calibrate DIR -o MODEL [OPTION...]",
	.help = help_text,
};

static bool wants_report(const struct options *options)
{
	return options->report_page || options->report_json;
}

static int take_images(const struct tool_command *self, const struct tool_option *option,
		       const char *text, void *ret)
{
	struct options *options = ret;

	if (options->images_count == IMAGES_MAX)
		return tool_wrong_usage(self, "--images: more than eight");
	return tool_take_unsigned(self, option, text, &options->images[options->images_count++]);
}

static int take_target(const struct tool_command *self, const struct tool_option *option,
		       const char *text, void *ret)
{
	struct options *options = ret;

	if (options->target_count == TARGETS_MAX)
		return tool_wrong_usage(self, "--target: more than eight");
	return tool_take_text(self, option, text, &options->targets[options->target_count++]);
}

static int parse(int argc, char **argv, struct options *ret)
{
	static const struct tool_option options[] = {
		{ "calibrate", 'c', tool_take_text, offsetof(struct options, calibrate), 0, 0 },
		{ "output", 'o', tool_take_text, offsetof(struct options, output), 0, 0 },
		{ "target", 't', take_target, 0, 0, 0 },
		{ "images", 'n', take_images, 0, 1, TV_BATCH_MAX },
		SIM_SIZE(struct options, how.size),
		SIM_CROP_RATIO(struct options, how.crop_ratio),
		SIM_LABELS(struct options, how.labels),
		SIM_LIMIT(struct options, limit),
		SIM_THREADS(struct options, threads),
		{ "keep-intermediates", 0, tool_take_flag, offsetof(struct options, keep), 0, 0 },
		{ "report-html", 0, tool_take_text, offsetof(struct options, report_page), 0, 0 },
		{ "report-json", 0, tool_take_text, offsetof(struct options, report_json), 0, 0 },
		{ "evaluate", 0, tool_take_text, offsetof(struct options, evaluate), 0, 0 },
		{ "no-migration", 0, tool_take_flag,
		  offsetof(struct options, techniques.no_migration), 0, 0 },
		{ "no-shifting", 0, tool_take_flag,
		  offsetof(struct options, techniques.no_shifting), 0, 0 },
		{ "no-search", 0, tool_take_flag, offsetof(struct options, techniques.no_search), 0,
		  0 },
		{ "no-correction", 0, tool_take_flag,
		  offsetof(struct options, techniques.no_correction), 0, 0 },
		SIM_QUIET(struct options, quiet),
		{ "version", 'V', tool_take_flag, offsetof(struct options, version), 0, 0 },
		{ 0 },
	};
	int code = tool_parse(&program, argc, argv, options, ret);

	if (code != TOOL_GO_ON)
		return code;
	if (ret->version) {
		printf("triovit-quantize %s\n", TV_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc - optind != 1)
		return tool_wrong_usage(NULL, "expected one CHECKPOINT");
	if (!ret->calibrate)
		return tool_wrong_usage(NULL, "expected --calibrate DIR: images to measure on");
	if (!ret->output)
		return tool_wrong_usage(NULL, "expected -o MODEL: where the package is to go");
	if (ret->evaluate && !wants_report(ret))
		return tool_wrong_usage(NULL, "--evaluate is for a report: expected --report-html "
					      "FILE or --report-json FILE as well");
	ret->checkpoint = argv[optind];
	if (!ret->target_count)
		ret->targets[ret->target_count++] = "zcu102";
	if (!ret->images_count)
		ret->images[ret->images_count++] = 1;
	return TOOL_GO_ON;
}

struct show {
	struct tv_progress progress[2];
	bool started[2], quiet;
};

static void show_progress(unsigned int pass, size_t done, size_t total, void *userdata)
{
	static const char *const what[] = { "measuring ranges", "counting values" };
	struct show *show = userdata;

	if (!show->started[pass]) {
		show->started[pass] = true;
		tv_progress_start(&show->progress[pass], what[pass], "images", show->quiet);
	}
	if (done == total)
		tv_progress_end(&show->progress[pass], done, total);
	else
		tv_progress_update(&show->progress[pass], done, total);
}

/* At most limit of the folder's images, evenly spread over it. */
static size_t thin_out(struct tv_folder *folder, uint64_t limit)
{
	if (!limit || limit >= folder->count)
		return folder->count;
	for (size_t i = 0; i < limit; i++) {
		size_t from = i * folder->count / limit;
		struct tv_folder_image image = folder->images[i];

		folder->images[i] = folder->images[from];
		folder->images[from] = image;
	}
	return limit;
}

static int describe(const struct options *options, size_t images, char **ret,
		    struct tv_error *error)
{
	const struct tv_quantize_options *t = &options->techniques;

	if (asprintf(ret, "triovit-quantize %s, %zu calibration images%s%s%s%s", TV_VERSION, images,
		     t->no_migration ? ", no migration" : "", t->no_shifting ? ", no shifting" : "",
		     t->no_search ? ", no search" : "",
		     t->no_correction ? ", no correction" : "") < 0) {
		*ret = NULL;
		return tv_error_oom(error);
	}
	return 0;
}

static void summarize(const struct tv_quantized *quantized, const struct tv_package *package)
{
	double widest = 0;
	uint32_t dead = 0;

	for (size_t i = 0; i < quantized->network->count; i++) {
		dead += quantized->nodes[i].dead;
		if (quantized->nodes[i].widest > widest)
			widest = quantized->nodes[i].widest;
	}
	printf("network     %zu layers, %.1f M MACs an image\n", quantized->network->count,
	       (double)package->macs / 1e6);
	printf("channels    %" PRIu32 " dead; widest accumulator %.1f %% of 32 bits\n", dead,
	       widest / INT32_MAX * 100);
	for (size_t i = 0; i < package->program_count; i++) {
		const struct tv_package_program *p = &package->programs[i];
		const uint32_t *segment = p->header.segment;

		printf("program     %s, %u image%s: %" PRIu32 " commands (%" PRIu32
		       " bytes), weights %" PRIu32 ", scratch %" PRIu32 ", on chip %" PRIu32 "\n",
		       p->target, p->header.images, p->header.images == 1 ? "" : "s",
		       p->header.commands, segment[TV_SEGMENT_PROGRAM], segment[TV_SEGMENT_WEIGHTS],
		       segment[TV_SEGMENT_SCRATCH], p->header.onchip);
	}
}

static int emit(const struct options *options, const struct tv_target_file *targets,
		const struct tv_quantized *quantized, struct tv_package **ret,
		struct tv_error *error)
{
	struct tv_emit_program programs[TARGETS_MAX * IMAGES_MAX];
	size_t count = 0;

	for (unsigned int t = 0; t < options->target_count; t++)
		for (unsigned int n = 0; n < options->images_count; n++)
			programs[count++] = (struct tv_emit_program){
				.target = &targets[t].target,
				.images = options->images[n],
				.keep_intermediates = options->keep,
			};
	return tv_emit(quantized, programs, count, ret, error);
}

static int write_report(const struct options *options, const json_t *root, struct tv_error *error)
{
	_cleanup_free_ char *text = NULL, *page = NULL;
	size_t size;
	int r = 0;

	if (options->report_json) {
		text = json_dumps(root, JSON_REAL_PRECISION(7));
		if (!text)
			return tv_error_oom(error);
		r = tv_file_write(options->report_json, &(struct iovec){ text, strlen(text) }, 1,
				  error);
	}
	if (r >= 0 && options->report_page)
		r = report_page(root, &page, &size, error);
	if (r >= 0 && options->report_page)
		r = tv_file_write(options->report_page, &(struct iovec){ page, size }, 1, error);
	return r;
}

/* On the model as it was written, which is what triovit-sim compare would measure. */
static int make_report(const struct options *options, const struct tv_folder *folder, size_t images,
		       struct report *report, struct tv_error *error)
{
	_cleanup_(sim_model_done) struct sim_model model = { 0 };
	_cleanup_(sim_comparison_done) struct sim_comparison comparison = {
		.checkpoint = options->checkpoint,
		.path = options->output,
		.folder = options->evaluate ? options->evaluate : options->calibrate,
		.network = report->statistics->network,
		.model = &model,
		.images = folder->images,
		.count = images,
		.layer_images = SIM_LAYER_IMAGES,
		.threads = options->threads,
		.quiet = options->quiet,
	};
	json_auto_t *root = NULL;
	int r;

	r = sim_model_open(options->output, options->targets[0], 0, &model, error);
	if (r >= 0)
		r = sim_comparison_run(&comparison, error);
	report->comparison = &comparison;
	if (r >= 0)
		r = report_json(report, &root, error);
	return r < 0 ? r : write_report(options, root, error);
}

static int quantize(const struct options *options, struct tv_error *error)
{
	/* First, to be released last: statistics and the quantized network refer to it. */
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	_cleanup_(tv_statistics_freep) struct tv_statistics *statistics = NULL;
	_cleanup_(tv_quantized_freep) struct tv_quantized *quantized = NULL;
	_cleanup_(tv_package_freep) struct tv_package *package = NULL;
	_cleanup_(tv_folder_done) struct tv_folder folder = { 0 }, evaluation = { 0 };
	struct tv_target_file targets[TARGETS_MAX];
	struct show show = { .quiet = options->quiet };
	struct report report = { .calibration = options->calibrate,
				 .techniques = &options->techniques };
	struct sim_subject subject = { .path = options->checkpoint };
	size_t images, evaluated = 0;
	int r = 0;

	for (unsigned int t = 0; r >= 0 && t < options->target_count; t++)
		r = tv_target_find(options->targets[t], &targets[t], error);
	if (r >= 0)
		r = tv_checkpoint_read(options->checkpoint, &options->how, &network, error);
	if (r >= 0)
		r = tv_folder_read_all(options->calibrate, &folder, error);
	if (r >= 0 && options->evaluate) {
		subject.classes = network->architecture.classes;
		subject.labels = network->labels;
		r = sim_read_folder(options->evaluate, &subject, 0, &evaluation, &evaluated, error);
	}
	if (r < 0)
		return r;
	images = thin_out(&folder, options->limit);
	r = tv_statistics_collect(network, folder.images, images, options->threads, show_progress,
				  &show, &statistics, error);
	if (r >= 0)
		r = tv_quantize(network, statistics, &options->techniques, &quantized, error);
	/* What comes next needs as much memory as they do. */
	if (!wants_report(options))
		tv_statistics_free(TV_TAKE_PTR(statistics));
	if (r >= 0)
		r = emit(options, targets, quantized, &package, error);
	if (r >= 0)
		r = describe(options, images, &package->source, error);
	if (r >= 0)
		r = tv_package_write(package, options->output, error);
	if (r >= 0 && !options->quiet)
		summarize(quantized, package);
	if (r < 0 || !wants_report(options))
		return r;
	report.statistics = statistics;
	report.quantized = quantized;
	return make_report(options, options->evaluate ? &evaluation : &folder,
			   options->evaluate ? evaluated : images, &report, error);
}

static int run(int argc, char **argv)
{
	struct options options = { 0 };
	struct tv_error error = { 0 };
	int code = parse(argc, argv, &options);

	if (code != TOOL_GO_ON)
		return code;
	return quantize(&options, &error) < 0 ? tool_fail(&error) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	return tool_finish(run(argc, argv));
}
