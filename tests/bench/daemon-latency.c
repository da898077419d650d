/* SPDX-License-Identifier: MIT */
/*
 * What the daemon adds to a job: an empty call of a plain sd-bus service, a null job on a device
 * that takes no time, and the null job on the device in software take turns.
 * What counts is the time from a call to its reply, less the time that the reply says the device
 * has taken (in whole microseconds, rounded down).
 */
#include "tests/bench/daemon-parts.h"

#define GATE	1.6
#define WARM_UP 500 /* calls of each kind */
/* Calls of a kind before the next kind's: what a service does after its reply takes time from the
 * next call, which should be of the same kind. */
#define IN_TURN 25

enum kind {
	EMPTY,
	INSTANT,
	SOFTWARE,
	KINDS,
};

static const char *const kind_names[KINDS] = { "empty", "instant", "software" };

/* What a way is measured with. */
struct setting {
	const char *name;
	struct way daemon, empty;
	struct bench_session sessions[KINDS]; /* none of the first kind */
};

/* us: medians over the rounds. */
struct summary {
	double p50, p99;
	double ratio, least, most; /* of p50, to that of the empty call in the same round */
};

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int compare_numbers(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts. */
static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare_numbers);
	return values[count / 2];
}

static uint64_t measure_one(const struct setting *setting, enum kind kind)
{
	uint64_t begun = bench_now(), took, usec;

	if (kind != EMPTY) {
		took = bench_run(&setting->daemon, &setting->sessions[kind], &usec);
		return took - usec * 1000;
	}
	bench_call_empty(&setting->empty);
	return bench_now() - begun;
}

/* ns of each call, sorted. */
static void measure(const struct setting *setting, uint64_t *const times[KINDS], unsigned int count)
{
	for (unsigned int i = 0; i < count; i += IN_TURN)
		for (enum kind kind = EMPTY; kind < KINDS; kind++)
			for (unsigned int k = i; k < i + IN_TURN && k < count; k++)
				times[kind][k] = measure_one(setting, kind);
	for (enum kind kind = EMPTY; kind < KINDS; kind++)
		qsort(times[kind], count, sizeof(uint64_t), compare_times);
}

static void measure_rounds(const struct setting *setting, const struct bench_options *options,
			   struct summary ret[KINDS])
{
	const unsigned int count = options->calls, rounds = options->rounds;
	uint64_t *all = calloc(count, KINDS * sizeof(*all));
	uint64_t *const times[KINDS] = { all, all + count, all + 2 * count };
	double *values = calloc(rounds, KINDS * 3 * sizeof(*values)); /* p50, p99, ratio */

	bench_must(all && values ? 0 : -ENOMEM, "memory");
	for (unsigned int i = 0; i < WARM_UP; i += count)
		measure(setting, times, count);
	for (unsigned int i = 0; i < rounds; i++) {
		measure(setting, times, count);
		for (enum kind kind = EMPTY; kind < KINDS; kind++) {
			double *of = values + kind * 3 * rounds + i;

			of[0] = (double)times[kind][count / 2] / 1000;
			of[rounds] = (double)times[kind][count * 99 / 100] / 1000;
			of[2 * rounds] = of[0] / values[i];
		}
	}
	for (enum kind kind = EMPTY; kind < KINDS; kind++) {
		double *of = values + kind * 3 * rounds;

		ret[kind].p50 = median(of, rounds);
		ret[kind].p99 = median(of + rounds, rounds);
		ret[kind].ratio = median(of + 2 * rounds, rounds);
		ret[kind].least = of[2 * rounds];
		ret[kind].most = of[3 * rounds - 1];
	}
	free(values);
	free(all);
}

static void print(const struct setting *setting, const struct summary summaries[KINDS], bool json)
{
	if (json)
		printf("\"%s\": {", setting->name);
	for (enum kind kind = EMPTY; kind < KINDS; kind++) {
		const struct summary *s = &summaries[kind];

		if (json)
			printf("%s\"%s\": {\"p50\": %.2f, \"p99\": %.2f, \"ratio\": %.3f, "
			       "\"least\": %.3f, \"most\": %.3f}",
			       kind ? ", " : "", kind_names[kind], s->p50, s->p99, s->ratio,
			       s->least, s->most);
		else
			printf("%-5s %-9s %8.1f %8.1f %8.2f (%.2f to %.2f)\n",
			       kind ? "" : setting->name, kind_names[kind], s->p50, s->p99,
			       s->ratio, s->least, s->most);
	}
	if (json)
		printf("}, ");
}

static void open_sessions(struct setting *setting, const char *model)
{
	bench_open(&setting->daemon, model, 1, BENCH_INSTANT, &setting->sessions[INSTANT]);
	bench_open(&setting->daemon, model, 1, BENCH_SOFTWARE, &setting->sessions[SOFTWARE]);
}

static void setting_done(struct setting *setting)
{
	bench_close(&setting->daemon, &setting->sessions[INSTANT]);
	bench_close(&setting->daemon, &setting->sessions[SOFTWARE]);
	sd_bus_flush_close_unref(setting->daemon.bus);
	sd_bus_flush_close_unref(setting->empty.bus);
}

bool bench_latency(const struct bench_options *options)
{
	struct setting on_bus = { "bus" }, peer = { "peer" };
	struct setting *const settings[] = { &on_bus, &peer };
	struct bench bench;
	bool good = true;
	char *model;

	bench_pin(options->services);
	bench_start(&bench, false);
	bench_pin(options->client);
	on_bus.daemon = bench_daemon_on_bus(&bench);
	peer.daemon = bench_daemon_peer(&on_bus.daemon);
	on_bus.empty = bench_empty_on_bus(&bench);
	peer.empty = bench_empty_peer(&bench);
	bench_write_null(tv_unit_path("null"), 32);
	model = bench_load(&on_bus.daemon, "null");
	if (options->json)
		printf("\"latency\": {");
	else
		printf("\nNull jobs and empty calls in turn: %u rounds of %u of each, us\n"
		       "%-5s %-9s %8s %8s %8s (gate of instant: %.1f)\n",
		       options->rounds, options->calls, "way", "call", "p50", "p99", "ratio", GATE);
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(settings); i++) {
		struct summary summaries[KINDS];

		open_sessions(settings[i], model);
		measure_rounds(settings[i], options, summaries);
		print(settings[i], summaries, options->json);
		good &= summaries[INSTANT].ratio <= GATE;
	}
	if (options->json)
		printf("\"gate\": %.1f}, ", GATE);
	free(model);
	setting_done(&peer);
	setting_done(&on_bus);
	bench_stop(&bench);
	return good;
}
