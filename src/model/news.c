/* SPDX-License-Identifier: MIT */
#include "model/news.h"

#include <stdio.h>
#include <string.h>
#include "base/hash.h"

static uint64_t finding_key(const struct finding *f)
{
	char key[ZONE_NAME_MAX + 64];

	snprintf(key, sizeof(key), "%d %d %d %zu %s", f->open, f->cause, f->severity,
		 f->nr_culprits, f->nr_culprits ? f->culprits[0].name : "");
	return hash_string(key);
}

static uint64_t action_key(const struct action *a)
{
	return (uint64_t)a->state << 8 | (uint64_t)a->outcome;
}

/* Has this one been told before, and as what? From *at on: both lists have their oldest first. */
static bool was_told(const struct told *told, size_t nr, size_t *at, const struct told *item)
{
	for (size_t i = 0; i < nr; i++) {
		const struct told *t = &told[(*at + i) % nr];

		if (t->seq != item->seq)
			continue;
		*at = (*at + i + 1) % nr;
		return t->key == item->key;
	}
	return false;
}

static void tell(struct told *told, size_t *nr, const struct told *now, size_t nr_now)
{
	memcpy(told, now, nr_now * sizeof(*now));
	*nr = nr_now;
}

size_t news_findings(struct news *n, const struct finding *items, size_t nr, uint32_t ret[NEWS_MAX])
{
	struct told now[NEWS_MAX];
	size_t at = 0, found = 0;

	nr = nr < NEWS_MAX ? nr : NEWS_MAX;
	for (size_t i = 0; i < nr; i++) {
		now[i] = (struct told){items[i].seq, finding_key(&items[i])};
		if (!was_told(n->findings, n->nr_findings, &at, &now[i]))
			ret[found++] = (uint32_t)i;
	}
	tell(n->findings, &n->nr_findings, now, nr);
	return found;
}

size_t news_actions(struct news *n, const struct action *items, size_t nr, uint32_t ret[NEWS_MAX])
{
	struct told now[NEWS_MAX];
	size_t at = 0, found = 0;

	nr = nr < NEWS_MAX ? nr : NEWS_MAX;
	for (size_t i = 0; i < nr; i++) {
		now[i] = (struct told){items[i].seq, action_key(&items[i])};
		if (!was_told(n->actions, n->nr_actions, &at, &now[i]))
			ret[found++] = (uint32_t)i;
	}
	tell(n->actions, &n->nr_actions, now, nr);
	return found;
}

char *news_finding_text(const struct finding *f, char buf[NEWS_TEXT_MAX])
{
	size_t len;

	snprintf(buf, NEWS_TEXT_MAX, "%s: %s hurt by %s (%s, %s)", f->open ? "open" : "closed",
		 f->victim_name, cause_name(f->cause), resource_name(f->resource),
		 severity_name(f->severity));
	for (size_t i = 0; i < f->nr_culprits; i++) {
		len = strlen(buf);
		snprintf(buf + len, NEWS_TEXT_MAX - len, "%s%s %u.%u %%", i ? ", " : " by ",
			 f->culprits[i].name, f->culprits[i].share_ppm / 10000,
			 f->culprits[i].share_ppm / 1000 % 10);
	}
	return buf;
}

char *news_action_text(const struct action *a, char buf[NEWS_TEXT_MAX])
{
	snprintf(buf, NEWS_TEXT_MAX, "%s, %s: %s = %.64s on %s for %s%s%s",
		 action_state_name(a->state), outcome_name(a->outcome), knob_name(a->knob), a->to,
		 a->target_name, a->victim_name, a->ended[0] ? "; " : "", a->ended);
	return buf;
}
