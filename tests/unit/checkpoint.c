/* SPDX-License-Identifier: MIT */
/* Reading checkpoints: both namings, and what may vary. */
#include <math.h>

#include "common/digest.h"
#include "tests/unit/checkpoint-edit.h"

static void assert_same_weights(const struct tv_network *a, const struct tv_network *b,
				float tolerance)
{
	ck_assert_uint_eq(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		const struct tv_node *x = &a->nodes[i], *y = &b->nodes[i];
		const size_t weights =
			x->kind == TV_NODE_NORM
				? x->out_channels
				: (size_t)x->out_channels * x->kernel * x->kernel *
					  (x->groups ? x->in_channels / x->groups : 0);

		ck_assert_str_eq(x->name, y->name);
		for (size_t k = 0; k < weights; k++)
			ck_assert(fabsf(x->weight[k] - y->weight[k]) <= tolerance);
		for (size_t k = 0; x->bias && k < x->out_channels; k++)
			ck_assert(fabsf(x->bias[k] - y->bias[k]) <= tolerance);
	}
}

START_TEST(architecture_is_told_by_the_shapes)
{
	static const char *const names[] = { MIT, TIMM };

	for (size_t i = 0; i < TV_ARRAY_SIZE(names); i++) {
		_cleanup_(tv_network_freep) struct tv_network *network = read_file(names[i], NULL);

		ck_assert_mem_eq(&network->architecture, &small, sizeof(small));
		ck_assert_int_eq(network->naming, i == 0 ? TV_NAMING_MIT : TV_NAMING_TIMM);
		ck_assert_uint_eq(network->size, 64);
		for (size_t k = 0; k < network->count; k++) {
			if (network->nodes[k].kind == TV_NODE_ATTENTION)
				ck_assert_float_eq(network->nodes[k].epsilon,
						   i == 0 ? 1e-15f : 1e-5f);
			if (network->nodes[k].kind == TV_NODE_NORM)
				ck_assert_float_eq(network->nodes[k].epsilon, 1e-5f);
		}
	}
}
END_TEST

START_TEST(namings_differ_in_names_only)
{
	_cleanup_(tv_network_freep) struct tv_network *mit = read_file(MIT, NULL);
	_cleanup_(tv_network_freep) struct tv_network *timm = read_file(TIMM, NULL);

	assert_same_weights(mit, timm, 0);
}
END_TEST

