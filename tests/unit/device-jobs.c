/* SPDX-License-Identifier: MIT */
/* What jobs have to do with one another: nothing. Soft resets in the middle of a command, memory
 * that changes under the device, on-chip memory between jobs. */
#include <sched.h>
#include <stdatomic.h>

#include "tests/unit/device-machine.h"

static const struct tv_target *zcu102(void)
{
	return tv_target_by_name("zcu102");
}

/* --- a job of one command ------------------------------------------------------------------- */

/* Memory for the command's operands, the weights all zero but valid, and a descriptor. Operands
 * name segments INPUT, OUTPUT and WEIGHTS at offset 0; a name of ONCHIP is left alone. */
static struct tv_descriptor one_command(struct machine *m, const struct tv_command *command,
					struct region **ret_output)
{
	struct tv_program_header header = {
		.magic = TV_PROGRAM_MAGIC,
		.contract = TV_CONTRACT_VERSION,
		.target = m->target->id,
		.commands = 1,
		.images = 1,
		.segment = { TV_PROGRAM_HEADER_SIZE + TV_COMMAND_SIZE },
		.onchip = m->target->onchip,
	};
	struct tv_access accesses[TV_ACCESSES_MAX];
	unsigned int count = tv_command_accesses(command, accesses);
	struct tv_descriptor job = { .job = command->opcode };
	struct region *region;

	ck_assert_msg(!tv_command_check(command, m->target), "%s",
		      tv_command_check(command, m->target));
	for (unsigned int i = 0; i < count; i++) {
		unsigned int segment = accesses[i].segment;

		if (segment == TV_SEGMENT_ONCHIP)
			continue;
		region = machine_add(m, accesses[i].offset + accesses[i].size);
		header.segment[segment] = (uint32_t)region->size;
		if (accesses[i].right == TV_SEGMENT_WRITE)
			header.writable |= (uint16_t)(1u << segment);
		machine_segment(&job, segment, region, accesses[i].right);
		if (segment == TV_SEGMENT_OUTPUT)
			*ret_output = region;
	}
	region = machine_add(m, header.segment[0]);
	tv_encode_program_header(&header, region->data);
	tv_encode_command(command, region->data + TV_PROGRAM_HEADER_SIZE);
	machine_segment(&job, 0, region, TV_SEGMENT_READ);
	return job;
}

static struct tv_command copy(uint8_t from, uint8_t to, uint32_t size)
{
	return (struct tv_command){
		.opcode = TV_OP_COPY,
		.copy_bytes = size,
		.input = { .segment = from },
		.output = { .segment = to },
		.shortcut.segment = TV_SEGMENT_NONE,
		.weights.segment = TV_SEGMENT_NONE,
	};
}

/* --- time ------------------------------------------------------------------------------------ */

/* Weights and operands share the channel: it is at work for what they have together. */
START_TEST(busy)
{
	const struct tv_command pool = {
		.opcode = TV_OP_POOL,
		.images = 1,
		.height = 7,
		.width = 7,
		.channels = 512,
		.out_channels = 512,
		.input = { 0, 512, TV_SEGMENT_INPUT, TV_FORMAT_INT8 },
		.output = { 0, 512, TV_SEGMENT_OUTPUT, TV_FORMAT_INT8 },
		.shortcut.segment = TV_SEGMENT_NONE,
		.weights.segment = TV_SEGMENT_WEIGHTS,
		.stage[0] = { .kernel = 1, .stride = 1 },
	};
	struct tv_completion record;
	struct tv_descriptor job;
	struct region *output;
	struct machine m;

	machine_begin(&m, zcu102());
	job = one_command(&m, &pool, &output);
	record = machine_do(&m, &job);
	ck_assert_uint_eq(record.fault, TV_FAULT_NONE);
	/* Input, records and output, and the program and the records of its end; latencies too. */
	ck_assert_uint_ge(record.dma_busy, (7 * 7 * 512 + 512 * 12 + 512) / 64);
	ck_assert_uint_lt(record.dma_busy, (7 * 7 * 512 + 512 * 12 + 512) / 64 + 20);
	ck_assert_uint_lt(record.dma_busy, record.end - record.start);
	machine_end(&m);
}
END_TEST

/* --- on-chip memory ------------------------------------------------------------------------- */

static bool all(const struct region *region, uint8_t byte)
{
	for (size_t i = 0; i < region->size; i++)
		if (region->data[i] != byte)
			return false;
	return true;
}

