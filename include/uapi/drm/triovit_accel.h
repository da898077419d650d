/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
#ifndef _UAPI_DRM_TRIOVIT_ACCEL_H_
#define _UAPI_DRM_TRIOVIT_ACCEL_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * DOC: overview
 *
 * docs/uapi.md says how these calls work together. All structures have the same layout for 32 and
 * 64 bits. They may grow at their ends: what an older user space does not pass counts as zero, and
 * zero always means what there was before. Reserved fields, unknown flags and unknown values are
 * refused with -EINVAL, as are fields for what a call returns unless they are zero; but a record
 * may be used again.
 */

#define DRM_TRIOVIT_GET_PARAM 0x00
#define DRM_TRIOVIT_BO_CREATE 0x01
#define DRM_TRIOVIT_BO_INFO   0x02
#define DRM_TRIOVIT_BO_PREP   0x03
#define DRM_TRIOVIT_BO_FINI   0x04
#define DRM_TRIOVIT_SUBMIT    0x05
#define DRM_TRIOVIT_WAIT      0x06
#define DRM_TRIOVIT_COUNTERS  0x07

/**
 * enum drm_triovit_param - what &struct drm_triovit_get_param can be asked for
 */
enum drm_triovit_param {
	/** @DRM_TRIOVIT_PARAM_CONTRACT: version of the programs that the accelerator executes */
	DRM_TRIOVIT_PARAM_CONTRACT = 0,
	/** @DRM_TRIOVIT_PARAM_TARGET: id of its configuration, which programs are compiled for */
	DRM_TRIOVIT_PARAM_TARGET = 1,
	/** @DRM_TRIOVIT_PARAM_GROUPS: groups of 128 multipliers */
	DRM_TRIOVIT_PARAM_GROUPS = 2,
	/** @DRM_TRIOVIT_PARAM_EPILOGUE_LANES: outputs a cycle */
	DRM_TRIOVIT_PARAM_EPILOGUE_LANES = 3,
	/** @DRM_TRIOVIT_PARAM_ONCHIP: bytes of on-chip memory */
	DRM_TRIOVIT_PARAM_ONCHIP = 4,
	/** @DRM_TRIOVIT_PARAM_CLOCK: kHz of the clock that cycles are counted with */
	DRM_TRIOVIT_PARAM_CLOCK = 5,
	/** @DRM_TRIOVIT_PARAM_DRAM: 10^6 bytes a second of its memory ports */
	DRM_TRIOVIT_PARAM_DRAM = 6,
	/** @DRM_TRIOVIT_PARAM_MEMORY: bytes that the buffers of all users may take together */
	DRM_TRIOVIT_PARAM_MEMORY = 7,
	/** @DRM_TRIOVIT_PARAM_FILE_MEMORY: bytes that the buffers of one open file may take */
	DRM_TRIOVIT_PARAM_FILE_MEMORY = 8,
	/** @DRM_TRIOVIT_PARAM_RECORDS: jobs whose records an open file keeps, the latest */
	DRM_TRIOVIT_PARAM_RECORDS = 9,
	/** @DRM_TRIOVIT_PARAM_COHERENT: 1: the accelerator sees the caches of the processors */
	DRM_TRIOVIT_PARAM_COHERENT = 10,
};

/**
 * struct drm_triovit_get_param - what is constant of a device
 */
struct drm_triovit_get_param {
	/** @param: in, one of &enum drm_triovit_param */
	__u32 param;
	/** @pad: must be zero */
	__u32 pad;
	/** @value: out */
	__u64 value;
};

/**
 * DRM_TRIOVIT_BO_CACHED - the processors cache the buffer
 *
 * For what the processor reads: reading without caches is slow. Without the flag writes are
 * combined, which is best for what is only written.
 */
#define DRM_TRIOVIT_BO_CACHED	(1 << 0)
/**
 * DRM_TRIOVIT_BO_IMPORTED - the memory is another device's
 *
 * Only in what DRM_IOCTL_TRIOVIT_BO_INFO returns.
 */
#define DRM_TRIOVIT_BO_IMPORTED (1 << 1)

/**
 * struct drm_triovit_bo_create - a buffer that the accelerator can use
 *
 * It reads as zero. -ENOMEM: there is no memory, or the limit on it is reached.
 */
struct drm_triovit_bo_create {
	/** @size: in, bytes, not zero; rounded up to pages */
	__u64 size;
	/** @flags: in, DRM_TRIOVIT_BO_CACHED or zero */
	__u32 flags;
	/** @handle: out; closed with DRM_IOCTL_GEM_CLOSE */
	__u32 handle;
};

/**
 * struct drm_triovit_bo_info - what a buffer is, and where to map it
 */
