/* SPDX-License-Identifier: MIT */
/* What cz-gate makes of czd's snapshots: its view, the pairs, the text of /metrics. */
#include <stdlib.h>
#include <string.h>
#include "test.h"
#include "gate/gate.h"
#include "gate/metrics-text.h"

static void test_metric_names(void **state)
{
	static const struct {
		struct metric_desc d;
		const char *name;
	} cases[] = {
	    {{"cpu_usage_ns_total", "ns", METRIC_COUNTER, ""}, "cz_cpu_usage_seconds_total"},
	    {{"wait_p99_ns", "ns", METRIC_GAUGE, ""}, "cz_wait_p99_seconds"},
	    {{"memory_bytes", "bytes", METRIC_GAUGE, ""}, "cz_memory_bytes"},
	    {{"tasks", "1", METRIC_GAUGE, ""}, "cz_tasks"},
	    {{"cost_ppm", "ppm", METRIC_GAUGE, ""}, "cz_cost_ratio"},
	    {{"read_bytes_total", "bytes", METRIC_COUNTER, ""}, "cz_read_bytes_total"},
	    {{"refault_pages_total", "pages", METRIC_COUNTER, ""}, "cz_refault_pages_total"},
	    {{"limit_bytes_per_second", "bytes", METRIC_GAUGE, ""}, "cz_limit_bytes_per_second"},
	    {{"periods_total", "1", METRIC_COUNTER, ""}, "cz_periods_total"},
	};
	struct metric_family f;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		family_of(&cases[i].d, "cz_", &f);
		assert_string_equal(f.name, cases[i].name);
	}
}

static void test_metric_text(void **state)
{
	static const struct metric_desc d = {"x_ns_total", "ns", METRIC_COUNTER, "a\\b\nc"};
	struct strbuf out = {0}, labels = {0};
	struct metric_family f;

	family_of(&d, "cz_", &f);
	text_label(&labels, "zone", "a\"b\\c\nd");
	text_label(&labels, "class", "be");
	text_family(&out, &f, true);
	text_sample(&out, &f, labels.data, 1500000001);
	text_family(&out, &f, false);
	text_sample(&out, &f, "", 2000000000);
	assert_string_equal(
	    out.data, "# HELP cz_x_seconds a\\\\b\\nc\n# TYPE cz_x_seconds counter\n"
		      "cz_x_seconds_total{zone=\"a\\\"b\\\\c\\nd\",class=\"be\"} 1.500000001\n"
		      "# HELP cz_x_seconds_total a\\\\b\\nc\n# TYPE cz_x_seconds_total counter\n"
		      "cz_x_seconds_total 2\n");
	strbuf_done(&out);
	strbuf_done(&labels);
}

/* A snapshot of two zones that share a name; CPU time and memory are in other columns than here. */
static json_t *snapshot(int run, int now, int window, bool whole, int cpu, int pair)
{
	json_t *zones =
	    whole ? json_pack(
			"[{s:i,s:s,s:s,s:s,s:s,s:b,s:[i,i,i]},{s:i,s:s,s:s,s:s,s:s,s:b,s:[n,i,i]}]",
			"id", 1, "name", "web", "path", "/a/web", "kind", "cgroup", "class", "lc",
			"class_own", 1, "values", 7, cpu, 100, "id", 2, "name", "web", "path",
			"/b/web", "kind", "vm", "class", "be", "class_own", 1, "values", 5, 200)
		  : json_pack("[{s:i,s:o}]", "id", 1, "values", json_sprintf("7,%d,100", cpu));

	return json_pack(
	    "{s:i,s:i,s:i,s:i,s:i,s:b,s:b,s:[s,s,s],s:o,s:[],s:[],s:[{s:i,s:[{s:i,s:s,s:s,s:i}]}],"
	    "s:{},s:{},s:i}",
	    "run", run, "tree", 1, "now_ns", now, "real_ns", 5, "window_ns", window, "whole", whole,
	    "same", 0, "zone_columns", "of_the_future_total", "cpu_usage_ns_total", "memory_bytes",
	    "zones", zones, "host_columns", "host", "ledgers", "zone", 1, "pairs", "culprit", 2,
	    "name", "web", "class", "be", "ns_total", pair, "mode", "self", "event_seq", 3);
}

