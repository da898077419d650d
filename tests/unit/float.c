/* SPDX-License-Identifier: MIT */
/*
 * The float forward pass, next to PyTorch's. tests/data/float holds what PyTorch computes, with
 * generate.py that made it: of the demo's checkpoint on real images, and of random checkpoints,
 * which both sides make from the same seeds, on random images.
 */
#include "quantizer/float.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/parallel.h"
#include "common/safetensors.h"
#include "model/answer.h"
#include "quantizer/checkpoint.h"
#include "tests/unit/directory.h"

/* What float32 sums in another order come to; ten times and more of what was seen. */
#define TOLERANCE 1e-4
#define SEED	  1 /* of random checkpoints and images */

struct fixture {
	struct tv_network *network;
	struct tv_float_runner *runner;
};

static void fixture_done(struct fixture *fixture)
{
	tv_float_runner_free(fixture->runner);
	tv_network_free(fixture->network);
}

static struct fixture open_checkpoint(const char *path)
{
	struct fixture fixture = { 0 };
	struct tv_error error = { 0 };

	tv_assert_ok(tv_checkpoint_read(path, NULL, &fixture.network, &error), error);
	tv_assert_ok(tv_float_runner_new(fixture.network, &fixture.runner, &error), error);
	return fixture;
}

static struct fixture open_random(const struct tv_architecture *architecture, enum tv_naming naming,
				  unsigned int size, const char *path)
{
	struct tv_error error = { 0 };

	tv_assert_ok(tv_checkpoint_write_random(architecture, naming, size, SEED, path, &error),
		     error);
	return open_checkpoint(path);
}

static struct tv_safetensors *open_vectors(const char *path)
{
	struct tv_safetensors *file = NULL;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_safetensors_open(path, &file, &error), error);
	return file;
}

/* Patches of 16 x 16 pixels of one colour, with noise of a quarter of the range on them; the same
 * as generate.py's. The caller's to free. */
static uint8_t *random_image(uint64_t seed, unsigned int size)
{
	uint8_t *noise = malloc((size_t)size * size * 3);
	uint8_t *image = malloc((size_t)size * size * 3);

	ck_assert(noise && image);
	for (size_t i = 0; i < (size_t)size * size * 3; i++)
		noise[i] = (uint8_t)tv_unit_random(&seed);
	for (unsigned int y = 0; y < size; y++) {
		for (unsigned int x = 0; x < size; x++) {
			const size_t pixel = ((size_t)y * size + x) * 3;
			const size_t patch = ((size_t)(y & ~15u) * size + (x & ~15u)) * 3;

			for (unsigned int c = 0; c < 3; c++)
				image[pixel + c] = (3 * noise[patch + c] + noise[pixel + c]) / 4;
		}
	}
	free(noise);
	return image;
}

/* max |a - b| / max |b| */
static double difference(const float *a, const float *b, size_t count)
{
	double largest = 0, scale = 0;

	for (size_t i = 0; i < count; i++) {
		ck_assert(isfinite(a[i]));
		largest = fmax(largest, fabs((double)a[i] - b[i]));
		scale = fmax(scale, fabs((double)b[i]));
	}
	return largest / scale;
}

/* Runs the images of a file of vectors, the first few under emulation, and compares with its
 * logits. */
static void compare_with_vectors(const struct fixture *fixture, const char *path)
{
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = open_vectors(path);
	const struct tv_tensor *inputs = tv_safetensors_find(file, "inputs");
	const struct tv_tensor *expected = tv_safetensors_find(file, "logits");
	const unsigned int classes = fixture->network->architecture.classes;
	const size_t image = (size_t)fixture->network->size * fixture->network->size * 3;
	double largest = 0;
	uint64_t count;

	ck_assert(inputs && expected && classes <= 16);
	count = getenv("TV_SLOW") ? 8 : inputs->shape[0];
	ck_assert_uint_le(count, inputs->shape[0]);
	ck_assert_uint_eq(inputs->size, inputs->shape[0] * image);
	ck_assert_uint_eq(expected->elements, inputs->shape[0] * classes);
	for (size_t i = 0; i < count; i++) {
		float logits[16], reference[16];
		unsigned int best, reference_best;

		ck_assert_int_eq(tv_float_run(fixture->runner, inputs->data + i * image, NULL, NULL,
					      logits),
				 0);
		ck_assert_int_eq(tv_tensor_to_float(expected, i * classes, classes, reference), 0);
		largest = fmax(largest, difference(logits, reference, classes));
		tv_top_k(logits, classes, 1, &best);
		tv_top_k(reference, classes, 1, &reference_best);
		ck_assert_uint_eq(best, reference_best);
	}
	printf("# largest difference of %u images: %.2g\n", (unsigned int)count, largest);
	ck_assert_double_lt(largest, TOLERANCE);
}

