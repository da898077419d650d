/* SPDX-License-Identifier: MIT */
/* triovitctl: one file a command, one row a command in ctl.c. What the commands share is here. */
#ifndef TV_TOOLS_CTL_H
#define TV_TOOLS_CTL_H

#include "libclient/triovit.h"
#include "tools/tool.h"

#define CTL_BUS_NAME "org.triovit.Accelerator1"
#define CTL_BUS_PATH "/org/triovit/Accelerator1"

#define CTL_NO_DAEMON	3 /* exit code: it cannot be reached, or was lost on the way */
#define CTL_LIST_MAX	16 /* values of an option */
#define CTL_CLIENTS_MAX 64

/* "1,2,4" */
struct ctl_list {
	unsigned int values[CTL_LIST_MAX];
	unsigned int count;
};

/* What the command line says; ctl-option.c has the options. */
struct ctl {
	const struct ctl_command *command; /* NULL: version or help alone */
	char **arguments; /* of the command, count of them */
	unsigned int count;

	const char *host, *address;
	bool session;
	enum triovit_bus bus; /* which of them */
	const char *where; /* its address or host, or NULL */
	bool json, quiet, version;

	const char *name;
	unsigned int snapshots; /* 0: without end */
	unsigned int top, images; /* images: 0 if it was not said */
	double seconds, delay;
	struct ctl_list clients, depths;
};

/* A bit for each, for the options that it has. */
enum ctl_bit {
	CTL_STATUS = 1 << 0,
	CTL_DEVICES = 1 << 1,
	CTL_MODELS = 1 << 2,
	CTL_LOAD = 1 << 3,
	CTL_CLASSIFY = 1 << 4,
	CTL_BENCH = 1 << 5,
	CTL_TOP = 1 << 6,
	CTL_MONITOR = 1 << 7,
	CTL_DOCTOR = 1 << 8,
};

struct ctl_command {
	struct tool_command tool; /* but for its run */
	enum ctl_bit bit;
	unsigned int least, most; /* arguments */
	/* TOOL_WRONG_USAGE after saying why, EXIT_SUCCESS, or a negative errno. */
	int (*run)(const struct ctl *ctl, struct tv_error *error);
};

extern const struct ctl_command ctl_status, ctl_devices, ctl_models, ctl_load, ctl_classify,
	ctl_bench, ctl_top, ctl_monitor, ctl_doctor;

/* NULL if there is none. */
const struct ctl_command *ctl_command_by_name(const char *name);

/* --- options -------------------------------------------------------------------------------- */

/* TOOL_GO_ON, or the exit code. Options may stand before and after the command. */
int ctl_parse(int argc, char **argv, struct ctl *ret);
/* The options of the commands in bits, of all commands (without bits: these alone). */
void ctl_print_options(unsigned int bits);

/* --- the daemon ----------------------------------------------------------------------------- */

TV_DEFINE_CLEANUP(struct triovit_client *, triovit_close)
TV_DEFINE_CLEANUP(struct triovit_daemon *, triovit_daemon_free)
TV_DEFINE_CLEANUP(struct triovit_model *, triovit_model_free)
TV_DEFINE_CLEANUP(struct triovit_result *, triovit_result_free)
TV_DEFINE_CLEANUP(struct triovit_session *, triovit_session_close)

struct ctl_devices {
	struct triovit_device **list;
	size_t count;
};

struct ctl_models {
	struct triovit_model **list;
	size_t count;
};

/* The library's error as one of ours. Returns its code. */
int ctl_error(struct tv_error *error, const struct triovit_error *why);

int ctl_open(const struct ctl *ctl, struct triovit_client **ret, struct tv_error *error);
/* "the system bus", "the bus at unix:path=/run/bus", "root@host". Returns text. */
const char *ctl_where(const struct ctl *ctl, char *text, size_t size);
/* What every command but load does with a daemon on another machine too. */
bool ctl_is_remote(const struct ctl *ctl);

int ctl_daemon_get(struct triovit_client *client, struct triovit_daemon **ret,
		   struct tv_error *error);
