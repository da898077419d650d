/* SPDX-License-Identifier: MIT */
#include "daemon/load.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/log.h"
#include "rtl-model/program.h"

/* Names are for people. */
#define NAME_MAX_SIZE 64

/* More than any job does in a cycle, multiplying and moving bytes; its commands, which count as
 * 1000 steps, take more than one each. */
#define STEPS_PER_CYCLE 16384

struct load {
	struct tv_task task; /* first */
	struct tv_held held; /* by the caller: it is dropped when that leaves */
	struct tv_manager *manager;
	struct tv_call call; /* its message is NULL for a file of the folder */
	int fd; /* the message's, or this one's own */
	uint64_t limit, max_time;
	char name[NAME_MAX_SIZE];
	atomic_bool cancel;
	/* What comes of it. */
	int result;
	struct tv_error error;
	struct tv_model *model;
	struct tv_loaded_program *programs;
};

/* --- in a worker ---------------------------------------------------------------------------- */

static int time_program(struct load *load, size_t index, struct tv_error *error)
{
	const struct tv_package_program *packed = &load->model->package->programs[index];
	struct tv_loaded_program *program = &load->programs[index];
	const struct tv_target *target = tv_target_by_id(packed->header.target);
	uint64_t most;
	int r;

	program->target = -1;
	if (!target)
		return 0;
	most = load->max_time / 1000 * target->clock_mhz;
	r = tv_model_cycles(load->model, index, target, most * STEPS_PER_CYCLE, &program->cycles,
			    error);
	if (r < 0)
		return r;
	if (program->cycles.idle > most)
		return tv_error_set(error, -E2BIG,
				    "model: a run of program %s.%u takes %" PRIu64
				    " us, limit MaxJobTime is %" PRIu64 " us",
				    packed->target, packed->header.images,
				    program->cycles.idle / target->clock_mhz,
				    load->max_time / 1000);
	program->target = (int)tv_target_index(target);
	return 1;
}

static int time_programs(struct load *load, struct tv_error *error)
{
	size_t count = load->model->package->program_count;
	bool any = false;
	int r;

	load->programs = calloc(count, sizeof(*load->programs));
	if (!load->programs)
		return tv_error_oom(error);
	for (size_t i = 0; i < count; i++) {
		r = time_program(load, i, error);
		if (r < 0)
			return r;
		any |= r > 0;
	}
	if (!any)
		return tv_error_set(error, -ENOEXEC,
				    "model: has no program for a target that is known");
	return 0;
}

static void close_file(struct load *load)
{
	if (load->call.message)
		tv_call_close_fd(load->fd);
	else
		close(load->fd);
}

static void run_load(struct tv_task *task)
{
	struct load *load = (struct load *)task;

	load->result =
		tv_model_load(load->fd, load->limit, &load->cancel, &load->model, &load->error);
	if (load->result == -EFBIG)
		tv_error_prefix(&load->error, -EFBIG, "limit MaxBytesPerUser");
	if (load->result >= 0)
		load->result = time_programs(load, &load->error);
	close_file(load);
}

/* --- in the loop ---------------------------------------------------------------------------- */

/* The model that the same bytes are already, or a new one. */
static int find_or_make(struct load *load, struct tv_loaded **ret, struct tv_error *error)
{
	struct tv_loaded *loaded = tv_loaded_by_digest(load->manager, load->model->digest);
	int r;

	if (!loaded) {
		r = tv_loaded_new(load->manager, load->model, load->programs, load->name, &loaded,
				  error);
		if (r < 0)
			return r;
		load->model = NULL;
		load->programs = NULL;
	}
	*ret = loaded;
	return 0;
}

static int finish(struct load *load, struct tv_loaded **ret, struct tv_error *error)
{
	struct tv_loaded *loaded;
	int r;

	r = find_or_make(load, &loaded, error);
	if (r < 0)
		return r;
	r = tv_loaded_use(loaded, load->call.uid, error);
	if (r < 0) {
		tv_loaded_check(loaded);
		return r;
	}
	*ret = loaded;
	return 0;
}

static void reply(struct load *load, struct tv_loaded *loaded)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *message = NULL;

	if (sd_bus_message_new_method_return(load->call.message, &message) >= 0 &&
	    sd_bus_message_append(message, "o", loaded->path) < 0)
		message = sd_bus_message_unref(message);
	tv_call_reply(&load->call, message);
}

static void free_load(struct load *load)
{
	tv_manager_release_model(load->manager, load->model);
	free(load->programs);
	free(load);
}

