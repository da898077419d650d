// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers and rings. docs/hardware.md says how the accelerator behaves, and that HEAD tells the
 * truth at any moment: so an interrupt is a hint to look, and a lost one costs time only.
 *
 * Jobs are looked after here, not by the scheduler's timeout: descriptors stay in the ring, so
 * after a reset the accelerator goes on behind the job that is given up, and nothing is submitted
 * again.
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>

#include <drm/drm_print.h>

#include "compat.h"
#include "triovit_drv.h"
#include "triovit_trace.h"

static unsigned int tv_hang_ms = 1000;
module_param_named(hang_ms, tv_hang_ms, uint, 0644);
MODULE_PARM_DESC(hang_ms, "milliseconds without progress after which the accelerator is reset");

static unsigned int tv_job_ms = 2000;
module_param_named(job_ms, tv_job_ms, uint, 0444);
MODULE_PARM_DESC(job_ms, "milliseconds that a job may run, else it ends with a watchdog fault");

/* Many times what it takes. */
#define TV_RESET_US 10000

u32 tv_read(const struct tv_device *tv, u32 reg)
{
	return readl(tv->regs + reg);
}

static void tv_write(const struct tv_device *tv, u32 reg, u32 value)
{
	writel(value, tv->regs + reg);
}

static void tv_write_address(const struct tv_device *tv, u32 reg, u64 address)
{
	tv_write(tv, reg, lower_32_bits(address));
	tv_write(tv, reg + 4, upper_32_bits(address));
}

static u8 *tv_descriptor_at(const struct tv_device *tv, u32 index)
{
	return tv->rings + index % TV_RING_ENTRIES * TV_DESCRIPTOR_SIZE;
}

#define TV_RECORDS_AT (TV_RING_ENTRIES * TV_DESCRIPTOR_SIZE)
#define TV_RINGS_SIZE (TV_RECORDS_AT + TV_RING_ENTRIES * TV_COMPLETION_SIZE)

static const u8 *tv_record_at(const struct tv_device *tv, u32 index)
{
	return tv->rings + TV_RECORDS_AT + index % TV_RING_ENTRIES * TV_COMPLETION_SIZE;
}

static struct tv_job **tv_flight(struct tv_device *tv, u32 index)
{
	return &tv->flight[index % TV_RING_ENTRIES];
}

/* --- begin and end of everything --- */

int tv_hw_identify(struct tv_device *tv)
{
	unsigned int bits, i;
	u32 version;

	tv->capabilities[0] = tv_read(tv, TV_REG_ID);
	if (tv->capabilities[0] != TV_DEVICE_ID)
		return dev_err_probe(
			tv->dev, -ENODEV,
			"no accelerator: its identification reads 0x%08x, not 0x%08x\n",
			tv->capabilities[0], TV_DEVICE_ID);
	for (i = 1; i < ARRAY_SIZE(tv->capabilities); i++)
		tv->capabilities[i] = tv_read(tv, 4 * i);
	version = tv->capabilities[TV_REG_VERSION / 4];
	if (version >> 16 != TV_DEVICE_VERSION)
		return dev_err_probe(tv->dev, -ENODEV,
				     "registers of version %u, this driver knows %u\n",
				     version >> 16, TV_DEVICE_VERSION);
	bits = tv->capabilities[TV_REG_LIMITS / 4] & 0xff;
	if (bits < 32 || bits > 64 || !tv_clock_khz(tv))
		return dev_err_probe(tv->dev, -ENODEV,
				     "addresses of %u bits, a clock of %u kHz: impossible\n", bits,
				     tv_clock_khz(tv));
	return dma_set_mask_and_coherent(tv->dev, DMA_BIT_MASK(bits));
}

static int tv_reset(struct tv_device *tv)
{
	u32 value;

	tv_write(tv, TV_REG_CONTROL, TV_CONTROL_RESET);
	return readl_poll_timeout(tv->regs + TV_REG_CONTROL, value, !(value & TV_CONTROL_RESET), 10,
				  TV_RESET_US);
}

