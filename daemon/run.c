/* SPDX-License-Identifier: MIT */
#include "daemon/run.h"

#include <string.h>

#include "daemon/dispatch.h"
#include "daemon/log.h"
#include "rtl-model/command.h"

/* --- the job --------------------------------------------------------------------------------- */

void tv_run_segments(const struct tv_run *run, unsigned int pool,
		     struct tv_backend_segment ret[TV_SEGMENT_COUNT])
{
	const struct tv_session *session = run->session;
	const struct tv_loaded *loaded = session->loaded;
	unsigned int index = (unsigned int)session->programs[pool];
	const struct tv_program_header *header = &loaded->model->package->programs[index].header;
	size_t scratch = run->scratch * session->layout.scratch_size;

	tv_model_segments(loaded->model, index, loaded->code[tv_pool_kind(pool)], ret);
	for (unsigned int i = TV_SEGMENT_INPUT; i < TV_SEGMENT_COUNT; i++) {
		struct tv_backend_segment *segment = &ret[i];

		if (!header->segment[i])
			continue;
		segment->size = header->segment[i];
		segment->rights = TV_SEGMENT_READ;
		if (header->writable >> i & 1)
			segment->rights |= TV_SEGMENT_WRITE;
		segment->buffer = i < TV_SEGMENT_SCRATCH ? run->memory : session->scratch;
		if (i == TV_SEGMENT_INPUT) {
			segment->offset = run->input;
		} else if (i == TV_SEGMENT_OUTPUT) {
			segment->offset = run->output;
		} else {
			segment->offset = scratch;
			scratch += tv_segment_aligned(segment->size);
		}
	}
}

/* On the slowest of the devices that may get it. */
static uint64_t cost_of(const struct tv_session *session)
{
	uint64_t cost = 0;

	for (unsigned int pool = 0; pool < TV_SCHEDULER_TARGETS; pool++) {
		uint64_t here;

		if (session->programs[pool] < 0 || !tv_accelerator_of_pool(session->manager, pool))
			continue;
		here = tv_loaded_cost(session->loaded, (unsigned int)session->programs[pool], pool);
		if (here > cost)
			cost = here;
	}
	return cost;
}

/* --- beginning and end ------------------------------------------------------------------------ */

static int take_places(struct tv_session *session, struct tv_run *run, struct tv_error *error)
{
	unsigned int slots = session->layout.slots;

	if (run->slot != TV_RUN_NO_SLOT && session->busy >> run->slot & 1)
		return tv_error_set(error, -EBUSY, "a run is under way on slot %u", run->slot);
	run->scratch = (unsigned int)__builtin_ctz(~session->scratched);
	if (run->scratch >= slots)
		return tv_error_set(error, -EBUSY, "%u runs are under way, as many as it has slots",
				    slots);
	if (run->slot != TV_RUN_NO_SLOT)
		session->busy |= 1u << run->slot;
	session->scratched |= 1u << run->scratch;
	return 0;
}

/* All but the call. */
static void free_run(struct tv_run *run)
{
	struct tv_session *session = run->session;

	TAILQ_REMOVE(&session->runs, run, runs);
	if (run->slot != TV_RUN_NO_SLOT)
		session->busy &= ~(1u << run->slot);
	session->scratched &= ~(1u << run->scratch);
	tv_buffer_unref(run->memory);
	free(run);
	/* What was opened for this run alone goes with it. */
	if (!session->public && !session->closing)
		tv_session_close(session);
	else
		tv_session_check(session);
}

static int enqueue(struct tv_run *run, uint64_t timeout, struct tv_error *error)
{
	struct tv_session *session = run->session;
	uint64_t now = tv_manager_now();

	run->request.cost = cost_of(session);
	if (!run->request.cost)
		return tv_error_set(error, -ENODEV, "no device is there that could run the model");
	run->request.deadline = TV_NO_DEADLINE;
	if (timeout &&
	    (__builtin_mul_overflow(timeout, 1000, &run->request.deadline) ||
	     __builtin_add_overflow(run->request.deadline, run->received, &run->request.deadline)))
		run->request.deadline = TV_NO_DEADLINE;
	return tv_scheduler_enqueue(session->manager->scheduler, &session->scheduled, &run->request,
				    now, error);
}

int tv_run_start(struct tv_session *session, const struct tv_run_wish *wish,
		 sd_bus_message *message, struct tv_call *call, struct tv_error *error)
{
	struct tv_run *run = calloc(1, sizeof(*run));
	bool begun = false;
	int r;

	if (!run)
		return tv_error_oom(error);
	run->session = session;
	run->slot = wish->slot;
	run->tag = wish->tag;
	run->top = wish->top;
	run->received = wish->received;
	r = take_places(session, run, error);
	if (r < 0) {
		free(run);
		return r;
	}
	TAILQ_INSERT_TAIL(&session->runs, run, runs);
	if (wish->slot == TV_RUN_NO_SLOT) {
		run->memory = tv_buffer_ref(wish->memory);
		run->input = wish->input;
		run->output = wish->output;
	} else {
		run->memory = tv_buffer_ref(session->memory);
		run->input = wish->slot * session->layout.slot_size;
		run->output = run->input + session->layout.output_offset;
	}
	if (call) {
		run->call = *call;
	} else {
		r = tv_call_begin(session->manager, message, session->uid, &run->call, error);
		begun = r >= 0;
	}
	if (r >= 0)
		r = enqueue(run, wish->timeout, error);
	if (r < 0) {
		if (begun)
			tv_call_drop(&run->call);
		free_run(run);
		return r;
	}
	tv_dispatch(session->manager);
	return 0;
}

