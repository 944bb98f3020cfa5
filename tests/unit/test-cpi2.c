/* SPDX-License-Identifier: MIT */
/* CPI2 against its published rules, and hand-worked correlations. Rates by chance:
 * test-cpi2-chance.c. */
#include <math.h>
#include "test.h"
#include "base/cleanup.h"
#include "detect/cpi2.h"

#define MINUTE 60000000000ull

/* ---- a machine with tasks on it, and the alarms it had ---- */

struct lab {
	struct cpi2 *e;
	size_t alarms, begun;
	struct cpi2_alarm last;
};

static void on_alarm(const struct cpi2_alarm *a, void *arg)
{
	struct lab *lab = arg;

	lab->alarms++;
	lab->begun += a->begins;
	lab->last = *a;
}

/* Task 0 is the victim, of spec 0; the others are best-effort tasks of a job each. */
static void lab_open(struct lab *lab, const struct cpi2_config *c, uint32_t tasks)
{
	memset(lab, 0, sizeof(*lab));
	assert_int_equal(cpi2_new(c, on_alarm, lab, &lab->e), 0);
	for (uint32_t i = 0; i < tasks; i++)
		assert_int_equal(cpi2_task_add(lab->e, i, i, 0, i ? CLASS_BE : CLASS_LC), 0);
}

static void lab_sample(struct lab *lab, uint32_t task, uint64_t time_ns, double cpi, double cpu)
{
	struct cpi2_sample s = {.time_ns = time_ns,
				.task = task,
				.cpi_ppm = (uint32_t)lround(cpi * 1e6),
				.cpu_ppm = (uint32_t)lround(cpu * 1e6)};

	assert_int_equal(cpi2_sample(lab->e, &s), 0);
}

static void lab_close(struct lab *lab)
{
	cpi2_free(lab->e);
}

/* A victim's CPI at the times, in seconds, all with 1 CPU; the alarms it gives. */
static size_t alarms_of(const struct cpi2_config *c, const double (*samples)[2], size_t n)
{
	struct lab lab;

	lab_open(&lab, c, 1);
	assert_int_equal(cpi2_spec_set(lab.e, 0, 0, 1500000, 100000), 0);
	for (size_t i = 0; i < n; i++)
		lab_sample(&lab, 0, (uint64_t)(samples[i][0] * 1e9), samples[i][1], 1);
	assert_int_equal(cpi2_advance(lab.e, (uint64_t)(samples[n - 1][0] * 1e9) + MINUTE), 0);
	lab_close(&lab);
	return lab.begun;
}
#define ALARMS(...)                                                                                \
	({                                                                                         \
		const double s[][2] = __VA_ARGS__;                                                 \
		alarms_of(&cpi2_default, s, ARRAY_SIZE(s));                                        \
	})

/* ---- specs ---- */

static void test_threshold(void **state)
{
	struct lab lab;
	uint32_t mean, stddev;

	lab_open(&lab, &cpi2_default, 1);
	assert_int_equal(cpi2_threshold_ppm(lab.e, 0, 1000000), 0);
	assert_int_equal(cpi2_spec_set(lab.e, 0, 0, 1500000, 100000), 0);
	assert_int_equal(cpi2_threshold_ppm(lab.e, 0, 1000000), 1700000);
	assert_true(cpi2_spec_get(lab.e, 0, 0, &mean, &stddev));
	assert_int_equal(mean, 1500000);
	assert_int_equal(stddev, 100000);
	lab_close(&lab);
}

/* `tasks` tasks of job 0 on machines of their own, n samples each: half at mean - off, half above.
 */
static void teach(struct cpi2 *e, uint64_t from_ns, uint32_t tasks, uint32_t n, double mean,
		  double off)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t t = 0; t < tasks; t++) {
			double cpi = mean + (i % 2 ? off : -off);
			struct cpi2_sample s = {.time_ns = from_ns + i * MINUTE,
						.task = t,
						.cpi_ppm = (uint32_t)lround(cpi * 1e6),
						.cpu_ppm = 1000000};

			assert_int_equal(cpi2_sample(e, &s), 0);
		}
}

static struct cpi2 *job_of(const struct cpi2_config *c, uint32_t tasks)
{
	struct cpi2 *e;

	assert_int_equal(cpi2_new(c, NULL, NULL, &e), 0);
	for (uint32_t t = 0; t < tasks; t++)
		assert_int_equal(cpi2_task_add(e, t, 0, t, CLASS_LC), 0);
	return e;
}

