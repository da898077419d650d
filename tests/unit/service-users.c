/* SPDX-License-Identifier: MIT */
/* Who may do what: other clients, other users, who was handed a connection, and what polkit says.
 */
#include "tests/unit/authority.h"

#define INPUT_SIZE (PACKAGE_SMALL_SIZE * PACKAGE_SMALL_SIZE * 3)

/* The bus wants to know them: daemon and bin are on every machine. */
static const uid_t users[] = { 1, 2 };

static sd_bus_message *run_inline(struct way *way, const char *model)
{
	uint8_t input[INPUT_SIZE] = { 0 };
	sd_bus_message *message = NULL, *reply = NULL;

	ck_assert_int_ge(sd_bus_message_new_method_call(way->bus, &message, way->destination, model,
							TV_BUS_NAME ".Model", "Run"),
			 0);
	ck_assert_int_ge(sd_bus_message_append_array(message, 'y', input, sizeof(input)), 0);
	ck_assert_int_ge(sd_bus_message_append(message, "a{sv}", 0), 0);
	ck_assert_int_ge(sd_bus_call_async(way->bus, NULL, message, bus_on_reply, &reply, 0), 0);
	sd_bus_message_unref(message);
	way_wait(way, &reply);
	return reply;
}

static void assert_ok(sd_bus_message *reply)
{
	ck_assert_reply(reply);
	sd_bus_message_unref(reply);
}

static sd_bus_message *way_call_standard(struct way *way, const char *path, const char *interface,
					 const char *method, const char *argument)
{
	sd_bus_message *reply = NULL;

	ck_assert_int_ge(sd_bus_call_method_async(way->bus, NULL, way->destination, path, interface,
						  method, bus_on_reply, &reply, argument ? "s" : "",
						  argument),
			 0);
	way_wait(way, &reply);
	return reply;
}

/* Whether a path is in what the daemon tells of all its objects. */
static bool is_listed(struct way *way, const char *path)
{
	sd_bus_message *reply = way_call_standard(
		way, TV_BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", NULL);
	bool found = false;
	const char *other;

	ck_assert_reply(reply);
	ck_assert_int_gt(sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}"), 0);
	while (sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}") > 0) {
		ck_assert_int_gt(sd_bus_message_read(reply, "o", &other), 0);
		ck_assert_int_gt(sd_bus_message_skip(reply, "a{sa{sv}}"), 0);
		ck_assert_int_ge(sd_bus_message_exit_container(reply), 0);
		found |= !strcmp(other, path);
	}
	sd_bus_message_unref(reply);
	return found;
}

static void assert_no_session(struct way *way, const char *session)
{
	int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert(!is_listed(way, session));
	assert_refused(way_call(way, session, "Session", "Run", "ua{sv}", 0, 0), "NotFound", "");
	assert_refused(way_call(way, session, "Session", "RunMemory", "htta{sv}", fd, (uint64_t)0,
				(uint64_t)0, 0),
		       "NotFound", "");
	assert_refused(way_call(way, session, "Session", "Cancel", "t", (uint64_t)1), "NotFound",
		       "");
	assert_refused(way_call(way, session, "Session", "Close", ""), "NotFound", "");
	assert_refused(way_call_standard(way, session, "org.freedesktop.DBus.Properties", "GetAll",
					 TV_BUS_NAME ".Session"),
		       "NotFound", "");
	close(fd);
}

