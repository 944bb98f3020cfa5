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

/* Shapes as docs/protocol.md has them; what is not told of may be there all the same. */
#define ZONE_ROW                                                                                   \
	"id:integer? name:string path:string kind:string class:string class_own:boolean "          \
	"protected:boolean slo:string off_limits:boolean cpu_ppm:integer? wait_ppm:integer? "      \
	"memory_bytes:integer? state:string depth:integer"
#define FINDING                                                                                    \
	"seq:integer open:boolean victim:string resource:string cause:string severity:string "     \
	"since_real_ns:integer why:string culprits:array"
#define ACTION                                                                                     \
	"seq:integer victim:string target:string resource:string knob:string reason:string "       \
	"expect:string state:string"
#define EVENT "seq:integer real_ns:integer kind:string text:string"
#define MODE                                                                                       \
	"mode:string until_ns:integer? trials:array modes:array approvals:array "                  \
	"cannot_enforce:string?"
#define SPAN  "from_ms:integer to_ms:integer "
#define STEPS SPAN "step_ms:integer points:integer zone:string unit:string "
#define UNDO  "restored:integer gone:integer hands_off:integer failed:integer observes_now:boolean"

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
	json_t *body = openapi_document(r->gate->security.read_token[0] != 0);

	request_json(r, MHD_HTTP_OK, body);
	json_decref(body);
}

