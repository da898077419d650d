/* SPDX-License-Identifier: MIT */
/*
 * What commands look at: a checkpoint, which runs in float, or a model package, of which one
 * program runs in integers on the functional model. Which of the two a file is, it says itself.
 */
#ifndef TV_TOOLS_SIM_SUBJECT_H
#define TV_TOOLS_SIM_SUBJECT_H

#include "image/folder.h"
#include "quantizer/checkpoint.h"
#include "quantizer/integer.h"
#include "quantizer/target-file.h"
#include "tools/sim.h"

/* A program of a package and the target that it is for. */
struct sim_model {
	struct tv_package *package;
	const struct tv_package_program *program;
	struct tv_target_file target;
};

/* Whether the file at path is a model package. -EBADMSG and the like where it is no such file. */
int sim_is_model(const char *path, bool *ret, struct tv_error *error);

/* target: a name, a file that describes one, or NULL for any; images: a job's, or 0 for any, the
 * smallest first. The error text lists what the package has. */
int sim_model_open(const char *path, const char *target, unsigned int images, struct sim_model *ret,
		   struct tv_error *error);
void sim_model_done(struct sim_model *model);
/* "integer model, 16 classes, input 96x96; program for zcu102, 1 image a job" as a line. */
void sim_print_model(const struct sim_model *model);

struct sim_subject_options {
	struct tv_checkpoint_options checkpoint;
	const char *target;
	unsigned int images;
	bool cycles; /* run a model's jobs on the cycle model */
};

/* ret: bool, whether an engine's name is that of the cycle model; of the two there are. */
int sim_take_engine(const struct tool_command *command, const struct tool_option *option,
		    const char *text, void *ret);

/* Rows of all of them, in a field of the command's structure. */
#define SIM_SUBJECT_OPTIONS(type, field)                                                           \
	SIM_SIZE(type, field.checkpoint.size), SIM_CROP_RATIO(type, field.checkpoint.crop_ratio),  \
		SIM_LABELS(type, field.checkpoint.labels), SIM_TARGET(type, field.target),         \
		SIM_IMAGES(type, field.images),                                                    \
	{                                                                                          \
		"engine", 0, sim_take_engine, offsetof(type, field.cycles), 0, 0                   \
	}

#define SIM_LABELS_HELP "      --labels FILE    names of the classes, that of class i on line i\n"

#define SIM_SUBJECT_HELP                                                                           \
	"\n"                                                                                       \
	"Of a checkpoint:\n"                                                                       \
	"      --size N         side of the input, a multiple of 32 (else the\n"                   \
	"                       checkpoint's, else 224)\n"                                         \
	"      --crop-ratio R   the input's share of the resized image's shorter side,\n"          \
	"                       above 0 and up to 1 (else the checkpoint's)\n"                     \
	"\n"                                                                                       \
	"Of a model, to choose one of its programs:\n"                                             \
	"      --target NAME    what it is for, or a file that describes a target\n"               \
	"      --images N       images that a job works on\n"                                      \
	"      --engine NAME    functional (default), or cycle, the model of the\n"                \
	"                       accelerator's clock: slower, the same answers\n"

struct sim_subject {
	const char *path;
	struct tv_network *network; /* of a checkpoint, else NULL */
	struct sim_model model; /* else */
	unsigned int size, resize, classes;
	unsigned int batch; /* images that are classified together */
	bool cycles; /* of a model: by the cycle model */
	char **labels; /* classes names, or NULL; the network's, the package's or own */
	bool own_labels;
};

/* Options that a checkpoint or a model has no use for are an error. */
int sim_subject_open(const char *path, const struct sim_subject_options *options,
		     struct sim_subject *ret, struct tv_error *error);
void sim_subject_done(struct sim_subject *subject);

/* Decodes the image at path and brings it to the size of an input. ret: size * size * 3 bytes. */
int sim_read_image(unsigned int size, unsigned int resize, const char *path, uint8_t *ret,
		   struct tv_error *error);

/* One thread's means of classifying. */
struct sim_classifier;

/* other: another thread's, with which it shares what does not change; or NULL. */
int sim_classifier_new(const struct sim_subject *subject, const struct sim_classifier *other,
		       struct sim_classifier **ret, struct tv_error *error);
void sim_classifier_free(struct sim_classifier *classifier);
TV_DEFINE_CLEANUP(struct sim_classifier *, sim_classifier_free)

/* Reads count images, 1 to batch, and classifies them. *ret: [count][classes] logits as real
 * numbers, the classifier's, valid until the next call. The error text names the image. */
int sim_classify(struct sim_classifier *classifier, const struct tv_folder_image *images,
		 unsigned int count, const float **ret, struct tv_error *error);

/* Images of a folder with one subfolder a label; labels as in tv_folder_read_labelled(), or NULL if
 * the subfolders, as many as classes, are the labels. limit: 0, or so many images, which come first
 * in the folder's list, evenly from all classes. subject names what has the classes. */
int sim_read_folder(const char *path, const struct sim_subject *subject, uint64_t limit,
		    struct tv_folder *ret, size_t *ret_count, struct tv_error *error);

#endif