/* The names that the two projects' code gives; a slip here and no user's file is read. */
static const struct {
	const char *file, *name;
	unsigned int rank;
	uint64_t shape[4];
} known_tensors[] = {
	{ MIT, "backbone.input_stem.op_list.0.conv.weight", 4, { 4, 3, 3, 3 } },
	{ MIT, "backbone.input_stem.op_list.0.norm.num_batches_tracked", 0, { 0 } },
	{ MIT, "backbone.input_stem.op_list.1.main.depth_conv.conv.weight", 4, { 4, 1, 3, 3 } },
	{ MIT, "backbone.input_stem.op_list.1.main.point_conv.norm.running_var", 1, { 4 } },
	{ MIT, "backbone.stages.0.op_list.1.main.inverted_conv.norm.bias", 1, { 12 } },
	{ MIT, "backbone.stages.2.op_list.0.main.depth_conv.conv.bias", 1, { 12 } },
	{ MIT,
	  "backbone.stages.2.op_list.1.context_module.main.qkv.conv.weight",
	  4,
	  { 24, 8, 1, 1 } },
	{ MIT,
	  "backbone.stages.3.op_list.2.context_module.main.aggreg.0.0.weight",
	  4,
	  { 36, 1, 5, 5 } },
	{ MIT,
	  "backbone.stages.3.op_list.2.context_module.main.aggreg.0.1.weight",
	  4,
	  { 36, 4, 1, 1 } },
	{ MIT,
	  "backbone.stages.3.op_list.2.context_module.main.proj.norm.running_mean",
	  1,
	  { 12 } },
	{ MIT, "backbone.stages.3.op_list.2.local_module.main.inverted_conv.conv.bias", 1, { 24 } },
	{ MIT, "backbone.stages.3.op_list.2.local_module.main.point_conv.norm.weight", 1, { 12 } },
	{ MIT, "head.op_list.0.conv.weight", 4, { 10, 12, 1, 1 } },
	{ MIT, "head.op_list.0.norm.weight", 1, { 10 } },
	{ MIT, "head.op_list.2.linear.weight", 2, { 14, 10 } },
	{ MIT, "head.op_list.2.norm.bias", 1, { 14 } },
	{ MIT, "head.op_list.3.linear.weight", 2, { 3, 14 } },
	{ MIT, "head.op_list.3.linear.bias", 1, { 3 } },
	{ TIMM, "stem.in_conv.conv.weight", 4, { 4, 3, 3, 3 } },
	{ TIMM, "stem.in_conv.norm.running_mean", 1, { 4 } },
	{ TIMM, "stem.res0.main.depth_conv.conv.weight", 4, { 4, 1, 3, 3 } },
	{ TIMM, "stages.0.blocks.1.main.point_conv.conv.weight", 4, { 6, 12, 1, 1 } },
	{ TIMM, "stages.2.blocks.0.main.inverted_conv.conv.bias", 1, { 12 } },
	{ TIMM, "stages.3.blocks.2.context_module.main.qkv.conv.weight", 4, { 36, 12, 1, 1 } },
	{ TIMM, "stages.3.blocks.2.context_module.main.aggreg.0.1.weight", 4, { 36, 4, 1, 1 } },
	{ TIMM, "stages.3.blocks.2.local_module.main.depth_conv.conv.bias", 1, { 24 } },
	{ TIMM, "head.in_conv.conv.weight", 4, { 10, 12, 1, 1 } },
	{ TIMM, "head.in_conv.norm.running_var", 1, { 10 } },
	{ TIMM, "head.classifier.0.weight", 2, { 14, 10 } },
	{ TIMM, "head.classifier.1.weight", 1, { 14 } },
	{ TIMM, "head.classifier.1.bias", 1, { 14 } },
	{ TIMM, "head.classifier.4.weight", 2, { 3, 14 } },
	{ TIMM, "head.classifier.4.bias", 1, { 3 } },
};

START_TEST(names_are_those_of_the_projects)
{
	for (size_t i = 0; i < TV_ARRAY_SIZE(known_tensors); i++) {
		_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
		const struct tv_tensor *tensor;
		struct tv_error error = { 0 };

		tv_assert_ok(tv_safetensors_open(tv_unit_path(known_tensors[i].file), &file,
						 &error),
			     error);
		tensor = tv_safetensors_find(file, known_tensors[i].name);
		ck_assert_msg(tensor, "no %s", known_tensors[i].name);
		ck_assert_uint_eq(tensor->rank, known_tensors[i].rank);
		ck_assert_mem_eq(tensor->shape, known_tensors[i].shape,
				 tensor->rank * sizeof(tensor->shape[0]));
	}
}
END_TEST

/* As many digits of the SHA-256 of a file as tell a change. */
static void digest_of(const char *name, char hex[TV_DIGEST_HEX_SIZE])
{
	FILE *file = fopen(tv_unit_path(name), "re");
	uint8_t digest[TV_DIGEST_SIZE];
	static char bytes[1 << 18];
	size_t size;

	ck_assert_ptr_nonnull(file);
	size = fread(bytes, 1, sizeof(bytes), file);
	ck_assert_uint_lt(size, sizeof(bytes));
	fclose(file);
	tv_digest(bytes, size, digest);
	tv_digest_hex(digest, hex);
}

START_TEST(random_checkpoints_are_the_same_everywhere)
{
	char hex[TV_DIGEST_HEX_SIZE], other[TV_DIGEST_HEX_SIZE];
	struct tv_error error = { 0 };

	digest_of(MIT, hex);
	ck_assert_str_eq(hex, "0e18aa42977c1a14d0ae99d337a776e656f5914bb0294e714563e48a7345a5c8");
	tv_assert_ok(tv_checkpoint_write_random(&small, TV_NAMING_MIT, 64, 8, tv_unit_path("other"),
						&error),
		     error);
	digest_of("other", other);
	ck_assert_str_ne(hex, other);
}
END_TEST

