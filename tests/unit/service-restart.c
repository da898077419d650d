/* SPDX-License-Identifier: MIT */
/* The daemon ends under load and starts again: every call is answered, and nothing of before is
 * left. */
#include "tests/unit/service-abuse.h"

#define SLOTS 8

START_TEST(restart_under_load)
{
	static const char *const targets[] = { "zcu102" };
	struct way way = way_open();
	char *model = way_load_good(&way);
	struct session session = session_open(&way, model, SLOTS, 1);
	sd_bus_message *runs[SLOTS] = { 0 }, *load = NULL, *opened = NULL;
	_cleanup_close_ int fd = open(tv_unit_path(GOOD), O_RDONLY | O_CLOEXEC);

	/* Runs on the device and behind it, and calls that workers have. */
	devices_mute(true);
	workers_block(service.manager->workers, WORKERS);
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		way_send(&way, &runs[slot], session.path, "Session", "Run", "ua{sv}", slot, 0);
	way_send(&way, &opened, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", model, 0);
	way_send(&way, &load, TV_BUS_PATH, "Manager", "LoadModel", "ha{sv}", fd, 0);
	while (used(TV_RESOURCE_JOBS) < SLOTS + 2 && !load) {
		ck_assert_int_ge(sd_bus_process(way.bus, NULL), 0);
		service_step();
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		sem_post(&block_gate);
	service_stop();
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		while (!runs[slot])
			if (!sd_bus_process(way.bus, NULL))
				sd_bus_wait(way.bus, UINT64_MAX);
		assert_refused(runs[slot], "Cancelled", "");
	}
	while (!opened || !load)
		if (!sd_bus_process(way.bus, NULL))
			sd_bus_wait(way.bus, UINT64_MAX);
	/* These may have been done by then. */
	if (sd_bus_message_is_method_error(opened, NULL))
		assert_refused(opened, "Cancelled", "");
	else
		sd_bus_message_unref(opened);
	if (sd_bus_message_is_method_error(load, NULL))
		assert_refused(load, "Cancelled", "");
	else
		sd_bus_message_unref(load);
	service_start(targets, 1);
	assert_refused(way_call(&way, session.path, "Session", "Run", "ua{sv}", 0, 0), "NotFound",
		       "");
	assert_refused(way_call(&way, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", model, 0),
		       "NotFound", "");
	ck_assert(!anything_used());
	session_done(&session);
	assert_infers(&way);
	free(model);
	way_close(&way);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("service-restart");
	TCase *t = tcase_create("restart");

	tcase_add_checked_fixture(t, abuse_set_up, abuse_tear_down);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, restart_under_load);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
