/* SPDX-License-Identifier: MIT */
/* Devices and models for programs. */
#include <stdio.h>

#include "tools/ctl.h"

static json_t *device_json(const struct triovit_device_info *info)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "path",
			 tool_json_string(info->path), "name", tool_json_string(info->name),
			 "target", tool_json_string(info->target), "driver",
			 tool_json_string(info->driver), "state", tool_json_string(info->state),
			 "clock_khz", (json_int_t)info->clock_khz, "onchip",
			 (json_int_t)info->onchip, "queue_length", (json_int_t)info->queue_length,
			 "jobs_done", (json_int_t)info->jobs_done, "jobs_failed",
			 (json_int_t)info->jobs_failed, "busy_usec", (json_int_t)info->busy_usec);
}

json_t *ctl_json_devices(const struct ctl_devices *devices)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < devices->count; i++)
		if (json_array_append_new(array,
					  device_json(triovit_device_info(devices->list[i]))) < 0)
			return NULL;
	return json_incref(array);
}

static json_t *programs_json(const struct triovit_model_info *info)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < info->program_count; i++) {
		const struct triovit_program *program = &info->programs[i];
		json_t *one = json_pack("{s:o, s:I, s:I, s:I}", "target",
					tool_json_string(program->target), "images",
					(json_int_t)program->images, "cycles_idle",
					(json_int_t)program->cycles_idle, "cycles_follows",
					(json_int_t)program->cycles_follows);

		if (json_array_append_new(array, one) < 0)
			return NULL;
	}
	return json_incref(array);
}

static json_t *labels_json(const struct triovit_model_info *info)
{
	json_auto_t *array = json_array();

	if (!info->labels)
		return json_null();
	for (uint32_t i = 0; i < info->classes; i++)
		if (json_array_append_new(array, tool_json_string(info->labels[i])) < 0)
			return NULL;
	return json_incref(array);
}

json_t *ctl_json_model(const struct triovit_model_info *info)
{
	return json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:f, s:o, s:I, s:I, s:b}",
			 "path", tool_json_string(info->path), "digest",
			 tool_json_string(info->digest), "name", tool_json_string(info->name),
			 "width", (json_int_t)info->width, "height", (json_int_t)info->height,
			 "resize", (json_int_t)info->resize, "classes", (json_int_t)info->classes,
			 "labels", labels_json(info), "logit_scale", info->logit_scale, "programs",
			 programs_json(info), "size", (json_int_t)info->size, "runs",
			 (json_int_t)info->runs, "published", (int)info->published);
}

json_t *ctl_json_models(const struct ctl_models *models)
{
	json_auto_t *array = json_array();

	for (size_t i = 0; i < models->count; i++)
		if (json_array_append_new(array,
					  ctl_json_model(triovit_model_info(models->list[i]))) < 0)
			return NULL;
	return json_incref(array);
}

int ctl_print_line(const json_t *root, struct tv_error *error)
{
	_cleanup_free_ char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

	if (!text)
		return tv_error_oom(error);
	puts(text);
	fflush(stdout);
	return 0;
}
