/* SPDX-License-Identifier: MIT */
/* For reader and writer alone: what the parts of a package are called in its file, and what they
 * must fulfil whoever made them. docs/model-format.md says the same to everybody else. */
#ifndef TV_MODEL_PACKAGE_FORMAT_H
#define TV_MODEL_PACKAGE_FORMAT_H

#include "model/package.h"

/* What the names of tensors begin with; the program's "TARGET.IMAGES" or the node's name follows.
 */
#define TV_PACKAGE_PROGRAM "program."
#define TV_PACKAGE_WEIGHTS "weights."
#define TV_PACKAGE_STEPS   "steps."
#define TV_PACKAGE_SCALE   "scale."
#define TV_PACKAGE_OFFSET  "offset."

/* Room for the longest of them. */
#define TV_PACKAGE_NAME_SIZE 64

/* Numbers of a step: nodes[0], nodes[1], image, images. */
#define TV_PACKAGE_STEP_NUMBERS 4

/* prefix and "TARGET.IMAGES" into ret, which it returns. */
const char *tv_package_program_name(const char *prefix, const struct tv_package_program *program,
				    char ret[TV_PACKAGE_NAME_SIZE]);

/* Whether the rest of a program's header means what it is taken for. -EINVAL, as below. */
int tv_package_check_version(const struct tv_package_program *program, struct tv_error *error);

/* Everything that can be wrong with a package in memory. -EINVAL with a text that names the part;
 * program and weights hold as many bytes as the struct's header says. */
int tv_package_check(const struct tv_package *package, struct tv_error *error);

#endif
