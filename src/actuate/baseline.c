/* SPDX-License-Identifier: MIT */
/*
 * What czd found: the native text of every knob file of every zone. Most zones hold the same few
 * texts, so a zone keeps numbers of shared ones: about 150 bytes a zone in all.
 */
#include <stdlib.h>
#include <string.h>
#include "actuate/actuate.h"
#include "actuate/knobs.h"
#include "actuate/open-dir.h"
#include "actuate/original.h"
#include "base/cleanup.h"
#include "base/hash.h"

struct text {
	uint32_t refs;
	char s[];
};

struct zone_base {
	uint64_t id;
	char *path;
	bool noted;
	struct text *texts[KF_NR]; /* NULL: no such file, or not noted */
};

struct baseline {
	const struct cgroup_fs *fs; /* borrowed */
	struct hash zones;	    /* id -> struct zone_base */
	struct hash texts;	    /* hash of the text -> struct text */
	uint64_t *queue;	    /* ids to be noted: [head, tail) */
	size_t head, tail, cap;
};

int baseline_new(const struct cgroup_fs *fs, struct baseline **ret)
{
	struct baseline *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->fs = fs;
	*ret = b;
	return 0;
}

static int text_get(struct baseline *b, const char *s, struct text **ret)
{
	uint64_t key = hash_string(s);
	struct text *t = hash_get(&b->texts, key);
	size_t size = strlen(s) + 1;

	if (!t) {
		t = malloc(sizeof(*t) + size);
		if (!t)
			return -ENOMEM;
		t->refs = 0;
		memcpy(t->s, s, size);
		if (hash_put(&b->texts, key, t) < 0) {
			free(t);
			return -ENOMEM;
		}
	}
	/* Two texts of one 64-bit hash: the second is not kept, and so not verified. */
	if (strcmp(t->s, s))
		return 0;
	t->refs++;
	*ret = t;
	return 0;
}

static void text_put(struct baseline *b, struct text *t)
{
	if (!t || --t->refs)
		return;
	hash_remove(&b->texts, hash_string(t->s));
	free(t);
}

static void zone_free(struct baseline *b, struct zone_base *z)
{
	for (int f = 0; f < KF_NR; f++)
		text_put(b, z->texts[f]);
	free(z->path);
	free(z);
}

void baseline_free(struct baseline *b)
{
	if (!b)
		return;
	hash_for_each(&b->zones, e)
		zone_free(b, e->value);
	hash_done(&b->zones);
	hash_done(&b->texts);
	free(b->queue);
	free(b);
}

void baseline_forget(struct baseline *b, uint64_t id)
{
	struct zone_base *z = hash_remove(&b->zones, id);

	if (z)
		zone_free(b, z);
}

static int enqueue(struct baseline *b, uint64_t id)
{
	if (b->head > b->cap / 2) {
		memmove(b->queue, b->queue + b->head, (b->tail - b->head) * sizeof(*b->queue));
		b->tail -= b->head;
		b->head = 0;
	}
	if (b->tail == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 256;
		uint64_t *queue = realloc(b->queue, cap * sizeof(*queue));

		if (!queue)
			return -ENOMEM;
		b->queue = queue;
		b->cap = cap;
	}
	b->queue[b->tail++] = id;
	return 0;
}

int baseline_note(struct baseline *b, uint64_t id, const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	struct zone_base *z = hash_get(&b->zones, id);
	int r;

	if (!copy)
		return -ENOMEM;
	if (z) {
		free(z->path);
		z->path = TAKE_PTR(copy);
		return 0;
	}
	z = calloc(1, sizeof(*z));
	if (!z)
		return -ENOMEM;
	z->id = id;
	z->path = TAKE_PTR(copy);
	r = hash_put(&b->zones, id, z);
	if (r < 0) {
		zone_free(b, z);
		return r;
	}
	r = enqueue(b, id);
	if (r < 0)
		baseline_forget(b, id);
	return r;
}

/* Calls cb for every knob file of a zone; stops on nonzero. Files and groups that are not there are
 * passed over. */
