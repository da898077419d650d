/* SPDX-License-Identifier: MIT */
/* The checks before the first command. Their order is that of docs/hardware.md, "Programs": a
 * program of another contract is told as that, whatever its remaining bytes mean. */
#include <string.h>

#include "rtl-model/functional-private.h"

#define REFUSE_IF(condition, text)                                                                 \
	do {                                                                                       \
		if (condition)                                                                     \
			return text;                                                               \
	} while (0)

static bool is_present(const struct tv_segment_view *segment)
{
	return segment->data && segment->size;
}

/* What keeps the header from being read. */
static const char *read_header(const struct tv_segment_view *program, uint8_t *ret)
{
	REFUSE_IF(!is_present(program), "the job has no program segment");
	REFUSE_IF(!(program->rights & TV_SEGMENT_READ), "the program segment is not readable");
	REFUSE_IF(program->rights & TV_SEGMENT_WRITE, "the program segment is writable");
	REFUSE_IF(program->size < TV_PROGRAM_HEADER_SIZE,
		  "the program segment is shorter than a header");
	memcpy(ret, program->data, TV_PROGRAM_HEADER_SIZE);
	REFUSE_IF(tv_get32(ret) != TV_PROGRAM_MAGIC, "the program does not begin with its magic");
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

static bool overlap(const struct tv_segment_view *a, const struct tv_segment_view *b)
{
	uintptr_t at = (uintptr_t)a->data, other = (uintptr_t)b->data;

	return at < other ? other - at < a->size : at - other < b->size;
}

static const char *check_segments(const struct tv_program_header *header, const struct tv_job *job)
{
	const struct tv_segment_view *segments = job->segments;
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
					  is_present(&segments[i]) && is_present(&segments[j]) &&
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

void tv_functional_check_job(const struct tv_target *target, const struct tv_job *job,
			     struct tv_program_header *ret_header, struct tv_record *ret)
{
	const struct tv_segment_view *program = &job->segments[TV_SEGMENT_PROGRAM];
	uint8_t bytes[TV_PROGRAM_HEADER_SIZE];
	enum tv_fault fault = TV_FAULT_BAD_JOB;
	const char *why = read_header(program, bytes);
	int reserved;

	if (!why) {
		reserved = tv_decode_program_header(bytes, ret_header);
		why = check_target(ret_header, target);
		if (why)
			fault = TV_FAULT_BAD_TARGET;
		else if (reserved)
			why = "reserved bytes of the header are not zero";
	}
	if (!why)
		why = check_header(ret_header, program->size, target);
	if (!why)
		why = check_segments(ret_header, job);
	if (why) {
		ret->fault = fault;
		ret->why = why;
	}
}
