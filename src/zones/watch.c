/* SPDX-License-Identifier: MIT */
/*
 * inotify: one watch a directory. kernfs sends no IN_DELETE_SELF, so a removed directory is learned
 * from its parent, and its watch (which pins the inode) is removed by hand.
 */
#include <sys/inotify.h>
#include <unistd.h>

#include "kernel/kio.h"
#include "zones/internal.h"

#define WATCH_MASK (IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_ONLYDIR)

int watch_open(struct zones *zs, struct error *reterr)
{
	zs->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (zs->inotify_fd >= 0)
		return 0;
	error_errno(reterr, -errno, "create an inotify instance");
	error_hint(reterr, "raise fs.inotify.max_user_instances");
	return reterr ? reterr->code : -EMFILE;
}

int watch_add(struct zones *zs, int dirfd)
{
	return kio_watch(zs->inotify_fd, dirfd, WATCH_MASK);
}

void watch_attach(struct zones *zs, struct zone *z, int wd)
{
	if (hash_put(&zs->by_wd, (uint64_t)wd, z) < 0) {
		inotify_rm_watch(zs->inotify_fd, wd);
		return;
	}
	z->wd = wd;
	zs->unwatched--;
	zs->stats.watches++;
}

void watch_remove(struct zones *zs, struct zone *z)
{
	if (z->wd < 0)
		return;
	hash_remove(&zs->by_wd, (uint64_t)z->wd);
	inotify_rm_watch(zs->inotify_fd, z->wd);
	z->wd = -1;
	zs->unwatched++;
	zs->stats.watches--;
}

/* A deleted name may be there again already: then the creation's event sees to it. */
static void on_delete(struct zones *zs, struct zone *parent, const char *name)
{
	struct zone *z = tree_child(zs, parent, name);
	int fd;

	if (!z)
		return;
	fd = cgroup_open(zs->fs, CG_CPU, z->path, z->id);
	if (fd >= 0)
		close(fd);
	else if (fd == -ENOENT || fd == -ESTALE || fd == -ENODEV)
		tree_remove(zs, z);
	else
		zs->incomplete = true;
}

static void on_event(struct zones *zs, const struct inotify_event *e)
{
	struct zone *parent;

	zs->stats.events_total++;
	if (e->mask & IN_Q_OVERFLOW) {
		zs->stats.overflows_total++;
		scan_all(zs);
		return;
	}
	parent = hash_get(&zs->by_wd, (uint64_t)e->wd);
	if (!parent || !(e->mask & IN_ISDIR) || !e->len)
		return;
	if (e->mask & IN_DELETE)
		on_delete(zs, parent, e->name);
	else
		scan_adopt(zs, parent, e->name);
}

bool watch_step(struct zones *zs)
{
	const struct inotify_event *e;

	if (zs->event_pos == zs->event_len) {
		ssize_t n = -1;

		if (zs->inotify_fd >= 0)
			n = read(zs->inotify_fd, zs->event_buf, sizeof(zs->event_buf));
		if (n <= 0)
			return false;
		zs->event_pos = 0;
		zs->event_len = (size_t)n;
	}
	e = (const struct inotify_event *)(const void *)(zs->event_buf + zs->event_pos);
	zs->event_pos += sizeof(*e) + e->len;
	on_event(zs, e);
	return true;
}
