/* SPDX-License-Identifier: MIT */
/* The client library with a daemon that answers wrongly, late, never, or is no longer there. */
#include <poll.h>
#include <time.h>

#include "libclient/triovit.h"
#include "tests/unit/libtriovit-service.h"

static struct bus_daemon daemon_;
static pid_t service;
static struct triovit_client *client;
static struct triovit_model *model;
static struct triovit_session *session;
static struct triovit_error error;

/* The ways to talk to it: every test takes both. */
enum {
	OVER_PEER,
	OVER_BUS,
	WAYS
};

static struct triovit_client *open_client(unsigned int flags)
{
	struct triovit_client *made = NULL;
	int r = triovit_open(TRIOVIT_BUS_ADDRESS, daemon_.address, flags, &made, &error);

	tv_assert_ok(r, error);
	return made;
}

static struct triovit_model *load(const char *name)
{
	struct triovit_model *made = NULL;

	tv_assert_ok(triovit_model_load_path(client, "/dev/null", name, &made, &error), error);
	return made;
}

static struct triovit_session *open_session(uint32_t slots)
{
	const struct triovit_session_options options = { .slots = slots };
	struct triovit_session *made = NULL;

	tv_assert_ok(triovit_session_open(model, &options, &made, &error), error);
	return made;
}

static void begin(int way)
{
	client = open_client(way == OVER_BUS ? TRIOVIT_OPEN_BUS_ONLY : 0);
	model = load("good");
	session = open_session(SERVICE_LAYOUT_GOOD);
}

static void end(void)
{
	triovit_session_close(session);
	triovit_model_free(model);
	triovit_close(client);
}

static void set_up(void)
{
	bus_daemon_start(&daemon_);
	service = service_start(&daemon_, false);
}

static void tear_down(void)
{
	service_stop(service);
	bus_daemon_stop(&daemon_);
}

/* --- replies -------------------------------------------------------------------------------- */

static int run_tag(uint64_t tag, struct triovit_result **ret)
{
	const struct triovit_run_options options = { .tag = tag, .top = 2 };

	return triovit_session_run(session, 0, &options, ret, &error);
}

static int run_inline(uint64_t tag, struct triovit_result **ret)
{
	const struct triovit_run_options options = { .tag = tag, .top = 2 };
	static const uint8_t input[SERVICE_INPUT] = { 11, 22, 33, 44, 55, 66 };

	return triovit_model_run(model, input, sizeof(input), &options, ret, &error);
}

static void check_result(const struct triovit_result *result)
{
	ck_assert_uint_eq(result->cycles, 1234);
	ck_assert_uint_eq(result->device_usec, 12);
	ck_assert_uint_eq(result->queued_usec, 34);
	ck_assert_str_eq(result->device, SERVICE_PATH "/devices/0");
	ck_assert_uint_eq(result->images, 1);
	ck_assert_uint_eq(result->top, 2);
	ck_assert_uint_eq(result->classes[0].index, 2);
	ck_assert_str_eq(result->classes[0].label, "two");
	ck_assert_double_eq(result->classes[0].probability, 0.75);
	ck_assert_uint_eq(result->classes[1].index, 0);
	ck_assert_str_eq(result->classes[1].label, "zero");
	ck_assert_double_eq(result->classes[1].probability, 0.125);
}

