/* SPDX-License-Identifier: MIT */
/*
 * Where each operand of each opcode ends: a segment that is as long as that is enough, in one a
 * byte shorter the command reaches outside. The sizes are counted by hand.
 */
#include <string.h>

#include "tests/unit/functional-random.h"
#include "tests/unit/unit.h"

/* In the order in which accesses are checked; each is in a segment of its own. */
enum {
	WEIGHTS,
	INPUT,
	SHORTCUT,
	OUTPUT,
	OPERANDS
};

static const uint8_t segment_of[OPERANDS] = { TV_SEGMENT_WEIGHTS, TV_SEGMENT_INPUT, 6,
					      TV_SEGMENT_OUTPUT };
/* Even where it may be int16, a multiple of 64 where it must. */
static const uint32_t offset_of[OPERANDS] = { 64, 18, 3, 6 };

struct operands_case {
	struct tv_command command; /* segments and offsets are filled in */
	uint32_t bytes[OPERANDS]; /* from the first to the last; 0: there is no such operand */
};

#define STAGE(k, s)                                                                                \
	{                                                                                          \
		.kernel = k, .stride = s                                                           \
	}

static const struct operands_case cases[] = {
	{
		/* To 2 images of 3x2 pixels, of two channels' gap. */
		.command = { .opcode = TV_OP_CONV,
			     .images = 2,
			     .height = 5,
			     .width = 4,
			     .channels = 6,
			     .out_channels = 10,
			     .groups = 2,
			     .input.pitch = 7,
			     .shortcut.pitch = 11,
			     .output = { .pitch = 24, .format = TV_FORMAT_INT16 },
			     .stage = { STAGE(3, 2) } },
		.bytes = { [WEIGHTS] = 128 + 2 * 4 * 128,
			   [INPUT] = 39 * 7 + 6,
			   [SHORTCUT] = 11 * 11 + 10,
			   [OUTPUT] = 11 * 24 + 2 * 10 },
	},
	{
		.command = { .opcode = TV_OP_DEPTHWISE,
			     .images = 1,
			     .height = 4,
			     .width = 5,
			     .channels = 9,
			     .out_channels = 9,
			     .input = { .pitch = 9, .format = TV_FORMAT_UINT8 },
			     .shortcut.pitch = 12,
			     .output.pitch = 10,
			     .stage = { STAGE(5, 1) } },
		.bytes = { [WEIGHTS] = 128 + 448,
			   [INPUT] = 20 * 9,
			   [SHORTCUT] = 19 * 12 + 9,
			   [OUTPUT] = 19 * 10 + 9 },
	},
	{
		.command = { .opcode = TV_OP_SEPARABLE,
			     .images = 3,
			     .height = 3,
			     .width = 3,
			     .channels = 8,
			     .out_channels = 20,
			     .groups = 1,
			     .input.pitch = 8,
			     .shortcut.pitch = 21,
			     .output.pitch = 20,
			     .stage = { STAGE(3, 2), STAGE(1, 1) } },
		.bytes = { [WEIGHTS] = 128 + 128 + 256 + 256,
			   [INPUT] = 27 * 8,
			   [SHORTCUT] = 11 * 21 + 20,
			   [OUTPUT] = 12 * 20 },
	},
	{
		.command = { .opcode = TV_OP_POOL,
			     .images = 2,
			     .height = 3,
			     .width = 4,
			     .channels = 5,
			     .out_channels = 5,
			     .input.pitch = 6,
			     .output.pitch = 8,
			     .stage = { STAGE(1, 1) } },
		.bytes = { [WEIGHTS] = 64, [INPUT] = 23 * 6 + 5, [OUTPUT] = 8 + 5 },
	},
	{
		.command = { .opcode = TV_OP_CONV_POOL,
			     .images = 2,
			     .height = 4,
			     .width = 4,
			     .channels = 4,
			     .out_channels = 7,
			     .groups = 1,
			     .input.pitch = 4,
			     .output.pitch = 7,
			     .stage = { STAGE(1, 1), STAGE(1, 1) } },
		.bytes = { [WEIGHTS] = 128 + 128 + 128, [INPUT] = 32 * 4, [OUTPUT] = 2 * 7 },
	},
	{
		.command = { .opcode = TV_OP_ATTENTION,
			     .images = 1,
			     .height = 2,
			     .width = 3,
			     .channels = 48,
			     .out_channels = 16,
			     .head_dim = 8,
			     .input.pitch = 50,
			     .output.pitch = 16,
			     .stage = { STAGE(1, 1) } },
		.bytes = { [WEIGHTS] = 64, [INPUT] = 5 * 50 + 48, [OUTPUT] = 6 * 16 },
	},
	{
		.command = { .opcode = TV_OP_NORM,
			     .images = 2,
			     .height = 1,
			     .width = 1,
			     .channels = 6,
			     .out_channels = 6,
			     .input = { .pitch = 14, .format = TV_FORMAT_INT16 },
			     .output.pitch = 6,
			     .stage = { STAGE(1, 1) } },
		.bytes = { [WEIGHTS] = 128, [INPUT] = 14 + 2 * 6, [OUTPUT] = 2 * 6 },
	},
	{
		.command = { .opcode = TV_OP_COPY, .copy_bytes = 100 },
		.bytes = { [INPUT] = 100, [OUTPUT] = 100 },
	},
};

