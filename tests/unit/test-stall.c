/* SPDX-License-Identifier: MIT */
/* Stalls on memory and io: whose doing, and nobody's without evidence. */
#include <stdlib.h>
#include "detect/detect.h"
#include "detect/internal.h"
#include "model/record-live.h"
#include "test.h"
#include "world.h"

#define MIB (1ull << 20)

struct lab {
	struct world w;
	struct detect *d;
	struct finding_set f;
	uint32_t domain, lc, hog, decoy;
};

static void set(struct lab *lab, uint32_t zone, enum zone_metric m, uint64_t value)
{
	lab->w.zones[zone].valid |= METRIC_BIT(m);
	lab->w.zones[zone].value[m] = value;
}

static void grew(struct lab *lab, uint32_t zone, enum zone_metric m, uint64_t delta)
{
	lab->w.zones[zone].valid |= METRIC_BIT(m);
	lab->w.zones[zone].delta_valid |= METRIC_BIT(m);
	lab->w.zones[zone].delta[m] = delta;
}

static int lab_setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	world_init(&lab->w);
	lab->domain = world_add(&lab->w, 0, "box", CLASS_NORMAL);
	lab->lc = world_add(&lab->w, lab->domain, "redis", CLASS_LC);
	lab->hog = world_add(&lab->w, lab->domain, "batch", CLASS_BE);
	lab->decoy = world_add(&lab->w, lab->domain, "decoy", CLASS_BE);
	assert_int_equal(detect_new(&lab->w.cfg, &lab->d), 0);
	set(lab, lab->lc, ZM_MEM_BYTES, 200 * MIB);
	set(lab, lab->hog, ZM_MEM_BYTES, 10 * MIB);
	set(lab, lab->decoy, ZM_MEM_BYTES, 100 * MIB);
	set(lab, lab->domain, ZM_MEM_BYTES, 310 * MIB);
	set(lab, lab->domain, ZM_MEM_LIMIT_BYTES, 512 * MIB);
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

/* One second in which redis stalls so much; what else happened was set before. */
static const struct finding *second(struct lab *lab, uint64_t memory_ns, uint64_t io_ns)
{
	world_tick(&lab->w, SEC);
	world_ledger(&lab->w, lab->lc, 5000, MSEC / 10);
	world_use(&lab->w, lab->lc, 250 * MSEC);
	grew(lab, lab->lc, ZM_PSI_MEM_SOME_NS, memory_ns);
	grew(lab, lab->lc, ZM_PSI_IO_SOME_NS, io_ns);
	detect_run(lab->d, &lab->w.s, &lab->f);
	return lab->f.nr ? &lab->f.items[0] : NULL;
}

/* Two such seconds: one alone raises nothing. */
static const struct finding *hurt(struct lab *lab, uint64_t memory_ns, uint64_t io_ns)
{
	assert_null(second(lab, memory_ns, io_ns));
	return second(lab, memory_ns, io_ns);
}

static void calm(struct lab *lab, int seconds)
{
	while (seconds--)
		assert_null(second(lab, 0, 0));
}

/* The hog grows to 300 MiB at the cost of redis, and the domain is full. */
static void hog_grows(struct lab *lab)
{
	set(lab, lab->hog, ZM_MEM_BYTES, 300 * MIB);
	set(lab, lab->lc, ZM_MEM_BYTES, 110 * MIB);
	set(lab, lab->domain, ZM_MEM_BYTES, 511 * MIB);
}

static void test_the_one_that_grew_is_named(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	calm(lab, 40);
	hog_grows(lab);
	f = hurt(lab, 310 * MSEC, 0);
	assert_non_null(f);
	assert_int_equal(f->resource, RESOURCE_MEMORY);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
	assert_int_equal(f->nr_culprits, 1);
	assert_string_equal(f->culprits[0].name, "batch");
	assert_int_equal(f->severity, SEVERITY_WARNING);
	assert_int_equal(finding_sum_ppm(f), PPM);
	assert_string_equal(f->why, "stalled 31.0 % of the time for memory, usually 0.0 %");
	assert_non_null(strstr(f->told, "batch holds 300"));
	assert_non_null(strstr(f->told, "box, which both are in, is full"));
}

