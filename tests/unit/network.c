/* SPDX-License-Identifier: MIT */
/* The list of nodes: published figures, how nodes hang together, limits. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "quantizer/network.h"
#include "tests/unit/unit.h"

static struct tv_network *build(const struct tv_architecture *architecture, unsigned int size)
{
	struct tv_network *network = NULL;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_network_new(architecture, size, &network, &error), error);
	return network;
}

static struct tv_network *build_member(const char *name, unsigned int size)
{
	struct tv_architecture architecture;
	struct tv_error error = { 0 };

	tv_assert_ok(tv_architecture_by_name(name, &architecture, &error), error);
	return build(&architecture, size);
}

/* The release's own table; millions, parameters with 1000 classes. */
static const struct {
	const char *name;
	double parameters;
	unsigned int macs[3]; /* at 224, 256, 288 */
} published[] = {
	{ "b0", 3.41, { 100, 130, 164 } },
	{ "b1", 9.10, { 519, 677, 856 } },
	{ "b2", 24.33, { 1585, 2068, 2615 } },
	{ "b3", 48.65, { 3954, 5162, 6530 } },
};

START_TEST(macs_and_parameters_are_the_published_ones)
{
	static const unsigned int sizes[3] = { 224, 256, 288 };

	for (size_t i = 0; i < 3; i++) {
		_cleanup_(tv_network_freep) struct tv_network *network =
			build_member(published[_i].name, sizes[i]);
		const double parameters = (double)tv_network_parameters(network) / 1e6;
		const double macs = (double)tv_network_macs(network) / 1e6;

		ck_assert_double_eq_tol(parameters, published[_i].parameters, 0.005);
		ck_assert_double_eq_tol(macs, published[_i].macs[i], 0.6);
	}
}
END_TEST

/* B1 at 224, by what an accelerator does with it. */
START_TEST(b1_is_made_of_what_it_is_known_to_be)
{
	_cleanup_(tv_network_freep) struct tv_network *network = build_member("b1", 224);
	struct {
		const char *what;
		double macs; /* millions */
		unsigned int count;
		double known_macs;
		unsigned int known_count;
	} kinds[] = {
		{ "stem", .known_macs = 5.4, .known_count = 1 },
		{ "pointwise", .known_macs = 449.6, .known_count = 43 },
		{ "depthwise", .known_macs = 26.3, .known_count = 22 },
		{ "grouped", .known_macs = 6.0, .known_count = 7 },
		{ "attention", .known_macs = 8.5, .known_count = 7 },
		{ "head conv", .known_macs = 19.3, .known_count = 1 },
		{ "linear", .known_macs = 4.1, .known_count = 2 },
		{ "pool and norm", .known_macs = 0, .known_count = 2 },
	};
	uint64_t largest = 0;

	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];
		const uint64_t elements =
			(uint64_t)node->out_height * node->out_width * node->out_channels;
		size_t kind = 1;

		switch (node->role) {
		case TV_ROLE_STEM:
			kind = 0;
			break;
		case TV_ROLE_DEPTHWISE:
		case TV_ROLE_AGGREGATE_DEPTHWISE:
			kind = 2;
			break;
		case TV_ROLE_AGGREGATE_POINTWISE:
			kind = 3;
			break;
		case TV_ROLE_ATTENTION:
			kind = 4;
			break;
		case TV_ROLE_HEAD_CONV:
			kind = 5;
			break;
		case TV_ROLE_LINEAR1:
		case TV_ROLE_LINEAR2:
			kind = 6;
			break;
		case TV_ROLE_POOL:
		case TV_ROLE_NORM:
			kind = 7;
			break;
		default:
			break;
		}
		kinds[kind].macs += (double)tv_node_macs(node) / 1e6;
		kinds[kind].count++;
		if (largest < elements)
			largest = elements;
	}
	for (size_t i = 0; i < TV_ARRAY_SIZE(kinds); i++) {
		ck_assert_msg(kinds[i].count == kinds[i].known_count, "%s: %u, expected %u",
			      kinds[i].what, kinds[i].count, kinds[i].known_count);
		ck_assert_msg(kinds[i].macs > kinds[i].known_macs - 0.06 &&
				      kinds[i].macs < kinds[i].known_macs + 0.06,
			      "%s: %.2f million, expected %.1f", kinds[i].what, kinds[i].macs,
			      kinds[i].known_macs);
	}
	ck_assert_uint_eq(largest, 802816);
	ck_assert_double_eq_tol((double)tv_network_macs(network) / 1e6, 519.2, 0.05);
}
END_TEST

static const struct tv_node *node_at(const struct tv_network *network, int value)
{
	ck_assert_int_ge(value, 0);
	ck_assert_uint_lt((size_t)value, network->count);
	return &network->nodes[value];
}

static void check_conv(const struct tv_node *node)
{
	ck_assert_uint_ne(node->groups, 0);
	ck_assert_uint_eq(node->in_channels % node->groups, 0);
	ck_assert_uint_eq(node->out_channels % node->groups, 0);
	ck_assert_uint_eq(node->out_height,
			  (node->in_height + 2 * (node->kernel / 2) - node->kernel) / node->stride +
				  1);
	ck_assert_int_eq(node->input2, TV_NETWORK_NONE);
}

