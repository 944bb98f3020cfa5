/* SPDX-License-Identifier: MIT */
/* Disks of a recorded tick, and who did what at them. */
#include <stdlib.h>
#include "base/str.h"
#include "model/record-internal.h"
#include "model/record-live.h"

#define USES_MAX (RECORD_ZONES_MAX * 4)

static int read_disk(const json_t *item, struct disk_view *d, struct error *reterr)
{
	uint64_t dev;
	const char *name = json_string_value(json_array_get(item, 0));
	int err;

	if (!name || !str_copy(d->name, sizeof(d->name), name))
		return error_set(reterr, -EINVAL, "item 0 is not the name of a disk");
	if ((err = record_item_u64(item, 1, UINT32_MAX, &dev, reterr)) ||
	    (err = record_item_u64(item, 2, INT64_MAX, &d->requests, reterr)) ||
	    (err = record_item_u64(item, 3, INT64_MAX, &d->wait_ns, reterr)))
		return err;
	d->dev = (uint32_t)dev;
	return 0;
}

static int read_at(const json_t *item, struct disk_use *u, struct error *reterr)
{
	uint64_t dev;
	int err;

	if ((err = record_item_u64(item, 0, INT64_MAX, &u->zone_id, reterr)) ||
	    (err = record_item_u64(item, 1, UINT32_MAX, &dev, reterr)) ||
	    (err = record_item_u64(item, 2, INT64_MAX, &u->bytes, reterr)) ||
	    (err = record_item_u64(item, 3, INT64_MAX, &u->ops, reterr)))
		return err;
	u->dev = (uint32_t)dev;
	return 0;
}

int record_read_disks(struct record_reader *r, const json_t *o, struct error *reterr)
{
	const json_t *disks = json_object_get(o, "disks"), *uses = json_object_get(o, "at_disks");
	size_t nr = json_array_size(disks), nr_uses = json_array_size(uses);
	struct disk_use *more = r->disk_uses;
	int err = 0;

	r->nr_disks = r->nr_disk_uses = 0;
	if (nr > DISKS_MAX || nr_uses > USES_MAX)
		return error_set(reterr, -EINVAL, "more than %d 'disks', or %d 'at_disks'",
				 DISKS_MAX, USES_MAX);
	if (nr_uses)
		more = realloc(r->disk_uses, nr_uses * sizeof(*more));
	if (nr_uses && !more)
		return -ENOMEM;
	r->disk_uses = more;
	for (size_t i = 0; i < nr && !err; i++)
		err = read_disk(json_array_get(disks, i), &r->disks[i], reterr);
	for (size_t i = 0; i < nr_uses && !err; i++)
		err = read_at(json_array_get(uses, i), &r->disk_uses[i], reterr);
	if (err)
		return error_wrap(reterr, err, "'disks', 'at_disks'");
	r->nr_disks = nr;
	r->nr_disk_uses = nr_uses;
	return 0;
}

void record_publish_disks(struct record_reader *r)
{
	for (size_t i = 0; i < r->nr_disk_uses; i++)
		r->disk_uses[i].zone = record_zone_index(r, r->disk_uses[i].zone_id);
	r->snapshot.nr_disks = r->nr_disks;
	r->snapshot.disks = r->disks;
	r->snapshot.nr_disk_uses = r->nr_disk_uses;
	r->snapshot.disk_uses = r->disk_uses;
}

void record_add_disks(json_t *line, const struct snapshot *s)
{
	json_t *disks, *uses;

	if (!s->nr_disks)
		return;
	disks = json_array();
	uses = json_array();
	for (size_t i = 0; i < s->nr_disks; i++) {
		const struct disk_view *d = &s->disks[i];

		json_array_append_new(disks, json_pack("[o,I,I,I]", record_text_json(d->name),
						       (json_int_t)d->dev, (json_int_t)d->requests,
						       (json_int_t)d->wait_ns));
	}
	for (size_t i = 0; i < s->nr_disk_uses; i++) {
		const struct disk_use *u = &s->disk_uses[i];

		json_array_append_new(uses, json_pack("[I,I,I,I]", (json_int_t)u->zone_id,
						      (json_int_t)u->dev, (json_int_t)u->bytes,
						      (json_int_t)u->ops));
	}
	json_object_set_new(line, "disks", disks);
	json_object_set_new(line, "at_disks", uses);
}
