/* SPDX-License-Identifier: MIT */
/* Pairs of zones, with what was charged to them since the reader took them out last. */
#pragma once
#include "bpf/zone-sums.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ZONE_PAIRS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct zone_pair);
	__type(value, u64);
} pairs SEC(".maps");

static __always_inline void pair_add(u64 owner, u64 holder, u64 n)
{
	struct zone_pair key = {owner, holder};
	u64 *v = bpf_map_lookup_elem(&pairs, &key);

	if (v) {
		__sync_fetch_and_add(v, n);
		return;
	}
	if (bpf_map_update_elem(&pairs, &key, &n, BPF_NOEXIST) == 0)
		return;
	v = bpf_map_lookup_elem(&pairs, &key); /* another CPU was first */
	if (v)
		__sync_fetch_and_add(v, n);
	else
		__sync_fetch_and_add(&lost, 1);
}
