/* SPDX-License-Identifier: MIT */
/* Reads the snapshots of recordings: strict about types, ranges and references, since people edit
 * these by hand. */
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "model/record-internal.h"

#define PARTS_MAX 4096 /* of one ledger */

static void free_parts(struct ledger_part **parts, size_t nr)
{
	for (size_t i = 0; parts && i < nr; i++)
		free(parts[i]);
	free(parts);
}

int record_reader_new(struct record_reader **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	record_own_columns(*ret);
	return 0;
}

static void free_rows(struct record_reader *r)
{
	for (size_t i = 0; i < r->nr_zones; i++)
		json_decref(r->rows[i]);
	free(r->rows);
	free(r->zones);
}

void record_reader_free(struct record_reader *r)
{
	if (!r)
		return;
	free_rows(r);
	hash_done(&r->index);
	free(r->gone);
	free(r->core_of);
	free(r->ledgers);
	free_parts(r->parts, r->nr_ledgers);
	free(r->disk_uses);
	free(r->learned);
	free(r);
}

static void drop_ledgers(struct record_reader *r)
{
	free_parts(r->parts, r->nr_ledgers);
	r->parts = NULL;
	r->nr_ledgers = 0;
}

static int read_zones(struct record_reader *r, json_t *array, struct error *reterr)
{
	_cleanup_free_ struct zone_view *zones = NULL;
	_cleanup_free_ json_t **rows = NULL;
	size_t nr = json_array_size(array);
	int err;

	if (!json_is_array(array) || !nr || nr > RECORD_ZONES_MAX)
		return error_set(reterr, -EINVAL, "'zones' is not a list of 1 to %d",
				 RECORD_ZONES_MAX);
	zones = calloc(nr, sizeof(*zones));
	rows = calloc(nr, sizeof(json_t *));
	if (!zones || !rows)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		rows[i] = json_array_get(array, i);
		err = record_read_zone(r, rows[i], false, zones, (uint32_t)i, &zones[i], reterr);
		if (err)
			return error_wrap(reterr, err, "zone %zu", i);
	}
	for (size_t i = 0; i < nr; i++)
		json_incref(rows[i]);
	free_rows(r);
	drop_ledgers(r);
	r->zones = TAKE_PTR(zones);
	r->rows = TAKE_PTR(rows);
	r->nr_zones = r->cap_zones = nr;
	r->nr_gone = 0;
	return record_reindex(r);
}

static int read_one_use(struct record_reader *r, const json_t *item, struct error *reterr)
{
	static const enum zone_metric metrics[] = {ZM_CPU_USAGE_NS, ZM_REF_CYCLES, ZM_INSTRUCTIONS};
	size_t nr = json_array_size(item);
	struct zone_view *z;
	uint64_t zone, value;
	int err;

	if (!r->nr_zones || (nr != 2 && nr != 4))
		return -EINVAL;
	err = record_item_u64(item, 0, r->nr_zones - 1, &zone, reterr);
	z = &r->zones[err ? 0 : zone];
	for (size_t i = 1; i < nr && !err; i++) {
		err = record_item_u64(item, i, INT64_MAX, &value, reterr);
		if (err)
			break;
		z->delta[metrics[i - 1]] = value;
		z->delta_valid |= METRIC_BIT(metrics[i - 1]);
	}
	return err;
}

