/* SPDX-License-Identifier: MIT */
/*
 * The wait ledger in real cgroups: sums against the kernel's run_delay, shares against an
 * independent replay, over all mixes; then what it must name, and never name; moves, nesting, full
 * tables.
 */
#include "../unit/test.h"
#include <poll.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "ledger-mix.h"

#define SUM_PPM_MAX	  5000
#define THROTTLED_PPM_MAX 10000
#define SHARE_PPM_MAX	  30000
#define MS		  1000000ull
#define LAST_CPU	  ((int)sysconf(_SC_NPROCESSORS_CONF) - 1)

static void wait_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static struct ledger *open_ledger(uint32_t max_zones)
{
	struct ledger_options o = {.max_zones = max_zones};
	struct error err = {0};
	struct ledger *l = NULL;

	if (ledger_open(&o, &l, &err))
		fail_msg("%s", err.msg);
	return l;
}

static struct ledger_totals read_zone(struct ledger *l, const char *group)
{
	struct ledger_totals t;

	assert_int_equal(ledger_read(l, mix_group_id(group), &t, NULL, 0), 0);
	return t;
}

static uint64_t charged(struct ledger *l, const char *victim, const char *culprit)
{
	struct ledger_cell cells[256];
	struct ledger_totals t;

	assert_int_equal(ledger_read(l, mix_group_id(victim), &t, cells, 256), 0);
	for (size_t i = 0; i < t.nr_parts; i++)
		if (cells[i].culprit_id == mix_group_id(culprit))
			return cells[i].ns;
	return 0;
}

/* ---- every mix ---- */

static struct mix_result measure(const struct mix *m)
{
	struct mix_result r = {0};
	struct error err = {0};
	int error = mix_run(m, 0, &r, &err);

	if (error == -ENOENT)
		skip();
	if (error)
		fail_msg("%s", err.msg);
	print_message("%s: %llu waits, %.1f ms, sum off by %u ppm, shares by %u ppm, missed %llu, "
		      "leaked %u\n",
		      m->name, (unsigned long long)r.waits, (double)r.run_delay_ns / 1e6,
		      r.sum_error_ppm, r.share_error_ppm,
		      (unsigned long long)r.health.missed_switches_total, r.leaked_waiters);
	return r;
}

static bool sums_agree(const struct mix *m, const struct mix_result *r)
{
	return r->sum_error_ppm <= (m->quota_percent ? THROTTLED_PPM_MAX : SUM_PPM_MAX) &&
	       r->share_error_ppm <= SHARE_PPM_MAX && r->leaked_waiters == 0;
}

/* In an emulated guest one of some 30 runs of hundreds of dying tasks is off by 0.6 %, mostly as
 * the replay says too: the kernel's own account lacks it. What is off twice running is a fault. */
static void run_mix(const char *name)
{
	const struct mix *m = mix_find(name);
	struct mix_result r = measure(m);

	if (!sums_agree(m, &r))
		r = measure(m);
	assert_true(r.run_delay_ns > 10 * MS);
	assert_true(r.sum_error_ppm <= (m->quota_percent ? THROTTLED_PPM_MAX : SUM_PPM_MAX));
	assert_true(r.share_error_ppm <= SHARE_PPM_MAX);
	assert_true(r.throttled_error_ppm <= THROTTLED_PPM_MAX);
	assert_int_equal(r.leaked_waiters, 0);
	assert_int_equal(r.health.waiters_overflow_total, 0);
	if (m->hog_shares[0]) {
		double a = r.hog_share_ppm[0], b = r.hog_share_ppm[1];

		assert_true(a / (a + b) > 0.65 && a / (a + b) < 0.75);
	}
}

static void test_sine(void **state)
{
	run_mix("sine+hog");
}
static void test_four_waiters(void **state)
{
	run_mix("4waiters+hog");
}
static void test_two_hogs(void **state)
{
	run_mix("two-hogs");
}
static void test_switch(void **state)
{
	run_mix("switch");
}
static void test_messaging(void **state)
{
	run_mix("messaging");
}
static void test_throttled(void **state)
{
	run_mix("throttled");
}
static void test_throttled_hog(void **state)
{
	run_mix("throttled+hog");
}
static void test_moves(void **state)
{
	run_mix("moves");
}
/* Taking a CPU away disturbs all that is pinned on it for good: only in a guest of our own, or on
 * request. */
