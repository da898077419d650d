/* SPDX-License-Identifier: MIT */
#include "daemon/config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "rtl-model/target.h"

enum {
	FILE_LIMIT = 64 * 1024
};

#define LIMIT_MOST (UINT64_C(1) << 53) /* what JSON numbers can say */

#define KEY(in, key, of, kind, preset, lowest, highest)                                            \
	{                                                                                          \
		.section = #in,                                                                    \
		.name = #key,                                                                      \
		.unit = TV_CONFIG_##kind,                                                          \
		.field = offsetof(struct tv_config, of),                                           \
		.value = preset,                                                                   \
		.least = lowest,                                                                   \
		.most = highest,                                                                   \
	},

const struct tv_config_key tv_config_keys[] = {
#define X(resource, user_name, user_value, total_name, total_value, unit)                          \
	KEY(Limits, user_name, limits.user[TV_RESOURCE_##resource], unit, user_value, 0,           \
	    LIMIT_MOST)                                                                            \
	KEY(Limits, total_name, limits.total[TV_RESOURCE_##resource], unit, total_value, 0,        \
	    LIMIT_MOST)
	TV_QUOTA_RESOURCES(X)
#undef X
		TV_CONFIG_SETTINGS(KEY)
};

enum {
	KEYS = TV_ARRAY_SIZE(tv_config_keys)
};
const size_t tv_config_key_count = KEYS;

static uint64_t *value_of(struct tv_config *config, const struct tv_config_key *key)
{
	return (uint64_t *)((char *)config + key->field);
}

void tv_config_defaults(struct tv_config *config)
{
	for (size_t i = 0; i < KEYS; i++)
		*value_of(config, &tv_config_keys[i]) = tv_config_keys[i].value;
}

/* Part of a line, without blanks at its ends. */
struct span {
	const char *at;
	int length;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(const char *begin, const char *end)
{
	while (begin < end && is_blank(*begin))
		begin++;
	while (begin < end && is_blank(end[-1]))
		end--;
	return (struct span){ begin, (int)(end - begin) };
}

static bool span_is(struct span span, const char *text)
{
	return strlen(text) == (size_t)span.length && !memcmp(span.at, text, strlen(text));
}

struct suffix {
	const char *text;
	uint64_t factor;
};

/* Digits and a suffix. Returns 0, or -EINVAL if it is no such thing or more than 64 bits hold. */
static int parse_number(struct span span, const struct suffix *suffixes, uint64_t *ret)
{
	struct span rest = span;
	uint64_t value = 0;

	for (; rest.length && *rest.at >= '0' && *rest.at <= '9'; rest.at++, rest.length--)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*rest.at - '0'), &value))
			return -EINVAL;
	if (rest.length == span.length)
		return -EINVAL;
	for (; suffixes->text; suffixes++)
		if (span_is(rest, suffixes->text))
			return __builtin_mul_overflow(value, suffixes->factor, ret) ? -EINVAL : 0;
	return -EINVAL;
}

static int parse_count(struct span span, uint64_t *ret)
{
	static const struct suffix suffixes[] = { { "", 1 }, { 0 } };

	return parse_number(span, suffixes, ret);
}

static int parse_bytes(struct span span, uint64_t *ret)
{
	static const struct suffix suffixes[] = {
		{ "", 1 }, { "K", 1 << 10 }, { "M", 1 << 20 }, { "G", 1 << 30 }, { 0 }
	};

	return parse_number(span, suffixes, ret);
}

