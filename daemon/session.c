/* SPDX-License-Identifier: MIT */
#include "daemon/session.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/run.h"

const char *const tv_priority_names[TV_PRIORITY_COUNT] = {
	[TV_PRIORITY_LOW] = "low",
	[TV_PRIORITY_NORMAL] = "normal",
	[TV_PRIORITY_HIGH] = "high",
};

/* --- which programs, how much memory --------------------------------------------------------- */

/* All pools of the best kind that has any. Returns an accelerator of one; NULL: there is none. */
static struct tv_accelerator *choose_pools(struct tv_manager *manager,
					   const struct tv_session_wish *wish,
					   int programs[TV_SCHEDULER_TARGETS])
{
	struct tv_accelerator *chosen = NULL;

	for (unsigned int pool = 0; pool < TV_SCHEDULER_TARGETS; pool++) {
		struct tv_accelerator *accelerator = tv_accelerator_of_pool(manager, pool);
		const struct tv_target *target = tv_target_at(tv_pool_target(pool));

		programs[pool] = -1;
		if (!accelerator || (wish->target && strcmp(wish->target, target->name)) ||
		    (chosen && tv_pool_kind(pool) != tv_pool_kind(chosen->pool)))
			continue;
		programs[pool] =
			tv_loaded_find_program(wish->loaded, tv_pool_target(pool), wish->images);
		if (programs[pool] >= 0 && !chosen)
			chosen = accelerator;
	}
	return chosen;
}

static uint32_t pools_of(const int programs[TV_SCHEDULER_TARGETS])
{
	uint32_t pools = 0;

	for (unsigned int pool = 0; pool < TV_SCHEDULER_TARGETS; pool++)
		if (programs[pool] >= 0)
			pools |= 1u << pool;
	return pools;
}

/* Inputs and outputs are the model's and alike; the rest is as large as the largest. */
static void lay_out(const struct tv_session_wish *wish, const int programs[TV_SCHEDULER_TARGETS],
		    struct tv_session_layout *ret)
{
	*ret = (struct tv_session_layout){ .slots = wish->slots, .images = wish->images };
	for (unsigned int pool = 0; pool < TV_SCHEDULER_TARGETS; pool++) {
		const struct tv_package_program *program;
		size_t scratch = 0;

		if (programs[pool] < 0)
			continue;
		program = &wish->loaded->model->package->programs[programs[pool]];
		ret->input_size = program->header.segment[TV_SEGMENT_INPUT];
		ret->output_size = program->header.segment[TV_SEGMENT_OUTPUT];
		for (unsigned int i = TV_SEGMENT_SCRATCH; i < TV_SEGMENT_COUNT; i++)
			scratch += tv_segment_aligned(program->header.segment[i]);
		if (scratch > ret->scratch_size)
			ret->scratch_size = scratch;
	}
	ret->output_offset = tv_segment_aligned(ret->input_size);
	ret->slot_size = ret->output_offset + tv_segment_aligned(ret->output_size);
}

static uint64_t layout_bytes(const struct tv_session_layout *layout)
{
	return (uint64_t)layout->slots * (layout->slot_size + layout->scratch_size);
}

/* --- opening --------------------------------------------------------------------------------- */

struct opening {
	struct tv_task task; /* first */
	struct tv_opening how;
	struct tv_manager *manager;
	struct tv_held held; /* by the client: nobody's once it has left */
	struct tv_accelerator *accelerator;
	enum tv_priority priority;
	const uint8_t *input; /* in the message */
	bool codeless; /* the model has no code for devices of this kind yet */
	struct tv_session *session; /* that is to be */
	struct tv_buffer *code; /* the model's, if it has none yet */
	int result;
	struct tv_error error;
};

static void run_opening(struct tv_task *task)
{
	struct opening *opening = (struct opening *)task;
	struct tv_session *session = opening->session;
	const struct tv_session_layout *layout = &session->layout;
	struct tv_backend *backend = opening->accelerator->backend;
	struct tv_error *error = &opening->error;
	int r;

	r = tv_backend_buffer_new(backend, layout->slots * layout->slot_size, &session->memory,
				  error);
	if (r >= 0 && layout->scratch_size)
		r = tv_backend_buffer_new(backend, layout->slots * layout->scratch_size,
					  &session->scratch, error);
	if (r >= 0 && opening->codeless)
		r = tv_model_buffer(session->loaded->model, backend, &opening->code, error);
	if (r >= 0 && opening->input)
		memcpy(tv_buffer_data(session->memory), opening->input, layout->input_size);
	opening->result = r;
}

/* What was charged for it, and what it holds. */
static void free_session(struct tv_session *session)
{
	struct tv_manager *manager = session->manager;

	tv_manager_release_buffer(manager, session->memory);
	tv_manager_release_buffer(manager, session->scratch);
	tv_quota_release(manager->quota, session->uid, TV_RESOURCE_BYTES,
			 layout_bytes(&session->layout));
	if (session->public)
		tv_quota_release(manager->quota, session->uid, TV_RESOURCE_SESSIONS, 1);
	session->loaded->sessions--;
	tv_loaded_check(session->loaded);
	free(session);
}

static int charge(struct tv_manager *manager, uid_t uid, uint64_t bytes, bool public,
		  struct tv_error *error)
{
	int r = tv_quota_charge(manager->quota, uid, TV_RESOURCE_BYTES, bytes, error);

	if (r >= 0 && public) {
		r = tv_quota_charge(manager->quota, uid, TV_RESOURCE_SESSIONS, 1, error);
		if (r < 0)
			tv_quota_release(manager->quota, uid, TV_RESOURCE_BYTES, bytes);
	}
	return r;
}

