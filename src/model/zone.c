/* SPDX-License-Identifier: MIT */
/* SLO text: "wait.p99=500us,share=5%,latency.p99=2ms". */
#include "model/zone.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/str.h"

#define SLO_TEXT_MAX 256

static int goal_duration(const char *key, const char *text, uint64_t *ret, struct error *reterr)
{
	uint64_t ns;
	int r = parse_duration_ns(text, &ns);

	if (r == -ERANGE)
		return error_set(reterr, r, "%s: '%s' is too long a time", key, text);
	if (r < 0)
		return error_set(reterr, r, "%s: '%s' is not a time (ns, us, ms, s)", key, text);
	if (ns == 0)
		return error_set(reterr, -EINVAL, "%s: a goal must be above 0", key);
	*ret = ns;
	return 0;
}

static int goal_wait_p99(const char *key, const char *text, struct slo *slo, struct error *reterr)
{
	return goal_duration(key, text, &slo->wait_p99_ns, reterr);
}

static int goal_latency_p99(const char *key, const char *text, struct slo *slo,
			    struct error *reterr)
{
	return goal_duration(key, text, &slo->latency_p99_ns, reterr);
}

static int goal_share(const char *key, const char *text, struct slo *slo, struct error *reterr)
{
	uint32_t ppm;
	int r = parse_ratio_ppm(text, &ppm);

	if (r < 0)
		return error_set(reterr, r, "%s: '%s' is not a share (0%% to 100%%)", key, text);
	if (ppm == 0)
		return error_set(reterr, -EINVAL, "%s: a goal must be above 0", key);
	slo->wait_share_ppm = ppm;
	return 0;
}

static const struct goal {
	const char *key;
	int (*parse)(const char *key, const char *text, struct slo *slo, struct error *reterr);
} goals[] = {
    {"wait.p99", goal_wait_p99},
    {"share", goal_share},
    {"latency.p99", goal_latency_p99},
};

static int parse_goal(char *item, struct slo *slo, unsigned int *seen, struct error *reterr)
{
	char shown[64];
	char *eq = strchr(item, '=');

	if (eq)
		*eq = 0;
	for (size_t i = 0; i < ARRAY_SIZE(goals); i++) {
		if (strcmp(goals[i].key, item) != 0)
			continue;
		if (!eq)
			return error_set(reterr, -EINVAL, "%s: needs a value, as in %s=...", item,
					 item);
		if (*seen & 1u << i)
			return error_set(reterr, -EINVAL, "%s: given twice", item);
		*seen |= 1u << i;
		str_escape(shown, sizeof(shown), eq + 1);
		return goals[i].parse(item, shown, slo, reterr);
	}
	str_escape(shown, sizeof(shown), item);
	return error_set(reterr, -EINVAL, "'%s' is not a goal (wait.p99, share, latency.p99)",
			 shown);
}

int slo_parse_kept(const char *s, struct slo *ret, struct error *reterr)
{
	char text[SLO_TEXT_MAX];
	struct slo slo = {0};
	unsigned int seen = 0;
	char *rest = text, *item;

	if (!str_copy(text, sizeof(text), s))
		return error_set(reterr, -ERANGE, "too long for an SLO (at most %d characters)",
				 SLO_TEXT_MAX - 1);
	while ((item = strsep(&rest, ","))) {
		int r = parse_goal(item, &slo, &seen, reterr);

		if (r < 0)
			return r;
	}
	*ret = slo;
	return 0;
}

/* As czd.yaml says it. v 0: not set. */
static int check_range(const char *key, uint64_t v, uint64_t min, uint64_t max,
		       char *(*format)(uint64_t, char *, size_t), struct error *reterr)
{
	char shown[32], low[32], high[32];

	if (!v || (v >= min && v <= max))
		return 0;
	return error_set(reterr, -ERANGE, "%s: %s is out of range (%s to %s)", key,
			 format(v, shown, sizeof(shown)), format(min, low, sizeof(low)),
			 format(max, high, sizeof(high)));
}

int slo_parse(const char *s, struct slo *ret, struct error *reterr)
{
	struct slo slo;
	int r = slo_parse_kept(s, &slo, reterr);

	if (r == 0)
		r = check_range("wait.p99", slo.wait_p99_ns, SLO_WAIT_P99_MIN_NS,
				SLO_WAIT_P99_MAX_NS, format_duration, reterr);
	if (r == 0)
		r = check_range("share", slo.wait_share_ppm, SLO_SHARE_MIN_PPM, SLO_SHARE_MAX_PPM,
				format_ppm, reterr);
	if (r == 0)
		r = check_range("latency.p99", slo.latency_p99_ns, SLO_LATENCY_P99_MIN_NS,
				SLO_LATENCY_P99_MAX_NS, format_duration, reterr);
	if (r == 0)
		*ret = slo;
	return r;
}

bool slo_is_set(const struct slo *s)
{
	return s->wait_p99_ns || s->wait_share_ppm || s->latency_p99_ns;
}

/* Exact, in the largest unit that divides it: slo_parse gives the same number back. */
static void add_duration(char *buf, size_t size, const char *key, uint64_t ns)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {{"s", 1000000000}, {"ms", 1000000}, {"us", 1000}, {"ns", 1}};
	size_t len = strlen(buf), i = 0;

	if (ns == 0)
		return;
	while (ns % units[i].ns)
		i++;
	snprintf(buf + len, size - len, "%s%s=%" PRIu64 "%s", len ? "," : "", key, ns / units[i].ns,
		 units[i].unit);
}

static void add_share(char *buf, size_t size, uint32_t ppm)
{
	size_t len = strlen(buf);
	char fraction[8];
	size_t n;

	if (ppm == 0)
		return;
	n = (size_t)snprintf(fraction, sizeof(fraction), ".%04u", ppm % 10000);
	while (n > 0 && (fraction[n - 1] == '0' || fraction[n - 1] == '.')) {
		fraction[--n] = 0;
	}
	snprintf(buf + len, size - len, "%sshare=%u%s%%", len ? "," : "", ppm / 10000, fraction);
}

char *slo_format(const struct slo *s, char *buf, size_t size)
{
	if (size == 0)
		return buf;
	buf[0] = 0;
	add_duration(buf, size, "wait.p99", s->wait_p99_ns);
	add_share(buf, size, s->wait_share_ppm);
	add_duration(buf, size, "latency.p99", s->latency_p99_ns);
	return buf;
}
