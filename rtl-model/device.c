/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "rtl-model/device-private.h"

/* Cycles of a soft reset, within TV_RESET_CYCLES. */
#define RESET_CYCLES 256

/* What a reset brings back to zero. */
struct state {
	bool enabled;
	uint32_t irq_status, irq_mask, watchdog;
	enum tv_device_error error;
	uint64_t submit, complete; /* addresses of the rings */
	uint32_t ring_size, head, tail;
	bool running;
	bool fetched; /* the descriptor behind the running job */
	int fetched_result; /* of reading it */
	uint8_t next[TV_DESCRIPTOR_SIZE];
};

struct tv_device {
	struct tv_device_core core;
	struct state state;
	struct tv_device_job job; /* while running */
	bool line; /* as the host knows it */
	bool resetting;
	uint64_t reset_end;
};

static uint64_t now(const struct tv_device *device)
{
	return device->core.host->clock(device->core.userdata);
}

static void complain(const struct tv_device *device, const char *what)
{
	if (device->core.host->complain)
		device->core.host->complain(device->core.userdata, what);
}

static void update_line(struct tv_device *device)
{
	bool line = device->state.irq_status & device->state.irq_mask;

	if (line == device->line)
		return;
	device->line = line;
	device->core.host->interrupt(device->core.userdata, line);
}

int tv_device_new(const struct tv_target *target, unsigned int address_bits,
		  const struct tv_device_host *host, void *userdata, struct tv_device **ret,
		  struct tv_error *error)
{
	_cleanup_(tv_device_freep) struct tv_device *device = calloc(1, sizeof(*device));
	int r;

	if (!device)
		return tv_error_oom(error);
	device->core = (struct tv_device_core){
		.host = host,
		.userdata = userdata,
		.target = *target,
		.address_bits = address_bits,
	};
	device->core.times = tv_device_times_new();
	device->core.prepared = tv_device_prepared_new();
	if (!device->core.times || !device->core.prepared)
		return tv_error_oom(error);
	r = tv_functional_new(target, &device->core.machine, error);
	if (r < 0)
		return r;
	*ret = TV_TAKE_PTR(device);
	return 0;
}

void tv_device_free(struct tv_device *device)
{
	if (!device)
		return;
	if (device->state.running)
		tv_device_job_drop(&device->core, &device->job);
	tv_functional_free(device->core.machine);
	tv_device_times_free(device->core.times);
	tv_device_prepared_free(device->core.prepared);
	tv_program_free(device->core.previous);
	free(device);
}

void tv_device_cancel(struct tv_device *device)
{
	atomic_store_explicit(&device->core.cancel, true, memory_order_relaxed);
}

/* --- rings ---------------------------------------------------------------------------------- */

static void halt(struct tv_device *device, enum tv_device_error error, const char *why)
{
	device->state.enabled = false;
	device->state.fetched = false;
	device->state.error = error;
	device->state.irq_status |= TV_IRQ_ERROR;
	update_line(device);
	complain(device, why);
}

/* Whether jobs may be taken from the rings as they are. */
static bool check_rings(struct tv_device *device)
{
	const struct state *state = &device->state;
	uint64_t submit = (uint64_t)state->ring_size * TV_DESCRIPTOR_SIZE;
	uint64_t complete = (uint64_t)state->ring_size * TV_COMPLETION_SIZE;
	unsigned int bits = device->core.address_bits;

	if (state->ring_size < TV_RING_ENTRIES_MIN || state->ring_size > 1u << TV_RING_ORDER_MAX ||
	    state->ring_size & (state->ring_size - 1))
		halt(device, TV_DEVICE_RING_SIZE, "the rings' size is no power of two in range");
	else if (state->submit % TV_DESCRIPTOR_SIZE || state->complete % TV_COMPLETION_SIZE)
		halt(device, TV_DEVICE_RING_ALIGNMENT, "a ring is not aligned to its entries");
	else if (tv_range_beyond(state->submit, submit, bits) ||
		 tv_range_beyond(state->complete, complete, bits))
		halt(device, TV_DEVICE_RING_ADDRESS, "a ring reaches beyond the last address");
	else if (tv_ranges_overlap(state->submit, submit, state->complete, complete))
		halt(device, TV_DEVICE_RING_OVERLAP, "the rings overlap");
	else if (state->tail - state->head > state->ring_size ||
		 (state->running && state->tail == state->head))
		halt(device, TV_DEVICE_DOORBELL,
		     "TAIL is farther from HEAD than the ring is long, or not beyond the job that "
		     "runs");
	else
		return true;
	return false;
}

