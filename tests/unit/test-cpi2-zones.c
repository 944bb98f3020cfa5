/* SPDX-License-Identifier: MIT */
/* CPI2 on zones: what of a host is a task, what of it is told, minute by minute. The rules
 * themselves: test-cpi2.c; with what is done about it: the replay cpi2-cap. */
#include "test.h"
#include "detect/detect.h"
#include "world.h"

#define TICK (10 * SEC)

struct lab {
	struct world w;
	struct detect *d;
	struct finding_set found;
	uint32_t redis, worker, batch, slice, job;
};

static void count(struct lab *lab, uint32_t zone, double cpus, double cpi)
{
	struct zone_view *z = &lab->w.zones[zone];
	double ns = cpus * TICK;

	z->delta[ZM_CPU_USAGE_NS] = (uint64_t)ns;
	z->delta[ZM_INSTRUCTIONS] = (uint64_t)(ns * 2 / cpi);
	z->delta[ZM_REF_CYCLES] = (uint64_t)(ns * 2);
	z->delta_valid =
	    METRIC_BIT(ZM_CPU_USAGE_NS) | METRIC_BIT(ZM_INSTRUCTIONS) | METRIC_BIT(ZM_REF_CYCLES);
}

static void tick(struct lab *lab, double cpus, double cpi, double batch, double job)
{
	world_tick(&lab->w, TICK);
	world_ledger(&lab->w, lab->redis, 1000, 20000);
	count(lab, lab->redis, cpus, cpi);
	count(lab, lab->worker, cpus, cpi);
	count(lab, lab->batch, batch, 1);
	count(lab, lab->slice, job, 1);
	count(lab, lab->job, job, 1);
	detect_run(lab->d, &lab->w.s, &lab->found);
}

static void lab_open(struct lab *lab)
{
	world_init(&lab->w);
	lab->redis = world_add(&lab->w, 0, "redis", CLASS_LC);
	lab->w.zones[lab->redis].class_is_own = true;
	lab->worker = world_add(&lab->w, lab->redis, "worker", CLASS_LC);
	lab->batch = world_add(&lab->w, 0, "batch", CLASS_BE);
	lab->slice = world_add(&lab->w, 0, "slice", CLASS_BE);
	lab->job = world_add(&lab->w, lab->slice, "job", CLASS_BE);
	assert_int_equal(detect_new(&lab->w.cfg, &lab->d), 0);
	tick(lab, 0.75, 1.5, 0.02, 0.5); /* minutes begin with the first tick */
}

/* One minute of redis, its part, and the others. */
static void minute(struct lab *lab, double cpus, double cpi, double batch, double job)
{
	static unsigned int n;

	cpi *= n++ % 2 ? 1.02 : 0.98;
	for (int i = 0; i < 6; i++)
		tick(lab, cpus, cpi, batch, job);
}

static const struct finding *open_cache(const struct lab *lab)
{
	for (size_t i = 0; i < lab->found.nr; i++)
		if (lab->found.items[i].open && lab->found.items[i].resource == RESOURCE_CACHE)
			return &lab->found.items[i];
	return NULL;
}

static void minutes(struct lab *lab, int nr, double cpus, double cpi, double batch, double job)
{
	while (nr--) {
		minute(lab, cpus, cpi, batch, job);
		assert_null(open_cache(lab));
	}
}

static void test_culprit(void **state)
{
	const struct finding *f;
	struct lab lab;

	lab_open(&lab);
	minutes(&lab, 80, 0.75, 1.5, 0.02, 0.5);
	minutes(&lab, 3, 0.75, 3.0, 1.0, 0.5); /* told when the third minute is over */
	minute(&lab, 0.75, 3.0, 1.0, 0.5);
	f = open_cache(&lab);
	assert_non_null(f);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
	assert_int_equal(finding_sum_ppm(f), 1000000);
	assert_int_equal(f->nr_culprits, 1);
	assert_int_equal(f->culprits[0].zone_id, world_id(lab.batch));
	assert_true(f->culprits[0].share_ppm >= 350000 && f->culprits[0].share_ppm < 600000);
	assert_non_null(strstr(f->why, "1.50 are usual"));
	assert_non_null(strstr(f->told, "batch"));
	for (int i = 0; i < 8 && open_cache(&lab); i++)
		minute(&lab, 0.75, 1.5, 0.02, 0.5);
	assert_null(open_cache(&lab));
	detect_free(lab.d);
}

/* Half as much again is an outlier, and nobody is named at 0.35. */
static void test_small_harm(void **state)
{
	const struct finding *f;
	struct lab lab;

	lab_open(&lab);
	minutes(&lab, 80, 0.75, 1.5, 0.02, 0.5);
	for (int i = 0; i < 4; i++)
		minute(&lab, 0.75, 2.25, 1.0, 0.5);
	f = open_cache(&lab);
	assert_non_null(f);
	assert_int_equal(f->cause, CAUSE_UNKNOWN);
	assert_int_equal(f->nr_culprits, 0);
	detect_free(lab.d);
}

/* More cycles an instruction at a higher load is usual, and is known by the load. */
static void test_by_use(void **state)
{
	struct lab lab;

	lab_open(&lab);
	for (int i = 0; i < 20; i++) {
		minutes(&lab, 10, 0.75, 1.2, 0.02, 0.5);
		minutes(&lab, 10, 1.75, 2.4, 0.02, 0.5);
	}
	minutes(&lab, 3, 0.75, 2.4, 0.02, 0.5);
	minute(&lab, 0.75, 2.4, 0.02, 0.5);
	assert_non_null(open_cache(&lab));
	detect_free(lab.d);
}

/* A zone takes the place of one that is gone, and begins with nothing known. */
static void test_zones_come_and_go(void **state)
{
	struct lab lab;

	lab_open(&lab);
	minutes(&lab, 75, 0.75, 1.5, 0.02, 0.5);
	for (uint64_t i = 0; i < 80; i++) {
		lab.w.zones[lab.redis].id = 5000 + i;
		lab.w.zones[lab.batch].id = 6000 + i;
		minutes(&lab, 1, 0.75, i % 2 ? 1.0 : 4.0, 1.0, 0.5);
	}
	minutes(&lab, 4, 0.75, 6.0, 1.0, 0.5);
	detect_free(lab.d);
}

/* Where nothing is counted, nothing is found. */
static void test_no_counters(void **state)
{
	struct lab lab;

	lab_open(&lab);
	minutes(&lab, 80, 0.75, 1.5, 0.02, 0.5);
	for (int i = 0; i < 60; i++) {
		world_tick(&lab.w, TICK);
		world_ledger(&lab.w, lab.redis, 1000, 20000);
		for (size_t z = 0; z < lab.w.s.nr_zones; z++)
			lab.w.zones[z].delta_valid = METRIC_BIT(ZM_CPU_USAGE_NS);
		detect_run(lab.d, &lab.w.s, &lab.found);
		assert_null(open_cache(&lab));
	}
	detect_free(lab.d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_culprit),	cmocka_unit_test(test_small_harm),
	    cmocka_unit_test(test_by_use),	cmocka_unit_test(test_zones_come_and_go),
	    cmocka_unit_test(test_no_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
