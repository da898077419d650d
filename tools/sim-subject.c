/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "image/decode.h"
#include "quantizer/float.h"
#include "tools/sim-subject.h"

int sim_is_model(const char *path, bool *ret, struct tv_error *error)
{
	_cleanup_(tv_safetensors_freep) struct tv_safetensors *file = NULL;
	int r = tv_safetensors_open(path, &file, error);

	if (r < 0)
		return r;
	*ret = tv_package_is(file);
	return 0;
}

/* "zcu102 with 1 or 4 images" would be nicer to read and harder to type back. */
static void list_programs(const struct tv_package *package, char *ret, size_t size)
{
	size_t length = 0;

	for (size_t i = 0; i < package->program_count && length < size; i++) {
		const struct tv_package_program *program = &package->programs[i];

		length += (size_t)snprintf(ret + length, size - length, "%s--target %s --images %u",
					   i ? ", " : "", program->target, program->header.images);
	}
}

int sim_model_open(const char *path, const char *target, unsigned int images, struct sim_model *ret,
		   struct tv_error *error)
{
	_cleanup_(sim_model_done) struct sim_model model = { 0 };
	const struct tv_package_program *program;
	char programs[256];
	int r;

	if (target) {
		r = tv_target_find(target, &model.target, error);
		if (r < 0)
			return r;
	}
	r = tv_package_read(path, &model.package, error);
	if (r < 0)
		return r;
	program =
		tv_package_program(model.package, target ? model.target.target.name : NULL, images);
	if (!program) {
		list_programs(model.package, programs, sizeof(programs));
		return tv_error_set(error, -ENOENT, "%s: no such program; there are: %s", path,
				    programs);
	}
	if (!target) {
		const struct tv_target *built_in = tv_target_by_name(program->target);

		if (!built_in)
			return tv_error_set(error, -EINVAL,
					    "%s: made for target '%s', which is not built in: "
					    "give --target FILE, its description",
					    path, program->target);
		model.target.target = *built_in;
	}
	*ret = model;
	ret->program = program;
	/* A name from a file lies in the structure itself. */
	if (model.target.target.name == model.target.text)
		ret->target.target.name = ret->target.text;
	model = (struct sim_model){ 0 };
	return 0;
}

void sim_model_done(struct sim_model *model)
{
	tv_package_free(model->package);
	*model = (struct sim_model){ 0 };
}

void sim_print_model(const struct sim_model *model)
{
	const struct tv_package *package = model->package;
	unsigned int images = model->program->header.images;

	printf("integer model, %u classes, input %ux%u; program for %s, %u image%s a job\n",
	       package->classes, package->size, package->size, model->program->target, images,
	       images == 1 ? "" : "s");
}

int sim_take_engine(const struct tool_command *command, const struct tool_option *option,
		    const char *text, void *ret)
{
	bool *cycles = ret;

	*cycles = !strcmp(text, "cycle");
	if (*cycles || !strcmp(text, "functional"))
		return 0;
	return tool_wrong_usage(command, "--%s is functional or cycle", option->name);
}

static int open_checkpoint(const char *path, const struct sim_subject_options *options,
			   struct sim_subject *subject, struct tv_error *error)
{
	struct tv_network *network;
	int r;

	if (options->target || options->images)
		return tv_error_set(error, -EINVAL,
				    "%s: a checkpoint, which has no programs that --target and "
				    "--images could choose from",
				    path);
	if (options->cycles)
		return tv_error_set(error, -EINVAL,
				    "%s: a checkpoint, which runs in float: no --engine", path);
	r = tv_checkpoint_read(path, &options->checkpoint, &network, error);
	if (r < 0)
		return r;
	*subject = (struct sim_subject){
		.path = path,
		.network = network,
		.size = network->size,
		.resize = network->resize,
		.classes = network->architecture.classes,
		.batch = 1,
		.labels = network->labels,
	};
	return 0;
}

static int read_labels(struct sim_subject *subject, const char *path, struct tv_error *error)
{
	char **labels;
	size_t count;
	int r;

	r = tv_labels_read(path, &labels, &count, error);
	if (r < 0)
		return r;
	if (count != subject->classes) {
		tv_labels_free(labels, count);
		return tv_error_set(error, -EBADMSG,
				    "%s: %zu class names, expected the %u classes of the model",
				    path, count, subject->classes);
	}
	subject->labels = labels;
	subject->own_labels = true;
	return 0;
}

static int open_model(const char *path, const struct sim_subject_options *options,
		      struct sim_subject *subject, struct tv_error *error)
{
	struct sim_model *model = &subject->model;
	int r;

	if (options->checkpoint.size || options->checkpoint.crop_ratio != 0)
		return tv_error_set(error, -EINVAL,
				    "%s: a model, whose input is what it was quantized for: no "
				    "--size, no --crop-ratio",
				    path);
	r = sim_model_open(path, options->target, options->images, model, error);
	if (r < 0)
		return r;
	subject->path = path;
	subject->size = model->package->size;
	subject->resize = model->package->resize;
	subject->classes = model->package->classes;
	subject->batch = model->program->header.images;
	subject->cycles = options->cycles;
	subject->labels = model->package->labels;
	if (!options->checkpoint.labels)
		return 0;
	r = read_labels(subject, options->checkpoint.labels, error);
	if (r < 0)
		sim_subject_done(subject);
	return r;
}

