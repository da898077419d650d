/* SPDX-License-Identifier: MIT */
/*
 * The accelerator as a driver meets it: registers, rings, interrupt line, jobs that take their
 * time. docs/hardware.md says how it behaves. Its host (QEMU, the daemon's software device, a
 * test) gives it memory, a line and a clock, and calls in when registers are touched and when time
 * has gone by. Calls for one device come one after the other; only tv_device_work_run() and
 * tv_device_cancel() may run beside them.
 */
#ifndef TV_RTL_MODEL_DEVICE_H
#define TV_RTL_MODEL_DEVICE_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "rtl-model/target.h"

/* The computing of one job. */
struct tv_device_work;

struct tv_device_host {
	/* Descriptors and records: 0, or any negative number where memory answers with an error. */
	int (*read)(void *host, uint64_t address, void *ret, size_t size);
	int (*write)(void *host, uint64_t address, const void *data, size_t size);
	/* Memory of a segment while its job runs. Returns how many bytes there are from address
	 * on, at most size: from the first that is missing on memory answers with an error. *ret
	 * is set unless that is 0, and unmap() gets the same back. */
	uint32_t (*map)(void *host, uint64_t address, uint32_t size, uint32_t rights,
			uint8_t **ret);
	void (*unmap)(void *host, uint8_t *data, uint32_t size, uint32_t rights);
	/* Optional: the number of memory that can be mapped there and whose bytes never change,
	 * which no other memory ever has: what was made of them for one job is good for the next.
	 * 0: they may change. */
	uint64_t (*constant)(void *host, uint64_t address, uint32_t size);
	/* The line has changed. */
	void (*interrupt)(void *host, bool level);
	/* Cycles since power-on; never goes back. */
	uint64_t (*clock)(void *host);
	/* Optional, both or none: start() has tv_device_work_run() called once, by whichever
	 * thread; join() returns when that has returned. Without them jobs are computed at once. */
	void (*start)(void *host, struct tv_device_work *work);
	void (*join)(void *host, struct tv_device_work *work);
	/* Jobs are computed by the cycle model: slower, and the same bits. */
	bool cycle;
	/* Optional: a driver's mistake, or why a job ended with a fault; for people. */
	void (*complain)(void *host, const char *what);
};

struct tv_device;

/* A device after power-on. *host and *userdata, which its functions get, outlive it. Addresses
 * have address_bits bits, 32 to 64. */
int tv_device_new(const struct tv_target *target, unsigned int address_bits,
		  const struct tv_device_host *host, void *userdata, struct tv_device **ret,
		  struct tv_error *error);
void tv_device_free(struct tv_device *device);
TV_DEFINE_CLEANUP(struct tv_device *, tv_device_free)

/* Register accesses; the offset is from the window's start, whatever it is. */
uint32_t tv_device_read(struct tv_device *device, uint64_t offset);
void tv_device_write(struct tv_device *device, uint64_t offset, uint32_t value);

/* The cycle at which the device wants to be called next, UINT64_MAX: none. It may lie in the past.
 * To be asked after each call. */
uint64_t tv_device_next(const struct tv_device *device);
/* Does what is due by now. */
void tv_device_advance(struct tv_device *device);

/* Computes the job; returns when it is done or was cancelled. Touches mapped segments only. */
void tv_device_work_run(struct tv_device_work *work);
/* Has that return soon, and whichever call works out how long a job takes, from any thread. The job
 * that runs then has no outcome: the device is to be reset, or freed, before its end. */
void tv_device_cancel(struct tv_device *device);

#endif
