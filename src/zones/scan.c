/* SPDX-License-Identifier: MIT */
/*
 * Comparing the tree with the directories. A new directory is watched first and read after, so that
 * nothing falls between. kernfs counts subdirectories in st_nlink: a leaf is not read at all.
 *
 * A scan of one directory adopts what is there and then drops children that are not. It is cut into
 * steps of one entry, since a directory may hold 10,000.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "kernel/kio.h"
#include "zones/internal.h"

#define WATCH_RETRY_NS 60000000000ull

void scan_enqueue(struct zones *zs, struct zone *z, bool deep)
{
	struct scan_queue *q = &zs->queue;

	z->scan_deep = z->scan_deep || deep;
	if (z->scan_queued)
		return;
	if (q->count == q->cap) {
		size_t cap = q->cap ? q->cap * 2 : 64;
		uint64_t *ids = malloc(cap * sizeof(*ids));

		if (!ids) {
			zs->incomplete = true;
			return;
		}
		for (size_t i = 0; i < q->count; i++)
			ids[i] = q->ids[(q->head + i) % q->cap];
		free(q->ids);
		*q = (struct scan_queue){ids, cap, 0, q->count};
	}
	q->ids[(q->head + q->count++) % q->cap] = z->id;
	z->scan_queued = true;
}

static struct zone *dequeue(struct zones *zs)
{
	struct scan_queue *q = &zs->queue;

	while (q->count) {
		struct zone *z = hash_get(&zs->by_id, q->ids[q->head]);

		q->head = (q->head + 1) % q->cap;
		q->count--;
		if (z) {
			z->scan_queued = false;
			return z;
		}
	}
	return NULL;
}

void scan_all(struct zones *zs)
{
	zs->stats.rescans_total++;
	if (zs->first)
		scan_enqueue(zs, zs->first, true);
}

static void stop_dir(struct zones *zs)
{
	if (zs->scan_dir)
		closedir(zs->scan_dir);
	zs->scan_dir = NULL;
	zs->scan_zone = NULL;
	zs->sweeping = false;
	zs->sweep = NULL;
}

void scan_forget(struct zones *zs, const struct zone *z)
{
	if (zs->scan_zone == z)
		stop_dir(zs);
	if (zs->sweep && zs->sweep == z)
		zs->sweep = z->next_sibling;
}

static void try_watch(struct zones *zs, struct zone *z, int dirfd)
{
	int wd;

	if (z->wd >= 0 || zs->inotify_fd < 0 || (zs->degraded && zs->now_ns < zs->watch_retry_ns))
		return;
	wd = watch_add(zs, dirfd);
	if (wd >= 0) {
		watch_attach(zs, z, wd);
		return;
	}
	zs->watch_retry_ns = zs->now_ns + WATCH_RETRY_NS;
	zs->degraded = wd == -ENOSPC ? "inotify watches used up (fs.inotify.max_user_watches): the "
				       "tree is rescanned instead"
				     : "inotify watches fail: the tree is rescanned instead";
}

/* Has the open directory subdirectories? Only a live cgroup file system counts them. */
static bool may_have_children(const struct zones *zs, int dirfd)
{
	struct stat st;

	return zs->k->captured || kio_fstatat(dirfd, "", &st) < 0 || st.st_nlink > 2;
}

/* Is the directory still where its path says? Its parent may have been renamed under us. */
static int check_parent(const struct zones *zs, int dirfd, const struct zone *parent)
{
	struct stat st;
	int r = kio_fstatat(dirfd, "..", &st);

	if (r < 0)
		return r;
	return st.st_ino == parent->id ? 0 : -ESTALE;
}

static bool is_above(const struct zone *z, const struct zone *below)
{
	while (below && below != z)
		below = below->parent;
	return below != NULL;
}

/* The same directory under another name; -ENOENT: it is new here. */
static int adopt_known(struct zones *zs, struct zone *parent, struct zone *z, const char *path)
{
	int r;

	if (is_above(z, parent))
		return -ELOOP; /* a captured tree may be bound into itself */
	if (z->parent != parent) {
		tree_remove(zs, z); /* no kernel moves cgroups; an id was reused unseen */
		return -ENOENT;
	}
	z->seen = true;
	if (!strcmp(z->path, path))
		return 0;
	r = tree_rename(zs, z, path);
	class_update(zs, z, true);
	if (r < 0)
		zs->incomplete = true;
	scan_enqueue(zs, z, true); /* what failed under the old name is looked at again */
	return 0;
}

