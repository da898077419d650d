/* SPDX-License-Identifier: MIT */
/* Descriptors that are not what they should be, and files that do not answer. */
#include "tests/unit/fuse.h"
#include "tests/unit/service-abuse.h"

#ifndef MFD_HUGETLB
#define MFD_HUGETLB 4u
#endif

#define MEMORY_SIZE 65536
#define OUTPUT_AT   32768

/* --- descriptors --------------------------------------------------------------------------------
 */

static int make_pipe(void)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	close(fds[1]);
	return fds[0];
}

static int make_directory(void)
{
	return open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int make_device(void)
{
	return open("/dev/zero", O_RDWR | O_CLOEXEC);
}

static int make_event_loop(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int make_path(void)
{
	return open(tv_unit_path(GOOD), O_PATH | O_CLOEXEC);
}

static int make_write_only(void)
{
	return open(tv_unit_path(GOOD), O_WRONLY | O_CLOEXEC);
}

static int make_regular(void)
{
	return open(tv_unit_path(GOOD), O_RDWR | O_CLOEXEC);
}

static int make_proc(void)
{
	return open("/proc/self/status", O_RDONLY | O_CLOEXEC);
}

static int make_memory(unsigned int flags, off_t size, int seals)
{
	int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd < 0)
		return -1;
	ck_assert_int_eq(ftruncate(fd, size), 0);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int make_unsealed(void)
{
	return make_memory(0, MEMORY_SIZE, 0);
}

static int make_shrinking(void)
{
	return make_memory(0, MEMORY_SIZE, F_SEAL_GROW);
}

static int make_growing(void)
{
	return make_memory(0, MEMORY_SIZE, F_SEAL_SHRINK);
}

static int make_empty(void)
{
	return make_memory(0, 0, F_SEAL_SHRINK | F_SEAL_GROW);
}

static int make_short(void)
{
	return make_memory(0, OUTPUT_AT, F_SEAL_SHRINK | F_SEAL_GROW);
}

static int make_frozen(void)
{
	return make_memory(0, MEMORY_SIZE, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
}

static int make_read_only(void)
{
	int fd = make_memory(0, MEMORY_SIZE, F_SEAL_SHRINK | F_SEAL_GROW), again;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return again;
}

/* There need be no huge page for this; -1 where the kernel knows none. */
static int make_huge(void)
{
	return make_memory(MFD_HUGETLB, 32 << 20,
			   F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
}

static int make_zeros(void)
{
	return make_memory(0, MEMORY_SIZE,
			   F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
}

/* More than a user may have, without taking any room. */
static int make_vast(void)
{
	return make_memory(0, (off_t)1 << 40, 0);
}

struct wrong {
	int (*make)(void);
	const char *error, *text;
};

static const struct wrong wrong_files[] = {
	{ make_pipe, "BadDescriptor", "is a pipe" },
	{ make_directory, "BadDescriptor", "is a directory" },
	{ make_socket, "BadDescriptor", "is a socket" },
	{ make_device, "BadDescriptor", "is a device" },
	{ make_event_loop, "BadDescriptor", "expected a regular file" },
	{ make_path, "BadDescriptor", "not opened for reading" },
	{ make_write_only, "BadDescriptor", "not opened for reading" },
	{ make_huge, "BadDescriptor", "huge pages" },
	{ make_proc, "BadModel", "is empty" },
	{ make_empty, "BadModel", "is empty" },
	{ make_zeros, "BadModel", "model: " },
	{ make_unsealed, "BadModel", "model: " },
	{ make_shrinking, "BadModel", "model: " },
	{ make_vast, "LimitExceeded", "limit MaxBytesPerUser: model: has" },
};

static const struct wrong wrong_memory[] = {
	{ make_pipe, "BadDescriptor", "no memfd" },
	{ make_directory, "BadDescriptor", "no memfd" },
	{ make_socket, "BadDescriptor", "no memfd" },
	{ make_device, "BadDescriptor", "no memfd" },
	{ make_event_loop, "BadDescriptor", "no memfd" },
	{ make_path, "BadDescriptor", "no memfd" },
	{ make_write_only, "BadDescriptor", "no memfd" },
	{ make_regular, "BadDescriptor", "no memfd" },
	{ make_proc, "BadDescriptor", "no memfd" },
	{ make_unsealed, "BadDescriptor", "sealed against shrinking" },
	{ make_shrinking, "BadDescriptor", "sealed against shrinking" },
	{ make_growing, "BadDescriptor", "sealed against shrinking" },
	{ make_empty, "BadDescriptor", "is empty" },
	{ make_short, "BadDescriptor", "has 32768 bytes, expected" },
	{ make_huge, "BadDescriptor", "huge pages" },
	{ make_frozen, "BadDescriptor", "cannot be written" },
	{ make_read_only, "BadDescriptor", "cannot be written" },
};

static sd_bus_message *run_memory(const struct session *session, int fd, uint64_t input,
				  uint64_t output)
{
	return way_call(session->way, session->path, "Session", "RunMemory", "htta{sv}", fd, input,
			output, 0);
}

/* Past the bus and on it. */
START_TEST(wrong_descriptors)
{
	struct way bus = way_open(), own = way_connect(&bus);
	struct way *const ways[] = { &bus, &own };
	char *model = way_load_good(&bus);
	struct session session = session_open(&bus, model, 2, 1);

	for (unsigned int i = 0; i < TV_ARRAY_SIZE(ways); i++) {
		for (unsigned int k = 0; k < TV_ARRAY_SIZE(wrong_files); k++) {
			_cleanup_close_ int fd = wrong_files[k].make();

			if (fd >= 0)
				assert_refused(way_call(ways[i], TV_BUS_PATH, "Manager",
							"LoadModel", "ha{sv}", fd, 0),
					       wrong_files[k].error, wrong_files[k].text);
		}
		session.way = ways[i];
		for (unsigned int k = 0; k < TV_ARRAY_SIZE(wrong_memory); k++) {
			_cleanup_close_ int fd = wrong_memory[k].make();

			if (fd >= 0)
				assert_refused(run_memory(&session, fd, 0, OUTPUT_AT),
					       wrong_memory[k].error, wrong_memory[k].text);
		}
		session_run(&session, 0, i);
	}
	session_close(&session);
	way_unload(&bus, model);
	free(model);
	sd_bus_close_unref(own.bus);
	way_close(&bus);
}
END_TEST

/* Where in the memory. */
START_TEST(wrong_places)
{
	static const struct {
		uint64_t input, output;
		const char *error, *text;
	} cases[] = {
		{ 1, OUTPUT_AT, "InvalidArgument", "input is at 1, expected a multiple of 64" },
		{ 0, OUTPUT_AT + 32, "InvalidArgument", "output is at 32800" },
		{ UINT64_MAX - 63, OUTPUT_AT, "BadDescriptor", "beyond all memory" },
		{ 0, UINT64_MAX - 63, "BadDescriptor", "beyond all memory" },
		{ 0, MEMORY_SIZE, "BadDescriptor", "has 65536 bytes, expected 655" },
		{ MEMORY_SIZE - 64, 0, "BadDescriptor", "has 65536 bytes" },
		{ 0, UINT64_C(1) << 30, "LimitExceeded", "MaxBytesPerUser is 268435456" },
		{ 0, 0, "Fault", "" },
	};
	struct way way = way_open();
	char *model = way_load_good(&way);
	struct session session = session_open(&way, model, 2, 1);
	_cleanup_close_ int fd = make_memory(0, MEMORY_SIZE, F_SEAL_SHRINK | F_SEAL_GROW);

	for (unsigned int i = 0; i < TV_ARRAY_SIZE(cases); i++)
		assert_refused(run_memory(&session, fd, cases[i].input, cases[i].output),
			       cases[i].error, cases[i].text);
	session_run(&session, 0, 1);
	session_close(&session);
	way_unload(&way, model);
	free(model);
	way_close(&way);
}
END_TEST

/* --- files that do not answer --------------------------------------------------------------------
 */

static bool has_fuse;

static void fuse_set_up(void)
{
	/* Before all else, so that its process has none of our descriptors. */
	has_fuse = fuse_start();
	abuse_set_up();
	if (has_fuse)
		fuse_set_file(tv_unit_path(GOOD));
}

static void fuse_tear_down(void)
{
	abuse_tear_down();
	if (has_fuse)
		fuse_stop();
}

#define need_fuse(name)                                                                            \
	do {                                                                                       \
		if (!has_fuse)                                                                     \
			tv_unit_skip(name, "no file system can be mounted here");                  \
	} while (0)

static sd_bus_message *load_fuse(struct way *way)
{
	return way_load(way, fuse.file);
}

/* Whole, cut off, and broken. */
START_TEST(file_system)
{
	struct way way;
	sd_bus_message *reply;
	const char *model;

	need_fuse("files of a slow file system");
	way = way_open();
	atomic_store(&fuse.shared->cuts, true);
	assert_refused(load_fuse(&way), "BadDescriptor", "shrank");
	atomic_store(&fuse.shared->fails, true);
	assert_refused(load_fuse(&way), "BadDescriptor", "cannot read");
	atomic_store(&fuse.shared->cuts, false);
	atomic_store(&fuse.shared->fails, false);
	reply = load_fuse(&way);
	ck_assert_reply(reply);
	ck_assert_int_gt(sd_bus_message_read(reply, "o", &model), 0);
	way_unload(&way, model);
	sd_bus_message_unref(reply);
	way_close(&way);
}
END_TEST

static void send_load(struct way *way, sd_bus_message **reply)
{
	_cleanup_close_ int fd = open(fuse.file, O_RDONLY | O_CLOEXEC);

	way_send(way, reply, TV_BUS_PATH, "Manager", "LoadModel", "ha{sv}", fd, 0);
}

/* Each user has so many loads, and somebody else loads and runs as ever. */
START_TEST(reads_hang)
{
	sd_bus_message *first = NULL, *second = NULL;
	struct way way, stranger;

	need_fuse("files that do not answer");
	need_root("files that do not answer");
	way = way_open();
	stranger = way_open_as(STRANGER);
	atomic_store(&fuse.shared->reads_hang, true);
	send_load(&way, &first);
	send_load(&way, &second);
	service_until(atomic_load(&fuse.shared->hanging) == 2);
	assert_refused(way_load(&way, tv_unit_path(GOOD)), "LimitExceeded", "MaxLoadsPerUser (2)");
	assert_infers(&stranger);
	ck_assert(!first && !second);
	/* A client that leaves does not get its place back before its file has answered. */
	sd_bus_message_unref(first);
	way_close(&way);
	service_settle(&stranger);
	ck_assert_uint_eq(used(TV_RESOURCE_LOADS), 2);
	way = way_open();
	assert_refused(way_load(&way, tv_unit_path(GOOD)), "LimitExceeded", "MaxLoadsPerUser (2)");
	assert_infers(&stranger);
	atomic_store(&fuse.shared->reads_hang, false);
	service_until(!anything_used());
	assert_infers(&way);
	way_close(&way);
	way_close(&stranger);
}
END_TEST

/* --- files that cannot be closed -----------------------------------------------------------------
 */

enum unclosable {
	GOOD_MODEL,
	UNKNOWN_OPTION,
	NO_LOADS_LEFT,
	WRONG_PLACE,
	NO_MEMFD,
	MANY,
	UNCLOSABLES,
};

static const char *unclosable_session;

static void send_unclosable(sd_bus *bus, int argument)
{
	int fd = open(fuse.file, O_RDONLY | O_CLOEXEC);
	struct way own = way_of_fd(client_keeps);

	/* Sent, this process too hangs in closing it. */
	atomic_store(&fuse.shared->flushes_hang, true);
	switch (argument) {
	case GOOD_MODEL:
	case NO_LOADS_LEFT:
		return client_send(own.bus, NULL, TV_BUS_PATH, "Manager", "LoadModel", "ha{sv}", fd,
				   0);
	case UNKNOWN_OPTION:
		return client_send(own.bus, NULL, TV_BUS_PATH, "Manager", "LoadModel", "ha{sv}", fd,
				   1, "nonsense", "u", 1);
	case WRONG_PLACE:
		return client_send(own.bus, NULL, unclosable_session, "Session", "RunMemory",
				   "htta{sv}", fd, (uint64_t)1, (uint64_t)0, 0);
	default:
		return client_send(own.bus, NULL, unclosable_session, "Session", "RunMemory",
				   "htta{sv}", fd, (uint64_t)0, (uint64_t)OUTPUT_AT, 0);
	}
}

/* Whatever comes of the call, the loop does not wait for the file; nor do loads of others. */
START_TEST(closing_hangs)
{
	unsigned int count = _i == MANY ? 12 : 1;
	struct client clients[12];
	struct way way, other;
	struct session session;
	char *model;

	need_fuse("files that cannot be closed");
	need_root("files that cannot be closed");
	way = way_open();
	other = way_open_as(STRANGER);
	model = way_load_good(&way);
	session = session_open(&way, model, 2, 1);
	unclosable_session = session.path;
	if (_i == NO_LOADS_LEFT)
		ck_assert_int_eq(tv_quota_charge(service.manager->quota, geteuid(),
						 TV_RESOURCE_LOADS, 2, &(struct tv_error){ 0 }),
				 0);
	for (unsigned int i = 0; i < count; i++) {
		client_keeps = way_connect_fd(&way);
		clients[i] = client_start(send_unclosable, _i, 0);
		close(client_keeps);
		/* The client's close and the daemon's. */
		service_until(atomic_load(&fuse.shared->hanging) >= 2 ||
			      (i && atomic_load(&fuse.shared->hanging) >= i + 2));
		assert_serves(&other);
	}
	session_run(&session, 0, 5);
	if (_i == NO_LOADS_LEFT)
		tv_quota_release(service.manager->quota, geteuid(), TV_RESOURCE_LOADS, 2);
	assert_infers(&other);
	atomic_store(&fuse.shared->flushes_hang, false);
	for (unsigned int i = 0; i < count; i++)
		client_kill(&clients[i], &other);
	session_close(&session);
	way_unload(&way, model);
	free(model);
	way_close(&other);
	way_close(&way);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("service-fds");
	TCase *t = tcase_create("descriptors"), *hanging = tcase_create("hanging");

	tcase_add_checked_fixture(t, abuse_set_up, abuse_tear_down);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, wrong_descriptors);
	tcase_add_test(t, wrong_places);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(hanging, fuse_set_up, fuse_tear_down);
	tcase_set_timeout(hanging, 300);
	tcase_add_test(hanging, file_system);
	tcase_add_test(hanging, reads_hang);
	tcase_add_loop_test(hanging, closing_hangs, 0, UNCLOSABLES);
	suite_add_tcase(s, hanging);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
