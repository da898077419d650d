/* SPDX-License-Identifier: MIT */
/*
 * The quantizer on the demo's trained network and its images: integers that stand for what the
 * float network computes, and programs that compute exactly these integers on every target.
 */
#include <errno.h>
#include <math.h>

#include "image/decode.h"
#include "quantizer/checkpoint.h"
#include "quantizer/emit.h"
#include "quantizer/float.h"
#include "quantizer/integer.h"
#include "quantizer/target-file.h"
#include "tests/unit/device-program.h"
#include "tests/unit/directory.h"
#include "tests/unit/quantize-naive.h"

#define IMAGES 3

/* Made once: checked fixtures run in the test's own process. */
static struct tv_network *network;
static struct tv_folder folder;
static size_t calibration = 24; /* images */
static struct tv_statistics *statistics;
static struct tv_quantized *quantized;
static uint8_t rgb[IMAGES][96 * 96 * 3];
static int16_t expected[IMAGES][16]; /* logits by the naive walk */

static void collect(const struct tv_network *of, unsigned int threads, struct tv_statistics **ret)
{
	struct tv_error error = { 0 };
	int r;

	r = tv_statistics_collect(of, folder.images, calibration, threads, NULL, NULL, ret, &error);
	tv_assert_ok(r, error);
}

static struct tv_quantized *quantize(const struct tv_quantize_options *options)
{
	struct tv_quantized *result = NULL;
	struct tv_error error = { 0 };
	int r = tv_quantize(network, statistics, options, &result, &error);

	tv_assert_ok(r, error);
	return result;
}

static void set_up(void)
{
	const struct tv_quantize_options all = { 0 };
	struct tv_error error = { 0 };
	int r;

	r = tv_checkpoint_read(tv_unit_source("demo/shapes16-b0.safetensors"), NULL, &network,
			       &error);
	tv_assert_ok(r, error);
	r = tv_folder_read_all(tv_unit_source("demo/images"), &folder, &error);
	tv_assert_ok(r, error);
	if (getenv("TV_SLOW"))
		calibration = 16;
	/* From all classes: the first images of the list, spread over it. */
	for (size_t i = 0; i < calibration; i++) {
		struct tv_folder_image image = folder.images[i];
		size_t from = i * folder.count / calibration;

		folder.images[i] = folder.images[from];
		folder.images[from] = image;
	}
	for (size_t i = 0; i < IMAGES; i++) {
		struct tv_image image = { 0 };

		r = tv_image_decode_file(folder.images[i * 5].path, &image, &error);
		tv_assert_ok(r, error);
		ck_assert_uint_eq(image.width * image.height * 3, sizeof(rgb[i]));
		memcpy(rgb[i], image.rgb, sizeof(rgb[i]));
		tv_image_done(&image);
	}
	collect(network, 0, &statistics);
	quantized = quantize(&all);
	for (unsigned int i = 0; i < IMAGES; i++) {
		struct naive_network naive = naive_run(quantized, rgb[i]);

		memcpy(expected[i], naive.values[network->count - 1], sizeof(expected[i]));
		naive_done(&naive);
	}
}

static void tear_down(void)
{
	tv_quantized_free(quantized);
	tv_statistics_free(statistics);
	tv_folder_done(&folder);
	tv_network_free(network);
}

/* The same through a device's registers, all jobs in its ring. */
static void check_device(const struct tv_package_program *program, const struct tv_target *target)
{
	unsigned int images = program->header.images;
	struct tv_descriptor jobs[IMAGES];
	struct tv_completion record;
	struct machine m;

	machine_begin(&m, target);
	for (unsigned int i = 0; i < IMAGES / images; i++) {
		jobs[i] = machine_program(&m, program);
		memcpy(machine_bytes(&m, &jobs[i], TV_SEGMENT_INPUT), rgb[i],
		       images * sizeof(rgb[i]));
		machine_submit(&m, &jobs[i]);
	}
	machine_run(&m);
	for (unsigned int i = 0; i < IMAGES / images; i++) {
		ck_assert(tv_driver_take(m.driver, &record));
		ck_assert_msg(!record.fault, "%s", m.complaint);
		ck_assert_mem_eq(machine_bytes(&m, &jobs[i], TV_SEGMENT_OUTPUT), expected[i],
				 images * sizeof(expected[i]));
	}
	machine_end(&m);
}

