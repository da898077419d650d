/* SPDX-License-Identifier: MIT */
/* The device as a driver meets it when nobody makes a mistake: registers, rings, interrupts, time,
 * resets. */
#include "tests/unit/device-machine.h"

static const struct tv_target *zcu102(void)
{
	return tv_target_by_name("zcu102");
}

static uint32_t get(struct machine *m, uint32_t offset)
{
	return tv_device_read(m->device, offset);
}

static void set(struct machine *m, uint32_t offset, uint32_t value)
{
	tv_device_write(m->device, offset, value);
}

/* --- registers ------------------------------------------------------------------------------ */

START_TEST(identification)
{
	for (unsigned int i = 0; tv_target_at(i); i++) {
		const struct tv_target *target = tv_target_at(i);
		const struct tv_driver_info *info;
		struct machine m;

		machine_begin(&m, target);
		ck_assert_uint_eq(get(&m, TV_REG_ID), TV_DEVICE_ID);
		info = tv_driver_info(m.driver);
		ck_assert_uint_eq(info->target, target->id);
		ck_assert_uint_eq(info->groups, target->groups);
		ck_assert_uint_eq(info->epilogue_lanes, target->epilogue_lanes);
		ck_assert_uint_eq(info->onchip, target->onchip);
		ck_assert_uint_eq(info->clock_khz, target->clock_mhz * 1000u);
		ck_assert_uint_eq(info->dram_mb_s, target->dram_mb_s);
		ck_assert_uint_eq(info->address_bits, 40);
		ck_assert_uint_eq(info->ring_order_max, TV_RING_ORDER_MAX);
		machine_end(&m);
	}
}
END_TEST

static const struct {
	uint32_t offset, written, kept;
} writable[] = {
	{ TV_REG_IRQ_MASK, 0xffffffff, TV_IRQ_DONE | TV_IRQ_ERROR },
	{ TV_REG_WATCHDOG, 0xfedcba98, 0xfedcba98 },
	{ TV_REG_SUBMIT_LO, 0x12345600, 0x12345600 },
	{ TV_REG_SUBMIT_HI, 0x9a, 0x9a },
	{ TV_REG_COMPLETE_LO, 0xffffffff, 0xffffffff },
	{ TV_REG_COMPLETE_HI, 0xffffffff, 0xffffffff },
	{ TV_REG_RING_SIZE, 77, 77 },
	{ TV_REG_HEAD, 0xfffffffe, 0xfffffffe },
	{ TV_REG_TAIL, 0xffffffff, 0xffffffff },
};

static uint32_t kept_of(uint32_t offset)
{
	for (unsigned int i = 0; i < sizeof(writable) / sizeof(*writable); i++)
		if (writable[i].offset == offset)
			return writable[i].kept;
	return 0;
}

/* What has its own value whatever is written. */
static bool is_constant(uint32_t offset)
{
	return offset <= TV_REG_LIMITS || offset == TV_REG_CYCLES_LO || offset == TV_REG_CYCLES_HI;
}

START_TEST(reset_values)
{
	struct machine m;

	machine_begin_without_driver(&m, zcu102());
	m.clock = 0x500000007;
	for (uint32_t offset = TV_REG_CONTROL; offset < TV_REG_WINDOW; offset += 4)
		if (!is_constant(offset))
			ck_assert_uint_eq(get(&m, offset), 0);
	ck_assert_uint_eq(get(&m, TV_REG_CYCLES_LO), 7);
	ck_assert_uint_eq(get(&m, TV_REG_CYCLES_HI), 5);
	for (unsigned int i = 0; i < sizeof(writable) / sizeof(*writable); i++)
		set(&m, writable[i].offset, writable[i].written);
	for (uint32_t offset = TV_REG_CONTROL; offset < TV_REG_WINDOW; offset += 4)
		if (!is_constant(offset))
			ck_assert_msg(get(&m, offset) == kept_of(offset), "0x%x: 0x%x", offset,
				      get(&m, offset));
	set(&m, TV_REG_CONTROL, TV_CONTROL_RESET | TV_CONTROL_ENABLE);
	ck_assert_uint_eq(get(&m, TV_REG_CONTROL), TV_CONTROL_RESET);
	ck_assert_uint_eq(get(&m, TV_REG_STATUS), TV_STATUS_RESETTING);
	/* Writes are lost as long as it lasts, and that is not long. */
	set(&m, TV_REG_WATCHDOG, 5);
	m.clock += TV_RESET_CYCLES;
	for (uint32_t offset = TV_REG_CONTROL; offset < TV_REG_WINDOW; offset += 4)
		if (!is_constant(offset))
			ck_assert_uint_eq(get(&m, offset), 0);
	machine_end(&m);
}
END_TEST

