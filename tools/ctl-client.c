/* SPDX-License-Identifier: MIT */
/* The daemon as all commands see it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/ctl.h"

int ctl_error(struct tv_error *error, const struct triovit_error *why)
{
	return tv_error_set(error, why->code, "%s", why->text);
}

bool ctl_is_remote(const struct ctl *ctl)
{
	return ctl->bus == TRIOVIT_BUS_HOST;
}

const char *ctl_where(const struct ctl *ctl, char *text, size_t size)
{
	switch (ctl->bus) {
	case TRIOVIT_BUS_HOST:
		snprintf(text, size, "%s", ctl->where);
		break;
	case TRIOVIT_BUS_ADDRESS:
		snprintf(text, size, "the bus at %s", ctl->where);
		break;
	case TRIOVIT_BUS_SESSION:
		snprintf(text, size, "the session bus");
		break;
	default:
		snprintf(text, size, "the system bus");
	}
	return tool_printable(text);
}

int ctl_open(const struct ctl *ctl, struct triovit_client **ret, struct tv_error *error)
{
	struct triovit_error why = { 0 };

	if (triovit_open(ctl->bus, ctl->where, 0, ret, &why) >= 0)
		return 0;
	/* Without a bus there is no daemon either. */
	if (why.code != -ENOMEM && why.code != -EACCES)
		why.code = -EHOSTUNREACH;
	return ctl_error(error, &why);
}

int ctl_daemon_get(struct triovit_client *client, struct triovit_daemon **ret,
		   struct tv_error *error)
{
	struct triovit_error why = { 0 };
	int r = triovit_daemon_get(client, ret, &why);

	return r < 0 ? ctl_error(error, &why) : 0;
}

int ctl_devices_get(struct triovit_client *client, struct ctl_devices *ret, struct tv_error *error)
{
	struct triovit_error why = { 0 };
	int r = triovit_device_list(client, &ret->list, &ret->count, &why);

	return r < 0 ? ctl_error(error, &why) : 0;
}

void ctl_devices_done(struct ctl_devices *devices)
{
	triovit_device_list_free(devices->list, devices->count);
}

int ctl_models_get(struct triovit_client *client, struct ctl_models *ret, struct tv_error *error)
{
	struct triovit_error why = { 0 };
	int r = triovit_model_list(client, &ret->list, &ret->count, &why);

	return r < 0 ? ctl_error(error, &why) : 0;
}

void ctl_models_done(struct ctl_models *models)
{
	triovit_model_list_free(models->list, models->count);
}

const char *ctl_short_path(const char *path)
{
	size_t length = strlen(CTL_BUS_PATH);

	return strncmp(path, CTL_BUS_PATH "/", length + 1) ? path : path + length + 1;
}

/* Beginnings of digests that are shorter are more likely to be a name. */
#define DIGEST_LEAST 6

int ctl_models_find(const struct ctl_models *models, const char *what, struct triovit_model **ret,
		    struct tv_error *error)
{
	size_t length = strlen(what), found = 0;

	for (size_t i = 0; i < models->count; i++) {
		const struct triovit_model_info *info = triovit_model_info(models->list[i]);

		if (strcmp(info->path, what) && strcmp(ctl_short_path(info->path), what) &&
		    strcmp(info->name, what) &&
		    (length < DIGEST_LEAST || strncmp(info->digest, what, length)))
			continue;
		if (!found++)
			*ret = models->list[i];
	}
	if (!found)
		return tv_error_set(error, -ENOENT,
				    "'%s': no such file, and no model that is loaded has that name "
				    "or digest",
				    what);
	if (found > 1)
		return tv_error_set(error, -ENOTUNIQ,
				    "'%s': %zu models have that name or digest: give more of the "
				    "digest",
				    what, found);
	return 0;
}

char *ctl_programs(const struct triovit_model_info *info)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	if (!file)
		return NULL;
	for (size_t i = 0; i < info->program_count; i++) {
		const struct triovit_program *program = &info->programs[i];
		bool more = i && !strcmp(program[-1].target, program->target);

		if (more)
			fprintf(file, ", %u", program->images);
		else
			fprintf(file, "%s%s (%u", i ? "), " : "", program->target, program->images);
	}
	if (info->program_count)
		putc(')', file);
	if (fclose(file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* --- subjects ------------------------------------------------------------------------------- */

int ctl_load_path(struct triovit_client *client, const char *path, const char *name,
		  struct triovit_model **ret, struct tv_error *error)
{
	struct triovit_error why = { 0 };
	int r;

	r = triovit_model_load_path(client, path, name, ret, &why);
	if (r >= 0)
		return 0;
	ctl_error(error, &why);
	/* What open(2) fails with has the path already. */
	return strncmp(why.text, path, strlen(path)) ? tv_error_prefix(error, r, "%s", path) : r;
}

static int load_subject(struct triovit_client *client, const char *path,
			const struct ctl_models *before, struct ctl_subject *ret,
			struct tv_error *error)
{
	int r;

	r = ctl_load_path(client, path, NULL, &ret->model, error);
	if (r < 0)
		return r;
	ret->unload = true;
	for (size_t i = 0; i < before->count; i++)
		if (!strcmp(triovit_model_info(before->list[i])->path,
			    triovit_model_info(ret->model)->path))
			ret->unload = false;
	return 0;
}

int ctl_subject_open(const struct ctl *ctl, struct triovit_client *client, const char *what,
		     struct ctl_subject *ret, struct tv_error *error)
{
	_cleanup_(ctl_models_done) struct ctl_models models = { 0 };
	struct triovit_model **model;
	struct stat status;
	int r;

	r = ctl_models_get(client, &models, error);
	if (r < 0)
		return r;
	if (stat(what, &status) == 0 && S_ISREG(status.st_mode)) {
		if (!ctl_is_remote(ctl))
			return load_subject(client, what, &models, ret, error);
		return tv_error_set(
			error, -EOPNOTSUPP,
			"files cannot be passed to %s: load it with \"ssh %s triovitctl "
			"load - < %s\" and name the model here",
			ctl->where, ctl->where, what);
	}
	model = models.list;
	r = ctl_models_find(&models, what, &ret->model, error);
	if (r < 0)
		return r;
	/* Out of the list, which is released. */
	while (*model != ret->model)
		model++;
	*model = models.list[--models.count];
	ret->unload = false;
	return 0;
}

void ctl_subject_done(struct ctl_subject *subject)
{
	if (subject->unload)
		triovit_model_unload(subject->model, NULL);
	triovit_model_free(subject->model);
}
