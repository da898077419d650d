/* SPDX-License-Identifier: MIT */
/*
 * Lowered programs, executed with names in place of numbers: each byte of memory remembers which
 * pixel of which value was written there last, and each command must find what its node reads.
 */
#include <errno.h>
#include <string.h>

#include "quantizer/lower.h"
#include "rtl-model/command.h"
#include "tests/unit/unit.h"

struct machine {
	const struct tv_network *network;
	const struct tv_lowered *lowered;
	uint32_t *bytes[TV_SEGMENT_ONCHIP + 1]; /* who wrote each byte; scratch, on chip, output */
	uint64_t size[TV_SEGMENT_ONCHIP + 1];
};

static uint32_t written_by(const struct machine *m, int node, unsigned int image,
			   unsigned int pixel)
{
	return ((uint32_t)(node + 1) * m->lowered->header.images + image) << 15 | pixel;
}

/* Goes over count images of a node's value at an operand; channels from byte first on. */
static void visit(const struct machine *m, const struct tv_operand *operand, unsigned int first,
		  int node, const struct tv_step *step, bool write)
{
	const struct tv_node *n = &m->network->nodes[node];
	unsigned int pixels = n->out_height * n->out_width;
	unsigned int width = n->out_channels * tv_format_bytes(operand->format);

	for (unsigned int image = 0; image < step->images; image++)
		for (unsigned int pixel = 0; pixel < pixels; pixel++) {
			uint64_t at = operand->offset + first +
				      ((uint64_t)image * pixels + pixel) * operand->pitch;
			uint32_t name = written_by(m, node, step->image + image, pixel);

			if (at + width > m->size[operand->segment])
				ck_abort_msg("%s reaches outside segment %u", n->name,
					     operand->segment);
			for (unsigned int i = 0; i < width; i++) {
				uint32_t *byte = &m->bytes[operand->segment][at + i];

				if (write)
					*byte = name;
				else if (*byte != name)
					ck_abort_msg("%s, image %u, pixel %u was overwritten",
						     n->name, step->image + image, pixel);
			}
		}
}

/* Bytes on chip that a COPY has brought there, or their reader finds. */
static void visit_weights(const struct machine *m, uint32_t offset, uint64_t size, uint32_t from,
			  bool write)
{
	ck_assert_uint_le(offset + size, m->size[TV_SEGMENT_ONCHIP]);
	for (uint64_t i = 0; i < size; i++) {
		uint32_t *byte = &m->bytes[TV_SEGMENT_ONCHIP][offset + i];

		if (write)
			*byte = ~(from + (uint32_t)i);
		else if (*byte != ~(from + (uint32_t)i))
			ck_abort_msg("weights from byte %u on were overwritten on chip", from);
	}
}

static void execute(const struct machine *m, unsigned int i)
{
	const struct tv_command *c = &m->lowered->commands[i];
	const struct tv_step *step = &m->lowered->steps[i];
	int last = step->nodes[1] >= 0 ? step->nodes[1] : step->nodes[0];
	const struct tv_node *node;
	struct tv_operand source = tv_weights_source(m->lowered->commands, i);

	if (c->opcode == TV_OP_COPY) {
		ck_assert_int_eq(step->nodes[0], TV_STEP_NONE);
		visit_weights(m, c->output.offset, c->copy_bytes, c->input.offset, true);
		return;
	}
	ck_assert_uint_eq(source.segment, TV_SEGMENT_WEIGHTS);
	ck_assert_uint_le(source.offset + tv_weights_layout(c).size,
			  m->lowered->header.segment[TV_SEGMENT_WEIGHTS]);
	if (c->weights.segment == TV_SEGMENT_ONCHIP)
		visit_weights(m, c->weights.offset, tv_weights_layout(c).size, source.offset,
			      false);
	node = &m->network->nodes[step->nodes[0]];
	if (node->input >= 0)
		visit(m, &c->input, 0, node->input, step, false);
	else
		ck_assert_uint_eq(c->input.segment, TV_SEGMENT_INPUT);
	if (node->input2 >= 0)
		visit(m, &c->input, m->network->nodes[node->input].out_channels, node->input2, step,
		      false);
	if (m->network->nodes[last].shortcut >= 0)
		visit(m, &c->shortcut, 0, m->network->nodes[last].shortcut, step, false);
	else
		ck_assert_uint_eq(c->shortcut.segment, TV_SEGMENT_NONE);
	visit(m, &c->output, 0, last, step, true);
}

