/* SPDX-License-Identifier: MIT */
/* The client library with the real daemon: all ways in give the functional model's answers. */
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

#include "image/image.h"
#include "libclient/triovit.h"
#include "quantizer/integer.h"
#include "tests/unit/bus.h"
#include "tests/unit/package-edit.h"

#define SLOTS	4u
#define CLASSES 5u
#define SIDE	PACKAGE_SMALL_SIZE
#define IMAGE	(SIDE * SIDE * 3u)

static struct bus_daemon daemon_;
static pid_t service;
static struct tv_package *package;
static struct triovit_client *client;
static struct triovit_model *model;
static struct triovit_error error;

enum {
	OVER_PEER,
	OVER_BUS,
	WAYS
};

/* --- the daemon ----------------------------------------------------------------------------- */

static int on_owner(sd_bus_message *message, void *userdata, sd_bus_error *ret_error)
{
	*(bool *)userdata = true;
	return 0;
}

/* Returns when it owns its name. */
static pid_t start_daemon(void)
{
	sd_bus *bus = bus_open(&daemon_);
	bool ready = false;
	char command[4096];
	pid_t pid;

	/* Through the emulator if it is for another machine. */
	snprintf(command, sizeof(command),
		 "exec %s '%s/daemon/triovitd' --address '%s' --software zcu102 --log-level err",
		 getenv("MESON_EXE_WRAPPER") ?: "", getenv("TV_BUILD_DIR") ?: "build",
		 daemon_.address);
	ck_assert_int_ge(sd_bus_add_match(bus, NULL,
					  "type='signal',member='NameOwnerChanged',"
					  "arg0='org.triovit.Accelerator1'",
					  on_owner, &ready),
			 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	while (!ready) {
		ck_assert_msg(waitpid(pid, NULL, WNOHANG) == 0, "%s: does not start", command);
		if (sd_bus_process(bus, NULL) == 0)
			ck_assert_int_ge(sd_bus_wait(bus, 100000), 0);
	}
	sd_bus_flush_close_unref(bus);
	return pid;
}

static void stop_daemon(void)
{
	kill(service, SIGTERM);
	waitpid(service, NULL, 0);
}

static void set_up(void)
{
	static const struct package_of of[] = { { "zcu102", 1 }, { "zcu102", 3 } };

	tv_unit_directory_make();
	package = package_make(&package_small, SIDE, of, TV_ARRAY_SIZE(of));
	write_package(package, GOOD);
	bus_daemon_start(&daemon_);
	service = start_daemon();
}

static void tear_down(void)
{
	stop_daemon();
	bus_daemon_stop(&daemon_);
	tv_package_free(package);
	tv_unit_directory_remove();
}

static void begin(int way)
{
	unsigned int flags = way == OVER_BUS ? TRIOVIT_OPEN_BUS_ONLY : 0;

	tv_assert_ok(triovit_open(TRIOVIT_BUS_ADDRESS, daemon_.address, flags, &client, &error),
		     error);
	tv_assert_ok(triovit_model_load_path(client, tv_unit_path(GOOD), "good", &model, &error),
		     error);
}

static void end(void)
{
	triovit_model_free(model);
	triovit_close(client);
}

static struct triovit_session *open_session(uint32_t slots, uint32_t images)
{
	const struct triovit_session_options options = { .slots = slots, .images = images };
	struct triovit_session *session = NULL;

	tv_assert_ok(triovit_session_open(model, &options, &session, &error), error);
	ck_assert_uint_eq(triovit_session_info(session)->slots, slots ? slots : 2);
	ck_assert_uint_eq(triovit_session_info(session)->input_size, (images ?: 1) * IMAGE);
	ck_assert_uint_eq(triovit_session_info(session)->output_size, (images ?: 1) * CLASSES * 2);
	return session;
}

/* --- answers -------------------------------------------------------------------------------- */

static void fill(uint8_t *input, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++)
		input[i] = (uint8_t)tv_unit_random(&seed);
}

/* What the functional model makes of a program's images. */
static void expect(unsigned int images, const uint8_t *input, int16_t *ret)
{
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = NULL;
	struct tv_error why = { 0 };

	tv_assert_ok(tv_integer_runner_new(package, &package->programs[images > 1], NULL, &runner,
					   &why),
		     why);
	tv_assert_ok(tv_integer_run(runner, input, images, NULL, NULL, ret, NULL, &why), why);
}

