/* SPDX-License-Identifier: MIT */
/* Makes calls for the daemon's fuzzer, and judges their answers. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/daemon.h"

#define INPUT_SIZE (32 * 32 * 3) /* of the models in the corpus */

/* --- answers -------------------------------------------------------------------------------------
 */

/* What docs/dbus.md says, and what sd-bus says of calls that no handler sees. */
static void judge_error(const char *name)
{
	static const char *const own[] = {
		"InvalidArgument",    "BadDescriptor",	"BadModel",	 "NoProgram", "JobTooLong",
		"NotFound",	      "Busy",		"LimitExceeded", "Fault",     "NoDevice",
		"DeadlineImpossible", "DeadlineMissed", "Cancelled",	 "UseBus",
	};
	static const char *const standard[] = {
		SD_BUS_ERROR_ACCESS_DENIED,
		SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
		SD_BUS_ERROR_UNKNOWN_OBJECT,
		SD_BUS_ERROR_UNKNOWN_INTERFACE,
		SD_BUS_ERROR_UNKNOWN_METHOD,
		SD_BUS_ERROR_UNKNOWN_PROPERTY,
		SD_BUS_ERROR_PROPERTY_READ_ONLY,
		SD_BUS_ERROR_INVALID_ARGS,
		/* An interface that the object would not have if it were there. */
		SD_BUS_ERROR_FILE_NOT_FOUND,
	};
	const size_t prefix = strlen(TV_BUS_ERROR);

	for (unsigned int i = 0; i < TV_ARRAY_SIZE(own); i++)
		if (!strncmp(name, TV_BUS_ERROR, prefix) && !strcmp(name + prefix, own[i]))
			return;
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(standard); i++)
		if (!strcmp(name, standard[i]))
			return;
	fprintf(stderr, "error %s\n", name);
	abort();
}

/* A descriptor is the other end of a connection, or memory of a session. */
static void keep_descriptor(sd_bus_message *reply)
{
	int fd;

	if (sd_bus_message_read(reply, "h", &fd) <= 0)
		return;
	for (unsigned int i = 0; i < FUZZ_PEERS; i++) {
		struct fuzz_peer *peer = &fuzz.peers[i];

		if (peer->bus)
			continue;
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		REQUIRE(fd >= 0 && sd_bus_new(&peer->bus) >= 0 &&
			sd_bus_set_fd(peer->bus, fd, fd) >= 0 &&
			sd_bus_negotiate_fds(peer->bus, 1) >= 0 && sd_bus_start(peer->bus) >= 0);
		return;
	}
}

static void judge(sd_bus_message *reply)
{
	const char *path;

	REQUIRE(fuzz.pending);
	fuzz.pending--;
	if (sd_bus_message_is_method_error(reply, NULL))
		return judge_error(sd_bus_message_get_error(reply)->name);
	if (sd_bus_message_has_signature(reply, "h"))
		return keep_descriptor(reply);
	if (*sd_bus_message_get_signature(reply, true) == 'o' && fuzz.path_count < FUZZ_PATHS) {
		REQUIRE(sd_bus_message_read(reply, "o", &path) > 0);
		fuzz.paths[fuzz.path_count++] = strdup(path);
	}
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	unsigned int sender = (uintptr_t)userdata % FUZZ_SENDERS;

	if (fuzz.senders[sender].lives != (uintptr_t)userdata / FUZZ_SENDERS)
		return 0;
	REQUIRE(fuzz.senders[sender].pending--);
	judge(reply);
	return 0;
}

static int on_peer_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct fuzz_peer *peer = userdata;

	/* Made up by sd-bus for a connection that was closed; peer_done() has counted them. */
	if (!peer->pending)
		return 0;
	peer->pending--;
	if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NO_REPLY)) {
		fuzz.pending--;
		return 0;
	}
	judge(reply);
	return 0;
}

/* --- arguments -----------------------------------------------------------------------------------
 */

static int open_memory(struct reader *reader)
{
	static const int seals[] = {
		F_SEAL_SHRINK | F_SEAL_GROW,
		0,
		F_SEAL_SHRINK,
		F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
		F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL,
	};
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	REQUIRE(fd >= 0 && ftruncate(fd, take(reader) * 64) == 0);
	fcntl(fd, F_ADD_SEALS, seals[take(reader) % TV_ARRAY_SIZE(seals)]);
	return fd;
}

/* A package, often with a few bytes changed. */
static int open_model(struct reader *reader)
{
	uint8_t which = take(reader), byte;
	size_t size = fuzz.models[which % FUZZ_MODELS].size;
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	off_t at;

	REQUIRE(fd >= 0);
	REQUIRE(write(fd, fuzz.models[which % FUZZ_MODELS].data, size) == (ssize_t)size);
	for (unsigned int i = which / FUZZ_MODELS % 4; i; i--) {
		at = (off_t)((take(reader) << 8 | take(reader)) % size);
		byte = take(reader);
		REQUIRE(pwrite(fd, &byte, 1, at) == 1);
	}
	if (which & 0x80)
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	return fd;
}

