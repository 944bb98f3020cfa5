/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "replay/internal.h"

struct replay_line *compare_add(struct compare *c, enum replay_kind kind, uint64_t now_ns)
{
	struct replay_line *l = calloc(1, sizeof(*l)), **grown;

	if (l && c->nr == c->cap) {
		grown = realloc(c->lines, (c->cap + 64) * sizeof(*grown));
		if (!grown) {
			free(l);
			return NULL;
		}
		c->lines = grown;
		c->cap += 64;
	}
	if (!l)
		return NULL;
	l->kind = kind;
	l->now_ns = now_ns;
	c->lines[c->nr++] = l;
	return l;
}

void compare_done(struct compare *c)
{
	for (size_t i = 0; i < c->nr; i++)
		free(c->lines[i]);
	free(c->lines);
	*c = (struct compare){0};
}

static bool was_standing(struct compare *c, const struct replay_line *l)
{
	const struct finding *f = &l->finding;

	for (size_t i = 0; l->kind == REPLAY_FINDING && i < c->nr_standing; i++) {
		const struct finding *s = &c->standing[i];

		if (s->victim_id != f->victim_id || s->resource != f->resource ||
		    s->cause != f->cause)
			continue;
		c->standing[i] = c->standing[--c->nr_standing];
		return true;
	}
	return false;
}

/* Finds what was recorded among the lines. */
static bool matches(struct compare *c, enum replay_kind kind, const char *key)
{
	for (size_t i = 0; i < c->nr; i++) {
		struct replay_line *l = c->lines[i];

		if (l->side != SIDE_REPLAY || l->kind != kind || strcmp(l->key, key))
			continue;
		l->side = SIDE_BOTH;
		return true;
	}
	return false;
}

static void tell_missing(const struct replay_line *l, const struct replay_sink *sink,
			 struct replay_tally *tally)
{
	tally->differing++;
	sink->line(l, sink->arg);
}

static void compare_findings(struct compare *c, const struct record_did *did, uint64_t now_ns,
			     const struct replay_sink *sink, struct replay_tally *tally)
{
	_cleanup_free_ struct replay_line *l = calloc(1, sizeof(*l));

	for (size_t i = 0; l && i < did->nr_findings; i++) {
		*l = (struct replay_line){.now_ns = now_ns,
					  .kind = REPLAY_FINDING,
					  .side = SIDE_RECORDING,
					  .finding = did->findings[i]};
		news_finding_text(&l->finding, l->key);
		if (matches(c, REPLAY_FINDING, l->key))
			continue;
		snprintf(l->text, sizeof(l->text), "finding %llu %s",
			 (unsigned long long)l->finding.seq, l->key);
		tell_missing(l, sink, tally);
	}
}

static void compare_actions(struct compare *c, const struct record_did *did, uint64_t now_ns,
			    const struct replay_sink *sink, struct replay_tally *tally)
{
	_cleanup_free_ struct replay_line *l = calloc(1, sizeof(*l));

	for (size_t i = 0; l && i < did->nr_actions; i++) {
		*l = (struct replay_line){.now_ns = now_ns,
					  .kind = REPLAY_ACTION,
					  .side = SIDE_RECORDING,
					  .action = did->actions[i]};
		news_action_text(&l->action, l->key);
		if (matches(c, REPLAY_ACTION, l->key))
			continue;
		snprintf(l->text, sizeof(l->text), "action %llu %s",
			 (unsigned long long)l->action.seq, l->key);
		tell_missing(l, sink, tally);
	}
}

void compare_tell(struct compare *c, const struct record_did *did, uint64_t now_ns,
		  const struct replay_sink *sink, struct replay_tally *tally)
{
	for (size_t i = 0; did && i < c->nr; i++)
		if (c->lines[i]->key[0])
			c->lines[i]->side = SIDE_REPLAY;
	if (did) {
		compare_findings(c, did, now_ns, sink, tally);
		compare_actions(c, did, now_ns, sink, tally);
	}
	for (size_t i = 0; i < c->nr; i++) {
		struct replay_line *l = c->lines[i];

		if (l->side == SIDE_REPLAY && was_standing(c, l))
			l->side = SIDE_BOTH;
		tally->differing += l->side == SIDE_REPLAY;
		tally->same += did && l->key[0] && l->side == SIDE_BOTH;
		sink->line(l, sink->arg);
		free(l);
	}
	c->nr = 0;
}
