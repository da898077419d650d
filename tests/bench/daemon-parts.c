/* SPDX-License-Identifier: MIT */
#include "tests/bench/daemon-parts.h"

#include <sched.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/accelerator.h"
#include "daemon/log.h"
#include "tests/unit/package-edit.h"

int bench_must(int r, const char *what)
{
	if (r >= 0)
		return r;
	fprintf(stderr, "bench-daemon: %s: %s\n", what, strerror(-r));
	exit(EXIT_FAILURE);
}

/* What the assertions in the tests' headers call: here is no test that could fail. */
void _ck_assert_failed(const char *file, int line, const char *expression, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "bench-daemon: %s:%d: %s: ", file, line, expression);
	va_start(arguments, format);
	if (format)
		vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

void _mark_point(const char *file, int line)
{
}

uint64_t bench_now(void)
{
	return tv_manager_now();
}

void bench_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		bench_must(-errno, "no such processor");
}

/* --- processes ------------------------------------------------------------------------------- */

/* In the child it ends with the program that it is for, in the parent it returns once that says
 * that it serves. */
static pid_t start(void (*serve)(struct bench *bench, int ready), struct bench *bench)
{
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe(ready) < 0)
		bench_must(-errno, "pipe");
	pid = fork();
	bench_must(pid < 0 ? -errno : 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Whoever counts its system calls. */
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
		serve(bench, ready[1]);
		_exit(EXIT_FAILURE);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		bench_must(-EPIPE, "a service does not start");
	close(ready[0]);
	return pid;
}

static void say_ready(int ready)
{
	if (write(ready, "", 1) != 1)
		_exit(EXIT_FAILURE);
}

static void on_started(struct tv_manager *manager, void *userdata)
{
	bench_trust_instant();
	bench_must(sd_bus_request_name(manager->bus, TV_BUS_NAME, 0), TV_BUS_NAME);
	say_ready(*(int *)userdata);
}

/* ns in which the thread was ready and did not run; 0 where the kernel does not say. */
static uint64_t waited(int schedstat)
{
	unsigned long long ran, ready = 0;
	char text[96];
	ssize_t size = pread(schedstat, text, sizeof(text) - 1, 0);

	if (size <= 0)
		return 0;
	text[size] = '\0';
	return sscanf(text, "%llu %llu", &ran, &ready) == 2 ? ready : 0;
}

static uint64_t processor_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void raise_to(_Atomic uint64_t *longest, uint64_t value)
{
	if (value > atomic_load(longest))
		atomic_store(longest, value);
}

/* sd_event_loop() with a watch. */
static void watch_loop(sd_event *event, struct loop_times *times)
{
	int schedstat = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC), r;

	for (;;) {
		uint64_t wall, ready, processor;

		r = bench_must(sd_event_prepare(event), "the loop");
		if (!r)
			r = bench_must(sd_event_wait(event, UINT64_MAX), "the loop");
		/* In this order: else a wait between two readings would be taken for the turn's. */
		ready = waited(schedstat);
		wall = bench_now();
		processor = processor_time();
		if (r > 0)
			bench_must(sd_event_dispatch(event), "the loop");
		processor = processor_time() - processor;
		wall = bench_now() - wall;
		ready = waited(schedstat) - ready;
		raise_to(&times->wall, wall);
		raise_to(&times->own, wall > ready ? wall - ready : 0);
		raise_to(&times->processor, processor);
		atomic_fetch_add(&times->turns, 1);
	}
}

/* triovitd as it is on a bus that is not the system's. */
static void serve_daemon(struct bench *bench, int ready)
{
	struct tv_manager *manager = NULL;
	struct tv_error error = { 0 };
	struct tv_config config;
	sd_event *event = NULL;
	sd_bus *bus;
	int r;

	tv_log_set_level(LOG_CRIT);
	tv_config_defaults(&config);
	bench_must(sd_event_default(&event), "the loop");
	bus = bus_open(&bench->bus);
	bench_must(sd_bus_attach_event(bus, event, 0), "the loop");
	r = tv_manager_new(event, bus, &config, &manager, &error);
	if (r >= 0)
		r = tv_accelerator_add_software(manager, tv_target_by_name(BENCH_SOFTWARE), NULL,
						&error);
	if (r >= 0)
		bench_add_instant(manager);
	if (r >= 0)
		r = tv_manager_start(manager, on_started, &ready, &error);
	bench_must(r, error.text);
	if (bench->loop)
		watch_loop(event, bench->loop);
	else
		bench_must(sd_event_loop(event), "the loop");
}

