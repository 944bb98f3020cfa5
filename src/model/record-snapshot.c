/* SPDX-License-Identifier: MIT */
/* Reads the snapshots of recordings: strict about types, ranges and references, since people edit
 * these by hand. */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "model/record-internal.h"

#define ZONES_MAX   65536
#define LEDGERS_MAX 256
#define PARTS_MAX   4096 /* of one ledger */

struct record_reader {
	json_t *zones_doc; /* the names live here */
	struct zone_view *zones;
	size_t nr_zones;
	uint32_t *core_of;
	struct cpu_topology cpus;
	struct ledger_view *ledgers;
	struct ledger_part **parts; /* [nr_ledgers] */
	size_t nr_ledgers;
	struct snapshot snapshot;
};

static void free_parts(struct ledger_part **parts, size_t nr)
{
	for (size_t i = 0; parts && i < nr; i++)
		free(parts[i]);
	free(parts);
}

int record_reader_new(struct record_reader **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void record_reader_free(struct record_reader *r)
{
	if (!r)
		return;
	json_decref(r->zones_doc);
	free(r->zones);
	free(r->core_of);
	free(r->ledgers);
	free_parts(r->parts, r->nr_ledgers);
	free(r);
}

static int read_metrics(const json_t *zone, const char *key, uint64_t *values, uint64_t *valid,
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

static int read_zone(const json_t *o, uint32_t index, const struct zone_view *before,
		     struct zone_view *z, struct error *reterr)
{
	const char *class = "normal", *slo = NULL, *kind = "cgroup";
	int err;

	*z = (struct zone_view){.name = "", .path = ""};
	if (!json_is_object(o))
		return error_set(reterr, -EINVAL, "not an object");
	err = read_parent(o, index, before, z, reterr);
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
	    (err = read_metrics(o, "value", z->value, &z->valid, reterr)) ||
	    (err = read_metrics(o, "delta", z->delta, &z->delta_valid, reterr)))
		return err;
	z->off_limits = z->off_limits_why != NULL;
	z->class_is_own = json_is_true(json_object_get(o, "own"));
	z->has_quota = json_is_true(json_object_get(o, "quota"));
	if (zone_class_parse(class, &z->class) < 0 || read_kind(kind, &z->kind) < 0)
		return error_set(reterr, -EINVAL, "no such class or kind");
	return slo && *slo ? slo_parse(slo, &z->slo, reterr) : 0;
}

static int read_zones(struct record_reader *r, json_t *array, struct error *reterr)
{
	_cleanup_free_ struct zone_view *zones = NULL;
	size_t nr = json_array_size(array);
	int err;

	if (!json_is_array(array) || !nr || nr > ZONES_MAX)
		return error_set(reterr, -EINVAL, "'zones' is not a list of 1 to %d", ZONES_MAX);
	zones = calloc(nr, sizeof(*zones));
	if (!zones)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		err = read_zone(json_array_get(array, i), (uint32_t)i, zones, &zones[i], reterr);
		if (err)
			return error_wrap(reterr, err, "zone %zu", i);
	}
	free(r->zones);
	r->zones = TAKE_PTR(zones);
	r->nr_zones = nr;
	json_decref(r->zones_doc);
	r->zones_doc = json_incref(array);
	return 0;
}

/* Without a new tree, readings of the old one are not repeated: only CPU use is told. */
static int read_use(struct record_reader *r, const json_t *array, struct error *reterr)
{
	uint64_t zone, ns;
	int err;

	if (array && !json_is_array(array))
		return error_set(reterr, -EINVAL, "'use' is not a list");
	for (size_t i = 0; i < r->nr_zones; i++) {
		memset(r->zones[i].delta, 0, sizeof(r->zones[i].delta));
		r->zones[i].delta_valid &= METRIC_BIT(ZM_CPU_USAGE_NS);
	}
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *pair = json_array_get(array, i);

		if (!r->nr_zones || json_array_size(pair) != 2 ||
		    (err = record_item_u64(pair, 0, r->nr_zones - 1, &zone, reterr)) ||
		    (err = record_item_u64(pair, 1, INT64_MAX, &ns, reterr)))
			return error_set(reterr, -EINVAL, "'use' item %zu is not [zone, ns]", i);
		r->zones[zone].delta[ZM_CPU_USAGE_NS] = ns;
		r->zones[zone].delta_valid |= METRIC_BIT(ZM_CPU_USAGE_NS);
	}
	return 0;
}

