/* SPDX-License-Identifier: MIT */
/* Makes jobs for the fuzzers: random ones that are right, and from these such as differ
 * in a field or two, which is as far as most of what is wrong gets. */
#include "tests/fuzz/executor.h"

#include "tests/unit/functional-random.h"

/* Few steps, so that many jobs are run. */
#define WORK_MAX    20000
#define WEIGHTS_MAX 1500

/* --- jobs that are right -------------------------------------------------------------------- */

static void make_world(struct world *w, uint64_t seed, uint8_t opcode)
{
	unsigned int more;

	world_plan(w, seed, tv_target_at(seed % 4));
	w->work_max = WORK_MAX;
	w->weights_max = WEIGHTS_MAX;
	for (unsigned int i = TV_SEGMENT_INPUT; i <= TV_SEGMENT_ONCHIP; i++)
		if (w->size[i])
			w->size[i] = 200 + world_below(w, 1800);
	w->size[WORLD_WRITE_ONLY] = w->size[TV_SEGMENT_ONCHIP];
	w->size[TV_SEGMENT_WEIGHTS] = WORLD_COMMANDS_MAX * WEIGHTS_MAX;
	world_memory(w);
	more = world_below(w, 3);
	world_add(w, opcode);
	while (more--)
		world_add(w, (uint8_t)(TV_OP_CONV + world_below(w, TV_OP_COPY)));
	/* What is left on chip would go unseen. */
	world_copy(w, TV_SEGMENT_ONCHIP, 0, WORLD_WRITE_ONLY, 0, w->size[TV_SEGMENT_ONCHIP]);
	w->size[TV_SEGMENT_WEIGHTS] = w->weights ? w->weights : 1;
}

size_t executor_expand(const uint8_t *input, size_t size, uint8_t *ret)
{
	uint8_t opcode = size ? input[0] % TV_OP_COPY : 0;
	uint8_t *segment = ret + EXECUTOR_SEGMENTS;
	uint64_t seed = 0;
	struct world w;

	for (size_t i = 1; i < size && i <= sizeof(seed); i++)
		seed |= (uint64_t)input[i] << 8 * (i - 1);
	make_world(&w, seed, opcode ? opcode : TV_OP_COPY);
	(void)world_job(&w);
	ret[0] = (uint8_t)(seed % 4);
	ret[1] = 0x0f | (world_chance(&w, 4) ? EXECUTOR_OBSERVED : 0);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++, segment += EXECUTOR_SEGMENT_SIZE) {
		tv_put16(segment, (uint16_t)w.size[i]);
		tv_put16(segment + 2, 0);
		segment[4] = (uint8_t)w.rights[i];
		segment[5] = TV_SEGMENT_NONE;
		segment[6] = (uint8_t)world_below(&w, 256);
	}
	size = EXECUTOR_PROGRAM + w.size[TV_SEGMENT_PROGRAM] + w.weights;
	REQUIRE(size <= EXECUTOR_MAX);
	memcpy(ret + EXECUTOR_PROGRAM, w.memory[TV_SEGMENT_PROGRAM], w.size[TV_SEGMENT_PROGRAM]);
	memcpy(ret + EXECUTOR_PROGRAM + w.size[TV_SEGMENT_PROGRAM], w.memory[TV_SEGMENT_WEIGHTS],
	       w.weights);
	world_end(&w);
	return size;
}

/* --- jobs that differ ----------------------------------------------------------------------- */

struct field {
	uint8_t bytes, at;
};

#define FIELD(bits, at, field) { (bits) / 8, (at) },

static const struct field header_fields[] = { TV_HEADER_FIELDS(FIELD) };
static const struct field command_fields[] = { TV_COMMAND_FIELDS(FIELD) };
static const struct field channel_fields[] = { TV_CHANNEL_FIELDS(FIELD) };
static const struct field head_fields[] = { TV_HEAD_FIELDS(FIELD) };
static const struct field segment_fields[] = { { 2, 0 }, { 2, 2 }, { 1, 4 }, { 1, 5 }, { 1, 6 } };

