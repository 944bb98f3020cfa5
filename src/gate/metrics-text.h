/* SPDX-License-Identifier: MIT */
/* The text format of metrics: families, labels, values. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"
#include "model/metric.h"

/* How a figure is told: in base units. */
enum metric_scale { SCALE_ONE, SCALE_NS, SCALE_PPM };

struct metric_family {
	char name[96]; /* "cz_zone_cpu_usage_seconds_total" */
	enum metric_kind kind;
	enum metric_scale scale;
	const char *help;
};
/* "cpu_usage_ns_total", "ns" with prefix "cz_zone_" -> cz_zone_cpu_usage_seconds_total. */
void family_of(const struct metric_desc *d, const char *prefix, struct metric_family *ret);
/* HELP and TYPE; in OpenMetrics a counter's family lacks the _total of its samples. */
void text_family(struct strbuf *out, const struct metric_family *f, bool openmetrics);
/* labels: "" or `a="b",c="d"`, escaped. */
void text_sample(struct strbuf *out, const struct metric_family *f, const char *labels,
		 uint64_t value);
/* Appends name="value", escaped, with a comma before it if need be. */
void text_label(struct strbuf *out, const char *name, const char *value);
