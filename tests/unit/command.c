/* SPDX-License-Identifier: MIT */
/* Encodings, the layout of weights, and the decoder's checks: each rule by a command that breaks
 * nothing else. */
#include <string.h>

#include <triovit/regs.h>

#include "rtl-model/command.h"
#include "tests/unit/unit.h"

static const struct tv_target *zcu102(void)
{
	return tv_target_by_name("zcu102");
}

static uint64_t state = 7;

static void random_bytes(uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)tv_unit_random(&state);
}

/* Flips each bit of an all-zero encoding: where decoding accepts it, encoding gives it back; where
 * not, the byte is reserved. */
#define CHECK_CODEC(name, size, reserved)                                                          \
	do {                                                                                       \
		unsigned int refused = 0;                                                          \
                                                                                                   \
		for (unsigned int bit = 0; bit < (size)*8; bit++) {                                \
			uint8_t bytes[size] = { 0 }, again[size];                                  \
			struct tv_##name value;                                                    \
                                                                                                   \
			bytes[bit / 8] = (uint8_t)(1u << bit % 8);                                 \
			if (tv_decode_##name(bytes, &value)) {                                     \
				refused++;                                                         \
				continue;                                                          \
			}                                                                          \
			tv_encode_##name(&value, again);                                           \
			ck_assert_mem_eq(bytes, again, size);                                      \
		}                                                                                  \
		ck_assert_uint_eq(refused, (reserved)*8);                                          \
	} while (0)

START_TEST(codecs)
{
	CHECK_CODEC(command, TV_COMMAND_SIZE, 47);
	CHECK_CODEC(program_header, TV_PROGRAM_HEADER_SIZE, 12);
	CHECK_CODEC(descriptor, TV_DESCRIPTOR_SIZE, 120);
	CHECK_CODEC(completion, TV_COMPLETION_SIZE, 38);
	CHECK_CODEC(channel, TV_CHANNEL_SIZE, 0);
	CHECK_CODEC(head, TV_HEAD_SIZE, 0);
}
END_TEST

/* The bytes are the contract: a change of the encoding must show. */
START_TEST(golden_command)
{
	static const uint8_t golden[TV_COMMAND_SIZE] = {
		3,    1,    2,	  0,	56,   0, 57, 0,
		0,    1,    64,	  0,	1,    0, 0,  0, /* shape */
		0x44, 0x33, 0x22, 0x11, 0,    1, 8,  0, /* input */
		0x88, 0x77, 0x66, 0x55, 64,   0, 4,  0, /* shortcut */
		0,    16,   0,	  0,	64,   0, 4,  0, /* output */
		64,   0,    0,	  0,	0,    0, 1,  0, /* weights */
		0xfd, 0xfd, 0xfd, 0xfd, /* pad */
		3,    2,    2,	  9,	0x80, 0, 0,  0, /* stage 0 */
		1,    1,    0,	  0,	5,    4, 0,  0, /* stage 1 */
		0x34, 0x12, 0xff, 0, /* shortcut's scale */
		0,    0,    0,	  0,	0,    0, 0,  0, /* epsilon */
		0,    0,    0,	  0,	0,    0, 0,  0,
		0,    0,    0,	  0,	0,    0, 0,  0, /* copy, reserved */
		7,    0, /* tile */
	};
	const struct tv_command command = {
		.opcode = TV_OP_SEPARABLE,
		.flags = TV_COMMAND_YIELD,
		.images = 2,
		.height = 56,
		.width = 57,
		.channels = 256,
		.out_channels = 64,
		.groups = 1,
		.input = { 0x11223344, 256, TV_SEGMENT_ONCHIP, TV_FORMAT_INT8 },
		.shortcut = { 0x55667788, 64, TV_SEGMENT_SCRATCH, TV_FORMAT_INT8 },
		.output = { 0x1000, 64, TV_SEGMENT_SCRATCH, TV_FORMAT_INT8 },
		.weights = { 64, 0, TV_SEGMENT_WEIGHTS, 0 },
		.pad = { -3, -3, -3, -3 },
		.stage = { { 3, 2, TV_STAGE_HARDSWISH, 9, -128, 0 },
			   { 1, 1, TV_STAGE_LINEAR, 0, 5, 4 } },
		.shortcut_multiplier = 0x1234,
		.shortcut_zero_point = -1,
		.tile_rows = 7,
	};
	uint8_t bytes[TV_COMMAND_SIZE];

	tv_encode_command(&command, bytes);
	ck_assert_mem_eq(bytes, golden, sizeof(golden));
	ck_assert_ptr_null(tv_command_check(&command, zcu102()));
}
END_TEST

