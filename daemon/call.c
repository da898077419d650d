/* SPDX-License-Identifier: MIT */
#include "daemon/call.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/log.h"

static const struct {
	int code;
	const char *name;
} names[] = {
	{ -EINVAL, TV_BUS_ERROR "InvalidArgument" },
	{ -EBADF, TV_BUS_ERROR "BadDescriptor" },
	{ -EBADMSG, TV_BUS_ERROR "BadModel" },
	{ -ENOEXEC, TV_BUS_ERROR "NoProgram" },
	{ -E2BIG, TV_BUS_ERROR "JobTooLong" },
	{ -ENOENT, TV_BUS_ERROR "NotFound" },
	{ -EBUSY, TV_BUS_ERROR "Busy" },
	{ -EDQUOT, TV_BUS_ERROR "LimitExceeded" },
	{ -EFBIG, TV_BUS_ERROR "LimitExceeded" },
	{ -ETIME, TV_BUS_ERROR "DeadlineImpossible" },
	{ -ETIMEDOUT, TV_BUS_ERROR "DeadlineMissed" },
	{ -ECANCELED, TV_BUS_ERROR "Cancelled" },
	{ -EIO, TV_BUS_ERROR "Fault" },
	{ -ENODEV, TV_BUS_ERROR "NoDevice" },
	{ -EOPNOTSUPP, TV_BUS_ERROR "UseBus" },
	{ -ENOMEM, SD_BUS_ERROR_NO_MEMORY },
};

int tv_call_error(int code, const struct tv_error *why, sd_bus_error *ret)
{
	const char *name = SD_BUS_ERROR_FAILED;
	struct tv_error clean = *why;

	for (size_t i = 0; i < TV_ARRAY_SIZE(names); i++)
		if (names[i].code == code)
			name = names[i].name;
	tv_call_clean(clean.text);
	sd_bus_error_set(ret, name, *clean.text ? clean.text : strerror(-code));
	return code;
}

void tv_call_clean(char *text)
{
	/* Out of memory looks the same, and then nothing is lost but letters. */
	json_t *valid = json_string(text);

	if (valid)
		return json_decref(valid);
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			*text = '?';
}

int tv_call_begin(struct tv_manager *manager, sd_bus_message *message, uid_t uid,
		  struct tv_call *call, struct tv_error *error)
{
	int r = tv_quota_charge(manager->quota, uid, TV_RESOURCE_JOBS, 1, error);

	if (r < 0)
		return r;
	*call = (struct tv_call){ manager, sd_bus_message_ref(message), uid };
	return 0;
}

void tv_call_drop(struct tv_call *call)
{
	tv_quota_release(call->manager->quota, call->uid, TV_RESOURCE_JOBS, 1);
	call->message = sd_bus_message_unref(call->message);
}

/* A caller that has gone away does not need it. */
static void check_sent(int r)
{
	if (r < 0 && r != -ENOTCONN && r != -ECONNRESET)
		tv_log(LOG_ERR, "a reply could not be sent: %s", strerror(-r));
}

void tv_call_reply(struct tv_call *call, sd_bus_message *reply)
{
	sd_bus *bus = sd_bus_message_get_bus(call->message);

	if (!reply)
		return tv_call_fail(call, -ENOMEM, &(struct tv_error){ .text = "out of memory" });
	if (sd_bus_message_get_expect_reply(call->message) > 0)
		check_sent(sd_bus_send(bus, reply, NULL));
	tv_call_drop(call);
}

void tv_call_fail(struct tv_call *call, int code, const struct tv_error *why)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

	tv_call_error(code, why, &error);
	check_sent(sd_bus_reply_method_error(call->message, &error));
	tv_call_drop(call);
}

int tv_call_not_found(sd_bus *bus, const char *path, sd_bus_error *ret)
{
	static const struct tv_error why = { .text = "there is no such object, or not for you" };
	sd_bus_message *message = sd_bus_get_current_message(bus);
	const char *called = message ? sd_bus_message_get_path(message) : NULL;

	/* The folder of objects of a kind is there: it can be listed. */
	if (!called || strcmp(called, path) || !strchr(path + strlen(TV_BUS_PATH "/"), '/'))
		return 0;
	return tv_call_error(-ENOENT, &why, ret);
}