static int open_any(struct reader *reader)
{
	int fds[2];

	switch (take(reader) % 8) {
	case 0:
		REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
		close(fds[1]);
		return fds[0];
	case 1:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	case 2:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 3:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 4:
	case 5:
		return open_memory(reader);
	default:
		return open_model(reader);
	}
}

static const char *take_text(struct reader *reader)
{
	static const char *const texts[] = {
		"slots",
		"images",
		"priority",
		"target",
		"name",
		"top",
		"timeout-usec",
		"tag",
		"low",
		"normal",
		"high",
		"zcu102",
		"",
		"zynq7020",
		TV_BUS_NAME ".Manager",
		TV_BUS_NAME ".Model",
		"Usage",
		"Limits",
		"State",
		"Labels",
		"Programs",
		TV_BUS_NAME ".Session",
		TV_BUS_NAME ".Device",
		"\xe2\x82\xac",
	};
	static char text[512];
	uint8_t which = take(reader);

	if (which < 240)
		return texts[which % TV_ARRAY_SIZE(texts)];
	/* Long ones, of characters of two bytes after none or one of one byte. */
	which &= 15;
	strcpy(text, "x");
	for (unsigned int i = which & 1, end = i + which * 30; i < end; i += 2)
		memcpy(text + i, "\xc3\xa9\0", 3);
	return text;
}

static const char *take_path(struct reader *reader)
{
	static const char *const paths[] = {
		TV_BUS_PATH,
		"/",
		TV_BUS_PATH "/models",
		TV_BUS_PATH "/models/1",
		TV_BUS_PATH "/sessions",
		TV_BUS_PATH "/sessions/99999999999999999999999",
		TV_BUS_PATH "/devices",
		"/org/freedesktop/LogControl1",
	};
	uint8_t which = take(reader);

	if (which < 192 && fuzz.path_count)
		return fuzz.paths[which % fuzz.path_count];
	/* The device is there at first. */
	if (which < 224)
		return fuzz.device;
	return paths[which % TV_ARRAY_SIZE(paths)];
}

static uint64_t take_number(struct reader *reader)
{
	static const uint64_t numbers[] = {
		UINT64_MAX,	   1u << 31,	    64,	    4096, 8192, 63,
		UINT64_C(1) << 53, UINT64_MAX - 63, 1000000
	};
	uint8_t which = take(reader);

	return which < 128 ? which : numbers[which % TV_ARRAY_SIZE(numbers)];
}

static void append(sd_bus_message *message, struct reader *reader, const char *type,
		   unsigned int depth);

static void append_bytes(sd_bus_message *message, struct reader *reader)
{
	uint8_t which = take(reader);
	size_t size = which < 192 ? INPUT_SIZE * (1u + which / 96) : which;
	uint8_t *bytes = calloc(1, size);

	for (unsigned int i = 0; i < 4; i++)
		bytes[i] = take(reader);
	REQUIRE(sd_bus_message_append_array(message, 'y', bytes, size) >= 0);
	free(bytes);
}

static void append_variant(sd_bus_message *message, struct reader *reader, unsigned int depth)
{
	static const char *const types[] = {
		"u",  "t",     "s", "u",    "t", "s", "b",	   "o",
		"ay", "a{sv}", "h", "(ut)", "d", "v", "aaaaaaaau", "y"
	};
	const char *type = types[depth > 8 ? 0 : take(reader) % TV_ARRAY_SIZE(types)];

	REQUIRE(sd_bus_message_open_container(message, 'v', type) >= 0);
	append(message, reader, type, depth + 1);
	REQUIRE(sd_bus_message_close_container(message) >= 0);
}

static void append_options(sd_bus_message *message, struct reader *reader, unsigned int depth)
{
	unsigned int count = take(reader) % 4;

	REQUIRE(sd_bus_message_open_container(message, 'a', "{sv}") >= 0);
	while (count--) {
		REQUIRE(sd_bus_message_open_container(message, 'e', "sv") >= 0);
		append(message, reader, "s", depth);
		append_variant(message, reader, depth);
		REQUIRE(sd_bus_message_close_container(message) >= 0);
	}
	REQUIRE(sd_bus_message_close_container(message) >= 0);
}

static void append_descriptor(sd_bus_message *message, struct reader *reader)
{
	_cleanup_close_ int fd = open_any(reader);

	REQUIRE(fd >= 0 && sd_bus_message_append_basic(message, 'h', &fd) >= 0);
}

