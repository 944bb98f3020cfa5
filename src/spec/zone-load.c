/* SPDX-License-Identifier: MIT */
/* Tree -> struct zone_spec, by the table of fields. Goes on after an error, so that all are shown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/str.h"
#include "spec/zone-tree.h"

static uint64_t read_fields(struct walk *w, const struct node *n, const struct zone_field *fields,
			    void *base);

static void read_scalar(struct walk *w, const struct node *n, const struct zone_field *f,
			void *base)
{
	char allowed[256];
	struct error e;
	int r;

	if (n->kind != NODE_SCALAR || walk_is_absent(n)) {
		walk_complain(w, n->line, "%s: %s", walk_lack(n),
			      zone_field_allowed(f, allowed, sizeof(allowed)));
		return;
	}
	r = zone_field_parse(f, n->text, base, &e);
	if (r == -ENOMEM)
		w->code = r;
	else if (r < 0)
		walk_complain(w, n->line, "%s", e.msg);
}

static char *copy_text(struct walk *w, const char *s)
{
	char *copy = strdup(s);

	if (!copy)
		w->code = -ENOMEM;
	return copy;
}

static void *make_list(struct walk *w, size_t nr, size_t size)
{
	void *list = calloc(nr, size);

	if (!list)
		w->code = -ENOMEM;
	return list;
}

/* Text of a command or a map; complains and gives NULL when it is none. */
static const char *free_text(struct walk *w, const struct node *n, const struct zone_field *f)
{
	if (n->kind != NODE_SCALAR || walk_is_absent(n))
		walk_complain(w, n->line, "a text is missing here (\"\" for an empty one)");
	else if (strlen(n->text) > ZONE_WORD_MAX)
		walk_complain(w, n->line, "a text of more than %d bytes", ZONE_WORD_MAX);
	else if (!text_is_clean(n->text, f->flags & FIELD_LINES))
		walk_complain(w, n->line, "a text with control characters");
	else
		return n->text;
	return NULL;
}

static void read_words(struct walk *w, const struct node *n, const struct zone_field *f, void *base)
{
	size_t nr = walk_list(w, n, f->max), i = 0;
	const char *text;
	char **words;

	if (!nr)
		return;
	words = make_list(w, nr + 1, sizeof(*words));
	*(char ***)((char *)base + f->offset) = words;
	for (const struct node *e = n->first; words && e; e = e->next) {
		text = free_text(w, e, f);
		if (text && (words[i] = copy_text(w, text)))
			i++;
	}
	if (words && words[0] && !words[0][0])
		walk_complain(w, n->line, "the first word is the program: it must not be empty");
}

static bool good_key(struct walk *w, const struct node *e, const struct zone_field *f,
		     const struct key_value *earlier, size_t nr)
{
	char shown[80];

	if (!f->fits(e->key) || strlen(e->key) > f->min) {
		walk_complain(w, e->key_line, "'%s' is not a key (%s, at most %u characters)",
			      str_escape(shown, sizeof(shown), e->key), f->allowed,
			      (unsigned int)f->min);
		return false;
	}
	for (size_t i = 0; i < nr; i++) {
		if (!strcmp(earlier[i].key, e->key)) {
			walk_complain(w, e->key_line, "'%s' is given twice", e->key);
			return false;
		}
	}
	return true;
}

static void read_map(struct walk *w, const struct node *n, const struct zone_field *f, void *base)
{
	size_t *nr = (size_t *)((char *)base + f->nr_offset), entries = 0;
	struct key_value *pairs;
	const char *value;

	if (walk_is_absent(n))
		return;
	for (const struct node *e = n->first; e; e = e->next)
		entries++;
	if (n->kind != NODE_MAPPING || entries > f->max) {
		walk_complain(w, n->line, "expected at most %u entries 'KEY: VALUE' here",
			      (unsigned int)f->max);
		return;
	}
	pairs = make_list(w, entries + 1, sizeof(*pairs));
	*(struct key_value **)((char *)base + f->offset) = pairs;
	for (const struct node *e = n->first; pairs && e; e = e->next) {
		value = free_text(w, e, f);
		if (!good_key(w, e, f, pairs, *nr) || !value)
			continue;
		pairs[*nr].key = copy_text(w, e->key);
		pairs[*nr].value = copy_text(w, value);
		if (!pairs[(*nr)++].key || w->code < 0)
			return;
	}
}

