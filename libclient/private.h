/* SPDX-License-Identifier: MIT */
/* What the library's files share. */
#ifndef TV_LIBCLIENT_PRIVATE_H
#define TV_LIBCLIENT_PRIVATE_H

#include <errno.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "common/cleanup.h"
#include "libclient/triovit.h"

#define TV_BUS_NAME  "org.triovit.Accelerator1"
#define TV_BUS_PATH  "/org/triovit/Accelerator1"
#define TV_BUS_ERROR "org.triovit.Accelerator1.Error."

#define TV_BUS_MANAGER TV_BUS_NAME ".Manager"
#define TV_BUS_DEVICE  TV_BUS_NAME ".Device"
#define TV_BUS_MODEL   TV_BUS_NAME ".Model"
#define TV_BUS_SESSION TV_BUS_NAME ".Session"

/* --- errors --------------------------------------------------------------------------------- */

/* Sets code and text (truncated to fit) and returns code. */
int tv_fail(struct triovit_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* A step that failed with an errno that says it all. */
#define tv_fail_errno(error, code, what) tv_fail(error, code, "%s: %s", what, strerror(-(code)))

/* A reply that cannot be read: what sd-bus calls -ENXIO is of another type than it should be. */
#define tv_fail_parse(error, code, what)                                                           \
	tv_fail_errno(error, (code) == -ENXIO ? -EBADMSG : (code), what)

/* The same for an error that came as a reply: from the bus itself or from the daemon, in time or
 * after the call's. */
int tv_fail_bus(struct triovit_error *error, const sd_bus_error *why, bool of_bus, bool late);

/* The same, so that the compiler sees that what is returned is code: an output parameter was
 * written wherever a function did not return a negative number. */
#define tv_fail(error, code, ...)                                                                  \
	({                                                                                         \
		int _tv_code = (code);                                                             \
		(void)(tv_fail)((error), _tv_code, __VA_ARGS__);                                   \
		_tv_code;                                                                          \
	})

/* --- clients -------------------------------------------------------------------------------- */

enum {
	TV_BUS, /* the bus */
	TV_PEER, /* the client's own connection to the daemon, if there is one */
	TV_CONNECTIONS,
};

struct triovit_client {
	unsigned int references; /* the caller's, and those of all that came from it */
	sd_bus *connections[TV_CONNECTIONS]; /* NULL: none, or no longer */
	int watched[TV_CONNECTIONS]; /* the events that epoll has been told of */
	int epoll;
	char *daemon; /* its unique name on the bus */
	bool remote; /* on another machine */
	bool gone; /* the daemon or the bus is */
	struct tv_calls {
		struct tv_call *first, **end;
	} pending, /* without a reply, in the order of the calls */
		done; /* with one, in the order of the replies */
};

struct triovit_client *tv_client_ref(struct triovit_client *client);
void tv_client_unref(struct triovit_client *client);

/* Sends and receives once on all connections, which may make calls done. Returns whether there may
 * be more to do. */
bool tv_client_turn(struct triovit_client *client);
/* Waits for something to do. */
int tv_client_wait(struct triovit_client *client);

/* CLOCK_MONOTONIC in microseconds. */
uint64_t tv_now(void);

/* --- calls ---------------------------------------------------------------------------------- */

/*
 * A method call under way. Its reply is only put aside when it arrives: what is made of it, and
 * the callback, come when the caller asks for it and sd-bus is not in the middle of anything, so
 * that they may do what they want.
 */
struct tv_call {
	struct triovit_client *client;
	struct tv_calls *list; /* one of the client's, or none */
	struct tv_call *next, **here;
	sd_bus_slot *slot; /* while it is pending */
	sd_bus_message *reply; /* when it is done; NULL: the connection was lost */
	uint64_t due; /* CLOCK_MONOTONIC; UINT64_MAX: never */

	/* Makes *ret of a good reply. Returns a negative errno, 0, or TV_CALL_AGAIN when it sent
	 * another message. */
	int (*parse)(struct tv_call *call, sd_bus_message *reply, void **ret,
		     struct triovit_error *error);
	/* NULL: somebody waits. */
	void (*deliver)(const struct tv_call *call, void *object,
			const struct triovit_error *error);
	union {
		triovit_model_callback model;
		triovit_session_callback session;
		triovit_run_callback run;
	} callback;
	void *userdata;

	/* What parse() needs. */
	struct triovit_model *model; /* a reference, or NULL */
	struct triovit_session *session; /* or NULL; the call ends with it */
	uint32_t images;
	char *path;
};

#define TV_CALL_AGAIN 1

/* A call without a message. NULL: out of memory. */
struct tv_call *tv_call_new(struct triovit_client *client);
/* Its reply has come; NULL: it never will. */
void tv_call_done(struct tv_call *call, sd_bus_message *reply);
void tv_call_free(struct tv_call *call);
/* Frees all of a session's. */
void tv_calls_drop(struct triovit_client *client, const struct triovit_session *session);
TV_DEFINE_CLEANUP(struct tv_call *, tv_call_free)

/* Begins a message to an object of the daemon. */
int tv_message_new(struct triovit_client *client, int connection, const char *path,
		   const char *interface, const char *method, sd_bus_message **ret,
		   struct triovit_error *error);
/* That descriptors can be passed to the daemon and back. */
int tv_client_check_fds(struct triovit_client *client, struct triovit_error *error);
/* The fastest connection. */
int tv_client_fastest(const struct triovit_client *client);

/* Sends it; the call is pending then, and the client's. timeout_usec: of the daemon, 0: none. */
int tv_call_send(struct tv_call *call, sd_bus_message *message, uint64_t timeout_usec,
		 struct triovit_error *error);
/* Waits for a call that was sent, releases it, and returns what parse() made of the reply. */
int tv_call_wait(struct tv_call *call, void **ret, struct triovit_error *error);

/* Sends a message, waits, and returns the reply. */
int tv_client_ask(struct triovit_client *client, sd_bus_message *message, sd_bus_message **ret,
		  struct triovit_error *error);

/* --- properties ----------------------------------------------------------------------------- */

/* An entry of an a{sv} and where it goes. */
struct tv_field {
	const char *name;
	const char *type; /* of the value */
	size_t offset; /* in the structure; const char * for s and o, bool for b */
	/* For types that are not basic: reads the value. */
	int (*read)(sd_bus_message *message, void *structure);
};

/* Reads an a{sv}; fields end with one without a name. Entries that nobody knows are skipped, those
 * that are missing leave the structure as it is. Texts stay in the message. */
int tv_fields_read(sd_bus_message *message, const struct tv_field *fields, void *structure);

/* All properties of an object's interface: a message that is to be read with tv_fields_read(). */
int tv_properties_message(struct triovit_client *client, const char *path, const char *interface,
			  sd_bus_message **ret, struct triovit_error *error);

/* For each of the daemon's objects with that interface: the message stands at its properties, an
 * a{sv}, which must be read. */
int tv_objects_each(struct triovit_client *client, const char *interface,
		    int (*each)(sd_bus_message *message, const char *path, void *userdata),
		    void *userdata, struct triovit_error *error);

/* --- models and sessions -------------------------------------------------------------------- */

struct triovit_model {
	unsigned int references;
	struct triovit_client *client; /* a reference */
	sd_bus_message *properties; /* where the texts are */
	char *path;
	char **labels;
	struct triovit_program *programs;
	struct triovit_model_info info;
};

struct triovit_model *tv_model_ref(struct triovit_model *model);

/* A call whose result is a run's, of so many images. NULL: out of memory. */
struct tv_call *tv_run_new(struct triovit_client *client, uint32_t images);
/* Appends a run's options. */
int tv_run_append(sd_bus_message *message, const struct triovit_run_options *options, bool images);
/* tv_call_wait() for a run; ret may be NULL. */
int tv_run_wait(struct tv_call *call, struct triovit_result **ret, struct triovit_error *error);

#endif
