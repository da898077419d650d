/* SPDX-License-Identifier: MIT */
/* Every limit of a user and of all together: the error names it, a user's hits nobody else, and
 * what was released can be had again. */
#include "common/file.h"
#include "tests/unit/service-abuse.h"

#define USERS	 3
#define PER_USER 3
#define TOTAL	 7 /* less than all users could have */

/* Known to the bus on every machine. */
static const uid_t users[USERS] = { 1, 2, 3 };

static struct {
	struct way way;
	char *model;
	struct session session;
	sd_bus_message *replies[PER_USER + 1];
} clients[USERS];

static void clients_open(void)
{
	for (unsigned int i = 0; i < USERS; i++)
		clients[i].way = way_open_as(users[i]);
}

/* Everything that they have is released, but for models. */
static void clients_close(void)
{
	for (unsigned int i = 0; i < USERS; i++)
		way_close(&clients[i].way);
	service_until(!used(TV_RESOURCE_SESSIONS) && !used(TV_RESOURCE_CONNECTIONS) &&
		      !used(TV_RESOURCE_JOBS) && !used(TV_RESOURCE_LOADS));
}

/* Root acts for them: all models go. */
static void unload_all(void)
{
	struct tv_loaded *loaded, *next;

	for (unsigned int i = 0; i < USERS; i++)
		for (loaded = TAILQ_FIRST(&service.manager->models); loaded; loaded = next) {
			next = TAILQ_NEXT(loaded, models);
			tv_loaded_unuse(loaded, users[i]);
		}
}

/* The same service, with limits of its own. */
static void limit(enum tv_resource resource, uint64_t user, uint64_t total)
{
	static const char *const targets[] = { "zcu102" };

	service_stop();
	service.config.limits.user[resource] = user;
	service.config.limits.total[resource] = total;
	service_start(targets, 1);
	service_settle(NULL);
	abuse_before.fds = count_entries("/proc/self/fd");
	abuse_before.threads = count_entries("/proc/self/task");
}

static void load_models(void)
{
	for (unsigned int i = 0; i < USERS; i++)
		clients[i].model = way_load_good(&clients[i].way);
}

static void forget_models(void)
{
	for (unsigned int i = 0; i < USERS; i++)
		free(clients[i].model);
}

/* --- one more of each kind -----------------------------------------------------------------------
 */

static void take_model(struct way *way, unsigned int user, unsigned int index,
		       sd_bus_message **reply)
{
	char source[32];
	const struct edit edit = { .key = "source", .value = source };

	snprintf(source, sizeof(source), "number %u", index);
	copy_with(&edit, GOOD, BAD);
	*reply = way_load(way, tv_unit_path(BAD));
}

static void take_session(struct way *way, unsigned int user, unsigned int index,
			 sd_bus_message **reply)
{
	way_send(way, reply, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", clients[user].model,
		 1, "slots", "u", 1);
}

static void take_connection(struct way *way, unsigned int user, unsigned int index,
			    sd_bus_message **reply)
{
	way_send(way, reply, TV_BUS_PATH, "Manager", "Connect", "");
}

static void take_run(struct way *way, unsigned int user, unsigned int index, sd_bus_message **reply)
{
	way_send(way, reply, clients[user].session.path, "Session", "Run", "ua{sv}", index, 0);
}

static void take_load(struct way *way, unsigned int user, unsigned int index,
		      sd_bus_message **reply)
{
	_cleanup_close_ int fd = open(tv_unit_path(GOOD), O_RDONLY | O_CLOEXEC);

	way_send(way, reply, TV_BUS_PATH, "Manager", "LoadModel", "ha{sv}", fd, 0);
}

static const struct {
	enum tv_resource resource;
	void (*take)(struct way *way, unsigned int user, unsigned int index,
		     sd_bus_message **reply);
	bool waits; /* answered when it is over */
} kinds[] = {
	{ TV_RESOURCE_MODELS, take_model, false },
	{ TV_RESOURCE_SESSIONS, take_session, false },
	{ TV_RESOURCE_JOBS, take_run, true },
	{ TV_RESOURCE_BYTES, take_session, false },
	{ TV_RESOURCE_CONNECTIONS, take_connection, false },
	{ TV_RESOURCE_LOADS, take_load, true },
};

/* What models and one session take. */
static void limit_bytes(void)
{
	uint64_t model, session;

	clients_open();
	load_models();
	model = used(TV_RESOURCE_BYTES) / USERS;
	clients[0].session = session_open(&clients[0].way, clients[0].model, 1, 1);
	session = used(TV_RESOURCE_BYTES) - USERS * model;
	session_done(&clients[0].session);
	clients_close();
	unload_all();
	forget_models();
	limit(TV_RESOURCE_BYTES, model + PER_USER * session, USERS * model + TOTAL * session);
}

static void prepare(unsigned int kind)
{
	enum tv_resource resource = kinds[kind].resource;

	clients_open();
	if (resource == TV_RESOURCE_LOADS)
		workers_block(service.manager->loaders, TOTAL);
	if (resource == TV_RESOURCE_JOBS || resource == TV_RESOURCE_SESSIONS ||
	    resource == TV_RESOURCE_BYTES)
		load_models();
	for (unsigned int i = 0; resource == TV_RESOURCE_JOBS && i < USERS; i++)
		clients[i].session =
			session_open(&clients[i].way, clients[i].model, PER_USER + 1, 1);
	if (resource == TV_RESOURCE_JOBS)
		devices_pause(true);
}