static int read_cpus(struct record_reader *r, const json_t *o, struct error *reterr)
{
	const json_t *cores = json_object_get(o, "cores");
	const char *online = NULL;
	size_t nr = json_array_size(cores);
	uint64_t core;
	int err, cpu;

	err = record_get_text(o, "online", 4096, &online, reterr);
	if (err)
		return err;
	if (online && cpuset_parse(online, &r->cpus.online) < 0)
		return error_set(reterr, -EINVAL, "'online' is not a list of CPUs");
	for (cpu = -1; online && (cpu = cpuset_next(&r->cpus.online, (unsigned int)cpu + 1)) >= 0;)
		r->cpus.nr_cpus = (uint32_t)cpu + 1;
	if (online) {
		free(TAKE_PTR(r->core_of));
		r->cpus.core_of = NULL;
	}
	if (!cores)
		return 0;
	if (nr != r->cpus.nr_cpus)
		return error_set(reterr, -EINVAL, "'cores' does not have one number for each CPU");
	uint32_t *core_of = calloc(nr ? nr : 1, sizeof(*core_of));

	if (!core_of)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		if (record_item_u64(cores, i, UINT32_MAX, &core, reterr) < 0) {
			free(core_of);
			return -EINVAL;
		}
		core_of[i] = (uint32_t)core;
	}
	free(r->core_of);
	r->cpus.core_of = r->core_of = core_of;
	return 0;
}

static uint32_t zone_index(const struct record_reader *r, uint64_t id)
{
	for (size_t i = 0; i < r->nr_zones; i++)
		if (r->zones[i].id == id)
			return (uint32_t)i;
	return NO_ZONE;
}

static int read_cause(const char *name, enum cause *ret)
{
	for (int c = 0; name && c < CAUSE_NR; c++)
		if (!strcmp(name, cause_name((enum cause)c))) {
			*ret = (enum cause)c;
			return 0;
		}
	return -EINVAL;
}

static int read_part(const struct record_reader *r, const json_t *a, struct ledger_part *p,
		     struct error *reterr)
{
	uint64_t pid = 0, cpu;
	const char *comm;

	*p = (struct ledger_part){.zone = NO_ZONE, .cpu = -1};
	if (read_cause(json_string_value(json_array_get(a, 0)), &p->cause) < 0)
		return error_set(reterr, -EINVAL, "no such cause");
	if (p->cause != CAUSE_NEIGHBOUR)
		return record_item_u64(a, 1, INT64_MAX, &p->ns, reterr);
	if (record_item_u64(a, 1, INT64_MAX, &p->culprit_id, reterr) < 0 ||
	    record_item_u64(a, 2, INT64_MAX, &p->ns, reterr) < 0)
		return -EINVAL;
	if (json_array_size(a) > 3 && record_item_u64(a, 3, INT32_MAX, &pid, reterr) < 0)
		return -EINVAL;
	p->pid = (int32_t)pid;
	if (json_array_size(a) > 4 && !record_item_u64(a, 4, CPUSET_MAX - 1, &cpu, NULL))
		p->cpu = (int32_t)cpu;
	comm = json_string_value(json_array_get(a, 5));
	str_copy(p->comm, sizeof(p->comm), comm ? comm : "");
	p->zone = zone_index(r, p->culprit_id);
	return 0;
}

static int read_parts(const struct record_reader *r, const json_t *array, struct ledger_view *l,
		      struct ledger_part **ret, struct error *reterr)
{
	size_t nr = json_array_size(array);
	_cleanup_free_ struct ledger_part *parts = NULL;
	int err;

	if (!json_is_array(array) || nr > PARTS_MAX)
		return error_set(reterr, -EINVAL, "'parts' is not a list of at most %d", PARTS_MAX);
	parts = calloc(nr ? nr : 1, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		err = read_part(r, json_array_get(array, i), &parts[i], reterr);
		if (err)
			return error_wrap(reterr, err, "part %zu", i);
		if (parts[i].ns > INT64_MAX - l->wait_ns)
			return error_set(reterr, -EINVAL, "the parts sum to too much");
		l->wait_ns += parts[i].ns;
		l->cause_ns[parts[i].cause] += parts[i].ns;
	}
	l->nr_parts = nr;
	l->parts = *ret = TAKE_PTR(parts);
	return 0;
}

