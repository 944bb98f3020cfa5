/* SPDX-License-Identifier: MIT */
#include "guest/restart.h"
#include "guest/rules.h"
#include "test.h"

#define MS 1000000ull

static const struct sched_rule rules[] = {
    {.below_ppm = 200000, .policy = "idle"},
    {.below_ppm = 800000, .policy = "some"},
    {.policy = "busy"},
};

static void test_harm(void **state)
{
	struct harm_state s = {0};
	uint64_t now = 1000 * MS;

	assert_false(harm_step(&s, HARM_PPM, now));
	assert_false(
	    harm_step(&s, HARM_PPM - 1, now += 1500 * MS)); /* a pause: from the beginning */
	assert_false(harm_step(&s, HARM_PPM, now += 1000 * MS));
	assert_false(harm_step(&s, HARM_PPM, now += 1999 * MS));
	assert_true(harm_step(&s, HARM_PPM, now += MS));
	assert_true(s.answered);
	assert_false(harm_step(&s, 0, now += 1000 * MS));
	assert_false(harm_step(&s, 0, now + 29999 * MS));
	assert_false(harm_step(&s, HARM_PPM, now += 29999 * MS));
	assert_false(harm_step(&s, 0, now += 1000 * MS));
	assert_true(harm_step(&s, 0, now += 30000 * MS));
	assert_false(s.answered);
}

static void test_match(void **state)
{
	assert_int_equal(rules_match(rules, 3, 0), 0);
	assert_int_equal(rules_match(rules, 3, 199999), 0);
	assert_int_equal(rules_match(rules, 3, 200000), 1);
	assert_int_equal(rules_match(rules, 3, 800000), 2);
	assert_int_equal(rules_match(rules, 2, 800000), RULE_NONE);
	assert_int_equal(rules_match(rules, 0, 1), RULE_NONE);
}

/* Reads `load` every 250 ms for `ns`; how many changes, and when the first came. */
static unsigned int feed(struct rules_state *s, uint64_t *now, uint64_t ns, uint32_t load,
			 uint64_t *ret_first)
{
	uint64_t start = *now;
	unsigned int changes = 0;

	for (; *now < start + ns; *now += RULES_READ_NS)
		if (rules_step(s, rules, 3, load, *now) && !changes++)
			*ret_first = *now - start;
	return changes;
}

static void test_follows_within_a_second(void **state)
{
	struct rules_state s = {0};
	uint64_t now = 1000 * MS, first = 0;

	assert_int_equal(feed(&s, &now, 5000 * MS, 100000, &first), 1);
	assert_int_equal(first, 0); /* the first reading decides at once */
	assert_int_equal(s.now, 0);
	assert_int_equal(feed(&s, &now, 5000 * MS, 900000, &first), 1);
	assert_true(first <= 1000 * MS);
	assert_int_equal(s.now, 2);
	assert_int_equal(feed(&s, &now, 5000 * MS, 0, &first), 1);
	assert_true(first <= 1000 * MS);
	assert_int_equal(s.now, 0);
}

static void test_margin_and_short_peaks(void **state)
{
	struct rules_state s = {0};
	uint64_t now = 1000 * MS, first = 0;

	feed(&s, &now, 1000 * MS, 195000, &first);
	/* around the threshold: it stays */
	for (int i = 0; i < 100; i++) {
		assert_int_equal(feed(&s, &now, 250 * MS, 215000, &first), 0);
		assert_int_equal(feed(&s, &now, 250 * MS, 190000, &first), 0);
	}
	assert_int_equal(feed(&s, &now, 2000 * MS, 219000, &first), 0);
	assert_int_equal(feed(&s, &now, 2000 * MS, 221000, &first), 1);
	assert_int_equal(s.now, 1);
	/* and down only well below */
	assert_int_equal(feed(&s, &now, 2000 * MS, 181000, &first), 0);
	assert_int_equal(feed(&s, &now, 2000 * MS, 179000, &first), 1);
	/* one reading is no load */
	assert_int_equal(feed(&s, &now, 250 * MS, 900000, &first), 0);
	assert_int_equal(feed(&s, &now, 2000 * MS, 0, &first), 0);
}

/* A load that jumps every second: after a few changes it rests. */
static void test_no_flapping(void **state)
{
	struct rules_state s = {0};
	uint64_t now = 1000 * MS, first = 0;
	unsigned int changes = 0;

	for (int i = 0; i < 60; i++)
		changes += feed(&s, &now, 1000 * MS, i % 2 ? 900000 : 0, &first);
	assert_in_range(changes, RULES_CHANGES_MAX, 6 * (RULES_CHANGES_MAX + 1));
	/* and it follows again when the load is steady */
	feed(&s, &now, 15000 * MS, 0, &first);
	assert_int_equal(s.now, 0);
}

static void test_restart(void **state)
{
	uint64_t wait = 0;

	assert_false(restart_wanted(RESTART_NEVER, 1, 0, 0, &wait));
	assert_false(restart_wanted(RESTART_ON_FAILURE, 0, 0, 0, &wait));
	assert_true(restart_wanted(RESTART_ON_FAILURE, 137, 0, 0, &wait));
	assert_true(restart_wanted(RESTART_ALWAYS, 0, 0, 0, &wait));
	assert_int_equal(wait, RESTART_FIRST_NS);
	for (int i = 0; i < 5; i++) {
		uint64_t before = wait;

		assert_true(restart_wanted(RESTART_ALWAYS, 1, 100, before, &wait));
		assert_int_equal(wait, 2 * before);
	}
	for (int i = 0; i < 3; i++)
		assert_true(restart_wanted(RESTART_ALWAYS, 1, 100, wait, &wait));
	assert_int_equal(wait, RESTART_MAX_NS);
	assert_true(restart_wanted(RESTART_ALWAYS, 1, RESTART_MAX_NS, wait, &wait));
	assert_int_equal(wait, RESTART_FIRST_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_match),
	    cmocka_unit_test(test_harm),
	    cmocka_unit_test(test_follows_within_a_second),
	    cmocka_unit_test(test_margin_and_short_peaks),
	    cmocka_unit_test(test_no_flapping),
	    cmocka_unit_test(test_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