static void load_done(struct tv_task *task, bool dropped)
{
	struct load *load = (struct load *)task;
	struct tv_loaded *loaded = NULL;
	int r = load->result;

	if (dropped) {
		r = tv_error_set(&load->error, -ECANCELED, "the daemon ends");
		close_file(load);
	} else if (atomic_load(&load->cancel)) {
		r = tv_error_set(&load->error, -ECANCELED, "the caller has left the bus");
	}
	tv_client_let_go(&load->held);
	if (r >= 0)
		r = finish(load, &loaded, &load->error);
	if (load->call.message) {
		tv_quota_release(load->manager->quota, load->call.uid, TV_RESOURCE_LOADS, 1);
		if (r < 0)
			tv_call_fail(&load->call, r, &load->error);
		else
			reply(load, loaded);
	} else {
		if (r < 0)
			tv_log(LOG_WARNING, "%s: %s", load->name, load->error.text);
		else
			tv_loaded_publish(loaded, true);
		tv_manager_started(load->manager);
	}
	free_load(load);
}

static struct load *new_load(struct tv_manager *manager, int fd, const char *name)
{
	struct load *load = calloc(1, sizeof(*load));

	if (!load)
		return NULL;
	load->task = (struct tv_task){ run_load, load_done, NULL };
	load->manager = manager;
	load->fd = fd;
	load->limit = manager->config.limits.user[TV_RESOURCE_BYTES];
	load->max_time = manager->config.max_job_time;
	snprintf(load->name, sizeof(load->name), "%.*s", NAME_MAX_SIZE - 1, name);
	return load;
}

static void on_client_left(struct tv_held *held)
{
	struct load *load = tv_container_of(held, struct load, held);

	atomic_store(&load->cancel, true);
	tv_client_let_go(held);
}

static int start(struct tv_manager *manager, sd_bus_message *message, struct tv_client *client,
		 int fd, struct tv_error *error)
{
	_cleanup_free_ struct load *load = NULL;
	const char *name = "";
	int r;

	r = tv_call_read_options(
		message, (const struct tv_option[]){ { "name", "s", &name }, { 0 } }, error);
	if (r < 0)
		return r;
	if (strlen(name) >= NAME_MAX_SIZE)
		return tv_error_set(error, -EINVAL,
				    "option 'name' has %zu bytes, expected %d at most",
				    strlen(name), NAME_MAX_SIZE - 1);
	load = new_load(manager, fd, name);
	if (!load)
		return tv_error_oom(error);
	r = tv_quota_charge(manager->quota, client->uid, TV_RESOURCE_LOADS, 1, error);
	if (r < 0)
		return r;
	r = tv_call_begin(manager, message, client->uid, &load->call, error);
	if (r < 0) {
		tv_quota_release(manager->quota, client->uid, TV_RESOURCE_LOADS, 1);
		return r;
	}
	load->held.release = on_client_left;
	tv_client_hold(client, &load->held);
	tv_workers_submit(manager->loaders, &TV_TAKE_PTR(load)->task);
	return 0;
}

int tv_load(struct tv_manager *manager, sd_bus_message *message, struct tv_error *error)
{
	struct tv_client *client;
	int fd, r;

	r = tv_clients_get(manager->clients, message, &client, error);
	if (r < 0)
		return r;
	r = sd_bus_message_read_basic(message, 'h', &fd);
	if (r < 0)
		return tv_call_broken(r, error);
	r = start(manager, message, client, fd, error);
	if (r < 0)
		tv_call_bury(manager, message, client->uid, fd);
	return r;
}

/* --- the folder ------------------------------------------------------------------------------ */

static bool is_trusted(int fd)
{
	struct stat status;

	return fstat(fd, &status) >= 0 && (status.st_uid == 0 || status.st_uid == geteuid()) &&
	       !(status.st_mode & (S_IWGRP | S_IWOTH));
}

static int load_file(struct tv_manager *manager, int folder, const char *name,
		     struct tv_error *error)
{
	_cleanup_close_ int fd =
		openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	struct load *load;

	if (fd < 0 || !is_trusted(fd)) {
		tv_log(LOG_WARNING, "%s: %s", name,
		       fd < 0 ? strerror(errno) : "left out, since others than root may write it");
		return 0;
	}
	load = new_load(manager, fd, name);
	if (!load)
		return tv_error_oom(error);
	load->name[strcspn(load->name, ".")] = '\0';
	tv_call_clean(load->name);
	TV_TAKE_FD(fd);
	manager->starting++;
	tv_workers_submit(manager->loaders, &load->task);
	return 0;
}

int tv_load_folder(struct tv_manager *manager, const char *path, struct tv_error *error)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	int r = 0;

	if (!folder)
		return errno == ENOENT ?
			       0 :
			       tv_error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (!is_trusted(dirfd(folder)))
		r = tv_error_set(error, -EPERM, "%s: others than root may write it", path);
	while (r >= 0 && (entry = readdir(folder)))
		if (*entry->d_name != '.')
			r = load_file(manager, dirfd(folder), entry->d_name, error);
	closedir(folder);
	return r;
}
