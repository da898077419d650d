/* SPDX-License-Identifier: MIT */
/* What goes wrong: jobs that fault, memory that does not answer, drivers that err. After each the
 * device does what it should again, at once or after a reset. */
#include "tests/unit/device-machine.h"

static const struct tv_target *kv260(void)
{
	return tv_target_by_name("kv260");
}

static uint32_t get(struct machine *m, uint32_t offset)
{
	return tv_device_read(m->device, offset);
}

static void set(struct machine *m, uint32_t offset, uint32_t value)
{
	tv_device_write(m->device, offset, value);
}

/* A board with the golden job, a second copy of which a test may spoil. */
struct fixture {
	struct machine m;
	struct tv_descriptor golden, job;
	struct region *output, *program, *weights;
};

static void begin(struct fixture *f)
{
	machine_begin(&f->m, kv260());
	f->golden = machine_golden(&f->m, &f->output);
	f->job = machine_golden(&f->m, NULL);
	f->job.job = 0xbad;
	f->program = machine_region(&f->m, f->job.segment[TV_SEGMENT_PROGRAM].base);
	f->weights = machine_region(&f->m, f->job.segment[TV_SEGMENT_WEIGHTS].base);
}

static void end(struct fixture *f)
{
	machine_end(&f->m);
}

static void edit_command(struct fixture *f, unsigned int index, struct tv_command *command,
			 bool write)
{
	uint8_t *bytes =
		f->program->data + TV_PROGRAM_HEADER_SIZE + (size_t)index * TV_COMMAND_SIZE;

	if (write)
		tv_encode_command(command, bytes);
	else
		tv_decode_command(bytes, command);
}

/* Runs f->job between good ones, all of them queued, and returns its record. */
static struct tv_completion spoilt(struct fixture *f)
{
	struct tv_completion records[3];
	struct machine *m = &f->m;

	memset(f->output->data, 0, f->output->size);
	machine_submit(m, &f->golden);
	machine_submit(m, &f->job);
	machine_submit(m, &f->golden);
	machine_run(m);
	for (int i = 0; i < 3; i++)
		ck_assert(tv_driver_take(m->driver, &records[i]));
	ck_assert_uint_eq(tv_driver_interrupt(m->driver), TV_IRQ_DONE);
	ck_assert_uint_eq(records[0].fault, TV_FAULT_NONE);
	ck_assert_uint_eq(records[2].fault, TV_FAULT_NONE);
	ck_assert_uint_eq(records[1].job, 0xbad);
	ck_assert_uint_ge(records[1].end, records[1].start);
	ck_assert_uint_eq(tv_golden_digest(f->output->data), TV_GOLDEN_DIGEST);
	return records[1];
}

/* change works on fixture f; expected is of enum tv_fault, command, segment and offset are what the
 * record has to say. */
#define FAULT(change, expected, at_command, at_segment, at_offset)                                 \
	do {                                                                                       \
		struct tv_completion record;                                                       \
		struct tv_command c;                                                               \
		struct fixture f;                                                                  \
                                                                                                   \
		(void)c;                                                                           \
		begin(&f);                                                                         \
		record = spoilt(&f);                                                               \
		ck_assert_uint_eq(record.fault, TV_FAULT_NONE);                                    \
		ck_assert_uint_eq(record.executed, TV_GOLDEN_COMMANDS);                            \
		change;                                                                            \
		record = spoilt(&f);                                                               \
		ck_assert_msg(record.fault == (expected), "%s: %s, %s", #change,                   \
			      tv_fault_name(record.fault), f.m.complaint);                         \
		ck_assert_msg(record.command == (at_command), "%s: command %u", #change,           \
			      record.command);                                                     \
		ck_assert_msg(record.segment == (at_segment), "%s: segment %u", #change,           \
			      record.segment);                                                     \
		ck_assert_msg(record.offset == (at_offset), "%s: offset %u", #change,              \
			      record.offset);                                                      \
		ck_assert_uint_eq(record.executed,                                                 \
				  record.command == TV_RECORD_NO_COMMAND ? 0 : record.command);    \
		end(&f);                                                                           \
	} while (0)