static void test_spec_of_a_day(void **state)
{
	struct cpi2 *e = job_of(&cpi2_default, 5);
	uint64_t day = 24 * 60 * MINUTE;
	uint32_t mean, stddev;

	teach(e, 0, 5, 100, 1.5, 0.1);
	assert_false(cpi2_spec_get(e, 0, 0, &mean, &stddev)); /* before the day is over */
	assert_int_equal(cpi2_advance(e, day), 0);
	assert_true(cpi2_spec_get(e, 0, 0, &mean, &stddev));
	assert_int_equal(mean, 1500000);
	assert_int_equal(stddev, 100000);
	assert_int_equal(cpi2_threshold_ppm(e, 0, 1000000), 1700000);
	/* The day after weighs 1, this one 0.9: (0.9 x 1.5 + 2.5) / 1.9. */
	teach(e, day, 5, 100, 2.5, 0);
	assert_int_equal(cpi2_advance(e, 2 * day), 0);
	assert_true(cpi2_spec_get(e, 0, 0, &mean, &stddev));
	assert_int_equal(mean, lround((0.9 * 1.5 + 2.5) / 1.9 * 1e6));
	cpi2_free(e);
}

static void test_too_little_for_a_spec(void **state)
{
	static const uint32_t little[][2] = {{4, 100}, {5, 99}};
	uint32_t mean, stddev;

	for (size_t i = 0; i < ARRAY_SIZE(little); i++) {
		struct cpi2 *e = job_of(&cpi2_default, little[i][0]);

		teach(e, 0, little[i][0], little[i][1], 1.5, 0.1);
		assert_int_equal(cpi2_advance(e, 24 * 60 * MINUTE), 0);
		assert_false(cpi2_spec_get(e, 0, 0, &mean, &stddev));
		assert_int_equal(cpi2_tally(e)->unjudged, little[i][0] * little[i][1]);
		cpi2_free(e);
	}
}

static void test_specs_by_use(void **state)
{
	struct cpi2_config c = cpi2_default;
	struct lab lab;

	c.bin_cpu_ppm = 500000;
	lab_open(&lab, &c, 1);
	assert_int_equal(cpi2_spec_set(lab.e, 0, 1, 1500000, 100000), 0);
	assert_int_equal(cpi2_spec_set(lab.e, 0, 3, 2500000, 100000), 0);
	assert_int_equal(cpi2_threshold_ppm(lab.e, 0, 500000), 1700000);
	assert_int_equal(cpi2_threshold_ppm(lab.e, 0, 999999), 1700000);
	assert_int_equal(cpi2_threshold_ppm(lab.e, 0, 1500000), 2700000);
	assert_int_equal(cpi2_threshold_ppm(lab.e, 0, 1400000), 0);
	for (int i = 0; i < 5; i++) /* high, but usual when it uses that much */
		lab_sample(&lab, 0, i * MINUTE, 2.6, 1.6);
	assert_int_equal(cpi2_tally(lab.e)->outliers, 0);
	for (int i = 5; i < 8; i++)
		lab_sample(&lab, 0, i * MINUTE, 2.6, 0.6);
	assert_int_equal(cpi2_tally(lab.e)->episodes, 1);
	lab_close(&lab);
}

/* ---- outliers and alarms ---- */

static void test_three_in_five_minutes(void **state)
{
	assert_int_equal(ALARMS({{0, 1.8}, {60, 1.8}, {120, 1.5}, {180, 1.5}, {240, 1.5}}), 0);
	assert_int_equal(ALARMS({{0, 1.8}, {60, 1.5}, {120, 1.8}, {180, 1.5}, {240, 1.8}}), 1);
	assert_int_equal(ALARMS({{0, 1.8}, {60, 1.8}, {120, 1.8}}), 1);
	assert_int_equal(ALARMS({{0, 1.8}, {120, 1.8}, {180, 1.5}, {300, 1.8}}), 0);
	assert_int_equal(ALARMS({{0, 1.8}, {150, 1.8}, {301, 1.8}}), 0);
	assert_int_equal(ALARMS({{0, 1.7}, {60, 1.7}, {120, 1.7}}), 0); /* not above it */
}

static void test_an_episode_ends(void **state)
{
	assert_int_equal(ALARMS({{0, 2}, {60, 2}, {120, 2}, {180, 2}, {240, 2}}), 1);
	assert_int_equal(
	    ALARMS({{0, 2}, {60, 2}, {120, 2}, {600, 1.5}, {660, 2}, {720, 2}, {780, 2}}), 2);
}