/* Whether the limit is of each user, and not of all together. */
bool ctl_is_user_limit(const struct triovit_limit *limit);
/* A row for each of those of all together. */
int ctl_print_limits(const struct triovit_daemon *daemon, struct tv_error *error);
json_t *ctl_json_limits(const struct triovit_daemon *daemon);
int ctl_devices_get(struct triovit_client *client, struct ctl_devices *ret, struct tv_error *error);
void ctl_devices_done(struct ctl_devices *devices);
int ctl_models_get(struct triovit_client *client, struct ctl_models *ret, struct tv_error *error);
void ctl_models_done(struct ctl_models *models);
/* The one that what means: an object path, a name, a digest or its beginning. The list's. */
int ctl_models_find(const struct ctl_models *models, const char *what, struct triovit_model **ret,
		    struct tv_error *error);
/* "models/1": without what all paths begin with. */
const char *ctl_short_path(const char *path);
/* "zcu102 (1, 4), zynq7020 (1)": a model's programs. NULL: out of memory. */
char *ctl_programs(const struct triovit_model_info *info);

int ctl_load_path(struct triovit_client *client, const char *path, const char *name,
		  struct triovit_model **ret, struct tv_error *error);

/* A model that a command works with. */
struct ctl_subject {
	struct triovit_model *model;
	bool unload; /* afterwards: it was not there before */
};

/* what: a file, which is loaded, or one of the models that are there. */
int ctl_subject_open(const struct ctl *ctl, struct triovit_client *client, const char *what,
		     struct ctl_subject *ret, struct tv_error *error);
void ctl_subject_done(struct ctl_subject *subject);

/* NULL: out of memory. */
json_t *ctl_json_devices(const struct ctl_devices *devices);
json_t *ctl_json_model(const struct triovit_model_info *info);
json_t *ctl_json_models(const struct ctl_models *models);

/* Prints root on one line of standard output, at once; NULL as for tool_json_print(). */
int ctl_print_line(const json_t *root, struct tv_error *error);

/* --- waiting -------------------------------------------------------------------------------- */

/* CLOCK_MONOTONIC in microseconds. */
uint64_t ctl_now(void);

/* From here on SIGINT and SIGTERM end ctl_turn(); main() then ends the program by the signal. The
 * second one kills. */
void ctl_catch_signals(void);
/* The signal, 0: none. */
int ctl_signal(void);

/* Calls what callbacks are due of clients, at most one each; if there were none, waits for some,
 * for a signal, or until a time of CLOCK_MONOTONIC (UINT64_MAX: as long as it takes). */
int ctl_turn(struct triovit_client *const *clients, size_t count, uint64_t until,
	     struct tv_error *error);

/* --- runs ----------------------------------------------------------------------------------- */

/* Places for runs of a model: of a session, or on another machine's daemon in buffers of its own,
 * which are copied. */
struct ctl_runner {
	struct triovit_model *model; /* the caller's */
	struct triovit_session *session; /* or NULL */
	uint8_t *buffer; /* instead */
	uint32_t slots, images;
	size_t input_size; /* bytes of a run's input */
	bool writing; /* of inputs, since the last run */
};

/* images: 0 for one, or for the fewest that the model has a program for. */
int ctl_runner_open(const struct ctl *ctl, struct triovit_model *model, unsigned int slots,
		    unsigned int images, struct ctl_runner *ret, struct tv_error *error);
void ctl_runner_done(struct ctl_runner *runner);
/* Where a run's images go, until it is asked for. */
int ctl_runner_write(struct ctl_runner *runner, uint32_t slot, uint8_t **ret,
		     struct tv_error *error);
int ctl_runner_run(struct ctl_runner *runner, uint32_t slot, unsigned int top,
		   triovit_run_callback callback, void *userdata, struct tv_error *error);

/* --- figures -------------------------------------------------------------------------------- */

/* Times in microseconds. */
struct ctl_figures {
	uint64_t *values;
	size_t count, room;
	bool failed; /* out of memory */
};

struct ctl_summary {
	double p50, p90, p99, max; /* in milliseconds */
};

void ctl_figures_add(struct ctl_figures *figures, uint64_t usec);
/* Percentiles are values that were measured, zeros if there are none. -ENOMEM if one was lost. */
int ctl_figures_sum_up(struct ctl_figures *figures, struct ctl_summary *ret,
		       struct tv_error *error);
void ctl_figures_done(struct ctl_figures *figures);
json_t *ctl_json_summary(const struct ctl_summary *summary);

#endif
