/* SPDX-License-Identifier: MIT */
/* Which of the ways to lower a network is the fastest. */
#include <errno.h>

#include <triovit/layout.h>

#include "quantizer/lower-plan.h"
#include "rtl-model/cycle.h"

/* Whose weights a COPY may bring: nobody's, or a linear layer's. Returns how many choices. */
static unsigned int copied_nodes(const struct tv_network *network,
				 const struct tv_lower_options *options, int ret[3])
{
	unsigned int count = 0;

	ret[count++] = TV_STEP_NONE;
	for (size_t i = 0; i < network->count && count < 3 && !options->keep_intermediates; i++)
		if (network->nodes[i].role == TV_ROLE_LINEAR1 ||
		    network->nodes[i].role == TV_ROLE_LINEAR2)
			ret[count++] = (int)i;
	return count;
}

/* The best of all plans whose operands have so much memory; *best is replaced by a better one. */
static int try_share(const struct tv_network *network, const struct tv_lower_options *options,
		     uint64_t onchip, int copied, struct tv_lowered **best, struct tv_error *error)
{
	int r = -ENOSPC;

	for (size_t together = 0; together <= network->count; together += 4) {
		_cleanup_(tv_lowered_freep) struct tv_lowered *lowered = NULL;

		r = tv_lower_plan(network, options, together, onchip, copied, &lowered, error);
		if (r < 0 && r != -ENOSPC)
			return r;
		if (r >= 0 && (!*best || lowered->estimate < (*best)->estimate)) {
			tv_lowered_free(*best);
			*best = TV_TAKE_PTR(lowered);
		}
		if (options->images == 1)
			break;
	}
	return r;
}

/* The calculator knows too little of what holds a COPY up to say whether one is worth its while:
 * the clock does. best[1] has one, either may be NULL; the slower one is freed. */
static int choose(const struct tv_lower_options *options, struct tv_lowered *best[2],
		  struct tv_error *error)
{
	const struct tv_cycle_options how = { .target = options->target, .dram_percent = 100 };
	struct tv_cycle_profile profiles[2];
	unsigned int slower;
	int r;

	if (!best[0] || !best[1])
		return 0;
	for (unsigned int i = 0; i < 2; i++) {
		const struct tv_cycle_program program = { best[i]->header.onchip, best[i]->commands,
							  best[i]->header.commands };

		r = tv_cycle_profile(&how, &program, options->images, &profiles[i], NULL, error);
		if (r < 0)
			return r;
	}
	slower = profiles[0].steady <= profiles[1].steady;
	tv_lowered_free(best[slower]);
	best[slower] = NULL;
	return 0;
}

static int search(const struct tv_network *network, const struct tv_lower_options *options,
		  struct tv_lowered *best[2], struct tv_error *error)
{
	int copied[3];
	unsigned int choices = copied_nodes(network, options, copied);
	struct tv_error last = { 0 };
	enum {
		SHARES = 16
	};

	/* Few choices with large effects: try them all, at a fraction of a second altogether. The
	 * cycle model would choose programs that are faster by half a percent at most. */
	for (unsigned int share = 1; share < SHARES; share++) {
		uint64_t onchip = (uint64_t)options->target->onchip * share / SHARES;

		onchip &= ~(uint64_t)(TV_WEIGHTS_ALIGNMENT - 1);
		for (unsigned int i = 0; i < choices; i++) {
			struct tv_error why = { 0 };
			int r = try_share(network, options, onchip, copied[i], &best[i > 0], &why);

			if (r == -ENOSPC && copied[i] == TV_STEP_NONE)
				last = why;
			else if (r < 0 && r != -ENOSPC)
				return tv_error_set(error, r, "%s", why.text);
		}
	}
	if (!best[0] && !best[1])
		return tv_error_set(error, -ENOSPC, "%s", last.text);
	return choose(options, best, error);
}

int tv_lower(const struct tv_network *network, const struct tv_lower_options *options,
	     struct tv_lowered **ret, struct tv_error *error)
{
	struct tv_lowered *best[2] = { NULL, NULL };
	int r;

	if (!options->images || options->images > TV_BATCH_MAX)
		return tv_error_set(error, -EINVAL, "%u images in a job, 1 to %u expected",
				    options->images, TV_BATCH_MAX);
	r = search(network, options, best, error);
	if (r < 0) {
		tv_lowered_free(best[0]);
		tv_lowered_free(best[1]);
		return r;
	}
	*ret = best[0] ? best[0] : best[1];
	return 0;
}
