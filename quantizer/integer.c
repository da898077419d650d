/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "quantizer/integer.h"
#include "rtl-model/command.h"
#include "rtl-model/cycle.h"
#include "rtl-model/kernels.h"

/* Bytes of prepared weights at most: a program may name the same weights in each command. */
#define PREPARED_MAX ((size_t)256 << 20)

struct tv_integer_runner {
	const struct tv_package *package;
	const struct tv_package_program *program;
	struct tv_functional *machine;
	struct tv_target target;
	bool cycles;
	struct tv_job job;
	struct tv_program *decoded;
	struct tv_prepared *prepared; /* the package's memory is never written */
	uint8_t *buffers[TV_SEGMENT_COUNT]; /* of the segments that are not the package's */
};

/* One observed job. */
struct watch {
	const struct tv_integer_runner *runner;
	unsigned int count; /* images that somebody asked for */
	tv_integer_observer observer;
	void *userdata;
};

int tv_integer_target(const struct tv_package_program *program, const struct tv_target **target,
		      struct tv_error *error)
{
	if (!*target)
		*target = tv_target_by_name(program->target);
	if (!*target)
		return tv_error_set(error, -EINVAL,
				    "target '%s' is not built in, and nothing describes it",
				    program->target);
	return 0;
}

static int make_segments(struct tv_integer_runner *runner, struct tv_error *error)
{
	const struct tv_program_header *header = &runner->program->header;
	struct tv_segment_view *segments = runner->job.segments;

	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		struct tv_segment_view *segment = &segments[i];

		if (!header->segment[i])
			continue;
		segment->size = header->segment[i];
		segment->rights = TV_SEGMENT_READ;
		if (i == TV_SEGMENT_PROGRAM || i == TV_SEGMENT_WEIGHTS) {
			/* Never writable, so nobody does write there. */
			segment->data = (uint8_t *)(i == TV_SEGMENT_PROGRAM ?
							    runner->program->program :
							    runner->program->weights);
			continue;
		}
		if (header->writable >> i & 1)
			segment->rights |= TV_SEGMENT_WRITE;
		runner->buffers[i] = calloc(segment->size, 1);
		if (!runner->buffers[i])
			return tv_error_oom(error);
		segment->data = runner->buffers[i];
	}
	return 0;
}

/* prepared: by another runner of the program, or NULL. */
static int make_runner(const struct tv_package *package, const struct tv_package_program *program,
		       const struct tv_target *target, struct tv_prepared *prepared,
		       struct tv_integer_runner **ret, struct tv_error *error)
{
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner =
		calloc(1, sizeof(*runner));
	int r;

	if (!runner)
		return tv_error_oom(error);
	runner->package = package;
	runner->program = program;
	runner->target = *target;
	r = tv_functional_new(target, &runner->machine, error);
	if (r >= 0)
		r = make_segments(runner, error);
	if (r >= 0)
		r = tv_program_decode(target, runner->job.segments, 0, &runner->decoded, error);
	if (r >= 0 && prepared)
		runner->prepared = tv_prepared_ref(prepared);
	else if (r >= 0)
		r = tv_prepared_new(tv_kernels_get(0), runner->decoded,
				    &runner->job.segments[TV_SEGMENT_WEIGHTS], PREPARED_MAX,
				    &runner->prepared, error);
	if (r < 0)
		return r;
	runner->job.prepared = runner->prepared;
	*ret = TV_TAKE_PTR(runner);
	return 0;
}

int tv_integer_runner_new(const struct tv_package *package,
			  const struct tv_package_program *program, const struct tv_target *target,
			  struct tv_integer_runner **ret, struct tv_error *error)
{
	int r = tv_integer_target(program, &target, error);

	return r < 0 ? r : make_runner(package, program, target, NULL, ret, error);
}

int tv_integer_runner_twin(const struct tv_integer_runner *runner, struct tv_integer_runner **ret,
			   struct tv_error *error)
{
	int r = make_runner(runner->package, runner->program, &runner->target, runner->prepared,
			    ret, error);

	if (r >= 0)
		(*ret)->cycles = runner->cycles;
	return r;
}

