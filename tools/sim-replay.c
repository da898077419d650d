/* SPDX-License-Identifier: MIT */
/* triovit-sim replay: a job that went wrong, as the kernel has kept it (<triovit/dump.h>), once
 * more on the model of the accelerator. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <triovit/dump.h>

#include "common/file.h"
#include "rtl-model/command.h"
#include "rtl-model/device.h"
#include "tools/sim.h"

#define DUMP_MAX      (1ull << 32)
#define ADDRESS_BITS  40 /* where the dump has no registers */
#define RING_ENTRIES  2
#define RECORDS	      (RING_ENTRIES * TV_DESCRIPTOR_SIZE)
#define RINGS_SIZE    (RECORDS + RING_ENTRIES * TV_COMPLETION_SIZE)
#define RINGS_ALIGNED 1024

/* The memory that the job saw, and the rings, where none of it is. */
struct replay {
	uint8_t *dump;
	size_t size;
	struct tv_dump_header header;
	struct tv_descriptor job;
	struct tv_completion recorded;
	const struct tv_target *target;
	unsigned int address_bits;
	uint64_t rings_at;
	uint8_t rings[RINGS_SIZE];
	uint64_t now; /* cycles */
	char why[256]; /* what the model complained about last */
};

static uint8_t *ring_bytes(struct replay *replay, uint64_t address, size_t size)
{
	uint64_t at = address - replay->rings_at;

	return at < RINGS_SIZE && size <= RINGS_SIZE - at ? replay->rings + at : NULL;
}

static int read_ring(void *host, uint64_t address, void *ret, size_t size)
{
	const uint8_t *bytes = ring_bytes(host, address, size);

	if (!bytes)
		return -EIO;
	memcpy(ret, bytes, size);
	return 0;
}

static int write_ring(void *host, uint64_t address, const void *data, size_t size)
{
	uint8_t *bytes = ring_bytes(host, address, size);

	if (!bytes)
		return -EIO;
	memcpy(bytes, data, size);
	return 0;
}

/* All of it is there, but for what did not answer then. */
static uint32_t map(void *host, uint64_t address, uint32_t size, uint32_t rights, uint8_t **ret)
{
	struct replay *replay = host;

	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		if (replay->job.segment[i].base != address || replay->job.segment[i].size != size)
			continue;
		*ret = replay->dump + tv_dump_segment(&replay->job, i);
		if (replay->recorded.fault == TV_FAULT_BUS && replay->recorded.segment == i &&
		    replay->recorded.offset < size)
			return replay->recorded.offset;
		return size;
	}
	return 0;
}

static void unmap(void *host, uint8_t *data, uint32_t size, uint32_t rights)
{
}

static void interrupt(void *host, bool level)
{
}

static uint64_t cycles(void *host)
{
	return ((const struct replay *)host)->now;
}

static void complain(void *host, const char *what)
{
	struct replay *replay = host;

	snprintf(replay->why, sizeof(replay->why), "%s", what);
}

static const struct tv_device_host host = {
	.read = read_ring,
	.write = write_ring,
	.map = map,
	.unmap = unmap,
	.interrupt = interrupt,
	.clock = cycles,
	.complain = complain,
};

/* Rings at the first place that no segment overlaps. */
static void place_rings(struct replay *replay)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
			const struct tv_segment *segment = &replay->job.segment[i];
			uint64_t end = segment->base + segment->size;

			if (!segment->size || replay->rings_at + RINGS_SIZE <= segment->base ||
			    end <= replay->rings_at)
				continue;
			replay->rings_at = (end + RINGS_ALIGNED - 1) & ~(RINGS_ALIGNED - 1ull);
			moved = true;
		}
	}
}

static int load(const char *path, struct replay *ret, struct tv_error *error)
{
	uint32_t limits;
	int r;

	r = tv_file_read(path, DUMP_MAX, &ret->dump, &ret->size, error);
	if (r < 0)
		return r;
	if (ret->size < TV_DUMP_SEGMENTS || tv_get32(ret->dump) != TV_DUMP_MAGIC)
		return tv_error_set(error, -EBADMSG, "%s: this is no dump of a job", path);
	tv_decode_dump_header(ret->dump, &ret->header);
	if (ret->header.version != TV_DUMP_VERSION)
		return tv_error_set(error, -EBADMSG, "%s: a dump of version %u, expected %u", path,
				    ret->header.version, TV_DUMP_VERSION);
	tv_decode_descriptor(ret->dump + TV_DUMP_DESCRIPTOR, &ret->job);
	tv_decode_completion(ret->dump + TV_DUMP_RECORD, &ret->recorded);
	if (tv_dump_segment(&ret->job, TV_SEGMENT_COUNT) > ret->size)
		return tv_error_set(error, -EBADMSG, "%s: it ends within the job's segments", path);
	ret->target = tv_target_by_id((uint16_t)ret->header.registers[TV_REG_TARGET / 4]);
	if (!ret->target)
		return tv_error_set(error, -ENOTSUP,
				    "%s: from an accelerator of configuration %u, which is not "
				    "built in",
				    path, ret->header.registers[TV_REG_TARGET / 4]);
	limits = ret->header.registers[TV_REG_LIMITS / 4] & 0xff;
	ret->address_bits = limits >= 32 && limits <= 64 ? limits : ADDRESS_BITS;
	place_rings(ret);
	return 0;
}