/* Whatever reads a value reads one that is there and has the shape that it says. */
static void check_graph(const struct tv_network *network)
{
	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];

		ck_assert_int_lt(node->input, (int)i);
		if (node->input == TV_NETWORK_INPUT) {
			ck_assert_uint_eq(i, 0);
			ck_assert_uint_eq(node->in_channels, 3);
			ck_assert_uint_eq(node->in_height, network->size);
		} else {
			const struct tv_node *input = node_at(network, node->input);

			ck_assert_uint_eq(node->in_channels, input->out_channels);
			ck_assert_uint_eq(node->in_height, input->out_height);
			ck_assert_uint_eq(node->in_width, input->out_width);
		}
		if (node->kind == TV_NODE_CONV)
			check_conv(node);
		if (node->kind == TV_NODE_ATTENTION) {
			const struct tv_node *input2 = node_at(network, node->input2);

			ck_assert_int_lt(node->input2, (int)i);
			ck_assert_uint_eq(node->in_channels, input2->out_channels);
			ck_assert_uint_eq(node->in_channels % (3 * node->head_dim), 0);
			ck_assert_uint_eq(node->out_channels, node->in_channels / 3 * 2);
		}
		if (node->shortcut != TV_NETWORK_NONE) {
			const struct tv_node *shortcut = node_at(network, node->shortcut);

			ck_assert_int_lt(node->shortcut, node->input);
			ck_assert_uint_eq(node->out_channels, shortcut->out_channels);
			ck_assert_uint_eq(node->out_height, shortcut->out_height);
			ck_assert_uint_eq(node->stride, 1);
		}
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(node->name, network->nodes[j].name);
		ck_assert_ptr_null(node->weight);
	}
	ck_assert_uint_eq(network->nodes[network->count - 1].out_channels,
			  network->architecture.classes);
}

START_TEST(nodes_hang_together)
{
	static const struct tv_architecture made_up = {
		.widths = { 5, 7, 11, 24, 36 },
		.depths = { 3, 1, 2, 1, 64 },
		.head_dim = 12,
		.head_widths = { 50, 70 },
		.classes = 37,
		.expand = 3,
	};
	struct tv_network *networks[] = {
		build_member("b0", 96),	 build_member("b1", 224), build_member("b2", 256),
		build_member("b3", 288), build(&made_up, 32),	  build_member("b1", 4096),
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(networks); i++) {
		check_graph(networks[i]);
		tv_network_free(networks[i]);
	}
}
END_TEST

START_TEST(names_say_where_a_node_is)
{
	static const char *const names[] = {
		"stem.conv",
		"stem.block1.depthwise",
		"stem.block1.project",
		"stage1.block1.expand",
		"stage1.block1.depthwise",
		"stage1.block1.project",
		"stage1.block2.expand",
		"stage1.block2.depthwise",
		"stage1.block2.project",
		"stage2.block1.expand",
		"stage2.block1.depthwise",
		"stage2.block1.project",
		"stage2.block2.expand",
		"stage2.block2.depthwise",
		"stage2.block2.project",
		"stage3.down.expand",
		"stage3.down.depthwise",
		"stage3.down.project",
		"stage3.block1.attention.qkv",
		"stage3.block1.attention.aggregate_depthwise",
		"stage3.block1.attention.aggregate_pointwise",
		"stage3.block1.attention.attention",
		"stage3.block1.attention.project",
		"stage3.block1.mbconv.expand",
		"stage3.block1.mbconv.depthwise",
		"stage3.block1.mbconv.project",
	};
	static const char *const last[] = { "head.conv", "head.pool", "head.linear1", "head.norm",
					    "head.linear2" };
	_cleanup_(tv_network_freep) struct tv_network *network = build_member("b0", 96);

	for (size_t i = 0; i < TV_ARRAY_SIZE(names); i++)
		ck_assert_str_eq(network->nodes[i].name, names[i]);
	for (size_t i = 0; i < TV_ARRAY_SIZE(last); i++)
		ck_assert_str_eq(network->nodes[network->count - TV_ARRAY_SIZE(last) + i].name,
				 last[i]);
	ck_assert_uint_eq(network->nodes[9].stage, 2);
	ck_assert_uint_eq(network->nodes[9].block, 0);
	ck_assert_uint_eq(network->nodes[18].block, 1);
	ck_assert_uint_eq(network->nodes[network->count - 1].stage, TV_NETWORK_HEAD);
}
END_TEST