static void test_idle_says_nothing(void **state)
{
	struct lab lab;

	lab_open(&lab, &cpi2_default, 1);
	assert_int_equal(cpi2_spec_set(lab.e, 0, 0, 1500000, 100000), 0);
	for (int i = 0; i < 5; i++)
		lab_sample(&lab, 0, i * MINUTE, 5, 0.249999);
	assert_int_equal(cpi2_tally(lab.e)->idle, 5);
	assert_int_equal(cpi2_tally(lab.e)->judged, 0);
	for (int i = 5; i < 8; i++)
		lab_sample(&lab, 0, i * MINUTE, 5, 0.25);
	assert_int_equal(cpi2_tally(lab.e)->episodes, 1);
	lab_close(&lab);
}

static void test_late_and_twice(void **state)
{
	struct lab lab;

	lab_open(&lab, &cpi2_default, 1);
	lab_sample(&lab, 0, 10 * MINUTE, 1, 1);
	lab_sample(&lab, 0, 10 * MINUTE + 1, 1, 1);
	lab_sample(&lab, 0, 9 * MINUTE, 1, 1);
	assert_int_equal(cpi2_tally(lab.e)->extra, 1);
	assert_int_equal(cpi2_tally(lab.e)->late, 1);
	lab_close(&lab);
}

/* ---- who it was ---- */

static void close_to(double value, double expected, double off)
{
	if (fabs(value - expected) > off)
		fail_msg("%.12f is not within %g of %.12f", value, off, expected);
}

static void test_correlation_by_hand(void **state)
{
	/* u = 1/4, 1/4, 1/2: 1/4 (1 - 2/5) + 0 + 1/2 (1/2 - 1) */
	close_to(cpi2_correlation((double[]){5, 2, 1}, (double[]){1, 1, 2}, 3, 2), -0.1, 1e-9);
	/* u = 0.45, 0.5, 0.05: 0.45 x 0.2 + 0.5 / 3 - 0.05 x 0.15 */
	close_to(cpi2_correlation((double[]){2.5, 3, 1.7}, (double[]){0.9, 1, 0.1}, 3, 2),
		 0.09 + 0.5 / 3 - 0.0075, 1e-9);
	close_to(cpi2_correlation((double[]){4}, (double[]){0.3}, 1, 2), 0.5, 1e-9);
	close_to(cpi2_correlation((double[]){1e12}, (double[]){1}, 1, 2), 1, 1e-9);
	close_to(cpi2_correlation((double[]){0}, (double[]){1}, 1, 2), -1, 1e-9);
	close_to(cpi2_correlation((double[]){4, 4}, (double[]){0, 0}, 2, 2), 0, 1e-9);
	close_to(cpi2_ceiling(5, 2), 0.6, 1e-9);
	close_to(cpi2_ceiling(1, 2), 0, 1e-9);
}

/* A suspect runs in every other pair of minutes, an innocent one all the time; the victim's CPI is
 * that many times its mean meanwhile. */
static void harm(struct lab *lab, const struct cpi2_config *c, double inflation,
		 enum zone_class victim)
{
	memset(lab, 0, sizeof(*lab));
	assert_int_equal(cpi2_new(c, on_alarm, lab, &lab->e), 0);
	assert_int_equal(cpi2_task_add(lab->e, 0, 0, 0, victim), 0);
	assert_int_equal(cpi2_task_add(lab->e, 1, 1, 0, CLASS_BE), 0);
	assert_int_equal(cpi2_task_add(lab->e, 2, 2, 0, CLASS_BE), 0);
	assert_int_equal(cpi2_task_add(lab->e, 3, 3, 1, CLASS_BE), 0); /* elsewhere */
	for (uint32_t bin = 0; bin < (c->bin_cpu_ppm ? CPI2_BINS : 1); bin++)
		assert_int_equal(cpi2_spec_set(lab->e, 0, bin, 1800000, 160000), 0);
	for (uint64_t i = 0; i < 12; i++) {
		bool on = i % 4 >= 2;

		lab_sample(lab, 0, i * MINUTE, on ? 1.8 * inflation : 1.8, 1);
		lab_sample(lab, 1, i * MINUTE + 1, 1, on ? 1 : 0.05);
		lab_sample(lab, 2, i * MINUTE + 2, 1, 1);
		lab_sample(lab, 3, i * MINUTE + 3, 1, on ? 1 : 0);
	}
	assert_int_equal(cpi2_advance(lab->e, 13 * MINUTE), 0);
}

