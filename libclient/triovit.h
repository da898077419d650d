/* SPDX-License-Identifier: MIT */
/**
 * DOC: libtriovit
 *
 * Inference on the accelerators that triovitd shares among the services of a system. A client is
 * opened, a model loaded or found, a session opened on it, an image put into the session's memory,
 * and a run asked for::
 *
 *	struct triovit_client *client = NULL;
 *	struct triovit_model *model = NULL;
 *	struct triovit_session *session = NULL;
 *	struct triovit_result *result = NULL;
 *	struct triovit_error error;
 *	const struct triovit_run_options options = { .top = 5 };
 *
 *	triovit_open(TRIOVIT_BUS_SYSTEM, NULL, 0, &client, &error);
 *	triovit_model_load_path(client, "b1.safetensors", NULL, &model, &error);
 *	triovit_session_open(model, NULL, &session, &error);
 *	triovit_model_preprocess(model, &frame, triovit_session_input(session, 0),
 *				 triovit_session_info(session)->input_size, &error);
 *	triovit_session_run(session, 0, &options, &result, &error);
 *
 * **Errors.** Functions that can fail return 0 or a negative errno, and fill in a struct
 * triovit_error unless the pointer to it is NULL. Output parameters are written on success only.
 * See struct triovit_error for the numbers.
 *
 * **Ownership.** Clients, models, devices, sessions and results belong to the caller, who releases
 * each once, in any order; NULL is ignored. What was opened on a client that is closed fails with
 * -ENOTCONN from then on. Texts and arrays in what the library hands out live as long as that does.
 *
 * **Options** are structures in which zero is the default of every field; a NULL pointer means all
 * defaults. They are read during the call only. Fields are added to structures that the library
 * allocates at their ends; other changes come with a new symbol version.
 *
 * **Waiting.** A function that can take long has a second form, ..._async(): it returns at once,
 * and its callback, which must be given, is called from within triovit_process(), once, and from
 * nowhere else. In a callback everything may be called, triovit_close() included. The first form
 * waits for the reply and calls no callbacks meanwhile; those that became due are called by the
 * next triovit_process(). Signals do not end the waiting. What is under way when its session or
 * client is closed never calls its callback.
 *
 * **Time.** Nothing has a time-out unless the caller gives one (struct triovit_run_options):
 * a daemon that hangs is killed by its watchdog, and the loss of a daemon ends every call.
 *
 * **Threads.** A client and all that came from it belong to one thread at a time; two clients have
 * nothing to do with each other. The library has no threads and no global state. After fork() a
 * child must not use what its parent opened.
 *
 * **Bytes.** An image's input is height × width × 3 bytes, RGB, row by row from the top, at the
 * model's size. Its output is one little-endian int16 a class; times logit_scale it is the logit.
 * With N images a run, N of each follow one another without gaps.
 */
#ifndef TRIOVIT_H
#define TRIOVIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/** struct triovit_client - a connection to a daemon */
struct triovit_client;
/** struct triovit_model - a model that the daemon has loaded */
struct triovit_model;
/** struct triovit_session - memory and a place in the queue for runs of a model */
struct triovit_session;
/** struct triovit_device - a device that executes runs, as it was when it was asked */
struct triovit_device;