static void test_hotplug(void **state)
{
	if (!getenv("CZ_GUEST") && !getenv("CZ_TEST_HOTPLUG"))
		skip();
	run_mix("hotplug");
}

/* ---- who is named, and who is not ---- */

static void test_decoy(void **state)
{
	struct ledger *l = open_ledger(256);

	if (LAST_CPU == 0)
		skip();
	mix_spawn("victim", "burst", LAST_CPU);
	mix_spawn("hog-a", "spin", LAST_CPU);
	mix_spawn("decoy", "spin", 0);
	assert_int_equal(ledger_protect(l, mix_group_id("victim"), 0), 0);
	mix_go();
	wait_ms(1500);
	assert_true(charged(l, "victim", "hog-a") > 10 * MS);
	assert_int_equal(charged(l, "victim", "decoy"), 0);
	mix_kill_all();
	ledger_close(l);
}

static void test_self(void **state)
{
	struct ledger *l = open_ledger(256);
	struct ledger_totals t;

	for (int i = 0; i < 3; i++)
		mix_spawn("victim", "spin", LAST_CPU);
	assert_int_equal(ledger_protect(l, mix_group_id("victim"), 0), 0);
	mix_go();
	wait_ms(1500);
	t = read_zone(l, "victim");
	assert_true(t.cause_ns[CAUSE_SELF] > 100 * MS);
	assert_int_equal(charged(l, "victim", "victim"), 0);
	assert_int_equal(t.busiest_cpu, LAST_CPU);
	mix_kill_all();
	ledger_close(l);
}

static void test_nothing_waits(void **state)
{
	struct ledger *l = open_ledger(256);
	struct ledger_totals t;

	mix_group_id("victim");
	assert_int_equal(ledger_protect(l, mix_group_id("victim"), 0), 0);
	wait_ms(200);
	t = read_zone(l, "victim");
	assert_int_equal(t.wait_ns, 0);
	assert_int_equal(t.waits, 0);
	assert_int_equal(t.busiest_cpu, -1);
	ledger_close(l);
}

/* A child's waiting is its parent's, unless it is protected itself: then it is only its own. */
static void test_nesting(void **state)
{
	struct ledger *l = open_ledger(256);
	uint64_t before;

	mix_group_id("victim");
	mix_group_id("victim/child");
	mix_spawn("victim/child", "spin", LAST_CPU);
	mix_spawn("hog-a", "spin", LAST_CPU);
	assert_int_equal(ledger_protect(l, mix_group_id("victim"), 0), 0);
	mix_go();
	wait_ms(800);
	assert_true(charged(l, "victim", "hog-a") > 10 * MS);
	assert_int_equal(ledger_protect(l, mix_group_id("victim/child"), 0), 0);
	wait_ms(50);
	before = read_zone(l, "victim").wait_ns;
	wait_ms(800);
	assert_true(charged(l, "victim/child", "hog-a") > 10 * MS);
	assert_int_equal(read_zone(l, "victim").wait_ns, before);
	ledger_unprotect(l, mix_group_id("victim/child"));
	wait_ms(400);
	assert_true(read_zone(l, "victim").wait_ns > before);
	mix_kill_all();
	ledger_close(l);
}

static uint64_t run_delay_of(int pid)
{
	char path[64];
	unsigned long long ran, waited = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%llu %llu", &ran, &waited) != 2)
		waited = 0;
	if (f)
		fclose(f);
	return waited;
}

/* Tasks that wait already when their zone becomes protected are counted from then on. */
static void test_protect_late(void **state)
{
	struct ledger *l = open_ledger(256);
	uint64_t delay = 0, wait;
	int pids[4];

	for (int i = 0; i < 4; i++)
		pids[i] = mix_spawn("victim", "spin", LAST_CPU);
	mix_go();
	wait_ms(300);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(ledger_protect(l, mix_group_id("victim"), 0), 0);
		for (int i = 0; i < 4; i++)
			delay -= run_delay_of(pids[i]);
		wait_ms(1000);
		for (int i = 0; i < 4; i++)
			delay += run_delay_of(pids[i]);
		wait = read_zone(l, "victim").wait_ns;
		/* Waits under way at either end: at most four of some tens of milliseconds. */
		assert_true(wait > delay * 9 / 10 && wait < delay * 11 / 10);
		ledger_unprotect(l, mix_group_id("victim"));
		delay = 0;
	}
	mix_kill_all();
	ledger_close(l);
}

