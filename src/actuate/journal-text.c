/* SPDX-License-Identifier: MIT */
/*
 * The journal's lines, written and read. What is read decides which files root writes to, so a line
 * names files only from the table of knobs, and anything that does not fit is not believed.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "actuate/journal.h"
#include "actuate/knobs.h"
#include "base/cleanup.h"
#include "base/parse.h"

DEFINE_CLEANUP(struct entry *, entry_free)

static void add_text(struct strbuf *b, const char *name, const char *s)
{
	strbuf_printf(b, "\"%s\":\"", name);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			strbuf_printf(b, "\\u%04x", c);
		else
			strbuf_add(b, s, 1);
	}
	strbuf_puts(b, "\"");
}

void journal_format_header(const struct journal *j, struct strbuf *b)
{
	/* Padded: it is rewritten in place. */
	strbuf_printf(b, "{\"journal\":1,\"boot\":\"%s\",\"last_seq\":%20llu}\n", j->boot,
		      (unsigned long long)j->last_seq);
}

static void add_part(struct strbuf *b, const struct part *p)
{
	strbuf_printf(b, "{\"file\":\"%s\",\"id\":\"%llu\",", knob_file_label(p->file),
		      (unsigned long long)p->id);
	if (p->path) {
		add_text(b, "path", p->path);
		strbuf_puts(b, ",");
	}
	add_text(b, "old", p->old);
	if (!p->side) {
		strbuf_puts(b, ",");
		add_text(b, "new", p->new);
	}
	strbuf_puts(b, "}");
}

void journal_format_entry(const struct entry *e, struct strbuf *b)
{
	strbuf_printf(b, "{\"op\":\"do\",\"seq\":%llu,\"zone\":\"%llu\",\"knob\":\"%s\",",
		      (unsigned long long)e->seq, (unsigned long long)e->zone_id,
		      knob_name(e->knob));
	add_text(b, "path", e->path);
	strbuf_puts(b, ",");
	add_text(b, "from", e->from);
	strbuf_puts(b, ",");
	add_text(b, "to", e->to);
	strbuf_printf(b, ",\"at\":%llu,\"parts\":[", (unsigned long long)e->at_ns);
	for (size_t i = 0; i < e->nr; i++) {
		strbuf_puts(b, i ? "," : "");
		add_part(b, &e->parts[i]);
	}
	strbuf_puts(b, "]}\n");
}

void journal_format_end(const struct entry *e, const char *how, const struct rebase *rebases,
			size_t nr, struct strbuf *b)
{
	strbuf_printf(b, "{\"op\":\"end\",\"seq\":%llu,\"how\":\"%s\"", (unsigned long long)e->seq,
		      how);
	for (size_t i = 0; i < nr; i++) {
		const struct rebase *r = &rebases[i];

		strbuf_printf(b, "%s{\"seq\":%llu,\"part\":%zu,", i ? "," : ",\"rebase\":[",
			      (unsigned long long)r->entry->seq, r->part);
		add_text(b, "old", r->entry->parts[r->part].old);
		strbuf_puts(b, "}");
	}
	strbuf_puts(b, nr ? "]}\n" : "}\n");
}

/* Text of member `name`; code points above 0xff were never written by us. */
static int get_text(const json_t *o, const char *name, char *buf, size_t size)
{
	const char *s = json_string_value(json_object_get(o, name));
	size_t n = 0;

	if (!s)
		return -EINVAL;
	for (; *s; s++, n++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 0xc4 || n + 1 >= size)
			return -EINVAL;
		if (c >= 0x80)
			c = (unsigned char)((c & 3) << 6 | (*++s & 0x3f));
		buf[n] = (char)c;
	}
	buf[n] = '\0';
	return 0;
}

