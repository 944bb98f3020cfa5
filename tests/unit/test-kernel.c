/* SPDX-License-Identifier: MIT */
/* Every parser of kernel text: what it reads, and that cut or garbled text is refused. */
#include "test.h"
#include "fixture.h"

#include "base/cleanup.h"
#include "base/str.h"
#include "kernel/caps.h"
#include "kernel/procfs.h"
#include "kernel/text.h"

static const char stat_v1[] =
    "nr_periods 31\nnr_throttled 29\nthrottled_time 1120112362\nnr_bursts 0\nburst_time 0\n";
static const char stat_v2[] =
    "usage_usec 5608603\nuser_usec 5073615\nsystem_usec 534988\nnr_periods 150\n"
    "nr_throttled 149\nthrottled_usec 9647520\n";
static const char psi[] = "some avg10=1.46 avg60=0.91 avg300=0.24 total=3356400\n"
			  "full avg10=0.00 avg60=0.00 avg300=0.00 total=12\n";
static const char proc_stat[] =
    "cpu  1268 1 1351 189970 268 3 24 7 100 0\ncpu0 456 0 516 95442 6 0 6 2 0 0\n";
static const char meminfo[] =
    "MemTotal:         987252 kB\nMemFree:          939320 kB\nMemAvailable:     868364 kB\n";
static const char pid_stat[] = "4211 (a) (b) S 1 4211 4211 0 -1 4194560 180 0 0 0\n";
static const char pid_cgroup[] =
    "9:name=systemd:/\n2:cpuacct,cpu:/a b/c:d\n1:cpuset:/\n0::/user.slice\n";
static const char mountinfo[] =
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n";

/* One signature for all, so that all meet the same cut and garbled texts. */
static int try_stat_v1(const char *text)
{
	struct cgroup_cpu_stat st;

	return cgroup_cpu_stat_parse(false, text, &st);
}

static const char io_stat[] = "253:0 \n8:0 rbytes=10 wbytes=20 rios=3 wios=4 dbytes=0 dios=0\n"
			      "8:16 rbytes=1 wbytes=2 rios=5 wios=6 dbytes=9 dios=9 cost.usage=7\n";
static const char blkio[] = "254:0 Read 83886080\n254:0 Write 3149824\n254:0 Sync 1\n"
			    "8:0 Read 20\n8:0 Write 3\nTotal 87035904\n";

static int try_stat_v2(const char *text)
{
	struct cgroup_cpu_stat st;

	return cgroup_cpu_stat_parse(true, text, &st);
}

static int try_usage_v1(const char *text)
{
	uint64_t ns;

	return cgroup_usage_parse(false, text, &ns);
}

static int try_usage_v2(const char *text)
{
	uint64_t ns;

	return cgroup_usage_parse(true, text, &ns);
}

static int try_quota_v1(const char *text)
{
	bool finite;

	return cgroup_quota_parse(false, text, &finite);
}

static int try_quota_v2(const char *text)
{
	bool finite;

	return cgroup_quota_parse(true, text, &finite);
}

static int try_mem_stat(const char *text)
{
	struct cgroup_mem_stat st;

	return cgroup_mem_stat_parse(true, text, &st);
}

static int try_mem_events(const char *text)
{
	struct cgroup_mem_events e;

	return cgroup_mem_events_parse(text, &e);
}

static int try_mem_limit(const char *text)
{
	uint64_t bytes;

	return cgroup_mem_limit_parse(true, text, &bytes);
}

static int try_io_stat(const char *text)
{
	struct cgroup_io io;

	return cgroup_io_stat_parse(text, &io);
}

static int try_blkio(const char *text)
{
	struct cgroup_io io = {0};

	return cgroup_blkio_parse(text, false, &io);
}

static int try_psi(const char *text)
{
	struct psi_line line;

	return psi_parse(text, &line);
}

static int try_proc_stat(const char *text)
{
	struct proc_cpu_times t;

	return proc_stat_parse(text, &t);
}

static int try_meminfo(const char *text)
{
	uint64_t total, available;

	return proc_meminfo_parse(text, &total, &available);
}

static int try_schedstat(const char *text)
{
	uint64_t ns;

	return proc_schedstat_parse(text, &ns);
}

static int try_pid_stat(const char *text)
{
	struct proc_pid_stat st;

	return proc_pid_stat_parse(text, &st);
}

static int try_pid_cgroup(const char *text)
{
	char path[64];

	return cgroup_pid_path_parse(text, "cpu", path, sizeof(path));
}

