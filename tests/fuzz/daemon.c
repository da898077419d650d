/* SPDX-License-Identifier: MIT */
/*
 * Feeds the daemon with method calls of several users, on the bus and on connections of their own:
 * any method of any object with right and wrong arguments, descriptors and options, clients that
 * leave, a polkit that says one thing or another, devices that come and go. Each call must be
 * answered once, by what docs/dbus.md says or by D-Bus itself, and in the end nothing may be held.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/file.h"
#include "daemon/accelerator.h"
#include "daemon/loaded.h"
#include "daemon/log.h"
#include "tests/fuzz/daemon.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct fuzz fuzz;

/* --- the bus -------------------------------------------------------------------------------------
 */

/* The daemon asks the bus who somebody is: these are who. */
static const struct {
	const char *name;
	uid_t uid;
} senders[FUZZ_SENDERS] = {
	{ ":1.0", 0 },
	{ ":1.1", 1000 },
	{ ":1.2", 1000 },
	{ ":1.3", 1001 },
};
static uid_t asked;

int sd_bus_get_name_creds(sd_bus *bus, const char *name, uint64_t mask, sd_bus_creds **creds)
{
	for (unsigned int i = 0; i < FUZZ_SENDERS; i++)
		if (!strcmp(senders[i].name, name)) {
			asked = senders[i].uid;
			*creds = NULL;
			return 0;
		}
	return -ENXIO;
}

int sd_bus_creds_get_euid(sd_bus_creds *creds, uid_t *euid)
{
	*euid = asked;
	return 0;
}

int sd_bus_creds_get_pid(sd_bus_creds *creds, pid_t *pid)
{
	*pid = 1;
	return 0;
}

/* Questions wait, until there is nothing more to come. */
static int on_question(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	if (!sd_bus_message_is_method_call(message, "org.freedesktop.PolicyKit1.Authority",
					   "CheckAuthorization"))
		return 0;
	if (fuzz.agrees)
		return sd_bus_reply_method_return(message, "(bba{ss})", 1, 0, 0);
	if (fuzz.questions == FUZZ_QUESTIONS)
		return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "enough");
	fuzz.question[fuzz.questions++] = sd_bus_message_ref(message);
	return 1;
}

static void answer_question(unsigned int how)
{
	sd_bus_message *question;

	if (!fuzz.questions)
		return;
	question = fuzz.question[--fuzz.questions];
	switch (how % 4) {
	case 0:
		sd_bus_reply_method_return(question, "(bba{ss})", 1, 0, 0);
		break;
	case 1:
		sd_bus_reply_method_return(question, "(bba{ss})", 0, how / 4 % 2, 0);
		break;
	case 2:
		sd_bus_reply_method_return(question, "s", "nonsense");
		break;
	default:
		sd_bus_reply_method_errorf(question, SD_BUS_ERROR_SERVICE_UNKNOWN, "no polkit");
	}
	sd_bus_message_unref(question);
}

/* Nobody is there any more for whom its calls could be answered. */
static void leave(unsigned int sender)
{
	const char *name = senders[sender].name;
	sd_bus_message *signal = NULL;

	REQUIRE(sd_bus_message_new_signal(fuzz.bus, &signal, "/org/freedesktop/DBus",
					  "org.freedesktop.DBus", "NameOwnerChanged") >= 0);
	REQUIRE(sd_bus_message_set_sender(signal, "org.freedesktop.DBus") >= 0);
	REQUIRE(sd_bus_message_append(signal, "sss", name, name, "") >= 0);
	REQUIRE(sd_bus_send(fuzz.bus, signal, NULL) >= 0);
	sd_bus_message_unref(signal);
	fuzz.pending -= fuzz.senders[sender].pending;
	fuzz.senders[sender].pending = 0;
	fuzz.senders[sender].lives++;
}

/* --- going round ---------------------------------------------------------------------------------
 */

static void peer_done(struct fuzz_peer *peer)
{
	if (!peer->bus)
		return;
	fuzz.pending -= peer->pending;
	peer->pending = 0;
	peer->bus = sd_bus_close_unref(peer->bus);
}

