/* SPDX-License-Identifier: MIT */
/*
 * How fast the functional model runs the programs of packages, as a whole and by kind of command,
 * on each kernel set that this processor has and on one thread and two, beside the most
 * multiply-accumulates that it can do with results that are exact. All of it takes turns, so that a
 * figure and what it is compared with have seen the same machine; of each the median and the least
 * are printed. One thread's time is its processor time: others may be running.
 *
 *	bench-functional [-r ROUNDS] [-k KERNELS] [-t THREADS] PACKAGE...
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/package.h"
#include "rtl-model/command.h"
#include "rtl-model/functional.h"
#include "rtl-model/kernels.h"
#include "tests/bench/peak.h"
#include "tests/bench/distance.h"
#include "tests/bench/peer.h"

#define ROUNDS_MAX   1000
#define MACHINES_MAX 16
#define WAYS	     3 /* of each kernel set */
#define PEERS_MAX    2
#define REPETITIONS  8 /* of a single command */
#define KIND_SIZE    32
#define KINDS_MAX    16

static void must(int r, const struct tv_error *error)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench-functional: %s\n", error->text);
	exit(1);
}

struct series {
	double values[ROUNDS_MAX];
	unsigned int count;
};

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void add(struct series *series, double value)
{
	series->values[series->count++] = value;
}

static double median(struct series *series)
{
	qsort(series->values, series->count, sizeof(double), compare);
	return series->values[series->count / 2];
}

static double least(struct series *series)
{
	qsort(series->values, series->count, sizeof(double), compare);
	return series->values[0];
}

/* A package's first program with the memory of its job. */
struct bench {
	struct tv_package *package;
	const struct tv_package_program *packed;
	const struct tv_target *target;
	struct tv_job job;
	struct tv_program *program;
	struct machine {
		const struct tv_kernels *kernels;
		const struct way *way;
		struct tv_functional *functional;
		struct tv_prepared *prepared; /* or NULL */
	} machines[MACHINES_MAX];
	unsigned int count;
};

static const struct way {
	const char *name;
	unsigned int threads;
	bool prepared;
} ways[WAYS] = {
	{ "1 thread, not prepared", 1, false },
	{ "1 thread", 1, true },
	{ "2 threads", 2, true },
};

static void add_machine(struct bench *bench, const struct tv_kernels *set, const struct way *way)
{
	struct machine *machine = &bench->machines[bench->count];
	struct tv_error error = { 0 };

	if (bench->count == MACHINES_MAX)
		return;
	*machine = (struct machine){ .kernels = set, .way = way };
	must(tv_functional_new(bench->target, &machine->functional, &error), &error);
	must(tv_functional_set_threads(machine->functional, way->threads, &error), &error);
	tv_functional_set_kernels(machine->functional, set);
	/* All machines of a set share one. */
	if (way->prepared && bench->count && machine[-1].kernels == set)
		machine->prepared = machine[-1].prepared;
	if (way->prepared && !machine->prepared)
		must(tv_prepared_new(set, bench->program, &bench->job.segments[TV_SEGMENT_WEIGHTS],
				     SIZE_MAX, &machine->prepared, &error),
		     &error);
	bench->count++;
}

static void prepare(struct bench *bench, const char *path, const char *kernels,
		    unsigned int threads)
{
	const struct tv_kernels *set;
	struct tv_error error = { 0 };
	uint64_t random = 1;

	*bench = (struct bench){ 0 };
	must(tv_package_read(path, &bench->package, &error), &error);
	bench->packed = &bench->package->programs[0];
	bench->target = tv_target_by_name(bench->packed->target);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		struct tv_segment_view *segment = &bench->job.segments[i];

		segment->size = bench->packed->header.segment[i];
		segment->rights = segment->size ? TV_SEGMENT_READ : 0;
		if (bench->packed->header.writable >> i & 1)
			segment->rights |= TV_SEGMENT_WRITE;
		segment->data = aligned_alloc(64, (segment->size + 64) & ~63u);
		if (i == TV_SEGMENT_PROGRAM)
			memcpy(segment->data, bench->packed->program, segment->size);
		else if (i == TV_SEGMENT_WEIGHTS)
			memcpy(segment->data, bench->packed->weights, segment->size);
		for (uint32_t j = 0; i == TV_SEGMENT_INPUT && j < segment->size; j++) {
			random = random * 6364136223846793005u + 1;
			segment->data[j] = (uint8_t)(random >> 56);
		}
	}
	must(tv_program_decode(bench->target, bench->job.segments, 0, &bench->program, &error),
	     &error);
	for (unsigned int i = 0; (set = tv_kernels_get(i)); i++)
		if (!kernels || !strcmp(kernels, set->name))
			for (unsigned int w = 0; w < WAYS; w++)
				if (!threads || ways[w].threads == threads)
					add_machine(bench, set, &ways[w]);
	if (!bench->count) {
		fprintf(stderr, "bench-functional: no kernels '%s' on this processor\n", kernels);
		exit(1);
	}
}

