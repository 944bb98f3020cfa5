/* SPDX-License-Identifier: MIT */
/* The constants of CPI2 and of its variants, and how they are set. */
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "detect/cpi2.h"

#define SECOND 1000000000ull
#define MINUTE (60 * SECOND)
/* What all variants have in common. */
#define PUBLISHED                                                                                  \
	.period_ns = MINUTE, .window_ns = 5 * MINUTE, .spec_ns = 24 * 60 * MINUTE,                 \
	.analysis_gap_ns = SECOND, .outliers = 3, .sigmas_ppm = 2000000, .age_ppm = 900000,        \
	.min_cpu_ppm = 250000
#define OF_A_JOB .min_tasks = 5, .min_samples = 100, .correlation_ppm = 350000

const struct cpi2_config cpi2_default = {PUBLISHED, OF_A_JOB, .correlate_ns = 10 * MINUTE};

/* openEuler's agent: a task's own past, a lower bar, and somebody is always named. */
static const struct cpi2_config rubik = {PUBLISHED,
					 .correlate_ns = 10 * MINUTE,
					 .min_tasks = 1,
					 .min_samples = 60,
					 .correlation_ppm = 150000,
					 .own = true,
					 .skip_outliers = true,
					 .blame_largest = true};

/* Against the known flaws: CPI that follows load, a ceiling that hides small harm, ten samples in
 * which the innocent correlate too, names that no cap confirms. */
static const struct cpi2_config robust = {PUBLISHED,
					  OF_A_JOB,
					  .correlate_ns = 60 * MINUTE,
					  .ceiling_ppm = 650000,
					  .bin_cpu_ppm = 500000,
					  .verify = true};

/* Zones of one host: a job has no five tasks there, and CPI follows load. */
static const struct cpi2_config host = {
    PUBLISHED,	       .correlate_ns = 10 * MINUTE, .min_tasks = 1,
    .min_samples = 60, .correlation_ppm = 350000,   .bin_cpu_ppm = 500000,
    .own = true,       .skip_outliers = true};

static const struct {
	const char *name;
	const struct cpi2_config *config;
} presets[] = {{"cpi2", &cpi2_default}, {"rubik", &rubik}, {"robust", &robust}, {"host", &host}};

const struct cpi2_config *cpi2_preset(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(presets); i++)
		if (!strcmp(presets[i].name, name))
			return presets[i].config;
	return NULL;
}

enum kind { TIME, COUNT, RATIO, BOOL };
#define KEY(name, kind, field, help)                                                               \
	{                                                                                          \
		name, kind, offsetof(struct cpi2_config, field), help                              \
	}
static const struct {
	const char *name;
	enum kind kind;
	size_t at;
	const char *help;
} keys[] = {
    KEY("period", TIME, period_ns, "time between two samples of a task"),
    KEY("window", TIME, window_ns, "the outliers of an alarm lie within it"),
    KEY("correlate", TIME, correlate_ns, "how far back suspects are correlated"),
    KEY("spec", TIME, spec_ns, "time between two specs of a job"),
    KEY("gap", TIME, analysis_gap_ns, "time between two analyses on a machine"),
    KEY("outliers", COUNT, outliers, "outliers of an alarm"),
    KEY("sigmas", RATIO, sigmas_ppm, "an outlier is above mean + this many deviations"),
    KEY("age", RATIO, age_ppm, "weight that older samples keep at each new spec"),
    KEY("min-cpu", RATIO, min_cpu_ppm, "CPUs; CPI of a task that used less is ignored"),
    KEY("min-tasks", COUNT, min_tasks, "tasks of a spec"),
    KEY("min-samples", COUNT, min_samples, "samples of each of them"),
    KEY("correlation", RATIO, correlation_ppm, "a suspect is named from here on"),
    KEY("ceiling", RATIO, ceiling_ppm, "named from this part of the largest possible correlation"),
    KEY("bin", RATIO, bin_cpu_ppm, "CPUs; a spec for each such step of CPU use"),
    KEY("own", BOOL, own, "each task's own past is its spec"),
    KEY("skip-outliers", BOOL, skip_outliers, "own: outliers teach nothing"),
    KEY("blame-largest", BOOL, blame_largest, "if nobody correlates, the largest user is named"),
    KEY("verify", BOOL, verify, "what a cap refuted is not named again for an hour"),
};

