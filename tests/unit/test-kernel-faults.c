/* SPDX-License-Identifier: MIT */
/*
 * The Nth kernel call fails, for every N, with each of several errors, once or from then on: no
 * crash, no fd left open, an error that says so or a result without what could not be read.
 */
#include "test.h"
#include "fixture.h"

#include "base/cleanup.h"
#include "kernel/caps.h"
#include "kernel/procfs.h"
#include "probes/probe.h"
#include "zones/zones.h"

static const int codes[] = {-EIO, -EMFILE, -ENOENT, -ENODEV};
static const unsigned int bursts[] = {1, 1000000};

/* 0 or the error it ended with. Everything it opened is closed again. */
struct scenario {
	const char *name;
	int (*run)(const char *fixture);
};

static char root[PATH_MAX];

static int run_open(const char *fixture)
{
	struct error err = {0};
	struct cgroup_fs fs;
	struct kernel k;
	int r = kernel_open(root, &k, &err);

	if (r == 0) {
		r = cgroup_fs_open(&k, &fs, &err);
		if (r == 0)
			cgroup_fs_close(&fs);
		kernel_close(&k);
	}
	if (r < 0) {
		assert_int_equal(err.code, r);
		assert_true(err.msg[0]);
	}
	return r;
}

static int count_pid(pid_t pid, void *arg)
{
	++*(int *)arg;
	return 0;
}

static int read_cgroup(const struct cgroup_fs *fs, const char *path)
{
	_cleanup_close_ int fd = cgroup_open(fs, CG_CPU, path, 0);
	uint64_t id;
	bool quota;
	int r, pids = 0;

	if (fd < 0)
		return fd;
	r = cgroup_id_at(fd, &id);
	if (r == 0)
		r = cgroup_has_quota(fs, fd, &quota);
	if (r == 0)
		r = cgroup_each_pid(fd, count_pid, &pids);
	return r;
}

static int run_cgroup(const char *fixture)
{
	struct cgroup_fs fs;
	struct kernel k;
	int r;

	kio_fault = NULL;
	fixture_open(fixture, &k, &fs);
	kio_fault = fault_nth;
	r = read_cgroup(&fs, "/system.slice/batch.service");
	fixture_close(&k, &fs);
	return r;
}

static int run_host(const char *fixture)
{
	struct proc_cpu_times times;
	struct topology t;
	uint64_t total, available;
	char text[64], boot_id[37];
	struct kernel k;
	int r = kernel_open(root, &k, NULL);

	if (r < 0)
		return r;
	r = proc_cpu_times(&k, &times);
	if (r == 0)
		r = proc_meminfo(&k, &total, &available);
	if (r == 0)
		r = proc_kernel_release(&k, text, sizeof(text));
	if (r == 0)
		r = proc_boot_id(&k, boot_id);
	if (r == 0)
		r = topology_read(&k, &t);
	if (r == 0)
		topology_done(&t);
	kernel_close(&k);
	return r;
}

static int run_caps(const char *fixture)
{
	struct host_caps caps;
	struct cgroup_fs fs;
	struct kernel k;
	int r = kernel_open(root, &k, NULL);

	if (r < 0)
		return r;
	r = cgroup_fs_open(&k, &fs, NULL);
	if (r == 0) {
		host_caps_read(&k, &fs, &caps);
		for (int i = 0; i < HOSTCAP_NR; i++)
			assert_true(caps.why[i][0]);
		cgroup_fs_close(&fs);
	}
	kernel_close(&k);
	return r;
}

static void on_add(const struct zone *z, void *arg)
{
	assert_int_equal(probes_zone_add(arg, z->id, z->parent ? z->parent->id : 0, z->path), 0);
	if (strstr(z->path, "batch"))
		probes_zone_interest(arg, z->id, PROBE_PROTECTED);
}

static void on_remove(const struct zone *z, void *arg)
{
	probes_zone_remove(arg, z->id);
}

/* All of watching: finding the zones, and three ticks over them. */
static int watch(const struct kernel *k, const struct cgroup_fs *fs)
{
	struct probes_options o = {.fd_budget = 40, .slow_every = 2};
	struct zones_events ev = {.on_add = on_add, .on_remove = on_remove};
	struct config cfg;
	struct probes *p;
	struct zones *zs;
	int r = probes_new(k, fs, &o, &p);

	if (r < 0)
		return r;
	config_defaults(&cfg);
	ev.arg = p;
	r = zones_new(k, fs, &cfg, &ev, &zs, NULL);
	if (r == 0) {
		while (zones_process(zs, 1, NULL))
			;
		for (uint64_t t = 1; t <= 3; t++) {
			probes_tick_begin(p, t * 1000000000);
			while (probes_tick_step(p, NULL))
				;
		}
		zones_free(zs);
	}
	probes_free(p);
	return r;
}

static int run_watch(const char *fixture)
{
	struct cgroup_fs fs;
	struct kernel k;
	int r = kernel_open(root, &k, NULL);

	if (r < 0)
		return r;
	r = cgroup_fs_open(&k, &fs, NULL);
	if (r == 0) {
		r = watch(&k, &fs);
		cgroup_fs_close(&fs);
	}
	kernel_close(&k);
	return r;
}

static const struct scenario scenarios[] = {
    {"open", run_open}, {"cgroup", run_cgroup}, {"host", run_host},
    {"caps", run_caps}, {"watch", run_watch},
};

static void test_faults(const char *fixture)
{
	unsigned int fds = count_fds(), reached = 0;

	snprintf(root, sizeof(root), CZ_FIXTURES "/%s", fixture);
	for (size_t s = 0; s < ARRAY_SIZE(scenarios); s++)
		for (size_t c = 0; c < ARRAY_SIZE(codes) * ARRAY_SIZE(bursts); c++)
			for (unsigned int nth = 1;; nth++) {
				int code = codes[c / ARRAY_SIZE(bursts)], r;

				faults_begin(nth, bursts[c % ARRAY_SIZE(bursts)], code);
				r = scenarios[s].run(fixture);
				if (!faults_end()) {
					assert_int_equal(r, 0); /* no fault, no error */
					break;
				}
				reached++;
				if (count_fds() != fds)
					fail_msg("%s, %s: call %u failing with %s leaks an fd",
						 fixture, scenarios[s].name, nth, error_name(code));
				if (r > 0 ||
				    (r < 0 && r != code && r != -EOPNOTSUPP && r != -ENOENT))
					fail_msg("%s, %s: call %u failing with %s ends with %d",
						 fixture, scenarios[s].name, nth, error_name(code),
						 r);
				assert_true(nth < 10000);
			}
	assert_true(reached > 500);
}

static void test_v1(void **state)
{
	test_faults("v1");
}

static void test_hybrid(void **state)
{
	test_faults("hybrid");
}

static void test_v2(void **state)
{
	test_faults("v2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_v1),
	    cmocka_unit_test(test_hybrid),
	    cmocka_unit_test(test_v2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