/* Milliseconds of a job. */
static double run(struct bench *bench, unsigned int index, const struct tv_program *program)
{
	const struct machine *machine = &bench->machines[index];
	const clockid_t clock = machine->way->threads > 1 ? CLOCK_MONOTONIC :
							    CLOCK_THREAD_CPUTIME_ID;
	uint64_t begun = peak_clock(clock);
	struct tv_record record;
	struct tv_error error = { 0 };

	bench->job.prepared = machine->prepared;
	must(tv_functional_execute(machine->functional, &bench->job, program, &record, &error),
	     &error);
	if (record.fault) {
		fprintf(stderr, "bench-functional: command %u: %s\n", record.command, record.why);
		exit(1);
	}
	return (double)(peak_clock(clock) - begun) / 1e6;
}

/* --- peers ---------------------------------------------------------------------------------- */

static const struct peer *const peers[] = {
#ifdef TV_HAVE_ONEDNN
	&peer_onednn,
#endif
#ifdef TV_HAVE_XNNPACK
	&peer_xnnpack,
#endif
	NULL,
};

/* The convolutions of a program. */
struct layers {
	struct peer_layer layer[512];
	unsigned int count;
	double macs;
	void *prepared[PEERS_MAX][512];
};

static void add_layer(struct layers *layers, const struct tv_command *c, bool second)
{
	const struct tv_stage *stage = &c->stage[second];
	bool depthwise = !second && (c->opcode == TV_OP_DEPTHWISE || c->opcode == TV_OP_SEPARABLE);
	struct peer_layer *layer = &layers->layer[layers->count++];

	*layer = (struct peer_layer){
		.images = c->images,
		.height = second ? tv_map_height(c) : c->height,
		.width = second ? tv_map_width(c) : c->width,
		.in = c->channels,
		.out = depthwise ? c->channels : c->out_channels,
		.kernel = stage->kernel,
		.stride = stage->stride,
		.groups = depthwise ? c->channels : c->groups,
	};
	layers->macs += (double)c->images * tv_map_height(c) * tv_map_width(c) * layer->out *
			layer->in / layer->groups * stage->kernel * stage->kernel;
}

static void prepare_peers(const struct tv_program *program, struct layers *layers)
{
	for (uint32_t i = 0; i < program->count && layers->count < 500; i++) {
		const struct tv_command *command = &program->commands[i];

		if (command->opcode == TV_OP_CONV || command->opcode == TV_OP_CONV_POOL ||
		    command->opcode == TV_OP_DEPTHWISE || command->opcode == TV_OP_SEPARABLE)
			add_layer(layers, command, false);
		if (command->opcode == TV_OP_SEPARABLE)
			add_layer(layers, command, true);
	}
	for (size_t p = 0; peers[p]; p++)
		for (unsigned int i = 0; i < layers->count; i++) {
			layers->prepared[p][i] = peers[p]->prepare(&layers->layer[i]);
			if (!layers->prepared[p][i])
				fprintf(stderr, "bench-functional: %s: no layer %u\n",
					peers[p]->name, i);
		}
}

