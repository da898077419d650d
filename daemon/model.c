/* SPDX-License-Identifier: MIT */
#include "daemon/model.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "rtl-model/program.h"
#include "rtl-model/cycle.h"

#define COPIED_AT_ONCE ((size_t)4 << 20)

/* What error texts call it: its sender knows which file it was. */
#define NAME "model"

static int check_canceled(const atomic_bool *cancel, struct tv_error *error)
{
	if (!atomic_load_explicit(cancel, memory_order_relaxed))
		return 0;
	return tv_error_set(error, -ECANCELED, NAME ": loading was cancelled");
}

static int fail(const char *what, struct tv_error *error)
{
	int code = -errno;

	return tv_error_set(error, code, NAME ": %s: %s", what, strerror(-code));
}

/* --- memory --------------------------------------------------------------------------------- */

static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	case S_IFCHR:
	case S_IFBLK:
		return "a device";
	default:
		return "no file";
	}
}

/* That it is a file with bytes to read, within the limit. */
static int check_file(int fd, uint64_t limit, size_t *ret_size, struct tv_error *error)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat status;

	if (flags < 0 || fstat(fd, &status) < 0)
		return fail("cannot stat", error);
	if (!S_ISREG(status.st_mode))
		return tv_error_set(error, -EBADF, NAME ": is %s, expected a regular file",
				    kind_of(status.st_mode));
	if (flags & O_PATH || (flags & O_ACCMODE) == O_WRONLY)
		return tv_error_set(error, -EBADF, NAME ": was not opened for reading");
	/* No object is larger, which 32-bit machines come to. */
	if (limit > PTRDIFF_MAX)
		limit = PTRDIFF_MAX;
	if ((uint64_t)status.st_size > limit)
		return tv_error_set(error, -EFBIG,
				    NAME ": has %" PRIu64 " bytes, expected at most %" PRIu64,
				    (uint64_t)status.st_size, limit);
	if (!status.st_size)
		return tv_error_set(error, -EBADMSG, NAME ": is empty");
	*ret_size = (size_t)status.st_size;
	return 0;
}

