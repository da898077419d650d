/* SPDX-License-Identifier: MIT */
/* The checks of a job and of its commands. Their order is that of docs/hardware.md, "Programs": a
 * program of another contract is told as that, whatever its remaining bytes mean. */
#include <stdlib.h>
#include <string.h>

#include "rtl-model/command.h"
#include "rtl-model/program.h"

/* The least that a command counts for, however little it does. */
#define STEPS_OF_A_COMMAND 1000

#define REFUSE_IF(condition, text)                                                                 \
	do {                                                                                       \
		if (condition)                                                                     \
			return text;                                                               \
	} while (0)

/* --- the job -------------------------------------------------------------------------------- */

static bool is_present(const struct tv_segment_view *segment)
{
	return (segment->data || segment->missing) && segment->size;
}

/* Bytes of a segment that memory answers for. */
static uint32_t backed(const struct tv_segment_view *segment)
{
	return segment->size - segment->missing;
}

static bool end_job(struct tv_program *program, enum tv_fault fault, const char *why)
{
	program->end.fault = fault;
	program->end.why = why;
	return false;
}

static const char *check_program_segment(const struct tv_segment_view *segment)
{
	REFUSE_IF(!is_present(segment), "the job has no program segment");
	REFUSE_IF(!(segment->rights & TV_SEGMENT_READ), "the program segment is not readable");
	REFUSE_IF(segment->rights & TV_SEGMENT_WRITE, "the program segment is writable");
	REFUSE_IF(segment->size < TV_PROGRAM_HEADER_SIZE,
		  "the program segment is shorter than a header");
	return NULL;
}

static const char *check_target(const struct tv_program_header *header,
				const struct tv_target *target)
{
	REFUSE_IF(header->contract != TV_CONTRACT_VERSION,
		  "the program is of another contract version");
	REFUSE_IF(header->target != target->id, "the program is for another target");
	return NULL;
}

static const char *check_segment(const struct tv_segment_view *segment, uint32_t least,
				 bool writable)
{
	REFUSE_IF(segment->rights & ~(TV_SEGMENT_READ | TV_SEGMENT_WRITE),
		  "a segment has unknown rights");
	REFUSE_IF(writable && !least, "the program writes a segment that it does not use");
	REFUSE_IF(least && (!is_present(segment) || segment->size < least),
		  "a segment is missing or shorter than the program needs");
	REFUSE_IF(writable && !(segment->rights & TV_SEGMENT_WRITE),
		  "a segment that the program writes is not writable");
	return NULL;
}

/* On this machine; where a device knows of addresses, it has compared those. */
static bool overlap(const struct tv_segment_view *a, const struct tv_segment_view *b)
{
	uintptr_t at = (uintptr_t)a->data, other = (uintptr_t)b->data;

	if (!a->data || !b->data)
		return false;
	return at < other ? other - at < backed(a) : at - other < backed(b);
}

static const char *check_segments(const struct tv_program_header *header,
				  const struct tv_segment_view *segments)
{
	const char *why;

	REFUSE_IF(header->writable >> TV_SEGMENT_COUNT,
		  "the program writes a segment that no job has");
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		why = check_segment(&segments[i], header->segment[i], header->writable >> i & 1);
		if (why)
			return why;
	}
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		for (unsigned int j = 0; j < TV_SEGMENT_COUNT; j++)
			REFUSE_IF(i != j && segments[i].rights & TV_SEGMENT_WRITE &&
					  segments[i].size && segments[j].size &&
					  overlap(&segments[i], &segments[j]),
				  "a writable segment overlaps another");
	return NULL;
}

static const char *check_header(const struct tv_program_header *header, uint32_t size,
				const struct tv_target *target)
{
	REFUSE_IF(header->commands > TV_COMMANDS_MAX, "the program has more than 65535 commands");
	REFUSE_IF(header->commands > (size - TV_PROGRAM_HEADER_SIZE) / TV_COMMAND_SIZE,
		  "the program segment ends before the last command");
	REFUSE_IF(!header->images, "the program works on no image");
	REFUSE_IF(header->onchip > target->onchip,
		  "the program uses more on-chip memory than there is");
	return NULL;
}

/* Whether there is a first command to look at. */
static bool decode_job(struct tv_program *program, const struct tv_target *target,
		       const struct tv_segment_view *segments)
{
	const struct tv_segment_view *segment = &segments[TV_SEGMENT_PROGRAM];
	struct tv_program_header *header = &program->header;
	uint8_t bytes[TV_PROGRAM_HEADER_SIZE];
	const char *why;
	int reserved;

	why = check_program_segment(segment);
	if (why)
		return end_job(program, TV_FAULT_BAD_JOB, why);
	if (backed(segment) < sizeof(bytes)) {
		program->end.segment = TV_SEGMENT_PROGRAM;
		program->end.offset = backed(segment);
		return end_job(program, TV_FAULT_BUS, "no memory behind the program's header");
	}
	memcpy(bytes, segment->data, sizeof(bytes));
	if (tv_get32(bytes) != TV_PROGRAM_MAGIC)
		return end_job(program, TV_FAULT_BAD_JOB,
			       "the program does not begin with its magic");
	reserved = tv_decode_program_header(bytes, header);
	why = check_target(header, target);
	if (why)
		return end_job(program, TV_FAULT_BAD_TARGET, why);
	if (reserved)
		return end_job(program, TV_FAULT_BAD_JOB,
			       "reserved bytes of the header are not zero");
	why = check_header(header, segment->size, target);
	if (!why)
		why = check_segments(header, segments);
	return why ? end_job(program, TV_FAULT_BAD_JOB, why) : true;
}

/* --- commands ------------------------------------------------------------------------------- */

