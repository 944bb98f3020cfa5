/* SPDX-License-Identifier: MIT */
/*
 * The schema of czd.yaml is the tables at the end: a key is one row there, one field of struct
 * config and one paragraph of man/czd.yaml.5. Walking goes on after an error, so that all are
 * shown.
 */
#include "spec/spec.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"
#include "spec/tree.h"

struct loader {
	const char *name;
	struct error_list *errs;
	struct config *config;
	char path[256]; /* of the key being read: "guard.lease" */
	int code;	/* -ENOMEM once memory ran out */
};

struct spec_key {
	const char *name;
	void (*read)(struct loader *l, const struct node *n, const struct spec_key *k, void *field);
	size_t offset;
	uint64_t min, max;
	const struct spec_key *sub; /* of a mapping; ends with a NULL name */
};

/* "LINE: path: message", for the value n. */
static void complain(struct loader *l, uint32_t line, const char *fmt, ...) printf_like(3, 4);
static void complain(struct loader *l, uint32_t line, const char *fmt, ...)
{
	char msg[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	error_list_add(l->errs, l->name, line, "%s%s%s", l->path, l->path[0] ? ": " : "", msg);
}

static size_t path_push(struct loader *l, const char *key)
{
	size_t before = strlen(l->path);

	snprintf(l->path + before, sizeof(l->path) - before, "%s%s", before ? "." : "", key);
	return before;
}

static bool is_absent(const struct node *n)
{
	return n->kind == NODE_SCALAR && !n->quoted &&
	       (!n->text[0] || !strcmp(n->text, "~") || !strcmp(n->text, "null"));
}

/* The scalar's text, or NULL and a complaint. */
static const char *scalar(struct loader *l, const struct node *n, const char *what)
{
	if (n->kind == NODE_SCALAR && !is_absent(n))
		return n->text;
	complain(l, n->line, "a value is missing here: %s", what);
	return NULL;
}

static void not_a(struct loader *l, const struct node *n, const char *what)
{
	char shown[80];

	complain(l, n->line, "'%s' is not %s", str_escape(shown, sizeof(shown), n->text), what);
}

static bool in_range(struct loader *l, const struct node *n, const struct spec_key *k, uint64_t v,
		     char *(*format)(uint64_t, char *, size_t))
{
	char shown[80], low[32], high[32];

	if (v >= k->min && v <= k->max)
		return true;
	complain(l, n->line, "%s is out of range (%s to %s)",
		 str_escape(shown, sizeof(shown), n->text), format(k->min, low, sizeof(low)),
		 format(k->max, high, sizeof(high)));
	return false;
}

#define WHAT_TIME  "a time (ns, us, ms, s, m, h)"
#define WHAT_RATIO "a share (such as 5% or 0.05)"
#define WHAT_COUNT "a whole number"
#define WHAT_BOOL  "true or false"
#define WHAT_MODE  "a mode (observe, enforce)"
#define WHAT_CLASS "a class (lc, be, normal)"

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
		complain(l, n->line, "a name must have 1 to %d characters", ZONE_PATH_MAX - 1);
	else if (strchr(s, '/') && s[0] != '/' && strncmp(s, "**", 2))
		not_a(l, n, "a path: paths begin with '/'");
	else if (!(copy = strdup(s)))
		l->code = -ENOMEM;
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

static void unknown_key(struct loader *l, const struct node *n, const struct spec_key *keys)
{
	const struct spec_key *best = NULL;
	unsigned int distance, least = 3;
	char shown[80], known[200] = "";
	size_t len = 0;

	str_escape(shown, sizeof(shown), n->key);
	for (const struct spec_key *k = keys; k->name; k++) {
		distance = str_distance(k->name, shown);
		if (distance < least) {
			least = distance;
			best = k;
		}
		if (len < sizeof(known))
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
						len ? ", " : "", k->name);
	}
	if (best)
		complain(l, n->key_line, "unknown key '%s'. Did you mean '%s'?", shown, best->name);
	else
		complain(l, n->key_line, "unknown key '%s' (known: %s)", shown, known);
}

