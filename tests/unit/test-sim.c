/* SPDX-License-Identifier: MIT */
/* The model against what it was fitted to, the search against the model, and runs that repeat. */
#include <math.h>
#include "sim/oracle.h"
#include "sim/tables.h"
#include "test.h"

#define SECOND_NS UINT64_C(1000000000)

static void alone(struct sim_place *p, const char *name, double load)
{
	*p = (struct sim_place){.app = sim_app_find(name), .load = load};
	sim_unmanaged(&sim_xeon, p, 1);
}

/* Alone with everything, the target is the 99th percentile at maximal load. */
static void at_the_knee_latency_is_the_target(void **state)
{
	for (const struct sim_app *a = sim_apps; a->name; a++) {
		struct sim_place p;
		struct sim_result r;

		if (a->be)
			continue;
		alone(&p, a->name, 1);
		sim_evaluate(&sim_xeon, &p, 1, &r);
		assert_true(fabs(r.p99_ns / a->target_ns - 1) < 1e-9);
		p.load = 0.01;
		sim_evaluate(&sim_xeon, &p, 1, &r);
		assert_true(r.p99_ns < 0.5 * a->target_ns);
	}
}

/* More of anything never makes it worse. */
static void latency_falls_with_every_resource(void **state)
{
	const struct sim_app *a = sim_app_find("sphinx");

	for (int res = 0; res <= RES_FREQ; res++) {
		double last = INFINITY;

		for (unsigned int u = sim_xeon.host.min[res]; u <= sim_xeon.host.total[res]; u++) {
			struct sim_place p;
			struct sim_result r;

			alone(&p, a->name, 0.2);
			p.alloc.units[res] = (uint16_t)u;
			p.ways = p.alloc.units[RES_WAY];
			sim_evaluate(&sim_xeon, &p, 1, &r);
			assert_true(r.p99_ns <= last);
			last = r.p99_ns;
		}
	}
}

static void traffic_hurts_whom_the_paper_says(void **state)
{
	struct sim_place p[2] = {{.app = sim_app_find("moses"), .load = 0.3},
				 {.app = sim_app_find("stream"), .load = 1}};
	struct sim_result beside[2], without;

	for (int i = 0; i < 2; i++) {
		for (int r = 0; r < RES_NR; r++)
			p[i].alloc.units[r] =
			    (uint16_t)(r == RES_FREQ || r == RES_BW ? sim_xeon.host.total[r]
								    : sim_xeon.host.total[r] / 2);
		p[i].alloc.owner = (uint8_t)i;
		p[i].alloc.units[RES_CORE] = i ? 10 : 4;
		p[i].ways = 10;
	}
	sim_evaluate(&sim_xeon, p, 2, beside);
	sim_evaluate(&sim_xeon, p, 1, &without);
	assert_true(beside[0].p99_ns > without.p99_ns);
	p[1].alloc.units[RES_BW] = 1; /* and the limit helps */
	{
		struct sim_result limited[2];

		sim_evaluate(&sim_xeon, p, 2, limited);
		assert_true(limited[0].p99_ns < beside[0].p99_ns);
		assert_true(limited[1].progress < beside[1].progress);
	}
}

/* What the search finds holds, and where it finds nothing no division in steps of two does either.
 */
static void the_oracle_tells_the_truth(void **state)
{
	for (int load = 1; load <= 10; load++) {
		struct sim_place p[2] = {{.app = sim_app_find("sphinx"), .load = 0.5},
					 {.app = sim_app_find("moses"), .load = load / 10.0}};
		struct sim_result r[2];
		int found = oracle_find(&sim_xeon, p, 2);

		assert_true(found >= 0);
		sim_evaluate(&sim_xeon, p, 2, r);
		if (found) {
			assert_true(sim_all_met(p, 2, r));
			assert_true(p[0].alloc.units[RES_CORE] + p[1].alloc.units[RES_CORE] <= 14);
			assert_true(p[0].alloc.units[RES_WAY] + p[1].alloc.units[RES_WAY] <= 20);
			continue;
		}
		for (unsigned int c = 1; c < 14; c++)
			for (unsigned int w = 2; w < 20; w += 2) {
				p[0].alloc.units[RES_CORE] = (uint16_t)c;
				p[1].alloc.units[RES_CORE] = (uint16_t)(14 - c);
				p[0].ways = w;
				p[1].ways = 20 - w;
				sim_evaluate(&sim_xeon, p, 2, r);
				assert_false(sim_all_met(p, 2, r));
			}
	}
}

