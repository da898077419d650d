/* SPDX-License-Identifier: MIT */
/* What the engines multiply: data.c keeps it, data-tasks.c computes. */
#ifndef TV_RTL_MODEL_CYCLE_DATA_PRIVATE_H
#define TV_RTL_MODEL_CYCLE_DATA_PRIVATE_H

#include "rtl-model/cycle/machine.h"
#include "rtl-model/functional-private.h"

/* Of a command that engines work on. */
struct command_data {
	struct tv_parameters parameters;
	const uint8_t *input, *shortcut;
	uint8_t *output;
	int16_t *dense; /* [block][input of the reduction][16 outputs] */
	int16_t *taps; /* [tap][channel] */
	uint8_t *outside; /* a pixel of the input outside of the map */
	int32_t *pool; /* sums, [image][channel] */
};

struct data {
	const struct tv_job *job;
	const struct tv_program *program;
	struct tv_segment_view segments[TV_SEGMENT_ONCHIP + 1];
	uint8_t *onchip;
	uint32_t onchip_size;
	struct tv_record record;
	uint64_t faulty; /* commands from there on are not computed; NEVER: all are */
	bool no_memory;
	struct command_data *flights[WINDOW];
	/* Accumulator banks of the tasks on their way. */
	int32_t *banks, **unused;
	size_t bank; /* elements of one */
	unsigned int unused_count;
	/* Between the stages of a chain: of a depthwise one int8 [pixel][channel], of a head the
	 * sums of k^T v and k, then those as factors. */
	uint8_t *tiles[TILES];
	int32_t *products[TILES];
	int16_t *factors[TILES];
	/* Windows of the pixels of a task, [pixel][reduction], and whose they are. */
	int16_t *patches;
	uint64_t patches_command;
	uint32_t patches_pixel, patches_count, patches_group;
};

void compute_dense(struct data *data, const struct work *work, const struct command_data *command,
		   const struct task *task);
void compute_depthwise(const struct work *work, const struct command_data *command,
		       const struct task *task);
void compute_product(struct data *data, const struct work *work, const struct command_data *command,
		     const struct task *task);
void compute_quotient(struct data *data, const struct work *work,
		      const struct command_data *command, const struct task *task);
void compute_pool(const struct work *work, const struct command_data *command,
		  const struct task *task);
void compute_norm(const struct work *work, const struct command_data *command,
		  const struct task *task);

void write_dense(struct data *data, const struct work *work, const struct command_data *command,
		 const struct task *task);
void write_depthwise(struct data *data, const struct work *work, const struct command_data *command,
		     const struct task *task);
void write_product(struct data *data, const struct work *work, const struct command_data *command,
		   const struct task *task);
void write_quotient(const struct work *work, const struct command_data *command,
		    const struct task *task);
void write_pixel(const struct work *work, const struct command_data *command,
		 const struct task *task);

#endif