/* One channel by hand: y = gamma (conv(x) - mean) / sqrt(variance + 1e-5) + beta. */
START_TEST(norms_are_folded)
{
	static const char layer[] = "backbone.input_stem.op_list.1.main.depth_conv.";
	static const char *const parts[] = { "conv.weight", "norm.weight", "norm.bias",
					     "norm.running_mean", "norm.running_var" };
	_cleanup_(tv_network_freep) struct tv_network *network = read_file(MIT, NULL);
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	const struct tv_node *node = &network->nodes[1];
	const unsigned int channel = 2;
	struct tv_error error = { 0 };
	float value[TV_ARRAY_SIZE(parts)][36];
	double factor;

	tv_assert_ok(tv_safetensors_open(tv_unit_path(MIT), &file, &error), error);
	for (size_t i = 0; i < TV_ARRAY_SIZE(parts); i++) {
		const struct tv_tensor *tensor;
		char name[128];

		snprintf(name, sizeof(name), "%s%s", layer, parts[i]);
		tensor = tv_safetensors_find(file, name);
		ck_assert_int_eq(tv_tensor_to_float(tensor, 0, tensor->elements, value[i]), 0);
	}
	factor = value[1][channel] / sqrt(value[4][channel] + 1e-5);
	ck_assert_str_eq(node->name, "stem.block1.depthwise");
	for (unsigned int k = 0; k < 9; k++)
		ck_assert_float_eq_tol(node->weight[9 * channel + k],
				       value[0][9 * channel + k] * factor, 1e-7);
	ck_assert_float_eq_tol(node->bias[channel], value[2][channel] - value[3][channel] * factor,
			       1e-7);
}
END_TEST

START_TEST(weights_have_channels_innermost)
{
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	static const float value = 1000;
	/* Output 2, input 1, row 0, column 2 of [4][3][3][3]. */
	static const struct edit edit = { .name = "backbone.input_stem.op_list.0.conv.weight",
					  .value = &value,
					  .at = ((2 * 3 + 1) * 3 + 0) * 3 + 2 };
	size_t largest = 0;

	rewrite(MIT, "edited", change_one, &edit, NULL);
	network = read_file("edited", &(struct tv_checkpoint_options){ .size = 64 });
	for (size_t i = 0; i < 4 * 3 * 3 * 3; i++) {
		if (fabsf(network->nodes[0].weight[i]) > fabsf(network->nodes[0].weight[largest]))
			largest = i;
	}
	ck_assert_uint_eq(largest, ((2 * 3 + 0) * 3 + 2) * 3 + 1);
}
END_TEST

static void add_prefix(struct copy *copy, const struct tv_tensor *tensor, const void *userdata)
{
	char name[256];

	snprintf(name, sizeof(name), "%s%s", (const char *)userdata, tensor->name);
	add_tensor(copy, name, tensor->dtype, tensor->rank, tensor->shape, tensor->data);
}

START_TEST(prefixes_are_dropped)
{
	static const char *const prefixes[] = {
		"module.", "state_dict.",   "model_state.",
		"model.",  "model.module.", "state_dict.model.module.module."
	};
	_cleanup_(tv_network_freep) struct tv_network *plain = read_file(MIT, NULL);

	for (size_t i = 0; i < TV_ARRAY_SIZE(prefixes); i++) {
		_cleanup_(tv_network_freep) struct tv_network *network = NULL;

		rewrite(MIT, "edited", add_prefix, prefixes[i], NULL);
		network = read_file("edited", NULL);
		assert_same_weights(network, plain, 0);
		rewrite(TIMM, "edited", add_prefix, prefixes[i], NULL);
		tv_network_free(TV_TAKE_PTR(network));
		network = read_file("edited", NULL);
		assert_same_weights(network, plain, 0);
	}
	rewrite(MIT, "edited", add_prefix, "ema.", NULL);
	assert_refused("edited", NULL, -EBADMSG, "no tensor 'backbone.input_stem...'");
}
END_TEST

