/* SPDX-License-Identifier: MIT */
/* Values of fields <-> text. What is written is read back as the same value. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "model/zone-fields.h"

#define PPM_PER_PERCENT 10000

/* Of one character: 0 is none, -1 is no UTF-8. */
static int32_t next_char(const unsigned char **s)
{
	static const struct {
		unsigned char mask, lead;
		int32_t least;
	} kinds[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	const unsigned char *p = *s;

	for (size_t more = 0; more < ARRAY_SIZE(kinds); more++) {
		int32_t c = *p & (unsigned char)~kinds[more].mask;

		if ((*p & kinds[more].mask) != kinds[more].lead)
			continue;
		for (size_t i = 1; i <= more; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return -1;
			c = c << 6 | (p[i] & 0x3f);
		}
		*s += more + 1;
		return c < kinds[more].least || c > 0x10ffff ? -1 : c;
	}
	return -1;
}

bool text_is_clean(const char *s, bool lines)
{
	const unsigned char *p = (const unsigned char *)s;
	int32_t c;

	while (*p) {
		c = next_char(&p);
		if (lines && (c == '\n' || c == '\t'))
			continue;
		if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			return false;
		/* line separators, surrogates, the byte order mark, what is no character */
		if (c == 0x2028 || c == 0x2029 || (c >= 0xd800 && c < 0xe000) || c == 0xfeff ||
		    (c & 0xfffe) == 0xfffe)
			return false;
	}
	return true;
}

struct scale {
	const char *unit;
	uint64_t factor;
};
static const struct scale sizes[] = {
    {"Ti", 1ull << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10}, {"", 1},
};
static const struct scale times_ns[] = {
    {"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
    {"ms", 1000000},	  {"us", 1000},	      {"ns", 1},
};

/* In the largest unit that divides it. */
static void add_scaled(struct strbuf *b, uint64_t v, const struct scale *s, const char *suffix)
{
	while (v % s->factor)
		s++;
	strbuf_printf(b, "%" PRIu64 "%s%s", v / s->factor, s->unit, suffix);
}

/* v / 10^digits without zeros at the end. */
static void add_decimal(struct strbuf *b, uint64_t v, int digits, const char *suffix)
{
	uint64_t scale = 1;

	for (int i = 0; i < digits; i++)
		scale *= 10;
	for (; digits && v % 10 == 0; digits--, scale /= 10)
		v /= 10;
	if (digits)
		strbuf_printf(b, "%" PRIu64 ".%0*" PRIu64 "%s", v / scale, digits, v % scale,
			      suffix);
	else
		strbuf_printf(b, "%" PRIu64 "%s", v, suffix);
}

static void add_number(struct strbuf *b, enum field_type type, uint64_t v)
{
	switch (type) {
	case FIELD_CPUS:
	case FIELD_LOAD:
		if (v < 1000000)
			add_decimal(b, v, 4, "%");
		else
			add_decimal(b, v, 6, "");
		break;
	case FIELD_PERCENT:
		strbuf_printf(b, "%" PRIu64 "%%", v);
		break;
	case FIELD_TIME_US:
		add_scaled(b, v * 1000, times_ns, "");
		break;
	case FIELD_TIME_NS:
		add_scaled(b, v, times_ns, "");
		break;
	case FIELD_SIZE:
		add_scaled(b, v, sizes, "");
		break;
	case FIELD_RATE:
		add_scaled(b, v, sizes, "/s");
		break;
	case FIELD_OPS_RATE:
		strbuf_printf(b, "%" PRIu64 "/s", v);
		break;
	case FIELD_MASK:
		strbuf_printf(b, "0x%" PRIx64, v);
		break;
	default:
		strbuf_printf(b, "%" PRIu64, v);
	}
}

static int parse_mask(const char *s, uint64_t *ret)
{
	char *end;

	if (strncmp(s, "0x", 2))
		return parse_u64(s, ret);
	if (!s[2] || strspn(s + 2, "0123456789abcdefABCDEF") != strlen(s + 2))
		return -EINVAL;
	if (strlen(s) > 18)
		return -ERANGE;
	*ret = strtoull(s + 2, &end, 16);
	return 0;
}

/* "100Mi/s" without its "/s", which may be left out. */
static int parse_per_second(enum field_type type, const char *s, uint64_t *ret)
{
	char text[32];
	size_t len;

	if (!str_copy(text, sizeof(text), s))
		return -EINVAL;
	len = strlen(text);
	if (len > 2 && !strcmp(text + len - 2, "/s"))
		text[len - 2] = 0;
	return type == FIELD_RATE ? parse_size_bytes(text, ret) : parse_u64(text, ret);
}

static int parse_number(enum field_type type, const char *s, uint64_t *ret)
{
	uint32_t ppm;
	int r;

	switch (type) {
	case FIELD_CPUS:
	case FIELD_LOAD:
		return parse_cpus_ppm(s, ret);
	case FIELD_PERCENT:
		r = parse_ratio_ppm(s, &ppm);
		if (r == 0)
			*ret = ppm / PPM_PER_PERCENT;
		return r < 0 ? r : ppm % PPM_PER_PERCENT ? -EINVAL : 0;
	case FIELD_TIME_US:
		r = parse_duration_ns(s, ret);
		if (r < 0 || *ret % 1000)
			return r < 0 ? r : -EINVAL;
		*ret /= 1000;
		return 0;
	case FIELD_TIME_NS:
		return parse_duration_ns(s, ret);
	case FIELD_SIZE:
		return parse_size_bytes(s, ret);
	case FIELD_RATE:
	case FIELD_OPS_RATE:
		return parse_per_second(type, s, ret);
	case FIELD_MASK:
		return parse_mask(s, ret);
	default:
		return parse_u64(s, ret);
	}
}

/* What a value of the type is called. */
static const char *const kinds[] = {
    [FIELD_TEXT] = "a text",
    [FIELD_ENUM] = "one of",
    [FIELD_BOOL] = "true or false",
    [FIELD_EITHER] = "one of",
    [FIELD_FIXED] = "",
    [FIELD_COUNT] = "a whole number",
    [FIELD_CPUS] = "CPU time (50%, 1.5, 500m)",
    [FIELD_LOAD] = "a load (20%, 1.5)",
    [FIELD_PERCENT] = "a whole percentage (40%)",
    [FIELD_TIME_US] = "a time of whole microseconds (20ms)",
    [FIELD_TIME_NS] = "a time (10s, 1m)",
    [FIELD_SIZE] = "a size (512Mi, 2G)",
    [FIELD_RATE] = "a rate (100Mi/s)",
    [FIELD_OPS] = "a whole number",
    [FIELD_OPS_RATE] = "a rate (500/s)",
    [FIELD_CPUSET] = "a list of CPUs (0-3,7)",
    [FIELD_MASK] = "a bit mask (0xf)",
    [FIELD_SLO] = "goals (wait.p99=500us,share=5%,latency.p99=2ms)",
    [FIELD_ROOTFS] = "none, host, or one of {image: PATH}, {dir: PATH}, {oci: PATH}",
    [FIELD_WORDS] = "a list of words",
    [FIELD_MAP] = "a mapping",
    [FIELD_PORTS] = "a list of \"HOST:GUEST\" ports",
    [FIELD_SECTION] = "a mapping",
    [FIELD_RULES] = "a list of rules",
    [FIELD_APPS] = "a list of apps",
};

bool zone_field_is_scalar(const struct zone_field *f)
{
	return f->type < FIELD_ROOTFS;
}

static bool is_number(const struct zone_field *f)
{
	return f->type >= FIELD_COUNT && f->type <= FIELD_MASK && f->type != FIELD_CPUSET;
}

static bool is_narrow(enum field_type type)
{
	return type == FIELD_COUNT || type == FIELD_LOAD || type == FIELD_PERCENT;
}

char *zone_field_allowed(const struct zone_field *f, char *buf, size_t size)
{
	_cleanup_(strbuf_done) struct strbuf b = {0};

	strbuf_puts(&b, f->type == FIELD_TEXT && f->allowed ? f->allowed : kinds[f->type]);
	for (size_t i = 0; f->names && f->names[i]; i++)
		strbuf_printf(&b, "%s%s", i ? ", " : b.len ? " " : "", f->names[i]);
	if (f->type == FIELD_TEXT) {
		strbuf_printf(&b, "; at most %" PRIu64 " characters", f->max);
	} else if (f->type == FIELD_MAP) {
		strbuf_printf(&b,
			      " of at most %" PRIu64 "; keys: %s, at most %" PRIu64 " characters",
			      f->max, f->allowed, f->min);
	} else if (f->type >= FIELD_WORDS && f->max) {
		strbuf_printf(&b, ", at most %" PRIu64, f->max);
	} else if (is_number(f)) {
		strbuf_puts(&b, ", ");
		add_number(&b, f->type, f->min);
		strbuf_puts(&b, " to ");
		add_number(&b, f->type, f->max);
	}
	str_copy(buf, size, b.data ? b.data : "");
	return buf;
}

static int wrong(const struct zone_field *f, const char *text, int code, struct error *reterr)
{
	char shown[80], allowed[256];

	return error_set(reterr, code, "'%s' is not %s", str_escape(shown, sizeof(shown), text),
			 zone_field_allowed(f, allowed, sizeof(allowed)));
}

static int set_number(const struct zone_field *f, const char *text, void *field,
		      struct error *reterr)
{
	char shown[80], allowed[256];
	uint64_t v = 0;
	int r = parse_number(f->type, text, &v);

	if (r == -EINVAL)
		return wrong(f, text, r, reterr);
	if (r < 0 || v < f->min || v > f->max)
		return error_set(reterr, -ERANGE, "'%s' is out of range: %s",
				 str_escape(shown, sizeof(shown), text),
				 zone_field_allowed(f, allowed, sizeof(allowed)));
	if (is_narrow(f->type))
		*(uint32_t *)field = (uint32_t)v;
	else
		*(uint64_t *)field = v;
	return 0;
}

static int set_text(const struct zone_field *f, const char *text, void *field, struct error *reterr)
{
	char *copy;

	if (strlen(text) < f->min || strlen(text) > f->max || !f->fits(text))
		return wrong(f, text, -EINVAL, reterr);
	copy = strdup(text);
	if (!copy)
		return error_errno(reterr, -ENOMEM, "%s", f->key);
	free(*(char **)field);
	*(char **)field = copy;
	return 0;
}

static int set_name(const struct zone_field *f, const char *text, void *field, struct error *reterr)
{
	for (unsigned int i = 0; f->names[i]; i++) {
		if (strcmp(f->names[i], text))
			continue;
		if (f->type == FIELD_EITHER)
			*(bool *)field = i;
		else if (f->type == FIELD_ENUM)
			*(unsigned int *)field = i;
		return 0;
	}
	return wrong(f, text, -EINVAL, reterr);
}

int zone_field_parse(const struct zone_field *f, const char *text, void *base, struct error *reterr)
{
	void *field = (char *)base + f->offset;
	struct cpuset cpus;

	switch (f->type) {
	case FIELD_TEXT:
		return set_text(f, text, field, reterr);
	case FIELD_ENUM:
	case FIELD_EITHER:
	case FIELD_FIXED:
		return set_name(f, text, field, reterr);
	case FIELD_BOOL:
		if (strcmp(text, "true") && strcmp(text, "false"))
			return wrong(f, text, -EINVAL, reterr);
		*(bool *)field = !strcmp(text, "true");
		return 0;
	case FIELD_CPUSET:
		if (cpuset_parse(text, &cpus) < 0 || cpuset_count(&cpus) == 0)
			return wrong(f, text, -EINVAL, reterr);
		*(struct cpuset *)field = cpus;
		return 0;
	case FIELD_SLO:
		return slo_parse(text, field, reterr);
	default:
		return set_number(f, text, field, reterr);
	}
}

int zone_ports_parse(const char *text, uint16_t *ret_host, uint16_t *ret_guest)
{
	const char *colon = strchr(text, ':');
	char host_text[8];
	uint32_t host, guest;

	if (!colon || colon - text >= (long)sizeof(host_text))
		return -EINVAL;
	memcpy(host_text, text, (size_t)(colon - text));
	host_text[colon - text] = 0;
	if (parse_u32(host_text, &host) < 0 || parse_u32(colon + 1, &guest) < 0 || !host ||
	    !guest || host > UINT16_MAX || guest > UINT16_MAX)
		return -EINVAL;
	*ret_host = (uint16_t)host;
	*ret_guest = (uint16_t)guest;
	return 0;
}

static void add_section(struct strbuf *b, const struct zone_field *fields, const void *base)
{
	for (; fields->key; fields++) {
		_cleanup_(strbuf_done) struct strbuf one = {0};

		zone_field_format(fields, base, &one);
		if (one.len)
			strbuf_printf(b, "%s%s: %s", b->len ? ", " : "", fields->key, one.data);
	}
}

static void add_list(struct strbuf *b, const struct zone_field *f, const char *items, size_t nr,
		     size_t size)
{
	for (size_t i = 0; i < nr; i++) {
		_cleanup_(strbuf_done) struct strbuf one = {0};

		add_section(&one, f->sub, items + i * size);
		strbuf_printf(b, "%s{%s}", i ? ", " : "", one.data ? one.data : "");
	}
}

static void add_rootfs(struct strbuf *b, const struct zone_os *os)
{
	static const char *const names[] = {"none", "host", "image", "dir", "oci"};

	strbuf_puts(b, names[os->rootfs_kind]);
	if (os->rootfs)
		strbuf_printf(b, ": %s", os->rootfs);
}

static void add_pairs(struct strbuf *b, const struct key_value *pairs, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		strbuf_printf(b, "%s%s=%s", i ? ", " : "", pairs[i].key, pairs[i].value);
}

static void add_compound(const struct zone_field *f, const void *base, struct strbuf *b)
{
	const char *field = (const char *)base + f->offset;
	size_t nr = f->nr_offset ? *(const size_t *)((const char *)base + f->nr_offset) : 0;
	const struct zone_net *net;

	switch (f->type) {
	case FIELD_ROOTFS:
		add_rootfs(b, (const struct zone_os *)field);
		break;
	case FIELD_WORDS:
		for (char *const *w = *(char *const *const *)field; w && *w; w++)
			strbuf_printf(b, "%s%s", b->len ? " " : "", *w);
		break;
	case FIELD_MAP:
		add_pairs(b, *(const struct key_value *const *)field, nr);
		break;
	case FIELD_PORTS:
		net = &((const struct zone_spec *)base)->resource.net;
		for (size_t i = 0; i < nr; i++)
			strbuf_printf(b, "%s%u:%u", i ? ", " : "", net->forward[i].host,
				      net->forward[i].guest);
		break;
	case FIELD_RULES:
		add_list(b, f, field, nr, f->item_bytes);
		break;
	case FIELD_APPS:
		add_list(b, f, *(const char *const *)field, nr, sizeof(struct zone_app));
		break;
	default:
		add_section(b, f->sub, base);
	}
}

static void add_cpuset(struct strbuf *b, const struct cpuset *cpus)
{
	char text[CPUSET_MAX * 5]; /* every CPU by itself */

	if (cpuset_format(cpus, text, sizeof(text)) == 0)
		strbuf_puts(b, text);
	else
		b->failed = true;
}

void zone_field_format(const struct zone_field *f, const void *base, struct strbuf *ret)
{
	const void *field = (const char *)base + f->offset;
	char slo[128];
	uint64_t v;

	if (!zone_field_is_scalar(f)) {
		add_compound(f, base, ret);
	} else if (f->type == FIELD_TEXT) {
		strbuf_puts(ret, *(const char *const *)field ? *(const char *const *)field : "");
	} else if (f->type == FIELD_FIXED) {
		strbuf_puts(ret, f->names[0]);
	} else if (f->type == FIELD_ENUM) {
		strbuf_puts(ret, f->names[*(const unsigned int *)field]);
	} else if (f->type == FIELD_BOOL) {
		strbuf_puts(ret, *(const bool *)field ? "true" : "false");
	} else if (f->type == FIELD_EITHER) {
		strbuf_puts(ret, f->names[*(const bool *)field]);
	} else if (f->type == FIELD_CPUSET) {
		add_cpuset(ret, field);
	} else if (f->type == FIELD_SLO) {
		strbuf_puts(ret, slo_format(field, slo, sizeof(slo)));
	} else {
		v = is_narrow(f->type) ? *(const uint32_t *)field : *(const uint64_t *)field;
		if (v)
			add_number(ret, f->type, v);
	}
}
