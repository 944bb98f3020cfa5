/* SPDX-License-Identifier: MIT */
#include "gate/metrics.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "gate/gate.h"
#include "gate/history-reader.h"
#include "gate/metrics-text.h"

#define FRESH_NS 1000000000ull

struct out {
	struct gate *gate;
	struct strbuf *text;
	bool openmetrics;
};

static void family(struct out *o, struct metric_family *f, const char *prefix,
		   const struct metric_desc *d)
{
	family_of(d, prefix, f);
	text_family(o->text, f, o->openmetrics);
}

/* A family of one sample. */
static void single(struct out *o, const char *name, const char *unit, enum metric_kind kind,
		   const char *help, const char *labels, uint64_t value)
{
	const struct metric_desc d = {.name = name, .unit = unit, .kind = kind, .help = help};
	struct metric_family f;

	family(o, &f, "cz_", &d);
	text_sample(o->text, &f, labels, value);
}

/* --- zones ----------------------------------------------------------------------------------- */

struct labelled {
	const struct view_zone *zone;
	char *labels;
};

static char *zone_labels(const struct view_zone *z)
{
	struct strbuf b = {0};

	text_label(&b, "zone", z->label);
	text_label(&b, "class", zone_class_name(z->class));
	text_label(&b, "kind", zone_kind_name(z->kind));
	if (!b.failed)
		return b.data;
	strbuf_done(&b);
	return NULL;
}

/* Those that somebody gave a class first: the cap must not cost them their series. */
static size_t choose_zones(struct gate *g, struct labelled *chosen, size_t max)
{
	const struct view *v = &g->view;
	size_t n = 0;

	for (int first = 1; first >= 0; first--) {
		for (size_t i = 0; i < v->nr_zones && n < max; i++) {
			const struct view_zone *z = &v->zones[i];
			char *labels = z->class_own == first ? zone_labels(z) : NULL;

			if (labels)
				chosen[n++] = (struct labelled){.zone = z, .labels = labels};
		}
	}
	g->metrics.zones_dropped = v->nr_zones - n;
	return n;
}

static void zone_metrics_text(struct out *o)
{
	size_t most = o->gate->opt->zones_max, have = o->gate->view.nr_zones;
	_cleanup_free_ struct labelled *chosen = calloc(most + 1, sizeof(*chosen));
	size_t n = chosen ? choose_zones(o->gate, chosen, most < have ? most : have) : 0;

	for (int m = 0; m < ZM_NR; m++) {
		struct metric_family f;

		family(o, &f, "cz_zone_", &zone_metrics[m]);
		for (size_t i = 0; i < n; i++) {
			if (chosen[i].zone->valid & METRIC_BIT(m))
				text_sample(o->text, &f, chosen[i].labels,
					    chosen[i].zone->value[m]);
		}
	}
	for (size_t i = 0; i < n; i++)
		free(chosen[i].labels);
}

/* --- the ledger ------------------------------------------------------------------------------ */

/* Of each protected zone, one figure of its ledger. */
static void ledger_family(struct out *o, const char *key, const struct metric_desc *d)
{
	const struct view *v = &o->gate->view;
	struct metric_family f;
	const json_t *ledger;
	size_t i;

	family(o, &f, "cz_zone_", d);
	json_array_foreach(v->ledgers, i, ledger)
	{
		const json_t *value = json_object_get(ledger, key);
		const struct view_zone *z =
		    view_zone(v, (uint64_t)json_integer_value(json_object_get(ledger, "zone")));
		char *labels = z && json_is_integer(value) ? zone_labels(z) : NULL;

		if (labels && json_integer_value(value) >= 0)
			text_sample(o->text, &f, labels, (uint64_t)json_integer_value(value));
		free(labels);
	}
}

static void causes(struct out *o, const struct metric_family *f, const struct view_zone *z,
		   json_t *totals)
{
	const char *cause;
	json_t *ns;

	json_object_foreach(totals, cause, ns)
	{
		struct strbuf labels = {0};

		text_label(&labels, "zone", z->label);
		text_label(&labels, "cause", cause);
		if (json_is_integer(ns) && json_integer_value(ns) >= 0 && !labels.failed)
			text_sample(o->text, f, labels.data, (uint64_t)json_integer_value(ns));
		strbuf_done(&labels);
	}
}

