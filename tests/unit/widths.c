/* SPDX-License-Identifier: MIT */
/* The table of the widest accumulators in docs/numerics.md, row by row, against the networks. */
#include <string.h>

#include "quantizer/network.h"
#include "rtl-model/target.h"
#include "tests/unit/unit.h"

struct widths {
	uint64_t stem, depthwise, pointwise, linear, tokens, head_dim, pool;
};

static void widen(uint64_t *width, uint64_t length)
{
	if (*width < length)
		*width = length;
}

static struct widths widths_of(const struct tv_network *network)
{
	struct widths w = { 0 };

	for (size_t i = 0; i < network->count; i++) {
		const struct tv_node *n = &network->nodes[i];
		uint64_t length = (uint64_t)n->kernel * n->kernel * n->in_channels /
				  (n->groups ? n->groups : 1);

		if (n->role == TV_ROLE_STEM)
			widen(&w.stem, length);
		else if (n->kind == TV_NODE_CONV && n->groups == n->in_channels)
			widen(&w.depthwise, length);
		else if (n->role == TV_ROLE_LINEAR1 || n->role == TV_ROLE_LINEAR2)
			widen(&w.linear, length);
		else if (n->kind == TV_NODE_CONV)
			widen(&w.pointwise, length);
		else if (n->kind == TV_NODE_ATTENTION) {
			widen(&w.tokens, (uint64_t)n->in_height * n->in_width);
			widen(&w.head_dim, n->head_dim);
		} else if (n->kind == TV_NODE_POOL) {
			widen(&w.pool, (uint64_t)n->in_height * n->in_width);
		}
		ck_assert(length <= TV_REDUCTION_MAX);
	}
	return w;
}

/* Bits of a two's complement number that holds -x to x. */
static unsigned int bits(uint64_t x)
{
	unsigned int n = 1;

	for (; x; x >>= 1)
		n++;
	return n;
}

static void cell(char *row, size_t size, uint64_t length, unsigned int product)
{
	size_t used = strlen(row);

	if (length)
		snprintf(row + used, size - used, " %llu: %u |", (unsigned long long)length,
			 bits(length << product));
	else
		snprintf(row + used, size - used, " – |");
}

static void check_row(const char *text, const char *name, const struct widths *w)
{
	char row[256];

	snprintf(row, sizeof(row), "\n| %s |", name);
	cell(row, sizeof(row), w->stem, 14);
	cell(row, sizeof(row), w->depthwise, 14);
	cell(row, sizeof(row), w->pointwise, 14);
	cell(row, sizeof(row), w->linear, 14);
	cell(row, sizeof(row), w->tokens, 14);
	cell(row, sizeof(row), w->tokens, 7);
	cell(row, sizeof(row), w->head_dim, 14);
	cell(row, sizeof(row), w->pool, 7);
	strcat(row, "\n");
	ck_assert_msg(strstr(text, row), "docs/numerics.md lacks the row %s", row);
}

START_TEST(documented)
{
	static const char *const names[] = { "b0", "b1", "b2", "b3" };
	_cleanup_fclose_ FILE *file = fopen(tv_unit_source("docs/numerics.md"), "r");
	static char text[1 << 16];
	size_t size;

	ck_assert_msg(file, "docs/numerics.md");
	size = fread(text, 1, sizeof(text) - 1, file);
	ck_assert(size > 0 && size < sizeof(text) - 1);
	for (size_t i = 0; i < TV_ARRAY_SIZE(names); i++) {
		_cleanup_(tv_network_freep) struct tv_network *network = NULL;
		struct tv_architecture architecture;
		struct tv_error error = { 0 };
		char name[] = "Seg-Bx";
		struct widths w;
		int r;

		r = tv_architecture_by_name(names[i], &architecture, &error);
		tv_assert_ok(r, error);
		r = tv_network_new(&architecture, 288, &network, &error);
		tv_assert_ok(r, error);
		w = widths_of(network);
		name[5] = names[i][1];
		check_row(text, name + 4, &w);
		/* Segmentation at 1024 x 2048: the maps of stage 3 are a sixteenth; no classifier.
		 */
		w.tokens = 1024 / 16 * 2048 / 16;
		w.linear = w.pool = 0;
		check_row(text, name, &w);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("widths");
	TCase *tcase = tcase_create("table");

	tcase_add_test(tcase, documented);
	suite_add_tcase(suite, tcase);
	return tv_unit_main(suite);
}