#define JOB_FAULT(change, expected)                                                                \
	FAULT(change, expected, TV_RECORD_NO_COMMAND, TV_SEGMENT_NONE, 0)
#define BAD_JOB(change) JOB_FAULT(change, TV_FAULT_BAD_JOB)
#define EDIT(index, change)                                                                        \
	(edit_command(&f, index, &c, false), (change), edit_command(&f, index, &c, true))

/* --- descriptors ---------------------------------------------------------------------------- */

START_TEST(segments)
{
	BAD_JOB(f.job.segment[0] = (struct tv_segment){ 0 });
	BAD_JOB(f.job.segment[0].rights = 0);
	BAD_JOB(f.job.segment[0].rights |= TV_SEGMENT_WRITE);
	BAD_JOB(f.job.segment[0].size = TV_PROGRAM_HEADER_SIZE - 1);
	BAD_JOB(f.job.segment[2].rights |= 4);
	BAD_JOB(f.job.segment[2].rights = 1u << 31);
	BAD_JOB(f.job.segment[2].base += 32);
	BAD_JOB(f.job.segment[3].rights = TV_SEGMENT_READ);
	BAD_JOB(f.job.segment[3].size--);
	/* Not used by the program, but wrong. */
	BAD_JOB(f.job.segment[7].rights = TV_SEGMENT_READ);
	BAD_JOB(f.job.segment[7].base = 64);
	BAD_JOB((f.job.segment[7].base = 64, f.job.segment[7].size = 1));
	/* Nothing behind one that is not used is no fault. */
	JOB_FAULT((f.job.segment[7].base = 64, f.job.segment[7].size = 64,
		   f.job.segment[7].rights = TV_SEGMENT_READ, f.job.segment[0].size = 1),
		  TV_FAULT_BAD_JOB);
}
END_TEST

START_TEST(addresses)
{
	const uint64_t beyond = 1ull << 40;

	/* The last bytes that 40 bits reach: no memory there, but an address. */
	FAULT((f.job.segment[2].base = beyond - 192), TV_FAULT_BUS, 1, 2, 0);
	BAD_JOB(f.job.segment[2].base = beyond - 128);
	BAD_JOB(f.job.segment[2].base = beyond);
	BAD_JOB(f.job.segment[2].base = 1ull << 63);
	/* Around the end of 64 bits. */
	BAD_JOB(f.job.segment[2].base = UINT64_MAX - 63);
	BAD_JOB((f.job.segment[4].base = UINT64_MAX - 63, f.job.segment[4].size = UINT32_MAX));
}
END_TEST

START_TEST(overlaps)
{
	struct tv_segment *s;

	BAD_JOB(f.job.segment[4].base = f.job.segment[3].base);
	BAD_JOB(f.job.segment[3].base = f.job.segment[1].base + 64);
	BAD_JOB((f.job.segment[6] = f.job.segment[3], f.job.segment[6].rights = TV_SEGMENT_READ));
	/* By their last byte. */
	BAD_JOB((s = f.job.segment, s[6] = s[3], s[6].base = s[3].base - 64, s[6].size = 65));
	/* Side by side is fine, and so is the same memory twice where nobody writes: the job goes
	 * on to the fault that it was given. */
	JOB_FAULT((s = f.job.segment, s[6] = s[3], s[6].base = s[3].base - 64, s[6].size = 64,
		   s[7] = s[1], f.program->data[0] ^= 1),
		  TV_FAULT_BAD_JOB);
	JOB_FAULT((s = f.job.segment, s[6] = s[3], s[6].base = s[3].base - 64, s[6].size = 64,
		   s[7] = s[1], f.program->data[6] ^= 1),
		  TV_FAULT_BAD_TARGET);
}
END_TEST

