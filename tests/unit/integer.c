/* SPDX-License-Identifier: MIT */
/*
 * The runner of integer networks: that it feeds and reads the machine right (the arithmetic itself
 * is the functional model's and tested there), and layers by themselves.
 */
#include <errno.h>
#include <math.h>

#include "quantizer/integer.h"
#include "quantizer/isolate.h"
#include "tests/unit/package-make.h"

#define SIZE   PACKAGE_SMALL_SIZE
#define IMAGE  (SIZE * SIZE * 3)
#define LOGITS 5
#define IMAGES 4

static struct tv_package *package;
static struct tv_network *network;
static uint8_t rgb[IMAGES * IMAGE];

static const struct package_of programs[] = {
	{ "zcu102", 1 },
	{ "zcu102", 4 },
	{ "zynq7020", 1 },
	{ "kv260", 3 },
};

static void setup(void)
{
	struct tv_error error = { 0 };
	uint64_t state = 42;

	package = package_make(&package_small, SIZE, programs, TV_ARRAY_SIZE(programs));
	tv_assert_ok(tv_network_new(&package_small, SIZE, &network, &error), error);
	for (size_t i = 0; i < sizeof(rgb); i++)
		rgb[i] = (uint8_t)tv_unit_random(&state);
}

static void teardown(void)
{
	tv_package_free(package);
	tv_network_free(network);
}

static struct tv_integer_runner *make_runner(size_t program)
{
	struct tv_integer_runner *runner = NULL;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_integer_runner_new(package, &package->programs[program], NULL, &runner,
					   &error),
		     error);
	return runner;
}

static void run(struct tv_integer_runner *runner, const uint8_t *images, unsigned int count,
		tv_integer_observer observer, void *userdata, int16_t *logits)
{
	struct tv_error error = { 0 };
	struct tv_record record;

	tv_assert_ok(tv_integer_run(runner, images, count, observer, userdata, logits, &record,
				    &error),
		     error);
	ck_assert_int_eq(record.fault, TV_FAULT_NONE);
}

/* Each image by itself on the first program. */
static void run_one_by_one(int16_t *logits)
{
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = make_runner(0);

	for (unsigned int i = 0; i < IMAGES; i++)
		run(runner, rgb + i * IMAGE, 1, NULL, NULL, logits + i * LOGITS);
}

START_TEST(batches)
{
	int16_t expected[IMAGES * LOGITS], logits[IMAGES * LOGITS];

	run_one_by_one(expected);
	/* Random weights that see nothing of the image would prove nothing. */
	for (unsigned int i = 1; i < IMAGES; i++)
		ck_assert_mem_ne(expected, expected + i * LOGITS, LOGITS * sizeof(*expected));
	for (size_t p = 0; p < TV_ARRAY_SIZE(programs); p++) {
		_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner =
			make_runner(p);

		/* Each number of images, from more to less and back: nothing stays behind. */
		for (unsigned int round = 0; round < 2 * programs[p].images; round++) {
			unsigned int count = round < programs[p].images ?
						     programs[p].images - round :
						     round - programs[p].images + 1;
			unsigned int first = IMAGES - count;

			memset(logits, 0x55, sizeof(logits));
			run(runner, rgb + first * IMAGE, count, NULL, NULL, logits);
			ck_assert_mem_eq(logits, expected + first * LOGITS,
					 count * LOGITS * sizeof(*logits));
			if (count < IMAGES)
				ck_assert_int_eq(logits[count * LOGITS], 0x5555);
		}
	}
}
END_TEST

/* All values of all images, as an observer has seen them. */
struct seen {
	int16_t *codes[IMAGES][128];
	size_t elements[128];
	bool wide[128];
};

