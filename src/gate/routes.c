/* SPDX-License-Identifier: MIT */
#include "gate/routes.h"

#include <string.h>
#include "gate/gate.h"
#include "gate/history.h"
#include "gate/metrics.h"
#include "gate/page.h"

#define API "/api/v1"
#define PAGING                                                                                     \
	{"limit", PARAM_NUMBER, false, "rows of an answer, at most 10000 (default 1000)", NULL},   \
	{                                                                                          \
		"cursor", PARAM_TEXT, false, "where to go on: next_cursor of the answer before",   \
		    NULL                                                                           \
	}
#define RANGE                                                                                      \
	{"since", PARAM_DURATION, false, "how far back: 1h (default)", NULL},                      \
	    {"from", PARAM_NUMBER, false, "instead: begin, in ms since 1970", NULL},               \
	{                                                                                          \
		"to", PARAM_NUMBER, false, "end, in ms since 1970 (default now)", NULL             \
	}
#define POINTS                                                                                     \
	{                                                                                          \
		"points", PARAM_NUMBER, false, "values of the answer, at most 2000 (default 300)", \
		    NULL                                                                           \
	}
#define ALL(text)                                                                                  \
	{                                                                                          \
		"all", PARAM_FLAG, false, text, NULL                                               \
	}

static void serve_health(struct request *r)
{
	json_t *body = json_pack("{s:s}", "status", "alive");

	request_json(r, MHD_HTTP_OK, body);
	json_decref(body);
}

/* Ready: what it tells is true and of now. */
static void serve_ready(struct request *r)
{
	const struct view *v = &r->gate->view;
	const json_t *victim;
	bool estimated = false;
	json_t *body;
	size_t i;

	if (!v->known) {
		request_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, -ECONNREFUSED, "czd is away",
			     "Start it: systemctl start czd");
		return;
	}
	json_array_foreach(v->ledgers, i, victim) estimated |=
	    json_is_true(json_object_get(victim, "estimated"));
	if (estimated || json_is_false(json_object_get(v->self, "ledger_on"))) {
		request_fail(r, MHD_HTTP_SERVICE_UNAVAILABLE, -EOPNOTSUPP,
			     "the wait ledger is off: waiting is estimated, and nobody is named",
			     "See: czctl doctor");
		return;
	}
	body = json_pack("{s:s}", "status", "ready");
	request_json(r, MHD_HTTP_OK, body);
	json_decref(body);
}

static void serve_openapi(struct request *r)
{
	json_t *body = openapi_document();

	request_json(r, MHD_HTTP_OK, body);
	json_decref(body);
}

