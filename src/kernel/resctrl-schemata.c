/* SPDX-License-Identifier: MIT */
/* resctrl's text format for what a group may use, and the rules of its values. */
#include "kernel/resctrl.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "kernel/text.h"

static const struct {
	const char *name;
	bool cache;
} resources[RESCTRL_NR] = {
#define X(id, name, cache) {name, cache},
    RESCTRL_RESOURCES(X)
#undef X
};

const char *resctrl_resource_name(enum resctrl_resource r)
{
	return resources[r].name;
}

bool resctrl_is_cache(enum resctrl_resource r)
{
	return resources[r].cache;
}

const char *resctrl_unit_name(enum resctrl_unit u)
{
	static const char *const names[] = {
	    [RESCTRL_PERCENT] = "%", [RESCTRL_MIBPS] = "MiB/s", [RESCTRL_EIGHTH_GBPS] = "1/8 GB/s"};

	return names[u];
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

static int digit(char c, unsigned int base)
{
	int d = c >= '0' && c <= '9'   ? c - '0'
		: c >= 'a' && c <= 'f' ? c - 'a' + 10
		: c >= 'A' && c <= 'F' ? c - 'A' + 10
				       : 16;

	return d < (int)base ? d : -1;
}

/* The kernel pads values with blanks or zeros to a common width. */
static int scan_u32(const char **p, const char *end, unsigned int base, uint32_t *ret)
{
	const char *s = skip_blanks(*p, end);
	uint64_t v = 0;

	if (s == end || digit(*s, base) < 0)
		return -EINVAL;
	for (; s < end && digit(*s, base) >= 0; s++) {
		v = v * base + (uint64_t)digit(*s, base);
		if (v > UINT32_MAX)
			return -ERANGE;
	}
	*p = skip_blanks(s, end);
	*ret = (uint32_t)v;
	return 0;
}

static int parse_domains(const char *p, const char *end, enum resctrl_resource res,
			 struct resctrl_schemata *ret)
{
	struct resctrl_domain d;
	size_t nr = 0;
	int r;

	while (p < end) {
		r = scan_u32(&p, end, 10, &d.id);
		if (r < 0)
			return r;
		if (p == end || *p++ != '=')
			return -EINVAL;
		r = scan_u32(&p, end, resources[res].cache ? 16 : 10, &d.value);
		if (r < 0)
			return r;
		for (size_t i = 0; i < nr; i++)
			if (ret->lines[res].domains[i].id == d.id)
				return -EINVAL;
		if (nr == RESCTRL_DOMAINS_MAX)
			return -E2BIG;
		ret->lines[res].domains[nr++] = d;
		if (p < end && *p++ != ';') /* one at the end is allowed */
			return -EINVAL;
	}
	ret->lines[res].nr = nr;
	return nr ? 0 : -EINVAL;
}

static int parse_line(const struct text_line *l, struct resctrl_schemata *ret)
{
	const char *p = skip_blanks(l->start, l->start + l->len), *end = l->start + l->len;
	const char *colon = memchr(p, ':', (size_t)(end - p));
	size_t len;

	if (!colon || colon == p)
		return -EINVAL;
	len = (size_t)(colon - p);
	for (enum resctrl_resource r = 0; r < RESCTRL_NR; r++) {
		if (strlen(resources[r].name) != len || memcmp(resources[r].name, p, len) != 0)
			continue;
		if (ret->lines[r].nr)
			return -EINVAL;
		/* a group that waits for its pseudo-locked region */
		if ((size_t)(end - colon) == 14 && !memcmp(colon, ":uninitialized", 14))
			return 0;
		return parse_domains(colon + 1, end, r, ret);
	}
	return 0;
}

int resctrl_schemata_parse(const char *text, struct resctrl_schemata *ret)
{
	_cleanup_free_ struct resctrl_schemata *out = calloc(1, sizeof(*out));
	struct text_line l;
	int r;

	if (!out)
		return -ENOMEM;
	while ((r = text_next_line(&text, &l)) > 0) {
		r = parse_line(&l, out);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	*ret = *out;
	return 0;
}

int resctrl_schemata_format(const struct resctrl_schemata *s, char *buf, size_t size)
{
	size_t n = 0;
	int w;

	if (!size)
		return -ENAMETOOLONG;
	buf[0] = 0;
	for (enum resctrl_resource r = 0; r < RESCTRL_NR; r++) {
		for (size_t i = 0; i < s->lines[r].nr; i++) {
			const struct resctrl_domain *d = &s->lines[r].domains[i];
			const char *end = i + 1 == s->lines[r].nr ? "\n" : "";

			w = i ? snprintf(buf + n, size - n, ";%u=", d->id)
			      : snprintf(buf + n, size - n, "%s:%u=", resources[r].name, d->id);
			if (w >= 0 && (size_t)w < size - n) {
				n += (size_t)w;
				w = resources[r].cache
					? snprintf(buf + n, size - n, "%x%s", d->value, end)
					: snprintf(buf + n, size - n, "%u%s", d->value, end);
			}
			if (w < 0 || (size_t)w >= size - n)
				return -ENAMETOOLONG;
			n += (size_t)w;
		}
	}
	return 0;
}

static bool contiguous(uint32_t mask)
{
	uint32_t low = mask & -mask;

	return !(mask & (mask + low)); /* adding at the lowest bit carries through the whole run */
}

uint32_t resctrl_ways(uint32_t mask)
{
	return (uint32_t)__builtin_popcount(mask);
}

/* The kernel counts the bits of the first run. */
static uint32_t first_run(uint32_t mask)
{
	uint32_t n = 0;

	if (!mask)
		return 0;
	for (mask >>= __builtin_ctz(mask); mask & 1; mask >>= 1)
		n++;
	return n;
}

static int check_mask(const struct resctrl_alloc *a, const char *name, uint32_t v,
		      struct error *reterr)
{
	if (v & ~a->cbm_mask)
		return error_set(reterr, -EINVAL, "%s: mask %x has ways that the cache lacks: %x",
				 name, v, a->cbm_mask);
	if (!a->sparse && !contiguous(v))
		return error_set(reterr, -EINVAL,
				 "%s: mask %x has a gap, which this CPU does not allow", name, v);
	if (first_run(v) < a->min_cbm_bits)
		return error_set(reterr, -EINVAL, "%s: mask %x has less than %u ways in a row",
				 name, v, a->min_cbm_bits);
	return 0;
}

static int check_bandwidth(const struct resctrl_alloc *a, const char *name, uint32_t *v,
			   struct error *reterr)
{
	uint64_t gran = a->gran ? a->gran : 1;

	if (a->unit == RESCTRL_MIBPS)
		return 0;
	if (*v < a->min_bandwidth)
		return error_set(reterr, -EINVAL, "%s: %u is below the least of this CPU, %u", name,
				 *v, a->min_bandwidth);
	if (a->unit == RESCTRL_PERCENT && *v > 100)
		return error_set(reterr, -EINVAL, "%s: %u is more than 100 %%", name, *v);
	if (*v > UINT32_MAX - gran)
		return error_set(reterr, -EINVAL, "%s: %u is too large", name, *v);
	*v = (uint32_t)((*v + gran - 1) / gran * gran);
	if (a->unit == RESCTRL_PERCENT && *v > 100)
		*v = 100; /* a step that does not divide 100 */
	return 0;
}

static bool has_domain(const struct resctrl_schemata *known, enum resctrl_resource r, uint32_t id)
{
	for (size_t i = 0; i < known->lines[r].nr; i++)
		if (known->lines[r].domains[i].id == id)
			return true;
	return false;
}

int resctrl_schemata_check(const struct resctrl_info *info, const struct resctrl_schemata *known,
			   struct resctrl_schemata *s, struct error *reterr)
{
	int r = 0;

	for (enum resctrl_resource res = 0; res < RESCTRL_NR; res++) {
		const struct resctrl_alloc *a = &info->alloc[res];
		const char *name = resources[res].name;

		if (s->lines[res].nr && !a->present)
			return error_set(reterr, -EOPNOTSUPP,
					 "%s cannot be set here: info/ has no such resource", name);
		for (size_t i = 0; i < s->lines[res].nr; i++) {
			struct resctrl_domain *d = &s->lines[res].domains[i];

			if (known && !has_domain(known, res, d->id))
				return error_set(reterr, -EINVAL, "%s: there is no domain %u", name,
						 d->id);
			r = resources[res].cache ? check_mask(a, name, d->value, reterr)
						 : check_bandwidth(a, name, &d->value, reterr);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int resctrl_ways_mask(const struct resctrl_alloc *a, uint32_t ways, bool from_top,
		      uint32_t *ret_mask)
{
	uint32_t all = resctrl_ways(a->cbm_mask);
	uint64_t low;

	if (!ways || ways < a->min_cbm_bits || ways > all || !contiguous(a->cbm_mask))
		return -ERANGE;
	low = (1ULL << ways) - 1;
	*ret_mask = (uint32_t)(low << (from_top ? all - ways : 0)) << __builtin_ctz(a->cbm_mask);
	return 0;
}