static void remember(const struct tv_integer_value *value, void *userdata)
{
	struct seen *seen = userdata;
	size_t elements = (size_t)value->height * value->width * value->channels;
	int16_t **codes = &seen->codes[value->image][value->index];

	ck_assert_ptr_eq(value->node, &package->nodes[value->index]);
	ck_assert_ptr_null(*codes);
	*codes = calloc(elements, sizeof(**codes));
	ck_assert_ptr_nonnull(*codes);
	for (size_t i = 0; i < elements; i++)
		(*codes)[i] = (int16_t)tv_integer_code(value, i);
	seen->elements[value->index] = elements;
	seen->wide[value->index] = value->wide;
	/* scale and offset of the channel */
	ck_assert_float_eq_tol(tv_integer_real(value, elements - 1),
			       value->node->scale[value->channels - 1] *
					       (float)(*codes)[elements - 1] +
				       value->node->offset[value->channels - 1],
			       1e-6f);
}

static void forget(struct seen *seen)
{
	for (unsigned int i = 0; i < IMAGES; i++)
		for (size_t n = 0; n < TV_ARRAY_SIZE(seen->codes[i]); n++)
			free(seen->codes[i][n]);
}

START_TEST(observed)
{
	static struct seen alone, together;
	int16_t logits[IMAGES * LOGITS], again[IMAGES * LOGITS];
	struct tv_integer_runner *runner = make_runner(0);

	run(runner, rgb, 1, remember, &alone, logits);
	tv_integer_runner_free(runner);
	for (size_t p = 1; p < TV_ARRAY_SIZE(programs); p++) {
		unsigned int count = programs[p].images > 2 ? programs[p].images - 1 : 1;

		memset(&together, 0, sizeof(together));
		runner = make_runner(p);
		run(runner, rgb, count, remember, &together, again);
		ck_assert_mem_eq(logits, again, LOGITS * sizeof(*logits));
		for (size_t n = 0; n < network->count; n++) {
			const struct tv_node *node = &network->nodes[n];

			ck_assert_uint_eq(together.elements[n], (size_t)node->out_height *
									node->out_width *
									node->out_channels);
			for (unsigned int i = 0; i < IMAGES; i++)
				ck_assert_int_eq(!!together.codes[i][n], i < count);
			ck_assert_mem_eq(alone.codes[0][n], together.codes[0][n],
					 alone.elements[n] * sizeof(int16_t));
		}
		ck_assert(together.wide[network->count - 1] && !together.wide[0]);
		/* The last node's value are the logits. */
		for (unsigned int i = 0; i < count; i++)
			ck_assert_mem_eq(together.codes[i][network->count - 1], again + i * LOGITS,
					 LOGITS * sizeof(*again));
		tv_integer_runner_free(runner);
		forget(&together);
	}
	forget(&alone);
}
END_TEST

/* A program that takes its images one by one through the first layers. */
START_TEST(observed_apart)
{
	static const struct package_of of[] = { { "zynq7020", 1 }, { "zynq7020", IMAGES } };
	static struct seen alone, together;
	const size_t image = 96 * 96 * 3;
	_cleanup_free_ uint8_t *images = calloc(IMAGES, image);
	_cleanup_free_ int16_t *logits = calloc(IMAGES, 1000 * sizeof(*logits));
	struct tv_integer_runner *runner;
	struct tv_architecture b0;
	struct tv_error error = { 0 };
	uint64_t state = 7;
	unsigned int last = 0;

	ck_assert(images && logits);
	for (size_t i = 0; i < IMAGES * image; i++)
		images[i] = (uint8_t)tv_unit_random(&state);
	tv_package_free(package);
	tv_assert_ok(tv_architecture_by_name("b0", &b0, &error), error);
	package = package_make(&b0, 96, of, TV_ARRAY_SIZE(of));
	for (uint32_t i = 0; i < package->programs[1].header.commands; i++)
		if (package->programs[1].steps[i].image > last)
			last = package->programs[1].steps[i].image;
	ck_assert_uint_eq(last, IMAGES - 1);
	runner = make_runner(1);
	run(runner, images, IMAGES, remember, &together, logits);
	tv_integer_runner_free(runner);
	runner = make_runner(0);
	for (unsigned int i = 0; i < IMAGES; i++) {
		memset(&alone, 0, sizeof(alone));
		run(runner, images + i * image, 1, remember, &alone, logits);
		for (size_t n = 0; n < package->node_count; n++)
			ck_assert_mem_eq(alone.codes[0][n], together.codes[i][n],
					 alone.elements[n] * sizeof(int16_t));
		forget(&alone);
	}
	tv_integer_runner_free(runner);
	forget(&together);
}
END_TEST