static bool go_round(void)
{
	int moved = sd_bus_process(fuzz.bus, NULL);

	REQUIRE(moved >= 0);
	for (unsigned int i = 0; i < FUZZ_PEERS; i++) {
		struct fuzz_peer *peer = &fuzz.peers[i];
		int r = peer->bus ? sd_bus_process(peer->bus, NULL) : 0;

		/* The daemon has closed it. */
		if (r < 0 || (peer->bus && sd_bus_is_open(peer->bus) <= 0))
			peer_done(peer);
		else
			moved |= r;
	}
	moved |= sd_event_run(fuzz.event, 0);
	REQUIRE(moved >= 0);
	return moved;
}

static void settle(void)
{
	for (unsigned int quiet = 0; quiet < 2;)
		quiet = go_round() ? 0 : quiet + 1;
}

/* For what threads do. */
static void wait_until(bool (*condition)(void))
{
	for (unsigned int rounds = 0; !condition(); rounds++) {
		settle();
		REQUIRE(sd_event_run(fuzz.event, 1000) >= 0);
		/* Some ten seconds. */
		REQUIRE(rounds < 10000);
	}
}

static bool has_device(void)
{
	const struct tv_accelerator *accelerator = TAILQ_FIRST(&fuzz.manager->accelerators);

	return accelerator && accelerator->state == TV_ACCELERATOR_READY && !accelerator->testing;
}

static bool is_idle(void)
{
	return !fuzz.pending && !tv_quota_total(fuzz.manager->quota, TV_RESOURCE_JOBS) &&
	       !tv_quota_total(fuzz.manager->quota, TV_RESOURCE_LOADS);
}

static bool is_idle_but_for_polkit(void)
{
	return fuzz.questions || is_idle();
}

static bool is_empty(void)
{
	for (unsigned int i = 0; i < TV_RESOURCE_COUNT; i++)
		if (tv_quota_total(fuzz.manager->quota, (enum tv_resource)i))
			return false;
	return TAILQ_EMPTY(&fuzz.manager->sessions) && TAILQ_EMPTY(&fuzz.manager->models) &&
	       !fuzz.manager->peers;
}

/* --- an input ------------------------------------------------------------------------------------
 */

static void clean_up(void)
{
	static const uid_t users[] = { 0, 1000, 1001 };
	struct tv_loaded *loaded, *next;
	struct tv_accelerator *accelerator;

	fuzz.agrees = true;
	while (fuzz.questions)
		answer_question(0);
	wait_until(is_idle);
	fuzz.agrees = false;
	for (unsigned int i = 0; i < FUZZ_SENDERS; i++)
		leave(i);
	settle();
	for (unsigned int i = 0; i < FUZZ_PEERS; i++)
		peer_done(&fuzz.peers[i]);
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(users); i++)
		for (loaded = TAILQ_FIRST(&fuzz.manager->models); loaded; loaded = next) {
			next = TAILQ_NEXT(loaded, models);
			tv_loaded_unuse(loaded, users[i]);
		}
	wait_until(is_empty);
	/* One device, as before. */
	while ((accelerator = TAILQ_FIRST(&fuzz.manager->accelerators)) &&
	       (TAILQ_NEXT(accelerator, accelerators) || !has_device()))
		tv_accelerator_remove(accelerator);
	if (!accelerator)
		REQUIRE(tv_accelerator_add_software(fuzz.manager, tv_target_at(0), NULL,
						    &(struct tv_error){ 0 }) == 0);
	wait_until(has_device);
	strcpy(fuzz.device, TAILQ_FIRST(&fuzz.manager->accelerators)->path);
	while (fuzz.path_count)
		free(fuzz.paths[--fuzz.path_count]);
}

enum {
	OP_CALL,
	OP_CALL_TOO,
	OP_CALL_AS_WELL,
	OP_SETTLE,
	OP_WAIT,
	OP_LEAVE,
	OP_ANSWER,
	OP_CLOSE,
	OPS,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader reader = { data, data + size };
	unsigned int sender;