void tv_run_fail(struct tv_run *run, int code, const struct tv_error *why)
{
	tv_call_fail(&run->call, code, why);
	free_run(run);
}

bool tv_run_cancel(struct tv_run *run, const struct tv_error *why)
{
	struct tv_manager *manager = run->session->manager;

	if (run->request.waits) {
		tv_scheduler_cancel(manager->scheduler, &run->request, tv_manager_now());
		tv_run_fail(run, -ECANCELED, why);
		return true;
	}
	/* The device says so, with a result. */
	return tv_dispatch_cancel(run) >= 0;
}

/* --- the answer ------------------------------------------------------------------------------ */

static int append_top(sd_bus_message *reply, const struct tv_run *run)
{
	const struct tv_session *session = run->session;
	const struct tv_package *package = session->loaded->model->package;
	const int16_t *output = (const int16_t *)(tv_buffer_data(run->memory) + run->output);
	unsigned int classes = package->classes, count = run->top < classes ? run->top : classes;
	_cleanup_free_ float *logits = calloc(classes, sizeof(*logits));
	struct tv_answer answers[TV_ANSWERS_MAX];
	int r;

	if (!logits)
		return -ENOMEM;
	r = sd_bus_message_open_container(reply, 'a', "a(usd)");
	for (unsigned int i = 0; r >= 0 && i < session->layout.images; i++) {
		for (unsigned int class = 0; class < classes; class ++)
			logits[class] = (float)*output++ * package->logit_scale;
		tv_answers(logits, classes, count, answers);
		r = sd_bus_message_open_container(reply, 'a', "(usd)");
		for (unsigned int k = 0; r >= 0 && k < count; k++)
			r = sd_bus_message_append(
				reply, "(usd)", answers[k].class,
				package->labels ? package->labels[answers[k].class] : "",
				answers[k].probability);
		if (r >= 0)
			r = sd_bus_message_close_container(reply);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_result(sd_bus_message *reply, const struct tv_run *run,
			 const struct tv_accelerator *accelerator,
			 const struct tv_backend_result *result)
{
	uint64_t begin = result->begin > run->received ? result->begin : run->received;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "{sv}");
	if (r >= 0)
		r = sd_bus_message_append(reply, "{sv}{sv}{sv}{sv}", "cycles", "t",
					  result->completion.end - result->completion.start,
					  "device-usec", "t", (result->end - result->begin) / 1000,
					  "queued-usec", "t", (begin - run->received) / 1000,
					  "device", "o", accelerator->path);
	if (r >= 0 && run->top) {
		r = sd_bus_message_open_container(reply, 'e', "sv");
		if (r >= 0)
			r = sd_bus_message_append(reply, "s", "top");
		if (r >= 0)
			r = sd_bus_message_open_container(reply, 'v', "aa(usd)");
		if (r >= 0)
			r = append_top(reply, run);
		if (r >= 0)
			r = sd_bus_message_close_container(reply);
		if (r >= 0)
			r = sd_bus_message_close_container(reply);
	}
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int make_reply(const struct tv_run *run, const struct tv_accelerator *accelerator,
		      const struct tv_backend_result *result, sd_bus_message **ret)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r;

	r = sd_bus_message_new_method_return(run->call.message, &reply);
	/* What came by message goes by message. */
	if (r >= 0 && !run->session->public)
		r = sd_bus_message_append_array(reply, 'y',
						tv_buffer_data(run->memory) + run->output,
						run->session->layout.output_size);
	if (r >= 0)
		r = append_result(reply, run, accelerator, result);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(reply);
	return 0;
}

static void fail_job(struct tv_run *run, const struct tv_backend_result *result)
{
	const struct tv_completion *record = &result->completion;
	struct tv_error why = { 0 };
	int r = result->status;

	if (r == -ECANCELED)
		tv_error_set(&why, r, "%s", result->why ?: "the run was cancelled");
	else if (r < 0)
		tv_error_set(&why, r, "the device has gone away");
	else
		r = tv_error_set(&why, -EIO, "%s at command %u, segment %u, byte %u%s%s",
				 tv_fault_name(record->fault), record->command, record->segment,
				 record->offset, result->why ? ": " : "",
				 result->why ? result->why : "");
	tv_run_fail(run, r, &why);
}

void tv_run_end(struct tv_run *run, const struct tv_accelerator *accelerator,
		const struct tv_backend_result *result)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

	if (result->status < 0 || result->completion.fault != TV_FAULT_NONE)
		return fail_job(run, result);
	run->session->loaded->runs++;
	if (!run->session->public)
		run->session->manager->copied += run->session->layout.output_size;
	if (make_reply(run, accelerator, result, &reply) < 0)
		reply = NULL;
	tv_call_reply(&run->call, reply);
	free_run(run);
}