/**
 * struct triovit_error - why a function failed
 * @code: the negative errno that the function returned
 * @text: one line, what was wrong with what; the daemon's text where it refused something
 *
 * What the daemon's errors (org.triovit.Accelerator1.Error.) are called here:
 *
 * ==================== ==================================================================
 * -EINVAL              InvalidArgument; or an argument that the library refuses
 * -EBADF               BadDescriptor: of the wrong kind, without the seals it needs, too small
 * -EBADMSG             BadModel: no package, or a broken one; or a reply that makes no sense
 * -ENOEXEC             NoProgram: none for any device that is there, or for so many images
 * -EFBIG               JobTooLong: a run of the model would take longer than the daemon allows
 * -ENOENT              NotFound: there is no such thing (any more), or it is not the caller's
 * -EBUSY               Busy: a run is under way on the slot, or as many as there are slots
 * -EDQUOT              LimitExceeded: the text names the limit
 * -EAGAIN              DeadlineImpossible: going by what is queued it could not be met
 * -ETIME               DeadlineMissed
 * -ECANCELED           Cancelled
 * -EIO                 Fault: the accelerator ended the job; or a self test that failed
 * -ENODEV              NoDevice: none is there that could, or the last one went away
 * -EACCES              polkit or the bus's policy does not allow it
 * -EHOSTUNREACH        triovit_open(): nobody owns the daemon's name and nobody starts it
 * -ECONNRESET          the daemon or the bus went away during the call; whether it was carried
 *                      out is unknown
 * -ENOTCONN            it went away earlier: close the client and open another
 * -ETIMEDOUT           no reply though the deadline passed long ago: the daemon hangs;
 *                      triovit_open(): none for 25 seconds
 * -EOPNOTSUPP          descriptors cannot be passed on this connection (another machine's bus);
 *                      or the daemon is too old to know the call
 * -ENOMEM              out of memory, here or in the daemon
 * -EREMOTEIO           any other error of the daemon or the bus
 * ==================== ==================================================================
 */
struct triovit_error {
	int code;
	char text[508];
};

/* --- clients -------------------------------------------------------------------------------- */

/** enum triovit_bus - the bus that the daemon is on */
enum triovit_bus {
	TRIOVIT_BUS_SYSTEM, /* this machine's system bus */
	TRIOVIT_BUS_SESSION, /* the user's */
	TRIOVIT_BUS_ADDRESS, /* the one at a D-Bus address ("unix:path=/run/bus") */
	/* the system bus of another machine, "[user@]host", over ssh. No descriptors can be passed:
	 * no loading, no sessions */
	TRIOVIT_BUS_HOST,
};

/** enum triovit_open_flags - how to talk to the daemon */
enum triovit_open_flags {
	/* all over the bus. Otherwise the library asks for a connection of its own to the daemon,
	 * which is faster, and does without where there is none to be had */
	TRIOVIT_OPEN_BUS_ONLY = 1 << 0,
};

/**
 * triovit_open - connect to the daemon, which is started if the bus knows how to
 * @bus: where it is
 * @where: the address or the host; NULL for the other two buses
 * @flags: of enum triovit_open_flags
 * @ret: the client, to be released by triovit_close()
 *
 * Waits for the bus and the daemon. The client is bound to the daemon that it found, not to the one
 * that replaces it after a restart.
 *
 * Returns 0, -EHOSTUNREACH without a daemon, or what connecting fails with.
 */
int triovit_open(enum triovit_bus bus, const char *where, unsigned int flags,
		 struct triovit_client **ret, struct triovit_error *error);

/**
 * triovit_close - end a connection, its sessions and what is under way
 * @client: or NULL. Models, devices and sessions that came from it still have to be released
 */
void triovit_close(struct triovit_client *client);

/**
 * triovit_fd - what to poll
 * @client: the client
 *
 * Needed only for callbacks. To be polled for triovit_events() until triovit_timeout(), then
 * triovit_process() is to be called until it returns 0. Not to be read, written or closed.
 *
 * Returns a file descriptor that stays the same until the client is closed.
 */
int triovit_fd(struct triovit_client *client);

/**
 * triovit_events - what to poll for
 * @client: the client
 *
 * Returns poll(2)'s events. May change with every call of the library.
 */
int triovit_events(struct triovit_client *client);

/**
 * triovit_timeout - until when to poll
 * @client: the client
 * @ret_usec: in microseconds of CLOCK_MONOTONIC (0: do not wait; UINT64_MAX: as long as it takes).
 *	May change with every call of the library
 */
int triovit_timeout(struct triovit_client *client, uint64_t *ret_usec);

/**
 * triovit_process - send, receive, and call at most one callback
 * @client: the client; closed maybe, when the callback did that
 *
 * Never waits. Errors of single calls go to their callbacks.
 *
 * Returns 1 if something was done and there may be more, 0 if there is nothing to do, -ENOTCONN
 * once the daemon or the bus went away and all callbacks have been told.
 */