/* Read all entries of n into base. Bit i of the result: keys[i] was there. */
static uint64_t read_entries(struct loader *l, const struct node *n, const struct spec_key *keys,
			     void *base)
{
	const struct spec_key *k;
	uint64_t seen = 0, bit;
	size_t path_len;

	if (is_absent(n)) /* every entry is commented out */
		return 0;
	if (n->kind != NODE_MAPPING) {
		complain(l, n->line, "expected entries such as '%s: ...' here", keys[0].name);
		return 0;
	}
	for (const struct node *e = n->first; e; e = e->next) {
		k = find_key(keys, e->key);
		if (!k) {
			unknown_key(l, e, keys);
			continue;
		}
		bit = 1ull << (k - keys);
		path_len = path_push(l, k->name);
		if (seen & bit)
			complain(l, e->key_line, "is given twice");
		else
			k->read(l, e, k, (char *)base + k->offset);
		seen |= bit;
		l->path[path_len] = 0;
	}
	return seen;
}

static void read_section(struct loader *l, const struct node *n, const struct spec_key *k,
			 void *field)
{
	read_entries(l, n, k->sub, field);
}

/* The first entry of a list, or NULL: an empty one, or a complaint. */
static const struct node *list_first(struct loader *l, const struct node *n, size_t *ret_nr)
{
	*ret_nr = 0;
	if (is_absent(n))
		return NULL;
	if (n->kind != NODE_SEQUENCE) {
		complain(l, n->line, "expected a list here ('- ...' lines or [a, b])");
		return NULL;
	}
	for (const struct node *e = n->first; e; e = e->next)
		++*ret_nr;
	if (*ret_nr <= SPEC_RULES_MAX)
		return n->first;
	complain(l, n->line, "%zu entries; at most %u are possible", *ret_nr, SPEC_RULES_MAX);
	*ret_nr = 0;
	return NULL;
}

static void read_globs(struct loader *l, const struct node *n, const struct spec_key *k,
		       void *field)
{
	const struct node *e;
	char **globs;
	size_t nr, i = 0;

	e = list_first(l, n, &nr);
	if (!e)
		return;
	globs = calloc(nr + 1, sizeof(*globs));
	if (!globs) {
		l->code = -ENOMEM;
		return;
	}
	*(char ***)field = globs;
	for (; e; e = e->next) {
		read_glob(l, e, k, &globs[i]);
		if (globs[i])
			i++;
	}
}

enum { RULE_MATCH, RULE_CLASS, RULE_SLO };
static const struct spec_key rule_keys[];

static void check_rule(struct loader *l, const struct node *n, struct class_rule *rule,
		       uint64_t seen)
{
	const struct config *c = l->config;

	if (!(seen & 1u << RULE_MATCH))
		complain(l, n->line, "'match' is missing: which zones is this for?");
	if (!(seen & (1u << RULE_CLASS | 1u << RULE_SLO)))
		complain(l, n->line, "'class' is missing (lc, be, normal)");
	if (slo_is_set(&rule->slo) && rule->class != CLASS_LC)
		complain(l, n->line, "an slo needs class lc; this zone's class is %s",
			 zone_class_name(rule->class));
	for (size_t i = 0; rule->match && i < c->nr_rules; i++)
		if (&c->rules[i] != rule && c->rules[i].match &&
		    !strcmp(c->rules[i].match, rule->match))
			complain(l, n->line, "the same match as in line %u", c->rules[i].line);
}

static void read_rules(struct loader *l, const struct node *n, const struct spec_key *k,
		       void *field)
{
	struct config *c = l->config;
	const struct node *e;
	size_t nr;

	e = list_first(l, n, &nr);
	if (!e)
		return;
	c->rules = calloc(nr, sizeof(*c->rules));
	if (!c->rules) {
		l->code = -ENOMEM;
		return;
	}
	for (; e; e = e->next) {
		struct class_rule *rule = &c->rules[c->nr_rules++];
		size_t path_len = strlen(l->path);

		l->path[0] = 0; /* the line says which entry: "slo.share", not "zones.slo.share" */
		rule->line = e->line;
		rule->class = CLASS_LC; /* an slo without a class means lc */
		if (e->kind == NODE_MAPPING)
			check_rule(l, e, rule, read_entries(l, e, rule_keys, rule));
		else
			complain(l, e->line, "expected '- match: NAME' here");
		snprintf(l->path, sizeof(l->path), "%.*s", (int)path_len, k->name);
	}
}

