/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>

#include "quantizer/lower-map.h"
#include "rtl-model/timing.h"

/* Cycles of the slower of engines and DRAM. */
static double cost_of(const struct tv_target *target, const struct tv_timing_command *timing)
{
	double dram = (double)timing->dram * target->clock_mhz / target->dram_mb_s;

	return dram > (double)timing->cycles ? dram : (double)timing->cycles;
}

int tv_map_command(const struct tv_target *target, uint64_t ring, struct tv_command *command)
{
	bool separable = command->opcode == TV_OP_SEPARABLE;
	bool dense = separable || command->opcode == TV_OP_CONV ||
		     command->opcode == TV_OP_CONV_POOL;
	struct tv_command best = *command;
	struct tv_timing_command timing;
	double least = -1;

	if (command->weights.segment == TV_SEGMENT_ONCHIP)
		ring = UINT64_MAX;
	if (!dense) {
		tv_timing_of_command(target, command, &timing);
		return timing.chunk > ring ? -ENOSPC : 0;
	}
	/* Ties go to the smaller split, whose passes need less room, and to the larger tile. */
	for (unsigned int split = 0; split <= tv_target_split_max(target); split++) {
		uint32_t rows = tv_map_height(command);

		do {
			struct tv_command now = *command;
			double cost;

			now.stage[separable].split = (uint8_t)split;
			now.tile_rows =
				(uint16_t)(rows == tv_map_height(command) && !separable ? 0 : rows);
			tv_timing_of_command(target, &now, &timing);
			cost = cost_of(target, &timing);
			if (timing.chunk <= ring && (least < 0 || cost < least)) {
				least = cost;
				best = now;
			}
			/* Of a dense command alone only two matter: no tiles, and tiles. */
			rows = separable ? rows - 1 : rows > 1 ? 1 : 0;
		} while (rows);
	}
	if (least < 0)
		return -ENOSPC;
	*command = best;
	return 0;
}