static void test_the_culprit_is_named(void **state)
{
	struct lab lab;

	harm(&lab, &cpi2_default, 2.5, CLASS_LC);

	assert_int_not_equal(lab.alarms, 0);
	assert_int_equal(lab.last.culprit, 1);
	assert_int_equal(lab.last.nr_suspects, 2); /* nobody of another machine */
	assert_int_equal(lab.last.suspects[0].task, 1);
	assert_true(lab.last.suspects[1].correlation < 0.35);
	assert_int_equal(lab.last.threshold_ppm, 2120000);
	lab_close(&lab);
}

static void test_small_harm_names_nobody(void **state)
{
	struct cpi2_config relative = cpi2_default;
	struct lab lab;

	harm(&lab, &cpi2_default, 1.5, CLASS_LC);

	assert_int_not_equal(cpi2_tally(lab.e)->outliers, 0);
	assert_int_not_equal(lab.alarms, 0);
	assert_int_equal(cpi2_tally(lab.e)->named, 0);
	assert_int_equal(lab.last.suspects[0].task, 1); /* it is ranked first all the same */
	lab_close(&lab);
	relative.ceiling_ppm = 650000;
	harm(&lab, &relative, 1.5, CLASS_LC);
	assert_int_equal(lab.last.culprit, 1);
	lab_close(&lab);
}

static void test_best_effort_is_no_victim(void **state)
{
	struct lab lab;

	harm(&lab, &cpi2_default, 2.5, CLASS_BE);

	assert_int_not_equal(lab.alarms, 0);
	assert_int_equal(cpi2_tally(lab.e)->named, 0);
	lab_close(&lab);
}

static void test_one_analysis_a_second(void **state)
{
	struct cpi2_config c = cpi2_default;
	struct lab lab;

	c.analysis_gap_ns = 25000000000;
	lab_open(&lab, &c, 6);
	for (uint32_t t = 0; t < 6; t++)
		assert_int_equal(cpi2_spec_set(lab.e, t, 0, 1500000, 100000), 0);
	for (uint64_t i = 0; i < 3; i++)
		for (uint32_t t = 0; t < 6; t++)
			lab_sample(&lab, t, i * MINUTE, 2, 1);
	assert_int_equal(cpi2_advance(lab.e, 3 * MINUTE), 0);
	assert_int_equal(lab.alarms, 6);
	assert_int_equal(cpi2_tally(lab.e)->analyses, 3); /* at 0, 25 and 50 s of the period */
	assert_int_equal(cpi2_tally(lab.e)->limited, 3);
	lab_close(&lab);
}

static void test_a_cap_refutes(void **state)
{
	struct cpi2_config c = cpi2_default;
	struct lab lab;

	c.verify = true;
	harm(&lab, &c, 2.5, CLASS_LC);
	assert_int_equal(lab.last.culprit, 1);
	assert_int_equal(cpi2_capped(lab.e, 0, 1, 13 * MINUTE), 0);
	for (uint64_t i = 13; i < 17; i++) {
		lab_sample(&lab, 0, i * MINUTE, 4.5, 1);
		lab_sample(&lab, 1, i * MINUTE, 1, 0.01);
	}
	assert_int_equal(cpi2_tally(lab.e)->refuted, 1);
	assert_int_equal(cpi2_advance(lab.e, 17 * MINUTE), 0);
	assert_int_not_equal(lab.last.culprit, 1);
	assert_int_equal(cpi2_capped(lab.e, 0, 2, 17 * MINUTE), 0);
	for (uint64_t i = 17; i < 20; i++)
		lab_sample(&lab, 0, i * MINUTE, 1.8, 1);
	assert_int_equal(cpi2_tally(lab.e)->confirmed, 1);
	lab_close(&lab);
}

/* ---- rubik ---- */

static void test_rubik_learns_by_itself(void **state)
{
	const struct cpi2_config *c = cpi2_preset("rubik");
	struct lab lab;
	uint64_t i;

	assert_non_null(c);
	lab_open(&lab, c, 3);
	for (i = 0; i < 75; i++) {
		lab_sample(&lab, 0, i * MINUTE, i % 2 ? 1.6 : 1.4, 1);
		lab_sample(&lab, 1, i * MINUTE, 1, 0.3);
		lab_sample(&lab, 2, i * MINUTE, 1, 0.4);
		/* 60 samples older than ten minutes, no fewer */
		assert_int_equal(cpi2_threshold_ppm(lab.e, 0, 1000000) != 0, i >= 69);
	}
	close_to(cpi2_threshold_ppm(lab.e, 0, 1000000), 1700000, 4000);
	for (; i < 95;
	     i++) { /* harm teaches nothing; nobody's use varies: the larger one is taken */
		lab_sample(&lab, 0, i * MINUTE, 1.71, 1);
		lab_sample(&lab, 1, i * MINUTE, 1, 0.3);
		lab_sample(&lab, 2, i * MINUTE, 1, 0.4);
	}
	close_to(cpi2_threshold_ppm(lab.e, 0, 1000000), 1700000, 4000);
	assert_int_equal(lab.last.culprit, 2);
	assert_true(lab.last.suspects[0].correlation < 0.15);
	lab_close(&lab);
}

