/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "common/cleanup.h"
#include "rtl-model/target.h"

static const struct tv_target targets[] = {
	{
		.name = "zcu102",
		.id = TV_TARGET_ZCU102,
		.groups = 16,
		.epilogue_lanes = 128,
		.clock_mhz = 200,
		.onchip = 3072 * 1024,
		.dram_mb_s = 12800,
		.dram_burst = 1024,
		.dram_outstanding = 16,
		.dram_latency = 60,
	},
	{
		.name = "kv260",
		.id = TV_TARGET_KV260,
		.groups = 16,
		.epilogue_lanes = 64,
		.clock_mhz = 200,
		.onchip = 2048 * 1024,
		.dram_mb_s = 12800,
		.dram_burst = 1024,
		.dram_outstanding = 16,
		.dram_latency = 60,
	},
	{
		.name = "zc706",
		.id = TV_TARGET_ZC706,
		.groups = 4,
		.epilogue_lanes = 32,
		.clock_mhz = 150,
		.onchip = 1536 * 1024,
		.dram_mb_s = 3200,
		.dram_burst = 512,
		.dram_outstanding = 16,
		.dram_latency = 45,
	},
	{
		.name = "zynq7020",
		.id = TV_TARGET_ZYNQ7020,
		.groups = 2,
		.epilogue_lanes = 16,
		.clock_mhz = 100,
		.onchip = 384 * 1024,
		.dram_mb_s = 3200,
		.dram_burst = 512,
		.dram_outstanding = 16,
		.dram_latency = 30,
	},
};

unsigned int tv_target_split_max(const struct tv_target *target)
{
	return (unsigned int)__builtin_ctz(target->groups);
}

const struct tv_target *tv_target_by_name(const char *name)
{
	for (size_t i = 0; i < TV_ARRAY_SIZE(targets); i++)
		if (!strcmp(targets[i].name, name))
			return &targets[i];
	return NULL;
}

const struct tv_target *tv_target_by_id(uint16_t id)
{
	for (size_t i = 0; i < TV_ARRAY_SIZE(targets); i++)
		if (targets[i].id == id)
			return &targets[i];
	return NULL;
}

const struct tv_target *tv_target_at(unsigned int index)
{
	return index < TV_ARRAY_SIZE(targets) ? &targets[index] : NULL;
}

unsigned int tv_target_index(const struct tv_target *target)
{
	return (unsigned int)(target - targets);
}
