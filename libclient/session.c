/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "libclient/private.h"

struct triovit_session {
	struct triovit_client *client; /* a reference */
	struct triovit_session_info info;
	char *path;
	uint8_t *memory;
	size_t size;
	int fd; /* of a dma-buf; -1: there is nothing to synchronize */
	/* What the daemon calls layout. */
	uint64_t slot_size, input, input_size, output, output_size;
};

TV_DEFINE_CLEANUP(struct triovit_session *, triovit_session_close)

static void tell_closed(struct triovit_client *client, const char *path)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;

	/* Nobody would read the reply. */
	if (tv_message_new(client, tv_client_fastest(client), path, TV_BUS_SESSION, "Close",
			   &message, NULL) >= 0 &&
	    sd_bus_message_set_expect_reply(message, 0) >= 0)
		sd_bus_send(NULL, message, NULL);
}

void triovit_session_close(struct triovit_session *session)
{
	struct triovit_client *client;

	if (!session)
		return;
	client = session->client;
	tv_calls_drop(client, session);
	if (session->path)
		tell_closed(client, session->path);
	if (session->memory)
		munmap(session->memory, session->size);
	if (session->fd >= 0)
		close(session->fd);
	free(session->path);
	free(session);
	tv_client_unref(client);
}

const struct triovit_session_info *triovit_session_info(const struct triovit_session *session)
{
	return &session->info;
}

uint8_t *triovit_session_input(const struct triovit_session *session, uint32_t slot)
{
	return slot < session->info.slots ?
		       session->memory + slot * session->slot_size + session->input :
		       NULL;
}

const int16_t *triovit_session_output(const struct triovit_session *session, uint32_t slot)
{
	return slot < session->info.slots ?
		       (const int16_t *)(session->memory + slot * session->slot_size +
					 session->output) :
		       NULL;
}

static int sync_access(struct triovit_session *session, unsigned int access, uint64_t end,
		       struct triovit_error *error)
{
	struct dma_buf_sync sync = { .flags = end };

	if (!access || access & ~(unsigned int)(TRIOVIT_ACCESS_READ | TRIOVIT_ACCESS_WRITE))
		return tv_fail(error, -EINVAL, "there is no access %#x", access);
	if (session->fd < 0)
		return 0;
	if (access & TRIOVIT_ACCESS_READ)
		sync.flags |= DMA_BUF_SYNC_READ;
	if (access & TRIOVIT_ACCESS_WRITE)
		sync.flags |= DMA_BUF_SYNC_WRITE;
	while (ioctl(session->fd, DMA_BUF_IOCTL_SYNC, &sync) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return tv_fail_errno(error, -errno, "synchronizing the session's memory");
	return 0;
}

int triovit_session_begin_access(struct triovit_session *session, unsigned int access,
				 struct triovit_error *error)
{
	return sync_access(session, access, DMA_BUF_SYNC_START, error);
}

int triovit_session_end_access(struct triovit_session *session, unsigned int access,
			       struct triovit_error *error)
{
	return sync_access(session, access, DMA_BUF_SYNC_END, error);
}

/* --- opening -------------------------------------------------------------------------------- */

static const struct tv_field layout[] = {
	{ "slots", "u", offsetof(struct triovit_session, info.slots), NULL },
	{ "slot-size", "t", offsetof(struct triovit_session, slot_size), NULL },
	{ "input-offset", "t", offsetof(struct triovit_session, input), NULL },
	{ "input-size", "t", offsetof(struct triovit_session, input_size), NULL },
	{ "output-offset", "t", offsetof(struct triovit_session, output), NULL },
	{ "output-size", "t", offsetof(struct triovit_session, output_size), NULL },
	{ 0 },
};

static bool fits(uint64_t offset, uint64_t size, uint64_t whole)
{
	return size && size <= whole && offset <= whole - size && offset % 64 == 0;
}

/* Maps all slots. What the layout promises must be there: a mistake is not to end in SIGBUS. */
static int map_memory(struct triovit_session *session, int fd)
{
	off_t there = lseek(fd, 0, SEEK_END); /* of dma-bufs too */
	uint64_t size;
	void *memory;

	if (!fits(session->input, session->input_size, session->slot_size) ||
	    !fits(session->output, session->output_size, session->slot_size) ||
	    __builtin_mul_overflow(session->slot_size, session->info.slots, &size) ||
	    !session->info.slots || session->slot_size % 64 || size > SIZE_MAX || there < 0 ||
	    size > (uint64_t)there)
		return -EBADMSG;
	memory = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	session->memory = memory;
	session->size = (size_t)size;
	session->info.input_size = (size_t)session->input_size;
	session->info.output_size = (size_t)session->output_size;
	/* Only what is no memfd has to be synchronized. */
	if (fcntl(fd, F_GET_SEALS) >= 0)
		return 0;
	session->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return session->fd < 0 ? -errno : 0;
}

static int parse(struct tv_call *call, sd_bus_message *reply, void **ret,
		 struct triovit_error *error)
{
	_cleanup_(triovit_session_closep) struct triovit_session *session =
		calloc(1, sizeof(*session));
	const char *path;
	int fd, r;