static void check_output(const void *found, const uint8_t *input, unsigned int images)
{
	int16_t expected[3 * CLASSES];

	expect(images, input, expected);
	ck_assert_mem_eq(found, expected, images * CLASSES * sizeof(*expected));
}

/* The best classes are those of the output. */
static void check_top(const struct triovit_result *result, const int16_t *output, uint32_t top)
{
	char label[16];

	ck_assert_uint_eq(result->top, top);
	ck_assert_uint_gt(result->cycles, 0);
	ck_assert_ptr_nonnull(strstr(result->device, "/devices/"));
	for (uint32_t i = 0; i < result->images; i++) {
		const struct triovit_class *classes = result->classes + (size_t)i * top;
		double sum = 0;

		for (uint32_t k = 0; k < top; k++) {
			snprintf(label, sizeof(label), "class %u", classes[k].index);
			ck_assert_str_eq(classes[k].label, label);
			sum += classes[k].probability;
			ck_assert(!k || output[i * CLASSES + classes[k - 1].index] >=
						output[i * CLASSES + classes[k].index]);
		}
		ck_assert_double_eq_tol(sum, 1.0, top == CLASSES ? 1e-6 : 1.0);
	}
}

START_TEST(ways_in)
{
	const struct triovit_run_options options = { .top = 9, .images = 3 };
	struct triovit_session *session;
	struct triovit_result *result = NULL;
	uint8_t input[3 * IMAGE];
	const uint64_t at = (3 * IMAGE + 63) / 64 * 64;
	struct triovit_daemon *daemon = NULL;
	void *data;
	int fd;

	begin(_i);
	session = open_session(0, 3);
	for (uint32_t slot = 0; slot < 2; slot++) {
		fill(input, sizeof(input), slot);
		tv_assert_ok(triovit_session_begin_access(session, TRIOVIT_ACCESS_WRITE, &error),
			     error);
		memcpy(triovit_session_input(session, slot), input, sizeof(input));
		tv_assert_ok(triovit_session_end_access(session, TRIOVIT_ACCESS_WRITE, &error),
			     error);
		tv_assert_ok(triovit_session_run(session, slot, &options, &result, &error), error);
		ck_assert_uint_eq(result->images, 3);
		check_output(triovit_session_output(session, slot), input, 3);
		check_top(result, triovit_session_output(session, slot), CLASSES);
		triovit_result_free(result);
	}
	tv_assert_ok(triovit_memory_new(at + 3 * CLASSES * 2, &fd, &data, &error), error);
	fill(data, 3 * IMAGE, 2);
	tv_assert_ok(triovit_session_run_memory(session, fd, 0, at, NULL, NULL, &error), error);
	check_output((uint8_t *)data + at, data, 3);
	/* The output would not fit. */
	ck_assert_int_eq(triovit_session_run_memory(session, fd, 0, at + 64, NULL, NULL, &error),
			 -EBADF);
	ck_assert_int_eq(triovit_session_run_memory(session, fd, 0, at + 1, NULL, NULL, &error),
			 -EINVAL);
	munmap(data, at + 3 * CLASSES * 2);
	close(fd);
	tv_assert_ok(triovit_daemon_get(client, &daemon, &error), error);
	ck_assert_uint_eq(daemon->bytes_copied, 0);
	triovit_daemon_free(daemon);

	tv_assert_ok(triovit_model_run(model, input, sizeof(input), &options, &result, &error),
		     error);
	ck_assert_uint_eq(result->output_size, 3 * CLASSES * 2);
	ck_assert_uint_eq(result->images, 3);
	check_output(result->output, input, 3);
	triovit_result_free(result);
	tv_assert_ok(triovit_model_run(model, input, IMAGE, NULL, &result, &error), error);
	ck_assert_ptr_null(result->classes);
	check_output(result->output, input, 1);
	triovit_result_free(result);
	triovit_session_close(session);
	end();
}
END_TEST

/* --- the loop ------------------------------------------------------------------------------- */

#define RUNS 40u

struct flow {
	struct triovit_session *session;
	unsigned int begun, ended;
};

struct lane {
	struct flow *flow;
	uint32_t slot;
	uint8_t input[IMAGE];
};

static void on_result(const struct triovit_result *result, const struct triovit_error *why,
		      void *userdata);

static void begin_run(struct lane *lane)
{
	const struct triovit_run_options options = { .top = 2 };
	struct flow *flow = lane->flow;

	fill(lane->input, IMAGE, flow->begun++);
	memcpy(triovit_session_input(flow->session, lane->slot), lane->input, IMAGE);
	tv_assert_ok(triovit_session_run_async(flow->session, lane->slot, &options, on_result, lane,
					       &error),
		     error);
}