static int read_feed(const json_t *feed, struct ledger_view *l, struct error *reterr)
{
	int err;

	if (!feed)
		return 0;
	if ((err = record_item_u64(feed, 0, INT64_MAX, &l->feed_count, reterr)) ||
	    (err = record_item_u64(feed, 1, INT64_MAX, &l->feed_p50_ns, reterr)))
		return err;
	return record_item_u64(feed, 2, INT64_MAX, &l->feed_p99_ns, reterr);
}

static int read_ledger(const struct record_reader *r, const json_t *o, uint64_t window_ns,
		       struct ledger_view *l, struct ledger_part **parts, struct error *reterr)
{
	const json_t *array = json_object_get(o, "parts");
	uint64_t zone = NO_ZONE, wait_ns = 0;
	int err;

	*l = (struct ledger_view){.window_ns = window_ns};
	if ((err = record_get_u64(o, "zone", &zone, reterr)) ||
	    (err = record_get_u64(o, "waits", &l->waits, reterr)) ||
	    (err = record_get_u64(o, "p50", &l->wait_p50_ns, reterr)) ||
	    (err = record_get_u64(o, "p99", &l->wait_p99_ns, reterr)) ||
	    (err = record_get_u64(o, "max", &l->wait_max_ns, reterr)) ||
	    (err = record_get_u64(o, "wait", &wait_ns, reterr)) ||
	    (err = read_feed(json_object_get(o, "feed"), l, reterr)))
		return err;
	if (zone >= r->nr_zones)
		return error_set(reterr, -EINVAL, "'zone' is not the index of a zone");
	l->zone = (uint32_t)zone;
	if (array)
		return read_parts(r, array, l, parts, reterr);
	l->estimated = true;
	l->wait_ns = l->cause_ns[CAUSE_UNKNOWN] = wait_ns;
	return 0;
}

static int read_ledgers(struct record_reader *r, const json_t *array, uint64_t window_ns,
			struct error *reterr)
{
	size_t nr = json_array_size(array);
	struct ledger_view *ledgers;
	struct ledger_part **parts;
	int err = 0;

	if ((array && !json_is_array(array)) || nr > LEDGERS_MAX)
		return error_set(reterr, -EINVAL, "'ledgers' is not a list of at most %d",
				 LEDGERS_MAX);
	ledgers = calloc(nr ? nr : 1, sizeof(*ledgers));
	parts = calloc(nr ? nr : 1, sizeof(*parts));
	if (!ledgers || !parts)
		err = -ENOMEM;
	for (size_t i = 0; i < nr && !err; i++) {
		err = read_ledger(r, json_array_get(array, i), window_ns, &ledgers[i], &parts[i],
				  reterr);
		if (err)
			(void)error_wrap(reterr, err, "ledger %zu", i);
	}
	if (err) {
		free(ledgers);
		free_parts(parts, nr);
		return err;
	}
	free(r->ledgers);
	free_parts(r->parts, r->nr_ledgers);
	r->ledgers = ledgers;
	r->parts = parts;
	r->nr_ledgers = nr;
	return 0;
}

int record_read_snapshot(struct record_reader *r, const json_t *o, struct record *ret,
			 struct error *reterr)
{
	json_t *zones = json_object_get(o, "zones");
	uint64_t now_ns = 0, window_ns = 0;
	int err;

	if ((err = record_get_u64(o, "now", &now_ns, reterr)) ||
	    (err = record_get_u64(o, "window", &window_ns, reterr)) ||
	    (err = read_cpus(r, o, reterr)))
		return err;
	if (!zones && !r->nr_zones)
		return error_set(reterr, -EINVAL, "the first snapshot has no 'zones'");
	err = zones ? read_zones(r, zones, reterr) : read_use(r, json_object_get(o, "use"), reterr);
	if (!err)
		err = read_ledgers(r, json_object_get(o, "ledgers"), window_ns, reterr);
	if (err)
		return err;
	r->snapshot = (struct snapshot){
	    .seq = r->snapshot.seq + 1,
	    .now_ns = now_ns,
	    .window_ns = window_ns,
	    .nr_zones = r->nr_zones,
	    .zones = r->zones,
	    .nr_ledgers = r->nr_ledgers,
	    .ledgers = r->ledgers,
	    .cpus = r->cpus,
	};
	ret->kind = RECORD_SNAPSHOT;
	ret->snapshot = &r->snapshot;
	return 0;
}
