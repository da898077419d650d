/* SPDX-License-Identifier: MIT */
/*
 * Whether a wrong machine would be noticed: mistakes that one could make, put into the program of
 * the demo's network. The comparison of every value with the naive walk, which is what keeps the
 * machine right, must see each of them, in the layer where it is made and in none before it.
 */
#include "image/decode.h"
#include "quantizer/checkpoint.h"
#include "quantizer/emit.h"
#include "quantizer/integer.h"
#include "tests/unit/quantize-naive.h"

#define CALIBRATION 8

static struct tv_network *network;
static struct tv_package *package;
static struct tv_quantized *quantized;
static struct tv_statistics *statistics;
static struct naive_network expected;
static struct tv_image image;

/* All divisors of this small network fit into 16 exponents, and a window that holds them all may be
 * moved without consequence. Those of larger maps do not: let the window begin among them. */
static void put_windows(void)
{
	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];

		if (node->kind != TV_NODE_ATTENTION)
			continue;
		for (unsigned int h = 0; h < node->out_channels / node->head_dim; h++)
			quantized->nodes[i].heads[h].log2_base = 13;
	}
}

static void set_up(void)
{
	const struct tv_emit_program how = { .target = tv_target_by_name("zcu102"), .images = 1 };
	const struct tv_quantize_options all = { 0 };
	struct tv_folder folder = { 0 };
	struct tv_error error = { 0 };
	int r;

	r = tv_checkpoint_read(tv_unit_source("demo/shapes16-b0.safetensors"), NULL, &network,
			       &error);
	tv_assert_ok(r, error);
	r = tv_folder_read_all(tv_unit_source("demo/images"), &folder, &error);
	tv_assert_ok(r, error);
	r = tv_statistics_collect(network, folder.images, CALIBRATION, 0, NULL, NULL, &statistics,
				  &error);
	tv_assert_ok(r, error);
	r = tv_quantize(network, statistics, &all, &quantized, &error);
	tv_assert_ok(r, error);
	put_windows();
	r = tv_emit(quantized, &how, 1, &package, &error);
	tv_assert_ok(r, error);
	r = tv_image_decode_file(folder.images[0].path, &image, &error);
	tv_assert_ok(r, error);
	ck_assert(image.width == network->size && image.height == network->size);
	expected = naive_run(quantized, image.rgb);
	tv_folder_done(&folder);
}

static void tear_down(void)
{
	naive_done(&expected);
	tv_image_done(&image);
	tv_package_free(package);
	tv_quantized_free(quantized);
	tv_statistics_free(statistics);
	tv_network_free(network);
}

static void compare(const struct tv_integer_value *value, void *userdata)
{
	const size_t count = (size_t)value->height * value->width * value->channels;
	const int16_t *should = expected.values[value->index];
	size_t *first = userdata;

	for (size_t i = 0; i < count; i++)
		if (tv_integer_code(value, i) != should[i] && value->index < *first)
			*first = value->index;
}

/* The first node whose value is not the naive walk's; network->count where all are. */
static size_t first_wrong(void)
{
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = NULL;
	_cleanup_free_ int16_t *logits = calloc(package->classes, sizeof(*logits));
	struct tv_error error = { 0 };
	size_t first = network->count;
	int r = tv_integer_runner_new(package, &package->programs[0], NULL, &runner, &error);

	ck_assert_ptr_nonnull(logits);
	tv_assert_ok(r, error);
	r = tv_integer_run(runner, image.rgb, 1, compare, &first, logits, NULL, &error);
	tv_assert_ok(r, error);
	return first;
}

static void check_noticed(int node, const char *what)
{
	size_t first = first_wrong();

	ck_assert_msg(first == (size_t)node, "%s in %s is noticed in %s", what,
		      network->nodes[node].name,
		      first < network->count ? network->nodes[first].name : "no layer");
}

/* --- the program ---------------------------------------------------------------------------- */

/* The package's buffers are this test's. */
static uint8_t *command_bytes(uint32_t index)
{
	return (uint8_t *)package->programs[0].program + TV_PROGRAM_HEADER_SIZE +
	       (size_t)index * TV_COMMAND_SIZE;
}

static uint8_t *weights_of(const struct tv_command *command, uint64_t section)
{
	ck_assert_uint_eq(command->weights.segment, TV_SEGMENT_WEIGHTS);
	return (uint8_t *)package->programs[0].weights + command->weights.offset + section;
}

/* Calls what() for each command, with the nodes that it computes, and restores it afterwards.
 * Returns the sum of what what() returns. */
static unsigned int
for_each_command(unsigned int (*what)(uint8_t *bytes, struct tv_command *command, const int *nodes))
{
	const struct tv_package_program *program = &package->programs[0];
	uint8_t before[TV_COMMAND_SIZE];
	struct tv_command command;
	unsigned int count = 0;

	ck_assert_uint_eq(first_wrong(), network->count);
	for (uint32_t i = 0; i < program->header.commands; i++) {
		memcpy(before, command_bytes(i), sizeof(before));
		ck_assert_int_eq(tv_decode_command(before, &command), 0);
		count += what(command_bytes(i), &command, program->steps[i].nodes);
		memcpy(command_bytes(i), before, sizeof(before));
	}
	return count;
}