static int parse_time(struct span span, uint64_t *ret)
{
	static const struct suffix suffixes[] = {
		{ "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }, { 0 }
	};

	return parse_number(span, suffixes, ret);
}

static int parse_software(struct span span, uint64_t *ret)
{
	static const char *const names[] = {
		[TV_SOFTWARE_AUTO] = "auto",
		[TV_SOFTWARE_ALWAYS] = "always",
		[TV_SOFTWARE_NEVER] = "never",
	};

	for (unsigned int i = 0; i < TV_ARRAY_SIZE(names); i++)
		if (span_is(span, names[i])) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
}

static int parse_target(struct span span, uint64_t *ret)
{
	for (unsigned int i = 0; tv_target_at(i); i++)
		if (span_is(span, tv_target_at(i)->name)) {
			*ret = i;
			return 0;
		}
	return -EINVAL;
}

static const struct {
	int (*parse)(struct span span, uint64_t *ret);
	const char *expected;
} units[] = {
	[TV_CONFIG_COUNT] = { parse_count, "a number such as 64" },
	[TV_CONFIG_BYTES] = { parse_bytes, "bytes such as 4096, 64K, 256M or 1G" },
	[TV_CONFIG_TIME] = { parse_time, "a time such as 100us, 500ms or 2s" },
	[TV_CONFIG_SOFTWARE] = { parse_software, "auto, always or never" },
	[TV_CONFIG_TARGET] = { parse_target, "the name of a target such as zcu102" },
};

struct parser {
	struct tv_config *config;
	const char *name;
	unsigned int line;
	const char *section; /* one that there is, or NULL */
	unsigned int lines[KEYS]; /* where each was set, 0: nowhere */
};

#define fail(parser, error, format, ...)                                                           \
	tv_error_set(error, -EINVAL, "%s:%u: " format, (parser)->name, (parser)->line, __VA_ARGS__)

static int parse_section(struct parser *parser, struct span span, struct tv_error *error)
{
	if (span.at[span.length - 1] != ']')
		return fail(parser, error, "\"%.*s\", expected \"[Section]\"", span.length,
			    span.at);
	span = trim(span.at + 1, span.at + span.length - 1);
	for (size_t i = 0; i < KEYS; i++)
		if (span_is(span, tv_config_keys[i].section)) {
			parser->section = tv_config_keys[i].section;
			return 0;
		}
	return fail(parser, error, "no section is called \"%.*s\"", span.length, span.at);
}

static int set_key(struct parser *parser, size_t index, struct span span, struct tv_error *error)
{
	const struct tv_config_key *key = &tv_config_keys[index];
	uint64_t value;

	if (parser->lines[index])
		return fail(parser, error, "%s is set on line %u already", key->name,
			    parser->lines[index]);
	if (units[key->unit].parse(span, &value) < 0)
		return fail(parser, error, "%s is \"%.*s\", expected %s", key->name, span.length,
			    span.at, units[key->unit].expected);
	if (value < key->least || value > key->most)
		return fail(parser, error, "%s is %.*s, expected %" PRIu64 " to %" PRIu64 "%s",
			    key->name, span.length, span.at, key->least, key->most,
			    key->unit == TV_CONFIG_TIME ? " ns" : "");
	*value_of(parser->config, key) = value;
	parser->lines[index] = parser->line;
	return 0;
}

static int parse_line(struct parser *parser, struct span line, struct tv_error *error)
{
	const char *equals;
	struct span key;

	if (!line.length || *line.at == '#' || *line.at == ';')
		return 0;
	if (*line.at == '[')
		return parse_section(parser, line, error);
	equals = memchr(line.at, '=', (size_t)line.length);
	if (!equals)
		return fail(parser, error, "\"%.*s\", expected \"Key=Value\"", line.length,
			    line.at);
	key = trim(line.at, equals);
	if (!parser->section)
		return fail(parser, error, "\"%.*s\" is in no section", key.length, key.at);
	for (size_t i = 0; i < KEYS; i++)
		if (!strcmp(tv_config_keys[i].section, parser->section) &&
		    span_is(key, tv_config_keys[i].name))
			return set_key(parser, i, trim(equals + 1, line.at + line.length), error);
	return fail(parser, error, "no key of [%s] is called \"%.*s\"", parser->section, key.length,
		    key.at);
}

int tv_config_parse(struct tv_config *config, const char *text, const char *name,
		    struct tv_error *error)
{
	struct tv_config parsed = *config;
	struct parser parser = { .config = &parsed, .name = name };
	int r;

	while (*text) {
		const char *end = strchrnul(text, '\n');

		parser.line++;
		r = parse_line(&parser, trim(text, end), error);
		if (r < 0)
			return r;
		text = *end ? end + 1 : end;
	}
	*config = parsed;
	return 0;
}

int tv_config_read(struct tv_config *config, const char *path, struct tv_error *error)
{
	_cleanup_free_ uint8_t *data = NULL;
	size_t size;
	int r;

	r = tv_file_read(path, FILE_LIMIT, &data, &size, error);
	if (r < 0)
		return r;
	if (memchr(data, '\0', size))
		return tv_error_set(error, -EINVAL, "%s: is not a text", path);
	return tv_config_parse(config, (const char *)data, path, error);
}