static int get_u64(const json_t *o, const char *name, uint64_t *ret)
{
	const json_t *v = json_object_get(o, name);

	if (json_is_string(v))
		return parse_u64(json_string_value(v), ret);
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EINVAL;
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

/* A text that goes into a kernel file: one line. */
static int get_knob_text(const json_t *o, const char *name, char buf[KNOB_TEXT_MAX])
{
	int r = get_text(o, name, buf, KNOB_TEXT_MAX);

	return r < 0 || strpbrk(buf, "\n\r") ? -EINVAL : 0;
}

static int get_path(const json_t *o, char buf[ZONE_PATH_MAX])
{
	int r = get_text(o, "path", buf, ZONE_PATH_MAX);

	return r < 0 || !zone_path_valid(buf) ? -EINVAL : 0;
}

static int parse_part(const json_t *o, struct entry *e)
{
	char file[64], path[ZONE_PATH_MAX], old[KNOB_TEXT_MAX], new[KNOB_TEXT_MAX] = "";
	bool side = !json_object_get(o, "new");
	enum knob_file f;
	uint64_t id;

	if (get_text(o, "file", file, sizeof(file)) < 0 || knob_file_by_label(file, &f) < 0 ||
	    get_u64(o, "id", &id) < 0 || id <= 1 || get_knob_text(o, "old", old) < 0)
		return -EINVAL;
	if (!side && get_knob_text(o, "new", new) < 0)
		return -EINVAL;
	if (!json_object_get(o, "path"))
		str_copy(path, sizeof(path), e->path);
	else if (get_path(o, path) < 0)
		return -EINVAL;
	if (!side && !strcmp(old, new))
		return entry_pin(e, f, id, path, old);
	return entry_add(e, f, id, path, old, side ? NULL : new);
}

static int parse_do(struct journal *j, const json_t *o)
{
	_cleanup_(entry_freep) struct entry *e = NULL;
	char path[ZONE_PATH_MAX], knob[64];
	const json_t *parts = json_object_get(o, "parts"), *part;
	uint64_t seq, zone;
	size_t i;
	int r;

	if (get_u64(o, "seq", &seq) < 0 || !seq || get_u64(o, "zone", &zone) < 0 ||
	    get_path(o, path) < 0 || get_text(o, "knob", knob, sizeof(knob)) < 0 ||
	    !json_array_size(parts) || journal_find(j, seq))
		return -EINVAL;
	r = entry_new(seq, zone, path, &e);
	if (r < 0)
		return r;
	if (knob_parse(knob, &e->knob) < 0 || get_text(o, "from", e->from, sizeof(e->from)) < 0 ||
	    get_text(o, "to", e->to, sizeof(e->to)) < 0 || get_u64(o, "at", &e->at_ns) < 0)
		return -EINVAL;
	json_array_foreach(parts, i, part)
	{
		r = parse_part(part, e);
		if (r < 0)
			return r == -ENOMEM ? r : -EINVAL;
	}
	r = journal_add_open(j, e);
	if (r < 0)
		return r;
	if (seq > j->last_seq)
		j->last_seq = seq;
	TAKE_PTR(e);
	return 0;
}

static void parse_rebase(struct journal *j, const json_t *o)
{
	char old[KNOB_TEXT_MAX];
	uint64_t seq, part;
	struct entry *e;

	if (get_u64(o, "seq", &seq) < 0 || get_u64(o, "part", &part) < 0 ||
	    get_knob_text(o, "old", old) < 0)
		return;
	e = journal_find(j, seq);
	if (e && part < e->nr)
		memcpy(e->parts[part].old, old, sizeof(old));
}

static int parse_end(struct journal *j, const json_t *o)
{
	const json_t *rebase;
	struct entry *e;
	uint64_t seq;
	size_t i;

	if (get_u64(o, "seq", &seq) < 0)
		return -EINVAL;
	e = journal_find(j, seq);
	if (!e)
		return 0; /* the "do" was rewritten away, or could not be read and is counted */
	json_array_foreach(json_object_get(o, "rebase"), i, rebase) parse_rebase(j, rebase);
	journal_drop_open(j, e);
	return 0;
}

static int parse_header(struct journal *j, const json_t *o, char ret_boot[37])
{
	char boot[37];
	uint64_t last;

	if (json_integer_value(json_object_get(o, "journal")) != 1 ||
	    get_text(o, "boot", boot, sizeof(boot)) < 0 || get_u64(o, "last_seq", &last) < 0)
		return -EINVAL;
	memcpy(ret_boot, boot, sizeof(boot));
	if (last > j->last_seq)
		j->last_seq = last;
	return 0;
}

static int parse_line(struct journal *j, const char *line, size_t len, char ret_boot[37])
{
	json_auto_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *op = json_string_value(json_object_get(o, "op"));

	if (!json_is_object(o))
		return -EINVAL;
	if (json_object_get(o, "journal"))
		return parse_header(j, o, ret_boot);
	if (!op)
		return -EINVAL;
	if (!strcmp(op, "do"))
		return parse_do(j, o);
	if (!strcmp(op, "end"))
		return parse_end(j, o);
	j->unknown_lines++; /* of a later version */
	return 0;
}

int journal_parse(struct journal *j, const char *text, size_t len, char ret_boot[37])
{
	const char *end = text + len, *nl;

	ret_boot[0] = '\0';
	for (const char *line = text; (nl = memchr(line, '\n', (size_t)(end - line)));
	     line = nl + 1) {
		int r = nl == line ? 0 : parse_line(j, line, (size_t)(nl - line), ret_boot);

		if (r == -ENOMEM)
			return r;
		j->bad_lines += r < 0;
		j->size = (uint64_t)(nl + 1 - text);
	}
	return 0;
}

struct entry *journal_find(const struct journal *j, uint64_t seq)
{
	for (size_t i = 0; i < j->nr; i++)
		if (j->open[i]->seq == seq)
			return j->open[i];
	return NULL;
}

int journal_add_open(struct journal *j, struct entry *e)
{
	struct entry **open;

	if (j->nr == JOURNAL_OPEN_MAX)
		return -ENOBUFS;
	open = realloc(j->open, (j->nr + 1) * sizeof(struct entry *));
	if (!open)
		return -ENOMEM;
	j->open = open;
	open[j->nr++] = e;
	return 0;
}

void journal_drop_open(struct journal *j, struct entry *e)
{
	for (size_t i = 0; i < j->nr; i++)
		if (j->open[i] == e) {
			memmove(&j->open[i], &j->open[i + 1],
				(--j->nr - i) * sizeof(struct entry *));
			break;
		}
	entry_free(e);
}