int triovit_process(struct triovit_client *client, struct triovit_error *error);

/** struct triovit_limit - how much of something the daemon gives out */
struct triovit_limit {
	const char *name; /* as in triovitd.conf(5) */
	uint64_t limit; /* of a user's (MaxModelsPerUser), or of all together (MaxModels) */
	uint64_t used; /* of what all users have together; 0 where it is a user's */
};

/** struct triovit_daemon - what the daemon says of itself; allocated by the library */
struct triovit_daemon {
	const char *version;
	uint64_t max_job_usec; /* the longest run that it accepts */
	uint64_t bytes_copied; /* of tensors: those of triovit_model_run() alone */
	const struct triovit_limit *limits; /* limit_count of them */
	size_t limit_count;
};

/**
 * triovit_daemon_get - ask the daemon about itself
 * @client: the client
 * @ret: as of now, to be released by triovit_daemon_free()
 */
int triovit_daemon_get(struct triovit_client *client, struct triovit_daemon **ret,
		       struct triovit_error *error);

/** triovit_daemon_free - release what triovit_daemon_get() returned */
void triovit_daemon_free(struct triovit_daemon *daemon);

/* --- devices -------------------------------------------------------------------------------- */

/** struct triovit_device_info - a device's properties when it was listed */
struct triovit_device_info {
	const char *path; /* its D-Bus object, its name in struct triovit_result */
	const char *name; /* for people */
	const char *target; /* the hardware that programs for it are compiled for: "zcu102" */
	const char *driver; /* "software" or "drm" */
	const char *state; /* "testing", "ready", "failed" or "gone" */
	uint32_t clock_khz; /* the accelerator's clock */
	uint32_t onchip; /* bytes of memory in it */
	uint32_t queue_length; /* runs that were queued on it */
	uint64_t jobs_done; /* runs that it completed */
	uint64_t jobs_failed; /* runs that failed on it */
	uint64_t busy_usec; /* how long it has been computing */
};

/**
 * triovit_device_list - all devices of the daemon
 * @client: the client
 * @ret: an array of *ret_count devices, to be released by triovit_device_list_free(); NULL if there
 *	are none
 * @ret_count: their number
 */
int triovit_device_list(struct triovit_client *client, struct triovit_device ***ret,
			size_t *ret_count, struct triovit_error *error);

/** triovit_device_list_free - release devices and the array of them */
void triovit_device_list_free(struct triovit_device **devices, size_t count);

/** triovit_device_info - what the device said of itself when it was listed; never NULL */
const struct triovit_device_info *triovit_device_info(const struct triovit_device *device);

/**
 * triovit_device_self_test - have the device compute something that is known
 * @device: the device
 *
 * Over the bus, as polkit asks. Waits, for the person whom polkit asks too.
 *
 * Returns 0 if the device computes as it should, -EIO and what it found if it does not, or another
 * negative errno if it could not be tested.
 */
int triovit_device_self_test(struct triovit_device *device, struct triovit_error *error);

/* --- models --------------------------------------------------------------------------------- */

/** struct triovit_program - a program of a model's */
struct triovit_program {
	const char *target; /* the hardware that it is for */
	uint32_t images; /* images of a run */
	/* how long a run takes after an idle time, in the device's cycles, exactly */
	uint64_t cycles_idle;
	uint64_t cycles_follows; /* how long one takes that follows another */
};

/** struct triovit_model_info - a model's properties; allocated by the library. As of when the model
 * was loaded, found or listed. */
struct triovit_model_info {
	const char *path; /* its D-Bus object */
	const char *digest; /* SHA-256 of the package in hexadecimal, computed by the daemon */
	const char *name; /* for people; may be empty */
	uint32_t width; /* of the input, in pixels */
	uint32_t height; /* of the input */
	/* the pixels that an image's shorter side is resized to before the input is cut out */
	uint32_t resize;
	uint32_t classes; /* number of classes */
	const char *const *labels; /* names of the classes, or NULL */
	double logit_scale; /* what an output is to be multiplied with */
	const struct triovit_program *programs; /* program_count of them */
	size_t program_count;
	uint64_t size; /* of the package, in bytes */
	uint64_t runs; /* that were done */
	bool published; /* visible to all users */
};

