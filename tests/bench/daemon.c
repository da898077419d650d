/* SPDX-License-Identifier: MIT */
/* Benchmarks of the daemon; see the help text. */
#include <getopt.h>

#include "tests/bench/daemon-parts.h"

#define WRONG_USAGE 2

static const char help_text[] =
	"usage: bench-daemon [OPTION...] [PART...]\n"
	"\n"
	"Measures the daemon on a bus of its own; all parts if none is named. Where others use\n"
	"the machine too, latency is measured under chrt -f 1 (not stalls: workers would get\n"
	"that, too).\n"
	"\n"
	"Parts:\n"
	"  latency  what it adds to a null job, through dbus-daemon and over a connection of the\n"
	"           client's own, compared with an empty call of a plain sd-bus service\n"
	"  bytes    bytes in its system calls, and its own count of copied bytes, while images go\n"
	"           through (needs strace)\n"
	"  stalls   how long its loop is busy at a time while B3 at 288x288 is loaded and runs\n"
	"\n"
	"Options:\n"
	"      --cpus CLIENT,SERVICES  processors of the client, and of bus and services; -1: any\n"
	"                              (default 0,0)\n"
	"      --rounds N              of the latency (default 15)\n"
	"      --calls N               of each kind in a round (default 1000)\n"
	"      --json\n"
	"  -h, --help\n"
	"\n"
	"Exit codes: 0 all is within its bounds; 1 it is not, or something failed; 2 wrong "
	"usage.\n";

static const struct {
	const char *name;
	bool (*run)(const struct bench_options *options);
} parts[] = {
	{ "latency", bench_latency },
	{ "bytes", bench_bytes },
	{ "stalls", bench_stalls },
};

static void wrong_usage(const char *value)
{
	fprintf(stderr, "bench-daemon: '%s'?\nTry 'bench-daemon --help'.\n", value);
	exit(WRONG_USAGE);
}

static unsigned int parse_count(const char *text)
{
	char *end;
	unsigned long count = strtoul(text, &end, 10);

	if (*end || !count || count > 1000000)
		wrong_usage(text);
	return (unsigned int)count;
}

static void parse_options(int argc, char **argv, struct bench_options *ret)
{
	enum {
		CPUS = 256,
		ROUNDS,
		CALLS,
		JSON,
	};
	static const struct option known[] = {
		{ "cpus", required_argument, NULL, CPUS },
		{ "rounds", required_argument, NULL, ROUNDS },
		{ "calls", required_argument, NULL, CALLS },
		{ "json", no_argument, NULL, JSON },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", known, NULL)) >= 0) {
		switch (option) {
		case CPUS:
			if (sscanf(optarg, "%d,%d", &ret->client, &ret->services) != 2)
				wrong_usage(optarg);
			break;
		case ROUNDS:
			ret->rounds = parse_count(optarg);
			break;
		case CALLS:
			ret->calls = parse_count(optarg);
			break;
		case JSON:
			ret->json = true;
			break;
		case 'h':
			fputs(help_text, stdout);
			exit(EXIT_SUCCESS);
		default:
			wrong_usage(argv[optind - 1]);
		}
	}
}

static bool run(const char *name, const struct bench_options *options)
{
	unsigned int i = 0;

	while (strcmp(parts[i].name, name))
		i++;
	return parts[i].run(options);
}

int main(int argc, char **argv)
{
	struct bench_options options = { .rounds = 15, .calls = 1000 };
	bool good = true;

	parse_options(argc, argv, &options);
	if (options.json)
		printf("{\"cpus\": [%d, %d], ", options.client, options.services);
	else
		printf("client on processor %d, bus and services on %d\n", options.client,
		       options.services);
	tv_unit_directory_make();
	for (int i = optind; i < argc; i++)
		good &= run(argv[i], &options);
	for (unsigned int i = 0; optind == argc && i < TV_ARRAY_SIZE(parts); i++)
		good &= parts[i].run(&options);
	if (options.json)
		printf("\"good\": %s}\n", good ? "true" : "false");
	tv_unit_directory_remove();
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