static int do_nothing(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return sd_bus_reply_method_return(message, "");
}

static const sd_bus_vtable empty_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Nothing", "", "", do_nothing, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static void serve_empty(struct bench *bench, int ready)
{
	sd_event *event = NULL;
	sd_bus *bus, *peer = NULL;
	sd_id128_t id;

	bench_must(sd_event_default(&event), "the loop");
	bus = bus_open(&bench->bus);
	bench_must(sd_bus_add_object_vtable(bus, NULL, EMPTY_PATH, EMPTY_NAME, empty_vtable, NULL),
		   "the empty service");
	bench_must(sd_bus_request_name(bus, EMPTY_NAME, 0), EMPTY_NAME);
	bench_must(sd_bus_attach_event(bus, event, 0), "the loop");
	/* As the daemon makes its own, see daemon/peer.c. */
	bench_must(sd_id128_randomize(&id), "an id");
	bench_must(sd_bus_new(&peer), "the empty service");
	bench_must(sd_bus_set_fd(peer, bench->empty_socket, bench->empty_socket), "its socket");
	bench_must(sd_bus_set_server(peer, 1, id), "its server");
	bench_must(sd_bus_set_anonymous(peer, 1), "its server");
	bench_must(sd_bus_negotiate_fds(peer, 1), "its server");
	bench_must(sd_bus_add_object_vtable(peer, NULL, EMPTY_PATH, EMPTY_NAME, empty_vtable, NULL),
		   "the empty service");
	bench_must(sd_bus_start(peer), "its server");
	bench_must(sd_bus_attach_event(peer, event, 0), "the loop");
	say_ready(ready);
	bench_must(sd_event_loop(event), "the loop");
}

void bench_start(struct bench *bench, bool watched)
{
	int sockets[2];

	bench->loop = NULL;
	if (watched) {
		bench->loop = mmap(NULL, sizeof(*bench->loop), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		bench_must(bench->loop == MAP_FAILED ? -errno : 0, "memory");
	}
	bus_daemon_start(&bench->bus);
	bench->daemon = start(serve_daemon, bench);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) < 0)
		bench_must(-errno, "a socket pair");
	bench->empty_socket = sockets[1];
	bench->empty = start(serve_empty, bench);
	close(sockets[1]);
	bench->empty_socket = sockets[0];
}

void bench_stop(struct bench *bench)
{
	const pid_t services[] = { bench->daemon, bench->empty };

	for (unsigned int i = 0; i < TV_ARRAY_SIZE(services); i++) {
		kill(services[i], SIGKILL);
		waitpid(services[i], NULL, 0);
	}
	bus_daemon_stop(&bench->bus);
	if (bench->loop)
		munmap(bench->loop, sizeof(*bench->loop));
}

/* --- ways ------------------------------------------------------------------------------------ */

struct way bench_daemon_on_bus(const struct bench *bench)
{
	return (struct way){ bus_open(&bench->bus), TV_BUS_NAME };
}

struct way bench_empty_on_bus(const struct bench *bench)
{
	return (struct way){ bus_open(&bench->bus), EMPTY_NAME };
}

static struct way peer_of(int fd)
{
	struct way way = { NULL, NULL };

	bench_must(sd_bus_new(&way.bus), "a connection");
	bench_must(sd_bus_set_fd(way.bus, fd, fd), "a connection");
	bench_must(sd_bus_set_anonymous(way.bus, 1), "a connection");
	bench_must(sd_bus_negotiate_fds(way.bus, 1), "a connection");
	bench_must(sd_bus_start(way.bus), "a connection");
	return way;
}