/* Codes of the integer network itself as inputs of each layer: then a layer by itself puts out what
 * it did in the network, chains and all. */
START_TEST(isolated_layers)
{
	static struct seen seen;
	void *codes[128] = { 0 };
	int16_t logits[IMAGES * LOGITS];
	struct tv_integer_runner *runner = make_runner(1);

	run(runner, rgb, 2, remember, &seen, logits);
	tv_integer_runner_free(runner);
	for (size_t n = 0; n < network->count; n++) {
		codes[n] = calloc(seen.elements[n], sizeof(int16_t));
		ck_assert_ptr_nonnull(codes[n]);
		for (size_t i = 0; i < seen.elements[n]; i++)
			if (seen.wide[n])
				((int16_t *)codes[n])[i] = seen.codes[1][n][i];
			else
				((int8_t *)codes[n])[i] = (int8_t)seen.codes[1][n][i];
	}
	for (size_t p = 0; p < TV_ARRAY_SIZE(programs); p++) {
		_cleanup_(tv_isolate_freep) struct tv_isolate *isolate = NULL;
		struct tv_error error = { 0 };

		tv_assert_ok(tv_isolate_new(package, &package->programs[p], NULL, network, &isolate,
					    &error),
			     error);
		for (size_t n = 0; n < network->count; n++) {
			_cleanup_free_ uint8_t *result = calloc(seen.elements[n], 2);

			ck_assert_uint_eq(tv_isolate_elements(isolate, n), seen.elements[n]);
			ck_assert_int_eq(tv_isolate_wide(isolate, n), seen.wide[n]);
			tv_assert_ok(tv_isolate_run(isolate, n, rgb + IMAGE, codes, result, &error),
				     error);
			ck_assert_msg(memcmp(result, codes[n],
					     seen.elements[n] * (seen.wide[n] ? 2 : 1)) == 0,
				      "%s of program %zu", network->nodes[n].name, p);
		}
	}
	for (size_t n = 0; n < network->count; n++)
		free(codes[n]);
	forget(&seen);
}
END_TEST

START_TEST(nearest_codes)
{
	_cleanup_(tv_isolate_freep) struct tv_isolate *isolate = NULL;
	size_t logits = network->count - 1;
	const float scale = package->nodes[logits].scale[0],
		    offset = package->nodes[logits].offset[0];
	float values[LOGITS] = { offset + 3.4f * scale, 1e9f, -INFINITY, NAN, 0 };
	struct tv_error error = { 0 };
	int16_t codes[LOGITS];

	tv_assert_ok(tv_isolate_new(package, &package->programs[0], NULL, network, &isolate,
				    &error),
		     error);
	tv_isolate_codes(isolate, logits, values, codes);
	ck_assert_int_eq(codes[0], 3);
	ck_assert_int_eq(codes[1], INT16_MAX);
	ck_assert_int_eq(codes[2], INT16_MIN);
	ck_assert_int_eq(codes[3], 0);
}
END_TEST

START_TEST(other_network)
{
	struct tv_architecture other = package_small;
	_cleanup_(tv_network_freep) struct tv_network *wrong = NULL;
	struct tv_isolate *isolate = NULL;
	struct tv_error error = { 0 };

	other.widths[2] += 8;
	tv_assert_ok(tv_network_new(&other, SIZE, &wrong, &error), error);
	ck_assert_int_eq(tv_isolate_new(package, &package->programs[0], NULL, wrong, &isolate,
					&error),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "made from another network"));
	tv_network_free(wrong);
	error = (struct tv_error){ 0 };
	tv_assert_ok(tv_network_new(&package_small, 64, &wrong, &error), error);
	ck_assert_int_eq(tv_isolate_new(package, &package->programs[0], NULL, wrong, &isolate,
					&error),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "made from another"));
	/* Same names and channels, another shape: nothing of it must be written anywhere. */
	error = (struct tv_error){ 0 };
	network->nodes[3].in_height++;
	ck_assert_int_eq(tv_isolate_new(package, &package->programs[0], NULL, network, &isolate,
					&error),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "another shape"));
	network->nodes[3].in_height--;
	network->nodes[4].shortcut = network->nodes[4].shortcut < 0 ? 1 : TV_NETWORK_NONE;
	ck_assert_int_eq(tv_isolate_new(package, &package->programs[0], NULL, network, &isolate,
					NULL),
			 -EINVAL);
}
END_TEST

