/* SPDX-License-Identifier: MIT */
/* Who had what a zone waited for: the disk, its memory, its locks. As probes tell of the latest
 * tick; a probe that is off is said to be. */
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "daemon/api.h"
#include "daemon/shape.h"

#define HOLDERS_MAX 32
#define NAMED_MAX   3

static uint64_t all_of(const struct holder *held, size_t n)
{
	uint64_t all = 0;

	for (size_t i = 0; i < n; i++)
		all += held[i].amount;
	return all;
}

static uint64_t share_ppm(uint64_t part, uint64_t whole)
{
	return whole ? (uint64_t)((unsigned __int128)part * 1000000 / whole) : 0;
}

json_t *shape_holders(const struct daemon *d, enum holder_kind kind, const struct zone_view *v)
{
	const char *unit = kind == HELD_MEMORY ? "pages" : "ns";
	struct holder held[HOLDERS_MAX];
	size_t n = probes_holders(d->probes, kind, v->id, held, HOLDERS_MAX);
	uint64_t all = all_of(held, n);
	json_t *rows = json_array();

	for (size_t i = 0; i < n; i++) {
		uint32_t z = publish_index_of(d, held[i].zone_id);

		json_array_append_new(
		    rows,
		    json_pack("{s:o,s:b,s:I,s:I}", "zone",
			      z == NO_ZONE ? json_null() : shape_string(d->snap.zones[z].name),
			      "kernel", held[i].zone_id == HOLDER_KERNEL, unit,
			      (json_int_t)held[i].amount, "share_ppm",
			      (json_int_t)share_ppm(held[i].amount, all)));
	}
	return rows;
}

static void add_holder(const struct daemon *d, const struct zone_view *v, const struct holder *h,
		       uint64_t all, struct strbuf *b)
{
	uint32_t z = publish_index_of(d, h->zone_id);
	char share[24];

	strbuf_printf(b, "%s%s %s", b->len ? ", " : "",
		      h->zone_id == v->id	    ? "itself"
		      : h->zone_id == HOLDER_KERNEL ? "the kernel in the background"
		      : z == NO_ZONE		    ? "unknown"
						    : d->snap.zones[z].name,
		      format_ppm(share_ppm(h->amount, all), share, sizeof(share)));
}

/* Largest first; few are named. */
static void add_named(const struct daemon *d, const struct zone_view *v, struct holder *held,
		      size_t n, struct strbuf *b)
{
	uint64_t all = all_of(held, n);

	for (int named = 0; n && named < NAMED_MAX; named++) {
		struct holder *most = &held[0];

		for (size_t i = 1; i < n; i++)
			most = held[i].amount > most->amount ? &held[i] : most;
		if (!most->amount)
			return;
		add_holder(d, v, most, all, b);
		most->amount = 0;
	}
}

static const struct {
	enum holder_kind kind;
	const char *what, *lacks;
} notes[] = {
    {HELD_DISK, "the disk was used meanwhile (last tick) by", "who had the disk meanwhile"},
    {HELD_MEMORY, "its pages were taken (last tick) by", "who took its pages"},
    {HELD_LOCKS, "its waits at locks (futexes) were ended (last tick) by",
     "whether it waited for a lock, and whose,"},
};

/* Would it explain this? What is off is told where it could have. */
static bool is_wanted(const struct finding *f, enum holder_kind kind)
{
	if (!f || kind == HELD_DISK)
		return f && f->resource == RESOURCE_IO;
	if (kind == HELD_MEMORY)
		return f->resource == RESOURCE_MEMORY;
	return f->cause == CAUSE_UNKNOWN || f->cause == CAUSE_SELF;
}

void holders_note(const struct daemon *d, const struct zone_view *v, const struct finding *f,
		  json_t *list)
{
	for (size_t i = 0; i < ARRAY_SIZE(notes); i++) {
		struct holder held[HOLDERS_MAX];
		size_t n = probes_holders(d->probes, notes[i].kind, v->id, held, HOLDERS_MAX);
		struct strbuf b = {0};
		const char *why, *off = probes_holders_off(d->probes, notes[i].kind, &why);
		char text[300];

		add_named(d, v, held, n, &b);
		if (b.len)
			snprintf(text, sizeof(text), "%s %s", notes[i].what, b.data);
		else if (off && is_wanted(f, notes[i].kind))
			snprintf(text, sizeof(text), "%s is not known: probe %s is off (%.120s)",
				 notes[i].lacks, off, why);
		else
			text[0] = 0;
		if (text[0])
			json_array_append_new(list, shape_text(text));
		strbuf_done(&b);
	}
}
