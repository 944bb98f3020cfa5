/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include "actuate/entry.h"
#include "base/cleanup.h"
#include "base/str.h"

DEFINE_CLEANUP(struct entry *, entry_free)

bool zone_path_valid(const char *path)
{
	if (path[0] != '/' || !path[1] || strlen(path) >= ZONE_PATH_MAX)
		return false;
	for (const char *p = path; *p;) {
		size_t n = strcspn(++p, "/");

		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
	}
	return true;
}

int entry_new(uint64_t seq, uint64_t zone_id, const char *path, struct entry **ret)
{
	_cleanup_(entry_freep) struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->seq = seq;
	e->zone_id = zone_id;
	e->path = strdup(path);
	if (!e->path)
		return -ENOMEM;
	*ret = TAKE_PTR(e);
	return 0;
}

void entry_free(struct entry *e)
{
	if (!e)
		return;
	for (size_t i = 0; i < e->nr; i++)
		free(e->parts[i].path);
	free(e->parts);
	free(e->path);
	free(e);
}

static int append(struct entry *e, const char *path, const char *old, const char *new,
		  struct part *p)
{
	struct part *parts;

	if (e->nr == PARTS_MAX)
		return -E2BIG;
	if (!str_copy(p->old, sizeof(p->old), old) || !str_copy(p->new, sizeof(p->new), new))
		return -ENAMETOOLONG;
	parts = realloc(e->parts, (e->nr + 1) * sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	e->parts = parts;
	if (strcmp(path, e->path)) {
		p->path = strdup(path);
		if (!p->path)
			return -ENOMEM;
	}
	parts[e->nr++] = *p;
	return 0;
}

int entry_add(struct entry *e, enum knob_file file, uint64_t id, const char *path, const char *old,
	      const char *new)
{
	struct part p = {.file = file, .side = !new, .id = id};

	if (new && !strcmp(old, new))
		return 0;
	return append(e, path, old, new ? new : "", &p);
}

int entry_pin(struct entry *e, enum knob_file file, uint64_t id, const char *path, const char *text)
{
	struct part p = {.file = file, .id = id};

	return append(e, path, text, text, &p);
}

bool entry_changes(const struct entry *e)
{
	for (size_t i = 0; i < e->nr; i++)
		if (!e->parts[i].side && strcmp(e->parts[i].old, e->parts[i].new))
			return true;
	return false;
}
