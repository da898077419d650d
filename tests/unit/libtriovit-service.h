/* SPDX-License-Identifier: MIT */
/*
 * What the daemon would do if it were broken, in a process of its own: an owner of its name whose
 * answers are wrong in the way that the arguments say.
 */
#ifndef TV_TESTS_LIBTRIOVIT_SERVICE_H
#define TV_TESTS_LIBTRIOVIT_SERVICE_H

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "tests/unit/bus.h"

#define SERVICE_NAME  "org.triovit.Accelerator1"
#define SERVICE_PATH  "/org/triovit/Accelerator1"
#define SERVICE_ERROR SERVICE_NAME ".Error."

/* Of runs and inline runs: the tag says what happens. */
enum service_tag {
	SERVICE_GOOD,
	SERVICE_HANGS, /* no answer, ever */
	SERVICE_DIES,
	SERVICE_WAITS, /* answers when it is cancelled, or when it closes */
	SERVICE_WRONG_TYPE,
	SERVICE_NO_RESULT,
	SERVICE_UNEVEN_TOP, /* images with different numbers of classes */
	SERVICE_FEW_TOP, /* not of all images */
	SERVICE_ERRORS = 100, /* + index into service_errors */
};

static const struct {
	const char *name;
	int code;
} service_errors[] = {
	{ SERVICE_ERROR "InvalidArgument", -EINVAL },
	{ SERVICE_ERROR "BadDescriptor", -EBADF },
	{ SERVICE_ERROR "BadModel", -EBADMSG },
	{ SERVICE_ERROR "NoProgram", -ENOEXEC },
	{ SERVICE_ERROR "JobTooLong", -EFBIG },
	{ SERVICE_ERROR "NotFound", -ENOENT },
	{ SERVICE_ERROR "Busy", -EBUSY },
	{ SERVICE_ERROR "LimitExceeded", -EDQUOT },
	{ SERVICE_ERROR "DeadlineImpossible", -EAGAIN },
	{ SERVICE_ERROR "DeadlineMissed", -ETIME },
	{ SERVICE_ERROR "Cancelled", -ECANCELED },
	{ SERVICE_ERROR "Fault", -EIO },
	{ SERVICE_ERROR "NoDevice", -ENODEV },
	{ SERVICE_ERROR "UseBus", -EREMOTEIO },
	{ SERVICE_ERROR "OfTheFuture", -EREMOTEIO },
	{ SD_BUS_ERROR_ACCESS_DENIED, -EACCES },
	{ SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, -EACCES },
	{ SD_BUS_ERROR_UNKNOWN_OBJECT, -ENOENT },
	{ SD_BUS_ERROR_UNKNOWN_METHOD, -EOPNOTSUPP },
	{ SD_BUS_ERROR_NO_MEMORY, -ENOMEM },
	/* The daemon speaks of somebody else, polkit for instance: it is still there itself. */
	{ SD_BUS_ERROR_SERVICE_UNKNOWN, -EREMOTEIO },
	{ SD_BUS_ERROR_NO_REPLY, -EREMOTEIO },
};

/* Of sessions: the number of slots says what is wrong with the memory. */
enum service_layout {
	SERVICE_LAYOUT_GOOD = 2,
	SERVICE_LAYOUT_SHORT, /* a slot less than promised */
	SERVICE_LAYOUT_OUTSIDE, /* an output that goes beyond the slot */
	SERVICE_LAYOUT_OVERFLOWS,
	SERVICE_LAYOUT_UNALIGNED,
	SERVICE_LAYOUT_EMPTY,
	SERVICE_LAYOUT_MISSING,
	SERVICE_LAYOUT_TEXT, /* a size that is a text */
	SERVICE_LAYOUT_PIPE,
	SERVICE_LAYOUT_END,
	SERVICE_LAYOUT_FILE, /* as good as it is, but no memfd: as a dma-buf is not */
};

#define SERVICE_SIDE	    4u
#define SERVICE_CLASSES	    3u
#define SERVICE_INPUT	    (SERVICE_SIDE * SERVICE_SIDE * 3)
#define SERVICE_OUTPUT	    (SERVICE_CLASSES * 2)
#define SERVICE_SLOT	    4096u
#define SERVICE_OUT_AT	    1024u
#define SERVICE_WAITING	    8
/* Where no list of objects shows it. */
#define SERVICE_MISLABELLED "/mislabelled"