/* A job of a copy that changes nothing here, then the command. */
struct bench {
	uint8_t program[TV_PROGRAM_HEADER_SIZE + 2 * TV_COMMAND_SIZE];
	uint8_t *memory[OPERANDS]; /* as long as the operand needs */
	uint32_t size[OPERANDS];
	struct tv_job job;
	struct tv_record record;
};

static const struct tv_command harmless = {
	.opcode = TV_OP_COPY,
	.copy_bytes = 64,
	.input = { 0, 0, TV_SEGMENT_PROGRAM, 0 },
	.output = { 0, 0, TV_SEGMENT_ONCHIP, 0 },
	.shortcut.segment = TV_SEGMENT_NONE,
	.weights.segment = TV_SEGMENT_NONE,
};

static void place(struct tv_operand *operand, const struct operands_case *of, unsigned int which)
{
	operand->segment = of->bytes[which] ? segment_of[which] : TV_SEGMENT_NONE;
	operand->offset = of->bytes[which] ? offset_of[which] : 0;
}

static void begin(struct bench *bench, const struct operands_case *of)
{
	struct tv_command command = of->command;
	const struct tv_program_header header = {
		.magic = TV_PROGRAM_MAGIC,
		.contract = TV_CONTRACT_VERSION,
		.target = TV_TARGET_ZC706,
		.commands = 2,
		.images = 1,
		.onchip = 64,
	};

	*bench = (struct bench){ .size = { 0 } };
	place(&command.weights, of, WEIGHTS);
	place(&command.input, of, INPUT);
	place(&command.shortcut, of, SHORTCUT);
	place(&command.output, of, OUTPUT);
	tv_encode_program_header(&header, bench->program);
	tv_encode_command(&harmless, bench->program + TV_PROGRAM_HEADER_SIZE);
	tv_encode_command(&command, bench->program + TV_PROGRAM_HEADER_SIZE + TV_COMMAND_SIZE);
	bench->job.segments[TV_SEGMENT_PROGRAM] = (struct tv_segment_view){
		.data = bench->program,
		.size = sizeof(bench->program),
		.rights = TV_SEGMENT_READ,
	};
	for (unsigned int i = 0; i < OPERANDS; i++) {
		if (!of->bytes[i])
			continue;
		bench->size[i] = offset_of[i] + of->bytes[i];
		bench->memory[i] = calloc(bench->size[i], 1);
		ck_assert_ptr_nonnull(bench->memory[i]);
		bench->job.segments[segment_of[i]] = (struct tv_segment_view){
			.data = bench->memory[i],
			.size = bench->size[i],
			.rights = i == OUTPUT ? TV_SEGMENT_WRITE : TV_SEGMENT_READ,
		};
	}
	memset(bench->memory[OUTPUT], 55, bench->size[OUTPUT]);
}