/* What is in the messages is in the structures. */
START_TEST(what_it_says)
{
	const struct triovit_model_info *info;
	struct triovit_daemon *daemon = NULL;
	struct triovit_device **devices = NULL;
	struct triovit_model **models = NULL, *found = NULL;
	struct triovit_result *result = NULL;
	size_t count;

	begin(_i);
	info = triovit_model_info(model);
	ck_assert_str_eq(info->path, SERVICE_PATH "/models/1");
	ck_assert_str_eq(info->digest, "dd11");
	ck_assert_uint_eq(info->width, SERVICE_SIDE);
	ck_assert_uint_eq(info->height, SERVICE_SIDE);
	ck_assert_uint_eq(info->resize, SERVICE_SIDE + 1);
	ck_assert_uint_eq(info->classes, SERVICE_CLASSES);
	ck_assert_str_eq(info->labels[2], "two");
	ck_assert_uint_eq(info->program_count, 2);
	ck_assert_str_eq(info->programs[1].target, "kv260");
	ck_assert_uint_eq(info->programs[1].images, 4);
	ck_assert_uint_eq(info->programs[1].cycles_idle, 30);
	ck_assert_uint_eq(info->programs[1].cycles_follows, 28);

	tv_assert_ok(triovit_daemon_get(client, &daemon, &error), error);
	ck_assert_str_eq(daemon->version, "9.9");
	ck_assert_uint_eq(daemon->limit_count, 2);
	ck_assert_str_eq(daemon->limits[0].name, "MaxModels");
	ck_assert_uint_eq(daemon->limits[0].limit, 256);
	ck_assert_uint_eq(daemon->limits[0].used, 2);
	ck_assert_uint_eq(daemon->limits[1].limit, 8192);
	ck_assert_uint_eq(daemon->limits[1].used, 3);
	triovit_daemon_free(daemon);

	tv_assert_ok(triovit_device_list(client, &devices, &count, &error), error);
	ck_assert_uint_eq(count, 2);
	for (size_t i = 0; i < count; i++) {
		bool good = strstr(triovit_device_info(devices[i])->path, "/devices/0");
		int r = triovit_device_self_test(devices[i], &error);

		ck_assert_int_eq(r, good ? 0 : -EIO);
		ck_assert(good || !strcmp(error.text, "a word"));
	}
	triovit_device_list_free(devices, count);

	tv_assert_ok(triovit_model_list(client, &models, &count, &error), error);
	ck_assert_uint_eq(count, 3);
	triovit_model_list_free(models, count);
	tv_assert_ok(triovit_model_find(client, "single", &found, &error), error);
	ck_assert_str_eq(triovit_model_info(found)->path, SERVICE_PATH "/models/3");
	triovit_model_free(found);
	tv_assert_ok(triovit_model_find(client, "dd11", &found, &error), error);
	ck_assert_str_eq(triovit_model_info(found)->path, info->path);
	triovit_model_free(found);
	tv_assert_ok(triovit_model_find(client, SERVICE_PATH "/models/2", &found, &error), error);
	tv_assert_ok(triovit_model_publish(found, true, &error), error);
	triovit_model_free(found);
	ck_assert_int_eq(triovit_model_find(client, "twin", &found, &error), -ENOTUNIQ);
	ck_assert_int_eq(triovit_model_find(client, "none", &found, &error), -ENOENT);

	triovit_session_input(session, 1)[0] = 3;
	triovit_session_input(session, 1)[SERVICE_INPUT - 1] = 4;
	tv_assert_ok(triovit_session_run(session, 1, NULL, &result, &error), error);
	check_result(result);
	ck_assert_ptr_null(result->output);
	triovit_result_free(result);
	ck_assert_int_eq(triovit_session_output(session, 1)[0], 7);
	ck_assert_ptr_null(triovit_session_input(session, 2));
	ck_assert_ptr_null(triovit_session_output(session, UINT32_MAX));
	tv_assert_ok(run_inline(0, &result), error);
	check_result(result);
	ck_assert_uint_eq(result->output_size, SERVICE_OUTPUT);
	ck_assert_mem_eq(result->output, "\x0b\x16\x21\x2c\x37\x42", SERVICE_OUTPUT);
	triovit_result_free(result);
	end();
}
END_TEST

START_TEST(errors)
{
	begin(_i);
	for (size_t i = 0; i < TV_ARRAY_SIZE(service_errors); i++) {
		int r = run_tag(SERVICE_ERRORS + i, NULL);

		ck_assert_msg(r == service_errors[i].code, "%s: %d", service_errors[i].name, r);
		ck_assert_int_eq(error.code, r);
		ck_assert_ptr_nonnull(strstr(error.text, "it says why"));
		ck_assert_int_eq(run_inline(SERVICE_ERRORS + i, NULL), service_errors[i].code);
	}
	/* None of them is the end of it. */
	tv_assert_ok(run_tag(0, NULL), error);
	end();
}
END_TEST

