/* SPDX-License-Identifier: MIT */
/* Devices come and go while sessions are open and runs wait and are under way: each run is
 * answered, by what it should be. */
#include "tests/unit/service-abuse.h"

#define SLOTS 8

static unsigned int count_devices(void)
{
	struct tv_accelerator *accelerator;
	unsigned int count = 0;

	TAILQ_FOREACH(accelerator, &service.manager->accelerators, accelerators)
		count++;
	return count;
}

static struct tv_accelerator *device(unsigned int index)
{
	struct tv_accelerator *accelerator = TAILQ_FIRST(&service.manager->accelerators);

	while (index--)
		accelerator = TAILQ_NEXT(accelerator, accelerators);
	return accelerator;
}

static void remove_device(struct way *way, unsigned int index)
{
	unsigned int before = count_devices();
	sd_bus_message *reply = way_call(way, device(index)->path, "Device", "Remove", "");

	ck_assert_reply(reply);
	sd_bus_message_unref(reply);
	ck_assert_uint_eq(count_devices(), before - 1);
}

/* Returns when it can be used. */
static void add_device(struct way *way, const char *target)
{
	sd_bus_message *reply = way_call(way, TV_BUS_PATH, "Manager", "AddSoftware", "s", target);
	const char *path;

	ck_assert_reply(reply);
	ck_assert_int_gt(sd_bus_message_read(reply, "o", &path), 0);
	service_until(tv_accelerator_at(service.manager, path)->state == TV_ACCELERATOR_READY);
	sd_bus_message_unref(reply);
}

/* --- many runs ----------------------------------------------------------------------------------
 */

struct runs {
	struct session session;
	sd_bus_message *replies[SLOTS];
	int16_t *expected[SLOTS];
};

static void runs_send(struct runs *runs, uint64_t seed)
{
	struct session *session = &runs->session;

	for (uint32_t i = 0; i < SLOTS; i++) {
		runs->replies[i] = NULL;
		runs->expected[i] = malloc(session->output_size);
		service_random(session_input(session, i), session->input_size, seed + i);
		service_expected(session_input(session, i), 1, runs->expected[i]);
		way_send(session->way, &runs->replies[i], session->path, "Session", "Run", "ua{sv}",
			 i, 0);
	}
}

/* Those that have failed, as they should; the others have the right result. */
static unsigned int runs_end(struct runs *runs, const char *error)
{
	unsigned int failed = 0;

	for (uint32_t i = 0; i < SLOTS; i++) {
		way_wait(runs->session.way, &runs->replies[i]);
		if (sd_bus_message_is_method_error(runs->replies[i], NULL)) {
			assert_refused(runs->replies[i], error, "");
			failed++;
		} else {
			ck_assert_mem_eq(session_output(&runs->session, i), runs->expected[i],
					 runs->session.output_size);
			sd_bus_message_unref(runs->replies[i]);
		}
		free(runs->expected[i]);
	}
	return failed;
}

static void runs_queue(struct runs *runs, uint64_t seed)
{
	runs_send(runs, seed);
	while (used(TV_RESOURCE_JOBS) < SLOTS) {
		ck_assert_int_ge(sd_bus_process(runs->session.way->bus, NULL), 0);
		service_step();
	}
}

/* --- tests --------------------------------------------------------------------------------------
 */

static int count_signal(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	unsigned int *count = userdata;
	const char *path;

	ck_assert_int_gt(sd_bus_message_read(message, "o", &path), 0);
	*count += strstr(path, "/devices/") != NULL;
	return 0;
}

