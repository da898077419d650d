/* SPDX-License-Identifier: MIT */
/* triovitctl doctor: what is wrong, and what to do about it. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "tools/ctl-bus.h"

/* The oldest kernel that the accelerator's driver supports. */
#define KERNEL_MAJOR 6
#define KERNEL_MINOR 1
/* Percent of a limit from which on it is worth a word. */
#define NEARLY	     90

enum state {
	GOOD,
	DOUBTFUL,
	WRONG,
};

struct doctor {
	const struct ctl *ctl;
	sd_bus *bus;
	struct triovit_client *client;
	struct triovit_daemon *daemon;
	struct ctl_devices devices;
	struct ctl_models models;
	json_t *findings; /* NULL for text */
	unsigned int wrong;
	bool failed; /* out of memory */
};

static void doctor_done(struct doctor *doctor)
{
	json_decref(doctor->findings);
	ctl_models_done(&doctor->models);
	ctl_devices_done(&doctor->devices);
	triovit_daemon_free(doctor->daemon);
	triovit_close(doctor->client);
	sd_bus_flush_close_unref(doctor->bus);
}

/* What was looked at, what was found, and then what to do: advice, or NULL. */
static void say(struct doctor *doctor, enum state state, const char *subject, const char *advice,
		const char *format, ...) __attribute__((format(printf, 5, 6)));

static void say(struct doctor *doctor, enum state state, const char *subject, const char *advice,
		const char *format, ...)
{
	static const char *const states[] = { "good", "doubtful", "wrong" };
	char text[768];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	doctor->wrong += state == WRONG;
	if (doctor->findings) {
		json_t *one = json_pack("{s:s, s:s, s:o, s:s?}", "subject", subject, "state",
					states[state], "text", tool_json_string(text), "advice",
					advice);

		if (json_array_append_new(doctor->findings, one) < 0)
			doctor->failed = true;
		return;
	}
	if (state == GOOD && doctor->ctl->quiet)
		return;
	printf("%-9s %-8s %s\n", states[state], subject, tool_printable(text));
	if (advice)
		printf("%19s-> %s\n", "", advice);
}

/* --- the machine and the bus ---------------------------------------------------------------- */