static void assert_no_model(struct way *way, const char *model)
{
	ck_assert(!is_listed(way, model));
	assert_refused(way_call(way, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", model, 0),
		       "NotFound", "not for you");
	assert_refused(run_inline(way, model), "NotFound", "");
	assert_refused(way_call(way, model, "Model", "Unload", ""), "NotFound", "");
	assert_refused(way_call(way, model, "Model", "Publish", "b", 1), "NotFound", "");
	assert_refused(way_call_standard(way, model, "org.freedesktop.DBus.Properties", "GetAll",
					 TV_BUS_NAME ".Model"),
		       "NotFound", "");
}

/* A session is its client's alone; a model is for all clients of its user. */
START_TEST(other_client)
{
	struct way way = way_open(), other = way_open();
	char *model = way_load_good(&way);
	struct session session = session_open(&way, model, 1, 1);

	assert_no_session(&other, session.path);
	ck_assert(is_listed(&way, session.path) && is_listed(&other, model));
	assert_ok(run_inline(&other, model));
	session_run(&session, 0, 1);
	session_close(&session);
	way_unload(&other, model);
	assert_no_model(&way, model);
	free(model);
	way_close(&other);
	way_close(&way);
}
END_TEST

static void set_public(struct way *root, const char *model, int public)
{
	assert_ok(way_call(root, model, "Model", "Publish", "b", public));
}

START_TEST(other_user)
{
	struct way way, other, root;
	struct session session;
	char *model, *again;

	need_root("other users");
	way = way_open_as(users[0]);
	other = way_open_as(users[1]);
	root = way_open();
	model = way_load_good(&way);
	session = session_open(&way, model, 1, 1);
	assert_no_model(&other, model);
	assert_no_session(&other, session.path);
	/* Root is a user like others here. */
	assert_no_model(&root, model);
	assert_no_session(&root, session.path);
	/* The same bytes are the same model, and each of them counts. */
	again = way_load_good(&other);
	ck_assert_str_eq(again, model);
	ck_assert_uint_eq(used(TV_RESOURCE_MODELS), 2);
	assert_ok(run_inline(&other, model));
	assert_no_session(&other, session.path);
	way_unload(&other, model);
	assert_no_model(&other, model);
	session_run(&session, 0, 1);
	free(again);
	/* Published: for all, until it is not any more. */
	again = way_load_good(&root);
	set_public(&root, model, true);
	way_unload(&root, model);
	way_unload(&way, model);
	session_close(&session);
	/* What nobody has loaded any more is gone, published or not. */
	assert_no_model(&other, model);
	free(again);
	free(model);
	model = way_load_good(&root);
	set_public(&root, model, true);
	ck_assert(is_listed(&other, model));
	session = session_open(&other, model, 1, 1);
	set_public(&root, model, false);
	assert_no_model(&other, model);
	way_unload(&root, model);
	/* It stays for who has a session on it. */
	session_run(&session, 0, 2);
	session_close(&session);
	assert_no_model(&root, model);
	free(model);
	way_close(&root);
	way_close(&other);
	way_close(&way);
}
END_TEST

/* --- a connection that is passed on
 * --------------------------------------------------------------- */

static struct {
	const char *good, *claimed;
} passed;

/* Its error, or "" for none. */
static const char *call_claiming(sd_bus *bus, const char *path, const char *interface,
				 const char *method, const char *argument)
{
	sd_bus_message *message = NULL;
	static sd_bus_error error;

	error = SD_BUS_ERROR_NULL;
	if (sd_bus_message_new_method_call(bus, &message, NULL, path, interface, method) < 0 ||
	    /* Somebody else, it says. */
	    sd_bus_message_set_sender(message, passed.claimed) < 0 ||
	    (argument && sd_bus_message_append(message, "s", argument) < 0))
		_exit(1);
	return sd_bus_call(bus, message, 0, &error, NULL) < 0 ? error.name : "";
}

/* Another user, in another process: 10 and more is what went wrong. */
static void use_passed(sd_bus *bus, int argument)
{
	sd_bus *own = way_of_fd(client_keeps).bus;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	const char *model;
	int fd = open(passed.good, O_RDONLY | O_CLOEXEC);

	client_call(own, NULL, &reply, TV_BUS_PATH, "Manager", "LoadModel", "ha{sv}", fd, 0);
	if (sd_bus_message_read(reply, "o", &model) <= 0)
		_exit(10);
	client_call(own, NULL, NULL, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", model, 0);
	if (strcmp(call_claiming(own, TV_BUS_PATH, TV_BUS_NAME ".Manager", "AddSoftware", "zcu102"),
		   TV_BUS_ERROR "UseBus"))
		_exit(11);
	if (strcmp(call_claiming(own, TV_BUS_PATH, TV_BUS_NAME ".Manager", "Connect", NULL),
		   TV_BUS_ERROR "UseBus"))
		_exit(12);
	/* In its own name it has nothing of that. */
	if (sd_bus_call_method(bus, TV_BUS_NAME, TV_BUS_PATH, TV_BUS_NAME ".Manager", "OpenSession",
			       &error, NULL, "oa{sv}", model, 0) >= 0 ||
	    strcmp(error.name, TV_BUS_ERROR "NotFound"))
		_exit(13);
	/* All is well so far; it is over when the first one goes. */
	client_call(own, NULL, NULL, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", model, 0);
	while (sd_bus_wait(own, UINT64_MAX) >= 0 && sd_bus_process(own, NULL) >= 0)
		;
	_exit(0);
}

/* It stays who it was, with its quotas, and goes with it. */
START_TEST(passed_on)
{
	struct tv_quota *quota = service.manager->quota;
	struct way first, root;
	struct client client;
	const char *name;
	int status;
	char *model;

	need_root("a connection that is passed on");
	first = way_open_as(users[0]);
	root = way_open();
	client_keeps = way_connect_fd(&first);
	ck_assert_int_eq(chmod(tv_unit_directory, 0755), 0);
	passed.good = strdup(tv_unit_path(GOOD));
	ck_assert_int_ge(sd_bus_get_unique_name(root.bus, &name), 0);
	passed.claimed = name;
	client = client_start(use_passed, 0, users[1]);
	service_until(used(TV_RESOURCE_SESSIONS) == 2 && !used(TV_RESOURCE_JOBS));
	ck_assert_uint_eq(tv_quota_used(quota, users[0], TV_RESOURCE_SESSIONS), 2);
	ck_assert_uint_eq(tv_quota_used(quota, users[0], TV_RESOURCE_MODELS), 1);
	ck_assert_uint_eq(tv_quota_used(quota, users[0], TV_RESOURCE_CONNECTIONS), 1);
	for (unsigned int i = 0; i < TV_RESOURCE_COUNT; i++)
		ck_assert_uint_eq(tv_quota_used(quota, users[1], (enum tv_resource)i), 0);
	/* This process has that end too, so that it is not by closing that the connection ends. */
	way_close(&first);
	service_until(!used(TV_RESOURCE_CONNECTIONS) && !used(TV_RESOURCE_SESSIONS));
	ck_assert(!service.manager->peers);
	ck_assert_int_eq(waitpid(client.pid, &status, 0), client.pid);
	ck_assert_int_eq(status, 0);
	/* Nobody is there to read what would still be written. */
	ck_assert_int_lt(send(client_keeps, "x", 1, MSG_NOSIGNAL), 0);
	close(client_keeps);
	free((char *)passed.good);
	first = way_open_as(users[0]);
	model = way_load_good(&first);
	way_unload(&first, model);
	free(model);
	way_close(&first);
	way_close(&root);
}
END_TEST

/* --- polkit --------------------------------------------------------------------------------------
 */

enum question {
	ADD,
	REMOVE,
	SELF_TEST,
	PUBLISH,
	HIGH,
	QUESTIONS,
};

static const char *const actions[] = {
	[ADD] = "org.triovit.accelerator1.manage",
	[REMOVE] = "org.triovit.accelerator1.manage",
	[SELF_TEST] = "org.triovit.accelerator1.manage",
	[PUBLISH] = "org.triovit.accelerator1.publish-model",
	[HIGH] = "org.triovit.accelerator1.high-priority",
};

static const char *device_path(void)
{
	return TAILQ_FIRST(&service.manager->accelerators)->path;
}

static void ask(struct way *way, enum question question, const char *model, bool interactive,
		sd_bus_message **reply)
{
	static const struct {
		const char *interface, *method;
	} methods[] = {
		[ADD] = { "Manager", "AddSoftware" },	[REMOVE] = { "Device", "Remove" },
		[SELF_TEST] = { "Device", "SelfTest" }, [PUBLISH] = { "Model", "Publish" },
		[HIGH] = { "Manager", "OpenSession" },
	};
	const char *path = question == ADD || question == HIGH ? TV_BUS_PATH :
			   question == PUBLISH		       ? model :
								 device_path();
	sd_bus_message *message = NULL;
	char interface[64];

	snprintf(interface, sizeof(interface), TV_BUS_NAME ".%s", methods[question].interface);
	ck_assert_int_ge(sd_bus_message_new_method_call(way->bus, &message, way->destination, path,
							interface, methods[question].method),
			 0);
	ck_assert_int_ge(sd_bus_message_set_allow_interactive_authorization(message, interactive),
			 0);
	if (question == ADD)
		ck_assert_int_ge(sd_bus_message_append(message, "s", "zynq7020"), 0);
	if (question == PUBLISH)
		ck_assert_int_ge(sd_bus_message_append(message, "b", 1), 0);
	if (question == HIGH)
		ck_assert_int_ge(sd_bus_message_append(message, "oa{sv}", model, 1, "priority", "s",
						       "high"),
				 0);
	*reply = NULL;
	ck_assert_int_ge(sd_bus_call_async(way->bus, NULL, message, bus_on_reply, reply, 0), 0);
	sd_bus_message_unref(message);
}

static sd_bus_message *ask_and_wait(struct way *way, enum question question, const char *model,
				    bool interactive)
{
	sd_bus_message *reply;

	ask(way, question, model, interactive, &reply);
	way_wait(way, &reply);
	return reply;
}

/* What it was about, done or not. */
static bool is_done(enum question question, sd_bus_message *reply)
{
	const struct tv_loaded *loaded = TAILQ_FIRST(&service.manager->models);
	struct tv_session *session = TAILQ_FIRST(&service.manager->sessions);
	const struct tv_accelerator *first = TAILQ_FIRST(&service.manager->accelerators);
	int ok;

	switch (question) {
	case ADD:
		return TAILQ_NEXT(first, accelerators) != NULL;
	case REMOVE:
		return !first;
	case SELF_TEST:
		return sd_bus_message_read(reply, "b", &ok) > 0 && ok;
	case PUBLISH:
		return loaded->public;
	default:
		return session && session->scheduled.priority == TV_PRIORITY_HIGH;
	}
}

START_TEST(polkit)
{
	enum question question = (enum question)_i;
	struct way way, other;
	const char *name;
	sd_bus_message *reply;
	char *model;

	need_root("what polkit is asked");
	way = way_open_as(users[0]);
	other = way_open_as(users[1]);
	ck_assert_int_ge(sd_bus_get_unique_name(way.bus, &name), 0);
	model = way_load_good(&way);
	/* Nobody is there who could be asked. */
	tv_log_set_level(LOG_ERR);
	assert_refused(ask_and_wait(&way, question, model, false), SD_BUS_ERROR_ACCESS_DENIED,
		       "does not allow");
	ck_assert(!is_done(question, NULL));
	authority_start();
	for (int interactive = 0; interactive < 2; interactive++) {
		authority.allowed = authority.challenge = 0;
		assert_refused(ask_and_wait(&way, question, model, interactive),
			       SD_BUS_ERROR_ACCESS_DENIED, "does not allow");
		ck_assert_str_eq(authority.action, actions[question]);
		ck_assert_str_eq(authority.subject, name);
		ck_assert_uint_eq(authority.flags, interactive);
		authority.challenge = true;
		assert_refused(ask_and_wait(&way, question, model, interactive),
			       SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, "a person");
		ck_assert(!is_done(question, NULL));
	}
	/* It thinks, of which nobody notices anything; then it is done. */
	authority.thinks = true;
	authority.allowed = 1;
	ask(&way, question, model, false, &reply);
	service_until((sd_bus_process(way.bus, NULL), authority.count));
	assert_serves(&other);
	assert_serves(&way);
	ck_assert(!reply && !is_done(question, NULL));
	authority_answer();
	way_wait(&way, &reply);
	ck_assert_reply(reply);
	ck_assert(is_done(question, reply));
	sd_bus_message_unref(reply);
	ck_assert_uint_eq(authority.asked, 5);
	authority_stop();
	if (question == ADD || question == REMOVE) {
		struct tv_accelerator *first = TAILQ_FIRST(&service.manager->accelerators);

		if (first)
			tv_accelerator_remove(first);
		else
			ck_assert_int_eq(tv_accelerator_add_software(service.manager,
								     tv_target_by_name("zcu102"),
								     NULL, &(struct tv_error){ 0 }),
					 0);
	}
	way_unload(&way, model);
	free(model);
	way_close(&other);
	way_close(&way);
}
END_TEST

/* By when it is allowed there is nothing any more that it could be done to. */
START_TEST(too_late)
{
	struct way way, root;
	sd_bus_message *removed, *published, *opened;
	char *model;

	need_root("what polkit allows too late");
	way = way_open_as(users[0]);
	root = way_open();
	model = way_load_good(&way);
	authority_start();
	authority.thinks = true;
	ask(&way, REMOVE, model, false, &removed);
	ask(&way, PUBLISH, model, false, &published);
	ask(&way, HIGH, model, false, &opened);
	service_until((sd_bus_process(way.bus, NULL), authority.count == 3));
	tv_accelerator_remove(TAILQ_FIRST(&service.manager->accelerators));
	way_unload(&way, model);
	authority.thinks = false;
	authority.allowed = true;
	while (authority.count)
		authority_answer();
	way_wait(&way, &removed);
	assert_refused(removed, "NotFound", "gone away");
	way_wait(&way, &published);
	assert_refused(published, "NotFound", "");
	way_wait(&way, &opened);
	assert_refused(opened, "NotFound", "");
	ck_assert_int_eq(tv_accelerator_add_software(service.manager, tv_target_by_name("zcu102"),
						     NULL, &(struct tv_error){ 0 }),
			 0);
	authority_stop();
	free(model);
	way_close(&root);
	way_close(&way);
}
END_TEST

/* Root is not asked about. */
START_TEST(root_may)
{
	struct way way = way_open();

	ck_assert_int_eq(geteuid(), getuid());
	assert_ok(way_call(&way, device_path(), "Device", "SelfTest", ""));
	way_close(&way);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("service-users");
	TCase *t = tcase_create("users");

	tcase_add_checked_fixture(t, abuse_set_up, abuse_tear_down);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, other_client);
	tcase_add_test(t, other_user);
	tcase_add_test(t, passed_on);
	tcase_add_loop_test(t, polkit, 0, QUESTIONS);
	tcase_add_test(t, too_late);
	tcase_add_test(t, root_may);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
