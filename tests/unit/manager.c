/* SPDX-License-Identifier: MIT */
/* The daemon in this process on a real bus: its manager object and clients' own connections. */
#include <fcntl.h>
#include <sys/socket.h>

#include "daemon/log.h"
#include "daemon/manager.h"
#include "daemon/peer.h"
#include "tests/unit/bus.h"

static struct bus_daemon daemon_;
static sd_event *event;
static sd_bus *service;
static struct tv_manager *manager;

static void set_up(void)
{
	struct tv_error error = { 0 };
	struct tv_config config;

	tv_config_defaults(&config);
	config.limits.user[TV_RESOURCE_CONNECTIONS] = 40;
	tv_log_set_level(LOG_WARNING);
	bus_daemon_start(&daemon_);
	ck_assert_int_ge(sd_event_new(&event), 0);
	service = bus_open(&daemon_);
	ck_assert_int_ge(sd_bus_attach_event(service, event, 0), 0);
	tv_assert_ok(tv_manager_new(event, service, &config, &manager, &error), error);
	ck_assert_int_ge(sd_bus_request_name(service, TV_BUS_NAME, 0), 0);
}

static void tear_down(void)
{
	tv_manager_free(manager);
	sd_bus_flush_close_unref(service);
	sd_event_unref(event);
	bus_daemon_stop(&daemon_);
}

static sd_bus_message *call(sd_bus *bus, const char *destination, const char *method)
{
	return bus_call(event, bus, destination, TV_BUS_PATH, TV_BUS_NAME ".Manager", method);
}

static int connect_fd(sd_bus *bus)
{
	sd_bus_message *reply = call(bus, TV_BUS_NAME, "Connect");
	int fd;

	ck_assert_int_ge(sd_bus_message_read(reply, "h", &fd), 0);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	sd_bus_message_unref(reply);
	return fd;
}

static sd_bus *connect_bus(sd_bus *bus)
{
	int fd = connect_fd(bus);
	sd_bus *own = NULL;

	ck_assert_int_ge(sd_bus_new(&own), 0);
	ck_assert_int_ge(sd_bus_set_fd(own, fd, fd), 0);
	ck_assert_int_ge(sd_bus_start(own), 0);
	return own;
}

static void go_round(unsigned int times)
{
	while (times--)
		ck_assert_int_ge(sd_event_run(event, 1000), 0);
}

static unsigned int count_peers(void)
{
	return manager->peers != NULL;
}

START_TEST(version)
{
	sd_bus *bus = bus_open(&daemon_), *own = connect_bus(bus);
	struct {
		sd_bus *bus;
		const char *destination;
	} ways[] = { { bus, TV_BUS_NAME }, { own, NULL } };
	sd_bus_message *reply;
	const char *text;

	for (unsigned int i = 0; i < 2; i++) {
		reply = NULL;
		ck_assert_int_ge(sd_bus_call_method_async(
					 ways[i].bus, NULL, ways[i].destination, TV_BUS_PATH,
					 "org.freedesktop.DBus.Properties", "Get", bus_on_reply,
					 &reply, "ss", TV_BUS_NAME ".Manager", "Version"),
				 0);
		while (!reply) {
			sd_bus_process(ways[i].bus, NULL);
			go_round(1);
		}
		ck_assert_int_ge(sd_bus_message_read(reply, "v", "s", &text), 0);
		ck_assert_str_eq(text, "0.1.0");
		sd_bus_message_unref(reply);
	}
	/* A connection of one's own does not make others. */
	reply = call(own, NULL, "Connect");
	ck_assert(sd_bus_message_is_method_error(reply, TV_BUS_ERROR "UseBus"));
	sd_bus_message_unref(reply);
	sd_bus_close_unref(own);
	sd_bus_flush_close_unref(bus);
}
END_TEST

/* Closed by the client, or with it: nothing of it stays. */
START_TEST(connections_end)
{
	sd_bus *bus = bus_open(&daemon_), *own;
	unsigned int before;
	int fds[20];

	sd_bus_message_unref(call(bus, TV_BUS_NAME, "Connect"));
	go_round(3);
	before = count_own("fd");
	for (int i = 0; i < 20; i++) {
		own = connect_bus(bus);
		ck_assert_uint_eq(count_peers(), 1);
		sd_bus_close_unref(own);
	}
	/* Without a word of D-Bus. */
	for (int i = 0; i < 20; i++)
		fds[i] = connect_fd(bus);
	for (int i = 0; i < 20; i += 2) {
		ck_assert_int_eq(write(fds[i], "\0garbage\r\n\r\n", 12), 12);
		shutdown(fds[i], SHUT_RDWR);
	}
	for (int i = 0; i < 20; i++)
		close(fds[i]);
	for (int i = 0; i < 100 && count_peers(); i++)
		go_round(1);
	ck_assert_uint_eq(count_peers(), 0);
	ck_assert_uint_eq(count_own("fd"), before);
	own = connect_bus(bus);
	sd_bus_flush_close_unref(bus);
	for (int i = 0; i < 1000 && count_peers(); i++)
		go_round(1);
	ck_assert_uint_eq(count_peers(), 0);
	/* It notices. */
	while (sd_bus_process(own, NULL) > 0)
		;
	ck_assert_int_le(sd_bus_is_open(own), 0);
	sd_bus_unref(own);
}
END_TEST

/* Writes calls as fast as they are taken, and reads nothing after the handshake. */
static void never_read(int fd)
{
	sd_bus_message *message = NULL;
	sd_bus *own = NULL;
	uint64_t cookie; /* without it no reply would be wanted */

	if (sd_bus_new(&own) < 0 || sd_bus_set_fd(own, fd, fd) < 0 || sd_bus_start(own) < 0)
		return;
	while (sd_bus_message_new_method_call(own, &message, NULL, TV_BUS_PATH,
					      TV_BUS_NAME ".Manager", "Connect") >= 0 &&
	       sd_bus_send(own, message, &cookie) >= 0 && sd_bus_flush(own) >= 0)
		message = sd_bus_message_unref(message);
}

START_TEST(does_not_read)
{
	sd_bus *bus = bus_open(&daemon_);
	int fd = connect_fd(bus);
	pid_t child = fork();

	tv_log_set_level(LOG_ERR);
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		never_read(fd);
		_exit(0);
	}
	close(fd);
	while (count_peers())
		ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	/* On the bus it is as welcome as before. */
	close(connect_fd(bus));
	sd_bus_flush_close_unref(bus);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("manager");
	TCase *t = tcase_create("manager");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, version);
	tcase_add_test(t, connections_end);
	tcase_add_test(t, does_not_read);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