/* A number near the one that it replaces, near a bound, or any. */
static uint64_t other_value(struct world *w, uint64_t value, unsigned int bytes,
			    const uint8_t *segments)
{
	const unsigned int segment = world_below(w, TV_SEGMENT_COUNT);

	switch (world_below(w, 7)) {
	case 0:
		return value + 1 + world_below(w, 4);
	case 1:
		return value - 1 - world_below(w, 4);
	case 2:
		return world_chance(w, 2) ? value / 2 : 2 * value;
	case 3:
		return (1ull << world_below(w, 8 * bytes)) - world_below(w, 2);
	case 4:
		return tv_get16(segments + (size_t)segment * EXECUTOR_SEGMENT_SIZE) -
		       world_below(w, 70);
	case 5:
		return world_random(w);
	default:
		return world_below(w, 17);
	}
}

static void change_field(struct world *w, const struct field *fields, size_t count, uint8_t *bytes,
			 const uint8_t *segments)
{
	const struct field *field = &fields[world_below(w, (uint32_t)count)];
	uint64_t value = 0;

	for (unsigned int i = 0; i < field->bytes; i++)
		value |= (uint64_t)bytes[field->at + i] << 8 * i;
	value = other_value(w, value, field->bytes, segments);
	for (unsigned int i = 0; i < field->bytes; i++)
		bytes[field->at + i] = (uint8_t)(value >> 8 * i);
}

/* One of the first records of a command; false where there is none. */
static bool change_record(struct world *w, const uint8_t *command, uint8_t *data, size_t size)
{
	const uint8_t *segments = data + EXECUTOR_SEGMENTS;
	bool attention = command[0] == TV_OP_ATTENTION;
	size_t at = EXECUTOR_PROGRAM + tv_get16(segments) + (size_t)tv_get32(command + 40) +
		    TV_CHANNEL_SIZE * (size_t)world_below(w, 8);

	if (at > size || size - at < TV_CHANNEL_SIZE)
		return false;
	change_field(w, attention ? head_fields : channel_fields,
		     attention ? TV_ARRAY_SIZE(head_fields) : TV_ARRAY_SIZE(channel_fields),
		     data + at, segments);
	return true;
}

/* Within the bytes that there are; false where what was drawn is not among them. */
static bool change_job(struct world *w, uint8_t *data, size_t size)
{
	uint8_t *segments = data + EXECUTOR_SEGMENTS, *header = data + EXECUTOR_PROGRAM;
	uint8_t *command = header + TV_PROGRAM_HEADER_SIZE;
	size_t commands;

	if (size < EXECUTOR_PROGRAM + TV_PROGRAM_HEADER_SIZE + TV_COMMAND_SIZE)
		return false;
	commands = tv_get32(header + 8);
	if (commands > (size_t)(data + size - command) / TV_COMMAND_SIZE)
		commands = (size_t)(data + size - command) / TV_COMMAND_SIZE;
	if (!commands)
		commands = 1;
	command += TV_COMMAND_SIZE * (size_t)world_below(w, (uint32_t)commands);
	switch (world_below(w, 16)) {
	case 0:
		/* Hardly anything is left for streamed weights. */
		if (world_chance(w, 8))
			tv_put32(header + 16,
				 tv_target_at(data[0] % 4)->onchip - world_below(w, 3000));
		else
			change_field(w, header_fields, TV_ARRAY_SIZE(header_fields), header,
				     segments);
		return true;
	case 1:
		data[world_below(w, EXECUTOR_SEGMENTS)] ^= (uint8_t)(1 << world_below(w, 8));
		return true;
	case 2:
		/* Program order is the meaning. */
		memmove(header + TV_PROGRAM_HEADER_SIZE, command, TV_COMMAND_SIZE);
		return true;
	case 3:
	case 4:
		change_field(w, segment_fields, TV_ARRAY_SIZE(segment_fields),
			     segments + (size_t)world_below(w, TV_SEGMENT_COUNT) *
						EXECUTOR_SEGMENT_SIZE,
			     segments);
		return true;
	case 5:
	case 6:
		return change_record(w, command, data, size);
	case 7:
		return false;
	default:
		change_field(w, command_fields, TV_ARRAY_SIZE(command_fields), command, segments);
		return true;
	}
}

bool executor_change(uint64_t *random, uint8_t *data, size_t size)
{
	struct world w = { .random = *random };
	bool changed = change_job(&w, data, size);

	*random = w.random;
	return changed;
}

void executor_fill(uint8_t *bytes, uint32_t size, uint8_t how)
{
	struct world w = { .random = how };

	for (uint32_t i = 0; i < size; i++) {
		uint8_t random = (uint8_t)world_random(&w);

		bytes[i] = how < 128 ? random : how < 192 ? 0x7f + random % 2 : how;
	}
}

#pragma clang attribute pop
