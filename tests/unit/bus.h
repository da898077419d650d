/* SPDX-License-Identifier: MIT */
/* A private bus: the real dbus-daemon, with a configuration of its own, gone with the test. */
#ifndef TV_TESTS_BUS_H
#define TV_TESTS_BUS_H

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "tests/unit/directory.h"
#include "tests/unit/unit.h"

struct bus_daemon {
	pid_t pid;
	char address[256];
	char folder[64];
};

/* What a session bus would allow, for all users of the machine: tests act as several. */
static const char bus_configuration[] =
	"<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
	" \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
	"<busconfig><type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>\n"
	"<policy context='default'><allow user='*'/><allow own='*'/><allow send_destination='*'/>\n"
	"<allow receive_sender='*'/></policy></busconfig>\n";

static inline void bus_daemon_start(struct bus_daemon *daemon)
{
	char path[128], argument[32];
	int address[2];
	ssize_t size;
	FILE *file;

	strcpy(daemon->folder, "/tmp/triovit-bus-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(daemon->folder));
	ck_assert_int_eq(chmod(daemon->folder, 0755), 0);
	snprintf(path, sizeof(path), "%s/conf", daemon->folder);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	fprintf(file, bus_configuration, daemon->folder);
	fclose(file);
	ck_assert_int_eq(pipe(address), 0);
	daemon->pid = fork();
	if (!daemon->pid) {
		/* Not to outlive a test that is killed. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(argument, sizeof(argument), "--print-address=%d", address[1]);
		memmove(path + 14, path, strlen(path) + 1);
		memcpy(path, "--config-file=", 14);
		execlp("dbus-daemon", "dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", path,
		       argument, (char *)NULL);
		_exit(127);
	}
	close(address[1]);
	size = read(address[0], daemon->address, sizeof(daemon->address) - 1);
	ck_assert_msg(size > 0, "dbus-daemon does not start");
	close(address[0]);
	daemon->address[size] = '\0';
	daemon->address[strcspn(daemon->address, "\n")] = '\0';
}

static inline void bus_daemon_stop(struct bus_daemon *daemon)
{
	char path[128];

	kill(daemon->pid, SIGTERM);
	waitpid(daemon->pid, NULL, 0);
	snprintf(path, sizeof(path), "%s/conf", daemon->folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/bus", daemon->folder);
	unlink(path);
	rmdir(daemon->folder);
}

/* A connection to it. */
static inline sd_bus *bus_open(const struct bus_daemon *daemon)
{
	sd_bus *bus = NULL;

	ck_assert_int_ge(sd_bus_new(&bus), 0);
	ck_assert_int_ge(sd_bus_set_address(bus, daemon->address), 0);
	ck_assert_int_ge(sd_bus_set_bus_client(bus, 1), 0);
	ck_assert_int_ge(sd_bus_start(bus), 0);
	return bus;
}

static inline int bus_on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	sd_bus_message **ret = userdata;

	*ret = sd_bus_message_ref(reply);
	return 0;
}

/* The reply to a call, while the loop of the service goes round in the same thread. */
static inline sd_bus_message *bus_call(sd_event *event, sd_bus *bus, const char *destination,
				       const char *path, const char *interface, const char *method)
{
	sd_bus_message *reply = NULL;

	ck_assert_int_ge(sd_bus_call_method_async(bus, NULL, destination, path, interface, method,
						  bus_on_reply, &reply, ""),
			 0);
	while (!reply) {
		sd_bus_process(bus, NULL);
		ck_assert_int_ge(sd_event_run(event, 1000), 0);
	}
	return reply;
}

#endif
