/* SPDX-License-Identifier: MIT */
/* A row of a recorded tree: what a zone is, and in hand-written ones what it measured. */
#include <string.h>
#include "model/record-internal.h"

static int read_metrics(const json_t *zone, const char *key, uint64_t *values, metric_set *valid,
			struct error *reterr)
{
	json_t *o = json_object_get(zone, key), *v;
	const char *name;

	if (!o)
		return 0;
	if (!json_is_object(o))
		return error_set(reterr, -EINVAL, "'%s' is not an object", key);
	json_object_foreach(o, name, v)
	{
		int m = 0;

		while (m < ZM_NR && strcmp(zone_metrics[m].name, name))
			m++;
		if (m == ZM_NR || !json_is_integer(v) || json_integer_value(v) < 0)
			return error_set(reterr, -EINVAL,
					 "'%s': no such metric, or not a number: '%.64s'", key,
					 name);
		values[m] = (uint64_t)json_integer_value(v);
		*valid |= METRIC_BIT(m);
	}
	return 0;
}

static int read_under(const struct record_reader *r, const json_t *o, uint32_t nr,
		      const struct zone_view *zones, struct zone_view *z, struct error *reterr)
{
	uint64_t id = 0;
	int err = record_get_u64(o, "under", &id, reterr);

	z->parent = NO_ZONE;
	if (err || !json_object_get(o, "under"))
		return err;
	z->parent = record_zone_index(r, id);
	if (z->parent >= nr)
		return error_set(reterr, -EINVAL, "'under' is not the id of an earlier zone");
	z->depth = zones[z->parent].depth + 1;
	return 0;
}

static int read_parent(const json_t *o, uint32_t index, const struct zone_view *before,
		       struct zone_view *z, struct error *reterr)
{
	const json_t *v = json_object_get(o, "parent");

	z->parent = NO_ZONE;
	if (!index && (!v || json_is_null(v)))
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= index)
		return error_set(reterr, -EINVAL, "'parent' is not the index of an earlier zone");
	z->parent = (uint32_t)json_integer_value(v);
	z->depth = before[z->parent].depth + 1;
	return 0;
}

static int read_kind(const char *text, enum zone_kind *ret)
{
	for (int k = ZONE_CGROUP; k <= ZONE_VM; k++)
		if (!strcmp(text, zone_kind_name((enum zone_kind)k))) {
			*ret = (enum zone_kind)k;
			return 0;
		}
	return -EINVAL;
}

int record_read_zone(const struct record_reader *r, const json_t *o, bool by_id,
		     const struct zone_view *zones, uint32_t nr, struct zone_view *z,
		     struct error *reterr)
{
	const char *class = "normal", *slo = NULL, *kind = "cgroup", *moved = NULL;
	const char *control = "guard";
	int err;

	*z = (struct zone_view){.name = "", .path = ""};
	if (!json_is_object(o))
		return error_set(reterr, -EINVAL, "not an object");
	err = by_id ? read_under(r, o, nr, zones, z, reterr) : read_parent(o, nr, zones, z, reterr);
	if (err)
		return err;
	if ((err = record_get_u64(o, "id", &z->id, reterr)) ||
	    (err = record_get_u64(o, "seen", &z->first_seen_ns, reterr)) ||
	    (err = record_get_text(o, "name", ZONE_NAME_MAX, &z->name, reterr)) ||
	    (err = record_get_text(o, "path", ZONE_PATH_MAX, &z->path, reterr)) ||
	    (err = record_get_text(o, "class", 16, &class, reterr)) ||
	    (err = record_get_text(o, "kind", 16, &kind, reterr)) ||
	    (err = record_get_text(o, "off", 256, &z->off_limits_why, reterr)) ||
	    (err = record_get_text(o, "slo", 256, &slo, reterr)) ||
	    (err = record_get_text(o, "control", 32, &control, reterr)) ||
	    (err = record_get_text(o, "m", 4096, &moved, reterr)) ||
	    (err = record_copy_text(o, "via", z->interface, sizeof(z->interface), reterr)) ||
	    (err = read_metrics(o, "value", z->value, &z->valid, reterr)) ||
	    (err = read_metrics(o, "delta", z->delta, &z->delta_valid, reterr)))
		return err;
	z->off_limits = z->off_limits_why != NULL;
	z->class_is_own = json_is_true(json_object_get(o, "own"));
	z->has_quota = json_is_true(json_object_get(o, "quota"));
	if (zone_class_parse(class, &z->class) < 0 || read_kind(kind, &z->kind) < 0 ||
	    control_parse(control, &z->control) < 0)
		return error_set(reterr, -EINVAL, "no such class, kind or control");
	err = moved ? record_apply_moved(r, moved, z, reterr) : 0;
	return !err && slo && *slo ? slo_parse_kept(slo, &z->slo, reterr) : err;
}

static int metric_column(const struct metric_desc *metrics, int nr, const char *name)
{
	for (int m = 0; name && m < nr; m++)
		if (!strcmp(metrics[m].name, name))
			return m;
	return COLUMN_UNKNOWN;
}

static void read_columns(uint8_t column[RECORD_COLUMNS_MAX], const json_t *names,
			 const struct metric_desc *metrics, int nr)
{
	for (size_t i = 0; i < RECORD_COLUMNS_MAX; i++)
		column[i] = (uint8_t)metric_column(metrics, nr,
						   json_string_value(json_array_get(names, i)));
}

void record_read_columns(struct record_reader *r, const json_t *o)
{
	read_columns(r->column, json_object_get(o, "columns"), zone_metrics, ZM_NR);
	read_columns(r->host_column, json_object_get(o, "host_columns"), host_metrics, HM_NR);
}

/* Without a head, columns are in the order of our own tables. */
void record_own_columns(struct record_reader *r)
{
	for (int i = 0; i < RECORD_COLUMNS_MAX; i++) {
		r->column[i] = i < ZM_NR ? (uint8_t)i : COLUMN_UNKNOWN;
		r->host_column[i] = i < HM_NR ? (uint8_t)i : COLUMN_UNKNOWN;
	}
}
