/* SPDX-License-Identifier: MIT */
#include "cli/top-zones.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "cli/show.h"

#define BUSY_KEPT 60 /* ticks; so that what runs now and then does not blink */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct top_zone *)a)->path, ((const struct top_zone *)b)->path);
}

struct top_zone *top_zones_find(const struct top_zones *z, const char *path)
{
	const struct top_zone key = {.path = path};

	return z->nr ? bsearch(&key, z->items, z->nr, sizeof(key), by_path) : NULL;
}

/* An app in a virtual machine is no cgroup: its path is that of its zone, " (guest)", and its name.
 */
static void cut_guest(char *path)
{
	static const char guest[] = " (guest)";
	size_t n = strlen(path);

	if (n >= sizeof(guest) && !strcmp(path + n - (sizeof(guest) - 1), guest))
		path[n - (sizeof(guest) - 1)] = 0;
}

struct top_zone *top_zones_parent(const struct top_zones *z, const struct top_zone *zone)
{
	_cleanup_free_ char *path = strdup(zone->path);
	struct top_zone *parent;
	char *slash;

	while (path && (slash = strrchr(path, '/')) != NULL && path[1]) {
		slash[slash == path] = 0;
		if (json_is_null(json_object_get(zone->row, "id")))
			cut_guest(path);
		parent = top_zones_find(z, path);
		if (parent)
			return parent;
	}
	return NULL;
}

static void fill(struct top_zone *zone, const json_t *row)
{
	static const char *const keys[TOP_FIGURES] = {"wait_ppm", "cpu_ppm", "memory_bytes",
						      "io_bytes_per_second"};

	*zone = (struct top_zone){
	    .row = row, .name = get_text(row, "name"), .path = get_text(row, "path")};
	for (int i = 0; i < TOP_FIGURES; i++)
		zone->known[i] = get_number(row, keys[i], &zone->figure[i]);
}

static uint32_t sample(const struct top_zone *zone, enum top_figure f)
{
	if (!zone->known[f])
		return TREND_UNKNOWN;
	return zone->figure[f] < TREND_UNKNOWN ? (uint32_t)zone->figure[f] : TREND_UNKNOWN - 1;
}

static void remember(struct top_zone *zone)
{
	struct top_past *p = zone->past;

	p->wait_ppm[p->count % TREND_SAMPLES] = sample(zone, TOP_WAIT_PPM);
	p->cpu_ppm[p->count % TREND_SAMPLES] = sample(zone, TOP_CPU_PPM);
	p->count++;
	if (zone->figure[TOP_CPU_PPM])
		p->busy_at = p->count;
}

static void forget(struct top_zone *items, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		free(items[i].past);
	free(items);
}

/* Rows with a path, in its order, each path once. */
static size_t read_rows(const json_t *rows, struct top_zone *items)
{
	size_t i, n = 0, nr = 0;
	json_t *row;

	json_array_foreach(rows, i, row) if (get_text(row, "path")[0]) fill(&items[n++], row);
	qsort(items, n, sizeof(*items), by_path);
	for (i = 0; i < n; i++)
		if (!nr || strcmp(items[nr - 1].path, items[i].path))
			items[nr++] = items[i];
	return nr;
}

/* Each new one gets an empty past; those that were there take theirs over later. */
static int add_pasts(const struct top_zones *before, struct top_zone *items, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (top_zones_find(before, items[i].path))
			continue;
		items[i].past = calloc(1, sizeof(*items[i].past));
		if (!items[i].past)
			return -ENOMEM;
	}
	return 0;
}

int top_zones_take(struct top_zones *z, json_t *data)
{
	const json_t *rows = json_object_get(data, "zones");
	bool same = z->data && get_count(z->data, "now_ns") == get_count(data, "now_ns");
	struct top_zone *items = calloc(json_array_size(rows) + 1, sizeof(*items));
	size_t nr = items ? read_rows(rows, items) : 0;
	int r = !json_is_array(rows) ? -EPROTO : !items ? -ENOMEM : add_pasts(z, items, nr);

	if (r < 0) {
		forget(items, nr);
		json_decref(data);
		return r;
	}
	for (size_t i = 0; i < nr; i++) {
		bool fresh = items[i].past;

		if (!fresh)
			items[i].past = TAKE_PTR(top_zones_find(z, items[i].path)->past);
		if (fresh || !same)
			remember(&items[i]);
	}
	top_zones_done(z);
	*z = (struct top_zones){data, items, nr};
	return 0;
}

void top_zones_done(struct top_zones *z)
{
	forget(z->items, z->nr);
	json_decref(z->data);
	*z = (struct top_zones){0};
}

bool top_zone_matters(const struct top_zone *zone)
{
	const struct top_past *p = zone->past;

	return get_bool(zone->row, "class_own") || strcmp(text_or_dash(zone->row, "state"), "-") ||
	       (p->busy_at && p->count - p->busy_at < BUSY_KEPT);
}

const char *top_zone_handle(const struct top_zone *zone)
{
	return json_is_null(json_object_get(zone->row, "id")) ? zone->name : zone->path;
}
