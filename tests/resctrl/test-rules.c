/* SPDX-License-Identifier: MIT */
/*
 * The conformance list: each rule that the kernel's documentation states and each error that it
 * names, made on fake-resctrl and handled by our library. Unverified on silicon.
 */
#include "../unit/test.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lab.h"

static struct resctrl_schemata s;

#define INTEL "machine intel\ndomains 0 1\ncpus 4\nclosids 4\nrmids 8\n"

/* The kernel's words must be in what a person gets to read. */
static void expect_error(int r, int code, const struct error *e, const char *words)
{
	if (r != code || !strstr(e->msg, words))
		fail_msg("%d instead of %d, \"%s\" without \"%s\"", r, code, e->msg, words);
}

static void create(struct lab *lab, const char *path)
{
	struct error e = {0};

	if (resctrl_create(&lab->rc, path, &e) < 0)
		fail_msg("%s", e.msg);
}

static bool has_line(const char *text, const char *line)
{
	char wanted[64], all[65600];

	snprintf(wanted, sizeof(wanted), "\n%s\n", line);
	snprintf(all, sizeof(all), "\n%s", text);
	return strstr(all, wanted);
}

static bool in_tasks(struct lab *lab, const char *file, pid_t tid)
{
	char line[16];

	snprintf(line, sizeof(line), "%d", tid);
	return has_line(lab_read(lab, file), line);
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (!pid) {
		for (;;)
			pause();
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void test_default_group(void **state)
{
	struct lab lab;

	lab_open(&lab, INTEL);
	assert_int_equal(lab.rc.info.closids, 4);
	assert_int_equal(lab.rc.info.rmids, 8);
	assert_true(in_tasks(&lab, "tasks", getpid()));
	assert_string_equal(lab_read(&lab, "cpus_list"), "0-3\n");
	assert_string_equal(lab_read(&lab, "cpus"), "f\n");
	assert_int_equal(resctrl_get(&lab.rc, "", &s, NULL), 0);
	assert_int_equal(s.lines[RESCTRL_L3].domains[1].value, 0x7ff);
	assert_int_equal(s.lines[RESCTRL_MB].domains[0].value, 100);
	assert_string_equal(lab_read(&lab, "info/last_cmd_status"), "ok\n");
	assert_string_equal(lab_read(&lab, "info/L3/bit_usage"), "0=XXSSSSSSSSS;1=XXSSSSSSSSS\n");
	lab_close(&lab);
}

static void test_create(void **state)
{
	char path[RESCTRL_PATH_MAX];
	struct error e = {0};
	struct lab lab;

	lab_open(&lab, INTEL);
	create(&lab, "a");
	assert_int_equal(resctrl_get(&lab.rc, "a", &s, NULL), 0);
	assert_int_equal(s.lines[RESCTRL_L3].domains[0].value, 0x7ff);
	assert_string_equal(lab_read(&lab, "a/tasks"), "");
	assert_int_equal(resctrl_create(&lab.rc, "a", &e), -EEXIST);
	create(&lab, "b");
	create(&lab, "c");
	expect_error(resctrl_create(&lab.rc, "d", &e), -ENOSPC, &e, "Out of CLOSIDs");
	assert_non_null(strstr(e.hint, "4 control groups"));
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "a/mon_groups/%d", i);
		create(&lab, path);
	}
	expect_error(resctrl_create(&lab.rc, "mon_groups/x", &e), -ENOSPC, &e, "Out of RMIDs");
	/* a success takes the sentence away */
	assert_int_equal(resctrl_remove(&lab.rc, "a/mon_groups/0", &e), 0);
	create(&lab, "mon_groups/x");
	assert_string_equal(lab_read(&lab, "info/last_cmd_status"), "ok\n");
	assert_int_equal(mkdirat(lab.rc.fd, "info/x", 0755), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(mkdirat(lab.rc.fd, "a/x", 0755), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(mkdirat(lab.rc.fd, "a\nb", 0755), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(resctrl_create(&lab.rc, "gone/mon_groups/a", &e), -ENOENT);
	lab_close(&lab);
}

static void test_limbo(void **state)
{
	struct error e = {0};
	struct lab lab;

	lab_open(&lab, INTEL "rmids 2\nlimbo_ms 60000\n");
	create(&lab, "a");
	expect_error(resctrl_create(&lab.rc, "b", &e), -ENOSPC, &e, "Out of RMIDs");
	assert_int_equal(resctrl_remove(&lab.rc, "a", &e), 0);
	expect_error(resctrl_create(&lab.rc, "b", &e), -EBUSY, &e, "Out of RMIDs");
	assert_non_null(strstr(e.hint, "max_threshold_occupancy"));
	assert_int_equal(lab_write(&lab, "info/L3_MON/max_threshold_occupancy", "65536\n"), 0);
	assert_string_equal(lab_read(&lab, "info/L3_MON/max_threshold_occupancy"), "65536\n");
	assert_int_equal(lab_write(&lab, "info/L3_MON/max_threshold_occupancy", "99999999999\n"),
			 -EINVAL);
	lab_close(&lab);
}

static void test_remove(void **state)
{
	pid_t pid = sleeper();
	struct error e = {0};
	struct cpuset cpus;
	struct lab lab;

	lab_open(&lab, INTEL);
	create(&lab, "a");
	create(&lab, "a/mon_groups/m");
	assert_int_equal(resctrl_add_task(&lab.rc, "a", pid, &e), 0);
	assert_int_equal(cpuset_parse("2-3", &cpus), 0);
	assert_int_equal(resctrl_set_cpus(&lab.rc, "a", &cpus, &e), 0);
	assert_string_equal(lab_read(&lab, "cpus_list"), "0-1\n");
	assert_false(in_tasks(&lab, "tasks", pid));
	/* all that is in it goes up, with its monitoring groups */
	assert_int_equal(resctrl_remove(&lab.rc, "a", &e), 0);
	assert_true(in_tasks(&lab, "tasks", pid));
	assert_string_equal(lab_read(&lab, "cpus_list"), "0-3\n");
	assert_int_equal(resctrl_remove(&lab.rc, "a", &e), -ENOENT);
	assert_int_equal(resctrl_remove(&lab.rc, "", &e), -EPERM);
	assert_int_equal(resctrl_remove(&lab.rc, "info", &e), -EPERM);
	assert_int_equal(resctrl_remove(&lab.rc, "mon_data", &e), -EPERM);
	lab_close(&lab);
	end(pid);
}

static void test_rename(void **state)
{
	pid_t pid = sleeper();
	struct error e = {0};
	struct cpuset cpus;
	struct lab lab;

	lab_open(&lab, INTEL);
	create(&lab, "a");
	create(&lab, "b");
	create(&lab, "a/mon_groups/m");
	assert_int_equal(resctrl_add_task(&lab.rc, "a", pid, &e), 0);
	assert_int_equal(resctrl_add_task(&lab.rc, "a/mon_groups/m", pid, &e), 0);
	/* to another control group, with its tasks */
	assert_int_equal(resctrl_rename(&lab.rc, "a/mon_groups/m", "b/mon_groups/n", &e), 0);
	assert_true(in_tasks(&lab, "b/mon_groups/n/tasks", pid));
	assert_true(in_tasks(&lab, "b/tasks", pid));
	assert_false(in_tasks(&lab, "a/tasks", pid));
	expect_error(resctrl_rename(&lab.rc, "a", "c", &e), -EPERM, &e, "must be a MON group");
	expect_error(resctrl_rename(&lab.rc, "b/mon_groups/n", "c", &e), -EPERM, &e,
		     "must be a mon_groups subdirectory");
	assert_int_equal(cpuset_parse("1", &cpus), 0);
	assert_int_equal(resctrl_set_cpus(&lab.rc, "b", &cpus, &e), 0);
	assert_int_equal(resctrl_set_cpus(&lab.rc, "b/mon_groups/n", &cpus, &e), 0);
	expect_error(resctrl_rename(&lab.rc, "b/mon_groups/n", "a/mon_groups/n", &e), -EPERM, &e,
		     "monitors CPUs");
	assert_int_equal(resctrl_rename(&lab.rc, "b/mon_groups/n", "b/mon_groups/o", &e), 0);
	lab_close(&lab);
	end(pid);
}

static void test_tasks(void **state)
{
	pid_t pid = sleeper(), other = sleeper();
	struct error e = {0};
	char both[64];
	struct lab lab;
	uint64_t nr;

	lab_open(&lab, INTEL);
	create(&lab, "a");
	create(&lab, "a/mon_groups/m");
	create(&lab, "b");
	expect_error(resctrl_add_task(&lab.rc, "a/mon_groups/m", pid, &e), -EINVAL, &e,
		     "different control group");
	snprintf(both, sizeof(both), "%d,%d\n", pid, other);
	assert_int_equal(lab_write(&lab, "a/tasks", both), 0);
	assert_int_equal(resctrl_count_tasks(&lab.rc, "a", &nr), 0);
	assert_int_equal(nr, 2);
	assert_int_equal(resctrl_add_task(&lab.rc, "a/mon_groups/m", pid, &e), 0);
	assert_true(in_tasks(&lab, "a/tasks", pid)); /* it is in both */
	/* into another control group: out of the monitoring group as well */
	assert_int_equal(resctrl_add_task(&lab.rc, "b", pid, &e), 0);
	assert_false(in_tasks(&lab, "a/mon_groups/m/tasks", pid));
	/* back to the control group itself leaves the monitoring group */
	assert_int_equal(resctrl_add_task(&lab.rc, "a", pid, &e), 0);
	assert_false(in_tasks(&lab, "a/mon_groups/m/tasks", pid));
	end(other);
	expect_error(resctrl_add_task(&lab.rc, "a", other, &e), -ESRCH, &e, "No task");
	/* the first failure ends the list; what was before it stays moved */
	snprintf(both, sizeof(both), "%d,%d\n", pid, other);
	assert_int_equal(lab_write(&lab, "b/tasks", both), -ESRCH);
	assert_true(in_tasks(&lab, "b/tasks", pid));
	assert_int_equal(lab_write(&lab, "b/tasks", "x\n"), -EINVAL);
	assert_non_null(strstr(lab_read(&lab, "info/last_cmd_status"), "Task list parsing error"));
	assert_int_equal(lab_write(&lab, "b/tasks", "-1\n"), -EINVAL);
	assert_non_null(strstr(lab_read(&lab, "info/last_cmd_status"), "Invalid pid -1"));
	lab_close(&lab);
	end(pid);
}

static void test_cpus(void **state)
{
	struct error e = {0};
	struct cpuset cpus;
	struct lab lab;

	lab_open(&lab, INTEL);
	create(&lab, "a");
	create(&lab, "a/mon_groups/m");
	assert_int_equal(cpuset_parse("1-2", &cpus), 0);
	assert_int_equal(resctrl_set_cpus(&lab.rc, "a", &cpus, &e), 0);
	assert_string_equal(lab_read(&lab, "cpus_list"), "0,3\n");
	assert_string_equal(lab_read(&lab, "a/cpus"), "6\n");
	assert_int_equal(cpuset_parse("2", &cpus), 0);
	assert_int_equal(resctrl_set_cpus(&lab.rc, "a/mon_groups/m", &cpus, &e), 0);
	assert_int_equal(cpuset_parse("3", &cpus), 0);
	expect_error(resctrl_set_cpus(&lab.rc, "a/mon_groups/m", &cpus, &e), -EINVAL, &e,
		     "belong to parent");
	expect_error(resctrl_set_cpus(&lab.rc, "", &cpus, &e), -EINVAL, &e,
		     "Can't drop CPUs from default group");
	assert_int_equal(cpuset_parse("60", &cpus), 0);
	expect_error(resctrl_set_cpus(&lab.rc, "a", &cpus, &e), -EINVAL, &e, "online CPUs");
	assert_int_equal(lab_write(&lab, "a/cpus_list", "x\n"), -EINVAL);
	assert_string_equal(lab_read(&lab, "info/last_cmd_status"), "Bad CPU list/mask\n");
	/* a new mask of the parent empties those of its monitoring groups */
	assert_int_equal(lab_write(&lab, "a/cpus", "6\n"), 0);
	assert_string_equal(lab_read(&lab, "a/mon_groups/m/cpus_list"), "\n");
	lab_close(&lab);
}

/* Each text, the kernel's word, and that our library refuses it before the kernel must. */
static void test_schemata_errors(void **state)
{
	static const struct {
		const char *text, *status;
	} cases[] = {{"L3:0=5\n", "The mask 5 has non-consecutive 1-bits\n"},
		     {"L3:0=0\n", "Mask out of range\n"},
		     {"L3:0=800\n", "Mask out of range\n"},
		     {"L3:0=zz\n", "Non-hex character in the mask zz\n"},
		     {"L3:0=1;0=3\n", "Duplicate domain 0\n"},
		     {"L3:x=1\n", "Missing '=' or non-numeric domain\n"},
		     {"L3:0\n", "Missing '=' or non-numeric domain\n"},
		     {"L3:\n", "Missing 'L3' value\n"},
		     {"L3\n", "Missing ':'\n"},
		     {"L2:0=1\n", "Unknown or unsupported resource name 'L2'\n"},
		     {"L3CODE:0=1\n", "Unknown or unsupported resource name 'L3CODE'\n"},
		     {"L3:7=1\n", "ok\n"},
		     {"MB:0=5\n", "MB value 5 out of range [10,100]\n"},
		     {"MB:0=101\n", "MB value 101 out of range [10,100]\n"},
		     {"MB:0=x\n", "Invalid MB value x\n"}};
	struct error e = {0};
	struct lab lab;
	int r;

	lab_open(&lab, INTEL);
	create(&lab, "a");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(lab_write(&lab, "a/schemata", cases[i].text), -EINVAL);
		assert_string_equal(lab_read(&lab, "info/last_cmd_status"), cases[i].status);
		memset(&s, 0, sizeof(s));
		r = resctrl_schemata_parse(cases[i].text, &s);
		if (r >= 0)
			r = resctrl_set(&lab.rc, "a", &s, &e);
		if (r >= 0)
			fail_msg("taken: %s", cases[i].text);
	}
	assert_int_equal(lab_write(&lab, "a/schemata", "L3:0=1"), -EINVAL); /* no newline */
	/* all or nothing */
	assert_int_equal(lab_write(&lab, "a/schemata", "L3:0=1\nMB:0=5\n"), -EINVAL);
	assert_int_equal(resctrl_get(&lab.rc, "a", &s, NULL), 0);
	assert_int_equal(s.lines[RESCTRL_L3].domains[0].value, 0x7ff);
	lab_close(&lab);
	lab_open(&lab, INTEL "min_cbm_bits 2\n");
	assert_int_equal(lab_write(&lab, "schemata", "L3:0=4\n"), -EINVAL);
	assert_string_equal(lab_read(&lab, "info/last_cmd_status"),
			    "Need at least 2 bits in the mask\n");
	lab_close(&lab);
}

static void set(struct lab *lab, const char *path, const char *text)
{
	struct error e = {0};

	assert_int_equal(resctrl_schemata_parse(text, &s), 0);
	if (resctrl_set(&lab->rc, path, &s, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
}

static void test_schemata(void **state)
{
	struct lab lab;

	lab_open(&lab, INTEL);
	create(&lab, "a");
	set(&lab, "a", "L3:1=3c\n"); /* only what shall change */
	set(&lab, "a", "MB:0=41\n"); /* up to the next step */
	assert_int_equal(resctrl_get(&lab.rc, "a", &s, NULL), 0);
	assert_int_equal(s.lines[RESCTRL_L3].domains[0].value, 0x7ff);
	assert_int_equal(s.lines[RESCTRL_L3].domains[1].value, 0x3c);
	assert_int_equal(s.lines[RESCTRL_MB].domains[0].value, 50);
	assert_int_equal(s.lines[RESCTRL_MB].domains[1].value, 100);
	assert_true(has_line(lab_read(&lab, "a/size"), "    L3:0=23068672;1=8388608"));
	lab_close(&lab);
	lab_open(&lab, "machine intel\ncdp 1\nmba_MBps 1\n");
	assert_true(lab.rc.cdp_l3 && lab.rc.mba_mbps);
	set(&lab, "", "L3DATA:0=f\nMB:0=1234\n");
	assert_int_equal(resctrl_get(&lab.rc, "", &s, NULL), 0);
	assert_int_equal(s.lines[RESCTRL_L3CODE].domains[0].value, 0x7ff);
	assert_int_equal(s.lines[RESCTRL_MB].domains[0].value, 1234);
	assert_string_equal(lab_read(&lab, "mba_MBps_event"), "mbm_local_bytes\n");
	assert_int_equal(lab_write(&lab, "mba_MBps_event", "llc_occupancy\n"), -EINVAL);
	assert_int_equal(lab_write(&lab, "mba_MBps_event", "mbm_total_bytes\n"), 0);
	lab_close(&lab);
	lab_open(&lab, "machine mpam\ndomains 1 5\n");
	assert_int_equal(lab.rc.info.alloc[RESCTRL_MB].unit, RESCTRL_PERCENT);
	set(&lab, "", "L3:5=f0f0\nMB:1=7\n");
	assert_int_equal(resctrl_get(&lab.rc, "", &s, NULL), 0);
	assert_int_equal(s.lines[RESCTRL_MB].domains[0].value, 10);
	lab_close(&lab);
}

static void test_exclusive(void **state)
{
	struct error e = {0};
	struct lab lab;

	lab_open(&lab, INTEL);
	create(&lab, "a");
	expect_error(resctrl_set_mode(&lab.rc, "a", "exclusive", &e), -EINVAL, &e,
		     "Schemata overlaps");
	expect_error(resctrl_set_mode(&lab.rc, "a", "odd", &e), -EINVAL, &e,
		     "Unknown or unsupported mode");
	expect_error(resctrl_set_mode(&lab.rc, "a", "pseudo-locksetup", &e), -EINVAL, &e,
		     "not supported");
	set(&lab, "", "L3:0=7f0;1=7f0\n");
	set(&lab, "a", "L3:0=f;1=f\n");
	assert_int_equal(resctrl_set_mode(&lab.rc, "a", "exclusive", &e), 0);
	assert_string_equal(lab_read(&lab, "info/L3/bit_usage"), "0=XXSSSSSEEEE;1=XXSSSSSEEEE\n");
	assert_int_equal(resctrl_schemata_parse("L3:0=7f8\n", &s), 0);
	expect_error(resctrl_set(&lab.rc, "", &s, &e), -EINVAL, &e,
		     "Overlaps with exclusive group");
	assert_int_equal(resctrl_schemata_parse("L3:0=1f\n", &s), 0);
	expect_error(resctrl_set(&lab.rc, "a", &s, &e), -EINVAL, &e, "Overlaps with other group");
	/* a new group gets what is not exclusive */
	create(&lab, "b");
	assert_int_equal(resctrl_get(&lab.rc, "b", &s, NULL), 0);
	assert_int_equal(s.lines[RESCTRL_L3].domains[0].value, 0x7f0);
	assert_int_equal(resctrl_remove(&lab.rc, "b", &e), 0);
	assert_int_equal(resctrl_set_mode(&lab.rc, "", "exclusive", &e), 0);
	expect_error(resctrl_create(&lab.rc, "b", &e), -ENOSPC, &e, "No space on L3:0");
	lab_close(&lab);
}

static void test_amd(void **state)
{
	struct resctrl_counts c;
	struct error e = {0};
	struct lab lab;

	lab_open(&lab, "machine amd\ndomains 0 1\ncounters 3\n");
	assert_int_equal(lab.rc.info.alloc[RESCTRL_MB].unit, RESCTRL_EIGHTH_GBPS);
	assert_true(lab.rc.info.mbm_assign);
	create(&lab, "a"); /* of three counters two are the default group's */
	set(&lab, "a", "MB:1=16\nL3:0=f0f;1=0\n");
	assert_int_equal(resctrl_get(&lab.rc, "a", &s, NULL), 0);
	assert_int_equal(s.lines[RESCTRL_MB].domains[1].value, 16);
	assert_int_equal(s.lines[RESCTRL_L3].domains[1].value, 0);
	assert_string_equal(lab_read(&lab, "a/mon_data/mon_L3_00/mbm_total_bytes"),
			    "Unavailable\n"); /* the first reading */
	assert_int_equal(resctrl_read_counts(&lab.rc, "a", &c), 0);
	assert_int_equal(c.mbm_total_bytes, 0);
	assert_true(c.mbm_local_bytes == RESCTRL_UNKNOWN); /* Unassigned */
	expect_error(resctrl_assign_counter(&lab.rc, "a", true, true, &e), -ENOSPC, &e,
		     "Failed to allocate counter");
	assert_int_equal(resctrl_assign_counter(&lab.rc, "a", false, false, &e), 0);
	assert_int_equal(resctrl_assign_counter(&lab.rc, "a", true, true, &e), 0);
	assert_int_equal(resctrl_read_counts(&lab.rc, "a", &c), 0);
	assert_true(c.mbm_total_bytes == RESCTRL_UNKNOWN);
	assert_int_equal(c.mbm_local_bytes, 0);
	assert_string_equal(lab_read(&lab, "info/L3_MON/available_mbm_cntrs"), "0=0;1=0\n");
	lab_close(&lab);
	lab_open(&lab, INTEL);
	assert_int_equal(resctrl_assign_counter(&lab.rc, "", true, true, &e), -EOPNOTSUPP);
	lab_close(&lab);
}

/* A control group's counters include those of its monitoring groups; SNC nodes are parts. */
static void test_counters(void **state)
{
	struct resctrl_count_row rows[8];
	struct resctrl_counts c, before;
	struct lab lab;

	lab_open(&lab, INTEL "snc 2\ndomains 0\n"
			     "demand group a domain 0 footprint 4e6 accesses 1e8\n"
			     "demand group a/mon_groups/m domain 0 footprint 2e6 accesses 1e8\n"
			     "demand group / domain 0 footprint 60e6 accesses 1e8\n");
	create(&lab, "a");
	create(&lab, "a/mon_groups/m");
	assert_int_equal(resctrl_read_counts(&lab.rc, "a", &c), 0);
	assert_int_equal(c.llc_occupancy_bytes, 6000000);
	assert_int_equal(resctrl_read_counts(&lab.rc, "a/mon_groups/m", &c), 0);
	assert_int_equal(c.llc_occupancy_bytes, 2000000);
	assert_int_equal(resctrl_read_rows(&lab.rc, "a", rows, 8), 3);
	assert_int_equal(rows[1].counts.llc_occupancy_bytes, 3000000);
	assert_int_equal(resctrl_read_counts(&lab.rc, "", &before), 0);
	usleep(1000);
	assert_int_equal(resctrl_read_counts(&lab.rc, "", &c), 0);
	assert_true(c.mbm_total_bytes > before.mbm_total_bytes);
	lab_close(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_default_group), cmocka_unit_test(test_create),
	    cmocka_unit_test(test_limbo),	  cmocka_unit_test(test_remove),
	    cmocka_unit_test(test_rename),	  cmocka_unit_test(test_tasks),
	    cmocka_unit_test(test_cpus),	  cmocka_unit_test(test_schemata_errors),
	    cmocka_unit_test(test_schemata),	  cmocka_unit_test(test_exclusive),
	    cmocka_unit_test(test_amd),		  cmocka_unit_test(test_counters),
	};

	lab_init();
	return cmocka_run_group_tests_name("resctrl-rules", tests, NULL, NULL);
}
