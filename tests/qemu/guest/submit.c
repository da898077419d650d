// SPDX-License-Identifier: MIT
/* Jobs, good and bad, and their fences. */
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/qemu/guest/guest.h"

static void golden(void)
{
	int fd = guest_open();

	for (uint32_t flags = 0; flags <= DRM_TRIOVIT_BO_CACHED; flags++) {
		struct drm_triovit_record record, again;
		struct guest_job job;
		uint64_t number;

		guest_job(fd, "golden", flags, &job);
		number = guest_submit(fd, &job);
		check_int(number, flags + 1);
		record = guest_wait(fd, number);
		check_int(record.status, 0);
		check_int(record.fault, TV_FAULT_NONE);
		check_int(record.command, TV_RECORD_NO_COMMAND);
		check_int(record.executed, 11);
		check(record.end > record.start);
		check(record.mat_busy && record.mat_busy <= record.end - record.start);
		check(guest_golden(&job));
		/* As often as one likes. */
		again = guest_wait(fd, number);
		check(!memcmp(&again, &record, sizeof(record)));
		guest_job_free(&job);
	}
	close(fd);
}

static void network(const char *name)
{
	struct drm_triovit_record record;
	struct guest_job job;
	uint8_t *expected;
	int fd = guest_open();
	char path[64];
	size_t size;

	snprintf(path, sizeof(path), "/jobs/%s.out", name);
	expected = guest_load(path, &size);
	check(expected);
	for (uint32_t flags = 0; flags <= DRM_TRIOVIT_BO_CACHED; flags++) {
		guest_job(fd, name, flags, &job);
		record = guest_wait(fd, guest_submit(fd, &job));
		check_int(record.status, 0);
		guest_prep(&job.bo, DRM_TRIOVIT_ACCESS_READ);
		check(!memcmp(job.bo.map + job.at[TV_SEGMENT_OUTPUT], expected, size));
		guest_fini(&job.bo, DRM_TRIOVIT_ACCESS_READ);
		guest_job_free(&job);
	}
	free(expected);
	close(fd);
}

static void demo(void)
{
	network("network");
}

static void b1(void)
{
	network("b1");
}

/* Submits the job with a change; what is refused must leave no trace. */
#define refused(change, error)                                                                     \
	do {                                                                                       \
		struct guest_job saved = job;                                                      \
		uint64_t number_;                                                                  \
                                                                                                   \
		change;                                                                            \
		check_refused(guest_try_submit(fd, &job, &number_), error);                        \
		job = saved;                                                                       \
	} while (0)

static void bad_submits(void)
{
	int fd = guest_open(), other = guest_open();
	struct drm_triovit_record record;
	struct guest_job job;
	struct guest_bo bo;
	uint32_t handle = 77;

	guest_job(fd, "golden", 0, &job);
	bo = guest_bo(fd, 4096, 0);
	refused(job.submit.segments = 0, EFAULT);
	refused(job.submit.segments = UINT64_MAX - 64, EFAULT);
	refused(job.submit.segment_count = 0, EINVAL);
	refused(job.submit.segment_count = 9, EINVAL);
	refused(job.submit.segment_count = UINT32_MAX, EINVAL);
	refused(job.submit.segment_size = 0, EINVAL);
	refused(job.submit.segment_size = 23, EINVAL);
	refused(job.submit.segment_size = UINT32_MAX, EINVAL);
	refused(job.submit.in_count = 65, EINVAL);
	refused(job.submit.in_count = UINT32_MAX, EINVAL);
	refused(job.submit.in_count = 1, EFAULT);
	refused(job.submit.out_count = 65, EINVAL);
	refused(job.submit.out_count = 1, EFAULT);
	refused((job.submit.in_syncobjs = (uintptr_t)&handle, job.submit.in_count = 1), ENOENT);
	refused((job.submit.out_syncobjs = (uintptr_t)&handle, job.submit.out_count = 1), ENOENT);
	refused(job.submit.priority = 3, EINVAL);
	refused(job.submit.priority = UINT32_MAX, EINVAL);
	refused(job.submit.flags = 1, EINVAL);
	refused(job.submit.deadline_ns = -1, EINVAL);
	refused(job.submit.job = 1, EINVAL);

	refused(job.segments[0].size = 0, EINVAL);
	refused(memset(&job.segments[0], 0, sizeof(job.segments[0])), EINVAL);
	refused(job.segments[0].rights = 3, EINVAL);
	refused(job.segments[1].handle = 77, ENOENT);
	refused(job.segments[1].handle = 0, ENOENT);
	refused(job.segments[1].rights = 0, EINVAL);
	refused(job.segments[1].rights = 4, EINVAL);
	refused(job.segments[1].rights = 1u << 31, EINVAL);
	refused(job.segments[1].offset += 1, EINVAL);
	refused(job.segments[1].offset += 32, EINVAL);
	refused(job.segments[1].offset = job.bo.size, EINVAL);
	refused(job.segments[1].offset = (uint64_t)-64, EINVAL);
	refused(job.segments[1].size = job.bo.size, EINVAL);
	refused(job.segments[1].size = 1ull << 32, EINVAL);
	refused(job.segments[1].size = UINT64_MAX, EINVAL);
	refused(job.segments[1].size = 0, EINVAL);
	refused(job.segments[7].rights = 1, EINVAL);
	refused(job.segments[7].offset = 64, EINVAL);
	refused(job.segments[7].handle = bo.handle, EINVAL);
	/* Overlapping, one of them writable. */
	refused(job.segments[3].offset = job.segments[4].offset, EINVAL);
	refused(job.segments[3].offset = job.segments[2].offset + 128, EINVAL);
	/* Another file has no such buffers. */
	check_refused(guest_try_submit(other, &job, &(uint64_t){ 0 }), ENOENT);
	guest_close_handle(fd, bo.handle);
	refused(job.segments[1].handle = bo.handle, ENOENT);

	/* Two that are only read may be the same. */
	job.segments[5] = job.segments[1];
	record = guest_wait(fd, guest_submit(fd, &job));
	check_int(record.status, 0);
	check(guest_golden(&job));
	check_int(guest_try_wait(fd, 2, 0, &record), -ENOENT);
	close(other);
	close(fd);
}