struct way bench_daemon_peer(const struct way *on_bus)
{
	sd_bus_message *reply =
		bench_call(on_bus, TV_BUS_PATH, TV_BUS_NAME ".Manager", "Connect", NULL);
	int fd;

	bench_must(sd_bus_message_read(reply, "h", &fd), "Connect");
	fd = bench_must(fcntl(fd, F_DUPFD_CLOEXEC, 0), "Connect");
	sd_bus_message_unref(reply);
	return peer_of(fd);
}

struct way bench_empty_peer(const struct bench *bench)
{
	return peer_of(bench->empty_socket);
}

sd_bus_message *bench_call(const struct way *way, const char *path, const char *interface,
			   const char *method, const char *types, ...)
{
	sd_bus_message *message = NULL, *reply = NULL;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	va_list arguments;
	int r;

	bench_must(sd_bus_message_new_method_call(way->bus, &message, way->destination, path,
						  interface, method),
		   method);
	va_start(arguments, types);
	if (types)
		bench_must(sd_bus_message_appendv(message, types, arguments), method);
	va_end(arguments);
	r = sd_bus_call(way->bus, message, 600000000, &error, &reply);
	bench_must(r, r < 0 && error.message ? error.message : method);
	sd_bus_message_unref(message);
	return reply;
}

void bench_call_empty(const struct way *way)
{
	sd_bus_message_unref(bench_call(way, EMPTY_PATH, EMPTY_NAME, "Nothing", NULL));
}

char *bench_load_fd(const struct way *way, int fd)
{
	sd_bus_message *reply =
		bench_call(way, TV_BUS_PATH, TV_BUS_NAME ".Manager", "LoadModel", "ha{sv}", fd, 0);
	const char *path;
	char *copy;

	bench_must(sd_bus_message_read(reply, "o", &path), "LoadModel");
	copy = strdup(path);
	sd_bus_message_unref(reply);
	return copy;
}

char *bench_load(const struct way *way, const char *file)
{
	int fd = bench_must(open(tv_unit_path(file), O_RDONLY | O_CLOEXEC), file);
	char *model = bench_load_fd(way, fd);

	close(fd);
	return model;
}

/* Of an a{sv} that the message stands before. */
static uint64_t read_number(sd_bus_message *message, const char *name)
{
	uint64_t number = 0;
	const char *key;

	bench_must(sd_bus_message_rewind(message, false), name);
	while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
		bench_must(sd_bus_message_read(message, "s", &key), name);
		if (strcmp(key, name))
			bench_must(sd_bus_message_skip(message, "v"), name);
		else
			bench_must(sd_bus_message_read(message, "v", "t", &number), name);
		bench_must(sd_bus_message_exit_container(message), name);
	}
	return number;
}

void bench_open(const struct way *way, const char *model, uint32_t slots, const char *target,
		struct bench_session *ret)
{
	sd_bus_message *reply = bench_call(way, TV_BUS_PATH, TV_BUS_NAME ".Manager", "OpenSession",
					   "oa{sv}", model, 2, "slots", "u", slots, "target", "s",
					   target);
	const char *path;
	int fd;