/* ---- the fast path ---- */

struct seen_events {
	uint64_t victim, culprit; /* awaited */
	int nr, nr_right;
	struct fast_event first;
};

static void on_event(const struct fast_event *e, void *arg)
{
	struct seen_events *s = arg;

	s->nr++;
	assert_int_equal(e->victim_id, s->victim);
	assert_true(e->now_ns > e->since_ns);
	assert_true(e->foreign_ns <= e->now_ns - e->since_ns + MS / 10);
	if (e->culprit_id == s->culprit && !s->nr_right++)
		s->first = *e;
}

static void test_fast_event(void **state)
{
	struct ledger *l = open_ledger(256);
	struct pollfd p = {.fd = ledger_event_fd(l), .events = POLLIN};
	struct seen_events seen = {0};
	uint64_t end;

	seen.victim = mix_group_id("victim");
	seen.culprit = mix_group_id("hog-a");
	mix_spawn("victim", "burst", LAST_CPU);
	mix_spawn("hog-a", "spin", LAST_CPU);
	assert_int_equal(ledger_protect(l, seen.victim, 300000), 0);
	mix_go();
	end = clock_mono_ns() + 2000 * MS;
	while (clock_mono_ns() < end)
		if (poll(&p, 1, 20) > 0)
			assert_true(ledger_drain(l, on_event, &seen) >= 0);
	assert_true(seen.nr_right > 0);
	assert_true(seen.nr < 2000); /* at most one a millisecond */
	assert_int_equal(seen.first.cpu, LAST_CPU);
	assert_true(seen.first.foreign_ns >= 290000);
	assert_true(seen.first.pid > 0);
	assert_true(seen.first.comm[0]);
	/* A threshold of 0 asks for no events. */
	assert_int_equal(ledger_protect(l, seen.victim, 0), -EEXIST);
	wait_ms(50);
	(void)ledger_drain(l, on_event, &seen);
	seen.nr = 0;
	wait_ms(500);
	(void)ledger_drain(l, on_event, &seen);
	assert_int_equal(seen.nr, 0);
	mix_kill_all();
	ledger_close(l);
}

/* ---- limits ---- */

static void test_protect_limits(void **state)
{
	struct ledger *l = open_ledger(256);
	struct ledger_totals t;
	uint64_t counts[LEDGER_BUCKETS];

	for (uint64_t i = 0; i < LEDGER_VICTIMS_MAX; i++)
		assert_int_equal(ledger_protect(l, 1000000000000 + i, 0), 0);
	assert_int_equal(ledger_protect(l, 2000000000000, 0), -ENOSPC);
	assert_int_equal(ledger_protect(l, 1000000000000, 0), -EEXIST);
	ledger_unprotect(l, 1000000000005);
	assert_int_equal(ledger_protect(l, 2000000000000, 0), 0);
	assert_int_equal(ledger_read(l, 1000000000005, &t, NULL, 0), -ENOENT);
	assert_int_equal(ledger_hist(l, 1000000000005, counts), -ENOENT);
	assert_int_equal(ledger_protect(l, 0, 0), -EINVAL);
	ledger_close(l);
}

/* More zones than slots: unknown, never a wrong name. What is forgotten makes room again. */
static void test_slots_full(void **state)
{
	struct ledger *l = open_ledger(1);
	struct ledger_health h;
	struct ledger_totals t;

	mix_spawn("victim", "spin", LAST_CPU);
	mix_spawn("hog-a", "spin", LAST_CPU);
	assert_int_equal(ledger_protect(l, mix_group_id("victim"), 0), 0);
	mix_go();
	wait_ms(800);
	ledger_health(l, &h);
	t = read_zone(l, "victim");
	assert_true(h.slots_overflow_total > 0);
	assert_true(t.cause_ns[CAUSE_UNKNOWN] > 10 * MS);
	mix_kill_all();
	ledger_close(l);
}

