/* SPDX-License-Identifier: MIT */
/* struct zone_spec <-> JSON. Reading goes through the same tree as YAML does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "spec/zone-tree.h"

static json_t *fields_json(const struct zone_field *fields, const void *base, const void *plain);

static json_t *words_json(char *const *words)
{
	json_t *list = json_array();

	for (; *words; words++)
		json_array_append_new(list, json_string(*words));
	return list;
}

static json_t *pairs_json(const struct key_value *pairs, size_t nr)
{
	json_t *map = json_object();

	for (size_t i = 0; i < nr; i++)
		json_object_set_new(map, pairs[i].key, json_string(pairs[i].value));
	return map;
}

static json_t *ports_json(const struct zone_net *net)
{
	json_t *list = json_array();
	char text[16];

	for (size_t i = 0; i < net->nr_forward; i++) {
		snprintf(text, sizeof(text), "%u:%u", net->forward[i].host, net->forward[i].guest);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *rootfs_json(const struct zone_os *os)
{
	static const char *const names[] = {"none", "host", "image", "dir", "oci"};

	if (!os->rootfs)
		return json_string(names[os->rootfs_kind]);
	return json_pack("{s:s}", names[os->rootfs_kind], os->rootfs);
}

static json_t *list_json(const struct zone_field *f, const char *items, size_t nr, size_t size,
			 const void *plain)
{
	json_t *list = json_array();

	for (size_t i = 0; i < nr; i++)
		json_array_append_new(list, fields_json(f->sub, items + i * size, plain));
	return list;
}

static json_t *scalar_json(const struct zone_field *f, const void *base, const char *text)
{
	const void *field = (const char *)base + f->offset;

	if (f->type == FIELD_BOOL)
		return json_boolean(*(const bool *)field);
	if (f->type == FIELD_COUNT)
		return json_integer(*(const uint32_t *)field);
	return json_string(text);
}

/* An item of a list of FIELD_RULES that says nothing. */
static const union {
	struct sched_rule sched;
	struct thread_rule thread;
} no_rule;

static json_t *value_json(const struct zone_field *f, const void *base, const void *plain,
			  const char *text)
{
	const struct zone_spec *s = base; /* of those types that occur in it only */
	struct zone_app app;

	zone_app_defaults(&app);
	switch (f->type) {
	case FIELD_ROOTFS:
		return rootfs_json(&s->os);
	case FIELD_WORDS:
		return words_json(*(char *const *const *)((const char *)base + f->offset));
	case FIELD_MAP:
		return pairs_json(
		    *(const struct key_value *const *)((const char *)base + f->offset),
		    *(const size_t *)((const char *)base + f->nr_offset));
	case FIELD_PORTS:
		return ports_json(&s->resource.net);
	case FIELD_SECTION:
		return fields_json(f->sub, base, plain);
	case FIELD_RULES:
		return list_json(f, (const char *)base + f->offset,
				 *(const size_t *)((const char *)base + f->nr_offset),
				 f->item_bytes, &no_rule);
	case FIELD_APPS:
		return list_json(f, (const char *)s->apps, s->nr_apps, sizeof(*s->apps), &app);
	default:
		return scalar_json(f, base, text);
	}
}

/* Those fields of base that are not as in plain. */
static json_t *fields_json(const struct zone_field *fields, const void *base, const void *plain)
{
	json_t *map = json_object();

	for (const struct zone_field *f = fields; f->key; f++) {
		_cleanup_(strbuf_done) struct strbuf now = {0}, usual = {0};

		zone_field_format(f, base, &now);
		zone_field_format(f, plain, &usual);
		if (now.failed || usual.failed) {
			json_decref(map);
			return NULL;
		}
		if (!(f->flags & FIELD_ALWAYS) &&
		    !strcmp(now.data ? now.data : "", usual.data ? usual.data : ""))
			continue;
		if (json_object_set_new(map, f->key, value_json(f, base, plain, now.data)) < 0) {
			json_decref(map);
			return NULL;
		}
	}
	return map;
}

json_t *zone_spec_json(const struct zone_spec *s)
{
	struct zone_spec plain;

	zone_spec_defaults(&plain);
	return fields_json(zone_fields, s, &plain);
}

static int make_node(const json_t *json, const char *key, unsigned int depth, unsigned int *nodes,
		     struct node **ret);

static int add_child(struct node *parent, const json_t *json, const char *key, unsigned int depth,
		     unsigned int *nodes)
{
	struct node *n;
	int r = make_node(json, key, depth, nodes, &n);

	if (r < 0)
		return r;
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	return 0;
}

static int add_children(struct node *n, const json_t *json, unsigned int depth, unsigned int *nodes)
{
	const char *key;
	json_t *value;
	size_t i;
	int r = 0;

	n->kind = json_is_array(json) ? NODE_SEQUENCE : NODE_MAPPING;
	if (depth == TREE_DEPTH_MAX)
		return -ELOOP;
	json_array_foreach(json, i, value) if (r == 0) r =
	    add_child(n, value, NULL, depth + 1, nodes);
	json_object_foreach((json_t *)json, key, value) if (r == 0) r =
	    add_child(n, value, key, depth + 1, nodes);
	return r;
}

static int scalar_text(const json_t *json, char **ret)
{
	if (json_is_string(json) && strlen(json_string_value(json)) != json_string_length(json))
		return -EINVAL;
	if (json_is_string(json))
		*ret = strdup(json_string_value(json));
	else if (json_is_integer(json) || json_is_real(json))
		*ret = json_dumps(json, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
	else
		*ret = strdup(json_is_null(json) ? "null" : json_is_true(json) ? "true" : "false");
	return *ret ? 0 : -ENOMEM;
}

static int make_node(const json_t *json, const char *key, unsigned int depth, unsigned int *nodes,
		     struct node **ret)
{
	_cleanup_(tree_freep) struct node *n = calloc(1, sizeof(*n));
	int r;

	if (!n || (key && !(n->key = strdup(key))))
		return -ENOMEM;
	if (++*nodes > TREE_NODES_MAX)
		return -E2BIG;
	if (json_is_object(json) || json_is_array(json)) {
		r = add_children(n, json, depth, nodes);
	} else {
		n->quoted = json_is_string(json);
		r = scalar_text(json, &n->text);
	}
	if (r < 0)
		return r;
	*ret = TAKE_PTR(n);
	return 0;
}

int zone_spec_from_json(const char *name, const json_t *json, struct zone_spec *ret,
			struct error_list *errs)
{
	_cleanup_(tree_freep) struct node *root = NULL;
	struct walk w = {.name = name, .errs = errs};
	unsigned int nodes = 0;
	int r;

	errs->nr = errs->total = 0;
	r = make_node(json, NULL, 0, &nodes, &root);
	if (r == -ENOMEM)
		return walk_fail(errs, name, r, strerror(-r));
	if (r < 0)
		return walk_fail(errs, name, -EINVAL,
				 r == -EINVAL  ? "a text contains a NUL character"
				 : r == -ELOOP ? "nested too deep"
					       : "too many values");
	return zone_tree_read(&w, root, ret);
}
