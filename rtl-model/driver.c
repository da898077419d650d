/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "rtl-model/driver.h"

/* So often a reset is looked after: with the shortest of pauses many times what it takes. */
#define RESET_POLLS 100000

struct tv_driver {
	const struct tv_driver_bus *bus;
	void *userdata;
	struct tv_driver_info info;
	struct tv_driver_rings rings;
	uint32_t taken; /* jobs whose records were taken, or that were dropped */
	uint32_t tail; /* jobs that were queued */
	uint32_t watchdog;
};

static uint32_t read_register(const struct tv_driver *driver, uint32_t offset)
{
	return driver->bus->read(driver->userdata, offset);
}

static void write_register(const struct tv_driver *driver, uint32_t offset, uint32_t value)
{
	driver->bus->write(driver->userdata, offset, value);
}

static void write_address(const struct tv_driver *driver, uint32_t low, uint64_t address)
{
	write_register(driver, low, (uint32_t)address);
	write_register(driver, low + 4, (uint32_t)(address >> 32));
}

size_t tv_driver_rings_size(uint32_t entries)
{
	return (size_t)entries * (TV_DESCRIPTOR_SIZE + TV_COMPLETION_SIZE);
}

static uint8_t *descriptor(const struct tv_driver *driver, uint32_t index)
{
	return driver->rings.memory +
	       (size_t)(index & (driver->rings.entries - 1)) * TV_DESCRIPTOR_SIZE;
}

static const uint8_t *record(const struct tv_driver *driver, uint32_t index)
{
	return driver->rings.memory + (size_t)driver->rings.entries * TV_DESCRIPTOR_SIZE +
	       (size_t)(index & (driver->rings.entries - 1)) * TV_COMPLETION_SIZE;
}

static int identify(struct tv_driver *driver, struct tv_error *error)
{
	struct tv_driver_info *info = &driver->info;
	uint32_t id = read_register(driver, TV_REG_ID), version, engines, limits;

	if (id != TV_DEVICE_ID)
		return tv_error_set(error, -ENODEV,
				    "no accelerator: its identification reads 0x%08x instead of "
				    "0x%08x",
				    id, TV_DEVICE_ID);
	version = read_register(driver, TV_REG_VERSION);
	if (version != ((uint32_t)TV_DEVICE_VERSION << 16 | TV_CONTRACT_VERSION))
		return tv_error_set(error, -EPROTO,
				    "the accelerator has registers of version %u and executes "
				    "programs of version %u, expected %u and %u",
				    version >> 16, version & 0xffff, TV_DEVICE_VERSION,
				    TV_CONTRACT_VERSION);
	engines = read_register(driver, TV_REG_ENGINES);
	limits = read_register(driver, TV_REG_LIMITS);
	*info = (struct tv_driver_info){
		.target = (uint16_t)read_register(driver, TV_REG_TARGET),
		.groups = (uint16_t)engines,
		.epilogue_lanes = (uint16_t)(engines >> 16),
		.onchip = read_register(driver, TV_REG_ONCHIP),
		.clock_khz = read_register(driver, TV_REG_CLOCK),
		.dram_mb_s = read_register(driver, TV_REG_DRAM),
		.address_bits = limits & 0xff,
		.ring_order_max = limits >> 8 & 0xff,
	};
	return 0;
}

static int reset(const struct tv_driver *driver, struct tv_error *error)
{
	write_register(driver, TV_REG_CONTROL, TV_CONTROL_RESET);
	for (unsigned int i = 0; i < RESET_POLLS; i++) {
		if (!(read_register(driver, TV_REG_CONTROL) & TV_CONTROL_RESET))
			return 0;
		driver->bus->pause(driver->userdata);
	}
	return tv_error_set(error, -ETIMEDOUT, "the accelerator's reset does not come to an end");
}