static int read_file(int fd, uint8_t *data, size_t size, const atomic_bool *cancel,
		     struct tv_error *error)
{
	for (size_t done = 0; done < size;) {
		size_t left = size - done;
		ssize_t n;
		int r;

		r = check_canceled(cancel, error);
		if (r < 0)
			return r;
		n = pread(fd, data + done, left < COPIED_AT_ONCE ? left : COPIED_AT_ONCE,
			  (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		/* Nobody but who has sent it can do anything about either. */
		if (n < 0)
			return tv_error_set(error, -EBADF, NAME ": cannot read: %s",
					    strerror(errno));
		if (n == 0)
			return tv_error_set(error, -EBADF,
					    NAME ": shrank from %zu to %zu bytes while it was read",
					    size, done);
		done += (size_t)n;
	}
	return 0;
}

static int copy_file(int fd, size_t size, const atomic_bool *cancel, struct tv_memory *ret,
		     struct tv_error *error)
{
	_cleanup_(tv_memory_done) struct tv_memory memory = TV_MEMORY_NONE;
	int r;

	r = tv_memory_new("triovit-model", size, &memory, error);
	if (r >= 0)
		r = read_file(fd, memory.data, size, cancel, error);
	if (r >= 0)
		r = tv_memory_freeze(&memory, error);
	if (r < 0)
		return r;
	*ret = memory;
	memory = TV_MEMORY_NONE;
	return 0;
}

static int get_memory(struct tv_model *model, int fd, uint64_t limit, const atomic_bool *cancel,
		      struct tv_error *error)
{
	size_t size = 0;
	int r;

	r = check_file(fd, limit, &size, error);
	if (r < 0)
		return r;
	model->copied = !tv_memory_sealed(fd, TV_SEALS_FROZEN);
	if (model->copied)
		return copy_file(fd, size, cancel, &model->memory, error);
	r = tv_memory_import(fd, size, false, &model->memory, error);
	return r < 0 ? tv_error_prefix(error, r, NAME) : 0;
}

/* --- where devices find programs and weights -------------------------------------------------- */

static bool is_aligned(const struct tv_model *model)
{
	for (size_t i = 0; i < model->package->program_count; i++)
		if (model->offsets[i][0] % TV_SEGMENT_ALIGNMENT ||
		    model->offsets[i][1] % TV_SEGMENT_ALIGNMENT)
			return false;
	return true;
}

/* Writes the parts one after the other, each aligned, to data if there is any, and where they lie.
 * Returns the size of all. */
static size_t pack(const struct tv_package *package, uint8_t *data, size_t (*offsets)[2])
{
	size_t at = 0;

	for (size_t i = 0; i < package->program_count; i++) {
		const struct tv_package_program *program = &package->programs[i];
		const uint8_t *const parts[] = { program->program, program->weights };

		for (unsigned int part = 0; part < 2; part++) {
			size_t size = program->header.segment[part];

			if (data) {
				memcpy(data + at, parts[part], size);
				offsets[i][part] = at;
			}
			at += tv_segment_aligned(size);
		}
	}
	return at;
}

static int pack_code(struct tv_model *model, struct tv_error *error)
{
	struct tv_memory *code = &model->code;
	int r;

	r = tv_memory_new("triovit-code", pack(model->package, NULL, NULL), code, error);
	if (r < 0)
		return r;
	pack(model->package, code->data, model->offsets);
	return tv_memory_freeze(code, error);
}

static int place_code(struct tv_model *model, struct tv_error *error)
{
	const struct tv_package *package = model->package;

	model->offsets = calloc(package->program_count, sizeof(*model->offsets));
	if (!model->offsets)
		return tv_error_oom(error);
	for (size_t i = 0; i < package->program_count; i++) {
		model->offsets[i][0] = (size_t)(package->programs[i].program - model->memory.data);
		model->offsets[i][1] = (size_t)(package->programs[i].weights - model->memory.data);
	}
	return is_aligned(model) ? 0 : pack_code(model, error);
}

/* --- loading -------------------------------------------------------------------------------- */

int tv_model_load(int fd, uint64_t limit, const atomic_bool *cancel, struct tv_model **ret,
		  struct tv_error *error)
{
	_cleanup_(tv_model_freep) struct tv_model *model = calloc(1, sizeof(*model));
	uint8_t digest[TV_DIGEST_SIZE];
	int r;

	if (!model)
		return tv_error_oom(error);
	model->memory = model->code = TV_MEMORY_NONE;
	r = get_memory(model, fd, limit, cancel, error);
	/* First, since it says early what is no package at all. */
	if (r >= 0)
		r = tv_package_parse(model->memory.data, model->memory.size, NAME, &model->package,
				     error);
	if (r >= 0)
		r = check_canceled(cancel, error);
	if (r >= 0)
		r = place_code(model, error);
	if (r >= 0)
		r = check_canceled(cancel, error);
	if (r < 0)
		return r;
	tv_digest(model->memory.data, model->memory.size, digest);
	tv_digest_hex(digest, model->digest);
	*ret = TV_TAKE_PTR(model);
	return 0;
}

void tv_model_free(struct tv_model *model)
{
	if (!model)
		return;
	tv_package_free(model->package);
	free(model->offsets);
	tv_memory_done(&model->code);
	tv_memory_done(&model->memory);
	free(model);
}

/* --- time ----------------------------------------------------------------------------------- */

/* Addresses for the segments that a job brings along. Nothing is behind them: decoding a program
 * looks at addresses and sizes. */
struct reservation {
	void *data;
	size_t size;
};

static void reservation_done(struct reservation *reservation)
{
	if (reservation->size)
		munmap(reservation->data, reservation->size);
}

/* Size is not 0: each program has an input. */
static int reserve(struct reservation *reservation, uint64_t size, struct tv_error *error)
{
	void *data;

	if (size > PTRDIFF_MAX)
		return tv_error_oom(error);
	data = mmap(NULL, (size_t)size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		    0);
	if (data == MAP_FAILED)
		return tv_error_oom(error);
	*reservation = (struct reservation){ data, (size_t)size };
	return 0;
}

static int decode(const struct tv_package_program *program, const struct tv_target *target,
		  uint64_t steps, struct tv_program **ret, struct tv_error *error)
{
	const uint32_t *sizes = program->header.segment;
	/* These are only read. */
	struct tv_segment_view segments[TV_SEGMENT_COUNT] = {
		[TV_SEGMENT_PROGRAM] = { .data = (uint8_t *)program->program,
					 .size = sizes[TV_SEGMENT_PROGRAM],
					 .rights = TV_SEGMENT_READ },
		[TV_SEGMENT_WEIGHTS] = { .data = (uint8_t *)program->weights,
					 .size = sizes[TV_SEGMENT_WEIGHTS],
					 .rights = TV_SEGMENT_READ },
	};
	_cleanup_(reservation_done) struct reservation reservation = { 0 };
	uint64_t total = 0, at = 0;
	int r;

	for (unsigned int i = TV_SEGMENT_WEIGHTS + 1; i < TV_SEGMENT_COUNT; i++)
		total += sizes[i];
	r = reserve(&reservation, total, error);
	if (r < 0)
		return r;
	for (unsigned int i = TV_SEGMENT_WEIGHTS + 1; i < TV_SEGMENT_COUNT; i++) {
		bool write = program->header.writable >> i & 1;

		if (!sizes[i])
			continue;
		segments[i] = (struct tv_segment_view){
			.data = (uint8_t *)reservation.data + at,
			.size = sizes[i],
			.rights = TV_SEGMENT_READ | (write ? TV_SEGMENT_WRITE : 0),
		};
		at += sizes[i];
	}
	return tv_program_decode(target, segments, steps, ret, error);
}

int tv_model_cycles(const struct tv_model *model, size_t index, const struct tv_target *target,
		    uint64_t steps, struct tv_model_cycles *ret, struct tv_error *error)
{
	const struct tv_package_program *packed = &model->package->programs[index];
	_cleanup_(tv_program_freep) struct tv_program *program = NULL;
	struct tv_cycle_program timed;
	struct tv_cycle_job idle, follows;
	int r;

	if (packed->header.target != target->id)
		return tv_error_set(error, -EINVAL, NAME ": program %s.%u is not for target %s",
				    packed->target, packed->header.images, target->name);
	r = decode(packed, target, steps, &program, error);
	if (r < 0)
		return r;
	if (program->end.fault == TV_FAULT_WATCHDOG)
		return tv_error_set(error, -E2BIG,
				    NAME ": program %s.%u does more than %" PRIu64 " steps of work",
				    packed->target, packed->header.images, steps);
	if (program->end.fault != TV_FAULT_NONE)
		return tv_error_set(error, -EBADMSG, NAME ": program %s.%u: command %u: %s",
				    packed->target, packed->header.images, program->count,
				    program->end.why);
	timed = (struct tv_cycle_program){ program->header.onchip, program->commands,
					   program->count };
	r = tv_cycle_of_job(target, NULL, &timed, NULL, &idle, NULL, error);
	if (r >= 0)
		r = tv_cycle_of_job(target, &timed, &timed, NULL, &follows, NULL, error);
	if (r < 0)
		return r;
	*ret = (struct tv_model_cycles){ .idle = idle.end, .follows = follows.end };
	return 0;
}

/* --- on a device ---------------------------------------------------------------------------- */

static const struct tv_memory *code_of(const struct tv_model *model)
{
	return model->code.data ? &model->code : &model->memory;
}

int tv_model_buffer(const struct tv_model *model, struct tv_backend *backend,
		    struct tv_buffer **ret, struct tv_error *error)
{
	const struct tv_memory *code = code_of(model);
	struct tv_error refused = { 0 };
	int r;

	r = tv_backend_buffer_import(backend, code->fd, code->size, TV_SEGMENT_READ, ret, &refused);
	if (r != -EOPNOTSUPP)
		return r < 0 ? tv_error_set(error, r, "%s", refused.text) : 0;
	r = tv_backend_buffer_new(backend, code->size, ret, error);
	if (r < 0)
		return r;
	memcpy(tv_buffer_data(*ret), code->data, code->size);
	return 0;
}

void tv_model_segments(const struct tv_model *model, size_t index, struct tv_buffer *buffer,
		       struct tv_backend_segment ret[TV_SEGMENT_COUNT])
{
	const uint32_t *sizes = model->package->programs[index].header.segment;

	for (unsigned int i = 0; i < 2; i++)
		if (sizes[i])
			ret[i] = (struct tv_backend_segment){
				.buffer = buffer,
				.offset = model->offsets[index][i],
				.size = sizes[i],
				.rights = TV_SEGMENT_READ,
			};
}
