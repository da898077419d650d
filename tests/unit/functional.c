/* SPDX-License-Identifier: MIT */
/* The functional model against the naive reference: random commands of each kind and random
 * programs, compared byte for byte over all memory that a job may write. */
#include <string.h>

#include "rtl-model/kernels.h"
#include "tests/unit/functional-naive.h"
#include "tests/unit/functional-random.h"
#include "tests/unit/unit.h"

/* What runs on an emulated machine is fewer. */
static unsigned int rounds(unsigned int count)
{
	return getenv("TV_SLOW") ? count / 10 : count;
}

/* A world, a machine for it, and the same memory once more for the reference. */
struct bench {
	struct world world;
	struct naive naive;
	unsigned int next; /* command that the reference executes next */
	unsigned int observed;
	struct tv_record record;
	const struct tv_kernels *kernels;
	bool spoils; /* weights, after they were prepared */
};

/* Inverts what a program's only command would read of its weights if they were not prepared. */
static void spoil(const struct bench *bench)
{
	const struct tv_weights_layout layout = tv_weights_layout(&bench->world.commands[0]);
	uint64_t size = bench->kernels->element == 1 ? layout.size : layout.weights[0];

	for (uint64_t i = 0; i < size; i++)
		bench->world.memory[TV_SEGMENT_WEIGHTS][i] ^= 0xff;
}

/* All kernel sets take turns. */
static void bench_begin(struct bench *bench, uint64_t seed)
{
	const char *target = seed % 3 ? "zcu102" : "zynq7020";
	static unsigned int turn;

	*bench = (struct bench){ .kernels = tv_kernels_get(turn++) };
	if (!bench->kernels) {
		bench->kernels = tv_kernels_get(0);
		turn = 1;
	}
	world_begin(&bench->world, seed, tv_target_by_name(target));
}

static void bench_end(struct bench *bench)
{
	naive_done(&bench->naive);
	for (size_t i = 0; i < TV_ARRAY_SIZE(bench->naive.memory); i++)
		free(bench->naive.memory[i]);
	world_end(&bench->world);
}

static uint64_t steps_of(const struct tv_command *command)
{
	struct tv_access accesses[TV_ACCESSES_MAX];
	unsigned int count = tv_command_accesses(command, accesses);
	uint64_t steps = 1000 + tv_command_macs(command);

	for (unsigned int i = 0; i < count; i++)
		steps += accesses[i].size;
	return steps;
}

static void describe(const struct bench *bench, unsigned int i, char *ret, size_t size)
{
	const struct tv_command *c = &bench->world.commands[i];

	snprintf(ret, size,
		 "%s kernels, command %u of %u, %s: %u x %u x %u x %u to %u, %u groups, kernel %u, "
		 "stride %u",
		 bench->kernels->name, i, bench->world.count, tv_opcode_name(c->opcode), c->images,
		 c->height, c->width, c->channels, c->out_channels, c->groups, c->stage[0].kernel,
		 c->stage[0].stride);
}

/* Of a job in four for other kernels, of one in four not all that there is: it makes no difference.
 */
static struct tv_prepared *prepare(struct bench *bench, const struct tv_job *job,
				   const struct tv_program *program)
{
	struct world *world = &bench->world;
	const struct tv_kernels *kernels = bench->kernels;
	struct tv_prepared *prepared;
	struct tv_error error = { 0 };
	size_t limit = SIZE_MAX;
	int r;

	if (!bench->spoils && world_chance(world, 4))
		kernels = tv_kernels_get(0);
	if (!bench->spoils && world_chance(world, 4))
		limit = 16384 + world_below(world, 50000);
	r = tv_prepared_new(kernels, program, &job->segments[TV_SEGMENT_WEIGHTS], limit, &prepared,
			    &error);
	tv_assert_ok(r, error);
	ck_assert_uint_le(tv_prepared_size(prepared), limit);
	return prepared;
}