void tv_call_add_path(char ***paths, size_t *count, const char *path)
{
	char **longer = reallocarray(*paths, *count + 2, sizeof(char *));

	if (!longer)
		return;
	*paths = longer;
	longer[*count] = strdup(path);
	*count += longer[*count] != NULL;
	longer[*count] = NULL;
}

/* --- descriptors ----------------------------------------------------------------------------- */

void tv_call_close_fd(int fd)
{
	_cleanup_close_ int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (nothing >= 0)
		dup3(nothing, fd, O_CLOEXEC);
}

struct burial {
	struct tv_task task; /* first */
	struct tv_call call;
	int fd;
};

static void run_burial(struct tv_task *task)
{
	tv_call_close_fd(((struct burial *)task)->fd);
}

static void burial_done(struct tv_task *task, bool dropped)
{
	tv_call_drop(&((struct burial *)task)->call);
	free(task);
}

void tv_call_bury(struct tv_manager *manager, sd_bus_message *message, uid_t uid, int fd)
{
	struct burial *burial = calloc(1, sizeof(*burial));
	struct tv_error error = { 0 };

	if (!burial || tv_call_begin(manager, message, uid, &burial->call, &error) < 0)
		return free(burial);
	burial->task = (struct tv_task){ run_burial, burial_done, NULL };
	burial->fd = fd;
	tv_workers_submit(manager->closers, &burial->task);
}

/* --- arguments ------------------------------------------------------------------------------ */

int tv_call_broken(int code, struct tv_error *error)
{
	return tv_error_set(error, code == -ENOMEM ? code : -EINVAL, "the message: %s",
			    strerror(-code));
}

static int check_number(const struct tv_option *option, uint64_t value, struct tv_error *error)
{
	if (value >= option->least && value <= option->most)
		return 0;
	return tv_error_set(error, -EINVAL,
			    "option '%s' is %" PRIu64 ", expected %" PRIu64 " to %" PRIu64,
			    option->name, value, option->least, option->most);
}

/* The message is at the variant's value. */
static int read_value(sd_bus_message *message, const struct tv_option *option,
		      struct tv_error *error)
{
	uint64_t large;
	uint32_t small;
	int r;

	switch (*option->type) {
	case 'u':
		r = sd_bus_message_read_basic(message, 'u', &small);
		if (r < 0)
			return tv_call_broken(r, error);
		r = check_number(option, small, error);
		if (r >= 0)
			*(uint32_t *)option->value = small;
		return r;
	case 't':
		r = sd_bus_message_read_basic(message, 't', &large);
		if (r < 0)
			return tv_call_broken(r, error);
		r = check_number(option, large, error);
		if (r >= 0)
			*(uint64_t *)option->value = large;
		return r;
	default:
		r = sd_bus_message_read_basic(message, 's', option->value);
		return r < 0 ? tv_call_broken(r, error) : 0;
	}
}

static int read_option(sd_bus_message *message, const struct tv_option *known,
		       struct tv_error *error)
{
	const char *name, *type;
	int r;

	r = sd_bus_message_read_basic(message, 's', &name);
	if (r >= 0)
		r = sd_bus_message_peek_type(message, NULL, &type);
	if (r < 0)
		return tv_call_broken(r, error);
	while (known->name && strcmp(known->name, name))
		known++;
	if (!known->name)
		return tv_error_set(error, -EINVAL, "no option is called '%.64s'", name);
	if (strcmp(type, known->type))
		return tv_error_set(error, -EINVAL, "option '%s' has type '%.64s', expected '%s'",
				    name, type, known->type);
	r = sd_bus_message_enter_container(message, 'v', known->type);
	if (r < 0)
		return tv_call_broken(r, error);
	r = read_value(message, known, error);
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(message);
	return r < 0 ? tv_call_broken(r, error) : 0;
}

int tv_call_read_options(sd_bus_message *message, const struct tv_option *known,
			 struct tv_error *error)
{
	int r = sd_bus_message_enter_container(message, 'a', "{sv}");

	if (r < 0)
		return tv_call_broken(r, error);
	while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
		r = read_option(message, known, error);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(message);
		if (r < 0)
			return tv_call_broken(r, error);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(message);
	return r < 0 ? tv_call_broken(r, error) : 0;
}