static void check_kernel(struct doctor *doctor)
{
	unsigned int major, minor;
	struct utsname name;

	if (ctl_is_remote(doctor->ctl) || uname(&name) < 0 ||
	    sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return;
	if (major < KERNEL_MAJOR || (major == KERNEL_MAJOR && minor < KERNEL_MINOR))
		say(doctor, DOUBTFUL, "kernel",
		    "take a kernel of 6.1 or newer; until then there are devices in software",
		    "Linux %s is older than the accelerator's driver supports", name.release);
	else
		say(doctor, GOOD, "kernel", NULL, "Linux %s", name.release);
}

static int check_bus(struct doctor *doctor)
{
	const struct ctl *ctl = doctor->ctl;
	struct tv_error error = { 0 };
	char where[256];

	if (ctl_bus_open(ctl, &doctor->bus, &error) < 0) {
		say(doctor, WRONG, "bus",
		    error.code == -EACCES	   ? "you may not use this bus: be another user" :
		    ctl_is_remote(ctl)		   ? "does 'ssh HOST systemd-stdio-bridge' work?" :
		    ctl->bus == TRIOVIT_BUS_SYSTEM ? "'systemctl start dbus'; without it there are "
						     "--session and --address" :
						     "start one there, or say where else",
		    "%s", error.text);
		return -EHOSTUNREACH;
	}
	say(doctor, GOOD, "bus", NULL, "%s answers", ctl_where(ctl, where, sizeof(where)));
	return 0;
}

/* Whether the bus knows how to start the daemon. */
static bool is_activatable(sd_bus *bus)
{
	char **names = NULL;
	bool found = false;

	if (sd_bus_list_names(bus, NULL, &names) < 0)
		return false;
	for (char **name = names; name && *name; name++) {
		found = found || !strcmp(*name, CTL_BUS_NAME);
		free(*name);
	}
	free(names);
	return found;
}

static void say_no_daemon(struct doctor *doctor, const struct triovit_error *why)
{
	if (why->code == -EACCES)
		say(doctor, WRONG, "daemon",
		    "the bus's policy (org.triovit.Accelerator1.conf in dbus-1/system.d) is "
		    "missing, or leaves you out",
		    "you may not talk to it: %s", why->text);
	else if (why->code != -EHOSTUNREACH)
		say(doctor, WRONG, "daemon", "'journalctl -u triovitd' may say why", "%s",
		    why->text);
	else if (is_activatable(doctor->bus))
		say(doctor, WRONG, "daemon",
		    "'systemctl status triovitd' and 'journalctl -u triovitd' say why",
		    "the bus knows it, but it does not start: %s", why->text);
	else
		say(doctor, WRONG, "daemon",
		    doctor->ctl->bus == TRIOVIT_BUS_SYSTEM || ctl_is_remote(doctor->ctl) ?
			    "install it ('ninja -C build install', then 'systemctl reload dbus'), "
			    "or 'systemctl start triovitd'" :
			    "start it with the same --session or --address",
		    "it does not run, and the bus does not know how to start it");
}

static int check_daemon(struct doctor *doctor)
{
	const struct ctl *ctl = doctor->ctl;
	struct triovit_error why = { 0 };

	if (triovit_open(ctl->bus, ctl->where, 0, &doctor->client, &why) < 0 ||
	    triovit_daemon_get(doctor->client, &doctor->daemon, &why) < 0 ||
	    triovit_device_list(doctor->client, &doctor->devices.list, &doctor->devices.count,
				&why) < 0 ||
	    triovit_model_list(doctor->client, &doctor->models.list, &doctor->models.count, &why) <
		    0) {
		say_no_daemon(doctor, &why);
		return -EHOSTUNREACH;
	}
	if (strcmp(doctor->daemon->version, TV_VERSION))
		say(doctor, DOUBTFUL, "daemon",
		    "'systemctl restart triovitd', or install both from the same build",
		    "triovitd %s answers, this is triovitctl %s", doctor->daemon->version,
		    TV_VERSION);
	else
		say(doctor, GOOD, "daemon", NULL, "triovitd %s answers", doctor->daemon->version);
	return 0;
}

/* --- what the daemon has -------------------------------------------------------------------- */

static void check_device(struct doctor *doctor, const struct triovit_device_info *info)
{
	const char *name = ctl_short_path(info->path);

	if (!strcmp(info->state, "failed"))
		say(doctor, WRONG, "devices",
		    "'triovitctl devices test DEVICE' tries it again; 'journalctl -u triovitd' "
		    "has what it said",
		    "%s (%s) has failed and takes no runs", name, info->target);
	else if (strcmp(info->state, "ready"))
		say(doctor, DOUBTFUL, "devices", "look again in a moment", "%s (%s) is %s", name,
		    info->target, info->state);
	else if (info->jobs_failed)
		say(doctor, DOUBTFUL, "devices", "'journalctl -u triovitd' has the faults",
		    "%s (%s): %" PRIu64 " of %" PRIu64 " runs have failed", name, info->target,
		    info->jobs_failed, info->jobs_failed + info->jobs_done);
	else
		say(doctor, GOOD, "devices", NULL, "%s (%s, %s) is ready", name, info->target,
		    info->driver);
}

static void check_devices(struct doctor *doctor)
{
	if (!doctor->devices.count)
		say(doctor, WRONG, "devices",
		    "is the board's driver loaded ('modprobe triovit')? Without a board: "
		    "Software=auto in triovitd.conf(5), or 'triovitctl devices add zcu102'",
		    "there are none: nothing can be run");
	for (size_t i = 0; i < doctor->devices.count; i++)
		check_device(doctor, triovit_device_info(doctor->devices.list[i]));
}

static bool has_program(const struct doctor *doctor, const struct triovit_model_info *model)
{
	for (size_t d = 0; d < doctor->devices.count; d++) {
		const struct triovit_device_info *device =
			triovit_device_info(doctor->devices.list[d]);

		for (size_t p = 0; p < model->program_count; p++)
			if (!strcmp(model->programs[p].target, device->target))
				return true;
	}
	return false;
}

static void check_models(struct doctor *doctor)
{
	size_t wrong = 0;

	for (size_t i = 0; i < doctor->models.count; i++) {
		const struct triovit_model_info *info = triovit_model_info(doctor->models.list[i]);
		_cleanup_free_ char *programs = NULL;

		if (has_program(doctor, info))
			continue;
		wrong++;
		programs = ctl_programs(info);
		say(doctor, WRONG, "models",
		    "make it for a device that there is: 'triovit-quantize --target TARGET'",
		    "%s (%s, %.12s) has no program for any device: it is for %s",
		    ctl_short_path(info->path), info->name, info->digest,
		    programs ? programs : "others");
	}
	if (!wrong)
		say(doctor, GOOD, "models", NULL, "%zu that you can use", doctor->models.count);
}

static void check_limits(struct doctor *doctor)
{
	unsigned int near = 0;

	for (size_t i = 0; i < doctor->daemon->limit_count; i++) {
		const struct triovit_limit *limit = &doctor->daemon->limits[i];

		if (ctl_is_user_limit(limit) ||
		    (double)limit->used * 100 < (double)limit->limit * NEARLY)
			continue;
		near++;
		say(doctor, limit->used < limit->limit ? DOUBTFUL : WRONG, "limits",
		    "raise it in triovitd.conf(5), or have somebody give something back",
		    "%s: %" PRIu64 " of %" PRIu64 " in use", limit->name, limit->used,
		    limit->limit);
	}
	if (!near)
		say(doctor, GOOD, "limits", NULL, "none is near");
}

static int run(const struct ctl *ctl, struct tv_error *error)
{
	_cleanup_(doctor_done) struct doctor doctor = { .ctl = ctl };
	int r;

	doctor.findings = ctl->json ? json_array() : NULL;
	if (ctl->json && !doctor.findings)
		return tv_error_oom(error);
	check_kernel(&doctor);
	r = check_bus(&doctor);
	if (r >= 0)
		r = check_daemon(&doctor);
	if (r >= 0) {
		check_devices(&doctor);
		check_models(&doctor);
		check_limits(&doctor);
	}
	if (doctor.failed)
		return tv_error_oom(error);
	if (doctor.findings && tool_json_print(doctor.findings, error) < 0)
		return -ENOMEM;
	return r < 0 ? CTL_NO_DAEMON : doctor.wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}

const struct ctl_command ctl_doctor = {
	.tool = {
		.name = "doctor",
		.arguments = "[OPTION...]",
		.summary = "what is wrong, and what to do about it",
		.help = "Looks at the kernel, the bus, the daemon, its devices, models and limits, and\n"
			"says of each whether it is as it should be, and what to do if it is not. The\n"
			"exit code is 1 if something is wrong, 3 if the daemon cannot be reached.\n",
	},
	.bit = CTL_DOCTOR,
	.run = run,
};
