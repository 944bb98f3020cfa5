/* SPDX-License-Identifier: MIT */
/*
 * The schema of czd.yaml is the tables at the end: a key is one row there, one field of struct
 * config and one paragraph of man/czd.yaml.5. Walking goes on after an error, so that all are
 * shown.
 */
#include "spec/spec.h"

#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "spec/walk.h"

struct loader {
	struct walk walk;
	struct config *config;
};

struct spec_key {
	const char *name;
	void (*read)(struct loader *l, const struct node *n, const struct spec_key *k, void *field);
	size_t offset;
	uint64_t min, max;
	const struct spec_key *sub; /* of a mapping; ends with a NULL name */
};

/* The scalar's text, or NULL and a complaint. */
static const char *scalar(struct loader *l, const struct node *n, const char *what)
{
	if (n->kind == NODE_SCALAR && !walk_is_absent(n))
		return n->text;
	walk_complain(&l->walk, n->line, "%s: %s", walk_lack(n), what);
	return NULL;
}

static void not_a(struct loader *l, const struct node *n, const char *what)
{
	char shown[80];

	walk_complain(&l->walk, n->line, "'%s' is not %s",
		      str_escape(shown, sizeof(shown), n->text), what);
}

static bool in_range(struct loader *l, const struct node *n, const struct spec_key *k, uint64_t v,
		     char *(*format)(uint64_t, char *, size_t))
{
	char shown[80], low[32], high[32];

	if (v >= k->min && v <= k->max)
		return true;
	walk_complain(&l->walk, n->line, "%s is out of range (%s to %s)",
		      str_escape(shown, sizeof(shown), n->text), format(k->min, low, sizeof(low)),
		      format(k->max, high, sizeof(high)));
	return false;
}

#define WHAT_TIME    "a time (ns, us, ms, s, m, h)"
#define WHAT_RATIO   "a share (such as 5% or 0.05)"
#define WHAT_COUNT   "a whole number"
#define WHAT_SIZE    "a size (such as 64M)"
#define WHAT_BOOL    "true or false"
#define WHAT_MODE    "a mode (observe, enforce)"
#define WHAT_CLASS   "a class (lc, be, normal)"
#define WHAT_CONTROL "a controller (guard, cpi2-cap)"

static void read_duration(struct loader *l, const struct node *n, const struct spec_key *k,
			  void *field)
{
	const char *s = scalar(l, n, WHAT_TIME);
	uint64_t ns;

	if (!s)
		return;
	if (parse_duration_ns(s, &ns) < 0)
		not_a(l, n, WHAT_TIME);
	else if (in_range(l, n, k, ns, format_duration))
		*(uint64_t *)field = ns;
}

static void read_ratio(struct loader *l, const struct node *n, const struct spec_key *k,
		       void *field)
{
	const char *s = scalar(l, n, WHAT_RATIO);
	uint32_t ppm;

	if (!s)
		return;
	if (parse_ratio_ppm(s, &ppm) < 0)
		not_a(l, n, WHAT_RATIO);
	else if (in_range(l, n, k, ppm, format_ppm))
		*(uint32_t *)field = ppm;
}

static char *format_count(uint64_t v, char *buf, size_t size)
{
	snprintf(buf, size, "%llu", (unsigned long long)v);
	return buf;
}

static void read_count(struct loader *l, const struct node *n, const struct spec_key *k,
		       void *field)
{
	const char *s = scalar(l, n, WHAT_COUNT);
	uint64_t v;

	if (!s)
		return;
	if (parse_u64(s, &v) < 0)
		not_a(l, n, WHAT_COUNT);
	else if (in_range(l, n, k, v, format_count))
		*(uint32_t *)field = (uint32_t)v;
}

static void read_size(struct loader *l, const struct node *n, const struct spec_key *k, void *field)
{
	const char *s = scalar(l, n, WHAT_SIZE);
	uint64_t v;

	if (!s)
		return;
	if (parse_size_bytes(s, &v) < 0)
		not_a(l, n, WHAT_SIZE);
	else if (in_range(l, n, k, v, format_bytes))
		*(uint64_t *)field = v;
}