/* A byte that nobody has given a meaning. */
START_TEST(reserved)
{
	uint8_t bytes[TV_DESCRIPTOR_SIZE];
	struct tv_completion record;
	struct fixture f;
	uint8_t *entry;

	begin(&f);
	tv_encode_descriptor(&f.golden, bytes);
	for (unsigned int at = 8; at < 128; at += 7) {
		entry = f.m.regions[0].data +
			(get(&f.m, TV_REG_TAIL) & (MACHINE_ENTRIES - 1)) * TV_DESCRIPTOR_SIZE;
		/* The driver never writes such a one: between its writing and the doorbell. */
		set(&f.m, TV_REG_CONTROL, 0);
		machine_submit(&f.m, &f.golden);
		entry[at] = 0x80;
		set(&f.m, TV_REG_CONTROL, TV_CONTROL_ENABLE);
		machine_run(&f.m);
		ck_assert(tv_driver_take(f.m.driver, &record));
		ck_assert_uint_eq(record.fault, TV_FAULT_BAD_JOB);
		ck_assert_uint_eq(record.command, TV_RECORD_NO_COMMAND);
	}
	tv_driver_interrupt(f.m.driver);
	machine_assert_works(&f.m, &f.golden, f.output);
	end(&f);
}
END_TEST

/* --- programs ------------------------------------------------------------------------------- */

START_TEST(programs)
{
	BAD_JOB(f.program->data[0] ^= 1);
	JOB_FAULT(f.program->data[4] ^= 1, TV_FAULT_BAD_TARGET);
	JOB_FAULT(f.program->data[6] ^= 1, TV_FAULT_BAD_TARGET);
	BAD_JOB(f.program->data[8]++);
	BAD_JOB(f.program->data[63] = 1);
}
END_TEST

START_TEST(commands)
{
	for (unsigned int i = 0; i < TV_GOLDEN_COMMANDS; i++) {
		FAULT(EDIT(i, c.opcode = 99), TV_FAULT_BAD_COMMAND, i, TV_SEGMENT_NONE, 0);
		FAULT(EDIT(i, (c.output.segment = 1, c.output.offset = 1u << 20)), TV_FAULT_SEGMENT,
		      i, 1, 1u << 20);
		FAULT(EDIT(i, c.output.segment = 7), TV_FAULT_SEGMENT, i, 7, c.output.offset);
		FAULT(EDIT(i, c.input.offset = 1u << 30), TV_FAULT_SEGMENT, i, c.input.segment,
		      1u << 30);
	}
	FAULT(EDIT(5, c.output.offset = TV_GOLDEN_OUTPUT_SIZE - 8), TV_FAULT_SEGMENT, 5,
	      TV_SEGMENT_OUTPUT, TV_GOLDEN_OUTPUT_SIZE);
	FAULT(EDIT(1, c.weights.segment = TV_SEGMENT_SCRATCH), TV_FAULT_BAD_COMMAND, 1,
	      TV_SEGMENT_NONE, 0);
	/* The oldest fault wins, also over one that shows at once. */
	FAULT((EDIT(2, c.input.segment = 6), EDIT(9, c.opcode = 0)), TV_FAULT_SEGMENT, 2, 6, 0);
	/* A record out of its range shows only when it is read. */
	FAULT((EDIT(9, c.opcode = 0), EDIT(2, (void)0),
	       tv_put32(f.weights->data + c.weights.offset + 12, 1u << 30)),
	      TV_FAULT_BAD_COMMAND, 2, TV_SEGMENT_WEIGHTS, c.weights.offset + 12);
}
END_TEST

/* --- memory that does not answer ------------------------------------------------------------ */

/* The device's memory behind a segment ends sooner than the segment. */
static void shorten(struct fixture *f, unsigned int segment, size_t size)
{
	struct region *region = machine_region(&f->m, f->job.segment[segment].base);
	uint8_t *data = malloc(size + !size);

	ck_assert_ptr_nonnull(data);
	memcpy(data, region->data, size);
	free(region->data);
	region->data = data;
	region->size = size;
}