/* After a reset: jobs from taken on. */
static void tv_start(struct tv_device *tv)
{
	u64 watchdog = (u64)tv_job_ms * tv_clock_khz(tv);

	tv_write_address(tv, TV_REG_SUBMIT_LO, tv->rings_dma);
	tv_write_address(tv, TV_REG_COMPLETE_LO, tv->rings_dma + TV_RECORDS_AT);
	tv_write(tv, TV_REG_RING_SIZE, TV_RING_ENTRIES);
	tv_write(tv, TV_REG_HEAD, tv->taken);
	tv_write(tv, TV_REG_TAIL, tv->tail);
	tv_write(tv, TV_REG_WATCHDOG, min_t(u64, watchdog, U32_MAX));
	tv_write(tv, TV_REG_IRQ_MASK, TV_IRQ_DONE | TV_IRQ_ERROR);
	tv_write(tv, TV_REG_CONTROL, TV_CONTROL_ENABLE);
}

/* --- jobs --- */

static void tv_end_job(struct tv_device *tv, int status, const struct tv_completion *completion)
{
	struct tv_job **job = tv_flight(tv, tv->taken++);

	tv->jobs++;
	if (completion) {
		tv->busy += completion->end - completion->start;
		tv->faults += completion->fault != TV_FAULT_NONE;
	}
	/* None: tv_hw_run()'s. */
	if (*job) {
		if (status == -EIO)
			tv_dump_job(*job, status, completion);
		tv_job_finish(*job, status, completion);
	}
	*job = NULL;
}

static void tv_take(struct tv_device *tv)
{
	u32 head = tv_read(tv, TV_REG_HEAD);
	u8 bytes[TV_COMPLETION_SIZE];
	struct tv_completion completion;

	/* A bus that answers all ones would let us read records that nobody wrote. */
	if (head - tv->taken > tv->tail - tv->taken)
		return;
	dma_rmb();
	while (tv->taken != head) {
		memcpy(bytes, tv_record_at(tv, tv->taken), sizeof(bytes));
		tv_decode_completion(bytes, &completion);
		tv_end_job(tv, completion.fault ? -EIO : 0, &completion);
	}
}

/* From now on; what was seen before does not count. */
static void tv_watch_begin(struct tv_device *tv)
{
	tv->seen_taken = tv->taken - 1;
	mod_delayed_work(system_percpu_wq, &tv->watch, msecs_to_jiffies(tv_hang_ms));
}

static void tv_give_up(struct tv_device *tv)
{
	tv->gone = true;
	tv->on = false;
	while (tv->taken != tv->tail)
		tv_end_job(tv, -ENODEV, NULL);
}

/* Whether a job's input may have changed by its having begun. */
static bool tv_changes_input(const struct tv_descriptor *job)
{
	unsigned int i;

	for (i = 0; i < TV_SEGMENT_COUNT; i++)
		if (job->segment[i].rights == (TV_SEGMENT_READ | TV_SEGMENT_WRITE))
			return true;
	return false;
}

static int tv_reset_hard(struct tv_device *tv)
{
	int r = tv_reset(tv);

	if (!r || !tv->reset)
		return r;
	reset_control_assert(tv->reset);
	udelay(1);
	reset_control_deassert(tv->reset);
	return tv_reset(tv);
}

/*
 * Resets. The job that ran ends if it is guilty, or if it cannot begin anew; all others are still
 * in the ring.
 */
