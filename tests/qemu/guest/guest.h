/* SPDX-License-Identifier: MIT */
/* What tests of the driver share: a device's file, buffers, jobs as in <triovit/dump.h>, TAP. They
 * run in a guest with nothing but a kernel around them. */
#ifndef TV_TESTS_QEMU_GUEST_H
#define TV_TESTS_QEMU_GUEST_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <drm.h>
#include <drm/triovit_accel.h>

#include <triovit/dump.h>

/* --- the verdict --- */

struct guest_test {
	const char *name;
	void (*run)(void);
};

/* Ends the test that runs. */
__attribute__((noreturn, format(printf, 3, 4))) void guest_fail(const char *file, int line,
								const char *format, ...);
__attribute__((noreturn)) void guest_skip(const char *why);

#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			guest_fail(__FILE__, __LINE__, "%s (errno %d)", #condition, errno);        \
	} while (0)

#define check_int(a, b)                                                                            \
	do {                                                                                       \
		long long a_ = (a), b_ = (b);                                                      \
		if (a_ != b_)                                                                      \
			guest_fail(__FILE__, __LINE__, "%s is %lld, not %lld (errno %d)", #a, a_,  \
				   b_, errno);                                                     \
	} while (0)

/* The call fails with this errno. */
#define check_refused(call, error)                                                                 \
	do {                                                                                       \
		int r_ = (call);                                                                   \
		if (r_ != -(error))                                                                \
			guest_fail(__FILE__, __LINE__, "%s returns %d, not %d", #call, r_,         \
				   -(error));                                                      \
	} while (0)

/* Runs all of several lists, the last of which is NULL; false: something failed. */
bool guest_run_all(const struct guest_test *const *subjects);

/* In a kernel that checks itself all the time: a tenth of what else is done so often. */
extern bool guest_slow;

static inline unsigned int guest_often(unsigned int count)
{
	return guest_slow ? count / 10 : count;
}

/* Asks whoever started the guest for something, and returns when it is done; "" ends a request
 * whose beginning was printed. */
void guest_ask(const char *what);

/* --- files --- */

void guest_write(const char *path, const char *text);
/* 0, or a negative errno. */
int guest_try_write(const char *path, const char *text);
/* NUL-terminated; static. Empty if there is none. */
const char *guest_read(const char *path);
/* NULL if there is none. */
uint8_t *guest_load(const char *path, size_t *ret_size);

/* --- the device --- */

/* The 32-bit guest is a Zynq-7000, the other a ZynqMP. */
#ifdef __arm__
#define GUEST_FIRST  "43c00000.accelerator"
#define GUEST_SECOND "43c10000.accelerator"
#define GUEST_TARGET "zynq7020"
#else
#define GUEST_FIRST  "a0000000.accelerator"
#define GUEST_SECOND "a0010000.accelerator"
#define GUEST_TARGET "zcu102"
#endif
#define GUEST_DRIVER  "/sys/bus/platform/drivers/triovit"
#define GUEST_HANG_MS "/sys/module/triovit/parameters/hang_ms"

/* The path of a device's node; -ENODEV: there is none. */
int guest_node(const char *device, char *ret, size_t size);
/* Opens it. */
int guest_try_open(const char *device);
int guest_open(void);
/* 0 or a negative errno. */
int guest_ioctl(int fd, unsigned long request, void *args);
uint64_t guest_param(int fd, uint32_t param);
/* Whether its device tree says that it sees the processors' caches. */
bool guest_coherent(const char *device);
/* CLOCK_MONOTONIC, so many milliseconds from now. */
int64_t guest_after(int milliseconds);

struct guest_bo {
	int fd;
	uint32_t handle;
	uint64_t size;
	uint8_t *map;
};

int guest_try_bo(int fd, uint64_t size, uint32_t flags, uint32_t *ret);
struct guest_bo guest_bo(int fd, uint64_t size, uint32_t flags);
void guest_close_handle(int fd, uint32_t handle);
void guest_bo_free(struct guest_bo *bo);
void guest_prep(const struct guest_bo *bo, uint32_t access);
void guest_fini(const struct guest_bo *bo, uint32_t access);

/* --- dma-bufs --- */

int guest_export(int fd, uint32_t handle);
int guest_try_import(int fd, int dma_buf, uint32_t *ret);
uint8_t *guest_map_buf(int dma_buf, uint64_t size);
void guest_unmap_buf(uint8_t *map);
/* DMA_BUF_SYNC_... */
void guest_sync_buf(int dma_buf, uint64_t flags);

/* --- jobs --- */

/* All segments of a job in one buffer, one after the other. */
struct guest_job {
	struct guest_bo bo;
	struct tv_descriptor from;
	uint64_t at[TV_SEGMENT_COUNT];
	struct drm_triovit_segment segments[TV_SEGMENT_COUNT];
	struct drm_triovit_submit submit;
};

/* NAME.job of the initial file system; its places in *ret, which must stay where it is. */
void guest_job(int fd, const char *name, uint32_t flags, struct guest_job *ret);
void guest_job_free(struct guest_job *job);
int guest_try_submit(int fd, struct guest_job *job, uint64_t *ret);
uint64_t guest_submit(int fd, struct guest_job *job);
int guest_try_wait(int fd, uint64_t job, int milliseconds, struct drm_triovit_record *ret);
struct drm_triovit_record guest_wait(int fd, uint64_t job);
/* Whether the golden job's output is right. */
bool guest_golden(struct guest_job *job);
/* A command of the job's program, to be changed. */
void guest_command(struct guest_job *job, unsigned int index, struct tv_command *ret);
void guest_set_command(struct guest_job *job, unsigned int index, const struct tv_command *command);
/* How many commands the job has; without any it is a null job. */
void guest_set_commands(struct guest_job *job, uint32_t count);

/* --- syncobjs --- */

uint32_t guest_syncobj(int fd);
void guest_syncobj_free(int fd, uint32_t handle);
/* Its fence as a sync_file. */
int guest_sync_file(int fd, uint32_t handle);
/* 0: not signalled; 1: signalled; else the fence's error. */
int guest_sync_status(int sync_file);
int guest_sync_wait(int fd, uint32_t handle, int milliseconds);

/* --- the tests, a subject each --- */

extern const struct guest_test guest_memory_tests[], guest_submit_tests[], guest_share_tests[],
	guest_trouble_tests[], guest_life_tests[], guest_time_tests[], guest_log_tests[],
	guest_random_tests[], guest_fault_tests[], guest_debug_tests[], guest_clock_tests[];
/* Loads the module of KUnit tests; what it says, a test each. */
const struct guest_test *guest_kunit_tests(void);

#endif
