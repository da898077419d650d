/* SPDX-License-Identifier: MIT */
/* A file system of one file, in a process of its own, that answers when it is told to. */
#ifndef TV_TESTS_FUSE_H
#define TV_TESTS_FUSE_H

#include <errno.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/unit/directory.h"

#define FUSE_FILE_NODE 2

/* Shared with the server. */
struct fuse_shared {
	atomic_bool reads_hang, flushes_hang;
	atomic_bool cuts; /* reads find fewer bytes than the file is said to have */
	atomic_bool fails; /* they find none */
	atomic_uint hanging; /* requests that wait for an answer */
	atomic_bool serves;
	/* The file. */
	size_t size;
	uint8_t data[1 << 20];
};

static struct {
	pid_t pid;
	struct fuse_shared *shared;
	char folder[64], file[80];
} fuse;

struct fuse_server {
	int fd;
	struct fuse_in_header waiting[64];
	unsigned int count;
};

static inline void fuse_reply(struct fuse_server *server, uint64_t unique, int error,
			      const void *data, size_t size)
{
	struct fuse_out_header header = {
		.len = (uint32_t)(sizeof(header) + size),
		.error = error,
		.unique = unique,
	};
	uint8_t buffer[sizeof(header) + (128 << 10)];

	memcpy(buffer, &header, sizeof(header));
	if (size)
		memcpy(buffer + sizeof(header), data, size);
	/* Whoever asked may be gone. */
	if (write(server->fd, buffer, header.len) < 0)
		return;
}

static inline struct fuse_attr fuse_attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = node == FUSE_FILE_NODE ? fuse.shared->size : 0,
		.mode = node == FUSE_FILE_NODE ? S_IFREG | 0444 : S_IFDIR | 0755,
		.nlink = 1,
	};
}

static inline void fuse_read(struct fuse_server *server, const struct fuse_in_header *header)
{
	const struct fuse_read_in *in = (const struct fuse_read_in *)(header + 1);
	size_t size = fuse.shared->size / (atomic_load(&fuse.shared->cuts) ? 2 : 1);
	size_t at = in->offset < size ? in->offset : size, left = size - at;

	if (atomic_load(&fuse.shared->fails))
		return fuse_reply(server, header->unique, -EIO, NULL, 0);
	fuse_reply(server, header->unique, 0, fuse.shared->data + at,
		   left < in->size ? left : in->size);
}

static inline void fuse_serve(struct fuse_server *server, const struct fuse_in_header *header)
{
	const struct fuse_init_in *init = (const struct fuse_init_in *)(header + 1);
	struct fuse_init_out init_out = {
		.major = 7,
		.minor = 31,
		.max_readahead = init->max_readahead,
		.max_write = 65536,
	};
	struct fuse_attr_out attributes = { .attr = fuse_attributes(header->nodeid) };
	struct fuse_entry_out entry = {
		.nodeid = FUSE_FILE_NODE,
		.attr = fuse_attributes(FUSE_FILE_NODE),
	};
	struct fuse_open_out open_out = { .open_flags = FOPEN_DIRECT_IO };

	switch (header->opcode) {
	case FUSE_INIT:
		fuse_reply(server, header->unique, 0, &init_out, sizeof(init_out));
		atomic_store(&fuse.shared->serves, true);
		break;
	case FUSE_LOOKUP:
		fuse_reply(server, header->unique, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		fuse_reply(server, header->unique, 0, &attributes, sizeof(attributes));
		break;
	case FUSE_OPEN:
		fuse_reply(server, header->unique, 0, &open_out, sizeof(open_out));
		break;
	case FUSE_READ:
		fuse_read(server, header);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		fuse_reply(server, header->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		fuse_reply(server, header->unique, -ENOSYS, NULL, 0);
	}
}

static inline bool fuse_hangs(uint32_t opcode)
{
	return (opcode == FUSE_READ && atomic_load(&fuse.shared->reads_hang)) ||
	       (opcode == FUSE_FLUSH && atomic_load(&fuse.shared->flushes_hang));
}

/* A request that hangs is answered, by nothing, as soon as its kind does not hang any more. */
static inline void fuse_answer_late(struct fuse_server *server)
{
	for (unsigned int i = 0; i < server->count;) {
		const struct fuse_in_header header = server->waiting[i];

		if (fuse_hangs(header.opcode)) {
			i++;
			continue;
		}
		fuse_reply(server, header.unique, 0, NULL, 0);
		server->waiting[i] = server->waiting[--server->count];
		atomic_fetch_sub(&fuse.shared->hanging, 1);
	}
}

static inline void fuse_loop(struct fuse_server *server)
{
	static uint64_t buffer[(256 << 10) / sizeof(uint64_t)];
	const struct fuse_in_header *header = (const struct fuse_in_header *)buffer;

	while (true) {
		struct pollfd wait = { .fd = server->fd, .events = POLLIN };

		poll(&wait, 1, 5);
		fuse_answer_late(server);
		if (!wait.revents)
			continue;
		if (read(server->fd, buffer, sizeof(buffer)) < 0) {
			if (errno == ENODEV)
				return;
			continue;
		}
		if (!fuse_hangs(header->opcode) || server->count == 64) {
			fuse_serve(server, header);
			continue;
		}
		server->waiting[server->count++] = *header;
		atomic_fetch_add(&fuse.shared->hanging, 1);
	}
}

/* Mounts it, for this process and those that it starts. False: that cannot be had here. */
static inline bool fuse_start(void)
{
	struct fuse_server server = { 0 };
	char options[128];

	server.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (server.fd < 0)
		return false;
	strcpy(fuse.folder, "/tmp/triovit-fuse-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fuse.folder));
	snprintf(fuse.file, sizeof(fuse.file), "%s/file", fuse.folder);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", server.fd);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("triovit", fuse.folder, "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
		close(server.fd);
		rmdir(fuse.folder);
		return false;
	}
	fuse.shared = mmap(NULL, sizeof(*fuse.shared), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(fuse.shared, MAP_FAILED);
	fuse.pid = fork();
	if (!fuse.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fuse_loop(&server);
		_exit(0);
	}
	close(server.fd);
	while (!atomic_load(&fuse.shared->serves))
		sched_yield();
	return true;
}

static inline void fuse_set_file(const char *path)
{
	FILE *file = fopen(path, "re");

	ck_assert_ptr_nonnull(file);
	fuse.shared->size = fread(fuse.shared->data, 1, sizeof(fuse.shared->data), file);
	ck_assert_uint_lt(fuse.shared->size, sizeof(fuse.shared->data));
	fclose(file);
}

static inline void fuse_stop(void)
{
	kill(fuse.pid, SIGKILL);
	waitpid(fuse.pid, NULL, 0);
	umount2(fuse.folder, MNT_DETACH);
	rmdir(fuse.folder);
	munmap(fuse.shared, sizeof(*fuse.shared));
}

#endif
