/* SPDX-License-Identifier: MIT */
/* Messages that are made to do harm: arguments of all kinds, models that are none, clients that do
 * not read. */
#include "tests/unit/service-abuse.h"

/* --- arguments -----------------------------------------------------------------------------------
 */

/* The call, whatever its arguments are. */
#define way_send_as(way, reply, path, interface, method, append)                                   \
	({                                                                                         \
		sd_bus_message *_message = NULL;                                                   \
                                                                                                   \
		ck_assert_int_ge(                                                                  \
			sd_bus_message_new_method_call((way)->bus, &_message, (way)->destination,  \
						       path, TV_BUS_NAME "." interface, method),   \
			0);                                                                        \
		append(_message);                                                                  \
		*(reply) = NULL;                                                                   \
		ck_assert_int_ge(                                                                  \
			sd_bus_call_async((way)->bus, NULL, _message, bus_on_reply, reply, 0), 0); \
		sd_bus_message_unref(_message);                                                    \
	})

/* Variants in variants, as deep as D-Bus lets them be. */
static void append_deep(sd_bus_message *message)
{
	ck_assert_int_ge(sd_bus_message_append(message, "s", "deep"), 0);
	for (unsigned int i = 0; i < 60; i++)
		ck_assert_int_ge(sd_bus_message_open_container(message, 'v', "v"), 0);
	ck_assert_int_ge(sd_bus_message_append(message, "v", "u", 1), 0);
	for (unsigned int i = 0; i < 60; i++)
		ck_assert_int_ge(sd_bus_message_close_container(message), 0);
}

static const char *current_model;

static void append_deep_option(sd_bus_message *message)
{
	ck_assert_int_ge(sd_bus_message_append(message, "o", current_model), 0);
	ck_assert_int_ge(sd_bus_message_open_container(message, 'a', "{sv}"), 0);
	ck_assert_int_ge(sd_bus_message_open_container(message, 'e', "sv"), 0);
	append_deep(message);
	ck_assert_int_ge(sd_bus_message_close_container(message), 0);
	ck_assert_int_ge(sd_bus_message_close_container(message), 0);
}

/* An option that there is, of a type that is as long as types can be. */
static void append_long_type(sd_bus_message *message)
{
	char type[256];

	memset(type, 'a', 31);
	strcpy(type + 31, "u");
	ck_assert_int_ge(sd_bus_message_append(message, "o", current_model), 0);
	ck_assert_int_ge(sd_bus_message_open_container(message, 'a', "{sv}"), 0);
	ck_assert_int_ge(sd_bus_message_open_container(message, 'e', "sv"), 0);
	ck_assert_int_ge(sd_bus_message_append(message, "s", "slots"), 0);
	ck_assert_int_ge(sd_bus_message_open_container(message, 'v', type), 0);
	ck_assert_int_ge(sd_bus_message_open_container(message, 'a', type + 1), 0);
	ck_assert_int_ge(sd_bus_message_close_container(message), 0);
	ck_assert_int_ge(sd_bus_message_close_container(message), 0);
	ck_assert_int_ge(sd_bus_message_close_container(message), 0);
	ck_assert_int_ge(sd_bus_message_close_container(message), 0);
}

/* As many as fit; the last one is none. */
static void append_many_options(sd_bus_message *message)
{
	ck_assert_int_ge(sd_bus_message_append(message, "o", current_model), 0);
	ck_assert_int_ge(sd_bus_message_open_container(message, 'a', "{sv}"), 0);
	for (unsigned int i = 0; i < 50000; i++)
		ck_assert_int_ge(sd_bus_message_append(message, "{sv}", "slots", "u", 1), 0);
	ck_assert_int_ge(sd_bus_message_append(message, "{sv}", "slot", "u", 1), 0);
	ck_assert_int_ge(sd_bus_message_close_container(message), 0);
}

