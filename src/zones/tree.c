/* SPDX-License-Identifier: MIT */
/* The tree itself: indexes by id and path, order, and telling the listener. No file access. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "zones/internal.h"

int tree_child_path(const struct zone *parent, const char *name, char *buf, size_t size)
{
	return str_printf(buf, size, "%s/%s", parent->parent ? parent->path : "", name);
}

/* Two paths may share a hash: the index then holds one of them, and the other is looked for. */
struct zone *tree_by_path(const struct zones *zs, const char *path)
{
	struct zone *z = hash_get(&zs->by_path, hash_string(path));

	if (!z || !strcmp(z->path, path))
		return z;
	for (z = zs->first; z && strcmp(z->path, path) != 0; z = z->next)
		;
	return z;
}

struct zone *tree_child(const struct zones *zs, const struct zone *parent, const char *name)
{
	char path[PATH_MAX];

	if (tree_child_path(parent, name, path, sizeof(path)) < 0)
		return NULL;
	return tree_by_path(zs, path);
}

static int index_path(struct zones *zs, struct zone *z)
{
	uint64_t key = hash_string(z->path);

	return hash_get(&zs->by_path, key) ? 0 : hash_put(&zs->by_path, key, z);
}

static void unindex_path(struct zones *zs, struct zone *z)
{
	uint64_t key = hash_string(z->path);

	if (hash_get(&zs->by_path, key) == z)
		hash_remove(&zs->by_path, key);
}

static int set_path(struct zone *z, const char *path)
{
	char name[ZONE_NAME_MAX];
	char *new_path = strdup(path);
	char *new_name = strdup(zone_friendly_name(path, name, sizeof(name), &z->kind));

	if (!new_path || !new_name) {
		free(new_path);
		free(new_name);
		return -ENOMEM;
	}
	free(z->path);
	free(z->name);
	z->path = new_path;
	z->name = new_name;
	return 0;
}

static void link_zone(struct zones *zs, struct zone *z)
{
	z->prev = zs->last;
	if (zs->last)
		zs->last->next = z;
	else
		zs->first = z;
	zs->last = z;
	if (!z->parent)
		return;
	z->next_sibling = z->parent->first_child;
	if (z->next_sibling)
		z->next_sibling->prev_sibling = z;
	z->parent->first_child = z;
}

static void unlink_zone(struct zones *zs, struct zone *z)
{
	*(z->prev ? &z->prev->next : &zs->first) = z->next;
	*(z->next ? &z->next->prev : &zs->last) = z->prev;
	if (z->next_sibling)
		z->next_sibling->prev_sibling = z->prev_sibling;
	if (z->prev_sibling)
		z->prev_sibling->next_sibling = z->next_sibling;
	else if (z->parent)
		z->parent->first_child = z->next_sibling;
}

static void zone_free(struct zone *z)
{
	free(z->path);
	free(z->name);
	free(z);
}

struct zone *tree_add(struct zones *zs, struct zone *parent, const char *path, uint64_t id)
{
	struct zone *z = calloc(1, sizeof(*z));

	if (!z)
		return NULL;
	z->id = id;
	z->parent = parent;
	z->depth = parent ? parent->depth + 1 : 0;
	z->wd = -1;
	z->first_seen_ns = zs->now_ns;
	if (set_path(z, path) < 0 || hash_put(&zs->by_id, id, z) < 0) {
		zone_free(z);
		return NULL;
	}
	if (index_path(zs, z) < 0) {
		hash_remove(&zs->by_id, id);
		zone_free(z);
		return NULL;
	}
	link_zone(zs, z);
	zs->unwatched++;
	zs->stats.added_total++;
	class_update(zs, z, false);
	if (zs->ev.on_add)
		zs->ev.on_add(z, zs->ev.arg);
	return z;
}

void tree_remove(struct zones *zs, struct zone *z)
{
	while (z->first_child)
		tree_remove(zs, z->first_child);
	if (zs->ev.on_remove)
		zs->ev.on_remove(z, zs->ev.arg);
	watch_remove(zs, z);
	scan_forget(zs, z);
	zs->unwatched--;
	zs->stats.removed_total++;
	hash_remove(&zs->by_id, z->id);
	unindex_path(zs, z);
	unlink_zone(zs, z);
	zone_free(z);
}

/* z and all below get new paths. On -ENOMEM some still have the old ones: a rescan follows. */
int tree_rename(struct zones *zs, struct zone *z, const char *path)
{
	char *old_path = strdup(z->path);
	int r = old_path ? 0 : -ENOMEM;

	if (r == 0) {
		unindex_path(zs, z);
		r = set_path(z, path);
		if (r == 0) { /* told in any case: the old text is gone */
			zs->stats.renamed_total++;
			if (zs->ev.on_rename)
				zs->ev.on_rename(z, old_path, zs->ev.arg);
		}
		if (index_path(zs, z) < 0)
			r = -ENOMEM;
	}
	free(old_path);
	/* On the heap: a path may have two thousand components. */
	for (struct zone *c = z->first_child; c && r == 0; c = c->next_sibling) {
		char *child;

		if (asprintf(&child, "%s%s", z->path, strrchr(c->path, '/')) < 0)
			return -ENOMEM;
		r = tree_rename(zs, c, child);
		free(child);
	}
	return r;
}