static int try_mountinfo(const char *text)
{
	struct cgroup_mount m;
	size_t n = strlen(text);

	return n && text[n - 1] == '\n' ? cgroup_mountinfo_parse(text, n - 1, &m) : -EINVAL;
}

static const struct {
	const char *name;
	int (*parse)(const char *text);
	const char *good;
	size_t needs; /* of good: from this length on a cut at a line's end is complete */
} parsers[] = {
    {"cpu.stat v1", try_stat_v1, stat_v1, 14},
    {"cpu.stat v2", try_stat_v2, stat_v2, 19},
    {"cpuacct.usage", try_usage_v1, "931537602\n", 10},
    {"usage v2", try_usage_v2, stat_v2, 19},
    {"cfs_quota_us", try_quota_v1, "20000\n", 6},
    {"cpu.max", try_quota_v2, "20000 100000\n", 13},
    {"memory.stat", try_mem_stat, "anon 1085440\nfile 65011712\n", 13},
    {"memory.events", try_mem_events, "high 3\nmax 163\noom_kill 0\n", 7},
    {"memory.max", try_mem_limit, "67108864\n", 9},
    {"io.stat", try_io_stat, io_stat, 0},
    {"blkio", try_blkio, blkio, 0},
    {"psi", try_psi, psi, 53},
    {"/proc/stat", try_proc_stat, proc_stat, 41},
    {"meminfo", try_meminfo, meminfo, sizeof(meminfo) - 1},
    {"schedstat", try_schedstat, "1 2 3\n", 6},
    {"pid stat", try_pid_stat, pid_stat, sizeof(pid_stat) - 1},
    {"pid cgroup", try_pid_cgroup, pid_cgroup, 39},
    {"mountinfo", try_mountinfo, mountinfo, sizeof(mountinfo) - 1},
};

/* Cut anywhere in the first line that matters: refused. Cut later: no crash, whatever it says. */
static void test_truncated(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(parsers); i++) {
		size_t n = strlen(parsers[i].good);

		assert_int_equal(parsers[i].parse(parsers[i].good), 0);
		for (size_t cut = 0; cut < n; cut++) {
			_cleanup_free_ char *text = strndup(parsers[i].good, cut);
			int r = parsers[i].parse(text);

			if (cut < parsers[i].needs && r >= 0)
				fail_msg("%s: cut at %zu is taken for good", parsers[i].name, cut);
			assert_true(r == 0 || r == -EINVAL || r == -ENOENT);
		}
	}
}

static void test_garbled(void **state)
{
	unsigned int seed = 1;

	for (size_t i = 0; i < ARRAY_SIZE(parsers); i++)
		for (int round = 0; round < 2000; round++) {
			_cleanup_free_ char *text = strdup(parsers[i].good);
			size_t n = strlen(text);

			for (int hits = 0; hits < 3; hits++)
				text[(size_t)rand_r(&seed) % n] = (char)(1 + rand_r(&seed) % 255);
			assert_in_range(-parsers[i].parse(text), 0, 133);
		}
}