static void append_bytes(sd_bus_message *message, size_t size)
{
	uint8_t *bytes = calloc(1, size + 1);

	ck_assert_int_ge(sd_bus_message_append_array(message, 'y', bytes, size), 0);
	ck_assert_int_ge(sd_bus_message_append(message, "a{sv}", 0), 0);
	free(bytes);
}

static void append_huge(sd_bus_message *message)
{
	append_bytes(message, 20 << 20);
}

static void append_nothing(sd_bus_message *message)
{
	append_bytes(message, 0);
}

static const struct {
	const char *option, *type;
	uint64_t number;
	const char *text;
} wrong_options[] = {
	{ "slots", "u", 0, "option 'slots' is 0, expected 1 to 16" },
	{ "slots", "u", 17, "expected 1 to 16" },
	{ "slots", "u", UINT32_MAX, "expected 1 to 16" },
	{ "slots", "t", 1, "has type 't', expected 'u'" },
	{ "images", "u", 0, "expected 1 to" },
	{ "images", "u", 1u << 31, "expected 1 to" },
	{ "priority", "u", 1, "has type 'u', expected 's'" },
	{ "target", "u", 1, "has type 'u', expected 's'" },
	{ "Slots", "u", 1, "no option is called 'Slots'" },
	{ "", "u", 1, "no option is called ''" },
};

static void wrong_arguments_on(struct way *way, const char *model)
{
	static const struct {
		void (*append)(sd_bus_message *message);
		const char *text;
	} odd[] = {
		{ append_deep_option, "no option is called 'deep'" },
		{ append_long_type, "option 'slots' has type 'aaaa" },
		{ append_many_options, "no option is called 'slot'" },
	};
	struct session session = session_open(way, model, 2, 1);
	sd_bus_message *reply;
	char *huge = malloc((4 << 20) + 1);

	current_model = model;
	memset(huge, 'x', 4 << 20);
	huge[4 << 20] = '\0';
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(wrong_options); i++)
		if (*wrong_options[i].type == 't')
			assert_refused(way_call(way, TV_BUS_PATH, "Manager", "OpenSession",
						"oa{sv}", model, 1, wrong_options[i].option, "t",
						wrong_options[i].number),
				       "InvalidArgument", wrong_options[i].text);
		else
			assert_refused(way_call(way, TV_BUS_PATH, "Manager", "OpenSession",
						"oa{sv}", model, 1, wrong_options[i].option, "u",
						(uint32_t)wrong_options[i].number),
				       "InvalidArgument", wrong_options[i].text);
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(odd); i++) {
		way_send_as(way, &reply, TV_BUS_PATH, "Manager", "OpenSession", odd[i].append);
		way_wait(way, &reply);
		assert_refused(reply, "InvalidArgument", odd[i].text);
	}
	assert_refused(way_call(way, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", model, 1,
				"priority", "s", huge),
		       "InvalidArgument", "expected low, normal or high");
	assert_refused(way_call(way, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", model, 1,
				"target", "s", huge),
		       "InvalidArgument", "there is no target");
	assert_refused(way_call(way, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", model, 1,
				huge, "u", 1),
		       "InvalidArgument", "no option is called");
	huge[60000] = '\0';
	memcpy(huge, TV_BUS_PATH "/models/", strlen(TV_BUS_PATH "/models/"));
	assert_refused(way_call(way, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", huge, 0),
		       "NotFound", "there is no model");
	assert_refused(way_call(way, session.path, "Session", "Run", "ua{sv}", 2, 0),
		       "InvalidArgument", "slot 2, expected 0 to 1");
	assert_refused(way_call(way, session.path, "Session", "Run", "ua{sv}", UINT32_MAX, 0),
		       "InvalidArgument", "expected 0 to 1");
	assert_refused(way_call(way, session.path, "Session", "Run", "ua{sv}", 0, 1, "top", "u",
				65),
		       "InvalidArgument", "expected 1 to 64");
	assert_refused(way_call(way, session.path, "Session", "Run", "ua{sv}", 0, 1, "timeout-usec",
				"t", UINT64_C(0)),
		       "InvalidArgument", "expected 1 to");
	assert_refused(way_call(way, session.path, "Session", "Run", "ua{sv}", 0, 1, "timeout-usec",
				"t", UINT64_C(1)),
		       "DeadlineImpossible", "");
	way_send_as(way, &reply, session.path, "Session", "Run", append_deep);
	way_wait(way, &reply);
	assert_refused(reply, SD_BUS_ERROR_INVALID_ARGS, "");
	assert_refused(way_call(way, session.path, "Session", "Nonsense", ""),
		       SD_BUS_ERROR_UNKNOWN_METHOD, "");
	assert_refused(way_call(way, "/", "Manager", "Connect", ""), SD_BUS_ERROR_UNKNOWN_OBJECT,
		       "");
	way_send_as(way, &reply, model, "Model", "Run", append_huge);
	way_wait(way, &reply);
	assert_refused(reply, "InvalidArgument", "the input has 20971520 bytes, expected 3072");
	way_send_as(way, &reply, model, "Model", "Run", append_nothing);
	way_wait(way, &reply);
	assert_refused(reply, "InvalidArgument", "the input has 0 bytes, expected 3072");
	/* What no time can be is no deadline. */
	reply = way_call(way, session.path, "Session", "Run", "ua{sv}", 0, 1, "timeout-usec", "t",
			 UINT64_MAX);
	ck_assert_reply(reply);
	sd_bus_message_unref(reply);
	session_run(&session, 1, 1);
	session_close(&session);
	free(huge);
}

