/* SPDX-License-Identifier: MIT */
/* A client that is killed, whatever it was doing: everything of it goes, and others notice nothing.
 * Workers and devices stand still meanwhile, so that each is killed exactly where it should be. */
#include "tests/unit/authority.h"

enum stage {
	LOADING,
	LOADED,
	OPENING,
	OPENED,
	WAITING,
	MEMORY_WAITING,
	INLINE_OPENING,
	INLINE_WAITING,
	ON_DEVICE,
	INLINE_ON_DEVICE,
	OWN_WAITING,
	OWN_ON_DEVICE,
	ASKING,
	STAGES,
};

static const char *good; /* before the fork, which the child sees */
static uint8_t image[PACKAGE_SMALL_SIZE * PACKAGE_SMALL_SIZE * 3];

/* --- in the client's process --------------------------------------------------------------------
 */

static sd_bus *client_connect(sd_bus *bus)
{
	sd_bus_message *reply = NULL;
	sd_bus *own = NULL;
	int fd;

	client_call(bus, TV_BUS_NAME, &reply, TV_BUS_PATH, "Manager", "Connect", "");
	if (sd_bus_message_read(reply, "h", &fd) < 0 || sd_bus_new(&own) < 0 ||
	    sd_bus_set_fd(own, fd, fd) < 0 || sd_bus_negotiate_fds(own, 1) < 0 ||
	    sd_bus_start(own) < 0)
		_exit(1);
	return own;
}

static void client_run_inline(sd_bus *bus, const char *model)
{
	sd_bus_message *message = NULL;
	uint64_t cookie;

	if (sd_bus_message_new_method_call(bus, &message, TV_BUS_NAME, model, TV_BUS_NAME ".Model",
					   "Run") < 0 ||
	    sd_bus_message_append_array(message, 'y', image, sizeof(image)) < 0 ||
	    sd_bus_message_append(message, "a{sv}", 0) < 0 ||
	    sd_bus_send(bus, message, &cookie) < 0 || sd_bus_flush(bus) < 0)
		_exit(1);
}

