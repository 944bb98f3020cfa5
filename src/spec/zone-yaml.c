/* SPDX-License-Identifier: MIT */
/*
 * The normal form: what zone_spec_json() gives, as YAML in blocks, lists of texts in one line.
 * Texts that YAML could take for something else are written as JSON strings, which are YAML too.
 */
#include <stdlib.h>
#include <string.h>
#include "spec/zone-tree.h"

static bool is_plain(const char *s)
{
	static const char *const taken[] = {"true", "false", "null", "yes", "no",
					    "on",   "off",   "y",    "n",   "~"};

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		if (!strcasecmp(s, taken[i]))
			return false;
	if (!strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/"))
		return false;
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			 "/._-=+%@") == strlen(s);
}

/* "512Mi", "50%", "20ms", "0xf": no other reader takes them for numbers. */
static bool is_quantity(const char *s)
{
	size_t digits = strspn(s, "0123456789.");

	return digits && s[digits] && strspn(s + digits, "%TGMKimnush") == strlen(s + digits);
}

static void add_text(struct strbuf *b, const char *s)
{
	_cleanup_free_ char *quoted = NULL;
	json_t *json;

	if (is_plain(s) || is_quantity(s)) {
		strbuf_puts(b, s);
		return;
	}
	json = json_string(s);
	quoted = json_dumps(json, JSON_ENCODE_ANY);
	json_decref(json);
	if (quoted)
		strbuf_puts(b, quoted);
	else
		b->failed = true;
}

static void add_scalar(struct strbuf *b, const json_t *v)
{
	if (json_is_string(v))
		add_text(b, json_string_value(v));
	else if (json_is_integer(v))
		strbuf_printf(b, "%lld", (long long)json_integer_value(v));
	else
		strbuf_puts(b, json_is_true(v) ? "true" : "false");
}

static void add_words(struct strbuf *b, const json_t *list)
{
	size_t i;
	json_t *v;

	strbuf_puts(b, "[");
	json_array_foreach(list, i, v)
	{
		strbuf_puts(b, i ? ", " : "");
		add_text(b, json_string_value(v));
	}
	strbuf_puts(b, "]");
}

static void add_map(struct strbuf *b, const json_t *map, unsigned int indent, bool in_list);

static void add_value(struct strbuf *b, const json_t *v, unsigned int indent)
{
	size_t i;
	json_t *item;

	if (json_is_object(v)) {
		strbuf_puts(b, "\n");
		add_map(b, v, indent + 2, false);
	} else if (json_is_array(v) && json_is_object(json_array_get(v, 0))) {
		strbuf_puts(b, "\n");
		json_array_foreach(v, i, item) add_map(b, item, indent + 4, true);
	} else {
		strbuf_puts(b, " ");
		if (json_is_array(v))
			add_words(b, v);
		else
			add_scalar(b, v);
		strbuf_puts(b, "\n");
	}
}

/* The first key of a list's item stands behind its dash. */
static void add_map(struct strbuf *b, const json_t *map, unsigned int indent, bool in_list)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)map, key, v)
	{
		if (in_list)
			strbuf_printf(b, "%*s- ", (int)indent - 2, "");
		else
			strbuf_printf(b, "%*s", (int)indent, "");
		in_list = false;
		add_text(b, key);
		strbuf_puts(b, ":");
		add_value(b, v, indent);
	}
}

int zone_spec_yaml(const struct zone_spec *s, struct strbuf *ret)
{
	json_t *json = zone_spec_json(s);

	strbuf_reset(ret);
	if (json)
		add_map(ret, json, 0, false);
	json_decref(json);
	return json && !ret->failed ? 0 : -ENOMEM;
}

uint32_t zone_spec_line(const char *text, size_t len, const char *path)
{
	static struct error_list errs; /* large */
	_cleanup_(tree_freep) struct node *root = NULL;
	const struct node *n;

	errs.nr = errs.total = 0;
	if (tree_parse("", text, len, &root, &errs) < 0 || !root)
		return 0;
	n = zone_tree_find(root, path);
	return n ? n->line : 0;
}