static void on_result(const struct triovit_result *result, const struct triovit_error *why,
		      void *userdata)
{
	struct lane *lane = userdata;
	struct flow *flow = lane->flow;
	const int16_t *output = triovit_session_output(flow->session, lane->slot);

	ck_assert_msg(!why, "%s", why ? why->text : "");
	check_output(output, lane->input, 1);
	check_top(result, output, 2);
	flow->ended++;
	if (flow->begun < RUNS)
		begin_run(lane);
}

static int turn(int timeout)
{
	struct pollfd pollfd = { .fd = triovit_fd(client) };
	uint64_t due;
	int r;

	pollfd.events = (short)triovit_events(client);
	tv_assert_ok(triovit_timeout(client, &due), error);
	poll(&pollfd, 1, due ? timeout : 0);
	while ((r = triovit_process(client, &error)) > 0)
		;
	return r;
}

START_TEST(several)
{
	struct flow flow = { .begun = 0 };
	struct lane *lanes = calloc(SLOTS, sizeof(*lanes));
	struct triovit_result *result = NULL;

	begin(_i);
	flow.session = open_session(SLOTS, 1);
	for (uint32_t i = 0; i < SLOTS; i++) {
		lanes[i] = (struct lane){ .flow = &flow, .slot = i };
		begin_run(&lanes[i]);
	}
	/* One that waits is not in the way. */
	tv_assert_ok(triovit_model_run(model, lanes[0].input, IMAGE, NULL, &result, &error), error);
	check_output(result->output, lanes[0].input, 1);
	triovit_result_free(result);
	while (flow.ended < RUNS)
		ck_assert_int_eq(turn(-1), 0);
	ck_assert_uint_eq(flow.begun, RUNS);
	triovit_session_close(flow.session);
	free(lanes);
	end();
}
END_TEST

static void on_lost(const struct triovit_result *result, const struct triovit_error *why,
		    void *userdata)
{
	struct lane *lane = userdata;

	if (why) {
		/* Under way, or asked for when it was gone already. */
		ck_assert(why->code == -ECONNRESET || why->code == -ENOTCONN);
		lane->flow->ended++;
	} else if (triovit_session_run_async(lane->flow->session, lane->slot, NULL, on_lost, lane,
					     &error) < 0) {
		lane->flow->ended++;
	}
}

/* The daemon is killed with runs queued and under way. */
START_TEST(killed)
{
	struct flow flow = { .begun = 0 };
	struct lane *lanes = calloc(SLOTS, sizeof(*lanes));
	int r = 0;

	begin(_i);
	flow.session = open_session(SLOTS, 1);
	for (uint32_t i = 0; i < SLOTS; i++) {
		lanes[i] = (struct lane){ .flow = &flow, .slot = i };
		tv_assert_ok(triovit_session_run_async(flow.session, i, NULL, on_lost, &lanes[i],
						       &error),
			     error);
	}
	turn(-1);
	kill(service, SIGKILL);
	while (!r)
		r = turn(-1);
	ck_assert_int_eq(r, -ENOTCONN);
	ck_assert_uint_eq(flow.ended, SLOTS);
	ck_assert_int_eq(triovit_session_run(flow.session, 0, NULL, NULL, &error), -ENOTCONN);
	triovit_session_close(flow.session);
	end();
	waitpid(service, NULL, 0);
	service = start_daemon();
	begin(_i);
	triovit_session_close(open_session(1, 1));
	end();
	free(lanes);
}
END_TEST

/* --- what is there -------------------------------------------------------------------------- */

static const struct triovit_limit *find_limit(const struct triovit_daemon *daemon, const char *name)
{
	for (size_t i = 0; i < daemon->limit_count; i++)
		if (!strcmp(daemon->limits[i].name, name)) {
			ck_assert_uint_gt(daemon->limits[i].limit, 0);
			return &daemon->limits[i];
		}
	ck_abort_msg("no limit %s", name);
}

