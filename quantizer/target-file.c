/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/cleanup.h"
#include "quantizer/target-file.h"

static int list_targets(const char *name, struct tv_error *error)
{
	const struct tv_target *target;
	char names[128] = "";

	for (unsigned int i = 0; (target = tv_target_at(i)); i++) {
		strncat(names, i ? ", " : "", sizeof(names) - strlen(names) - 1);
		strncat(names, target->name, sizeof(names) - strlen(names) - 1);
	}
	return tv_error_set(error, -ENOENT, "target '%s' is neither a file nor one of %s", name,
			    names);
}

static int get(const json_t *root, const char *key, json_int_t least, json_int_t most,
	       json_int_t *ret, struct tv_error *error)
{
	const json_t *value = json_object_get(root, key);

	if (!json_is_integer(value) || json_integer_value(value) < least ||
	    json_integer_value(value) > most)
		return tv_error_set(error, -EBADMSG,
				    "\"%s\": a whole number from %" JSON_INTEGER_FORMAT
				    " to %" JSON_INTEGER_FORMAT " expected",
				    key, least, most);
	*ret = json_integer_value(value);
	return 0;
}

static int get_name(const json_t *root, char ret[32], struct tv_error *error)
{
	const char *name = json_string_value(json_object_get(root, "name"));
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_";

	if (!name || !*name || strlen(name) > 31 || name[strspn(name, allowed)])
		return tv_error_set(error, -EBADMSG,
				    "\"name\": 1 to 31 letters, digits, '-' and '_' expected");
	if (tv_target_by_name(name))
		return tv_error_set(error, -EBADMSG, "\"name\": '%s' is built in", name);
	strcpy(ret, name);
	return 0;
}

static int parse(const json_t *root, struct tv_target_file *ret, struct tv_error *error)
{
	json_int_t id, groups, lanes, clock, onchip, dram;
	struct tv_target_file file = { 0 };
	int r;

	if (!json_is_object(root))
		return tv_error_set(error, -EBADMSG, "a JSON object expected");
	r = get_name(root, file.text, error);
	if (r >= 0)
		r = get(root, "id", TV_TARGET_CUSTOM, UINT16_MAX, &id, error);
	if (r >= 0)
		r = get(root, "groups", 1, 64, &groups, error);
	if (r >= 0)
		r = get(root, "epilogue_lanes", 1, 1024, &lanes, error);
	if (r >= 0)
		r = get(root, "clock_mhz", 1, 10000, &clock, error);
	if (r >= 0)
		r = get(root, "onchip", 4096, 1 << 30, &onchip, error);
	if (r >= 0)
		r = get(root, "dram_mb_s", 1, 10000000, &dram, error);
	if (r < 0)
		return r;
	if (groups & (groups - 1))
		return tv_error_set(error, -EBADMSG, "\"groups\": a power of two expected");
	file.target = (struct tv_target){
		.id = (uint16_t)id,
		.groups = (uint16_t)groups,
		.epilogue_lanes = (uint16_t)lanes,
		.clock_mhz = (uint16_t)clock,
		.onchip = (uint32_t)onchip,
		.dram_mb_s = (uint32_t)dram,
	};
	tv_target_set_dma(&file.target);
	*ret = file;
	ret->target.name = ret->text;
	return 0;
}

int tv_target_find(const char *name, struct tv_target_file *ret, struct tv_error *error)
{
	const struct tv_target *built_in = tv_target_by_name(name);
	json_auto_t *root = NULL;
	json_error_t why;
	int r;

	if (built_in) {
		ret->target = *built_in;
		return 0;
	}
	if (access(name, F_OK) < 0)
		return list_targets(name, error);
	root = json_load_file(name, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return tv_error_set(error, -EBADMSG, "%s: line %d: %s", name, why.line, why.text);
	r = parse(root, ret, error);
	return r < 0 ? tv_error_prefix(error, r, "%s", name) : 0;
}