static void read_bool(struct loader *l, const struct node *n, const struct spec_key *k, void *field)
{
	const char *s = scalar(l, n, WHAT_BOOL);

	if (!s)
		return;
	if (strcmp(s, "true") && strcmp(s, "false"))
		not_a(l, n, WHAT_BOOL);
	else
		*(bool *)field = !strcmp(s, "true");
}

static void read_mode(struct loader *l, const struct node *n, const struct spec_key *k, void *field)
{
	const char *s = scalar(l, n, WHAT_MODE);

	if (s && guard_mode_parse(s, field) < 0)
		not_a(l, n, WHAT_MODE);
}

static void read_class(struct loader *l, const struct node *n, const struct spec_key *k,
		       void *field)
{
	const char *s = scalar(l, n, WHAT_CLASS);

	if (s && zone_class_parse(s, field) < 0)
		not_a(l, n, WHAT_CLASS);
}

static void read_control(struct loader *l, const struct node *n, const struct spec_key *k,
			 void *field)
{
	const char *s = scalar(l, n, WHAT_CONTROL);

	if (s && control_parse(s, field) < 0)
		not_a(l, n, WHAT_CONTROL);
}

/* A glob on a path or, without '/', on a friendly name. *field is the caller's to free. */
static void read_glob(struct loader *l, const struct node *n, const struct spec_key *k, void *field)
{
	const char *s = scalar(l, n, "a zone's name or a glob on its path");
	char *copy;

	if (!s)
		return;
	for (const char *p = s; *p; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			not_a(l, n, "a name: it has control characters");
			return;
		}
	}
	if (!s[0] || strlen(s) >= ZONE_PATH_MAX)
		walk_complain(&l->walk, n->line, "a name must have 1 to %d characters",
			      ZONE_PATH_MAX - 1);
	else if (strchr(s, '/') && s[0] != '/' && strncmp(s, "**", 2))
		not_a(l, n, "a path: paths begin with '/'");
	else if (!(copy = strdup(s)))
		l->walk.code = -ENOMEM;
	else
		*(char **)field = copy;
}

static const struct spec_key *find_key(const struct spec_key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (!strcmp(keys->name, name))
			return keys;
	return NULL;
}

/* Read all entries of n into base. Bit i of the result: keys[i] was there. */
static uint64_t read_entries(struct loader *l, const struct node *n, const struct spec_key *keys,
			     void *base)
{
	const struct spec_key *k;
	uint64_t seen = 0, bit;
	size_t before;

	if (walk_is_absent(n)) /* every entry is commented out */
		return 0;
	if (n->kind != NODE_MAPPING) {
		walk_complain(&l->walk, n->line, "expected entries such as '%s: ...' here",
			      keys[0].name);
		return 0;
	}
	for (const struct node *e = n->first; e; e = e->next) {
		k = find_key(keys, e->key);
		if (!k) {
			walk_unknown_key(&l->walk, e, keys, sizeof(*keys));
			continue;
		}
		bit = 1ull << (k - keys);
		before = walk_enter(&l->walk, k->name);
		if (seen & bit)
			walk_complain(&l->walk, e->key_line, "is given twice");
		else
			k->read(l, e, k, (char *)base + k->offset);
		seen |= bit;
		walk_leave(&l->walk, before);
	}
	return seen;
}

static void read_section(struct loader *l, const struct node *n, const struct spec_key *k,
			 void *field)
{
	read_entries(l, n, k->sub, field);
}

static void read_globs(struct loader *l, const struct node *n, const struct spec_key *k,
		       void *field)
{
	size_t nr = walk_list(&l->walk, n, SPEC_RULES_MAX), i = 0;
	char **globs;

	if (!nr)
		return;
	globs = calloc(nr + 1, sizeof(*globs));
	if (!globs) {
		l->walk.code = -ENOMEM;
		return;
	}
	*(char ***)field = globs;
	for (const struct node *e = n->first; e; e = e->next) {
		read_glob(l, e, k, &globs[i]);
		if (globs[i])
			i++;
	}
}

enum { RULE_MATCH, RULE_CLASS, RULE_SLO, RULE_CONTROL };
static const struct spec_key rule_keys[];

