/* SPDX-License-Identifier: MIT */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "probes/pmc.h"

#define ALL ((1u << PMC_NR) - 1)

/* The next reading in the file, as bytes; 0 words: no more. */
static size_t next_words(FILE *in, uint64_t words[16])
{
	char line[256], *p = line, *end;
	size_t nr = 0;

	do
		if (!fgets(line, sizeof(line), in))
			return 0;
	while (line[0] == '#');
	for (;; p = end) {
		uint64_t word = strtoull(p, &end, 10);

		if (end == p)
			return nr;
		assert_true(nr < 16);
		words[nr++] = word;
	}
}

static void take(FILE *in, uint32_t first, enum pmc_group_nr group, struct pmc_sums *sums)
{
	uint64_t words[16];
	size_t nr = next_words(in, words);
	struct pmc_reading r;

	assert_int_equal(pmc_reading_parse(words, nr * 8, &r), 0);
	for (size_t i = 0; i < r.nr; i++)
		sums->v[first + i] = r.value[i];
	sums->v[PMC_FIELD_ENABLED + group] = r.enabled_ns;
	sums->v[PMC_FIELD_RUNNING + group] = r.running_ns;
}

struct expected {
	uint64_t core[3], llc[2]; /* grown, scaled */
	bool llc_ran;
	uint64_t core_ran_ppm;
	struct pmc_rates rates; /* of what grew; without the LLC's where they did not run */
};
static const struct expected expected[] = {
    {{2500000000, 2500000000, 3000000000},
     {50000000, 15000000},
     true,
     1000000,
     {1000000, 833333, 6000000, 300000}},
    /* 1,875e6 in 0.75 s is 2,500e6 a second; 12.5e6 in 0.25 s is 50e6 */
    {{2500000000, 1500000000, 3000000000},
     {50000000, 15000000},
     true,
     750000,
     {1666666, 500000, 10000000, 300000}},
    {{2500000000, 1250000000, 3000000000},
     {0, 0},
     false,
     1000000,
     {2000000, 416666, UINT64_MAX, UINT64_MAX}},
    /* what was not seen is taken with the next: 25e6 in 0.5 s of 2 s; the first counter jumps */
    {{18446744064334551000u, 1250000000, 3000000000},
     {100000000, 30000000},
     true,
     1000000,
     {UINT64_MAX, 416666, 24000000, 300000}},
    {{2500000000, 2500000000, 3000000000},
     {50000000, 15000000},
     true,
     1000000,
     {1000000, 833333, 6000000, 300000}},
};

static void check_interval(const struct pmc_sums *now, struct pmc_sums *last,
			   const struct expected *x)
{
	uint64_t counts[PMC_NR], enabled_ns, running_ns;
	uint32_t present = ALL;
	struct pmc_rates r;

	assert_true(pmc_grown(now, last, PMC_GROUP_CORE, counts, &enabled_ns, &running_ns));
	assert_int_equal(running_ns * 1000000 / enabled_ns, x->core_ran_ppm);
	assert_memory_equal(counts, x->core, sizeof(x->core));
	assert_int_equal(pmc_grown(now, last, PMC_GROUP_LLC, counts, &enabled_ns, &running_ns),
			 x->llc_ran);
	if (x->llc_ran)
		assert_memory_equal(counts + PMC_FIRST_OF_LLC, x->llc, sizeof(x->llc));
	else
		present = (1u << PMC_FIRST_OF_LLC) - 1;
	pmc_rates(counts, present, &r);
	if (x->rates.cpi_ppm != UINT64_MAX)
		assert_int_equal(r.cpi_ppm, x->rates.cpi_ppm);
	assert_int_equal(r.ipc_ppm, x->rates.ipc_ppm);
	assert_int_equal(r.mpki_ppm, x->rates.mpki_ppm);
	assert_int_equal(r.miss_ppm, x->rates.miss_ppm);
}

static void test_captured(void **state)
{
	_cleanup_fclose_ FILE *in = fopen(CZ_FIXTURES "/counters/group-reads.txt", "re");
	struct pmc_sums now = {0}, last;

	assert_non_null(in);
	take(in, 0, PMC_GROUP_CORE, &now);
	take(in, PMC_FIRST_OF_LLC, PMC_GROUP_LLC, &now);
	last = now;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		take(in, 0, PMC_GROUP_CORE, &now);
		take(in, PMC_FIRST_OF_LLC, PMC_GROUP_LLC, &now);
		check_interval(&now, &last, &expected[i]);
	}
}

static void test_not_a_reading(void **state)
{
	uint64_t words[16] = {3, 10, 10, 1, 2, 3};
	struct pmc_reading r;

	assert_int_equal(pmc_reading_parse(words, 48, &r), 0);
	assert_int_equal(r.value[2], 3);
	assert_int_equal(pmc_reading_parse(words, 0, &r), -EBADMSG);
	assert_int_equal(pmc_reading_parse(words, 47, &r), -EBADMSG);
	assert_int_equal(pmc_reading_parse(words, 56, &r), -EBADMSG);
	words[0] = 0;
	assert_int_equal(pmc_reading_parse(words, 24, &r), -EBADMSG);
	words[0] = PMC_NR + 1;
	assert_int_equal(pmc_reading_parse(words, 8 * (3 + PMC_NR + 1), &r), -EBADMSG);
	words[0] = UINT64_MAX / 8;
	assert_int_equal(pmc_reading_parse(words, 48, &r), -EBADMSG);
	words[0] = 3;
	words[2] = 11; /* it ran longer than it was enabled */
	assert_int_equal(pmc_reading_parse(words, 48, &r), -EBADMSG);
}

/* Large counts times large times do not overflow. */
static void test_large(void **state)
{
	struct pmc_sums last = {0}, now = {.v = {1ull << 62, 1ull << 61}};
	uint64_t counts[PMC_NR], enabled_ns, running_ns;

	now.v[PMC_FIELD_ENABLED] = 1ull << 60;
	now.v[PMC_FIELD_RUNNING] = 1ull << 59;
	assert_true(pmc_grown(&now, &last, PMC_GROUP_CORE, counts, &enabled_ns, &running_ns));
	assert_true(counts[0] == 1ull << 63 && counts[1] == 1ull << 62);
}

static void test_absent(void **state)
{
	uint64_t counts[PMC_NR] = {30, 10, 20, 0, 0};
	struct pmc_rates r;

	pmc_rates(counts, 1u << PMC_INSTRUCTIONS | 1u << PMC_CYCLES, &r);
	assert_true(r.cpi_ppm == UINT64_MAX && r.ipc_ppm == 500000 && r.mpki_ppm == UINT64_MAX);
	pmc_rates(counts, ALL, &r);
	assert_true(r.cpi_ppm == 3000000 && r.miss_ppm == UINT64_MAX && r.mpki_ppm == 0);
	assert_int_equal(pmc_leader(ALL, PMC_GROUP_LLC), PMC_LLC_REFERENCES);
	assert_int_equal(pmc_leader(1u << PMC_CYCLES, PMC_GROUP_CORE), PMC_CYCLES);
	assert_int_equal(pmc_leader(1u << PMC_CYCLES, PMC_GROUP_LLC), PMC_NR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_captured),
	    cmocka_unit_test(test_not_a_reading),
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