static void test_values(void **state)
{
	struct cgroup_mem_stat mem;
	struct cgroup_io io;
	struct cgroup_cpu_stat st;
	struct proc_cpu_times t;
	struct proc_pid_stat ps;
	struct psi_line line;
	struct cgroup_mount m;
	uint64_t a, b;
	char path[64];
	struct cgroup_mem_events oom;
	bool finite;

	assert_int_equal(cgroup_cpu_stat_parse(false, stat_v1, &st), 0);
	assert_true(st.usage_ns == UINT64_MAX && st.nr_periods == 31 && st.nr_throttled == 29);
	assert_true(st.throttled_ns == 1120112362);
	assert_int_equal(cgroup_cpu_stat_parse(true, stat_v2, &st), 0);
	assert_true(st.usage_ns == 5608603000 && st.nr_throttled == 149 &&
		    st.throttled_ns == 9647520000);
	assert_int_equal(cgroup_cpu_stat_parse(true, "usage_usec 99999999999999999\n", &st), 0);
	assert_true(st.usage_ns == UINT64_MAX);

	assert_int_equal(cgroup_io_stat_parse(io_stat, &io), 0);
	assert_true(io.read_bytes == 11 && io.write_bytes == 22 && io.reads == 8 &&
		    io.writes == 10);
	assert_int_equal(cgroup_io_stat_parse("", &io), 0);
	assert_true(io.read_bytes == 0 && io.writes == 0);
	assert_true(cgroup_io_limit_parse("8:0 rbps=max wbps=7 riops=5 wiops=max\n"
					  "9:0 rbps=3 wbps=max riops=9 wiops=max\n",
					  "riops=") == 5);
	assert_true(cgroup_io_limit_parse("8:0 rbps=max wbps=7 riops=5 wiops=max\n", "rbps=") ==
		    UINT64_MAX);
	assert_true(cgroup_io_limit_parse("8:0 1048576\n9:0 4096\n", NULL) == 4096);
	assert_true(cgroup_io_limit_parse("", NULL) == UINT64_MAX);
	io = (struct cgroup_io){0};
	assert_int_equal(cgroup_blkio_parse(blkio, false, &io), 0);
	assert_true(io.read_bytes == 83886100 && io.write_bytes == 3149827 && !io.reads);
	assert_int_equal(cgroup_blkio_parse("254:0 Read 7\n254:0 Write 8\nTotal 15\n", true, &io),
			 0);
	assert_true(io.read_bytes == 83886100 && io.reads == 7 && io.writes == 8);
	assert_true(io.disks[0].dev == 254 << 20 && io.disks[0].ops == 15);
	assert_int_equal(cgroup_blkio_parse("Total 0\n", false, &io), 0);
	assert_true(io.read_bytes == 0 && io.write_bytes == 0);
	assert_int_equal(cgroup_mem_limit_parse(true, "max\n", &a), 0);
	assert_true(a == UINT64_MAX);
	assert_int_equal(cgroup_mem_limit_parse(false, "9223372036854771712\n", &a), 0);
	assert_true(a == UINT64_MAX); /* pages of 4 KiB */
	assert_int_equal(cgroup_mem_limit_parse(false, "9223372036854710272\n", &a), 0);
	assert_true(a == UINT64_MAX); /* pages of 64 KiB */
	/* kernels before 5.9 count refaults of both kinds as one, and v1 has no reclaim of a group
	 */
	assert_int_equal(cgroup_mem_stat_parse(true, "anon 1\nworkingset_refault 7\n", &mem), 0);
	assert_true(mem.refault_pages == 7 && mem.scanned_pages == UINT64_MAX);
	assert_int_equal(cgroup_mem_stat_parse(false, "cache 5\ntotal_cache 6\n", &mem), 0);
	assert_true(mem.file_bytes == 6 && mem.refault_pages == UINT64_MAX);

	assert_int_equal(psi_parse(psi, &line), 0);
	assert_true(line.some_ns == 3356400000 && line.full_ns == 12000);
	assert_int_equal(proc_stat_parse(proc_stat, &t), 0);
	assert_true(t.busy_ns == 26470000000 && t.idle_ns == 1902380000000);
	assert_true(t.steal_ns == 70000000 && t.irq_ns == 30000000 && t.softirq_ns == 240000000);
	assert_int_equal(proc_meminfo_parse(meminfo, &a, &b), 0);
	assert_true(a == 987252ull * 1024 && b == 868364ull * 1024);
	assert_int_equal(proc_pid_stat_parse(pid_stat, &ps), 0);
	assert_true(ps.ppid == 1 && !ps.kthread && !strcmp(ps.comm, "a) (b"));
	assert_int_equal(proc_pid_stat_parse("2 (kthreadd) S 0 0 0 0 -1 2129984 0\n", &ps), 0);
	assert_true(ps.kthread && ps.ppid == 0);

	assert_int_equal(
	    cgroup_mem_events_parse("high 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 0\n", &oom),
	    0);
	assert_true(oom.oom_kills == 3 && oom.oom == 4);
	assert_int_equal(
	    cgroup_mem_events_parse("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", &oom), 0);
	assert_true(oom.oom_kills == 2 && oom.oom == UINT64_MAX);

	assert_int_equal(cgroup_quota_parse(true, "max 100000\n", &finite), 0);
	assert_false(finite);
	assert_int_equal(cgroup_quota_parse(true, "20000 100000\n", &finite), 0);
	assert_true(finite);
	assert_int_equal(cgroup_quota_parse(false, "-1\n", &finite), 0);
	assert_false(finite);

	assert_int_equal(cgroup_pid_path_parse(pid_cgroup, "cpu", path, sizeof(path)), 0);
	assert_string_equal(path, "/a b/c:d");
	assert_int_equal(cgroup_pid_path_parse(pid_cgroup, NULL, path, sizeof(path)), 0);
	assert_string_equal(path, "/user.slice");
	assert_int_equal(cgroup_pid_path_parse(pid_cgroup, "memory", path, sizeof(path)), -ENOENT);
	assert_int_equal(cgroup_pid_path_parse("0::/a (deleted)\n", NULL, path, sizeof(path)),
			 -ENOENT);
	assert_int_equal(cgroup_pid_path_parse("0::/far/too/long\n", NULL, path, 8), -ENAMETOOLONG);

	assert_int_equal(cgroup_mountinfo_parse(mountinfo, sizeof(mountinfo) - 2, &m), 0);
	assert_true(!m.v2 && !strcmp(m.mount, "/sys/fs/cgroup/cpu,cpuacct") &&
		    !strcmp(m.options, "rw,cpu,cpuacct"));
	assert_int_equal(cgroup_mountinfo_parse("1 2 0:3 / /a\\040b rw - cgroup2 x rw", 35, &m), 0);
	assert_true(m.v2 && !strcmp(m.mount, "/a b"));
	assert_int_equal(cgroup_mountinfo_parse("1 2 0:3 / /a rw - tmpfs x rw", 28, &m), -ENOENT);
}

