/* SPDX-License-Identifier: MIT */
/* Inference over D-Bus: every way in gives the functional model's bits. */
#include "tests/unit/service.h"

#define IMAGE (PACKAGE_SMALL_SIZE * PACKAGE_SMALL_SIZE * 3)

static struct way connect_own(struct way *way)
{
	sd_bus_message *reply = way_call(way, TV_BUS_PATH, "Manager", "Connect", "");
	struct way own = { 0 };
	int fd;

	ck_assert_reply(reply);
	ck_assert_int_ge(sd_bus_message_read(reply, "h", &fd), 0);
	ck_assert_int_ge(sd_bus_new(&own.bus), 0);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	ck_assert_int_ge(sd_bus_set_fd(own.bus, fd, fd), 0);
	ck_assert_int_ge(sd_bus_negotiate_fds(own.bus, 1), 0);
	ck_assert_int_ge(sd_bus_start(own.bus), 0);
	sd_bus_message_unref(reply);
	return own;
}

/* A result's numbers, and that they make sense. */
static void check_result(sd_bus_message *reply, const int16_t *logits, unsigned int images)
{
	const struct tv_package *package = service.package;
	uint64_t cycles, device, queued;
	const char *path, *label, *names[4];
	double probability;
	uint32_t class;

	ck_assert_int_gt(sd_bus_message_enter_container(reply, 'a', "{sv}"), 0);
	ck_assert_int_gt(sd_bus_message_read(reply, "{sv}{sv}{sv}{sv}", &names[0], "t", &cycles,
					     &names[1], "t", &device, &names[2], "t", &queued,
					     &names[3], "o", &path),
			 0);
	ck_assert_str_eq(names[0], "cycles");
	ck_assert_str_eq(names[1], "device-usec");
	ck_assert_str_eq(names[2], "queued-usec");
	ck_assert_str_eq(names[3], "device");
	ck_assert_uint_gt(cycles, 100);
	ck_assert_ptr_nonnull(strstr(path, "/devices/"));
	ck_assert_int_gt(sd_bus_message_enter_container(reply, 'e', "sv"), 0);
	ck_assert_int_gt(sd_bus_message_read(reply, "s", &label), 0);
	ck_assert_str_eq(label, "top");
	ck_assert_int_gt(sd_bus_message_enter_container(reply, 'v', "aa(usd)"), 0);
	ck_assert_int_gt(sd_bus_message_enter_container(reply, 'a', "a(usd)"), 0);
	for (unsigned int i = 0; i < images; i++, logits += package->classes) {
		ck_assert_int_gt(sd_bus_message_enter_container(reply, 'a', "(usd)"), 0);
		for (unsigned int k = 0; k < 2; k++) {
			unsigned int better = 0;

			ck_assert_int_gt(sd_bus_message_read(reply, "(usd)", &class, &label,
							     &probability),
					 0);
			for (unsigned int c = 0; c < package->classes; c++)
				better += logits[c] > logits[class] ||
					  (logits[c] == logits[class] && c < class);
			ck_assert_uint_eq(better, k);
			ck_assert_str_eq(label, package->labels[class]);
			ck_assert(probability > 0 && probability <= 1);
		}
		ck_assert_int_eq(sd_bus_message_at_end(reply, false), 1);
		sd_bus_message_exit_container(reply);
	}
}

static void run_slot(struct session *session, uint32_t slot, unsigned int images, uint64_t seed)
{
	_cleanup_free_ int16_t *expected = malloc(session->output_size);
	sd_bus_message *reply;

	service_random(session_input(session, slot), session->input_size, seed);
	service_expected(session_input(session, slot), images, expected);
	reply = way_call(session->way, session->path, "Session", "Run", "ua{sv}", slot, 1, "top",
			 "u", 2);
	ck_assert_reply(reply);
	ck_assert_mem_eq(session_output(session, slot), expected, session->output_size);
	check_result(reply, expected, images);
	sd_bus_message_unref(reply);
}