static void test_what_is_usual_stands_still_while_it_hurts(void **state)
{
	struct lab *lab = *state;
	const struct finding *f = NULL;

	calm(lab, 40);
	hog_grows(lab);
	for (int i = 0; i < 300; i++)
		f = second(lab, 310 * MSEC, 0);
	assert_non_null(f);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
	assert_string_equal(f->culprits[0].name, "batch");
}

static void test_own_limit_is_self(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	calm(lab, 40);
	hog_grows(lab);
	set(lab, lab->lc, ZM_MEM_LIMIT_BYTES, 111 * MIB);
	f = hurt(lab, 310 * MSEC, 0);
	assert_int_equal(f->cause, CAUSE_SELF);
	assert_int_equal(f->nr_culprits, 0);
	assert_non_null(strstr(f->told, "its own memory limit"));
}

static void test_v1_soft_limit_is_none(void **state)
{
	struct lab *lab = *state;

	calm(lab, 40);
	hog_grows(lab);
	set(lab, lab->lc, ZM_MEM_HIGH_BYTES, 50 * MIB);
	assert_int_equal(hurt(lab, 310 * MSEC, 0)->cause, CAUSE_NEIGHBOUR);
	set(lab, lab->lc, ZM_MEM_HIGH_EVENTS, 3); /* v2: there memory.high is one */
	assert_int_equal(second(lab, 400 * MSEC, 0)->cause, CAUSE_NEIGHBOUR); /* of both windows */
	for (int i = 0; i < 4; i++)
		second(lab, 400 * MSEC, 0);
	assert_int_equal(lab->f.items[0].cause, CAUSE_SELF);
}

static void test_own_growth_is_self(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	calm(lab, 40);
	set(lab, lab->lc, ZM_MEM_BYTES, 400 * MIB);
	set(lab, lab->domain, ZM_MEM_BYTES, 511 * MIB);
	f = hurt(lab, 310 * MSEC, 0);
	assert_int_equal(f->cause, CAUSE_SELF);
	assert_int_equal(f->nr_culprits, 0);
}

static void test_nobody_grew_nobody_is_blamed(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	calm(lab, 40);
	f = hurt(lab, 310 * MSEC, 0);
	assert_int_equal(f->cause, CAUSE_UNKNOWN);
	assert_int_equal(f->nr_culprits, 0);
}

static void test_the_host_is_out_of_memory(void **state)
{
	struct lab *lab = *state;

	calm(lab, 40);
	lab->w.s.host_valid = METRIC_BIT(HM_MEM_TOTAL_BYTES) | METRIC_BIT(HM_MEM_AVAILABLE_BYTES);
	lab->w.s.host_value[HM_MEM_TOTAL_BYTES] = 8192 * MIB;
	lab->w.s.host_value[HM_MEM_AVAILABLE_BYTES] = 100 * MIB;
	assert_int_equal(hurt(lab, 310 * MSEC, 0)->cause, CAUSE_HOST);
}

/* It keeps reclaim busy at a limit of its own: that takes nothing from anybody. */
static void test_a_bounded_decoy_is_not_named(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	set(lab, lab->decoy, ZM_MEM_LIMIT_BYTES, 100 * MIB);
	grew(lab, lab->decoy, ZM_MEM_RECLAIMED_PAGES, 100000);
	calm(lab, 40);
	hog_grows(lab);
	f = hurt(lab, 310 * MSEC, 0);
	assert_int_equal(f->nr_culprits, 1);
	assert_string_equal(f->culprits[0].name, "batch");
}

