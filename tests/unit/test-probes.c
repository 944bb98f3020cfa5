/* SPDX-License-Identifier: MIT */
/* probes/ on captured machines: the values, the fd budget, zones that come and go in mid-tick. */
#include "test.h"
#include "fixture.h"

#include <sys/resource.h>

#include "base/cleanup.h"
#include "probes/probe.h"
#include "zones/zones.h"

struct world {
	struct kernel k;
	struct cgroup_fs fs;
	struct config cfg;
	struct zones *zs;
	struct probes *p;
	uint64_t now_ns;
};

static void on_add(const struct zone *z, void *arg)
{
	struct world *w = arg;

	assert_int_equal(probes_zone_add(w->p, z->id, z->parent ? z->parent->id : 0, z->path), 0);
}

static void on_remove(const struct zone *z, void *arg)
{
	probes_zone_remove(((struct world *)arg)->p, z->id);
}

static void begin(struct world *w, const char *fixture, uint32_t fd_budget)
{
	struct zones_events ev = {.on_add = on_add, .on_remove = on_remove, .arg = w};
	struct probes_options o = {.fd_budget = fd_budget};

	*w = (struct world){.now_ns = 1000000000};
	config_defaults(&w->cfg);
	fixture_open(fixture, &w->k, &w->fs);
	assert_int_equal(probes_new(&w->k, &w->fs, &o, &w->p), 0);
	assert_int_equal(zones_new(&w->k, &w->fs, &w->cfg, &ev, &w->zs, NULL), 0);
	while (zones_process(w->zs, 1, NULL))
		;
}

static void tick(struct world *w)
{
	w->now_ns += 1000000000;
	probes_tick_begin(w->p, w->now_ns);
	while (probes_tick_step(w->p, NULL))
		;
}

static void end(struct world *w)
{
	zones_free(w->zs);
	probes_free(w->p);
	fixture_close(&w->k, &w->fs);
}

static uint64_t id_of(const struct world *w, const char *path)
{
	const struct zone *z = zones_by_path(w->zs, path);

	assert_non_null(z);
	return z->id;
}

static uint64_t value(const struct world *w, const char *path, enum zone_metric m)
{
	const struct zone_row *row = probes_row(w->p, id_of(w, path));

	assert_non_null(row);
	if (!(row->valid & METRIC_BIT(m)))
		fail_msg("%s: %s is not known", path, zone_metrics[m].name);
	return row->value[m];
}

static bool knows(const struct world *w, const char *path, enum zone_metric m)
{
	return probes_row(w->p, id_of(w, path))->valid & METRIC_BIT(m);
}

#define BATCH "/system.slice/batch.service"

