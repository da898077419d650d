// SPDX-License-Identifier: MIT
/* Hardware that misbehaves, and what is left of a job that went wrong. */
#include <dirent.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <triovit/golden.h>

#include "tests/qemu/guest/guest.h"

static void hang(void)
{
	int fd = guest_open();
	struct drm_triovit_counters before, after;
	struct drm_triovit_record record;
	struct guest_job jobs[2];
	uint64_t numbers[8];

	guest_job(fd, "golden", 0, &jobs[0]);
	guest_job(fd, "golden", 0, &jobs[1]);
	check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_COUNTERS, &before), 0);
	guest_ask("hang");
	for (unsigned int i = 0; i < 8; i++)
		numbers[i] = guest_submit(fd, &jobs[i % 2]);
	check_refused(guest_try_wait(fd, numbers[7], 0, &record), ETIMEDOUT);
	for (uint32_t access = 1; access <= 3; access++) {
		struct drm_triovit_bo_prep prep = { jobs[1].bo.handle, access, guest_after(1) };

		check_refused(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_BO_PREP, &prep), ETIMEDOUT);
	}
	check_int(guest_wait(fd, numbers[0]).status, -ETIMEDOUT);
	for (unsigned int i = 1; i < 8; i++)
		check_int(guest_wait(fd, numbers[i]).status, 0);
	check(guest_golden(&jobs[0]));
	check(guest_golden(&jobs[1]));
	check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_COUNTERS, &after), 0);
	check_int(after.resets - before.resets, 1);
	close(fd);
}

/* The job that runs is not to blame: it begins anew, unless it has changed what it reads. */
static void halt(void)
{
	struct drm_triovit_counters before, after;
	int fd = guest_open(), expected;
	struct guest_job job;
	uint64_t numbers[4];

	guest_job(fd, "golden", 0, &job);
	check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_COUNTERS, &before), 0);
	guest_write(GUEST_HANG_MS, "3000");
	for (unsigned int changes = 0; changes < 2; changes++) {
		guest_set_commands(&job, changes ? TV_GOLDEN_COMMANDS : 0);
		for (unsigned int i = TV_SEGMENT_OUTPUT; i <= TV_SEGMENT_SCRATCH; i++)
			job.segments[i].rights = DRM_TRIOVIT_SEGMENT_WRITE |
						 (changes ? DRM_TRIOVIT_SEGMENT_READ : 0);
		guest_ask("hang");
		for (unsigned int i = 0; i < 4; i++)
			numbers[i] = guest_submit(fd, &job);
		guest_ask("halt");
		expected = changes ? -ECANCELED : 0;
		check_int(guest_wait(fd, numbers[0]).status, expected);
		for (unsigned int i = 1; i < 4; i++)
			check_int(guest_wait(fd, numbers[i]).status, 0);
	}
	guest_write(GUEST_HANG_MS, "1000");
	check(guest_golden(&job));
	check_int(guest_ioctl(fd, DRM_IOCTL_TRIOVIT_COUNTERS, &after), 0);
	check_int(after.resets - before.resets, 2);
	close(fd);
}

/* Then there is nothing that can be done, but say so. */
static void stuck(void)
{
	int fd = guest_open(), r;
	struct guest_job job;
	uint64_t number;

	guest_job(fd, "golden", 0, &job);
	guest_write(GUEST_HANG_MS, "2000");
	guest_ask("hang");
	for (unsigned int i = 0; i < 8; i++)
		guest_submit(fd, &job);
	/* Not before: it may have been asleep. */
	guest_ask("stuck");
	for (uint64_t i = 1; i <= 8; i++)
		check_int(guest_wait(fd, i).status, -ENODEV);
	/* It may have been put to sleep by now. */
	r = guest_try_submit(fd, &job, &number);
	check_int(r ? r : guest_wait(fd, number).status, -ENODEV);
	guest_write(GUEST_HANG_MS, "1000");
	guest_ask("unstuck");
	guest_write(GUEST_DRIVER "/unbind", GUEST_FIRST);
	guest_write(GUEST_DRIVER "/bind", GUEST_FIRST);
	close(fd);
	fd = guest_open();
	guest_job(fd, "golden", 0, &job);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	close(fd);
}

