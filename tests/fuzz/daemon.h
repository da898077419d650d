/* SPDX-License-Identifier: MIT */
/* What the parts of the daemon's fuzzer share: its ends of the connections, and the calls. */
#ifndef TV_TESTS_FUZZ_DAEMON_H
#define TV_TESTS_FUZZ_DAEMON_H

#include <stdlib.h>

#include "daemon/manager.h"

#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#define FUZZ_SENDERS   4
#define FUZZ_PEERS     2
#define FUZZ_MODELS    3
#define FUZZ_QUESTIONS 16
#define FUZZ_PATHS     32

/* A connection past the bus. */
struct fuzz_peer {
	sd_bus *bus; /* NULL: none */
	unsigned int pending; /* calls that have no answer yet */
};

extern struct fuzz {
	sd_event *event;
	sd_bus *daemon; /* its end */
	sd_bus *bus; /* the other one: all clients, and the bus itself */
	struct tv_manager *manager;
	char device[64]; /* path of the one that is there at first */
	struct fuzz_peer peers[FUZZ_PEERS];
	struct {
		unsigned int pending;
		unsigned int lives; /* how often it has left the bus */
	} senders[FUZZ_SENDERS];
	unsigned int pending; /* calls without an answer, of all */
	sd_bus_message *question[FUZZ_QUESTIONS]; /* to polkit */
	unsigned int questions;
	bool agrees; /* from now on polkit allows everything at once */
	char *paths[FUZZ_PATHS]; /* of objects that the daemon has made */
	unsigned int path_count;
	struct {
		uint8_t *data;
		size_t size;
	} models[FUZZ_MODELS];
} fuzz;

/* The input; zeros follow. */
struct reader {
	const uint8_t *at, *end;
};

static inline uint8_t take(struct reader *reader)
{
	return reader->at < reader->end ? *reader->at++ : 0;
}

/* A call, on the bus in the name of a sender or on a connection of one's own. */
void fuzz_call(struct reader *reader, unsigned int sender, const char *name);

#endif