/* Registers that are read only, offsets without one, offsets between two. */
START_TEST(odd_accesses)
{
	static const uint64_t offsets[] = { 0x060,  0x0fc,	0xffc,	       0x1000,
					    0x1020, 1ull << 32, UINT64_MAX - 3 };
	struct machine m;
	uint32_t before;

	machine_begin_without_driver(&m, zcu102());
	for (unsigned int i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		tv_device_write(m.device, offsets[i], 0xffffffff);
		ck_assert_uint_eq(tv_device_read(m.device, offsets[i]), 0);
		ck_assert_ptr_nonnull(m.complaint);
		m.complaint = NULL;
	}
	for (uint32_t offset = 0; offset < TV_REG_TAIL; offset++) {
		if (offset % 4) {
			ck_assert_uint_eq(get(&m, offset), 0);
			set(&m, offset, 0xffffffff);
		}
		ck_assert(offset % 4 == 0 || m.complaint);
	}
	for (uint32_t offset = 0; offset <= TV_REG_LIMITS; offset += 4) {
		before = get(&m, offset);
		set(&m, offset, ~before);
		ck_assert_uint_eq(get(&m, offset), before);
	}
	for (uint32_t offset = TV_REG_SUBMIT_LO; offset <= TV_REG_TAIL; offset += 4)
		ck_assert_uint_eq(get(&m, offset), 0);
	set(&m, TV_REG_STATUS, 0xffffffff);
	set(&m, TV_REG_ERROR, 0xffffffff);
	set(&m, TV_REG_PROGRESS, 0xffffffff);
	set(&m, TV_REG_IRQ_STATUS, 0xffffffff);
	ck_assert_uint_eq(get(&m, TV_REG_STATUS), 0);
	ck_assert_uint_eq(get(&m, TV_REG_ERROR), 0);
	ck_assert_uint_eq(get(&m, TV_REG_PROGRESS), 0);
	ck_assert_uint_eq(get(&m, TV_REG_IRQ_STATUS), 0);
	machine_end(&m);
}
END_TEST

/* --- jobs ----------------------------------------------------------------------------------- */

START_TEST(golden_job)
{
	for (unsigned int i = 0; tv_target_at(i); i++)
		for (int threaded = 0; threaded < 2; threaded++) {
			struct tv_descriptor golden;
			struct region *output;
			struct machine m;

			machine_begin(&m, tv_target_at(i));
			m.threaded = threaded;
			golden = machine_golden(&m, &output);
			for (int n = 0; n < 3 * MACHINE_ENTRIES; n++)
				machine_assert_works(&m, &golden, output);
			ck_assert_ptr_null(m.complaint);
			machine_end(&m);
		}
}
END_TEST

/* A host that has no thread to spare and no ear for complaints. */
START_TEST(plain_host)
{
	struct tv_device_host host = machine_host;
	struct tv_descriptor golden, job;
	struct tv_error error = { 0 };
	struct region *output;
	struct machine m;
	uint32_t dropped;

	host.start = NULL;
	host.join = NULL;
	host.complain = NULL;
	machine_begin_device(&m, zcu102(), &host);
	machine_begin_driver(&m);
	golden = machine_golden(&m, &output);
	for (int n = 0; n < 3; n++)
		machine_assert_works(&m, &golden, output);
	/* One that is refused, one that is dropped, a mistake. */
	job = golden;
	job.segment[0].rights = 0;
	ck_assert_uint_eq(machine_do(&m, &job).fault, TV_FAULT_BAD_JOB);
	machine_submit(&m, &golden);
	ck_assert_int_eq(tv_driver_recover(m.driver, &dropped, &error), 1);
	set(&m, TV_REG_TAIL, 100);
	ck_assert_int_eq(tv_driver_error(m.driver), TV_DEVICE_DOORBELL);
	ck_assert_int_eq(tv_driver_recover(m.driver, &dropped, &error), 0);
	machine_assert_works(&m, &golden, output);
	machine_submit(&m, &golden);
	machine_end(&m);
}
END_TEST

