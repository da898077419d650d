/* SPDX-License-Identifier: MIT */
/*
 * Whole networks with random parameters: however a network is lowered, for whichever target and
 * number of images, with chains or every value by itself, an image has the same logits. And
 * whichever kernels compute it, and on however many threads, every value is the same.
 */
#include <string.h>

#include "quantizer/lower.h"
#include "rtl-model/command.h"
#include "rtl-model/functional.h"
#include "rtl-model/kernels.h"
#include "tests/unit/unit.h"

#define IMAGES_MAX 3u

/* What a quantizer would say about a node: random, but nothing saturates everywhere. */
struct node_parameters {
	int8_t *weights; /* [out][ky][kx][in], or [out][ky][kx] of a depthwise convolution */
	struct tv_channel *channels;
	struct tv_head *heads;
	int8_t zero_point;
	uint8_t fraction;
	int16_t shortcut_multiplier;
	uint64_t epsilon;
};

struct model {
	struct tv_network *network;
	struct node_parameters *nodes;
};

static uint64_t state;
static bool extreme; /* weights are -128, -127 or 127 and pixels 0 or 255 */

static uint8_t random_weight(void)
{
	static const uint8_t extremes[] = { 0x80, 0x81, 0x7f, 0x7f };
	uint64_t random = tv_unit_random(&state);

	return extreme ? extremes[random & 3] : (uint8_t)random;
}

static uint8_t random_pixel(void)
{
	uint64_t random = tv_unit_random(&state);

	return extreme ? (uint8_t) - (random & 1) : (uint8_t)random;
}

static uint32_t below(uint32_t count)
{
	return (uint32_t)((tv_unit_random(&state) >> 32) * count >> 32);
}

static bool is_depthwise(const struct tv_node *node)
{
	return node->groups > 1 && node->groups == node->in_channels &&
	       node->groups == node->out_channels;
}

static size_t reduction_of(const struct tv_node *node)
{
	if (node->kind != TV_NODE_CONV)
		return 1;
	return (size_t)node->kernel * node->kernel * node->in_channels / node->groups;
}

/* Sums of n random products are about sqrt(n) times one. */
static uint8_t shift_for(size_t reduction)
{
	unsigned int shift = 0;

	while (reduction >>= 2)
		shift++;
	return (uint8_t)(shift + below(2));
}

static void make_channels(const struct tv_node *node, struct node_parameters *ret)
{
	static const uint8_t narrow_shifts[] = {
		[TV_NODE_CONV] = 5, [TV_NODE_POOL] = 0, [TV_NODE_NORM] = 7
	};
	bool norm = node->kind == TV_NODE_NORM;

	ret->channels = calloc(node->out_channels, sizeof(*ret->channels));
	ck_assert_ptr_nonnull(ret->channels);
	for (unsigned int i = 0; i < node->out_channels; i++)
		ret->channels[i] = (struct tv_channel){
			.bias = node->kind == TV_NODE_CONV ? (int32_t)below(4000) - 2000 : 0,
			.multiplier = (int16_t)(16384 + below(16384)),
			.shift = norm ? 17 : shift_for(reduction_of(node)),
			.constant = (int16_t)(below(20) - 10),
			.narrow_multiplier = (int16_t)(16384 + below(16384)),
			.narrow_shift = (uint8_t)(narrow_shifts[node->kind] + below(2)),
		};
}

static void make_node(const struct tv_node *node, struct node_parameters *ret)
{
	size_t count;

	ret->zero_point = (int8_t)(below(40) - 20);
	ret->fraction = (uint8_t)(10 + below(3));
	ret->shortcut_multiplier = (int16_t)(8192 + below(16384));
	ret->epsilon = tv_unit_random(&state) >> 40;
	switch (node->kind) {
	case TV_NODE_CONV:
		make_channels(node, ret);
		count = node->out_channels * reduction_of(node);
		ret->weights = malloc(count);
		ck_assert_ptr_nonnull(ret->weights);
		for (size_t i = 0; i < count; i++)
			ret->weights[i] = (int8_t)random_weight();
		break;
	case TV_NODE_ATTENTION:
		count = node->out_channels / node->head_dim;
		ret->zero_point = 0;
		ret->heads = calloc(count, sizeof(*ret->heads));
		ck_assert_ptr_nonnull(ret->heads);
		for (size_t i = 0; i < count; i++)
			ret->heads[i] = (struct tv_head){
				.product_multiplier = (int16_t)(16384 + below(16384)),
				.sum_multiplier = (int16_t)(16384 + below(16384)),
				.quotient_multiplier = (int16_t)(16384 + below(16384)),
				.product_shift = 3,
				.quotient_shift = 8,
				.log2_base = 6,
				.product_narrow = 7,
				.sum_narrow = 5,
			};
		break;
	case TV_NODE_POOL:
	case TV_NODE_NORM:
		make_channels(node, ret);
		break;
	}
}

