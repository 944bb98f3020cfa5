/* SPDX-License-Identifier: MIT */
#include "gate/view.h"

#include <stdlib.h>
#include <string.h>

uint64_t view_number(const json_t *o, const char *key)
{
	json_int_t i = json_integer_value(json_object_get(o, key));

	return i > 0 ? (uint64_t)i : 0;
}

json_t *view_question(const struct view *v)
{
	if (!v->known)
		return json_object();
	return json_pack("{s:I,s:I,s:I}", "run", (json_int_t)v->run, "tree", (json_int_t)v->tree,
			 "now_ns", (json_int_t)v->now_ns);
}

/* Its texts. */
static void free_zone(struct view_zone *z)
{
	free(z->name);
	free(z->path);
	free(z->label);
	z->name = z->path = z->label = NULL;
}

static void drop_zones(struct view *v)
{
	for (size_t i = 0; i < v->nr_zones; i++) {
		free_zone(&v->zones[i]);
	}
	free(v->zones);
	v->zones = NULL;
	v->nr_zones = 0;
	hash_done(&v->by_id);
}

void view_reset(struct view *v)
{
	drop_zones(v);
	json_decref(v->ledgers);
	json_decref(v->mode);
	json_decref(v->self);
	*v = (struct view){0};
}

const struct view_zone *view_zone(const struct view *v, uint64_t id)
{
	return hash_get(&v->by_id, id);
}

bool view_rate_ppm(const struct view *v, const struct view_zone *z, enum zone_metric m,
		   uint64_t *ret)
{
	if (!(z->delta_valid & METRIC_BIT(m)) || !v->window_ns)
		return false;
	*ret = (uint64_t)((__uint128_t)z->delta[m] * 1000000 / v->window_ns);
	return true;
}

/* Which metric a column is; -1: one that this cz-gate does not know. */
static void map_columns(const json_t *names, const struct metric_desc *descs, size_t nr, int *map,
			size_t max)
{
	for (size_t i = 0; i < max; i++) {
		const char *name = json_string_value(json_array_get(names, i));

		map[i] = -1;
		for (size_t m = 0; name && m < nr; m++) {
			if (!strcmp(descs[m].name, name))
				map[i] = (int)m;
		}
	}
}

#define COLUMNS_MAX 128
struct columns {
	int map[COLUMNS_MAX];
	const struct metric_desc *descs;
};

/* The next of "7,,42" or of an array, as number i of it. False: it is not known. */
static bool next_value(const json_t *row, size_t i, const char **text, uint64_t *ret)
{
	const json_t *j = json_array_get(row, i);
	const char *begin = *text;

	if (!begin) {
		*ret = (uint64_t)json_integer_value(j);
		return json_is_integer(j) && json_integer_value(j) >= 0;
	}
	*ret = 0;
	for (; **text >= '0' && **text <= '9'; ++*text)
		*ret = *ret * 10 + (uint64_t)(**text - '0');
	begin = *text > begin && *text - begin < 20 ? *text : NULL;
	*text += strcspn(*text, ",");
	*text += **text == ',';
	return begin != NULL;
}

static void take_values(const struct columns *c, const json_t *row, metric_set *valid,
			uint64_t *value, metric_set *delta_valid, uint64_t *delta)
{
	const char *text = json_string_value(row);
	metric_set had = *valid;

	*valid = *delta_valid = 0;
	for (size_t i = 0; (text ? *text != 0 : i < json_array_size(row)) && i < COLUMNS_MAX; i++) {
		int m = c->map[i];
		uint64_t now;

		if (!next_value(row, i, &text, &now) || m < 0)
			continue;
		if ((had & METRIC_BIT(m)) && now >= value[m] &&
		    c->descs[m].kind == METRIC_COUNTER) {
			delta[m] = now - value[m];
			*delta_valid |= METRIC_BIT(m);
		}
		value[m] = now;
		*valid |= METRIC_BIT(m);
	}
}