/* Without a new tree, readings of the old one are not repeated: only CPU use is told. */
static int read_use(struct record_reader *r, const json_t *array, struct error *reterr)
{
	if (array && !json_is_array(array))
		return error_set(reterr, -EINVAL, "'use' is not a list");
	for (size_t i = 0; i < r->nr_zones; i++) {
		memset(r->zones[i].delta, 0, sizeof(r->zones[i].delta));
		r->zones[i].delta_valid &= METRIC_BIT(ZM_CPU_USAGE_NS);
	}
	for (size_t i = 0; i < json_array_size(array); i++)
		if (read_one_use(r, json_array_get(array, i), reterr))
			return error_set(reterr, -EINVAL,
					 "'use' item %zu is not [zone, ns], nor [zone, ns, "
					 "reference cycles, instructions]",
					 i);
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
	p->zone = record_zone_index(r, p->culprit_id);
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
	uint64_t zone = NO_ZONE, id = 0, wait_ns = 0;
	int err;

	*l = (struct ledger_view){.window_ns = window_ns};
	if ((err = record_get_u64(o, "zone", &zone, reterr)) ||
	    (err = record_get_u64(o, "id", &id, reterr)) ||
	    (err = record_get_u64(o, "window", &l->window_ns, reterr)) ||
	    (err = record_get_u64(o, "waits", &l->waits, reterr)) ||
	    (err = record_get_u64(o, "p50", &l->wait_p50_ns, reterr)) ||
	    (err = record_get_u64(o, "p99", &l->wait_p99_ns, reterr)) ||
	    (err = record_get_u64(o, "max", &l->wait_max_ns, reterr)) ||
	    (err = record_get_u64(o, "wait", &wait_ns, reterr)) ||
	    (err = read_feed(json_object_get(o, "feed"), l, reterr)))
		return err;
	l->zone = json_object_get(o, "id") ? record_zone_index(r, id) : (uint32_t)zone;
	if (l->zone >= r->nr_zones)
		return error_set(reterr, -EINVAL,
				 "'zone' is not the index of a zone, nor 'id' an id");
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

	if ((array && !json_is_array(array)) || nr > RECORD_LEDGERS_MAX)
		return error_set(reterr, -EINVAL, "'ledgers' is not a list of at most %d",
				 RECORD_LEDGERS_MAX);
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

void record_publish(struct record_reader *r, struct record *ret)
{
	r->snapshot.seq++;
	r->snapshot.nr_zones = r->nr_zones;
	r->snapshot.zones = r->zones;
	r->snapshot.nr_ledgers = r->nr_ledgers;
	r->snapshot.ledgers = r->ledgers;
	r->snapshot.cpus = r->cpus;
	r->snapshot.host_valid = r->host_valid;
	memcpy(r->snapshot.host_value, r->host_value, sizeof(r->host_value));
	memcpy(r->snapshot.host_delta, r->host_delta, sizeof(r->host_delta));
	record_publish_disks(r);
	ret->snapshot = &r->snapshot;
}

static int read_readings(struct record_reader *r, const json_t *o, struct error *reterr)
{
	json_t *zones = json_object_get(o, "zones");
	int err = 0;

	if (!zones && !r->nr_zones)
		return error_set(reterr, -EINVAL, "the first snapshot has no 'zones'");
	if (zones)
		err = read_zones(r, zones, reterr);
	else if (!json_object_get(o, "moved"))
		return read_use(r, json_object_get(o, "use"), reterr);
	return err ? err : record_read_moved(r, o, reterr);
}

int record_read_snapshot(struct record_reader *r, const json_t *o, struct record *ret,
			 struct error *reterr)
{
	uint64_t now_ns = 0, window_ns = 0, nr;
	int err;

	if ((err = record_get_u64(o, "now", &now_ns, reterr)) ||
	    (err = record_get_u64(o, "window", &window_ns, reterr)) ||
	    (err = read_cpus(r, o, reterr)) || (err = read_readings(r, o, reterr)) ||
	    (err = record_read_disks(r, o, reterr)))
		return err;
	nr = r->nr_zones;
	err = record_get_u64(o, "nr", &nr, reterr);
	if (!err && nr != r->nr_zones)
		return error_set(reterr, -EINVAL, "the tree has %zu zones, not %llu", r->nr_zones,
				 (unsigned long long)nr);
	if (!err)
		err = read_ledgers(r, json_object_get(o, "ledgers"), window_ns, reterr);
	if (err)
		return err;
	r->snapshot.now_ns = now_ns;
	r->snapshot.window_ns = window_ns;
	record_publish(r, ret);
	ret->kind = RECORD_SNAPSHOT;
	return 0;
}
