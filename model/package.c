/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "common/labels.h"
#include "model/package-format.h"

const char *tv_package_program_name(const char *prefix, const struct tv_package_program *program,
				    char ret[TV_PACKAGE_NAME_SIZE])
{
	snprintf(ret, TV_PACKAGE_NAME_SIZE, "%s%s.%u", prefix, program->target,
		 program->header.images);
	return ret;
}

bool tv_package_is(const struct tv_safetensors *file)
{
	const char *format = tv_safetensors_metadata(file, "format");

	return format && strcmp(format, TV_PACKAGE_FORMAT) == 0;
}

const struct tv_package_program *tv_package_program(const struct tv_package *package,
						    const char *target, unsigned int images)
{
	const struct tv_package_program *best = NULL;

	for (size_t i = 0; i < package->program_count; i++) {
		const struct tv_package_program *program = &package->programs[i];

		if (target && strcmp(target, program->target) != 0)
			continue;
		if (images && images != program->header.images)
			continue;
		if (!best || program->header.images < best->header.images)
			best = program;
	}
	return best;
}

void tv_package_free(struct tv_package *package)
{
	if (!package)
		return;
	for (size_t i = 0; i < package->program_count; i++)
		free(package->programs[i].steps);
	free(package->programs);
	for (size_t i = 0; i < package->node_count; i++) {
		free(package->nodes[i].scale);
		free(package->nodes[i].offset);
	}
	free(package->nodes);
	if (package->labels)
		tv_labels_free(package->labels, package->classes);
	free(package->source);
	tv_safetensors_free(package->file);
	for (size_t i = 0; i < package->owned_count; i++)
		free(package->owned[i]);
	free(package->owned);
	free(package);
}
