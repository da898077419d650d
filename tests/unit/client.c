/* SPDX-License-Identifier: MIT */
/* Who calls, what it holds, and that nothing of it stays when it leaves the bus, on a real one. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-event.h>

#include "daemon/client.h"
#include "tests/unit/bus.h"

#define NAME "org.triovit.Test"

/* What the service gives to each call of Hold(). */
struct thing {
	struct tv_held held; /* first: they are cast to one another */
	unsigned int number;
};

static struct bus_daemon daemon_;
static sd_event *event;
static sd_bus *service;
static struct tv_clients *clients;
static unsigned int alive, made;
static uid_t last_uid;

static void release(struct tv_held *held)
{
	tv_client_let_go(held);
	free(held);
	alive--;
}

static int hold(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_client *client = NULL;
	struct tv_error why = { 0 };
	struct thing *thing;
	int r = tv_clients_get(clients, message, &client, &why);

	if (r < 0)
		return sd_bus_reply_method_errorf(message, NAME ".Refused", "%s", why.text);
	thing = calloc(1, sizeof(*thing));
	ck_assert_ptr_nonnull(thing);
	thing->held.release = release;
	thing->number = made++;
	tv_client_hold(client, &thing->held);
	alive++;
	last_uid = client->uid;
	return sd_bus_reply_method_return(message, "s", client->name);
}

/* Gives one thing back, in whatever order. */
static int drop(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_client *client = tv_clients_find(clients, message);
	struct tv_held *held = client ? client->held : NULL;

	while (held && held->release != release)
		held = held->next;
	if (held && held->next && held->next->release == release && made % 2)
		held = held->next;
	if (held)
		release(held);
	return sd_bus_reply_method_return(message, "b", !!held);
}

/* Is known, but holds nothing. */
static int visit(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_client *client = NULL;
	struct tv_error why = { 0 };

	tv_assert_ok(tv_clients_get(clients, message, &client, &why), why);
	return sd_bus_reply_method_return(message, "");
}

static sd_bus *owned; /* the service's side of the last one made */

static int own(sd_bus_message *message, void *userdata, sd_bus_error *error);

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Hold", "", "s", hold, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Drop", "", "b", drop, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Own", "", "h", own, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Visit", "", "", visit, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static int own(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct tv_client *client = tv_clients_find(clients, message);
	sd_id128_t id;
	int fds[2], r;

	ck_assert_ptr_nonnull(client);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	ck_assert_int_ge(sd_id128_randomize(&id), 0);
	ck_assert_int_ge(sd_bus_new(&owned), 0);
	ck_assert_int_ge(sd_bus_set_fd(owned, fds[0], fds[0]), 0);
	ck_assert_int_ge(sd_bus_set_server(owned, 1, id), 0);
	ck_assert_int_ge(sd_bus_set_anonymous(owned, 1), 0);
	ck_assert_int_ge(tv_client_own(client, owned), 0);
	ck_assert_int_ge(sd_bus_start(owned), 0);
	ck_assert_int_ge(sd_bus_attach_event(owned, event, 0), 0);
	ck_assert_int_ge(sd_bus_add_object_vtable(owned, NULL, "/test", NAME, vtable, NULL), 0);
	r = sd_bus_reply_method_return(message, "h", fds[1]);
	close(fds[1]);
	return r;
}

static void set_up(void)
{
	struct tv_error error = { 0 };

	bus_daemon_start(&daemon_);
	ck_assert_int_ge(sd_event_new(&event), 0);
	service = bus_open(&daemon_);
	ck_assert_int_ge(sd_bus_attach_event(service, event, 0), 0);
	tv_assert_ok(tv_clients_new(service, &clients, &error), error);
	ck_assert_int_ge(sd_bus_add_object_vtable(service, NULL, "/test", NAME, vtable, NULL), 0);
	ck_assert_int_ge(sd_bus_request_name(service, NAME, 0), 0);
}

static void tear_down(void)
{
	tv_clients_free(clients);
	ck_assert_uint_eq(alive, 0);
	sd_bus_flush_close_unref(service);
	sd_event_unref(event);
	bus_daemon_stop(&daemon_);
}

static sd_bus_message *call(sd_bus *bus, const char *destination, const char *method)
{
	return bus_call(event, bus, destination, "/test", NAME, method);
}

