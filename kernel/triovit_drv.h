/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TRIOVIT_DRV_H
#define TRIOVIT_DRV_H

#include <linux/atomic.h>
#include <linux/clk.h>
#include <linux/completion.h>
#include <linux/irqreturn.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/reset.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>
#include <drm/drm_gem_dma_helper.h>
#include <drm/gpu_scheduler.h>
#include <drm/triovit_accel.h>

#include <triovit/regs.h>

/* Jobs that are handed to the accelerator at a time: enough that it goes on while an interrupt is
 * on its way, few enough that priorities still mean something. */
#define TV_JOBS_IN_FLIGHT 4
/* Larger, so that an entry is never in use when its turn comes again. */
#define TV_RING_ENTRIES	  16
/* Jobs of a file whose records are kept. */
#define TV_RECORDS	  256

struct tv_job;

/* For what cannot be done where it is found; drained when the module goes. */
extern struct workqueue_struct *tv_workqueue;

struct tv_device {
	struct drm_device drm;
	struct device *dev;
	void __iomem *regs;
	int irq;
	struct clk_bulk_data *clocks;
	int clock_count;
	struct reset_control *reset;

	/* What the identification registers say; constant. */
	u32 capabilities[TV_REG_LIMITS / 4 + 1];

	/* Protects registers, rings and what follows. Held in the path of fences: no allocation
	 * that reclaims, and no reservation lock inside. */
	struct mutex lock;
	u8 *rings; /* submission, then completion */
	dma_addr_t rings_dma;
	struct tv_job *flight[TV_RING_ENTRIES]; /* from taken to tail */
	u32 taken; /* jobs whose records were read */
	u32 tail; /* jobs that were described */
	bool on; /* clocks run and the rings are set up */
	bool gone; /* unbound, or a reset did not end: nothing runs any more */
	u32 seen_taken, seen_progress; /* when it was last looked after */
	u64 busy; /* cycles */
	u64 jobs, faults, resets;
	struct delayed_work watch;

	struct drm_gpu_scheduler sched;
	atomic_t live_jobs; /* and one while it is bound */
	struct completion idle;
	struct kref fences; /* and one while it is bound; together they hold the DRM device */
	struct work_struct fences_gone;

	struct mutex files_lock; /* protects files */
	struct list_head files; /* struct tv_file */

	spinlock_t memory_lock; /* protects memory, and that of each file */
	u64 memory; /* bytes of buffers */
};

static inline struct tv_device *to_tv(struct drm_device *drm)
{
	return container_of(drm, struct tv_device, drm);
}

static inline u32 tv_clock_khz(const struct tv_device *tv)
{
	return tv->capabilities[TV_REG_CLOCK / 4];
}

/* --- triovit_file.c: an open file --- */

struct tv_result {
	u64 job; /* 0: none yet */
	bool done;
	struct drm_triovit_record record;
};

enum {
	TV_PRIORITIES = DRM_TRIOVIT_PRIORITY_HIGH + 1
};

/* Outlives the open file while jobs and buffers refer to it. */
struct tv_file {
	struct kref refs;
	struct tv_device *tv; /* only while a job or buffer lives, or the file is open */
	struct list_head node; /* tv_device.files */
	bool dead; /* its entities are gone; files_lock, or the file's last close */
	bool killed; /* its process: what is queued is dropped */
	struct drm_sched_entity entities[TV_PRIORITIES];
	struct mutex submit_lock; /* order of numbers is order of pushing */

	spinlock_t lock; /* protects what follows */
	wait_queue_head_t done;
	u64 last; /* job */
	struct tv_result *results; /* of job i: i % TV_RECORDS */
	u64 busy; /* cycles */
	u64 memory; /* bytes; under tv_device.memory_lock */
};

int tv_file_open(struct drm_device *drm, struct drm_file *drm_file);
void tv_file_close(struct drm_device *drm, struct drm_file *drm_file);
void tv_file_get(struct tv_file *file);
void tv_file_put(struct tv_file *file);
/* Ends the files' entities; nothing is submitted any more. */
void tv_files_kill(struct tv_device *tv);
void tv_file_show(struct drm_printer *p, struct drm_file *drm_file);
/* No other open file in the system has it. */
u64 tv_file_id(const struct drm_file *drm_file);