/* A task's number is another's from now on: neither its past nor its outliers count. */
static void test_a_number_is_used_again(void **state)
{
	const struct cpi2_config *c = cpi2_preset("host");
	struct lab lab;
	uint64_t i;

	assert_non_null(c);
	lab_open(&lab, c, 2);
	for (i = 0; i < 75; i++)
		lab_sample(&lab, 0, i * MINUTE, i % 2 ? 1.6 : 1.4, 1);
	close_to(cpi2_threshold_ppm(lab.e, 0, 1000000), 1700000, 4000);
	assert_int_equal(cpi2_threshold_ppm(lab.e, 0, 400000), 0); /* of another load */
	lab_sample(&lab, 0, i++ * MINUTE, 3, 1);
	lab_sample(&lab, 0, i++ * MINUTE, 3, 1);
	assert_int_equal(cpi2_task_renew(lab.e, 0, CLASS_LC), 0);
	assert_int_equal(cpi2_threshold_ppm(lab.e, 0, 1000000), 0);
	for (uint64_t end = i + 75; i < end; i++)
		lab_sample(&lab, 0, i * MINUTE, i % 2 ? 2.1 : 1.9, 1);
	close_to(cpi2_threshold_ppm(lab.e, 0, 1000000), 2200000, 4000);
	assert_int_equal(lab.alarms, 0);
	assert_int_equal(cpi2_task_renew(lab.e, 7, CLASS_LC), -ENOENT);
	lab_close(&lab);
}

/* ---- settings ---- */

static void test_settings(void **state)
{
	struct cpi2_config c = cpi2_default;
	struct error e = {0};
	const char *name, *help;
	size_t n = 0;

	assert_int_equal(cpi2_config_set(&c, "correlation=0.15,window=10m,own=yes,outliers=4", &e),
			 0);
	assert_int_equal(c.correlation_ppm, 150000);
	assert_int_equal(c.window_ns, 10 * MINUTE);
	assert_int_equal(c.outliers, 4);
	assert_true(c.own);
	assert_int_equal(cpi2_config_set(&c, "colour=3", &e), -EINVAL);
	assert_non_null(strstr(e.msg, "colour"));
	assert_int_equal(cpi2_config_set(&c, "correlation=x", &e), -EINVAL);
	assert_int_equal(cpi2_config_set(&c, "correlation=0.1234567", &e), -EINVAL);
	assert_int_equal(cpi2_config_set(&c, "outliers=9", &e), -EINVAL);
	c = cpi2_default;
	assert_int_equal(cpi2_config_set(&c, "period=5m", &e), -EINVAL);
	assert_non_null(strstr(e.msg, "nothing would ever alarm"));
	while (cpi2_config_key(n, &name, &help))
		n++;
	assert_int_equal(n, 18);
	assert_null(cpi2_preset("none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_threshold),
	    cmocka_unit_test(test_spec_of_a_day),
	    cmocka_unit_test(test_too_little_for_a_spec),
	    cmocka_unit_test(test_specs_by_use),
	    cmocka_unit_test(test_three_in_five_minutes),
	    cmocka_unit_test(test_an_episode_ends),
	    cmocka_unit_test(test_idle_says_nothing),
	    cmocka_unit_test(test_late_and_twice),
	    cmocka_unit_test(test_correlation_by_hand),
	    cmocka_unit_test(test_the_culprit_is_named),
	    cmocka_unit_test(test_small_harm_names_nobody),
	    cmocka_unit_test(test_best_effort_is_no_victim),
	    cmocka_unit_test(test_one_analysis_a_second),
	    cmocka_unit_test(test_a_cap_refutes),
	    cmocka_unit_test(test_rubik_learns_by_itself),
	    cmocka_unit_test(test_a_number_is_used_again),
	    cmocka_unit_test(test_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
