/* SPDX-License-Identifier: MIT */
/* What a zone is worth: rules of the configuration (later ones win), overrides, inheritance. */
#include <string.h>

#include "base/str.h"
#include "zones/internal.h"

bool zone_pattern_match(const char *pattern, const struct zone *z)
{
	return path_glob_match(pattern, strchr(pattern, '/') ? z->path : z->name);
}

static const struct class_rule *rule_of(const struct config *cfg, const struct zone *z)
{
	for (size_t i = cfg->nr_rules; i-- > 0;)
		if (zone_pattern_match(cfg->rules[i].match, z))
			return &cfg->rules[i];
	return NULL;
}

struct worth {
	enum zone_class class;
	bool is_own;
	struct slo slo;
	enum control control;
	const char *off_limits_why;
};

static struct worth worth_of(const struct zone *z)
{
	return (struct worth){z->class, z->class_is_own, z->slo, z->control, z->off_limits_why};
}

static bool same_slo(const struct slo *a, const struct slo *b)
{
	return a->wait_p99_ns == b->wait_p99_ns && a->wait_share_ppm == b->wait_share_ppm &&
	       a->latency_p99_ns == b->latency_p99_ns;
}

static bool same_worth(const struct worth *a, const struct worth *b)
{
	return a->class == b->class && a->is_own == b->is_own && same_slo(&a->slo, &b->slo) &&
	       a->control == b->control && a->off_limits_why == b->off_limits_why;
}

static void update_one(struct zones *zs, struct zone *z)
{
	const struct class_rule *rule = rule_of(zs->cfg, z);

	z->control = rule ? rule->control : CONTROL_GUARD;
	if (!z->class_is_override) {
		z->class_is_own = rule != NULL;
		z->slo = rule ? rule->slo : (struct slo){0};
		z->class = rule ? rule->class : z->parent ? z->parent->class : CLASS_NORMAL;
	}
	z->off_limits_why = offlimits_why(zs, z, &z->off_limits_inherits);
}

void class_update(struct zones *zs, struct zone *z, bool tell)
{
	struct worth before = worth_of(z), after;

	update_one(zs, z);
	after = worth_of(z);
	if (tell && zs->ev.on_class && !same_worth(&before, &after))
		zs->ev.on_class(z, zs->ev.arg);
	for (struct zone *c = z->first_child; c; c = c->next_sibling)
		class_update(zs, c, tell);
}

void class_update_marks(struct zones *zs, struct zone *z)
{
	struct worth before = worth_of(z), after;
	bool inherits = z->off_limits_inherits;

	update_one(zs, z);
	after = worth_of(z);
	if (zs->ev.on_class && !same_worth(&before, &after))
		zs->ev.on_class(z, zs->ev.arg);
	if (inherits != z->off_limits_inherits)
		for (struct zone *c = z->first_child; c; c = c->next_sibling)
			class_update(zs, c, true);
}

int zones_set_class(struct zones *zs, uint64_t id, enum zone_class class, const struct slo *slo)
{
	struct zone *z = hash_get(&zs->by_id, id);
	struct worth before, after;

	if (!z)
		return -ENOENT;
	before = worth_of(z);
	z->class_is_override = z->class_is_own = true;
	z->class = class;
	z->slo = slo ? *slo : (struct slo){0};
	after = worth_of(z);
	if (zs->ev.on_class && !same_worth(&before, &after))
		zs->ev.on_class(z, zs->ev.arg);
	class_update(zs, z, true);
	return 0;
}

void zones_set_kind(struct zones *zs, uint64_t id, enum zone_kind kind)
{
	struct zone *z = hash_get(&zs->by_id, id);

	if (z)
		z->kind = kind;
}

int zones_clear_class(struct zones *zs, uint64_t id)
{
	struct zone *z = hash_get(&zs->by_id, id);

	if (!z)
		return -ENOENT;
	z->class_is_override = false;
	class_update(zs, z, true);
	return 0;
}

void zones_reclassify(struct zones *zs, const struct config *cfg)
{
	zs->cfg = cfg;
	if (zs->first)
		class_update(zs, zs->first, true);
}