/* The job ends when the cycle model says, and not before. */
START_TEST(time_of_a_job)
{
	struct tv_completion first, second, record;
	struct tv_descriptor golden;
	uint32_t progress = 0, steps = 0, now;
	struct machine m;

	machine_begin(&m, zcu102());
	golden = machine_golden(&m, NULL);
	m.clock = 1000000;
	machine_submit(&m, &golden);
	ck_assert_uint_eq(get(&m, TV_REG_STATUS), TV_STATUS_RUNNING);
	ck_assert_uint_eq(get(&m, TV_REG_HEAD), 0);
	while (m.clock + 1 < tv_device_next(m.device)) {
		m.clock++;
		tv_device_advance(m.device);
		now = get(&m, TV_REG_PROGRESS);
		ck_assert_uint_ge(now, progress);
		steps += now > progress;
		progress = now;
		ck_assert(!m.line);
	}
	ck_assert_uint_eq(progress, TV_GOLDEN_COMMANDS);
	ck_assert_uint_ge(steps, TV_GOLDEN_COMMANDS / 2);
	ck_assert(!tv_driver_take(m.driver, &first));
	m.clock++;
	/* A read of any register is enough for the device to see what time it is. */
	ck_assert_uint_eq(get(&m, TV_REG_HEAD), 1);
	ck_assert(m.line);
	ck_assert_uint_eq(get(&m, TV_REG_STATUS), 0);
	ck_assert_uint_eq(get(&m, TV_REG_PROGRESS), 0);
	ck_assert(tv_driver_take(m.driver, &first));
	ck_assert_uint_eq(first.start, 1000000);
	ck_assert_uint_eq(first.end, m.clock);
	ck_assert_uint_gt(first.mat_busy, 0);
	ck_assert_uint_gt(first.epilogue_busy, 0);
	ck_assert_uint_gt(first.dma_busy, 0);
	ck_assert_uint_gt(first.stall_weights, 0);
	/* Queued jobs follow one another at once, and the second's weights have come already, even
	 * if nobody looks in between. */
	for (int i = 0; i < 3; i++)
		machine_submit(&m, &golden);
	ck_assert_uint_eq(get(&m, TV_REG_STATUS), TV_STATUS_RUNNING | TV_STATUS_PREFETCHED);
	m.clock += 1000000;
	tv_device_advance(m.device);
	ck_assert(tv_driver_take(m.driver, &second));
	ck_assert_uint_eq(second.end - second.start, first.end - first.start);
	for (int i = 0; i < 2; i++) {
		ck_assert(tv_driver_take(m.driver, &record));
		ck_assert_uint_eq(record.start, second.end);
		ck_assert_uint_lt(record.end - record.start, first.end - first.start);
		ck_assert_uint_lt(record.stall_weights, first.stall_weights);
		second = record;
	}
	machine_end(&m);
}
END_TEST

/* A job that reads what the one before it writes cannot be fetched early. */
START_TEST(dependent_jobs)
{
	struct tv_completion record[3];
	struct tv_descriptor golden, dependent;
	struct machine m;

	machine_begin(&m, zcu102());
	golden = machine_golden(&m, NULL);
	dependent = golden;
	dependent.segment[5] = golden.segment[TV_SEGMENT_OUTPUT];
	dependent.segment[5].rights = TV_SEGMENT_READ;
	dependent.segment[TV_SEGMENT_OUTPUT].base = machine_add(&m, TV_GOLDEN_OUTPUT_SIZE)->address;
	machine_submit(&m, &golden);
	machine_submit(&m, &dependent);
	machine_submit(&m, &dependent);
	machine_run(&m);
	for (int i = 0; i < 3; i++) {
		ck_assert(tv_driver_take(m.driver, &record[i]));
		ck_assert_uint_eq(record[i].fault, TV_FAULT_NONE);
	}
	ck_assert_uint_eq(record[1].end - record[1].start, record[0].end - record[0].start);
	ck_assert_uint_lt(record[2].end - record[2].start, record[0].end - record[0].start);
	machine_end(&m);
}
END_TEST