struct drm_triovit_bo_info {
	/** @handle: in */
	__u32 handle;
	/** @flags: out, DRM_TRIOVIT_BO_CACHED, DRM_TRIOVIT_BO_IMPORTED */
	__u32 flags;
	/** @size: out, bytes */
	__u64 size;
	/**
	 * @offset: out, for mmap() of the device's file; zero for an imported buffer, which is
	 * mapped through its dma-buf
	 */
	__u64 offset;
};

/** DRM_TRIOVIT_ACCESS_READ - the processor reads the buffer */
#define DRM_TRIOVIT_ACCESS_READ	 (1 << 0)
/** DRM_TRIOVIT_ACCESS_WRITE - the processor writes the buffer */
#define DRM_TRIOVIT_ACCESS_WRITE (1 << 1)

/**
 * struct drm_triovit_bo_prep - before the processor touches a buffer
 *
 * Waits for jobs that write it (reading) or use it at all (writing), then makes the processor see
 * what they have written. -ETIMEDOUT: they have not ended by then.
 */
struct drm_triovit_bo_prep {
	/** @handle: in */
	__u32 handle;
	/** @access: in, DRM_TRIOVIT_ACCESS_READ, DRM_TRIOVIT_ACCESS_WRITE or both */
	__u32 access;
	/** @timeout_ns: in, a time of CLOCK_MONOTONIC; one in the past does not wait */
	__s64 timeout_ns;
};

/**
 * struct drm_triovit_bo_fini - after the processor has touched a buffer
 *
 * Makes the accelerator see what the processor has written.
 */
struct drm_triovit_bo_fini {
	/** @handle: in */
	__u32 handle;
	/** @access: in, what was prepared */
	__u32 access;
};

/** DRM_TRIOVIT_SEGMENT_READ - the job may read the segment */
#define DRM_TRIOVIT_SEGMENT_READ  (1 << 0)
/** DRM_TRIOVIT_SEGMENT_WRITE - the job may write the segment */
#define DRM_TRIOVIT_SEGMENT_WRITE (1 << 1)
/** DRM_TRIOVIT_SEGMENTS - segments of a job; the first is the program */
#define DRM_TRIOVIT_SEGMENTS	  8

/**
 * struct drm_triovit_segment - memory that a job may touch
 *
 * All zero: the job does not have the segment. Bytes of a writable one belong to no other segment
 * of the job.
 */
struct drm_triovit_segment {
	/** @handle: in, of a buffer */
	__u32 handle;
	/**
	 * @rights: in, DRM_TRIOVIT_SEGMENT_READ, DRM_TRIOVIT_SEGMENT_WRITE; at least one. The
	 * program is never writable
	 */
	__u32 rights;
	/** @offset: in, bytes into the buffer, a multiple of 64 */
	__u64 offset;
	/** @size: in, bytes, not zero, below 2^32 */
	__u64 size;
};

/**
 * enum drm_triovit_priority - who comes first
 */
enum drm_triovit_priority {
	/** @DRM_TRIOVIT_PRIORITY_NORMAL: unless there is a reason */
	DRM_TRIOVIT_PRIORITY_NORMAL = 0,
	/** @DRM_TRIOVIT_PRIORITY_LOW: when nobody else wants the accelerator */
	DRM_TRIOVIT_PRIORITY_LOW = 1,
	/** @DRM_TRIOVIT_PRIORITY_HIGH: before all others; needs CAP_SYS_NICE, else -EPERM */
	DRM_TRIOVIT_PRIORITY_HIGH = 2,
};

/** DRM_TRIOVIT_SYNCOBJS_MAX - most syncobjs that a job waits for, and most that it signals */
#define DRM_TRIOVIT_SYNCOBJS_MAX 64

/**
 * struct drm_triovit_submit - queues a job
 *
 * Jobs of one file and priority begin in the order of their submission. A job also begins after
 * those of anybody that it shares a buffer with, unless both only read it. -EAGAIN: all of the
 * file's records belong to jobs that have not ended. -ENOENT: no such handle, or a syncobj without
 * a fence.
 */
struct drm_triovit_submit {
	/** @segments: in, pointer to an array of &struct drm_triovit_segment */
	__u64 segments;
	/** @segment_count: in, 1 to DRM_TRIOVIT_SEGMENTS; the first is the program */
	__u32 segment_count;
	/** @segment_size: in, sizeof(struct drm_triovit_segment) */
	__u32 segment_size;
	/** @in_syncobjs: in, pointer to an array of handles that the job waits for */
	__u64 in_syncobjs;
	/** @out_syncobjs: in, pointer to an array of handles that get the job's fence */
	__u64 out_syncobjs;
	/** @in_count: in, at most DRM_TRIOVIT_SYNCOBJS_MAX */
	__u32 in_count;
	/** @out_count: in, at most DRM_TRIOVIT_SYNCOBJS_MAX */
	__u32 out_count;
	/** @priority: in, one of &enum drm_triovit_priority */
	__u32 priority;
	/** @flags: in, must be zero */
	__u32 flags;
	/**
	 * @deadline_ns: in, a time of CLOCK_MONOTONIC; a job that was not handed to the
	 * accelerator by then ends with -ETIME. Zero: none
	 */
	__s64 deadline_ns;
	/** @job: out, the job's number in this file; they count up from 1 */
	__u64 job;
};

