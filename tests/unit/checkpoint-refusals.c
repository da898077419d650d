/* SPDX-License-Identifier: MIT */
/* Broken checkpoints: what each kind is told. */
#include <math.h>

#include "tests/unit/checkpoint-edit.h"

static const float not_a_number = NAN, infinite = INFINITY, negative = -0.5f, huge = 3e38f;

/* What is done to MIT's file, and what the text then says after the file's name. */
static const struct {
	struct edit edit;
	const char *text;
} broken[] = {
	{ { .name = "backbone.stages.3.op_list.2.context_module.main.qkv.conv.weight",
	    .drop = true },
	  "tensor 'backbone.stages.3.op_list.2.context_module.main.qkv.conv.weight': missing" },
	{ { .name = "backbone.input_stem.op_list.0.norm.running_var", .drop = true },
	  "tensor 'backbone.input_stem.op_list.0.norm.running_var': missing" },
	{ { .name = "backbone.input_stem.op_list.0.conv.weight", .drop = true },
	  "tensor 'backbone.input_stem.op_list.0.conv.weight': missing" },
	{ { .name = "head.op_list.3.linear.bias", .drop = true },
	  "tensor 'head.op_list.3.linear.bias': missing" },
	{ { .name = "head.op_list.2.linear.weight",
	    .dtype = TV_DTYPE_F32,
	    .rank = 2,
	    .shape = { 14, 11 } },
	  "tensor 'head.op_list.2.linear.weight': F32 [14, 11], expected F32 [14, 10]" },
	{ { .name = "head.op_list.2.linear.weight",
	    .dtype = TV_DTYPE_F32,
	    .rank = 4,
	    .shape = { 14, 10, 1, 1 } },
	  "tensor 'head.op_list.2.linear.weight': F32 [14, 10, 1, 1], expected 2 dimensions" },
	{ { .name = "backbone.stages.0.op_list.1.main.depth_conv.conv.weight",
	    .dtype = TV_DTYPE_F32,
	    .rank = 4,
	    .shape = { 12, 1, 5, 5 } },
	  "main.depth_conv.conv.weight': F32 [12, 1, 5, 5], expected F32 [12, 1, 3, 3]" },
	{ { .name = "head.op_list.0.conv.weight",
	    .dtype = TV_DTYPE_I64,
	    .rank = 4,
	    .shape = { 10, 12, 1, 1 } },
	  "'head.op_list.0.conv.weight': I64 [10, 12, 1, 1], expected F32, F16 or BF16" },
	{ { .name = "backbone.stages.1.op_list.0.main.depth_conv.norm.bias",
	    .dtype = TV_DTYPE_F64,
	    .rank = 1,
	    .shape = { 12 } },
	  "main.depth_conv.norm.bias': F64 [12], expected F32, F16 or BF16" },
	{ { .name = "head.op_list.2.norm.bias", .value = &not_a_number, .at = 13 },
	  "tensor 'head.op_list.2.norm.bias': element 13 is NaN, expected finite numbers" },
	{ { .name = "head.op_list.3.linear.weight", .value = &infinite, .at = 41 },
	  "tensor 'head.op_list.3.linear.weight': element 41 is infinite, expected finite" },
	{ { .name = "head.op_list.0.norm.running_var", .value = &negative, .at = 3 },
	  "tensor 'head.op_list.0.norm.running_var': element 3 is -0.5, expected a variance" },
	{ { .name = "head.op_list.0.conv.weight", .value = &huge, .at = 12 },
	  "tensor 'head.op_list.0.conv.weight': beyond the range of floats" },
	{ { .name = "backbone.stages.0.op_list.1.main.inverted_conv.conv.weight",
	    .dtype = TV_DTYPE_F32,
	    .rank = 4,
	    .shape = { 6, 12, 1, 1 } },
	  "main.inverted_conv.conv.weight': F32 [6, 12, 1, 1], expected F32 [12, 6, 1, 1]" },
	/* Widths that do not agree. */
	{ { .name = "backbone.stages.1.op_list.0.main.point_conv.conv.weight",
	    .dtype = TV_DTYPE_F32,
	    .rank = 4,
	    .shape = { 5, 12, 1, 1 } },
	  "'backbone.stages.1.op_list.0.main.point_conv.norm.weight': F32 [6], expected F32 [5]" },
	{ { .name = "backbone.stages.0.op_list.0.main.inverted_conv.conv.weight",
	    .dtype = TV_DTYPE_F32,
	    .rank = 4,
	    .shape = { 9, 4, 1, 1 } },
	  "the first expansion makes 9 of 4 channels, expected a multiple" },
	{ { .name = "backbone.stages.2.op_list.1.context_module.main.aggreg.0.1.weight",
	    .dtype = TV_DTYPE_F32,
	    .rank = 4,
	    .shape = { 24, 5, 1, 1 } },
	  "width of stage 3 is 8, expected a multiple of the 5 channels" },
	{ { .name = "backbone.input_stem.op_list.0.conv.weight",
	    .dtype = TV_DTYPE_F32,
	    .rank = 4,
	    .shape = { 0, 3, 3, 3 } },
	  "F32 [0, 3, 3, 3], expected 1 to 16384 channels" },
	{ { .name = "head.op_list.3.linear.weight",
	    .dtype = TV_DTYPE_F16,
	    .rank = 2,
	    .shape = { 16385, 14 } },
	  "F16 [16385, 14], expected 1 to 16384 channels" },
	/* More than the architecture has. */
	{ { .rename = "backbone.stages.4.op_list.0.main.point_conv.conv.weight",
	    .dtype = TV_DTYPE_F32,
	    .rank = 1,
	    .shape = { 1 } },
	  "a fifth stage, expected 4" },
	{ { .rename = "backbone.stages.0.op_list.65.main.point_conv.conv.weight",
	    .dtype = TV_DTYPE_F32,
	    .rank = 1,
	    .shape = { 1 } },
	  "expected block numbers up to 64" },
	{ { .rename = "backbone.stages.0.op_list.99999999999999999999.main.x",
	    .dtype = TV_DTYPE_F32,
	    .rank = 1,
	    .shape = { 1 } },
	  "expected block numbers up to 64" },
	{ { .rename = "backbone.stages.2.op_list.2.local_module.main.x",
	    .dtype = TV_DTYPE_F32,
	    .rank = 1,
	    .shape = { 1 } },
	  "tensor 'backbone.stages.2.op_list.2.context_module.main.qkv.conv.weight': missing" },
	{ { .rename = "backbone.stages.2.op_list.1.context_module.main.qkv.conv.bias",
	    .dtype = TV_DTYPE_F32,
	    .rank = 1,
	    .shape = { 24 } },
	  "qkv.conv.bias': EfficientViT-B has no such part in this layer" },
	{ { .rename = "head.op_list.2.linear.bias",
	    .dtype = TV_DTYPE_F32,
	    .rank = 1,
	    .shape = { 14 } },
	  "head.op_list.2.linear.bias': EfficientViT-B has no such part in this layer" },
	/* Names. */
	{ { .rename = "module.head.op_list.3.linear.bias",
	    .dtype = TV_DTYPE_F32,
	    .rank = 1,
	    .shape = { 3 } },
	  "are both 'head.op_list.3.linear.bias', expected one" },
	{ { .rename = "stem.in_conv.conv.weight",
	    .dtype = TV_DTYPE_F32,
	    .rank = 1,
	    .shape = { 3 } },
	  "there are tensors 'backbone.input_stem...' (MIT HAN lab's naming of EfficientViT) and "
	  "'stem...' (timm's), expected one of them" },
};

