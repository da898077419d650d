/* SPDX-License-Identifier: MIT */
/* Between scheduler and devices: what is next goes out, results come in. */
#ifndef TV_DAEMON_DISPATCH_H
#define TV_DAEMON_DISPATCH_H

#include "daemon/run.h"

/* To be called after anything has changed that the scheduler knows of. */
void tv_dispatch(struct tv_manager *manager);

/* Asks the device that has a run not to begin it: 0, and a result says so; else it has. */
int tv_dispatch_cancel(struct tv_run *run);

/* A device has done a job, or given it up. tv_dispatch() is the caller's. */
void tv_dispatch_result(struct tv_accelerator *accelerator, const struct tv_backend_result *result);

/* The device, which has been taken out of manager->accelerators, takes no more requests; those it
 * had wait again, or have failed. */
void tv_dispatch_lost(struct tv_accelerator *accelerator);

/* A device of the pool is no longer to be used: what could run nowhere else any more fails. */
void tv_dispatch_check_pool(struct tv_manager *manager, unsigned int pool);

#endif
