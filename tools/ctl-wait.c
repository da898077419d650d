/* SPDX-License-Identifier: MIT */
/* Waiting for callbacks of several clients, and for Ctrl-C. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "tools/ctl.h"

#define US_PER_S UINT64_C(1000000)

static volatile sig_atomic_t caught;
static sigset_t outside; /* the signal mask; signals come in ppoll() alone */

uint64_t ctl_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

static void on_signal(int number)
{
	caught = number;
}

void ctl_catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM };
	/* The second one kills: what is done until the end may hang. */
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < TV_ARRAY_SIZE(signals); i++) {
		sigaddset(&set, signals[i]);
		sigaction(signals[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &set, &outside);
}

int ctl_signal(void)
{
	return caught;
}

/* Until when to wait in ppoll(): never in the past. */
static struct timespec time_left(uint64_t until)
{
	uint64_t now = ctl_now(), left = until > now ? until - now : 0;

	return (struct timespec){
		.tv_sec = (time_t)(left / US_PER_S),
		.tv_nsec = (long)(left % US_PER_S) * 1000,
	};
}

int ctl_turn(struct triovit_client *const *clients, size_t count, uint64_t until,
	     struct tv_error *error)
{
	struct pollfd fds[CTL_CLIENTS_MAX];
	struct triovit_error why = { 0 };
	struct timespec wait;
	uint64_t timeout;
	int r;

	for (size_t i = 0; i < count; i++) {
		r = triovit_process(clients[i], &why);
		if (r < 0)
			return ctl_error(error, &why);
		if (r > 0)
			until = 0;
	}
	for (size_t i = 0; i < count; i++) {
		fds[i] = (struct pollfd){
			.fd = triovit_fd(clients[i]),
			.events = (short)triovit_events(clients[i]),
		};
		r = triovit_timeout(clients[i], &timeout);
		if (r < 0)
			return tv_error_set(error, r, "%s", strerror(-r));
		if (timeout < until)
			until = timeout;
	}
	wait = time_left(until);
	r = ppoll(fds, count, until == UINT64_MAX ? NULL : &wait, &outside);
	if (r < 0 && errno != EINTR)
		return tv_error_set(error, -errno, "%s", strerror(errno));
	if (caught)
		sigprocmask(SIG_SETMASK, &outside, NULL);
	return 0;
}