/* Runs a program on the images and compares all logits with the naive walk's. */
static void check_program(const struct tv_emit_program *how)
{
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = NULL;
	_cleanup_(tv_package_freep) struct tv_package *package = NULL;
	int16_t logits[IMAGES][16];
	struct tv_error error = { 0 };
	int r;

	r = tv_emit(quantized, how, 1, &package, &error);
	tv_assert_ok(r, error);
	r = tv_integer_runner_new(package, &package->programs[0], how->target, &runner, &error);
	tv_assert_ok(r, error);
	for (unsigned int i = 0; i < IMAGES; i += how->images) {
		r = tv_integer_run(runner, rgb[i], how->images, NULL, NULL, logits[i], NULL,
				   &error);
		tv_assert_ok(r, error);
	}
	ck_assert_mem_eq(logits, expected, sizeof(logits));
	/* Emulated, device-network has to do. */
	if (!getenv("TV_SLOW"))
		check_device(&package->programs[0], how->target);
}

START_TEST(programs_compute_the_network)
{
	const struct tv_emit_program programs[] = {
		{ .target = tv_target_by_name("zcu102"), .images = 1 },
		{ .target = tv_target_by_name("zcu102"), .images = IMAGES },
		{ .target = tv_target_by_name("zcu102"), .images = 1, .keep_intermediates = true },
		{ .target = tv_target_by_name("zynq7020"), .images = 1 },
		{ .target = tv_target_by_name("zynq7020"), .images = IMAGES },
		{ .target = tv_target_by_name("kv260"),
		  .images = IMAGES,
		  .keep_intermediates = true },
		{ .target = tv_target_by_name("zc706"), .images = 1 },
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(programs); i += getenv("TV_SLOW") ? 3 : 1)
		check_program(&programs[i]);
}
END_TEST

struct noise {
	float **floats;
	double *signal, *noise;
};

static int keep_float(const struct tv_node *node, size_t index, float *value, void *userdata)
{
	struct noise *noise = userdata;
	size_t size = (size_t)node->out_height * node->out_width * node->out_channels;

	noise->floats[index] = realloc(noise->floats[index], size * sizeof(float));
	ck_assert_ptr_nonnull(noise->floats[index]);
	memcpy(noise->floats[index], value, size * sizeof(float));
	return 0;
}

static void compare(const struct tv_quantized *with, struct noise *noise)
{
	_cleanup_(tv_float_runner_freep) struct tv_float_runner *runner = NULL;
	struct tv_error error = { 0 };
	float logits[16];
	int r = tv_float_runner_new(network, &runner, &error);

	tv_assert_ok(r, error);
	for (size_t image = 0; image < IMAGES; image++) {
		struct naive_network naive = naive_run(with, rgb[image]);

		ck_assert_int_eq(tv_float_run(runner, rgb[image], keep_float, noise, logits), 0);
		for (size_t i = 0; i < network->count; i++) {
			const struct tv_node *node = &network->nodes[i];
			const struct tv_quantized_node *q = &with->nodes[i];
			size_t size =
				(size_t)node->out_height * node->out_width * node->out_channels;

			for (size_t j = 0; j < size; j++) {
				size_t c = j % node->out_channels;
				double real = q->scale[c] * (naive.values[i][j] -
							     (q->wide ? 0 : q->zero_point)) +
					      q->offset[c];
				double miss = real - noise->floats[i][j];

				noise->signal[i] += noise->floats[i][j] * noise->floats[i][j];
				noise->noise[i] += miss * miss;
			}
		}
		naive_done(&naive);
	}
}

static void noise_init(struct noise *noise)
{
	noise->floats = calloc(network->count, sizeof(float *));
	noise->signal = calloc(network->count, sizeof(double));
	noise->noise = calloc(network->count, sizeof(double));
	ck_assert(noise->floats && noise->signal && noise->noise);
}