static void check_rule(struct loader *l, const struct node *n, struct class_rule *rule,
		       uint64_t seen)
{
	const struct config *c = l->config;

	if (!(seen & 1u << RULE_MATCH))
		walk_complain(&l->walk, n->line, "'match' is missing: which zones is this for?");
	if (!(seen & (1u << RULE_CLASS | 1u << RULE_SLO)))
		walk_complain(&l->walk, n->line, "'class' is missing (lc, be, normal)");
	if (slo_is_set(&rule->slo) && rule->class != CLASS_LC)
		walk_complain(&l->walk, n->line, "an slo needs class lc; this zone's class is %s",
			      zone_class_name(rule->class));
	if (rule->control != CONTROL_GUARD && rule->class != CLASS_LC)
		walk_complain(&l->walk, n->line,
			      "a controller acts for zones of class lc; this zone's class is %s",
			      zone_class_name(rule->class));
	for (size_t i = 0; rule->match && i < c->nr_rules; i++)
		if (&c->rules[i] != rule && c->rules[i].match &&
		    !strcmp(c->rules[i].match, rule->match))
			walk_complain(&l->walk, n->line, "the same match as in line %u",
				      c->rules[i].line);
}

static void read_rules(struct loader *l, const struct node *n, const struct spec_key *k,
		       void *field)
{
	struct config *c = l->config;
	size_t nr = walk_list(&l->walk, n, SPEC_RULES_MAX);

	if (!nr)
		return;
	c->rules = calloc(nr, sizeof(*c->rules));
	if (!c->rules) {
		l->walk.code = -ENOMEM;
		return;
	}
	for (const struct node *e = n->first; e; e = e->next) {
		struct class_rule *rule = &c->rules[c->nr_rules++];

		l->walk.path[0] =
		    0; /* the line says which entry: "slo.share", not "zones.slo.share" */
		rule->line = e->line;
		rule->class = CLASS_LC; /* an slo without a class means lc */
		if (e->kind == NODE_MAPPING)
			check_rule(l, e, rule, read_entries(l, e, rule_keys, rule));
		else
			walk_complain(&l->walk, e->line, "expected '- match: NAME' here");
		str_copy(l->walk.path, sizeof(l->walk.path), k->name);
	}
}

#define US	1000ull
#define MS	(1000 * US)
#define S	(1000 * MS)
#define M	(60 * S)
#define H	(60 * M)
#define PERCENT 10000ull
#define MIB	(1ull << 20)

static const struct spec_key slo_keys[] = {
    {"wait.p99", read_duration, offsetof(struct slo, wait_p99_ns), SLO_WAIT_P99_MIN_NS,
     SLO_WAIT_P99_MAX_NS, NULL},
    {"share", read_ratio, offsetof(struct slo, wait_share_ppm), SLO_SHARE_MIN_PPM,
     SLO_SHARE_MAX_PPM, NULL},
    {"latency.p99", read_duration, offsetof(struct slo, latency_p99_ns), SLO_LATENCY_P99_MIN_NS,
     SLO_LATENCY_P99_MAX_NS, NULL},
    {0},
};

static const struct spec_key rule_keys[] = {
    [RULE_MATCH] = {"match", read_glob, offsetof(struct class_rule, match), 0, 0, NULL},
    [RULE_CLASS] = {"class", read_class, offsetof(struct class_rule, class), 0, 0, NULL},
    [RULE_SLO] = {"slo", read_section, offsetof(struct class_rule, slo), 0, 0, slo_keys},
    [RULE_CONTROL] = {"controller", read_control, offsetof(struct class_rule, control), 0, 0, NULL},
    {0},
};

