/* SPDX-License-Identifier: MIT */
/* libyaml's event API with limits; the tree is freed without recursion deeper than TREE_DEPTH_MAX.
 */
#include "spec/tree.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>
#include "base/cleanup.h"
#include "base/str.h"

struct builder {
	const char *name;
	struct error_list *errs;
	struct node *root;
	struct node *open[TREE_DEPTH_MAX];
	unsigned int depth;
	unsigned int nr_nodes;
	char *key; /* read, its value not yet */
	uint32_t key_line;
	bool document_seen;
};

void error_list_add(struct error_list *errs, const char *name, uint32_t line, const char *fmt, ...)
{
	struct error_item *item;
	va_list ap;
	int n;

	errs->total++;
	if (errs->nr == ERROR_LIST_MAX)
		return;
	item = &errs->items[errs->nr++];
	item->line = line;
	n = line ? snprintf(item->text, sizeof(item->text), "%.200s:%u: ", name, line)
		 : snprintf(item->text, sizeof(item->text), "%.200s: ", name);
	va_start(ap, fmt);
	vsnprintf(item->text + n, sizeof(item->text) - (size_t)n, fmt, ap);
	va_end(ap);
}

struct node *tree_free(struct node *root)
{
	struct node *next;

	for (; root; root = next) {
		next = root->next;
		tree_free(root->first);
		free(root->key);
		free(root->text);
		free(root);
	}
	return NULL;
}
DEFINE_CLEANUP(struct node *, tree_free)

static int refuse(struct builder *b, uint32_t line, const char *what)
{
	error_list_add(b->errs, b->name, line, "%s", what);
	return -EINVAL;
}

static struct node *top(const struct builder *b)
{
	return b->depth ? b->open[b->depth - 1] : NULL;
}

/* Hang a new node under the innermost open collection, or make it the root. */
static int add_node(struct builder *b, enum node_kind kind, uint32_t line, struct node **ret)
{
	struct node *parent = top(b);
	struct node *n;

	if (++b->nr_nodes > TREE_NODES_MAX)
		return refuse(b, line, "too many values in this file");
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->kind = kind;
	n->line = line;
	n->key = TAKE_PTR(b->key);
	n->key_line = b->key_line;
	if (!parent)
		b->root = n;
	else if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	if (parent)
		parent->last = n;
	*ret = n;
	return 0;
}

static bool expects_key(const struct builder *b)
{
	const struct node *parent = top(b);

	return parent && parent->kind == NODE_MAPPING && !b->key;
}

static int on_scalar(struct builder *b, const yaml_event_t *ev, uint32_t line)
{
	const char *s = (const char *)ev->data.scalar.value;
	_cleanup_free_ char *copy = NULL;
	struct node *n;
	int r;

	if (ev->data.scalar.anchor)
		return refuse(b, line, "anchors (&name) are not supported: write the value out");
	if (ev->data.scalar.tag)
		return refuse(b, line, "tags (!name) are not supported");
	if (memchr(s, 0, ev->data.scalar.length))
		return refuse(b, line, "a text contains a NUL character");
	copy = strndup(s, ev->data.scalar.length);
	if (!copy)
		return -ENOMEM;
	if (expects_key(b)) {
		b->key = TAKE_PTR(copy);
		b->key_line = line;
		return 0;
	}
	r = add_node(b, NODE_SCALAR, line, &n);
	if (r < 0)
		return r;
	n->text = TAKE_PTR(copy);
	n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	return 0;
}

static int on_start(struct builder *b, enum node_kind kind, const void *anchor, const void *tag,
		    uint32_t line)
{
	struct node *n;
	int r;

	if (anchor)
		return refuse(b, line, "anchors (&name) are not supported: write the value out");
	if (tag)
		return refuse(b, line, "tags (!name) are not supported");
	if (expects_key(b))
		return refuse(b, line, "a key must be a plain text");
	if (b->depth == TREE_DEPTH_MAX)
		return refuse(b, line, "nested too deep");
	r = add_node(b, kind, line, &n);
	if (r < 0)
		return r;
	b->open[b->depth++] = n;
	return 0;
}

static int on_event(struct builder *b, const yaml_event_t *ev)
{
	uint32_t line = (uint32_t)ev->start_mark.line + 1;

	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->document_seen)
			return refuse(b, line, "a second document ('---') in one file");
		b->document_seen = true;
		return 0;
	case YAML_ALIAS_EVENT:
		return refuse(b, line, "aliases (*name) are not supported: write the value out");
	case YAML_SCALAR_EVENT:
		return on_scalar(b, ev, line);
	case YAML_MAPPING_START_EVENT:
		return on_start(b, NODE_MAPPING, ev->data.mapping_start.anchor,
				ev->data.mapping_start.tag, line);
	case YAML_SEQUENCE_START_EVENT:
		return on_start(b, NODE_SEQUENCE, ev->data.sequence_start.anchor,
				ev->data.sequence_start.tag, line);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		b->depth--;
		return 0;
	default:
		return 0;
	}
}

static uint32_t line_of(const char *text, size_t offset)
{
	uint32_t line = 1;

	for (size_t i = 0; i < offset; i++)
		line += text[i] == '\n';
	return line;
}

static int syntax_error(struct builder *b, const yaml_parser_t *p, const char *text, size_t len)
{
	uint32_t line = (uint32_t)p->problem_mark.line + 1;
	const char *problem = p->problem ? p->problem : "cannot be read";

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR) /* knows the offset only */
		line = line_of(text, p->problem_offset < len ? p->problem_offset : len);
	if (p->context && p->context_mark.line != p->problem_mark.line)
		error_list_add(b->errs, b->name, line,
			       "YAML syntax: %s (%s that began in line %zu)", problem, p->context,
			       p->context_mark.line + 1);
	else
		error_list_add(b->errs, b->name, line, "YAML syntax: %s", problem);
	return -EINVAL;
}

static int read_events(struct builder *b, yaml_parser_t *p, const char *text, size_t len)
{
	bool end = false;
	yaml_event_t ev;
	int r = 0;

	while (!end && r == 0) {
		if (!yaml_parser_parse(p, &ev))
			return syntax_error(b, p, text, len);
		end = ev.type == YAML_STREAM_END_EVENT;
		r = on_event(b, &ev);
		yaml_event_delete(&ev);
	}
	return r;
}

int tree_parse(const char *name, const char *text, size_t len, struct node **ret_root,
	       struct error_list *errs)
{
	struct builder b = {.name = name, .errs = errs};
	_cleanup_(tree_freep) struct node *root = NULL;
	yaml_parser_t p;
	int r;

	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	yaml_parser_set_input_string(&p, (const unsigned char *)text, len);
	r = read_events(&b, &p, text, len);
	yaml_parser_delete(&p);
	free(b.key);
	root = b.root;
	if (r < 0)
		return r;
	*ret_root = TAKE_PTR(root);
	return 0;
}