static void noise_done(struct noise *noise)
{
	for (size_t i = 0; i < network->count; i++)
		free(noise->floats[i]);
	free(noise->floats);
	free(noise->signal);
	free(noise->noise);
}

static double sqnr(const struct noise *noise, size_t i)
{
	return 10 * log10(noise->signal[i] / noise->noise[i]);
}

/* Every node's codes stand for the float network's value: the log2 divisor costs the quotients the
 * most, and no other node is below 15 dB. */
START_TEST(codes_stand_for_values)
{
	struct noise noise;

	noise_init(&noise);
	compare(quantized, &noise);
	for (size_t i = 0; i < network->count; i++) {
		double least = network->nodes[i].kind == TV_NODE_ATTENTION ? 10 : 15;

		ck_assert_msg(sqnr(&noise, i) > least, "%s: %.1f dB", network->nodes[i].name,
			      sqnr(&noise, i));
	}
	ck_assert(sqnr(&noise, 0) > 30);
	ck_assert(sqnr(&noise, network->count - 1) > 20);
	noise_done(&noise);
}
END_TEST

/* What long training on ImageNet does to a network, in a moment: expansions whose channels differ
 * by up to 32 times in range, and depthwise outputs that lie around 20 instead of 0. */
static void harden(void)
{
	for (size_t i = 0; i < network->count; i++) {
		struct tv_node *expand = &network->nodes[i], *depthwise = expand + 1;
		struct tv_node *project = expand + 2;
		size_t taps;

		if (expand->role != TV_ROLE_EXPAND)
			continue;
		taps = (size_t)depthwise->kernel * depthwise->kernel;
		for (unsigned int c = 0; c < expand->out_channels; c++) {
			float factor = c % 3 ? 1 : (float)(2 << c % 5);
			float offset = c % 4 ? 0 : 20;

			for (unsigned int j = 0; j < expand->in_channels; j++)
				expand->weight[(size_t)c * expand->in_channels + j] *= factor;
			expand->bias[c] *= factor;
			for (size_t j = 0; j < taps; j++)
				depthwise->weight[c * taps + j] /= factor;
			depthwise->bias[c] += offset;
			for (unsigned int o = 0; o < project->out_channels; o++)
				project->bias[o] -=
					offset *
					project->weight[(size_t)o * project->in_channels + c];
		}
	}
}

/* Without a technique the values that it is for are worse, on a network that needs it. */
START_TEST(techniques_help)
{
	static const struct {
		struct tv_quantize_options without;
		enum tv_role role;
		double least; /* dB, on average */
	} cases[] = {
		{ { .no_migration = true }, TV_ROLE_DEPTHWISE, 3 },
		{ { .no_shifting = true }, TV_ROLE_PROJECT, 1 },
		{ { .no_search = true }, TV_ROLE_PROJECT, 0.2 },
		{ { .no_correction = true }, TV_ROLE_LINEAR2, 0 },
	};
	const struct tv_quantize_options none = { 0 };
	struct tv_quantized *with;
	struct noise all;

	if (getenv("TV_SLOW"))
		tv_unit_skip("quantize: what techniques are for", "minutes under emulation");
	harden();
	tv_statistics_free(statistics);
	collect(network, 0, &statistics);
	with = quantize(&none);
	noise_init(&all);
	compare(with, &all);
	for (size_t i = 0; i < TV_ARRAY_SIZE(cases); i++) {
		struct tv_quantized *other = quantize(&cases[i].without);
		double better = 0, count = 0;
		struct noise noise;

		noise_init(&noise);
		compare(other, &noise);
		for (size_t n = 0; n < network->count; n++)
			if (network->nodes[n].role == cases[i].role) {
				better += sqnr(&all, n) - sqnr(&noise, n);
				count++;
			}
		ck_assert_msg(better / count > cases[i].least, "case %zu: %.1f dB", i,
			      better / count);
		noise_done(&noise);
		tv_quantized_free(other);
	}
	noise_done(&all);
	tv_quantized_free(with);
}
END_TEST

/* Sums over pixels and images, channel by channel, of the inputs of projections. */
struct sums {
	const struct tv_quantized *with;
	double **real,
		**coded; /* by node: the float network's value, and zero_point less than codes */
	double pixels[128];
};