static void narrow(struct copy *copy, const struct tv_tensor *tensor, const void *userdata)
{
	const enum tv_dtype dtype = *(const enum tv_dtype *)userdata;
	uint16_t *values;

	if (tensor->dtype != TV_DTYPE_F32) {
		change_nothing(copy, tensor, NULL);
		return;
	}
	values = copy_bytes(copy, NULL, tensor->elements * sizeof(*values));
	for (uint64_t i = 0; i < tensor->elements; i++) {
		uint32_t bits;
		float value;

		memcpy(&value, tensor->data + i * sizeof(value), sizeof(value));
		memcpy(&bits, &value, sizeof(bits));
		values[i] = dtype == TV_DTYPE_F16 ? tv_float_to_half(value) : bits >> 16;
	}
	add_tensor(copy, tensor->name, dtype, tensor->rank, tensor->shape, values);
}

START_TEST(narrow_floats_are_read)
{
	static const enum tv_dtype dtypes[] = { TV_DTYPE_F16, TV_DTYPE_BF16 };
	_cleanup_(tv_network_freep) struct tv_network *wide = read_file(MIT, NULL);

	for (size_t i = 0; i < TV_ARRAY_SIZE(dtypes); i++) {
		_cleanup_(tv_network_freep) struct tv_network *network = NULL;

		rewrite(MIT, "edited", narrow, &dtypes[i], NULL);
		network = read_file("edited", NULL);
		assert_same_weights(network, wide, i == 0 ? 0.01f : 0.08f);
	}
}
END_TEST

START_TEST(what_means_nothing_is_ignored_and_listed)
{
	static const struct edit edits[] = {
		{ .rename = "optimizer.step", .dtype = TV_DTYPE_I64, .rank = 1, .shape = { 3 } },
		{ .rename = "module.ema.decay", .dtype = TV_DTYPE_F64, .rank = 0 },
	};
	static const char *const lines[] = { "optimizer.step: I64 [3]",
					     "module.ema.decay: F64 []" };

	for (size_t i = 0; i < TV_ARRAY_SIZE(edits); i++) {
		_cleanup_(tv_network_freep) struct tv_network *network = NULL;
		bool found = false;

		rewrite(TIMM, "edited", change_one, &edits[i], NULL);
		network = read_file("edited", NULL);
		/* One counter for each norm, and what was added: 3 in the stem, 9 in stages 1 and
		 * 2, 1 each for a projection, 1 in the head. */
		ck_assert_uint_eq(network->ignored_count, 1 + 3 + 9 + 1 + 2 + 1 + 4 + 1);
		for (size_t k = 0; k < network->ignored_count; k++)
			found = found || !strcmp(network->ignored[k], lines[i]);
		ck_assert_msg(found, "no '%s'", lines[i]);
	}
}
END_TEST

/* Without anything said: 224 pixels; how much larger the image is before the crop, each project's
 * own evaluation decides. */
static const struct {
	const char *file, *input_size, *crop_ratio;
	struct tv_checkpoint_options options;
	unsigned int size, resize;
} preprocessing[] = {
	{ MIT, NULL, NULL, { 0 }, 224, 236 },
	{ MIT, "256", NULL, { 0 }, 256, 270 },
	{ MIT, "288", NULL, { 0 }, 288, 304 },
	{ TIMM, NULL, NULL, { 0 }, 224, 235 },
	{ TIMM, "256", NULL, { 0 }, 256, 256 },
	{ TIMM, "288", NULL, { 0 }, 288, 288 },
	{ MIT, "96", "1.0", { 0 }, 96, 96 },
	{ MIT, "96", "0.5", { .size = 64 }, 64, 128 },
	{ TIMM, "96", "1.0", { .crop_ratio = 0.9 }, 96, 106 },
	{ MIT, "96", "1.0", { .crop_ratio = 0.9 }, 96, 107 },
	{ TIMM, "96", NULL, { .size = 4096, .crop_ratio = 1 }, 4096, 4096 },
};