static void test_v2(void **state)
{
	struct probes_stats st;
	struct world w;

	begin(&w, "v2", 1000);
	probes_zone_interest(w.p, id_of(&w, BATCH), PROBE_BE);
	tick(&w);
	assert_int_equal(value(&w, BATCH, ZM_CPU_USAGE_NS), 3003714000);
	assert_int_equal(value(&w, BATCH, ZM_CPU_PERIODS), 150);
	assert_int_equal(value(&w, BATCH, ZM_CPU_THROTTLED), 149);
	assert_int_equal(value(&w, BATCH, ZM_CPU_THROTTLED_NS), 9647520000);
	assert_true(probes_row(w.p, id_of(&w, BATCH))->own_quota);
	assert_int_equal(value(&w, BATCH, ZM_PSI_CPU_SOME_NS), 10041714000);
	assert_int_equal(value(&w, BATCH, ZM_TASKS), 1);
	assert_false(probes_row(w.p, id_of(&w, "/system.slice"))->own_quota);
	assert_true(knows(&w, BATCH, ZM_PSI_IO_FULL_NS) && knows(&w, BATCH, ZM_MEM_BYTES));
	assert_false(knows(&w, "/", ZM_MEM_BYTES));
	assert_int_equal(value(&w, BATCH, ZM_MEM_FILE_BYTES), 65011712);
	assert_int_equal(value(&w, BATCH, ZM_MEM_RECLAIMED_PAGES), 79104);
	assert_int_equal(value(&w, BATCH, ZM_MEM_REFAULT_PAGES), 0);
	assert_int_equal(value(&w, BATCH, ZM_MEM_MAX_EVENTS), 163);
	assert_int_equal(value(&w, BATCH, ZM_MEM_OOM_KILLS), 0);
	assert_int_equal(value(&w, BATCH, ZM_MEM_SWAP_BYTES), 0);
	assert_int_equal(value(&w, BATCH, ZM_MEM_LIMIT_BYTES), 64 << 20);
	assert_false(knows(&w, BATCH, ZM_MEM_HIGH_BYTES)); /* no limit: no figure */
	assert_int_equal(value(&w, BATCH, ZM_IO_READ_BYTES), 377487360);
	assert_int_equal(value(&w, BATCH, ZM_IO_WRITES), 20481);
	/* nothing was protected, and nothing ran in the pod: not read */
	assert_false(knows(&w, BATCH, ZM_RUN_DELAY_NS));
	assert_false(knows(&w, "/kubepods/burstable", ZM_PSI_CPU_SOME_NS));
	assert_int_equal(value(&w, "/kubepods/burstable", ZM_CPU_USAGE_NS), 0);
	/* no cpufreq there, and no /proc/net/snmp */
	assert_true(probes_host(w.p)->valid ==
		    ((METRIC_BIT(HM_NR) - 1) &
		     ~(METRIC_BIT(HM_CPU_FREQUENCY_HZ) | METRIC_BIT(HM_CPU_FREQUENCY_MIN_HZ) |
		       METRIC_BIT(HM_TCP_RETRANSMITS))));
	assert_int_equal(probes_host(w.p)->value[HM_DISK_WRITES], 56);
	assert_int_equal(probes_host(w.p)->value[HM_DISK_WRITE_BYTES], 81920 * 512);
	assert_int_equal(probes_host(w.p)->value[HM_DISK_BUSY_NS], 76000000);
	assert_int_equal(probes_host(w.p)->value[HM_NET_SENT_PACKETS], 0);
	assert_int_equal(probes_host(w.p)->value[HM_MEM_TOTAL_BYTES], 987252ull * 1024);
	probes_stats(w.p, &st);
	assert_int_equal(st.zones, 13);
	assert_true(st.active > 3 && st.active < 13);
	assert_int_equal(st.errors_total, 0);
	assert_int_equal(st.fd_shortage_total, 0);
	end(&w);
}

/* They look at tasks that run, or at what these machines lack. */
static bool off_when_captured(const char *name)
{
	return !strcmp(name, "netns") || !strcmp(name, "psi_triggers") || !strcmp(name, "numa") ||
	       !strcmp(name, "frequency");
}