START_TEST(wrong_arguments)
{
	struct way bus = way_open(), own = way_connect(&bus);
	char *model = way_load_good(&bus);

	wrong_arguments_on(_i ? &own : &bus, model);
	way_unload(&bus, model);
	free(model);
	sd_bus_close_unref(own.bus);
	way_close(&bus);
}
END_TEST

/* --- models --------------------------------------------------------------------------------------
 */

static size_t read_good(uint8_t **ret)
{
	FILE *file = fopen(tv_unit_path(GOOD), "re");
	size_t size;

	ck_assert_ptr_nonnull(file);
	fseek(file, 0, SEEK_END);
	size = (size_t)ftell(file);
	rewind(file);
	*ret = malloc(size);
	ck_assert_uint_eq(fread(*ret, 1, size, file), size);
	fclose(file);
	return size;
}

/* What a broken one does when it runs is a fault at most. */
static void try_model(struct way *way, sd_bus_message *loaded)
{
	const sd_bus_error *error = sd_bus_message_get_error(loaded);
	const char *path;
	sd_bus_message *opened, *reply;
	struct session session;
	char *model;

	if (error) {
		ck_assert_msg(!strcmp(error->name, TV_BUS_ERROR "BadModel") ||
				      !strcmp(error->name, TV_BUS_ERROR "NoProgram") ||
				      !strcmp(error->name, TV_BUS_ERROR "JobTooLong"),
			      "%s: %s", error->name, error->message);
		sd_bus_message_unref(loaded);
		return;
	}
	ck_assert_int_gt(sd_bus_message_read(loaded, "o", &path), 0);
	model = strdup(path);
	sd_bus_message_unref(loaded);
	opened = way_call(way, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}", model, 0);
	error = sd_bus_message_get_error(opened);
	if (error) {
		ck_assert_msg(!strcmp(error->name, TV_BUS_ERROR "NoProgram") ||
				      !strcmp(error->name, TV_BUS_ERROR "LimitExceeded"),
			      "%s: %s", error->name, error->message);
		sd_bus_message_unref(opened);
	} else {
		session = session_of(way, opened);
		reply = way_call(way, session.path, "Session", "Run", "ua{sv}", 0, 0);
		ck_assert(!sd_bus_message_is_method_error(reply, NULL) ||
			  sd_bus_message_is_method_error(reply, TV_BUS_ERROR "Fault"));
		sd_bus_message_unref(reply);
		session_close(&session);
	}
	way_unload(way, model);
	free(model);
}