static bool end_command(struct tv_program *program, enum tv_fault fault, uint8_t segment,
			uint64_t offset, const char *why)
{
	program->end.command = program->count;
	program->end.segment = segment;
	program->end.offset = (uint32_t)offset;
	return end_job(program, fault, why);
}

static bool refuse_command(struct tv_program *program, const char *why)
{
	return end_command(program, TV_FAULT_BAD_COMMAND, TV_SEGMENT_NONE, 0, why);
}

static bool fetch(struct tv_program *program, const struct tv_target *target,
		  const struct tv_segment_view *segments, struct tv_command *ret)
{
	const struct tv_segment_view *segment = &segments[TV_SEGMENT_PROGRAM];
	uint32_t at = TV_PROGRAM_HEADER_SIZE + program->count * TV_COMMAND_SIZE;
	uint8_t bytes[TV_COMMAND_SIZE];
	const char *why;

	if (backed(segment) < at + sizeof(bytes))
		return end_command(program, TV_FAULT_BUS, TV_SEGMENT_PROGRAM,
				   backed(segment) > at ? backed(segment) : at,
				   "no memory behind the command");
	/* Copied before it is checked: memory may change. */
	memcpy(bytes, segment->data + at, sizeof(bytes));
	if (tv_decode_command(bytes, ret))
		return refuse_command(program, "reserved bytes of the command are not zero");
	why = tv_command_check(ret, target);
	if (why)
		return refuse_command(program, why);
	if (ret->weights.segment < TV_SEGMENT_COUNT &&
	    segments[ret->weights.segment].rights & TV_SEGMENT_WRITE)
		return refuse_command(program, "weights in a writable segment");
	return true;
}

static bool check_access(struct tv_program *program, const struct tv_segment_view *segments,
			 const struct tv_access *access)
{
	const struct tv_segment_view onchip = {
		.size = program->header.onchip,
		.rights = TV_SEGMENT_READ | TV_SEGMENT_WRITE,
	};
	bool is_onchip = access->segment == TV_SEGMENT_ONCHIP;
	const struct tv_segment_view *segment = is_onchip ? &onchip : &segments[access->segment];
	uint64_t end = access->offset + access->size;

	if (!is_onchip && !is_present(segment))
		return end_command(program, TV_FAULT_SEGMENT, access->segment, access->offset,
				   "the segment is absent");
	if (!(segment->rights & access->right))
		return end_command(program, TV_FAULT_SEGMENT, access->segment, access->offset,
				   access->right == TV_SEGMENT_WRITE ?
					   "the segment is not writable" :
					   "the segment is not readable");
	if (end > segment->size)
		return end_command(program, TV_FAULT_SEGMENT, access->segment,
				   access->offset > segment->size ? access->offset : segment->size,
				   "the operand reaches beyond its segment");
	if (end > backed(segment))
		return end_command(program, TV_FAULT_BUS, access->segment,
				   access->offset > backed(segment) ? access->offset :
								      backed(segment),
				   "no memory behind the operand");
	return true;
}

/* Checks every access of the command and counts its steps. */
static bool check_accesses(struct tv_program *program, const struct tv_segment_view *segments,
			   const struct tv_command *command, uint64_t budget, uint64_t *ret_steps)
{
	struct tv_access accesses[TV_ACCESSES_MAX];
	unsigned int count = tv_command_accesses(command, accesses);
	uint64_t bytes = 0, steps;

	for (unsigned int i = 0; i < count; i++) {
		if (!check_access(program, segments, &accesses[i]))
			return false;
		bytes += accesses[i].size;
	}
	/* With operands inside of segments no product in there overflows. */
	steps = tv_command_macs(command) + bytes + STEPS_OF_A_COMMAND;
	if (budget && steps > budget - program->end.steps)
		return end_command(program, TV_FAULT_WATCHDOG, TV_SEGMENT_NONE, 0,
				   "the job's budget of steps is spent");
	*ret_steps = steps;
	return true;
}

int tv_program_decode(const struct tv_target *target,
		      const struct tv_segment_view segments[TV_SEGMENT_COUNT], uint64_t budget,
		      struct tv_program **ret, struct tv_error *error)
{
	_cleanup_(tv_program_freep) struct tv_program *program = calloc(1, sizeof(*program));
	struct tv_command *command;

	if (!program)
		return tv_error_oom(error);
	program->end = (struct tv_record){
		.command = TV_RECORD_NO_COMMAND,
		.segment = TV_SEGMENT_NONE,
		.why = "nothing",
	};
	if (!decode_job(program, target, segments)) {
		*ret = TV_TAKE_PTR(program);
		return 0;
	}
	/* One more than there are, so that none is not "out of memory". */
	program->commands = calloc(program->header.commands + 1, sizeof(*program->commands));
	program->steps = calloc(program->header.commands + 1, sizeof(*program->steps));
	if (!program->commands || !program->steps)
		return tv_error_oom(error);
	while (program->count < program->header.commands) {
		command = &program->commands[program->count];
		if (!fetch(program, target, segments, command) ||
		    !check_accesses(program, segments, command, budget,
				    &program->steps[program->count]))
			break;
		program->end.steps += program->steps[program->count];
		program->end.executed = ++program->count;
	}
	*ret = TV_TAKE_PTR(program);
	return 0;
}

void tv_program_free(struct tv_program *program)
{
	if (!program)
		return;
	free(program->commands);
	free(program->steps);
	free(program);
}

void tv_program_cut(struct tv_program *program, uint32_t index, enum tv_fault fault,
		    const char *why)
{
	if (index > program->count)
		return;
	while (program->count > index)
		program->end.steps -= program->steps[--program->count];
	program->end.executed = index;
	end_command(program, fault, TV_SEGMENT_NONE, 0, why);
}
