/* SPDX-License-Identifier: MIT */
#include "daemon/udev.h"

#include <fcntl.h>
#include <libudev.h>
#include <string.h>

#include "daemon/log.h"

#define DRIVER "triovit"

/* A device of ours. */
struct node {
	dev_t number;
	struct tv_accelerator *accelerator;
	TAILQ_ENTRY(node) nodes;
};

struct tv_udev {
	struct tv_manager *manager;
	struct udev *udev;
	struct udev_monitor *monitor;
	sd_event_source *source;
	TAILQ_HEAD(, node) nodes;
};

TV_DEFINE_CLEANUP(struct udev_device *, udev_device_unref)
TV_DEFINE_CLEANUP(struct udev_enumerate *, udev_enumerate_unref)

/* Nodes of /dev/accel and, on kernels that have none, render nodes; both by our driver. */
static bool is_ours(struct udev_device *device)
{
	struct udev_device *parent = udev_device_get_parent(device);
	const char *driver = parent ? udev_device_get_driver(parent) : NULL;
	const char *subsystem = udev_device_get_subsystem(device);
	const char *name = udev_device_get_sysname(device);

	if (!driver || strcmp(driver, DRIVER) || !udev_device_get_devnode(device))
		return false;
	return !strcmp(subsystem, "accel") ||
	       (!strcmp(subsystem, "drm") && !strncmp(name, "renderD", strlen("renderD")));
}

static int open_backend(struct udev_device *device, struct tv_backend **ret, struct tv_error *error)
{
	const char *path = udev_device_get_devnode(device);
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return tv_error_set(error, -errno, "%s: %s", path, strerror(errno));
	return tv_backend_open_drm(fd, udev_device_get_sysname(udev_device_get_parent(device)), ret,
				   error);
}

static int add(struct tv_udev *udev, struct udev_device *device, struct tv_error *error)
{
	_cleanup_free_ struct node *node = calloc(1, sizeof(*node));
	struct tv_backend *backend;
	int r;

	if (!node)
		return tv_error_oom(error);
	r = open_backend(device, &backend, error);
	if (r >= 0)
		r = tv_accelerator_add(udev->manager, backend, &node->accelerator, error);
	if (r < 0)
		return r;
	node->number = udev_device_get_devnum(device);
	tv_log(LOG_INFO, "%s: found as %s", tv_backend_info(backend)->name,
	       udev_device_get_devnode(device));
	TAILQ_INSERT_TAIL(&udev->nodes, node, nodes);
	TV_TAKE_PTR(node);
	return 0;
}

static struct node *find(struct tv_udev *udev, struct udev_device *device)
{
	struct node *node;

	TAILQ_FOREACH(node, &udev->nodes, nodes)
		if (node->number == udev_device_get_devnum(device))
			return node;
	return NULL;
}

static void consider(struct tv_udev *udev, struct udev_device *device)
{
	struct tv_error error = { 0 };

	if (is_ours(device) && !find(udev, device) && add(udev, device, &error) < 0)
		tv_log(LOG_ERR, "%s", error.text);
}

static void lose(struct tv_udev *udev, struct udev_device *device)
{
	struct node *node = find(udev, device);

	if (!node)
		return;
	tv_log(LOG_NOTICE, "%s: gone", tv_backend_info(node->accelerator->backend)->name);
	TAILQ_REMOVE(&udev->nodes, node, nodes);
	tv_accelerator_remove(node->accelerator);
	free(node);
	tv_accelerator_substitute(udev->manager);
}

static int on_event(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct tv_udev *udev = userdata;
	_cleanup_(udev_device_unrefp) struct udev_device *device =
		udev_monitor_receive_device(udev->monitor);
	const char *action = device ? udev_device_get_action(device) : NULL;

	if (!action)
		return 0;
	if (!strcmp(action, "remove"))
		lose(udev, device);
	else
		consider(udev, device);
	return 0;
}

static int listen(struct tv_udev *udev)
{
	udev->monitor = udev_monitor_new_from_netlink(udev->udev, "udev");
	if (!udev->monitor)
		return -errno;
	if (udev_monitor_filter_add_match_subsystem_devtype(udev->monitor, "accel", NULL) < 0 ||
	    udev_monitor_filter_add_match_subsystem_devtype(udev->monitor, "drm", NULL) < 0 ||
	    udev_monitor_enable_receiving(udev->monitor) < 0)
		return -EIO;
	return sd_event_add_io(udev->manager->event, &udev->source,
			       udev_monitor_get_fd(udev->monitor), EPOLLIN, on_event, udev);
}

static int enumerate(struct tv_udev *udev)
{
	_cleanup_(udev_enumerate_unrefp) struct udev_enumerate *list =
		udev_enumerate_new(udev->udev);
	struct udev_list_entry *entry;

	if (!list)
		return -ENOMEM;
	if (udev_enumerate_add_match_subsystem(list, "accel") < 0 ||
	    udev_enumerate_add_match_subsystem(list, "drm") < 0 ||
	    udev_enumerate_scan_devices(list) < 0)
		return -EIO;
	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(list))
	{
		_cleanup_(udev_device_unrefp) struct udev_device *device =
			udev_device_new_from_syspath(udev->udev, udev_list_entry_get_name(entry));

		/* What udev has not seen to yet will be told of. */
		if (device && udev_device_get_is_initialized(device) > 0)
			consider(udev, device);
	}
	return 0;
}

int tv_udev_new(struct tv_manager *manager, struct tv_udev **ret, struct tv_error *error)
{
	_cleanup_(tv_udev_freep) struct tv_udev *udev = calloc(1, sizeof(*udev));
	int r;

	if (!udev)
		return tv_error_oom(error);
	TAILQ_INIT(&udev->nodes);
	udev->manager = manager;
	udev->udev = udev_new();
	r = udev->udev ? listen(udev) : -ENOMEM;
	/* After listening, so that nothing comes unseen in between. */
	if (r >= 0)
		r = enumerate(udev);
	if (r < 0)
		return tv_error_set(error, r, "udev: %s", strerror(-r));
	*ret = TV_TAKE_PTR(udev);
	return 0;
}

void tv_udev_free(struct tv_udev *udev)
{
	struct node *node;

	while ((node = TAILQ_FIRST(&udev->nodes))) {
		TAILQ_REMOVE(&udev->nodes, node, nodes);
		tv_accelerator_remove(node->accelerator);
		free(node);
	}
	sd_event_source_disable_unref(udev->source);
	udev_monitor_unref(udev->monitor);
	udev_unref(udev->udev);
	free(udev);
}
