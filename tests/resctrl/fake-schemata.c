/* SPDX-License-Identifier: MIT */
/* The schemata file: what a write may say, and what is shown. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"

static bool is_cache(enum resource r)
{
	return r != MB;
}

/* Decimal or hexadecimal digits and nothing else, as kstrto*() have it. */
static bool number(const char *s, int base, unsigned long *ret)
{
	char *end;

	errno = 0;
	if (!isxdigit((unsigned char)s[0]))
		return false;
	*ret = strtoul(s, &end, base);
	return !*end && !errno;
}

static uint32_t all_ways(const struct fake *f)
{
	return f->ways >= 32 ? UINT32_MAX : (1u << f->ways) - 1;
}

bool fake_overlaps(const struct fake *f, const struct group *g, enum resource r, int domain,
		   uint32_t mask, bool exclusive_only)
{
	for (size_t i = 0; i < GROUPS_MAX; i++) {
		const struct group *o = &f->groups[i];

		if (!o->used || o->is_mon || o == g)
			continue;
		if (exclusive_only && o->mode != EXCLUSIVE)
			continue;
		if (o->value[r][domain] & mask)
			return true;
	}
	return false;
}

static uint32_t first_run(uint32_t mask)
{
	uint32_t run = 0;

	while (mask && !(mask & 1))
		mask >>= 1;
	for (; mask & 1; mask >>= 1)
		run++;
	return run;
}

/* What no exclusive group holds; without sparse masks the first run of it. 0: too little. */
uint32_t fake_initial_mask(const struct fake *f, enum resource r, int domain)
{
	uint32_t mask = all_ways(f), run;

	for (size_t i = 0; i < GROUPS_MAX; i++)
		if (f->groups[i].used && !f->groups[i].is_mon && f->groups[i].mode == EXCLUSIVE)
			mask &= ~f->groups[i].value[r][domain];
	run = first_run(mask);
	if (run < f->min_cbm_bits || !mask)
		return 0;
	if (f->sparse)
		return mask;
	return (run >= 32 ? UINT32_MAX : (1u << run) - 1) << __builtin_ctz(mask);
}

static int parse_cbm(struct fake *f, struct group *g, enum resource r, int domain, const char *s,
		     uint32_t *ret)
{
	unsigned long v;

	if (!number(s, 16, &v)) {
		fake_status(f, "Non-hex character in the mask %s\n", s);
		return -EINVAL;
	}
	if ((f->min_cbm_bits && !v) || v > all_ways(f)) {
		fake_status(f, "Mask out of range\n");
		return -EINVAL;
	}
	if (!f->sparse && (uint32_t)__builtin_popcountl(v) != first_run((uint32_t)v)) {
		fake_status(f, "The mask %lx has non-consecutive 1-bits\n", v);
		return -EINVAL;
	}
	if (first_run((uint32_t)v) < f->min_cbm_bits) {
		fake_status(f, "Need at least %u bits in the mask\n", f->min_cbm_bits);
		return -EINVAL;
	}
	if (fake_overlaps(f, g, r, domain, (uint32_t)v, true)) {
		fake_status(f, "Overlaps with exclusive group\n");
		return -EINVAL;
	}
	if (g->mode == EXCLUSIVE && fake_overlaps(f, g, r, domain, (uint32_t)v, false)) {
		fake_status(f, "Overlaps with other group\n");
		return -EINVAL;
	}
	*ret = (uint32_t)v;
	return 0;
}

static int parse_bw(struct fake *f, const char *s, uint32_t *ret)
{
	unsigned long v;

	if (!number(s, 10, &v) || v > UINT32_MAX) {
		fake_status(f, "Invalid MB value %s\n", s);
		return -EINVAL;
	}
	if (!f->mbps && (v < f->min_bw || v > f->max_bw)) {
		fake_status(f, "MB value %lu out of range [%u,%u]\n", v, f->min_bw, f->max_bw);
		return -EINVAL;
	}
	*ret = f->mbps ? (uint32_t)v : (uint32_t)((v + f->gran - 1) / f->gran * f->gran);
	return 0;
}

static char *trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	for (n = strlen(s); n && isspace((unsigned char)s[n - 1]);)
		s[--n] = 0;
	return s;
}

