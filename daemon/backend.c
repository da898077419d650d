/* SPDX-License-Identifier: MIT */
#include "daemon/backend-private.h"

#include <stdlib.h>
#include <string.h>

#include <triovit/golden.h>

const struct tv_backend_info *tv_backend_info(const struct tv_backend *backend)
{
	return &backend->info;
}

int tv_backend_fd(const struct tv_backend *backend)
{
	return backend->fd;
}

/* --- buffers -------------------------------------------------------------------------------- */

static struct tv_buffer *make_buffer(struct tv_backend *backend, uint32_t rights)
{
	struct tv_buffer *buffer = calloc(1, sizeof(*buffer));

	if (!buffer)
		return NULL;
	atomic_init(&buffer->references, 1);
	buffer->rights = rights;
	buffer->ops = backend->ops;
	buffer->memory = TV_MEMORY_NONE;
	return buffer;
}

int tv_backend_buffer_new(struct tv_backend *backend, size_t size, struct tv_buffer **ret,
			  struct tv_error *error)
{
	_cleanup_free_ struct tv_buffer *buffer =
		make_buffer(backend, TV_SEGMENT_READ | TV_SEGMENT_WRITE);
	int r;

	if (!buffer)
		return tv_error_oom(error);
	r = backend->ops->buffer_new(backend, size, buffer, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(buffer);
	return 0;
}

int tv_backend_buffer_import(struct tv_backend *backend, int fd, size_t size, uint32_t rights,
			     struct tv_buffer **ret, struct tv_error *error)
{
	_cleanup_free_ struct tv_buffer *buffer = make_buffer(backend, rights);
	int r;

	if (!buffer)
		return tv_error_oom(error);
	r = backend->ops->buffer_import(backend, fd, size, buffer, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(buffer);
	return 0;
}

struct tv_buffer *tv_buffer_ref(struct tv_buffer *buffer)
{
	atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
	return buffer;
}

void tv_buffer_unref(struct tv_buffer *buffer)
{
	if (!buffer || atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel) != 1)
		return;
	if (buffer->handles)
		buffer->ops->buffer_done(buffer);
	tv_memory_done(&buffer->memory);
	free(buffer);
}

size_t tv_buffer_size(const struct tv_buffer *buffer)
{
	return buffer->memory.size;
}

uint8_t *tv_buffer_data(const struct tv_buffer *buffer)
{
	return buffer->memory.data;
}

int tv_buffer_fd(const struct tv_buffer *buffer)
{
	return buffer->memory.fd;
}

/* --- jobs ----------------------------------------------------------------------------------- */

static int check_segment(const struct tv_backend *backend, unsigned int index,
			 const struct tv_backend_segment *segment, struct tv_error *error)
{
	const struct tv_buffer *buffer = segment->buffer;

	if (!buffer)
		return 0;
	if (buffer->ops != backend->ops)
		return tv_error_set(error, -EINVAL,
				    "segment %u: its memory is another kind of device's", index);
	if (segment->offset % TV_SEGMENT_ALIGNMENT)
		return tv_error_set(error, -EINVAL,
				    "segment %u begins at byte %zu of its memory, expected a "
				    "multiple of %d",
				    index, segment->offset, TV_SEGMENT_ALIGNMENT);
	if (!segment->size || segment->offset > buffer->memory.size ||
	    segment->size > buffer->memory.size - segment->offset)
		return tv_error_set(error, -EINVAL,
				    "segment %u: %u bytes from byte %zu on of memory of %zu bytes",
				    index, segment->size, segment->offset, buffer->memory.size);
	if (!segment->rights || segment->rights & ~buffer->rights)
		return tv_error_set(error, -EINVAL,
				    "segment %u has rights %#x, expected some of %#x", index,
				    segment->rights, buffer->rights);
	return 0;
}

static struct tv_backend_slot *find_free(struct tv_backend *backend)
{
	for (unsigned int i = 0; i < TV_BACKEND_CAPACITY; i++)
		if (!backend->slots[i].used)
			return &backend->slots[i];
	return NULL;
}

static void slot_done(struct tv_backend_slot *slot)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		tv_buffer_unref(slot->job.segment[i].buffer);
	*slot = (struct tv_backend_slot){ .used = false };
}