static void take(struct view *v, struct pairs *p, json_t *answer)
{
	struct error e = {0};

	assert_int_equal(view_take(v, answer, &e), 1);
	assert_int_equal(pairs_take(p, v), 0);
	json_decref(answer);
}

static uint64_t hurt_ns(struct pairs *p)
{
	uint64_t ns = 0, n = 0;

	pairs_for_each(p, x)
	{
		assert_string_equal(x->victim, "web");
		assert_string_equal(x->culprit, "/b/web");
		assert_int_equal(x->culprit_class, CLASS_BE);
		ns = x->ns_total;
		n++;
	}
	assert_int_equal(n, 1);
	return ns;
}

static void test_view(void **state)
{
	struct view v = {0};
	struct pairs p = {0};
	uint64_t ppm = 0;

	take(&v, &p, snapshot(9, 1000, 1000, true, 500, 10));
	assert_int_equal(v.nr_zones, 2);
	assert_string_equal(view_zone(&v, 1)->label, "web");
	assert_string_equal(view_zone(&v, 2)->label, "/b/web");
	assert_int_equal(view_zone(&v, 2)->kind, ZONE_VM);
	assert_false(view_rate_ppm(&v, view_zone(&v, 1), ZM_CPU_USAGE_NS,
				   &ppm)); /* one reading is no rate */
	assert_int_equal(hurt_ns(&p), 10);
	take(&v, &p, snapshot(9, 2000, 1000, false, 750, 30));
	assert_true(view_rate_ppm(&v, view_zone(&v, 1), ZM_CPU_USAGE_NS, &ppm));
	assert_int_equal(ppm, 250000);
	assert_true(view_rate_ppm(&v, view_zone(&v, 2), ZM_CPU_USAGE_NS, &ppm)); /* did not move */
	assert_int_equal(ppm, 0);
	assert_int_equal(view_zone(&v, 2)->value[ZM_MEM_BYTES], 200);
	assert_int_equal(hurt_ns(&p), 30);
	/* the ledger began anew, then czd did: what was counted stays */
	take(&v, &p, snapshot(9, 3000, 1000, true, 800, 5));
	assert_int_equal(hurt_ns(&p), 35);
	take(&v, &p, snapshot(10, 4000, 1000, true, 1, 40));
	assert_int_equal(hurt_ns(&p), 75);
	pairs_done(&p);
	view_reset(&v);
}

/* One zone goes, one is renamed, one comes, all in one answer. */
static void test_view_of_a_changed_tree(void **state)
{
	struct view v = {0};
	struct pairs p = {0};
	struct error e = {0};
	uint64_t ppm = 0;
	json_t *a;

	take(&v, &p, snapshot(9, 1000, 1000, true, 500, 10));
	a = snapshot(9, 2000, 1000, false, 600, 10);
	json_object_set_new(a, "gone", json_pack("[i,i]", 2, 77));
	json_object_set_new(a, "zones",
			    json_pack("[{s:i,s:s,s:s,s:s,s:[i,i,i]},{s:i,s:s,s:s,s:s,s:[i,i]}]",
				      "id", 1, "name", "site", "path", "/a/site", "class", "normal",
				      "values", 7, 600, 100, "id", 3, "name", "new", "path", "/new",
				      "class", "be", "values", 7, 900));
	assert_int_equal(view_take(&v, a, &e), 1);
	json_decref(a);
	assert_int_equal(v.nr_zones, 2);
	assert_null(view_zone(&v, 2));
	assert_string_equal(view_zone(&v, 1)->label, "site");
	assert_int_equal(view_zone(&v, 1)->class, CLASS_NORMAL);
	assert_true(
	    view_rate_ppm(&v, view_zone(&v, 1), ZM_CPU_USAGE_NS, &ppm)); /* still the same zone */
	assert_int_equal(ppm, 100000);
	assert_string_equal(view_zone(&v, 3)->name, "new");
	assert_false(view_rate_ppm(&v, view_zone(&v, 3), ZM_CPU_USAGE_NS, &ppm));
	pairs_done(&p);
	view_reset(&v);
}

