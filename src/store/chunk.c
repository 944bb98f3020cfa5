/* SPDX-License-Identifier: MIT */
#include "store/chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_VERSION 1
#define TICK_MS	      1000 /* what is expected between two times */

void chunk_done(struct chunk *c)
{
	for (size_t i = 0; i < CHUNK_COLUMNS; i++) {
		free(c->columns[i]);
		c->columns[i] = NULL;
	}
}

void chunk_reset(struct chunk *c)
{
	c->nr_times = c->nr_columns = c->hint = 0;
}

int chunk_time(struct chunk *c, uint64_t t_ms)
{
	if (c->nr_times == SLOT_TICKS)
		return -ENOSPC;
	c->times_ms[c->nr_times++] = t_ms;
	c->hint = 0;
	return 0;
}

static bool is_column(const struct column *col, uint32_t metric, uint32_t peer)
{
	return col->metric == metric && col->peer == peer;
}

/* Ticks have their samples in the same order: the next column is mostly the one wanted. */
static struct column *column(struct chunk *c, uint32_t metric, uint32_t peer, int *ret)
{
	struct column *col;

	if (c->hint < c->nr_columns && is_column(c->columns[c->hint], metric, peer))
		return c->columns[c->hint++];
	for (uint32_t i = 0; i < c->nr_columns; i++) {
		if (is_column(c->columns[i], metric, peer)) {
			c->hint = i + 1;
			return c->columns[i];
		}
	}
	*ret = c->nr_columns == CHUNK_COLUMNS ? -ENOSPC : -ENOMEM;
	if (c->nr_columns == CHUNK_COLUMNS)
		return NULL;
	col = c->columns[c->nr_columns];
	if (!col)
		col = c->columns[c->nr_columns] = malloc(sizeof(*col));
	if (!col)
		return NULL;
	col->metric = metric;
	col->peer = peer;
	col->nr = 0;
	memset(col->has, 0, sizeof(col->has));
	c->hint = ++c->nr_columns;
	return col;
}

int chunk_add(struct chunk *c, uint32_t metric, uint32_t peer, uint64_t value)
{
	int r = 0;
	struct column *col = column(c, metric, peer, &r);
	uint32_t t = c->nr_times - 1;

	if (!col) {
		c->dropped++;
		return r;
	}
	if (col->has[t / 8] & 1u << t % 8)
		return 0; /* one value a tick: the first */
	col->has[t / 8] |= (uint8_t)(1u << t % 8);
	col->value[col->nr++] = value;
	return 0;
}

static void pack_values(const struct column *col, struct packed *p)
{
	uint64_t before = 0;

	for (uint32_t i = 0, run; i < col->nr; i += run) {
		for (run = 1;
		     col->value[i] == before && i + run < col->nr && col->value[i + run] == before;
		     run++)
			;
		pack_diff(p, before, col->value[i]);
		if (col->value[i] == before)
			pack_u64(p, run - 1);
		before = col->value[i];
	}
}

static void pack_column(const struct column *col, uint32_t nr_times, struct packed *p,
			struct packed *scratch)
{
	scratch->len = 0;
	pack_values(col, scratch);
	pack_u64(p, col->metric);
	pack_u64(p, col->peer);
	pack_u64(p, col->nr);
	if (col->nr != nr_times)
		pack_bytes(p, col->has, (nr_times + 7) / 8);
	pack_u64(p, scratch->len);
	pack_bytes(p, scratch->data, scratch->len);
	p->failed |= scratch->failed;
}

void chunk_pack(const struct chunk *c, uint64_t slot_ms, struct packed *p)
{
	struct packed scratch = {0};
	uint64_t before = slot_ms, step = 0;

	pack_u64(p, CHUNK_VERSION);
	pack_u64(p, c->nr_times);
	for (uint32_t i = 0; i < c->nr_times; i++) {
		pack_diff(p, step, c->times_ms[i] - before);
		step = i ? c->times_ms[i] - before : TICK_MS;
		before = c->times_ms[i];
	}
	pack_u64(p, c->nr_columns);
	for (uint32_t i = 0; i < c->nr_columns; i++)
		pack_column(c->columns[i], c->nr_times, p, &scratch);
	pack_done(&scratch);
}

struct walk {
	uint64_t nr_times;
	uint64_t times_ms[SLOT_TICKS];
	uint32_t metric, peer;
	chunk_visit visit;
	void *arg;
};

static void walk_values(const struct walk *w, uint32_t metric, uint32_t peer, uint64_t nr,
			const uint8_t *has, struct unpack *u)
{
	uint64_t value = 0, run = 0;

	for (uint64_t t = 0; t < w->nr_times && nr && !u->bad; t++) {
		if (has && !(has[t / 8] & 1u << t % 8))
			continue;
		nr--;
		if (run) {
			run--;
		} else {
			uint64_t next = unpack_diff(u, value);

			run = next == value ? unpack_u64(u) : 0;
			value = next;
		}
		if (!u->bad)
			w->visit(metric, peer, w->times_ms[t], value, w->arg);
	}
	u->bad |= nr != 0;
}

static void walk_column(const struct walk *w, struct unpack *u)
{
	uint64_t metric = unpack_u64(u), peer = unpack_u64(u), nr = unpack_u64(u), size;
	const uint8_t *has = nr == w->nr_times ? NULL : unpack_bytes(u, (w->nr_times + 7) / 8);
	struct unpack values;

	size = unpack_u64(u);
	values.at = unpack_bytes(u, size);
	values.end = values.at + (values.at ? size : 0);
	values.bad = false;
	if (nr > w->nr_times || metric > UINT32_MAX || peer > UINT32_MAX)
		u->bad = true;
	if (u->bad || (w->metric != CHUNK_ANY && w->metric != metric) ||
	    (w->peer != CHUNK_ANY && w->peer != peer))
		return;
	walk_values(w, (uint32_t)metric, (uint32_t)peer, nr, has, &values);
	u->bad |= values.bad;
}

static void walk_chunk(struct walk *w, uint64_t slot_ms, struct unpack *u)
{
	uint64_t before = slot_ms, step = 0, nr;

	if (unpack_u64(u) != CHUNK_VERSION)
		u->bad = true;
	w->nr_times = unpack_u64(u);
	u->bad |= w->nr_times > SLOT_TICKS;
	for (uint64_t i = 0; i < w->nr_times && !u->bad; i++) {
		step = unpack_diff(u, step);
		before = w->times_ms[i] = before + step;
		if (!i)
			step = TICK_MS;
	}
	nr = unpack_u64(u);
	u->bad |= nr > CHUNK_COLUMNS;
	for (uint64_t i = 0; i < nr && !u->bad; i++)
		walk_column(w, u);
}

int chunk_walk(const void *blob, size_t size, uint64_t slot_ms, uint32_t metric, uint32_t peer,
	       chunk_visit visit, void *arg)
{
	struct walk w = {.metric = metric, .peer = peer, .visit = visit, .arg = arg};
	struct unpack u = {.at = blob, .end = size ? (const uint8_t *)blob + size : blob};

	while (u.at < u.end && !u.bad)
		walk_chunk(&w, slot_ms, &u);
	return u.bad ? -EBADMSG : 0;
}