/* One that registers make seem whole. */
static void hang_at_bind(void)
{
	struct guest_job job;
	int fd;

	guest_write(GUEST_DRIVER "/unbind", GUEST_FIRST);
	guest_ask("hang");
	guest_try_write(GUEST_DRIVER "/bind", GUEST_FIRST);
	check_int(guest_try_open(GUEST_FIRST), -ENODEV);
	guest_write(GUEST_DRIVER "/bind", GUEST_FIRST);
	fd = guest_open();
	guest_job(fd, "golden", 0, &job);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	close(fd);
}

static void lost_interrupts(void)
{
	int fd = guest_open();
	struct guest_job job;
	uint64_t last = 0;

	guest_job(fd, "golden", 0, &job);
	guest_ask("mute");
	for (unsigned int i = 0; i < 8; i++)
		last = guest_submit(fd, &job);
	check_int(guest_wait(fd, last).status, 0);
	guest_ask("unmute");
	check(guest_golden(&job));
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	close(fd);
}

static void spurious_interrupts(void)
{
	int fd = guest_open();
	struct guest_job job;

	guest_job(fd, "golden", 0, &job);
	for (unsigned int i = 0; i < 3; i++) {
		/* Not suspended, else nobody listens. */
		check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
		guest_ask("spurious");
	}
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	close(fd);
}

static void print_base64(const uint8_t *data, size_t size)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < size; i += 3) {
		uint32_t word = (uint32_t)data[i] << 16;

		if (i + 1 < size)
			word |= (uint32_t)data[i + 1] << 8;
		if (i + 2 < size)
			word |= data[i + 2];
		putchar(digits[word >> 18]);
		putchar(digits[word >> 12 & 63]);
		putchar(i + 1 < size ? digits[word >> 6 & 63] : '=');
		putchar(i + 2 < size ? digits[word & 63] : '=');
	}
}

/* The device's coredump, which is the caller's then, and is taken away; NULL: there is none. */
static uint8_t *take_dump(size_t *ret_size)
{
	static const char folder[] = "/sys/class/devcoredump";
	static const char link[] = GUEST_DRIVER "/" GUEST_FIRST "/devcoredump";
	struct dirent *entry;
	struct stat st;
	uint8_t *dump = NULL;
	char path[300];
	DIR *d = opendir(folder);

	while (d && !dump && (entry = readdir(d))) {
		if (strncmp(entry->d_name, "devcd", 5))
			continue;
		snprintf(path, sizeof(path), "%s/%s/data", folder, entry->d_name);
		dump = guest_load(path, ret_size);
		/* As long as it is there, there is no other. */
		guest_try_write(path, "0");
		for (int i = 0; i < 500 && (!access(path, F_OK) || !lstat(link, &st)); i++)
			usleep(10000);
	}
	if (d)
		closedir(d);
	return dump;
}

static void dumps(void)
{
	struct drm_triovit_record record;
	struct tv_completion completion;
	struct tv_descriptor descriptor;
	struct tv_dump_header header;
	struct tv_command command;
	int fd = guest_open();
	struct guest_job job;
	uint8_t *dump;
	size_t size;

	/* What earlier tests have left. */
	while ((dump = take_dump(&size)))
		free(dump);
	guest_write("/sys/module/triovit/parameters/dump", "1");
	guest_job(fd, "golden", 0, &job);
	guest_command(&job, 6, &command);
	command.output.offset = 1000;
	guest_set_command(&job, 6, &command);
	record = guest_wait(fd, guest_submit(fd, &job));
	check_int(record.status, -EIO);
	for (int i = 0; i < 500 && !(dump = take_dump(&size)); i++)
		usleep(10000);
	check(dump);
	tv_decode_dump_header(dump, &header);
	check_int(header.magic, TV_DUMP_MAGIC);
	check_int(header.version, TV_DUMP_VERSION);
	check_int(header.status, -EIO);
	check_int(header.recorded, 1);
	check_int(header.registers[TV_REG_ID / 4], TV_DEVICE_ID);
	check_int(tv_decode_descriptor(dump + TV_DUMP_DESCRIPTOR, &descriptor), 0);
	check_int(tv_decode_completion(dump + TV_DUMP_RECORD, &completion), 0);
	check_int(completion.fault, record.fault);
	check_int(completion.command, 6);
	check_int(completion.offset, record.offset);
	check_int(size, tv_dump_segment(&descriptor, TV_SEGMENT_COUNT));
	check(!memcmp(dump + tv_dump_segment(&descriptor, 0), job.bo.map + job.at[0],
		      descriptor.segment[0].size));
	printf("@dump ");
	print_base64(dump, size);
	guest_ask("");
	free(dump);
	/* The first is kept; others leave none until that is asked for. */
	check(!strcmp(guest_read("/sys/module/triovit/parameters/dump"), "N\n"));
	close(fd);
}

