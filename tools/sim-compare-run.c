/* SPDX-License-Identifier: MIT */
/* The same images through both networks, one after the other on each thread. */
#include <stdlib.h>
#include <time.h>

#include "common/parallel.h"
#include "model/answer.h"
#include "tools/sim-compare.h"

/* What one thread needs for one image after the other. */
struct worker {
	struct tv_float_runner *floats;
	struct tv_integer_runner *integers;
	struct sim_layers *layers;
	uint8_t *rgb;
	float *logits;
	int16_t *codes;
};

struct work {
	struct sim_comparison *comparison;
	struct worker *workers;
	struct tv_progress progress;
};

static void work_done(struct work *work)
{
	for (unsigned int i = 0; work->workers && i < work->comparison->threads; i++) {
		struct worker *worker = &work->workers[i];

		tv_float_runner_free(worker->floats);
		tv_integer_runner_free(worker->integers);
		sim_layers_free(worker->layers);
		free(worker->rgb);
		free(worker->logits);
		free(worker->codes);
	}
	free(work->workers);
}

/* first: of all. */
static int make_worker(const struct sim_comparison *comparison, const struct worker *first,
		       struct worker *worker, struct tv_error *error)
{
	const struct sim_model *model = comparison->model;
	const struct tv_package *package = model->package;
	int r;

	worker->rgb = calloc(package->size, (size_t)package->size * 3);
	worker->logits = calloc(package->classes, sizeof(*worker->logits));
	worker->codes = calloc(package->classes, sizeof(*worker->codes));
	if (!worker->rgb || !worker->logits || !worker->codes)
		return tv_error_oom(error);
	r = tv_float_runner_new(comparison->network, &worker->floats, error);
	if (r >= 0 && worker != first)
		r = tv_integer_runner_twin(first->integers, &worker->integers, error);
	else if (r >= 0)
		r = tv_integer_runner_new(package, model->program, &model->target.target,
					  &worker->integers, error);
	if (r >= 0 && comparison->layer_images)
		r = sim_layers_new(comparison, &worker->layers, error);
	return r;
}

static int prepare(struct work *work, struct tv_error *error)
{
	struct sim_comparison *comparison = work->comparison;
	const size_t nodes = comparison->network->count;

	comparison->pairs = calloc(comparison->count, sizeof(*comparison->pairs));
	comparison->sums = calloc(comparison->layer_images * nodes + 1, sizeof(*comparison->sums));
	comparison->layers = calloc(nodes, sizeof(*comparison->layers));
	comparison->worst = calloc(nodes, sizeof(*comparison->worst));
	work->workers = calloc(comparison->threads, sizeof(*work->workers));
	if (!comparison->pairs || !comparison->sums || !comparison->layers || !comparison->worst ||
	    !work->workers)
		return tv_error_oom(error);
	for (unsigned int i = 0; i < comparison->threads; i++) {
		int r = make_worker(comparison, work->workers, &work->workers[i], error);

		if (r < 0)
			return r;
	}
	return 0;
}

static void pair_up(const struct sim_comparison *comparison, const struct worker *worker, int label,
		    struct sim_pair *ret)
{
	const struct tv_package *package = comparison->model->package;
	unsigned int best, integer_best = tv_argmax(worker->codes, package->classes);

	tv_top_k(worker->logits, package->classes, 1, &best);
	ret->float_right = (int)best == label;
	ret->other_right = (int)integer_best == label;
	ret->agree = best == integer_best;
	for (unsigned int i = 0; i < package->classes; i++) {
		double wanted = (double)worker->logits[i];
		double error = wanted - (double)package->logit_scale * worker->codes[i];

		ret->logits.signal += wanted * wanted;
		ret->logits.noise += error * error;
	}
}

/* Where an image's layers go; NULL: nowhere, others are measured. */
static struct sim_layer_sums *sums_of(const struct sim_comparison *comparison, size_t index)
{
	size_t place = index * comparison->layer_images / comparison->count;
	size_t next = (index + 1) * comparison->layer_images / comparison->count;

