/* SPDX-License-Identifier: MIT */
/*
 * triovit-sim: one file a command, one row a command in sim.c. What the commands share is here: how
 * they read options, how they fail, how they print.
 */
#ifndef TV_TOOLS_SIM_H
#define TV_TOOLS_SIM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "quantizer/network.h"

#define SIM_WRONG_USAGE 2 /* exit code */
#define SIM_THREADS_MAX 1024
#define SIM_GO_ON	(-1) /* no exit code: the options are read, the work can begin */

struct sim_command {
	const char *name;
	const char *arguments; /* of the usage line */
	const char *summary; /* one line for the list of commands */
	const char *help; /* what the arguments and options are, whole lines */
	/* argv[0] is "triovit-sim NAME", for getopt's messages. Returns the exit code. */
	int (*run)(const struct sim_command *self, int argc, char **argv);
};

extern const struct sim_command sim_ablate, sim_compare, sim_dump, sim_estimate, sim_eval,
	sim_inspect, sim_random, sim_run;

/* Prints a command's help and returns EXIT_SUCCESS. */
int sim_help(const struct sim_command *command);

/* Prints "triovit-sim NAME: ..." and where help is, and returns SIM_WRONG_USAGE. Without a format
 * only where help is, after getopt() has said what is wrong. */
int sim_wrong_usage(const struct sim_command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints the error as "triovit-sim: ..." and returns EXIT_FAILURE. */
int sim_fail(const struct tv_error *error);

/* Option values. They return 0, or SIM_WRONG_USAGE after saying what the option may be. */
int sim_parse_number(const struct sim_command *command, const char *option, const char *text,
		     uint64_t least, uint64_t most, uint64_t *ret);
int sim_parse_unsigned(const struct sim_command *command, const char *option, const char *text,
		       unsigned int least, unsigned int most, unsigned int *ret);
/* An input size: a multiple of 32. */
int sim_parse_size(const struct sim_command *command, const char *text, unsigned int *ret);
/* A share in (0, 1]. */
int sim_parse_ratio(const struct sim_command *command, const char *option, const char *text,
		    double *ret);

/* "b0" to "b3" whatever the number of classes, NULL for another member of the family. */
const char *sim_architecture_name(const struct tv_architecture *architecture);
/* "EfficientViT-B0, 16 classes, input 96x96" on one line of standard output. */
void sim_print_architecture(const struct tv_network *network);

/* Strings from files with their control characters replaced, so that they cannot speak to the
 * terminal. Returns text. */
char *sim_printable(char *text);

/* A table of text: cells from left to right, row after row; the first row is the heading. */
struct sim_table {
	unsigned int columns;
	unsigned int left; /* so many columns are aligned to the left, the others to the right */
	char **cells;
	size_t count, room;
	bool failed; /* out of memory */
};

void sim_table_add(struct sim_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints the table to standard output, and with indent blanks before each row. -ENOMEM if not all
 * cells could be kept. */
int sim_table_print(const struct sim_table *table, unsigned int indent, struct tv_error *error);
void sim_table_done(struct sim_table *table);

/* A JSON string of any bytes: what is no UTF-8 becomes U+FFFD. NULL: out of memory. */
json_t *sim_json_string(const char *text);
json_t *sim_json_unsigned(const unsigned int *values, size_t count);
json_t *sim_json_float(const float *values, size_t count);
/* The b0 to b3 name (or null) and every figure of an architecture. */
json_t *sim_json_architecture(const struct tv_architecture *architecture);
/* Prints root to standard output. NULL stands for a root that could not be built: -ENOMEM. */
int sim_json_print(const json_t *root, struct tv_error *error);

#endif
