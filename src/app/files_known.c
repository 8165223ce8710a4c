/* SPDX-License-Identifier: BSD-2-Clause */
#include "app/files_known.h"

#include <stdlib.h>
#include <string.h>

/* ---- Entries ---- */

struct entry_key {
	const char *service, *id;
};

static bool matches(const void *entry, const void *key)
{
	const struct files_entry *one = entry;
	const struct entry_key *wanted = key;

	return strcmp(one->service, wanted->service) == 0 && strcmp(one->id, wanted->id) == 0;
}

static uint64_t hash_of(const struct files_known *known, const char *service, const char *id)
{
	return siphash(&known->key, service, strlen(service)) * 31 +
	       siphash(&known->key, id, strlen(id));
}

struct files_entry *files_known_entry(struct files_known *known, const char *service,
				      const char *id)
{
	const struct entry_key key = { service, id };
	uint64_t hash = hash_of(known, service, id);
	struct files_entry *entry = table_find(known->entries, hash, &key);
	size_t service_size = strlen(service) + 1, id_size = strlen(id) + 1;

	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry) + service_size + id_size);
	if (!entry)
		return NULL;
	memcpy(entry->service, service, service_size);
	memcpy(entry->service + service_size, id, id_size);
	entry->id = entry->service + service_size;
	if (table_insert(known->entries, hash, entry) == 0)
		return entry;
	free(entry);
	return NULL;
}

static void leave_file(struct files_entry *entry)
{
	if (entry->file)
		TAILQ_REMOVE(&entry->file->entries, entry, place);
}

void files_known_give(struct files_entry *entry, struct files_file *file)
{
	if (entry->file == file)
		return;
	leave_file(entry);
	entry->file = file;
	TAILQ_INSERT_TAIL(&file->entries, entry, place);
}

void files_known_remove(struct files_known *known, struct files_entry *entry)
{
	leave_file(entry);
	table_remove(known->entries, hash_of(known, entry->service, entry->id), entry);
	free(entry);
}

/* ---- Files ---- */

static struct files_file *new_file(const char *name)
{
	size_t size = strlen(name) + 1;
	struct files_file *file = calloc(1, sizeof(*file) + size);

	if (!file)
		return NULL;
	TAILQ_INIT(&file->entries);
	memcpy(file->name, name, size);
	return file;
}

static void free_file(struct files_file *file)
{
	free(file->error);
	free(file);
}

/* Where it is, or where it would be. */
static size_t position_of(const struct files_known *known, const char *name)
{
	size_t low = 0, high = known->n_files;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(known->files[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct files_file *files_known_find(const struct files_known *known, const char *name)
{
	size_t i = position_of(known, name);

	return i < known->n_files && strcmp(known->files[i]->name, name) == 0 ? known->files[i]
									      : NULL;
}

/* Of the order of names in the list and in what is known. */
static int compare(const struct files_known *known, size_t i, const struct files_list *list,
		   size_t j)
{
	if (i == known->n_files || j == list->n)
		return i == known->n_files ? 1 : -1;
	return strcmp(known->files[i]->name, list->names[j]);
}

int files_known_list(struct files_known *known, const struct files_list *list)
{
	struct files_file **merged =
		calloc(known->n_files + list->n + 1, sizeof(struct files_file *));
	size_t n = 0, i = 0, j = 0;

	if (!merged)
		return -1;
	while (i < known->n_files || j < list->n) {
		int order = compare(known, i, list, j);
		struct files_file *file = order > 0 ? new_file(list->names[j]) : known->files[i];

		if (!file)
			break;
		file->is_there = order >= 0;
		merged[n++] = file;
		i += order <= 0;
		j += order >= 0;
	}
	/* Those that are known are not lost without memory for a new one. */
	for (; i < known->n_files; i++)
		merged[n++] = known->files[i];
	free(known->files);
	known->files = merged;
	known->n_files = n;
	return j < list->n ? -1 : 0;
}

void files_known_tidy(struct files_known *known)
{
	size_t n = 0;

	for (size_t i = 0; i < known->n_files; i++) {
		struct files_file *file = known->files[i];

		if (file->is_there || !TAILQ_EMPTY(&file->entries))
			known->files[n++] = file;
		else
			free_file(file);
	}
	known->n_files = n;
}

/* ---- All of it ---- */

/* The file of this name; NULL when out of memory. */
static struct files_file *make_file(struct files_known *known, const char *name)
{
	size_t i = position_of(known, name);
	struct files_file **grown, *file;

	if (i < known->n_files && strcmp(known->files[i]->name, name) == 0)
		return known->files[i];
	grown = realloc(known->files, (known->n_files + 1) * sizeof(struct files_file *));
	if (!grown)
		return NULL;
	known->files = grown;
	file = new_file(name);
	if (!file)
		return NULL;
	memmove(grown + i + 1, grown + i, (known->n_files - i) * sizeof(struct files_file *));
	grown[i] = file;
	known->n_files++;
	return file;
}

static int take_instance(struct files_known *known, const struct registration *registration)
{
	struct files_file *file = make_file(known, registration->file);
	struct files_entry *entry =
		file ? files_known_entry(known, registration->service, registration->id) : NULL;

	if (!entry)
		return -1;
	files_known_give(entry, file);
	return 0;
}

int files_known_take_registry(struct files_known *known, const struct registry *registry)
{
	const struct service *service;
	size_t position = 0;

	while ((service = registry_next_service(registry, &position)))
		for (size_t i = 0; i < service->n_instances; i++) {
			const struct instance *instance = service->instances[i];

			if (instance->registration->file && instance->dirt != INSTANCE_GONE &&
			    take_instance(known, instance->registration))
				return -1;
		}
	return 0;
}

int files_known_init(struct files_known *known)
{
	*known = (struct files_known){ .entries = table_new(matches) };
	siphash_key_init(&known->key);
	return known->entries ? 0 : -1;
}

void files_known_clear(struct files_known *known)
{
	struct files_entry *entry;

	for (size_t position = 0;
	     known->entries && (entry = table_next(known->entries, &position));) {
		table_remove(known->entries, hash_of(known, entry->service, entry->id), entry);
		free(entry);
	}
	for (size_t i = 0; i < known->n_files; i++)
		free_file(known->files[i]);
	free(known->files);
	known->files = NULL;
	known->n_files = 0;
}

void files_known_fini(struct files_known *known)
{
	files_known_clear(known);
	table_free(known->entries);
}