START_TEST(properties)
{
	const struct triovit_device_info *device;
	const struct triovit_model_info *info;
	struct triovit_daemon *daemon = NULL;
	struct triovit_device **devices = NULL;
	struct triovit_model **models = NULL, *found = NULL;
	const char *what[3];
	size_t count = 0;

	begin(_i);
	info = triovit_model_info(model);
	ck_assert_uint_eq(strlen(info->digest), 64);
	ck_assert_str_eq(info->name, "good");
	ck_assert_uint_eq(info->width, SIDE);
	ck_assert_uint_eq(info->height, SIDE);
	ck_assert_uint_eq(info->resize, package->resize);
	ck_assert_uint_eq(info->classes, CLASSES);
	ck_assert_str_eq(info->labels[CLASSES - 1], "class 4");
	ck_assert_ptr_null(info->labels[CLASSES]);
	ck_assert_double_eq(info->logit_scale, (double)package->logit_scale);
	ck_assert_uint_eq(info->program_count, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_str_eq(info->programs[i].target, "zcu102");
		ck_assert_uint_gt(info->programs[i].cycles_follows, 0);
		ck_assert_uint_ge(info->programs[i].cycles_idle, info->programs[i].cycles_follows);
	}
	ck_assert_uint_eq(info->programs[0].images + info->programs[1].images, 4);
	ck_assert(info->size > 0 && !info->published);

	what[0] = info->path;
	what[1] = info->digest;
	what[2] = "good";
	for (int i = 0; i < 3; i++) {
		tv_assert_ok(triovit_model_find(client, what[i], &found, &error), error);
		ck_assert_str_eq(triovit_model_info(found)->path, info->path);
		triovit_model_free(found);
	}
	tv_assert_ok(triovit_model_publish(model, true, &error), error);
	tv_assert_ok(triovit_model_list(client, &models, &count, &error), error);
	ck_assert_uint_eq(count, 1);
	ck_assert(triovit_model_info(models[0])->published);
	triovit_model_list_free(models, count);
	tv_assert_ok(triovit_model_publish(model, false, &error), error);
	tv_assert_ok(triovit_model_unload(model, &error), error);
	ck_assert_int_eq(triovit_model_find(client, "good", &found, &error), -ENOENT);
	ck_assert_int_eq(triovit_model_unload(model, &error), -ENOENT);
	tv_assert_ok(triovit_model_list(client, &models, &count, &error), error);
	ck_assert_uint_eq(count, 0);
	ck_assert_ptr_null(models);

	tv_assert_ok(triovit_device_list(client, &devices, &count, &error), error);
	ck_assert_uint_eq(count, 1);
	device = triovit_device_info(devices[0]);
	ck_assert_str_eq(device->target, "zcu102");
	ck_assert_str_eq(device->driver, "software");
	ck_assert(*device->name && *device->state && device->onchip && device->clock_khz);
	do { /* the one that it does at its start may be under way */
		count = (size_t)-triovit_device_self_test(devices[0], &error);
	} while (count == EBUSY);
	ck_assert_uint_eq(count, 0);
	triovit_device_list_free(devices, 1);

	tv_assert_ok(triovit_daemon_get(client, &daemon, &error), error);
	ck_assert(*daemon->version && daemon->max_job_usec);
	ck_assert_uint_eq(find_limit(daemon, "MaxSessions")->used, 0);
	ck_assert_uint_eq(find_limit(daemon, "MaxSessionsPerUser")->used, 0);
	ck_assert_uint_eq(find_limit(daemon, "MaxConnections")->used, _i == OVER_PEER);
	triovit_daemon_free(daemon);
	end();
}
END_TEST

