/* SPDX-License-Identifier: MIT */
/* triovitd: the service. Which bus, which signals, when it is ready and when it ends. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "daemon/log.h"
#include "daemon/manager.h"

#define WRONG_USAGE 2
#define GO_ON	    (-1)

struct options {
	bool session;
	const char *address;
};

static const char help_text[] =
	"usage: triovitd [OPTION...]\n"
	"\n"
	"Serves EfficientViT accelerators to all services of a system over D-Bus, as\n"
	"org.triovit.Accelerator1. Normally the service manager starts it.\n"
	"\n"
	"Options:\n"
	"      --session         on the session bus, for users without root and for tests\n"
	"      --address ADDRESS on the bus there\n"
	"      --log-level LEVEL debug, info (default), notice, warning, err, crit, alert, emerg\n"
	"  -h, --help\n"
	"  -V, --version\n"
	"\n"
	"Exit codes: 0 it was asked to end, 1 it could not go on and the log says why, 2 wrong "
	"usage.\n";

static int wrong_usage(const char *format, const char *value)
{
	if (format) {
		fputs("triovitd: ", stderr);
		fprintf(stderr, format, value);
		fputc('\n', stderr);
	}
	fputs("Try 'triovitd --help'.\n", stderr);
	return WRONG_USAGE;
}

/* GO_ON, or the exit code. */
static int parse_options(int argc, char **argv, struct options *ret)
{
	enum {
		SESSION = 256,
		ADDRESS,
		LOG_LEVEL,
	};
	static const struct option known[] = {
		{ "session", no_argument, NULL, SESSION },
		{ "address", required_argument, NULL, ADDRESS },
		{ "log-level", required_argument, NULL, LOG_LEVEL },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int option, level;

	while ((option = getopt_long(argc, argv, "hV", known, NULL)) >= 0) {
		switch (option) {
		case SESSION:
			ret->session = true;
			break;
		case ADDRESS:
			ret->address = optarg;
			break;
		case LOG_LEVEL:
			level = tv_log_level_of(optarg);
			if (level < 0)
				return wrong_usage("--log-level: no level '%s'", optarg);
			tv_log_set_level(level);
			break;
		case 'h':
			fputs(help_text, stdout);
			return 0;
		case 'V':
			puts("triovitd " TV_VERSION);
			return 0;
		default:
			return wrong_usage(NULL, NULL);
		}
	}
	if (optind < argc)
		return wrong_usage("no argument '%s' expected", argv[optind]);
	if (ret->session && ret->address)
		return wrong_usage("%s, not both", "--session or --address");
	return GO_ON;
}

static int open_bus(const struct options *options, sd_bus **ret, struct tv_error *error)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	const char *which = options->address ? options->address :
			    options->session ? "the session bus" :
					       "the system bus";
	int r;

	if (options->address) {
		r = sd_bus_new(&bus);
		if (r >= 0)
			r = sd_bus_set_address(bus, options->address);
		if (r >= 0)
			r = sd_bus_set_bus_client(bus, 1);
		if (r >= 0)
			r = sd_bus_start(bus);
	} else if (options->session) {
		r = sd_bus_open_user(&bus);
	} else {
		r = sd_bus_open_system(&bus);
	}
	if (r < 0)
		return tv_error_set(error, r, "%s: %s", which, strerror(-r));
	/* A bus that goes away takes every client with it: the service manager starts us anew. */
	r = sd_bus_set_exit_on_disconnect(bus, 1);
	if (r < 0)
		return tv_error_set(error, r, "%s: %s", which, strerror(-r));
	*ret = TV_TAKE_PTR(bus);
	return 0;
}

/* SIGTERM and SIGINT end the loop, in threads that are started from here on they are blocked. */
static int catch_signals(sd_event *event)
{
	static const int signals[] = { SIGTERM, SIGINT };
	sigset_t set;
	int r;

	sigemptyset(&set);
	for (size_t i = 0; i < TV_ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	for (size_t i = 0; i < TV_ARRAY_SIZE(signals); i++) {
		r = sd_event_add_signal(event, NULL, signals[i], NULL, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

static int own_name(sd_bus *bus, struct tv_error *error)
{
	int r = sd_bus_request_name(bus, TV_BUS_NAME, 0);

	if (r == -EEXIST)
		return tv_error_set(error, r, "another triovitd owns %s", TV_BUS_NAME);
	if (r < 0)
		return tv_error_set(error, r, "owning %s: %s", TV_BUS_NAME, strerror(-r));
	return 0;
}

static int run(const struct options *options, struct tv_error *error)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	_cleanup_(tv_manager_freep) struct tv_manager *manager = NULL;
	int r;

	r = sd_event_default(&event);
	if (r >= 0)
		r = catch_signals(event);
	if (r >= 0)
		r = sd_event_set_watchdog(event, 1);
	if (r < 0)
		return tv_error_set(error, r, "the event loop: %s", strerror(-r));
	r = open_bus(options, &bus, error);
	if (r < 0)
		return r;
	r = sd_bus_attach_event(bus, event, 0);
	if (r < 0)
		return tv_error_set(error, r, "the event loop: %s", strerror(-r));
	r = tv_manager_new(event, bus, &manager, error);
	if (r >= 0)
		r = own_name(bus, error);
	if (r < 0)
		return r;
	sd_notify(0, "READY=1\nSTATUS=Serving");
	tv_log(LOG_INFO, "version " TV_VERSION " serves as %s", TV_BUS_NAME);
	r = sd_event_loop(event);
	sd_notify(0, "STOPPING=1");
	if (r < 0)
		return tv_error_set(error, r, "the event loop: %s", strerror(-r));
	/* The exit code of the loop: only a lost bus asks for another than 0. */
	if (r > 0)
		return tv_error_set(error, -ECONNRESET, "the bus has gone away");
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	struct tv_error error = { 0 };
	int r = parse_options(argc, argv, &options);

	if (r != GO_ON)
		return r;
	/* Peers may close their connections at any time. */
	signal(SIGPIPE, SIG_IGN);
	r = run(&options, &error);
	if (r < 0) {
		tv_log(LOG_ERR, "%s", error.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