static void wait_by_cause(struct out *o)
{
	static const struct metric_desc d = {
	    "wait_ns_total", "ns", METRIC_COUNTER,
	    "time that tasks of a protected zone were runnable and not running, by cause"};
	const struct view *v = &o->gate->view;
	struct metric_family f;
	const json_t *ledger;
	size_t i;

	family(o, &f, "cz_", &d);
	json_array_foreach(v->ledgers, i, ledger)
	{
		const struct view_zone *z =
		    view_zone(v, (uint64_t)json_integer_value(json_object_get(ledger, "zone")));

		if (z)
			causes(o, &f, z, json_object_get(ledger, "cause_ns_total"));
	}
}

static void wait_by_culprit(struct out *o)
{
	static const struct metric_desc d = {
	    "wait_behind_ns_total", "ns", METRIC_COUNTER,
	    "who hurts whom: time that the victim waited for a CPU on which the culprit ran"};
	struct metric_family f;

	family(o, &f, "cz_", &d);
	pairs_for_each(&o->gate->metrics.pairs, x)
	{
		struct strbuf labels = {0};

		text_label(&labels, "victim", x->victim);
		text_label(&labels, "culprit", x->culprit);
		text_label(&labels, "culprit_class", zone_class_name(x->culprit_class));
		if (!labels.failed)
			text_sample(o->text, &f, labels.data, x->ns_total);
		strbuf_done(&labels);
	}
}

static void hurt(struct out *o)
{
	static const struct metric_desc d = {"hurt", "1", METRIC_GAUGE,
					     "is this protected zone hurt now: 1 or 0"};
	const struct view *v = &o->gate->view;
	struct metric_family f;
	const json_t *ledger;
	size_t i;

	family(o, &f, "cz_zone_", &d);
	json_array_foreach(v->ledgers, i, ledger)
	{
		const char *state = json_string_value(json_object_get(ledger, "state"));
		const struct view_zone *z =
		    view_zone(v, (uint64_t)json_integer_value(json_object_get(ledger, "zone")));
		bool known = state && (!strcmp(state, "hurt") || !strcmp(state, "fine"));
		char *labels = z && known ? zone_labels(z) : NULL;

		if (labels)
			text_sample(o->text, &f, labels, !strcmp(state, "hurt"));
		free(labels);
	}
}

static void ledger_metrics(struct out *o)
{
	static const struct {
		const char *key;
		struct metric_desc desc;
	} figures[] = {
	    {"waits_total",
	     {"waits_total", "1", METRIC_COUNTER, "waits for a CPU that ended (protected zones)"}},
	    {"wait_p99_ns",
	     {"wait_p99_ns", "ns", METRIC_GAUGE,
	      "wait for a CPU in the latest window, 99th percentile (protected zones)"}},
	    {"wait_max_ns",
	     {"wait_max_ns", "ns", METRIC_GAUGE,
	      "longest wait for a CPU in the latest window (protected zones)"}},
	    {"feed_p99_ns",
	     {"latency_p99_ns", "ns", METRIC_GAUGE,
	      "latency that the application reported in the latest window, 99th percentile"}},
	};

	wait_by_cause(o);
	wait_by_culprit(o);
	hurt(o);
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		ledger_family(o, figures[i].key, &figures[i].desc);
}

/* --- host, czd, cz-gate ---------------------------------------------------------------------- */

static void host_metrics_text(struct out *o)
{
	const struct view *v = &o->gate->view;

	for (int m = 0; m < HM_NR; m++) {
		struct metric_family f;

		if (!(v->host_valid & METRIC_BIT(m)))
			continue;
		family(o, &f, "cz_", &host_metrics[m]);
		text_sample(o->text, &f, "", v->host_value[m]);
	}
}