/**
 * typedef triovit_model_callback - a model was loaded, or not
 * @model: the callback's, to be released by triovit_model_free(); NULL on failure
 * @error: NULL on success
 * @userdata: as given
 */
typedef void (*triovit_model_callback)(struct triovit_model *model,
				       const struct triovit_error *error, void *userdata);

/**
 * triovit_model_load_fd - load a model package
 * @client: the client
 * @fd: a regular file or a memfd, readable; stays the caller's. One that is sealed against
 *	shrinking, growing, writing and sealing is used as it is, of others the daemon makes a copy
 * @name: for people, or NULL
 * @ret: the model, to be released by triovit_model_free()
 *
 * Takes as long as reading, hashing and checking do. The same bytes loaded twice are one model.
 *
 * Returns 0, -EBADF, -EBADMSG, -ENOEXEC, -EFBIG, -EDQUOT, -EOPNOTSUPP or another negative errno.
 */
int triovit_model_load_fd(struct triovit_client *client, int fd, const char *name,
			  struct triovit_model **ret, struct triovit_error *error);
/** triovit_model_load_fd_async - triovit_model_load_fd() that does not wait */
int triovit_model_load_fd_async(struct triovit_client *client, int fd, const char *name,
				triovit_model_callback callback, void *userdata,
				struct triovit_error *error);

/**
 * triovit_model_load_path - load a model package from a file that this process can open
 * @client: the client
 * @path: the file's
 * @name: for people, or NULL
 * @ret: the model, to be released by triovit_model_free()
 *
 * Returns what triovit_model_load_fd() does, or what open(2) fails with.
 */
int triovit_model_load_path(struct triovit_client *client, const char *path, const char *name,
			    struct triovit_model **ret, struct triovit_error *error);
/** triovit_model_load_path_async - triovit_model_load_path() that does not wait */
int triovit_model_load_path_async(struct triovit_client *client, const char *path, const char *name,
				  triovit_model_callback callback, void *userdata,
				  struct triovit_error *error);

/**
 * triovit_model_list - all models that the caller can see
 * @client: the client
 * @ret: an array of *ret_count models, to be released by triovit_model_list_free(); NULL if there
 *	are none
 * @ret_count: their number
 */
int triovit_model_list(struct triovit_client *client, struct triovit_model ***ret,
		       size_t *ret_count, struct triovit_error *error);

/** triovit_model_list_free - release models and the array of them */
void triovit_model_list_free(struct triovit_model **models, size_t count);

/**
 * triovit_model_find - find one of the models that the caller can see
 * @client: the client
 * @what: its object path, its digest or its name
 * @ret: the model, to be released by triovit_model_free()
 *
 * Returns 0, -ENOENT, -ENOTUNIQ if several have that name, or another negative errno.
 */
int triovit_model_find(struct triovit_client *client, const char *what, struct triovit_model **ret,
		       struct triovit_error *error);

/** triovit_model_info - the model's properties; never NULL */
const struct triovit_model_info *triovit_model_info(const struct triovit_model *model);

/**
 * triovit_model_free - forget a model
 * @model: or NULL. The daemon keeps it: see triovit_model_unload()
 */
void triovit_model_free(struct triovit_model *model);

/**
 * triovit_model_unload - the user that this process runs as no longer needs the model
 * @model: stays to be released. The daemon drops it when no user needs it and no session is open
 */
int triovit_model_unload(struct triovit_model *model, struct triovit_error *error);

/**
 * triovit_model_publish - make a model visible to all users, or no longer
 * @model: the model
 * @published: whether it is to be
 *
 * Over the bus, as polkit asks. Waits, for the person whom polkit asks too.
 *
 * Returns 0, -EACCES or another negative errno.
 */
int triovit_model_publish(struct triovit_model *model, bool published, struct triovit_error *error);

/* --- frames --------------------------------------------------------------------------------- */