START_TEST(bus_errors)
{
	/* Program: its header, then its fourth command. */
	FAULT(shorten(&f, 0, 0), TV_FAULT_BUS, TV_RECORD_NO_COMMAND, 0, 0);
	FAULT(shorten(&f, 0, 63), TV_FAULT_BUS, TV_RECORD_NO_COMMAND, 0, 63);
	FAULT(shorten(&f, 0, 64 + 3 * 128), TV_FAULT_BUS, 3, 0, 64 + 3 * 128);
	FAULT(shorten(&f, 0, 64 + 4 * 128 - 1), TV_FAULT_BUS, 3, 0, 64 + 4 * 128 - 1);
	/* Input of the stem, output of the attention and of the last layer. */
	FAULT(shorten(&f, 2, 0), TV_FAULT_BUS, 1, 2, 0);
	FAULT(shorten(&f, 2, TV_GOLDEN_INPUT_SIZE - 1), TV_FAULT_BUS, 1, 2,
	      TV_GOLDEN_INPUT_SIZE - 1);
	FAULT(shorten(&f, 3, 100), TV_FAULT_BUS, 5, 3, 100);
	FAULT(shorten(&f, 3, TV_GOLDEN_LOGITS + 1), TV_FAULT_BUS, 10, 3, TV_GOLDEN_LOGITS + 1);
}
END_TEST

/* Memory that is missing and not used is not missed. */
START_TEST(unused_memory)
{
	struct tv_completion record;
	struct fixture f;

	begin(&f);
	f.job.segment[6] =
		(struct tv_segment){ .base = 1ull << 39, .size = 4096, .rights = TV_SEGMENT_READ };
	record = spoilt(&f);
	ck_assert_uint_eq(record.fault, TV_FAULT_NONE);
	end(&f);
}
END_TEST

/* --- the watchdog --------------------------------------------------------------------------- */

START_TEST(watchdog)
{
	struct tv_completion good, record = { 0 };
	uint64_t cycles;
	struct fixture f;

	begin(&f);
	good = machine_do(&f.m, &f.golden);
	cycles = good.end - good.start;
	/* As long as it takes is not too long. */
	tv_driver_set_watchdog(f.m.driver, (uint32_t)cycles);
	machine_assert_works(&f.m, &f.golden, f.output);
	/* What comes after the last command, the record, is not counted. */
	for (uint32_t limit = 1, last = 0; limit < cycles - 100; limit += 29) {
		tv_driver_set_watchdog(f.m.driver, limit);
		record = machine_do(&f.m, &f.golden);
		ck_assert_uint_eq(record.fault, TV_FAULT_WATCHDOG);
		ck_assert_uint_ge(record.command, last);
		ck_assert_uint_lt(record.command, TV_GOLDEN_COMMANDS);
		ck_assert_uint_eq(record.executed, record.command);
		ck_assert_uint_eq(record.segment, TV_SEGMENT_NONE);
		ck_assert_uint_eq(record.end - record.start, limit);
		ck_assert_uint_le(record.mat_busy, limit);
		last = record.command;
	}
	ck_assert_uint_eq(record.command, TV_GOLDEN_COMMANDS - 1);
	/* An older fault wins, a younger one does not come to pass. */
	tv_put32(f.weights->data, 1u << 30);
	tv_driver_set_watchdog(f.m.driver, record.end - record.start);
	record = machine_do(&f.m, &f.job);
	ck_assert_uint_eq(record.fault, TV_FAULT_BAD_COMMAND);
	ck_assert_uint_eq(record.command, 1);
	tv_driver_set_watchdog(f.m.driver, 1);
	record = machine_do(&f.m, &f.job);
	ck_assert_uint_eq(record.fault, TV_FAULT_WATCHDOG);
	ck_assert_uint_eq(record.command, 0);
	tv_driver_set_watchdog(f.m.driver, 0);
	machine_assert_works(&f.m, &f.golden, f.output);
	end(&f);
}
END_TEST

/* --- drivers that err ----------------------------------------------------------------------- */