/* Nor is one in a group that is full, as the guard's own limit on that group makes it. */
static void test_churn_below_a_full_group_is_its_own(void **state)
{
	struct lab *lab = *state;
	uint32_t job = world_add(&lab->w, lab->decoy, "job", CLASS_BE);
	const struct finding *f;

	set(lab, lab->decoy, ZM_MEM_LIMIT_BYTES, 100 * MIB);
	set(lab, job, ZM_MEM_BYTES, 95 * MIB);
	grew(lab, job, ZM_MEM_RECLAIMED_PAGES, 100000);
	calm(lab, 40);
	hog_grows(lab);
	f = hurt(lab, 310 * MSEC, 0);
	assert_int_equal(f->nr_culprits, 1);
	assert_string_equal(f->culprits[0].name, "batch");
	lab->w.zones[lab->decoy].valid &= ~METRIC_BIT(ZM_MEM_LIMIT_BYTES); /* but without it */
	for (int i = 0; i < 4; i++)
		f = second(lab, 310 * MSEC, 0);
	assert_int_equal(f->nr_culprits, 2);
}

/* It holds no more than ever, and reclaim takes from it what it takes anew. */
static void test_churn_without_growth_is_named(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	set(lab, lab->hog, ZM_MEM_BYTES, 150 * MIB);
	calm(lab, 40);
	set(lab, lab->domain, ZM_MEM_BYTES, 511 * MIB);
	grew(lab, lab->hog, ZM_MEM_RECLAIMED_PAGES, 40000);
	f = hurt(lab, 310 * MSEC, 0);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
	assert_string_equal(f->culprits[0].name, "batch");
}

static void did_io(struct lab *lab, uint32_t zone, uint64_t bytes, uint64_t ops)
{
	grew(lab, zone, ZM_IO_READ_BYTES, bytes);
	grew(lab, zone, ZM_IO_WRITE_BYTES, 0);
	grew(lab, zone, ZM_IO_READS, ops);
	grew(lab, zone, ZM_IO_WRITES, 0);
}

static void test_io_is_split_by_what_each_did(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	calm(lab, 40);
	did_io(lab, lab->lc, 4 * MIB, 100);
	did_io(lab, lab->hog, 400 * MIB, 3200);
	did_io(lab, lab->domain, 404 * MIB, 3300);
	f = hurt(lab, 0, 500 * MSEC);
	assert_int_equal(f->resource, RESOURCE_IO);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
	assert_int_equal(f->nr_culprits, 1);
	assert_string_equal(f->culprits[0].name, "batch");
	assert_int_equal(finding_sum_ppm(f), PPM);
	assert_non_null(strstr(f->told, "batch did 400 MiB in 3200 operations a second"));
}

static const struct disk_view disks[] = {
    {"nvme0n1", 1, 8200, 82000 * 10000ull}, /* 0.1 ms a request */
    {"sda", 2, 100, 100 * 16 * MSEC},
};

static void at_disks(struct lab *lab, const struct disk_use *uses, size_t nr)
{
	lab->w.s.disks = disks;
	lab->w.s.nr_disks = 2;
	lab->w.s.disk_uses = uses;
	lab->w.s.nr_disk_uses = nr;
}

/* Its requests take long at sda, however many more it has at the other disk. */
static void test_io_is_split_by_the_disk_waited_for(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;
	struct disk_use uses[] = {
	    {world_id(lab->lc), lab->lc, 1, 4 * MIB, 1000},
	    {world_id(lab->lc), lab->lc, 2, MIB, 50},
	    {world_id(lab->decoy), lab->decoy, 1, 900 * MIB, 7200},
	    {world_id(lab->hog), lab->hog, 2, 40 * MIB, 50},
	};

	calm(lab, 40);
	at_disks(lab, uses, 4);
	f = hurt(lab, 0, 500 * MSEC);
	assert_non_null(f);
	assert_string_equal(f->culprits[0].name, "batch");
	assert_in_range(f->culprits[0].share_ppm, 750000, 850000);
	assert_in_range(f->culprits[1].share_ppm, 90000, 120000);
	assert_int_equal(finding_sum_ppm(f), PPM);
	assert_non_null(strstr(f->told, "batch did 40 MiB in 50 operations a second at sda"));
	for (int i = 0; i < 5; i++)
		second(lab, 0, 0);
	uses[1].dev = 1; /* the zone itself at the one disk, all others at the other */
	uses[2].dev = 2;
	assert_null(hurt(lab, 0, 500 * MSEC));
}

