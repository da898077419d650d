/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "common/parallel.h"
#include "image/decode.h"
#include "quantizer/float.h"
#include "quantizer/statistics.h"

/* A thread's own memory. */
struct worker {
	struct tv_float_runner *runner;
	uint8_t *rgb;
	float *logits;
	/* The maps that an attention reads, kept from when their nodes put them out. */
	float *maps[2];
	float *product, *sum; /* of one head */
	/* One image's share of a node: counted apart, added to the whole under the node's lock. */
	uint32_t *bins;
	float *least, *most;
};

struct collection {
	struct tv_statistics *statistics;
	const struct tv_folder_image *images;
	struct worker *workers;
	unsigned int worker_count;
	pthread_mutex_t *locks; /* of each node */
	unsigned int pass;
	tv_statistics_tick tick;
	void *userdata;
};

static void workers_free(struct worker *workers, unsigned int count)
{
	for (unsigned int i = 0; workers && i < count; i++) {
		tv_float_runner_free(workers[i].runner);
		free(workers[i].rgb);
		free(workers[i].logits);
		free(workers[i].maps[0]);
		free(workers[i].maps[1]);
		free(workers[i].product);
		free(workers[i].sum);
		free(workers[i].bins);
		free(workers[i].least);
		free(workers[i].most);
	}
	free(workers);
}

static int worker_init(struct worker *worker, const struct tv_network *network,
		       struct tv_error *error)
{
	size_t channels = 0, map = 0, dim = 0;
	int r;

	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];
		size_t values = (size_t)node->in_height * node->in_width;

		if (node->out_channels > channels)
			channels = node->out_channels;
		if (node->kind != TV_NODE_ATTENTION)
			continue;
		values *= network->nodes[node->input].out_channels;
		if (values > map)
			map = values;
		if (node->head_dim > dim)
			dim = node->head_dim;
	}
	worker->rgb = malloc((size_t)network->size * network->size * 3);
	worker->logits = calloc(network->architecture.classes, sizeof(float));
	worker->maps[0] = calloc(map + 1, sizeof(float));
	worker->maps[1] = calloc(map + 1, sizeof(float));
	worker->product = calloc(dim * dim + 1, sizeof(float));
	worker->sum = calloc(dim + 1, sizeof(float));
	worker->bins = calloc(channels * TV_STATISTICS_BINS, sizeof(uint32_t));
	worker->least = calloc(channels, sizeof(float));
	worker->most = calloc(channels, sizeof(float));
	if (!worker->rgb || !worker->logits || !worker->maps[0] || !worker->maps[1] ||
	    !worker->product || !worker->sum || !worker->bins || !worker->least || !worker->most)
		return tv_error_oom(error);
	r = tv_float_runner_new(network, &worker->runner, error);
	return r < 0 ? r : 0;
}

static float larger(float a, float b)
{
	return a > b ? a : b;
}

static float smaller(float a, float b)
{
	return a < b ? a : b;
}

/* k^T v, sum(k) and the divisors of one head: map has 3 * dim channels a head, (q, k, v). */
static void see_head(const struct worker *worker, const float *map, unsigned int tokens,
		     unsigned int channels, unsigned int dim, float ret[3])
{
	float *product = worker->product, *sum = worker->sum;

	memset(product, 0, sizeof(float) * dim * dim);
	memset(sum, 0, sizeof(float) * dim);
	for (unsigned int t = 0; t < tokens; t++) {
		const float *k = map + (size_t)t * channels + dim, *v = k + dim;

		for (unsigned int i = 0; i < dim; i++) {
			if (k[i] <= 0)
				continue;
			sum[i] += k[i];
			for (unsigned int j = 0; j < dim; j++)
				product[i * dim + j] += k[i] * v[j];
		}
	}
	for (unsigned int i = 0; i < dim; i++) {
		ret[1] = larger(ret[1], sum[i]);
		for (unsigned int j = 0; j < dim; j++)
			ret[0] = larger(ret[0], fabsf(product[i * dim + j]));
	}
	for (unsigned int t = 0; t < tokens; t++) {
		const float *q = map + (size_t)t * channels;
		float divisor = 0;

		for (unsigned int i = 0; i < dim; i++)
			divisor += larger(q[i], 0) * sum[i];
		ret[2] = larger(ret[2], divisor);
	}
}