static void test_v1(void **state)
{
	static const char *const fixtures[] = {"v1", "hybrid"};

	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		struct probe_status st[32];
		struct world w;
		size_t n;

		begin(&w, fixtures[i], 1000);
		tick(&w);
		assert_int_equal(value(&w, BATCH, ZM_CPU_USAGE_NS), 931537602);
		assert_int_equal(value(&w, BATCH, ZM_CPU_THROTTLED), 16);
		assert_int_equal(value(&w, BATCH, ZM_CPU_THROTTLED_NS), 241211375);
		assert_int_equal(value(&w, BATCH, ZM_MEM_BYTES), 167936);
		assert_int_equal(value(&w, BATCH, ZM_MEM_FILE_BYTES), 65273856);
		assert_int_equal(value(&w, BATCH, ZM_MEM_REFAULT_PAGES), 20480);
		assert_int_equal(value(&w, BATCH, ZM_MEM_MAX_EVENTS), 124);
		assert_int_equal(value(&w, BATCH, ZM_MEM_OOM_KILLS), 0);
		assert_int_equal(value(&w, BATCH, ZM_MEM_LIMIT_BYTES), 64 << 20);
		assert_false(knows(&w, BATCH, ZM_MEM_RECLAIMED_PAGES)); /* v2 only */
		assert_false(knows(&w, BATCH, ZM_MEM_HIGH_BYTES));
		assert_int_equal(value(&w, BATCH, ZM_IO_READ_BYTES), 83886080);
		assert_int_equal(value(&w, BATCH, ZM_IO_WRITES), 3);
		/* PSI is v2's: of a v1 host there is the host's only, and it is said why */
		assert_int_equal(knows(&w, BATCH, ZM_PSI_CPU_SOME_NS), i == 1);
		n = probes_status(w.p, st, ARRAY_SIZE(st));
		for (size_t s = 0; s < n; s++)
			if (!strcmp(st[s].name, "psi")) {
				assert_int_equal(st[s].on, i == 1);
				assert_int_equal(!!strstr(st[s].why, "no cgroup v2 hierarchy"),
						 i == 0);
			} else if (strstr(st[s].needs, "BPF")) {
				assert_true(!st[s].on && strstr(st[s].why, "czd.yaml"));
			} else if (off_when_captured(st[s].name)) {
				assert_true(!st[s].on && st[s].why[0]);
			} else {
				assert_true(st[s].on && !st[s].why[0]);
			}
		end(&w);
	}
}

/* Zones that did not run are not read, nor what is below them. */
static void test_idle_not_read(void **state)
{
	struct probes_stats before, after;
	struct world w;

	begin(&w, "v2", 1000);
	for (int i = 0; i < 3; i++)
		tick(&w);
	probes_stats(w.p, &before);
	tick(&w);
	probes_stats(w.p, &after);
	/* a captured machine stands still: the root tells it for all */
	assert_int_equal(after.reads_total - before.reads_total, 1);
	assert_int_equal(after.opens_total, before.opens_total);
	assert_int_equal(after.active, 0);
	/* a protected zone is read all the same */
	probes_zone_interest(w.p, id_of(&w, BATCH), PROBE_PROTECTED);
	tick(&w);
	probes_stats(w.p, &before);
	assert_true(before.reads_total - after.reads_total > 4);
	assert_true(knows(&w, BATCH, ZM_RUN_DELAY_NS));
	probes_zone_interest(w.p, id_of(&w, BATCH), PROBE_NORMAL);
	end(&w);
}

/* A v2 machine of our own making: /a with 20 children, whose CPU time we set. */
static void set_usage(const char *dir, const char *zone, uint64_t us)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cg%s/cpu.stat", dir, zone);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "usage_usec %lu\n", (unsigned long)us);
	fclose(f);
}

static void make_machine(const char *dir)
{
	char command[1024];

	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p proc/self cg && echo cpu >cg/cgroup.controllers &&"
		 "echo '1 2 0:3 / /cg rw - cgroup2 x rw' >proc/self/mountinfo &&"
		 "for i in '' $(seq 0 19); do mkdir -p cg/a/$i; done",
		 dir);
	assert_int_equal(system(command), 0);
	set_usage(dir, "", 1000);
	set_usage(dir, "/a", 1000);
	for (int i = 0; i < 20; i++) {
		snprintf(command, sizeof(command), "/a/%d", i);
		set_usage(dir, command, 0);
	}
}

/* The children whose time is known to have grown in this tick; -1: none. */
static int active_child(const struct world *w)
{
	int found = -1;

	for (int i = 0; i < 20; i++) {
		char path[16];

		snprintf(path, sizeof(path), "/a/%d", i);
		if (probes_row(w->p, id_of(w, path))->active) {
			assert_int_equal(found, -1);
			found = i;
		}
	}
	return found;
}

static uint64_t reads(const struct world *w)
{
	struct probes_stats st;

	probes_stats(w->p, &st);
	return st.reads_total;
}