	if (!session)
		return tv_fail(error, -ENOMEM, "out of memory");
	session->client = tv_client_ref(call->client);
	session->fd = -1;
	session->info.images = call->images;
	r = sd_bus_message_read(reply, "oh", &path, &fd);
	if (r >= 0) {
		session->path = strdup(path);
		session->info.path = session->path;
		r = session->path ? tv_fields_read(reply, layout, session) : -ENOMEM;
	}
	if (r >= 0)
		r = map_memory(session, fd);
	if (r < 0)
		return tv_fail_parse(error, r, "the session's memory");
	*ret = TV_TAKE_PTR(session);
	return 0;
}

static void deliver(const struct tv_call *call, void *object, const struct triovit_error *error)
{
	call->callback.session(object, error, call->userdata);
}

static int append_options(sd_bus_message *message, const struct triovit_session_options *options)
{
	int r = sd_bus_message_open_container(message, SD_BUS_TYPE_ARRAY, "{sv}");

	if (r >= 0 && options->slots)
		r = sd_bus_message_append(message, "{sv}", "slots", "u", options->slots);
	if (r >= 0 && options->images)
		r = sd_bus_message_append(message, "{sv}", "images", "u", options->images);
	if (r >= 0 && options->priority)
		r = sd_bus_message_append(message, "{sv}", "priority", "s",
					  options->priority == TRIOVIT_PRIORITY_HIGH ? "high" :
										       "low");
	if (r >= 0 && options->target)
		r = sd_bus_message_append(message, "{sv}", "target", "s", options->target);
	return r < 0 ? r : sd_bus_message_close_container(message);
}

static int open_session(struct triovit_model *model, const struct triovit_session_options *options,
			struct tv_call **ret, struct triovit_error *error)
{
	static const struct triovit_session_options none;
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	_cleanup_(tv_call_freep) struct tv_call *call = tv_call_new(model->client);
	int connection = tv_client_fastest(model->client), r;

	if (!call)
		return tv_fail(error, -ENOMEM, "out of memory");
	if (!options)
		options = &none;
	if (options->priority > TRIOVIT_PRIORITY_HIGH)
		return tv_fail(error, -EINVAL, "there is no priority %u",
			       (unsigned int)options->priority);
	/* polkit asks, and only knows who is on the bus. */
	if (options->priority == TRIOVIT_PRIORITY_HIGH)
		connection = TV_BUS;
	call->parse = parse;
	call->deliver = deliver;
	call->images = options->images ? options->images : 1;
	r = tv_message_new(model->client, connection, TV_BUS_PATH, TV_BUS_MANAGER, "OpenSession",
			   &message, error);
	if (r >= 0)
		r = tv_client_check_fds(model->client, error);
	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "o", model->path);
	if (r >= 0)
		r = append_options(message, options);
	if (r < 0)
		return tv_fail_errno(error, r, "OpenSession");
	r = tv_call_send(call, message, 0, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(call);
	return 0;
}

int triovit_session_open(struct triovit_model *model, const struct triovit_session_options *options,
			 struct triovit_session **ret, struct triovit_error *error)
{
	struct tv_call *call;
	void *session;
	int r;

	r = open_session(model, options, &call, error);
	if (r >= 0)
		r = tv_call_wait(call, &session, error);
	if (r < 0)
		return r;
	*ret = session;
	return 0;
}

int triovit_session_open_async(struct triovit_model *model,
			       const struct triovit_session_options *options,
			       triovit_session_callback callback, void *userdata,
			       struct triovit_error *error)
{
	struct tv_call *call;
	int r;