/* Runs the job on the model, the memory as it was before on the reference's side. */
static void run_model(struct bench *bench, tv_functional_observer observer)
{
	_cleanup_(tv_functional_freep) struct tv_functional *machine = NULL;
	_cleanup_(tv_prepared_unrefp) struct tv_prepared *prepared = NULL;
	_cleanup_(tv_program_freep) struct tv_program *program = NULL;
	struct world *world = &bench->world;
	struct tv_job job = world_job(world);
	struct tv_error error = { 0 };
	int r;

	for (unsigned int i = 0; i <= TV_SEGMENT_ONCHIP; i++) {
		bench->naive.memory[i] = calloc(world->size[i] + 1, 1);
		ck_assert_ptr_nonnull(bench->naive.memory[i]);
		if (i < TV_SEGMENT_COUNT && world->memory[i])
			memcpy(bench->naive.memory[i], world->memory[i], world->size[i]);
	}
	job.observer = observer;
	job.userdata = bench;
	r = tv_functional_new(world->target, &machine, &error);
	tv_assert_ok(r, error);
	tv_functional_set_kernels(machine, bench->kernels);
	r = tv_functional_set_threads(machine, world->random % 4 ? 1 : 3, &error);
	tv_assert_ok(r, error);
	r = tv_program_decode(world->target, job.segments, 0, &program, &error);
	tv_assert_ok(r, error);
	if (bench->spoils || world_chance(world, 2))
		prepared = prepare(bench, &job, program);
	if (bench->spoils)
		spoil(bench);
	job.prepared = prepared;
	r = tv_functional_execute(machine, &job, program, &bench->record, &error);
	tv_assert_ok(r, error);
}

static void compare_segment(const struct bench *bench, unsigned int segment, const char *what,
			    const char *command)
{
	const uint8_t *is = bench->world.memory[segment], *should = bench->naive.memory[segment];
	uint32_t at = 0;

	if (!memcmp(is, should, bench->world.size[segment]))
		return;
	while (is[at] == should[at])
		at++;
	ck_abort_msg("%s: segment %u, byte %u is %d, should be %d; %s", what, segment, at,
		     (int8_t)is[at], (int8_t)should[at], command);
}

static void compare(struct bench *bench, const char *what)
{
	const struct world *world = &bench->world;
	uint64_t steps = 0;
	char text[200];

	ck_assert_msg(bench->record.fault == TV_FAULT_NONE, "%s: fault at command %u: %s", what,
		      bench->record.command, bench->record.why);
	ck_assert_uint_eq(bench->record.executed, world->count);
	ck_assert_uint_eq(bench->record.command, TV_RECORD_NO_COMMAND);
	for (unsigned int i = 0; i < world->count; i++)
		steps += steps_of(&world->commands[i]);
	ck_assert_uint_eq(bench->record.steps, steps);
	for (; bench->next < world->count; bench->next++)
		naive_execute(&bench->naive, &world->commands[bench->next]);
	describe(bench, world->count > 1 ? world->count - 2 : 0, text, sizeof(text));
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		if (world->memory[i])
			compare_segment(bench, i, what, text);
}

/* What is left on chip is shown by a copy of all of it. */
static void show_onchip(struct world *world)
{
	world_copy(world, TV_SEGMENT_ONCHIP, 0, WORLD_WRITE_ONLY, 0,
		   world->size[TV_SEGMENT_ONCHIP]);
}

START_TEST(commands)
{
	char what[64];

	for (unsigned int i = 0; i < rounds(700); i++) {
		uint64_t seed = (uint64_t)_i << 32 | i;
		struct bench bench;

		bench_begin(&bench, seed);
		world_add(&bench.world, (uint8_t)_i);
		show_onchip(&bench.world);
		run_model(&bench, NULL);
		snprintf(what, sizeof(what), "seed %#llx", (unsigned long long)seed);
		compare(&bench, what);
		bench_end(&bench);
	}
}
END_TEST

static void random_program(struct bench *bench, uint64_t seed)
{
	unsigned int most;

	bench_begin(bench, seed);
	most = 2 + world_below(&bench->world, 8);
	for (unsigned int i = 0; i < most; i++)
		world_add(&bench->world, (uint8_t)(1 + world_below(&bench->world, 8)));
	show_onchip(&bench->world);
}

START_TEST(programs)
{
	char what[64];

	for (unsigned int i = 0; i < rounds(500); i++) {
		struct bench bench;

		random_program(&bench, 0x1000 + i);
		run_model(&bench, NULL);
		snprintf(what, sizeof(what), "seed %#x", 0x1000 + i);
		compare(&bench, what);
		bench_end(&bench);
	}
}
END_TEST

