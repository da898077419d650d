/* SPDX-License-Identifier: MIT */
/* What the commands print for people. */
#include <stdio.h>
#include <string.h>

#include "tools/sim.h"

const char *sim_architecture_name(const struct tv_architecture *architecture)
{
	static const char *const names[] = { "b0", "b1", "b2", "b3" };
	struct tv_architecture published;

	for (size_t i = 0; i < TV_ARRAY_SIZE(names); i++) {
		if (tv_architecture_by_name(names[i], &published, NULL) < 0)
			continue;
		published.classes = architecture->classes;
		if (memcmp(&published, architecture, sizeof(published)) == 0)
			return names[i];
	}
	return NULL;
}

void sim_print_architecture(const struct tv_network *network)
{
	const char *name = sim_architecture_name(&network->architecture);

	printf("EfficientViT");
	if (name)
		printf("-B%s", name + 1);
	printf(", %u classes, input %ux%u\n", network->architecture.classes, network->size,
	       network->size);
}