/* Did not move: its counters did not grow. */
static void stand_still(struct view_zone *z)
{
	memset(z->delta, 0, sizeof(z->delta));
	z->delta_valid = 0;
	for (int m = 0; m < ZM_NR; m++) {
		if (zone_metrics[m].kind == METRIC_COUNTER)
			z->delta_valid |= z->valid & METRIC_BIT(m);
	}
}

static int fill_zone(struct view_zone *z, const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "name"));
	const char *path = json_string_value(json_object_get(row, "path"));
	const char *kind = json_string_value(json_object_get(row, "kind"));
	const char *class = json_string_value(json_object_get(row, "class"));

	if (!name || !path || !class || zone_class_parse(class, &z->class) < 0)
		return -EPROTO;
	for (enum zone_kind k = ZONE_CGROUP; kind && k <= ZONE_VM; k++) {
		if (!strcmp(kind, zone_kind_name(k)))
			z->kind = k;
	}
	z->class_own = json_is_true(json_object_get(row, "class_own"));
	z->name = strdup(name);
	z->path = strdup(path);
	return z->name && z->path ? 0 : -ENOMEM;
}

/* A series is named once: zones that share a name go by their paths. */
static int label_zones(struct view *v)
{
	struct hash names = {0};
	int r = 0;

	for (size_t i = 0; i < v->nr_zones && r == 0; i++) {
		struct view_zone *z = &v->zones[i], *other;

		other = hash_get(&names, hash_string(z->name));
		free(z->label);
		z->label = strdup(other ? z->path : z->name);
		if (!z->label)
			r = -ENOMEM;
		else if (!other)
			r = hash_put(&names, hash_string(z->name), z);
	}
	hash_done(&names);
	return r;
}

/* Takes out those that went. */
static size_t drop_gone(struct view *v, const json_t *ids)
{
	size_t n = 0, i;
	const json_t *id;

	json_array_foreach(ids, i, id)
	{
		struct view_zone *z = hash_get(&v->by_id, (uint64_t)json_integer_value(id));

		if (z)
			z->id = 0;
	}
	for (i = 0; i < v->nr_zones && json_array_size(ids); i++) {
		if (v->zones[i].id)
			v->zones[n++] = v->zones[i];
		else
			free_zone(&v->zones[i]);
	}
	if (json_array_size(ids))
		v->nr_zones = n;
	return json_array_size(ids);
}

