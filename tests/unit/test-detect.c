/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include "detect/detect.h"
#include "detect/internal.h"
#include "test.h"
#include "world.h"

struct lab {
	struct world w;
	struct detect *d;
	struct finding_set f;
	uint32_t lc, hog;
};

static int lab_setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	world_init(&lab->w);
	lab->lc = world_add(&lab->w, 0, "redis", CLASS_LC);
	lab->hog = world_add(&lab->w, 0, "hog", CLASS_BE);
	lab->w.zones[lab->lc].slo.wait_p99_ns = MSEC / 2;
	assert_int_equal(detect_new(&lab->w.cfg, &lab->d), 0);
	*state = lab;
	return 0;
}

static int lab_teardown(void **state)
{
	struct lab *lab = *state;

	detect_free(lab->d);
	config_done(&lab->w.cfg);
	free(lab);
	return 0;
}

/* One second in which redis waits so much behind the hog, and so much by itself. */
static const struct finding *second(struct lab *lab, uint64_t p99_ns, uint64_t hog_ns,
				    uint64_t self_ns)
{
	struct ledger_view *l;

	world_tick(&lab->w, SEC);
	l = world_ledger(&lab->w, lab->lc, 5000, p99_ns);
	world_part(&lab->w, l, CAUSE_NEIGHBOUR, lab->hog, hog_ns);
	world_part(&lab->w, l, CAUSE_SELF, 0, self_ns);
	world_use(&lab->w, lab->lc, 250 * MSEC);
	world_use(&lab->w, lab->hog, 700 * MSEC);
	detect_run(lab->d, &lab->w.s, &lab->f);
	return lab->f.nr ? &lab->f.items[0] : NULL;
}

static void test_extreme_raises_at_once(void **state)
{
	struct lab *lab = *state;
	const struct finding *f = second(lab, 4 * MSEC + MSEC / 10, 235 * MSEC, 3 * MSEC);

	assert_non_null(f);
	assert_true(f->open);
	assert_int_equal(f->seq, 1);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
	assert_int_equal(f->severity, SEVERITY_CRITICAL);
	assert_int_equal(f->since_ns, 1000 * SEC);
	assert_int_equal(f->last_ns, 1001 * SEC);
	assert_int_equal(finding_sum_ppm(f), PPM);
	assert_int_equal(f->nr_culprits, 1);
	assert_int_equal(f->culprits[0].zone_id, world_id(lab->hog));
	assert_string_equal(f->culprits[0].name, "hog");
	assert_string_equal(f->culprits[0].comm, "stress-ng");
	assert_int_equal(f->culprits[0].class, CLASS_BE);
	assert_in_range(f->culprits[0].share_ppm, 987394, 987395);
	assert_int_equal(f->wait_share_ppm, 238000);
	assert_string_equal(f->why, "wait p99 4.1 ms, its goal is 500 us");
}

static void test_mild_needs_two_of_three(void **state)
{
	struct lab *lab = *state;

	assert_null(second(lab, MSEC, 40 * MSEC, MSEC));
	assert_null(second(lab, MSEC / 10, MSEC, MSEC));
	assert_null(second(lab, MSEC / 10, MSEC, MSEC));
	assert_null(second(lab, MSEC, 40 * MSEC, MSEC)); /* the first is three windows ago */
	assert_null(second(lab, MSEC / 10, MSEC, MSEC));
	assert_non_null(second(lab, MSEC, 40 * MSEC, MSEC));
	assert_int_equal(lab->f.items[0].severity, SEVERITY_WARNING);
	/* since: the oldest of the windows that raised it began */
	assert_int_equal(lab->f.items[0].since_ns, 1003 * SEC);
}

