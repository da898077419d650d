/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

#include "libclient/private.h"

struct triovit_client *tv_client_ref(struct triovit_client *client)
{
	client->references++;
	return client;
}

/* Ends all connections; what is under way stays as it is. */
static void disconnect(struct triovit_client *client)
{
	for (unsigned int i = 0; i < TV_CONNECTIONS; i++) {
		client->connections[i] = sd_bus_close_unref(client->connections[i]);
		client->watched[i] = 0;
	}
	client->gone = true;
}

void tv_client_unref(struct triovit_client *client)
{
	if (--client->references)
		return;
	disconnect(client);
	if (client->epoll >= 0)
		close(client->epoll);
	free(client->daemon);
	free(client);
}

TV_DEFINE_CLEANUP(struct triovit_client *, tv_client_unref)

/* --- opening -------------------------------------------------------------------------------- */

static int open_address(const char *address, sd_bus **ret)
{
	_cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
	int r;

	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_address(bus, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(bus, 1);
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(bus);
	return 0;
}

static int open_bus(enum triovit_bus which, const char *where, sd_bus **ret,
		    struct triovit_error *error)
{
	const char *name = where;
	int r;

	if (which > TRIOVIT_BUS_HOST)
		return tv_fail(error, -EINVAL, "there is no bus %u", (unsigned int)which);
	if (!where != (which == TRIOVIT_BUS_SYSTEM || which == TRIOVIT_BUS_SESSION))
		return tv_fail(error, -EINVAL, "an address or a host goes with the buses there");
	switch (which) {
	case TRIOVIT_BUS_SESSION:
		name = "the session bus";
		r = sd_bus_open_user(ret);
		break;
	case TRIOVIT_BUS_ADDRESS:
		r = open_address(where, ret);
		break;
	case TRIOVIT_BUS_HOST:
		r = sd_bus_open_system_remote(ret, where);
		break;
	default:
		name = "the system bus";
		r = sd_bus_open_system(ret);
	}
	return r < 0 ? tv_fail_errno(error, r, name) : 0;
}

/* The daemon's unique name is the sender of its reply, whoever owns the other one later. */
static int keep_name(struct triovit_client *client, sd_bus_message *reply)
{
	const char *sender = sd_bus_message_get_sender(reply);

	if (!sender)
		return -EBADMSG;
	client->daemon = strdup(sender);
	return client->daemon ? 0 : -ENOMEM;
}

static int find_daemon(struct triovit_client *client, struct triovit_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(sd_bus_error_free) sd_bus_error why = SD_BUS_ERROR_NULL;
	int r;

	/* Not Ping(), which the other end of ssh would answer itself. */
	r = sd_bus_call_method(client->connections[TV_BUS], TV_BUS_NAME, TV_BUS_PATH,
			       "org.freedesktop.DBus.Properties", "Get", &why, &reply, "ss",
			       TV_BUS_MANAGER, "Version");
	if (r < 0 && (sd_bus_error_has_name(&why, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
		      sd_bus_error_has_name(&why, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
		      (why.name && strstr(why.name, ".Spawn."))))
		return tv_fail(error, -EHOSTUNREACH, "triovitd does not run and is not started: %s",
			       why.message);
	if (r < 0 && sd_bus_error_is_set(&why))
		return tv_fail_bus(error, &why, true, true);
	if (r >= 0)
		r = keep_name(client, reply);
	return r < 0 ? tv_fail_errno(error, r, "calling triovitd") : 0;
}

/* A connection past the bus. Whoever cannot have one does without. */
static int connect_peer(struct triovit_client *client)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_(sd_bus_close_unrefp) sd_bus *peer = NULL;
	_cleanup_close_ int own = -1;
	int fd, r;

	r = sd_bus_call_method(client->connections[TV_BUS], client->daemon, TV_BUS_PATH,
			       TV_BUS_MANAGER, "Connect", NULL, &reply, "");
	if (r >= 0)
		r = sd_bus_message_read(reply, "h", &fd);
	if (r < 0)
		return r;
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0)
		return -errno;
	r = sd_bus_new(&peer);
	if (r < 0)
		return r;
	r = sd_bus_set_fd(peer, own, own);
	if (r < 0)
		return r;
	TV_TAKE_FD(own);
	r = sd_bus_set_anonymous(peer, 1);
	if (r >= 0)
		r = sd_bus_start(peer);
	/* Waits for the end of the handshake. */
	if (r >= 0)
		r = sd_bus_can_send(peer, SD_BUS_TYPE_UNIX_FD);
	if (r <= 0)
		return r < 0 ? r : -EOPNOTSUPP;
	client->connections[TV_PEER] = TV_TAKE_PTR(peer);
	return 0;
}

static int make_epoll(struct triovit_client *client)
{
	int fd, r;

	client->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (client->epoll < 0)
		return -errno;
	for (unsigned int i = 0; i < TV_CONNECTIONS; i++) {
		struct epoll_event event = { .events = 0 };

		if (!client->connections[i])
			continue;
		fd = sd_bus_get_fd(client->connections[i]);
		r = fd < 0 ? fd : epoll_ctl(client->epoll, EPOLL_CTL_ADD, fd, &event);
		if (r < 0)
			return fd < 0 ? fd : -errno;
	}
	return 0;
}

int triovit_open(enum triovit_bus bus, const char *where, unsigned int flags,
		 struct triovit_client **ret, struct triovit_error *error)
{
	_cleanup_(tv_client_unrefp) struct triovit_client *client = calloc(1, sizeof(*client));
	int r;

	if (!client)
		return tv_fail(error, -ENOMEM, "out of memory");
	client->references = 1;
	client->epoll = -1;
	client->pending.end = &client->pending.first;
	client->done.end = &client->done.first;
	if (flags & ~(unsigned int)TRIOVIT_OPEN_BUS_ONLY)
		return tv_fail(error, -EINVAL, "unknown flags %#x", flags);
	client->remote = bus == TRIOVIT_BUS_HOST;
	r = open_bus(bus, where, &client->connections[TV_BUS], error);
	if (r >= 0)
		r = find_daemon(client, error);
	if (r < 0)
		return r;
	if (!(flags & TRIOVIT_OPEN_BUS_ONLY) && tv_client_check_fds(client, NULL) >= 0)
		connect_peer(client);
	r = make_epoll(client);
	if (r < 0)
		return tv_fail_errno(error, r, "an epoll descriptor");
	*ret = TV_TAKE_PTR(client);
	return 0;
}

void triovit_close(struct triovit_client *client)
{
	if (!client)
		return;
	disconnect(client);
	while (client->pending.first)
		tv_call_free(client->pending.first);
	while (client->done.first)
		tv_call_free(client->done.first);
	tv_client_unref(client);
}

int tv_client_check_fds(struct triovit_client *client, struct triovit_error *error)
{
	/* The ends of ssh may be sockets, which sd-bus believes that descriptors pass through. */
	if (!client->remote &&
	    sd_bus_can_send(client->connections[TV_BUS], SD_BUS_TYPE_UNIX_FD) > 0)
		return 0;
	return tv_fail(error, -EOPNOTSUPP,
		       "file descriptors cannot be passed to the daemon on another machine");
}

/* --- the loop ------------------------------------------------------------------------------- */

/* What is under way ends without replies. */
static void lose(struct triovit_client *client)
{
	disconnect(client);
	while (client->pending.first)
		tv_call_done(client->pending.first, NULL);
}

bool tv_client_turn(struct triovit_client *client)
{
	bool more = false;
	int r;

	for (unsigned int i = 0; i < TV_CONNECTIONS && !client->gone; i++) {
		if (!client->connections[i])
			continue;
		r = sd_bus_process(client->connections[i], NULL);
		more = more || r > 0;
		/* A reply may say so as well as the connection. */
		if (r < 0 || sd_bus_is_open(client->connections[i]) <= 0)
			client->gone = true;
	}
	if (client->gone)
		lose(client);
	return more;
}

/* When a connection has to do something even if nothing arrives. */
static uint64_t deadline(struct triovit_client *client)
{
	uint64_t first = UINT64_MAX, due;

	for (unsigned int i = 0; i < TV_CONNECTIONS; i++)
		if (client->connections[i] &&
		    sd_bus_get_timeout(client->connections[i], &due) >= 0 && due < first)
			first = due;
	return first;
}

int tv_client_wait(struct triovit_client *client)
{
	struct pollfd fds[TV_CONNECTIONS];
	uint64_t due = deadline(client), now = tv_now();
	struct timespec time;
	nfds_t count = 0;

	for (unsigned int i = 0; i < TV_CONNECTIONS; i++) {
		if (!client->connections[i])
			continue;
		fds[count].fd = sd_bus_get_fd(client->connections[i]);
		fds[count].events = (short)sd_bus_get_events(client->connections[i]);
		count++;
	}
	due = due < now ? 0 : due - now;
	time.tv_sec = (time_t)(due / 1000000);
	time.tv_nsec = (long)(due % 1000000 * 1000);
	if (ppoll(fds, count, due < UINT64_MAX / 2 ? &time : NULL, NULL) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

int triovit_fd(struct triovit_client *client)
{
	return client->epoll;
}

int triovit_events(struct triovit_client *client)
{
	/* They rarely change, and nobody needs to know but who polls. */
	for (unsigned int i = 0; i < TV_CONNECTIONS; i++) {
		struct epoll_event event;
		int events;

		if (!client->connections[i])
			continue;
		events = sd_bus_get_events(client->connections[i]);
		if (events < 0 || events == client->watched[i])
			continue;
		/* The numbers of poll() and epoll are the same. */
		event.events = (uint32_t)events;
		if (epoll_ctl(client->epoll, EPOLL_CTL_MOD, sd_bus_get_fd(client->connections[i]),
			      &event) < 0)
			return -errno;
		client->watched[i] = events;
	}
	return POLLIN;
}

int triovit_timeout(struct triovit_client *client, uint64_t *ret_usec)
{
	/* Callbacks that are due, or to say that the connection is lost. */
	*ret_usec = client->done.first || client->gone ? 0 : deadline(client);
	return 0;
}