/* --- mistakes ------------------------------------------------------------------------------- */

/* The weight that adds the most anywhere in the map. */
static uint8_t *heaviest_weight(const struct tv_command *command, unsigned int stage,
				const struct tv_node *node)
{
	uint8_t *weights = weights_of(command, tv_weights_layout(command).weights[stage]);
	const bool depthwise = !stage && (command->opcode == TV_OP_DEPTHWISE ||
					  command->opcode == TV_OP_SEPARABLE);
	const struct tv_dense dense = depthwise ? (struct tv_dense){ 0 } : tv_dense_of(command);
	const unsigned int in = node->in_channels / node->groups;
	const unsigned int out = node->out_channels / node->groups;
	_cleanup_free_ int *most = calloc(node->in_channels, sizeof(*most));
	uint8_t *heaviest = NULL;
	int weight = 0;

	ck_assert_ptr_nonnull(most);
	for (size_t i = 0; i < (size_t)node->in_height * node->in_width * node->in_channels; i++) {
		int code = node->input < 0 ? 128 : abs(expected.values[node->input][i]);

		if (code > most[i % node->in_channels])
			most[i % node->in_channels] = code;
	}
	for (unsigned int o = 0; o < node->out_channels; o++)
		for (unsigned int i = 0; i < node->kernel * node->kernel * in; i++) {
			uint8_t *at = weights + (depthwise ?
							 tv_depthwise_weight(node->kernel, o, i) :
							 tv_dense_weight(&dense, o, i));
			int product = abs((int8_t)*at) * most[o / out * in + i % in];

			if (product > weight) {
				weight = product;
				heaviest = at;
			}
		}
	return heaviest;
}

static unsigned int negate_weights(uint8_t *bytes, struct tv_command *command, const int *nodes)
{
	unsigned int count = 0;

	for (unsigned int stage = 0; stage < 2 && nodes[stage] >= 0; stage++) {
		const struct tv_node *node = &network->nodes[nodes[stage]];
		uint8_t *weight;

		/* In few pixels a single weight may be lost in rounding. */
		if (node->kind != TV_NODE_CONV || node->out_height * node->out_width < 36)
			continue;
		if (getenv("TV_SLOW") && nodes[stage] % 4)
			continue;
		weight = heaviest_weight(command, stage, node);
		*weight = (uint8_t)(0 - *weight);
		check_noticed(nodes[stage], "a negated weight");
		*weight = (uint8_t)(0 - *weight);
		count++;
	}
	return count;
}

START_TEST(a_negated_weight)
{
	ck_assert_uint_gt(for_each_command(negate_weights), getenv("TV_SLOW") ? 5 : 25);
}
END_TEST

static unsigned int drop_shortcut(uint8_t *bytes, struct tv_command *command, const int *nodes)
{
	if (command->shortcut.segment == TV_SEGMENT_NONE)
		return 0;
	command->shortcut = (struct tv_operand){ .segment = TV_SEGMENT_NONE };
	command->shortcut_multiplier = 0;
	command->shortcut_zero_point = 0;
	tv_encode_command(command, bytes);
	check_noticed(nodes[nodes[1] >= 0], "a dropped shortcut");
	return 1;
}

START_TEST(a_dropped_shortcut)
{
	ck_assert_uint_eq(for_each_command(drop_shortcut), 11);
}
END_TEST

static void move_windows(const struct tv_command *command, int by)
{
	uint8_t *records = weights_of(command, 0);
	struct tv_head head;

	for (unsigned int i = 0; i < command->channels / (3u * command->head_dim); i++) {
		tv_decode_head(records + i * TV_HEAD_SIZE, &head);
		head.log2_base = (uint8_t)(head.log2_base + by);
		tv_encode_head(&head, records + i * TV_HEAD_SIZE);
	}
}

static unsigned int move_window(uint8_t *bytes, struct tv_command *command, const int *nodes)
{
	if (command->opcode != TV_OP_ATTENTION)
		return 0;
	move_windows(command, 1);
	check_noticed(nodes[0], "a window one higher");
	move_windows(command, -2);
	check_noticed(nodes[0], "a window one lower");
	move_windows(command, 1);
	return 1;
}

START_TEST(a_moved_log2_window)
{
	ck_assert_uint_eq(for_each_command(move_window), 4);
}
END_TEST

static unsigned int pad_with_zero(uint8_t *bytes, struct tv_command *command, const int *nodes)
{
	if (!command->pad[0])
		return 0;
	memset(command->pad, 0, sizeof(command->pad));
	tv_encode_command(command, bytes);
	check_noticed(nodes[0], "padding with 0");
	return 1;
}

START_TEST(padding_with_zero)
{
	ck_assert_uint_gt(for_each_command(pad_with_zero), 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wrong-machine");
	TCase *tcase = tcase_create("mistakes");

	tcase_add_unchecked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_negated_weight);
	tcase_add_test(tcase, a_dropped_shortcut);
	tcase_add_test(tcase, a_moved_log2_window);
	tcase_add_test(tcase, padding_with_zero);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