/* Takes the next number; -EAGAIN: the record's place is a job's that has not ended. */
int tv_file_begin(struct tv_file *file, u64 *ret);
/* Once for each number. completion may be NULL. */
void tv_file_end(struct tv_file *file, u64 job, int status, const struct tv_completion *completion);
int tv_ioctl_wait(struct drm_device *drm, void *data, struct drm_file *drm_file);

/* --- triovit_bo.c: memory --- */

struct tv_bo {
	struct drm_gem_dma_object base;
	struct tv_file *file; /* who is charged for it; NULL: nobody */
	bool cached;
};

static inline struct tv_bo *to_tv_bo(struct drm_gem_object *obj)
{
	return container_of(to_drm_gem_dma_obj(obj), struct tv_bo, base);
}

extern unsigned int tv_memory_mb, tv_file_memory_mb;

struct drm_gem_object *tv_bo_alloc(struct drm_device *drm, size_t size);
struct drm_gem_object *tv_bo_import(struct drm_device *drm, struct dma_buf *dma_buf);
struct drm_gem_object *tv_bo_import_table(struct drm_device *drm,
					  struct dma_buf_attachment *attachment,
					  struct sg_table *table);
int tv_ioctl_bo_create(struct drm_device *drm, void *data, struct drm_file *drm_file);
int tv_ioctl_bo_info(struct drm_device *drm, void *data, struct drm_file *drm_file);
int tv_ioctl_bo_prep(struct drm_device *drm, void *data, struct drm_file *drm_file);
int tv_ioctl_bo_fini(struct drm_device *drm, void *data, struct drm_file *drm_file);

/* --- triovit_job.c: jobs and the scheduler --- */

struct tv_fence {
	struct dma_fence base;
	spinlock_t lock; /* the fence's */
	struct tv_device *tv;
};

struct tv_job {
	struct drm_sched_job base;
	struct kref refs;
	struct tv_device *tv;
	struct tv_file *file;
	u64 id;
	bool ended; /* its file knows */
	struct tv_fence *fence; /* the accelerator's */
	ktime_t deadline; /* 0: none */
	struct tv_descriptor descriptor;
	struct drm_gem_object *segments[TV_SEGMENT_COUNT]; /* of the descriptor; not counted */
	unsigned int bo_count;
	struct drm_gem_object *bos[TV_SEGMENT_COUNT]; /* each once, counted */
	bool writes[TV_SEGMENT_COUNT]; /* the buffer */
};

int tv_sched_start(struct tv_device *tv);
void tv_sched_stop(struct tv_device *tv);
struct tv_job *tv_job_new(struct tv_file *file);
void tv_job_put(struct tv_job *job);
/* Its record is known, or that there is none. */
void tv_job_finish(struct tv_job *job, int status, const struct tv_completion *completion);

/* --- triovit_submit.c --- */

int tv_ioctl_submit(struct drm_device *drm, void *data, struct drm_file *drm_file);

/* --- triovit_hw.c: registers and rings --- */

u32 tv_read(const struct tv_device *tv, u32 reg);
int tv_hw_identify(struct tv_device *tv);
int tv_hw_init(struct tv_device *tv);
int tv_hw_on(struct tv_device *tv);
/* Until pm_runtime_put_autosuspend(); -ENODEV: it does not start any more. */
int tv_wake(struct tv_device *tv);
/* What runs ends, what is queued stays queued. */
void tv_hw_off(struct tv_device *tv);
/* Ends all jobs with -ENODEV. */
void tv_hw_kill(struct tv_device *tv);
/* Hands a job over. -ENODEV: to nobody. */
int tv_hw_push(struct tv_device *tv, struct tv_job *job);
/* Runs one job while nothing else does; the record it leaves. */
int tv_hw_run(struct tv_device *tv, const struct tv_descriptor *descriptor,
	      struct tv_completion *ret);
u64 tv_hw_cycles(struct tv_device *tv);
irqreturn_t tv_hw_irq(int irq, void *arg);
irqreturn_t tv_hw_irq_thread(int irq, void *arg);

/* --- triovit_selftest.c --- */

/* Runs the golden job. -EIO: what comes out is wrong, or nothing does. */
int tv_selftest(struct tv_device *tv);

/* --- triovit_dump.c --- */

/* Keeps what a job was, for who looks after it. Under tv_device.lock. */
void tv_dump_job(struct tv_job *job, int status, const struct tv_completion *completion);

#endif
