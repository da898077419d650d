/* SPDX-License-Identifier: MIT */
/*
 * What a benchmark of the daemon consists of: a bus, the daemon, and beside it a service that does
 * nothing but answer, with the same library; each is a process of its own, on the processor that
 * it was started on. Both services are reached through the bus and over a connection without it.
 */
#ifndef TV_TESTS_BENCH_DAEMON_PARTS_H
#define TV_TESTS_BENCH_DAEMON_PARTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/unit/bus.h"

#define EMPTY_NAME "org.triovit.Empty"
#define EMPTY_PATH "/org/triovit/Empty"

/* The daemon's devices. On the instant one a job has ended when it is submitted, so what a run on
 * it takes is the daemon's own doing. */
#define BENCH_INSTANT  "kv260"
#define BENCH_SOFTWARE "zcu102"

/* The longest turn of the daemon's loop so far, in ns: from one wait for events to the next. */
struct loop_times {
	_Atomic uint64_t wall; /* on the clock */
	_Atomic uint64_t own; /* without the time in which it could have run and another did */
	_Atomic uint64_t processor; /* that it used itself */
	_Atomic uint64_t turns;
};

struct bench {
	struct bus_daemon bus;
	pid_t daemon, empty;
	struct loop_times *loop; /* shared with the daemon; all 0 unless it is watched */
	int empty_socket; /* of the connection to the empty service */
};

/* watched: times are taken of each turn, which costs it some us. */
void bench_start(struct bench *bench, bool watched);
void bench_stop(struct bench *bench);

/* A way to a service: with a bus in between or, destination NULL, without. */
struct way {
	sd_bus *bus;
	const char *destination;
};

struct way bench_daemon_on_bus(const struct bench *bench);
/* Asked for on the other, which has to stay open. */
struct way bench_daemon_peer(const struct way *on_bus);
struct way bench_empty_on_bus(const struct bench *bench);
struct way bench_empty_peer(const struct bench *bench);

/* The reply; an error ends the program. */
sd_bus_message *bench_call(const struct way *way, const char *path, const char *interface,
			   const char *method, const char *types, ...);
/* Method Nothing of the empty service. */
void bench_call_empty(const struct way *way);

struct bench_session {
	char path[128];
	uint32_t slots;
	uint64_t slot_size, input_size;
	uint8_t *memory;
};

/* A file of tv_unit_directory. Returns the model's path, to be freed. */
char *bench_load(const struct way *way, const char *file);
char *bench_load_fd(const struct way *way, int fd);
void bench_open(const struct way *way, const char *model, uint32_t slots, const char *target,
		struct bench_session *ret);
void bench_close(const struct way *way, struct bench_session *session);
/* One run on slot 0. Returns the ns from the call to the reply, and the whole us on the device. */
uint64_t bench_run(const struct way *way, const struct bench_session *session,
		   uint64_t *ret_device_usec);
/* The daemon's BytesCopied. */
uint64_t bench_copied(const struct way *way);

/* Package files. Of the null job: one command that copies two bytes, for both devices. */
void bench_write_null(const char *path, unsigned int size);
/* Of a network with parameters at random. */
void bench_write_network(const char *path, const char *name, unsigned int size);

uint64_t bench_now(void); /* ns */
void bench_pin(int cpu); /* the thread, and what it starts; -1: nothing */

/* What is asked of the program. */
struct bench_options {
	int client, services; /* processors, or -1: any */
	unsigned int rounds, calls; /* calls of each kind in a round */
	bool json;
};

struct tv_manager;
void bench_add_instant(struct tv_manager *manager);
/* Once the daemon has tested its devices: this one computes nothing, and has failed. */
void bench_trust_instant(void);

/* The parts of the benchmark: print what they measure, as a member of an object where JSON is
 * wanted, and return whether it is as it has to be. */
bool bench_latency(const struct bench_options *options);
bool bench_bytes(const struct bench_options *options);
bool bench_stalls(const struct bench_options *options);

/* Ends the program with a text unless what was returned is 0 or more. */
int bench_must(int r, const char *what);

#endif
