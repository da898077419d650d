/* SPDX-License-Identifier: MIT */
/* What others want to know of a program's time. */
#include "rtl-model/command.h"
#include "rtl-model/cycle.h"

int tv_cycle_of_job(const struct tv_target *target, const struct tv_cycle_program *previous,
		    const struct tv_cycle_program *program, const atomic_bool *cancel,
		    struct tv_cycle_job *ret, struct tv_cycle_command *ret_commands,
		    struct tv_error *error)
{
	const struct tv_cycle_options how = {
		.target = target,
		.dram_percent = 100,
		.edges = TV_CYCLE_EDGES,
		.cancel = cancel,
		.followers = previous ? 1 : 0,
	};
	const struct tv_cycle_program *const programs[] = { previous ? previous : program, program,
							    program };
	struct tv_cycle_job jobs[TV_ARRAY_SIZE(programs)], *last = &jobs[previous ? 1 : 0];
	uint64_t start;
	int r;

	r = tv_cycle_time(&how, programs, previous ? 3 : 1, jobs, ret_commands, error);
	if (r < 0)
		return r;
	start = last->start;
	for (uint32_t i = 0; ret_commands && i < program->count; i++) {
		ret_commands[i].begin -= start;
		ret_commands[i].end -= start;
	}
	last->start = 0;
	last->end -= start;
	*ret = *last;
	return 0;
}

int tv_cycle_profile(const struct tv_cycle_options *options, const struct tv_cycle_program *program,
		     unsigned int images, struct tv_cycle_profile *ret,
		     struct tv_cycle_command *ret_commands, struct tv_error *error)
{
	/* Two fill the pipe, what follows is alike but for where bursts fall; but for the last,
	 * which has the memory for itself. */
	const struct tv_cycle_program *const programs[] = { program, program, program, program,
							    program };
	struct tv_cycle_job jobs[TV_ARRAY_SIZE(programs)];
	const struct tv_target *target = options->target;
	struct tv_cycle_options how = *options;
	struct tv_cycle_profile profile = { .macs = 0 };
	int r;

	how.followers = 1;
	r = tv_cycle_time(&how, programs, TV_ARRAY_SIZE(programs), jobs, ret_commands, error);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < program->count; i++)
		profile.macs += tv_command_macs(&program->commands[i]);
	profile.cold = jobs[0].end;
	profile.steady = (double)(jobs[3].end - jobs[1].end) / 2;
	profile.utilisation =
		(double)profile.macs / ((double)tv_target_multipliers(target) * profile.steady);
	profile.images_per_second = images * target->clock_mhz * 1e6 / profile.steady;
	profile.job = jobs[3];
	*ret = profile;
	return 0;
}