/* The reference follows one step behind, so that it still has what the command has read. */
static void observe(const struct tv_observation *seen, void *userdata)
{
	struct bench *bench = userdata;
	const struct naive_stage *stage = &bench->naive.stage[seen->stage];
	uint8_t decoded[TV_COMMAND_SIZE], command[TV_COMMAND_SIZE];

	ck_assert_uint_lt(seen->command, bench->world.count);
	if (!seen->stage)
		while (bench->next <= seen->command)
			naive_execute(&bench->naive, &bench->world.commands[bench->next++]);
	ck_assert_uint_eq(bench->next, seen->command + 1);
	tv_encode_command(seen->decoded, decoded);
	tv_encode_command(&bench->world.commands[seen->command], command);
	ck_assert_mem_eq(decoded, command, sizeof(command));
	ck_assert_ptr_nonnull(stage->values);
	ck_assert_uint_eq(seen->pixels, stage->pixels);
	ck_assert_uint_eq(seen->channels, stage->channels);
	ck_assert_uint_eq(seen->format, seen->decoded->output.format);
	for (size_t i = 0; i < (size_t)seen->pixels * seen->channels; i++) {
		int32_t value = seen->format == TV_FORMAT_INT16 ? ((const int16_t *)seen->data)[i] :
								  ((const int8_t *)seen->data)[i];

		if (value != stage->values[i])
			ck_abort_msg("command %u, stage %u, value %zu is %d, should be %d",
				     seen->command, seen->stage, i, value, stage->values[i]);
	}
	bench->observed++;
}

START_TEST(observer)
{
	for (unsigned int i = 0; i < rounds(200); i++) {
		unsigned int stages = 0;
		struct bench bench;

		random_program(&bench, 0x2000 + i);
		for (unsigned int c = 0; c < bench.world.count; c++) {
			uint8_t opcode = bench.world.commands[c].opcode;

			stages += opcode == TV_OP_SEPARABLE || opcode == TV_OP_CONV_POOL ?
					  2 :
					  opcode != TV_OP_COPY;
		}
		run_model(&bench, observe);
		ck_assert_uint_eq(bench.observed, stages);
		compare(&bench, "observed");
		bench_end(&bench);
	}
}
END_TEST

/* Two worlds of one seed hold the same, but for what the caller changes in the second. */
static void same_outcome(struct bench *a, struct bench *b, const char *what)
{
	run_model(a, NULL);
	run_model(b, NULL);
	ck_assert_int_eq(a->record.fault, TV_FAULT_NONE);
	ck_assert_int_eq(b->record.fault, TV_FAULT_NONE);
	for (unsigned int i = TV_SEGMENT_INPUT; i < TV_SEGMENT_COUNT; i++)
		ck_assert_msg(!a->world.size[i] || !memcmp(a->world.memory[i], b->world.memory[i],
							   a->world.size[i]),
			      "%s: segment %u", what, i);
	bench_end(a);
	bench_end(b);
}

START_TEST(placement)
{
	for (unsigned int i = 0; i < rounds(100); i++) {
		struct bench a, b;

		random_program(&a, 0x3000 + i);
		random_program(&b, 0x3000 + i);
		for (unsigned int c = 0; c < b.world.count; c++) {
			struct tv_command *command = &b.world.commands[c];

			if (command->opcode == TV_OP_COPY)
				continue;
			command->flags ^= TV_COMMAND_YIELD;
			if (command->opcode <= TV_OP_SEPARABLE)
				command->tile_rows = command->tile_rows ?
							     command->tile_rows / 2 :
							     (uint16_t)tv_map_height(command);
		}
		same_outcome(&a, &b, "tile_rows and flags");
	}
}
END_TEST