static sd_event *service_event;
static sd_bus *service_peer;
static sd_bus_message *service_waiting[SERVICE_WAITING];
static uint64_t service_tags[SERVICE_WAITING];
static int service_fd = -1; /* the memory of the last session */

static int service_on_connect(sd_bus_message *call, void *userdata, sd_bus_error *error);

static inline int service_on_load(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *name = "";
	int fd;

	ck_assert_int_ge(sd_bus_message_read(call, "h", &fd), 0);
	ck_assert_int_ge(sd_bus_message_enter_container(call, 'a', "{sv}"), 0);
	sd_bus_message_read(call, "{sv}", NULL, "s", &name);
	if (!strcmp(name, "dies"))
		_exit(0);
	if (!strcmp(name, "nothing"))
		return sd_bus_reply_method_return(call, "");
	return sd_bus_reply_method_return(call, "o",
					  !strcmp(name, "labels") ? SERVICE_MISLABELLED :
					  !strcmp(name, "gone")	  ? SERVICE_PATH "/models/3" :
								    SERVICE_PATH "/models/1");
}

static inline int service_on_open(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	uint64_t size = SERVICE_SLOT, out = SERVICE_OUT_AT;
	const char *model, *name = "slots";
	sd_bus_message *reply = NULL;
	uint32_t slots = 2;
	int fds[2], fd, r;

	ck_assert_int_ge(sd_bus_message_read(call, "o", &model), 0);
	ck_assert_int_ge(sd_bus_message_enter_container(call, 'a', "{sv}"), 0);
	sd_bus_message_read(call, "{sv}", &name, "u", &slots);
	fd = slots == SERVICE_LAYOUT_FILE ?
		     fileno(tmpfile()) :
		     memfd_create("session", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(
		ftruncate(fd, (off_t)SERVICE_SLOT * (slots - (slots == SERVICE_LAYOUT_SHORT))), 0);
	if (slots == SERVICE_LAYOUT_PIPE) {
		ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
		fd = fds[0];
	}
	switch (slots) {
	case SERVICE_LAYOUT_OUTSIDE:
		out = SERVICE_SLOT - SERVICE_OUTPUT / 2 / 64 * 64;
		break;
	case SERVICE_LAYOUT_OVERFLOWS:
		size = UINT64_MAX / slots / 64 * 64 + 64;
		break;
	case SERVICE_LAYOUT_UNALIGNED:
		out++;
		break;
	case SERVICE_LAYOUT_EMPTY:
		slots = 0;
		break;
	default:
		break;
	}
	ck_assert_int_ge(sd_bus_message_new_method_return(call, &reply), 0);
	ck_assert_int_ge(sd_bus_message_append(reply, "oh", SERVICE_PATH "/sessions/1", fd), 0);
	r = slots == SERVICE_LAYOUT_MISSING ?
		    sd_bus_message_append(reply, "a{sv}", 1, "slots", "u", slots) :
	    slots == SERVICE_LAYOUT_TEXT ?
		    sd_bus_message_append(reply, "a{sv}", 1, "slot-size", "s", "large") :
		    sd_bus_message_append(reply, "a{sv}", 7, "slots", "u", slots, "slot-size", "t",
					  size, "input-offset", "t", (uint64_t)0, "input-size", "t",
					  (uint64_t)SERVICE_INPUT, "output-offset", "t", out,
					  "output-size", "t", (uint64_t)SERVICE_OUTPUT,
					  "of-the-future", "(sas)", "x", 1, "y");
	ck_assert_int_ge(r, 0);
	if (slots == SERVICE_LAYOUT_GOOD)
		service_fd = fd;
	r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r;
}

/* The first and the last byte of the input, added. */
static inline void service_compute(uint32_t slot)
{
	uint8_t *data =
		mmap(NULL, 2 * SERVICE_SLOT, PROT_READ | PROT_WRITE, MAP_SHARED, service_fd, 0);

	ck_assert_ptr_ne(data, MAP_FAILED);
	data[slot * SERVICE_SLOT + SERVICE_OUT_AT] =
		(uint8_t)(data[slot * SERVICE_SLOT] +
			  data[slot * SERVICE_SLOT + SERVICE_INPUT - 1]);
	munmap(data, 2 * SERVICE_SLOT);
}

static inline int service_append_top(sd_bus_message *reply, uint64_t tag)
{
	if (tag == SERVICE_UNEVEN_TOP)
		return sd_bus_message_append(reply, "a{sv}", 1, "top", "aa(usd)", 2, 1, 0, "", 0.5,
					     2, 0, "", 0.5, 1, "", 0.5);
	if (tag == SERVICE_FEW_TOP)
		return sd_bus_message_append(reply, "a{sv}", 1, "top", "aa(usd)", 0);
	return sd_bus_message_append(reply, "a{sv}", 5, "cycles", "t", (uint64_t)1234,
				     "device-usec", "t", (uint64_t)12, "queued-usec", "t",
				     (uint64_t)34, "device", "o", SERVICE_PATH "/devices/0", "top",
				     "aa(usd)", 1, 2, 2, "two", 0.75, 0, "zero", 0.125);
}

/* The end of a run: the message stands at its options. */
static inline int service_run(sd_bus_message *call, const uint8_t *input, uint32_t slot)
{
	sd_bus_message *reply = NULL;
	const char *name = NULL;
	uint64_t tag = 0;
	int r;

	ck_assert_int_ge(sd_bus_message_enter_container(call, 'a', "{sv}"), 0);
	while (sd_bus_message_enter_container(call, 'e', "sv") > 0) {
		ck_assert_int_ge(sd_bus_message_read(call, "s", &name), 0);
		if (!strcmp(name, "tag"))
			ck_assert_int_ge(sd_bus_message_read(call, "v", "t", &tag), 0);
		else
			ck_assert_int_ge(sd_bus_message_skip(call, "v"), 0);
		ck_assert_int_ge(sd_bus_message_exit_container(call), 0);
	}
	if (tag >= SERVICE_ERRORS)
		return sd_bus_reply_method_errorf(call, service_errors[tag - SERVICE_ERRORS].name,
						  "it says why");
	if (tag == SERVICE_DIES)
		_exit(0);
	if (tag == SERVICE_HANGS || tag == SERVICE_WAITS) {
		for (unsigned int i = 0; i < SERVICE_WAITING; i++)
			if (!service_waiting[i]) {
				service_waiting[i] = sd_bus_message_ref(call);
				service_tags[i] = tag;
				return 1;
			}
		ck_abort_msg("too many runs wait");
	}
	if (tag == SERVICE_WRONG_TYPE)
		return sd_bus_reply_method_return(call, "s", "done");
	if (tag == SERVICE_NO_RESULT)
		return sd_bus_reply_method_return(call, "");
	if (!input && service_fd >= 0)
		service_compute(slot);
	ck_assert_int_ge(sd_bus_message_new_method_return(call, &reply), 0);
	if (input)
		ck_assert_int_ge(sd_bus_message_append_array(reply, 'y', input, SERVICE_OUTPUT), 0);
	r = service_append_top(reply, tag);
	ck_assert_int_ge(r, 0);
	r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r;
}

static inline int service_on_run(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	uint32_t slot;

	ck_assert_int_ge(sd_bus_message_read(call, "u", &slot), 0);
	return service_run(call, NULL, slot);
}

static inline int service_on_run_memory(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	uint64_t input, output;
	int fd;

	ck_assert_int_ge(sd_bus_message_read(call, "htt", &fd, &input, &output), 0);
	return service_run(call, NULL, 0);
}

static inline int service_on_inline(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const void *input;
	size_t size;

	ck_assert_int_ge(sd_bus_message_read_array(call, 'y', &input, &size), 0);
	ck_assert_uint_ge(size, SERVICE_OUTPUT);
	return service_run(call, input, 0);
}

static inline bool service_end_waiting(uint64_t tag)
{
	bool any = false;

	for (unsigned int i = 0; i < SERVICE_WAITING; i++) {
		if (!service_waiting[i] || service_tags[i] != tag)
			continue;
		sd_bus_reply_method_errorf(service_waiting[i], SERVICE_ERROR "Cancelled",
					   "cancelled");
		service_waiting[i] = sd_bus_message_unref(service_waiting[i]);
		any = true;
	}
	return any;
}

static inline int service_on_cancel(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	uint64_t tag;

	ck_assert_int_ge(sd_bus_message_read(call, "t", &tag), 0);
	return sd_bus_reply_method_return(call, "b", service_end_waiting(tag));
}

static inline int service_on_close(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	service_end_waiting(SERVICE_WAITS);
	return sd_bus_reply_method_return(call, "");
}

/* Calls that polkit is asked about: only the bus knows who asks, and a person may be asked. */
static inline int service_check_asker(sd_bus_message *call, sd_bus_error *error)
{
	if (sd_bus_message_get_bus(call) == service_peer)
		return sd_bus_error_set(error, SERVICE_ERROR "UseBus", "not here");
	if (sd_bus_message_get_allow_interactive_authorization(call) <= 0)
		return sd_bus_error_set(error, SERVICE_ERROR "Other", "nobody can be asked");
	return 0;
}

static inline int service_on_test(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	int r = service_check_asker(call, error);

	if (r < 0)
		return r;
	return sd_bus_reply_method_return(
		call, "bs", strstr(sd_bus_message_get_path(call), "/1") == NULL, "a word");
}

static inline int service_on_publish(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	int r = service_check_asker(call, error);

	return r < 0 ? r : sd_bus_reply_method_return(call, "");
}

static inline int service_get(sd_bus *bus, const char *path, const char *interface,
			      const char *property, sd_bus_message *reply, void *userdata,
			      sd_bus_error *error)
{
	char last = path[strlen(path) - 1];

	if (!strcmp(property, "Digest"))
		return sd_bus_message_append(reply, "s", last == '1' ? "dd11" : "dd22");
	if (!strcmp(property, "Name"))
		return sd_bus_message_append(reply, "s", last == '3' ? "single" : "twin");
	if (!strcmp(property, "Width") || !strcmp(property, "Height"))
		return sd_bus_message_append(reply, "u", last == '3' ? 0 : SERVICE_SIDE);
	if (!strcmp(property, "Resize"))
		return sd_bus_message_append(reply, "u", SERVICE_SIDE + 1);
	if (!strcmp(property, "Classes"))
		return sd_bus_message_append(reply, "u", SERVICE_CLASSES);
	if (!strcmp(property, "Labels") && last != 'd')
		return sd_bus_message_append(reply, "as", 3, "zero", "one", "two");
	if (!strcmp(property, "Labels"))
		return sd_bus_message_append(reply, "as", 1, "zero");
	if (!strcmp(property, "Programs"))
		return sd_bus_message_append(reply, "a(sutt)", 2, "zcu102", 1, (uint64_t)10,
					     (uint64_t)8, "kv260", 4, (uint64_t)30, (uint64_t)28);
	if (!strcmp(property, "Limits"))
		return sd_bus_message_append(reply, "a{st}", 2, "MaxModels", (uint64_t)256,
					     "MaxJobs", (uint64_t)8192);
	if (!strcmp(property, "Usage"))
		return sd_bus_message_append(reply, "a{st}", 2, "MaxJobs", (uint64_t)3, "MaxModels",
					     (uint64_t)2);
	if (!strcmp(property, "Version"))
		return sd_bus_message_append(reply, "s", "9.9");
	return -ENOENT;
}

static const sd_bus_vtable service_manager[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Connect", "", "h", service_on_connect, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("OpenSession", "oa{sv}", "oha{sv}", service_on_open,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Version", "s", service_get, 0, 0),
	SD_BUS_PROPERTY("Limits", "a{st}", service_get, 0, 0),
	SD_BUS_PROPERTY("Usage", "a{st}", service_get, 0, 0),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable service_model[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Run", "aya{sv}", "aya{sv}", service_on_inline, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Unload", "", "", service_on_close, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Publish", "b", "", service_on_publish, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Digest", "s", service_get, 0, 0),
	SD_BUS_PROPERTY("Name", "s", service_get, 0, 0),
	SD_BUS_PROPERTY("Width", "u", service_get, 0, 0),
	SD_BUS_PROPERTY("Height", "u", service_get, 0, 0),
	SD_BUS_PROPERTY("Resize", "u", service_get, 0, 0),
	SD_BUS_PROPERTY("Classes", "u", service_get, 0, 0),
	SD_BUS_PROPERTY("Labels", "as", service_get, 0, 0),
	SD_BUS_PROPERTY("Programs", "a(sutt)", service_get, 0, 0),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable service_session[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("RunMemory", "htta{sv}", "a{sv}", service_on_run_memory,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Cancel", "t", "b", service_on_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Close", "", "", service_on_close, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable service_device[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("SelfTest", "", "bs", service_on_test, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_PROPERTY("Name", "s", service_get, 0, 0),
	SD_BUS_VTABLE_END,
};

/* Methods whose answers may be of another type than a table would allow. */
static inline int service_filter(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	if (sd_bus_message_is_method_call(call, SERVICE_NAME ".Session", "Run"))
		return service_on_run(call, userdata, error);
	if (sd_bus_message_is_method_call(call, SERVICE_NAME ".Manager", "LoadModel"))
		return service_on_load(call, userdata, error);
	return 0;
}

static inline void service_add(sd_bus *bus)
{
	static const struct {
		const char *path, *interface;
		const sd_bus_vtable *vtable;
	} objects[] = {
		{ SERVICE_PATH, ".Manager", service_manager },
		{ SERVICE_PATH "/models/1", ".Model", service_model },
		{ SERVICE_PATH "/models/2", ".Model", service_model },
		{ SERVICE_PATH "/models/3", ".Model", service_model },
		{ SERVICE_MISLABELLED, ".Model", service_model },
		{ SERVICE_PATH "/sessions/1", ".Session", service_session },
		{ SERVICE_PATH "/devices/0", ".Device", service_device },
		{ SERVICE_PATH "/devices/1", ".Device", service_device },
	};
	char interface[64];

	for (size_t i = 0; i < TV_ARRAY_SIZE(objects); i++) {
		snprintf(interface, sizeof(interface), SERVICE_NAME "%s", objects[i].interface);
		ck_assert_int_ge(sd_bus_add_object_vtable(bus, NULL, objects[i].path, interface,
							  objects[i].vtable, NULL),
				 0);
	}
	ck_assert_int_ge(sd_bus_add_filter(bus, NULL, service_filter, NULL), 0);
	ck_assert_int_ge(sd_bus_add_object_manager(bus, NULL, SERVICE_PATH), 0);
	ck_assert_int_ge(sd_bus_attach_event(bus, service_event, 0), 0);
}

static bool service_refuses; /* Connect() */

static inline int service_on_connect(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	sd_id128_t id;
	int fds[2], r;

	if (service_refuses)
		return sd_bus_error_set(error, SERVICE_ERROR "LimitExceeded", "limit reached");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	ck_assert_int_ge(sd_id128_randomize(&id), 0);
	ck_assert_int_ge(sd_bus_new(&service_peer), 0);
	ck_assert_int_ge(sd_bus_set_fd(service_peer, fds[0], fds[0]), 0);
	ck_assert_int_ge(sd_bus_set_server(service_peer, 1, id), 0);
	ck_assert_int_ge(sd_bus_set_anonymous(service_peer, 1), 0);
	ck_assert_int_ge(sd_bus_start(service_peer), 0);
	service_add(service_peer);
	r = sd_bus_reply_method_return(call, "h", fds[1]);
	close(fds[1]);
	return r;
}

/* Returns when it owns its name. */
static inline pid_t service_start(const struct bus_daemon *daemon, bool refuses)
{
	int ready[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		sd_bus *bus;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		service_refuses = refuses;
		ck_assert_int_ge(sd_event_new(&service_event), 0);
		bus = bus_open(daemon);
		service_add(bus);
		ck_assert_int_ge(sd_bus_request_name(bus, SERVICE_NAME, 0), 0);
		close(ready[1]);
		sd_event_loop(service_event);
		_exit(0);
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	return pid;
}

static inline void service_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#endif