static void test_closes_after_quiet_and_keeps_its_number(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	assert_int_equal(second(lab, 4 * MSEC, 235 * MSEC, 0)->seq, 1);
	for (int i = 0; i < 4; i++)
		assert_true(second(lab, MSEC / 10, MSEC, 0)->open);
	assert_int_equal(second(lab, 4 * MSEC, 235 * MSEC, 0)->seq, 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(second(lab, MSEC / 10, MSEC, 0)->last_ns, 1006 * SEC);
	f = second(lab, MSEC / 10, MSEC, 0);
	assert_non_null(f);
	assert_false(f->open);
	assert_null(second(lab, MSEC / 10, MSEC, 0));
	assert_int_equal(second(lab, 4 * MSEC, 235 * MSEC, 0)->seq, 2);
}

static void test_self_is_not_the_neighbour(void **state)
{
	struct lab *lab = *state;
	const struct finding *f = second(lab, 9 * MSEC, 40 * MSEC, 3000 * MSEC);

	assert_int_equal(f->cause, CAUSE_SELF);
	assert_int_equal(f->nr_culprits, 0);
	assert_int_equal(f->severity, SEVERITY_WARNING);
	assert_int_equal(finding_sum_ppm(f), PPM);
}

/* What is usual does not count: the excess decides. */
static void test_excess_over_the_usual(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	for (int i = 0; i < 30; i++)
		assert_null(second(lab, MSEC / 10, 0, 300 * MSEC));
	second(lab, MSEC, 200 * MSEC, 310 * MSEC);
	f = second(lab, MSEC, 200 * MSEC, 310 * MSEC);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
	assert_in_range(f->cause_ppm[CAUSE_SELF], 607843,
			607844); /* shares stay those of all waiting */
}

static void one_cause(struct lab *lab, enum cause cause)
{
	struct ledger_view *l;

	world_tick(&lab->w, SEC);
	l = world_ledger(&lab->w, lab->lc, 5000, 4 * MSEC);
	world_part(&lab->w, l, cause, 0, 200 * MSEC);
	world_part(&lab->w, l, CAUSE_NEIGHBOUR, lab->hog, 90 * MSEC);
	detect_run(lab->d, &lab->w.s, &lab->f);
	assert_int_equal(lab->f.nr, 1);
	assert_int_equal(lab->f.items[0].cause, cause);
	assert_int_equal(lab->f.items[0].nr_culprits, 0);
	assert_int_equal(finding_sum_ppm(&lab->f.items[0]), PPM);
}

static void test_throttled_dominates(void **state)
{
	one_cause(*state, CAUSE_THROTTLED);
}

static void test_kernel_is_nobody(void **state)
{
	one_cause(*state, CAUSE_KERNEL);
}

static void test_steal_is_nobody(void **state)
{
	one_cause(*state, CAUSE_HOST);
}

static void test_lost_events_are_nobody(void **state)
{
	one_cause(*state, CAUSE_UNKNOWN);
}

static void test_few_waits_prove_nothing(void **state)
{
	struct lab *lab = *state;

	for (int i = 0; i < 5; i++) {
		struct ledger_view *l;

		world_tick(&lab->w, SEC);
		l = world_ledger(&lab->w, lab->lc, 3, 4 * MSEC);
		world_part(&lab->w, l, CAUSE_NEIGHBOUR, lab->hog,
			   MSEC); /* below 0.2 % of the time */
		detect_run(lab->d, &lab->w.s, &lab->f);
		assert_int_equal(lab->f.nr, 0);
	}
}

/* No wait ends, so there is no percentile, and yet it is starved. */
static void test_starved_without_percentile(void **state)
{
	struct lab *lab = *state;
	struct ledger_view *l;

	world_tick(&lab->w, SEC);
	l = world_ledger(&lab->w, lab->lc, 0, 0);
	world_part(&lab->w, l, CAUSE_NEIGHBOUR, lab->hog, SEC);
	detect_run(lab->d, &lab->w.s, &lab->f);
	assert_int_equal(lab->f.nr, 1);
	assert_string_equal(lab->f.items[0].why,
			    "waits last 1 s on average, its goal for wait p99 is 500 us");
	assert_int_equal(lab->f.items[0].nr_culprits, 1);
}

static void test_share_goal(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	lab->w.zones[lab->lc].slo = (struct slo){.wait_share_ppm = 50000};
	for (int i = 0; i < 5; i++)
		assert_null(second(lab, MSEC, 49 * MSEC, 500 * MSEC)); /* own load is not counted */
	second(lab, MSEC, 100 * MSEC, 0);
	f = second(lab, MSEC, 100 * MSEC, 0);
	assert_non_null(f);
	assert_string_equal(f->why, "waited for others 10.0 % of the time, its goal is 5.0 %");
}

static void test_estimated_blames_nobody(void **state)
{
	struct lab *lab = *state;

	for (int i = 0; i < 3; i++) {
		struct ledger_view *l;

		world_tick(&lab->w, SEC);
		l = world_ledger(&lab->w, lab->lc, 0, 0);
		l->estimated = true;
		l->wait_ns = 240 * MSEC;
		detect_run(lab->d, &lab->w.s, &lab->f);
	}
	assert_int_equal(lab->f.nr, 1);
	assert_int_equal(lab->f.items[0].cause, CAUSE_UNKNOWN);
	assert_int_equal(lab->f.items[0].nr_culprits, 0);
	assert_int_equal(lab->f.items[0].cause_ppm[CAUSE_UNKNOWN], PPM);
}

static void test_long_window_is_not_judged(void **state)
{
	struct lab *lab = *state;
	struct ledger_view *l;

	world_tick(&lab->w, 3600 * SEC);
	l = world_ledger(&lab->w, lab->lc, 5000, 900 * MSEC);
	world_part(&lab->w, l, CAUSE_NEIGHBOUR, lab->hog, 3000 * SEC);
	detect_run(lab->d, &lab->w.s, &lab->f);
	assert_int_equal(lab->f.nr, 0);
}

static void test_unprotected_closes(void **state)
{
	struct lab *lab = *state;

	assert_non_null(second(lab, 4 * MSEC, 235 * MSEC, 0));
	world_tick(&lab->w, SEC);
	detect_run(lab->d, &lab->w.s, &lab->f);
	assert_int_equal(lab->f.nr, 1);
	assert_false(lab->f.items[0].open);
	world_tick(&lab->w, SEC);
	detect_run(lab->d, &lab->w.s, &lab->f);
	assert_int_equal(lab->f.nr, 0);
}

/* A culprit that vanished keeps the name it was last blamed under. */
static void test_gone_culprit_keeps_its_name(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	assert_non_null(second(lab, 4 * MSEC, 235 * MSEC, 0));
	lab->w.zones[lab->hog].id = 999;
	f = second(lab, 4 * MSEC, 235 * MSEC, 0);
	assert_int_equal(f->nr_culprits, 1);
	assert_string_equal(f->culprits[0].name, "hog");
}

static void farm(struct lab *lab, uint32_t slice, const uint64_t *ms, size_t nr)
{
	struct ledger_view *l;

	world_tick(&lab->w, SEC);
	l = world_ledger(&lab->w, lab->lc, 5000, 4 * MSEC);
	for (size_t i = 0; i < nr; i++)
		world_part(&lab->w, l, CAUSE_NEIGHBOUR, slice + 1 + (uint32_t)i, ms[i] * MSEC);
	detect_run(lab->d, &lab->w.s, &lab->f);
	assert_int_equal(lab->f.nr, 1);
}

static uint32_t add_farm(struct lab *lab, size_t workers)
{
	uint32_t slice = world_add(&lab->w, 0, "farm", CLASS_BE);

	for (size_t i = 0; i < workers; i++)
		world_add(&lab->w, slice, "worker", CLASS_BE);
	return slice;
}

static void test_many_leaves_are_one_culprit(void **state)
{
	struct lab *lab = *state;
	uint64_t ms[6] = {40, 40, 40, 40, 40, 40};
	uint32_t slice = add_farm(lab, 6);

	farm(lab, slice, ms, 6);
	assert_int_equal(lab->f.items[0].nr_culprits, 1);
	assert_int_equal(lab->f.items[0].culprits[0].zone_id, world_id(slice));
	assert_int_equal(lab->f.items[0].culprits[0].share_ppm, PPM);
}

/* The slice above it covers everything as well; the smaller one says more. */
static void test_smallest_subtree_is_named(void **state)
{
	struct lab *lab = *state;
	uint64_t ms[3] = {80, 80, 80};
	uint32_t slice = add_farm(lab, 0),
		 inner = world_add(&lab->w, slice, "farm/inner", CLASS_BE);

	for (int i = 0; i < 3; i++)
		world_add(&lab->w, inner, "worker", CLASS_BE);
	farm(lab, inner, ms, 3);
	assert_int_equal(lab->f.items[0].nr_culprits, 1);
	assert_string_equal(lab->f.items[0].culprits[0].name, "farm/inner");
}

static void test_one_dominant_leaf_is_named_itself(void **state)
{
	struct lab *lab = *state;
	uint64_t ms[3] = {168, 70, 2};
	uint32_t slice = add_farm(lab, 3);

	farm(lab, slice, ms, 3);
	assert_int_equal(lab->f.items[0].nr_culprits, 2); /* the third is below one percent */
	assert_int_equal(lab->f.items[0].culprits[0].zone_id, world_id(slice + 1));
	assert_int_equal(lab->f.items[0].culprits[0].share_ppm, 700000);
	assert_in_range(lab->f.items[0].culprits[1].share_ppm, 291666, 291667);
}

/* Leaves beside the victim, in its own slice: the slice holds the victim too and is never named. */
static void test_common_slice_is_not_blamed(void **state)
{
	struct lab *lab = *state;
	uint32_t slice = add_farm(lab, 4);
	uint64_t ms[4] = {60, 60, 60, 60};

	lab->lc = slice + 4;
	lab->w.zones[lab->lc].class = CLASS_LC;
	lab->w.zones[lab->lc].slo.wait_p99_ns = MSEC / 2;
	farm(lab, slice, ms, 3);
	assert_int_equal(lab->f.items[0].nr_culprits, 3);
	assert_int_equal(lab->f.items[0].culprits[0].zone_id, world_id(slice + 1));
}

static void test_three_quiet_hours(void **state)
{
	struct lab *lab = *state;
	uint32_t web = world_add(&lab->w, 0, "web", CLASS_LC); /* no SLO: baseline */
	unsigned int seed = 42;

	for (int i = 0; i < 3 * 3600; i++) {
		struct ledger_view *l;

		world_tick(&lab->w, SEC);
		l = world_ledger(&lab->w, lab->lc, 5000, (uint64_t)(rand_r(&seed) % 450) * 1000);
		world_part(&lab->w, l, CAUSE_NEIGHBOUR, lab->hog,
			   (uint64_t)(rand_r(&seed) % 9) * MSEC);
		world_part(&lab->w, l, CAUSE_SELF, 0, (uint64_t)(rand_r(&seed) % 100) * MSEC);
		l = world_ledger(&lab->w, web, 800, (uint64_t)(rand_r(&seed) % 3000) * 1000);
		world_part(&lab->w, l, CAUSE_NEIGHBOUR, lab->hog,
			   (uint64_t)(rand_r(&seed) % 20) * MSEC);
		world_part(&lab->w, l, CAUSE_KERNEL, 0, (uint64_t)(rand_r(&seed) % 20) * MSEC);
		world_part(&lab->w, l, CAUSE_SELF, 0, (uint64_t)(rand_r(&seed) % 400) * MSEC);
		detect_run(lab->d, &lab->w.s, &lab->f);
		assert_int_equal(lab->f.nr, 0);
	}
}

static void teach(struct baseline *b, unsigned int seconds, uint32_t share, uint32_t use)
{
	while (seconds--)
		baseline_learn(b, FOREIGN_FLOOR_PPM, share, use, SEC);
}

static void test_baseline_cold_floor(void **state)
{
	struct baseline b = {0};

	assert_int_equal(baseline_limit_ppm(&b, FOREIGN_FLOOR_PPM), 50000);
	teach(&b, 60, 4000, 250000);
	assert_in_range(baseline_mean_ppm(&b), 3990, 4000);
	assert_in_range(baseline_limit_ppm(&b, FOREIGN_FLOOR_PPM), 33990, 34000);
}

/* The zone does more work and waits more: a phase change, learned within a minute or so. */
static void test_baseline_relearns_phase_change(void **state)
{
	struct baseline b = {0};

	teach(&b, 120, 10000, 150000);
	assert_true(80000 > baseline_limit_ppm(&b, FOREIGN_FLOOR_PPM));
	teach(&b, 59, 80000, 400000);
	assert_true(80000 > baseline_limit_ppm(&b, FOREIGN_FLOOR_PPM));
	teach(&b, 1, 80000, 400000);
	assert_true(80000 <= baseline_limit_ppm(&b, FOREIGN_FLOOR_PPM));
	assert_true(240000 > baseline_limit_ppm(&b, FOREIGN_FLOOR_PPM));
}

/* It does less work while it waits more: starved. Ten minutes, not one, make that normal. */
static void test_baseline_does_not_learn_starvation(void **state)
{
	struct baseline b = {0};

	teach(&b, 120, 10000, 250000);
	teach(&b, 590, 240000, 200000);
	assert_true(240000 > baseline_limit_ppm(&b, FOREIGN_FLOOR_PPM));
	teach(&b, 20, 240000, 200000);
	assert_true(240000 <= baseline_limit_ppm(&b, FOREIGN_FLOOR_PPM));
}

/* Now and then an outlier among normal windows: never a new normal. */
static void test_baseline_outliers_do_not_add_up(void **state)
{
	struct baseline b = {0};

	for (int i = 0; i < 1000; i++) {
		teach(&b, 6, 10000, 250000);
		teach(&b, 4, 240000, 600000);
	}
	assert_true(baseline_mean_ppm(&b) <= 10000);
	assert_true(240000 > baseline_limit_ppm(&b, FOREIGN_FLOOR_PPM));
}

static void test_shares_sum_exactly(void **state)
{
	struct evidence e = {.wait_ns = 7};
	uint32_t ppm[CAUSE_NR], sum = 0;

	for (int c = 0; c < CAUSE_NR; c++)
		e.cause_ns[c] = 1;
	evidence_shares(&e, ppm);
	for (int c = 0; c < CAUSE_NR; c++)
		sum += ppm[c];
	assert_int_equal(CAUSE_NR, 7);
	assert_int_equal(sum, PPM);
	e = (struct evidence){0};
	evidence_shares(&e, ppm);
	for (int c = 0; c < CAUSE_NR; c++)
		assert_int_equal(ppm[c], 0);
}

#define LAB(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    LAB(test_extreme_raises_at_once),
	    LAB(test_mild_needs_two_of_three),
	    LAB(test_closes_after_quiet_and_keeps_its_number),
	    LAB(test_self_is_not_the_neighbour),
	    LAB(test_excess_over_the_usual),
	    LAB(test_throttled_dominates),
	    LAB(test_kernel_is_nobody),
	    LAB(test_steal_is_nobody),
	    LAB(test_lost_events_are_nobody),
	    LAB(test_few_waits_prove_nothing),
	    LAB(test_starved_without_percentile),
	    LAB(test_share_goal),
	    LAB(test_estimated_blames_nobody),
	    LAB(test_long_window_is_not_judged),
	    LAB(test_unprotected_closes),
	    LAB(test_gone_culprit_keeps_its_name),
	    LAB(test_many_leaves_are_one_culprit),
	    LAB(test_smallest_subtree_is_named),
	    LAB(test_one_dominant_leaf_is_named_itself),
	    LAB(test_common_slice_is_not_blamed),
	    LAB(test_three_quiet_hours),
	    cmocka_unit_test(test_baseline_cold_floor),
	    cmocka_unit_test(test_baseline_relearns_phase_change),
	    cmocka_unit_test(test_baseline_does_not_learn_starvation),
	    cmocka_unit_test(test_baseline_outliers_do_not_add_up),
	    cmocka_unit_test(test_shares_sum_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
