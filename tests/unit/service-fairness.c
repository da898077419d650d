/* SPDX-License-Identifier: MIT */
/* Eight users at once, each with inputs of its own: every one gets its own results, bit for bit,
 * and the device is kept busy. */
#include <inttypes.h>

#include "tests/unit/service-abuse.h"

#define USERS  8
#define SLOTS  4
#define ROUNDS 8
#define WINDOW 12 /* jobs */

/* Of an image: a job takes much longer than what the daemon does for it. */
#define SIDE	  384
#define SIDE_SLOW 96 /* where all takes long */

static const char *good;

/* --- a user, in a process of its own
 * -------------------------------------------------------------- */

static void send_run(struct session *session, uint32_t slot, sd_bus_message **reply)
{
	*reply = NULL;
	memset(session_output(session, slot), 0xff, session->output_size);
	if (sd_bus_call_method_async(session->way->bus, NULL, TV_BUS_NAME, session->path,
				     TV_BUS_NAME ".Session", "Run", bus_on_reply, reply, "ua{sv}",
				     slot, 0) < 0)
		_exit(2);
}

static void wait_run(struct session *session, sd_bus_message **reply)
{
	while (!*reply)
		if (sd_bus_process(session->way->bus, NULL) == 0)
			sd_bus_wait(session->way->bus, UINT64_MAX);
}

static void use(sd_bus *bus, int user)
{
	struct way way = { bus, TV_BUS_NAME };
	sd_bus_message *reply = NULL, *replies[SLOTS];
	int16_t *expected[SLOTS];
	struct session session;
	const char *model;
	int fd = open(good, O_RDONLY | O_CLOEXEC);

	client_call(bus, TV_BUS_NAME, &reply, TV_BUS_PATH, "Manager", "LoadModel", "ha{sv}", fd, 0);
	if (sd_bus_message_read(reply, "o", &model) <= 0)
		_exit(2);
	client_call(bus, TV_BUS_NAME, &reply, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}",
		    model, 1, "slots", "u", SLOTS);
	session = session_of(&way, reply);
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		service_random(session_input(&session, slot), session.input_size,
			       (uint64_t)user * SLOTS + slot);
		expected[slot] = malloc(session.output_size);
		service_expected(session_input(&session, slot), 1, expected[slot]);
		/* Users that have the same results would prove little. */
		if (slot && !memcmp(expected[slot], expected[slot - 1], session.output_size))
			_exit(3);
	}
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		send_run(&session, slot, &replies[slot]);
	for (uint32_t i = 0; i < SLOTS * ROUNDS; i++) {
		uint32_t slot = i % SLOTS;

		wait_run(&session, &replies[slot]);
		if (sd_bus_message_is_method_error(replies[slot], NULL))
			_exit(4);
		if (memcmp(session_output(&session, slot), expected[slot], session.output_size))
			_exit(5);
		if (i < SLOTS * (ROUNDS - 1))
			send_run(&session, slot, &replies[slot]);
	}
	_exit(0);
}

/* --- here --------------------------------------------------------------------------------------
 */

/* Time, in ns, that the loop could have run and the machine did not let it. */
static uint64_t count_delay(void)
{
	FILE *file = fopen("/proc/thread-self/schedstat", "re");
	uint64_t ran, delay = 0;

	if (!file)
		return 0;
	ck_assert_int_eq(fscanf(file, "%" SCNu64 " %" SCNu64, &ran, &delay), 2);
	fclose(file);
	return delay;
}

/* How much of its time the device works while jobs wait, in the best window of so many of them.
 * Time in which the machine has kept the loop waiting counts as if it had: what others do there is
 * not the daemon's to answer for. */
struct share {
	uint64_t done, jobs, began, busy, delay;
	double best;
};

static void share_begin(struct share *share, const struct tv_accelerator *device)
{
	share->jobs = device->done;
	share->busy = device->busy;
	share->delay = count_delay();
	share->began = tv_manager_now();
}

static void share_look(struct share *share, const struct tv_accelerator *device)
{
	double part;

	if (device->done == share->done)
		return;
	share->done = device->done;
	if (!share->jobs || !tv_scheduler_waiting(service.manager->scheduler, device->pool))
		return share_begin(share, device);
	if (device->done - share->jobs < WINDOW)
		return;
	part = (double)(device->busy - share->busy + count_delay() - share->delay) /
	       (double)(tv_manager_now() - share->began);
	share->best = part > share->best ? part : share->best;
	share_begin(share, device);
}

START_TEST(eight_users)
{
	static const struct package_of of = { "zcu102", 1 };
	struct tv_accelerator *device = TAILQ_FIRST(&service.manager->accelerators);
	struct client clients[USERS];
	unsigned int left = USERS;
	struct share share = { 0 };
	struct tv_loaded *loaded;

	need_root("eight users at once");
	tv_package_free(service.package);
	service.package =
		package_make(&package_small, getenv("TV_SLOW") ? SIDE_SLOW : SIDE, &of, 1);
	write_package(service.package, GOOD);
	ck_assert_int_eq(chmod(tv_unit_directory, 0755), 0);
	good = strdup(tv_unit_path(GOOD));
	for (unsigned int i = 0; i < USERS; i++)
		clients[i] = client_start(use, (int)i, i + 1);
	while (left) {
		service_step();
		/* Nothing waits that the device has room for. */
		ck_assert(!tv_scheduler_waiting(service.manager->scheduler, device->pool) ||
			  device->scheduled.held == 2);
		share_look(&share, device);
		for (unsigned int i = 0; i < USERS; i++) {
			int status;

			if (!clients[i].pid || !waitpid(clients[i].pid, &status, WNOHANG))
				continue;
			ck_assert_msg(status == 0, "user %u: %d", i, WEXITSTATUS(status));
			clients[i].pid = 0;
			left--;
		}
	}
	ck_assert_uint_eq(device->done, USERS * SLOTS * ROUNDS);
	ck_assert_uint_eq(device->failed, 0);
	ck_assert_msg(share.best >= 0.97, "the device was busy %.1f %% of its time",
		      share.best * 100);
	loaded = TAILQ_FIRST(&service.manager->models);
	for (uid_t uid = 1; uid <= USERS; uid++)
		tv_loaded_unuse(loaded, uid);
	free((char *)good);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("service-fairness");
	TCase *t = tcase_create("fairness");

	tcase_add_checked_fixture(t, abuse_set_up, abuse_tear_down);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, eight_users);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