/* The text in the reply. */
static char *call_hold(sd_bus *bus, const char *destination)
{
	sd_bus_message *reply = call(bus, destination, "Hold");
	const char *name = NULL;
	char *copy;

	ck_assert_msg(!sd_bus_message_is_method_error(reply, NULL), "%s",
		      sd_bus_message_get_error(reply)->message);
	ck_assert_int_ge(sd_bus_message_read(reply, "s", &name), 0);
	copy = strdup(name);
	sd_bus_message_unref(reply);
	return copy;
}

static void wait_for(unsigned int count)
{
	while (alive != count)
		ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
}

START_TEST(leaves)
{
	sd_bus *a = bus_open(&daemon_), *b = bus_open(&daemon_);
	const char *unique;
	char *name;

	for (int i = 0; i < 5; i++) {
		name = call_hold(a, NAME);
		ck_assert_int_ge(sd_bus_get_unique_name(a, &unique), 0);
		ck_assert_str_eq(name, unique);
		free(name);
		free(call_hold(b, NAME));
		ck_assert_uint_eq(last_uid, geteuid());
	}
	ck_assert_uint_eq(alive, 10);
	for (int i = 0; i < 3; i++)
		sd_bus_message_unref(call(a, NAME, "Drop"));
	ck_assert_uint_eq(alive, 7);
	sd_bus_flush_close_unref(a);
	wait_for(5);
	/* Whoever holds nothing any more can hold something again. */
	for (int i = 0; i < 6; i++)
		sd_bus_message_unref(call(b, NAME, "Drop"));
	ck_assert_uint_eq(alive, 0);
	free(call_hold(b, NAME));
	sd_bus_flush_close_unref(b);
	wait_for(0);
}
END_TEST

/* Processes that are killed, whatever they were about to do. */
START_TEST(killed)
{
	enum {
		CHILDREN = 20
	};
	pid_t children[CHILDREN];

	for (int i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		if (children[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!geteuid() && i % 2)
			ck_assert_int_eq(setuid(1000 + (uid_t)i), 0);
		for (sd_bus *bus = bus_open(&daemon_);;)
			if (sd_bus_call_method(bus, NAME, "/test", NAME, "Hold", NULL, NULL, "") <
			    0)
				_exit(1);
	}
	wait_for(10 * CHILDREN);
	for (int i = 0; i < CHILDREN; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	wait_for(0);
	for (int i = 0; i < 10; i++)
		sd_event_run(event, 1000);
	ck_assert_uint_eq(alive, 0);
}
END_TEST

/* Many that only come by: nothing is kept of them. */
START_TEST(visitors)
{
	sd_bus *bus;

	for (int i = 0; i < 50; i++) {
		bus = bus_open(&daemon_);
		sd_bus_message_unref(call(bus, NAME, "Visit"));
		if (i % 2)
			free(call_hold(bus, NAME));
		sd_bus_flush_close_unref(bus);
	}
	wait_for(0);
}
END_TEST

/* A connection of its own: the same client, and nobody once that has left the bus. */
START_TEST(own_connection)
{
	sd_bus *bus = bus_open(&daemon_), *own = NULL;
	char *name = call_hold(bus, NAME), *again;
	sd_bus_message *reply;
	int fd;

	reply = call(bus, NAME, "Own");
	ck_assert_int_ge(sd_bus_message_read(reply, "h", &fd), 0);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	sd_bus_message_unref(reply);
	ck_assert_int_ge(sd_bus_new(&own), 0);
	ck_assert_int_ge(sd_bus_set_fd(own, fd, fd), 0);
	/* What it calls itself there is of no account. */
	ck_assert_int_ge(sd_bus_set_description(own, ":1.0"), 0);
	ck_assert_int_ge(sd_bus_start(own), 0);
	for (int i = 0; i < 3; i++) {
		again = call_hold(own, NULL);
		ck_assert_str_eq(again, name);
		free(again);
	}
	ck_assert_uint_eq(alive, 4);
	sd_bus_flush_close_unref(bus);
	wait_for(0);
	reply = call(own, NULL, "Hold");
	ck_assert(sd_bus_message_is_method_error(reply, NAME ".Refused"));
	ck_assert_ptr_nonnull(strstr(sd_bus_message_get_error(reply)->message, "has left"));
	sd_bus_message_unref(reply);
	sd_bus_close_unref(own);
	sd_bus_flush_close_unref(owned);
	owned = NULL;
	free(name);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("client");
	TCase *t = tcase_create("clients");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, leaves);
	tcase_add_test(t, killed);
	tcase_add_test(t, visitors);
	tcase_add_test(t, own_connection);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