static void czd_metrics(struct out *o)
{
	static const struct {
		const char *key;
		struct metric_desc desc;
	} figures[] = {
	    {"cpu_ns_total", {"czd_cpu_ns_total", "ns", METRIC_COUNTER, "CPU time of czd"}},
	    {"ledger_cost_ppm",
	     {"czd_ledger_cost_ppm", "ppm", METRIC_GAUGE,
	      "CPU time of the ledger's BPF programs, of all CPUs, when last measured"}},
	    {"rss_bytes",
	     {"czd_resident_memory_bytes", "bytes", METRIC_GAUGE, "resident memory of czd"}},
	    {"loop_delay_max_ns",
	     {"czd_loop_delay_max_ns", "ns", METRIC_GAUGE,
	      "longest delay of its event loop since the start"}},
	    {"ticks_total", {"czd_ticks_total", "1", METRIC_COUNTER, "snapshots"}},
	    {"late_ticks_total",
	     {"czd_late_ticks_total", "1", METRIC_COUNTER,
	      "ticks left out because the one before had not ended"}},
	    {"fast_events_total",
	     {"czd_fast_events_total", "1", METRIC_COUNTER, "long waits that BPF told of at once"}},
	    {"clients", {"czd_clients", "1", METRIC_GAUGE, "connections to its socket"}},
	    {"requests_total",
	     {"czd_requests_total", "1", METRIC_COUNTER, "requests on its socket"}},
	    {"clients_dropped_total",
	     {"czd_clients_dropped_total", "1", METRIC_COUNTER, "clients that did not read"}},
	    {"fds_kept", {"czd_fds_kept", "1", METRIC_GAUGE, "files of zones kept open"}},
	    {"fd_shortage_total",
	     {"czd_fd_shortage_total", "1", METRIC_COUNTER, "readings for which no file was free"}},
	    {"feed_total",
	     {"czd_feed_total", "1", METRIC_COUNTER, "latencies that applications reported"}},
	    {"feed_refused_total",
	     {"czd_feed_refused_total", "1", METRIC_COUNTER, "reports that were refused"}},
	};
	const json_t *self = o->gate->view.self;

	for (size_t i = 0; i < ARRAY_SIZE(figures); i++) {
		const json_t *value = json_object_get(self, figures[i].key);
		struct metric_family f;

		if (!json_is_integer(value) || json_integer_value(value) < 0)
			continue;
		family(o, &f, "cz_", &figures[i].desc);
		text_sample(o->text, &f, "", (uint64_t)json_integer_value(value));
	}
}

