/* SPDX-License-Identifier: MIT */
/*
 * Says what is in the frames of a camera: one poll() for the camera and the daemon, several runs in
 * flight, and a deadline that a live picture needs.
 *
 *	ffmpeg -i /dev/video0 -f rawvideo -pix_fmt nv12 - | ./stream b1.safetensors 640 480 100
 *
 * TRIOVIT_ADDRESS is the address of another bus than the system's.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <triovit.h>
#include <unistd.h>

#define SLOTS 4

struct stream {
	struct triovit_model *model;
	struct triovit_session *session;
	struct triovit_frame frame;
	uint8_t *pixels;
	size_t size, filled; /* of pixels */
	unsigned int frames;
	uint64_t deadline_usec;
	struct slot {
		unsigned int frame; /* that is in it */
		int busy;
	} slots[SLOTS];
};

static void die(const char *what, const struct triovit_error *error)
{
	fprintf(stderr, "%s: %s\n", what, error->text);
	exit(EXIT_FAILURE);
}

static void on_result(const struct triovit_result *result, const struct triovit_error *error,
		      void *userdata)
{
	struct slot *slot = userdata;

	slot->busy = 0;
	if (result)
		printf("%u %s %.7g\n", slot->frame, result->classes[0].label,
		       result->classes[0].probability);
	else
		printf("%u %s\n", slot->frame, error->text);
	fflush(stdout);
}

static struct slot *free_slot(struct stream *stream)
{
	for (int i = 0; i < SLOTS; i++)
		if (!stream->slots[i].busy)
			return &stream->slots[i];
	return NULL;
}

static void start_run(struct stream *stream, struct slot *slot)
{
	const struct triovit_run_options options = { .top = 1,
						     .timeout_usec = stream->deadline_usec };
	struct triovit_session *session = stream->session;
	uint32_t number = (uint32_t)(slot - stream->slots);
	struct triovit_error error;

	slot->frame = stream->frames++;
	if (triovit_session_begin_access(session, TRIOVIT_ACCESS_WRITE, &error) < 0 ||
	    triovit_model_preprocess(stream->model, &stream->frame,
				     triovit_session_input(session, number),
				     triovit_session_info(session)->input_size, &error) < 0 ||
	    triovit_session_end_access(session, TRIOVIT_ACCESS_WRITE, &error) < 0 ||
	    triovit_session_run_async(session, number, &options, on_result, slot, &error) < 0)
		die("a run", &error);
	slot->busy = 1;
}

/* A part of a frame, or the end of one. Returns 0 at the end of all. */
static int read_frame(struct stream *stream, struct slot *slot)
{
	ssize_t size =
		read(STDIN_FILENO, stream->pixels + stream->filled, stream->size - stream->filled);

	if (size <= 0)
		return size < 0 && errno == EINTR;
	stream->filled += (size_t)size;
	if (stream->filled == stream->size) {
		stream->filled = 0;
		start_run(stream, slot);
	}
	return 1;
}

/* How long poll() may sleep. */
static int sleep_ms(struct triovit_client *client)
{
	struct timespec time;
	uint64_t due, now;

	triovit_timeout(client, &due);
	clock_gettime(CLOCK_MONOTONIC, &time);
	now = (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
	if (due <= now)
		return 0;
	due = (due - now + 999) / 1000;
	return due < 3600000 ? (int)due : -1;
}

static void run(struct triovit_client *client, struct stream *stream)
{
	struct triovit_error error;
	int open = 1, busy = 0, r;

	while (open || busy) {
		struct slot *slot = free_slot(stream);
		struct pollfd fds[2] = {
			{ .fd = triovit_fd(client), .events = (short)triovit_events(client) },
			/* Only while there is somewhere to put it. */
			{ .fd = open && slot ? STDIN_FILENO : -1, .events = POLLIN },
		};

		if (poll(fds, 2, sleep_ms(client)) < 0 && errno != EINTR)
			break;
		if (fds[1].revents)
			open = read_frame(stream, slot);
		while ((r = triovit_process(client, &error)) > 0)
			;
		if (r < 0)
			die("triovitd", &error);
		busy = 0;
		for (int i = 0; i < SLOTS; i++)
			busy |= stream->slots[i].busy;
	}
}

static void set_format(struct stream *stream, uint32_t width, uint32_t height)
{
	size_t luma = (size_t)width * height;

	stream->size = luma + luma / 2;
	stream->pixels = malloc(stream->size);
	if (!stream->pixels)
		exit(EXIT_FAILURE);
	stream->frame = (struct triovit_frame){
		.format = TRIOVIT_FORMAT_NV12,
		.matrix = TRIOVIT_MATRIX_BT601,
		.range = TRIOVIT_RANGE_LIMITED,
		.width = width,
		.height = height,
		.planes = { { stream->pixels, luma, width },
			    { stream->pixels + luma, luma / 2, width } },
	};
}

int main(int argc, char **argv)
{
	static const struct triovit_session_options options = { .slots = SLOTS };
	const char *address = getenv("TRIOVIT_ADDRESS");
	enum triovit_bus bus = address ? TRIOVIT_BUS_ADDRESS : TRIOVIT_BUS_SYSTEM;
	struct triovit_client *client = NULL;
	struct stream stream = { .filled = 0 };
	struct triovit_error error;

	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: stream MODEL.safetensors WIDTH HEIGHT [DEADLINE_MS]\n");
		return 2;
	}
	stream.deadline_usec = argc == 5 ? strtoull(argv[4], NULL, 10) * 1000 : 1000000;
	set_format(&stream, (uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]));
	if (triovit_open(bus, address, 0, &client, &error) < 0)
		die("triovitd", &error);
	if (triovit_model_load_path(client, argv[1], NULL, &stream.model, &error) < 0)
		die(argv[1], &error);
	if (triovit_session_open(stream.model, &options, &stream.session, &error) < 0)
		die("a session", &error);
	run(client, &stream);
	triovit_session_close(stream.session);
	triovit_model_free(stream.model);
	triovit_close(client);
	free(stream.pixels);
	return EXIT_SUCCESS;
}