static int adopt_new(struct zones *zs, struct zone *parent, const char *path, uint64_t id,
		     int dirfd)
{
	struct zone *z;

	if (zs->by_id.count >= zs->cfg->max_zones) {
		zs->stats.refused_total++;
		zs->refused = true;
		return -ENOSPC;
	}
	z = tree_add(zs, parent, path, id);
	if (!z)
		return -ENOMEM;
	z->seen = true;
	try_watch(zs, z, dirfd);
	if (may_have_children(zs, dirfd))
		scan_enqueue(zs, z, true);
	return 0;
}

static int adopt(struct zones *zs, struct zone *parent, const char *name)
{
	_cleanup_close_ int fd = -1;
	struct zone *known, *stale;
	char path[PATH_MAX];
	uint64_t id;
	int r;

	r = tree_child_path(parent, name, path, sizeof(path));
	if (r < 0) {
		zs->stats.refused_total++; /* too deep to be opened by path */
		return 0;
	}
	fd = cgroup_open(zs->fs, CG_CPU, path, 0);
	if (fd < 0)
		return fd;
	r = cgroup_id_at(fd, &id);
	if (r == 0)
		r = check_parent(zs, fd, parent);
	if (r < 0)
		return r;
	/* another zone that had this name is gone, or has another name by now */
	stale = tree_by_path(zs, path);
	if (stale && stale->id != id)
		tree_remove(zs, stale);
	known = hash_get(&zs->by_id, id);
	r = known ? adopt_known(zs, parent, known, path) : -ENOENT;
	return r == -ENOENT ? adopt_new(zs, parent, path, id, fd) : r;
}

int scan_adopt(struct zones *zs, struct zone *parent, const char *name)
{
	int r = adopt(zs, parent, name);

	/* -ENOENT: gone again; its own event, or the end of the scan, sees to what is left */
	if (r < 0 && r != -ENOENT && r != -ENOSPC && r != -ELOOP)
		zs->incomplete = true;
	return r;
}

static bool is_there(struct zones *zs, const struct zone *z)
{
	_cleanup_close_ int fd = cgroup_open(zs->fs, CG_CPU, z->path, z->id);

	return fd >= 0 || (fd != -ENOENT && fd != -ESTALE && fd != -ENODEV);
}

/* The whole directory was read: children that were not in it are gone. One child a call. */
static void sweep_step(struct zones *zs)
{
	struct zone *c = zs->sweep;

	if (!c) {
		zs->scan_zone->scan_deep = false;
		stop_dir(zs);
		return;
	}
	zs->sweep = c->next_sibling;
	if (!c->seen && !is_there(zs, c))
		tree_remove(zs, c);
	else if (zs->scan_zone->scan_deep)
		scan_enqueue(zs, c, true);
}

static void start_dir(struct zones *zs, struct zone *z)
{
	int fd = cgroup_open(zs->fs, CG_CPU, z->path, z->id);

	if (fd < 0) {
		/* renamed or gone: an event tells, or the parent's scan where nothing is watched */
		if (fd != -ENOENT && fd != -ESTALE)
			zs->incomplete = true;
		return;
	}
	try_watch(zs, z, fd);
	if (!z->first_child && !may_have_children(zs, fd)) {
		z->scan_deep = false;
		close(fd);
		return;
	}
	zs->scan_dir = fdopendir(fd);
	if (!zs->scan_dir) {
		zs->incomplete = true;
		close(fd);
		return;
	}
	for (struct zone *c = z->first_child; c; c = c->next_sibling)
		c->seen = false;
	zs->scan_zone = z;
}

static bool is_candidate(const struct dirent *e)
{
	if (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN)
		return false;
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

bool scan_step(struct zones *zs)
{
	struct dirent *e;

	if (zs->sweeping) {
		sweep_step(zs);
		return true;
	}
	if (!zs->scan_dir) {
		struct zone *z = dequeue(zs);

		if (z)
			start_dir(zs, z);
		return z != NULL;
	}
	errno = 0;
	e = readdir(zs->scan_dir);
	if (e) {
		if (is_candidate(e))
			scan_adopt(zs, zs->scan_zone, e->d_name);
	} else if (errno) {
		zs->incomplete = true;
		stop_dir(zs);
	} else {
		zs->sweeping = true;
		zs->sweep = zs->scan_zone->first_child;
	}
	return true;
}

int scan_root(struct zones *zs)
{
	_cleanup_close_ int fd = cgroup_open(zs->fs, CG_CPU, "/", 0);
	struct zone *root;
	uint64_t id;
	int r;

	if (fd < 0)
		return fd;
	r = cgroup_id_at(fd, &id);
	if (r < 0)
		return r;
	root = tree_add(zs, NULL, "/", id);
	if (!root)
		return -ENOMEM;
	try_watch(zs, root, fd);
	scan_all(zs);
	return 0;
}