/* Every weight has a byte of its own inside the section, for odd shapes too. */
START_TEST(weights_are_apart)
{
	for (unsigned int i = 0; i < 300; i++) {
		uint64_t r = tv_unit_random(&state);
		unsigned int groups = i % 4 ? 1 : 1 + (r >> 8) % 5;
		struct tv_command command = {
			.opcode = TV_OP_CONV,
			.groups = (uint16_t)groups,
			.channels = (uint16_t)(groups * (1 + (r >> 16) % 50)),
			.out_channels = (uint16_t)(groups * (1 + (r >> 32) % 100)),
			.stage[0] = { .kernel = r & 1 ? 3 : 1, .split = (uint8_t)((r >> 4) % 5) },
		};
		struct tv_dense dense = tv_dense_of(&command);
		uint64_t size = tv_dense_size(&dense);
		_cleanup_free_ uint8_t *used = calloc(size, 1);

		ck_assert_ptr_nonnull(used);
		for (uint32_t o = 0; o < command.out_channels; o++)
			for (uint32_t k = 0; k < dense.reduction; k++) {
				uint64_t at = tv_dense_weight(&dense, o, k);

				if (at >= size || used[at]++)
					ck_abort_msg("weight (%u, %u) at %llu of %llu", o, k,
						     (unsigned long long)at,
						     (unsigned long long)size);
			}
		ck_assert_uint_eq(size % TV_BLOCK_STEP, 0);
	}
	for (uint32_t channels = 1; channels < 40; channels++) {
		uint8_t used[40 * 25] = { 0 };

		for (uint32_t c = 0; c < channels; c++)
			for (uint32_t tap = 0; tap < 25; tap++) {
				uint64_t at = tv_depthwise_weight(5, c, tap);

				ck_assert_uint_lt(at, tv_depthwise_size(5, channels));
				ck_assert_uint_eq(used[at]++, 0);
			}
	}
}
END_TEST

/* Consumption order: in a pass of two blocks, step after step, block after block. */
START_TEST(weights_in_order)
{
	const struct tv_command command = {
		.opcode = TV_OP_CONV,
		.groups = 1,
		.channels = 16,
		.out_channels = 48,
		.stage[0] = { .kernel = 1, .split = 1 },
	};
	struct tv_dense dense = tv_dense_of(&command);

	ck_assert_uint_eq(dense.passes, 2);
	ck_assert_uint_eq(tv_dense_weight(&dense, 0, 0), 0);
	ck_assert_uint_eq(tv_dense_weight(&dense, 0, 1), 1);
	ck_assert_uint_eq(tv_dense_weight(&dense, 1, 0), 8);
	ck_assert_uint_eq(tv_dense_weight(&dense, 16, 0), 128);
	ck_assert_uint_eq(tv_dense_weight(&dense, 0, 8), 256);
	ck_assert_uint_eq(tv_dense_weight(&dense, 16, 15), 256 + 128 + 7);
	/* the last pass has one block only: its steps follow each other */
	ck_assert_uint_eq(tv_dense_weight(&dense, 32, 0), 512);
	ck_assert_uint_eq(tv_dense_weight(&dense, 47, 15), 512 + 128 + 15 * 8 + 7);
}
END_TEST

/* A command of each kind that is right. */
static struct tv_command good(unsigned int opcode)
{
	struct tv_command c = {
		.opcode = (uint8_t)opcode,
		.images = 2,
		.height = 14,
		.width = 10,
		.channels = 48,
		.out_channels = 48,
		.input = { 0, 48, TV_SEGMENT_ONCHIP, TV_FORMAT_INT8 },
		.shortcut.segment = TV_SEGMENT_NONE,
		.output = { 65536, 48, TV_SEGMENT_ONCHIP, TV_FORMAT_INT8 },
		.weights.segment = TV_SEGMENT_WEIGHTS,
		.stage[0] = { .kernel = 1, .stride = 1 },
	};

