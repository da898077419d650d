/* SPDX-License-Identifier: MIT */
/*
 * That no tensor passes through the daemon: what strace(1) sees of all its system calls that move
 * bytes while runs are made, per run, beside the bytes of an input; and the daemon's own count of
 * what it copied.
 */
#include <ctype.h>
#include <inttypes.h>

#include "tests/bench/daemon-parts.h"

#define SIZE 512 /* an input of 786432 bytes */
#define RUNS 100
#define GATE 1024 /* bytes a run: a call and its reply */

/* Those that move bytes between memory, files and sockets. */
#define CALLS                                                                                      \
	"trace=read,readv,pread64,preadv,preadv2,write,writev,pwrite64,pwritev,pwritev2,recvfrom," \
	"recvmsg,recvmmsg,sendto,sendmsg,sendmmsg,splice,tee,vmsplice,sendfile,copy_file_range,"   \
	"process_vm_readv,process_vm_writev,io_uring_enter"

/* Returns once the daemon is watched. */
static pid_t start_strace(pid_t daemon, const char *output)
{
	char pid[16], line[256];
	int messages[2];
	pid_t strace;
	FILE *said;

	bench_must(pipe(messages) < 0 ? -errno : 0, "pipe");
	snprintf(pid, sizeof(pid), "%d", daemon);
	strace = fork();
	bench_must(strace < 0 ? -errno : 0, "fork");
	if (!strace) {
		dup2(messages[1], STDERR_FILENO);
		execlp("strace", "strace", "-f", "-p", pid, "-o", output, "-e", CALLS,
		       (char *)NULL);
		_exit(127);
	}
	close(messages[1]);
	said = fdopen(messages[0], "r");
	bench_must(said && fgets(line, sizeof(line), said) ? 0 : -ENOENT, "strace");
	if (!strstr(line, "attached")) {
		fprintf(stderr, "bench-daemon: %s", line);
		exit(EXIT_FAILURE);
	}
	/* It has little more to say until it ends. */
	return strace;
}

/* What the calls in the file returned, without errors; and how many there were. */
static uint64_t add_up(const char *path, uint64_t *ret_calls)
{
	FILE *file = fopen(path, "re");
	uint64_t bytes = 0;
	char *line = NULL, *result;
	size_t size = 0;

	bench_must(file ? 0 : -errno, path);
	*ret_calls = 0;
	while (getline(&line, &size, file) > 0) {
		result = strrchr(line, '=');
		if (!result || result[-1] != ' ' || !isdigit(result[2]))
			continue;
		bytes += strtoull(result + 2, NULL, 10);
		(*ret_calls)++;
	}
	free(line);
	fclose(file);
	return bytes;
}

static void run_all(const struct way *way, const char *model)
{
	struct bench_session session;
	uint64_t usec;

	bench_open(way, model, 1, BENCH_SOFTWARE, &session);
	for (unsigned int i = 0; i < RUNS; i++)
		bench_run(way, &session, &usec);
	bench_close(way, &session);
}

bool bench_bytes(const struct bench_options *options)
{
	struct way on_bus, peer;
	uint64_t bytes, calls, copied;
	struct bench bench;
	char *model;
	pid_t strace;
	bool good;

	bench_start(&bench, false);
	on_bus = bench_daemon_on_bus(&bench);
	peer = bench_daemon_peer(&on_bus);
	bench_write_null(tv_unit_path("large"), SIZE);
	model = bench_load(&on_bus, "large");
	strace = start_strace(bench.daemon, tv_unit_path("strace"));
	run_all(&on_bus, model);
	run_all(&peer, model);
	copied = bench_copied(&on_bus);
	kill(strace, SIGINT);
	waitpid(strace, NULL, 0);
	bytes = add_up(tv_unit_path("strace"), &calls) / (2 * RUNS);
	good = !copied && calls > 2 * RUNS && bytes <= GATE;
	if (options->json)
		printf("\"bytes\": {\"input\": %d, \"runs\": %d, \"in_calls_per_run\": %" PRIu64
		       ", \"gate\": %d, \"copied\": %" PRIu64 "}, ",
		       SIZE * SIZE * 3, 2 * RUNS, bytes, GATE, copied);
	else
		printf("\nBytes of %d runs with inputs of %d: %" PRIu64
		       " in system calls for each (gate %d), BytesCopied %" PRIu64 "\n",
		       2 * RUNS, SIZE * SIZE * 3, bytes, GATE, copied);
	free(model);
	sd_bus_flush_close_unref(peer.bus);
	sd_bus_flush_close_unref(on_bus.bus);
	bench_stop(&bench);
	return good;
}