static int add_up(const struct tv_node *node, size_t index, float *value, void *userdata)
{
	struct sums *sums = userdata;
	const struct tv_quantized_node *q = &sums->with->nodes[index];
	size_t pixels = (size_t)node->out_height * node->out_width;

	for (size_t j = 0; j < pixels * node->out_channels; j++) {
		size_t c = j % node->out_channels;
		double code = rint((value[j] - q->offset[c]) / q->scale[c]) + q->zero_point;

		sums->real[index][c] += value[j];
		sums->coded[index][c] += fmin(fmax(code, -128), 127) - q->zero_point;
	}
	sums->pixels[index] += (double)pixels;
	return 0;
}

/* How far the mean of an output is off, without what is off before it, squared. */
static double mean_error(const struct sums *sums, size_t index, unsigned int o)
{
	const struct tv_node *node = &network->nodes[index];
	const struct tv_quantized_node *q = &sums->with->nodes[index];
	const struct tv_quantized_node *from = &sums->with->nodes[node->input];
	const struct tv_channel *record = &q->records[o];
	double wanted = node->bias[o], pixels = sums->pixels[node->input], got = record->bias;
	double unit = ldexp(record->multiplier, -15 - record->shift) * q->unit;

	for (unsigned int c = 0; c < node->in_channels; c++) {
		int weight = q->weight[(size_t)o * node->in_channels + c];

		wanted += node->weight[(size_t)o * node->in_channels + c] *
			  sums->real[node->input][c] / pixels;
		/* The bias has -zero_point * weight. */
		got += weight * (sums->coded[node->input][c] / pixels + from->zero_point);
	}
	return (got * unit - wanted) * (got * unit - wanted);
}

/* Mean squared error of the means of all projections' outputs over the calibration images. */
static double mean_errors(const struct tv_quantize_options *options)
{
	_cleanup_(tv_float_runner_freep) struct tv_float_runner *runner = NULL;
	struct sums sums = { .with = quantize(options) };
	struct tv_error error = { 0 };
	double sum = 0, count = 0;
	float logits[16];
	int r = tv_float_runner_new(network, &runner, &error);

	tv_assert_ok(r, error);
	ck_assert_uint_le(network->count, TV_ARRAY_SIZE(sums.pixels));
	sums.real = calloc(network->count, sizeof(double *));
	sums.coded = calloc(network->count, sizeof(double *));
	ck_assert(sums.real && sums.coded);
	for (size_t i = 0; i < network->count; i++) {
		sums.real[i] = calloc(network->nodes[i].out_channels, sizeof(double));
		sums.coded[i] = calloc(network->nodes[i].out_channels, sizeof(double));
		ck_assert(sums.real[i] && sums.coded[i]);
	}
	for (size_t i = 0; i < calibration; i++) {
		struct tv_image image = { 0 };

		r = tv_image_decode_file(folder.images[i].path, &image, &error);
		tv_assert_ok(r, error);
		ck_assert_int_eq(tv_float_run(runner, image.rgb, add_up, &sums, logits), 0);
		tv_image_done(&image);
	}
	for (size_t i = 0; i < network->count; i++) {
		for (unsigned int o = 0; o < network->nodes[i].out_channels; o++)
			if (network->nodes[i].role == TV_ROLE_PROJECT) {
				sum += mean_error(&sums, i, o);
				count++;
			}
	}
	for (size_t i = 0; i < network->count; i++) {
		free(sums.real[i]);
		free(sums.coded[i]);
	}
	free(sums.real);
	free(sums.coded);
	tv_quantized_free((struct tv_quantized *)sums.with);
	return sum / count;
}

/* The bias makes up for what rounding weights and inputs does to an output's mean. Bounds: it is
 * 0.0003 and 0.0008 of the uncorrected error, 0.0012 and 0.0076 if only weights are seen to. */