static void read_rootfs(struct walk *w, const struct node *n, const struct zone_field *f,
			void *base)
{
	static const struct {
		const char *key;
		enum rootfs_kind kind;
	} kinds[] = {{"image", ROOTFS_IMAGE}, {"dir", ROOTFS_DIR}, {"oci", ROOTFS_OCI}, {0}};
	struct zone_os *os = (struct zone_os *)((char *)base + f->offset);
	const struct node *e = n->first;
	char allowed[256];
	size_t i = 0;

	if (n->kind == NODE_SCALAR && (!strcmp(n->text, "none") || !strcmp(n->text, "host"))) {
		os->rootfs_kind = n->text[0] == 'n' ? ROOTFS_NONE : ROOTFS_HOST;
		return;
	}
	while (e && e->key && kinds[i].key && strcmp(e->key, kinds[i].key))
		i++;
	if (n->kind != NODE_MAPPING || !e || e->next)
		walk_complain(w, n->line, "expected %s",
			      zone_field_allowed(f, allowed, sizeof(allowed)));
	else if (!kinds[i].key)
		walk_unknown_key(w, e, kinds, sizeof(kinds[0]));
	else if (e->kind != NODE_SCALAR || e->text[0] != '/' || !text_is_clean(e->text, false) ||
		 strlen(e->text) > f->max)
		walk_complain(w, e->line, "%s: expected an absolute path", e->key);
	else if ((os->rootfs = copy_text(w, e->text)))
		os->rootfs_kind = kinds[i].kind;
}

static void read_ports(struct walk *w, const struct node *n, const struct zone_field *f, void *base)
{
	struct zone_net *net = &((struct zone_spec *)base)->resource.net;
	char shown[80];

	if (!walk_list(w, n, f->max))
		return;
	for (const struct node *e = n->first; e; e = e->next) {
		uint16_t *host = &net->forward[net->nr_forward].host;
		uint16_t *guest = &net->forward[net->nr_forward].guest;

		if (e->kind != NODE_SCALAR || zone_ports_parse(e->text, host, guest) < 0) {
			walk_complain(w, e->line, "'%s' is not \"HOST:GUEST\", ports of 1 to 65535",
				      str_escape(shown, sizeof(shown), e->text ? e->text : ""));
			continue;
		}
		for (size_t i = 0; i < net->nr_forward; i++)
			if (net->forward[i].host == *host)
				walk_complain(w, e->line, "port %u of the host is given twice",
					      *host);
		net->nr_forward++;
	}
}

static void read_item(struct walk *w, const struct node *e, const struct zone_field *f, size_t i,
		      void *item)
{
	char index[24];
	size_t before;

	snprintf(index, sizeof(index), "[%zu]", i);
	before = walk_enter(w, index);
	if (e->kind == NODE_MAPPING)
		read_fields(w, e, f->sub, item);
	else
		walk_complain(w, e->line, "expected '- %s: ...' here", f->sub[0].key);
	walk_leave(w, before);
}

static void read_rules(struct walk *w, const struct node *n, const struct zone_field *f, void *base)
{
	size_t *nr = (size_t *)((char *)base + f->nr_offset);

	if (!walk_list(w, n, f->max))
		return;
	for (const struct node *e = n->first; e; e = e->next, (*nr)++)
		read_item(w, e, f, *nr, (char *)base + f->offset + *nr * f->item_bytes);
}

static void read_apps(struct walk *w, const struct node *n, const struct zone_field *f, void *base)
{
	struct zone_spec *s = base;
	size_t nr = walk_list(w, n, f->max);

	if (!nr || !(s->apps = make_list(w, nr, sizeof(*s->apps))))
		return;
	for (const struct node *e = n->first; e; e = e->next, s->nr_apps++) {
		zone_app_defaults(&s->apps[s->nr_apps]);
		read_item(w, e, f, s->nr_apps, &s->apps[s->nr_apps]);
	}
}

static void read_section(struct walk *w, const struct node *n, const struct zone_field *f,
			 void *base)
{
	read_fields(w, n, f->sub, base);
}