static void client_run_memory(sd_bus *bus, const char *session)
{
	int fd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (ftruncate(fd, 65536) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		_exit(1);
	client_send(bus, TV_BUS_NAME, session, "Session", "RunMemory", "htta{sv}", fd, (uint64_t)0,
		    (uint64_t)32768, 0);
}

static void client_run(sd_bus *bus, const char *destination, const char *session)
{
	for (uint32_t slot = 0; slot < 2; slot++)
		client_send(bus, destination, session, "Session", "Run", "ua{sv}", slot, 0);
}

static void live(sd_bus *bus, int stage)
{
	const char *destination = TV_BUS_NAME, *model, *session;
	sd_bus_message *reply = NULL;
	int fd = open(good, O_RDONLY | O_CLOEXEC);

	if (stage == ASKING)
		return client_send(bus, TV_BUS_NAME, TV_BUS_PATH, "Manager", "AddSoftware", "s",
				   "zcu102");
	if (stage == LOADING)
		return client_send(bus, TV_BUS_NAME, TV_BUS_PATH, "Manager", "LoadModel", "ha{sv}",
				   fd, 0);
	client_call(bus, TV_BUS_NAME, &reply, TV_BUS_PATH, "Manager", "LoadModel", "ha{sv}", fd, 0);
	if (stage == LOADED || sd_bus_message_read(reply, "o", &model) < 0)
		return;
	if (stage == OPENING)
		return client_send(bus, TV_BUS_NAME, TV_BUS_PATH, "Manager", "OpenSession",
				   "oa{sv}", model, 0);
	if (stage == INLINE_OPENING || stage == INLINE_WAITING || stage == INLINE_ON_DEVICE)
		return client_run_inline(bus, model);
	if (stage == OWN_WAITING || stage == OWN_ON_DEVICE) {
		bus = client_connect(bus);
		destination = NULL;
	}
	client_call(bus, destination, &reply, TV_BUS_PATH, "Manager", "OpenSession", "oa{sv}",
		    model, 0);
	if (stage == OPENED || sd_bus_message_read(reply, "o", &session) < 0)
		return;
	if (stage == MEMORY_WAITING)
		return client_run_memory(bus, session);
	client_run(bus, destination, session);
}

/* --- here --------------------------------------------------------------------------------------
 */

static bool is_there(enum stage stage)
{
	switch (stage) {
	case LOADING:
		return used(TV_RESOURCE_LOADS);
	case LOADED:
		return used(TV_RESOURCE_MODELS);
	case OPENED:
		return used(TV_RESOURCE_SESSIONS) && !used(TV_RESOURCE_JOBS);
	case OPENING:
	case INLINE_OPENING:
		return used(TV_RESOURCE_MODELS) && used(TV_RESOURCE_JOBS);
	case INLINE_WAITING:
		return tv_scheduler_waiting(service.manager->scheduler,
					    TAILQ_FIRST(&service.manager->accelerators)->pool) == 1;
	case MEMORY_WAITING:
		return used(TV_RESOURCE_JOBS) == 1 && used(TV_RESOURCE_SESSIONS) &&
		       !TAILQ_EMPTY(&service.manager->sessions);
	case WAITING:
	case OWN_WAITING:
		return used(TV_RESOURCE_JOBS) == 2;
	case ON_DEVICE:
	case INLINE_ON_DEVICE:
	case OWN_ON_DEVICE:
		return devices_hold();
	case ASKING:
		return authority.count > 0;
	default:
		return false;
	}
}

/* What stands still until the client is dead. */
static void stop_for(enum stage stage, bool stop)
{
	struct tv_workers *workers = stage == LOADING ? service.manager->loaders :
							service.manager->workers;

	switch (stage) {
	case LOADING:
	case OPENING:
	case INLINE_OPENING:
		if (stop)
			workers_block(workers, stage == LOADING ? LOADERS : WORKERS);
		else
			workers_unblock();
		break;
	case WAITING:
	case MEMORY_WAITING:
	case INLINE_WAITING:
	case OWN_WAITING:
		devices_pause(stop);
		break;
	case ON_DEVICE:
	case INLINE_ON_DEVICE:
	case OWN_ON_DEVICE:
		devices_mute(stop);
		break;
	default:
		break;
	}
}

/* A worker or a device has something of it and will come back to that; else all of it is gone. */
static bool is_held(enum stage stage)
{
	return stage == LOADING || stage == OPENING || stage == INLINE_OPENING ||
	       stage == ON_DEVICE || stage == INLINE_ON_DEVICE || stage == OWN_ON_DEVICE;
}

START_TEST(killed)
{
	enum stage stage = (enum stage)_i;
	struct client client;
	struct way other;
	char *model;

	if (stage == ASKING) {
		need_root("a client that leaves while polkit thinks");
		authority_start();
		authority.thinks = true;
		authority.allowed = true;
	}
	other = way_open();
	good = strdup(tv_unit_path(GOOD));
	stop_for(stage, true);
	client = client_start(live, (int)stage, stage == ASKING ? STRANGER : 0);
	service_until(is_there(stage));
	assert_serves(&other);
	ck_assert_msg(is_there(stage), "it went on");
	client_kill(&client, &other);
	ck_assert_int_eq(used(TV_RESOURCE_JOBS) > 0, is_held(stage));
	ck_assert_uint_eq(used(TV_RESOURCE_CONNECTIONS), 0);
	if (stage == ASKING) {
		authority_answer();
		service_settle(&other);
		authority_stop();
	}
	stop_for(stage, false);
	service_until(!used(TV_RESOURCE_JOBS) && !used(TV_RESOURCE_SESSIONS) &&
		      !used(TV_RESOURCE_LOADS));
	ck_assert_ptr_null(TAILQ_FIRST(&service.manager->sessions));
	/* A model is its user's, not the client's; that of a client that left first never came. */
	ck_assert_uint_eq(used(TV_RESOURCE_MODELS), stage != LOADING && stage != ASKING);
	/* What it had asked polkit for was not done. */
	ck_assert_ptr_null(TAILQ_NEXT(TAILQ_FIRST(&service.manager->accelerators), accelerators));
	assert_infers(&other);
	model = way_load_good(&other);
	way_unload(&other, model);
	free(model);
	free((char *)good);
	way_close(&other);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("service-leaving");
	TCase *t = tcase_create("killed");

	tcase_add_checked_fixture(t, abuse_set_up, abuse_tear_down);
	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, killed, 0, STAGES);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