static int read_descriptor(struct tv_device *device, uint32_t index)
{
	const struct state *state = &device->state;
	uint64_t entry = index & (state->ring_size - 1);

	return device->core.host->read(device->core.userdata,
				       state->submit + entry * TV_DESCRIPTOR_SIZE,
				       device->state.next, TV_DESCRIPTOR_SIZE);
}

/* Takes in the descriptor behind the running job as soon as there is one. An error shows only when
 * its turn has come. */
static void prefetch(struct tv_device *device)
{
	struct state *state = &device->state;

	if (!state->running || !state->enabled || state->fetched || state->head + 1 == state->tail)
		return;
	state->fetched_result = read_descriptor(device, state->head + 1);
	state->fetched = true;
}

/* Begins the job at HEAD if there is one. idle_until: when the job before it ended, if its
 * descriptor was there by then. */
static void begin_job(struct tv_device *device, uint64_t ended)
{
	struct state *state = &device->state;
	bool warm = state->fetched;
	int r;

	if (state->running || !state->enabled || state->head == state->tail)
		return;
	r = warm ? state->fetched_result : read_descriptor(device, state->head);
	state->fetched = false;
	if (r < 0) {
		halt(device, TV_DEVICE_DESCRIPTOR_BUS, "no memory behind a descriptor");
		return;
	}
	if (warm && tv_device_jobs_conflict(&device->job.descriptor, state->next))
		warm = false;
	state->running = true;
	tv_device_job_begin(&device->core, &device->job, state->next, ended, warm, state->watchdog);
	prefetch(device);
}

static void end_job(struct tv_device *device)
{
	struct state *state = &device->state;
	struct tv_completion completion;
	uint8_t bytes[TV_COMPLETION_SIZE];
	uint64_t entry = state->head & (state->ring_size - 1);

	tv_device_job_end(&device->core, &device->job, &completion);
	state->running = false;
	completion.index = state->head;
	tv_encode_completion(&completion, bytes);
	if (device->core.host->write(device->core.userdata,
				     state->complete + entry * TV_COMPLETION_SIZE, bytes,
				     sizeof(bytes)) < 0) {
		/* It may be halted already; the first error stays. */
		if (!state->error)
			halt(device, TV_DEVICE_RECORD_BUS, "no memory behind a record");
		return;
	}
	state->head++;
	state->irq_status |= TV_IRQ_DONE;
	update_line(device);
}

/* --- time ----------------------------------------------------------------------------------- */

uint64_t tv_device_next(const struct tv_device *device)
{
	if (device->resetting)
		return device->reset_end;
	return device->state.running ? device->job.end : UINT64_MAX;
}

void tv_device_advance(struct tv_device *device)
{
	uint64_t until = now(device);

	if (device->resetting && until >= device->reset_end)
		device->resetting = false;
	while (device->state.running && device->job.end <= until) {
		uint64_t ended = device->job.end;

		end_job(device);
		begin_job(device, ended);
	}
}

/* --- registers ------------------------------------------------------------------------------ */

static uint32_t status(const struct tv_device *device)
{
	const struct state *state = &device->state;

	return (state->running ? TV_STATUS_RUNNING : 0) |
	       (state->fetched ? TV_STATUS_PREFETCHED : 0) |
	       (device->resetting ? TV_STATUS_RESETTING : 0) |
	       (state->error ? TV_STATUS_HALTED : 0);
}

uint32_t tv_device_read(struct tv_device *device, uint64_t offset)
{
	const struct tv_target *target = &device->core.target;
	const struct state *state = &device->state;

	tv_device_advance(device);
	switch (offset) {
	case TV_REG_ID:
		return TV_DEVICE_ID;
	case TV_REG_VERSION:
		return (uint32_t)TV_DEVICE_VERSION << 16 | TV_CONTRACT_VERSION;
	case TV_REG_TARGET:
		return target->id;
	case TV_REG_ENGINES:
		return (uint32_t)target->epilogue_lanes << 16 | target->groups;
	case TV_REG_ONCHIP:
		return target->onchip;
	case TV_REG_CLOCK:
		return target->clock_mhz * 1000u;
	case TV_REG_DRAM:
		return target->dram_mb_s;
	case TV_REG_LIMITS:
		return TV_RING_ORDER_MAX << 8 | device->core.address_bits;
	case TV_REG_CONTROL:
		return (state->enabled ? TV_CONTROL_ENABLE : 0) |
		       (device->resetting ? TV_CONTROL_RESET : 0);
	case TV_REG_STATUS:
		return status(device);
	case TV_REG_IRQ_STATUS:
		return state->irq_status;
	case TV_REG_IRQ_MASK:
		return state->irq_mask;
	case TV_REG_ERROR:
		return state->error;
	case TV_REG_WATCHDOG:
		return state->watchdog;
	case TV_REG_CYCLES_LO:
		return (uint32_t)now(device);
	case TV_REG_CYCLES_HI:
		return (uint32_t)(now(device) >> 32);
	case TV_REG_SUBMIT_LO:
		return (uint32_t)state->submit;
	case TV_REG_SUBMIT_HI:
		return (uint32_t)(state->submit >> 32);
	case TV_REG_COMPLETE_LO:
		return (uint32_t)state->complete;
	case TV_REG_COMPLETE_HI:
		return (uint32_t)(state->complete >> 32);
	case TV_REG_RING_SIZE:
		return state->ring_size;
	case TV_REG_HEAD:
		return state->head;
	case TV_REG_TAIL:
		return state->tail;
	case TV_REG_PROGRESS:
		return state->running ? tv_device_job_progress(&device->job, now(device)) : 0;
	}
	complain(device, "read of an offset without a register");
	return 0;
}

