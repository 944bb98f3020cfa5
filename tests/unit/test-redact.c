/* SPDX-License-Identifier: MIT */
/* What goes, what stays, and that a name is the same pseudonym wherever it stands. */
#include "base/cleanup.h"
#include "cli/redact.h"
#include "test.h"

static void expect_text(struct redact *r, const char *text, const char *wanted)
{
	_cleanup_(strbuf_done) struct strbuf out = {0};

	redact_text(r, text, &out);
	assert_string_equal(out.data ? out.data : "", wanted);
	assert_false(r->failed);
}

static void test_names(void **state)
{
	_cleanup_(redact_done) struct redact r = {0};
	_cleanup_(strbuf_done) struct strbuf out = {0};

	redact_learn(&r, REDACT_ZONE, "/system.slice/redis.service");
	redact_learn(&r, REDACT_ZONE, "acme/billing");
	redact_learn(&r, REDACT_ZONE, "the big one");
	redact_learn(&r, REDACT_COMMAND, "ledgerd");
	redact_learn(&r, REDACT_HOST, "db7");
	expect_text(&r, "acme/billing hurts redis.service, by ledgerd (on db7).",
		    "z2/z3 hurts z1.service, by cmd1 (on host1).");
	expect_text(&r, "/system.slice/redis.service and the big one: 4.1 ms, 97.1 %",
		    "/system.slice/z1.service and z4: 4.1 ms, 97.1 %");
	redact_zone(&r, "/system.slice/redis.service", &out);
	assert_string_equal(out.data, "/system.slice/z1.service");
	assert_int_equal(r.nr[REDACT_ZONE], 4);
}

/* Nobody told of these. */
static void test_what_looks_like_a_name(void **state)
{
	_cleanup_(redact_done) struct redact r = {0};

	expect_text(&r, "write /sys/fs/cgroup/cpu/acme-prod/cpu.idle: Permission denied",
		    "write /sys/fs/cgroup/cpu/z1/z2: Permission denied");
	expect_text(&r, "zone pod_17 of bob@example.com waits", "zone z3 of z4 waits");
	expect_text(&r, "from 10.1.2.3:80, fe80::1 and 02:42:ac:11:00:02", "from ip1, ip2 and ip3");
	expect_text(&r, "http://u:pw@acme.example/x", "z5//z6/z7");
	expect_text(&r, "put it in the idle class at 12:30:01, 3 of 4", /* nothing */
		    "put it in the idle class at 12:30:01, 3 of 4");
}

static void test_secrets(void **state)
{
	_cleanup_(redact_done) struct redact r = {.keep_names = true};

	expect_text(&r, "token=abc$%^def next", "token=REMOVED next");
	expect_text(&r, "PASSWORD: \"a b\" x", "PASSWORD: \"REMOVED\" x");
	expect_text(&r, "{\"api_key\":\"s3cr3t\"}", "{\"api_key\":\"REMOVED\"}");
	expect_text(&r, "Authorization: Bearer eyJ0.x", "Authorization: Bearer REMOVED");
	expect_text(&r, "token:abc", "token:REMOVED");
	expect_text(&r, "the token is bad; redis-7 at 10.0.0.1",
		    "the token is bad; redis-7 at 10.0.0.1");
	assert_int_equal(r.secrets, 5);
}

static void test_config(void **state)
{
	_cleanup_(redact_done) struct redact r = {0};
	_cleanup_(strbuf_done) struct strbuf out = {0};

	redact_config(
	    &r,
	    "# bob wrote this\ntick: 500ms\nzones:\n  - match: payroll # secret plan\n"
	    "    class: lc\n    slo: {wait.p99: 500us}\n  - {match: '/acme/**', class: be}\n"
	    "secret: hunter2\n",
	    &out);
	assert_string_equal(out.data,
			    "tick: 500ms\nzones:\n  - match: z1 \n    class: lc\n"
			    "    slo: {wait.p99: 500us}\n  - {match: '/z2/**', class: be}\n"
			    "secret: REMOVED\n");
}

static void test_json(void **state)
{
	_cleanup_(redact_done) struct redact r = {0};
	json_t *doc = json_pack("{s:[{s:s,s:s,s:s,s:i}],s:s}", "zones", "name", "payroll", "class",
				"lc", "comm", "payd", "pid", 7, "why", "payroll waits for payd");
	json_t *wanted = json_pack("{s:[{s:s,s:s,s:s,s:i}],s:s}", "zones", "name", "z1", "class",
				   "lc", "comm", "cmd1", "pid", 7, "why", "z1 waits for cmd1");
	json_t *shown;

	redact_learn_json(&r, doc);
	shown = redact_json(&r, doc, false);
	assert_true(json_equal(shown, wanted));
	json_decref(shown);
	json_decref(wanted);
	json_decref(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),   cmocka_unit_test(test_what_looks_like_a_name),
	    cmocka_unit_test(test_secrets), cmocka_unit_test(test_config),
	    cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
