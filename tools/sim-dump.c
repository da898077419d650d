/* SPDX-License-Identifier: MIT */
/* triovit-sim dump: the integers of one layer for one image, as a file or as figures. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sim-subject.h"

#define BINS 16

struct dump_options {
	const char *model, *image, *layer, *output, *target;
	unsigned int images;
	bool json;
};

/* A layer's value, kept. */
struct value {
	size_t node;
	const struct tv_package_node *of;
	unsigned int height, width;
	bool wide;
	size_t count;
	int16_t *codes;
	uint8_t *bytes; /* the codes as they go into a file */
	float *reals;
	bool failed; /* out of memory */
};

static int parse(const struct tool_command *self, int argc, char **argv, struct dump_options *ret)
{
	static const struct tool_option options[] = {
		{ "layer", 0, tool_take_text, offsetof(struct dump_options, layer), 0, 0 },
		{ "output", 'o', tool_take_text, offsetof(struct dump_options, output), 0, 0 },
		SIM_TARGET(struct dump_options, target),
		SIM_IMAGES(struct dump_options, images),
		SIM_JSON(struct dump_options, json),
		{ 0 },
	};
	int code = tool_parse(self, argc, argv, options, ret);

	if (code != TOOL_GO_ON)
		return code;
	if (argc - optind != 2)
		return tool_wrong_usage(self, "expected a MODEL and an IMAGE");
	if (!ret->layer)
		return tool_wrong_usage(self, "expected --layer NAME: a layer that inspect shows");
	ret->model = argv[optind];
	ret->image = argv[optind + 1];
	return TOOL_GO_ON;
}

static void value_done(struct value *value)
{
	free(value->codes);
	free(value->bytes);
	free(value->reals);
}

static int find_layer(const struct tv_package *package, const char *name, size_t *ret,
		      struct tv_error *error)
{
	for (size_t i = 0; i < package->node_count; i++)
		if (strcmp(package->nodes[i].name, name) == 0) {
			*ret = i;
			return 0;
		}
	return tv_error_set(error, -ENOENT, "no layer '%s': inspect shows their names", name);
}

static void keep(const struct tv_integer_value *seen, void *userdata)
{
	struct value *value = userdata;
	size_t count = (size_t)seen->height * seen->width * seen->channels;

	if (seen->index != value->node || value->codes || value->failed)
		return;
	value->codes = calloc(count, sizeof(*value->codes));
	value->bytes = calloc(count, sizeof(*value->codes));
	value->reals = calloc(count, sizeof(*value->reals));
	if (!value->codes || !value->bytes || !value->reals) {
		value->failed = true;
		return;
	}
	value->of = seen->node;
	value->height = seen->height;
	value->width = seen->width;
	value->wide = seen->wide;
	value->count = count;
	for (size_t i = 0; i < count; i++) {
		int code = tv_integer_code(seen, i);

		value->codes[i] = (int16_t)code;
		if (seen->wide)
			tv_put16(value->bytes + 2 * i, (uint16_t)code);
		else
			value->bytes[i] = (uint8_t)code;
		value->reals[i] = tv_integer_real(seen, i);
	}
}

static int compute(const struct dump_options *options, const struct sim_model *model,
		   struct value *value, struct tv_error *error)
{
	const struct tv_package *package = model->package;
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = NULL;
	_cleanup_free_ int16_t *logits = calloc(package->classes, sizeof(*logits));
	_cleanup_free_ uint8_t *rgb = calloc(package->size, (size_t)package->size * 3);
	int r;

	if (!logits || !rgb)
		return tv_error_oom(error);
	r = find_layer(package, options->layer, &value->node, error);
	if (r >= 0)
		r = sim_read_image(package->size, package->resize, options->image, rgb, error);
	if (r >= 0)
		r = tv_integer_runner_new(package, model->program, &model->target.target, &runner,
					  error);
	if (r >= 0)
		r = tv_integer_run(runner, rgb, 1, keep, value, logits, NULL, error);
	if (r < 0)
		return r;
	if (value->failed)
		return tv_error_oom(error);
	if (!value->codes)
		return tv_error_set(error, -ENOENT, "%s: no command computes '%s'", options->model,
				    options->layer);
	return 0;
}

static int write_file(const struct dump_options *options, const struct sim_model *model,
		      const struct value *value, struct tv_error *error)
{
	_cleanup_(tv_safetensors_writer_freep) struct tv_safetensors_writer *writer =
		tv_safetensors_writer_new();
	const uint64_t shape[] = { value->height, value->width, value->of->channels };
	const uint64_t channels[] = { value->of->channels };
	int r;

	if (!writer)
		return tv_error_oom(error);
	r = tv_safetensors_writer_metadata(writer, "layer", value->of->name, error);
	if (r >= 0)
		r = tv_safetensors_writer_metadata(writer, "target", model->program->target, error);
	if (r >= 0)
		r = tv_safetensors_writer_tensor(writer, "scale", TV_DTYPE_F32, 1, channels,
						 value->of->scale, 1, error);
	if (r >= 0)
		r = tv_safetensors_writer_tensor(writer, "offset", TV_DTYPE_F32, 1, channels,
						 value->of->offset, 1, error);
	if (r >= 0)
		r = tv_safetensors_writer_tensor(writer, "real", TV_DTYPE_F32, 3, shape,
						 value->reals, 1, error);
	if (r >= 0)
		r = tv_safetensors_writer_tensor(writer, "codes",
						 value->wide ? TV_DTYPE_I16 : TV_DTYPE_I8, 3, shape,
						 value->bytes, 1, error);
	if (r >= 0)
		r = tv_safetensors_writer_write(writer, options->output, error);
	return r;
}