static void test_numbers(void **state)
{
	struct text_numbers w = {0};
	uint64_t n, expected = 1;
	FILE *f = tmpfile();
	int r;

	assert_non_null(f);
	for (int i = 1; i <= 5000; i++)
		fprintf(f, "%d\n", i);
	fflush(f);
	rewind(f);
	w.fd = fileno(f);
	while ((r = text_numbers_next(&w, &n)) > 0)
		assert_int_equal(n, expected++);
	assert_int_equal(r, 0);
	assert_int_equal(expected, 5001);
	/* cut in mid-number */
	fprintf(f, "12");
	fflush(f);
	fseek(f, -2, SEEK_END);
	w = (struct text_numbers){.fd = fileno(f)};
	assert_int_equal(text_numbers_next(&w, &n), -EINVAL);
	fclose(f);
}

/* What each fixture is, and that every file is found where that version has it. */
static void test_layouts(void **state)
{
	static const struct {
		const char *name, *layout;
		bool cpu_v2, memory_v2, unified;
	} cases[] = {
	    {"v1", "v1", false, false, false},
	    {"hybrid", "hybrid", false, false, true},
	    {"v2", "v2", true, true, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cgroup_fs fs;
		struct kernel k;
		struct topology t;
		uint64_t ns = 0;
		char buf[8192];
		int fd;

		fixture_open(cases[i].name, &k, &fs);
		assert_string_equal(fs.layout, cases[i].layout);
		assert_int_equal(cgroup_is_v2(&fs, CG_CPU), cases[i].cpu_v2);
		assert_int_equal(cgroup_is_v2(&fs, CG_MEMORY), cases[i].memory_v2);
		assert_int_equal(cgroup_has(&fs, CG_UNIFIED), cases[i].unified);
		assert_int_equal(cgroup_file_exists(&fs, CGF_PSI_CPU), cases[i].unified);
		for (int f = 0; f < CGF_NR; f++) {
			if (!cgroup_file_exists(&fs, f))
				continue;
			/* on v1 nobody made a group for it in that hierarchy */
			fd = cgroup_open_file(&fs, f,
					      f == CGF_CPUS && !cases[i].cpu_v2
						  ? "/"
						  : "/system.slice/batch.service");
			assert_true(fd >= 0);
			/* no limits on io: no lines */
			assert_true(kio_pread_text(fd, buf, sizeof(buf)) >= (f < CGF_IO_MAX));
			if (f == CGF_USAGE)
				assert_int_equal(
				    cgroup_usage_parse(cgroup_file_v2(&fs, f), buf, &ns), 0);
			close(fd);
		}
		assert_true(ns > 500000000);
		assert_int_equal(topology_read(&k, &t), 0);
		assert_int_equal(t.nr_cpus, 2);
		assert_int_equal(t.nr_nodes, 1);
		assert_false(t.smt);
		topology_done(&t);
		fixture_close(&k, &fs);
	}
}

static int add_pid(pid_t pid, void *arg)
{
	*(int *)arg += pid > 0;
	return 0;
}

static void test_directories(void **state)
{
	struct cgroup_fs fs;
	struct kernel k;
	uint64_t id;
	bool quota;
	int fd, pids = 0;

	fixture_open("v2", &k, &fs);
	fd = cgroup_open(&fs, CG_CPU, "/system.slice/batch.service", 0);
	assert_true(fd >= 0);
	assert_int_equal(cgroup_id_at(fd, &id), 0);
	assert_int_equal(cgroup_has_quota(&fs, fd, &quota), 0);
	assert_true(quota);
	assert_int_equal(cgroup_each_pid(fd, add_pid, &pids), 0);
	assert_int_equal(pids, 1);
	close(fd);
	assert_int_equal(cgroup_open(&fs, CG_CPU, "/system.slice/batch.service", id + 1), -ESTALE);
	assert_int_equal(cgroup_open(&fs, CG_CPU, "/system.slice/none", 0), -ENOENT);
	assert_int_equal(cgroup_open(&fs, CG_CPU, "/system.slice/batch.service/cpu.stat", 0),
			 -ENOENT);
	assert_int_equal(cgroup_open(&fs, CG_CPU, "/system.slice/../docker", 0), -EINVAL);
	assert_int_equal(cgroup_open(&fs, CG_CPU, "system.slice", 0), -EINVAL);
	fd = cgroup_open(&fs, CG_CPU, "/", 0);
	assert_true(fd >= 0);
	assert_int_equal(cgroup_has_quota(&fs, fd, &quota), 0);
	assert_false(quota);
	close(fd);
	fixture_close(&k, &fs);
}

static void test_no_cgroups(void **state)
{
	char dir[] = "/tmp/cz-test-kernel-XXXXXX", path[128];
	struct error err = {0};
	struct cgroup_fs fs;
	struct kernel k;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "mkdir -p %s/proc/self", dir);
	assert_int_equal(system(path), 0);
	assert_int_equal(kernel_open(dir, &k, NULL), 0);
	assert_int_equal(cgroup_fs_open(&k, &fs, &err), -ENOENT);
	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", dir);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs("1 2 0:3 / / rw - ext4 x rw\n", f);
	fclose(f);
	assert_int_equal(cgroup_fs_open(&k, &fs, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.msg, "cpu controller"));
	kernel_close(&k);
	snprintf(path, sizeof(path), "rm -r %s", dir);
	assert_int_equal(system(path), 0);
	assert_int_equal(kernel_open("/nowhere", &k, &err), -ENOENT);
}

