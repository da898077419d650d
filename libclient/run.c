/* SPDX-License-Identifier: MIT */
/* Runs, of models and of sessions: how they are asked for and what comes back. */
#include <errno.h>
#include <string.h>

#include "libclient/private.h"

struct result {
	struct triovit_result info; /* first: they are cast to one another */
	struct triovit_class *classes;
	size_t class_count;
	uint32_t lists; /* images with classes */
	sd_bus_message *reply; /* where texts and output are */
};

void triovit_result_free(struct triovit_result *info)
{
	struct result *result = (struct result *)info;

	if (!result)
		return;
	free(result->classes);
	sd_bus_message_unref(result->reply);
	free(result);
}

TV_DEFINE_CLEANUP(struct triovit_result *, triovit_result_free)

static int read_class(sd_bus_message *message, struct result *result)
{
	size_t count = result->class_count;
	struct triovit_class *classes;
	int r;

	/* Powers of two are when there is no more room. */
	if (!(count & (count - 1))) {
		classes = reallocarray(result->classes, count ? 2 * count : 1, sizeof(*classes));
		if (!classes)
			return -ENOMEM;
		result->classes = classes;
	}
	classes = &result->classes[count];
	r = sd_bus_message_read(message, "(usd)", &classes->index, &classes->label,
				&classes->probability);
	result->class_count += r > 0;
	return r;
}

/* All images have as many. */
static int read_top(sd_bus_message *message, void *userdata)
{
	struct result *result = userdata;
	int r;

	r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "a(usd)");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "(usd)")) > 0) {
		do {
			r = read_class(message, result);
		} while (r > 0);
		if (r >= 0)
			r = sd_bus_message_exit_container(message);
		if (r < 0)
			return r;
		if (!result->lists++)
			result->info.top = (uint32_t)result->class_count;
		if (result->class_count != (size_t)result->lists * result->info.top)
			return -EBADMSG;
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

static const struct tv_field fields[] = {
	{ "cycles", "t", offsetof(struct result, info.cycles), NULL },
	{ "device-usec", "t", offsetof(struct result, info.device_usec), NULL },
	{ "queued-usec", "t", offsetof(struct result, info.queued_usec), NULL },
	{ "device", "o", offsetof(struct result, info.device), NULL },
	{ "top", "aa(usd)", 0, read_top },
	{ 0 },
};

static int read_result(sd_bus_message *reply, struct result *result)
{
	int r;

	if (sd_bus_message_has_signature(reply, "aya{sv}")) {
		r = sd_bus_message_read_array(reply, SD_BUS_TYPE_BYTE, &result->info.output,
					      &result->info.output_size);
		if (r < 0)
			return r;
	}
	r = tv_fields_read(reply, fields, result);
	if (r < 0)
		return r;
	if (result->lists && result->lists != result->info.images)
		return -EBADMSG;
	result->info.classes = result->class_count ? result->classes : NULL;
	return 0;
}

static int parse(struct tv_call *call, sd_bus_message *reply, void **ret,
		 struct triovit_error *error)
{
	_cleanup_(triovit_result_freep) struct triovit_result *info = NULL;
	struct result *result = calloc(1, sizeof(*result));
	int r;

	if (!result)
		return tv_fail(error, -ENOMEM, "out of memory");
	info = &result->info;
	info->device = "";
	info->images = call->images;
	result->reply = sd_bus_message_ref(reply);
	r = read_result(reply, result);
	if (r < 0)
		return tv_fail_parse(error, r, "the result of a run");
	*ret = TV_TAKE_PTR(info);
	return 0;
}

static void deliver(const struct tv_call *call, void *object, const struct triovit_error *error)
{
	call->callback.run(object, error, call->userdata);
	triovit_result_free(object);
}

int tv_run_append(sd_bus_message *message, const struct triovit_run_options *options, bool images)
{
	static const struct triovit_run_options none;
	int r;

	if (!options)
		options = &none;
	r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "{sv}");
	if (r >= 0 && options->timeout_usec)
		r = sd_bus_message_append(message, "{sv}", "timeout-usec", "t",
					  options->timeout_usec);
	if (r >= 0 && options->top)
		r = sd_bus_message_append(message, "{sv}", "top", "u", options->top);
	if (r >= 0 && options->tag)
		r = sd_bus_message_append(message, "{sv}", "tag", "t", options->tag);
	if (r >= 0 && images && options->images)
		r = sd_bus_message_append(message, "{sv}", "images", "u", options->images);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

struct tv_call *tv_run_new(struct triovit_client *client, uint32_t images)
{
	struct tv_call *call = tv_call_new(client);

	if (!call)
		return NULL;
	call->parse = parse;
	call->deliver = deliver;
	call->images = images;
	return call;
}

int tv_run_wait(struct tv_call *call, struct triovit_result **ret, struct triovit_error *error)
{
	void *result;
	int r;

	r = tv_call_wait(call, &result, error);
	if (r < 0)
		return r;
	if (ret)
		*ret = result;
	else
		triovit_result_free(result);
	return 0;
}

/* --- of models ------------------------------------------------------------------------------ */

static int run(struct triovit_model *model, const void *input, size_t size,
	       const struct triovit_run_options *options, struct tv_call **ret,
	       struct triovit_error *error)
{
	uint32_t images = options && options->images ? options->images : 1;
	_cleanup_(tv_call_freep) struct tv_call *call = tv_run_new(model->client, images);
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	int r;

	if (!call)
		return tv_fail(error, -ENOMEM, "out of memory");
	r = tv_message_new(model->client, tv_client_fastest(model->client), model->path,
			   TV_BUS_MODEL, "Run", &message, error);
	if (r < 0)
		return r;
	r = sd_bus_message_append_array(message, SD_BUS_TYPE_BYTE, input, size);
	if (r >= 0)
		r = tv_run_append(message, options, true);
	if (r < 0)
		return tv_fail_errno(error, r, "Run");
	r = tv_call_send(call, message, options ? options->timeout_usec : 0, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(call);
	return 0;
}

int triovit_model_run(struct triovit_model *model, const void *input, size_t size,
		      const struct triovit_run_options *options, struct triovit_result **ret,
		      struct triovit_error *error)
{
	struct tv_call *call;
	int r;

	r = run(model, input, size, options, &call, error);
	return r < 0 ? r : tv_run_wait(call, ret, error);
}

int triovit_model_run_async(struct triovit_model *model, const void *input, size_t size,
			    const struct triovit_run_options *options,
			    triovit_run_callback callback, void *userdata,
			    struct triovit_error *error)
{
	struct tv_call *call;
	int r;

	r = run(model, input, size, options, &call, error);
	if (r < 0)
		return r;
	call->callback.run = callback;
	call->userdata = userdata;
	return 0;
}