/* Indices wrap at 2^32, entries at the ring's size. */
START_TEST(wrap_around)
{
	uint32_t index = 0xfffffff9;
	struct tv_descriptor golden;
	struct tv_completion record;
	struct region *rings;
	struct machine m;

	machine_begin_without_driver(&m, zcu102());
	rings = machine_add_at(&m, MACHINE_RINGS, tv_driver_rings_size(4));
	golden = machine_golden(&m, NULL);
	set(&m, TV_REG_SUBMIT_LO, MACHINE_RINGS);
	set(&m, TV_REG_COMPLETE_LO, MACHINE_RINGS + 4 * TV_DESCRIPTOR_SIZE);
	set(&m, TV_REG_RING_SIZE, 4);
	set(&m, TV_REG_HEAD, index);
	set(&m, TV_REG_TAIL, index);
	set(&m, TV_REG_CONTROL, TV_CONTROL_ENABLE);
	for (int i = 0; i < 5; i++) {
		/* All four entries at once. */
		for (uint32_t j = index; j != index + 4; j++) {
			golden.job = j * 3ull;
			tv_encode_descriptor(&golden, rings->data + (j & 3) * TV_DESCRIPTOR_SIZE);
		}
		set(&m, TV_REG_TAIL, index + 4);
		machine_run(&m);
		ck_assert_uint_eq(get(&m, TV_REG_HEAD), index + 4);
		for (uint32_t j = index; j != index + 4; j++) {
			tv_decode_completion(rings->data + 4 * TV_DESCRIPTOR_SIZE +
						     (j & 3) * TV_COMPLETION_SIZE,
					     &record);
			ck_assert_uint_eq(record.index, j);
			ck_assert_uint_eq(record.job, j * 3ull);
			ck_assert_uint_eq(record.fault, TV_FAULT_NONE);
		}
		index += 4;
	}
	ck_assert_uint_eq(get(&m, TV_REG_ERROR), TV_DEVICE_OK);
	machine_end(&m);
}
END_TEST

START_TEST(full_ring)
{
	struct tv_descriptor golden;
	struct tv_completion record;
	struct machine m;
	uint32_t index;

	machine_begin(&m, zcu102());
	golden = machine_golden(&m, NULL);
	for (uint32_t i = 0; i < MACHINE_ENTRIES; i++)
		ck_assert_uint_eq(machine_submit(&m, &golden), i);
	ck_assert_int_eq(tv_driver_submit(m.driver, &golden, &index), -EBUSY);
	machine_run(&m);
	/* Also when all have ended: their records have not been read. */
	ck_assert_int_eq(tv_driver_submit(m.driver, &golden, &index), -EBUSY);
	ck_assert(tv_driver_take(m.driver, &record));
	ck_assert_uint_eq(machine_submit(&m, &golden), MACHINE_ENTRIES);
	machine_run(&m);
	for (uint32_t i = 1; i <= MACHINE_ENTRIES; i++) {
		ck_assert(tv_driver_take(m.driver, &record));
		ck_assert_uint_eq(record.index, i);
	}
	ck_assert(!tv_driver_take(m.driver, &record));
	machine_end(&m);
}
END_TEST

/* Cleared ENABLE: the running job ends, the others wait; set, they go on. */
START_TEST(disabled)
{
	struct tv_descriptor golden;
	struct tv_completion record;
	struct machine m;

	machine_begin(&m, zcu102());
	golden = machine_golden(&m, NULL);
	for (int i = 0; i < 3; i++)
		machine_submit(&m, &golden);
	set(&m, TV_REG_CONTROL, 0);
	ck_assert_uint_eq(get(&m, TV_REG_STATUS), TV_STATUS_RUNNING);
	/* The rings are not to be touched before it has come to rest. */
	set(&m, TV_REG_RING_SIZE, 4);
	ck_assert_uint_eq(get(&m, TV_REG_RING_SIZE), MACHINE_ENTRIES);
	machine_run(&m);
	ck_assert_uint_eq(get(&m, TV_REG_HEAD), 1);
	ck_assert_uint_eq(get(&m, TV_REG_STATUS), 0);
	set(&m, TV_REG_CONTROL, TV_CONTROL_ENABLE);
	set(&m, TV_REG_RING_SIZE, 4);
	ck_assert_uint_eq(get(&m, TV_REG_RING_SIZE), MACHINE_ENTRIES);
	/* Off and on again while a job runs is as if nothing had been. */
	set(&m, TV_REG_CONTROL, 0);
	set(&m, TV_REG_CONTROL, TV_CONTROL_ENABLE);
	ck_assert_uint_eq(get(&m, TV_REG_STATUS), TV_STATUS_RUNNING | TV_STATUS_PREFETCHED);
	machine_run(&m);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert(tv_driver_take(m.driver, &record));
		ck_assert_uint_eq(record.index, i);
		ck_assert_uint_eq(record.fault, TV_FAULT_NONE);
	}
	machine_end(&m);
}
END_TEST