struct rings {
	uint64_t submit, complete;
	uint32_t size, head, tail;
};

/* What becomes of those rings; the device is as new after it. */
static enum tv_device_error try_rings(struct machine *m, const struct rings *rings)
{
	enum tv_device_error error;

	set(m, TV_REG_SUBMIT_LO, (uint32_t)rings->submit);
	set(m, TV_REG_SUBMIT_HI, (uint32_t)(rings->submit >> 32));
	set(m, TV_REG_COMPLETE_LO, (uint32_t)rings->complete);
	set(m, TV_REG_COMPLETE_HI, (uint32_t)(rings->complete >> 32));
	set(m, TV_REG_RING_SIZE, rings->size);
	set(m, TV_REG_HEAD, rings->head);
	set(m, TV_REG_TAIL, rings->tail);
	set(m, TV_REG_IRQ_MASK, TV_IRQ_ERROR);
	set(m, TV_REG_CONTROL, TV_CONTROL_ENABLE);
	error = get(m, TV_REG_ERROR);
	ck_assert_uint_eq(get(m, TV_REG_CONTROL), error ? 0 : TV_CONTROL_ENABLE);
	ck_assert_uint_eq(get(m, TV_REG_STATUS), error ? TV_STATUS_HALTED : 0);
	ck_assert_uint_eq(get(m, TV_REG_IRQ_STATUS), error ? TV_IRQ_ERROR : 0);
	ck_assert_uint_eq(m->line, !!error);
	set(m, TV_REG_CONTROL, TV_CONTROL_RESET);
	ck_assert(!m->line);
	m->clock += TV_RESET_CYCLES;
	return error;
}

START_TEST(rings)
{
	static const struct {
		struct rings rings;
		enum tv_device_error error;
	} cases[] = {
		{ { 0x1000, 0x2000, 8, 0, 0 }, TV_DEVICE_OK },
		{ { 0x1000, 0x2000, 0, 0, 0 }, TV_DEVICE_RING_SIZE },
		{ { 0x1000, 0x2000, 1, 0, 0 }, TV_DEVICE_RING_SIZE },
		{ { 0x1000, 0x2000, 3, 0, 0 }, TV_DEVICE_RING_SIZE },
		{ { 0x1000, 0x2000, 12, 0, 0 }, TV_DEVICE_RING_SIZE },
		{ { 0, 0x1000000, 4096, 0, 0 }, TV_DEVICE_OK },
		{ { 0, 0x1000000, 8192, 0, 0 }, TV_DEVICE_RING_SIZE },
		{ { 0, 0x1000000, 0x80000000, 0, 0 }, TV_DEVICE_RING_SIZE },
		{ { 0x1080, 0x2000, 8, 0, 0 }, TV_DEVICE_RING_ALIGNMENT },
		{ { 0x1001, 0x2000, 8, 0, 0 }, TV_DEVICE_RING_ALIGNMENT },
		{ { 0x1000, 0x2040, 8, 0, 0 }, TV_DEVICE_RING_ALIGNMENT },
		{ { 0x1000, 0x2080, 8, 0, 0 }, TV_DEVICE_OK },
		/* 8 descriptors are 0x800 bytes, 8 records 0x400. */
		{ { 0xfffffff800, 0x2000, 8, 0, 0 }, TV_DEVICE_OK },
		{ { 0xfffffff900, 0x2000, 8, 0, 0 }, TV_DEVICE_RING_ADDRESS },
		{ { 0x10000000000, 0x2000, 8, 0, 0 }, TV_DEVICE_RING_ADDRESS },
		{ { 0xffffffffffffff00, 0x2000, 8, 0, 0 }, TV_DEVICE_RING_ADDRESS },
		{ { 0x1000, 0xfffffffc00, 8, 0, 0 }, TV_DEVICE_OK },
		{ { 0x1000, 0xfffffffc80, 8, 0, 0 }, TV_DEVICE_RING_ADDRESS },
		{ { 0x1000, 0xffffffffffffff80, 8, 0, 0 }, TV_DEVICE_RING_ADDRESS },
		{ { 0x1000, 0x1000, 8, 0, 0 }, TV_DEVICE_RING_OVERLAP },
		{ { 0x1000, 0x1780, 8, 0, 0 }, TV_DEVICE_RING_OVERLAP },
		{ { 0x1000, 0x1800, 8, 0, 0 }, TV_DEVICE_OK },
		{ { 0x1000, 0xc80, 8, 0, 0 }, TV_DEVICE_RING_OVERLAP },
		{ { 0x1000, 0xc00, 8, 0, 0 }, TV_DEVICE_OK },
		/* The jobs of these would be beyond the ring, whichever way one counts. */
		{ { 0x1000, 0x2000, 8, 0, 9 }, TV_DEVICE_DOORBELL },
		{ { 0x1000, 0x2000, 8, 1, 0 }, TV_DEVICE_DOORBELL },
		{ { 0x1000, 0x2000, 8, 0xffffffff, 8 }, TV_DEVICE_DOORBELL },
	};
	struct machine m;

	machine_begin_without_driver(&m, kv260());
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		ck_assert_msg(try_rings(&m, &cases[i].rings) == cases[i].error, "case %u", i);
	machine_end(&m);
}
END_TEST

