/* SPDX-License-Identifier: MIT */
/* How jobs end that are wrong: each check by a job that breaks nothing else, the record that it
 * leaves, and what has been done by then. */
#include <string.h>

#include "rtl-model/kernels.h"
#include "tests/unit/functional-random.h"
#include "tests/unit/unit.h"

/* Three commands that are right: a copy, a chain with a shortcut, an attention. */
enum {
	COPY,
	CHAIN,
	ATTENTION
};

struct fixture {
	struct world world;
	struct tv_command *chain, *attention;
	struct tv_program_header header;
	struct tv_job job;
	uint8_t *program;
	struct tv_record record;
};

static const struct tv_command chain = {
	.opcode = TV_OP_SEPARABLE,
	.images = 1,
	.height = 5,
	.width = 4,
	.channels = 8,
	.out_channels = 16,
	.groups = 1,
	.input = { 64, 8, TV_SEGMENT_INPUT, TV_FORMAT_INT8 },
	.shortcut = { 0, 16, TV_SEGMENT_ONCHIP, TV_FORMAT_INT8 },
	.output = { 0, 16, TV_SEGMENT_OUTPUT, TV_FORMAT_INT8 },
	.weights = { 0, 0, TV_SEGMENT_WEIGHTS, 0 },
	.stage = { { .kernel = 3, .stride = 1 }, { .kernel = 1, .stride = 1 } },
	.shortcut_multiplier = 9000,
};

static const struct tv_command attention = {
	.opcode = TV_OP_ATTENTION,
	.images = 1,
	.height = 3,
	.width = 3,
	.channels = 48,
	.out_channels = 16,
	.head_dim = 8,
	.input = { 0, 48, TV_SEGMENT_INPUT, TV_FORMAT_INT8 },
	.shortcut = { .segment = TV_SEGMENT_NONE },
	.output = { 100, 16, TV_SEGMENT_SCRATCH, TV_FORMAT_INT8 },
	.weights = { 4096, 0, TV_SEGMENT_WEIGHTS, 0 },
	.stage[0] = { .kernel = 1, .stride = 1 },
};

/* Segments 0 to 5 exist, number 5 may be written only, number 6 may be read only. */
static void begin(struct fixture *f)
{
	struct world *w = &f->world;
	uint8_t *weights;

	world_begin(w, 17, tv_target_by_name("kv260"));
	world_copy(w, TV_SEGMENT_INPUT, 0, TV_SEGMENT_ONCHIP, 0, 1000);
	w->commands[w->count++] = chain;
	w->commands[w->count++] = attention;
	f->chain = &w->commands[CHAIN];
	f->attention = &w->commands[ATTENTION];
	weights = w->memory[TV_SEGMENT_WEIGHTS];
	world_parameters(w, f->chain, weights);
	world_parameters(w, f->attention, weights + f->attention->weights.offset);
	memset(w->memory[TV_SEGMENT_OUTPUT], 55, w->size[TV_SEGMENT_OUTPUT]);
	memset(w->memory[TV_SEGMENT_SCRATCH], 55, w->size[TV_SEGMENT_SCRATCH]);
	f->header = world_header(w);
	f->job = world_job(w);
	f->program = w->memory[TV_SEGMENT_PROGRAM];
}

static void end(struct fixture *f)
{
	world_end(&f->world);
}

static void write_header(struct fixture *f)
{
	tv_encode_program_header(&f->header, f->program);
}

static void write_commands(struct fixture *f)
{
	for (unsigned int i = 0; i < f->world.count; i++)
		tv_encode_command(&f->world.commands[i],
				  f->program + TV_PROGRAM_HEADER_SIZE + i * TV_COMMAND_SIZE);
}

/* Each test is run twice: as jobs are, and with weights that were prepared. */
static bool prepares;