/* A good one with a byte or a few changed, most of them where it says what it is, or cut off. */
START_TEST(garbage_models)
{
	struct way way = way_open(), other = way_open_as(geteuid() ? geteuid() : STRANGER);
	uint8_t *good, *bad;
	size_t size = read_good(&good), cut;
	uint64_t state = (uint64_t)_i;

	bad = malloc(size);
	for (unsigned int round = 0; round < 60; round++) {
		memcpy(bad, good, size);
		cut = round % 8 ? size : tv_unit_random(&state) % size;
		for (uint64_t i = tv_unit_random(&state) % 4; i < 4; i++)
			bad[tv_unit_random(&state) % (round % 2 ? size : 4096)] =
				(uint8_t)tv_unit_random(&state);
		tv_unit_file(BAD, bad, cut);
		try_model(&way, way_load(&way, tv_unit_path(BAD)));
	}
	free(bad);
	free(good);
	assert_infers(&other);
	way_close(&other);
	way_close(&way);
}
END_TEST

/* Longer on the device than one may take. */
START_TEST(long_model)
{
	static const char *const targets[] = { "zcu102" };
	struct way way;

	service_stop();
	service.config.max_job_time = 2000;
	service_start(targets, 1);
	service_settle(NULL);
	way = way_open();
	assert_refused(way_load(&way, tv_unit_path(GOOD)), "JobTooLong",
		       "limit MaxJobTime is 2 us");
	service_settle(&way);
	ck_assert(!anything_used());
	way_close(&way);
}
END_TEST

/* --- who does not read ---------------------------------------------------------------------------
 */

/* Sends and never reads, on the bus or past it, until there is no sending any more. */
static void never_read(sd_bus *bus, int past)
{
	sd_bus_message *reply = NULL, *message;
	uint64_t cookie;
	int fd;

	if (past) {
		client_call(bus, TV_BUS_NAME, &reply, TV_BUS_PATH, "Manager", "Connect", "");
		if (sd_bus_message_read(reply, "h", &fd) < 0)
			_exit(1);
		bus = way_of_fd(fcntl(fd, F_DUPFD_CLOEXEC, 3)).bus;
	}
	for (unsigned int i = 0; past || i < 5000; i++) {
		message = NULL;
		if (sd_bus_message_new_method_call(
			    bus, &message, past ? NULL : TV_BUS_NAME, TV_BUS_PATH,
			    "org.freedesktop.DBus.Introspectable", "Introspect") < 0 ||
		    /* The bus lets 128 wait for an answer. */
		    sd_bus_message_set_expect_reply(message, past || i < 100) < 0 ||
		    sd_bus_send(bus, message, past || i < 100 ? &cookie : NULL) < 0 ||
		    sd_bus_flush(bus) < 0)
			break;
		sd_bus_message_unref(message);
	}
}

/* Others are answered all the time, and in the end it is only its own connection that is lost. */
START_TEST(does_not_read)
{
	struct way other = way_open();
	struct client client;

	tv_log_set_level(LOG_ERR);
	client = client_start(never_read, _i, 0);
	if (_i)
		service_until(used(TV_RESOURCE_CONNECTIONS));
	for (unsigned int i = 0; i < 20; i++)
		assert_infers(&other);
	if (_i)
		service_until(!used(TV_RESOURCE_CONNECTIONS));
	assert_infers(&other);
	client_kill(&client, &other);
	assert_infers(&other);
	way_close(&other);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("service-hostile");
	TCase *t = tcase_create("hostile");

	tcase_add_checked_fixture(t, abuse_set_up, abuse_tear_down);
	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, wrong_arguments, 0, 2);
	tcase_add_loop_test(t, garbage_models, 0, 4);
	tcase_add_test(t, long_model);
	tcase_add_loop_test(t, does_not_read, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