/* While jobs run and wait: the running one ends, no other begins, nothing is lost for good. */
static void ring_doorbell(uint32_t value)
{
	struct tv_completion record;
	struct tv_error error = { 0 };
	struct fixture f;
	uint32_t dropped;

	begin(&f);
	for (int i = 0; i < 3; i++)
		machine_submit(&f.m, &f.golden);
	machine_step(&f.m);
	/* HEAD is 1, TAIL 3. */
	set(&f.m, TV_REG_TAIL, value);
	ck_assert_int_eq(tv_driver_error(f.m.driver), TV_DEVICE_DOORBELL);
	ck_assert_uint_eq(get(&f.m, TV_REG_TAIL), 3);
	ck_assert_uint_eq(get(&f.m, TV_REG_STATUS), TV_STATUS_HALTED | TV_STATUS_RUNNING);
	/* Neither the doorbell nor ENABLE helps now. */
	set(&f.m, TV_REG_TAIL, 3);
	set(&f.m, TV_REG_CONTROL, TV_CONTROL_ENABLE);
	ck_assert_uint_eq(get(&f.m, TV_REG_CONTROL), 0);
	machine_run(&f.m);
	ck_assert_uint_eq(get(&f.m, TV_REG_HEAD), 2);
	ck_assert_uint_eq(tv_driver_interrupt(f.m.driver), TV_IRQ_DONE | TV_IRQ_ERROR);
	ck_assert_int_eq(tv_driver_recover(f.m.driver, &dropped, &error), -EAGAIN);
	ck_assert(tv_driver_take(f.m.driver, &record) && tv_driver_take(f.m.driver, &record));
	ck_assert_int_eq(tv_driver_recover(f.m.driver, &dropped, &error), 1);
	ck_assert_uint_eq(dropped, 2);
	machine_assert_works(&f.m, &f.golden, f.output);
	end(&f);
}

START_TEST(doorbell)
{
	ring_doorbell(1 + MACHINE_ENTRIES + 1);
	ring_doorbell(2);
	ring_doorbell(0);
	ring_doorbell(0x80000000);
	ring_doorbell(UINT32_MAX);
}
END_TEST