static void run(struct fixture *f)
{
	_cleanup_(tv_functional_freep) struct tv_functional *machine = NULL;
	_cleanup_(tv_prepared_unrefp) struct tv_prepared *prepared = NULL;
	_cleanup_(tv_program_freep) struct tv_program *program = NULL;
	struct tv_error error = { 0 };
	int r = tv_functional_new(f->world.target, &machine, &error);

	tv_assert_ok(r, error);
	r = tv_program_decode(f->world.target, f->job.segments, f->job.budget, &program, &error);
	tv_assert_ok(r, error);
	if (prepares) {
		r = tv_prepared_new(tv_kernels_get(0), program,
				    &f->job.segments[TV_SEGMENT_WEIGHTS], SIZE_MAX, &prepared,
				    &error);
		tv_assert_ok(r, error);
	}
	memset(&f->record, 0xee, sizeof(f->record));
	f->job.prepared = prepared;
	r = tv_functional_execute(machine, &f->job, program, &f->record, &error);
	f->job.prepared = NULL;
	tv_assert_ok(r, error);
	ck_assert_ptr_nonnull(f->record.why);
}

static bool untouched(const struct fixture *f, unsigned int segment)
{
	for (uint32_t i = 0; i < f->world.size[segment]; i++)
		if (f->world.memory[segment][i] != 55)
			return false;
	return true;
}

/* --- before the first command --------------------------------------------------------------- */