static void test_forget(void **state)
{
	struct ledger *l = open_ledger(256);
	uint64_t ns, wait;

	mix_spawn("victim", "spin", LAST_CPU);
	mix_spawn("hog-a", "spin", LAST_CPU);
	assert_int_equal(ledger_protect(l, mix_group_id("victim"), 0), 0);
	mix_go();
	wait_ms(500);
	mix_kill_all();
	ns = charged(l, "victim", "hog-a");
	wait = read_zone(l, "victim").wait_ns;
	assert_true(ns > 10 * MS);
	ledger_forget(l, mix_group_id("hog-a"));
	assert_true(charged(l, "victim", "hog-a") == ns); /* still named while there is room */
	assert_true(read_zone(l, "victim").wait_ns == wait);
	ledger_close(l);
}

static void test_histogram(void **state)
{
	struct ledger *l = open_ledger(256);
	uint64_t counts[LEDGER_BUCKETS], sum = 0, low = 0, high = 0, last = 0;
	struct ledger_totals t;

	for (unsigned int b = 1; b < LEDGER_BUCKETS; b++) {
		assert_true(ledger_bucket_ns(b) > ledger_bucket_ns(b - 1));
		if (b >= 16)
			assert_true(ledger_bucket_ns(b) <= ledger_bucket_ns(b - 1) * 9 / 8 + 1);
	}
	mix_spawn("victim", "spin", LAST_CPU);
	mix_spawn("hog-a", "spin", LAST_CPU);
	assert_int_equal(ledger_protect(l, mix_group_id("victim"), 0), 0);
	mix_go();
	wait_ms(800);
	mix_kill_all();
	t = read_zone(l, "victim");
	assert_int_equal(ledger_hist(l, mix_group_id("victim"), counts), 0);
	for (unsigned int b = 0; b < LEDGER_BUCKETS; b++) {
		sum += counts[b];
		low += counts[b] * last;
		high += counts[b] * (ledger_bucket_ns(b) + 1);
		last = ledger_bucket_ns(b);
	}
	assert_int_equal(sum, t.waits);
	/* The waits it holds bracket the time waited (a wait unseen in the table would break that).
	 */
	assert_true(low <= t.wait_ns * 101 / 100 && high >= t.wait_ns * 99 / 100);
	ledger_close(l);
}

/* Own cost is only measured on request, and the parts that need the kernel say whether they work.
 */
static void test_measure(void **state)
{
	struct ledger *l = open_ledger(256);
	struct ledger_health h;
	uint64_t before;

	assert_int_equal(ledger_protect(l, mix_group_id("victim"), 0), 0);
	wait_ms(50);
	assert_int_equal(ledger_measure(l, true), 0);
	ledger_health(l, &h);
	before = h.run_count_total; /* not 0 where somebody else measures at the same time */
	wait_ms(100);
	assert_int_equal(ledger_measure(l, false), 0);
	ledger_health(l, &h);
	assert_true(h.run_count_total > before);
	assert_true(h.run_time_ns_total > 0);
	ledger_close(l);
}

static int teardown(void **state)
{
	mix_kill_all();
	return 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_nothing_waits),  TEST(test_sine),		 TEST(test_four_waiters),
	    TEST(test_two_hogs),       TEST(test_switch),	 TEST(test_messaging),
	    TEST(test_throttled),      TEST(test_throttled_hog), TEST(test_moves),
	    TEST(test_hotplug),	       TEST(test_decoy),	 TEST(test_self),
	    TEST(test_nesting),	       TEST(test_protect_late),	 TEST(test_fast_event),
	    TEST(test_protect_limits), TEST(test_slots_full),	 TEST(test_forget),
	    TEST(test_histogram),      TEST(test_measure),
	};
	struct ledger_options o = {.max_zones = 16};
	struct error err = {0};
	struct ledger *l;
	int failed, r = mix_open(&err);

	if (!r)
		r = ledger_open(&o, &l, &err);
	if (r) {
		printf("skip: %s\n", err.msg);
		mix_close();
		return r == -EPERM || r == -EOPNOTSUPP ? 77 : 1;
	}
	ledger_close(l);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	mix_close();
	return failed ? 1 : 0;
}
