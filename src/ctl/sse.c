/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl/sse.h"

#include <stdio.h>
#include <string.h>

void sse_init(struct sse *sse, void (*on_event)(void *cookie, const char *event, const char *data),
	      void *cookie)
{
	*sse = (struct sse){ .on_event = on_event, .cookie = cookie };
	buf_init(&sse->line);
	buf_init(&sse->data);
}

void sse_fini(struct sse *sse)
{
	buf_fini(&sse->line);
	buf_fini(&sse->data);
}

void sse_reset(struct sse *sse)
{
	sse->line.len = sse->data.len = 0;
	*sse->event = '\0';
	sse->had_cr = false;
}

/* The value of a line "name: value"; NULL: it has another name. */
static const char *value_of(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len) != 0 || (line[len] != ':' && line[len] != '\0'))
		return NULL;
	line += len + (line[len] == ':');
	return line + (*line == ' ');
}

static void end_event(struct sse *sse)
{
	if (sse->data.len) {
		sse->data.data[sse->data.len - 1] = '\0'; /* the last line feed */
		sse->on_event(sse->cookie, *sse->event ? sse->event : "message", sse->data.data);
	}
	sse->data.len = 0;
	*sse->event = '\0';
}

static void end_line(struct sse *sse)
{
	const char *line = sse->line.len ? sse->line.data : "", *value;

	if (!*line)
		end_event(sse);
	else if ((value = value_of(line, "data")))
		buf_print(&sse->data, "%s\n", value);
	else if ((value = value_of(line, "event")))
		snprintf(sse->event, sizeof(sse->event), "%s", value);
	else if ((value = value_of(line, "id")) && strlen(value) < sizeof(sse->last_id) &&
		 strspn(value, "0123456789") == strlen(value))
		snprintf(sse->last_id, sizeof(sse->last_id), "%s", value);
	sse->line.len = 0;
	sse->failed = sse->failed || sse->line.failed || sse->data.failed;
}

void sse_put(struct sse *sse, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n' && sse->had_cr)
			;
		else if (data[i] == '\n' || data[i] == '\r')
			end_line(sse);
		else
			buf_put(&sse->line, data + i, 1);
		sse->had_cr = data[i] == '\r';
	}
}