static void longer_structures(void)
{
	struct {
		struct drm_triovit_segment segment;
		uint64_t more;
	} longer[TV_SEGMENT_COUNT];
	int fd = guest_open();
	struct guest_job job;
	uint64_t number;

	guest_job(fd, "golden", 0, &job);
	memset(longer, 0, sizeof(longer));
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		longer[i].segment = job.segments[i];
	job.submit.segments = (uintptr_t)longer;
	job.submit.segment_size = sizeof(longer[0]);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	check(guest_golden(&job));
	longer[3].more = 1;
	check_refused(guest_try_submit(fd, &job, &number), E2BIG);
	close(fd);
}

static void bad_waits(void)
{
	struct drm_triovit_record record;
	int fd = guest_open();
	struct guest_job job;

	check_refused(guest_try_wait(fd, 0, 0, &record), ENOENT);
	check_refused(guest_try_wait(fd, 1, 0, &record), ENOENT);
	check_refused(guest_try_wait(fd, UINT64_MAX, 0, &record), ENOENT);
	guest_job(fd, "golden", 0, &job);
	/* A record's place is taken by the 256th job after it. */
	for (uint64_t i = 1; i <= 256; i++)
		check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	check_int(guest_wait(fd, 1).status, 0);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	check_refused(guest_try_wait(fd, 1, 0, &record), ENOENT);
	check_int(guest_wait(fd, 2).status, 0);
	close(fd);
}

static void faults(void)
{
	struct drm_triovit_record record;
	struct tv_command command, saved;
	int fd = guest_open();
	struct guest_job job;
	uint64_t numbers[2];

	guest_job(fd, "golden", 0, &job);
	guest_command(&job, 3, &saved);
	command = saved;
	command.output.offset = 512;
	guest_set_command(&job, 3, &command);
	numbers[0] = guest_submit(fd, &job);
	record = guest_wait(fd, numbers[0]);
	check_int(record.status, -EIO);
	check_int(record.fault, TV_FAULT_SEGMENT);
	check_int(record.command, 3);
	check_int(record.segment, TV_SEGMENT_SCRATCH);
	check_int(record.offset, 512);
	check_int(record.executed, 3);

	command = saved;
	command.opcode = 99;
	guest_set_command(&job, 3, &command);
	record = guest_wait(fd, guest_submit(fd, &job));
	check_int(record.status, -EIO);
	check_int(record.fault, TV_FAULT_BAD_COMMAND);
	check_int(record.command, 3);

	guest_set_command(&job, 3, &saved);
	numbers[0] = guest_submit(fd, &job);
	job.segments[TV_SEGMENT_OUTPUT].rights = DRM_TRIOVIT_SEGMENT_READ;
	numbers[1] = guest_submit(fd, &job);
	check_int(guest_wait(fd, numbers[0]).status, 0);
	record = guest_wait(fd, numbers[1]);
	check_int(record.status, -EIO);
	check_int(record.fault, TV_FAULT_BAD_JOB);
	job.segments[TV_SEGMENT_OUTPUT].rights = 3;
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	check(guest_golden(&job));
	close(fd);
}