/* Room for those that came. */
static int make_room(struct view *v, const json_t *rows, size_t *ret_named)
{
	struct view_zone *grown;
	const json_t *row;
	size_t i;

	*ret_named = 0;
	json_array_foreach(rows, i, row) *ret_named += json_object_get(row, "name") != NULL;
	if (!*ret_named)
		return 0;
	if (v->nr_zones + *ret_named > VIEW_ZONES_MAX)
		return -EPROTO;
	grown = realloc(v->zones, (v->nr_zones + *ret_named) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	v->zones = grown;
	return 0;
}

static int index_zones(struct view *v)
{
	int r = 0;

	hash_done(&v->by_id);
	for (size_t i = 0; i < v->nr_zones && r == 0; i++)
		r = hash_put(&v->by_id, v->zones[i].id, &v->zones[i]);
	return r;
}

/* The zone of a row: one that is there, under its latest name, or one that came. */
static int zone_of_row(struct view *v, const json_t *row, struct view_zone **ret)
{
	uint64_t id = view_number(row, "id");
	struct view_zone *z = hash_get(&v->by_id, id);

	*ret = z;
	if (!json_object_get(row, "name"))
		return z ? 0 : -EPROTO;
	if (!z) {
		z = &v->zones[v->nr_zones++];
		*z = (struct view_zone){.id = id};
		if (hash_put(&v->by_id, id, z) < 0)
			return -ENOMEM;
	}
	free_zone(z);
	*ret = z;
	return fill_zone(z, row);
}

static int take_changed(struct view *v, const json_t *rows, const json_t *gone,
			const struct columns *c)
{
	size_t named = 0, went = drop_gone(v, gone), i;
	int r = make_room(v, rows, &named);
	const json_t *row;

	if (r == 0 && (named || went))
		r = index_zones(v);
	if (r < 0)
		return r;
	for (i = 0; i < v->nr_zones; i++)
		stand_still(&v->zones[i]);
	json_array_foreach(rows, i, row)
	{
		struct view_zone *z = NULL;

		r = zone_of_row(v, row, &z);
		if (r < 0)
			return r;
		take_values(c, json_object_get(row, "values"), &z->valid, z->value, &z->delta_valid,
			    z->delta);
	}
	return named || went ? label_zones(v) : 0;
}

static int take_whole(struct view *v, const json_t *rows, const struct columns *c)
{
	struct view old = {.zones = v->zones, .nr_zones = v->nr_zones, .by_id = v->by_id};
	size_t n = json_array_size(rows), i;
	const json_t *row;
	int r = 0;

	n = n > VIEW_ZONES_MAX ? VIEW_ZONES_MAX : n;
	v->nr_zones = 0;
	v->by_id = (struct hash){0};
	v->zones = calloc(n + 1, sizeof(*v->zones));
	json_array_foreach(rows, i, row)
	{
		const struct view_zone *before = hash_get(&old.by_id, view_number(row, "id"));
		struct view_zone *z = &v->zones[i];

		if (!v->zones || i >= n || r < 0)
			break;
		z->id = view_number(row, "id");
		r = fill_zone(z, row);
		v->nr_zones++;
		if (before) {
			z->valid = before->valid;
			memcpy(z->value, before->value, sizeof(z->value));
		}
		take_values(c, json_object_get(row, "values"), &z->valid, z->value, &z->delta_valid,
			    z->delta);
		if (r == 0)
			r = hash_put(&v->by_id, z->id, z);
	}
	drop_zones(&old);
	if (!v->zones)
		return -ENOMEM;
	return r < 0 ? r : label_zones(v);
}

static void take_rest(struct view *v, const json_t *a)
{
	struct columns c = {.descs = host_metrics};

	map_columns(json_object_get(a, "host_columns"), host_metrics, HM_NR, c.map, COLUMNS_MAX);
	take_values(&c, json_object_get(a, "host"), &v->host_valid, v->host_value,
		    &v->host_delta_valid, v->host_delta);
	json_decref(v->ledgers);
	json_decref(v->mode);
	json_decref(v->self);
	v->ledgers = json_incref(json_object_get(a, "ledgers"));
	v->mode = json_incref(json_object_get(a, "mode"));
	v->self = json_incref(json_object_get(a, "self"));
	v->run = view_number(a, "run");
	v->tree = view_number(a, "tree");
	v->now_ns = view_number(a, "now_ns");
	v->real_ns = view_number(a, "real_ns");
	v->window_ns = view_number(a, "window_ns");
	v->event_seq = view_number(a, "event_seq");
	v->known = true;
}

int view_take(struct view *v, const json_t *a, struct error *reterr)
{
	const json_t *rows = json_object_get(a, "zones");
	struct columns c = {.descs = zone_metrics};
	int r;

	if (!json_is_array(rows) || !view_number(a, "run"))
		return error_set(reterr, -EPROTO, "czd's snapshot has no zones");
	v->event_seq = view_number(a, "event_seq");
	if (json_is_true(json_object_get(a, "same")) && v->known)
		return 0;
	if (v->run != view_number(a, "run"))
		view_reset(v);
	map_columns(json_object_get(a, "zone_columns"), zone_metrics, ZM_NR, c.map, COLUMNS_MAX);
	if (json_is_true(json_object_get(a, "whole")))
		r = take_whole(v, rows, &c);
	else
		r = v->known ? take_changed(v, rows, json_object_get(a, "gone"), &c) : -EPROTO;
	if (r < 0) {
		view_reset(v);
		return error_errno(reterr, r, "czd's snapshot");
	}
	take_rest(v, a);
	return 1;
}
