/* SPDX-License-Identifier: MIT */
/* What tests that misuse the service have in common: other users, clients that are killed, workers
 * and devices that stand still, and that in the end nothing is left. */
#ifndef TV_TESTS_SERVICE_ABUSE_H
#define TV_TESTS_SERVICE_ABUSE_H

#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "daemon/dispatch.h"
#include "tests/unit/service.h"

#define STRANGER 65534

/* --- nothing is left ---------------------------------------------------------------------------
 */

static inline unsigned int count_entries(const char *path)
{
	DIR *folder = opendir(path);
	unsigned int count = 0;

	ck_assert_ptr_nonnull(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static struct {
	unsigned int fds, threads;
} abuse_before;

static inline void service_step(void)
{
	ck_assert_int_ge(sd_event_run(service.event, 10000), 0);
}

/* Goes round until it is so; the time limit of the test is what ends it otherwise. */
#define service_until(condition)                                                                   \
	do {                                                                                       \
		while (!(condition))                                                               \
			service_step();                                                            \
	} while (0)

static inline uint64_t used(enum tv_resource resource)
{
	return tv_quota_total(service.manager->quota, resource);
}

static inline bool anything_used(void)
{
	for (unsigned int i = 0; i < TV_RESOURCE_COUNT; i++)
		if (used((enum tv_resource)i))
			return true;
	return false;
}

static inline void abuse_set_up(void)
{
	service_set_up();
	service_settle(NULL);
	abuse_before.fds = count_entries("/proc/self/fd");
	abuse_before.threads = count_entries("/proc/self/task");
}

/* Models stay as long as their users do not unload them: that is each test's to do. */
static inline void abuse_tear_down(void)
{
	service_until(!anything_used());
	service_until(count_entries("/proc/self/fd") == abuse_before.fds);
	service_until(count_entries("/proc/self/task") == abuse_before.threads);
	ck_assert(TAILQ_EMPTY(&service.manager->models));
	ck_assert(TAILQ_EMPTY(&service.manager->sessions));
	service_tear_down();
}

/* --- users -------------------------------------------------------------------------------------
 */

/* Acting as other users takes root. Skips the test where that cannot be. */
#define need_root(name)                                                                            \
	do {                                                                                       \
		if (geteuid())                                                                     \
			tv_unit_skip(name, "to act as another user takes root");                   \
	} while (0)

/* Of this thread alone, not of the daemon's. */
static inline void become(uid_t uid)
{
	ck_assert_int_eq(syscall(SYS_setresuid, -1, uid, -1), 0);
}

/* A client of another user. The bus asks the kernel once, when the connection is made. */
static inline struct way way_open_as(uid_t uid)
{
	struct way way;

	become(uid);
	way = way_open();
	ck_assert_int_ge(sd_bus_get_unique_name(way.bus, &(const char *){ NULL }), 0);
	become(0);
	return way;
}

static inline void way_unload(struct way *way, const char *model)
{
	sd_bus_message *reply = way_call(way, model, "Model", "Unload", "");

	ck_assert_reply(reply);
	sd_bus_message_unref(reply);
}

static inline void session_close(struct session *session)
{
	sd_bus_message *reply = way_call(session->way, session->path, "Session", "Close", "");

	ck_assert_reply(reply);
	sd_bus_message_unref(reply);
	session_done(session);
}

static inline void session_run(struct session *session, uint32_t slot, uint64_t seed)
{
	_cleanup_free_ int16_t *expected = malloc(session->output_size);
	sd_bus_message *reply;

	service_random(session_input(session, slot), session->input_size, seed);
	service_expected(session_input(session, slot), 1, expected);
	reply = way_call(session->way, session->path, "Session", "Run", "ua{sv}", slot, 0);
	ck_assert_reply(reply);
	ck_assert_mem_eq(session_output(session, slot), expected, session->output_size);
	sd_bus_message_unref(reply);
}

/* A connection past the bus, from the descriptor that Connect() gave. */
static inline struct way way_of_fd(int fd)
{
	struct way own = { 0 };

	ck_assert_int_ge(sd_bus_new(&own.bus), 0);
	ck_assert_int_ge(sd_bus_set_fd(own.bus, fd, fd), 0);
	ck_assert_int_ge(sd_bus_negotiate_fds(own.bus, 1), 0);
	ck_assert_int_ge(sd_bus_start(own.bus), 0);
	return own;
}

static inline int way_connect_fd(struct way *way)
{
	sd_bus_message *reply = way_call(way, TV_BUS_PATH, "Manager", "Connect", "");
	int fd;

	ck_assert_reply(reply);
	ck_assert_int_ge(sd_bus_message_read(reply, "h", &fd), 0);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	sd_bus_message_unref(reply);
	return fd;
}

static inline struct way way_connect(struct way *way)
{
	return way_of_fd(way_connect_fd(way));
}

/* Somebody else, who has nothing to do with it and is served as ever. */
static inline void assert_serves(struct way *other)
{
	sd_bus_message *reply = NULL;

	ck_assert_int_ge(sd_bus_call_method_async(other->bus, NULL, other->destination, TV_BUS_PATH,
						  "org.freedesktop.DBus.Properties", "Get",
						  bus_on_reply, &reply, "ss",
						  TV_BUS_NAME ".Manager", "Usage"),
			 0);
	way_wait(other, &reply);
	ck_assert_reply(reply);
	sd_bus_message_unref(reply);
}

static inline void assert_infers(struct way *other)
{
	char *model = way_load_good(other);
	struct session session = session_open(other, model, 1, 1);

	session_run(&session, 0, 77);
	session_close(&session);
	way_unload(other, model);
	free(model);
}

/* --- what stands still -------------------------------------------------------------------------
 */

static sem_t block_gate;
static atomic_uint block_count;
static struct tv_task blocks[64];

static inline void run_block(struct tv_task *task)
{
	atomic_fetch_add(&block_count, 1);
	while (sem_wait(&block_gate) < 0)
		;
}

static inline void block_done(struct tv_task *task, bool dropped)
{
	atomic_fetch_sub(&block_count, 1);
}

/* All of these threads wait until workers_unblock(). */
static inline void workers_block(struct tv_workers *workers, unsigned int threads)
{
	sem_init(&block_gate, 0, 0);
	for (unsigned int i = 0; i < threads; i++) {
		blocks[i] = (struct tv_task){ run_block, block_done, NULL };
		tv_workers_submit(workers, &blocks[i]);
	}
	while (atomic_load(&block_count) < threads)
		sched_yield();
}

static inline void workers_unblock(void)
{
	for (unsigned int i = atomic_load(&block_count); i; i--)
		sem_post(&block_gate);
	service_until(!atomic_load(&block_count));
}

#define LOADERS 8 /* as many as MaxLoads */
#define WORKERS 2 /* as manager.c has it */

/* Runs wait from now on, or go on. */
static inline void devices_pause(bool paused)
{
	struct tv_accelerator *accelerator;

	TAILQ_FOREACH(accelerator, &service.manager->accelerators, accelerators)
		tv_scheduler_device_pause(&accelerator->scheduled, paused);
	tv_dispatch(service.manager);
}

/* What they have done is not looked at from now on, or is. */
static inline void devices_mute(bool muted)
{
	struct tv_accelerator *accelerator;

	TAILQ_FOREACH(accelerator, &service.manager->accelerators, accelerators)
		sd_event_source_set_enabled(accelerator->results,
					    muted ? SD_EVENT_OFF : SD_EVENT_ON);
}

static inline unsigned int devices_hold(void)
{
	struct tv_accelerator *accelerator;
	unsigned int held = 0;

	TAILQ_FOREACH(accelerator, &service.manager->accelerators, accelerators)
		held += accelerator->scheduled.held;
	return held;
}

/* --- clients that are killed --------------------------------------------------------------------
 */

struct client {
	pid_t pid;
	char name[64]; /* on the bus */
};

static int client_keeps = -1; /* a descriptor that clients take over */

/* A process of its own that does what() and then sits there. */
static inline struct client client_start(void (*what)(sd_bus *bus, int argument), int argument,
					 uid_t uid)
{
	struct client client = { 0 };
	struct stat status;
	const char *name;
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	client.pid = fork();
	if (!client.pid) {
		sd_bus *bus;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Else it would hold connections that are to end. */
		for (int fd = 3; fd < 1024; fd++)
			if (fd != client_keeps && !fstat(fd, &status) && S_ISSOCK(status.st_mode))
				close(fd);
		if (uid)
			become(uid);
		bus = bus_open(&service.bus_daemon);
		if (sd_bus_get_unique_name(bus, &name) < 0 || write(fds[1], name, strlen(name)) < 0)
			_exit(1);
		what(bus, argument);
		while (true)
			pause();
	}
	ck_assert_int_gt(client.pid, 0);
	close(fds[1]);
	ck_assert_int_gt(read(fds[0], client.name, sizeof(client.name) - 1), 0);
	close(fds[0]);
	return client;
}

/* When it returns the daemon knows. */
static inline void client_kill(struct client *client, struct way *other)
{
	int there = 1;

	ck_assert_int_eq(kill(client->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(client->pid, NULL, 0), client->pid);
	while (there) {
		sd_bus_message *reply = NULL;

		ck_assert_int_ge(sd_bus_call_method(other->bus, "org.freedesktop.DBus",
						    "/org/freedesktop/DBus", "org.freedesktop.DBus",
						    "NameHasOwner", NULL, &reply, "s",
						    client->name),
				 0);
		ck_assert_int_gt(sd_bus_message_read(reply, "b", &there), 0);
		sd_bus_message_unref(reply);
	}
	/* The bus told the daemon before. */
	assert_serves(other);
}

/* In such a process: a call that has to succeed, or one that is sent and not waited for. */
#define client_call(bus, destination, reply, path, interface, method, ...)                         \
	({                                                                                         \
		if (sd_bus_call_method(bus, destination, path, TV_BUS_NAME "." interface, method,  \
				       NULL, reply, __VA_ARGS__) < 0)                              \
			_exit(1);                                                                  \
	})
#define client_send(bus, destination, path, interface, method, ...)                                \
	({                                                                                         \
		if (sd_bus_call_method_async(bus, NULL, destination, path,                         \
					     TV_BUS_NAME "." interface, method, bus_on_reply,      \
					     &(sd_bus_message *){ NULL }, __VA_ARGS__) < 0 ||      \
		    sd_bus_flush(bus) < 0)                                                         \
			_exit(1);                                                                  \
	})

#endif