/* change works on the fixture f; what it does to the header is written to the program. */
#define REFUSED(kind, change, text)                                                                \
	do {                                                                                       \
		struct fixture f;                                                                  \
                                                                                                   \
		begin(&f);                                                                         \
		run(&f);                                                                           \
		ck_assert_msg(!f.record.fault, "%s", f.record.why);                                \
		end(&f);                                                                           \
		begin(&f);                                                                         \
		change;                                                                            \
		run(&f);                                                                           \
		ck_assert_msg(f.record.fault == (kind), "%s: %s, %s", #change,                     \
			      tv_fault_name(f.record.fault), f.record.why);                        \
		ck_assert_msg(strstr(f.record.why, text), "%s: %s", #change, f.record.why);        \
		ck_assert_uint_eq(f.record.command, TV_RECORD_NO_COMMAND);                         \
		ck_assert_uint_eq(f.record.segment, TV_SEGMENT_NONE);                              \
		ck_assert_uint_eq(f.record.offset, 0);                                             \
		ck_assert_uint_eq(f.record.executed, 0);                                           \
		ck_assert_uint_eq(f.record.steps, 0);                                              \
		ck_assert(untouched(&f, TV_SEGMENT_OUTPUT));                                       \
		end(&f);                                                                           \
	} while (0)

#define BAD_JOB(change, text)	 REFUSED(TV_FAULT_BAD_JOB, change, text)
#define BAD_TARGET(change, text) REFUSED(TV_FAULT_BAD_TARGET, change, text)
#define BAD_HEADER(change, text) BAD_JOB((change, write_header(&f)), text)

START_TEST(program_segment)
{
	BAD_JOB(f.job.segments[0].data = NULL, "no program segment");
	BAD_JOB(f.job.segments[0].size = 0, "no program segment");
	BAD_JOB(f.job.segments[0].rights = 0, "not readable");
	BAD_JOB(f.job.segments[0].rights = TV_SEGMENT_WRITE, "not readable");
	BAD_JOB(f.job.segments[0].rights |= TV_SEGMENT_WRITE, "is writable");
	BAD_JOB(f.job.segments[0].size = 63, "shorter than a header");
	BAD_HEADER(f.header.magic ^= 1, "magic");
	/* Not even another contract can be told without the magic. */
	BAD_HEADER((f.header.magic = 0, f.header.contract = 2), "magic");
	BAD_JOB(f.job.segments[0].size -= 1, "ends before the last command");
	BAD_HEADER(f.header.commands++, "ends before the last command");
	BAD_HEADER(f.header.commands = 65536, "more than 65535");
	BAD_HEADER(f.header.commands = UINT32_MAX, "more than 65535");
}
END_TEST

START_TEST(header)
{
	BAD_TARGET((f.header.contract = 2, write_header(&f)), "another contract");
	BAD_TARGET((f.header.contract = 0, write_header(&f)), "another contract");
	BAD_TARGET((f.header.target = TV_TARGET_ZCU102, write_header(&f)), "another target");
	BAD_TARGET((f.header.target = TV_TARGET_CUSTOM, write_header(&f)), "another target");
	/* In another contract the rest of the header may mean something else. */
	BAD_TARGET((f.header.contract = 2, f.header.images = 0, write_header(&f),
		    f.program[60] = 1),
		   "another contract");
	BAD_TARGET((f.header.target = 9, write_header(&f), f.program[60] = 1), "another target");
	for (unsigned int i = 52; i < TV_PROGRAM_HEADER_SIZE; i++)
		BAD_JOB(f.program[i] = 0x80, "reserved");
	BAD_HEADER(f.header.images = 0, "no image");
	BAD_HEADER(f.header.onchip = f.world.target->onchip + 1, "on-chip memory");
}
END_TEST

START_TEST(segments)
{
	BAD_HEADER(f.header.segment[TV_SEGMENT_PROGRAM]++, "missing or shorter");
	BAD_HEADER(f.header.segment[TV_SEGMENT_INPUT]++, "missing or shorter");
	BAD_HEADER(f.header.segment[7] = 1, "missing or shorter");
	BAD_JOB(f.job.segments[TV_SEGMENT_WEIGHTS].size--, "missing or shorter");
	BAD_JOB(f.job.segments[TV_SEGMENT_SCRATCH].data = NULL, "missing or shorter");
	BAD_JOB(f.job.segments[6].size = 0, "missing or shorter");
	BAD_JOB(f.job.segments[TV_SEGMENT_OUTPUT].rights = TV_SEGMENT_READ,
		"program writes is not writable");
	BAD_HEADER(f.header.writable |= 1 << TV_SEGMENT_INPUT, "program writes is not writable");
	BAD_HEADER(f.header.writable |= 1 << TV_SEGMENT_PROGRAM, "program writes is not writable");
	BAD_HEADER(f.header.writable |= 1 << 7, "does not use");
	BAD_HEADER(f.header.segment[TV_SEGMENT_OUTPUT] = 0, "does not use");
	BAD_HEADER(f.header.writable |= 1 << 8, "no job has");
	BAD_HEADER(f.header.writable |= 1 << 15, "no job has");
	BAD_JOB(f.job.segments[TV_SEGMENT_INPUT].rights |= 4, "unknown rights");
	BAD_JOB(f.job.segments[7].rights = 1u << 31, "unknown rights");
}
END_TEST

/* Makes segment a begin so many bytes after segment b does. */
static void put_at(struct fixture *f, unsigned int a, unsigned int b, uint32_t distance,
		   uint32_t size)
{
	f->job.segments[a].data = f->job.segments[b].data + distance;
	f->job.segments[a].size = f->header.segment[a] = size;
	write_header(f);
}

START_TEST(overlaps)
{
	BAD_JOB(put_at(&f, TV_SEGMENT_OUTPUT, TV_SEGMENT_SCRATCH, 0, 500), "overlaps");
	BAD_JOB(put_at(&f, TV_SEGMENT_OUTPUT, TV_SEGMENT_INPUT, 2000, 500), "overlaps");
	BAD_JOB(put_at(&f, TV_SEGMENT_INPUT, TV_SEGMENT_OUTPUT, 2000, 2000), "overlaps");
	BAD_JOB(put_at(&f, TV_SEGMENT_INPUT, TV_SEGMENT_OUTPUT, f.world.size[TV_SEGMENT_OUTPUT] - 1,
		       1),
		"overlaps");
	BAD_JOB(put_at(&f, 7, 5, 100, 1), "overlaps");
	BAD_JOB(put_at(&f, TV_SEGMENT_OUTPUT, TV_SEGMENT_PROGRAM, 0, 400), "overlaps");
}
END_TEST

/* Side by side, or both to be read only, they may lie. */
START_TEST(neighbours)
{
	struct fixture f;
	uint32_t size;

	begin(&f);
	size = f.world.size[TV_SEGMENT_SCRATCH] / 2;
	f.job.segments[TV_SEGMENT_SCRATCH].size = f.header.segment[TV_SEGMENT_SCRATCH] = size;
	put_at(&f, TV_SEGMENT_OUTPUT, TV_SEGMENT_SCRATCH, size, size);
	put_at(&f, 6, TV_SEGMENT_INPUT, 0, 3000);
	run(&f);
	ck_assert_msg(!f.record.fault, "%s", f.record.why);
	end(&f);
}
END_TEST

/* What the header asks for at least may be less than there is, and nothing need be done. */
START_TEST(accepted_jobs)
{
	struct fixture f;

	begin(&f);
	memset(f.header.segment, 0, sizeof(f.header.segment));
	f.header.writable = 0;
	write_header(&f);
	run(&f);
	ck_assert_msg(!f.record.fault, "%s", f.record.why);
	ck_assert_uint_eq(f.record.executed, 3);
	ck_assert(!untouched(&f, TV_SEGMENT_OUTPUT));
	end(&f);

	begin(&f);
	f.header.commands = 0;
	f.header.onchip = f.world.target->onchip;
	f.header.images = 65535;
	write_header(&f);
	run(&f);
	ck_assert_msg(!f.record.fault, "%s", f.record.why);
	ck_assert_uint_eq(f.record.executed, 0);
	ck_assert_uint_eq(f.record.steps, 0);
	ck_assert_uint_eq(f.record.command, TV_RECORD_NO_COMMAND);
	ck_assert_uint_eq(f.record.segment, TV_SEGMENT_NONE);
	end(&f);
}
END_TEST

/* --- at a command --------------------------------------------------------------------------- */

static uint64_t steps_of(const struct tv_command *command)
{
	struct tv_access accesses[TV_ACCESSES_MAX];
	unsigned int count = tv_command_accesses(command, accesses);
	uint64_t steps = 1000 + tv_command_macs(command);

	for (unsigned int i = 0; i < count; i++)
		steps += accesses[i].size;
	return steps;
}

static void check_fault(struct fixture *f, const char *change, enum tv_fault fault,
			uint32_t command, uint8_t segment, uint32_t offset, const char *text)
{
	uint64_t steps = 0;

	run(f);
	ck_assert_msg(f->record.fault == fault && strstr(f->record.why, text), "%s: %s, %s", change,
		      tv_fault_name(f->record.fault), f->record.why);
	ck_assert_msg(f->record.command == command, "%s: command %u", change, f->record.command);
	ck_assert_msg(f->record.segment == segment && f->record.offset == offset,
		      "%s: segment %u, offset %u", change, f->record.segment, f->record.offset);
	ck_assert_uint_eq(f->record.executed, command);
	for (unsigned int i = 0; i < command; i++)
		steps += steps_of(&f->world.commands[i]);
	ck_assert_uint_eq(f->record.steps, steps);
	/* Older commands have completed, this one and those behind it have done nothing. */
	ck_assert_msg(untouched(f, TV_SEGMENT_OUTPUT) == (command <= CHAIN), "%s", change);
	ck_assert_msg(untouched(f, TV_SEGMENT_SCRATCH), "%s", change);
}

/* change works on the fixture f; what it does to commands is written to the program before, what
 * it does to bytes comes after. */
#define FAULT(kind, index, change, bytes, at, where, text)                                         \
	do {                                                                                       \
		struct fixture f;                                                                  \
                                                                                                   \
		begin(&f);                                                                         \
		change;                                                                            \
		write_commands(&f);                                                                \
		bytes;                                                                             \
		check_fault(&f, #change " " #bytes, kind, index, at, where, text);                 \
		end(&f);                                                                           \
	} while (0)

#define BAD_COMMAND(index, change, text)                                                           \
	FAULT(TV_FAULT_BAD_COMMAND, index, change, , TV_SEGMENT_NONE, 0, text)
#define VIOLATION(index, change, at, where, text)                                                  \
	FAULT(TV_FAULT_SEGMENT, index, change, , at, where, text)

static uint8_t *command_bytes(struct fixture *f, unsigned int index)
{
	return f->program + TV_PROGRAM_HEADER_SIZE + index * TV_COMMAND_SIZE;
}

/* A convolution of so many channels: a sum of 49 times as many products. */
static void make_long(struct tv_command *c, uint16_t channels)
{
	c->opcode = TV_OP_CONV;
	c->stage[0].kernel = 7;
	c->stage[1] = (struct tv_stage){ 0 };
	c->channels = c->input.pitch = channels;
}

START_TEST(bad_commands)
{
	BAD_COMMAND(COPY, f.world.commands[COPY].opcode = 0, "unknown opcode");
	BAD_COMMAND(CHAIN, f.chain->channels = 0, "dimension is zero");
	BAD_COMMAND(ATTENTION, f.attention->head_dim = 12, "head dimension");
	/* A split that only a larger target has. */
	BAD_COMMAND(CHAIN, f.chain->stage[1].split = 5, "split");
	for (unsigned int i = 84; i < TV_COMMAND_SIZE; i++)
		if (i < 96 || i > 97)
			FAULT(TV_FAULT_BAD_COMMAND, CHAIN, (void)0, command_bytes(&f, CHAIN)[i] = 1,
			      TV_SEGMENT_NONE, 0, "reserved");
	/* Sums that an int32 might not hold. */
	BAD_COMMAND(CHAIN, make_long(f.chain, 1338), "longer than 65535");
	VIOLATION(CHAIN, make_long(f.chain, 1337), TV_SEGMENT_WEIGHTS,
		  f.world.size[TV_SEGMENT_WEIGHTS], "beyond");
	BAD_COMMAND(ATTENTION, (f.attention->height = 257, f.attention->width = 256),
		    "longer than 65535");
	/* Weights may be read ahead of time from where nobody can write only. */
	BAD_COMMAND(CHAIN, f.chain->weights.segment = TV_SEGMENT_SCRATCH, "writable segment");
	BAD_COMMAND(CHAIN, f.chain->weights.segment = WORLD_WRITE_ONLY, "writable segment");
	BAD_COMMAND(CHAIN, f.job.segments[TV_SEGMENT_WEIGHTS].rights |= TV_SEGMENT_WRITE,
		    "writable segment");
}
END_TEST

#define INPUT_SIZE f.world.size[TV_SEGMENT_INPUT]

START_TEST(violations)
{
	const uint32_t weights = (uint32_t)tv_weights_layout(&chain).size;

	/* The first byte outside: the segment's end, or the operand's first if it lies beyond. */
	VIOLATION(CHAIN, f.chain->input.offset = INPUT_SIZE - 159, TV_SEGMENT_INPUT, INPUT_SIZE,
		  "beyond");
	VIOLATION(CHAIN, f.chain->input.offset = INPUT_SIZE, TV_SEGMENT_INPUT, INPUT_SIZE,
		  "beyond");
	VIOLATION(CHAIN, f.chain->input.offset = INPUT_SIZE + 1, TV_SEGMENT_INPUT, INPUT_SIZE + 1,
		  "beyond");
	VIOLATION(CHAIN, f.chain->input.offset = UINT32_MAX, TV_SEGMENT_INPUT, UINT32_MAX,
		  "beyond");
	VIOLATION(COPY, f.world.commands[COPY].input.offset = INPUT_SIZE - 999, TV_SEGMENT_INPUT,
		  INPUT_SIZE, "beyond");
	VIOLATION(CHAIN, f.chain->weights.offset = f.world.size[TV_SEGMENT_WEIGHTS] - weights + 64,
		  TV_SEGMENT_WEIGHTS, f.world.size[TV_SEGMENT_WEIGHTS], "beyond");
	/* Absent, or without the right: the operand's first byte. */
	VIOLATION(CHAIN, f.chain->input.segment = 7, 7, 64, "absent");
	VIOLATION(CHAIN, f.chain->output.segment = 6, 6, 0, "not writable");
	VIOLATION(CHAIN, f.chain->output.segment = TV_SEGMENT_PROGRAM, TV_SEGMENT_PROGRAM, 0,
		  "not writable");
	VIOLATION(CHAIN, f.chain->input.segment = WORLD_WRITE_ONLY, WORLD_WRITE_ONLY, 64,
		  "not readable");
	VIOLATION(CHAIN, f.chain->shortcut.segment = WORLD_WRITE_ONLY, WORLD_WRITE_ONLY, 0,
		  "not readable");
	/* On chip it is what the header says, not what the target has. */
	VIOLATION(CHAIN, f.chain->shortcut.offset = f.header.onchip - 319, TV_SEGMENT_ONCHIP,
		  f.header.onchip, "beyond");
	VIOLATION(CHAIN, (f.header.onchip = 1000, f.chain->shortcut.offset = 681, write_header(&f)),
		  TV_SEGMENT_ONCHIP, 1000, "beyond");
	VIOLATION(COPY, (f.header.onchip = 0, write_header(&f)), TV_SEGMENT_ONCHIP, 0, "beyond");
}
END_TEST

/* Of several the first in order is told: weights, input, shortcut, output. */
START_TEST(order_of_accesses)
{
	const uint8_t wrong[] = { 7, WORLD_WRITE_ONLY, WORLD_WRITE_ONLY, 6 };
	const uint32_t offsets[] = { 128, 64, 1, 3 };

	for (unsigned int first = 0; first < 4; first++) {
		struct tv_operand *operands[4];
		struct fixture f;

		begin(&f);
		operands[0] = &f.chain->weights;
		operands[1] = &f.chain->input;
		operands[2] = &f.chain->shortcut;
		operands[3] = &f.chain->output;
		for (unsigned int i = first; i < 4; i++) {
			operands[i]->segment = wrong[i];
			operands[i]->offset = offsets[i];
		}
		write_commands(&f);
		check_fault(&f, "order", TV_FAULT_SEGMENT, CHAIN, wrong[first], offsets[first],
			    "segment");
		end(&f);
	}
}
END_TEST

#define BAD_RECORD(index, bytes, where, text)                                                      \
	FAULT(TV_FAULT_BAD_COMMAND, index, (void)0, bytes, TV_SEGMENT_WEIGHTS, where, text)

START_TEST(records)
{
	const struct tv_weights_layout layout = tv_weights_layout(&chain);
	const uint32_t second = (uint32_t)layout.records[1];

	/* bias, multiplier, narrow_multiplier, shift, narrow_shift; the chain's last channels */
	BAD_RECORD(CHAIN, tv_put32(f.world.memory[1], 1u << 30), 0, "bias is not below 2^30");
	BAD_RECORD(CHAIN, tv_put32(f.world.memory[1] + second + 12, -1u << 30), second + 12,
		   "bias is not below 2^30");
	BAD_RECORD(CHAIN, f.world.memory[1][7 * TV_CHANNEL_SIZE + 5] = 0x80, 7 * TV_CHANNEL_SIZE,
		   "multiplier");
	BAD_RECORD(CHAIN, f.world.memory[1][second + 15 * TV_CHANNEL_SIZE + 10] = 32,
		   second + 15 * TV_CHANNEL_SIZE, "shift is above 31");
	BAD_RECORD(CHAIN, f.world.memory[1][second + 11] = 16, second, "narrowing shift");
	/* the first of several, and stage 0 before stage 1 */
	BAD_RECORD(CHAIN,
		   (f.world.memory[1][second + 11] = 16, f.world.memory[1][6 * 12 + 7] = 0xff,
		    f.world.memory[1][5 * 12 + 7] = 0xff),
		   5 * 12, "narrowing multiplier");
	/* heads: the second of two */
	BAD_RECORD(ATTENTION, f.world.memory[1][4096 + 12 + 9] = 17, 4096 + 12, "log2 base");
	BAD_RECORD(ATTENTION, f.world.memory[1][4096 + 12 + 8] = 32, 4096 + 12, "shift");
	/* An access that is wrong comes before a record that is. */
	FAULT(TV_FAULT_SEGMENT, CHAIN, f.chain->output.segment = 6, f.world.memory[1][3] = 0x40, 6,
	      0, "not writable");
}
END_TEST

START_TEST(weights_on_chip)
{
	struct fixture f;

	begin(&f);
	world_copy(&f.world, TV_SEGMENT_WEIGHTS, 4096, TV_SEGMENT_ONCHIP, 2048, 64);
	f.world.commands[COPY] = f.world.commands[3];
	f.world.count = 3;
	f.attention->weights.segment = TV_SEGMENT_ONCHIP;
	f.attention->weights.offset = 2048;
	write_commands(&f);
	run(&f);
	ck_assert_msg(!f.record.fault, "%s", f.record.why);
	ck_assert(!untouched(&f, TV_SEGMENT_SCRATCH));
	memset(f.world.memory[TV_SEGMENT_SCRATCH], 55, f.world.size[TV_SEGMENT_SCRATCH]);
	memset(f.world.memory[TV_SEGMENT_OUTPUT], 55, f.world.size[TV_SEGMENT_OUTPUT]);
	f.world.memory[1][4096 + 9] = 255;
	check_fault(&f, "weights on chip", TV_FAULT_BAD_COMMAND, ATTENTION, TV_SEGMENT_ONCHIP, 2048,
		    "log2 base");
	end(&f);
}
END_TEST

static uint64_t steps_of_all(const struct fixture *f)
{
	uint64_t steps = 0;

	for (unsigned int i = 0; i < f->world.count; i++)
		steps += steps_of(&f->world.commands[i]);
	return steps;
}

START_TEST(enough_budget)
{
	struct fixture f;

	begin(&f);
	f.job.budget = steps_of_all(&f);
	run(&f);
	ck_assert_msg(!f.record.fault, "%s", f.record.why);
	ck_assert_uint_eq(f.record.steps, f.job.budget);
	end(&f);
}
END_TEST

#define OVERDRAWN(index, steps)                                                                    \
	FAULT(TV_FAULT_WATCHDOG, index, f.job.budget = steps, , TV_SEGMENT_NONE, 0, "budget")

START_TEST(too_little_budget)
{
	OVERDRAWN(ATTENTION, steps_of_all(&f) - 1);
	OVERDRAWN(CHAIN, steps_of(&f.world.commands[COPY]));
	OVERDRAWN(COPY, steps_of(&f.world.commands[COPY]) - 1);
	OVERDRAWN(COPY, 1);
	/* A command that would not be executed anyway is not charged. */
	FAULT(TV_FAULT_SEGMENT, CHAIN, (f.job.budget = 3000, f.chain->output.segment = 6), , 6, 0,
	      "not writable");
}
END_TEST

/* A machine is as good as new after a job that failed. */
START_TEST(after_a_fault)
{
	_cleanup_(tv_functional_freep) struct tv_functional *machine = NULL;
	struct tv_error error = { 0 };
	struct tv_record record;
	uint8_t expected[320];
	struct fixture f;
	int r;

	begin(&f);
	run(&f);
	memcpy(expected, f.world.memory[TV_SEGMENT_OUTPUT], sizeof(expected));
	r = tv_functional_new(f.world.target, &machine, &error);
	tv_assert_ok(r, error);
	for (unsigned int i = 0; i < 4; i++) {
		memset(f.world.memory[TV_SEGMENT_OUTPUT], 55, sizeof(expected));
		f.attention->images = i % 2 ? 1 : 0;
		write_commands(&f);
		r = tv_functional_run(machine, &f.job, &record, &error);
		tv_assert_ok(r, error);
		ck_assert_int_eq(record.fault, i % 2 ? TV_FAULT_NONE : TV_FAULT_BAD_COMMAND);
		ck_assert_mem_eq(f.world.memory[TV_SEGMENT_OUTPUT], expected, sizeof(expected));
	}
	end(&f);
}
END_TEST

static void setup(void)
{
	prepares = true;
}

int main(void)
{
	const TTest *const tests[] = { program_segment,	  header,	   segments,
				       overlaps,	  neighbours,	   accepted_jobs,
				       bad_commands,	  violations,	   order_of_accesses,
				       records,		  weights_on_chip, enough_budget,
				       too_little_budget, after_a_fault };
	Suite *suite = suite_create("functional-faults");
	TCase *tcase = tcase_create("faults"), *prepared = tcase_create("prepared");

	tcase_add_checked_fixture(prepared, setup, NULL);
	for (size_t i = 0; i < TV_ARRAY_SIZE(tests); i++) {
		tcase_add_test(tcase, tests[i]);
		tcase_add_test(prepared, tests[i]);
	}
	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, prepared);
	return tv_unit_main(suite);
}