static void model_begin(struct model *model, const char *name, unsigned int size)
{
	struct tv_architecture architecture;
	struct tv_error error = { 0 };
	int r = tv_architecture_by_name(name, &architecture, &error);

	tv_assert_ok(r, error);
	r = tv_network_new(&architecture, size, &model->network, &error);
	tv_assert_ok(r, error);
	model->nodes = calloc(model->network->count, sizeof(*model->nodes));
	ck_assert_ptr_nonnull(model->nodes);
	for (size_t i = 0; i < model->network->count; i++)
		make_node(&model->network->nodes[i], &model->nodes[i]);
}

static void model_end(struct model *model)
{
	for (size_t i = 0; i < model->network->count; i++) {
		free(model->nodes[i].weights);
		free(model->nodes[i].channels);
		free(model->nodes[i].heads);
	}
	free(model->nodes);
	tv_network_free(model->network);
}

/* Stage by stage into the command's weights operand. */
static void pack(const struct model *model, const struct tv_command *command, unsigned int stage,
		 int index, uint8_t *operand)
{
	const struct tv_node *node = &model->network->nodes[index];
	const struct node_parameters *parameters = &model->nodes[index];
	const struct tv_weights_layout layout = tv_weights_layout(command);
	uint8_t *records = operand + layout.records[stage];
	uint8_t *weights = operand + layout.weights[stage];
	unsigned int taps = node->kernel * node->kernel;
	struct tv_dense dense;

	for (unsigned int i = 0; parameters->heads && i < node->out_channels / node->head_dim; i++)
		tv_encode_head(&parameters->heads[i], records + i * TV_HEAD_SIZE);
	for (unsigned int i = 0; parameters->channels && i < node->out_channels; i++)
		tv_encode_channel(&parameters->channels[i], records + i * TV_CHANNEL_SIZE);
	if (node->kind != TV_NODE_CONV)
		return;
	if (is_depthwise(node)) {
		for (unsigned int o = 0; o < node->out_channels; o++)
			for (unsigned int tap = 0; tap < taps; tap++)
				weights[tv_depthwise_weight(node->kernel, o, tap)] =
					(uint8_t)parameters->weights[o * taps + tap];
		return;
	}
	dense = tv_dense_of(command);
	ck_assert_uint_eq(dense.reduction, reduction_of(node));
	for (unsigned int o = 0; o < node->out_channels; o++)
		for (unsigned int i = 0; i < dense.reduction; i++)
			weights[tv_dense_weight(&dense, o, i)] =
				(uint8_t)parameters->weights[(size_t)o * dense.reduction + i];
}

/* What the compiler leaves to the quantizer. */
static void complete(const struct model *model, const struct tv_step *step,
		     struct tv_command *command)
{
	static const int8_t border[4] = { -4, -12, -24, 0 };
	int last = step->nodes[1] >= 0 ? step->nodes[1] : step->nodes[0];
	const struct tv_node *first = &model->network->nodes[step->nodes[0]];
	const struct tv_node *added = &model->network->nodes[last];

	for (unsigned int i = 0; i < 2 && step->nodes[i] >= 0; i++) {
		const struct node_parameters *parameters = &model->nodes[step->nodes[i]];
		struct tv_stage *stage = &command->stage[i];

		stage->zero_point = parameters->zero_point;
		if (stage->activation == TV_STAGE_HARDSWISH)
			stage->fraction = parameters->fraction;
	}
	if (command->output.format == TV_FORMAT_INT16)
		command->stage[0].zero_point = 0;
	if (first->kind == TV_NODE_CONV && first->kernel > 1) {
		if (first->input == TV_NETWORK_INPUT)
			memcpy(command->pad, border, sizeof(border));
		else
			memset(command->pad, model->nodes[first->input].zero_point,
			       sizeof(command->pad));
	}
	if (added->shortcut >= 0) {
		command->shortcut_multiplier = model->nodes[last].shortcut_multiplier;
		command->shortcut_zero_point = model->nodes[added->shortcut].zero_point;
	}
	if (command->opcode == TV_OP_NORM)
		command->norm_epsilon = model->nodes[step->nodes[0]].epsilon;
}

