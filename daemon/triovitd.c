/* SPDX-License-Identifier: MIT */
/* triovitd: the service. Which bus, which signals, when it is ready and when it ends. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "daemon/accelerator.h"
#include "daemon/load.h"
#include "daemon/log.h"
#include "daemon/udev.h"

#define WRONG_USAGE  2
#define WRONG_CONFIG 6 /* EXIT_NOTCONFIGURED of systemd: not to be tried again */
#define GO_ON	     (-1)

#define SOFTWARE_MAX 16

struct options {
	bool session;
	const char *address;
	const char *config; /* NULL: the system's, if it is a service of the system */
	const char *models; /* the same */
	const struct tv_target *software[SOFTWARE_MAX];
	unsigned int software_count;
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
	"  -c, --config FILE     instead of " TV_SYSCONFDIR
	"/triovit/triovitd.conf, which a daemon\n"
	"                        on the system bus reads if it is there\n"
	"      --models DIR      packages that are there for everybody, instead of\n"
	"                        " TV_SYSCONFDIR "/triovit/models\n"
	"      --software TARGET a device in software, whatever the configuration says; may be\n"
	"                        given several times\n"
	"      --log-level LEVEL debug, info (default), notice, warning, err, crit, alert, emerg\n"
	"  -h, --help\n"
	"  -V, --version\n"
	"\n"
	"Exit codes: 0 it was asked to end; 1 it could not go on and the log says why; 2 wrong\n"
	"usage; 6 the configuration file is wrong.\n";

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
		MODELS,
		SOFTWARE,
	};
	static const struct option known[] = {
		{ "session", no_argument, NULL, SESSION },
		{ "address", required_argument, NULL, ADDRESS },
		{ "log-level", required_argument, NULL, LOG_LEVEL },
		{ "config", required_argument, NULL, 'c' },
		{ "models", required_argument, NULL, MODELS },
		{ "software", required_argument, NULL, SOFTWARE },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int option, level;

	while ((option = getopt_long(argc, argv, "c:hV", known, NULL)) >= 0) {
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
		case 'c':
			ret->config = optarg;
			break;
		case MODELS:
			ret->models = optarg;
			break;
		case SOFTWARE:
			if (ret->software_count == SOFTWARE_MAX)
				return wrong_usage("--software: %s is one too many", optarg);
			ret->software[ret->software_count] = tv_target_by_name(optarg);
			if (!ret->software[ret->software_count++])
				return wrong_usage("--software: no target '%s'", optarg);
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

static int read_config(const struct options *options, struct tv_config *ret, struct tv_error *error)
{
	bool system = !options->session && !options->address;
	int r;

	tv_config_defaults(ret);
	if (options->config)
		return tv_config_read(ret, options->config, error);
	r = system ? tv_config_read(ret, TV_SYSCONFDIR "/triovit/triovitd.conf", error) : 0;
	if (r != -ENOENT)
		return r;
	*error = (struct tv_error){ 0 };
	return 0;
}

/* What there is before the first client comes. */
static int add_devices(struct tv_manager *manager, const struct options *options,
		       struct tv_udev **ret_udev, struct tv_error *error)
{
	int r = tv_udev_new(manager, ret_udev, error);

	for (unsigned int i = 0; r >= 0 && i < options->software_count; i++)
		r = tv_accelerator_add_software(manager, options->software[i], NULL, error);
	if (r >= 0)
		tv_accelerator_substitute(manager);
	return r;
}

static int add_models(struct tv_manager *manager, const struct options *options,
		      struct tv_error *error)
{
	if (options->models)
		return tv_load_folder(manager, options->models, error);
	if (options->session || options->address)
		return 0;
	return tv_load_folder(manager, TV_SYSCONFDIR "/triovit/models", error);
}

/* Clients that wait for the service to be activated find everything there. */
static void on_started(struct tv_manager *manager, void *userdata)
{
	int r = sd_bus_request_name(manager->bus, TV_BUS_NAME, 0);

	if (r < 0) {
		tv_log(LOG_ERR, "%s: %s", TV_BUS_NAME,
		       r == -EEXIST ? "another triovitd owns it" : strerror(-r));
		sd_event_exit(manager->event, EXIT_FAILURE);
		return;
	}
	sd_notify(0, "READY=1\nSTATUS=Serving");
	tv_log(LOG_INFO, "version " TV_VERSION " serves as %s", TV_BUS_NAME);
}

static int prepare_loop(sd_event **ret, struct tv_error *error)
{
	int r = sd_event_default(ret);

	if (r >= 0)
		r = catch_signals(*ret);
	if (r >= 0)
		r = sd_event_set_watchdog(*ret, 1);
	return r < 0 ? tv_error_set(error, r, "the event loop: %s", strerror(-r)) : 0;
}

/* The exit code, or an error. */
static int run(const struct options *options, const struct tv_config *config,
	       struct tv_error *error)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	_cleanup_(tv_manager_freep) struct tv_manager *manager = NULL;
	_cleanup_(tv_udev_freep) struct tv_udev *udev = NULL;
	int r;

	r = prepare_loop(&event, error);
	if (r >= 0)
		r = open_bus(options, &bus, error);
	if (r < 0)
		return r;
	r = sd_bus_attach_event(bus, event, 0);
	if (r < 0)
		return tv_error_set(error, r, "the event loop: %s", strerror(-r));
	r = tv_manager_new(event, bus, config, &manager, error);
	if (r >= 0)
		r = add_devices(manager, options, &udev, error);
	if (r >= 0)
		r = add_models(manager, options, error);
	if (r >= 0)
		r = tv_manager_start(manager, on_started, NULL, error);
	if (r < 0)
		return r;
	r = sd_event_loop(event);
	sd_notify(0, "STOPPING=1");
	if (r < 0)
		return tv_error_set(error, r, "the event loop: %s", strerror(-r));
	if (r > 0 && !sd_bus_is_open(bus))
		return tv_error_set(error, -ECONNRESET, "the bus has gone away");
	return r;
}

/* Descriptors as many as the system lets us have: clients bring them. Nothing here uses select(). */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	struct tv_error error = { 0 };
	struct tv_config config;
	int r = parse_options(argc, argv, &options);

	if (r != GO_ON)
		return r;
	/* Peers may close their connections at any time. */
	signal(SIGPIPE, SIG_IGN);
	raise_limit();
	r = read_config(&options, &config, &error);
	if (r < 0) {
		tv_log(LOG_ERR, "%s", error.text);
		return WRONG_CONFIG;
	}
	/* Those that were asked for are all there are in software. */
	if (options.software_count)
		config.software = TV_SOFTWARE_NEVER;
	r = run(&options, &config, &error);
	if (r < 0) {
		tv_log(LOG_ERR, "%s", error.text);
		return EXIT_FAILURE;
	}
	return r;
}
