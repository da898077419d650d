/* SPDX-License-Identifier: MIT */
/* What the decoder does with a command before any engine sees it: the checks, and the list of what
 * the command will touch. Functional model, cycle model and compiler share it. */
#ifndef TV_RTL_MODEL_COMMAND_H
#define TV_RTL_MODEL_COMMAND_H

#include <stdbool.h>

#include "rtl-model/target.h"

/* NULL where every field is in its range for the target, else what is wrong: the command ends its
 * job with TV_FAULT_BAD_COMMAND. Parameter records are checked when they are read. */
const char *tv_command_check(const struct tv_command *command, const struct tv_target *target);

/* The same for what a channel's or a head's record says. */
const char *tv_channel_check(const struct tv_channel *channel, bool norm);
const char *tv_head_check(const struct tv_head *head);

/* A range of bytes that a command reads or writes, from the first to the last it may touch. */
struct tv_access {
	uint8_t segment;
	uint8_t right; /* TV_SEGMENT_READ or TV_SEGMENT_WRITE */
	uint32_t offset;
	uint64_t size;
};

#define TV_ACCESSES_MAX 4

/* In the order in which they are checked: weights, input, shortcut, output. Of a command that
 * tv_command_check() accepts. Returns how many. */
unsigned int tv_command_accesses(const struct tv_command *command,
				 struct tv_access ret[TV_ACCESSES_MAX]);

/* Multiply-accumulates of the command, as the network counts them. */
uint64_t tv_command_macs(const struct tv_command *command);

/* Where the weights that command i reads are before the job: where the COPY that brings them on
 * chip has them from, if one does. */
struct tv_operand tv_weights_source(const struct tv_command *commands, uint32_t i);

const char *tv_opcode_name(unsigned int opcode);
const char *tv_fault_name(enum tv_fault fault);

#endif