struct figures {
	int least, most;
	double mean, real_least, real_most, real_mean;
	size_t clipped;
	size_t bins[BINS]; /* the format's whole range in equal parts */
};

static struct figures figures_of(const struct value *value)
{
	const int lowest = value->wide ? INT16_MIN : INT8_MIN;
	const int highest = -lowest - 1, width = 2 * -lowest / BINS;
	struct figures f = {
		.least = value->codes[0],
		.most = value->codes[0],
		.real_least = (double)value->reals[0],
		.real_most = (double)value->reals[0],
	};

	for (size_t i = 0; i < value->count; i++) {
		int code = value->codes[i];
		double real = (double)value->reals[i];

		f.least = code < f.least ? code : f.least;
		f.most = code > f.most ? code : f.most;
		f.real_least = real < f.real_least ? real : f.real_least;
		f.real_most = real > f.real_most ? real : f.real_most;
		f.mean += code;
		f.real_mean += real;
		f.clipped += code == lowest || code == highest;
		f.bins[(code - lowest) / width]++;
	}
	f.mean /= (double)value->count;
	f.real_mean /= (double)value->count;
	return f;
}

static void print_bar(size_t part, size_t most)
{
	size_t length = most ? (part * 50 + most - 1) / most : 0;

	printf("%s", length ? "  " : "");
	while (length--)
		putchar('#');
	putchar('\n');
}

static void print_text(const struct value *value)
{
	const struct figures f = figures_of(value);
	const int lowest = value->wide ? INT16_MIN : INT8_MIN, width = 2 * -lowest / BINS;
	size_t most = 0;

	printf("%s, %ux%ux%" PRIu32 ", %s\n", value->of->name, value->height, value->width,
	       value->of->channels, value->wide ? "int16" : "int8");
	printf("codes    %d to %d, mean %.3f\n", f.least, f.most, f.mean);
	printf("real     %.5g to %.5g, mean %.5g\n", f.real_least, f.real_most, f.real_mean);
	printf("clipped  %.3f %% (%zu of %zu)\n\n",
	       100.0 * (double)f.clipped / (double)value->count, f.clipped, value->count);
	for (unsigned int i = 0; i < BINS; i++)
		most = f.bins[i] > most ? f.bins[i] : most;
	for (unsigned int i = 0; i < BINS; i++) {
		printf("%6d  %8zu", lowest + (int)i * width, f.bins[i]);
		print_bar(f.bins[i], most);
	}
}

static int print_json(const struct value *value, struct tv_error *error)
{
	const struct figures f = figures_of(value);
	const unsigned int shape[] = { value->height, value->width, value->of->channels };
	json_auto_t *bins = json_array();
	json_auto_t *root = NULL;

	for (unsigned int i = 0; i < BINS; i++)
		if (json_array_append_new(bins, json_integer((json_int_t)f.bins[i])) < 0)
			return tv_error_oom(error);
	root = json_pack("{s:o, s:o, s:s, s:[i, i], s:f, s:[f, f], s:f, s:f, s:O}", "layer",
			 tool_json_string(value->of->name), "shape",
			 sim_json_unsigned(shape, TV_ARRAY_SIZE(shape)), "format",
			 value->wide ? "int16" : "int8", "codes", f.least, f.most, "codes_mean",
			 f.mean, "real", f.real_least, f.real_most, "real_mean", f.real_mean,
			 "clipped", 100.0 * (double)f.clipped / (double)value->count, "histogram",
			 bins);
	return tool_json_print(root, error);
}

static int dump(const struct dump_options *options, struct tv_error *error)
{
	_cleanup_(sim_model_done) struct sim_model model = { 0 };
	_cleanup_(value_done) struct value value = { 0 };
	int r;

	r = sim_model_open(options->model, options->target, options->images, &model, error);
	if (r >= 0)
		r = compute(options, &model, &value, error);
	if (r < 0)
		return r;
	if (options->output)
		return write_file(options, &model, &value, error);
	if (options->json)
		return print_json(&value, error);
	print_text(&value);
	return 0;
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	struct dump_options options = { 0 };
	struct tv_error error = { 0 };
	int code = parse(self, argc, argv, &options);

	if (code != TOOL_GO_ON)
		return code;
	return dump(&options, &error) < 0 ? tool_fail(&error) : EXIT_SUCCESS;
}

const struct tool_command sim_dump = {
	.name = "dump",
	.arguments = "MODEL IMAGE --layer NAME [OPTION...]",
	.summary = "show the integers of one layer for one image",
	.help = "Runs MODEL on IMAGE and shows what the layer of that name (see inspect) puts\n"
		"out: extremes, mean, share at the ends of the range, a histogram. With -o all of\n"
		"it goes to a .safetensors file: codes (I8 or I16) and real (F32) as [height,\n"
		"width, channels], scale and offset (F32) by channel;\n"
		"real = scale * code + offset.\n"
		"\n"
		"Options:\n"
		"      --layer NAME    which layer\n"
		"  -o, --output FILE   write its values there; it is replaced if it exists\n"
		"      --target NAME   which of the model's programs: what it is for\n"
		"      --images N      which of the model's programs: images of a job\n"
		"      --json          figures for programs; 16 parts of the range in histogram\n"
		"  -h, --help\n",
	.run = run,
};
