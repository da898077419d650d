/* SPDX-License-Identifier: MIT */
/*
 * Says what is in pictures: loads a model, puts one picture after the other into a session's
 * memory, and waits for each answer.
 *
 *	cc classify.c $(pkg-config --cflags --libs libtriovit) -o classify
 *	./classify b1.safetensors cat.ppm
 *
 * TRIOVIT_ADDRESS is the address of another bus than the system's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <triovit.h>

/* A binary PPM of 8 bits, as it is the simplest format of all; the pixels are the caller's. */
static uint8_t *read_ppm(const char *path, struct triovit_frame *frame)
{
	unsigned int width, height, most;
	FILE *file = fopen(path, "rb");
	uint8_t *pixels = NULL;
	size_t size;

	if (!file)
		return NULL;
	if (fscanf(file, "P6 %u %u %u", &width, &height, &most) == 3 && most == 255 &&
	    fgetc(file) != EOF && width && height && width <= 65500 && height <= 65500) {
		size = (size_t)width * height * 3;
		pixels = malloc(size);
		if (pixels && fread(pixels, 1, size, file) != size) {
			free(pixels);
			pixels = NULL;
		}
		*frame = (struct triovit_frame){
			.format = TRIOVIT_FORMAT_RGB24,
			.width = width,
			.height = height,
			.planes[0] = { .data = pixels, .size = size, .stride = (size_t)width * 3 },
		};
	}
	fclose(file);
	return pixels;
}

/* From the picture to the session's memory, on some device, and back. */
static int classify(struct triovit_model *model, struct triovit_session *session,
		    const struct triovit_frame *frame, struct triovit_result **ret,
		    struct triovit_error *error)
{
	const struct triovit_run_options options = { .top = 5 };
	int r;

	r = triovit_session_begin_access(session, TRIOVIT_ACCESS_WRITE, error);
	if (r < 0)
		return r;
	r = triovit_model_preprocess(model, frame, triovit_session_input(session, 0),
				     triovit_session_info(session)->input_size, error);
	if (r < 0)
		return r;
	r = triovit_session_end_access(session, TRIOVIT_ACCESS_WRITE, error);
	if (r < 0)
		return r;
	return triovit_session_run(session, 0, &options, ret, error);
}

/* Whether it could be said. */
static int show(struct triovit_model *model, struct triovit_session *session, const char *path)
{
	struct triovit_result *result = NULL;
	struct triovit_frame frame;
	struct triovit_error error;
	uint8_t *pixels = read_ppm(path, &frame);
	int good = 0;

	if (!pixels) {
		fprintf(stderr, "%s: no binary PPM of 8 bits\n", path);
	} else if (classify(model, session, &frame, &result, &error) < 0) {
		fprintf(stderr, "%s: %s\n", path, error.text);
	} else {
		good = 1;
		printf("%s\n", path);
		for (uint32_t k = 0; k < result->top; k++)
			printf("  %-20s %.7g\n", result->classes[k].label,
			       result->classes[k].probability);
	}
	triovit_result_free(result);
	free(pixels);
	return good;
}

int main(int argc, char **argv)
{
	const char *address = getenv("TRIOVIT_ADDRESS");
	enum triovit_bus bus = address ? TRIOVIT_BUS_ADDRESS : TRIOVIT_BUS_SYSTEM;
	struct triovit_client *client = NULL;
	struct triovit_model *model = NULL;
	struct triovit_session *session = NULL;
	struct triovit_error error;
	int good = 1;

	if (argc < 3) {
		fprintf(stderr, "usage: classify MODEL.safetensors PICTURE.ppm...\n");
		return 2;
	}
	if (triovit_open(bus, address, 0, &client, &error) < 0 ||
	    triovit_model_load_path(client, argv[1], NULL, &model, &error) < 0 ||
	    triovit_session_open(model, NULL, &session, &error) < 0) {
		fprintf(stderr, "%s: %s\n", argv[1], error.text);
		good = 0;
	}
	for (int i = 2; session && i < argc; i++)
		good &= show(model, session, argv[i]);
	triovit_session_close(session);
	triovit_model_free(model);
	triovit_close(client);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