/* The only one goes, with two runs on it and the others waiting; a session outlives it. */
START_TEST(last_one_goes)
{
	unsigned int added = 0, removed = 0;
	struct way way = way_open(), watcher = way_open();
	char *model = way_load_good(&way);
	struct runs runs = { .session = session_open(&way, model, SLOTS, 1) };

	ck_assert_int_ge(sd_bus_match_signal(watcher.bus, NULL, TV_BUS_NAME, TV_BUS_PATH,
					     "org.freedesktop.DBus.ObjectManager",
					     "InterfacesAdded", count_signal, &added),
			 0);
	ck_assert_int_ge(sd_bus_match_signal(watcher.bus, NULL, TV_BUS_NAME, TV_BUS_PATH,
					     "org.freedesktop.DBus.ObjectManager",
					     "InterfacesRemoved", count_signal, &removed),
			 0);
	for (uint64_t round = 0; round < 3; round++) {
		devices_mute(true);
		runs_queue(&runs, round * 100);
		ck_assert_uint_eq(devices_hold(), 2);
		remove_device(&way, 0);
		ck_assert_uint_eq(runs_end(&runs, "NoDevice"), SLOTS);
		ck_assert_uint_eq(used(TV_RESOURCE_JOBS), 0);
		assert_refused(way_call(&way, runs.session.path, "Session", "Run", "ua{sv}", 0, 0),
			       "NoDevice", "no device is there");
		assert_refused(way_call(&way, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}",
					model, 0),
			       "NoProgram", "");
		add_device(&way, "zcu102");
		session_run(&runs.session, 0, round);
		service_settle(&watcher);
		ck_assert_uint_eq(removed, round + 1);
		ck_assert_uint_eq(added, round + 1);
	}
	session_close(&runs.session);
	way_unload(&way, model);
	free(model);
	way_close(&watcher);
	way_close(&way);
}
END_TEST

/* One of several: what it was running is lost, all else is done by another. */
START_TEST(one_of_several_goes)
{
	const char *other = _i ? "zynq7020" : "zcu102";
	struct way way = way_open();
	char *model = way_load_good(&way);
	struct runs runs;

	add_device(&way, other);
	runs.session = session_open(&way, model, SLOTS, 1);
	for (unsigned int index = 0; index < 2; index++) {
		devices_mute(true);
		runs_queue(&runs, index * 100);
		ck_assert_uint_eq(devices_hold(), 4);
		remove_device(&way, index);
		devices_mute(false);
		ck_assert_uint_eq(runs_end(&runs, "NoDevice"), 1);
		add_device(&way, index ? other : "zcu102");
		/* In the order in which they were at first. */
		if (!index && _i) {
			remove_device(&way, 0);
			add_device(&way, other);
		}
	}
	remove_device(&way, 1);
	session_run(&runs.session, 0, 1);
	session_close(&runs.session);
	way_unload(&way, model);
	free(model);
	way_close(&way);
}
END_TEST

/* A session for a target alone does not run on others, and does not hold up who does. */
START_TEST(target_goes)
{
	struct way way = way_open();
	char *model = way_load_good(&way);
	struct runs bound, any;

	add_device(&way, "zynq7020");
	bound.session =
		session_of(&way, way_call(&way, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}",
					  model, 2, "slots", "u", SLOTS, "target", "s", "zcu102"));
	any.session = session_open(&way, model, SLOTS, 1);
	devices_pause(true);
	runs_queue(&bound, 0);
	runs_send(&any, 100);
	while (used(TV_RESOURCE_JOBS) < 2 * SLOTS) {
		ck_assert_int_ge(sd_bus_process(way.bus, NULL), 0);
		service_step();
	}
	remove_device(&way, 0);
	devices_pause(false);
	ck_assert_uint_eq(runs_end(&bound, "NoDevice"), SLOTS);
	ck_assert_uint_eq(runs_end(&any, "NoDevice"), 0);
	assert_refused(way_call(&way, bound.session.path, "Session", "Run", "ua{sv}", 0, 0),
		       "NoDevice", "no device is there");
	add_device(&way, "zcu102");
	session_run(&bound.session, 0, 3);
	remove_device(&way, 0);
	session_close(&bound.session);
	session_close(&any.session);
	way_unload(&way, model);
	free(model);
	way_close(&way);
}
END_TEST

/* How many results of a device nobody has taken yet. */
static unsigned int count_results(const struct tv_accelerator *accelerator)
{
	unsigned int count = 0;
	char path[64], line[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", tv_backend_fd(accelerator->backend));
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file) && !sscanf(line, "eventfd-count: %x", &count))
		;
	fclose(file);
	return count;
}