void tv_integer_runner_free(struct tv_integer_runner *runner)
{
	if (!runner)
		return;
	tv_functional_free(runner->machine);
	tv_program_free(runner->decoded);
	tv_prepared_unref(runner->prepared);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		free(runner->buffers[i]);
	free(runner);
}

/* The map that a stage puts out. */
static void set_map(const struct tv_observation *seen, struct tv_integer_value *value)
{
	const struct tv_command *command = seen->decoded;
	bool pooled = command->opcode == TV_OP_POOL ||
		      (command->opcode == TV_OP_CONV_POOL && seen->stage == 1);

	value->height = pooled ? 1 : tv_map_height(command);
	value->width = pooled ? 1 : tv_map_width(command);
}

/* From what the machine sees, images of one command after the other, to single values of nodes. */
static void watch_command(const struct tv_observation *seen, void *userdata)
{
	const struct watch *watch = userdata;
	const struct tv_package *package = watch->runner->package;
	const struct tv_step *step = &watch->runner->program->steps[seen->command];
	int node = step->nodes[seen->stage];
	struct tv_integer_value value = {
		.channels = seen->channels,
		.wide = seen->format == TV_FORMAT_INT16,
	};
	size_t bytes;

	if (node < 0)
		return;
	value.index = (size_t)node;
	value.node = &package->nodes[node];
	set_map(seen, &value);
	bytes = (size_t)value.height * value.width * value.channels * (value.wide ? 2 : 1);
	for (unsigned int i = 0; i < step->images && step->image + i < watch->count; i++) {
		value.image = step->image + i;
		value.codes = (const uint8_t *)seen->data + i * bytes;
		watch->observer(&value, watch->userdata);
	}
}

static int explain(const struct tv_integer_runner *runner, const struct tv_record *record,
		   struct tv_error *error)
{
	char command[96] = "the job", where[64] = "";

	if (record->command != TV_RECORD_NO_COMMAND) {
		int node = runner->program->steps[record->command].nodes[0];

		snprintf(command, sizeof(command), "command %u (%s)", record->command,
			 node >= 0 ? runner->package->nodes[node].name : "copy");
	}
	if (record->segment != TV_SEGMENT_NONE)
		snprintf(where, sizeof(where), " (segment %u, offset %u)", record->segment,
			 record->offset);
	return tv_error_set(error, -EIO, "%s: %s: %s%s", command, tv_fault_name(record->fault),
			    record->why, where);
}

void tv_integer_runner_use_cycles(struct tv_integer_runner *runner)
{
	runner->cycles = true;
}

int tv_integer_run(struct tv_integer_runner *runner, const uint8_t *rgb, unsigned int count,
		   tv_integer_observer observer, void *userdata, int16_t *logits,
		   struct tv_record *record, struct tv_error *error)
{
	const size_t image = (size_t)runner->package->size * runner->package->size * 3;
	const unsigned int images = runner->program->header.images;
	struct watch watch = { runner, count, observer, userdata };
	const struct tv_cycle_options how = { .target = &runner->target, .dram_percent = 100 };
	const uint8_t *output = runner->buffers[TV_SEGMENT_OUTPUT];
	struct tv_cycle_job time;
	struct tv_record ended;
	int r;

	if (!count || count > images)
		return tv_error_set(error, -EINVAL, "%u images, the program takes 1 to %u", count,
				    images);
	memcpy(runner->buffers[TV_SEGMENT_INPUT], rgb, count * image);
	memset(runner->buffers[TV_SEGMENT_INPUT] + count * image, 0, (images - count) * image);
	runner->job.observer = observer ? watch_command : NULL;
	runner->job.userdata = &watch;
	if (runner->cycles && !observer)
		r = tv_cycle_execute(&how, &runner->job, runner->decoded, &ended, &time, error);
	else
		r = tv_functional_execute(runner->machine, &runner->job, runner->decoded, &ended,
					  error);
	if (r < 0)
		return r;
	if (record)
		*record = ended;
	if (ended.fault)
		return explain(runner, &ended, error);
	for (size_t i = 0; i < (size_t)count * runner->package->classes; i++)
		logits[i] = (int16_t)tv_get16(output + 2 * i);
	return 0;
}