START_TEST(nonsense)
{
	const struct triovit_run_options uneven = { .tag = SERVICE_UNEVEN_TOP, .images = 2 };
	static const uint8_t pixels[3];
	const struct triovit_frame frame = {
		.width = 1,
		.height = 1,
		.planes[0] = { pixels, sizeof(pixels), sizeof(pixels) },
	};
	uint8_t input[SERVICE_INPUT] = { 0 };
	struct triovit_model *loaded = NULL;
	struct triovit_result *result = NULL;

	begin(_i);
	for (uint64_t tag = SERVICE_WRONG_TYPE; tag <= SERVICE_FEW_TOP; tag++) {
		/* A list without images is as good as none. */
		int r = tag == SERVICE_FEW_TOP ? 0 : -EBADMSG;

		ck_assert_msg(run_tag(tag, &result) == r, "%d: %s", (int)tag, error.text);
		if (!r)
			triovit_result_free(result);
	}
	ck_assert_int_eq(triovit_model_run(model, input, sizeof(input), &uneven, &result, &error),
			 -EBADMSG);
	ck_assert_int_eq(triovit_model_load_path(client, "/dev/null", "labels", &loaded, &error),
			 -EBADMSG);
	ck_assert_int_eq(triovit_model_load_path(client, "/dev/null", "nothing", &loaded, &error),
			 -EBADMSG);
	ck_assert_int_eq(triovit_model_load_fd(client, -1, NULL, &loaded, &error), -EBADF);
	ck_assert_int_eq(triovit_session_run_memory(session, -1, 0, 64, NULL, NULL, &error),
			 -EBADF);
	ck_assert_int_eq(triovit_model_load_path(client, "/none", NULL, &loaded, &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "/none"));
	ck_assert_ptr_null(loaded);
	/* A model of no size. */
	tv_assert_ok(triovit_model_find(client, "single", &loaded, &error), error);
	ck_assert_int_eq(triovit_model_preprocess(loaded, &frame, input, sizeof(input), &error),
			 -EINVAL);
	triovit_model_free(loaded);
	end();
}
END_TEST

START_TEST(bad_memory)
{
	const struct triovit_session_options file = { .slots = SERVICE_LAYOUT_FILE };
	struct triovit_session *opened = NULL;
	unsigned int fds;
	int r;

	begin(_i);
	fds = count_own("fd");
	/* What is no memfd wants to be synchronized, which a file does not know. */
	tv_assert_ok(triovit_session_begin_access(session, TRIOVIT_ACCESS_READ, &error), error);
	tv_assert_ok(triovit_session_end_access(session, TRIOVIT_ACCESS_READ, &error), error);
	tv_assert_ok(triovit_session_open(model, &file, &opened, &error), error);
	/* An emulator says that it does not know the call, a kernel that the file does not. */
	r = triovit_session_begin_access(opened, TRIOVIT_ACCESS_READ, &error);
	ck_assert_msg(r == -ENOTTY || r == -ENOSYS, "%d", r);
	r = triovit_session_end_access(opened, TRIOVIT_ACCESS_WRITE, &error);
	ck_assert_msg(r == -ENOTTY || r == -ENOSYS, "%d", r);
	triovit_session_close(opened);
	opened = NULL;
	ck_assert_uint_eq(count_own("fd"), fds);
	for (uint32_t slots = SERVICE_LAYOUT_GOOD + 1; slots < SERVICE_LAYOUT_END; slots++) {
		const struct triovit_session_options options = { .slots = slots };

		ck_assert_int_eq(triovit_session_open(model, &options, &opened, &error), -EBADMSG);
		ck_assert_ptr_null(opened);
	}
	tv_assert_ok(run_tag(0, NULL), error);
	end();
}
END_TEST

START_TEST(wrong_arguments)
{
	const struct triovit_session_options priority = { .priority = 3 };
	struct triovit_client *other = NULL;
	void *data;
	int fd;

	begin(_i);
	ck_assert_int_eq(triovit_open(TRIOVIT_BUS_SYSTEM, "x", 0, &other, &error), -EINVAL);
	ck_assert_int_eq(triovit_open(TRIOVIT_BUS_HOST, NULL, 0, &other, &error), -EINVAL);
	ck_assert_int_eq(triovit_open(9, NULL, 0, &other, &error), -EINVAL);
	ck_assert_int_eq(triovit_open(TRIOVIT_BUS_SYSTEM, NULL, 2, &other, &error), -EINVAL);
	ck_assert_int_eq(triovit_session_open(model, &priority, &session, &error), -EINVAL);
	ck_assert_int_eq(triovit_session_begin_access(session, 0, &error), -EINVAL);
	ck_assert_int_eq(triovit_session_end_access(session, 4, NULL), -EINVAL);
	ck_assert_int_eq(triovit_memory_new(0, &fd, &data, &error), -EINVAL);
	ck_assert_ptr_null(other);
	triovit_close(NULL);
	triovit_model_free(NULL);
	triovit_session_close(NULL);
	triovit_result_free(NULL);
	triovit_daemon_free(NULL);
	triovit_model_list_free(NULL, 0);
	triovit_device_list_free(NULL, 0);
	end();
}
END_TEST