	r = open_session(model, options, &call, error);
	if (r < 0)
		return r;
	call->callback.session = callback;
	call->userdata = userdata;
	return 0;
}

/* --- runs ----------------------------------------------------------------------------------- */

/* Memory of the caller's, or (NULL) a slot. */
struct memory {
	int fd;
	uint64_t input, output;
};

static int run(struct triovit_session *session, uint32_t slot, const struct memory *memory,
	       const struct triovit_run_options *options, struct tv_call **ret,
	       struct triovit_error *error)
{
	_cleanup_(tv_call_freep) struct tv_call *call =
		tv_run_new(session->client, session->info.images);
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;
	const char *method = memory ? "RunMemory" : "Run";
	int r;

	if (memory && memory->fd < 0)
		return tv_fail(error, -EBADF, "%d is no file descriptor", memory->fd);
	if (!call)
		return tv_fail(error, -ENOMEM, "out of memory");
	call->session = session;
	r = tv_message_new(session->client, tv_client_fastest(session->client), session->path,
			   TV_BUS_SESSION, method, &message, error);
	if (r < 0)
		return r;
	r = memory ? sd_bus_message_append(message, "htt", memory->fd, memory->input,
					   memory->output) :
		     sd_bus_message_append(message, "u", slot);
	if (r >= 0)
		r = tv_run_append(message, options, false);
	if (r < 0)
		return tv_fail_errno(error, r, method);
	r = tv_call_send(call, message, options ? options->timeout_usec : 0, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(call);
	return 0;
}

static int run_async(struct triovit_session *session, uint32_t slot, const struct memory *memory,
		     const struct triovit_run_options *options, triovit_run_callback callback,
		     void *userdata, struct triovit_error *error)
{
	struct tv_call *call;
	int r;

	r = run(session, slot, memory, options, &call, error);
	if (r < 0)
		return r;
	call->callback.run = callback;
	call->userdata = userdata;
	return 0;
}

int triovit_session_run(struct triovit_session *session, uint32_t slot,
			const struct triovit_run_options *options, struct triovit_result **ret,
			struct triovit_error *error)
{
	struct tv_call *call;
	int r;

	r = run(session, slot, NULL, options, &call, error);
	return r < 0 ? r : tv_run_wait(call, ret, error);
}

int triovit_session_run_async(struct triovit_session *session, uint32_t slot,
			      const struct triovit_run_options *options,
			      triovit_run_callback callback, void *userdata,
			      struct triovit_error *error)
{
	return run_async(session, slot, NULL, options, callback, userdata, error);
}

int triovit_session_run_memory(struct triovit_session *session, int fd, uint64_t input,
			       uint64_t output, const struct triovit_run_options *options,
			       struct triovit_result **ret, struct triovit_error *error)
{
	const struct memory memory = { fd, input, output };
	struct tv_call *call;
	int r;

	r = run(session, 0, &memory, options, &call, error);
	return r < 0 ? r : tv_run_wait(call, ret, error);
}

int triovit_session_run_memory_async(struct triovit_session *session, int fd, uint64_t input,
				     uint64_t output, const struct triovit_run_options *options,
				     triovit_run_callback callback, void *userdata,
				     struct triovit_error *error)
{
	const struct memory memory = { fd, input, output };

	return run_async(session, 0, &memory, options, callback, userdata, error);
}

int triovit_session_cancel(struct triovit_session *session, uint64_t tag, bool *ret_cancelled,
			   struct triovit_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
	int cancelled, r;

	r = tv_message_new(session->client, tv_client_fastest(session->client), session->path,
			   TV_BUS_SESSION, "Cancel", &message, error);
	if (r < 0)
		return r;
	r = sd_bus_message_append(message, "t", tag);
	if (r < 0)
		return tv_fail_errno(error, r, "Cancel");
	r = tv_client_ask(session->client, message, &reply, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(reply, "b", &cancelled);
	if (r < 0)
		return tv_fail_parse(error, r, "the daemon's answer to Cancel");
	if (ret_cancelled)
		*ret_cancelled = cancelled;
	return 0;
}