bool cpi2_config_key(size_t i, const char **ret_name, const char **ret_help)
{
	if (i >= ARRAY_SIZE(keys))
		return false;
	*ret_name = keys[i].name;
	*ret_help = keys[i].help;
	return true;
}

/* "0.35", "2", "0.8": millionths; digits beyond the sixth are refused. */
static int parse_decimal_ppm(const char *s, uint32_t *ret)
{
	uint64_t whole = 0, part = 0, unit = 1000000;
	bool digits = false;

	for (; *s >= '0' && *s <= '9' && whole <= 4000; s++, digits = true)
		whole = whole * 10 + (uint64_t)(*s - '0');
	if (*s == '.')
		for (s++; *s >= '0' && *s <= '9' && unit > 1; s++, digits = true) {
			unit /= 10;
			part += (uint64_t)(*s - '0') * unit;
		}
	if (!digits || *s || whole > 4000)
		return -EINVAL;
	*ret = (uint32_t)(whole * 1000000 + part);
	return 0;
}

static int parse_bool(const char *s, bool *ret)
{
	if (strcmp(s, "yes") && strcmp(s, "no"))
		return -EINVAL;
	*ret = !strcmp(s, "yes");
	return 0;
}

static int set_one(void *arg, const char *key, char *value, struct error *reterr)
{
	static const char *const wanted[] = {"a time such as 5m", "a whole number",
					     "a number such as 0.35", "yes or no"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char *field = (char *)arg + keys[i].at;
		int r;

		if (strcmp(keys[i].name, key) != 0)
			continue;
		r = keys[i].kind == TIME    ? parse_duration_ns(value, (uint64_t *)field)
		    : keys[i].kind == COUNT ? parse_u32(value, (uint32_t *)field)
		    : keys[i].kind == RATIO ? parse_decimal_ppm(value, (uint32_t *)field)
					    : parse_bool(value, (bool *)field);
		return r < 0 ? error_set(reterr, -EINVAL, "%s: '%s' is not %s", key, value,
					 wanted[keys[i].kind])
			     : 0;
	}
	return error_set(reterr, -EINVAL, "there is no setting '%s'", key);
}

int cpi2_config_set(struct cpi2_config *c, const char *text, struct error *reterr)
{
	int r = parse_pairs(text, "KEY=VALUE", set_one, c, reterr);

	return r < 0 ? r : cpi2_config_check(c, reterr);
}

int cpi2_config_check(const struct cpi2_config *c, struct error *reterr)
{
	if (c->period_ns < 1000000 || c->period_ns > 86400 * SECOND)
		return error_set(reterr, -EINVAL, "period: between 1ms and a day");
	if (!c->window_ns || !c->spec_ns)
		return error_set(reterr, -EINVAL, "window and spec must not be 0");
	if (!c->outliers || c->outliers > CPI2_OUTLIERS_MAX)
		return error_set(reterr, -EINVAL, "outliers: 1 to %d", CPI2_OUTLIERS_MAX);
	if (c->correlate_ns < 2 * c->period_ns || c->correlate_ns / c->period_ns > CPI2_SLOTS_MAX)
		return error_set(reterr, -EINVAL, "correlate: 2 to %d periods", CPI2_SLOTS_MAX);
	if ((c->outliers - 1) * c->period_ns >= c->window_ns)
		return error_set(
		    reterr, -EINVAL,
		    "window: %u samples do not fit into it, so nothing would ever alarm",
		    c->outliers);
	if (c->age_ppm > 1000000)
		return error_set(reterr, -EINVAL, "age: at most 1");
	if (!c->min_tasks || c->min_samples < 2)
		return error_set(reterr, -EINVAL, "min-tasks: at least 1; min-samples: at least 2");
	return 0;
}