#define GUARD(field) offsetof(struct config, guard.field)
static const struct spec_key guard_keys[] = {
    {"fast_threshold", read_duration, GUARD(fast_threshold_ns), 50 * US, 1 * S, NULL},
    {"measure", read_duration, GUARD(measure_ns), 100 * MS, 1 * M, NULL},
    {"cooldown", read_duration, GUARD(cooldown_ns), 0, 1 * H, NULL},
    {"quiet", read_duration, GUARD(quiet_ns), 1 * S, 24 * H, NULL},
    {"lease", read_duration, GUARD(lease_ns), 10 * S, 24 * H, NULL},
    {"max_actions", read_count, GUARD(max_actions), 1, 4096, NULL},
    {"min_cap", read_ratio, GUARD(min_cap_ppm), 1 * PERCENT, 100 * PERCENT, NULL},
    {"allow_freeze", read_bool, GUARD(allow_freeze), 0, 0, NULL},
    {"allow_cpuset", read_bool, GUARD(allow_cpuset), 0, 0, NULL},
    {"allow_cap", read_bool, GUARD(allow_cap), 0, 0, NULL},
    {"min_memory", read_size, GUARD(min_memory_bytes), 1 * MIB, 1024 * 1024 * MIB, NULL},
    {"min_io", read_size, GUARD(min_io_bytes), MIB / 16, 1024 * MIB, NULL},
    {"allow_memory", read_bool, GUARD(allow_memory), 0, 0, NULL},
    {"allow_io", read_bool, GUARD(allow_io), 0, 0, NULL},
    {"min_network", read_size, GUARD(min_network_bytes), MIB / 64, 1024 * MIB, NULL},
    {"allow_network", read_bool, GUARD(allow_network), 0, 0, NULL},
    {0},
};

#define LEDGER(field) offsetof(struct config, ledger.field)
static const struct spec_key ledger_keys[] = {
    {"enabled", read_bool, LEDGER(enabled), 0, 0, NULL},
    {"budget", read_ratio, LEDGER(budget_ppm), PERCENT / 10, 50 * PERCENT, NULL},
    {"max_zones", read_count, LEDGER(max_zones), 64, 1 << 20, NULL},
    {0},
};

#define PROBES(field) offsetof(struct config, probes.field)
static const struct spec_key probes_keys[] = {
#define X(name) {#name, read_bool, PROBES(name), 0, 0, NULL},
    OPTIONAL_PROBES(X)
#undef X
	{0},
};

#define CONFIG(field) offsetof(struct config, field)
static const struct spec_key limits_keys[] = {
    {"max_zones", read_count, CONFIG(max_zones), 16, 1 << 20, NULL},
    {"fd_budget", read_count, CONFIG(fd_budget), 64, 1 << 20, NULL},
    {0},
};

/* Sections have offset 0: their rows hold offsets from struct config. */
static const struct spec_key top_keys[] = {
    {"tick", read_duration, CONFIG(tick_ns), 100 * MS, 1 * M, NULL},
    {"mode", read_mode, CONFIG(guard.mode), 0, 0, NULL},
    {"guard", read_section, 0, 0, 0, guard_keys},
    {"ledger", read_section, 0, 0, 0, ledger_keys},
    {"probes", read_section, 0, 0, 0, probes_keys},
    {"limits", read_section, 0, 0, 0, limits_keys},
    {"off_limits", read_globs, CONFIG(off_limits), 0, 0, NULL},
    {"zones", read_rules, 0, 0, 0, NULL},
    {0},
};

static void check_config(struct loader *l)
{
	const struct guard_config *g = &l->config->guard;

	if (g->lease_ns <= g->measure_ns)
		error_list_add(
		    l->walk.errs, l->walk.name, 0,
		    "guard.lease must be longer than guard.measure, or no effect is measured");
}

DEFINE_CLEANUP(struct node *, tree_free)

int spec_load_text(const char *name, const char *text, size_t len, struct config *ret,
		   struct error_list *errs)
{
	_cleanup_(tree_freep) struct node *root = NULL;
	_cleanup_(config_done) struct config c = {0};
	struct loader l = {.walk = {.name = name, .errs = errs}, .config = &c};
	int r;

	errs->nr = errs->total = 0;
	r = tree_parse(name, text, len, &root, errs);
	if (r < 0)
		return r == -ENOMEM ? walk_fail(errs, name, r, strerror(-r)) : r;
	config_defaults(&c);
	if (root)
		read_entries(&l, root, top_keys, &c);
	if (!errs->total)
		check_config(&l);
	if (l.walk.code < 0)
		return walk_fail(errs, name, l.walk.code, strerror(-l.walk.code));
	if (errs->total)
		return -EINVAL;
	*ret = c;
	c = (struct config){0};
	return 0;
}

int spec_load_file(int dirfd, const char *path, struct config *ret, struct error_list *errs)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = walk_read_file(dirfd, path, &text, &len, errs);

	return r < 0 ? r : spec_load_text(path, text, len, ret, errs);
}