static void test_view_of_nonsense(void **state)
{
	static const char *const texts[] = {
	    "{}",
	    "{'run':1,'zones':5}",
	    "{'run':1,'zones':[]}",
	    "{'run':1,'whole':true,'zones':[5]}",
	    "{'run':1,'whole':true,'zones':[{'id':1}]}",
	    "{'run':1,'whole':true,'zones':[{'name':'a','path':'/a','class':'huge'}]}",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *text = strdup(texts[i]);
		json_t *j;
		struct view v = {0};
		struct error e = {0};

		for (char *quote = text; (quote = strchr(quote, '\'')) != NULL;)
			*quote = '"';
		j = json_loads(text, 0, NULL);
		assert_non_null(j);
		assert_int_equal(view_take(&v, j, &e), -EPROTO);
		assert_false(v.known);
		free(text);
		view_reset(&v);
		json_decref(j);
	}
}

/* A gate that listens and asks nobody. */
static void open_gate(struct gate *g)
{
	struct error e = {0};

	assert_true(sd_event_new(&g->loop) >= 0);
	assert_int_equal(czd_new(g->loop, "/nowhere", 1, &g->watch), 0);
	assert_int_equal(czd_new(g->loop, "/nowhere", 1, &g->ask), 0);
	assert_int_equal(czd_new(g->loop, "/nowhere", 1, &g->change), 0);
	assert_int_equal(stream_new(g, &g->stream), 0);
	assert_int_equal(http_new(g, &g->http, &e), 0);
}

static void close_gate(struct gate *g)
{
	metrics_done(&g->metrics);
	http_free(g->http);
	stream_free(g->stream);
	czd_free(g->watch);
	czd_free(g->ask);
	czd_free(g->change);
	view_reset(&g->view);
	sd_event_unref(g->loop);
}

/* Any metric of the table, the last ones too, is told when it is known, and only then. */
static void test_unknown_is_no_series(void **state)
{
	static const struct gate_options o = {.listen = "127.0.0.1:0", .zones_max = 10};
	struct gate g = {.opt = &o};
	json_t *a = snapshot(9, 1000, 1000, true, 500, 10);
	struct strbuf text = {0};

	open_gate(&g);
	json_object_set_new(a, "zone_columns",
			    json_pack("[s,s,s]", "tasks", "cpu_usage_ns_total", "memory_bytes"));
	take(&g.view, &g.metrics.pairs, a);
	metrics_text(&g, METRICS_PROMETHEUS, &text);
	assert_non_null(strstr(text.data, "\ncz_zone_cpu_usage_seconds_total{"));
	assert_non_null(strstr(text.data, "\ncz_zone_tasks{zone=\"web\",class=\"lc\","
					  "kind=\"cgroup\"} 7\n"));
	assert_null(strstr(text.data, "\ncz_zone_tasks{zone=\"/b/web\""));
	assert_null(strstr(text.data, "\ncz_zone_syscalls_total{"));
	strbuf_done(&text);
	close_gate(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_metric_names),	   cmocka_unit_test(test_metric_text),
	    cmocka_unit_test(test_unknown_is_no_series),   cmocka_unit_test(test_view),
	    cmocka_unit_test(test_view_of_a_changed_tree), cmocka_unit_test(test_view_of_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