START_TEST(biases_keep_means)
{
	const struct tv_quantize_options none = { 0 }, plain = { .no_shifting = true };
	const struct tv_quantize_options uncorrected = { .no_correction = true };
	const struct tv_quantize_options neither = { .no_correction = true, .no_shifting = true };
	double with, without;

	if (getenv("TV_SLOW"))
		tv_unit_skip("quantize: means of outputs", "minutes under emulation");
	harden();
	tv_statistics_free(statistics);
	collect(network, 0, &statistics);
	with = mean_errors(&none);
	without = mean_errors(&uncorrected);
	ck_assert_msg(with < 0.0006 * without, "shifted: %g, uncorrected %g", with, without);
	with = mean_errors(&plain);
	without = mean_errors(&neither);
	ck_assert_msg(with < 0.002 * without, "not shifted: %g, uncorrected %g", with, without);
}
END_TEST

START_TEST(threads_change_nothing)
{
	const struct tv_quantize_options all = { 0 };
	const struct tv_emit_program program = { .target = tv_target_by_name("zcu102"),
						 .images = 1 };
	_cleanup_(tv_package_freep) struct tv_package *package = NULL;
	struct tv_error error = { 0 };
	int r = tv_emit(quantized, &program, 1, &package, &error);

	tv_assert_ok(r, error);
	for (unsigned int threads = getenv("TV_SLOW") ? 3 : 1; threads <= 5; threads += 4) {
		_cleanup_(tv_package_freep) struct tv_package *again = NULL;
		struct tv_statistics *seen = NULL;
		struct tv_quantized *result = NULL;

		collect(network, threads, &seen);
		r = tv_quantize(network, seen, &all, &result, &error);
		tv_assert_ok(r, error);
		r = tv_emit(result, &program, 1, &again, &error);
		tv_assert_ok(r, error);
		ck_assert_mem_eq(package->programs[0].program, again->programs[0].program,
				 package->programs[0].header.segment[TV_SEGMENT_PROGRAM]);
		ck_assert_mem_eq(package->programs[0].weights, again->programs[0].weights,
				 package->programs[0].header.segment[TV_SEGMENT_WEIGHTS]);
		tv_quantized_free(result);
		tv_statistics_free(seen);
	}
}
END_TEST

/* What the histograms say of a value is what the float network says. */
START_TEST(statistics_are_true)
{
	const struct tv_node_statistics *seen = &statistics->nodes[0];

	ck_assert_uint_eq(statistics->images, calibration);
	ck_assert_uint_eq(seen->values, (uint64_t)calibration * 48 * 48);
	for (unsigned int c = 0; c < seen->channels; c++) {
		const uint32_t *bins = seen->bins + (size_t)c * TV_STATISTICS_BINS;
		double mean = tv_statistics_moment(seen, c, 0, 1);
		uint64_t sum = 0;

		for (unsigned int b = 0; b < TV_STATISTICS_BINS; b++)
			sum += bins[b];
		ck_assert_uint_eq(sum, seen->values);
		ck_assert(seen->least[c] <= mean && mean <= seen->most[c]);
		/* Hardswish's least value is -0.375 */
		ck_assert(seen->least[c] >= -0.3751f && seen->most[c] > 0);
		ck_assert(tv_statistics_moment(seen, c, mean, 2) <=
			  tv_statistics_moment(seen, c, mean + 0.1, 2));
	}
}
END_TEST

/* A channel without weights, with a large bias: its scale is raised until the bias fits. */
START_TEST(dead_channels)
{
	struct tv_node *node = &network->nodes[1];
	const struct tv_quantize_options all = { 0 };
	float saved[9], bias = node->bias[3];
	struct tv_quantized *result = NULL;
	struct tv_error error = { 0 };
	int r;

	ck_assert_int_eq(node->role, TV_ROLE_DEPTHWISE);
	memcpy(saved, node->weight + 27, sizeof(saved));
	memset(node->weight + 27, 0, sizeof(saved));
	node->bias[3] = 5.5f;
	r = tv_quantize(network, statistics, &all, &result, &error);
	tv_assert_ok(r, error);
	ck_assert_uint_eq(result->nodes[1].dead, 1);
	ck_assert_int_lt(abs(result->nodes[1].records[3].bias), TV_BIAS_LIMIT);
	/* and stands for 5.5 all the same */
	ck_assert_double_eq_tol(tv_requantize(result->nodes[1].records[3].bias,
					      result->nodes[1].records[3].shift,
					      result->nodes[1].records[3].multiplier) *
					result->nodes[1].unit,
				5.5, 0.01);
	memcpy(node->weight + 27, saved, sizeof(saved));
	node->bias[3] = bias;
	tv_quantized_free(result);
}
END_TEST