/* --- the loop ------------------------------------------------------------------------------- */

struct outcome {
	int calls, code;
	unsigned int order; /* it was the n-th */
	struct triovit_client *close; /* from within */
};

static unsigned int outcomes;

static void on_run(const struct triovit_result *result, const struct triovit_error *why,
		   void *userdata)
{
	struct outcome *outcome = userdata;

	outcome->calls++;
	outcome->order = outcomes++;
	outcome->code = why ? why->code : 0;
	ck_assert_int_eq(!result, !!why);
	if (result)
		check_result(result);
	if (outcome->close)
		triovit_close(outcome->close);
}

static void start(struct triovit_session *in, uint64_t tag, uint64_t timeout,
		  struct outcome *outcome)
{
	const struct triovit_run_options options = { .tag = tag, .timeout_usec = timeout };

	tv_assert_ok(triovit_session_run_async(in, 0, &options, on_run, outcome, &error), error);
}

/* As a service would: polls, and processes until there is nothing to do. */
static int turn(void)
{
	struct pollfd pollfd = { .fd = triovit_fd(client) };
	uint64_t due, now;
	struct timespec time;
	int r;

	pollfd.events = (short)triovit_events(client);
	tv_assert_ok(triovit_timeout(client, &due), error);
	clock_gettime(CLOCK_MONOTONIC, &time);
	now = (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
	due = due < now ? 0 : due - now;
	time.tv_sec = (time_t)(due / 1000000);
	time.tv_nsec = (long)(due % 1000000 * 1000);
	ck_assert_int_ge(ppoll(&pollfd, 1, due > UINT64_MAX / 2 ? NULL : &time, NULL), 0);
	while ((r = triovit_process(client, &error)) > 0)
		;
	return r;
}

/* Replies in whatever order they come; what waits for one calls nobody meanwhile. */
START_TEST(several)
{
	struct outcome some[5] = { 0 };
	bool cancelled = true;

	begin(_i);
	outcomes = 0;
	start(session, SERVICE_WAITS, 0, &some[0]);
	start(session, 0, 0, &some[1]);
	start(session, SERVICE_WAITS, 0, &some[2]);
	start(session, SERVICE_ERRORS, 0, &some[3]);
	tv_assert_ok(triovit_session_cancel(session, 77, &cancelled, &error), error);
	ck_assert(!cancelled);
	ck_assert_uint_eq(outcomes, 0);
	while (outcomes < 2)
		ck_assert_int_eq(turn(), 0);
	ck_assert_uint_eq(some[1].order, 0);
	ck_assert_int_eq(some[1].code, 0);
	ck_assert_int_eq(some[3].code, -EINVAL);
	tv_assert_ok(triovit_session_cancel(session, SERVICE_WAITS, &cancelled, &error), error);
	ck_assert(cancelled);
	start(session, 0, 0, &some[4]);
	while (outcomes < 5)
		ck_assert_int_eq(turn(), 0);
	ck_assert_int_eq(some[0].code, -ECANCELED);
	ck_assert_int_eq(some[2].code, -ECANCELED);
	ck_assert_uint_eq(some[4].order, 4);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(some[i].calls, 1);
	end();
}
END_TEST

/* What is closed says nothing any more, be it under way or over. */
START_TEST(closed)
{
	struct triovit_session *other;
	struct outcome some[4] = { 0 };

	begin(_i);
	outcomes = 0;
	other = open_session(SERVICE_LAYOUT_GOOD);
	start(other, SERVICE_HANGS, 0, &some[0]);
	start(other, 0, 0, &some[1]);
	start(session, 0, 0, &some[2]);
	/* Their replies are there. */
	tv_assert_ok(run_tag(0, NULL), error);
	triovit_session_close(other);
	while (outcomes < 1)
		ck_assert_int_eq(turn(), 0);
	ck_assert_int_eq(some[2].calls, 1);
	/* The client from within a callback, with others under way and over. */
	start(session, SERVICE_HANGS, 0, &some[0]);
	some[3].close = client;
	start(session, 0, 0, &some[3]);
	start(session, 0, 0, &some[1]);
	tv_assert_ok(run_tag(0, NULL), error);
	ck_assert_int_eq(triovit_process(client, &error), 1);
	ck_assert_int_eq(some[3].calls, 1);
	ck_assert_int_eq(some[0].calls + some[1].calls, 0);
	ck_assert_int_eq(run_tag(0, NULL), -ENOTCONN);
	ck_assert_int_eq(triovit_model_unload(model, &error), -ENOTCONN);
	client = NULL;
	end();
}
END_TEST

struct chain {
	struct triovit_model *model;
	struct triovit_session *session;
	int step;
};

static void on_chain_run(const struct triovit_result *result, const struct triovit_error *why,
			 void *userdata)
{
	struct chain *chain = userdata;
	struct triovit_result *other = NULL;

	ck_assert_ptr_null(why);
	/* One that waits, from within a callback. */
	tv_assert_ok(run_inline(0, &other), error);
	check_result(other);
	triovit_result_free(other);
	check_result(result);
	chain->step++;
}

static void on_chain_session(struct triovit_session *opened, const struct triovit_error *why,
			     void *userdata)
{
	struct chain *chain = userdata;

	ck_assert_ptr_null(why);
	chain->session = opened;
	chain->step++;
	tv_assert_ok(triovit_session_run_async(opened, 0, NULL, on_chain_run, chain, &error),
		     error);
	tv_assert_ok(triovit_session_run_memory_async(opened, 0, 0, 64, NULL, on_chain_run, chain,
						      &error),
		     error);
	tv_assert_ok(triovit_model_run_async(chain->model, "123456", 6, NULL, on_chain_run, chain,
					     &error),
		     error);
}

static void on_chain_model(struct triovit_model *loaded, const struct triovit_error *why,
			   void *userdata)
{
	struct chain *chain = userdata;

	ck_assert_ptr_null(why);
	chain->model = loaded;
	chain->step++;
	tv_assert_ok(triovit_session_open_async(loaded, NULL, on_chain_session, chain, &error),
		     error);
}

static void on_failed_model(struct triovit_model *loaded, const struct triovit_error *why,
			    void *userdata)
{
	ck_assert_ptr_null(loaded);
	*(int *)userdata = why->code;
}

/* Each step begins in the callback of the one before. */
START_TEST(callbacks)
{
	struct chain chain = { .step = 0 };
	int code = 0;

	begin(_i);
	tv_assert_ok(triovit_model_load_path_async(client, "/dev/null", "x", on_chain_model, &chain,
						   &error),
		     error);
	while (chain.step < 5)
		ck_assert_int_eq(turn(), 0);
	triovit_session_close(chain.session);
	triovit_model_free(chain.model);
	/* There is no such model when it is asked what it is like. */
	tv_assert_ok(triovit_model_load_path_async(client, "/dev/null", "labels", on_failed_model,
						   &code, &error),
		     error);
	while (!code)
		ck_assert_int_eq(turn(), 0);
	ck_assert_int_eq(code, -EBADMSG);
	ck_assert_int_eq(triovit_model_load_path_async(client, "/none", "x", on_failed_model, &code,
						       &error),
			 -ENOENT);
	end();
}
END_TEST

/* --- the end -------------------------------------------------------------------------------- */

static void check_gone(void)
{
	struct triovit_daemon *daemon = NULL;

	ck_assert_int_eq(run_tag(0, NULL), -ENOTCONN);
	ck_assert_int_eq(run_inline(0, NULL), -ENOTCONN);
	ck_assert_int_eq(triovit_daemon_get(client, &daemon, &error), -ENOTCONN);
	ck_assert_int_eq(turn(), -ENOTCONN);
	end();
}

/* The daemon dies under a call; what else is under way ends too, in its order. */
START_TEST(daemon_dies)
{
	struct outcome some[3] = { 0 };

	begin(_i);
	outcomes = 0;
	for (int i = 0; i < 3; i++)
		start(session, SERVICE_HANGS, 0, &some[i]);
	ck_assert_int_eq(run_tag(SERVICE_DIES, NULL), -ECONNRESET);
	ck_assert_int_eq(turn(), -ENOTCONN);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert_int_eq(some[i].calls, 1);
		ck_assert_int_eq(some[i].code, -ECONNRESET);
		ck_assert_uint_eq(some[i].order, i);
	}
	check_gone();
}
END_TEST

