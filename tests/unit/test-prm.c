/* SPDX-License-Identifier: MIT */
#include <math.h>
#include "test.h"
#include "base/cleanup.h"
#include "detect/prm.h"

static const struct prm_sample usual = {1000000,
					{[PRM_CPI] = 1.5,
					 [PRM_MPKI] = 2,
					 [PRM_STALLS] = 100,
					 [PRM_BANDWIDTH] = 1e9,
					 [PRM_FREQUENCY] = 3e9}};

/* 100 samples of each use, half of them a tenth below, half above: the deviation is a tenth of the
 * mean. */
static struct prm_model *learned(uint32_t cpu_ppm, double times)
{
	struct prm_model *m = test_calloc(1, sizeof(*m));

	m->cpus = 2;
	for (int i = 0; i < 100; i++) {
		struct prm_sample s = usual;

		s.cpu_ppm = cpu_ppm;
		for (size_t k = 0; k < PRM_NR; k++)
			s.value[k] *= times * (i % 2 ? 1.1 : 0.9);
		prm_learn(m, &s);
	}
	return m;
}

static void test_fences(void **state)
{
	struct prm_model *m = learned(1200000, 1);

	assert_true(fabs(prm_fence(m, PRM_CPI, 1000000) - 2.1) <
		    1e-6); /* one step: 1 to 1.5 CPUs */
	assert_true(fabs(prm_fence(m, PRM_MPKI, 1499999) - 2.8) < 1e-6);
	assert_true(fabs(prm_fence(m, PRM_BANDWIDTH, 1000000) - 0.6e9) < 1);
	assert_true(fabs(prm_fence(m, PRM_FREQUENCY, 1000000) - 2.1e9) < 1);
	assert_true(isnan(prm_fence(m, PRM_CPI, 999999)));
	assert_true(isnan(prm_fence(m, PRM_CPI, 400000)));
	assert_true(isnan(prm_fence(m, PRM_CPI, 3500000))); /* beyond what it asked for and one */
	test_free(m);
}

static void test_what_is_lacking(void **state)
{
	static const struct {
		double cpi, mpki, stalls, bandwidth;
		uint32_t lacking;
	} cases[] = {
	    {1.5, 2, 100, 1e9, 0},
	    {1.5, 9, 900, 1e8, 0}, /* it does not get slower by it */
	    {2.2, 2, 100, 1e9, PRM_UNKNOWN},
	    {2.2, 3, 100, 1e9, PRM_LLC},
	    {2.2, 2, 100, 0.5e9, PRM_MEMORY_BANDWIDTH},
	    {2.2, 2, 150, 1e9, PRM_MEMORY_BANDWIDTH},
	    {2.2, 3, 150, 1e9, PRM_LLC | PRM_MEMORY_BANDWIDTH},
	    {2.2, NAN, NAN, NAN, PRM_UNKNOWN},
	    {NAN, 3, 150, 1e8, 0},
	};
	struct prm_model *m = learned(1200000, 1);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct prm_sample s = {
		    1200000,
		    {cases[i].cpi, cases[i].mpki, cases[i].stalls, cases[i].bandwidth, 3e9}};

		assert_int_equal(prm_judge(m, &s), cases[i].lacking);
	}
	test_free(m);
}

/* Its clock is low though it is busy; busy is 95 % of the CPUs that it asked for. */
static void test_power(void **state)
{
	struct prm_model *m = learned(1950000, 1);
	struct prm_sample s = usual;

	s.value[PRM_FREQUENCY] = 2e9;
	s.cpu_ppm = 1900000;
	assert_int_equal(prm_judge(m, &s), PRM_POWER);
	s.cpu_ppm = 1899999;
	assert_int_equal(prm_judge(m, &s), 0);
	s.cpu_ppm = 1900000;
	s.value[PRM_FREQUENCY] = 2.2e9;
	assert_int_equal(prm_judge(m, &s), 0);
	test_free(m);
}

/* CPI that is usual at one CPU use is harm at another. */
static void test_by_use(void **state)
{
	struct prm_model *m = learned(700000, 2);
	struct prm_sample s = usual;

	for (int i = 0; i < 100; i++) {
		struct prm_sample high = usual;

		high.cpu_ppm = 2200000;
		prm_learn(m, &high);
	}
	s.value[PRM_CPI] = 3;
	s.cpu_ppm = 700000;
	assert_int_equal(prm_judge(m, &s), 0);
	s.cpu_ppm = 2200000;
	assert_int_equal(prm_judge(m, &s), PRM_UNKNOWN);
	test_free(m);
}

static void test_who_takes_it(void **state)
{
	static const struct prm_other others[] = {
	    {.llc_bytes = 9e6,
	     .usual_llc_bytes = 9e6,
	     .bandwidth = 5e9,
	     .frequency = 3e9,
	     .usual_frequency = 3e9},
	    {.llc_bytes = 5e6,
	     .usual_llc_bytes = 1e6,
	     .bandwidth = 4e9,
	     .frequency = 2e9,
	     .usual_frequency = 2e9},
	    {.llc_bytes = NAN,
	     .usual_llc_bytes = NAN,
	     .bandwidth = NAN,
	     .frequency = 3e9,
	     .usual_frequency = 2e9},
	};

	assert_int_equal(prm_contender(PRM_LLC, others, 3), 1);
	assert_int_equal(prm_contender(PRM_MEMORY_BANDWIDTH, others, 3), 0);
	assert_int_equal(prm_contender(PRM_POWER, others, 3), 2);
	assert_int_equal(prm_contender(PRM_UNKNOWN, others, 3), SIZE_MAX);
	assert_int_equal(prm_contender(PRM_LLC, others, 1), SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fences),	 cmocka_unit_test(test_what_is_lacking),
	    cmocka_unit_test(test_power),	 cmocka_unit_test(test_by_use),
	    cmocka_unit_test(test_who_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