static void see_attention(struct collection *c, const struct worker *worker,
			  const struct tv_node *node, size_t index)
{
	const struct tv_network *network = c->statistics->network;
	struct tv_node_statistics *statistics = &c->statistics->nodes[index];
	unsigned int channels = network->nodes[node->input].out_channels;
	unsigned int dim = node->head_dim, heads = channels / (3 * dim);
	unsigned int tokens = node->in_height * node->in_width;

	for (unsigned int h = 0; h < 2 * heads; h++) {
		const float *map = worker->maps[h / heads] + (size_t)(h % heads) * 3 * dim;
		float seen[3] = { 0 };

		see_head(worker, map, tokens, channels, dim, seen);
		pthread_mutex_lock(&c->locks[index]);
		statistics->product[h] = larger(statistics->product[h], seen[0]);
		statistics->sum[h] = larger(statistics->sum[h], seen[1]);
		statistics->divisor[h] = larger(statistics->divisor[h], seen[2]);
		pthread_mutex_unlock(&c->locks[index]);
	}
}

static void see_range(struct collection *c, const struct worker *worker, size_t index,
		      const float *value, size_t pixels)
{
	struct tv_node_statistics *statistics = &c->statistics->nodes[index];
	unsigned int channels = statistics->channels;
	float *restrict least = worker->least, *restrict most = worker->most;

	memcpy(least, value, sizeof(float) * channels);
	memcpy(most, value, sizeof(float) * channels);
	for (size_t p = 1; p < pixels; p++)
		for (unsigned int i = 0; i < channels; i++) {
			float x = value[p * channels + i];

			least[i] = smaller(least[i], x);
			most[i] = larger(most[i], x);
		}
	pthread_mutex_lock(&c->locks[index]);
	for (unsigned int i = 0; i < channels; i++) {
		statistics->least[i] = smaller(statistics->least[i], least[i]);
		statistics->most[i] = larger(statistics->most[i], most[i]);
	}
	pthread_mutex_unlock(&c->locks[index]);
}

static void see_histogram(struct collection *c, const struct worker *worker, size_t index,
			  const float *value, size_t pixels)
{
	struct tv_node_statistics *statistics = &c->statistics->nodes[index];
	unsigned int channels = statistics->channels;
	size_t all = (size_t)channels * TV_STATISTICS_BINS;
	const float *restrict least = statistics->least;
	float *restrict per_unit = worker->most; /* free in this pass */
	uint32_t *restrict bins = worker->bins, *restrict sums = statistics->bins;

	memset(bins, 0, sizeof(uint32_t) * all);
	for (unsigned int i = 0; i < channels; i++) {
		float width = statistics->most[i] - statistics->least[i];

		per_unit[i] = width > 0 ? TV_STATISTICS_BINS / width : 0;
	}
	for (size_t p = 0; p < pixels; p++)
		for (unsigned int i = 0; i < channels; i++) {
			float at = (value[p * channels + i] - least[i]) * per_unit[i];
			int bin = (int)at;

			bin = bin < 0			? 0 :
			      bin >= TV_STATISTICS_BINS ? TV_STATISTICS_BINS - 1 :
							  bin;
			bins[i * TV_STATISTICS_BINS + (unsigned int)bin]++;
		}
	pthread_mutex_lock(&c->locks[index]);
	for (size_t i = 0; i < all; i++)
		sums[i] += bins[i];
	statistics->values += pixels;
	pthread_mutex_unlock(&c->locks[index]);
}

struct view {
	struct collection *collection;
	struct worker *worker;
};

static int see(const struct tv_node *node, size_t index, float *value, void *userdata)
{
	const struct view *view = userdata;
	struct collection *c = view->collection;
	size_t pixels = (size_t)node->out_height * node->out_width;

	if (c->pass) {
		see_histogram(c, view->worker, index, value, pixels);
		return 0;
	}
	see_range(c, view->worker, index, value, pixels);
	if (node->role == TV_ROLE_QKV || node->role == TV_ROLE_AGGREGATE_POINTWISE)
		memcpy(view->worker->maps[node->role == TV_ROLE_AGGREGATE_POINTWISE], value,
		       sizeof(float) * pixels * node->out_channels);
	if (node->kind == TV_NODE_ATTENTION)
		see_attention(c, view->worker, node, index);
	return 0;
}

static int see_image(size_t index, unsigned int thread, void *userdata, struct tv_error *error)
{
	struct collection *c = userdata;
	const struct tv_network *network = c->statistics->network;
	const struct tv_preprocess how = { .size = network->size, .resize = network->resize };
	struct view view = { c, &c->workers[thread] };
	_cleanup_(tv_image_done) struct tv_image image = { 0 };
	struct tv_rgb_view rgb;
	int r;

	r = tv_image_decode_file(c->images[index].path, &image, error);
	if (r < 0)
		return r;
	rgb = (struct tv_rgb_view){ image.rgb, image.width, image.height, (size_t)image.width * 3 };
	r = tv_preprocess_rgb(&how, &rgb, view.worker->rgb, error);
	if (r < 0)
		return tv_error_prefix(error, r, "%s", c->images[index].path);
	return tv_float_run(view.worker->runner, view.worker->rgb, see, &view, view.worker->logits);
}