/** enum triovit_format - how pixels lie in memory */
enum triovit_format {
	TRIOVIT_FORMAT_RGB24, /* one plane, 3 bytes a pixel: red, green, blue */
	/* two planes: a byte of luma a pixel; a byte of Cb and one of Cr for 2 x 2 pixels. Width
	 * and height are even */
	TRIOVIT_FORMAT_NV12,
};

/** enum triovit_matrix - what luma and chroma are made of */
enum triovit_matrix {
	TRIOVIT_MATRIX_BT601, /* SD video, JPEG, most cameras */
	TRIOVIT_MATRIX_BT709, /* HD video */
};

/** enum triovit_range - which codes luma and chroma take */
enum triovit_range {
	TRIOVIT_RANGE_LIMITED, /* luma 16..235, chroma 16..240 */
	TRIOVIT_RANGE_FULL, /* 0..255 */
};

/** struct triovit_plane - rows of a frame */
struct triovit_plane {
	const void *data; /* the first row, at the top; stays the caller's */
	size_t size; /* bytes that may be read from there on */
	size_t stride; /* bytes from a row to the next */
};

/** struct triovit_frame - a picture as cameras and decoders give it */
struct triovit_frame {
	enum triovit_format format; /* how it lies in memory */
	enum triovit_matrix matrix; /* of NV12; not looked at for RGB24 */
	enum triovit_range range; /* of NV12; not looked at for RGB24 */
	uint32_t width; /* in pixels, at most 65500 */
	uint32_t height; /* in pixels, at most 65500; at most 2^28 pixels in all */
	struct triovit_plane planes[2]; /* one, or two for NV12 */
};

/**
 * triovit_model_preprocess - make an image's input out of a frame
 * @model: the model
 * @frame: the picture
 * @input: where to, a slot for instance; the k-th image of a run begins at k times its size
 * @size: bytes that may be written, at least an image's
 *
 * Resizes the shorter side to the model's resize (bicubic, antialiased, as torchvision and PIL do)
 * and cuts the centre out: bit for bit what triovit-sim(1) feeds the model with. Exactly one
 * image's bytes are written, or none.
 *
 * Returns 0, -EINVAL for sizes that make no sense, or -ENOMEM.
 */
int triovit_model_preprocess(const struct triovit_model *model, const struct triovit_frame *frame,
			     void *input, size_t size, struct triovit_error *error);

/* --- runs ----------------------------------------------------------------------------------- */

/** struct triovit_run_options - how to run */
struct triovit_run_options {
	/* from the call to the result, in microseconds: the run's deadline. What cannot make it is
	 * refused at once (-EAGAIN), what no longer can is dropped (-ETIME), a daemon that does not
	 * answer for 10 seconds more is given up (-ETIMEDOUT). 0: none */
	uint64_t timeout_usec;
	uint64_t tag; /* for triovit_session_cancel(). 0: none */
	uint32_t top; /* the so many best classes of each image in the result, at most 64 */
	uint32_t images; /* of triovit_model_run() alone; 0: 1. A session's are in its options */
};

/** struct triovit_class - one of the best classes of an image */
struct triovit_class {
	uint32_t index; /* the class */
	const char *label; /* its name; empty if the model has no labels */
	double probability; /* softmax over all classes */
};

/** struct triovit_result - of a run that succeeded; allocated by the library */
struct triovit_result {
	uint64_t cycles; /* the device's, exactly */
	uint64_t device_usec; /* time on the device */
	uint64_t queued_usec; /* time before */
	const char *device; /* the object path of the device */
	/* the best ones, best first: those of image k begin at k * top. NULL if none were wanted */
	const struct triovit_class *classes;
	uint32_t images; /* number of images */
	uint32_t top; /* classes an image: as many as were wanted, but not more than there are */
	/* triovit_model_run()'s output, not aligned; else NULL, and the output is where it was
	 * wanted */
	const void *output;
	size_t output_size; /* in bytes */
};

/** triovit_result_free - release the result of a run that waited */
void triovit_result_free(struct triovit_result *result);

/**
 * typedef triovit_run_callback - a run is over
 * @result: valid during the callback; NULL on failure
 * @error: NULL on success
 * @userdata: as given
 */
