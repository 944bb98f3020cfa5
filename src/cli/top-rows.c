/* SPDX-License-Identifier: MIT */
#include "cli/top-rows.h"

#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "cli/show.h"

#define NONE UINT32_MAX

/* A zone on its way into the list. */
struct node {
	uint32_t parent, first_child, next;
	bool shown;
	bool known[TOP_FIGURES]; /* the largest of it and of what is below */
	uint64_t figure[TOP_FIGURES];
};

struct sorting {
	const struct top_zones *z;
	const struct node *nodes;
	enum top_key key;
};

static bool matches(const struct top_zone *zone, const char *filter)
{
	return strcasestr(zone->name, filter) || strcasestr(zone->path, filter) ||
	       !strcasecmp(get_text(zone->row, "class"), filter) ||
	       !strcasecmp(get_text(zone->row, "state"), filter);
}

static bool is_listed(const struct top_zone *zone, const struct top_order *order)
{
	return (order->all || top_zone_matters(zone)) &&
	       (!order->filter[0] || matches(zone, order->filter));
}

static void take_larger(struct node *node, const struct node *below)
{
	for (int f = 0; f < TOP_FIGURES; f++) {
		if (below->known[f] && (!node->known[f] || below->figure[f] > node->figure[f]))
			node->figure[f] = below->figure[f];
		node->known[f] |= below->known[f];
	}
}

/* In a tree, whatever is above a listed zone is listed too. A parent's path sorts before its
 * children's, so they are done when the loop comes to it. */
static void fill_nodes(const struct top_zones *z, const struct top_order *order, struct node *nodes)
{
	for (size_t i = 0; i < z->nr; i++) {
		const struct top_zone *parent =
		    order->tree ? top_zones_parent(z, &z->items[i]) : NULL;

		nodes[i] = (struct node){
		    .parent = parent ? (uint32_t)(parent - z->items) : NONE,
		    .first_child = NONE,
		    .next = NONE,
		    .shown = is_listed(&z->items[i], order),
		};
		memcpy(nodes[i].known, z->items[i].known, sizeof(nodes[i].known));
		memcpy(nodes[i].figure, z->items[i].figure, sizeof(nodes[i].figure));
	}
	for (size_t i = z->nr; i-- > 0;) {
		if (!nodes[i].shown || nodes[i].parent == NONE)
			continue;
		nodes[nodes[i].parent].shown = true;
		take_larger(&nodes[nodes[i].parent], &nodes[i]);
	}
}

static int by_figure(const struct node *a, const struct node *b, enum top_figure f)
{
	if (a->known[f] != b->known[f])
		return a->known[f] ? -1 : 1;
	if (!a->known[f] || a->figure[f] == b->figure[f])
		return 0;
	return a->figure[f] > b->figure[f] ? -1 : 1;
}

static int in_order(const void *a, const void *b, void *arg)
{
	static const enum top_figure figures[] = {[TOP_BY_WAIT] = TOP_WAIT_PPM,
						  [TOP_BY_CPU] = TOP_CPU_PPM,
						  [TOP_BY_NAME] = TOP_FIGURES,
						  [TOP_BY_MEMORY] = TOP_MEMORY_BYTES,
						  [TOP_BY_IO] = TOP_IO_BYTES};
	const struct sorting *s = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int r = 0;

	if (s->key != TOP_BY_NAME) {
		r = by_figure(&s->nodes[x], &s->nodes[y], figures[s->key]);
		if (r == 0)
			r = by_figure(&s->nodes[x], &s->nodes[y], TOP_CPU_PPM);
	}
	if (r == 0)
		r = strcmp(s->z->items[x].name, s->z->items[y].name);
	return r ? r : strcmp(s->z->items[x].path, s->z->items[y].path);
}

/* Children of each node in order, by links; returns the first of those without a parent. */
static uint32_t link_nodes(const uint32_t *sorted, size_t nr, struct node *nodes)
{
	uint32_t first = NONE;

	while (nr-- > 0) {
		struct node *n = &nodes[sorted[nr]];
		uint32_t *head = n->parent == NONE ? &first : &nodes[n->parent].first_child;

		n->next = *head;
		*head = sorted[nr];
	}
	return first;
}

static size_t emit(const struct top_zones *z, const struct node *nodes, uint32_t first,
		   struct top_row *rows)
{
	uint32_t at = first, depth = 0;
	size_t nr = 0;

	while (at != NONE) {
		bool folded = z->items[at].past->folded, inside = nodes[at].first_child != NONE;

		rows[nr++] = (struct top_row){at, depth, inside, inside && folded};
		if (inside && !folded) {
			at = nodes[at].first_child;
			depth++;
			continue;
		}
		while (nodes[at].next == NONE && nodes[at].parent != NONE) {
			at = nodes[at].parent;
			depth--;
		}
		at = nodes[at].next;
	}
	return nr;
}

int top_rows(const struct top_zones *z, const struct top_order *order, struct top_row **ret_rows,
	     size_t *ret_nr)
{
	_cleanup_free_ struct node *nodes = calloc(z->nr + 1, sizeof(*nodes));
	_cleanup_free_ uint32_t *sorted = calloc(z->nr + 1, sizeof(*sorted));
	struct top_row *rows = calloc(z->nr + 1, sizeof(*rows));
	struct sorting s = {z, nodes, order->key};
	size_t nr = 0;

	if (!nodes || !sorted || !rows) {
		free(rows);
		return -ENOMEM;
	}
	fill_nodes(z, order, nodes);
	for (size_t i = 0; i < z->nr; i++)
		if (nodes[i].shown)
			sorted[nr++] = (uint32_t)i;
	qsort_r(sorted, nr, sizeof(*sorted), in_order, &s);
	*ret_nr = emit(z, nodes, link_nodes(sorted, nr, nodes), rows);
	*ret_rows = rows;
	return 0;
}
