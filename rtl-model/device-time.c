/* SPDX-License-Identifier: MIT */
/* How long jobs take. A driver queues the same few programs over and over, so what the cycle model
 * said of a program behind another is kept. */
#include <stdlib.h>
#include <string.h>

#include "rtl-model/device-private.h"

enum {
	TIMES = 8,
	COMMANDS_MAX = 4096 /* of a program whose time is kept */
};

struct time {
	struct tv_command *commands[2]; /* of the program before, NULL: none; and of this one */
	uint32_t count[2], onchip[2];
	struct tv_cycle_job job;
	uint64_t *finish;
	uint64_t used;
};

struct tv_device_times {
	struct time times[TIMES];
	uint64_t uses;
};

struct tv_device_times *tv_device_times_new(void)
{
	return calloc(1, sizeof(struct tv_device_times));
}

static void forget(struct time *time)
{
	free(time->commands[0]);
	free(time->commands[1]);
	free(time->finish);
	*time = (struct time){ .used = 0 };
}

void tv_device_times_free(struct tv_device_times *times)
{
	if (!times)
		return;
	for (unsigned int i = 0; i < TIMES; i++)
		forget(&times->times[i]);
	free(times);
}

static bool is_same(const struct time *time, unsigned int which, const struct tv_program *program)
{
	if (!program || !time->commands[which])
		return !program && !time->commands[which];
	return time->count[which] == program->count &&
	       time->onchip[which] == program->header.onchip &&
	       (!program->count || memcmp(time->commands[which], program->commands,
					  program->count * sizeof(*program->commands)) == 0);
}

static struct time *find(struct tv_device_times *times, const struct tv_program *previous,
			 const struct tv_program *program)
{
	for (unsigned int i = 0; i < TIMES; i++) {
		struct time *time = &times->times[i];

		if (time->used && is_same(time, 0, previous) && is_same(time, 1, program))
			return time;
	}
	return NULL;
}

static bool keep_program(struct time *time, unsigned int which, const struct tv_program *program)
{
	if (!program)
		return true;
	time->commands[which] = calloc(program->count + 1, sizeof(*program->commands));
	if (!time->commands[which])
		return false;
	if (program->count)
		memcpy(time->commands[which], program->commands,
		       program->count * sizeof(*program->commands));
	time->count[which] = program->count;
	time->onchip[which] = program->header.onchip;
	return true;
}

/* In the place of the one that was not used for the longest time; not at all without memory. */
static void keep(struct tv_device_times *times, const struct tv_program *previous,
		 const struct tv_program *program, const struct tv_cycle_job *job,
		 const uint64_t *finish)
{
	struct time *oldest = &times->times[0];

	if (program->count > COMMANDS_MAX || (previous && previous->count > COMMANDS_MAX))
		return;
	for (unsigned int i = 1; i < TIMES; i++)
		if (times->times[i].used < oldest->used)
			oldest = &times->times[i];
	forget(oldest);
	oldest->finish = malloc((program->count + 1) * sizeof(*finish));
	if (!oldest->finish || !keep_program(oldest, 0, previous) ||
	    !keep_program(oldest, 1, program)) {
		forget(oldest);
		return;
	}
	memcpy(oldest->finish, finish, program->count * sizeof(*finish));
	oldest->job = *job;
	oldest->used = ++times->uses;
}

static struct tv_cycle_program timed(const struct tv_program *program)
{
	return (struct tv_cycle_program){ program->header.onchip, program->commands,
					  program->count };
}

int tv_device_time(struct tv_device_times *times, const struct tv_target *target,
		   const struct tv_program *previous, const struct tv_program *program,
		   const atomic_bool *cancel, struct tv_cycle_job *ret, uint64_t *ret_finish)
{
	_cleanup_free_ struct tv_cycle_command *commands = NULL;
	struct time *known = find(times, previous, program);
	struct tv_cycle_program before, now = timed(program);
	struct tv_error error = { 0 };
	int r;

	if (known) {
		known->used = ++times->uses;
		*ret = known->job;
		memcpy(ret_finish, known->finish, program->count * sizeof(*ret_finish));
		return 0;
	}
	commands = calloc(program->count + 1, sizeof(*commands));
	if (!commands)
		return tv_error_oom(&error);
	if (previous)
		before = timed(previous);
	r = tv_cycle_of_job(target, previous ? &before : NULL, &now, cancel, ret, commands, &error);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < program->count; i++)
		ret_finish[i] = commands[i].end;
	keep(times, previous, program, ret, ret_finish);
	return 0;
}
