/* SPDX-License-Identifier: MIT */
/* What is printed for people. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/tool.h"

char *tool_printable(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return text;
}

void tool_table_add(struct tool_table *table, const char *format, ...)
{
	va_list arguments;
	char *cell;
	int r;

	if (table->failed)
		return;
	if (table->count == table->room) {
		size_t room = table->room ? 2 * table->room : 64;
		char **cells = reallocarray(table->cells, room, sizeof(*cells));

		if (!cells) {
			table->failed = true;
			return;
		}
		table->cells = cells;
		table->room = room;
	}
	va_start(arguments, format);
	r = vasprintf(&cell, format, arguments);
	va_end(arguments);
	if (r < 0)
		table->failed = true;
	else
		table->cells[table->count++] = tool_printable(cell);
}

/* Columns that a string takes, as far as UTF-8 tells: its continuation bytes take none. */
static unsigned int width(const char *text)
{
	unsigned int columns = 0;

	for (; *text; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}

static void print_blanks(unsigned int count)
{
	printf("%*s", (int)count, "");
}

int tool_table_print(const struct tool_table *table, unsigned int indent, struct tv_error *error)
{
	_cleanup_free_ unsigned int *widths = calloc(table->columns, sizeof(*widths));

	if (!widths || table->failed)
		return tv_error_oom(error);
	for (size_t i = 0; i < table->count; i++) {
		unsigned int *most = &widths[i % table->columns];
		unsigned int cell = width(table->cells[i]);

		if (*most < cell)
			*most = cell;
	}
	for (size_t i = 0; i < table->count; i++) {
		unsigned int column = i % table->columns;
		unsigned int padding = widths[column] - width(table->cells[i]);
		bool last = column == table->columns - 1;

		print_blanks(column ? 2 : indent);
		if (column >= table->left)
			print_blanks(padding);
		fputs(table->cells[i], stdout);
		if (column < table->left && !last)
			print_blanks(padding);
		if (last)
			putchar('\n');
	}
	return 0;
}

void tool_table_done(struct tool_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct tool_table){ 0 };
}
