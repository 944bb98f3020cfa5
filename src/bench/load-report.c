/* SPDX-License-Identifier: MIT */
/* cz-load's numbers: a line per interval, and the result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/cleanup.h"
#include "base/parse.h"
#include "bench/bench.h"
#include "bench/load.h"

int series_init(struct load_series *s)
{
	s->latency = malloc(sizeof(*s->latency));
	s->lag = malloc(sizeof(*s->lag));
	if (!s->latency || !s->lag)
		return -ENOMEM;
	hist_init(s->latency);
	hist_init(s->lag);
	return 0;
}

void series_done(struct load_series *s)
{
	free(s->latency);
	free(s->lag);
	*s = (struct load_series){0};
}

static void set_u64(json_t *object, const char *key, uint64_t v)
{
	json_object_set_new(object, key, json_integer((json_int_t)v));
}

static const struct {
	const char *key;
	uint32_t q_ppm;
} quantiles[] = {
    {"p50", 500000},
    {"p90", 900000},
    {"p99", 990000},
    {"p99_9", 999000},
};

static json_t *hist_json(const struct hist *h)
{
	json_t *o = json_object();

	set_u64(o, "count", h->total);
	if (h->total == 0)
		return o;
	set_u64(o, "mean", h->sum / h->total);
	set_u64(o, "min", h->min);
	for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++)
		set_u64(o, quantiles[i].key, hist_quantile(h, quantiles[i].q_ppm));
	set_u64(o, "max", h->max);
	return o;
}

static const struct {
	const char *key;
	size_t offset;
} count_fields[] = {
#define FIELD(name)                                                                                \
	{                                                                                          \
#name, offsetof(struct load_counts, name)                                          \
	}
    FIELD(intended), FIELD(sent),     FIELD(replies),	 FIELD(misses),		FIELD(reply_errors),
    FIELD(lost),     FIELD(not_sent), FIELD(unanswered), FIELD(connect_errors), FIELD(reconnects),
#undef FIELD
};

static void set_counts(json_t *o, const struct load_counts *counts)
{
	for (size_t i = 0; i < ARRAY_SIZE(count_fields); i++)
		set_u64(o, count_fields[i].key,
			*(const uint64_t *)((const char *)counts + count_fields[i].offset));
}

static void show_interval(const struct load *l, uint64_t now_ns)
{
	const struct load_series *s = &l->interval;
	char p50[16], p99[16], max[16], lag[16];

	if (l->o->quiet)
		return;
	fprintf(stderr, "%6.0f s  %8.0f replies/s  p50 %8s  p99 %8s  max %8s  own lag p99 %8s\n",
		(double)(now_ns - l->measure_ns) / 1e9,
		(double)s->counts.replies * 1e9 / (double)(now_ns - l->interval_start_ns),
		format_duration(hist_quantile(s->latency, 500000), p50, sizeof(p50)),
		format_duration(hist_quantile(s->latency, 990000), p99, sizeof(p99)),
		format_duration(s->latency->max, max, sizeof(max)),
		format_duration(hist_quantile(s->lag, 990000), lag, sizeof(lag)));
}

/* A machine that holds up the generator holds up the server too: both are late, at the same time.
 */
static void keep_if_quiet(struct load *l)
{
	const struct load_series *s = &l->interval;

	if (s->lag->total == 0 || hist_quantile(s->lag, 990000) > l->o->lag_max_ns)
		return;
	hist_merge(l->quiet.latency, s->latency);
	hist_merge(l->quiet.lag, s->lag);
	l->quiet_intervals++;
}

int load_interval(struct load *l, uint64_t now_ns, struct error *reterr)
{
	struct load_series *s = &l->interval;
	json_t *line = json_object();
	int r = 0;

	json_object_set_new(line, "type", json_string("interval"));
	set_u64(line, "t_ns", l->interval_start_ns - l->measure_ns);
	set_u64(line, "length_ns", now_ns - l->interval_start_ns);
	set_counts(line, &s->counts);
	json_object_set_new(line, "latency_ns", hist_json(s->latency));
	json_object_set_new(line, "lag_ns", hist_json(s->lag));
	show_interval(l, now_ns);
	if (l->feed_fd >= 0)
		feed_send(l->feed_fd, s->latency, l->o->feed_zone);
	if (l->o->interval_json)
		r = bench_print_json(json_incref(line), JSON_COMPACT, reterr);
	json_array_append_new(l->intervals, line);
	keep_if_quiet(l);
	hist_init(s->latency);
	hist_init(s->lag);
	s->counts = (struct load_counts){0};
	l->interval_start_ns = now_ns;
	return r;
}