/* --- interrupts ----------------------------------------------------------------------------- */

START_TEST(interrupts)
{
	struct tv_descriptor golden;
	struct tv_completion record;
	struct machine m;

	machine_begin(&m, zcu102());
	golden = machine_golden(&m, NULL);
	/* Spurious: nothing is pending, nothing happens. */
	ck_assert_uint_eq(tv_driver_interrupt(m.driver), 0);
	ck_assert(!tv_driver_take(m.driver, &record));
	/* Coalesced: one interrupt, three records. */
	for (int i = 0; i < 3; i++)
		machine_submit(&m, &golden);
	machine_run(&m);
	ck_assert_uint_eq(m.raised, 1);
	ck_assert_uint_eq(tv_driver_interrupt(m.driver), TV_IRQ_DONE);
	ck_assert_uint_eq(tv_driver_interrupt(m.driver), 0);
	for (int i = 0; i < 3; i++)
		ck_assert(tv_driver_take(m.driver, &record));
	/* A record that comes between the handler's two steps is read by it, and raises the line
	 * again: then there is nothing left to read. */
	machine_submit(&m, &golden);
	machine_submit(&m, &golden);
	machine_step(&m);
	ck_assert_uint_eq(tv_driver_interrupt(m.driver), TV_IRQ_DONE);
	machine_step(&m);
	ck_assert(tv_driver_take(m.driver, &record));
	ck_assert(tv_driver_take(m.driver, &record));
	ck_assert(m.line);
	ck_assert_uint_eq(tv_driver_interrupt(m.driver), TV_IRQ_DONE);
	ck_assert(!tv_driver_take(m.driver, &record));
	/* Lost: the record is there all the same. */
	machine_submit(&m, &golden);
	machine_run(&m);
	ck_assert(tv_driver_take(m.driver, &record));
	/* Masked: pending but silent; unmasked it speaks. */
	ck_assert_uint_eq(tv_driver_interrupt(m.driver), TV_IRQ_DONE);
	set(&m, TV_REG_IRQ_MASK, TV_IRQ_ERROR);
	machine_submit(&m, &golden);
	machine_run(&m);
	ck_assert(!m.line);
	ck_assert_uint_eq(get(&m, TV_REG_IRQ_STATUS), TV_IRQ_DONE);
	set(&m, TV_REG_IRQ_MASK, TV_IRQ_DONE);
	ck_assert(m.line);
	/* Only ones that are written clear. */
	set(&m, TV_REG_IRQ_STATUS, ~TV_IRQ_DONE);
	ck_assert(m.line);
	set(&m, TV_REG_IRQ_STATUS, TV_IRQ_DONE);
	ck_assert(!m.line);
	machine_end(&m);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device");
	TCase *t = tcase_create("registers");

	tcase_add_test(t, identification);
	tcase_add_test(t, reset_values);
	tcase_add_test(t, odd_accesses);
	suite_add_tcase(s, t);
	t = tcase_create("jobs");
	tcase_set_timeout(t, 120);
	tcase_add_test(t, golden_job);
	tcase_add_test(t, plain_host);
	tcase_add_test(t, time_of_a_job);
	tcase_add_test(t, dependent_jobs);
	tcase_add_test(t, wrap_around);
	tcase_add_test(t, full_ring);
	tcase_add_test(t, disabled);
	tcase_add_test(t, interrupts);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