static int load_memfd(const char *name, int seals)
{
	_cleanup_close_ int fd = memfd_create("model", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	_cleanup_close_ int file = open(tv_unit_path(name), O_RDONLY | O_CLOEXEC);
	struct triovit_model *loaded = NULL;
	uint8_t buffer[4096];
	ssize_t size;
	int r;

	while ((size = read(file, buffer, sizeof(buffer))) > 0)
		ck_assert_int_eq(write(fd, buffer, (size_t)size), size);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	r = triovit_model_load_fd(client, fd, NULL, &loaded, &error);
	/* The same bytes are the same model. */
	if (!r)
		ck_assert_str_eq(triovit_model_info(loaded)->path, triovit_model_info(model)->path);
	triovit_model_free(loaded);
	return r;
}

START_TEST(refusals)
{
	const struct triovit_session_options two = { .images = 2 }, many = { .slots = 17 },
					     elsewhere = { .target = "kv260" };
	const struct triovit_run_options hurry = { .timeout_usec = 1 }, top = { .top = 65 };
	struct triovit_session *session, *none = NULL;
	struct triovit_model *loaded = NULL;
	struct triovit_result *result = NULL;
	uint8_t input[IMAGE] = { 0 };
	bool cancelled = true;
	unsigned int fds;
	int pipes[2];

	begin(_i);
	session = open_session(1, 1);
	fds = count_own("fd");
	tv_assert_ok(load_memfd(GOOD, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL),
		     error);
	tv_assert_ok(load_memfd(GOOD, 0), error);
	tv_unit_file(BAD, "no package", 10);
	ck_assert_int_eq(load_memfd(BAD, 0), -EBADMSG);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(triovit_model_load_fd(client, pipes[0], NULL, &loaded, &error), -EBADF);
	ck_assert_int_eq(triovit_session_run_memory(session, pipes[0], 0, 64, NULL, NULL, &error),
			 -EBADF);
	close(pipes[0]);
	close(pipes[1]);
	ck_assert_int_eq(triovit_session_open(model, &two, &none, &error), -ENOEXEC);
	ck_assert_int_eq(triovit_session_open(model, &elsewhere, &none, &error), -ENOEXEC);
	ck_assert_int_eq(triovit_session_open(model, &many, &none, &error), -EINVAL);
	ck_assert_int_eq(triovit_session_run(session, 1, NULL, NULL, &error), -EINVAL);
	ck_assert_int_eq(triovit_session_run(session, 0, &top, NULL, &error), -EINVAL);
	ck_assert_int_eq(triovit_session_run(session, 0, &hurry, NULL, &error), -EAGAIN);
	ck_assert_int_eq(triovit_model_run(model, input, IMAGE - 1, NULL, &result, &error),
			 -EINVAL);
	tv_assert_ok(triovit_session_cancel(session, 5, &cancelled, &error), error);
	ck_assert(!cancelled);
	ck_assert_ptr_null(none);
	ck_assert_ptr_null(loaded);
	ck_assert_ptr_null(result);
	ck_assert_uint_eq(count_own("fd"), fds);
	/* A closed one is no longer there when the next call comes. */
	triovit_session_close(session);
	for (int i = 0; i < 100; i++)
		triovit_session_close(open_session(16, 1));
	end();
}
END_TEST

static unsigned int count_mapped(void)
{
	_cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
	unsigned int count = 0;
	char line[4096];

	ck_assert_ptr_nonnull(maps);
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "memfd:") != NULL;
	return count;
}

/* Nothing is left of what was opened and closed. */
START_TEST(leaves_nothing)
{
	unsigned int before = count_own("fd");

	for (int i = 0; i < 5; i++) {
		begin(i % WAYS);
		triovit_session_close(open_session(2, 1));
		/* In whatever order. */
		if (i % 2) {
			triovit_close(client);
			triovit_model_free(model);
		} else {
			end();
		}
	}
	ck_assert_uint_eq(count_own("fd"), before);
	ck_assert_uint_eq(count_mapped(), 0);
}
END_TEST

/* Another machine's bus, by what ssh would start there. */
START_TEST(other_machine)
{
	const struct triovit_run_options options = { .top = 1, .timeout_usec = 60000000 };
	struct triovit_client *remote = NULL;
	struct triovit_session *session = NULL;
	struct triovit_model *found = NULL, *loaded = NULL;
	struct triovit_result *result = NULL;
	uint8_t input[IMAGE];
	char script[512];

	if (access("/usr/bin/systemd-stdio-bridge", X_OK) < 0)
		tv_unit_skip("other_machine", "systemd-stdio-bridge is not installed");
	snprintf(script, sizeof(script),
		 "#!/bin/sh\nexec /usr/bin/systemd-stdio-bridge --bus-path=%s\n", daemon_.address);
	chmod(tv_unit_file("ssh", script, strlen(script)), 0755);
	setenv("PATH", tv_unit_directory, 1);
	begin(OVER_PEER);
	tv_assert_ok(triovit_open(TRIOVIT_BUS_HOST, "nobody@nowhere", 0, &remote, &error), error);
	tv_assert_ok(triovit_model_find(remote, "good", &found, &error), error);
	fill(input, IMAGE, 3);
	tv_assert_ok(triovit_model_run(found, input, IMAGE, &options, &result, &error), error);
	check_output(result->output, input, 1);
	check_top(result, result->output, 1);
	triovit_result_free(result);
	ck_assert_int_eq(triovit_session_open(found, NULL, &session, &error), -EOPNOTSUPP);
	ck_assert_int_eq(triovit_model_load_path(remote, tv_unit_path(GOOD), NULL, &loaded, &error),
			 -EOPNOTSUPP);
	ck_assert_ptr_null(session);
	ck_assert_ptr_null(loaded);
	triovit_model_free(found);
	triovit_close(remote);
	end();
}
END_TEST

