/* SPDX-License-Identifier: MIT */
/*
 * The integer network: a package's program on the functional model, from RGB bytes to int16 logits.
 * One runner is one thread's machine and memory; runners of one package may work at the same time.
 * What comes out depends on package and images alone.
 */
#ifndef TV_QUANTIZER_INTEGER_H
#define TV_QUANTIZER_INTEGER_H

#include "model/package.h"
#include "rtl-model/functional.h"

/* A node's value for one image, valid during the call. */
struct tv_integer_value {
	const struct tv_package_node *node;
	size_t index; /* of the node */
	unsigned int image; /* of those given to tv_integer_run() */
	unsigned int height, width;
	uint32_t channels;
	bool wide; /* the codes are int16_t, else int8_t */
	const void *codes; /* [height][width][channels] */
};

typedef void (*tv_integer_observer)(const struct tv_integer_value *value, void *userdata);

/* The code at an index. */
static inline int tv_integer_code(const struct tv_integer_value *value, size_t index)
{
	return value->wide ? ((const int16_t *)value->codes)[index] :
			     ((const int8_t *)value->codes)[index];
}

/* What it stands for in the float network. */
static inline float tv_integer_real(const struct tv_integer_value *value, size_t index)
{
	const uint32_t c = (uint32_t)(index % value->channels);

	return value->node->scale[c] * (float)tv_integer_code(value, index) +
	       value->node->offset[c];
}

struct tv_integer_runner;

/* Where *target is NULL, the built-in one that a program is for. -EINVAL if there is none. */
int tv_integer_target(const struct tv_package_program *program, const struct tv_target **target,
		      struct tv_error *error);

/* program: one of the package's; target: what it is made for, or NULL for the built-in one of that
 * name. The package must outlive the runner, and from now on nobody writes its memory. */
int tv_integer_runner_new(const struct tv_package *package,
			  const struct tv_package_program *program, const struct tv_target *target,
			  struct tv_integer_runner **ret, struct tv_error *error);
/* Another one of that program, for another thread: what does not change they share. */
int tv_integer_runner_twin(const struct tv_integer_runner *runner, struct tv_integer_runner **ret,
			   struct tv_error *error);
void tv_integer_runner_free(struct tv_integer_runner *runner);
/* Jobs that nobody observes run on the cycle model from now on: slower, and the same logits. */
void tv_integer_runner_use_cycles(struct tv_integer_runner *runner);
TV_DEFINE_CLEANUP(struct tv_integer_runner *, tv_integer_runner_free)

/*
 * Runs one job on count images, 1 to as many as the program works on (the others are black).
 * rgb: [count][size][size][3]; logits: [count][classes], the caller's. The observer, which may be
 * NULL, sees each node's value for each of the count images, in the order of the commands.
 *
 * A job that faults is an error, -EIO, whose text says which command of which node; then record,
 * if it is not NULL, has the details. It is filled in whenever the job was run.
 */
int tv_integer_run(struct tv_integer_runner *runner, const uint8_t *rgb, unsigned int count,
		   tv_integer_observer observer, void *userdata, int16_t *logits,
		   struct tv_record *record, struct tv_error *error);

#endif
