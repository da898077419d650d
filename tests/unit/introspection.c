/* SPDX-License-Identifier: MIT */
/* docs/dbus.md and what the daemon says of itself: the same methods, arguments and properties. */
#include <ctype.h>

#include "common/file.h"
#include "tests/unit/service.h"

/* The page, and where we are in it. */
static char *page;

static void read_page(void)
{
	const char *path = tv_unit_source("docs/dbus.md");
	struct tv_error error = { 0 };
	size_t size;

	tv_assert_ok(tv_file_read(path, 1 << 20, (uint8_t **)&page, &size, &error), error);
	page = realloc(page, size + 1);
	page[size] = '\0';
}

/* The text of a section; to be freed. */
static char *section_of(const char *interface)
{
	char title[64];
	const char *begin, *end;

	snprintf(title, sizeof(title), "\n## %s\n", interface);
	begin = strstr(page, title);
	ck_assert_msg(begin, "no section '%s'", interface);
	end = strstr(begin + strlen(title), "\n## ");
	return end ? strndup(begin, (size_t)(end - begin)) : strdup(begin);
}

/* An attribute of a tag on one line; to be freed. */
static char *attribute(const char *line, const char *name)
{
	char key[32];
	const char *begin;

	snprintf(key, sizeof(key), " %s=\"", name);
	begin = strstr(line, key);
	ck_assert_msg(begin && begin < strchr(line, '\n'), "no attribute %s in %.80s", name, line);
	begin += strlen(key);
	return strndup(begin, strcspn(begin, "\""));
}

static bool is_tag(const char *line, const char *tag)
{
	return !strncmp(line + strspn(line, " "), tag, strlen(tag));
}

/* "Name(type name, ...) → (type name, ...)", as the page has it. Returns the line behind. */
static const char *describe_method(const char *line, char **ret)
{
	_cleanup_free_ char *name = attribute(line, "name");
	char *in = strdup(""), *out = strdup(""), *joined;

	while (line = strchr(line, '\n') + 1, is_tag(line, "<arg ")) {
		_cleanup_free_ char *type = attribute(line, "type");
		_cleanup_free_ char *argument = attribute(line, "name");
		_cleanup_free_ char *direction = attribute(line, "direction");
		char **list = !strcmp(direction, "in") ? &in : &out;

		ck_assert_int_ge(asprintf(&joined, "%s%s%s %s", *list, **list ? ", " : "", type,
					  argument),
				 0);
		free(*list);
		*list = joined;
	}
	ck_assert_int_ge(asprintf(ret, "\n%s(%s) → (%s)\n", name, in, out), 0);
	free(in);
	free(out);
	return line;
}

/* "`Name` type" with nothing behind that could belong to the type. */
static bool has_property(const char *section, const char *name, const char *type)
{
	char text[128];
	const char *at;

	snprintf(text, sizeof(text), "`%s` %s", name, type);
	at = strstr(section, text);
	return at && strchr(" ,.\n", at[strlen(text)]);
}

/* Methods and properties that a section has. */
static void count_documented(const char *section, unsigned int *methods, unsigned int *properties)
{
	*methods = *properties = 0;
	for (const char *at = section; (at = strstr(at, ") → (")); at++)
		++*methods;
	section = strstr(section, "\nProperties: ");
	ck_assert_ptr_nonnull(section);
	for (const char *at = section; (at = strchr(at, '`')); at = strchr(at + 1, '`') + 1)
		*properties += isupper(at[1]) && !strncmp(at + 1 + strcspn(at + 1, "`."), "` ", 2);
}