	return place < next ? comparison->sums + place * comparison->network->count : NULL;
}

static int compare_image(size_t index, unsigned int worker_index, void *userdata,
			 struct tv_error *error)
{
	struct work *work = userdata;
	struct sim_comparison *comparison = work->comparison;
	const struct tv_package *package = comparison->model->package;
	const struct tv_folder_image *image = &comparison->images[index];
	struct sim_layer_sums *sums = sums_of(comparison, index);
	struct worker *worker = &work->workers[worker_index];
	int r;

	r = sim_read_image(package->size, package->resize, image->path, worker->rgb, error);
	if (r < 0)
		return r;
	r = tv_integer_run(worker->integers, worker->rgb, 1, sums ? sim_layers_watch : NULL,
			   worker->layers, worker->codes, NULL, error);
	if (r >= 0 && sums)
		r = sim_layers_measure(worker->layers, worker->floats, worker->rgb, worker->logits,
				       sums, error);
	else if (r >= 0)
		r = tv_float_run(worker->floats, worker->rgb, NULL, NULL, worker->logits);
	if (r < 0)
		return tv_error_prefix(error, r, "%s", image->path);
	pair_up(comparison, worker, image->label, &comparison->pairs[index]);
	return 0;
}

static void tick(size_t done, size_t total, void *userdata)
{
	struct work *work = userdata;

	tv_progress_update(&work->progress, done, total);
}

static void add(struct sim_layer_sums *to, const struct sim_layer_sums *from)
{
	to->accumulated.signal += from->accumulated.signal;
	to->accumulated.noise += from->accumulated.noise;
	to->isolated.signal += from->isolated.signal;
	to->isolated.noise += from->isolated.noise;
	to->values += from->values;
	to->clipped += from->clipped;
}

/* By what the layer itself does wrong; equals in the order of the network. */
static int compare_isolated(const void *a, const void *b)
{
	const struct sim_layer *const *x = a, *const *y = b;
	double first = (*x)->isolated, second = (*y)->isolated;

	if (first < second || first > second)
		return first < second ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

static void sum_up(struct sim_comparison *comparison)
{
	const size_t count = comparison->network->count;

	for (size_t n = 0; n < count; n++) {
		struct sim_layer *layer = &comparison->layers[n];

		layer->name = comparison->network->nodes[n].name;
		for (size_t i = 0; i < comparison->layer_images; i++)
			add(&layer->sums, &comparison->sums[i * count + n]);
		layer->isolated = sim_decibels(&layer->sums.isolated);
		layer->accumulated = sim_decibels(&layer->sums.accumulated);
		comparison->worst[n] = layer;
	}
	qsort(comparison->worst, count, sizeof(struct sim_layer *), compare_isolated);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int sim_comparison_run(struct sim_comparison *comparison, struct tv_error *error)
{
	_cleanup_(work_done) struct work work = { .comparison = comparison };
	double started = now();
	int r;

	if (!comparison->threads)
		comparison->threads = tv_parallel_threads();
	if (comparison->threads > comparison->count)
		comparison->threads = (unsigned int)comparison->count;
	if (comparison->layer_images > comparison->count)
		comparison->layer_images = comparison->count;
	r = prepare(&work, error);
	if (r < 0)
		return r;
	tv_progress_start(&work.progress, "comparing", "images", comparison->quiet);
	r = tv_parallel_for(comparison->count, comparison->threads, compare_image, tick, &work,
			    error);
	if (r < 0)
		return r;
	tv_progress_end(&work.progress, comparison->count, comparison->count);
	sum_up(comparison);
	comparison->seconds = now() - started;
	return 0;
}

void sim_comparison_done(struct sim_comparison *comparison)
{
	free(comparison->pairs);
	free(comparison->sums);
	free(comparison->layers);
	free(comparison->worst);
}