/* A program and the memory of its job. */
struct program {
	struct tv_lowered *lowered;
	struct tv_functional *machine;
	struct tv_job job;
};

static void program_begin(struct program *program, const struct model *model,
			  const struct tv_lower_options *options)
{
	struct tv_lowered *lowered;
	struct tv_error error = { 0 };
	struct tv_job *job = &program->job;
	uint8_t *code, *weights;
	int r = tv_lower(model->network, options, &program->lowered, &error);

	tv_assert_ok(r, error);
	*job = (struct tv_job){ .budget = 0 };
	lowered = program->lowered;
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++) {
		struct tv_segment_view *segment = &job->segments[i];

		segment->size = lowered->header.segment[i];
		if (!segment->size)
			continue;
		segment->data = calloc(segment->size, 1);
		ck_assert_ptr_nonnull(segment->data);
		segment->rights = TV_SEGMENT_READ;
		if (lowered->header.writable >> i & 1)
			segment->rights |= TV_SEGMENT_WRITE;
	}
	code = job->segments[TV_SEGMENT_PROGRAM].data;
	weights = job->segments[TV_SEGMENT_WEIGHTS].data;
	tv_encode_program_header(&lowered->header, code);
	code += TV_PROGRAM_HEADER_SIZE;
	for (unsigned int i = 0; i < lowered->header.commands; i++, code += TV_COMMAND_SIZE) {
		struct tv_command *command = &lowered->commands[i];
		const struct tv_step *step = &lowered->steps[i];

		if (step->nodes[0] >= 0)
			complete(model, step, command);
		tv_encode_command(command, code);
		for (unsigned int s = 0; s < 2 && step->nodes[s] >= 0; s++)
			pack(model, command, s, step->nodes[s],
			     weights + tv_weights_source(lowered->commands, i).offset);
	}
	r = tv_functional_new(options->target, &program->machine, &error);
	tv_assert_ok(r, error);
}

static void program_end(struct program *program)
{
	for (unsigned int i = 0; i < TV_SEGMENT_COUNT; i++)
		free(program->job.segments[i].data);
	tv_functional_free(program->machine);
	tv_lowered_free(program->lowered);
}

static void program_run(struct program *program, const uint8_t *images)
{
	const struct tv_segment_view *input = &program->job.segments[TV_SEGMENT_INPUT];
	struct tv_record record;
	struct tv_error error = { 0 };
	int r;

	memcpy(input->data, images, input->size);
	r = tv_functional_run(program->machine, &program->job, &record, &error);
	tv_assert_ok(r, error);
	ck_assert_msg(!record.fault, "command %u: %s", record.command, record.why);
	ck_assert_uint_eq(record.executed, program->lowered->header.commands);
}

/* Logits of all images, with as many of them in a job as asked for. */
static void classify(const struct model *model, const struct tv_lower_options *options,
		     const uint8_t *images, uint8_t *ret)
{
	size_t logits = model->network->architecture.classes * sizeof(int16_t);
	size_t image = (size_t)model->network->size * model->network->size * 3;
	struct program program;

	program_begin(&program, model, options);
	for (unsigned int i = 0; i < IMAGES_MAX; i += options->images) {
		program_run(&program, images + i * image);
		memcpy(ret + i * logits, program.job.segments[TV_SEGMENT_OUTPUT].data,
		       options->images * logits);
	}
	program_end(&program);
}

static unsigned int differing(const uint8_t *a, const uint8_t *b, unsigned int count)
{
	unsigned int ret = 0;

	for (unsigned int i = 0; i < count; i++)
		ret += tv_get16(a + 2 * (size_t)i) != tv_get16(b + 2 * (size_t)i);
	return ret;
}

