/* SPDX-License-Identifier: MIT */
/* What the commands print for programs. */
#include "tools/sim.h"

json_t *sim_json_unsigned(const unsigned int *values, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(array, json_integer(values[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

json_t *sim_json_float(const float *values, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(array, json_real(values[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

json_t *sim_json_architecture(const struct tv_architecture *architecture)
{
	return json_pack(
		"{s:s?, s:o, s:o, s:i, s:o, s:i, s:i}", "name", sim_architecture_name(architecture),
		"widths",
		sim_json_unsigned(architecture->widths, TV_ARRAY_SIZE(architecture->widths)),
		"depths",
		sim_json_unsigned(architecture->depths, TV_ARRAY_SIZE(architecture->depths)),
		"head_dim", (int)architecture->head_dim, "head_widths",
		sim_json_unsigned(architecture->head_widths,
				  TV_ARRAY_SIZE(architecture->head_widths)),
		"classes", (int)architecture->classes, "expand", (int)architecture->expand);
}
