/* SPDX-License-Identifier: MIT */
/* resctrl on trees of five machines: from documentation, unverified on silicon. */
#include "test.h"
#include <unistd.h>
#include "base/cleanup.h"
#include "base/cpuset.h"
#include "fixture.h"
#include "kernel/resctrl.h"

static struct resctrl_schemata s; /* large */

static void machine(const char *name, struct resctrl *ret)
{
	char path[64];
	struct error e = {0};
	struct kernel k;

	snprintf(path, sizeof(path), "resctrl/%s", name);
	fixture_open(path, &k, NULL);
	if (resctrl_open(&k, ret, &e) < 0)
		fail_msg("%s: %s", name, e.msg);
	kernel_close(&k);
}

static void test_intel(void **state)
{
	struct resctrl rc;

	machine("intel", &rc);
	assert_string_equal(rc.mount, "/sys/fs/resctrl");
	assert_false(rc.cdp_l3 || rc.cdp_l2 || rc.mba_mbps || rc.debug);
	assert_int_equal(rc.info.closids, 8); /* the smaller of 16 and 8 */
	assert_int_equal(rc.info.rmids, 144);
	assert_int_equal(rc.info.alloc[RESCTRL_L3].cbm_mask, 0x7ff);
	assert_int_equal(rc.info.alloc[RESCTRL_L3].shareable_bits, 0x600);
	assert_false(rc.info.alloc[RESCTRL_L3].sparse);
	assert_int_equal(rc.info.alloc[RESCTRL_MB].unit, RESCTRL_PERCENT);
	assert_int_equal(rc.info.alloc[RESCTRL_MB].gran, 10);
	assert_false(rc.info.alloc[RESCTRL_MB].per_thread);
	assert_true(rc.info.mon && rc.info.llc_occupancy && rc.info.mbm_total);
	assert_false(rc.info.mbm_assign || rc.info.mbm_configurable);
	assert_false(rc.info.alloc[RESCTRL_L2].present);
	resctrl_close(&rc);
}

static void test_options(void **state)
{
	struct resctrl rc;

	machine("intel-cdp", &rc);
	assert_true(rc.cdp_l3 && rc.mba_mbps);
	assert_false(rc.cdp_l2);
	assert_int_equal(rc.info.alloc[RESCTRL_MB].unit, RESCTRL_MIBPS);
	assert_true(resctrl_has_llc(&rc.info));
	assert_int_equal(resctrl_llc(&rc.info), RESCTRL_L3DATA);
	assert_int_equal(resctrl_get(&rc, "batch", &s, NULL), 0);
	assert_int_equal(s.lines[RESCTRL_MB].domains[0].value, 2048);
	assert_int_equal(s.lines[RESCTRL_L3DATA].domains[0].value, 0xf);
	assert_int_equal(s.lines[RESCTRL_L3].nr, 0);
	assert_int_equal(s.lines[RESCTRL_L2].nr, 2);
	resctrl_close(&rc);
	machine("intel-snc", &rc);
	assert_true(rc.info.alloc[RESCTRL_MB].per_thread);
	resctrl_close(&rc);
	machine("mpam", &rc);
	assert_int_equal(rc.info.alloc[RESCTRL_MB].unit, RESCTRL_PERCENT);
	assert_false(rc.info.mbm_total);
	assert_int_equal(resctrl_get(&rc, "", &s, NULL), 0);
	assert_int_equal(s.lines[RESCTRL_L3].domains[1].id, 5);
	resctrl_close(&rc);
}

