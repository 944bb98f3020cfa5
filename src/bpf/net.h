/* SPDX-License-Identifier: MIT */
/* What cgroups sent, by interface: shared by net.bpf.c and its probe. */
#pragma once

#define NET_FLOWS_MAX 16384

struct net_key {
	unsigned long long cgroup; /* id in the v2 hierarchy */
	unsigned int ifindex, zero;
};
struct net_sums {
	unsigned long long bytes, packets, retransmits;
};