/* --- frames --------------------------------------------------------------------------------- */

START_TEST(frames)
{
	enum {
		WIDTH = 70,
		HEIGHT = 46,
		STRIDE = 256
	};
	static uint8_t pixels[STRIDE * HEIGHT], chroma[STRIDE * HEIGHT / 2];
	const struct tv_preprocess how = { .size = SIDE, .resize = package->resize };
	const struct tv_rgb_view rgb = { pixels, WIDTH, HEIGHT, STRIDE };
	const struct tv_nv12_view nv12 = { pixels, chroma, WIDTH,	    HEIGHT,
					   STRIDE, STRIDE, TV_MATRIX_BT709, TV_RANGE_FULL };
	struct triovit_frame frame = {
		.width = WIDTH,
		.height = HEIGHT,
		.planes = { { pixels, (HEIGHT - 1) * STRIDE + 3 * WIDTH, STRIDE },
			    { chroma, (HEIGHT / 2 - 1) * STRIDE + WIDTH, STRIDE } },
	};
	struct triovit_session *session;
	uint8_t expected[IMAGE];
	struct tv_error why = { 0 };
	uint8_t *input;

	begin(_i);
	fill(pixels, sizeof(pixels), 1);
	fill(chroma, sizeof(chroma), 2);
	session = open_session(1, 3);
	input = triovit_session_input(session, 0);
	tv_assert_ok(triovit_model_preprocess(model, &frame, input, IMAGE, &error), error);
	tv_assert_ok(tv_preprocess_rgb(&how, &rgb, expected, &why), why);
	ck_assert_mem_eq(input, expected, IMAGE);
	frame.format = TRIOVIT_FORMAT_NV12;
	frame.matrix = TRIOVIT_MATRIX_BT709;
	frame.range = TRIOVIT_RANGE_FULL;
	tv_assert_ok(triovit_model_preprocess(model, &frame, input + IMAGE, IMAGE, &error), error);
	tv_assert_ok(tv_preprocess_nv12(&how, &nv12, expected, &why), why);
	ck_assert_mem_eq(input + IMAGE, expected, IMAGE);
	/* And nothing beyond it. */
	for (size_t i = 2 * IMAGE; i < 3 * IMAGE; i++)
		ck_assert_uint_eq(input[i], 0);

	ck_assert_int_eq(triovit_model_preprocess(model, &frame, input, IMAGE - 1, &error),
			 -EINVAL);
	frame.planes[1].size--;
	ck_assert_int_eq(triovit_model_preprocess(model, &frame, input, IMAGE, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "a plane of"));
	frame.planes[1].size++;
	frame.planes[0].stride = SIZE_MAX;
	ck_assert_int_eq(triovit_model_preprocess(model, &frame, input, IMAGE, &error), -EINVAL);
	frame.planes[0].stride = STRIDE;
	frame.height = 0;
	ck_assert_int_eq(triovit_model_preprocess(model, &frame, input, IMAGE, &error), -EINVAL);
	frame.height = HEIGHT;
	frame.matrix = 2;
	ck_assert_int_eq(triovit_model_preprocess(model, &frame, input, IMAGE, &error), -EINVAL);
	frame.format = 2;
	ck_assert_int_eq(triovit_model_preprocess(model, &frame, input, IMAGE, &error), -EINVAL);
	frame.format = TRIOVIT_FORMAT_RGB24;
	frame.planes[0].data = NULL;
	ck_assert_int_eq(triovit_model_preprocess(model, &frame, input, IMAGE, &error), -EINVAL);
	triovit_session_close(session);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("libtriovit");
	TCase *tests = tcase_create("daemon");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, ways_in, 0, WAYS);
	tcase_add_loop_test(tests, several, 0, WAYS);
	tcase_add_loop_test(tests, killed, 0, WAYS);
	tcase_add_loop_test(tests, properties, 0, WAYS);
	tcase_add_loop_test(tests, refusals, 0, WAYS);
	tcase_add_test(tests, other_machine);
	tcase_add_test(tests, leaves_nothing);
	tcase_add_test(tests, frames);
	suite_add_tcase(suite, tests);
	return tv_unit_main(suite);
}
