/* SPDX-License-Identifier: MIT */
/*
 * /metrics: Prometheus text 0.0.4 or OpenMetrics 1.0. Names come from the one table of metrics:
 * base units (seconds, bytes, ratios), counters end in _total. What is not known is no series.
 */
#pragma once
#include "gate/http.h"
#include "gate/pairs.h"

enum metrics_form { METRICS_PROMETHEUS, METRICS_OPENMETRICS, METRICS_FORMS };

/* The text of a form, made at most once for a view and a second: many scrapers share it. */
struct metrics {
	struct pairs pairs;
	struct {
		uint64_t view_ns, made_ns;
		struct MHD_Response *response;
	} made[METRICS_FORMS];
	uint64_t zones_dropped; /* of the latest text */
};

void metrics_serve(struct request *r);
void metrics_done(struct metrics *m);
struct gate;
/* The whole text, appended. */
void metrics_text(struct gate *g, enum metrics_form form, struct strbuf *out);
