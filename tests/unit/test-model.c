/* SPDX-License-Identifier: MIT */
#include "base/cleanup.h"
#include "model/action.h"
#include "model/config.h"
#include "model/finding.h"
#include "model/metric.h"
#include "model/snapshot.h"
#include "test.h"

/* Every member has a name of its own, and the value after the last has none. */
#define CHECK_NAMES(func, nr)                                                                      \
	do {                                                                                       \
		for (int i_ = 0; i_ < (nr); i_++) {                                                \
			assert_string_not_equal(func(i_), "?");                                    \
			for (int j_ = 0; j_ < i_; j_++)                                            \
				assert_string_not_equal(func(i_), func(j_));                       \
		}                                                                                  \
		assert_string_equal(func(nr), "?");                                                \
	} while (0)

static void test_names(void **state)
{
	CHECK_NAMES(zone_kind_name, ZONE_VM + 1);
	CHECK_NAMES(zone_class_name, CLASS_BE + 1);
	CHECK_NAMES(cause_name, CAUSE_NR);
	CHECK_NAMES(cause_help, CAUSE_NR);
	CHECK_NAMES(severity_name, SEVERITY_CRITICAL + 1);
	CHECK_NAMES(resource_name, RESOURCE_UNKNOWN + 1);
	CHECK_NAMES(knob_name, KNOB_NR);
	CHECK_NAMES(action_state_name, ACTION_EXPIRED + 1);
	CHECK_NAMES(outcome_name, OUTCOME_UNMEASURED + 1);
	CHECK_NAMES(guard_mode_name, MODE_ENFORCE + 1);
}

static void test_parse_names(void **state)
{
	enum zone_class class = CLASS_BE;
	enum guard_mode mode;
	enum knob knob;

	for (int k = 0; k < KNOB_NR; k++) {
		assert_int_equal(knob_parse(knob_name(k), &knob), 0);
		assert_int_equal(knob, k);
	}
	assert_int_equal(zone_class_parse("lc", &class), 0);
	assert_int_equal(class, CLASS_LC);
	assert_int_equal(zone_class_parse("LC", &class), -EINVAL);
	assert_int_equal(zone_class_parse("", &class), -EINVAL);
	assert_int_equal(class, CLASS_LC);
	assert_int_equal(guard_mode_parse("enforce", &mode), 0);
	assert_int_equal(mode, MODE_ENFORCE);
}

static void test_slo(void **state)
{
	static const char *const exact[] = {
	    "wait.p99=500us,share=5%,latency.p99=2ms",
	    "wait.p99=1s",
	    "share=12.5%",
	    "share=0.0001%",
	    "latency.p99=1234567ns",
	};
	char buf[128];
	struct slo s;

	for (size_t i = 0; i < ARRAY_SIZE(exact); i++) {
		assert_int_equal(slo_parse_kept(exact[i], &s, NULL), 0);
		assert_true(slo_is_set(&s));
		assert_string_equal(slo_format(&s, buf, sizeof(buf)), exact[i]);
	}
	s = (struct slo){0};
	assert_false(slo_is_set(&s));
	assert_string_equal(slo_format(&s, buf, sizeof(buf)), "");
}

static void test_slo_errors(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"wait.p99=500uss", "wait.p99: '500uss' is not a time (ns, us, ms, s)"},
	    {"wait.p99", "wait.p99: needs a value, as in wait.p99=..."},
	    {"share=110%", "share: '110%' is not a share (0% to 100%)"},
	    {"share=0", "share: a goal must be above 0"},
	    {"share=1%,share=2%", "share: given twice"},
	    {"wait.p50=1ms", "'wait.p50' is not a goal (wait.p99, share, latency.p99)"},
	    {"", "'' is not a goal (wait.p99, share, latency.p99)"},
	    {"share=1%,", "'' is not a goal (wait.p99, share, latency.p99)"},
	    {"wait.p99=\033[2J", "wait.p99: '\\x1b[2J' is not a time (ns, us, ms, s)"},
	    {"latency.p99=99999999h", "latency.p99: '99999999h' is too long a time"},
	    {"wait.p99=1us", "wait.p99: 1 us is out of range (10 us to 10 s)"},
	    {"wait.p99=100s", "wait.p99: 100 s is out of range (10 us to 10 s)"},
	    {"share=0.01%", "share: 0.0 % is out of range (0.1 % to 100.0 %)"},
	    {"share=5%,latency.p99=1ns", "latency.p99: 1 ns is out of range (1 us to 60 m)"},
	};
	struct slo s = {.wait_p99_ns = 42};
	struct error err;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(slo_parse(cases[i].text, &s, &err) < 0);
		assert_string_equal(err.msg, cases[i].message);
	}
	assert_int_equal(s.wait_p99_ns, 42);
}

