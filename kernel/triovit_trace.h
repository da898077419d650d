/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM triovit

#if !defined(TRIOVIT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define TRIOVIT_TRACE_H

#include <linux/tracepoint.h>

struct drm_gem_object;

/* The processor or the accelerator takes its turn; whether caches had to be looked after. */
TRACE_EVENT(triovit_sync,
	TP_PROTO(const struct drm_gem_object *obj, bool for_cpu, bool synced),
	TP_ARGS(obj, for_cpu, synced),
	TP_STRUCT__entry(
		__field(const void *, obj)
		__field(bool, for_cpu)
		__field(bool, synced)
	),
	TP_fast_assign(
		__entry->obj = obj;
		__entry->for_cpu = for_cpu;
		__entry->synced = synced;
	),
	TP_printk("obj=%p for=%s synced=%d", __entry->obj,
		  __entry->for_cpu ? "cpu" : "device", __entry->synced)
);

DECLARE_EVENT_CLASS(triovit_job,
	TP_PROTO(const void *file, u64 job, int status),
	TP_ARGS(file, job, status),
	TP_STRUCT__entry(
		__field(const void *, file)
		__field(u64, job)
		__field(int, status)
	),
	TP_fast_assign(
		__entry->file = file;
		__entry->job = job;
		__entry->status = status;
	),
	TP_printk("file=%p job=%llu status=%d", __entry->file, __entry->job, __entry->status)
);

/* It was queued. */
DEFINE_EVENT(triovit_job, triovit_submit,
	TP_PROTO(const void *file, u64 job, int status),
	TP_ARGS(file, job, status)
);

/* It was handed to the accelerator. */
DEFINE_EVENT(triovit_job, triovit_start,
	TP_PROTO(const void *file, u64 job, int status),
	TP_ARGS(file, job, status)
);

/* It ended. */
DEFINE_EVENT(triovit_job, triovit_end,
	TP_PROTO(const void *file, u64 job, int status),
	TP_ARGS(file, job, status)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE triovit_trace
#include <trace/define_trace.h>
