/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "libclient/private.h"

TV_DEFINE_CLEANUP(struct triovit_model *, triovit_model_free)

struct triovit_model *tv_model_ref(struct triovit_model *model)
{
	model->references++;
	return model;
}

void triovit_model_free(struct triovit_model *model)
{
	if (!model || --model->references)
		return;
	for (char **label = model->labels; label && *label; label++)
		free(*label);
	free(model->labels);
	free(model->programs);
	free(model->path);
	sd_bus_message_unref(model->properties);
	tv_client_unref(model->client);
	free(model);
}

const struct triovit_model_info *triovit_model_info(const struct triovit_model *model)
{
	return &model->info;
}

/* --- properties ----------------------------------------------------------------------------- */

static int read_labels(sd_bus_message *message, void *userdata)
{
	struct triovit_model *model = userdata;

	return model->labels ? -EBADMSG : sd_bus_message_read_strv(message, &model->labels);
}

static int read_programs(sd_bus_message *message, void *userdata)
{
	struct triovit_model *model = userdata;
	struct triovit_program *programs;
	size_t *count = &model->info.program_count;
	int r;

	r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "(sutt)");
	if (r < 0)
		return r;
	do {
		programs = reallocarray(model->programs, *count + 1, sizeof(*programs));
		if (!programs)
			return -ENOMEM;
		model->programs = programs;
		programs += *count;
		r = sd_bus_message_read(message, "(sutt)", &programs->target, &programs->images,
					&programs->cycles_idle, &programs->cycles_follows);
		*count += r > 0;
	} while (r > 0);
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

static const struct tv_field fields[] = {
	{ "Digest", "s", offsetof(struct triovit_model, info.digest), NULL },
	{ "Name", "s", offsetof(struct triovit_model, info.name), NULL },
	{ "Width", "u", offsetof(struct triovit_model, info.width), NULL },
	{ "Height", "u", offsetof(struct triovit_model, info.height), NULL },
	{ "Resize", "u", offsetof(struct triovit_model, info.resize), NULL },
	{ "Classes", "u", offsetof(struct triovit_model, info.classes), NULL },
	{ "LogitScale", "d", offsetof(struct triovit_model, info.logit_scale), NULL },
	{ "Size", "t", offsetof(struct triovit_model, info.size), NULL },
	{ "Runs", "t", offsetof(struct triovit_model, info.runs), NULL },
	{ "Public", "b", offsetof(struct triovit_model, info.published), NULL },
	{ "Labels", "as", 0, read_labels },
	{ "Programs", "a(sutt)", 0, read_programs },
	{ 0 },
};

static int make_model(struct triovit_client *client, const char *path, sd_bus_message *properties,
		      struct triovit_model **ret)
{
	_cleanup_(triovit_model_freep) struct triovit_model *model = calloc(1, sizeof(*model));
	size_t labels = 0;
	int r;

	if (!model)
		return -ENOMEM;
	model->references = 1;
	model->client = tv_client_ref(client);
	model->properties = sd_bus_message_ref(properties);
	model->path = strdup(path);
	if (!model->path)
		return -ENOMEM;
	model->info.path = model->path;
	model->info.digest = "";
	model->info.name = "";
	r = tv_fields_read(properties, fields, model);
	if (r < 0)
		return r;
	while (model->labels && model->labels[labels])
		labels++;
	/* They are looked up by class. */
	if (labels && labels != model->info.classes)
		return -EBADMSG;
	model->info.labels = labels ? (const char *const *)model->labels : NULL;
	model->info.programs = model->programs;
	*ret = TV_TAKE_PTR(model);
	return 0;
}

/* --- those that are there ------------------------------------------------------------------- */

struct models {
	struct triovit_client *client;
	struct triovit_model **array;
	size_t count;
};

void triovit_model_list_free(struct triovit_model **models, size_t count)
{
	for (size_t i = 0; i < count; i++)
		triovit_model_free(models[i]);
	free(models);
}

static void models_done(struct models *models)
{
	triovit_model_list_free(models->array, models->count);
}

static int add_model(sd_bus_message *message, const char *path, void *userdata)
{
	struct models *models = userdata;
	struct triovit_model **array;
	int r;

	array = reallocarray(models->array, models->count + 1, sizeof(struct triovit_model *));
	if (!array)
		return -ENOMEM;
	models->array = array;
	r = make_model(models->client, path, message, &array[models->count]);
	if (r < 0)
		return r;
	models->count++;
	return 0;
}

int triovit_model_list(struct triovit_client *client, struct triovit_model ***ret,
		       size_t *ret_count, struct triovit_error *error)
{
	_cleanup_(models_done) struct models models = { .client = client };
	int r;

	r = tv_objects_each(client, TV_BUS_MODEL, add_model, &models, error);
	if (r < 0)
		return r;
	*ret_count = models.count;
	*ret = TV_TAKE_PTR(models.array);
	models.count = 0;
	return 0;
}

int triovit_model_find(struct triovit_client *client, const char *what, struct triovit_model **ret,
		       struct triovit_error *error)
{
	_cleanup_(models_done) struct models models = { .client = client };
	struct triovit_model *found = NULL;
	size_t named = 0;
	int r;

