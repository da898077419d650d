/* SPDX-License-Identifier: MIT */
/*
 * How long the daemon's loop is busy at a time, in phases: while nothing is asked of it, and while
 * a large model is loaded, gets sessions, runs and goes. "own" counts: a turn of the loop without
 * the time in which the thread could have run and the kernel ran another, which is the machine's
 * load. A thread of the benchmark pings the daemon and the empty service in turn each millisecond;
 * the difference of the longest pings is what a client would notice. Nothing is pinned.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "common/file.h"
#include "tests/bench/daemon-parts.h"

#define GATE	    5000.0 /* us */
#define NETWORK	    "b3"
#define SIZE	    288
#define FILE_NAME   "network"
#define LOADS	    3
#define SESSIONS    10
#define SLOTS	    16
#define RUNS	    3
#define IDLE_TIME_S 2

struct pinger {
	pthread_t thread;
	struct way daemon, empty;
	_Atomic uint64_t longest[2]; /* ns: of the daemon, of the empty service */
	atomic_bool stop;
};

struct work {
	struct bench bench;
	struct way way;
	struct pinger pinger;
	char *model;
};

/* --- pings ----------------------------------------------------------------------------------- */

static void ping(const struct way *way, const char *path, _Atomic uint64_t *longest)
{
	uint64_t begun = bench_now(), took;

	sd_bus_message_unref(bench_call(way, path, "org.freedesktop.DBus.Peer", "Ping", NULL));
	took = bench_now() - begun;
	if (took > atomic_load(longest))
		atomic_store(longest, took);
}

static void *keep_pinging(void *argument)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct pinger *pinger = argument;

	while (!atomic_load(&pinger->stop)) {
		ping(&pinger->daemon, "/org/triovit/Accelerator1", &pinger->longest[0]);
		ping(&pinger->empty, EMPTY_PATH, &pinger->longest[1]);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* --- phases ---------------------------------------------------------------------------------- */

static void be_idle(struct work *work)
{
	nanosleep(&(struct timespec){ .tv_sec = IDLE_TIME_S }, NULL);
}

static void unload(struct work *work)
{
	sd_bus_message_unref(bench_call(&work->way, work->model, "org.triovit.Accelerator1.Model",
					"Unload", NULL));
	free(work->model);
	work->model = NULL;
}

static void load_file(struct work *work)
{
	for (unsigned int i = 0; i < LOADS; i++) {
		work->model = bench_load(&work->way, FILE_NAME);
		unload(work);
	}
}

/* The file's bytes, sealed. */
static int make_memfd(void)
{
	int fd = bench_must(memfd_create(FILE_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd");
	struct tv_error error = { 0 };
	uint8_t *bytes = NULL;
	size_t size = 0;

	bench_must(tv_file_read(tv_unit_path(FILE_NAME), UINT32_MAX, &bytes, &size, &error),
		   error.text);
	for (size_t at = 0; at < size;)
		at += (size_t)bench_must((int)write(fd, bytes + at, size - at), "memfd");
	free(bytes);
	bench_must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL),
		   "seals");
	return fd;
}

static void load_memfd(struct work *work)
{
	int fd = make_memfd();

	for (unsigned int i = 0; i < LOADS; i++) {
		if (work->model)
			unload(work);
		work->model = bench_load_fd(&work->way, fd);
	}
	close(fd);
}

static void open_sessions(struct work *work)
{
	struct bench_session session;

	for (unsigned int i = 0; i < SESSIONS; i++) {
		bench_open(&work->way, work->model, SLOTS, BENCH_SOFTWARE, &session);
		memset(session.memory, (int)i, session.slots * session.slot_size);
		bench_close(&work->way, &session);
	}
}

static void run(struct work *work)
{
	struct bench_session session;
	uint64_t usec;

	bench_open(&work->way, work->model, SLOTS, BENCH_SOFTWARE, &session);
	for (unsigned int i = 0; i < RUNS; i++)
		bench_run(&work->way, &session, &usec);
	bench_close(&work->way, &session);
}

static const struct {
	const char *name;
	void (*run)(struct work *work);
} phases[] = {
	{ "idle", be_idle },
	{ "load from a file", load_file },
	{ "load a memfd", load_memfd },
	{ "sessions", open_sessions },
	{ "runs", run },
	{ "unload", unload },
};

/* --- the whole ------------------------------------------------------------------------------- */

/* us since the last time. */
static double take(_Atomic uint64_t *longest)
{
	return (double)atomic_exchange(longest, 0) / 1000;
}

static bool measure(struct work *work, unsigned int phase, bool json)
{
	struct loop_times *loop = work->bench.loop;
	uint64_t begun = bench_now();
	double seconds, wall, own, processor, daemon, empty;

	atomic_store(&loop->turns, 0);
	take(&loop->wall), take(&loop->own), take(&loop->processor);
	take(&work->pinger.longest[0]), take(&work->pinger.longest[1]);
	phases[phase].run(work);
	/* What is released once the reply is out. */
	nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
	seconds = (double)(bench_now() - begun) / 1e9;
	wall = take(&loop->wall), own = take(&loop->own), processor = take(&loop->processor);
	daemon = take(&work->pinger.longest[0]), empty = take(&work->pinger.longest[1]);
	printf(json ? "%s\"%s\": {\"seconds\": %.1f, \"turns\": %" PRIu64
		      ", \"own\": %.0f, \"processor\": %.0f, \"wall\": %.0f, "
		      "\"ping\": %.0f, \"ping_empty\": %.0f}" :
		      "%s%-17s %8.1f %8" PRIu64 " %8.0f %9.0f %8.0f %8.0f %8.0f\n",
	       json && phase ? ", " : "", phases[phase].name, seconds, atomic_load(&loop->turns),
	       own, processor, wall, daemon, empty);
	return own < GATE;
}

bool bench_stalls(const struct bench_options *options)
{
	struct work work = { 0 };
	bool good = true;

	bench_write_network(tv_unit_path(FILE_NAME), NETWORK, SIZE);
	bench_start(&work.bench, true);
	work.way = bench_daemon_on_bus(&work.bench);
	work.pinger.daemon = bench_daemon_peer(&work.way);
	work.pinger.empty = bench_empty_peer(&work.bench);
	bench_must(-pthread_create(&work.pinger.thread, NULL, keep_pinging, &work.pinger),
		   "a thread");
	if (options->json)
		printf("\"stalls\": {");
	else
		printf("\nLongest turns of the loop with " NETWORK " at %d, and longest pings, us "
		       "(gate of own: %.0f)\n%-17s %8s %8s %8s %9s %8s %8s %8s\n",
		       SIZE, GATE, "phase", "seconds", "turns", "own", "processor", "wall", "ping",
		       "of empty");
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(phases); i++)
		good &= measure(&work, i, options->json);
	if (options->json)
		printf(", \"gate\": %.0f}, ", GATE);
	atomic_store(&work.pinger.stop, true);
	pthread_join(work.pinger.thread, NULL);
	sd_bus_flush_close_unref(work.pinger.daemon.bus);
	sd_bus_flush_close_unref(work.pinger.empty.bus);
	sd_bus_flush_close_unref(work.way.bus);
	bench_stop(&work.bench);
	return good;
}
