/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "tools/ctl.h"

/* One, if the model has a program for it, else the fewest. */
static unsigned int fewest(const struct triovit_model_info *info)
{
	unsigned int images = UINT32_MAX;

	for (size_t i = 0; i < info->program_count; i++)
		if (info->programs[i].images < images)
			images = info->programs[i].images;
	return info->program_count ? images : 1;
}

static int open_session(struct ctl_runner *runner, struct tv_error *error)
{
	const struct triovit_session_options options = {
		.slots = runner->slots,
		.images = runner->images,
	};
	struct triovit_error why = { 0 };

	if (triovit_session_open(runner->model, &options, &runner->session, &why) < 0)
		return ctl_error(error, &why);
	runner->input_size = triovit_session_info(runner->session)->input_size;
	return 0;
}

static int allocate(struct ctl_runner *runner, struct tv_error *error)
{
	const struct triovit_model_info *info = triovit_model_info(runner->model);
	size_t size;

	if (__builtin_mul_overflow((uint64_t)info->width * info->height,
				   UINT64_C(3) * runner->images, &size) ||
	    !size)
		return tv_error_set(error, -EBADMSG, "a model with images of %ux%u pixels",
				    info->width, info->height);
	runner->input_size = size;
	runner->buffer = calloc(runner->slots, size);
	return runner->buffer ? 0 : tv_error_oom(error);
}

int ctl_runner_open(const struct ctl *ctl, struct triovit_model *model, unsigned int slots,
		    unsigned int images, struct ctl_runner *ret, struct tv_error *error)
{
	struct ctl_runner runner = {
		.model = model,
		.slots = slots,
		.images = images ? images : fewest(triovit_model_info(model)),
	};
	int r = ctl_is_remote(ctl) ? allocate(&runner, error) : open_session(&runner, error);

	if (r >= 0)
		*ret = runner;
	return r;
}

void ctl_runner_done(struct ctl_runner *runner)
{
	triovit_session_close(runner->session);
	free(runner->buffer);
}

int ctl_runner_write(struct ctl_runner *runner, uint32_t slot, uint8_t **ret,
		     struct tv_error *error)
{
	struct triovit_error why = { 0 };

	if (!runner->session) {
		*ret = runner->buffer + slot * runner->input_size;
		return 0;
	}
	if (!runner->writing &&
	    triovit_session_begin_access(runner->session, TRIOVIT_ACCESS_WRITE, &why) < 0)
		return ctl_error(error, &why);
	runner->writing = true;
	*ret = triovit_session_input(runner->session, slot);
	return 0;
}

static int end_writing(struct ctl_runner *runner, struct triovit_error *why)
{
	bool writing = runner->writing;

	runner->writing = false;
	return writing ? triovit_session_end_access(runner->session, TRIOVIT_ACCESS_WRITE, why) : 0;
}

int ctl_runner_run(struct ctl_runner *runner, uint32_t slot, unsigned int top,
		   triovit_run_callback callback, void *userdata, struct tv_error *error)
{
	const struct triovit_run_options options = { .top = top, .images = runner->images };
	struct triovit_error why = { 0 };
	int r;

	r = end_writing(runner, &why);
	if (r < 0)
		return ctl_error(error, &why);
	if (runner->session)
		r = triovit_session_run_async(runner->session, slot, &options, callback, userdata,
					      &why);
	else
		r = triovit_model_run_async(runner->model,
					    runner->buffer + slot * runner->input_size,
					    runner->input_size, &options, callback, userdata, &why);
	return r < 0 ? ctl_error(error, &why) : 0;
}
