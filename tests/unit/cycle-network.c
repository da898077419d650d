/* SPDX-License-Identifier: MIT */
/* Whole networks on the cycle model: the functional model's bits, and the time that it tells
 * without data. */
#include "rtl-model/cycle.h"
#include "tests/unit/package-make.h"

static const struct {
	const char *name; /* NULL: package_small */
	unsigned int size;
	struct package_of program;
	bool slow; /* minutes where an instruction takes many */
} cases[] = {
	{ NULL, 32, { "zcu102", 1 }, false },	{ NULL, 64, { "kv260", 3 }, false },
	{ NULL, 64, { "zc706", 2 }, false },	{ NULL, 96, { "zynq7020", 1 }, false },
	{ "b0", 96, { "zynq7020", 2 }, true },	{ "b0", 224, { "zc706", 1 }, true },
	{ "b1", 224, { "zcu102", 1 }, true },	{ "b1", 256, { "kv260", 2 }, true },
	{ "b1", 288, { "zynq7020", 1 }, true }, { "b2", 224, { "zc706", 1 }, true },
	{ "b2", 288, { "zcu102", 1 }, true },	{ "b3", 224, { "kv260", 1 }, true },
	{ "b3", 288, { "zcu102", 1 }, true },
};

/* A job of its own memory; the program and the weights are the package's. */
static struct tv_job make_job(const struct tv_package_program *program)
{
	struct tv_job job = { .budget = 0 };
	uint64_t state = 7;

	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		struct tv_segment_view *segment = &job.segments[i];

		segment->size = program->header.segment[i];
		segment->rights = TV_SEGMENT_READ;
		if (i == TV_SEGMENT_PROGRAM)
			segment->data = (uint8_t *)program->program;
		else if (i == TV_SEGMENT_WEIGHTS)
			segment->data = (uint8_t *)program->weights;
		else if (segment->size)
			segment->data = calloc(segment->size, 1);
		ck_assert(!segment->size || segment->data);
		if (program->header.writable >> i & 1)
			segment->rights |= TV_SEGMENT_WRITE;
	}
	for (uint32_t i = 0; i < job.segments[TV_SEGMENT_INPUT].size; i++)
		job.segments[TV_SEGMENT_INPUT].data[i] = (uint8_t)tv_unit_random(&state);
	return job;
}

static void job_done(struct tv_job *job)
{
	for (unsigned int i = TV_SEGMENT_INPUT; i < TV_SEGMENT_COUNT; i++)
		free(job->segments[i].data);
}

START_TEST(networks)
{
	struct tv_architecture architecture = package_small;
	_cleanup_(tv_package_freep) struct tv_package *package = NULL;
	_cleanup_(tv_functional_freep) struct tv_functional *machine = NULL;
	_cleanup_(tv_program_freep) struct tv_program *decoded = NULL;
	const struct tv_target *target = tv_target_by_name(cases[_i].program.target);
	struct tv_cycle_options how = { .target = target, .dram_percent = 100 };
	const struct tv_package_program *program;
	struct tv_cycle_job with_data, alone;
	struct tv_record expected, record;
	struct tv_job job, other;
	struct tv_cycle_program timed;
	const struct tv_cycle_program *const only = &timed;
	struct tv_error error = { 0 };

	if (cases[_i].slow && getenv("TV_SLOW"))
		tv_unit_skip("cycle: large networks", "minutes under emulation");
	if (cases[_i].name)
		tv_assert_ok(tv_architecture_by_name(cases[_i].name, &architecture, &error), error);
	package = package_make(&architecture, cases[_i].size, &cases[_i].program, 1);
	program = &package->programs[0];
	job = make_job(program);
	other = make_job(program);
	tv_assert_ok(tv_functional_new(target, &machine, &error), error);
	tv_assert_ok(tv_functional_run(machine, &job, &expected, &error), error);
	ck_assert_uint_eq(expected.executed, program->header.commands);
	tv_assert_ok(tv_program_decode(target, other.segments, 0, &decoded, &error), error);
	tv_assert_ok(tv_cycle_execute(&how, &other, decoded, &record, &with_data, &error), error);
	ck_assert_msg(!record.fault, "command %u: %s", record.command, record.why);
	ck_assert_uint_eq(record.steps, expected.steps);
	for (unsigned int i = TV_SEGMENT_OUTPUT; i < TV_SEGMENT_COUNT; i++)
		if (job.segments[i].size)
			ck_assert_mem_eq(job.segments[i].data, other.segments[i].data,
					 job.segments[i].size);
	timed = (struct tv_cycle_program){ decoded->header.onchip, decoded->commands,
					   decoded->count };
	tv_assert_ok(tv_cycle_time(&how, &only, 1, &alone, NULL, &error), error);
	ck_assert_uint_eq(with_data.end, alone.end);
	job_done(&job);
	job_done(&other);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cycle-network");
	TCase *tcase = tcase_create("networks");

	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, networks, 0, TV_ARRAY_SIZE(cases));
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