typedef void (*triovit_run_callback)(const struct triovit_result *result,
				     const struct triovit_error *error, void *userdata);

/**
 * triovit_model_run - run a model on bytes that are copied
 * @model: the model
 * @input: options->images images; copied during the call
 * @size: of the input, in bytes
 * @options: may be NULL
 * @ret: with the output, to be released by triovit_result_free()
 *
 * For other machines' daemons and for single runs; a session's runs copy nothing.
 *
 * Returns 0, -EINVAL, -ENOEXEC, -EDQUOT, -EAGAIN, -ETIME, -EIO, -ENODEV or another negative errno.
 */
int triovit_model_run(struct triovit_model *model, const void *input, size_t size,
		      const struct triovit_run_options *options, struct triovit_result **ret,
		      struct triovit_error *error);
/** triovit_model_run_async - triovit_model_run() that does not wait */
int triovit_model_run_async(struct triovit_model *model, const void *input, size_t size,
			    const struct triovit_run_options *options,
			    triovit_run_callback callback, void *userdata,
			    struct triovit_error *error);

/* --- sessions ------------------------------------------------------------------------------- */

/** enum triovit_priority - whose runs come first */
enum triovit_priority {
	TRIOVIT_PRIORITY_NORMAL, /* the default */
	TRIOVIT_PRIORITY_LOW, /* what can wait; it does not wait forever */
	TRIOVIT_PRIORITY_HIGH, /* polkit says who may */
};

/** struct triovit_session_options - what kind of session */
struct triovit_session_options {
	/* places for the inputs and outputs of runs, which is also how many of its runs can be
	 * under way, at most 16. 0: 2 */
	uint32_t slots;
	uint32_t images; /* of a run; the model must have a program for it. 0: 1 */
	enum triovit_priority priority; /* of its runs */
	const char *target; /* only on devices of that target. NULL: any */
};

/** struct triovit_session_info - what was opened; allocated by the library */
struct triovit_session_info {
	const char *path; /* its D-Bus object, which nobody else can see */
	uint32_t slots; /* number of slots */
	uint32_t images; /* images of a run */
	size_t input_size; /* bytes of a run's input */
	size_t output_size; /* bytes of a run's output */
};

/**
 * typedef triovit_session_callback - a session was opened, or not
 * @session: the callback's, to be released by triovit_session_close(); NULL on failure
 * @error: NULL on success
 * @userdata: as given
 */
typedef void (*triovit_session_callback)(struct triovit_session *session,
					 const struct triovit_error *error, void *userdata);

/**
 * triovit_session_open - open a session on a model and map its memory
 * @model: the model; the session keeps what it needs of it
 * @options: may be NULL
 * @ret: the session, to be released by triovit_session_close()
 *
 * Returns 0, -EINVAL, -ENOEXEC, -EDQUOT, -EACCES, -ENODEV, -EOPNOTSUPP or another negative errno.
 */
int triovit_session_open(struct triovit_model *model, const struct triovit_session_options *options,
			 struct triovit_session **ret, struct triovit_error *error);
/** triovit_session_open_async - triovit_session_open() that does not wait */
int triovit_session_open_async(struct triovit_model *model,
			       const struct triovit_session_options *options,
			       triovit_session_callback callback, void *userdata,
			       struct triovit_error *error);

/**
 * triovit_session_close - end a session and unmap its memory
 * @session: or NULL. Runs that are under way end without their callbacks being called
 *
 * Does not wait.
 */
void triovit_session_close(struct triovit_session *session);

/** triovit_session_info - what was opened; never NULL */
const struct triovit_session_info *triovit_session_info(const struct triovit_session *session);

/**
 * triovit_session_input - where to put a run's images
 * @session: the session
 * @slot: below the number of slots
 *
 * From the call of a run to its result the slot belongs to the daemon: what is written then changes
 * the run's own result at most.
 *
 * Returns input_size bytes, aligned to 64, that live as long as the session; NULL without such a
 * slot.
 */
uint8_t *triovit_session_input(const struct triovit_session *session, uint32_t slot);