START_TEST(same_logits)
{
	static const char *const targets[] = { "zcu102", "zynq7020" };
	_cleanup_free_ uint8_t *images = NULL, *expected = NULL, *logits = NULL;
	unsigned int classes, count = 0;
	struct model model;
	size_t size;

	state = 96;
	model_begin(&model, "b0", 96);
	classes = model.network->architecture.classes;
	size = (size_t)model.network->size * model.network->size * 3 * IMAGES_MAX;
	images = malloc(size);
	expected = calloc(IMAGES_MAX * classes, sizeof(int16_t));
	logits = calloc(IMAGES_MAX * classes, sizeof(int16_t));
	ck_assert(images && expected && logits);
	for (size_t i = 0; i < size; i++)
		images[i] = (uint8_t)tv_unit_random(&state);
	for (unsigned int keep = 0; keep < 2; keep++)
		for (unsigned int t = 0; t < TV_ARRAY_SIZE(targets); t++)
			for (unsigned int n = 1; n <= IMAGES_MAX; n += IMAGES_MAX - 1) {
				const struct tv_lower_options options = {
					.target = tv_target_by_name(targets[t]),
					.images = n,
					.keep_intermediates = keep,
				};

				classify(&model, &options, images, count++ ? logits : expected);
				ck_assert_msg(count == 1 || !differing(logits, expected,
								       IMAGES_MAX * classes),
					      "%s, %u images a job, intermediates %s", targets[t],
					      n, keep ? "kept" : "not kept");
			}
	/* It does depend on the image and the class. */
	ck_assert_uint_gt(differing(expected, expected + 2 * (size_t)classes, classes),
			  classes * 9 / 10);
	ck_assert_uint_gt(differing(expected, expected + 2, classes - 1), classes * 9 / 10);
	model_end(&model);
}
END_TEST

/* --- kernels -------------------------------------------------------------------------------- */

/* What the observer has seen of a job. */
struct trace {
	uint64_t *hashes;
	size_t count;
};

static void hash_stage(const struct tv_observation *seen, void *userdata)
{
	struct trace *trace = userdata;
	size_t size = (size_t)seen->pixels * seen->channels *
		      (seen->format == TV_FORMAT_INT16 ? sizeof(int16_t) : sizeof(int8_t));
	const uint8_t *bytes = seen->data;
	uint64_t hash = 0;

	/* FNV-1a */
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3ull;
	trace->hashes[trace->count++] = hash;
}

static void trace_program(struct program *program, const struct tv_kernels *kernels,
			  unsigned int threads, const uint8_t *image, struct trace *ret)
{
	struct tv_error error = { 0 };
	int r = tv_functional_set_threads(program->machine, threads, &error);

	tv_assert_ok(r, error);
	ret->hashes = calloc(2 * (size_t)program->lowered->header.commands, sizeof(*ret->hashes));
	ck_assert_ptr_nonnull(ret->hashes);
	ret->count = 0;
	program->job.observer = hash_stage;
	program->job.userdata = ret;
	tv_functional_set_kernels(program->machine, kernels);
	program_run(program, image);
}

static void compare_kernels(const char *name, unsigned int size)
{
	const struct tv_lower_options options = { .target = tv_target_by_name("zcu102"),
						  .images = 1 };
	const struct tv_kernels *kernels;
	_cleanup_free_ uint8_t *image = malloc((size_t)size * size * 3);
	struct trace expected, trace;
	struct program program;
	struct model model;

	ck_assert_ptr_nonnull(image);
	for (size_t i = 0; i < (size_t)size * size * 3; i++)
		image[i] = random_pixel();
	model_begin(&model, name, size);
	program_begin(&program, &model, &options);
	trace_program(&program, &tv_kernels_scalar, 1, image, &expected);
	/* On one thread and on three. */
	for (unsigned int k = 0; (kernels = tv_kernels_get(k / 2)); k++) {
		if (kernels == &tv_kernels_scalar && k % 2 == 0)
			continue;
		trace_program(&program, kernels, k % 2 ? 3 : 1, image, &trace);
		ck_assert_uint_eq(trace.count, expected.count);
		for (size_t i = 0; i < trace.count; i++)
			ck_assert_msg(trace.hashes[i] == expected.hashes[i],
				      "%s, %s: stage %zu of all", name, kernels->name, i);
		free(trace.hashes);
	}
	free(expected.hashes);
	program_end(&program);
	model_end(&model);
}

START_TEST(same_values)
{
	static const char *const names[] = { "b0", "b1", "b2", "b3" };

	state = (uint64_t)_i + 1;
	extreme = _i & 1;
	/* On small maps channels are as many. */
	compare_kernels(names[_i / 2], getenv("TV_SLOW") ? 32 : _i < 4 ? 224 : 96);
	extreme = false;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("functional-network");
	TCase *tcase = tcase_create("lowered");

	tcase_add_test(tcase, same_logits);
	tcase_add_loop_test(tcase, same_values, 0, 8);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
