/* SPDX-License-Identifier: MIT */
/* Disks, network interfaces, NUMA nodes and frequencies: what the texts say, and a machine of our
 * own making that has two nodes and cpufreq. */
#include "test.h"

#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/hostio.h"
#include "probes/probe.h"

static const char diskstats[] = "   7       0 loop0 5 0 40 1 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
				" 259       0 nvme0n1 10 1 100 7 20 2 200 8 0 30 15 1 1 1 1 1 1\n"
				" 259       1 nvme0n1p1 9 1 90 7 19 2 190 8 0 29 15\n"
				" 259       2 nvme0n10 1 0 8 1 0 0 0 0 0 1 1\n"
				"   8       0 sda 1 0 2 0 1 0 4 0 0 5 0\n"
				"   8      17 sda12 1 0 2 0 1 0 4 0 0 5 0\n"
				" 253       0 dm-0 10 0 100 7 20 0 200 8 0 30 15\n";
static const char net_dev[] =
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop\n"
    "    lo:99 9 0 0 0 0 0 0 99 9 0 0 0 0 0 0\n"
    "  eth0:1000000000000 7 0 1 0 0 0 0 5 6 0 2 0 0 0 0\n"
    "docker0: 50 5 0 0 0 0 0 0 60 6 0 0 0 0 0 0\n";
static const char snmp[] = "Ip: Forwarding DefaultTTL\nIp: 1 64\n"
			   "Tcp: RtoAlgorithm MaxConn OutSegs RetransSegs InErrs\n"
			   "Tcp: 1 -1 4035414 307 0\n";
static const char numa_v1[] = "total=3 N0=1 N1=2\nfile=1 N0=1 N1=0\n"
			      "hierarchical_total=7 N0=4 N1=3\nhierarchical_file=1 N0=1 N1=0\n";
static const char numa_v2[] = "anon N0=4096 N1=8192\nfile N0=0 N1=100\nslab N0=7 N1=7\n";

static bool is_eth(const char *name, void *arg)
{
	return !strncmp(name, "eth", 3);
}

static void test_parse(void **state)
{
	struct disk_totals d;
	struct net_totals n;
	struct numa_bytes b;
	uint64_t v;

	assert_int_equal(proc_diskstats_parse(diskstats, &d), 0);
	assert_int_equal(d.reads, 12); /* no partition, no layer; nvme0n10 is a disk */
	assert_int_equal(d.writes, 21);
	assert_int_equal(d.read_bytes, 110 * 512);
	assert_int_equal(d.write_bytes, 204 * 512);
	assert_int_equal(d.busy_ns, 36000000);
	assert_int_equal(d.nr_disks, 4); /* loop0 may lie in memory; dm-0 lies on others */
	assert_string_equal(d.disks[1].name, "nvme0n1");
	assert_int_equal(d.disks[1].dev, 259 << 20);
	assert_int_equal(d.disks[1].requests, 30);
	assert_int_equal(d.disks[1].wait_ns, 15000000);
	assert_int_equal(proc_net_dev_parse(net_dev, is_eth, NULL, &n), 0);
	assert_int_equal(n.received_bytes, 1000000000000);
	assert_int_equal(n.received_packets, 7);
	assert_int_equal(n.sent_bytes, 5);
	assert_int_equal(n.sent_packets, 6);
	assert_int_equal(n.dropped, 3);
	assert_int_equal(proc_tcp_retransmits_parse(snmp, &v), 0);
	assert_int_equal(v, 307);
	assert_int_equal(cgroup_numa_parse(false, numa_v1, &b), 0);
	assert_int_equal(b.bytes[0], 4 * 4096);
	assert_int_equal(b.bytes[1], 3 * 4096);
	assert_int_equal(cgroup_numa_parse(true, numa_v2, &b), 0);
	assert_int_equal(b.bytes[0], 4096);
	assert_int_equal(b.bytes[1], 8292);
}

static int try_disk(const char *text)
{
	struct disk_totals d;

	return proc_diskstats_parse(text, &d);
}
static int try_net(const char *text)
{
	struct net_totals n;

	return proc_net_dev_parse(text, is_eth, NULL, &n);
}
static int try_tcp(const char *text)
{
	uint64_t v;

	return proc_tcp_retransmits_parse(text, &v);
}
static int try_numa_v1(const char *text)
{
	struct numa_bytes b;

	return cgroup_numa_parse(false, text, &b);
}
static int try_numa_v2(const char *text)
{
	struct numa_bytes b;

	return cgroup_numa_parse(true, text, &b);
}

