/* SPDX-License-Identifier: MIT */
/* Soft resets of the device: at each cycle of two jobs, and in every state that a driver can see.
 * Afterwards it is a device after power-on: registers, bits, records and times. */
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

struct board {
	struct machine m;
	struct tv_descriptor golden;
	struct region *output;
};

static void board_begin(struct board *b)
{
	machine_begin(&b->m, zcu102());
	b->golden = machine_golden(&b->m, &b->output);
}

/* Two jobs: one from idle, one that is fetched meanwhile. */
static void run_two(struct board *b, struct tv_completion ret[2])
{
	memset(b->output->data, 0x5a, b->output->size);
	for (int i = 0; i < 2; i++)
		machine_submit(&b->m, &b->golden);
	machine_run(&b->m);
	for (int i = 0; i < 2; i++)
		ck_assert(tv_driver_take(b->m.driver, &ret[i]));
	tv_driver_interrupt(b->m.driver);
	ck_assert_uint_eq(tv_golden_digest(b->output->data), TV_GOLDEN_DIGEST);
}

/* All that does not depend on when the job began. */
static void check_record(struct tv_completion record, struct tv_completion expected)
{
	uint8_t a[TV_COMPLETION_SIZE], b[TV_COMPLETION_SIZE];

	expected.index = record.index;
	expected.end += record.start - expected.start;
	expected.start = record.start;
	tv_encode_completion(&record, a);
	tv_encode_completion(&expected, b);
	ck_assert_mem_eq(a, b, sizeof(a));
}

/* Registers that a driver can write, or that say what happened. */
static void check_registers(struct machine *m)
{
	for (uint32_t offset = TV_REG_CONTROL; offset < TV_REG_WINDOW; offset += 4)
		if (offset != TV_REG_CYCLES_LO && offset != TV_REG_CYCLES_HI && get(m, offset))
			ck_abort_msg("0x%x: 0x%x", offset, get(m, offset));
	ck_assert(!m->line);
	ck_assert_uint_eq(tv_device_next(m->device), UINT64_MAX);
}

/* Ways to be when the reset comes. */
enum way {
	QUEUED, /* two jobs */
	ALONE, /* one */
	UNSEEN, /* two, and nobody has looked at the device since */
	DISABLED,
	HALTED,
	AGAIN, /* the reset comes twice */
	WAYS
};

/* STATUS, ENABLE and IRQ_STATUS as a driver sees them. */
struct seen {
	unsigned int status[16], enabled[2], irq[4];
};

static void look(struct machine *m, struct seen *seen)
{
	seen->status[get(m, TV_REG_STATUS)]++;
	seen->enabled[get(m, TV_REG_CONTROL) & TV_CONTROL_ENABLE]++;
	seen->irq[get(m, TV_REG_IRQ_STATUS)]++;
}

static void reset_at(struct board *b, uint64_t at, enum way way, struct seen *seen)
{
	struct machine *m = &b->m;

	machine_submit(m, &b->golden);
	if (way != ALONE)
		machine_submit(m, &b->golden);
	if (way == DISABLED)
		set(m, TV_REG_CONTROL, 0);
	if (way == HALTED)
		set(m, TV_REG_TAIL, get(m, TV_REG_TAIL) - 1);
	m->clock += at;
	if (way != UNSEEN)
		look(m, seen);
	set(m, TV_REG_CONTROL, TV_CONTROL_RESET);
	if (way == AGAIN) {
		look(m, seen);
		set(m, TV_REG_CONTROL, TV_CONTROL_RESET);
	}
	for (unsigned int i = 0; i < m->count; i++)
		ck_assert_uint_eq(m->regions[i].mapped, 0);
	m->clock += TV_RESET_CYCLES;
	check_registers(m);
}

/* Has the driver begin anew, with the rings that it had. */
static void restart(struct machine *m)
{
	struct tv_driver_rings rings = { .address = MACHINE_RINGS, .entries = MACHINE_ENTRIES };
	struct tv_error error = { 0 };

	tv_driver_free(m->driver);
	m->driver = NULL;
	rings.memory = machine_region(m, MACHINE_RINGS)->data;
	tv_assert_ok(tv_driver_new(&machine_bus, m, &rings, &m->driver, &error), error);
}

START_TEST(any_time)
{
	struct tv_completion expected[2], records[2];
	struct seen seen = { .irq = { 0 } };
	uint64_t cycles;
	struct board b;

	board_begin(&b);
	run_two(&b, expected);
	cycles = expected[1].end - expected[0].start;
	for (uint64_t at = 0; at <= cycles; at += getenv("TV_SLOW") ? 23 : 1) {
		b.m.threaded = at / WAYS & 1;
		reset_at(&b, at, (enum way)(at % WAYS), &seen);
		restart(&b.m);
		run_two(&b, records);
		for (int j = 0; j < 2; j++)
			check_record(records[j], expected[j]);
	}
	ck_assert(seen.status[0] && seen.status[TV_STATUS_RUNNING] &&
		  seen.status[TV_STATUS_RUNNING | TV_STATUS_PREFETCHED] &&
		  seen.status[TV_STATUS_HALTED] &&
		  seen.status[TV_STATUS_HALTED | TV_STATUS_RUNNING] &&
		  seen.status[TV_STATUS_RESETTING]);
	ck_assert(seen.enabled[0] && seen.enabled[1]);
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(seen.irq); i++)
		ck_assert(seen.irq[i]);
	machine_end(&b.m);
}
END_TEST

/* --- time that nobody has to wait for ------------------------------------------------------- */

/* As it takes the job's memory in, somebody wants the end. */
static uint32_t map_and_cancel(void *host, uint64_t address, uint32_t size, uint32_t rights,
			       uint8_t **ret)
{
	struct machine *m = host;

	tv_device_cancel(m->device);
	return machine_map(host, address, size, rights, ret);
}

/* How long a job takes is not worked out either when the device is not wanted any more. */
START_TEST(cancelled)
{
	struct tv_completion expected[2], records[2];
	uint64_t cycles;
	struct board b;

	board_begin(&b);
	run_two(&b, expected);
	cycles = expected[0].end - expected[0].start;
	/* A device that has not met the job yet. */
	machine_end(&b.m);
	board_begin(&b);
	b.m.host.map = map_and_cancel;
	machine_submit(&b.m, &b.golden);
	ck_assert_uint_lt(tv_device_next(b.m.device) - b.m.clock, cycles / 2);
	b.m.host.map = machine_map;
	set(&b.m, TV_REG_CONTROL, TV_CONTROL_RESET);
	b.m.clock += TV_RESET_CYCLES;
	check_registers(&b.m);
	restart(&b.m);
	run_two(&b, records);
	for (int i = 0; i < 2; i++)
		check_record(records[i], expected[i]);
	machine_end(&b.m);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device-reset");
	TCase *t = tcase_create("resets");

	tcase_set_timeout(t, 300);
	tcase_add_test(t, any_time);
	tcase_add_test(t, cancelled);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