/* TAIL may go back while ENABLE is 0, but not over the job that runs. */
START_TEST(doorbell_while_disabled)
{
	struct tv_completion record;
	struct tv_error error = { 0 };
	struct fixture f;
	uint32_t dropped;

	begin(&f);
	for (int i = 0; i < 3; i++)
		machine_submit(&f.m, &f.golden);
	set(&f.m, TV_REG_CONTROL, 0);
	set(&f.m, TV_REG_TAIL, 1);
	set(&f.m, TV_REG_CONTROL, TV_CONTROL_ENABLE);
	ck_assert_uint_eq(get(&f.m, TV_REG_STATUS), TV_STATUS_RUNNING);
	set(&f.m, TV_REG_CONTROL, 0);
	set(&f.m, TV_REG_TAIL, 0);
	set(&f.m, TV_REG_CONTROL, TV_CONTROL_ENABLE);
	ck_assert_int_eq(tv_driver_error(f.m.driver), TV_DEVICE_DOORBELL);
	ck_assert_uint_eq(get(&f.m, TV_REG_STATUS), TV_STATUS_HALTED | TV_STATUS_RUNNING);
	machine_run(&f.m);
	ck_assert_uint_eq(get(&f.m, TV_REG_HEAD), 1);
	ck_assert_uint_eq(tv_driver_interrupt(f.m.driver), TV_IRQ_DONE | TV_IRQ_ERROR);
	ck_assert(tv_driver_take(f.m.driver, &record));
	ck_assert_int_eq(tv_driver_recover(f.m.driver, &dropped, &error), 1);
	machine_run(&f.m);
	ck_assert(tv_driver_take(f.m.driver, &record));
	tv_driver_interrupt(f.m.driver);
	machine_assert_works(&f.m, &f.golden, f.output);
	end(&f);
}
END_TEST

/* Descriptors and records where no memory is, or where it cannot be written. */
START_TEST(ring_bus_errors)
{
	struct tv_completion record;
	struct tv_error error = { 0 };
	struct fixture f;
	uint32_t dropped;

	begin(&f);
	/* The third descriptor and all behind it. It is fetched while the second job runs, and
	 * shows when that has ended. */
	f.m.regions[0].size = 2 * TV_DESCRIPTOR_SIZE;
	for (int i = 0; i < 3; i++)
		machine_submit(&f.m, &f.golden);
	/* Records lie behind that. */
	machine_step(&f.m);
	ck_assert_int_eq(tv_driver_error(f.m.driver), TV_DEVICE_RECORD_BUS);
	ck_assert_uint_eq(get(&f.m, TV_REG_HEAD), 0);
	ck_assert_uint_eq(get(&f.m, TV_REG_STATUS), TV_STATUS_HALTED);
	ck_assert_uint_eq(tv_driver_interrupt(f.m.driver), TV_IRQ_ERROR);
	f.m.regions[0].size = tv_driver_rings_size(MACHINE_ENTRIES);
	ck_assert_int_eq(tv_driver_recover(f.m.driver, &dropped, &error), 1);
	ck_assert_uint_eq(dropped, 0);
	machine_run(&f.m);
	ck_assert(tv_driver_take(f.m.driver, &record) && tv_driver_take(f.m.driver, &record));
	tv_driver_interrupt(f.m.driver);
	/* The ring moves to where no memory is. */
	set(&f.m, TV_REG_CONTROL, 0);
	set(&f.m, TV_REG_SUBMIT_HI, 1);
	set(&f.m, TV_REG_CONTROL, TV_CONTROL_ENABLE);
	machine_submit(&f.m, &f.golden);
	ck_assert_int_eq(tv_driver_error(f.m.driver), TV_DEVICE_DESCRIPTOR_BUS);
	ck_assert_uint_eq(get(&f.m, TV_REG_HEAD), 3);
	ck_assert_int_eq(tv_driver_recover(f.m.driver, &dropped, &error), 1);
	machine_assert_works(&f.m, &f.golden, f.output);
	end(&f);
}
END_TEST

