/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/log.h"

static const char *const names[] = {
	[LOG_EMERG] = "emerg", [LOG_ALERT] = "alert",	  [LOG_CRIT] = "crit",
	[LOG_ERR] = "err",     [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
	[LOG_INFO] = "info",   [LOG_DEBUG] = "debug",
};

static atomic_int highest = LOG_INFO;

int tv_log_level(void)
{
	return atomic_load(&highest);
}

void tv_log_set_level(int level)
{
	atomic_store(&highest, level);
}

int tv_log_level_of(const char *name)
{
	for (unsigned int i = 0; i < TV_ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -EINVAL;
}

const char *tv_log_level_name(int level)
{
	return level >= 0 && (unsigned int)level < TV_ARRAY_SIZE(names) ? names[level] : NULL;
}

/* Clients' names and texts may be in a line: control characters would forge others. */
static void blank_controls(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = ' ';
}

void tv_log(int level, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	if (level > tv_log_level())
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	blank_controls(text);
	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s\n", level, text);
	else
		fprintf(stderr, "triovitd: %s\n", text);
}