	for (unsigned int i = 0; i < 64 && reader.at < reader.end; i++) {
		switch (take(&reader) % OPS) {
		case OP_SETTLE:
			settle();
			break;
		case OP_WAIT:
			wait_until(is_idle_but_for_polkit);
			break;
		case OP_LEAVE:
			leave(take(&reader) % FUZZ_SENDERS);
			break;
		case OP_ANSWER:
			settle();
			answer_question(take(&reader));
			break;
		case OP_CLOSE:
			peer_done(&fuzz.peers[take(&reader) % FUZZ_PEERS]);
			break;
		default:
			sender = take(&reader) % FUZZ_SENDERS;
			fuzz_call(&reader, sender, senders[sender].name);
		}
	}
	clean_up();
	return 0;
}

/* --- the beginning -------------------------------------------------------------------------------
 */

static void connect_bus(void)
{
	sd_bus *daemon = NULL;
	sd_id128_t id;
	int fds[2];

	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	REQUIRE(sd_id128_randomize(&id) >= 0);
	REQUIRE(sd_bus_new(&fuzz.bus) >= 0 && sd_bus_set_fd(fuzz.bus, fds[0], fds[0]) >= 0);
	REQUIRE(sd_bus_set_server(fuzz.bus, 1, id) >= 0);
	REQUIRE(sd_bus_set_anonymous(fuzz.bus, 1) >= 0);
	REQUIRE(sd_bus_negotiate_fds(fuzz.bus, 1) >= 0);
	REQUIRE(sd_bus_add_filter(fuzz.bus, NULL, on_question, NULL) >= 0);
	REQUIRE(sd_bus_start(fuzz.bus) >= 0);
	REQUIRE(sd_bus_new(&daemon) >= 0 && sd_bus_set_fd(daemon, fds[1], fds[1]) >= 0);
	REQUIRE(sd_bus_set_anonymous(daemon, 1) >= 0);
	REQUIRE(sd_bus_negotiate_fds(daemon, 1) >= 0);
	REQUIRE(sd_bus_start(daemon) >= 0);
	REQUIRE(sd_event_new(&fuzz.event) >= 0);
	REQUIRE(sd_bus_attach_event(daemon, fuzz.event, 0) >= 0);
	fuzz.daemon = daemon;
}

static void end(void)
{
	tv_manager_free(fuzz.manager);
	sd_bus_close_unref(fuzz.daemon);
	sd_bus_close_unref(fuzz.bus);
	sd_event_unref(fuzz.event);
}

static void read_models(void)
{
	static const char *const names[FUZZ_MODELS] = { "one", "two", "labels" };
	const char *top = getenv("TV_SOURCE_DIR");
	struct tv_error error = { 0 };
	char path[4096];

	for (unsigned int i = 0; i < FUZZ_MODELS; i++) {
		snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/package/%s", top ? top : ".",
			 names[i]);
		REQUIRE(tv_file_read(path, 1 << 20, &fuzz.models[i].data, &fuzz.models[i].size,
				     &error) == 0);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct tv_error error = { 0 };
	struct tv_config config;

	tv_log_set_level(LOG_CRIT);
	read_models();
	connect_bus();
	tv_config_defaults(&config);
	config.max_unread = 8;
	config.limits.total[TV_RESOURCE_LOADS] = 2;
	config.limits.user[TV_RESOURCE_SESSIONS] = 3;
	config.limits.total[TV_RESOURCE_SESSIONS] = 5;
	config.limits.user[TV_RESOURCE_JOBS] = 6;
	config.limits.total[TV_RESOURCE_JOBS] = 10;
	config.limits.user[TV_RESOURCE_MODELS] = 2;
	config.limits.user[TV_RESOURCE_CONNECTIONS] = 2;
	config.limits.user[TV_RESOURCE_BYTES] = 1 << 18;
	REQUIRE(tv_manager_new(fuzz.event, fuzz.daemon, &config, &fuzz.manager, &error) == 0);
	atexit(end);
	clean_up();
	return 0;
}