static int submit(struct tv_backend *backend, const struct tv_backend_job *job, bool selftest,
		  struct tv_error *error)
{
	struct tv_backend_slot *slot = find_free(backend);
	int r;

	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		r = check_segment(backend, i, &job->segment[i], error);
		if (r < 0)
			return r;
	}
	if (!slot)
		return tv_error_set(error, -EBUSY, "%s has %u jobs already", backend->info.name,
				    TV_BACKEND_CAPACITY);
	*slot = (struct tv_backend_slot){
		.used = true,
		.selftest = selftest,
		.job = *job,
		.result.cookie = job->cookie,
	};
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		if (job->segment[i].buffer)
			tv_buffer_ref(job->segment[i].buffer);
	r = backend->ops->submit(backend, slot);
	if (r < 0) {
		slot_done(slot);
		return tv_error_set(error, r, "%s: %s", backend->info.name, strerror(-r));
	}
	return 0;
}

int tv_backend_submit(struct tv_backend *backend, const struct tv_backend_job *job,
		      struct tv_error *error)
{
	return submit(backend, job, false, error);
}

int tv_backend_selftest(struct tv_backend *backend, uint64_t cookie, struct tv_error *error)
{
	static const struct {
		uint32_t size, rights;
	} parts[] = {
		[TV_SEGMENT_PROGRAM] = { TV_GOLDEN_PROGRAM_SIZE, TV_SEGMENT_READ },
		[TV_SEGMENT_WEIGHTS] = { TV_GOLDEN_WEIGHTS_SIZE, TV_SEGMENT_READ },
		[TV_SEGMENT_INPUT] = { TV_GOLDEN_INPUT_SIZE, TV_SEGMENT_READ },
		[TV_SEGMENT_OUTPUT] = { TV_GOLDEN_OUTPUT_SIZE, TV_SEGMENT_READ | TV_SEGMENT_WRITE },
		[TV_SEGMENT_SCRATCH] = { TV_GOLDEN_SCRATCH_SIZE,
					 TV_SEGMENT_READ | TV_SEGMENT_WRITE },
	};
	_cleanup_(tv_buffer_unrefp) struct tv_buffer *buffer = NULL;
	struct tv_backend_job job = { .cookie = cookie };
	size_t size = 0;
	uint8_t *data;
	int r;

	for (unsigned int i = 0; i < TV_ARRAY_SIZE(parts); i++) {
		job.segment[i] = (struct tv_backend_segment){
			.offset = size,
			.size = parts[i].size,
			.rights = parts[i].rights,
		};
		size += tv_segment_aligned(parts[i].size);
	}
	r = tv_backend_buffer_new(backend, size, &buffer, error);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(parts); i++)
		job.segment[i].buffer = buffer;
	data = tv_buffer_data(buffer);
	tv_golden_build(backend->info.hardware.target,
			data + job.segment[TV_SEGMENT_PROGRAM].offset,
			data + job.segment[TV_SEGMENT_WEIGHTS].offset,
			data + job.segment[TV_SEGMENT_INPUT].offset);
	return submit(backend, &job, true, error);
}

/* What the self-test's result is, from what its job has left. */
static void judge_selftest(struct tv_backend_slot *slot)
{
	const struct tv_backend_segment *output = &slot->job.segment[TV_SEGMENT_OUTPUT];

	if (slot->result.status == 0 &&
	    (slot->result.completion.fault != TV_FAULT_NONE ||
	     tv_golden_digest(tv_buffer_data(output->buffer) + output->offset) != TV_GOLDEN_DIGEST))
		slot->result.status = -EIO;
}

int tv_backend_cancel(struct tv_backend *backend, uint64_t cookie)
{
	for (unsigned int i = 0; i < TV_BACKEND_CAPACITY; i++) {
		struct tv_backend_slot *slot = &backend->slots[i];

		if (slot->used && slot->job.cookie == cookie)
			return backend->ops->cancel(backend, slot);
	}
	return -ENOENT;
}

unsigned int tv_backend_dispatch(struct tv_backend *backend, tv_backend_handler handler,
				 void *userdata)
{
	unsigned int count;

	/* No more than there could be at first: jobs may end as fast as the handler submits. */
	for (count = 0; count < TV_BACKEND_CAPACITY; count++) {
		struct tv_backend_slot *slot = backend->ops->finished(backend);
		struct tv_backend_result result;

		if (!slot)
			break;
		if (slot->selftest)
			judge_selftest(slot);
		result = slot->result;
		/* Before the handler, so that it can submit the next. */
		slot_done(slot);
		handler(&result, userdata);
	}
	return count;
}

void tv_backend_unplug(struct tv_backend *backend)
{
	backend->ops->unplug(backend);
}

void tv_backend_close(struct tv_backend *backend)
{
	if (!backend)
		return;
	backend->ops->close(backend);
	for (unsigned int i = 0; i < TV_BACKEND_CAPACITY; i++)
		slot_done(&backend->slots[i]);
	free(backend);
}