/**
 * triovit_session_output - where a run's output is
 * @session: the session
 * @slot: below the number of slots
 *
 * Returns output_size bytes, aligned to 64, little-endian, that live as long as the session; NULL
 * without such a slot.
 */
const int16_t *triovit_session_output(const struct triovit_session *session, uint32_t slot);

/** enum triovit_access - what the processor is going to do with memory */
enum triovit_access {
	TRIOVIT_ACCESS_READ = 1 << 0, /* look at outputs */
	TRIOVIT_ACCESS_WRITE = 1 << 1, /* put inputs there */
};

/**
 * triovit_session_begin_access - before inputs are written or outputs are read
 * @session: the session
 * @access: of enum triovit_access
 *
 * Makes the processor and a device agree on what is in memory (DMA_BUF_IOCTL_SYNC). Each call needs
 * a triovit_session_end_access() with the same access before the next run. Does nothing for the
 * software device, whose memory is shared anyway.
 *
 * Returns 0 or what the kernel fails with.
 */
int triovit_session_begin_access(struct triovit_session *session, unsigned int access,
				 struct triovit_error *error);
/** triovit_session_end_access - after inputs were written or outputs were read */
int triovit_session_end_access(struct triovit_session *session, unsigned int access,
			       struct triovit_error *error);

/**
 * triovit_session_run - run the model on a slot
 * @session: the session
 * @slot: with the input
 * @options: may be NULL
 * @ret: to be released by triovit_result_free(); may be NULL
 *
 * Several runs may be under way, each on a slot of its own.
 *
 * Returns 0, -EINVAL, -EBUSY, -EDQUOT, -EAGAIN, -ETIME, -ECANCELED, -EIO, -ENODEV or another
 * negative errno.
 */
int triovit_session_run(struct triovit_session *session, uint32_t slot,
			const struct triovit_run_options *options, struct triovit_result **ret,
			struct triovit_error *error);
/** triovit_session_run_async - triovit_session_run() that does not wait */
int triovit_session_run_async(struct triovit_session *session, uint32_t slot,
			      const struct triovit_run_options *options,
			      triovit_run_callback callback, void *userdata,
			      struct triovit_error *error);

/**
 * triovit_session_run_memory - run the model on memory of the caller's
 * @session: the session
 * @fd: of a memfd with seals against shrinking and growing (triovit_memory_new()), or of a dma-buf
 *	on a board, which the caller brackets with DMA_BUF_IOCTL_SYNC. Stays the caller's
 * @input: offset of input_size bytes in it, a multiple of 64
 * @output: offset of output_size bytes in it, a multiple of 64
 * @options: may be NULL
 * @ret: to be released by triovit_result_free(); may be NULL
 *
 * Returns -EBADF, or what triovit_session_run() does.
 */
int triovit_session_run_memory(struct triovit_session *session, int fd, uint64_t input,
			       uint64_t output, const struct triovit_run_options *options,
			       struct triovit_result **ret, struct triovit_error *error);
/** triovit_session_run_memory_async - triovit_session_run_memory() that does not wait */
int triovit_session_run_memory_async(struct triovit_session *session, int fd, uint64_t input,
				     uint64_t output, const struct triovit_run_options *options,
				     triovit_run_callback callback, void *userdata,
				     struct triovit_error *error);

/**
 * triovit_session_cancel - drop runs that have not begun
 * @session: the session
 * @tag: those with this one in their options
 * @ret_cancelled: whether there were any; they end with -ECANCELED. May be NULL
 */
int triovit_session_cancel(struct triovit_session *session, uint64_t tag, bool *ret_cancelled,
			   struct triovit_error *error);

/**
 * triovit_memory_new - memory for triovit_session_run_memory()
 * @size: in bytes, at least 1
 * @ret_fd: a memfd of that size, sealed as the daemon wants it; to be released by close(2)
 * @ret_data: its bytes, zeros, mapped readable and writable; to be released by munmap(2)
 *
 * Returns 0 or what the kernel fails with.
 */
int triovit_memory_new(size_t size, int *ret_fd, void **ret_data, struct triovit_error *error);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
