/* SPDX-License-Identifier: MIT */
/* From what a person types to a zone. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "zones/internal.h"

#define ID_PREFIX_MIN 6
#define CANDIDATES    3

static bool match_name(const struct zone *z, const char *name)
{
	return !strcmp(z->name, name);
}

bool path_has_end(const char *path, const char *name)
{
	size_t n = strlen(name), len = strlen(path);

	return n && len > n && path[len - n - 1] == '/' && !strcmp(path + len - n, name);
}

/* "b/c" names /a/b/c, and "redis.service" the unit wherever it is */
static bool match_suffix(const struct zone *z, const char *name)
{
	return path_has_end(z->path, name);
}

/* "redis" for redis.service */
static bool match_unit(const struct zone *z, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(z->name, name, n) &&
	       (!strcmp(z->name + n, ".service") || !strcmp(z->name + n, ".scope"));
}

static bool match_container(const struct zone *z, const char *name)
{
	size_t n = strlen(name);
	const char *leaf = strrchr(z->path, '/') + 1;

	if (z->kind != ZONE_CONTAINER || n < ID_PREFIX_MIN || strspn(name, "0123456789abcdef") != n)
		return false;
	for (const char *p = leaf; (p = strstr(p, name)); p++)
		if (p == leaf || p[-1] == '-' || p[-1] == ':')
			return true;
	return false;
}

/* In this order: the first way that finds anything decides. */
static bool (*const ways[])(const struct zone *z, const char *name) = {
    match_name,
    match_suffix,
    match_unit,
    match_container,
};

static unsigned int distance(const struct zone *z, const char *name)
{
	char stem[ZONE_NAME_MAX];
	const char *slash = strrchr(z->name, '/');
	unsigned int best = str_distance(name, z->name), d;

	if (slash && (d = str_distance(name, slash + 1)) < best)
		best = d;
	str_copy(stem, sizeof(stem), z->name);
	stem[strcspn(stem, ".")] = '\0';
	if (*stem && (d = str_distance(name, stem)) < best)
		best = d;
	return best;
}

struct candidates {
	const struct zone *zones[CANDIDATES];
	unsigned int distances[CANDIDATES];
	size_t nr;
};

static void offer(struct candidates *c, const struct zone *z, unsigned int d)
{
	size_t i = c->nr < CANDIDATES ? c->nr++ : CANDIDATES;

	for (; i > 0 && c->distances[i - 1] > d; i--)
		if (i < CANDIDATES) {
			c->zones[i] = c->zones[i - 1];
			c->distances[i] = c->distances[i - 1];
		}
	if (i < CANDIDATES) {
		c->zones[i] = z;
		c->distances[i] = d;
	}
}

static int not_found(const struct zones *zs, const char *name, struct error *reterr)
{
	unsigned int limit = strlen(name) < 6 ? 2 : (unsigned int)strlen(name) / 3;
	char text[ZONE_NAME_MAX], list[CANDIDATES * (ZONE_NAME_MAX + 8)] = "";
	struct candidates c = {0};
	size_t len = 0;

	if (!reterr) /* nobody reads suggestions, and they cost a look at every zone */
		return -ENOENT;
	zones_for_each(zs, z)
	{
		unsigned int d = distance(z, name);

		if (z->parent && d <= limit)
			offer(&c, z, d);
	}
	for (size_t i = 0; i < c.nr; i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s'%s'", i ? " or " : "",
					c.zones[i]->name);
	error_set(reterr, -ENOENT, "zone '%s' not found", str_escape(text, sizeof(text), name));
	if (c.nr)
		error_hint(reterr, "Did you mean %s? (czctl list --all shows all)", list);
	else
		error_hint(reterr, "czctl list --all shows all zones");
	return -ENOENT;
}

static int ambiguous(const char *name, const struct zone *a, const struct zone *b, size_t n,
		     struct error *reterr)
{
	char text[ZONE_NAME_MAX], pa[200], pb[200];

	error_set(reterr, -ENOTUNIQ, "'%s' names %zu zones, among them %s and %s",
		  str_escape(text, sizeof(text), name), n, str_escape(pa, sizeof(pa), a->path),
		  str_escape(pb, sizeof(pb), b->path));
	error_hint(reterr, "give the path of the one you mean");
	return -ENOTUNIQ;
}

int zones_by_name(const struct zones *zs, const char *name, const struct zone **ret,
		  struct error *reterr)
{
	if (name[0] == '/') {
		*ret = zones_by_path(zs, name);
		return *ret ? 0 : not_found(zs, name + 1, reterr);
	}
	for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
		const struct zone *found[2] = {NULL, NULL};
		size_t n = 0;

		zones_for_each(zs, z) if (z->parent && ways[w](z, name) && n++ < 2) found[n - 1] =
		    z;
		if (n > 1)
			return ambiguous(name, found[0], found[1], n, reterr);
		if (n == 1) {
			*ret = found[0];
			return 0;
		}
	}
	return not_found(zs, name, reterr);
}