/* Each line breaks one figure of B0; the text names it. */
static const struct {
	struct tv_architecture architecture;
	const char *text;
} impossible[] = {
	{ { { 0, 16, 32, 64, 128 }, { 1, 2, 2, 2, 2 }, 16, { 1024, 1280 }, 10, 4 },
	  "width of the stem is 0, expected 1 to 4096" },
	{ { { 8, 16, 4097, 64, 128 }, { 1, 2, 2, 2, 2 }, 16, { 1024, 1280 }, 10, 4 },
	  "width of stage 2 is 4097, expected 1 to 4096" },
	{ { { 8, 16, 32, 64, 0xffffffff }, { 1, 2, 2, 2, 2 }, 16, { 1024, 1280 }, 10, 4 },
	  "width of stage 4 is 4294967295" },
	{ { { 8, 16, 32, 64, 6000 }, { 1, 2, 2, 2, 2 }, 16, { 1024, 1280 }, 10, 2 },
	  "width of stage 4 is 6000, expected 1 to 5461" },
	{ { { 8, 16, 32, 64, 120 }, { 1, 2, 2, 2, 2 }, 16, { 1024, 1280 }, 10, 4 },
	  "width of stage 4 is 120, expected a multiple of the 16 channels of an attention head" },
	{ { { 8, 16, 32, 64, 128 }, { 1, 2, 2, 2, 65 }, 16, { 1024, 1280 }, 10, 4 },
	  "depth of stage 4 is 65, expected 1 to 64" },
	{ { { 8, 16, 32, 64, 128 }, { 1, 2, 0, 2, 2 }, 16, { 1024, 1280 }, 10, 4 },
	  "depth of stage 2 is 0" },
	{ { { 8, 16, 32, 64, 128 }, { 1, 2, 2, 2, 2 }, 0, { 1024, 1280 }, 10, 4 },
	  "channels of an attention head is 0" },
	{ { { 8, 16, 32, 64, 128 }, { 1, 2, 2, 2, 2 }, 16, { 16385, 1280 }, 10, 4 },
	  "width of the head's convolution is 16385" },
	{ { { 8, 16, 32, 64, 128 }, { 1, 2, 2, 2, 2 }, 16, { 1024, 0 }, 10, 4 },
	  "width of the head's first linear layer is 0" },
	{ { { 8, 16, 32, 64, 128 }, { 1, 2, 2, 2, 2 }, 16, { 1024, 1280 }, 0, 4 },
	  "number of classes is 0" },
	{ { { 8, 16, 32, 64, 128 }, { 1, 2, 2, 2, 2 }, 16, { 1024, 1280 }, 10, 0 },
	  "expansion ratio is 0" },
	{ { { 8, 16, 32, 64, 128 }, { 1, 2, 2, 2, 2 }, 16, { 1024, 1280 }, 10, 0xffffffff },
	  "expansion ratio is 4294967295" },
};

START_TEST(impossible_architectures_are_refused)
{
	struct tv_network *network = NULL;
	struct tv_error error = { 0 };

	ck_assert_int_eq(tv_network_new(&impossible[_i].architecture, 96, &network, &error),
			 -EINVAL);
	ck_assert_ptr_null(network);
	ck_assert_msg(strstr(error.text, impossible[_i].text), "'%s' is not in '%s'",
		      impossible[_i].text, error.text);
}
END_TEST

START_TEST(sizes_are_multiples_of_32)
{
	static const unsigned int bad[] = { 0, 16, 100, 225, 4128, 0xffffffe0 };
	struct tv_architecture architecture;

	ck_assert_int_eq(tv_architecture_by_name("b1", &architecture, NULL), 0);
	for (size_t i = 0; i < TV_ARRAY_SIZE(bad); i++) {
		struct tv_network *network = NULL;
		struct tv_error error = { 0 };

		ck_assert_int_eq(tv_network_new(&architecture, bad[i], &network, &error), -EINVAL);
		ck_assert_ptr_nonnull(strstr(error.text, "expected a multiple of 32 up to 4096"));
	}
}
END_TEST

START_TEST(unknown_names_are_refused)
{
	static const char *const names[] = { "", "b", "b4", "l1", "b1 ", "efficientvit_b1" };

	for (size_t i = 0; i < TV_ARRAY_SIZE(names); i++) {
		struct tv_architecture architecture;
		struct tv_error error = { 0 };

		ck_assert_int_eq(tv_architecture_by_name(names[i], &architecture, &error), -EINVAL);
		ck_assert_ptr_nonnull(strstr(error.text, "expected b0, b1, b2 or b3"));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("network");
	TCase *figures = tcase_create("figures");
	TCase *graph = tcase_create("graph");
	TCase *limits = tcase_create("limits");

	tcase_add_loop_test(figures, macs_and_parameters_are_the_published_ones, 0,
			    TV_ARRAY_SIZE(published));
	tcase_add_test(figures, b1_is_made_of_what_it_is_known_to_be);
	tcase_add_test(graph, nodes_hang_together);
	tcase_add_test(graph, names_say_where_a_node_is);
	tcase_add_loop_test(limits, impossible_architectures_are_refused, 0,
			    TV_ARRAY_SIZE(impossible));
	tcase_add_test(limits, sizes_are_multiples_of_32);
	tcase_add_test(limits, unknown_names_are_refused);
	suite_add_tcase(suite, figures);
	suite_add_tcase(suite, graph);
	suite_add_tcase(suite, limits);
	return tv_unit_main(suite);
}