static void tv_halt(struct tv_device *tv, const char *why, bool guilty)
{
	bool began = tv_read(tv, TV_REG_STATUS) & TV_STATUS_RUNNING;
	struct tv_job *job = *tv_flight(tv, tv->taken);

	dev_warn_ratelimited(tv->dev, "%s (error %u, command %u of job %u): reset\n", why,
			     tv_read(tv, TV_REG_ERROR), tv_read(tv, TV_REG_PROGRESS),
			     tv_read(tv, TV_REG_HEAD));
	tv->resets++;
	if (guilty && tv->taken != tv->tail && job)
		tv_dump_job(job, -ETIMEDOUT, NULL);
	if (tv_reset_hard(tv)) {
		dev_err(tv->dev, "the accelerator's reset does not come to an end: given up\n");
		tv_give_up(tv);
		return;
	}
	if (tv->taken != tv->tail) {
		if (guilty)
			tv_end_job(tv, -ETIMEDOUT, NULL);
		else if (began && job && tv_changes_input(&job->descriptor))
			tv_end_job(tv, -ECANCELED, NULL);
	}
}

/* And goes on. */
static void tv_recover(struct tv_device *tv, const char *why, bool guilty)
{
	tv_halt(tv, why, guilty);
	if (tv->on) {
		tv_start(tv);
		tv_watch_begin(tv);
	}
}

/* Takes what has ended; goes on where the accelerator has stopped. */
static void tv_look(struct tv_device *tv)
{
	u32 error;

	if (!tv->on)
		return;
	tv_take(tv);
	error = tv_read(tv, TV_REG_ERROR);
	/* Only these are about the job whose turn it is. */
	if (error != TV_DEVICE_OK)
		tv_recover(tv, "the accelerator has halted",
			   error == TV_DEVICE_DESCRIPTOR_BUS || error == TV_DEVICE_RECORD_BUS);
}

/* Runs while jobs do. */
static void tv_watch(struct work_struct *work)
{
	struct tv_device *tv = container_of(work, struct tv_device, watch.work);
	u32 progress;

	mutex_lock(&tv->lock);
	tv_look(tv);
	if (tv->on && tv->taken != tv->tail) {
		progress = tv_read(tv, TV_REG_PROGRESS);
		if (tv->taken == tv->seen_taken && progress == tv->seen_progress) {
			tv_recover(tv, "the accelerator makes no progress", true);
		} else {
			tv_watch_begin(tv);
			tv->seen_taken = tv->taken;
			tv->seen_progress = progress;
		}
	}
	mutex_unlock(&tv->lock);
}

static void tv_queue(struct tv_device *tv, const struct tv_descriptor *descriptor)
{
	u8 bytes[TV_DESCRIPTOR_SIZE];

	tv_encode_descriptor(descriptor, bytes);
	memcpy(tv_descriptor_at(tv, tv->tail), bytes, sizeof(bytes));
	tv->tail++;
	/* writel() comes after the descriptor. */
	if (tv->on)
		tv_write(tv, TV_REG_TAIL, tv->tail);
}

int tv_hw_push(struct tv_device *tv, struct tv_job *job)
{
	int r = 0;

	mutex_lock(&tv->lock);
	if (tv->gone || WARN_ON_ONCE(tv->tail - tv->taken == TV_RING_ENTRIES)) {
		r = -ENODEV;
	} else {
		*tv_flight(tv, tv->tail) = job;
		tv_queue(tv, &job->descriptor);
		if (tv->on && tv->tail - tv->taken == 1)
			tv_watch_begin(tv);
	}
	mutex_unlock(&tv->lock);
	return r;
}

int tv_hw_run(struct tv_device *tv, const struct tv_descriptor *descriptor,
	      struct tv_completion *ret)
{
	u8 bytes[TV_COMPLETION_SIZE];
	u32 head, index;
	int r;

	mutex_lock(&tv->lock);
	index = tv->tail;
	tv_queue(tv, descriptor);
	r = readl_poll_timeout(tv->regs + TV_REG_HEAD, head, head != index, 100,
			       (u64)tv_hang_ms * 1000);
	if (r) {
		/* Its memory is about to be freed. */
		tv_halt(tv, "the accelerator makes no progress", true);
	} else {
		dma_rmb();
		memcpy(bytes, tv_record_at(tv, index), sizeof(bytes));
		tv_decode_completion(bytes, ret);
		tv_take(tv);
	}
	mutex_unlock(&tv->lock);
	return r;
}