/* Inverts each byte of a command's weights operand that no channel uses. */
static unsigned int disturb_lanes(const struct tv_command *c, uint8_t *weights)
{
	const struct tv_weights_layout layout = tv_weights_layout(c);
	_cleanup_free_ uint8_t *used = calloc(layout.size, 1);
	bool separable = c->opcode == TV_OP_SEPARABLE;
	uint32_t kernel = c->stage[0].kernel;
	unsigned int disturbed = 0;
	struct tv_dense dense;

	ck_assert_ptr_nonnull(used);
	if (c->opcode == TV_OP_DEPTHWISE || separable) {
		memset(used, 1, c->channels * TV_CHANNEL_SIZE);
		for (uint32_t o = 0; o < c->channels; o++)
			for (uint32_t tap = 0; tap < kernel * kernel; tap++)
				used[layout.weights[0] + tv_depthwise_weight(kernel, o, tap)] = 1;
	}
	if (c->opcode != TV_OP_DEPTHWISE) {
		dense = tv_dense_of(c);
		memset(used + layout.records[separable], 1, c->out_channels * TV_CHANNEL_SIZE);
		for (uint32_t o = 0; o < c->out_channels; o++)
			for (uint32_t i = 0; i < dense.reduction; i++)
				used[layout.weights[separable] + tv_dense_weight(&dense, o, i)] = 1;
	}
	for (uint64_t i = 0; i < layout.size; i++)
		if (!used[i]) {
			weights[i] ^= 0xff;
			disturbed++;
		}
	return disturbed;
}

/* What is prepared is not read again. */
START_TEST(prepared_weights)
{
	for (unsigned int i = 0; i < rounds(300); i++) {
		struct bench a, b;

		bench_begin(&a, 0x6000 + i);
		world_add(&a.world, (uint8_t)_i);
		bench_begin(&b, 0x6000 + i);
		world_add(&b.world, (uint8_t)_i);
		/* Weights that are copied on chip are not prepared. */
		b.spoils = b.world.count == 1;
		same_outcome(&a, &b, "prepared");
	}
}
END_TEST

START_TEST(unused_lanes)
{
	unsigned int disturbed = 0;

	for (unsigned int i = 0; i < rounds(300); i++) {
		uint8_t opcode = (uint8_t)(TV_OP_CONV + i % 3);
		struct bench a, b;

		bench_begin(&a, 0x4000 + i);
		bench_begin(&b, 0x4000 + i);
		world_add(&a.world, opcode);
		world_add(&b.world, opcode);
		/* What was copied on chip the command may also read as its input. */
		if (a.world.count == 1) {
			show_onchip(&a.world);
			show_onchip(&b.world);
			disturbed += disturb_lanes(&b.world.commands[0],
						   b.world.memory[TV_SEGMENT_WEIGHTS]);
		}
		same_outcome(&a, &b, "lanes");
	}
	ck_assert_uint_gt(disturbed, 1000);
}
END_TEST

/* On-chip memory is zero at first, and after a job that filled it. */
START_TEST(onchip_memory)
{
	_cleanup_(tv_functional_freep) struct tv_functional *machine = NULL;
	static const uint8_t zeroes[70000];
	struct tv_record record;
	struct tv_error error;
	struct tv_job job;
	struct world w;
	uint32_t size;
	int r;

	world_begin(&w, 0x5000, tv_target_by_name("zcu102"));
	size = w.size[TV_SEGMENT_ONCHIP];
	ck_assert_uint_le(size, sizeof(zeroes));
	world_copy(&w, TV_SEGMENT_ONCHIP, 0, WORLD_WRITE_ONLY, 0, size);
	world_copy(&w, TV_SEGMENT_WEIGHTS, 0, TV_SEGMENT_ONCHIP, 0, size);
	world_copy(&w, TV_SEGMENT_ONCHIP, 0, TV_SEGMENT_SCRATCH, 0, w.size[TV_SEGMENT_SCRATCH]);
	w.commands[2].copy_bytes = 1000;
	memset(w.memory[TV_SEGMENT_WEIGHTS], 77, size);
	r = tv_functional_new(w.target, &machine, &error);
	tv_assert_ok(r, error);
	for (unsigned int i = 0; i < 3; i++) {
		memset(w.memory[WORLD_WRITE_ONLY], 1, size);
		job = world_job(&w);
		r = tv_functional_run(machine, &job, &record, &error);
		tv_assert_ok(r, error);
		ck_assert_msg(!record.fault, "%s", record.why);
		ck_assert_mem_eq(w.memory[WORLD_WRITE_ONLY], zeroes, size);
		ck_assert_uint_eq(w.memory[TV_SEGMENT_SCRATCH][999], 77);
	}
	world_end(&w);
}
END_TEST