START_TEST(daemon_dies_async)
{
	struct outcome some[2] = { 0 };
	int r;

	begin(_i);
	outcomes = 0;
	start(session, SERVICE_HANGS, 0, &some[0]);
	start(session, SERVICE_DIES, 0, &some[1]);
	do {
		r = turn();
	} while (!r);
	ck_assert_int_eq(r, -ENOTCONN);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(some[i].code, -ECONNRESET);
	check_gone();
}
END_TEST

START_TEST(daemon_dies_loading)
{
	struct triovit_model *loaded = NULL;

	begin(_i);
	ck_assert_int_eq(triovit_model_load_path(client, "/dev/null", "dies", &loaded, &error),
			 -ECONNRESET);
	check_gone();
}
END_TEST

/* Nothing was under way; and the one that comes after it is another. */
START_TEST(daemon_died)
{
	int r;

	begin(_i);
	service_stop(service);
	service = service_start(&daemon_, false);
	r = run_tag(0, NULL);
	ck_assert_msg(r == -ENOTCONN || (_i == OVER_PEER && r == -ECONNRESET), "%d", r);
	check_gone();
	begin(_i);
	tv_assert_ok(run_tag(0, NULL), error);
	end();
}
END_TEST

START_TEST(bus_dies)
{
	struct outcome some[2] = { 0 };

	begin(_i);
	outcomes = 0;
	start(session, SERVICE_HANGS, 0, &some[0]);
	kill(daemon_.pid, SIGKILL);
	while (!turn())
		;
	ck_assert_int_eq(some[0].code, -ECONNRESET);
	check_gone();
}
END_TEST