static void test_amd(void **state)
{
	struct resctrl rc;
	struct resctrl_counts c;

	machine("amd", &rc);
	assert_true(rc.info.alloc[RESCTRL_L3].sparse);
	assert_int_equal(rc.info.alloc[RESCTRL_L3].min_cbm_bits, 0);
	assert_int_equal(rc.info.alloc[RESCTRL_MB].unit, RESCTRL_EIGHTH_GBPS);
	assert_int_equal(rc.info.alloc[RESCTRL_SMBA].unit, RESCTRL_EIGHTH_GBPS);
	assert_true(rc.info.mbm_assign && rc.info.mbm_configurable);
	assert_int_equal(resctrl_get(&rc, "batch", &s, NULL), 0);
	assert_int_equal(s.lines[RESCTRL_MB].domains[1].value, 16);
	assert_int_equal(s.lines[RESCTRL_L3].domains[1].value, 0xf0f0);
	assert_int_equal(resctrl_schemata_check(&rc.info, NULL, &s, NULL), 0);
	s.lines[RESCTRL_L3].domains[1].value = 0; /* AMD: none at all is allowed */
	assert_int_equal(resctrl_schemata_check(&rc.info, NULL, &s, NULL), 0);
	/* no counter is assigned: unknown, not 0 */
	assert_int_equal(resctrl_read_counts(&rc, "batch", &c), 0);
	assert_true(c.mbm_total_bytes == RESCTRL_UNKNOWN);
	assert_int_equal(c.mbm_local_bytes, 4 * 4096);
	resctrl_close(&rc);
}

static void test_absent(void **state)
{
	struct resctrl rc;
	struct error e = {0};
	struct kernel k;

	fixture_open("v2", &k, NULL);
	assert_int_equal(resctrl_open(&k, &rc, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.msg, "no resctrl"));
	assert_int_equal(rc.fd, -1);
	kernel_close(&k);
}

static int collect(const char *path, void *arg)
{
	strcat(strcat(arg, path), ",");
	return 0;
}

static int stop(const char *path, void *arg)
{
	return path[0] ? 7 : 0;
}