/* True if it was had. */
static bool take(unsigned int kind, unsigned int user, unsigned int index)
{
	sd_bus_message **reply = &clients[user].replies[index];
	uint64_t before = used(kinds[kind].resource);

	*reply = NULL;
	kinds[kind].take(&clients[user].way, user, index, reply);
	while (!*reply && !(kinds[kind].waits && used(kinds[kind].resource) > before)) {
		ck_assert_int_ge(sd_bus_process(clients[user].way.bus, NULL), 0);
		service_step();
	}
	return !*reply || !sd_bus_message_is_method_error(*reply, NULL);
}

/* As much as there is, for each of them. */
static void take_all(unsigned int kind)
{
	const struct tv_resource_name *name = &tv_resource_names[kinds[kind].resource];
	static const unsigned int expected[USERS] = { PER_USER, PER_USER, TOTAL - 2 * PER_USER };

	for (unsigned int user = 0; user < USERS; user++) {
		unsigned int count = 0;
		char text[64];

		while (take(kind, user, count))
			count++;
		ck_assert_uint_eq(count, expected[user]);
		snprintf(text, sizeof(text), "limit %s (",
			 count < PER_USER ? name->total : name->user);
		assert_refused(clients[user].replies[count], "LimitExceeded", text);
		clients[user].replies[count] = NULL;
	}
}

static void release(unsigned int kind)
{
	enum tv_resource resource = kinds[kind].resource;

	if (resource == TV_RESOURCE_LOADS)
		workers_unblock();
	if (resource == TV_RESOURCE_JOBS)
		devices_pause(false);
	for (unsigned int user = 0; user < USERS; user++)
		for (unsigned int i = 0; i <= PER_USER; i++) {
			sd_bus_message **reply = &clients[user].replies[i];

			if (user == USERS - 1 && i >= TOTAL - 2 * PER_USER)
				break;
			if (i < PER_USER) {
				way_wait(&clients[user].way, reply);
				ck_assert_reply(*reply);
			}
			*reply = sd_bus_message_unref(*reply);
		}
	for (unsigned int i = 0; resource == TV_RESOURCE_JOBS && i < USERS; i++)
		session_done(&clients[i].session);
	clients_close();
	if (resource == TV_RESOURCE_JOBS || resource == TV_RESOURCE_SESSIONS ||
	    resource == TV_RESOURCE_BYTES)
		forget_models();
	unload_all();
	service_until(!anything_used());
}

/* Twice, so that what was released is there again. */
START_TEST(limits)
{
	unsigned int kind = (unsigned int)_i;

	need_root("limits of several users");
	if (kinds[kind].resource == TV_RESOURCE_BYTES)
		limit_bytes();
	else
		limit(kinds[kind].resource, PER_USER, TOTAL);
	for (unsigned int round = 0; round < 2; round++) {
		prepare(kind);
		take_all(kind);
		release(kind);
	}
}
END_TEST

/* A package without alignment is there twice: as it is, and as devices can take it. */
START_TEST(bytes_of_unaligned)
{
	struct way way = way_open();
	_cleanup_free_ uint8_t *data = NULL;
	struct tv_error error = { 0 };
	size_t size, header;

	tv_assert_ok(tv_file_read(tv_unit_path(GOOD), 1u << 28, &data, &size, &error), error);
	header = (size_t)tv_get64(data);
	/* The header ends with blanks that align what follows. */
	ck_assert_mem_eq(data + 8 + header - 8, "        ", 8);
	memmove(data + header, data + 8 + header, size - 8 - header);
	tv_put64(data, header - 8);
	tv_unit_file(BAD, data, size - 8);
	sd_bus_message_unref(way_load(&way, tv_unit_path(BAD)));
	ck_assert_uint_eq(used(TV_RESOURCE_MODELS), 1);
	ck_assert_uint_gt(used(TV_RESOURCE_BYTES), size - 8);
	ck_assert_uint_eq(used(TV_RESOURCE_BYTES),
			  size - 8 + TAILQ_FIRST(&service.manager->models)->model->code.size);
	tv_loaded_unuse(TAILQ_FIRST(&service.manager->models), geteuid());
	way_close(&way);
	service_until(!anything_used());
}
END_TEST

/* Somebody opens as many sessions as it can, and then more. */
START_TEST(ten_thousand_sessions)
{
	static sd_bus_message *replies[100]; /* the bus has a limit of 128 */
	struct way way = way_open(), other = way_open();
	char *model = way_load_good(&way);
	unsigned int opened = 0;

	for (unsigned int i = 0; i < 10000; i++) {
		sd_bus_message **reply = &replies[i % TV_ARRAY_SIZE(replies)];

		if (i >= TV_ARRAY_SIZE(replies)) {
			way_wait(&way, reply);
			if (sd_bus_message_is_method_error(*reply, NULL)) {
				assert_refused(*reply, "LimitExceeded",
					       "limit MaxSessionsPerUser (64)");
			} else {
				opened++;
				sd_bus_message_unref(*reply);
			}
		}
		*reply = NULL;
		way_send(&way, reply, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", model, 1,
			 "slots", "u", 1);
	}
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(replies); i++) {
		way_wait(&way, &replies[i]);
		assert_refused(replies[i], "LimitExceeded", "limit MaxSessionsPerUser (64)");
	}
	ck_assert_uint_eq(opened, 64);
	assert_serves(&other);
	way_close(&way);
	service_until(!used(TV_RESOURCE_SESSIONS));
	way_unload(&other, model);
	assert_infers(&other);
	free(model);
	way_close(&other);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("service-limits");
	TCase *t = tcase_create("limits");

	tcase_add_checked_fixture(t, abuse_set_up, abuse_tear_down);
	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, limits, 0, TV_ARRAY_SIZE(kinds));
	tcase_add_test(t, bytes_of_unaligned);
	tcase_add_test(t, ten_thousand_sessions);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