const struct route routes[] = {
    {"GET", "/", "The page", .serve = page_serve, .type = "text/html", .open = true,
     .navigates = true},
    {"GET", "/healthz", "Is cz-gate alive?", .serve = serve_health, .open = true,
     .has = "status:string"},
    {"GET", "/readyz", "Does it know the host: is czd there, and its ledger on?",
     .serve = serve_ready, .open = true, .has = "status:string"},
    {"GET", "/metrics", "All metrics, as Prometheus text or OpenMetrics by Accept",
     .serve = metrics_serve, .type = "text/plain application/openmetrics-text"},
    {"GET", API "/openapi.json", "This document", .serve = serve_openapi, .open = true,
     .has = "openapi:string info:object paths:object components:object"},
    {"GET", API "/stream", "Server-sent events: snapshot once a tick, event, findings, actions",
     .serve = stream_serve, .type = "text/event-stream"},
    {"GET", API "/version", "Version of czd", .verb = "version",
     .has = "version:string protocol:integer pid:integer uptime_ns:integer kernel:string"},
    {"GET", API "/zones", "Zones, with what they use and wait for", .verb = "list",
     .params = {ALL("zones without a class too"), PAGING}, .rows = "zones", .key = "path",
     .has = "mode:string", .row = ZONE_ROW},
    {"GET", API "/zones/{zone}", "One zone: metrics, knobs, children, ledger", .verb = "inspect",
     .has = ZONE_ROW " metrics:object knobs:object children:array ledger:object?"},
    {"GET", API "/zones/{zone}/why", "Who hurts this zone, and what would help", .verb = "why",
     .has = "zone:object verdict:string headline:string mode:string finding:object? "
	    "actions:array notes:array"},
    {"GET", API "/findings", "What is wrong", .verb = "findings",
     .params = {ALL("closed ones too"), PAGING}, .rows = "findings", .key = "seq", .row = FINDING},
    {"GET", API "/actions", "What was done or is proposed", .verb = "actions",
     .params = {ALL("settled ones too"), PAGING}, .rows = "actions", .key = "seq",
     .has = "mode:string", .row = ACTION},
    {"GET", API "/events", "What happened", .verb = "events",
     .params = {{"since", PARAM_NUMBER, false, "only events after this seq", NULL}, PAGING},
     .rows = "events", .key = "seq", .row = EVENT},
    {"GET", API "/probes", "What is measured, and what is not and why", .verb = "probes",
     .has = "probes:array metrics:array"},
    {"GET", API "/host", "The host: what it can see and act on, and what czd costs",
     .verb = "doctor",
     .has = "host:object can_see:array cant_see:array can_act:array cant_act:array self:object"},
    {"GET", API "/top", "The busiest zones, and the host", .verb = "top",
     .params = {ALL("idle ones too"),
		{"limit", PARAM_NUMBER, false, "at most so many zones", NULL}},
     .has = "now_ns:integer window_ns:integer mode:string host:object zones:array"},
    {"GET", API "/verify", "Are all knobs as czd found them?", .verb = "verify", .slow = true,
     .has = "checked:integer differing:integer held:integer unchanged:boolean items:array"},
    {"GET", API "/mode", "Observe or enforce", .verb = "mode",
     .params = {{"zone", PARAM_TEXT, false, "of this zone", NULL}}, .has = MODE},
    {"GET", API "/history", "One zone's metric over time: mean, min, max, count a step",
     .serve = history_serve,
     .params = {{"zone", PARAM_TEXT, true, "name, path, or host; it may be gone by now", NULL},
		{"metric", PARAM_TEXT, false, "default cpu_usage_ns_total", NULL},
		RANGE,
		POINTS},
     .has = STEPS "metric:string mean:array min:array max:array count:array"},
    {"GET", API "/history/ledger", "Whom one zone waited for, over time",
     .serve = history_serve_ledger,
     .params = {{"zone", PARAM_TEXT, true, "a protected zone", NULL}, RANGE, POINTS},
     .has = STEPS "parts:array wait:object"},
    {"GET", API "/history/zones", "Zones and metrics that history has",
     .serve = history_serve_zones,
     .params = {{"class", PARAM_TEXT, false, "zones that had this class", NULL}, RANGE},
     .has = SPAN "zones:array metrics:array store:object"},
    {"GET", API "/history/notes/{kind}", "findings, actions or events of a time; at most 1000",
     .serve = history_serve_notes, .params = {RANGE}, .has = SPAN},
    {"POST", API "/zones/{zone}/protect", "Make a zone latency-critical, or give it a class",
     .verb = "protect", .changes = true,
     .params = {{"slo", PARAM_TEXT, false, "goals, such as wait.p99=500us", NULL},
		{"class", PARAM_TEXT, false, "lc (default), be or normal", NULL}},
     .has = ZONE_ROW},
    {"POST", API "/zones/{zone}/unprotect", "Take its class back", .verb = "unprotect",
     .changes = true, .has = ZONE_ROW},
    {"POST", API "/zones/{zone}/try", "Enforce for a while, for this zone", .verb = "try",
     .changes = true,
     .params = {{"for", PARAM_DURATION, true, "how long: 10m, 1h; at most 24h", "for_ns"}},
     .has = "until_ns:integer then:string"},
    {"POST", API "/try", "Enforce for a while, for all protected zones", .verb = "try",
     .changes = true,
     .params = {{"for", PARAM_DURATION, true, "how long: 10m, 1h; at most 24h", "for_ns"}},
     .has = "until_ns:integer then:string"},
    {"POST", API "/mode", "Set the mode", .verb = "mode", .changes = true,
     .params = {{"mode", PARAM_TEXT, true, "observe or enforce", NULL},
		{"zone", PARAM_TEXT, false, "of this zone only", NULL}},
     .has = MODE},
    {"POST", API "/actions/{seq}/approve", "Do what is proposed", .verb = "approve",
     .changes = true, .has = ACTION},
    {"POST", API "/actions/{seq}/undo", "Put one knob back", .verb = "undo", .changes = true,
     .has = UNDO},
    {"POST", API "/undo", "Put all knobs back", .verb = "undo", .changes = true, .has = UNDO},
    /* last: it matches what the others do too */
    {"GET", "/{file}", "A part of the page", .serve = page_serve,
     .type = "text/html text/javascript text/css image/svg+xml", .open = true, .navigates = true},
};
const size_t nr_routes = sizeof(routes) / sizeof(routes[0]);
