/* SPDX-License-Identifier: MIT */
/* Programs as people read them: commands with the names of what they compute. */
#ifndef TV_TOOLS_SIM_PROGRAM_H
#define TV_TOOLS_SIM_PROGRAM_H

#include "model/package.h"
#include "tools/sim.h"

struct sim_program {
	struct tv_program_header header;
	struct tv_command *commands; /* header.commands of each */
	struct tv_step *steps;
	const char **names; /* of the nodes; they are the network's or the package's */
};

/* Decoded from a package, which must outlive *ret. */
int sim_program_of_package(const struct tv_package *package,
			   const struct tv_package_program *program, struct sim_program *ret,
			   struct tv_error *error);
/* Lowered from a network, which must outlive *ret. */
int sim_program_of_network(const struct tv_network *network, const struct tv_target *target,
			   unsigned int images, struct sim_program *ret, struct tv_error *error);
void sim_program_done(struct sim_program *program);

#define SIM_STEP_SIZE 96

/* What command i computes, "stage1.block2.depthwise + project", into and returning ret. */
const char *sim_program_step(const struct sim_program *program, uint32_t i,
			     char ret[SIM_STEP_SIZE]);
#define SIM_IMAGES_SIZE 16

/* Which of the job's images it works on, "2" or "0-3", likewise. */
const char *sim_program_images(const struct sim_program *program, uint32_t i,
			       char ret[SIM_IMAGES_SIZE]);
/* Height and width that command i puts out. */
void sim_program_output(const struct tv_command *command, unsigned int *ret_height,
			unsigned int *ret_width);

#endif