typedef void reader(struct walk *w, const struct node *n, const struct zone_field *f, void *base);
static reader *const readers[] = {
    [FIELD_ROOTFS] = read_rootfs, [FIELD_WORDS] = read_words,	  [FIELD_MAP] = read_map,
    [FIELD_PORTS] = read_ports,	  [FIELD_SECTION] = read_section, [FIELD_RULES] = read_rules,
    [FIELD_APPS] = read_apps,
};

static const struct zone_field *find_field(const struct zone_field *fields, const char *key)
{
	for (; fields->key; fields++)
		if (!strcmp(fields->key, key))
			return fields;
	return NULL;
}

static void read_entry(struct walk *w, const struct node *e, const struct zone_field *f, bool again,
		       void *base)
{
	size_t before = walk_enter(w, f->key);

	if (again)
		walk_complain(w, e->key_line, "is given twice");
	else
		(zone_field_is_scalar(f) ? read_scalar : readers[f->type])(w, e, f, base);
	walk_leave(w, before);
}

/* Bit i of the result: fields[i] was there. */
static uint64_t read_fields(struct walk *w, const struct node *n, const struct zone_field *fields,
			    void *base)
{
	const struct zone_field *f;
	uint64_t seen = 0, bit;

	if (n->kind != NODE_MAPPING && !walk_is_absent(n))
		walk_complain(w, n->line, "expected entries such as '%s: ...' here", fields[0].key);
	for (const struct node *e = n->kind == NODE_MAPPING ? n->first : NULL; e; e = e->next) {
		f = find_field(fields, e->key);
		if (!f) {
			walk_unknown_key(w, e, fields, sizeof(*fields));
			continue;
		}
		bit = 1ull << (f - fields);
		read_entry(w, e, f, seen & bit, base);
		seen |= bit;
	}
	for (f = fields; f->key; f++)
		if ((f->flags & FIELD_REQUIRED) && !(seen & 1ull << (f - fields)))
			walk_complain(w, n->line, "'%s' is missing", f->key);
	return seen;
}

int zone_tree_read(struct walk *w, const struct node *root, struct zone_spec *ret)
{
	static const struct node empty = {.kind = NODE_MAPPING, .line = 1};
	_cleanup_(zone_spec_done) struct zone_spec s = {0};

	zone_spec_defaults(&s);
	read_fields(w, root ? root : &empty, zone_fields, &s);
	if (slo_is_set(&s.slo) && !zone_tree_find(root, "class"))
		s.class = CLASS_LC;
	if (!w->errs->total && w->code == 0)
		zone_tree_check(w, root, &s);
	if (w->code < 0)
		return walk_fail(w->errs, w->name, w->code, strerror(-w->code));
	if (w->errs->total)
		return -EINVAL;
	*ret = s;
	s = (struct zone_spec){0};
	return 0;
}

bool zone_tree_is_old(const struct node *root)
{
	static const char *const keys[] = {"meta", "os", "resource"};
	bool known = false;

	if (!root || root->kind != NODE_MAPPING || zone_tree_find(root, "apiVersion") ||
	    zone_tree_find(root, "metadata"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		known |= zone_tree_find(root, keys[i]) != NULL;
	return known;
}

int zone_spec_load_text(const char *name, const char *text, size_t len, struct zone_spec *ret,
			struct error_list *errs)
{
	_cleanup_(tree_freep) struct node *root = NULL;
	struct walk w = {.name = name, .errs = errs};
	int r;

	errs->nr = errs->total = 0;
	r = tree_parse(name, text, len, &root, errs);
	if (r < 0)
		return r == -ENOMEM ? walk_fail(errs, name, r, strerror(-r)) : r;
	if (zone_tree_is_old(root))
		return walk_fail(
		    errs, name, -EINVAL,
		    "this is the older form; see it in the new one: czctl spec convert");
	return zone_tree_read(&w, root, ret);
}

int zone_spec_load_file(int dirfd, const char *path, struct zone_spec *ret, struct error_list *errs)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = walk_read_file(dirfd, path, &text, &len, errs);

	return r < 0 ? r : zone_spec_load_text(path, text, len, ret, errs);
}