static int execute(struct replay *replay, struct tv_completion *ret, struct tv_error *error)
{
	_cleanup_(tv_device_freep) struct tv_device *device = NULL;
	uint64_t records = replay->rings_at + RECORDS;
	int r;

	memcpy(replay->rings, replay->dump + TV_DUMP_DESCRIPTOR, TV_DESCRIPTOR_SIZE);
	r = tv_device_new(replay->target, replay->address_bits, &host, replay, &device, error);
	if (r < 0)
		return r;
	tv_device_write(device, TV_REG_SUBMIT_LO, (uint32_t)replay->rings_at);
	tv_device_write(device, TV_REG_SUBMIT_HI, (uint32_t)(replay->rings_at >> 32));
	tv_device_write(device, TV_REG_COMPLETE_LO, (uint32_t)records);
	tv_device_write(device, TV_REG_COMPLETE_HI, (uint32_t)(records >> 32));
	tv_device_write(device, TV_REG_RING_SIZE, RING_ENTRIES);
	tv_device_write(device, TV_REG_WATCHDOG, replay->header.watchdog);
	tv_device_write(device, TV_REG_CONTROL, TV_CONTROL_ENABLE);
	tv_device_write(device, TV_REG_TAIL, 1);
	while (tv_device_next(device) != UINT64_MAX) {
		replay->now = tv_device_next(device);
		tv_device_advance(device);
	}
	if (tv_device_read(device, TV_REG_HEAD) != 1)
		return tv_error_set(error, -EIO, "the model has halted: %s", replay->why);
	tv_decode_completion(replay->rings + RECORDS, ret);
	return 0;
}

static void print(const char *what, const struct tv_completion *record)
{
	printf("%-10s  %s", what, tv_fault_name((enum tv_fault)record->fault));
	if (record->command != TV_RECORD_NO_COMMAND)
		printf(", command %" PRIu32, record->command);
	if (record->segment != TV_SEGMENT_NONE)
		printf(", segment %u, offset %" PRIu32, record->segment, record->offset);
	printf(", %" PRIu32 " commands executed in %" PRIu64 " cycles\n", record->executed,
	       record->end - record->start);
}

static bool same(const struct tv_completion *a, const struct tv_completion *b)
{
	return a->fault == b->fault && a->command == b->command && a->segment == b->segment &&
	       a->offset == b->offset && a->executed == b->executed;
}

static int replay_file(const char *path)
{
	_cleanup_free_ struct replay *replay = calloc(1, sizeof(*replay));
	_cleanup_free_ uint8_t *dump = NULL;
	struct tv_completion record;
	struct tv_error error = { 0 };
	int r;

	if (!replay) {
		tv_error_oom(&error);
		return tool_fail(&error);
	}
	r = load(path, replay, &error);
	dump = replay->dump;
	if (r >= 0)
		r = execute(replay, &record, &error);
	if (r < 0)
		return tool_fail(&error);
	if (replay->header.recorded)
		print("recorded", &replay->recorded);
	else
		printf("%-10s  none: the accelerator was reset (status %d)\n", "recorded",
		       replay->header.status);
	print("replayed", &record);
	if (record.fault)
		printf("%-10s  %s\n", "why", replay->why);
	if (!replay->header.recorded)
		return EXIT_SUCCESS;
	if (same(&record, &replay->recorded))
		return EXIT_SUCCESS;
	tv_error_set(&error, -EIO, "%s: the model ends otherwise than the accelerator did", path);
	return tool_fail(&error);
}

static int run(const struct tool_command *self, int argc, char **argv)
{
	static const struct tool_option none[] = { { 0 } };
	int code = tool_parse(self, argc, argv, none, NULL);

	if (code != TOOL_GO_ON)
		return code;
	if (argc - optind != 1)
		return tool_wrong_usage(self, "expected a DUMP");
	return replay_file(argv[optind]);
}

const struct tool_command sim_replay = {
	.name = "replay",
	.arguments = "DUMP",
	.summary = "execute a job that the kernel has kept of an accelerator",
	.help = "DUMP is a device coredump of the driver (/sys/class/devcoredump): a job that\n"
		"ended with a fault, or with a reset. It is executed by the model, and both\n"
		"records are shown; the exit code is 1 if they differ.\n"
		"\n"
		"Options:\n"
		"  -h, --help     this text\n",
	.run = run,
};