	bench_must(sd_bus_message_read(reply, "oh", &path, &fd), "OpenSession");
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	bench_must(sd_bus_message_enter_container(reply, 'a', "{sv}"), "OpenSession");
	ret->slots = slots;
	ret->slot_size = read_number(reply, "slot-size");
	ret->input_size = read_number(reply, "input-size");
	ret->memory = mmap(NULL, slots * ret->slot_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bench_must(ret->memory == MAP_FAILED ? -errno : 0, "OpenSession");
	sd_bus_message_unref(reply);
}

void bench_close(const struct way *way, struct bench_session *session)
{
	munmap(session->memory, session->slots * session->slot_size);
	sd_bus_message_unref(bench_call(way, session->path, TV_BUS_NAME ".Session", "Close", NULL));
}

uint64_t bench_run(const struct way *way, const struct bench_session *session,
		   uint64_t *ret_device_usec)
{
	uint64_t begun = bench_now(), took;
	sd_bus_message *reply =
		bench_call(way, session->path, TV_BUS_NAME ".Session", "Run", "ua{sv}", 0, 0);

	took = bench_now() - begun;
	bench_must(sd_bus_message_enter_container(reply, 'a', "{sv}"), "Run");
	*ret_device_usec = read_number(reply, "device-usec");
	sd_bus_message_unref(reply);
	return took;
}

uint64_t bench_copied(const struct way *way)
{
	uint64_t copied = 0;

	bench_must(sd_bus_get_property_trivial(way->bus, way->destination, TV_BUS_PATH,
					       TV_BUS_NAME ".Manager", "BytesCopied", NULL, 't',
					       &copied),
		   "BytesCopied");
	return copied;
}

/* --- packages -------------------------------------------------------------------------------- */

static void write_to(const struct tv_package *package, const char *path)
{
	struct tv_error error = { 0 };

	bench_must(tv_package_write(package, path, &error), error.text);
}

/* An instance of the null job; bytes are its program's. */
static struct tv_package_program null_program(const char *target, unsigned int size, uint8_t *bytes,
					      struct tv_step *step)
{
	static const uint8_t weights[TV_SEGMENT_ALIGNMENT];
	const struct tv_command command = {
		.opcode = TV_OP_COPY,
		.input = { 0, 0, TV_SEGMENT_INPUT, TV_FORMAT_INT8 },
		.output = { 0, 0, TV_SEGMENT_OUTPUT, TV_FORMAT_INT8 },
		.shortcut.segment = TV_SEGMENT_NONE,
		.weights.segment = TV_SEGMENT_NONE,
		.copy_bytes = sizeof(int16_t),
	};
	struct tv_package_program program = {
		.header = {
			.magic = TV_PROGRAM_MAGIC,
			.contract = TV_CONTRACT_VERSION,
			.target = tv_target_by_name(target)->id,
			.commands = 1,
			.images = 1,
			.writable = 1u << TV_SEGMENT_OUTPUT,
			.segment = {
				[TV_SEGMENT_PROGRAM] = TV_PROGRAM_HEADER_SIZE + TV_COMMAND_SIZE,
				[TV_SEGMENT_WEIGHTS] = sizeof(weights),
				[TV_SEGMENT_INPUT] = size * size * 3,
				[TV_SEGMENT_OUTPUT] = sizeof(int16_t),
			},
		},
		.program = bytes,
		.weights = weights,
		.steps = step,
	};

	snprintf(program.target, sizeof(program.target), "%s", target);
	tv_encode_program_header(&program.header, bytes);
	tv_encode_command(&command, bytes + TV_PROGRAM_HEADER_SIZE);
	return program;
}

void bench_write_null(const char *path, unsigned int size)
{
	uint8_t bytes[2][TV_PROGRAM_HEADER_SIZE + TV_COMMAND_SIZE];
	struct tv_step step = { { TV_STEP_NONE, TV_STEP_NONE }, 0, 0 };
	struct tv_package_program programs[] = {
		null_program(BENCH_INSTANT, size, bytes[0], &step),
		null_program(BENCH_SOFTWARE, size, bytes[1], &step),
	};
	float scale = 1, offset = 0;
	struct tv_package_node node = { "output", 1, &scale, &offset };
	const struct tv_package package = {
		.size = size,
		.resize = size,
		.classes = 1,
		.logit_scale = 1,
		.programs = programs,
		.program_count = TV_ARRAY_SIZE(programs),
		.nodes = &node,
		.node_count = 1,
	};

	write_to(&package, path);
}

void bench_write_network(const char *path, const char *name, unsigned int size)
{
	static const struct package_of of = { BENCH_SOFTWARE, 1 };
	struct tv_architecture architecture;
	struct tv_error error = { 0 };
	struct tv_package *package;

	bench_must(tv_architecture_by_name(name, &architecture, &error), error.text);
	package = package_make(&architecture, size, &of, 1);
	write_to(package, path);
	tv_package_free(package);
}