	switch (opcode) {
	case TV_OP_CONV_POOL:
		c.stage[1] = (struct tv_stage){ .kernel = 1, .stride = 1 };
		/* fall through */
	case TV_OP_CONV:
		c.groups = 3;
		c.out_channels = 24;
		c.output.pitch = 24;
		c.stage[0] = (struct tv_stage){ 3, 2, TV_STAGE_HARDSWISH, 12, 3, 4 };
		memset(c.pad, 9, sizeof(c.pad));
		break;
	case TV_OP_SEPARABLE:
		c.groups = 1;
		c.stage[1] = (struct tv_stage){ .kernel = 1, .stride = 1, .split = 2 };
		/* fall through */
	case TV_OP_DEPTHWISE:
		c.stage[0].kernel = 5;
		memset(c.pad, -7, sizeof(c.pad));
		break;
	case TV_OP_ATTENTION:
		c.head_dim = 8;
		c.out_channels = 16;
		c.output.pitch = 16;
		break;
	case TV_OP_NORM:
		c.input = (struct tv_operand){ 0, 96, TV_SEGMENT_ONCHIP, TV_FORMAT_INT16 };
		c.norm_epsilon = 5;
		break;
	case TV_OP_COPY:
		c = (struct tv_command){
			.opcode = TV_OP_COPY,
			.copy_bytes = 100,
			.input = { 64, 0, TV_SEGMENT_WEIGHTS, 0 },
			.output = { 0, 0, TV_SEGMENT_ONCHIP, 0 },
			.shortcut.segment = TV_SEGMENT_NONE,
			.weights.segment = TV_SEGMENT_NONE,
		};
		break;
	}
	return c;
}

