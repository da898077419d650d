/* SPDX-License-Identifier: MIT */
/* Codes for an attention's divisor, and the float network with divisors of one's own. */
#include "quantizer/divisor.h"

#include <math.h>
#include <triovit/numerics.h>

#include "quantizer/checkpoint.h"
#include "quantizer/float.h"
#include "tests/unit/unit.h"

START_TEST(uniform_codes_are_equal_steps)
{
	const struct tv_divisor_codes codes = { TV_DIVISOR_UNIFORM, 4, 0 };
	const struct tv_divisor_codes positive = { TV_DIVISOR_UNIFORM, 4, 1 };

	/* 15 steps of 2 */
	for (int i = 0; i <= 15; i++) {
		ck_assert_double_eq(tv_divisor_value(&codes, 2 * i + 0.9, 30), 2 * i);
		ck_assert_double_eq(tv_divisor_value(&codes, fmax(2 * i - 0.9, 0), 30), 2 * i);
	}
	ck_assert_double_eq(tv_divisor_value(&codes, 1000, 30), 30);
	ck_assert_double_eq(tv_divisor_value(&positive, 0.1, 30), 2);
	ck_assert_double_eq(tv_divisor_value(&positive, 5.5, 30), 6);
}
END_TEST

/* In units of 1 the rule is the accelerator's, window and all. */
START_TEST(log2_codes_are_the_accelerators)
{
	const struct tv_divisor_codes codes = { TV_DIVISOR_LOG2, 4, 0 };

	for (unsigned int base = 0; base <= 8; base++) {
		/* With the room, the last exponent of the window that starts at base. */
		double most = ldexp(1, (int)base + 15) / TV_LOG2_ROOM;

		for (uint32_t divisor = 1; divisor < 1u << 26; divisor += 1 + divisor / 37) {
			unsigned int k = tv_log2_divisor(divisor, base);
			double value = tv_divisor_value(&codes, divisor, most);

			ck_assert_double_eq_tol(log2(value), k + 0.0849625, 1e-6);
		}
		ck_assert_double_eq_tol(log2(tv_divisor_value(&codes, 0, most)), base + 0.0849625,
					1e-6);
	}
}
END_TEST

START_TEST(exact_is_exact)
{
	const struct tv_divisor_codes exact = { .kind = TV_DIVISOR_EXACT };
	const struct tv_divisor_codes codes = { TV_DIVISOR_UNIFORM, 4, 0 };

	ck_assert_double_eq(tv_divisor_value(&exact, 0.3, 1), 0.3);
	/* A head that has only seen 0 has no codes. */
	ck_assert_double_eq(tv_divisor_value(&codes, 0.3, 0), 0.3);
}
END_TEST

/* One head's divisors are doubled, which halves what it puts out, and nothing else. */
struct doubling {
	size_t index;
	unsigned int head;
	float *seen; /* the value of node index */
};

static float twice(size_t index, unsigned int head, float divisor, void *userdata)
{
	const struct doubling *doubling = userdata;

	return index == doubling->index && head == doubling->head ? 2 * divisor : divisor;
}

static int keep(const struct tv_node *node, size_t index, float *value, void *userdata)
{
	const struct doubling *doubling = userdata;

	if (index == doubling->index)
		memcpy(doubling->seen, value,
		       sizeof(float) * node->out_height * node->out_width * node->out_channels);
	return 0;
}

START_TEST(divisors_can_be_replaced)
{
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	_cleanup_(tv_float_runner_freep) struct tv_float_runner *runner = NULL;
	static uint8_t rgb[96 * 96 * 3];
	static float plain[9 * 1024], changed[9 * 1024];
	struct doubling doubling = { .seen = plain };
	float logits[16], again[16];
	struct tv_error error = { 0 };
	const struct tv_node *node;
	size_t size;

	tv_assert_ok(tv_checkpoint_read(tv_unit_source("demo/shapes16-b0.safetensors"), NULL,
					&network, &error),
		     error);
	tv_assert_ok(tv_float_runner_new(network, &runner, &error), error);
	for (size_t i = 0; i < sizeof(rgb); i++)
		rgb[i] = (uint8_t)(i * i >> 7);
	/* The last attention, on 3x3 pixels. */
	for (size_t i = 0; i < network->count; i++)
		if (network->nodes[i].kind == TV_NODE_ATTENTION)
			doubling.index = i;
	node = &network->nodes[doubling.index];
	size = (size_t)node->out_height * node->out_width * node->out_channels;
	ck_assert_uint_le(size, TV_ARRAY_SIZE(plain));
	/* Of both maps. */
	for (unsigned int i = 0; i < 2; i++) {
		doubling.head = i ? node->out_channels / node->head_dim - 1 : 1;
		doubling.seen = plain;
		tv_float_runner_round_divisors(runner, NULL, NULL);
		ck_assert_int_eq(tv_float_run(runner, rgb, keep, &doubling, logits), 0);
		doubling.seen = changed;
		tv_float_runner_round_divisors(runner, twice, &doubling);
		ck_assert_int_eq(tv_float_run(runner, rgb, keep, &doubling, again), 0);
		ck_assert_mem_ne(logits, again, sizeof(logits));
		for (size_t j = 0; j < size; j++) {
			bool head = j % node->out_channels / node->head_dim == doubling.head;

			ck_assert_float_eq(changed[j], head ? plain[j] / 2 : plain[j]);
		}
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { uniform_codes_are_equal_steps,
				       log2_codes_are_the_accelerators, exact_is_exact,
				       divisors_can_be_replaced };
	Suite *suite = suite_create("divisor");
	TCase *tcase = tcase_create("all");

	for (size_t i = 0; i < TV_ARRAY_SIZE(tests); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