u64 tv_hw_cycles(struct tv_device *tv)
{
	u32 high, low, again;

	mutex_lock(&tv->lock);
	do {
		high = tv->on ? tv_read(tv, TV_REG_CYCLES_HI) : 0;
		low = tv->on ? tv_read(tv, TV_REG_CYCLES_LO) : 0;
		again = tv->on ? tv_read(tv, TV_REG_CYCLES_HI) : 0;
	} while (high != again);
	mutex_unlock(&tv->lock);
	return (u64)high << 32 | low;
}

/* --- interrupts --- */

irqreturn_t tv_hw_irq(int irq, void *arg)
{
	struct tv_device *tv = arg;
	u32 status = tv_read(tv, TV_REG_IRQ_STATUS);

	if (!status)
		return IRQ_NONE;
	/* Before records are looked for: one that comes after this raises the line again. */
	tv_write(tv, TV_REG_IRQ_STATUS, status);
	return IRQ_WAKE_THREAD;
}

irqreturn_t tv_hw_irq_thread(int irq, void *arg)
{
	struct tv_device *tv = arg;

	mutex_lock(&tv->lock);
	tv_look(tv);
	mutex_unlock(&tv->lock);
	return IRQ_HANDLED;
}

/* --- power --- */

int tv_hw_init(struct tv_device *tv)
{
	/* Not the scheduler's: it would have to be freed before it. */
	INIT_DELAYED_WORK(&tv->watch, tv_watch);
	tv->rings = dmam_alloc_coherent(tv->dev, TV_RINGS_SIZE, &tv->rings_dma, GFP_KERNEL);
	if (!tv->rings)
		return -ENOMEM;
	return 0;
}

/* Clocks have locks of their own, under which others may wait for fences: not within ours. */
int tv_hw_on(struct tv_device *tv)
{
	int r = clk_bulk_prepare_enable(tv->clock_count, tv->clocks);
	bool clocks = !r;

	mutex_lock(&tv->lock);
	if (!r)
		r = tv->gone ? -ENODEV : tv_reset_hard(tv);
	if (r) {
		dev_err(tv->dev, "the accelerator does not start: %d\n", r);
		/* What is queued would wait forever. */
		tv_give_up(tv);
	} else {
		tv->on = true;
		tv_start(tv);
		if (tv->taken != tv->tail)
			tv_watch_begin(tv);
	}
	mutex_unlock(&tv->lock);
	if (!r)
		enable_irq(tv->irq);
	else if (clocks)
		clk_bulk_disable_unprepare(tv->clock_count, tv->clocks);
	return r;
}

int tv_wake(struct tv_device *tv)
{
	/* Later tries would be told -EINVAL. */
	return pm_runtime_resume_and_get(tv->dev) ? -ENODEV : 0;
}

void tv_hw_off(struct tv_device *tv)
{
	u32 status;
	int r;

	/* Without clocks a register access would hang the bus. */
	disable_irq(tv->irq);
	mutex_lock(&tv->lock);
	if (tv->on) {
		tv_write(tv, TV_REG_CONTROL, 0);
		/* A job that takes longer than a job may take is one that hangs. */
		r = readl_poll_timeout(tv->regs + TV_REG_STATUS, status,
				       !(status & TV_STATUS_RUNNING), 100,
				       ((u64)tv_job_ms + tv_hang_ms) * 1000);
		tv_take(tv);
		if (r)
			tv_halt(tv, "the accelerator does not come to rest", true);
	}
	/* A reset may have failed. */
	if (tv->on)
		tv_reset(tv);
	tv->on = false;
	mutex_unlock(&tv->lock);
	cancel_delayed_work_sync(&tv->watch);
	clk_bulk_disable_unprepare(tv->clock_count, tv->clocks);
}

void tv_hw_kill(struct tv_device *tv)
{
	mutex_lock(&tv->lock);
	if (tv->on)
		tv_reset(tv);
	tv_give_up(tv);
	mutex_unlock(&tv->lock);
	cancel_delayed_work_sync(&tv->watch);
}
