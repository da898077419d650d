/* SPDX-License-Identifier: MIT */
/* triovitctl load: a model package becomes a model of the daemon's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "tools/ctl.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* What a user may hold, if that is limited: more would be refused after it had been read. */
static int most_bytes(struct triovit_client *client, uint64_t *ret, struct tv_error *error)
{
	_cleanup_(triovit_daemon_freep) struct triovit_daemon *daemon = NULL;
	int r;

	r = ctl_daemon_get(client, &daemon, error);
	if (r < 0)
		return r;
	for (size_t i = 0; i < daemon->limit_count; i++)
		if (!strcmp(daemon->limits[i].name, "MaxBytesPerUser"))
			*ret = daemon->limits[i].limit;
	return 0;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
	while (size) {
		ssize_t n = write(fd, data, size);

		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

/* A memfd with all that comes from a pipe, sealed so that the daemon need not copy it again. */
static int read_pipe(int from, uint64_t most, int *ret, struct tv_error *error)
{
	_cleanup_free_ uint8_t *buffer = malloc(1 << 16);
	_cleanup_close_ int fd = -1;
	uint64_t size = 0;
	ssize_t n;

	if (!buffer)
		return tv_error_oom(error);
	fd = memfd_create("model", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return tv_error_set(error, -errno, "a memfd: %s", strerror(errno));
	while ((n = read(from, buffer, 1 << 16)) > 0) {
		size += (uint64_t)n;
		if (size > most)
			return tv_error_set(error, -EFBIG,
					    "standard input: more than the %llu bytes of "
					    "MaxBytesPerUser",
					    (unsigned long long)most);
		if (write_all(fd, buffer, (size_t)n) < 0)
			return tv_error_set(error, -errno, "a memfd: %s", strerror(errno));
	}
	if (n < 0)
		return tv_error_set(error, -errno, "standard input: %s", strerror(errno));
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return tv_error_set(error, -errno, "a memfd's seals: %s", strerror(errno));
	*ret = TV_TAKE_FD(fd);
	return 0;
}

static int load_input(const struct ctl *ctl, struct triovit_client *client,
		      struct triovit_model **ret, struct tv_error *error)
{
	_cleanup_close_ int copy = -1;
	struct triovit_error why = { 0 };
	struct stat status;
	uint64_t most = UINT64_MAX;
	int r;

	/* What is a file (triovitctl load - < FILE) can be passed as it is. */
	if (fstat(STDIN_FILENO, &status) < 0)
		return tv_error_set(error, -errno, "standard input: %s", strerror(errno));
	if (!S_ISREG(status.st_mode)) {
		r = most_bytes(client, &most, error);
		if (r >= 0)
			r = read_pipe(STDIN_FILENO, most, &copy, error);
		if (r < 0)
			return r;
	}
	r = triovit_model_load_fd(client, copy < 0 ? STDIN_FILENO : copy, ctl->name, ret, &why);
	return r < 0 ? tv_error_prefix(error, ctl_error(error, &why), "standard input") : 0;
}

static int print(const struct ctl *ctl, const struct triovit_model_info *info,
		 struct tv_error *error)
{
	json_auto_t *root = NULL;

	if (ctl->json) {
		root = ctl_json_model(info);
		return tool_json_print(root, error);
	}
	if (!ctl->quiet)
		printf("%s  %s\n", ctl_short_path(info->path), info->digest);
	return 0;
}

static int run(const struct ctl *ctl, struct tv_error *error)
{
	_cleanup_(triovit_closep) struct triovit_client *client = NULL;
	_cleanup_(triovit_model_freep) struct triovit_model *model = NULL;
	const char *path = ctl->arguments[0];
	int r;

	if (ctl_is_remote(ctl))
		return tv_error_set(error, -EOPNOTSUPP,
				    "files cannot be passed to %s: \"ssh %s triovitctl load - < "
				    "%s\" loads it there",
				    ctl->where, ctl->where, strcmp(path, "-") ? path : "FILE");
	r = ctl_open(ctl, &client, error);
	if (r < 0)
		return r;
	r = strcmp(path, "-") ? ctl_load_path(client, path, ctl->name, &model, error) :
				load_input(ctl, client, &model, error);
	return r < 0 ? r : print(ctl, triovit_model_info(model), error);
}

const struct ctl_command ctl_load = {
	.tool = {
		.name = "load",
		.arguments = "FILE|- [OPTION...]",
		.summary = "load a model package",
		.help = "Loads a model package that triovit-quantize has made, and prints what the model\n"
			"is called and its digest. With - it comes from standard input:\n"
			"  ssh host triovitctl load - < model.safetensors\n"
			"The same bytes loaded twice are one model.\n",
	},
	.bit = CTL_LOAD,
	.least = 1,
	.most = 1,
	.run = run,
};