static int each_file(const struct baseline *b, struct zone_base *z,
		     int (*cb)(struct zone_base *z, enum knob_file f, uint64_t dir_id,
			       const char *text, void *arg),
		     void *arg)
{
	_cleanup_close_ int dirfd = -1;
	int hierarchy = -1, r = 0;
	uint64_t dir_id = 0;

	for (enum knob_file f = 0; f < KF_NR && !r; f++) {
		enum cgroup_controller c = knob_file_controller(f);
		bool v2 = cgroup_is_v2(b->fs, c);
		char text[KNOB_TEXT_MAX];

		if (!cgroup_has(b->fs, c) || !knob_file_name(f, v2))
			continue;
		if (b->fs->of[c] != hierarchy) {
			hierarchy = b->fs->of[c];
			close_fd(&dirfd);
			dirfd = hierarchy == b->fs->of[CG_CPU]
				    ? open_dir_by_id(b->fs, c, z->path, z->id)
				    : cgroup_open(b->fs, c, z->path, 0);
			if (dirfd >= 0 && cgroup_id_at(dirfd, &dir_id) < 0)
				close_fd(&dirfd);
		}
		if (dirfd >= 0 && knob_file_read(dirfd, f, v2, text, sizeof(text)) >= 0)
			r = cb(z, f, dir_id, text, arg);
	}
	return r;
}

struct noting {
	struct baseline *b;
	const struct actuator *act;
};

static int note_file(struct zone_base *z, enum knob_file f, uint64_t dir_id, const char *text,
		     void *arg)
{
	struct noting *n = arg;
	const char *original = actuator_original(n->act, f, dir_id);

	return text_get(n->b, original ? original : text, &z->texts[f]);
}

int baseline_step(struct baseline *b, const struct actuator *act, uint32_t max_zones)
{
	struct noting n = {b, act};

	for (; max_zones && b->head < b->tail; max_zones--) {
		struct zone_base *z = hash_get(&b->zones, b->queue[b->head++]);
		int r = z && !z->noted ? each_file(b, z, note_file, &n) : 0;

		if (r < 0)
			return r;
		if (z)
			z->noted = true;
	}
	return (int)(b->tail - b->head);
}

struct verifying {
	const struct cgroup_fs *fs;
	const struct actuator *act;
	difference_fn cb;
	void *arg;
	struct verify_report *report;
};

static int verify_file(struct zone_base *z, enum knob_file f, uint64_t dir_id, const char *text,
		       void *arg)
{
	struct verifying *v = arg;
	struct difference d;

	if (!z->texts[f])
		return 0; /* it came later */
	v->report->checked++;
	if (!strcmp(z->texts[f]->s, text))
		return 0;
	d = (struct difference){.id = z->id,
				.held_by = actuator_holder(v->act, f, dir_id),
				.path = z->path,
				.file =
				    knob_file_name(f, cgroup_is_v2(v->fs, knob_file_controller(f))),
				.found = z->texts[f]->s,
				.now = text,
				.knob = knob_file_knob(f)};
	v->report->differing++;
	v->report->held += d.held_by != 0;
	return v->cb ? v->cb(&d, v->arg) : 0;
}

/* By id: between two steps zones come and go. */
struct verify_walk {
	struct baseline *b;
	size_t next, nr;
	uint64_t ids[];
};

int verify_walk_new(struct baseline *b, struct verify_walk **ret)
{
	struct verify_walk *w = malloc(sizeof(*w) + b->zones.count * sizeof(w->ids[0]));

	if (!w)
		return -ENOMEM;
	*w = (struct verify_walk){.b = b};
	hash_for_each(&b->zones, e)
		w->ids[w->nr++] = e->key;
	*ret = w;
	return 0;
}

void verify_walk_free(struct verify_walk *w)
{
	free(w);
}

int verify_walk_step(struct verify_walk *w, const struct actuator *act, uint32_t max_zones,
		     difference_fn cb, void *arg, struct verify_report *report)
{
	struct verifying v = {.fs = w->b->fs, .act = act, .cb = cb, .arg = arg, .report = report};
	int r = baseline_step(w->b, act, max_zones);

	if (r)
		return r < 0 ? r : 1;
	for (; max_zones && w->next < w->nr; max_zones--) {
		struct zone_base *z = hash_get(&w->b->zones, w->ids[w->next++]);

		r = z ? each_file(w->b, z, verify_file, &v) : 0;
		if (r)
			return r;
	}
	return w->next < w->nr;
}

int baseline_verify(struct baseline *b, const struct actuator *act, difference_fn cb, void *arg,
		    struct verify_report *ret)
{
	struct verify_report report = {0};
	struct verify_walk *w;
	int r = verify_walk_new(b, &w);

	if (r < 0)
		return r;
	r = verify_walk_step(w, act, UINT32_MAX, cb, arg, &report);
	verify_walk_free(w);
	if (!r)
		*ret = report;
	return r;
}