static void compare(const char *interface, const char *xml)
{
	_cleanup_free_ char *section = section_of(interface), *whole = NULL;
	unsigned int methods = 0, properties = 0, said_methods, said_properties;
	const char *line;

	ck_assert_int_ge(asprintf(&whole, "<interface name=\"" TV_BUS_NAME ".%s\">", interface), 0);
	line = strstr(xml, whole);
	ck_assert_msg(line, "no %s", whole);
	while (line = strchr(line, '\n') + 1, !is_tag(line, "</interface>")) {
		if (is_tag(line, "<method ")) {
			_cleanup_free_ char *text = NULL;

			line = describe_method(line, &text);
			ck_assert_msg(strstr(section, text), "%s: not documented: %s", interface,
				      text);
			methods++;
		} else if (is_tag(line, "<property ")) {
			_cleanup_free_ char *name = attribute(line, "name");
			_cleanup_free_ char *type = attribute(line, "type");

			ck_assert_msg(has_property(section, name, type),
				      "%s: not documented: `%s` %s", interface, name, type);
			properties++;
		}
	}
	count_documented(section, &said_methods, &said_properties);
	ck_assert_uint_eq(methods, said_methods);
	ck_assert_uint_eq(properties, said_properties);
}

static void compare_object(struct way *way, const char *path, const char *interface)
{
	sd_bus_message *reply = bus_call(service.event, way->bus, way->destination, path,
					 "org.freedesktop.DBus.Introspectable", "Introspect");
	const char *xml;

	ck_assert_reply(reply);
	ck_assert_int_gt(sd_bus_message_read(reply, "s", &xml), 0);
	compare(interface, xml);
	sd_bus_message_unref(reply);
}

/* The children that a path tells of, for who draws the tree. */
static unsigned int count_children(struct way *way, const char *path)
{
	sd_bus_message *reply = bus_call(service.event, way->bus, way->destination, path,
					 "org.freedesktop.DBus.Introspectable", "Introspect");
	unsigned int count = 0;
	const char *xml;

	ck_assert_reply(reply);
	ck_assert_int_gt(sd_bus_message_read(reply, "s", &xml), 0);
	for (; (xml = strstr(xml, "<node name=")); xml++)
		count++;
	sd_bus_message_unref(reply);
	return count;
}

/* Everybody sees what is theirs. */
START_TEST(tree)
{
	struct way way = way_open(), other = way_open();
	_cleanup_free_ char *model = way_load_good(&way);
	struct session session = session_open(&way, model, 1, 1);

	ck_assert_uint_eq(count_children(&way, TV_BUS_PATH), 3);
	ck_assert_uint_eq(count_children(&way, TV_BUS_PATH "/devices"), 1);
	ck_assert_uint_eq(count_children(&way, TV_BUS_PATH "/models"), 1);
	ck_assert_uint_eq(count_children(&way, TV_BUS_PATH "/sessions"), 1);
	ck_assert_uint_eq(count_children(&other, TV_BUS_PATH "/models"), 1);
	ck_assert_uint_eq(count_children(&other, TV_BUS_PATH "/sessions"), 0);
	assert_refused(way_call(&other, session.path, "Session", "Close", ""), "NotFound", "");
	assert_refused(way_call(&way, TV_BUS_PATH "/models/0", "Model", "Unload", ""), "NotFound",
		       "no such object");
	session_done(&session);
	way_close(&other);
	way_close(&way);
}
END_TEST

START_TEST(page_and_daemon_say_the_same)
{
	struct way way = way_open();
	_cleanup_free_ char *model = way_load_good(&way);
	struct session session = session_open(&way, model, 1, 1);

	read_page();
	compare_object(&way, TV_BUS_PATH, "Manager");
	compare_object(&way, TAILQ_FIRST(&service.manager->accelerators)->path, "Device");
	compare_object(&way, model, "Model");
	compare_object(&way, session.path, "Session");
	session_done(&session);
	way_close(&way);
	free(page);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("introspection");
	TCase *t = tcase_create("introspection");

	tcase_add_checked_fixture(t, service_set_up, service_tear_down);
	tcase_add_test(t, tree);
	tcase_add_test(t, page_and_daemon_say_the_same);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return tv_unit_main(suite());
}