static void on_tick(size_t done, size_t total, void *userdata)
{
	const struct collection *c = userdata;

	if (c->tick)
		c->tick(c->pass, done, total, c->userdata);
}

static struct tv_statistics *statistics_new(const struct tv_network *network)
{
	_cleanup_(tv_statistics_freep) struct tv_statistics *statistics =
		calloc(1, sizeof(*statistics));

	if (!statistics)
		return NULL;
	statistics->network = network;
	statistics->nodes = calloc(network->count, sizeof(*statistics->nodes));
	if (!statistics->nodes)
		return NULL;
	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *node = &network->nodes[i];
		struct tv_node_statistics *seen = &statistics->nodes[i];

		seen->channels = node->out_channels;
		seen->least = malloc(sizeof(float) * seen->channels);
		seen->most = malloc(sizeof(float) * seen->channels);
		seen->bins = calloc((size_t)seen->channels * TV_STATISTICS_BINS, sizeof(uint32_t));
		if (!seen->least || !seen->most || !seen->bins)
			return NULL;
		for (unsigned int c = 0; c < seen->channels; c++) {
			seen->least[c] = FLT_MAX;
			seen->most[c] = -FLT_MAX;
		}
		if (node->kind == TV_NODE_ATTENTION) {
			size_t heads = node->out_channels / node->head_dim;

			seen->product = calloc(heads, sizeof(float));
			seen->sum = calloc(heads, sizeof(float));
			seen->divisor = calloc(heads, sizeof(float));
			if (!seen->product || !seen->sum || !seen->divisor)
				return NULL;
		}
	}
	return TV_TAKE_PTR(statistics);
}

int tv_statistics_collect(const struct tv_network *network, const struct tv_folder_image *images,
			  size_t count, unsigned int threads, tv_statistics_tick tick,
			  void *userdata, struct tv_statistics **ret, struct tv_error *error)
{
	_cleanup_(tv_statistics_freep) struct tv_statistics *statistics = statistics_new(network);
	_cleanup_free_ pthread_mutex_t *locks = calloc(network->count, sizeof(*locks));
	struct collection collection = { .images = images, .tick = tick, .userdata = userdata };
	int r = 0;

	if (!count)
		return tv_error_set(error, -ENODATA, "calibration needs at least one image");
	/* The histograms count in 32 bits. */
	if (count > UINT32_MAX / ((size_t)network->size * network->size))
		return tv_error_set(error, -E2BIG, "calibration with %zu images, at most %zu",
				    count, UINT32_MAX / ((size_t)network->size * network->size));
	if (!statistics || !locks)
		return tv_error_oom(error);
	for (size_t i = 0; i < network->count; i++)
		pthread_mutex_init(&locks[i], NULL);
	if (!threads)
		threads = tv_parallel_threads();
	if (threads > count)
		threads = (unsigned int)count;
	collection.statistics = statistics;
	collection.locks = locks;
	collection.workers = calloc(threads, sizeof(*collection.workers));
	if (!collection.workers)
		r = tv_error_oom(error);
	for (unsigned int i = 0; r >= 0 && i < threads; i++)
		r = worker_init(&collection.workers[i], network, error);
	for (collection.pass = 0; r >= 0 && collection.pass < 2; collection.pass++)
		r = tv_parallel_for(count, threads, see_image, on_tick, &collection, error);
	workers_free(collection.workers, threads);
	for (size_t i = 0; i < network->count; i++)
		pthread_mutex_destroy(&locks[i]);
	if (r < 0)
		return r;
	statistics->images = count;
	*ret = TV_TAKE_PTR(statistics);
	return 0;
}

void tv_statistics_free(struct tv_statistics *statistics)
{
	if (!statistics)
		return;
	for (size_t i = 0; statistics->nodes && i < statistics->network->count; i++) {
		struct tv_node_statistics *seen = &statistics->nodes[i];

		free(seen->least);
		free(seen->most);
		free(seen->bins);
		free(seen->product);
		free(seen->sum);
		free(seen->divisor);
	}
	free(statistics->nodes);
	free(statistics);
}

double tv_statistics_moment(const struct tv_node_statistics *node, unsigned int channel,
			    double centre, unsigned int power)
{
	const uint32_t *bins = node->bins + (size_t)channel * TV_STATISTICS_BINS;
	double sum = 0;

	for (unsigned int bin = 0; bin < TV_STATISTICS_BINS; bin++) {
		double x = tv_statistics_value(node, channel, bin) - centre;

		sum += bins[bin] * (power == 1 ? x : x * x);
	}
	return node->values ? sum / (double)node->values : 0;
}
