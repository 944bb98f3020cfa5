/* SPDX-License-Identifier: MIT */
/*
 * zones/ against more real cgroups than it likes: a burst of 2,000, an overflow of the event queue,
 * too many zones, a lack of fds and of watches.
 */
#include "zones-env.h"

static unsigned int count_dirs(struct zones *zs)
{
	unsigned int n = 0;

	zones_for_each(zs, z) n += strstr(z->path, TOP "-m/") != NULL;
	return n;
}

static void make_many(int from, int n)
{
	char name[64];

	for (int i = from; i < from + n; i++) {
		snprintf(name, sizeof(name), "-m/%d", i);
		make(name);
	}
}

static void drop_many(int from, int n)
{
	char name[64];

	for (int i = from; i < from + n; i++) {
		snprintf(name, sizeof(name), "-m/%d", i);
		drop(name);
	}
}

static void test_burst(void)
{
	struct zones *zs = start();
	struct zones_stats st;
	uint64_t rescans;

	zones_stats(zs, &st);
	rescans = st.rescans_total;
	make("-m");
	make_many(0, 2000);
	settle(zs);
	CHECK(count_dirs(zs) == 2000);
	check_order(zs);
	drop_many(0, 1999);
	settle_sliced(zs);
	CHECK(count_dirs(zs) == 1);
	zones_stats(zs, &st);
	CHECK(st.overflows_total == 0 && st.rescans_total == rescans && !st.degraded);
	CHECK(st.watches == st.count);
	drop_many(1999, 1);
	drop("-m");
	settle(zs);
	CHECK(seen.added == seen.removed && seen.added == 2001);
	zones_free(zs);
}

static void test_overflow(void)
{
	struct zones *zs = start();
	struct zones_stats st;

	make("-m");
	make_many(0, 50);
	settle(zs);
	/* more events than the queue holds (max_queued_events, 16,384 as a rule) */
	for (int i = 0; i < 9000; i++) {
		make("-m/x");
		drop("-m/x");
	}
	drop_many(0, 25);
	make_many(100, 10);
	settle_sliced(zs);
	zones_stats(zs, &st);
	CHECK(st.overflows_total >= 1);
	CHECK(count_dirs(zs) == 35 && !get(zs, "-m/x") && get(zs, "-m/105"));
	drop_many(25, 25);
	drop_many(100, 10);
	drop("-m");
	settle(zs);
	CHECK(seen.added == seen.removed);
	zones_free(zs);
}

static void test_bound(void)
{
	struct zones *zs = start();
	struct zones_stats st;
	uint32_t before = config.max_zones;

	config.max_zones = (uint32_t)zones_count(zs) + 10;
	make("-m");
	make_many(0, 40);
	settle(zs);
	zones_stats(zs, &st);
	CHECK(st.count == config.max_zones && st.refused_total >= 31);
	/* there is room again: the others are found, without an event of their own */
	config.max_zones = before;
	zones_process(zs, clock_mono_ns() + 20000000000ull, NULL);
	settle(zs);
	CHECK(count_dirs(zs) == 40);
	drop_many(0, 40);
	drop("-m");
	settle(zs);
	zones_free(zs);
}

static int no_fds(enum kio_op op)
{
	return op == KIO_OPEN ? -EMFILE : 0;
}

static void test_no_fds(void)
{
	struct zones *zs = start();

	make("-m");
	make_many(0, 5);
	kio_fault = no_fds;
	settle(zs);
	CHECK(!get(zs, "-m"));
	kio_fault = NULL;
	zones_process(zs, clock_mono_ns() + 3000000000ull, NULL);
	settle(zs);
	CHECK(count_dirs(zs) == 5);
	/* a removal that cannot be checked is not believed, and is found later */
	kio_fault = no_fds;
	drop_many(0, 5);
	settle(zs);
	kio_fault = NULL;
	zones_process(zs, clock_mono_ns() + 6000000000ull, NULL);
	settle(zs);
	CHECK(count_dirs(zs) == 0);
	drop("-m");
	settle(zs);
	zones_free(zs);
}

static int no_watches(enum kio_op op)
{
	return op == KIO_WATCH ? -ENOSPC : 0;
}

/* Without watches the tree is rescanned, and said to be; with them again all is as before. */
static void test_degraded(void)
{
	uint64_t later_ns = clock_mono_ns() + 6000000000ull;
	struct zones_stats st;
	struct zones *zs;

	kio_fault = no_watches;
	zs = start();
	zones_stats(zs, &st);
	CHECK(st.degraded && st.watches == 0);
	make("-m");
	make_many(0, 5);
	for (int i = 0; i < 3; i++, later_ns += 6000000000ull)
		zones_process(zs, later_ns, NULL);
	CHECK(count_dirs(zs) == 5);
	drop_many(0, 5);
	zones_process(zs, later_ns, NULL);
	CHECK(get(zs, "-m") && count_dirs(zs) == 0);
	kio_fault = NULL;
	zones_process(zs, later_ns + 120000000000ull, NULL);
	zones_process(zs, later_ns + 240000000000ull, NULL);
	zones_stats(zs, &st);
	CHECK(!st.degraded && st.watches == st.count);
	drop("-m");
	settle(zs);
	CHECK(!get(zs, "-m"));
	zones_free(zs);
}

int main(void)
{
	static const struct zones_test tests[] = {
	    {"burst", test_burst},   {"overflow", test_overflow},   {"bound", test_bound},
	    {"no fds", test_no_fds}, {"no watches", test_degraded},
	};

	return run_tests(tests, ARRAY_SIZE(tests));
}