/* Job A leaves a secret in every byte on chip, job B looks for it. */
START_TEST(onchip_memory)
{
	const uint32_t size = zcu102()->onchip;
	struct tv_command write = copy(TV_SEGMENT_INPUT, TV_SEGMENT_ONCHIP, size);
	struct tv_command read = copy(TV_SEGMENT_ONCHIP, TV_SEGMENT_OUTPUT, size);
	struct tv_descriptor a, b;
	struct tv_completion record;
	struct region *output;
	struct machine m;

	machine_begin(&m, zcu102());
	a = one_command(&m, &write, &output);
	memset(machine_region(&m, a.segment[TV_SEGMENT_INPUT].base)->data, 0xaa, size);
	b = one_command(&m, &read, &output);
	for (int threaded = 0; threaded < 2; threaded++) {
		m.threaded = threaded;
		memset(output->data, 0x55, output->size);
		machine_submit(&m, &a);
		machine_submit(&m, &b);
		machine_run(&m);
		for (int i = 0; i < 2; i++) {
			ck_assert(tv_driver_take(m.driver, &record));
			ck_assert_uint_eq(record.fault, TV_FAULT_NONE);
		}
		ck_assert(all(output, 0));
	}
	/* Within a job it is kept: else there would be nothing to find. */
	read.input.segment = TV_SEGMENT_INPUT;
	b.segment[TV_SEGMENT_INPUT] = a.segment[TV_SEGMENT_INPUT];
	tv_encode_command(&read, machine_region(&m, b.segment[0].base)->data + 64);
	machine_submit(&m, &b);
	machine_run(&m);
	ck_assert(all(output, 0xaa));
	machine_end(&m);
}
END_TEST

/* --- resets --------------------------------------------------------------------------------- */

#define SHAPE(side, in, out) .height = side, .width = side, .channels = in, .out_channels = out
#define OPERANDS(in, out)                                                                          \
	.input = { 0, in, TV_SEGMENT_INPUT, 0 }, .output = { 0, out, TV_SEGMENT_OUTPUT, 0 },       \
	.shortcut = { .segment = TV_SEGMENT_NONE }, .weights = { 0, 0, TV_SEGMENT_WEIGHTS, 0 }

/* Most of them would take minutes. */
static const struct tv_command long_commands[] = {
	{ .opcode = TV_OP_CONV,
	  .images = 1,
	  SHAPE(256, 256, 256),
	  OPERANDS(256, 256),
	  .groups = 1,
	  .stage[0] = { 7, 1, 0, 0, 0, 0 } },
	{ .opcode = TV_OP_DEPTHWISE,
	  .images = 1,
	  SHAPE(512, 512, 512),
	  OPERANDS(512, 512),
	  .stage[0] = { 7, 1, 0, 0, 0, 0 } },
	{ .opcode = TV_OP_SEPARABLE,
	  .images = 1,
	  SHAPE(256, 512, 512),
	  OPERANDS(512, 512),
	  .groups = 1,
	  .stage = { { 7, 1, 0, 0, 0, 0 }, { 1, 1, 0, 0, 0, 0 } } },
	{ .opcode = TV_OP_CONV_POOL,
	  .images = 1024,
	  SHAPE(16, 64, 256),
	  OPERANDS(64, 256),
	  .groups = 1,
	  .stage = { { 7, 1, 0, 0, 0, 0 }, { 1, 1, 0, 0, 0, 0 } } },
	{ .opcode = TV_OP_ATTENTION,
	  .images = 64,
	  SHAPE(32, 1536, 512),
	  OPERANDS(1536, 512),
	  .head_dim = 256,
	  .stage[0] = { 1, 1, 0, 0, 0, 0 } },
	{ .opcode = TV_OP_POOL,
	  .images = 1,
	  SHAPE(255, 512, 512),
	  OPERANDS(512, 512),
	  .stage[0] = { 1, 1, 0, 0, 0, 0 } },
	{ .opcode = TV_OP_NORM,
	  .images = 1,
	  SHAPE(256, 512, 512),
	  .input = { 0, 1024, TV_SEGMENT_INPUT, 2 },
	  .output = { 0, 512, TV_SEGMENT_OUTPUT, 0 },
	  .shortcut = { .segment = TV_SEGMENT_NONE },
	  .weights = { 0, 0, TV_SEGMENT_WEIGHTS, 0 },
	  .stage[0] = { 1, 1, 0, 0, 0, 0 } },
	{ .opcode = TV_OP_COPY,
	  .copy_bytes = 32 << 20,
	  .input = { .segment = TV_SEGMENT_INPUT },
	  .output = { .segment = TV_SEGMENT_OUTPUT },
	  .shortcut = { .segment = TV_SEGMENT_NONE },
	  .weights = { .segment = TV_SEGMENT_NONE } },
};