/* A daemon that is there and does not answer: after its deadline and the grace. */
START_TEST(hangs)
{
	const struct triovit_run_options options = { .tag = SERVICE_HANGS, .timeout_usec = 1 };
	struct outcome some[2] = { 0 };

	begin(_i);
	outcomes = 0;
	start(session, SERVICE_HANGS, 0, &some[0]);
	start(session, SERVICE_HANGS, 1, &some[1]);
	ck_assert_int_eq(triovit_session_run(session, 0, &options, NULL, &error), -ETIMEDOUT);
	while (!some[1].calls)
		ck_assert_int_eq(turn(), 0);
	ck_assert_int_eq(some[1].code, -ETIMEDOUT);
	ck_assert_int_eq(some[0].calls, 0);
	/* It may yet come back. */
	tv_assert_ok(run_tag(0, NULL), error);
	end();
}
END_TEST

/* Nobody is there, and nobody who would start it. */
START_TEST(no_daemon)
{
	struct triovit_client *made = NULL;

	service_stop(service);
	ck_assert_int_eq(triovit_open(TRIOVIT_BUS_ADDRESS, daemon_.address, 0, &made, &error),
			 -EHOSTUNREACH);
	ck_assert_int_eq(error.code, -EHOSTUNREACH);
	ck_assert_int_eq(triovit_open(TRIOVIT_BUS_ADDRESS, "unix:path=/none", 0, &made, NULL),
			 -ENOENT);
	ck_assert_ptr_null(made);
	service = service_start(&daemon_, false);
}
END_TEST

/* No connection of one's own: the bus will do. */
START_TEST(refused)
{
	service_stop(service);
	service = service_start(&daemon_, true);
	begin(OVER_PEER);
	tv_assert_ok(run_tag(0, NULL), error);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libtriovit-faults");
	TCase *tests = tcase_create("faults");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, what_it_says, 0, WAYS);
	tcase_add_loop_test(tests, errors, 0, WAYS);
	tcase_add_loop_test(tests, nonsense, 0, WAYS);
	tcase_add_loop_test(tests, bad_memory, 0, WAYS);
	tcase_add_loop_test(tests, wrong_arguments, 0, WAYS);
	tcase_add_loop_test(tests, several, 0, WAYS);
	tcase_add_loop_test(tests, closed, 0, WAYS);
	tcase_add_loop_test(tests, callbacks, 0, WAYS);
	tcase_add_loop_test(tests, daemon_dies, 0, WAYS);
	tcase_add_loop_test(tests, daemon_dies_async, 0, WAYS);
	tcase_add_loop_test(tests, daemon_dies_loading, 0, WAYS);
	tcase_add_loop_test(tests, daemon_died, 0, WAYS);
	tcase_add_loop_test(tests, bus_dies, 0, WAYS);
	tcase_add_test(tests, hangs);
	tcase_add_test(tests, no_daemon);
	tcase_add_test(tests, refused);
	suite_add_tcase(suite, tests);
	return tv_unit_main(suite);
}
