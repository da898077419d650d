/* SPDX-License-Identifier: MIT */
/* Whole networks through registers and rings, several jobs queued, computed by a thread: the
 * functional model's bits, in the cycle model's time. */
#include "quantizer/integer.h"
#include "rtl-model/cycle.h"
#include "tests/unit/device-program.h"
#include "tests/unit/package-make.h"

/* One after an idle time, one that has been fetched before, as have all that would follow. */
#define JOBS 2

static const struct {
	const char *name; /* NULL: package_small */
	unsigned int size;
	struct package_of program;
	bool slow; /* minutes where an instruction takes many */
} cases[] = {
	{ NULL, 32, { "zcu102", 1 }, false },	{ NULL, 64, { "zynq7020", 3 }, false },
	{ "b0", 224, { "zc706", 1 }, false },	{ "b0", 96, { "zynq7020", 2 }, false },
	{ "b1", 224, { "zcu102", 1 }, true },	{ "b1", 256, { "kv260", 2 }, true },
	{ "b1", 288, { "zynq7020", 1 }, true }, { "b2", 224, { "zcu102", 1 }, true },
	{ "b2", 256, { "zcu102", 1 }, true },	{ "b2", 288, { "zc706", 1 }, true },
	{ "b3", 224, { "zcu102", 1 }, true },	{ "b3", 256, { "kv260", 1 }, true },
	{ "b3", 288, { "zcu102", 1 }, true },
};

/* The logits of a job of its own on the functional model. */
static void run_functional(const struct tv_package *package, const uint8_t *rgb, int16_t *ret)
{
	const struct tv_package_program *program = &package->programs[0];
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = NULL;
	struct tv_error error = { 0 };
	int r;

	r = tv_integer_runner_new(package, program, NULL, &runner, &error);
	tv_assert_ok(r, error);
	r = tv_integer_run(runner, rgb, program->header.images, NULL, NULL, ret, NULL, &error);
	tv_assert_ok(r, error);
}

static void check_time(const struct tv_package_program *program,
		       const struct tv_completion records[JOBS])
{
	uint32_t count = program->header.commands;
	_cleanup_free_ struct tv_command *commands = calloc(count, sizeof(*commands));
	const struct tv_cycle_program timed = { program->header.onchip, commands, count };
	struct tv_cycle_job job;
	struct tv_error error = { 0 };
	int r;

	ck_assert_ptr_nonnull(commands);
	for (uint32_t i = 0; i < count; i++)
		tv_decode_command(program->program + TV_PROGRAM_HEADER_SIZE + i * TV_COMMAND_SIZE,
				  &commands[i]);
	for (int i = 0; i < JOBS; i++) {
		r = tv_cycle_of_job(tv_target_by_name(program->target), i ? &timed : NULL, &timed,
				    NULL, &job, NULL, &error);
		tv_assert_ok(r, error);
		ck_assert_uint_eq(records[i].end - records[i].start, job.end);
		ck_assert_uint_eq(records[i].mat_busy, job.busy[TV_CYCLE_MAT]);
		if (i)
			ck_assert_uint_eq(records[i].start, records[i - 1].end);
	}
}

