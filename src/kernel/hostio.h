/* SPDX-License-Identifier: MIT */
/* What disks, network interfaces and NUMA nodes have done, from the text of kernel files. Each
 * parser: -EINVAL on text that is cut or not of this kind. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/* /proc/diskstats: whole disks only, and no layered ones (device mapper, RAID, loop, zram), whose
 * io is that of the disks below. One by one, loop and zram are told as well: they may lie in
 * memory. */
#define DISK_STATS_MAX 64
struct disk_stat {
	char name[32];
	uint32_t dev;		    /* major << 20 | minor */
	uint64_t requests, wait_ns; /* that ended, and how long they took */
};
struct disk_totals {
	uint64_t read_bytes, write_bytes, reads, writes;
	uint64_t busy_ns; /* sum over disks of the time during which each had requests */
	size_t nr_disks;  /* that have ever done any io */
	struct disk_stat disks[DISK_STATS_MAX];
};
/* A device's number as it is written here: major << 20 | minor. False: no such number. */
bool disk_dev(uint64_t major, uint64_t minor, uint32_t *ret);
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
