/* SPDX-License-Identifier: MIT */
/*
 * What users asked for with `protect` and `run`: class and goals by cgroup path, on disk
 * (STATE_DIR/zones.json), so that it survives czd. Zones that czd made itself (`run`) are marked,
 * and are removed when they are empty.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "model/zone.h"

#define DESIRED_MAX 4096
struct desired_zone {
	char *path;
	enum zone_class class;
	struct slo slo;
	bool made; /* by czd: remove when empty */
};
struct desired {
	int dirfd; /* -1: not kept on disk */
	struct desired_zone *items;
	size_t nr;
};
/* A missing file is an empty set; a broken one is moved aside and reported in reterr, result 0 or
 * -EBADMSG. */
must_check int desired_load(struct desired *ds, int dirfd, struct error *reterr);
void desired_done(struct desired *ds);
struct desired_zone *desired_get(const struct desired *ds, const char *path);
/* What a person calls a zone that may be gone: its path, name, or a suffix of the path at a '/'.
 * -ENOENT; -ENOTUNIQ: several, use the path. */
must_check int desired_find(const struct desired *ds, const char *name, struct desired_zone **ret);
/* Add or replace, and write. -ENOSPC, -EROFS...: kept in memory, not on disk; reterr says so. */
must_check int desired_put(struct desired *ds, const char *path, enum zone_class class,
			   const struct slo *slo, bool made, struct error *reterr);
int desired_remove(struct desired *ds, const char *path);