static void end(struct bench *bench)
{
	for (unsigned int i = 0; i < OPERANDS; i++)
		free(bench->memory[i]);
}

static void run(struct bench *bench)
{
	_cleanup_(tv_functional_freep) struct tv_functional *machine = NULL;
	struct tv_error error = { 0 };
	int r = tv_functional_new(tv_target_by_name("zc706"), &machine, &error);

	tv_assert_ok(r, error);
	r = tv_functional_run(machine, &bench->job, &bench->record, &error);
	tv_assert_ok(r, error);
}

/* The second command does nothing but end the job. */
static void check_violation(const struct bench *bench, unsigned int operand, uint32_t offset,
			    const char *why)
{
	const struct tv_record *record = &bench->record;

	ck_assert_msg(record->fault == TV_FAULT_SEGMENT && strstr(record->why, why),
		      "operand %u: %s, %s", operand, tv_fault_name(record->fault), record->why);
	ck_assert_uint_eq(record->command, 1);
	ck_assert_uint_eq(record->executed, 1);
	ck_assert_uint_eq(record->segment, segment_of[operand]);
	ck_assert_uint_eq(record->offset, offset);
	for (uint32_t i = 0; i < bench->size[OUTPUT]; i++)
		ck_assert_uint_eq(bench->memory[OUTPUT][i], 55);
}

START_TEST(enough)
{
	struct bench bench;

	begin(&bench, &cases[_i]);
	run(&bench);
	ck_assert_msg(!bench.record.fault, "%s", bench.record.why);
	ck_assert_uint_eq(bench.record.executed, 2);
	/* All parameters are zero, and so is what they make of anything; a copy's input is. */
	ck_assert_uint_eq(bench.memory[OUTPUT][offset_of[OUTPUT] - 1], 55);
	ck_assert_uint_eq(bench.memory[OUTPUT][offset_of[OUTPUT]], 0);
	ck_assert_uint_eq(bench.memory[OUTPUT][bench.size[OUTPUT] - 1], 0);
	end(&bench);
}
END_TEST

START_TEST(one_byte_outside)
{
	for (unsigned int i = 0; i < OPERANDS; i++) {
		struct bench bench;

		if (!cases[_i].bytes[i])
			continue;
		begin(&bench, &cases[_i]);
		bench.job.segments[segment_of[i]].size--;
		run(&bench);
		check_violation(&bench, i, bench.size[i] - 1, "beyond its segment");
		end(&bench);
	}
}
END_TEST

START_TEST(without_the_right)
{
	for (unsigned int i = 0; i < OPERANDS; i++) {
		struct bench bench;

		if (!cases[_i].bytes[i])
			continue;
		begin(&bench, &cases[_i]);
		/* Weights that somebody may write are refused as such. */
		bench.job.segments[segment_of[i]].rights = i == WEIGHTS ? 0 :
							   i == OUTPUT	? TV_SEGMENT_READ :
									  TV_SEGMENT_WRITE;
		run(&bench);
		check_violation(&bench, i, offset_of[i],
				i == OUTPUT ? "not writable" : "not readable");
		end(&bench);
	}
}
END_TEST

int main(void)
{
	const int count = (int)TV_ARRAY_SIZE(cases);
	Suite *suite = suite_create("functional-operands");
	TCase *tcase = tcase_create("operands");

	tcase_add_loop_test(tcase, enough, 0, count);
	tcase_add_loop_test(tcase, one_byte_outside, 0, count);
	tcase_add_loop_test(tcase, without_the_right, 0, count);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