static void begin_machine(struct world *w, char *dir, void (*make)(const char *dir),
			  uint32_t fd_budget)
{
	struct zones_events ev = {.on_add = on_add, .on_remove = on_remove, .arg = w};
	struct probes_options o = {.fd_budget = fd_budget, .slow_every = 5};

	*w = (struct world){.now_ns = 1000000000};
	assert_non_null(mkdtemp(dir));
	make(dir);
	config_defaults(&w->cfg);
	assert_int_equal(kernel_open(dir, &w->k, NULL), 0);
	assert_int_equal(cgroup_fs_open(&w->k, &w->fs, NULL), 0);
	assert_int_equal(probes_new(&w->k, &w->fs, &o, &w->p), 0);
	assert_int_equal(zones_new(&w->k, &w->fs, &w->cfg, &ev, &w->zs, NULL), 0);
	while (zones_process(w->zs, 1, NULL))
		;
}

/* CPU time alone is read. */
static void begin_usage(struct world *w, char *dir, uint32_t fd_budget)
{
	begin_machine(w, dir, make_machine, fd_budget);
	assert_int_equal(probes_switch(w->p, "throttling", false, ""), 0);
	for (int t = 0; t < 4; t++)
		tick(w);
}

static void end_machine(struct world *w, const char *dir)
{
	char command[64];

	end(w);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

/* A child of /a has used so much; it, /a and the root have used more us in this tick. */
static void run(const char *dir, const char *child, uint64_t child_us, uint64_t all_us)
{
	set_usage(dir, "", all_us);
	set_usage(dir, "/a", all_us);
	set_usage(dir, child, child_us);
}

/*
 * Idle zones are not read while those that run account for their parent's growth; one that wakes is
 * seen in the same tick, one that uses little soon, and next to nothing within its idle round.
 */
static void test_idle_siblings(void **state)
{
	char dir[] = "/tmp/cz-test-probes-XXXXXX";
	uint64_t us = 1000, before;
	struct world w;
	int seen_after;

	begin_usage(&w, dir, 100);
	/* one child runs: it, its parent and the root are read, and few others */
	for (int t = 0; t < 10; t++) {
		us += 10000;
		run(dir, "/a/3", us, us);
		before = reads(&w);
		tick(&w);
		assert_int_equal(active_child(&w), 3);
		if (t > 0)
			assert_in_range(reads(&w) - before, 3, 3 + 4);
	}
	/* another wakes */
	us += 10000;
	run(dir, "/a/7", 10000, us);
	tick(&w);
	assert_int_equal(active_child(&w), 7);
	tick(&w);
	tick(&w);
	/* one that uses 1.5 ms in each tick: seen before it has used 12 */
	for (seen_after = 1; seen_after < 9; seen_after++) {
		us += 1500;
		run(dir, "/a/5", (uint64_t)seen_after * 1500, us);
		tick(&w);
		if (value(&w, "/a/5", ZM_CPU_USAGE_NS))
			break;
	}
	assert_in_range(seen_after, 1, 8);
	/* and one that runs for 0.1 ms only */
	us += 100;
	for (seen_after = 1; seen_after <= 60; seen_after++) {
		run(dir, "/a/9", 100, us + (uint64_t)seen_after);
		tick(&w);
		if (value(&w, "/a/9", ZM_CPU_USAGE_NS) == 100000)
			break;
	}
	assert_in_range(seen_after, 1, 60);
	end_machine(&w, dir);
}

/* Where there are fewer fds than zones, the files of those that run are kept open. */
static void test_budget_for_active(void **state)
{
	char dir[] = "/tmp/cz-test-probes-XXXXXX";
	struct probes_stats before, after;
	uint64_t us = 1000;
	struct world w;

	begin_usage(&w, dir, 6);
	probes_stats(w.p, &before);
	assert_int_equal(before.fds_kept, 6);
	for (int t = 0; t < 20; t++) {
		us += 10000;
		run(dir, "/a/18", us, us);
		probes_stats(w.p, &before);
		tick(&w);
		probes_stats(w.p, &after);
		/* those that run are three: the root, /a and its child */
		if (t >= 4)
			assert_true(after.opens_total - before.opens_total <=
				    after.reads_total - before.reads_total - 3);
	}
	assert_int_equal(after.fds_kept, 6);
	end_machine(&w, dir);
}

static void put(const char *dir, const char *file, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/cg/%s", dir, file);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void put_machine(const char *dir)
{
	char command[1024];

	snprintf(
	    command, sizeof(command),
	    "cd %s && mkdir -p proc/self cg/a/lc && echo 'cpu memory io' >cg/cgroup.controllers &&"
	    "echo '1 2 0:3 / /cg rw - cgroup2 x rw' >proc/self/mountinfo",
	    dir);
	assert_int_equal(system(command), 0);
	for (int i = 0; i < 3; i++) {
		static const char *const groups[] = {"", "a/", "a/lc/"};
		static const char *const files[][2] = {
		    {"cpu.stat", "usage_usec 1000\n"},
		    {"memory.current", "8192\n"},
		    {"memory.stat", "pgfault 1\n"},
		    {"memory.events", "max 0\n"},
		    {"memory.max", "max\n"},
		    {"memory.high", "max\n"},
		    {"io.max", ""},
		};
		char file[64];

		for (size_t n = 0; n < ARRAY_SIZE(files); n++) {
			snprintf(file, sizeof(file), "%s%s", groups[i], files[n][0]);
			put(dir, file, files[n][1]);
		}
	}
}

/* A limit of a protected zone, or of one above it, is seen in the tick after it was set. */
static void test_limits_are_seen_at_once(void **state)
{
	static const char *const groups[] = {"", "/a", "/a/lc"};
	char dir[] = "/tmp/cz-test-probes-XXXXXX", text[32];
	struct world w;

	begin_machine(&w, dir, put_machine, 100);
	probes_zone_interest(w.p, id_of(&w, "/a/lc"), PROBE_PROTECTED);
	tick(&w);
	assert_false(knows(&w, "/a/lc", ZM_MEM_LIMIT_BYTES));
	for (int i = 1; i <= 7; i++) {
		snprintf(text, sizeof(text), "%d\n", i * 4096);
		put(dir, "a/lc/memory.max", text);
		put(dir, "a/memory.current", text);
		snprintf(text, sizeof(text), "8:0 rbps=max riops=%d\n", i);
		put(dir, "a/io.max", text);
		for (size_t n = 0; n < ARRAY_SIZE(groups); n++)
			set_usage(dir, groups[n], 1000 + 10000 * (uint64_t)i);
		tick(&w);
		assert_int_equal(value(&w, "/a/lc", ZM_MEM_LIMIT_BYTES), i * 4096);
		assert_int_equal(value(&w, "/a", ZM_MEM_BYTES), i * 4096);
		assert_int_equal(value(&w, "/a", ZM_IO_READS_LIMIT), i);
	}
	probes_zone_interest(w.p, id_of(&w, "/a/lc"), PROBE_NORMAL);
	end_machine(&w, dir);
}

static void test_budget(void **state)
{
	static const uint32_t budgets[] = {0, 1, 5, 13, 20};

	for (size_t i = 0; i < ARRAY_SIZE(budgets); i++) {
		unsigned int fds = count_fds();
		struct probes_stats st;
		struct world w;

		begin(&w, "v2", budgets[i]);
		for (int t = 0; t < 12; t++) {
			tick(&w);
			probes_stats(w.p, &st);
			assert_in_range(st.fds_kept, 0, budgets[i]);
		}
		assert_int_equal(value(&w, BATCH, ZM_CPU_USAGE_NS), 3003714000);
		assert_int_equal(value(&w, BATCH, ZM_PSI_CPU_SOME_NS), 10041714000);
		assert_int_equal(st.errors_total, 0);
		end(&w);
		assert_int_equal(count_fds(), fds);
	}
}

/* The process runs out of fds: what can't be kept is read by turns, and nothing fails. */
static void test_no_fds(void **state)
{
	struct rlimit before, few;
	struct probes_stats st;
	struct world w;

	begin(&w, "v2", 1000);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = count_fds() + 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int t = 0; t < 10; t++)
		tick(&w);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	probes_stats(w.p, &st);
	assert_true(st.fd_shortage_total > 0 && st.fd_budget < 1000);
	assert_int_equal(st.errors_total, 0);
	assert_int_equal(value(&w, BATCH, ZM_CPU_USAGE_NS), 3003714000);
	assert_int_equal(value(&w, "/", ZM_CPU_USAGE_NS), 5296261000);
	end(&w);
}

static bool over_at_once(void *arg)
{
	++*(unsigned int *)arg;
	return true;
}

/* Zones go away, come and are renamed between any two units of a tick. */
static void test_changes_in_mid_tick(void **state)
{
	for (unsigned int at = 0; at < 60; at++) {
		unsigned int units = 0;
		struct slice slice = {over_at_once, &units};
		struct world w;
		uint64_t id;

		begin(&w, "v2", 1000);
		id = id_of(&w, BATCH);
		probes_zone_interest(w.p, id, PROBE_PROTECTED);
		probes_tick_begin(w.p, 1);
		while (probes_tick_step(w.p, &slice))
			if (units == at) {
				probes_zone_remove(w.p, id);
				probes_zone_remove(w.p, id_of(&w, "/docker"));
				probes_zone_rename(w.p, id_of(&w, "/system.slice"), "/docker");
				assert_int_equal(
				    probes_zone_add(w.p, 1, id_of(&w, "/machine"), "/gone"), 0);
				assert_int_equal(probes_zone_add(w.p, 1, 0, "/gone"), -EEXIST);
				assert_int_equal(probes_zone_add(w.p, 2, 3, "/x"), -ENOENT);
			}
		assert_true(units > 40);
		if (at > 0 && at < 40)
			assert_null(probes_row(w.p, id));
		tick(&w);
		end(&w);
	}
}

/* A tick that was not finished: the next begins where it stopped. */
static void test_late(void **state)
{
	unsigned int units = 0;
	struct slice slice = {over_at_once, &units};
	struct probes_stats st;
	struct world w;

	begin(&w, "v2", 1000);
	probes_tick_begin(w.p, 1);
	for (int i = 0; i < 5; i++)
		assert_true(probes_tick_step(w.p, &slice));
	tick(&w);
	probes_stats(w.p, &st);
	assert_int_equal(st.late_ticks_total, 1);
	zones_for_each(w.zs, z)
	    assert_true(probes_row(w.p, z->id)->valid & METRIC_BIT(ZM_CPU_USAGE_NS));
	end(&w);
}

static void test_switch(void **state)
{
	struct probe_status st[32];
	struct world w;
	size_t n;

	begin(&w, "v1", 1000);
	tick(&w);
	assert_true(knows(&w, BATCH, ZM_MEM_BYTES));
	assert_int_equal(probes_switch(w.p, "memory", false, "for a test"), 0);
	assert_false(knows(&w, BATCH, ZM_MEM_BYTES));
	n = probes_status(w.p, st, ARRAY_SIZE(st));
	for (size_t i = 0; i < n; i++)
		if (!strcmp(st[i].name, "memory"))
			assert_true(!st[i].on && !strcmp(st[i].why, "for a test"));
	assert_int_equal(probes_switch(w.p, "memory", true, NULL), 0);
	assert_int_equal(probes_switch(w.p, "psi", true, NULL), -EOPNOTSUPP);
	assert_int_equal(probes_switch(w.p, "none", true, NULL), -ENOENT);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_v2),
	    cmocka_unit_test(test_v1),
	    cmocka_unit_test(test_idle_not_read),
	    cmocka_unit_test(test_idle_siblings),
	    cmocka_unit_test(test_budget_for_active),
	    cmocka_unit_test(test_limits_are_seen_at_once),
	    cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_no_fds),
	    cmocka_unit_test(test_changes_in_mid_tick),
	    cmocka_unit_test(test_late),
	    cmocka_unit_test(test_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