/*  0 root, 1 a, 2 b, 3 a/x, 4 a/x/y, 5 a/z, 6 b/w, 7 orphan (its parent is not known) */
static const struct zone_view zones[] = {
    {.id = 10, .parent = NO_ZONE, .depth = 0}, {.id = 11, .parent = 0, .depth = 1},
    {.id = 12, .parent = 0, .depth = 1},       {.id = 13, .parent = 1, .depth = 2},
    {.id = 14, .parent = 3, .depth = 3},       {.id = 15, .parent = 1, .depth = 2},
    {.id = 16, .parent = 2, .depth = 2},       {.id = 17, .parent = NO_ZONE, .depth = 2},
};
static const struct ledger_view ledgers[] = {{.zone = 4}, {.zone = 2}};
static const struct snapshot snap = {
    .nr_zones = ARRAY_SIZE(zones),
    .zones = zones,
    .nr_ledgers = ARRAY_SIZE(ledgers),
    .ledgers = ledgers,
};

static void test_snapshot(void **state)
{
	assert_ptr_equal(snapshot_zone(&snap, 14), &zones[4]);
	assert_null(snapshot_zone(&snap, 99));
	assert_ptr_equal(snapshot_ledger(&snap, 2), &ledgers[1]);
	assert_null(snapshot_ledger(&snap, 1));

	assert_true(snapshot_is_below(&snap, 4, 1));
	assert_true(snapshot_is_below(&snap, 4, 4));
	assert_true(snapshot_is_below(&snap, 4, 0));
	assert_false(snapshot_is_below(&snap, 1, 4));
	assert_false(snapshot_is_below(&snap, 6, 1));
	assert_false(snapshot_is_below(&snap, 7, 0));
	assert_false(snapshot_is_below(&snap, NO_ZONE, 0));
	assert_false(snapshot_is_below(&snap, 0, NO_ZONE));
}

static void test_contender(void **state)
{
	assert_int_equal(snapshot_contender(&snap, 4, 6), 2); /* a/x/y against b/w: b */
	assert_int_equal(snapshot_contender(&snap, 6, 4), 1);
	assert_int_equal(snapshot_contender(&snap, 5, 4), 3); /* siblings below a */
	assert_int_equal(snapshot_contender(&snap, 1, 2), 2);
	assert_int_equal(snapshot_contender(&snap, 1, 4), NO_ZONE); /* one in the other */
	assert_int_equal(snapshot_contender(&snap, 4, 1), NO_ZONE);
	assert_int_equal(snapshot_contender(&snap, 4, 4), NO_ZONE);
	assert_int_equal(snapshot_contender(&snap, 0, 4), NO_ZONE);
	assert_int_equal(snapshot_contender(&snap, 4, 7), NO_ZONE);
	assert_int_equal(snapshot_contender(&snap, NO_ZONE, 4), NO_ZONE);
}

static void test_config(void **state)
{
	struct config c;

	config_defaults(&c);
	assert_int_equal(c.tick_ns, 1000000000);
	assert_int_equal(c.guard.mode, MODE_OBSERVE);
	assert_int_equal(c.guard.fast_threshold_ns, 250000);
	assert_int_equal(c.guard.lease_ns, 600000000000);
	assert_false(c.guard.allow_freeze);
	assert_true(c.guard.allow_cpuset && c.guard.allow_cap && c.ledger.enabled);
	assert_true(c.fd_budget > 0 && c.fd_budget <= 16000);

	c.rules = calloc(2, sizeof(*c.rules));
	c.nr_rules = 2;
	c.rules[0].match = strdup("redis*");
	c.off_limits = calloc(2, sizeof(char *));
	c.off_limits[0] = strdup("/x/**");
	config_done(&c); /* leaks show under ASan */
	assert_null(c.rules);
}

static void test_metrics(void **state)
{
	for (int i = 0; i < ZM_NR; i++) {
		const char *name = zone_metrics[i].name;
		size_t n = strlen(name);
		bool total = n > 6 && strcmp(name + n - 6, "_total") == 0;

		assert_int_equal(total, zone_metrics[i].kind == METRIC_COUNTER);
	}
	assert_string_equal(host_metrics[HM_STEAL_NS].name, "host_steal_ns_total");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),    cmocka_unit_test(test_parse_names),
	    cmocka_unit_test(test_slo),	     cmocka_unit_test(test_slo_errors),
	    cmocka_unit_test(test_snapshot), cmocka_unit_test(test_contender),
	    cmocka_unit_test(test_config),   cmocka_unit_test(test_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
