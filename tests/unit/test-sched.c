/* SPDX-License-Identifier: MIT */
/* The policies' pure parts: when scx-net restrains, whom scx-user picks, rules for threads. */
#include "sched/net-load.h"
#include "sched/refusal.h"
#include "sched/user-pick.h"
#include "test.h"

#define MS 1000000ull

static const struct net_rule rule = {
    .events_per_s = 1000, .batch_milli = 4000, .leave_ppm = 800000, .dwell_ns = 1000 * MS};

struct feed {
	struct net_load load;
	struct bus_epoll counts;
	uint64_t now_ns;
};

/* Load for ms; returns after how many ms the answer was `until`, or -1. */
static int feed(struct feed *f, uint64_t events_per_s, uint64_t batch, int ms, bool until)
{
	for (int at = 200; at <= ms; at += 200) {
		f->now_ns += 200 * MS;
		f->counts.events_total += events_per_s / 5;
		f->counts.returns_total += batch ? events_per_s / 5 / batch : 50;
		if (net_load_step(&f->load, &rule, f->now_ns, &f->counts) == until)
			return at;
	}
	return -1;
}

static void test_net_rate(void **state)
{
	struct feed f = {.now_ns = 5000 * MS};

	assert_int_equal(feed(&f, 500, 1, 10000, true), -1);
	assert_in_range(feed(&f, 1200, 1, 2000, true), 200, 1000);
	assert_int_equal(feed(&f, 900, 1, 10000, false), -1); /* between both thresholds */
	assert_in_range(feed(&f, 100, 1, 2000, false), 200, 1000);
	assert_int_equal(f.load.changes_total, 2);
}

static void test_net_batch(void **state)
{
	struct feed f = {.now_ns = 5000 * MS};

	for (int i = 0; i < 5; i++) { /* a long batch each second is hardly any load */
		assert_int_equal(feed(&f, 25, 5, 200, true), -1);
		assert_int_equal(feed(&f, 0, 0, 800, true), -1);
	}
	assert_in_range(feed(&f, 50, 5, 2000, true), 200, 1000); /* a server that is always late */
	assert_in_range(feed(&f, 0, 0, 2000, false), 200, 1200);
	assert_in_range(feed(&f, 300, 6, 2000, true), 200, 1000);
	assert_in_range(feed(&f, 300, 1, 3000, false), 200, 1200);
}

static void test_net_idle_and_flapping(void **state)
{
	struct feed f = {.now_ns = 5000 * MS};

	assert_int_equal(feed(&f, 0, 0, 5000, true), -1); /* epoll_wait that times out */
	for (int i = 0; i < 50; i++) { /* the worst load: up and down at each sample */
		(void)!feed(&f, 5000, 1, 200, true);
		(void)!feed(&f, 0, 1, 200, false);
	}
	assert_in_range(f.load.changes_total, 0, 21); /* 20 s at one a second */
}

static struct user_request request(int pid, uint64_t vtime, uint64_t used_ns, uint32_t weight)
{
	return (struct user_request){
	    .pid = pid, .cpu = 1, .vtime = vtime, .used_ns = used_ns, .weight = weight};
}

static void test_pick_fair(void **state)
{
	static struct user_pick pick;
	uint64_t vtime[3] = {0}, used[3] = {0}, total[3] = {0};
	const uint32_t weights[3] = {100, 100, 200};
	struct user_parked d;

	pick = (struct user_pick){.slice_ns = 4 * MS};
	for (int round = 0; round < 4000; round++) {
		for (int i = 0; i < 3; i++) {
			struct user_request r = request(i + 1, vtime[i], used[i], weights[i]);

			assert_true(user_pick_add(&pick, &r)); /* again and again: the same entry */
			used[i] = 0;
			vtime[i] = pick.parked[0].pid == i + 1 ? pick.parked[0].vtime : vtime[i];
			for (size_t k = 0; k < pick.nr; k++)
				if (pick.parked[k].pid == i + 1)
					vtime[i] = pick.parked[k].vtime;
		}
		assert_int_equal(pick.nr, 3);
		assert_true(user_pick_next(&pick, &d));
		used[d.pid - 1] = 4 * MS;
		total[d.pid - 1]++;
	}
	assert_in_range(total[0], 980, 1020);
	assert_in_range(total[1], 980, 1020);
	assert_in_range(total[2], 1960, 2040);
}

static void test_pick_bounds(void **state)
{
	static struct user_pick pick;
	struct user_parked d;
	struct user_request r = request(1, 0, 0, 0); /* a weight of 0 does not divide */

	pick = (struct user_pick){.slice_ns = 4 * MS, .now = 1000 * MS};
	assert_false(user_pick_next(&pick, &d));
	assert_true(user_pick_add(&pick, &r));
	assert_true(user_pick_next(&pick, &d));
	assert_int_equal(d.vtime, 996 * MS);	   /* a sleeper keeps one slice */
	for (int i = 0; i < USER_EARLY_MAX; i++) { /* not there yet, not there yet.. gone */
		user_pick_again(&pick, &d);
		assert_true(user_pick_next(&pick, &d));
	}
	user_pick_again(&pick, &d);
	assert_false(user_pick_next(&pick, &d));
	for (int i = 0; i < USER_PARKED_MAX; i++) {
		r = request(10 + i, 0, 0, 100);
		assert_true(user_pick_add(&pick, &r));
	}
	r = request(1, 0, 0, 100);
	assert_false(user_pick_add(&pick, &r));
}

static void test_refusal(void **state)
{
	struct refusal r = {0};

	/* of warnings the first one */
	refusal_take(
	    &r, "libbpf: extern (func ksym) 'scx_bpf_x': not found in kernel or module BTFs\n");
	refusal_take(&r, "libbpf: failed to load object 'fifo'\n");
	assert_string_equal(r.text,
			    "extern (func ksym) 'scx_bpf_x': not found in kernel or module BTFs");
	/* the verifier's last word before its figures, and nothing after it */
	refusal_take(
	    &r,
	    "libbpf: prog 'fifo_enqueue': -- BEGIN PROG LOAD LOG --\n0: R1=ctx() R10=fp0\n"
	    "; int x @ f.c:3\nR1 type=scalar expected=ptr_\nprocessed 12 insns (limit 1000000)\n"
	    "verification time 90 usec\n-- END PROG LOAD LOG --\n");
	refusal_take(
	    &r, "libbpf: prog 'other': -- BEGIN PROG LOAD LOG --\nno\n-- END PROG LOAD LOG --\n");
	assert_string_equal(r.text, "fifo_enqueue: R1 type=scalar expected=ptr_");
	/* a log without a word, without an end, of one endless line */
	r = (struct refusal){0};
	refusal_take(&r, "-- BEGIN PROG LOAD LOG --\nprocessed 1 insns\n");
	assert_string_equal(r.text, "");
	char endless[2000] = "-- BEGIN PROG LOAD LOG --";

	memset(endless + strlen(endless), 'x', sizeof(endless) - strlen(endless) - 1);
	refusal_take(&r, endless);
	assert_int_equal(strlen(r.text), REFUSAL_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_net_rate),
	    cmocka_unit_test(test_net_batch),
	    cmocka_unit_test(test_net_idle_and_flapping),
	    cmocka_unit_test(test_pick_fair),
	    cmocka_unit_test(test_pick_bounds),
	    cmocka_unit_test(test_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