/* --- as long as sums may be ----------------------------------------------------------------- */

static void resize(struct world *world, unsigned int segment, uint32_t size, uint8_t value)
{
	world->memory[segment] = realloc(world->memory[segment], size);
	ck_assert_ptr_nonnull(world->memory[segment]);
	world->size[segment] = size;
	memset(world->memory[segment], value, size);
}

/* Adds a command whose input and weights are all the same byte and whose biases are the largest. */
static void add_extreme(struct world *world, struct tv_command *c, uint32_t input, uint8_t value,
			uint8_t weight, bool negative)
{
	const struct tv_channel channel = {
		.bias = negative ? 1 - TV_BIAS_LIMIT : TV_BIAS_LIMIT - 1,
		.multiplier = 32767,
		.shift = 16,
		.narrow_multiplier = 32767,
		.narrow_shift = 8,
	};
	uint8_t *weights;

	c->shortcut.segment = TV_SEGMENT_NONE;
	c->input.segment = TV_SEGMENT_INPUT;
	c->output = (struct tv_operand){ 0, c->out_channels, TV_SEGMENT_OUTPUT, TV_FORMAT_INT8 };
	c->weights = (struct tv_operand){ 0, 0, TV_SEGMENT_WEIGHTS, 0 };
	resize(world, TV_SEGMENT_INPUT, input, value);
	resize(world, TV_SEGMENT_WEIGHTS, (uint32_t)tv_weights_layout(c).size, weight);
	weights = world->memory[TV_SEGMENT_WEIGHTS];
	for (unsigned int s = 0; s < (c->opcode == TV_OP_CONV_POOL ? 2 : 1); s++)
		for (uint32_t o = 0; o < c->out_channels; o++)
			tv_encode_channel(&channel, weights + tv_weights_layout(c).records[s] +
							    o * TV_CHANNEL_SIZE);
	ck_assert_msg(!tv_command_check(c, world->target), "%s",
		      tv_command_check(c, world->target));
	world->commands[world->count++] = *c;
}

/* opcode, kernel; height, width, channels, output channels; bytes of a pixel */
static const uint16_t longest[][7] = {
	{ TV_OP_CONV, 1, 1, 1, 65535, 2, 65535 },     { TV_OP_CONV, 7, 1, 1, 1337, 17, 1337 },
	{ TV_OP_POOL, 1, 255, 257, 3, 3, 4 },	      { TV_OP_CONV_POOL, 1, 257, 255, 1, 5, 1 },
	{ TV_OP_NORM, 1, 1, 1, 16384, 16384, 32768 },
};

START_TEST(longest_sums)
{
	static const uint8_t extremes[][2] = { { 0x80, 0x80 }, { 0x80, 0x7f }, { 0x7f, 0x80 } };
	const uint16_t *row = longest[_i];

	/* Of each kernel set all three. */
	for (size_t i = 0; tv_kernels_get((unsigned int)(i / 3)); i++) {
		const uint8_t *bytes = extremes[i % 3];
		struct tv_command c = {
			.opcode = (uint8_t)row[0],
			.images = 1,
			.height = row[2],
			.width = row[3],
			.channels = row[4],
			.out_channels = row[5],
			.input = { .pitch = row[6] },
			.stage[0] = { .kernel = (uint8_t)row[1], .stride = 1 },
		};
		struct bench bench;

		c.groups = c.opcode == TV_OP_CONV || c.opcode == TV_OP_CONV_POOL;
		if (c.opcode == TV_OP_CONV_POOL)
			c.stage[1] = c.stage[0];
		if (c.opcode == TV_OP_NORM)
			c.input.format = TV_FORMAT_INT16;
		bench_begin(&bench, 1);
		bench.kernels = tv_kernels_get((unsigned int)(i / 3));
		add_extreme(&bench.world, &c, (uint32_t)row[2] * row[3] * row[6], bytes[0],
			    bytes[1], bytes[0] != bytes[1]);
		run_model(&bench, NULL);
		compare(&bench, "extreme");
		bench_end(&bench);
	}
}
END_TEST

#define DIM    16
#define TOKENS 65535