static void run_inline(struct way *way, const char *model, unsigned int images, uint64_t seed)
{
	const size_t size = images * service.package->classes * sizeof(int16_t);
	_cleanup_free_ uint8_t *input = malloc(images * IMAGE);
	_cleanup_free_ int16_t *expected = malloc(size);
	sd_bus_message *message = NULL, *reply = NULL;
	const void *output;
	size_t output_size;

	service_random(input, images * IMAGE, seed);
	service_expected(input, images, expected);
	ck_assert_int_ge(sd_bus_message_new_method_call(way->bus, &message, way->destination, model,
							TV_BUS_NAME ".Model", "Run"),
			 0);
	ck_assert_int_ge(sd_bus_message_append_array(message, 'y', input, images * IMAGE), 0);
	ck_assert_int_ge(sd_bus_message_append(message, "a{sv}", 2, "images", "u", images, "top",
					       "u", 2),
			 0);
	ck_assert_int_ge(sd_bus_call_async(way->bus, NULL, message, bus_on_reply, &reply, 0), 0);
	sd_bus_message_unref(message);
	way_wait(way, &reply);
	ck_assert_reply(reply);
	ck_assert_int_ge(sd_bus_message_read_array(reply, 'y', &output, &output_size), 0);
	ck_assert_uint_eq(output_size, size);
	ck_assert_mem_eq(output, expected, size);
	check_result(reply, expected, images);
	sd_bus_message_unref(reply);
}

static void run_memory(struct session *session, uint64_t seed)
{
	const size_t at = 4096, to = 128, size = at + session->input_size;
	_cleanup_close_ int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	_cleanup_free_ int16_t *expected = malloc(session->output_size);
	sd_bus_message *reply;
	uint8_t *memory;

	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	service_random(memory + at, session->input_size, seed);
	service_expected(memory + at, 1, expected);
	reply = way_call(session->way, session->path, "Session", "RunMemory", "htta{sv}", fd,
			 (uint64_t)at, (uint64_t)to, 1, "top", "u", 2);
	ck_assert_reply(reply);
	ck_assert_mem_eq(memory + to, expected, session->output_size);
	check_result(reply, expected, 1);
	sd_bus_message_unref(reply);
	munmap(memory, size);
}

START_TEST(every_way_in)
{
	struct way bus = way_open(), own = connect_own(&bus);
	struct way *const ways[] = { &bus, &own };
	_cleanup_free_ char *model = way_load_good(&bus);
	uint64_t seed = 1;

	for (unsigned int i = 0; i < TV_ARRAY_SIZE(ways); i++) {
		struct session one = session_open(ways[i], model, 4, 1),
			       three = session_open(ways[i], model, 1, 3);

		ck_assert_uint_eq(one.input_size, IMAGE);
		ck_assert_uint_eq(three.input_size, 3 * IMAGE);
		for (uint32_t slot = 0; slot < 4; slot++)
			run_slot(&one, slot, 1, seed++);
		run_slot(&three, 0, 3, seed++);
		run_memory(&one, seed++);
		/* A session of the bus is one of the connection too, and the other way round. */
		one.way = ways[1 - i];
		run_slot(&one, 0, 1, seed++);
		run_inline(ways[i], model, 1, seed++);
		run_inline(ways[i], model, 3, seed++);
		session_done(&one);
		session_done(&three);
	}
	sd_bus_close_unref(own.bus);
	way_close(&bus);
}
END_TEST

/* What a client has sent is quoted, cut off where there is no room: it stays text. */
START_TEST(errors_are_text)
{
	struct way way = way_open();
	_cleanup_free_ char *model = way_load_good(&way);
	char name[256];

	for (unsigned int ascii = 0; ascii < 4; ascii++) {
		memset(name, 'x', ascii);
		name[ascii] = '\0';
		while (strlen(name) < 200)
			strcat(name, "\xe2\x82\xac");
		assert_refused(way_call(&way, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}",
					model, 1, name, "u", 1),
			       "InvalidArgument", "no option is called");
	}
	way_close(&way);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("service");
	TCase *t = tcase_create("service");

	tcase_add_checked_fixture(t, service_set_up, service_tear_down);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, every_way_in);
	tcase_add_test(t, errors_are_text);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
