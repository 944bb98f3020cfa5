/* SPDX-License-Identifier: MIT */
/* The face of zones/: making, driving and asking. */
#include "zones/zones.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "zones/internal.h"

#define RETRY_NS	   1000000000ull
#define RESCAN_DEGRADED_NS 5000000000ull
#define RESCAN_REFUSED_NS  10000000000ull

int zones_new(const struct kernel *k, const struct cgroup_fs *fs, const struct config *cfg,
	      const struct zones_events *ev, struct zones **ret, struct error *reterr)
{
	struct zones *zs = calloc(1, sizeof(*zs));
	int r = 0;

	if (!zs)
		return error_errno(reterr, -ENOMEM, "zones");
	*zs = (struct zones){.k = k, .fs = fs, .cfg = cfg, .inotify_fd = -1};
	if (ev)
		zs->ev = *ev;
	if (!k->captured)
		r = watch_open(zs, reterr);
	if (r < 0) {
		zones_free(zs);
		return r;
	}
	*ret = zs;
	return 0;
}

void zones_free(struct zones *zs)
{
	if (!zs)
		return;
	offlimits_stop(zs);
	if (zs->first)
		tree_remove(zs, zs->first);
	close_fd(&zs->inotify_fd);
	hash_done(&zs->by_id);
	hash_done(&zs->by_path);
	hash_done(&zs->by_wd);
	free(zs->queue.ids);
	free(zs);
}

int zones_fd(const struct zones *zs)
{
	return zs->inotify_fd;
}

/* What no event tells: unwatched directories, what did not fit, what could not be read. */
static void plan_rescan(struct zones *zs)
{
	bool room = zs->refused && zs->by_id.count < zs->cfg->max_zones - zs->cfg->max_zones / 10;

	if (zs->inotify_fd < 0 || !zs->first || zs->now_ns < zs->rescan_ns)
		return;
	if (!zs->unwatched)
		zs->degraded = NULL;
	if (zs->incomplete || room) {
		zs->rescan_ns = zs->now_ns + (zs->incomplete ? RETRY_NS : RESCAN_REFUSED_NS);
		zs->incomplete = zs->refused = false;
		scan_all(zs);
	} else if (zs->unwatched) {
		zs->rescan_ns = zs->now_ns + RESCAN_DEGRADED_NS;
		for (struct zone *z = zs->first; z; z = z->next)
			if (z->wd < 0)
				scan_enqueue(zs, z, false);
	}
}

/* One small unit of whatever is most urgent. */
static bool step(struct zones *zs)
{
	if (!zs->first && scan_root(zs) < 0)
		return false;
	if (watch_step(zs) || scan_step(zs))
		return true;
	zs->scanned_once = true;
	if (zs->now_ns >= zs->processes.next_ns && !zs->processes.dir &&
	    !(zs->k->captured && zs->processes.done_once))
		offlimits_begin(zs);
	return offlimits_step(zs);
}

bool zones_process(struct zones *zs, uint64_t now_ns, const struct slice *slice)
{
	zs->now_ns = now_ns;
	if (!zs->scan_dir && !zs->queue.count)
		plan_rescan(zs);
	while (step(zs))
		if (slice_over(slice))
			return true;
	return false;
}

void zones_catch_up(struct zones *zs, uint64_t now_ns, const struct slice *slice)
{
	zs->now_ns = now_ns;
	while (watch_step(zs) || (zs->scanned_once && scan_step(zs)))
		if (slice_over(slice))
			return;
}

bool zones_ready(const struct zones *zs)
{
	return zs->scanned_once && zs->processes.done_once;
}

const struct zone *zones_first(const struct zones *zs)
{
	return zs->first;
}

size_t zones_count(const struct zones *zs)
{
	return zs->by_id.count;
}

const struct zone *zones_by_id(const struct zones *zs, uint64_t id)
{
	return hash_get(&zs->by_id, id);
}

const struct zone *zones_by_path(const struct zones *zs, const char *path)
{
	return tree_by_path(zs, path);
}

void zones_stats(const struct zones *zs, struct zones_stats *ret)
{
	*ret = zs->stats;
	ret->count = zs->by_id.count;
	ret->degraded = zs->degraded;
}