/* After a reset: jobs from taken on. */
static int start(const struct tv_driver *driver, struct tv_error *error)
{
	const struct tv_driver_rings *rings = &driver->rings;

	write_address(driver, TV_REG_SUBMIT_LO, rings->address);
	write_address(driver, TV_REG_COMPLETE_LO,
		      rings->address + (uint64_t)rings->entries * TV_DESCRIPTOR_SIZE);
	write_register(driver, TV_REG_RING_SIZE, rings->entries);
	write_register(driver, TV_REG_HEAD, driver->taken);
	write_register(driver, TV_REG_TAIL, driver->tail);
	write_register(driver, TV_REG_WATCHDOG, driver->watchdog);
	write_register(driver, TV_REG_IRQ_MASK, TV_IRQ_DONE | TV_IRQ_ERROR);
	write_register(driver, TV_REG_CONTROL, TV_CONTROL_ENABLE);
	if (read_register(driver, TV_REG_ERROR) == TV_DEVICE_OK)
		return 0;
	return tv_error_set(error, -EINVAL,
			    "the accelerator refuses rings of %u entries at 0x%llx (error %u)",
			    rings->entries, (unsigned long long)rings->address,
			    read_register(driver, TV_REG_ERROR));
}

int tv_driver_new(const struct tv_driver_bus *bus, void *userdata,
		  const struct tv_driver_rings *rings, struct tv_driver **ret,
		  struct tv_error *error)
{
	_cleanup_free_ struct tv_driver *driver = calloc(1, sizeof(*driver));
	int r;

	if (!driver)
		return tv_error_oom(error);
	*driver = (struct tv_driver){ .bus = bus, .userdata = userdata, .rings = *rings };
	r = identify(driver, error);
	if (r >= 0)
		r = reset(driver, error);
	if (r >= 0)
		r = start(driver, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(driver);
	return 0;
}

void tv_driver_free(struct tv_driver *driver)
{
	struct tv_error error = { 0 };

	if (!driver)
		return;
	reset(driver, &error);
	free(driver);
}

const struct tv_driver_info *tv_driver_info(const struct tv_driver *driver)
{
	return &driver->info;
}

void tv_driver_set_watchdog(struct tv_driver *driver, uint32_t cycles)
{
	driver->watchdog = cycles;
	write_register(driver, TV_REG_WATCHDOG, cycles);
}

int tv_driver_submit(struct tv_driver *driver, const struct tv_descriptor *job, uint32_t *ret_index)
{
	if (tv_driver_pending(driver) == driver->rings.entries)
		return -EBUSY;
	tv_encode_descriptor(job, descriptor(driver, driver->tail));
	*ret_index = driver->tail++;
	write_register(driver, TV_REG_TAIL, driver->tail);
	return 0;
}

uint32_t tv_driver_interrupt(struct tv_driver *driver)
{
	uint32_t pending = read_register(driver, TV_REG_IRQ_STATUS);

	/* Before the records are looked at: one that comes after that raises the line again. */
	if (pending)
		write_register(driver, TV_REG_IRQ_STATUS, pending);
	return pending;
}

bool tv_driver_take(struct tv_driver *driver, struct tv_completion *ret)
{
	if (!tv_driver_pending(driver) || read_register(driver, TV_REG_HEAD) == driver->taken)
		return false;
	tv_decode_completion(record(driver, driver->taken), ret);
	driver->taken++;
	return true;
}

uint32_t tv_driver_pending(const struct tv_driver *driver)
{
	return driver->tail - driver->taken;
}

enum tv_device_error tv_driver_error(struct tv_driver *driver)
{
	return (enum tv_device_error)read_register(driver, TV_REG_ERROR);
}

int tv_driver_recover(struct tv_driver *driver, uint32_t *ret_dropped, struct tv_error *error)
{
	uint32_t dropped = driver->taken;
	bool busy = tv_driver_pending(driver);
	int r;

	/* Else a job that has just ended would be taken for the one that is stuck. */
	if (read_register(driver, TV_REG_HEAD) != driver->taken)
		return tv_error_set(error, -EAGAIN, "records of finished jobs were not taken");
	r = reset(driver, error);
	if (r < 0)
		return r;
	driver->taken += busy;
	r = start(driver, error);
	if (r < 0)
		return r;
	if (busy)
		*ret_dropped = dropped;
	return busy;
}