START_TEST(demo_is_what_pytorch_computes)
{
	_cleanup_(fixture_done) struct fixture fixture =
		open_checkpoint(tv_unit_source("demo/shapes16-b0.safetensors"));

	ck_assert_uint_eq(fixture.network->size, 96);
	ck_assert_uint_eq(fixture.network->resize, 96);
	ck_assert_str_eq(fixture.network->labels[0], "disk_stripes");
	ck_assert_str_eq(fixture.network->labels[15], "bar2_checker");
	compare_with_vectors(&fixture, tv_unit_source("tests/data/float/demo-logits.safetensors"));
}
END_TEST

static const char *const trained[] = { "shapes16-b0", "shapes16-b0-outliers" };

START_TEST(trained_networks_are_what_pytorch_computes)
{
	_cleanup_(fixture_done) struct fixture fixture = { 0 };
	char folder[64], path[PATH_MAX + 64];

	snprintf(folder, sizeof(folder), "../shared/models/%s", trained[_i]);
	snprintf(path, sizeof(path), "%s/model.safetensors", tv_unit_source(folder));
	if (access(path, R_OK) < 0)
		tv_unit_skip("trained networks", "no %s", path);
	fixture = open_checkpoint(path);
	snprintf(path, sizeof(path), "%s/expected.safetensors", tv_unit_source(folder));
	compare_with_vectors(&fixture, path);
}
END_TEST

/* Members of generate.py's table; odd has no width that a vector register likes, point comes down
 * to one pixel, and both reach beyond every border. */
static const struct {
	const char *name;
	struct tv_architecture architecture;
	unsigned int size;
	bool large;
} members[] = {
	{ "b1",
	  { { 16, 32, 64, 128, 256 }, { 1, 2, 3, 3, 4 }, 16, { 1536, 1600 }, 1000, 4 },
	  224,
	  false },
	{ "odd", { { 5, 7, 11, 24, 36 }, { 2, 1, 2, 1, 2 }, 12, { 50, 70 }, 37, 3 }, 160, false },
	{ "point", { { 4, 4, 4, 4, 4 }, { 1, 1, 1, 1, 1 }, 4, { 4, 4 }, 2, 1 }, 32, false },
	{ "b2",
	  { { 24, 48, 96, 192, 384 }, { 1, 3, 4, 4, 6 }, 32, { 2304, 2560 }, 1000, 4 },
	  256,
	  true },
	{ "b3",
	  { { 32, 64, 128, 256, 512 }, { 1, 4, 6, 6, 9 }, 32, { 2304, 2560 }, 1000, 4 },
	  288,
	  true },
};

START_TEST(random_networks_are_what_pytorch_computes)
{
	const unsigned int classes = members[_i].architecture.classes;
	const char *folder = getenv("TV_FLOAT_CHECKPOINTS");
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	_cleanup_(fixture_done) struct fixture fixture = { 0 };
	_cleanup_free_ uint8_t *image = random_image(SEED, members[_i].size);
	const struct tv_tensor *expected;
	float logits[1000], reference[1000];
	char path[PATH_MAX];

	if (members[_i].large && getenv("TV_SLOW"))
		tv_unit_skip("large networks", "minutes under emulation");
	snprintf(path, sizeof(path), "%s/%s.safetensors", folder ? folder : tv_unit_directory,
		 members[_i].name);
	fixture = open_random(&members[_i].architecture, TV_NAMING_MIT, members[_i].size, path);
	ck_assert_int_eq(tv_float_run(fixture.runner, image, NULL, NULL, logits), 0);

	file = open_vectors(tv_unit_source("tests/data/float/random-logits.safetensors"));
	expected = tv_safetensors_find(file, members[_i].name);
	ck_assert(expected && expected->elements == classes);
	ck_assert_int_eq(tv_tensor_to_float(expected, 0, classes, reference), 0);
	printf("# %s: difference %.2g\n", members[_i].name, difference(logits, reference, classes));
	ck_assert_double_lt(difference(logits, reference, classes), TOLERANCE);
}
END_TEST

#define SMALL 1 /* of members[]: what takes next to no time */

static struct fixture open_small(void)
{
	return open_random(&members[SMALL].architecture, TV_NAMING_MIT, members[SMALL].size,
			   tv_unit_path("small.safetensors"));
}