START_TEST(networks)
{
	struct tv_architecture architecture = package_small;
	_cleanup_(tv_package_freep) struct tv_package *package = NULL;
	const struct tv_package_program *program;
	_cleanup_free_ int16_t *expected = NULL;
	_cleanup_free_ uint8_t *rgb = NULL;
	struct tv_completion records[JOBS];
	struct tv_descriptor jobs[JOBS];
	struct tv_error error = { 0 };
	size_t image, logits;
	struct machine m;
	uint64_t state = 5;

	if (cases[_i].slow && getenv("TV_SLOW"))
		tv_unit_skip("device: large networks", "minutes under emulation");
	if (cases[_i].name)
		tv_assert_ok(tv_architecture_by_name(cases[_i].name, &architecture, &error), error);
	package = package_make(&architecture, cases[_i].size, &cases[_i].program, 1);
	program = &package->programs[0];
	image = program->header.segment[TV_SEGMENT_INPUT];
	logits = program->header.segment[TV_SEGMENT_OUTPUT];
	rgb = malloc(JOBS * image);
	expected = malloc(logits);
	ck_assert(rgb && expected);
	for (size_t i = 0; i < JOBS * image; i++)
		rgb[i] = (uint8_t)tv_unit_random(&state);
	machine_begin(&m, tv_target_by_name(program->target));
	m.threaded = true;
	for (int i = 0; i < JOBS; i++) {
		jobs[i] = machine_program(&m, program);
		memcpy(machine_bytes(&m, &jobs[i], TV_SEGMENT_INPUT), rgb + i * image, image);
		machine_submit(&m, &jobs[i]);
	}
	machine_run(&m);
	for (int i = 0; i < JOBS; i++) {
		ck_assert(tv_driver_take(m.driver, &records[i]));
		ck_assert_msg(!records[i].fault, "%s: %s", tv_fault_name(records[i].fault),
			      m.complaint);
		ck_assert_uint_eq(records[i].executed, program->header.commands);
		/* Of the large ones the last is enough: it had others before it. */
		if (cases[_i].slow && i < JOBS - 1)
			continue;
		run_functional(package, rgb + i * image, expected);
		ck_assert_mem_eq(machine_bytes(&m, &jobs[i], TV_SEGMENT_OUTPUT), expected, logits);
	}
	check_time(program, records);
	machine_end(&m);
}
END_TEST

/* Inverts the records of a program's first stages. */
static void spoil(const struct tv_package_program *program, uint8_t *weights)
{
	for (uint32_t i = 0; i < program->header.commands; i++) {
		struct tv_command command;
		uint64_t size;

		tv_decode_command(program->program + TV_PROGRAM_HEADER_SIZE + i * TV_COMMAND_SIZE,
				  &command);
		if (command.weights.segment != TV_SEGMENT_WEIGHTS)
			continue;
		size = tv_weights_layout(&command).weights[0];
		for (uint64_t j = 0; j < size; j++)
			weights[command.weights.offset + j] ^= 0xff;
	}
}

static struct tv_completion run_again(struct machine *m, const struct tv_descriptor *job,
				      uint64_t constant)
{
	struct tv_completion record;

	for (unsigned int i = TV_SEGMENT_PROGRAM; i <= TV_SEGMENT_WEIGHTS; i++)
		machine_region(m, job->segment[i].base)->constant = constant;
	memset(machine_bytes(m, job, TV_SEGMENT_OUTPUT), 0, job->segment[TV_SEGMENT_OUTPUT].size);
	machine_submit(m, job);
	machine_run(m);
	ck_assert(tv_driver_take(m->driver, &record));
	return record;
}

/* Memory that does not change is read once; another number is other memory. */
START_TEST(constant_memory)
{
	static const struct package_of of = { "zcu102", 1 };
	_cleanup_(tv_package_freep) struct tv_package *package =
		package_make(&package_small, 32, &of, 1);
	const struct tv_package_program *program = &package->programs[0];
	uint8_t *output, expected[64];
	struct tv_descriptor job;
	size_t size = program->header.segment[TV_SEGMENT_OUTPUT];
	struct machine m;

	ck_assert_uint_le(size, sizeof(expected));
	machine_begin(&m, tv_target_by_name("zcu102"));
	job = machine_program(&m, program);
	output = machine_bytes(&m, &job, TV_SEGMENT_OUTPUT);
	ck_assert(!run_again(&m, &job, 7).fault);
	memcpy(expected, output, size);
	if (!m.host.cycle)
		spoil(program, machine_bytes(&m, &job, TV_SEGMENT_WEIGHTS));
	ck_assert(!run_again(&m, &job, 7).fault);
	ck_assert_mem_eq(output, expected, size);
	if (!m.host.cycle)
		ck_assert(run_again(&m, &job, 8).fault);
	if (!m.host.cycle)
		ck_assert(run_again(&m, &job, 0).fault);
	/* Those that are kept have their places. */
	ck_assert(!run_again(&m, &job, 7).fault);
	/* One of memory that others have pushed out. */
	for (uint64_t number = 10; number < 14; number++)
		run_again(&m, &job, number);
	ck_assert_int_eq(!run_again(&m, &job, 7).fault, m.host.cycle);
	machine_end(&m);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("device-network");
	TCase *t = tcase_create("networks");

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, networks, 0, sizeof(cases) / sizeof(*cases));
	tcase_add_test(t, constant_memory);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
