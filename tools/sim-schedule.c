/* SPDX-License-Identifier: MIT */
#include "tools/sim-schedule.h"

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_TARGET "zcu102"

static int open_model(const char *subject, const struct sim_schedule_options *options,
		      struct sim_schedule *schedule, struct tv_error *error)
{
	struct sim_model *model = &schedule->model;
	int r;

	if (options->size)
		return tv_error_set(error, -EINVAL,
				    "%s: a model, whose input is what it was quantized for: no "
				    "--size",
				    subject);
	r = sim_model_open(subject, options->target, options->images, model, error);
	if (r < 0)
		return r;
	schedule->target = &model->target.target;
	return sim_program_of_package(model->package, model->program, &schedule->program, error);
}

static int lower_network(const char *subject, const struct sim_schedule_options *options,
			 const struct tv_architecture *architecture, struct sim_schedule *schedule,
			 struct tv_error *error)
{
	const struct tv_checkpoint_options how = { .size = options->size };
	const char *target = options->target ? options->target : DEFAULT_TARGET;
	int r;

	r = tv_target_find(target, &schedule->file, error);
	if (r < 0)
		return r;
	schedule->target = &schedule->file.target;
	if (architecture)
		r = tv_network_new(architecture, options->size ? options->size : 224,
				   &schedule->network, error);
	else
		r = tv_checkpoint_read(subject, &how, &schedule->network, error);
	if (r < 0)
		return r;
	return sim_program_of_network(schedule->network, schedule->target,
				      options->images ? options->images : 1, &schedule->program,
				      error);
}

static int open_subject(const char *subject, const struct sim_schedule_options *options,
			struct sim_schedule *schedule, struct tv_error *error)
{
	struct tv_architecture architecture;
	bool model;
	int r;

	if (tv_architecture_by_name(subject, &architecture, NULL) >= 0)
		return lower_network(subject, options, &architecture, schedule, error);
	r = sim_is_model(subject, &model, error);
	if (r < 0)
		return r;
	return model ? open_model(subject, options, schedule, error) :
		       lower_network(subject, options, NULL, schedule, error);
}

int sim_schedule_open(const char *subject, const struct sim_schedule_options *options,
		      struct sim_schedule *ret, struct tv_error *error)
{
	int r;

	/* In place: the target may be the file's in there. */
	*ret = (struct sim_schedule){
		.dram_percent = options->dram_percent ? options->dram_percent : 100,
	};
	r = open_subject(subject, options, ret, error);
	if (r < 0) {
		sim_schedule_done(ret);
		return r;
	}
	ret->timed = (struct tv_cycle_program){
		.onchip = ret->program.header.onchip,
		.commands = ret->program.commands,
		.count = ret->program.header.commands,
	};
	return 0;
}

void sim_schedule_done(struct sim_schedule *schedule)
{
	sim_program_done(&schedule->program);
	tv_network_free(schedule->network);
	sim_model_done(&schedule->model);
	*schedule = (struct sim_schedule){ .network = NULL };
}