/* A session is closed with runs that its device has begun; then that goes, too. */
START_TEST(closed_session_loses_device)
{
	struct way way = way_open(), leaving = way_open();
	char *model = way_load_good(&way);
	struct runs runs = { .session = session_open(_i ? &leaving : &way, model, SLOTS, 1) };
	sd_bus_message *closed;

	devices_mute(true);
	runs_queue(&runs, 1);
	while (count_results(device(0)) < 2)
		usleep(1000);
	if (_i) {
		/* Its client leaves the bus. */
		way_close(&leaving);
		service_until(used(TV_RESOURCE_JOBS) == 2);
	} else {
		closed = way_call(&way, runs.session.path, "Session", "Close", "");
		ck_assert_reply(closed);
		sd_bus_message_unref(closed);
		way_close(&leaving);
	}
	remove_device(&way, 0);
	service_settle(&way);
	ck_assert_uint_eq(used(TV_RESOURCE_JOBS), 0);
	ck_assert_uint_eq(used(TV_RESOURCE_SESSIONS), 0);
	for (uint32_t i = 0; i < SLOTS; i++) {
		ck_assert(_i || runs.replies[i]);
		if (runs.replies[i])
			assert_refused(runs.replies[i], "Cancelled", "");
		free(runs.expected[i]);
	}
	add_device(&way, "zcu102");
	session_done(&runs.session);
	way_unload(&way, model);
	free(model);
	way_close(&way);
}
END_TEST

/* It goes while memory for a session on it is being made. */
START_TEST(goes_while_opening)
{
	struct way way = way_open();
	char *model = way_load_good(&way);
	sd_bus_message *opened = NULL, *ran = NULL, *call = NULL;
	uint8_t image[PACKAGE_SMALL_SIZE * PACKAGE_SMALL_SIZE * 3] = { 0 };
	struct session session;

	workers_block(service.manager->workers, WORKERS);
	way_send(&way, &opened, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", model, 0);
	ck_assert_int_ge(sd_bus_message_new_method_call(way.bus, &call, TV_BUS_NAME, model,
							TV_BUS_NAME ".Model", "Run"),
			 0);
	ck_assert_int_ge(sd_bus_message_append_array(call, 'y', image, sizeof(image)), 0);
	ck_assert_int_ge(sd_bus_message_append(call, "a{sv}", 0), 0);
	ck_assert_int_ge(sd_bus_call_async(way.bus, NULL, call, bus_on_reply, &ran, 0), 0);
	sd_bus_message_unref(call);
	service_until(used(TV_RESOURCE_JOBS) == 2);
	remove_device(&way, 0);
	workers_unblock();
	way_wait(&way, &ran);
	assert_refused(ran, "NoDevice", "no device is there");
	way_wait(&way, &opened);
	session = session_of(&way, opened);
	assert_refused(way_call(&way, session.path, "Session", "Run", "ua{sv}", 0, 0), "NoDevice",
		       "");
	add_device(&way, "zcu102");
	session_run(&session, 1, 1);
	session_close(&session);
	way_unload(&way, model);
	free(model);
	way_close(&way);
}
END_TEST

static void assert_self_test(sd_bus_message *reply, int expected, const char *text)
{
	const char *said;
	int ok;

	ck_assert_reply(reply);
	ck_assert_int_gt(sd_bus_message_read(reply, "bs", &ok, &said), 0);
	ck_assert_int_eq(ok, expected);
	ck_assert_msg(strstr(said, text), "%s", said);
	sd_bus_message_unref(reply);
}

/* It goes in the middle of its self-test; a second one at a time is refused. */
START_TEST(goes_while_tested)
{
	struct way way = way_open();
	sd_bus_message *reply = NULL;

	assert_self_test(way_call(&way, device(0)->path, "Device", "SelfTest", ""), true, "right");
	devices_mute(true);
	way_send(&way, &reply, device(0)->path, "Device", "SelfTest", "");
	service_until(device(0)->submitted);
	assert_refused(way_call(&way, device(0)->path, "Device", "SelfTest", ""), "Busy", "tested");
	remove_device(&way, 0);
	way_wait(&way, &reply);
	assert_self_test(reply, false, "gone away");
	add_device(&way, "zcu102");
	assert_self_test(way_call(&way, device(0)->path, "Device", "SelfTest", ""), true, "right");
	assert_infers(&way);
	way_close(&way);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("service-hotplug");
	TCase *t = tcase_create("hotplug");

	tcase_add_checked_fixture(t, abuse_set_up, abuse_tear_down);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, last_one_goes);
	tcase_add_loop_test(t, one_of_several_goes, 0, 2);
	tcase_add_test(t, target_goes);
	tcase_add_loop_test(t, closed_session_loses_device, 0, 2);
	tcase_add_test(t, goes_while_opening);
	tcase_add_test(t, goes_while_tested);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