struct staged {
	uint32_t value[RESOURCES][DOMAINS_MAX];
	bool have[RESOURCES][DOMAINS_MAX];
};

static int parse_domains(struct fake *f, struct group *g, enum resource r, char *line,
			 struct staged *st)
{
	unsigned long id;
	char *dom;
	int d;

	while (line && *line) {
		char *name;

		dom = strsep(&line, ";");
		name = strsep(&dom, "=");
		if (!dom || !number(name, 10, &id)) {
			fake_status(f, "Missing '=' or non-numeric domain\n");
			return -EINVAL;
		}
		dom = trim(dom);
		for (d = 0; d < f->nr_domains && (unsigned long)f->domain_id[d] != id;)
			d++;
		if (d == f->nr_domains)
			return -EINVAL; /* the kernel leaves no word of it */
		if (st->have[r][d]) {
			fake_status(f, "Duplicate domain %d\n", f->domain_id[d]);
			return -EINVAL;
		}
		if ((is_cache(r) ? parse_cbm(f, g, r, d, dom, &st->value[r][d])
				 : parse_bw(f, dom, &st->value[r][d])) < 0)
			return -EINVAL;
		st->have[r][d] = true;
	}
	return 0;
}

static int parse_lines(struct fake *f, struct group *g, char *text, struct staged *st)
{
	char *tok, *name;

	while ((tok = strsep(&text, "\n"))) {
		enum resource r = 0;
		int err;

		name = trim(strsep(&tok, ":"));
		if (!tok) {
			fake_status(f, "Missing ':'\n");
			return -EINVAL;
		}
		if (!*tok) {
			fake_status(f, "Missing '%s' value\n", name);
			return -EINVAL;
		}
		while (r < RESOURCES && (!fake_resource(f, r) || strcmp(resource_names[r], name)))
			r++;
		if (r == RESOURCES) {
			fake_status(f, "Unknown or unsupported resource name '%s'\n", name);
			return -EINVAL;
		}
		err = parse_domains(f, g, r, tok, st);
		if (err < 0)
			return err;
	}
	return 0;
}

int fake_write_schemata(struct fake *f, struct group *g, char *text, size_t len)
{
	struct staged st = {0};
	int err;

	if (!len || text[len - 1] != '\n')
		return -EINVAL;
	text[len - 1] = 0;
	f->status[0] = 0;
	err = parse_lines(f, g, text, &st);
	for (int r = 0; r < RESOURCES && err == 0; r++)
		for (int d = 0; d < f->nr_domains; d++)
			if (st.have[r][d])
				g->value[r][d] = st.value[r][d];
	return err;
}

void fake_show_schemata(const struct fake *f, const struct group *g, struct text *t, bool size)
{
	for (enum resource r = RESOURCES; r-- > 0;) {
		if (!fake_resource(f, r))
			continue;
		text_add(t, "%6s:", resource_names[r]);
		for (int d = 0; d < f->nr_domains; d++) {
			uint32_t v = g->value[r][d];

			text_add(t, "%s%d=", d ? ";" : "", f->domain_id[d]);
			if (!is_cache(r))
				text_add(t, "%4u", v);
			else if (size)
				text_add(t, "%.0f", __builtin_popcount(v) * f->way_bytes);
			else
				text_add(t, "%0*x", (int)(f->ways + 3) / 4, v);
		}
		text_add(t, "\n");
	}
}

void fake_show_bit_usage(const struct fake *f, enum resource r, struct text *t)
{
	for (int d = 0; d < f->nr_domains; d++) {
		uint32_t shared = 0, exclusive = 0;

		for (size_t i = 0; i < GROUPS_MAX; i++)
			if (f->groups[i].used && !f->groups[i].is_mon)
				*(f->groups[i].mode == EXCLUSIVE ? &exclusive : &shared) |=
				    f->groups[i].value[r][d];
		text_add(t, "%s%d=", d ? ";" : "", f->domain_id[d]);
		for (uint32_t w = f->ways; w-- > 0;) {
			bool hw = f->shareable >> w & 1, sw = shared >> w & 1;

			text_add(t, "%c",
				 hw ? (sw ? 'X' : 'H')
				    : (sw		    ? 'S'
				       : exclusive >> w & 1 ? 'E'
							    : '0'));
		}
	}
	text_add(t, "\n");
}
