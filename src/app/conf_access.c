/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/conf_access.h"

#include <stdlib.h>
#include <string.h>

static int apply_name(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	char name[CONF_SAYING];

	if (conf_reader_saying(reader, value, name) < 0)
		return -1;
	return conf_reader_copy(reader, value, &((struct access_entry *)target)->name);
}

static int apply_token(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	const char *text = conf_reader_text(reader, value);

	if (!text)
		return -1;
	/* It may be the token itself, by mistake: nothing of it goes into the log. */
	if (!access_token_parse(text, ((struct access_entry *)target)->token))
		return conf_reader_fail(reader, value->start_mark,
					"no SHA-256 of a token: 64 hexadecimal digits, such as "
					"'printf %%s TOKEN | sha256sum' prints");
	((struct access_entry *)target)->has_token = true;
	return 0;
}

static int apply_access_identity(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct access_entry *entry = target;

	if (conf_reader_copy(reader, value, &entry->identity) < 0)
		return -1;
	return *entry->identity ? 0
				: conf_reader_fail(reader, value->start_mark, "the name is empty");
}

static int put_grant(struct conf_reader *reader, const yaml_node_t *value,
		     struct access_entry *entry, enum access_right right)
{
	const char *text = conf_reader_text(reader, value);

	if (!text)
		return -1;
	if (!access_pattern_is_valid(text))
		return conf_reader_fail_value(
			reader, value, "is no service in lower case, no 'PREFIX*', and not '*'");
	if (entry->n_grants == LIMIT_ACCESS_PATTERNS)
		return conf_reader_fail_value(reader, value, "is one too many");
	if (!entry->grants)
		entry->grants = calloc(LIMIT_ACCESS_PATTERNS, sizeof(*entry->grants));
	if (!entry->grants || !(entry->grants[entry->n_grants].pattern = strdup(text)))
		return conf_reader_fail_memory(reader, value);
	entry->grants[entry->n_grants++].right = right;
	return 0;
}

static int apply_read(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	if (value->type == YAML_SEQUENCE_NODE)
		return conf_reader_list(reader, value, apply_read, target);
	return put_grant(reader, value, target, ACCESS_READ);
}

static int apply_register(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	if (value->type == YAML_SEQUENCE_NODE)
		return conf_reader_list(reader, value, apply_register, target);
	return put_grant(reader, value, target, ACCESS_REGISTER);
}

static int apply_admin(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	if (value->type == YAML_SEQUENCE_NODE)
		return conf_reader_list(reader, value, apply_admin, target);
	return put_grant(reader, value, target, ACCESS_ADMIN);
}

/* Two entries for one token or one certificate would leave open which of them counts. */
static int check_entry(struct conf_reader *reader, const yaml_node_t *value,
		       const struct access_entry *entry)
{
	const struct access *access = &reader->conf->access;

	if (entry->has_token == (entry->identity != NULL))
		return conf_reader_fail(reader, value->start_mark,
					"an entry needs either 'token-sha256' or 'identity'");
	if (!entry->name)
		return conf_reader_fail(reader, value->start_mark, "the entry has no 'name'");
	for (const struct access_entry *other = access->entries; other < entry; other++) {
		if (strcmp(entry->name, other->name) == 0)
			return conf_reader_fail(reader, value->start_mark,
						"the name '%s' is there twice", entry->name);
		if (access_entry_is_same(entry, other))
			return conf_reader_fail(reader, value->start_mark,
						"'%s' and '%s' have the same token or identity",
						other->name, entry->name);
	}
	return 0;
}

static const struct conf_key entry_keys[] = {
	{ "name", apply_name, "text", "required", "what the log calls it" },
	{ "token-sha256", apply_token, "64 hexadecimal digits", "none",
	  "the SHA-256 of the token that shows who it is" },
	{ "identity", apply_access_identity, "text", "none",
	  "instead of a token: the name that a client's certificate proves" },
	{ "read", apply_read, "services", "none", "what it may list, ask why about, and watch" },
	{ "register", apply_register, "services", "none",
	  "what it may register instances of, send heartbeats for and deregister" },
	{ "admin", apply_admin, "services", "none",
	  "whose instances it may take out, and whose policy it may set" },
};
const struct conf_table conf_access_table = { "access", entry_keys, CONF_KEYS(entry_keys) };

static int apply_entry(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct access *access = target;
	struct access_entry *entry = &access->entries[access->n];

	access->n++; /* from here on conf_fini() frees it */
	if (conf_reader_mapping(reader, value, entry_keys, CONF_KEYS(entry_keys), entry) < 0)
		return -1;
	return check_entry(reader, value, entry);
}

int conf_access_apply(struct conf_reader *reader, const yaml_node_t *value, void *target)
{
	struct access *access = &((struct conf *)target)->access;
	ptrdiff_t n;

	if (value->type != YAML_SEQUENCE_NODE)
		return conf_reader_fail(reader, value->start_mark,
					"expected a list of entries: '- name: NAME'");
	n = value->data.sequence.items.top - value->data.sequence.items.start;
	if (n > LIMIT_ACCESS)
		return conf_reader_fail(reader, value->start_mark, "more than %d entries",
					LIMIT_ACCESS);
	access->entries = calloc((size_t)n + 1, sizeof(*access->entries));
	if (!access->entries)
		return conf_reader_fail_memory(reader, value);
	return conf_reader_list(reader, value, apply_entry, access);
}