START_TEST(broken_tensors_are_named)
{
	rewrite(MIT, "edited", change_one, &broken[_i].edit, NULL);
	assert_refused("edited", NULL, -EBADMSG, broken[_i].text);
}
END_TEST

static const struct {
	const char *key, *value, *text;
} broken_metadata[] = {
	{ "input_size", "100", "metadata: input size 100: expected a multiple of 32 up to 4096" },
	{ "input_size", "0", "metadata: input size 0" },
	{ "input_size", "-32", "metadata input_size: '-32'" },
	{ "input_size", "4128", "metadata input_size: '4128'" },
	{ "input_size", "96px", "metadata input_size: '96px', expected the side" },
	{ "input_size", "", "metadata input_size: ''" },
	{ "crop_ratio", "0", "metadata crop_ratio: '0', expected a number above 0 and up to 1" },
	{ "crop_ratio", "1.5", "metadata crop_ratio: '1.5'" },
	{ "crop_ratio", "nan", "metadata crop_ratio: 'nan'" },
	{ "crop_ratio", "1e-6", "metadata crop_ratio: '1e-6'" },
	{ "crop_ratio", "much", "metadata crop_ratio: 'much'" },
	{ "mean", "0.5,0.5", "metadata mean: '0.5,0.5', expected three numbers" },
	{ "mean", "0.5,0.5,inf", "metadata mean" },
	{ "mean", "0.5,0.5,0.5,0.5", "metadata mean" },
	{ "std", "0.2,0,0.2", "metadata std: '0.2,0,0.2'" },
	{ "std", "0.2,-1,0.2", "metadata std" },
	{ "std", "[0.2,0.2,0.2]", "metadata std" },
};

