/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "libclient/private.h"

struct triovit_device {
	struct triovit_client *client; /* a reference */
	sd_bus_message *properties; /* where the texts are */
	struct triovit_device_info info;
};

struct devices {
	struct triovit_client *client;
	struct triovit_device **array;
	size_t count;
};

static const struct tv_field fields[] = {
	{ "Name", "s", offsetof(struct triovit_device_info, name), NULL },
	{ "Target", "s", offsetof(struct triovit_device_info, target), NULL },
	{ "Driver", "s", offsetof(struct triovit_device_info, driver), NULL },
	{ "State", "s", offsetof(struct triovit_device_info, state), NULL },
	{ "ClockKHz", "u", offsetof(struct triovit_device_info, clock_khz), NULL },
	{ "OnChip", "u", offsetof(struct triovit_device_info, onchip), NULL },
	{ "QueueLength", "u", offsetof(struct triovit_device_info, queue_length), NULL },
	{ "JobsDone", "t", offsetof(struct triovit_device_info, jobs_done), NULL },
	{ "JobsFailed", "t", offsetof(struct triovit_device_info, jobs_failed), NULL },
	{ "BusyUSec", "t", offsetof(struct triovit_device_info, busy_usec), NULL },
	{ 0 },
};

void triovit_device_list_free(struct triovit_device **devices, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		sd_bus_message_unref(devices[i]->properties);
		tv_client_unref(devices[i]->client);
		free(devices[i]);
	}
	free(devices);
}

static void devices_done(struct devices *devices)
{
	triovit_device_list_free(devices->array, devices->count);
}

static int add_device(sd_bus_message *message, const char *path, void *userdata)
{
	struct devices *devices = userdata;
	struct triovit_device *device, **array;

	array = reallocarray(devices->array, devices->count + 1, sizeof(struct triovit_device *));
	if (!array)
		return -ENOMEM;
	devices->array = array;
	device = calloc(1, sizeof(*device));
	if (!device)
		return -ENOMEM;
	array[devices->count++] = device;
	device->client = tv_client_ref(devices->client);
	device->properties = sd_bus_message_ref(message);
	device->info = (struct triovit_device_info){
		.path = path,
		.name = "",
		.target = "",
		.driver = "",
		.state = "",
	};
	return tv_fields_read(message, fields, &device->info);
}

int triovit_device_list(struct triovit_client *client, struct triovit_device ***ret,
			size_t *ret_count, struct triovit_error *error)
{
	_cleanup_(devices_done) struct devices devices = { .client = client };
	int r;

	r = tv_objects_each(client, TV_BUS_DEVICE, add_device, &devices, error);
	if (r < 0)
		return r;
	*ret_count = devices.count;
	*ret = TV_TAKE_PTR(devices.array);
	devices.count = 0;
	return 0;
}

const struct triovit_device_info *triovit_device_info(const struct triovit_device *device)
{
	return &device->info;
}

int triovit_device_self_test(struct triovit_device *device, struct triovit_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL, *reply = NULL;
	const char *text;
	int r, good;

	r = tv_message_new(device->client, TV_BUS, device->info.path, TV_BUS_DEVICE, "SelfTest",
			   &message, error);
	if (r < 0)
		return r;
	r = sd_bus_message_set_allow_interactive_authorization(message, 1);
	if (r < 0)
		return tv_fail_errno(error, r, "SelfTest");
	r = tv_client_ask(device->client, message, &reply, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read(reply, "bs", &good, &text);
	if (r < 0)
		return tv_fail_parse(error, r, "the daemon's answer to SelfTest");
	return good ? 0 : tv_fail(error, -EIO, "%s", text);
}