static void check_program(const char *name, const struct tv_architecture *architecture,
			  unsigned int size, const struct tv_lower_options *options)
{
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	_cleanup_(tv_lowered_freep) struct tv_lowered *lowered = NULL;
	static const uint8_t kept[] = { TV_SEGMENT_SCRATCH, TV_SEGMENT_OUTPUT, TV_SEGMENT_ONCHIP };
	struct tv_error error = { 0 };
	struct machine m = { 0 };
	unsigned int *runs;
	uint64_t macs = 0;
	int r;

	r = tv_network_new(architecture, size, &network, &error);
	tv_assert_ok(r, error);
	r = tv_lower(network, options, &lowered, &error);
	ck_assert_msg(r == 0, "%s at %u, %u images, %s: %s", name, size, options->images,
		      options->target->name, error.text);
	m.network = network;
	m.lowered = lowered;
	ck_assert_uint_le(lowered->header.onchip, options->target->onchip);
	for (size_t i = 0; i < TV_ARRAY_SIZE(kept); i++) {
		m.size[kept[i]] = kept[i] == TV_SEGMENT_ONCHIP ? lowered->header.onchip :
								 lowered->header.segment[kept[i]];
		m.bytes[kept[i]] = calloc(m.size[kept[i]] + 1, sizeof(uint32_t));
		ck_assert_ptr_nonnull(m.bytes[kept[i]]);
	}
	runs = calloc(network->count, sizeof(*runs));
	ck_assert_ptr_nonnull(runs);
	for (unsigned int i = 0; i < lowered->header.commands; i++) {
		const struct tv_command *c = &lowered->commands[i];
		const char *why = tv_command_check(c, options->target);

		ck_assert_msg(!why, "command %u: %s", i, why);
		macs += tv_command_macs(c);
		for (int n = 0; n < 2; n++)
			if (lowered->steps[i].nodes[n] >= 0)
				runs[lowered->steps[i].nodes[n]] += lowered->steps[i].images;
		execute(&m, i);
	}
	for (size_t n = 0; n < network->count; n++)
		ck_assert_uint_eq(runs[n], options->images);
	ck_assert_uint_eq(macs, options->images * tv_network_macs(network));
	free(runs);
	for (size_t i = 0; i < TV_ARRAY_SIZE(kept); i++)
		free(m.bytes[kept[i]]);
}

static const char *const names[] = { "b0", "b1", "b2", "b3" };

static struct tv_architecture published(const char *name)
{
	struct tv_architecture architecture;
	struct tv_error error = { 0 };
	int r = tv_architecture_by_name(name, &architecture, &error);

	tv_assert_ok(r, error);
	return architecture;
}

START_TEST(published_members)
{
	const struct tv_architecture architecture = published(names[_i]);
	const struct tv_target *target;

	for (unsigned int t = 0; (target = tv_target_at(t)); t++)
		for (unsigned int images = 1; images <= 3; images += 2) {
			const struct tv_lower_options options = { .target = target,
								  .images = images };

			check_program(names[_i], &architecture, _i < 2 ? 224 : 160, &options);
		}
}
END_TEST

START_TEST(kept_intermediates)
{
	const struct tv_architecture architecture = published("b0");
	const struct tv_lower_options options = { .target = tv_target_by_name("zcu102"),
						  .images = 2,
						  .keep_intermediates = true };
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	_cleanup_(tv_lowered_freep) struct tv_lowered *lowered = NULL;
	struct tv_error error = { 0 };
	uint64_t bytes = 0;
	int r;

	check_program("b0", &architecture, 96, &options);
	r = tv_network_new(&architecture, 96, &network, &error);
	tv_assert_ok(r, error);
	r = tv_lower(network, &options, &lowered, &error);
	tv_assert_ok(r, error);
	ck_assert_uint_eq(lowered->header.onchip, 0);
	/* a command for each node and image group; every value at a place of its own */
	for (size_t i = 0; i + 1 < network->count; i++)
		bytes += 2ull * network->nodes[i].out_height * network->nodes[i].out_width *
			 network->nodes[i].out_channels;
	ck_assert_uint_ge(lowered->header.segment[TV_SEGMENT_SCRATCH], bytes);
	for (unsigned int i = 0; i < lowered->header.commands; i++)
		ck_assert_int_eq(lowered->steps[i].nodes[1], TV_STEP_NONE);
}
END_TEST

START_TEST(made_up_members)
{
	static const struct tv_architecture members[] = {
		{ .widths = { 8, 24, 40, 72, 104 },
		  .depths = { 2, 1, 3, 1, 2 },
		  .head_dim = 8,
		  .head_widths = { 200, 120 },
		  .classes = 7,
		  .expand = 3 },
		{ .widths = { 16, 16, 16, 64, 64 },
		  .depths = { 1, 1, 1, 1, 1 },
		  .head_dim = 32,
		  .head_widths = { 16, 16 },
		  .classes = 2,
		  .expand = 6 },
	};

	for (size_t i = 0; i < TV_ARRAY_SIZE(members); i++)
		for (unsigned int images = 1; images <= 5; images += 4) {
			const struct tv_lower_options options = {
				.target = tv_target_by_name("zynq7020"), .images = images
			};

			check_program("made up", &members[i], 160, &options);
		}
}
END_TEST

START_TEST(refusals)
{
	const struct tv_architecture architecture = published("b0");
	struct tv_lower_options options = { .target = tv_target_by_name("zcu102") };
	_cleanup_(tv_network_freep) struct tv_network *network = NULL;
	struct tv_target tiny = *options.target;
	struct tv_lowered *lowered = NULL;
	struct tv_error error = { 0 };
	int r;

	r = tv_network_new(&architecture, 224, &network, &error);
	tv_assert_ok(r, error);
	ck_assert_int_eq(tv_lower(network, &options, &lowered, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, "1 to 64"));
	options.images = TV_BATCH_MAX + 1;
	ck_assert_int_eq(tv_lower(network, &options, &lowered, NULL), -EINVAL);
	tiny.onchip = 4096;
	options.target = &tiny;
	options.images = 1;
	error = (struct tv_error){ 0 };
	ck_assert_int_eq(tv_lower(network, &options, &lowered, &error), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(error.text, "too large for target"));
	ck_assert_ptr_null(lowered);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lower");
	TCase *tcase = tcase_create("programs");

	tcase_add_loop_test(tcase, published_members, 0, (int)TV_ARRAY_SIZE(names));
	tcase_add_test(tcase, kept_intermediates);
	tcase_add_test(tcase, made_up_members);
	tcase_add_test(tcase, refusals);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
