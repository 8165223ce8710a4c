/* SPDX-License-Identifier: BSD-2-Clause */
#include "model/compile_name.h"

#include "dns/name.h"

#include <string.h>

const char *const compile_name_protocols[] = {
	[PROTOCOL_TCP] = "_tcp",
	[PROTOCOL_UDP] = "_udp",
};

struct compile_name compile_name_1(const char *label)
{
	struct compile_name relative;

	relative.len = name_put_label(relative.name, 0, label);
	return relative;
}

struct compile_name compile_name_2(const char *label, const char *parent)
{
	struct compile_name relative = compile_name_1(label);

	relative.len = name_put_label(relative.name, relative.len, parent);
	return relative;
}

struct compile_name compile_name_3(const char *label, const char *parent, const char *top)
{
	struct compile_name relative = compile_name_2(label, parent);

	relative.len = name_put_label(relative.name, relative.len, top);
	return relative;
}

const char *compile_name_underscore(const char *label, char text[LIMIT_LABEL + 2])
{
	text[0] = '_';
	strcpy(text + 1, label);
	return text;
}

bool compile_name_has_underscore(const char *label)
{
	return strlen(label) < LIMIT_LABEL;
}

bool compile_name_has_tag(const char *tag)
{
	return compile_name_has_underscore(tag) && strcmp(tag, "tcp") != 0 &&
	       strcmp(tag, "udp") != 0;
}

size_t compile_name_owners(const struct registration *registration,
			   struct compile_name names[COMPILE_NAMES_MAX])
{
	const char *service = registration->service;
	const char *protocol = compile_name_protocols[registration->protocol];
	char text[LIMIT_LABEL + 2], tag_text[LIMIT_LABEL + 2], tag[LIMIT_LABEL + 1];
	bool underscored = compile_name_has_underscore(service);
	size_t n = 0;

	names[n++] = compile_name_1(service);
	names[n++] = compile_name_2(record_label(registration), service);
	if (underscored)
		names[n++] = compile_name_2(compile_name_underscore(service, text), protocol);
	for (size_t i = 0; i < registration->n_tags; i++) {
		if (!record_label_parse(registration->tags[i], tag))
			continue;
		names[n++] = compile_name_2(tag, service);
		if (underscored && compile_name_has_tag(tag))
			names[n++] = compile_name_2(compile_name_underscore(service, text),
						    compile_name_underscore(tag, tag_text));
	}
	for (size_t i = 0; i < registration->n_ports; i++)
		if (compile_name_has_underscore(registration->ports[i].name))
			names[n++] = compile_name_3(
				compile_name_underscore(registration->ports[i].name, text),
				protocol, service);
	return n;
}