static void test_groups(void **state)
{
	char all[256] = "", path[RESCTRL_PATH_MAX];
	struct cpuset cpus;
	struct resctrl rc;
	uint64_t nr = 0;

	machine("intel", &rc);
	assert_int_equal(resctrl_each(&rc, collect, all), 0);
	assert_string_equal(all, ",mon_groups/web,batch,batch/mon_groups/a,");
	assert_int_equal(resctrl_each(&rc, stop, NULL), 7);
	assert_int_equal(resctrl_count_tasks(&rc, "batch", &nr), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(resctrl_get_cpus(&rc, "", &cpus), 0);
	assert_int_equal(cpuset_count(&cpus), 36);
	assert_int_equal(resctrl_get_mode(&rc, "batch", path, sizeof(path)), 0);
	assert_string_equal(path, "shareable");
	resctrl_close(&rc);
	assert_int_equal(resctrl_path(path, sizeof(path), "batch", "a", NULL), 0);
	assert_string_equal(path, "batch/mon_groups/a");
	assert_int_equal(resctrl_path(path, sizeof(path), "", "a", NULL), 0);
	assert_string_equal(path, "mon_groups/a");
	assert_int_equal(resctrl_path(path, sizeof(path), "", NULL, NULL), 0);
	assert_string_equal(path, "");
	assert_int_equal(resctrl_path(path, sizeof(path), "../..", NULL, NULL), -EINVAL);
	assert_int_equal(resctrl_path(path, sizeof(path), "info", NULL, NULL), -EINVAL);
	assert_int_equal(resctrl_path(path, sizeof(path), "a\nb", NULL, NULL), -EINVAL);
}

static void test_counters(void **state)
{
	struct resctrl_count_row rows[8];
	struct resctrl_counts c;
	struct resctrl rc;

	machine("intel", &rc);
	assert_int_equal(resctrl_read_rows(&rc, "batch", rows, 8), 2);
	assert_int_equal(rows[0].counts.llc_occupancy_bytes, 2228224);
	assert_true(rows[0].counts.mbm_total_bytes == RESCTRL_UNKNOWN);
	assert_int_equal(rows[1].counts.mbm_total_bytes, 0);
	assert_int_equal(resctrl_read_rows(&rc, "batch", rows, 1), -E2BIG);
	/* a sum with an unknown part is unknown */
	assert_int_equal(resctrl_read_counts(&rc, "batch", &c), 0);
	assert_true(c.mbm_total_bytes == RESCTRL_UNKNOWN);
	assert_int_equal(c.mbm_local_bytes, 913408);
	assert_int_equal(resctrl_read_counts(&rc, "mon_groups/web", &c), 0);
	assert_true(c.mbm_local_bytes == RESCTRL_UNKNOWN);
	assert_int_equal(resctrl_read_counts(&rc, "gone", &c), -ENOENT);
	resctrl_close(&rc);
	/* SNC: nodes are told apart, and not counted twice */
	machine("intel-snc", &rc);
	assert_int_equal(resctrl_read_rows(&rc, "", rows, 8), 3);
	assert_int_equal(rows[0].node, -1);
	assert_int_equal(rows[2].node, 1);
	assert_int_equal(rows[2].counts.llc_occupancy_bytes, 5242880);
	assert_int_equal(resctrl_read_counts(&rc, "", &c), 0);
	assert_int_equal(c.llc_occupancy_bytes, 9437184);
	resctrl_close(&rc);
	machine("mpam", &rc); /* events that are not there are unknown */
	assert_int_equal(resctrl_read_counts(&rc, "", &c), 0);
	assert_int_equal(c.llc_occupancy_bytes, 12582912);
	assert_true(c.mbm_total_bytes == RESCTRL_UNKNOWN);
	resctrl_close(&rc);
}

static void test_delta(void **state)
{
	uint64_t d = 77;

	assert_int_equal(resctrl_count_delta(10, 30, 0, &d), 0);
	assert_int_equal(d, 20);
	assert_int_equal(resctrl_count_delta(30, 10, 0, &d), -ENODATA);
	assert_int_equal(resctrl_count_delta((1 << 24) - 5, 10, 1 << 24, &d), 0);
	assert_int_equal(d, 15);
	assert_int_equal(resctrl_count_delta(5000, 10, 1 << 24, &d), -ENODATA); /* a reset */
	assert_int_equal(resctrl_count_delta(1 << 25, 10, 1 << 24, &d), -ENODATA);
	assert_int_equal(resctrl_count_parse("Unassigned\n", &d), -ENODATA);
	assert_int_equal(resctrl_count_parse("12", &d), -EINVAL);
	assert_int_equal(d, 15);
}

static int check(const struct resctrl_info *info, const char *text, char *buf, size_t size)
{
	struct error e = {0};
	int r = resctrl_schemata_parse(text, &s);

	assert_int_equal(r, 0);
	r = resctrl_schemata_check(info, NULL, &s, &e);
	if (r < 0)
		assert_true(e.msg[0]);
	else
		assert_int_equal(resctrl_schemata_format(&s, buf, size), 0);
	return r;
}

static void test_rules(void **state)
{
	struct resctrl rc;
	char out[256];

	machine("intel", &rc);
	assert_int_equal(check(&rc.info, "L3:0=6\n", out, sizeof(out)), 0);
	assert_string_equal(out, "L3:0=6\n");
	assert_int_equal(check(&rc.info, "L3:0=5\n", out, sizeof(out)), -EINVAL);
	assert_int_equal(check(&rc.info, "L3:0=0\n", out, sizeof(out)), -EINVAL);
	assert_int_equal(check(&rc.info, "L3:0=fff\n", out, sizeof(out)), -EINVAL);
	assert_int_equal(check(&rc.info, "L2:0=1\n", out, sizeof(out)), -EOPNOTSUPP);
	assert_int_equal(check(&rc.info, "MB:0=9\n", out, sizeof(out)), -EINVAL);
	assert_int_equal(check(&rc.info, "MB:0=101\n", out, sizeof(out)), -EINVAL);
	assert_int_equal(check(&rc.info, "MB:1=41\n", out, sizeof(out)), 0);
	assert_string_equal(out, "MB:1=50\n");
	rc.info.alloc[RESCTRL_L3].min_cbm_bits = 2; /* Haswell */
	assert_int_equal(check(&rc.info, "L3:0=4\n", out, sizeof(out)), -EINVAL);
	assert_int_equal(check(&rc.info, "L3:0=600\n", out, sizeof(out)), 0);
	resctrl_close(&rc);
	machine("intel-cdp", &rc); /* MiB/s: any number */
	assert_int_equal(check(&rc.info, "MB:0=3\n", out, sizeof(out)), 0);
	assert_string_equal(out, "MB:0=3\n");
	resctrl_close(&rc);
}

static void test_masks(void **state)
{
	struct resctrl_alloc a = {.cbm_mask = 0x7ff, .min_cbm_bits = 2};
	uint32_t mask = 77;

	assert_int_equal(resctrl_ways_mask(&a, 2, true, &mask), 0);
	assert_int_equal(mask, 0x600);
	assert_int_equal(resctrl_ways_mask(&a, 3, false, &mask), 0);
	assert_int_equal(mask, 7);
	assert_int_equal(resctrl_ways_mask(&a, 11, true, &mask), 0);
	assert_int_equal(mask, 0x7ff);
	assert_int_equal(resctrl_ways_mask(&a, 1, true, &mask), -ERANGE);
	assert_int_equal(resctrl_ways_mask(&a, 12, true, &mask), -ERANGE);
	a = (struct resctrl_alloc){.cbm_mask = UINT32_MAX};
	assert_int_equal(resctrl_ways_mask(&a, 32, true, &mask), 0);
	assert_true(mask == UINT32_MAX);
	assert_int_equal(resctrl_ways_mask(&a, 0, true, &mask), -ERANGE);
	assert_int_equal(resctrl_ways(0x600), 2);
}

static void test_text(void **state)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {{"", 0},
		     {"L3:0=7ff;1=1\n", 0},
		     {"  MB:0= 10;1=100;\n", 0},
		     {"NEW:0=1\n", 0},
		     {"L3:uninitialized\n", 0},
		     {"L3:0=7ff", -EINVAL},
		     {"L3\n", -EINVAL},
		     {"L3:\n", -EINVAL},
		     {"L3:0=7ff;0=1\n", -EINVAL},
		     {"L3:0=1\nL3:1=1\n", -EINVAL},
		     {"L3:0=xyz\n", -EINVAL},
		     {"L3:-1=1\n", -EINVAL},
		     {"MB:0=1f\n", -EINVAL},
		     {"L3:0=100000000\n", -ERANGE}};
	char small[8];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (resctrl_schemata_parse(cases[i].text, &s) != cases[i].r)
			fail_msg("'%s'", cases[i].text);
	assert_int_equal(resctrl_schemata_parse("L3:0=7ff\n", &s), 0);
	assert_int_equal(resctrl_schemata_format(&s, small, sizeof(small)), -ENAMETOOLONG);
}

/* Whatever call fails, there is an error or a tree, and no fd is left behind. */
static void test_faults(void **state)
{
	unsigned int fds = count_fds();
	struct resctrl_counts c;
	struct resctrl rc;
	struct kernel k;
	bool reached = true;

	fixture_open("resctrl/intel", &k, NULL);
	for (unsigned int nth = 1; reached; nth++) {
		struct error e = {0};
		int r;

		faults_begin(nth, 1, -EMFILE);
		r = resctrl_open(&k, &rc, &e);
		if (r == 0) {
			r = resctrl_read_counts(&rc, "batch", &c);
			assert_true(r == 0 || r == -EMFILE);
			resctrl_close(&rc);
		} else {
			assert_true(e.msg[0]);
		}
		reached = faults_end();
	}
	kernel_close(&k);
	assert_int_equal(count_fds(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_intel),  cmocka_unit_test(test_options),
	    cmocka_unit_test(test_amd),	   cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_groups), cmocka_unit_test(test_counters),
	    cmocka_unit_test(test_delta),  cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_masks),  cmocka_unit_test(test_text),
	    cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