const struct route routes[] = {
    {"GET", "/", "The page", .serve = page_serve, .type = "text/html", .open = true,
     .navigates = true},
    {"GET", "/healthz", "Is cz-gate alive?", .serve = serve_health, .open = true},
    {"GET", "/readyz", "Does it know the host: is czd there, and its ledger on?",
     .serve = serve_ready, .open = true},
    {"GET", "/metrics", "All metrics, as Prometheus text or OpenMetrics by Accept",
     .serve = metrics_serve, .type = "text/plain"},
    {"GET", API "/openapi.json", "This document", .serve = serve_openapi, .open = true},
    {"GET", API "/stream", "Server-sent events: snapshot once a tick, event, findings, actions",
     .serve = stream_serve, .type = "text/event-stream"},
    {"GET", API "/version", "Version of czd", .verb = "version"},
    {"GET", API "/zones", "Zones, with what they use and wait for", .verb = "list",
     .params = {ALL("zones without a class too"), PAGING}, .rows = "zones", .key = "path"},
    {"GET", API "/zones/{zone}", "One zone: metrics, knobs, children, ledger", .verb = "inspect"},
    {"GET", API "/zones/{zone}/why", "Who hurts this zone, and what would help", .verb = "why"},
    {"GET", API "/findings", "What is wrong", .verb = "findings",
     .params = {ALL("closed ones too"), PAGING}, .rows = "findings", .key = "seq"},
    {"GET", API "/actions", "What was done or is proposed", .verb = "actions",
     .params = {ALL("settled ones too"), PAGING}, .rows = "actions", .key = "seq"},
    {"GET", API "/events", "What happened", .verb = "events",
     .params = {{"since", PARAM_NUMBER, false, "only events after this seq", NULL}, PAGING},
     .rows = "events", .key = "seq"},
    {"GET", API "/probes", "What is measured, and what is not and why", .verb = "probes"},
    {"GET", API "/host", "The host: what it can see and act on, and what czd costs",
     .verb = "doctor"},
    {"GET", API "/top", "The busiest zones, and the host", .verb = "top",
     .params = {ALL("idle ones too"),
		{"limit", PARAM_NUMBER, false, "at most so many zones", NULL}}},
    {"GET", API "/verify", "Are all knobs as czd found them?", .verb = "verify", .slow = true},
    {"GET", API "/mode", "Observe or enforce", .verb = "mode",
     .params = {{"zone", PARAM_TEXT, false, "of this zone", NULL}}},
    {"GET", API "/history", "One zone's metric over time: mean, min, max, count a step",
     .serve = history_serve,
     .params = {{"zone", PARAM_TEXT, true, "name, path, or host; it may be gone by now", NULL},
		{"metric", PARAM_TEXT, false, "default cpu_usage_ns_total", NULL},
		RANGE,
		POINTS}},
    {"GET", API "/history/ledger", "Whom one zone waited for, over time",
     .serve = history_serve_ledger,
     .params = {{"zone", PARAM_TEXT, true, "a protected zone", NULL}, RANGE, POINTS}},
    {"GET", API "/history/zones", "Zones and metrics that history has",
     .serve = history_serve_zones,
     .params = {{"class", PARAM_TEXT, false, "zones that had this class", NULL}, RANGE}},
    {"GET", API "/history/notes/{kind}", "findings, actions or events of a time; at most 1000",
     .serve = history_serve_notes, .params = {RANGE}},
    {"POST", API "/zones/{zone}/protect", "Make a zone latency-critical, or give it a class",
     .verb = "protect", .changes = true,
     .params = {{"slo", PARAM_TEXT, false, "goals, such as wait.p99=500us", NULL},
		{"class", PARAM_TEXT, false, "lc (default), be or normal", NULL}}},
    {"POST", API "/zones/{zone}/unprotect", "Take its class back", .verb = "unprotect",
     .changes = true},
    {"POST", API "/zones/{zone}/try", "Enforce for a while, for this zone", .verb = "try",
     .changes = true,
     .params = {{"for", PARAM_DURATION, true, "how long: 10m, 1h; at most 24h", "for_ns"}}},
    {"POST", API "/try", "Enforce for a while, for all protected zones", .verb = "try",
     .changes = true,
     .params = {{"for", PARAM_DURATION, true, "how long: 10m, 1h; at most 24h", "for_ns"}}},
    {"POST", API "/mode", "Set the mode", .verb = "mode", .changes = true,
     .params = {{"mode", PARAM_TEXT, true, "observe or enforce", NULL},
		{"zone", PARAM_TEXT, false, "of this zone only", NULL}}},
    {"POST", API "/actions/{seq}/approve", "Do what is proposed", .verb = "approve",
     .changes = true},
    {"POST", API "/actions/{seq}/undo", "Put one knob back", .verb = "undo", .changes = true},
    {"POST", API "/undo", "Put all knobs back", .verb = "undo", .changes = true},
    /* last: it matches what the others do too */
    {"GET", "/{file}", "A part of the page", .serve = page_serve, .type = "text/plain",
     .open = true, .navigates = true},
};
const size_t nr_routes = sizeof(routes) / sizeof(routes[0]);
