/* SPDX-License-Identifier: MIT */
#include "base/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"

static int bad_value(const struct option_desc *d, const char *text, const char *what,
		     struct error *reterr)
{
	char shown[64];

	return error_set(reterr, -EINVAL, "--%s: '%s' is not %s", d->name,
			 str_escape(shown, sizeof(shown), text), what);
}

static int check_range(const struct option_desc *d, const char *text, uint64_t v,
		       struct error *reterr)
{
	if (v < d->min)
		return error_set(reterr, -EINVAL, "--%s: %s is too small", d->name, text);
	if (d->max && v > d->max)
		return error_set(reterr, -EINVAL, "--%s: %s is too large", d->name, text);
	return 0;
}

static int set_u64(const struct option_desc *d, void *at, const char *text,
		   int (*parse)(const char *, uint64_t *), const char *what, struct error *reterr)
{
	uint64_t v;
	int r = parse(text, &v);

	if (r < 0)
		return bad_value(d, text, what, reterr);
	r = check_range(d, text, v, reterr);
	if (r == 0)
		*(uint64_t *)at = v;
	return r;
}

static int parse_seconds(const char *text, uint64_t *ret_ns)
{
	char with_unit[64];
	int r = parse_duration_ns(text, ret_ns);

	if (r != -EINVAL || str_printf(with_unit, sizeof(with_unit), "%ss", text) < 0)
		return r;
	return parse_duration_ns(with_unit, ret_ns);
}

static int set_flag(const struct option_desc *d, void *at, const char *text, struct error *reterr)
{
	*(bool *)at = true;
	return 0;
}

static int set_duration(const struct option_desc *d, void *at, const char *text,
			struct error *reterr)
{
	return set_u64(d, at, text, parse_seconds, "a time (ns, us, ms, s, m)", reterr);
}

static int set_size(const struct option_desc *d, void *at, const char *text, struct error *reterr)
{
	return set_u64(d, at, text, parse_size_bytes, "a size (K, M, G)", reterr);
}

static int set_number(const struct option_desc *d, void *at, const char *text, struct error *reterr)
{
	return set_u64(d, at, text, parse_u64, "a whole number", reterr);
}

static int set_ratio(const struct option_desc *d, void *at, const char *text, struct error *reterr)
{
	if (parse_ratio_ppm(text, at) < 0)
		return bad_value(d, text, "a share (0% to 100%)", reterr);
	return 0;
}

static int set_text(const struct option_desc *d, void *at, const char *text, struct error *reterr)
{
	*(const char **)at = text;
	return 0;
}

static int set_choice(const struct option_desc *d, void *at, const char *text, struct error *reterr)
{
	for (uint32_t i = 0; d->choices[i]; i++) {
		if (strcmp(d->choices[i], text) == 0) {
			*(uint32_t *)at = i;
			return 0;
		}
	}
	return bad_value(d, text, d->value, reterr);
}

static int set_cpus(const struct option_desc *d, void *at, const char *text, struct error *reterr)
{
	struct cpuset set;

	if (cpuset_parse(text, &set) < 0 || cpuset_count(&set) == 0)
		return bad_value(d, text, "a list of CPUs, as in 1 or 0-3,7", reterr);
	*(struct cpuset *)at = set;
	return 0;
}

static int (*const setters[OPTION_KIND_NR])(const struct option_desc *, void *, const char *,
					    struct error *) = {
    [OPTION_FLAG] = set_flag,	  [OPTION_DURATION] = set_duration, [OPTION_SIZE] = set_size,
    [OPTION_NUMBER] = set_number, [OPTION_RATIO] = set_ratio,	    [OPTION_TEXT] = set_text,
    [OPTION_CHOICE] = set_choice, [OPTION_CPUS] = set_cpus,
};

static const struct option_desc *find(const struct option_desc *const *tables, const char *name,
				      size_t len, char letter)
{
	for (; *tables; tables++) {
		for (const struct option_desc *d = *tables; d->name; d++) {
			if (letter ? d->letter == letter
				   : strlen(d->name) == len && memcmp(d->name, name, len) == 0)
				return d;
		}
	}
	return NULL;
}

/* The nearest option by spelling, for the hint. */
static void hint_near(const struct option_desc *const *tables, const char *arg,
		      struct error *reterr)
{
	const struct option_desc *best = NULL;
	unsigned int best_distance = 4;

	for (; *tables; tables++) {
		for (const struct option_desc *d = *tables; d->name; d++) {
			unsigned int n = str_distance(d->name, arg + strspn(arg, "-"));

			if (n < best_distance) {
				best_distance = n;
				best = d;
			}
		}
	}
	if (best)
		error_hint(reterr, "Did you mean --%s?", best->name);
}

/* Handles argv[*i], and its value; leaves *i at the last one used. */
static int parse_one(const struct option_desc *const *tables, void *context, int argc, char **argv,
		     int *i, struct error *reterr)
{
	const char *arg = argv[*i], *name = arg[1] == '-' ? arg + 2 : "";
	size_t len = strcspn(name, "=");
	const char *text = name[len] == '=' ? name + len + 1 : NULL;
	const struct option_desc *d = NULL;
	char shown[64];

	if (arg[1] == '-')
		d = find(tables, name, len, 0);
	else if (arg[1] && !arg[2])
		d = find(tables, "", 0, arg[1]);
	if (!d) {
		error_set(reterr, -EINVAL, "no option '%s'", str_escape(shown, sizeof(shown), arg));
		hint_near(tables, arg, reterr);
		return -EINVAL;
	}
	if (d->kind == OPTION_FLAG) {
		if (text)
			return error_set(reterr, -EINVAL, "--%s takes no value", d->name);
	} else if (!text) {
		if (*i + 1 >= argc)
			return error_set(reterr, -EINVAL, "--%s needs a value: %s", d->name,
					 d->value);
		text = argv[++*i];
	}
	return setters[d->kind](d, (char *)context + d->offset, text, reterr);
}

int options_parse(const struct option_desc *const *tables, void *context, int argc, char **argv,
		  const char **words, int max_words, struct error *reterr)
{
	char shown[64];
	int nr = 0;

	for (int i = 0; i < argc; i++) {
		if (argv[i][0] == '-' && argv[i][1]) {
			int r = parse_one(tables, context, argc, argv, &i, reterr);

			if (r < 0)
				return r;
			continue;
		}
		if (nr == max_words)
			return error_set(reterr, -EINVAL, "'%s' is one word too many",
					 str_escape(shown, sizeof(shown), argv[i]));
		words[nr++] = argv[i];
	}
	return nr;
}

void options_print(const struct option_desc *table)
{
	for (const struct option_desc *d = table; d->name; d++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", d->letter ? "-" : "",
			 d->letter ? d->letter : ' ', d->letter ? ", " : "   ", d->name,
			 d->value ? " " : "", d->value ? d->value : "");
		printf("  %-30s %s\n", left, d->help);
	}
}