#undef SHAPE
#undef OPERANDS

/* A command that can be stopped before its end, as seen from its output. */
static bool is_divisible(uint8_t opcode)
{
	return opcode != TV_OP_COPY && opcode != TV_OP_POOL && opcode != TV_OP_NORM;
}

START_TEST(reset_during_command)
{
	const struct tv_command *command = &long_commands[_i];
	struct tv_descriptor golden, job;
	struct region *output, *good;
	volatile uint8_t *first, *last;
	struct tv_error error = { 0 };
	struct machine m;
	uint32_t dropped;

	machine_begin(&m, zcu102());
	m.threaded = true;
	golden = machine_golden(&m, &good);
	job = one_command(&m, command, &output);
	first = output->data;
	last = output->data + output->size - 1;
	*first = *last = 0x55;
	machine_submit(&m, &job);
	machine_submit(&m, &golden);
	/* All results are 0. */
	while (*first)
		sched_yield();
	m.clock += 1000;
	ck_assert_uint_eq(tv_device_read(m.device, TV_REG_STATUS),
			  TV_STATUS_RUNNING | TV_STATUS_PREFETCHED);
	/* The stuck job is dropped, the one behind it runs. */
	ck_assert_int_eq(tv_driver_recover(m.driver, &dropped, &error), 1);
	ck_assert_uint_eq(dropped, 0);
	if (is_divisible(command->opcode))
		ck_assert_uint_eq(*last, 0x55);
	for (unsigned int i = 0; i < m.count; i++)
		if (m.regions[i].address == output->address)
			ck_assert_uint_eq(m.regions[i].mapped, 0);
	machine_run(&m);
	ck_assert_uint_eq(tv_golden_digest(good->data), TV_GOLDEN_DIGEST);
	machine_end(&m);
}
END_TEST

/* --- memory that changes -------------------------------------------------------------------- */

struct scribbler {
	struct machine *m;
	unsigned int regions; /* the first so many, which includes the rings */
	atomic_bool stop;
	uint64_t random;
};

static void *scribble(void *argument)
{
	struct scribbler *s = argument;

	while (!atomic_load(&s->stop)) {
		uint64_t random = tv_unit_random(&s->random);
		const struct region *region = &s->m->regions[random % s->regions];
		volatile uint8_t *byte = region->data + (random >> 32) % region->size;
		uint8_t before = *byte;

		*byte ^= (uint8_t)(1u << (random >> 8 & 7));
		/* Most damage is short, so that a good deal of it meets jobs that begin. */
		if (random >> 16 & 7)
			*byte = before;
	}
	return NULL;
}

/* Rings, programs, weights and tensors are scribbled on; faults are to be expected, no more. */
START_TEST(scribbled_memory)
{
	unsigned int faults = 0, rounds = getenv("TV_SLOW") ? 100 : 3000;
	struct tv_descriptor golden, clean;
	struct tv_completion record;
	struct tv_error error = { 0 };
	struct scribbler scribbler;
	struct region *output;
	uint32_t dropped;
	pthread_t thread;
	struct machine m;

	machine_begin(&m, zcu102());
	golden = machine_golden(&m, NULL);
	scribbler = (struct scribbler){ .m = &m, .regions = m.count, .random = 99 };
	clean = machine_golden(&m, &output);
	m.threaded = true;
	ck_assert_int_eq(pthread_create(&thread, NULL, scribble, &scribbler), 0);
	for (unsigned int i = 0; i < rounds; i++) {
		machine_submit(&m, &golden);
		machine_submit(&m, &golden);
		machine_run(&m);
		if (tv_driver_error(m.driver))
			ck_assert_int_ge(tv_driver_recover(m.driver, &dropped, &error), 0);
		while (tv_driver_take(m.driver, &record))
			faults += record.fault != TV_FAULT_NONE;
	}
	atomic_store(&scribbler.stop, true);
	pthread_join(thread, NULL);
	ck_assert_uint_gt(faults, 0);
	tv_driver_interrupt(m.driver);
	machine_assert_works(&m, &clean, output);
	machine_end(&m);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device-jobs");
	TCase *t = tcase_create("jobs");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, busy);
	tcase_add_test(t, onchip_memory);
	tcase_add_loop_test(t, reset_during_command, 0,
			    sizeof(long_commands) / sizeof(*long_commands));
	tcase_add_test(t, scribbled_memory);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