/**
 * struct drm_triovit_record - how a job ended
 *
 * @status is 0, or why there is no result: -EIO a fault, see @fault; -ETIMEDOUT the accelerator
 * made no progress with it and was reset; -ECANCELED the accelerator was reset because of another
 * job, and this one, having begun to change a segment that it also reads, could not begin anew;
 * -ETIME the deadline; -ENODEV the device is gone; -ESRCH its file was closed; or the error of a
 * fence that it waited for.
 *
 * All but @status is the accelerator's own record, zero if there is none.
 */
struct drm_triovit_record {
	/** @status: out, zero or a negative errno */
	__s32 status;
	/** @fault: out, enum tv_fault of the hardware's contract */
	__u32 fault;
	/** @command: out, index of the command at fault; 0xffffffff: none */
	__u32 command;
	/** @segment: out, of the byte at fault; 255: none */
	__u32 segment;
	/** @offset: out, of the byte at fault in its segment */
	__u32 offset;
	/** @executed: out, commands finished */
	__u32 executed;
	/** @start: out, cycle at which the first command began */
	__u64 start;
	/** @end: out, cycle at which the job ended */
	__u64 end;
	/** @mat_busy: out, cycles within the two */
	__u64 mat_busy;
	/** @rmac_busy: out, cycles */
	__u64 rmac_busy;
	/** @epilogue_busy: out, cycles */
	__u64 epilogue_busy;
	/** @dma_busy: out, cycles */
	__u64 dma_busy;
	/** @stall_weights: out, cycles in which all engines waited for weights */
	__u64 stall_weights;
	/** @stall_operands: out, cycles in which all engines waited for operands */
	__u64 stall_operands;
};

/**
 * struct drm_triovit_wait - waits for a job's end and returns its record
 *
 * May be called again for the same job. -ETIMEDOUT: it has not ended by then. -ENOENT: no such job,
 * or so many later ones were submitted that its record is gone.
 */
struct drm_triovit_wait {
	/** @job: in, from &struct drm_triovit_submit */
	__u64 job;
	/** @timeout_ns: in, a time of CLOCK_MONOTONIC; one in the past does not wait */
	__s64 timeout_ns;
	/** @record: out */
	struct drm_triovit_record record;
};

/**
 * struct drm_triovit_counters - what the device has done since it was bound
 */
struct drm_triovit_counters {
	/** @cycles: out, the accelerator's clock now; it stops while the device is suspended */
	__u64 cycles;
	/** @busy: out, cycles in which a job ran */
	__u64 busy;
	/** @jobs: out, jobs that ended, however */
	__u64 jobs;
	/** @faults: out, of those, the ones that the accelerator refused or ended early */
	__u64 faults;
	/** @resets: out, how often the accelerator was reset because it made no progress */
	__u64 resets;
	/** @memory: out, bytes that buffers take */
	__u64 memory;
};

#define DRM_IOCTL_TRIOVIT_GET_PARAM                                                                \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_TRIOVIT_GET_PARAM, struct drm_triovit_get_param)
#define DRM_IOCTL_TRIOVIT_BO_CREATE                                                                \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_TRIOVIT_BO_CREATE, struct drm_triovit_bo_create)
#define DRM_IOCTL_TRIOVIT_BO_INFO                                                                  \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_TRIOVIT_BO_INFO, struct drm_triovit_bo_info)
#define DRM_IOCTL_TRIOVIT_BO_PREP                                                                  \
	DRM_IOW(DRM_COMMAND_BASE + DRM_TRIOVIT_BO_PREP, struct drm_triovit_bo_prep)
#define DRM_IOCTL_TRIOVIT_BO_FINI                                                                  \
	DRM_IOW(DRM_COMMAND_BASE + DRM_TRIOVIT_BO_FINI, struct drm_triovit_bo_fini)
#define DRM_IOCTL_TRIOVIT_SUBMIT                                                                   \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_TRIOVIT_SUBMIT, struct drm_triovit_submit)
#define DRM_IOCTL_TRIOVIT_WAIT                                                                     \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_TRIOVIT_WAIT, struct drm_triovit_wait)
#define DRM_IOCTL_TRIOVIT_COUNTERS                                                                 \
	DRM_IOR(DRM_COMMAND_BASE + DRM_TRIOVIT_COUNTERS, struct drm_triovit_counters)

#if defined(__cplusplus)
}
#endif

#endif