int sim_subject_open(const char *path, const struct sim_subject_options *options,
		     struct sim_subject *ret, struct tv_error *error)
{
	bool model;
	int r;

	*ret = (struct sim_subject){ 0 };
	r = sim_is_model(path, &model, error);
	if (r < 0)
		return r;
	return (model ? open_model : open_checkpoint)(path, options, ret, error);
}

void sim_subject_done(struct sim_subject *subject)
{
	if (subject->own_labels)
		tv_labels_free(subject->labels, subject->classes);
	tv_network_free(subject->network);
	sim_model_done(&subject->model);
	*subject = (struct sim_subject){ 0 };
}

int sim_read_image(unsigned int size, unsigned int resize, const char *path, uint8_t *ret,
		   struct tv_error *error)
{
	const struct tv_preprocess how = { .size = size, .resize = resize };
	_cleanup_(tv_image_done) struct tv_image image = { 0 };
	struct tv_rgb_view view;
	int r;

	r = tv_image_decode_file(path, &image, error);
	if (r < 0)
		return r;
	view = (struct tv_rgb_view){
		.data = image.rgb,
		.width = image.width,
		.height = image.height,
		.stride = 3 * (size_t)image.width,
	};
	r = tv_preprocess_rgb(&how, &view, ret, error);
	return r < 0 ? tv_error_prefix(error, r, "%s", path) : 0;
}

struct sim_classifier {
	const struct sim_subject *subject;
	struct tv_float_runner *floats; /* of a checkpoint */
	struct tv_integer_runner *integers; /* of a model */
	uint8_t *rgb; /* [batch][size][size][3] */
	int16_t *codes; /* [batch][classes] */
	float *logits; /* likewise */
};

int sim_classifier_new(const struct sim_subject *subject, const struct sim_classifier *other,
		       struct sim_classifier **ret, struct tv_error *error)
{
	_cleanup_(sim_classifier_freep) struct sim_classifier *classifier = NULL;
	const struct sim_model *model = &subject->model;
	size_t logits = (size_t)subject->batch * subject->classes;
	int r;

	classifier = calloc(1, sizeof(*classifier));
	if (!classifier)
		return tv_error_oom(error);
	classifier->subject = subject;
	classifier->rgb = calloc(subject->batch, (size_t)subject->size * subject->size * 3);
	classifier->codes = calloc(logits, sizeof(*classifier->codes));
	classifier->logits = calloc(logits, sizeof(*classifier->logits));
	if (!classifier->rgb || !classifier->codes || !classifier->logits)
		return tv_error_oom(error);
	if (subject->network)
		r = tv_float_runner_new(subject->network, &classifier->floats, error);
	else if (other)
		r = tv_integer_runner_twin(other->integers, &classifier->integers, error);
	else
		r = tv_integer_runner_new(model->package, model->program, &model->target.target,
					  &classifier->integers, error);
	if (r < 0)
		return r;
	if (subject->cycles)
		tv_integer_runner_use_cycles(classifier->integers);
	*ret = TV_TAKE_PTR(classifier);
	return 0;
}

void sim_classifier_free(struct sim_classifier *classifier)
{
	if (!classifier)
		return;
	tv_float_runner_free(classifier->floats);
	tv_integer_runner_free(classifier->integers);
	free(classifier->rgb);
	free(classifier->codes);
	free(classifier->logits);
	free(classifier);
}

static int classify_integers(struct sim_classifier *classifier, unsigned int count,
			     struct tv_error *error)
{
	const struct sim_subject *subject = classifier->subject;
	int r;

	r = tv_integer_run(classifier->integers, classifier->rgb, count, NULL, NULL,
			   classifier->codes, NULL, error);
	for (size_t i = 0; r >= 0 && i < (size_t)count * subject->classes; i++)
		classifier->logits[i] =
			(float)classifier->codes[i] * subject->model.package->logit_scale;
	return r;
}

int sim_classify(struct sim_classifier *classifier, const struct tv_folder_image *images,
		 unsigned int count, const float **ret, struct tv_error *error)
{
	const struct sim_subject *subject = classifier->subject;
	size_t bytes = (size_t)subject->size * subject->size * 3;
	int r;

	for (unsigned int i = 0; i < count; i++) {
		r = sim_read_image(subject->size, subject->resize, images[i].path,
				   classifier->rgb + i * bytes, error);
		if (r < 0)
			return r;
	}
	if (subject->network)
		r = tv_float_run(classifier->floats, classifier->rgb, NULL, NULL,
				 classifier->logits);
	else
		r = classify_integers(classifier, count, error);
	if (r < 0)
		return tv_error_prefix(error, r, "%s", images[0].path);
	*ret = classifier->logits;
	return 0;
}
