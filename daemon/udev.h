/* SPDX-License-Identifier: MIT */
/* Devices of the kernel driver: those that are there, those that come, those that go. */
#ifndef TV_DAEMON_UDEV_H
#define TV_DAEMON_UDEV_H

#include "daemon/accelerator.h"

struct tv_udev;

/* Adds what is there to the manager, and from now on what comes. One that cannot be used is left
 * out, and the log says why. */
int tv_udev_new(struct tv_manager *manager, struct tv_udev **ret, struct tv_error *error);
/* Before the manager. */
void tv_udev_free(struct tv_udev *udev);
TV_DEFINE_CLEANUP(struct tv_udev *, tv_udev_free)

#endif
