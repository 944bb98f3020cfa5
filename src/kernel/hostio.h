/* SPDX-License-Identifier: MIT */
/* What disks, network interfaces and NUMA nodes have done, from the text of kernel files. Each
 * parser: -EINVAL on text that is cut or not of this kind. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/* /proc/diskstats: whole disks only, and no layered ones (device mapper, RAID, loop, zram), whose
 * io is that of the disks below. */
struct disk_totals {
	uint64_t read_bytes, write_bytes, reads, writes;
	uint64_t busy_ns; /* sum over disks of the time during which each had requests */
};
must_check int proc_diskstats_parse(const char *text, struct disk_totals *ret);

/* /proc/net/dev: the interfaces for which `wanted` says true; lo is never asked for. */
struct net_totals {
	uint64_t received_bytes, received_packets, sent_bytes, sent_packets;
	uint64_t dropped; /* both ways */
};
must_check int proc_net_dev_parse(const char *text, bool (*wanted)(const char *name, void *arg),
				  void *arg, struct net_totals *ret);

/* /proc/net/snmp: RetransSegs. */
must_check int proc_tcp_retransmits_parse(const char *text, uint64_t *ret);

/* memory.numa_stat: where the zone's anonymous memory and page cache lie, its children's included.
 */
#define NUMA_NODES_MAX 64
struct numa_bytes {
	uint64_t bytes[NUMA_NODES_MAX];
};
must_check int cgroup_numa_parse(bool v2, const char *text, struct numa_bytes *ret);