START_TEST(sizes_come_from_the_caller_the_file_and_the_naming)
{
	const char *metadata[5] = { NULL };
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	size_t count = 0;

	if (preprocessing[_i].input_size) {
		metadata[count++] = "input_size";
		metadata[count++] = preprocessing[_i].input_size;
	}
	if (preprocessing[_i].crop_ratio) {
		metadata[count++] = "crop_ratio";
		metadata[count++] = preprocessing[_i].crop_ratio;
	}
	rewrite(preprocessing[_i].file, "edited", change_nothing, NULL, metadata);
	network = read_file("edited", &preprocessing[_i].options);
	ck_assert_uint_eq(network->size, preprocessing[_i].size);
	ck_assert_uint_eq(network->resize, preprocessing[_i].resize);
}
END_TEST

START_TEST(mean_and_std_come_from_the_file)
{
	static const char *const metadata[] = { "mean", "0.5, 0.25,0", "std", "1,2.5,1e-3", NULL };
	_cleanup_(tv_network_freep) struct tv_network *plain = read_file(MIT, NULL);
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;

	ck_assert_float_eq(plain->mean[0], 0.485f);
	ck_assert_float_eq(plain->std[2], 0.225f);
	rewrite(MIT, "edited", change_nothing, NULL, metadata);
	network = read_file("edited", NULL);
	ck_assert_float_eq(network->mean[0], 0.5f);
	ck_assert_float_eq(network->mean[2], 0);
	ck_assert_float_eq(network->std[1], 2.5f);
	ck_assert_float_eq(network->std[2], 1e-3f);
}
END_TEST

START_TEST(labels_come_from_the_caller_or_the_file)
{
	static const char *const metadata[] = { "labels", "cat\nsmall dog\nbird", NULL };
	static const char *const few[] = { "labels", "cat\ndog", NULL };
	static const char list[] = "one\ntwo\nthree\n", short_list[] = "one\ntwo\n";
	struct tv_checkpoint_options options = { 0 };
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	char path[PATH_MAX];

	rewrite(MIT, "edited", change_nothing, NULL, metadata);
	network = read_file("edited", NULL);
	ck_assert_str_eq(network->labels[1], "small dog");

	tv_network_free(TV_TAKE_PTR(network));
	snprintf(path, sizeof(path), "%s", tv_unit_file("labels", list, sizeof(list) - 1));
	options.labels = path;
	network = read_file("edited", &options);
	ck_assert_str_eq(network->labels[2], "three");

	tv_network_free(TV_TAKE_PTR(network));
	network = read_file(MIT, NULL);
	ck_assert_ptr_null(network->labels);

	rewrite(MIT, "edited", change_nothing, NULL, few);
	assert_refused("edited", NULL, -EBADMSG,
		       "2 class names, expected the 3 classes of the network");
	tv_unit_file("labels", short_list, sizeof(short_list) - 1);
	ck_assert_int_eq(tv_checkpoint_read(tv_unit_path(MIT), &options, &network, NULL), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("checkpoint");
	TCase *reading = tcase_create("reading");
	TCase *choices = tcase_create("choices");

	tcase_add_test(reading, architecture_is_told_by_the_shapes);
	tcase_add_test(reading, namings_differ_in_names_only);
	tcase_add_test(reading, names_are_those_of_the_projects);
	tcase_add_test(reading, random_checkpoints_are_the_same_everywhere);
	tcase_add_test(reading, norms_are_folded);
	tcase_add_test(reading, weights_have_channels_innermost);
	tcase_add_test(reading, prefixes_are_dropped);
	tcase_add_test(reading, narrow_floats_are_read);
	tcase_add_test(reading, what_means_nothing_is_ignored_and_listed);
	tcase_add_loop_test(choices, sizes_come_from_the_caller_the_file_and_the_naming, 0,
			    TV_ARRAY_SIZE(preprocessing));
	tcase_add_test(choices, mean_and_std_come_from_the_file);
	tcase_add_test(choices, labels_come_from_the_caller_or_the_file);
	tcase_add_checked_fixture(reading, make_checkpoints, tv_unit_directory_remove);
	tcase_add_checked_fixture(choices, make_checkpoints, tv_unit_directory_remove);
	suite_add_tcase(suite, reading);
	suite_add_tcase(suite, choices);
	return tv_unit_main(suite);
}