static uint64_t own_cpu_ns(void)
{
	struct timespec t = {0};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t own_rss_bytes(void)
{
	char text[128];
	const char *at = text;
	uint64_t size, pages;
	ssize_t n = read_file_at(AT_FDCWD, "/proc/self/statm", text, sizeof(text));

	if (n < 0 || scan_u64(&at, text + n, &size) < 0 || scan_u64(&at, text + n, &pages) < 0)
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void labelled_counter(struct out *o, const struct metric_desc *d, const char *label,
			     const char *const values[], const uint64_t counts[], size_t n)
{
	struct metric_family f;

	family(o, &f, "cz_", d);
	for (size_t i = 0; i < n; i++) {
		struct strbuf labels = {0};

		text_label(&labels, label, values[i]);
		if (!labels.failed)
			text_sample(o->text, &f, labels.data, counts[i]);
		strbuf_done(&labels);
	}
}

static void gate_metrics(struct out *o)
{
	static const char *const codes[] = {"2xx", "4xx", "5xx"}, *const kinds[] = {"zone", "pair"};
	static const struct metric_desc answers = {"gate_responses_total", "1", METRIC_COUNTER,
						   "answers, by class of status"},
					left_out = {"gate_series_left_out", "1", METRIC_GAUGE,
						    "zones and pairs that are in no series here "
						    "because of the limits"};
	const struct gate *g = o->gate;
	struct http_stats s = http_stats(g->http);
	struct reader_stats reads = reader_stats(g->reader);
	struct czd_stats w = czd_stats(g->watch), a = czd_stats(g->ask), c = czd_stats(g->change);
	uint64_t rss = own_rss_bytes();
	const uint64_t by_code[] = {s.by_class_total[2], s.by_class_total[4], s.by_class_total[5]};
	const uint64_t dropped[] = {g->metrics.zones_dropped, g->metrics.pairs.left_out};
	const struct {
		const char *name, *help;
		enum metric_kind kind;
		uint64_t value;
	} figures[] = {
	    {"gate_connections", "HTTP connections", METRIC_GAUGE, s.connections},
	    {"gate_requests_total", "HTTP requests", METRIC_COUNTER, s.requests_total},
	    {"gate_refused_total", "requests refused: Host, Origin or token", METRIC_COUNTER,
	     s.refused_total},
	    {"gate_late_connections_total", "connections ended because they took too long",
	     METRIC_COUNTER, s.late_total},
	    {"gate_stream_listeners", "listeners of the stream", METRIC_GAUGE,
	     stream_listeners(g->stream)},
	    {"gate_stream_dropped_total", "listeners that did not read", METRIC_COUNTER,
	     stream_dropped_total(g->stream)},
	    {"gate_czd_calls_total", "requests to czd", METRIC_COUNTER,
	     w.calls_total + a.calls_total + c.calls_total},
	    {"gate_czd_failed_total", "requests to czd that failed", METRIC_COUNTER,
	     w.failed_total + a.failed_total + c.failed_total},
	    {"gate_history_reads_total", "questions to history", METRIC_COUNTER, reads.asked_total},
	    {"gate_history_reads_refused_total", "of them refused: too many waited", METRIC_COUNTER,
	     reads.refused_total},
	    {"gate_history_reads_late_total", "of them given up after 5 s", METRIC_COUNTER,
	     reads.late_total},
	    {"gate_pairs_dropped_total", "times that a pair grew which found no room",
	     METRIC_COUNTER, g->metrics.pairs.dropped_total},
	};

	single(o, "gate_cpu_ns_total", "ns", METRIC_COUNTER, "CPU time of cz-gate", "",
	       own_cpu_ns());
	if (rss)
		single(o, "gate_resident_memory_bytes", "bytes", METRIC_GAUGE,
		       "resident memory of cz-gate", "", rss);
	for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
		single(o, figures[i].name, "1", figures[i].kind, figures[i].help, "",
		       figures[i].value);
	labelled_counter(o, &answers, "code", codes, by_code, ARRAY_SIZE(codes));
	labelled_counter(o, &left_out, "of", kinds, dropped, ARRAY_SIZE(kinds));
}

void metrics_text(struct gate *g, enum metrics_form form, struct strbuf *text)
{
	struct out o = {.gate = g, .text = text, .openmetrics = form == METRICS_OPENMETRICS};
	const struct view *v = &g->view;
	const char *mode = json_string_value(json_object_get(v->mode, "mode"));

	single(&o, "build_info", "1", METRIC_GAUGE, "1; the label tells the version of cz-gate",
	       "version=\"" CZ_VERSION "\"", 1);
	single(&o, "up", "1", METRIC_GAUGE,
	       "is czd there: 1 or 0; while not, nothing of it is told", "", v->known);
	if (v->known) {
		if (mode)
			single(&o, "enforcing", "1", METRIC_GAUGE,
			       "is the mode enforce: 1 or 0 (observe)", "",
			       !strcmp(mode, "enforce"));
		single(&o, "zones", "1", METRIC_GAUGE, "zones that czd follows", "", v->nr_zones);
		host_metrics_text(&o);
		zone_metrics_text(&o);
		ledger_metrics(&o);
		czd_metrics(&o);
	}
	gate_metrics(&o);
	if (o.openmetrics)
		strbuf_puts(text, "# EOF\n");
}

/* --- serving --------------------------------------------------------------------------------- */

static struct MHD_Response *make(struct gate *g, enum metrics_form form)
{
	static const char *const types[] = {
	    [METRICS_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
	    [METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
	};
	struct strbuf text = {0};

	metrics_text(g, form, &text);
	if (text.failed) {
		strbuf_done(&text);
		return NULL;
	}
	return http_own_response(g, types[form], text.data, text.len);
}

void metrics_serve(struct request *r)
{
	const char *accept = request_header(r, "Accept");
	enum metrics_form form = accept && strstr(accept, "application/openmetrics-text")
				     ? METRICS_OPENMETRICS
				     : METRICS_PROMETHEUS;
	struct gate *g = r->gate;
	uint64_t now_ns = clock_mono_ns();
	__typeof__(&g->metrics.made[0]) kept = &g->metrics.made[form];

	if (kept->response &&
	    (kept->view_ns != g->view.now_ns || now_ns - kept->made_ns > FRESH_NS)) {
		MHD_destroy_response(kept->response);
		kept->response = NULL;
	}
	if (!kept->response) {
		kept->response = make(g, form);
		kept->view_ns = g->view.now_ns;
		kept->made_ns = now_ns;
	}
	r->shared = true;
	if (kept->response)
		request_answer(r, MHD_HTTP_OK, kept->response);
	else
		request_busy(r);
}

void metrics_done(struct metrics *m)
{
	for (int i = 0; i < METRICS_FORMS; i++) {
		if (m->made[i].response)
			MHD_destroy_response(m->made[i].response);
	}
	pairs_done(&m->pairs);
}