/* Text that is cut anywhere but at the end of a line is refused. */
static void test_cut(void **state)
{
	const struct {
		const char *text;
		int (*parse)(const char *text);
	} all[] = {{diskstats, try_disk},
		   {net_dev, try_net},
		   {snmp, try_tcp},
		   {numa_v1, try_numa_v1},
		   {numa_v2, try_numa_v2}};
	char cut[1024];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(all[i].parse(all[i].text), 0);
		assert_int_equal(all[i].parse("nonsense\n"), -EINVAL);
		for (size_t n = 1; n < strlen(all[i].text); n++) {
			snprintf(cut, sizeof(cut), "%.*s", (int)n, all[i].text);
			if (cut[n - 1] != '\n')
				assert_int_equal(all[i].parse(cut), -EINVAL);
		}
	}
	assert_int_equal(try_numa_v2("anon N99=1\nfile N0=0\n"), -EINVAL);
	assert_int_equal(try_numa_v2("anon N0=x\n"), -EINVAL);
}

#define MACHINE                                                                                    \
	"cd %s && mkdir -p proc/self cg/a sys/devices/system/node/node0 "                          \
	"sys/devices/system/node/node1 sys/devices/system/cpu/cpu0/cpufreq "                       \
	"sys/devices/system/cpu/cpu1/cpufreq sys/devices/system/cpu/cpu2 && "                      \
	"echo 'cpu cpuset memory' >cg/cgroup.controllers && "                                      \
	"echo '1 2 0:3 / /cg rw - cgroup2 x rw' >proc/self/mountinfo && "                          \
	"echo 0-2 | tee sys/devices/system/cpu/online >sys/devices/system/cpu/possible && "        \
	"echo 0-1 >sys/devices/system/node/online && "                                             \
	"echo 0 >sys/devices/system/node/node0/cpulist && "                                        \
	"echo 1-2 >sys/devices/system/node/node1/cpulist && "                                      \
	"echo 2000000 >sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq && "                   \
	"echo 3000000 >sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq && "                   \
	"for g in '' a/; do echo usage_usec 1000 >cg/${g}cpu.stat; done && "                       \
	"echo 1-2 >cg/a/cpuset.cpus.effective && "                                                 \
	"printf 'anon N0=4096 N1=8192\\nfile N0=1000 N1=0\\n' >cg/a/memory.numa_stat"

static void test_machine(void **state)
{
	char dir[] = "/tmp/cz-test-hostio-XXXXXX", command[2048];
	struct probes_options o = {.fd_budget = 10, .slow_every = 1};
	const struct host_row *host;
	const struct zone_row *row;
	struct cgroup_fs fs;
	struct probes *p;
	struct kernel k;

	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), MACHINE, dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(kernel_open(dir, &k, NULL), 0);
	assert_int_equal(cgroup_fs_open(&k, &fs, NULL), 0);
	assert_int_equal(probes_new(&k, &fs, &o, &p), 0);
	assert_int_equal(probes_zone_add(p, 1, 0, "/"), 0);
	assert_int_equal(probes_zone_add(p, 2, 1, "/a"), 0);
	probes_tick_begin(p, 1000000000);
	while (probes_tick_step(p, NULL))
		;
	row = probes_row(p, 2);
	assert_true(row->valid & METRIC_BIT(ZM_NUMA_REMOTE_BYTES));
	assert_int_equal(row->value[ZM_NUMA_REMOTE_BYTES], 5096);
	assert_int_equal(row->value[ZM_NUMA_MOST_BYTES], 8192);
	host = probes_host(p);
	assert_true(host->valid & METRIC_BIT(HM_CPU_FREQUENCY_HZ));
	/* CPU 2 has no cpufreq: it does not count */
	assert_int_equal(host->value[HM_CPU_FREQUENCY_HZ], 2500000000);
	assert_int_equal(host->value[HM_CPU_FREQUENCY_MIN_HZ], 2000000000);
	probes_free(p);
	cgroup_fs_close(&fs);
	kernel_close(&k);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