	r = triovit_model_list(client, &models.array, &models.count, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < models.count; i++) {
		const struct triovit_model_info *info = &models.array[i]->info;

		if (!strcmp(info->path, what) || !strcmp(info->digest, what)) {
			*ret = tv_model_ref(models.array[i]);
			return 0;
		}
		if (!strcmp(info->name, what)) {
			found = models.array[i];
			named++;
		}
	}
	if (!named)
		return tv_fail(error, -ENOENT, "there is no model '%s'", what);
	if (named > 1)
		return tv_fail(error, -ENOTUNIQ, "%zu models have the name '%s'", named, what);
	*ret = tv_model_ref(found);
	return 0;
}

/* --- loading -------------------------------------------------------------------------------- */

static int parse_properties(struct tv_call *call, sd_bus_message *reply, void **ret,
			    struct triovit_error *error)
{
	struct triovit_model *model;
	int r;

	r = make_model(call->client, call->path, reply, &model);
	if (r < 0)
		return tv_fail_parse(error, r, "the model's properties");
	*ret = model;
	return 0;
}

/* The model is there: what is it like? */
static int parse_loaded(struct tv_call *call, sd_bus_message *reply, void **ret,
			struct triovit_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	const char *path;
	int r;

	r = sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return tv_fail_parse(error, r, "the daemon's answer to LoadModel");
	call->path = strdup(path);
	if (!call->path)
		return tv_fail(error, -ENOMEM, "out of memory");
	call->parse = parse_properties;
	r = tv_properties_message(call->client, path, TV_BUS_MODEL, &message, error);
	if (r >= 0)
		r = tv_call_send(call, message, 0, error);
	return r < 0 ? r : TV_CALL_AGAIN;
}

static void deliver(const struct tv_call *call, void *object, const struct triovit_error *error)
{
	call->callback.model(object, error, call->userdata);
}

static int append_load(sd_bus_message *message, int fd, const char *name)
{
	int r = sd_bus_message_append(message, "h", fd);

	if (r >= 0)
		r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "{sv}");
	if (r >= 0 && name)
		r = sd_bus_message_append(message, "{sv}", "name", "s", name);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

static int load(struct triovit_client *client, int fd, const char *name, struct tv_call **ret,
		struct triovit_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	_cleanup_(tv_call_freep) struct tv_call *call = tv_call_new(client);
	int r;

	if (fd < 0)
		return tv_fail(error, -EBADF, "%d is no file descriptor", fd);
	if (!call)
		return tv_fail(error, -ENOMEM, "out of memory");
	call->parse = parse_loaded;
	call->deliver = deliver;
	r = tv_message_new(client, tv_client_fastest(client), TV_BUS_PATH, TV_BUS_MANAGER,
			   "LoadModel", &message, error);
	if (r >= 0)
		r = tv_client_check_fds(client, error);
	if (r < 0)
		return r;
	r = append_load(message, fd, name);
	if (r < 0)
		return tv_fail_errno(error, r, "LoadModel");
	r = tv_call_send(call, message, 0, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(call);
	return 0;
}

static int open_path(const char *path, struct triovit_error *error)
{
	/* Does not wait for the other end of a pipe, which the daemon would refuse anyway. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? tv_fail(error, -errno, "%s: %s", path, strerror(errno)) : fd;
}

int triovit_model_load_fd(struct triovit_client *client, int fd, const char *name,
			  struct triovit_model **ret, struct triovit_error *error)
{
	struct tv_call *call;
	void *model;
	int r;

	r = load(client, fd, name, &call, error);
	if (r >= 0)
		r = tv_call_wait(call, &model, error);
	if (r < 0)
		return r;
	*ret = model;
	return 0;
}

int triovit_model_load_fd_async(struct triovit_client *client, int fd, const char *name,
				triovit_model_callback callback, void *userdata,
				struct triovit_error *error)
{
	struct tv_call *call;
	int r;

	r = load(client, fd, name, &call, error);
	if (r < 0)
		return r;
	call->callback.model = callback;
	call->userdata = userdata;
	return 0;
}

int triovit_model_load_path(struct triovit_client *client, const char *path, const char *name,
			    struct triovit_model **ret, struct triovit_error *error)
{
	_cleanup_close_ int fd = open_path(path, error);

	return fd < 0 ? fd : triovit_model_load_fd(client, fd, name, ret, error);
}

int triovit_model_load_path_async(struct triovit_client *client, const char *path, const char *name,
				  triovit_model_callback callback, void *userdata,
				  struct triovit_error *error)
{
	_cleanup_close_ int fd = open_path(path, error);

	/* The message has a descriptor of its own. */
	return fd < 0 ? fd :
			triovit_model_load_fd_async(client, fd, name, callback, userdata, error);
}

/* --- what is done with one ------------------------------------------------------------------ */

int triovit_model_unload(struct triovit_model *model, struct triovit_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
	int r;

	r = tv_message_new(model->client, tv_client_fastest(model->client), model->path,
			   TV_BUS_MODEL, "Unload", &message, error);
	return r < 0 ? r : tv_client_ask(model->client, message, &reply, error);
}

int triovit_model_publish(struct triovit_model *model, bool published, struct triovit_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
	int r;

	r = tv_message_new(model->client, TV_BUS, model->path, TV_BUS_MODEL, "Publish", &message,
			   error);
	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "b", (int)published);
	if (r >= 0)
		r = sd_bus_message_set_allow_interactive_authorization(message, 1);
	if (r < 0)
		return tv_fail_errno(error, r, "Publish");
	return tv_client_ask(model->client, message, &reply, error);
}