/* An error of prefetching shows only when its turn has come. */
START_TEST(prefetch_bus_error)
{
	struct tv_completion record;
	struct fixture f;

	begin(&f);
	set(&f.m, TV_REG_CONTROL, 0);
	machine_submit(&f.m, &f.golden);
	machine_submit(&f.m, &f.golden);
	/* The ring's last entry is at the end of memory, its second beyond. */
	memcpy(f.output->data, f.m.regions[0].data, TV_DESCRIPTOR_SIZE);
	set(&f.m, TV_REG_SUBMIT_LO, (uint32_t)f.output->address);
	set(&f.m, TV_REG_SUBMIT_HI, (uint32_t)(f.output->address >> 32));
	f.output->size = TV_DESCRIPTOR_SIZE;
	f.golden.segment[TV_SEGMENT_OUTPUT].base = f.job.segment[TV_SEGMENT_OUTPUT].base;
	tv_encode_descriptor(&f.golden, f.output->data);
	set(&f.m, TV_REG_CONTROL, TV_CONTROL_ENABLE);
	ck_assert_uint_eq(get(&f.m, TV_REG_STATUS), TV_STATUS_RUNNING | TV_STATUS_PREFETCHED);
	ck_assert_int_eq(tv_driver_error(f.m.driver), TV_DEVICE_OK);
	machine_run(&f.m);
	ck_assert_int_eq(tv_driver_error(f.m.driver), TV_DEVICE_DESCRIPTOR_BUS);
	ck_assert_uint_eq(get(&f.m, TV_REG_HEAD), 1);
	ck_assert(tv_driver_take(f.m.driver, &record));
	ck_assert_uint_eq(record.fault, TV_FAULT_NONE);
	ck_assert_uint_eq(tv_driver_interrupt(f.m.driver), TV_IRQ_DONE | TV_IRQ_ERROR);
	end(&f);
}
END_TEST

/* Nothing of that kind behind the registers, or one of another time. */
static uint32_t other_read(void *bus, uint32_t offset)
{
	const uint32_t *values = bus;

	return offset == TV_REG_ID ? values[0] : offset == TV_REG_VERSION ? values[1] : values[2];
}

static void other_write(void *bus, uint32_t offset, uint32_t value)
{
}

static void other_pause(void *bus)
{
}

START_TEST(no_device)
{
	static const struct tv_driver_bus bus = { other_read, other_write, other_pause };
	static const struct {
		uint32_t values[3];
		int r;
		const char *text;
	} cases[] = {
		{ { 0, 0, 0 }, -ENODEV, "0x00000000" },
		{ { UINT32_MAX, UINT32_MAX, UINT32_MAX }, -ENODEV, "0xffffffff" },
		{ { TV_DEVICE_ID, 2u << 16 | TV_CONTRACT_VERSION, 0 }, -EPROTO, "version 2" },
		{ { TV_DEVICE_ID, 1u << 16 | 7, 0 }, -EPROTO, "version 7" },
		{ { TV_DEVICE_ID, 1u << 16 | TV_CONTRACT_VERSION, 2 }, -ETIMEDOUT, "reset" },
		{ { TV_DEVICE_ID, 1u << 16 | TV_CONTRACT_VERSION, 1 }, -EINVAL, "refuses rings" },
	};
	const struct tv_driver_rings memory = { .entries = 8 };

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t values[3] = { cases[i].values[0], cases[i].values[1], cases[i].values[2] };
		struct tv_driver *driver = NULL;
		struct tv_error error = { 0 };

		ck_assert_int_eq(tv_driver_new(&bus, values, &memory, &driver, &error), cases[i].r);
		ck_assert_msg(strstr(error.text, cases[i].text), "%s", error.text);
		ck_assert_ptr_null(driver);
	}
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device-faults");
	TCase *t = tcase_create("jobs");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, segments);
	tcase_add_test(t, addresses);
	tcase_add_test(t, overlaps);
	tcase_add_test(t, reserved);
	tcase_add_test(t, programs);
	tcase_add_test(t, commands);
	tcase_add_test(t, bus_errors);
	tcase_add_test(t, unused_memory);
	tcase_add_test(t, watchdog);
	suite_add_tcase(s, t);
	t = tcase_create("drivers");
	tcase_add_test(t, rings);
	tcase_add_test(t, doorbell);
	tcase_add_test(t, doorbell_while_disabled);
	tcase_add_test(t, ring_bus_errors);
	tcase_add_test(t, prefetch_bus_error);
	tcase_add_test(t, no_device);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