#define US	1000ull
#define MS	(1000 * US)
#define S	(1000 * MS)
#define M	(60 * S)
#define H	(60 * M)
#define PERCENT 10000ull

static const struct spec_key slo_keys[] = {
    {"wait.p99", read_duration, offsetof(struct slo, wait_p99_ns), 10 * US, 10 * S, NULL},
    {"share", read_ratio, offsetof(struct slo, wait_share_ppm), PERCENT / 10, 100 * PERCENT, NULL},
    {"latency.p99", read_duration, offsetof(struct slo, latency_p99_ns), 1 * US, 1 * H, NULL},
    {0},
};

static const struct spec_key rule_keys[] = {
    [RULE_MATCH] = {"match", read_glob, offsetof(struct class_rule, match), 0, 0, NULL},
    [RULE_CLASS] = {"class", read_class, offsetof(struct class_rule, class), 0, 0, NULL},
    [RULE_SLO] = {"slo", read_section, offsetof(struct class_rule, slo), 0, 0, slo_keys},
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
    {0},
};

#define LEDGER(field) offsetof(struct config, ledger.field)
static const struct spec_key ledger_keys[] = {
    {"enabled", read_bool, LEDGER(enabled), 0, 0, NULL},
    {"budget", read_ratio, LEDGER(budget_ppm), PERCENT / 10, 50 * PERCENT, NULL},
    {"max_zones", read_count, LEDGER(max_zones), 64, 1 << 20, NULL},
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
		    l->errs, l->name, 0,
		    "guard.lease must be longer than guard.measure, or no effect is measured");
}

static int file_error(struct error_list *errs, const char *path, int code, const char *what)
{
	errs->nr = errs->total = 0;
	error_list_add(errs, path, 0, "%s", what);
	return code;
}

DEFINE_CLEANUP(struct node *, tree_free)

int spec_load_text(const char *name, const char *text, size_t len, struct config *ret,
		   struct error_list *errs)
{
	_cleanup_(tree_freep) struct node *root = NULL;
	_cleanup_(config_done) struct config c = {0};
	struct loader l = {.name = name, .errs = errs, .config = &c};
	int r;

	errs->nr = errs->total = 0;
	r = tree_parse(name, text, len, &root, errs);
	if (r < 0)
		return r == -ENOMEM ? file_error(errs, name, r, strerror(-r)) : r;
	config_defaults(&c);
	if (root)
		read_entries(&l, root, top_keys, &c);
	if (!errs->total)
		check_config(&l);
	if (l.code < 0)
		return file_error(errs, name, l.code, strerror(-l.code));
	if (errs->total)
		return -EINVAL;
	*ret = c;
	c = (struct config){0};
	return 0;
}

int spec_load_file(int dirfd, const char *path, struct config *ret, struct error_list *errs)
{
	_cleanup_free_ char *buf = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	size_t len = 0;
	ssize_t n;

	/* O_NONBLOCK: opening a FIFO must not hang */
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return file_error(errs, path, -errno, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) /* /dev/null is an empty file */
		return file_error(errs, path, -EINVAL, "not a regular file");
	buf = malloc(SPEC_SIZE_MAX + 1);
	if (!buf)
		return file_error(errs, path, -ENOMEM, strerror(ENOMEM));
	while ((n = read(fd, buf + len, SPEC_SIZE_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return file_error(errs, path, -errno, strerror(errno));
	if (len > SPEC_SIZE_MAX)
		return file_error(errs, path, -EFBIG, "larger than 1 MiB");
	return spec_load_text(path, buf, len, ret, errs);
}