/* It begins nothing while it waits: at the disk where it did before. A layer's io is of others. */
static void test_a_zone_that_is_stuck_waits_where_it_did(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;
	struct disk_use uses[] = {
	    {world_id(lab->lc), lab->lc, 2, MIB, 50},
	    {world_id(lab->lc), lab->lc, 77, MIB, 50},
	    {world_id(lab->decoy), lab->decoy, 1, 900 * MIB, 7200},
	    {world_id(lab->hog), lab->hog, 2, 40 * MIB, 50},
	};

	at_disks(lab, uses, 2);
	for (int i = 0; i < 40; i++)
		assert_null(second(lab, 0, 10 * MSEC));
	at_disks(lab, uses + 2, 2);
	f = hurt(lab, 0, 900 * MSEC);
	assert_non_null(f);
	assert_int_equal(f->nr_culprits, 1);
	assert_string_equal(f->culprits[0].name, "batch");
	assert_int_equal(f->culprits[0].share_ppm, PPM);
}

/* The harm outlives who did it: while it lasts nobody is blamed any more, but it ends with a name,
 * unless it lasted longer so. */
static void ends(struct lab *lab, int nameless_s, enum cause cause, size_t nr_culprits)
{
	const struct finding *f = NULL;

	calm(lab, 40);
	did_io(lab, lab->hog, 400 * MIB, 3200);
	for (int i = 0; i < 5; i++)
		f = second(lab, 0, 300 * MSEC);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
	did_io(lab, lab->hog, 0, 0);
	for (int i = 0; i < nameless_s; i++)
		f = second(lab, 0, 950 * MSEC);
	assert_int_equal(f->cause, CAUSE_UNKNOWN);
	for (int i = 0; i < 5; i++)
		f = second(lab, 0, 0);
	assert_false(f->open);
	assert_int_equal(f->cause, cause);
	assert_int_equal(f->nr_culprits, nr_culprits);
	assert_in_range(f->last_ns, lab->w.s.now_ns - 5 * SEC, lab->w.s.now_ns - 5 * SEC);
}

static void test_the_end_keeps_the_name(void **state)
{
	ends(*state, 3, CAUSE_NEIGHBOUR, 1);
	assert_string_equal(((struct lab *)*state)->f.items[0].culprits[0].name, "batch");
}

static void test_long_nameless_harm_ends_without_a_name(void **state)
{
	ends(*state, 20, CAUSE_UNKNOWN, 0);
}

static void test_own_io_limit_is_throttled(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	calm(lab, 40);
	did_io(lab, lab->lc, 2 * MIB, 95);
	did_io(lab, lab->hog, 400 * MIB, 3200);
	did_io(lab, lab->domain, 402 * MIB, 3300);
	set(lab, lab->lc, ZM_IO_READS_LIMIT, 100);
	f = hurt(lab, 0, 500 * MSEC);
	assert_int_equal(f->cause, CAUSE_THROTTLED);
	assert_int_equal(f->nr_culprits, 0);
	set(lab, lab->lc, ZM_IO_READS_LIMIT, 1000); /* far from it */
	for (int i = 0; i < 12; i++)
		f = second(lab, 0, 500 * MSEC);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
}

/* For half a second it did all that its limit allows, and it stalled no longer than that. */
static void test_a_burst_at_the_own_io_limit_is_nobodys(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	calm(lab, 40);
	did_io(lab, lab->lc, 2 * MIB, 50);
	did_io(lab, lab->hog, 400 * MIB, 3200);
	did_io(lab, lab->domain, 402 * MIB, 3300);
	set(lab, lab->lc, ZM_IO_READS_LIMIT, 100);
	f = hurt(lab, 0, 500 * MSEC);
	assert_int_equal(f->cause, CAUSE_UNKNOWN);
	assert_int_equal(f->nr_culprits, 0);
	assert_non_null(strstr(f->told, "its own io limit alone may be why"));
	for (int i = 0; i < 12; i++) /* longer than that limit explains */
		f = second(lab, 0, 900 * MSEC);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
}