/* A value of one of the types that are in the tables here. */
static void append(sd_bus_message *message, struct reader *reader, const char *type,
		   unsigned int depth)
{
	double real = 1;
	/* Its lower bytes come first, so that it serves for all sizes. */
	uint64_t number;

	if (!strcmp(type, "s"))
		REQUIRE(sd_bus_message_append(message, "s", take_text(reader)) >= 0);
	else if (!strcmp(type, "o"))
		REQUIRE(sd_bus_message_append(message, "o", take_path(reader)) >= 0);
	else if (!strcmp(type, "h"))
		append_descriptor(message, reader);
	else if (!strcmp(type, "b"))
		REQUIRE(sd_bus_message_append(message, "b", take(reader) & 1) >= 0);
	else if (!strcmp(type, "d"))
		REQUIRE(sd_bus_message_append_basic(message, 'd', &real) >= 0);
	else if (!strcmp(type, "v"))
		append_variant(message, reader, depth);
	else if (!strcmp(type, "ay"))
		append_bytes(message, reader);
	else if (!strcmp(type, "a{sv}"))
		append_options(message, reader, depth);
	else if (!strcmp(type, "(ut)"))
		REQUIRE(sd_bus_message_append(message, "(ut)", 1, UINT64_C(2)) >= 0);
	else if (!strcmp(type, "aaaaaaaau"))
		REQUIRE(sd_bus_message_append(message, type, 0) >= 0);
	else {
		number = take_number(reader);
		REQUIRE(sd_bus_message_append_basic(message, *type, &number) >= 0);
	}
}

/* --- calls ---------------------------------------------------------------------------------------
 */

static const struct {
	const char *interface, *member, *types[4];
} methods[] = {
	{ TV_BUS_NAME ".Manager", "LoadModel", { "h", "a{sv}" } },
	{ TV_BUS_NAME ".Manager", "OpenSession", { "o", "a{sv}" } },
	{ TV_BUS_NAME ".Manager", "Connect", { NULL } },
	{ TV_BUS_NAME ".Manager", "AddSoftware", { "s" } },
	{ TV_BUS_NAME ".Device", "SelfTest", { NULL } },
	{ TV_BUS_NAME ".Device", "Remove", { NULL } },
	{ TV_BUS_NAME ".Model", "Run", { "ay", "a{sv}" } },
	{ TV_BUS_NAME ".Model", "Unload", { NULL } },
	{ TV_BUS_NAME ".Model", "Publish", { "b" } },
	{ TV_BUS_NAME ".Session", "Run", { "u", "a{sv}" } },
	{ TV_BUS_NAME ".Session", "RunMemory", { "h", "t", "t", "a{sv}" } },
	{ TV_BUS_NAME ".Session", "Cancel", { "t" } },
	{ TV_BUS_NAME ".Session", "Close", { NULL } },
	{ "org.freedesktop.DBus.Properties", "Get", { "s", "s" } },
	{ "org.freedesktop.DBus.Properties", "GetAll", { "s" } },
	{ "org.freedesktop.DBus.Properties", "Set", { "s", "s", "v" } },
	{ "org.freedesktop.DBus.Introspectable", "Introspect", { NULL } },
	{ "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", { NULL } },
	{ "org.freedesktop.DBus.Peer", "Ping", { NULL } },
	{ "org.triovit.Nonsense", "Nonsense", { "v", "v" } },
};

static void append_arguments(sd_bus_message *message, struct reader *reader, unsigned int method)
{
	uint8_t how = take(reader);

	/* One of eight with an argument too few, one with one too many. */
	for (unsigned int i = 0; i < 4 && methods[method].types[i]; i++)
		if (how % 8 != 1 || (i < 3 && methods[method].types[i + 1]))
			append(message, reader, methods[method].types[i], 0);
	if (how % 8 == 2)
		append(message, reader, "v", 0);
}

/* Something that is there and has the method, most of the time. */
static const char *take_object(struct reader *reader, unsigned int method)
{
	return strstr(methods[method].interface, ".Manager") ? TV_BUS_PATH : take_path(reader);
}

void fuzz_call(struct reader *reader, unsigned int sender, const char *name)
{
	uint8_t how = take(reader);
	unsigned int method = take(reader) % TV_ARRAY_SIZE(methods);
	struct fuzz_peer *peer = &fuzz.peers[how / 2 % FUZZ_PEERS];
	uintptr_t life = (uintptr_t)fuzz.senders[sender].lives * FUZZ_SENDERS + sender;
	bool own = how & 1 && peer->bus && sd_bus_is_ready(peer->bus) > 0;
	sd_bus *bus = own ? peer->bus : fuzz.bus;
	sd_bus_message *message = NULL;

	REQUIRE(sd_bus_message_new_method_call(bus, &message, NULL, take_object(reader, method),
					       methods[method].interface,
					       methods[method].member) >= 0);
	if (!own)
		REQUIRE(sd_bus_message_set_sender(message, name) >= 0);
	append_arguments(message, reader, method);
	if (how & 0x80)
		REQUIRE(sd_bus_message_set_allow_interactive_authorization(message, 1) >= 0);
	if ((how & 0x70) == 0x70) {
		REQUIRE(sd_bus_message_set_expect_reply(message, 0) >= 0);
		(void)sd_bus_send(bus, message, NULL);
	} else if (sd_bus_call_async(bus, NULL, message, own ? on_peer_reply : on_reply,
				     own ? (void *)peer : (void *)life, UINT64_MAX) >= 0) {
		fuzz.pending++;
		++*(own ? &peer->pending : &fuzz.senders[sender].pending);
	}
	sd_bus_message_unref(message);
}