START_TEST(accumulators_are_proven)
{
	const struct tv_emit_program program = { .target = tv_target_by_name("zcu102"),
						 .images = 1 };
	struct tv_package *package = NULL;
	struct tv_error error = { 0 };
	double widest = quantized->nodes[5].widest;

	for (size_t i = 0; i < network->count; i++)
		if (network->nodes[i].kind == TV_NODE_CONV)
			ck_assert(quantized->nodes[i].widest > 0 &&
				  quantized->nodes[i].widest < 1e9);
	quantized->nodes[5].widest = 3e9;
	ck_assert_int_eq(tv_emit(quantized, &program, 1, &package, &error), -ERANGE);
	ck_assert_ptr_nonnull(strstr(error.text, network->nodes[5].name));
	ck_assert_ptr_null(package);
	quantized->nodes[5].widest = widest;
}
END_TEST

START_TEST(target_files)
{
	static const char good[] = "{\"name\": \"mine\", \"id\": 32769, \"groups\": 8, "
				   "\"epilogue_lanes\": 64, \"clock_mhz\": 150, "
				   "\"onchip\": 1048576, \"dram_mb_s\": 6400}";
	static const struct {
		const char *from, *to, *text;
	} bad[] = {
		{ "mine", "zcu102", "built in" },
		{ "mine", "a/b", "letters, digits" },
		{ "32769", "1", "\"id\"" },
		{ ": 8,", ": 6,", "power of two" },
		{ ": 8,", ": 8.5,", "\"groups\"" },
		{ "\"onchip\"", "\"on_chip\"", "\"onchip\"" },
		{ "{", "[", "line 1" },
	};
	const char *path = tv_unit_file("target.json", good, strlen(good));
	struct tv_target_file file = { 0 };
	struct tv_error error = { 0 };
	int r;

	r = tv_target_find(path, &file, &error);
	tv_assert_ok(r, error);
	ck_assert_str_eq(file.target.name, "mine");
	ck_assert_uint_eq(tv_target_multipliers(&file.target), 1024);
	check_program(&(struct tv_emit_program){ .target = &file.target, .images = 1 });
	for (size_t i = 0; i < TV_ARRAY_SIZE(bad); i++) {
		const char *at = strstr(good, bad[i].from);
		char text[512];

		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, bad[i].to,
			 at + strlen(bad[i].from));
		tv_unit_file("target.json", text, strlen(text));
		error = (struct tv_error){ 0 };
		ck_assert_int_eq(tv_target_find(path, &file, &error), -EBADMSG);
		ck_assert_msg(strstr(error.text, bad[i].text) && strstr(error.text, "target.json"),
			      "%s", error.text);
	}
	error = (struct tv_error){ 0 };
	ck_assert_int_eq(tv_target_find("zcu103", &file, &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "zcu102, kv260"));
}
END_TEST

START_TEST(refusals)
{
	struct tv_statistics *seen = NULL;
	struct tv_error error = { 0 };

	ck_assert_int_eq(tv_statistics_collect(network, folder.images, 0, 1, NULL, NULL, &seen,
					       &error),
			 -ENODATA);
	ck_assert_ptr_nonnull(strstr(error.text, "at least one"));
	ck_assert_ptr_null(seen);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { programs_compute_the_network,
				       codes_stand_for_values,
				       techniques_help,
				       biases_keep_means,
				       threads_change_nothing,
				       statistics_are_true,
				       dead_channels,
				       accumulators_are_proven,
				       refusals };
	Suite *suite = suite_create("quantize");
	TCase *tcase = tcase_create("demo");

	tcase_add_unchecked_fixture(tcase, set_up, tear_down);
	for (size_t i = 0; i < TV_ARRAY_SIZE(tests); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("files");
	tcase_add_unchecked_fixture(tcase, set_up, tear_down);
	tcase_add_checked_fixture(tcase, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_test(tcase, target_files);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