static void test_own_io_is_no_harm(void **state)
{
	struct lab *lab = *state;

	calm(lab, 40);
	did_io(lab, lab->lc, 400 * MIB, 3200);
	did_io(lab, lab->domain, 400 * MIB, 3200);
	assert_null(hurt(lab, 0, 500 * MSEC));
}

/* A slow disk: it stalls as long alone, so the one that reads much more beside it does no harm. */
static void test_usual_io_stalling_is_no_harm(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	did_io(lab, lab->lc, 4 * MIB, 100);
	did_io(lab, lab->domain, 4 * MIB, 100);
	for (int i = 0; i < 40; i++)
		assert_null(second(lab, 0, 200 * MSEC));
	did_io(lab, lab->hog, 400 * MIB, 3200);
	did_io(lab, lab->domain, 404 * MIB, 3300);
	assert_null(hurt(lab, 0, 250 * MSEC));
	f = hurt(lab, 0, 700 * MSEC);
	assert_non_null(f);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
	assert_in_range(f->usual_stall_ppm, 200000, 205000);
}

/* As a replay does, with the head of the recording. */
static void start_anew(struct lab *lab, const struct learned *l)
{
	struct record_head head = {.nr_learned = 1, .learned = l};
	struct error e = {0};
	struct record_reader *r;
	struct record rec;
	json_t *line;
	char *text;

	config_defaults(&head.config);
	line = record_head_json(&head);
	text = json_dumps(line, JSON_COMPACT);
	assert_int_equal(record_reader_new(&r), 0);
	if (record_read(r, text, &rec, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(rec.head.nr_learned, 1);
	detect_free(lab->d);
	assert_int_equal(detect_new(&lab->w.cfg, &lab->d), 0);
	detect_learn(lab->d, rec.head.learned);
	record_reader_free(r);
	json_decref(line);
	free(text);
}

static void test_what_was_learned_is_carried_over(void **state)
{
	struct lab *lab = *state;
	struct learned l;

	did_io(lab, lab->lc, 4 * MIB, 100);
	did_io(lab, lab->domain, 4 * MIB, 100);
	for (int i = 0; i < 40; i++)
		assert_null(second(lab, 0, 200 * MSEC));
	assert_int_equal(detect_learned(lab->d, &l, 1), 1);
	start_anew(lab, &l);
	did_io(lab, lab->hog, 400 * MIB, 3200);
	did_io(lab, lab->domain, 404 * MIB, 3300);
	assert_null(hurt(lab, 0, 250 * MSEC));
	assert_non_null(hurt(lab, 0, 700 * MSEC));
}

/* What was reclaimed is read from the disk again: the disk is not what is short. */
static void test_refaults_are_not_io(void **state)
{
	struct lab *lab = *state;

	calm(lab, 40);
	hog_grows(lab);
	did_io(lab, lab->hog, 400 * MIB, 3200);
	assert_non_null(hurt(lab, 400 * MSEC, 410 * MSEC));
	assert_int_equal(lab->f.nr, 1);
	assert_int_equal(lab->f.items[0].resource, RESOURCE_MEMORY);
}

static void test_without_psi_nothing_is_said(void **state)
{
	struct lab *lab = *state;

	calm(lab, 40);
	hog_grows(lab);
	world_tick(&lab->w, SEC);
	world_ledger(&lab->w, lab->lc, 5000, MSEC / 10);
	lab->w.zones[lab->lc].delta_valid &=
	    ~(METRIC_BIT(ZM_PSI_MEM_SOME_NS) | METRIC_BIT(ZM_PSI_IO_SOME_NS));
	detect_run(lab->d, &lab->w.s, &lab->f);
	assert_int_equal(lab->f.nr, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

/* A normal zone's io of five seconds comes at once: a fifth of it is of this one. */
static void test_io_that_was_not_read_for_long_is_a_rate(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	calm(lab, 40);
	grew(lab, lab->hog, ZM_IO_READ_BYTES, 60 * MIB);
	grew(lab, lab->decoy, ZM_IO_READ_BYTES, 50 * MIB);
	lab->w.zones[lab->decoy].io_span_ns = 5 * SEC;
	f = hurt(lab, 0, 500 * MSEC);
	assert_non_null(f);
	assert_string_equal(f->culprits[0].name, "batch");
	assert_in_range(f->culprits[0].share_ppm, 850000, 860000);
	assert_in_range(f->culprits[1].share_ppm, 140000, 150000);
}

static void sends(struct lab *lab, uint32_t zone, const char *interface, uint64_t bytes)
{
	snprintf(lab->w.zones[zone].interface, sizeof(lab->w.zones[zone].interface), "%s",
		 interface);
	grew(lab, zone, ZM_NET_BYTES, bytes);
	grew(lab, zone, ZM_NET_PACKETS, bytes / 1000);
	grew(lab, zone, ZM_NET_RETRANSMITS, 0);
}

/* The one that floods the same interface; not who floods another, nor who sends a little. */
static void test_lost_packets_are_of_the_one_that_floods(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;
	uint32_t other = world_add(&lab->w, 0, "other", CLASS_BE);

	sends(lab, lab->lc, "eth0", MIB);
	sends(lab, lab->decoy, "eth0", MIB / 10);
	sends(lab, other, "eth1", 90 * MIB);
	calm(lab, 40);
	sends(lab, lab->hog, "eth0", 40 * MIB);
	grew(lab, lab->lc, ZM_NET_RETRANSMITS, 50);
	f = hurt(lab, 0, 0);
	assert_non_null(f);
	assert_int_equal(f->resource, RESOURCE_NETWORK);
	assert_int_equal(f->cause, CAUSE_NEIGHBOUR);
	assert_int_equal(f->nr_culprits, 1);
	assert_string_equal(f->culprits[0].name, "batch");
	assert_string_equal(f->why, "had to send 4.8 % of its packets again, usually 0.0 %");
	assert_non_null(strstr(f->told, "batch sends 40 MiB a second through eth0"));
	assert_int_equal(finding_sum_ppm(f), PPM);
}

static void test_lost_packets_without_a_flood_are_nobodys(void **state)
{
	struct lab *lab = *state;
	const struct finding *f;

	sends(lab, lab->lc, "eth0", MIB);
	sends(lab, lab->hog, "eth1", 40 * MIB);
	calm(lab, 40);
	grew(lab, lab->lc, ZM_NET_RETRANSMITS, 50);
	f = hurt(lab, 0, 0);
	assert_non_null(f);
	assert_int_equal(f->cause, CAUSE_UNKNOWN);
	assert_int_equal(f->nr_culprits, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_the_one_that_grew_is_named),
	    TEST(test_what_is_usual_stands_still_while_it_hurts),
	    TEST(test_own_limit_is_self),
	    TEST(test_v1_soft_limit_is_none),
	    TEST(test_own_growth_is_self),
	    TEST(test_nobody_grew_nobody_is_blamed),
	    TEST(test_the_host_is_out_of_memory),
	    TEST(test_a_bounded_decoy_is_not_named),
	    TEST(test_churn_below_a_full_group_is_its_own),
	    TEST(test_churn_without_growth_is_named),
	    TEST(test_io_is_split_by_what_each_did),
	    TEST(test_io_is_split_by_the_disk_waited_for),
	    TEST(test_a_zone_that_is_stuck_waits_where_it_did),
	    TEST(test_the_end_keeps_the_name),
	    TEST(test_long_nameless_harm_ends_without_a_name),
	    TEST(test_own_io_limit_is_throttled),
	    TEST(test_a_burst_at_the_own_io_limit_is_nobodys),
	    TEST(test_own_io_is_no_harm),
	    TEST(test_usual_io_stalling_is_no_harm),
	    TEST(test_what_was_learned_is_carried_over),
	    TEST(test_refaults_are_not_io),
	    TEST(test_without_psi_nothing_is_said),
	    TEST(test_io_that_was_not_read_for_long_is_a_rate),
	    TEST(test_lost_packets_are_of_the_one_that_floods),
	    TEST(test_lost_packets_without_a_flood_are_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
