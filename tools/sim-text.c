/* SPDX-License-Identifier: MIT */
/* What the commands print for people. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sim.h"

char *sim_printable(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return text;
}

const char *sim_architecture_name(const struct tv_architecture *architecture)
{
	static const char *const names[] = { "b0", "b1", "b2", "b3" };
	struct tv_architecture published;

	for (size_t i = 0; i < TV_ARRAY_SIZE(names); i++) {
		if (tv_architecture_by_name(names[i], &published, NULL) < 0)
			continue;
		published.classes = architecture->classes;
		if (memcmp(&published, architecture, sizeof(published)) == 0)
			return names[i];
	}
	return NULL;
}

void sim_print_architecture(const struct tv_network *network)
{
	const char *name = sim_architecture_name(&network->architecture);

	printf("EfficientViT");
	if (name)
		printf("-B%s", name + 1);
	printf(", %u classes, input %ux%u\n", network->architecture.classes, network->size,
	       network->size);
}

void sim_table_add(struct sim_table *table, const char *format, ...)
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
		table->cells[table->count++] = sim_printable(cell);
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

int sim_table_print(const struct sim_table *table, unsigned int indent, struct tv_error *error)
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

void sim_table_done(struct sim_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct sim_table){ 0 };
}