#define SMALL_CLASSES 37

/* With the epsilon that timm has on top, too little to see; with the same one, bit for bit. */
START_TEST(namings_compute_the_same)
{
	_cleanup_(fixture_done) struct fixture mit = open_small();
	_cleanup_(fixture_done) struct fixture timm =
		open_random(&members[SMALL].architecture, TV_NAMING_TIMM, members[SMALL].size,
			    tv_unit_path("timm.safetensors"));
	_cleanup_free_ uint8_t *image = random_image(3, members[SMALL].size);
	float logits[SMALL_CLASSES], other[SMALL_CLASSES];

	ck_assert_int_eq(tv_float_run(mit.runner, image, NULL, NULL, logits), 0);
	ck_assert_int_eq(tv_float_run(timm.runner, image, NULL, NULL, other), 0);
	ck_assert_double_lt(difference(other, logits, SMALL_CLASSES), TOLERANCE);
	ck_assert_mem_ne(other, logits, sizeof(logits));

	for (size_t i = 0; i < timm.network->count; i++)
		timm.network->nodes[i].epsilon = mit.network->nodes[i].epsilon;
	ck_assert_int_eq(tv_float_run(timm.runner, image, NULL, NULL, other), 0);
	ck_assert_mem_eq(other, logits, sizeof(logits));
}
END_TEST

#define IMAGES 24u

struct batch {
	const struct tv_network *network;
	struct tv_float_runner *runners[5];
	uint8_t *images[IMAGES];
	float logits[IMAGES][SMALL_CLASSES];
};

static int run_item(size_t index, unsigned int worker, void *userdata, struct tv_error *error)
{
	struct batch *batch = userdata;

	return tv_float_run(batch->runners[worker], batch->images[index], NULL, NULL,
			    batch->logits[index]);
}

START_TEST(threads_do_not_change_a_bit)
{
	static const unsigned int threads[] = { 1, 2, 5 };
	static struct batch batch;
	static float first[IMAGES][SMALL_CLASSES];
	_cleanup_(fixture_done) struct fixture fixture = open_small();
	struct tv_error error = { 0 };

	for (size_t i = 0; i < TV_ARRAY_SIZE(batch.runners); i++)
		tv_assert_ok(tv_float_runner_new(fixture.network, &batch.runners[i], &error),
			     error);
	for (size_t i = 0; i < IMAGES; i++)
		batch.images[i] = random_image(100 + i, members[SMALL].size);
	for (size_t i = 0; i < TV_ARRAY_SIZE(threads); i++) {
		memset(batch.logits, 0, sizeof(batch.logits));
		tv_assert_ok(tv_parallel_for(IMAGES, threads[i], run_item, NULL, &batch, &error),
			     error);
		if (i == 0)
			memcpy(first, batch.logits, sizeof(first));
		ck_assert_mem_eq(batch.logits, first, sizeof(first));
	}
	/* Had the image no influence, all of the above would hold as well. */
	ck_assert_double_gt(difference(first[0], first[1], SMALL_CLASSES), 1e-3);
	for (size_t i = 0; i < IMAGES; i++)
		free(batch.images[i]);
	for (size_t i = 0; i < TV_ARRAY_SIZE(batch.runners); i++)
		tv_float_runner_free(batch.runners[i]);
}
END_TEST

/* What an observer saw, and what it is to do. */
struct observation {
	const struct tv_network *network;
	size_t seen;
	size_t zero; /* the node whose value becomes zeros */
	size_t stop; /* the node after which the pass ends */
	float last[SMALL_CLASSES];
};

static int observe(const struct tv_node *node, size_t index, float *value, void *userdata)
{
	struct observation *seen = userdata;
	const size_t count = (size_t)node->out_height * node->out_width * node->out_channels;
	bool finite = true, biased = true;

	ck_assert_uint_eq(index, seen->seen++);
	ck_assert_ptr_eq(node, &seen->network->nodes[index]);
	for (size_t i = 0; i < count; i++) {
		finite = finite && isfinite(value[i]);
		biased = biased && node->bias && value[i] == node->bias[i % node->out_channels];
	}
	ck_assert_msg(finite, "%s", node->name);
	/* A projection of zeros is its bias everywhere. */
	ck_assert_msg(index != seen->zero + 1 || biased, "%s", node->name);
	if (index == seen->zero)
		memset(value, 0, count * sizeof(*value));
	if (index == seen->network->count - 1)
		memcpy(seen->last, value, sizeof(seen->last));
	return index == seen->stop ? -EINTR : 0;
}