/* Milliseconds of all of them. */
static double run_peer(const struct layers *layers, size_t peer)
{
	uint64_t begun = peak_clock(CLOCK_THREAD_CPUTIME_ID);

	for (unsigned int i = 0; i < layers->count; i++)
		if (layers->prepared[peer][i])
			peers[peer]->run(layers->prepared[peer][i]);
	return (double)(peak_clock(CLOCK_THREAD_CPUTIME_ID) - begun) / 1e6;
}

/* --- by kind -------------------------------------------------------------------------------- */

static void kind_of(const struct tv_command *command, char *ret)
{
	const struct tv_stage *stage = &command->stage[0];
	bool linear = command->height * command->width == 1;

	if (command->opcode == TV_OP_CONV && linear)
		snprintf(ret, KIND_SIZE, "linear");
	else
		snprintf(ret, KIND_SIZE, "%s %ux%u%s", tv_opcode_name(command->opcode),
			 stage->kernel, stage->kernel, command->groups > 1 ? ", grouped" : "");
}

struct kind {
	char name[KIND_SIZE];
	double ms[MACHINES_MAX];
	uint64_t macs;
};

static struct kind *find_kind(struct kind *kinds, unsigned int *count, const char *name)
{
	for (unsigned int i = 0; i < *count; i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	snprintf(kinds[*count].name, KIND_SIZE, "%s", name);
	return &kinds[(*count)++];
}

/* A command by itself, several times in one job; the job around it is measured too. What it reads
 * is in the cache as far as there is room. */
static double run_command(struct bench *bench, unsigned int machine, uint32_t index)
{
	struct tv_command commands[REPETITIONS];
	uint64_t steps[REPETITIONS] = { 0 };
	struct tv_program some = { .header = bench->program->header,
				   .commands = commands,
				   .steps = steps,
				   .count = REPETITIONS };
	struct tv_prepared **prepared = &bench->machines[machine].prepared, *of_job = *prepared;
	struct series whole = { .count = 0 };
	struct tv_error error = { 0 };

	for (unsigned int i = 0; i < REPETITIONS; i++)
		commands[i] = bench->program->commands[index];
	must(tv_prepared_new(bench->machines[machine].kernels, &some,
			     &bench->job.segments[TV_SEGMENT_WEIGHTS], SIZE_MAX, prepared, &error),
	     &error);
	for (unsigned int i = 0; i < 7; i++)
		add(&whole, run(bench, machine, &some));
	tv_prepared_unref(*prepared);
	*prepared = of_job;
	return least(&whole) / REPETITIONS;
}

static bool by_kind(const struct bench *bench, unsigned int machine)
{
	return &ways[1] == bench->machines[machine].way;
}

static void run_kinds(struct bench *bench)
{
	struct kind kinds[KINDS_MAX] = { 0 };
	unsigned int count = 0;
	char name[KIND_SIZE];
	double sum;

	for (uint32_t i = 0; i < bench->program->count; i++) {
		const struct tv_command *command = &bench->program->commands[i];
		struct kind *kind;

		if (command->opcode == TV_OP_COPY)
			continue;
		kind_of(command, name);
		kind = find_kind(kinds, &count, name);
		kind->macs += tv_command_macs(command);
		for (unsigned int m = 0; m < bench->count; m++)
			if (by_kind(bench, m))
				kind->ms[m] += run_command(bench, m, i);
	}
	for (unsigned int i = 0; i < count; i++) {
		printf("  %-22s %6.1f MMACs", kinds[i].name, (double)kinds[i].macs / 1e6);
		for (unsigned int m = 0; m < bench->count; m++)
			if (by_kind(bench, m))
				printf("  %s %.3f ms", bench->machines[m].kernels->name,
				       kinds[i].ms[m]);
		putchar('\n');
	}
	printf("  %-35s", "all, their operands in the cache");
	for (unsigned int m = 0; m < bench->count; m++) {
		if (!by_kind(bench, m))
			continue;
		sum = 0;
		for (unsigned int i = 0; i < count; i++)
			sum += kinds[i].ms[m];
		printf("  %s %.3f ms", bench->machines[m].kernels->name, sum);
	}
	putchar('\n');
}

static void run_package(const char *path, const char *kernels, unsigned int threads,
			unsigned int rounds)
{
	struct series jobs[MACHINES_MAX] = { 0 }, peaks[PEAKS] = { 0 };
	struct series others[PEERS_MAX] = { 0 }, distances = { 0 };
	struct layers *layers = calloc(1, sizeof(*layers));
	struct bench bench;
	double macs;

	prepare(&bench, path, kernels, threads);
	macs = (double)bench.package->macs * bench.program->header.images;
	prepare_peers(bench.program, layers);
	for (unsigned int m = 0; m < bench.count; m++)
		run(&bench, m, bench.program);
	for (size_t p = 0; peers[p]; p++)
		run_peer(layers, p);
	for (unsigned int r = 0; r < rounds; r++) {
		add(&distances, distance_ns());
		for (unsigned int p = 0; p < PEAKS; p++)
			if (peak_present(p))
				add(&peaks[p], peak_macs(p) / 1e9);
		for (unsigned int m = 0; m < bench.count; m++) {
			run(&bench, m, bench.program);
			add(&jobs[m], run(&bench, m, bench.program));
		}
		for (size_t p = 0; peers[p]; p++) {
			run_peer(layers, p);
			add(&others[p], run_peer(layers, p));
		}
	}
	printf("%s: %.1f MMACs a job, %u rounds\n", path, macs / 1e6, rounds);
	printf("  a line of the cache from a processor to another and back %28.0f ns\n",
	       median(&distances));
	for (unsigned int p = 0; p < PEAKS; p++)
		if (peak_present(p))
			printf("  peak %-22s median %7.1f GMAC/s: %6.3f ms\n", peak_names[p],
			       median(&peaks[p]), macs / median(&peaks[p]) / 1e6);
	for (unsigned int m = 0; m < bench.count; m++) {
		const struct machine *machine = &bench.machines[m];
		const bool single = machine->way->threads == 1;

		printf("  ours %-9s %-22s median %7.3f ms, least %7.3f ms", machine->kernels->name,
		       machine->way->name, median(&jobs[m]), least(&jobs[m]));
		if (!single && m)
			printf(": %.2f times as fast, least %.2f times",
			       median(&jobs[m - 1]) / median(&jobs[m]),
			       least(&jobs[m - 1]) / least(&jobs[m]));
		for (unsigned int p = 0; p < PEAKS && single; p++)
			if (peak_present(p))
				printf(", %.2f x %s",
				       median(&jobs[m]) * median(&peaks[p]) * 1e6 / macs,
				       peak_names[p]);
		putchar('\n');
	}
	for (size_t p = 0; peers[p]; p++)
		printf("  peer %-18s  median %7.3f ms, least %7.3f ms: %u convolutions, %.1f "
		       "MMACs\n",
		       peers[p]->name, median(&others[p]), least(&others[p]), layers->count,
		       layers->macs / 1e6);
#ifndef TV_HAVE_ONEDNN
	printf("  peer oneDNN skipped: libdnnl-dev is not installed\n");
#endif
#ifndef TV_HAVE_XNNPACK
	printf("  peer XNNPACK skipped: libxnnpack-dev or libpthreadpool-dev is not installed\n");
#endif
	run_kinds(&bench);
}

int main(int argc, char **argv)
{
	unsigned int rounds = 25, threads = 0;
	const char *kernels = NULL;
	int option;

	/* oneDNN's threads are OpenMP's, which reads that as it is loaded. */
	if (!getenv("OMP_NUM_THREADS")) {
		setenv("OMP_NUM_THREADS", "1", 1);
		execv("/proc/self/exe", argv);
	}
	while ((option = getopt(argc, argv, "r:k:t:")) != -1)
		switch (option) {
		case 'r':
			rounds = (unsigned int)atoi(optarg);
			break;
		case 't':
			threads = (unsigned int)atoi(optarg);
			break;
		case 'k':
			kernels = optarg;
			break;
		default:
			return 2;
		}
	if (rounds < 1 || rounds > ROUNDS_MAX)
		rounds = ROUNDS_MAX;
	for (; optind < argc; optind++)
		run_package(argv[optind], kernels, threads, rounds);
	return 0;
}