#define TRACING "/sys/kernel/tracing/"

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	while ((text = strstr(text, what))) {
		text++;
		n++;
	}
	return n;
}

/* What the trace has of four jobs, through a cached buffer. */
static const char *trace_jobs(const char *device)
{
	int fd = guest_try_open(device);
	struct guest_job job;

	check(fd >= 0);
	guest_job(fd, "golden", DRM_TRIOVIT_BO_CACHED, &job);
	guest_write(TRACING "trace", "");
	guest_write(TRACING "events/triovit/enable", "1");
	for (unsigned int i = 0; i < 4; i++) {
		guest_prep(&job.bo, DRM_TRIOVIT_ACCESS_WRITE);
		guest_fini(&job.bo, DRM_TRIOVIT_ACCESS_WRITE);
		check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
		check(guest_golden(&job));
	}
	guest_write(TRACING "events/triovit/enable", "0");
	guest_job_free(&job);
	close(fd);
	return guest_read(TRACING "trace");
}

static void traces(void)
{
	const char *trace;

	if (access(TRACING "events/triovit/enable", W_OK))
		guest_skip("no tracing");
	trace = trace_jobs(GUEST_FIRST);
	check_int(count(trace, "triovit_submit:"), 4);
	check_int(count(trace, "triovit_start:"), 4);
	check_int(count(trace, "triovit_end:"), 4);
	/* Before and after the input was written, before and after the output was read. */
	check_int(count(trace, "for=cpu synced=1"), 8);
	check_int(count(trace, "for=device synced=1"), 8);
}

static void coherent(void)
{
	const char *trace;

	if (access(TRACING "events/triovit/enable", W_OK))
		guest_skip("no tracing");
	if (!guest_coherent(GUEST_SECOND))
		guest_skip("the second accelerator does not see the caches");
	trace = trace_jobs(GUEST_SECOND);
	check_int(count(trace, "triovit_end:"), 4);
	check_int(count(trace, "for=cpu synced=0"), 8);
	check_int(count(trace, "for=device synced=0"), 8);
	check_int(count(trace, "synced=1"), 0);
}

static void usage(void)
{
	int fd = guest_open();
	struct guest_job job;
	const char *text;
	char path[64];

	guest_job(fd, "golden", 0, &job);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	text = guest_read(path);
	check(strstr(text, "drm-driver:\ttriovit"));
	check(strstr(text, "drm-engine-triovit:\t") && !strstr(text, "drm-engine-triovit:\t0 ns"));
	check(!strstr(text, "drm-memory-memory:\t0 KiB"));
	close(fd);
}

const struct guest_test guest_trouble_tests[] = {
	{ "a hang: nobody sees an end before it; the guilty job ends, those behind it run", hang },
	{ "a halt: what runs begins anew, if it can", halt },
	{ "a reset that does not come to an end: all jobs do", stuck },
	{ "a hang when it is bound: it is not, and can be later", hang_at_bind },
	{ "interrupts that get lost", lost_interrupts },
	{ "interrupts for nothing", spurious_interrupts },
	{ "a device coredump of a job with a fault", dumps },
	{ "trace events: jobs, and cache syncs for each", traces },
	{ "no cache syncs where the accelerator sees the caches", coherent },
	{ "usage in fdinfo", usage },
	{ NULL, NULL },
};