START_TEST(broken_metadata_is_named)
{
	const char *const metadata[] = { broken_metadata[_i].key, broken_metadata[_i].value, NULL };

	rewrite(MIT, "edited", change_nothing, NULL, metadata);
	assert_refused("edited", NULL, -EBADMSG, broken_metadata[_i].text);
}
END_TEST

START_TEST(broken_options_are_the_callers)
{
	static const struct {
		struct tv_checkpoint_options options;
		const char *text;
	} options[] = {
		{ { .size = 100 }, "input size 100: expected a multiple of 32" },
		{ { .size = 8192 }, "input size 8192" },
		{ { .crop_ratio = -1 }, "crop ratio -1: expected a number above 0 and up to 1" },
		{ { .crop_ratio = 1.01 }, "crop ratio 1.01" },
		{ { .crop_ratio = NAN }, "crop ratio nan" },
		{ { .crop_ratio = 1e-300 }, "crop ratio 1e-300" },
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(options); i++)
		assert_refused(MIT, &options[i].options, -EINVAL, options[i].text);
}
END_TEST

static void change_other(struct copy *copy, const struct tv_tensor *tensor, const void *userdata)
{
	char name[256];

	snprintf(name, sizeof(name), "layer.%s", tensor->name);
	add_tensor(copy, name, tensor->dtype, tensor->rank, tensor->shape, tensor->data);
}

START_TEST(other_files_are_told_apart)
{
	struct tv_network *network = NULL;
	struct tv_safetensors_writer *writer = tv_safetensors_writer_new();
	struct tv_error error = { 0 };

	rewrite(MIT, "edited", change_other, NULL, NULL);
	assert_refused("edited", NULL, -EBADMSG,
		       "there is no tensor 'backbone.input_stem...' (MIT HAN lab's naming of "
		       "EfficientViT) or 'stem...' (timm's)");
	tv_assert_ok(tv_safetensors_writer_write(writer, tv_unit_path("empty"), &error), error);
	tv_safetensors_writer_free(writer);
	assert_refused("empty", NULL, -EBADMSG, "no tensors in it");
	tv_unit_file("nothing", "", 0);
	assert_refused("nothing", NULL, -EBADMSG, "");
	ck_assert_int_eq(tv_checkpoint_read(tv_unit_path("absent"), NULL, &network, &error),
			 -ENOENT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("checkpoint-refusals");
	TCase *refusals = tcase_create("refusals");

	tcase_add_loop_test(refusals, broken_tensors_are_named, 0, TV_ARRAY_SIZE(broken));
	tcase_add_loop_test(refusals, broken_metadata_is_named, 0, TV_ARRAY_SIZE(broken_metadata));
	tcase_add_test(refusals, broken_options_are_the_callers);
	tcase_add_test(refusals, other_files_are_told_apart);
	tcase_add_checked_fixture(refusals, make_checkpoints, tv_unit_directory_remove);
	suite_add_tcase(suite, refusals);
	return tv_unit_main(suite);
}