START_TEST(observers_see_and_change_values)
{
	_cleanup_(fixture_done) struct fixture fixture = open_small();
	_cleanup_free_ uint8_t *image = random_image(4, members[SMALL].size);
	struct observation seen = { .network = fixture.network, .zero = 1000, .stop = 1000 };
	float plain[SMALL_CLASSES], logits[SMALL_CLASSES];

	ck_assert_int_eq(tv_float_run(fixture.runner, image, NULL, NULL, plain), 0);
	ck_assert_int_eq(tv_float_run(fixture.runner, image, observe, &seen, logits), 0);
	ck_assert_uint_eq(seen.seen, fixture.network->count);
	ck_assert_mem_eq(logits, plain, sizeof(plain));
	ck_assert_mem_eq(logits, seen.last, sizeof(plain));

	/* The depthwise output before the first projection without a shortcut. */
	for (size_t i = 0; i < fixture.network->count; i++) {
		const struct tv_node *node = &fixture.network->nodes[i];

		if (node->role == TV_ROLE_PROJECT && node->shortcut == TV_NETWORK_NONE) {
			seen.zero = i - 1;
			break;
		}
	}
	seen.seen = 0;
	ck_assert_int_eq(tv_float_run(fixture.runner, image, observe, &seen, logits), 0);
	ck_assert_mem_ne(logits, plain, sizeof(plain));

	seen.seen = 0;
	seen.stop = 7;
	ck_assert_int_eq(tv_float_run(fixture.runner, image, observe, &seen, logits), -EINTR);
	ck_assert_uint_eq(seen.seen, 8);

	/* Nothing of a pass is left for the next. */
	ck_assert_int_eq(tv_float_run(fixture.runner, image, NULL, NULL, logits), 0);
	ck_assert_mem_eq(logits, plain, sizeof(plain));
}
END_TEST

START_TEST(networks_without_weights_do_not_run)
{
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	struct tv_float_runner *runner = NULL;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_network_new(&members[SMALL].architecture, 32, &network, &error), error);
	ck_assert_int_eq(tv_float_runner_new(network, &runner, &error), -EINVAL);
	ck_assert_ptr_null(runner);
	ck_assert_ptr_nonnull(strstr(error.text, "stem.conv: no weights"));
}
END_TEST

START_TEST(best_classes_come_first)
{
	static const float logits[] = { 1, NAN, 3, -INFINITY, 3, INFINITY, NAN, -0.0f, 0 };
	static const unsigned int order[] = { 5, 2, 4, 0, 7, 8, 3, 1, 6 };
	static const float nothing[] = { NAN, NAN, NAN };

	for (unsigned int k = 0; k <= TV_ARRAY_SIZE(order); k++) {
		unsigned int best[TV_ARRAY_SIZE(order) + 1];

		memset(best, 0xff, sizeof(best));
		tv_top_k(logits, TV_ARRAY_SIZE(logits), k, best);
		for (unsigned int i = 0; i < k; i++)
			ck_assert_uint_eq(best[i], order[i]);
		ck_assert_uint_eq(best[k], 0xffffffff);
	}
	for (unsigned int k = 1; k <= 5; k++) {
		unsigned int best[5];

		tv_top_k(nothing, TV_ARRAY_SIZE(nothing), k, best);
		for (unsigned int i = 0; i < k && i < 3; i++)
			ck_assert_uint_eq(best[i], i);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("float");
	TCase *reference = tcase_create("reference");
	TCase *runner = tcase_create("runner");

	tcase_add_test(reference, demo_is_what_pytorch_computes);
	tcase_add_loop_test(reference, trained_networks_are_what_pytorch_computes, 0,
			    TV_ARRAY_SIZE(trained));
	tcase_add_loop_test(reference, random_networks_are_what_pytorch_computes, 0,
			    TV_ARRAY_SIZE(members));
	tcase_add_test(reference, namings_compute_the_same);
	tcase_add_test(runner, threads_do_not_change_a_bit);
	tcase_add_test(runner, observers_see_and_change_values);
	tcase_add_test(runner, networks_without_weights_do_not_run);
	tcase_add_test(runner, best_classes_come_first);
	tcase_add_checked_fixture(reference, tv_unit_directory_make, tv_unit_directory_remove);
	tcase_add_checked_fixture(runner, tv_unit_directory_make, tv_unit_directory_remove);
	suite_add_tcase(suite, reference);
	suite_add_tcase(suite, runner);
	return tv_unit_main(suite);
}