static int enter(struct opening *opening, struct tv_error *error)
{
	struct tv_session *session = opening->session;
	struct tv_manager *manager = opening->manager;
	struct tv_buffer **code = &session->loaded->code[tv_pool_kind(opening->accelerator->pool)];

	/* Another session may have been quicker. */
	if (!*code)
		*code = TV_TAKE_PTR(opening->code);
	if (tv_scheduler_session_open(manager->scheduler, &session->scheduled, session->uid,
				      opening->priority, pools_of(session->programs)) < 0)
		return tv_error_oom(error);
	TAILQ_INSERT_HEAD(&manager->sessions, session, sessions);
	return 0;
}

static void opening_done(struct tv_task *task, bool dropped)
{
	struct opening *opening = (struct opening *)task;
	struct tv_session *session = opening->session;
	struct tv_client *client = opening->held.client;
	int r = opening->result;

	if (dropped)
		r = tv_error_set(&opening->error, -ECANCELED, "the daemon ends");
	else if (!client)
		r = tv_error_set(&opening->error, -ECANCELED, "the caller has left the bus");
	if (r >= 0)
		r = enter(opening, &opening->error);
	if (r >= 0) {
		tv_client_hold(client, &session->held);
	} else {
		free_session(session);
		session = NULL;
	}
	tv_client_let_go(&opening->held);
	tv_manager_release_buffer(opening->manager, opening->code);
	tv_accelerator_unref(opening->accelerator);
	opening->how.opened(&opening->how, session, r, &opening->error);
	free(opening);
}

static void on_holder_left(struct tv_held *held)
{
	tv_session_close((struct tv_session *)held);
}

static int no_program(const struct tv_session_wish *wish, struct tv_error *error)
{
	return tv_error_set(error, -ENOEXEC,
			    "model %.12s has no program for runs of %u image%s on %s that is there",
			    wish->loaded->model->digest, wish->images, wish->images == 1 ? "" : "s",
			    wish->target ? wish->target : "a device");
}

int tv_session_open(struct tv_manager *manager, sd_bus_message *message, struct tv_client *client,
		    const struct tv_session_wish *wish, const struct tv_opening *how,
		    struct tv_error *error)
{
	_cleanup_free_ struct opening *opening = calloc(1, sizeof(*opening));
	_cleanup_free_ struct tv_session *session = calloc(1, sizeof(*session));
	struct tv_accelerator *accelerator;
	int r;

	if (!opening || !session)
		return tv_error_oom(error);
	accelerator = choose_pools(manager, wish, session->programs);
	if (!accelerator)
		return no_program(wish, error);
	lay_out(wish, session->programs, &session->layout);
	r = charge(manager, client->uid, layout_bytes(&session->layout), how->public, error);
	if (r < 0)
		return r;
	opening->how = *how;
	r = tv_call_begin(manager, message, client->uid, &opening->how.call, error);
	session->manager = manager;
	session->uid = client->uid;
	session->loaded = wish->loaded;
	session->loaded->sessions++;
	session->public = how->public;
	session->held.release = on_holder_left;
	snprintf(session->path, sizeof(session->path), TV_BUS_PATH "/sessions/%" PRIu64,
		 tv_manager_number(manager));
	TAILQ_INIT(&session->runs);
	if (r < 0) {
		free_session(TV_TAKE_PTR(session));
		return r;
	}
	opening->task = (struct tv_task){ run_opening, opening_done, NULL };
	opening->manager = manager;
	opening->accelerator = tv_accelerator_ref(accelerator);
	opening->priority = wish->priority;
	opening->input = wish->input;
	opening->codeless = !wish->loaded->code[tv_pool_kind(accelerator->pool)];
	opening->session = TV_TAKE_PTR(session);
	opening->held.release = tv_client_let_go;
	tv_client_hold(client, &opening->held);
	tv_workers_submit(manager->workers, &TV_TAKE_PTR(opening)->task);
	return 0;
}

/* --- closing --------------------------------------------------------------------------------- */

void tv_session_check(struct tv_session *session)
{
	if (!session->closing || session->pinned || !TAILQ_EMPTY(&session->runs))
		return;
	tv_scheduler_session_close(session->manager->scheduler, &session->scheduled);
	free_session(session);
}

void tv_session_close(struct tv_session *session)
{
	static const struct tv_error why = { .text = "the session was closed" };
	struct tv_run *run, *next;

	if (session->closing)
		return;
	tv_client_let_go(&session->held);
	TAILQ_REMOVE(&session->manager->sessions, session, sessions);
	session->closing = true;
	/* So that it does not go with the last of these. */
	session->pinned = true;
	for (run = TAILQ_FIRST(&session->runs); run; run = next) {
		next = TAILQ_NEXT(run, runs);
		tv_run_cancel(run, &why);
	}
	session->pinned = false;
	tv_session_check(session);
}

struct tv_accelerator *tv_session_accelerator(const struct tv_session *session)
{
	struct tv_accelerator *accelerator = NULL;

	for (unsigned int pool = 0; pool < TV_SCHEDULER_TARGETS && !accelerator; pool++)
		if (session->programs[pool] >= 0)
			accelerator = tv_accelerator_of_pool(session->manager, pool);
	return accelerator;
}

struct tv_session *tv_session_at(struct tv_manager *manager, const char *path,
				 sd_bus_message *message)
{
	struct tv_client *client = tv_clients_find(manager->clients, message);
	struct tv_session *session;

	TAILQ_FOREACH(session, &manager->sessions, sessions)
		if (session->public && !strcmp(session->path, path))
			break;
	if (!session || !client || session->held.client != client)
		return NULL;
	/* Who asks will ask again. */
	TAILQ_REMOVE(&manager->sessions, session, sessions);
	TAILQ_INSERT_HEAD(&manager->sessions, session, sessions);
	return session;
}
