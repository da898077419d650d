/* SPDX-License-Identifier: MIT */
/*
 * A model package: everything that a quantized network is, in one .safetensors file. Programs and
 * their weights for one or more (target, images a job), how to prepare an image, what the classes
 * are called, and how integers relate to the float network's values. docs/model-format.md.
 */
#ifndef TV_MODEL_PACKAGE_H
#define TV_MODEL_PACKAGE_H

#include "common/safetensors.h"
#include "model/limits.h"
#include "rtl-model/target.h"

#define TV_PACKAGE_FORMAT	"triovit-model"
#define TV_PACKAGE_VERSION	1
#define TV_PACKAGE_PROGRAMS_MAX 64u

/* What a command does, in terms of the network. */
#define TV_STEP_NONE (-2)
struct tv_step {
	int nodes[2]; /* of stage 0 and 1; TV_STEP_NONE where there is no such stage */
	unsigned int image, images; /* of the batch */
};

/* A program: what a job's segments 0 and 1 hold. */
struct tv_package_program {
	char target[32];
	struct tv_program_header header;
	const uint8_t *program; /* header and commands, header.segment[0] bytes */
	const uint8_t *weights; /* header.segment[1] bytes */
	struct tv_step *steps; /* header.commands of them: which nodes a command is */
};

/* How the integers q of a node's value stand for the float network's: real = scale[c] * q +
 * offset[c]. Zero points, migration and shifting are all in it. */
struct tv_package_node {
	char name[48];
	uint32_t channels;
	float *scale, *offset; /* channels of each */
};

struct tv_package {
	unsigned int size, resize, classes; /* of the input; see struct tv_preprocess */
	float logit_scale; /* of the int16 logits */
	char **labels; /* classes names, or NULL */
	struct tv_package_program *programs;
	size_t program_count;
	struct tv_package_node *nodes; /* indices are those of the network's nodes */
	size_t node_count;
	uint64_t macs; /* of one image */
	char *source; /* what it was made from and how, for people; or NULL */
	struct tv_safetensors *file; /* what programs and weights point into; NULL: see owned */
	uint8_t **owned; /* buffers of a package made here, released with it */
	size_t owned_count;
};

/* Whether a file says that it is a package, of whatever version: what tells it from a checkpoint.
 */
bool tv_package_is(const struct tv_safetensors *file);

/* Everything is checked: versions, sizes, that header and tensors agree, that each command decodes
 * and passes tv_command_check() for its target if that is built in, that step and node indices
 * exist, that scales are finite. -EBADMSG with a text that names file and tensor. */
int tv_package_read(const char *path, struct tv_package **ret, struct tv_error *error);
int tv_package_parse(const void *data, size_t size, const char *name, struct tv_package **ret,
		     struct tv_error *error);
/* Atomically; the bytes depend on the package alone. */
int tv_package_write(const struct tv_package *package, const char *path, struct tv_error *error);
void tv_package_free(struct tv_package *package);
TV_DEFINE_CLEANUP(struct tv_package *, tv_package_free)

/* The program for a target name and number of images; NULL if there is none. target NULL: the first
 * with that many images. images 0: any, the smallest first. */
const struct tv_package_program *tv_package_program(const struct tv_package *package,
						    const char *target, unsigned int images);

#endif