static json_t *quiet_json(const struct load *l)
{
	json_t *o = json_object();

	set_u64(o, "lag_max_ns", l->o->lag_max_ns);
	set_u64(o, "intervals", l->quiet_intervals);
	json_object_set_new(o, "latency_ns", hist_json(l->quiet.latency));
	json_object_set_new(o, "lag_ns", hist_json(l->quiet.lag));
	return o;
}

json_t *load_result(struct load *l, uint64_t now_ns)
{
	const struct load_options *o = l->o;
	uint64_t length_ns = l->stop_ns > l->measure_ns ? l->stop_ns - l->measure_ns : 0;
	json_t *r = json_object();

	json_object_set_new(r, "type", json_string("result"));
	json_object_set_new(r, "protocol", json_string(l->dialect->name));
	json_object_set_new(r, "address", json_string(l->target->shown));
	json_object_set_new(r, "arrival",
			    json_string(o->arrival == ARRIVAL_FIXED ? "fixed" : "poisson"));
	set_u64(r, "rate_target_per_sec", o->rate_per_sec);
	set_u64(r, "connections", o->connections);
	set_u64(r, "seed", o->seed);
	set_u64(r, "start_mono_ns", l->measure_ns);
	set_u64(r, "length_ns", length_ns);
	set_u64(r, "drained_ns", now_ns > l->stop_ns ? now_ns - l->stop_ns : 0);
	json_object_set_new(r, "rate_per_sec",
			    bench_real((double)l->total.counts.replies * 1e9 / (double)length_ns));
	set_counts(r, &l->total.counts);
	json_object_set_new(r, "last_error",
			    l->last_error[0] ? json_string(l->last_error) : json_null());
	json_object_set_new(r, "latency_ns", hist_json(l->total.latency));
	json_object_set_new(r, "lag_ns", hist_json(l->total.lag));
	if (o->lag_max_ns > 0)
		json_object_set_new(r, "quiet", quiet_json(l));
	json_object_set(r, "intervals", l->intervals);
	return r;
}

static void print_hist(const json_t *h, const char *name, const char *of)
{
	char text[16];

	printf("  %-10s", name);
	for (size_t i = 0; i <= ARRAY_SIZE(quantiles); i++) {
		const char *key = i < ARRAY_SIZE(quantiles) ? quantiles[i].key : "max";
		const json_t *v = json_object_get(h, key);

		if (v)
			format_duration((uint64_t)json_integer_value(v), text, sizeof(text));
		printf("  %s %s", key, v ? text : "-");
	}
	printf("%s\n", of);
}

static void print_quiet(const json_t *quiet, size_t intervals)
{
	char of[64];

	snprintf(of, sizeof(of), "  of %lld of %zu intervals",
		 (long long)json_integer_value(json_object_get(quiet, "intervals")), intervals);
	print_hist(json_object_get(quiet, "latency_ns"), "quiet", of);
}

void load_print(const json_t *r)
{
	const json_t *error = json_object_get(r, "last_error");

	printf("%s: %.0f replies/s of %lld wanted\n",
	       json_string_value(json_object_get(r, "address")),
	       json_number_value(json_object_get(r, "rate_per_sec")),
	       (long long)json_integer_value(json_object_get(r, "rate_target_per_sec")));
	print_hist(json_object_get(r, "latency_ns"), "latency", "");
	print_hist(json_object_get(r, "lag_ns"), "own lag", "");
	if (json_object_get(r, "quiet"))
		print_quiet(json_object_get(r, "quiet"),
			    json_array_size(json_object_get(r, "intervals")));
	for (size_t i = 0; i < ARRAY_SIZE(count_fields); i++) {
		long long n =
		    (long long)json_integer_value(json_object_get(r, count_fields[i].key));

		if (n > 0)
			printf("  %-16s %lld\n", count_fields[i].key, n);
	}
	if (json_is_string(error))
		printf("  last error: %s\n", json_string_value(error));
}