static void syncobjs(void)
{
	int fd = guest_open(), file;
	uint32_t chain[9];
	struct guest_job job;
	uint64_t last = 0;

	guest_job(fd, "golden", 0, &job);
	for (unsigned int i = 0; i < 9; i++)
		chain[i] = guest_syncobj(fd);
	/* A syncobj without a fence is nothing to wait for. */
	job.submit.in_syncobjs = (uintptr_t)&chain[0];
	job.submit.in_count = 1;
	check_refused(guest_try_submit(fd, &job, &last), ENOENT);
	job.submit.in_count = 0;
	for (unsigned int i = 0; i < 9; i++) {
		job.submit.in_syncobjs = i ? (uintptr_t)&chain[i - 1] : 0;
		job.submit.in_count = !!i;
		job.submit.out_syncobjs = (uintptr_t)&chain[i];
		job.submit.out_count = 1;
		last = guest_submit(fd, &job);
	}
	file = guest_sync_file(fd, chain[8]);
	check_int(poll(&(struct pollfd){ .fd = file, .events = POLLIN }, 1, 30000), 1);
	check_int(guest_sync_status(file), 1);
	/* The last one's fence came last. */
	for (unsigned int i = 0; i < 9; i++)
		check_int(guest_sync_wait(fd, chain[i], 0), 0);
	for (uint64_t i = 1; i < last; i++)
		check(guest_wait(fd, i).end <= guest_wait(fd, i + 1).start);
	for (unsigned int i = 0; i < 9; i++)
		guest_syncobj_free(fd, chain[i]);
	close(file);
	close(fd);
}

static void failed_fence(void)
{
	int fd = guest_open(), file;
	uint32_t syncobj = guest_syncobj(fd);
	struct guest_job job;
	uint64_t number;

	guest_job(fd, "golden", 0, &job);
	job.segments[TV_SEGMENT_OUTPUT].rights = DRM_TRIOVIT_SEGMENT_READ;
	job.submit.out_syncobjs = (uintptr_t)&syncobj;
	job.submit.out_count = 1;
	number = guest_submit(fd, &job);
	file = guest_sync_file(fd, syncobj);
	check_int(guest_wait(fd, number).status, -EIO);
	check_int(poll(&(struct pollfd){ .fd = file, .events = POLLIN }, 1, 30000), 1);
	check_int(guest_sync_status(file), -EIO);
	close(file);
	close(fd);
}

static void deadline(void)
{
	int fd = guest_open();
	struct guest_job job;

	guest_job(fd, "golden", 0, &job);
	job.submit.deadline_ns = 1;
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, -ETIME);
	job.submit.deadline_ns = guest_after(60000);
	check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	check(guest_golden(&job));
	close(fd);
}

static void priorities(void)
{
	int fd = guest_open(), status;
	struct guest_job job;
	uint64_t number;
	pid_t child;

	guest_job(fd, "golden", 0, &job);
	for (job.submit.priority = 0; job.submit.priority < 3; job.submit.priority++)
		check_int(guest_wait(fd, guest_submit(fd, &job)).status, 0);
	child = fork();
	if (!child) {
		if (setuid(1000))
			_exit(1);
		job.submit.priority = DRM_TRIOVIT_PRIORITY_HIGH;
		if (guest_try_submit(fd, &job, &number) != -EPERM)
			_exit(2);
		job.submit.priority = DRM_TRIOVIT_PRIORITY_LOW;
		_exit(guest_try_submit(fd, &job, &number) ? 3 : 0);
	}
	check(waitpid(child, &status, 0) == child);
	check_int(status, 0);
	close(fd);
}

const struct guest_test guest_submit_tests[] = {
	{ "the golden job, through both kinds of buffers", golden },
	{ "the demo network: the functional model's bits", demo },
	{ "B1-224: the functional model's bits", b1 },
	{ "submit: each field wrong in turn", bad_submits },
	{ "submit: structures of the future", longer_structures },
	{ "wait: jobs that are none, records that are gone", bad_waits },
	{ "faults have the right record, and the next job runs", faults },
	{ "syncobjs: nine jobs in a chain, in order, as a sync_file", syncobjs },
	{ "the fence of a job with a fault has its error", failed_fence },
	{ "a deadline that has passed", deadline },
	{ "priorities, and who may have the highest", priorities },
	{ NULL, NULL },
};
