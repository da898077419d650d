/* SPDX-License-Identifier: MIT */
/*
 * A driver of the accelerator in user space: through its registers and rings alone, as the kernel's
 * does. The daemon's software device, tests and fuzzers drive a device with it. It has no lock and
 * no thread; calls for one driver come one after the other.
 */
#ifndef TV_RTL_MODEL_DRIVER_H
#define TV_RTL_MODEL_DRIVER_H

#include <stdbool.h>

#include <triovit/regs.h>

#include "common/cleanup.h"
#include "common/error.h"

struct tv_driver_bus {
	uint32_t (*read)(void *bus, uint32_t offset);
	void (*write)(void *bus, uint32_t offset, uint32_t value);
	/* Lets a little time go by, before the driver looks again. */
	void (*pause)(void *bus);
};

/* What the identification registers say. */
struct tv_driver_info {
	uint16_t target;
	uint16_t groups, epilogue_lanes;
	uint32_t onchip; /* bytes */
	uint32_t clock_khz;
	uint32_t dram_mb_s;
	unsigned int address_bits;
	unsigned int ring_order_max;
};

/* Memory for both rings: of tv_driver_rings_size(entries) bytes, aligned to TV_DESCRIPTOR_SIZE,
 * where the device finds it at address. */
struct tv_driver_rings {
	uint8_t *memory;
	uint64_t address;
	uint32_t entries; /* a power of two */
};

struct tv_driver;

size_t tv_driver_rings_size(uint32_t entries);

/*
 * Looks for a device, resets it and has it take jobs; *bus, userdata (which its functions get) and
 * the rings' memory outlive the driver. -ENODEV: nothing of that kind answers. -EPROTO: another
 * version. -EINVAL: the rings do not suit it. -ETIMEDOUT: the reset does not end.
 */
int tv_driver_new(const struct tv_driver_bus *bus, void *userdata,
		  const struct tv_driver_rings *rings, struct tv_driver **ret,
		  struct tv_error *error);
/* Resets the device, so that it no longer touches memory. */
void tv_driver_free(struct tv_driver *driver);
TV_DEFINE_CLEANUP(struct tv_driver *, tv_driver_free)

const struct tv_driver_info *tv_driver_info(const struct tv_driver *driver);

/* Cycles that a job may take from its start on; 0: no limit. */
void tv_driver_set_watchdog(struct tv_driver *driver, uint32_t cycles);

/* Queues a job. -EBUSY: the ring is full. *ret_index counts jobs and is in the job's record. */
int tv_driver_submit(struct tv_driver *driver, const struct tv_descriptor *job,
		     uint32_t *ret_index);

/* What an interrupt handler does first: clears the interrupt and returns what was pending
 * (TV_IRQ_DONE, TV_IRQ_ERROR); 0: not ours. */
uint32_t tv_driver_interrupt(struct tv_driver *driver);

/* Takes the next record, in the order of the jobs; false: there is none. Independent of interrupts,
 * so one that was lost or is late loses no job. */
bool tv_driver_take(struct tv_driver *driver, struct tv_completion *ret);

/* Jobs that were queued and have no record taken yet. */
uint32_t tv_driver_pending(const struct tv_driver *driver);

/* Why the device halted; TV_DEVICE_OK: it did not. */
enum tv_device_error tv_driver_error(struct tv_driver *driver);

/*
 * Resets a device that is stuck or halted; records that are there are to be taken before. The job
 * at HEAD, if there is one, is dropped without a record (*ret_dropped, its index, is set and 1
 * returned); those behind it begin anew. 0: there was no job. Errors as tv_driver_new().
 */
int tv_driver_recover(struct tv_driver *driver, uint32_t *ret_dropped, struct tv_error *error);

#endif