static struct sim_question question(const struct controller *c, double a, double b, double d)
{
	return (struct sim_question){
	    .controller = c,
	    .mix = {.nr = 3,
		    .apps = {sim_app_find("memcached"), sim_app_find("xapian"),
			     sim_app_find("nginx")},
		    .load = {a, b, d}},
	    .settle_ns = 60 * SECOND_NS,
	    .measure_ns = 20 * SECOND_NS,
	    .seed = 7,
	};
}

static void the_same_seed_is_the_same_run(void **state)
{
	for (size_t i = 0; controllers[i]; i++) {
		struct sim_question q = question(controllers[i], .2, .2, .4);
		struct sim_answer a, b;

		assert_int_equal(sim_run(&sim_xeon, &q, &a), 0);
		assert_int_equal(sim_run(&sim_xeon, &q, &b), 0);
		assert_memory_equal(a.alloc, b.alloc, sizeof(a.alloc));
		assert_memory_equal(a.late, b.late, sizeof(a.late));
		assert_true(a.settled_ns == b.settled_ns);
	}
}

/* No controller gives away more than there is. */
static void check_sums(void *arg, uint64_t now_ns, const struct ctl_plan *plan, size_t nr)
{
	for (int r = 0; r < RES_NR; r++) {
		unsigned int sum = 0;

		for (size_t i = 0; i < nr; i++) {
			if (plan->alloc[i].owner == i)
				sum += plan->alloc[i].units[r];
			assert_true(plan->alloc[i].units[r] <= sim_xeon.host.total[r]);
		}
		if (res_is_shared(r))
			assert_true(sum <= sim_xeon.host.total[r]);
	}
	assert_true(plan->why[0]);
	++*(unsigned int *)arg;
}

static void controllers_stay_within_the_machine(void **state)
{
	for (size_t i = 0; controllers[i]; i++)
		for (uint64_t seed = 1; seed <= 5; seed++) {
			unsigned int changes = 0;
			struct sim_question q = question(controllers[i], .4, .3, .2);
			struct sim_answer a;

			q.mix.apps[3] = sim_app_find("stream");
			q.mix.nr = 4;
			q.seed = seed;
			q.changed = check_sums;
			q.arg = &changes;
			assert_int_equal(sim_run(&sim_xeon, &q, &a), 0);
			assert_true(changes > 0);
		}
}

/* A load that rises in the middle is met again, and the run knows that it was late meanwhile. */
static void a_step_of_the_load_is_seen(void **state)
{
	struct sim_change step = {.at_ns = 30 * SECOND_NS, .app = 2, .load = .7};
	struct sim_question q = question(&controller_parties, .1, .1, .2);
	struct sim_answer calm, stepped;

	q.measure_ns = 60 * SECOND_NS;
	assert_int_equal(sim_run(&sim_xeon, &q, &calm), 0);
	q.trace = (struct sim_trace){&step, 1};
	assert_int_equal(sim_run(&sim_xeon, &q, &stepped), 0);
	assert_true(stepped.violated[2] > calm.violated[2]);
	assert_true(stepped.alloc[2].units[RES_CORE] > calm.alloc[2].units[RES_CORE]);
}

/* The model's free parameters were fitted to these two columns of the paper. */
static void maps_are_near_the_paper(void **state)
{
	static const char *const names[] = {"unmanaged", "oracle"};

	for (int how = HOW_UNMANAGED; how <= HOW_ORACLE; how++) {
		const struct sim_table *paper = table_published("nginx", names[how]);
		struct table_question q = {.how = how, .third = sim_app_find("nginx")};
		struct table_result r;
		int off = 0, all = 0;

		assert_int_equal(table_make(&sim_xeon, &q, &r), 0);
		for (int i = 0; i < TABLE_SIDE * TABLE_SIDE; i++) {
			int there = paper->third[i / TABLE_SIDE][i % TABLE_SIDE];

			off += abs(r.table.third[i / TABLE_SIDE][i % TABLE_SIDE] - there);
			all += there;
		}
		assert_true(off * 4 <= all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(at_the_knee_latency_is_the_target),
	    cmocka_unit_test(latency_falls_with_every_resource),
	    cmocka_unit_test(traffic_hurts_whom_the_paper_says),
	    cmocka_unit_test(the_oracle_tells_the_truth),
	    cmocka_unit_test(the_same_seed_is_the_same_run),
	    cmocka_unit_test(controllers_stay_within_the_machine),
	    cmocka_unit_test(a_step_of_the_load_is_seen),
	    cmocka_unit_test(maps_are_near_the_paper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