/* The reference would add up all tokens for each; here all are alike. */
START_TEST(longest_attention)
{
	struct tv_command c = {
		.opcode = TV_OP_ATTENTION,
		.images = 1,
		.height = 255,
		.width = 257,
		.channels = 3 * DIM,
		.out_channels = DIM,
		.head_dim = DIM,
		.input = { 0, 3 * DIM, TV_SEGMENT_INPUT, TV_FORMAT_INT8 },
		.output = { 0, DIM, TV_SEGMENT_OUTPUT, TV_FORMAT_INT8 },
		.shortcut.segment = TV_SEGMENT_NONE,
		.weights.segment = TV_SEGMENT_WEIGHTS,
		.stage[0] = { .kernel = 1, .stride = 1 },
	};
	const struct tv_head head = {
		.product_multiplier = 32767,
		.sum_multiplier = 32767,
		.quotient_multiplier = 20000,
		.product_shift = 15,
		.sum_shift = 8,
		.quotient_shift = 10,
		.log2_base = 5,
		.product_narrow = 8,
		.sum_narrow = 9,
	};
	int32_t product, sum, dividend, divisor;
	struct bench bench;
	int8_t expected;

	bench_begin(&bench, 1);
	bench.kernels = tv_kernels_get((unsigned int)_i);
	if (!bench.kernels) {
		bench_end(&bench);
		return;
	}
	resize(&bench.world, TV_SEGMENT_INPUT, TOKENS * 3 * DIM, 127);
	resize(&bench.world, TV_SEGMENT_OUTPUT, TOKENS * DIM, 1);
	for (uint32_t t = 0; t < TOKENS; t++)
		memset(bench.world.memory[TV_SEGMENT_INPUT] + t * 3 * DIM + 2 * DIM, -128, DIM);
	tv_encode_head(&head, bench.world.memory[TV_SEGMENT_WEIGHTS]);
	bench.world.commands[bench.world.count++] = c;
	run_model(&bench, NULL);
	ck_assert_msg(!bench.record.fault, "%s", bench.record.why);
	product = tv_requantize_head(-127 * 128 * TOKENS, 15, 32767, 8);
	sum = tv_requantize_head(127 * TOKENS, 8, 32767, 9);
	dividend = DIM * 127 * product;
	divisor = DIM * 127 * sum;
	expected = tv_shift_divide(dividend, 20000, 10, tv_log2_divisor((uint32_t)divisor, 5));
	ck_assert(expected < 0 && expected > -128 && product > -128 && sum < 127);
	for (uint32_t i = 0; i < TOKENS * DIM; i++)
		if ((int8_t)bench.world.memory[TV_SEGMENT_OUTPUT][i] != expected)
			ck_abort_msg("value %u", i);
	bench_end(&bench);
}
END_TEST

/* A set that this processor lacks is told of: what the other tests compare is the rest. */
static const char *const sets[] = {
#ifdef __x86_64__
	"avx512",  "avxvnni", "avx512vl", "avx2",
#endif
#ifdef __aarch64__
	"dotprod", "neon",
#endif
	"scalar",
};

START_TEST(kernel_sets)
{
	const struct tv_kernels *kernels;

	for (unsigned int i = 0; (kernels = tv_kernels_get(i)); i++)
		if (!strcmp(kernels->name, sets[_i]))
			return;
	tv_unit_skip("functional model: a kernel set", "this processor has no %s", sets[_i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("functional");
	TCase *tcase = tcase_create("arithmetic");

	tcase_add_loop_test(tcase, commands, TV_OP_CONV, TV_OP_COPY + 1);
	tcase_add_test(tcase, programs);
	tcase_add_test(tcase, observer);
	tcase_add_test(tcase, placement);
	tcase_add_loop_test(tcase, prepared_weights, TV_OP_CONV, TV_OP_COPY);
	tcase_add_test(tcase, unused_lanes);
	tcase_add_loop_test(tcase, kernel_sets, 0, (int)TV_ARRAY_SIZE(sets));
	tcase_add_test(tcase, onchip_memory);
	tcase_add_loop_test(tcase, longest_sums, 0, (int)TV_ARRAY_SIZE(longest));
	tcase_add_loop_test(tcase, longest_attention, 0, 3);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