START_TEST(refused)
{
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = make_runner(1);
	struct tv_integer_runner *none = NULL;
	struct tv_error error = { 0 };
	int16_t logits[IMAGES * LOGITS];

	ck_assert_int_eq(tv_integer_run(runner, rgb, 0, NULL, NULL, logits, NULL, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "1 to 4"));
	ck_assert_int_eq(tv_integer_run(runner, rgb, 5, NULL, NULL, logits, NULL, NULL), -EINVAL);
	snprintf(package->programs[0].target, sizeof(package->programs[0].target), "mine");
	error = (struct tv_error){ 0 };
	ck_assert_int_eq(tv_integer_runner_new(package, &package->programs[0], NULL, &none, &error),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "'mine' is not built in"));
}
END_TEST

/* It needs nothing of the one that it was made like. */
START_TEST(twin)
{
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = make_runner(1);
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *other = NULL;
	int16_t logits[IMAGES * LOGITS], expected[IMAGES * LOGITS];
	struct tv_error error = { 0 };

	run(runner, rgb, IMAGES, NULL, NULL, expected);
	tv_assert_ok(tv_integer_runner_twin(runner, &other, &error), error);
	tv_integer_runner_free(TV_TAKE_PTR(runner));
	run(other, rgb, IMAGES, NULL, NULL, logits);
	ck_assert_mem_eq(logits, expected, sizeof(logits));
}
END_TEST

/* Byte `at` of command i of program 0. */
static uint8_t *command_byte(unsigned int i, unsigned int at)
{
	return package->owned[0] + TV_PROGRAM_HEADER_SIZE + i * TV_COMMAND_SIZE + at;
}

START_TEST(faults)
{
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = NULL;
	int16_t logits[LOGITS];
	struct tv_error error = { 0 };
	struct tv_record record;

	/* The second command's output lies far away. */
	*command_byte(1, 32 + 3) = 0x40;
	runner = make_runner(0);
	ck_assert_int_eq(tv_integer_run(runner, rgb, 1, NULL, NULL, logits, &record, &error), -EIO);
	ck_assert_int_eq(record.fault, TV_FAULT_SEGMENT);
	ck_assert_uint_eq(record.command, 1);
	ck_assert_ptr_nonnull(strstr(error.text, "command 1 (stem.block1."));
	ck_assert_ptr_nonnull(strstr(error.text, "segment violation"));
	tv_integer_runner_free(runner);
	*command_byte(1, 32 + 3) = 0;
	runner = make_runner(0);
	run(runner, rgb, 1, NULL, NULL, logits);
	tv_integer_runner_free(runner);
	/* The job itself: a program for another machine. */
	package->owned[0][6] = 9;
	runner = make_runner(0);
	error = (struct tv_error){ 0 };
	ck_assert_int_eq(tv_integer_run(runner, rgb, 1, NULL, NULL, logits, NULL, &error), -EIO);
	ck_assert_ptr_nonnull(strstr(error.text, "the job: bad target"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("integer");
	TCase *tcase = tcase_create("runner");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, batches);
	tcase_add_test(tcase, observed);
	tcase_add_test(tcase, observed_apart);
	tcase_add_test(tcase, isolated_layers);
	tcase_add_test(tcase, nearest_codes);
	tcase_add_test(tcase, other_network);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, twin);
	tcase_add_test(tcase, faults);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