static void reset(struct tv_device *device)
{
	if (device->state.running)
		tv_device_job_drop(&device->core, &device->job);
	atomic_store_explicit(&device->core.cancel, false, memory_order_relaxed);
	device->state = (struct state){ .enabled = false };
	device->resetting = true;
	device->reset_end = now(device) + RESET_CYCLES;
	update_line(device);
}

static void write_control(struct tv_device *device, uint32_t value)
{
	struct state *state = &device->state;

	if (value & TV_CONTROL_RESET) {
		reset(device);
	} else if (!(value & TV_CONTROL_ENABLE)) {
		state->enabled = false;
		state->fetched = false;
	} else if (state->error) {
		complain(device, "enabled while halted");
	} else if (!state->enabled && check_rings(device)) {
		state->enabled = true;
		begin_job(device, now(device));
		prefetch(device);
	}
}

static void write_tail(struct tv_device *device, uint32_t value)
{
	struct state *state = &device->state;

	if (!state->enabled) {
		state->tail = value;
		return;
	}
	if (value - state->head > state->ring_size ||
	    value - state->head < state->tail - state->head) {
		halt(device, TV_DEVICE_DOORBELL,
		     "TAIL went back, or is farther from HEAD than the ring is long");
		return;
	}
	state->tail = value;
	begin_job(device, now(device));
	prefetch(device);
}

/* Half of an address. */
static void write_half(uint64_t *address, uint64_t mask, uint32_t value)
{
	unsigned int shift = mask > UINT32_MAX ? 32 : 0;

	*address = (*address & ~mask) | (uint64_t)value << shift;
}

/* What may be written only while nothing could be reading it. */
static bool write_rings(struct tv_device *device, uint64_t offset, uint32_t value)
{
	struct state *state = &device->state, written = *state;

	switch (offset) {
	case TV_REG_SUBMIT_LO:
		write_half(&written.submit, UINT32_MAX, value);
		break;
	case TV_REG_SUBMIT_HI:
		write_half(&written.submit, ~(uint64_t)UINT32_MAX, value);
		break;
	case TV_REG_COMPLETE_LO:
		write_half(&written.complete, UINT32_MAX, value);
		break;
	case TV_REG_COMPLETE_HI:
		write_half(&written.complete, ~(uint64_t)UINT32_MAX, value);
		break;
	case TV_REG_RING_SIZE:
		written.ring_size = value;
		break;
	case TV_REG_HEAD:
		written.head = value;
		break;
	default:
		return false;
	}
	if (state->enabled || status(device))
		complain(device, "the rings were written while the device was not idle");
	else
		*state = written;
	return true;
}

void tv_device_write(struct tv_device *device, uint64_t offset, uint32_t value)
{
	struct state *state = &device->state;

	tv_device_advance(device);
	if (device->resetting) {
		complain(device, "a register was written during a reset");
		return;
	}
	switch (offset) {
	case TV_REG_CONTROL:
		write_control(device, value);
		return;
	case TV_REG_IRQ_STATUS:
		state->irq_status &= ~value;
		break;
	case TV_REG_IRQ_MASK:
		state->irq_mask = value & (TV_IRQ_DONE | TV_IRQ_ERROR);
		break;
	case TV_REG_WATCHDOG:
		state->watchdog = value;
		return;
	case TV_REG_TAIL:
		if (state->error)
			complain(device, "the doorbell was rung while halted");
		else
			write_tail(device, value);
		return;
	default:
		if (!write_rings(device, offset, value))
			complain(device, "write of an offset without a register to write");
		return;
	}
	update_line(device);
}
