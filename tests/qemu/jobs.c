/* SPDX-License-Identifier: MIT */
/*
 * jobs DIRECTORY TARGET [NAME PACKAGE]...: jobs to try a device or driver with, and what has to
 * come out of them. golden.job is for TARGET, as packages should be. NAME.job is one as in
 * <triovit/dump.h>, NAME.out the bytes that its output segment then has, NAME.cycles how many
 * cycles apart such jobs end that are queued.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <triovit/dump.h>
#include <triovit/golden.h>

#include "common/error.h"
#include "common/file.h"
#include "quantizer/integer.h"
#include "rtl-model/cycle.h"

struct parts {
	const uint8_t *bytes[TV_SEGMENT_COUNT]; /* NULL: zeros */
	uint32_t size[TV_SEGMENT_COUNT];
	uint16_t writable;
};

static int write_file(const char *directory, const char *name, const char *ending, const void *data,
		      size_t size, struct tv_error *error)
{
	struct iovec part = { (void *)data, size };
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.%s", directory, name, ending);
	return tv_file_write(path, &part, 1, error);
}

static int write_job(const char *directory, const char *name, const struct parts *parts,
		     struct tv_error *error)
{
	struct tv_dump_header header = { .magic = TV_DUMP_MAGIC, .version = TV_DUMP_VERSION };
	_cleanup_free_ uint8_t *dump = NULL;
	struct tv_descriptor job = { .job = 1 };
	size_t size;

	header.registers[TV_REG_ID / 4] = TV_DEVICE_ID;
	header.registers[TV_REG_TARGET / 4] = tv_get16(parts->bytes[0] + 6);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		if (!parts->size[i])
			continue;
		job.segment[i].base = (uint64_t)(i + 1) << 28;
		job.segment[i].size = parts->size[i];
		job.segment[i].rights = TV_SEGMENT_READ;
		if (parts->writable >> i & 1)
			job.segment[i].rights |= TV_SEGMENT_WRITE;
	}
	size = tv_dump_segment(&job, TV_SEGMENT_COUNT);
	dump = calloc(1, size);
	if (!dump)
		return tv_error_oom(error);
	tv_encode_dump_header(&header, dump);
	tv_encode_descriptor(&job, dump + TV_DUMP_DESCRIPTOR);
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		if (parts->bytes[i])
			memcpy(dump + tv_dump_segment(&job, i), parts->bytes[i], parts->size[i]);
	return write_file(directory, name, "job", dump, size, error);
}

static int write_golden(const char *directory, const char *target, struct tv_error *error)
{
	static uint8_t program[TV_GOLDEN_PROGRAM_SIZE], weights[TV_GOLDEN_WEIGHTS_SIZE];
	static uint8_t input[TV_GOLDEN_INPUT_SIZE];
	const struct parts parts = {
		.bytes = { program, weights, input },
		.size = { TV_GOLDEN_PROGRAM_SIZE, TV_GOLDEN_WEIGHTS_SIZE, TV_GOLDEN_INPUT_SIZE,
			  TV_GOLDEN_OUTPUT_SIZE, TV_GOLDEN_SCRATCH_SIZE },
		.writable = 1u << TV_SEGMENT_OUTPUT | 1u << TV_SEGMENT_SCRATCH,
	};
	const struct tv_target *of = tv_target_by_name(target);

	if (!of)
		return tv_error_set(error, -EINVAL, "no target '%s'", target);
	tv_golden_build(of->id, program, weights, input);
	return write_job(directory, "golden", &parts, error);
}

static int write_cycles(const char *directory, const char *name,
			const struct tv_package_program *program, struct tv_error *error)
{
	const uint32_t count = program->header.commands;
	_cleanup_free_ struct tv_command *commands = calloc(count, sizeof(*commands));
	const struct tv_cycle_options how = {
		.target = tv_target_by_name(program->target),
		.dram_percent = 100,
	};
	const struct tv_cycle_program of = { program->header.onchip, commands, count };
	struct tv_cycle_profile profile;
	char text[32];
	int r;

	if (!commands)
		return tv_error_oom(error);
	for (uint32_t i = 0; i < count; i++)
		tv_decode_command(program->program + TV_PROGRAM_HEADER_SIZE + i * TV_COMMAND_SIZE,
				  &commands[i]);
	r = tv_cycle_profile(&how, &of, program->header.images, &profile, NULL, error);
	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%.0f\n", profile.steady);
	return write_file(directory, name, "cycles", text, strlen(text), error);
}

static int write_network(const char *directory, const char *name, const char *path,
			 struct tv_error *error)
{
	_cleanup_(tv_integer_runner_freep) struct tv_integer_runner *runner = NULL;
	_cleanup_(tv_package_freep) struct tv_package *package = NULL;
	const struct tv_package_program *program;
	_cleanup_free_ uint8_t *rgb = NULL;
	_cleanup_free_ int16_t *logits = NULL;
	struct parts parts = { .writable = 0 };
	uint64_t state = 1;
	int r;

	r = tv_package_read(path, &package, error);
	if (r < 0)
		return r;
	program = &package->programs[0];
	memcpy(parts.size, program->header.segment, sizeof(parts.size));
	parts.writable = program->header.writable;
	rgb = malloc(parts.size[TV_SEGMENT_INPUT]);
	logits = calloc(1, parts.size[TV_SEGMENT_OUTPUT]);
	if (!rgb || !logits)
		return tv_error_oom(error);
	tv_golden_fill(&state, rgb, parts.size[TV_SEGMENT_INPUT]);
	parts.bytes[TV_SEGMENT_PROGRAM] = program->program;
	parts.bytes[TV_SEGMENT_WEIGHTS] = program->weights;
	parts.bytes[TV_SEGMENT_INPUT] = rgb;
	r = tv_integer_runner_new(package, program, NULL, &runner, error);
	if (r < 0)
		return r;
	r = tv_integer_run(runner, rgb, program->header.images, NULL, NULL, logits, NULL, error);
	if (r < 0)
		return r;
	r = write_job(directory, name, &parts, error);
	if (r < 0)
		return r;
	r = write_file(directory, name, "out", logits, parts.size[TV_SEGMENT_OUTPUT], error);
	if (r < 0)
		return r;
	return write_cycles(directory, name, program, error);
}

int main(int argc, char **argv)
{
	struct tv_error error = { 0 };

	int r;

	if (argc < 3 || !(argc % 2)) {
		fputs("usage: jobs DIRECTORY TARGET [NAME PACKAGE]...\n", stderr);
		return 2;
	}
	r = write_golden(argv[1], argv[2], &error);
	for (int i = 3; i < argc && r >= 0; i += 2)
		r = write_network(argv[1], argv[i], argv[i + 1], &error);
	if (r < 0) {
		fprintf(stderr, "jobs: %s\n", error.text);
		return 1;
	}
	return 0;
}