#define REFUSED(op, change, text)                                                                  \
	do {                                                                                       \
		struct tv_command c = good(op);                                                    \
		const char *why;                                                                   \
                                                                                                   \
		ck_assert_ptr_null(tv_command_check(&c, zcu102()));                                \
		change;                                                                            \
		why = tv_command_check(&c, zcu102());                                              \
		ck_assert_msg(why &&strstr(why, text), "%s: %s", #change, why ? why : "accepted"); \
	} while (0)

START_TEST(refused)
{
	REFUSED(TV_OP_CONV, c.opcode = 0, "unknown opcode");
	REFUSED(TV_OP_CONV, c.opcode = 9, "unknown opcode");
	REFUSED(TV_OP_CONV, c.opcode = 255, "unknown opcode");
	REFUSED(TV_OP_CONV, c.flags = 2, "unknown flag");
	REFUSED(TV_OP_CONV, c.images = 0, "dimension is zero");
	REFUSED(TV_OP_CONV, c.height = 0, "dimension is zero");
	REFUSED(TV_OP_CONV, c.out_channels = 0, "dimension is zero");
	REFUSED(TV_OP_CONV, c.groups = 0, "groups do not divide");
	REFUSED(TV_OP_CONV, c.groups = 5, "groups do not divide");
	REFUSED(TV_OP_DEPTHWISE, c.groups = 1, "groups without");
	REFUSED(TV_OP_DEPTHWISE, c.out_channels = 47, "output channels differ");
	REFUSED(TV_OP_CONV, c.stage[0].kernel = 2, "kernel is not");
	REFUSED(TV_OP_CONV, c.stage[0].kernel = 9, "kernel is not");
	REFUSED(TV_OP_CONV, c.stage[0].stride = 3, "stride is not");
	REFUSED(TV_OP_CONV, c.stage[0].stride = 0, "stride is not");
	REFUSED(TV_OP_CONV, c.stage[0].activation = 3, "unknown activation");
	REFUSED(TV_OP_CONV, c.stage[0].fraction = 13, "fraction is above");
	REFUSED(TV_OP_CONV, c.stage[0].activation = TV_STAGE_RELU, "fraction without");
	REFUSED(TV_OP_CONV, c.stage[0].split = 5, "split is more");
	REFUSED(TV_OP_DEPTHWISE, c.stage[0].split = 1, "split is more");
	REFUSED(TV_OP_CONV, c.stage[1].kernel = 1, "unused stage");
	REFUSED(TV_OP_SEPARABLE, c.stage[1].kernel = 3, "without a window");
	REFUSED(TV_OP_SEPARABLE, c.stage[1].stride = 2, "without a window");
	REFUSED(TV_OP_POOL, c.stage[0].kernel = 3, "without a window");
	REFUSED(TV_OP_POOL, c.stage[0].activation = TV_STAGE_RELU, "activation does not fit");
	REFUSED(TV_OP_CONV_POOL, c.stage[1].activation = TV_STAGE_RELU, "activation does not fit");
	REFUSED(TV_OP_ATTENTION, c.stage[0].zero_point = 1, "zero point of an attention");
	REFUSED(TV_OP_ATTENTION, c.head_dim = 12, "head dimension is not");
	REFUSED(TV_OP_ATTENTION, c.head_dim = 32, "whole heads");
	REFUSED(TV_OP_ATTENTION, c.out_channels = 15, "whole heads");
	REFUSED(TV_OP_CONV, c.head_dim = 8, "head dimension without");
	REFUSED(TV_OP_CONV, c.norm_epsilon = 1, "epsilon without");
	REFUSED(TV_OP_NORM, c.norm_epsilon = TV_NORM_EPSILON_LIMIT, "too large");
	REFUSED(TV_OP_NORM, c.input.format = TV_FORMAT_INT8, "input format");
	REFUSED(TV_OP_NORM, c.input.offset = 1, "not even");
	REFUSED(TV_OP_POOL, c.input.format = TV_FORMAT_UINT8, "input format");
	REFUSED(TV_OP_CONV, c.input.format = TV_FORMAT_INT16, "input format");
	REFUSED(TV_OP_CONV, c.output.format = TV_FORMAT_UINT8, "output format");
	REFUSED(TV_OP_DEPTHWISE, c.output.format = TV_FORMAT_INT16, "output format");
	REFUSED(TV_OP_CONV, (c.output.format = TV_FORMAT_INT16, c.output.pitch = 48),
		"zero point of an int16");
	REFUSED(TV_OP_CONV, c.input.pitch = 47, "pitch is less");
	REFUSED(TV_OP_CONV, c.output.pitch = 23, "pitch is less");
	REFUSED(TV_OP_CONV, c.input.segment = 9, "names no segment");
	REFUSED(TV_OP_CONV, c.output.segment = TV_SEGMENT_NONE, "names no segment");
	REFUSED(TV_OP_CONV, c.weights.segment = TV_SEGMENT_NONE, "names no segment");
	REFUSED(TV_OP_CONV, c.weights.offset = 32, "64-byte aligned");
	REFUSED(TV_OP_CONV, c.weights.pitch = 1, "weights with a pitch");
	REFUSED(TV_OP_CONV, c.shortcut_multiplier = 1, "absent shortcut");
	REFUSED(TV_OP_CONV, c.shortcut.offset = 1, "absent shortcut");
	REFUSED(TV_OP_POOL, (c.shortcut = c.output), "shortcut does not fit");
	REFUSED(TV_OP_CONV, (c.shortcut = c.output, c.shortcut_multiplier = -1),
		"multiplier is negative");
	REFUSED(TV_OP_CONV, (c.shortcut = c.output, c.shortcut.offset += 1), "overlaps shortcut");
	REFUSED(TV_OP_CONV, c.output.offset = 0, "overlaps input");
	REFUSED(TV_OP_CONV, c.output.offset = 48 * 279, "overlaps input");
	REFUSED(TV_OP_CONV, (c.weights.offset = 65536, c.weights.segment = TV_SEGMENT_ONCHIP),
		"overlaps weights");
	REFUSED(TV_OP_CONV, c.pad[1] = 0, "padding of more than four");
	REFUSED(TV_OP_CONV, (c.stage[0].kernel = 1), "padding without a window");
	REFUSED(TV_OP_CONV, c.tile_rows = 8, "tile is higher");
	REFUSED(TV_OP_POOL, c.tile_rows = 1, "tile is higher");
	REFUSED(TV_OP_CONV, c.copy_bytes = 1, "copy size without");
	REFUSED(TV_OP_COPY, c.copy_bytes = 0, "copy of nothing");
	REFUSED(TV_OP_COPY, c.images = 1, "copy with a shape");
	REFUSED(TV_OP_COPY, (c.output.offset = 163, c.output.segment = TV_SEGMENT_WEIGHTS),
		"overlaps input");
	REFUSED(TV_OP_CONV,
		(c.stage[0].kernel = 7, c.groups = 1, c.channels = 1338, c.input.pitch = 1338),
		"longer than 65535");
	REFUSED(TV_OP_POOL, (c.height = 257, c.width = 256, c.output.segment = TV_SEGMENT_OUTPUT),
		"longer than 65535");
	REFUSED(TV_OP_ATTENTION,
		(c.height = 257, c.width = 256, c.output.segment = TV_SEGMENT_OUTPUT),
		"longer than 65535");
}
END_TEST

START_TEST(accepted)
{
	struct tv_command c = good(TV_OP_CONV);

	/* an output in place of the shortcut, and beside the input in one buffer */
	c.shortcut = c.output;
	ck_assert_ptr_null(tv_command_check(&c, zcu102()));
	c = good(TV_OP_DEPTHWISE);
	c.input.pitch = 96;
	c.output = c.input;
	c.output.offset += 48;
	ck_assert_ptr_null(tv_command_check(&c, zcu102()));
	c.output.offset -= 1;
	ck_assert_ptr_nonnull(tv_command_check(&c, zcu102()));
	c.output.offset += 2;
	ck_assert_ptr_nonnull(tv_command_check(&c, zcu102()));
	/* three channels of RGB, each with its own padding */
	c = good(TV_OP_CONV);
	c.groups = 1;
	c.channels = 3;
	c.input = (struct tv_operand){ 1, 3, TV_SEGMENT_INPUT, TV_FORMAT_UINT8 };
	memcpy(c.pad, (int8_t[]){ -4, -12, -25, 0 }, 4);
	ck_assert_ptr_null(tv_command_check(&c, zcu102()));
	c.pad[3] = 1;
	ck_assert_ptr_nonnull(tv_command_check(&c, zcu102()));
	/* a smaller target has fewer groups to split */
	c = good(TV_OP_CONV);
	ck_assert_ptr_nonnull(tv_command_check(&c, tv_target_by_name("zynq7020")));
}
END_TEST

START_TEST(records)
{
	struct tv_channel channel = { .bias = TV_BIAS_LIMIT - 1,
				      .multiplier = 32767,
				      .narrow_multiplier = 32767,
				      .constant = -32768,
				      .shift = 31,
				      .narrow_shift = 15 };
	struct tv_head head = { .log2_base = 16, .quotient_shift = 31 };

	ck_assert_ptr_null(tv_channel_check(&channel, false));
	channel.bias = -TV_BIAS_LIMIT;
	ck_assert_ptr_nonnull(tv_channel_check(&channel, false));
	channel.bias = TV_BIAS_LIMIT;
	ck_assert_ptr_nonnull(tv_channel_check(&channel, false));
	channel.bias = 1 - TV_BIAS_LIMIT;
	channel.multiplier = -32767;
	ck_assert_ptr_nonnull(tv_channel_check(&channel, false));
	ck_assert_ptr_null(tv_channel_check(&channel, true));
	channel.multiplier = -32768;
	ck_assert_ptr_nonnull(tv_channel_check(&channel, true));
	channel.multiplier = 0;
	channel.shift = 32;
	ck_assert_ptr_nonnull(tv_channel_check(&channel, false));
	channel.shift = 0;
	channel.narrow_shift = 16;
	ck_assert_ptr_nonnull(tv_channel_check(&channel, false));
	channel.narrow_shift = 0;
	channel.narrow_multiplier = -1;
	ck_assert_ptr_nonnull(tv_channel_check(&channel, false));
	ck_assert_ptr_null(tv_head_check(&head));
	head.log2_base = 17;
	ck_assert_ptr_nonnull(tv_head_check(&head));
	head.log2_base = 0;
	head.sum_shift = 32;
	ck_assert_ptr_nonnull(tv_head_check(&head));
	head.sum_shift = 0;
	head.product_narrow = 16;
	ck_assert_ptr_nonnull(tv_head_check(&head));
	head.product_narrow = 15;
	ck_assert_ptr_null(tv_head_check(&head));
	head.quotient_multiplier = -1;
	ck_assert_ptr_nonnull(tv_head_check(&head));
}
END_TEST

/* Whatever bytes a program holds: accepted commands touch what they say, in 64 bits. */
START_TEST(random_commands)
{
	unsigned int fine = 0;

	for (unsigned int i = 0; i < 100000; i++) {
		struct tv_command c = good(1 + i % 8);
		struct tv_access accesses[TV_ACCESSES_MAX];
		uint8_t bytes[TV_COMMAND_SIZE], noise[8];
		unsigned int count;

		tv_encode_command(&c, bytes);
		random_bytes(noise, sizeof(noise));
		for (unsigned int n = 0; n < noise[0] % 4; n++)
			bytes[noise[1 + n] % 100] = noise[4 + n];
		if (tv_decode_command(bytes, &c) || tv_command_check(&c, zcu102()))
			continue;
		fine++;
		count = tv_command_accesses(&c, accesses);
		ck_assert_uint_ge(count, 2);
		ck_assert_uint_le(count, TV_ACCESSES_MAX);
		for (unsigned int a = 0; a < count; a++)
			ck_assert(accesses[a].segment <= TV_SEGMENT_ONCHIP && accesses[a].size);
		ck_assert_uint_eq(accesses[count - 1].right, TV_SEGMENT_WRITE);
		ck_assert(c.opcode == TV_OP_COPY || tv_command_macs(&c) < UINT64_MAX);
	}
	ck_assert_uint_gt(fine, 10000);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		codecs,	 golden_command, weights_are_apart, weights_in_order,
		refused, accepted,	 records,	    random_commands
	};
	Suite *suite = suite_create("command");
	TCase *tcase = tcase_create("contract");

	for (size_t i = 0; i < TV_ARRAY_SIZE(tests); i++)
		tcase_add_test(tcase, tests[i]);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
