/* SPDX-License-Identifier: MIT */
/* The first line of a recording: which czd it was, and what detect and decide started with. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "model/record-internal.h"
#include "model/record-live.h"

/* What detect and decide read of the configuration. */
static const struct config_key keys[] = {CONFIG_KEY("tick", tick_ns),
					 CONFIG_KEY("mode", guard.mode),
#define X(key, field) CONFIG_KEY(#key, guard.field),
					 GUARD_KEYS(X)
#undef X
};

/* Fields are bool, a 32-bit number or enum, or a 64-bit number. */
static uint64_t field_get(const struct config *c, size_t i)
{
	const char *at = (const char *)c + keys[i].offset;
	uint64_t wide;
	uint32_t word;

	if (keys[i].size == sizeof(bool))
		return *(const bool *)at;
	if (keys[i].size == sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		return word;
	}
	memcpy(&wide, at, sizeof(wide));
	return wide;
}

static int field_set(struct config *c, size_t i, uint64_t value)
{
	char *at = (char *)c + keys[i].offset;
	uint32_t word = (uint32_t)value;

	if (value > (keys[i].size == sizeof(bool)   ? 1
		     : keys[i].size == sizeof(word) ? UINT32_MAX
						    : INT64_MAX))
		return -EINVAL;
	if (keys[i].size == sizeof(bool))
		*(bool *)at = value;
	else
		memcpy(at, keys[i].size == sizeof(word) ? (const void *)&word : &value,
		       keys[i].size);
	return 0;
}

static int read_config(const json_t *o, struct config *c, struct error *reterr)
{
	int err;

	config_defaults(c);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		uint64_t value = field_get(c, i);

		err = record_get_u64(o, keys[i].name, &value, reterr);
		if (err)
			return err;
		if (field_set(c, i, value) < 0)
			return error_set(reterr, -EINVAL, "'%s' is out of range", keys[i].name);
	}
	if (c->guard.mode > MODE_ENFORCE || !c->tick_ns)
		return error_set(reterr, -EINVAL, "no such mode, or a tick of no time");
	return 0;
}

static int read_modes(const json_t *a, struct record_head *h, struct error *reterr)
{
	if (json_array_size(a) > RECORD_MODES_MAX)
		return error_set(reterr, -EINVAL, "more than %d 'modes'", RECORD_MODES_MAX);
	for (; h->nr_modes < json_array_size(a); h->nr_modes++) {
		const json_t *item = json_array_get(a, h->nr_modes);
		const char *mode = json_string_value(json_array_get(item, 0));
		struct record_mode *m = &h->modes[h->nr_modes];

		if (!mode || guard_mode_parse(mode, &m->mode) < 0 ||
		    record_item_u64(item, 1, INT64_MAX, &m->victim_id, reterr) < 0 ||
		    record_item_u64(item, 2, INT64_MAX, &m->until_ns, reterr) < 0)
			return error_set(reterr, -EINVAL, "'modes': not [mode, victim, until]");
	}
	return 0;
}

#define LEARNED_MAX (1ull << 60) /* sums of them still fit */

/* Of another version, with other numbers: nothing is known. */
static int read_learned(struct record_reader *r, const json_t *a, struct record_head *h,
			struct error *reterr)
{
	size_t nr = json_array_size(a);

	if (nr > RECORD_LEDGERS_MAX)
		return error_set(reterr, -EINVAL, "more than %d 'learned'", RECORD_LEDGERS_MAX);
	free(r->learned);
	r->learned = nr ? calloc(nr, sizeof(*r->learned)) : NULL;
	if (nr && !r->learned)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		const json_t *item = json_array_get(a, i);
		struct learned *l = &r->learned[h->nr_learned];
		int err = record_item_u64(item, 0, INT64_MAX, &l->zone_id, reterr);

		if (!err && json_array_size(item) != LEARNED_NUMBERS + 1)
			continue;
		for (size_t n = 0; n < LEARNED_NUMBERS && !err; n++)
			err = record_item_u64(item, n + 1, LEARNED_MAX, &l->numbers[n], reterr);
		if (err)
			return error_wrap(reterr, err, "'learned' item %zu", i);
		h->nr_learned++;
	}
	h->learned = r->learned;
	return 0;
}

int record_read_head(struct record_reader *r, const json_t *o, struct record *ret,
		     struct error *reterr)
{
	struct record_head *h = &ret->head;
	uint64_t version = 0;
	int err;

	ret->kind = RECORD_HEAD;
	err = record_get_u64(o, "recording", &version, reterr);
	if (err)
		return err;
	if (version != RECORD_VERSION) {
		error_set(reterr, -EOPNOTSUPP,
			  "a recording of version %llu, of which this czctl knows nothing",
			  (unsigned long long)version);
		error_hint(reterr, "Replay it with the czctl of the version that recorded it.");
		return -EOPNOTSUPP;
	}
	h->action_seq = 1;
	if ((err = record_copy_text(o, "czd", h->czd, sizeof(h->czd), reterr)) ||
	    (err = record_get_u64(o, "now", &h->now_ns, reterr)) ||
	    (err = record_get_u64(o, "real", &h->real_ns, reterr)) ||
	    (err = record_get_u64(o, "finding_seq", &h->finding_seq, reterr)) ||
	    (err = record_get_u64(o, "action_seq", &h->action_seq, reterr)) ||
	    (err = read_config(json_object_get(o, "config"), &h->config, reterr)) ||
	    (err = read_modes(json_object_get(o, "modes"), h, reterr)) ||
	    (err = read_learned(r, json_object_get(o, "learned"), h, reterr)))
		return err;
	record_read_columns(r, o);
	return 0;
}

static json_t *names(const struct metric_desc *metrics, int nr)
{
	json_t *a = json_array();

	for (int m = 0; m < nr; m++)
		json_array_append_new(a, json_string(metrics[m].name));
	return a;
}

static json_t *modes(const struct record_head *h)
{
	json_t *a = json_array();

	for (size_t i = 0; i < h->nr_modes; i++)
		json_array_append_new(a, json_pack("[s,I,I]", guard_mode_name(h->modes[i].mode),
						   (json_int_t)h->modes[i].victim_id,
						   (json_int_t)h->modes[i].until_ns));
	return a;
}

static json_t *learned(const struct record_head *h)
{
	json_t *a = json_array();

	for (size_t i = 0; i < h->nr_learned; i++) {
		json_t *item = json_array();

		json_array_append_new(item, json_integer((json_int_t)h->learned[i].zone_id));
		for (size_t n = 0; n < LEARNED_NUMBERS; n++)
			json_array_append_new(item,
					      json_integer((json_int_t)h->learned[i].numbers[n]));
		json_array_append_new(a, item);
	}
	return a;
}

json_t *record_head_json(const struct record_head *h)
{
	json_t *config = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_object_set_new(config, keys[i].name,
				    json_integer((json_int_t)field_get(&h->config, i)));
	return json_pack("{s:i,s:s,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "recording",
			 RECORD_VERSION, "czd", h->czd, "now", (json_int_t)h->now_ns, "real",
			 (json_int_t)h->real_ns, "finding_seq", (json_int_t)h->finding_seq,
			 "action_seq", (json_int_t)h->action_seq, "columns",
			 names(zone_metrics, ZM_NR), "host_columns", names(host_metrics, HM_NR),
			 "config", config, "modes", modes(h), "learned", learned(h));
}