/* On a captured machine only files answer; what needs trying out is unknown, not "no". */
static void test_caps(void **state)
{
	struct host_caps caps;
	struct cgroup_fs fs;
	struct kernel k;

	fixture_open("v2", &k, &fs);
	host_caps_read(&k, &fs, &caps);
	assert_string_equal(caps.cgroup_layout, "v2");
	assert_int_equal(caps.nr_cpus, 2);
	assert_int_equal(caps.state[HOSTCAP_PSI], CAP_YES);
	assert_int_equal(caps.state[HOSTCAP_CPU_MAX], CAP_YES);
	assert_int_equal(caps.state[HOSTCAP_CPU_WEIGHT], CAP_YES);
	assert_int_equal(caps.state[HOSTCAP_FREEZER], CAP_YES);
	assert_int_equal(caps.state[HOSTCAP_BPF], CAP_UNKNOWN);
	assert_int_equal(caps.state[HOSTCAP_PMU], CAP_UNKNOWN);
	for (int i = 0; i < HOSTCAP_NR; i++) {
		assert_true(host_cap_descs[i].name && host_cap_descs[i].gives);
		assert_true(caps.why[i][0]);
	}
	fixture_close(&k, &fs);
}

static void test_processes(void **state)
{
	struct kernel k;
	char boot_id[37];
	uint64_t ns;
	bool kthread;

	assert_int_equal(kernel_open("/", &k, NULL), 0);
	assert_false(k.captured);
	assert_int_equal(proc_is_kthread(&k, getpid(), &kthread), 0);
	assert_false(kthread);
	assert_int_equal(proc_run_delay_ns(&k, getpid(), getpid(), &ns), 0);
	assert_int_equal(proc_run_delay_ns(&k, 1 << 30, 0, &ns), -ENOENT);
	assert_int_equal(proc_boot_id(&k, boot_id), 0);
	assert_int_equal(boot_id[8], '-');
	kernel_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_truncated),  cmocka_unit_test(test_garbled),
	    cmocka_unit_test(test_values),     cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_layouts),    cmocka_unit_test(test_directories),
	    cmocka_unit_test(test_no_cgroups), cmocka_unit_test(test_caps),
	    cmocka_unit_test(test_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
